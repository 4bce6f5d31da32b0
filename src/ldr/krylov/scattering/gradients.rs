//! Gradients by a tree: first in the spectra of what enters, which the examples of a batch share, then from the root to the
//! leaves through the junctions.

use super::Scattering;
use super::cascade::CascadeAdjoint;
use super::field::Lane;
use super::junction::JunctionAdjoint;
use super::leaf::{Coefficients, Leaf};
use super::passage::{Correlate, Pack, Unpack};
use super::plan::{LANES, Plan, Tree, interleave};
use super::ports::Ports;
use super::products::{largest_block, replicate};
use crate::matrix::take;
use crate::transform::isa::Kernels;

impl Scattering {
    /// Numbers that [`Scattering::forward`] leaves for [`Scattering::correlate`].
    pub fn down_len(plan: &Plan) -> usize {
        let signals: usize = plan.blocks_of_heights().map(|n| plan.rank * n).sum();
        signals + plan.spectra(plan.ports.ways) + plan.series(plan.ports.ways)
    }

    /// Numbers that [`Scattering::transposed`] leaves for [`Scattering::correlate`].
    pub fn up_len(plan: &Plan) -> usize {
        plan.spectra(plan.ports.ways) + plan.ports.ways * largest_block(plan)
    }

    /// Numbers in the sums of the gradients.
    pub fn sums_len(plan: &Plan) -> usize {
        let leaves = plan.blocks(0) * (3 + plan.rank) * plan.leaf_width();
        plan.spectra(plan.ports.each()) + plan.ports.ways * plan.rank * largest_block(plan) + leaves
    }

    /// Numbers of scratch.
    pub fn scratch_len(plan: &Plan) -> usize {
        let (ports, largest, width) = (plan.ports, largest_block(plan), plan.leaf_width());
        let leaf_len = plan.len(0, plan.leaf_room());
        let leaf = (2 + plan.rank) * leaf_len * LANES + 2 * Leaf::vector_len(width);
        let leaf = leaf + Leaf::gradient_scratch_len(width, leaf_len);
        let product = 2 * plan.series(ports.ways) + (plan.rank + 2) * largest;
        let finish = 2 * plan.series(ports.each()) + (2 * ports.met()[1] + 4 * ports.each()) * largest;
        product.max(finish) + plan.transform_scratch().max(leaf)
    }

    /// Adds to `sums` the gradient of `⟨y, Σ_jk t_jk A^k g_j⟩`, from what the two products left; or writes it, for the
    /// first example.
    #[expect(clippy::too_many_arguments, reason = "what two products took and left")]
    pub fn correlate(
        &self,
        plan: &Plan,
        t: &[f64],
        y: &[f64],
        mut down: &[f64],
        up: &[f64],
        first: bool,
        mut sums: &mut [f64],
        mut scratch: &mut [f64],
    ) {
        let (tree, top, rank) = (self.tree(plan), plan.height(), plan.rank);
        let (ports, ways) = (plan.ports, plan.ports.ways);
        // Down goes from the top to the leaves, up the other way round.
        let mut end = tree.spectra(ways);
        let n = tree.level(top).block();
        let signals = cut(&mut down, rank * n);
        correlate(ports, [&[], signals], &up[end..][..ways * n], first, take(&mut sums, ways * rank * n));
        for h in (0..top).rev() {
            let n = tree.level(h).block();
            let signals = cut(&mut down, rank * n);
            end -= tree.groups(h) * ways * n;
            for duals in up[end..][..tree.groups(h) * ways * n].chunks_exact(ways * n) {
                let spectra = cut(&mut down, ways * n);
                correlate(ports, [spectra, signals], duals, first, take(&mut sums, ports.each() * n));
            }
        }
        let len = tree.len(0);
        let generators = take(&mut scratch, rank * len * LANES);
        replicate(t, plan.order, generators, len);
        let w = take(&mut scratch, Leaf::vector_len(plan.leaf_width()));
        for (group, sums) in leaf_sums(plan, sums).enumerate() {
            let ways = cut(&mut down, ways * len * LANES);
            if first {
                sums.fill(0.0);
            }
            Self::gather(plan, group, y, w);
            self.leaf(plan, group).gradient(Coefficients { ways, generators }, w, sums, scratch);
        }
    }

    /// Adds to the gradients in the generators and in the band what the sums stand for; uses them up.
    pub fn finish(
        &self,
        plan: &Plan,
        mut sums: &mut [f64],
        generators: &mut [f64],
        band: &mut [f64],
        mut scratch: &mut [f64],
    ) {
        let (tree, top, ports) = (self.tree(plan), plan.height(), plan.ports);
        let (each, [left, met], largest) = (ports.each(), ports.met(), largest_block(plan));
        let [mut above, mut below] = [(); 2].map(|()| take(&mut scratch, plan.series(each)));
        let [blocks, blocks_gradient] = [(); 2].map(|()| take(&mut scratch, met * largest));
        let ends = take(&mut scratch, each * largest);
        self.finish_top(plan, &mut sums, above, [blocks, blocks_gradient, ends], band, scratch);
        let mut lanes = 1;
        for h in (0..top).rev() {
            let level = tree.level(h);
            let (n, gain) = (level.block(), level.gain().recip());
            if level.lanes != lanes {
                lanes = level.lanes;
                let len = each * tree.len(h + 1);
                interleave(&above[..plan.blocks(h + 1) * len], below, len);
                std::mem::swap(&mut above, &mut below);
            }
            let (len, above_len) = (tree.len(h) * lanes, tree.len(h + 1) * lanes);
            let (blocks, blocks_gradient) = (&mut blocks[..met * n], &mut blocks_gradient[..met * n]);
            let ends = &mut ends[..each * n];
            for group in 0..tree.groups(h) {
                let series = &self.series[h][group * 2 * each * len..][..2 * each * len];
                let (first, second) = series.split_at(each * len);
                Self::blocks(level, [first, second], ports, blocks, scratch);
                let joined = &above[group * each * above_len..][..each * above_len];
                for (series, spectrum) in joined.chunks_exact(above_len).zip(ends.chunks_exact_mut(n)) {
                    level.spectrum(series, spectrum, scratch);
                }
                let entering = take(&mut sums, each * n);
                let meeting = Meeting { z: &level.z, bonds: self.bonds(tree, h, group), blocks, ends, entering };
                let bonds_gradient = meeting.adjoint(ports, blocks_gradient);
                add_bonds(tree, h, group, bonds_gradient, band);
                let children = &mut below[group * 2 * each * len..][..2 * each * len];
                let (first, second) = blocks_gradient.split_at_mut(left * n);
                for (block, (child, spectra)) in children.chunks_exact_mut(each * len).zip([first, second]).enumerate()
                {
                    for at in (0..each).filter(|&at| ports.direct(at) == Some(block)) {
                        child[at * len..][..len].copy_from_slice(&joined[at * above_len..][..len]);
                    }
                    for (at, spectrum) in ports.meeting(block).zip(spectra.chunks_exact_mut(n)) {
                        level.signal(spectrum, scratch);
                        let child = child[at * len..][..len].iter_mut();
                        child.zip(&*spectrum).for_each(|(c, s)| *c = gain * s);
                    }
                }
            }
            std::mem::swap(&mut above, &mut below);
        }
        if lanes == 1 {
            let len = each * tree.len(0);
            interleave(&above[..plan.blocks(0) * len], below, len);
            std::mem::swap(&mut above, &mut below);
        }
        self.finish_leaves(plan, sums, above, generators, band, scratch);
    }

    /// The gradient in the series of the whole.
    fn finish_top(
        &self,
        plan: &Plan,
        sums: &mut &mut [f64],
        whole: &mut [f64],
        [blocks, blocks_gradient, ends]: [&mut [f64]; 3],
        band: &mut [f64],
        mut scratch: &mut [f64],
    ) {
        let (tree, top, ports) = (self.tree(plan), plan.height(), plan.ports);
        let (each, [left, met]) = (ports.each(), ports.met());
        let level = tree.level(top);
        let (n, len, gain) = (level.block(), tree.len(top), level.gain().recip());
        let (blocks, blocks_gradient) = (&mut blocks[..met * n], &mut blocks_gradient[..met * n]);
        // What enters from the ways in is no part of a product.
        let count = ports.ways * plan.rank;
        let [gradient, spectra, entering] = [count, each, each].map(|count| take(&mut scratch, count * n));
        f64::run(Unpack { packed: take(sums, count * n), count, spectra: gradient });
        spectra.fill(0.0);
        let from_generators = spectra.chunks_exact_mut(n).enumerate().filter(|(at, _)| ports.is_from_generator(*at));
        for ((_, spectrum), signal) in from_generators.zip(gradient.chunks_exact_mut(n)) {
            // Only the first N coefficients count.
            level.signal(signal, scratch);
            level.replicated(&signal[..plan.order], gain, spectrum, scratch);
        }
        f64::run(Pack { spectra, count: each, factor: 1.0, packed: entering });
        self.whole(tree, blocks, scratch);
        let ends = &mut ends[..each * n];
        ends.fill(0.0);
        let bonds = self.bonds_at(plan, 0).map(|bond| [bond; LANES]);
        let meeting = Meeting { z: &level.z, bonds, blocks, ends, entering };
        let bonds_gradient = meeting.adjoint(ports, blocks_gradient);
        add_bonds(tree, top, 0, bonds_gradient, band);
        whole[..each * len].fill(0.0);
        let (first, second) = blocks_gradient.split_at_mut(left * n);
        for (block, spectra) in [first, second].into_iter().enumerate() {
            for (at, spectrum) in ports.meeting(block).zip(spectra.chunks_exact_mut(n)) {
                level.signal(spectrum, scratch);
                let series = whole[at * len..][..len].iter_mut();
                series.zip(&*spectrum).for_each(|(w, s)| *w += gain * s);
            }
        }
    }

    fn finish_leaves(
        &self,
        plan: &Plan,
        sums: &mut [f64],
        series: &[f64],
        generators: &mut [f64],
        band: &mut [f64],
        mut scratch: &mut [f64],
    ) {
        let (len, width, Ports { ways, sources }) = (self.tree(plan).len(0), plan.leaf_width(), plan.ports);
        let each = sources * len * LANES;
        let w = take(&mut scratch, Leaf::vector_len(width));
        let leaves = leaf_sums(plan, sums).zip(series.chunks_exact(ways * each));
        for (group, (gradient, series)) in leaves.enumerate() {
            for (end, series) in series.chunks_exact(each).enumerate() {
                let (ways, generators) = series.split_at(ways * len * LANES);
                self.unit(plan, group, end, w);
                self.leaf(plan, group).gradient(Coefficients { ways, generators }, w, gradient, scratch);
            }
            let parts = band.chunks_exact_mut(plan.order).chain(generators.chunks_exact_mut(plan.order));
            for (whole, local) in parts.zip(gradient.chunks_exact(width * LANES)) {
                for lane in 0..LANES {
                    let (places, more) = Self::wide_places(plan, group, lane);
                    let (ahead, local) = (places.len(), &local[lane..]);
                    whole[places].iter_mut().zip(local.iter().step_by(LANES)).for_each(|(w, l)| *w += l);
                    let around = local.iter().step_by(LANES).skip(ahead);
                    whole[..more].iter_mut().zip(around).for_each(|(w, l)| *w += l);
                }
            }
        }
    }
}

/// What meets at a junction, with the gradients in what comes of it.
struct Meeting<'a> {
    z: &'a [f64],
    bonds: [Lane; 2],
    blocks: &'a [f64],
    ends: &'a [f64],
    entering: &'a [f64],
}

impl Meeting<'_> {
    /// Writes the gradients in the blocks, and returns those in the bonds, times n/2.
    fn adjoint(self, ports: Ports, blocks_gradient: &mut [f64]) -> [Lane; 2] {
        let Self { z, bonds, blocks, ends, entering } = self;
        let mut gradient = [[0.0; LANES]; 2];
        if ports.ways == 2 {
            let bonds_gradient = &mut gradient;
            f64::run(JunctionAdjoint { z, bonds, blocks, ends, entering, blocks_gradient, bonds_gradient });
        } else {
            let (lambda, lambda_gradient) = (bonds[0], &mut gradient[0]);
            f64::run(CascadeAdjoint { z, lambda, blocks, ends, entering, blocks_gradient, lambda_gradient });
        }
        gradient
    }
}

/// [`Correlate`] for as many blocks as are entered.
fn correlate(ports: Ports, [ways, signals]: [&[f64]; 2], duals: &[f64], first: bool, sums: &mut [f64]) {
    match ports.ways {
        1 => f64::run(Correlate::<1> { ways, signals, duals, first, sums }),
        _ => f64::run(Correlate::<2> { ways, signals, duals, first, sums }),
    }
}

/// The sums of groups of leaves.
fn leaf_sums<'a>(plan: &Plan, sums: &'a mut [f64]) -> impl Iterator<Item = &'a mut [f64]> {
    let each = (3 + plan.rank) * plan.leaf_width() * LANES;
    sums.chunks_exact_mut(each).take(plan.blocks(0) / LANES)
}

/// Adds the gradients in λ and μ of the pairs of a group, that n/2 times are given, or of the corners.
fn add_bonds(tree: Tree<'_>, h: usize, group: usize, gradients: [Lane; 2], band: &mut [f64]) {
    let (order, level) = (tree.plan.order, tree.level(h));
    let middles = if h == tree.plan.height() { [0; LANES] } else { Scattering::middles(tree, h, group) };
    for (l, middle) in middles.into_iter().enumerate() {
        let before = if middle == 0 { order - 1 } else { middle - 1 };
        // The inner product of two real signals is 2/n times that of the halves of their spectra.
        band[middle] += gradients[0][l] / level.gain();
        band[2 * order + before] += gradients[1][l] / level.gain();
    }
}

/// Cuts the first `len` numbers off a slice.
fn cut<'a>(slice: &mut &'a [f64], len: usize) -> &'a [f64] {
    let (head, tail) = slice.split_at(len);
    *slice = tail;
    head
}
