//! Angles as fractions of a full turn, in twice the precision of f64: a multiple of an angle by some thousands is then
//! as accurate as the angle itself.

use std::f64::consts::TAU;

/// 1/(2π), and what is missing.
const PER_RADIAN: (f64, f64) = (0.159_154_943_091_895_35, -9.839_338_337_591_243e-18);

/// Beyond this many radians, the nearest number of turns is not an f64 that is sure to be exact.
pub(super) const FAR: f64 = 1e15;

/// An angle in turns, from −½ to ½: the sum of two numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turns {
    pub hi: f64,
    pub lo: f64,
}

impl Turns {
    /// No angle.
    pub const ZERO: Turns = Turns { hi: 0.0, lo: 0.0 };

    /// The angle of so many radians, any finite number of them.
    pub fn of(radians: f64) -> Self {
        if radians.abs() < FAR {
            return Self::near(radians);
        }
        // The library reduces by as many digits of π as it takes.
        let (sin, cos) = radians.sin_cos();
        Self::near(sin.atan2(cos))
    }

    /// The same without the branch, for angles up to [`FAR`].
    #[inline(always)]
    pub fn near(radians: f64) -> Self {
        let product = radians * PER_RADIAN.0;
        let error = radians.mul_add(PER_RADIAN.0, -product);
        let error = radians.mul_add(PER_RADIAN.1, error);
        // Exact: both lie on the grid of the product, and the difference is the smaller.
        let rest = product - product.round_ties_even();
        let hi = rest + error;
        let part = hi - rest;
        let lo = (rest - (hi - part)) + (error - part);
        // The errors of large products lead beyond half a turn; the difference is exact.
        Self { hi: hi - hi.round_ties_even(), lo }
    }

    /// The angle and its opposite: the one of them that is not negative.
    #[inline(always)]
    pub fn abs(self) -> Self {
        if self.hi < 0.0 { Self { hi: -self.hi, lo: -self.lo } } else { self }
    }

    /// The product with a whole number, as a number and a small rest.
    #[inline(always)]
    pub fn times(self, k: f64) -> (f64, f64) {
        let product = k * self.hi;
        (product, k.mul_add(self.lo, k.mul_add(self.hi, -product)))
    }

    /// Cosine and sine of the `k`-fold angle.
    #[inline(always)]
    pub fn cos_sin(self, k: f64) -> (f64, f64) {
        let (product, rest) = self.times(k);
        cos_sin((product - product.round_ties_even()) + rest)
    }
}

/// Cosines and sines of all multiples of an angle, each within 17 rounding errors of 2^{−53}.
pub(crate) fn multiples(turns: Turns) -> impl Iterator<Item = (f64, f64)> {
    let (cos, sin) = turns.cos_sin(1.0);
    let mut here = (1.0, 0.0);
    (0..).map(move |k: i64| {
        here = match k % 16 {
            0 => turns.cos_sin(k as f64),
            _ => (here.0 * cos - here.1 * sin, here.0 * sin + here.1 * cos),
        };
        here
    })
}

/// Cosine and sine of a fraction of a turn from −½ to ½, to 2·10^{−16}. There is no branch and no table, so that
/// several go at once.
#[inline(always)]
fn cos_sin(turns: f64) -> (f64, f64) {
    let quarter = (4.0 * turns).round_ties_even();
    let x = (turns - 0.25 * quarter) * TAU;
    let z = x * x;
    // Taylor series: at most π/4, so that what is left out is below 10^{−17}.
    let mut sin = -1.0 / 1_307_674_368_000.0;
    for c in [6_227_020_800.0, -39_916_800.0, 362_880.0, -5_040.0, 120.0, -6.0] {
        sin = sin * z + 1.0 / c;
    }
    let sin = x + x * (z * sin);
    let mut cos = 1.0 / 20_922_789_888_000.0;
    for c in [-87_178_291_200.0, 479_001_600.0, -3_628_800.0, 40_320.0, -720.0, 24.0] {
        cos = cos * z + 1.0 / c;
    }
    let cos = (1.0 - 0.5 * z) + z * z * cos;
    let odd = quarter.abs() == 1.0;
    let (c, s) = if odd { (sin, cos) } else { (cos, sin) };
    let half = quarter.abs() == 2.0;
    let c = if half || quarter == 1.0 { -c } else { c };
    let s = if half || quarter == -1.0 { -s } else { s };
    (c, s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_and_sines_are_those_of_the_library() {
        let mut rng = fastrand::Rng::with_seed(1);
        let special = [0.0, 0.5, -0.5, 0.25, -0.25, 0.125, -0.125, 0.375, -0.375, 1e-18];
        for turns in (0..100_000).map(|_| rng.f64() - 0.5).chain(special) {
            let (sin, cos) = (turns * TAU).sin_cos();
            let (c, s) = cos_sin(turns);
            assert!((c - cos).abs() <= 5e-16 && (s - sin).abs() <= 5e-16, "{turns}: {c} {s}");
        }
        assert_eq!(cos_sin(0.25), (-0.0, 1.0));
        assert_eq!(cos_sin(0.5).0, -1.0);
    }

    #[test]
    fn angles_are_reduced_whatever_their_size() {
        let mut rng = fastrand::Rng::with_seed(2);
        for exponent in -60..300 {
            let radians = (rng.f64() - 0.5) * 2f64.powi(exponent);
            let (sin, cos) = radians.sin_cos();
            let (c, s) = Turns::of(radians).cos_sin(1.0);
            assert!((c - cos).abs() <= 1e-15 && (s - sin).abs() <= 1e-15, "{radians}: {c} {s} for {cos} {sin}");
        }
    }

    #[test]
    fn no_angle_is_more_than_half_a_turn() {
        let mut rng = fastrand::Rng::with_seed(3);
        for exponent in 0..60 {
            for _ in 0..1000 {
                let radians = (rng.f64() - 0.5) * 2f64.powi(exponent);
                let Turns { hi, .. } = Turns::of(radians);
                assert!(hi.abs() <= 0.5, "{radians}: {hi}");
            }
        }
    }

    #[test]
    fn multiples_are_as_accurate_as_the_angle() {
        // (2π/3)·k for k = 3·2^j, where 2π/3 is not an f64: the k-fold rounding error of it, and nothing else.
        let radians = TAU / 3.0;
        let turns = Turns::of(radians);
        for j in 0..24 {
            let k = 3.0 * 2f64.powi(j);
            let (sin, cos) = (radians * k).sin_cos();
            let error = radians.mul_add(k, -(radians * k));
            let (c, s) = turns.cos_sin(k);
            assert!((c - (cos - error * sin)).abs() <= 1e-15 && (s - (sin + error * cos)).abs() <= 1e-15, "{k}");
        }
    }
}
