//! Matrices of low displacement rank: generators G and H under a pair of operators.
//!
//! The module of each family defines it and says what it costs, how accurate it is, and when to choose it.

// Beside the families, what they are made of:
// * under shifts: `sandwich` multiplies; `torus` leads from displacements to entries and back;
// * with nodes: `terms` multiplies, by `half_circulant` and transforms at nodes; `filter` and `circle_filter` lead from
//   displacements to entries and back;
// * with learned operators: `scaled_shift`, with `scaling` and `scaled_torus`, or `krylov` multiplies; `diagonals` writes
//   the entries of LDR-SD.
pub mod cauchy_like;
mod circle_filter;
pub mod circle_vandermonde_like;
mod diagonals;
mod filter;
mod half_circulant;
pub mod hankel_like;
mod krylov;
pub mod learned;
mod sandwich;
mod scaled_shift;
mod scaled_torus;
mod scaling;
pub mod shift_like;
mod terms;
pub mod toeplitz_like;
mod torus;
pub mod vandermonde_like;

pub use cauchy_like::CauchyLike;
pub use circle_vandermonde_like::CircleVandermondeLike;
pub use hankel_like::HankelLike;
pub use learned::LearnedOperators;
pub use shift_like::{ShiftDisplacement, ShiftLike};
pub use toeplitz_like::ToeplitzLike;
pub(crate) use toeplitz_like::{full_generators, leading_generators};
pub use vandermonde_like::VandermondeLike;
