//! The generators of all rows, or of all columns, during an elimination.

use super::{Nodes, Number};
use crate::transform::isa::Kernels;

/// Generators side by side in registers.
const WIDTH: usize = <f64 as Kernels>::LANES;

/// One generator, node and factor a slot.
pub(in crate::algebra) struct Side<Node> {
    /// Numbers r of a generator.
    pub rank: usize,
    /// Generators: blocks of WIDTH slots, in them the r numbers, real then imaginary part, each a register's worth.
    pub blocks: Vec<f64>,
    /// The entry of each slot in the current row or column: blocks of WIDTH slots, real then imaginary part.
    pub factors: Vec<f64>,
    /// What [`Nodes::weights`] made of the nodes, one a slot.
    pub weights: Vec<f64>,
    nodes: Vec<Node>,
}

impl<Node: Copy> Side<Node> {
    /// The side of generators that are stored one a row.
    pub fn new<N: Number>(generators: &[N], rank: usize, nodes: &[Node], padding: Node) -> Self {
        let slots = nodes.len().next_multiple_of(WIDTH);
        let mut nodes = nodes.to_vec();
        nodes.resize(slots, padding);
        let mut side = Self {
            rank,
            blocks: vec![0.0; slots * rank * N::PARTS],
            factors: vec![0.0; slots * N::PARTS],
            weights: vec![0.0; slots],
            nodes,
        };
        for (slot, generator) in generators.chunks_exact(rank).enumerate() {
            side.set_generator(slot, generator.iter().copied());
        }
        side
    }

    pub fn node(&self, slot: usize) -> Node {
        self.nodes[slot]
    }

    /// Where part 0 of number 0 of a slot is; the next part is WIDTH further.
    fn place(slot: usize, numbers: usize) -> usize {
        slot / WIDTH * WIDTH * numbers + slot % WIDTH
    }

    fn read<N: Number>(numbers: &[f64], at: usize) -> N {
        N::of([numbers[at], if N::PARTS == 2 { numbers[at + WIDTH] } else { 0.0 }])
    }

    fn write<N: Number>(numbers: &mut [f64], at: usize, value: N) {
        let parts = value.parts();
        (0..N::PARTS).for_each(|p| numbers[at + p * WIDTH] = parts[p]);
    }

    pub fn generator<N: Number>(&self, slot: usize) -> Vec<N> {
        let start = Self::place(slot, self.rank * N::PARTS);
        (0..self.rank).map(|j| Self::read(&self.blocks, start + j * N::PARTS * WIDTH)).collect()
    }

    fn set_generator<N: Number>(&mut self, slot: usize, generator: impl Iterator<Item = N>) {
        let start = Self::place(slot, self.rank * N::PARTS);
        generator.enumerate().for_each(|(j, g)| Self::write(&mut self.blocks, start + j * N::PARTS * WIDTH, g));
    }

    pub fn factor<N: Number>(&self, slot: usize) -> N {
        Self::read(&self.factors, Self::place(slot, N::PARTS))
    }

    /// The generator that the next sweep will make of a slot's.
    pub fn updated<N: Number>(&self, slot: usize, update: &[N]) -> Vec<N> {
        let factor = self.factor::<N>(slot);
        self.generator::<N>(slot).into_iter().zip(update).map(|(g, &u)| g - factor * u).collect()
    }

    /// Exchanges two slots.
    pub fn swap(&mut self, a: usize, b: usize) {
        self.nodes.swap(a, b);
        let slots = self.nodes.len();
        for numbers in [&mut self.blocks, &mut self.factors] {
            let each = numbers.len() / slots;
            let (a, b) = (Self::place(a, each), Self::place(b, each));
            (0..each).for_each(|part| numbers.swap(a + part * WIDTH, b + part * WIDTH));
        }
    }

    /// Puts a row or column of an identity into a slot: no generator yet, and the entry 1.
    pub fn replace(&mut self, slot: usize, node: Node) {
        let slots = self.nodes.len();
        for (numbers, first) in [(&mut self.blocks, 0.0), (&mut self.factors, 1.0)] {
            let each = numbers.len() / slots;
            let start = Self::place(slot, each);
            (0..each).for_each(|part| numbers[start + part * WIDTH] = if part == 0 { first } else { 0.0 });
        }
        self.nodes[slot] = node;
    }

    /// Updates all generators by their factors, and makes the factors the entries with another generator and its node.
    pub fn entries<S: Nodes<Node = Node>>(&mut self, nodes: &S, update: &[S::Number], other: &[S::Number], at: Node) {
        let mut partner = other.to_vec();
        nodes.partner(&mut partner, at);
        nodes.weights(&self.nodes, at, &mut self.weights);
        S::sweep(self, update, &partner);
    }

    /// The slot with the largest factor among the first `active`.
    pub fn largest_factor<N: Number>(&self, active: usize) -> usize {
        let mut best = (0, -1.0);
        for (block, factors) in
            self.factors[..active.div_ceil(WIDTH) * WIDTH * N::PARTS].chunks_exact(WIDTH * N::PARTS).enumerate()
        {
            let mut squares = [0.0; WIDTH];
            for part in factors.chunks_exact(WIDTH) {
                (0..WIDTH).for_each(|l| squares[l] += part[l] * part[l]);
            }
            for (l, &square) in squares.iter().enumerate() {
                let slot = block * WIDTH + l;
                if square > best.1 && slot < active {
                    best = (slot, square);
                }
            }
        }
        best.0
    }
}
