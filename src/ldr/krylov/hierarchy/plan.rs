//! The plan of a hierarchy: how places are cut, which lags a level needs, and the transforms.

use super::Lane;
use super::pairs::lane_sums;
use crate::matrix::take;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};
use crate::transform::{Form, Order, Ring, Turn, rows};

pub(super) const W: usize = f64::LANES;

/// Children of a parent.
pub(super) const CHILDREN: usize = 4;

/// Places of a leaf: no prime factor is above 7.
const LEAVES: [usize; 7] = [3, 4, 5, 6, 7, 8, 10];

/// Places of the largest leaf.
const LONGEST: usize = LEAVES[LEAVES.len() - 1];

/// Distances between the children of a parent.
pub(super) const DISTANCES: usize = CHILDREN - 1;

/// Numbers behind the real and behind the imaginary parts of spectra: a cache line, without which those whose length is
/// a power of two would all be in the same sets of a cache.
pub(super) const GAP: usize = 2 * W;

/// Segments in a block.
const SEGMENTS: usize = W;

/// N places, rounded up to `leaf · 4^levels` of them. Place p is number `p mod (P/4)` of lane `p / (P/4)`: the four
/// children of the root are the lanes, all others lie in one lane, and four of them side by side.
#[derive(Debug)]
pub(in super::super) struct Plan {
    pub order: usize,
    pub rank: usize,
    /// Places of a leaf.
    pub leaf: usize,
    /// The number P.
    pub places: usize,
    /// From the blocks, the parents of leaves, up to the root, which is another one.
    pub(super) levels: Vec<Level>,
    /// Numbers in the spectra of one source that are below each level, and fours of parents.
    pub(super) below: Vec<[usize; 2]>,
}

/// Parents of one size.
#[derive(Debug)]
pub(super) struct Level {
    /// Places of a child.
    pub half: usize,
    /// Of 2h real numbers modulo `x^{2h} + 1`, which are h complex ones modulo `x^h − i`. Only blocks do without: no
    /// length has a prime factor above 7.
    ring: Option<Ring<f64>>,
    /// Where among the padded lags the segments of the distances begin: those to children before, then, for the root,
    /// those around the cycle, to the child itself first. For the root both are the same if nothing is padded.
    pub starts: Vec<usize>,
    /// Where the padded lags end.
    end: usize,
}

impl Plan {
    /// For N from 1 to 2³¹.
    pub fn new(order: usize, rank: usize) -> Self {
        let mut levels = 2;
        while LONGEST << (2 * levels) < order {
            levels += 1;
        }
        let leaf = LEAVES.into_iter().find(|leaf| leaf << (2 * levels) >= order).unwrap_or(LONGEST);
        let places = leaf << (2 * levels);
        let levels: Vec<_> =
            (0..levels).map(|level| Level::new(leaf << (2 * level), level == 0, places, order)).collect();
        let mut plan = Self { order, rank, leaf, places, levels, below: vec![[0; 2]] };
        for level in 0..plan.top() {
            let [sums, parents] = plan.below[level];
            let own = if level == 0 { 0 } else { plan.spectra_len(level) };
            plan.below.push([sums + own, parents + plan.parents(level)]);
        }
        plan
    }

    /// Registers of a vector.
    pub fn registers(&self) -> usize {
        self.places / W
    }

    /// The level of the root, whose children are lanes.
    pub fn top(&self) -> usize {
        self.levels.len() - 1
    }

    /// Registers for the children of a level.
    pub fn children(&self, level: usize) -> usize {
        self.registers() / self.levels[level].half
    }

    /// Groups of four parents of a level, one a lane; for the root, itself.
    pub fn parents(&self, level: usize) -> usize {
        (self.children(level) / CHILDREN).max(1)
    }

    /// Numbers in the spectra of one source, or of y, for those children of a level that are one, and in the gradient in them.
    pub fn spectra_len(&self, level: usize) -> usize {
        self.levels[level].block() * if level == self.top() { 1 } else { DISTANCES * self.parents(level) }
    }

    /// Numbers in the spectra of one parent's children.
    pub fn blocks_len(&self) -> usize {
        let below = self.levels[..self.top()].iter().map(|level| DISTANCES * level.block());
        below.max().unwrap_or(0).max(self.spectra_len(self.top()))
    }

    /// Numbers of a sequence with room for all lags that a segment may have.
    pub fn lags_len(&self) -> usize {
        2 * self.places - self.order + W
    }

    /// Numbers from one such sequence to the next, and whether it is not just the lags.
    pub fn lags_each(&self) -> (usize, bool) {
        if self.order == self.places { (self.order, false) } else { (whole(self.lags_len()), true) }
    }

    /// Where lag 0 is among them.
    pub fn first_lag(&self) -> usize {
        self.places - self.order
    }

    /// Where among the padded lags those from a leaf to another one of its block begin, so far behind it.
    pub fn near(&self, distance: usize) -> usize {
        self.first_lag() + distance * self.leaf + 1 - self.leaf
    }

    /// Puts a vector in lanes.
    pub fn spread(&self, v: &[f64], places: &mut [f64], scratch: &mut [f64]) {
        if v.len() == self.places {
            return rows::load(Form::Lanes, v, self.registers(), Order::Natural, places);
        }
        let padded = &mut scratch[..self.places];
        let (head, tail) = padded.split_at_mut(v.len());
        head.copy_from_slice(v);
        tail.fill(0.0);
        rows::load(Form::Lanes, padded, self.registers(), Order::Natural, places);
    }

    /// Takes a vector out of lanes.
    pub fn collect(&self, places: &[f64], v: &mut [f64], scratch: &mut [f64]) {
        if v.len() == self.places {
            return rows::store(Form::Lanes, places, Order::Natural, v, self.registers());
        }
        let padded = &mut scratch[..self.places];
        rows::store(Form::Lanes, places, Order::Natural, padded, self.registers());
        v.copy_from_slice(&padded[..v.len()]);
    }
}

impl Level {
    fn new(half: usize, is_leaf: bool, places: usize, order: usize) -> Self {
        let first_lag = places - order;
        let before = (0..DISTANCES).map(|d| first_lag + d * half);
        let around = (0..CHILDREN).map(|d| places - (d + 1) * half);
        let is_whole = CHILDREN * half == places;
        let starts = match is_whole {
            false => before.collect(),
            true if first_lag == 0 => around.rev().collect(),
            true => before.chain(around).collect(),
        };
        let ring = if is_leaf { None } else { Ring::for_real(half, Turn::QUARTER) };
        Self { half, ring, starts, end: places }
    }

    /// The segment of a target and a source among the children of a parent.
    pub fn segment(&self, target: usize, source: usize) -> usize {
        match target.checked_sub(source + 1) {
            Some(distance) => distance,
            None if self.starts.len() == CHILDREN => DISTANCES - (source - target),
            None => DISTANCES + source - target,
        }
    }

    /// Numbers in a block of four signals.
    pub fn block(&self) -> usize {
        2 * (self.half * W + GAP)
    }

    /// Its real and its imaginary parts.
    fn split<'a>(&self, block: &'a mut [f64]) -> (&'a mut [f64], &'a mut [f64]) {
        let (re, im) = block.split_at_mut(block.len() / 2);
        (&mut re[..self.half * W], &mut im[..self.half * W])
    }

    /// The spectra of four signals of h numbers, continued by zeros.
    pub fn forward(&self, signals: &[f64], block: &mut [f64]) {
        let (re, im) = self.split(block);
        if let Some(ring) = &self.ring {
            ring.forward_from_real(signals, re, im);
        }
    }

    /// The spectra of three children side by side.
    pub fn forward_three(&self, children: &[f64], blocks: &mut [f64]) {
        for (block, child) in blocks.chunks_exact_mut(self.block()).zip(children.chunks_exact(self.half * W)) {
            self.forward(child, block);
        }
    }

    /// `signals ← factor signals + z`, lane by lane, where z is h times the first h numbers of what spectra stand for,
    /// or z; they are used up.
    pub fn inverse(&self, block: &mut [f64], factor: Option<&Lane>, signals: &mut [f64]) {
        let (re, im) = self.split(block);
        if let Some(ring) = &self.ring {
            ring.inverse_to_real(re, im, factor, signals);
        }
    }

    /// Numbers in the spectra of all segments of one sequence.
    pub fn segments_len(&self) -> usize {
        self.blocks_len() + W
    }

    /// The spectra of the segments of a padded sequence, over h: four a block.
    pub fn segments(&self, lags: &[f64], spectra: &mut [f64]) {
        for (starts, block) in self.starts.chunks(SEGMENTS).zip(spectra.chunks_exact_mut(self.block())) {
            f64::run(Load { half: self.half, starts, end: self.end, lags, factor: (self.half as f64).recip(), block });
            let (re, im) = self.split(block);
            if let Some(ring) = &self.ring {
                ring.forward(re, im);
            }
        }
    }

    /// The numbers of a segment's spectrum, one in each register.
    pub fn segment_of<'a>(&self, spectra: &'a [f64], segment: usize) -> &'a [f64] {
        let at = segment / SEGMENTS * self.block() + segment % SEGMENTS;
        &spectra[at..at + self.block()]
    }

    /// Numbers in the spectra of all segments, a block for each.
    pub fn sums_len(&self) -> usize {
        self.starts.len() * self.block()
    }

    /// Numbers in the spectra of all segments, four a block.
    pub fn blocks_len(&self) -> usize {
        self.starts.len().div_ceil(SEGMENTS) * self.block()
    }

    /// Sums over the lanes, for each segment of a level below the root, into one block.
    pub fn gather(&self, sums: &[f64], block: &mut [f64]) {
        f64::run(Gather { sums, block });
    }

    /// Adds to a padded sequence the segments that spectra stand for, four a block; they are used up.
    pub fn add_segments(&self, blocks: &mut [f64], lags: &mut [f64]) {
        for (starts, block) in self.starts.chunks(SEGMENTS).zip(blocks.chunks_exact_mut(self.block())) {
            let (re, im) = self.split(block);
            if let Some(ring) = &self.ring {
                ring.inverse(re, im);
            }
            let factor = (self.half as f64).recip();
            f64::run(AddBack { half: self.half, starts, end: self.end, factor, block, lags });
        }
    }
}

/// Where number q of a segment is among the registers of a block, and its sign. Divided by `x^h = i`, the segment takes
/// the first halves of signals to first halves.
#[inline(always)]
fn turned(q: usize, half: usize) -> (usize, f64) {
    if q < half { (q + half + GAP / W, -1.0) } else { (q - half, 1.0) }
}

/// The same for the register of a tile that begins with q: most tiles are in one half.
#[inline(always)]
fn turned_in_tile(q: usize, l: usize, half: usize) -> (usize, f64) {
    if q < half && half < q + W {
        return turned(q + l, half);
    }
    let (at, sign) = turned(q, half);
    (at + l, sign)
}

/// Up to four segments into the lanes of a block. There are zeros behind the end of the lags.
struct Load<'a> {
    half: usize,
    starts: &'a [usize],
    end: usize,
    lags: &'a [f64],
    factor: f64,
    block: &'a mut [f64],
}

impl Kernel<f64> for Load<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { half, starts, end, lags, factor, block } = self;
        let block = lanes_mut::<f64>(block);
        for q in (0..2 * half).step_by(W) {
            let mut tile = [isa.splat(0.0); W];
            for (tile, start) in tile.iter_mut().zip(starts) {
                if start + q < end {
                    *tile = isa.load(&lanes::<f64>(&lags[start + q..][..W])[0]);
                }
            }
            isa.transpose(&mut tile);
            for l in 0..W {
                let (at, sign) = turned_in_tile(q, l, half);
                isa.store(&mut block[at], isa.mul(tile[l], isa.splat(sign * factor)));
            }
        }
    }
}

/// The sums over the lanes of three blocks, into the first three lanes of one.
struct Gather<'a> {
    sums: &'a [f64],
    block: &'a mut [f64],
}

impl Kernel<f64> for Gather<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { sums, block } = self;
        let len = block.len();
        let sums: [&[Lane]; DISTANCES] = std::array::from_fn(|d| lanes::<f64>(&sums[d * len..][..len]));
        for (k, to) in lanes_mut::<f64>(block).iter_mut().enumerate() {
            let mut tile = [isa.splat(0.0); W];
            for d in 0..DISTANCES {
                tile[d] = isa.load(&sums[d][k]);
            }
            isa.store(to, lane_sums(isa, tile));
        }
    }
}

/// Adds the lanes of a block, times a factor, to their segments, up to the end of the lags.
struct AddBack<'a> {
    half: usize,
    starts: &'a [usize],
    end: usize,
    factor: f64,
    block: &'a [f64],
    lags: &'a mut [f64],
}

impl Kernel<f64> for AddBack<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { half, starts, end, factor, block, lags } = self;
        let block = lanes::<f64>(block);
        for q in (0..2 * half).step_by(W) {
            let mut tile = [isa.splat(0.0); W];
            for l in 0..W {
                let (at, sign) = turned_in_tile(q, l, half);
                tile[l] = isa.mul(isa.load(&block[at]), isa.splat(sign * factor));
            }
            isa.transpose(&mut tile);
            for (tile, start) in tile.iter().zip(starts) {
                if start + q < end {
                    let to = &mut lanes_mut::<f64>(&mut lags[start + q..][..W])[0];
                    let sum = isa.add(*tile, isa.load(to));
                    isa.store(to, sum);
                }
            }
        }
    }
}

/// What a length is rounded up to, so that all that follows begins with a cache line.
pub(super) fn whole(len: usize) -> usize {
    len.next_multiple_of(2 * W)
}

/// Takes numbers off scratch that begins with a cache line, and leaves such.
pub(super) fn take_whole<'a>(scratch: &mut &'a mut [f64], len: usize) -> &'a mut [f64] {
    &mut take(scratch, whole(len))[..len]
}
