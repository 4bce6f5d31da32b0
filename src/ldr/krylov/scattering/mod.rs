//! Krylov products of tridiagonal operators in near-linear time: blocks of places, what passes through them, and what they reflect.
//!
//! `(A^k g)_i` is what reaches place i in k steps along the band. Cut the places in two blocks, and the way there is one inside a
//! block, or one that crosses the cut; by recursion, a tree. Each block is described by power series in the number of steps
//! (see [`Junction`]), computed from the leaves up, once for each set of parameters. A product `Σ_k t_k A^k g` hands *functionals* down: a
//! place behind an entrance needs `⟨t, series⟩`, and what the series have in common up to the entrance is correlated with t there. The
//! transposed product hands sums up, by the same spectra.
//!
//! How long series are follows from the operator: those of a block that forgets its input soon are cut early. Leaves and small blocks
//! are treated four at a time, in the lanes of a register.

mod field;
mod gradients;
mod growth;
mod junction;
mod leaf;
mod passage;
mod plan;
mod products;
mod series;

use super::band::Band;
use field::Lane;
use junction::BETA;
use leaf::{Last, Leaf};
pub(super) use plan::Plan;
use plan::{LANES, Level, Tree};

/// Places that a tree has at least, one in each of four leaves.
pub(super) const SMALLEST: usize = LANES;

/// What a tree derives from an operator and its generators.
#[derive(Debug)]
pub(super) struct Scattering {
    /// The three diagonals.
    entries: Vec<f64>,
    /// The largest number in the generators.
    unit: f64,
    /// For each group of leaves its diagonals, and its part of the generators.
    leaves: Vec<f64>,
    last: Vec<Last>,
    /// For each height the room that series have.
    rooms: Vec<usize>,
    /// For each height, group of blocks, end and source the power series of what arrives.
    series: Vec<Vec<f64>>,
    /// For each height and group of pairs the spectra of what enters, over the gain, for each register, entrance and source; last, for
    /// each register, entrance and generator those of the top.
    entering: Vec<Vec<f64>>,
}

/// Where the series at an end from a source are, among those of a block.
fn at(end: usize, source: usize, sources: usize) -> usize {
    end * sources + source
}

/// Among the series of one of two blocks, those that its junction needs in their order: of each source to the end where the blocks
/// meet, and from there to the other end.
fn meeting(block: usize, sources: usize) -> impl Iterator<Item = usize> {
    let (here, there) = (1 - block, block);
    // Behind the left block is β, before the right one α.
    let across = at(there, if block == 0 { BETA } else { junction::ALPHA }, sources);
    (0..sources).map(move |source| at(here, source, sources)).chain([across])
}

/// Which of two blocks contributes to the series `at` of an end of the joined one without crossing the junction.
fn direct(at: usize, sources: usize) -> Option<usize> {
    let (block, source) = (at / sources, at % sources);
    // α is before the left block, β behind the right one.
    let elsewhere = if block == 1 { junction::ALPHA } else { BETA };
    (source != elsewhere).then_some(block)
}

impl Scattering {
    /// The tree with its heights.
    fn tree<'a>(&'a self, plan: &'a Plan) -> Tree<'a> {
        Tree { plan, rooms: &self.rooms }
    }

    pub fn rooms(&self) -> &[usize] { &self.rooms }
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
        let entries = (3 * plan.width + 1) * LANES;
        let each = entries + plan.rank * plan.width * LANES;
        let (entries, generators) = self.leaves[group * each..][..each].split_at(entries);
        Leaf { entries, generators, last: self.last[group] }
    }

    /// The places of the leaf of a group that is in a lane.
    fn leaf_places(plan: &Plan, group: usize, lane: usize) -> std::ops::Range<usize> {
        let leaf = lane * (plan.blocks(0) / LANES) + group;
        plan.starts[leaf]..plan.starts[leaf + 1]
    }

    /// Unit vectors at an end of the leaves of a group.
    fn unit(&self, group: usize, end: usize, w: &mut [f64]) {
        w.fill(0.0);
        if end == 0 {
            return w[..LANES].fill(1.0);
        }
        let Last { places, masks } = self.last[group];
        for (place, mask) in places.into_iter().zip(masks) {
            w[place * LANES..][..LANES].iter_mut().zip(mask).for_each(|(w, m)| *w += m);
        }
    }

    /// The spectra of what meets at the junctions of a group, of series `[block][end][source]`.
    fn blocks(level: &Level, series: &[f64], sources: usize, blocks: &mut [f64], scratch: &mut [f64]) {
        let (n, len) = (level.block(), series.len() / 4 / sources);
        for (block, spectra) in blocks.chunks_exact_mut((sources + 1) * n).enumerate() {
            let series = &series[block * 2 * sources * len..];
            for (at, spectrum) in meeting(block, sources).zip(spectra.chunks_exact_mut(n)) {
                level.spectrum(&series[at * len..][..len], spectrum, scratch);
            }
        }
    }

    /// The spectra of what meets where the whole is closed: it is to the left and to the right.
    fn whole(&self, tree: Tree<'_>, blocks: &mut [f64], scratch: &mut [f64]) {
        let h = tree.plan.height();
        let series = [&self.series[h][..], &self.series[h]].concat();
        Self::blocks(tree.level(h), &series, tree.plan.sources(), blocks, scratch);
    }
}
