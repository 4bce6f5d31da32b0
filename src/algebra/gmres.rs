//! Left-preconditioned GMRES, for the systems that refinement alone does not solve.
//!
//! Saad and Schultz, "GMRES: a generalized minimal residual algorithm for solving nonsymmetric linear systems", 1986;
//! as the solver inside iterative refinement, with an inexact inverse as preconditioner: Carson and Higham, "A new
//! analysis of iterative refinement and its application to accurate solution of ill-conditioned sparse linear systems",
//! 2017.

use crate::Result;
use crate::linalg::norm;
use crate::unstructured::gemm::{add_scaled, dot};

/// The y for which `‖operator(y) − b‖` is least in the Krylov space of at most `steps` dimensions, or in the first one
/// in which it falls below `tolerance ‖b‖`. O(steps² n) and one product a step.
pub(super) fn gmres(
    operator: impl Fn(&[f64]) -> Result<Vec<f64>>,
    b: &[f64],
    steps: usize,
    tolerance: f64,
) -> Result<Vec<f64>> {
    let size = norm(b);
    if size == 0.0 || !size.is_finite() {
        return Ok(vec![0.0; b.len()]);
    }
    let mut basis = vec![b.iter().map(|b| b / size).collect::<Vec<f64>>()];
    // Columns of the triangular factor of the Hessenberg matrix, its rotations, and the rotated right-hand side.
    let (mut columns, mut rotations, mut right): (Vec<Vec<f64>>, Vec<(f64, f64)>, _) = (vec![], vec![], vec![size]);
    for k in 0..steps.min(b.len()) {
        let mut next = operator(&basis[k])?;
        let before = norm(&next);
        let mut column = vec![0.0; k + 1];
        // Twice is enough.
        for _ in 0..2 {
            for (v, h) in basis.iter().zip(&mut column) {
                let along = dot(v, &next);
                *h += along;
                add_scaled(&mut next, -along, v);
            }
        }
        let below = norm(&next);
        for (i, &(c, s)) in rotations.iter().enumerate() {
            (column[i], column[i + 1]) = (c * column[i] + s * column[i + 1], c * column[i + 1] - s * column[i]);
        }
        let length = column[k].hypot(below);
        if length == 0.0 || !length.is_finite() {
            break;
        }
        let (c, s) = (column[k] / length, below / length);
        column[k] = length;
        right.push(-s * right[k]);
        right[k] *= c;
        rotations.push((c, s));
        columns.push(column);
        if right[k + 1].abs() <= tolerance * size || below <= f64::EPSILON * before {
            break;
        }
        next.iter_mut().for_each(|v| *v /= below);
        basis.push(next);
    }
    let mut solution = vec![0.0; b.len()];
    for k in (0..columns.len()).rev() {
        let weight = right[k] / columns[k][k];
        for (right, h) in right.iter_mut().zip(&columns[k]).take(k) {
            *right -= weight * h;
        }
        add_scaled(&mut solution, weight, &basis[k]);
    }
    Ok(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_solved_in_as_many_steps_as_there_are_distinct_eigenvalues() {
        let mut rng = fastrand::Rng::with_seed(3);
        for n in [1, 2, 7, 30] {
            // The identity and a matrix of rank 2.
            let [u, v]: [Vec<f64>; 2] = std::array::from_fn(|_| (0..2 * n).map(|_| rng.f64() - 0.5).collect());
            let product = |x: &[f64]| {
                let mut y = x.to_vec();
                u.chunks_exact(n).zip(v.chunks_exact(n)).for_each(|(u, v)| add_scaled(&mut y, 9.0 * dot(v, x), u));
                Ok(y)
            };
            let b: Vec<f64> = (0..n).map(|_| rng.f64()).collect();
            let x = gmres(product, &b, 3, 0.0).unwrap();
            let error: f64 = product(&x).unwrap().iter().zip(&b).map(|(y, b)| (y - b).abs()).sum();
            assert!(error <= 1e-11, "{n}: {error:e}");
            assert_eq!(gmres(product, &vec![0.0; n], 3, 0.0).unwrap(), vec![0.0; n]);
        }
    }
}
