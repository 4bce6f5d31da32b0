//! Toeplitz systems: GKO, from making it to a solution; a further solution; conjugate gradients; and dense LU.
//!
//! `cargo bench --manifest-path benches/peers/Cargo.toml --bench solve`. All on one thread. The dense times are those
//! of a factorization with partial pivoting and a solution, without the time to fill the matrix.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use displace::algebra::{Gko, Ldr};
use displace::solve::conjugate_gradients::{self, Preconditioner, Stop};
use displace::structured::Toeplitz;
use faer::linalg::solvers::Solve;

fn random(len: usize, seed: u64) -> Vec<f64> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..len).map(|_| 2.0 * rng.f64() - 1.0).collect()
}

fn solve(criterion: &mut Criterion) {
    faer::set_global_parallelism(faer::Par::Seq);
    let mut group = criterion.benchmark_group("toeplitz-solve");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for n in [256usize, 512, 1024, 2048, 4096] {
        // Indefinite and not symmetric.
        let (column, mut row) = (random(n, 1), random(n, 2));
        row[0] = column[0];
        let right = random(n, 3);
        let toeplitz = Toeplitz::from_column_and_row(&column, &row).expect("a Toeplitz matrix");
        let matrix = Ldr::from_toeplitz(&toeplitz).expect("its generators");
        group.bench_function(BenchmarkId::new("gko", n), |b| {
            b.iter(|| Gko::new(black_box(&matrix)).and_then(|gko| gko.solve(&right)).expect("a solution"));
        });
        let gko = Gko::new(&matrix).expect("a regular matrix");
        group.bench_function(BenchmarkId::new("gko-again", n), |b| {
            b.iter(|| gko.solve(black_box(&right)).expect("a solution"));
        });
        // Positive definite.
        let definite: Vec<f64> = (0..n).map(|k| 1.0 / (1.0 + (k * k) as f64)).collect();
        group.bench_function(BenchmarkId::new("conjugate-gradients", n), |b| {
            let stop = Stop::default();
            b.iter(|| conjugate_gradients::solve(black_box(&definite), &right, Preconditioner::Chan, stop));
        });
        let dense = toeplitz.to_dense().unwrap();
        let dense = faer::Mat::<f64>::from_fn(n, n, |i, j| dense[i * n + j]);
        let b_dense = faer::Mat::<f64>::from_fn(n, 1, |i, _| right[i]);
        group.bench_function(BenchmarkId::new("dense-lu", n), |b| {
            b.iter(|| black_box(&dense).partial_piv_lu().solve(&b_dense));
        });
    }
    group.finish();
}

criterion_group!(benches, solve);
criterion_main!(benches);
