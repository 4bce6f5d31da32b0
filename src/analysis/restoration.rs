//! Undoing the drift of some singular directions, to see what they were worth.

use super::drift::same_shape;
use super::spectrum::Spectrum;
use crate::linalg::{Orthonormal, orthonormal};
use crate::unstructured::gemm::gemm_tn;
use crate::{Error, Result};

/// Whose singular values the replaced directions get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Values {
    /// The matrix keeps its own values, and only its directions are replaced.
    #[default]
    Kept,
    /// The values come along with the directions.
    Replaced,
}

/// Replaces the leading and the trailing singular directions of one matrix by those of another.
///
/// From the matrix `Σ_i σ_i u_i v_iᵀ` and a source `Σ_i σ'_i u'_i v'_iᵀ` it makes the matrix in which `u_i v_iᵀ` has become
/// `u'_i v'_iᵀ` for the first `leading` and the last `trailing` of the min(m, n) directions. That is the experiment of
/// arXiv 2509.12235: is the drift of these directions the cause of what a fine-tuned model has learnt, or of what it has
/// forgotten?
///
/// Directions of two matrices are not orthonormal together. They are used as they are, unless [`Restoration::orthogonal`] is
/// set.
///
/// ```
/// use displace::analysis::{Restoration, Spectrum, Values};
///
/// let (base, tuned) = ([2.0, 0.0, 0.0, 1.0], [0.0, 1.0, 3.0, 0.0]);
/// let (base, tuned) = (Spectrum::new(&base, 2, 2)?, Spectrum::new(&tuned, 2, 2)?);
/// let back = Restoration::new(1, 0).apply(&tuned, &base)?; // value 3 along the first direction of the base
/// assert!((back[0] - 3.0_f64).abs() < 1e-14);
/// assert!(Restoration::new(1, 1).apply(&tuned, &base).is_err(), "that is the base, with other values");
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restoration {
    leading: usize,
    trailing: usize,
    values: Values,
    orthogonal: bool,
}

impl Restoration {
    /// The replacement of this many leading and trailing directions, keeping the singular values.
    pub fn new(leading: usize, trailing: usize) -> Self {
        Self { leading, trailing, values: Values::Kept, orthogonal: false }
    }

    /// Whose singular values the replaced directions get.
    #[must_use]
    pub fn values(mut self, values: Values) -> Self {
        self.values = values;
        self
    }

    /// Whether the directions that stay are made orthonormal again, to those that replace the others and among themselves,
    /// in order of their values (Gram–Schmidt, by reflections). The result then has exactly the singular values that it
    /// is built from.
    #[must_use]
    pub fn orthogonal(mut self, orthogonal: bool) -> Self {
        self.orthogonal = orthogonal;
        self
    }

    /// The matrix `onto` with directions of `source`, row-major m×n. O(mnp), p = min(m, n).
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`]; [`Error::OutOfRange`] when no direction would be replaced, or when all p would be: that is
    /// the other matrix, perhaps with other singular values, and no restoration.
    pub fn apply(&self, onto: &Spectrum, source: &Spectrum) -> Result<Vec<f64>> {
        same_shape("the restoration", onto, source)?;
        let (m, n, p) = (onto.rows, onto.cols, onto.values().len());
        let replaced = self.leading.saturating_add(self.trailing);
        if replaced == 0 || replaced >= p {
            let range = "[1, min(m, n) − 1]: no direction would be replaced, or all";
            return Err(Error::OutOfRange { what: "leading + trailing", value: replaced as f64, range });
        }
        let mut left = self.directions(onto.left(), source.left(), m);
        let right = self.directions(onto.right(), source.right(), n);
        for (i, u) in left.chunks_exact_mut(m).enumerate() {
            let from_source = self.replaces(i, p) && self.values == Values::Replaced;
            let value = if from_source { source.values()[i] } else { onto.values()[i] };
            u.iter_mut().for_each(|u| *u *= value);
        }
        let mut matrix = vec![0.0; m * n];
        gemm_tn(&left, &right, &mut matrix, [m, p, n]);
        Ok(matrix)
    }

    fn replaces(&self, index: usize, count: usize) -> bool {
        index < self.leading || index >= count - self.trailing
    }

    /// The directions of both, one a row of length `len`, in their places.
    fn directions(&self, onto: &[f64], source: &[f64], len: usize) -> Vec<f64> {
        let count = onto.len() / len;
        let row = |i: usize| if self.replaces(i, count) { &source[i * len..][..len] } else { &onto[i * len..][..len] };
        if !self.orthogonal {
            return (0..count).flat_map(|i| row(i).iter().copied()).collect();
        }
        let order: Vec<usize> = [true, false]
            .into_iter()
            .flat_map(|first| (0..count).filter(move |&i| self.replaces(i, count) == first))
            .collect();
        let Orthonormal { q, diagonal } = orthonormal(order.iter().flat_map(|&i| row(i).to_vec()).collect(), len);
        let mut placed = vec![0.0; onto.len()];
        for ((&i, q), diagonal) in order.iter().zip(q.chunks_exact(len)).zip(diagonal) {
            // No direction is to point the other way.
            let to = &mut placed[i * len..][..len];
            to.iter_mut().zip(q).for_each(|(to, &q)| *to = if diagonal < 0.0 { -q } else { q });
        }
        placed
    }
}
