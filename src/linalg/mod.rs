//! Dense factorizations for the small matrices of this crate: displacements, generators, operator matrices.
//!
//! Blocks of vectors are stored one vector a row throughout, as the generators are.

mod bidiagonal;
mod implicit_qr;
mod qr;
mod randomized;
mod reflectors;
mod schur;
mod svd;

pub(crate) use qr::{Qr, qr, qr_of_columns};
pub(crate) use randomized::randomized;
pub(crate) use reflectors::{Orthonormal, orthonormal};
pub(crate) use schur::{Schur, multiply, quotient};
pub(crate) use svd::{Svd, singular_values, svd};

use crate::Scalar;

/// The transpose of a row-major rows×cols matrix.
pub(crate) fn transpose<T: Copy>(matrix: &[T], rows: usize, cols: usize) -> Vec<T> {
    (0..cols).flat_map(|j| (0..rows).map(move |i| matrix[i * cols + j])).collect()
}

/// The largest absolute value.
pub(crate) fn largest<T: Scalar>(values: &[T]) -> T {
    values.iter().fold(T::zero(), |m, v| m.max(v.abs()))
}

/// Sums that squares are gathered in, so that registers of several numbers can hold them.
const SUMS: usize = 8;

/// The Euclidean norm; scaled where squares overflow, or so small that some may have vanished.
pub(crate) fn norm<T: Scalar>(values: &[T]) -> T {
    let mut sums = [T::zero(); SUMS];
    let chunks = values.chunks_exact(SUMS);
    let rest = chunks.remainder();
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, &v)| *sum += v * v);
    }
    sums.iter_mut().zip(rest).for_each(|(sum, &v)| *sum += v * v);
    let sum: T = sums.into_iter().sum();
    // What n vanished squares lack is at most n ε² of it then.
    if sum.is_finite() && sum >= T::min_positive_value() / T::epsilon() {
        return sum.sqrt();
    }
    let scale = largest(values);
    if scale == T::zero() || !scale.is_finite() {
        return scale;
    }
    scale * values.iter().map(|&v| (v / scale) * (v / scale)).sum::<T>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of numbers whose squares sum up to 4, without and with a power of two that takes the squares, or only some of them, out
    /// of range.
    #[test]
    fn norms_are_those_of_numbers_that_are_scaled() {
        for len in [4, 7, 8, 9, 100] {
            let mut values = vec![1e-3; len];
            let rest = 4.0 - 1e-6 * (len - 1) as f64;
            values[len / 2] = -rest.sqrt();
            for power in [0, 300, 511, 600, 1000, -300, -485, -505, -520, -600, -1000] {
                let scale = 2.0_f64.powi(power);
                let scaled: Vec<f64> = values.iter().map(|v| scale * v).collect();
                let error = (norm(&scaled) / scale - 2.0).abs();
                assert!(error <= 1e-14, "{len} numbers times 2^{power}: {error}");
            }
        }
        for (value, expected) in [(f32::MAX, f32::MAX), (1e-40, 1e-40), (0.0, 0.0), (f32::INFINITY, f32::INFINITY)] {
            assert_eq!(norm(&[value, 0.0]), expected);
        }
        assert!(norm(&[1.0, f64::NAN]).is_nan());
        assert_eq!(norm::<f64>(&[]), 0.0);
    }
}
