//! Inverses applied to vectors.
//!
//! Toeplitz-like, Hankel-like and Cauchy-like systems are solved in [`algebra`](crate::algebra), from generators.

pub mod circle;
pub mod conjugate_gradients;
pub mod vandermonde;
