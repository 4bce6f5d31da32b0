//! Products between the children of a parent, where children are registers: four parents at a time.

use super::factors::{Siblings, SiblingsGradient};
use super::pairs::{Pair, combine, correlate};
use super::plan::{CHILDREN, DISTANCES, Level, W};
use crate::transform::isa::{Isa, Kernel, Kernels};

/// Four parents, one a lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parents<'a> {
    pub level: &'a Level,
    pub siblings: &'a Siblings,
}

impl<'a> Parents<'a> {
    /// Writes, or adds, the spectra of what children get from their siblings.
    pub fn combine(self, sources: &[f64], segments: &[f64], add: bool, out: &mut [f64]) {
        f64::run(Combine { parents: self, sources, segments, add, out });
    }

    /// The same, and writes, or adds, the gradient in the factors between them, given the spectra of y.
    pub fn combine_with_gradient(
        self,
        [sources, y]: [&[f64]; 2],
        segments: &[f64],
        add: [bool; 2],
        out: &mut [f64],
        gradient: &mut SiblingsGradient,
    ) {
        f64::run(CombineWithGradient { parents: self, sources, y, segments, add, out, gradient });
    }

    /// Writes, or adds, the gradient in the spectra of the sources.
    pub fn combine_back(self, y: &[f64], segments: &[f64], add: bool, sums: &mut [f64]) {
        f64::run(CombineBack { parents: self, y, segments, add, sums });
    }

    /// Writes, or adds, the gradient in the spectra of the segments, a block for each, lanes apart.
    pub fn correlate(self, sources: &[f64], y: &[f64], add: bool, sums: &mut [f64]) {
        f64::run(Correlate { parents: self, sources, y, add, sums });
    }

    fn child(self, spectra: &[f64], child: usize) -> &[f64] {
        &spectra[child * self.level.block()..][..self.level.block()]
    }

    /// The siblings of a target as sources, its neighbour before it first.
    #[inline(always)]
    fn of_target<'b>(self, target: usize, sources: &'b [f64], segments: &'b [f64]) -> [Pair<'b>; DISTANCES] {
        let mut pairs = [Pair::NONE; DISTANCES];
        for (p, pair) in pairs.iter_mut().enumerate() {
            let source = before(target, p);
            let b = self.level.segment_of(segments, self.level.segment(target, source));
            *pair = Pair { a: self.child(sources, source), b, factor: self.siblings.between[target][source] };
        }
        pairs
    }

    /// The siblings of a source as targets, its neighbour behind it first.
    #[inline(always)]
    fn of_source<'b>(self, source: usize, y: &'b [f64], segments: &'b [f64]) -> [Pair<'b>; DISTANCES] {
        let mut pairs = [Pair::NONE; DISTANCES];
        for (p, pair) in pairs.iter_mut().enumerate() {
            let target = behind(source, p);
            let b = self.level.segment_of(segments, self.level.segment(target, source));
            *pair = Pair { a: self.child(y, target), b, factor: self.siblings.between[target][source] };
        }
        pairs
    }

    /// The first P pairs of children so far apart, with the target behind the source or before it.
    #[inline(always)]
    fn apart<'b, const P: usize>(self, behind: bool, sources: &'b [f64], y: &'b [f64]) -> [Pair<'b>; P] {
        let mut pairs = [Pair::NONE; P];
        for (p, pair) in pairs.iter_mut().enumerate() {
            let (low, high) = (p, p + CHILDREN - P);
            let (target, source) = if behind { (high, low) } else { (low, high) };
            let factor = self.siblings.between[target][source];
            *pair = Pair { a: self.child(sources, source), b: self.child(y, target), factor };
        }
        pairs
    }
}

/// The sibling p + 1 before a child, around the cycle.
#[inline(always)]
fn before(child: usize, p: usize) -> usize {
    (child + DISTANCES - p) % CHILDREN
}

/// The sibling p + 1 behind a child, around the cycle.
#[inline(always)]
fn behind(child: usize, p: usize) -> usize {
    (child + 1 + p) % CHILDREN
}

struct Combine<'a> {
    parents: Parents<'a>,
    sources: &'a [f64],
    segments: &'a [f64],
    add: bool,
    out: &'a mut [f64],
}

impl Kernel<f64> for Combine<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { parents, sources, segments, add, out } = self;
        let half = parents.level.half;
        for (target, out) in out.chunks_exact_mut(parents.level.block()).enumerate() {
            let pairs = parents.of_target(target, sources, segments);
            match (add, target > 0) {
                (false, false) => combine::<I, DISTANCES, W, false, false, false, false>(isa, half, pairs, out, &[]),
                (false, true) => combine::<I, DISTANCES, W, false, false, false, true>(isa, half, pairs, out, &[]),
                (true, false) => combine::<I, DISTANCES, W, true, false, false, false>(isa, half, pairs, out, &[]),
                (true, true) => combine::<I, DISTANCES, W, true, false, false, true>(isa, half, pairs, out, &[]),
            };
        }
    }
}

struct CombineWithGradient<'a> {
    parents: Parents<'a>,
    sources: &'a [f64],
    y: &'a [f64],
    segments: &'a [f64],
    /// To spectra, and to the gradient.
    add: [bool; 2],
    out: &'a mut [f64],
    gradient: &'a mut SiblingsGradient,
}

impl Kernel<f64> for CombineWithGradient<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { parents, sources, y, segments, add: [add, add_gradient], out, gradient } = self;
        let half = parents.level.half;
        for (target, out) in out.chunks_exact_mut(parents.level.block()).enumerate() {
            let (pairs, y) = (parents.of_target(target, sources, segments), parents.child(y, target));
            let new = match (add, target > 0) {
                (false, false) => combine::<I, DISTANCES, W, false, false, true, false>(isa, half, pairs, out, y),
                (false, true) => combine::<I, DISTANCES, W, false, false, true, true>(isa, half, pairs, out, y),
                (true, false) => combine::<I, DISTANCES, W, true, false, true, false>(isa, half, pairs, out, y),
                (true, true) => combine::<I, DISTANCES, W, true, false, true, true>(isa, half, pairs, out, y),
            };
            for (p, new) in new.into_iter().enumerate() {
                let sum = &mut gradient[target][before(target, p)];
                let total = if add_gradient { isa.add(isa.load(sum), new) } else { new };
                isa.store(sum, total);
            }
        }
    }
}

struct CombineBack<'a> {
    parents: Parents<'a>,
    y: &'a [f64],
    segments: &'a [f64],
    add: bool,
    sums: &'a mut [f64],
}

impl Kernel<f64> for CombineBack<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { parents, y, segments, add, sums } = self;
        let half = parents.level.half;
        for (source, sums) in sums.chunks_exact_mut(parents.level.block()).enumerate() {
            let pairs = parents.of_source(source, y, segments);
            match (add, source < DISTANCES) {
                (false, false) => combine::<I, DISTANCES, W, false, true, false, false>(isa, half, pairs, sums, &[]),
                (false, true) => combine::<I, DISTANCES, W, false, true, false, true>(isa, half, pairs, sums, &[]),
                (true, false) => combine::<I, DISTANCES, W, true, true, false, false>(isa, half, pairs, sums, &[]),
                (true, true) => combine::<I, DISTANCES, W, true, true, false, true>(isa, half, pairs, sums, &[]),
            };
        }
    }
}

struct Correlate<'a> {
    parents: Parents<'a>,
    sources: &'a [f64],
    y: &'a [f64],
    add: bool,
    sums: &'a mut [f64],
}

impl Correlate<'_> {
    #[inline(always)]
    fn each<I: Isa<f64>, const ADD: bool>(self, isa: I) {
        let Self { parents, sources, y, sums, .. } = self;
        let half = parents.level.half;
        for (segment, sums) in sums.chunks_exact_mut(parents.level.block()).enumerate() {
            let behind = segment < DISTANCES;
            match segment % DISTANCES {
                0 => correlate::<I, 3, ADD>(isa, half, parents.apart(behind, sources, y), sums),
                1 => correlate::<I, 2, ADD>(isa, half, parents.apart(behind, sources, y), sums),
                _ => correlate::<I, 1, ADD>(isa, half, parents.apart(behind, sources, y), sums),
            }
        }
    }
}

impl Kernel<f64> for Correlate<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        if self.add { self.each::<I, true>(isa) } else { self.each::<I, false>(isa) }
    }
}
