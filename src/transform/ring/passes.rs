//! The passes of a complex transform: butterflies of all elements of a block with the same roots.

use crate::Scalar;
use crate::transform::butterfly::{Complex, Dft, Radix, mul, mul_conj};
use crate::transform::isa::{Isa, Kernel, lanes_mut};

/// One pass: blocks of `radix · part` elements, each with its own root.
#[derive(Debug)]
pub struct Pass<T> {
    pub radix: usize,
    pub part: usize,
    /// For each block the powers 1..radix of its root, real and imaginary part after each other.
    pub roots: Vec<T>,
}

impl<T> Pass<T> {
    pub fn roots_of(&self, block: usize, blocks: usize) -> &[T] {
        let each = 2 * (self.radix - 1);
        &self.roots[block * each..(block + blocks) * each]
    }
}

/// Several passes over one block and all its descendants.
pub struct Passes<'a, T> {
    pub passes: &'a [Pass<T>],
    pub block: usize,
    pub inverse: bool,
    pub re: &'a mut [T],
    pub im: &'a mut [T],
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

#[inline(always)]
pub fn one_pass<T: Scalar, I: Isa<T>, const INVERSE: bool>(
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
pub fn splat_roots<T: Scalar, I: Isa<T>, const P: usize>(isa: I, roots: &[T]) -> [Complex<I::V>; P] {
    let mut w = [Complex { re: isa.splat(T::zero()), im: isa.splat(T::zero()) }; P];
    for j in 1..P {
        w[j] = Complex { re: isa.splat(roots[2 * j - 2]), im: isa.splat(roots[2 * j - 1]) };
    }
    w
}

#[inline(always)]
pub fn forward_butterfly<T: Scalar, I: Isa<T>, const P: usize>(
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
pub fn inverse_butterfly<T: Scalar, I: Isa<T>, const P: usize>(
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
pub fn parts<X, const P: usize>(mut block: &mut [X], part: usize) -> [&mut [X]; P] {
    std::array::from_fn(|_| {
        let (head, tail) = std::mem::take(&mut block).split_at_mut(part);
        block = tail;
        head
    })
}
