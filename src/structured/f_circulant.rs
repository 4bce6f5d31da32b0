//! f-circulant matrices, for any f.
//!
//! `Z_f(c)` has the entries `c_{i−j}` on and below the diagonal and `f c_{n+i−j}` above it: circulant for f = 1, skew-circulant
//! for f = −1, lower triangular Toeplitz for f = 0. It commutes with the shift `Z_f` and has displacement rank 1 under
//! (Z_f, Z_e) for every e ≠ f.
//!
//! *Cost:* one forward and one inverse transform of a fast length N ≥ m + n − 1. Scaling to a circulant by powers of
//! `|f|^{1/n}` would halve that, but loses accuracy as f grows or shrinks, and does not exist for f = 0; the product here
//! is as accurate as a Toeplitz product for every f. For f = ±1 [`Circulant`](super::Circulant) is faster. *Choose it* for
//! triangular Toeplitz matrices and for the factors of other operator pairs.

use std::sync::Arc;

use super::convolution::{Convolution, ConvolutionFamily};
use crate::matrix::{Family, Layout, Matrix};
use crate::shape::Shape;
use crate::transform::{Order, Wrap, fast_length};
use crate::{Error, Result, Scalar};

/// The largest corner f: numbers smaller by as much than those near 1 have all their digits.
pub(crate) fn largest_corner<T: Scalar>() -> f64 {
    T::epsilon().wide() / T::min_positive_value().wide()
}

/// What [`largest_corner`] allows, in words.
pub(crate) const LARGEST_CORNER: &str = "the numbers up to the ratio of rounding unit and smallest normal number";

/// The structure of an f-circulant m×n matrix: max(m, n) parameters, the first column `"c"`. f is fixed.
#[derive(Debug)]
pub struct FCirculant<T: Scalar> {
    engine: Convolution<T>,
    layout: Layout,
    f: T,
}

impl<T: Scalar> FCirculant<T> {
    /// The leading m×n block of an f-circulant of order max(m, n), without parameters.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::TooLarge`] or [`Error::Memory`]; [`Error::OutOfRange`] for an f that is not finite or
    /// above ε/tiny of the number type (10³¹ for f32, 10²⁹² for f64): what it multiplies would lose its digits.
    pub fn new(rows: usize, cols: usize, f: T) -> Result<Self> {
        let shape = Shape::new(rows, cols)?;
        if !f.is_finite() || f.wide().abs() > largest_corner::<T>() {
            return Err(Error::OutOfRange { what: "f", value: f.wide(), range: LARGEST_CORNER });
        }
        let order = fast_length(rows + cols - 1);
        shape.check_transform::<T>(order)?;
        Ok(Self {
            engine: Convolution::new(shape, order, Wrap::Cyclic, &[Order::Natural]),
            layout: Layout::new().with("c", &[shape.order()]),
            f,
        })
    }

    /// The square f-circulant with this first column.
    ///
    /// # Errors
    ///
    /// As for [`FCirculant::new`], and [`Error::NotFinite`].
    ///
    /// ```
    /// let lower = displace::structured::FCirculant::from_column(&[1.0, 2.0], 0.0)?;
    /// assert_eq!(lower.to_dense()?, [1.0, 0.0, 2.0, 1.0]);
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn from_column(column: &[T], f: T) -> Result<Matrix<T, Self>> {
        Matrix::new(Arc::new(Self::new(column.len(), column.len(), f)?), column.to_vec())
    }

    /// The number f.
    pub fn f(&self) -> T {
        self.f
    }
}

impl<T: Scalar> ConvolutionFamily for FCirculant<T> {
    type Number = T;

    fn kind(&self) -> Family {
        Family::FCirculant(self.f.wide())
    }

    fn tensors(&self) -> &Layout {
        &self.layout
    }

    fn engine(&self) -> &Convolution<T> {
        &self.engine
    }

    fn write_kernel(&self, c: &[T], _: usize, kernel: &mut [T]) {
        let Shape { rows, cols } = self.engine.shape;
        kernel[..rows].copy_from_slice(&c[..rows]);
        let length = self.engine.order;
        for above in 1..cols {
            kernel[length - above] = self.f * c[c.len() - above];
        }
    }

    fn pull_back_kernel(&self, kernel: &[T], _: usize, gradient: &mut [T]) {
        let Shape { rows, cols } = self.engine.shape;
        gradient[..rows].iter_mut().zip(kernel).for_each(|(g, &k)| *g += k);
        let order = gradient.len();
        for above in 1..cols {
            gradient[order - above] += self.f * kernel[self.engine.order - above];
        }
    }

    fn parameter_deviation(&self) -> f64 {
        let Shape { rows, cols } = self.engine.shape;
        let size = rows as f64 * cols as f64;
        let above: f64 = (1..cols).map(|d| rows.min(cols - d) as f64).sum();
        // Divided by the square of the larger of f and 1, which may overflow; f counts where it multiplies something.
        let largest = if above > 0.0 { self.f.wide().abs().max(1.0) } else { 1.0 };
        let weight = |w: f64| (w / largest).powi(2);
        (size / (weight(1.0) * (size - above) + if above > 0.0 { weight(self.f.wide()) * above } else { 0.0 })).sqrt()
            / largest
    }
}
