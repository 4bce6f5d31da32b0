//! Matrices of low displacement rank: generators G and H under a pair of operators.

mod cauchy_like;
mod circle_filter;
mod circle_vandermonde_like;
mod filter;
mod half_circulant;
mod hankel_like;
mod krylov;
mod learned;
mod sandwich;
mod scaled_shift;
mod shift_like;
mod toeplitz_like;
mod torus;
mod vandermonde_like;

pub use cauchy_like::CauchyLike;
pub use circle_vandermonde_like::CircleVandermondeLike;
pub use hankel_like::HankelLike;
pub use learned::LearnedOperators;
pub use shift_like::{ShiftDisplacement, ShiftLike};
pub use toeplitz_like::ToeplitzLike;
pub(crate) use toeplitz_like::{full_generators, leading_generators};
pub use vandermonde_like::VandermondeLike;
