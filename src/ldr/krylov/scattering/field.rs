//! Complex arithmetic on spectra, a register at a time.

use super::plan::LANES;
use crate::transform::butterfly::{Complex, mul, mul_conj};
use crate::transform::isa::{Isa, lanes, lanes_mut};

/// Complex arithmetic in registers.
#[derive(Clone, Copy)]
pub struct Field<I>(pub I);

pub type C<I> = Complex<<I as Isa<f64>>::V>;

impl<I: Isa<f64>> Field<I> {
    /// Numbers from place k on of one of several spectra, n numbers each: n/2 real parts and as many imaginary ones.
    #[inline(always)]
    pub fn get(self, spectra: &[f64], n: usize, which: usize, k: usize) -> C<I> {
        let spectrum = &spectra[which * n..][..n];
        let part = |start: usize| self.0.load(&lanes::<f64>(&spectrum[start..start + LANES])[0]);
        Complex { re: part(k), im: part(n / 2 + k) }
    }

    #[inline(always)]
    pub fn set(self, spectra: &mut [f64], n: usize, which: usize, k: usize, value: C<I>) {
        let spectrum = &mut spectra[which * n..][..n];
        self.0.store(&mut lanes_mut::<f64>(&mut spectrum[k..k + LANES])[0], value.re);
        self.0.store(&mut lanes_mut::<f64>(&mut spectrum[n / 2 + k..n / 2 + k + LANES])[0], value.im);
    }

    #[inline(always)]
    pub fn zero(self) -> C<I> {
        Complex { re: self.0.splat(0.0), im: self.0.splat(0.0) }
    }

    /// A number times a real one for each lane.
    #[inline(always)]
    pub fn times(self, a: C<I>, x: I::V) -> C<I> {
        Complex { re: self.0.mul(a.re, x), im: self.0.mul(a.im, x) }
    }

    #[inline(always)]
    pub fn mul(self, a: C<I>, b: C<I>) -> C<I> {
        mul::<f64, I>(self.0, a, b)
    }

    /// `conj(a) b`.
    #[inline(always)]
    pub fn dual(self, a: C<I>, b: C<I>) -> C<I> {
        mul_conj::<f64, I>(self.0, b, a)
    }

    #[inline(always)]
    pub fn add(self, a: C<I>, b: C<I>) -> C<I> {
        Complex { re: self.0.add(a.re, b.re), im: self.0.add(a.im, b.im) }
    }

    /// `sum += conj(a) b`.
    #[inline(always)]
    pub fn gather(self, sum: &mut C<I>, a: C<I>, b: C<I>) {
        let isa = self.0;
        sum.re = isa.mul_add(a.im, b.im, isa.mul_add(a.re, b.re, sum.re));
        sum.im = isa.neg_mul_add(a.im, b.re, isa.mul_add(a.re, b.im, sum.im));
    }

    /// `sum += a b`.
    #[inline(always)]
    pub fn collect(self, sum: &mut C<I>, a: C<I>, b: C<I>) {
        let isa = self.0;
        sum.re = isa.neg_mul_add(a.im, b.im, isa.mul_add(a.re, b.re, sum.re));
        sum.im = isa.mul_add(a.im, b.re, isa.mul_add(a.re, b.im, sum.im));
    }

    /// `1/(1 − a)`.
    #[inline(always)]
    pub fn geometric(self, a: C<I>) -> C<I> {
        let isa = self.0;
        let (re, im) = (isa.sub(isa.splat(1.0), a.re), a.im);
        let square = isa.mul_add(re, re, isa.mul(im, im));
        Complex { re: isa.div(re, square), im: isa.div(im, square) }
    }
}
