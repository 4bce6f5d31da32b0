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

mod multiply;
mod tail;
mod tiles;

use super::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};
use super::real::Wrap;
use super::ring::{Ring, Turn};
use crate::Scalar;
use tail::{MatVec, Tail, tail_places};
use tiles::{final_radices, tile_roots};

pub use multiply::MultiplySingle;
pub use tiles::{Finish, Unfinish};

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
