//! A ring of places cut into segments that lie side by side, one a lane: the neighbours of a register are registers.
//!
//! Lane l of register i holds place `⌊l N / W⌋ + i`, for i from 0 to ⌈N / W⌉: segments may share a place. Before and
//! behind them a *margin* repeats what the ring has there, so that a few steps of a band operator, each of which
//! invalidates one register at either end, need no exchange between lanes. That makes the corners of an operator
//! ordinary entries.

use std::ops::Range;

use crate::transform::isa::{Kernels, lanes, lanes_mut};

const W: usize = f64::LANES;

type Lane = <f64 as Kernels>::Lane;

/// Steps between two exchanges.
pub(super) const STEPS: usize = 4;

/// Registers before place 0 of the segments.
pub(super) const BEFORE: usize = 2 * STEPS;

/// Passes whose vectors are kept side by side.
pub(super) const GROUP: usize = 32;

/// Two registers of places of each vector of a group. (What goes through all vectors at a place then reads memory from the
/// beginning to the end.)
pub(super) type Pairs = [[Lane; 2]; GROUP];

/// Memory is taken from the beginning of a cache line on, so that no register's worth straddles two.
const LINE: usize = 64;

/// Numbers that [`align`] skips at most.
pub(super) const SKIPPED: usize = LINE / size_of::<f64>() - 1;

/// Takes up vectors of a group.
pub(super) fn pairs(kept: &[f64]) -> &[Pairs] {
    lanes::<f64>(kept).as_chunks().0.as_chunks().0
}

/// The same to be written.
pub(super) fn pairs_mut(kept: &mut [f64]) -> &mut [Pairs] {
    lanes_mut::<f64>(kept).as_chunks_mut().0.as_chunks_mut().0
}

/// Registers, several for each of places.
#[inline(always)]
pub(super) fn rows<const C: usize>(numbers: &[f64]) -> &[[Lane; C]] {
    lanes::<f64>(numbers).as_chunks().0
}

/// The same to be written.
#[inline(always)]
pub(super) fn rows_mut<const C: usize>(numbers: &mut [f64]) -> &mut [[Lane; C]] {
    lanes_mut::<f64>(numbers).as_chunks_mut().0
}

/// So many numbers, and as many more as fill a cache line: what comes behind them begins with one again.
pub(super) fn lines(numbers: usize) -> usize {
    numbers.next_multiple_of(LINE / size_of::<f64>())
}

/// Skips what is before the first cache line.
pub(super) fn align(numbers: &mut [f64]) -> &mut [f64] {
    let skip = numbers.as_ptr().align_offset(LINE).min(SKIPPED);
    &mut numbers[skip..]
}

/// The same for numbers that are only read.
pub(super) fn aligned(numbers: &[f64]) -> &[f64] {
    &numbers[numbers.as_ptr().align_offset(LINE).min(SKIPPED)..]
}

/// Numbers that [`apart`] skips at most.
pub(super) const APART: usize = GROUP * 2 * W;

/// Skips numbers until they are as far as can be from another group of vectors, modulo the distance between pairs.
/// Where the lines of both fall into the same sets of a cache, loads of both take twice as long.
pub(super) fn apart<'a>(numbers: &'a mut [f64], from: &[f64]) -> &'a mut [f64] {
    let distance = numbers.as_ptr().addr().wrapping_sub(from.as_ptr().addr()) / size_of::<f64>();
    &mut numbers[(APART + APART / 2 - distance % APART) % APART..]
}

/// Numbers that begin with a cache line.
#[derive(Debug)]
pub(super) struct Aligned {
    numbers: Vec<f64>,
    len: usize,
}

impl Aligned {
    pub fn zeros(len: usize) -> Self {
        Self { numbers: vec![0.0; len + SKIPPED], len }
    }

    pub fn get(&self) -> &[f64] {
        &aligned(&self.numbers)[..self.len]
    }

    pub fn get_mut(&mut self) -> &mut [f64] {
        &mut align(&mut self.numbers)[..self.len]
    }
}

/// Where N places are in segments with margins.
#[derive(Debug)]
pub(super) struct Segments {
    order: usize,
    /// Registers of the segments, without margins.
    len: usize,
    /// The place of each number, margins included.
    places: Vec<u32>,
    /// Registers of a margin, and where in the segments the places of their numbers are.
    margin: Vec<(u32, [u32; W])>,
}

impl Segments {
    /// `order` is 2³¹ at most.
    pub fn new(order: usize) -> Self {
        let len = order.div_ceil(W);
        let start = |lane: usize| lane * order / W;
        // Whole pairs, so that places can be taken two registers at a time.
        let registers = BEFORE + len.next_multiple_of(2) + STEPS;
        let place = |at: usize| (start(at % W) + at / W + BEFORE * (order - 1)) % order;
        let places: Vec<u32> = (0..registers * W).map(|at| place(at) as u32).collect();
        let mut owners = vec![0; order];
        for lane in 0..W {
            for p in start(lane)..start(lane + 1) {
                owners[p] = ((BEFORE + p - start(lane)) * W + lane) as u32;
            }
        }
        let exchanged = (BEFORE - STEPS..BEFORE).chain(BEFORE + len..registers);
        let from = |register: usize| std::array::from_fn(|l| owners[places[register * W + l] as usize]);
        let margin = exchanged.map(|register| (register as u32, from(register))).collect();
        Self { order, len, places, margin }
    }

    /// The places that each lane has from place 0 of its segment on, each place once.
    fn lanes(&self) -> impl Iterator<Item = Range<usize>> {
        (0..W).map(|lane| lane * self.order / W..(lane + 1) * self.order / W)
    }

    /// Registers of the segments, without margins.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Numbers of a vector in segments.
    pub fn numbers(&self) -> usize {
        self.places.len()
    }

    /// Writes a vector to row `row` of every `rows` registers.
    pub fn spread(&self, v: &[f64], [row, rows]: [usize; 2], to: &mut [f64]) {
        for (to, places) in to.chunks_exact_mut(rows * W).zip(self.places.chunks_exact(W)) {
            let lane: [f64; W] = std::array::from_fn(|l| v[places[l] as usize]);
            to[row * W..][..W].copy_from_slice(&lane);
        }
    }

    /// The same, but each place once, and zeros elsewhere.
    pub fn spread_once(&self, v: &[f64], [row, rows]: [usize; 2], to: &mut [f64]) {
        to.chunks_exact_mut(rows * W).for_each(|to| to[row * W..][..W].fill(0.0));
        for (lane, places) in self.lanes().enumerate() {
            let to = to[(BEFORE * rows + row) * W + lane..].iter_mut().step_by(rows * W);
            to.zip(&v[places]).for_each(|(to, x)| *to = *x);
        }
    }

    /// Adds the vector in row `row` of every `rows` registers.
    pub fn add(&self, from: &[f64], [row, rows]: [usize; 2], v: &mut [f64]) {
        for (lane, places) in self.lanes().enumerate() {
            let from = from[(BEFORE * rows + row) * W + lane..].iter().step_by(rows * W);
            v[places].iter_mut().zip(from).for_each(|(x, from)| *x += *from);
        }
    }

    /// Writes the margins of a vector anew, whole registers at once, which can be read again at once.
    #[inline(always)]
    pub fn exchange(&self, w: &mut [f64]) {
        for &(to, from) in &self.margin {
            let lane = from.map(|at| w[at as usize]);
            w[to as usize * W..][..W].copy_from_slice(&lane);
        }
    }

    /// The same for several vectors, packed: all registers for a place one after the other.
    #[inline(always)]
    pub fn exchange_rows<const C: usize>(&self, rows: &mut [[[f64; W]; C]]) {
        for &(to, from) in &self.margin {
            for (l, at) in from.into_iter().enumerate() {
                let from = &rows[at as usize / W];
                let numbers: [f64; C] = std::array::from_fn(|c| from[c][at as usize % W]);
                (0..C).for_each(|c| rows[to as usize][c][l] = numbers[c]);
            }
        }
    }

    pub fn order(&self) -> usize {
        self.order
    }
}
