//! A structure whose parameters belong to a framework, which may change them at any time.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::error::zeros;
use crate::matrix::same;
use crate::{Description, Matrix, PathChoice, Result, Scalar, Structure, Workspace};

/// The matrix of the parameters that were last seen, and scratch for as many threads as use it at a time.
#[derive(Debug)]
pub(super) struct Binding<T: Scalar> {
    matrix: RwLock<Arc<Matrix<T>>>,
    workspaces: Mutex<Vec<Workspace<T>>>,
}

/// What a matrix without its parameters is, with its number type forgotten.
pub(super) struct Bare {
    description: Description,
    /// An `Arc<dyn Structure<T>>` for the T of the layer.
    structure: Box<dyn Any>,
    path: PathChoice,
}

impl Bare {
    pub fn of<T: Scalar>(matrix: &Matrix<T>) -> Self {
        let structure = Arc::clone(matrix.structure());
        Self { description: Description::of(&*structure), structure: Box::new(structure), path: matrix.path_choice() }
    }

    /// The matrix of these parameters: of the same structure, or for another number type of one that is built from its description.
    pub fn with<T: Scalar>(self, parameters: Vec<T>) -> Result<Matrix<T>> {
        let structure = match self.structure.downcast::<Arc<dyn Structure<T>>>() {
            Ok(structure) => *structure,
            Err(_) => self.description.structure()?,
        };
        Matrix::on_path(structure, parameters, self.path)
    }
}

/// Which gradients a backward pass has to compute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    pub x: bool,
    pub parameters: bool,
    pub bias: bool,
}

/// The gradients that were wanted.
#[derive(Debug)]
pub(super) struct Gradients<T> {
    pub x: Option<Vec<T>>,
    pub parameters: Option<Vec<T>>,
    pub bias: Option<Vec<T>>,
}

impl<T: Scalar> Binding<T> {
    pub fn new(matrix: Matrix<T>) -> Self {
        Self { matrix: RwLock::new(Arc::new(matrix)), workspaces: Mutex::default() }
    }

    /// The matrix of the parameters that were last seen.
    pub fn last(&self) -> Arc<Matrix<T>> {
        Arc::clone(&self.matrix.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The matrix of these parameters: the last one, if they are the same to the bit; otherwise it is prepared for them, in
    /// place unless somebody (a graph that waits for its backward pass) still holds it.
    pub fn bind(&self, parameters: &[T]) -> Result<Arc<Matrix<T>>> {
        let last = self.last();
        if same(last.parameters(), parameters) {
            return Ok(last);
        }
        drop(last);
        let mut slot = self.matrix.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(matrix) = Arc::get_mut(&mut slot) {
            matrix.set_parameters(parameters)?;
        } else if !same(slot.parameters(), parameters) {
            let mut matrix = Matrix::clone(&slot);
            matrix.set_parameters(parameters)?;
            *slot = Arc::new(matrix);
        }
        Ok(Arc::clone(&slot))
    }

    /// `Y = X Mᵀ + b`.
    pub fn forward(&self, matrix: &Matrix<T>, x: &[T], bias: Option<&[T]>) -> Result<Vec<T>> {
        let mut y = zeros("Y", matrix.product_len(x)?)?;
        self.with_workspace(|workspace| matrix.apply_into(x, &mut y, workspace))?;
        if let Some(bias) = bias {
            for row in y.chunks_exact_mut(matrix.rows()) {
                row.iter_mut().zip(bias).for_each(|(y, &b)| *y += b);
            }
        }
        Ok(y)
    }

    /// The gradients of a loss whose gradient in Y is `dy`.
    pub fn backward(&self, matrix: &Matrix<T>, x: &[T], dy: &[T], wanted: Wanted) -> Result<Gradients<T>> {
        let mut dx = wanted.x.then(|| vec![T::zero(); x.len()]);
        let mut parameters = wanted.parameters.then(|| vec![T::zero(); matrix.parameters().len()]);
        self.with_workspace(|workspace| match (&mut parameters, &mut dx) {
            (Some(parameters), dx) => matrix.backward(x, dy, dx.as_deref_mut(), parameters, workspace),
            (None, Some(dx)) => matrix.apply_transposed_into(dy, dx, workspace),
            (None, None) => Ok(()),
        })?;
        let bias = wanted.bias.then(|| {
            let mut sum = vec![T::zero(); matrix.rows()];
            for row in dy.chunks_exact(matrix.rows()) {
                sum.iter_mut().zip(row).for_each(|(sum, &d)| *sum += d);
            }
            sum
        });
        Ok(Gradients { x: dx, parameters, bias })
    }

    fn with_workspace<R>(&self, run: impl FnOnce(&mut Workspace<T>) -> R) -> R {
        let pool = || self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        let mut workspace = pool().pop().unwrap_or_default();
        let result = run(&mut workspace);
        pool().push(workspace);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Builder, Family};

    #[test]
    fn results_that_cannot_be_addressed_are_refused() {
        let matrix = Builder::new(Family::LowRank, 1 << 40, 1).rank(0).build::<f32>().unwrap();
        let binding = Binding::new(matrix);
        let refused = binding.forward(&binding.last(), &vec![0.0; 1 << 22], None).err();
        assert!(matches!(refused, Some(crate::Error::TooLarge { .. })), "{refused:?}");
    }

    #[test]
    fn parameters_are_prepared_when_they_change_and_only_then() {
        let matrix = Builder::new(Family::Toeplitz, 2, 2).build::<f64>().unwrap();
        let binding = Binding::new(matrix);
        let first = binding.bind(&[1.0, 2.0, 3.0]).unwrap();
        assert!(Arc::ptr_eq(&first, &binding.bind(&[1.0, 2.0, 3.0]).unwrap()));
        let second = binding.bind(&[1.0, 2.0, 4.0]).unwrap();
        assert_eq!((first.parameters(), second.parameters()), (&[1.0, 2.0, 3.0][..], &[1.0, 2.0, 4.0][..]));
        assert!(binding.bind(&[f64::NAN, 0.0, 0.0]).is_err() && binding.bind(&[1.0]).is_err());
        assert!(Arc::ptr_eq(&second, &binding.last()));
    }
}
