//! Each figure of the analysis against pairs of matrices that were built to have it.

#[path = "common/families.rs"]
#[allow(dead_code, reason = "these tests need only a few of the helpers")]
mod common;

use common::{distance, norm, random};
use displace::analysis::{
    DisplacementSpectrum, Drift, FixedPair, Kind, LayerMask, Mask, Restoration, Rounding, Sparsity, Spectrum, Split,
    UpdateRank, Values, Verdict, displacement_spectra, principal_angles, singular_values, to_bf16,
};
use displace::{Builder, Error, Family, Scalar};
use proptest::prelude::*;

const EPSILON: f64 = f64::EPSILON;

fn narrow<T: Scalar>(entries: &[f64]) -> Vec<T> {
    entries.iter().map(|&e| T::of(e)).collect()
}

/// Orthonormal rows, p×len with p = min(count, len).
fn orthonormal(count: usize, len: usize, seed: u64) -> Vec<f64> {
    Spectrum::new(&random::<f64>(count * len, seed), count, len).unwrap().right().to_vec()
}

/// `Σ_i values_i u_i v_iᵀ` of vectors in rows.
fn compose(u: &[f64], values: &[f64], v: &[f64], rows: usize, cols: usize) -> Vec<f64> {
    let mut matrix = vec![0.0; rows * cols];
    for ((u, v), value) in u.chunks(rows).zip(v.chunks(cols)).zip(values) {
        for (i, u) in u.iter().enumerate() {
            matrix[i * cols..][..cols].iter_mut().zip(v).for_each(|(m, v)| *m += value * u * v);
        }
    }
    matrix
}

/// Turns row a towards row b by an angle.
fn rotate(block: &mut [f64], len: usize, a: usize, b: usize, angle: f64) {
    for at in 0..len {
        let (x, y) = (block[a * len + at], block[b * len + at]);
        block[a * len + at] = angle.cos() * x + angle.sin() * y;
        block[b * len + at] = angle.cos() * y - angle.sin() * x;
    }
}

// Sparsity.

/// Parameters near 1, of which every seventh moves by 1/4, every eleventh by 2e-6 and the others not at all.
fn planted_update<T: Scalar>(len: usize) -> (Vec<T>, Vec<T>) {
    let base: Vec<T> = random::<T>(len, 1).into_iter().map(|x| T::of(1.5) + x * T::of(0.25)).collect();
    let step = |k: usize| {
        if k.is_multiple_of(7) {
            0.25
        } else if k.is_multiple_of(11) {
            2e-6
        } else {
            0.0
        }
    };
    let tuned = base.iter().enumerate().map(|(k, &b)| b + T::of(step(k))).collect();
    (base, tuned)
}

fn sparsity_counts_what_was_planted<T: Scalar>() {
    let len = 7 * 11 * 13;
    let (base, tuned) = planted_update::<T>(len);
    let mut whole = Sparsity::new(1e-5).unwrap();
    whole.push(&base, &tuned).unwrap();
    let (large, small) = (len as u64 / 7, len as u64 / 11 - len as u64 / 77);
    assert_eq!(whole.unrounded().within, len as u64 - large);
    assert_eq!(whole.unrounded().equal, len as u64 - large - small);
    assert_eq!(whole.unrounded().unchanged(), 6.0 / 7.0);
    // A step of 2e-6 is far below the spacing of bf16, and carries few numbers to their neighbours.
    let carried = base.iter().zip(&tuned).filter(|(b, t)| to_bf16(**b) != to_bf16(**t)).count() as u64;
    assert_eq!(whole.rounded().equal, len as u64 - carried);
    assert!(carried >= large && carried < large + 3, "{carried} of {large}");
    assert_eq!(whole.rounded().within, whole.rounded().equal, "numbers of bf16 near 1 differ by 1/128 at least");
    assert!((whole.largest() - 0.25).abs() < 1e-6);
    assert!((whole.update_norm() - (large as f64).sqrt() / 4.0).abs() < 1e-4);
    assert!((whole.base_norm() - norm(&base.iter().map(|b| b.wide()).collect::<Vec<_>>())).abs() < 1e-10);
    // Zero, 2^-19 ≤ 2e-6 < 2^-18 (up to rounding in f32) and 1/4.
    let histogram = whole.histogram();
    assert_eq!(histogram.zeros(), len as u64 - large - small);
    assert_eq!(histogram.bins().map(|(_, count)| count).sum::<u64>(), large + small);
    assert_eq!(histogram.bins().filter(|(low, _)| *low >= 0.125).map(|(_, count)| count).sum::<u64>(), large);

    let mut pieces = Sparsity::new(1e-5).unwrap();
    let mut other = pieces.clone();
    pieces.push(&base[..100], &tuned[..100]).unwrap();
    other.push(&base[100..], &tuned[100..]).unwrap();
    pieces.merge(&other);
    assert_eq!((pieces.rounded(), pieces.unrounded()), (whole.rounded(), whole.unrounded()));
    assert_eq!(pieces.histogram(), whole.histogram());
}

#[test]
fn update_sparsity_is_what_was_planted_whole_or_in_pieces() {
    sparsity_counts_what_was_planted::<f32>();
    sparsity_counts_what_was_planted::<f64>();
}

#[test]
fn sparsity_refuses_what_cannot_be_counted_and_counts_nothing_of_it() {
    let mut sparsity = Sparsity::new(0.0).unwrap();
    let empty = sparsity.clone();
    assert_eq!(empty.rounded().unchanged(), 1.0);
    assert!(matches!(sparsity.push(&[1.0], &[1.0, 2.0]), Err(Error::Length { expected: 1, actual: 2, .. })));
    assert!(matches!(sparsity.push(&[1.0, 2.0], &[1.0, f64::NAN]), Err(Error::NotFinite { index: 1, .. })));
    assert_eq!(sparsity, empty);
    for tolerance in [-1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(Sparsity::new(tolerance), Err(Error::OutOfRange { .. })));
        assert!(matches!(Mask::of_update(&[1.0], &[1.0], tolerance, Rounding::None), Err(Error::OutOfRange { .. })));
    }
    // Both sides beyond the range of bf16: no difference, and not a number that is not one.
    sparsity.push(&[f64::MAX], &[f64::MAX / 2.0]).unwrap();
    assert_eq!((sparsity.rounded().equal, sparsity.unrounded().equal), (1, 0));
}

// Masks.

#[test]
fn masks_overlap_as_sets_do_and_know_the_random_baseline() {
    for len in [0, 1, 63, 64, 65, 1000] {
        let a = Mask::from_fn(len, |k| k % 2 == 0);
        let b = Mask::from_fn(len, |k| k % 3 == 0);
        let overlap = a.overlap(&b).unwrap();
        let both = (0..len).filter(|k| k % 6 == 0).count();
        assert_eq!((overlap.both, overlap.first, overlap.second), (both, len.div_ceil(2), len.div_ceil(3)));
        assert_eq!((overlap.first, overlap.second), (a.count(), b.count()));
        let reverse = b.overlap(&a).unwrap();
        assert_eq!(
            (reverse.both, reverse.of_first(), reverse.of_second()),
            (both, overlap.of_second(), overlap.of_first())
        );
        assert_eq!((overlap.baseline_of_first(), overlap.baseline_of_second()), (b.density(), a.density()));
        assert_eq!(a.overlap(&a).unwrap().of_first(), (len > 0).then_some(1.0));
    }
    let (short, long) = (Mask::from_fn(3, |_| true), Mask::from_fn(4, |_| true));
    assert!(matches!(short.overlap(&long), Err(Error::Length { expected: 3, actual: 4, .. })));
}

#[test]
fn the_mask_of_an_update_holds_the_parameters_that_moved() {
    let (base, tuned) = planted_update::<f32>(1001);
    let all = Mask::of_update(&base, &tuned, 0.0, Rounding::None).unwrap();
    assert!((0..1001).all(|k| all.contains(k) == (k % 7 == 0 || k % 11 == 0)) && !all.contains(1001));
    let large = Mask::of_update(&base, &tuned, 1e-5, Rounding::None).unwrap();
    assert!((0..1001).all(|k| large.contains(k) == (k % 7 == 0)));
    let mut pieces = Mask::default();
    for at in (0..1001).step_by(91) {
        pieces.extend_of_update(&base[at..at + 91], &tuned[at..at + 91], 1e-5, Rounding::None).unwrap();
    }
    assert_eq!(pieces, large);
}

/// An optimiser that moves parameters without a gradient: momentum from before, and weight decay.
fn step<T: Scalar>(parameters: &mut [T], gradient: &[T], velocity: &mut [T]) {
    for ((p, g), v) in parameters.iter_mut().zip(gradient).zip(velocity) {
        *v = T::of(0.9) * *v - T::of(0.01) * *g;
        *p = *p * T::of(0.999) + *v;
    }
}

fn bits<T: Scalar>(values: &[T]) -> Vec<u64> {
    values.iter().map(|v| v.wide().to_bits()).collect()
}

fn only_the_subnetwork_moves<T: Scalar>(family: Family, rank: Option<usize>) {
    let mut builder = Builder::new(family, 6, 9).seed(3);
    if let Some(rank) = rank {
        builder = builder.rank(rank);
    }
    let mut layer = builder.build_layer::<T>().unwrap();
    // A negative zero stays one, although adding nothing to it would make it positive.
    layer.update(|weight, bias| (weight[0], bias[1]) = (T::of(-0.0), T::of(-0.0))).unwrap();
    let count = layer.weight().parameters().len();
    let mask = LayerMask { weight: Mask::from_fn(count, |k| k % 4 == 3), bias: Mask::from_fn(6, |k| k == 2) };
    let before = layer.clone();
    let x = random::<T>(5 * 9, 4);
    let mut velocities = (random::<T>(count, 5), random::<T>(6, 6));
    for _ in 0..20 {
        let y = layer.forward(&x).unwrap();
        let mut gradient = layer.zero_gradient();
        layer.backward_into(&x, &y, None, &mut gradient, &mut displace::Workspace::new()).unwrap();
        mask.apply(&mut gradient).unwrap();
        assert!((0..count).all(|k| mask.weight.contains(k) || gradient.weight[k] == T::zero()));
        mask.update(&mut layer, |weight, bias| {
            step(weight, &gradient.weight, &mut velocities.0);
            step(bias, &gradient.bias, &mut velocities.1);
        })
        .unwrap();
    }
    let (old, new) = (bits(before.weight().parameters()), bits(layer.weight().parameters()));
    assert!((0..count).all(|k| (old[k] == new[k]) != mask.weight.contains(k)), "{family:?} {}", T::NAME);
    let (old, new) = (bits(before.bias()), bits(layer.bias()));
    assert!((0..6).all(|k| (old[k] == new[k]) != mask.bias.contains(k)), "{family:?} {}", T::NAME);
    // Products are those of the new parameters.
    let rebuilt =
        displace::Matrix::new(layer.weight().structure().clone(), layer.weight().parameters().to_vec()).unwrap();
    assert_eq!(rebuilt.apply(&x).unwrap(), layer.weight().apply(&x).unwrap());
    let found = LayerMask::of_update(&before, &layer, 0.0, Rounding::None).unwrap();
    assert_eq!(found, mask);
}

#[test]
fn masked_training_leaves_every_bit_outside_the_mask_dense_or_structured() {
    for (family, rank) in [
        (Family::Dense, None),
        (Family::LowRank, Some(2)),
        (Family::ToeplitzLike, Some(3)),
        (Family::HankelLike, Some(1)),
        (Family::Toeplitz, None),
    ] {
        only_the_subnetwork_moves::<f32>(family, rank);
        only_the_subnetwork_moves::<f64>(family, rank);
    }
}

#[test]
fn a_mask_of_another_layer_is_refused_before_anything_happens() {
    let mut matrix = Builder::new(Family::Toeplitz, 3, 4).build::<f64>().unwrap();
    let before = matrix.parameters().to_vec();
    let mask = Mask::from_fn(5, |_| true);
    let never = |_: &mut [f64]| panic!("the step must not be taken");
    assert!(matches!(mask.update(&mut matrix, never), Err(Error::Length { expected: 5, actual: 6, .. })));
    assert!(matches!(mask.hold(&mut before.clone(), never), Err(Error::Length { .. })));
    assert!(matches!(mask.apply(&mut before.clone()), Err(Error::Length { .. })));
    let mask = Mask::from_fn(6, |k| k == 1);
    assert!(matches!(mask.update(&mut matrix, |p| p[1] = f64::NAN), Err(Error::NotFinite { index: 1, .. })));
    assert_eq!(matrix.parameters(), before);
    // What a step spoils outside the mask does no harm.
    mask.update(&mut matrix, |p| {
        p.fill(f64::NAN);
        p[1] = 7.0;
    })
    .unwrap();
    assert_eq!((matrix.parameters()[1], matrix.parameters()[2]), (7.0, before[2]));
}

// Rank of updates.

fn rank_of_a_planted_update<T: Scalar>(rows: usize, cols: usize, rank: usize) {
    let base = random::<T>(rows * cols, 1);
    // Entries of the update are multiples of 1/64 below 1/2, those of the base of 2^-12: no sum is rounded.
    let base: Vec<T> = base.iter().map(|&b| (b * T::of(4096.0)).round() / T::of(4096.0)).collect();
    let (g, h) = (random::<f64>(rows * rank, 2), random::<f64>(cols * rank, 3));
    let small = |x: f64| (x * 4.0).round() / 8.0;
    let entry = |i: usize, j: usize| (0..rank).map(|k| small(g[i * rank + k]) * small(h[j * rank + k])).sum::<f64>();
    let tuned: Vec<T> = (0..rows * cols).map(|at| base[at] + T::of(entry(at / cols, at % cols))).collect();
    let update = UpdateRank::new(&base, &tuned, rows, cols, Rounding::None).unwrap();
    assert_eq!((update.rank, update.of), (rank, rows.min(cols)), "{rows}×{cols} {}", T::NAME);
    assert_eq!(update.fraction(), rank as f64 / rows.min(cols) as f64);
    assert_eq!(update.tolerance, rows.max(cols) as f64 * T::epsilon().wide() * update.values[0]);
}

#[test]
fn the_rank_of_a_planted_update_is_found() {
    for (rows, cols, rank) in [(8, 8, 0), (20, 30, 3), (70, 60, 5), (60, 90, 40)] {
        rank_of_a_planted_update::<f32>(rows, cols, rank);
        rank_of_a_planted_update::<f64>(rows, cols, rank);
    }
    // Independent noise has full rank, even where it is tiny.
    let base = random::<f32>(400, 1);
    let tuned: Vec<f32> = base.iter().zip(random::<f32>(400, 2)).map(|(b, r)| b + 1e-4 * r).collect();
    assert_eq!(UpdateRank::new(&base, &tuned, 20, 20, Rounding::None).unwrap().fraction(), 1.0);
    // It is too small for bf16, but for the few numbers that it carries over an edge.
    let moved = base.iter().zip(&tuned).filter(|(b, t)| to_bf16(**b) != to_bf16(**t)).count();
    let rounded = UpdateRank::new(&base, &tuned, 20, 20, Rounding::Bf16).unwrap();
    assert!(rounded.rank <= moved && rounded.rank > 0 && moved < 200, "{} of {moved}", rounded.rank);
    assert_eq!(UpdateRank::new(&base, &base, 20, 20, Rounding::Bf16).unwrap().rank, 0);
    assert!(matches!(UpdateRank::new(&base, &tuned[1..], 20, 20, Rounding::Bf16), Err(Error::Length { .. })));
}

// Drift.

const VALUES: [f64; 6] = [6.0, 5.0, 4.0, 1.0, 0.75, 0.5];

/// A 9×7 base of six known values, and the same with left vector a turned towards b and right vector c towards d.
fn turned<T: Scalar>(left: (usize, usize, f64), right: (usize, usize, f64)) -> [Spectrum; 2] {
    let (mut u, mut v) = (orthonormal(6, 9, 1), orthonormal(6, 7, 2));
    let base = compose(&u, &VALUES, &v, 9, 7);
    rotate(&mut u, 9, left.0, left.1, left.2);
    rotate(&mut v, 7, right.0, right.1, right.2);
    let tuned = compose(&u, &VALUES, &v, 9, 7);
    [base, tuned].map(|matrix| Spectrum::new(&narrow::<T>(&matrix), 9, 7).unwrap())
}

fn planted_angles_are_found<T: Scalar>(angle: f64) {
    // The first three directions and the rest; only the first is turned, out of the three.
    let [base, tuned] = turned::<T>((0, 4, angle), (1, 5, angle / 2.0));
    let drift = Drift::between(&base, &tuned, 3).unwrap();
    // Perturbing the entries by ε turns subspaces by ε ‖M‖ / gap.
    let tolerance = 40.0 * T::epsilon().wide() * 6.0 / 3.0;
    let (left, right) = (drift.leading().left(), drift.leading().right());
    for (found, expected) in left.iter().zip([0.0, 0.0, angle]).chain(right.iter().zip([0.0, 0.0, angle / 2.0])) {
        assert!((found - expected).abs() <= tolerance, "{angle:e} {}: {found:e}, {expected:e}", T::NAME);
    }
    let expected = 2f64.sqrt() * angle.sin();
    assert!((drift.leading().left_distance() - expected).abs() <= 3.0 * tolerance, "{angle:e} {}", T::NAME);
    for gap in drift.leading().gaps() {
        assert!((gap.absolute - 3.0).abs() < 20.0 * tolerance && (gap.relative - 0.75).abs() < 20.0 * tolerance);
    }
    assert!(drift.values()[..6].iter().all(|d| d.abs() <= 20.0 * tolerance), "rotations change no value");
    assert!(drift.values().iter().all(|d| d.is_finite()));
}

#[test]
fn a_planted_rotation_is_found_down_to_an_angle_of_1e_8() {
    for angle in [0.0, 1e-12, 1e-8, 1e-4, 0.1, 0.7, 1.5, std::f64::consts::FRAC_PI_2] {
        planted_angles_are_found::<f64>(angle);
        planted_angles_are_found::<f32>(angle);
    }
}

#[test]
fn trailing_directions_have_angles_and_a_gap_of_their_own() {
    // 7 singular values, the last one zero: the trailing four are 1, 3/4, 1/2 and 0.
    let [base, tuned] = turned::<f64>((0, 1, 0.3), (3, 2, 1e-8));
    let drift = Drift::between(&base, &tuned, 4).unwrap();
    // The left vector of the value zero is any of three that are orthogonal to the others.
    assert!(drift.trailing().left()[..3].iter().all(|a| *a < 1e-13), "turned within the leading three");
    let right = drift.trailing().right();
    assert!((right[3] - 1e-8).abs() < 1e-13 && right[2] < 1e-13, "{right:?}");
    assert!((drift.trailing().gaps()[0].absolute - 3.0).abs() < 1e-13);
    let leading = Drift::between(&base, &tuned, 1).unwrap();
    assert!((leading.leading().left()[0] - 0.3).abs() < 1e-13);
}

#[test]
fn relative_differences_go_index_by_index_and_ignore_rounding() {
    let (u, v) = (orthonormal(4, 5, 1), orthonormal(4, 5, 2));
    let spectrum = |values: &[f64]| Spectrum::new(&compose(&u, values, &v, 5, 5), 5, 5).unwrap();
    let base = spectrum(&[4.0, 2.0, 1.0, 0.0]);
    let drift = Drift::between(&base, &spectrum(&[5.0, 2.0, 0.5, 0.0]), 1).unwrap();
    for (found, expected) in drift.values().iter().zip([0.25, 0.0, -0.5]) {
        assert!((found - expected).abs() < 1e-14, "{:?}", drift.values());
    }
    assert!(
        drift.values()[3..].iter().all(|d| d.abs() < 1.0),
        "the last two values are rounding: {:?}",
        drift.values()
    );
    assert_eq!(base.rank(), 3);
    let zero = Spectrum::new(&[0.0; 25], 5, 5).unwrap();
    assert!(Drift::between(&zero, &zero, 1).unwrap().values().iter().all(|d| *d == 0.0));
    assert_eq!(Drift::between(&zero, &base, 1).unwrap().values()[0], f64::INFINITY);
}

#[test]
fn subspaces_that_are_always_the_whole_space_are_refused() {
    let spectrum = Spectrum::new(&random::<f64>(12, 1), 3, 4).unwrap();
    for k in [0, 3, 4] {
        let refused = Drift::between(&spectrum, &spectrum, k).unwrap_err();
        assert!(matches!(refused, Error::OutOfRange { what: "k", value, .. } if value == k as f64), "{refused}");
        assert!(spectrum.gap(k).is_err());
    }
    let other = Spectrum::new(&random::<f64>(12, 1), 4, 3).unwrap();
    assert!(matches!(Drift::between(&spectrum, &other, 1), Err(Error::ShapeMismatch { left_rows: 3, .. })));
    assert!(matches!(Spectrum::new(&[1.0; 5], 2, 3), Err(Error::Length { expected: 6, actual: 5, .. })));
    assert!(matches!(Spectrum::new(&[1.0, f64::INFINITY], 1, 2), Err(Error::NotFinite { index: 1, .. })));
    assert!(matches!(singular_values::<f64>(&[], 0, 2), Err(Error::EmptyShape { .. })));
}

#[test]
fn bases_that_span_no_subspace_are_refused() {
    let plane = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
    assert!(principal_angles(&plane, &plane, 3).unwrap().iter().all(|a| *a < 1e-15));
    assert!(matches!(principal_angles(&plane, &plane, 4), Err(Error::RaggedBatch { row: 4, actual: 6, .. })));
    assert!(matches!(principal_angles(&plane, &plane[..3], 3), Err(Error::Length { .. })));
    assert!(matches!(principal_angles::<f64>(&[], &[], 3), Err(Error::EmptyShape { .. })));
    assert!(matches!(principal_angles(&[1.0; 6], &plane, 3), Err(Error::OutOfRange { .. })));
    assert!(matches!(principal_angles(&[0.0; 3], &plane[..3], 3), Err(Error::OutOfRange { .. })));
    assert!(matches!(principal_angles(&[1.0; 6], &[1.0; 6], 1), Err(Error::RankTooLarge { rank: 6, max: 1, .. })));
}

/// Mixes rows by an invertible matrix: the same span.
fn mixed(rows: &[f64], len: usize, seed: u64) -> Vec<f64> {
    let k = rows.len() / len;
    let mut mix = random::<f64>(k * k, seed);
    (0..k).for_each(|i| mix[i * k + i] += 3.0);
    let entry = |i: usize, j: usize| (0..k).map(|l| mix[i * k + l] * rows[l * len + j]).sum::<f64>();
    (0..k * len).map(|at| entry(at / len, at % len)).collect()
}

/// Multiplies every row by an orthogonal matrix.
fn moved(rows: &[f64], orthogonal: &[f64], len: usize) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    rows.chunks(len).flat_map(|row| orthogonal.chunks(len).map(move |o| dot(row, o))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn angles_know_subspaces_and_not_their_bases(dim in 2usize..12, k in 1usize..6, seed in 0u64..1 << 20) {
        let k = k.min(dim);
        let (p, q) = (orthonormal(k, dim, seed), orthonormal(k, dim, seed + 1));
        let angles = principal_angles(&p, &q, dim).unwrap();
        let tolerance = 100.0 * EPSILON * dim as f64;
        let same = |other: Vec<f64>| angles.iter().zip(&other).all(|(a, b)| (a - b).abs() < tolerance);
        prop_assert!(angles.windows(2).all(|w| w[0] <= w[1]) && angles.iter().all(|a| (0.0..=std::f64::consts::FRAC_PI_2).contains(a)));
        prop_assert!(same(principal_angles(&q, &p, dim).unwrap()), "symmetric");
        // The mixtures are well conditioned: 3 on the diagonal, at most 1 beside it, k ≤ 3; or scaled freely.
        if k <= 3 {
            prop_assert!(same(principal_angles(&mixed(&p, dim, seed), &mixed(&q, dim, seed + 2), dim).unwrap()), "bases");
        }
        let turn = orthonormal(dim, dim, seed + 3);
        prop_assert!(same(principal_angles(&moved(&p, &turn, dim), &moved(&q, &turn, dim), dim).unwrap()), "the space");
        // ‖PPᵀ − QQᵀ‖² = 2 Σ sin².
        let projector = |b: &[f64], i: usize, j: usize| b.chunks(dim).map(|v| v[i] * v[j]).sum::<f64>();
        let square: f64 = (0..dim * dim)
            .map(|at| (projector(&p, at / dim, at % dim) - projector(&q, at / dim, at % dim)).powi(2))
            .sum();
        prop_assert!((square - angles.iter().map(|a| 2.0 * a.sin().powi(2)).sum::<f64>()).abs() < tolerance);
    }

    #[test]
    fn an_update_is_split_without_loss(m in 1usize..10, n in 1usize..10, seed in 0u64..1 << 20) {
        let base = Spectrum::new(&random::<f64>(m * n, seed), m, n).unwrap();
        let update = random::<f64>(m * n, seed + 1);
        let split = Split::new(&base, &update).unwrap();
        let square = norm(&update).powi(2);
        prop_assert!((split.total() - square).abs() <= 100.0 * EPSILON * square);
        let d = |i: usize| {
            let (u, v) = (&base.left()[i * m..][..m], &base.right()[i * n..][..n]);
            (0..m * n).map(|at| u[at / n] * update[at] * v[at % n]).sum::<f64>()
        };
        let scaling: f64 = (0..m.min(n)).map(|i| d(i) * d(i)).sum();
        prop_assert!((split.scaling - scaling).abs() <= 100.0 * EPSILON * square);
    }

    #[test]
    fn restored_directions_are_those_of_the_source(
        m in 2usize..9, n in 2usize..9, leading in 0usize..4, trailing in 0usize..4, seed in 0u64..1 << 20
    ) {
        let p = m.min(n);
        prop_assume!(leading + trailing > 0 && leading + trailing < p);
        let [onto, source] = [0, 1].map(|k| Spectrum::new(&random::<f64>(m * n, seed + k), m, n).unwrap());
        for values in [Values::Kept, Values::Replaced] {
            let chosen = |i: usize| i < leading || i >= p - trailing;
            let from = |i: usize| if chosen(i) { &source } else { &onto };
            let value = |i: usize| if values == Values::Replaced { from(i).values()[i] } else { onto.values()[i] };
            let term = |i: usize, at: usize| value(i) * from(i).left()[i * m + at / n] * from(i).right()[i * n + at % n];
            let expected: Vec<f64> = (0..m * n).map(|at| (0..p).map(|i| term(i, at)).sum()).collect();
            let plain = Restoration::new(leading, trailing).values(values);
            prop_assert!(distance(&plain.apply(&onto, &source).unwrap(), &expected) <= 100.0 * EPSILON * norm(&expected));
            // Orthonormal again: the singular values are exactly those that were asked for, and the restored
            // directions are singular directions.
            let again = plain.orthogonal(true).apply(&onto, &source).unwrap();
            let mut wanted: Vec<f64> = (0..p).map(value).collect();
            for i in (0..p).filter(|&i| chosen(i)) {
                let (u, v) = (&source.left()[i * m..][..m], &source.right()[i * n..][..n]);
                let along: f64 = (0..m * n).map(|at| u[at / n] * again[at] * v[at % n]).sum();
                prop_assert!((along - value(i)).abs() <= 100.0 * EPSILON * wanted[0].max(along));
            }
            wanted.sort_by(|a, b| b.total_cmp(a));
            let found = singular_values(&again, m, n).unwrap();
            prop_assert!(found.iter().zip(&wanted).all(|(f, w)| (f - w).abs() <= 100.0 * EPSILON * wanted[0]));
        }
    }
}

#[test]
fn scaling_and_rotation_are_told_apart_even_when_one_is_tiny() {
    let base = Spectrum::new(&random::<f64>(9 * 7, 1), 9, 7).unwrap();
    let scaling = compose(base.left(), &[0.5, -0.25, 0.0, 1.0, 0.0, 0.0, 2.0], base.right(), 9, 7);
    let square = 0.25 + 0.0625 + 1.0 + 4.0;
    let split = Split::new(&base, &scaling).unwrap();
    assert!((split.scaling - square).abs() < 1e-13 && split.rotation < 1e-28, "{split:?}");
    assert_eq!(Split::new(&base, &[0.0; 63]).unwrap().rotation_share(), 0.0);
    // u_0 v_1ᵀ turns the two and scales neither.
    let mut right = base.right().to_vec();
    right.rotate_left(7);
    let turn = compose(&base.left()[..9], &[1e-9], &right[..7], 9, 7);
    let both: Vec<f64> = scaling.iter().zip(&turn).map(|(s, t)| s + t).collect();
    let split = Split::new(&base, &both).unwrap();
    assert!((split.rotation / 1e-18 - 1.0).abs() < 1e-5, "{split:?}");
    let split = Split::new(&base, &turn).unwrap();
    assert!((split.rotation_share() - 1.0).abs() < 1e-13 && split.scaling < 1e-40, "{split:?}");
}

#[test]
fn undoing_the_drift_of_the_directions_that_drifted_restores_the_base() {
    let [base, tuned] = turned::<f64>((0, 1, 0.4), (1, 2, 0.2));
    let matrix = |s: &Spectrum| compose(s.left(), s.values(), s.right(), 9, 7);
    assert!(distance(&matrix(&tuned), &matrix(&base)) > 1.0);
    for orthogonal in [false, true] {
        let restored = Restoration::new(3, 0).orthogonal(orthogonal).apply(&tuned, &base).unwrap();
        assert!(distance(&restored, &matrix(&base)) < 1e-12, "the drift is within the leading three");
        let untouched = Restoration::new(0, 3).orthogonal(orthogonal).apply(&tuned, &base).unwrap();
        assert!(distance(&untouched, &matrix(&tuned)) < 1e-12, "the trailing ones have not drifted");
    }
}

#[test]
fn restorations_of_nothing_or_of_everything_are_refused() {
    let spectrum = Spectrum::new(&random::<f64>(12, 1), 3, 4).unwrap();
    for (leading, trailing) in [(0, 0), (3, 0), (2, 1), (0, 3), (9, 9), (usize::MAX, 1)] {
        let refused = Restoration::new(leading, trailing).apply(&spectrum, &spectrum).unwrap_err();
        assert!(matches!(refused, Error::OutOfRange { what: "leading + trailing", .. }), "{refused}");
    }
    let other = Spectrum::new(&random::<f64>(12, 1), 4, 3).unwrap();
    assert!(matches!(Restoration::new(1, 0).apply(&spectrum, &other), Err(Error::ShapeMismatch { .. })));
}

// Displacement in view.

fn by_place(rows: usize, cols: usize, entry: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    (0..rows * cols).map(|at| entry(at / cols, at % cols)).collect()
}

fn ranks<T: Scalar>(matrix: &[f64], rows: usize, cols: usize) -> Vec<usize> {
    let spectra = displacement_spectra(&narrow::<T>(matrix), rows, cols).unwrap();
    spectra.iter().map(|s| s.rank(s.default_tolerance).unwrap()).collect()
}

fn planted_structure_shows_in_the_spectrum<T: Scalar>(rows: usize, cols: usize) {
    let p = rows.min(cols);
    let (t, h) = (random::<f64>(rows + cols, 1), random::<f64>(rows + cols, 2));
    let toeplitz = by_place(rows, cols, |i, j| t[i + cols - 1 - j]);
    let hankel = by_place(rows, cols, |i, j| h[i + j]);
    let sum: Vec<f64> = toeplitz.iter().zip(&hankel).map(|(t, h)| t + h).collect();
    let low = by_place(rows, cols, |i, j| t[i] * h[j]);
    assert_eq!(ranks::<T>(&toeplitz, rows, cols), [p, 2, p, 4], "{rows}×{cols} {}", T::NAME);
    assert_eq!(ranks::<T>(&hankel, rows, cols), [p, p, 2, 4], "{rows}×{cols} {}", T::NAME);
    assert_eq!(ranks::<T>(&sum, rows, cols), [p, p, p, 4], "{rows}×{cols} {}", T::NAME);
    assert_eq!(ranks::<T>(&low, rows, cols)[0], 1);
    assert!(ranks::<T>(&low, rows, cols).iter().all(|r| *r <= 2));
}

#[test]
fn the_displacement_spectrum_shows_planted_structure() {
    for (rows, cols) in [(12, 12), (9, 16), (16, 9), (60, 55)] {
        planted_structure_shows_in_the_spectrum::<f32>(rows, cols);
        planted_structure_shows_in_the_spectrum::<f64>(rows, cols);
    }
    let spectrum = DisplacementSpectrum::new(&[1.0, 2.0, 2.0, 1.0], 2, 2, FixedPair::Toeplitz).unwrap();
    assert!(spectrum.rank(f64::NAN).is_err() && spectrum.rank(-1.0).is_err());
    assert_eq!((spectrum.effective_rank(0.0), spectrum.effective_rank(1.0)), (spectrum.rank(0.0).unwrap(), 0));
}

/// An update with one of four structures and noise of a hundredth of its size: which fits best?
fn the_verdict_finds<T: Scalar>(kind: Kind, rows: usize, cols: usize) {
    let rank = 2;
    let (t, h) = (random::<f64>(rows + cols, 1), random::<f64>(rows + cols, 2));
    let matrix = match kind {
        Kind::Sparse => by_place(rows, cols, |i, j| if (7 * i + 5 * j) % 23 == 0 { t[i] + h[j] } else { 0.0 }),
        Kind::LowRank => by_place(rows, cols, |i, j| t[i] * h[j] + h[i] * t[j]),
        Kind::ToeplitzLike => by_place(rows, cols, |i, j| t[i + cols - 1 - j]),
        Kind::HankelLike => by_place(rows, cols, |i, j| t[i + j]),
    };
    let size = norm(&matrix);
    let exact = Verdict::new(&narrow::<T>(&matrix), rows, cols, rank).unwrap();
    assert_eq!(exact.best().kind, kind, "{exact}");
    assert!(exact.best().error < 200.0 * T::epsilon().wide(), "{exact}");
    assert!(exact.to_string().starts_with(kind.name()) && !exact.to_string().contains('\n'), "{exact}");
    let noise = random::<f64>(rows * cols, 3);
    let noise = noise.iter().map(|x| x * 0.01 * size / norm(&noise));
    let noisy: Vec<f64> = matrix.iter().zip(noise).map(|(m, x)| m + x).collect();
    let verdict = Verdict::new(&narrow::<T>(&noisy), rows, cols, rank).unwrap();
    // The refinement leaves no more than the noise.
    assert!(verdict.best().kind == kind && verdict.best().error <= 0.0101, "{verdict}");
    assert!(verdict.lead() > 10.0, "{verdict}");
    assert_eq!(verdict.parameters(), 2 * (rows + cols));
}

#[test]
fn the_verdict_names_the_structure_that_was_planted() {
    for kind in Kind::ALL {
        the_verdict_finds::<f32>(kind, 20, 24);
        the_verdict_finds::<f64>(kind, 24, 20);
    }
}

#[test]
fn the_verdict_on_noise_is_that_nothing_fits() {
    let verdict = Verdict::new(&random::<f64>(900, 1), 30, 30, 1).unwrap();
    assert!(verdict.fits().iter().all(|fit| fit.error > 0.7 && fit.error <= 1.0), "{verdict}");
    let zero = Verdict::new(&[0.0; 9], 3, 3, 1).unwrap();
    assert_eq!((zero.best().error, zero.lead()), (0.0, 1.0));
    assert!(matches!(Verdict::new(&[0.0; 9], 3, 3, 0), Err(Error::OutOfRange { .. })));
    assert!(matches!(Verdict::new(&[0.0; 9], 3, 3, 4), Err(Error::RankTooLarge { rank: 4, max: 3, .. })));
}
