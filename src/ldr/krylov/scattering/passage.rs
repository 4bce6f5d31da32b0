//! What products do at a junction, pointwise on spectra: down the tree, up the tree, and the gradient in what enters.
//!
//! What enters is read once a product, from memory: all spectra of a pair lie together, register by register.

use super::field::Field;
use super::plan::LANES;
use crate::transform::isa::{Isa, Kernel, lanes, lanes_mut};

/// Down: `out_e = Σ_s from_s conj(entering_es)` for the E blocks e that are entered, one or two.
#[derive(Debug)]
pub struct Down<'a, const E: usize> {
    /// The spectra of the functionals of the ways in, or none.
    pub ways: &'a [f64],
    /// Those of the coefficients of each generator.
    pub signals: &'a [f64],
    /// For each register, and each block, what enters it from each source.
    pub entering: &'a [f64],
    /// Written: a spectrum for each block.
    pub out: &'a mut [f64],
}

/// Up: `out_s = Σ_e from_e entering_es` for the ways in, and added for the generators.
#[derive(Debug)]
pub struct Up<'a, const E: usize> {
    pub from: &'a [f64],
    pub entering: &'a [f64],
    /// Written: a spectrum for each way in, or none.
    pub out: &'a mut [f64],
    /// Added to: one for each generator.
    pub sums: &'a mut [f64],
}

/// The gradient in what enters: `sums_es += from_s conj(dual_e)`, or `=`.
#[derive(Debug)]
pub struct Correlate<'a, const E: usize> {
    pub ways: &'a [f64],
    pub signals: &'a [f64],
    pub duals: &'a [f64],
    /// Whether the sums are written over.
    pub first: bool,
    pub sums: &'a mut [f64],
}

/// Puts spectra times a factor together register by register.
#[derive(Debug)]
pub struct Pack<'a> {
    pub spectra: &'a [f64],
    pub count: usize,
    pub factor: f64,
    pub packed: &'a mut [f64],
}

/// Undoes [`Pack`], without a factor.
#[derive(Debug)]
pub struct Unpack<'a> {
    pub packed: &'a [f64],
    pub count: usize,
    pub spectra: &'a mut [f64],
}

impl<const E: usize> Kernel<f64> for Down<'_, E> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { ways, signals, entering, out } = self;
        let (ways, signals, out) = (lanes::<f64>(ways), lanes::<f64>(signals), lanes_mut::<f64>(out));
        let (field, h) = (Field(isa), out.len() / 2 / E);
        let (count, rank) = (ways.len() / h / 2, signals.len() / h / 2);
        let sources = count + rank;
        if sources == 0 {
            return out.fill([0.0; LANES]);
        }
        for (k, entering) in lanes::<f64>(entering).chunks_exact(2 * E * sources).enumerate() {
            let mut sums = [field.zero(); E];
            for s in 0..sources {
                let from = if s < count { field.get(ways, h, s, k) } else { field.get(signals, h, s - count, k) };
                for e in 0..E {
                    field.gather(&mut sums[e], field.packed(entering, e * sources + s), from);
                }
            }
            for e in 0..E {
                field.set(out, h, e, k, sums[e]);
            }
        }
    }
}

impl<const E: usize> Kernel<f64> for Up<'_, E> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { from, entering, out, sums } = self;
        let (from, out, sums) = (lanes::<f64>(from), lanes_mut::<f64>(out), lanes_mut::<f64>(sums));
        let (field, h) = (Field(isa), from.len() / 2 / E);
        let (ways, rank) = (out.len() / h / 2, sums.len() / h / 2);
        let sources = ways + rank;
        for (k, entering) in lanes::<f64>(entering).chunks_exact((2 * E * sources).max(1)).enumerate() {
            let mut duals = [field.zero(); E];
            for e in 0..E {
                duals[e] = field.get(from, h, e, k);
            }
            for s in 0..sources {
                let mut sum = if s < ways { field.zero() } else { field.get(sums, h, s - ways, k) };
                for e in 0..E {
                    field.collect(&mut sum, duals[e], field.packed(entering, e * sources + s));
                }
                if s < ways {
                    field.set(out, h, s, k, sum);
                } else {
                    field.set(sums, h, s - ways, k, sum);
                }
            }
        }
    }
}

impl<const E: usize> Kernel<f64> for Correlate<'_, E> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { ways, signals, duals, first, sums } = self;
        let (ways, signals, duals) = (lanes::<f64>(ways), lanes::<f64>(signals), lanes::<f64>(duals));
        let (field, h) = (Field(isa), duals.len() / 2 / E);
        let (count, rank) = (ways.len() / h / 2, signals.len() / h / 2);
        let sources = count + rank;
        for (k, sums) in lanes_mut::<f64>(sums).chunks_exact_mut((2 * E * sources).max(1)).enumerate() {
            let mut from_duals = [field.zero(); E];
            for e in 0..E {
                from_duals[e] = field.get(duals, h, e, k);
            }
            for s in 0..sources {
                let from = if s < count { field.get(ways, h, s, k) } else { field.get(signals, h, s - count, k) };
                for e in 0..E {
                    let mut sum = if first { field.zero() } else { field.packed(sums, e * sources + s) };
                    field.gather(&mut sum, from_duals[e], from);
                    field.pack(sums, e * sources + s, sum);
                }
            }
        }
    }
}

impl Kernel<f64> for Pack<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { spectra, count, factor, packed } = self;
        let (field, spectra, factor) = (Field(isa), lanes::<f64>(spectra), isa.splat(factor));
        for (k, packed) in lanes_mut::<f64>(packed).chunks_exact_mut((2 * count).max(1)).enumerate() {
            for which in 0..count {
                let number = field.get(spectra, spectra.len() / count / 2, which, k);
                field.pack(packed, which, field.times(number, factor));
            }
        }
    }
}

impl Kernel<f64> for Unpack<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { packed, count, spectra } = self;
        let (field, spectra) = (Field(isa), lanes_mut::<f64>(spectra));
        for (k, packed) in lanes::<f64>(packed).chunks_exact((2 * count).max(1)).enumerate() {
            for which in 0..count {
                field.set(spectra, spectra.len() / count / 2, which, k, field.packed(packed, which));
            }
        }
    }
}
