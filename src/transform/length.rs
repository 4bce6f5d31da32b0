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
pub(crate) fn fast_length(min: usize) -> usize {
    let min = min.clamp(2, MAX_LENGTH);
    let candidates = || (min..).filter(|&n| n % 2 == 0 && is_fast_length(n));
    let first = candidates().next().unwrap_or(min);
    let odd = |n: usize| n >> n.trailing_zeros();
    candidates().take_while(|&n| n <= first + first / 16).min_by_key(|&n| (odd(n) > 9, n)).unwrap_or(first)
}
