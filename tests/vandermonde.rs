//! Vandermonde and Vandermonde-like matrices against their definitions in f64.
//!
//! Products with V are measured in norm relative to those of the absolute values, `‖ |V| |x| ‖`, which is what cancellation
//! leaves to be had; products with Vandermonde-like matrices relative to `‖M‖ ‖x‖` in the Frobenius norm. The tolerances are
//! the bars, 10⁻¹¹ in f64 and 2·10⁻⁵ in f32.

#[path = "common/families.rs"]
#[allow(dead_code, reason = "these tests need only a few of the helpers")]
mod common;
#[path = "common/vandermonde.rs"]
#[allow(dead_code, reason = "these tests need only some of the helpers")]
mod shared;

use std::sync::Arc;

use common::*;
use displace::ldr::VandermondeLike;
use displace::structured::Vandermonde;
use displace::{Builder, Error, Family, Init, Matrix, PathChoice, Scalar, Structure, Workspace};
use proptest::prelude::*;
use shared::*;

fn absolute<T: Scalar>(values: &[T]) -> Vec<f64> {
    values.iter().map(|v| v.wide().abs()).collect()
}

/// Nodes of all kinds: anywhere, near and at ±1, at 0, tiny, clustered, repeated.
fn nodes<T: Scalar>(count: usize, cols: usize, seed: u64) -> Vec<T> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut node = |_| {
        let magnitude = match rng.usize(..7) {
            0 => rng.f64(),
            1 => 1.0 - rng.f64() / cols as f64,
            2 => [0.0, 1.0, 0.5][rng.usize(..3)],
            3 => 1e-20 * rng.f64(),
            4 => 0.9 + 1e-9 * rng.f64(),
            5 => 0.97,
            _ => (-(cols as f64).powf(-rng.f64())).exp(),
        };
        T::of(if rng.bool() { magnitude } else { -magnitude })
    };
    (0..count).map(&mut node).collect()
}

/// `v_i^k`, or `k v_i^{k−1}`.
fn powers<T: Scalar>(v: &[T], cols: usize, derivative: bool) -> Vec<f64> {
    let entry = |v: f64, k: usize| match (derivative, k) {
        (false, _) => v.powf(k as f64),
        (true, 0) => 0.0,
        (true, _) => k as f64 * v.powf((k - 1) as f64),
    };
    v.iter().flat_map(|v| (0..cols).map(move |k| entry(v.wide(), k))).collect()
}

/// The sums over a batch that are the gradient in the nodes.
fn node_gradient(slopes: &[f64], x: &[f64], dy: &[f64], cols: usize, rows: usize) -> Vec<f64> {
    let mut sums = vec![0.0; rows];
    for (values, dy) in product(slopes, x, cols).chunks(rows).zip(dy.chunks(rows)) {
        sums.iter_mut().zip(values).zip(dy).for_each(|((sum, v), d)| *sum += v * d);
    }
    sums
}

fn check_vandermonde<T: Scalar>(m: usize, n: usize, batch: usize, seed: u64) {
    let v = nodes::<T>(m, n, seed);
    let (dense, slopes) = (powers(&v, n, false), powers(&v, n, true));
    let (sizes, slope_sizes) = (absolute(&dense), absolute(&slopes));
    let (x, dy) = (random::<T>(batch * n, seed + 1), random::<T>(batch * m, seed + 2));
    let (y, dx) = (product(&dense, &x, n), product(&transpose(&dense, n), &dy, m));
    let y_size = norm(&product(&sizes, &absolute(&x), n));
    let dx_size = norm(&product(&transpose(&sizes, n), &absolute(&dy), m));
    let dv = node_gradient(&slopes, &wide(&x), &wide(&dy), n, m);
    let dv_size = norm(&node_gradient(&slope_sizes, &absolute(&x), &absolute(&dy), n, m));
    let mut workspace = Workspace::new();
    let mut plain = Vandermonde::from_nodes(&v, n).unwrap();
    let mut turned = Vandermonde::transposed_from_nodes(&v, n).unwrap();
    for path in [PathChoice::Fast, PathChoice::Dense] {
        plain.set_path(path);
        turned.set_path(path);
        let what = |op: &str| format!("{op}, {} {m}×{n}, batch {batch}, seed {seed}, {path:?}", T::NAME);
        assert_close(&plain.to_dense().unwrap(), &dense, limit::<T>(), norm(&dense), &what("entries"));
        assert_close(&turned.to_dense().unwrap(), &transpose(&dense, n), limit::<T>(), norm(&dense), &what("entries"));
        assert_close(&plain.apply(&x).unwrap(), &y, limit::<T>(), y_size, &what("product"));
        assert_close(&turned.apply_transposed(&x).unwrap(), &y, limit::<T>(), y_size, &what("product, turned"));
        assert_close(&plain.apply_transposed(&dy).unwrap(), &dx, limit::<T>(), dx_size, &what("transposed"));
        assert_close(&turned.apply(&dy).unwrap(), &dx, limit::<T>(), dx_size, &what("transposed, turned"));
        let (mut got, mut got_dx) = (vec![T::zero(); m], vec![T::one(); batch * n]);
        plain.backward(&x, &dy, Some(&mut got_dx), &mut got, &mut workspace).unwrap();
        assert_close(&got, &dv, limit::<T>(), dv_size, &what("gradient in the nodes"));
        assert_close(&got_dx, &dx, limit::<T>(), dx_size, &what("gradient in x"));
        let mut added = vec![T::one(); m];
        turned.backward(&dy, &x, None, &mut added, &mut workspace).unwrap();
        let expected: Vec<f64> = dv.iter().map(|dv| dv + 1.0).collect();
        assert_close(&added, &expected, limit::<T>(), dv_size.max(norm(&expected)), &what("gradient that is added"));
    }
}

/// The definition: the sum over t of `D^t G Hᵀ (Z_fᵀ)^t`, N terms and the rest by the divisor; H continued by zeros.
fn definition(v: &[f64], g: &[f64], h: &[f64], rank: usize, n: usize, order: usize) -> Vec<f64> {
    let m = v.len();
    let mut dense = vec![0.0; m * n];
    for j in 0..rank {
        let mut shifted = h[j * n..][..n].to_vec();
        shifted.resize(order, 0.0);
        for t in 0..order {
            for i in 0..m {
                let weight = g[j * m + i] * v[i].powf(t as f64) / (1.0 - 0.5 * v[i].powf(order as f64));
                for k in 0..n {
                    dense[i * n + k] += weight * shifted[k];
                }
            }
            shifted.rotate_right(1);
            shifted[0] *= 0.5;
        }
    }
    dense
}

fn check_like<T: Scalar>(structure: VandermondeLike<T>, fixed: &[T], batch: usize, seed: u64) {
    let (m, n, rank) = (structure.rows(), structure.cols(), structure.rank().unwrap());
    let order = structure.order();
    let mut parameters = vec![T::zero(); structure.layout().len()];
    structure.initialise(Init::Variance(1.0), &mut fastrand::Rng::with_seed(seed), &mut parameters).unwrap();
    let trained = structure.layout().tensor("v").is_some();
    if trained {
        let at = parameters.len() - m;
        parameters[at..].copy_from_slice(&nodes(m, n, seed));
    }
    let v = if trained { &parameters[rank * (m + n)..] } else { fixed };
    let numbers = wide(&parameters);
    let (g, h) = numbers[..rank * (m + n)].split_at(rank * m);
    let dense = definition(&wide(v), g, h, rank, n, order);

    let mut twin = VandermondeLike::<f64>::with_order(m, n, rank, order).unwrap();
    if !trained {
        twin = twin.fix_nodes(&wide(fixed)).unwrap();
    }
    let (x, dy) = (random::<T>(batch * n, seed + 1), random::<T>(batch * m, seed + 2));
    let mut gradient = vec![0.0; numbers.len()];
    let twin = Matrix::new(Arc::new(twin), numbers).unwrap();
    twin.pull_back(&outer(&x, &dy, n, m), &mut gradient).unwrap();

    let case = format!("r={rank} N={order}, batch {batch}, seed {seed}");
    let matrix = Matrix::new(Arc::new(structure), parameters).unwrap().into_dyn();
    check_paths(matrix, &dense, [&x, &dy], &gradient, &case);
}

fn check_likes<T: Scalar>(m: usize, n: usize, rank: usize, batch: usize, seed: u64) {
    let rank = rank.min(m.min(n));
    let fixed = nodes::<T>(m, n, seed + 7);
    check_like(VandermondeLike::<T>::new(m, n, rank).unwrap(), &fixed, batch, seed);
    check_like(VandermondeLike::<T>::with_order(m, n, rank, n).unwrap(), &fixed, batch, seed);
    check_like(VandermondeLike::<T>::new(m, n, rank).unwrap().fix_nodes(&fixed).unwrap(), &fixed, batch, seed);
}

#[test]
fn tiny_shapes_equal_the_definition() {
    for (m, n) in [(1, 1), (1, 2), (2, 1), (2, 2), (1, 5), (3, 2), (4, 7), (7, 4), (8, 8), (13, 13)] {
        for batch in [0, 1, 3, 4, 5, 8, 9, 65] {
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
    for (m, n) in [(50, 1024), (1000, 50), (40, 8192), (30, 5003)] {
        check_vandermonde::<f64>(m, n, 2, 5);
        check_vandermonde::<f32>(m, n, 5, 6);
    }
    for (m, n) in [(20, 1024), (300, 30), (9, 1031)] {
        check_like(VandermondeLike::<f64>::new(m, n, 2).unwrap(), &[], 2, 7);
        check_like(VandermondeLike::<f32>::new(m, n, 2).unwrap(), &[], 5, 8);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_vandermonde_matrix_equals_the_definition(m in 1usize..200, n in 1usize..400, batch in 0usize..10, seed in 0u64..1000) {
        check_vandermonde::<f64>(m, n, batch, seed);
        check_vandermonde::<f32>(m, n, batch, seed);
    }

    #[test]
    fn any_vandermonde_like_matrix_equals_the_definition(m in 1usize..40, n in 1usize..80, rank in 0usize..5, batch in 0usize..10, seed in 0u64..1000) {
        check_likes::<f64>(m, n, rank, batch, seed);
        check_likes::<f32>(m, n, rank, batch, seed);
    }

    #[test]
    fn every_matrix_is_vandermonde_like(m in 1usize..30, n in 1usize..30, seed in 0u64..1000) {
        let v = nodes::<f64>(m, n, seed);
        let dense = random::<f64>(m * n, seed);
        let like = VandermondeLike::from_dense(&v, n, &dense).unwrap();
        assert_eq!(like.rank(), Some(m.min(n)));
        assert_close(&like.to_dense().unwrap(), &dense, 1e-13, norm(&dense), "entries");
    }

    #[test]
    fn vandermonde_is_vandermonde_like_of_rank_one(m in 1usize..60, n in 1usize..60, seed in 0u64..1000) {
        let v = nodes::<f64>(m, n, seed);
        let like = VandermondeLike::from_nodes(&v, n).unwrap();
        assert_eq!(like.rank(), Some(1));
        let dense = powers(&v, n, false);
        assert_close(&like.to_dense().unwrap(), &dense, 1e-14, norm(&dense), "entries");
    }

    #[test]
    fn the_displacement_is_the_product_of_the_generators(m in 1usize..20, n in 1usize..20, rank in 0usize..4, seed in 0u64..1000) {
        let rank = rank.min(m.min(n));
        let structure = VandermondeLike::<f64>::with_order(m, n, rank, n).unwrap();
        let mut parameters = vec![0.0; structure.layout().len()];
        structure.initialise(Init::Variance(1.0), &mut fastrand::Rng::with_seed(seed), &mut parameters).unwrap();
        let matrix = Matrix::new(Arc::new(structure), parameters).unwrap();
        let (dense, p) = (matrix.to_dense().unwrap(), matrix.parameters());
        let (g, h, v) = (&p[..rank * m], &p[rank * m..rank * (m + n)], &p[rank * (m + n)..]);
        for i in 0..m {
            for k in 0..n {
                let before = if k == 0 { 0.5 * dense[i * n + n - 1] } else { dense[i * n + k - 1] };
                let displaced = dense[i * n + k] - v[i] * before;
                let expected: f64 = (0..rank).map(|j| g[j * m + i] * h[j * n + k]).sum();
                assert!((displaced - expected).abs() <= 1e-13 * norm(&dense) + f64::MIN_POSITIVE);
            }
        }
    }
}

#[test]
fn gradients_are_the_limits_of_differences() {
    let v = [0.9, -0.7, 0.3, -0.05, 0.0, 0.99, -0.96, 0.6];
    check_differences(Vandermonde::from_nodes(&v, 40).unwrap().into_dyn(), 1e-6, 1e-7);
    check_differences(Vandermonde::transposed_from_nodes(&v, 40).unwrap().into_dyn(), 1e-6, 1e-7);
    let (g, h) = (random::<f64>(2 * 8, 5), random::<f64>(2 * 37, 6));
    check_differences(VandermondeLike::from_generators(&v, 37, 2, &g, &h).unwrap().into_dyn(), 1e-6, 1e-7);
}

#[test]
fn initial_rows_have_the_variance_asked_for() {
    for (m, n, rank) in [(64, 64, 1), (32, 200, 4), (100, 30, 3)] {
        check_rows_variances(Family::VandermondeLike, m, n, rank);
    }
}

#[test]
fn initial_nodes_see_every_octave() {
    let matrix = Builder::new(Family::Vandermonde, 100, 1024).build::<f64>().unwrap();
    let v = matrix.parameters();
    let nodes_between = |low: f64, high: f64| v.iter().filter(|v| (low..high).contains(&-v.abs().ln())).count();
    for octave in 0..10 {
        let high = 0.5f64.powi(octave);
        assert!((9..=11).contains(&nodes_between(high / 2.0, high)));
    }
    assert!(v.iter().filter(|v| **v < 0.0).count() == 50);
}

#[test]
fn rows_of_a_batch_are_what_they_are_alone() {
    for family in [Family::Vandermonde, Family::TransposedVandermonde, Family::VandermondeLike] {
        let mut builder = Builder::new(family, 70, 300).path(PathChoice::Fast);
        if family.has_rank() {
            builder = builder.rank(2);
        }
        let matrix = builder.build::<f32>().unwrap();
        let x = random::<f32>(13 * 300, 3);
        let y = matrix.apply(&x).unwrap();
        for (x, y) in x.chunks(300).zip(y.chunks(70)) {
            let alone = matrix.apply(x).unwrap();
            if family.has_rank() {
                // A row alone is transformed by another kernel: 50 ε log2(N).
                assert_close(&alone, &wide(y), bar::<f32>(70, 300), norm(&wide(y)), "a row alone");
            } else {
                assert_eq!(alone, y);
            }
        }
    }
}

#[test]
fn bad_nodes_are_named_and_change_nothing() {
    let error = Vandermonde::from_nodes(&[0.5, -1.25], 3).unwrap_err();
    assert_eq!(error, Error::ElementOutOfRange { what: "v", index: 1, value: -1.25, range: "[−1, 1]" });
    assert_eq!(error.to_string(), "v[1] is -1.25, which is not in [−1, 1]");
    let error = Vandermonde::from_nodes(&[f32::INFINITY], 3).unwrap_err();
    assert!(matches!(error, Error::NotFinite { what: "v", index: 0, .. }));
    let mut like = VandermondeLike::from_nodes(&[0.5, 1.0], 3).unwrap();
    let before = like.to_dense().unwrap();
    let step = like.update(|p| p[6] += 0.5);
    assert!(matches!(step, Err(Error::ElementOutOfRange { what: "v", index: 1, .. })));
    assert_eq!(like.to_dense().unwrap(), before);
    like.update(|p| {
        p[6] += 0.5;
        Vandermonde::clamp(&mut p[5..]);
    })
    .unwrap();
    assert_eq!(like.parameters()[5..], [0.5, 1.0]);
    let structure = VandermondeLike::<f64>::new(2, 3, 1).unwrap();
    assert!(matches!(structure.fix_nodes(&[0.5]), Err(Error::Length { expected: 2, actual: 1, .. })));
    assert!(matches!(VandermondeLike::<f64>::with_order(2, 3, 1, 2), Err(Error::OutOfRange { .. })));
    assert!(matches!(VandermondeLike::<f64>::new(2, 3, 3), Err(Error::RankTooLarge { .. })));
    assert!(matches!(Vandermonde::<f64>::new(0, 3), Err(Error::EmptyShape { .. })));
}
