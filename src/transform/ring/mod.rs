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

mod passes;
mod real_passes;
mod turn;

use super::product::{LastPass, Values};
use crate::Scalar;
use passes::Pass;
use real_passes::{FromReal, ToReal};

pub use passes::Passes;
pub(super) use passes::{forward_butterfly, inverse_butterfly, splat_roots};
pub(crate) use turn::Turn;

/// Blocks up to this many bytes are taken through all their remaining passes before the next block is touched, so that
/// they stay in the first-level cache.
const CACHE_BYTES: usize = 1 << 14;

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

    /// The same for real signals: a pass of radix two, if any, comes first, where it takes less time than in any other place.
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

    /// `to = factor to + Re z`, lane by lane, or `to = Re z`, for the z that [`Self::inverse`] would leave in place;
    /// `re` and `im` are used up.
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
