//! The gradient in the entries of an operator, from the equation that the gradient in all entries of a matrix satisfies.
//!
//! Let Z be the gradient of `⟨ẏ, y⟩` in the N² entries of A, in its band or not, for `y = Σ_jk t_jk A^k g_j`; and ġ that in the generators. In
//! `Z = Σ_jab t_{j,a+b+1} (Aᵀ)^a ẏ (A^b g_j)ᵀ` one power more before and one power more behind differ by the ends of the sums only, so that
//!
//! `Aᵀ Z − Z Aᵀ = Σ_j ġ_j g_jᵀ − ẏ yᵀ`:
//!
//! the gradient is a matrix of low displacement rank itself. With ones below the diagonal ([`Scaled`]) this is, for the column before column i,
//!
//! `Z_{j,i−1} = Z_{j+1,i} + (d_j − d_i) Z_{j,i} + u_{j−1} Z_{j−1,i} − u_i Z_{j,i+1} + ẏ_j y_i − Σ ġ_j g_i`.
//!
//! A diagonal `i − 1 − j` of Z comes from itself and from the two above it, which count the less the further they are away: columns follow
//! from each other in a band, around the cycle, as wide as diagonals have an influence on those that are asked for ([`super::influence`]).

use super::scaled::Scaled;
use crate::ldr::krylov::band::BandGradient;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

type Lane = <f64 as Kernels>::Lane;

/// Numbers in a register.
const LANES: usize = f64::LANES;

/// Columns that are taken up together.
const GROUP: usize = LANES;

/// Diagonals of the gradient that are asked for, the lowest ones.
pub const ASKED: usize = 3;

/// Outer products that are added to a band at once.
pub const PAIRS: usize = 2;

/// Registers of a column that are led on together, so that all of them are kept.
pub const TOGETHER: usize = 4;

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

/// Columns of Z from the last one on, down to the first and around the cycle; what they have of the band of A is written to a gradient.
pub struct Columns<'a, 'b> {
    pub scaled: &'a Scaled,
    /// What there is on the right: outer products, and a band without margins.
    pub pairs: [Pair<'a>; PAIRS],
    pub band: Option<&'a [f64]>,
    /// Column N − 1, as many diagonals as are led on, as if column N were zero.
    pub last: &'a [f64],
    /// Columns, whole groups, after which nothing is left of that error. They are computed again after a full turn.
    pub before: usize,
    pub gradient: &'a mut BandGradient<'b>,
    /// Scratch, of [`Columns::scratch_len`].
    pub scratch: &'a mut [f64],
}

impl Columns<'_, '_> {
    pub fn scratch_len(order: usize, before: usize) -> usize {
        LANES * (order + before)
    }
}

impl Kernel<f64> for Columns<'_, '_> {
    /// The highest diagonals come first: others depend on what is ahead of them.
    #[inline(always)]
    fn run<I: Isa<f64>>(mut self, isa: I) {
        let mut end = self.last.len() / LANES;
        while end > 0 {
            let count = end.div_ceil(end.div_ceil(TOGETHER));
            end -= count;
            match count {
                1 => self.registers::<I, 1>(isa, end),
                2 => self.registers::<I, 2>(isa, end),
                3 => self.registers::<I, 3>(isa, end),
                _ => self.registers::<I, TOGETHER>(isa, end),
            }
        }
    }
}

/// Where a walk along the columns is.
#[derive(Clone, Copy)]
struct Step {
    /// How many columns there were.
    number: usize,
    /// The column that the next one comes from.
    i: usize,
}

impl Columns<'_, '_> {
    /// R registers of each column, from one on.
    #[inline(always)]
    fn registers<I: Isa<f64>, const R: usize>(&mut self, isa: I, at: usize) {
        let is_highest = (at + R) * LANES == self.last.len();
        match (self.band.is_some(), is_highest) {
            (false, false) => self.diagonals::<I, R, false, false>(isa, at),
            (false, true) => self.diagonals::<I, R, false, true>(isa, at),
            (true, false) => self.diagonals::<I, R, true, false>(isa, at),
            (true, true) => self.diagonals::<I, R, true, true>(isa, at),
        }
    }

    #[inline(always)]
    fn diagonals<I: Isa<f64>, const R: usize, const BAND: bool, const HIGHEST: bool>(&mut self, isa: I, at: usize) {
        let order = self.scaled.order();
        let zero = isa.splat(0.0);
        let mut state = State { here: [zero; R], behind: [zero; R], ahead: zero };
        let last = lanes::<f64>(&self.last[at * LANES..]);
        for v in 0..R {
            state.here[v] = isa.load(&last[v]);
        }
        if last.len() > R {
            state.ahead = isa.load(&last[R]);
        }
        let (mut step, end) = (Step { number: 0, i: order - 1 }, order + self.before);
        while step.number < end {
            // The gradient of a group lies where none of its entries is around the cycle.
            let count = if step.i > GROUP && step.number + GROUP <= end { GROUP } else { 1 };
            match count {
                1 => self.single::<I, R, HIGHEST>(isa, step, at, &mut state),
                _ => self.group::<I, R, BAND, HIGHEST>(isa, step, at, &mut state),
            }
            step.number += count;
            step.i = if step.i >= count { step.i - count } else { order - 1 };
        }
    }

    /// One column, where the band of A is around the cycle.
    #[inline(always)]
    fn single<I: Isa<f64>, const R: usize, const HIGHEST: bool>(
        &mut self,
        isa: I,
        step: Step,
        at: usize,
        state: &mut State<I::V, R>,
    ) {
        let Step { number, i } = step;
        let (width, first, count) = (self.last.len(), at * LANES, R * LANES);
        let window = self.pairs[0].x.len() - 1 - i + first;
        let [first_pair, second_pair] = self.pairs;
        let row = Row {
            base: self.band.map(|band| lanes::<f64>(&band[i * width + first..][..count])),
            pairs: [first_pair.reach, second_pair.reach].map(|reach| lanes::<f64>(&reach[window..][..count])),
            operator: self.scaled.reaches().map(|reach| lanes::<f64>(&reach[window..][..count])),
            factors: [isa.splat(first_pair.x[i]), isa.splat(second_pair.x[i])],
            diagonal: isa.splat(self.scaled.diagonal[i]),
            upper: isa.splat(self.scaled.upper[i]),
        };
        state.step(isa, &row);
        let lane = &mut lanes_mut::<f64>(&mut self.scratch[number * LANES..][..LANES])[0];
        state.hand_on::<I, HIGHEST>(isa, lane);
        if at > 0 || number < self.before {
            return;
        }
        let (order, unscaled) = (self.scaled.order(), &self.scaled.lower);
        let BandGradient { lower, diagonal, upper } = &mut *self.gradient;
        let [before, two_before] = [1, 2].map(|back| (i + order - back) % order);
        lower[i] = lane[0] * self.scaled.over[i];
        diagonal[before] = lane[1];
        upper[two_before] = lane[2] * unscaled[before];
    }

    /// Four columns. There are no branches between their steps, across which values would be kept.
    #[inline(always)]
    fn group<I: Isa<f64>, const R: usize, const BAND: bool, const HIGHEST: bool>(
        &mut self,
        isa: I,
        step: Step,
        at: usize,
        state: &mut State<I::V, R>,
    ) {
        let Step { number, i } = step;
        let (width, first, count) = (self.last.len(), at * LANES, R * LANES);
        let (i, window) = (i + 1 - GROUP, self.pairs[0].x.len() - 1 - i + first);
        let [first_pair, second_pair] = self.pairs;
        let mut base = [&[][..]; GROUP];
        if let (true, Some(band)) = (BAND, self.band) {
            for q in 0..GROUP {
                base[q] = lanes::<f64>(&band[(i + q) * width + first..][..count]);
            }
        }
        let group = Group {
            factors: [&first_pair.x[i..][..GROUP], &second_pair.x[i..][..GROUP]],
            diagonal: &self.scaled.diagonal[i..][..GROUP],
            upper: &self.scaled.upper[i..][..GROUP],
            pairs: [first_pair.reach, second_pair.reach].map(|reach| &reach[window..][..count + GROUP - 1]),
            operator: self.scaled.reaches().map(|reach| &reach[window..][..count + GROUP - 1]),
            base,
        };
        let firsts = &mut lanes_mut::<f64>(&mut self.scratch[number * LANES..][..GROUP * LANES])[..GROUP];
        state.step(isa, &group.row::<I, R, 3, BAND>(isa));
        state.hand_on::<I, HIGHEST>(isa, &mut firsts[0]);
        state.step(isa, &group.row::<I, R, 2, BAND>(isa));
        state.hand_on::<I, HIGHEST>(isa, &mut firsts[1]);
        state.step(isa, &group.row::<I, R, 1, BAND>(isa));
        state.hand_on::<I, HIGHEST>(isa, &mut firsts[2]);
        state.step(isa, &group.row::<I, R, 0, BAND>(isa));
        state.hand_on::<I, HIGHEST>(isa, &mut firsts[3]);
        if at > 0 || number < self.before {
            return;
        }
        let mut tile = [3, 2, 1, 0].map(|q| isa.load(&firsts[q]));
        isa.transpose(&mut tile);
        let over = isa.load(&lanes::<f64>(&self.scaled.over[i..][..GROUP])[0]);
        let before = isa.load(&lanes::<f64>(&self.scaled.lower[i - 1..][..GROUP])[0]);
        let BandGradient { lower, diagonal, upper } = &mut *self.gradient;
        let written =
            [(lower, i, isa.mul(tile[0], over)), (diagonal, i - 1, tile[1]), (upper, i - 2, isa.mul(tile[2], before))];
        for (to, at, v) in written {
            isa.store(&mut lanes_mut::<f64>(&mut to[at..][..LANES])[0], v);
        }
    }
}

/// What four columns take up together, those that they come from in ascending order.
struct Group<'a> {
    factors: [&'a [f64]; PAIRS],
    diagonal: &'a [f64],
    upper: &'a [f64],
    pairs: [&'a [f64]; PAIRS],
    operator: [&'a [f64]; 2],
    base: [&'a [Lane]; GROUP],
}

impl<'a> Group<'a> {
    /// What column Q of them takes up.
    #[inline(always)]
    fn row<I: Isa<f64>, const R: usize, const Q: usize, const BAND: bool>(&self, isa: I) -> Row<'a, I::V> {
        let window = GROUP - 1 - Q;
        let windows = |reach: &'a [f64]| lanes::<f64>(&reach[window..][..R * LANES]);
        Row {
            base: if BAND { Some(&self.base[Q][..R]) } else { None },
            pairs: [windows(self.pairs[0]), windows(self.pairs[1])],
            operator: [windows(self.operator[0]), windows(self.operator[1])],
            factors: [isa.splat(self.factors[0][Q]), isa.splat(self.factors[1][Q])],
            diagonal: isa.splat(self.diagonal[Q]),
            upper: isa.splat(self.upper[Q]),
        }
    }
}

/// What a column comes from, besides the two behind it.
struct Row<'a, V> {
    base: Option<&'a [Lane]>,
    pairs: [&'a [Lane]; PAIRS],
    /// `d_j` and `u_{j−1}`.
    operator: [&'a [Lane]; 2],
    factors: [V; PAIRS],
    diagonal: V,
    upper: V,
}

/// A column with what is ahead of it; and the one behind it, by two numbers ahead.
struct State<V, const R: usize> {
    here: [V; R],
    behind: [V; R],
    ahead: V,
}

impl<V: Copy, const R: usize> State<V, R> {
    /// Leaves the first register to the diagonals below, and takes up that of the diagonals above, if there are any.
    #[inline(always)]
    fn hand_on<I: Isa<f64, V = V>, const HIGHEST: bool>(&mut self, isa: I, first: &mut Lane) {
        if !HIGHEST {
            self.ahead = isa.load(first);
        }
        isa.store(first, self.here[0]);
    }

    /// Goes on to the next column.
    #[inline(always)]
    fn step<I: Isa<f64, V = V>>(&mut self, isa: I, row: &Row<'_, V>) {
        let Self { here, behind, ahead } = self;
        for v in 0..R {
            let (own, ahead) = (here[v], if v + 1 < R { here[v + 1] } else { *ahead });
            let two = isa.skip::<2>(own, ahead);
            let sum = isa.mul(isa.load(&row.pairs[0][v]), row.factors[0]);
            let sum = isa.mul_add(isa.load(&row.pairs[1][v]), row.factors[1], sum);
            let sum = match row.base {
                Some(base) => isa.add(isa.load(&base[v]), sum),
                None => sum,
            };
            let sum = isa.neg_mul_add(row.upper, behind[v], sum);
            let difference = isa.sub(isa.load(&row.operator[0][v]), row.diagonal);
            // Two short chains from this column to the next, rather than a long one.
            let sum = isa.mul_add(isa.load(&row.operator[1][v]), two, sum);
            let one = isa.mul_add(difference, isa.skip::<1>(own, ahead), own);
            (here[v], behind[v]) = (isa.add(one, sum), two);
        }
    }
}
