//! How far power series go, in each lane.

use super::Scattering;
use super::plan::LANES;

/// What is left of a series at its end, relative to its largest coefficient, to be neglected.
pub const TAIL: f64 = 1e-13;

/// The largest coefficient of a series, per unit of its source, that rounding errors are let through.
const GROWTH: f64 = 1e6;

/// The largest coefficients, for each lane, of the beginnings of series and of what comes after them.
#[derive(Debug)]
pub struct Largest {
    head: [f64; LANES],
    tail: [f64; LANES],
}

impl Largest {
    /// For series of so many lanes, and beginnings of so many coefficients.
    pub fn of(series: &[f64], lanes: usize, kept: usize) -> Self {
        let (head, tail) = series.split_at((kept * lanes).min(series.len()));
        Self { head: in_lanes(head, lanes), tail: in_lanes(tail, lanes) }
    }
}

impl Scattering {
    /// Refuses coefficients that have not died away at the end, or that are too large.
    pub(super) fn fits(&self, largest: &Largest, scale: f64, generator: bool) -> bool {
        let limit = if generator { GROWTH * self.unit } else { GROWTH };
        largest.head.iter().zip(&largest.tail).all(|(head, tail)| {
            let size = scale * head;
            size <= limit && scale * tail <= TAIL * size.max(f64::MIN_POSITIVE)
        })
    }
}

/// The largest coefficients of each lane; NaN where one is not finite.
fn in_lanes(series: &[f64], lanes: usize) -> [f64; LANES] {
    let (mut sizes, mut zeros) = ([0.0_f64; LANES], [0.0_f64; LANES]);
    let chunks = series.chunks_exact(LANES);
    let rest = chunks.remainder();
    let mut last = [0.0; LANES];
    last[..rest.len()].copy_from_slice(rest);
    for chunk in chunks.chain([&last[..]]) {
        for l in 0..LANES {
            let size = chunk[l].abs();
            sizes[l] = if size > sizes[l] { size } else { sizes[l] };
            // A comparison lets numbers that are none pass.
            zeros[l] += 0.0 * chunk[l];
        }
    }
    let sizes: [f64; LANES] = std::array::from_fn(|l| sizes[l] + zeros[l]);
    if lanes == LANES { sizes } else { [sizes.into_iter().fold(0.0, larger); LANES] }
}

fn larger(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

/// The largest of all numbers; NaN where one is not finite.
pub fn largest(numbers: &[f64]) -> f64 {
    in_lanes(numbers, LANES).into_iter().fold(0.0, larger)
}

/// Cuts series of `from` numbers each to `to` numbers.
pub fn cut(series: &[f64], from: usize, to: usize) -> Vec<f64> {
    series.chunks_exact(from).flat_map(|series| &series[..to]).copied().collect()
}
