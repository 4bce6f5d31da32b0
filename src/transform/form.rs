//! How the rows of a batch are arranged for a transform: side by side in lanes, or one alone.

use std::ops::Range;

use super::{RealTransform, is_fast_length, single};
use crate::Scalar;

/// An arrangement of signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `LANES` signals, one a lane.
    Lanes,
    /// One signal, with neighbouring elements in neighbouring lanes.
    Single,
}

impl Form {
    /// Signals in a block.
    pub fn signals<T: Scalar>(self) -> usize {
        if self == Self::Lanes { T::LANES } else { 1 }
    }
}

/// The arrangements that the transforms of one length use.
#[derive(Clone, Copy, Debug)]
pub struct Forms {
    lanes: bool,
    /// Rows that are transformed one by one where more would fill a block.
    few: usize,
}

/// Up to this many rows out of `LANES` are transformed one by one rather than beside empty lanes: half of them, a third
/// where signals are so short that the calls count, and a quarter without kernels for single signals.
fn few(lanes: usize, n: usize, kernel: bool) -> usize {
    match n {
        _ if !kernel => lanes / 4,
        ..512 => lanes.div_ceil(3),
        _ => lanes / 2,
    }
}

/// Whether sums over blocks of one form are still zero, as a batch without such blocks leaves them. Without an early end
/// inside a chunk, so that it is compiled to vector instructions.
pub(crate) fn untouched<T: Scalar>(sums: &[T]) -> bool {
    sums.chunks(256).all(|chunk| chunk.iter().fold(true, |all, sum| all & sum.is_zero()))
}

/// Signals whose blocks would take more bytes than this are transformed one by one: at n = 2^18 blocks are hardly
/// faster, and they take `LANES` times the scratch.
const BLOCK_BYTES: usize = 1 << 22;

/// How the transforms of one length cut a batch.
pub(crate) struct Arrangement {
    pub blocks: usize,
    pub singles: usize,
    /// Whether single signals have a kernel.
    pub kernel: bool,
}

/// The arrangement of a batch, without planning the transforms.
pub(crate) fn arrangement<T: Scalar>(n: usize, batch: usize) -> Arrangement {
    let (forms, kernel) = (Forms::new::<T>(n), single::exists::<T>(n));
    if !forms.lanes {
        return Arrangement { blocks: 0, singles: batch, kernel };
    }
    let rest = batch % T::LANES;
    let alone = rest <= forms.few;
    let blocks = batch / T::LANES + usize::from(rest > 0 && !alone);
    Arrangement { blocks, singles: if alone { rest } else { 0 }, kernel }
}

impl Forms {
    /// The arrangements for the length n.
    pub(super) fn new<T: Scalar>(n: usize) -> Self {
        let kernel = single::exists::<T>(n);
        let small = n * T::LANES * size_of::<T>() <= BLOCK_BYTES;
        Self { lanes: is_fast_length(n) && (small || !kernel), few: few(T::LANES, n, kernel) }
    }

    /// Whether an arrangement is used.
    pub fn has(self, form: Form) -> bool {
        form == Form::Single || self.lanes
    }

    /// The arrangements, each with the place of its spectra among numbers that hold `spectra` of them for each; that of
    /// single signals comes first.
    pub fn each<T: Scalar>(
        self,
        transform: &RealTransform<T>,
        spectra: usize,
    ) -> impl Iterator<Item = (Form, Range<usize>)> {
        let forms = [(Form::Single, true), (Form::Lanes, self.lanes)];
        let mut start = 0;
        forms.into_iter().filter(|&(_, used)| used).map(move |(form, _)| {
            let place = start..start + spectra * transform.width(form);
            start = place.end;
            (form, place)
        })
    }

    /// Numbers that hold `spectra` of them for each arrangement that occurs in a batch of so many: they end behind
    /// those of single signals where it has no others.
    pub fn len_for<T: Scalar>(self, transform: &RealTransform<T>, spectra: usize, batch: usize) -> usize {
        let occurs = |form| form == Form::Single || batch > self.few;
        let places = self.each(transform, spectra).filter(|(form, _)| occurs(*form));
        places.map(|(_, place)| place.end).last().unwrap_or(0)
    }

    /// Cuts a batch into blocks of rows.
    pub fn blocks<T: Scalar>(self, batch: usize) -> impl Iterator<Item = (Form, Range<usize>)> {
        let mut start = 0;
        std::iter::from_fn(move || {
            let rest = batch - start;
            if rest == 0 {
                return None;
            }
            let alone = !self.lanes || rest <= self.few;
            let form = if alone { Form::Single } else { Form::Lanes };
            let rows = if alone { 1 } else { rest.min(T::LANES) };
            let block = start..start + rows;
            start = block.end;
            Some((form, block))
        })
    }
}
