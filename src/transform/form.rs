//! How the rows of a batch are arranged for a transform: side by side in lanes, or one alone.

use std::ops::Range;

use super::RealTransform;
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
    single: bool,
    /// Rows that are transformed one by one where more would fill a block.
    few: usize,
}

/// Up to this many rows out of `LANES` are transformed one by one rather than beside empty lanes: half of them, or a third
/// where signals are so short that the calls count.
fn few(lanes: usize, width: usize) -> usize {
    if width < 512 { lanes.div_ceil(3) } else { lanes / 2 }
}

/// Whether sums over blocks of one form are still zero, as a batch without such blocks leaves them. Without an early end
/// inside a chunk, so that it is compiled to vector instructions.
pub(crate) fn untouched<T: Scalar>(sums: &[T]) -> bool {
    sums.chunks(256).all(|chunk| chunk.iter().fold(true, |all, sum| all & sum.is_zero()))
}

/// Blocks of more bytes than this leave the second-level cache, and rows are transformed one by one for that.
const BLOCK_BYTES: usize = 1 << 19;

/// Into how many blocks and single signals the transforms of length n cut a batch, without planning them.
pub(crate) fn arrangement<T: Scalar>(n: usize, batch: usize) -> (usize, usize) {
    let width = if n.is_multiple_of(2) { n } else { 2 * n };
    let forms = Forms::new::<T>(width, super::single::exists::<T>(n));
    if !forms.lanes {
        return (0, batch);
    }
    let rest = batch % T::LANES;
    let alone = rest <= forms.few;
    (batch / T::LANES + usize::from(rest > 0 && !alone), if alone { rest } else { 0 })
}

impl Forms {
    pub(super) fn new<T: Scalar>(width: usize, single: bool) -> Self {
        let lanes = !single || width * T::LANES * size_of::<T>() < BLOCK_BYTES;
        Self { lanes, single, few: if single { few(T::LANES, width) } else { 0 } }
    }

    /// Whether an arrangement is used.
    pub fn has(self, form: Form) -> bool {
        if form == Form::Lanes { self.lanes } else { self.single }
    }

    /// The arrangements, each with the place of its spectra among numbers that hold `spectra` of them for each.
    pub fn each<T: Scalar>(
        self,
        transform: &RealTransform<T>,
        spectra: usize,
    ) -> impl Iterator<Item = (Form, Range<usize>)> {
        let forms = [(Form::Lanes, self.lanes), (Form::Single, self.single)];
        let mut start = 0;
        forms.into_iter().filter(|&(_, used)| used).map(move |(form, _)| {
            let place = start..start + spectra * transform.width(form);
            start = place.end;
            (form, place)
        })
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
