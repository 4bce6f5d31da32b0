//! Memory that is allocated once and used again.

use super::kept::Kept;
use crate::Scalar;

/// Reusable memory for products and gradients of matrices of any family and shape.
///
/// It grows to what the largest operation so far needed; from then on nothing is allocated but what
/// [`Matrix::apply_into`](crate::Matrix::apply_into) names.
///
/// It may also remember the intermediate results of the last product with one vector, from which
/// [`Matrix::backward`](crate::Matrix::backward) then goes on. This applies to families that keep any
/// ([`Structure::kept_len`](crate::Structure::kept_len)), and starts with the first backward pass that could have used them:
/// until then products cost nothing extra. Results do not depend on it. Only one product is remembered, so layers of such a
/// family are faster with a workspace each. A clone of the workspace remembers none.
///
/// ```
/// use displace::{Builder, Family, Workspace};
///
/// let matrix = Builder::new(Family::ToeplitzLike, 32, 48).rank(2).build::<f32>()?;
/// let (x, mut y, mut workspace) = ([0.5; 4 * 48], [0.0; 4 * 32], Workspace::new());
/// matrix.apply_into(&x, &mut y, &mut workspace)?; // allocates
/// let bytes = workspace.bytes();
/// matrix.apply_into(&x, &mut y, &mut workspace)?; // does not
/// assert_eq!(workspace.bytes(), bytes);
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Workspace<T> {
    pub(super) scratch: Memory<T>,
    pub(super) kept: Kept<T>,
    /// Whether products keep anything: whether a backward pass has been done that could have used it.
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
