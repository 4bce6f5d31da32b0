//! Krylov sums of four leaves at once, one in each lane, in first-level cache: Horner's rule for all sources.
//!
//! `Σ_k A^k (Σ_s t_sk v_s)` is one sweep `w ← A w + Σ_s t_sk v_s` over k downwards, whatever the number of sources v_s; the
//! numbers `⟨A^k v_s, y⟩` are one sweep `w ← Aᵀ w` from y upwards. Nothing but w and the diagonals is kept.

use std::cell::Cell;

use super::plan::LANES;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

type Lane = <f64 as Kernels>::Lane;

/// Powers whose contributions to a gradient are added up in registers.
const STEPS: usize = 8;

const _: () = assert!(LANES == f64::LANES);

/// The last places of four leaves, which have two different numbers of places at the most: where a number of a lane is that of
/// the last place.
#[derive(Debug, Clone, Copy)]
pub struct Last {
    pub places: [usize; 2],
    pub masks: [Lane; 2],
}

/// Four leaves, cut off from the others, and their parts of the generators. What is behind the places of a leaf is zero.
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'a> {
    /// Below the diagonal, and a zero; on it; and above it: `3 width + 1` registers.
    pub entries: &'a [f64],
    /// The generators, `width` registers each.
    pub generators: &'a [f64],
    /// The last places, behind which β is.
    pub last: Last,
    /// Ways in: α before the first place, and β.
    pub ways: usize,
}

/// The coefficients of a run of powers: for each way in, and for each generator, a register for each power.
#[derive(Debug, Clone, Copy)]
pub struct Coefficients<'a> {
    pub ways: &'a [f64],
    pub generators: &'a [f64],
}

impl Last {
    /// For leaves with so many places.
    pub fn new(places: [usize; LANES]) -> Self {
        let least = places.into_iter().fold(usize::MAX, usize::min);
        let most = places.into_iter().fold(0, usize::max);
        let mask = |count: usize, taken: bool| places.map(|p| if p == count && !taken { 1.0 } else { 0.0 });
        Self { places: [least - 1, most - 1], masks: [mask(least, false), mask(most, least == most)] }
    }
}

impl Leaf<'_> {
    fn width(&self) -> usize {
        self.entries.len() / LANES / 3
    }

    /// Numbers in a vector: a register for each place, and zeros.
    pub fn vector_len(width: usize) -> usize {
        (width + 1) * LANES
    }

    /// `w = A^len w + Σ_k A^k Σ_s t_sk v_s`. The vector is as long as [`Leaf::vector_len`], with zeros at its end.
    pub fn combine(self, t: Coefficients<'_>, w: &mut [f64]) {
        f64::run(Combine { leaf: self, t, w });
    }

    /// Writes `t_sk = ⟨A^k v_s, w⟩`, and uses w up.
    pub fn expand(self, w: &mut [f64], ways: &mut [f64], generators: &mut [f64]) {
        f64::run(Expand { leaf: self, w, ways, generators });
    }

    /// Numbers of scratch that [`Leaf::gradient`] needs.
    pub fn gradient_scratch_len(width: usize, len: usize) -> usize {
        (len + STEPS + 2) * (width + 2) * LANES
    }

    /// Adds the gradient of `⟨y, Σ_k A^k Σ_s t_sk v_s⟩` in the diagonals of A and in the generators, `width` registers each;
    /// w is y, and is used up.
    pub fn gradient(self, t: Coefficients<'_>, w: &mut [f64], sums: &mut [f64], scratch: &mut [f64]) {
        let rows = &mut scratch[..Self::gradient_scratch_len(self.width(), t.ways.len() / self.ways / LANES)];
        f64::run(Gradient { leaf: self, t, rows, w, sums });
    }
}

struct Combine<'a> {
    leaf: Leaf<'a>,
    t: Coefficients<'a>,
    w: &'a mut [f64],
}

impl Kernel<f64> for Combine<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { leaf, t, w } = self;
        let w = cells(w);
        let len = t.ways.len() / leaf.ways / LANES;
        for k in (0..len).rev() {
            horner(isa, leaf, t, k, w, w);
        }
    }
}

#[inline(always)]
fn cells(numbers: &mut [f64]) -> &[Cell<Lane>] {
    Cell::from_mut(lanes_mut::<f64>(numbers)).as_slice_of_cells()
}

/// One step of Horner's rule, in place or not.
#[inline(always)]
fn horner<I: Isa<f64>>(isa: I, leaf: Leaf<'_>, t: Coefficients<'_>, k: usize, from: &[Cell<Lane>], to: &[Cell<Lane>]) {
    let width = leaf.width();
    let entries = lanes::<f64>(leaf.entries);
    let (lower, diagonal, upper) =
        (&entries[..width], &entries[width + 1..][..width], &entries[2 * width + 1..][..width]);
    let ways = lanes::<f64>(t.ways);
    let len = ways.len() / leaf.ways;
    let coefficients = lanes::<f64>(t.generators);
    let (ahead, to) = (&from[1..=width], &to[..width]);
    let (mut before, mut here) = (isa.splat(0.0), load(isa, &from[0]));
    let mut generators = lanes::<f64>(leaf.generators).chunks_exact(width).zip(coefficients.chunks_exact(len));
    let first = generators.next();
    let (generator, factor) = match first {
        Some((generator, coefficients)) => (generator, isa.load(&coefficients[k])),
        None => (diagonal, isa.splat(0.0)),
    };
    for i in 0..width {
        let after = load(isa, &ahead[i]);
        let sum = isa.mul(isa.load(&generator[i]), factor);
        let sum = isa.mul_add(isa.load(&lower[i]), before, sum);
        let sum = isa.mul_add(isa.load(&upper[i]), after, sum);
        let sum = isa.mul_add(isa.load(&diagonal[i]), here, sum);
        store(isa, &to[i], sum);
        (before, here) = (here, after);
    }
    for (generator, coefficients) in generators {
        let factor = isa.load(&coefficients[k]);
        for i in 0..width {
            let sum = isa.mul_add(isa.load(&generator[i]), factor, load(isa, &to[i]));
            store(isa, &to[i], sum);
        }
    }
    let sum = isa.add(load(isa, &to[0]), isa.load(&ways[k]));
    store(isa, &to[0], sum);
    if leaf.ways == 1 {
        return;
    }
    for (&place, mask) in leaf.last.places.iter().zip(&leaf.last.masks) {
        let sum = isa.mul_add(isa.load(mask), isa.load(&ways[len + k]), load(isa, &to[place]));
        store(isa, &to[place], sum);
    }
}

#[inline(always)]
fn load<I: Isa<f64>>(isa: I, from: &Cell<Lane>) -> I::V {
    isa.load(&from.get())
}

#[inline(always)]
fn store<I: Isa<f64>>(isa: I, to: &Cell<Lane>, value: I::V) {
    let mut lane = [0.0; LANES];
    isa.store(&mut lane, value);
    to.set(lane);
}

struct Expand<'a> {
    leaf: Leaf<'a>,
    w: &'a mut [f64],
    ways: &'a mut [f64],
    generators: &'a mut [f64],
}

/// `to = Aᵀ from`, in place or not, and `⟨g, from⟩` if asked.
#[inline(always)]
fn back<I: Isa<f64>, const INNER: bool>(
    isa: I,
    leaf: Leaf<'_>,
    generator: &[Lane],
    from: &[Cell<Lane>],
    to: &[Cell<Lane>],
) -> I::V {
    let width = leaf.width();
    let entries = lanes::<f64>(leaf.entries);
    let (lower, rest) = entries[1..].split_at(width);
    let (diagonal, upper) = rest.split_at(width);
    let (ahead, to, upper) = (&from[1..=width], &to[..width], &upper[..width]);
    let generator = if INNER { &generator[..width] } else { upper };
    let (mut from_before, mut here) = (isa.splat(0.0), load(isa, &from[0]));
    let [mut inner, mut other] = [isa.splat(0.0); 2];
    for i in 0..width {
        let after = load(isa, &ahead[i]);
        if INNER {
            (inner, other) = (other, isa.mul_add(isa.load(&generator[i]), here, inner));
        }
        let sum = isa.mul_add(isa.load(&diagonal[i]), here, from_before);
        let sum = isa.mul_add(isa.load(&lower[i]), after, sum);
        from_before = isa.mul(isa.load(&upper[i]), here);
        store(isa, &to[i], sum);
        here = after;
    }
    isa.add(inner, other)
}

impl Kernel<f64> for Expand<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { leaf, w, ways, generators } = self;
        let (w, width) = (cells(w), leaf.width());
        let len = ways.len() / leaf.ways / LANES;
        let (alpha, beta) = lanes_mut::<f64>(ways).split_at_mut(len);
        let sums = lanes_mut::<f64>(generators);
        let all = lanes::<f64>(leaf.generators);
        for k in 0..len {
            alpha[k] = w[0].get();
            let Last { places: [first, second], masks: [mask, other] } = &leaf.last;
            let second = isa.mul(isa.load(other), load(isa, &w[*second]));
            if let Some(beta) = beta.get_mut(k) {
                isa.store(beta, isa.mul_add(isa.load(mask), load(isa, &w[*first]), second));
            }
            for (generator, sums) in all.chunks_exact(width).zip(sums.chunks_exact_mut(len)).skip(1) {
                let [mut inner, mut other] = [isa.splat(0.0); 2];
                for i in 0..width {
                    let sum = isa.mul_add(isa.load(&generator[i]), load(isa, &w[i]), inner);
                    (inner, other) = (other, sum);
                }
                isa.store(&mut sums[k], isa.add(inner, other));
            }
            match sums.get_mut(k) {
                Some(sum) => isa.store(sum, back::<I, true>(isa, leaf, all, w, w)),
                None => {
                    back::<I, false>(isa, leaf, &[], w, w);
                }
            }
        }
    }
}

struct Gradient<'a> {
    leaf: Leaf<'a>,
    t: Coefficients<'a>,
    rows: &'a mut [f64],
    w: &'a mut [f64],
    sums: &'a mut [f64],
}

impl Kernel<f64> for Gradient<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { leaf, t, rows, w, sums } = self;
        let (width, len) = (leaf.width(), t.ways.len() / leaf.ways / LANES);
        let each = width + 2;
        let (duals, rows) = cells(rows).split_at((STEPS + 1) * each);
        for row in duals.chunks_exact(each).chain(rows.chunks_exact(each)) {
            row[0].set([0.0; LANES]);
            row[width + 1].set([0.0; LANES]);
        }
        rows[len * each..].iter().for_each(|zero| zero.set([0.0; LANES]));
        // Row k is what Horner's rule has after the step of power k; the dual of what it has before is (Aᵀ)^k y.
        for k in (0..len).rev() {
            let (to, from) = rows[k * each..].split_at(each);
            horner(isa, leaf, t, k, &from[1..], &to[1..]);
        }
        let w = cells(w);
        for (to, from) in duals[1..=width].iter().zip(w) {
            to.set(from.get());
        }
        for start in (0..len).step_by(STEPS) {
            let steps = STEPS.min(len - start);
            for step in 0..steps {
                let (from, to) = duals[step * each..].split_at(each);
                back::<I, false>(isa, leaf, &[], &from[1..], &to[1..]);
            }
            add_outer(isa, &duals[..steps * each], &rows[(start + 1) * each..], width, lanes_mut::<f64>(sums));
            add_multiples(
                isa,
                &duals[..steps * each],
                (t, len),
                start,
                width,
                &mut lanes_mut::<f64>(sums)[3 * width..],
            );
            for (to, from) in duals[1..=width].iter().zip(&duals[steps * each + 1..]) {
                to.set(from.get());
            }
        }
    }
}

/// Adds the entries of `Σ_k dual_k row_kᵀ` below, on and above the diagonal; two places at a time.
#[inline(always)]
fn add_outer<I: Isa<f64>>(isa: I, duals: &[Cell<Lane>], rows: &[Cell<Lane>], width: usize, sums: &mut [Lane]) {
    let (lower, rest) = sums.split_at_mut(width);
    let (diagonal, rest) = rest.split_at_mut(width);
    let upper = &mut rest[..width];
    for i in (0..width).step_by(2) {
        // Loops rather than closures: those are not compiled for the instruction set.
        let mut totals = [[isa.splat(0.0); 3]; 2];
        for p in 0..2 {
            totals[p] = [isa.load(&lower[i + p]), isa.load(&diagonal[i + p]), isa.load(&upper[i + p])];
        }
        for (dual, row) in duals.chunks_exact(width + 2).zip(rows.chunks_exact(width + 2)) {
            let (dual, row) = (&dual[i + 1..i + 3], &row[i..i + 4]);
            let row = [load(isa, &row[0]), load(isa, &row[1]), load(isa, &row[2]), load(isa, &row[3])];
            for p in 0..2 {
                let dual = load(isa, &dual[p]);
                for d in 0..3 {
                    totals[p][d] = isa.mul_add(dual, row[p + d], totals[p][d]);
                }
            }
        }
        for p in 0..2 {
            isa.store(&mut lower[i + p], totals[p][0]);
            isa.store(&mut diagonal[i + p], totals[p][1]);
            isa.store(&mut upper[i + p], totals[p][2]);
        }
    }
}

/// Adds `Σ_k t_jk dual_k`, from a power on, for each generator; four places at a time.
#[inline(always)]
fn add_multiples<I: Isa<f64>>(
    isa: I,
    duals: &[Cell<Lane>],
    (t, len): (Coefficients<'_>, usize),
    start: usize,
    width: usize,
    sums: &mut [Lane],
) {
    for (sums, t) in sums.chunks_exact_mut(width).zip(lanes::<f64>(t.generators).chunks_exact(len)) {
        for (i, sums) in sums.chunks_exact_mut(4).enumerate() {
            let mut totals = [isa.load(&sums[0]), isa.load(&sums[1]), isa.load(&sums[2]), isa.load(&sums[3])];
            for (dual, t) in duals.chunks_exact(width + 2).zip(&t[start..]) {
                let (dual, t) = (&dual[4 * i + 1..4 * i + 5], isa.load(t));
                for p in 0..4 {
                    totals[p] = isa.mul_add(t, load(isa, &dual[p]), totals[p]);
                }
            }
            for p in 0..4 {
                isa.store(&mut sums[p], totals[p]);
            }
        }
    }
}
