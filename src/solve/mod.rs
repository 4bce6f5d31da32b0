//! Inverses applied to vectors.

pub mod conjugate_gradients;
pub mod vandermonde;
