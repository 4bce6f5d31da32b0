//! Toeplitz matrices, `M_ij = t_{i−j}`.
//!
//! An m×n Toeplitz matrix has m + n − 1 parameters, one a diagonal, and displacement rank at most 2 under (Z_1, Z_−1).
//!
//! *Cost:* one forward and one inverse transform of a fast length N ≥ m + n − 1. *Accuracy:* that of the FFT. *Choose it* for
//! stationary filters, and as a layer where position matters less than distance.

use std::sync::Arc;

use super::convolution::{Convolution, ConvolutionFamily};
use crate::matrix::{Family, Layout, Matrix};
use crate::shape::Shape;
use crate::transform::{Order, Wrap, fast_length};
use crate::{Error, Result, Scalar};

/// The structure of an m×n Toeplitz matrix: m + n − 1 parameters, `"t"`, from the top right diagonal `t_{−(n−1)}` to the
/// bottom left one `t_{m−1}`.
#[derive(Debug)]
pub struct Toeplitz<T: Scalar> {
    engine: Convolution<T>,
    layout: Layout,
}

impl<T: Scalar> Toeplitz<T> {
    /// An m×n Toeplitz matrix without parameters.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::TooLarge`] or [`Error::Memory`].
    pub fn new(rows: usize, cols: usize) -> Result<Self> {
        let shape = Shape::new(rows, cols)?;
        let order = fast_length(rows + cols - 1);
        shape.check_transform::<T>(order)?;
        Ok(Self {
            engine: Convolution::new(shape, order, Wrap::Cyclic, &[Order::Natural]),
            layout: Layout::new().with("t", &[rows + cols - 1]),
        })
    }

    /// The Toeplitz matrix with this first column (length m) and first row (length n).
    ///
    /// # Errors
    ///
    /// As for [`Toeplitz::new`]; [`Error::Contradiction`] when their first numbers differ, [`Error::NotFinite`].
    ///
    /// ```
    /// let t = displace::structured::Toeplitz::from_column_and_row(&[1.0, 2.0], &[1.0, 3.0, 4.0])?;
    /// assert_eq!(t.to_dense()?, [1.0, 3.0, 4.0, 2.0, 1.0, 3.0]);
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_column_and_row(column: &[T], row: &[T]) -> Result<Matrix<T, Self>> {
        let structure = Self::new(column.len(), row.len())?;
        if column[0] != row[0] && column[0].is_finite() && row[0].is_finite() {
            let (first, second) = (column[0].wide(), row[0].wide());
            return Err(Error::Contradiction { what: "the first entry of the column and of the row", first, second });
        }
        Matrix::new(Arc::new(structure), row.iter().rev().chain(&column[1..]).copied().collect())
    }
}

/// Writes the diagonals, from the top right one, as the first column of a circulant.
pub(super) fn write<T: Scalar>(diagonals: &[T], cols: usize, kernel: &mut [T]) {
    let (above, below) = diagonals.split_at(cols - 1);
    kernel[..below.len()].copy_from_slice(below);
    let start = kernel.len() - above.len();
    kernel[start..].copy_from_slice(above);
}

/// Undoes [`write`], adding.
pub(super) fn pull_back<T: Scalar>(kernel: &[T], cols: usize, gradient: &mut [T]) {
    let (above, below) = gradient.split_at_mut(cols - 1);
    below.iter_mut().zip(kernel).for_each(|(g, &k)| *g += k);
    let start = kernel.len() - above.len();
    above.iter_mut().zip(&kernel[start..]).for_each(|(g, &k)| *g += k);
}

impl<T: Scalar> ConvolutionFamily for Toeplitz<T> {
    type Number = T;

    fn kind(&self) -> Family {
        Family::Toeplitz
    }

    fn tensors(&self) -> &Layout {
        &self.layout
    }

    fn engine(&self) -> &Convolution<T> {
        &self.engine
    }

    fn write_kernel(&self, parameters: &[T], _: usize, kernel: &mut [T]) {
        write(parameters, self.engine.shape.cols, kernel);
    }

    fn pull_back_kernel(&self, kernel: &[T], _: usize, gradient: &mut [T]) {
        pull_back(kernel, self.engine.shape.cols, gradient);
    }
}
