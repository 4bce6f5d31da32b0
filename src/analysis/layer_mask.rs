//! Masked training of a whole layer.

use super::mask::Mask;
use super::rounding::Rounding;
use crate::error::has_length;
use crate::{Linear, LinearGradient, Result, Scalar};

/// The parameters of a [`Linear`] that may move: masks for its weight and its bias.
///
/// ```
/// use displace::analysis::{LayerMask, Rounding};
/// use displace::{Builder, Family};
///
/// let base = Builder::new(Family::Dense, 3, 4).build_layer::<f32>()?;
/// let mut full = base.clone();
/// full.update(|weight, _| weight[5] += 0.25)?; // what training did, say
/// let mask = LayerMask::of_update(&base, &full, 1e-5, Rounding::Bf16)?;
/// assert_eq!((mask.weight.count(), mask.bias.count()), (1, 0));
///
/// let mut layer = base.clone();
/// mask.update(&mut layer, |weight, bias| {
///     weight.iter_mut().for_each(|w| *w += 0.25);
///     bias.iter_mut().for_each(|b| *b -= 1.0);
/// })?;
/// assert_eq!((layer.weight().parameters(), layer.bias()), (full.weight().parameters(), base.bias()));
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerMask {
    /// Of the parameters of the matrix, in the order of its layout.
    pub weight: Mask,
    /// Of the bias; empty without one.
    pub bias: Mask,
}

impl LayerMask {
    /// The parameters with `|Δ| > tolerance` between two layers of the same structure.
    ///
    /// # Errors
    ///
    /// As for [`Mask::of_update`].
    pub fn of_update<T: Scalar>(
        base: &Linear<T>,
        tuned: &Linear<T>,
        tolerance: f64,
        rounding: Rounding,
    ) -> Result<Self> {
        let weights = [base, tuned].map(|layer| layer.weight().parameters());
        Ok(Self {
            weight: Mask::of_update(weights[0], weights[1], tolerance, rounding)?,
            bias: Mask::of_update(base.bias(), tuned.bias(), tolerance, rounding)?,
        })
    }

    /// Sets a gradient to zero outside the masks; see [`Mask::apply`] for what that is worth.
    ///
    /// # Errors
    ///
    /// [`Error::Length`](crate::Error::Length) for the gradient of another layer, which is unchanged then.
    pub fn apply<T: Scalar>(&self, gradient: &mut LinearGradient<T>) -> Result<()> {
        has_length("the gradient", &gradient.bias, self.bias.len())?;
        self.weight.apply(&mut gradient.weight)?;
        self.bias.apply(&mut gradient.bias)
    }

    /// [`Linear::update`] that moves only parameters in the masks: all others keep their bits, whatever the optimiser
    /// does.
    ///
    /// # Errors
    ///
    /// [`Error::Length`](crate::Error::Length) for another layer, and as for [`Linear::update`]; the layer is unchanged
    /// then.
    pub fn update<T: Scalar>(&self, layer: &mut Linear<T>, step: impl FnOnce(&mut [T], &mut [T])) -> Result<()> {
        has_length("the parameters", layer.weight().parameters(), self.weight.len())?;
        has_length("the bias", layer.bias(), self.bias.len())?;
        let before = (layer.weight().parameters().to_vec(), layer.bias().to_vec());
        layer.update(|weight, bias| {
            step(weight, bias);
            self.weight.restore(weight, &before.0);
            self.bias.restore(bias, &before.1);
        })
    }
}
