//! The gradient of a recurrence by fourth powers of the operator, for one vector in [`Segments`].
//!
//! A pass does four steps at once, `w ← A⁴ w + Σ_b t_b A^b g`, and the gradient of a product goes through `A⁴` and the `A^b g`, b < 4, as
//! if they were parameters: `dual wᵀ` in nine diagonals and `t_b dual`, for the w and the dual that a pass begins with. That is 13
//! multiplications with additions for each place, where the steps one by one would take 16, and a quarter of the vectors. From there the
//! chain rule leads to A and g, once for a batch. Diagonals are told by their distance from the main one, also where it goes round a short
//! ring more than once: what stands for the same place is then added up by the chain rule.

use super::segments::{BEFORE, STEPS, Segments};
use crate::matrix::take;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

const W: usize = f64::LANES;

type Lane = <f64 as Kernels>::Lane;

/// Diagonals of A, of its square and of its fourth power.
const BAND: usize = 3;
const SQUARE: usize = 5;
const FOURTH: usize = 9;

const _: () = assert!(STEPS == 4);

/// Passes whose gradients are summed up in registers.
pub(super) const GROUP: usize = 16;

/// Generators that share a sweep downwards; the coefficients of more would not stay in registers.
pub(super) const TOGETHER: usize = 2;

/// Sums of gradients in `A⁴`, nine registers for each of places, and in `A^b g` for b < 4 and each generator, four registers each.
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

/// Adds the gradients of up to [`GROUP`] passes and [`TOGETHER`] generators.
#[derive(Debug)]
pub(super) struct Correlate<'a> {
    pub segments: &'a Segments,
    /// Coefficients, N numbers for each generator, of which those of the passes begin at `first`.
    pub t: &'a [f64],
    pub first: usize,
    /// `(Aᵀ)^k y` for the first power of each pass, one vector after the other.
    pub duals: &'a [f64],
    /// What the passes begin with, with margins.
    pub vectors: &'a [f64],
    pub sums: PowerSums<'a>,
}

impl Kernel<f64> for Correlate<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { segments, t, first, duals, vectors, sums } = self;
        let (order, numbers) = (segments.order(), segments.numbers());
        let [duals, vectors] = [duals, vectors].map(lanes::<f64>);
        let passes = || duals.chunks_exact(numbers / W).zip(vectors.chunks_exact(numbers / W));
        let fourth = rows_mut::<FOURTH>(sums.fourth);
        let mut factors = [[[0.0; STEPS]; GROUP]; TOGETHER];
        for (factors, t) in factors.iter_mut().zip(t.chunks_exact(order)) {
            factors.as_flattened_mut().iter_mut().zip(&t[first..]).for_each(|(f, t)| *f = *t);
        }
        // The second register of the last pair may be in the margin, whose sums are written anew before they are read.
        for i in (BEFORE..BEFORE + segments.len()).step_by(2) {
            correlate::<I, 5>(isa, passes(), i, 0, fourth);
            correlate::<I, 4>(isa, passes(), i, 5, fourth);
            for (factors, sums) in factors.iter().zip(sums.generators.chunks_exact_mut(STEPS * numbers)) {
                combine(isa, passes().map(|(dual, _)| dual).zip(factors), i, rows_mut::<STEPS>(sums));
            }
        }
    }
}

/// Adds `dual wᵀ` in C diagonals and two registers of places: each number of w, once loaded, meets two duals.
#[inline(always)]
fn correlate<'a, I: Isa<f64>, const C: usize>(
    isa: I,
    passes: impl Iterator<Item = (&'a [Lane], &'a [Lane])>,
    i: usize,
    first: usize,
    sums: &mut [[Lane; FOURTH]],
) {
    let mut sum: [[_; C]; 2] = std::array::from_fn(|p| std::array::from_fn(|c| isa.load(&sums[i + p][first + c])));
    for (dual, w) in passes {
        let (dual, w) = (&dual[i..i + 2], &w[i + first - STEPS..][..C + 1]);
        let dual = [isa.load(&dual[0]), isa.load(&dual[1])];
        for c in 0..C {
            for p in 0..2 {
                sum[p][c] = isa.mul_add(dual[p], isa.load(&w[c + p]), sum[p][c]);
            }
        }
    }
    for p in 0..2 {
        for c in 0..C {
            isa.store(&mut sums[i + p][first + c], sum[p][c]);
        }
    }
}

/// Adds `t_b dual` in two registers of places.
#[inline(always)]
fn combine<'a, I: Isa<f64>>(
    isa: I,
    passes: impl Iterator<Item = (&'a [Lane], &'a [f64; STEPS])>,
    i: usize,
    sums: &mut [[Lane; STEPS]],
) {
    let mut sum: [[_; STEPS]; 2] = std::array::from_fn(|p| std::array::from_fn(|c| isa.load(&sums[i + p][c])));
    for (dual, factors) in passes {
        let dual = &dual[i..i + 2];
        let dual = [isa.load(&dual[0]), isa.load(&dual[1])];
        for c in 0..STEPS {
            let factor = isa.splat(factors[c]);
            for p in 0..2 {
                sum[p][c] = isa.mul_add(dual[p], factor, sum[p][c]);
            }
        }
    }
    for p in 0..2 {
        for c in 0..STEPS {
            isa.store(&mut sums[i + p][c], sum[p][c]);
        }
    }
}

/// Registers, several for each of places.
#[inline(always)]
fn rows<const C: usize>(numbers: &[f64]) -> &[[Lane; C]] {
    lanes::<f64>(numbers).as_chunks().0
}

#[inline(always)]
fn rows_mut<const C: usize>(numbers: &mut [f64]) -> &mut [[Lane; C]] {
    lanes_mut::<f64>(numbers).as_chunks_mut().0
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
        for (g, sums) in generators.chunks_exact(numbers).zip(sums.generators.chunks_exact_mut(STEPS * numbers)) {
            let (g, sums) = (lanes::<f64>(g), rows_mut::<STEPS>(sums));
            segments.exchange_rows(sums);
            let (first, second) = powers.split_at_mut(g.len());
            step(isa, a, g, first);
            step(isa, a, first, second);
            for (s, g) in [g, first, &*second].into_iter().enumerate().take(order - 1).rev() {
                unstep(isa, segments.len(), a, g, s, sums, gradient);
            }
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
        for c in 0..C {
            let mut sum = isa.splat(0.0);
            for x in 0..C {
                // Once as the left factor, once as the right one.
                let at = i + half - x;
                sum = isa.mul_add(isa.load(&d_square[i][c + x]), isa.load(&p[i + c - half][x]), sum);
                sum = isa.mul_add(isa.load(&d_square[at][c + x]), isa.load(&p[at][x]), sum);
            }
            isa.store(&mut d_p[i][c], sum);
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

/// Takes the gradient in `A v`, column `s + 1` of `sums`, to v, column `s`, with `s` registers of margins, and to A.
#[inline(always)]
fn unstep<I: Isa<f64>>(
    isa: I,
    len: usize,
    a: &[[Lane; BAND]],
    v: &[Lane],
    s: usize,
    sums: &mut [[Lane; STEPS]],
    gradient: &mut [[Lane; BAND]],
) {
    for i in BEFORE..BEFORE + len {
        for x in 0..BAND {
            let sum = isa.load(&gradient[i][x]);
            let sum = isa.mul_add(isa.load(&sums[i][s + 1]), isa.load(&v[i + x - 1]), sum);
            isa.store(&mut gradient[i][x], sum);
        }
    }
    for i in BEFORE - s..BEFORE + len + s {
        let mut sum = isa.load(&sums[i][s]);
        for x in 0..BAND {
            let at = i + 1 - x;
            sum = isa.mul_add(isa.load(&a[at][x]), isa.load(&sums[at][s + 1]), sum);
        }
        isa.store(&mut sums[i][s], sum);
    }
}
