//! Structured updates of frozen dense layers.

use candle_core::{DType, Result, Tensor, bail};
use candle_nn::{Module, VarBuilder};

use super::{StructuredLinear, wrap};
use crate::{Builder, Linear};

/// A frozen dense layer and a structured update that is trained: `Y = X (W₀ + s ΔM)ᵀ + b`.
///
/// This is what LoRA does with a low-rank ΔM ([`Family::LowRank`](crate::Family::LowRank) is exactly that); a Toeplitz-like one
/// of the same rank has as many parameters and is of full rank as a matrix. At first ΔM is zero
/// ([`Builder::build_update`]). When training is over, [`Adapter::merge`] gives a dense layer of the same cost as before.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use candle_nn::{Linear, Module, VarBuilder, VarMap};
/// use displace::frameworks::candle::Adapter;
/// use displace::{Builder, Family};
///
/// let frozen = Linear::new(Tensor::randn(0_f32, 1.0, (6, 8), &Device::Cpu)?, None);
/// let variables = VarMap::new();
/// let vb = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
/// let adapter = Adapter::new(frozen.clone(), &Builder::new(Family::ToeplitzLike, 6, 8).rank(1), vb)?;
///
/// let x = Tensor::randn(0_f32, 1.0, (3, 8), &Device::Cpu)?;
/// let (before, after) = (frozen.forward(&x)?, adapter.forward(&x)?);
/// assert_eq!(before.to_vec2::<f32>()?, after.to_vec2::<f32>()?);
/// assert_eq!(variables.all_vars().len(), 2); // G and H: nothing else is trained
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Adapter {
    frozen: candle_nn::Linear,
    update: StructuredLinear,
    scale: f64,
}

impl Adapter {
    /// Freezes a dense layer and adds a structured update, whose variables are those of `vb` or new ones.
    ///
    /// # Errors
    ///
    /// A shape of `builder` other than that of the weight, a type of the weight other than that of `vb`, and what
    /// [`Builder::build_update`] refuses.
    pub fn new(layer: candle_nn::Linear, builder: &Builder, vb: VarBuilder) -> Result<Self> {
        let weight = layer.weight();
        if weight.dims() != [builder.rows(), builder.cols()] {
            let (rows, cols) = (builder.rows(), builder.cols());
            bail!("an update of {rows}×{cols} does not fit a weight of the shape {:?}", weight.dims());
        }
        if weight.dtype() != vb.dtype() {
            bail!("an update of {:?} does not fit a weight of {:?}", vb.dtype(), weight.dtype());
        }
        let update = match vb.dtype() {
            DType::F32 => {
                let zero = builder.build_update::<f32>().and_then(|zero| Linear::new(zero, None)).map_err(wrap)?;
                StructuredLinear::from_linear(zero, vb)
            }
            DType::F64 => {
                let zero = builder.build_update::<f64>().and_then(|zero| Linear::new(zero, None)).map_err(wrap)?;
                StructuredLinear::from_linear(zero, vb)
            }
            other => bail!("structured layers are of F32 or F64, not {other:?}"),
        }?;
        let frozen = candle_nn::Linear::new(weight.detach(), layer.bias().map(Tensor::detach));
        Ok(Self { frozen, update, scale: 1.0 })
    }

    /// Sets the factor s of the update, 1 unless set.
    #[must_use]
    pub fn with_scale(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
    }

    /// The dense layer that stays as it is.
    pub fn frozen(&self) -> &candle_nn::Linear {
        &self.frozen
    }

    /// The layer ΔM that is trained.
    pub fn update(&self) -> &StructuredLinear {
        &self.update
    }

    /// The dense layer of the weight `W₀ + s ΔM`.
    ///
    /// # Errors
    ///
    /// As for [`StructuredLinear::dense`].
    pub fn merge(&self) -> Result<candle_nn::Linear> {
        let weight = (self.frozen.weight() + self.update.dense()?.detach().affine(self.scale, 0.0)?)?;
        Ok(candle_nn::Linear::new(weight, self.frozen.bias().cloned()))
    }
}

impl Module for Adapter {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let update = self.update.forward(x)?;
        let update = if self.scale == 1.0 { update } else { update.affine(self.scale, 0.0)? };
        self.frozen.forward(x)? + update
    }
}
