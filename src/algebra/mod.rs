//! Arithmetic on matrices of low displacement rank.

mod closure;
mod convert;
mod eliminate;
mod gko;
mod ldr;
mod norm;
mod pair;

pub use gko::Gko;
pub use ldr::Ldr;
pub use pair::{ShiftOperator, ShiftPair};
