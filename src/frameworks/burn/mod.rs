//! Structured layers for [burn](https://docs.rs/burn) 0.22 on its flex back end (feature `burn`, which needs Rust 1.95).
//!
//! [`StructuredLinear`] is a module like `burn::nn::Linear`, with a configuration, and both fit into one model. A whole model,
//! trained and saved:
//!
//! ```
//! use burn::module::Module;
//! use burn::nn::loss::CrossEntropyLossConfig;
//! use burn::nn::{Linear, LinearConfig};
//! use burn::optim::{AdamConfig, GradientsParams};
//! use burn::tensor::activation::relu;
//! use burn::tensor::{Device, Distribution, Tensor};
//! use displace::frameworks::burn::{StructuredLinear, StructuredLinearConfig};
//! use displace::{Builder, Family, Init};
//!
//! #[derive(Module, Debug)]
//! struct Network {
//!     hidden: StructuredLinear,
//!     output: Linear,
//! }
//!
//! impl Network {
//!     fn new(device: &Device) -> displace::Result<Self> {
//!         let builder = Builder::new(Family::ToeplitzLike, 32, 64).rank(2).init(Init::He);
//!         let hidden = StructuredLinearConfig::new(builder).init(device)?;
//!         Ok(Self { hidden, output: LinearConfig::new(32, 2).init(device) })
//!     }
//!
//!     fn forward(&self, x: Tensor<2>) -> Tensor<2> {
//!         self.output.forward(relu(self.hidden.forward(x)))
//!     }
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Which half of the input has the larger sum?
//! let device = Device::flex().autodiff();
//! let x = Tensor::<2>::random([256, 64], Distribution::Normal(0.0, 1.0), &device);
//! let (left, right) = (x.clone().narrow(1, 0, 32).sum_dim(1), x.clone().narrow(1, 32, 32).sum_dim(1));
//! let labels = right.greater(left).int().flatten::<1>(0, 1);
//!
//! let mut network = Network::new(&device)?;
//! let mut optimiser = AdamConfig::new().init();
//! for _ in 0..100 {
//!     let loss = CrossEntropyLossConfig::new().init(&device).forward(network.forward(x.clone()), labels.clone());
//!     let gradients = GradientsParams::from_grads(loss.backward(), &network);
//!     network = optimiser.step(0.01, network, gradients);
//! }
//! let right = network.forward(x.clone()).argmax(1).flatten::<1>(0, 1).equal(labels).int().sum().into_scalar::<i64>();
//! assert!(right > 230);
//!
//! let path = std::env::temp_dir().join(format!("displace-burn-doc-{}.bpk", std::process::id()));
//! network.clone().save_file(&path)?;
//! let same = Network::new(&device)?.try_load_file(&path)?;
//! same.forward(x.clone()).into_data().assert_eq(&network.forward(x).into_data(), true);
//! # std::fs::remove_file(&path)?;
//! # Ok(())
//! # }
//! ```
//!
//! burn's `Learner` trains such a network like any other, with checkpoints and records; the example `mnist_burn` does so. It
//! needs burn's feature `train`, which your crate has to enable.
//!
//! burn's operations cannot return errors: [`StructuredLinear::forward`] panics where burn's own layers do, and
//! [`StructuredLinear::try_forward`] returns an error. [`Adapter`] adds a structured update to a frozen dense layer.

mod adapter;
mod config;
mod linear;
mod op;

pub use adapter::Adapter;
pub use config::StructuredLinearConfig;
pub use linear::StructuredLinear;
