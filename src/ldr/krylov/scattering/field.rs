//! Complex arithmetic on spectra, a register at a time.

use crate::transform::butterfly::{Complex, mul, mul_conj};
use crate::transform::isa::{Isa, Kernels};

/// A number for each lane.
pub type Lane = <f64 as Kernels>::Lane;

/// Complex arithmetic in registers.
#[derive(Clone, Copy)]
pub struct Field<I>(pub I);

pub type C<I> = Complex<<I as Isa<f64>>::V>;

impl<I: Isa<f64>> Field<I> {
    /// The register k of one of several spectra, each h registers of real parts and as many of imaginary ones.
    #[inline(always)]
    pub fn get(self, spectra: &[Lane], h: usize, which: usize, k: usize) -> C<I> {
        let first = 2 * which * h + k;
        Complex { re: self.0.load(&spectra[first]), im: self.0.load(&spectra[first + h]) }
    }

    #[inline(always)]
    pub fn set(self, spectra: &mut [Lane], h: usize, which: usize, k: usize, value: C<I>) {
        let first = 2 * which * h + k;
        self.0.store(&mut spectra[first], value.re);
        self.0.store(&mut spectra[first + h], value.im);
    }

    /// The same for one of several numbers that lie together.
    #[inline(always)]
    pub fn packed(self, numbers: &[Lane], which: usize) -> C<I> {
        self.get(numbers, 1, which, 0)
    }

    #[inline(always)]
    pub fn pack(self, numbers: &mut [Lane], which: usize, value: C<I>) {
        self.set(numbers, 1, which, 0, value);
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
