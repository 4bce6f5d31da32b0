//! Nodes on the unit circle: the Cauchy-like matrices into which Fourier transforms turn Toeplitz-like ones.
//!
//! The nodes are 2n-th roots of unity, `e^{iπa/n}`, the even ones those of Z_1 and the odd ones those of Z_−1. With δ =
//! π(a − b)/n, `1/(e^{iπa/n} − e^{iπb/n}) = e^{−iπb/n} · (−½ − ½i cot(δ/2))`, so that a table of cotangents divides,
//! without cancellation.

use num_complex::Complex64;

use super::side::Side;
use super::{Nodes, Number};
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// The 2n-th roots of unity.
pub(in crate::algebra) struct Circle {
    order: usize,
    /// `½ cot(πd/2n)` for d from −2n to 2n, and 0 where that is infinite.
    cotangents: Vec<f64>,
}

impl Circle {
    pub fn new(order: usize) -> Self {
        let n = order as isize;
        let half_cotangent = |d: isize| {
            if d % (2 * n) == 0 {
                return 0.0;
            }
            // The period is 2n; near its ends the angle is small, and exact to rounding.
            let d = if d > n {
                d - 2 * n
            } else if d < -n {
                d + 2 * n
            } else {
                d
            };
            0.5 / (std::f64::consts::PI * d as f64 / (2 * n) as f64).tan()
        };
        Self { order, cotangents: (-2 * n..=2 * n).map(half_cotangent).collect() }
    }

    /// `e^{iπa/n}`.
    pub fn root(&self, a: usize) -> Complex64 {
        Complex64::from_polar(1.0, std::f64::consts::PI * a as f64 / self.order as f64)
    }
}

impl Nodes for Circle {
    type Number = Complex64;
    /// The a of `e^{iπa/n}`, below 2n.
    type Node = u32;

    fn padding(&self) -> u32 {
        0
    }

    fn partner(&self, generator: &mut [Complex64], other: u32) {
        let turn = self.root(other as usize).conj();
        generator.iter_mut().for_each(|h| *h *= turn);
    }

    fn weights(&self, nodes: &[u32], other: u32, weights: &mut [f64]) {
        let table = &self.cotangents[2 * self.order - other as usize..][..2 * self.order];
        weights.iter_mut().zip(nodes).for_each(|(weight, &node)| *weight = table[node as usize]);
    }

    fn sweep(side: &mut Side<u32>, update: &[Complex64], partner: &[Complex64]) {
        let flat = |numbers: &[Complex64]| numbers.iter().flat_map(|z| z.parts()).collect::<Vec<f64>>();
        let sweep = Sweep {
            rank: side.rank,
            blocks: &mut side.blocks,
            factors: &mut side.factors,
            weights: &side.weights,
            update: &flat(update),
            partner: &flat(partner),
        };
        f64::run(sweep);
    }
}

struct Sweep<'a> {
    rank: usize,
    blocks: &'a mut [f64],
    factors: &'a mut [f64],
    weights: &'a [f64],
    update: &'a [f64],
    partner: &'a [f64],
}

impl Kernel<f64> for Sweep<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        match self.rank {
            1 => self.ranked::<I, 1>(isa),
            2 => self.ranked::<I, 2>(isa),
            3 => self.ranked::<I, 3>(isa),
            4 => self.ranked::<I, 4>(isa),
            _ => self.any(isa),
        }
    }
}

impl Sweep<'_> {
    /// For small ranks, whose update and partner stay in registers.
    #[inline(always)]
    fn ranked<I: Isa<f64>, const R: usize>(self, isa: I) {
        let mut numbers = [[isa.splat(0.0); 4]; R];
        for (to, (u, q)) in numbers.iter_mut().zip(self.update.chunks_exact(2).zip(self.partner.chunks_exact(2))) {
            *to = [isa.splat(u[0]), isa.splat(u[1]), isa.splat(q[0]), isa.splat(q[1])];
        }
        let blocks = lanes_mut::<f64>(self.blocks).chunks_exact_mut(2 * R);
        let factors = lanes_mut::<f64>(self.factors).chunks_exact_mut(2);
        for ((block, factor), weight) in blocks.zip(factors).zip(lanes::<f64>(self.weights)) {
            let f = [isa.load(&factor[0]), isa.load(&factor[1])];
            let mut sum = [isa.splat(0.0); 2];
            for j in 0..R {
                sum = step(isa, &mut block[2 * j..2 * j + 2], f, numbers[j], sum);
            }
            finish(isa, factor, weight, sum);
        }
    }

    #[inline(always)]
    fn any<I: Isa<f64>>(self, isa: I) {
        let blocks = lanes_mut::<f64>(self.blocks).chunks_exact_mut(2 * self.rank);
        let factors = lanes_mut::<f64>(self.factors).chunks_exact_mut(2);
        for ((block, factor), weight) in blocks.zip(factors).zip(lanes::<f64>(self.weights)) {
            let f = [isa.load(&factor[0]), isa.load(&factor[1])];
            let mut sum = [isa.splat(0.0); 2];
            let numbers = self.update.chunks_exact(2).zip(self.partner.chunks_exact(2));
            for (g, (u, q)) in block.chunks_exact_mut(2).zip(numbers) {
                let number = [isa.splat(u[0]), isa.splat(u[1]), isa.splat(q[0]), isa.splat(q[1])];
                sum = step(isa, g, f, number, sum);
            }
            finish(isa, factor, weight, sum);
        }
    }
}

/// `g ← g − f u`, and returns `sum + g q`, for `number = [Re u, Im u, Re q, Im q]`.
#[inline(always)]
fn step<I: Isa<f64>>(
    isa: I,
    g: &mut [<f64 as Kernels>::Lane],
    f: [I::V; 2],
    number: [I::V; 4],
    sum: [I::V; 2],
) -> [I::V; 2] {
    let [u_re, u_im, q_re, q_im] = number;
    let re = isa.neg_mul_add(f[0], u_re, isa.load(&g[0]));
    let re = isa.mul_add(f[1], u_im, re);
    let im = isa.neg_mul_add(f[0], u_im, isa.load(&g[1]));
    let im = isa.neg_mul_add(f[1], u_re, im);
    isa.store(&mut g[0], re);
    isa.store(&mut g[1], im);
    [isa.neg_mul_add(im, q_im, isa.mul_add(re, q_re, sum[0])), isa.mul_add(im, q_re, isa.mul_add(re, q_im, sum[1]))]
}

/// Writes `sum · (−½ − i weight)`.
#[inline(always)]
fn finish<I: Isa<f64>>(isa: I, factor: &mut [<f64 as Kernels>::Lane], weight: &<f64 as Kernels>::Lane, sum: [I::V; 2]) {
    let (weight, minus_half) = (isa.load(weight), isa.splat(-0.5));
    isa.store(&mut factor[0], isa.mul_add(weight, sum[1], isa.mul(minus_half, sum[0])));
    isa.store(&mut factor[1], isa.neg_mul_add(weight, sum[0], isa.mul(minus_half, sum[1])));
}
