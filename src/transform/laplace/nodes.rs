//! Nodes, sorted into bins.

use std::f64::consts::LOG2_E;

use super::super::isa::{Isa, Kernel};
use crate::Scalar;

/// A run of nodes that share a series.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    /// A power series in v, or a Chebyshev series.
    pub powers: bool,
    /// Where the nodes are, in whole registers.
    pub from: usize,
    pub to: usize,
    /// Where the series is, and its length.
    pub series: usize,
    pub terms: usize,
}

/// Nodes where a [`super::Laplace`] has placed them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Nodes<T> {
    /// For each node its place among the sorted ones.
    positions: Vec<u32>,
    /// The arguments of the series, in sorted order, each segment padded with zeros.
    points: Vec<T>,
    segments: Vec<Segment>,
    used: Vec<bool>,
    /// Segment and argument of each node, in the original order.
    keys: Vec<u32>,
    arguments: Vec<T>,
    starts: Vec<u32>,
}

impl<T: Scalar> Nodes<T> {
    /// Nodes.
    pub fn len(&self) -> usize {
        self.positions.len()
    }

    /// Sorted nodes, padding included.
    pub(super) fn padded(&self) -> usize {
        self.points.len()
    }

    /// The most that [`Self::padded`] can be.
    pub(super) fn padded_bound(m: usize, bins: usize) -> usize {
        m + (2 * bins + 1) * (T::LANES - 1)
    }

    pub(super) fn positions(&self) -> &[u32] {
        &self.positions
    }

    pub(super) fn points(&self) -> &[T] {
        &self.points
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether there is a node in a bin.
    pub(super) fn uses(&self, bin: usize) -> bool {
        self.used[bin]
    }

    /// Whether there is a node in a bin or in one after it.
    pub(super) fn beyond(&self, bin: usize) -> bool {
        self.used[bin..].contains(&true)
    }

    pub(super) fn place(&mut self, values: &[T], bins: usize, head: usize, order: usize) {
        let Self { positions, points, segments, used, keys, arguments, starts } = self;
        keys.resize(values.len(), 0);
        arguments.resize(values.len(), T::zero());
        T::run(Find { values, bins, keys, arguments });
        starts.clear();
        starts.resize(2 * bins + 1, 0);
        for &key in keys.iter() {
            starts[key as usize] += 1;
        }
        segments.clear();
        used.clear();
        used.resize(bins, false);
        let mut from = 0;
        for (key, start) in starts.iter_mut().enumerate() {
            let count = std::mem::replace(start, from as u32) as usize;
            if count == 0 {
                continue;
            }
            let to = from + count.next_multiple_of(T::LANES);
            let (series, terms) = match key.checked_sub(1) {
                None => (0, head),
                Some(key) => {
                    used[key / 2] = true;
                    (head + key * order, order)
                }
            };
            segments.push(Segment { powers: key == 0, from, to, series, terms });
            from = to;
        }
        points.clear();
        points.reserve(Self::padded_bound(values.len(), bins));
        points.resize(from, T::zero());
        positions.clear();
        positions.extend(keys.iter().zip(arguments).map(|(&key, argument)| {
            let at = starts[key as usize];
            starts[key as usize] += 1;
            points[at as usize] = *argument;
            at
        }));
    }
}

/// Finds the bins of all nodes: a kernel for the sake of its plain loop, which compiles to vector instructions.
struct Find<'a, T> {
    values: &'a [T],
    bins: usize,
    keys: &'a mut [u32],
    arguments: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Find<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, _: I) {
        if self.bins == 0 {
            self.keys.fill(0);
            return self.arguments.copy_from_slice(self.values);
        }
        let last = self.bins - 1;
        let finest = (1u64 << last) as f64;
        for ((key, argument), &v) in self.keys.iter_mut().zip(self.arguments).zip(self.values) {
            (*key, *argument) = find(v, last as f64, finest);
        }
    }
}

/// The segment of a node, 0 for power series and then two a bin, and the argument of its series.
#[inline(always)]
fn find<T: Scalar>(node: T, last: f64, finest: f64) -> (u32, T) {
    let v = node.wide();
    // λ / ln 2
    let lambda = log2(v.abs()).abs();
    let depth = -log2(lambda);
    let bin = if depth < last { depth.floor() } else { last };
    let inside = 1.0 - 2.0 * (depth - bin);
    let at_the_end = 2.0 * finest * lambda - 1.0;
    let argument = if bin < last { inside } else { at_the_end };
    let key = 1.0 + 2.0 * bin + if v < 0.0 { 1.0 } else { 0.0 };
    let small = v.abs() <= 0.5;
    let argument = if small { v } else { argument };
    // An integer in the low bits; a conversion would check its range, one number at a time.
    let key = (if small { 0.0 } else { key } + f64::from_bits(TWO_52)).to_bits() as u32;
    (key, T::of(argument))
}

/// 2^52, whose last bit is worth 1.
const TWO_52: u64 = 0x4330_0000_0000_0000;

/// The logarithm of a number in [0, 1] to base 2, to 3·10^{−16} relative, near 1 too; something below −1000 at 0.
///
/// With x = 2^e m and m next to 1, `ln m = 2 artanh s`, s = (m − 1)/(m + 1), and |s| ≤ 0.172: eleven terms of the
/// series. There is no branch and no table, unlike in the function of the library, so that several numbers can go at
/// once.
#[inline(always)]
fn log2(x: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    // The mantissa of √½: what comes out of the subtraction has the exponent e, and m in [√½, √2).
    const SPLIT: u64 = 0x3FE6_A09E_667F_3BCD;
    let shifted = x.to_bits().wrapping_add((1024 << 52) - SPLIT);
    let e = f64::from_bits(TWO_52 | shifted >> 52) - (f64::from_bits(TWO_52) + 1024.0);
    let m = f64::from_bits((shifted & MANTISSA) + SPLIT);
    let s = (m - 1.0) / (m + 1.0);
    let z = s * s;
    let mut sum = 1.0 / 21.0;
    for k in [19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0] {
        sum = sum * z + 1.0 / k;
    }
    (2.0 * s + 2.0 * s * (z * sum)) * LOG2_E + e
}

#[cfg(test)]
mod tests {
    use super::log2;

    #[test]
    fn logarithms_are_those_of_the_library() {
        let mut rng = fastrand::Rng::with_seed(1);
        for k in 0..200_000 {
            let x = match k % 4 {
                0 => rng.f64(),
                1 => 1.0 - rng.f64().powi(8),
                2 => 1.0 - f64::EPSILON * f64::from(k) / 8.0,
                _ => (-50.0 * rng.f64()).exp2(),
            };
            let expected = x.log2();
            assert!((log2(x) - expected).abs() <= 4.0 * f64::EPSILON * expected.abs(), "{x:e}");
        }
        assert_eq!(log2(1.0), 0.0);
        assert!(log2(0.0) < -1000.0);
    }
}
