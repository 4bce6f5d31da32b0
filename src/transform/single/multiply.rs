//! Products of the spectra of single signals.

use crate::Scalar;
use crate::transform::butterfly::{Complex, mul, mul_conj};
use crate::transform::isa::{Isa, Kernel, lanes, lanes_mut};

/// `out = a s` or `out += a s`, with s conjugated or not, for spectra of single signals.
pub struct MultiplySingle<'a, T> {
    pub reals: bool,
    pub add: bool,
    pub conjugate: bool,
    pub out: &'a mut [T],
    pub a: &'a [T],
    pub s: &'a [T],
}

impl<T: Scalar> Kernel<T> for MultiplySingle<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(mut self, isa: I) {
        let half = self.out.len() / 2;
        let old = if self.add { [self.out[0], self.out[half]] } else { [T::zero(); 2] };
        match (self.add, self.conjugate) {
            (false, false) => self.each::<I, false, false>(isa),
            (false, true) => self.each::<I, false, true>(isa),
            (true, false) => self.each::<I, true, false>(isa),
            (true, true) => self.each::<I, true, true>(isa),
        }
        if self.reals {
            self.out[0] = old[0] + self.a[0] * self.s[0];
            self.out[half] = old[1] + self.a[half] * self.s[half];
        }
    }
}

impl<T: Scalar> MultiplySingle<'_, T> {
    #[inline(always)]
    fn each<I: Isa<T>, const ADD: bool, const CONJ: bool>(&mut self, isa: I) {
        let half = self.a.len() / 2;
        let whole = half / T::LANES * T::LANES;
        let (out_re, out_im) = self.out.split_at_mut(half);
        let (a_re, a_im) = self.a.split_at(half);
        let (s_re, s_im) = self.s.split_at(half);
        let out = lanes_mut::<T>(&mut out_re[..whole]).iter_mut().zip(lanes_mut::<T>(&mut out_im[..whole]));
        let a = lanes::<T>(&a_re[..whole]).iter().zip(lanes::<T>(&a_im[..whole]));
        let s = lanes::<T>(&s_re[..whole]).iter().zip(lanes::<T>(&s_im[..whole]));
        for (((out_re, out_im), (a_re, a_im)), (s_re, s_im)) in out.zip(a).zip(s) {
            let a = Complex { re: isa.load(a_re), im: isa.load(a_im) };
            let s = Complex { re: isa.load(s_re), im: isa.load(s_im) };
            let mut z = if CONJ { mul_conj::<T, I>(isa, a, s) } else { mul::<T, I>(isa, a, s) };
            if ADD {
                z.re = isa.add(z.re, isa.load(out_re));
                z.im = isa.add(z.im, isa.load(out_im));
            }
            isa.store(out_re, z.re);
            isa.store(out_im, z.im);
        }
        for k in whole..half {
            let s = num_complex::Complex::new(s_re[k], if CONJ { -s_im[k] } else { s_im[k] });
            let z = num_complex::Complex::new(a_re[k], a_im[k]) * s;
            out_re[k] = if ADD { out_re[k] + z.re } else { z.re };
            out_im[k] = if ADD { out_im[k] + z.im } else { z.im };
        }
    }
}
