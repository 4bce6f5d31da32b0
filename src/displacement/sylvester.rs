//! The Sylvester displacement operator.

use super::cycle::Equation;
use super::generators::Generators;
use super::operator::OperatorMatrix;
use super::pair::{DisplacementOperator, Pair};
use crate::error::all_finite;
use crate::{Result, Scalar};

/// The Sylvester displacement operator `∇_{A,B}(M) = A M − M B` of m×n matrices, A of order m and B of order n.
///
/// It is singular if A and B have a common eigenvalue.
///
/// | matrices | (A, B) | rank at most |
/// | --- | --- | --- |
/// | circulant, skew-circulant | (Z_1, Z_−1) | 1 |
/// | Toeplitz | (Z_1, Z_−1) | 2 |
/// | Hankel | (Z_1, Z_0ᵀ) | 2 |
/// | Toeplitz + Hankel | (Y_00, Y_11) | 4 |
/// | Vandermonde, nodes v | (D(v), Z_f) | 1 |
/// | Cauchy, nodes s and t | (D(s), D(t)) | 1 |
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sylvester<A, B> {
    a: A,
    b: B,
}

impl<A, B> Sylvester<A, B> {
    /// The operator of two operator matrices.
    pub fn new(a: A, b: B) -> Self {
        Self { a, b }
    }

    /// The operator matrix A.
    pub fn a(&self) -> &A {
        &self.a
    }

    /// The operator matrix B.
    pub fn b(&self) -> &B {
        &self.b
    }
}

impl<A, B> Sylvester<A, B> {
    fn pair<T: Scalar>(&self) -> Pair<'_, T>
    where
        A: OperatorMatrix<T>,
        B: OperatorMatrix<T>,
    {
        Pair { a: &self.a, b: &self.b }
    }
}

impl<T: Scalar, A: OperatorMatrix<T>, B: OperatorMatrix<T>> DisplacementOperator<T> for Sylvester<A, B> {
    fn rows(&self) -> usize {
        self.a.order()
    }

    fn cols(&self) -> usize {
        self.b.order()
    }

    fn norm_bound(&self) -> Result<T> {
        Ok(self.a.norm_bound()? + self.b.norm_bound()?)
    }

    fn displace(&self, matrix: &[T]) -> Result<Vec<T>> {
        let pair = self.pair();
        pair.check(matrix)?;
        let (left, right) = (pair.left(matrix)?, pair.right(matrix)?);
        let displaced: Vec<T> = left.into_iter().zip(right).map(|(l, r)| l - r).collect();
        all_finite("displacement", &displaced)?;
        Ok(displaced)
    }

    fn reconstruct(&self, generators: &Generators<T>) -> Result<Vec<T>> {
        self.pair().reconstruct(Equation::Sylvester, generators)
    }
}
