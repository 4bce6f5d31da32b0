//! A layer: a matrix of any family, and a bias.

use crate::error::{all_finite, has_length};
use crate::matrix::{Matrix, Workspace};
use crate::{Result, Scalar};

/// The layer `Y = X Mᵀ + b`, from batches of n numbers an example to batches of m.
///
/// Weight and bias are flat slices, and so are their gradients, for any optimiser to step:
///
/// ```
/// use displace::{Builder, Family, Workspace};
///
/// let mut layer = Builder::new(Family::ToeplitzLike, 3, 4).rank(2).build_layer::<f64>()?;
/// let (x, target) = ([1.0, 2.0, 3.0, 4.0], [0.5, -0.5, 1.0]);
/// let mut workspace = Workspace::new();
/// let error = |y: &[f64]| y.iter().zip(&target).map(|(y, t)| y - t).collect::<Vec<_>>();
/// for _ in 0..200 {
///     let dy = error(&layer.forward(&x)?);
///     let mut gradient = layer.zero_gradient();
///     layer.backward_into(&x, &dy, None, &mut gradient, &mut workspace)?;
///     layer.update(|weight, bias| {
///         weight.iter_mut().zip(&gradient.weight).for_each(|(w, g)| *w -= 0.02 * g);
///         bias.iter_mut().zip(&gradient.bias).for_each(|(b, g)| *b -= 0.02 * g);
///     })?;
/// }
/// assert!(error(&layer.forward(&x)?).iter().all(|e| e.abs() < 1e-3));
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Linear<T: Scalar> {
    weight: Matrix<T>,
    bias: Option<Vec<T>>,
    previous: Vec<T>,
}

/// The gradient of a loss in the parameters of a [`Linear`].
#[derive(Debug, Clone, PartialEq)]
pub struct LinearGradient<T> {
    /// In the parameters of the matrix, in the order of its layout.
    pub weight: Vec<T>,
    /// In the bias; empty without one.
    pub bias: Vec<T>,
}

impl<T: Scalar> LinearGradient<T> {
    /// Sets everything to zero.
    pub fn clear(&mut self) {
        self.weight.fill(T::zero());
        self.bias.fill(T::zero());
    }
}

impl<T: Scalar> Linear<T> {
    /// A layer of a matrix and m biases, or none.
    ///
    /// # Errors
    ///
    /// [`Error::Length`](crate::Error::Length) when there are not m biases,
    /// [`Error::NotFinite`](crate::Error::NotFinite).
    pub fn new(weight: Matrix<T>, bias: Option<Vec<T>>) -> Result<Self> {
        if let Some(bias) = &bias {
            has_length("bias", bias, weight.rows())?;
            all_finite("bias", bias)?;
        }
        Ok(Self { weight, bias, previous: Vec::new() })
    }

    /// The matrix.
    pub fn weight(&self) -> &Matrix<T> {
        &self.weight
    }

    /// Takes the layer apart into matrix and bias.
    pub fn into_parts(self) -> (Matrix<T>, Option<Vec<T>>) {
        (self.weight, self.bias)
    }

    /// The matrix, to be changed: its path, its rank ([`rank`](crate::rank)).
    pub fn weight_mut(&mut self) -> &mut Matrix<T> {
        &mut self.weight
    }

    /// The bias, empty without one.
    pub fn bias(&self) -> &[T] {
        self.bias.as_deref().unwrap_or_default()
    }

    /// Parameters of weight and bias together.
    pub fn parameter_count(&self) -> usize {
        self.weight.parameters().len() + self.bias().len()
    }

    /// A gradient of zeros.
    pub fn zero_gradient(&self) -> LinearGradient<T> {
        LinearGradient {
            weight: vec![T::zero(); self.weight.parameters().len()],
            bias: vec![T::zero(); self.bias().len()],
        }
    }

    /// `Y = X Mᵀ + b`.
    ///
    /// # Errors
    ///
    /// As for [`Matrix::apply`], and [`Error::Length`](crate::Error::Length) if the matrix has been exchanged, by way of
    /// [`Linear::weight_mut`], for one that the bias does not fit.
    pub fn forward(&self, x: &[T]) -> Result<Vec<T>> {
        self.check_bias()?;
        let mut y = self.weight.apply(x)?;
        self.add_bias(&mut y);
        Ok(y)
    }

    /// `Y = X Mᵀ + b` into a buffer of the caller.
    ///
    /// # Errors
    ///
    /// As for [`Matrix::apply_into`] and [`Linear::forward`].
    pub fn forward_into(&self, x: &[T], y: &mut [T], workspace: &mut Workspace<T>) -> Result<()> {
        self.check_bias()?;
        self.weight.apply_into(x, y, workspace)?;
        self.add_bias(y);
        Ok(())
    }

    /// The backward pass: given the gradient `dy` of a loss in Y, writes its gradient in X to `dx`, if asked, and *adds*
    /// its gradients in weight and bias to `gradient`.
    ///
    /// # Errors
    ///
    /// As for [`Matrix::backward`] and [`Linear::forward`]; nothing has been written then.
    pub fn backward_into(
        &self,
        x: &[T],
        dy: &[T],
        dx: Option<&mut [T]>,
        gradient: &mut LinearGradient<T>,
        workspace: &mut Workspace<T>,
    ) -> Result<()> {
        self.check_bias()?;
        has_length("gradient of the bias", &gradient.bias, self.bias().len())?;
        self.weight.backward(x, dy, dx, &mut gradient.weight, workspace)?;
        if self.bias.is_some() {
            for row in dy.chunks_exact(self.weight.rows()) {
                gradient.bias.iter_mut().zip(row).for_each(|(g, &d)| *g += d);
            }
        }
        Ok(())
    }

    /// Lets an optimiser change the parameters of the weight (first slice) and the bias (second slice, empty without
    /// one) in place.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`](crate::Error::NotFinite), or whatever else the family refuses, such as a real node outside
    /// [−1, 1], where [`Vandermonde::clamp`](crate::structured::Vandermonde::clamp) puts it back; the layer is unchanged then.
    pub fn update(&mut self, step: impl FnOnce(&mut [T], &mut [T])) -> Result<()> {
        let bias = self.bias.as_deref_mut().unwrap_or_default();
        self.previous.clear();
        self.previous.extend_from_slice(bias);
        let stepped = self.weight.try_update(|weight| {
            step(weight, bias);
            all_finite("bias", bias)
        });
        if stepped.is_err() {
            self.bias.as_deref_mut().unwrap_or_default().copy_from_slice(&self.previous);
        }
        stepped
    }

    fn check_bias(&self) -> Result<()> {
        self.bias.as_ref().map_or(Ok(()), |bias| has_length("bias", bias, self.weight.rows()))
    }

    fn add_bias(&self, y: &mut [T]) {
        let Some(bias) = &self.bias else { return };
        for row in y.chunks_exact_mut(bias.len()) {
            row.iter_mut().zip(bias).for_each(|(y, &b)| *y += b);
        }
    }
}
