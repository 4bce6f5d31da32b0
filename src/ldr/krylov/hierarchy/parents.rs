//! Products between the children of a parent, where children are registers: four parents at a time.
//!
//! The first child gets nothing from its siblings, and the last one gives them nothing. So there are three spectra for
//! each parent, those of the first three children as sources or of the last three as targets. With a_j of the sources,
//! s_d of the segments and the products m_1 and m_2 of the two children between others, targets get
//!
//! `a_0 s_1`, `a_1 s_1 + m_1 a_0 s_2` and `a_2 s_1 + m_2 (a_1 s_2 + m_1 a_0 s_3)`.

use super::Lane;
use super::factors::{BETWEEN, Siblings, SiblingsGradient};
use super::pairs::{add_mul, add_mul_conj, complex, parts, parts_mut};
use super::plan::{DISTANCES, GAP, Level, W};
use crate::transform::butterfly::{Complex, mul, mul_conj};
use crate::transform::isa::{Isa, Kernel, Kernels};

/// Four parents, one a lane.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parents<'a> {
    pub level: &'a Level,
    pub siblings: &'a Siblings,
}

impl Parents<'_> {
    /// Writes, or adds, the spectra of what targets get from their siblings.
    pub fn combine(self, sources: &[f64], segments: &[f64], add: bool, out: &mut [f64]) {
        f64::run(Combine { parents: self, sources, segments, add, out });
    }

    /// The same, and the gradients, given the spectra of y: in the spectra of the sources, and in the products between.
    /// What is to be added to is told for the products, the gradient in the sources and that in products between.
    pub fn combine_with_gradient(
        self,
        [sources, y]: [&[f64]; 2],
        segments: &[f64],
        add: [bool; 3],
        found: [&mut [f64]; 2],
        gradient: &mut SiblingsGradient,
    ) {
        f64::run(CombineWithGradient { parents: self, sources, y, segments, add, found, gradient });
    }

    /// Writes, or adds, the gradient in the spectra of the segments, a block for each, lanes apart.
    pub fn correlate(self, sources: &[f64], y: &[f64], add: bool, sums: &mut [f64]) {
        f64::run(Correlate { parents: self, sources, y, add, sums });
    }

    fn segments(self, segments: &[f64]) -> Three<'_> {
        let mut three = Three { half: self.level.half, parts: [[&[]; 2]; DISTANCES] };
        for (d, of_segment) in three.parts.iter_mut().enumerate() {
            *of_segment = parts(self.level.segment_of(segments, d), three.half);
        }
        three
    }

    /// The products of the children between others.
    #[inline(always)]
    fn between<I: Isa<f64>>(self, isa: I) -> [I::V; 2] {
        [isa.load(&self.siblings.products[1]), isa.load(&self.siblings.products[2])]
    }
}

/// Three spectra of so many complex numbers, real and imaginary parts.
#[derive(Clone, Copy)]
struct Three<'a> {
    half: usize,
    parts: [[&'a [Lane]; 2]; DISTANCES],
}

impl<'a> Three<'a> {
    #[inline(always)]
    fn new(spectra: &'a [f64], half: usize) -> Self {
        let mut three = Self { half, parts: [[&[]; 2]; DISTANCES] };
        for (c, child) in three.parts.iter_mut().enumerate() {
            *child = parts(&spectra[2 * c * (half * W + GAP)..], half);
        }
        three
    }

    #[inline(always)]
    fn at<I: Isa<f64>>(self, isa: I, k: usize) -> [Complex<I::V>; DISTANCES] {
        let mut z = zeros(isa);
        for c in 0..DISTANCES {
            z[c] = complex(isa, self.parts[c], k);
        }
        z
    }

    /// The first numbers of the registers, in all lanes.
    #[inline(always)]
    fn splat<I: Isa<f64>>(self, isa: I, k: usize) -> [Complex<I::V>; DISTANCES] {
        let mut z = zeros(isa);
        for c in 0..DISTANCES {
            let [re, im] = self.parts[c];
            z[c] = Complex { re: isa.splat(re[k][0]), im: isa.splat(im[k][0]) };
        }
        z
    }
}

/// The same to be written.
struct ThreeMut<'a> {
    parts: [[&'a mut [Lane]; 2]; DISTANCES],
}

impl<'a> ThreeMut<'a> {
    #[inline(always)]
    fn new(spectra: &'a mut [f64], half: usize) -> Self {
        let (first, rest) = spectra.split_at_mut(2 * (half * W + GAP));
        let (second, third) = rest.split_at_mut(2 * (half * W + GAP));
        Self { parts: [parts_mut(first, half), parts_mut(second, half), parts_mut(third, half)] }
    }

    /// What is added to, or zeros.
    #[inline(always)]
    fn begin<I: Isa<f64>>(&self, isa: I, k: usize, add: bool) -> [Complex<I::V>; DISTANCES] {
        let mut z = zeros(isa);
        if add {
            for c in 0..DISTANCES {
                let [re, im] = &self.parts[c];
                z[c] = Complex { re: isa.load(&re[k]), im: isa.load(&im[k]) };
            }
        }
        z
    }

    #[inline(always)]
    fn store<I: Isa<f64>>(&mut self, isa: I, k: usize, z: [Complex<I::V>; DISTANCES]) {
        for c in 0..DISTANCES {
            let [re, im] = &mut self.parts[c];
            isa.store(&mut re[k], z[c].re);
            isa.store(&mut im[k], z[c].im);
        }
    }
}

#[inline(always)]
fn zeros<I: Isa<f64>>(isa: I) -> [Complex<I::V>; DISTANCES] {
    [Complex { re: isa.splat(0.0), im: isa.splat(0.0) }; DISTANCES]
}

#[inline(always)]
fn scaled<I: Isa<f64>>(isa: I, factor: I::V, a: Complex<I::V>) -> Complex<I::V> {
    Complex { re: isa.mul(factor, a.re), im: isa.mul(factor, a.im) }
}

#[inline(always)]
fn add_scaled<I: Isa<f64>>(isa: I, factor: I::V, a: Complex<I::V>, z: Complex<I::V>) -> Complex<I::V> {
    Complex { re: isa.mul_add(factor, a.re, z.re), im: isa.mul_add(factor, a.im, z.im) }
}

/// Adds what targets get, and what the last of them gets through the child before it.
#[inline(always)]
fn targets<I: Isa<f64>>(
    isa: I,
    a: [Complex<I::V>; DISTANCES],
    s: [Complex<I::V>; DISTANCES],
    [m1, m2]: [I::V; 2],
    mut z: [Complex<I::V>; DISTANCES],
) -> ([Complex<I::V>; DISTANCES], Complex<I::V>) {
    let first = scaled(isa, m1, a[0]);
    let through = add_mul(isa, first, s[2], mul::<f64, I>(isa, a[1], s[1]));
    for c in 0..DISTANCES {
        z[c] = add_mul(isa, a[c], s[0], z[c]);
    }
    ([z[0], add_mul(isa, first, s[1], z[1]), add_scaled(isa, m2, through, z[2])], through)
}

/// Adds the gradient in the sources, given y, and that in what the first of them gives through the child behind it.
#[inline(always)]
fn sources<I: Isa<f64>>(
    isa: I,
    y: [Complex<I::V>; DISTANCES],
    s: [Complex<I::V>; DISTANCES],
    [m1, m2]: [I::V; 2],
    mut z: [Complex<I::V>; DISTANCES],
) -> ([Complex<I::V>; DISTANCES], Complex<I::V>) {
    let last = scaled(isa, m2, y[2]);
    let through = add_mul_conj(isa, last, s[2], mul_conj::<f64, I>(isa, y[1], s[1]));
    for c in 0..DISTANCES {
        z[c] = add_mul_conj(isa, y[c], s[0], z[c]);
    }
    ([add_scaled(isa, m1, through, z[0]), add_mul_conj(isa, last, s[1], z[1]), z[2]], through)
}

struct Combine<'a> {
    parents: Parents<'a>,
    sources: &'a [f64],
    segments: &'a [f64],
    add: bool,
    out: &'a mut [f64],
}

impl Kernel<f64> for Combine<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { parents, sources, segments, add, out } = self;
        let half = parents.level.half;
        let (sources, segments, mut out) =
            (Three::new(sources, half), parents.segments(segments), ThreeMut::new(out, half));
        let between = parents.between(isa);
        for k in 0..half {
            let z = out.begin(isa, k, add);
            let (z, _) = targets(isa, sources.at(isa, k), segments.splat(isa, k), between, z);
            out.store(isa, k, z);
        }
    }
}

struct CombineWithGradient<'a> {
    parents: Parents<'a>,
    sources: &'a [f64],
    y: &'a [f64],
    segments: &'a [f64],
    /// To the products, to the gradient in the sources, and to that in products between.
    add: [bool; 3],
    /// The products, and the gradient in the sources.
    found: [&'a mut [f64]; 2],
    gradient: &'a mut SiblingsGradient,
}

impl Kernel<f64> for CombineWithGradient<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { parents, sources: a, y, segments, add, found: [out, sums], gradient } = self;
        let half = parents.level.half;
        let (a, y, segments) = (Three::new(a, half), Three::new(y, half), parents.segments(segments));
        let (mut out, mut sums, between) = (ThreeMut::new(out, half), ThreeMut::new(sums, half), parents.between(isa));
        let mut inner = [isa.splat(0.0); 2];
        // One after the other: together they need more registers than there are.
        for k in 0..half {
            let z = out.begin(isa, k, add[0]);
            let (z, through) = targets(isa, a.at(isa, k), segments.splat(isa, k), between, z);
            out.store(isa, k, z);
            let last = complex(isa, y.parts[2], k);
            inner[1] = isa.mul_add(last.re, through.re, isa.mul_add(last.im, through.im, inner[1]));
        }
        for k in 0..half {
            let d = sums.begin(isa, k, add[1]);
            let (d, through) = sources(isa, y.at(isa, k), segments.splat(isa, k), between, d);
            sums.store(isa, k, d);
            let first = complex(isa, a.parts[0], k);
            inner[0] = isa.mul_add(first.re, through.re, isa.mul_add(first.im, through.im, inner[0]));
        }
        for (sum, new) in gradient[BETWEEN][1..].iter_mut().zip(inner) {
            let total = if add[2] { isa.add(isa.load(sum), new) } else { new };
            isa.store(sum, total);
        }
    }
}

struct Correlate<'a> {
    parents: Parents<'a>,
    sources: &'a [f64],
    y: &'a [f64],
    add: bool,
    sums: &'a mut [f64],
}

impl Kernel<f64> for Correlate<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { parents, sources, y, add, sums } = self;
        let half = parents.level.half;
        let (sources, y, mut sums) = (Three::new(sources, half), Three::new(y, half), ThreeMut::new(sums, half));
        let [m1, m2] = parents.between(isa);
        for k in 0..half {
            let (a, y, mut z) = (sources.at(isa, k), y.at(isa, k), sums.begin(isa, k, add));
            let (first, last) = (scaled(isa, m1, a[0]), scaled(isa, m2, y[2]));
            for c in 0..DISTANCES {
                z[0] = add_mul_conj(isa, y[c], a[c], z[0]);
            }
            z[1] = add_mul_conj(isa, last, a[1], add_mul_conj(isa, y[1], first, z[1]));
            z[2] = add_mul_conj(isa, last, first, z[2]);
            sums.store(isa, k, z);
        }
    }
}
