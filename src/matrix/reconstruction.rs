//! From a displacement `G Hᵀ` to its matrix and back, in double precision.

use std::fmt::Debug;

/// The linear bijection that takes the displacement `D = G Hᵀ` of an m×n matrix to the matrix, for operators that are fixed.
///
/// This is all that compression needs to know about a family. Matrices are row-major slices of mn numbers, changed in place, in
/// `f64` whatever the type of the parameters.
pub trait Reconstruction: Debug + Send + Sync {
    /// Turns a displacement into its matrix.
    fn reconstruct(&self, displacement: &mut [f64]);

    /// Turns the gradient of a loss in a matrix into that in its displacement: the transpose of
    /// [`Reconstruction::reconstruct`].
    fn pull_back(&self, gradient: &mut [f64]);

    /// Turns a matrix into its displacement: the inverse of [`Reconstruction::reconstruct`].
    fn displace(&self, matrix: &mut [f64]);

    /// Whether the displacement is the matrix, as for low rank; no by default.
    fn is_identity(&self) -> bool {
        false
    }
}

/// A matrix that is its own displacement: the low-rank family.
#[derive(Debug)]
pub(crate) struct Identity;

impl Reconstruction for Identity {
    fn reconstruct(&self, _: &mut [f64]) {}

    fn pull_back(&self, _: &mut [f64]) {}

    fn displace(&self, _: &mut [f64]) {}

    fn is_identity(&self) -> bool {
        true
    }
}
