//! The product and the entries of a structured matrix as operations of burn, with their backward passes.

use std::fmt::Debug;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients as Collected;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex, TensorMetadata, backend_extension};
use burn::tensor::{Element, Shape, TensorData};

use super::super::binding::{Binding, Gradients, Wanted};
use crate::{Error, Matrix, Result, Scalar};

/// A tensor of the back end.
pub type FlexTensor = FloatTensor<Flex>;

/// The number types that both sides have: `f32` and `f64`.
pub trait Number: Scalar + Element {}

impl<T: Scalar + Element> Number for T {}

/// The matrix of an operation, its number type forgotten. Everything that could be refused has been checked before an
/// operation of burn begins, since those cannot return errors.
pub trait Job: Debug + Send + Sync {
    /// `X Mᵀ + b`; an empty b is none.
    fn product(&self, x: FlexTensor, bias: FlexTensor) -> FlexTensor;
    /// The gradients that are wanted of those in x, the parameters and the bias.
    fn gradients(&self, x: FlexTensor, dy: FlexTensor, wanted: Wanted) -> [Option<FlexTensor>; 3];
    /// The entries of M.
    fn entries(&self) -> FlexTensor;
    /// The gradient in the parameters from that in the entries.
    fn entries_gradient(&self, gradient: FlexTensor) -> FlexTensor;
}

/// The matrix of one forward pass.
#[derive(Debug)]
pub(super) struct Bound<T: Number> {
    pub binding: Arc<Binding<T>>,
    pub matrix: Arc<Matrix<T>>,
}

impl<T: Number> Bound<T> {
    /// The numbers of a tensor that is contiguous.
    fn numbers(tensor: &FlexTensor) -> Result<&[T]> {
        let expected = if size_of::<T>() == 8 { "F64" } else { "F32" };
        let given = || format!("{:?}", tensor.dtype());
        tensor.as_slice().ok_or_else(|| Error::Unsupported { what: "a tensor's type", given: given(), expected })
    }

    fn try_product(&self, x: FlexTensor, bias: FlexTensor) -> Result<FlexTensor> {
        let (x, bias) = (x.to_contiguous(), bias.to_contiguous());
        let bias = Some(Self::numbers(&bias)?).filter(|bias| !bias.is_empty());
        let y = self.binding.forward(&self.matrix, Self::numbers(&x)?, bias)?;
        let shape = x.shape();
        let last = shape.num_dims() - 1;
        let dims: Vec<usize> = (0..=last).map(|k| if k == last { self.matrix.rows() } else { shape[k] }).collect();
        Ok(tensor(y, dims))
    }

    fn try_gradients(&self, x: FlexTensor, dy: FlexTensor, wanted: Wanted) -> Result<[Option<FlexTensor>; 3]> {
        let (x, dy) = (x.to_contiguous(), dy.to_contiguous());
        let gradients = self.binding.backward(&self.matrix, Self::numbers(&x)?, Self::numbers(&dy)?, wanted)?;
        let Gradients { x: dx, parameters, bias } = gradients;
        let flat = |numbers: Vec<T>| {
            let len = numbers.len();
            tensor(numbers, [len])
        };
        Ok([dx.map(|dx| tensor(dx, x.shape())), parameters.map(flat), bias.map(flat)])
    }

    fn try_entries_gradient(&self, gradient: FlexTensor) -> Result<FlexTensor> {
        let gradient = gradient.to_contiguous();
        let mut sums = vec![T::zero(); self.matrix.parameters().len()];
        self.matrix.pull_back(Self::numbers(&gradient)?, &mut sums)?;
        let len = sums.len();
        Ok(tensor(sums, [len]))
    }
}

impl<T: Number> Job for Bound<T> {
    fn product(&self, x: FlexTensor, bias: FlexTensor) -> FlexTensor {
        must(self.try_product(x, bias))
    }

    fn gradients(&self, x: FlexTensor, dy: FlexTensor, wanted: Wanted) -> [Option<FlexTensor>; 3] {
        must(self.try_gradients(x, dy, wanted))
    }

    fn entries(&self) -> FlexTensor {
        tensor(must(self.matrix.to_dense()), [self.matrix.rows(), self.matrix.cols()])
    }

    fn entries_gradient(&self, gradient: FlexTensor) -> FlexTensor {
        must(self.try_entries_gradient(gradient))
    }
}

fn tensor<T: Number>(numbers: Vec<T>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(numbers, shape))
}

/// What succeeded, or the way in which burn's operations report errors: a panic.
#[track_caller]
pub(super) fn must<R>(result: Result<R>) -> R {
    match result {
        Ok(result) => result,
        Err(error) => panic!("{error}"),
    }
}

/// The operations, for the back ends that have them.
#[backend_extension(Flex, Autodiff)]
pub trait StructuredOps: Backend {
    /// `X Mᵀ + b` for the matrix of a job, whose parameters are those given.
    fn structured_product(
        x: FloatTensor<Self>,
        parameters: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        job: Arc<dyn Job>,
    ) -> FloatTensor<Self>;

    /// The entries of the matrix of a job, whose parameters are those given.
    fn structured_entries(parameters: FloatTensor<Self>, job: Arc<dyn Job>) -> FloatTensor<Self>;
}

/// The backward passes, on the back end below.
pub trait PullBack: Backend {
    /// The gradients of the product.
    fn product_gradients(
        x: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        wanted: Wanted,
        job: &dyn Job,
    ) -> [Option<FloatTensor<Self>>; 3];

    /// The gradient of the entries.
    fn entries_gradient(gradient: FloatTensor<Self>, job: &dyn Job) -> FloatTensor<Self>;
}

impl StructuredOps for Flex {
    fn structured_product(x: FlexTensor, _: FlexTensor, bias: FlexTensor, job: Arc<dyn Job>) -> FlexTensor {
        job.product(x, bias)
    }

    fn structured_entries(_: FlexTensor, job: Arc<dyn Job>) -> FlexTensor {
        job.entries()
    }
}

impl PullBack for Flex {
    fn product_gradients(x: FlexTensor, dy: FlexTensor, wanted: Wanted, job: &dyn Job) -> [Option<FlexTensor>; 3] {
        job.gradients(x, dy, wanted)
    }

    fn entries_gradient(gradient: FlexTensor, job: &dyn Job) -> FlexTensor {
        job.entries_gradient(gradient)
    }
}

impl<B: StructuredOps + PullBack, C: CheckpointStrategy> StructuredOps for Autodiff<B, C> {
    fn structured_product(
        x: FloatTensor<Self>,
        parameters: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        job: Arc<dyn Job>,
    ) -> FloatTensor<Self> {
        let ((x, x_node), (parameters, parameters_node)) = (x.into_parts(), parameters.into_parts());
        let (bias, bias_node) = bias.into_parts();
        let y = B::structured_product(x.clone(), parameters, bias, Arc::clone(&job));
        let nodes = [x_node, parameters_node, bias_node];
        match <Product as Backward<B, 3>>::prepare::<C>(Product, nodes).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish((x, job), y),
            OpsKind::UnTracked(prepared) => prepared.finish(y),
        }
    }

    fn structured_entries(parameters: FloatTensor<Self>, job: Arc<dyn Job>) -> FloatTensor<Self> {
        let (parameters, node) = parameters.into_parts();
        let entries = B::structured_entries(parameters, Arc::clone(&job));
        match <Entries as Backward<B, 1>>::prepare::<C>(Entries, [node]).compute_bound().stateful() {
            OpsKind::Tracked(prepared) => prepared.finish(job, entries),
            OpsKind::UnTracked(prepared) => prepared.finish(entries),
        }
    }
}

#[derive(Debug)]
struct Product;

impl<B: PullBack> Backward<B, 3> for Product {
    type State = (FloatTensor<B>, Arc<dyn Job>);

    fn backward(self, ops: Ops<Self::State, 3>, collected: &mut Collected, _: &mut Checkpointer) {
        let dy = collected.consume::<B>(&ops.node);
        let (x, job) = ops.state;
        let [x_is, parameters_is, bias_is] = ops.parents.each_ref().map(Option::is_some);
        let wanted = Wanted { x: x_is, parameters: parameters_is, bias: bias_is };
        let gradients = B::product_gradients(x, dy, wanted, &*job);
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                collected.register::<B>(parent.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct Entries;

impl<B: PullBack> Backward<B, 1> for Entries {
    type State = Arc<dyn Job>;

    fn backward(self, ops: Ops<Self::State, 1>, collected: &mut Collected, _: &mut Checkpointer) {
        let gradient = collected.consume::<B>(&ops.node);
        let [parent] = ops.parents;
        if let Some(parent) = parent {
            collected.register::<B>(parent.id, B::entries_gradient(gradient, &*ops.state));
        }
    }
}
