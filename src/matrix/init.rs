//! Random parameters that keep the variance of activations.

use crate::Scalar;

/// The variance that the entries of a freshly built m×n matrix are to have.
///
/// Whatever the family, the shape and the rank, the parameters are scaled so that the entries have this variance on
/// average; with independent inputs of unit variance the outputs then have variance n times it. Published LDR layers
/// are initialised without regard to that, and their outputs shrink or grow with the rank.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Init {
    /// `2/(m + n)` (Glorot and Bengio 2010): keeps the variance forwards and backwards, on average.
    #[default]
    Glorot,
    /// `2/n` (He et al. 2015): keeps the variance through a ReLU.
    He,
    /// A variance of your own.
    Variance(f64),
    /// All parameters zero.
    Zero,
}

impl Init {
    /// The variance of the entries of an m×n matrix.
    pub fn variance(self, rows: usize, cols: usize) -> f64 {
        match self {
            Self::Glorot => 2.0 / (rows as f64 + cols as f64),
            Self::He => 2.0 / cols as f64,
            Self::Variance(variance) => variance,
            Self::Zero => 0.0,
        }
    }
}

/// Fills a slice with independent normal numbers of mean 0.
pub(crate) fn normal<T: Scalar>(rng: &mut fastrand::Rng, variance: f64, out: &mut [T]) {
    normal_of(rng, variance.sqrt(), out);
}

/// The same for a standard deviation, whose square may not be a number.
pub(crate) fn normal_of<T: Scalar>(rng: &mut fastrand::Rng, deviation: f64, out: &mut [T]) {
    for x in out {
        // Box and Muller: 1 − u is never zero.
        let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
        *x = T::of(deviation * radius * (std::f64::consts::TAU * rng.f64()).cos());
    }
}
