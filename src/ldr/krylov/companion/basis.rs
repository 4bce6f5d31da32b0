//! The taps of Krylov vectors A^k e_0 and of their companion coordinates, in as wide a band as they need.

use super::plan::Plan;
use super::remainder::quotient;
use super::taps::{Taps, UNIT, reversed};
use crate::ldr::krylov::Limits;
use crate::ldr::krylov::band::Band;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// The last taps of a column, which have to have died away.
const TAIL: usize = 2;

/// K, with the columns 0 to N − 1, Ψ, with −1 to N, and 1/ν. `None` where no width is enough or numbers are too large.
pub fn new(plan: &Plan, entries: &[f64]) -> Option<(Taps, Taps, Vec<f64>)> {
    let (order, limits) = (plan.order, plan.limits);
    let band = Band::of(entries);
    let (psi, psi_norm) = plan.widths().find_map(|width| coordinates(plan, band, width))?;
    let (k, k_norm) = plan.widths().find_map(|width| vectors(plan, band, width))?;
    let nu = psi.column(order);
    let last = quotient(psi.column(order - 1), nu, psi.width());
    let closes = last.iter().zip(psi.before_first()).all(|(a, b)| (a - b).abs() <= limits.tail * limits.condition);
    let inverse =
        plan.widths().map(|width| quotient(&[1.0], nu, width)).find(|taps| has_died(taps, limits.tail, sum(taps)))?;
    (closes && k_norm * psi_norm <= limits.condition).then_some((k, psi, inverse))
}

fn coordinates(plan: &Plan, band: Band<'_>, width: usize) -> Option<(Taps, f64)> {
    let mut psi = Taps::zeros(width, 1 + plan.places + UNIT);
    begin(band, &mut psi);
    let tail = plan.limits.tail;
    let norm = run(plan.limits, |norm| f64::run(Coordinates { band, taps: &mut psi, tail, norm }))?;
    Some((psi, norm))
}

fn vectors(plan: &Plan, band: Band<'_>, width: usize) -> Option<(Taps, f64)> {
    let mut k = Taps::zeros(width, 1 + plan.places);
    let start = k.start(0);
    k.numbers_mut()[start] = 1.0;
    // Rows of A along a column of taps, with those around the cycle.
    let mut rows = [(); 3].map(|()| vec![0.0; plan.places + width]);
    for (row, entries) in rows.iter_mut().zip([band.lower, band.diagonal, band.upper]) {
        reversed(entries, plan.places, row);
        row[plan.places..].copy_from_slice(&entries[plan.order - width..]);
        row[plan.places..].reverse();
    }
    let rows = [&rows[0][..], &rows[1], &rows[2]];
    let (order, tail) = (plan.order, plan.limits.tail);
    let norm = run(plan.limits, |norm| f64::run(Vectors { order, rows, taps: &mut k, tail, norm }))?;
    Some((k, norm))
}

/// Runs a recurrence, which leaves its norm, or infinity where taps do not die away.
fn run(limits: Limits, recurrence: impl FnOnce(&mut f64)) -> Option<f64> {
    let mut norm = f64::INFINITY;
    recurrence(&mut norm);
    (norm <= limits.condition).then_some(norm)
}

fn sum(taps: &[f64]) -> f64 {
    taps.iter().map(|x| x.abs()).sum()
}

fn has_died(taps: &[f64], tail: f64, norm: f64) -> bool {
    taps[taps.len() - TAIL..].iter().all(|x| x.abs() <= tail * norm)
}

/// Writes ψ_−1 and ψ_0 = 1: the quotient does not depend on what it began with half a band before, as far as its taps go.
fn begin(band: Band<'_>, psi: &mut Taps) {
    let (order, width) = (band.lower.len(), psi.width());
    let (mut before, mut here) = (vec![0.0; width], vec![0.0; width]);
    here[0] = 1.0;
    for i in order - width / 2 - 1..order {
        let (diagonal, upper, over) = (band.diagonal[i], band.upper[i - 1], band.lower[(i + 1) % order].recip());
        let mut next = here.clone();
        for (next, here) in next[1..].iter_mut().zip(&here) {
            *next -= diagonal * here;
        }
        for (next, before) in next[2..].iter_mut().zip(&before) {
            *next -= upper * before;
        }
        next.iter_mut().for_each(|x| *x *= over);
        (before, here) = (here, next);
    }
    psi.before_first_mut().copy_from_slice(&quotient(&before, &here, width));
    let start = psi.start(0);
    psi.numbers_mut()[start] = 1.0;
}

/// The recurrence for ψ, from ψ_1 to ψ_N.
struct Coordinates<'a> {
    band: Band<'a>,
    taps: &'a mut Taps,
    tail: f64,
    norm: &'a mut f64,
}

impl Kernel<f64> for Coordinates<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { band: Band { lower, diagonal, upper }, taps, tail, norm } = self;
        let (order, width) = (lower.len(), taps.width());
        let mut largest = 0.0_f64;
        let mut last = UNIT;
        for i in 0..order {
            let (first, next) = (taps.start(i), taps.start(i + 1));
            let (done, to) = taps.numbers_mut().split_at_mut(next);
            let over = isa.splat(lower[(i + 1) % order].recip());
            let [diagonal, upper] = [diagonal[i], upper[(i + order - 1) % order]].map(|x| isa.splat(x));
            let here = lanes::<f64>(&done[first..][..width]);
            let before = &lanes::<f64>(&done[last..][..width])[..here.len()];
            let to = &mut lanes_mut::<f64>(&mut to[..width])[..here.len()];
            let [mut lower_here, mut lower_before] = [isa.splat(0.0); 2];
            for v in 0..here.len() {
                let (here, before) = (isa.load(&here[v]), isa.load(&before[v]));
                let sum = isa.neg_mul_add(diagonal, isa.skip::<3>(lower_here, here), here);
                let sum = isa.neg_mul_add(upper, isa.skip::<2>(lower_before, before), sum);
                isa.store(&mut to[v], isa.mul(sum, over));
                (lower_here, lower_before) = (here, before);
            }
            last = first;
            largest = largest.max(size(to));
            if !has_died(to.as_flattened(), tail, largest) {
                return;
            }
        }
        *norm = largest;
    }
}

/// The recurrence for A^k e_0.
struct Vectors<'a> {
    order: usize,
    /// Below, on and above the diagonal, as a reach each.
    rows: [&'a [f64]; 3],
    taps: &'a mut Taps,
    tail: f64,
    norm: &'a mut f64,
}

impl Kernel<f64> for Vectors<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { order, rows: [lower, diagonal, upper], taps, tail, norm } = self;
        let (width, places) = (taps.width(), lower.len() - taps.width());
        let mut largest = 1.0_f64;
        for k in 1..order {
            let last = taps.start(k - 1);
            let next = taps.start(k);
            let (done, to) = taps.numbers_mut().split_at_mut(next);
            let at = places - 1 - k;
            let lower = lanes::<f64>(&lower[at..][..width]);
            let diagonal = &lanes::<f64>(&diagonal[at..][..width])[..lower.len()];
            let upper = &lanes::<f64>(&upper[at..][..width])[..lower.len()];
            let here = &lanes::<f64>(&done[last..][..width])[..lower.len()];
            let to = &mut lanes_mut::<f64>(&mut to[..width])[..lower.len()];
            let mut before = isa.splat(0.0);
            for v in 0..lower.len() {
                let here = isa.load(&here[v]);
                let sum = isa.mul(isa.load(&lower[v]), here);
                let sum = isa.mul_add(isa.load(&diagonal[v]), isa.skip::<3>(before, here), sum);
                let sum = isa.mul_add(isa.load(&upper[v]), isa.skip::<2>(before, here), sum);
                isa.store(&mut to[v], sum);
                before = here;
            }
            largest = largest.max(size(to));
            if !has_died(to.as_flattened(), tail, largest) {
                return;
            }
        }
        *norm = largest;
    }
}

/// The sum of the absolute values of taps.
#[inline(always)]
fn size(taps: &[[f64; 4]]) -> f64 {
    let mut sums = [0.0; 4];
    for taps in taps {
        for l in 0..4 {
            sums[l] += taps[l].abs();
        }
    }
    sums.iter().sum()
}
