//! What a transposed product leaves for the gradient, and the sums that gradients are gathered in: where each of their
//! parts is.

use super::factors::SiblingsGradient;
use super::plan::{CHILDREN, Plan, W, whole};
use super::top::TurnsGradient;
use crate::transform::isa::lanes_mut;

use std::ops::Range;

/// Where the states of a transposed product are. What is not kept is written over, level by level, or every other one.
#[derive(Debug, Clone, Copy)]
pub(super) struct States<'a> {
    pub plan: &'a Plan,
    pub keep: bool,
}

impl States<'_> {
    /// Numbers in all of them.
    pub fn len(self) -> usize {
        self.spectra(self.plan.top()).end
    }

    /// The vector y.
    pub fn y(self) -> Range<usize> {
        0..self.plan.places
    }

    /// y times heads, for the children of a level. Those of leaves and of the root are not kept.
    pub fn places(self, level: usize) -> Range<usize> {
        let top = self.plan.top();
        let number = match level {
            _ if !self.keep => 1 + level % 2,
            0 => top,
            _ if level == top => top.max(2),
            _ => level,
        };
        self.plan.places * number..self.plan.places * (number + 1)
    }

    /// The spectra of that, but for leaves. Below the root those of one parent only, unless they are kept.
    pub fn spectra(self, level: usize) -> Range<usize> {
        let [kept, _] = self.plan.below[level];
        let start =
            if self.keep { (1 + self.plan.top().max(2)) * self.plan.places + kept } else { 3 * self.plan.places };
        start..start + whole(self.plan.spectra_len(level))
    }
}

/// Where the sums of gradients are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sums<'a>(pub &'a Plan);

/// Numbers for the factors of four parents.
const FACTORS: usize = size_of::<SiblingsGradient>() / size_of::<f64>();

/// Numbers before the sums, the first of which tells what is in them.
const START: usize = 2 * W;

impl Sums<'_> {
    /// Numbers in all of them.
    pub fn len(self) -> usize {
        self.all_factors().end
    }

    /// Whether there is anything in the sums. There is nothing once their first number is set to zero.
    pub fn is_begun(sums: &[f64]) -> bool {
        sums[0] != 0.0
    }

    /// Begins to add an example; returns whether there have been others. If not, large sums are to be written.
    pub fn begin(self, sums: &mut [f64]) -> bool {
        let others = Self::is_begun(sums);
        if !others {
            // Without a generator nothing is written.
            let written = if self.0.rank == 0 { self.weights().start } else { self.len() };
            sums[written..self.len()].fill(0.0);
        }
        sums[0] = 1.0;
        others
    }

    /// In heads.
    pub fn heads(self) -> Range<usize> {
        START..START + self.0.places
    }

    /// In the weights inside leaves.
    pub fn weights(self) -> Range<usize> {
        let start = self.heads().end;
        start..start + self.0.places
    }

    /// In generators: inside leaves, and times tails.
    pub fn generators(self) -> Range<usize> {
        let start = self.weights().end;
        start..start + 2 * self.0.rank * self.0.places
    }

    /// In the spectra of the sources of a level, but for leaves, and generator.
    pub fn spectra(self, level: usize, generator: usize) -> Range<usize> {
        let (len, rank) = (self.0.spectra_len(level), self.0.rank);
        let [below, _] = self.0.below[level];
        let start = self.generators().end + below * rank + len * generator;
        start..start + len
    }

    /// In the factors between the children of the root.
    pub fn turns(self) -> Range<usize> {
        let start = self.spectra(self.0.top(), self.0.rank).start;
        start..start + whole(size_of::<TurnsGradient>() / size_of::<f64>())
    }

    /// In the factors of parents below the root.
    pub fn factors(self, level: usize) -> Range<usize> {
        let [_, below] = self.0.below[level];
        let start = self.turns().end + below * FACTORS;
        start..start + self.0.parents(level) * FACTORS
    }

    /// In those of all of them.
    pub fn all_factors(self) -> Range<usize> {
        self.factors(0).start..self.factors(self.0.top() - 1).end
    }
}

/// Sums in factors, parent by parent.
pub(super) fn of_factors(sums: &mut [f64]) -> &mut [SiblingsGradient] {
    lanes_mut::<f64>(sums).as_chunks_mut::<CHILDREN>().0.as_chunks_mut().0
}

/// Sums in the factors of the root.
pub(super) fn of_turns(sums: &mut [f64]) -> Option<&mut TurnsGradient> {
    lanes_mut::<f64>(sums).first_chunk_mut()
}
