//! Low-displacement-rank structured layers: linear maps with far fewer parameters than a dense matrix, products and
//! gradients in near-linear time, and one knob, the [displacement rank](displacement), from strictly structured to fully
//! unstructured.
//!
//! ```
//! use displace::{Builder, Family, Init, Workspace};
//!
//! // A 512×784 layer of displacement rank 4: 5,184 parameters instead of 401,408.
//! let layer = Builder::new(Family::ToeplitzLike, 512, 784).rank(4).init(Init::He).build_layer::<f32>()?;
//! let x = vec![0.5; 64 * 784]; // a batch of 64 examples, one a row
//! let y = layer.forward(&x)?;
//!
//! let (mut gradient, mut workspace) = (layer.zero_gradient(), Workspace::new());
//! layer.backward_into(&x, &y, None, &mut gradient, &mut workspace)?; // the gradient of ½‖y‖²
//! assert_eq!(gradient.weight.len(), 4 * (512 + 784));
//! # Ok::<(), displace::Error>(())
//! ```
//!
//! # Map
//!
//! From what a caller sees first down to what everything else runs on:
//!
//! | what | where |
//! | --- | --- |
//! | layers | [`Linear`] is a matrix and a bias; [`Builder`] makes a layer or a matrix of any [`Family`] |
//! | frameworks, files | `frameworks` (features `candle`, `burn`): the same layers in candle and burn; `checkpoint` (feature `safetensors`): layers in files |
//! | rank, compression | [`rank`] grows and shrinks trained matrices, [`compress`] turns dense ones into structured ones |
//! | analysis | [`analysis`]: what training changed in a matrix, and what structure there is in it |
//! | arithmetic | [`algebra`]: sums, products, inverses, determinants that stay structured; [`solve`]: positive definite Toeplitz and Vandermonde systems |
//! | matrices | [`Matrix`] binds a shared [`Structure`] to parameters and checks every argument; [`Layout`] names the parameters, [`Workspace`] is reusable memory, [`PathChoice`] chooses between fast and dense products |
//! | families | [`structured`]: circulant, Toeplitz, Hankel, Vandermonde, Cauchy · [`ldr`]: Toeplitz-, Hankel-, shift-, Vandermonde- and Cauchy-like, learned operators · [`unstructured`]: low rank, dense |
//! | theory | [`displacement`]: operator matrices, displacement operators, ranks and generators of dense matrices |
//! | other crates | [`fastrand`], [`ndarray`] and [`num_complex`], whose types are in the interface, in the versions that it has them of |
//! | transforms | (private) real cyclic and negacyclic, non-uniform Fourier and Laplace transforms, and multipole sums |
//!
//! # Features
//!
//! None is on by default. The last column counts the crates that each adds to the 30 of the default, this one included.
//!
//! | feature | what | crates |
//! | --- | --- | --- |
//! | `parallel` | batches on several threads | 6 |
//! | `serde` | [`Builder`], [`Family`], [`Init`], [`PathChoice`] and [`Description`] to and from any format | 3 |
//! | `safetensors` | `checkpoint`: layers to and from files | 22 |
//! | `candle` | `frameworks::candle`: layers and adapters for candle 0.11 | 111 |
//! | `burn` | `frameworks::burn`: layers and adapters for burn 0.22.x (burn's minor versions are not compatible) | 122 |
//! | `burn-full` | nothing in this crate: the parts of burn that the example with its `Learner` needs | 183 |
//!
//! # Conventions
//!
//! `M` is m×n; a batch holds one example a row, `Y = X Mᵀ + b`. `Z_f` is the f-unit-circulant shift: ones on the subdiagonal
//! and f in the top right corner. Generators are stored one column a row: `"G"` is r×m, `"H"` is r×n. All slices are
//! row-major.
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod algebra;
pub mod analysis;
mod array;
#[doc(hidden)]
pub mod bare;
mod builder;
#[cfg(feature = "safetensors")]
#[cfg_attr(docsrs, doc(cfg(feature = "safetensors")))]
pub mod checkpoint;
pub mod compress;
pub mod displacement;
mod error;
#[cfg(any(feature = "burn", feature = "candle"))]
#[cfg_attr(docsrs, doc(cfg(any(feature = "burn", feature = "candle"))))]
pub mod frameworks;
mod layer;
pub mod ldr;
mod linalg;
mod matrix;
pub mod rank;
mod scalar;
mod shape;
pub mod solve;
pub mod structured;
mod transform;
pub mod unstructured;

pub use builder::Builder;
pub use error::{Error, Result};
pub use layer::{Linear, LinearGradient};
pub use matrix::{
    Bound, Description, Family, Init, Layout, Matrix, Parameters, Path, PathChoice, Permuted, Prepared, Reconstruction,
    Structure, Sum, Tensor, Workspace,
};
pub use scalar::Scalar;

// Types of these crates are in the interface: `fastrand::Rng` in `Structure::initialise`, arrays in `Matrix::apply_array`, complex
// numbers in `displacement::OperatorMatrix::eigenvalues`.
pub use fastrand;
pub use ndarray;
pub use num_complex;

/// The code of the README is tested with the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
