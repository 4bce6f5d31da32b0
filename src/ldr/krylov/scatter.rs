//! Krylov products in near-linear time: blocks of places, what passes through them, and what they reflect.
//!
//! `(A^k g)_i` is what reaches place i in k steps along the band. Cut the places in two blocks, and the way there is one inside a
//! block, or one that crosses the cut; by recursion, a tree. Each block is described by power series in the number of steps
//! (see [`Junction`]), computed from the leaves up, once for each set of parameters. A product `Σ_k t_k A^k g` hands *functionals* down: a
//! place behind an entrance needs `⟨t, series⟩`, and what the series have in common up to the entrance is correlated with t there. The
//! transposed product hands sums up, by the same spectra.

use super::band::Band;
use super::junction::{Junction, JunctionAdjoint};
use super::sweep::{Coefficients, CoefficientsMut, Sweep, transpose_band};
use super::tree::Tree;
use crate::matrix::take;
use crate::transform::Side;
use crate::transform::isa::Kernels;

/// What is left of a series at its end, relative to its largest coefficient, to be neglected.
const TAIL: f64 = 1e-13;

/// The largest coefficient of a series, per unit of its source, that rounding errors are let through.
const GROWTH: f64 = 1e6;

/// What a tree derives from an operator and its generators.
#[derive(Debug)]
pub(super) struct Scatter {
    /// The three diagonals.
    entries: Vec<f64>,
    /// The largest number in the generators.
    unit: f64,
    /// For each leaf its diagonals, those of its transpose, and its part of the generators.
    leaves: Vec<f64>,
    /// For each height, block, end and source the power series of what arrives.
    series: Vec<Vec<f64>>,
    /// For each height, pair, entrance and source the spectrum of what enters; those of the top last.
    entering: Vec<Vec<f64>>,
}

/// Which source a way in is: P enters the left block from behind, Q the right block from before.
fn way(end: usize, ways: usize) -> usize {
    ways - 1 - end
}

impl Scatter {
    /// Goes up the tree. `None` where the series of a block are longer than the tree has room for, or grow too far to be added in
    /// double precision: the operator reflects or amplifies too much.
    pub fn new(tree: &Tree, entries: &[f64], generators: &[f64]) -> Option<Self> {
        let mut scatter = Self {
            entries: entries.to_vec(),
            unit: generators.iter().fold(0.0, |m: f64, g| m.max(g.abs())),
            leaves: vec![0.0; tree.leaves() * (6 + tree.rank) * tree.width],
            series: Vec::with_capacity(tree.height() + 1),
            entering: Vec::with_capacity(tree.height() + 1),
        };
        scatter.plant(tree, generators)?;
        for h in 0..tree.height() {
            scatter.join(tree, h)?;
        }
        scatter.close(tree)?;
        Some(scatter)
    }

    fn band(&self) -> Band<'_> {
        Band::of(&self.entries)
    }

    /// The entries that join what is before and behind a place: from left to right, and back.
    fn bonds(&self, tree: &Tree, middle: usize) -> [f64; 2] {
        let band = self.band();
        let before = if middle == 0 { tree.order - 1 } else { middle - 1 };
        [band.lower[middle], band.upper[before]]
    }

    /// A leaf, cut off from the others.
    fn leaf(&self, tree: &Tree, leaf: usize) -> Sweep<'_> {
        let each = (6 + tree.rank) * tree.width;
        let (entries, rest) = self.leaves[leaf * each..][..each].split_at(3 * tree.width);
        let (transposed, generators) = rest.split_at(3 * tree.width);
        let places = tree.starts[leaf + 1] - tree.starts[leaf];
        Sweep { entries, transposed, generators, places, ways: tree.ways }
    }

    /// The place of an end in its leaf.
    fn end_place(tree: &Tree, leaf: usize, end: usize) -> usize {
        let last = tree.starts[leaf + 1] - tree.starts[leaf] - 1;
        if end + 1 == tree.ways { last } else { 0 }
    }

    /// Refuses coefficients that have not died away after `kept` of them, or that are too large.
    fn fits(&self, series: &[f64], kept: usize, scale: f64, generator: bool) -> Option<()> {
        let (head, tail) = series.split_at(kept.min(series.len()));
        let (size, limit) = (scale * largest(head), if generator { GROWTH * self.unit } else { GROWTH });
        (size <= limit && scale * largest(tail) <= TAIL * size.max(f64::MIN_POSITIVE)).then_some(())
    }

    fn plant(&mut self, tree: &Tree, generators: &[f64]) -> Option<()> {
        let (width, len, sources, ways) = (tree.width, tree.series(0), tree.sources(), tree.ways);
        let mut leaves = std::mem::take(&mut self.leaves);
        for (leaf, numbers) in leaves.chunks_exact_mut((6 + tree.rank) * width).enumerate() {
            let (start, end) = (tree.starts[leaf], tree.starts[leaf + 1]);
            let (entries, rest) = numbers.split_at_mut(3 * width);
            let (transposed, to) = rest.split_at_mut(3 * width);
            let Band { lower, diagonal, upper } = self.band();
            for (local, whole) in entries.chunks_exact_mut(width).zip([lower, diagonal, upper]) {
                local[..end - start].copy_from_slice(&whole[start..end]);
            }
            entries[0] = 0.0;
            entries[2 * width + end - start - 1] = 0.0;
            transpose_band(entries, transposed, width, end - start);
            for (to, from) in to.chunks_exact_mut(width).zip(generators.chunks_exact(tree.order)) {
                to[..end - start].copy_from_slice(&from[start..end]);
            }
        }
        self.leaves = leaves;
        let mut series = vec![0.0; tree.leaves() * ways * sources * len];
        let mut scratch = vec![0.0; Sweep::scratch_len(width)];
        let (mut unit, mut last) = (vec![0.0; width], vec![0.0; sources * len]);
        for (at, series) in series.chunks_exact_mut(sources * len).enumerate() {
            let (leaf, end) = (at / ways, at % ways);
            let sweep = self.leaf(tree, leaf);
            unit.fill(0.0);
            unit[Self::end_place(tree, leaf, end)] = 1.0;
            let (to_ways, to_generators) = series.split_at_mut(ways * len);
            let t = CoefficientsMut {
                ways: to_ways,
                ways_stride: len,
                generators: to_generators,
                generators_stride: len,
                len,
            };
            sweep.expand(&unit, t, &mut scratch);
            for (s, series) in series.chunks_exact(len).enumerate() {
                self.fits(series, if ways == 2 { len - len / 8 } else { len }, 1.0, s >= ways)?;
            }
            // What is inside the leaf must have died away as well, not only what is at its ends.
            for s in 0..if ways == 2 && end == 0 { sources } else { 0 } {
                last.fill(0.0);
                last[s * len + len - len / 8] = 1.0;
                let (to_ways, to_generators) = last.split_at(ways * len);
                let t = Coefficients {
                    ways: to_ways,
                    ways_stride: len,
                    generators: to_generators,
                    generators_stride: len,
                    len,
                };
                sweep.combine(t, &mut unit, &mut scratch);
                let (size, left) = (if s < ways { 1.0 } else { self.unit }, largest(&unit[..sweep.places]));
                (left <= TAIL * size).then_some(())?;
            }
        }
        self.series.push(series);
        Some(())
    }

    /// Joins the blocks of height h in pairs.
    fn join(&mut self, tree: &Tree, h: usize) -> Option<()> {
        let (n, len, sources, ways) = (tree.size(h), tree.series(h), tree.sources(), tree.ways);
        let each = ways * sources;
        let mut blocks = vec![0.0; 2 * each * n];
        let mut ends = vec![0.0; each * n];
        let mut scratch = vec![0.0; tree.transform_scratch()];
        let mut entering = vec![0.0; tree.blocks(h + 1) * each * n];
        let mut joined = vec![0.0; tree.blocks(h + 1) * each * n];
        let gain = tree.gain(h).recip();
        for (pair, (entering, joined)) in
            entering.chunks_exact_mut(each * n).zip(joined.chunks_exact_mut(each * n)).enumerate()
        {
            let series = &self.series[h][pair * 2 * each * len..][..2 * each * len];
            for (series, spectrum) in series.chunks_exact(len).zip(blocks.chunks_exact_mut(n)) {
                tree.spectrum(h, series, 1.0, spectrum, &mut scratch);
            }
            let [lambda, mu] = self.bonds(tree, tree.middle(h, pair));
            let z = tree.z(h);
            f64::run(Junction { z, lambda, mu, blocks: &blocks, entering, ends: &mut ends, ways });
            for (at, (end, joined)) in ends.chunks_exact_mut(n).zip(joined.chunks_exact_mut(n)).enumerate() {
                tree.signal(h, end, &mut scratch);
                joined.iter_mut().zip(&*end).for_each(|(j, e)| *j = gain * e);
                if let Some(block) = direct(at, sources, ways) {
                    let series = &series[(block * each + at) * len..][..len];
                    joined.iter_mut().zip(series).for_each(|(j, s)| *j += s);
                }
                self.fits(joined, if ways == 2 { n - n / 8 } else { n }, 1.0, at % sources >= ways)?;
            }
            if ways == 2 {
                // The spectra wrap around: what enters must be short enough for a correlation of the series' length.
                for (at, (spectrum, signal)) in entering.chunks_exact(n).zip(ends.chunks_exact_mut(n)).enumerate() {
                    signal.copy_from_slice(spectrum);
                    tree.signal(h, signal, &mut scratch);
                    self.fits(signal, len + 1, gain, at % sources >= ways)?;
                }
            }
        }
        self.entering.push(entering);
        self.series.push(joined);
        Some(())
    }

    /// Closes the ring: the last place is before the first.
    fn close(&mut self, tree: &Tree) -> Option<()> {
        let (h, ways, sources) = (tree.height(), tree.ways, tree.sources());
        let (n, len, each) = (tree.size(h), tree.series(h), ways * sources);
        let mut scratch = vec![0.0; tree.transform_scratch()];
        let mut blocks = vec![0.0; 2 * each * n];
        self.whole(tree, &mut blocks, &mut scratch);
        let [lambda, mu] = self.bonds(tree, 0);
        let (mut entering, mut ends) = (vec![0.0; each * n], vec![0.0; each * n]);
        let z = tree.z(h);
        f64::run(Junction { z, lambda, mu, blocks: &blocks, entering: &mut entering, ends: &mut ends, ways });
        let gain = tree.gain(h).recip();
        debug_assert!(len <= n);
        for (at, spectrum) in entering.chunks_exact_mut(n).enumerate() {
            if at % sources < ways {
                spectrum.fill(0.0);
                continue;
            }
            tree.signal(h, spectrum, &mut scratch);
            if ways == 2 {
                self.fits(spectrum, n - n / 8, gain, true)?;
            }
            // Krylov sequences end after N vectors.
            let signal = ends[..tree.order].iter_mut().zip(&*spectrum);
            signal.for_each(|(signal, s)| *signal = gain * s);
            tree.spectrum(h, &ends[..tree.order], 1.0, spectrum, &mut scratch);
        }
        self.entering.push(entering);
        Some(())
    }

    /// The spectra of the series of the whole, twice: it is to the left and to the right of its ends.
    fn whole(&self, tree: &Tree, blocks: &mut [f64], scratch: &mut [f64]) {
        let h = tree.height();
        let (n, len) = (tree.size(h), tree.series(h));
        let (left, right) = blocks.split_at_mut(blocks.len() / 2);
        for (series, spectrum) in self.series[h].chunks_exact(len).zip(left.chunks_exact_mut(n)) {
            tree.spectrum(h, series, 1.0, spectrum, scratch);
        }
        right.copy_from_slice(left);
    }

    /// Numbers that [`Scatter::forward`] leaves for [`Scatter::correlate`].
    pub fn down_len(tree: &Tree) -> usize {
        let signals: usize = (0..=tree.height()).map(|h| tree.rank * tree.size(h)).sum();
        signals + tree.spectra(tree.ways, 0) + tree.leaves() * tree.ways * tree.series(0)
    }

    /// Numbers that [`Scatter::transposed`] leaves for [`Scatter::correlate`].
    pub fn up_len(tree: &Tree) -> usize {
        tree.spectra(tree.ways, tree.ways)
    }

    /// Numbers in the sums of the gradients.
    pub fn sums_len(tree: &Tree) -> usize {
        let each = tree.ways * tree.sources();
        tree.spectra(each, each) + tree.leaves() * (3 + tree.rank) * tree.width
    }

    /// Numbers of scratch.
    pub fn scratch_len(tree: &Tree) -> usize {
        let top = tree.height();
        let functionals = 2 * tree.ways * tree.blocks(0) * tree.series(0);
        let largest = (0..=top).map(|h| tree.size(h)).max().unwrap_or(0);
        let each = tree.ways * tree.sources();
        let product = functionals + (tree.rank + 2) * largest + tree.width;
        let series = each * tree.blocks(0) * tree.series(0);
        let finish = 2 * series + 5 * each * largest;
        let leaf = Sweep::gradient_scratch_len(tree.width, tree.series(0));
        product.max(finish) + tree.transform_scratch().max(leaf) + tree.width
    }

    /// `y = Σ_jk t_jk A^k g_j`, for t of r×N numbers. Without y, only the states are wanted; with it they are kept if asked.
    pub fn forward(
        &self,
        tree: &Tree,
        t: &[f64],
        y: Option<&mut [f64]>,
        keep: bool,
        states: &mut [f64],
        mut scratch: &mut [f64],
    ) {
        let (ways, sources, rank, top) = (tree.ways, tree.sources(), tree.rank, tree.height());
        let all = ways * tree.blocks(0) * tree.series(0);
        let [mut above, mut below] = [(); 2].map(|()| take(&mut scratch, all));
        let largest = tree.size(top).max(tree.size(0));
        let sum = take(&mut scratch, largest.max(if top > 0 { tree.size(top - 1) } else { 0 }));

        // Where the states of a height begin; what is not kept is written over.
        let mut cursor = 0;
        let signals = &mut states[..rank * tree.size(top)];
        self.signals(tree, top, t, signals, scratch);
        above.fill(0.0);
        for end in 0..ways {
            let sum = &mut sum[..tree.size(top)];
            sum.fill(0.0);
            let entering = self.entering[top][(end * sources + ways) * sum.len()..].chunks_exact(sum.len());
            for (signal, entering) in signals.chunks_exact(sum.len()).zip(entering) {
                tree.add_product(top, Side::Transposed, sum, signal, entering);
            }
            tree.signal(top, sum, scratch);
            let functional = &mut above[way(end, ways) * tree.series(top)..][..tree.order];
            functional.copy_from_slice(&sum[..tree.order]);
        }
        if keep {
            cursor += signals.len();
        }
        for h in (0..top).rev() {
            let (n, len) = (tree.size(h), tree.series(h));
            let sum = &mut sum[..n];
            self.signals(tree, h, t, &mut states[cursor..cursor + rank * n], scratch);
            let first = cursor + rank * n;
            for pair in 0..tree.blocks(h + 1) {
                let parent = &above[pair * ways * n..][..ways * n];
                let (before, spectra) = states.split_at_mut(first + if keep { pair * ways * n } else { 0 });
                let (signals, spectra) = (&before[cursor..first], &mut spectra[..ways * n]);
                for (functional, spectrum) in parent.chunks_exact(n).zip(spectra.chunks_exact_mut(n)) {
                    tree.spectrum(h, functional, tree.gain(h).recip(), spectrum, scratch);
                }
                let children = &mut below[2 * pair * ways * len..][..2 * ways * len];
                // What comes from outside passes by the other child.
                children[..len].copy_from_slice(&parent[..len]);
                if ways == 2 {
                    children[3 * len..].copy_from_slice(&parent[n..n + len]);
                }
                for end in 0..ways {
                    sum.fill(0.0);
                    let entering = &self.entering[h][(pair * ways + end) * sources * n..][..sources * n];
                    let from = spectra.chunks_exact(n).chain(signals.chunks_exact(n));
                    for (from, entering) in from.zip(entering.chunks_exact(n)) {
                        tree.add_product(h, Side::Transposed, sum, from, entering);
                    }
                    tree.signal(h, sum, scratch);
                    let child = if end + 1 == ways { ways } else { 0 };
                    children[(child + way(end, ways)) * len..][..len].copy_from_slice(&sum[..len]);
                }
            }
            std::mem::swap(&mut above, &mut below);
            if keep {
                cursor = first + tree.blocks(h + 1) * ways * n;
            }
        }
        if keep {
            states[cursor..cursor + all].copy_from_slice(above);
        }
        let Some(y) = y else { return };
        for leaf in 0..tree.leaves() {
            let t = leaf_coefficients(tree, above, t, leaf);
            self.leaf(tree, leaf).combine(t, &mut y[tree.starts[leaf]..], scratch);
        }
    }

    /// The spectra of the beginnings of t, over the gain.
    fn signals(&self, tree: &Tree, h: usize, t: &[f64], signals: &mut [f64], scratch: &mut [f64]) {
        let n = tree.size(h);
        for (t, signal) in t.chunks_exact(tree.order).zip(signals.chunks_exact_mut(n)) {
            tree.spectrum(h, t, tree.gain(h).recip(), signal, scratch);
        }
    }

    /// `t_jk = ⟨A^k g_j, y⟩`, the transpose of [`Scatter::forward`].
    pub fn transposed(
        &self,
        tree: &Tree,
        y: &[f64],
        t: &mut [f64],
        keep: bool,
        states: &mut [f64],
        mut scratch: &mut [f64],
    ) {
        let mut cursor = 0;
        let (ways, sources, rank, top) = (tree.ways, tree.sources(), tree.rank, tree.height());
        let all = ways * tree.blocks(0) * tree.series(0);
        let [mut below, mut above] = [(); 2].map(|()| take(&mut scratch, all));
        let largest = tree.size(top).max(tree.size(top.saturating_sub(1)));
        let sums = take(&mut scratch, rank * largest);
        let sum = take(&mut scratch, largest);
        let len = tree.series(0);
        t.fill(0.0);
        let local = &mut sums[..rank * len];
        for (leaf, functionals) in below.chunks_exact_mut(ways * len).enumerate() {
            let to =
                CoefficientsMut { ways: functionals, ways_stride: len, generators: local, generators_stride: len, len };
            self.leaf(tree, leaf).expand(&y[tree.starts[leaf]..], to, scratch);
            for (t, local) in t.chunks_exact_mut(tree.order).zip(local.chunks_exact(len)) {
                t.iter_mut().zip(local).for_each(|(t, l)| *t += l);
            }
        }
        for h in 0..top {
            let (n, len) = (tree.size(h), tree.series(h));
            let gain = tree.gain(h).recip();
            let (sums, sum) = (&mut sums[..rank * n], &mut sum[..n]);
            sums.fill(0.0);
            for pair in 0..tree.blocks(h + 1) {
                let children = &below[2 * pair * ways * len..][..2 * ways * len];
                let spectra = &mut states[cursor..][..ways * n];
                if keep {
                    cursor += spectra.len();
                }
                for (end, spectrum) in spectra.chunks_exact_mut(n).enumerate() {
                    let child = if end + 1 == ways { ways } else { 0 };
                    let functional = &children[(child + way(end, ways)) * len..][..len];
                    tree.spectrum(h, functional, 1.0, spectrum, scratch);
                }
                let entering = &self.entering[h][pair * ways * sources * n..][..ways * sources * n];
                let parent = &mut above[pair * ways * n..][..ways * n];
                for s in 0..sources {
                    let sum = match s.checked_sub(ways) {
                        Some(j) => &mut sums[j * n..][..n],
                        None => {
                            sum.fill(0.0);
                            &mut *sum
                        }
                    };
                    for (end, spectrum) in spectra.chunks_exact(n).enumerate() {
                        let entering = &entering[(end * sources + s) * n..][..n];
                        tree.add_product(h, Side::Plain, sum, spectrum, entering);
                    }
                    if s < ways {
                        tree.signal(h, sum, scratch);
                        let parent = &mut parent[s * n..][..n];
                        parent.iter_mut().zip(&*sum).for_each(|(p, s)| *p = gain * s);
                        let outside = &children[if s == 0 { 0 } else { 3 * len }..][..len];
                        parent.iter_mut().zip(outside).for_each(|(p, o)| *p += o);
                    }
                }
            }
            self.add_signals(tree, h, sums, t, scratch);
            std::mem::swap(&mut above, &mut below);
        }
        let n = tree.size(top);
        let spectra = &mut states[cursor..][..ways * n];
        for (end, spectrum) in spectra.chunks_exact_mut(n).enumerate() {
            let functional = &below[way(end, ways) * tree.series(top)..][..tree.order];
            tree.spectrum(top, functional, 1.0, spectrum, scratch);
        }
        let sums = &mut sums[..rank * n];
        sums.fill(0.0);
        for (j, sum) in sums.chunks_exact_mut(n).enumerate() {
            for (end, spectrum) in spectra.chunks_exact(n).enumerate() {
                let entering = &self.entering[top][(end * sources + ways + j) * n..][..n];
                tree.add_product(top, Side::Plain, sum, spectrum, entering);
            }
        }
        self.add_signals(tree, top, sums, t, scratch);
    }

    /// Adds to t the beginnings of signals.
    fn add_signals(&self, tree: &Tree, h: usize, sums: &mut [f64], t: &mut [f64], scratch: &mut [f64]) {
        let gain = tree.gain(h).recip();
        for (t, sum) in t.chunks_exact_mut(tree.order).zip(sums.chunks_exact_mut(tree.size(h))) {
            tree.signal(h, sum, scratch);
            t.iter_mut().zip(&*sum).for_each(|(t, s)| *t += gain * s);
        }
    }

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
        let (ways, sources, rank, top) = (tree.ways, tree.sources(), tree.rank, tree.height());
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
        let (ways, sources, top) = (tree.ways, tree.sources(), tree.height());
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
            ways,
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
            for pair in 0..tree.blocks(h + 1) {
                let series = &self.series[h][pair * 2 * each * len..][..2 * each * len];
                for (series, spectrum) in series.chunks_exact(len).zip(blocks.chunks_exact_mut(n)) {
                    tree.spectrum(h, series, 1.0, spectrum, scratch);
                }
                let joined = &above[pair * each * n..][..each * n];
                for (series, spectrum) in joined.chunks_exact(n).zip(ends.chunks_exact_mut(n)) {
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
                    ways,
                });
                add_bonds(tree, band, tree.middle(h, pair), bonds);
                let children = &mut below[pair * 2 * each * len..][..2 * each * len];
                let spectra = blocks_gradient.chunks_exact_mut(n);
                for (at, (child, spectrum)) in children.chunks_exact_mut(len).zip(spectra).enumerate() {
                    tree.signal(h, spectrum, scratch);
                    child.iter_mut().zip(&*spectrum).for_each(|(c, s)| *c = s / gain);
                    if direct(at % each, sources, ways) == Some(at / each) {
                        let joined = &joined[at % each * n..][..len];
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
        let (width, len, ways, each) = (tree.width, tree.series(0), tree.ways, tree.sources() * tree.series(0));
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

/// The coefficients with which the sources of a leaf are summed: its functionals, and the beginnings of the rows of t.
fn leaf_coefficients<'a>(tree: &Tree, functionals: &'a [f64], t: &'a [f64], leaf: usize) -> Coefficients<'a> {
    let len = tree.series(0);
    Coefficients {
        ways: &functionals[leaf * tree.ways * len..][..tree.ways * len],
        ways_stride: len,
        generators: t,
        generators_stride: tree.order,
        len,
    }
}

fn add_bonds(tree: &Tree, band: &mut [f64], middle: usize, bonds: [f64; 2]) {
    let before = if middle == 0 { tree.order - 1 } else { middle - 1 };
    band[middle] += bonds[0];
    band[2 * tree.order + before] += bonds[1];
}

/// Which of two blocks contributes to the series `at` of an end of the joined one without crossing the junction.
fn direct(at: usize, sources: usize, ways: usize) -> Option<usize> {
    let (end, source) = (at / sources, at % sources);
    let block = if end + 1 == ways { 1 } else { 0 };
    // α is before the left block, β behind the right one.
    let elsewhere = if block == 1 { source == 0 } else { source == 1 };
    (!elsewhere).then_some(block)
}

fn largest(series: &[f64]) -> f64 {
    // A comparison would let numbers that are none pass.
    series.iter().fold(0.0, |m: f64, x| if x.abs() <= m { m } else { x.abs() })
}

/// Cuts the first `len` numbers off a slice.
fn cut<'a>(slice: &mut &'a [f64], len: usize) -> &'a [f64] {
    let (head, tail) = slice.split_at(len);
    *slice = tail;
    head
}
