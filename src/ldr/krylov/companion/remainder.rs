//! Remainders modulo the characteristic polynomial: `z^N ν(1/z) = 1` with few taps ν.

use super::filter::{filter, subtract_lags};
use super::taps::{MAX_WIDTH, UNIT};

/// The filters ν and 1/ν.
#[derive(Debug)]
pub struct Remainder {
    pub nu: Vec<f64>,
    pub inverse: Vec<f64>,
    reversed: Vec<f64>,
    /// ν and zeros.
    continued: [f64; SIGNAL],
}

/// What filters with as many numbers as there are taps read.
const SIGNAL: usize = 2 * MAX_WIDTH + UNIT;

impl Remainder {
    /// That of the polynomial ψ_N.
    pub fn new(nu: &[f64], inverse: Vec<f64>) -> Self {
        let reversed = inverse.iter().rev().copied().collect();
        let mut continued = [0.0; SIGNAL];
        continued[..nu.len()].copy_from_slice(nu);
        Self { nu: nu.to_vec(), inverse, reversed, continued }
    }

    /// Numbers before the lower half that [`Remainder::reduce_back`] needs.
    pub fn margin(&self) -> usize {
        self.inverse.len()
    }

    /// Adds to the lower half, N coefficients, what the upper one comes to; and writes the quotient. The upper half is followed by zeros,
    /// a width of them beyond the places.
    pub fn reduce(&self, upper: &[f64], quotient: &mut [f64], lower: &mut [f64]) {
        let (order, width) = (lower.len(), self.nu.len());
        filter(&self.inverse, upper, quotient);
        lower.iter_mut().zip(&*quotient).for_each(|(l, q)| *l += q);
        let rest = &mut [0.0; MAX_WIDTH][..units(width)];
        filter(&quotient[..width], &self.continued, rest);
        lower[order - width + 1..].iter_mut().rev().zip(&rest[1..]).for_each(|(l, rest)| *l -= rest);
    }

    /// The transpose: writes the gradient in the upper half from that in a remainder. `padded` has a margin before the lower half,
    /// and is used up.
    pub fn reduce_back(&self, order: usize, padded: &mut [f64], upper: &mut [f64]) {
        let (zeros, lower) = padded.split_at_mut(self.margin());
        zeros.fill(0.0);
        let width = self.nu.len();
        let rest = &mut [0.0; MAX_WIDTH][..units(width)];
        filter(&highest(&lower[..order], width)[..width], &self.continued[1..], rest);
        lower[..width].iter_mut().zip(rest).for_each(|(l, rest)| *l -= *rest);
        filter(&self.reversed, &padded[1..], upper);
    }

    /// Adds the gradient in ν of [`Remainder::reduce`], from the quotient and the gradients in the remainder and in the upper half.
    pub fn gradient(&self, quotient: &[f64], lower: &[f64], upper: &[f64], nu: &mut [f64]) {
        subtract_lags(upper, quotient, nu);
        let width = self.nu.len();
        let mut behind = [0.0; SIGNAL];
        behind[width..2 * width].copy_from_slice(&quotient[..width]);
        let rest = &mut [0.0; MAX_WIDTH][..units(width)];
        filter(&lower[lower.len() - width..], &behind, rest);
        nu.iter_mut().zip(rest).for_each(|(nu, rest)| *nu -= *rest);
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
        let all = &mut [0.0; MAX_WIDTH][..units(below.len())];
        filter(&self.nu, &highest(coefficients, self.nu.len() + units(below.len())), all);
        below.copy_from_slice(&all[..below.len()]);
    }
}

/// Adds the gradient in ν of [`Remainder::lead_around`], times a factor, from that in the coefficients.
pub fn lead_around_gradient(below: &[f64], coefficients: &[f64], factor: f64, nu: &mut [f64]) {
    let sums = &mut [0.0; MAX_WIDTH][..units(nu.len())];
    filter(below, &highest(coefficients, below.len() + units(nu.len())), sums);
    nu.iter_mut().zip(sums).for_each(|(nu, sum)| *nu += factor * *sum);
}

/// The coefficients of so many of the highest degrees, in reverse, and zeros.
fn highest(coefficients: &[f64], count: usize) -> [f64; SIGNAL] {
    let mut highest = [0.0; SIGNAL];
    highest[..count].iter_mut().zip(coefficients.iter().rev()).for_each(|(to, from)| *to = *from);
    highest
}

/// Whole groups that filters write.
fn units(width: usize) -> usize {
    width.next_multiple_of(UNIT)
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
