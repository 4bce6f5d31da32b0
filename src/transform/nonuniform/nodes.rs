//! Nodes on the grid: where they are, the weights of the points around them, and the order in which they are visited.

use super::super::isa::{Isa, Kernel, lanes, lanes_mut};
use super::Step;
use super::angle::{FAR, Turns, cos_sin};
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
    /// By visit, filled up to whole registers: the first grid point, the node (or one behind the last), and the weights.
    pub(super) starts: Vec<u32>,
    pub(super) nodes: Vec<u32>,
    pub(super) weights: Vec<T>,
    /// By register of visits: the 2×2 matrices that lead from what the grid gives to the values, entry by entry.
    pub(super) turns: Vec<T>,
    located: Located<T>,
}

/// Nodes on the grid, in their own order.
#[derive(Debug, Clone, Default)]
struct Located<T> {
    angles: Vec<Turns>,
    starts: Vec<u32>,
    offsets: Vec<T>,
    cosines: Vec<T>,
    sines: Vec<T>,
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
        let Self { starts, nodes, weights, turns, located, .. } = self;
        located.locate(angles, count, grid);
        located.sort(grid);
        nodes.clear();
        nodes.resize(visits, count as u32);
        interleave(&located.order, nodes);
        let opposite = |node: usize| located.angles[node].hi < 0.0;
        starts.clear();
        turns.clear();
        turns.resize(4 * visits, T::zero());
        weights.clear();
        weights.resize(visits * padded::<T>(), T::zero());
        for (visits, turns) in nodes.chunks_exact(T::LANES).zip(turns.chunks_exact_mut(4 * T::LANES)) {
            for (lane, &node) in visits.iter().enumerate() {
                let node = node as usize;
                if node == count {
                    starts.push(0);
                    continue;
                }
                starts.push(located.starts[node]);
                let (c, s) = (located.cosines[node], located.sines[node]);
                let entries = if opposite(node) { [c, -s, -s, -c] } else { [c, -s, s, c] };
                for (k, entry) in entries.into_iter().enumerate() {
                    turns[k * T::LANES + lane] = entry;
                }
            }
        }
        T::nonuniform(Step::Weigh(Weigh { nodes, offsets: &located.offsets, table: &window.table, weights }));
    }
}

impl<T: Scalar> Located<T> {
    fn locate(&mut self, angles: &[T], count: usize, grid: Grid) {
        self.angles.resize(count, Turns { hi: 0.0, lo: 0.0 });
        self.starts.resize(count, 0);
        for numbers in [&mut self.offsets, &mut self.cosines, &mut self.sines] {
            numbers.resize(count, T::zero());
        }
        if count > angles.len() {
            self.angles[count - 1] = Turns { hi: 0.0, lo: 0.0 };
        }
        let Self { angles: turns, starts, offsets, cosines, sines, .. } = self;
        T::nonuniform(Step::Turn(Turn { angles, turns }));
        for (turns, angle) in turns.iter_mut().zip(angles) {
            if angle.wide().abs() >= FAR {
                *turns = Turns::of(angle.wide());
            }
        }
        T::nonuniform(Step::Locate(Locate { turns, grid, starts, offsets, cosines, sines }));
    }

    /// The order of the nodes along the grid, bucket by bucket.
    fn sort(&mut self, grid: Grid) {
        let Self { starts, order, buckets, .. } = self;
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
        order.resize(starts.len(), 0);
        for (node, &start) in starts.iter().enumerate() {
            let at = &mut buckets[bucket(start)];
            order[*at as usize] = node as u32;
            *at += 1;
        }
    }
}

/// Deals an order out in turn to so many places of it.
fn interleave(order: &[u32], out: &mut [u32]) {
    let each = order.len().div_ceil(STREAMS);
    let mut out = out.iter_mut();
    for k in 0..each {
        for (out, &node) in order.iter().skip(k).step_by(each).zip(&mut out).map(|(node, out)| (out, node)) {
            *out = node;
        }
    }
}

/// Radians to turns.
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

/// Finds nodes on the grid: a kernel for the sake of its plain loop.
pub struct Locate<'a, T> {
    turns: &'a [Turns],
    grid: Grid,
    starts: &'a mut [u32],
    offsets: &'a mut [T],
    cosines: &'a mut [T],
    sines: &'a mut [T],
}

/// 2^52, whose last bit is worth 1: an integer that is added to it is in the low bits.
const TWO_52: f64 = 4_503_599_627_370_496.0;

impl<T: Scalar> Kernel<T> for Locate<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, _: I) {
        let Self { turns, grid, starts, offsets, cosines, sines } = self;
        let (len, centre, pad) = (grid.len as f64, grid.centre as f64, grid.pad as f64);
        let half = 0.5 * width::<T>() as f64;
        let placed = starts.iter_mut().zip(offsets).zip(cosines.iter_mut().zip(sines));
        for (turns, ((start, offset), (cosine, sine))) in turns.iter().zip(placed) {
            let turns = turns.abs();
            let (place, rest) = turns.times(len);
            let first = (place - (0.5 + half)).ceil();
            *start = (first + pad + TWO_52).to_bits() as u32;
            // From −1 to 1 where the window's first point goes from its edge to a grid point further in.
            *offset = T::of(2.0 * ((first - place) - rest + half));
            let (product, rest) = turns.times(centre);
            let (c, s) = cos_sin((product - product.round_ties_even()) + rest);
            *cosine = T::of(c);
            *sine = T::of(s);
        }
    }
}

/// Evaluates the window for every visit.
pub struct Weigh<'a, T> {
    nodes: &'a [u32],
    offsets: &'a [T],
    table: &'a [T],
    weights: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Weigh<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let registers = padded::<T>() / T::LANES;
        let table = lanes::<T>(self.table);
        let weights = lanes_mut::<T>(self.weights).chunks_exact_mut(registers);
        for (&node, weights) in self.nodes.iter().zip(weights) {
            let Some(&offset) = self.offsets.get(node as usize) else { continue };
            let z = isa.splat(offset);
            let mut sums = [isa.splat(T::zero()); 4];
            for coefficients in table.chunks_exact(registers) {
                for (sum, c) in sums.iter_mut().zip(coefficients) {
                    *sum = isa.mul_add(*sum, z, isa.load(c));
                }
            }
            for (weight, &sum) in weights.iter_mut().zip(&sums) {
                isa.store(weight, sum);
            }
        }
    }
}
