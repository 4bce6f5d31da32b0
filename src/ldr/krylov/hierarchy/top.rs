//! Products between the children of the whole, which are the four lanes, and of each with itself around the cycle: registers are rotated
//! against each other.
//!
//! Spectra that are rotated stand twice, so that any four numbers in a row of the eight are a rotation.

use super::Lane;
use super::factors::Factors;
use super::pairs::{Pair, combine, correlate_apart};
use super::plan::{CHILDREN, DISTANCES, Level, W};
use crate::transform::isa::{Isa, Kernel, Kernels};

/// The stride of what stands twice.
const TWICE: usize = 2 * W;

/// Segments if distances around the cycle share those of the others, or not.
const SHARED: usize = CHILDREN;
const APART: usize = CHILDREN + DISTANCES;

/// The gradient in the factors of turns.
pub(super) type TurnsGradient = [Lane; APART];

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
    /// Four of them if distances around the cycle share the segments of the others, or seven. The first of four is that of neighbours, whose
    /// factors are one.
    turns: Vec<Turn>,
}

impl Top {
    pub fn new(level: &Level, factors: &Factors) -> Self {
        let turn = |segment: usize| {
            let mut turn = Turn { distance: 0, segment, factor: Lane::default(), back: Lane::default() };
            for (target, source) in pairs().filter(|&(target, source)| level.segment(target, source) == segment) {
                turn.distance = (target + CHILDREN - source) % CHILDREN;
                turn.factor[target] = factors.around(target, source);
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

    /// Writes, or adds, the spectra of what children get from each other.
    pub fn combine(&self, level: &Level, sources: &[f64], segments: &[f64], add: bool, out: &mut [f64]) {
        f64::run(Combine { top: self, level, sources, segments, add, out });
    }

    /// The same, with the gradients, given the spectra of y: in the spectra of the sources, and in the factors of turns. What is to be
    /// added to is told for the products and for the gradients.
    pub fn combine_with_gradient(
        &self,
        level: &Level,
        given: [&[f64]; 2],
        segments: &[f64],
        add: [bool; 2],
        found: [&mut [f64]; 2],
        gradient: &mut TurnsGradient,
    ) {
        f64::run(CombineWithGradient { top: self, level, given, segments, add, found, gradient });
    }

    /// The gradient in the factors of all targets and sources, from that of turns.
    pub fn gradient(level: &Level, turns: &TurnsGradient) -> [Lane; CHILDREN] {
        let mut gradient = [Lane::default(); CHILDREN];
        for (target, source) in pairs() {
            gradient[target][source] = turns[level.segment(target, source)][target];
        }
        gradient
    }

    /// Writes the gradient in the spectra of the segments, four a block.
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
    (0..CHILDREN).flat_map(|target| (0..CHILDREN).map(move |source| (target, source)))
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
        combine::<I, P, TWICE, false, false, FIRST>(isa, level.half, pairs, &[], add, out);
    }
}

impl Kernel<f64> for Combine<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        match self.top.turns.len() {
            SHARED => self.turns::<I, SHARED, true>(isa),
            _ => self.turns::<I, APART, false>(isa),
        }
    }
}

struct CombineWithGradient<'a> {
    top: &'a Top,
    level: &'a Level,
    /// The spectra of sources, and of y.
    given: [&'a [f64]; 2],
    segments: &'a [f64],
    /// To the products, and to the gradients.
    add: [bool; 2],
    /// The products, and the gradient in the sources.
    found: [&'a mut [f64]; 2],
    gradient: &'a mut TurnsGradient,
}

impl CombineWithGradient<'_> {
    #[inline(always)]
    fn turns<I: Isa<f64>, const P: usize, const FIRST: bool>(self, isa: I) {
        let Self { top, level, given: [sources, y], segments, add, found, gradient } = self;
        let (half, [out, sums]) = (level.half, found);
        let pairs = top.of_targets::<P>(level, sources, segments);
        let new = combine::<I, P, TWICE, false, true, FIRST>(isa, half, pairs, y, add[0], out);
        let pairs = top.of_sources::<P>(level, y, segments);
        combine::<I, P, TWICE, true, false, FIRST>(isa, half, pairs, &[], add[1], sums);
        // All sources act by the same factors.
        let add_gradient = add[0] || add[1];
        for (sum, new) in gradient.iter_mut().zip(new) {
            let total = if add_gradient { isa.add(isa.load(sum), new) } else { new };
            isa.store(sum, total);
        }
    }
}

impl Kernel<f64> for CombineWithGradient<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        match self.top.turns.len() {
            SHARED => self.turns::<I, SHARED, true>(isa),
            _ => self.turns::<I, APART, false>(isa),
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

impl Correlate<'_> {
    /// The segments of a block.
    #[inline(always)]
    fn block<I: Isa<f64>, const P: usize>(
        level: &Level,
        turns: &[Turn],
        [sources, y]: [&[f64]; 2],
        block: &mut [f64],
        isa: I,
    ) {
        let mut pairs = [Pair::NONE; P];
        for (pair, turn) in pairs.iter_mut().zip(turns) {
            *pair = Pair { a: &sources[W - turn.distance..], b: y, factor: turn.factor };
        }
        correlate_apart::<I, P, TWICE>(isa, level.half, pairs, block);
    }
}

impl Kernel<f64> for Correlate<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { top, level, sources, y, blocks } = self;
        for (turns, block) in top.turns.chunks(W).zip(blocks.chunks_exact_mut(level.block())) {
            match turns.len() {
                DISTANCES => Self::block::<I, DISTANCES>(level, turns, [sources, y], block, isa),
                _ => Self::block::<I, W>(level, turns, [sources, y], block, isa),
            }
        }
    }
}
