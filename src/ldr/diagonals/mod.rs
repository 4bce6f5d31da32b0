//! The entries of LDR-SD matrices, and gradients back through them, in O(r m n) for an m×n matrix.
//!
//! Between two subdiagonal operators every entry follows from the one before it on its *cyclic diagonal*. With indices
//! modulo N, `w_i = a_i b_{i+p}` and `u_i = Σ_k g_ik h_{i+p,k}` the definition of the matrix says for its entry `M_i`
//! at (i, i + p)
//!
//! `M_i = ½ Σ_{k<N} w_i w_{i−1} ⋯ w_{i−k+1} u_{i−k}`, and so `M_i = w_i M_{i−1} + ½ (1 − w_0 ⋯ w_{N−1}) u_i`,
//!
//! the displacement equation. Where the product of all weights is large, this step cancels what the cycle has come back
//! with. So the sum is cut where the cycle passes place 0:
//!
//! `M_i = ½ (F_i + head_i B_{i+1})` with `F_i = w_i F_{i−1} + u_i`, `B_i = B_{i+1} + tail_i u_i`,
//! `head_i = w_0 ⋯ w_i` and `tail_i = w_{i+1} ⋯ w_{N−1}`.
//!
//! These are the terms of the definition, each within rounding errors: nothing is subtracted and nothing is divided by.
//! Heads and tails must be in range, which the largest product of consecutive weights of either operator tells.
//!
//! The *short* side of the matrix counts i; on the *long* one, of N places, a tile of diagonals is looked at together.

#[cfg(test)]
mod tests;
mod windows;

use crate::Scalar;
use crate::linalg::largest;
use crate::shape::Shape;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};
use windows::Windows;

const W: usize = f64::LANES;

type Lane = <f64 as Kernels>::Lane;

/// Registers, and diagonals, in a tile.
const REGISTERS: usize = 4;
const TILE: usize = REGISTERS * W;

/// A number for each diagonal of a tile, in memory and in registers.
type Tile = [Lane; REGISTERS];
type Registers<I> = [<I as Isa<f64>>::V; REGISTERS];

/// Products of weights below this are zero.
const TINY: f64 = 1e-250;

/// Places between looks for such products.
const FLUSH: usize = 8;

/// The largest term of an entry at the most, for f32 and f64: what is left out with products that are [`TINY`] is far
/// below rounding errors then, and sums of gradients stay in the range of their type.
const LARGE: [f64; 2] = [1e18, 1e100];

const HALF: f64 = 0.5;

/// Operators and generators, the long side's continued periodically.
#[derive(Debug)]
pub(super) struct Diagonals {
    /// N.
    order: usize,
    /// Rows or columns, whichever are fewer.
    short: usize,
    rank: usize,
    /// Columns of the matrix.
    cols: usize,
    /// Whether i counts columns.
    transposed: bool,
    /// The weights of the short side, and the generators of each of its places.
    a: Vec<f64>,
    g: Vec<f64>,
    /// The weights of the long side in 2N places and a tile, and each of its generators.
    b: Vec<f64>,
    h: Vec<f64>,
    /// The weights beyond the short side, of either operator.
    beyond: [Windows; 2],
}

/// What the steps of a tile upwards need of those downwards.
#[derive(Debug, Default, Clone, Copy)]
struct Down {
    /// u_i and B_{i+1}.
    sources: Tile,
    behind: Tile,
}

/// The same for gradients.
#[derive(Debug, Default, Clone, Copy)]
struct DownBackward {
    sources: Tile,
    tail: Tile,
    /// The gradients in the entry, in F_i and in head_i.
    d_entry: Tile,
    d_front: Tile,
    d_head: Tile,
}

impl Diagonals {
    /// Takes up generators, one after the other, and the weights of both operators, N numbers each, all of them [in
    /// range](in_range).
    pub fn new<T: Scalar>(shape: Shape, rank: usize, [g, h]: [&[T]; 2], [a, b]: [&[T]; 2]) -> Self {
        let (order, short, transposed) = (shape.order(), shape.rows.min(shape.cols), shape.rows > shape.cols);
        let ([g, h], [a, b]) = if transposed { ([h, g], [b, a]) } else { ([g, h], [a, b]) };
        let (a, b): (Vec<f64>, _) = (a.iter().map(|a| a.wide()).collect(), periodic(b));
        let g = (0..short).flat_map(|i| (0..rank).map(move |k| g[k * short + i].wide())).collect();
        let h = h.chunks_exact(order).flat_map(periodic).collect();
        let beyond = [&a[short..], &b[short..2 * order]].map(|weights| Windows::new(order - short, weights, TINY));
        Self { order, short, rank, cols: shape.cols, transposed, a, g, b, h, beyond }
    }

    /// Writes the matrix.
    pub fn write<T: Scalar>(&self, dense: &mut [T]) {
        let (beyond, down) = (self.products_beyond(), &mut vec![Down::default(); self.short]);
        f64::run(Write { diagonals: self, dense, beyond: &beyond, down });
    }

    /// Given the gradient `dense` of a loss in the entries, writes that in `G Hᵀ` to `products` and adds that in the weights.
    pub fn pull_back<T: Scalar>(&self, dense: &[T], products: &mut [T], [da, db]: [&mut [T]; 2]) {
        let [da, db] = if self.transposed { [db, da] } else { [da, db] };
        let (beyond, down) = (self.products_beyond(), &mut vec![DownBackward::default(); self.short]);
        let mut gradient =
            Gradient { a: vec![0.0; self.order], b: vec![0.0; self.b.len()], beyond: vec![0.0; beyond.len()] };
        f64::run(PullBack { diagonals: self, dense, beyond: &beyond, down, products, gradient: &mut gradient });
        self.add_beyond(&mut gradient);
        add(da, &gradient.a);
        gradient.b.chunks(self.order).for_each(|period| add(db, period));
    }

    /// The tail of the last place of the short side on each diagonal, and a tile more: `Π_{short ≤ i < N} a_i b_{i+p}`.
    fn products_beyond(&self) -> Vec<f64> {
        let [a, b] = &self.beyond;
        let a = a.product(0);
        (0..self.order + TILE).map(|p| flush(a * b.product(p % self.order))).collect()
    }

    /// Carries the gradient in these products on to the weights.
    fn add_beyond(&self, gradient: &mut Gradient) {
        let ([a, b], d_beyond) = (&self.beyond, &gradient.beyond[..self.order]);
        let d_a: f64 = d_beyond.iter().enumerate().map(|(p, d)| d * b.product(p)).sum();
        let d_b: Vec<f64> = d_beyond.iter().map(|d| d * a.product(0)).collect();
        a.backward(&[d_a], &mut gradient.a[self.short..]);
        b.backward(&d_b, &mut gradient.b[self.short..]);
    }

    /// The weights of a place in a tile of diagonals, of the short side and of the long one.
    #[inline(always)]
    fn weights<I: Isa<f64>>(&self, isa: I, i: usize, first: usize) -> (I::V, &[Lane]) {
        (isa.splat(self.a[i]), lanes(&self.b[first + i..][..TILE]))
    }

    /// The sources of a place.
    #[inline(always)]
    fn sources<I: Isa<f64>>(&self, isa: I, i: usize, first: usize, sources: &mut Tile) {
        let mut sums = [isa.splat(0.0); REGISTERS];
        let mut at = first + i;
        for &g in &self.g[i * self.rank..][..self.rank] {
            let (g, h) = (isa.splat(g), lanes::<f64>(&self.h[at..][..TILE]));
            for l in 0..REGISTERS {
                sums[l] = isa.mul_add(g, isa.load(&h[l]), sums[l]);
            }
            at += self.b.len();
        }
        (0..REGISTERS).for_each(|l| isa.store(&mut sources[l], sums[l]));
    }

    /// A place less than twice around the cycle. (A remainder takes longer than an entry.)
    #[inline(always)]
    fn wrapped(&self, place: usize) -> usize {
        if place < self.order { place } else { place - self.order }
    }

    /// Reads the numbers of a place, zeros beyond the last diagonal.
    #[inline(always)]
    fn get<T: Scalar>(&self, dense: &[T], i: usize, first: usize) -> [f64; TILE] {
        let (count, start) = (TILE.min(self.order - first), self.wrapped(first + i));
        let mut values = [0.0; TILE];
        if self.transposed {
            for (l, x) in values[..count].iter_mut().enumerate() {
                *x = dense[self.wrapped(start + l) * self.cols + i].wide();
            }
            return values;
        }
        let row = &dense[i * self.cols..][..self.cols];
        if count == TILE
            && let Some(run) = row[start..].first_chunk::<TILE>()
        {
            values.iter_mut().zip(run).for_each(|(value, x)| *value = x.wide());
            return values;
        }
        let entries = row[start..].iter().chain(row);
        values[..count].iter_mut().zip(entries).for_each(|(value, x)| *value = x.wide());
        values
    }

    /// Writes the numbers of a place.
    #[inline(always)]
    fn put<T: Scalar>(&self, dense: &mut [T], i: usize, first: usize, values: &[f64; TILE]) {
        let (count, start) = (TILE.min(self.order - first), self.wrapped(first + i));
        if self.transposed {
            for (l, &x) in values[..count].iter().enumerate() {
                dense[self.wrapped(start + l) * self.cols + i] = T::of(x);
            }
            return;
        }
        let row = &mut dense[i * self.cols..][..self.cols];
        if count == TILE
            && let Some(run) = row[start..].first_chunk_mut::<TILE>()
        {
            run.iter_mut().zip(values).for_each(|(entry, &x)| *entry = T::of(x));
            return;
        }
        let (before, from_start) = row.split_at_mut(start);
        let entries = from_start.iter_mut().chain(before);
        entries.zip(&values[..count]).for_each(|(entry, &x)| *entry = T::of(x));
    }
}

/// Gradients in weights, in the order in which the diagonals have them.
#[derive(Debug)]
struct Gradient {
    a: Vec<f64>,
    b: Vec<f64>,
    /// In the tails of the last place.
    beyond: Vec<f64>,
}

/// Writes entries tile by tile.
struct Write<'a, T> {
    diagonals: &'a Diagonals,
    dense: &'a mut [T],
    beyond: &'a [f64],
    down: &'a mut [Down],
}

impl<T: Scalar> Kernel<f64> for Write<'_, T> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { diagonals, dense, beyond, down } = self;
        let half = isa.splat(HALF);
        for first in (0..diagonals.order).step_by(TILE) {
            let mut tail = load(isa, lanes(&beyond[first..][..TILE]));
            let mut behind = [isa.splat(0.0); REGISTERS];
            for (i, down) in down.iter_mut().enumerate().rev() {
                let (a, b) = diagonals.weights(isa, i, first);
                diagonals.sources(isa, i, first, &mut down.sources);
                for l in 0..REGISTERS {
                    isa.store(&mut down.behind[l], behind[l]);
                    behind[l] = isa.mul_add(tail[l], isa.load(&down.sources[l]), behind[l]);
                    tail[l] = isa.mul(tail[l], isa.mul(a, isa.load(&b[l])));
                }
                flush_tile(isa, i, &mut tail);
            }
            let (mut front, mut head) = ([isa.splat(0.0); REGISTERS], [isa.splat(1.0); REGISTERS]);
            for (i, down) in down.iter().enumerate() {
                let (a, b) = diagonals.weights(isa, i, first);
                let mut entries = Tile::default();
                for l in 0..REGISTERS {
                    let w = isa.mul(a, isa.load(&b[l]));
                    front[l] = isa.mul_add(w, front[l], isa.load(&down.sources[l]));
                    head[l] = isa.mul(w, head[l]);
                    let sum = isa.mul_add(head[l], isa.load(&down.behind[l]), front[l]);
                    isa.store(&mut entries[l], isa.mul(half, sum));
                }
                flush_tile(isa, i, &mut head);
                diagonals.put(dense, i, first, &bytemuck::cast(entries));
            }
        }
    }
}

/// Gathers gradients tile by tile.
struct PullBack<'a, T> {
    diagonals: &'a Diagonals,
    dense: &'a [T],
    beyond: &'a [f64],
    down: &'a mut [DownBackward],
    products: &'a mut [T],
    gradient: &'a mut Gradient,
}

impl<T: Scalar> Kernel<f64> for PullBack<'_, T> {
    #[inline(always)]
    fn run<I: Isa<f64>>(mut self, isa: I) {
        for first in (0..self.diagonals.order).step_by(TILE) {
            self.down(isa, first);
            self.up(isa, first);
        }
    }
}

impl<T: Scalar> PullBack<'_, T> {
    /// From the last place to the first: tails and what is behind, and the gradients in fronts and heads.
    #[inline(always)]
    fn down<I: Isa<f64>>(&mut self, isa: I, first: usize) {
        let (zero, diagonals) = ([isa.splat(0.0); REGISTERS], self.diagonals);
        let half = isa.splat(HALF);
        let mut tail = load(isa, lanes(&self.beyond[first..][..TILE]));
        // Both gradients are those that the place behind hands on.
        let (mut behind, mut d_front, mut d_head) = (zero, zero, zero);
        for (i, down) in self.down.iter_mut().enumerate().rev() {
            let (a, b) = diagonals.weights(isa, i, first);
            let d_entries: Tile = bytemuck::cast(diagonals.get(self.dense, i, first));
            diagonals.sources(isa, i, first, &mut down.sources);
            for l in 0..REGISTERS {
                let w = isa.mul(a, isa.load(&b[l]));
                let d_entry = isa.mul(half, isa.load(&d_entries[l]));
                let (d_front_here, d_head_here) =
                    (isa.add(d_entry, d_front[l]), isa.mul_add(d_entry, behind[l], d_head[l]));
                isa.store(&mut down.tail[l], tail[l]);
                isa.store(&mut down.d_entry[l], d_entry);
                isa.store(&mut down.d_front[l], d_front_here);
                isa.store(&mut down.d_head[l], d_head_here);
                behind[l] = isa.mul_add(tail[l], isa.load(&down.sources[l]), behind[l]);
                tail[l] = isa.mul(tail[l], w);
                (d_front[l], d_head[l]) = (isa.mul(w, d_front_here), isa.mul(w, d_head_here));
            }
            flush_tile(isa, i, &mut tail);
        }
    }

    /// From the first place to the last: fronts and heads, the gradients in tails and what is behind, and all that they
    /// add up to.
    #[inline(always)]
    fn up<I: Isa<f64>>(&mut self, isa: I, first: usize) {
        let (zero, diagonals) = ([isa.splat(0.0); REGISTERS], self.diagonals);
        let (mut front, mut head) = (zero, [isa.splat(1.0); REGISTERS]);
        // The gradients in B_i, and in tail_{i−1}.
        let (mut d_behind, mut d_tail) = (zero, zero);
        for (i, down) in self.down.iter().enumerate() {
            let (a, b) = diagonals.weights(isa, i, first);
            let (mut d_sources, mut d_weights) = (Tile::default(), Tile::default());
            for l in 0..REGISTERS {
                let (w, u, tail) = (isa.mul(a, isa.load(&b[l])), isa.load(&down.sources[l]), isa.load(&down.tail[l]));
                let d_front = isa.load(&down.d_front[l]);
                isa.store(&mut d_sources[l], isa.mul_add(tail, d_behind[l], d_front));
                let d_w = isa.mul_add(head[l], isa.load(&down.d_head[l]), isa.mul(front[l], d_front));
                isa.store(&mut d_weights[l], isa.mul_add(d_tail[l], tail, d_w));
                d_tail[l] = isa.mul_add(w, d_tail[l], isa.mul(d_behind[l], u));
                front[l] = isa.mul_add(w, front[l], u);
                head[l] = isa.mul(w, head[l]);
                d_behind[l] = isa.mul_add(head[l], isa.load(&down.d_entry[l]), d_behind[l]);
            }
            flush_tile(isa, i, &mut head);
            diagonals.put(self.products, i, first, &bytemuck::cast(d_sources));
            let d_b = lanes_mut::<f64>(&mut self.gradient.b[first + i..][..TILE]);
            self.gradient.a[i] += outer(isa, a, b, &d_weights, d_b);
        }
        let beyond = lanes_mut::<f64>(&mut self.gradient.beyond[first..][..TILE]);
        (0..REGISTERS).for_each(|l| isa.store(&mut beyond[l], d_tail[l]));
    }
}

/// The gradients of a product of a number x and numbers y: adds that in y, and returns that in x.
#[inline(always)]
fn outer<I: Isa<f64>>(isa: I, x: I::V, y: &[Lane], d: &Tile, dy: &mut [Lane]) -> f64 {
    let mut sum = isa.splat(0.0);
    for l in 0..REGISTERS {
        let d = isa.load(&d[l]);
        sum = isa.mul_add(d, isa.load(&y[l]), sum);
        let added = isa.mul_add(x, d, isa.load(&dy[l]));
        isa.store(&mut dy[l], added);
    }
    let mut lane = Lane::default();
    isa.store(&mut lane, sum);
    lane.into_iter().sum()
}

#[inline(always)]
fn load<I: Isa<f64>>(isa: I, numbers: &[Lane]) -> Registers<I> {
    std::array::from_fn(|l| isa.load(&numbers[l]))
}

/// Makes heads and tails that are tiny zero, now and then: numbers without all their digits take a hundred times as long.
#[inline(always)]
fn flush_tile<I: Isa<f64>>(isa: I, i: usize, registers: &mut Registers<I>) {
    if !i.is_multiple_of(FLUSH) {
        return;
    }
    for register in registers {
        let mut lane = Lane::default();
        isa.store(&mut lane, *register);
        for x in &mut lane {
            *x = flush(*x);
        }
        *register = isa.load(&lane);
    }
}

#[inline(always)]
fn flush(x: f64) -> f64 {
    if x.abs() < TINY { 0.0 } else { x }
}

/// Whether heads, tails and what they multiply stay far from the largest numbers.
pub(super) fn in_range<T: Scalar>([g, h]: [&[T]; 2], [a, b]: [&[T]; 2]) -> bool {
    growth(a) * growth(b) * largest(g).wide().max(1.0) * largest(h).wide().max(1.0)
        <= LARGE[usize::from(size_of::<T>() == 8)]
}

/// The largest product of consecutive weights around the cycle, or 1.
fn growth<T: Scalar>(weights: &[T]) -> f64 {
    let (mut most, mut here) = (1.0_f64, 1.0_f64);
    for w in weights.iter().chain(weights) {
        here = (here * w.wide().abs()).max(1.0);
        most = most.max(here);
    }
    most
}

/// Numbers of the long side, twice over and a tile more.
fn periodic<T: Scalar>(numbers: &[T]) -> Vec<f64> {
    numbers.iter().cycle().take(2 * numbers.len() + TILE).map(|x| x.wide()).collect()
}

fn add<T: Scalar>(sums: &mut [T], numbers: &[f64]) {
    sums.iter_mut().zip(numbers).for_each(|(sum, &x)| *sum += T::of(x));
}
