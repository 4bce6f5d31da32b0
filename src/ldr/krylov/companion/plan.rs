//! The plan of products modulo a characteristic polynomial: lengths and limits.

use super::taps::{MAX_WIDTH, UNIT};
use crate::ldr::krylov::Limits;
use crate::transform::{RealTransform, Wrap, fast_length};

/// Widths that bands can have.
const WIDTHS: [usize; 14] = [4, 8, 12, 16, 20, 24, 32, 40, 48, 56, 64, 80, 96, MAX_WIDTH];

/// The smallest order: vectors are taken up in eights, twice at least.
const SMALLEST: usize = 16;

/// Numbers in a band at the most, more or less.
const BAND: usize = 1 << 21;

/// What does not depend on parameters.
#[derive(Debug)]
pub struct Plan {
    pub order: usize,
    pub rank: usize,
    /// N rounded up to whole groups of columns.
    pub places: usize,
    pub limits: Limits,
    /// The widest band.
    pub widest: usize,
    pub transform: RealTransform<f64>,
}

impl Plan {
    /// A plan for operators of order N, unless that is too small.
    pub fn new(order: usize, rank: usize, limits: Limits) -> Option<Self> {
        if order < SMALLEST {
            return None;
        }
        let places = order.next_multiple_of(UNIT);
        let fits = |width: &usize| 2 * width <= order && *width * places <= BAND;
        let widest = WIDTHS.into_iter().filter(fits).max()?;
        let transform = RealTransform::new(fast_length(2 * order - 1), Wrap::Negacyclic);
        Some(Self { order, rank, places, limits, widest, transform })
    }

    /// The widths that bands can have, the smallest first.
    pub fn widths(&self) -> impl Iterator<Item = usize> {
        WIDTHS.into_iter().filter(|width| *width <= self.widest)
    }

    /// The length of transforms.
    pub fn n(&self) -> usize {
        self.transform.len()
    }

    /// Numbers in a vector of places or degrees with those below zero that a band reaches.
    pub fn reach(&self) -> usize {
        self.places + self.widest.next_multiple_of(UNIT)
    }
}
