//! An operator between diagonal matrices that make its entries below the diagonal ones: `S⁻¹ A S` with `s_i = l_i s_{i−1}`.
//!
//! Around the cycle S goes on, by a factor Λ a turn, the product of all entries below the diagonal, so that the corner becomes one as well.

use super::Plan;
use crate::ldr::krylov::band::Band;

/// The scaled operator, its diagonals in places and in reaches that go on around the cycle.
#[derive(Debug)]
pub struct Scaled {
    /// The entries below the diagonal that were scaled away.
    pub lower: Vec<f64>,
    /// One over these.
    pub over: Vec<f64>,
    pub diagonal: Vec<f64>,
    /// `u_i`, in row i.
    pub upper: Vec<f64>,
    /// Those on the diagonal, and those above it by the place that they are above.
    reaches: [Vec<f64>; 2],
    scale: Vec<f64>,
    inverse: Vec<f64>,
    /// 1/Λ.
    turn: f64,
}

impl Scaled {
    pub fn new(plan: &Plan, entries: &[f64]) -> Self {
        let Band { lower, diagonal, upper } = Band::of(entries);
        let order = plan.order;
        let mut scale = vec![1.0; order];
        for i in 1..order {
            scale[i] = scale[i - 1] * lower[i];
        }
        let inverse = scale.iter().map(|s| s.recip()).collect();
        let turn = (scale[order - 1] * lower[0]).recip();
        let above = upper.iter().zip(&lower[1..]).map(|(u, l)| u * l);
        let mut upper: Vec<f64> = above.chain([upper[order - 1] * lower[0]]).collect();
        let diagonal_reach = around(plan, diagonal);
        upper.rotate_right(1);
        let upper_reach = around(plan, &upper);
        upper.rotate_left(1);
        let over = lower.iter().map(|l| l.recip()).collect();
        let (lower, diagonal) = (lower.to_vec(), diagonal.to_vec());
        Self { lower, over, diagonal, upper, reaches: [diagonal_reach, upper_reach], scale, inverse, turn }
    }

    pub fn order(&self) -> usize {
        self.scale.len()
    }

    /// Reaches with `d_j` and with `u_{j−1}` for each place j.
    #[inline(always)]
    pub fn reaches(&self) -> [&[f64]; 2] {
        [&self.reaches[0], &self.reaches[1]]
    }

    /// Writes x, N numbers, times a factor in the scaled coordinates, and zeros.
    pub fn places(&self, x: &[f64], factor: f64, to: &mut [f64]) {
        let (here, beyond) = to.split_at_mut(self.order());
        here.iter_mut().zip(x).zip(&self.inverse).for_each(|((to, x), s)| *to = factor * x * s);
        beyond.fill(0.0);
    }

    /// Writes a gradient in N numbers, in the scaled coordinates, to a reach that goes on around the cycle.
    pub fn reach(&self, x: &[f64], places: usize, reach: &mut [f64]) {
        let order = self.order();
        let (here, below) = reach.split_at_mut(places);
        let (beyond, here) = here.split_at_mut(places - order);
        beyond.fill(0.0);
        here.iter_mut().rev().zip(x).zip(&self.scale).for_each(|((to, x), s)| *to = x * s);
        below.iter_mut().zip(here).for_each(|(to, x)| *to = *x * self.turn);
    }

    /// Scales column N − 1 of a gradient in a matrix, from the entry around the cycle upwards, and divides it by −l_0.
    pub fn last_column(&self, column: &mut [f64]) {
        let order = self.order();
        let over = -(self.lower[0] * self.scale[order - 1]).recip();
        column[0] *= over / self.turn;
        column[1..].iter_mut().zip(self.scale.iter().rev()).for_each(|(z, s)| *z *= over * s);
    }
}

/// A reach with a number for each place, the last one first, and those around the cycle behind them.
fn around(plan: &Plan, numbers: &[f64]) -> Vec<f64> {
    let from = plan.places - plan.order;
    let mut reach = vec![0.0; plan.reach()];
    let (here, below) = reach[from..].split_at_mut(plan.order);
    here.iter_mut().rev().zip(numbers).for_each(|(to, x)| *to = *x);
    below.copy_from_slice(&here[..below.len()]);
    reach
}
