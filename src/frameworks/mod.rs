//! Layers for other crates' tensors: `candle` and `burn`, each behind the feature of its name.
//!
//! A framework owns parameters as tensors of its own and lets its optimisers change them. A layer here keeps a copy of the
//! parameters and what was prepared from them, such as the spectra of generators, and prepares again when the tensors differ
//! from the copy: a comparison of r(m + n) numbers a call, and transforms once a step.

mod binding;

#[cfg(feature = "burn")]
#[cfg_attr(docsrs, doc(cfg(feature = "burn")))]
pub mod burn;

#[cfg(feature = "candle")]
#[cfg_attr(docsrs, doc(cfg(feature = "candle")))]
pub mod candle;
