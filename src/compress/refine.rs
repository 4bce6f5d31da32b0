//! The descent: [L-BFGS](super::lbfgs) on all generators at once, with an exact search along each direction.
//!
//! Along a line `p + a d` the matrix is a polynomial of degree 2 in a, so `½‖W − M‖²` is one of degree 4 whose five
//! coefficients are inner products of three residuals. Its minimum is found without evaluating anything again, every step
//! goes down, and the curvature condition of BFGS holds by itself, because the slope at the minimum is zero.

use super::lbfgs::Memory;
use super::problem::{Sum, Target, dot};

/// Steps after which progress is checked, and the residual computed afresh.
const WINDOW: usize = 10;

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Limits {
    pub steps: usize,
    /// Stop when ten steps together lower the error by less than this fraction.
    pub tolerance: f64,
}

/// Where a descent ended.
#[derive(Debug, Clone)]
pub(super) struct Refined {
    pub point: Vec<f64>,
    pub steps: usize,
    /// `‖W − M‖²` in the target's norm, computed afresh.
    pub square: f64,
    /// Whether the callback asked for the end.
    pub stopped: bool,
}

/// Tells when steps no longer lower the error by enough.
pub(super) struct Gains {
    tolerance: f64,
    /// `‖W − M‖²` ten steps ago.
    before: f64,
}

impl Gains {
    /// From a first `‖W − M‖²` on.
    pub fn new(limits: Limits, square: f64) -> Self {
        Self { tolerance: limits.tolerance, before: square }
    }

    /// Whether the last ten steps together have not, asked after each step.
    pub fn is_over(&mut self, steps: usize, square: f64) -> bool {
        if !steps.is_multiple_of(WINDOW) {
            return false;
        }
        let before = std::mem::replace(&mut self.before, square);
        // Squares fall twice as fast as errors.
        before - square < 2.0 * self.tolerance * before
    }
}

/// What a descent works with: matrices, and what is observed of them.
struct Work<'a> {
    target: &'a Target,
    sum: &'a Sum<'a>,
    /// Of the first and second derivative along a line.
    matrices: [Vec<f64>; 2],
    entries: Vec<f64>,
    scratch: Vec<f64>,
    residual: Vec<f64>,
    observed: [Vec<f64>; 2],
}

impl<'a> Work<'a> {
    fn new(target: &'a Target, sum: &'a Sum<'a>) -> Self {
        let matrix = || vec![0.0; target.entries.len()];
        let observed = || vec![0.0; target.observed_len()];
        Self {
            target,
            sum,
            matrices: [matrix(), matrix()],
            entries: matrix(),
            scratch: matrix(),
            residual: observed(),
            observed: [observed(), observed()],
        }
    }

    /// Computes the residual of a point afresh, and returns its square.
    fn afresh(&mut self, point: &[f64]) -> f64 {
        self.sum.matrix(point, &mut self.entries, &mut self.scratch);
        self.target.residual(&self.entries, &mut self.residual);
        dot(&self.residual, &self.residual)
    }

    /// The gradient at a point, whose residual there is.
    fn gradient(&mut self, point: &[f64], gradient: &mut [f64]) {
        self.target.gradient(&self.residual, &mut self.entries);
        self.sum.pull_back(point, &mut self.entries, gradient, &mut self.scratch);
    }

    /// How far to go along a direction of this slope.
    fn search(&mut self, point: &[f64], direction: &[f64], slope: f64) -> Option<f64> {
        let [first, second] = &mut self.matrices;
        self.sum.derivatives(point, direction, first, second, &mut self.scratch);
        let [observed_first, observed_second] = &mut self.observed;
        let changes = [self.target.observed(first, observed_first), self.target.observed(second, observed_second)];
        minimum(quartic(slope, &self.residual, changes))
    }

    /// Moves the residual as far along the direction searched last, and returns its square.
    fn advance(&mut self, a: f64) -> f64 {
        let seen = if self.target.sample.is_some() { &self.observed } else { &self.matrices };
        advance(&mut self.residual, [&seen[0], &seen[1]], a)
    }
}

/// Descends from `point`; `progress` hears the number of steps and `‖W − M‖²` after each, and returns whether to go on.
pub(super) fn refine(
    target: &Target,
    sum: &Sum<'_>,
    mut point: Vec<f64>,
    limits: Limits,
    progress: &mut dyn FnMut(usize, f64) -> bool,
) -> Refined {
    let mut work = Work::new(target, sum);
    let start = point.clone();
    let at_start = work.afresh(&point);
    let negligible = f64::EPSILON.powi(2) * target.square(&target.entries);
    let mut memory = Memory::new();
    let mut gradient = vec![0.0; point.len()];
    let mut before: Option<(Vec<f64>, Vec<f64>)> = None;
    let (mut square, mut gains) = (at_start, Gains::new(limits, at_start));
    let (mut steps, mut stopped) = (0, false);
    while steps < limits.steps && square > negligible && !point.is_empty() {
        work.gradient(&point, &mut gradient);
        if let Some((step, old)) = before.take() {
            let change: Vec<f64> = gradient.iter().zip(&old).map(|(new, old)| new - old).collect();
            memory.remember(step, change);
        }
        let (mut direction, slope) = memory.direction(&gradient);
        let Some(a) = work.search(&point, &direction, slope) else {
            if memory.is_empty() {
                break;
            }
            memory.clear();
            continue;
        };
        direction.iter_mut().for_each(|d| *d *= a);
        point.iter_mut().zip(&direction).for_each(|(p, d)| *p += d);
        steps += 1;
        let lower = if steps % WINDOW == 0 { work.afresh(&point) } else { work.advance(a) };
        if !lower.is_finite() || lower > square {
            // Rounding has the last word.
            point.iter_mut().zip(&direction).for_each(|(p, d)| *p -= d);
            break;
        }
        square = lower;
        before = Some((direction, gradient.clone()));
        stopped = !progress(steps, square);
        if stopped || gains.is_over(steps, square) {
            break;
        }
    }
    let square = work.afresh(&point);
    if square <= at_start {
        return Refined { point, steps, square, stopped };
    }
    Refined { point: start, steps: 0, square: at_start, stopped }
}

/// Numbers that are worked on at a time: matrices leave the caches, and each is to be read from memory once.
const BLOCK: usize = 2048;

/// The coefficients, from that of a¹ on, of `½‖r + a x + a² y‖²` for a slope that is known already.
fn quartic(slope: f64, residual: &[f64], [first, second]: [&[f64]; 2]) -> [f64; 4] {
    let mut sums = [slope, 0.0, 0.0, 0.0];
    let blocks = residual.chunks(BLOCK).zip(first.chunks(BLOCK)).zip(second.chunks(BLOCK));
    for ((r, x), y) in blocks {
        sums[1] += 0.5 * dot(x, x) + dot(r, y);
        sums[2] += dot(x, y);
        sums[3] += 0.5 * dot(y, y);
    }
    sums
}

/// Moves the residual by `a x + a² y`, and returns its square.
fn advance(residual: &mut [f64], [first, second]: [&[f64]; 2], a: f64) -> f64 {
    let blocks = residual.chunks_mut(BLOCK).zip(first.chunks(BLOCK)).zip(second.chunks(BLOCK));
    let moved = blocks.map(|((r, x), y)| {
        r.iter_mut().zip(x.iter().zip(y)).for_each(|(r, (x, y))| *r += a * (x + a * y));
        dot(r, r)
    });
    moved.sum()
}

/// A local minimum a > 0 of `c₁a + c₂a² + c₃a³ + c₄a⁴` with c₁ < 0 and a value below zero; `None` where there is none to
/// working precision.
fn minimum([c1, c2, c3, c4]: [f64; 4]) -> Option<f64> {
    let value = |a: f64| (((c4 * a + c3) * a + c2) * a + c1) * a;
    let slope = |a: f64| ((4.0 * c4 * a + 3.0 * c3) * a + 2.0 * c2) * a + c1;
    if !(c1 < 0.0 && [c2, c3, c4].iter().all(|c| c.is_finite())) {
        return None;
    }
    let mut high = if c2 > 0.0 { -c1 / c2 } else { 1.0 };
    let mut doublings = 0;
    while slope(high) < 0.0 && value(high) < 0.0 {
        high *= 2.0;
        doublings += 1;
        if doublings > 200 {
            return None;
        }
    }
    // Between low, where it falls below zero, and high, where it rises or lies above.
    let mut low = 0.0;
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if slope(middle) < 0.0 && value(middle) < 0.0 {
            low = middle
        } else {
            high = middle
        }
        if high - low <= 4.0 * f64::EPSILON * high {
            break;
        }
    }
    (low > 0.0 && value(low) < 0.0).then_some(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minima_of_quartics() {
        // ½(a − 2)² and (a² − 1)² − 1 shifted to fall at 0.
        assert!((minimum([-2.0, 0.5, 0.0, 0.0]).unwrap() - 2.0).abs() < 1e-12);
        let at = |s: f64| [4.0 * s * (s * s - 1.0), 6.0 * s * s - 2.0, 4.0 * s, 1.0];
        let a = minimum(at(0.5)).unwrap();
        assert!((a - 0.5).abs() < 1e-7, "{a}");
        let a = minimum(at(-3.0)).unwrap();
        assert!(((a - 3.0).abs() - 1.0).abs() < 1e-7, "{a}");
        assert_eq!(minimum([0.0, 1.0, 0.0, 0.0]), None);
        assert_eq!(minimum([-1.0, f64::NAN, 0.0, 0.0]), None);
    }
}
