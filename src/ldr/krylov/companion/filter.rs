//! Short filters on long signals.

use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// Registers that are filtered together, and lags that are correlated together.
const TILE: usize = 8;

/// Numbers in eight registers, and in two.
const UNITS: [usize; 2] = [32, 8];

/// Writes `out_e = Σ_k filter_k signal_{e+k}` for whole groups of eight; the signal has to be as long.
pub fn filter(filter: &[f64], signal: &[f64], out: &mut [f64]) {
    f64::run(Filter { filter, signal, out });
}

/// Subtracts `Σ_e a_e b_{e+j}` from `lags_j`, for whole groups of eight lags and of four elements of a.
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
            let mut sums = [[isa.splat(0.0); 2]; 4];
            for (e, a) in a.chunks_exact(4).enumerate() {
                let b = &b[4 * e + TILE * at..][..TILE + 3];
                for p in 0..4 {
                    let (factor, b) = (isa.splat(a[p]), lanes::<f64>(&b[p..p + TILE]));
                    sums[p][0] = isa.mul_add(factor, isa.load(&b[0]), sums[p][0]);
                    sums[p][1] = isa.mul_add(factor, isa.load(&b[1]), sums[p][1]);
                }
            }
            for (half, lags) in lanes_mut::<f64>(lags).iter_mut().enumerate() {
                let sum = isa.add(isa.add(sums[0][half], sums[1][half]), isa.add(sums[2][half], sums[3][half]));
                let rest = isa.sub(isa.load(lags), sum);
                isa.store(lags, rest);
            }
        }
    }
}
