//! The recurrence for ψ backwards, from ψ_N to ψ_1.

use super::taps::{Taps, UNIT, horizontal};
use crate::ldr::krylov::band::{Band, BandGradient};
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

type Lane = <f64 as Kernels>::Lane;

/// Outer products that are added to a band at once.
pub const PAIRS: usize = 2;

/// Rows whose contributions are added up together.
const ROWS: usize = f64::LANES;

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
            let at = places - 1 - i;
            let column = lanes_mut::<f64>(column);
            let (first, second) = window(&pairs, at, column.len());
            let factors = [isa.splat(pairs[0].x[i]), isa.splat(pairs[1].x[i])];
            for v in 0..column.len() {
                let begun = if add { isa.load(&column[v]) } else { isa.splat(0.0) };
                let sum = isa.mul_add(isa.load(&first[v]), factors[0], begun);
                isa.store(&mut column[v], isa.mul_add(isa.load(&second[v]), factors[1], sum));
            }
        }
    }
}

#[inline(always)]
fn window<'a>(pairs: &[Pair<'a>; PAIRS], at: usize, count: usize) -> (&'a [Lane], &'a [Lane]) {
    let [first, second] = pairs;
    let width = count * ROWS;
    (&lanes::<f64>(&first.reach[at..][..width])[..count], &lanes::<f64>(&second.reach[at..][..width])[..count])
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
    /// Scratch, of [`Backward::scratch_len`]. First in it is left the gradient in the last ψ over its entry, and zeros.
    pub rows: &'a mut [f64],
}

impl Backward<'_, '_> {
    pub fn scratch_len(width: usize) -> usize {
        3 * (width + UNIT)
    }
}

impl Kernel<f64> for Backward<'_, '_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        match self.psi.width() / ROWS {
            1 => self.rows::<I, 1>(isa),
            2 => self.rows::<I, 2>(isa),
            3 => self.rows::<I, 3>(isa),
            4 => self.rows::<I, 4>(isa),
            5 => self.rows::<I, 5>(isa),
            6 => self.rows::<I, 6>(isa),
            8 => self.rows::<I, 8>(isa),
            10 => self.rows::<I, 10>(isa),
            _ => self.long_rows(isa),
        }
    }
}

impl<'a> Backward<'a, '_> {
    /// The rows as registers, or what the compiler makes of so many.
    #[inline(always)]
    fn rows<I: Isa<f64>, const R: usize>(self, isa: I) {
        let zero = isa.splat(0.0);
        let [mut next, mut after] = [[zero; R]; 2];
        let mut sums = Sums::new(isa, self.operator.lower.len());
        for step in 0..self.steps {
            let Row { base, window: (first, second), factors, diagonal, upper, over, psi } = self.row(isa, step, R);
            let mut e = [zero; R];
            if let Some(base) = base {
                for v in 0..R {
                    e[v] = isa.load(&base[v]);
                }
            }
            let mut totals = [zero; 3];
            for v in 0..R {
                let [next_ahead, after_ahead] = if v + 1 < R { [next[v + 1], after[v + 1]] } else { [zero; 2] };
                let sum = isa.mul_add(isa.load(&first[v]), factors[0], e[v]);
                let sum = isa.mul_add(isa.load(&second[v]), factors[1], sum);
                let sum = isa.neg_mul_add(upper, isa.skip::<2>(after[v], after_ahead), sum);
                let sum = isa.neg_mul_add(diagonal, isa.skip::<1>(next[v], next_ahead), sum);
                e[v] = isa.mul(isa.add(sum, next[v]), over);
                for d in 0..3 {
                    totals[d] = isa.mul_add(e[v], isa.load(&psi[d][v]), totals[d]);
                }
            }
            (next, after) = (e, next);
            sums.add(isa, step, totals, self.gradient);
        }
        sums.flush(isa, self.steps, self.gradient);
        for (v, row) in lanes_mut::<f64>(&mut self.rows[..R * ROWS]).iter_mut().enumerate() {
            isa.store(row, next[v]);
        }
        self.rows[R * ROWS..][..UNIT].fill(0.0);
    }

    /// The same for any number of registers, in memory.
    #[inline(always)]
    fn long_rows<I: Isa<f64>>(self, isa: I) {
        let count = self.psi.width() / ROWS;
        let stride = count + UNIT / ROWS;
        let mut sums = Sums::new(isa, self.operator.lower.len());
        self.rows[..3 * stride * ROWS].fill(0.0);
        for step in 0..self.steps {
            let Row { base, window: (first, second), factors, diagonal, upper, over, psi } = self.row(isa, step, count);
            // This row is the first one, and those before it follow.
            self.rows.copy_within(..2 * stride * ROWS, stride * ROWS);
            let (to, rest) = lanes_mut::<f64>(&mut self.rows[..3 * stride * ROWS]).split_at_mut(stride);
            let (next, after) = rest.split_at(stride);
            let (next, after, to) = (&next[..=count], &after[..=count], &mut to[..count]);
            let mut totals = [isa.splat(0.0); 3];
            for v in 0..count {
                let begun = base.map_or(isa.splat(0.0), |base| isa.load(&base[v]));
                let sum = isa.mul_add(isa.load(&first[v]), factors[0], begun);
                let sum = isa.mul_add(isa.load(&second[v]), factors[1], sum);
                let ahead = isa.skip::<2>(isa.load(&after[v]), isa.load(&after[v + 1]));
                let sum = isa.neg_mul_add(upper, ahead, sum);
                let here = isa.load(&next[v]);
                let sum = isa.neg_mul_add(diagonal, isa.skip::<1>(here, isa.load(&next[v + 1])), sum);
                let e = isa.mul(isa.add(sum, here), over);
                isa.store(&mut to[v], e);
                for d in 0..3 {
                    totals[d] = isa.mul_add(e, isa.load(&psi[d][v]), totals[d]);
                }
            }
            sums.add(isa, step, totals, self.gradient);
        }
        sums.flush(isa, self.steps, self.gradient);
    }

    /// What a step takes up, of so many registers.
    #[inline(always)]
    fn row<I: Isa<f64>>(&self, isa: I, step: usize, count: usize) -> Row<'a, I::V> {
        let (i, width) = (self.operator.lower.len() - step, count * ROWS);
        let (at, x) = if step == 0 { (0, 0) } else { (i, self.pairs[0].x.len() - 1 - i) };
        let base = match (step, self.before_last) {
            (0, _) => Some(self.last),
            (1, Some(before_last)) => Some(before_last),
            _ => self.band.map(|band| &band[i * width..]),
        };
        let outer = step > usize::from(self.before_last.is_some());
        let factor = |pair: Pair<'_>| isa.splat(if outer { pair.x[at] } else { 0.0 });
        Row {
            base: base.map(|base| &lanes::<f64>(&base[..width])[..count]),
            window: window(&self.pairs, x, count),
            factors: [factor(self.pairs[0]), factor(self.pairs[1])],
            diagonal: isa.splat(self.operator.diagonal[at]),
            upper: isa.splat(self.operator.upper[at]),
            over: isa.splat(self.operator.lower[at].recip()),
            psi: self.psi.around(i, count),
        }
    }
}

/// What the gradient in ψ_i comes from, and what it leads to.
struct Row<'a, V> {
    base: Option<&'a [Lane]>,
    window: (&'a [Lane], &'a [Lane]),
    factors: [V; PAIRS],
    diagonal: V,
    upper: V,
    over: V,
    /// ψ_i, ψ_{i−1} one behind, and ψ_{i−2} two behind.
    psi: [&'a [Lane]; 3],
}

/// The gradients in the entries of rows, until there are enough of them for a register.
struct Sums<V> {
    order: usize,
    waiting: [[V; ROWS]; 3],
}

impl<V: Copy> Sums<V> {
    #[inline(always)]
    fn new<I: Isa<f64, V = V>>(isa: I, order: usize) -> Self {
        Self { order, waiting: [[isa.splat(0.0); ROWS]; 3] }
    }

    /// Takes the products of a row with ψ_i, ψ_{i−1} and ψ_{i−2}.
    #[inline(always)]
    fn add<I: Isa<f64, V = V>>(&mut self, isa: I, step: usize, totals: [V; 3], gradient: &mut BandGradient<'_>) {
        for d in 0..3 {
            self.waiting[d][ROWS - 1 - step % ROWS] = totals[d];
        }
        if step % ROWS < ROWS - 1 {
            return;
        }
        let first = self.order - step;
        if step < ROWS || first < 3 {
            return self.flush_to(isa, first, 0, gradient);
        }
        for (d, to) in [&mut *gradient.lower, &mut *gradient.diagonal, &mut *gradient.upper].into_iter().enumerate() {
            let to = &mut lanes_mut::<f64>(&mut to[first - d..][..ROWS])[0];
            let sum = isa.sub(isa.load(to), horizontal::<I>(isa, self.waiting[d]));
            isa.store(to, sum);
        }
    }

    /// Takes what is left after so many steps.
    #[inline(always)]
    fn flush<I: Isa<f64, V = V>>(&mut self, isa: I, steps: usize, gradient: &mut BandGradient<'_>) {
        let left = steps % ROWS;
        if left > 0 {
            self.flush_to(isa, self.order + 1 - steps, ROWS - left, gradient);
        }
    }

    /// Subtracts what waits, from a register on, from the gradients in the rows from `first` on; they go around the cycle.
    fn flush_to<I: Isa<f64, V = V>>(&self, isa: I, first: usize, skipped: usize, gradient: &mut BandGradient<'_>) {
        let order = self.order;
        for (d, to) in [&mut *gradient.lower, &mut *gradient.diagonal, &mut *gradient.upper].into_iter().enumerate() {
            let mut lane = [0.0; ROWS];
            isa.store(&mut lane, horizontal::<I>(isa, self.waiting[d]));
            for (i, x) in (first..).zip(&lane[skipped..]) {
                to[(i + order - d) % order] -= x;
            }
        }
    }
}
