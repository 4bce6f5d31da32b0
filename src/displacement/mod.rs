//! Displacement operators: what makes a structured matrix structured.
//!
//! A displacement operator subtracts from a matrix M a transformed copy of it, with two *operator matrices* A and B:
//! [`Sylvester`] `∇_{A,B}(M) = A M − M B`, or [`Stein`] `Δ_{A,B}(M) = M − A M B`. M is structured if the difference, its
//! *displacement*, has a low rank r, the *displacement rank*: it is then `G Hᵀ` with r columns in G and in H, the
//! [`Generators`]. A Toeplitz matrix, for instance, has displacement rank at most 2 under shifts. If the operator is
//! nonsingular, the generators determine the matrix.
//!
//! ```
//! use displace::displacement::{DisplacementOperator, Shift, Sylvester, Truncation};
//!
//! let toeplitz = [4.0, 3.0, 2.0, 5.0, 4.0, 3.0, 7.0, 5.0, 4.0];
//! let operator = Sylvester::new(Shift::new(3, 1.0)?, Shift::new(3, -1.0)?);
//! assert_eq!(operator.rank(&toeplitz, operator.default_tolerance())?, 2);
//!
//! let generators = operator.generators(&toeplitz, Truncation::Rank(2))?;
//! let back = operator.reconstruct(&generators)?;
//! assert!(back.iter().zip(&toeplitz).all(|(a, b): (&f64, &f64)| (a - b).abs() < 1e-13));
//! # Ok::<(), displace::Error>(())
//! ```
//!
//! Everything here works on dense matrices, row-major, in O(mn) or more (ranks and generators O(mn min(m, n))): it is for
//! analysis, conversion and tests. The matrices of [`ldr`](crate::ldr) multiply from their generators without any of this.
//!
//! Sources: Kailath, Kung, Morf, "Displacement ranks of matrices and linear equations", 1979; Pan, "Structured matrices
//! and polynomials", 2001; Sindhwani, Sainath, Kumar, "Structured transforms for small-footprint deep learning", 2015.

mod cycle;
mod generators;
mod operator;
mod pair;
mod rotation;
mod schur;
mod shift_pair;
mod stein;
mod sylvester;

pub use cycle::Cycle;
pub use generators::{Generators, Truncation};
pub use operator::{Diagonal, OperatorMatrix, Shift, Subdiagonal, Transposed, Tridiagonal};
pub use pair::DisplacementOperator;
pub use rotation::Rotation;
pub use shift_pair::{ShiftOperator, ShiftPair};
pub use stein::Stein;
pub use sylvester::Sylvester;
