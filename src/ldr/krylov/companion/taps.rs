//! Banded matrices by columns: column k has its numbers at k, k − 1, …, k − w + 1, and those below zero lie beyond the band's beginning.
//!
//! Vectors are natural on the side of the columns, and reversed on the other one: *reach* r holds place s at `r[places − 1 − s]`, down to
//! −w, so that a column lies in it as it does in memory. Columns are taken eight at a time.

use crate::ldr::krylov::segments::Aligned;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// Columns in a group, and what widths are multiples of.
pub const UNIT: usize = 8;

/// Numbers in a register.
const LANES: usize = <f64 as Kernels>::LANES;

const _: () = assert!(LANES == 4);

/// The columns −1 to `columns − 2` of a band, with zeros before and behind each of them.
#[derive(Debug)]
pub struct Taps {
    width: usize,
    data: Aligned,
}

impl Taps {
    pub fn zeros(width: usize, columns: usize) -> Self {
        Self { width, data: Aligned::zeros(UNIT + columns * (width + UNIT)) }
    }

    /// The same columns up to one in a wider band, with zeros behind them, for so many columns in all.
    pub fn widened(&self, width: usize, columns: usize, end: usize) -> Self {
        let mut wide = Self::zeros(width, columns);
        for k in 0..if self.width > 0 { end } else { 0 } {
            let start = wide.start(k);
            wide.numbers_mut()[start..][..self.width].copy_from_slice(self.column(k));
        }
        wide
    }

    /// Makes column 0 that of the identity.
    pub fn set_unit(&mut self) {
        let start = self.start(0);
        self.numbers_mut()[start] = 1.0;
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

    pub fn column(&self, k: usize) -> &[f64] {
        &self.numbers()[self.start(k)..][..self.width]
    }

    /// Column −1.
    pub fn before_first(&self) -> &[f64] {
        &self.numbers()[UNIT..][..self.width]
    }

    pub fn before_first_mut(&mut self) -> &mut [f64] {
        let width = self.width;
        &mut self.numbers_mut()[UNIT..][..width]
    }

    /// Writes the product with a vector of as many places as there are columns, whole groups; what is behind N has to be zero.
    pub fn product(&self, x: &[f64], reach: &mut [f64]) {
        reach[..x.len() + self.width].fill(0.0);
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
                let [mut even, mut odd] = [isa.load(sum), isa.splat(0.0)];
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
