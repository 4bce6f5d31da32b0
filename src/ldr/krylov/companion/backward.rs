//! The recurrence for ψ backwards, from ψ_N to ψ_1.

use super::taps::{Taps, horizontal};
use crate::ldr::krylov::band::{Band, BandGradient};
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

type Lane = <f64 as Kernels>::Lane;

/// Numbers in a register.
const LANES: usize = f64::LANES;

/// Rows that are taken up together.
const GROUP: usize = LANES;

/// Outer products that are added to a band at once.
pub const PAIRS: usize = 2;

/// An outer product in a band: column i is `x_i` times what the band has of the reach.
#[derive(Debug, Clone, Copy)]
pub struct Pair<'a> {
    pub reach: &'a [f64],
    pub x: &'a [f64],
}

/// Writes outer products to a band without margins, or adds them.
pub struct Outer<'a> {
    pub pairs: [Pair<'a>; PAIRS],
    pub width: usize,
    pub add: bool,
    pub band: &'a mut [f64],
}

impl Kernel<f64> for Outer<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { pairs, width, add, band } = self;
        let places = pairs[0].x.len();
        for (i, column) in band.chunks_exact_mut(width).enumerate() {
            let [first, second] = [pairs[0].reach, pairs[1].reach];
            let (at, column) = (places - 1 - i, lanes_mut::<f64>(column));
            let first = &lanes::<f64>(&first[at..][..width])[..column.len()];
            let second = &lanes::<f64>(&second[at..][..width])[..column.len()];
            let factors = [isa.splat(pairs[0].x[i]), isa.splat(pairs[1].x[i])];
            for v in 0..column.len() {
                let begun = if add { isa.load(&column[v]) } else { isa.splat(0.0) };
                let sum = isa.mul_add(isa.load(&first[v]), factors[0], begun);
                isa.store(&mut column[v], isa.mul_add(isa.load(&second[v]), factors[1], sum));
            }
        }
    }
}

/// One way back along the recurrence.
pub struct Backward<'a, 'b> {
    pub operator: Band<'a>,
    pub psi: &'a Taps,
    /// Gradients in ψ_0 to ψ_{N−1}: outer products, and a band without margins.
    pub pairs: [Pair<'a>; PAIRS],
    pub band: Option<&'a [f64]>,
    /// The gradient in ψ_N, and what there is in ψ_{N−1} instead of the band.
    pub last: &'a [f64],
    pub before_last: Option<&'a [f64]>,
    pub steps: usize,
    pub gradient: &'a mut BandGradient<'b>,
    /// To which the product of Ψᵀ with the reach of the second pair is added, N numbers.
    pub generator: &'a mut [f64],
    /// Scratch, of [`Backward::scratch_len`]. First in it is left the gradient in the last ψ over its entry.
    pub rows: &'a mut [f64],
}

/// Registers of a row that are led back together, so that all of them are kept.
pub const TOGETHER: usize = 6;

/// Sums for each row: its products with ψ_i, ψ_{i−1} and ψ_{i−2}, and that of ψ_i with the reach of the second pair.
const SUMS: usize = 4;

impl Backward<'_, '_> {
    pub fn scratch_len(order: usize, width: usize) -> usize {
        width + LANES * (order + 1)
    }
}

impl Kernel<f64> for Backward<'_, '_> {
    /// The highest registers of all rows come first: others depend on what is ahead of them.
    #[inline(always)]
    fn run<I: Isa<f64>>(mut self, isa: I) {
        let mut end = self.psi.width() / LANES;
        while end > 0 {
            let count = end.div_ceil(end.div_ceil(TOGETHER));
            end -= count;
            match (self.band, count) {
                (None, 1) => self.rows::<I, 1, false>(isa, end),
                (None, 2) => self.rows::<I, 2, false>(isa, end),
                (None, 3) => self.rows::<I, 3, false>(isa, end),
                (None, 4) => self.rows::<I, 4, false>(isa, end),
                (None, 5) => self.rows::<I, 5, false>(isa, end),
                (None, _) => self.rows::<I, TOGETHER, false>(isa, end),
                (_, 1) => self.rows::<I, 1, true>(isa, end),
                (_, 2) => self.rows::<I, 2, true>(isa, end),
                (_, 3) => self.rows::<I, 3, true>(isa, end),
                (_, 4) => self.rows::<I, 4, true>(isa, end),
                (_, 5) => self.rows::<I, 5, true>(isa, end),
                (_, _) => self.rows::<I, TOGETHER, true>(isa, end),
            }
        }
    }
}

impl<'a> Backward<'a, '_> {
    /// R registers of each row, from one on.
    #[inline(always)]
    fn rows<I: Isa<f64>, const R: usize, const BAND: bool>(&mut self, isa: I, at: usize) {
        let order = self.operator.lower.len();
        let zero = isa.splat(0.0);
        let mut state = State { next: [zero; R], middle: [zero; R], ahead: zero };
        let last = order + 1 - self.steps;
        let mut i = order;
        while i >= last {
            if i >= last + GROUP && i < order && i % GROUP == GROUP - 1 && self.before_last.is_none() {
                self.group::<I, R, BAND>(isa, i + 1 - GROUP, at, &mut state);
                i -= GROUP;
            } else {
                self.single::<I, R>(isa, i, at, &mut state);
                i -= 1;
            }
        }
        for (v, row) in lanes_mut::<f64>(&mut self.rows[at * LANES..][..R * LANES]).iter_mut().enumerate() {
            isa.store(row, state.next[v]);
        }
    }

    /// Where the first registers of rows are left for those below them, if there are any.
    #[inline(always)]
    fn ahead(&mut self, i: usize, rows: usize) -> Option<&mut [f64]> {
        let width = self.psi.width();
        (width > TOGETHER * LANES).then(|| &mut self.rows[width + i * LANES..][..rows * LANES])
    }

    /// One row, at the ends or around the cycle.
    #[inline(always)]
    fn single<I: Isa<f64>, const R: usize>(&mut self, isa: I, i: usize, at: usize, state: &mut State<I::V, R>) {
        let (order, places, width) = (self.operator.lower.len(), self.pairs[0].x.len(), self.psi.width());
        let (first, count) = (at * LANES, R * LANES);
        let (entry, window) = if i == order { (0, 0) } else { (i, places - 1 - i) };
        let base = match (order - i, self.before_last) {
            (0, _) => Some(self.last),
            (1, Some(before_last)) => Some(before_last),
            _ => self.band.map(|band| &band[i * width..]),
        };
        let outer = i + usize::from(self.before_last.is_some()) < order;
        let over = self.operator.lower[entry].recip();
        let [first_pair, second_pair] = self.pairs;
        let share = if outer { over } else { 0.0 };
        let row = Row {
            base: base.map(|base| lanes::<f64>(&base[first..][..count])),
            windows: [
                lanes::<f64>(&first_pair.reach[window + first..][..count]),
                lanes::<f64>(&second_pair.reach[window + first..][..count]),
            ],
            factors: [isa.splat(share * first_pair.x[entry]), isa.splat(share * second_pair.x[entry])],
            diagonal: isa.splat(over * self.operator.diagonal[entry]),
            upper: isa.splat(over * self.operator.upper[entry]),
            over: isa.splat(over),
            psi: self.psi.around(i, first, count),
        };
        let sums = state.step(isa, &row);
        if let Some(ahead) = self.ahead(i, 1) {
            let ahead = &mut lanes_mut::<f64>(ahead)[0];
            if (at + R) * LANES < width {
                state.ahead = isa.load(ahead);
            }
            isa.store(ahead, state.next[0]);
        }
        let mut lane = [0.0; LANES];
        isa.store(&mut lane, horizontal::<I>(isa, sums));
        let BandGradient { lower, diagonal, upper } = &mut *self.gradient;
        lower[i % order] -= lane[0];
        diagonal[i - 1] -= lane[1];
        upper[(i + order - 2) % order] -= lane[2];
        if i < order {
            self.generator[i] += lane[3];
        }
    }

    /// Four rows from row i on, that are not at an end. There are no branches between their steps, across which values would be kept.
    #[inline(always)]
    fn group<I: Isa<f64>, const R: usize, const BAND: bool>(
        &mut self,
        isa: I,
        i: usize,
        at: usize,
        state: &mut State<I::V, R>,
    ) {
        let (places, first, width, count) = (self.pairs[0].x.len(), at * LANES, self.psi.width(), R * LANES);
        let Band { lower, diagonal, upper } = self.operator;
        let [first_pair, second_pair] = self.pairs;
        let (over, window) = (isa.div(isa.splat(1.0), load(isa, &lower[i..])), places - GROUP - i + first);
        let mut factors = [[0.0; GROUP]; 5];
        isa.store(&mut factors[0], isa.mul(load(isa, &first_pair.x[i..]), over));
        isa.store(&mut factors[1], isa.mul(load(isa, &second_pair.x[i..]), over));
        isa.store(&mut factors[2], isa.mul(load(isa, &diagonal[i..]), over));
        isa.store(&mut factors[3], isa.mul(load(isa, &upper[i..]), over));
        isa.store(&mut factors[4], over);
        let mut base = [&[][..]; GROUP];
        if let (true, Some(band)) = (BAND, self.band) {
            for q in 0..GROUP {
                base[q] = lanes::<f64>(&band[(i + q) * width + first..][..count]);
            }
        }
        let group = Group {
            factors,
            windows: [
                &first_pair.reach[window..][..count + GROUP - 1],
                &second_pair.reach[window..][..count + GROUP - 1],
            ],
            psi: self.psi.behind(i, first, count),
            base,
        };
        let mut aheads = [[0.0; LANES]; GROUP];
        if let (true, Some(ahead)) = ((at + R) * LANES < width, self.ahead(i, GROUP)) {
            for (to, from) in aheads.iter_mut().zip(lanes::<f64>(ahead)) {
                *to = *from;
            }
        }
        let BandGradient { lower, diagonal, upper } = &mut *self.gradient;
        let lower = &mut lanes_mut::<f64>(&mut lower[i..][..GROUP])[0];
        let diagonal = &mut lanes_mut::<f64>(&mut diagonal[i - 1..][..GROUP])[0];
        let upper = &mut lanes_mut::<f64>(&mut upper[i - 2..][..GROUP])[0];
        let generator = &mut lanes_mut::<f64>(&mut self.generator[i..][..GROUP])[0];

        let mut firsts = [isa.splat(0.0); GROUP];
        let fourth = state.step(isa, &group.row::<I, R, 3, BAND>(isa));
        (firsts[3], state.ahead) = (state.next[0], isa.load(&aheads[3]));
        let third = state.step(isa, &group.row::<I, R, 2, BAND>(isa));
        (firsts[2], state.ahead) = (state.next[0], isa.load(&aheads[2]));
        let second = state.step(isa, &group.row::<I, R, 1, BAND>(isa));
        (firsts[1], state.ahead) = (state.next[0], isa.load(&aheads[1]));
        let first = state.step(isa, &group.row::<I, R, 0, BAND>(isa));
        (firsts[0], state.ahead) = (state.next[0], isa.load(&aheads[0]));
        let mut totals = [isa.splat(0.0); SUMS];
        for s in 0..SUMS {
            totals[s] = horizontal::<I>(isa, [first[s], second[s], third[s], fourth[s]]);
        }
        let sums = [
            isa.sub(isa.load(lower), totals[0]),
            isa.sub(isa.load(diagonal), totals[1]),
            isa.sub(isa.load(upper), totals[2]),
            isa.add(isa.load(generator), totals[3]),
        ];
        isa.store(lower, sums[0]);
        isa.store(diagonal, sums[1]);
        isa.store(upper, sums[2]);
        isa.store(generator, sums[3]);
        if let Some(ahead) = self.ahead(i, GROUP) {
            for (to, first) in lanes_mut::<f64>(ahead).iter_mut().zip(firsts) {
                isa.store(to, first);
            }
        }
    }
}

/// What four rows take up together.
struct Group<'a> {
    /// The numbers of both pairs, the diagonal and the one above it, over those below the diagonal; and one over these.
    factors: [[f64; GROUP]; 5],
    windows: [&'a [f64]; PAIRS],
    /// Columns i − 2 to i + 3, from two numbers before the first of the group's on.
    psi: [&'a [f64]; GROUP + 2],
    base: [&'a [Lane]; GROUP],
}

impl<'a> Group<'a> {
    /// Row Q of them.
    #[inline(always)]
    fn row<I: Isa<f64>, const R: usize, const Q: usize, const BAND: bool>(&self, isa: I) -> Row<'a, I::V> {
        let Group { factors, windows, psi, base } = self;
        let (count, window) = (R * LANES, GROUP - 1 - Q);
        let (own, before) = (GROUP + 1 - Q, usize::from(Q == 0));
        Row {
            base: if BAND { Some(&base[Q][..R]) } else { None },
            windows: [lanes::<f64>(&windows[0][window..][..count]), lanes::<f64>(&windows[1][window..][..count])],
            factors: [isa.splat(factors[0][Q]), isa.splat(factors[1][Q])],
            diagonal: isa.splat(factors[2][Q]),
            upper: isa.splat(factors[3][Q]),
            over: isa.splat(factors[4][Q]),
            psi: [
                lanes::<f64>(&psi[Q + 2][own..][..count]),
                lanes::<f64>(&psi[Q + 1][if Q >= 1 { own } else { before }..][..count]),
                lanes::<f64>(&psi[Q][if Q >= 2 { own } else { before }..][..count]),
            ],
        }
    }
}

#[inline(always)]
fn load<I: Isa<f64>>(isa: I, x: &[f64]) -> I::V {
    isa.load(&lanes::<f64>(&x[..LANES])[0])
}

/// What the gradient in ψ_i comes from, and what it leads to.
struct Row<'a, V> {
    base: Option<&'a [Lane]>,
    windows: [&'a [Lane]; PAIRS],
    /// These three are over the entry below the diagonal.
    factors: [V; PAIRS],
    diagonal: V,
    upper: V,
    over: V,
    /// ψ_i, ψ_{i−1} one behind, and ψ_{i−2} two behind.
    psi: [&'a [Lane]; 3],
}

/// The gradient in the last ψ over its entry, with what is ahead of it; and that in the one before, by two numbers ahead.
struct State<V, const R: usize> {
    next: [V; R],
    middle: [V; R],
    ahead: V,
}

impl<V: Copy, const R: usize> State<V, R> {
    /// Leads a row back, and returns its sums by lanes.
    #[inline(always)]
    fn step<I: Isa<f64, V = V>>(&mut self, isa: I, row: &Row<'_, V>) -> [V; SUMS] {
        let Self { next, middle, ahead } = self;
        let mut sums = [isa.splat(0.0); SUMS];
        for v in 0..R {
            let (here, ahead) = (next[v], if v + 1 < R { next[v + 1] } else { *ahead });
            let (second, psi) = (isa.load(&row.windows[1][v]), isa.load(&row.psi[0][v]));
            let sum = isa.mul(isa.load(&row.windows[0][v]), row.factors[0]);
            let sum = isa.mul_add(second, row.factors[1], sum);
            let sum = isa.neg_mul_add(row.upper, middle[v], sum);
            let sum = match row.base {
                Some(base) => isa.mul_add(row.over, isa.load(&base[v]), sum),
                None => sum,
            };
            let sum = isa.mul_add(row.over, here, sum);
            // Last comes what takes longest to be there.
            let e = isa.neg_mul_add(row.diagonal, isa.skip::<1>(here, ahead), sum);
            (next[v], middle[v]) = (e, isa.skip::<2>(here, ahead));
            sums[0] = isa.mul_add(e, psi, sums[0]);
            sums[1] = isa.mul_add(e, isa.load(&row.psi[1][v]), sums[1]);
            sums[2] = isa.mul_add(e, isa.load(&row.psi[2][v]), sums[2]);
            sums[3] = isa.mul_add(second, psi, sums[3]);
        }
        sums
    }
}
