//! The gradient of a recurrence by fourth powers of the operator, for one vector in [`Segments`].
//!
//! A pass does four steps at once, `w ← A⁴ w + Σ_b t_b A^b g`, and the gradient of a product is taken in `A⁴` and the
//! `A^b g`, b < 4, as if they were parameters: `dual wᵀ` in nine diagonals and `t_b dual`, for the w and the dual that
//! a pass begins with. That is 13 multiply-adds for each place, where single steps would take 16, and a quarter of the
//! vectors. From there the chain rule leads to A and g, once for a batch. Diagonals are identified by their distance
//! from the main one, even if that goes around a short ring more than once: the chain rule then adds up those of the
//! same place.

use super::segments::{BEFORE, GROUP, Pairs, STEPS, Segments, pairs, rows, rows_mut};
use crate::matrix::take;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes};

const W: usize = f64::LANES;

type Lane = <f64 as Kernels>::Lane;

/// Diagonals of A, of its square and of its fourth power.
const BAND: usize = 3;
const SQUARE: usize = 5;
const FOURTH: usize = 9;

const _: () = assert!(STEPS == 4);

/// Generators that share a sweep downwards; the coefficients of more would not stay in registers.
pub(super) const TOGETHER: usize = 2;

/// Sums of gradients in `A⁴`, nine registers for each of places, and in `A^b g` for b < 4 and each generator, four
/// registers each.
#[derive(Debug)]
pub(super) struct PowerSums<'a> {
    fourth: &'a mut [f64],
    generators: &'a mut [f64],
}

impl<'a> PowerSums<'a> {
    /// Numbers in the sums for so many generators.
    pub fn len(segments: &Segments, rank: usize) -> usize {
        (FOURTH + STEPS * rank) * segments.numbers()
    }

    /// Takes up sums that begin with a cache line.
    pub fn of(segments: &Segments, sums: &'a mut [f64]) -> Self {
        let (fourth, generators) = sums.split_at_mut(FOURTH * segments.numbers());
        Self { fourth, generators }
    }

    /// The sums in each generator.
    pub fn of_generators(&self, segments: &Segments) -> impl Iterator<Item = &[f64]> {
        self.generators.chunks_exact(STEPS * segments.numbers())
    }

    /// The sums in a few generators, and those in `A⁴`.
    pub fn part(&mut self, segments: &Segments, first: usize, count: usize) -> PowerSums<'_> {
        let each = STEPS * segments.numbers();
        let generators = &mut self.generators[first * each..][..count * each];
        PowerSums { fourth: self.fourth, generators }
    }
}

/// Adds the gradients of a group of passes and up to [`TOGETHER`] generators.
#[derive(Debug)]
pub(super) struct Correlate<'a> {
    pub segments: &'a Segments,
    /// Coefficients, N numbers for each generator, and the powers of the passes: the first, and how many.
    pub t: &'a [f64],
    pub powers: [usize; 2],
    /// `(Aᵀ)^k y` for the first power of each pass, a group.
    pub duals: &'a [f64],
    /// What the passes begin with, with margins, a group.
    pub vectors: &'a [f64],
    pub sums: PowerSums<'a>,
}

impl Kernel<f64> for Correlate<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { segments, t, powers: [first, powers], duals, vectors, sums } = self;
        let (duals, vectors) = (pairs(duals), pairs(vectors));
        let passes = powers.div_ceil(STEPS).min(GROUP);
        let fourth = rows_mut::<FOURTH>(sums.fourth).as_chunks_mut().0;
        let mut factors = [[[[0.0; W]; STEPS]; GROUP]; TOGETHER];
        for (factors, t) in factors.iter_mut().zip(t.chunks_exact(segments.order())) {
            factors.as_flattened_mut().iter_mut().zip(&t[first..]).for_each(|(f, t)| *f = [*t; W]);
        }
        // The second register of the last pair may be in the margin, whose sums are written anew before they are read.
        for i in BEFORE / 2..(BEFORE + segments.len()).div_ceil(2) {
            let around = vectors[i - STEPS / 2..].first_chunk();
            let Some(around) = around else { return };
            correlate::<I, 5>(isa, passes, &duals[i], around, 0, &mut fourth[i]);
            correlate::<I, 4>(isa, passes, &duals[i], around, 5, &mut fourth[i]);
            for (factors, sums) in factors.iter().zip(sums.generators.chunks_exact_mut(STEPS * segments.numbers())) {
                combine(isa, passes, &duals[i], factors, &mut rows_mut(sums).as_chunks_mut().0[i]);
            }
        }
    }
}

/// Adds `dual wᵀ` in C diagonals and two registers of places: each number of w, once loaded, meets two duals.
#[inline(always)]
fn correlate<I: Isa<f64>, const C: usize>(
    isa: I,
    passes: usize,
    duals: &Pairs,
    around: &[Pairs; STEPS + 1],
    first: usize,
    sums: &mut [[Lane; FOURTH]; 2],
) {
    let mut sum: [[_; C]; 2] = std::array::from_fn(|p| std::array::from_fn(|c| isa.load(&sums[p][first + c])));
    for pass in 0..passes {
        let dual = [isa.load(&duals[pass][0]), isa.load(&duals[pass][1])];
        for c in 0..C + 1 {
            let w = isa.load(&around[(first + c) / 2][pass][(first + c) % 2]);
            if c < C {
                sum[0][c] = isa.mul_add(dual[0], w, sum[0][c]);
            }
            if c > 0 {
                sum[1][c - 1] = isa.mul_add(dual[1], w, sum[1][c - 1]);
            }
        }
    }
    for p in 0..2 {
        for c in 0..C {
            isa.store(&mut sums[p][first + c], sum[p][c]);
        }
    }
}

/// Adds `t_b dual` in two registers of places.
#[inline(always)]
fn combine<I: Isa<f64>>(
    isa: I,
    passes: usize,
    duals: &Pairs,
    factors: &[[Lane; STEPS]; GROUP],
    sums: &mut [[Lane; STEPS]; 2],
) {
    let mut sum: [[_; STEPS]; 2] = std::array::from_fn(|p| std::array::from_fn(|c| isa.load(&sums[p][c])));
    for pass in 0..passes {
        let dual = [isa.load(&duals[pass][0]), isa.load(&duals[pass][1])];
        for c in 0..STEPS {
            let factor = isa.load(&factors[pass][c]);
            for p in 0..2 {
                sum[p][c] = isa.mul_add(dual[p], factor, sum[p][c]);
            }
        }
    }
    for p in 0..2 {
        for c in 0..STEPS {
            isa.store(&mut sums[p][c], sum[p][c]);
        }
    }
}

/// Leads sums of gradients to A and the generators.
#[derive(Debug)]
pub(super) struct ChainRule<'a> {
    pub segments: &'a Segments,
    /// A, three registers for each of places, and the generators, each a vector; all with margins.
    pub entries: &'a [f64],
    pub generators: &'a [f64],
    /// Used up; the gradient in each generator is the first of its four vectors.
    pub sums: PowerSums<'a>,
    /// Written: the gradient in A, packed as A is.
    pub gradient: &'a mut [f64],
    pub scratch: &'a mut [f64],
}

impl ChainRule<'_> {
    /// Numbers of scratch.
    pub fn scratch_len(segments: &Segments) -> usize {
        2 * SQUARE * segments.numbers()
    }
}

impl Kernel<f64> for ChainRule<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { segments, entries, generators, sums, gradient, mut scratch } = self;
        let (order, numbers) = (segments.order(), segments.numbers());
        let (a, gradient) = (rows::<BAND>(entries), rows_mut::<BAND>(gradient));
        gradient.fill([[0.0; f64::LANES]; BAND]);
        let [square, d_square] = [(); 2].map(|()| rows_mut::<SQUARE>(take(&mut scratch, SQUARE * numbers)));
        // Shorter sequences have no fourth power, which might be out of range.
        if order > STEPS {
            let fourth = rows_mut::<FOURTH>(sums.fourth);
            segments.exchange_rows(fourth);
            multiply(isa, a, square);
            unsquare::<I, SQUARE, FOURTH>(isa, segments.len(), square, fourth, d_square);
            unsquare::<I, BAND, SQUARE>(isa, segments.len(), a, d_square, gradient);
        }
        let powers = square.as_flattened_mut();
        // Shorter sequences have fewer powers.
        if order < STEPS {
            powers.fill([0.0; W]);
        }
        for (g, sums) in generators.chunks_exact(numbers).zip(sums.generators.chunks_exact_mut(STEPS * numbers)) {
            let (g, sums) = (lanes::<f64>(g), rows_mut::<STEPS>(sums));
            segments.exchange_rows(sums);
            let (first, second) = powers.split_at_mut(g.len());
            if order > 2 {
                step(isa, a, g, first);
            }
            if order > 3 {
                step(isa, a, first, second);
            }
            for s in (0..STEPS - 1).rev() {
                step_back(isa, segments.len(), a, s, sums);
            }
            add_steps(isa, segments.len(), [g, first, second], sums, gradient);
        }
    }
}

/// `A²`, all but the first and the last register.
#[inline(always)]
fn multiply<I: Isa<f64>>(isa: I, a: &[[Lane; BAND]], square: &mut [[Lane; SQUARE]]) {
    for i in 1..a.len() - 1 {
        let mut sum = [isa.splat(0.0); SQUARE];
        for x in 0..BAND {
            for y in 0..BAND {
                sum[x + y] = isa.mul_add(isa.load(&a[i][x]), isa.load(&a[i + x - 1][y]), sum[x + y]);
            }
        }
        for c in 0..SQUARE {
            isa.store(&mut square[i][c], sum[c]);
        }
    }
}

/// The gradient in P from that in P², on the segments and as much of their margins as the one in a root of P needs.
#[inline(always)]
fn unsquare<I: Isa<f64>, const C: usize, const D: usize>(
    isa: I,
    len: usize,
    p: &[[Lane; C]],
    d_square: &[[Lane; D]],
    d_p: &mut [[Lane; C]],
) {
    let half = C / 2;
    for i in BEFORE + 1 - half..BEFORE + len + half - 1 {
        let around = (p[i - half..].first_chunk::<C>(), d_square[i - half..].first_chunk::<C>());
        let (Some(p), Some(d_square)) = around else { return };
        let d: [_; D] = std::array::from_fn(|x| isa.load(&d_square[half][x]));
        let mut sum = [isa.splat(0.0); C];
        // P once as the right factor, once as the left one.
        for x in 0..C {
            for c in 0..C {
                sum[c] = isa.mul_add(d[c + x], isa.load(&p[c][x]), sum[c]);
            }
        }
        for x in 0..C {
            let left = isa.load(&p[C - 1 - x][x]);
            for c in 0..C {
                sum[c] = isa.mul_add(left, isa.load(&d_square[C - 1 - x][c + x]), sum[c]);
            }
        }
        for c in 0..C {
            isa.store(&mut d_p[i][c], sum[c]);
        }
    }
}

/// `A v`, all but the first and the last register.
#[inline(always)]
fn step<I: Isa<f64>>(isa: I, a: &[[Lane; BAND]], v: &[Lane], to: &mut [Lane]) {
    for i in 1..a.len() - 1 {
        let mut sum = isa.splat(0.0);
        for x in 0..BAND {
            sum = isa.mul_add(isa.load(&a[i][x]), isa.load(&v[i + x - 1]), sum);
        }
        isa.store(&mut to[i], sum);
    }
}

/// Takes the gradient in `A v`, column `s + 1` of `sums`, to v, column `s`, with `s` registers of margins.
#[inline(always)]
fn step_back<I: Isa<f64>>(isa: I, len: usize, a: &[[Lane; BAND]], s: usize, sums: &mut [[Lane; STEPS]]) {
    let range = BEFORE - s - 1..BEFORE + len + s + 1;
    let (a, sums) = (&a[range.clone()], &mut sums[range]);
    for i in 1..a.len().min(sums.len()) - 1 {
        let mut sum = isa.load(&sums[i][s]);
        for x in 0..BAND {
            let at = i + 1 - x;
            sum = isa.mul_add(isa.load(&a[at][x]), isa.load(&sums[at][s + 1]), sum);
        }
        isa.store(&mut sums[i][s], sum);
    }
}

/// Adds the gradient in A of each `A v`.
#[inline(always)]
fn add_steps<I: Isa<f64>>(
    isa: I,
    len: usize,
    vectors: [&[Lane]; STEPS - 1],
    sums: &[[Lane; STEPS]],
    gradient: &mut [[Lane; BAND]],
) {
    let vectors = vectors.map(|v| &v[BEFORE - 1..][..len + 2]);
    for (i, (sums, gradient)) in sums[BEFORE..].iter().zip(&mut gradient[BEFORE..][..len]).enumerate() {
        for x in 0..BAND {
            let mut sum = isa.load(&gradient[x]);
            for s in 0..STEPS - 1 {
                sum = isa.mul_add(isa.load(&sums[s + 1]), isa.load(&vectors[s][i + x]), sum);
            }
            isa.store(&mut gradient[x], sum);
        }
    }
}
