//! An estimate of the 1-norm of a matrix that is known by its products.
//!
//! Hager, "Condition estimates", 1984, with the second starting vector of Higham, "FORTRAN codes for estimating the
//! one-norm of a real or complex matrix", 1988. A lower bound, rarely off by more than a factor of 3.

use crate::Result;

/// Steps of the ascent; two or three are usual.
const STEPS: usize = 5;

/// Estimates the 1-norm of a matrix of order n by at most a dozen products with it or with its transpose.
pub(super) fn one_norm(
    order: usize,
    product: impl Fn(&[f64]) -> Result<Vec<f64>>,
    transposed: impl Fn(&[f64]) -> Result<Vec<f64>>,
) -> Result<f64> {
    let n = order as f64;
    let size = |x: &[f64]| x.iter().map(|x| x.abs()).sum::<f64>();
    let mut x = vec![1.0 / n; order];
    let mut estimate = 0.0;
    for _ in 0..STEPS {
        let y = product(&x)?;
        let reached = size(&y);
        if reached.is_nan() || reached <= estimate {
            break;
        }
        estimate = reached;
        let signs: Vec<f64> = y.iter().map(|y| 1f64.copysign(*y)).collect();
        let z = transposed(&signs)?;
        let best = (0..order).max_by(|&i, &j| z[i].abs().total_cmp(&z[j].abs())).unwrap_or(0);
        let along: f64 = z.iter().zip(&x).map(|(z, x)| z * x).sum();
        if z[best].abs() <= along {
            break;
        }
        x.fill(0.0);
        x[best] = 1.0;
    }
    // Alternating signs with growing sizes, for the matrices on which the ascent stops at once.
    let slope = 1.0 / (order.max(2) - 1) as f64;
    let sign = |i: usize| if i % 2 == 0 { 1.0 } else { -1.0 };
    let alternating: Vec<f64> = (0..order).map(|i| sign(i) * (1.0 + i as f64 * slope)).collect();
    Ok(estimate.max(2.0 * size(&product(&alternating)?) / (3.0 * n)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_lower_bounds_and_near() {
        let mut rng = fastrand::Rng::with_seed(1);
        for n in [1, 2, 3, 10, 40] {
            for _ in 0..20 {
                let a: Vec<f64> = (0..n * n).map(|_| rng.f64() - 0.5).collect();
                let dot = |a: &mut dyn Iterator<Item = f64>, x: &[f64]| a.zip(x).map(|(a, x)| a * x).sum::<f64>();
                let product = |x: &[f64]| Ok((0..n).map(|i| dot(&mut a[i * n..][..n].iter().copied(), x)).collect());
                let transposed =
                    |x: &[f64]| Ok((0..n).map(|j| dot(&mut a[j..].iter().step_by(n).copied(), x)).collect());
                let column = |j: usize| a[j..].iter().step_by(n).map(|a| a.abs()).sum::<f64>();
                let exact = (0..n).map(column).fold(0.0, f64::max);
                let estimate = one_norm(n, product, transposed).unwrap();
                assert!(estimate <= exact * (1.0 + 1e-14) && estimate >= exact / 3.0, "{estimate} of {exact}");
            }
        }
    }
}
