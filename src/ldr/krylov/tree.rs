//! The plan of a tree of blocks: where they begin, how long their series are, and the transforms.

use crate::transform::{Form, Into, RealTransform, Side, Wrap};

/// Ways through a block: from left to right, and back.
pub(super) const WAYS: usize = 2;

/// Places in a leaf at most.
const LEAF: usize = 64;

/// Places from which on the series of a block can be lean, and very lean.
const LEAN: [usize; 2] = [512, 4096];

/// A binary tree over N places, with 2^p leaves of nearly equal size. Height 0 is that of the leaves, p that of the whole.
#[derive(Debug)]
pub(super) struct Tree {
    pub order: usize,
    pub rank: usize,
    /// What a leaf's places are rounded up to.
    pub width: usize,
    /// Where the leaves begin, and N.
    pub starts: Vec<usize>,
    /// Whether the series of large blocks are lean.
    lean: bool,
    /// The transform of the junctions of the blocks of each height, and that of the ends of the whole.
    transforms: Vec<RealTransform<f64>>,
    /// The spectra of z.
    zs: Vec<Vec<f64>>,
}

impl Tree {
    /// Where a lean tree has anything to save.
    pub fn is_worth_leaning(order: usize) -> bool {
        order > 2 * LEAN[0]
    }

    /// A tree has room for what takes twice as many steps through a block as it has places; a lean one half or an eighth more
    /// steps than places, once blocks are large.
    pub fn new(order: usize, rank: usize, lean: bool) -> Self {
        let leaves = order.div_ceil(LEAF).next_power_of_two();
        let width = order.div_ceil(leaves).next_multiple_of(16);
        let starts = (0..=leaves).map(|leaf| leaf * order / leaves).collect();
        let height = leaves.trailing_zeros() as usize;
        let mut tree = Self { order, rank, width, starts, lean, transforms: Vec::new(), zs: Vec::new() };
        let size = |h: usize| if h < height { 2 * tree.series(h) } else { (2 * width) << h };
        tree.transforms = (0..=height).map(|h| RealTransform::new(size(h), Wrap::Negacyclic)).collect();
        tree.zs = (0..=height)
            .map(|h| {
                let (mut z, mut scratch) = (vec![0.0; tree.size(h)], vec![0.0; tree.transform_scratch()]);
                tree.spectrum(h, &[0.0, 1.0], 1.0, &mut z, &mut scratch);
                z
            })
            .collect();
        tree
    }

    /// The height p of the whole.
    pub fn height(&self) -> usize {
        self.transforms.len() - 1
    }

    pub fn leaves(&self) -> usize {
        self.starts.len() - 1
    }

    /// Blocks of a height.
    pub fn blocks(&self, h: usize) -> usize {
        self.leaves() >> h
    }

    /// Sources: the ways in, and the generators.
    pub fn sources(&self) -> usize {
        WAYS + self.rank
    }

    /// Coefficients that the series of a block of a height have, which is checked to be enough.
    pub fn series(&self, h: usize) -> usize {
        let places = self.width << h;
        if !self.lean || places < LEAN[0] {
            return WAYS * places;
        }
        // Transforms are fast whose length is 1, 3 or 9 times a power of two.
        let very = places >= LEAN[1] && self.width.is_power_of_two();
        places + if very { places / 8 } else { places / 2 }
    }

    /// How many coefficients of a block's series may differ from zero: the others show that it has died away.
    pub fn margin(&self, h: usize) -> usize {
        let len = self.series(h);
        match len / (self.width << h) {
            1 => len - len / 32,
            _ => len - len / 8,
        }
    }

    /// The length of the transform at a height; twice the length of the series that meet, or 2N or more at the top.
    pub fn size(&self, h: usize) -> usize {
        self.transforms[h].len()
    }

    /// The spectrum of z at a height.
    pub fn z(&self, h: usize) -> &[f64] {
        &self.zs[h]
    }

    /// The first place of the right one of a pair of blocks of height h.
    pub fn middle(&self, h: usize, pair: usize) -> usize {
        self.starts[(2 * pair + 1) << h]
    }

    pub fn gain(&self, h: usize) -> f64 {
        self.transforms[h].gain()
    }

    pub fn transform_scratch(&self) -> usize {
        self.transforms.iter().map(RealTransform::scratch_len).max().unwrap_or(0)
    }

    /// The spectrum of a signal times `scale`, continued by zeros.
    pub fn spectrum(&self, h: usize, signal: &[f64], scale: f64, spectrum: &mut [f64], scratch: &mut [f64]) {
        let signal = &signal[..signal.len().min(spectrum.len())];
        let (head, tail) = spectrum.split_at_mut(signal.len());
        head.iter_mut().zip(signal).for_each(|(s, x)| *s = scale * x);
        tail.fill(0.0);
        self.transforms[h].forward(Form::Single, spectrum, scratch);
    }

    /// The gain times the signal of a spectrum, in place.
    pub fn signal(&self, h: usize, spectrum: &mut [f64], scratch: &mut [f64]) {
        self.transforms[h].inverse(Form::Single, spectrum, scratch);
    }

    /// Adds `a s`, or `a conj(s)`, to a spectrum.
    pub fn add_product(&self, h: usize, side: Side, sum: &mut [f64], a: &[f64], s: &[f64]) {
        self.transforms[h].multiply(Form::Single, Into::Add, side, sum, a, s);
    }

    /// Numbers in the spectra of every height, for so many of them in a block, the top counting as one block.
    pub fn spectra(&self, in_pair: usize, on_top: usize) -> usize {
        let pairs: usize = (0..self.height()).map(|h| self.blocks(h + 1) * in_pair * self.size(h)).sum();
        pairs + on_top * self.size(self.height())
    }
}
