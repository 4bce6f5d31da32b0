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

use super::field::{C, Field};
use super::plan::LANES;
use crate::transform::isa::{Isa, Kernel, Kernels};

/// A number for each lane.
pub type Lane = <f64 as Kernels>::Lane;

/// The source before the first place.
pub const ALPHA: usize = 0;
/// The source behind the last place.
pub const BETA: usize = 1;

/// The spectra that meet at a junction, n numbers each: n/2 real parts and as many imaginary ones.
#[derive(Debug)]
pub struct Junction<'a> {
    /// The spectrum of z.
    pub z: &'a [f64],
    /// λ and μ.
    pub bonds: [Lane; 2],
    /// For each of the two blocks the series at the end where they meet, one for each source; and then what passes through the
    /// block from there to its other end.
    pub blocks: &'a [f64],
    /// P and Q, `[P or Q][source]`.
    pub entering: &'a mut [f64],
    /// What P and Q add to the ends of the joined block, `[end][source]`.
    pub ends: &'a mut [f64],
}

/// The adjoint of [`Junction`].
#[derive(Debug)]
pub struct JunctionAdjoint<'a> {
    pub z: &'a [f64],
    pub bonds: [Lane; 2],
    pub blocks: &'a [f64],
    /// Gradients in `ends`.
    pub ends: &'a [f64],
    /// Gradients in P and Q.
    pub entering: &'a [f64],
    /// Written: the gradients in `blocks`.
    pub blocks_gradient: &'a mut [f64],
    /// Written: the gradients in λ and μ, times n/2.
    pub bonds_gradient: &'a mut [Lane; 2],
}

/// The spectra of two blocks. Methods rather than closures: those are not compiled for the instruction set.
#[derive(Clone, Copy)]
struct Blocks<'a, I> {
    field: Field<I>,
    spectra: &'a [f64],
    n: usize,
    sources: usize,
}

const LEFT: usize = 0;
const RIGHT: usize = 1;

/// What is at a junction at some places of the spectra, whatever the source.
#[derive(Clone, Copy)]
struct Meeting<I: Isa<f64>> {
    /// zλ and zμ.
    w: C<I>,
    u: C<I>,
    /// What the left block reflects, and what the right one does.
    a: C<I>,
    b: C<I>,
    /// Δ.
    delta: C<I>,
}

impl<I: Isa<f64>> Blocks<'_, I> {
    fn places(spectra: &[f64], n: usize) -> usize {
        spectra.len() / n / 2 - 1
    }

    #[inline(always)]
    fn get(self, block: usize, source: usize, k: usize) -> C<I> {
        self.field.get(self.spectra, self.n, block * (self.sources + 1) + source, k)
    }

    #[inline(always)]
    fn meeting(self, z: C<I>, [lambda, mu]: [I::V; 2], k: usize) -> Meeting<I> {
        let field = self.field;
        let (w, u) = (field.times(z, lambda), field.times(z, mu));
        let (a, b) = (self.get(LEFT, BETA, k), self.get(RIGHT, ALPHA, k));
        Meeting { w, u, a, b, delta: field.geometric(field.mul(field.mul(u, w), field.mul(a, b))) }
    }

    /// What arrives from the two blocks: α reaches the junction through the left one only, β through the right one only.
    #[inline(always)]
    fn arriving(self, s: usize, k: usize) -> [C<I>; 2] {
        let zero = self.field.zero();
        [if s == BETA { zero } else { self.get(LEFT, s, k) }, if s == ALPHA { zero } else { self.get(RIGHT, s, k) }]
    }
}

impl Kernel<f64> for Junction<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { z, bonds, blocks, entering, ends } = self;
        let (n, field) = (z.len(), Field(isa));
        let sources = Blocks::<I>::places(blocks, n);
        let blocks = Blocks { field, spectra: blocks, n, sources };
        let bonds = [isa.load(&bonds[0]), isa.load(&bonds[1])];
        for k in (0..n / 2).step_by(LANES) {
            let Meeting { w, u, a, b, delta } = blocks.meeting(field.get(z, n, 0, k), bonds, k);
            let (through_left, through_right) = (blocks.get(LEFT, sources, k), blocks.get(RIGHT, sources, k));
            let (wd, ud) = (field.mul(w, delta), field.mul(u, delta));
            let (ua, wb) = (field.mul(u, a), field.mul(w, b));
            for s in 0..sources {
                let [from_left, from_right] = blocks.arriving(s, k);
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
        let Self { z, bonds, blocks, ends, entering, blocks_gradient, bonds_gradient } = self;
        let (n, field) = (z.len(), Field(isa));
        let sources = Blocks::<I>::places(blocks, n);
        let zero = field.zero();
        let [mut lambda_sum, mut mu_sum] = [isa.splat(0.0); 2];
        let blocks = Blocks { field, spectra: blocks, n, sources };
        let bonds = [isa.load(&bonds[0]), isa.load(&bonds[1])];
        let right = sources + 1;
        for k in (0..n / 2).step_by(LANES) {
            let z = field.get(z, n, 0, k);
            let Meeting { w, u, a, b, delta } = blocks.meeting(z, bonds, k);
            let (through_left, through_right) = (blocks.get(LEFT, sources, k), blocks.get(RIGHT, sources, k));
            let (wd, ud) = (field.mul(w, delta), field.mul(u, delta));
            let (ua, wb) = (field.mul(u, a), field.mul(w, b));
            let [mut d_through_left, mut d_through_right] = [zero; 2];
            let [mut dwd, mut dud, mut dwb, mut dua] = [zero; 4];
            for s in 0..sources {
                let [from_left, from_right] = blocks.arriving(s, k);
                let (d_first, d_last) = (field.get(ends, n, s, k), field.get(ends, n, sources + s, k));
                let mut dp = field.get(entering, n, s, k);
                let mut dq = field.get(entering, n, sources + s, k);
                field.gather(&mut dp, through_left, d_first);
                field.gather(&mut dq, through_right, d_last);
                // p = u Δ (right + w b left), q = w Δ (left + u a right).
                let p_sum = field.add(from_right, field.mul(wb, from_left));
                let q_sum = field.add(from_left, field.mul(ua, from_right));
                field.gather(&mut d_through_left, field.mul(ud, p_sum), d_first);
                field.gather(&mut d_through_right, field.mul(wd, q_sum), d_last);
                field.gather(&mut dud, p_sum, dp);
                field.gather(&mut dwd, q_sum, dq);
                let (mut d_right, mut d_left) = (field.dual(ud, dp), field.dual(wd, dq));
                field.gather(&mut dwb, from_left, d_right);
                field.gather(&mut dua, from_right, d_left);
                let before = d_right;
                field.gather(&mut d_right, ua, d_left);
                field.gather(&mut d_left, wb, before);
                if s != BETA {
                    field.set(blocks_gradient, n, s, k, d_left);
                }
                if s != ALPHA {
                    field.set(blocks_gradient, n, right + s, k, d_right);
                }
            }
            let [mut dw, mut du] = [field.dual(delta, dwd), field.dual(delta, dud)];
            let mut d_delta = field.dual(w, dwd);
            field.gather(&mut d_delta, u, dud);
            field.gather(&mut dw, b, dwb);
            field.gather(&mut du, a, dua);
            let (mut da, mut db) = (field.dual(u, dua), field.dual(w, dwb));
            // Δ = 1/(1 − u w a b).
            let d_loop = field.dual(field.mul(delta, delta), d_delta);
            field.gather(&mut du, field.mul(wb, a), d_loop);
            field.gather(&mut dw, field.mul(ua, b), d_loop);
            field.gather(&mut da, field.mul(u, wb), d_loop);
            field.gather(&mut db, field.mul(w, ua), d_loop);
            field.set(blocks_gradient, n, BETA, k, da);
            field.set(blocks_gradient, n, right + ALPHA, k, db);
            field.set(blocks_gradient, n, sources, k, d_through_left);
            field.set(blocks_gradient, n, right + sources, k, d_through_right);
            lambda_sum = isa.add(lambda_sum, field.dual(z, dw).re);
            mu_sum = isa.add(mu_sum, field.dual(z, du).re);
        }
        isa.store(&mut bonds_gradient[0], lambda_sum);
        isa.store(&mut bonds_gradient[1], mu_sum);
    }
}
