//! Shift-like matrices against their definition, for every kind of pair.
//!
//! Products, gradients and both paths are tested with those of the other families, in `families.rs`.

#[path = "common/families.rs"]
#[allow(dead_code, reason = "these tests need only a few of the helpers")]
mod common;

use common::*;
use displace::displacement::ShiftOperator::{self, Plain, Transposed};
use displace::displacement::{
    self, DisplacementOperator, Generators, OperatorMatrix, Shift, ShiftPair, Stein, Sylvester, Truncation,
};
use displace::ldr::{ShiftLike, ToeplitzLike};
use displace::structured::FCirculant;
use displace::{Builder, Error, Family, Init, Matrix, PathChoice, Scalar};
use proptest::prelude::*;

const CORNERS: [f64; 8] = [0.0, 1.0, -1.0, 0.5, -2.0, 30.0, 1e-12, -1e6];

/// Every pair of corners and sides that is not singular.
fn pairs() -> Vec<ShiftPair> {
    let sides = |f| [Plain(f), Transposed(f)];
    let operators: Vec<ShiftOperator> = CORNERS.into_iter().flat_map(sides).collect();
    let pairs = operators.iter().flat_map(|&a| operators.iter().map(move |&b| ShiftPair::stein(a, b)));
    pairs.filter_map(Result::ok).collect()
}

/// An operator matrix of an order.
fn operator(side: ShiftOperator, order: usize) -> Box<dyn OperatorMatrix<f64>> {
    match side {
        Plain(f) => Box::new(Shift::new(order, f).unwrap()),
        Transposed(f) => Box::new(displacement::Transposed(Shift::new(order, f).unwrap())),
    }
}

fn wide<T: Scalar>(values: &[T]) -> Vec<f64> {
    values.iter().map(|v| v.wide()).collect()
}

/// The dense matrix by the definition: Krylov vectors of A and of Bᵀ, multiplied out and summed.
fn krylov_sum(pair: ShiftPair, order: usize, rank: usize, g: &[f64], h: &[f64]) -> Vec<f64> {
    let (a, b) = (operator(pair.a(), order), operator(pair.b(), order));
    let scale = 1.0 / (1.0 - pair.a().f() * pair.b().f());
    let mut dense = vec![0.0; order * order];
    for j in 0..rank {
        let (mut u, mut v) = (g[j * order..][..order].to_vec(), h[j * order..][..order].to_vec());
        let mut next = vec![0.0; order];
        for _ in 0..order {
            for (row, u) in dense.chunks_mut(order).zip(&u) {
                row.iter_mut().zip(&v).for_each(|(entry, v)| *entry += scale * u * v);
            }
            a.apply(&u, &mut next).unwrap();
            std::mem::swap(&mut u, &mut next);
            b.apply_transposed(&v, &mut next).unwrap();
            std::mem::swap(&mut v, &mut next);
        }
    }
    dense
}

#[test]
fn the_entries_are_those_of_the_definition() {
    for pair in pairs() {
        for (order, rank) in [(1, 1), (2, 1), (5, 2), (8, 3)] {
            let structure = ShiftLike::<f64>::with_order(order, order, rank, pair, order).unwrap();
            let parameters = random::<f64>(2 * rank * order, 3);
            let (g, h) = parameters.split_at(rank * order);
            let expected = krylov_sum(pair, order, rank, g, h);
            let matrix = Matrix::new(structure.into(), parameters.clone()).unwrap();
            assert_close(
                &matrix.to_dense().unwrap(),
                &expected,
                1e-13,
                norm(&expected),
                &format!("{pair} of order {order}"),
            );
        }
    }
}

#[test]
fn the_displacement_is_that_of_the_two_shifts_and_has_the_promised_rank() {
    for pair in pairs() {
        for (order, rank) in [(4, 1), (7, 2), (9, 0)] {
            let structure = ShiftLike::<f64>::with_order(order, order, rank, pair, order).unwrap();
            let native = structure.displacement();
            let parameters = random::<f64>(2 * rank * order, 5);
            let (g, h) = parameters.split_at(rank * order);
            let generators = Generators::new(order, order, rank, g.to_vec(), h.to_vec()).unwrap();
            let product = generators.displacement().unwrap();
            let dense = Matrix::new(structure.into(), parameters.clone()).unwrap().to_dense().unwrap();
            let stein = Stein::new(operator(pair.a(), order), operator(pair.b(), order));
            let size = norm(&dense) * pair.a().f().abs().max(1.0) * pair.b().f().abs().max(1.0);
            assert_close(&stein.displace(&dense).unwrap(), &product, 1e-14, size, &format!("{pair} by its shifts"));
            assert_close(&native.displace(&dense).unwrap(), &product, 1e-14, size, &format!("{pair} on the torus"));
            assert!(stein.rank(&dense, stein.default_tolerance()).unwrap() <= rank, "{pair}");
            assert_close(&native.reconstruct(&generators).unwrap(), &dense, 1e-14, norm(&dense), "reconstruction");
        }
    }
}

#[test]
fn rectangular_matrices_have_the_promised_rank_on_their_torus() {
    for pair in pairs() {
        for (m, n) in [(3, 7), (8, 5), (1, 4), (6, 6)] {
            for rank in 0..=m.min(n) {
                let structure = ShiftLike::<f64>::new(m, n, rank, pair).unwrap();
                let operator = structure.displacement();
                let parameters = random::<f64>(rank * (m + n), 7);
                let dense = Matrix::new(structure.into(), parameters).unwrap().to_dense().unwrap();
                let tolerance = DisplacementOperator::<f64>::default_tolerance(&operator);
                assert!(operator.rank(&dense, tolerance).unwrap() <= rank, "{pair} {m}×{n}");
            }
        }
    }
}

#[test]
fn the_pair_of_toeplitz_like_matrices_is_one_of_them() {
    let pair = ShiftPair::stein(Plain(1.0), Transposed(-1.0)).unwrap();
    for (m, n) in [(1, 1), (6, 6), (3, 10), (10, 3)] {
        let (g, h) = (random::<f64>(2 * m, 1), random::<f64>(2 * n, 2));
        if m.min(n) < 2 {
            continue;
        }
        let ours = ShiftLike::from_generators(m, n, 2, pair, &g, &h).unwrap();
        let theirs = ToeplitzLike::from_generators(m, n, 2, &g, &h).unwrap();
        let expected = theirs.to_dense().unwrap();
        assert_close(&ours.to_dense().unwrap(), &expected, 1e-14, norm(&expected), "entries");
    }
}

#[test]
fn every_matrix_has_full_rank_under_every_pair() {
    for pair in pairs() {
        for (m, n) in [(1, 1), (4, 4), (3, 8), (8, 3)] {
            let entries = random::<f64>(m * n, 9);
            let matrix = ShiftLike::from_dense(m, n, m.min(n), pair, &entries).unwrap();
            let scale = norm(&matrix.structure().displacement().displace(&entries).unwrap());
            assert_close(&matrix.to_dense().unwrap(), &entries, 1e-13, scale, &format!("{pair}"));
        }
    }
}

#[test]
fn toeplitz_and_hankel_matrices_have_rank_two_under_the_pairs_that_follow_their_diagonals() {
    let (m, n) = (6, 8);
    let values = random::<f64>(m + n - 1, 4);
    let toeplitz: Vec<f64> = (0..m).flat_map(|i| (0..n).map(move |j| i + n - 1 - j)).map(|k| values[k]).collect();
    let hankel: Vec<f64> = (0..m).flat_map(|i| (0..n).map(move |j| i + j)).map(|k| values[k]).collect();
    for pair in pairs() {
        let along = matches!((pair.a(), pair.b()), (Plain(_), Transposed(_)) | (Transposed(_), Plain(_)));
        let entries = if along { &toeplitz } else { &hankel };
        let operator = ShiftLike::<f64>::new(m, n, 0, pair).unwrap().displacement();
        let generators = operator.generators(entries, Truncation::Rank(2)).unwrap();
        let left = operator.displace(entries).unwrap();
        let product = generators.displacement().unwrap();
        assert_close(&product, &left, 1e-13, norm(&left), &format!("{pair}"));
    }
}

/// Products by the fast path against the entries, all in norm: `50 ε log2(N)` relative to the sizes of what is summed.
fn products<T: Scalar>(pair: ShiftPair, m: usize, n: usize, batch: usize) {
    let rank = 2.min(m.min(n));
    let builder = Builder::new(Family::ShiftLike(pair), m, n).rank(rank).init(Init::Variance(1.0)).seed(2);
    let mut matrix = builder.build::<T>().unwrap();
    matrix.set_path(PathChoice::Fast);
    let dense = reference(&builder, &matrix).to_dense().unwrap();
    let (x, dy) = (random::<T>(batch * n, 3), random::<T>(batch * m, 4));
    let y = product(&dense, &x, n);
    let dx = product(&transpose(&dense, n), &dy, m);
    let what = format!("{pair} {m}×{n} batch {batch} {}", T::NAME);
    let scale = 0.1 * norm(&dense);
    let tolerance = bar::<T>(m, n);
    assert_close(&matrix.apply(&x).unwrap(), &y, tolerance, norm(&y).max(scale * norm(&wide(&x))), &what);
    let transposed = matrix.apply_transposed(&dy).unwrap();
    assert_close(&transposed, &dx, tolerance, norm(&dx).max(scale * norm(&wide(&dy))), &what);
}

#[test]
fn products_are_accurate_for_every_corner() {
    for pair in pairs() {
        for (m, n, batch) in [(1, 1, 1), (5, 3, 9), (64, 64, 1), (40, 96, 5)] {
            products::<f64>(pair, m, n, batch);
            products::<f32>(pair, m, n, batch);
        }
    }
}

#[test]
fn initialisation_gives_the_entries_the_variance_asked_for() {
    for pair in pairs() {
        let (m, n, seeds) = (12, 20, 60);
        let square = |seed| {
            let builder = Builder::new(Family::ShiftLike(pair), m, n).rank(4).init(Init::Variance(0.25)).seed(seed);
            builder.build::<f64>().unwrap().to_dense().unwrap().iter().map(|m| m * m).sum::<f64>()
        };
        let ratio = (0..seeds).map(square).sum::<f64>() / (seeds * 12 * 20) as f64 / 0.25;
        assert!((ratio - 1.0).abs() < 0.4, "{pair}: {ratio}");
    }
}

/// Corners whose squares overflow.
#[test]
fn large_corners_start_with_the_variance_asked_for_and_multiply_as_their_entries_do() {
    let (m, n) = (40, 30);
    for corner in [1e155, -1e200, 1e290] {
        let pairs = [0.0, -2.0 / corner].map(|e| ShiftPair::stein(Plain(corner), Transposed(e)).unwrap());
        let families = pairs.map(|pair| Builder::new(Family::ShiftLike(pair), m, n).rank(2));
        for builder in families.into_iter().chain([Builder::new(Family::FCirculant(corner), m, n)]) {
            let what = format!("{builder:?}");
            let mut matrix = builder.init(Init::Variance(1.0)).path(PathChoice::Fast).build::<f64>().unwrap();
            let dense = matrix.to_dense().unwrap();
            let square = dense.iter().map(|x| x * x).sum::<f64>() / (m * n) as f64;
            assert!((0.2..5.0).contains(&square), "{what}: {square}");
            let x = random::<f64>(n, 3);
            let fast = matrix.apply(&x).unwrap();
            matrix.set_path(PathChoice::Dense);
            let expected = matrix.apply(&x).unwrap();
            assert_close(&fast, &expected, 1e-12, norm(&expected), &what);
        }
    }
}

#[test]
fn corners_that_multiply_nothing_do_not_count() {
    let start = |corner: f64| {
        let pair = ShiftPair::stein(Plain(corner), Transposed(0.0)).unwrap();
        [Builder::new(Family::ShiftLike(pair), 40, 1).rank(1), Builder::new(Family::FCirculant(corner), 3, 1)]
            .map(|builder| builder.build::<f64>().unwrap().parameters().to_vec())
    };
    assert_eq!(start(1e200), start(0.5));
}

#[test]
fn corners_that_leave_no_digits_are_refused() {
    for corner in [1e293, -f64::MAX] {
        let pair = ShiftPair::stein(Plain(corner), Transposed(0.0)).unwrap();
        let refused = ShiftLike::<f64>::new(3, 3, 1, pair).err();
        assert!(matches!(refused, Some(Error::OutOfRange { value, .. }) if value == corner), "{refused:?}");
        let refused = FCirculant::<f64>::new(3, 3, corner).err();
        assert!(matches!(refused, Some(Error::OutOfRange { what: "f", value, .. }) if value == corner), "{refused:?}");
    }
    assert!(FCirculant::<f32>::new(3, 3, 1e32).is_err() && FCirculant::<f32>::new(3, 3, 1e31 / 2.0).is_ok());
}

/// Under the Sylvester operator the pair has the inverse of a corner, which nobody gave.
#[test]
fn refused_corners_are_named_as_they_were_given() {
    let refused = |a: f64, b: f64| ShiftPair::sylvester(Plain(a), Plain(b)).err();
    for (a, b, named) in [(1e200, 1e-200, 1e-200), (1.0, 1e-310, 1e-310), (1e-310, 0.0, 1e-310)] {
        let error = refused(a, b);
        assert!(matches!(error, Some(Error::OutOfRange { value, .. }) if value == named), "{error:?}");
    }
    let error = refused(3.0, 3.0);
    assert!(matches!(error, Some(Error::SingularDisplacement { quantity, .. }) if quantity.contains("quotient")));
}

#[test]
fn singular_pairs_and_bad_corners_are_refused() {
    for (f, e) in [(1.0, 1.0), (-1.0, -1.0), (0.5, 2.0), (-4.0, -0.25)] {
        for (a, b) in [(Plain(f), Plain(e)), (Plain(f), Transposed(e)), (Transposed(f), Transposed(e))] {
            assert!(matches!(ShiftPair::stein(a, b), Err(Error::SingularDisplacement { .. })), "{f} {e}");
        }
    }
    for f in CORNERS {
        assert!(matches!(ShiftPair::sylvester(Plain(f), Plain(f)), Err(Error::SingularDisplacement { .. })), "{f}");
        assert!(matches!(ShiftPair::sylvester(Plain(f), Transposed(f)), Err(Error::SingularDisplacement { .. })));
    }
    assert!(matches!(ShiftPair::stein(Plain(f64::NAN), Plain(0.0)), Err(Error::NotFinite { index: 0, .. })));
    assert!(matches!(ShiftPair::sylvester(Plain(0.0), Plain(f64::INFINITY)), Err(Error::NotFinite { index: 1, .. })));
    assert!(matches!(ShiftPair::stein(Plain(1e300), Plain(1e300)), Err(Error::OutOfRange { .. })));

    let pair = ShiftPair::stein(Plain(0.5), Transposed(0.5)).unwrap();
    let family = Family::ShiftLike(pair);
    let missing = Builder::new(family, 3, 3).build::<f32>().err();
    assert_eq!(missing, Some(Error::RankChoice { family: "shift-like", given: false }));
    assert!(matches!(ShiftLike::<f64>::new(5, 3, 4, pair), Err(Error::RankTooLarge { rank: 4, max: 3, .. })));
    assert!(matches!(ShiftLike::<f64>::new(0, 3, 0, pair), Err(Error::EmptyShape { .. })));
    assert!(matches!(ShiftLike::<f32>::with_order(4, 6, 2, pair, 5), Err(Error::OutOfRange { .. })));
    let (short, nan) = ([1.0], [f64::NAN; 2]);
    assert!(matches!(ShiftLike::from_generators(2, 2, 1, pair, &short, &nan), Err(Error::Length { .. })));
    assert!(matches!(ShiftLike::from_generators(2, 2, 1, pair, &nan, &nan), Err(Error::NotFinite { .. })));
    assert!(matches!(ShiftLike::from_dense(2, 2, 1, pair, &short), Err(Error::Length { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The Sylvester form of a pair has the same rank as the Stein form that it is turned into.
    #[test]
    fn the_sylvester_operator_of_a_pair_finds_the_same_rank(
        f in -3.0..3.0, e in -3.0..3.0, sides in 0usize..4, n in 2usize..9, seed in 0u64..100,
    ) {
        let side = |f: f64, transposed: bool| if transposed { Transposed(f) } else { Plain(f) };
        let (a, b) = (side(f, sides & 1 == 1), side(e, sides & 2 == 2));
        prop_assume!((f - e).abs() > 0.1);
        let pair = ShiftPair::sylvester(a, b).unwrap();
        let rank = n / 2;
        let structure = ShiftLike::<f64>::with_order(n, n, rank, pair, n).unwrap();
        let dense = Matrix::new(structure.into(), random::<f64>(2 * rank * n, seed)).unwrap().to_dense().unwrap();
        let sylvester = Sylvester::new(operator(a, n), operator(b, n));
        let tolerance = 100.0 * sylvester.default_tolerance();
        prop_assert!(sylvester.rank(&dense, tolerance).unwrap() <= rank, "{pair}");
    }
}

#[test]
fn corners_that_the_type_cannot_hold_are_refused() {
    let pair = ShiftPair::stein(Plain(1e100), Transposed(0.0)).unwrap();
    let refused = Builder::new(Family::ShiftLike(pair), 4, 4).rank(1).build::<f32>().err();
    assert!(matches!(refused, Some(Error::OutOfRange { value: 1e100, .. })), "{refused:?}");
    assert!(Builder::new(Family::ShiftLike(pair), 4, 4).rank(1).build::<f64>().is_ok());
}
