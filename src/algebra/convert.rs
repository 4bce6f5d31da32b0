//! From and to the families of matrices.

use std::sync::Arc;

use super::closure::unit;
use super::ldr::Ldr;
use super::pair::{UnitPair, UnitShift};
use crate::ldr::ToeplitzLike;
use crate::matrix::{Family, Matrix, Structure};
use crate::shape::Shape;
use crate::structured::{Hankel, Toeplitz};
use crate::transform::Order;
use crate::{Error, Result, Scalar};

/// The Z_−1 of the Toeplitz pair.
const NEGATIVE: UnitShift = UnitShift { positive: false, transposed: false };

impl<T: Scalar> Ldr<T> {
    /// A square Toeplitz matrix, exactly, of rank 2 under [`UnitPair::Toeplitz`], in O(n).
    ///
    /// # Errors
    ///
    /// [`Error::NotSquare`], [`Error::NotFinite`] for sums that overflow, [`Error::Memory`].
    pub fn from_toeplitz(matrix: &Matrix<T, Toeplitz<T>>) -> Result<Self> {
        let n = square(matrix)?;
        Self::from_diagonals(n, matrix.parameters())
    }

    /// A square Hankel matrix, exactly, of rank 2 under [`UnitPair::Hankel`], in O(n).
    ///
    /// # Errors
    ///
    /// As for [`Ldr::from_toeplitz`].
    pub fn from_hankel(matrix: &Matrix<T, Hankel<T>>) -> Result<Self> {
        let n = square(matrix)?;
        Self::from_diagonals(n, matrix.parameters())?.reverse_columns()
    }

    /// The identity, of rank 1 under [`UnitPair::Toeplitz`].
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`] for order 0, [`Error::TooLarge`], [`Error::Memory`].
    pub fn identity(order: usize) -> Result<Self> {
        let shape = Shape::new(order, order)?;
        shape.check_rank(1)?;
        shape.check_transform::<T>(order)?;
        let two = T::one() + T::one();
        Self::of(UnitPair::Toeplitz, order, unit(order, 0, two), unit(order, order - 1, T::one()))
    }

    /// A square Toeplitz-like or Hankel-like matrix, under [`UnitPair::Toeplitz`] or [`UnitPair::Hankel`].
    ///
    /// The generators are taken as they are, of rank r, where the order N of the matrix's transforms is n. Otherwise
    /// its displacement on the torus of order N differs from that of order n in its first row and column, so that the
    /// rank is r + 2 at most; four products find them.
    ///
    /// # Errors
    ///
    /// [`Error::NotSquare`], [`Error::NotFinite`] for products that overflow, [`Error::Memory`].
    pub fn from_toeplitz_like(matrix: &Matrix<T, ToeplitzLike<T>>) -> Result<Self> {
        let n = square(matrix)?;
        let reversed = matrix.structure().family() == Family::HankelLike;
        let (g, h) = matrix.parameters().split_at(matrix.parameters().len() / 2);
        let like = if matrix.structure().order() == n {
            Self::of_stein(n, g.to_vec(), h.to_vec())?
        } else {
            let (first, last) = if reversed { (n - 1, 0) } else { (0, n - 1) };
            let columns = matrix.apply(&[unit(n, first, T::one()), unit(n, last, T::one())].concat())?;
            let mut rows = matrix.apply_transposed(&[unit(n, 0, T::one()), unit(n, n - 1, T::one())].concat())?;
            if reversed {
                rows.chunks_exact_mut(n).for_each(<[T]>::reverse);
            }
            Self::of_torus(n, g, h, &rows, &columns)?
        };
        if reversed { like.reverse_columns() } else { Ok(like) }
    }

    /// A Toeplitz-like or Hankel-like matrix whose transforms have order n, with the same entries. Of the same rank
    /// under the pairs of these families, [`UnitPair::Toeplitz`] and [`UnitPair::Hankel`], and of rank r + 2 at most
    /// otherwise.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] for numbers that overflow, [`Error::Memory`].
    pub fn to_toeplitz_like(&self) -> Result<Matrix<T, ToeplitzLike<T>>> {
        let n = self.order();
        let (pair, order) = match self.pair().is_hankel() {
            false => (UnitPair::Toeplitz, Order::Natural),
            true => (UnitPair::Hankel, Order::Reversed),
        };
        let matrix = self.under(pair)?;
        let structure = ToeplitzLike::with_columns(n, n, matrix.rank(), n, order)?;
        Matrix::new(Arc::new(structure), matrix.core().parameters().to_vec())
    }

    /// From the generators of `M − Z_1 M Z_−1ᵀ = G Hᵀ`, that is `Z_1 M − M Z_−1 = −G (Z_−1ᵀ H)ᵀ`.
    fn of_stein(order: usize, g: Vec<T>, h: Vec<T>) -> Result<Self> {
        let g = g.into_iter().map(|g| -g).collect();
        Self::of(UnitPair::Toeplitz, order, g, NEGATIVE.transpose().times(h, order))
    }

    /// From the diagonals `t_{−(n−1)}` to `t_{n−1}`: the displacement is zero but for its first row and column.
    fn from_diagonals(order: usize, diagonals: &[T]) -> Result<Self> {
        let n = order;
        let (above, below) = diagonals.split_at(n - 1);
        // M_0j − M_{n−1,j−1} and M_i0 + M_{i−1,n−1}, and the corner, which is 2 t_0.
        let row = (0..n).map(|j| if j == 0 { below[0] + below[0] } else { above[n - 1 - j] - below[n - j] });
        let column = (0..n).map(|i| if i == 0 { T::zero() } else { below[i] + above[i - 1] });
        let first = unit(n, 0, T::one());
        let (g, h) = (first.iter().copied().chain(column).collect(), row.chain(first.iter().copied()).collect());
        Self::of_stein(n, g, h)
    }

    /// From generators on a larger torus, and the first and last row and column of the matrix.
    fn of_torus(order: usize, g: &[T], h: &[T], rows: &[T], columns: &[T]) -> Result<Self> {
        let n = order;
        let without_first = |block: &[T]| {
            let mut block = block.to_vec();
            block.iter_mut().step_by(n).for_each(|x| *x = T::zero());
            block
        };
        let ((top, bottom), (left, right)) = (rows.split_at(n), columns.split_at(n));
        let corner = top[0] + bottom[n - 1];
        let row = (0..n).map(|j| if j == 0 { corner } else { top[j] - bottom[j - 1] });
        let column = (0..n).map(|i| if i == 0 { T::zero() } else { left[i] + right[i - 1] });
        let first = unit(n, 0, T::one());
        let g = without_first(g).into_iter().chain(first.iter().copied()).chain(column).collect();
        let h = without_first(h).into_iter().chain(row).chain(first.iter().copied()).collect();
        Self::of_stein(n, g, h)?.rounded()
    }
}

/// The order of a square matrix.
pub(super) fn square<T: Scalar, S: Structure<T>>(matrix: &Matrix<T, S>) -> Result<usize> {
    let (rows, cols) = (matrix.rows(), matrix.cols());
    if rows == cols { Ok(rows) } else { Err(Error::NotSquare { rows, cols }) }
}
