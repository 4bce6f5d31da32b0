//! Arithmetic on square matrices of low displacement rank with structured results: sums, products, transposes, inverses;
//! linear systems and determinants.
//!
//! An [`Ldr`] is a matrix M with `A M − M B = G Hᵀ`, G and H of r columns, for a [`UnitPair`] (A, B) of unit shifts.
//! What an operation does to the rank depends on the pair under which the result is expressed:
//!
//! | operation | rank at most | pair | cost |
//! | --- | --- | --- | --- |
//! | `α M` | r | the same | O(rn) |
//! | `Mᵀ` | r | swapped | O(rn) |
//! | `M J`, `J M` (J reverses the order) | r | B transposed | O(rn) |
//! | `M⁻¹` | r | swapped | O(r n²) |
//! | `M + N` | r₁ + r₂ | the same | O(n r²) |
//! | `M N` | r₁ + r₂ + 1 | A of M; Toeplitz if both are, or both Hankel | r₁ + r₂ fast products, O(n r²) |
//! | [`under`](Ldr::under) another pair | r + 2 | with the signs exchanged | 2 fast products, O(n r²) |
//!
//! So a transpose or an inverse has rank r + 2 under the pair of M. Sums, products and changes of the pair are
//! recompressed at the level of rounding; [`Ldr::recompress`] takes any tolerance. Nothing ever forms M.
//!
//! ```
//! use displace::algebra::{Gko, Ldr, UnitPair};
//! use displace::structured::Toeplitz;
//!
//! // Levinson's recursion breaks down: the first leading minor is zero.
//! let t = Ldr::from_toeplitz(&Toeplitz::from_column_and_row(&[0.0, 1.0, 2.0], &[0.0, 3.0, 1.0])?)?;
//! let gko = Gko::new(&t)?;
//! let x = gko.solve(&[4.0, 4.0, 3.0])?;
//! assert!(x.iter().all(|x: &f64| (x - 1.0).abs() < 1e-14));
//! assert!((gko.determinant_sign() * gko.log_abs_determinant().exp() - 19.0).abs() < 1e-12);
//!
//! // Its inverse has the same rank under the swapped pair, and no more than 2 more under the same.
//! let inverse = gko.inverse()?;
//! assert_eq!((inverse.rank(), inverse.pair()), (2, UnitPair::ToeplitzSwapped));
//! assert!(inverse.under(UnitPair::Toeplitz)?.rank() <= 4);
//! # Ok::<(), displace::Error>(())
//! ```
//!
//! # Which solver
//!
//! | matrix | solver | time | memory |
//! | --- | --- | --- | --- |
//! | any Toeplitz-, Hankel-like or Toeplitz, Hankel | [`Gko`] | O(r n²), then O(rn log n) a right-hand side | O(rn) |
//! | Cauchy-like, real nodes | [`CauchyGko`] | O(r n²) | O(rn) |
//! | symmetric positive definite Toeplitz, smooth symbol | [`conjugate_gradients`](crate::solve::conjugate_gradients) | O(n log n) a step | O(n) |
//!
//! # Rectangles
//!
//! [`Ldr`] is square: for orders m ≠ n the spectra of Z_1 and Z_−1 may intersect (i is a fourth root of 1 and a square root of
//! −1), and the equation would not determine the matrix. To calculate with a rectangular matrix, make it the corner of a square
//! one of order max(m, n) that is zero elsewhere. That raises the rank by 2 at most, because cutting rows off commutes with a
//! shift up to two entries; products, transposes and sums of such squares have those of the rectangles in their corners.
//! Rectangular matrices of any families can also be added as a [`Sum`](crate::Sum), and two of one family and shape by
//! concatenating their generators.
//!
//! # Accuracy
//!
//! Solutions are refined until their backward error stops falling, at a few ε, or are refused with
//! [`Error::SingularMatrix`](crate::Error::SingularMatrix) and an estimate of the condition number. An *inverse* is
//! only as good as its generators: where they cancel, `‖M⁻¹ G‖ ‖M⁻ᵀ H‖` far above `‖M⁻¹‖`, it loses digits on top of
//! those that the condition number costs, and is refused when fewer than two are left. The determinant has the accuracy of one
//! elimination: an error of about n ε times the growth of the generators, times the condition number at worst.
//!
//! Sources: Kailath and Sayed, "Displacement structure: theory and applications", 1995; Pan, "Structured matrices and
//! polynomials", 2001; Gohberg, Kailath, Olshevsky, "Fast Gaussian elimination with partial pivoting for matrices with
//! displacement structure", 1995; Aricò and Rodriguez, "A fast solver for linear systems with displacement structure",
//! 2010; Sindhwani, Sainath, Kumar, "Structured transforms for small-footprint deep learning", 2015.

mod cauchy;
mod closure;
mod convert;
mod eliminate;
mod gko;
mod gmres;
mod ldr;
mod norm;
mod pair;
mod solver;

pub use cauchy::CauchyGko;
pub use gko::Gko;
pub use ldr::Ldr;
pub use pair::{PairOperator, UnitPair};
