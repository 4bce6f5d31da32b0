//! Fast transforms on blocks of signals that lie side by side, one signal a SIMD lane.
//!
//! Families under shifts multiply by circulants, f = ±1, and by nothing else:
//!
//! 1. [`rows::load`] puts up to `LANES` rows of a batch into a *block*;
//! 2. [`RealTransform::forward`] turns signals into spectra, in place;
//! 3. [`RealTransform::multiply`] applies circulants, [`RealTransform::correlate`] gathers their gradients;
//! 4. [`RealTransform::inverse`] and [`rows::store`] lead back;
//! 5. [`RealTransform::forward_times`] and [`RealTransform::inverse_of_product`] take two of these steps in one.
//!
//! Families of nodes use the modules [`laplace`] (Vandermonde, real nodes), [`nonuniform`] (nodes on the unit circle) and
//! [`cauchy`]. [`isa`] holds the vector instructions that all kernels are written in.

pub(crate) mod butterfly;
pub(crate) mod cauchy;
pub(crate) mod few;
mod form;
pub mod isa;
pub(crate) mod laplace;
mod length;
pub mod library;
pub(crate) mod nonuniform;
pub(crate) mod pointwise;
mod product;
pub(crate) mod real;
mod ring;
pub(crate) mod rows;
mod single;
mod split;

pub(crate) use form::{Arrangement, Form, Forms, arrangement, untouched};
pub use length::fast_length;
pub(crate) use length::is_fast_length;
pub(crate) use pointwise::{Into, Side};
pub(crate) use real::{RealTransform, Wrap};
pub(crate) use ring::{Ring, Turn};
pub(crate) use rows::Order;

#[cfg(test)]
mod tests;
