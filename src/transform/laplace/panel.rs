//! Small matrices applied to many short vectors, and Horner's rule along blocks.

use super::super::isa::{Isa, Kernel, lanes, lanes_mut};
use crate::Scalar;

/// Where short vectors lie: `count` pairs of them, `next` apart, the second of a pair `odd` after the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows {
    pub at: usize,
    pub next: usize,
    pub odd: usize,
}

impl Rows {
    #[inline(always)]
    fn start(&self, pair: usize, odd: usize) -> usize {
        self.at + pair * self.next + odd * self.odd
    }
}

/// `output = table · input` for each of `2 count` vectors, added to what is there if `add` says so.
#[derive(Debug)]
pub(super) struct Panel<'a, T> {
    /// The outputs of the first input, then those of the second, and so on.
    pub table: &'a [T],
    pub input: &'a [T],
    pub from: Rows,
    pub output: &'a mut [T],
    pub to: Rows,
    pub count: usize,
    pub add: bool,
}

impl<T: Scalar> Panel<'_, T> {
    /// One register of outputs and four pairs of vectors at a time in f32, four registers and one pair in f64: eight
    /// sums either way, as many as hide the latency of the additions.
    pub fn run(self) {
        match T::LANES {
            8 => T::run(Blocked::<T, 1, 4>(self)),
            _ => T::run(Blocked::<T, 4, 1>(self)),
        }
    }
}

struct Blocked<'a, T, const REGISTERS: usize, const PAIRS: usize>(Panel<'a, T>);

impl<T: Scalar, const REGISTERS: usize, const PAIRS: usize> Kernel<T> for Blocked<'_, T, REGISTERS, PAIRS> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let mut panel = self.0;
        let whole = panel.count / PAIRS * PAIRS;
        let mut pair = 0;
        while pair < whole {
            block::<T, I, REGISTERS, PAIRS>(isa, &mut panel, pair);
            pair += PAIRS;
        }
        while pair < panel.count {
            block::<T, I, REGISTERS, 1>(isa, &mut panel, pair);
            pair += 1;
        }
    }
}

#[inline(always)]
fn block<T: Scalar, I: Isa<T>, const REGISTERS: usize, const PAIRS: usize>(
    isa: I,
    panel: &mut Panel<'_, T>,
    first: usize,
) {
    let (table, _) = lanes::<T>(panel.table).as_chunks::<REGISTERS>();
    let steps = table.len();
    let mut rows: [[&[T]; 2]; PAIRS] = [[&[]; 2]; PAIRS];
    for p in 0..PAIRS {
        for odd in 0..2 {
            rows[p][odd] = &panel.input[panel.from.start(first + p, odd)..][..steps];
        }
    }
    let mut sums = [[[isa.splat(T::zero()); REGISTERS]; 2]; PAIRS];
    for (s, column) in table.iter().enumerate() {
        let mut weights = [isa.splat(T::zero()); REGISTERS];
        for r in 0..REGISTERS {
            weights[r] = isa.load(&column[r]);
        }
        for p in 0..PAIRS {
            for odd in 0..2 {
                let x = isa.splat(rows[p][odd][s]);
                for r in 0..REGISTERS {
                    sums[p][odd][r] = isa.mul_add(weights[r], x, sums[p][odd][r]);
                }
            }
        }
    }
    for p in 0..PAIRS {
        for odd in 0..2 {
            let at = panel.to.start(first + p, odd);
            let out = lanes_mut::<T>(&mut panel.output[at..at + REGISTERS * T::LANES]);
            for r in 0..REGISTERS {
                let sum = if panel.add { isa.add(isa.load(&out[r]), sums[p][odd][r]) } else { sums[p][odd][r] };
                isa.store(&mut out[r], sum);
            }
        }
    }
}

/// `out = Σ_q ratio^q values_q`, for both parities.
pub(super) fn horner<T: Scalar>(ratio: &[T], values: &[T], out: &mut [T]) {
    T::run(Horner { ratio, values, out });
}

struct Horner<'a, T> {
    ratio: &'a [T],
    values: &'a [T],
    out: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Horner<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let (ratio, values, out) = (lanes::<T>(self.ratio), lanes::<T>(self.values), lanes_mut::<T>(self.out));
        for (at, out) in out.iter_mut().enumerate() {
            let z = isa.load(&ratio[at % ratio.len()]);
            let mut sum = isa.splat(T::zero());
            for block in values.chunks_exact(2 * ratio.len()).rev() {
                sum = isa.mul_add(sum, z, isa.load(&block[at]));
            }
            isa.store(out, sum);
        }
    }
}

/// The transpose of [`horner`]: `values_q = ratio^q both`.
pub(super) fn powers<T: Scalar>(ratio: &[T], both: &[T], values: &mut [T]) {
    T::run(Powers { ratio, both, values });
}

struct Powers<'a, T> {
    ratio: &'a [T],
    both: &'a [T],
    values: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Powers<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let (ratio, both, values) = (lanes::<T>(self.ratio), lanes::<T>(self.both), lanes_mut::<T>(self.values));
        for (at, both) in both.iter().enumerate() {
            let z = isa.load(&ratio[at % ratio.len()]);
            let mut term = isa.load(both);
            for block in values.chunks_exact_mut(2 * ratio.len()) {
                isa.store(&mut block[at], term);
                term = isa.mul(term, z);
            }
        }
    }
}

/// Values at both signs, `E + |v| O` and `E − |v| O`, from those of both parities.
pub(super) fn signs<T: Scalar>(root: &[T], both: &[T], signs: &mut [T]) {
    let (even, odd) = both.split_at(root.len());
    let (plus, minus) = signs.split_at_mut(root.len());
    for a in 0..root.len() {
        let odd = root[a] * odd[a];
        plus[a] = even[a] + odd;
        minus[a] = even[a] - odd;
    }
}

/// The transpose of [`signs`].
pub(super) fn signs_back<T: Scalar>(root: &[T], signs: &[T], both: &mut [T]) {
    let (plus, minus) = signs.split_at(root.len());
    let (even, odd) = both.split_at_mut(root.len());
    for a in 0..root.len() {
        even[a] = plus[a] + minus[a];
        odd[a] = root[a] * (plus[a] - minus[a]);
    }
}
