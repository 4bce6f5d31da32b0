//! Bare transforms, for benchmarks to measure the floor of a product's cost by. Not part of the interface.

use crate::Scalar;
use crate::transform::{Form, RealTransform, Wrap};

pub use crate::transform::fast_length;

/// A block of signals and the two transforms of a Toeplitz-like product.
#[derive(Debug)]
pub struct BareTransforms<T: Scalar> {
    transforms: [RealTransform<T>; 2],
    block: Vec<T>,
    scratch: Vec<T>,
    form: Form,
}

impl<T: Scalar> BareTransforms<T> {
    /// Plans transforms of length n, of blocks such as a product with a batch uses.
    pub fn new(n: usize, batch: usize) -> Self {
        let transforms = [RealTransform::new(n, Wrap::Cyclic), RealTransform::new(n, Wrap::Negacyclic)];
        let form = transforms[0].forms().blocks::<T>(batch.max(1)).next().map_or(Form::Lanes, |(form, _)| form);
        let block = vec![T::of(0.5); transforms[0].block(form)];
        let scratch = vec![T::zero(); transforms[0].scratch_len().max(transforms[1].scratch_len())];
        Self { transforms, block, scratch, form }
    }

    /// Signals that one call transforms.
    pub fn signals(&self) -> usize {
        self.form.signals::<T>()
    }

    /// One forward and one inverse transform of each kind.
    pub fn run(&mut self) {
        for transform in &self.transforms {
            transform.forward(self.form, &mut self.block, &mut self.scratch);
            transform.inverse(self.form, &mut self.block, &mut self.scratch);
        }
        // Keep the numbers from growing into infinities, at the cost of one short pass.
        let scale = self.transforms[0].gain().powi(-2);
        self.block.iter_mut().for_each(|x| *x *= scale);
    }
}
