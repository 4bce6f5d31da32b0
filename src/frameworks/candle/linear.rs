//! The layer.

use std::fmt;
use std::sync::Arc;

use candle_core::{DType, Result, Shape, Tensor, Var, bail};
use candle_nn::{Init, Module, VarBuilder};

use super::super::binding::{Bare, Binding};
use super::op::{Entries, Number, Product, of_storage};
use super::wrap;
use crate::error::zeros;
use crate::{Builder, Description, Linear, Matrix, Scalar};

/// The layer `Y = X Mᵀ + b` of a structured m×n matrix, for tensors of candle of any leading dimensions.
///
/// It has one variable for each tensor of the matrix's [`Layout`](crate::Layout), under its name (`G`, `H`, …), and `bias`.
/// Their spectra are computed again when they have changed since the last call, by an optimiser or by hand.
///
/// Inputs that are contiguous are not copied. Tensors have to be on the CPU and of the type that the
/// layer was made with, `f32` or `f64`; gradients of gradients are not supported.
#[derive(Debug, Clone)]
pub struct StructuredLinear {
    tensors: Vec<(&'static str, Tensor)>,
    bias: Option<Tensor>,
    engine: Arc<dyn Engine>,
}

/// A structured layer with a bias: variables of `vb`, or new ones that `builder` initialises where `vb` makes them; the bias
/// starts at zero.
///
/// # Errors
///
/// What [`Builder::build`] refuses; variables of another shape; a type other than `f32` and `f64`; a device other than
/// the CPU.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use candle_nn::{Module, VarBuilder, VarMap};
/// use displace::frameworks::candle::structured_linear;
/// use displace::{Builder, Family};
///
/// let variables = VarMap::new();
/// let vb = VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu);
/// let builder = Builder::new(Family::ToeplitzLike, 64, 784).rank(4);
/// let layer = structured_linear(&builder, vb.pp("hidden"))?;
/// let y = layer.forward(&Tensor::ones((2, 5, 784), DType::F32, &Device::Cpu)?)?;
/// assert_eq!(y.dims(), [2, 5, 64]);
/// assert_eq!(variables.data().lock().unwrap()["hidden.G"].dims(), [4, 64]);
/// # Ok::<(), candle_core::Error>(())
/// ```
pub fn structured_linear(builder: &Builder, vb: VarBuilder) -> Result<StructuredLinear> {
    structured_linear_b(builder, true, vb)
}

/// A structured layer without a bias.
///
/// # Errors
///
/// As for [`structured_linear`].
pub fn structured_linear_no_bias(builder: &Builder, vb: VarBuilder) -> Result<StructuredLinear> {
    structured_linear_b(builder, false, vb)
}

/// A structured layer with a bias or without.
///
/// # Errors
///
/// As for [`structured_linear`].
pub fn structured_linear_b(builder: &Builder, bias: bool, vb: VarBuilder) -> Result<StructuredLinear> {
    match vb.dtype() {
        DType::F32 => build::<f32>(builder, bias, vb),
        DType::F64 => build::<f64>(builder, bias, vb),
        other => bail!("structured layers are of F32 or F64, not {other:?}"),
    }
}

fn build<T: Number>(builder: &Builder, bias: bool, vb: VarBuilder) -> Result<StructuredLinear> {
    let matrix = builder.build::<T>().map_err(wrap)?;
    let bias = bias.then(|| zeros("the bias", matrix.rows())).transpose().map_err(wrap)?;
    StructuredLinear::from_linear(Linear::new(matrix, bias).map_err(wrap)?, vb)
}

impl StructuredLinear {
    /// The layer of a [`Linear`]: variables of `vb`, or new ones with the layer's parameters where `vb` makes them.
    ///
    /// Use this for structures that a [`Builder`] does not make, such as those with fixed nodes, and for layers that
    /// were compressed or read from a `checkpoint`.
    ///
    /// # Errors
    ///
    /// Variables of another shape; a `vb` of a type other than T or of a device other than the CPU.
    pub fn from_linear<T: Scalar + candle_core::WithDType>(layer: Linear<T>, vb: VarBuilder) -> Result<Self> {
        if vb.dtype() != T::DTYPE {
            bail!("a layer of {} cannot have variables of {:?}", T::NAME, vb.dtype());
        }
        if !vb.device().is_cpu() {
            bail!("structured layers are for the CPU, not for {:?}", vb.device());
        }
        let (matrix, bias) = layer.into_parts();
        let mut tensors = Vec::new();
        for tensor in matrix.layout().tensors().iter().filter(|tensor| !tensor.range.is_empty()) {
            let start = &matrix.parameters()[tensor.range.clone()];
            tensors.push((tensor.name, variable(tensor.name, &tensor.shape, start, &vb)?));
        }
        let bias = bias.map(|bias| variable("bias", &[bias.len()], &bias, &vb)).transpose()?;
        Ok(Self { tensors, bias, engine: Arc::new(Handle(Arc::new(Binding::new(matrix)))) })
    }

    /// What the matrix is: family, shape, rank.
    pub fn description(&self) -> Description {
        self.engine.description()
    }

    /// The tensors that the matrix is made of, with their names.
    pub fn tensors(&self) -> &[(&'static str, Tensor)] {
        &self.tensors
    }

    /// The bias, if there is one.
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// The entries of the matrix as an m×n tensor, through which gradients reach the variables.
    ///
    /// # Errors
    ///
    /// Parameters that the family refuses, such as those that are not finite; entries that cannot be addressed or stored.
    pub fn dense(&self) -> Result<Tensor> {
        self.engine.entries(&self.flat()?)
    }

    /// The layer as it is now, without candle.
    ///
    /// # Errors
    ///
    /// Parameters that the family refuses, such as those that are not finite; for another T than the layer's, a structure that no
    /// [`Description`] builds.
    pub fn to_linear<T: Scalar>(&self) -> Result<Linear<T>> {
        let numbers = |tensor: &Tensor| -> Result<Vec<T>> {
            let wide = tensor.flatten_all()?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
            Ok(wide.into_iter().map(T::of).collect())
        };
        let bias = self.bias.as_ref().map(numbers).transpose()?;
        let matrix = self.engine.bare().with(numbers(&self.flat()?)?).map_err(wrap)?;
        Linear::new(matrix, bias).map_err(wrap)
    }

    /// All parameters of the matrix in one tensor.
    fn flat(&self) -> Result<Tensor> {
        let flat = self.tensors.iter().map(|(_, tensor)| tensor.flatten_all()).collect::<Result<Vec<_>>>()?;
        match &flat[..] {
            [] => Tensor::zeros(0, self.engine.dtype(), &candle_core::Device::Cpu),
            [one] => one.contiguous(),
            several => Tensor::cat(several, 0),
        }
    }
}

impl Module for StructuredLinear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.engine.product(x, &self.flat()?, self.bias.as_ref())
    }
}

/// A tensor of `vb`; where it is a new variable, these are its first numbers.
fn variable<T: Number>(name: &str, shape: &[usize], start: &[T], vb: &VarBuilder) -> Result<Tensor> {
    let new = !vb.contains_tensor(name);
    let tensor = vb.get_with_hints(Shape::from(shape), name, Init::Const(0.0))?;
    if new && tensor.is_variable() {
        Var::from_tensor(&tensor)?.set(&Tensor::from_slice(start, shape, vb.device())?)?;
    }
    Ok(tensor)
}

/// A [`Binding`] whose number type is forgotten.
trait Engine: fmt::Debug + Send + Sync {
    fn dtype(&self) -> DType;
    fn description(&self) -> Description;
    fn bare(&self) -> Bare;
    fn product(&self, x: &Tensor, parameters: &Tensor, bias: Option<&Tensor>) -> Result<Tensor>;
    fn entries(&self, parameters: &Tensor) -> Result<Tensor>;
}

#[derive(Debug)]
struct Handle<T: Number>(Arc<Binding<T>>);

impl<T: Number> Handle<T> {
    fn bind(&self, parameters: &Tensor) -> Result<Arc<Matrix<T>>> {
        let (storage, layout) = parameters.storage_and_layout();
        self.0.bind(of_storage(&storage, layout)?).map_err(wrap)
    }
}

impl<T: Number> Engine for Handle<T> {
    fn dtype(&self) -> DType {
        T::DTYPE
    }

    fn description(&self) -> Description {
        Description::of(&**self.0.last().structure())
    }

    fn bare(&self) -> Bare {
        Bare::of(&self.0.last())
    }

    fn product(&self, x: &Tensor, parameters: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let matrix = self.bind(parameters)?;
        if !x.device().is_cpu() {
            bail!("structured layers are for the CPU, not for {:?}", x.device());
        }
        if x.dtype() != T::DTYPE {
            bail!("a structured layer of {:?} was given {:?}", T::DTYPE, x.dtype());
        }
        if x.dims().last() != Some(&matrix.cols()) {
            bail!("a structured layer of {} inputs was given the shape {:?}", matrix.cols(), x.dims());
        }
        let x = x.contiguous()?;
        let product = Product { binding: Arc::clone(&self.0), matrix };
        match bias {
            None => x.apply_op2(parameters, product),
            Some(bias) => x.apply_op3(parameters, bias, product),
        }
    }

    fn entries(&self, parameters: &Tensor) -> Result<Tensor> {
        parameters.apply_op1(Entries { matrix: self.bind(parameters)? })
    }
}
