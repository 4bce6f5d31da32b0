//! Matrices of low displacement rank: generators G and H under a pair of operators.

mod cauchy_like;
mod circle_filter;
mod circle_vandermonde_like;
mod filter;
mod half_circulant;
mod hankel_like;
mod sandwich;
mod shift_like;
mod toeplitz_like;
mod torus;
mod vandermonde_like;

pub use cauchy_like::CauchyLike;
pub use circle_vandermonde_like::CircleVandermondeLike;
pub use hankel_like::HankelLike;
pub use shift_like::{ShiftDisplacement, ShiftLike};
pub use toeplitz_like::ToeplitzLike;
pub use vandermonde_like::VandermondeLike;
