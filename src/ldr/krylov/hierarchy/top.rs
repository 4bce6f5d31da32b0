//! Products between the children of the whole, which are the four lanes: registers are rotated against each other.
//!
//! Spectra that are rotated stand twice, so that any four numbers in a row of the eight are a rotation.

use super::Lane;
use super::factors::{Siblings, SiblingsGradient};
use super::pairs::{Pair, combine, combine_both, correlate_apart};
use super::plan::{CHILDREN, DISTANCES, Level, W};
use crate::transform::isa::{Isa, Kernel, Kernels};

/// The stride of what stands twice.
const TWICE: usize = 2 * W;

/// Sources a distance before their targets, around the cycle, as far as they share a segment.
#[derive(Debug, Clone, Copy)]
struct Turn {
    distance: usize,
    segment: usize,
    /// For each target, and for each source; zero where it is another segment.
    factor: Lane,
    back: Lane,
}

/// The whole.
#[derive(Debug)]
pub(super) struct Top {
    /// Three of them if distances around the cycle share the segments of the others, or six. The first of three is that of neighbours, whose
    /// factors are one.
    turns: Vec<Turn>,
}

impl Top {
    pub fn new(level: &Level, siblings: &Siblings) -> Self {
        let turn = |segment: usize| {
            let mut turn = Turn { distance: 0, segment, factor: Lane::default(), back: Lane::default() };
            for (target, source) in pairs().filter(|&(target, source)| level.segment(target, source) == segment) {
                turn.distance = (target + CHILDREN - source) % CHILDREN;
                turn.factor[target] = siblings.between[target][source][0];
                turn.back[source] = turn.factor[target];
            }
            turn
        };
        Self { turns: (0..level.starts.len()).map(turn).collect() }
    }

    /// Writes the spectra of a block twice.
    pub fn double(block: &[f64], spectra: &mut [f64]) {
        for (from, to) in block.chunks_exact(W).zip(spectra.chunks_exact_mut(TWICE)) {
            to[..W].copy_from_slice(from);
            to[W..].copy_from_slice(from);
        }
    }

    /// Writes, or adds, the spectra of what children get from their siblings.
    pub fn combine(&self, level: &Level, sources: &[f64], segments: &[f64], add: bool, out: &mut [f64]) {
        f64::run(Combine { top: self, level, sources, segments, add, out });
    }

    /// The same, with the gradients, given the spectra of y: that in the spectra of the sources is written, or added, that in the factors
    /// between children is added, in the first lane.
    pub fn combine_with_gradient(
        &self,
        level: &Level,
        given: [&[f64]; 2],
        segments: &[f64],
        add: [bool; 2],
        found: [&mut [f64]; 2],
        factors: &mut SiblingsGradient,
    ) {
        let mut gradient = [Lane::default(); 2 * DISTANCES];
        f64::run(CombineWithGradient { top: self, level, given, segments, add, found, gradient: &mut gradient });
        for (target, source) in pairs() {
            factors[target][source][0] += gradient[level.segment(target, source)][target];
        }
    }

    /// Writes the gradient in the spectra of the segments, three a block.
    pub fn correlate(&self, level: &Level, sources: &[f64], y: &[f64], blocks: &mut [f64]) {
        f64::run(Correlate { top: self, level, sources, y, blocks });
    }

    #[inline(always)]
    fn of_targets<'a, const P: usize>(&self, level: &Level, sources: &'a [f64], segments: &'a [f64]) -> [Pair<'a>; P] {
        let mut pairs = [Pair::NONE; P];
        for (pair, turn) in pairs.iter_mut().zip(&self.turns) {
            let a = &sources[W - turn.distance..];
            *pair = Pair { a, b: level.segment_of(segments, turn.segment), factor: turn.factor };
        }
        pairs
    }

    #[inline(always)]
    fn of_sources<'a, const P: usize>(&self, level: &Level, y: &'a [f64], segments: &'a [f64]) -> [Pair<'a>; P] {
        let mut pairs = [Pair::NONE; P];
        for (pair, turn) in pairs.iter_mut().zip(&self.turns) {
            let a = &y[turn.distance..];
            *pair = Pair { a, b: level.segment_of(segments, turn.segment), factor: turn.back };
        }
        pairs
    }
}

/// Targets and sources.
fn pairs() -> impl Iterator<Item = (usize, usize)> {
    let all = (0..CHILDREN).flat_map(|target| (0..CHILDREN).map(move |source| (target, source)));
    all.filter(|(target, source)| target != source)
}

struct Combine<'a> {
    top: &'a Top,
    level: &'a Level,
    sources: &'a [f64],
    segments: &'a [f64],
    add: bool,
    out: &'a mut [f64],
}

impl Combine<'_> {
    #[inline(always)]
    fn turns<I: Isa<f64>, const P: usize, const FIRST: bool>(self, isa: I) {
        let Self { top, level, sources, segments, add, out } = self;
        let pairs = top.of_targets::<P>(level, sources, segments);
        match add {
            false => combine::<I, P, TWICE, false, false, false, FIRST>(isa, level.half, pairs, out, &[]),
            true => combine::<I, P, TWICE, true, false, false, FIRST>(isa, level.half, pairs, out, &[]),
        };
    }
}

impl Kernel<f64> for Combine<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        match self.top.turns.len() {
            DISTANCES => self.turns::<I, DISTANCES, true>(isa),
            _ => self.turns::<I, { 2 * DISTANCES }, false>(isa),
        }
    }
}

struct CombineWithGradient<'a> {
    top: &'a Top,
    level: &'a Level,
    /// The spectra of sources, and of y.
    given: [&'a [f64]; 2],
    segments: &'a [f64],
    /// To what is found: the products, and the gradient in the sources.
    add: [bool; 2],
    found: [&'a mut [f64]; 2],
    gradient: &'a mut [Lane],
}

impl CombineWithGradient<'_> {
    #[inline(always)]
    fn turns<I: Isa<f64>, const P: usize, const FIRST: bool>(self, isa: I) {
        let Self { top, level, given: [sources, y], segments, add, found, gradient } = self;
        let pairs = [top.of_targets::<P>(level, sources, segments), top.of_sources::<P>(level, y, segments)];
        let new = combine_both::<I, P, TWICE, FIRST>(isa, level.half, pairs, y, add, found);
        for (gradient, new) in gradient.iter_mut().zip(new) {
            isa.store(gradient, new);
        }
    }
}

impl Kernel<f64> for CombineWithGradient<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        match self.top.turns.len() {
            DISTANCES => self.turns::<I, DISTANCES, true>(isa),
            _ => self.turns::<I, { 2 * DISTANCES }, false>(isa),
        }
    }
}

struct Correlate<'a> {
    top: &'a Top,
    level: &'a Level,
    sources: &'a [f64],
    y: &'a [f64],
    blocks: &'a mut [f64],
}

impl Kernel<f64> for Correlate<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { top, level, sources, y, blocks } = self;
        let turns = top.turns.as_chunks::<DISTANCES>().0;
        for (turns, block) in turns.iter().zip(blocks.chunks_exact_mut(level.block())) {
            let mut pairs = [Pair::NONE; DISTANCES];
            for (pair, turn) in pairs.iter_mut().zip(turns) {
                *pair = Pair { a: &sources[W - turn.distance..], b: y, factor: turn.factor };
            }
            correlate_apart::<I, DISTANCES, TWICE>(isa, level.half, pairs, block);
        }
    }
}
