//! The entries of LDR-SD matrices, and gradients back through them, in O(r m n) for an m×n matrix.
//!
//! Between two subdiagonal operators every entry follows from the one before it on its *cyclic diagonal*. With indices modulo N,
//! `w_i = a_i b_{i+p}` and `u_i = Σ_k g_ik h_{i+p,k}` the definition of the matrix says for its entry `M_i` at (i, i + p)
//!
//! `M_i = ½ Σ_{k<N} w_i w_{i−1} ⋯ w_{i−k+1} u_{i−k}`, and so `M_i = w_i M_{i−1} + ½ (1 − w_0 ⋯ w_{N−1}) u_i`,
//!
//! the displacement equation. Where the product of all weights is large, this step cancels what the cycle has come back with. So the
//! sum is cut where the cycle passes place 0:
//!
//! `M_i = ½ (F_i + head_i B_{i+1})` with `F_i = w_i F_{i−1} + u_i`, `B_i = B_{i+1} + tail_i u_i`,
//! `head_i = w_0 ⋯ w_i` and `tail_i = w_{i+1} ⋯ w_{N−1}`.
//!
//! These are the terms of the definition, each within rounding errors: nothing is subtracted and nothing is divided by. Heads and tails
//! must be in range, which the largest product of consecutive weights of either operator tells.
//!
//! The *short* side of the matrix counts i; on the *long* one, of N places, a tile of diagonals is looked at together.

use super::windows::Windows;
use crate::Scalar;
use crate::shape::Shape;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

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

/// The largest term of an entry at the most: what is left out with products that are [`TINY`] is far below rounding errors then.
const LARGE: f64 = 1e100;

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
    /// Takes up generators, one after the other, and the weights of both operators, N numbers each; `None` where products of weights are too
    /// large.
    pub fn new<T: Scalar>(shape: Shape, rank: usize, [g, h]: [&[T]; 2], [a, b]: [&[T]; 2]) -> Option<Self> {
        let (order, short, transposed) = (shape.order(), shape.rows.min(shape.cols), shape.rows > shape.cols);
        if !(growth(a) * growth(b) * largest(g).max(1.0) * largest(h).max(1.0) <= LARGE) {
            return None;
        }
        let ([g, h], [a, b]) = if transposed { ([h, g], [b, a]) } else { ([g, h], [a, b]) };
        let (a, b): (Vec<f64>, _) = (a.iter().map(|a| a.wide()).collect(), periodic(b));
        let g = (0..short).flat_map(|i| (0..rank).map(move |k| g[k * short + i].wide())).collect();
        let h = h.chunks_exact(order).flat_map(periodic).collect();
        let beyond = [&a[short..], &b[short..2 * order]].map(|weights| Windows::new(order - short, weights, TINY));
        Some(Self { order, short, rank, cols: shape.cols, transposed, a, g, b, h, beyond })
    }

    /// Writes the matrix.
    pub fn write<T: Scalar>(&self, dense: &mut [T]) {
        let (beyond, down) = (self.products_beyond(), &mut vec![Down::default(); self.short]);
        f64::run(Write { diagonals: self, dense, beyond: &beyond, down });
    }

    /// Adds to the gradients in generators and weights that of a loss whose gradient in the entries is `dense`.
    pub fn pull_back<T: Scalar>(&self, dense: &[T], [dg, dh]: [&mut [T]; 2], [da, db]: [&mut [T]; 2]) {
        let ([dg, dh], [da, db]) = if self.transposed { ([dh, dg], [db, da]) } else { ([dg, dh], [da, db]) };
        let (beyond, down) = (self.products_beyond(), &mut vec![DownBackward::default(); self.short]);
        let mut gradient = Gradient {
            a: vec![0.0; self.order],
            g: vec![0.0; self.g.len()],
            b: vec![0.0; self.b.len()],
            h: vec![0.0; self.h.len()],
            beyond: vec![0.0; beyond.len()],
        };
        f64::run(PullBack { diagonals: self, dense, beyond: &beyond, down, gradient: &mut gradient });
        self.add_beyond(&mut gradient);
        let Gradient { a, g, b, h, .. } = gradient;
        add(da, &a);
        add_periods(db, &b);
        for (dh, h) in dh.chunks_exact_mut(self.order).zip(h.chunks_exact(self.b.len())) {
            add_periods(dh, h);
        }
        for (k, dg) in dg.chunks_exact_mut(self.short).enumerate() {
            dg.iter_mut().zip(g[k..].iter().step_by(self.rank)).for_each(|(dg, &g)| *dg += T::of(g));
        }
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

    /// The weights of a place in a tile of diagonals.
    #[inline(always)]
    fn weights<I: Isa<f64>>(&self, isa: I, i: usize, first: usize) -> Registers<I> {
        let (a, b) = (isa.splat(self.a[i]), lanes::<f64>(&self.b[first + i..][..TILE]));
        std::array::from_fn(|l| isa.mul(a, isa.load(&b[l])))
    }

    /// The sources of a place.
    #[inline(always)]
    fn sources<I: Isa<f64>>(&self, isa: I, i: usize, first: usize) -> Registers<I> {
        let mut sum = [isa.splat(0.0); REGISTERS];
        let mut at = first + i;
        for &g in &self.g[i * self.rank..][..self.rank] {
            let (g, h) = (isa.splat(g), lanes::<f64>(&self.h[at..][..TILE]));
            sum = std::array::from_fn(|l| isa.mul_add(g, isa.load(&h[l]), sum[l]));
            at += self.b.len();
        }
        sum
    }

    /// Reads the numbers of a place, zeros beyond the last diagonal.
    #[inline(always)]
    fn get<T: Scalar>(&self, dense: &[T], i: usize, first: usize) -> [f64; TILE] {
        let (count, start) = (TILE.min(self.order - first), (first + i) % self.order);
        let mut values = [0.0; TILE];
        if self.transposed {
            for (l, x) in values[..count].iter_mut().enumerate() {
                *x = dense[(start + l) % self.order * self.cols + i].wide();
            }
            return values;
        }
        let row = &dense[i * self.cols..][..self.cols];
        if count == TILE
            && let Some(run) = row[start..].first_chunk::<TILE>()
        {
            return run.map(|x| x.wide());
        }
        let entries = row[start..].iter().chain(row);
        values[..count].iter_mut().zip(entries).for_each(|(value, x)| *value = x.wide());
        values
    }

    /// Writes the numbers of a place.
    #[inline(always)]
    fn put<T: Scalar>(&self, dense: &mut [T], i: usize, first: usize, values: &[f64; TILE]) {
        let (count, start) = (TILE.min(self.order - first), (first + i) % self.order);
        if self.transposed {
            for (l, &x) in values[..count].iter().enumerate() {
                dense[(start + l) % self.order * self.cols + i] = T::of(x);
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

/// Gradients, in the order in which the diagonals have the numbers.
#[derive(Debug)]
struct Gradient {
    a: Vec<f64>,
    g: Vec<f64>,
    b: Vec<f64>,
    h: Vec<f64>,
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
        for first in (0..diagonals.order).step_by(TILE) {
            let mut tail = load(isa, lanes(&beyond[first..][..TILE]));
            let mut behind = [isa.splat(0.0); REGISTERS];
            for (i, down) in down.iter_mut().enumerate().rev() {
                let (w, u) = (diagonals.weights(isa, i, first), diagonals.sources(isa, i, first));
                store(isa, u, &mut down.sources);
                store(isa, behind, &mut down.behind);
                behind = mul_add(isa, tail, u, behind);
                tail = flushed(isa, mul(isa, tail, w));
            }
            let (mut front, mut head) = ([isa.splat(0.0); REGISTERS], [isa.splat(1.0); REGISTERS]);
            for (i, down) in down.iter().enumerate() {
                let w = diagonals.weights(isa, i, first);
                front = mul_add(isa, w, front, load(isa, &down.sources));
                head = flushed(isa, mul(isa, w, head));
                let sums = mul_add(isa, head, load(isa, &down.behind), front);
                let mut entries = Tile::default();
                store(isa, sums.map(|sum| isa.mul(isa.splat(HALF), sum)), &mut entries);
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
        let mut tail = load(isa, lanes(&self.beyond[first..][..TILE]));
        // Both gradients are those that the place behind hands on.
        let (mut behind, mut d_front, mut d_head) = (zero, zero, zero);
        for (i, down) in self.down.iter_mut().enumerate().rev() {
            let (w, u) = (diagonals.weights(isa, i, first), diagonals.sources(isa, i, first));
            let d_entry: Tile = bytemuck::cast(diagonals.get(self.dense, i, first));
            let d_entry = load(isa, &d_entry).map(|d| isa.mul(isa.splat(HALF), d));
            d_front = std::array::from_fn(|l| isa.add(d_entry[l], d_front[l]));
            d_head = mul_add(isa, d_entry, behind, d_head);
            for (numbers, to) in [(u, &mut down.sources), (tail, &mut down.tail), (d_entry, &mut down.d_entry)] {
                store(isa, numbers, to);
            }
            store(isa, d_front, &mut down.d_front);
            store(isa, d_head, &mut down.d_head);
            behind = mul_add(isa, tail, u, behind);
            tail = flushed(isa, mul(isa, tail, w));
            (d_front, d_head) = (mul(isa, w, d_front), mul(isa, w, d_head));
        }
    }

    /// From the first place to the last: fronts and heads, the gradients in tails and what is behind, and all that they add up to.
    #[inline(always)]
    fn up<I: Isa<f64>>(&mut self, isa: I, first: usize) {
        let (zero, diagonals) = ([isa.splat(0.0); REGISTERS], self.diagonals);
        let (mut front, mut head) = (zero, [isa.splat(1.0); REGISTERS]);
        // The gradients in B_i, and in tail_{i−1}.
        let (mut d_behind, mut d_tail) = (zero, zero);
        for (i, down) in self.down.iter().enumerate() {
            let (w, u, tail) = (diagonals.weights(isa, i, first), load(isa, &down.sources), load(isa, &down.tail));
            let d_sources = mul_add(isa, tail, d_behind, load(isa, &down.d_front));
            self.gradient.add_sources(isa, diagonals, [i, first], d_sources);
            let d_weights = mul(isa, front, load(isa, &down.d_front));
            let d_weights = mul_add(isa, head, load(isa, &down.d_head), d_weights);
            let d_weights = mul_add(isa, d_tail, tail, d_weights);
            self.gradient.add_weights(isa, diagonals, [i, first], d_weights);
            d_tail = mul_add(isa, w, d_tail, mul(isa, d_behind, u));
            front = mul_add(isa, w, front, u);
            head = flushed(isa, mul(isa, w, head));
            d_behind = mul_add(isa, head, load(isa, &down.d_entry), d_behind);
        }
        let beyond = lanes_mut::<f64>(&mut self.gradient.beyond[first..][..TILE]);
        store(isa, d_tail, beyond);
    }
}

impl Gradient {
    /// Adds the gradient in the sources of a place.
    #[inline(always)]
    fn add_sources<I: Isa<f64>>(&mut self, isa: I, of: &Diagonals, [i, first]: [usize; 2], d: Registers<I>) {
        let own = i * of.rank..(i + 1) * of.rank;
        let mut at = first + i;
        for (&g, dg) in of.g[own.clone()].iter().zip(&mut self.g[own]) {
            let (h, dh) = (lanes::<f64>(&of.h[at..][..TILE]), lanes_mut::<f64>(&mut self.h[at..][..TILE]));
            *dg += sum(isa, mul(isa, d, load(isa, h)));
            let sums = mul_add(isa, [isa.splat(g); REGISTERS], d, load(isa, dh));
            store(isa, sums, dh);
            at += of.b.len();
        }
    }

    /// Adds the gradient in the products of two weights of a place.
    #[inline(always)]
    fn add_weights<I: Isa<f64>>(&mut self, isa: I, of: &Diagonals, [i, first]: [usize; 2], d: Registers<I>) {
        let place = first + i..first + i + TILE;
        let (b, db) = (lanes::<f64>(&of.b[place.clone()]), lanes_mut::<f64>(&mut self.b[place]));
        self.a[i] += sum(isa, mul(isa, d, load(isa, b)));
        let sums = mul_add(isa, [isa.splat(of.a[i]); REGISTERS], d, load(isa, db));
        store(isa, sums, db);
    }
}

/// The sum of all numbers.
#[inline(always)]
fn sum<I: Isa<f64>>(isa: I, registers: Registers<I>) -> f64 {
    let mut lane = Lane::default();
    isa.store(&mut lane, registers.into_iter().reduce(|a, b| isa.add(a, b)).unwrap_or(isa.splat(0.0)));
    lane.into_iter().sum()
}

#[inline(always)]
fn mul<I: Isa<f64>>(isa: I, a: Registers<I>, b: Registers<I>) -> Registers<I> {
    std::array::from_fn(|l| isa.mul(a[l], b[l]))
}

/// `a b + c`.
#[inline(always)]
fn mul_add<I: Isa<f64>>(isa: I, a: Registers<I>, b: Registers<I>, c: Registers<I>) -> Registers<I> {
    std::array::from_fn(|l| isa.mul_add(a[l], b[l], c[l]))
}

#[inline(always)]
fn load<I: Isa<f64>>(isa: I, numbers: &[Lane]) -> Registers<I> {
    std::array::from_fn(|l| isa.load(&numbers[l]))
}

#[inline(always)]
fn store<I: Isa<f64>>(isa: I, registers: Registers<I>, numbers: &mut [Lane]) {
    (0..REGISTERS).for_each(|l| isa.store(&mut numbers[l], registers[l]));
}

/// Zero for what is tiny: numbers without all their digits take a hundred times as long.
#[inline(always)]
fn flushed<I: Isa<f64>>(isa: I, registers: Registers<I>) -> Registers<I> {
    let mut numbers = Tile::default();
    store(isa, registers, &mut numbers);
    load(isa, &numbers.map(|lane| lane.map(flush)))
}

#[inline(always)]
fn flush(x: f64) -> f64 {
    if x.abs() < TINY { 0.0 } else { x }
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

fn largest<T: Scalar>(numbers: &[T]) -> f64 {
    numbers.iter().fold(0.0, |most, x| most.max(x.wide().abs()))
}

/// Numbers of the long side, twice over and a tile more.
fn periodic<T: Scalar>(numbers: &[T]) -> Vec<f64> {
    numbers.iter().cycle().take(2 * numbers.len() + TILE).map(|x| x.wide()).collect()
}

fn add<T: Scalar>(sums: &mut [T], numbers: &[f64]) {
    sums.iter_mut().zip(numbers).for_each(|(sum, &x)| *sum += T::of(x));
}

/// Adds [`periodic`] numbers that stand for the same one.
fn add_periods<T: Scalar>(sums: &mut [T], numbers: &[f64]) {
    numbers.chunks(sums.len()).for_each(|period| add(sums, period));
}
