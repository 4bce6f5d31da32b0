//! The kernels: between spectra and grid, and between grid and values.
//!
//! A *grid* holds the points `2π(q + ½)/L` of the upper half circle and some beyond on either side, which are
//! conjugates of points within. In lanes real and imaginary registers alternate; alone, there is a plane of either.

use super::super::Form;
use super::super::isa::{Isa, Kernel, lanes, lanes_mut};
use super::nodes::{Nodes, Place};
use super::sort::Locate;
use super::unfold::{Fold, Unfold};
use super::window::{padded, width};
use crate::Scalar;

/// Any of the kernels: one function that is compiled in the library, for all crates that use it.
pub enum Step<'a, T> {
    /// Angles to the grid.
    Locate(Locate<'a, T>),
    /// Visits to the grid.
    Place(Place<'a, T>),
    /// Scaling of coefficients.
    Scale(Scale<'a, T>),
    /// Spectra to grids.
    Unfold(Unfold<'a, T>),
    /// The transpose of it.
    Fold(Fold<'a, T>),
    /// Grids to values: in lanes, or to rows one after the other.
    Gather(Form, Gather<'a, T>),
    /// The transpose of it.
    Spread(Form, Spread<'a, T>),
}

impl<T: Scalar> Kernel<T> for Step<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        match self {
            Self::Locate(kernel) => kernel.run(isa),
            Self::Place(kernel) => kernel.run(isa),
            Self::Scale(kernel) => kernel.run(isa),
            Self::Unfold(kernel) => kernel.run(isa),
            Self::Fold(kernel) => kernel.run(isa),
            Self::Gather(Form::Lanes, kernel) => kernel.in_lanes(isa),
            Self::Gather(Form::Single, kernel) => kernel.alone(isa),
            Self::Spread(Form::Lanes, kernel) => kernel.in_lanes(isa),
            Self::Spread(Form::Single, kernel) => kernel.alone(isa),
        }
    }
}

/// Multiplies coefficients, each by its own factor in all lanes.
pub struct Scale<'a, T> {
    pub form: Form,
    pub factors: &'a [T],
    pub from: &'a [T],
    pub to: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Scale<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        if self.form == Form::Lanes {
            let from = lanes::<T>(self.from).iter().zip(self.factors);
            for (to, (from, &factor)) in lanes_mut::<T>(self.to).iter_mut().zip(from) {
                isa.store(to, isa.mul(isa.splat(factor), isa.load(from)));
            }
            return;
        }
        for (to, (&from, &factor)) in self.to.iter_mut().zip(self.from.iter().zip(self.factors)) {
            *to = factor * from;
        }
    }
}

/// Grids to pairs of values, node by node.
pub struct Gather<'a, T> {
    pub nodes: &'a Nodes<T>,
    /// The numbers of one grid.
    pub points: usize,
    pub grid: &'a [T],
    pub values: &'a mut [T],
}

impl<T: Scalar> Gather<'_, T> {
    #[inline(always)]
    fn in_lanes<I: Isa<T>>(self, isa: I) {
        let (grid, values) = (lanes::<T>(self.grid), lanes_mut::<T>(self.values));
        for (visit, weights) in self.nodes.weights.chunks_exact(padded::<T>()).enumerate() {
            let (start, node) = (self.nodes.starts[visit] as usize, self.nodes.nodes[visit] as usize);
            if node == self.nodes.count() {
                continue;
            }
            let points = &grid[2 * start..][..2 * width::<T>()];
            let mut sums = [isa.splat(T::zero()); 4];
            for j in 0..width::<T>() {
                let weight = isa.splat(weights[j]);
                let odd = 2 * (j % 2);
                sums[odd] = isa.mul_add(weight, isa.load(&points[2 * j]), sums[odd]);
                sums[odd + 1] = isa.mul_add(weight, isa.load(&points[2 * j + 1]), sums[odd + 1]);
            }
            let (re, im) = (isa.add(sums[0], sums[2]), isa.add(sums[1], sums[3]));
            let [a, b, c, d] = turn_of::<T>(&self.nodes.turns, visit).map(|x| isa.splat(x));
            let pair = &mut values[2 * node..][..2];
            isa.store(&mut pair[0], isa.mul_add(b, im, isa.mul(a, re)));
            isa.store(&mut pair[1], isa.mul_add(d, im, isa.mul(c, re)));
        }
    }

    #[inline(always)]
    fn alone<I: Isa<T>>(self, isa: I) {
        let (w, rows) = (T::LANES, self.nodes.rows());
        let Nodes { nodes, starts, weights, turns, .. } = self.nodes;
        let visits = starts.chunks_exact(w).zip(nodes.chunks_exact(w));
        let weights = weights.chunks_exact(w * padded::<T>());
        // All rows share the weights while they are at hand.
        for (((starts, nodes), turns), weights) in visits.zip(lanes::<T>(turns).chunks_exact(4)).zip(weights) {
            for (grid, row) in self.grid.chunks_exact(self.points).zip(self.values.chunks_exact_mut(rows)) {
                gather_register::<T, I>(isa, starts, nodes, weights, turns, grid, row);
            }
        }
    }
}

/// A register of visits to one grid.
#[inline(always)]
fn gather_register<T: Scalar, I: Isa<T>>(
    isa: I,
    starts: &[u32],
    nodes: &[u32],
    weights: &[T],
    turns: &[T::Lane],
    grid: &[T],
    row: &mut [T],
) {
    let (grid_re, grid_im) = grid.split_at(grid.len() / 2);
    let mut re = T::tile(isa.splat(T::zero()));
    let mut im = re;
    for lane in 0..T::LANES {
        let start = starts[lane] as usize;
        let weights = lanes::<T>(&weights[lane * padded::<T>()..][..padded::<T>()]);
        let re_points = lanes::<T>(&grid_re[start..][..padded::<T>()]);
        let im_points = lanes::<T>(&grid_im[start..][..padded::<T>()]);
        let (mut x, mut y) = (isa.splat(T::zero()), isa.splat(T::zero()));
        for r in 0..padded::<T>() / T::LANES {
            let weight = isa.load(&weights[r]);
            x = isa.mul_add(weight, isa.load(&re_points[r]), x);
            y = isa.mul_add(weight, isa.load(&im_points[r]), y);
        }
        re.as_mut()[lane] = x;
        im.as_mut()[lane] = y;
    }
    let (re, im) = (totals::<T, I>(isa, re), totals::<T, I>(isa, im));
    let [a, b, c, d] = [0, 1, 2, 3].map(|k| isa.load(&turns[k]));
    let mut cosine = turns[0];
    let mut sine = turns[0];
    isa.store(&mut cosine, isa.mul_add(b, im, isa.mul(a, re)));
    isa.store(&mut sine, isa.mul_add(d, im, isa.mul(c, re)));
    for lane in 0..T::LANES {
        // Visits to no node, and the imaginary part of an unpaired last one, are outside the row.
        let at = 2 * nodes[lane] as usize;
        match row.get_mut(at..at + 2) {
            Some(pair) => {
                pair[0] = cosine.as_ref()[lane];
                pair[1] = sine.as_ref()[lane];
            }
            None => row.get_mut(at..).into_iter().flatten().for_each(|last| *last = cosine.as_ref()[lane]),
        }
    }
}

/// Pairs of values to grids, which start at zero: the transpose of [`Gather`].
pub struct Spread<'a, T> {
    pub nodes: &'a Nodes<T>,
    pub points: usize,
    pub values: &'a [T],
    pub grid: &'a mut [T],
}

impl<T: Scalar> Spread<'_, T> {
    #[inline(always)]
    fn in_lanes<I: Isa<T>>(self, isa: I) {
        let (grid, values) = (lanes_mut::<T>(self.grid), lanes::<T>(self.values));
        for (visit, weights) in self.nodes.weights.chunks_exact(padded::<T>()).enumerate() {
            let (start, node) = (self.nodes.starts[visit] as usize, self.nodes.nodes[visit] as usize);
            if node == self.nodes.count() {
                continue;
            }
            let pair = &values[2 * node..][..2];
            let (x, y) = (isa.load(&pair[0]), isa.load(&pair[1]));
            let [a, b, c, d] = turn_of::<T>(&self.nodes.turns, visit).map(|x| isa.splat(x));
            let (re, im) = (isa.mul_add(c, y, isa.mul(a, x)), isa.mul_add(d, y, isa.mul(b, x)));
            let points = &mut grid[2 * start..][..2 * width::<T>()];
            for j in 0..width::<T>() {
                let weight = isa.splat(weights[j]);
                let (x, y) = (isa.load(&points[2 * j]), isa.load(&points[2 * j + 1]));
                isa.store(&mut points[2 * j], isa.mul_add(weight, re, x));
                isa.store(&mut points[2 * j + 1], isa.mul_add(weight, im, y));
            }
        }
    }

    #[inline(always)]
    fn alone<I: Isa<T>>(self, isa: I) {
        let rows = self.nodes.rows();
        for (visit, weights) in self.nodes.weights.chunks_exact(padded::<T>()).enumerate() {
            let (start, node) = (self.nodes.starts[visit] as usize, self.nodes.nodes[visit] as usize);
            if node == self.nodes.count() {
                continue;
            }
            let (weights, turn) = (lanes::<T>(weights), turn_of::<T>(&self.nodes.turns, visit));
            for (grid, row) in self.grid.chunks_exact_mut(self.points).zip(self.values.chunks_exact(rows)) {
                spread_one::<T, I>(isa, start, weights, turn, &row[2 * node..], grid);
            }
        }
    }
}

/// One node to one grid.
#[inline(always)]
fn spread_one<T: Scalar, I: Isa<T>>(
    isa: I,
    start: usize,
    weights: &[T::Lane],
    [a, b, c, d]: [T; 4],
    values: &[T],
    grid: &mut [T],
) {
    let (x, y) = match *values {
        [x, y, ..] => (x, y),
        [x] => (x, T::zero()),
        [] => return,
    };
    let (re, im) = (isa.splat(a * x + c * y), isa.splat(b * x + d * y));
    let half = grid.len() / 2;
    let (grid_re, grid_im) = grid.split_at_mut(half);
    let re_points = lanes_mut::<T>(&mut grid_re[start..][..padded::<T>()]);
    let im_points = lanes_mut::<T>(&mut grid_im[start..][..padded::<T>()]);
    for r in 0..padded::<T>() / T::LANES {
        let weight = isa.load(&weights[r]);
        let x = isa.mul_add(weight, re, isa.load(&re_points[r]));
        let y = isa.mul_add(weight, im, isa.load(&im_points[r]));
        isa.store(&mut re_points[r], x);
        isa.store(&mut im_points[r], y);
    }
}

/// The entries of the matrix of a visit.
#[inline(always)]
fn turn_of<T: Scalar>(turns: &[T], visit: usize) -> [T; 4] {
    let register = &turns[visit / T::LANES * 4 * T::LANES..][..4 * T::LANES];
    [0, 1, 2, 3].map(|k| register[k * T::LANES + visit % T::LANES])
}

/// The sums of the registers of a tile, side by side.
#[inline(always)]
fn totals<T: Scalar, I: Isa<T>>(isa: I, mut tile: T::Tile<I::V>) -> I::V {
    isa.transpose(&mut tile);
    let values = tile.as_mut();
    let mut len = T::LANES;
    while len > 1 {
        len /= 2;
        for i in 0..len {
            values[i] = isa.add(values[i], values[i + len]);
        }
    }
    values[0]
}
