//! Sets of parameters: those that an update moved, and those that may move.

use super::rounding::Rounding;
use super::sparsity::{check_tolerance, difference};
use crate::error::{all_finite, has_length};
use crate::matrix::Structure;
use crate::{Error, Matrix, Result, Scalar};

/// A set of parameters, a bit each.
///
/// [`Mask::of_update`] finds the subnetwork that training moved; [`Mask::update`] trains it and nothing else:
///
/// ```
/// use displace::analysis::Mask;
/// use displace::{Builder, Family};
///
/// let mut matrix = Builder::new(Family::ToeplitzLike, 6, 4).rank(2).build::<f32>()?;
/// let before = matrix.parameters().to_vec();
/// let mask = Mask::from_fn(before.len(), |k| k % 5 == 0);
/// mask.update(&mut matrix, |parameters| parameters.iter_mut().for_each(|p| *p *= 0.9))?; // decays the weights
/// for (k, (after, before)) in matrix.parameters().iter().zip(&before).enumerate() {
///     assert!(mask.contains(k) || after.to_bits() == before.to_bits());
/// }
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mask {
    words: Vec<u64>,
    len: usize,
}

/// What two masks of the same parameters have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// Parameters that there are.
    pub len: usize,
    /// Parameters in the first mask.
    pub first: usize,
    /// Parameters in the second mask.
    pub second: usize,
    /// Parameters in both.
    pub both: usize,
}

impl Overlap {
    /// `|I1 ∩ I2| / |I1|`; none if the first mask is empty.
    pub fn of_first(&self) -> Option<f64> {
        ratio(self.both, self.first)
    }

    /// `|I1 ∩ I2| / |I2|`; none if the second mask is empty.
    pub fn of_second(&self) -> Option<f64> {
        ratio(self.both, self.second)
    }

    /// What [`Overlap::of_first`] would be on average for a random second mask of this size: its density.
    pub fn baseline_of_first(&self) -> f64 {
        ratio(self.second, self.len).unwrap_or(0.0)
    }

    /// What [`Overlap::of_second`] would be on average for a random first mask of this size: its density.
    pub fn baseline_of_second(&self) -> f64 {
        ratio(self.first, self.len).unwrap_or(0.0)
    }
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

impl Mask {
    /// The parameters, of `len`, for which `chosen` is true.
    pub fn from_fn(len: usize, mut chosen: impl FnMut(usize) -> bool) -> Self {
        let mut mask = Self::default();
        (0..len).for_each(|at| mask.push(chosen(at)));
        mask
    }

    /// The parameters with `|Δ| > tolerance`.
    ///
    /// # Errors
    ///
    /// As for [`Mask::extend_of_update`].
    pub fn of_update<T: Scalar>(base: &[T], tuned: &[T], tolerance: f64, rounding: Rounding) -> Result<Self> {
        let mut mask = Self::default();
        mask.extend_of_update(base, tuned, tolerance, rounding)?;
        Ok(mask)
    }

    /// Continues the mask by a further piece of a tensor. O(1) a parameter.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] for pieces of different lengths, [`Error::NotFinite`], [`Error::OutOfRange`] for a tolerance that is
    /// negative or not finite; the mask is unchanged then.
    pub fn extend_of_update<T: Scalar>(
        &mut self,
        base: &[T],
        tuned: &[T],
        tolerance: f64,
        rounding: Rounding,
    ) -> Result<()> {
        check_tolerance(tolerance)?;
        has_length("tuned parameters", tuned, base.len())?;
        all_finite("base parameters", base)?;
        all_finite("tuned parameters", tuned)?;
        for (&b, &t) in base.iter().zip(tuned) {
            self.push(difference(b, t, rounding) > tolerance);
        }
        Ok(())
    }

    #[inline]
    fn push(&mut self, chosen: bool) {
        if self.len.is_multiple_of(64) {
            self.words.push(0);
        }
        if let Some(word) = self.words.last_mut() {
            *word |= u64::from(chosen) << (self.len % 64);
        }
        self.len += 1;
    }

    /// Parameters that there are, in the mask or not.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no parameters at all.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Parameters in the mask.
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The fraction of parameters in the mask; 0 without parameters.
    pub fn density(&self) -> f64 {
        ratio(self.count(), self.len).unwrap_or(0.0)
    }

    /// Whether a parameter is in the mask; false beyond its length.
    pub fn contains(&self, at: usize) -> bool {
        self.words.get(at / 64).is_some_and(|word| (word >> (at % 64)) & 1 == 1)
    }

    /// What this mask, the first, and another one have in common.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] for a mask of another length.
    pub fn overlap(&self, other: &Self) -> Result<Overlap> {
        if other.len != self.len {
            return Err(Error::Length { what: "the other mask", expected: self.len, actual: other.len });
        }
        let both = self.words.iter().zip(&other.words).map(|(a, b)| (a & b).count_ones() as usize).sum();
        Ok(Overlap { len: self.len, first: self.count(), second: other.count(), both })
    }

    /// Sets a gradient to zero outside the mask, so that an optimiser sees none there.
    ///
    /// That alone does not hold every optimiser back: one with momentum from before, or with weight decay, moves
    /// parameters without a gradient. [`Mask::hold`] and [`Mask::update`] do.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] for a gradient of another length.
    pub fn apply<T: Scalar>(&self, gradient: &mut [T]) -> Result<()> {
        has_length("the gradient", gradient, self.len)?;
        self.outside(gradient).for_each(|(_, g)| *g = T::zero());
        Ok(())
    }

    /// Lets `step` change the parameters, and sets those outside the mask back to what they were, bit for bit, whatever
    /// the step did to them.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] for parameters of another length; the step has not been taken then.
    pub fn hold<T: Scalar>(&self, parameters: &mut [T], step: impl FnOnce(&mut [T])) -> Result<()> {
        has_length("the parameters", parameters, self.len)?;
        let before = parameters.to_vec();
        step(parameters);
        self.restore(parameters, &before);
        Ok(())
    }

    /// [`Matrix::update`] that moves only parameters in the mask: all others keep their bits.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] for a matrix with another number of parameters, and as for [`Matrix::update`]; the matrix is
    /// unchanged then.
    pub fn update<T, S>(&self, matrix: &mut Matrix<T, S>, step: impl FnOnce(&mut [T])) -> Result<()>
    where
        T: Scalar,
        S: ?Sized + Structure<T>,
    {
        has_length("the parameters", matrix.parameters(), self.len)?;
        let before = matrix.parameters().to_vec();
        matrix.update(|parameters| {
            step(parameters);
            self.restore(parameters, &before);
        })
    }

    pub(super) fn restore<T: Scalar>(&self, parameters: &mut [T], before: &[T]) {
        self.outside(parameters).for_each(|(at, p)| *p = before[at]);
    }

    fn outside<'a, T>(&'a self, values: &'a mut [T]) -> impl Iterator<Item = (usize, &'a mut T)> {
        values.iter_mut().enumerate().filter(|(at, _)| !self.contains(*at))
    }
}
