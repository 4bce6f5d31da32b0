//! Vandermonde and Vandermonde-like matrices of nodes on the unit circle against their definitions in f64.
//!
//! Errors are measured in norm, relative to `‖M‖ ‖x‖` in the Frobenius norm. The tolerances are the bars, 10⁻¹¹ in f64
//! and 2·10⁻⁵ in f32.

#[path = "common/families.rs"]
#[allow(dead_code, reason = "these tests need only a few of the helpers")]
mod common;
#[path = "common/vandermonde.rs"]
#[allow(dead_code, reason = "these tests need only some of the helpers")]
mod shared;

use std::f64::consts::{PI, TAU};
use std::sync::Arc;

use common::*;
use displace::displacement::{
    Diagonal, DisplacementOperator, Generators, OperatorMatrix, Rotation, Shift, Stein, Sylvester, Transposed,
    Truncation,
};
use displace::ldr::CircleVandermondeLike;
use displace::structured::CircleVandermonde;
use displace::{Builder, Error, Family, Init, Matrix, PathChoice, Scalar, Structure, Workspace};
use proptest::prelude::*;
use shared::*;

/// Angles of all kinds: anywhere, at and near 0 and π, clustered, repeated, outside [−π, π).
fn angles<T: Scalar>(count: usize, seed: u64) -> Vec<T> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut angle = |_| match rng.usize(..7) {
        0 => TAU * (rng.f64() - 0.5),
        1 => [0.0, PI, -PI, 0.5 * PI][rng.usize(..4)],
        2 => 1e-3 * (rng.f64() - 0.5),
        3 => 2.0 + 1e-9 * rng.f64(),
        4 => -1.25,
        5 => 100.0 * rng.f64(),
        _ => PI + 1e-4 * rng.f64(),
    };
    (0..count).map(|i| T::of(angle(i))).collect()
}

/// Pairs of rows cos kθ, sin kθ, and a row of ones at the end of an odd number; or their derivatives in θ.
fn powers<T: Scalar>(angles: &[T], rows: usize, cols: usize, derivative: bool) -> Vec<f64> {
    let mut dense = vec![0.0; rows * cols];
    for (i, row) in dense.chunks_mut(cols).enumerate() {
        let angle = angles.get(i / 2).map_or(0.0, |a| a.wide());
        for (k, entry) in row.iter_mut().enumerate() {
            // The product kθ is rounded; the rest is what is missing.
            let product = k as f64 * angle;
            let rest = angle.mul_add(k as f64, -product);
            let (sin, cos) = product.sin_cos();
            let (cos, sin) = (cos - rest * sin, sin + rest * cos);
            *entry = match (derivative, i % 2 == 0) {
                (false, true) => cos,
                (false, false) => sin,
                (true, true) => -(k as f64) * sin,
                (true, false) => k as f64 * cos,
            };
        }
    }
    dense
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn check_vandermonde<T: Scalar>(m: usize, n: usize, batch: usize, seed: u64) {
    let theta = angles::<T>(m / 2, seed);
    let scale = T::of(0.75);
    let parameters = [&theta[..], &[scale]].concat();
    let unscaled = powers(&theta, m, n, false);
    let dense: Vec<f64> = unscaled.iter().map(|e| 0.75 * e).collect();
    let slopes = powers(&theta, m, n, true);
    let (x, dy) = (random::<T>(batch * n, seed + 1), random::<T>(batch * m, seed + 2));
    let (y, dx) = (product(&dense, &x, n), product(&transpose(&dense, n), &dy, m));
    let (y_size, dx_size) = (norm(&dense) * norm(&wide(&x)), norm(&dense) * norm(&wide(&dy)));
    let outer = outer(&x, &dy, n, m);
    let slope = |i: usize| 0.75 * dot(&slopes[2 * i * n..][..2 * n], &outer[2 * i * n..][..2 * n]);
    let gradient: Vec<f64> = (0..m / 2).map(slope).chain([dot(&unscaled, &outer)]).collect();
    // Products of two random rows with a matrix: sizes of their factors, frequencies up to n.
    let sizes = [n as f64 * y_size * norm(&wide(&dy)), y_size * norm(&wide(&dy))];

    let mut plain = Matrix::new(Arc::new(CircleVandermonde::new(m, n).unwrap()), parameters.clone()).unwrap();
    let mut turned = Matrix::new(Arc::new(CircleVandermonde::transposed(n, m).unwrap()), parameters).unwrap();
    let mut workspace = Workspace::new();
    for path in [PathChoice::Fast, PathChoice::Dense] {
        plain.set_path(path);
        turned.set_path(path);
        let what = |op: &str| format!("{op}, {} {m}×{n}, batch {batch}, seed {seed}, {path:?}", T::NAME);
        assert_close(&plain.to_dense().unwrap(), &dense, limit::<T>(), norm(&dense), &what("entries"));
        assert_close(
            &turned.to_dense().unwrap(),
            &transpose(&dense, n),
            limit::<T>(),
            norm(&dense),
            &what("entries, turned"),
        );
        assert_close(&plain.apply(&x).unwrap(), &y, limit::<T>(), y_size, &what("product"));
        assert_close(&turned.apply_transposed(&x).unwrap(), &y, limit::<T>(), y_size, &what("product, turned"));
        assert_close(&plain.apply_transposed(&dy).unwrap(), &dx, limit::<T>(), dx_size, &what("transposed"));
        assert_close(&turned.apply(&dy).unwrap(), &dx, limit::<T>(), dx_size, &what("transposed, turned"));
        for (matrix, x, dy, dx_of) in
            [(&plain.clone().into_dyn(), &x, &dy, &dx), (&turned.clone().into_dyn(), &dy, &x, &y)]
        {
            let (mut got, mut got_dx) = (vec![T::zero(); m / 2 + 1], vec![T::one(); x.len()]);
            matrix.backward(x, dy, Some(&mut got_dx), &mut got, &mut workspace).unwrap();
            assert_close(&got[..m / 2], &gradient[..m / 2], limit::<T>(), sizes[0], &what("gradient in the angles"));
            assert_close(&got[m / 2..], &gradient[m / 2..], limit::<T>(), sizes[1], &what("gradient in the scale"));
            let size = norm(&dense) * norm(&wide(dy));
            assert_close(&got_dx, dx_of, limit::<T>(), size, &what("gradient in x"));
            let mut alone = vec![T::zero(); m / 2 + 1];
            matrix.backward(x, dy, None, &mut alone, &mut workspace).unwrap();
            assert_eq!(got, alone, "{}", what("gradient without that in x"));
        }
    }
}

/// The definition: the sum over t of `Rᵗ G Hᵀ (Z_fᵀ)ᵗ` with H continued by zeros, 60 rounds of N terms, of which each
/// is half the one before.
fn definition(theta: &[f64], m: usize, g: &[f64], h: &[f64], rank: usize, n: usize, order: usize) -> Vec<f64> {
    let rotation = Rotation::new(m, theta).unwrap();
    let mut dense = vec![0.0; m * n];
    for j in 0..rank {
        let mut shifted = h[j * n..][..n].to_vec();
        shifted.resize(order, 0.0);
        let (mut turned, mut next) = (g[j * m..][..m].to_vec(), vec![0.0; m]);
        for _ in 0..60 * order {
            for (row, g) in dense.chunks_mut(n).zip(&turned) {
                row.iter_mut().zip(&shifted).for_each(|(entry, h)| *entry += g * h);
            }
            shifted.rotate_right(1);
            shifted[0] *= 0.5;
            rotation.apply(&turned, &mut next).unwrap();
            std::mem::swap(&mut turned, &mut next);
        }
    }
    dense
}

fn check_like<T: Scalar>(structure: CircleVandermondeLike<T>, fixed: &[T], batch: usize, seed: u64) {
    let (m, n, rank) = (structure.rows(), structure.cols(), structure.rank().unwrap());
    let order = structure.order();
    let mut parameters = vec![T::zero(); structure.layout().len()];
    structure.initialise(Init::Variance(1.0), &mut fastrand::Rng::with_seed(seed), &mut parameters).unwrap();
    let trained = structure.layout().tensor("theta").is_some();
    if trained {
        let at = parameters.len() - m / 2;
        parameters[at..].copy_from_slice(&angles(m / 2, seed));
    }
    let theta = wide(structure.angles(&parameters));
    let numbers = wide(&parameters);
    let mut twin = CircleVandermondeLike::<f64>::with_order(m, n, rank, order).unwrap();
    if !trained {
        twin = twin.fix_angles(&wide(fixed)).unwrap();
    }
    let twin = Matrix::new(Arc::new(twin), numbers.clone()).unwrap();
    let dense = twin.to_dense().unwrap();
    if m * n * order <= 4000 {
        let (g, h) = numbers[..rank * (m + n)].split_at(rank * m);
        let defined = definition(&theta, m, g, h, rank, n, order);
        assert_close(&dense, &defined, 1e-13 * order as f64, norm(&defined), "the definition");
    }

    let (x, dy) = (random::<T>(batch * n, seed + 1), random::<T>(batch * m, seed + 2));
    let mut gradient = vec![0.0; numbers.len()];
    twin.pull_back(&outer(&x, &dy, n, m), &mut gradient).unwrap();
    let case = format!("r={rank} N={order}, batch {batch}, seed {seed}");
    let matrix = Matrix::new(Arc::new(structure), parameters).unwrap().into_dyn();
    check_paths(matrix, &dense, [&x, &dy], &gradient, &case);
}

fn check_likes<T: Scalar>(m: usize, n: usize, rank: usize, batch: usize, seed: u64) {
    let rank = rank.min(m.min(n));
    let fixed = angles::<T>(m / 2, seed + 7);
    check_like(CircleVandermondeLike::<T>::new(m, n, rank).unwrap(), &fixed, batch, seed);
    check_like(CircleVandermondeLike::<T>::with_order(m, n, rank, n).unwrap(), &fixed, batch, seed);
    check_like(CircleVandermondeLike::<T>::new(m, n, rank).unwrap().fix_angles(&fixed).unwrap(), &fixed, batch, seed);
}

#[test]
fn tiny_shapes_equal_the_definition() {
    for (m, n) in [(1, 1), (1, 2), (2, 1), (2, 2), (1, 5), (3, 2), (4, 7), (7, 4), (13, 13)] {
        for batch in [0, 1, 3, 5, 8, 9] {
            check_vandermonde::<f64>(m, n, batch, 1);
            check_vandermonde::<f32>(m, n, batch, 2);
            for rank in [0, 1, 2] {
                check_likes::<f64>(m, n, rank, batch, 3);
                check_likes::<f32>(m, n, rank, batch, 4);
            }
        }
    }
}

#[test]
fn large_shapes_equal_the_definition() {
    for (m, n) in [(50, 1024), (1001, 50), (40, 8192), (30, 5003)] {
        check_vandermonde::<f64>(m, n, 4, 5);
        check_vandermonde::<f32>(m, n, 7, 6);
    }
    for (m, n) in [(20, 1024), (301, 30), (9, 1031)] {
        check_like(CircleVandermondeLike::<f64>::new(m, n, 2).unwrap(), &[], 2, 7);
        check_like(CircleVandermondeLike::<f32>::new(m, n, 2).unwrap(), &[], 5, 8);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_vandermonde_matrix_equals_the_definition(m in 1usize..200, n in 1usize..400, batch in 0usize..10, seed in 0u64..1000) {
        check_vandermonde::<f64>(m, n, batch, seed);
        check_vandermonde::<f32>(m, n, batch, seed);
    }

    #[test]
    fn any_vandermonde_like_matrix_equals_its_dense_form(m in 1usize..40, n in 1usize..80, rank in 0usize..5, batch in 0usize..10, seed in 0u64..1000) {
        check_likes::<f64>(m, n, rank, batch, seed);
        check_likes::<f32>(m, n, rank, batch, seed);
    }

    #[test]
    fn every_matrix_is_vandermonde_like(m in 1usize..30, n in 1usize..30, seed in 0u64..1000) {
        let theta = angles::<f64>(m / 2, seed);
        let dense = random::<f64>(m * n, seed);
        let like = CircleVandermondeLike::from_dense(m, &theta, n, &dense).unwrap();
        assert_eq!(like.rank(), Some(m.min(n)));
        assert_close(&like.to_dense().unwrap(), &dense, 1e-13, norm(&dense), "entries");
    }

    #[test]
    fn vandermonde_is_vandermonde_like_of_rank_one(count in 1usize..30, n in 1usize..60, seed in 0u64..1000) {
        let theta = angles::<f64>(count, seed);
        let like = CircleVandermondeLike::from_angles(&theta, n).unwrap();
        assert_eq!(like.rank(), Some(1));
        let dense = powers(&theta, 2 * count, n, false);
        assert_close(&like.to_dense().unwrap(), &dense, 1e-13, norm(&dense), "entries");
    }

    #[test]
    fn displacement_ranks_are_those_promised(m in 1usize..24, n in 1usize..24, rank in 0usize..5, seed in 0u64..1000) {
        let rank = rank.min(m.min(n));
        // Distinct nodes: repeated ones have generators to spare. None is a root of ±1 of an order up to 24: at 0.3π,
        // w_10 = −w_0.
        let theta: Vec<f64> = (0..m / 2).map(|i| (i as f64 + 0.317) * PI / (m / 2) as f64).collect();
        let parameters = [&theta[..], &[1.5]].concat();
        let (plain, turned) = (CircleVandermonde::new(m, n).unwrap(), CircleVandermonde::transposed(n, m).unwrap());
        let plain = Matrix::new(Arc::new(plain), parameters.clone()).unwrap().to_dense().unwrap();
        let turned = Matrix::new(Arc::new(turned), parameters).unwrap().to_dense().unwrap();
        let rotation = || Rotation::new(m, &theta).unwrap();
        for f in [0.5, 0.0, -1.0] {
            let shift = || Shift::new(n, f).unwrap();
            let sylvester = Sylvester::new(rotation(), shift());
            // w_n = f w_0 has no reason to hold, but for a single row of ones, where it is f = 1.
            assert_eq!(sylvester.rank(&plain, sylvester.default_tolerance()).unwrap(), 1);
            let stein = Stein::new(rotation(), Transposed(shift()));
            assert_eq!(stein.rank(&plain, stein.default_tolerance()).unwrap(), 1);
            let stein = Stein::new(shift(), Transposed(rotation()));
            assert_eq!(stein.rank(&turned, stein.default_tolerance()).unwrap(), 1);
        }

        let structure = CircleVandermondeLike::<f64>::with_order(m, n, rank, n).unwrap().fix_angles(&theta).unwrap();
        let mut parameters = vec![0.0; structure.layout().len()];
        structure.initialise(Init::Variance(1.0), &mut fastrand::Rng::with_seed(seed), &mut parameters).unwrap();
        let matrix = Matrix::new(Arc::new(structure), parameters).unwrap();
        let (dense, p) = (matrix.to_dense().unwrap(), matrix.parameters());
        let stein = Stein::new(rotation(), Transposed(Shift::new(n, 0.5).unwrap()));
        assert_eq!(stein.rank(&dense, 1e-12).unwrap(), rank);
        // The displacement is the product of the generators, and leads back.
        let generators = Generators::new(m, n, rank, p[..rank * m].to_vec(), p[rank * m..].to_vec()).unwrap();
        let displacement = generators.displacement().unwrap();
        assert_close(&stein.displace(&dense).unwrap(), &displacement, 1e-13, norm(&dense), "displacement");
        assert_close(&stein.reconstruct(&generators).unwrap(), &dense, 1e-11, norm(&dense), "reconstruction");
        let found = stein.generators(&dense, Truncation::Rank(rank)).unwrap().displacement().unwrap();
        assert_close(&found, &displacement, 1e-12, norm(&dense), "found generators");
    }
}

#[test]
fn read_in_pairs_the_product_is_the_complex_one() {
    let theta = [0.4, -2.0, 3.0];
    let matrix = CircleVandermonde::from_angles(&theta, 5).unwrap();
    let x = [1.0, -2.0, 0.5, 0.0, 3.0];
    for (pair, theta) in matrix.apply(&x).unwrap().chunks(2).zip(theta) {
        let (mut re, mut im) = (0.0, 0.0);
        for (k, x) in x.iter().enumerate() {
            re += x * (k as f64 * theta).cos();
            im += x * (k as f64 * theta).sin();
        }
        assert!((pair[0] - re).abs() < 1e-11 && (pair[1] - im).abs() < 1e-11);
    }
}

#[test]
fn rotations_are_orthogonal_matrices_with_their_nodes_as_eigenvalues() {
    let theta = [0.3, -2.0];
    for order in [4, 5] {
        let rotation = Rotation::new(order, &theta).unwrap();
        let x = random::<f64>(order, 1);
        let (mut turned, mut back) = (vec![0.0; order], vec![0.0; order]);
        rotation.apply(&x, &mut turned).unwrap();
        rotation.apply_transposed(&turned, &mut back).unwrap();
        assert_close(&back, &x, 1e-15, norm(&x), "there and back");
        let eigenvalues = rotation.eigenvalues().unwrap().unwrap();
        assert_eq!(eigenvalues.len(), order);
        assert!(eigenvalues.iter().all(|v| (v.norm() - 1.0).abs() < 1e-15));
        assert!((eigenvalues[0].arg() - 0.3).abs() < 1e-15 && (eigenvalues[3].arg() - 2.0).abs() < 1e-15);
    }
    assert!(matches!(Rotation::<f64>::new(0, &[]), Err(Error::EmptyShape { .. })));
    assert!(matches!(Rotation::new(4, &[0.5]), Err(Error::Length { expected: 2, actual: 1, .. })));
    assert!(matches!(Rotation::new(2, &[f64::NAN]), Err(Error::NotFinite { what: "theta", index: 0, .. })));
    let rotation = Rotation::new(2, &[0.5]).unwrap();
    assert!(matches!(rotation.apply(&[1.0], &mut [0.0; 2]), Err(Error::Length { what: "x", .. })));
}

#[test]
fn another_rank_keeps_angles_and_order() {
    for (m, n) in [(7, 9), (8, 5)] {
        let free = CircleVandermondeLike::<f64>::new(m, n, 2).unwrap();
        let fixed = CircleVandermondeLike::<f64>::new(m, n, 2).unwrap().fix_angles(&angles(m / 2, 3)).unwrap();
        for structure in [free, fixed] {
            let other = structure.at_rank(3).unwrap().unwrap();
            assert_eq!((other.rank(), other.rows(), other.cols()), (Some(3), m, n));
            let angles_there = other.layout().len() - 3 * (m + n);
            assert_eq!(angles_there, structure.layout().len() - 2 * (m + n));
            assert!(structure.at_rank(10).unwrap().is_err());
        }
    }
}

#[test]
fn gradients_are_the_limits_of_differences() {
    let theta = [0.9, -0.7, 3.0, 0.0, PI];
    check_differences(CircleVandermonde::from_angles(&theta, 40).unwrap().into_dyn(), 1e-5, 1e-6);
    check_differences(CircleVandermonde::transposed_from_angles(&theta, 40).unwrap().into_dyn(), 1e-5, 1e-6);
    let (g, h) = (random::<f64>(2 * 11, 5), random::<f64>(2 * 37, 6));
    check_differences(
        CircleVandermondeLike::from_generators(11, &theta, 37, 2, &g, &h).unwrap().into_dyn(),
        1e-5,
        1e-6,
    );
}

#[test]
fn initial_entries_have_the_variance_asked_for() {
    for (m, n) in [(1, 9), (2, 3), (7, 5), (40, 100)] {
        for family in [Family::CircleVandermonde, Family::TransposedCircleVandermonde] {
            for init in [Init::Glorot, Init::He, Init::Variance(3.0)] {
                let dense = Builder::new(family, m, n).init(init).build::<f64>().unwrap().to_dense().unwrap();
                let mean_square = norm(&dense).powi(2) / (m * n) as f64;
                assert!((mean_square / init.variance(m, n) - 1.0).abs() < 1e-12, "{family} {m}×{n}");
            }
        }
    }
    for (m, n, rank) in [(65, 64, 1), (32, 200, 4), (101, 30, 3)] {
        check_rows_variances(Family::CircleVandermondeLike, m, n, rank);
    }
}

#[test]
fn an_initial_matrix_is_nearly_orthogonal() {
    for n in [16, 17, 64] {
        let dense = Builder::new(Family::CircleVandermonde, n, n).init(Init::Variance(1.0 / n as f64)).build::<f64>();
        // M − 0 M 0 is M, and has its singular values.
        let zero = || Diagonal::new(vec![0.0; n]).unwrap();
        let values = Stein::new(zero(), zero()).singular_values(&dense.unwrap().to_dense().unwrap()).unwrap();
        assert!(values[0] / values[n - 1] < 4.0, "{n}: {}", values[0] / values[n - 1]);
    }
}

#[test]
fn rows_of_a_batch_are_what_they_are_alone() {
    for family in [Family::CircleVandermonde, Family::TransposedCircleVandermonde, Family::CircleVandermondeLike] {
        let mut builder = Builder::new(family, 71, 300).path(PathChoice::Fast);
        if family.has_rank() {
            builder = builder.rank(2);
        }
        let matrix = builder.build::<f32>().unwrap();
        let x = random::<f32>(13 * 300, 3);
        let y = matrix.apply(&x).unwrap();
        for (x, y) in x.chunks(300).zip(y.chunks(71)) {
            // A row alone is transformed by another kernel: 50 ε log2(N).
            assert_close(&matrix.apply(x).unwrap(), &wide(y), bar::<f32>(71, 300), norm(&wide(y)), "a row alone");
        }
    }
}

#[test]
fn an_input_that_is_not_finite_spoils_its_own_row_only() {
    for family in [Family::CircleVandermonde, Family::TransposedCircleVandermonde, Family::CircleVandermondeLike] {
        let mut builder = Builder::new(family, 5, 4).path(PathChoice::Fast);
        if family.has_rank() {
            builder = builder.rank(2);
        }
        let matrix = builder.build::<f32>().unwrap();
        for batch in [3, 9] {
            let mut x = vec![1.0; batch * 4];
            x[5] = f32::NAN;
            let y = matrix.apply(&x).unwrap();
            assert!(y[..5].iter().chain(&y[10..]).all(|y| y.is_finite()), "{family}");
            assert!(y[5..10].iter().any(|y| y.is_nan()), "{family}");
            assert!(matrix.apply(&[1.0; 8]).unwrap().iter().all(|y| y.is_finite()), "{family}");
        }
    }
}

#[test]
fn small_matrices_take_the_dense_path_and_large_ones_the_fast_one() {
    use displace::Path;
    for family in [Family::CircleVandermonde, Family::TransposedCircleVandermonde, Family::CircleVandermondeLike] {
        let build = |n: usize| {
            let builder = Builder::new(family, n, n);
            if family.has_rank() { builder.rank(1) } else { builder }.build::<f32>().unwrap()
        };
        assert_eq!((build(16).path(1), build(16).path(64)), (Path::Dense, Path::Dense), "{family}");
        assert_eq!((build(2048).path(1), build(2048).path(64)), (Path::Fast, Path::Fast), "{family}");
    }
}

#[test]
fn bad_angles_are_named_and_change_nothing() {
    let error = CircleVandermonde::from_angles(&[0.5, f64::INFINITY], 3).unwrap_err();
    assert_eq!(error, Error::NotFinite { what: "theta", index: 1, value: f64::INFINITY });
    assert!(matches!(CircleVandermonde::<f64>::from_angles(&[], 3), Err(Error::EmptyShape { .. })));
    assert!(matches!(CircleVandermonde::<f64>::new(3, 0), Err(Error::EmptyShape { .. })));
    let mut matrix = CircleVandermonde::from_angles(&[0.5, 1.0], 3).unwrap();
    let (before, y) = (matrix.to_dense().unwrap(), matrix.apply(&[1.0, 2.0, 3.0]).unwrap());
    assert!(matches!(matrix.update(|p| p[1] = f64::NAN), Err(Error::NotFinite { what: "theta", index: 1, .. })));
    assert!(matches!(matrix.update(|p| p[2] = f64::NAN), Err(Error::NotFinite { what: "scale", index: 0, .. })));
    assert_eq!((matrix.to_dense().unwrap(), matrix.apply(&[1.0, 2.0, 3.0]).unwrap()), (before, y));
    let mut like = CircleVandermondeLike::from_angles(&[0.5, 1.0], 3).unwrap();
    let before = like.to_dense().unwrap();
    let at = like.parameters().len() - 1;
    assert!(matches!(like.update(|p| p[at] = f64::NAN), Err(Error::NotFinite { what: "theta", index: 1, .. })));
    assert_eq!(like.to_dense().unwrap(), before);
    let structure = || CircleVandermondeLike::<f64>::new(4, 3, 1).unwrap();
    assert!(matches!(structure().fix_angles(&[0.5]), Err(Error::Length { expected: 2, actual: 1, .. })));
    assert!(matches!(structure().fix_angles(&[0.5, f64::NAN]), Err(Error::NotFinite { index: 1, .. })));
    assert!(matches!(CircleVandermondeLike::<f64>::with_order(2, 3, 1, 2), Err(Error::OutOfRange { .. })));
    assert!(matches!(CircleVandermondeLike::<f64>::new(2, 3, 3), Err(Error::RankTooLarge { .. })));
    assert!(matches!(CircleVandermondeLike::from_dense(2, &[0.5], 2, &[1.0]), Err(Error::Length { .. })));
}

/// Reduced to a turn, such angles are off by the rounding of the number of turns, which may lead beyond half a turn.
fn check_huge_angles<T: Scalar>(n: usize) {
    let mut rng = fastrand::Rng::with_seed(31);
    let theta: Vec<T> = (0..n / 2).map(|_| T::of(1e15 * rng.f64())).collect();
    let parameters = [&theta[..], &[T::one()]].concat();
    let mut matrix = Matrix::new(Arc::new(CircleVandermonde::<T>::new(n, n).unwrap()), parameters).unwrap();
    let dense: Vec<f64> = matrix.to_dense().unwrap().iter().map(|m| m.wide()).collect();
    let x = random::<T>(3 * n, 32);
    matrix.set_path(PathChoice::Fast);
    let expected = product(&dense, &x, n);
    let tolerance = if size_of::<T>() == 4 { 2e-5 } else { 1e-11 };
    assert_close(&matrix.apply(&x).unwrap(), &expected, tolerance, norm(&expected), T::NAME);
    let back = product(&transpose(&dense, n), &x, n);
    assert_close(&matrix.apply_transposed(&x).unwrap(), &back, tolerance, norm(&back), T::NAME);
}

#[test]
fn angles_of_any_size_are_served() {
    for n in [64, 256, 1000] {
        check_huge_angles::<f32>(n);
        check_huge_angles::<f64>(n);
    }
}
