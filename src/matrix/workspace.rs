//! Scratch memory that is allocated once and used again.

use crate::Scalar;

/// Reusable scratch memory for products and gradients of matrices of any family and shape.
///
/// It grows to what the largest operation so far needed; from then on nothing is allocated.
#[derive(Debug, Clone, Default)]
pub struct Workspace<T> {
    numbers: Vec<T>,
}

/// Scratch starts on a cache line, so that no register's worth straddles two.
const ALIGNMENT: usize = 64;

impl<T: Scalar> Workspace<T> {
    /// An empty workspace.
    pub fn new() -> Self {
        Self { numbers: Vec::new() }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.numbers.capacity() * size_of::<T>()
    }

    pub(crate) fn slice(&mut self, len: usize) -> &mut [T] {
        let padding = ALIGNMENT / size_of::<T>();
        if self.numbers.len() < len + padding {
            // Nothing is copied, and memory that is not used yet is not touched.
            self.numbers = Vec::new();
            self.numbers = vec![T::zero(); len + padding];
        }
        let skip = self.numbers.as_ptr().align_offset(ALIGNMENT).min(padding);
        &mut self.numbers[skip..skip + len]
    }
}

/// Cuts the first `len` numbers off a slice of scratch.
pub(crate) fn take<'a, T>(scratch: &mut &'a mut [T], len: usize) -> &'a mut [T] {
    let (head, tail) = std::mem::take(scratch).split_at_mut(len);
    *scratch = tail;
    head
}
