//! The taps of Krylov vectors A^k e_0 and of their companion coordinates, in as wide a band as they need.

use std::ops::Range;

use super::plan::Plan;
use super::remainder::quotient;
use super::scaled::Scaled;
use super::taps::{GROUP, Taps, UNIT, horizontal, reversed};
use crate::ldr::krylov::band::Band;
use crate::ldr::krylov::segments::Aligned;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// Numbers in a register, and columns whose norms are looked at together.
const LANES: usize = f64::LANES;

/// Widths at which is looked whether it is worth to go on.
const FIRST_LOOKS: [usize; 2] = [32, 64];

/// The last taps of a column, which have to have died away: two, for a place is left behind by one or by two.
const TAIL: usize = 2;

/// How much larger taps may be that gradients leave out, next to a first tap of one: 10⁻¹³ (f64) and 10⁻⁷ (f32), by which only they are wrong.
pub const LEFT_OUT: f64 = 100.0;

/// The Krylov basis of e_0.
pub struct Basis {
    /// The columns 0 to N − 1.
    pub k: Taps,
    /// The columns −1 to N.
    pub psi: Taps,
    /// 1/ν.
    pub inverse: Vec<f64>,
    /// Diagonals of a gradient in all entries that count, whole groups: those that any tap leads from to the three that are asked for.
    pub diagonals: usize,
}

/// The basis, and the operator scaled, unless no width is enough or numbers are too large.
pub fn new(plan: &Plan, entries: &[f64], memory: [Aligned; 2]) -> Option<(Basis, Scaled)> {
    let (order, limits) = (plan.order, plan.limits);
    let band = Band::of(entries);
    if !turns_back_little(plan, band) {
        return None;
    }
    let scaled = Scaled::new(plan, entries);
    let [first, second] = memory;
    let (psi, psi_progress) =
        grow(plan, Taps::new(1 + plan.places + UNIT, first), &Coordinates { band, scaled: &scaled })?;
    let (k, k_progress) = grow(plan, Taps::new(1 + plan.places, second), &Vectors::new(plan, band, &scaled))?;
    let nu = psi.column(order);
    let last = quotient(psi.column(order - 1), nu, psi.width());
    let closes = last.iter().zip(psi.before_first()).all(|(a, b)| (a - b).abs() <= limits.tail * limits.condition);
    let has_died = |taps: &Vec<f64>| taps[taps.len() - TAIL..].iter().all(|x| x.abs() <= limits.tail * taps[0].abs());
    let inverse = plan.widths().map(|width| quotient(&[1.0], nu, width)).find(has_died)?;
    let condition = (k_progress.square * psi_progress.square).sqrt();
    let others = [psi.before_first(), &inverse].map(|taps| groups(taps, LEFT_OUT * limits.tail * taps[0].abs()));
    let groups = others.into_iter().fold(k_progress.groups.max(psi_progress.groups), usize::max);
    let diagonals = plan.widest.min(GROUP * groups);
    (closes && condition <= limits.condition).then_some((Basis { k, psi, inverse, diagonals }, scaled))
}

/// A recurrence for columns of taps.
trait Recurrence {
    /// One behind the last column.
    fn end(&self, order: usize) -> usize;

    /// Writes column 0, and the one before it.
    fn begin(&self, taps: &mut Taps);

    /// Writes column k, of so many registers; returns the squares of its numbers, summed by lanes.
    fn column<I: Isa<f64>>(&self, isa: I, k: usize, count: usize, taps: &mut Taps) -> I::V;

    /// The squares of the taps of column k in a range, summed by lanes, where all entries below the diagonal are scaled to one: then the first tap is one.
    fn scaled<I: Isa<f64>>(&self, isa: I, k: usize, range: Range<usize>, taps: &Taps) -> I::V;
}

/// Groups of diagonals that taps above a limit lead from, to the three lowest.
fn groups(taps: &[f64], limit: f64) -> usize {
    taps.iter().rposition(|x| x.abs() > limit).map_or(1, |last| (last + TAIL) / GROUP + 1)
}

/// How far a recurrence has come.
struct Progress {
    /// The first column that is not computed.
    column: usize,
    /// The square of the largest norm of a column.
    square: f64,
    /// Groups of diagonals that taps lead from.
    groups: usize,
}

/// Computes all columns, in a wider band from where one is too narrow.
fn grow<R: Recurrence>(plan: &Plan, mut taps: Taps, recurrence: &R) -> Option<(Taps, Progress)> {
    let mut progress = Progress { column: 1, square: 1.0, groups: 1 };
    let end = recurrence.end(plan.order);
    for width in plan.widths() {
        taps.widen(width, progress.column);
        recurrence.begin(&mut taps);
        f64::run(Columns { recurrence, taps: &mut taps, end, tail: plan.limits.tail, progress: &mut progress });
        let norm = progress.square.sqrt();
        if norm > plan.limits.condition {
            return None;
        }
        if progress.column == end {
            taps.clear_from(end);
            return Some((taps, progress));
        }
    }
    None
}

/// The columns of a recurrence, until one has not died away.
struct Columns<'a, R> {
    recurrence: &'a R,
    taps: &'a mut Taps,
    end: usize,
    tail: f64,
    progress: &'a mut Progress,
}

impl<R: Recurrence> Kernel<f64> for Columns<'_, R> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        match self.taps.width() / LANES {
            1 => self.all(isa, 1),
            2 => self.all(isa, 2),
            3 => self.all(isa, 3),
            4 => self.all(isa, 4),
            6 => self.all(isa, 6),
            count => self.all(isa, count),
        }
    }
}

impl<R: Recurrence> Columns<'_, R> {
    #[inline(always)]
    fn all<I: Isa<f64>>(self, isa: I, count: usize) {
        let Self { recurrence, taps, end, tail, progress } = self;
        while progress.column < end {
            let (k, some) = (progress.column, LANES.min(end - progress.column));
            let mut squares = [isa.splat(0.0); LANES];
            let mut tails = 0.0;
            for q in 0..some {
                squares[q] = recurrence.column(isa, k + q, count, taps);
                let last = &taps.column(k + q)[count * LANES - TAIL..];
                tails += last[0] * last[0] + last[1] * last[1];
            }
            let mut norms = [0.0; LANES];
            isa.store(&mut norms, horizontal::<I>(isa, squares));
            if !norms.iter().all(|norm| norm.is_finite()) {
                progress.square = f64::INFINITY;
                return;
            }
            let largest = norms.into_iter().fold(progress.square, f64::max);
            if tails > tail * tail {
                return;
            }
            let limit = LEFT_OUT * tail;
            let is_beyond = |groups| largest_beyond(isa, recurrence, taps, k..k + some, groups) > limit * limit;
            while progress.groups < count && is_beyond(progress.groups) {
                progress.groups += 1;
            }
            progress.square = largest;
            progress.column = k + some;
        }
    }
}

/// The largest sum of the squares of the scaled taps of a column that lead from beyond so many groups of diagonals.
#[inline(always)]
fn largest_beyond<I: Isa<f64>>(
    isa: I,
    recurrence: &impl Recurrence,
    taps: &Taps,
    columns: Range<usize>,
    groups: usize,
) -> f64 {
    let beyond = GROUP * groups - TAIL..taps.width() - TAIL;
    let mut squares = [isa.splat(0.0); LANES];
    for (square, k) in squares.iter_mut().zip(columns) {
        *square = recurrence.scaled(isa, k, beyond.clone(), taps);
    }
    let mut sums = [0.0; LANES];
    isa.store(&mut sums, horizontal::<I>(isa, squares));
    sums.into_iter().fold(0.0, f64::max)
}

/// Whether ψ_−1 dies away as fast as it has to within the widest band: a first look, that most operators far from the shift do not pass.
fn turns_back_little(plan: &Plan, band: Band<'_>) -> bool {
    let tail = plan.limits.tail;
    for width in FIRST_LOOKS.map(|width| width.min(plan.widest)) {
        let last = start(band, width)[width - TAIL..].iter().fold(0.0, |last: f64, x| last.max(x.abs()));
        if last <= tail {
            break;
        }
        // NaN passes here, and fails later.
        if last > tail.powf(width as f64 / plan.widest as f64) {
            return false;
        }
    }
    true
}

/// ψ_−1 over ψ_0 = 1: it does not depend on what it began with half a band before, as far as its taps go.
fn start(band: Band<'_>, width: usize) -> Vec<f64> {
    let order = band.lower.len();
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
    quotient(&before, &here, width)
}

/// That of ψ, from ψ_1 to ψ_N.
struct Coordinates<'a> {
    band: Band<'a>,
    scaled: &'a Scaled,
}

/// The sum of the squares of so many numbers times others, by lanes.
#[inline(always)]
fn squares<I: Isa<f64>>(isa: I, numbers: &[f64], factor: impl Fn(usize) -> I::V) -> I::V {
    let mut sum = isa.splat(0.0);
    for (v, x) in lanes::<f64>(numbers).iter().enumerate() {
        let x = isa.mul(isa.load(x), factor(v));
        sum = isa.mul_add(x, x, sum);
    }
    sum
}

impl Recurrence for Coordinates<'_> {
    fn end(&self, order: usize) -> usize {
        order + 1
    }

    fn begin(&self, taps: &mut Taps) {
        let first = start(self.band, taps.width());
        taps.set_before_first(&first);
        taps.set_unit();
    }

    #[inline(always)]
    fn column<I: Isa<f64>>(&self, isa: I, k: usize, count: usize, taps: &mut Taps) -> I::V {
        let Band { lower, diagonal, upper } = self.band;
        let (order, width) = (lower.len(), count * LANES);
        let over = isa.splat(lower[if k == order { 0 } else { k }].recip());
        let (diagonal, upper) = (isa.splat(diagonal[k - 1]), isa.splat(upper[if k == 1 { order - 1 } else { k - 2 }]));
        let [here, before, to] = [taps.start(k - 1), if k == 1 { UNIT } else { taps.start(k - 2) }, taps.start(k)];
        taps.clear(k + 1);
        let (done, to) = taps.numbers_mut().split_at_mut(to);
        let (here, before) =
            (&lanes::<f64>(&done[here..][..width])[..count], &lanes::<f64>(&done[before..][..width])[..count]);
        let to = &mut lanes_mut::<f64>(&mut to[..width])[..count];
        let [mut square, mut here_below, mut before_below] = [isa.splat(0.0); 3];
        for v in 0..count {
            let (here, before) = (isa.load(&here[v]), isa.load(&before[v]));
            let sum = isa.neg_mul_add(upper, isa.skip::<2>(before_below, before), here);
            let sum = isa.neg_mul_add(diagonal, isa.skip::<3>(here_below, here), sum);
            let sum = isa.mul(sum, over);
            isa.store(&mut to[v], sum);
            square = isa.mul_add(sum, sum, square);
            (here_below, before_below) = (here, before);
        }
        square
    }

    #[inline(always)]
    fn scaled<I: Isa<f64>>(&self, isa: I, k: usize, range: Range<usize>, taps: &Taps) -> I::V {
        let scale = isa.splat(self.scaled.scale(k));
        squares::<I>(isa, &taps.column(k)[range], |_| scale)
    }
}

/// That of A^k e_0.
struct Vectors {
    /// The entries below, on and above the diagonal, in reverse, with those around the cycle for the widest band.
    rows: [Vec<f64>; 3],
    /// One over what places are scaled by, in the same order.
    over: Vec<f64>,
    order: usize,
    places: usize,
}

impl Vectors {
    fn new(plan: &Plan, band: Band<'_>, scaled: &Scaled) -> Self {
        let width = plan.widest;
        let rows = [band.lower, band.diagonal, band.upper].map(|entries| {
            let mut row = vec![0.0; plan.places + width];
            reversed(entries, plan.places, &mut row);
            let around = entries[plan.order - width..].iter().rev();
            row[plan.places..].iter_mut().zip(around).for_each(|(to, from)| *to = *from);
            row
        });
        Self { rows, over: scaled.inverse_reach(width), order: plan.order, places: plan.places }
    }
}

impl Recurrence for Vectors {
    fn end(&self, order: usize) -> usize {
        order
    }

    fn begin(&self, taps: &mut Taps) {
        taps.set_unit();
    }

    #[inline(always)]
    fn column<I: Isa<f64>>(&self, isa: I, k: usize, count: usize, taps: &mut Taps) -> I::V {
        let (at, width) = (self.places - 1 - k, count * LANES);
        let [lower, diagonal, upper] = &self.rows;
        let lower = &lanes::<f64>(&lower[at..][..width])[..count];
        let diagonal = &lanes::<f64>(&diagonal[at..][..width])[..count];
        let upper = &lanes::<f64>(&upper[at..][..width])[..count];
        let [here, to] = [taps.start(k - 1), taps.start(k)];
        taps.clear(k + 1);
        let (done, to) = taps.numbers_mut().split_at_mut(to);
        let here = &lanes::<f64>(&done[here..][..width])[..count];
        let to = &mut lanes_mut::<f64>(&mut to[..width])[..count];
        let [mut square, mut below] = [isa.splat(0.0); 2];
        for v in 0..count {
            let here = isa.load(&here[v]);
            let sum = isa.mul(isa.load(&lower[v]), here);
            let sum = isa.mul_add(isa.load(&diagonal[v]), isa.skip::<3>(below, here), sum);
            let sum = isa.mul_add(isa.load(&upper[v]), isa.skip::<2>(below, here), sum);
            isa.store(&mut to[v], sum);
            square = isa.mul_add(sum, sum, square);
            below = here;
        }
        square
    }

    #[inline(always)]
    fn scaled<I: Isa<f64>>(&self, isa: I, k: usize, range: Range<usize>, taps: &Taps) -> I::V {
        let from = self.order - 1 - k + range.start;
        let over = lanes::<f64>(&self.over[from..from + range.len()]);
        squares::<I>(isa, &taps.column(k)[range], |v| isa.load(&over[v]))
    }
}
