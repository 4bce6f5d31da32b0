//! Products of spectra.
//!
//! Two spectra multiply as complex numbers, but for the first complex number of an even cyclic one, which is a pair of
//! reals; multiplying with the conjugate gives the product with the transposed circulant.

use super::butterfly::{Complex, mul, mul_conj};
use super::form::Form;
use super::isa::{Isa, Kernel, lanes, lanes_mut};
use super::real::{RealTransform, Segment};
use super::single::MultiplySingle;
use crate::Scalar;

/// What becomes of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Into {
    /// It replaces what was there.
    Set,
    /// It is added to what was there.
    Add,
}

impl Into {
    /// Sets for the first term of a sum, adds for the others.
    pub fn set_first(term: usize) -> Self {
        if term == 0 { Self::Set } else { Self::Add }
    }
}

/// Which of a matrix and its transpose a spectrum stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The matrix.
    Plain,
    /// The transposed matrix.
    Transposed,
}

impl<T: Scalar> RealTransform<T> {
    /// Multiplies the spectra of a block by one spectrum: `out = a s` or `out += a s`, with s conjugated for the
    /// transposed side.
    pub fn multiply(&self, form: Form, into: Into, side: Side, out: &mut [T], a: &[T], s: &[T]) {
        let reals = self.starts_with_reals();
        if form == Form::Single {
            let (add, conjugate) = (into == Into::Add, side == Side::Transposed);
            return T::multiply_single(MultiplySingle { reals, add, conjugate, out, a, s });
        }
        T::multiply(Multiply { segments: self.segments(), reals, into, side, out, a, s });
    }

    /// Adds to a spectrum the sum over the lanes of the products of one block's spectra with the conjugates of
    /// another's: `sum += Σ_l a_l conj(b_l)`.
    pub fn correlate(&self, form: Form, sum: &mut [T], a: &[T], b: &[T]) {
        if form == Form::Single {
            return self.multiply(form, Into::Add, Side::Transposed, sum, a, b);
        }
        T::correlate(Correlate { segments: self.segments(), reals: self.starts_with_reals(), sum, a, b });
    }
}

pub struct Multiply<'a, T> {
    pub(super) segments: &'a [Segment],
    pub(super) reals: bool,
    pub(super) into: Into,
    pub(super) side: Side,
    pub(super) out: &'a mut [T],
    pub(super) a: &'a [T],
    pub(super) s: &'a [T],
}

impl<T: Scalar> Kernel<T> for Multiply<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(mut self, isa: I) {
        match (self.into, self.side) {
            (Into::Set, Side::Plain) => self.each::<I, false, false>(isa),
            (Into::Set, Side::Transposed) => self.each::<I, false, true>(isa),
            (Into::Add, Side::Plain) => self.each::<I, true, false>(isa),
            (Into::Add, Side::Transposed) => self.each::<I, true, true>(isa),
        }
    }
}

impl<T: Scalar> Multiply<'_, T> {
    #[inline(always)]
    fn each<I: Isa<T>, const ADD: bool, const CONJ: bool>(&mut self, isa: I) {
        let (out, a) = (lanes_mut::<T>(self.out), lanes::<T>(self.a));
        for (i, segment) in self.segments.iter().enumerate() {
            let Segment { start, len } = *segment;
            let reals = usize::from(i == 0 && self.reals);
            if reals == 1 {
                for at in [start, start + len] {
                    let old = if ADD { isa.load(&out[at]) } else { isa.splat(T::zero()) };
                    let new = isa.mul_add(isa.load(&a[at]), isa.splat(self.s[at]), old);
                    isa.store(&mut out[at], new);
                }
            }
            let (a_re, a_im) = a[start..start + 2 * len].split_at(len);
            let (s_re, s_im) = self.s[start..start + 2 * len].split_at(len);
            let (out_re, out_im) = out[start..start + 2 * len].split_at_mut(len);
            for k in reals..len {
                let a = Complex { re: isa.load(&a_re[k]), im: isa.load(&a_im[k]) };
                let s = Complex { re: isa.splat(s_re[k]), im: isa.splat(s_im[k]) };
                let mut z = if CONJ { mul_conj::<T, I>(isa, a, s) } else { mul::<T, I>(isa, a, s) };
                if ADD {
                    z.re = isa.add(z.re, isa.load(&out_re[k]));
                    z.im = isa.add(z.im, isa.load(&out_im[k]));
                }
                isa.store(&mut out_re[k], z.re);
                isa.store(&mut out_im[k], z.im);
            }
        }
    }
}

pub struct Correlate<'a, T> {
    segments: &'a [Segment],
    reals: bool,
    sum: &'a mut [T],
    a: &'a [T],
    b: &'a [T],
}

impl<T: Scalar> Kernel<T> for Correlate<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let (a, b) = (lanes::<T>(self.a), lanes::<T>(self.b));
        for (i, segment) in self.segments.iter().enumerate() {
            let Segment { start, len } = *segment;
            let reals = usize::from(i == 0 && self.reals);
            if reals == 1 {
                for at in [start, start + len] {
                    let product = isa.mul(isa.load(&a[at]), isa.load(&b[at]));
                    self.sum[at] += total::<T, I>(isa, product);
                }
            }
            let (a_re, a_im) = a[start..start + 2 * len].split_at(len);
            let (b_re, b_im) = b[start..start + 2 * len].split_at(len);
            let (sum_re, sum_im) = self.sum[start..start + 2 * len].split_at_mut(len);
            let product = |k: usize| {
                let a = Complex { re: isa.load(&a_re[k]), im: isa.load(&a_im[k]) };
                let b = Complex { re: isa.load(&b_re[k]), im: isa.load(&b_im[k]) };
                mul_conj::<T, I>(isa, a, b)
            };
            let mut k = reals;
            while k + T::LANES <= len {
                let mut re = T::tile(isa.splat(T::zero()));
                let mut im = re;
                for l in 0..T::LANES {
                    let z = product(k + l);
                    re.as_mut()[l] = z.re;
                    im.as_mut()[l] = z.im;
                }
                add_totals::<T, I>(isa, &mut sum_re[k..k + T::LANES], re);
                add_totals::<T, I>(isa, &mut sum_im[k..k + T::LANES], im);
                k += T::LANES;
            }
            while k < len {
                let z = product(k);
                sum_re[k] += total::<T, I>(isa, z.re);
                sum_im[k] += total::<T, I>(isa, z.im);
                k += 1;
            }
        }
    }
}

/// Adds to `sums[l]` the sum of the numbers in the register `tile[l]`, in the same order as [`total`].
#[inline(always)]
fn add_totals<T: Scalar, I: Isa<T>>(isa: I, sums: &mut [T], mut tile: T::Tile<I::V>) {
    isa.transpose(&mut tile);
    let sum = tree(tile.as_mut(), |a, b| isa.add(a, b));
    let sums = &mut lanes_mut::<T>(sums)[0];
    let old = isa.load(sums);
    isa.store(sums, isa.add(old, sum));
}

/// The sum of the numbers in a register.
#[inline(always)]
fn total<T: Scalar, I: Isa<T>>(isa: I, v: I::V) -> T {
    let mut lane = lane::<T>();
    isa.store(&mut lane, v);
    tree(lane.as_mut(), |a, b| a + b)
}

#[inline(always)]
fn lane<T: Scalar>() -> T::Lane {
    bytemuck::Zeroable::zeroed()
}

/// Adds values pairwise, halves to halves.
#[inline(always)]
fn tree<V: Copy>(values: &mut [V], add: impl Fn(V, V) -> V) -> V {
    let mut len = values.len();
    while len > 1 {
        len /= 2;
        for i in 0..len {
            values[i] = add(values[i], values[i + len]);
        }
    }
    values[0]
}
