//! The same Toeplitz-like product on general FFT libraries, one row after the other, as a user would write it well:
//! spectra of the generators computed once, buffers reused, real transforms for the cyclic half and complex ones of half
//! the length for the negacyclic half.

use std::f64::consts::PI;
use std::sync::Arc;

use displace::Scalar;
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, FftPlanner};

/// `M = ½ Σ_j Z_1(g_j) Z_−1(h_j)ᵀ` of even order n.
pub struct Peer<T: Scalar> {
    n: usize,
    forward: Arc<dyn RealToComplex<T>>,
    inverse: Arc<dyn ComplexToReal<T>>,
    half_forward: Arc<dyn Fft<T>>,
    half_inverse: Arc<dyn Fft<T>>,
    twist: Vec<Complex<T>>,
    g: Vec<Vec<Complex<T>>>,
    h: Vec<Vec<Complex<T>>>,
    real: Vec<T>,
    input: Vec<Complex<T>>,
    inner: Vec<Complex<T>>,
    cyclic: Vec<Complex<T>>,
    sum: Vec<Complex<T>>,
    scratch: Vec<Complex<T>>,
}

impl<T: Scalar> Peer<T> {
    pub fn new(n: usize, g: &[T], h: &[T]) -> Self {
        let mut real = RealFftPlanner::new();
        let (forward, inverse) = (real.plan_fft_forward(n), real.plan_fft_inverse(n));
        let mut complex = FftPlanner::new();
        let (half_forward, half_inverse) = (complex.plan_fft_forward(n / 2), complex.plan_fft_inverse(n / 2));
        let zero = Complex::new(T::zero(), T::zero());
        let scratch = [
            forward.get_scratch_len(),
            inverse.get_scratch_len(),
            half_forward.get_inplace_scratch_len(),
            half_inverse.get_inplace_scratch_len(),
        ];
        let twist = |k: usize| Complex::from_polar(T::one(), T::of(-PI * k as f64 / n as f64));
        let mut peer = Self {
            n,
            forward,
            inverse,
            half_forward,
            half_inverse,
            twist: (0..n / 2).map(twist).collect(),
            g: Vec::new(),
            h: Vec::new(),
            real: vec![T::zero(); n],
            input: vec![zero; n / 2],
            inner: vec![zero; n / 2],
            cyclic: vec![zero; n / 2 + 1],
            sum: vec![zero; n / 2 + 1],
            scratch: vec![zero; scratch.into_iter().max().unwrap_or(0)],
        };
        for (g, h) in g.chunks(n).zip(h.chunks(n)) {
            peer.real.copy_from_slice(g);
            peer.real.iter_mut().for_each(|x| *x *= T::of(0.5) / T::of(n as f64));
            peer.transform_cyclic();
            peer.g.push(peer.cyclic.clone());
            peer.real.copy_from_slice(h);
            peer.real.iter_mut().for_each(|x| *x *= T::of(2.0) / T::of(n as f64));
            peer.transform_negacyclic();
            peer.h.push(peer.inner.clone());
        }
        peer
    }

    /// `Y = X Mᵀ`.
    pub fn apply(&mut self, x: &[T], y: &mut [T]) {
        for (x, y) in x.chunks(self.n).zip(y.chunks_mut(self.n)) {
            self.real.copy_from_slice(x);
            self.transform_negacyclic();
            std::mem::swap(&mut self.inner, &mut self.input);
            self.sum.fill(Complex::new(T::zero(), T::zero()));
            for j in 0..self.g.len() {
                for ((t, x), h) in self.inner.iter_mut().zip(&self.input).zip(&self.h[j]) {
                    *t = x * h.conj();
                }
                self.restore_negacyclic();
                self.transform_cyclic();
                for ((s, t), g) in self.sum.iter_mut().zip(&self.cyclic).zip(&self.g[j]) {
                    *s = *s + t * g;
                }
            }
            // The first and the last number of a real spectrum are real but for rounding, which realfft refuses.
            self.sum[0].im = T::zero();
            self.sum[self.n / 2].im = T::zero();
            let _ = self.inverse.process_with_scratch(&mut self.sum, y, &mut self.scratch);
        }
    }

    fn transform_cyclic(&mut self) {
        let _ = self.forward.process_with_scratch(&mut self.real, &mut self.cyclic, &mut self.scratch);
    }

    fn transform_negacyclic(&mut self) {
        let (low, high) = self.real.split_at(self.n / 2);
        for (((z, &re), &im), w) in self.inner.iter_mut().zip(low).zip(high).zip(&self.twist) {
            *z = Complex::new(re, -im) * w;
        }
        self.half_forward.process_with_scratch(&mut self.inner, &mut self.scratch);
    }

    fn restore_negacyclic(&mut self) {
        self.half_inverse.process_with_scratch(&mut self.inner, &mut self.scratch);
        let (low, high) = self.real.split_at_mut(self.n / 2);
        for (((z, re), im), w) in self.inner.iter().zip(low).zip(high).zip(&self.twist) {
            let z = z * w.conj();
            (*re, *im) = (z.re, -z.im);
        }
    }
}
