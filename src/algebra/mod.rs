//! Arithmetic on matrices of low displacement rank.

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
pub use pair::{ShiftOperator, ShiftPair};
