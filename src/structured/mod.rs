//! Matrices whose entries follow a pattern: circulant, Toeplitz, Hankel.

mod circulant;
mod convolution;
mod f_circulant;
mod hankel;
mod toeplitz;

pub use circulant::Circulant;
pub use f_circulant::FCirculant;
pub use hankel::{Hankel, ToeplitzPlusHankel};
pub use toeplitz::Toeplitz;
