//! Products of spectra inside the pass of a transform that is next to the values, which saves a pass over memory.

use super::butterfly::{Complex, Dft, Radix, mul, mul_conj};
use super::isa::{Isa, Kernel, lanes, lanes_mut};
use super::pointwise::{Into, Side};
use super::ring::{forward_butterfly, inverse_butterfly, splat_roots};
use crate::Scalar;

/// Where the values of a transform are, if not in the place of the signals: real and imaginary parts apart. The numbers
/// of a spectrum `s` are shared by all lanes.
pub enum Values<'a, T> {
    /// An inverse transform starts from `a s`, with s conjugated for the transposed side.
    Product { side: Side, a: [&'a [T]; 2], s: [&'a [T]; 2] },
    /// A forward transform leaves its values times s in `out`, or adds them to it.
    Times { into: Into, s: [&'a [T]; 2], out: [&'a mut [T]; 2] },
}

impl<T: Scalar> Values<'_, T> {
    /// Those of `len` elements from `start` on.
    pub fn part(&mut self, start: usize, len: usize) -> Values<'_, T> {
        let (elements, numbers) = (start..start + len, start * T::LANES..(start + len) * T::LANES);
        match self {
            Self::Product { side, a, s } => {
                let (a, s) = (a.map(|a| &a[numbers.clone()]), s.map(|s| &s[elements.clone()]));
                Values::Product { side: *side, a, s }
            }
            Self::Times { into, s, out: [re, im] } => {
                let out = [&mut re[numbers.clone()], &mut im[numbers]];
                Values::Times { into: *into, s: s.map(|s| &s[elements.clone()]), out }
            }
        }
    }
}

/// The pass between the signals and the values, with blocks of `radix` elements; with radix 1 only the product.
pub struct LastPass<'a, T> {
    pub values: Values<'a, T>,
    pub radix: usize,
    pub roots: &'a [T],
    pub re: &'a mut [T],
    pub im: &'a mut [T],
}

impl<T> LastPass<'_, T> {
    /// The radices that are written out here.
    pub fn exists(radix: usize) -> bool {
        radix == 2 || radix == 4
    }
}

impl<T: Scalar> Kernel<T> for LastPass<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let Self { values, radix, roots, re, im } = self;
        let signals = [lanes_mut::<T>(re), lanes_mut::<T>(im)];
        match values {
            Values::Times { into, s, out } => {
                let (signals, out) = (signals.map(|x| &*x), out.map(|out| lanes_mut::<T>(out)));
                match (radix, into) {
                    (2, Into::Set) => blocks_out::<T, I, 2, false>(isa, roots, signals, s, out),
                    (2, Into::Add) => blocks_out::<T, I, 2, true>(isa, roots, signals, s, out),
                    (4, Into::Set) => blocks_out::<T, I, 4, false>(isa, roots, signals, s, out),
                    (4, Into::Add) => blocks_out::<T, I, 4, true>(isa, roots, signals, s, out),
                    (_, Into::Set) => multiply_out::<T, I, false>(isa, signals, s, out),
                    (_, Into::Add) => multiply_out::<T, I, true>(isa, signals, s, out),
                }
            }
            Values::Product { side, a, s } => {
                let a = a.map(|a| lanes::<T>(a));
                match (radix, side) {
                    (2, Side::Plain) => blocks_in::<T, I, 2, false>(isa, roots, a, s, signals),
                    (2, Side::Transposed) => blocks_in::<T, I, 2, true>(isa, roots, a, s, signals),
                    (4, Side::Plain) => blocks_in::<T, I, 4, false>(isa, roots, a, s, signals),
                    (4, Side::Transposed) => blocks_in::<T, I, 4, true>(isa, roots, a, s, signals),
                    (_, Side::Plain) => multiply_in::<T, I, false>(isa, a, s, signals),
                    (_, Side::Transposed) => multiply_in::<T, I, true>(isa, a, s, signals),
                }
            }
        }
    }
}

#[inline(always)]
fn load<T: Scalar, I: Isa<T>>(isa: I, from: [&[T::Lane]; 2], at: usize) -> Complex<I::V> {
    Complex { re: isa.load(&from[0][at]), im: isa.load(&from[1][at]) }
}

#[inline(always)]
fn number<T: Scalar, I: Isa<T>>(isa: I, from: [&[T]; 2], at: usize) -> Complex<I::V> {
    Complex { re: isa.splat(from[0][at]), im: isa.splat(from[1][at]) }
}

#[inline(always)]
fn put<T: Scalar, I: Isa<T>, const ADD: bool>(isa: I, to: &mut [&mut [T::Lane]; 2], at: usize, mut z: Complex<I::V>) {
    if ADD {
        z = Complex { re: isa.add(z.re, isa.load(&to[0][at])), im: isa.add(z.im, isa.load(&to[1][at])) };
    }
    isa.store(&mut to[0][at], z.re);
    isa.store(&mut to[1][at], z.im);
}

#[inline(always)]
fn times<T: Scalar, I: Isa<T>, const CONJ: bool>(isa: I, a: Complex<I::V>, s: Complex<I::V>) -> Complex<I::V> {
    if CONJ { mul_conj::<T, I>(isa, a, s) } else { mul::<T, I>(isa, a, s) }
}

#[inline(always)]
fn blocks_out<T: Scalar, I: Isa<T>, const P: usize, const ADD: bool>(
    isa: I,
    roots: &[T],
    [re, im]: [&[T::Lane]; 2],
    [s_re, s_im]: [&[T]; 2],
    [out_re, out_im]: [&mut [T::Lane]; 2],
) where
    Dft: Radix<P>,
{
    let signals = re.chunks_exact(P).zip(im.chunks_exact(P)).zip(roots.chunks_exact(2 * (P - 1)));
    let spectrum = s_re.chunks_exact(P).zip(s_im.chunks_exact(P));
    let out = out_re.chunks_exact_mut(P).zip(out_im.chunks_exact_mut(P));
    for ((((re, im), roots), (s_re, s_im)), (out_re, out_im)) in signals.zip(spectrum).zip(out) {
        let w = splat_roots::<T, I, P>(isa, roots);
        let mut x = w;
        for j in 0..P {
            x[j] = load::<T, I>(isa, [re, im], j);
        }
        x = forward_butterfly(isa, x, w);
        let mut out = [out_re, out_im];
        for j in 0..P {
            let z = mul::<T, I>(isa, x[j], number::<T, I>(isa, [s_re, s_im], j));
            put::<T, I, ADD>(isa, &mut out, j, z);
        }
    }
}

#[inline(always)]
fn blocks_in<T: Scalar, I: Isa<T>, const P: usize, const CONJ: bool>(
    isa: I,
    roots: &[T],
    [a_re, a_im]: [&[T::Lane]; 2],
    [s_re, s_im]: [&[T]; 2],
    [re, im]: [&mut [T::Lane]; 2],
) where
    Dft: Radix<P>,
{
    let a = a_re.chunks_exact(P).zip(a_im.chunks_exact(P)).zip(roots.chunks_exact(2 * (P - 1)));
    let spectrum = s_re.chunks_exact(P).zip(s_im.chunks_exact(P));
    let signals = re.chunks_exact_mut(P).zip(im.chunks_exact_mut(P));
    for ((((a_re, a_im), roots), (s_re, s_im)), (re, im)) in a.zip(spectrum).zip(signals) {
        let w = splat_roots::<T, I, P>(isa, roots);
        let mut x = w;
        for j in 0..P {
            let s = number::<T, I>(isa, [s_re, s_im], j);
            x[j] = times::<T, I, CONJ>(isa, load::<T, I>(isa, [a_re, a_im], j), s);
        }
        x = inverse_butterfly(isa, x, w);
        let mut signals = [re, im];
        for j in 0..P {
            put::<T, I, false>(isa, &mut signals, j, x[j]);
        }
    }
}

#[inline(always)]
fn multiply_out<T: Scalar, I: Isa<T>, const ADD: bool>(
    isa: I,
    signals: [&[T::Lane]; 2],
    s: [&[T]; 2],
    mut out: [&mut [T::Lane]; 2],
) {
    for k in 0..signals[0].len() {
        let z = mul::<T, I>(isa, load::<T, I>(isa, signals, k), number::<T, I>(isa, s, k));
        put::<T, I, ADD>(isa, &mut out, k, z);
    }
}

#[inline(always)]
fn multiply_in<T: Scalar, I: Isa<T>, const CONJ: bool>(
    isa: I,
    a: [&[T::Lane]; 2],
    s: [&[T]; 2],
    mut signals: [&mut [T::Lane]; 2],
) {
    for k in 0..a[0].len() {
        let z = times::<T, I, CONJ>(isa, load::<T, I>(isa, a, k), number::<T, I>(isa, s, k));
        put::<T, I, false>(isa, &mut signals, k, z);
    }
}
