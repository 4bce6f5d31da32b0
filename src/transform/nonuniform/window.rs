//! The window that spreads a node over neighbouring grid points: Kaiser and Bessel's.
//!
//! `φ(x) = I_0(β √(1 − (2x/w)²)) / I_0(β)` for |x| ≤ w/2, in units of the grid, has the Fourier transform
//! `w sinh(√(β² − (wξ/2)²)) / (I_0(β) √(β² − (wξ/2)²))`, and nearly the least of all windows of width w outside the
//! band that a grid twice as fine as necessary leaves to it. It is evaluated at all w points at once, as one polynomial
//! for each.

use std::f64::consts::{PI, TAU};

use crate::Scalar;

/// β as a multiple of what makes the transform vanish at the band's edge; a little less costs least overall (measured).
const SHARPNESS: f64 = 0.98;

/// The window for a number type, on a grid at least twice as fine as necessary.
#[derive(Debug, Clone)]
pub(super) struct Window<T> {
    beta: f64,
    /// The coefficients of the polynomials, [`padded`] of each power, the highest power first.
    pub table: Vec<T>,
}

/// Points under the window: the error is 3·10^{−13} (f32: 10^{−6}).
pub(super) const fn width<T: Scalar>() -> usize {
    if T::LANES == 8 { 7 } else { 14 }
}

/// Points, filled up with zeros to whole registers.
pub(super) const fn padded<T: Scalar>() -> usize {
    width::<T>().next_multiple_of(T::LANES)
}

/// Powers in a polynomial, which leaves 1.2·10^{−14} (f32: 1.4·10^{−7}) of the window's maximum.
const fn terms<T: Scalar>() -> usize {
    if T::LANES == 8 { 8 } else { 13 }
}

impl<T: Scalar> Window<T> {
    pub fn new() -> Self {
        let width = width::<T>();
        let beta = SHARPNESS * PI * width as f64 * 0.75;
        let mut window = Self { beta, table: vec![T::zero(); terms::<T>() * padded::<T>()] };
        for point in 0..width {
            let place = |t: f64| window.at(0.5 * t + 0.5 + point as f64 - 0.5 * width as f64);
            let polynomial = interpolate(terms::<T>(), place);
            for (power, c) in polynomial.iter().rev().enumerate() {
                window.table[power * padded::<T>() + point] = T::of(*c);
            }
        }
        window
    }

    fn at(&self, x: f64) -> f64 {
        let t = 2.0 * x / width::<T>() as f64;
        bessel(self.beta * (1.0 - t * t).max(0.0).sqrt()) / bessel(self.beta)
    }

    /// The reciprocal of the Fourier transform at the frequency of `turns` per grid point, at most ¼.
    pub fn factor(&self, turns: f64) -> f64 {
        let w = width::<T>() as f64;
        let root = (self.beta.powi(2) - (0.5 * w * TAU * turns).powi(2)).sqrt();
        root * bessel(self.beta) / (w * root.sinh())
    }
}

/// The modified Bessel function `I_0`.
fn bessel(x: f64) -> f64 {
    let z = 0.25 * x * x;
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..200 {
        term *= z / f64::from(k * k);
        sum += term;
    }
    sum
}

/// The coefficients of the polynomial that interpolates a function at Chebyshev points of [−1, 1].
fn interpolate(terms: usize, f: impl Fn(f64) -> f64) -> Vec<f64> {
    let angle = |i: usize| PI * (i as f64 + 0.5) / terms as f64;
    let values: Vec<f64> = (0..terms).map(|i| f(angle(i).cos())).collect();
    let mut sum = vec![0.0; terms];
    // Chebyshev polynomials in powers, by their recurrence.
    let (mut before, mut chebyshev) = (vec![0.0; terms], vec![0.0; terms]);
    chebyshev[0] = 1.0;
    for k in 0..terms {
        let products = values.iter().enumerate().map(|(i, v)| v * (k as f64 * angle(i)).cos());
        let scale = if k == 0 { 1.0 } else { 2.0 } / terms as f64;
        let coefficient = scale * products.sum::<f64>();
        sum.iter_mut().zip(&chebyshev).for_each(|(s, c)| *s += coefficient * c);
        let mut next: Vec<f64> = before.iter().map(|b| -b).collect();
        let times = if k == 0 { 1.0 } else { 2.0 };
        next[1..].iter_mut().zip(&chebyshev).for_each(|(n, c)| *n += times * c);
        before = std::mem::replace(&mut chebyshev, next);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_the_window() {
        fn check<T: Scalar>(left_out: f64) {
            // A rounding error for each power, and as much in its coefficient.
            let bar = left_out + 2.0 * terms::<T>() as f64 * T::epsilon().wide();
            let window = Window::<T>::new();
            for i in 0..=50 {
                let t = f64::from(i) / 25.0 - 1.0;
                for point in 0..padded::<T>() {
                    let coefficients = window.table.iter().skip(point).step_by(padded::<T>());
                    let value = coefficients.fold(0.0, |sum, c| sum * t + c.wide());
                    let x = 0.5 * t + 0.5 + point as f64 - 0.5 * width::<T>() as f64;
                    let expected = if point < width::<T>() { window.at(x) } else { 0.0 };
                    assert!((value - expected).abs() <= bar, "{point} {t}: {value} for {expected}");
                }
            }
        }
        check::<f64>(1.3e-14);
        check::<f32>(1.5e-7);
    }

    #[test]
    fn factors_are_reciprocals_of_the_transform() {
        let window = Window::<f64>::new();
        let steps = 20_000;
        for turns in [0.0, 0.03, 0.1, 0.25] {
            let x = |i: i32| (f64::from(i) + 0.5) / f64::from(steps) * 14.0 - 7.0;
            let term = |i: i32| window.at(x(i)) * (TAU * turns * x(i)).cos() * 14.0 / f64::from(steps);
            let transform: f64 = (0..steps).map(term).sum();
            assert!((transform * window.factor(turns) - 1.0).abs() <= 1e-7, "{turns}");
        }
    }
}
