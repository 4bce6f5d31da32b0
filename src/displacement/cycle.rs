//! Weighted cyclic shifts, and displacement equations between two of them.
//!
//! With `(A x)_i = a_i x_{i−p}` and `(x B)_j = b_j x_{j−q}`, indices wrapping around, a displacement equation links each
//! entry of M to one other entry: the entries fall into cycles on an m×n torus, along each of which the equation is
//! `α_k x_{k+1} = β_k x_k + d_k`. A cycle is solved by running once around it, in the direction in which the product of
//! the factors does not grow, and is singular exactly if that product is 1. This holds for rectangular matrices as for
//! square ones, and for shifts, diagonals and weighted shifts in any combination.

use num_complex::Complex;

use crate::error::{all_finite, room};
use crate::{Error, Result, Scalar};

/// A square matrix with one entry in each row and column that shifts cyclically by a step of −1, 0 or 1:
/// `(A x)_i = w_i x_{i − step}`, with indices that wrap around.
///
/// Step 0 is a diagonal matrix, step 1 has entries on the subdiagonal and in the top right corner, `w_0`; step −1 is the
/// transpose of such a matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Cycle<T> {
    step: i8,
    weights: Vec<T>,
}

impl<T: Scalar> Cycle<T> {
    /// The matrix of a step and its weights `w`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for another step than −1, 0 or 1, [`Error::EmptyShape`] without weights,
    /// [`Error::NotFinite`] for a weight that is not finite.
    pub fn new(step: i8, weights: Vec<T>) -> Result<Self> {
        if !(-1..=1).contains(&step) {
            return Err(Error::OutOfRange { what: "step", value: step.into(), range: "−1..=1" });
        }
        if weights.is_empty() {
            return Err(Error::EmptyShape { rows: 0, cols: 0 });
        }
        all_finite("weights", &weights)?;
        Ok(Self { step, weights })
    }

    /// The same for values known to be good.
    pub(super) fn known(step: i8, weights: Vec<T>) -> Self {
        Self { step, weights }
    }

    /// The step.
    pub fn step(&self) -> i8 {
        self.step
    }

    /// The weights `w`, by row.
    pub fn weights(&self) -> &[T] {
        &self.weights
    }

    /// `(i + by) mod n` for a `by` of −1, 0 or 1.
    fn moved(i: usize, by: i8, n: usize) -> usize {
        match by {
            0 => i,
            1 if i + 1 == n => 0,
            1 => i + 1,
            _ => i.checked_sub(1).unwrap_or(n - 1),
        }
    }

    pub(super) fn apply(&self, x: &[T], y: &mut [T]) {
        let n = self.weights.len();
        for (i, (y, &w)) in y.iter_mut().zip(&self.weights).enumerate() {
            *y = w * x[Self::moved(i, -self.step, n)];
        }
    }

    pub(super) fn apply_transposed(&self, x: &[T], y: &mut [T]) {
        let n = self.weights.len();
        for (i, (x, &w)) in x.iter().zip(&self.weights).enumerate() {
            y[Self::moved(i, -self.step, n)] = w * *x;
        }
    }

    pub(super) fn transposed(mut self) -> Self {
        match self.step {
            0 => {}
            1 => self.weights.rotate_left(1),
            _ => self.weights.rotate_right(1),
        }
        Self { step: -self.step, ..self }
    }

    /// A clone, if there is memory for it.
    pub(super) fn copy(&self) -> Result<Self> {
        let mut weights = room("the weights", self.weights.len())?;
        weights.extend_from_slice(&self.weights);
        Ok(Self { step: self.step, weights })
    }

    /// The weights themselves, or the n-th roots of their product.
    pub(super) fn eigenvalues(&self) -> Result<Vec<Complex<f64>>> {
        let (n, weights) = (self.weights.len(), self.weights.iter().map(|w| w.wide()));
        if self.step == 0 {
            let mut eigenvalues = room(EIGENVALUES, n)?;
            eigenvalues.extend(weights.map(Complex::from));
            return Ok(eigenvalues);
        }
        let is_negative = weights.clone().filter(|w| *w < 0.0).count() % 2 == 1;
        roots(n, weights.map(|w| w.abs().ln()).sum(), is_negative)
    }
}

/// What there may be no memory for.
const EIGENVALUES: &str = "the eigenvalues";

/// The n-th roots of a number, of which the logarithm of the absolute value and the sign are given.
pub(super) fn roots(n: usize, logarithm: f64, is_negative: bool) -> Result<Vec<Complex<f64>>> {
    let radius = (logarithm / n as f64).exp();
    let turn = if is_negative { 0.5 } else { 0.0 };
    let angle = |k: usize| std::f64::consts::TAU * (k as f64 + turn) / n as f64;
    let mut roots = room(EIGENVALUES, n)?;
    roots.extend((0..n).map(|k| Complex::from_polar(radius, angle(k))));
    Ok(roots)
}

/// Which displacement equation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Equation {
    /// `A M − M B = D`.
    Sylvester,
    /// `M − A M B = D`.
    Stein,
}

/// Solves a displacement equation between two weighted shifts for M, in O(mn).
pub(super) fn solve<T: Scalar>(equation: Equation, a: &Cycle<T>, b: Cycle<T>, d: &[T]) -> Result<Vec<T>> {
    // Multiplying a row vector by B is multiplying the column by its transpose.
    let b = b.transposed();
    let (m, n) = (a.weights.len(), b.weights.len());
    let (p, q) = (a.step, b.step);
    let mut solution = vec![T::zero(); m * n];
    let mut solved = vec![false; m * n];
    let (mut links, mut places) = (Vec::new(), Vec::new());
    for start in 0..m * n {
        if solved[start] {
            continue;
        }
        links.clear();
        places.clear();
        let (mut i, mut j) = (start / n, start % n);
        while !solved[i * n + j] {
            solved[i * n + j] = true;
            places.push(i * n + j);
            // The equation that starts at this place is that of row i + p.
            i = Cycle::<T>::moved(i, p, m);
            let link;
            (link, j) = match equation {
                Equation::Sylvester => {
                    let (alpha, beta) = (b.weights[j].wide(), a.weights[i].wide());
                    (Link { alpha, beta, d: -d[i * n + j].wide() }, Cycle::<T>::moved(j, -q, n))
                }
                Equation::Stein => {
                    let j = Cycle::<T>::moved(j, q, n);
                    let beta = a.weights[i].wide() * b.weights[j].wide();
                    (Link { alpha: 1.0, beta, d: d[i * n + j].wide() }, j)
                }
            };
            links.push(link);
        }
        let values = around::<T>(&links)?;
        places.iter().zip(values).for_each(|(&at, value)| solution[at] = T::of(value));
    }
    Ok(solution)
}

/// `α x_{k+1} = β x_k + d`.
struct Link {
    alpha: f64,
    beta: f64,
    d: f64,
}

/// The numbers on a cycle of links.
fn around<T: Scalar>(links: &[Link]) -> Result<Vec<f64>> {
    let singular = |value| Error::SingularDisplacement {
        quantity: "1 − the product of the operators' entries around a cycle",
        value,
    };
    let size = |factor: fn(&Link) -> f64| links.iter().map(|l| factor(l).abs().ln()).sum::<f64>();
    let (alpha, beta) = (size(|l| l.alpha), size(|l| l.beta));
    if alpha == f64::NEG_INFINITY && beta == f64::NEG_INFINITY {
        return Err(singular(0.0));
    }
    let len = links.len();
    let forward = alpha >= beta;
    // Either direction is x' = factor · x + offset; backward, link k leads from k + 1 to k.
    let step = |l: &Link| match forward {
        true => (l.beta / l.alpha, l.d / l.alpha),
        false => (l.alpha / l.beta, -l.d / l.beta),
    };
    let at = |k: usize| if forward { k } else { len - 1 - k };
    let (mut product, mut sum) = (1.0, 0.0);
    for k in 0..len {
        let (factor, offset) = step(&links[at(k)]);
        product *= factor;
        sum = factor * sum + offset;
    }
    let gap = 1.0 - product;
    if gap.abs() <= 4.0 * T::epsilon().wide() + len as f64 * f64::EPSILON {
        return Err(singular(gap.abs()));
    }
    let mut x = sum / gap;
    let mut values = vec![0.0; len];
    for k in 0..len {
        // Forward, x is that of place k before the step; backward, that of place k after it.
        let (factor, offset) = step(&links[at(k)]);
        if forward {
            values[k] = x;
        }
        x = factor * x + offset;
        if !forward {
            values[at(k)] = x;
        }
    }
    Ok(values)
}
