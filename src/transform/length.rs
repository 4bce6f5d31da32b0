//! Which lengths the lane kernels serve.

/// Whether lane kernels transform signals of this length: no prime factor above 7.
pub(crate) fn is_fast_length(mut n: usize) -> bool {
    for p in [2, 3, 5, 7] {
        while n > 0 && n.is_multiple_of(p) {
            n /= p;
        }
    }
    n == 1
}

/// The largest length that is looked for; no matrix has a side of a quarter of it.
const MAX_LENGTH: usize = 1 << 44;

/// Multiples of this have kernels for single signals, for f32 as for f64, if they are not short.
const SINGLE: usize = 128;

/// The length that is used where any length of at least `min` is exact: the smallest even one that is 1, 3 or 9 times a
/// power of two, or the smallest of these with kernels for single signals if that is at most a quarter longer.
///
/// Passes of radix 5 and 7 cost so much more than those of radix 4 and 3 that going up to the next of these lengths is
/// seldom slower, even for a batch (784 takes longer than 1024); and one signal alone would fill one lane only.
pub fn fast_length(min: usize) -> usize {
    let min = min.clamp(2, MAX_LENGTH);
    let shortest = shortest(min, 2);
    let with_single = self::shortest(min, SINGLE);
    if with_single <= shortest + shortest / 4 { with_single } else { shortest }
}

/// The smallest number of at least `min` that is 1, 3 or 9 times a power of two and a multiple of `unit`.
fn shortest(min: usize, unit: usize) -> usize {
    [1, 3, 9].map(|odd| odd * min.div_ceil(odd).next_power_of_two().max(unit)).into_iter().min().unwrap_or(min)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_lengths_are_long_enough_and_not_much_longer() {
        for min in 1..5000 {
            let n = fast_length(min);
            assert!(n >= min && n.is_multiple_of(2) && is_fast_length(n), "{min}: {n}");
            assert!(3 * n <= 5 * min.max(2) + 2, "{min}: {n}");
        }
    }

    #[test]
    fn lengths_that_are_fast_already_stay() {
        for n in [2, 6, 16, 18, 36, 64, 128, 256, 384, 512, 768, 1024, 1152, 1536, 2048, 65_536] {
            assert_eq!(fast_length(n), n);
        }
        assert_eq!([784, 1000, 14_336].map(fast_length), [1024, 1024, 16_384]);
    }

    #[test]
    fn huge_lengths_are_found_at_once() {
        for min in [(1 << 40) + 1, MAX_LENGTH, usize::MAX] {
            assert!(is_fast_length(fast_length(min)));
        }
    }
}
