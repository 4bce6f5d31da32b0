//! The taps of Krylov vectors A^k e_0 and of their companion coordinates, in as wide a band as they need.

use super::plan::Plan;
use super::remainder::quotient;
use super::taps::{Taps, UNIT, horizontal, reversed};
use crate::ldr::krylov::band::Band;
use crate::ldr::krylov::segments::Aligned;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// Numbers in a register, and columns whose norms are looked at together.
const LANES: usize = f64::LANES;

/// Widths at which is looked whether it is worth to go on.
const FIRST_LOOKS: [usize; 2] = [32, 64];

/// The last taps of a column, which have to have died away: two, for a place is left behind by one or by two.
const TAIL: usize = 2;

/// The Krylov basis of e_0.
pub struct Basis {
    /// The columns 0 to N − 1.
    pub k: Taps,
    /// The columns −1 to N.
    pub psi: Taps,
    /// 1/ν.
    pub inverse: Vec<f64>,
}

/// The basis, unless no width is enough or numbers are too large.
pub fn new(plan: &Plan, entries: &[f64], memory: [Aligned; 2]) -> Option<Basis> {
    let (order, limits) = (plan.order, plan.limits);
    let band = Band::of(entries);
    if !turns_back_little(plan, band) {
        return None;
    }
    let [first, second] = memory;
    let (psi, psi_square) = grow(plan, Taps::new(1 + plan.places + UNIT, first), &Coordinates { band })?;
    let (k, k_square) = grow(plan, Taps::new(1 + plan.places, second), &Vectors::new(plan, band))?;
    let nu = psi.column(order);
    let last = quotient(psi.column(order - 1), nu, psi.width());
    let closes = last.iter().zip(psi.before_first()).all(|(a, b)| (a - b).abs() <= limits.tail * limits.condition);
    let has_died = |taps: &Vec<f64>| taps[taps.len() - TAIL..].iter().all(|x| x.abs() <= limits.tail * taps[0].abs());
    let inverse = plan.widths().map(|width| quotient(&[1.0], nu, width)).find(has_died)?;
    let condition = (k_square * psi_square).sqrt();
    (closes && condition <= limits.condition).then_some(Basis { k, psi, inverse })
}

/// A recurrence for columns of taps.
trait Recurrence {
    /// One behind the last column.
    fn end(&self, order: usize) -> usize;

    /// Writes column 0, and the one before it.
    fn begin(&self, taps: &mut Taps);

    /// Writes column k, of so many registers; returns the squares of its numbers, summed by lanes.
    fn column<I: Isa<f64>>(&self, isa: I, k: usize, count: usize, taps: &mut Taps) -> I::V;
}

/// How far a recurrence has come.
struct Progress {
    /// The first column that is not computed.
    column: usize,
    /// The square of the largest norm of a column.
    square: f64,
}

/// Computes all columns, in a wider band from where one is too narrow; with the square of the largest norm of a column.
fn grow<R: Recurrence>(plan: &Plan, mut taps: Taps, recurrence: &R) -> Option<(Taps, f64)> {
    let mut progress = Progress { column: 1, square: 1.0 };
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
            return Some((taps, progress.square));
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
            progress.square = largest;
            progress.column = k + some;
        }
    }
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
}

/// That of A^k e_0.
struct Vectors {
    /// The entries below, on and above the diagonal, in reverse, with those around the cycle for the widest band.
    rows: [Vec<f64>; 3],
    places: usize,
}

impl Vectors {
    fn new(plan: &Plan, band: Band<'_>) -> Self {
        let width = plan.widest;
        let rows = [band.lower, band.diagonal, band.upper].map(|entries| {
            let mut row = vec![0.0; plan.places + width];
            reversed(entries, plan.places, &mut row);
            let around = entries[plan.order - width..].iter().rev();
            row[plan.places..].iter_mut().zip(around).for_each(|(to, from)| *to = *from);
            row
        });
        Self { rows, places: plan.places }
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
}
