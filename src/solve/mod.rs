//! Inverses applied to vectors.

pub mod circle;
pub mod vandermonde;
