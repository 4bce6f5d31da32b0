//! What a transposed product leaves for the gradient, and the sums that gradients are gathered in: where each of their parts is.

use super::factors::Four;
use super::plan::{CHILDREN, Plan, W, whole};
use super::{Lane, leaves};
use std::ops::Range;

/// Where the states of a transposed product are. What is not kept is written over, level by level.
#[derive(Debug, Clone, Copy)]
pub(super) struct States<'a> {
    pub plan: &'a Plan,
    pub keep: bool,
}

impl States<'_> {
    /// Numbers in all of them.
    pub fn len(self) -> usize {
        let top = self.plan.top();
        if self.keep { self.spectra(top).end } else { self.spectra(0).start + self.longest() }
    }

    fn longest(self) -> usize {
        whole(self.plan.spectra_len(0).max(self.plan.spectra_len(self.plan.top())))
    }

    /// The vector y.
    pub fn y(self) -> Range<usize> {
        0..self.plan.places
    }

    /// y times heads, for the children of a level below the whole.
    pub fn places(self, level: usize) -> Range<usize> {
        let start = self.plan.places * if self.keep { 1 + level } else { 1 };
        start..start + self.plan.places
    }

    /// The spectra of that.
    pub fn spectra(self, level: usize) -> Range<usize> {
        let (places, top) = (self.plan.places, self.plan.top());
        let start = if self.keep { (2 + top + 2 * level) * places } else { 2 * places };
        start..start + whole(self.plan.spectra_len(level))
    }
}

/// Where the sums of gradients are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sums<'a>(pub &'a Plan);

/// Numbers for the factors between the children of a parent.
const BETWEEN: usize = CHILDREN * CHILDREN * W;

/// Numbers before the sums, the first of which tells what is in them.
const START: usize = 2 * W;

/// What sums are made of. One example is held back, so that leaves are added up two at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    /// Whether there are examples that have been added up.
    pub summed: bool,
    /// Whether there is one that is held back.
    pub held: bool,
}

impl Sums<'_> {
    /// Numbers in all of them.
    pub fn len(self) -> usize {
        self.before(self.0.levels.len()).end
    }

    /// What is in the sums. There is nothing once their first number is set to zero.
    pub fn held(self, sums: &[f64]) -> Held {
        Held { summed: sums[0] >= 2.0, held: sums[0] == 1.0 || sums[0] == 3.0 }
    }

    /// Begins to add an example; returns what there was before. If that is nothing, large sums are to be written.
    pub fn begin(self, sums: &mut [f64]) -> Held {
        let before = self.held(sums);
        if before == (Held { summed: false, held: false }) {
            sums[self.heads()].fill(0.0);
            sums[self.between(0).start..self.len()].fill(0.0);
        }
        sums[0] = match before {
            Held { held: true, .. } => 2.0,
            Held { summed: true, .. } => 3.0,
            _ => 1.0,
        };
        before
    }

    /// In heads.
    pub fn heads(self) -> Range<usize> {
        START..START + self.0.places
    }

    /// The vector y of the example that is held back, and its table of a generator's leaves.
    pub fn held_y(self) -> Range<usize> {
        let start = self.heads().end;
        start..start + self.0.places
    }

    /// See [`Sums::held_y`].
    pub fn held_table(self, generator: usize) -> Range<usize> {
        let (start, len) = (self.held_y().end, self.0.leaf * self.0.leaf);
        start + generator * whole(len)..start + generator * whole(len) + len
    }

    /// In the vectors of the leaves of a generator.
    pub fn vectors(self, generator: usize) -> Range<usize> {
        let (start, len) = (self.held_table(self.0.rank).start, leaves::len(self.0));
        start + generator * len..start + (generator + 1) * len
    }

    /// In the spectra of the sources of a level and generator.
    pub fn spectra(self, level: usize, generator: usize) -> Range<usize> {
        let (places, rank) = (self.0.places, self.0.rank);
        let start = self.vectors(rank).start + 2 * places * (level * rank + generator);
        start..start + 2 * places
    }

    /// In the factors between children.
    pub fn between(self, level: usize) -> Range<usize> {
        let start = self.spectra(self.0.levels.len(), 0).start;
        let before: usize = (0..level).map(|level| self.0.parents(level) * BETWEEN).sum();
        start + before..start + before + self.0.parents(level.min(self.0.top())) * BETWEEN
    }

    /// In the products of the siblings before each child.
    pub fn before(self, level: usize) -> Range<usize> {
        let each = CHILDREN * W;
        let start = self.between(self.0.levels.len()).start;
        let before: usize = (0..level.min(self.0.top())).map(|level| self.0.parents(level) * each).sum();
        let len = if level < self.0.top() { self.0.parents(level) * each } else { 0 };
        start + before..start + before + len
    }
}

/// The sums in the factors between children, parent by parent.
pub(super) fn betweens(sums: &mut [f64]) -> impl Iterator<Item = &mut [Four; CHILDREN]> {
    let lanes: &mut [Lane] = crate::transform::isa::lanes_mut::<f64>(sums);
    lanes.as_chunks_mut::<CHILDREN>().0.as_chunks_mut::<CHILDREN>().0.iter_mut()
}
