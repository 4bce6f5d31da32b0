//! How far power series go, in each lane.

use super::Scattering;
use super::plan::LANES;

/// What is left of a series at its end, relative to its largest coefficient, to be neglected.
pub const TAIL: f64 = 1e-13;

/// Margins that are looked at together at the most.
const MARGINS: usize = 5;

impl Scattering {
    /// The first of several margins, in ascending order, that what comes after it can be neglected. `None` if there is none, or
    /// coefficients are too large.
    pub(super) fn fitting(
        &self,
        series: &[f64],
        lanes: usize,
        margins: &[usize],
        scale: f64,
        generator: bool,
    ) -> Option<usize> {
        let limit = if generator { self.growth * self.unit } else { self.growth };
        let mut rest = series;
        // The largest coefficients up to each margin, and behind the last one.
        let mut sizes = [[0.0; LANES]; MARGINS + 1];
        let mut start = 0;
        for (sizes, &margin) in sizes.iter_mut().zip(margins) {
            let (part, after) = rest.split_at(((margin - start) * lanes).min(rest.len()));
            (*sizes, rest, start) = (in_lanes(part, lanes), after, margin);
        }
        sizes[margins.len()] = in_lanes(rest, lanes);
        let whole = sizes.iter().fold([0.0; LANES], |a, b| larger_lanes(a, *b));
        if !whole.iter().all(|size| scale * size <= limit) {
            return None;
        }
        let mut tail = [0.0; LANES];
        let mut fitting = None;
        for first in (0..margins.len()).rev() {
            tail = larger_lanes(tail, sizes[first + 1]);
            let fits = tail
                .iter()
                .zip(&whole)
                .all(|(tail, size)| scale * tail <= TAIL * (scale * size).max(f64::MIN_POSITIVE));
            if !fits {
                break;
            }
            fitting = Some(first);
        }
        fitting
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

fn larger_lanes(a: [f64; LANES], b: [f64; LANES]) -> [f64; LANES] {
    std::array::from_fn(|l| larger(a[l], b[l]))
}

fn larger(a: f64, b: f64) -> f64 {
    if a >= b || a.is_nan() { a } else { b }
}

/// The largest of all numbers; NaN where one is not finite.
pub fn largest(numbers: &[f64]) -> f64 {
    in_lanes(numbers, LANES).into_iter().fold(0.0, larger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_of_numbers_that_are_none_is_none() {
        assert_eq!(largest(&[1.0, -3.0, 2.0, 0.0, 0.5]), 3.0);
        for bad in [f64::NAN, f64::INFINITY] {
            for at in 0..5 {
                let mut numbers = [1.0; 5];
                numbers[at] = bad;
                assert!(largest(&numbers).is_nan(), "{bad} at {at}");
            }
        }
    }
}
