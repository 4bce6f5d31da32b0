//! Real transforms of one signal alone, of any length, on `realfft` and `rustfft`: for lengths that have no kernel for
//! single signals, and for batches of lengths with a prime factor above 7.

use std::fmt;
use std::sync::Arc;

use num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftDirection, FftPlanner};

use super::real::Wrap;
use super::ring::Turn;
use super::split;
use crate::Scalar;

/// Number types that the libraries transform: their many algorithms are compiled here, once, and not again in every crate
/// that plans a transform.
pub trait Library: rustfft::FftNum {
    /// Plans a complex transform.
    fn plan(len: usize, direction: FftDirection) -> Arc<dyn Fft<Self>>;
    /// Plans a real transform and its inverse.
    fn plan_real(len: usize) -> (Arc<dyn RealToComplex<Self>>, Arc<dyn ComplexToReal<Self>>);
}

macro_rules! library {
    ($t:ty) => {
        impl Library for $t {
            fn plan(len: usize, direction: FftDirection) -> Arc<dyn Fft<$t>> {
                FftPlanner::new().plan_fft(len, direction)
            }
            fn plan_real(len: usize) -> (Arc<dyn RealToComplex<$t>>, Arc<dyn ComplexToReal<$t>>) {
                let mut planner = RealFftPlanner::new();
                (planner.plan_fft_forward(len), planner.plan_fft_inverse(len))
            }
        }
    };
}

library!(f32);
library!(f64);

/// A real transform of single signals of any length n.
///
/// The spectrum has ⌈n/2⌉ complex numbers, real parts first; in a cyclic one of even length the first is a pair of reals.
#[derive(Debug)]
pub(super) enum LibraryTransform<T> {
    /// Cyclic signals; and negacyclic ones of odd length, which changing the sign of their odd elements makes cyclic.
    Real(Real<T>),
    /// Negacyclic signals of even length: complex ones of half the length, after a twist.
    Half(Half<T>),
}

impl<T: Scalar> LibraryTransform<T> {
    pub fn new(n: usize, wrap: Wrap) -> Self {
        if wrap == Wrap::Negacyclic && n.is_multiple_of(2) {
            return Self::Half(Half::new(n / 2));
        }
        let (forward, inverse) = T::plan_real(n);
        Self::Real(Real { forward, inverse, alternates: wrap == Wrap::Negacyclic })
    }

    /// Numbers of scratch that a transform needs.
    pub fn scratch_len(&self) -> usize {
        match self {
            Self::Real(real) => 2 * (real.forward.len() / 2 + 1 + real.library_scratch_len()),
            Self::Half(half) => 2 * (half.twist.len() + half.library_scratch_len()),
        }
    }

    /// The spectrum of a signal, in place.
    pub fn forward(&self, signal: &mut [T], scratch: &mut [T]) {
        let scratch = bytemuck::cast_slice_mut(&mut scratch[..self.scratch_len()]);
        match self {
            Self::Real(real) => real.forward(signal, scratch),
            Self::Half(half) => half.forward(signal, scratch),
        }
    }

    /// ⌊n/2⌋ times the signal of a spectrum for an even n, n times for an odd one, in place.
    pub fn inverse(&self, spectrum: &mut [T], scratch: &mut [T]) {
        let scratch = bytemuck::cast_slice_mut(&mut scratch[..self.scratch_len()]);
        match self {
            Self::Real(real) => real.inverse(spectrum, scratch),
            Self::Half(half) => half.inverse(spectrum, scratch),
        }
    }
}

#[derive(Clone)]
pub(super) struct Real<T> {
    forward: Arc<dyn RealToComplex<T>>,
    inverse: Arc<dyn ComplexToReal<T>>,
    alternates: bool,
}

impl<T: Scalar> Real<T> {
    fn library_scratch_len(&self) -> usize {
        self.forward.get_scratch_len().max(self.inverse.get_scratch_len())
    }

    fn forward(&self, signal: &mut [T], scratch: &mut [Complex<T>]) {
        let n = self.forward.len();
        let (values, rest) = scratch.split_at_mut(n / 2 + 1);
        if self.alternates {
            split::alternate_single_signs(&mut signal[..n]);
        }
        let done = self.forward.process_with_scratch(&mut signal[..n], values, rest);
        debug_assert!(done.is_ok());
        let (re, im) = signal.split_at_mut(n.div_ceil(2));
        for ((re, im), z) in re.iter_mut().zip(im.iter_mut()).zip(&*values) {
            (*re, *im) = (z.re, z.im);
        }
        if n.is_multiple_of(2) {
            im[0] = values[n / 2].re;
        }
    }

    fn inverse(&self, spectrum: &mut [T], scratch: &mut [Complex<T>]) {
        let n = self.forward.len();
        let (values, rest) = scratch.split_at_mut(n / 2 + 1);
        let (re, im) = spectrum.split_at(n.div_ceil(2));
        let gain = if n.is_multiple_of(2) { T::of(0.5) } else { T::one() };
        for ((re, im), z) in re.iter().zip(im).zip(values.iter_mut()) {
            *z = Complex::new(gain * *re, gain * *im);
        }
        values[0].im = T::zero();
        if n.is_multiple_of(2) {
            values[n / 2] = Complex::new(gain * im[0], T::zero());
        }
        let done = self.inverse.process_with_scratch(values, &mut spectrum[..n], rest);
        debug_assert!(done.is_ok());
        if self.alternates {
            split::alternate_single_signs(&mut spectrum[..n]);
        }
    }
}

impl<T> fmt::Debug for Real<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Real").field("len", &self.forward.len()).finish()
    }
}

/// A transform modulo `x^n − i` on `rustfft`.
#[derive(Clone)]
pub(super) struct Half<T> {
    forward: Arc<dyn Fft<T>>,
    inverse: Arc<dyn Fft<T>>,
    /// The powers of an n-th root of i, which make the ring a cyclic one.
    twist: Vec<Complex<T>>,
}

impl<T: Scalar> Half<T> {
    fn new(len: usize) -> Self {
        let denominator = Turn::QUARTER.denominator * len as u64;
        let root = |k| {
            let (cos, sin) = Turn { numerator: Turn::QUARTER.numerator * k, denominator }.cos_sin();
            Complex::new(T::of(cos), T::of(sin))
        };
        Self {
            // The sign of the exponent is +, which rustfft calls the inverse.
            forward: T::plan(len, FftDirection::Inverse),
            inverse: T::plan(len, FftDirection::Forward),
            twist: (0..len as u64).map(root).collect(),
        }
    }

    fn library_scratch_len(&self) -> usize {
        self.forward.get_inplace_scratch_len().max(self.inverse.get_inplace_scratch_len())
    }

    fn forward(&self, signal: &mut [T], scratch: &mut [Complex<T>]) {
        let (values, rest) = scratch.split_at_mut(self.twist.len());
        let (re, im) = signal.split_at_mut(self.twist.len());
        for (((z, w), &re), &im) in values.iter_mut().zip(&self.twist).zip(&*re).zip(&*im) {
            *z = Complex::new(re, im) * w;
        }
        self.forward.process_with_scratch(values, rest);
        for ((re, im), z) in re.iter_mut().zip(im).zip(values) {
            (*re, *im) = (z.re, z.im);
        }
    }

    fn inverse(&self, spectrum: &mut [T], scratch: &mut [Complex<T>]) {
        let (values, rest) = scratch.split_at_mut(self.twist.len());
        let (re, im) = spectrum.split_at_mut(self.twist.len());
        for ((z, &re), &im) in values.iter_mut().zip(&*re).zip(&*im) {
            *z = Complex::new(re, im);
        }
        self.inverse.process_with_scratch(values, rest);
        for (((re, im), z), w) in re.iter_mut().zip(im).zip(values).zip(&self.twist) {
            let z = *z * w.conj();
            (*re, *im) = (z.re, z.im);
        }
    }
}

impl<T> fmt::Debug for Half<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Half").field("len", &self.twist.len()).finish()
    }
}
