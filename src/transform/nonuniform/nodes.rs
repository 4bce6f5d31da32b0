//! Nodes on the grid: where they are, the weights of the points around them, and the order in which they are visited.

use super::super::isa::{Isa, Kernel, lanes, lanes_mut};
use super::Step;
use super::angle::{FAR, Turns};
use super::window::{Window, padded, width};
use crate::Scalar;

/// Grid points that share a bucket of the sort.
const BUCKET: u32 = 16;

/// Places on the grid that are visited in turn: neighbours, whose points overlap, do not follow one another, so that none
/// waits for what the one before has just stored.
const STREAMS: usize = 8;

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

/// Nodes where a [`super::Nonuniform`] has placed them.
#[derive(Debug, Clone, Default)]
pub struct Nodes<T> {
    /// Numbers in a row of values: two a node, or one for the last.
    rows: usize,
    count: usize,
    /// By visit, filled up to whole registers: the node, or one behind the last; the first grid point; the weights.
    pub(super) nodes: Vec<u32>,
    pub(super) starts: Vec<u32>,
    pub(super) weights: Vec<T>,
    /// By register of visits: the 2×2 matrices that lead from what the grid gives to the values, entry by entry.
    pub(super) turns: Vec<T>,
    sort: Sort,
}

/// Nodes in their own order, and their order along the grid.
#[derive(Debug, Clone, Default)]
struct Sort {
    angles: Vec<Turns>,
    starts: Vec<u32>,
    order: Vec<u32>,
    buckets: Vec<u32>,
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
        let visits = count.next_multiple_of(T::LANES);
        let Self { nodes, starts, weights, turns, sort, .. } = self;
        sort.run(angles, count, grid);
        nodes.clear();
        nodes.resize(visits, count as u32);
        interleave(&sort.order, nodes);
        starts.resize(visits, 0);
        turns.resize(4 * visits, T::zero());
        weights.resize(visits * padded::<T>(), T::zero());
        let table = &window.table;
        T::nonuniform(Step::Place(Place { grid, angles: &sort.angles, nodes, table, starts, turns, weights }));
    }
}

impl Sort {
    /// Sorts nodes along the grid, bucket by bucket.
    fn run<T: Scalar>(&mut self, angles: &[T], count: usize, grid: Grid) {
        let Self { angles: turns, starts, order, buckets } = self;
        turns.clear();
        turns.resize(count, Turns::ZERO);
        starts.resize(count, 0);
        T::nonuniform(Step::Turn(Turn { angles, turns }));
        for (turns, angle) in turns.iter_mut().zip(angles) {
            if angle.wide().abs() >= FAR {
                *turns = Turns::of(angle.wide());
            }
        }
        T::nonuniform(Step::Locate(Locate { grid, turns, starts }));
        let bucket = |start: u32| (start / BUCKET) as usize;
        buckets.clear();
        buckets.resize(bucket((grid.len / 2 + 2 * grid.pad) as u32) + 2, 0);
        for &start in starts.iter() {
            buckets[bucket(start) + 1] += 1;
        }
        let mut before = 0;
        for count in buckets.iter_mut() {
            before += *count;
            *count = before;
        }
        order.resize(count, 0);
        for (node, &start) in starts.iter().enumerate() {
            let at = &mut buckets[bucket(start)];
            order[*at as usize] = node as u32;
            *at += 1;
        }
    }
}

/// Deals an order out in turn to so many places of it.
fn interleave(order: &[u32], out: &mut [u32]) {
    let each = order.len().div_ceil(STREAMS).max(1);
    let mut out = out.iter_mut();
    for k in 0..each {
        for &node in order[k.min(order.len())..].iter().step_by(each) {
            out.next().into_iter().for_each(|out| *out = node);
        }
    }
}

/// Radians to turns: a kernel for the sake of its plain loop.
pub struct Turn<'a, T> {
    angles: &'a [T],
    turns: &'a mut [Turns],
}

impl<T: Scalar> Kernel<T> for Turn<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, _: I) {
        for (turns, angle) in self.turns.iter_mut().zip(self.angles) {
            *turns = Turns::near(angle.wide());
        }
    }
}

/// Finds the first grid point under the window of each node: another plain loop.
pub struct Locate<'a> {
    grid: Grid,
    turns: &'a [Turns],
    starts: &'a mut [u32],
}

/// 2^52, whose last bit is worth 1: an integer that is added to it is in the low bits.
const TWO_52: f64 = 4_503_599_627_370_496.0;

impl<T: Scalar> Kernel<T> for Locate<'_> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, _: I) {
        for (start, turns) in self.starts.iter_mut().zip(self.turns) {
            let (place, _) = turns.abs().times(self.grid.len as f64);
            *start = (first::<T>(place) + self.grid.pad as f64 + TWO_52).to_bits() as u32;
        }
    }
}

/// The first grid point under the window of a node half a point before this place.
#[inline(always)]
fn first<T: Scalar>(place: f64) -> f64 {
    (place - 0.5 * (1.0 + width::<T>() as f64)).ceil()
}

/// Finds out what every visit needs to know.
pub struct Place<'a, T> {
    grid: Grid,
    angles: &'a [Turns],
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
        let (len, centre, pad) = (self.grid.len as f64, self.grid.centre as f64, self.grid.pad as f64);
        let half = 0.5 * width::<T>() as f64;
        let registers = padded::<T>() / w;
        let visits = self.nodes.chunks_exact(w).zip(self.starts.chunks_exact_mut(w));
        let out = self.turns.chunks_exact_mut(4 * w).zip(self.weights.chunks_exact_mut(w * padded::<T>()));
        for ((nodes, starts), (turns, weights)) in visits.zip(out) {
            let mut angles = T::tile(Turns::ZERO);
            for (angle, &node) in angles.as_mut().iter_mut().zip(nodes) {
                *angle = self.angles.get(node as usize).copied().unwrap_or(Turns::ZERO);
            }
            let mut offsets = T::tile(T::zero());
            for lane in 0..w {
                let angle = angles.as_ref()[lane];
                let sign = T::of(if angle.hi < 0.0 { -1.0 } else { 1.0 });
                let angle = angle.abs();
                let (place, rest) = angle.times(len);
                let first = first::<T>(place);
                starts[lane] = (first + pad + TWO_52).to_bits() as u32;
                // From −1 to 1 where the window's first point goes from its edge to a grid point further in.
                offsets.as_mut()[lane] = T::of(2.0 * ((first - place) - rest + half));
                // The value at the opposite angle is the conjugate.
                let (cos, sin) = angle.cos_sin(centre);
                let (cos, sin) = (T::of(cos), T::of(sin));
                turns[lane] = cos;
                turns[w + lane] = -sin;
                turns[2 * w + lane] = sign * sin;
                turns[3 * w + lane] = sign * cos;
            }
            for (&offset, weights) in offsets.as_ref().iter().zip(weights.chunks_exact_mut(padded::<T>())) {
                let z = isa.splat(offset);
                let mut sums = [isa.splat(T::zero()); 4];
                for coefficients in lanes::<T>(self.table).chunks_exact(registers) {
                    for (sum, c) in sums.iter_mut().zip(coefficients) {
                        *sum = isa.mul_add(*sum, z, isa.load(c));
                    }
                }
                for (weight, &sum) in lanes_mut::<T>(weights).iter_mut().zip(&sums) {
                    isa.store(weight, sum);
                }
            }
        }
    }
}
