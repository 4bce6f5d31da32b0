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

/// The Euclidean norm, scaled so that squares neither overflow nor vanish.
pub(crate) fn norm<T: Scalar>(values: &[T]) -> T {
    let scale = largest(values);
    if scale == T::zero() || !scale.is_finite() {
        return scale;
    }
    scale * values.iter().map(|&v| (v / scale) * (v / scale)).sum::<T>().sqrt()
}
