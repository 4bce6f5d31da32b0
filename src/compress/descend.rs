//! The descent where operators move along with the generators: [L-BFGS](super::lbfgs) with a backtracking search along
//! each direction.
//!
//! Along a line such a matrix is no polynomial of low degree, so that the exact search of [`refine`](super::refine)
//! does not apply; but evaluating a point costs half of what a step there does. Generators, nodes and scalings have
//! gradients of different orders of magnitude: each group of numbers is measured in a unit of its own, in which a
//! random step of length 1 moves the matrix by 1.

use std::ops::Range;

use super::lbfgs::Memory;
use super::problem::{Target, dot};
use super::refine::{Gains, Limits, Refined};

/// A matrix that depends on a point in any smooth way.
pub(super) trait Model {
    /// The groups of numbers of which a point consists, one after another.
    fn groups(&self) -> Vec<Range<usize>>;

    /// Whether a point stands for a matrix.
    fn allows(&self, point: &[f64]) -> bool {
        let _ = point;
        true
    }

    /// The matrix of a point.
    fn matrix(&self, point: &[f64], out: &mut [f64]);

    /// The gradient at a point from that in the entries, which is left undefined.
    fn pull_back(&self, point: &[f64], entries: &mut [f64], gradient: &mut [f64]);
}

/// A step is taken if it gains at least this share of what the slope promises.
const ARMIJO: f64 = 1e-4;

/// Times that a step is shortened at most.
const SHORTER: usize = 25;

/// The step by which units are measured, beside the numbers of a group.
const PROBE: f64 = 1e-6;

/// What looks at points of a model.
struct View<'a> {
    target: &'a Target,
    model: &'a dyn Model,
    units: Vec<f64>,
    entries: Vec<f64>,
}

impl View<'_> {
    /// The numbers of a point that is given in units.
    fn numbers(&self, point: &[f64]) -> Vec<f64> {
        point.iter().zip(&self.units).map(|(p, u)| p * u).collect()
    }

    /// `‖W − M‖²` and what is observed of `M − W`, or nothing where there is no matrix.
    fn look(&mut self, point: &[f64], residual: &mut [f64]) -> Option<f64> {
        let numbers = self.numbers(point);
        if !self.model.allows(&numbers) {
            return None;
        }
        self.model.matrix(&numbers, &mut self.entries);
        self.target.residual(&self.entries, residual);
        let square = dot(residual, residual);
        square.is_finite().then_some(square)
    }

    /// The first point on shorter and shorter steps from `at` along a direction that lowers the square by enough, and its
    /// square; its residual is left in `residual`.
    fn search(
        &mut self,
        (at, square): (&[f64], f64),
        (direction, slope): (&[f64], f64),
        residual: &mut [f64],
    ) -> Option<(Vec<f64>, f64)> {
        let mut a = 1.0;
        for _ in 0..SHORTER {
            let trial: Vec<f64> = at.iter().zip(direction).map(|(p, d)| p + a * d).collect();
            let reached = self.look(&trial, residual);
            if let Some(lower) = reached.filter(|lower| 0.5 * (lower - square) <= ARMIJO * a * slope) {
                return Some((trial, lower));
            }
            // The minimum of the parabola through what is known, or half the step.
            let parabola = reached.map(|value| -0.5 * slope * a * a / (0.5 * (value - square) - slope * a));
            a = parabola.unwrap_or(0.5 * a).clamp(0.1 * a, 0.5 * a);
        }
        None
    }

    /// The gradient of half the square, in units.
    fn gradient(&mut self, point: &[f64], residual: &[f64]) -> Vec<f64> {
        let numbers = self.numbers(point);
        self.target.gradient(residual, &mut self.entries);
        let mut gradient = vec![0.0; point.len()];
        self.model.pull_back(&numbers, &mut self.entries, &mut gradient);
        gradient.iter_mut().zip(&self.units).for_each(|(g, u)| *g *= u);
        gradient
    }
}

/// For each number of a point the length of a step that moves the matrix by 1, as found from one random direction a group.
fn units(target: &Target, model: &dyn Model, point: &[f64]) -> Vec<f64> {
    let mut rng = fastrand::Rng::with_seed(1);
    let [mut here, mut there] = [(); 2].map(|()| vec![0.0; target.entries.len()]);
    model.matrix(point, &mut here);
    let mut units = vec![1.0; point.len()];
    for group in model.groups().into_iter().filter(|group| !group.is_empty()) {
        let numbers = &point[group.clone()];
        let size = (dot(numbers, numbers) / numbers.len() as f64).sqrt();
        let step = PROBE * if size > 0.0 { size } else { 1.0 };
        let mut moved = point.to_vec();
        moved[group.clone()].iter_mut().for_each(|p| *p += if rng.bool() { step } else { -step });
        model.matrix(&moved, &mut there);
        there.iter_mut().zip(&here).for_each(|(t, h)| *t -= h);
        let rate = (target.square(&there) / group.len() as f64).sqrt() / step;
        if rate.is_normal() {
            units[group].fill(rate.recip());
        }
    }
    units
}

/// Descends from `point`, as [`refine`](super::refine::refine) does: every step goes down.
pub(super) fn descend(
    target: &Target,
    model: &dyn Model,
    point: Vec<f64>,
    limits: Limits,
    progress: &mut dyn FnMut(usize, f64) -> bool,
) -> Refined {
    let units = units(target, model, &point);
    let mut at: Vec<f64> = point.iter().zip(&units).map(|(p, u)| p / u).collect();
    let mut view = View { target, model, units, entries: vec![0.0; target.entries.len()] };
    let [mut residual, mut trial_residual] = [(); 2].map(|()| vec![0.0; target.observed_len()]);
    let whole = target.square(&target.entries);
    let Some(mut square) = view.look(&at, &mut residual) else {
        return Refined { point, steps: 0, square: f64::INFINITY, stopped: false };
    };
    let negligible = f64::EPSILON.powi(2) * whole;
    let (mut memory, mut gains) = (Memory::new(), Gains::new(limits, square));
    let (mut steps, mut stopped) = (0, false);
    let mut gradient = view.gradient(&at, &residual);
    while steps < limits.steps && square > negligible && !at.is_empty() {
        let (direction, slope) = memory.direction(&gradient);
        let found = view.search((&at, square), (&direction, slope), &mut trial_residual);
        let Some((next, lower)) = found.filter(|(_, lower)| *lower < square) else {
            if memory.is_empty() {
                break;
            }
            memory.clear();
            continue;
        };
        std::mem::swap(&mut residual, &mut trial_residual);
        let new_gradient = view.gradient(&next, &residual);
        let step = next.iter().zip(&at).map(|(new, old)| new - old).collect();
        let change = new_gradient.iter().zip(&gradient).map(|(new, old)| new - old).collect();
        memory.remember(step, change);
        (at, square, gradient) = (next, lower, new_gradient);
        steps += 1;
        stopped = !progress(steps, square);
        if stopped || gains.is_over(steps, square) {
            break;
        }
    }
    Refined { point: view.numbers(&at), steps, square, stopped }
}
