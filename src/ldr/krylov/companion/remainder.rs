//! Remainders modulo the characteristic polynomial: `z^N ν(1/z) = 1` with few taps ν.

use super::filter::{filter, subtract_lags};

/// The filters ν and 1/ν.
#[derive(Debug)]
pub struct Remainder {
    pub nu: Vec<f64>,
    pub inverse: Vec<f64>,
    reversed: Vec<f64>,
}

impl Remainder {
    /// That of the polynomial ψ_N.
    pub fn new(nu: &[f64], inverse: Vec<f64>) -> Self {
        let reversed = inverse.iter().rev().copied().collect();
        Self { nu: nu.to_vec(), inverse, reversed }
    }

    /// Numbers before the lower half that [`Remainder::reduce_back`] needs.
    pub fn margin(&self) -> usize {
        self.inverse.len()
    }

    /// Adds to the lower half, N coefficients, what the upper one comes to; and writes the quotient. The upper half is followed by zeros,
    /// a width of them beyond the places.
    pub fn reduce(&self, upper: &[f64], quotient: &mut [f64], lower: &mut [f64]) {
        let order = lower.len();
        filter(&self.inverse, upper, quotient);
        lower.iter_mut().zip(&*quotient).for_each(|(l, q)| *l += q);
        for m in 1..self.nu.len() {
            let rest: f64 = self.nu[m..].iter().zip(&*quotient).map(|(nu, q)| nu * q).sum();
            lower[order - m] -= rest;
        }
    }

    /// The transpose: writes the gradient in the upper half from that in a remainder. `padded` has a margin before the lower half,
    /// and is used up.
    pub fn reduce_back(&self, order: usize, padded: &mut [f64], upper: &mut [f64]) {
        let (zeros, lower) = padded.split_at_mut(self.margin());
        zeros.fill(0.0);
        for e in 0..self.nu.len() - 1 {
            let tail = lower[order - (self.nu.len() - 1 - e)..order].iter().rev();
            let rest: f64 = tail.zip(&self.nu[e + 1..]).map(|(l, nu)| l * nu).sum();
            lower[e] -= rest;
        }
        filter(&self.reversed, &padded[1..], upper);
    }

    /// Adds the gradient in ν of [`Remainder::reduce`], from the quotient and the gradients in the remainder and in the upper half.
    pub fn gradient(&self, quotient: &[f64], lower: &[f64], upper: &[f64], nu: &mut [f64]) {
        subtract_lags(upper, quotient, nu);
        for (m, l) in (1..self.nu.len()).zip(lower.iter().rev()) {
            nu[m..].iter_mut().zip(quotient).for_each(|(nu, q)| *nu -= l * q);
        }
    }

    /// What coefficients below degree zero add to the highest ones: `z^−m = z^{N−m} ν(1/z)`.
    pub fn lead_around(&self, below: &[f64], coefficients: &mut [f64]) {
        let order = coefficients.len();
        for (m, &x) in (1..).zip(below) {
            let to = coefficients[..=order - m].iter_mut().rev();
            to.zip(&self.nu).for_each(|(c, nu)| *c += x * nu);
        }
    }

    /// The transpose: the gradient in coefficients below degree zero, from that in the others.
    pub fn lead_back(&self, coefficients: &[f64], below: &mut [f64]) {
        let order = coefficients.len();
        for (m, x) in (1..).zip(below) {
            *x = coefficients[..=order - m].iter().rev().zip(&self.nu).map(|(c, nu)| c * nu).sum();
        }
    }
}

/// Adds the gradient in ν of [`Remainder::lead_around`], times a factor, from that in the coefficients.
pub fn lead_around_gradient(below: &[f64], coefficients: &[f64], factor: f64, nu: &mut [f64]) {
    let order = coefficients.len();
    for (m, &x) in (1..).zip(below) {
        let from = coefficients[..=order - m].iter().rev();
        nu.iter_mut().zip(from).for_each(|(nu, c)| *nu += factor * x * c);
    }
}

/// The first coefficients of the quotient of two power series.
pub fn quotient(a: &[f64], b: &[f64], len: usize) -> Vec<f64> {
    let mut q = Vec::with_capacity(len);
    for k in 0..len {
        let sum: f64 = b[1..].iter().zip(q.iter().rev()).map(|(b, q)| b * q).sum();
        q.push((a.get(k).copied().unwrap_or(0.0) - sum) / b[0]);
    }
    q
}
