//! Products by a tree: functionals of t go down it, sums over y go up.

use super::Scattering;
use super::leaf::{Coefficients, Leaf};
use super::passage::{Down, Up};
use super::plan::{LANES, Level, Plan, interleave, separate};
use super::ports::Ports;
use crate::matrix::take;
use crate::transform::isa::Kernels;

impl Scattering {
    /// `y = Σ_jk t_jk A^k g_j`, for t of r×N numbers. Without y, only the states are wanted; with it they are kept if asked.
    pub fn forward(
        &self,
        plan: &Plan,
        t: &[f64],
        y: Option<&mut [f64]>,
        keep: bool,
        states: &mut [f64],
        mut scratch: &mut [f64],
    ) {
        let (tree, top, ports) = (self.tree(plan), plan.height(), plan.ports);
        let ways = ports.ways;
        let all = plan.series(ways);
        let [mut above, mut below] = [(); 2].map(|()| take(&mut scratch, all));
        let out = take(&mut scratch, ways * largest_block(plan));

        // Where the states of a height begin; what is not kept is written over.
        let mut cursor = 0;
        let level = tree.level(top);
        let n = level.block();
        let signals = &mut states[..plan.rank * n];
        Self::signals(level, plan, t, signals, scratch);
        let out_top = &mut out[..ways * n];
        down(ports, &[], signals, &self.entering[top], out_top);
        let len = tree.len(top);
        above[..ways * len].fill(0.0);
        for (end, out) in out_top.chunks_exact_mut(n).enumerate() {
            level.signal(out, scratch);
            above[ports.way(end) % ways * len..][..plan.order].copy_from_slice(&out[..plan.order]);
        }
        if keep {
            cursor += signals.len();
        }
        let mut lanes = 1;
        for h in (0..top).rev() {
            let level = tree.level(h);
            let (n, above_len) = (level.block(), tree.len(h + 1));
            if level.lanes != lanes {
                lanes = level.lanes;
                interleave(&above[..plan.blocks(h + 1) * ways * above_len], below, ways * above_len);
                std::mem::swap(&mut above, &mut below);
            }
            let (len, above_len) = (tree.len(h) * lanes, above_len * lanes);
            let first = cursor + plan.rank * n;
            Self::signals(level, plan, t, &mut states[cursor..first], scratch);
            for group in 0..tree.groups(h) {
                let parent = &above[group * ways * above_len..][..ways * above_len];
                let (before, spectra) = states.split_at_mut(first + if keep { group * ways * n } else { 0 });
                let (signals, spectra) = (&before[cursor..first], &mut spectra[..ways * n]);
                let children = &mut below[2 * group * ways * len..][..2 * ways * len];
                let fork = self.fork(level, ports, h, group);
                fork.down(parent, spectra, signals, children, &mut out[..ways * n], scratch);
            }
            std::mem::swap(&mut above, &mut below);
            if keep {
                cursor = first + tree.groups(h) * ways * n;
            }
        }
        let all = plan.blocks(0) * ways * tree.len(0);
        if lanes == 1 {
            interleave(&above[..all], below, ways * tree.len(0));
            std::mem::swap(&mut above, &mut below);
        }
        if keep {
            states[cursor..cursor + all].copy_from_slice(&above[..all]);
        }
        if let Some(y) = y {
            self.combine(plan, t, &above[..all], y, scratch);
        }
    }

    fn fork<'a>(&'a self, level: &'a Level, ports: Ports, height: usize, group: usize) -> Fork<'a> {
        let each = ports.each() * level.block();
        Fork { level, ports, entering: &self.entering[height][group * each..][..each] }
    }

    /// The product at the places of all leaves, from what comes down to them and from t.
    fn combine(&self, plan: &Plan, t: &[f64], functionals: &[f64], y: &mut [f64], mut scratch: &mut [f64]) {
        let len = self.tree(plan).len(0);
        let signals = take(&mut scratch, plan.rank * len * LANES);
        replicate(t, plan.order, signals, len);
        let w = take(&mut scratch, Leaf::vector_len(plan.leaf_width()));
        for (group, ways) in functionals.chunks_exact(plan.ports.ways * len * LANES).enumerate() {
            w.fill(0.0);
            self.leaf(plan, group).combine(Coefficients { ways, generators: signals }, w);
            for lane in 0..LANES {
                let y = &mut y[Self::leaf_places(plan, group, lane)];
                y.iter_mut().zip(w[lane..].iter().step_by(LANES)).for_each(|(y, w)| *y = *w);
            }
        }
    }

    /// The spectra of the beginnings of t.
    fn signals(level: &Level, plan: &Plan, t: &[f64], signals: &mut [f64], scratch: &mut [f64]) {
        for (t, signal) in t.chunks_exact(plan.order).zip(signals.chunks_exact_mut(level.block())) {
            level.replicated(t, 1.0, signal, scratch);
        }
    }

    /// Four leaves' parts of a vector, side by side.
    pub(super) fn gather(plan: &Plan, group: usize, y: &[f64], w: &mut [f64]) {
        w.fill(0.0);
        for lane in 0..LANES {
            let y = &y[Self::leaf_places(plan, group, lane)];
            w[lane..].iter_mut().step_by(LANES).zip(y).for_each(|(w, y)| *w = *y);
        }
    }

    /// `t_jk = ⟨A^k g_j, y⟩`, the transpose of [`Scattering::forward`].
    pub fn transposed(
        &self,
        plan: &Plan,
        y: &[f64],
        t: &mut [f64],
        keep: bool,
        states: &mut [f64],
        mut scratch: &mut [f64],
    ) {
        let mut cursor = 0;
        let (tree, top, ports) = (self.tree(plan), plan.height(), plan.ports);
        let ways = ports.ways;
        let all = plan.series(ways);
        let [mut below, mut above] = [(); 2].map(|()| take(&mut scratch, all));
        let sums = take(&mut scratch, plan.rank * largest_block(plan));
        let out = take(&mut scratch, ways * largest_block(plan));
        t.fill(0.0);
        self.expand_into(plan, y, t, below, sums, scratch);
        let mut lanes = LANES;
        for h in 0..top {
            let level = tree.level(h);
            let n = level.block();
            if level.lanes != lanes {
                lanes = level.lanes;
                separate(&below[..plan.blocks(h) * ways * tree.len(h)], above, ways * tree.len(h));
                std::mem::swap(&mut above, &mut below);
            }
            let (len, above_len) = (tree.len(h) * lanes, tree.len(h + 1) * lanes);
            let (sums, out) = (&mut sums[..plan.rank * n], &mut out[..ways * n]);
            sums.fill(0.0);
            for group in 0..tree.groups(h) {
                let children = &below[2 * group * ways * len..][..2 * ways * len];
                let from = &mut states[cursor..][..ways * n];
                if keep {
                    cursor += from.len();
                }
                let parent = &mut above[group * ways * above_len..][..ways * above_len];
                self.fork(level, ports, h, group).up(children, from, parent, out, sums, scratch);
            }
            Self::add_signals(level, plan, sums, t, scratch);
            std::mem::swap(&mut above, &mut below);
        }
        let level = tree.level(top);
        let n = level.block();
        let from = &mut states[cursor..][..ways * n];
        for (end, spectrum) in from.chunks_exact_mut(n).enumerate() {
            level.spectrum(&below[ports.way(end) % ways * tree.len(top)..][..plan.order], spectrum, scratch);
        }
        let sums = &mut sums[..plan.rank * n];
        sums.fill(0.0);
        up(ports, from, &self.entering[top], &mut [], sums);
        Self::add_signals(level, plan, sums, t, scratch);
    }

    /// What the leaves sum over y: functionals for the tree, and what is added to t.
    fn expand_into(
        &self,
        plan: &Plan,
        y: &[f64],
        t: &mut [f64],
        functionals: &mut [f64],
        local: &mut [f64],
        mut scratch: &mut [f64],
    ) {
        let len = self.tree(plan).len(0);
        let each = len * LANES;
        let local = &mut local[..plan.rank * each];
        let all = take(&mut scratch, plan.rank * each);
        all.fill(0.0);
        let ways = plan.ports.ways;
        let w = take(&mut scratch, Leaf::vector_len(plan.leaf_width()));
        for (group, ways) in functionals[..plan.blocks(0) * ways * len].chunks_exact_mut(ways * each).enumerate() {
            Self::gather(plan, group, y, w);
            self.leaf(plan, group).expand(w, ways, local);
            all.iter_mut().zip(&*local).for_each(|(all, l)| *all += l);
        }
        for (t, all) in t.chunks_exact_mut(plan.order).zip(all.chunks_exact(each)) {
            t.iter_mut().zip(all.chunks_exact(LANES)).for_each(|(t, lanes)| *t += lanes.iter().sum::<f64>());
        }
    }

    /// Adds to t the beginnings of the signals of spectra.
    fn add_signals(level: &Level, plan: &Plan, sums: &mut [f64], t: &mut [f64], scratch: &mut [f64]) {
        for (t, sum) in t.chunks_exact_mut(plan.order).zip(sums.chunks_exact_mut(level.block())) {
            level.add_signals(sum, t, scratch);
        }
    }
}

/// Where blocks meet their two children: as many blocks as there are lanes.
struct Fork<'a> {
    level: &'a Level,
    ports: Ports,
    /// The spectra of what enters the children from the ways in and the generators.
    entering: &'a [f64],
}

impl Fork<'_> {
    /// Hands the functionals of the blocks on to the children, by way of their spectra.
    #[inline]
    fn down(
        &self,
        parent: &[f64],
        spectra: &mut [f64],
        signals: &[f64],
        children: &mut [f64],
        out: &mut [f64],
        scratch: &mut [f64],
    ) {
        let &Self { level, ports, entering } = self;
        let (n, ways) = (level.block(), ports.ways);
        let (len, above_len) = (children.len() / (2 * ways), parent.len() / ways);
        for (functional, spectrum) in parent.chunks_exact(above_len).zip(spectra.chunks_exact_mut(n)) {
            level.spectrum(functional, spectrum, scratch);
        }
        // What comes from outside passes by the other child.
        children[..len].copy_from_slice(&parent[..len]);
        if ways == 2 {
            children[3 * len..].copy_from_slice(&parent[above_len..][..len]);
        }
        down(ports, spectra, signals, entering, out);
        for (end, out) in out.chunks_exact_mut(n).enumerate() {
            level.signal(out, scratch);
            children[ports.way(end) * len..][..len].copy_from_slice(&out[..len]);
        }
    }

    /// The transpose of [`Fork::down`]: what the children hand up, `from` being their spectra, and the sums over blocks.
    #[inline]
    fn up(
        &self,
        children: &[f64],
        from: &mut [f64],
        parent: &mut [f64],
        out: &mut [f64],
        sums: &mut [f64],
        scratch: &mut [f64],
    ) {
        let &Self { level, ports, entering } = self;
        let (n, ways) = (level.block(), ports.ways);
        let (len, above_len) = (children.len() / (2 * ways), parent.len() / ways);
        for (end, spectrum) in from.chunks_exact_mut(n).enumerate() {
            level.spectrum(&children[ports.way(end) * len..][..len], spectrum, scratch);
        }
        up(ports, from, entering, out, sums);
        let outside = [&children[..len], &children[(2 * ways - 1) * len..]];
        for ((parent, out), outside) in parent.chunks_exact_mut(above_len).zip(out.chunks_exact_mut(n)).zip(outside) {
            level.signal(out, scratch);
            parent.copy_from_slice(&out[..above_len]);
            parent.iter_mut().zip(outside).for_each(|(p, o)| *p += o);
        }
    }
}

/// [`Down`] for as many blocks as are entered.
fn down(ports: Ports, ways: &[f64], signals: &[f64], entering: &[f64], out: &mut [f64]) {
    match ports.ways {
        1 => f64::run(Down::<1> { ways, signals, entering, out }),
        _ => f64::run(Down::<2> { ways, signals, entering, out }),
    }
}

/// [`Up`] for as many blocks as are entered.
fn up(ports: Ports, from: &[f64], entering: &[f64], out: &mut [f64], sums: &mut [f64]) {
    match ports.ways {
        1 => f64::run(Up::<1> { from, entering, out, sums }),
        _ => f64::run(Up::<2> { from, entering, out, sums }),
    }
}

/// Numbers in the largest spectrum, and in the series of leaves, for each lane.
pub(super) fn largest_block(plan: &Plan) -> usize {
    plan.blocks_of_heights().fold(plan.len(0, plan.leaf_room()) * LANES, usize::max)
}

/// The beginnings of rows of t, in every lane.
pub(super) fn replicate(t: &[f64], row: usize, lanes: &mut [f64], len: usize) {
    lanes.fill(0.0);
    for (t, lanes) in t.chunks_exact(row).zip(lanes.chunks_exact_mut(len * LANES)) {
        lanes.chunks_exact_mut(LANES).zip(t).for_each(|(lanes, t)| lanes.fill(*t));
    }
}
