//! Rounding to bf16, the format that large models are trained and published in.

use crate::Scalar;

/// Whether parameters are compared as they are or as bf16 would store them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rounding {
    /// As they are.
    None,
    /// Rounded to bf16 first: updates that bf16 cannot show do not count.
    #[default]
    Bf16,
}

impl Rounding {
    /// The number as it is compared.
    pub fn apply<T: Scalar>(self, value: T) -> f64 {
        match self {
            Self::None => value.wide(),
            Self::Bf16 => to_bf16(value).into(),
        }
    }
}

/// The nearest number with 8 significant bits and the exponents of `f32`, ties to even; numbers beyond its range become
/// infinite. One rounding, from either type.
///
/// ```
/// assert_eq!(displace::analysis::to_bf16(1.0 + 1.0 / 300.0), 1.0_f32);
/// assert_eq!(displace::analysis::to_bf16(1.0 + 1.0 / 200.0), 1.0078125_f32);
/// ```
#[inline]
pub fn to_bf16<T: Scalar>(value: T) -> f32 {
    let single = to_odd(value.wide());
    let bits = single.to_bits();
    if single.is_nan() {
        return f32::NAN;
    }
    // Half a unit, less one where the last bit that stays is even.
    let half = 0x7fff + ((bits >> 16) & 1);
    f32::from_bits((bits + half) & 0xffff_0000)
}

/// The number as `f32`, towards zero and with its last bit set unless it is exact, so that rounding again is as good as
/// rounding once.
#[inline]
fn to_odd(value: f64) -> f32 {
    let near = value as f32;
    let back = f64::from(near);
    if back == value || value.is_nan() {
        return near;
    }
    if near.is_infinite() && value.is_finite() {
        return if value > 0.0 { f32::MAX } else { f32::MIN };
    }
    let bits = near.to_bits();
    let towards_zero = if back.abs() > value.abs() { bits - 1 } else { bits };
    f32::from_bits(towards_zero | 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By trying all neighbours.
    fn nearest(value: f64) -> f32 {
        let bits = (value as f32).to_bits() & 0xffff_0000;
        let candidates = [bits.wrapping_sub(0x1_0000), bits, bits.wrapping_add(0x1_0000)].map(f32::from_bits);
        let distance = |c: f32| (f64::from(c) - value).abs();
        let best = candidates.iter().filter(|c| c.is_finite()).map(|&c| distance(c)).fold(f64::INFINITY, f64::min);
        let nearest = candidates.into_iter().filter(|&c| distance(c) == best).collect::<Vec<_>>();
        *nearest.iter().find(|c| nearest.len() == 1 || (c.to_bits() >> 16) & 1 == 0).unwrap()
    }

    #[test]
    fn rounding_goes_to_the_nearest_number_and_ties_to_even() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let value = (rng.f64() - 0.5) * 10f64.powi(rng.i32(-42..38));
            assert_eq!(to_bf16(value), nearest(value), "{value:e}");
            assert_eq!(to_bf16(value as f32), nearest(f64::from(value as f32)), "{value:e}");
        }
        for (value, expected) in [(1.0 + 2f64.powi(-8), 1.0), (1.0 + 3.0 * 2f64.powi(-8), 1.0 + 2f32.powi(-6))] {
            assert_eq!(to_bf16(value), expected, "a tie");
            assert_eq!(to_bf16(value + 1e-14), 1.0 + ((value - 1.0) * 128.0).ceil() as f32 / 128.0, "just above a tie");
        }
        assert_eq!((to_bf16(-0.0_f32).to_bits(), to_bf16(f64::MAX)), ((-0.0_f32).to_bits(), f32::INFINITY));
        assert!(to_bf16(f64::NAN).is_nan());
    }
}
