//! Matrices whose entries follow a pattern: circulant, Toeplitz, Hankel, Vandermonde, Cauchy.

pub(crate) mod cauchy;
pub(crate) mod cauchy_nodes;
pub(crate) mod circle_vandermonde;
mod circulant;
mod convolution;
mod f_circulant;
mod hankel;
mod toeplitz;
pub(crate) mod vandermonde;

pub use cauchy::Cauchy;
pub use cauchy_nodes::CauchyNodes;
pub use circle_vandermonde::CircleVandermonde;
pub use circulant::Circulant;
pub use f_circulant::FCirculant;
pub use hankel::{Hankel, ToeplitzPlusHankel};
pub use toeplitz::Toeplitz;
pub use vandermonde::Vandermonde;
