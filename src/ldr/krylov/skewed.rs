//! Several steps of a recurrence in one pass over the places, for one vector in [`Segments`].
//!
//! A pass consists of *stages* of one or two steps, which multiply by A or by A². A stage is done at a place as soon as
//! the stage before has done the last place that it needs; what it needs is in registers, a *window* of places for each
//! stage. A step of a tridiagonal operator and a generator takes four multiply-adds and four loads for each register of
//! places, 2.7 cycles in all where separate passes took 6; two steps in a stage take seven.

use std::cell::Cell;

use super::segments::{BEFORE, GROUP, Pairs, STEPS, Segments, pairs_mut};
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

type Lane = <f64 as Kernels>::Lane;

/// `A^D` and `A^b g` for b < D and each generator g, in [`Segments`], for a tridiagonal A: stages of D steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ring<'a> {
    pub segments: &'a Segments,
    /// For each register of places its 2 D + 1 entries, from below the diagonal to above, and then the generators, D
    /// registers each. (In arrays of their own, the generators and w could fight for the same sets of the cache all the
    /// way.)
    pub packed: &'a [f64],
}

/// Goes through a run of powers of A upwards.
#[derive(Debug)]
pub(super) struct Expand<'a, 'b, const D: usize, const C: usize> {
    /// The transpose of `A^D`, and `A^b g` of one generator, which have each place once: the sums for more would not
    /// stay in registers.
    pub ring: Ring<'a>,
    /// Replaced by what the run ends with, `(Aᵀ)^powers w` or a few powers more.
    pub w: &'b mut [f64],
    /// Written: `⟨A^k g, w⟩` for the powers of the run.
    pub t: &'b mut [f64],
    /// Written, if there is room: `(Aᵀ)^k w` for every `STEPS`th power, with which a pass begins, in groups of vectors.
    pub kept: &'b mut [f64],
}

/// Goes through a run of powers of A downwards, by Horner's rule.
#[derive(Debug)]
pub(super) struct Combine<'a, 'b, const D: usize, const C: usize, const R: usize> {
    /// With R generators, C = 2 D + 1 + R D registers for each register of places.
    pub ring: Ring<'a>,
    /// Replaced by `A^powers w + Σ_jk t_jk A^k g_j`.
    pub w: &'b mut [f64],
    /// Coefficients, for each generator N of them, of which the powers of this run begin at `first`.
    pub t: &'b [f64],
    pub first: usize,
    pub powers: usize,
    /// Written, if there is room: the w that the pass over each `STEPS` powers begins with, with its margins; a group
    /// at the most.
    pub kept: &'b mut [f64],
}

impl<const D: usize, const C: usize> Kernel<f64> for Expand<'_, '_, D, C> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { ring, w, t, kept } = self;
        let (kept, pairs) = (pairs_mut(kept), w.len() / (2 * f64::LANES));
        for (pass, t) in t.chunks_mut(STEPS).enumerate() {
            ring.segments.exchange(w);
            let sums = match kept.get_mut(pass / GROUP * pairs..).and_then(|group| group.get_mut(..pairs)) {
                Some(group) => expand::<I, D, C, true>(isa, ring, w, group, pass % GROUP),
                None => expand::<I, D, C, false>(isa, ring, w, &mut [], 0),
            };
            t.iter_mut().zip(sums).for_each(|(t, sum)| *t = sum);
        }
    }
}

impl<const D: usize, const C: usize, const R: usize> Kernel<f64> for Combine<'_, '_, D, C, R> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { ring, w, t, first, powers, kept } = self;
        let (order, kept) = (ring.segments.order(), pairs_mut(kept));
        for start in (0..powers).step_by(STEPS).rev() {
            let mut factors = [[0.0; R]; STEPS];
            for s in 0..STEPS.min(powers - start) {
                for j in 0..R {
                    factors[s][j] = t[j * order + first + start + s];
                }
            }
            ring.segments.exchange(w);
            match kept.is_empty() {
                false => combine::<I, D, C, R, true>(isa, ring, &factors, w, kept, start / STEPS),
                true => combine::<I, D, C, R, false>(isa, ring, &factors, w, kept, 0),
            }
        }
    }
}

/// Numbers as registers, several for each place.
#[inline(always)]
fn packed<const C: usize>(numbers: &[f64]) -> &[[Lane; C]] {
    lanes::<f64>(numbers).as_chunks().0
}

/// Pairs of registers that a pass goes through: the segments, and what the first steps need of the margins.
#[inline(always)]
fn count(segments: &Segments) -> usize {
    segments.len().div_ceil(2) + STEPS - 1
}

/// The first register that a pass reads in its loop.
const AHEAD: usize = BEFORE + 2 - STEPS;

/// The register where stage s of D steps begins.
#[inline(always)]
fn begin<const D: usize>(s: usize) -> usize {
    AHEAD - D * (s + 1)
}

/// Pairs of registers from one on.
#[inline(always)]
fn pairs_from<T>(registers: &[T], first: usize, count: usize) -> &[[T; 2]] {
    &registers[first..].as_chunks().0[..count]
}

/// The vector that a pass reads and, STEPS places behind, the one it writes.
#[inline(always)]
fn ahead_and_behind(w: &mut [f64], count: usize) -> [&[[Cell<Lane>; 2]]; 2] {
    let w = Cell::from_mut(lanes_mut::<f64>(w)).as_slice_of_cells();
    [pairs_from(w, AHEAD, count), pairs_from(w, AHEAD - STEPS, count)]
}

/// For each stage what it has to the left of the place ahead of it: of the margin as much as counts, to begin with.
#[inline(always)]
fn windows<I: Isa<f64>>(isa: I, w: &[f64], d: usize) -> [[I::V; STEPS]; STEPS] {
    let mut windows = [[isa.splat(0.0); STEPS]; STEPS];
    for x in 0..2 {
        windows[0][2 * d - 2 + x] = isa.load(&lanes::<f64>(w)[AHEAD - 2 + x]);
    }
    windows
}

/// `A^D` at a place, added to what is there: where its result is waited for the place ahead comes last.
#[inline(always)]
fn stage<I: Isa<f64>, const D: usize>(isa: I, entries: &[Lane], window: &[I::V], ahead: I::V, there: I::V) -> I::V {
    let mut sum = there;
    for x in 0..2 * D {
        if x != D {
            sum = isa.mul_add(isa.load(&entries[x]), window[x], sum);
        }
    }
    isa.mul_add(isa.load(&entries[2 * D]), ahead, sum)
}

/// Moves a window on.
#[inline(always)]
fn advance<V: Copy, const D: usize>(window: &mut [V], ahead: V) {
    for x in 1..2 * D {
        window[x - 1] = window[x];
    }
    window[2 * D - 1] = ahead;
}

/// Where a vector is kept from `AHEAD` on; what a gradient needs of what is before is kept at once.
#[inline(always)]
fn keep<'a>(kept: &'a mut [Pairs], slot: usize, w: &[f64], count: usize) -> &'a mut [Pairs] {
    let (first, rest) = kept.split_at_mut(AHEAD / 2);
    first[AHEAD / 2 - 1][slot] = packed(w)[AHEAD / 2 - 1];
    &mut rest[..count]
}

#[inline(always)]
fn expand<I: Isa<f64>, const D: usize, const C: usize, const KEEP: bool>(
    isa: I,
    ring: Ring<'_>,
    w: &mut [f64],
    kept: &mut [Pairs],
    slot: usize,
) -> [f64; STEPS] {
    let count = count(ring.segments);
    let packed = packed::<C>(ring.packed);
    let places: [_; STEPS] = std::array::from_fn(|s| pairs_from(packed, begin::<D>(s % (STEPS / D)), count));
    let mut sums = [isa.splat(0.0); STEPS];
    let mut windows = windows(isa, w, D);
    let (kept, slot) = (if KEEP { keep(kept, slot, w, count) } else { kept }, slot % GROUP);
    let [ahead, behind] = ahead_and_behind(w, count);
    for i in 0..count {
        for half in 0..2 {
            let mut next = isa.load(&ahead[i][half].get());
            if KEEP {
                isa.store(&mut kept[i][slot][half], next);
            }
            for s in 0..STEPS / D {
                let (place, window) = (&places[s][i][half], &mut windows[s]);
                for b in 0..D {
                    sums[D * s + b] = isa.mul_add(window[D], isa.load(&place[2 * D + 1 + b]), sums[D * s + b]);
                }
                let there = isa.mul(isa.load(&place[D]), window[D]);
                let result = stage::<I, D>(isa, place, window, next, there);
                advance::<_, D>(window, next);
                next = result;
            }
            put(isa, &behind[i][half], next);
        }
    }
    let mut totals = [0.0; STEPS];
    for s in 0..STEPS {
        let mut lane = [0.0; f64::LANES];
        isa.store(&mut lane, sums[s]);
        totals[s] = (lane[0] + lane[2]) + (lane[1] + lane[3]);
    }
    totals
}

/// The last stage has the first of `factors`.
#[inline(always)]
fn combine<I: Isa<f64>, const D: usize, const C: usize, const R: usize, const KEEP: bool>(
    isa: I,
    ring: Ring<'_>,
    factors: &[[f64; R]; STEPS],
    w: &mut [f64],
    kept: &mut [Pairs],
    slot: usize,
) {
    let count = count(ring.segments);
    let packed = packed::<C>(ring.packed);
    let places: [_; STEPS] = std::array::from_fn(|s| pairs_from(packed, begin::<D>(s % (STEPS / D)), count));
    let mut t = [[isa.splat(0.0); R]; STEPS];
    for s in 0..STEPS {
        for j in 0..R {
            t[s][j] = isa.splat(factors[s][j]);
        }
    }
    let mut windows = windows(isa, w, D);
    let (kept, slot) = (if KEEP { keep(kept, slot, w, count) } else { kept }, slot % GROUP);
    let [ahead, behind] = ahead_and_behind(w, count);
    for i in 0..count {
        for half in 0..2 {
            let mut next = isa.load(&ahead[i][half].get());
            if KEEP {
                isa.store(&mut kept[i][slot][half], next);
            }
            for s in 0..STEPS / D {
                let (place, window) = (&places[s][i][half], &mut windows[s]);
                let mut there = isa.mul(isa.load(&place[D]), window[D]);
                for j in 0..R {
                    for b in 0..D {
                        let factor = t[STEPS - D * (s + 1) + b][j];
                        there = isa.mul_add(factor, isa.load(&place[2 * D + 1 + D * j + b]), there);
                    }
                }
                let result = stage::<I, D>(isa, place, window, next, there);
                advance::<_, D>(window, next);
                next = result;
            }
            put(isa, &behind[i][half], next);
        }
    }
}

#[inline(always)]
fn put<I: Isa<f64>>(isa: I, to: &Cell<Lane>, v: I::V) {
    let mut lane = [0.0; f64::LANES];
    isa.store(&mut lane, v);
    to.set(lane);
}
