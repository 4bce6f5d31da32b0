//! Short filters on long signals.

use super::taps::horizontal;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// Registers that are filtered together; lags that are correlated together, and elements.
const TILE: usize = 8;

/// Numbers in a register.
const LANES: usize = f64::LANES;

/// Numbers in eight registers, and in two.
const UNITS: [usize; 2] = [32, 8];

/// Writes `out_e = Σ_k filter_k signal_{e+k}` for whole groups of eight; the signal has to be as long.
pub fn filter(filter: &[f64], signal: &[f64], out: &mut [f64]) {
    f64::run(Filter { filter, signal, out });
}

/// Subtracts `Σ_e a_e b_{e+j}` from `lags_j`, for whole groups of eight lags and of eight elements of a.
pub fn subtract_lags(a: &[f64], b: &[f64], lags: &mut [f64]) {
    f64::run(Lags { a, b, lags });
}

struct Filter<'a> {
    filter: &'a [f64],
    signal: &'a [f64],
    out: &'a mut [f64],
}

impl Kernel<f64> for Filter<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { filter, signal, out } = self;
        let whole = out.len() / UNITS[0] * UNITS[0];
        let (large, small) = out.split_at_mut(whole);
        for (i, out) in large.chunks_exact_mut(UNITS[0]).enumerate() {
            tile::<I, TILE>(isa, filter, &signal[i * UNITS[0]..], out);
        }
        for (i, out) in small.chunks_exact_mut(UNITS[1]).enumerate() {
            tile::<I, 2>(isa, filter, &signal[whole + i * UNITS[1]..], out);
        }
    }
}

#[inline(always)]
fn tile<I: Isa<f64>, const R: usize>(isa: I, filter: &[f64], signal: &[f64], out: &mut [f64]) {
    let mut sums = [isa.splat(0.0); R];
    for (k, &factor) in filter.iter().enumerate() {
        let (factor, signal) = (isa.splat(factor), lanes::<f64>(&signal[k..k + out.len()]));
        for r in 0..R {
            sums[r] = isa.mul_add(factor, isa.load(&signal[r]), sums[r]);
        }
    }
    for (sum, out) in sums.into_iter().zip(lanes_mut::<f64>(out)) {
        isa.store(out, sum);
    }
}

struct Lags<'a> {
    a: &'a [f64],
    b: &'a [f64],
    lags: &'a mut [f64],
}

impl Kernel<f64> for Lags<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { a, b, lags } = self;
        for (at, lags) in lags.chunks_exact_mut(TILE).enumerate() {
            let mut sums = [isa.splat(0.0); TILE];
            for (e, a) in lanes::<f64>(a).chunks_exact(TILE / LANES).enumerate() {
                let (first, second) = (isa.load(&a[0]), isa.load(&a[1]));
                let b = &b[TILE * (e + at)..][..2 * TILE - 1];
                // What the first four take from a lag on, the second four take from four lags before.
                for j in 0..TILE + LANES {
                    let b = isa.load(&lanes::<f64>(&b[j..j + LANES])[0]);
                    if j < TILE {
                        sums[j] = isa.mul_add(first, b, sums[j]);
                    }
                    if j >= LANES {
                        sums[j - LANES] = isa.mul_add(second, b, sums[j - LANES]);
                    }
                }
            }
            let [a, b, c, d, e, f, g, h] = sums;
            for (lags, sums) in lanes_mut::<f64>(lags).iter_mut().zip([[a, b, c, d], [e, f, g, h]]) {
                let rest = isa.sub(isa.load(lags), horizontal::<I>(isa, sums));
                isa.store(lags, rest);
            }
        }
    }
}
