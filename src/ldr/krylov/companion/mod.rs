//! Krylov products of tridiagonal operators near the shift in O(N log N + N w): polynomials modulo the characteristic one.
//!
//! With `K = [e_0, A e_0, …, A^{N−1} e_0]` is `A K = K C` for a companion matrix C: multiplication by z modulo the characteristic polynomial.
//! So
//!
//! `Σ_k t_k A^k g = K ((t(z) ĝ(z)) mod χ(z))`, with `ĝ = Ψ g` and `Ψ = K⁻¹`.
//!
//! In general none of these is sparse and K is as badly conditioned as a matrix can be. But where a vector leaves a place in every step, and
//! what stays behind or turns back is little, A^k e_0 is around place k, with *taps* that die away behind it:
//! `K_{k−j, k} = c_k[j]`; and the polynomial ψ_i with `ψ_i(A) e_0 = e_i` has taps that die away below its degree,
//! `ψ_i(z) = z^i Σ_j ψ_i[j] z^{−j}`. Both are banded, w numbers a column, and follow from three-term recurrences:
//!
//! `c_{k+1}[j] = l c_k[j] + d c_k[j−1] + u c_k[j−2]` with the entries of A's row k + 1 − j, and
//!
//! `l_{i+1} ψ_{i+1}[j] = ψ_i[j] − d_i ψ_i[j−1] − u_{i−1} ψ_{i−1}[j−2]`.
//!
//! Around the cycle `ψ_N` meets `ψ_0 = 1`, which is the characteristic equation: `z^N ν(1/z) = 1` with the taps ν of ψ_N. It has next to
//! no lower terms, so that the remainder modulo χ takes the short filter 1/ν.
//!
//! *The start.* The recurrence for ψ begins with ψ_−1 / ψ_0, which is ψ_{N−1} / ψ_N: half a band of places before the first give all of its
//! taps. That both are equal in the end is checked.
//!
//! *Gradients* in the generators take products with Ψᵀ. The gradient in all N² entries of A is a matrix of low displacement rank itself, whose
//! columns follow from each other in a band ([`commutator`]), which [`influence`] tells the width of; what they begin with is led
//! back through ν, for which `R = Ψ y` stands for `y = K R`.
//!
//! *Accuracy:* K and Ψ are computed to a rounding error of their largest columns, and errors grow with `‖K‖ ‖Ψ‖`, which is limited. What is
//! left out of one grows with the other's norm, so that it is small next to e_0 rather than next to the largest column. `‖K‖ ‖Ψ‖` is
//! about `exp(2 |Σ d|)` for the largest sum of diagonal entries up to any place.

mod basis;
mod commutator;
mod filter;
mod gradients;
mod influence;
mod plan;
mod products;
mod remainder;
mod scaled;
mod taps;
#[cfg(test)]
mod tests;

use super::segments::Aligned;
use basis::Basis;
pub(super) use gradients::Gradient;
pub(super) use plan::Plan;
use remainder::Remainder;
use scaled::Scaled;
use taps::Taps;

/// What is derived from an operator and its generators.
#[derive(Debug)]
pub(super) struct Companion {
    /// The taps of A^k e_0 for each k.
    k: Taps,
    /// The taps of ψ_−1 to ψ_N.
    psi: Taps,
    remainder: Remainder,
    scaled: Scaled,
    /// Diagonals of a gradient in all entries that count, whole groups.
    diagonals: usize,
    sources: Vec<Source>,
}

/// What is derived from a generator.
#[derive(Debug)]
struct Source {
    /// The spectrum of ĝ, over the gain.
    spectrum: Aligned,
    /// The coefficients of Ψ g below degree zero, before they are led around the cycle.
    below: Vec<f64>,
    /// −g in the scaled coordinates, and zeros.
    factors: Aligned,
}

impl Companion {
    /// Takes up an operator, three diagonals of N numbers, and its generators, N numbers each; in the memory of another one that is not
    /// needed any more. `None` where taps are too many or too large.
    pub fn new(plan: &Plan, entries: &[f64], generators: &[f64], used: Option<Self>) -> Option<Self> {
        let memory = match used {
            Some(Self { k, psi, .. }) => [psi, k].map(Taps::into_memory),
            None => [(); 2].map(|()| Aligned::zeros(0)),
        };
        let Basis { k, psi, inverse } = basis::new(plan, entries, memory)?;
        let scaled = Scaled::new(plan, entries);
        let diagonals = influence::diagonals(plan, &scaled);
        let remainder = Remainder::new(psi.column(plan.order), inverse);
        let sources = Vec::new();
        let mut companion = Self { k, psi, remainder, scaled, diagonals, sources };
        let mut scratch = vec![0.0; plan.reach() + plan.places + plan.transform.scratch_len()];
        companion.sources =
            generators.chunks_exact(plan.order).map(|g| companion.source(plan, g, &mut scratch)).collect();
        Some(companion)
    }

    /// The width of K.
    pub fn width(&self) -> usize {
        self.k.width()
    }
}
