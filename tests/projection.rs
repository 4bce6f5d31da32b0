//! Dense matrices become Toeplitz-like and Hankel-like ones exactly where the rank allows it.

#[path = "common/families.rs"]
#[allow(dead_code, reason = "these tests need only a few of the helpers")]
mod common;

use common::{distance, norm, random};
use displace::ldr::{HankelLike, ToeplitzLike};
use displace::{Error, Scalar};

/// Rounding of the displacement, of its decomposition and of the sums along diagonals of N entries.
fn tolerance<T: Scalar>(rows: usize, cols: usize) -> f64 {
    50.0 * T::epsilon().wide() * ((rows + cols) as f64)
}

fn wide<T: Scalar>(entries: &[T]) -> Vec<f64> {
    entries.iter().map(|e| e.wide()).collect()
}

fn exact_at_full_rank<T: Scalar>(rows: usize, cols: usize) {
    let entries = random::<T>(rows * cols, 1);
    let rank = rows.min(cols);
    let dense = wide(&entries);
    let toeplitz = ToeplitzLike::from_dense(rows, cols, rank, &entries).unwrap().to_dense().unwrap();
    let hankel = HankelLike::from_dense(rows, cols, rank, &entries).unwrap().to_dense().unwrap();
    for got in [toeplitz, hankel] {
        assert!(distance(&got, &dense) <= tolerance::<T>(rows, cols) * norm(&dense), "{rows}×{cols}");
    }
}

#[test]
fn every_matrix_is_toeplitz_like_and_hankel_like_at_full_rank() {
    for (rows, cols) in [(1, 1), (1, 4), (4, 1), (2, 2), (5, 7), (7, 5), (16, 16), (13, 40), (40, 13)] {
        exact_at_full_rank::<f32>(rows, cols);
        exact_at_full_rank::<f64>(rows, cols);
    }
}

fn exact_at_rank_two<T: Scalar>(rows: usize, cols: usize) {
    let t = random::<T>(rows + cols - 1, 2);
    let toeplitz: Vec<T> = (0..rows).flat_map(|i| (0..cols).map(move |j| i + cols - 1 - j)).map(|k| t[k]).collect();
    let hankel: Vec<T> = (0..rows).flat_map(|i| (0..cols).map(move |j| i + j)).map(|k| t[k]).collect();
    let rank = 2.min(rows).min(cols);
    let got = ToeplitzLike::from_dense(rows, cols, rank, &toeplitz).unwrap().to_dense().unwrap();
    let dense = wide(&toeplitz);
    assert!(distance(&got, &dense) <= tolerance::<T>(rows, cols) * norm(&dense), "Toeplitz {rows}×{cols}");
    let got = HankelLike::from_dense(rows, cols, rank, &hankel).unwrap().to_dense().unwrap();
    let dense = wide(&hankel);
    assert!(distance(&got, &dense) <= tolerance::<T>(rows, cols) * norm(&dense), "Hankel {rows}×{cols}");
}

#[test]
fn every_toeplitz_and_hankel_matrix_has_rank_two() {
    for (rows, cols) in [(1, 1), (2, 3), (3, 2), (8, 8), (5, 19), (19, 5), (31, 31), (100, 130)] {
        exact_at_rank_two::<f32>(rows, cols);
        exact_at_rank_two::<f64>(rows, cols);
    }
}

#[test]
fn a_matrix_of_the_rank_comes_back() {
    for (rows, cols, rank) in [(9, 9, 3), (12, 7, 2), (60, 90, 3)] {
        let (g, h) = (random::<f64>(rank * rows, 3), random::<f64>(rank * cols, 4));
        let dense = ToeplitzLike::from_generators(rows, cols, rank, &g, &h).unwrap().to_dense().unwrap();
        let again = ToeplitzLike::from_dense(rows, cols, rank, &dense).unwrap().to_dense().unwrap();
        assert!(distance(&again, &dense) <= tolerance::<f64>(rows, cols) * norm(&dense), "{rows}×{cols}");
    }
}

#[test]
fn bad_entries_are_refused() {
    let refused = ToeplitzLike::from_dense(2, 2, 1, &[1.0, 2.0, 3.0]).err();
    assert_eq!(refused, Some(Error::Length { what: "entries", expected: 4, actual: 3 }));
    let refused = HankelLike::from_dense(1, 2, 1, &[1.0, f64::NAN]).err();
    assert!(matches!(refused, Some(Error::NotFinite { what: "entries", index: 1, .. })));
    let refused = ToeplitzLike::from_dense(2, 2, 3, &[0.0; 4]).err();
    assert_eq!(refused, Some(Error::RankTooLarge { rank: 3, max: 2, rows: 2, cols: 2 }));
}
