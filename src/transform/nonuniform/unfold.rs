//! Between spectra, in whatever order the transform leaves them, and grids.
//!
//! A *grid* holds the points `2π(q + ½)/L` of the upper half circle and some beyond on either side, which are
//! conjugates of points within. In lanes real and imaginary registers alternate; alone, there is a plane of either.

use super::super::Form;
use super::super::isa::{Isa, Kernel, lanes, lanes_mut};
use super::tiles::Tiles;
use crate::Scalar;

/// Where the points of a grid are in a spectrum.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Points before the first of the upper half circle, and as many behind the last.
    pad: usize,
    /// Of the points of the upper half circle one by one, if there are no tiles.
    within: Vec<Source>,
    /// Of those before and of those behind.
    beyond: Vec<Source>,
    tiles: Option<Tiles>,
}

impl Places {
    /// The places for a spectrum of this order, with as many points beyond either end: the point for even q is at
    /// `2π(j + ¼)/(L/2)` with j = q/2, that for odd q is the conjugate of one of the lower half circle, and those beyond
    /// the ends are the conjugates of their reflections.
    pub fn new<T: Scalar>(order: &[usize], form: Form, pad: usize) -> Self {
        let half = order.len();
        let mut within = vec![Source(0); half];
        for (position, &j) in order.iter().enumerate() {
            let q = if 2 * j < half { 2 * j } else { 2 * (half - 1 - j) + 1 };
            within[q] = Source(2 * position as u32 + (q % 2) as u32);
        }
        let reflected = |q: usize| Source(within[q].0 ^ 1);
        let beyond = (0..pad).rev().chain((half - pad..half).rev()).map(reflected).collect();
        let tiles = (form == Form::Single).then(|| Tiles::new(order, T::LANES)).flatten();
        if tiles.is_some() {
            within = Vec::new();
        }
        Self { pad, within, beyond, tiles }
    }

    /// The points beyond the ends, with their places.
    fn beyond(&self, points: usize) -> impl Iterator<Item = (usize, Source)> {
        (0..self.pad).chain(points - self.pad..points).zip(self.beyond.iter().copied())
    }
}

/// The number of a spectrum that a point of the grid is, twice, and one more for its conjugate.
#[derive(Debug, Clone, Copy)]
struct Source(u32);

impl Source {
    #[inline(always)]
    fn place(self) -> usize {
        (self.0 / 2) as usize
    }

    /// The sign of the imaginary part.
    #[inline(always)]
    fn sign<T: Scalar>(self) -> T {
        if self.0 % 2 == 1 { -T::one() } else { T::one() }
    }
}

/// A spectrum to a grid.
pub struct Unfold<'a, T> {
    pub(super) form: Form,
    pub(super) places: &'a Places,
    pub(super) spectrum: &'a [T],
    pub(super) grid: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Unfold<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        if self.form == Form::Lanes { self.in_lanes(isa) } else { self.alone(isa) }
    }
}

impl<T: Scalar> Unfold<'_, T> {
    #[inline(always)]
    fn in_lanes<I: Isa<T>>(self, isa: I) {
        let places = self.places;
        let (re, im) = self.spectrum.split_at(self.spectrum.len() / 2);
        let (re, im) = (lanes::<T>(re), lanes::<T>(im));
        let (grid, _) = lanes_mut::<T>(self.grid).as_chunks_mut::<2>();
        let points = grid.len();
        for (out, &source) in grid[places.pad..points - places.pad].iter_mut().zip(&places.within) {
            copy::<T, I>(isa, source, re, im, out);
        }
        for (point, source) in places.beyond(points) {
            copy::<T, I>(isa, source, re, im, &mut grid[point]);
        }
    }

    #[inline(always)]
    fn alone<I: Isa<T>>(self, isa: I) {
        let places = self.places;
        let (re, im) = self.spectrum.split_at(self.spectrum.len() / 2);
        let points = self.grid.len() / 2;
        let (grid_re, grid_im) = self.grid.split_at_mut(points);
        let within = places.pad..points - places.pad;
        if let Some(tiles) = &places.tiles {
            tiles.unfold(isa, T::one(), re, &mut grid_re[within.clone()]);
            tiles.unfold(isa, -T::one(), im, &mut grid_im[within]);
        } else {
            let out = grid_re[within.clone()].iter_mut().zip(&mut grid_im[within]);
            for ((x, y), source) in out.zip(&places.within) {
                let at = source.place();
                *x = re[at];
                *y = source.sign::<T>() * im[at];
            }
        }
        for (point, source) in places.beyond(points) {
            let at = source.place();
            grid_re[point] = re[at];
            grid_im[point] = source.sign::<T>() * im[at];
        }
    }
}

/// One point in lanes. No closure: that would be compiled without the instruction set.
#[inline(always)]
fn copy<T: Scalar, I: Isa<T>>(isa: I, source: Source, re: &[T::Lane], im: &[T::Lane], point: &mut [T::Lane; 2]) {
    let at = source.place();
    isa.store(&mut point[0], isa.load(&re[at]));
    isa.store(&mut point[1], isa.mul(isa.splat(source.sign()), isa.load(&im[at])));
}

/// A grid to a spectrum: the transpose of [`Unfold`].
pub struct Fold<'a, T> {
    pub(super) form: Form,
    pub(super) places: &'a Places,
    pub(super) grid: &'a [T],
    pub(super) spectrum: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Fold<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        if self.form == Form::Lanes { self.in_lanes(isa) } else { self.alone(isa) }
    }
}

impl<T: Scalar> Fold<'_, T> {
    #[inline(always)]
    fn in_lanes<I: Isa<T>>(self, isa: I) {
        let places = self.places;
        let half = self.spectrum.len() / 2;
        let (re, im) = self.spectrum.split_at_mut(half);
        let (re, im) = (lanes_mut::<T>(re), lanes_mut::<T>(im));
        let (grid, _) = lanes::<T>(self.grid).as_chunks::<2>();
        let points = grid.len();
        for (from, source) in grid[places.pad..points - places.pad].iter().zip(&places.within) {
            let at = source.place();
            isa.store(&mut re[at], isa.load(&from[0]));
            isa.store(&mut im[at], isa.mul(isa.splat(source.sign()), isa.load(&from[1])));
        }
        for (point, source) in places.beyond(points) {
            let at = source.place();
            let x = isa.add(isa.load(&re[at]), isa.load(&grid[point][0]));
            let y = isa.mul_add(isa.splat(source.sign()), isa.load(&grid[point][1]), isa.load(&im[at]));
            isa.store(&mut re[at], x);
            isa.store(&mut im[at], y);
        }
    }

    #[inline(always)]
    fn alone<I: Isa<T>>(self, isa: I) {
        let places = self.places;
        let half = self.spectrum.len() / 2;
        let (re, im) = self.spectrum.split_at_mut(half);
        let points = self.grid.len() / 2;
        let (grid_re, grid_im) = self.grid.split_at(points);
        let within = places.pad..points - places.pad;
        if let Some(tiles) = &places.tiles {
            tiles.fold(isa, T::one(), &grid_re[within.clone()], re);
            tiles.fold(isa, -T::one(), &grid_im[within], im);
        } else {
            let parts = grid_re[within.clone()].iter().zip(&grid_im[within]);
            for ((&x, &y), source) in parts.zip(&places.within) {
                let at = source.place();
                re[at] = x;
                im[at] = source.sign::<T>() * y;
            }
        }
        for (point, source) in places.beyond(points) {
            let at = source.place();
            re[at] += grid_re[point];
            im[at] += source.sign::<T>() * grid_im[point];
        }
    }
}
