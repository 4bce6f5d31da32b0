//! Inside a leaf of M places: the powers of A that do not leave it, one after another, in registers.

use super::Lane;
use crate::transform::isa::{Isa, lanes, lanes_mut};

/// The numbers of a leaf, in four leaves at a time.
pub(super) type Leaf<const M: usize> = [Lane; M];

#[inline(always)]
pub(super) fn leaves<const M: usize>(numbers: &[f64]) -> &[Leaf<M>] {
    lanes::<f64>(numbers).as_chunks().0
}

#[inline(always)]
pub(super) fn leaves_mut<const M: usize>(numbers: &mut [f64]) -> &mut [Leaf<M>] {
    lanes_mut::<f64>(numbers).as_chunks_mut().0
}

#[inline(always)]
pub(super) fn load<I: Isa<f64>, const M: usize>(isa: I, leaf: &Leaf<M>) -> [I::V; M] {
    let mut v = [isa.splat(0.0); M];
    for i in 0..M {
        v[i] = isa.load(&leaf[i]);
    }
    v
}

#[inline(always)]
pub(super) fn store<I: Isa<f64>, const M: usize>(isa: I, v: [I::V; M], leaf: &mut Leaf<M>) {
    for i in 0..M {
        isa.store(&mut leaf[i], v[i]);
    }
}

/// From `A^{ℓ−1} g` to `A^ℓ g`. Places before ℓ, where that is zero, are left as they are.
#[inline(always)]
fn step<I: Isa<f64>, const M: usize>(isa: I, power: usize, weights: &Leaf<M>, v: &mut [I::V; M]) {
    for i in (power..M).rev() {
        v[i] = isa.mul(isa.load(&weights[i]), v[i - 1]);
    }
}

/// `z += Σ_ℓ t_ℓ A^ℓ g`.
#[inline(always)]
pub(super) fn combine<I: Isa<f64>, const M: usize>(isa: I, [weights, g]: [&Leaf<M>; 2], t: &[f64], z: &mut [I::V; M]) {
    let (t, mut v) = (&t[..M], load(isa, g));
    for lag in 0..M {
        if lag > 0 {
            step(isa, lag, weights, &mut v);
        }
        let t = isa.splat(t[lag]);
        for i in lag..M {
            z[i] = isa.mul_add(t, v[i], z[i]);
        }
    }
}

/// Adds `⟨A^ℓ g, y⟩` to the sum of each lag.
#[inline(always)]
pub(super) fn expand<I: Isa<f64>, const M: usize>(
    isa: I,
    [weights, g]: [&Leaf<M>; 2],
    y: &Leaf<M>,
    sums: &mut [I::V; M],
) {
    let (mut v, y) = (load(isa, g), load(isa, y));
    for lag in 0..M {
        if lag > 0 {
            step(isa, lag, weights, &mut v);
        }
        for i in lag..M {
            sums[lag] = isa.mul_add(y[i], v[i], sums[lag]);
        }
    }
}

/// The gradient of `⟨y, Σ_ℓ t_ℓ A^ℓ g⟩` in g, and in the weights, which is added.
#[inline(always)]
pub(super) fn backward<I: Isa<f64>, const M: usize>(
    isa: I,
    [weights, g]: [&Leaf<M>; 2],
    t: &[f64],
    y: &Leaf<M>,
    d_weights: &mut [I::V; M],
) -> [I::V; M] {
    // For each place what all powers have there.
    let (t, mut powers) = (&t[..M], [[isa.splat(0.0); M]; M]);
    for i in 0..M {
        powers[i][0] = isa.load(&g[i]);
        for lag in 1..=i {
            powers[i][lag] = isa.mul(isa.load(&weights[i]), powers[i - 1][lag - 1]);
        }
    }
    // The gradients in that, from those at the place behind.
    let (mut gradients, mut d) = ([isa.splat(0.0); M], [isa.splat(0.0); M]);
    for i in (0..M).rev() {
        let y = isa.load(&y[i]);
        for lag in 0..=i {
            let own = isa.mul(y, isa.splat(t[lag]));
            let behind = i + 1 < M;
            gradients[lag] = if behind { isa.mul_add(isa.load(&weights[i + 1]), gradients[lag + 1], own) } else { own };
            if lag > 0 {
                d_weights[i] = isa.mul_add(gradients[lag], powers[i - 1][lag - 1], d_weights[i]);
            }
        }
        d[i] = gradients[0];
    }
    d
}
