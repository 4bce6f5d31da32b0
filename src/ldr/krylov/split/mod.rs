//! The recurrence in more than double precision, for operators that would amplify its rounding errors more than its results.
//!
//! A vector is kept in two parts, `w = h + l`: h a multiple, of 26 bits, of a *unit*, and l the remainder. Entries and
//! generators are split likewise, so that products of high parts and their sums are exact; everything else, and with it
//! its rounding errors, is smaller by nearly as many bits. The high part of a result is extracted by adding and
//! subtracting a large number: Rump, Ogita and Oishi, "Accurate floating-point summation" (2008). A step of a
//! tridiagonal operator and a generator takes twelve multiply-adds and eight to ten additions for each register of
//! places; [`skewed`](super::skewed), whose stages these are, takes four in all, double-double arithmetic about forty.
//!
//! The unit follows from the largest number of a vector, and from how much that can grow before it is determined again: by four
//! bits, or in one pass. The unit of entries follows from the largest one. Numbers below a unit are in plain double precision:
//! what grows by more than 2²⁶ from place to place loses the digits beyond that.

#[cfg(test)]
mod tests;

use std::cell::Cell;

use super::powers::TOGETHER;
use super::recurrence::transpose;
use super::segments::{Aligned, BEFORE, STEPS, Segments, rows, rows_mut};
use crate::transform::isa::{Isa, Kernel, Kernels, lanes};

const W: usize = f64::LANES;

type Lane = <f64 as Kernels>::Lane;

/// The two parts of a register.
type Parts<V> = [V; 2];

/// Bits of the high parts of vectors, and of those of entries and generators. Sums of their products have 53 at the
/// most, for units leave room for what vectors grow to.
const BITS: [i32; 2] = [26, 25];

/// Bits that a vector may grow by until its unit is looked at again, and passes at the most.
const GROWTH: [f64; 2] = [4.0, 8.0];

/// Registers of an operator for each one of places, and those of each generator.
const ENTRIES: usize = 6;
const GENERATOR: usize = 2;

/// An operator and its generators in two parts.
#[derive(Debug)]
pub(super) struct Split {
    /// The transposed operator, once for each generator: for each register of places the high parts of three entries,
    /// the low ones, and those of the generator.
    upwards: Vec<Aligned>,
    /// The operator, once for each generator or two.
    downwards: Vec<Aligned>,
    scale: Scale,
    /// The largest number of each generator, and by how much its unit is smaller than that of the entries.
    sizes: Vec<[f64; 2]>,
}

/// What units of vectors follow from.
#[derive(Debug, Clone, Copy)]
struct Scale {
    /// The largest factor by which a step multiplies a vector, if that is more than one.
    growth: f64,
    /// Passes that a unit is good for.
    passes: usize,
}

impl Scale {
    /// What extracts the high part of vectors that begin with numbers up to one limit, where each step adds up to another one.
    fn extractor(self, size: f64, source: f64) -> f64 {
        let steps = (STEPS * self.passes) as i32;
        extractor((size + f64::from(steps) * source) * self.growth.powi(steps), BITS[0])
    }
}

/// The binary exponent of the power of two that is not below a number.
fn exponent(size: f64) -> i32 {
    size.log2().ceil().clamp(-900.0, 1100.0) as i32
}

/// The number that extracts so many bits of numbers up to a size; 0, which extracts all of them, if that would be out of range.
fn extractor(size: f64, bits: i32) -> f64 {
    let large = 1.5 * 2f64.powi(exponent(size) + 52 - bits);
    if large.is_finite() { large } else { 0.0 }
}

/// The largest number, by size.
#[inline(always)]
fn largest(numbers: &[f64]) -> f64 {
    let (chunks, rest) = numbers.as_chunks::<16>();
    let mut most = [0.0; 16];
    for chunk in chunks {
        for (most, x) in most.iter_mut().zip(chunk) {
            *most = if x.abs() > *most { x.abs() } else { *most };
        }
    }
    rest.iter().chain(&most).fold(0.0, |m: f64, x| m.max(x.abs()))
}

/// Numbers up to a size in two parts, so many bits in the high ones.
fn parts(numbers: &[f64], size: f64, bits: i32) -> [Vec<f64>; 2] {
    let large = extractor(size, bits);
    let high: Vec<f64> = numbers.iter().map(|x| (x + large) - large).collect();
    let low = numbers.iter().zip(&high).map(|(x, h)| x - h).collect();
    [high, low]
}

impl Split {
    /// Takes up three diagonals and generators of N numbers each.
    pub fn new(segments: &Segments, entries: &[f64], generators: &[f64]) -> Self {
        let n = segments.order();
        let transposed = transpose(entries, n);
        let sum = |band: &[f64], i: usize| (0..3).map(|x| band[x * n + i].abs()).sum::<f64>();
        let growth = (0..n).map(|i| sum(entries, i).max(sum(&transposed, i))).fold(1.0, f64::max);
        let passes = (GROWTH[0] / (STEPS as f64 * growth.log2())).clamp(1.0, GROWTH[1]) as usize;
        let size = largest(entries).max(1.0);
        let pack = |band: &[f64], generators: &[f64], bits: i32, once: bool| {
            let [high, low] = parts(band, size, BITS[1]);
            let count = ENTRIES + GENERATOR * (generators.len() / n);
            let mut packed = Aligned::zeros(count * segments.numbers());
            for (row, v) in high.chunks_exact(n).chain(low.chunks_exact(n)).enumerate() {
                segments.spread(v, [row, count], packed.get_mut());
            }
            for (row, v) in generators.chunks_exact(n).flat_map(|g| parts(g, largest(g), bits)).enumerate() {
                match once {
                    true => segments.spread_once(&v, [ENTRIES + row, count], packed.get_mut()),
                    false => segments.spread(&v, [ENTRIES + row, count], packed.get_mut()),
                }
            }
            packed
        };
        // Inner products are sums over the places of a lane.
        let sum_bits = 53 - BITS[0] - segments.len().next_power_of_two().ilog2() as i32;
        let ratio = |g: &[f64]| 2f64.powi(exponent(size) - exponent(largest(g)));
        Self {
            upwards: generators.chunks_exact(n).map(|g| pack(&transposed, g, sum_bits, true)).collect(),
            downwards: generators.chunks(TOGETHER * n).map(|some| pack(entries, some, BITS[1], false)).collect(),
            scale: Scale { growth, passes },
            sizes: generators.chunks_exact(n).map(|g| [largest(g), ratio(g)]).collect(),
        }
    }

    /// Numbers of a vector.
    pub fn vector_len(segments: &Segments) -> usize {
        2 * segments.numbers()
    }

    /// Writes a vector to w.
    pub fn take_up(segments: &Segments, v: &[f64], w: &mut [f64]) {
        w.fill(0.0);
        segments.spread(v, [1, 2], w);
    }

    /// Adds w to a vector.
    pub fn add(segments: &Segments, w: &[f64], v: &mut [f64]) {
        segments.add(w, [0, 2], v);
        segments.add(w, [1, 2], v);
    }

    /// Writes w as a vector in segments.
    pub fn round(w: &[f64], to: &mut [f64]) {
        for (to, [high, low]) in to.as_chunks_mut::<W>().0.iter_mut().zip(lanes::<f64>(w).as_chunks().0) {
            *to = std::array::from_fn(|l| high[l] + low[l]);
        }
    }

    /// Goes upwards with generator j, through as many powers as t has numbers: `t_k = ⟨A^k g, w⟩`, `w ← (Aᵀ)^k w`.
    pub fn expand(&self, segments: &Segments, j: usize, w: &mut [f64], t: &mut [f64]) {
        f64::run(Expand { segments, packed: self.upwards[j].get(), scale: self.scale, w, t });
    }

    /// `w ← A^N w + Σ_jk t_jk A^k g_j` with a part of the generators and their coefficients.
    pub fn combine(&self, segments: &Segments, part: usize, w: &mut [f64], t: &[f64]) {
        let (packed, scale, sizes) = (self.downwards[part].get(), self.scale, &self.sizes[part * TOGETHER..]);
        match t.len() / segments.order() {
            1 => f64::run(Combine::<8, 1> { segments, packed, scale, sizes, w, t }),
            _ => f64::run(Combine::<10, TOGETHER> { segments, packed, scale, sizes, w, t }),
        }
    }
}

/// Goes through powers of A upwards.
struct Expand<'a, 'b> {
    segments: &'a Segments,
    packed: &'a [f64],
    scale: Scale,
    w: &'b mut [f64],
    t: &'b mut [f64],
}

/// Goes through all powers of A downwards, with R generators.
struct Combine<'a, 'b, const C: usize, const R: usize> {
    segments: &'a Segments,
    packed: &'a [f64],
    scale: Scale,
    sizes: &'a [[f64; 2]],
    w: &'b mut [f64],
    t: &'b [f64],
}

impl Kernel<f64> for Expand<'_, '_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { segments, packed, scale, w, t } = self;
        let mut large = 0.0;
        for (pass, t) in t.chunks_mut(STEPS).enumerate() {
            if pass % scale.passes == 0 {
                large = extract(isa, segments, w, |size| scale.extractor(size, 0.0));
            }
            segments.exchange_rows(rows_mut::<2>(w));
            let sums = expand(isa, segments, rows::<8>(packed), w, large);
            t.iter_mut().zip(sums).for_each(|(t, sum)| *t = sum);
        }
    }
}

impl<const C: usize, const R: usize> Kernel<f64> for Combine<'_, '_, C, R> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { segments, packed, scale, sizes, w, t } = self;
        let order = segments.order();
        let mut large = 0.0;
        for (pass, start) in (0..order).step_by(STEPS).rev().enumerate() {
            let end = order.min(start + STEPS);
            if pass % scale.passes == 0 {
                let powers = end.saturating_sub(STEPS * scale.passes)..end;
                let sources = (0..R).map(|j| sizes[j][0] * largest(&t[j * order..][powers.clone()]));
                let source = sources.sum();
                large = extract(isa, segments, w, |size| scale.extractor(size, source));
            }
            let mut factors = [[[0.0; 3]; R]; STEPS];
            for (s, k) in (start..end).enumerate() {
                for j in 0..R {
                    let (t, unit) = (t[j * order + k], large * sizes[j][1]);
                    let high = if unit.is_finite() { (t + unit) - unit } else { t };
                    factors[s][j] = [high, t - high, t];
                }
            }
            segments.exchange_rows(rows_mut::<2>(w));
            combine::<I, C, R>(isa, segments, rows::<C>(packed), &factors, w, large);
        }
    }
}

/// Splits a vector anew, by what its largest number asks for, which is returned.
#[inline(always)]
fn extract<I: Isa<f64>>(isa: I, segments: &Segments, w: &mut [f64], extractor: impl Fn(f64) -> f64) -> f64 {
    let w = &mut w[BEFORE * 2 * W..][..segments.len() * 2 * W];
    let large = extractor(2.0 * largest(w));
    let v = isa.splat(large);
    for [high, low] in rows_mut::<2>(w) {
        let (h, l) = (isa.load(high), isa.load(low));
        let sum = isa.add(h, l);
        let rest = isa.sub(l, isa.sub(sum, h));
        let h = isa.sub(isa.add(sum, v), v);
        isa.store(high, h);
        isa.store(low, isa.add(isa.sub(sum, h), rest));
    }
    large
}

/// Registers of places that are taken through all steps of a pass at once: first-level caches hold them.
const BLOCK: usize = 32;

/// The place where the first step of a pass begins; each one begins a place before the last, and spoils one more.
const FIRST: usize = BEFORE + 1 - STEPS;

/// For each step of a pass the two places before the one ahead.
type Windows<V> = [[Parts<V>; 2]; STEPS];

#[inline(always)]
fn load<I: Isa<f64>>(isa: I, from: &[Lane; 2]) -> Parts<I::V> {
    [isa.load(&from[0]), isa.load(&from[1])]
}

/// Goes through the steps of a pass, block after block: `visit` is handed the step, the place and its two parts, and
/// returns what is to be added to the product there.
#[inline(always)]
fn pass<I: Isa<f64>, const C: usize>(
    isa: I,
    segments: &Segments,
    packed: &[[Lane; C]],
    w: &mut [f64],
    large: f64,
    mut visit: impl FnMut(usize, &[Lane; C], Parts<I::V>) -> Parts<I::V>,
) {
    let w = rows_mut::<2>(w);
    // What later steps have before the margin does not count, and would go on from pass to pass.
    let mut windows: Windows<I::V> = [[[isa.splat(0.0); 2]; 2]; STEPS];
    windows[0] = [load(isa, &w[FIRST - 1]), load(isa, &w[FIRST])];
    let (cells, large) = (Cell::from_mut(w).as_slice_of_cells(), isa.splat(large));
    let count = segments.len() + BEFORE + STEPS - 1 - FIRST;
    for start in (0..count).step_by(BLOCK) {
        let len = BLOCK.min(count - start);
        for (s, window) in windows.iter_mut().enumerate() {
            let first = FIRST + start - s;
            let [mut before, mut here] = *window;
            let places = cells[first..][..len].iter().zip(&cells[first + 1..][..len]);
            for ((to, ahead), place) in places.zip(&packed[first..][..len]) {
                let ahead = load(isa, &ahead.get());
                let sums = visit(s, place, here);
                put(isa, to, step(isa, place, [before, here, ahead], sums, large));
                (before, here) = (here, ahead);
            }
            *window = [before, here];
        }
    }
}

/// A at a place, added to what is there: an exact sum, and the rest.
#[inline(always)]
fn step<I: Isa<f64>, const C: usize>(
    isa: I,
    entries: &[Lane; C],
    around: [Parts<I::V>; 3],
    [mut exact, mut rest]: Parts<I::V>,
    large: I::V,
) -> Parts<I::V> {
    let [before, here, ahead] = around.map(|[h, l]| isa.add(h, l));
    // In two sums, which do not wait for each other.
    let mut low = isa.mul(isa.load(&entries[3]), before);
    low = isa.mul_add(isa.load(&entries[4]), here, low);
    low = isa.mul_add(isa.load(&entries[5]), ahead, low);
    for (x, [h, l]) in around.into_iter().enumerate() {
        let high = isa.load(&entries[x]);
        exact = isa.mul_add(high, h, exact);
        rest = isa.mul_add(high, l, rest);
    }
    let h = isa.sub(isa.add(exact, large), large);
    [h, isa.add(isa.sub(exact, h), isa.add(rest, low))]
}

#[inline(always)]
fn expand<I: Isa<f64>>(isa: I, segments: &Segments, packed: &[[Lane; 8]], w: &mut [f64], large: f64) -> [f64; STEPS] {
    let zero = isa.splat(0.0);
    let mut sums = [[zero; 2]; STEPS];
    pass(isa, segments, packed, w, large, |s, place, [h, l]| {
        let (high, low) = (isa.load(&place[ENTRIES]), isa.load(&place[ENTRIES + 1]));
        sums[s][0] = isa.mul_add(high, h, sums[s][0]);
        sums[s][1] = isa.add(sums[s][1], isa.mul_add(low, isa.add(h, l), isa.mul(high, l)));
        [zero; 2]
    });
    sums.map(|sums| {
        let [high, low] = sums.map(|sum| {
            let mut lane = [0.0; W];
            isa.store(&mut lane, sum);
            (lane[0] + lane[2]) + (lane[1] + lane[3])
        });
        high + low
    })
}

/// The last step has the first of `factors`: high and low parts, and their sums.
#[inline(always)]
fn combine<I: Isa<f64>, const C: usize, const R: usize>(
    isa: I,
    segments: &Segments,
    packed: &[[Lane; C]],
    factors: &[[[f64; 3]; R]; STEPS],
    w: &mut [f64],
    large: f64,
) {
    pass(isa, segments, packed, w, large, |s, place, _| {
        let mut sums = [isa.splat(0.0); 2];
        for j in 0..R {
            let [high, low, all] = factors[STEPS - 1 - s][j].map(|t| isa.splat(t));
            let [g, rest] = [0, 1].map(|part| isa.load(&place[ENTRIES + GENERATOR * j + part]));
            sums[0] = isa.mul_add(high, g, sums[0]);
            sums[1] = isa.mul_add(all, rest, isa.mul_add(low, g, sums[1]));
        }
        sums
    });
}

#[inline(always)]
fn put<I: Isa<f64>>(isa: I, to: &Cell<[Lane; 2]>, parts: Parts<I::V>) {
    let mut lanes = [[0.0; W]; 2];
    isa.store(&mut lanes[0], parts[0]);
    isa.store(&mut lanes[1], parts[1]);
    to.set(lanes);
}
