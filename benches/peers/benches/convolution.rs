//! Plain circulant and Toeplitz products, one vector, beside the crates that offer them.
//!
//! `cargo bench --manifest-path benches/peers/Cargo.toml --bench convolution`. Names are `circulant/f64/n1024/displace`, with
//! the other crate's name in the place of the last part. With `--features scirs2` beside scirs2-linalg too.

#![allow(deprecated)]

use std::hint::black_box;
use std::time::Duration;

use circulant_rs::core::Circulant;
use circulant_rs::traits::CirculantOps;
use criterion::Criterion;
use displace::{Matrix, PathChoice, Scalar, Workspace, structured};
use num_complex::Complex;
#[cfg(feature = "scirs2")]
use scirs2_linalg::fft_based::{circulant_matmul, toeplitz_matmul};

const SIZES: [usize; 11] = [16, 32, 64, 128, 256, 784, 1000, 1024, 2048, 4096, 8192];

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .without_plots()
        .configure_from_args();
    for n in SIZES {
        circulant_f32(&mut criterion, n);
        circulant_f64(&mut criterion, n);
        toeplitz_f64(&mut criterion, n);
    }
    criterion.final_summary();
}

fn numbers<T: Scalar>(len: usize) -> Vec<T> {
    (0..len).map(|i| T::of(((i * 37) % 101) as f64 / 50.0 - 1.0)).collect()
}

/// The product as a user gets it, the path chosen by the crate.
fn own<T: Scalar, S: displace::Structure<T> + 'static>(b: &mut criterion::Bencher<'_>, matrix: Matrix<T, S>, x: &[T]) {
    let mut matrix = matrix;
    matrix.set_path(PathChoice::Auto);
    let (mut y, mut workspace) = (vec![T::zero(); matrix.rows()], Workspace::new());
    b.iter(|| matrix.apply_into(black_box(x), &mut y, &mut workspace).unwrap());
}

fn circulant_f32(criterion: &mut Criterion, n: usize) {
    let (c, x) = (numbers::<f32>(n), numbers::<f32>(n));
    let mut group = criterion.benchmark_group(format!("circulant/f32/n{n}"));
    group.bench_function("displace", |b| own(b, structured::Circulant::from_column(&c).unwrap(), &x));
    let mut peer = Circulant::from_real(c).unwrap();
    peer.precompute();
    let z: Vec<Complex<f32>> = x.iter().map(|&x| Complex::new(x, 0.0)).collect();
    group.bench_function("circulant-rs", |b| b.iter(|| peer.mul_vec(black_box(&z)).unwrap()));
    group.finish();
}

fn circulant_f64(criterion: &mut Criterion, n: usize) {
    let (c, x) = (numbers::<f64>(n), numbers::<f64>(n));
    let mut group = criterion.benchmark_group(format!("circulant/f64/n{n}"));
    group.bench_function("displace", |b| own(b, structured::Circulant::from_column(&c).unwrap(), &x));
    let mut peer = Circulant::from_real(c.clone()).unwrap();
    peer.precompute();
    let z: Vec<Complex<f64>> = x.iter().map(|&x| Complex::new(x, 0.0)).collect();
    group.bench_function("circulant-rs", |b| b.iter(|| peer.mul_vec(black_box(&z)).unwrap()));
    #[cfg(feature = "scirs2")]
    group.bench_function("scirs2-linalg", |b| b.iter(|| circulant_matmul(&c, black_box(&x)).unwrap()));
    group.finish();
}

fn toeplitz_f64(criterion: &mut Criterion, n: usize) {
    let (t, x) = (numbers::<f64>(2 * n - 1), numbers::<f64>(n));
    let column: Vec<f64> = t[n - 1..].to_vec();
    let row: Vec<f64> = t[..n].iter().rev().copied().collect();
    let mut group = criterion.benchmark_group(format!("toeplitz/f64/n{n}"));
    group.bench_function("displace", |b| own(b, structured::Toeplitz::from_column_and_row(&column, &row).unwrap(), &x));
    #[cfg(feature = "scirs2")]
    group.bench_function("scirs2-linalg", |b| b.iter(|| toeplitz_matmul(&t, black_box(&x)).unwrap()));
    group.finish();
}
