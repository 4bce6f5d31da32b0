//! Krylov products in near-linear time: blocks of places, what passes through them, and what they reflect.
//!
//! `(A^k g)_i` is what reaches place i in k steps along the band. Cut the places in two blocks, and the way there is one inside a
//! block, or one that crosses the cut; by recursion, a tree. Each block is described by power series in the number of steps
//! (see [`Junction`]), computed from the leaves up, once for each set of parameters. A product `Σ_k t_k A^k g` hands *functionals* down: a
//! place behind an entrance needs `⟨t, series⟩`, and what the series have in common up to the entrance is correlated with t there. The
//! transposed product hands sums up, by the same spectra.

mod gradients;
mod products;

use super::band::Band;
use super::junction::Junction;
use super::sweep::{Coefficients, CoefficientsMut, Sweep, transpose_band};
use super::tree::{Tree, WAYS};
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
fn way(end: usize) -> usize {
    WAYS - 1 - end
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
        Sweep { entries, transposed, generators, places }
    }

    /// The place of an end in its leaf.
    fn end_place(tree: &Tree, leaf: usize, end: usize) -> usize {
        let last = tree.starts[leaf + 1] - tree.starts[leaf] - 1;
        if end + 1 == WAYS { last } else { 0 }
    }

    /// Refuses coefficients that have not died away after `kept` of them, or that are too large.
    fn fits(&self, series: &[f64], kept: usize, scale: f64, generator: bool) -> Option<()> {
        let (head, tail) = series.split_at(kept.min(series.len()));
        let (size, limit) = (scale * largest(head), if generator { GROWTH * self.unit } else { GROWTH });
        (size <= limit && scale * largest(tail) <= TAIL * size.max(f64::MIN_POSITIVE)).then_some(())
    }

    fn plant(&mut self, tree: &Tree, generators: &[f64]) -> Option<()> {
        let (width, len, sources, ways) = (tree.width, tree.series(0), tree.sources(), WAYS);
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
                self.fits(series, len - len / 8, 1.0, s >= ways)?;
            }
            // What is inside the leaf must have died away as well, not only what is at its ends.
            for s in 0..if end == 0 { sources } else { 0 } {
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
        let (n, len, sources, ways) = (tree.size(h), tree.series(h), tree.sources(), WAYS);
        let (each, joined_len) = (ways * sources, tree.series(h + 1));
        let mut blocks = vec![0.0; 2 * each * n];
        let mut ends = vec![0.0; each * n];
        let mut scratch = vec![0.0; tree.transform_scratch()];
        let mut entering = vec![0.0; tree.blocks(h + 1) * each * n];
        let mut joined = vec![0.0; tree.blocks(h + 1) * each * joined_len];
        let gain = tree.gain(h).recip();
        for (pair, (entering, joined)) in
            entering.chunks_exact_mut(each * n).zip(joined.chunks_exact_mut(each * joined_len)).enumerate()
        {
            let series = &self.series[h][pair * 2 * each * len..][..2 * each * len];
            for (series, spectrum) in series.chunks_exact(len).zip(blocks.chunks_exact_mut(n)) {
                tree.spectrum(h, series, 1.0, spectrum, &mut scratch);
            }
            let [lambda, mu] = self.bonds(tree, tree.middle(h, pair));
            let z = tree.z(h);
            f64::run(Junction { z, lambda, mu, blocks: &blocks, entering, ends: &mut ends });
            for (at, (end, joined)) in ends.chunks_exact_mut(n).zip(joined.chunks_exact_mut(joined_len)).enumerate() {
                tree.signal(h, end, &mut scratch);
                end.iter_mut().for_each(|e| *e *= gain);
                if let Some(block) = direct(at, sources) {
                    let series = &series[(block * each + at) * len..][..len];
                    end.iter_mut().zip(series).for_each(|(e, s)| *e += s);
                }
                self.fits(end, tree.margin(h + 1), 1.0, at % sources >= ways)?;
                joined.copy_from_slice(&end[..joined_len]);
            }
            // The spectra wrap around: what enters must be short enough for a correlation of the series' length.
            for (at, (spectrum, signal)) in entering.chunks_exact(n).zip(ends.chunks_exact_mut(n)).enumerate() {
                signal.copy_from_slice(spectrum);
                tree.signal(h, signal, &mut scratch);
                self.fits(signal, len + 1, gain, at % sources >= ways)?;
            }
        }
        self.entering.push(entering);
        self.series.push(joined);
        Some(())
    }

    /// Closes the ring: the last place is before the first.
    fn close(&mut self, tree: &Tree) -> Option<()> {
        let (h, ways, sources) = (tree.height(), WAYS, tree.sources());
        let (n, len, each) = (tree.size(h), tree.series(h), ways * sources);
        let mut scratch = vec![0.0; tree.transform_scratch()];
        let mut blocks = vec![0.0; 2 * each * n];
        self.whole(tree, &mut blocks, &mut scratch);
        let [lambda, mu] = self.bonds(tree, 0);
        let (mut entering, mut ends) = (vec![0.0; each * n], vec![0.0; each * n]);
        let z = tree.z(h);
        f64::run(Junction { z, lambda, mu, blocks: &blocks, entering: &mut entering, ends: &mut ends });
        let gain = tree.gain(h).recip();
        debug_assert!(len <= n);
        for (at, spectrum) in entering.chunks_exact_mut(n).enumerate() {
            if at % sources < ways {
                spectrum.fill(0.0);
                continue;
            }
            tree.signal(h, spectrum, &mut scratch);
            self.fits(spectrum, n - n / 8, gain, true)?;
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
        signals + tree.spectra(WAYS, 0) + tree.leaves() * WAYS * tree.series(0)
    }

    /// Numbers that [`Scatter::transposed`] leaves for [`Scatter::correlate`].
    pub fn up_len(tree: &Tree) -> usize {
        tree.spectra(WAYS, WAYS)
    }

    /// Numbers in the sums of the gradients.
    pub fn sums_len(tree: &Tree) -> usize {
        let each = WAYS * tree.sources();
        tree.spectra(each, each) + tree.leaves() * (3 + tree.rank) * tree.width
    }

    /// Numbers of scratch.
    pub fn scratch_len(tree: &Tree) -> usize {
        let top = tree.height();
        let functionals = 2 * WAYS * tree.blocks(0) * tree.series(0);
        let largest = (0..=top).map(|h| tree.size(h)).max().unwrap_or(0);
        let each = WAYS * tree.sources();
        let product = functionals + (tree.rank + 2) * largest + tree.width;
        let series = each * tree.blocks(0) * tree.series(0);
        let finish = 2 * series + 5 * each * largest;
        let leaf = Sweep::gradient_scratch_len(tree.width, tree.series(0));
        product.max(finish) + tree.transform_scratch().max(leaf) + tree.width
    }
}

/// The coefficients with which the sources of a leaf are summed: its functionals, and the beginnings of the rows of t.
fn leaf_coefficients<'a>(tree: &Tree, functionals: &'a [f64], t: &'a [f64], leaf: usize) -> Coefficients<'a> {
    let len = tree.series(0);
    Coefficients {
        ways: &functionals[leaf * WAYS * len..][..WAYS * len],
        ways_stride: len,
        generators: t,
        generators_stride: tree.order,
        len,
    }
}

/// Which of two blocks contributes to the series `at` of an end of the joined one without crossing the junction.
fn direct(at: usize, sources: usize) -> Option<usize> {
    let (end, source) = (at / sources, at % sources);
    let block = if end + 1 == WAYS { 1 } else { 0 };
    // α is before the left block, β behind the right one.
    let elsewhere = if block == 1 { source == 0 } else { source == 1 };
    (!elsewhere).then_some(block)
}

fn largest(series: &[f64]) -> f64 {
    // A comparison would let numbers that are none pass.
    series.iter().fold(0.0, |m: f64, x| if x.abs() <= m { m } else { x.abs() })
}
