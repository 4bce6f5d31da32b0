//! Square Vandermonde systems of real nodes, after Björck and Pereyra (1970), in O(n²).
//!
//! The matrix is `V_ik = v_i^k`. [`solve`] finds the polynomial of degree below n that takes given values at the nodes: divided
//! differences, then Newton's form expanded in powers. [`solve_transposed`] finds the weights at the nodes that have given
//! moments: the same two steps transposed, in reverse order. Both compute in f64 whatever the type, and in the Leja order
//! of the nodes: each next node has the largest product of distances to those before it, which keeps the intermediate
//! differences from growing more than the problem makes them.
//!
//! # Conditioning
//!
//! A warning more than a bound: for *any* real nodes the condition number of V grows exponentially, at least like
//! `2^{n−2}/√n` (Tyrtyshnikov 1994); for equispaced or Chebyshev nodes on [−1, 1] like `3.1^n` or `2.4^n`, for nodes in
//! [0, 1] like `5.8^n` and more. In f64 that leaves no correct digit in the worst direction beyond n of about 30, or 20
//! on [0, 1]. What the method gives is a small *residual*, and for structured right sides (nodes of one sign in
//! increasing order with values of alternating signs, say) often far better components than the condition number
//! suggests. Multiply with Vandermonde matrices; interpolate in another basis.

use crate::error::{all_finite, has_length};
use crate::{Error, Result, Scalar};

/// The a with `V a = f`: `Σ_k a_k v_i^k = f_i`, interpolation.
///
/// # Errors
///
/// [`Error::EmptyShape`] without nodes, [`Error::Length`] for as many values as there are not nodes, [`Error::NotFinite`] for
/// bad input or a solution that overflows, [`Error::Coincide`] for two equal nodes.
///
/// ```
/// // 1 − x + 2 x²
/// let a = displace::solve::vandermonde::solve(&[0.0, 1.0, -1.0], &[1.0, 2.0, 4.0])?;
/// assert_eq!(a, [1.0, -1.0, 2.0]);
/// # Ok::<(), displace::Error>(())
/// ```
pub fn solve<T: Scalar>(nodes: &[T], values: &[T]) -> Result<Vec<T>> {
    let (order, v) = ordered(nodes, "f", values)?;
    let n = v.len();
    let mut a: Vec<f64> = order.iter().map(|&i| values[i].wide()).collect();
    for k in 1..n {
        for i in (k..n).rev() {
            a[i] = (a[i] - a[i - 1]) / (v[i] - v[i - k]);
        }
    }
    for k in (0..n - 1).rev() {
        for i in k..n - 1 {
            a[i] -= v[k] * a[i + 1];
        }
    }
    finished(a.into_iter())
}

/// The a with `Vᵀ a = f`: `Σ_i a_i v_i^k = f_k`, weights with given moments.
///
/// # Errors
///
/// As for [`solve`].
///
/// ```
/// // Simpson's rule integrates over [−1, 1] with the moments 2, 0, 2/3.
/// let a = displace::solve::vandermonde::solve_transposed(&[-1.0, 0.0, 1.0], &[2.0, 0.0, 2.0 / 3.0])?;
/// assert!((a[0] - 1.0_f64 / 3.0).abs() < 1e-15 && (a[1] - 4.0 / 3.0).abs() < 1e-15);
/// # Ok::<(), displace::Error>(())
/// ```
pub fn solve_transposed<T: Scalar>(nodes: &[T], moments: &[T]) -> Result<Vec<T>> {
    let (order, v) = ordered(nodes, "f", moments)?;
    let n = v.len();
    let mut a: Vec<f64> = moments.iter().map(|f| f.wide()).collect();
    for k in 0..n - 1 {
        for i in (k + 1..n).rev() {
            a[i] -= v[k] * a[i - 1];
        }
    }
    for k in (1..n).rev() {
        for i in k..n {
            a[i] /= v[i] - v[i - k];
        }
        for i in k - 1..n - 1 {
            a[i] -= a[i + 1];
        }
    }
    let mut natural = vec![0.0; n];
    for (&i, &a) in order.iter().zip(&a) {
        natural[i] = a;
    }
    finished(natural.into_iter())
}

/// Checks the input and puts the nodes into Leja order.
fn ordered<T: Scalar>(nodes: &[T], what: &'static str, right: &[T]) -> Result<(Vec<usize>, Vec<f64>)> {
    if nodes.is_empty() {
        return Err(Error::EmptyShape { rows: 0, cols: 0 });
    }
    has_length(what, right, nodes.len())?;
    all_finite("v", nodes)?;
    all_finite(what, right)?;
    let wide: Vec<f64> = nodes.iter().map(|v| v.wide()).collect();
    distinct(&wide)?;
    let sizes = wide.iter().map(|v| v.abs()).collect();
    // Halves, so that the distance of two huge nodes stays finite.
    let order = leja(sizes, |i, j| (0.5 * wide[i] - 0.5 * wide[j]).abs());
    let sorted = order.iter().map(|&i| wide[i]).collect();
    Ok((order, sorted))
}

/// Refuses nodes of which two are equal.
fn distinct(nodes: &[f64]) -> Result<()> {
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    // Zero and minus zero are the same node, and so are equal; ties keep their order.
    order.sort_by(|&a, &b| (nodes[a] + 0.0).total_cmp(&(nodes[b] + 0.0)));
    match order.windows(2).find(|pair| nodes[pair[0]] == nodes[pair[1]]) {
        None => Ok(()),
        Some(pair) => Err(Error::Coincide { what: "v", first: pair[0], second: pair[1], value: nodes[pair[0]] }),
    }
}

/// The Leja order of nodes of these sizes and distances, with the products of distances as sums of logarithms, which neither
/// overflow nor vanish.
pub(super) fn leja(sizes: Vec<f64>, distance: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    let mut left: Vec<usize> = (0..sizes.len()).collect();
    let mut order = Vec::with_capacity(sizes.len());
    let mut products = sizes;
    while !left.is_empty() {
        let mut best = 0;
        for at in 1..left.len() {
            if products[left[at]] > products[left[best]] {
                best = at;
            }
        }
        let next = left.swap_remove(best);
        if order.is_empty() {
            products.fill(0.0);
        }
        order.push(next);
        for &i in &left {
            products[i] += distance(i, next).ln();
        }
    }
    order
}

/// Rounds a solution that did not overflow.
pub(super) fn finished<T: Scalar>(solution: impl Iterator<Item = f64>) -> Result<Vec<T>> {
    let rounded: Vec<T> = solution.map(T::of).collect();
    all_finite("the solution", &rounded)?;
    Ok(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gautschi's bound of the norm of the inverse (maximum row sum): `max_i Π_{j≠i} (1 + |v_j|) / |v_i − v_j|`.
    fn inverse_norm(v: &[f64]) -> f64 {
        let n = v.len();
        let product = |i: usize| (0..n).filter(|&j| j != i).map(|j| (1.0 + v[j].abs()) / (v[i] - v[j]).abs()).product();
        (0..n).map(product).fold(0.0, f64::max)
    }

    /// Nodes in sixteenths and integer solutions, so that the right sides are exact.
    fn check(numerators: &[i128]) {
        let n = numerators.len();
        let v: Vec<f64> = numerators.iter().map(|&p| p as f64 / 16.0).collect();
        let a: Vec<i128> = (0..n as i128).map(|k| (7 * k * k + 3 * k + 1) % 11 - 5).collect();
        let scale = 16i128.pow(n as u32 - 1);
        let power = |i: usize, k: usize| numerators[i].pow(k as u32) * 16i128.pow((n - 1 - k) as u32);
        let exact = |sum: i128| {
            assert_eq!((sum as f64) as i128, sum, "the test itself rounds");
            sum as f64 / scale as f64
        };
        let values: Vec<f64> = (0..n).map(|i| exact((0..n).map(|k| a[k] * power(i, k)).sum())).collect();
        let moments: Vec<f64> = (0..n).map(|k| exact((0..n).map(|i| a[i] * power(i, k)).sum())).collect();
        let tolerance = |f: &[f64]| {
            let largest = f.iter().fold(0.0f64, |max, f| max.max(f.abs()));
            4.0 * n as f64 * f64::EPSILON * inverse_norm(&v) * largest * n as f64
        };
        for (got, f) in [(solve(&v, &values).unwrap(), &values), (solve_transposed(&v, &moments).unwrap(), &moments)] {
            for (got, &a) in got.iter().zip(&a) {
                assert!((got - a as f64).abs() <= tolerance(f), "{numerators:?}: {got} for {a}");
            }
        }
    }

    #[test]
    fn exact_systems_are_solved() {
        check(&[0]);
        check(&[-3]);
        check(&[16, -16]);
        check(&[1, 2, 3]);
        check(&[16, -16, 0, 8, -8]);
        check(&[-16, -11, -5, 0, 4, 9, 15]);
        check(&[1, 2, 3, 4, 5, 6, 7, 8]);
        check(&[16, 14, 10, 6, 1, -2, -7, -12, -13]);
    }

    #[test]
    fn the_order_of_the_nodes_does_not_matter() {
        let v: Vec<f64> = (0..24).map(|i| (i as f64 * 0.13).cos()).collect();
        let f: Vec<f64> = v.iter().map(|v| 1.0 / (2.0 + v)).collect();
        let a = solve(&v, &f).unwrap();
        let reversed: Vec<f64> = v.iter().rev().copied().collect();
        let values: Vec<f64> = f.iter().rev().copied().collect();
        assert_eq!(a, solve(&reversed, &values).unwrap());
        // A small residual, whatever the error: n² u ‖a‖₁ ‖V‖.
        let size: f64 = a.iter().map(|a| a.abs()).sum();
        for (&v, &f) in v.iter().zip(&f) {
            let value = a.iter().rev().fold(0.0, |sum, a| sum * v + a);
            assert!((value - f).abs() <= 24.0 * 24.0 * f64::EPSILON * size);
        }
    }

    #[test]
    fn bad_input_is_named() {
        let coincide = Error::Coincide { what: "v", first: 0, second: 2, value: 0.5 };
        assert_eq!(solve(&[0.5, 1.0, 0.5], &[1.0; 3]), Err(coincide.clone()));
        assert_eq!(solve_transposed(&[0.5, 1.0, 0.5], &[1.0; 3]), Err(coincide));
        assert!(matches!(solve(&[0.0, -0.0], &[1.0; 2]), Err(Error::Coincide { first: 0, second: 1, .. })));
        assert!(matches!(solve(&[0.0, f32::NAN], &[1.0; 2]), Err(Error::NotFinite { what: "v", index: 1, .. })));
        assert!(matches!(solve(&[0.0, 1.0], &[1.0]), Err(Error::Length { expected: 2, actual: 1, .. })));
        assert!(matches!(solve::<f64>(&[], &[]), Err(Error::EmptyShape { .. })));
        let overflow = solve(&[1e-300, 2e-300, 3e-300], &[1.0, -1.0, 1.0]);
        assert!(matches!(overflow, Err(Error::NotFinite { what: "the solution", .. })));
    }
}
