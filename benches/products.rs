//! Products, transposed products and gradients of Toeplitz-like matrices beside dense ones and beside the same algorithm on
//! `realfft`.
//!
//! `cargo bench --bench products`. Names are `forward/f32/n1024/b256/toeplitz-like-r4`, with `dense` and `realfft-r4` in the
//! place of the last part; name a part of one to run a few (`cargo bench --bench products -- forward/f32/n1024`).

mod support;

#[allow(dead_code)]
#[path = "../examples/speed/realfft.rs"]
mod realfft;

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use displace::{Family, Matrix, Scalar, Workspace};
use support::{fast, numbers};

const SIZES: [usize; 7] = [256, 512, 784, 1024, 2048, 4096, 8192];
const RANKS: [usize; 5] = [1, 2, 4, 8, 16];
const BATCHES: [usize; 3] = [1, 32, 256];

#[derive(Clone, Copy)]
enum Case {
    Forward,
    Transpose,
    Backward,
}

impl Case {
    const ALL: [Case; 3] = [Case::Forward, Case::Transpose, Case::Backward];

    fn name(self) -> &'static str {
        match self {
            Case::Forward => "forward",
            Case::Transpose => "transpose",
            Case::Backward => "backward",
        }
    }
}

fn main() {
    let mut criterion = support::criterion();
    for n in SIZES {
        for batch in BATCHES {
            for case in Case::ALL {
                group::<f32>(&mut criterion, case, n, batch);
                group::<f64>(&mut criterion, case, n, batch);
            }
        }
    }
    criterion.final_summary();
}

fn group<T: Scalar>(criterion: &mut Criterion, case: Case, n: usize, batch: usize) {
    let mut group = criterion.benchmark_group(format!("{}/{}/n{n}/b{batch}", case.name(), T::NAME));
    group.throughput(Throughput::Elements(batch as u64));
    let x = numbers::<T>(batch * n);
    for rank in RANKS {
        let Some(matrix) = fast::<T>(Family::ToeplitzLike, n, rank) else { continue };
        measure(&mut group, &format!("toeplitz-like-r{rank}"), case, &matrix, &x);
        if matches!(case, Case::Forward) {
            let (g, h) = matrix.parameters().split_at(matrix.parameters().len() / 2);
            let (mut peer, mut y) = (realfft::Peer::new(n, g, h), x.clone());
            group.bench_function(format!("realfft-r{rank}"), |b| b.iter(|| peer.apply(black_box(&x), &mut y)));
        }
    }
    if let Some(matrix) = fast::<T>(Family::Dense, n, 0) {
        measure(&mut group, "dense", case, &matrix, &x);
    }
    group.finish();
}

fn measure<T: Scalar>(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, case: Case, matrix: &Matrix<T>, x: &[T]) {
    let mut workspace = Workspace::new();
    let mut y = x.to_vec();
    let mut gradient = vec![T::zero(); matrix.parameters().len()];
    group.bench_function(name, |b| {
        b.iter(|| {
            let x = black_box(x);
            let done = match case {
                Case::Forward => matrix.apply_into(x, &mut y, &mut workspace),
                Case::Transpose => matrix.apply_transposed_into(x, &mut y, &mut workspace),
                Case::Backward => matrix.backward(x, x, Some(&mut y), &mut gradient, &mut workspace),
            };
            done.unwrap_or_default();
        });
    });
}
