//! Reduction of a matrix to bidiagonal form by reflections from the left and from the right.
//!
//! Golub, Kahan, "Calculating the singular values and pseudo-inverse of a matrix", 1965. The update of one step and the
//! product for the next one share a pass over the matrix, since memory limits both.

use super::reflectors::reflector;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

const LANES: usize = <f64 as Kernels>::LANES;

type Lane = <f64 as Kernels>::Lane;

/// `A = U B Vᵀ` for A m×n, m ≥ n, with B upper bidiagonal, n×n.
pub(super) struct Bidiagonal {
    /// The diagonal of B, n numbers.
    pub d: Vec<f64>,
    /// What is above it, n − 1 numbers.
    pub e: Vec<f64>,
    /// The reflectors whose product is U, one a row: n×m.
    pub left: Vec<f64>,
    /// The reflectors whose product is V, one a row: n×n.
    pub right: Vec<f64>,
}

/// Reduces a row-major m×n matrix, m ≥ n. 8/3 n³ operations for m = n, half of them limited by memory.
pub(super) fn reduce(matrix: &[f64], m: usize, n: usize) -> Bidiagonal {
    // Rows are padded to whole registers.
    let row = n.next_multiple_of(LANES);
    let mut a = vec![0.0; m * row];
    a.chunks_exact_mut(row).zip(matrix.chunks_exact(n)).for_each(|(a, b)| a[..n].copy_from_slice(b));
    let (mut left, mut right) = (vec![0.0; n * m], vec![0.0; n * n]);
    let (mut d, mut e) = (vec![0.0; n], vec![0.0; n.saturating_sub(1)]);
    // The matrix is A − u yᵀ − x vᵀ from row and column k on: the update of each step is put off to the next one.
    let (mut u, mut x) = (vec![0.0; m], vec![0.0; m]);
    let (mut y, mut v) = (vec![0.0; row], vec![0.0; row]);
    let mut sums = vec![0.0; row];
    for k in 0..n {
        let column = &mut left[k * m..(k + 1) * m];
        for i in k..m {
            column[i] = a[i * row + k] - u[i] * y[k] - x[i] * v[k];
        }
        d[k] = reflector(&mut column[k..]);
        let from = (k + 1) / LANES;
        y[..=k].fill(0.0);
        v[..=k].fill(0.0);
        sums.fill(0.0);
        let (a, u_new) = (&mut a[k * row..], &column[k..]);
        let update = Update { a, row, from, u: &u[k..], y: &y, x: &x[k..], v: &v, w: u_new, sums: &mut sums };
        f64::run(update);
        u[k..].copy_from_slice(u_new);
        for j in k + 1..n {
            y[j] = 2.0 * sums[j];
        }
        if k + 1 == n {
            break;
        }
        for j in k + 1..n {
            v[j] = a[j] - u[k] * y[j];
        }
        e[k] = reflector(&mut v[k + 1..n]);
        right[k * n + k + 1..(k + 1) * n].copy_from_slice(&v[k + 1..n]);
        let along: f64 = y.iter().zip(&v).map(|(y, v)| y * v).sum();
        f64::run(Products { a: &a[row..], row, from, v: &v, x: &mut x[k + 1..] });
        for i in k + 1..m {
            x[i] = 2.0 * (x[i] - u[i] * along);
        }
    }
    Bidiagonal { d, e, left, right }
}

/// `A ← A − u yᵀ − x vᵀ`, and to the sums is added `Aᵀ w` of the new A; from the register `from` of each row on.
struct Update<'a> {
    a: &'a mut [f64],
    row: usize,
    from: usize,
    u: &'a [f64],
    y: &'a [f64],
    x: &'a [f64],
    v: &'a [f64],
    w: &'a [f64],
    sums: &'a mut [f64],
}

/// Rows of a pass that share what they read of a vector.
const ROWS: usize = 4;

impl Kernel<f64> for Update<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let width = self.row / LANES;
        let (y, v) = (lanes::<f64>(self.y), lanes::<f64>(self.v));
        let sums = lanes_mut::<f64>(self.sums);
        let a = lanes_mut::<f64>(self.a);
        let count = self.u.len();
        let mut at = 0;
        while at + ROWS <= count {
            let rows = &mut a[at * width..(at + ROWS) * width];
            update::<ROWS, I>(isa, rows, self.from, &self.u[at..], &self.x[at..], &self.w[at..], y, v, sums);
            at += ROWS;
        }
        while at < count {
            let rows = &mut a[at * width..(at + 1) * width];
            update::<1, I>(isa, rows, self.from, &self.u[at..], &self.x[at..], &self.w[at..], y, v, sums);
            at += 1;
        }
    }
}

#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "four vectors, a sum and the rows belong to one pass")]
fn update<const R: usize, I: Isa<f64>>(
    isa: I,
    rows: &mut [Lane],
    from: usize,
    u: &[f64],
    x: &[f64],
    w: &[f64],
    y: &[Lane],
    v: &[Lane],
    sums: &mut [Lane],
) {
    let width = y.len();
    let mut factors = [[isa.splat(0.0); 3]; R];
    for r in 0..R {
        factors[r] = [isa.splat(u[r]), isa.splat(x[r]), isa.splat(w[r])];
    }
    for j in from..width {
        let (y, v, mut sum) = (isa.load(&y[j]), isa.load(&v[j]), isa.load(&sums[j]));
        for r in 0..R {
            let [u, x, w] = factors[r];
            let at = &mut rows[r * width + j];
            let value = isa.neg_mul_add(x, v, isa.neg_mul_add(u, y, isa.load(at)));
            isa.store(at, value);
            sum = isa.mul_add(w, value, sum);
        }
        isa.store(&mut sums[j], sum);
    }
}

/// `x = A v`, from the register `from` of each row on.
struct Products<'a> {
    a: &'a [f64],
    row: usize,
    from: usize,
    v: &'a [f64],
    x: &'a mut [f64],
}

impl Kernel<f64> for Products<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let width = self.row / LANES;
        let (a, v) = (lanes::<f64>(self.a), lanes::<f64>(self.v));
        let count = self.x.len();
        let mut at = 0;
        while at + ROWS <= count {
            products::<ROWS, I>(isa, &a[at * width..(at + ROWS) * width], self.from, v, &mut self.x[at..at + ROWS]);
            at += ROWS;
        }
        while at < count {
            products::<1, I>(isa, &a[at * width..(at + 1) * width], self.from, v, &mut self.x[at..=at]);
            at += 1;
        }
    }
}

#[inline(always)]
fn products<const R: usize, I: Isa<f64>>(isa: I, rows: &[Lane], from: usize, v: &[Lane], x: &mut [f64]) {
    let width = v.len();
    let mut sums = [isa.splat(0.0); R];
    for j in from..width {
        let v = isa.load(&v[j]);
        for r in 0..R {
            sums[r] = isa.mul_add(isa.load(&rows[r * width + j]), v, sums[r]);
        }
    }
    for r in 0..R {
        let mut lane = [0.0; LANES];
        isa.store(&mut lane, sums[r]);
        x[r] = (lane[0] + lane[1]) + (lane[2] + lane[3]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::reflectors::product;

    #[test]
    fn the_bidiagonal_form_is_that_of_the_matrix() {
        let mut rng = fastrand::Rng::with_seed(2);
        for (m, n) in [(1, 1), (2, 2), (3, 2), (7, 5), (40, 40), (50, 37)] {
            let a: Vec<f64> = (0..m * n).map(|_| rng.f64() - 0.5).collect();
            let Bidiagonal { d, e, left, right } = reduce(&a, m, n);
            let (u, v) = (product(&left, m, n, 0), product(&right, n, n, 1));
            for i in 0..m {
                for j in 0..n {
                    let above = |k: usize| if k + 1 < n { e[k] * v[(k + 1) * n + j] } else { 0.0 };
                    let got: f64 = (0..n).map(|k| u[k * m + i] * (d[k] * v[k * n + j] + above(k))).sum();
                    assert!((got - a[i * n + j]).abs() < 1e-14 * n as f64, "{m}×{n}: {got} {}", a[i * n + j]);
                }
            }
        }
    }
}
