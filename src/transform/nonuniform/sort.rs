//! The order of nodes along the grid.

use super::super::isa::{Isa, Kernel};
use super::Step;
use super::angle::{FAR, Turns};
use super::nodes::Grid;
use crate::Scalar;

/// Grid points that share a bucket.
const BUCKET: u32 = 16;

/// Places on the grid that are visited in turn: neighbours, whose points overlap, do not follow one another, so that
/// none waits for what the one before has just stored. An odd number, lest the streams of equispaced nodes lie at distances
/// that are powers of two and share the sets of the first-level cache.
const STREAMS: usize = 7;

/// Nodes in their own order, as turns in twice the precision, and their order along the grid.
#[derive(Debug, Clone, Default)]
pub(super) struct Sort {
    hi: Vec<f64>,
    lo: Vec<f64>,
    starts: Vec<u32>,
    order: Vec<u32>,
    buckets: Vec<u32>,
}

impl Sort {
    /// The angle of a node.
    #[inline(always)]
    pub fn turns(&self, node: u32) -> Option<Turns> {
        let (hi, lo) = (self.hi.get(node as usize)?, self.lo.get(node as usize)?);
        Some(Turns { hi: *hi, lo: *lo })
    }

    /// Sorts so many nodes along the grid, bucket by bucket: those of the angles, and 1 if there is one more.
    pub fn run<T: Scalar>(&mut self, angles: &[T], count: usize, grid: Grid) {
        let Self { hi, lo, starts, order, buckets } = self;
        hi.resize(count, 0.0);
        lo.resize(count, 0.0);
        starts.resize(count, 0);
        T::nonuniform(Step::Locate(Locate { grid, angles, hi, lo, starts }));
        let others = angles.iter().enumerate().filter(|(_, angle)| angle.wide().abs() >= FAR);
        let one = (count > angles.len()).then_some((angles.len(), Turns::ZERO));
        for (node, turns) in others.map(|(node, angle)| (node, Turns::of(angle.wide()))).chain(one) {
            (hi[node], lo[node]) = (turns.hi, turns.lo);
            starts[node] = grid.first::<T>(turns.abs().times(grid.len as f64).0);
        }
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

    /// The order of visits, some streams in turn, filled up with a number behind the last node.
    pub fn visits(&self, visits: &mut [u32]) {
        let order = &self.order;
        let each = order.len().div_ceil(STREAMS);
        let mut out = visits.iter_mut();
        for k in 0..each {
            for &node in order[k..].iter().step_by(each) {
                out.next().into_iter().for_each(|out| *out = node);
            }
        }
        out.for_each(|out| *out = order.len() as u32);
    }
}

/// Radians to turns, and to the first grid point under the window: a kernel for the sake of its plain loop.
pub struct Locate<'a, T> {
    grid: Grid,
    angles: &'a [T],
    hi: &'a mut [f64],
    lo: &'a mut [f64],
    starts: &'a mut [u32],
}

impl<T: Scalar> Kernel<T> for Locate<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, _: I) {
        let out = self.hi.iter_mut().zip(self.lo).zip(self.starts);
        for (((hi, lo), start), angle) in out.zip(self.angles) {
            let turns = Turns::near(angle.wide());
            *hi = turns.hi;
            *lo = turns.lo;
            *start = self.grid.first::<T>(turns.abs().times(self.grid.len as f64).0);
        }
    }
}
