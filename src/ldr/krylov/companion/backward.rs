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
    /// Scratch, of [`Backward::scratch_len`].
    pub rows: &'a mut [f64],
}

impl Backward<'_, '_> {
    pub fn scratch_len(width: usize) -> usize {
        4 * (width + UNIT)
    }

    /// The gradient in the ψ that the last of so many steps came to, over its entry, and zeros.
    pub fn last_row(width: usize, steps: usize, rows: &[f64]) -> &[f64] {
        &rows[[0, 2, 1][(steps - 1) % 3] * (width + UNIT)..][..width + UNIT]
    }
}

impl Kernel<f64> for Backward<'_, '_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { operator, psi, pairs, band, last, before_last, steps, gradient, rows } = self;
        let (order, places, width) = (operator.lower.len(), pairs[0].x.len(), psi.width());
        let count = width / ROWS;
        let stride = width + UNIT;
        let rows = &mut rows[..4 * stride];
        rows.fill(0.0);
        let (rows, zeros) = rows.split_at_mut(3 * stride);
        let (e0, rest) = rows.split_at_mut(stride);
        let (e1, e2) = rest.split_at_mut(stride);
        let (mut e0, mut e1, mut e2) = (e0, e1, e2);
        let zeros = lanes::<f64>(zeros);
        let mut sums = [[isa.splat(0.0); ROWS]; 3];
        for step in 0..steps {
            let i = order - step;
            let at = if i < order { i } else { 0 };
            let over = isa.splat(operator.lower[at].recip());
            let [diagonal, upper] = [isa.splat(operator.diagonal[at]), isa.splat(operator.upper[at])];
            let (base, factors, window_at) = match (step, before_last, band) {
                (0, _, _) => (&lanes::<f64>(last)[..count], [0.0; PAIRS], 0),
                (1, Some(before_last), _) => (&lanes::<f64>(before_last)[..count], [0.0; PAIRS], 0),
                (_, _, Some(band)) => (
                    &lanes::<f64>(&band[i * width..][..width])[..count],
                    [pairs[0].x[i], pairs[1].x[i]],
                    places - 1 - i,
                ),
                _ => (&zeros[..count], [pairs[0].x[i], pairs[1].x[i]], places - 1 - i),
            };
            let factors = [isa.splat(factors[0]), isa.splat(factors[1])];
            let (first, second) = window(&pairs, window_at, count);
            let start = psi.start(i);
            let here = &lanes::<f64>(&psi.numbers()[start..][..width])[..count];
            let behind = &lanes::<f64>(&psi.numbers()[start - stride - 1..][..width])[..count];
            let before = &lanes::<f64>(&psi.numbers()[start - 2 * stride - 2..][..width])[..count];
            let next = &lanes::<f64>(&e1[..width])[..count];
            let next_ahead = &lanes::<f64>(&e1[1..][..width])[..count];
            let after_ahead = &lanes::<f64>(&e2[2..][..width])[..count];
            let to = &mut lanes_mut::<f64>(&mut e0[..width])[..count];
            let mut totals = [isa.splat(0.0); 3];
            for v in 0..count {
                let sum = isa.add(isa.load(&base[v]), isa.load(&next[v]));
                let sum = isa.mul_add(isa.load(&first[v]), factors[0], sum);
                let sum = isa.mul_add(isa.load(&second[v]), factors[1], sum);
                let sum = isa.neg_mul_add(diagonal, isa.load(&next_ahead[v]), sum);
                let sum = isa.neg_mul_add(upper, isa.load(&after_ahead[v]), sum);
                let e = isa.mul(sum, over);
                isa.store(&mut to[v], e);
                totals[0] = isa.mul_add(e, isa.load(&here[v]), totals[0]);
                totals[1] = isa.mul_add(e, isa.load(&behind[v]), totals[1]);
                totals[2] = isa.mul_add(e, isa.load(&before[v]), totals[2]);
            }
            for d in 0..3 {
                sums[d][step % ROWS] = totals[d];
            }
            if step % ROWS == ROWS - 1 || step + 1 == steps {
                let mut lanes = [[0.0; ROWS]; 3];
                for d in 0..3 {
                    isa.store(&mut lanes[d], horizontal::<I>(isa, sums[d]));
                }
                for r in 0..=step % ROWS {
                    let i = order - (step - step % ROWS + r);
                    gradient.lower[if i == order { 0 } else { i }] -= lanes[0][r];
                    gradient.diagonal[i - 1] -= lanes[1][r];
                    gradient.upper[if i == 1 { order - 1 } else { i - 2 }] -= lanes[2][r];
                }
            }
            (e0, e1, e2) = (e2, e0, e1);
        }
    }
}
