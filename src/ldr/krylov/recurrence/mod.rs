//! Krylov products of single vectors by the recurrence: O((3 + r) N²), stable for every operator.
//!
//! `Σ_jk t_jk A^k g_j` is Horner's rule, `w ← A w + Σ_j t_jk g_j` over k downwards, whatever the number of generators;
//! the numbers `⟨A^k g_j, y⟩` are those of `w ← Aᵀ w` from y upwards. The gradient goes through fourth powers, see
//! [`powers`](super::powers), and needs every fourth vector of both: those of the second are kept, all of them or one
//! of each run, from which its run is computed again. The second takes two steps at a time, by A² and the `A g_j`, and
//! for the gradient so does the first: 14 multiply-adds for four steps and a place instead of 16. So the second is the
//! same whether its vectors are kept or not.
//!
//! *Accuracy:* the error of a step is that of a change of the entries by half a rounding unit in this step only, and all later
//! steps propagate it. Where that would be too much for a product, its vectors are kept in two parts ([`split`](super::split)).

#[cfg(test)]
mod tests;

use super::band::Band;
use super::powers::{ChainRule, Correlate, PowerSums, TOGETHER};
use super::segments::{APART, Aligned, GROUP, SKIPPED, STEPS, Segments, align, aligned, apart};
use super::skewed::{Combine, Expand, Ring};
use super::split::Split;
use crate::matrix::take;
use crate::transform::isa::Kernels;
use crate::transform::untouched;

/// Orders up to which every fourth vector is kept for the gradient: 2 MB, which third-level caches hold. At twice the
/// order, 8 MB, it is faster to compute them again.
pub(super) const WHOLE: usize = 1024;

/// Numbers in the vectors of a run: second-level caches hold as many.
const CACHED: usize = 1 << 16;

/// Runs at the most.
const RUNS: usize = 512;

/// Powers in a group of passes.
const POWERS: usize = GROUP * STEPS;

/// An operator and its generators, ready for products and their gradients.
#[derive(Debug)]
pub(super) struct Recurrence {
    /// A, by which products go downwards.
    single: Stages,
    /// A², by which all else goes, unless it is out of range.
    double: Option<Stages>,
    /// What products go by instead where they need more than double precision.
    split: Option<Split>,
}

/// `A^D` and `A^b g` for b < D and the generators g in segments, packed as [`Ring`] wants them.
#[derive(Debug)]
struct Stages {
    /// D, 1 or 2.
    steps: usize,
    /// The transposed operator, once for each generator.
    upwards: Vec<Aligned>,
    /// The operator, once for each generator or two.
    downwards: Vec<Aligned>,
}

/// Where the gradient is added to: three diagonals, and generators.
#[derive(Debug)]
pub(super) struct Gradient<'a> {
    pub entries: &'a mut [f64],
    pub generators: &'a mut [f64],
}

impl Stages {
    /// Takes up 2 D + 1 diagonals of N numbers each, and for each generator its D vectors; to go downwards, and upwards
    /// if asked.
    fn new(segments: &Segments, steps: usize, band: &[f64], generators: &[f64], is_for_both: bool) -> Self {
        let (n, numbers) = (segments.order(), segments.numbers());
        let transposed = transpose(band, n);
        let pack = |band: &[f64], generators: &[f64], once: bool| {
            let count = (band.len() + generators.len()) / n;
            let mut packed = Aligned::zeros(count * numbers);
            for (row, v) in band.chunks_exact(n).chain(generators.chunks_exact(n)).enumerate() {
                match once && row > 2 * steps {
                    true => segments.spread_once(v, [row, count], packed.get_mut()),
                    false => segments.spread(v, [row, count], packed.get_mut()),
                }
            }
            packed
        };
        let upwards = if is_for_both { generators } else { &[] };
        Self {
            steps,
            upwards: upwards.chunks(steps * n).map(|one| pack(&transposed, one, true)).collect(),
            downwards: generators.chunks(TOGETHER * steps * n).map(|some| pack(band, some, false)).collect(),
        }
    }

    /// Goes upwards with generator j.
    fn expand(&self, segments: &Segments, j: usize, w: &mut [f64], t: &mut [f64], kept: &mut [f64]) {
        let ring = Ring { segments, packed: self.upwards[j].get() };
        match self.steps {
            1 => f64::run(Expand::<1, 4> { ring, w, t, kept }),
            _ => f64::run(Expand::<2, 7> { ring, w, t, kept }),
        }
    }

    /// Goes downwards with a part of the generators and their coefficients.
    fn combine(
        &self,
        segments: &Segments,
        part: usize,
        w: &mut [f64],
        t: &[f64],
        [first, powers]: [usize; 2],
        kept: &mut [f64],
    ) {
        let ring = Ring { segments, packed: self.downwards[part].get() };
        match (self.steps, t.len() / segments.order()) {
            (1, 1) => f64::run(Combine::<1, 4, 1> { ring, w, t, first, powers, kept }),
            (1, _) => f64::run(Combine::<1, 5, TOGETHER> { ring, w, t, first, powers, kept }),
            (_, 1) => f64::run(Combine::<2, 7, 1> { ring, w, t, first, powers, kept }),
            _ => f64::run(Combine::<2, 9, TOGETHER> { ring, w, t, first, powers, kept }),
        }
    }
}

impl Recurrence {
    /// Takes up three diagonals and generators of N numbers each.
    pub fn new(segments: &Segments, entries: &[f64], generators: &[f64]) -> Self {
        let n = segments.order();
        let square = square(entries, n);
        let mut advanced = vec![0.0; 2 * generators.len()];
        for (g, both) in generators.chunks_exact(n).zip(advanced.chunks_exact_mut(2 * n)) {
            both[..n].copy_from_slice(g);
            Band::of(entries).step(g, &mut both[n..]);
        }
        let in_range = square.iter().chain(&advanced).all(|x| x.is_finite());
        // What products need is to be in the caches at the end.
        let double = in_range.then(|| Stages::new(segments, 2, &square, &advanced, true));
        Self { single: Stages::new(segments, 1, entries, generators, !in_range), double, split: None }
    }

    /// Takes products to more than double precision, for orders above [`WHOLE`]; not so the gradients in A and the generators.
    pub fn refine(&mut self, segments: &Segments, entries: &[f64], generators: &[f64]) {
        self.split = (segments.order() > WHOLE).then(|| Split::new(segments, entries, generators));
    }

    /// Whether products take more than double precision.
    pub fn is_refined(&self) -> bool {
        self.split.is_some()
    }

    /// By what all goes but products downwards.
    fn stages(&self) -> &Stages {
        self.double.as_ref().unwrap_or(&self.single)
    }

    /// Powers in a run, whole groups of passes.
    fn run(n: usize) -> usize {
        match n <= WHOLE {
            true => n,
            false => {
                let cached = (STEPS * CACHED / n).clamp(POWERS, 256) / POWERS * POWERS;
                cached.max(n.div_ceil(RUNS).next_multiple_of(POWERS))
            }
        }
    }

    /// Numbers that [`Recurrence::expand`] keeps for the gradient.
    pub fn kept_len(segments: &Segments) -> usize {
        let n = segments.order();
        let vectors = if n <= WHOLE { GROUP * n.div_ceil(POWERS) } else { n.div_ceil(Self::run(n)) };
        vectors * segments.numbers() + SKIPPED
    }

    /// Numbers of scratch for products.
    pub fn scratch_len(segments: &Segments) -> usize {
        Split::vector_len(segments) + SKIPPED
    }

    /// Numbers of scratch for the gradient.
    pub fn gradient_scratch_len(segments: &Segments, rank: usize) -> usize {
        let n = segments.order();
        let (run, numbers) = (if n <= WHOLE { 0 } else { Self::run(n) }, segments.numbers());
        let sweeps = APART + (2 + GROUP) * numbers + run.div_ceil(STEPS) * numbers + run;
        let chain = (2 * 3 + rank) * numbers + ChainRule::scratch_len(segments);
        sweeps.max(chain) + SKIPPED
    }

    /// Numbers in the sums that gradients are gathered in.
    pub fn sums_len(segments: &Segments, rank: usize) -> usize {
        PowerSums::len(segments, rank) + SKIPPED
    }

    /// `t_jk = ⟨A^k g_j, y⟩`, r×N numbers; what the gradient needs is kept if there is room for it.
    pub fn expand(&self, segments: &Segments, y: &[f64], t: &mut [f64], kept: &mut [f64], scratch: &mut [f64]) {
        if let Some(split) = &self.split {
            return Self::expand_split(split, segments, y, t, kept, scratch);
        }
        let n = segments.order();
        let w = &mut align(scratch)[..segments.numbers()];
        let all = if kept.is_empty() { kept } else { &mut align(kept)[..Self::kept_len(segments) - SKIPPED] };
        let stages = self.stages();
        for (j, t) in t.chunks_exact_mut(n).enumerate() {
            segments.spread(y, [0, 1], w);
            // The vectors are the same for all generators.
            let kept = if j == 0 { &mut *all } else { &mut [] };
            if n <= WHOLE || kept.is_empty() {
                stages.expand(segments, j, w, t, kept);
                continue;
            }
            for (t, kept) in t.chunks_mut(Self::run(n)).zip(kept.chunks_exact_mut(w.len())) {
                kept.copy_from_slice(w);
                stages.expand(segments, j, w, t, &mut []);
            }
        }
    }

    fn expand_split(
        split: &Split,
        segments: &Segments,
        y: &[f64],
        t: &mut [f64],
        kept: &mut [f64],
        scratch: &mut [f64],
    ) {
        let n = segments.order();
        let w = &mut align(scratch)[..Split::vector_len(segments)];
        let all = if kept.is_empty() { kept } else { &mut align(kept)[..Self::kept_len(segments) - SKIPPED] };
        for (j, t) in t.chunks_exact_mut(n).enumerate() {
            Split::take_up(segments, y, w);
            let mut kept = all.chunks_exact_mut(segments.numbers()).take(if j == 0 { usize::MAX } else { 0 });
            for t in t.chunks_mut(Self::run(n)) {
                if let Some(kept) = kept.next() {
                    Split::round(w, kept);
                }
                split.expand(segments, j, w, t);
            }
        }
    }

    /// `y = Σ_jk t_jk A^k g_j`.
    pub fn combine(&self, segments: &Segments, t: &[f64], y: &mut [f64], scratch: &mut [f64]) {
        let n = segments.order();
        if let Some(split) = &self.split {
            let w = &mut align(scratch)[..Split::vector_len(segments)];
            y.fill(0.0);
            for (part, t) in t.chunks(TOGETHER * n).enumerate() {
                w.fill(0.0);
                split.combine(segments, part, w, t);
                Split::add(segments, w, y);
            }
            return;
        }
        let w = &mut align(scratch)[..segments.numbers()];
        y.fill(0.0);
        for (part, t) in t.chunks(TOGETHER * n).enumerate() {
            w.fill(0.0);
            self.single.combine(segments, part, w, t, [0, n], &mut []);
            segments.add(w, [0, 1], y);
        }
    }

    /// [`Recurrence::combine`], and adds the gradient of `⟨d, y⟩` for the d that `kept` was left by to the sums. The result is
    /// not always asked for.
    pub fn combine_with_gradient(
        &self,
        segments: &Segments,
        t: &[f64],
        mut y: Option<&mut [f64]>,
        kept: &[f64],
        sums: &mut [f64],
        scratch: &mut [f64],
    ) {
        if let (Some(_), Some(y)) = (&self.split, y.as_deref_mut()) {
            self.combine(segments, t, y, scratch);
        }
        y = y.filter(|_| self.split.is_none());
        let (n, numbers) = (segments.order(), segments.numbers());
        let (kept, mut scratch) = (aligned(kept), align(scratch));
        let [w, upwards] = [(); 2].map(|()| take(&mut scratch, numbers));
        let vectors = take(&mut scratch, APART + GROUP * numbers);
        let mut sums = PowerSums::of(segments, align(sums));
        let run = Self::run(n);
        let (again, unused) = if n <= WHOLE { Default::default() } else { scratch.split_at_mut(run / STEPS * numbers) };
        if let Some(y) = y.as_deref_mut() {
            y.fill(0.0);
        }
        let stages = self.stages();
        for (part, t) in t.chunks(TOGETHER * n).enumerate() {
            let mut sums = sums.part(segments, part * TOGETHER, t.len() / n);
            w.fill(0.0);
            for [start, powers] in parts(0, n, run) {
                let mut duals = kept;
                if n > WHOLE {
                    upwards.copy_from_slice(&kept[start / run * numbers..][..numbers]);
                    stages.expand(segments, 0, upwards, &mut unused[..powers], again);
                    duals = again;
                }
                for [first, powers] in parts(start, powers, POWERS) {
                    let duals = &duals[(first - start) / STEPS * numbers..][..GROUP * numbers];
                    let vectors = &mut apart(vectors, duals)[..duals.len()];
                    stages.combine(segments, part, w, t, [first, powers], vectors);
                    let sums = sums.part(segments, 0, t.len() / n);
                    f64::run(Correlate { segments, t, powers: [first, powers], duals, vectors, sums });
                }
            }
            if let Some(y) = y.as_deref_mut() {
                segments.add(w, [0, 1], y);
            }
        }
    }

    /// Adds to the gradients what the sums, which are used up, stand for.
    pub fn finish(
        segments: &Segments,
        [entries, generators]: [&[f64]; 2],
        sums: &mut [f64],
        gradient: Gradient<'_>,
        scratch: &mut [f64],
    ) {
        if untouched(sums) {
            return;
        }
        let (n, numbers) = (segments.order(), segments.numbers());
        let (mut scratch, sums) = (align(scratch), &mut align(sums)[..PowerSums::len(segments, generators.len() / n)]);
        let [packed, d_entries] = [(); 2].map(|()| take(&mut scratch, 3 * numbers));
        let vectors = take(&mut scratch, generators.len() / n * numbers);
        for (row, v) in entries.chunks_exact(n).enumerate() {
            segments.spread(v, [row, 3], packed);
        }
        for (g, vector) in generators.chunks_exact(n).zip(vectors.chunks_exact_mut(numbers)) {
            segments.spread(g, [0, 1], vector);
        }
        let chain = ChainRule {
            segments,
            entries: packed,
            generators: vectors,
            sums: PowerSums::of(segments, sums),
            gradient: d_entries,
            scratch,
        };
        f64::run(chain);
        for (row, part) in gradient.entries.chunks_exact_mut(n).enumerate() {
            segments.add(d_entries, [row, 3], part);
        }
        let sums = PowerSums::of(segments, sums);
        for (part, sums) in gradient.generators.chunks_exact_mut(n).zip(sums.of_generators(segments)) {
            segments.add(sums, [0, STEPS], part);
        }
    }
}

/// Parts of `len` powers from the last to the first, `each` or fewer: the first power of each, and their number.
fn parts(start: usize, len: usize, each: usize) -> impl Iterator<Item = [usize; 2]> {
    (0..len).step_by(each).rev().map(move |at| [start + at, each.min(len - at)])
}

/// The five diagonals of A² from the three of A, N numbers each. Diagonals are told by their distance from the main one.
fn square(band: &[f64], n: usize) -> Vec<f64> {
    let mut square = vec![0.0; 5 * n];
    for (x, left) in band.chunks_exact(n).enumerate() {
        // Row i meets row i + x − 1.
        let start = (x + n - 1) % n;
        for (y, right) in band.chunks_exact(n).enumerate() {
            let right = right[start..].iter().chain(&right[..start]);
            let sums = square[(x + y) * n..].iter_mut();
            sums.zip(left).zip(right).for_each(|((sum, a), b)| *sum += a * b);
        }
    }
    square
}

/// The diagonals of a transpose.
pub(super) fn transpose(band: &[f64], n: usize) -> Vec<f64> {
    let count = band.len() / n;
    let mut transposed = Vec::with_capacity(band.len());
    for c in 0..count {
        // The entries of rows i + c − D and columns i.
        let (row, start) = (&band[(count - 1 - c) * n..][..n], (c + 2 * n - count / 2) % n);
        transposed.extend_from_slice(&row[start..]);
        transposed.extend_from_slice(&row[..start]);
    }
    transposed
}
