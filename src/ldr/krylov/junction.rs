//! Where two neighbouring blocks of a tree meet: pointwise arithmetic on spectra, and its adjoint.
//!
//! A block answers to what enters at its ends: `out[o][s]` is the power series, in the number of steps z, of what is at its end o
//! per unit of source s; the sources are the entrances α (before the first place) and β (behind the last), and the generators.
//! Left block l and right block r are joined by the entries λ (from l to r) and μ (from r to l). What enters l from the right
//! is `P[s]`, what enters r from the left `Q[s]`:
//!
//! * `Δ = 1/(1 − z²λμ ll_l ff_r)`, a geometric series over the reflections between the two;
//! * `P = zμ Δ (at the first place of r: direct + zλ ff_r × at the last place of l)`, and Q alike;
//! * the ends of the joined block: `first[s] = first_l[s] + fl_l P[s]` and `last[s] = last_r[s] + lf_r Q[s]`.
//!
//! All coefficients are entries of powers of blocks of the operator: nothing grows that does not grow in the Krylov matrix
//! itself, which transfer matrices and characteristic polynomials cannot say.

use super::tree::WAYS;
use crate::transform::butterfly::{Complex, mul, mul_conj};
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// The spectra that meet at a junction, n numbers each: n/2 real parts and as many imaginary ones.
#[derive(Debug)]
pub(super) struct Junction<'a> {
    /// The spectrum of z.
    pub z: &'a [f64],
    pub lambda: f64,
    pub mu: f64,
    /// The series of the two blocks, `[block][end][source]`.
    pub blocks: &'a [f64],
    /// P and Q, `[P or Q][source]`.
    pub entering: &'a mut [f64],
    /// What P and Q add to the ends of the joined block, `[end][source]`.
    pub ends: &'a mut [f64],
}

/// The adjoint of [`Junction`].
#[derive(Debug)]
pub(super) struct JunctionAdjoint<'a> {
    pub z: &'a [f64],
    pub lambda: f64,
    pub mu: f64,
    pub blocks: &'a [f64],
    pub entering: &'a [f64],
    /// Gradients in `ends`.
    pub ends: &'a [f64],
    /// Gradients in `entering`.
    pub entering_gradient: &'a mut [f64],
    /// Written: the gradients in `blocks`.
    pub blocks_gradient: &'a mut [f64],
    /// Added to: the gradients in λ and μ.
    pub bonds: &'a mut [f64; 2],
}

/// Complex arithmetic in registers.
#[derive(Clone, Copy)]
struct Field<I>(I);

type C<I> = Complex<<I as Isa<f64>>::V>;

impl<I: Isa<f64>> Field<I> {
    #[inline(always)]
    fn get(self, spectra: &[f64], n: usize, which: usize, k: usize) -> C<I> {
        let spectrum = &spectra[which * n..][..n];
        let part = |start: usize| self.0.load(&lanes::<f64>(&spectrum[start..start + f64::LANES])[0]);
        Complex { re: part(k), im: part(n / 2 + k) }
    }

    #[inline(always)]
    fn set(self, spectra: &mut [f64], n: usize, which: usize, k: usize, value: C<I>) {
        let spectrum = &mut spectra[which * n..][..n];
        self.0.store(&mut lanes_mut::<f64>(&mut spectrum[k..k + f64::LANES])[0], value.re);
        self.0.store(&mut lanes_mut::<f64>(&mut spectrum[n / 2 + k..n / 2 + k + f64::LANES])[0], value.im);
    }

    #[inline(always)]
    fn real(self, x: f64) -> C<I> {
        Complex { re: self.0.splat(x), im: self.0.splat(0.0) }
    }

    #[inline(always)]
    fn times(self, a: C<I>, x: f64) -> C<I> {
        let x = self.0.splat(x);
        Complex { re: self.0.mul(a.re, x), im: self.0.mul(a.im, x) }
    }

    #[inline(always)]
    fn mul(self, a: C<I>, b: C<I>) -> C<I> {
        mul::<f64, I>(self.0, a, b)
    }

    /// `conj(a) b`.
    #[inline(always)]
    fn dual(self, a: C<I>, b: C<I>) -> C<I> {
        mul_conj::<f64, I>(self.0, b, a)
    }

    #[inline(always)]
    fn add(self, a: C<I>, b: C<I>) -> C<I> {
        Complex { re: self.0.add(a.re, b.re), im: self.0.add(a.im, b.im) }
    }

    /// `sum += conj(a) b`.
    #[inline(always)]
    fn gather(self, sum: &mut C<I>, a: C<I>, b: C<I>) {
        *sum = self.add(*sum, self.dual(a, b));
    }

    /// `1/(1 − a)`.
    #[inline(always)]
    fn geometric(self, a: C<I>) -> C<I> {
        let isa = self.0;
        let (re, im) = (isa.sub(isa.splat(1.0), a.re), a.im);
        let square = isa.mul_add(re, re, isa.mul(im, im));
        Complex { re: isa.div(re, square), im: isa.div(im, square) }
    }
}

/// Where a series stands among those of two blocks.
#[derive(Clone, Copy)]
struct Places {
    sources: usize,
}

impl Places {
    #[inline(always)]
    fn at(self, block: usize, end: usize, source: usize) -> usize {
        (block * WAYS + end) * self.sources + source
    }
}

/// The spectra of two blocks. Methods rather than closures: those are not compiled for the instruction set.
#[derive(Clone, Copy)]
struct Blocks<'a, I> {
    field: Field<I>,
    spectra: &'a [f64],
    n: usize,
    places: Places,
}

impl<I: Isa<f64>> Blocks<'_, I> {
    #[inline(always)]
    fn get(self, block: usize, end: usize, source: usize, k: usize) -> C<I> {
        self.field.get(self.spectra, self.n, self.places.at(block, end, source), k)
    }
}

const LEFT: usize = 0;
const RIGHT: usize = 1;
const FIRST: usize = 0;
const LAST: usize = 1;
const ALPHA: usize = 0;
const BETA: usize = 1;

impl Kernel<f64> for Junction<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { z, lambda, mu, blocks, entering, ends } = self;
        let (n, field) = (z.len(), Field(isa));
        let sources = ends.len() / n / WAYS;
        let places = Places { sources };
        let blocks = Blocks { field, spectra: blocks, n, places };
        for k in (0..n / 2).step_by(f64::LANES) {
            let z = field.get(z, n, 0, k);
            let w = field.times(z, lambda);
            let through_right = blocks.get(RIGHT, LAST, ALPHA, k);
            let u = field.times(z, mu);
            let (a, b) = (blocks.get(LEFT, LAST, BETA, k), blocks.get(RIGHT, FIRST, ALPHA, k));
            let through_left = blocks.get(LEFT, FIRST, BETA, k);
            let delta = field.geometric(field.mul(field.mul(u, w), field.mul(a, b)));
            let (wd, ud) = (field.mul(w, delta), field.mul(u, delta));
            let (ua, wb) = (field.mul(u, a), field.mul(w, b));
            for s in 0..sources {
                // α reaches the junction through the left block only, β through the right one only.
                let zero = field.real(0.0);
                let from_left = if s == BETA { zero } else { blocks.get(LEFT, LAST, s, k) };
                let from_right = if s == ALPHA { zero } else { blocks.get(RIGHT, FIRST, s, k) };
                let p = field.mul(ud, field.add(from_right, field.mul(wb, from_left)));
                let q = field.mul(wd, field.add(from_left, field.mul(ua, from_right)));
                field.set(entering, n, s, k, p);
                field.set(entering, n, sources + s, k, q);
                field.set(ends, n, s, k, field.mul(through_left, p));
                field.set(ends, n, sources + s, k, field.mul(through_right, q));
            }
        }
    }
}

impl Kernel<f64> for JunctionAdjoint<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { z, lambda, mu, blocks, entering, ends, entering_gradient, blocks_gradient, bonds } = self;
        let (n, field) = (z.len(), Field(isa));
        let sources = ends.len() / n / WAYS;
        let places = Places { sources };
        let zero = field.real(0.0);
        blocks_gradient.fill(0.0);
        let (mut lambda_sum, mut mu_sum) = (isa.splat(0.0), isa.splat(0.0));
        let blocks = Blocks { field, spectra: blocks, n, places };
        for k in (0..n / 2).step_by(f64::LANES) {
            let z = field.get(z, n, 0, k);
            let w = field.times(z, lambda);
            let through_right = blocks.get(RIGHT, LAST, ALPHA, k);
            let mut d_through_right = zero;
            let mut dw = zero;
            let u = field.times(z, mu);
            let (a, b) = (blocks.get(LEFT, LAST, BETA, k), blocks.get(RIGHT, FIRST, ALPHA, k));
            let through_left = blocks.get(LEFT, FIRST, BETA, k);
            let (uw, ab) = (field.mul(u, w), field.mul(a, b));
            let delta = field.geometric(field.mul(uw, ab));
            let (wd, ud) = (field.mul(w, delta), field.mul(u, delta));
            let (ua, wb) = (field.mul(u, a), field.mul(w, b));
            let [mut d_through_left, mut du, mut da, mut db, mut d_delta] = [zero; 5];
            for s in 0..sources {
                let from_left = if s == BETA { zero } else { blocks.get(LEFT, LAST, s, k) };
                let from_right = if s == ALPHA { zero } else { blocks.get(RIGHT, FIRST, s, k) };
                let (d_first, d_last) = (field.get(ends, n, s, k), field.get(ends, n, sources + s, k));
                let mut dp = field.get(entering_gradient, n, s, k);
                let mut dq = field.get(entering_gradient, n, sources + s, k);
                field.gather(&mut dp, through_left, d_first);
                field.gather(&mut dq, through_right, d_last);
                field.gather(&mut d_through_left, field.get(entering, n, s, k), d_first);
                field.gather(&mut d_through_right, field.get(entering, n, sources + s, k), d_last);

                // p = u Δ (right + w b left), q = w Δ (left + u a right).
                let p_sum = field.add(from_right, field.mul(wb, from_left));
                let q_sum = field.add(from_left, field.mul(ua, from_right));
                field.gather(&mut d_delta, field.mul(u, p_sum), dp);
                field.gather(&mut d_delta, field.mul(w, q_sum), dq);
                field.gather(&mut du, field.mul(delta, p_sum), dp);
                field.gather(&mut dw, field.mul(delta, q_sum), dq);
                let (dp_sum, dq_sum) = (field.dual(ud, dp), field.dual(wd, dq));
                let dwb = field.dual(from_left, dp_sum);
                let dua = field.dual(from_right, dq_sum);
                field.gather(&mut dw, b, dwb);
                field.gather(&mut db, w, dwb);
                field.gather(&mut du, a, dua);
                field.gather(&mut da, u, dua);
                if s != BETA {
                    let d = field.add(dq_sum, field.dual(wb, dp_sum));
                    field.set(blocks_gradient, n, places.at(LEFT, LAST, s), k, d);
                }
                if s != ALPHA {
                    let d = field.add(dp_sum, field.dual(ua, dq_sum));
                    field.set(blocks_gradient, n, places.at(RIGHT, FIRST, s), k, d);
                }
            }
            // Δ = 1/(1 − u w a b).
            let d_loop = field.dual(field.mul(delta, delta), d_delta);
            field.gather(&mut du, field.mul(w, ab), d_loop);
            field.gather(&mut dw, field.mul(u, ab), d_loop);
            field.gather(&mut da, field.mul(uw, b), d_loop);
            field.gather(&mut db, field.mul(uw, a), d_loop);
            field.set(blocks_gradient, n, places.at(LEFT, LAST, BETA), k, da);
            field.set(blocks_gradient, n, places.at(RIGHT, FIRST, ALPHA), k, db);
            field.set(blocks_gradient, n, places.at(LEFT, FIRST, BETA), k, d_through_left);
            field.set(blocks_gradient, n, places.at(RIGHT, LAST, ALPHA), k, d_through_right);
            lambda_sum = isa.add(lambda_sum, field.dual(z, dw).re);
            mu_sum = isa.add(mu_sum, field.dual(z, du).re);
        }
        let mut sums = [[0.0; f64::LANES]; 2];
        isa.store(&mut sums[0], lambda_sum);
        isa.store(&mut sums[1], mu_sum);
        for (bond, sum) in bonds.iter_mut().zip(sums) {
            // The inner product of two real signals is 2/n times that of the halves of their spectra.
            *bond += sum.iter().sum::<f64>() * 2.0 / n as f64;
        }
    }
}
