//! Matrices whose entries follow a pattern: circulant, Toeplitz, Hankel, Vandermonde, Cauchy.
//!
//! Each family has a page of its own, the module of its name: definition, cost, accuracy, and when to choose it.

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
