//! Matrices whose entries follow a pattern: circulant, Toeplitz, Hankel, Vandermonde, Cauchy.
//!
//! The module of each family defines it and says what it costs, how accurate it is, and when to choose it.

pub mod cauchy;
pub mod cauchy_nodes;
pub mod circle_vandermonde;
pub mod circulant;
mod convolution;
pub mod f_circulant;
pub mod hankel;
pub mod toeplitz;
pub mod vandermonde;

pub use cauchy::Cauchy;
pub use cauchy_nodes::CauchyNodes;
pub use circle_vandermonde::CircleVandermonde;
pub use circulant::Circulant;
pub use f_circulant::FCirculant;
pub use hankel::{Hankel, ToeplitzPlusHankel};
pub use toeplitz::Toeplitz;
pub use vandermonde::Vandermonde;
