//! Named places in a flat slice of parameters.

use std::ops::Range;

/// One named tensor among the parameters of a matrix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    /// The name, unique within the matrix, such as `"G"`.
    pub name: &'static str,
    /// The shape, row-major.
    pub shape: Vec<usize>,
    /// The place in the flat slice.
    pub range: Range<usize>,
}

/// The named tensors that make up the flat slice of parameters of a matrix, in order and without gaps.
///
/// ```
/// use displace::{Builder, Family};
///
/// let matrix = Builder::new(Family::ToeplitzLike, 6, 4).rank(2).build::<f32>()?;
/// let h = matrix.layout().tensor("H").unwrap();
/// assert_eq!((h.shape.as_slice(), h.range.clone()), (&[2, 4][..], 12..20));
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    tensors: Vec<Tensor>,
}

impl Layout {
    /// A layout without tensors.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor behind those that are there. One of more numbers than can be counted has `usize::MAX`, which no slice holds.
    #[must_use]
    pub fn with(mut self, name: &'static str, shape: &[usize]) -> Self {
        let start = self.len();
        let len = if shape.contains(&0) { 0 } else { shape.iter().copied().fold(1, usize::saturating_mul) };
        self.tensors.push(Tensor { name, shape: shape.to_vec(), range: start..start.saturating_add(len) });
        self
    }

    /// The tensors, in order.
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The tensor of a name, if there is one.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    /// Numbers in all tensors together.
    pub fn len(&self) -> usize {
        self.tensors.last().map_or(0, |tensor| tensor.range.end)
    }

    /// Whether there are no parameters.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
