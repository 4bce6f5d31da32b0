//! How a matrix under subdiagonal operators follows from its displacement: a torus between two diagonals.
//!
//! With `A = S_A Z_f S_A⁻¹` and `B = S_B Z_e S_B⁻¹` (see [`scaled_shift`](super::scaled_shift)), the matrix of the
//! displacement D is `½ (1 − fe) S_A L(S_A⁻¹ D S_B⁻¹) S_B`, where L integrates on the torus of corners f and e. Read
//! the other way, an LDR-SD matrix is a Toeplitz-like one whose rows and columns are scaled.

use super::torus::Torus;
use crate::matrix::Reconstruction;
use crate::shape::Shape;

/// The map of two subdiagonal operators of order N = max(m, n).
#[derive(Debug)]
pub(super) struct ScaledTorus {
    torus: Torus,
    left: Vec<f64>,
    right: Vec<f64>,
}

/// The scaling and the corner of an operator with these weights, the corner first.
fn scaling(weights: &[f64]) -> (Vec<f64>, f64) {
    let mut product = 1.0;
    let mut scales = vec![1.0];
    scales.extend(weights[1..].iter().map(|w| {
        product *= w;
        product
    }));
    (scales, product * weights[0])
}

impl ScaledTorus {
    /// The map, where it is a bijection: no weight but the corners vanishes or leads out of range, and fe is not 1.
    pub fn new(shape: Shape, a: &[f64], b: &[f64]) -> Option<Self> {
        let ((mut left, f), (mut right, e)) = (scaling(a), scaling(b));
        left.truncate(shape.rows);
        right.truncate(shape.cols);
        let regular = left.iter().chain(&right).all(|s| s.is_normal()) && f.is_finite() && e.is_finite();
        let gap = (1.0 - f * e).abs();
        let apart = gap.is_finite() && gap > 8.0 * f64::EPSILON * (1.0 + (f * e).abs());
        (regular && apart).then(|| Self { torus: Torus { shape, order: shape.order(), f, e }, left, right })
    }

    /// Multiplies each entry by a number of its row and one of its column.
    fn scale(&self, matrix: &mut [f64], factor: f64, inverse: bool) {
        for (row, s) in matrix.chunks_exact_mut(self.torus.shape.cols).zip(&self.left) {
            match inverse {
                false => row.iter_mut().zip(&self.right).for_each(|(x, t)| *x *= factor * s * t),
                true => row.iter_mut().zip(&self.right).for_each(|(x, t)| *x *= factor / (s * t)),
            }
        }
    }

    fn factor(&self) -> f64 {
        0.5 * (1.0 - self.torus.f * self.torus.e)
    }
}

impl Reconstruction for ScaledTorus {
    fn reconstruct(&self, displacement: &mut [f64]) {
        self.scale(displacement, 1.0, true);
        self.torus.integrate(displacement);
        self.scale(displacement, self.factor(), false);
    }

    fn pull_back(&self, gradient: &mut [f64]) {
        self.scale(gradient, self.factor(), false);
        self.torus.integrate_adjoint(gradient);
        self.scale(gradient, 1.0, true);
    }

    fn displace(&self, matrix: &mut [f64]) {
        self.scale(matrix, self.factor().recip(), true);
        self.torus.differentiate(matrix);
        self.scale(matrix, 1.0, false);
    }
}
