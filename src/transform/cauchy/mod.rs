//! Fast products with Cauchy matrices `C_ij = 1/(s_i − t_j)`: a fast multipole method on the line.
//!
//! `y_i = Σ_j x_j/(s_i − t_j)`, its transpose, and both with the entries squared, for gradients in the nodes:
//! `∂C_ij/∂s_i = −C_ij²` and `∂C_ij/∂t_j = C_ij²`.
//!
//! Both sets of nodes are sorted and put into trees of clusters ([`tree`]). The matrix is cut into blocks, a cluster of s by
//! a cluster of t ([`pairs`]). Seen from far away, a cluster of any size is as good as p points with suitable weights
//! ([`skeleton`]); the weights of a cluster follow from those of its halves. So a product
//!
//! 1. turns x into weights of the leaves of t, and those into weights of larger clusters;
//! 2. for each block, adds the product with the small Cauchy matrix between nodes or points of one cluster and nodes or
//!    points of the other ([`block`]);
//! 3. hands values at the points of clusters of s down to their halves, and to the nodes in the leaves.
//!
//! All of it is products with small Cauchy matrices, scaled on either side, and their entries are computed when they are
//! needed: there are no tables of translations that would have to be rebuilt whenever an optimiser has moved the nodes.
//! For a batch an entry is computed once and serves several right-hand sides.
//!
//! *Cost:* O((m + n) p) a product, whatever the nodes, after O((m + n)(log(m + n) + p)) for the trees. *Accuracy:* an
//! interpolated entry errs by 1e-14 (f64) or 2e-7 (f32) of itself; nodes are only ever subtracted when they are as given,
//! or from the centre of their own cluster, so the gap between a node s and a node t may be as small as the numbers allow.
//! Nodes may coincide within s and within t.

mod block;
mod pairs;
mod skeleton;
#[cfg(test)]
mod tests;
mod tree;

use block::{Block, Plain, Weighted, add_product, width};
use pairs::{By, Pair, meet};
use skeleton::{Skeleton, order};
use tree::{Side, compare, max_clusters};

use crate::error::all_finite;
use crate::matrix::take;
use crate::transform::isa::{Isa, Kernel, Kernels};
use crate::{Error, Result, Scalar};

/// Nodes s and t, ready for products.
#[derive(Debug, Clone)]
pub struct CauchyPlan<T> {
    s: Side<T>,
    t: Side<T>,
    pairs: Vec<Pair>,
    skeleton: Skeleton<T>,
}

/// Which way a product goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// `y_i = Σ_j x_j/(s_i − t_j)`.
    Plain,
    /// `y_j = Σ_i x_i/(s_i − t_j)`.
    Transposed,
}

/// Which products are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// With the matrix.
    Product,
    /// With the matrix whose entries are squared.
    Squares,
    /// Both, for little more than one.
    Both,
}

impl Want {
    const fn results(self) -> usize {
        if matches!(self, Self::Both) { 2 } else { 1 }
    }
}

/// Refuses nodes that are not finite, and a node that is in s and in t.
pub(crate) fn check_nodes<T: Scalar>(s: &[T], t: &[T]) -> Result<()> {
    all_finite("s", s)?;
    all_finite("t", t)?;
    let sorted = |nodes: &[T]| {
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        order.sort_unstable_by(|&i, &j| compare(nodes[i], nodes[j]));
        order
    };
    let (rows, cols) = (sorted(s), sorted(t));
    let mut next = 0;
    for i in rows {
        next += cols[next..].iter().take_while(|&&j| t[j] < s[i]).count();
        if let Some(&j) = cols.get(next).filter(|&&j| t[j] == s[i]) {
            return Err(Error::NodesCollide { what: ["s", "t"], row: i, col: j, value: s[i].wide() });
        }
    }
    Ok(())
}

/// Numbers of scratch that products with m×n matrices need.
pub(crate) const fn scratch_len<T: Scalar>(rows: usize, cols: usize, want: Want) -> usize {
    let p = order::<T>();
    let (s, t) = (rows + p * max_clusters(rows), cols + p * max_clusters(cols));
    width::<T>() * if s > t { s * want.results() + t } else { t * want.results() + s }
}

/// Estimated nanoseconds of the products of an m×n matrix with `count` right-hand sides.
pub(crate) fn product_cost<T: Scalar>(rows: usize, cols: usize, count: usize) -> f64 {
    let Cost { block, single, meets } = if T::NAME == "f32" { COST } else { COST_F64 };
    let (full, rest) = (count / width::<T>(), count % width::<T>());
    let (blocks, singles) = if is_wide::<T>(rest) { (full + 1, 0) } else { (full, rest) };
    let numbers = (rows + cols) as f64 / 2.0;
    let entries = rows.max(cols) as f64 * rows.min(cols).min(meets) as f64;
    let pass = |[start, number, entry]: [f64; 3]| start + number * numbers + entry * entries;
    CALL + blocks as f64 * pass(block) + singles as f64 * pass(single)
}

/// Nanoseconds of a pass, of a node in it and of an entry, with a block of right-hand sides and with one; and how many
/// numbers, other nodes and points, a node of a large matrix meets.
struct Cost {
    block: [f64; 3],
    single: [f64; 3],
    meets: usize,
}

/// Nanoseconds of a product, however small.
const CALL: f64 = 40.0;
/// Measured in f32.
const COST: Cost = Cost { block: [100.0, 15.0, 0.8], single: [70.0, 0.0, 0.22], meets: 100 };
/// Measured in f64.
const COST_F64: Cost = Cost { block: [100.0, 8.0, 1.05], single: [70.0, 0.0, 0.48], meets: 150 };

/// Whether so many right-hand sides are better served as a block that is not full than one by one.
fn is_wide<T>(count: usize) -> bool {
    count > if size_of::<T>() == 4 { 5 } else { 2 }
}

impl<T: Scalar> CauchyPlan<T> {
    /// A plan for nodes that [`check_nodes`] accepts, at least one of each.
    pub fn new(s: &[T], t: &[T]) -> Self {
        let skeleton = Skeleton::new();
        let (mut s, mut t) = (Side::new(s, &skeleton), Side::new(t, &skeleton));
        let pairs = meet(&mut s, &mut t, &skeleton);
        Self { s, t, pairs, skeleton }
    }

    /// Products with `count` right-hand sides.
    ///
    /// `load(b, j)` is to return number j of right-hand side b; `store(b, i, [y, z])` is handed each number of the
    /// result, with the product in y and that with the squared entries in z, as far as they are wanted.
    pub fn multiply(
        &self,
        way: Way,
        want: Want,
        count: usize,
        load: impl Fn(usize, usize) -> T,
        mut store: impl FnMut(usize, usize, [T; 2]),
        scratch: &mut [T],
    ) {
        let (to, from) = match way {
            Way::Plain => (&self.s, &self.t),
            Way::Transposed => (&self.t, &self.s),
        };
        let mut first = 0;
        while first < count {
            let wide = is_wide::<T>(count - first);
            let (stride, used) = if wide { (width::<T>(), width::<T>().min(count - first)) } else { (1, 1) };
            let mut rest = &mut *scratch;
            let mut buffers = Buffers::cut(&mut rest, [to, from], stride, want);
            for (x, &j) in buffers.x.chunks_exact_mut(stride).zip(&from.order) {
                let (head, tail) = x.split_at_mut(used);
                head.iter_mut().enumerate().for_each(|(b, x)| *x = load(first + b, j));
                tail.fill(T::zero());
            }
            let job = Job { plan: self, way, wide, to, from };
            T::pass(job, want, &mut buffers);
            // With its roles changed, the entry changes its sign; its square does not.
            let sign = if way == Way::Plain { T::one() } else { -T::one() };
            let [y, squares] = &buffers.y;
            for (k, &i) in to.order.iter().enumerate() {
                for b in 0..used {
                    let at = |y: &[T]| y.get(k * stride + b).copied().unwrap_or_default();
                    store(first + b, i, [sign * at(y), at(squares)]);
                }
            }
            first += used;
        }
    }

    /// Blocks that the matrix is cut into.
    #[cfg(test)]
    fn blocks(&self) -> usize {
        self.pairs.len()
    }
}

/// Scratch of one pass, for one right-hand side or several side by side.
#[derive(Debug)]
pub struct Buffers<'a, T> {
    /// Right-hand sides, sorted as the nodes are.
    x: &'a mut [T],
    /// Weights of the points of clusters.
    weights: &'a mut [T],
    /// Results and values at the points of clusters, for the entries and for their squares; empty if not wanted.
    y: [&'a mut [T]; 2],
    values: [&'a mut [T]; 2],
}

impl<'a, T: Scalar> Buffers<'a, T> {
    fn cut(scratch: &mut &'a mut [T], [to, from]: [&Side<T>; 2], stride: usize, want: Want) -> Self {
        let p = order::<T>();
        let [entries, squares] = [want != Want::Squares, want != Want::Product].map(usize::from);
        let mut zeroed = |len: usize| {
            let part = take(scratch, len * stride);
            part.fill(T::zero());
            part
        };
        Self {
            x: zeroed(from.nodes.len()),
            weights: zeroed(from.clusters.len() * p),
            y: [entries, squares].map(|on| zeroed(on * to.nodes.len())),
            values: [entries, squares].map(|on| zeroed(on * to.clusters.len() * p)),
        }
    }
}

/// One pass: which nodes the numbers belong to, and which way they go.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a, T> {
    plan: &'a CauchyPlan<T>,
    way: Way,
    wide: bool,
    to: &'a Side<T>,
    from: &'a Side<T>,
}

/// The three steps of a product, compiled once in this crate for each number type, and not again wherever they are used.
pub trait Passes: Sized {
    /// Runs the three steps.
    fn pass(job: Job<'_, Self>, want: Want, buffers: &mut Buffers<'_, Self>);
}

macro_rules! passes {
    ($t:ty) => {
        impl Passes for $t {
            fn pass(job: Job<'_, $t>, want: Want, buffers: &mut Buffers<'_, $t>) {
                <$t as Kernels>::run(Gather { job, buffers });
                match want {
                    Want::Product => <$t as Kernels>::run(Couple::<_, true, false> { job, buffers }),
                    Want::Squares => <$t as Kernels>::run(Couple::<_, false, true> { job, buffers }),
                    Want::Both => <$t as Kernels>::run(Couple::<_, true, true> { job, buffers }),
                }
                <$t as Kernels>::run(Spread { job, buffers });
            }
        }
    };
}

passes!(f32);
passes!(f64);

struct Gather<'a, 'b, T> {
    job: Job<'a, T>,
    buffers: &'a mut Buffers<'b, T>,
}

struct Couple<'a, 'b, T, const ENTRIES: bool, const SQUARES: bool> {
    job: Job<'a, T>,
    buffers: &'a mut Buffers<'b, T>,
}

struct Spread<'a, 'b, T> {
    job: Job<'a, T>,
    buffers: &'a mut Buffers<'b, T>,
}

impl<T: Scalar> Kernel<T> for Gather<'_, '_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        self.job.gather(isa, self.buffers);
    }
}

impl<T: Scalar, const ENTRIES: bool, const SQUARES: bool> Kernel<T> for Couple<'_, '_, T, ENTRIES, SQUARES> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        self.job.couple::<I, ENTRIES, SQUARES>(isa, self.buffers);
    }
}

impl<T: Scalar> Kernel<T> for Spread<'_, '_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let Buffers { y, values, .. } = self.buffers;
        for (y, values) in y.iter_mut().zip(values).filter(|(y, _)| !y.is_empty()) {
            self.job.spread(isa, values, y);
        }
    }
}

impl<T: Scalar> Job<'_, T> {
    fn stride(&self) -> usize {
        if self.wide { width::<T>() } else { 1 }
    }

    /// Step 1: weights of all clusters that are ever represented by their points.
    #[inline(always)]
    fn gather<I: Isa<T>>(&self, isa: I, buffers: &mut Buffers<'_, T>) {
        let (from, skeleton) = (self.from, &self.plan.skeleton);
        let (p, stride) = (order::<T>(), self.stride());
        let points = (skeleton.points.as_slice(), T::zero());
        for (k, cluster) in from.clusters.iter().enumerate().rev().filter(|&(k, _)| from.active[k]) {
            // The children, which come later, are done.
            let (own, below) = buffers.weights[k * p * stride..].split_at_mut(p * stride);
            for &child in cluster.parts() {
                let (v, numerators, x) = if child == 0 {
                    let nodes = cluster.start..cluster.end;
                    let x = &buffers.x[cluster.start * stride..cluster.end * stride];
                    (&from.inner[nodes.clone()], &from.inner_gain[nodes], x)
                } else {
                    let (at, slot) = (child * p..(child + 1) * p, (child - k - 1) * p * stride);
                    (&from.upper[at.clone()], &from.upper_gain[at], &below[slot..slot + p * stride])
                };
                let block = Block { u: points, v: (v, T::zero()) };
                let entries = Weighted { factors: &skeleton.negated, numerators };
                add_product(isa, self.wide, block, entries, x, [&mut *own, &mut []]);
            }
        }
    }

    /// Step 2: all blocks.
    #[inline(always)]
    fn couple<I: Isa<T>, const ENTRIES: bool, const SQUARES: bool>(&self, isa: I, buffers: &mut Buffers<'_, T>) {
        let (p, stride) = (order::<T>(), self.stride());
        for pair in &self.plan.pairs {
            let ((i, by_to), (j, by_from)) = match self.way {
                Way::Plain => (pair.s, pair.t),
                Way::Transposed => (pair.t, pair.s),
            };
            let (a, b) = (&self.to.clusters[i], &self.from.clusters[j]);
            // Nodes are taken as they are, or from the centre of the other cluster; points from that of their own.
            let (u, shift_u) = match (by_to, by_from) {
                (By::Nodes, By::Nodes) => (&self.to.nodes[a.start..a.end], T::zero()),
                (By::Nodes, By::Points) => (&self.to.nodes[a.start..a.end], b.centre),
                (By::Points, By::Nodes) => (self.to.points_of(i), T::zero()),
                (By::Points, By::Points) => (self.to.points_of(i), b.centre - a.centre),
            };
            let (v, shift_v) = match (by_from, by_to) {
                (By::Nodes, By::Nodes) => (&self.from.nodes[b.start..b.end], T::zero()),
                (By::Nodes, By::Points) => (&self.from.nodes[b.start..b.end], a.centre),
                (By::Points, _) => (self.from.points_of(j), T::zero()),
            };
            let x = match by_from {
                By::Nodes => &buffers.x[b.start * stride..b.end * stride],
                By::Points => &buffers.weights[j * p * stride..(j + 1) * p * stride],
            };
            let at = match by_to {
                By::Nodes => a.start * stride..a.end * stride,
                By::Points => i * p * stride..(i + 1) * p * stride,
            };
            let [y, squares] = match by_to {
                By::Nodes => &mut buffers.y,
                By::Points => &mut buffers.values,
            };
            let y = if ENTRIES { &mut y[at.clone()] } else { &mut [] };
            let squares = if SQUARES { &mut squares[at] } else { &mut [] };
            let block = Block { u: (u, shift_u), v: (v, shift_v) };
            add_product(isa, self.wide, block, Plain::<ENTRIES, SQUARES>, x, [y, squares]);
        }
    }

    /// Step 3: from the points of clusters to those of their halves, and to the nodes.
    #[inline(always)]
    fn spread<I: Isa<T>>(&self, isa: I, values: &mut [T], y: &mut [T]) {
        let (to, skeleton) = (self.to, &self.plan.skeleton);
        let (p, stride) = (order::<T>(), self.stride());
        let points = (skeleton.points.as_slice(), T::zero());
        for (k, cluster) in to.clusters.iter().enumerate().filter(|&(k, _)| to.active[k]) {
            let (own, below) = values[k * p * stride..].split_at_mut(p * stride);
            for &child in cluster.parts() {
                let (u, factors, y) = if child == 0 {
                    let nodes = cluster.start..cluster.end;
                    let y = &mut y[cluster.start * stride..cluster.end * stride];
                    (&to.inner[nodes.clone()], &to.inner_gain[nodes], y)
                } else {
                    let (at, slot) = (child * p..(child + 1) * p, (child - k - 1) * p * stride);
                    (&to.upper[at.clone()], &to.upper_gain[at], &mut below[slot..slot + p * stride])
                };
                let block = Block { u: (u, T::zero()), v: points };
                let entries = Weighted { factors, numerators: &skeleton.weights };
                add_product(isa, self.wide, block, entries, own, [y, &mut []]);
            }
        }
    }
}
