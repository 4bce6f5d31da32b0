//! Families whose matrices depend linearly on all parameters: circulant, Toeplitz, Hankel and their sums.
//!
//! The best approximation is a linear least-squares problem, solved by conjugate gradients with the diagonal of `AᵀA`
//! as preconditioner, in the form that keeps the residual of the entries and takes the gradient from it afresh in each
//! step (CGLS; Björck 1996): its accuracy is that of the problem, not of the normal equations. In the Frobenius norm
//! one step is the whole of it for a circulant, a Toeplitz or a Hankel matrix, which share no entry between parameters.
//! Toeplitz+Hankel takes about 17 at every size: the eigenvalues of the preconditioned `AᵀA` are between ½ and 2, but
//! for the two that vanish, as its two parts share constants. With a sample of inputs the condition is that of the
//! inputs on top.

use super::problem::{Target, dot};
use crate::matrix::{Family, Parameters, Structure};

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
    let [mut entries, mut spare] = [(); 2].map(|()| vec![0.0; target.entries.len()]);
    let mut observed = vec![0.0; target.observed_len()];
    let ones = vec![1.0; count];
    // Aᵀ A 1 in the Frobenius norm: its diagonal where parameters share no entry, near it otherwise.
    structure.write_dense(Parameters(&ones), &mut entries);
    let mut diagonal = vec![0.0; count];
    structure.pull_back(Parameters(&ones), &entries, &mut diagonal);
    diagonal.iter_mut().for_each(|d| *d = if d.abs() > f64::EPSILON { 1.0 / d.abs() } else { 1.0 });

    let mut parameters = vec![0.0; count];
    let mut residual = vec![0.0; target.observed_len()];
    target.observe(&target.entries, &mut residual);
    let mut downhill = |residual: &[f64], parameters: &[f64]| {
        let mut gradient = vec![0.0; count];
        target.gradient(residual, &mut spare);
        structure.pull_back(Parameters(parameters), &spare, &mut gradient);
        let z: Vec<f64> = gradient.iter().zip(&diagonal).map(|(g, d)| g * d).collect();
        let along = dot(&gradient, &z);
        (z, along)
    };
    let (mut direction, mut along) = downhill(&residual, &parameters);
    let enough = TOLERANCE.powi(2) * along;
    let mut steps = 0;
    while steps < STEPS && along > enough {
        structure.write_dense(Parameters(&direction), &mut entries);
        let change = target.observed(&entries, &mut observed);
        let curvature = dot(change, change);
        if curvature <= 0.0 {
            break;
        }
        let a = along / curvature;
        parameters.iter_mut().zip(&direction).for_each(|(p, d)| *p += a * d);
        residual.iter_mut().zip(change).for_each(|(r, c)| *r -= a * c);
        let (z, next) = downhill(&residual, &parameters);
        direction.iter_mut().zip(&z).for_each(|(d, z)| *d = z + next / along * *d);
        along = next;
        steps += 1;
    }
    (parameters, steps)
}
