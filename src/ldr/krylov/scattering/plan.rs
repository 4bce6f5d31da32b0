//! The plan of a tree of blocks: where they begin, and the transforms that join blocks of a height.

use std::sync::Arc;

use super::ports::Ports;
use crate::transform::{Form, RealTransform, Wrap};

/// Places in a leaf at most.
const LEAF: usize = 32;

/// Numbers of coefficients, in eighths of the places of a block, that series can be cut to; the last two for leaves
/// only. Transforms are fast whose length is 1, 3 or 9 times a power of two.
const ROOMS: [usize; 5] = [9, 12, 16, 24, 32];

/// Rooms of blocks of two leaves or more.
pub(super) const BLOCK_ROOMS: usize = 3;

/// Places that leaves overlap where there is no way back.
const OVERLAP: usize = 16;

/// Transforms up to this length are taken four side by side, in the lanes of a register.
const SIDE_BY_SIDE: usize = 512;

/// Numbers in a register.
pub(super) const LANES: usize = 4;

/// A binary tree over N places, with 2^p leaves of nearly equal size, four or more. Height 0 is that of the leaves, p
/// that of the whole.
///
/// Small blocks lie in fours, one in each lane of a register: block b of B is in lane ⌊4b/B⌋, so that children of neighbours in
/// lanes are again neighbours.
#[derive(Debug)]
pub struct Plan {
    pub order: usize,
    pub rank: usize,
    pub ports: Ports,
    /// What a leaf's places are rounded up to.
    pub width: usize,
    /// Places of the next leaf that a leaf looks ahead at.
    pub overlap: usize,
    /// Where the leaves begin, and N.
    pub starts: Vec<usize>,
    transforms: Arc<Transforms>,
}

/// The transforms of a tree, which do not depend on the ways through its blocks.
#[derive(Debug)]
struct Transforms {
    /// Those that join blocks of each height, for each room.
    levels: Vec<Vec<Level>>,
    /// The one that closes the ring.
    top: Level,
}

/// The transforms of the junctions of one height.
#[derive(Debug)]
pub struct Level {
    transform: RealTransform<f64>,
    /// Pairs of blocks side by side, 1 or 4.
    pub lanes: usize,
    /// The spectrum of z, for each lane.
    pub z: Vec<f64>,
}

/// A plan with the rooms that an operator needs at each height.
#[derive(Debug, Clone, Copy)]
pub struct Tree<'a> {
    pub plan: &'a Plan,
    pub rooms: &'a [usize],
}

impl Transforms {
    fn new(width: usize, leaves: usize) -> Self {
        let height = leaves.trailing_zeros() as usize;
        let level = |h: usize, room: usize| {
            let n = 2 * len(width, h, room);
            let pairs = leaves >> (h + 1);
            Level::new(n, if n <= SIDE_BY_SIDE && pairs >= LANES { LANES } else { 1 })
        };
        let rooms = |h: usize| if h == 0 { ROOMS.len() } else { BLOCK_ROOMS };
        let levels = (0..height).map(|h| (0..rooms(h)).map(|room| level(h, room)).collect()).collect();
        Self { levels, top: Level::new((2 * width) << height, 1) }
    }
}

impl Plan {
    /// Plans for operators of order N ≥ 4, with so many ways through a block, two or one. Where there is no way back,
    /// leaves overlap: what comes back from the next one comes from its first places, and is computed twice.
    pub fn new<const K: usize>(order: usize, rank: usize, ways: [usize; K]) -> [Self; K] {
        let leaves = order.div_ceil(LEAF).next_power_of_two().max(LANES);
        let width = order.div_ceil(leaves).next_multiple_of(8).max(LEAF / 2);
        let starts: Vec<usize> = (0..=leaves).map(|leaf| leaf * order / leaves).collect();
        let transforms = Arc::new(Transforms::new(width, leaves));
        ways.map(|ways| Self {
            order,
            rank,
            ports: Ports { ways, sources: ways + rank },
            width,
            overlap: if ways == 1 { OVERLAP } else { 0 },
            starts: starts.clone(),
            transforms: transforms.clone(),
        })
    }

    /// The height p of the whole.
    pub fn height(&self) -> usize {
        self.transforms.levels.len()
    }

    /// Blocks of a height.
    pub fn blocks(&self, h: usize) -> usize {
        (self.starts.len() - 1) >> h
    }

    /// Places of a leaf with those it looks ahead at.
    pub fn leaf_width(&self) -> usize {
        self.width + self.overlap
    }

    /// Coefficients in the series of a block of a height, for a room.
    pub fn len(&self, h: usize, room: usize) -> usize {
        len(self.width, h, room)
    }

    /// How many coefficients of a series may differ from zero, if so many are known: the others show that it has died away.
    pub fn margin(&self, h: usize, room: usize, known: usize) -> usize {
        match self.len(h, room) {
            len if len < known => len,
            len if room == 0 => len - len / 32,
            len => len - len / 8,
        }
    }

    /// The smallest room that blocks can have: nine eighths of leaves that are not full would make for slow transforms.
    pub fn first_room(&self) -> usize {
        usize::from(self.width < LEAF)
    }

    /// Rooms up to which the series of leaves are computed, until they fit.
    pub fn leaf_rooms(&self) -> [usize; 2] {
        [BLOCK_ROOMS - 1, self.leaf_room()]
    }

    /// The room that holds all series of a leaf that any tree has.
    pub fn leaf_room(&self) -> usize {
        ROOMS.len() - 1
    }

    /// Numbers in a spectrum, in each lane, of every height up to the top, at the most.
    pub fn blocks_of_heights(&self) -> impl Iterator<Item = usize> {
        let below = self.transforms.levels.iter().map(|rooms| rooms.iter().map(Level::block).max().unwrap_or(0));
        below.chain([self.transforms.top.block()])
    }

    /// Numbers in the spectra of every height below the top, for so many of them in a pair, at the most.
    pub fn spectra(&self, in_pair: usize) -> usize {
        let sizes = self.transforms.levels.iter().map(|rooms| rooms.iter().map(Level::len).max().unwrap_or(0));
        sizes.enumerate().map(|(h, n)| self.blocks(h + 1) * in_pair * n).sum()
    }

    /// Numbers in so many series of all blocks of any height, at the most.
    pub fn series(&self, in_block: usize) -> usize {
        (0..=self.height())
            .map(|h| self.blocks(h) * in_block * self.len(h, if h == 0 { self.leaf_room() } else { BLOCK_ROOMS - 1 }))
            .max()
            .unwrap_or(0)
    }

    /// Numbers of scratch that transforms need.
    pub fn transform_scratch(&self) -> usize {
        let levels = self.transforms.levels.iter().flatten().chain([&self.transforms.top]);
        levels.map(|level| level.transform.scratch_len()).max().unwrap_or(0)
    }
}

fn len(width: usize, h: usize, room: usize) -> usize {
    (width << h) * ROOMS[room] / 8
}

impl Level {
    fn new(n: usize, lanes: usize) -> Self {
        let transform = RealTransform::new(n, Wrap::Negacyclic);
        let mut level = Self { transform, lanes, z: vec![0.0; n * lanes] };
        let (mut z, mut scratch) = (std::mem::take(&mut level.z), vec![0.0; level.transform.scratch_len()]);
        level.replicated(&[0.0, 1.0], 1.0, &mut z, &mut scratch);
        level.z = z;
        level
    }

    /// The length n of the transform.
    pub fn len(&self) -> usize {
        self.transform.len()
    }

    /// Numbers in a spectrum of each lane.
    pub fn block(&self) -> usize {
        self.transform.len() * self.lanes
    }

    pub fn gain(&self) -> f64 {
        self.transform.gain()
    }

    fn form(&self) -> Form {
        if self.lanes == LANES { Form::Lanes } else { Form::Single }
    }

    /// The spectra of the signals of each lane, continued by zeros.
    pub fn spectrum(&self, signal: &[f64], spectrum: &mut [f64], scratch: &mut [f64]) {
        let signal = &signal[..signal.len().min(spectrum.len())];
        let (head, tail) = spectrum.split_at_mut(signal.len());
        head.copy_from_slice(signal);
        tail.fill(0.0);
        self.transform.forward(self.form(), spectrum, scratch);
    }

    /// The spectrum of one signal times `scale`, continued by zeros, in each lane.
    pub fn replicated(&self, signal: &[f64], scale: f64, spectrum: &mut [f64], scratch: &mut [f64]) {
        let signal = &signal[..signal.len().min(self.len())];
        let (head, tail) = spectrum.split_at_mut(signal.len() * self.lanes);
        for (to, from) in head.chunks_exact_mut(self.lanes).zip(signal) {
            to.fill(scale * from);
        }
        tail.fill(0.0);
        self.transform.forward(self.form(), spectrum, scratch);
    }

    /// The gain times the signals of spectra, in place.
    pub fn signal(&self, spectrum: &mut [f64], scratch: &mut [f64]) {
        self.transform.inverse(self.form(), spectrum, scratch);
    }

    /// Adds to one signal those of a spectrum's lanes, times the gain.
    pub fn add_signals(&self, spectrum: &mut [f64], sum: &mut [f64], scratch: &mut [f64]) {
        self.signal(spectrum, scratch);
        for (sum, lanes) in sum.iter_mut().zip(spectrum.chunks_exact(self.lanes)) {
            *sum += lanes.iter().sum::<f64>();
        }
    }
}

impl<'a> Tree<'a> {
    /// Coefficients in the series of a block of a height.
    pub fn len(self, h: usize) -> usize {
        self.plan.len(h, self.rooms[h])
    }

    /// The transforms that join blocks of a height, or close the ring.
    pub fn level(self, h: usize) -> &'a Level {
        let Transforms { levels, top } = &*self.plan.transforms;
        levels.get(h).map_or(top, |rooms| &rooms[self.rooms[h]])
    }

    /// Lanes in which the blocks of a height lie that a junction of that height joins, or a leaf has.
    pub fn lanes(self, h: usize) -> usize {
        self.level(h).lanes
    }

    /// Groups of pairs of blocks of a height, each one in every lane.
    pub fn groups(self, h: usize) -> usize {
        self.plan.blocks(h + 1) / self.lanes(h)
    }

    /// Numbers in the spectra of every height below the top, for so many of them in a pair.
    pub fn spectra(self, in_pair: usize) -> usize {
        (0..self.plan.height()).map(|h| self.groups(h) * in_pair * self.level(h).block()).sum()
    }
}

/// Puts blocks of so many numbers each into lanes.
pub fn interleave(from: &[f64], to: &mut [f64], each: usize) {
    let groups = from.len() / each / LANES;
    let to = &mut to[..from.len()];
    for (g, to) in to.chunks_exact_mut(LANES * each).enumerate() {
        let lanes: [&[f64]; LANES] = std::array::from_fn(|l| &from[(l * groups + g) * each..][..each]);
        for (i, to) in to.chunks_exact_mut(LANES).enumerate() {
            for l in 0..LANES {
                to[l] = lanes[l][i];
            }
        }
    }
}

/// Undoes [`interleave`].
pub fn separate(from: &[f64], to: &mut [f64], each: usize) {
    let groups = from.len() / each / LANES;
    let to = &mut to[..from.len()];
    for (block, to) in to.chunks_exact_mut(each).enumerate() {
        let from = &from[block % groups * LANES * each..][..LANES * each];
        for (to, from) in to.iter_mut().zip(from.chunks_exact(LANES)) {
            *to = from[block / groups];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_of_neighbours_in_lanes_are_neighbours() {
        // Blocks 0 to 7 of two numbers each.
        let blocks: Vec<f64> = (0..16).map(|i| (i / 2) as f64).collect();
        let (mut lanes, mut back) = (vec![0.0; 16], vec![0.0; 16]);
        interleave(&blocks, &mut lanes, 2);
        assert_eq!(lanes[..4], [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(lanes[8..12], [1.0, 3.0, 5.0, 7.0]);
        separate(&lanes, &mut back, 2);
        assert_eq!(back, blocks);
    }

    #[test]
    fn leaves_cover_all_places_and_transforms_fill_registers() {
        for order in [4, 7, 64, 100, 513, 1000, 1100, 2048, 3000] {
            for plan in Plan::new(order, 1, [1, 2]) {
                assert_eq!((plan.starts[0], plan.starts.last()), (0, Some(&order)));
                assert!(
                    plan.starts.windows(2).all(|ends| (1..=plan.width).contains(&(ends[1] - ends[0]))),
                    "N = {order}"
                );
                let Transforms { levels, top } = &*plan.transforms;
                let levels = levels.iter().flat_map(|rooms| &rooms[plan.first_room()..]).chain([top]);
                levels.for_each(|level| assert_eq!(level.block() % (2 * LANES), 0, "N = {order}, n = {}", level.len()));
            }
        }
    }
}
