//! Transforms of complex signals modulo `x^n − e^{2πiθ}`: the values of a polynomial at the n-th roots of a number on
//! the unit circle.
//!
//! One radix-p pass splits the ring `x^n − c` into the p rings `x^{n/p} − c_j`, where the c_j are the p-th roots of c:
//! the butterfly multiplies by powers of one root of c, *the same along the whole block*, and takes a p-point
//! transform. So a negacyclic transform (c = i) costs no twist, and the last passes leave the values in digit-reversed
//! order, which no pointwise product minds.
//!
//! Signals lie side by side, one a SIMD lane: element k of lane l is at `k · LANES + l`, real and imaginary parts in
//! slices of their own.

use std::f64::consts::TAU;

use super::butterfly::{Complex, Dft, Radix, mul, mul_conj};
use super::isa::{Isa, Kernel, lanes, lanes_mut};
use super::product::{LastPass, Values};
use crate::Scalar;

/// Blocks up to this many bytes are taken through all their remaining passes before the next block is touched, so that
/// they stay in the first-level cache.
const CACHE_BYTES: usize = 1 << 14;

/// An exact fraction of a full turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub numerator: u64,
    pub denominator: u64,
}

impl Turn {
    /// The angle of 1, `x^n − 1`.
    pub const ZERO: Turn = Turn { numerator: 0, denominator: 1 };
    /// The angle of i, `x^n − i`.
    pub const QUARTER: Turn = Turn { numerator: 1, denominator: 4 };

    /// The angle of the `j`-th of the `p`-th roots.
    pub fn root(self, p: u64, j: u64) -> Turn {
        Turn { numerator: self.numerator + j * self.denominator, denominator: self.denominator * p }
    }

    /// Cosine and sine, correctly rounded but for an ulp: the angle is reduced to an eighth of a turn exactly.
    pub fn cos_sin(self) -> (f64, f64) {
        let numerator = self.numerator % self.denominator;
        let eighths = 8 * u128::from(numerator);
        let octant = (eighths / u128::from(self.denominator)) as u64;
        let rest = (eighths % u128::from(self.denominator)) as f64 / self.denominator as f64;
        let angle = if octant.is_multiple_of(2) { rest } else { 1.0 - rest } * (TAU / 8.0);
        let (sin, cos) = angle.sin_cos();
        match octant {
            0 => (cos, sin),
            1 => (sin, cos),
            2 => (-sin, cos),
            3 => (-cos, sin),
            4 => (-cos, -sin),
            5 => (-sin, -cos),
            6 => (sin, -cos),
            _ => (cos, -sin),
        }
    }
}

/// One pass: blocks of `radix · part` elements, each with its own root.
#[derive(Debug)]
pub struct Pass<T> {
    radix: usize,
    part: usize,
    /// For each block the powers 1..radix of its root, real and imaginary part after each other.
    roots: Vec<T>,
}

impl<T> Pass<T> {
    fn roots_of(&self, block: usize, blocks: usize) -> &[T] {
        let each = 2 * (self.radix - 1);
        &self.roots[block * each..(block + blocks) * each]
    }
}

/// A transform modulo `x^n − c` for an n with no prime factor above 7.
#[derive(Debug)]
pub(crate) struct Ring<T> {
    passes: Vec<Pass<T>>,
}

impl<T: Scalar> Ring<T> {
    /// Plans the transform; `None` when `len` has a prime factor above 7.
    pub fn new(len: usize, turn: Turn) -> Option<Self> {
        Some(Self::with_radices(radices(len)?, len, turn))
    }

    /// The same for real signals: a pass of radix two, if any, is the first one, since there it is done in less time than in any other
    /// place.
    pub fn for_real(len: usize, turn: Turn) -> Option<Self> {
        let mut radices = radices(len)?;
        if radices.last() == Some(&2) {
            radices.rotate_right(1);
        }
        Some(Self::with_radices(radices, len, turn))
    }

    fn with_radices(radices: Vec<usize>, len: usize, turn: Turn) -> Self {
        let mut turns = vec![turn];
        let mut passes = Vec::with_capacity(radices.len());
        let mut block = len;
        for radix in radices {
            let mut roots = Vec::with_capacity(turns.len() * 2 * (radix - 1));
            let mut children = Vec::with_capacity(turns.len() * radix);
            for turn in turns {
                let root = turn.root(radix as u64, 0);
                for power in 1..radix as u64 {
                    let (cos, sin) = Turn { numerator: root.numerator * power, ..root }.cos_sin();
                    roots.extend([T::of(cos), T::of(sin)]);
                }
                children.extend((0..radix as u64).map(|j| turn.root(radix as u64, j)));
            }
            block /= radix;
            passes.push(Pass { radix, part: block, roots });
            turns = children;
        }
        Self { passes }
    }

    /// Values at the roots, in place; `re` and `im` hold `len · LANES` numbers.
    pub fn forward(&self, re: &mut [T], im: &mut [T]) {
        match self.fits_cache(0) {
            true => T::passes(Passes { passes: &self.passes, block: 0, inverse: false, re, im }),
            false => self.descend(0, 0, None, re, im),
        }
    }

    /// `n` times the inverse of [`Self::forward`], in place.
    pub fn inverse(&self, re: &mut [T], im: &mut [T]) {
        match self.fits_cache(0) {
            true => T::passes(Passes { passes: &self.passes, block: 0, inverse: true, re, im }),
            false => self.ascend(0, 0, None, re, im),
        }
    }

    /// Leaves the values elsewhere, and nothing of use in `re` and `im`.
    pub fn forward_to(&self, values: Values<'_, T>, re: &mut [T], im: &mut [T]) {
        self.descend(0, 0, Some(values), re, im);
    }

    /// Starts from other values than those in `re` and `im`.
    pub fn inverse_from(&self, values: Values<'_, T>, re: &mut [T], im: &mut [T]) {
        self.ascend(0, 0, Some(values), re, im);
    }

    /// [`Self::forward`] of the real signals in `from`, as many numbers as there are in `re`.
    pub fn forward_from_real(&self, from: &[T], re: &mut [T], im: &mut [T]) {
        let passes = if self.fits_cache(0) { self.passes.len() } else { 1 };
        T::run(FromReal { passes: &self.passes[..passes], from, re, im });
        if passes == 1 {
            self.each_part(re, im, |block, re, im| self.descend(1, block, None, re, im));
        }
    }

    /// `to = factor to + Re z`, lane by lane, for what [`Self::inverse`] would leave in place, z, or `to = Re z`; `re` and `im` are used up.
    pub fn inverse_to_real(&self, re: &mut [T], im: &mut [T], factor: Option<&T::Lane>, to: &mut [T]) {
        let passes = if self.fits_cache(0) { self.passes.len() } else { 1 };
        if passes == 1 {
            self.each_part(re, im, |block, re, im| self.ascend(1, block, None, re, im));
        }
        T::run(ToReal { passes: &self.passes[..passes], re, im, factor, to });
    }

    /// The blocks that the first pass leaves.
    fn each_part(&self, re: &mut [T], im: &mut [T], mut part: impl FnMut(usize, &mut [T], &mut [T])) {
        let Some(first) = self.passes.first() else { return };
        let len = first.part * T::LANES;
        let parts = re.chunks_exact_mut(len).zip(im.chunks_exact_mut(len));
        parts.enumerate().for_each(|(block, (re, im))| part(block, re, im));
    }

    /// The order of the values: position p holds the value at `e^{2πi(θ + j)/n}` for the j returned at p.
    pub fn order(&self) -> Vec<usize> {
        let mut order = vec![0];
        let mut count = 1;
        for pass in &self.passes {
            order = order.iter().flat_map(|&j| (0..pass.radix).map(move |i| j + i * count)).collect();
            count *= pass.radix;
        }
        order
    }

    /// Whether a pass is taken together with all that follow.
    fn fits_cache(&self, pass: usize) -> bool {
        let Some(Pass { radix, part, .. }) = self.passes.get(pass) else { return true };
        2 * radix * part * T::LANES * size_of::<T>() <= CACHE_BYTES
    }

    fn descend(&self, pass: usize, block: usize, mut values: Option<Values<'_, T>>, re: &mut [T], im: &mut [T]) {
        if self.fits_cache(pass) {
            let Some(values) = values else {
                return T::passes(Passes { passes: &self.passes[pass..], block, inverse: false, re, im });
            };
            let (passes, radix, roots) = self.split_last(pass, block);
            T::passes(Passes { passes, block, inverse: false, re, im });
            return T::last_pass(LastPass { values, radix, roots, re, im });
        }
        let here = &self.passes[pass];
        T::passes(Passes { passes: std::slice::from_ref(here), block, inverse: false, re, im });
        let part = here.part * T::LANES;
        for (j, (re, im)) in re.chunks_exact_mut(part).zip(im.chunks_exact_mut(part)).enumerate() {
            let values = values.as_mut().map(|values| values.part(j * here.part, here.part));
            self.descend(pass + 1, block * here.radix + j, values, re, im);
        }
    }

    fn ascend(&self, pass: usize, block: usize, mut values: Option<Values<'_, T>>, re: &mut [T], im: &mut [T]) {
        if self.fits_cache(pass) {
            let Some(values) = values else {
                return T::passes(Passes { passes: &self.passes[pass..], block, inverse: true, re, im });
            };
            let (passes, radix, roots) = self.split_last(pass, block);
            T::last_pass(LastPass { values, radix, roots, re, im });
            return T::passes(Passes { passes, block, inverse: true, re, im });
        }
        let here = &self.passes[pass];
        let part = here.part * T::LANES;
        for (j, (re, im)) in re.chunks_exact_mut(part).zip(im.chunks_exact_mut(part)).enumerate() {
            let values = values.as_mut().map(|values| values.part(j * here.part, here.part));
            self.ascend(pass + 1, block * here.radix + j, values, re, im);
        }
        T::passes(Passes { passes: std::slice::from_ref(here), block, inverse: true, re, im });
    }

    /// The passes from `pass` on but for the last one, and the radix and roots of that; with radix 1 no pass is left out.
    fn split_last(&self, pass: usize, block: usize) -> (&[Pass<T>], usize, &[T]) {
        let passes = &self.passes[pass..];
        let Some((last, others)) = passes.split_last().filter(|(last, _)| LastPass::<T>::exists(last.radix)) else {
            return (passes, 1, &[]);
        };
        let blocks = others.iter().map(|pass| pass.radix).product::<usize>();
        (others, last.radix, last.roots_of(block * blocks, blocks))
    }
}

/// The radices of the passes for a length, or `None` when it has a prime factor above 7.
fn radices(mut len: usize) -> Option<Vec<usize>> {
    let mut radices = Vec::new();
    for radix in [7, 5, 3, 4, 2] {
        while len.is_multiple_of(radix) {
            radices.push(radix);
            len /= radix;
        }
    }
    (len == 1).then_some(radices)
}

/// Several passes over one block and all its descendants.
pub struct Passes<'a, T> {
    passes: &'a [Pass<T>],
    block: usize,
    inverse: bool,
    re: &'a mut [T],
    im: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Passes<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let (re, im) = (lanes_mut::<T>(self.re), lanes_mut::<T>(self.im));
        let mut block = self.block;
        let mut blocks = 1;
        if !self.inverse {
            for pass in self.passes {
                one_pass::<T, I, false>(isa, pass, pass.roots_of(block, blocks), re, im);
                block *= pass.radix;
                blocks *= pass.radix;
            }
            return;
        }
        for pass in self.passes {
            block *= pass.radix;
            blocks *= pass.radix;
        }
        for pass in self.passes.iter().rev() {
            block /= pass.radix;
            blocks /= pass.radix;
            one_pass::<T, I, true>(isa, pass, pass.roots_of(block, blocks), re, im);
        }
    }
}

/// Passes over real signals that are elsewhere.
struct FromReal<'a, T> {
    passes: &'a [Pass<T>],
    from: &'a [T],
    re: &'a mut [T],
    im: &'a mut [T],
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
struct ToReal<'a, T: Scalar> {
    passes: &'a [Pass<T>],
    re: &'a mut [T],
    im: &'a mut [T],
    factor: Option<&'a T::Lane>,
    to: &'a mut [T],
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

#[inline(always)]
fn one_pass<T: Scalar, I: Isa<T>, const INVERSE: bool>(
    isa: I,
    pass: &Pass<T>,
    roots: &[T],
    re: &mut [T::Lane],
    im: &mut [T::Lane],
) {
    match pass.radix {
        2 => blocks::<T, I, 2, INVERSE>(isa, pass.part, roots, re, im),
        3 => blocks::<T, I, 3, INVERSE>(isa, pass.part, roots, re, im),
        4 => blocks::<T, I, 4, INVERSE>(isa, pass.part, roots, re, im),
        5 => blocks::<T, I, 5, INVERSE>(isa, pass.part, roots, re, im),
        _ => blocks::<T, I, 7, INVERSE>(isa, pass.part, roots, re, im),
    }
}

#[inline(always)]
fn blocks<T: Scalar, I: Isa<T>, const P: usize, const INVERSE: bool>(
    isa: I,
    part: usize,
    roots: &[T],
    re: &mut [T::Lane],
    im: &mut [T::Lane],
) where
    Dft: Radix<P>,
{
    let each = 2 * (P - 1);
    let blocks = re.chunks_exact_mut(P * part).zip(im.chunks_exact_mut(P * part));
    for ((re, im), roots) in blocks.zip(roots.chunks_exact(each)) {
        let w = splat_roots::<T, I, P>(isa, roots);
        let (re, im) = (parts::<_, P>(re, part), parts::<_, P>(im, part));
        for k in 0..part {
            let mut x = w;
            for j in 0..P {
                x[j] = Complex { re: isa.load(&re[j][k]), im: isa.load(&im[j][k]) };
            }
            x = if INVERSE { inverse_butterfly(isa, x, w) } else { forward_butterfly(isa, x, w) };
            for j in 0..P {
                isa.store(&mut re[j][k], x[j].re);
                isa.store(&mut im[j][k], x[j].im);
            }
        }
    }
}

/// The powers 0..P of a root, the first left at zero.
#[inline(always)]
pub(super) fn splat_roots<T: Scalar, I: Isa<T>, const P: usize>(isa: I, roots: &[T]) -> [Complex<I::V>; P] {
    let mut w = [Complex { re: isa.splat(T::zero()), im: isa.splat(T::zero()) }; P];
    for j in 1..P {
        w[j] = Complex { re: isa.splat(roots[2 * j - 2]), im: isa.splat(roots[2 * j - 1]) };
    }
    w
}

#[inline(always)]
pub(super) fn forward_butterfly<T: Scalar, I: Isa<T>, const P: usize>(
    isa: I,
    mut x: [Complex<I::V>; P],
    w: [Complex<I::V>; P],
) -> [Complex<I::V>; P]
where
    Dft: Radix<P>,
{
    for j in 1..P {
        x[j] = mul::<T, I>(isa, x[j], w[j]);
    }
    Dft::dft::<T, I>(isa, x)
}

/// The inverse butterfly: a transform with the other sign is one whose outputs 1..P are reversed.
#[inline(always)]
pub(super) fn inverse_butterfly<T: Scalar, I: Isa<T>, const P: usize>(
    isa: I,
    x: [Complex<I::V>; P],
    w: [Complex<I::V>; P],
) -> [Complex<I::V>; P]
where
    Dft: Radix<P>,
{
    let y = Dft::dft::<T, I>(isa, x);
    let mut out = y;
    for j in 1..P {
        out[j] = mul_conj::<T, I>(isa, y[P - j], w[j]);
    }
    out
}

/// Cuts a block into its `P` parts.
#[inline(always)]
fn parts<X, const P: usize>(mut block: &mut [X], part: usize) -> [&mut [X]; P] {
    std::array::from_fn(|_| {
        let (head, tail) = std::mem::take(&mut block).split_at_mut(part);
        block = tail;
        head
    })
}
