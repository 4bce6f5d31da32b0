//! Products by a tree: functionals of t go down it, sums over y go up.

use super::super::sweep::CoefficientsMut;
use super::super::tree::{Tree, WAYS};
use super::{Scatter, leaf_coefficients, way};
use crate::matrix::take;
use crate::transform::Side;

impl Scatter {
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
        let (ways, sources, rank, top) = (WAYS, tree.sources(), tree.rank, tree.height());
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
            let functional = &mut above[way(end) * tree.series(top)..][..tree.order];
            functional.copy_from_slice(&sum[..tree.order]);
        }
        if keep {
            cursor += signals.len();
        }
        for h in (0..top).rev() {
            let (n, len, above_len) = (tree.size(h), tree.series(h), tree.series(h + 1));
            let sum = &mut sum[..n];
            self.signals(tree, h, t, &mut states[cursor..cursor + rank * n], scratch);
            let first = cursor + rank * n;
            for pair in 0..tree.blocks(h + 1) {
                let parent = &above[pair * ways * above_len..][..ways * above_len];
                let (before, spectra) = states.split_at_mut(first + if keep { pair * ways * n } else { 0 });
                let (signals, spectra) = (&before[cursor..first], &mut spectra[..ways * n]);
                for (functional, spectrum) in parent.chunks_exact(above_len).zip(spectra.chunks_exact_mut(n)) {
                    tree.spectrum(h, functional, tree.gain(h).recip(), spectrum, scratch);
                }
                let children = &mut below[2 * pair * ways * len..][..2 * ways * len];
                // What comes from outside passes by the other child.
                children[..len].copy_from_slice(&parent[..len]);
                children[3 * len..].copy_from_slice(&parent[above_len..above_len + len]);
                for end in 0..ways {
                    sum.fill(0.0);
                    let entering = &self.entering[h][(pair * ways + end) * sources * n..][..sources * n];
                    let from = spectra.chunks_exact(n).chain(signals.chunks_exact(n));
                    for (from, entering) in from.zip(entering.chunks_exact(n)) {
                        tree.add_product(h, Side::Transposed, sum, from, entering);
                    }
                    tree.signal(h, sum, scratch);
                    let child = if end + 1 == ways { ways } else { 0 };
                    children[(child + way(end)) * len..][..len].copy_from_slice(&sum[..len]);
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
        let (ways, sources, rank, top) = (WAYS, tree.sources(), tree.rank, tree.height());
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
            let (n, len, above_len) = (tree.size(h), tree.series(h), tree.series(h + 1));
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
                    let functional = &children[(child + way(end)) * len..][..len];
                    tree.spectrum(h, functional, 1.0, spectrum, scratch);
                }
                let entering = &self.entering[h][pair * ways * sources * n..][..ways * sources * n];
                let parent = &mut above[pair * ways * above_len..][..ways * above_len];
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
                        let parent = &mut parent[s * above_len..][..above_len];
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
            let functional = &below[way(end) * tree.series(top)..][..tree.order];
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
}
