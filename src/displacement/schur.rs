//! Displacement equations between any two operator matrices, by their Schur decompositions.
//!
//! Bartels, Stewart, "Solution of the matrix equation AX + XB = C", 1972; the Stein equation alike.

use num_complex::Complex64;

use super::cycle::Equation;
use super::operator::OperatorMatrix;
use crate::linalg::{Schur, multiply, quotient};
use crate::{Error, Result, Scalar};

/// Solves a displacement equation for M, in double precision and O(m³ + n³).
pub(super) fn solve<T: Scalar>(
    equation: Equation,
    a: &dyn OperatorMatrix<T>,
    b: &dyn OperatorMatrix<T>,
    d: &[T],
) -> Result<Vec<T>> {
    let (m, n) = (a.order(), b.order());
    let (left, right) = (schur(a)?, schur(b)?);
    let tolerance = T::epsilon().wide() + 16.0 * m.max(n) as f64 * f64::EPSILON;
    refuse_singular(equation, &spectrum(a, &left)?, &spectrum(b, &right)?, tolerance, norms(a, b)?)?;

    let d: Vec<Complex64> = d.iter().map(|d| d.wide().into()).collect();
    let mut f = multiply(&multiply(&adjoint(&left.u, m), &d, [m, m, n]), &right.u, [m, n, n]);
    triangular(equation, &left, &right, &mut f);
    let x = multiply(&multiply(&left.u, &f, [m, m, n]), &adjoint(&right.u, n), [m, n, n]);
    Ok(x.into_iter().map(|x| T::of(x.re)).collect())
}

fn schur<T: Scalar>(operator: &dyn OperatorMatrix<T>) -> Result<Schur> {
    let dense: Vec<f64> = operator.to_dense()?.into_iter().map(T::wide).collect();
    crate::error::all_finite("operator matrix", &dense)?;
    Schur::new(&dense, operator.order())
}

fn norms<T: Scalar>(a: &dyn OperatorMatrix<T>, b: &dyn OperatorMatrix<T>) -> Result<[f64; 2]> {
    Ok([a.norm_bound()?.wide(), b.norm_bound()?.wide()])
}

/// The eigenvalues that the operator matrix knows of itself, or the computed ones.
fn spectrum<T: Scalar>(operator: &dyn OperatorMatrix<T>, schur: &Schur) -> Result<Vec<Complex64>> {
    Ok(operator.eigenvalues()?.unwrap_or_else(|| schur.eigenvalues().collect()))
}

fn refuse_singular(
    equation: Equation,
    left: &[Complex64],
    right: &[Complex64],
    tolerance: f64,
    [a, b]: [f64; 2],
) -> Result<()> {
    let (quantity, scale) = match equation {
        Equation::Sylvester => ("difference of an eigenvalue of A and one of B", a + b),
        Equation::Stein => ("1 − a product of an eigenvalue of A and one of B", 1.0 + a * b),
    };
    for s in left {
        for t in right {
            let gap = match equation {
                Equation::Sylvester => s - t,
                Equation::Stein => 1.0 - s * t,
            };
            if gap.norm() <= tolerance * scale {
                return Err(Error::SingularDisplacement { quantity, value: gap.norm() });
            }
        }
    }
    Ok(())
}

fn adjoint(u: &[Complex64], n: usize) -> Vec<Complex64> {
    (0..n * n).map(|at| u[at % n * n + at / n].conj()).collect()
}

/// Solves the equation with triangular matrices in place, column by column.
fn triangular(equation: Equation, left: &Schur, right: &Schur, f: &mut [Complex64]) {
    let (m, n) = (left.order, right.order);
    let mut column = vec![Complex64::default(); m];
    for j in 0..n {
        // What the solved columns contribute: Σ_{k<j} y_k t_kj.
        for i in 0..m {
            column[i] = (0..j).map(|k| f[i * n + k] * right.t[k * n + j]).sum();
        }
        let t = right.t[j * n + j];
        // Column by column, (x I + y T_A) y_j = right-hand side.
        let (on_identity, on_left) = match equation {
            Equation::Sylvester => (-t, Complex64::from(1.0)),
            Equation::Stein => (Complex64::from(1.0), -t),
        };
        for i in 0..m {
            f[i * n + j] += match equation {
                Equation::Sylvester => column[i],
                Equation::Stein => (i..m).map(|k| left.t[i * m + k] * column[k]).sum(),
            };
        }
        for i in (0..m).rev() {
            let known: Complex64 = (i + 1..m).map(|k| left.t[i * m + k] * f[k * n + j]).sum();
            let pivot = on_identity + on_left * left.t[i * m + i];
            f[i * n + j] = quotient(f[i * n + j] - on_left * known, pivot);
        }
    }
}
