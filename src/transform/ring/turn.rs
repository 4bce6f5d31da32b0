//! Angles as exact fractions of a full turn.

use std::f64::consts::TAU;

/// An exact fraction of a full turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub numerator: u64,
    pub denominator: u64,
}

impl Turn {
    /// The angle of 1, `x^n − 1`.
    pub const ZERO: Turn = Turn { numerator: 0, denominator: 1 };
    /// The angle of i, `x^n − i`.
    pub const QUARTER: Turn = Turn { numerator: 1, denominator: 4 };

    /// The angle of the `j`-th of the `p`-th roots.
    pub fn root(self, p: u64, j: u64) -> Turn {
        Turn { numerator: self.numerator + j * self.denominator, denominator: self.denominator * p }
    }

    /// Cosine and sine, correctly rounded but for an ulp: the angle is reduced to an eighth of a turn exactly.
    pub fn cos_sin(self) -> (f64, f64) {
        let numerator = self.numerator % self.denominator;
        let eighths = 8 * u128::from(numerator);
        let octant = (eighths / u128::from(self.denominator)) as u64;
        let rest = (eighths % u128::from(self.denominator)) as f64 / self.denominator as f64;
        let angle = if octant.is_multiple_of(2) { rest } else { 1.0 - rest } * (TAU / 8.0);
        let (sin, cos) = angle.sin_cos();
        match octant {
            0 => (cos, sin),
            1 => (sin, cos),
            2 => (-sin, cos),
            3 => (-cos, sin),
            4 => (-cos, -sin),
            5 => (-sin, -cos),
            6 => (sin, -cos),
            _ => (cos, -sin),
        }
    }
}
