//! The displacement equation of a Vandermonde-like matrix, `M − D M Z_fᵀ = C`, which is one of its own for each row.
//!
//! On N columns, of which the first n are kept and the others of C are zero, the row of node v is what a recursive
//! filter makes of the row of C: `M_k = v M_{k−1} + C_k`, and around the end `M_0 = f v^{N−n+1} M_{n−1} + C_0`. f is ½
//! throughout.

/// What a shift brings back to the front is multiplied by this.
pub(super) const F: f64 = 0.5;

/// The equation on N columns, cut to n.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filter {
    pub order: usize,
    pub cols: usize,
    /// A node below this has an N-th power below e^{−60}, which is as good as zero: a power costs more than all the rest.
    negligible: f64,
}

impl Filter {
    pub fn new(order: usize, cols: usize) -> Self {
        Self { order, cols, negligible: (-60.0 / order as f64).exp() }
    }

    /// `1 − f vᴺ`, in [½, 3/2].
    pub fn divisor(self, v: f64) -> f64 {
        if v.abs() < self.negligible { 1.0 } else { 1.0 - F * v.powf(self.order as f64) }
    }

    /// [`Self::divisor`], and the logarithmic derivative of its inverse in v, of which it says nothing for a vᴺ below rounding.
    pub fn divisor_and_slope(self, v: f64) -> [f64; 2] {
        if self.order > 1 && v.abs() < self.negligible {
            return [1.0, 0.0];
        }
        let power = v.powf((self.order - 1) as f64);
        let divisor = 1.0 - F * power * v;
        [divisor, F * self.order as f64 * power / divisor]
    }

    /// What leads from the last column to the first: `f v^{N−n+1}`.
    pub fn wrap(self, v: f64) -> f64 {
        F * v.powf((self.order - self.cols + 1) as f64)
    }

    /// The derivative of [`Self::wrap`] in v.
    pub fn wrap_slope(self, v: f64) -> f64 {
        let power = self.order - self.cols;
        F * (power + 1) as f64 * v.powf(power as f64)
    }

    /// From a row of M to that of C.
    pub fn displace(self, v: f64, row: &mut [f64]) {
        let last = row[self.cols - 1];
        for k in (1..self.cols).rev() {
            row[k] -= v * row[k - 1];
        }
        row[0] -= self.wrap(v) * last;
    }

    /// From a row of C to that of M.
    pub fn integrate(self, v: f64, row: &mut [f64]) {
        let rest = row[1..].iter().fold(0.0, |sum, c| v * sum + c);
        row[0] = (row[0] + self.wrap(v) * rest) / self.divisor(v);
        for k in 1..self.cols {
            row[k] += v * row[k - 1];
        }
    }

    /// The transpose of [`Self::integrate`].
    pub fn integrate_adjoint(self, v: f64, row: &mut [f64]) {
        let first = row.iter().rev().fold(0.0, |sum, c| v * sum + c) / self.divisor(v);
        let mut after = self.wrap(v) * first;
        for entry in row[1..].iter_mut().rev() {
            *entry += after;
            after = v * *entry;
        }
        row[0] = first;
    }

    /// The gradient in v of a loss of M, from a row of M and the gradient in that of C.
    pub fn pull_back(self, v: f64, row: &[f64], gradient: &[f64]) -> f64 {
        let inner: f64 = row.iter().zip(&gradient[1..]).map(|(m, c)| m * c).sum();
        inner + self.wrap_slope(v) * row[self.cols - 1] * gradient[0]
    }

    /// The mean variance of the entries of a row of M, for independent entries of variance 1 in C.
    pub fn gain(self, v: f64) -> f64 {
        let (n, q) = (self.cols, v * v);
        // An entry of C reaches the n − d entries that are d to the right of it, or N − d around the end to the left.
        let (mut power, mut sum) = (1.0, 0.0);
        for d in 0..n {
            sum += (n - d) as f64 * power;
            power *= q;
        }
        let mut power = self.wrap(v).powi(2);
        for d in (1..n).rev() {
            sum += (n - d) as f64 * power;
            power *= q;
        }
        sum / (n as f64 * self.divisor(v).powi(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_at_small_nodes_are_accurate() {
        for v in [1e-3, -1e-5, 3e-8, -1e-10, 1e-12] {
            let filter = Filter::new(2, 2);
            // d/dv ln 1/(1 − ½v²) = v/(1 − ½v²).
            let (got, expected) = (filter.divisor_and_slope(v)[1], v / (1.0 - 0.5 * v * v));
            assert!((got - expected).abs() <= 4.0 * f64::EPSILON * expected.abs(), "{v}: {got} for {expected}");
        }
    }

    #[test]
    fn integration_inverts_displacement_and_has_its_transpose() {
        let mut rng = fastrand::Rng::with_seed(3);
        for (cols, order) in [(1, 1), (1, 3), (2, 2), (7, 7), (7, 10)] {
            let filter = Filter::new(order, cols);
            for v in [0.0, 1.0, -1.0, 0.6, -0.9] {
                let random = |rng: &mut fastrand::Rng| (0..cols).map(|_| rng.f64() - 0.5).collect::<Vec<_>>();
                let (row, dual) = (random(&mut rng), random(&mut rng));
                let mut matrix = row.clone();
                filter.integrate(v, &mut matrix);
                let mut back = matrix.clone();
                filter.displace(v, &mut back);
                assert!(row.iter().zip(&back).all(|(a, b)| (a - b).abs() <= 1e-14 * cols as f64));
                let mut adjoint = dual.clone();
                filter.integrate_adjoint(v, &mut adjoint);
                let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                assert!((dot(&matrix, &dual) - dot(&row, &adjoint)).abs() <= 1e-14 * cols as f64);
            }
        }
    }
}
