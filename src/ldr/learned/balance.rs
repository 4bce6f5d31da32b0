//! Operators scaled against each other.
//!
//! `(αA, B/α)` makes the same matrix as `(A, B)`, since A^k always meets B^k. What lies between the two sides is not the same,
//! though: where the powers of one operator grow and those of the other die away, products add up numbers that differ by the
//! factor by which they grow, lose as many digits, and leave the range in the end. So the larger operator is divided, and the smaller one
//! multiplied, by what brings one of them to the size of a shift. Two operators that are both smaller than that stay
//! as they are: nothing grows, and gradients would lose what α is multiplied into them again.

use crate::linalg::norm;

/// By how much powers may grow before anything is scaled: operators that nearly balance stay what they are, to the bit.
const SLACK: f64 = 8.0;

/// Scales the three diagonals of both operators, N numbers each, and returns α. The gradient in A is that in αA times α, the
/// gradient in B that in B/α by α.
pub(super) fn balance([a, b]: [&mut [f64]; 2]) -> f64 {
    let order = (a.len() / 3) as f64;
    let [p, q] = [&*a, &*b].map(|entries| norm(entries) / order.sqrt());
    let alpha = if p < 1.0 && q > 1.0 {
        q.min(p.recip())
    } else if p > 1.0 && q < 1.0 {
        q.max(p.recip())
    } else {
        1.0
    };
    if !alpha.is_normal() || alpha.ln().abs() * order <= SLACK.ln() {
        return 1.0;
    }
    a.iter_mut().for_each(|a| *a *= alpha);
    b.iter_mut().for_each(|b| *b /= alpha);
    alpha
}
