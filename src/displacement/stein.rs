//! The Stein displacement operator.

use super::cycle::Equation;
use super::generators::Generators;
use super::operator::OperatorMatrix;
use super::pair::{DisplacementOperator, Pair};
use crate::error::all_finite;
use crate::{Result, Scalar};

/// The Stein displacement operator `Δ_{A,B}(M) = M − A M B` of m×n matrices, A of order m and B of order n.
///
/// It is singular if a product of an eigenvalue of A and one of B is 1.
///
/// Toeplitz matrices have rank at most 2 under (Z_1, Z_−1ᵀ), as under the Sylvester operator of (Z_1, Z_−1): for an
/// invertible A, `∇_{A,B}(M) = A Δ_{A⁻¹,B}(M)`, of the same rank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stein<A, B> {
    a: A,
    b: B,
}

impl<A, B> Stein<A, B> {
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

impl<A, B> Stein<A, B> {
    fn pair<T: Scalar>(&self) -> Pair<'_, T>
    where
        A: OperatorMatrix<T>,
        B: OperatorMatrix<T>,
    {
        Pair { a: &self.a, b: &self.b }
    }
}

impl<T: Scalar, A: OperatorMatrix<T>, B: OperatorMatrix<T>> DisplacementOperator<T> for Stein<A, B> {
    fn rows(&self) -> usize {
        self.a.order()
    }

    fn cols(&self) -> usize {
        self.b.order()
    }

    fn norm_bound(&self) -> Result<T> {
        Ok(T::one() + self.a.norm_bound()? * self.b.norm_bound()?)
    }

    fn displace(&self, matrix: &[T]) -> Result<Vec<T>> {
        let pair = self.pair();
        pair.check(matrix)?;
        let product = pair.right(&pair.left(matrix)?)?;
        let displaced: Vec<T> = matrix.iter().zip(product).map(|(&m, p)| m - p).collect();
        all_finite("displacement", &displaced)?;
        Ok(displaced)
    }

    fn reconstruct(&self, generators: &Generators<T>) -> Result<Vec<T>> {
        self.pair().reconstruct(Equation::Stein, generators)
    }
}
