//! Butterflies: the discrete Fourier transforms of 2, 3, 4, 5 and 7 complex vectors, with the sign `e^{+2πi/p}`.

use super::isa::{Isa, Kernels};

/// A vector of complex numbers, real and imaginary parts apart.
#[derive(Clone, Copy)]
pub struct Complex<V> {
    pub re: V,
    pub im: V,
}

/// Complex arithmetic on vectors.
#[inline(always)]
pub fn add<T: Kernels, I: Isa<T>>(isa: I, a: Complex<I::V>, b: Complex<I::V>) -> Complex<I::V> {
    Complex { re: isa.add(a.re, b.re), im: isa.add(a.im, b.im) }
}

/// `a − b`.
#[inline(always)]
pub fn sub<T: Kernels, I: Isa<T>>(isa: I, a: Complex<I::V>, b: Complex<I::V>) -> Complex<I::V> {
    Complex { re: isa.sub(a.re, b.re), im: isa.sub(a.im, b.im) }
}

/// `a w`.
#[inline(always)]
pub fn mul<T: Kernels, I: Isa<T>>(isa: I, a: Complex<I::V>, w: Complex<I::V>) -> Complex<I::V> {
    Complex { re: isa.neg_mul_add(a.im, w.im, isa.mul(a.re, w.re)), im: isa.mul_add(a.im, w.re, isa.mul(a.re, w.im)) }
}

/// `a` times the conjugate of `w`.
#[inline(always)]
pub fn mul_conj<T: Kernels, I: Isa<T>>(isa: I, a: Complex<I::V>, w: Complex<I::V>) -> Complex<I::V> {
    Complex { re: isa.mul_add(a.im, w.im, isa.mul(a.re, w.re)), im: isa.neg_mul_add(a.re, w.im, isa.mul(a.im, w.re)) }
}

/// The two outputs `a ± i s b` of a pair of conjugate roots, where `b` is already scaled and `s` is +1 or −1.
#[inline(always)]
fn conjugate_pair<T: Kernels, I: Isa<T>>(isa: I, a: Complex<I::V>, b: Complex<I::V>) -> (Complex<I::V>, Complex<I::V>) {
    (
        Complex { re: isa.sub(a.re, b.im), im: isa.add(a.im, b.re) },
        Complex { re: isa.add(a.re, b.im), im: isa.sub(a.im, b.re) },
    )
}

/// A transform of `P` vectors.
pub trait Radix<const P: usize> {
    /// `X_i = Σ_j e^{2πi·ij/P} x_j`.
    fn dft<T: Kernels + num_traits::Float, I: Isa<T>>(isa: I, x: [Complex<I::V>; P]) -> [Complex<I::V>; P];
}

/// The butterflies.
pub struct Dft;

impl Radix<2> for Dft {
    #[inline(always)]
    fn dft<T: Kernels + num_traits::Float, I: Isa<T>>(isa: I, x: [Complex<I::V>; 2]) -> [Complex<I::V>; 2] {
        [add(isa, x[0], x[1]), sub(isa, x[0], x[1])]
    }
}

impl Radix<4> for Dft {
    #[inline(always)]
    fn dft<T: Kernels + num_traits::Float, I: Isa<T>>(isa: I, x: [Complex<I::V>; 4]) -> [Complex<I::V>; 4] {
        let (even, odd) = (add(isa, x[0], x[2]), sub(isa, x[0], x[2]));
        let (sum, difference) = (add(isa, x[1], x[3]), sub(isa, x[1], x[3]));
        let (first, third) = conjugate_pair(isa, odd, difference);
        [add(isa, even, sum), first, sub(isa, even, sum), third]
    }
}

/// Odd radices by pairs of conjugate roots: with `s_j = x_j + x_{P−j}` and `d_j = x_j − x_{P−j}`,
/// `X_i, X_{P−i} = (x_0 + Σ_j cos(2πij/P) s_j) ± i Σ_j sin(2πij/P) d_j`.
macro_rules! odd_radix {
    ($p:literal) => {
        impl Radix<$p> for Dft {
            #[inline(always)]
            fn dft<T: Kernels + num_traits::Float, I: Isa<T>>(isa: I, x: [Complex<I::V>; $p]) -> [Complex<I::V>; $p] {
                const HALF: usize = $p / 2;
                let mut sums = [x[0]; HALF];
                let mut differences = [x[0]; HALF];
                let mut out = x;
                for j in 1..=HALF {
                    sums[j - 1] = add(isa, x[j], x[$p - j]);
                    differences[j - 1] = sub(isa, x[j], x[$p - j]);
                    out[0] = add(isa, out[0], sums[j - 1]);
                }
                for i in 1..=HALF {
                    let mut even = x[0];
                    let mut odd = x[0];
                    for j in 1..=HALF {
                        let (cos, sin) = ROOTS[$p][i * j % $p];
                        let (cos, sin) = (isa.splat(real(cos)), isa.splat(real(sin)));
                        even.re = isa.mul_add(cos, sums[j - 1].re, even.re);
                        even.im = isa.mul_add(cos, sums[j - 1].im, even.im);
                        let d = differences[j - 1];
                        odd = match j {
                            1 => Complex { re: isa.mul(sin, d.re), im: isa.mul(sin, d.im) },
                            _ => Complex { re: isa.mul_add(sin, d.re, odd.re), im: isa.mul_add(sin, d.im, odd.im) },
                        };
                    }
                    (out[i], out[$p - i]) = conjugate_pair(isa, even, odd);
                }
                out
            }
        }
    };
}

odd_radix!(3);
odd_radix!(5);
odd_radix!(7);

#[inline(always)]
fn real<T: num_traits::Float>(x: f64) -> T {
    T::from(x).unwrap_or_else(T::nan)
}

/// Cosines and sines of `2πk/p`, by p and k.
const ROOTS: [[(f64, f64); 8]; 8] = {
    const Z: (f64, f64) = (0.0, 0.0);
    const ONE: (f64, f64) = (1.0, 0.0);
    const C3: f64 = -0.5;
    const S3: f64 = 0.866_025_403_784_438_6;
    const C5: (f64, f64) = (0.309_016_994_374_947_45, 0.951_056_516_295_153_5);
    const D5: (f64, f64) = (-0.809_016_994_374_947_5, 0.587_785_252_292_473_1);
    const C7: (f64, f64) = (0.623_489_801_858_733_5, 0.781_831_482_468_029_8);
    const D7: (f64, f64) = (-0.222_520_933_956_314_4, 0.974_927_912_181_823_6);
    const E7: (f64, f64) = (-0.900_968_867_902_419_1, 0.433_883_739_117_558_1);
    const fn conj(z: (f64, f64)) -> (f64, f64) {
        (z.0, -z.1)
    }
    [
        [Z; 8],
        [Z; 8],
        [Z; 8],
        [ONE, (C3, S3), (C3, -S3), Z, Z, Z, Z, Z],
        [Z; 8],
        [ONE, C5, D5, conj(D5), conj(C5), Z, Z, Z],
        [Z; 8],
        [ONE, C7, D7, E7, conj(E7), conj(D7), conj(C7), Z],
    ]
};
