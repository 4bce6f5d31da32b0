//! Every family, every operation, both number types, against the dense matrix in f64.
//!
//! Tolerances are 50 ε log2(m + n), the bar for transforms, relative to the norm of the result; for products to a tenth of
//! `‖M‖ (‖x‖ + 1)` in the Frobenius norm, if that is larger.

#[path = "common/families.rs"]
mod common;

use common::*;
use displace::{Builder, Family, Init, PathChoice, Scalar, Workspace};
use proptest::prelude::*;

/// Everything that one matrix can do, on both paths.
fn check<T: Scalar>(builder: &Builder, rows: usize, cols: usize, batch: usize, seed: u64) {
    let mut matrix = builder.build::<T>().unwrap();
    let wide = reference(builder, &matrix);
    let dense = wide.to_dense().unwrap();
    let (x, dy) = (random::<T>(batch * cols, seed + 1), random::<T>(batch * rows, seed + 2));
    let y = product(&dense, &x, cols);
    let dx = product(&transpose(&dense, cols), &dy, rows);
    let gradient = dense_gradient(&wide, &x, &dy);
    let tolerance = bar::<T>(rows, cols);
    let scale = norm(&dense) * (norm(&x.iter().map(|x| x.wide()).collect::<Vec<_>>()) + 1.0);
    let mut workspace = Workspace::new();
    for path in [PathChoice::Fast, PathChoice::Dense] {
        matrix.set_path(path);
        let what = |op: &str| format!("{op} of {builder:?} as {}, batch {batch}, {path:?}", T::NAME);
        assert_close(&matrix.to_dense().unwrap(), &dense, tolerance, norm(&dense), &what("entries"));
        assert_close(&matrix.apply(&x).unwrap(), &y, tolerance, norm(&y).max(scale * 0.1), &what("product"));
        let transposed = matrix.apply_transposed(&dy).unwrap();
        assert_close(&transposed, &dx, tolerance, norm(&dx).max(scale * 0.1), &what("transposed product"));

        let mut got_dx = vec![T::one(); x.len()];
        let mut got = vec![T::one(); gradient.len()];
        matrix.backward(&x, &dy, Some(&mut got_dx), &mut got, &mut workspace).unwrap();
        assert_close(&got_dx, &dx, tolerance, norm(&dx).max(scale * 0.1), &what("gradient in x"));
        let expected: Vec<f64> = gradient.iter().map(|g| g + 1.0).collect();
        assert_close(&got, &expected, tolerance, norm(&expected), &what("gradient in the parameters"));

        let mut alone = vec![T::one(); gradient.len()];
        matrix.backward(&x, &dy, None, &mut alone, &mut workspace).unwrap();
        assert_eq!(got, alone, "{}", what("gradient without that in x"));
    }
}

/// The gradient in the parameters from that in the entries, `dM = dYᵀ X`, one parameter at a time: M is linear in G for
/// a fixed H and the other way round, and linear outright where there are no generators.
fn dense_gradient<T: Scalar>(matrix: &displace::Matrix<f64>, x: &[T], dy: &[T]) -> Vec<f64> {
    let (m, n) = (matrix.rows(), matrix.cols());
    let mut entries = vec![0.0; m * n];
    for (x, dy) in x.chunks(n).zip(dy.chunks(m)) {
        for (row, dy) in entries.chunks_mut(n).zip(dy) {
            row.iter_mut().zip(x).for_each(|(e, x)| *e += dy.wide() * x.wide());
        }
    }
    let base = matrix.parameters().to_vec();
    let loss = |parameters: &[f64]| {
        let mut moved = matrix.clone();
        moved.set_parameters(parameters).unwrap();
        moved.to_dense().unwrap().iter().zip(&entries).map(|(m, e)| m * e).sum::<f64>()
    };
    (0..base.len())
        .map(|k| {
            let mut at = base.clone();
            at[k] = base[k] + 0.5;
            let up = loss(&at);
            at[k] = base[k] - 0.5;
            up - loss(&at)
        })
        .collect()
}

fn check_all(rows: usize, cols: usize, batch: usize, seed: u64) {
    for builder in builders(rows, cols, seed) {
        check::<f32>(&builder, rows, cols, batch, seed);
        check::<f64>(&builder, rows, cols, batch, seed);
    }
}

#[test]
fn tiny_shapes_and_ragged_batches_equal_the_dense_matrix() {
    for (rows, cols) in [(1, 1), (1, 2), (2, 1), (2, 2), (1, 5), (3, 2), (4, 7), (7, 4), (8, 8)] {
        for batch in [0, 1, 3, 4, 5, 8, 9, 65] {
            check_all(rows, cols, batch, 11);
        }
    }
}

#[test]
fn odd_and_prime_shapes_equal_the_dense_matrix() {
    for (rows, cols) in [(13, 13), (15, 9), (9, 15), (17, 16), (11, 22)] {
        check_all(rows, cols, 5, 12);
    }
}

/// Products at one size, relative to the norm of the exact result and nothing else.
fn check_products<T: Scalar>(builder: &Builder, n: usize) {
    let mut matrix = builder.build::<T>().unwrap();
    matrix.set_path(PathChoice::Fast);
    let dense = reference(builder, &matrix).to_dense().unwrap();
    let x = random::<T>(n, 13);
    let (y, z) = (product(&dense, &x, n), product(&transpose(&dense, n), &x, n));
    let what = format!("{builder:?} as {}", T::NAME);
    assert_close(&matrix.apply(&x).unwrap(), &y, bar::<T>(n, n), norm(&y), &what);
    assert_close(&matrix.apply_transposed(&x).unwrap(), &z, bar::<T>(n, n), norm(&z), &what);
}

#[test]
fn large_and_prime_sizes_equal_the_dense_matrix() {
    for n in [127, 128, 251, 360, 509, 784, 1021, 1024] {
        let families = Family::ALL.into_iter().filter(is_multilinear);
        for family in families.filter(|family| !matches!(family, Family::LowRank | Family::Dense)) {
            let builder = Builder::new(family, n, n).init(Init::Variance(1.0)).seed(n as u64);
            let builder = if family.has_rank() { builder.rank(2) } else { builder };
            check_products::<f32>(&builder, n);
            check_products::<f64>(&builder, n);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_shape_and_batch_equals_the_dense_matrix(rows in 1usize..20, cols in 1usize..20, batch in 0usize..10, seed in 0u64..1000) {
        check_all(rows, cols, batch, seed);
    }
}
