//! Families whose matrices depend linearly on all parameters: circulant, Toeplitz, Hankel and their sums.
//!
//! The best approximation is a linear least-squares problem, solved by conjugate gradients on the normal equations with the
//! diagonal of `AᵀA` as preconditioner. In the Frobenius norm that is the whole of it for a circulant, a Toeplitz or a
//! Hankel matrix, which share no entry between parameters: one step.

use super::problem::{Target, dot};
use crate::matrix::{Family, Structure};

/// Whether the entries of a family's matrices are linear in all parameters, and the family has no rank.
pub(super) fn is_linear(family: Family) -> bool {
    use Family::{Circulant, Dense, FCirculant, Hankel, SkewCirculant, Toeplitz, ToeplitzPlusHankel};
    matches!(family, Circulant | SkewCirculant | FCirculant(_) | Toeplitz | Hankel | ToeplitzPlusHankel | Dense)
}

/// Steps at most; ill-conditioned samples of inputs take many.
const STEPS: usize = 400;

/// The gradient, beside the first one, at which they end.
const TOLERANCE: f64 = 1e-12;

/// The parameters of the best approximation, and the steps that it took.
pub(super) fn fit(target: &Target, structure: &dyn Structure<f64>) -> (Vec<f64>, usize) {
    let count = structure.layout().len();
    if structure.is_dense() {
        return (target.entries.clone(), 0);
    }
    let mut entries = vec![0.0; target.entries.len()];
    let mut observed = vec![0.0; target.observed_len()];
    let ones = vec![1.0; count];
    // Aᵀ A 1 in the Frobenius norm: its diagonal where parameters share no entry, near it otherwise.
    structure.write_dense(&ones, &mut entries);
    let mut diagonal = vec![0.0; count];
    structure.pull_back(&ones, &entries, &mut diagonal);
    diagonal.iter_mut().for_each(|d| *d = if d.abs() > f64::EPSILON { 1.0 / d.abs() } else { 1.0 });

    let mut parameters = vec![0.0; count];
    target.observe(&target.entries, &mut observed);
    let mut gradient = vec![0.0; count];
    target.gradient(&observed, &mut entries);
    structure.pull_back(&parameters, &entries, &mut gradient);
    let precondition = |r: &[f64]| r.iter().zip(&diagonal).map(|(r, d)| r * d).collect::<Vec<f64>>();
    let mut z = precondition(&gradient);
    let mut direction = z.clone();
    let mut along = dot(&gradient, &z);
    let first = along;
    let enough = TOLERANCE.powi(2) * first;
    let mut steps = 0;
    while steps < STEPS && along > enough {
        structure.write_dense(&direction, &mut entries);
        target.observe(&entries, &mut observed);
        let curvature = dot(&observed, &observed);
        if curvature <= 0.0 {
            break;
        }
        let a = along / curvature;
        parameters.iter_mut().zip(&direction).for_each(|(p, d)| *p += a * d);
        target.gradient(&observed, &mut entries);
        let mut product = vec![0.0; count];
        structure.pull_back(&parameters, &entries, &mut product);
        gradient.iter_mut().zip(&product).for_each(|(g, p)| *g -= a * p);
        z = precondition(&gradient);
        let next = dot(&gradient, &z);
        direction.iter_mut().zip(&z).for_each(|(d, z)| *d = z + next / along * *d);
        along = next;
        steps += 1;
    }
    (parameters, steps)
}
