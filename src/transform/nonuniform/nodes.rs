//! Nodes on the grid: where they are, the weights of the points around them, and the order in which they are visited.

use super::super::isa::{Isa, Kernel, lanes, lanes_mut};
use super::Step;
use super::angle::Turns;
use super::sort::Sort;
use super::window::{Window, padded, width};
use crate::Scalar;

/// Visits that are placed together.
const BLOCK: usize = 8;

/// The grid that nodes are placed on.
#[derive(Debug, Clone, Copy)]
pub struct Grid {
    /// Grid points on the full circle, at `2π(q + ½)/len`.
    pub len: usize,
    /// Points before the first one, for windows that reach beyond.
    pub pad: usize,
    /// The power of a node that its values are multiplied by.
    pub centre: usize,
}

impl Grid {
    /// The first grid point under the window of a node half a point before this place, counted with the padding.
    #[inline(always)]
    pub(super) fn first<T: Scalar>(self, place: f64) -> u32 {
        index(first::<T>(place) + self.pad as f64)
    }
}

#[inline(always)]
fn first<T: Scalar>(place: f64) -> f64 {
    (place - 0.5 * (1.0 + width::<T>() as f64)).ceil()
}

/// A whole number that is not negative. 2^52, whose last bit is worth 1, brings it into the low bits; a conversion
/// would check its range, one number at a time.
#[inline(always)]
fn index(x: f64) -> u32 {
    (x + 4_503_599_627_370_496.0).to_bits() as u32
}

/// Nodes where a [`super::Nonuniform`] has placed them.
#[derive(Debug, Clone, Default)]
pub struct Nodes<T> {
    /// Numbers in a row of values: two a node, or one for the last.
    rows: usize,
    count: usize,
    /// By visit, filled up to whole blocks: the node, or one behind the last; the first grid point; the weights.
    /// Reading a weight, even from afar, takes less time than computing it.
    pub(super) nodes: Vec<u32>,
    pub(super) starts: Vec<u32>,
    pub(super) weights: Vec<T>,
    /// By register of visits: the 2×2 matrices that lead from what the grid gives to the values, entry by entry.
    pub(super) turns: Vec<T>,
    sort: Sort,
}

impl<T: Scalar> Nodes<T> {
    /// Numbers in a row of values.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Nodes.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Places nodes for rows of so many numbers: ⌊rows/2⌋ angles, and the node 1 if rows is odd.
    pub(super) fn place(&mut self, angles: &[T], rows: usize, grid: Grid, window: &Window<T>) {
        let count = rows.div_ceil(2);
        (self.rows, self.count) = (rows, count);
        let visits = count.next_multiple_of(BLOCK);
        let Self { nodes, starts, weights, turns, sort, .. } = self;
        sort.run(angles, count, grid);
        nodes.resize(visits, 0);
        sort.visits(nodes);
        starts.resize(visits, 0);
        turns.resize(4 * visits, T::zero());
        weights.resize(visits * padded::<T>(), T::zero());
        let table = &window.table;
        T::nonuniform(Step::Place(Place { grid, sort, nodes, table, starts, turns, weights }));
    }
}

/// Evaluates the window.
#[inline(always)]
fn weigh<T: Scalar, I: Isa<T>>(isa: I, table: &[T], offsets: &[T], weights: &mut [T]) {
    let registers = padded::<T>() / T::LANES;
    for (&offset, weights) in offsets.iter().zip(weights.chunks_exact_mut(padded::<T>())) {
        let z = isa.splat(offset);
        let mut sums = [isa.splat(T::zero()); 4];
        for coefficients in lanes::<T>(table).chunks_exact(registers) {
            for (sum, c) in sums.iter_mut().zip(coefficients) {
                *sum = isa.mul_add(*sum, z, isa.load(c));
            }
        }
        for (weight, &sum) in lanes_mut::<T>(weights).iter_mut().zip(&sums) {
            isa.store(weight, sum);
        }
    }
}

/// Finds out what every visit needs to know.
pub struct Place<'a, T> {
    grid: Grid,
    sort: &'a Sort,
    nodes: &'a [u32],
    table: &'a [T],
    starts: &'a mut [u32],
    turns: &'a mut [T],
    weights: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Place<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let w = T::LANES;
        let Self { grid, sort, nodes, table, starts, turns, weights } = self;
        let blocks = nodes.chunks_exact(BLOCK).zip(starts.chunks_exact_mut(BLOCK));
        let out = weights.chunks_exact_mut(BLOCK * padded::<T>()).zip(turns.chunks_exact_mut(4 * BLOCK));
        for ((nodes, starts), (weights, turns)) in blocks.zip(out) {
            // Plain loops over arrays, which become vector instructions.
            let (mut hi, mut lo) = ([0.0; BLOCK], [0.0; BLOCK]);
            for k in 0..BLOCK {
                if let Some(turns) = sort.turns(nodes[k]) {
                    (hi[k], lo[k]) = (turns.hi, turns.lo);
                }
            }
            let (mut first_points, mut places) = ([0; BLOCK], [0.0; BLOCK]);
            let (mut cosines, mut sines, mut signs) = ([0.0; BLOCK], [0.0; BLOCK], [1.0; BLOCK]);
            for k in 0..BLOCK {
                let angle = Turns { hi: hi[k], lo: lo[k] };
                signs[k] = 1f64.copysign(angle.hi);
                let angle = angle.abs();
                let (place, rest) = angle.times(grid.len as f64);
                let first = first::<T>(place);
                first_points[k] = index(first + grid.pad as f64);
                // From −1 to 1 where the window's first point goes from its edge to a grid point further in.
                places[k] = 2.0 * ((first - place) - rest + 0.5 * width::<T>() as f64);
                (cosines[k], sines[k]) = angle.cos_sin(grid.centre as f64);
            }
            starts.copy_from_slice(&first_points);
            weigh(isa, table, &places.map(T::of), weights);
            for k in 0..BLOCK {
                let entry = 4 * (k / w * w) + k % w;
                turns[entry] = T::of(cosines[k]);
                turns[entry + w] = T::of(-sines[k]);
                // The value at the opposite angle is the conjugate.
                turns[entry + 2 * w] = T::of(signs[k] * sines[k]);
                turns[entry + 3 * w] = T::of(signs[k] * cosines[k]);
            }
        }
    }
}
