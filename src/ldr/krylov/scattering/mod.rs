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
mod junction;
mod leaf;
mod passage;
mod plan;
mod products;
mod series;

use super::band::Band;
use field::Lane;
use junction::{BETA, Junction};
use leaf::{Coefficients, Last, Leaf};
use passage::Pack;
pub(super) use plan::Plan;
use plan::{BLOCK_ROOMS, LANES, Level, Tree, interleave, separate};
use series::{Largest, TAIL};

use crate::transform::isa::Kernels;

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
    /// Goes up the tree. `None` where the series of a block are longer than there is room for, or grow too far to be added in
    /// double precision: the operator reflects or amplifies too much.
    pub fn new(plan: &Plan, entries: &[f64], generators: &[f64]) -> Option<Self> {
        let mut scattering = Self {
            entries: entries.to_vec(),
            unit: generators.iter().fold(0.0, |m: f64, g| m.max(g.abs())),
            leaves: Vec::new(),
            last: Vec::new(),
            rooms: Vec::new(),
            series: Vec::new(),
            entering: Vec::new(),
        };
        scattering.plant(plan, generators);
        let leaf_series = scattering.expand_leaves(plan);
        (plan.first_room()..BLOCK_ROOMS).find_map(|least| scattering.grow(plan, &leaf_series, least))?;
        Some(scattering)
    }

    /// The tree with its heights.
    fn tree<'a>(&'a self, plan: &'a Plan) -> Tree<'a> {
        Tree { plan, rooms: &self.rooms }
    }

    /// Goes up the tree with rooms of a size at least.
    fn grow(&mut self, plan: &Plan, leaf_series: &[f64], least: usize) -> Option<()> {
        self.rooms.clear();
        self.series.clear();
        self.entering.clear();
        let rooms = self.leaf_rooms(plan, leaf_series, least);
        let room = *rooms.first()?;
        self.rooms.push(room);
        self.series.push(series::cut(leaf_series, plan.len(0, plan.leaf_room()) * LANES, plan.len(0, room) * LANES));
        for h in 0..plan.height() {
            self.join(plan, h, least)?;
        }
        self.close(plan)
    }

    pub fn rooms(&self) -> &[usize] {
        &self.rooms
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

    /// Takes the leaves out of the operator and the generators.
    fn plant(&mut self, plan: &Plan, generators: &[f64]) {
        let (groups, width) = (plan.blocks(0) / LANES, plan.width);
        let entries = (3 * width + 1) * LANES;
        let mut leaves = vec![0.0; groups * (entries + plan.rank * width * LANES)];
        let each = leaves.len() / groups;
        for (group, leaf) in leaves.chunks_exact_mut(each).enumerate() {
            let places: [_; LANES] = std::array::from_fn(|lane| Self::leaf_places(plan, group, lane));
            let (lower, rest) = leaf.split_at_mut((width + 1) * LANES);
            let (diagonal, rest) = rest.split_at_mut(width * LANES);
            let (upper, to) = rest.split_at_mut(width * LANES);
            let band = self.band();
            for (lane, places) in places.iter().enumerate() {
                let put = |to: &mut [f64], from: &[f64]| {
                    to[lane..].iter_mut().step_by(LANES).zip(&from[places.clone()]).for_each(|(t, f)| *t = *f);
                };
                put(lower, band.lower);
                put(diagonal, band.diagonal);
                put(upper, band.upper);
                // What leads out of a leaf is not its own.
                lower[lane] = 0.0;
                upper[(places.len() - 1) * LANES + lane] = 0.0;
                for (to, from) in to.chunks_exact_mut(width * LANES).zip(generators.chunks_exact(plan.order)) {
                    put(to, from);
                }
            }
            self.last.push(Last::new(places.map(|places| places.len())));
        }
        self.leaves = leaves;
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

    /// The series of the leaves, with all the room there is.
    fn expand_leaves(&self, plan: &Plan) -> Vec<f64> {
        let each = plan.len(0, plan.leaf_room()) * LANES;
        let mut series = vec![0.0; plan.blocks(0) / LANES * 2 * plan.sources() * each];
        let mut w = vec![0.0; Leaf::vector_len(plan.width)];
        for (at, series) in series.chunks_exact_mut(plan.sources() * each).enumerate() {
            self.unit(at / 2, at % 2, &mut w);
            let (ways, generators) = series.split_at_mut(2 * each);
            self.leaf(plan, at / 2).expand(&mut w, ways, generators);
        }
        series
    }

    /// Rooms that the series of all leaves fit in, `least` or more.
    fn leaf_rooms(&self, plan: &Plan, series: &[f64], least: usize) -> Vec<usize> {
        let all = plan.leaf_room();
        let mut rooms: Vec<usize> = (least..=all).collect();
        let known = plan.len(0, all);
        let each = known * LANES;
        for (at, series) in series.chunks_exact(each).enumerate() {
            let generator = at % plan.sources() >= 2;
            rooms.retain(|&room| self.fits(&Largest::of(series, LANES, plan.margin(0, room, known)), 1.0, generator));
        }
        // What is inside the leaf must have died away as well, not only what is at its ends.
        while let Some(&room) = rooms.first() {
            if (0..plan.blocks(0) / LANES).all(|group| self.is_forgotten(plan, group, plan.margin(0, room, known))) {
                break;
            }
            rooms.remove(0);
        }
        rooms
    }

    /// Whether nothing is left of any source inside the leaves of a group after so many steps.
    fn is_forgotten(&self, plan: &Plan, group: usize, steps: usize) -> bool {
        let leaf = self.leaf(plan, group);
        let mut w = vec![0.0; Leaf::vector_len(plan.width)];
        let (ways, generators) = (vec![0.0; 2 * steps * LANES], vec![0.0; plan.rank * steps * LANES]);
        let t = Coefficients { ways: &ways, generators: &generators };
        (0..plan.sources()).all(|source| {
            let generator = source.checked_sub(2).map(|j| &leaf.generators[j * plan.width * LANES..]);
            match generator {
                None => self.unit(group, source, &mut w),
                Some(generator) => w[..plan.width * LANES].copy_from_slice(&generator[..plan.width * LANES]),
            }
            leaf.combine(t, &mut w);
            let size = if generator.is_some() { self.unit } else { 1.0 };
            series::largest(&w) <= TAIL * size
        })
    }

    /// Takes the blocks of a height to the lanes of the junctions of another one.
    fn rearrange(
        tree: Tree<'_>,
        [from_lanes, to_lanes]: [usize; 2],
        h: usize,
        in_block: usize,
        numbers: &mut Vec<f64>,
    ) {
        if from_lanes == to_lanes {
            return;
        }
        let mut to = vec![0.0; numbers.len()];
        let each = in_block * tree.len(h);
        if to_lanes == 1 {
            separate(numbers, &mut to, each)
        } else {
            interleave(numbers, &mut to, each)
        }
        *numbers = to;
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

    /// Joins the blocks of height h in pairs, with a room of a size at least.
    fn join(&mut self, plan: &Plan, h: usize, least: usize) -> Option<()> {
        let sources = plan.sources();
        let each = 2 * sources;
        let mut scratch = vec![0.0; plan.transform_scratch()];
        let tree = Tree { plan, rooms: &self.rooms };
        let (level, len, lanes) = (tree.level(h), tree.len(h), tree.lanes(h));
        let mut series = self.series.pop()?;
        Self::rearrange(tree, [if h == 0 { LANES } else { tree.lanes(h - 1) }, lanes], h, each, &mut series);
        let (n, gain) = (level.block(), level.gain().recip());
        let room_for = (least..BLOCK_ROOMS).rev().find(|&room| plan.len(h + 1, room) <= level.len())?;
        let mut rooms: Vec<usize> = (least..=room_for).collect();
        let joined_len = plan.len(h + 1, room_for) * lanes;
        let (mut blocks, mut ends) = (vec![0.0; 2 * (sources + 1) * n], vec![0.0; each * n]);
        let mut spectra = vec![0.0; each * n];
        let mut entering = vec![0.0; tree.groups(h) * each * n];
        let mut joined = vec![0.0; tree.groups(h) * each * joined_len];
        let groups = entering.chunks_exact_mut(each * n).zip(joined.chunks_exact_mut(each * joined_len));
        for (group, (entering, joined)) in groups.enumerate() {
            let len = len * lanes;
            let series = &series[group * 2 * each * len..][..2 * each * len];
            Self::blocks(level, series, sources, &mut blocks, &mut scratch);
            let bonds = self.bonds(tree, h, group);
            f64::run(Junction { z: &level.z, bonds, blocks: &blocks, entering: &mut spectra, ends: &mut ends });
            f64::run(Pack { spectra: &spectra, count: each, factor: gain, packed: entering });
            for (at, (end, joined)) in ends.chunks_exact_mut(n).zip(joined.chunks_exact_mut(joined_len)).enumerate() {
                level.signal(end, &mut scratch);
                end.iter_mut().for_each(|e| *e *= gain);
                if let Some(block) = direct(at, sources) {
                    let series = &series[(block * each + at) * len..][..len];
                    end.iter_mut().zip(series).for_each(|(e, s)| *e += s);
                }
                let generator = at % sources >= 2;
                rooms.retain(|&room| self.fits(&Largest::of(end, lanes, plan.margin(h + 1, room, level.len())), 1.0, generator));
                joined.copy_from_slice(&end[..joined_len]);
            }
            rooms.first()?;
            // The spectra wrap around: what enters must be short enough for a correlation of the series' length.
            for (at, signal) in spectra.chunks_exact_mut(n).enumerate() {
                level.signal(signal, &mut scratch);
                let largest = Largest::of(signal, lanes, len / lanes + 1);
                self.fits(&largest, gain, at % sources >= 2).then_some(())?;
            }
        }
        let room = *rooms.first()?;
        self.entering.push(entering);
        self.series.push(series);
        self.series.push(series::cut(&joined, joined_len, plan.len(h + 1, room) * lanes));
        self.rooms.push(room);
        Some(())
    }

    /// Closes the ring: the last place is before the first.
    fn close(&mut self, plan: &Plan) -> Option<()> {
        let (h, sources) = (plan.height(), plan.sources());
        let tree = Tree { plan, rooms: &self.rooms };
        let level = tree.level(h);
        let (n, gain) = (level.block(), level.gain().recip());
        let mut scratch = vec![0.0; plan.transform_scratch()];
        let mut blocks = vec![0.0; 2 * (sources + 1) * n];
        self.whole(tree, &mut blocks, &mut scratch);
        let (mut all, mut ends) = (vec![0.0; 2 * sources * n], vec![0.0; 2 * sources * n]);
        let bonds = self.bonds_at(plan, 0).map(|bond| [bond; LANES]);
        f64::run(Junction { z: &level.z, bonds, blocks: &blocks, entering: &mut all, ends: &mut ends });
        let mut spectra = vec![0.0; 2 * plan.rank * n];
        let from_generators = all.chunks_exact_mut(n).enumerate().filter(|(at, _)| at % sources >= 2);
        for ((_, signal), spectrum) in from_generators.zip(spectra.chunks_exact_mut(n)) {
            level.signal(signal, &mut scratch);
            self.fits(&Largest::of(signal, 1, n - n / 8), gain, true).then_some(())?;
            // Krylov sequences end after N vectors.
            level.replicated(&signal[..plan.order], gain, spectrum, &mut scratch);
        }
        let mut entering = vec![0.0; spectra.len()];
        f64::run(Pack { spectra: &spectra, count: 2 * plan.rank, factor: gain, packed: &mut entering });
        self.entering.push(entering);
        Some(())
    }

    /// The spectra of what meets where the whole is closed: it is to the left and to the right.
    fn whole(&self, tree: Tree<'_>, blocks: &mut [f64], scratch: &mut [f64]) {
        let h = tree.plan.height();
        let series = [&self.series[h][..], &self.series[h]].concat();
        Self::blocks(tree.level(h), &series, tree.plan.sources(), blocks, scratch);
    }
}
