//! Structured layers for [candle](https://docs.rs/candle-core) 0.11 (feature `candle`).
//!
//! [`structured_linear`] makes a layer of any family out of a `VarBuilder`, as [`candle_nn::linear()`] makes a dense
//! one, and both fit into one model. Optimisers, `VarMap::save` and `VarMap::load` see one variable for each tensor of
//! the family's layout. A whole model, trained and saved:
//!
//! ```
//! use candle_core::{D, DType, Device, Result, Tensor};
//! use candle_nn::{AdamW, Linear, Module, Optimizer, ParamsAdamW, VarBuilder, VarMap, linear, loss, ops};
//! use displace::frameworks::candle::{StructuredLinear, structured_linear};
//! use displace::{Builder, Family, Init};
//!
//! struct Network {
//!     hidden: StructuredLinear,
//!     output: Linear,
//! }
//!
//! impl Network {
//!     fn new(vb: VarBuilder) -> Result<Self> {
//!         let builder = Builder::new(Family::ToeplitzLike, 32, 64).rank(2).init(Init::He);
//!         Ok(Self { hidden: structured_linear(&builder, vb.pp("hidden"))?, output: linear(32, 2, vb.pp("output"))? })
//!     }
//! }
//!
//! impl Module for Network {
//!     fn forward(&self, x: &Tensor) -> Result<Tensor> {
//!         self.output.forward(&self.hidden.forward(x)?.relu()?)
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! // Which half of the input has the larger sum?
//! let x = Tensor::randn(0_f32, 1.0, (256, 64), &Device::Cpu)?;
//! let (left, right) = (x.narrow(1, 0, 32)?.sum(1)?, x.narrow(1, 32, 32)?.sum(1)?);
//! let labels = right.gt(&left)?.to_dtype(DType::U32)?;
//!
//! let variables = VarMap::new();
//! let network = Network::new(VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu))?;
//! let mut optimiser = AdamW::new(variables.all_vars(), ParamsAdamW { lr: 0.01, ..Default::default() })?;
//! for _ in 0..100 {
//!     let loss = loss::cross_entropy(&network.forward(&x)?, &labels)?;
//!     optimiser.backward_step(&loss)?;
//! }
//! let right = network.forward(&x)?.argmax(D::Minus1)?.eq(&labels)?.to_dtype(DType::F32)?;
//! assert!(right.mean_all()?.to_scalar::<f32>()? > 0.9);
//!
//! let path = std::env::temp_dir().join(format!("displace-candle-doc-{}.safetensors", std::process::id()));
//! variables.save(&path)?;
//! let mut others = VarMap::new();
//! let same = Network::new(VarBuilder::from_varmap(&others, DType::F32, &Device::Cpu))?;
//! others.load(&path)?;
//! assert_eq!(same.forward(&x)?.to_vec2::<f32>()?, network.forward(&x)?.to_vec2::<f32>()?);
//! # std::fs::remove_file(&path)?;
//! # Ok(())
//! # }
//! ```
//!
//! Such a file is read without candle by the `checkpoint` module, and written for candle by it. [`Adapter`]
//! adds a structured update to a frozen dense layer.
//!
//! The layer's only overhead over the crate's own product is the allocation of its results, which candle has to own. candle
//! runs its own products on as many threads as `RAYON_NUM_THREADS` says; this crate does so with feature `parallel` only.

mod adapter;
mod linear;
mod op;

pub use adapter::Adapter;
pub use linear::{StructuredLinear, structured_linear, structured_linear_b, structured_linear_no_bias};

/// An error of this crate as one of candle's.
fn wrap(error: crate::Error) -> candle_core::Error {
    candle_core::Error::wrap(error)
}
