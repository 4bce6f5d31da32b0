//! Where two neighbouring blocks of a tree meet: pointwise arithmetic on spectra, and its adjoint.
//!
//! A block answers to what enters at its ends: `out[o][s]` is the power series, in the number of steps z, of what is at
//! its end o per unit of source s; the sources are the entrances α (before the first place) and β (behind the last),
//! and the generators. Left block l and right block r are joined by the entries λ (from l to r) and μ (from r to l).
//! What enters l from the right is `P[s]`, what enters r from the left `Q[s]`:
//!
//! * `Δ = 1/(1 − z²λμ ll_l ff_r)`, a geometric series over the reflections between the two;
//! * `P = zμ Δ (at the first place of r: direct + zλ ff_r × at the last place of l)`, and Q alike;
//! * the ends of the joined block: `first[s] = first_l[s] + fl_l P[s]` and `last[s] = last_r[s] + lf_r Q[s]`.
//!
//! All coefficients are entries of powers of blocks of the operator: nothing grows that does not grow in the Krylov matrix
//! itself, which transfer matrices and characteristic polynomials cannot say.

use super::field::{C, Field, Lane};
use super::ports::{ALPHA, BETA};
use crate::transform::isa::{Isa, Kernel, lanes, lanes_mut};

/// Any generator.
const GENERATOR: usize = 2;

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
    /// Gradients in P and Q, those of each register together.
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
    spectra: &'a [Lane],
    /// Registers of real parts of a spectrum.
    h: usize,
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
    /// Their products.
    ua: C<I>,
    wb: C<I>,
    ud: C<I>,
    wd: C<I>,
}

/// Sums over the sources, at some places of the spectra, in the adjoint.
struct Sums<I: Isa<f64>> {
    /// Gradients in zμΔ, zλΔ, in zλ times what the right block reflects and in zμ times what the left one does.
    ud: C<I>,
    wd: C<I>,
    wb: C<I>,
    ua: C<I>,
    /// Those in what passes through the blocks, over zμΔ and zλΔ.
    through: [C<I>; 2],
}

impl<I: Isa<f64>> Blocks<'_, I> {
    #[inline(always)]
    fn get(self, block: usize, source: usize, k: usize) -> C<I> {
        self.field.get(self.spectra, self.h, block * (self.sources + 1) + source, k)
    }

    /// What passes through the blocks from where they meet.
    #[inline(always)]
    fn through(self, k: usize) -> [C<I>; 2] {
        [self.get(LEFT, self.sources, k), self.get(RIGHT, self.sources, k)]
    }

    #[inline(always)]
    fn meeting(self, z: C<I>, [lambda, mu]: [I::V; 2], k: usize) -> Meeting<I> {
        let field = self.field;
        let (w, u) = (field.times(z, lambda), field.times(z, mu));
        let (a, b) = (self.get(LEFT, BETA, k), self.get(RIGHT, ALPHA, k));
        let (ua, wb) = (field.mul(u, a), field.mul(w, b));
        let delta = field.geometric(field.mul(ua, wb));
        Meeting { w, u, a, b, delta, ua, wb, ud: field.mul(u, delta), wd: field.mul(w, delta) }
    }

    /// What arrives in the left block and in the right one, over zμΔ and zλΔ. α reaches the junction through the left block
    /// only, β through the right one only.
    #[inline(always)]
    fn arriving<const SOURCE: usize>(self, meeting: &Meeting<I>, s: usize, k: usize) -> [C<I>; 2] {
        let (field, Meeting { ua, wb, .. }) = (self.field, meeting);
        if SOURCE == ALPHA {
            let left = self.get(LEFT, s, k);
            return [field.mul(*wb, left), left];
        }
        let right = self.get(RIGHT, s, k);
        if SOURCE == BETA {
            return [right, field.mul(*ua, right)];
        }
        let left = self.get(LEFT, s, k);
        let (mut p, mut q) = (right, left);
        field.collect(&mut p, *wb, left);
        field.collect(&mut q, *ua, right);
        [p, q]
    }
}

impl Kernel<f64> for Junction<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { z, bonds, blocks, entering, ends } = self;
        let (z, field) = (lanes::<f64>(z), Field(isa));
        let h = z.len() / 2;
        let (entering, ends) = (lanes_mut::<f64>(entering), lanes_mut::<f64>(ends));
        let sources = ends.len() / h / 4;
        let blocks = Blocks { field, spectra: lanes::<f64>(blocks), h, sources };
        let bonds = [isa.load(&bonds[0]), isa.load(&bonds[1])];
        for k in 0..h {
            let meeting = blocks.meeting(field.get(z, h, 0, k), bonds, k);
            let [through_left, through_right] = blocks.through(k);
            for s in 0..sources {
                let [p, q] = match s {
                    ALPHA => blocks.arriving::<ALPHA>(&meeting, s, k),
                    BETA => blocks.arriving::<BETA>(&meeting, s, k),
                    _ => blocks.arriving::<GENERATOR>(&meeting, s, k),
                };
                let (p, q) = (field.mul(meeting.ud, p), field.mul(meeting.wd, q));
                field.set(entering, h, s, k, p);
                field.set(entering, h, sources + s, k, q);
                field.set(ends, h, s, k, field.mul(through_left, p));
                field.set(ends, h, sources + s, k, field.mul(through_right, q));
            }
        }
    }
}

/// The adjoint for one source: gathers the sums, and gives the gradients in what comes from the left block and from the right.
#[inline(always)]
fn adjoint<I: Isa<f64>, const SOURCE: usize>(
    blocks: Blocks<'_, I>,
    meeting: &Meeting<I>,
    [mut dp, mut dq]: [C<I>; 2],
    [d_first, d_last]: [C<I>; 2],
    sums: &mut Sums<I>,
    (s, k): (usize, usize),
) -> [C<I>; 2] {
    let (field, [through_left, through_right]) = (blocks.field, blocks.through(k));
    field.gather(&mut dp, through_left, d_first);
    field.gather(&mut dq, through_right, d_last);
    let [p, q] = blocks.arriving::<SOURCE>(meeting, s, k);
    field.gather(&mut sums.through[LEFT], p, d_first);
    field.gather(&mut sums.through[RIGHT], q, d_last);
    field.gather(&mut sums.ud, p, dp);
    field.gather(&mut sums.wd, q, dq);
    let (dp, dq) = (field.dual(meeting.ud, dp), field.dual(meeting.wd, dq));
    let (mut d_left, mut d_right) = (dq, dp);
    if SOURCE != BETA {
        field.gather(&mut sums.wb, blocks.get(LEFT, s, k), dp);
        field.gather(&mut d_left, meeting.wb, dp);
    }
    if SOURCE != ALPHA {
        field.gather(&mut sums.ua, blocks.get(RIGHT, s, k), dq);
        field.gather(&mut d_right, meeting.ua, dq);
    }
    [d_left, d_right]
}

impl Kernel<f64> for JunctionAdjoint<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { z, bonds, blocks, ends, entering, blocks_gradient, bonds_gradient } = self;
        let (z, field) = (lanes::<f64>(z), Field(isa));
        let h = z.len() / 2;
        let (ends, blocks_gradient) = (lanes::<f64>(ends), lanes_mut::<f64>(blocks_gradient));
        let sources = ends.len() / h / 4;
        let zero = field.zero();
        let [mut lambda_sum, mut mu_sum] = [isa.splat(0.0); 2];
        let blocks = Blocks { field, spectra: lanes::<f64>(blocks), h, sources };
        let bonds = [isa.load(&bonds[0]), isa.load(&bonds[1])];
        let right = sources + 1;
        for (k, entering) in lanes::<f64>(entering).chunks_exact(4 * sources).enumerate() {
            let z = field.get(z, h, 0, k);
            let meeting = blocks.meeting(z, bonds, k);
            let mut sums = Sums { ud: zero, wd: zero, wb: zero, ua: zero, through: [zero; 2] };
            for s in 0..sources {
                let (first, last) = (s, sources + s);
                let d_entering = [field.packed(entering, first), field.packed(entering, last)];
                let d_ends = [field.get(ends, h, first, k), field.get(ends, h, last, k)];
                let at = (s, k);
                match s {
                    ALPHA => {
                        let [d_left, _] = adjoint::<I, ALPHA>(blocks, &meeting, d_entering, d_ends, &mut sums, at);
                        field.set(blocks_gradient, h, ALPHA, k, d_left);
                    }
                    BETA => {
                        let [_, d_right] = adjoint::<I, BETA>(blocks, &meeting, d_entering, d_ends, &mut sums, at);
                        field.set(blocks_gradient, h, right + BETA, k, d_right);
                    }
                    _ => {
                        let [d_left, d_right] =
                            adjoint::<I, GENERATOR>(blocks, &meeting, d_entering, d_ends, &mut sums, at);
                        field.set(blocks_gradient, h, s, k, d_left);
                        field.set(blocks_gradient, h, right + s, k, d_right);
                    }
                }
            }
            let Meeting { w, u, a, b, delta, ua, wb, ud, wd } = meeting;
            let [mut dw, mut du] = [field.dual(delta, sums.wd), field.dual(delta, sums.ud)];
            let mut d_delta = field.dual(w, sums.wd);
            field.gather(&mut d_delta, u, sums.ud);
            // Δ = 1/(1 − ua wb).
            let d_loop = field.dual(field.mul(delta, delta), d_delta);
            field.gather(&mut sums.ua, wb, d_loop);
            field.gather(&mut sums.wb, ua, d_loop);
            field.gather(&mut dw, b, sums.wb);
            field.gather(&mut du, a, sums.ua);
            field.set(blocks_gradient, h, BETA, k, field.dual(u, sums.ua));
            field.set(blocks_gradient, h, right + ALPHA, k, field.dual(w, sums.wb));
            field.set(blocks_gradient, h, sources, k, field.dual(ud, sums.through[LEFT]));
            field.set(blocks_gradient, h, right + sources, k, field.dual(wd, sums.through[RIGHT]));
            lambda_sum = isa.add(lambda_sum, field.dual(z, dw).re);
            mu_sum = isa.add(mu_sum, field.dual(z, du).re);
        }
        isa.store(&mut bonds_gradient[0], lambda_sum);
        isa.store(&mut bonds_gradient[1], mu_sum);
    }
}
