//! Banded matrices by columns: column k has its numbers at k, k − 1, …, k − w + 1, and those below zero lie beyond the band's beginning.
//!
//! Vectors are natural on the side of the columns, and reversed on the other one: *reach* r holds place s at `r[places − 1 − s]`, down to
//! −w, so that a column lies in it as it does in memory. Columns are taken eight at a time, in two groups.

use std::ops::Range;

use crate::ldr::krylov::segments::Aligned;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// What numbers of places and of lags are multiples of.
pub const UNIT: usize = 8;

/// Columns in a group, and what widths are multiples of.
pub const GROUP: usize = LANES;

/// The widest band.
pub const MAX_WIDTH: usize = 128;

/// Numbers in a register.
const LANES: usize = <f64 as Kernels>::LANES;

const _: () = assert!(LANES == 4);

/// The columns −1 to `columns − 2` of a band, with zeros before and behind each of them.
#[derive(Debug)]
pub struct Taps {
    width: usize,
    columns: usize,
    data: Aligned,
}

impl Taps {
    /// So many columns of no width, in memory that may have been used before.
    pub fn new(columns: usize, memory: Aligned) -> Self {
        Self { width: 0, columns, data: memory }
    }

    pub fn into_memory(self) -> Aligned {
        self.data
    }

    /// Widens the columns up to one; those from there on are lost.
    pub fn widen(&mut self, width: usize, end: usize) {
        let mut wide = Self { width, columns: self.columns, data: Aligned::zeros(0) };
        let len = UNIT + self.columns * wide.stride();
        let old = std::mem::replace(&mut self.data, Aligned::zeros(0));
        let more = old.get().len() < len;
        (wide.data, self.data) = if more { (Aligned::zeros(len), old) } else { (old, Aligned::zeros(0)) };
        // From the last one on, for they move to where later ones were.
        for k in (0..if self.width > 0 { end } else { 0 }).rev() {
            let (from, to) = (self.start(k), wide.start(k));
            let (first, next) = (UNIT + (k + 1) * wide.stride(), UNIT + (k + 2) * wide.stride());
            let numbers = wide.data.get_mut();
            match more {
                true => numbers[to..][..self.width].copy_from_slice(&self.numbers()[from..][..self.width]),
                false => numbers.copy_within(from..from + self.width, to),
            }
            numbers[first..to].fill(0.0);
            numbers[to + self.width..next].fill(0.0);
        }
        let first = UNIT + wide.stride();
        wide.numbers_mut()[..first].fill(0.0);
        *self = wide;
    }

    /// Clears what is around the column before column k.
    #[inline(always)]
    pub fn clear(&mut self, k: usize) {
        let (first, width) = (UNIT + k * self.stride(), self.width);
        let room = &mut self.numbers_mut()[first..][..width + GROUP];
        room[..GROUP].fill(0.0);
        room[width..][..GROUP].fill(0.0);
    }

    /// Sets all columns to zero from one on.
    pub fn clear_from(&mut self, k: usize) {
        let (first, len) = (UNIT + (k + 1) * self.stride(), UNIT + self.columns * self.stride());
        self.numbers_mut()[first..len].fill(0.0);
    }

    /// Makes column 0 that of the identity.
    pub fn set_unit(&mut self) {
        self.clear(1);
        let (start, width) = (self.start(0), self.width);
        let column = &mut self.numbers_mut()[start..][..width];
        column.fill(0.0);
        column[0] = 1.0;
    }

    pub fn width(&self) -> usize {
        self.width
    }

    /// Where column k begins in [`Taps::numbers`], with two zeros before it or more.
    ///
    /// Each column has room for four more numbers, and begins where a group's columns are aligned with each other.
    #[inline(always)]
    pub fn start(&self, k: usize) -> usize {
        UNIT + (k + 1) * self.stride() + GROUP - 1 - k % GROUP
    }

    #[inline(always)]
    fn stride(&self) -> usize {
        self.width + GROUP
    }

    pub fn numbers(&self) -> &[f64] {
        self.data.get()
    }

    pub fn numbers_mut(&mut self) -> &mut [f64] {
        self.data.get_mut()
    }

    #[inline(always)]
    pub fn column(&self, k: usize) -> &[f64] {
        &self.numbers()[self.start(k)..][..self.width]
    }

    /// Column −1.
    pub fn before_first(&self) -> &[f64] {
        &self.numbers()[UNIT..][..self.width]
    }

    pub fn set_before_first(&mut self, taps: &[f64]) {
        self.clear(0);
        let width = self.width;
        self.numbers_mut()[UNIT..][..width].copy_from_slice(taps);
    }

    /// Writes the product with a vector of as many places as there are columns, whole groups; what is behind N has to be zero.
    pub fn product(&self, x: &[f64], reach: &mut [f64]) {
        reach[x.len()..][..self.width].fill(0.0);
        f64::run(Product { taps: self, x, reach });
    }

    /// Writes the product with the transpose.
    pub fn transposed_product(&self, reach: &[f64], x: &mut [f64]) {
        f64::run(Transposed { taps: self, reach, x });
    }

    /// Writes the products of column k with x, of column k − 1 with x from its second number on, and so on; zeros follow x.
    pub fn falling_products(&self, k: usize, x: &[f64], products: &mut [f64]) {
        f64::run(Falling { taps: self, k, x, products });
    }

    /// Columns k to k + 3 with zeros around them, aligned with each other; so many registers each.
    #[inline(always)]
    fn group(&self, k: usize, count: usize) -> [&[[f64; LANES]]; GROUP] {
        let numbers = &lanes::<f64>(&self.numbers()[UNIT + (k + 1) * self.stride()..])[..GROUP * count];
        let mut columns = [&[][..]; GROUP];
        for q in 0..GROUP {
            columns[q] = &numbers[q * count..][..count];
        }
        columns
    }
}

/// The numbers of a reach that columns k to k + 7 touch.
#[inline(always)]
fn touched(places: usize, k: usize, width: usize) -> Range<usize> {
    let first = places - UNIT - k;
    first..first + width + UNIT
}

struct Product<'a> {
    taps: &'a Taps,
    x: &'a [f64],
    reach: &'a mut [f64],
}

impl Kernel<f64> for Product<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { taps, x, reach } = self;
        let count = taps.stride() / LANES;
        for k in (0..x.len()).step_by(UNIT) {
            let (first, second) = (taps.group(k, count), taps.group(k + GROUP, count));
            let mut factors = [isa.splat(0.0); UNIT];
            for q in 0..UNIT {
                factors[q] = isa.splat(x[k + q]);
            }
            let sums = &mut lanes_mut::<f64>(&mut reach[touched(x.len(), k, taps.width)])[..=count];
            // What these columns are the first to touch need not have been zero.
            let mut sum = isa.splat(0.0);
            for q in 0..GROUP {
                sum = isa.mul_add(isa.load(&second[q][0]), factors[GROUP + q], sum);
            }
            isa.store(&mut sums[0], sum);
            for w in 1..count {
                let begun = if w == 1 { isa.splat(0.0) } else { isa.load(&sums[w]) };
                let [mut even, mut odd] = [begun, isa.splat(0.0)];
                for q in 0..GROUP {
                    even = isa.mul_add(isa.load(&first[q][w - 1]), factors[q], even);
                    odd = isa.mul_add(isa.load(&second[q][w]), factors[GROUP + q], odd);
                }
                isa.store(&mut sums[w], isa.add(even, odd));
            }
            let mut sum = isa.load(&sums[count]);
            for q in 0..GROUP {
                sum = isa.mul_add(isa.load(&first[q][count - 1]), factors[q], sum);
            }
            isa.store(&mut sums[count], sum);
        }
    }
}

struct Transposed<'a> {
    taps: &'a Taps,
    reach: &'a [f64],
    x: &'a mut [f64],
}

impl Kernel<f64> for Transposed<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { taps, reach, x } = self;
        let places = x.len();
        let count = taps.stride() / LANES;
        for k in (0..places).step_by(UNIT) {
            let (first, second) = (taps.group(k, count), taps.group(k + GROUP, count));
            let [mut firsts, mut seconds] = [[isa.splat(0.0); GROUP]; 2];
            let reach = &lanes::<f64>(&reach[touched(places, k, taps.width)])[..=count];
            for w in 0..count {
                let (here, ahead) = (isa.load(&reach[w]), isa.load(&reach[w + 1]));
                for q in 0..GROUP {
                    firsts[q] = isa.mul_add(isa.load(&first[q][w]), ahead, firsts[q]);
                    seconds[q] = isa.mul_add(isa.load(&second[q][w]), here, seconds[q]);
                }
            }
            let x = lanes_mut::<f64>(&mut x[k..k + UNIT]);
            isa.store(&mut x[0], horizontal::<I>(isa, firsts));
            isa.store(&mut x[1], horizontal::<I>(isa, seconds));
        }
    }
}

struct Falling<'a> {
    taps: &'a Taps,
    k: usize,
    x: &'a [f64],
    products: &'a mut [f64],
}

impl Kernel<f64> for Falling<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { taps, k, x, products } = self;
        for (at, products) in lanes_mut::<f64>(products).iter_mut().enumerate() {
            let mut sums = [isa.splat(0.0); LANES];
            for q in 0..LANES {
                let back = at * LANES + q;
                let column = lanes::<f64>(taps.column(k - back));
                let x = lanes::<f64>(&x[back..][..taps.width()]);
                for v in 0..column.len() {
                    sums[q] = isa.mul_add(isa.load(&column[v]), isa.load(&x[v]), sums[q]);
                }
            }
            isa.store(products, horizontal::<I>(isa, sums));
        }
    }
}

/// The sums of the numbers of four registers.
#[inline(always)]
pub fn horizontal<I: Isa<f64>>(isa: I, mut tile: [I::V; LANES]) -> I::V {
    isa.transpose(&mut tile);
    isa.add(isa.add(tile[0], tile[1]), isa.add(tile[2], tile[3]))
}

/// Writes a vector of N numbers, in reverse, to a reach; what is below zero is left out.
pub fn reversed(x: &[f64], places: usize, reach: &mut [f64]) {
    let (beyond, here) = reach[..places].split_at_mut(places - x.len());
    beyond.fill(0.0);
    here.iter_mut().rev().zip(x).for_each(|(r, x)| *r = *x);
}
