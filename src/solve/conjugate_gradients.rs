//! Symmetric positive definite Toeplitz systems by conjugate gradients with a circulant preconditioner, in near-linear
//! time.
//!
//! A step takes one product with the Toeplitz matrix and one with the inverse of a circulant matrix near it, O(n log
//! n). Where the symbol of the matrix is positive and smooth the eigenvalues of the preconditioned matrix cluster at 1,
//! and the number of steps does not depend on n (Chan and Strang, "Toeplitz equations by conjugate gradients with
//! circulant preconditioner", 1989); where the symbol has zeros it grows with the condition number. For any other
//! Toeplitz system, or an ill-conditioned one, take [`Gko`](crate::algebra::Gko), which is direct.
//!
//! Computes in double precision whatever the type.

use num_complex::Complex64;
use rustfft::FftDirection;

use crate::error::{all_finite, has_length};
use crate::linalg::norm;
use crate::structured::{Circulant, Toeplitz};
use crate::transform::library::Library;
use crate::unstructured::gemm::{add_scaled, dot};
use crate::{Error, Matrix, Result, Scalar, Workspace};

/// Which circulant matrix stands for the Toeplitz matrix T of the first column t.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preconditioner {
    /// None: plain conjugate gradients.
    Identity,
    /// Strang's: the central diagonals of T, wrapped around; `c_k = t_k` for k ≤ n/2. The better one for symbols that
    /// are smooth, but it can be indefinite where T is not.
    Strang,
    /// T. Chan's: the circulant nearest to T in the Frobenius norm, `c_k = ((n − k) t_k + k t_{n−k})/n`; positive
    /// definite whenever T is.
    #[default]
    Chan,
}

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stop {
    /// The residual to reach, relative to the right-hand side, in Euclidean norms.
    pub tolerance: f64,
    /// The largest number of steps.
    pub steps: usize,
}

impl Default for Stop {
    /// 1e-12 in at most 1000 steps.
    fn default() -> Self {
        Self { tolerance: 1e-12, steps: 1000 }
    }
}

/// A solution and what it took.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution<T> {
    /// The solution.
    pub x: Vec<T>,
    /// Steps taken.
    pub steps: usize,
    /// The Euclidean norm of the residual, relative to the right-hand side; that of x before it is rounded to `T`.
    pub residual: f64,
}

/// The x with `T x = b`, T being the symmetric positive definite Toeplitz matrix with this first column.
///
/// # Errors
///
/// [`Error::EmptyShape`], [`Error::Length`], [`Error::NotFinite`]; [`Error::OutOfRange`] for a tolerance that is not in
/// (0, 1); [`Error::NotPositiveDefinite`] when an eigenvalue of the preconditioner or the curvature `pᵀ T p` along a
/// direction is not positive; [`Error::NoConvergence`] when the steps do not suffice; [`Error::TooLarge`] or
/// [`Error::Memory`] for a column too long to be transformed.
///
/// ```
/// use displace::solve::conjugate_gradients::{Preconditioner, Stop, solve};
///
/// let column: Vec<f64> = (0..1000).map(|k| 0.5f64.powi(k)).collect();
/// let solution = solve(&column, &vec![1.0; 1000], Preconditioner::Chan, Stop::default())?;
/// assert!((solution.x[500] - 1.0 / 3.0).abs() < 1e-12 && solution.steps < 20);
/// # Ok::<(), displace::Error>(())
/// ```
pub fn solve<T: Scalar>(column: &[T], right: &[T], preconditioner: Preconditioner, stop: Stop) -> Result<Solution<T>> {
    has_length("right", right, column.len())?;
    all_finite("column", column)?;
    all_finite("right", right)?;
    let wide = |x: &[T]| x.iter().map(|x| x.wide()).collect::<Vec<f64>>();
    let (x, steps, residual) = solve_wide(&wide(column), &wide(right), preconditioner, stop)?;
    let x: Vec<T> = x.into_iter().map(T::of).collect();
    all_finite("the solution", &x)?;
    Ok(Solution { x, steps, residual })
}

fn solve_wide(
    column: &[f64],
    right: &[f64],
    preconditioner: Preconditioner,
    stop: Stop,
) -> Result<(Vec<f64>, usize, f64)> {
    let n = column.len();
    if stop.tolerance.is_nan() || stop.tolerance <= 0.0 || stop.tolerance >= 1.0 {
        return Err(Error::OutOfRange { what: "tolerance", value: stop.tolerance, range: "(0, 1)" });
    }
    let matrix = Toeplitz::from_column_and_row(column, column)?;
    let inverse = inverse_circulant(column, preconditioner)?;
    let mut workspace = Workspace::new();
    let size = norm(right);
    let mut x = vec![0.0; n];
    let mut residual = right.to_vec();
    let (mut direction, mut image, mut conditioned) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    let mut energy = 0.0;
    for step in 0..=stop.steps {
        if norm(&residual) <= stop.tolerance * size {
            // Not the residual of the recurrence, which may be smaller than the true one.
            matrix.apply_into(&x, &mut image, &mut workspace)?;
            residual.iter_mut().zip(right.iter().zip(&image)).for_each(|(r, (b, m))| *r = b - m);
            let reached = if size == 0.0 { 0.0 } else { norm(&residual) / size };
            if reached <= stop.tolerance {
                return Ok((x, step, reached));
            }
            // Start afresh from the true residual.
            energy = 0.0;
        }
        match &inverse {
            Some(inverse) => inverse.apply_into(&residual, &mut conditioned, &mut workspace)?,
            None => conditioned.copy_from_slice(&residual),
        }
        let next = dot(&residual, &conditioned);
        let ratio = if energy == 0.0 { 0.0 } else { next / energy };
        energy = next;
        direction.iter_mut().zip(&conditioned).for_each(|(d, c)| *d = c + ratio * *d);
        matrix.apply_into(&direction, &mut image, &mut workspace)?;
        let curvature = dot(&direction, &image);
        if curvature.is_nan() || curvature <= 0.0 {
            return Err(Error::NotPositiveDefinite { what: "the curvature along a direction", value: curvature });
        }
        add_scaled(&mut x, energy / curvature, &direction);
        add_scaled(&mut residual, -energy / curvature, &image);
    }
    Err(Error::NoConvergence { what: "conjugate gradients", steps: stop.steps })
}

/// The inverse of the preconditioner, circulant too: the inverses of its eigenvalues, transformed back.
fn inverse_circulant(column: &[f64], preconditioner: Preconditioner) -> Result<Option<Matrix<f64, Circulant<f64>>>> {
    let n = column.len();
    let mirrored = |k: usize| column[(n - k) % n];
    let entry = |k: usize| match preconditioner {
        Preconditioner::Strang => {
            if 2 * k <= n {
                column[k]
            } else {
                mirrored(k)
            }
        }
        _ => ((n - k) as f64 * column[k] + k as f64 * mirrored(k)) / n as f64,
    };
    if preconditioner == Preconditioner::Identity {
        return Ok(None);
    }
    let mut numbers: Vec<Complex64> = (0..n).map(|k| entry(k).into()).collect();
    let transform = f64::plan(n, FftDirection::Forward);
    transform.process(&mut numbers);
    let what = "the smallest eigenvalue of the preconditioner";
    let least = numbers.iter().map(|z| z.re).fold(f64::INFINITY, f64::min);
    if least.is_nan() || least <= 0.0 {
        return Err(Error::NotPositiveDefinite { what, value: least });
    }
    // The eigenvalues of a symmetric circulant are real and symmetric: either direction transforms back.
    numbers.iter_mut().for_each(|z| *z = (1.0 / (z.re * n as f64)).into());
    transform.process(&mut numbers);
    let inverse: Vec<f64> = numbers.iter().map(|z| z.re).collect();
    Circulant::from_column(&inverse).map(Some)
}
