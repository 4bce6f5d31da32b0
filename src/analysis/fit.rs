//! The best matrix of a structure with generators that can be found from a projection.

use crate::Result;
use crate::linalg::norm;
use crate::matrix::{Matrix, Structure};

/// Alternations between the two generators.
const ROUNDS: usize = 8;

/// Steps of the conjugate gradients for one of them.
const STEPS: usize = 10;

/// Where a round gains less than this share of the error, it ends.
const GAIN: f64 = 1e-3;

/// `‖W − M‖` for the matrix M of the same structure, refined from `start` by alternating least squares: M is linear in one
/// generator while the other is held. 160 products with the dense form and its adjoint, O(mnr) each.
pub(super) fn refined_error<S: Structure<f64>>(start: &Matrix<f64, S>, entries: &[f64]) -> Result<f64> {
    let structure = &**start.structure();
    let mut parameters = start.parameters().to_vec();
    let ranges: Vec<_> = start.layout().tensors().iter().map(|tensor| tensor.range.clone()).collect();
    let mut rest = remainder(structure, &parameters, entries);
    let (mut best, floor) = (norm(&rest), f64::EPSILON * norm(entries));
    for _ in 0..ROUNDS {
        for range in &ranges {
            let step = least_squares(structure, &parameters, range.clone(), &rest);
            parameters[range.clone()].iter_mut().zip(step).for_each(|(p, s)| *p += s);
            rest = remainder(structure, &parameters, entries);
        }
        let error = norm(&rest);
        if error <= floor || error > (1.0 - GAIN) * best {
            best = best.min(error);
            break;
        }
        best = error;
    }
    Ok(best)
}

/// `W − M`.
fn remainder<S: Structure<f64>>(structure: &S, parameters: &[f64], entries: &[f64]) -> Vec<f64> {
    let mut rest = vec![0.0; entries.len()];
    structure.write_dense(parameters, &mut rest);
    rest.iter_mut().zip(entries).for_each(|(r, e)| *r = e - *r);
    rest
}

/// The change of the parameters in `range` that comes nearest to `target`, by conjugate gradients.
fn least_squares<S: Structure<f64>>(
    structure: &S,
    parameters: &[f64],
    range: std::ops::Range<usize>,
    target: &[f64],
) -> Vec<f64> {
    let mut along = parameters.to_vec();
    let mut image = vec![0.0; target.len()];
    let mut rest = target.to_vec();
    let adjoint = |rest: &[f64]| {
        let mut gradient = vec![0.0; parameters.len()];
        structure.pull_back(parameters, rest, &mut gradient);
        gradient[range.clone()].to_vec()
    };
    let square = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>();
    let mut gradient = adjoint(&rest);
    let mut direction = gradient.clone();
    let mut step = vec![0.0; range.len()];
    let mut size = square(&gradient);
    for _ in 0..STEPS {
        along[range.clone()].copy_from_slice(&direction);
        structure.write_dense(&along, &mut image);
        let curvature = square(&image);
        if size == 0.0 || curvature == 0.0 || !(size / curvature).is_finite() {
            break;
        }
        let length = size / curvature;
        step.iter_mut().zip(&direction).for_each(|(s, d)| *s += length * d);
        rest.iter_mut().zip(&image).for_each(|(r, i)| *r -= length * i);
        gradient = adjoint(&rest);
        let next = square(&gradient);
        direction.iter_mut().zip(&gradient).for_each(|(d, g)| *d = g + next / size * *d);
        size = next;
    }
    step
}
