//! The configuration of the layer.

use burn::config::Config;
use burn::tensor::{DType, Device, Tensor};

use super::StructuredLinear;
use super::linear::unsupported;
use super::op::Number;
use crate::error::zeros;
use crate::{Builder, Linear};

/// The configuration of a [`StructuredLinear`].
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use displace::frameworks::burn::StructuredLinearConfig;
/// use displace::{Builder, Family};
///
/// let device = Device::flex();
/// let builder = Builder::new(Family::ToeplitzLike, 64, 784).rank(4);
/// let layer = StructuredLinearConfig::new(builder).with_bias(false).init(&device)?;
/// let y = layer.forward(Tensor::<3>::ones([2, 5, 784], &device));
/// assert_eq!(y.dims(), [2, 5, 64]);
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Config, Debug)]
pub struct StructuredLinearConfig {
    /// Family, shape, rank and initialisation of the matrix.
    pub builder: Builder,
    /// Whether there is a bias; it starts at zero.
    #[config(default = true)]
    pub bias: bool,
}

impl StructuredLinearConfig {
    /// A new layer on a device, of the type of numbers that is the device's default.
    ///
    /// # Errors
    ///
    /// What [`Builder::build`] refuses, and [`Error::Unsupported`](crate::Error::Unsupported) for a device other than
    /// flex or numbers other than `f32` and `f64`.
    pub fn init(&self, device: &Device) -> crate::Result<StructuredLinear> {
        match Tensor::<1>::zeros([1], device).dtype() {
            DType::F32 => self.build::<f32>(device),
            DType::F64 => self.build::<f64>(device),
            other => Err(unsupported("the type of a layer", format!("{other:?}"), "F32 or F64")),
        }
    }

    fn build<T: Number>(&self, device: &Device) -> crate::Result<StructuredLinear> {
        let matrix = self.builder.build::<T>()?;
        let bias = self.bias.then(|| zeros("the bias", matrix.rows())).transpose()?;
        StructuredLinear::from_linear(Linear::new(matrix, bias)?, device)
    }
}
