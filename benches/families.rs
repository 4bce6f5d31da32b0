//! Products of every family with one vector and with batches, from n = 1024 to 65536: how time grows with n.
//!
//! `cargo bench --bench families`. Names are `growth/f64/b1/cauchy-like/n4096`; families that have a rank are taken at 1.

mod support;

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use displace::{Family, Scalar, Workspace};
use support::{fast, numbers};

fn main() {
    let mut criterion = support::criterion();
    for batch in [1, 32] {
        growth::<f32>(&mut criterion, batch);
        growth::<f64>(&mut criterion, batch);
    }
    criterion.final_summary();
}

fn growth<T: Scalar>(criterion: &mut Criterion, batch: usize) {
    for family in Family::ALL {
        let mut group = criterion.benchmark_group(format!("growth/{}/b{batch}/{}", T::NAME, name(family)));
        // A dense matrix is the yardstick while it fits into memory.
        let largest = if family == Family::Dense { 1 << 13 } else { 1 << 16 };
        for n in (10..=16).map(|k| 1 << k).filter(|&n| n <= largest) {
            let Some(matrix) = fast::<T>(family, n, 1) else { continue };
            let (x, mut workspace) = (numbers::<T>(batch * n), Workspace::new());
            let mut y = x.clone();
            group.bench_function(BenchmarkId::from_parameter(format!("n{n}")), |b| {
                b.iter(|| matrix.apply_into(black_box(&x), &mut y, &mut workspace).unwrap_or_default());
            });
        }
        group.finish();
    }
}

/// The family's name as one word.
fn name(family: Family) -> String {
    family.name().to_lowercase().replace([' ', '+'], "-")
}
