//! Cyclic tridiagonal matrices: one step of a Krylov sequence, forwards and backwards.

use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// `(A x)_i = lower_i x_{i−1} + diagonal_i x_i + upper_i x_{i+1}`, indices wrapping around: `lower_0` is the entry in the top
/// right corner, `upper_{N−1}` that in the bottom left one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Band<'a> {
    pub lower: &'a [f64],
    pub diagonal: &'a [f64],
    pub upper: &'a [f64],
}

/// The gradient in the entries of a band.
#[derive(Debug)]
pub(super) struct BandGradient<'a> {
    pub lower: &'a mut [f64],
    pub diagonal: &'a mut [f64],
    pub upper: &'a mut [f64],
}

impl<'a> Band<'a> {
    /// The three diagonals one after the other.
    pub fn of(entries: &'a [f64]) -> Self {
        let (lower, rest) = entries.split_at(entries.len() / 3);
        let (diagonal, upper) = rest.split_at(rest.len() / 2);
        Self { lower, diagonal, upper }
    }

    /// `y = A x`.
    pub fn step(self, x: &[f64], y: &mut [f64]) {
        f64::run(Step { band: self, x, y });
    }

    /// `y += Aᵀ x`.
    pub fn add_transposed(self, x: &[f64], y: &mut [f64]) {
        f64::run(TransposedStep { band: self, x, y });
    }

    /// The rows v, A v, A² v, … of a Krylov matrix, as many as fit; `next` is what comes after them.
    pub fn krylov(self, v: &[f64], rows: &mut [f64], next: &mut [f64]) {
        let n = v.len();
        rows[..n].copy_from_slice(v);
        for k in 1..rows.len() / n {
            let (done, rest) = rows.split_at_mut(k * n);
            self.step(&done[(k - 1) * n..], &mut rest[..n]);
        }
        self.step(&rows[rows.len() - n..], next);
    }

    /// Goes backwards through a run of [`Band::krylov`]: `dual` holds the gradient in the row after the last one, and is
    /// replaced by that in the first; `rows_gradient` holds those in the rows and is used up.
    pub fn krylov_backward(
        self,
        rows: &[f64],
        rows_gradient: &mut [f64],
        dual: &mut [f64],
        gradient: &mut BandGradient<'_>,
    ) {
        let n = dual.len();
        for (row, row_gradient) in rows.chunks_exact(n).zip(rows_gradient.chunks_exact_mut(n)).rev() {
            gradient.add_outer(dual, row);
            self.add_transposed(dual, row_gradient);
            dual.copy_from_slice(row_gradient);
        }
    }
}

impl<'a> BandGradient<'a> {
    pub fn of(entries: &'a mut [f64]) -> Self {
        let (lower, rest) = entries.split_at_mut(entries.len() / 3);
        let (diagonal, upper) = rest.split_at_mut(rest.len() / 2);
        Self { lower, diagonal, upper }
    }

    /// Adds the entries of `w vᵀ` that lie in the band.
    pub fn add_outer(&mut self, w: &[f64], v: &[f64]) {
        f64::run(Outer { gradient: self, w, v });
    }
}

#[inline(always)]
fn at(x: &[f64], i: usize) -> &<f64 as Kernels>::Lane {
    &lanes::<f64>(&x[i..i + f64::LANES])[0]
}

#[inline(always)]
fn at_mut(x: &mut [f64], i: usize) -> &mut <f64 as Kernels>::Lane {
    &mut lanes_mut::<f64>(&mut x[i..i + f64::LANES])[0]
}

/// The indices of whole registers inside `1..n − 1`, and the indices that are left over, ends included.
#[inline(always)]
fn parts(n: usize) -> (std::iter::StepBy<std::ops::Range<usize>>, impl Iterator<Item = usize>) {
    let inside = n.saturating_sub(2) / f64::LANES * f64::LANES;
    ((1..1 + inside).step_by(f64::LANES), (0..n.min(1)).chain(1 + inside..n))
}

#[inline(always)]
fn before(i: usize, n: usize) -> usize {
    if i == 0 { n - 1 } else { i - 1 }
}

#[inline(always)]
fn after(i: usize, n: usize) -> usize {
    if i + 1 == n { 0 } else { i + 1 }
}

struct Step<'a> {
    band: Band<'a>,
    x: &'a [f64],
    y: &'a mut [f64],
}

impl Kernel<f64> for Step<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { band: Band { lower, diagonal, upper }, x, y } = self;
        let n = x.len();
        let (inside, rest) = parts(n);
        for i in inside {
            let sum = isa.mul(isa.load(at(diagonal, i)), isa.load(at(x, i)));
            let sum = isa.mul_add(isa.load(at(lower, i)), isa.load(at(x, i - 1)), sum);
            let sum = isa.mul_add(isa.load(at(upper, i)), isa.load(at(x, i + 1)), sum);
            isa.store(at_mut(y, i), sum);
        }
        for i in rest {
            y[i] = lower[i] * x[before(i, n)] + diagonal[i] * x[i] + upper[i] * x[after(i, n)];
        }
    }
}

struct TransposedStep<'a> {
    band: Band<'a>,
    x: &'a [f64],
    y: &'a mut [f64],
}

impl Kernel<f64> for TransposedStep<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { band: Band { lower, diagonal, upper }, x, y } = self;
        let n = x.len();
        let (inside, rest) = parts(n);
        for i in inside {
            let sum = isa.mul_add(isa.load(at(diagonal, i)), isa.load(at(x, i)), isa.load(at(y, i)));
            let sum = isa.mul_add(isa.load(at(lower, i + 1)), isa.load(at(x, i + 1)), sum);
            let sum = isa.mul_add(isa.load(at(upper, i - 1)), isa.load(at(x, i - 1)), sum);
            isa.store(at_mut(y, i), sum);
        }
        for i in rest {
            let (b, a) = (before(i, n), after(i, n));
            y[i] += lower[a] * x[a] + diagonal[i] * x[i] + upper[b] * x[b];
        }
    }
}

struct Outer<'a, 'b> {
    gradient: &'a mut BandGradient<'b>,
    w: &'a [f64],
    v: &'a [f64],
}

impl Kernel<f64> for Outer<'_, '_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { gradient: BandGradient { lower, diagonal, upper }, w, v } = self;
        let n = w.len();
        let (inside, rest) = parts(n);
        for i in inside {
            let here = isa.load(at(w, i));
            for (sums, from) in [(&mut **lower, i - 1), (&mut **diagonal, i), (&mut **upper, i + 1)] {
                let sum = isa.mul_add(here, isa.load(at(v, from)), isa.load(at(sums, i)));
                isa.store(at_mut(sums, i), sum);
            }
        }
        for i in rest {
            lower[i] += w[i] * v[before(i, n)];
            diagonal[i] += w[i] * v[i];
            upper[i] += w[i] * v[after(i, n)];
        }
    }
}
