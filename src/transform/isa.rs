//! Instruction sets: the few vector operations that the kernels are written in, once for each kind of processor.
//!
//! A kernel is a [`Kernel`]: generic code over an [`Isa`], compiled for every instruction set and chosen at run time by
//! [`Kernels::run`]. `pulp` supplies the proof that the processor has the instructions, so that no `unsafe` is needed.
//!
//! AVX-512 is left out: the width of a lane is a constant of the number type, on which layouts in memory depend, and the
//! same kernels compiled for its 32 registers of 256 bits were 0–3% faster, measured in turn on a processor that has it.

use bytemuck::Zeroable;

use super::few::Few;
use super::nonuniform::Step;
use super::pointwise::{Correlate, Multiply};
use super::product::LastPass;
use super::ring::Passes;
use super::rows::{Load, Store};
use super::single::{Finish, MultiplySingle, Unfinish};

/// Vector operations on [`Kernels::LANES`] numbers of type `T` side by side.
pub trait Isa<T: Kernels>: Copy {
    /// A register of numbers.
    type V: Copy;

    fn splat(self, x: T) -> Self::V;
    fn load(self, from: &T::Lane) -> Self::V;
    fn store(self, to: &mut T::Lane, v: Self::V);
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    fn sub(self, a: Self::V, b: Self::V) -> Self::V;
    fn mul(self, a: Self::V, b: Self::V) -> Self::V;
    fn div(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a b + c`.
    fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a b − c`.
    fn mul_sub(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `c − a b`.
    fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// Transposes a tile of `LANES` × `LANES` numbers.
    fn transpose(self, tile: &mut T::Tile<Self::V>);

    /// The numbers of a register in reverse.
    #[inline(always)]
    fn reverse(self, v: Self::V) -> Self::V {
        let mut lane = T::Lane::zeroed();
        self.store(&mut lane, v);
        lane.as_mut().reverse();
        self.load(&lane)
    }

    /// The numbers of two registers one after the other, `LANES` of them from the one with index BY on.
    #[inline(always)]
    fn skip<const BY: usize>(self, a: Self::V, b: Self::V) -> Self::V {
        let [mut first, mut second] = [T::Lane::zeroed(); 2];
        self.store(&mut first, a);
        self.store(&mut second, b);
        first.as_mut().rotate_left(BY);
        first.as_mut()[T::LANES - BY..].copy_from_slice(&second.as_ref()[..BY]);
        self.load(&first)
    }
}

/// Code that is compiled once for each instruction set.
pub trait Kernel<T: Kernels> {
    /// Runs on the instruction set `isa`. Has to be `#[inline(always)]` to be compiled for it.
    fn run<I: Isa<T>>(self, isa: I);
}

/// What a number type brings along: its lane width and the choice of the instruction set.
pub trait Kernels: Copy + bytemuck::Pod {
    /// Numbers in a register.
    const LANES: usize;
    /// A register's worth of numbers in memory.
    type Lane: Copy + bytemuck::Pod + AsRef<[Self]> + AsMut<[Self]>;
    /// `LANES` values of any type.
    type Tile<V: Copy>: Copy + AsRef<[V]> + AsMut<[V]>;

    /// A tile of equal values.
    fn tile<V: Copy>(v: V) -> Self::Tile<V>;

    /// Runs `kernel` on the best instruction set that this processor has.
    fn run<K: Kernel<Self>>(kernel: K);

    // The large kernels, compiled here once for all crates that use them.
    fn passes(kernel: Passes<'_, Self>);
    fn last_pass(kernel: LastPass<'_, Self>);
    fn finish(kernel: Finish<'_, Self>);
    fn unfinish(kernel: Unfinish<'_, Self>);
    fn multiply_single(kernel: MultiplySingle<'_, Self>);
    fn multiply(kernel: Multiply<'_, Self>);
    fn correlate(kernel: Correlate<'_, Self>);
    fn load(kernel: Load<'_, Self>);
    fn store(kernel: Store<'_, Self>);
    fn few(kernel: Few<'_, Self>);
    fn nonuniform(kernel: Step<'_, Self>);
}

/// Arrays of numbers that the compiler turns into whatever vectors the target has: NEON on 64-bit ARM, where it is always
/// there.
#[derive(Clone, Copy)]
pub struct Portable;

/// Whether the target multiplies and adds in one instruction; elsewhere that would be a call of a function.
const FUSED: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

macro_rules! portable {
    ($t:ty, $lanes:literal) => {
        impl Isa<$t> for Portable {
            type V = [$t; $lanes];

            #[inline(always)]
            fn splat(self, x: $t) -> Self::V {
                [x; $lanes]
            }
            #[inline(always)]
            fn load(self, from: &[$t; $lanes]) -> Self::V {
                *from
            }
            #[inline(always)]
            fn store(self, to: &mut [$t; $lanes], v: Self::V) {
                *to = v;
            }
            #[inline(always)]
            fn add(self, a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|l| a[l] + b[l])
            }
            #[inline(always)]
            fn sub(self, a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|l| a[l] - b[l])
            }
            #[inline(always)]
            fn mul(self, a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|l| a[l] * b[l])
            }
            #[inline(always)]
            fn div(self, a: Self::V, b: Self::V) -> Self::V {
                std::array::from_fn(|l| a[l] / b[l])
            }
            #[inline(always)]
            fn mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                std::array::from_fn(|l| if FUSED { a[l].mul_add(b[l], c[l]) } else { a[l] * b[l] + c[l] })
            }
            #[inline(always)]
            fn mul_sub(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                std::array::from_fn(|l| if FUSED { a[l].mul_add(b[l], -c[l]) } else { a[l] * b[l] - c[l] })
            }
            #[inline(always)]
            fn neg_mul_add(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V {
                std::array::from_fn(|l| if FUSED { (-a[l]).mul_add(b[l], c[l]) } else { c[l] - a[l] * b[l] })
            }
            #[inline(always)]
            fn transpose(self, tile: &mut [Self::V; $lanes]) {
                let from = *tile;
                *tile = std::array::from_fn(|k| std::array::from_fn(|l| from[l][k]));
            }
        }
    };
}

portable!(f32, 8);
portable!(f64, 4);

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{__m256, __m256d};

    use pulp::NullaryFnOnce;
    use pulp::x86::V3;

    use super::{Isa, Kernel, Kernels};

    /// Carries a kernel into a function that is compiled for AVX2 and FMA.
    pub(super) struct Carry<K> {
        pub kernel: K,
        pub isa: V3,
    }

    impl<K: Kernel<f32>> NullaryFnOnce for Carry<(K, f32)> {
        type Output = ();
        #[inline(always)]
        fn call(self) {
            self.kernel.0.run(self.isa);
        }
    }

    impl<K: Kernel<f64>> NullaryFnOnce for Carry<(K, f64)> {
        type Output = ();
        #[inline(always)]
        fn call(self) {
            self.kernel.0.run(self.isa);
        }
    }

    impl Isa<f32> for V3 {
        type V = __m256;

        #[inline(always)]
        fn splat(self, x: f32) -> __m256 {
            self.avx._mm256_set1_ps(x)
        }
        #[inline(always)]
        fn load(self, from: &[f32; 8]) -> __m256 {
            pulp::cast(*from)
        }
        #[inline(always)]
        fn store(self, to: &mut [f32; 8], v: __m256) {
            *to = pulp::cast(v);
        }
        #[inline(always)]
        fn add(self, a: __m256, b: __m256) -> __m256 {
            self.avx._mm256_add_ps(a, b)
        }
        #[inline(always)]
        fn sub(self, a: __m256, b: __m256) -> __m256 {
            self.avx._mm256_sub_ps(a, b)
        }
        #[inline(always)]
        fn mul(self, a: __m256, b: __m256) -> __m256 {
            self.avx._mm256_mul_ps(a, b)
        }
        #[inline(always)]
        fn div(self, a: __m256, b: __m256) -> __m256 {
            self.avx._mm256_div_ps(a, b)
        }
        #[inline(always)]
        fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
            self.fma._mm256_fmadd_ps(a, b, c)
        }
        #[inline(always)]
        fn mul_sub(self, a: __m256, b: __m256, c: __m256) -> __m256 {
            self.fma._mm256_fmsub_ps(a, b, c)
        }
        #[inline(always)]
        fn neg_mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
            self.fma._mm256_fnmadd_ps(a, b, c)
        }
        #[inline(always)]
        fn reverse(self, v: __m256) -> __m256 {
            self.avx._mm256_permute_ps::<0x1B>(self.avx._mm256_permute2f128_ps::<0x01>(v, v))
        }
        #[inline(always)]
        fn transpose(self, t: &mut [__m256; 8]) {
            let avx = self.avx;
            let pair = |a, b| (avx._mm256_unpacklo_ps(a, b), avx._mm256_unpackhi_ps(a, b));
            let ((a0, a1), (a2, a3)) = (pair(t[0], t[1]), pair(t[2], t[3]));
            let ((a4, a5), (a6, a7)) = (pair(t[4], t[5]), pair(t[6], t[7]));
            let quad = |a, b| (avx._mm256_shuffle_ps::<0x44>(a, b), avx._mm256_shuffle_ps::<0xEE>(a, b));
            let ((b0, b1), (b2, b3)) = (quad(a0, a2), quad(a1, a3));
            let ((b4, b5), (b6, b7)) = (quad(a4, a6), quad(a5, a7));
            let low = |a, b| avx._mm256_permute2f128_ps::<0x20>(a, b);
            let high = |a, b| avx._mm256_permute2f128_ps::<0x31>(a, b);
            *t = [
                low(b0, b4),
                low(b1, b5),
                low(b2, b6),
                low(b3, b7),
                high(b0, b4),
                high(b1, b5),
                high(b2, b6),
                high(b3, b7),
            ];
        }
    }

    impl Isa<f64> for V3 {
        type V = __m256d;

        #[inline(always)]
        fn splat(self, x: f64) -> __m256d {
            self.avx._mm256_set1_pd(x)
        }
        #[inline(always)]
        fn load(self, from: &[f64; 4]) -> __m256d {
            pulp::cast(*from)
        }
        #[inline(always)]
        fn store(self, to: &mut [f64; 4], v: __m256d) {
            *to = pulp::cast(v);
        }
        #[inline(always)]
        fn add(self, a: __m256d, b: __m256d) -> __m256d {
            self.avx._mm256_add_pd(a, b)
        }
        #[inline(always)]
        fn sub(self, a: __m256d, b: __m256d) -> __m256d {
            self.avx._mm256_sub_pd(a, b)
        }
        #[inline(always)]
        fn mul(self, a: __m256d, b: __m256d) -> __m256d {
            self.avx._mm256_mul_pd(a, b)
        }
        #[inline(always)]
        fn div(self, a: __m256d, b: __m256d) -> __m256d {
            self.avx._mm256_div_pd(a, b)
        }
        #[inline(always)]
        fn mul_add(self, a: __m256d, b: __m256d, c: __m256d) -> __m256d {
            self.fma._mm256_fmadd_pd(a, b, c)
        }
        #[inline(always)]
        fn mul_sub(self, a: __m256d, b: __m256d, c: __m256d) -> __m256d {
            self.fma._mm256_fmsub_pd(a, b, c)
        }
        #[inline(always)]
        fn neg_mul_add(self, a: __m256d, b: __m256d, c: __m256d) -> __m256d {
            self.fma._mm256_fnmadd_pd(a, b, c)
        }
        #[inline(always)]
        fn reverse(self, v: __m256d) -> __m256d {
            self.avx._mm256_permute_pd::<0x5>(self.avx._mm256_permute2f128_pd::<0x01>(v, v))
        }
        #[inline(always)]
        fn skip<const BY: usize>(self, a: __m256d, b: __m256d) -> __m256d {
            let avx = self.avx;
            let middle = avx._mm256_permute2f128_pd::<0x21>(a, b);
            match BY {
                0 => a,
                1 => avx._mm256_shuffle_pd::<0x5>(a, middle),
                2 => middle,
                3 => avx._mm256_shuffle_pd::<0x5>(middle, b),
                _ => b,
            }
        }
        #[inline(always)]
        fn transpose(self, t: &mut [__m256d; 4]) {
            let avx = self.avx;
            let (a0, a1) = (avx._mm256_unpacklo_pd(t[0], t[1]), avx._mm256_unpackhi_pd(t[0], t[1]));
            let (a2, a3) = (avx._mm256_unpacklo_pd(t[2], t[3]), avx._mm256_unpackhi_pd(t[2], t[3]));
            let low = |a, b| avx._mm256_permute2f128_pd::<0x20>(a, b);
            let high = |a, b| avx._mm256_permute2f128_pd::<0x31>(a, b);
            *t = [low(a0, a2), low(a1, a3), high(a0, a2), high(a1, a3)];
        }
    }

    /// The token for AVX2 and FMA, where the processor has them.
    #[inline]
    pub(super) fn token() -> Option<V3> {
        #[cfg(test)]
        if super::portable_only() {
            return None;
        }
        V3::try_new()
    }

    const _: () = assert!(<f32 as Kernels>::LANES == 8 && <f64 as Kernels>::LANES == 4);
}

macro_rules! kernels {
    ($t:ty, $lanes:literal) => {
        impl Kernels for $t {
            const LANES: usize = $lanes;
            type Lane = [$t; $lanes];
            type Tile<V: Copy> = [V; $lanes];

            #[inline(always)]
            fn tile<V: Copy>(v: V) -> [V; $lanes] {
                [v; $lanes]
            }

            #[inline]
            fn run<K: Kernel<Self>>(kernel: K) {
                #[cfg(target_arch = "x86_64")]
                if let Some(isa) = x86::token() {
                    return isa.vectorize(x86::Carry { kernel: (kernel, 0 as $t), isa });
                }
                kernel.run(Portable)
            }

            fn passes(kernel: Passes<'_, Self>) {
                Self::run(kernel);
            }
            fn last_pass(kernel: LastPass<'_, Self>) {
                Self::run(kernel);
            }
            fn finish(kernel: Finish<'_, Self>) {
                Self::run(kernel);
            }
            fn unfinish(kernel: Unfinish<'_, Self>) {
                Self::run(kernel);
            }
            fn multiply_single(kernel: MultiplySingle<'_, Self>) {
                Self::run(kernel);
            }
            fn multiply(kernel: Multiply<'_, Self>) {
                Self::run(kernel);
            }
            fn correlate(kernel: Correlate<'_, Self>) {
                Self::run(kernel);
            }
            fn load(kernel: Load<'_, Self>) {
                Self::run(kernel);
            }
            fn store(kernel: Store<'_, Self>) {
                Self::run(kernel);
            }
            fn few(kernel: Few<'_, Self>) {
                Self::run(kernel);
            }
            fn nonuniform(kernel: Step<'_, Self>) {
                Self::run(kernel);
            }
        }
    };
}

kernels!(f32, 8);
kernels!(f64, 4);

#[cfg(test)]
thread_local! {
    /// Lets a test run the kernels of this thread on the portable instruction set.
    pub(crate) static PORTABLE_ONLY: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

#[cfg(test)]
fn portable_only() -> bool {
    PORTABLE_ONLY.get()
}

/// The numbers as registers' worths; the slice must hold a whole number of them.
#[inline(always)]
pub(crate) fn lanes<T: Kernels>(data: &[T]) -> &[T::Lane] {
    bytemuck::cast_slice(data)
}

/// The numbers as registers' worths; the slice must hold a whole number of them.
#[inline(always)]
pub(crate) fn lanes_mut<T: Kernels>(data: &mut [T]) -> &mut [T::Lane] {
    bytemuck::cast_slice_mut(data)
}
