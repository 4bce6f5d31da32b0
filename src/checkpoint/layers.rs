//! Reading matrices and layers.

use std::io::{Read, Seek};
use std::sync::Arc;

use super::error::{CheckpointError, Result};
use super::{Reader, join};
use crate::error::zeros;
use crate::{Description, Error, Layout, Linear, Matrix, Scalar, Structure};

/// The largest side of a matrix that is planned on the word of a description alone, without as many stored numbers.
const MAX_SIDE_WITHOUT_NUMBERS: usize = 1 << 22;

impl<R: Read + Seek> Reader<R> {
    /// The layers that the file describes, by name.
    pub fn layers(&self) -> impl Iterator<Item = (&str, &Description)> {
        self.manifest().layers.iter().map(|(name, description)| (name.as_str(), description))
    }

    /// The structure of a layer, by the description in the file.
    ///
    /// # Errors
    ///
    /// [`CheckpointError::MissingLayer`] when there is no description of that name, and whatever
    /// [`Description::structure`] refuses it for.
    pub fn structure<T: Scalar>(&self, name: &str) -> Result<Arc<dyn Structure<T>>> {
        let description =
            self.manifest().layers.get(name).ok_or_else(|| CheckpointError::MissingLayer { name: name.to_string() })?;
        // Plans take memory in proportion to the sides; a few wrong digits must not ask for all there is.
        let prefix = join(name, "");
        let stored = |tensor: &&super::StoredTensor| tensor.name().starts_with(&prefix);
        let numbers = self.tensors().iter().filter(stored).map(|tensor| tensor.len()).max();
        let limit = numbers.unwrap_or(0).max(MAX_SIDE_WITHOUT_NUMBERS);
        let Description { rows, cols, rank, .. } = *description;
        if rows > limit || cols > limit {
            return Err(Error::TooLarge { rows, cols, rank }.into());
        }
        Ok(description.structure()?)
    }

    /// Reads a matrix whose structure the file describes.
    ///
    /// # Errors
    ///
    /// As for [`Reader::structure`] and [`Reader::matrix_of`].
    pub fn matrix<T: Scalar>(&self, name: &str) -> Result<Matrix<T>> {
        self.matrix_of(name, self.structure(name)?)
    }

    /// Reads the parameters of a structure that is known already: out of a file that a framework wrote, or of a family that is
    /// not of this crate.
    ///
    /// Tensors may have the names that `frameworks::burn` gives them, the k-th that is a matrix
    /// `matrices.k` and the k-th that is a vector `vectors.k`, and the entries of a
    /// [`Dense`](crate::unstructured::Dense) matrix may be called `weight`, as candle and PyTorch do. (The `weight` of
    /// burn's own `Linear` is the transposed matrix.)
    ///
    /// # Errors
    ///
    /// [`CheckpointError::MissingTensor`], [`CheckpointError::WrongShape`], [`CheckpointError::WrongDtype`] or
    /// [`CheckpointError::Io`]; [`CheckpointError::Layer`] for parameters that the family refuses, or that there is no memory
    /// for.
    pub fn matrix_of<T: Scalar, S: ?Sized + Structure<T>>(
        &self,
        name: &str,
        structure: Arc<S>,
    ) -> Result<Matrix<T, S>> {
        let parameters = self.parameters(name, structure.layout())?;
        Ok(Matrix::new(structure, parameters)?)
    }

    /// Reads a layer whose structure the file describes, with a bias if the file has one.
    ///
    /// # Errors
    ///
    /// As for [`Reader::matrix`].
    pub fn layer<T: Scalar>(&self, name: &str) -> Result<Linear<T>> {
        self.layer_of(name, self.structure(name)?)
    }

    /// Reads a layer of a structure that is known already, with a bias if the file has one.
    ///
    /// # Errors
    ///
    /// As for [`Reader::matrix_of`].
    pub fn layer_of<T: Scalar>(&self, name: &str, structure: Arc<dyn Structure<T>>) -> Result<Linear<T>> {
        let bias_name = join(name, "bias");
        let layout = Layout::new().with("bias", &[structure.rows()]);
        let bias = self.tensor(&bias_name).map(|_| self.parameters(name, &layout)).transpose()?;
        Ok(Linear::new(self.matrix_of(name, structure)?, bias)?)
    }

    /// The tensors of a layout, one after the other. Nothing is allocated before all of them have shown to be there.
    fn parameters<T: Scalar>(&self, prefix: &str, layout: &Layout) -> Result<Vec<T>> {
        let mut names = Vec::new();
        let (mut matrices, mut vectors) = (0.., 0..);
        for tensor in layout.tensors().iter().filter(|tensor| !tensor.range.is_empty()) {
            let in_burn = match tensor.shape.len() {
                1 => vectors.next().map(|k| format!("vectors.{k}")),
                _ => matrices.next().map(|k| format!("matrices.{k}")),
            };
            let entries = (tensor.name == "M").then(|| "weight".to_string());
            let known = std::iter::once(tensor.name.to_string()).chain(in_burn).chain(entries);
            let mut stored = known.filter_map(|name| self.tensor(&join(prefix, &name)));
            let stored =
                stored.next().ok_or_else(|| CheckpointError::MissingTensor { name: join(prefix, tensor.name) })?;
            let name = stored.name().to_string();
            if stored.shape() != tensor.shape {
                let (expected, actual) = (tensor.shape.clone(), stored.shape().to_vec());
                return Err(CheckpointError::WrongShape { name, expected, actual });
            }
            names.push((name, tensor.range.clone()));
        }
        let mut parameters = zeros("the parameters", layout.len())?;
        for (name, range) in names {
            self.read_into(&name, &mut parameters[range])?;
        }
        Ok(parameters)
    }
}
