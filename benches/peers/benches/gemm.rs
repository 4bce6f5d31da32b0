//! Which crate's product the dense fallback should use: `Y = X Mᵀ` for an n×n matrix, one thread.
//!
//! `cargo bench --manifest-path benches/peers/Cargo.toml --bench gemm`. Names are `gemm/f32/n1024/b256/faer`.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use displace::{Builder, Family, Scalar, Workspace};

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(400))
        .without_plots()
        .configure_from_args();
    for n in [64, 256, 1024, 4096] {
        for batch in [1, 4, 32, 256] {
            group::<f32>(&mut criterion, n, batch, matrixmultiply::sgemm);
            group::<f64>(&mut criterion, n, batch, matrixmultiply::dgemm);
        }
    }
    criterion.final_summary();
}

type Gemm<T> =
    unsafe fn(usize, usize, usize, T, *const T, isize, isize, *const T, isize, isize, T, *mut T, isize, isize);

fn group<T: Scalar + faer::traits::ComplexField + faer::traits::Conjugate<Canonical = T>>(
    criterion: &mut Criterion,
    n: usize,
    batch: usize,
    matrixmultiply: Gemm<T>,
) {
    let numbers = |len: usize| -> Vec<T> { (0..len).map(|i| T::of(((i * 37) % 101) as f64 / 50.0 - 1.0)).collect() };
    let (m, x) = (numbers(n * n), numbers(batch * n));
    let mut y = x.clone();
    let (one, zero) = (<T as num::One>::one(), <T as num::Zero>::zero());
    let mut group = criterion.benchmark_group(format!("gemm/{}/n{n}/b{batch}", T::NAME));
    group.throughput(Throughput::Elements(batch as u64));
    let mut dense = Builder::new(Family::Dense, n, n).build::<T>().unwrap();
    dense.set_parameters(&m).unwrap();
    let mut workspace = Workspace::new();
    group.bench_function("displace", |b| {
        b.iter(|| dense.apply_into(black_box(&x), &mut y, &mut workspace).unwrap());
    });
    let stride = n as isize;
    group.bench_function("matrixmultiply", |b| {
        // All three slices hold whole matrices of these shapes and strides.
        b.iter(|| unsafe {
            matrixmultiply(
                batch,
                n,
                n,
                one,
                black_box(x.as_ptr()),
                stride,
                1,
                m.as_ptr(),
                1,
                stride,
                zero,
                y.as_mut_ptr(),
                stride,
                1,
            );
        });
    });
    group.bench_function("gemm", |b| {
        // All three slices hold whole matrices of these shapes and strides.
        b.iter(|| unsafe {
            gemm::gemm(
                batch,
                n,
                n,
                y.as_mut_ptr(),
                1,
                stride,
                false,
                black_box(x.as_ptr()),
                1,
                stride,
                m.as_ptr(),
                stride,
                1,
                zero,
                one,
                false,
                false,
                false,
                gemm::Parallelism::None,
            );
        });
    });
    group.bench_function("faer", |b| {
        b.iter(|| {
            faer::linalg::matmul::matmul(
                faer::MatMut::from_row_major_slice_mut(&mut y, batch, n),
                faer::Accum::Replace,
                faer::MatRef::from_row_major_slice(black_box(&x), batch, n),
                faer::MatRef::from_row_major_slice(&m, n, n).transpose(),
                one,
                faer::Par::Seq,
            );
        });
    });
    group.finish();
}
