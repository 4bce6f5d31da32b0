//! Power and Chebyshev series at many points, and the transpose.
//!
//! The recurrence runs along the terms with one node a lane, so that no table of weights is read: two multiplications a
//! term and node, or one and a quarter when four rows share it.

use super::super::isa::{Isa, Kernel, lanes, lanes_mut};
use crate::Scalar;

/// One series for each of `rows` rows, and the nodes that it is for.
#[derive(Debug)]
pub(super) struct Series<'a, T> {
    /// Powers of the points, or Chebyshev polynomials.
    pub powers: bool,
    pub rows: usize,
    pub points: &'a [T],
    pub terms: usize,
    /// From row to row it is `stride` numbers.
    pub coefficients: &'a mut [T],
    pub stride: usize,
    pub values: &'a mut [T],
    pub value_stride: usize,
    /// Scratch.
    pub sums: &'a mut [T],
}

impl<T: Scalar> Series<'_, T> {
    /// Coefficients to values.
    pub fn evaluate(self) {
        T::run(Evaluate(self));
    }

    /// Values to sums `Σ_i T_k(t_i) value_i` in the place of the coefficients.
    pub fn gather(self) {
        T::run(Gather(self));
    }
}

/// The next of two consecutive terms.
#[inline(always)]
fn next<T: Scalar, I: Isa<T>>(isa: I, powers: bool, factor: I::V, term: I::V, before: I::V) -> I::V {
    if powers { isa.mul(factor, term) } else { isa.mul_sub(factor, term, before) }
}

/// What carries the recurrence on: v, or twice t; and the term before the first.
#[inline(always)]
fn factors<T: Scalar, I: Isa<T>>(isa: I, powers: bool, point: I::V) -> I::V {
    if powers { point } else { isa.add(point, point) }
}

struct Evaluate<'a, T>(Series<'a, T>);

impl<T: Scalar> Kernel<T> for Evaluate<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let mut series = self.0;
        match (series.powers, series.rows) {
            (false, 4) => evaluate::<T, I, false, 4, 2>(isa, &mut series, 0),
            (true, 4) => evaluate::<T, I, true, 4, 2>(isa, &mut series, 0),
            (false, rows) => {
                for row in 0..rows {
                    evaluate::<T, I, false, 1, 4>(isa, &mut series, row);
                }
            }
            (true, rows) => {
                for row in 0..rows {
                    evaluate::<T, I, true, 1, 4>(isa, &mut series, row);
                }
            }
        }
    }
}

#[inline(always)]
fn evaluate<T: Scalar, I: Isa<T>, const POWERS: bool, const ROWS: usize, const UNROLL: usize>(
    isa: I,
    series: &mut Series<'_, T>,
    row: usize,
) {
    let (tiles, rest) = lanes::<T>(series.points).as_chunks::<UNROLL>();
    for (tile, points) in tiles.iter().enumerate() {
        evaluate_tile::<T, I, POWERS, ROWS, UNROLL>(isa, series, row, tile * UNROLL, points);
    }
    for (tile, point) in rest.iter().enumerate() {
        evaluate_tile::<T, I, POWERS, ROWS, 1>(isa, series, row, tiles.len() * UNROLL + tile, &[*point]);
    }
}

#[inline(always)]
fn evaluate_tile<T: Scalar, I: Isa<T>, const POWERS: bool, const ROWS: usize, const UNROLL: usize>(
    isa: I,
    series: &mut Series<'_, T>,
    row: usize,
    at: usize,
    points: &[T::Lane; UNROLL],
) {
    let mut coefficients: [&[T]; ROWS] = [&[]; ROWS];
    for r in 0..ROWS {
        coefficients[r] = &series.coefficients[(row + r) * series.stride..][..series.terms];
    }
    let mut factor = [isa.splat(T::zero()); UNROLL];
    let mut before = [isa.splat(T::zero()); UNROLL];
    let mut term = [isa.splat(T::one()); UNROLL];
    let mut sums = [[isa.splat(T::zero()); UNROLL]; ROWS];
    for u in 0..UNROLL {
        before[u] = isa.load(&points[u]);
        factor[u] = factors(isa, POWERS, before[u]);
    }
    for k in 0..series.terms {
        for r in 0..ROWS {
            let c = isa.splat(coefficients[r][k]);
            for u in 0..UNROLL {
                sums[r][u] = isa.mul_add(c, term[u], sums[r][u]);
            }
        }
        for u in 0..UNROLL {
            let after = next(isa, POWERS, factor[u], term[u], before[u]);
            before[u] = term[u];
            term[u] = after;
        }
    }
    for r in 0..ROWS {
        let values = &mut series.values[(row + r) * series.value_stride + at * T::LANES..][..UNROLL * T::LANES];
        for (u, out) in lanes_mut::<T>(values).iter_mut().enumerate() {
            isa.store(out, sums[r][u]);
        }
    }
}

struct Gather<'a, T>(Series<'a, T>);

impl<T: Scalar> Kernel<T> for Gather<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let mut series = self.0;
        match (series.powers, series.rows) {
            (false, 4) => gather::<T, I, false, 4, 2>(isa, &mut series, 0),
            (true, 4) => gather::<T, I, true, 4, 2>(isa, &mut series, 0),
            (false, rows) => {
                for row in 0..rows {
                    gather::<T, I, false, 1, 4>(isa, &mut series, row);
                }
            }
            (true, rows) => {
                for row in 0..rows {
                    gather::<T, I, true, 1, 4>(isa, &mut series, row);
                }
            }
        }
    }
}

#[inline(always)]
fn gather<T: Scalar, I: Isa<T>, const POWERS: bool, const ROWS: usize, const UNROLL: usize>(
    isa: I,
    series: &mut Series<'_, T>,
    row: usize,
) {
    series.sums[..ROWS * series.terms * T::LANES].fill(T::zero());
    let (tiles, rest) = lanes::<T>(series.points).as_chunks::<UNROLL>();
    for (tile, points) in tiles.iter().enumerate() {
        gather_tile::<T, I, POWERS, ROWS, UNROLL>(isa, series, row, tile * UNROLL, points);
    }
    for (tile, point) in rest.iter().enumerate() {
        gather_tile::<T, I, POWERS, ROWS, 1>(isa, series, row, tiles.len() * UNROLL + tile, &[*point]);
    }
    let sums = lanes::<T>(&series.sums[..ROWS * series.terms * T::LANES]);
    for (k, sums) in sums.chunks_exact(ROWS).enumerate() {
        for (r, sum) in sums.iter().enumerate() {
            series.coefficients[(row + r) * series.stride + k] = sum.as_ref().iter().copied().sum();
        }
    }
}

#[inline(always)]
fn gather_tile<T: Scalar, I: Isa<T>, const POWERS: bool, const ROWS: usize, const UNROLL: usize>(
    isa: I,
    series: &mut Series<'_, T>,
    row: usize,
    at: usize,
    points: &[T::Lane; UNROLL],
) {
    let zero = isa.splat(T::zero());
    let mut values = [[zero; UNROLL]; ROWS];
    for r in 0..ROWS {
        let from = &series.values[(row + r) * series.value_stride + at * T::LANES..][..UNROLL * T::LANES];
        for (u, value) in lanes::<T>(from).iter().enumerate() {
            values[r][u] = isa.load(value);
        }
    }
    let mut factor = [zero; UNROLL];
    let mut before = [zero; UNROLL];
    let mut term = [isa.splat(T::one()); UNROLL];
    for u in 0..UNROLL {
        before[u] = isa.load(&points[u]);
        factor[u] = factors(isa, POWERS, before[u]);
    }
    let (sums, _) = lanes_mut::<T>(&mut series.sums[..ROWS * series.terms * T::LANES]).as_chunks_mut::<ROWS>();
    for sums in sums {
        for r in 0..ROWS {
            let mut sum = isa.load(&sums[r]);
            for u in 0..UNROLL {
                sum = isa.mul_add(values[r][u], term[u], sum);
            }
            isa.store(&mut sums[r], sum);
        }
        for u in 0..UNROLL {
            let after = next(isa, POWERS, factor[u], term[u], before[u]);
            before[u] = term[u];
            term[u] = after;
        }
    }
}
