//! Linear systems with matrices of two families, by methods of their own:
//!
//! | matrix | method | time |
//! | --- | --- | --- |
//! | symmetric positive definite Toeplitz | [`conjugate_gradients`], preconditioned by a circulant | O(n log n) a step |
//! | Vandermonde, real nodes | [`vandermonde`]: Björck and Pereyra | O(n²) |
//! | Vandermonde, nodes on the unit circle | [`circle`]: the same | O(n²) |
//!
//! Toeplitz-like, Hankel-like and Cauchy-like systems are solved in [`algebra`](crate::algebra), from generators.

pub mod circle;
pub mod conjugate_gradients;
pub mod vandermonde;
