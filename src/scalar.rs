//! The numbers that matrices are made of: `f32` and `f64`.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{AddAssign, DivAssign, MulAssign, SubAssign};

use crate::builder::Families;
use crate::transform::cauchy::Passes;
use crate::transform::isa::Kernels;
use crate::transform::library::Library;

/// A real number type that matrices can hold: `f32` or `f64`.
///
/// The trait is sealed: the transform kernels exist for these two types only.
///
/// ```
/// use displace::Scalar;
///
/// fn half<T: Scalar>() -> T {
///     T::of(0.5)
/// }
/// assert_eq!(half::<f32>(), 0.5);
/// ```
pub trait Scalar:
    num_traits::Float
    + Library
    + Families
    + Kernels
    + Passes
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
    + Default
    + Display
    + Debug
    + Send
    + Sync
    + 'static
{
    /// The name of the type, `"f32"` or `"f64"`.
    const NAME: &'static str;

    /// Rounds an `f64` to this type.
    fn of(value: f64) -> Self;

    /// Widens to `f64`, exactly.
    fn wide(self) -> f64;
}

impl Scalar for f32 {
    const NAME: &'static str = "f32";

    #[inline]
    fn of(value: f64) -> Self {
        value as f32
    }

    #[inline]
    fn wide(self) -> f64 {
        f64::from(self)
    }
}

impl Scalar for f64 {
    const NAME: &'static str = "f64";

    #[inline]
    fn of(value: f64) -> Self {
        value
    }

    #[inline]
    fn wide(self) -> f64 {
        self
    }
}
