//! Real nodes.

use super::Nodes;
use super::side::Side;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// Real nodes, each standing for itself.
pub(in crate::algebra) struct Line;

impl Nodes for Line {
    type Number = f64;
    type Node = f64;

    fn padding(&self) -> f64 {
        0.0
    }

    fn partner(&self, _: &mut [f64], _: f64) {}

    fn weights(&self, nodes: &[f64], other: f64, weights: &mut [f64]) {
        for (weight, &node) in weights.iter_mut().zip(nodes) {
            let difference = node - other;
            *weight = if difference == 0.0 { 0.0 } else { 1.0 / difference };
        }
    }

    fn sweep(side: &mut Side<f64>, update: &[f64], partner: &[f64]) {
        let sweep = Sweep {
            rank: side.rank,
            blocks: &mut side.blocks,
            factors: &mut side.factors,
            weights: &side.weights,
            update,
            partner,
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
        let blocks = lanes_mut::<f64>(self.blocks).chunks_exact_mut(self.rank);
        for ((block, factor), weight) in blocks.zip(lanes_mut::<f64>(self.factors)).zip(lanes::<f64>(self.weights)) {
            let f = isa.load(factor);
            let mut sum = isa.splat(0.0);
            for (g, (&u, &q)) in block.iter_mut().zip(self.update.iter().zip(self.partner)) {
                let value = isa.neg_mul_add(f, isa.splat(u), isa.load(g));
                isa.store(g, value);
                sum = isa.mul_add(value, isa.splat(q), sum);
            }
            isa.store(factor, isa.mul(sum, isa.load(weight)));
        }
    }
}
