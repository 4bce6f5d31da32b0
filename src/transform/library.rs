//! The same transforms modulo `x^n − e^{2πiθ}` for lengths with a prime factor above 7: a twist and `rustfft`, one lane
//! after the other.

use std::fmt;
use std::sync::Arc;

use num_complex::Complex;
use rustfft::{Fft, FftDirection, FftPlanner};

use super::ring::Turn;
use crate::Scalar;

/// Number types that `rustfft` transforms: its many algorithms are compiled here, once, and not again in every crate that
/// plans a transform.
pub trait Library: rustfft::FftNum {
    /// Plans a complex transform.
    fn plan(len: usize, direction: FftDirection) -> Arc<dyn Fft<Self>>;
}

macro_rules! library {
    ($t:ty) => {
        impl Library for $t {
            fn plan(len: usize, direction: FftDirection) -> Arc<dyn Fft<$t>> {
                FftPlanner::new().plan_fft(len, direction)
            }
        }
    };
}

library!(f32);
library!(f64);

/// A transform modulo `x^n − c` on `rustfft`.
#[derive(Clone)]
pub(super) struct LibraryRing<T> {
    forward: Arc<dyn Fft<T>>,
    inverse: Arc<dyn Fft<T>>,
    /// `e^{2πiθk/n}`, which turns the ring into a cyclic one; empty when θ = 0.
    twist: Vec<Complex<T>>,
}

impl<T: Scalar> LibraryRing<T> {
    pub fn new(len: usize, turn: Turn) -> Self {
        let twist = if turn.numerator == 0 { 0 } else { len as u64 };
        let denominator = turn.denominator * len as u64;
        let root = |k| {
            let (cos, sin) = Turn { numerator: turn.numerator * k, denominator }.cos_sin();
            Complex::new(T::of(cos), T::of(sin))
        };
        Self {
            // The sign of the exponent is +, which rustfft calls the inverse.
            forward: T::plan(len, FftDirection::Inverse),
            inverse: T::plan(len, FftDirection::Forward),
            twist: (0..twist).map(root).collect(),
        }
    }

    /// Numbers of scratch that the transforms need.
    pub fn scratch_len(&self) -> usize {
        let fft = self.forward.get_inplace_scratch_len().max(self.inverse.get_inplace_scratch_len());
        2 * (self.forward.len() + fft)
    }

    /// Values at the roots, in place; `re` and `im` hold `n · lanes` numbers.
    pub fn forward(&self, re: &mut [T], im: &mut [T], lanes: usize, scratch: &mut [T]) {
        self.each_lane(re, im, lanes, scratch, |signal, rest| {
            for (z, w) in signal.iter_mut().zip(&self.twist) {
                *z = *z * w;
            }
            self.forward.process_with_scratch(signal, rest);
        });
    }

    /// `n` times the inverse of [`Self::forward`], in place.
    pub fn inverse(&self, re: &mut [T], im: &mut [T], lanes: usize, scratch: &mut [T]) {
        self.each_lane(re, im, lanes, scratch, |signal, rest| {
            self.inverse.process_with_scratch(signal, rest);
            for (z, w) in signal.iter_mut().zip(&self.twist) {
                *z = *z * w.conj();
            }
        });
    }

    fn each_lane(
        &self,
        re: &mut [T],
        im: &mut [T],
        lanes: usize,
        scratch: &mut [T],
        transform: impl Fn(&mut [Complex<T>], &mut [Complex<T>]),
    ) {
        let scratch: &mut [Complex<T>] = bytemuck::cast_slice_mut(&mut scratch[..self.scratch_len()]);
        let (signal, rest) = scratch.split_at_mut(self.forward.len());
        for lane in 0..lanes {
            for (k, z) in signal.iter_mut().enumerate() {
                *z = Complex::new(re[k * lanes + lane], im[k * lanes + lane]);
            }
            transform(signal, rest);
            for (k, z) in signal.iter().enumerate() {
                re[k * lanes + lane] = z.re;
                im[k * lanes + lane] = z.im;
            }
        }
    }
}

impl<T> fmt::Debug for LibraryRing<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LibraryRing").field("len", &self.forward.len()).finish()
    }
}
