//! Solving with an inverse that is only approximate.

use super::gmres::gmres;
use super::norm::one_norm;
use crate::error::all_finite;
use crate::linalg::norm;
use crate::{Error, Result, Scalar};

/// Steps of refinement by the inverse alone, and by GMRES.
const REFINEMENTS: usize = 8;
const OUTER_STEPS: usize = 10;

/// Steps of GMRES in one of refinement, and what they are to reduce the residual by.
const INNER_STEPS: usize = 60;
const REDUCTION: f64 = 1e-8;

/// How far a vector may be from itself after a product with the matrix and one with the inverse: for the inverse to be
/// handed out, and for a solution instead of the product with the inverse.
const ACCURATE: f64 = 1e-2;
const SOLVABLE: f64 = 0.1;

/// Which product: with M, or with its transpose.
#[derive(Debug, Clone, Copy)]
pub(super) enum Side {
    Plain,
    Transposed,
}

/// A square matrix that is known by its products.
pub(super) trait Operator {
    fn order(&self) -> usize;

    /// `M x` or `Mᵀ x`.
    fn product(&self, side: Side, x: &[f64]) -> Result<Vec<f64>>;

    /// The same for residuals, accurate to rounding.
    fn exact_product(&self, side: Side, x: &[f64]) -> Result<Vec<f64>> {
        self.product(side, x)
    }
}

/// A matrix and an approximate inverse.
#[derive(Debug, Clone)]
pub(super) struct Solver<M> {
    matrix: M,
    inverse: M,
    /// Estimates of the 1-norms of the matrix and of its transpose.
    norms: [f64; 2],
    condition: f64,
    /// How far a random vector is from itself after a product with the matrix and one with the inverse.
    error: f64,
}

/// A solution so far.
struct Refinement {
    x: Vec<f64>,
    residual: Vec<f64>,
    error: f64,
}

impl<M: Operator> Solver<M> {
    /// Refuses a matrix of which no solution has a correct digit, with [`Error::SingularMatrix`].
    pub fn new(matrix: M, inverse: M) -> Result<Self> {
        let size = |matrix: &M, [plain, transposed]: [Side; 2]| {
            one_norm(matrix.order(), |x| matrix.product(plain, x), |y| matrix.product(transposed, y))
        };
        let (there, back) = ([Side::Plain, Side::Transposed], [Side::Transposed, Side::Plain]);
        let norms = [size(&matrix, there)?, size(&matrix, back)?];
        let condition = norms[0] * size(&inverse, there)?;
        let mut solver = Self { matrix, inverse, norms, condition, error: f64::NAN };
        solver.check()?;
        Ok(solver)
    }

    fn check(&mut self) -> Result<()> {
        let mut rng = fastrand::Rng::with_seed(1);
        let there: Vec<f64> = (0..self.order()).map(|_| 2.0 * rng.f64() - 1.0).collect();
        let distance = |back: &[f64]| {
            let difference: Vec<f64> = there.iter().zip(back).map(|(a, b)| a - b).collect();
            norm(&difference) / norm(&there)
        };
        let image = self.matrix.exact_product(Side::Plain, &there)?;
        self.error = distance(&self.inverse.product(Side::Plain, &image)?);
        if self.error <= ACCURATE {
            return Ok(());
        }
        match self.solve(Side::Plain, &image) {
            Ok(back) if distance(&back) <= SOLVABLE => Ok(()),
            _ => Err(self.singular()),
        }
    }

    pub fn order(&self) -> usize {
        self.matrix.order()
    }

    pub fn condition(&self) -> f64 {
        self.condition
    }

    pub fn singular(&self) -> Error {
        let condition = if self.condition.is_nan() { f64::INFINITY } else { self.condition };
        Error::SingularMatrix { condition }
    }

    /// The inverse, if it has two correct digits.
    pub fn inverse(&self) -> Result<&M> {
        if self.error <= ACCURATE { Ok(&self.inverse) } else { Err(self.singular()) }
    }

    /// Solutions for the rows of `right`, one a row.
    pub fn rows<T: Scalar>(&self, side: Side, right: &[T]) -> Result<Vec<T>> {
        let n = self.order();
        if !right.len().is_multiple_of(n) {
            return Err(Error::RaggedBatch { what: "right", row: n, actual: right.len() });
        }
        all_finite("right", right)?;
        let mut solutions = Vec::with_capacity(right.len());
        for b in right.chunks_exact(n) {
            let b: Vec<f64> = b.iter().map(|b| b.wide()).collect();
            solutions.extend(self.solve(side, &b)?.into_iter().map(T::of));
        }
        all_finite("the solution", &solutions)?;
        Ok(solutions)
    }

    /// Solves one system: with the inverse, and then by refinement until the backward error no longer falls. Where that
    /// is not at the level of rounding, as the generators of the inverse cancel, its errors lie in few directions, and
    /// GMRES removes them.
    fn solve(&self, side: Side, b: &[f64]) -> Result<Vec<f64>> {
        let mut state = Refinement { x: vec![0.0; b.len()], residual: b.to_vec(), error: f64::INFINITY };
        for _ in 0..REFINEMENTS {
            let correction = self.inverse.product(side, &state.residual)?;
            if !self.improve(side, b, &correction, &mut state)? {
                break;
            }
        }
        let rounding = f64::EPSILON * (16.0 + (b.len() as f64).sqrt());
        for _ in 0..OUTER_STEPS {
            if state.error <= rounding {
                break;
            }
            let operator = |v: &[f64]| self.matrix.product(side, &self.inverse.product(side, v)?);
            let image = gmres(operator, &state.residual, INNER_STEPS, REDUCTION)?;
            let correction = self.inverse.product(side, &image)?;
            if !self.improve(side, b, &correction, &mut state)? {
                break;
            }
        }
        let limit = f64::EPSILON * (64.0 + 16.0 * b.len() as f64);
        if state.error <= limit { Ok(state.x) } else { Err(self.singular()) }
    }

    /// Adds a correction to a solution if that lowers its backward error, and tells whether by half.
    fn improve(&self, side: Side, b: &[f64], correction: &[f64], state: &mut Refinement) -> Result<bool> {
        let size = |x: &[f64]| x.iter().map(|x| x.abs()).sum::<f64>();
        let x: Vec<f64> = state.x.iter().zip(correction).map(|(x, c)| x + c).collect();
        let residual: Vec<f64> = b.iter().zip(self.matrix.exact_product(side, &x)?).map(|(b, m)| b - m).collect();
        let scale = self.norms[side as usize] * size(&x) + size(b);
        let error = match scale {
            0.0 => 0.0,
            // What overflows proves nothing.
            _ if scale.is_infinite() => f64::NAN,
            _ => size(&residual) / scale,
        };
        let before = state.error;
        if error < before {
            *state = Refinement { x, residual, error };
        }
        Ok(error < 0.5 * before && error > 0.0)
    }
}
