//! The complex Schur decomposition of a real matrix, in double precision.

use num_complex::Complex64;

use crate::{Error, Result};

/// `A = U T Uᴴ`, U unitary and T upper triangular, both row-major of order n.
#[derive(Debug, Clone)]
pub(crate) struct Schur {
    pub order: usize,
    pub u: Vec<Complex64>,
    pub t: Vec<Complex64>,
}

const ZERO: Complex64 = Complex64::new(0.0, 0.0);
const ONE: Complex64 = Complex64::new(1.0, 0.0);

/// Steps without deflation after which entries are compared with the whole matrix.
const PATIENCE: usize = 12;

impl Schur {
    /// Decomposes a real row-major matrix of order n, in O(n³): Householder reflections to Hessenberg form, then QR
    /// steps with Wilkinson's shift.
    ///
    /// The error is that of a perturbation of A of relative size ε in norm, at any scale that A may have.
    pub fn new(a: &[f64], n: usize) -> Result<Self> {
        let scale = power_of_two_near(super::largest(a));
        let mut schur = Self { order: n, u: vec![ZERO; n * n], t: a.iter().map(|&a| (a / scale).into()).collect() };
        (0..n).for_each(|i| schur.u[i * n + i] = ONE);
        schur.reduce();
        schur.iterate()?;
        schur.t.iter_mut().for_each(|t| *t *= scale);
        Ok(schur)
    }

    /// The diagonal of T.
    pub fn eigenvalues(&self) -> impl Iterator<Item = Complex64> + '_ {
        self.t.iter().copied().step_by(self.order + 1)
    }

    /// To Hessenberg form.
    fn reduce(&mut self) {
        let n = self.order;
        for k in 0..n.saturating_sub(2) {
            let mut v: Vec<Complex64> = (k + 1..n).map(|i| self.t[i * n + k]).collect();
            if v[1..].iter().all(|v| *v == ZERO) {
                continue;
            }
            let scale = power_of_two_near(v.iter().map(|v| v.norm()).fold(0.0, f64::max));
            v.iter_mut().for_each(|v| *v /= scale);
            let phase = if v[0] == ZERO { ONE } else { v[0] / v[0].norm() };
            let first = phase * length(&v);
            v[0] += first;
            let scale = length(&v);
            v.iter_mut().for_each(|v| *v /= scale);
            for j in 0..n {
                let along: Complex64 = v.iter().zip(k + 1..).map(|(v, i)| v.conj() * self.t[i * n + j]).sum();
                v.iter().zip(k + 1..).for_each(|(v, i)| self.t[i * n + j] -= v * along * 2.0);
            }
            for matrix in [&mut self.t, &mut self.u] {
                for row in matrix.chunks_exact_mut(n) {
                    let row = &mut row[k + 1..];
                    let along: Complex64 = row.iter().zip(&v).map(|(x, v)| x * v).sum();
                    row.iter_mut().zip(&v).for_each(|(x, v)| *x -= along * v.conj() * 2.0);
                }
            }
            (k + 2..n).for_each(|i| self.t[i * n + k] = ZERO);
        }
    }

    fn iterate(&mut self) -> Result<()> {
        let n = self.order;
        let size = self.t.iter().map(|t| t.norm()).fold(0.0, f64::max);
        let mut end = n;
        let mut steps = 0;
        while end > 1 {
            let start = self.active(end, size, steps);
            if start + 1 == end {
                (end, steps) = (end - 1, 0);
                continue;
            }
            steps += 1;
            if steps > 300 {
                return Err(Error::NoConvergence { what: "the eigenvalues of an operator matrix", steps: 300 });
            }
            let shift = self.shift(end, steps);
            self.step(start, end, shift);
        }
        Ok(())
    }

    /// The start of the last unreduced block that ends before `end`; clears the negligible entry in front of it.
    ///
    /// Negligible is what is so beside its neighbours on the diagonal, for the sake of graded matrices. A block of
    /// nothing but rounding errors never gets there: if a few steps do not help, what is negligible beside the whole
    /// matrix goes.
    fn active(&mut self, end: usize, size: f64, steps: usize) -> usize {
        let n = self.order;
        for i in (1..end).rev() {
            let beside = self.t[i * n + i].norm() + self.t[(i - 1) * n + i - 1].norm();
            let reference = if beside == 0.0 || steps > PATIENCE { beside.max(size) } else { beside };
            if self.t[i * n + i - 1].norm() <= f64::EPSILON * reference {
                self.t[i * n + i - 1] = ZERO;
                return i;
            }
        }
        0
    }

    /// The eigenvalue of the last 2×2 block that is nearer its last entry; now and then another value, because a
    /// permutation matrix would not move otherwise.
    fn shift(&self, end: usize, steps: usize) -> Complex64 {
        let n = self.order;
        let at = |i: usize, j: usize| self.t[i * n + j];
        let (i, j) = (end - 2, end - 1);
        if steps.is_multiple_of(10) || (steps == 1 && at(j, j) == ZERO && at(i, j) == ZERO) {
            return at(j, j) + at(j, i) * Complex64::new(0.75, 0.4375);
        }
        let half = (at(i, i) - at(j, j)) * 0.5;
        let root = (half * half + at(i, j) * at(j, i)).sqrt();
        let far = if (half + root).norm() >= (half - root).norm() { half + root } else { half - root };
        if far == ZERO { at(j, j) } else { at(j, j) - at(i, j) * quotient(at(j, i), far) }
    }

    /// One QR step on the block `start..end`.
    fn step(&mut self, start: usize, end: usize, shift: Complex64) {
        let n = self.order;
        (start..end).for_each(|i| self.t[i * n + i] -= shift);
        let mut rotations = Vec::with_capacity(end - start);
        for k in start..end - 1 {
            let (a, b) = (self.t[k * n + k], self.t[(k + 1) * n + k]);
            // Numbers so small that they have lost digits still have to give a rotation.
            let scale = power_of_two_near(a.norm().max(b.norm()));
            let (a, b) = (a / scale, b / scale);
            let length = a.norm().hypot(b.norm());
            let (c, s) = if length == 0.0 {
                (1.0, ZERO)
            } else if a == ZERO {
                (0.0, ONE)
            } else {
                (a.norm() / length, a / a.norm() * b.conj() / length)
            };
            for j in k..n {
                let (x, y) = (self.t[k * n + j], self.t[(k + 1) * n + j]);
                self.t[k * n + j] = x * c + s * y;
                self.t[(k + 1) * n + j] = y * c - s.conj() * x;
            }
            self.t[(k + 1) * n + k] = ZERO;
            rotations.push((c, s));
        }
        for (k, (c, s)) in (start..).zip(rotations) {
            let turn = |row: &mut [Complex64]| {
                let (x, y) = (row[k], row[k + 1]);
                row[k] = x * c + s.conj() * y;
                row[k + 1] = y * c - s * x;
            };
            self.t.chunks_exact_mut(n).take(k + 2).for_each(turn);
            self.u.chunks_exact_mut(n).for_each(turn);
        }
        (start..end).for_each(|i| self.t[i * n + i] += shift);
    }
}

/// A power of two within a factor of 2 of a positive number, as far as it and its inverse are normal; 1 for zero.
fn power_of_two_near(x: f64) -> f64 {
    if x > 0.0 && x.is_finite() { x.log2().floor().clamp(-1021.0, 1021.0).exp2() } else { 1.0 }
}

/// The Euclidean norm, whose squares neither overflow nor vanish.
fn length(v: &[Complex64]) -> f64 {
    let scale = power_of_two_near(v.iter().map(|v| v.re.abs().max(v.im.abs())).fold(0.0, f64::max));
    scale * v.iter().map(|v| (v / scale).norm_sqr()).sum::<f64>().sqrt()
}

/// `a / b` for a nonzero b, whose square neither overflows nor vanishes.
pub(crate) fn quotient(a: Complex64, b: Complex64) -> Complex64 {
    let scale = power_of_two_near(b.re.abs().max(b.im.abs()));
    (a / scale) / (b / scale)
}

/// `A B` for A p×q, B q×s, row-major.
pub(crate) fn multiply(a: &[Complex64], b: &[Complex64], [p, q, s]: [usize; 3]) -> Vec<Complex64> {
    let mut c = vec![ZERO; p * s];
    for i in 0..p {
        let row = &mut c[i * s..][..s];
        for (&a, b) in a[i * q..][..q].iter().zip(b.chunks_exact(s)) {
            row.iter_mut().zip(b).for_each(|(c, b)| *c += a * b);
        }
    }
    c
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(a: &[f64], n: usize) {
        let schur = Schur::new(a, n).unwrap();
        let adjoint: Vec<Complex64> = (0..n * n).map(|at| schur.u[at % n * n + at / n].conj()).collect();
        let eye = multiply(&schur.u, &adjoint, [n, n, n]);
        let back = multiply(&multiply(&schur.u, &schur.t, [n, n, n]), &adjoint, [n, n, n]);
        let size = super::super::norm(a) + 1e-300;
        for i in 0..n {
            for j in 0..n {
                let one = if i == j { ONE } else { ZERO };
                let error = (eye[i * n + j] - one).norm();
                assert!(error < 1e-13 * n as f64, "order {n}: {error:e}");
                assert!((back[i * n + j] - a[i * n + j]).norm() <= 1e-13 * size);
                assert!(j >= i || schur.t[i * n + j] == ZERO);
            }
        }
    }

    #[test]
    fn random_matrices_and_shifts_decompose() {
        let mut rng = fastrand::Rng::with_seed(6);
        for n in (1..12).chain([40]) {
            check(&(0..n * n).map(|_| rng.f64() - 0.5).collect::<Vec<_>>(), n);
            for f in [-1.0, 0.0, 0.5, 1.0] {
                let shift: Vec<f64> = (0..n * n)
                    .map(|at| match (at / n, at % n) {
                        (0, j) if j == n - 1 => f,
                        (i, j) if i == j + 1 => 1.0,
                        _ => 0.0,
                    })
                    .collect();
                check(&shift, n);
                check(&(0..n * n).map(|at| shift[at % n * n + at / n]).collect::<Vec<_>>(), n);
            }
            check(&vec![0.0; n * n], n);
            check(&vec![1.0; n * n], n);
        }
    }

    #[test]
    fn matrices_of_low_rank_decompose() {
        // What is left of them after a few steps is a block of rounding errors.
        for n in 1..40 {
            check(&vec![1.0; n * n], n);
            check(&(0..n * n).map(|at| 1.0 + (at / n * (at % n)) as f64).collect::<Vec<_>>(), n);
        }
    }

    #[test]
    fn the_scale_of_a_matrix_does_not_matter() {
        let mut rng = fastrand::Rng::with_seed(7);
        for n in [1, 2, 5, 18] {
            let a: Vec<f64> = (0..n * n).map(|_| rng.f64() - 0.5).collect();
            for scale in [1e-300, 1e-200, 1e-160, 1e160, 1e300] {
                check(&a.iter().map(|a| a * scale).collect::<Vec<_>>(), n);
                check(&vec![scale; n * n], n);
            }
            // Rows of very different scales.
            check(&(0..n * n).map(|at| a[at] * 1e-60f64.powi((at / n) as i32 % 5)).collect::<Vec<_>>(), n);
        }
    }
}
