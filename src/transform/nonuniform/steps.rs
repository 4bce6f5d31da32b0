//! The kernels: between spectra and grid, and between grid and values.
//!
//! A *grid* holds the points `2π(q + ½)/L` of the upper half circle and some beyond on either side, which are conjugates of points
//! within. In lanes real and imaginary registers alternate; alone, there is a plane of either.

use super::super::isa::{Isa, Kernel, lanes, lanes_mut};
use super::nodes::{Locate, Nodes, Turn, Weigh};
use super::window::{padded, width};
use crate::Scalar;

/// Any of the kernels: one function that is compiled in the library, for all crates that use it.
pub enum Step<'a, T> {
    /// Radians to turns.
    Turn(Turn<'a, T>),
    /// Nodes to the grid.
    Locate(Locate<'a, T>),
    /// Weights of the window.
    Weigh(Weigh<'a, T>),
    /// Spectra to grids, in lanes.
    Unfold(Unfold<'a, T>),
    /// The transpose of it.
    Fold(Fold<'a, T>),
    /// Grids to values, in lanes.
    Gather(Gather<'a, T>),
    /// The transpose of it.
    Spread(Spread<'a, T>),
    /// One grid to values.
    GatherAlone(Gather<'a, T>),
    /// The transpose of it.
    SpreadAlone(Spread<'a, T>),
}

impl<T: Scalar> Kernel<T> for Step<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        match self {
            Self::Turn(kernel) => kernel.run(isa),
            Self::Locate(kernel) => kernel.run(isa),
            Self::Weigh(kernel) => kernel.run(isa),
            Self::Unfold(kernel) => kernel.run(isa),
            Self::Fold(kernel) => kernel.run(isa),
            Self::Gather(kernel) => kernel.in_lanes(isa),
            Self::Spread(kernel) => kernel.in_lanes(isa),
            Self::GatherAlone(kernel) => kernel.alone(isa),
            Self::SpreadAlone(kernel) => kernel.alone(isa),
        }
    }
}

/// Where points of the grid are in a spectrum.
#[derive(Debug, Clone, Copy)]
pub struct Places<'a> {
    /// The complex number for each point of the upper half circle; the conjugate of it for odd points.
    pub places: &'a [u32],
    /// Points before the first one and behind the last.
    pub pad: usize,
}

impl Places<'_> {
    /// The number of a point counted from the first one with padding, and whether it is the conjugate.
    #[inline(always)]
    fn get(self, point: usize) -> (usize, bool) {
        let half = self.places.len();
        let q = match point.checked_sub(self.pad) {
            None => self.pad - 1 - point,
            Some(q) if q < half => q,
            Some(q) => 2 * half - 1 - q,
        };
        let within = point.wrapping_sub(self.pad) == q;
        (self.places[q] as usize, (q % 2 == 1) == within)
    }

    fn points(self) -> usize {
        self.places.len() + 2 * self.pad
    }
}

/// Spectra to grids.
pub struct Unfold<'a, T> {
    pub places: Places<'a>,
    pub spectrum: &'a [T],
    pub grid: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Unfold<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let (re, im) = self.spectrum.split_at(self.spectrum.len() / 2);
        let (re, im) = (lanes::<T>(re), lanes::<T>(im));
        let zero = isa.splat(T::zero());
        for (point, out) in lanes_mut::<T>(self.grid).chunks_exact_mut(2).enumerate().take(self.places.points()) {
            let (at, conjugate) = self.places.get(point);
            isa.store(&mut out[0], isa.load(&re[at]));
            let im = isa.load(&im[at]);
            isa.store(&mut out[1], if conjugate { isa.sub(zero, im) } else { im });
        }
    }
}

/// Adds grids to spectra that start at zero.
pub struct Fold<'a, T> {
    pub places: Places<'a>,
    pub grid: &'a [T],
    pub spectrum: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Fold<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let half = self.spectrum.len() / 2;
        let (re, im) = self.spectrum.split_at_mut(half);
        let (re, im) = (lanes_mut::<T>(re), lanes_mut::<T>(im));
        let zero = isa.splat(T::zero());
        let (pad, points) = (self.places.pad, self.places.points());
        let grid = lanes::<T>(self.grid);
        // Each place is set by its own point, then the padding is added.
        for point in (pad..points - pad).chain(0..pad).chain(points - pad..points) {
            let (at, conjugate) = self.places.get(point);
            let (x, y) = (isa.load(&grid[2 * point]), isa.load(&grid[2 * point + 1]));
            let y = if conjugate { isa.sub(zero, y) } else { y };
            if (pad..points - pad).contains(&point) {
                isa.store(&mut re[at], x);
                isa.store(&mut im[at], y);
            } else {
                let (x, y) = (isa.add(isa.load(&re[at]), x), isa.add(isa.load(&im[at]), y));
                isa.store(&mut re[at], x);
                isa.store(&mut im[at], y);
            }
        }
    }
}

/// One spectrum to a grid.
pub fn unfold_alone<T: Scalar>(places: Places<'_>, spectrum: &[T], grid: &mut [T]) {
    let (re, im) = spectrum.split_at(spectrum.len() / 2);
    let (grid_re, grid_im) = grid.split_at_mut(grid.len() / 2);
    for (point, (x, y)) in grid_re.iter_mut().zip(grid_im).enumerate() {
        let (at, conjugate) = places.get(point);
        *x = re[at];
        *y = if conjugate { -im[at] } else { im[at] };
    }
}

/// The transpose of [`unfold_alone`].
pub fn fold_alone<T: Scalar>(places: Places<'_>, grid: &[T], spectrum: &mut [T]) {
    spectrum.fill(T::zero());
    let half = spectrum.len() / 2;
    let (re, im) = spectrum.split_at_mut(half);
    let (grid_re, grid_im) = grid.split_at(grid.len() / 2);
    for (point, (&x, &y)) in grid_re.iter().zip(grid_im).enumerate() {
        let (at, conjugate) = places.get(point);
        re[at] += x;
        im[at] += if conjugate { -y } else { y };
    }
}

/// Grids to pairs of values, node by node.
pub struct Gather<'a, T> {
    pub nodes: &'a Nodes<T>,
    pub grid: &'a [T],
    pub values: &'a mut [T],
}

impl<T: Scalar> Gather<'_, T> {
    #[inline(always)]
    fn in_lanes<I: Isa<T>>(self, isa: I) {
        let (grid, values) = (lanes::<T>(self.grid), lanes_mut::<T>(self.values));
        let Nodes { starts, nodes, weights, turns, .. } = self.nodes;
        let weights = weights.chunks_exact(padded::<T>());
        for (visit, ((&start, &node), weights)) in starts.iter().zip(nodes).zip(weights).enumerate() {
            if node as usize == self.nodes.count() {
                continue;
            }
            let points = &grid[2 * start as usize..][..2 * width::<T>()];
            let mut sums = [isa.splat(T::zero()); 4];
            for j in 0..width::<T>() {
                let weight = isa.splat(weights[j]);
                let odd = 2 * (j % 2);
                sums[odd] = isa.mul_add(weight, isa.load(&points[2 * j]), sums[odd]);
                sums[odd + 1] = isa.mul_add(weight, isa.load(&points[2 * j + 1]), sums[odd + 1]);
            }
            let (re, im) = (isa.add(sums[0], sums[2]), isa.add(sums[1], sums[3]));
            let [a, b, c, d] = turn_of::<T>(turns, visit).map(|x| isa.splat(x));
            let pair = &mut values[2 * node as usize..][..2];
            isa.store(&mut pair[0], isa.mul_add(b, im, isa.mul(a, re)));
            isa.store(&mut pair[1], isa.mul_add(d, im, isa.mul(c, re)));
        }
    }

    #[inline(always)]
    fn alone<I: Isa<T>>(self, isa: I) {
        let (grid_re, grid_im) = self.grid.split_at(self.grid.len() / 2);
        let Nodes { starts, nodes, weights, turns, .. } = self.nodes;
        let visits = starts.chunks_exact(T::LANES).zip(nodes.chunks_exact(T::LANES));
        let turns = lanes::<T>(turns).chunks_exact(4);
        for (((starts, nodes), weights), turns) in
            visits.zip(weights.chunks_exact(T::LANES * padded::<T>())).zip(turns)
        {
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
                let pair = &mut self.values[2 * nodes[lane] as usize..][..2];
                pair[0] = cosine.as_ref()[lane];
                pair[1] = sine.as_ref()[lane];
            }
        }
    }
}

/// Pairs of values to grids, which start at zero: the transpose of [`Gather`].
pub struct Spread<'a, T> {
    pub nodes: &'a Nodes<T>,
    pub values: &'a [T],
    pub grid: &'a mut [T],
}

impl<T: Scalar> Spread<'_, T> {
    #[inline(always)]
    fn in_lanes<I: Isa<T>>(self, isa: I) {
        let (grid, values) = (lanes_mut::<T>(self.grid), lanes::<T>(self.values));
        let Nodes { starts, nodes, weights, turns, .. } = self.nodes;
        let weights = weights.chunks_exact(padded::<T>());
        for (visit, ((&start, &node), weights)) in starts.iter().zip(nodes).zip(weights).enumerate() {
            if node as usize == self.nodes.count() {
                continue;
            }
            let pair = &values[2 * node as usize..][..2];
            let (x, y) = (isa.load(&pair[0]), isa.load(&pair[1]));
            let [a, b, c, d] = turn_of::<T>(turns, visit).map(|x| isa.splat(x));
            let (re, im) = (isa.mul_add(c, y, isa.mul(a, x)), isa.mul_add(d, y, isa.mul(b, x)));
            let points = &mut grid[2 * start as usize..][..2 * width::<T>()];
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
        let half = self.grid.len() / 2;
        let (grid_re, grid_im) = self.grid.split_at_mut(half);
        let Nodes { starts, nodes, weights, turns, .. } = self.nodes;
        let weights = weights.chunks_exact(padded::<T>());
        for (visit, ((&start, &node), weights)) in starts.iter().zip(nodes).zip(weights).enumerate() {
            if node as usize == self.nodes.count() {
                continue;
            }
            let pair = &self.values[2 * node as usize..][..2];
            let [a, b, c, d] = turn_of::<T>(turns, visit);
            let re = isa.splat(a * pair[0] + c * pair[1]);
            let im = isa.splat(b * pair[0] + d * pair[1]);
            let weights = lanes::<T>(weights);
            let re_points = lanes_mut::<T>(&mut grid_re[start as usize..][..padded::<T>()]);
            let im_points = lanes_mut::<T>(&mut grid_im[start as usize..][..padded::<T>()]);
            for r in 0..padded::<T>() / T::LANES {
                let weight = isa.load(&weights[r]);
                let x = isa.mul_add(weight, re, isa.load(&re_points[r]));
                let y = isa.mul_add(weight, im, isa.load(&im_points[r]));
                isa.store(&mut re_points[r], x);
                isa.store(&mut im_points[r], y);
            }
        }
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
