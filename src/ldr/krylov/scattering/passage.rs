//! What products do at a junction, pointwise on spectra: down the tree, up the tree, and the gradient in what enters.
//!
//! What enters is read once a product, from memory: all spectra of a pair lie together, register by register.

use super::field::Field;
use super::plan::LANES;
use crate::transform::isa::{Isa, Kernel, lanes, lanes_mut};

/// Down: `out_e = Σ_s from_s conj(entering_es)` for the two blocks e.
#[derive(Debug)]
pub struct Down<'a> {
    /// The spectra of the functionals of the two ways in, or none.
    pub ways: &'a [f64],
    /// Those of the coefficients of each generator.
    pub signals: &'a [f64],
    /// For each register, and each of two blocks, what enters it from each source.
    pub entering: &'a [f64],
    /// Written: two spectra.
    pub out: &'a mut [f64],
}

/// Up: `out_s = Σ_e from_e entering_es` for the two ways in, and added for the generators.
#[derive(Debug)]
pub struct Up<'a> {
    pub from: &'a [f64],
    pub entering: &'a [f64],
    /// Written: two spectra, or none.
    pub out: &'a mut [f64],
    /// Added to: one for each generator.
    pub sums: &'a mut [f64],
}

/// The gradient in what enters: `sums_es += from_s conj(dual_e)`.
#[derive(Debug)]
pub struct Correlate<'a> {
    pub ways: &'a [f64],
    pub signals: &'a [f64],
    pub duals: &'a [f64],
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

impl Kernel<f64> for Down<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { ways, signals, entering, out } = self;
        let (ways, signals, out) = (lanes::<f64>(ways), lanes::<f64>(signals), lanes_mut::<f64>(out));
        let (field, h) = (Field(isa), out.len() / 4);
        let (count, rank) = (ways.len() / h / 2, signals.len() / h / 2);
        let sources = count + rank;
        if sources == 0 {
            return out.fill([0.0; LANES]);
        }
        for (k, entering) in lanes::<f64>(entering).chunks_exact(4 * sources).enumerate() {
            let mut sums = [field.zero(); 2];
            let (first, second) = entering.split_at(2 * sources);
            for s in 0..sources {
                let from = if s < count { field.get(ways, h, s, k) } else { field.get(signals, h, s - count, k) };
                field.gather(&mut sums[0], field.packed(first, s), from);
                field.gather(&mut sums[1], field.packed(second, s), from);
            }
            field.set(out, h, 0, k, sums[0]);
            field.set(out, h, 1, k, sums[1]);
        }
    }
}

impl Kernel<f64> for Up<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { from, entering, out, sums } = self;
        let (from, out, sums) = (lanes::<f64>(from), lanes_mut::<f64>(out), lanes_mut::<f64>(sums));
        let (field, h) = (Field(isa), from.len() / 4);
        let (ways, rank) = (out.len() / h / 2, sums.len() / h / 2);
        let sources = ways + rank;
        for (k, entering) in lanes::<f64>(entering).chunks_exact((4 * sources).max(1)).enumerate() {
            let (first, second) = entering.split_at(2 * sources);
            let from = [field.get(from, h, 0, k), field.get(from, h, 1, k)];
            for s in 0..ways {
                let mut sum = field.mul(from[0], field.packed(first, s));
                field.collect(&mut sum, from[1], field.packed(second, s));
                field.set(out, h, s, k, sum);
            }
            for j in 0..rank {
                let mut sum = field.get(sums, h, j, k);
                field.collect(&mut sum, from[0], field.packed(first, ways + j));
                field.collect(&mut sum, from[1], field.packed(second, ways + j));
                field.set(sums, h, j, k, sum);
            }
        }
    }
}

impl Kernel<f64> for Correlate<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { ways, signals, duals, sums } = self;
        let (ways, signals, duals) = (lanes::<f64>(ways), lanes::<f64>(signals), lanes::<f64>(duals));
        let (field, h) = (Field(isa), duals.len() / 4);
        let (count, rank) = (ways.len() / h / 2, signals.len() / h / 2);
        let sources = count + rank;
        for (k, sums) in lanes_mut::<f64>(sums).chunks_exact_mut((4 * sources).max(1)).enumerate() {
            let duals = [field.get(duals, h, 0, k), field.get(duals, h, 1, k)];
            for s in 0..sources {
                let from = if s < count { field.get(ways, h, s, k) } else { field.get(signals, h, s - count, k) };
                for e in 0..2 {
                    let mut sum = field.packed(sums, e * sources + s);
                    field.gather(&mut sum, duals[e], from);
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
