//! Which lengths the lane kernels serve.

/// Whether lane kernels transform signals of this length: no prime factor above 7.
pub(crate) fn is_fast_length(mut n: usize) -> bool {
    for p in [2, 3, 5, 7] {
        while n > 0 && n % p == 0 {
            n /= p;
        }
    }
    n == 1
}

/// The length that is used where any length of at least `min` is exact: the smallest power of two, three, five or seven
/// times a power of two, or other product of these primes, that is even, has few odd factors and is at most one
/// sixteenth above `min`; else the smallest even one.
pub(crate) fn fast_length(min: usize) -> usize {
    let min = min.max(2);
    let candidates = || (min..).filter(|&n| n % 2 == 0 && is_fast_length(n));
    let first = candidates().next().unwrap_or(min);
    let odd = |n: usize| n >> n.trailing_zeros();
    candidates().take_while(|&n| n <= first + first / 16).min_by_key(|&n| (odd(n) > 9, n)).unwrap_or(first)
}
