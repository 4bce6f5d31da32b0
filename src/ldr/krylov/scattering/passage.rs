//! What products do at a junction, pointwise on spectra: down the tree, up the tree, and the gradient in what enters.

use super::field::Field;
use super::plan::LANES;
use crate::transform::isa::{Isa, Kernel};

/// Down: `out_e = Σ_s from_s conj(entering_es)` for the two blocks e.
#[derive(Debug)]
pub struct Down<'a> {
    /// The spectra of the functionals of the two ways in.
    pub ways: &'a [f64],
    /// Those of the coefficients of each generator.
    pub signals: &'a [f64],
    /// For each of two blocks what enters it, from each source.
    pub entering: &'a [f64],
    /// Written: two spectra.
    pub out: &'a mut [f64],
}

/// Up: `out_s = Σ_e from_e entering_es` for the two ways in, and added for the generators.
#[derive(Debug)]
pub struct Up<'a> {
    pub from: &'a [f64],
    pub entering: &'a [f64],
    /// Written: two spectra.
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

impl Kernel<f64> for Down<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { ways, signals, entering, out } = self;
        let (field, n) = (Field(isa), out.len() / 2);
        let rank = signals.len() / n;
        let sources = entering.len() / n / 2;
        for k in (0..n / 2).step_by(LANES) {
            let mut sums = [field.zero(); 2];
            for s in 0..sources - rank {
                let from = field.get(ways, n, s, k);
                field.gather(&mut sums[0], field.get(entering, n, s, k), from);
                field.gather(&mut sums[1], field.get(entering, n, sources + s, k), from);
            }
            for j in 0..rank {
                let s = sources - rank + j;
                let from = field.get(signals, n, j, k);
                field.gather(&mut sums[0], field.get(entering, n, s, k), from);
                field.gather(&mut sums[1], field.get(entering, n, sources + s, k), from);
            }
            field.set(out, n, 0, k, sums[0]);
            field.set(out, n, 1, k, sums[1]);
        }
    }
}

impl Kernel<f64> for Up<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { from, entering, out, sums } = self;
        let (field, n) = (Field(isa), from.len() / 2);
        let sources = entering.len() / n / 2;
        let ways = out.len() / n;
        for k in (0..n / 2).step_by(LANES) {
            let (first, last) = (field.get(from, n, 0, k), field.get(from, n, 1, k));
            for s in 0..ways {
                let mut sum = field.mul(first, field.get(entering, n, s, k));
                field.collect(&mut sum, last, field.get(entering, n, sources + s, k));
                field.set(out, n, s, k, sum);
            }
            for s in ways..sources {
                let mut sum = field.get(sums, n, s - ways, k);
                field.collect(&mut sum, first, field.get(entering, n, s, k));
                field.collect(&mut sum, last, field.get(entering, n, sources + s, k));
                field.set(sums, n, s - ways, k, sum);
            }
        }
    }
}

impl Kernel<f64> for Correlate<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { ways, signals, duals, sums } = self;
        let (field, n) = (Field(isa), duals.len() / 2);
        let (count, rank) = (ways.len() / n, signals.len() / n);
        let sources = count + rank;
        for k in (0..n / 2).step_by(LANES) {
            let duals = [field.get(duals, n, 0, k), field.get(duals, n, 1, k)];
            for s in 0..sources {
                let from = if s < count { field.get(ways, n, s, k) } else { field.get(signals, n, s - count, k) };
                for e in 0..2 {
                    let mut sum = field.get(sums, n, e * sources + s, k);
                    field.gather(&mut sum, duals[e], from);
                    field.set(sums, n, e * sources + s, k, sum);
                }
            }
        }
    }
}
