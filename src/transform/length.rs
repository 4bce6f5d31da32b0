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

/// The length that is used where any length of at least `min` is exact: an even one whose odd part is at most 9 if there
/// is one that is at most a sixteenth longer than the shortest even length with lane kernels; else that one.
///
/// The candidates are listed, not searched for: a few thousand at the most, however large `min` is.
pub(crate) fn fast_length(min: usize) -> usize {
    let min = min.clamp(2, MAX_LENGTH);
    let shortest = |largest_odd: usize| odd_parts(largest_odd).map(|odd| doubled(odd, min)).min().unwrap_or(min);
    let first = shortest(min);
    let plain = shortest(9);
    if plain <= first + first / 16 { plain } else { first }
}

/// The products of threes, fives and sevens up to `max`, and 1.
fn odd_parts(max: usize) -> impl Iterator<Item = usize> {
    let powers = move |start: usize, p: usize| {
        std::iter::successors(Some(start), move |x| x.checked_mul(p)).take_while(move |&x| x <= max.max(1))
    };
    powers(1, 3).flat_map(move |x| powers(x, 5)).flat_map(move |x| powers(x, 7))
}

/// The smallest even number of at least `min` that is `odd` times a power of two.
fn doubled(odd: usize, min: usize) -> usize {
    odd * min.div_ceil(odd).next_power_of_two().max(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, by search.
    fn searched(min: usize) -> usize {
        let min = min.max(2);
        let candidates = || (min..).filter(|&n| n % 2 == 0 && is_fast_length(n));
        let first = candidates().next().unwrap_or(min);
        let odd = |n: usize| n >> n.trailing_zeros();
        candidates().take_while(|&n| n <= first + first / 16).min_by_key(|&n| (odd(n) > 9, n)).unwrap_or(first)
    }

    #[test]
    fn listed_lengths_are_those_that_a_search_finds() {
        for min in (0..3000).chain([4095, 4097, 14_336, 65_537, 100_003]) {
            assert_eq!(fast_length(min), searched(min), "{min}");
        }
    }

    #[test]
    fn huge_lengths_are_found_at_once() {
        for min in [(1 << 40) + 1, MAX_LENGTH, usize::MAX] {
            assert!(is_fast_length(fast_length(min)));
        }
    }
}
