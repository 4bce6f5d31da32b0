//! What the two number types bring along for the kernels.

/// Kernels of a number type; see the module `transform`.
pub trait Kernels {}

impl Kernels for f32 {}
impl Kernels for f64 {}
