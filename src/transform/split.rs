//! The additions that split a real ring in two.

use super::isa::{Isa, Kernel, lanes_mut};
use crate::Scalar;

/// Replaces the halves a and b of a block by a + b and a − b.
pub(super) fn sum_and_difference<T: Scalar>(block: &mut [T]) {
    T::run(SumAndDifference(block));
}

struct SumAndDifference<'a, T>(&'a mut [T]);

impl<T: Scalar> Kernel<T> for SumAndDifference<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let half = self.0.len() / 2;
        let (low, high) = self.0.split_at_mut(half);
        for (a, b) in lanes_mut::<T>(low).iter_mut().zip(lanes_mut::<T>(high)) {
            let (x, y) = (isa.load(a), isa.load(b));
            isa.store(a, isa.add(x, y));
            isa.store(b, isa.sub(x, y));
        }
    }
}

/// Changes the sign of the elements at odd places.
pub(super) fn alternate_signs<T: Scalar>(block: &mut [T]) {
    for lane in lanes_mut::<T>(block).iter_mut().skip(1).step_by(2) {
        for x in lane.as_mut() {
            *x = -*x;
        }
    }
}

/// The same for one signal alone.
pub(super) fn alternate_single_signs<T: Scalar>(signal: &mut [T]) {
    signal.iter_mut().skip(1).step_by(2).for_each(|x| *x = -*x);
}
