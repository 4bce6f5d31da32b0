//! Krylov sums of a leaf, in first-level cache: Horner's rule for all sources at once.
//!
//! `Σ_k A^k (Σ_s t_sk v_s)` is one sweep `w ← A w + Σ_s t_sk v_s` over k downwards, whatever the number of sources v_s; the
//! numbers `⟨A^k v_s, y⟩` are one sweep `w ← Aᵀ w` from y upwards. Nothing but w and the diagonals is kept.

use crate::matrix::take;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

const W: usize = f64::LANES;

/// Numbers before and behind a vector, so that its neighbours can be loaded at both ends.
const HALO: usize = W;

/// A band operator and its generators on `width` places, a whole number of registers, of which `places` count.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sweep<'a> {
    /// Three diagonals of A, and of its transpose, of `width` numbers each.
    pub entries: &'a [f64],
    pub transposed: &'a [f64],
    /// The generators, `width` numbers each.
    pub generators: &'a [f64],
    pub places: usize,
}

/// The coefficients t of a run of powers: for each way in, a unit vector at the first place and one at the last, and for each generator, with the distance from row to row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Coefficients<'a> {
    pub ways: &'a [f64],
    pub ways_stride: usize,
    pub generators: &'a [f64],
    pub generators_stride: usize,
    /// Powers; the generators' rows may end earlier.
    pub len: usize,
}

/// The same, to be written.
#[derive(Debug)]
pub(super) struct CoefficientsMut<'a> {
    pub ways: &'a mut [f64],
    pub ways_stride: usize,
    pub generators: &'a mut [f64],
    pub generators_stride: usize,
    pub len: usize,
}

/// The transposed diagonals of those of `entries`, each `width` numbers of which `places` count.
pub(super) fn transpose_band(entries: &[f64], transposed: &mut [f64], width: usize, places: usize) {
    transposed.fill(0.0);
    for i in 0..places {
        let (before, after) = (if i == 0 { places - 1 } else { i - 1 }, if i + 1 == places { 0 } else { i + 1 });
        transposed[i] = entries[2 * width + before];
        transposed[width + i] = entries[width + i];
        transposed[2 * width + i] = entries[after];
    }
}

impl Sweep<'_> {
    fn width(&self) -> usize {
        self.entries.len() / 3
    }

    /// Numbers of scratch that [`Sweep::combine`] and [`Sweep::expand`] need.
    pub fn scratch_len(width: usize) -> usize {
        2 * (width + 2 * HALO)
    }

    /// Numbers of scratch that [`Sweep::gradient`] needs.
    pub fn gradient_scratch_len(width: usize, len: usize) -> usize {
        (len + 3) * (width + 2 * HALO)
    }

    /// `y = Σ_k A^k Σ_s t_sk v_s`, on `places` places.
    pub fn combine(self, t: Coefficients<'_>, y: &mut [f64], mut scratch: &mut [f64]) {
        let padded = self.width() + 2 * HALO;
        let [from, to] = [(); 2].map(|()| take(&mut scratch, padded));
        from.fill(0.0);
        to.fill(0.0);
        f64::run(Combine { sweep: self, t, from, to });
        let result = if t.len.is_multiple_of(2) { from } else { to };
        y[..self.places].copy_from_slice(&result[HALO..HALO + self.places]);
    }

    /// Writes `t_sk = ⟨A^k v_s, y⟩`.
    pub fn expand(self, y: &[f64], t: CoefficientsMut<'_>, mut scratch: &mut [f64]) {
        let padded = self.width() + 2 * HALO;
        let [from, to] = [(); 2].map(|()| take(&mut scratch, padded));
        from.fill(0.0);
        to.fill(0.0);
        from[HALO..HALO + self.places].copy_from_slice(&y[..self.places]);
        f64::run(Expand { sweep: self, t, from, to });
    }

    /// Adds the gradient of `⟨y, Σ_k A^k Σ_s t_sk v_s⟩` in the diagonals of A and in the generators.
    pub fn gradient(
        self,
        t: Coefficients<'_>,
        y: &[f64],
        entries: &mut [f64],
        generators: &mut [f64],
        mut scratch: &mut [f64],
    ) {
        let padded = self.width() + 2 * HALO;
        let rows = take(&mut scratch, (t.len + 1) * padded);
        let [from, to] = [(); 2].map(|()| take(&mut scratch, padded));
        rows.fill(0.0);
        from.fill(0.0);
        to.fill(0.0);
        from[HALO..HALO + self.places].copy_from_slice(&y[..self.places]);
        f64::run(Gradient { sweep: self, t, rows, from, to, entries, generators });
    }
}

#[inline(always)]
fn at(x: &[f64], i: usize) -> &<f64 as Kernels>::Lane {
    &lanes::<f64>(&x[i..i + W])[0]
}

#[inline(always)]
fn at_mut(x: &mut [f64], i: usize) -> &mut <f64 as Kernels>::Lane {
    &mut lanes_mut::<f64>(&mut x[i..i + W])[0]
}

/// `to = A from`, for diagonals of A.
#[inline(always)]
fn step<I: Isa<f64>>(isa: I, entries: &[f64], from: &[f64], to: &mut [f64]) {
    let width = entries.len() / 3;
    let (lower, rest) = entries.split_at(width);
    let (diagonal, upper) = rest.split_at(width);
    let (lower, diagonal, upper) = (lanes::<f64>(lower), lanes::<f64>(diagonal), lanes::<f64>(upper));
    let to = lanes_mut::<f64>(&mut to[HALO..HALO + width]);
    let from = &from[..width + 2 * HALO];
    for i in 0..width / W {
        let sum = isa.mul(isa.load(&diagonal[i]), isa.load(at(from, W * i + HALO)));
        let sum = isa.mul_add(isa.load(&lower[i]), isa.load(at(from, W * i + HALO - 1)), sum);
        let sum = isa.mul_add(isa.load(&upper[i]), isa.load(at(from, W * i + HALO + 1)), sum);
        isa.store(&mut to[i], sum);
    }
}

/// `w += t v`.
#[inline(always)]
fn add_multiple<I: Isa<f64>>(isa: I, t: f64, v: &[f64], w: &mut [f64]) {
    let w = lanes_mut::<f64>(&mut w[..v.len()]);
    let t = isa.splat(t);
    for (w, v) in w.iter_mut().zip(lanes::<f64>(v)) {
        let sum = isa.mul_add(t, isa.load(v), isa.load(w));
        isa.store(w, sum);
    }
}

#[inline(always)]
fn inner<I: Isa<f64>>(isa: I, v: &[f64], w: &[f64]) -> f64 {
    let (v, w) = (lanes::<f64>(v), lanes::<f64>(&w[..v.len()]));
    let mut sums = [isa.splat(0.0); 4];
    let whole = v.len() / 4 * 4;
    for i in (0..whole).step_by(4) {
        for l in 0..4 {
            sums[l] = isa.mul_add(isa.load(&v[i + l]), isa.load(&w[i + l]), sums[l]);
        }
    }
    for i in whole..v.len() {
        sums[0] = isa.mul_add(isa.load(&v[i]), isa.load(&w[i]), sums[0]);
    }
    let sum = isa.add(isa.add(sums[0], sums[1]), isa.add(sums[2], sums[3]));
    let mut lane = [0.0; W];
    isa.store(at_mut(&mut lane, 0), sum);
    (lane[0] + lane[2]) + (lane[1] + lane[3])
}

struct Combine<'a> {
    sweep: Sweep<'a>,
    t: Coefficients<'a>,
    from: &'a mut [f64],
    to: &'a mut [f64],
}

/// One step of Horner's rule.
#[inline(always)]
fn horner<I: Isa<f64>>(isa: I, sweep: &Sweep<'_>, t: &Coefficients<'_>, k: usize, from: &[f64], to: &mut [f64]) {
    let width = sweep.entries.len() / 3;
    step(isa, sweep.entries, from, to);
    if k < t.generators_stride {
        for (j, generator) in sweep.generators.chunks_exact(width).enumerate() {
            add_multiple(isa, t.generators[j * t.generators_stride + k], generator, &mut to[HALO..]);
        }
    }
    to[HALO] += t.ways[k];
    to[HALO + sweep.places - 1] += t.ways[t.ways_stride + k];
}

impl Kernel<f64> for Combine<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { sweep, t, mut from, mut to } = self;
        for k in (0..t.len).rev() {
            horner(isa, &sweep, &t, k, from, to);
            std::mem::swap(&mut from, &mut to);
        }
    }
}

struct Expand<'a> {
    sweep: Sweep<'a>,
    t: CoefficientsMut<'a>,
    from: &'a mut [f64],
    to: &'a mut [f64],
}

/// `to = Aᵀ from`.
#[inline(always)]
fn back<I: Isa<f64>>(isa: I, sweep: &Sweep<'_>, from: &[f64], to: &mut [f64]) {
    step(isa, sweep.transposed, from, to);
}

impl Kernel<f64> for Expand<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { sweep, t, mut from, mut to } = self;
        let width = sweep.entries.len() / 3;
        for k in 0..t.len {
            t.ways[k] = from[HALO];
            t.ways[t.ways_stride + k] = from[HALO + sweep.places - 1];
            if k < t.generators_stride {
                for (j, generator) in sweep.generators.chunks_exact(width).enumerate() {
                    t.generators[j * t.generators_stride + k] = inner(isa, generator, &from[HALO..]);
                }
            }
            back(isa, &sweep, from, to);
            std::mem::swap(&mut from, &mut to);
        }
    }
}

struct Gradient<'a> {
    sweep: Sweep<'a>,
    t: Coefficients<'a>,
    rows: &'a mut [f64],
    from: &'a mut [f64],
    to: &'a mut [f64],
    entries: &'a mut [f64],
    generators: &'a mut [f64],
}

impl Kernel<f64> for Gradient<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { sweep, t, rows, mut from, mut to, entries, generators } = self;
        let width = sweep.entries.len() / 3;
        let padded = width + 2 * HALO;
        // Row k is what Horner's rule has before the step of power k; the dual of it is (Aᵀ)^k y.
        for k in (0..t.len).rev() {
            let (head, tail) = rows.split_at_mut((k + 1) * padded);
            horner(isa, &sweep, &t, k, &tail[..padded], &mut head[k * padded..]);
        }
        let (lower, rest) = entries.split_at_mut(width);
        let (diagonal, upper) = rest.split_at_mut(width);
        for k in 0..t.len {
            if k < t.generators_stride {
                for (j, generator) in generators.chunks_exact_mut(width).enumerate() {
                    add_multiple(isa, t.generators[j * t.generators_stride + k], &from[HALO..HALO + width], generator);
                }
            }
            let row = &rows[(k + 1) * padded..][..padded];
            let dual = lanes::<f64>(&from[HALO..HALO + width]);
            add_products(isa, dual, row, HALO - 1, lower);
            add_products(isa, dual, row, HALO, diagonal);
            add_products(isa, dual, row, HALO + 1, upper);
            back(isa, &sweep, from, to);
            std::mem::swap(&mut from, &mut to);
        }
    }
}

/// `sums_i += dual_i row_{i + start}`.
#[inline(always)]
fn add_products<I: Isa<f64>>(isa: I, dual: &[<f64 as Kernels>::Lane], row: &[f64], start: usize, sums: &mut [f64]) {
    for (i, (sum, dual)) in lanes_mut::<f64>(sums).iter_mut().zip(dual).enumerate() {
        let total = isa.mul_add(isa.load(dual), isa.load(at(row, W * i + start)), isa.load(sum));
        isa.store(sum, total);
    }
}
