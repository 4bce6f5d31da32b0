//! Circulant and skew-circulant matrices.
//!
//! A circulant matrix `Z_1(c)` has the entries `M_ij = c_{(i−j) mod n}`; in a skew-circulant one, `Z_{−1}(c)`, the entries
//! above the diagonal have the other sign. Both commute with their shift, `Z_f M = M Z_f`, and have displacement rank 1
//! under (Z_f, Z_{−f}). A rectangular one is the leading m×n block of a circulant of order N = max(m, n).
//!
//! *Cost:* one forward and one inverse transform of length N, with no padding. *Accuracy:* that of the FFT. *Choose it* for the
//! smallest footprint, N parameters, and for filters on periodic signals; as layers they are the cheapest and the weakest.

use std::sync::Arc;

use super::convolution::{Convolution, ConvolutionFamily};
use crate::matrix::{Family, Layout, Matrix};
use crate::shape::Shape;
use crate::transform::{Order, Wrap};
use crate::{Result, Scalar};

/// The structure of a circulant or skew-circulant matrix: max(m, n) parameters, the first column `"c"`.
#[derive(Debug)]
pub struct Circulant<T: Scalar> {
    engine: Convolution<T>,
    layout: Layout,
    wrap: Wrap,
}

impl<T: Scalar> Circulant<T> {
    /// The leading m×n block of a circulant of order max(m, n), without parameters.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`](crate::Error::EmptyShape), [`Error::TooLarge`](crate::Error::TooLarge) or
    /// [`Error::Memory`](crate::Error::Memory).
    pub fn new(rows: usize, cols: usize) -> Result<Self> {
        Self::of_kind(rows, cols, Wrap::Cyclic)
    }

    /// The leading m×n block of a skew-circulant of order max(m, n), without parameters.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`](crate::Error::EmptyShape), [`Error::TooLarge`](crate::Error::TooLarge) or
    /// [`Error::Memory`](crate::Error::Memory).
    pub fn skew(rows: usize, cols: usize) -> Result<Self> {
        Self::of_kind(rows, cols, Wrap::Negacyclic)
    }

    /// The square circulant with this first column.
    ///
    /// # Errors
    ///
    /// As for [`Circulant::new`], and [`Error::NotFinite`](crate::Error::NotFinite).
    ///
    /// ```
    /// let c = displace::structured::Circulant::from_column(&[1.0, 2.0, 3.0])?;
    /// assert_eq!(c.to_dense()?, [1.0, 3.0, 2.0, 2.0, 1.0, 3.0, 3.0, 2.0, 1.0]);
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_column(column: &[T]) -> Result<Matrix<T, Self>> {
        Matrix::new(Arc::new(Self::new(column.len(), column.len())?), column.to_vec())
    }

    /// The square skew-circulant with this first column.
    ///
    /// # Errors
    ///
    /// As for [`Circulant::from_column`].
    pub fn skew_from_column(column: &[T]) -> Result<Matrix<T, Self>> {
        Matrix::new(Arc::new(Self::skew(column.len(), column.len())?), column.to_vec())
    }

    fn of_kind(rows: usize, cols: usize, wrap: Wrap) -> Result<Self> {
        let shape = Shape::new(rows, cols)?;
        let order = shape.order();
        shape.check_transform::<T>(order)?;
        Ok(Self {
            engine: Convolution::new(shape, order, wrap, &[Order::Natural]),
            layout: Layout::new().with("c", &[order]),
            wrap,
        })
    }
}

impl<T: Scalar> ConvolutionFamily for Circulant<T> {
    type Number = T;

    fn kind(&self) -> Family {
        match self.wrap {
            Wrap::Cyclic => Family::Circulant,
            Wrap::Negacyclic => Family::SkewCirculant,
        }
    }

    fn tensors(&self) -> &Layout {
        &self.layout
    }

    fn engine(&self) -> &Convolution<T> {
        &self.engine
    }

    fn write_kernel(&self, parameters: &[T], _: usize, kernel: &mut [T]) {
        kernel.copy_from_slice(parameters);
    }

    fn pull_back_kernel(&self, kernel: &[T], _: usize, gradient: &mut [T]) {
        gradient.iter_mut().zip(kernel).for_each(|(g, &k)| *g += k);
    }
}
