//! The last passes over single signals: tiles of W registers are transposed, and polynomials of degree below W lie side by
//! side.

use crate::Scalar;
use crate::transform::butterfly::{Complex, Dft, Radix, mul, mul_conj};
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};
use crate::transform::ring::Turn;

/// The roots that one tile needs: for each pass within a register, for each sub-block and power, real and imaginary parts
/// by lane.
pub fn tile_roots<T: Scalar>(turns: &[Turn]) -> Vec<T> {
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
pub fn final_radices<T: Kernels>() -> &'static [usize] {
    if T::LANES == 8 { &[2, 4] } else { &[4] }
}

/// Transposes each tile and takes it through the passes within a register.
pub struct Finish<'a, T> {
    pub re: &'a mut [T],
    pub im: &'a mut [T],
    pub roots: &'a [T],
}

/// Undoes [`Finish`], but for a factor of W.
pub struct Unfinish<'a, T> {
    pub re: &'a mut [T],
    pub im: &'a mut [T],
    pub roots: &'a [T],
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
