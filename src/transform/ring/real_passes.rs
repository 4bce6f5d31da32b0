//! Passes whose signals are real on one side: the first pass of a transform reads them, the last one of an inverse writes
//! them, elsewhere than in place.

use super::passes::{Pass, one_pass, parts, splat_roots};
use crate::Scalar;
use crate::transform::butterfly::{Complex, Dft, Radix, mul_conj};
use crate::transform::isa::{Isa, Kernel, lanes, lanes_mut};

/// Passes over real signals that are elsewhere.
pub struct FromReal<'a, T> {
    pub passes: &'a [Pass<T>],
    pub from: &'a [T],
    pub re: &'a mut [T],
    pub im: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for FromReal<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let Some((first, others)) = self.passes.split_first() else {
            self.re.copy_from_slice(self.from);
            return self.im.fill(T::zero());
        };
        let (from, re, im) = (lanes::<T>(self.from), lanes_mut::<T>(self.re), lanes_mut::<T>(self.im));
        match first.radix {
            2 => first_from_real::<T, I, 2>(isa, first, from, re, im),
            3 => first_from_real::<T, I, 3>(isa, first, from, re, im),
            4 => first_from_real::<T, I, 4>(isa, first, from, re, im),
            5 => first_from_real::<T, I, 5>(isa, first, from, re, im),
            _ => first_from_real::<T, I, 7>(isa, first, from, re, im),
        }
        let mut blocks = first.radix;
        for pass in others {
            one_pass::<T, I, false>(isa, pass, pass.roots_of(0, blocks), re, im);
            blocks *= pass.radix;
        }
    }
}

/// The first pass over real signals.
#[inline(always)]
fn first_from_real<T: Scalar, I: Isa<T>, const P: usize>(
    isa: I,
    pass: &Pass<T>,
    from: &[T::Lane],
    re: &mut [T::Lane],
    im: &mut [T::Lane],
) where
    Dft: Radix<P>,
{
    let w = splat_roots::<T, I, P>(isa, pass.roots_of(0, 1));
    let (re, im) = (parts::<_, P>(re, pass.part), parts::<_, P>(im, pass.part));
    for k in 0..pass.part {
        let mut x = w;
        x[0].re = isa.load(&from[k]);
        for j in 1..P {
            let value = isa.load(&from[j * pass.part + k]);
            x[j] = Complex { re: isa.mul(value, w[j].re), im: isa.mul(value, w[j].im) };
        }
        x = Dft::dft::<T, I>(isa, x);
        for j in 0..P {
            isa.store(&mut re[j][k], x[j].re);
            isa.store(&mut im[j][k], x[j].im);
        }
    }
}

/// Inverse passes, of which only the real parts are wanted, elsewhere.
pub struct ToReal<'a, T: Scalar> {
    pub passes: &'a [Pass<T>],
    pub re: &'a mut [T],
    pub im: &'a mut [T],
    pub factor: Option<&'a T::Lane>,
    pub to: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for ToReal<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let (re, im, to) = (lanes_mut::<T>(self.re), lanes_mut::<T>(self.im), lanes_mut::<T>(self.to));
        let mut factor = None;
        if let Some(given) = self.factor {
            factor = Some(isa.load(given));
        }
        let Some((first, others)) = self.passes.split_first() else {
            for (to, re) in to.iter_mut().zip(re) {
                end::<T, I>(isa, isa.load(re), factor, to);
            }
            return;
        };
        let mut blocks = self.passes.iter().map(|pass| pass.radix).product::<usize>();
        for pass in others.iter().rev() {
            blocks /= pass.radix;
            one_pass::<T, I, true>(isa, pass, pass.roots_of(0, blocks), re, im);
        }
        match first.radix {
            2 => last_to_real::<T, I, 2>(isa, first, [re, im], factor, to),
            3 => last_to_real::<T, I, 3>(isa, first, [re, im], factor, to),
            4 => last_to_real::<T, I, 4>(isa, first, [re, im], factor, to),
            5 => last_to_real::<T, I, 5>(isa, first, [re, im], factor, to),
            _ => last_to_real::<T, I, 7>(isa, first, [re, im], factor, to),
        }
    }
}

/// `to = factor to + x`, or x.
#[inline(always)]
fn end<T: Scalar, I: Isa<T>>(isa: I, x: I::V, factor: Option<I::V>, to: &mut T::Lane) {
    let sum = match factor {
        Some(factor) => isa.mul_add(factor, isa.load(to), x),
        None => x,
    };
    isa.store(to, sum);
}

/// The last pass of an inverse, to real signals.
#[inline(always)]
fn last_to_real<T: Scalar, I: Isa<T>, const P: usize>(
    isa: I,
    pass: &Pass<T>,
    [re, im]: [&mut [T::Lane]; 2],
    factor: Option<I::V>,
    to: &mut [T::Lane],
) where
    Dft: Radix<P>,
{
    let w = splat_roots::<T, I, P>(isa, pass.roots_of(0, 1));
    let (re, im) = (parts::<_, P>(re, pass.part), parts::<_, P>(im, pass.part));
    let to = parts::<_, P>(to, pass.part);
    for k in 0..pass.part {
        let mut x = w;
        for j in 0..P {
            x[j] = Complex { re: isa.load(&re[j][k]), im: isa.load(&im[j][k]) };
        }
        let y = Dft::dft::<T, I>(isa, x);
        for j in 0..P {
            let real = if j == 0 { y[0].re } else { mul_conj::<T, I>(isa, y[P - j], w[j]).re };
            end::<T, I>(isa, real, factor, &mut to[j][k]);
        }
    }
}
