//! Spectra, number by number: what parents share, and sums over the pairs of a target and a source among the children of the whole.
//!
//! These are `Σ_p factor_p a_p b_p` with a factor for each lane: products, where b is the spectrum of a segment of the lags, shared by all
//! lanes; and correlations, where it is that of y. Numbers are read with a stride: that of the spectra of the whole, whose children
//! are the lanes, is two registers, since each register stands there twice and is read from the middle to be rotated.

use super::Lane;
use super::plan::{GAP, W};
use crate::transform::butterfly::{Complex, mul, mul_conj};
use crate::transform::isa::{Isa, lanes_mut};

/// A spectrum seen by one child, times a factor for each lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a> {
    /// Spectra of h complex numbers, real parts first, a stride apart.
    pub a: &'a [f64],
    /// For products the spectrum of a segment, for correlations such spectra as a.
    pub b: &'a [f64],
    pub factor: Lane,
}

impl Pair<'_> {
    /// Nothing, for arrays to begin with: closures that fill them are not compiled for the instruction set.
    pub const NONE: Self = Self { a: &[], b: &[], factor: [0.0; W] };
}

/// The real and imaginary parts of spectra with a stride.
#[inline(always)]
pub(super) fn parts<const S: usize>(spectrum: &[f64], half: usize) -> [&[[f64; S]]; 2] {
    let (re, im) = spectrum.split_at(half * S + GAP / W * S);
    [&re.as_chunks().0[..half], &im.as_chunks().0[..half]]
}

/// The same to be written.
#[inline(always)]
pub(super) fn parts_mut(spectrum: &mut [f64], half: usize) -> [&mut [Lane]; 2] {
    let (re, im) = spectrum.split_at_mut(half * W + GAP);
    [&mut lanes_mut::<f64>(re)[..half], &mut lanes_mut::<f64>(&mut im[..half * W])[..half]]
}

#[inline(always)]
fn register<I: Isa<f64>, const S: usize>(isa: I, numbers: &[f64; S]) -> I::V {
    match numbers.first_chunk::<W>() {
        Some(lane) => isa.load(lane),
        None => isa.splat(0.0),
    }
}

#[inline(always)]
pub(super) fn complex<I: Isa<f64>, const S: usize>(isa: I, [re, im]: [&[[f64; S]]; 2], k: usize) -> Complex<I::V> {
    Complex { re: register(isa, &re[k]), im: register(isa, &im[k]) }
}

/// `z + a b`.
#[inline(always)]
pub(super) fn add_mul<I: Isa<f64>>(isa: I, a: Complex<I::V>, b: Complex<I::V>, z: Complex<I::V>) -> Complex<I::V> {
    Complex {
        re: isa.neg_mul_add(a.im, b.im, isa.mul_add(a.re, b.re, z.re)),
        im: isa.mul_add(a.im, b.re, isa.mul_add(a.re, b.im, z.im)),
    }
}

/// `z + a conj(b)`.
#[inline(always)]
pub(super) fn add_mul_conj<I: Isa<f64>>(isa: I, a: Complex<I::V>, b: Complex<I::V>, z: Complex<I::V>) -> Complex<I::V> {
    Complex {
        re: isa.mul_add(a.im, b.im, isa.mul_add(a.re, b.re, z.re)),
        im: isa.neg_mul_add(a.re, b.im, isa.mul_add(a.im, b.re, z.im)),
    }
}

/// `out = Σ_p factor_p a_p s_p` for segments s, or with s conjugated; added if asked. For the gradient in the factors it returns the inner
/// products of each `a_p s_p` with y, lane by lane. The first factors may be known to be one, and then there is no gradient in them.
#[inline(always)]
pub(super) fn combine<
    I: Isa<f64>,
    const P: usize,
    const S: usize,
    const CONJ: bool,
    const GRADIENT: bool,
    const FIRST: bool,
>(
    isa: I,
    half: usize,
    pairs: [Pair<'_>; P],
    y: &[f64],
    add: bool,
    out: &mut [f64],
) -> [I::V; P] {
    let (mut a, mut b, mut factors) = ([[&[][..]; 2]; P], [[&[][..]; 2]; P], [isa.splat(0.0); P]);
    for (p, pair) in pairs.iter().enumerate() {
        (a[p], b[p], factors[p]) = (parts::<S>(pair.a, half), parts::<W>(pair.b, half), isa.load(&pair.factor));
    }
    let y = if GRADIENT { parts::<S>(y, half) } else { [&[][..]; 2] };
    let [out_re, out_im] = parts_mut(out, half);
    let mut sums = [isa.splat(0.0); P];
    for k in 0..half {
        let zero = isa.splat(0.0);
        let mut z = match add {
            true => Complex { re: isa.load(&out_re[k]), im: isa.load(&out_im[k]) },
            false => Complex { re: zero, im: zero },
        };
        let y = if GRADIENT { complex(isa, y, k) } else { z };
        for p in 0..P {
            let s = Complex { re: isa.splat(b[p][0][k][0]), im: isa.splat(b[p][1][k][0]) };
            let a = complex(isa, a[p], k);
            if FIRST && p == 0 {
                z = if CONJ { add_mul_conj(isa, a, s, z) } else { add_mul(isa, a, s, z) };
                continue;
            }
            let product = if CONJ { mul_conj::<f64, I>(isa, a, s) } else { mul::<f64, I>(isa, a, s) };
            z.re = isa.mul_add(factors[p], product.re, z.re);
            z.im = isa.mul_add(factors[p], product.im, z.im);
            if GRADIENT {
                sums[p] = isa.mul_add(y.re, product.re, isa.mul_add(y.im, product.im, sums[p]));
            }
        }
        isa.store(&mut out_re[k], z.re);
        isa.store(&mut out_im[k], z.im);
    }
    sums
}

/// The sum of the numbers in each register, side by side.
#[inline(always)]
pub(super) fn lane_sums<I: Isa<f64>>(isa: I, mut tile: [I::V; W]) -> I::V {
    isa.transpose(&mut tile);
    isa.add(isa.add(tile[0], tile[1]), isa.add(tile[2], tile[3]))
}

/// The sums over the lanes of `factor_p conj(a_p) b` go to lane p of `out`, for up to four a_p.
#[inline(always)]
pub(super) fn correlate_apart<I: Isa<f64>, const P: usize, const S: usize>(
    isa: I,
    half: usize,
    pairs: [Pair<'_>; P],
    out: &mut [f64],
) {
    let (mut a, mut factors) = ([[&[][..]; 2]; P], [isa.splat(0.0); P]);
    for (p, pair) in pairs.iter().enumerate() {
        (a[p], factors[p]) = (parts::<S>(pair.a, half), isa.load(&pair.factor));
    }
    let b = parts::<S>(pairs[0].b, half);
    let [out_re, out_im] = parts_mut(out, half);
    for k in 0..half {
        let mut tiles = [[isa.splat(0.0); W]; 2];
        let b = complex(isa, b, k);
        for p in 0..P {
            let product = mul_conj::<f64, I>(isa, b, complex(isa, a[p], k));
            tiles[0][p] = isa.mul(factors[p], product.re);
            tiles[1][p] = isa.mul(factors[p], product.im);
        }
        isa.store(&mut out_re[k], lane_sums(isa, tiles[0]));
        isa.store(&mut out_im[k], lane_sums(isa, tiles[1]));
    }
}
