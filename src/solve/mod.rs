//! Inverses applied to vectors.

pub mod vandermonde;
