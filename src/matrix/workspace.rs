//! Memory that is allocated once and used again.

use super::kept::Kept;
use crate::Scalar;

/// Reusable memory for products and gradients of matrices of any family and shape.
///
/// It grows to what the largest operation so far needed; from then on nothing is allocated.
///
/// It may also remember what a product with one vector left on its way, so that [`Matrix::backward`](crate::Matrix::backward) goes on
/// from there: for families that have something to keep ([`Structure::kept_len`](crate::Structure::kept_len)), and from the first backward pass
/// on that could have gone on in this workspace; before, products cost nothing more. Results do not depend on it. One product is remembered, the last:
/// layers of such a family are faster with a workspace each. A clone remembers none.
#[derive(Debug, Default)]
pub struct Workspace<T> {
    pub(super) scratch: Memory<T>,
    pub(super) kept: Kept<T>,
    /// Whether products keep anything: whether a backward pass was done that could have gone on from it.
    pub(super) keeps: bool,
}

impl<T: Clone> Clone for Workspace<T> {
    fn clone(&self) -> Self {
        Self { scratch: self.scratch.clone(), kept: Kept::new(), keeps: self.keeps }
    }
}

impl<T: Scalar> Workspace<T> {
    /// An empty workspace.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.scratch.bytes() + self.kept.bytes()
    }

    pub(crate) fn slice(&mut self, len: usize) -> &mut [T] {
        self.scratch.slice(len)
    }
}

/// Numbers that begin with a cache line, so that no register's worth straddles two.
#[derive(Debug, Clone)]
pub(super) struct Memory<T>(Vec<T>);

/// Bytes of a cache line.
const ALIGNMENT: usize = 64;

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Scalar> Memory<T> {
    const PADDING: usize = ALIGNMENT / size_of::<T>();

    pub fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<T>()
    }

    /// As many numbers as asked for, with undefined content.
    pub fn slice(&mut self, len: usize) -> &mut [T] {
        if self.0.len() < len + Self::PADDING {
            // Nothing is copied, and memory that is not used yet is not touched.
            self.0 = Vec::new();
            self.0 = vec![T::zero(); len + Self::PADDING];
        }
        let skip = self.skip();
        &mut self.0[skip..skip + len]
    }

    /// The numbers that [`Memory::slice`] gave last.
    pub fn get(&self, len: usize) -> &[T] {
        &self.0[self.skip()..][..len]
    }

    fn skip(&self) -> usize {
        self.0.as_ptr().align_offset(ALIGNMENT).min(Self::PADDING)
    }
}

/// Cuts the first `len` numbers off a slice of scratch.
pub(crate) fn take<'a, T>(scratch: &mut &'a mut [T], len: usize) -> &'a mut [T] {
    let (head, tail) = std::mem::take(scratch).split_at_mut(len);
    *scratch = tail;
    head
}
