//! Products between the children of the root, which are the four lanes, and of each with itself around the cycle:
//! registers are rotated against each other.

use super::Lane;
use super::factors::Factors;
use super::pairs::{Pair, combine, correlate_apart, distance};
use super::plan::{CHILDREN, DISTANCES, Level, W};
use crate::transform::isa::{Isa, Kernel, Kernels};

/// Segments if distances around the cycle share those of the others, or not.
const SHARED: usize = CHILDREN;
const APART: usize = CHILDREN + DISTANCES;

/// The gradient in the factors of turns.
pub(super) type TurnsGradient = [Lane; APART];

/// Sources as far before their targets, around the cycle, as [`distance`] tells, if they share a segment.
#[derive(Debug, Clone, Copy)]
struct Turn {
    /// For each target, and for each source; zero where it is another segment.
    factor: Lane,
    back: Lane,
}

/// The whole.
#[derive(Debug)]
pub(super) struct Top {
    /// Four of them if distances around the cycle share the segments of the others, or seven. The first of four is that
    /// of neighbours, whose factors are one.
    turns: Vec<Turn>,
}

impl Top {
    pub fn new(level: &Level, factors: &Factors) -> Self {
        let turn = |number: usize| {
            let mut turn = Turn { factor: Lane::default(), back: Lane::default() };
            for target in 0..CHILDREN {
                let source = (target + CHILDREN - distance(number)) % CHILDREN;
                if level.segment(target, source) == number {
                    turn.factor[target] = factors.around(target, source);
                    turn.back[source] = turn.factor[target];
                }
            }
            turn
        };
        Self { turns: (0..level.starts.len()).map(turn).collect() }
    }

    /// Writes, or adds, the spectra of what children get from each other.
    pub fn combine(&self, level: &Level, sources: &[f64], segments: &[f64], add: bool, out: &mut [f64]) {
        f64::run(Combine { top: self, level, sources, segments, add, out });
    }

    /// The same, with the gradients, given the spectra of y: in the spectra of the sources, and in the factors of
    /// turns. What is to be added to is told for the products and for the gradients.
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

    /// The segments of turns, with the factors of targets or sources.
    #[inline(always)]
    fn pairs<'a, const P: usize>(&self, level: &Level, segments: &'a [f64], of_targets: bool) -> [Pair<'a>; P] {
        let mut pairs = [Pair::NONE; P];
        for (number, (pair, turn)) in pairs.iter_mut().zip(&self.turns).enumerate() {
            let factor = if of_targets { turn.factor } else { turn.back };
            *pair = Pair { segment: level.segment_of(segments, number), factor };
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
        let pairs = top.pairs::<P>(level, segments, true);
        combine::<I, P, false, false, FIRST>(isa, level.half, pairs, [sources, &[]], add, out);
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
        let pairs = top.pairs::<P>(level, segments, true);
        let new = combine::<I, P, false, true, FIRST>(isa, half, pairs, [sources, y], add[0], out);
        let pairs = top.pairs::<P>(level, segments, false);
        combine::<I, P, true, false, FIRST>(isa, half, pairs, [y, &[]], add[1], sums);
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
    fn block<I: Isa<f64>, const P: usize, const FROM: usize>(
        half: usize,
        turns: &[Turn],
        given: [&[f64]; 2],
        block: &mut [f64],
        isa: I,
    ) {
        let mut factors = [Lane::default(); P];
        for (factor, turn) in factors.iter_mut().zip(turns) {
            *factor = turn.factor;
        }
        correlate_apart::<I, P, FROM>(isa, half, factors, given, block);
    }
}

impl Kernel<f64> for Correlate<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { top, level, sources, y, blocks } = self;
        for (turns, block) in top.turns.chunks(W).zip(blocks.chunks_exact_mut(level.block())) {
            match turns.len() {
                DISTANCES => Self::block::<I, DISTANCES, W>(level.half, turns, [sources, y], block, isa),
                _ => Self::block::<I, W, 0>(level.half, turns, [sources, y], block, isa),
            }
        }
    }
}
