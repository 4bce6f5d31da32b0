//! The real transforms of one signal alone, with neighbouring elements side by side in a register.
//!
//! A pass over the ring `x^n − c` treats all elements of a block alike, so with `y = x^W` the passes that split
//! `y^{n/W} − c` are those of [`Ring`], and W elements with neighbouring indices lie in one register as W signals would.
//! What is left are n/W polynomials of degree below W, one a register, each modulo its own `x^W − c_b`: W of them are
//! transposed, and from then on lie side by side again, only with roots that differ from lane to lane.
//!
//! A cyclic signal is split as in [`real`](super::real) until a cyclic signal of 2Wq elements is left, q odd; that one is
//! multiplied by the matrix of its transform.
//!
//! The spectrum has the same length as the signal: real parts, then imaginary parts; register j of tile t holds the values
//! at the j-th roots of the blocks tW, tW + 1, …. In a cyclic one the first complex number is a pair of reals.

use super::butterfly::{Complex, Dft, Radix, mul, mul_conj};
use super::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};
use super::real::Wrap;
use super::ring::{Ring, Turn};
use crate::Scalar;

/// The largest odd factor q of the cyclic signal that is multiplied by a matrix.
const MAX_TAIL: usize = 9;

/// Shorter signals take no longer by a general library.
const SHORTEST: usize = 512;

/// Whether there are transforms of single signals of length n here.
pub(super) fn exists<T: Kernels>(n: usize) -> bool {
    let unit = 2 * T::LANES * T::LANES;
    n >= SHORTEST && n.is_multiple_of(unit) && n >> n.trailing_zeros() <= MAX_TAIL && super::is_fast_length(n)
}

/// A real transform of single signals.
#[derive(Debug)]
pub(super) struct SingleTransform<T> {
    n: usize,
    /// Where the registers of a ring start in the real (and the imaginary) parts, and the ring.
    rings: Vec<(usize, Ring<T>)>,
    /// Roots of the blocks of each tile, lane by lane.
    roots: Vec<T>,
    tail: Option<Tail<T>>,
}

/// The cyclic signal that is left over.
#[derive(Debug)]
struct Tail<T> {
    len: usize,
    /// Column k holds what element k contributes to the real and imaginary parts.
    forward: Vec<T>,
    /// Column k holds what number k of the spectrum contributes to the signal.
    inverse: Vec<T>,
}

impl<T: Scalar> SingleTransform<T> {
    /// Plans the transform; `None` unless n is a long enough multiple of 2 W² without a large prime factor.
    pub fn new(n: usize, wrap: Wrap) -> Option<Self> {
        if !exists::<T>(n) {
            return None;
        }
        let w = T::LANES;
        let blocks = n / (2 * w);
        let tail = blocks >> blocks.trailing_zeros();
        let mut starts = vec![(0, blocks)];
        if wrap == Wrap::Cyclic {
            starts = (0..).map(|i| tail << i).take_while(|&start| start < blocks).map(|start| (start, start)).collect();
        }
        let rings: Option<Vec<_>> =
            starts.into_iter().map(|(start, len)| Some((start, Ring::new(len, Turn::QUARTER)?))).collect();
        let rings = rings?;
        let mut turns = vec![Turn::ZERO; blocks];
        for (start, ring) in &rings {
            let order = ring.order();
            for (p, &j) in order.iter().enumerate() {
                turns[start + p] = Turn::QUARTER.root(order.len() as u64, j as u64);
            }
        }
        let roots = turns.chunks(w).flat_map(tile_roots::<T>).collect();
        let tail = (wrap == Wrap::Cyclic).then(|| Tail::new(2 * w * tail));
        Some(Self { n, rings, roots, tail })
    }

    /// Numbers of scratch that a transform needs.
    pub fn scratch_len(&self) -> usize {
        self.n + self.tail.as_ref().map_or(0, |tail| tail.len)
    }

    /// For a negacyclic transform: position p of the spectrum holds the value at `e^{2πi(j + ¼)/(n/2)}` for the j returned
    /// at p.
    pub fn order(&self) -> Vec<usize> {
        let (mut within, mut count) = (vec![0], 1);
        for &radix in final_radices::<T>() {
            within = within.iter().flat_map(|&j| (0..radix).map(move |i| j + i * count)).collect();
            count *= radix;
        }
        let blocks = self.rings[0].1.order();
        let stride = blocks.len();
        let tile = |tile: &[usize]| {
            let register = |&k: &usize| tile.iter().map(move |j| j + k * stride).collect::<Vec<_>>();
            within.iter().flat_map(register).collect::<Vec<_>>()
        };
        blocks.chunks_exact(T::LANES).flat_map(tile).collect()
    }

    /// The spectrum of a signal, in place.
    pub fn forward(&self, signal: &mut [T], scratch: &mut [T]) {
        let (work, rest) = scratch.split_at_mut(self.n);
        let half = self.n / 2;
        let Some(tail) = &self.tail else {
            for (start, ring) in &self.rings {
                debug_assert_eq!(*start, 0);
                let (re, im) = signal.split_at_mut(half);
                ring.forward(re, im);
            }
            let (re, im) = signal.split_at_mut(half);
            return T::finish(Finish { re, im, roots: &self.roots });
        };
        let mut len = self.n;
        while len > tail.len {
            let (low, high) = signal[..len].split_at_mut(len / 2);
            let (re, im) = work.split_at_mut(half);
            let place = len / 4..len / 2;
            T::run(Split { low, high, re: &mut re[place.clone()], im: &mut im[place] });
            len /= 2;
        }
        let tail_spectrum = &mut rest[..tail.len];
        T::run(MatVec { matrix: &tail.forward, x: &signal[..tail.len], y: tail_spectrum });
        let (re, im) = work.split_at_mut(half);
        for (start, ring) in &self.rings {
            let place = start * T::LANES..2 * start * T::LANES;
            ring.forward(&mut re[place.clone()], &mut im[place]);
        }
        re[..tail.len / 2].fill(T::zero());
        im[..tail.len / 2].fill(T::zero());
        T::finish(Finish { re, im, roots: &self.roots });
        signal.copy_from_slice(work);
        let (re, im) = signal.split_at_mut(half);
        for (slot, at) in tail_places::<T>(tail.len / 2).enumerate() {
            re[at] = tail_spectrum[slot];
            im[at] = tail_spectrum[tail.len / 2 + slot];
        }
    }

    /// n/2 times the signal of a spectrum, in place.
    pub fn inverse(&self, spectrum: &mut [T], scratch: &mut [T]) {
        let (work, rest) = scratch.split_at_mut(self.n);
        let half = self.n / 2;
        let Some(tail) = &self.tail else {
            let (re, im) = spectrum.split_at_mut(half);
            T::unfinish(Unfinish { re, im, roots: &self.roots });
            return self.rings.iter().for_each(|(_, ring)| ring.inverse(re, im));
        };
        let tail_spectrum = &mut rest[..tail.len];
        for (slot, at) in tail_places::<T>(tail.len / 2).enumerate() {
            tail_spectrum[slot] = spectrum[at];
            tail_spectrum[tail.len / 2 + slot] = spectrum[half + at];
        }
        work.copy_from_slice(spectrum);
        let (re, im) = work.split_at_mut(half);
        T::unfinish(Unfinish { re, im, roots: &self.roots });
        for (start, ring) in &self.rings {
            let place = start * T::LANES..2 * start * T::LANES;
            ring.inverse(&mut re[place.clone()], &mut im[place]);
        }
        T::run(MatVec { matrix: &tail.inverse, x: tail_spectrum, y: &mut spectrum[..tail.len] });
        let mut len = tail.len;
        while len < self.n {
            let (low, high) = spectrum[..2 * len].split_at_mut(len);
            let place = len / 2..len;
            T::run(Join { low, high, re: &re[place.clone()], im: &im[place] });
            len *= 2;
        }
    }
}

/// Where the complex numbers of the tail go among the real (and imaginary) parts: they take the lanes of the first blocks.
fn tail_places<T: Kernels>(slots: usize) -> impl Iterator<Item = usize> {
    let w = T::LANES;
    (0..slots).map(move |slot| {
        let (block, j) = (slot / w, slot % w);
        (block / w * w + j) * w + block % w
    })
}

/// The roots that one tile needs: for each pass within a register, for each sub-block and power, real and imaginary parts
/// by lane.
fn tile_roots<T: Scalar>(turns: &[Turn]) -> Vec<T> {
    let mut roots = Vec::new();
    let mut turns = vec![turns.to_vec()];
    for &radix in final_radices::<T>() {
        for sub_block in &turns {
            for power in 1..radix as u64 {
                let root = |turn: &Turn| {
                    let root = turn.root(radix as u64, 0);
                    Turn { numerator: root.numerator * power, ..root }.cos_sin()
                };
                roots.extend(sub_block.iter().map(|turn| T::of(root(turn).0)));
                roots.extend(sub_block.iter().map(|turn| T::of(root(turn).1)));
            }
        }
        turns = turns
            .iter()
            .flat_map(|sub_block| {
                (0..radix as u64).map(move |j| sub_block.iter().map(|t| t.root(radix as u64, j)).collect())
            })
            .collect();
    }
    roots
}

/// The radices of the passes within a register.
fn final_radices<T: Kernels>() -> &'static [usize] {
    if T::LANES == 8 { &[2, 4] } else { &[4] }
}

impl<T: Scalar> Tail<T> {
    fn new(len: usize) -> Self {
        let half = len / 2;
        let root = |j: usize, k: usize| Turn { numerator: (j * k % len) as u64, denominator: len as u64 }.cos_sin();
        let mut forward = Vec::with_capacity(len * len);
        for k in 0..len {
            forward.extend((0..half).map(|j| T::of(root(j, k).0)));
            let nyquist = if k % 2 == 0 { T::one() } else { -T::one() };
            forward.push(nyquist);
            forward.extend((1..half).map(|j| T::of(root(j, k).1)));
        }
        // Each conjugate pair of roots counts twice; the two real ones count once; half of it all is the gain.
        let mut inverse = Vec::with_capacity(len * len);
        for number in 0..len {
            let (j, imaginary) = (number % half, number >= half);
            inverse.extend((0..len).map(|k| match (j, imaginary) {
                (0, false) => T::of(0.5),
                (0, true) => T::of(if k % 2 == 0 { 0.5 } else { -0.5 }),
                (_, false) => T::of(root(j, k).0),
                (_, true) => T::of(root(j, k).1),
            }));
        }
        Self { len, forward, inverse }
    }
}

/// `y = Σ_k x_k column_k`.
struct MatVec<'a, T> {
    matrix: &'a [T],
    x: &'a [T],
    y: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for MatVec<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let matrix = lanes::<T>(self.matrix);
        let y = lanes_mut::<T>(self.y);
        let registers = y.len();
        for (i, y) in y.iter_mut().enumerate() {
            let mut sums = [isa.splat(T::zero()); 4];
            for (x, columns) in self.x.chunks_exact(4).zip(matrix.chunks_exact(4 * registers)) {
                for l in 0..4 {
                    sums[l] = isa.mul_add(isa.splat(x[l]), isa.load(&columns[l * registers + i]), sums[l]);
                }
            }
            isa.store(y, isa.add(isa.add(sums[0], sums[1]), isa.add(sums[2], sums[3])));
        }
    }
}

/// Sums of two halves into the lower one; differences out, the first half of them as real, the second as imaginary parts.
struct Split<'a, T> {
    low: &'a mut [T],
    high: &'a [T],
    re: &'a mut [T],
    im: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Split<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let quarter = self.re.len();
        let (low_re, low_im) = self.low.split_at_mut(quarter);
        let (high_re, high_im) = self.high.split_at(quarter);
        for (low, high, out) in [(low_re, high_re, self.re), (low_im, high_im, self.im)] {
            let out = lanes_mut::<T>(out).iter_mut();
            for ((a, b), out) in lanes_mut::<T>(low).iter_mut().zip(lanes::<T>(high)).zip(out) {
                let (x, y) = (isa.load(a), isa.load(b));
                isa.store(a, isa.add(x, y));
                isa.store(out, isa.sub(x, y));
            }
        }
    }
}

/// Undoes [`Split`], but for a factor of 2.
struct Join<'a, T> {
    low: &'a mut [T],
    high: &'a mut [T],
    re: &'a [T],
    im: &'a [T],
}

impl<T: Scalar> Kernel<T> for Join<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let quarter = self.re.len();
        let (low_re, low_im) = self.low.split_at_mut(quarter);
        let (high_re, high_im) = self.high.split_at_mut(quarter);
        for (low, high, difference) in [(low_re, high_re, self.re), (low_im, high_im, self.im)] {
            let low = lanes_mut::<T>(low).iter_mut().zip(lanes_mut::<T>(high));
            for ((a, b), d) in low.zip(lanes::<T>(difference)) {
                let (x, y) = (isa.load(a), isa.load(d));
                isa.store(a, isa.add(x, y));
                isa.store(b, isa.sub(x, y));
            }
        }
    }
}

/// Transposes each tile and takes it through the passes within a register.
pub struct Finish<'a, T> {
    re: &'a mut [T],
    im: &'a mut [T],
    roots: &'a [T],
}

/// Undoes [`Finish`], but for a factor of W.
pub struct Unfinish<'a, T> {
    re: &'a mut [T],
    im: &'a mut [T],
    roots: &'a [T],
}

/// A tile of complex registers.
type Tile<T, V> = <T as Kernels>::Tile<Complex<V>>;

impl<T: Scalar> Kernel<T> for Finish<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let (w, each) = (T::LANES, roots_per_tile::<T>());
        let tiles = lanes_mut::<T>(self.re).chunks_exact_mut(w).zip(lanes_mut::<T>(self.im).chunks_exact_mut(w));
        for ((re, im), roots) in tiles.zip(lanes::<T>(self.roots).chunks_exact(each)) {
            let mut tile = load_transposed::<T, I>(isa, re, im);
            if w == 8 {
                pass::<T, I, 2, false>(isa, &mut tile, 4, &roots[..2]);
                pass::<T, I, 4, false>(isa, &mut tile, 1, &roots[2..]);
            } else {
                pass::<T, I, 4, false>(isa, &mut tile, 1, roots);
            }
            for (j, z) in tile.as_ref().iter().enumerate() {
                isa.store(&mut re[j], z.re);
                isa.store(&mut im[j], z.im);
            }
        }
    }
}

impl<T: Scalar> Kernel<T> for Unfinish<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let (w, each) = (T::LANES, roots_per_tile::<T>());
        let zero = Complex { re: isa.splat(T::zero()), im: isa.splat(T::zero()) };
        let tiles = lanes_mut::<T>(self.re).chunks_exact_mut(w).zip(lanes_mut::<T>(self.im).chunks_exact_mut(w));
        for ((re, im), roots) in tiles.zip(lanes::<T>(self.roots).chunks_exact(each)) {
            let mut tile = T::tile(zero);
            for (j, z) in tile.as_mut().iter_mut().enumerate() {
                *z = Complex { re: isa.load(&re[j]), im: isa.load(&im[j]) };
            }
            if w == 8 {
                pass::<T, I, 4, true>(isa, &mut tile, 1, &roots[2..]);
                pass::<T, I, 2, true>(isa, &mut tile, 4, &roots[..2]);
            } else {
                pass::<T, I, 4, true>(isa, &mut tile, 1, roots);
            }
            store_transposed::<T, I>(isa, &tile, re, im);
        }
    }
}

/// Registers of roots that a tile needs.
const fn roots_per_tile<T: Kernels>() -> usize {
    if T::LANES == 8 { 2 + 2 * 6 } else { 6 }
}

#[inline(always)]
fn load_transposed<T: Scalar, I: Isa<T>>(isa: I, re: &[T::Lane], im: &[T::Lane]) -> Tile<T, I::V> {
    let mut tile = T::tile(Complex { re: isa.splat(T::zero()), im: isa.splat(T::zero()) });
    let mut part = T::tile(isa.splat(T::zero()));
    for (v, lane) in part.as_mut().iter_mut().zip(re) {
        *v = isa.load(lane);
    }
    isa.transpose(&mut part);
    for (z, &v) in tile.as_mut().iter_mut().zip(part.as_ref()) {
        z.re = v;
    }
    for (v, lane) in part.as_mut().iter_mut().zip(im) {
        *v = isa.load(lane);
    }
    isa.transpose(&mut part);
    for (z, &v) in tile.as_mut().iter_mut().zip(part.as_ref()) {
        z.im = v;
    }
    tile
}

#[inline(always)]
fn store_transposed<T: Scalar, I: Isa<T>>(isa: I, tile: &Tile<T, I::V>, re: &mut [T::Lane], im: &mut [T::Lane]) {
    let mut part = T::tile(isa.splat(T::zero()));
    for (v, z) in part.as_mut().iter_mut().zip(tile.as_ref()) {
        *v = z.re;
    }
    isa.transpose(&mut part);
    for (&v, lane) in part.as_ref().iter().zip(re) {
        isa.store(lane, v);
    }
    for (v, z) in part.as_mut().iter_mut().zip(tile.as_ref()) {
        *v = z.im;
    }
    isa.transpose(&mut part);
    for (&v, lane) in part.as_ref().iter().zip(im) {
        isa.store(lane, v);
    }
}

/// One pass within the registers of a tile: sub-blocks of `P · part` registers, each with roots of its own in every lane.
#[inline(always)]
fn pass<T: Scalar, I: Isa<T>, const P: usize, const INVERSE: bool>(
    isa: I,
    tile: &mut Tile<T, I::V>,
    part: usize,
    roots: &[T::Lane],
) where
    Dft: Radix<P>,
{
    let each = 2 * (P - 1);
    for (sub_block, roots) in tile.as_mut().chunks_exact_mut(P * part).zip(roots.chunks_exact(each)) {
        for k in 0..part {
            let mut x = [sub_block[k]; P];
            for j in 1..P {
                x[j] = sub_block[j * part + k];
            }
            if INVERSE {
                x = Dft::dft::<T, I>(isa, x);
                x[1..].reverse();
            }
            for j in 1..P {
                let w = Complex { re: isa.load(&roots[2 * j - 2]), im: isa.load(&roots[2 * j - 1]) };
                x[j] = if INVERSE { mul_conj::<T, I>(isa, x[j], w) } else { mul::<T, I>(isa, x[j], w) };
            }
            if !INVERSE {
                x = Dft::dft::<T, I>(isa, x);
            }
            for j in 0..P {
                sub_block[j * part + k] = x[j];
            }
        }
    }
}

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
