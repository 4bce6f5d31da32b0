//! The product and the entries of a structured matrix as operations of candle, with their backward passes.

use std::sync::Arc;

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage, Tensor, WithDType, bail,
};

use super::super::binding::{Binding, Gradients, Wanted};
use super::wrap;
use crate::{Matrix, Scalar};

/// The number types that both sides have: `f32` and `f64`.
pub trait Number: Scalar + WithDType {}

impl<T: Scalar + WithDType> Number for T {}

/// `Y = X Mᵀ + b` of X, the parameters of M in one flat tensor, and b, if there is one.
pub(super) struct Product<T: Number> {
    pub binding: Arc<Binding<T>>,
    /// The matrix that the forward pass used.
    pub matrix: Arc<Matrix<T>>,
}

impl<T: Number> Product<T> {
    fn forward(&self, x: &[T], shape: &Shape, bias: Option<&[T]>) -> Result<(CpuStorage, Shape)> {
        let y = self.binding.forward(&self.matrix, x, bias).map_err(wrap)?;
        let mut dims = shape.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = self.matrix.rows();
        }
        Ok((T::to_cpu_storage_owned(y), dims.into()))
    }

    fn backward(&self, x: &Tensor, dy: &Tensor, wanted: Wanted) -> Result<Gradients<T>> {
        let dy = dy.contiguous()?;
        let ((x, x_layout), (dy, dy_layout)) = (x.storage_and_layout(), dy.storage_and_layout());
        let (x, dy) = (of_storage(&x, x_layout)?, of_storage(&dy, dy_layout)?);
        self.binding.backward(&self.matrix, x, dy, wanted).map_err(wrap)
    }
}

impl<T: Number> CustomOp2 for Product<T> {
    fn name(&self) -> &'static str {
        "structured-linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, x_layout: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward(numbers(x, x_layout)?, x_layout.shape(), None)
    }

    fn bwd(
        &self,
        x: &Tensor,
        parameters: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let wanted = Wanted { x: x.track_op(), parameters: parameters.track_op(), bias: false };
        let gradients = self.backward(x, dy, wanted)?;
        Ok((like(gradients.x, x)?, like(gradients.parameters, parameters)?))
    }
}

impl<T: Number> CustomOp3 for Product<T> {
    fn name(&self) -> &'static str {
        "structured-linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        _: &CpuStorage,
        _: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.forward(numbers(x, x_layout)?, x_layout.shape(), Some(numbers(bias, bias_layout)?))
    }

    fn bwd(
        &self,
        x: &Tensor,
        parameters: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let wanted = Wanted { x: x.track_op(), parameters: parameters.track_op(), bias: bias.track_op() };
        let gradients = self.backward(x, dy, wanted)?;
        Ok((like(gradients.x, x)?, like(gradients.parameters, parameters)?, like(gradients.bias, bias)?))
    }
}

/// The entries of M, m×n, of its parameters in one flat tensor.
pub(super) struct Entries<T: Number> {
    pub matrix: Arc<Matrix<T>>,
}

impl<T: Number> CustomOp1 for Entries<T> {
    fn name(&self) -> &'static str {
        "structured-entries"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let shape = (self.matrix.rows(), self.matrix.cols());
        Ok((T::to_cpu_storage_owned(self.matrix.to_dense().map_err(wrap)?), shape.into()))
    }

    fn bwd(&self, parameters: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let (storage, layout) = gradient.storage_and_layout();
        let mut sums = vec![T::zero(); self.matrix.parameters().len()];
        self.matrix.pull_back(of_storage(&storage, layout)?, &mut sums).map_err(wrap)?;
        like(Some(sums), parameters)
    }
}

/// The numbers of a tensor on the CPU that is contiguous.
pub(super) fn of_storage<'a, T: Number>(storage: &'a Storage, layout: &Layout) -> Result<&'a [T]> {
    match storage {
        Storage::Cpu(storage) => numbers(storage, layout),
        _ => bail!("structured layers are for the CPU"),
    }
}

fn numbers<'a, T: Number>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    let Some((start, end)) = layout.contiguous_offsets() else { bail!("the tensor is not contiguous") };
    Ok(&storage.as_slice()?[start..end])
}

/// Numbers as a tensor of the shape of another.
fn like<T: Number>(numbers: Option<Vec<T>>, other: &Tensor) -> Result<Option<Tensor>> {
    numbers.map(|numbers| Tensor::from_vec(numbers, other.shape(), other.device())).transpose()
}
