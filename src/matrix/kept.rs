//! What a product leaves for the gradient that follows it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::workspace::Memory;
use crate::Scalar;

/// What a product with one vector left for its gradient, with what it was a product of.
#[derive(Debug)]
pub(super) struct Kept<T> {
    numbers: Memory<T>,
    /// What the matrix had prepared, and x; there is nothing without them.
    stamp: Option<Stamp>,
    x: Vec<T>,
}

/// Tells what one matrix has prepared from all else that any has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp(u64);

impl Stamp {
    /// One that there has not been.
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl<T> Kept<T> {
    /// Nothing.
    pub fn new() -> Self {
        Self { numbers: Memory::default(), stamp: None, x: Vec::new() }
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Scalar> Kept<T> {
    pub fn bytes(&self) -> usize {
        self.numbers.bytes() + self.x.capacity() * size_of::<T>()
    }

    /// Makes room for so many numbers and such an x; what there is is forgotten if it does not hold as many.
    pub fn reserve(&mut self, len: usize, x_len: usize) {
        let before = self.numbers.bytes();
        self.numbers.slice(len);
        if self.numbers.bytes() != before {
            self.stamp = None;
        }
        self.x.reserve(x_len.saturating_sub(self.x.len()));
    }

    /// Forgets what there is, and keeps what `product` with x writes to so many numbers.
    pub fn keep(&mut self, stamp: Stamp, x: &[T], len: usize, product: impl FnOnce(&mut [T])) {
        // It stays forgotten if the product panics.
        self.stamp = None;
        product(self.numbers.slice(len));
        self.x.clear();
        self.x.extend_from_slice(x);
        self.stamp = Some(stamp);
    }

    /// What the product with this x left, unless it was another that came last.
    pub fn of(&self, stamp: Stamp, x: &[T], len: usize) -> Option<&[T]> {
        (self.stamp == Some(stamp) && same(&self.x, x)).then(|| self.numbers.get(len))
    }
}

/// Whether numbers are the same to the bit.
pub(crate) fn same<T: Scalar>(a: &[T], b: &[T]) -> bool {
    bytemuck::cast_slice::<T, u8>(a) == bytemuck::cast_slice::<T, u8>(b)
}
