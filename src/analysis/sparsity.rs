//! How much of a tensor an update leaves alone.

use super::rounding::Rounding;
use crate::error::{all_finite, has_length};
use crate::{Error, Result, Scalar};

/// Counts of parameters that an update left alone, gathered over as many pieces of as many tensors as are pushed.
///
/// The *update sparsity* of arXiv 2505.11711 is [`Unchanged::unchanged`] of [`Sparsity::rounded`]: the fraction of
/// parameters with `|Δ| ≤ tolerance` after both checkpoints have been rounded to bf16. O(1) memory, O(1) a parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Sparsity {
    tolerance: f64,
    rounded: Unchanged,
    unrounded: Unchanged,
    largest: f64,
    update_square: f64,
    base_square: f64,
    histogram: Histogram,
}

/// How many parameters an update left alone, of how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unchanged {
    /// Parameters.
    pub count: u64,
    /// Parameters that moved by no more than the tolerance.
    pub within: u64,
    /// Parameters that did not move at all.
    pub equal: u64,
}

impl Unchanged {
    /// The fraction that moved by no more than the tolerance: the sparsity of the update; 1 without parameters.
    pub fn unchanged(&self) -> f64 {
        self.fraction(self.within)
    }

    /// The fraction that did not move at all; 1 without parameters.
    pub fn identical(&self) -> f64 {
        self.fraction(self.equal)
    }

    fn fraction(&self, part: u64) -> f64 {
        if self.count == 0 { 1.0 } else { part as f64 / self.count as f64 }
    }

    #[inline]
    fn push(&mut self, step: f64, tolerance: f64) {
        self.within += u64::from(step <= tolerance);
        self.equal += u64::from(step == 0.0);
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.within += other.within;
        self.equal += other.equal;
    }
}

impl Sparsity {
    /// No counts yet, and an absolute tolerance; 1e-5 is usual.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfRange`] for a tolerance that is negative or not finite.
    pub fn new(tolerance: f64) -> Result<Self> {
        check_tolerance(tolerance)?;
        Ok(Self {
            tolerance,
            rounded: Unchanged::default(),
            unrounded: Unchanged::default(),
            largest: 0.0,
            update_square: 0.0,
            base_square: 0.0,
            histogram: Histogram::default(),
        })
    }

    /// Counts a piece of a tensor: the same parameters before and after.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] for pieces of different lengths, [`Error::NotFinite`]; nothing has been counted then.
    pub fn push<T: Scalar>(&mut self, base: &[T], tuned: &[T]) -> Result<()> {
        has_length("tuned parameters", tuned, base.len())?;
        all_finite("base parameters", base)?;
        all_finite("tuned parameters", tuned)?;
        self.rounded.count += base.len() as u64;
        self.unrounded.count += base.len() as u64;
        for (&b, &t) in base.iter().zip(tuned) {
            let step = difference(b, t, Rounding::None);
            self.unrounded.push(step, self.tolerance);
            self.rounded.push(difference(b, t, Rounding::Bf16), self.tolerance);
            self.largest = self.largest.max(step);
            self.update_square += step * step;
            self.base_square += b.wide() * b.wide();
            self.histogram.push(step);
        }
        Ok(())
    }

    /// Adds what another one has counted, with its own tolerance.
    pub fn merge(&mut self, other: &Self) {
        self.rounded.merge(&other.rounded);
        self.unrounded.merge(&other.unrounded);
        self.largest = self.largest.max(other.largest);
        self.update_square += other.update_square;
        self.base_square += other.base_square;
        self.histogram.merge(&other.histogram);
    }

    /// The tolerance.
    pub fn tolerance(&self) -> f64 {
        self.tolerance
    }

    /// What bf16 shows: both sides rounded before they are compared.
    pub fn rounded(&self) -> &Unchanged {
        &self.rounded
    }

    /// The same without rounding.
    pub fn unrounded(&self) -> &Unchanged {
        &self.unrounded
    }

    /// The largest |Δ|, unrounded.
    pub fn largest(&self) -> f64 {
        self.largest
    }

    /// ‖Δ‖, unrounded, with the Frobenius norm.
    pub fn update_norm(&self) -> f64 {
        self.update_square.sqrt()
    }

    /// ‖base‖, with the Frobenius norm.
    pub fn base_norm(&self) -> f64 {
        self.base_square.sqrt()
    }

    /// How |Δ| is distributed, unrounded.
    pub fn histogram(&self) -> &Histogram {
        &self.histogram
    }
}

/// |Δ|; zero where both numbers were rounded to the same infinity.
#[inline]
pub(super) fn difference<T: Scalar>(base: T, tuned: T, rounding: Rounding) -> f64 {
    let (base, tuned) = (rounding.apply(base), rounding.apply(tuned));
    if base == tuned { 0.0 } else { (base - tuned).abs() }
}

pub(super) fn check_tolerance(tolerance: f64) -> Result<()> {
    if tolerance >= 0.0 && tolerance.is_finite() {
        return Ok(());
    }
    let range = "the finite numbers that are not negative";
    Err(Error::OutOfRange { what: "the tolerance", value: tolerance, range })
}

/// How many numbers there are of each binary order of magnitude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    zeros: u64,
    /// Bin k holds what is in [2^(k−127), 2^(k−126)), as the exponents of `f32` have it; the first and the last bin hold what
    /// is beyond too.
    bins: Vec<u64>,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { zeros: 0, bins: vec![0; 256] }
    }
}

impl Histogram {
    #[inline]
    fn push(&mut self, size: f64) {
        if size == 0.0 {
            self.zeros += 1;
            return;
        }
        // The exponents of f64 are biased by 1023, those of f32 by 127.
        let exponent = (size.to_bits() >> 52) as usize;
        self.bins[exponent.saturating_sub(1023 - 127).min(255)] += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.zeros += other.zeros;
        self.bins.iter_mut().zip(&other.bins).for_each(|(a, b)| *a += b);
    }

    /// Numbers that are zero.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// The lower end of each bin that is not empty, ascending, and what it holds; a bin ends at twice its lower end.
    pub fn bins(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let filled = self.bins.iter().enumerate().filter(|(_, count)| **count > 0);
        filled.map(|(k, &count)| (2f64.powi(k as i32 - 127), count))
    }
}
