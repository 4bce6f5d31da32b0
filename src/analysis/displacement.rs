//! A matrix, or an update, seen through displacement operators.

use super::spectrum::{singular_values, wide};
use crate::displacement::{DisplacementOperator, Shift, Sylvester, Transposed, Tridiagonal};
use crate::linalg::norm;
use crate::{Error, Result, Scalar};

/// A pair of operator matrices that is the same for all matrices of a shape, for the Sylvester displacement `A M − M B`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FixedPair {
    /// No displacement: M itself, whose rank is the plain rank.
    None,
    /// (Z_1, Z_−1): Toeplitz matrices have rank 2, circulant and skew-circulant ones 1.
    Toeplitz,
    /// (Z_1, Z_0ᵀ): Hankel matrices have rank 2.
    Hankel,
    /// (Y_00, Y_11): sums of a Toeplitz and a Hankel matrix have rank 4.
    ToeplitzPlusHankel,
}

impl FixedPair {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::None, Self::Toeplitz, Self::Hankel, Self::ToeplitzPlusHankel];

    /// The name of the structure that the pair reveals.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "low rank",
            Self::Toeplitz => "Toeplitz-like",
            Self::Hankel => "Hankel-like",
            Self::ToeplitzPlusHankel => "Toeplitz+Hankel-like",
        }
    }

    /// The displacement of a matrix, and the bound on how far the operator can stretch one.
    fn displace(self, matrix: &[f64], rows: usize, cols: usize) -> Result<(Vec<f64>, f64)> {
        let operator: Box<dyn DisplacementOperator<f64>> = match self {
            Self::None => return Ok((matrix.to_vec(), 1.0)),
            Self::Toeplitz => Box::new(Sylvester::new(Shift::new(rows, 1.0)?, Shift::new(cols, -1.0)?)),
            Self::Hankel => Box::new(Sylvester::new(Shift::new(rows, 1.0)?, Transposed(Shift::new(cols, 0.0)?))),
            Self::ToeplitzPlusHankel => {
                Box::new(Sylvester::new(Tridiagonal::y(rows, 0.0, 0.0)?, Tridiagonal::y(cols, 1.0, 1.0)?))
            }
        };
        Ok((operator.displace(matrix)?, operator.norm_bound()?))
    }
}

/// The singular values of a displacement.
#[derive(Debug, Clone, PartialEq)]
pub struct DisplacementSpectrum {
    /// The operators.
    pub pair: FixedPair,
    /// min(m, n) singular values of the displacement, descending.
    pub values: Vec<f64>,
    /// `norm_bound · ‖M‖_F`, what tolerances are relative to; see
    /// [`threshold`](crate::displacement::DisplacementOperator::threshold).
    pub scale: f64,
    /// `8 max(m, n) ε` with the ε of the type of the entries: what suits a matrix that is exact to rounding.
    pub default_tolerance: f64,
}

impl DisplacementSpectrum {
    /// Of an m×n matrix, row-major. O(mnp), p = min(m, n).
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::TooLarge`], [`Error::Memory`], [`Error::Length`], or [`Error::NotFinite`] for entries or a
    /// displacement that are not.
    pub fn new<T: Scalar>(entries: &[T], rows: usize, cols: usize, pair: FixedPair) -> Result<Self> {
        let matrix = wide(entries, rows, cols)?;
        let (displaced, bound) = pair.displace(&matrix, rows, cols)?;
        let default_tolerance = 8.0 * rows.max(cols) as f64 * T::epsilon().wide();
        let values = singular_values(&displaced, rows, cols)?;
        Ok(Self { pair, values, scale: bound * norm(&matrix), default_tolerance })
    }

    /// The displacement rank: how many values exceed `tolerance · scale`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a tolerance that is negative or not a number.
    pub fn rank(&self, tolerance: f64) -> Result<usize> {
        if tolerance.is_nan() || tolerance < 0.0 {
            return Err(Error::OutOfRange { what: "tolerance", value: tolerance, range: "0.." });
        }
        Ok(self.values.iter().filter(|&&s| s > tolerance * self.scale).count())
    }

    /// The rank that keeps all but a share `left` of the displacement's norm: the least r with
    /// `√(Σ_{i>r} σ_i²) ≤ left · √(Σ σ_i²)`.
    ///
    /// A small one is a hint and no proof of a good fit: see [`Verdict`](super::Verdict).
    pub fn effective_rank(&self, left: f64) -> usize {
        let limit = left * norm(&self.values);
        (0..self.values.len()).find(|&r| norm(&self.values[r..]) <= limit).unwrap_or(self.values.len())
    }
}

/// The displacement spectra of an m×n matrix, row-major, under every fixed pair.
///
/// # Errors
///
/// As for [`DisplacementSpectrum::new`].
///
/// ```
/// use displace::analysis::displacement_spectra;
///
/// let hankel: Vec<f64> = (0..16).map(|k| f64::from([3, 1, 4, 1, 5, 9, 2][k / 4 + k % 4])).collect();
/// let spectra = displacement_spectra(&hankel, 4, 4)?;
/// let ranks = spectra.iter().map(|s| s.rank(s.default_tolerance)).collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(ranks, [4, 4, 2, 4]);
/// # Ok::<(), displace::Error>(())
/// ```
pub fn displacement_spectra<T: Scalar>(entries: &[T], rows: usize, cols: usize) -> Result<Vec<DisplacementSpectrum>> {
    FixedPair::ALL.into_iter().map(|pair| DisplacementSpectrum::new(entries, rows, cols, pair)).collect()
}
