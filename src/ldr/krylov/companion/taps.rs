//! Banded matrices by columns: column k has its numbers at k, k − 1, …, k − w + 1, and those below zero lie beyond the band's beginning.
//!
//! Vectors are natural on the side of the columns, and reversed on the other one: *reach* r holds place s at `r[places − 1 − s]`, down to
//! −w, so that a column lies in it as it does in memory. Columns are taken eight at a time.

use crate::ldr::krylov::segments::Aligned;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// Columns in a group, and what widths are multiples of.
pub const UNIT: usize = 8;

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
        wide.numbers_mut()[..UNIT].fill(0.0);
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
        *self = wide;
    }

    /// Clears what is around the column before column k.
    #[inline(always)]
    pub fn clear(&mut self, k: usize) {
        let (first, width) = (UNIT + k * self.stride(), self.width);
        let slot = &mut self.numbers_mut()[first..][..width + UNIT];
        slot[..UNIT].fill(0.0);
        slot[width..][..UNIT].fill(0.0);
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

    /// Where column k begins in [`Taps::numbers`], with at least six zeros before it and behind it.
    ///
    /// Each column has room for eight more numbers, and begins where a group's columns are aligned with each other.
    #[inline(always)]
    pub fn start(&self, k: usize) -> usize {
        UNIT + (k + 1) * self.stride() + UNIT - 1 - k % UNIT
    }

    #[inline(always)]
    fn stride(&self) -> usize {
        self.width + UNIT
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
        reach[x.len() - UNIT..][..self.width + UNIT].fill(0.0);
        f64::run(Product { taps: self, x, reach });
    }

    /// Writes the product with the transpose.
    pub fn transposed_product(&self, reach: &[f64], x: &mut [f64]) {
        f64::run(Transposed { taps: self, reach, x });
    }

    /// Columns i, i − 1 and i − 2, one later and two later than the first.
    #[inline(always)]
    pub fn around(&self, i: usize, count: usize) -> [&[[f64; LANES]]; 3] {
        let mut columns = [&[][..]; 3];
        for back in 0..3 {
            let start = if back > i { UNIT } else { self.start(i - back) };
            columns[back] = lanes::<f64>(&self.numbers()[start - back..][..count * LANES]);
        }
        columns
    }

    /// Columns k + q from q − 7 on, with zeros all around.
    #[inline(always)]
    fn group(&self, k: usize) -> [&[[f64; LANES]]; UNIT] {
        let mut columns = [&[][..]; UNIT];
        for q in 0..UNIT {
            columns[q] = lanes::<f64>(&self.numbers()[self.start(k + q) + q + 1 - UNIT..][..self.width + UNIT]);
        }
        columns
    }
}

/// The numbers of a reach that a group of columns touches.
#[inline(always)]
fn touched(places: usize, k: usize, width: usize) -> std::ops::Range<usize> {
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
        for k in (0..x.len()).step_by(UNIT) {
            let columns = taps.group(k);
            let mut factors = [isa.splat(0.0); UNIT];
            for q in 0..UNIT {
                factors[q] = isa.splat(x[k + q]);
            }
            let sums = lanes_mut::<f64>(&mut reach[touched(x.len(), k, taps.width)]);
            for (w, sum) in sums.iter_mut().enumerate() {
                // The first numbers are those of columns that come later only.
                let begun = if w < UNIT / LANES { isa.splat(0.0) } else { isa.load(sum) };
                let [mut even, mut odd] = [begun, isa.splat(0.0)];
                for q in (0..UNIT).step_by(2) {
                    even = isa.mul_add(isa.load(&columns[q][w]), factors[q], even);
                    odd = isa.mul_add(isa.load(&columns[q + 1][w]), factors[q + 1], odd);
                }
                isa.store(sum, isa.add(even, odd));
            }
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
        for k in (0..places).step_by(UNIT) {
            let columns = taps.group(k);
            let mut sums = [isa.splat(0.0); UNIT];
            for (w, reach) in lanes::<f64>(&reach[touched(places, k, taps.width)]).iter().enumerate() {
                let reach = isa.load(reach);
                for q in 0..UNIT {
                    sums[q] = isa.mul_add(isa.load(&columns[q][w]), reach, sums[q]);
                }
            }
            for (sums, x) in sums.chunks_exact(LANES).zip(lanes_mut::<f64>(&mut x[k..k + UNIT])) {
                isa.store(x, horizontal::<I>(isa, [sums[0], sums[1], sums[2], sums[3]]));
            }
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
