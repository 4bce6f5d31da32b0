//! Hankel matrices, `M_ij = h_{i+j}`, and sums of a Toeplitz and a Hankel matrix.
//!
//! An m×n Hankel matrix is a Toeplitz matrix with its columns in reversed order; it has m + n − 1 parameters, one an
//! antidiagonal, and displacement rank at most 2 under (Z_1, Z_0ᵀ). A Toeplitz+Hankel matrix has twice as many and
//! displacement rank at most 4 under (Y_00, Y_11); the two parts share a constant on every other diagonal, so that
//! different parameters can stand for the same matrix.
//!
//! *Cost:* as for Toeplitz; the sum takes one more forward transform. *Choose them* for moment and
//! system-identification problems, and for layers whose inputs are mirrored; the sum for convolutions with reflecting
//! boundaries.

use std::sync::Arc;

use super::convolution::{Convolution, ConvolutionFamily};
use super::toeplitz;
use crate::error::has_length;
use crate::matrix::{Family, Layout, Matrix};
use crate::shape::Shape;
use crate::transform::{Order, Wrap, fast_length};
use crate::{Error, Result, Scalar};

/// The structure of an m×n Hankel matrix: m + n − 1 parameters, `"h"`, from the top left antidiagonal to the bottom right
/// one.
#[derive(Debug)]
pub struct Hankel<T: Scalar> {
    engine: Convolution<T>,
    layout: Layout,
}

impl<T: Scalar> Hankel<T> {
    /// An m×n Hankel matrix without parameters.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::TooLarge`] or [`Error::Memory`].
    pub fn new(rows: usize, cols: usize) -> Result<Self> {
        let shape = Shape::new(rows, cols)?;
        let order = fast_length(rows + cols - 1);
        shape.check_transform::<T>(order)?;
        Ok(Self {
            engine: Convolution::new(shape, order, Wrap::Cyclic, &[Order::Reversed]),
            layout: Layout::new().with("h", &[rows + cols - 1]),
        })
    }

    /// The Hankel matrix with this first column (length m) and last row (length n).
    ///
    /// # Errors
    ///
    /// As for [`Hankel::new`]; [`Error::Contradiction`] when the last number of the column is not the first one of the
    /// row, [`Error::NotFinite`].
    ///
    /// ```
    /// let h = displace::structured::Hankel::from_column_and_row(&[1.0, 2.0], &[2.0, 3.0, 4.0])?;
    /// assert_eq!(h.to_dense()?, [1.0, 2.0, 3.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_column_and_row(column: &[T], row: &[T]) -> Result<Matrix<T, Self>> {
        let structure = Self::new(column.len(), row.len())?;
        let corner = column[column.len() - 1];
        if corner != row[0] && corner.is_finite() && row[0].is_finite() {
            let (first, second) = (corner.wide(), row[0].wide());
            return Err(Error::Contradiction {
                what: "the last entry of the column and the first of the row",
                first,
                second,
            });
        }
        Matrix::new(Arc::new(structure), column.iter().chain(&row[1..]).copied().collect())
    }
}

impl<T: Scalar> ConvolutionFamily for Hankel<T> {
    type Number = T;

    fn kind(&self) -> Family {
        Family::Hankel
    }

    fn tensors(&self) -> &Layout {
        &self.layout
    }

    fn engine(&self) -> &Convolution<T> {
        &self.engine
    }

    fn write_kernel(&self, parameters: &[T], _: usize, kernel: &mut [T]) {
        toeplitz::write(parameters, self.engine.shape.cols, kernel);
    }

    fn pull_back_kernel(&self, kernel: &[T], _: usize, gradient: &mut [T]) {
        toeplitz::pull_back(kernel, self.engine.shape.cols, gradient);
    }
}

/// The structure of the sum of a Toeplitz and a Hankel m×n matrix: 2(m + n − 1) parameters, the tensors `"t"` and `"h"` of
/// [`Toeplitz`](super::Toeplitz) and [`Hankel`].
#[derive(Debug)]
pub struct ToeplitzPlusHankel<T: Scalar> {
    engine: Convolution<T>,
    layout: Layout,
}

impl<T: Scalar> ToeplitzPlusHankel<T> {
    /// An m×n Toeplitz+Hankel matrix without parameters.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::TooLarge`] or [`Error::Memory`].
    pub fn new(rows: usize, cols: usize) -> Result<Self> {
        let shape = Shape::new(rows, cols)?;
        let order = fast_length(rows + cols - 1);
        shape.check_transform::<T>(order)?;
        let diagonals = rows + cols - 1;
        Ok(Self {
            engine: Convolution::new(shape, order, Wrap::Cyclic, &[Order::Natural, Order::Reversed]),
            layout: Layout::new().with("t", &[diagonals]).with("h", &[diagonals]),
        })
    }

    /// The m×n matrix `t_{i−j} + h_{i+j}`, with `toeplitz` from the top right diagonal and `hankel` from the top left
    /// antidiagonal, m + n − 1 numbers each.
    ///
    /// # Errors
    ///
    /// As for [`ToeplitzPlusHankel::new`], [`Error::Length`] or [`Error::NotFinite`].
    pub fn from_diagonals(rows: usize, cols: usize, toeplitz: &[T], hankel: &[T]) -> Result<Matrix<T, Self>> {
        let structure = Self::new(rows, cols)?;
        has_length("toeplitz", toeplitz, rows + cols - 1)?;
        has_length("hankel", hankel, rows + cols - 1)?;
        Matrix::new(Arc::new(structure), [toeplitz, hankel].concat())
    }

    fn part(&self, term: usize) -> std::ops::Range<usize> {
        self.layout.tensors()[term].range.clone()
    }
}

impl<T: Scalar> ConvolutionFamily for ToeplitzPlusHankel<T> {
    type Number = T;

    fn kind(&self) -> Family {
        Family::ToeplitzPlusHankel
    }

    fn tensors(&self) -> &Layout {
        &self.layout
    }

    fn engine(&self) -> &Convolution<T> {
        &self.engine
    }

    fn write_kernel(&self, parameters: &[T], term: usize, kernel: &mut [T]) {
        toeplitz::write(&parameters[self.part(term)], self.engine.shape.cols, kernel);
    }

    fn pull_back_kernel(&self, kernel: &[T], term: usize, gradient: &mut [T]) {
        toeplitz::pull_back(kernel, self.engine.shape.cols, &mut gradient[self.part(term)]);
    }

    fn parameter_deviation(&self) -> f64 {
        std::f64::consts::FRAC_1_SQRT_2
    }
}
