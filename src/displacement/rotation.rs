//! Rotations of pairs: diagonal matrices of nodes on the unit circle, in real numbers.

use num_complex::Complex;

use super::operator::OperatorMatrix;
use crate::error::{all_finite, has_length, room};
use crate::transform::nonuniform::angle::Turns;
use crate::{Error, Result, Scalar};

/// A block-diagonal matrix of 2×2 rotations by given angles, and a last 1 if the order is odd.
///
/// Rows and columns 2i and 2i + 1 hold `[[cos θ_i, −sin θ_i], [sin θ_i, cos θ_i]]`, the node `e^{iθ_i}` as a real
/// matrix. It is orthogonal; its eigenvalues are the `e^{±iθ_i}`, and 1 if the order is odd. Matrices of
/// [`CircleVandermonde`](crate::structured::CircleVandermonde) have rank 1 under it and a shift.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotation<T> {
    order: usize,
    /// Cosine and sine of each angle.
    nodes: Vec<(T, T)>,
}

impl<T: Scalar> Rotation<T> {
    /// The matrix of an order from its ⌊order/2⌋ angles.
    ///
    /// # Errors
    /// [`Error::EmptyShape`] for order 0, [`Error::Length`] for more or fewer angles, [`Error::NotFinite`] for an angle
    /// that is not finite.
    ///
    /// ```
    /// use displace::displacement::{OperatorMatrix, Rotation};
    ///
    /// let quarter = Rotation::new(3, &[std::f64::consts::FRAC_PI_2])?;
    /// let mut y = [0.0; 3];
    /// quarter.apply(&[2.0, 3.0, 5.0], &mut y)?;
    /// assert!((y[0] + 3.0).abs() < 1e-15 && (y[1] - 2.0).abs() < 1e-15 && y[2] == 5.0);
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn new(order: usize, angles: &[T]) -> Result<Self> {
        if order == 0 {
            return Err(Error::EmptyShape { rows: 0, cols: 0 });
        }
        has_length("theta", angles, order / 2)?;
        all_finite("theta", angles)?;
        let node = |angle: &T| {
            let (cos, sin) = Turns::of(angle.wide()).cos_sin(1.0);
            (T::of(cos), T::of(sin))
        };
        Ok(Self { order, nodes: angles.iter().map(node).collect() })
    }

    fn rotate(&self, sign: T, x: &[T], y: &mut [T]) -> Result<()> {
        has_length("x", x, self.order)?;
        has_length("y", y, self.order)?;
        for ((&(cos, sin), x), y) in self.nodes.iter().zip(x.chunks_exact(2)).zip(y.chunks_exact_mut(2)) {
            y[0] = cos * x[0] - sign * sin * x[1];
            y[1] = sign * sin * x[0] + cos * x[1];
        }
        let paired = 2 * self.nodes.len();
        y[paired..].copy_from_slice(&x[paired..]);
        Ok(())
    }
}

impl<T: Scalar> OperatorMatrix<T> for Rotation<T> {
    fn order(&self) -> usize {
        self.order
    }

    fn apply(&self, x: &[T], y: &mut [T]) -> Result<()> {
        self.rotate(T::one(), x, y)
    }

    fn apply_transposed(&self, x: &[T], y: &mut [T]) -> Result<()> {
        self.rotate(-T::one(), x, y)
    }

    fn eigenvalues(&self) -> Result<Option<Vec<Complex<f64>>>> {
        let pair = |&(cos, sin): &(T, T)| [sin, -sin].map(|im| Complex::new(cos.wide(), im.wide()));
        let last = (self.order % 2 == 1).then_some(Complex::new(1.0, 0.0));
        let mut eigenvalues = room("the eigenvalues", self.order)?;
        eigenvalues.extend(self.nodes.iter().flat_map(pair).chain(last));
        Ok(Some(eigenvalues))
    }

    fn norm_bound(&self) -> Result<T> {
        // An orthogonal matrix, but for the rounding of its entries.
        Ok(T::one() + T::epsilon())
    }
}
