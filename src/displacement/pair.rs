//! The trait of displacement operators, and what its two kinds share.

use super::cycle::{self, Equation};
use super::generators::{Generators, Truncation};
use super::operator::OperatorMatrix;
use super::schur;
use crate::error::{all_finite, has_length};
use crate::linalg::{norm, singular_values, transpose};
use crate::shape::Shape;
use crate::{Error, Result, Scalar};

/// A linear map of m×n matrices to m×n matrices that reveals structure as low rank. Matrices are row-major slices.
///
/// Object-safe; the two kinds are [`Sylvester`](super::Sylvester) and [`Stein`](super::Stein).
pub trait DisplacementOperator<T: Scalar> {
    /// Rows m of the matrices that it displaces, the order of A.
    fn rows(&self) -> usize;

    /// Columns n of the matrices that it displaces, the order of B.
    fn cols(&self) -> usize;

    /// A bound on the factor by which the operator can enlarge a matrix: `‖A‖ + ‖B‖` for Sylvester, `1 + ‖A‖ ‖B‖` for Stein,
    /// with bounds on the spectral norms.
    ///
    /// # Errors
    /// Those of [`OperatorMatrix::norm_bound`].
    fn norm_bound(&self) -> Result<T>;

    /// The displacement of an m×n matrix, m×n: m products with B and n with A.
    ///
    /// # Errors
    /// [`Error::Length`] for a slice that is not m×n, [`Error::NotFinite`] for numbers that are not finite, or that
    /// overflow on the way; those of a user's operator matrix.
    fn displace(&self, matrix: &[T]) -> Result<Vec<T>>;

    /// The matrix that has the displacement `G Hᵀ`.
    ///
    /// O(mn) beyond the O(mnr) for `G Hᵀ` where both A and B are weighted cyclic shifts (see
    /// [`cycle`](OperatorMatrix::cycle)): shifts, diagonals, subdiagonals and their transposes. Otherwise O(m³ + n³)
    /// and three complex n×n or m×m matrices, by Schur decompositions. Both compute in double precision. The result is as
    /// accurate as the equation is well conditioned: an error in the generators can grow by the inverse of the smallest
    /// difference of eigenvalues, or more if the operator matrices are not normal.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] for generators of another shape, those of [`Generators::displacement`],
    /// [`Error::SingularDisplacement`] where the displacement does not determine the matrix to working precision,
    /// [`Error::NoConvergence`] if an eigenvalue iteration fails, [`Error::NotFinite`] where the result overflows; those of the
    /// operator matrices.
    fn reconstruct(&self, generators: &Generators<T>) -> Result<Vec<T>>;

    /// The relative tolerance for a rank decision about a matrix that is exact to rounding: `8 max(m, n) ε`.
    fn default_tolerance(&self) -> T {
        T::of(8.0 * self.rows().max(self.cols()) as f64) * T::epsilon()
    }

    /// The singular values of the displacement, min(m, n) of them, descending, in O(mn min(m, n)).
    ///
    /// # Errors
    /// Those of [`displace`](Self::displace).
    fn singular_values(&self, matrix: &[T]) -> Result<Vec<T>> {
        let (rows, cols) = (self.rows(), self.cols());
        let d = self.displace(matrix)?;
        has_length("the displacement", &d, rows.saturating_mul(cols))?;
        Ok(singular_values(&d, rows, cols))
    }

    /// The displacement rank: how many singular values of the displacement exceed
    /// `tolerance · norm_bound · ‖M‖_F`, with the Frobenius norm. The scale is that of the terms that the displacement
    /// subtracts, so that their rounding does not count; [`default_tolerance`](Self::default_tolerance) suits matrices
    /// that are exact to rounding. In O(mn min(m, n)).
    ///
    /// # Errors
    /// Those of [`displace`](Self::displace) and [`norm_bound`](Self::norm_bound); [`Error::OutOfRange`] for a tolerance that is
    /// negative or not a number.
    fn rank(&self, matrix: &[T], tolerance: T) -> Result<usize> {
        let threshold = self.threshold(matrix, tolerance)?;
        Ok(above(&self.singular_values(matrix)?, threshold))
    }

    /// Generators of the displacement of a matrix: its singular value decomposition, truncated, with the square root of
    /// each singular value in G and in H. In O(mn min(m, n)).
    ///
    /// The truncation is the best one for the *displacement*. Reconstructing a matrix from truncated generators can
    /// amplify what was cut.
    ///
    /// # Errors
    /// Those of [`rank`](Self::rank); [`Error::RankTooLarge`] for a rank above min(m, n).
    fn generators(&self, matrix: &[T], truncation: Truncation<T>) -> Result<Generators<T>> {
        let (rows, cols) = (self.rows(), self.cols());
        let d = self.displace(matrix)?;
        has_length("the displacement", &d, rows.saturating_mul(cols))?;
        match truncation {
            Truncation::Rank(rank) => {
                Shape::new(rows, cols)?.check_rank(rank)?;
                Ok(Generators::truncated(&d, rows, cols, |_| rank))
            }
            Truncation::Tolerance(tolerance) => {
                let threshold = self.threshold(matrix, tolerance)?;
                Ok(Generators::truncated(&d, rows, cols, |s| above(s, threshold)))
            }
        }
    }

    /// The threshold for singular values of the displacement of a matrix: `tolerance · norm_bound · ‖M‖_F`.
    ///
    /// # Errors
    /// Those of [`rank`](Self::rank).
    fn threshold(&self, matrix: &[T], tolerance: T) -> Result<T> {
        if tolerance.is_nan() || tolerance < T::zero() {
            return Err(Error::OutOfRange { what: "tolerance", value: tolerance.wide(), range: "0.." });
        }
        Ok(tolerance * self.norm_bound()? * norm(matrix))
    }
}

fn above<T: Scalar>(values: &[T], threshold: T) -> usize {
    values.iter().filter(|&&s| s > threshold).count()
}

/// A and B as references, for what does not depend on their types.
pub(super) struct Pair<'a, T> {
    pub a: &'a dyn OperatorMatrix<T>,
    pub b: &'a dyn OperatorMatrix<T>,
}

impl<T: Scalar> Pair<'_, T> {
    /// Refuses a slice that is not an m×n matrix of finite numbers.
    pub fn check(&self, matrix: &[T]) -> Result<()> {
        let (rows, cols) = (self.a.order(), self.b.order());
        Shape::new(rows, cols)?;
        let size = rows.checked_mul(cols).ok_or(Error::TooLarge { rows, cols, rank: None })?;
        has_length("matrix", matrix, size)?;
        all_finite("matrix", matrix)
    }

    /// `A M`.
    pub fn left(&self, matrix: &[T]) -> Result<Vec<T>> {
        let (m, n) = (self.a.order(), self.b.order());
        let columns = transpose(matrix, m, n);
        let mut product = vec![T::zero(); m * n];
        for (x, y) in columns.chunks_exact(m).zip(product.chunks_exact_mut(m)) {
            self.a.apply(x, y)?;
        }
        Ok(transpose(&product, n, m))
    }

    /// `M B`.
    pub fn right(&self, matrix: &[T]) -> Result<Vec<T>> {
        let n = self.b.order();
        let mut product = vec![T::zero(); matrix.len()];
        for (x, y) in matrix.chunks_exact(n).zip(product.chunks_exact_mut(n)) {
            self.b.apply_transposed(x, y)?;
        }
        Ok(product)
    }

    pub fn reconstruct(&self, equation: Equation, generators: &Generators<T>) -> Result<Vec<T>> {
        let (m, n) = (self.a.order(), self.b.order());
        if (generators.rows, generators.cols) != (m, n) {
            return Err(Error::ShapeMismatch {
                what: "reconstruction",
                left_rows: m,
                left_cols: n,
                right_rows: generators.rows,
                right_cols: generators.cols,
            });
        }
        let d = generators.displacement()?;
        let matrix = match (self.a.cycle()?, self.b.cycle()?) {
            (Some(a), Some(b)) if a.weights().len() == m && b.weights().len() == n => cycle::solve(equation, &a, b, &d),
            _ => schur::solve(equation, self.a, self.b, &d).and_then(|matrix| {
                self.refuse_undetermined(equation, &d, &matrix)?;
                Ok(matrix)
            }),
        }?;
        all_finite("reconstruction", &matrix)?;
        Ok(matrix)
    }

    /// Refuses a matrix so much larger than its displacement that rounding it changes that by as much as there is of it: far
    /// from normal, as nearly nilpotent operator matrices are, the equation is singular although eigenvalues differ. Only for
    /// solutions that are accurate in norm: along cycles each entry is.
    fn refuse_undetermined(&self, equation: Equation, displacement: &[T], matrix: &[T]) -> Result<()> {
        let [a, b] = [self.a.norm_bound()?.wide(), self.b.norm_bound()?.wide()];
        let scale = match equation {
            Equation::Sylvester => a + b,
            Equation::Stein => 1.0 + a * b,
        };
        let (size, value) = (scale * norm(matrix).wide(), norm(displacement).wide());
        if size.is_finite() && value <= T::epsilon().wide() * size && size > 0.0 {
            let quantity = "the displacement of a matrix of norm 1";
            return Err(Error::SingularDisplacement { quantity, value: value / norm(matrix).wide() });
        }
        Ok(())
    }
}

impl<T: Scalar, D: DisplacementOperator<T> + ?Sized> DisplacementOperator<T> for &D {
    fn rows(&self) -> usize {
        (**self).rows()
    }

    fn cols(&self) -> usize {
        (**self).cols()
    }

    fn norm_bound(&self) -> Result<T> {
        (**self).norm_bound()
    }

    fn displace(&self, matrix: &[T]) -> Result<Vec<T>> {
        (**self).displace(matrix)
    }

    fn reconstruct(&self, generators: &Generators<T>) -> Result<Vec<T>> {
        (**self).reconstruct(generators)
    }
}
