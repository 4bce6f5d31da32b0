//! Gradients by a tree: first in the spectra of what enters, which the examples of a batch share, then from the root to the
//! leaves through the junctions.

use super::super::junction::JunctionAdjoint;
use super::super::sweep::Coefficients;
use super::super::tree::{Tree, WAYS};
use super::{Scatter, direct, leaf_coefficients};
use crate::matrix::take;
use crate::transform::Side;
use crate::transform::isa::Kernels;

impl Scatter {
    /// Adds to `sums` the gradient of `⟨y, Σ_jk t_jk A^k g_j⟩`, from what the two products left.
    #[expect(clippy::too_many_arguments, reason = "what two products took and left")]
    pub fn correlate(
        &self,
        tree: &Tree,
        t: &[f64],
        y: &[f64],
        down: &[f64],
        up: &[f64],
        sums: &mut [f64],
        scratch: &mut [f64],
    ) {
        let (ways, sources, rank, top) = (WAYS, tree.sources(), tree.rank, tree.height());
        let (mut down, mut up, mut sums) = (down, up, sums);
        let each = ways * sources;
        let n = tree.size(top);
        let top_signals = cut(&mut down, rank * n);
        // Down goes from the top to the leaves, up the other way round.
        let top_duals = &up[up.len() - ways * n..];
        let top_sums = take(&mut sums, each * n);
        for (end, dual) in top_duals.chunks_exact(n).enumerate() {
            let sums = top_sums[(end * sources + ways) * n..].chunks_exact_mut(n);
            for (signal, sum) in top_signals.chunks_exact(n).zip(sums) {
                tree.add_product(top, Side::Transposed, sum, signal, dual);
            }
        }
        up = &up[..up.len() - ways * n];
        for h in (0..top).rev() {
            let (n, pairs) = (tree.size(h), tree.blocks(h + 1));
            let signals = cut(&mut down, rank * n);
            let duals = &up[up.len() - pairs * ways * n..];
            up = &up[..up.len() - duals.len()];
            for duals in duals.chunks_exact(ways * n) {
                let spectra = cut(&mut down, ways * n);
                for dual in duals.chunks_exact(n) {
                    let sums = take(&mut sums, sources * n);
                    let from = spectra.chunks_exact(n).chain(signals.chunks_exact(n));
                    for (from, sum) in from.zip(sums.chunks_exact_mut(n)) {
                        tree.add_product(h, Side::Transposed, sum, from, dual);
                    }
                }
            }
        }
        for (leaf, gradient) in sums.chunks_exact_mut((3 + rank) * tree.width).enumerate() {
            let (entries, generators) = gradient.split_at_mut(3 * tree.width);
            let t = leaf_coefficients(tree, down, t, leaf);
            self.leaf(tree, leaf).gradient(t, &y[tree.starts[leaf]..], entries, generators, scratch);
        }
    }

    /// Adds to the gradients in the generators and in the band what the sums stand for; uses them up.
    pub fn finish(
        &self,
        tree: &Tree,
        mut sums: &mut [f64],
        generators: &mut [f64],
        band: &mut [f64],
        mut scratch: &mut [f64],
    ) {
        let (ways, sources, top) = (WAYS, tree.sources(), tree.height());
        let each = ways * sources;
        let largest = tree.size(top).max(tree.size(top.saturating_sub(1)));
        let all = each * tree.blocks(0) * tree.series(0);
        let [mut above, mut below] = [(); 2].map(|()| take(&mut scratch, all));
        let blocks = take(&mut scratch, 2 * each * largest);
        let blocks_gradient = take(&mut scratch, 2 * each * largest);
        let ends = take(&mut scratch, each * largest);
        let mut bonds;

        let n = tree.size(top);
        let gain = tree.gain(top).recip();
        let entering_gradient = take(&mut sums, each * n);
        for spectrum in entering_gradient.chunks_exact_mut(n) {
            // Only the first N coefficients count.
            tree.signal(top, spectrum, scratch);
            ends[..tree.order].copy_from_slice(&spectrum[..tree.order]);
            tree.spectrum(top, &ends[..tree.order], 1.0, spectrum, scratch);
        }
        self.whole(tree, &mut blocks[..2 * each * n], scratch);
        ends.fill(0.0);
        let [lambda, mu] = self.bonds(tree, 0);
        bonds = [0.0; 2];
        f64::run(JunctionAdjoint {
            z: tree.z(top),
            lambda,
            mu,
            blocks: &blocks[..2 * each * n],
            entering: &self.entering[top],
            ends: &ends[..each * n],
            entering_gradient,
            blocks_gradient: &mut blocks_gradient[..2 * each * n],
            bonds: &mut bonds,
        });
        add_bonds(tree, band, 0, bonds);
        let len = tree.series(top);
        let (left, right) = blocks_gradient[..2 * each * n].split_at_mut(each * n);
        let whole = left.chunks_exact_mut(n).zip(right.chunks_exact(n));
        for ((left, right), gradient) in whole.zip(above.chunks_exact_mut(len)) {
            left.iter_mut().zip(right).for_each(|(l, r)| *l += r);
            tree.signal(top, left, scratch);
            gradient.iter_mut().zip(&*left).for_each(|(g, s)| *g = gain * s);
        }

        for h in (0..top).rev() {
            let (n, len, gain) = (tree.size(h), tree.series(h), tree.gain(h));
            let above_len = tree.series(h + 1);
            for pair in 0..tree.blocks(h + 1) {
                let series = &self.series[h][pair * 2 * each * len..][..2 * each * len];
                for (series, spectrum) in series.chunks_exact(len).zip(blocks.chunks_exact_mut(n)) {
                    tree.spectrum(h, series, 1.0, spectrum, scratch);
                }
                let joined = &above[pair * each * above_len..][..each * above_len];
                for (series, spectrum) in joined.chunks_exact(above_len).zip(ends.chunks_exact_mut(n)) {
                    tree.spectrum(h, series, 1.0, spectrum, scratch);
                }
                let entering_gradient = take(&mut sums, each * n);
                entering_gradient.iter_mut().for_each(|s| *s *= gain);
                let [lambda, mu] = self.bonds(tree, tree.middle(h, pair));
                bonds = [0.0; 2];
                f64::run(JunctionAdjoint {
                    z: tree.z(h),
                    lambda,
                    mu,
                    blocks: &blocks[..2 * each * n],
                    entering: &self.entering[h][pair * each * n..][..each * n],
                    ends: &ends[..each * n],
                    entering_gradient,
                    blocks_gradient: &mut blocks_gradient[..2 * each * n],
                    bonds: &mut bonds,
                });
                add_bonds(tree, band, tree.middle(h, pair), bonds);
                let children = &mut below[pair * 2 * each * len..][..2 * each * len];
                let spectra = blocks_gradient.chunks_exact_mut(n);
                for (at, (child, spectrum)) in children.chunks_exact_mut(len).zip(spectra).enumerate() {
                    tree.signal(h, spectrum, scratch);
                    child.iter_mut().zip(&*spectrum).for_each(|(c, s)| *c = s / gain);
                    if direct(at % each, sources) == Some(at / each) {
                        let joined = &joined[at % each * above_len..][..len];
                        child.iter_mut().zip(joined).for_each(|(c, j)| *c += j);
                    }
                }
            }
            std::mem::swap(&mut above, &mut below);
        }
        self.finish_leaves(tree, sums, above, generators, band, scratch);
    }

    fn finish_leaves(
        &self,
        tree: &Tree,
        sums: &mut [f64],
        series: &[f64],
        generators: &mut [f64],
        band: &mut [f64],
        mut scratch: &mut [f64],
    ) {
        let (width, len, ways, each) = (tree.width, tree.series(0), WAYS, tree.sources() * tree.series(0));
        let unit = take(&mut scratch, width);
        let leaves = sums.chunks_exact_mut((3 + tree.rank) * width).zip(series.chunks_exact(ways * each));
        for (leaf, (gradient, series)) in leaves.enumerate() {
            let (entries_gradient, generators_gradient) = gradient.split_at_mut(3 * width);
            for (end, series) in series.chunks_exact(each).enumerate() {
                let (from_ways, from_generators) = series.split_at(ways * len);
                let t = Coefficients {
                    ways: from_ways,
                    ways_stride: len,
                    generators: from_generators,
                    generators_stride: len,
                    len,
                };
                unit.fill(0.0);
                unit[Self::end_place(tree, leaf, end)] = 1.0;
                self.leaf(tree, leaf).gradient(t, unit, entries_gradient, generators_gradient, scratch);
            }
            let places = tree.starts[leaf]..tree.starts[leaf + 1];
            // The entries that lead out of a leaf are not its own.
            entries_gradient[0] = 0.0;
            entries_gradient[2 * width + places.len() - 1] = 0.0;
            let parts = band.chunks_exact_mut(tree.order).chain(generators.chunks_exact_mut(tree.order));
            for (whole, local) in parts.zip(gradient.chunks_exact(width)) {
                whole[places.clone()].iter_mut().zip(local).for_each(|(w, l)| *w += l);
            }
        }
    }
}

fn add_bonds(tree: &Tree, band: &mut [f64], middle: usize, bonds: [f64; 2]) {
    let before = if middle == 0 { tree.order - 1 } else { middle - 1 };
    band[middle] += bonds[0];
    band[2 * tree.order + before] += bonds[1];
}

/// Cuts the first `len` numbers off a slice.
fn cut<'a>(slice: &mut &'a [f64], len: usize) -> &'a [f64] {
    let (head, tail) = slice.split_at(len);
    *slice = tail;
    head
}
