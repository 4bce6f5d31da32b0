//! Bare transforms, for benchmarks to measure the floor of a product's cost by. Not part of the interface.

use crate::Scalar;
use crate::matrix::{Workspace, take};
use crate::transform::{Form, RealTransform, Wrap};

pub use crate::transform::fast_length;

/// A block of signals and the two transforms of a Toeplitz-like product.
#[derive(Debug)]
pub struct BareTransforms<T: Scalar> {
    transforms: [RealTransform<T>; 2],
    /// The block, and scratch behind it.
    memory: Workspace<T>,
    form: Form,
}

impl<T: Scalar> BareTransforms<T> {
    /// Plans transforms of length n, of blocks such as a product with a batch uses.
    pub fn new(n: usize, batch: usize) -> Self {
        let transforms = [RealTransform::new(n, Wrap::Cyclic), RealTransform::new(n, Wrap::Negacyclic)];
        let form = transforms[0].forms().blocks::<T>(batch.max(1)).next().map_or(Form::Lanes, |(form, _)| form);
        let mut bare = Self { transforms, memory: Workspace::new(), form };
        bare.parts().1.fill(T::of(0.5));
        bare
    }

    /// Transforms of one signal that one call of [`BareTransforms::run`] does.
    pub fn transforms(&self) -> usize {
        4 * self.form.signals::<T>()
    }

    fn parts(&mut self) -> (&[RealTransform<T>; 2], &mut [T], &mut [T]) {
        let Self { transforms, memory, form } = self;
        let block = transforms[0].block(*form);
        let scratch = transforms.iter().map(RealTransform::scratch_len).max().unwrap_or(0);
        let mut memory = memory.slice(block + scratch);
        (transforms, take(&mut memory, block), memory)
    }

    /// One forward and one inverse transform of each kind.
    pub fn run(&mut self) {
        let form = self.form;
        let (transforms, block, scratch) = self.parts();
        for transform in transforms {
            transform.forward(form, block, scratch);
            transform.inverse(form, block, scratch);
        }
        // Keep the numbers from growing into infinities, at the cost of one short pass.
        let scale = transforms[0].gain().powi(-2);
        block.iter_mut().for_each(|x| *x *= scale);
    }
}
