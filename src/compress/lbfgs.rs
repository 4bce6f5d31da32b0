//! L-BFGS: directions of descent from the last steps and the changes of the gradient over them.
//!
//! Nocedal, "Updating quasi-Newton matrices with limited storage", 1980.

use std::collections::VecDeque;

use super::problem::dot;

/// Steps that are remembered.
const MEMORY: usize = 12;

/// A step and the change of the gradient over it.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// The inner product of the two.
    curvature: f64,
}

/// The last steps, and what they tell of the Hessian.
pub(super) struct Memory(VecDeque<Pair>);

impl Memory {
    pub fn new() -> Self {
        Self(VecDeque::with_capacity(MEMORY))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Adds a step, if the gradient grew along it.
    pub fn remember(&mut self, step: Vec<f64>, change: Vec<f64>) {
        let curvature = dot(&step, &change);
        if curvature > f64::EPSILON * dot(&change, &change).sqrt() * dot(&step, &step).sqrt() {
            if self.0.len() == MEMORY {
                self.0.pop_front();
            }
            self.0.push_back(Pair { step, change, curvature });
        }
    }

    /// The direction to descend in, and its slope. Where what is remembered leads up, it is forgotten: then minus the gradient.
    pub fn direction(&mut self, gradient: &[f64]) -> (Vec<f64>, f64) {
        let direction = self.quasi_newton(gradient);
        let slope = dot(&direction, gradient);
        if slope < 0.0 && slope.is_finite() {
            return (direction, slope);
        }
        self.clear();
        (gradient.iter().map(|g| -g).collect(), -dot(gradient, gradient))
    }

    /// Minus the inverse Hessian, as far as it is known, times the gradient.
    fn quasi_newton(&self, gradient: &[f64]) -> Vec<f64> {
        let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut along = Vec::with_capacity(self.0.len());
        for pair in self.0.iter().rev() {
            let a = dot(&pair.step, &q) / pair.curvature;
            q.iter_mut().zip(&pair.change).for_each(|(q, y)| *q -= a * y);
            along.push(a);
        }
        if let Some(last) = self.0.back() {
            let scale = last.curvature / dot(&last.change, &last.change);
            q.iter_mut().for_each(|q| *q *= scale);
        }
        for (pair, a) in self.0.iter().zip(along.into_iter().rev()) {
            let b = dot(&pair.change, &q) / pair.curvature;
            q.iter_mut().zip(&pair.step).for_each(|(q, s)| *q += (a - b) * s);
        }
        q
    }
}
