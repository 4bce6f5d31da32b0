//! How many diagonals of the gradient in all entries have an influence on the three that are asked for.
//!
//! Columns of that gradient follow from each other ([`super::commutator`]), and a diagonal has a part in those below it only. How large a part
//! the transposed recurrence tells, with the columns in ascending order: for `Y_{q,i}`, how much the three lowest diagonals of all columns before
//! depend on `Z_{i+1−q,i}`, times random signs, it is
//!
//! `Y_{q,i} = Y_{q,i−1} + (d_{i+1−q} − d_i) Y_{q−1,i−1} + u_{i+1−q} Y_{q−2,i−1} − u_{i−1} Y_{q−2,i−2}`, and a sign more for q < 3.
//!
//! That is far less than taps of K and Ψ let one expect, for what they grow to by a walk along one side, the other side takes back.
//! The band in which this is computed has one group of diagonals more than count so far.

use super::scaled::Scaled;
use super::taps::{GROUP, MAX_WIDTH};
use super::{Plan, commutator};
use crate::transform::isa::{Isa, Kernel, Kernels, lanes};

type Lane = <f64 as Kernels>::Lane;

/// Numbers in a register.
const LANES: usize = f64::LANES;

const _: () = assert!(GROUP == LANES && commutator::ASKED < LANES);

/// All signs of the diagonals that are asked for.
const SIGNS: [Lane; 1 << commutator::ASKED] = [
    [-1.0, -1.0, -1.0, 0.0],
    [-1.0, -1.0, 1.0, 0.0],
    [-1.0, 1.0, -1.0, 0.0],
    [-1.0, 1.0, 1.0, 0.0],
    [1.0, -1.0, -1.0, 0.0],
    [1.0, -1.0, 1.0, 0.0],
    [1.0, 1.0, -1.0, 0.0],
    [1.0, 1.0, 1.0, 0.0],
];

/// Columns that the signs in one random number are for.
const SIGNED: usize = u64::BITS as usize / commutator::ASKED;

/// How much larger than the tail of a band an influence may be that is left out: 10⁻¹⁴ (f64) and 10⁻⁸ (f32), next to that of the diagonals that
/// are asked for; times √N for a single one of N columns.
pub const LEFT_OUT: f64 = 10.0;

/// Registers of a column at the most.
const MOST: usize = MAX_WIDTH / LANES;

/// The diagonals that count, whole groups.
pub fn diagonals(plan: &Plan, scaled: &Scaled) -> usize {
    // Sums of N signs are as large as √N.
    let limit = LEFT_OUT * plan.limits.tail * (plan.order as f64).sqrt();
    let mut groups = 1;
    f64::run(Influence { plan, scaled, limit, groups: &mut groups });
    GROUP * groups
}

/// Counts the groups of diagonals whose influence is above a limit, the lowest one in any case.
struct Influence<'a> {
    plan: &'a Plan,
    scaled: &'a Scaled,
    limit: f64,
    groups: &'a mut usize,
}

/// Where a walk along the columns is.
struct Walk {
    /// How many columns there were.
    number: usize,
    /// The next column.
    i: usize,
    rng: fastrand::Rng,
    /// The signs of this column and some that follow.
    signs: u64,
    /// The column before, and the one before that.
    columns: [[Lane; 2]; MOST],
}

impl Kernel<f64> for Influence<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let (order, around) = (self.plan.order, self.plan.widest / 2);
        let rng = fastrand::Rng::with_seed(0);
        let mut walk = Walk { number: 0, i: order - around, rng, signs: 0, columns: [[[0.0; LANES]; 2]; MOST] };
        while walk.number < order + around && *self.groups < self.plan.widest / GROUP {
            let is_beyond = match *self.groups + 1 {
                2 => self.walk::<I, 2>(isa, &mut walk),
                3 => self.walk::<I, 3>(isa, &mut walk),
                4 => self.walk::<I, 4>(isa, &mut walk),
                5 => self.walk::<I, 5>(isa, &mut walk),
                _ => self.walk::<I, MOST>(isa, &mut walk),
            };
            *self.groups += usize::from(is_beyond);
        }
    }
}

impl Influence<'_> {
    /// Goes on until the group behind those that count does so as well; R registers, or as many as there are.
    #[inline(always)]
    fn walk<I: Isa<f64>, const R: usize>(&self, isa: I, walk: &mut Walk) -> bool {
        let Self { plan, scaled, limit, .. } = *self;
        let (order, end) = (plan.order, plan.order + plan.widest / 2);
        let count = if R == MOST { *self.groups + 1 } else { R };
        let zero = isa.splat(0.0);
        let mut columns = [[zero; 2]; R];
        for v in 0..count {
            columns[v] = walk.columns[v].each_ref().map(|lane| isa.load(lane));
        }
        while walk.number < end {
            let i = walk.i;
            walk.signs =
                if walk.number.is_multiple_of(SIGNED) { walk.rng.u64(..) } else { walk.signs >> commutator::ASKED };
            let mut added = isa.load(&SIGNS[walk.signs as usize % SIGNS.len()]);
            let window = plan.places - 1 - i;
            let [diagonals, uppers] = scaled.reaches().map(|reach| lanes::<f64>(&reach[window..][..count * LANES]));
            let diagonal = isa.splat(scaled.diagonal[i]);
            let upper = isa.splat(scaled.upper[if i == 0 { order - 1 } else { i - 1 }]);
            let mut below = [zero; 2];
            for v in 0..count {
                let [here, before] = columns[v];
                let one = isa.mul(isa.sub(isa.load(&diagonals[v]), diagonal), here);
                let two = isa.mul_sub(isa.load(&uppers[v]), here, isa.mul(upper, before));
                let sum = isa.add(isa.add(here, added), isa.skip::<2>(below[1], two));
                columns[v] = [isa.add(sum, isa.skip::<3>(below[0], one)), here];
                (below, added) = ([one, two], zero);
            }
            walk.number += 1;
            walk.i = if i + 1 == order { 0 } else { i + 1 };
            let mut highest = [0.0f64; LANES];
            isa.store(&mut highest, columns[count - 1][0]);
            // NaN counts as well.
            if highest.iter().any(|x| !(-limit..=limit).contains(x)) {
                for (lanes, column) in walk.columns.iter_mut().zip(&columns[..count]) {
                    lanes.iter_mut().zip(column).for_each(|(lane, v)| isa.store(lane, *v));
                }
                if let Some([here, _]) = walk.columns.get_mut(count) {
                    isa.store(here, isa.add(isa.skip::<2>(below[1], zero), isa.skip::<3>(below[0], zero)));
                }
                return true;
            }
        }
        false
    }
}
