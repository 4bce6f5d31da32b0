//! Structured updates of frozen dense layers.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor};

use super::StructuredLinear;
use crate::{Builder, Error, Linear, Result};

/// A frozen dense layer and a structured update that is trained: `Y = X (W₀ + s ΔM)ᵀ + b`.
///
/// This is what LoRA does with a low-rank ΔM ([`Family::LowRank`](crate::Family::LowRank) is exactly that); a Toeplitz-like one
/// of the same rank has as many parameters and is of full rank as a matrix. At first ΔM is zero
/// ([`Builder::build_update`]). When training is over, [`Adapter::merge`] gives a dense layer of the same cost as before.
///
/// ```
/// use burn::nn::LinearConfig;
/// use burn::tensor::{Device, Tensor};
/// use displace::frameworks::burn::Adapter;
/// use displace::{Builder, Family};
///
/// let device = Device::flex().autodiff();
/// let frozen = LinearConfig::new(8, 6).init(&device);
/// let adapter = Adapter::new(frozen.clone(), &Builder::new(Family::ToeplitzLike, 6, 8).rank(1))?;
/// let x = Tensor::<2>::ones([3, 8], &device);
/// adapter.forward(x.clone()).into_data().assert_eq(&frozen.forward(x).into_data(), true);
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Module, Debug)]
pub struct Adapter {
    frozen: burn::nn::Linear,
    update: StructuredLinear,
    #[module(skip)]
    scale: f64,
}

impl Adapter {
    /// Freezes a dense layer and adds a structured update.
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`] for a shape of `builder` other than that of the weight (m outputs, n inputs), what
    /// [`Builder::build_update`] refuses, and [`Error::Unsupported`] for a weight of a type other than `f32` and `f64` or on a
    /// device other than flex.
    pub fn new(layer: burn::nn::Linear, builder: &Builder) -> Result<Self> {
        let weight = layer.weight.val();
        let [cols, rows] = weight.dims();
        if (builder.rows(), builder.cols()) != (rows, cols) {
            return Err(Error::ShapeMismatch {
                what: "an update of a weight",
                left_rows: builder.rows(),
                left_cols: builder.cols(),
                right_rows: rows,
                right_cols: cols,
            });
        }
        let update = match weight.dtype() {
            DType::F32 => update::<f32>(builder, &weight.device()),
            DType::F64 => update::<f64>(builder, &weight.device()),
            other => {
                let given = format!("{other:?}");
                Err(Error::Unsupported { what: "the type of the weight", given, expected: "F32 or F64" })
            }
        }?;
        Ok(Self { frozen: layer.freeze(), update, scale: 1.0 })
    }

    /// Sets the factor s of the update, 1 unless set.
    #[must_use]
    pub fn with_scale(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
    }

    /// The dense layer that stays as it is.
    pub fn frozen(&self) -> &burn::nn::Linear {
        &self.frozen
    }

    /// The layer ΔM that is trained.
    pub fn update(&self) -> &StructuredLinear {
        &self.update
    }

    /// `Y = X (W₀ + s ΔM)ᵀ + b`.
    ///
    /// # Panics
    ///
    /// As for [`StructuredLinear::forward`].
    #[track_caller]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        self.frozen.forward(x.clone()) + self.update.forward(x) * self.scale
    }

    /// The dense layer of the weight `W₀ + s ΔM`.
    ///
    /// # Errors
    ///
    /// As for [`StructuredLinear::dense`].
    pub fn merge(&self) -> Result<burn::nn::Linear> {
        let update = self.update.dense()?.detach().transpose() * self.scale;
        let mut merged = self.frozen.clone();
        merged.weight = merged.weight.map(|weight| weight + update);
        Ok(merged)
    }
}

fn update<T: super::op::Number>(builder: &Builder, device: &Device) -> Result<StructuredLinear> {
    StructuredLinear::from_linear(Linear::new(builder.build_update::<T>()?, None)?, device)
}
