//! Products between the children of a parent, where children are registers: four parents at a time.
//!
//! The first child gets nothing from its siblings, and the last one gives them nothing. So there are three spectra for each parent, those of
//! the first three children as sources or of the last three as targets.

use super::factors::{BETWEEN, Siblings, SiblingsGradient, between};
use super::pairs::{Pair, combine, correlate};
use super::plan::{DISTANCES, Level, W};
use crate::transform::isa::{Isa, Kernel, Kernels};

/// Four parents, one a lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parents<'a> {
    pub level: &'a Level,
    pub siblings: &'a Siblings,
}

impl<'a> Parents<'a> {
    /// Writes, or adds, the spectra of what targets get from their siblings.
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

    fn block(self, spectra: &[f64], number: usize) -> &[f64] {
        &spectra[number * self.level.block()..][..self.level.block()]
    }

    fn pair<'b>(self, target: usize, source: usize, a: &'b [f64], b: &'b [f64]) -> Pair<'b> {
        Pair { a, b, factor: *self.siblings.between(target, source) }
    }

    /// The sources before target P, its neighbour first.
    #[inline(always)]
    fn of_target<'b, const P: usize>(self, sources: &'b [f64], segments: &'b [f64]) -> [Pair<'b>; P] {
        let mut pairs = [Pair::NONE; P];
        for (p, pair) in pairs.iter_mut().enumerate() {
            let source = P - 1 - p;
            *pair = self.pair(P, source, self.block(sources, source), self.level.segment_of(segments, p));
        }
        pairs
    }

    /// The targets behind source 3 − P, its neighbour first.
    #[inline(always)]
    fn of_source<'b, const P: usize>(self, y: &'b [f64], segments: &'b [f64]) -> [Pair<'b>; P] {
        let (mut pairs, source) = ([Pair::NONE; P], DISTANCES - P);
        for (p, pair) in pairs.iter_mut().enumerate() {
            *pair = self.pair(source + p + 1, source, self.block(y, source + p), self.level.segment_of(segments, p));
        }
        pairs
    }

    /// All P pairs of children 4 − P apart.
    #[inline(always)]
    fn apart<'b, const P: usize>(self, sources: &'b [f64], y: &'b [f64]) -> [Pair<'b>; P] {
        let (mut pairs, distance) = ([Pair::NONE; P], DISTANCES + 1 - P);
        for (source, pair) in pairs.iter_mut().enumerate() {
            let target = source + distance;
            *pair = self.pair(target, source, self.block(sources, source), self.block(y, target - 1));
        }
        pairs
    }
}

struct Combine<'a> {
    parents: Parents<'a>,
    sources: &'a [f64],
    segments: &'a [f64],
    add: bool,
    out: &'a mut [f64],
}

impl Combine<'_> {
    #[inline(always)]
    fn target<I: Isa<f64>, const P: usize>(&mut self, isa: I) {
        let Self { parents, sources, segments, add, out } = self;
        let (pairs, out) = (parents.of_target::<P>(sources, segments), &mut out[(P - 1) * parents.level.block()..]);
        combine::<I, P, W, false, false, true>(isa, parents.level.half, pairs, *add, out, &[]);
    }
}

impl Kernel<f64> for Combine<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(mut self, isa: I) {
        self.target::<I, 1>(isa);
        self.target::<I, 2>(isa);
        self.target::<I, 3>(isa);
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

impl CombineWithGradient<'_> {
    #[inline(always)]
    fn target<I: Isa<f64>, const P: usize>(&mut self, isa: I) {
        let Self { parents, sources, y, segments, add: [add, add_gradient], out, gradient } = self;
        let (pairs, y) = (parents.of_target::<P>(sources, segments), parents.block(y, P - 1));
        let out = &mut out[(P - 1) * parents.level.block()..];
        let new = combine::<I, P, W, false, true, true>(isa, parents.level.half, pairs, *add, out, y);
        for (p, new) in new.into_iter().enumerate().skip(1) {
            let sum = &mut gradient[BETWEEN][between(P, P - 1 - p)];
            let total = if *add_gradient { isa.add(isa.load(sum), new) } else { new };
            isa.store(sum, total);
        }
    }
}

impl Kernel<f64> for CombineWithGradient<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(mut self, isa: I) {
        self.target::<I, 1>(isa);
        self.target::<I, 2>(isa);
        self.target::<I, 3>(isa);
    }
}

struct CombineBack<'a> {
    parents: Parents<'a>,
    y: &'a [f64],
    segments: &'a [f64],
    add: bool,
    sums: &'a mut [f64],
}

impl CombineBack<'_> {
    #[inline(always)]
    fn source<I: Isa<f64>, const P: usize>(&mut self, isa: I) {
        let Self { parents, y, segments, add, sums } = self;
        let pairs = parents.of_source::<P>(y, segments);
        let sums = &mut sums[(DISTANCES - P) * parents.level.block()..];
        combine::<I, P, W, true, false, true>(isa, parents.level.half, pairs, *add, sums, &[]);
    }
}

impl Kernel<f64> for CombineBack<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(mut self, isa: I) {
        self.source::<I, 3>(isa);
        self.source::<I, 2>(isa);
        self.source::<I, 1>(isa);
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
    fn apart<I: Isa<f64>, const P: usize, const ONES: bool>(&mut self, isa: I) {
        let Self { parents, sources, y, add, sums } = self;
        let (pairs, sums) = (parents.apart::<P>(sources, y), &mut sums[(DISTANCES - P) * parents.level.block()..]);
        correlate::<I, P, ONES>(isa, parents.level.half, pairs, *add, sums);
    }
}

impl Kernel<f64> for Correlate<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(mut self, isa: I) {
        self.apart::<I, 3, true>(isa);
        self.apart::<I, 2, false>(isa);
        self.apart::<I, 1, false>(isa);
    }
}
