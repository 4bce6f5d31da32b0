//! Between rows of a batch and lanes: transposition, zero padding, reversal.

use super::form::Form;
use super::isa::{Isa, Kernel, lanes_mut};
use crate::Scalar;

/// The direction in which the elements of a row are read or written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// First to last.
    Natural,
    /// Last to first: the exchange matrix J.
    Reversed,
}

impl Order {
    /// Puts the elements of each row into this order, in place.
    pub fn apply<T>(self, rows: &mut [T], row: usize) {
        if self == Self::Reversed {
            rows.chunks_exact_mut(row).for_each(<[T]>::reverse);
        }
    }
}

/// Puts the rows of a block, `row` numbers each, where a transform wants them, and zeros everything else of `block`.
pub fn load<T: Scalar>(form: Form, rows: &[T], row: usize, order: Order, block: &mut [T]) {
    if form == Form::Single {
        let (head, tail) = block.split_at_mut(row);
        head.copy_from_slice(rows);
        tail.fill(T::zero());
        return order.apply(head, row);
    }
    T::load(Load { rows, row, order, block });
}

/// [`load`], and a factor for each element.
pub fn load_scaled<T: Scalar>(form: Form, rows: &[T], row: usize, order: Order, factors: &[T], block: &mut [T]) {
    if form == Form::Lanes || order == Order::Reversed {
        load(form, rows, row, order, block);
        return scale(form, block, factors);
    }
    let (head, tail) = block.split_at_mut(row);
    T::run(Scaled { from: rows, factors, to: head });
    tail.fill(T::zero());
}

/// A factor for each element, and [`store`]; the block is used up.
pub fn store_scaled<T: Scalar>(form: Form, block: &mut [T], order: Order, factors: &[T], rows: &mut [T], row: usize) {
    if form == Form::Lanes || order == Order::Reversed {
        scale(form, block, factors);
        return store(form, block, order, rows, row);
    }
    T::run(Scaled { from: block, factors, to: rows });
}

/// Multiplies the elements of the signals in a block, one factor an element.
pub fn scale<T: Scalar>(form: Form, block: &mut [T], factors: &[T]) {
    if form == Form::Single {
        return block.iter_mut().zip(factors).for_each(|(x, &factor)| *x *= factor);
    }
    for (elements, &factor) in block.chunks_exact_mut(T::LANES).zip(factors) {
        elements.iter_mut().for_each(|x| *x *= factor);
    }
}

/// One signal's elements by one factor each, from one place to another.
struct Scaled<'a, T> {
    from: &'a [T],
    factors: &'a [T],
    to: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Scaled<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, _: I) {
        for ((to, &from), &factor) in self.to.iter_mut().zip(self.from).zip(self.factors) {
            *to = from * factor;
        }
    }
}

/// Takes the first `row` elements of the signals of a block out into rows.
pub fn store<T: Scalar>(form: Form, block: &[T], order: Order, rows: &mut [T], row: usize) {
    if form == Form::Single {
        rows.copy_from_slice(&block[..row]);
        return order.apply(rows, row);
    }
    T::store(Store { block, order, rows, row });
}

pub struct Load<'a, T> {
    rows: &'a [T],
    row: usize,
    order: Order,
    block: &'a mut [T],
}

impl<T: Scalar> Kernel<T> for Load<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let Self { rows, row, order, block } = self;
        let count = rows.len() / row;
        block[row * T::LANES..].fill(T::zero());
        let block = &mut lanes_mut::<T>(block)[..row];
        let place = |k: usize| if order == Order::Natural { k } else { row - 1 - k };
        let mut k = 0;
        while k + T::LANES <= row {
            let mut tile = T::tile(isa.splat(T::zero()));
            for l in 0..count {
                tile.as_mut()[l] = isa.load(lane_at::<T>(&rows[l * row + k..]));
            }
            isa.transpose(&mut tile);
            for l in 0..T::LANES {
                isa.store(&mut block[place(k + l)], tile.as_ref()[l]);
            }
            k += T::LANES;
        }
        for k in k..row {
            let lane = block[place(k)].as_mut();
            lane.fill(T::zero());
            for l in 0..count {
                lane[l] = rows[l * row + k];
            }
        }
    }
}

pub struct Store<'a, T> {
    block: &'a [T],
    order: Order,
    rows: &'a mut [T],
    row: usize,
}

impl<T: Scalar> Kernel<T> for Store<'_, T> {
    #[inline(always)]
    fn run<I: Isa<T>>(self, isa: I) {
        let Self { block, order, rows, row } = self;
        let count = rows.len() / row;
        let block = &super::isa::lanes::<T>(block)[..row];
        let place = |k: usize| if order == Order::Natural { k } else { row - 1 - k };
        let mut k = 0;
        while k + T::LANES <= row {
            let mut tile = T::tile(isa.splat(T::zero()));
            for l in 0..T::LANES {
                tile.as_mut()[l] = isa.load(&block[place(k + l)]);
            }
            isa.transpose(&mut tile);
            for l in 0..count {
                isa.store(&mut lanes_mut::<T>(&mut rows[l * row + k..][..T::LANES])[0], tile.as_ref()[l]);
            }
            k += T::LANES;
        }
        for k in k..row {
            let lane = block[place(k)].as_ref();
            for l in 0..count {
                rows[l * row + k] = lane[l];
            }
        }
    }
}

/// The first register's worth of a slice.
#[inline(always)]
fn lane_at<T: Scalar>(from: &[T]) -> &T::Lane {
    &super::isa::lanes::<T>(&from[..T::LANES])[0]
}
