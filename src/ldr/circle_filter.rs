//! The displacement equation of a Vandermonde-like matrix of nodes on the unit circle, which is one of its own for each
//! pair of rows.
//!
//! A pair of rows is a complex row, on which a rotation by θ is a multiplication by `v = e^{iθ}`: what
//! [`Filter`](super::filter::Filter) says of real rows and nodes holds here of complex ones. As |v| = 1, the divisor
//! `1 − f vᴺ` lies on a circle of radius ½ around 1.

use num_complex::Complex;

use super::filter::F;
use crate::transform::nonuniform::angle::Turns;

/// The equation on N columns, cut to n.
#[derive(Debug, Clone, Copy)]
pub(super) struct CircleFilter {
    pub order: usize,
    pub cols: usize,
}

/// The equation for one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    v: Complex<f64>,
    /// What leads from the last column to the first: `f v^{N−n+1}`.
    wrap: Complex<f64>,
    /// `1 − f vᴺ`.
    pub divisor: Complex<f64>,
}

impl CircleFilter {
    pub fn node(self, turns: Turns) -> Node {
        let power = |k: usize| {
            let (cos, sin) = turns.cos_sin(k as f64);
            Complex::new(cos, sin)
        };
        Node {
            v: power(1),
            wrap: F * power(self.order - self.cols + 1),
            divisor: Complex::new(1.0, 0.0) - F * power(self.order),
        }
    }

    /// The logarithmic derivative of `1 / (1 − f vᴺ)` in θ.
    pub fn slope(self, node: Node) -> Complex<f64> {
        Complex::new(0.0, self.order as f64) * (Complex::new(1.0, 0.0) - node.divisor) / node.divisor
    }

    /// The gradient in θ of a loss of M, from a row of M and the gradient in that of C.
    pub fn pull_back(self, node: Node, row: &[Complex<f64>], gradient: &[Complex<f64>]) -> f64 {
        let term = |(m, c): (&Complex<f64>, &Complex<f64>)| c.conj() * node.v * m;
        let inner: Complex<f64> = row.iter().zip(&gradient[1..]).map(term).sum();
        let around = (self.order - self.cols + 1) as f64 * gradient[0].conj() * node.wrap * row[self.cols - 1];
        // The derivatives of v and of its powers are i times as much, and Re iz = −Im z.
        -(inner + around).im
    }

    /// The mean variance of the entries of a row of M, for independent entries of variance 1 in C.
    pub fn gain(self, node: Node) -> f64 {
        // An entry of C reaches the n − d entries that are d to the right of it, or around the end to the left, with
        // modulus 1 or f.
        let n = self.cols as f64;
        (0.5 * (n + 1.0) + 0.5 * F * F * (n - 1.0)) / node.divisor.norm_sqr()
    }
}

impl Node {
    fn conj(self) -> Self {
        Self { v: self.v.conj(), wrap: self.wrap.conj(), divisor: self.divisor.conj() }
    }

    /// From a row of M to that of C.
    pub fn displace(self, row: &mut [Complex<f64>]) {
        let last = row[row.len() - 1];
        for k in (1..row.len()).rev() {
            row[k] -= self.v * row[k - 1];
        }
        row[0] -= self.wrap * last;
    }

    /// From a row of C to that of M.
    pub fn integrate(self, row: &mut [Complex<f64>]) {
        let rest = row[1..].iter().fold(Complex::new(0.0, 0.0), |sum, c| self.v * sum + c);
        row[0] = (row[0] + self.wrap * rest) / self.divisor;
        for k in 1..row.len() {
            row[k] += self.v * row[k - 1];
        }
    }

    /// The adjoint of [`Self::integrate`].
    pub fn integrate_adjoint(self, row: &mut [Complex<f64>]) {
        let Self { v, wrap, divisor } = self.conj();
        let first = row.iter().rev().fold(Complex::new(0.0, 0.0), |sum, c| v * sum + c) / divisor;
        let mut after = wrap * first;
        for entry in row[1..].iter_mut().rev() {
            *entry += after;
            after = v * *entry;
        }
        row[0] = first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integration_inverts_displacement_and_has_its_adjoint() {
        let mut rng = fastrand::Rng::with_seed(3);
        for (cols, order) in [(1, 1), (1, 3), (2, 2), (7, 7), (7, 10)] {
            let filter = CircleFilter { order, cols };
            for theta in [0.0, 3.0, -1.0, 1e5] {
                let node = filter.node(Turns::of(theta));
                let mut random =
                    || -> Vec<_> { (0..cols).map(|_| Complex::new(rng.f64() - 0.5, rng.f64() - 0.5)).collect() };
                let (row, dual) = (random(), random());
                let mut matrix = row.clone();
                node.integrate(&mut matrix);
                let mut back = matrix.clone();
                node.displace(&mut back);
                assert!(row.iter().zip(&back).all(|(a, b)| (a - b).norm() <= 1e-14 * cols as f64));
                let mut adjoint = dual.clone();
                node.integrate_adjoint(&mut adjoint);
                let dot = |a: &[Complex<f64>], b: &[Complex<f64>]| a.iter().zip(b).map(|(a, b)| a * b.conj()).sum();
                let difference: Complex<f64> = dot(&matrix, &dual);
                let difference = difference - dot(&row, &adjoint);
                assert!(difference.norm() <= 1e-14 * cols as f64);
            }
        }
    }
}
