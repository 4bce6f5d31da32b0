//! Products of every family with one vector and with batches, from n = 1024 to 65536: how time grows with n.
//!
//! `cargo bench --bench families`. Names are `growth/f64/b1/cauchy-like/n4096`; families that have a rank are taken at 1.
//!
//! `cargo bench --bench families -- --growth [NAME…]` prints a table of one vector instead, of the families whose names
//! contain one of those given. It takes all sizes, and a dense product at n = 8192 with them, in turn, many times over, and the
//! shortest time of each: slow and fast phases of the machine do not count.

mod support;

use std::hint::black_box;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion};
use displace::{Family, Matrix, Scalar, Workspace};
use support::{fast, numbers};

/// Rounds of the table.
const ROUNDS: usize = 40;
/// Calls that are timed together last at least this long, in seconds.
const BURST: f64 = 1e-3;
/// Where products are compared with a dense one.
const YARDSTICK: usize = 1 << 13;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some((_, names)) = arguments.split_first().filter(|(mode, _)| *mode == "--growth") {
        table::<f32>(names);
        return table::<f64>(names);
    }
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
        let largest = if family == Family::Dense { YARDSTICK } else { 1 << 16 };
        for n in sizes().filter(|&n| n <= largest) {
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

/// Microseconds of one vector at each size, by how much each doubling multiplies them, the largest of those, and how many times
/// as long a dense product takes.
fn table<T: Scalar>(names: &[String]) {
    print!("\n{:<30}", format!("{}, µs", T::NAME));
    sizes().for_each(|n| print!("{n:>15}"));
    println!("{:>8}{:>9}", "worst", "dense");
    let dense = fast::<T>(Family::Dense, YARDSTICK, 1);
    for family in Family::ALL.into_iter().filter(|&family| family != Family::Dense) {
        if !names.is_empty() && !names.iter().any(|wanted| name(family).contains(wanted.as_str())) {
            continue;
        }
        let mut cases: Vec<_> = sizes().filter_map(|n| fast::<T>(family, n, 1)).map(Case::new).collect();
        let mut dense = dense.clone().map(Case::new);
        for _ in 0..ROUNDS {
            cases.iter_mut().chain(&mut dense).for_each(Case::time);
        }
        print!("{:<30}", family.name());
        let mut worst = 0.0f64;
        for (at, case) in cases.iter().enumerate() {
            let factor = if at == 0 { 0.0 } else { case.best / cases[at - 1].best };
            worst = worst.max(factor);
            let factor = if at == 0 { String::new() } else { format!(" ×{factor:.2}") };
            print!("{:>15}", format!("{:.1}{factor}", case.best * 1e6));
        }
        let at = cases.iter().find(|case| case.matrix.cols() == YARDSTICK);
        let ratio = dense.zip(at).map_or(f64::NAN, |(dense, case)| dense.best / case.best);
        println!("{worst:>8.2}{ratio:>8.1}×");
    }
}

/// A matrix, a vector, and the shortest time of their product so far, in seconds.
struct Case<T: Scalar> {
    matrix: Matrix<T>,
    x: Vec<T>,
    y: Vec<T>,
    workspace: Workspace<T>,
    best: f64,
}

impl<T: Scalar> Case<T> {
    fn new(matrix: Matrix<T>) -> Self {
        let x = numbers::<T>(matrix.cols());
        Self { matrix, y: x.clone(), x, workspace: Workspace::new(), best: f64::INFINITY }
    }

    fn time(&mut self) {
        let (start, mut calls) = (Instant::now(), 0);
        while calls == 0 || start.elapsed().as_secs_f64() < BURST {
            self.matrix.apply_into(black_box(&self.x), &mut self.y, &mut self.workspace).unwrap_or_default();
            calls += 1;
        }
        self.best = self.best.min(start.elapsed().as_secs_f64() / f64::from(calls));
    }
}

fn sizes() -> impl Iterator<Item = usize> {
    (10..=16).map(|k| 1 << k)
}

/// The family's name as one word.
fn name(family: Family) -> String {
    family.name().to_lowercase().replace([' ', '+'], "-")
}
