//! Hankel-like matrices: Toeplitz-like ones with their columns in reversed order, `M = T J`.
//!
//! Every Hankel matrix is Hankel-like at r = 2, and every m×n matrix at r = min(m, n). *Parameters*, *cost* and *accuracy* are
//! those of [`ToeplitzLike`]; the reversal is fused with reading the inputs. *Choose it* where entries depend on i + j rather
//! than on i − j, as for mirrored inputs; on images it trains to about the same accuracy.

use std::sync::Arc;

use super::ToeplitzLike;
use crate::matrix::{Matrix, Structure};
use crate::transform::{Order, fast_length};
use crate::{Result, Scalar};

/// Constructors of Hankel-like matrices, whose structure is a [`ToeplitzLike`] that reads its inputs backwards.
#[derive(Debug)]
pub struct HankelLike;

impl HankelLike {
    /// A Hankel-like m×n matrix of displacement rank `rank`, from 0 to min(m, n), without parameters.
    ///
    /// # Errors
    ///
    /// As for [`ToeplitzLike::new`].
    #[expect(clippy::new_ret_no_self, reason = "the structure is shared with Toeplitz-like matrices")]
    pub fn new<T: Scalar>(rows: usize, cols: usize, rank: usize) -> Result<ToeplitzLike<T>> {
        Self::with_order(rows, cols, rank, fast_length(rows.max(cols)))
    }

    /// The same with an order N of your own.
    ///
    /// # Errors
    ///
    /// As for [`ToeplitzLike::with_order`].
    pub fn with_order<T: Scalar>(rows: usize, cols: usize, rank: usize, order: usize) -> Result<ToeplitzLike<T>> {
        ToeplitzLike::with_columns(rows, cols, rank, order, Order::Reversed)
    }

    /// The matrix of the generators whose columns are the rows of `g` (r×m) and `h` (r×n).
    ///
    /// # Errors
    ///
    /// As for [`ToeplitzLike::from_generators`].
    pub fn from_generators<T: Scalar>(
        rows: usize,
        cols: usize,
        rank: usize,
        g: &[T],
        h: &[T],
    ) -> Result<Matrix<T, ToeplitzLike<T>>> {
        let structure = Self::new(rows, cols, rank)?;
        crate::error::has_length("G", g, rank * structure.rows())?;
        crate::error::has_length("H", h, rank * structure.cols())?;
        Matrix::new(Arc::new(structure), [g, h].concat())
    }

    /// Projects a dense m×n matrix to displacement rank `rank`; see [`ToeplitzLike::from_dense`] for what that is worth.
    ///
    /// # Errors
    ///
    /// As for [`ToeplitzLike::from_dense`].
    pub fn from_dense<T: Scalar>(
        rows: usize,
        cols: usize,
        rank: usize,
        entries: &[T],
    ) -> Result<Matrix<T, ToeplitzLike<T>>> {
        Self::new(rows, cols, rank)?.project(entries)
    }
}
