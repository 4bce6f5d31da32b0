//! The short cyclic signal that is left over when a cyclic one has been split: a product with the matrix of its transform.

use crate::Scalar;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};
use crate::transform::ring::Turn;

/// The cyclic signal that is left over.
#[derive(Debug)]
pub struct Tail<T> {
    pub len: usize,
    /// Column k holds what element k contributes to the real and imaginary parts.
    pub forward: Vec<T>,
    /// Column k holds what number k of the spectrum contributes to the signal.
    pub inverse: Vec<T>,
}

impl<T: Scalar> Tail<T> {
    pub fn new(len: usize) -> Self {
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
pub struct MatVec<'a, T> {
    pub matrix: &'a [T],
    pub x: &'a [T],
    pub y: &'a mut [T],
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

/// Where the complex numbers of the tail go among the real (and imaginary) parts: they take the lanes of the first blocks.
pub fn tail_places<T: Kernels>(slots: usize) -> impl Iterator<Item = usize> {
    let w = T::LANES;
    (0..slots).map(move |slot| {
        let (block, j) = (slot / w, slot % w);
        (block / w * w + j) * w + block % w
    })
}
