//! A ring of places cut into segments that lie side by side, one a lane: the neighbours of a register are registers.
//!
//! Lane l of register i holds place `⌊l N / W⌋ + i`, for i from 0 to ⌈N / W⌉: segments may share a place. Before and behind them a
//! *margin* repeats what the ring has there, so that a few steps of a band operator can be done without an exchange between
//! lanes, each of them spoiling one register at either end. That makes corners of an operator ordinary entries.

use crate::transform::isa::Kernels;

const W: usize = f64::LANES;

/// Steps between two exchanges.
pub(super) const STEPS: usize = 4;

/// Registers before place 0 of the segments.
pub(super) const BEFORE: usize = 2 * STEPS;

/// Memory is taken from the beginning of a cache line on, so that no register's worth straddles two.
const LINE: usize = 64;

/// Numbers that [`align`] skips at most.
pub(super) const SKIPPED: usize = LINE / size_of::<f64>() - 1;

/// Skips what is before the first cache line.
pub(super) fn align(numbers: &mut [f64]) -> &mut [f64] {
    let skip = numbers.as_ptr().align_offset(LINE).min(SKIPPED);
    &mut numbers[skip..]
}

/// The same for numbers that are only read.
pub(super) fn aligned(numbers: &[f64]) -> &[f64] {
    &numbers[numbers.as_ptr().align_offset(LINE).min(SKIPPED)..]
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
    /// The first of the numbers that stand for each place.
    owners: Vec<u32>,
    /// Numbers in a margin, and where in the segments their places are.
    margin: Vec<[u32; 2]>,
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
        let margin = exchanged.flat_map(|register| register * W..(register + 1) * W);
        let margin = margin.map(|at| [at as u32, owners[places[at] as usize]]).collect();
        Self { order, len, places, owners, margin }
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
            let to = &mut to[row * W..][..W];
            to.iter_mut().zip(places).for_each(|(to, &place)| *to = v[place as usize]);
        }
    }

    /// The same, but each place once, and zeros elsewhere.
    pub fn spread_once(&self, v: &[f64], [row, rows]: [usize; 2], to: &mut [f64]) {
        to.chunks_exact_mut(rows * W).for_each(|to| to[row * W..][..W].fill(0.0));
        for (&x, &owner) in v.iter().zip(&self.owners) {
            let owner = owner as usize;
            to[(owner / W * rows + row) * W + owner % W] = x;
        }
    }

    /// Adds the vector in row `row` of every `rows` registers.
    pub fn add(&self, from: &[f64], [row, rows]: [usize; 2], v: &mut [f64]) {
        for (x, &owner) in v.iter_mut().zip(&self.owners) {
            let owner = owner as usize;
            *x += from[(owner / W * rows + row) * W + owner % W];
        }
    }

    /// Writes the margins of a vector anew.
    #[inline(always)]
    pub fn exchange(&self, w: &mut [f64]) {
        for &[to, from] in &self.margin {
            w[to as usize] = w[from as usize];
        }
    }

    /// The same for several vectors, packed: all registers for a place one after the other.
    #[inline(always)]
    pub fn exchange_rows<const C: usize>(&self, rows: &mut [[[f64; W]; C]]) {
        for [to, from] in self.margin.iter().map(|both| both.map(|at| at as usize)) {
            for c in 0..C {
                rows[to / W][c][to % W] = rows[from / W][c][from % W];
            }
        }
    }

    pub fn order(&self) -> usize {
        self.order
    }
}
