//! Square matrices of low displacement rank under a pair of unit shifts.

use std::sync::Arc;

use super::pair::UnitPair;
use crate::displacement::{DisplacementOperator, Generators, Truncation};
use crate::error::zeros;
use crate::ldr::ToeplitzLike;
use crate::linalg::{Qr, Svd, norm, qr_of_columns, svd};
use crate::matrix::{Matrix, Workspace};
use crate::transform::Order;
use crate::unstructured::gemm::{gemm_nn, gemm_nt};
use crate::{Error, Result, Scalar};

/// A square matrix M with `A M − M B = G Hᵀ` for a [`UnitPair`] (A, B): what matrix arithmetic works on.
///
/// Unlike a [`Matrix`], which belongs to a family and is trained, this is a value: operations make new ones, under the
/// pair in which the rank stays low. Products cost what those of a [`ToeplitzLike`] matrix of the same rank do; the
/// memory is 4rn numbers.
///
/// ```
/// use displace::algebra::Ldr;
/// use displace::structured::Toeplitz;
///
/// let t = Toeplitz::from_column_and_row(&[4.0, 1.0, 0.0], &[4.0, 2.0, 1.0])?;
/// let t = Ldr::from_toeplitz(&t)?;
/// let product = t.transpose()?.multiply(&t)?;
/// assert!(product.rank() <= 5);
/// let identity = t.inverse()?.multiply(&t)?;
/// assert!((identity.to_dense()?[0] - 1.0_f64).abs() < 1e-14);
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Ldr<T: Scalar> {
    pair: UnitPair,
    generators: Generators<T>,
    /// M, or Mᵀ under a swapped pair; under a Hankel pair with the columns of M in reversed order.
    core: Matrix<T, ToeplitzLike<T>>,
}

impl<T: Scalar> Ldr<T> {
    /// The matrix of a pair and of generators, of any rank; a rank above n is reduced to n at once.
    ///
    /// # Errors
    ///
    /// [`Error::NotSquare`], and those of [`Generators::new`]; [`Error::NotFinite`] where the generators overflow,
    /// [`Error::Memory`].
    pub fn new(pair: UnitPair, generators: Generators<T>) -> Result<Self> {
        let Generators { rows, cols, .. } = generators;
        if rows != cols {
            return Err(Error::NotSquare { rows, cols });
        }
        let Generators { rank, g, h, .. } = generators;
        let mut generators = Generators::new(rows, cols, rank, g, h)?;
        if rank > rows {
            generators = compressed(&generators, T::zero())?;
        }
        let core = core(pair, &generators)?;
        Ok(Self { pair, generators, core })
    }

    pub(super) fn of(pair: UnitPair, order: usize, g: Vec<T>, h: Vec<T>) -> Result<Self> {
        Self::new(pair, Generators { rows: order, cols: order, rank: g.len() / order, g, h })
    }

    /// The displacement of a dense matrix of order n under a pair, by its singular value decomposition, in O(n³). For
    /// analysis and tests; see [`DisplacementOperator::generators`] for what a truncation is worth.
    ///
    /// # Errors
    ///
    /// Those of [`UnitPair::operator`], [`DisplacementOperator::generators`] and [`Ldr::new`].
    pub fn from_dense(pair: UnitPair, order: usize, entries: &[T], truncation: Truncation<T>) -> Result<Self> {
        Self::new(pair, pair.operator(order)?.generators(entries, truncation)?)
    }

    /// The order n.
    pub fn order(&self) -> usize {
        self.generators.rows
    }

    /// The displacement rank r: columns of G and of H, at most n.
    pub fn rank(&self) -> usize {
        self.generators.rank
    }

    /// The pair of operators.
    pub fn pair(&self) -> UnitPair {
        self.pair
    }

    /// G and H.
    pub fn generators(&self) -> &Generators<T> {
        &self.generators
    }

    /// The entries, row by row, in O(r n²).
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`] if n² numbers cannot be addressed, [`Error::Memory`] if there is no memory for them.
    pub fn to_dense(&self) -> Result<Vec<T>> {
        let n = self.order();
        crate::shape::Shape::new(n, n)?.check_dense()?;
        let mut dense = self.core.to_dense()?;
        if self.is_transposed() {
            dense = crate::linalg::transpose(&dense, n, n);
        }
        if self.pair.is_hankel() {
            dense.chunks_exact_mut(n).for_each(<[T]>::reverse);
        }
        Ok(dense)
    }

    /// `Y = X Mᵀ`: the product with every row of `x`, in near-linear time.
    ///
    /// # Errors
    ///
    /// [`Error::RaggedBatch`] when `x` is not a whole number of rows of n, [`Error::Memory`] where there is none for Y.
    pub fn apply(&self, x: &[T]) -> Result<Vec<T>> {
        let mut y = zeros("Y", x.len())?;
        self.apply_into(x, &mut y, &mut Workspace::new())?;
        Ok(y)
    }

    /// [`Ldr::apply`] into a buffer of the caller.
    ///
    /// # Errors
    ///
    /// [`Error::RaggedBatch`], and [`Error::Length`] when `y` is not as long as `x`.
    pub fn apply_into(&self, x: &[T], y: &mut [T], workspace: &mut Workspace<T>) -> Result<()> {
        let reversed = self.pair.is_hankel().then(|| self.rows_reversed(x));
        let x = reversed.as_deref().unwrap_or(x);
        match self.is_transposed() {
            false => self.core.apply_into(x, y, workspace),
            true => self.core.apply_transposed_into(x, y, workspace),
        }
    }

    /// `X = Y M`: the product of the transposed matrix with every row of `y`.
    ///
    /// # Errors
    ///
    /// As for [`Ldr::apply`].
    pub fn apply_transposed(&self, y: &[T]) -> Result<Vec<T>> {
        let x = match self.is_transposed() {
            false => self.core.apply_transposed(y)?,
            true => self.core.apply(y)?,
        };
        Ok(if self.pair.is_hankel() { self.rows_reversed(&x) } else { x })
    }

    /// The same matrix with the fewest columns of G and H that leave its displacement within `tolerance · σ₁`, σ₁ being
    /// the displacement's largest singular value: two QR factorizations and an SVD of order r, O(n r² + r³).
    ///
    /// What is cut off comes back in the matrix amplified by no more than `1/(2 sin(π/2n)) < n/2` (Frobenius norm), and
    /// typically much less. Every operation of this module recompresses at 16 ε, which only removes rounding.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a tolerance that is negative or not a number, [`Error::NotFinite`] where the displacement
    /// overflows, [`Error::Memory`].
    pub fn recompress(&self, tolerance: T) -> Result<Self> {
        if tolerance.is_nan() || tolerance < T::zero() {
            return Err(Error::OutOfRange { what: "tolerance", value: tolerance.wide(), range: "0.." });
        }
        Self::new(self.pair, compressed(&self.generators, tolerance)?)
    }

    /// Without what is rounding.
    pub(super) fn rounded(self) -> Result<Self> {
        self.recompress(T::epsilon() * T::of(16.0))
    }

    /// With columns of G and H of about equal sizes; with other generators where the columns of G Hᵀ cancel, which would
    /// make products inaccurate.
    pub(super) fn balanced(&self) -> Result<Self> {
        let n = self.order();
        let Generators { mut g, mut h, .. } = self.generators.clone();
        let mut terms = T::zero();
        for (g, h) in g.chunks_exact_mut(n).zip(h.chunks_exact_mut(n)) {
            let (left, right) = (norm(g), norm(h));
            if left == T::zero() || right == T::zero() {
                continue;
            }
            terms += left.sqrt() * right.sqrt();
            // By powers of two, exactly.
            let shift = ((right.log2() - left.log2()) * T::of(0.5)).round().exp2();
            g.iter_mut().for_each(|g| *g *= shift);
            h.iter_mut().for_each(|h| *h /= shift);
        }
        let compressed = self.recompress(T::zero())?;
        let size: T = compressed.generators.g.chunks_exact(n).map(norm).sum();
        if terms > T::of(4.0) * size { Ok(compressed) } else { Self::of(self.pair, n, g, h) }
    }

    /// The same numbers in double precision.
    pub(super) fn wide(&self) -> Result<Ldr<f64>> {
        let wide = |x: &[T]| x.iter().map(|x| x.wide()).collect();
        Ldr::of(self.pair, self.order(), wide(&self.generators.g), wide(&self.generators.h))
    }

    /// M as a [`ToeplitzLike`] matrix (or transposed, or reversed).
    pub(super) fn core(&self) -> &Matrix<T, ToeplitzLike<T>> {
        &self.core
    }

    fn is_transposed(&self) -> bool {
        !self.pair.left().positive
    }

    fn rows_reversed(&self, x: &[T]) -> Vec<T> {
        reversed(x.to_vec(), self.order())
    }
}

/// The rows of a block, each in reversed order.
pub(super) fn reversed<T>(mut block: Vec<T>, order: usize) -> Vec<T> {
    block.chunks_exact_mut(order).for_each(<[T]>::reverse);
    block
}

/// The Toeplitz-like matrix that multiplies for a pair and its generators, in the Stein form under (Z_1, Z_−1ᵀ) and of
/// order n:
///
/// * `Z_1 M − M Z_−1 = G Hᵀ` is `M − Z_1 M Z_−1ᵀ = −G (Z_−1 H)ᵀ`;
/// * `Z_−1 M − M Z_1 = G Hᵀ` is `Mᵀ − Z_1 Mᵀ Z_−1ᵀ = −(Z_1 H) Gᵀ`;
/// * with B transposed, the same holds for `M J` and `J H`, as `J Z_f J = Z_fᵀ`.
fn core<T: Scalar>(pair: UnitPair, generators: &Generators<T>) -> Result<Matrix<T, ToeplitzLike<T>>> {
    let Generators { rows: n, rank, g, h, .. } = generators;
    let h = if pair.is_hankel() { reversed(h.clone(), *n) } else { h.clone() };
    let mut turned = super::pair::UnitShift { transposed: false, ..pair.right() }.times(h, *n);
    turned.iter_mut().for_each(|h| *h = -*h);
    let parameters = if pair.left().positive { [&g[..], &turned].concat() } else { [&turned, &g[..]].concat() };
    Matrix::new(Arc::new(ToeplitzLike::with_columns(*n, *n, *rank, *n, Order::Natural)?), parameters)
}

/// Generators of the same displacement without the singular values at or below `tolerance` times the largest one.
fn compressed<T: Scalar>(generators: &Generators<T>, tolerance: T) -> Result<Generators<T>> {
    let &Generators { rows, cols, rank, .. } = generators;
    if rank == 0 {
        return Ok(generators.clone());
    }
    let (k, l) = (rank.min(rows), rank.min(cols));
    let Qr { q: left, r: r_left } = qr_of_columns(generators.g.clone(), rows, rank);
    let Qr { q: right, r: r_right } = qr_of_columns(generators.h.clone(), cols, rank);
    // D = Q_G (R_G R_Hᵀ) Q_Hᵀ.
    let mut middle = vec![T::zero(); k * l];
    gemm_nt(&r_left, &r_right, &mut middle, [k, rank, l]);
    let Svd { u, s, v } = svd(&middle, k, l);
    let kept = s.iter().take_while(|&&value| value > tolerance * s[0]).count();
    let expand = |vectors: &[T], basis: &[T], small: usize, large: usize| {
        let mut columns = vec![T::zero(); kept * large];
        gemm_nn(&vectors[..kept * small], basis, &mut columns, [kept, small, large]);
        for (column, value) in columns.chunks_exact_mut(large).zip(&s) {
            column.iter_mut().for_each(|x| *x *= value.sqrt());
        }
        columns
    };
    Generators::new(rows, cols, kept, expand(&u, &left, k, rows), expand(&v, &right, l, cols))
}
