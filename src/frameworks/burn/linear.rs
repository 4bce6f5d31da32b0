//! The layer.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::{Dispatch, DispatchDevice};
use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Tensor, TensorData};

use super::super::binding::{Bare, Binding};
use super::op::{Bound, Job, Number, StructuredOps, must};
use crate::{Description, Error, Layout, Linear, Result, Scalar};

/// The layer `Y = X Mᵀ + b` of a structured m×n matrix, for tensors of any leading dimensions on the flex back end, with
/// gradients on its `autodiff` device.
///
/// The parameters are the tensors of the matrix's [`Layout`](crate::Layout), in its order, matrices and vectors apart. Their
/// spectra are computed again when they have changed since the last call, as after a step of an optimiser.
#[derive(Module, Debug)]
pub struct StructuredLinear {
    /// The parameters that are matrices, such as the generators `G` and `H`.
    pub matrices: Vec<Param<Tensor<2>>>,
    /// The parameters that are vectors, such as nodes or diagonals.
    pub vectors: Vec<Param<Tensor<1>>>,
    /// The bias, if there is one.
    pub bias: Option<Param<Tensor<1>>>,
    #[module(skip)]
    engine: Arc<dyn Engine>,
}

impl StructuredLinear {
    /// The layer of a [`Linear`], of its type of numbers, on a device.
    ///
    /// Use this for structures that a [`Builder`](crate::Builder) does not make, such as those with fixed nodes, and
    /// for layers that were compressed or read from a `checkpoint`.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for a device other than flex.
    pub fn from_linear<T: Scalar + burn::tensor::Element>(layer: Linear<T>, device: &Device) -> Result<Self> {
        check_device(device)?;
        let (matrix, bias) = layer.into_parts();
        let options = || (device, T::dtype());
        let (mut matrices, mut vectors) = (Vec::new(), Vec::new());
        for tensor in matrix.layout().tensors().iter().filter(|tensor| !tensor.range.is_empty()) {
            let data = TensorData::new(matrix.parameters()[tensor.range.clone()].to_vec(), &tensor.shape[..]);
            match tensor.shape.len() {
                1 => vectors.push(Param::from_tensor(Tensor::from_data(data, options()))),
                2 => matrices.push(Param::from_tensor(Tensor::from_data(data, options()))),
                _ => {
                    let given = format!("{:?} for {}", tensor.shape, tensor.name);
                    return Err(unsupported("the shape of a parameter", given, "one of one or two dimensions"));
                }
            }
        }
        let bias = bias.map(|bias| {
            let shape = [bias.len()];
            Param::from_tensor(Tensor::from_data(TensorData::new(bias, shape), options()))
        });
        Ok(Self { matrices, vectors, bias, engine: Arc::new(Handle(Arc::new(Binding::new(matrix)))) })
    }

    /// What the matrix is: family, shape, rank.
    pub fn description(&self) -> Description {
        self.engine.description()
    }

    /// `Y = X Mᵀ + b`.
    ///
    /// # Panics
    ///
    /// Where [`StructuredLinear::try_forward`] returns an error, as burn's own layers do.
    #[track_caller]
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        must(self.try_forward(x))
    }

    /// `Y = X Mᵀ + b`.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] for an x of another type of numbers, of another last dimension than n, or on a device other than
    /// flex, and for a bias of another type; [`Error::Length`] for a bias of another length; and what the family refuses of the
    /// parameters, such as numbers that are not finite.
    pub fn try_forward<const D: usize>(&self, x: Tensor<D>) -> Result<Tensor<D>> {
        check_device(&x.device())?;
        let flat = self.flat(&x.device());
        let job = self.engine.bind(&flat)?;
        if x.dtype() != self.engine.dtype() {
            let (given, expected) = (format!("{:?}", x.dtype()), self.engine.dtype_name());
            return Err(unsupported("the type of the input", given, expected));
        }
        let cols = self.engine.cols();
        if x.dims().last() != Some(&cols) {
            let given = format!("{:?} for a layer of {cols} inputs", x.dims());
            return Err(unsupported("the shape of the input", given, "one that ends in the number of inputs"));
        }
        let bias = match &self.bias {
            Some(bias) => self.checked_bias(bias.val())?,
            None => Tensor::zeros([0], (&x.device(), self.engine.dtype())),
        };
        let y = Dispatch::structured_product(x.into_dispatch(), flat.into_dispatch(), bias.into_dispatch(), job);
        Ok(Tensor::from_dispatch(y))
    }

    /// The entries of the matrix as an m×n tensor, through which gradients reach the parameters.
    ///
    /// # Errors
    ///
    /// What the family refuses of the parameters, such as numbers that are not finite; [`Error::TooLarge`](crate::Error::TooLarge)
    /// and [`Error::Memory`](crate::Error::Memory) for entries that cannot be addressed or stored.
    pub fn dense(&self) -> Result<Tensor<2>> {
        let (rows, cols) = (self.engine.rows(), self.engine.cols());
        crate::shape::Shape { rows, cols }.check_dense()?;
        crate::error::has_memory::<f64>("the entries", rows * cols)?;
        let flat = self.flat(&Device::flex());
        let job = self.engine.bind(&flat)?;
        Ok(Tensor::from_dispatch(Dispatch::structured_entries(flat.into_dispatch(), job)))
    }

    /// The layer as it is now, without burn.
    ///
    /// # Errors
    ///
    /// What the family refuses of the parameters, such as numbers that are not finite; [`Error::UnknownFamily`] for another T than
    /// the layer's and a structure that no [`Description`] builds.
    pub fn to_linear<T: Scalar>(&self) -> Result<Linear<T>> {
        let numbers = |tensor: Tensor<1>| tensor.into_data().iter::<f64>().map(T::of).collect::<Vec<T>>();
        let matrix = self.engine.bare().with(numbers(self.flat(&Device::flex())))?;
        Linear::new(matrix, self.bias.as_ref().map(|bias| numbers(bias.val())))
    }

    /// The bias, which is open to change.
    fn checked_bias(&self, bias: Tensor<1>) -> Result<Tensor<1>> {
        if bias.dtype() != self.engine.dtype() {
            let (given, expected) = (format!("{:?}", bias.dtype()), self.engine.dtype_name());
            return Err(unsupported("the type of the bias", given, expected));
        }
        match (bias.dims(), self.engine.rows()) {
            ([actual], expected) if actual != expected => Err(Error::Length { what: "bias", expected, actual }),
            _ => Ok(bias),
        }
    }

    /// All parameters of the matrix in one tensor.
    fn flat(&self, device: &Device) -> Tensor<1> {
        let (mut matrices, mut vectors) = (self.matrices.iter(), self.vectors.iter());
        let mut next = |dimensions: usize| match dimensions {
            1 => vectors.next().map(Param::val),
            _ => matrices.next().map(|matrix| matrix.val().flatten(0, 1)),
        };
        let layout = self.engine.layout();
        let tensors = layout.tensors().iter().filter(|tensor| !tensor.range.is_empty());
        let mut flat: Vec<_> = tensors.filter_map(|tensor| next(tensor.shape.len())).collect();
        match flat.len() {
            0 => Tensor::zeros([0], (device, self.engine.dtype())),
            1 => flat.remove(0),
            _ => Tensor::cat(flat, 0),
        }
    }
}

fn check_device(device: &Device) -> Result<()> {
    match device.clone().inner().as_dispatch() {
        DispatchDevice::Flex(_) => Ok(()),
        other => Err(unsupported("the device", format!("{other:?}"), "flex")),
    }
}

pub(super) fn unsupported(what: &'static str, given: String, expected: &'static str) -> Error {
    Error::Unsupported { what, given, expected }
}

/// A [`Binding`] whose number type is forgotten.
trait Engine: Debug + Send + Sync {
    fn dtype(&self) -> DType;
    fn dtype_name(&self) -> &'static str;
    fn rows(&self) -> usize;
    fn cols(&self) -> usize;
    fn layout(&self) -> Layout;
    fn description(&self) -> Description;
    fn bare(&self) -> Bare;
    fn bind(&self, parameters: &Tensor<1>) -> Result<Arc<dyn Job>>;
}

#[derive(Debug)]
struct Handle<T: Number>(Arc<Binding<T>>);

impl<T: Number> Engine for Handle<T> {
    fn dtype(&self) -> DType {
        T::dtype()
    }

    fn dtype_name(&self) -> &'static str {
        if size_of::<T>() == 8 { "F64" } else { "F32" }
    }

    fn rows(&self) -> usize {
        self.0.last().rows()
    }

    fn cols(&self) -> usize {
        self.0.last().cols()
    }

    fn layout(&self) -> Layout {
        self.0.last().layout().clone()
    }

    fn description(&self) -> Description {
        Description::of(&**self.0.last().structure())
    }

    fn bare(&self) -> Bare {
        Bare::of(&self.0.last())
    }

    fn bind(&self, parameters: &Tensor<1>) -> Result<Arc<dyn Job>> {
        let data = parameters.to_data();
        let given = || format!("{:?}", parameters.dtype());
        let numbers =
            data.as_slice::<T>().map_err(|_| unsupported("the type of the parameters", given(), self.dtype_name()))?;
        let matrix = self.0.bind(numbers)?;
        Ok(Arc::new(Bound { binding: Arc::clone(&self.0), matrix }))
    }
}
