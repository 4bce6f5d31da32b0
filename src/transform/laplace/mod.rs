//! Fast Laplace transforms: products with a Vandermonde matrix of real nodes in [−1, 1].
//!
//! The product of `V_ik = v_i^k`, k < n, with x is the polynomial with coefficients x at the nodes. With λ = −ln|v| it is a
//! sum of exponentials, `Σ_k (±1)^k e^{−λk} x_k`, of which nothing oscillates and nothing grows; that makes it smooth at every
//! scale, and the transform below stable, where product trees of multipoint evaluation are not.
//!
//! # How
//!
//! 1. *Signs.* Even and odd coefficients apart, `E(λ) = Σ_s e^{−2λs} x_{2s}` and O likewise, the values at v and −v are
//!    `E ± |v| O`: both signs cost one transform.
//! 2. *Bins.* Nodes with |v| ≤ ½ sum their power series directly, to 64 terms (f32: 32). The others fall into bins
//!    `λ / ln 2 ∈ (2^{−j}, 2^{1−j}]`, j = 1, 2, …, and a last one that reaches down to λ = 0. In a bin, `e^{−λk}` is a
//!    polynomial of degree < P in ln λ for *every* k ≥ 0, to 4·10^{−15} at P = 16 (f64) and 8·10^{−9} at P = 8 (f32): a
//!    strip of half-height π/2 around the real axis is free of singularities, and `|e^{−λk}| ≤ 1` in it. The last bin
//!    is narrow enough to interpolate in λ itself. So a node costs one Chebyshev series of P terms.
//! 3. *Blocks.* In bin j only the first `36/λ` coefficients count. They are cut into blocks so short that `e^{−2λs}` is a
//!    polynomial of degree < P in s within a block (3·10^{−14}; f32: 10^{−7}), which reduces a block to P *moments*: amounts at
//!    Chebyshev points. Moments of a block come from those of its halves, and the matrix from moments to values at the
//!    bin's Chebyshev nodes is nearly the same P×P matrix in every bin. Blocks follow one another by Horner's rule.
//!
//! The cost is about `P (n + 2m) + O(P² log n)` multiplications and no exponential function; placing the nodes
//! ([`Laplace::place`]) takes two logarithms a node. All three products are the same steps, the adjoint in reverse order.
//!
//! # Accuracy
//!
//! With u the unit roundoff and `c ≈ 100` (f32: 20), the error in `y_i` is at most
//! `c u Σ_k |v_i|^{k/2} |x_k| + 2·10^{−14} max_k |x_k| / (1 − |v_i|)` (f32: 10^{−7}): the bin's largest node may be as
//! large as the square root of |v_i|, and what a bin leaves out is below `e^{−32}` (f32: `e^{−17}`) at that node. The
//! error in the adjoint has the transposed bound. In norm this is 10^{−14}…10^{−13} (f32: 10^{−6}) of `‖ |V| |x| ‖`.

mod bins;
mod nodes;
mod panel;
mod series;
#[cfg(test)]
mod tests;

pub(crate) use bins::is_series;
use bins::{Bin, Constants, Tables};
pub(crate) use nodes::Nodes;
use panel::{Panel, Rows};
use series::Series;

use crate::Scalar;

/// Rows of a batch that share the Chebyshev recurrences of a node.
pub(crate) const GROUP: usize = 4;

/// What multiplies the coefficients on their way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// x_k: the polynomial.
    Value,
    /// (k + 1) x_{k+1}: its derivative.
    Derivative,
}

/// The plan for all products with `V_ik = v_i^k`, k < n, whatever the nodes.
#[derive(Debug, Clone)]
pub(crate) struct Laplace<T> {
    n: usize,
    /// Coefficients of even index, padded to whole blocks.
    half: usize,
    constants: Constants,
    tables: Tables<T>,
    bins: Vec<Bin<T>>,
}

/// Scratch, cut up for one call.
struct Buffers<'a, T> {
    /// Coefficients of even index, then those of odd index.
    planes: &'a mut [T],
    /// Moments of the current level.
    moments: &'a mut [T],
    /// Moments of the level above or below.
    others: &'a mut [T],
    /// Values at the nodes of a bin, for every block.
    values: &'a mut [T],
    /// Values of both parities, and of both signs.
    pair: &'a mut [T],
    /// Coefficients of all series, row by row of the group.
    series: &'a mut [T],
    /// Values at the nodes in the order of the bins, row by row of the group.
    sorted: &'a mut [T],
    /// Sums lane by lane.
    sums: &'a mut [T],
}

impl<T: Scalar> Laplace<T> {
    /// Plans products with `n ≥ 1` columns.
    pub fn new(n: usize) -> Self {
        let constants = Constants::of::<T>();
        let (tables, bins) = bins::plan(n, &constants);
        let whole = if bins.iter().any(|bin| bin.level.is_some()) { constants.leaf } else { constants.step };
        Self { n, half: n.div_ceil(2).div_ceil(whole) * whole, constants, tables, bins }
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.n
    }

    /// Sorts nodes into bins, reusing the storage of `nodes`. They must lie in [−1, 1].
    pub fn place(&self, values: &[T], nodes: &mut Nodes<T>) {
        nodes.place(values, self.bins.len(), self.head(), self.constants.order);
    }

    /// Numbers of scratch that products with `m` nodes need.
    pub fn scratch_len(&self, m: usize) -> usize {
        let lens = self.lens(Nodes::<T>::padded_bound(m, self.bins.len()));
        lens.iter().sum()
    }

    /// `y_i = Σ_k v_i^k x_k` for every row of a batch.
    pub fn forward(&self, nodes: &Nodes<T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        let mut buffers = self.cut(nodes, scratch);
        for (x, y) in x.chunks(GROUP * self.n).zip(y.chunks_mut(GROUP * nodes.len())) {
            self.evaluate(nodes, Weight::Value, x, &mut buffers);
            for (y, sorted) in y.chunks_exact_mut(nodes.len()).zip(buffers.sorted.chunks_exact(nodes.padded())) {
                for (y, &at) in y.iter_mut().zip(nodes.positions()) {
                    *y = sorted[at as usize];
                }
            }
        }
    }

    /// `x_k = Σ_i v_i^k y_i` for every row of a batch.
    pub fn adjoint(&self, nodes: &Nodes<T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        let mut buffers = self.cut(nodes, scratch);
        let Buffers { series, sorted, .. } = &mut buffers;
        series.fill(T::zero());
        sorted.fill(T::zero());
        for (x, y) in x.chunks_mut(GROUP * self.n).zip(y.chunks(GROUP * nodes.len())) {
            for (y, sorted) in y.chunks_exact(nodes.len()).zip(buffers.sorted.chunks_exact_mut(nodes.padded())) {
                for (&y, &at) in y.iter().zip(nodes.positions()) {
                    sorted[at as usize] = y;
                }
            }
            self.each_segment(nodes, y.len() / nodes.len(), &mut buffers, |series| series.gather());
            for (row, x) in x.chunks_exact_mut(self.n).enumerate() {
                self.spread(nodes, row, x, &mut buffers);
            }
        }
    }

    /// Adds `Σ ȳ_i Σ_k k v_i^{k−1} x_k`, summed over the batch, to `gradient[i]`.
    pub fn node_gradient(&self, nodes: &Nodes<T>, x: &[T], dy: &[T], gradient: &mut [T], scratch: &mut [T]) {
        let mut buffers = self.cut(nodes, scratch);
        for (x, dy) in x.chunks(GROUP * self.n).zip(dy.chunks(GROUP * nodes.len())) {
            self.evaluate(nodes, Weight::Derivative, x, &mut buffers);
            for (dy, sorted) in dy.chunks_exact(nodes.len()).zip(buffers.sorted.chunks_exact(nodes.padded())) {
                for ((gradient, &dy), &at) in gradient.iter_mut().zip(dy).zip(nodes.positions()) {
                    *gradient += dy * sorted[at as usize];
                }
            }
        }
    }

    /// Terms of the power series.
    fn head(&self) -> usize {
        if self.bins.is_empty() { self.n } else { self.constants.head.min(self.n) }
    }

    /// Coefficients of all series: one in powers, and two for each bin, one a sign.
    fn series_len(&self) -> usize {
        self.head() + 2 * self.constants.order * self.bins.len()
    }

    fn lens(&self, padded: usize) -> [usize; 8] {
        let order = self.constants.order;
        let leaves = self.half.div_ceil(self.constants.leaf).next_multiple_of(2);
        let levels = self.bins.iter().any(|bin| bin.level.is_some());
        let moments = if levels { 2 * order * leaves } else { 0 };
        let values = 2 * order * self.bins.iter().map(|bin| bin.blocks).max().unwrap_or(0);
        let planes = if self.bins.is_empty() { 0 } else { 2 * self.half };
        let sums = GROUP * self.head().max(order) * T::LANES;
        [planes, moments, moments, values, 4 * order, GROUP * self.series_len(), GROUP * padded, sums]
    }

    fn cut<'a>(&self, nodes: &Nodes<T>, scratch: &'a mut [T]) -> Buffers<'a, T> {
        let mut rest = scratch;
        let [planes, moments, others, values, pair, series, sorted, sums] = self.lens(nodes.padded()).map(|len| {
            let (taken, left) = std::mem::take(&mut rest).split_at_mut(len);
            rest = left;
            taken
        });
        Buffers { planes, moments, others, values, pair, series, sorted, sums }
    }

    /// Coefficients to values at the nodes, for a group of rows.
    fn evaluate(&self, nodes: &Nodes<T>, weight: Weight, x: &[T], buffers: &mut Buffers<'_, T>) {
        for (row, x) in x.chunks_exact(self.n).enumerate() {
            self.condense(nodes, weight, row, x, buffers);
        }
        self.each_segment(nodes, x.len() / self.n, buffers, |series| series.evaluate());
    }

    /// Calls `act` with every run of nodes that share a series.
    fn each_segment(&self, nodes: &Nodes<T>, rows: usize, buffers: &mut Buffers<'_, T>, act: impl Fn(Series<'_, T>)) {
        for segment in nodes.segments() {
            act(Series {
                powers: segment.powers,
                rows,
                points: &nodes.points()[segment.from..segment.to],
                terms: segment.terms,
                coefficients: &mut buffers.series[segment.series..],
                stride: self.series_len(),
                values: &mut buffers.sorted[segment.from..],
                value_stride: nodes.padded(),
                sums: buffers.sums,
            });
        }
    }

    /// Coefficients of the polynomial to those of all series: the moments, from short blocks to long ones.
    fn condense(&self, nodes: &Nodes<T>, weight: Weight, row: usize, x: &[T], buffers: &mut Buffers<'_, T>) {
        let len = self.series_len();
        let Buffers { planes, moments, others, values, pair, series, .. } = buffers;
        let series = &mut series[row * len..][..len];
        let (head, series) = series.split_at_mut(self.head());
        load(weight, x, head);
        if self.bins.is_empty() {
            return;
        }
        let (even, odd) = planes.split_at_mut(self.half);
        deal(weight, x, even, odd);
        let order = self.constants.order;
        let (mut here, mut there) = (&mut **moments, &mut **others);
        for ((index, bin), series) in self.bins.iter().enumerate().zip(series.chunks_exact_mut(2 * order)) {
            match bin.level {
                None => {}
                Some(0) if !nodes.beyond(index) => return,
                Some(0) => self.leaves(planes, here),
                Some(level) => {
                    self.merge(level, here, there);
                    std::mem::swap(&mut here, &mut there);
                }
            }
            if !nodes.uses(index) {
                continue;
            }
            let out = Rows { at: 0, next: 2 * order, odd: order };
            let (input, from) = match bin.level {
                None => (&**planes, Rows { at: 0, next: bin.len, odd: self.half }),
                Some(_) => (&*here, out),
            };
            Panel { table: &bin.table, input, from, output: values, to: out, count: bin.blocks, add: false }.run();
            let (both, signs) = pair.split_at_mut(2 * order);
            panel::horner(&bin.ratio, &values[..2 * order * bin.blocks], both);
            panel::signs(&bin.root, both, signs);
            let rows = Rows { at: 0, next: 0, odd: order };
            let table = &self.tables.series;
            Panel { table, input: signs, from: rows, output: series, to: rows, count: 1, add: false }.run();
        }
    }

    /// The transpose of [`Self::condense`]: the moments, from long blocks to short ones.
    fn spread(&self, nodes: &Nodes<T>, row: usize, x: &mut [T], buffers: &mut Buffers<'_, T>) {
        let len = self.series_len();
        let Buffers { planes, moments, others, values, pair, series, .. } = buffers;
        let (head, series) = series[row * len..][..len].split_at(self.head());
        if self.bins.is_empty() {
            return x.copy_from_slice(head);
        }
        let order = self.constants.order;
        let (mut here, mut there) = (&mut **moments, &mut **others);
        let mut filled = false;
        planes.fill(T::zero());
        for ((index, bin), series) in self.bins.iter().enumerate().zip(series.chunks_exact(2 * order)).rev() {
            if let Some(level) = bin.level {
                if filled {
                    std::mem::swap(&mut here, &mut there);
                    self.split(level, there, here);
                } else if nodes.uses(index) {
                    here[..2 * order * self.blocks(level)].fill(T::zero());
                    filled = true;
                }
            }
            if nodes.uses(index) {
                let (both, signs) = pair.split_at_mut(2 * order);
                let rows = Rows { at: 0, next: 0, odd: order };
                let table = &self.tables.series_back;
                Panel { table, input: series, from: rows, output: signs, to: rows, count: 1, add: false }.run();
                panel::signs_back(&bin.root, signs, both);
                panel::powers(&bin.ratio, both, &mut values[..2 * order * bin.blocks]);
                let from = Rows { at: 0, next: 2 * order, odd: order };
                for (part, table) in bin.back.chunks_exact(order * order).enumerate() {
                    let (output, to) = match bin.level {
                        None => (&mut **planes, Rows { at: part * order, next: bin.len, odd: self.half }),
                        Some(_) => (&mut *here, from),
                    };
                    Panel { table, input: values, from, output, to, count: bin.blocks, add: true }.run();
                }
            }
            if bin.level == Some(0) && filled {
                self.leaves_back(here, planes);
            }
        }
        let (even, odd) = planes.split_at(self.half);
        undeal(even, odd, x);
        for (x, &head) in x.iter_mut().zip(head) {
            *x += head;
        }
    }

    /// Blocks of coefficients at a level.
    fn blocks(&self, level: usize) -> usize {
        self.half.div_ceil(self.constants.leaf << level).next_multiple_of(2)
    }

    fn leaves(&self, planes: &[T], moments: &mut [T]) {
        let Constants { order, leaf, .. } = self.constants;
        let count = self.half / leaf;
        moments[2 * order * count..2 * order * self.blocks(0)].fill(T::zero());
        let from = Rows { at: 0, next: leaf, odd: self.half };
        let to = Rows { at: 0, next: 2 * order, odd: order };
        Panel { table: &self.tables.leaf, input: planes, from, output: moments, to, count, add: false }.run();
    }

    fn leaves_back(&self, moments: &[T], planes: &mut [T]) {
        let Constants { order, leaf, .. } = self.constants;
        let from = Rows { at: 0, next: 2 * order, odd: order };
        for (part, table) in self.tables.leaf_back.chunks_exact(order * order).enumerate() {
            let to = Rows { at: part * order, next: leaf, odd: self.half };
            let count = self.half / leaf;
            Panel { table, input: moments, from, output: &mut *planes, to, count, add: true }.run();
        }
    }

    /// Moments of a level from those of the level below.
    fn merge(&self, level: usize, below: &[T], moments: &mut [T]) {
        let order = self.constants.order;
        let count = self.blocks(level - 1) / 2;
        let to = Rows { at: 0, next: 2 * order, odd: order };
        moments[2 * order * count..2 * order * self.blocks(level)].fill(T::zero());
        for (child, table) in self.tables.merge.chunks_exact(order * order).enumerate() {
            let from = Rows { at: 2 * order * child, next: 4 * order, odd: order };
            Panel { table, input: below, from, output: moments, to, count, add: child > 0 }.run();
        }
    }

    /// The transpose of [`Self::merge`] from the level above into `level`.
    fn split(&self, level: usize, above: &[T], moments: &mut [T]) {
        let order = self.constants.order;
        let count = self.blocks(level) / 2;
        let from = Rows { at: 0, next: 2 * order, odd: order };
        for (child, table) in self.tables.merge_back.chunks_exact(order * order).enumerate() {
            let to = Rows { at: 2 * order * child, next: 4 * order, odd: order };
            Panel { table, input: above, from, output: moments, to, count, add: false }.run();
        }
    }
}

/// The first coefficients.
fn load<T: Scalar>(weight: Weight, x: &[T], head: &mut [T]) {
    let len = head.len();
    match weight {
        Weight::Value => head.copy_from_slice(&x[..len]),
        Weight::Derivative => {
            head[len - 1] = T::zero();
            for (k, (h, &x)) in head.iter_mut().zip(&x[1..]).enumerate() {
                *h = T::of((k + 1) as f64) * x;
            }
        }
    }
}

/// Coefficients of even and of odd index, apart.
fn deal<T: Scalar>(weight: Weight, x: &[T], even: &mut [T], odd: &mut [T]) {
    // Conversions from 32 bits are vector instructions everywhere, those from 64 are not.
    let scale = |k: usize| T::of(f64::from(k as u32));
    let (evens, odds) = (x.len().div_ceil(2), x.len() / 2);
    match weight {
        Weight::Value => {
            for ((pair, even), odd) in x.chunks_exact(2).zip(even.iter_mut()).zip(odd.iter_mut()) {
                *even = pair[0];
                *odd = pair[1];
            }
            even[odds..].fill(T::zero());
            odd[odds..].fill(T::zero());
            if evens > odds {
                even[odds] = x[2 * odds];
            }
        }
        Weight::Derivative => {
            even[odds..].fill(T::zero());
            odd[evens - 1..].fill(T::zero());
            for (s, (pair, even)) in x.chunks_exact(2).zip(even.iter_mut()).enumerate() {
                *even = scale(2 * s + 1) * pair[1];
            }
            for (s, (pair, odd)) in x[1..].chunks(2).zip(odd[..evens - 1].iter_mut()).enumerate() {
                *odd = scale(2 * s + 2) * pair[1];
            }
        }
    }
}

fn undeal<T: Scalar>(even: &[T], odd: &[T], x: &mut [T]) {
    let (pairs, last) = x.as_chunks_mut::<2>();
    for ((pair, &even), &odd) in pairs.iter_mut().zip(even).zip(odd) {
        *pair = [even, odd];
    }
    if let [last] = last {
        *last = even[pairs.len()];
    }
}
