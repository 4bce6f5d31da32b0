//! Krylov products of tridiagonal operators in near-linear time: blocks of places, what passes through them, and what they
//! reflect.
//!
//! `(A^k g)_i` is what reaches place i in k steps along the band. If the places are cut into two blocks, each way there either
//! stays inside a block or crosses the cut; recursion makes a tree. Each block is described by power series in the number of
//! steps (see [`junction::Junction`]), computed from the leaves up, once for each set of parameters. A product `Σ_k t_k A^k g`
//! passes *functionals* down: a place behind an entrance needs `⟨t, series⟩`, and the part of the series up to the entrance,
//! which all places behind it share, is correlated with t there. The transposed product passes sums up, by the same spectra.
//!
//! The length of the series depends on the operator: those of a block that forgets its input soon are cut early. Leaves and
//! small blocks are treated four at a time, in the lanes of a register.
//!
//! *One direction.* Nearly nothing moves against the direction of a shift: with entries u above the diagonal each step
//! back costs a factor of u, and what comes back through 16 places is below the rounding errors of double precision.
//! Then leaves overlap the first 16 places of the next one and compute by themselves what comes back from there, and
//! blocks are passed from left to right only: a third of the spectra, half of the transforms. This is checked, and
//! otherwise blocks are passed both ways.

mod cascade;
mod field;
mod gradients;
mod growth;
mod junction;
mod leaf;
mod passage;
mod plan;
mod ports;
mod products;
mod series;

use super::band::Band;
use field::Lane;
use leaf::{Last, Leaf};
pub(super) use plan::Plan;
use plan::{LANES, Level, Tree};
use ports::Ports;

use std::ops::Range;
use std::sync::Arc;

/// Places that a tree has at least, with two ways through blocks and with one.
const SMALLEST: [usize; 2] = [4, 64];

/// The plans of trees, in the order in which they are tried: where nothing comes back through a few places there is less to do.
pub(super) fn plans(order: usize, rank: usize) -> Vec<Arc<Plan>> {
    match order {
        _ if order < SMALLEST[0] => Vec::new(),
        _ if order < SMALLEST[1] => Plan::new(order, rank, [2]).map(Arc::new).into(),
        _ => Plan::new(order, rank, [1, 2]).map(Arc::new).into(),
    }
}

/// What a tree derives from an operator and its generators.
#[derive(Debug)]
pub(super) struct Scattering {
    /// The three diagonals.
    entries: Vec<f64>,
    /// The largest number in the generators.
    unit: f64,
    /// The largest coefficient of a series, per unit of its source, that is let through.
    growth: f64,
    /// For each group of leaves its diagonals, and its part of the generators.
    leaves: Vec<f64>,
    /// Where the leaves end, and where what they look ahead at does.
    last: Vec<[Last; 2]>,
    /// For each height the room that series have.
    rooms: Vec<usize>,
    /// For each height, group of blocks, end and source the power series of what arrives.
    series: Vec<Vec<f64>>,
    /// For each height and group of pairs the spectra of what enters, over the gain, for each register, entrance and
    /// source; last, for each register, entrance and generator those of the top.
    entering: Vec<Vec<f64>>,
}

impl Scattering {
    /// The tree with its heights.
    fn tree<'a>(&'a self, plan: &'a Plan) -> Tree<'a> {
        Tree { plan, rooms: &self.rooms }
    }

    fn band(&self) -> Band<'_> {
        Band::of(&self.entries)
    }

    /// The entries that join what is before and behind a place: from left to right, and back.
    fn bonds_at(&self, plan: &Plan, middle: usize) -> [f64; 2] {
        let band = self.band();
        let before = if middle == 0 { plan.order - 1 } else { middle - 1 };
        [band.lower[middle], band.upper[before]]
    }

    /// The first places of the right ones of the pairs of a group, one for each lane or the same for all.
    fn middles(tree: Tree<'_>, h: usize, group: usize) -> [usize; LANES] {
        let (lanes, groups) = (tree.lanes(h), tree.groups(h));
        std::array::from_fn(|l| {
            let pair = if lanes == 1 { group } else { l * groups + group };
            tree.plan.starts[(2 * pair + 1) << h]
        })
    }

    /// λ and μ of the pairs of a group.
    fn bonds(&self, tree: Tree<'_>, h: usize, group: usize) -> [Lane; 2] {
        let bonds = Self::middles(tree, h, group).map(|middle| self.bonds_at(tree.plan, middle));
        [bonds.map(|[lambda, _]| lambda), bonds.map(|[_, mu]| mu)]
    }

    /// A group of leaves, cut off from the others.
    fn leaf(&self, plan: &Plan, group: usize) -> Leaf<'_> {
        let width = plan.leaf_width();
        let entries = (3 * width + 1) * LANES;
        let each = entries + plan.rank * width * LANES;
        let (entries, generators) = self.leaves[group * each..][..each].split_at(entries);
        Leaf { entries, generators, last: self.last[group][1], ways: plan.ports.ways }
    }

    /// The places of the leaf of a group that is in a lane.
    fn leaf_places(plan: &Plan, group: usize, lane: usize) -> Range<usize> {
        let leaf = lane * (plan.blocks(0) / LANES) + group;
        plan.starts[leaf]..plan.starts[leaf + 1]
    }

    /// The same with those it looks ahead at: a range, and how many more there are at the beginning.
    fn wide_places(plan: &Plan, group: usize, lane: usize) -> (Range<usize>, usize) {
        let Range { start, end } = Self::leaf_places(plan, group, lane);
        let end = end + plan.overlap;
        (start..end.min(plan.order), end.saturating_sub(plan.order))
    }

    /// Unit vectors at an end of the leaves of a group.
    fn unit(&self, plan: &Plan, group: usize, end: usize, w: &mut [f64]) {
        w.fill(0.0);
        if end + 1 < plan.ports.ways {
            return w[..LANES].fill(1.0);
        }
        let Last { places, masks } = self.last[group][0];
        for (place, mask) in places.into_iter().zip(masks) {
            w[place * LANES..][..LANES].iter_mut().zip(mask).for_each(|(w, m)| *w += m);
        }
    }

    /// The spectra of what meets at the junctions of a group, of the series `[end][source]` of two blocks.
    fn blocks(level: &Level, series: [&[f64]; 2], ports: Ports, blocks: &mut [f64], scratch: &mut [f64]) {
        let (n, len) = (level.block(), series[0].len() / ports.each());
        let [left, all] = ports.met();
        let (left, right) = blocks[..all * n].split_at_mut(left * n);
        for (block, (spectra, series)) in [left, right].into_iter().zip(series).enumerate() {
            for (at, spectrum) in ports.meeting(block).zip(spectra.chunks_exact_mut(n)) {
                level.spectrum(&series[at * len..][..len], spectrum, scratch);
            }
        }
    }

    /// The spectra of what meets where the whole is closed: it is to the left and to the right.
    fn whole(&self, tree: Tree<'_>, blocks: &mut [f64], scratch: &mut [f64]) {
        let h = tree.plan.height();
        Self::blocks(tree.level(h), [&self.series[h]; 2], tree.plan.ports, blocks, scratch);
    }
}
