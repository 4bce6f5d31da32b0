//! Singular values and vectors of a matrix of parameters, and the rank of an update.

use super::rounding::{Rounding, to_bf16};
use crate::error::{all_finite, has_length};
use crate::linalg::{self, Svd};
use crate::shape::Shape;
use crate::{Error, Result, Scalar};

/// The singular value decomposition `M = Σ_i σ_i u_i v_iᵀ` of an m×n matrix, in double precision, with p = min(m, n) terms.
///
/// O(mnp). Errors of a few ε σ_1 in the values, with ε that of `f64`, and of ε σ_1 / gap in the vectors.
#[derive(Debug, Clone)]
pub struct Spectrum {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) svd: Svd<f64>,
    /// The ε of the type of the entries.
    epsilon: f64,
}

/// The distance between two neighbouring singular values: what it takes to turn the vectors of one side into those of the
/// other. A rotation of the first k singular vectors by an update means little where the gap at k is not far above ‖Δ‖.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gap {
    /// `σ_k − σ_{k+1}`.
    pub absolute: f64,
    /// `(σ_k − σ_{k+1}) / σ_k`; 0 where σ_k is 0.
    pub relative: f64,
}

impl Spectrum {
    /// Decomposes a row-major m×n matrix.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::TooLarge`], [`Error::Length`] when there are not mn entries, [`Error::NotFinite`].
    pub fn new<T: Scalar>(entries: &[T], rows: usize, cols: usize) -> Result<Self> {
        let wide = wide(entries, rows, cols)?;
        Ok(Self { rows, cols, svd: linalg::svd(&wide, rows, cols), epsilon: T::epsilon().wide() })
    }

    /// Rows m.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns n.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The singular values, descending: p of them.
    pub fn values(&self) -> &[f64] {
        &self.svd.s
    }

    /// The left singular vectors, one a row: p×m.
    pub fn left(&self) -> &[f64] {
        &self.svd.u
    }

    /// The right singular vectors, one a row: p×n.
    pub fn right(&self) -> &[f64] {
        &self.svd.v
    }

    /// `max(m, n) ε σ_1` with the ε of the type of the entries: values below are rounding.
    pub fn tolerance(&self) -> f64 {
        tolerance(self.rows, self.cols, self.epsilon, self.values())
    }

    /// How many values exceed [`Spectrum::tolerance`].
    pub fn rank(&self) -> usize {
        above(self.values(), self.tolerance())
    }

    /// The gap between value k and value k + 1, counted from 1.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] unless 1 ≤ k < p.
    pub fn gap(&self, k: usize) -> Result<Gap> {
        check_proper(k, self.rows, self.cols)?;
        let (upper, lower) = (self.values()[k - 1], self.values()[k]);
        let relative = if upper > 0.0 { (upper - lower) / upper } else { 0.0 };
        Ok(Gap { absolute: upper - lower, relative })
    }
}

/// The singular values of a row-major m×n matrix, descending, in double precision: O(mnp), about a third of the time of a
/// [`Spectrum`].
///
/// # Errors
///
/// As for [`Spectrum::new`].
pub fn singular_values<T: Scalar>(entries: &[T], rows: usize, cols: usize) -> Result<Vec<f64>> {
    Ok(linalg::singular_values(&wide(entries, rows, cols)?, rows, cols))
}

/// The numerical rank of an update.
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateRank {
    /// Singular values of Δ above the tolerance.
    pub rank: usize,
    /// min(m, n).
    pub of: usize,
    /// `max(m, n) ε σ_1(Δ)`, with the ε of the type of the entries.
    pub tolerance: f64,
    /// The singular values of Δ, descending.
    pub values: Vec<f64>,
}

impl UpdateRank {
    /// Of `tuned − base`, both rounded to bf16 first or not, and subtracted in the type T of the entries, as a
    /// checkpoint's user would do it. O(mnp).
    ///
    /// Rounding changes ranks: a low-rank update that has been rounded usually has full rank.
    ///
    /// # Errors
    ///
    /// As for [`Spectrum::new`].
    pub fn new<T: Scalar>(base: &[T], tuned: &[T], rows: usize, cols: usize, rounding: Rounding) -> Result<Self> {
        has_length("tuned parameters", tuned, base.len())?;
        let update: Vec<T> = match rounding {
            Rounding::None => base.iter().zip(tuned).map(|(&b, &t)| t - b).collect(),
            Rounding::Bf16 => base.iter().zip(tuned).map(|(&b, &t)| rounded(t) - rounded(b)).collect(),
        };
        let values = singular_values(&update, rows, cols)?;
        let tolerance = tolerance(rows, cols, T::epsilon().wide(), &values);
        Ok(Self { rank: above(&values, tolerance), of: values.len(), tolerance, values })
    }

    /// The rank divided by min(m, n).
    pub fn fraction(&self) -> f64 {
        self.rank as f64 / self.of as f64
    }
}

fn rounded<T: Scalar>(value: T) -> T {
    T::of(to_bf16(value).into())
}

/// The entries in double precision, checked.
pub(super) fn wide<T: Scalar>(entries: &[T], rows: usize, cols: usize) -> Result<Vec<f64>> {
    Shape::new(rows, cols)?.check_dense()?;
    has_length("the matrix", entries, rows * cols)?;
    all_finite("the matrix", entries)?;
    Ok(entries.iter().map(|e| e.wide()).collect())
}

/// Refuses a k for which the first k singular vectors span nothing or everything.
pub(super) fn check_proper(k: usize, rows: usize, cols: usize) -> Result<()> {
    if k > 0 && k < rows.min(cols) {
        return Ok(());
    }
    let range = "[1, min(m, n) − 1]: the vectors of all singular values span the whole space";
    Err(Error::OutOfRange { what: "k", value: k as f64, range })
}

fn tolerance(rows: usize, cols: usize, epsilon: f64, values: &[f64]) -> f64 {
    rows.max(cols) as f64 * epsilon * values.first().copied().unwrap_or(0.0)
}

fn above(values: &[f64], tolerance: f64) -> usize {
    values.iter().filter(|&&s| s > tolerance).count()
}
