//! Arithmetic on matrices of low displacement rank: entries against dense arithmetic, and the rank bound of each operation,
//! as declared and as found in the entries.

#[path = "common/families.rs"]
#[allow(dead_code)]
mod common;

use std::sync::Arc;

use common::{distance, norm, random};
use displace::algebra::{Ldr, UnitPair};
use displace::displacement::{DisplacementOperator, Generators, Truncation};
use displace::ldr::{HankelLike, ToeplitzLike};
use displace::structured::{Hankel, Toeplitz};
use displace::{Error, Family, Matrix, Scalar, Structure};

const ORDERS: [usize; 7] = [1, 2, 3, 5, 8, 13, 30];

fn wide<T: Scalar>(x: &[T]) -> Vec<f64> {
    x.iter().map(|x| x.wide()).collect()
}

fn entries<T: Scalar>(matrix: &Ldr<T>) -> Vec<f64> {
    wide(&matrix.to_dense().unwrap())
}

fn matrix(n: usize, entry: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    (0..n * n).map(|at| entry(at / n, at % n)).collect()
}

fn product(a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
    matrix(n, |i, j| (0..n).map(|k| a[i * n + k] * b[k * n + j]).sum())
}

fn transposed(a: &[f64], n: usize) -> Vec<f64> {
    matrix(n, |i, j| a[j * n + i])
}

/// A random matrix of a rank, or of full rank.
fn sample<T: Scalar>(pair: UnitPair, n: usize, rank: usize, seed: u64) -> Ldr<T> {
    let rank = rank.min(n);
    let (g, h) = (random(rank * n, seed), random(rank * n, seed + 1));
    Ldr::new(pair, Generators::new(n, n, rank, g, h).unwrap()).unwrap()
}

/// ε n, with room for the constants of a few products and of an amplified displacement.
fn tolerance<T: Scalar>(n: usize) -> f64 {
    64.0 * n as f64 * T::epsilon().wide()
}

/// The matrix has these entries and at most this rank, and its displacement has no more.
#[track_caller]
fn check<T: Scalar>(got: &Ldr<T>, expected: &[f64], scale: f64, bound: usize) {
    let n = got.order();
    let error = distance(&got.to_dense().unwrap(), expected);
    let allowed = tolerance::<T>(n) * scale;
    assert!(error <= allowed, "{:?} of order {n}: error {error:e} of {allowed:e}", got.pair());
    assert!(got.rank() <= bound.min(n), "{:?} of order {n}: rank {} of {bound}", got.pair(), got.rank());
    let operator = got.pair().operator::<f64>(n).unwrap();
    let found = operator.rank(expected, 2.0 * tolerance::<T>(n) * scale / norm(expected).max(1e-300)).unwrap();
    assert!(found <= bound, "{:?} of order {n}: rank {found} in the entries, {bound} promised", got.pair());
}

fn definition<T: Scalar>() {
    for pair in UnitPair::ALL {
        for n in ORDERS {
            for rank in [0, 1, 3] {
                let m = sample::<T>(pair, n, rank, 1);
                let dense = entries(&m);
                // The displacement of the entries is G Hᵀ.
                let Generators { rank, g, h, .. } = m.generators().clone();
                let outer = matrix(n, |i, j| (0..rank).map(|k| g[k * n + i].wide() * h[k * n + j].wide()).sum());
                let displacement = pair.operator::<f64>(n).unwrap().displace(&dense).unwrap();
                let scale = norm(&dense) + 1.0;
                common::assert_close(&displacement, &outer, tolerance::<T>(n), scale, pair.name());

                let x = random::<T>(3 * n, 5);
                let y = common::product(&dense, &x, n);
                common::assert_close(&m.apply(&x).unwrap(), &y, tolerance::<T>(n), scale, "product");
                let y = common::product(&transposed(&dense, n), &x, n);
                common::assert_close(&m.apply_transposed(&x).unwrap(), &y, tolerance::<T>(n), scale, "transposed");
            }
        }
    }
}

#[test]
fn entries_and_products_are_those_of_the_displacement_equation() {
    definition::<f32>();
    definition::<f64>();
}

fn linear<T: Scalar>() {
    for pair in UnitPair::ALL {
        for n in ORDERS {
            let m = sample::<T>(pair, n, 2, 11);
            let dense = entries(&m);
            let r = m.rank();
            let scale = norm(&dense);
            let transpose = m.transpose().unwrap();
            assert_eq!(transpose.pair(), pair.swapped());
            check(&transpose, &transposed(&dense, n), scale, r);
            check(&transpose.under(pair).unwrap(), &transposed(&dense, n), scale, r + 2);
            check(&m.under(pair.swapped()).unwrap(), &dense, scale, r + 2);
            check(&m.reverse_columns().unwrap(), &matrix(n, |i, j| dense[i * n + n - 1 - j]), scale, r);
            check(&m.reverse_rows().unwrap(), &matrix(n, |i, j| dense[(n - 1 - i) * n + j]), scale, r);
            assert_eq!(m.reverse_rows().unwrap().pair(), pair.reversed());
            let tripled: Vec<f64> = dense.iter().map(|x| -3.0 * x).collect();
            check(&m.scale(T::of(-3.0)).unwrap(), &tripled, 3.0 * scale, r);

            for other in [pair, pair.swapped()] {
                let other = sample::<T>(other, n, 3, 13);
                let addend = entries(&other);
                let sum: Vec<f64> = dense.iter().zip(&addend).map(|(a, b)| a + b).collect();
                let extra = if other.pair() == pair { 0 } else { 2 };
                check(&m.add(&other).unwrap(), &sum, scale + norm(&addend), r + other.rank() + extra);
                let nothing = m.add(&m.scale(-T::one()).unwrap()).unwrap();
                check(&nothing, &vec![0.0; n * n], scale, 2 * r);
            }
        }
    }
}

#[test]
fn transposes_sums_multiples_and_reversals_keep_their_rank() {
    linear::<f32>();
    linear::<f64>();
}

fn products<T: Scalar>() {
    for left in UnitPair::ALL {
        for right in UnitPair::ALL {
            for n in ORDERS {
                let (a, b) = (sample::<T>(left, n, 2, 21), sample::<T>(right, n, 1, 23));
                let (da, db) = (entries(&a), entries(&b));
                let c = a.multiply(&b).unwrap();
                let bound = a.rank() + b.rank() + 1;
                check(&c, &product(&da, &db, n), norm(&da) * norm(&db), bound);
                assert_eq!(c.pair().is_hankel(), left.is_hankel() != right.is_hankel());
                if n == 30 {
                    assert_eq!(c.rank(), bound, "the bound is sharp");
                }
            }
        }
    }
}

#[test]
fn a_product_has_the_sum_of_the_ranks_and_one() {
    products::<f32>();
    products::<f64>();
}

fn inverses<T: Scalar>() {
    for pair in UnitPair::ALL {
        for n in ORDERS {
            for rank in [1, 2, 4] {
                let m = sample::<T>(pair, n, rank, 31);
                let inverse = m.inverse().unwrap();
                let condition = displace::algebra::Gko::new(&m).unwrap().condition();
                assert_eq!((inverse.pair(), inverse.rank()), (pair.swapped(), m.rank()));
                let eye = product(&entries(&inverse), &entries(&m), n);
                let expected = matrix(n, |i, j| f64::from(i == j));
                let error = distance(&eye, &expected);
                assert!(error <= tolerance::<T>(n) * condition, "{pair:?} of order {n}: {error:e}, κ = {condition:e}");
                let both = m.multiply(&inverse).unwrap();
                check(&both, &expected, condition, 2 * m.rank() + 1);
            }
        }
    }
}

#[test]
fn an_inverse_has_the_same_rank_under_the_swapped_pair() {
    inverses::<f32>();
    inverses::<f64>();
}

fn conversions<T: Scalar>() {
    for n in ORDERS {
        let t = Toeplitz::new(n, n).unwrap();
        let t = Matrix::new(Arc::new(t), random::<T>(2 * n - 1, 41)).unwrap();
        let from = Ldr::from_toeplitz(&t).unwrap();
        let dense = wide(&t.to_dense().unwrap());
        assert_eq!(from.pair(), UnitPair::Toeplitz);
        check(&from, &dense, norm(&dense), 2);

        let h = Matrix::new(Arc::new(Hankel::new(n, n).unwrap()), random::<T>(2 * n - 1, 42)).unwrap();
        let from = Ldr::from_hankel(&h).unwrap();
        let dense = wide(&h.to_dense().unwrap());
        assert_eq!(from.pair(), UnitPair::Hankel);
        check(&from, &dense, norm(&dense), 2);

        let eye = Ldr::<T>::identity(n).unwrap();
        check(&eye, &matrix(n, |i, j| f64::from(i == j)), 1.0, 1);

        for rank in [0, 1, 3] {
            let rank = rank.min(n);
            let (g, h) = (random::<T>(rank * n, 43), random::<T>(rank * n, 44));
            let exact = ToeplitzLike::with_order(n, n, rank, n).unwrap();
            let exact = Matrix::new(Arc::new(exact), [g.clone(), h.clone()].concat()).unwrap();
            let rounded_up = ToeplitzLike::from_generators(n, n, rank, &g, &h).unwrap();
            let reversed = HankelLike::from_generators(n, n, rank, &g, &h).unwrap();
            for (like, pair) in
                [(exact, UnitPair::Toeplitz), (rounded_up, UnitPair::Toeplitz), (reversed, UnitPair::Hankel)]
            {
                let dense = wide(&like.to_dense().unwrap());
                let from = Ldr::from_toeplitz_like(&like).unwrap();
                let extra = if like.structure().order() == n { 0 } else { 2 };
                assert_eq!(from.pair(), pair);
                check(&from, &dense, norm(&dense), rank + extra);
                for from in [from.clone(), from.transpose().unwrap().transpose().unwrap()] {
                    let back = from.to_toeplitz_like().unwrap();
                    assert_eq!(back.rank(), Some(from.rank()));
                    let hankel = pair == UnitPair::Hankel;
                    let family = if hankel { Family::HankelLike } else { Family::ToeplitzLike };
                    assert_eq!(back.structure().family(), family);
                    common::assert_close(&back.to_dense().unwrap(), &dense, tolerance::<T>(n), norm(&dense), "back");
                }
                let swapped = from.transpose().unwrap().to_toeplitz_like().unwrap();
                let transpose = transposed(&dense, n);
                common::assert_close(
                    &swapped.to_dense().unwrap(),
                    &transpose,
                    tolerance::<T>(n),
                    norm(&dense),
                    "swapped",
                );
            }
        }
    }
}

#[test]
fn matrices_of_the_families_convert_both_ways() {
    conversions::<f32>();
    conversions::<f64>();
}

#[test]
fn a_toeplitz_matrix_in_disguise_has_rank_2_again() {
    // Order 13 is not a fast length: the generators of the torus differ, and the matrix has rank 4 before compression.
    let t = Toeplitz::new(13, 13).unwrap();
    let t = Matrix::new(Arc::new(t), random::<f64>(25, 45)).unwrap();
    let like = ToeplitzLike::from_dense(13, 13, 2, &t.to_dense().unwrap()).unwrap();
    assert_ne!(like.structure().order(), 13);
    assert_eq!(Ldr::from_toeplitz_like(&like).unwrap().rank(), 2);
    // Sums and multiples of Toeplitz matrices are Toeplitz.
    let t = Ldr::from_toeplitz(&t).unwrap();
    let sum = t.add(&t.scale(0.5).unwrap()).unwrap();
    assert_eq!(sum.rank(), 2);
}

#[test]
fn recompression_finds_the_rank_and_keeps_within_its_bound() {
    let n = 30;
    for pair in UnitPair::ALL {
        let (m, noise) = (sample::<f64>(pair, n, 3, 51), sample::<f64>(pair, n, 3, 53));
        let sum = m.add(&noise.scale(1e-7).unwrap()).unwrap();
        assert_eq!(sum.rank(), 6);
        let cut = sum.recompress(1e-5).unwrap();
        assert_eq!(cut.rank(), 3);
        let largest = pair.operator::<f64>(n).unwrap().singular_values(&entries(&sum)).unwrap()[0];
        let bound = 3f64.sqrt() * 1e-5 * largest * n as f64 / 2.0;
        assert!(distance(&cut.to_dense().unwrap(), &entries(&sum)) <= bound);
        assert_eq!(sum.recompress(1.0).unwrap().rank(), 0);
        // From the entries.
        let again = Ldr::from_dense(pair, n, &m.to_dense().unwrap(), Truncation::Tolerance(1e-12)).unwrap();
        check(&again, &entries(&m), norm(&entries(&m)), 3);
    }
    // More columns than the order are never kept.
    let many = Generators::new(3, 3, 7, random(21, 1), random(21, 2)).unwrap();
    let d = many.displacement().unwrap();
    let m = Ldr::new(UnitPair::Toeplitz, many).unwrap();
    assert!(m.rank() <= 3);
    assert!(distance(&m.generators().displacement().unwrap(), &d) < 1e-14);
}

#[test]
fn a_chain_of_operations_stays_structured() {
    // The Schur complement and the normal equations of Toeplitz blocks.
    let n = 30;
    let (a, b) = (sample::<f64>(UnitPair::Toeplitz, n, 2, 61), sample::<f64>(UnitPair::Toeplitz, n, 2, 63));
    let (da, db) = (entries(&a), entries(&b));
    let normal = b.transpose().unwrap().multiply(&b).unwrap();
    let dense = product(&transposed(&db, n), &db, n);
    check(&normal, &dense, norm(&db).powi(2), 5);
    let sum = a.add(&normal.under(UnitPair::Toeplitz).unwrap()).unwrap();
    let dense: Vec<f64> = da.iter().zip(&dense).map(|(a, b)| a + b).collect();
    check(&sum, &dense, norm(&da) + norm(&db).powi(2), 9);
}

#[test]
fn bad_input_is_refused_with_its_values() {
    let m = sample::<f64>(UnitPair::Toeplitz, 4, 2, 71);
    let other = sample::<f64>(UnitPair::Hankel, 4, 2, 71);
    let mismatch = Error::OperatorMismatch { from: "(Z_1, Z_−1ᵀ)", to: "(Z_1, Z_−1)" };
    assert_eq!(m.add(&other).unwrap_err(), mismatch);
    assert_eq!(other.under(UnitPair::Toeplitz).unwrap_err(), mismatch);
    let short = sample::<f64>(UnitPair::Toeplitz, 3, 2, 71);
    assert!(matches!(m.add(&short), Err(Error::ShapeMismatch { what: "sum", left_rows: 4, right_rows: 3, .. })));
    assert!(matches!(m.multiply(&short), Err(Error::ShapeMismatch { what: "product", .. })));
    assert!(matches!(m.scale(f64::NAN), Err(Error::NotFinite { what: "factor", .. })));
    assert!(matches!(m.recompress(-1.0), Err(Error::OutOfRange { what: "tolerance", .. })));
    assert!(matches!(m.recompress(f64::NAN), Err(Error::OutOfRange { .. })));
    assert!(matches!(m.apply(&[0.0; 5]), Err(Error::RaggedBatch { row: 4, actual: 5, .. })));
    assert!(matches!(m.scale(1e308).unwrap().scale(1e308), Err(Error::NotFinite { .. })));
    let wide = Generators::new(2, 3, 1, vec![1.0; 2], vec![1.0; 3]).unwrap();
    assert_eq!(Ldr::new(UnitPair::Toeplitz, wide).unwrap_err(), Error::NotSquare { rows: 2, cols: 3 });
    let rectangular = Toeplitz::from_column_and_row(&[1.0, 2.0], &[1.0]).unwrap();
    assert_eq!(Ldr::from_toeplitz(&rectangular).unwrap_err(), Error::NotSquare { rows: 2, cols: 1 });
    assert!(matches!(Ldr::<f64>::identity(0), Err(Error::EmptyShape { .. })));
    let mut bad = m.generators().clone();
    bad.g[1] = f64::INFINITY;
    assert!(matches!(Ldr::new(UnitPair::Toeplitz, bad), Err(Error::NotFinite { index: 1, .. })));
}

#[test]
fn rectangles_are_corners_of_squares_of_little_more_rank() {
    let (m, n) = (7, 11);
    let wide = random_rectangle(m, n, 1);
    let tall = common::transpose(&random_rectangle(m, n, 5), n);
    let square = |entries: &[f64], cols: usize| {
        let at = |i: usize, j: usize| (i < entries.len() / cols && j < cols).then(|| entries[i * cols + j]);
        let padded = matrix(n, |i, j| at(i, j).unwrap_or(0.0));
        Ldr::from_dense(UnitPair::Toeplitz, n, &padded, Truncation::Tolerance(1e-13)).unwrap()
    };
    let (a, b) = (square(&wide, n), square(&tall, m));
    assert!(a.rank() <= 4 && b.rank() <= 6, "{} {}", a.rank(), b.rank());
    let corner = a.multiply(&b).unwrap().to_dense().unwrap();
    for i in 0..m {
        for j in 0..m {
            let expected: f64 = (0..n).map(|k| wide[i * n + k] * tall[k * m + j]).sum();
            assert!((corner[i * n + j] - expected).abs() < 1e-11, "({i}, {j})");
        }
    }
}

/// A Toeplitz-like m×n matrix of rank 2 and order n ≥ m.
fn random_rectangle(m: usize, n: usize, seed: u64) -> Vec<f64> {
    let structure = ToeplitzLike::<f64>::with_order(m, n, 2, n).unwrap();
    let matrix = Matrix::new(Arc::new(structure), random(2 * (m + n), seed)).unwrap();
    matrix.to_dense().unwrap()
}
