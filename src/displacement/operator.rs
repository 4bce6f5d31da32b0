//! Operator matrices: the A and B of a displacement operator.

use num_complex::Complex;

use super::cycle::{self, Cycle};
use crate::error::{all_finite, has_length, room, zeros};
use crate::linalg::Schur;
use crate::shape::Shape;
use crate::{Error, Result, Scalar};

/// An operator matrix: a square matrix known by its products with vectors, which should be cheap.
///
/// Object-safe. An implementation of your own needs the order and two products, with the matrix and with its transpose.
///
/// ```
/// use displace::displacement::OperatorMatrix;
/// use displace::Result;
///
/// /// Reverses a vector.
/// struct Reversal(usize);
///
/// impl OperatorMatrix<f64> for Reversal {
///     fn order(&self) -> usize {
///         self.0
///     }
///     fn apply(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
///         y.iter_mut().zip(x.iter().rev()).for_each(|(y, x)| *y = *x);
///         Ok(())
///     }
///     fn apply_transposed(&self, x: &[f64], y: &mut [f64]) -> Result<()> {
///         self.apply(x, y)
///     }
/// }
/// assert_eq!(Reversal(2).to_dense()?, [0.0, 1.0, 1.0, 0.0]);
/// # Ok::<(), displace::Error>(())
/// ```
pub trait OperatorMatrix<T: Scalar> {
    /// The order n of the n×n matrix A.
    fn order(&self) -> usize;

    /// Writes `y = A x`; both hold n numbers. O(n) for the matrices of this crate.
    ///
    /// # Errors
    /// [`Error::Length`] for slices of another length.
    fn apply(&self, x: &[T], y: &mut [T]) -> Result<()>;

    /// Writes `y = Aᵀ x`; both hold n numbers. O(n) for the matrices of this crate.
    ///
    /// # Errors
    /// [`Error::Length`] for slices of another length.
    fn apply_transposed(&self, x: &[T], y: &mut [T]) -> Result<()>;

    /// The n eigenvalues, in any order; `None`, the default, where they are not known.
    ///
    /// They decide whether a displacement equation is refused as singular; without them computed ones do, which are
    /// inaccurate if the matrix is far from normal.
    ///
    /// # Errors
    /// [`Error::Memory`] if there is no memory for them, and where they are computed those of
    /// [`to_dense`](Self::to_dense) and [`Error::NoConvergence`].
    fn eigenvalues(&self) -> Result<Option<Vec<Complex<f64>>>> {
        Ok(None)
    }

    /// The matrix as a weighted cyclic shift, if it is one; `None` is the default. Displacement equations between two
    /// such matrices are solved in O(mn).
    ///
    /// # Errors
    /// [`Error::Memory`] if there is no memory for the n weights.
    fn cycle(&self) -> Result<Option<Cycle<T>>> {
        Ok(None)
    }

    /// The matrix, row-major n×n, by n products with unit vectors.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if n² numbers cannot be addressed, [`Error::Memory`] if there is no memory for them, and those of
    /// the products.
    fn to_dense(&self) -> Result<Vec<T>> {
        let n = self.order();
        Shape { rows: n, cols: n }.check_dense()?;
        let mut dense = zeros("the operator matrix", n * n)?;
        let mut unit = vec![T::zero(); n];
        for i in 0..n {
            unit[i] = T::one();
            self.apply_transposed(&unit, &mut dense[i * n..][..n])?;
            unit[i] = T::zero();
        }
        Ok(dense)
    }

    /// A bound on the spectral norm: `√(‖A‖₁ ‖A‖_∞)`. O(n²) by default, O(n) for the matrices of this crate.
    ///
    /// # Errors
    /// Those of [`cycle`](Self::cycle) and [`to_dense`](Self::to_dense).
    fn norm_bound(&self) -> Result<T> {
        if let Some(cycle) = self.cycle()? {
            return Ok(crate::linalg::largest(cycle.weights()));
        }
        let n = self.order();
        let dense = self.to_dense()?;
        let mut columns = vec![T::zero(); n];
        let mut longest = T::zero();
        for row in dense.chunks_exact(n.max(1)) {
            row.iter().zip(&mut columns).for_each(|(v, c)| *c += v.abs());
            longest = longest.max(row.iter().map(|v| v.abs()).sum());
        }
        Ok(longest.sqrt() * crate::linalg::largest(&columns).sqrt())
    }
}

macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<T: Scalar, O: OperatorMatrix<T> + ?Sized> OperatorMatrix<T> for $pointer {
            fn order(&self) -> usize {
                (**self).order()
            }
            fn apply(&self, x: &[T], y: &mut [T]) -> Result<()> {
                (**self).apply(x, y)
            }
            fn apply_transposed(&self, x: &[T], y: &mut [T]) -> Result<()> {
                (**self).apply_transposed(x, y)
            }
            fn eigenvalues(&self) -> Result<Option<Vec<Complex<f64>>>> {
                (**self).eigenvalues()
            }
            fn cycle(&self) -> Result<Option<Cycle<T>>> {
                (**self).cycle()
            }
            fn to_dense(&self) -> Result<Vec<T>> {
                (**self).to_dense()
            }
            fn norm_bound(&self) -> Result<T> {
                (**self).norm_bound()
            }
        }
    )*};
}
forward!(&O, Box<O>, std::sync::Arc<O>);

/// The operator matrices that hold a weighted cyclic shift get everything from it.
macro_rules! by_cycle {
    ($type:ident) => {
        impl<T: Scalar> OperatorMatrix<T> for $type<T> {
            fn order(&self) -> usize {
                self.0.weights().len()
            }
            fn apply(&self, x: &[T], y: &mut [T]) -> Result<()> {
                check(self.order(), x, y)?;
                self.0.apply(x, y);
                Ok(())
            }
            fn apply_transposed(&self, x: &[T], y: &mut [T]) -> Result<()> {
                check(self.order(), x, y)?;
                self.0.apply_transposed(x, y);
                Ok(())
            }
            fn eigenvalues(&self) -> Result<Option<Vec<Complex<f64>>>> {
                self.0.eigenvalues().map(Some)
            }
            fn cycle(&self) -> Result<Option<Cycle<T>>> {
                self.0.copy().map(Some)
            }
            fn norm_bound(&self) -> Result<T> {
                Ok(crate::linalg::largest(self.0.weights()))
            }
        }
    };
}

fn check<T>(order: usize, x: &[T], y: &[T]) -> Result<()> {
    has_length("x", x, order)?;
    has_length("y", y, order)
}

fn not_empty(order: usize) -> Result<()> {
    if order == 0 { Err(Error::EmptyShape { rows: 0, cols: 0 }) } else { Ok(()) }
}

/// The f-unit-circulant shift `Z_f`: ones on the subdiagonal and f in the top right corner (order 1: the matrix f).
///
/// `(Z_f x)_i = x_{i−1}`, and `(Z_f x)_0 = f x_{n−1}`. Its eigenvalues are the n-th roots of f.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift<T> {
    order: usize,
    f: T,
}

impl<T: Scalar> Shift<T> {
    /// `Z_f` of an order.
    ///
    /// # Errors
    /// [`Error::EmptyShape`] for order 0, [`Error::TooLarge`], [`Error::NotFinite`] for an f that is not finite.
    pub fn new(order: usize, f: T) -> Result<Self> {
        Shape::new(order, order)?;
        all_finite("f", &[f])?;
        Ok(Self { order, f })
    }

    /// The corner f.
    pub fn f(&self) -> T {
        self.f
    }
}

impl<T: Scalar> OperatorMatrix<T> for Shift<T> {
    fn order(&self) -> usize {
        self.order
    }

    fn apply(&self, x: &[T], y: &mut [T]) -> Result<()> {
        check(self.order, x, y)?;
        let (rest, last) = x.split_at(self.order - 1);
        y[0] = self.f * last[0];
        y[1..].copy_from_slice(rest);
        Ok(())
    }

    fn apply_transposed(&self, x: &[T], y: &mut [T]) -> Result<()> {
        check(self.order, x, y)?;
        let (rest, last) = y.split_at_mut(self.order - 1);
        last[0] = self.f * x[0];
        rest.copy_from_slice(&x[1..]);
        Ok(())
    }

    fn eigenvalues(&self) -> Result<Option<Vec<Complex<f64>>>> {
        let f = self.f.wide();
        cycle::roots(self.order, f.abs().ln(), f < 0.0).map(Some)
    }

    fn cycle(&self) -> Result<Option<Cycle<T>>> {
        let mut weights = room("the weights", self.order)?;
        weights.push(self.f);
        weights.resize(self.order, T::one());
        Ok(Some(Cycle::known(1, weights)))
    }

    fn norm_bound(&self) -> Result<T> {
        let f = self.f.abs();
        Ok(if self.order == 1 { f } else { f.max(T::one()) })
    }
}

/// A diagonal matrix `D(v)`. Its eigenvalues are the entries.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagonal<T>(Cycle<T>);

impl<T: Scalar> Diagonal<T> {
    /// `D(v)`.
    ///
    /// # Errors
    /// [`Error::EmptyShape`] without entries, [`Error::NotFinite`] for an entry that is not finite.
    pub fn new(entries: Vec<T>) -> Result<Self> {
        not_empty(entries.len())?;
        all_finite("diagonal", &entries)?;
        Ok(Self(Cycle::known(0, entries)))
    }

    /// The entries.
    pub fn entries(&self) -> &[T] {
        self.0.weights()
    }
}

by_cycle!(Diagonal);

/// A matrix with entries on the subdiagonal and in the top right corner: a weighted shift.
///
/// Its eigenvalues are the n-th roots of the product of all its entries.
#[derive(Debug, Clone, PartialEq)]
pub struct Subdiagonal<T>(Cycle<T>);

impl<T: Scalar> Subdiagonal<T> {
    /// The matrix of order n from its n − 1 subdiagonal entries, top to bottom, and its corner (order 1: the corner).
    ///
    /// # Errors
    /// [`Error::NotFinite`] for an entry that is not finite.
    pub fn new(subdiagonal: &[T], corner: T) -> Result<Self> {
        all_finite("subdiagonal", subdiagonal)?;
        all_finite("corner", &[corner])?;
        Ok(Self(Cycle::known(1, std::iter::once(corner).chain(subdiagonal.iter().copied()).collect())))
    }
}

by_cycle!(Subdiagonal);

/// A tridiagonal matrix with two more entries in the top right and the bottom left corner.
///
/// In orders 1 and 2 the corners coincide with other entries; such entries are added.
#[derive(Debug, Clone, PartialEq)]
pub struct Tridiagonal<T> {
    lower: Vec<T>,
    diagonal: Vec<T>,
    upper: Vec<T>,
    top_right: T,
    bottom_left: T,
}

impl<T: Scalar> Tridiagonal<T> {
    /// The matrix of order n from its diagonal (n entries), those below and above it (n − 1 each), and the corners
    /// `[top right, bottom left]`.
    ///
    /// # Errors
    /// [`Error::EmptyShape`] for an empty diagonal, [`Error::Length`] for other diagonals of the wrong length,
    /// [`Error::NotFinite`] for an entry that is not finite.
    pub fn new(lower: Vec<T>, diagonal: Vec<T>, upper: Vec<T>, corners: [T; 2]) -> Result<Self> {
        not_empty(diagonal.len())?;
        has_length("lower diagonal", &lower, diagonal.len() - 1)?;
        has_length("upper diagonal", &upper, diagonal.len() - 1)?;
        all_finite("lower diagonal", &lower)?;
        all_finite("diagonal", &diagonal)?;
        all_finite("upper diagonal", &upper)?;
        all_finite("corners", &corners)?;
        let [top_right, bottom_left] = corners;
        Ok(Self { lower, diagonal, upper, top_right, bottom_left })
    }

    /// `Y_{γδ} = Z_0 + Z_0ᵀ + γ e_0 e_0ᵀ + δ e_{n−1} e_{n−1}ᵀ`: ones beside the diagonal, γ in the top left and δ in the
    /// bottom right corner (order 1: γ + δ). Toeplitz plus Hankel matrices have rank at most 4 under
    /// `(Y_00, Y_11)`.
    ///
    /// # Errors
    /// [`Error::EmptyShape`] for order 0, [`Error::TooLarge`], [`Error::Memory`], [`Error::NotFinite`] for a γ or δ
    /// that is not finite.
    pub fn y(order: usize, gamma: T, delta: T) -> Result<Self> {
        Shape::new(order, order)?;
        let mut diagonal = zeros("the diagonals", order)?;
        diagonal[0] += gamma;
        diagonal[order - 1] += delta;
        let ones = vec![T::one(); order - 1];
        Self::new(ones.clone(), diagonal, ones, [T::zero(); 2])
    }

    fn product(&self, lower: &[T], upper: &[T], corners: [T; 2], x: &[T], y: &mut [T]) {
        let n = self.diagonal.len();
        y.iter_mut().zip(self.diagonal.iter().zip(x)).for_each(|(y, (&d, &x))| *y = d * x);
        y[1..].iter_mut().zip(lower.iter().zip(x)).for_each(|(y, (&l, &x))| *y += l * x);
        y.iter_mut().zip(upper.iter().zip(&x[1..])).for_each(|(y, (&u, &x))| *y += u * x);
        y[0] += corners[0] * x[n - 1];
        y[n - 1] += corners[1] * x[0];
    }
}

impl<T: Scalar> OperatorMatrix<T> for Tridiagonal<T> {
    fn order(&self) -> usize {
        self.diagonal.len()
    }

    fn apply(&self, x: &[T], y: &mut [T]) -> Result<()> {
        check(self.order(), x, y)?;
        self.product(&self.lower, &self.upper, [self.top_right, self.bottom_left], x, y);
        Ok(())
    }

    fn apply_transposed(&self, x: &[T], y: &mut [T]) -> Result<()> {
        check(self.order(), x, y)?;
        self.product(&self.upper, &self.lower, [self.bottom_left, self.top_right], x, y);
        Ok(())
    }

    /// By a Schur decomposition, in O(n³).
    fn eigenvalues(&self) -> Result<Option<Vec<Complex<f64>>>> {
        let dense: Vec<f64> = self.to_dense()?.into_iter().map(T::wide).collect();
        Ok(Some(Schur::new(&dense, self.order())?.eigenvalues().collect()))
    }

    fn norm_bound(&self) -> Result<T> {
        let n = self.order();
        let magnitude = |v: &[T]| v.iter().map(|v| v.abs()).collect::<Vec<T>>();
        let [lower, diagonal, upper] = [&self.lower, &self.diagonal, &self.upper].map(|v| magnitude(v));
        let corners = [self.top_right.abs(), self.bottom_left.abs()];
        let size = Self { lower, diagonal, upper, top_right: corners[0], bottom_left: corners[1] };
        let ones = vec![T::one(); n];
        let (mut rows, mut columns) = (vec![T::zero(); n], vec![T::zero(); n]);
        size.apply(&ones, &mut rows)?;
        size.apply_transposed(&ones, &mut columns)?;
        Ok(crate::linalg::largest(&rows).sqrt() * crate::linalg::largest(&columns).sqrt())
    }
}

/// The transpose of an operator matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transposed<O>(pub O);

impl<T: Scalar, O: OperatorMatrix<T>> OperatorMatrix<T> for Transposed<O> {
    fn order(&self) -> usize {
        self.0.order()
    }

    fn apply(&self, x: &[T], y: &mut [T]) -> Result<()> {
        self.0.apply_transposed(x, y)
    }

    fn apply_transposed(&self, x: &[T], y: &mut [T]) -> Result<()> {
        self.0.apply(x, y)
    }

    fn eigenvalues(&self) -> Result<Option<Vec<Complex<f64>>>> {
        self.0.eigenvalues()
    }

    fn cycle(&self) -> Result<Option<Cycle<T>>> {
        Ok(self.0.cycle()?.map(Cycle::transposed))
    }

    fn norm_bound(&self) -> Result<T> {
        self.0.norm_bound()
    }
}
