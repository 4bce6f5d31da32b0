//! Spectra, number by number: what parents share, and sums over the pairs of a target and a source among the children
//! of the root.
//!
//! These are `Σ_p factor_p a_p b_p` with a factor for each lane: products, where b is the spectrum of a segment of the
//! lags, shared by all lanes; and correlations, where it is that of y. The children of the root are the lanes, so that
//! the a_p are rotations of one register.

use super::Lane;
use super::plan::{CHILDREN, GAP, W};
use crate::transform::butterfly::{Complex, mul, mul_conj};
use crate::transform::isa::{Isa, lanes_mut};

/// A segment of the lags, for products, and the factors of the pairs that share it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a> {
    pub segment: &'a [f64],
    pub factor: Lane,
}

impl Pair<'_> {
    /// Nothing, for arrays to begin with: closures that fill them are not compiled for the instruction set.
    pub const NONE: Self = Self { segment: &[], factor: [0.0; W] };
}

/// The real and imaginary parts of spectra.
#[inline(always)]
pub(super) fn parts(spectrum: &[f64], half: usize) -> [&[Lane]; 2] {
    let (re, im) = spectrum.split_at(half * W + GAP);
    [&re.as_chunks().0[..half], &im.as_chunks().0[..half]]
}

/// The same to be written.
#[inline(always)]
pub(super) fn parts_mut(spectrum: &mut [f64], half: usize) -> [&mut [Lane]; 2] {
    let (re, im) = spectrum.split_at_mut(half * W + GAP);
    [&mut lanes_mut::<f64>(re)[..half], &mut lanes_mut::<f64>(&mut im[..half * W])[..half]]
}

#[inline(always)]
pub(super) fn complex<I: Isa<f64>>(isa: I, [re, im]: [&[Lane]; 2], k: usize) -> Complex<I::V> {
    Complex { re: isa.load(&re[k]), im: isa.load(&im[k]) }
}

#[inline(always)]
fn skip<I: Isa<f64>, const BY: usize>(isa: I, z: Complex<I::V>) -> Complex<I::V> {
    Complex { re: isa.skip::<BY>(z.re, z.re), im: isa.skip::<BY>(z.im, z.im) }
}

/// For each distance, what is in the lane so far before, around the cycle.
#[inline(always)]
fn rotations<I: Isa<f64>>(isa: I, z: Complex<I::V>) -> [Complex<I::V>; CHILDREN] {
    [z, skip::<I, 3>(isa, z), skip::<I, 2>(isa, z), skip::<I, 1>(isa, z)]
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

/// How far the sources of a turn are before their targets, around the cycle: first those that lag behind, then each
/// itself, then those that are reached around the cycle only, the farthest first.
#[inline(always)]
pub(super) const fn distance(turn: usize) -> usize {
    if turn < CHILDREN { (turn + 1) % CHILDREN } else { 2 * CHILDREN - 1 - turn }
}

/// `out = Σ_p factor_p a_p s_p` for segments s, where a_p is a seen from a distance; or with s conjugated and the
/// distance to the other side. Added if asked. For the gradient in the factors it returns the inner products of each
/// `a_p s_p` with y, lane by lane. The first factors may be known to be one, and then there is no gradient in them.
#[inline(always)]
pub(super) fn combine<I: Isa<f64>, const P: usize, const CONJ: bool, const GRADIENT: bool, const FIRST: bool>(
    isa: I,
    half: usize,
    pairs: [Pair<'_>; P],
    [a, y]: [&[f64]; 2],
    add: bool,
    out: &mut [f64],
) -> [I::V; P] {
    let (mut s, mut factors) = ([[&[][..]; 2]; P], [isa.splat(0.0); P]);
    for (p, pair) in pairs.iter().enumerate() {
        (s[p], factors[p]) = (parts(pair.segment, half), isa.load(&pair.factor));
    }
    let (a, y) = (parts(a, half), if GRADIENT { parts(y, half) } else { [&[][..]; 2] });
    let [out_re, out_im] = parts_mut(out, half);
    let mut sums = [isa.splat(0.0); P];
    for k in 0..half {
        let zero = isa.splat(0.0);
        let mut z = match add {
            true => Complex { re: isa.load(&out_re[k]), im: isa.load(&out_im[k]) },
            false => Complex { re: zero, im: zero },
        };
        let y = if GRADIENT { complex(isa, y, k) } else { z };
        let a = rotations(isa, complex(isa, a, k));
        for p in 0..P {
            let s = Complex { re: isa.splat(s[p][0][k][0]), im: isa.splat(s[p][1][k][0]) };
            let a = a[if CONJ { CHILDREN - distance(p) } else { distance(p) } % CHILDREN];
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

/// The sums over the lanes of `factor_p conj(a_p) y` go to lane p of `out`, for up to four turns from the first or the
/// fifth one on.
#[inline(always)]
pub(super) fn correlate_apart<I: Isa<f64>, const P: usize, const FROM: usize>(
    isa: I,
    half: usize,
    all_factors: [Lane; P],
    [a, y]: [&[f64]; 2],
    out: &mut [f64],
) {
    let mut factors = [isa.splat(0.0); P];
    for (factor, given) in factors.iter_mut().zip(&all_factors) {
        *factor = isa.load(given);
    }
    let (a, y, [out_re, out_im]) = (parts(a, half), parts(y, half), parts_mut(out, half));
    for k in 0..half {
        let mut tiles = [[isa.splat(0.0); W]; 2];
        let (y, a) = (complex(isa, y, k), rotations(isa, complex(isa, a, k)));
        for p in 0..P {
            let product = mul_conj::<f64, I>(isa, y, a[distance(FROM + p)]);
            tiles[0][p] = isa.mul(factors[p], product.re);
            tiles[1][p] = isa.mul(factors[p], product.im);
        }
        isa.store(&mut out_re[k], lane_sums(isa, tiles[0]));
        isa.store(&mut out_im[k], lane_sums(isa, tiles[1]));
    }
}
