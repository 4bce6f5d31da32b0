//! Shapes of matrices, and the generators `G` and `H` that many families share.

use crate::error::{has_length, has_memory};
use crate::matrix::Layout;
use crate::unstructured::gemm::{gemm_nn_add, gemm_nt};
use crate::{Error, Result, Scalar};

/// Rows m and columns n, neither of them zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub rows: usize,
    pub cols: usize,
}

/// The largest side of a matrix: transform lengths and twiddle angles stay far from overflow.
const MAX_SIDE: usize = 1 << 40;

/// The longest transform: places in spectra and on grids take 32 bits. Signal, tables and scratch of one that long are above a
/// hundred gigabytes.
const MAX_TRANSFORM: usize = 1 << 32;

/// Numbers that the tables of a transform hold at least, for each of the signal.
const TABLES: usize = 2;

impl Shape {
    pub fn new(rows: usize, cols: usize) -> Result<Self> {
        if rows == 0 || cols == 0 {
            return Err(Error::EmptyShape { rows, cols });
        }
        if rows > MAX_SIDE || cols > MAX_SIDE {
            return Err(Error::TooLarge { rows, cols, rank: None });
        }
        Ok(Self { rows, cols })
    }

    /// The larger side.
    pub fn order(self) -> usize {
        self.rows.max(self.cols)
    }

    /// Refuses a shape whose entries could not be addressed.
    pub fn check_dense(self) -> Result<()> {
        let Self { rows, cols } = self;
        let bytes = rows.checked_mul(cols).and_then(|size| size.checked_mul(16));
        bytes.filter(|&b| b <= isize::MAX as usize).map(|_| ()).ok_or(Error::TooLarge { rows, cols, rank: None })
    }

    /// Refuses more numbers than 32 bits count.
    pub fn check_count(self, numbers: usize) -> Result<()> {
        let Self { rows, cols } = self;
        if numbers <= MAX_TRANSFORM { Ok(()) } else { Err(Error::TooLarge { rows, cols, rank: None }) }
    }

    /// Refuses a transform of a length that 32 bits do not count, or for whose tables there is no memory: most machines refuse
    /// at once what is more than they have. (What they promise and then do not have cannot be caught.)
    pub fn check_transform<T>(self, length: usize) -> Result<()> {
        self.check_count(length)?;
        has_memory::<T>("the tables of a transform", TABLES * length)
    }

    /// Refuses a rank above the smaller side, and one whose generators could not be addressed.
    pub fn check_rank(self, rank: usize) -> Result<()> {
        let Self { rows, cols } = self;
        let max = rows.min(cols);
        if rank > max {
            return Err(Error::RankTooLarge { rank, max, rows, cols });
        }
        let bytes = (rows + cols).checked_mul(rank).and_then(|size| size.checked_mul(256));
        bytes.filter(|&b| b <= isize::MAX as usize).map(|_| ()).ok_or(Error::TooLarge { rows, cols, rank: Some(rank) })
    }

    /// The layout of r generators: `"G"`, r×m, and `"H"`, r×n.
    pub fn generator_layout(self, rank: usize) -> Layout {
        Layout::new().with("G", &[rank, self.rows]).with("H", &[rank, self.cols])
    }

    /// G and H out of a flat slice.
    pub fn generators<T>(self, rank: usize, parameters: &[T]) -> (&[T], &[T]) {
        parameters[..rank * (self.rows + self.cols)].split_at(rank * self.rows)
    }

    /// G and H out of a flat slice.
    pub fn generators_mut<T>(self, rank: usize, parameters: &mut [T]) -> (&mut [T], &mut [T]) {
        parameters[..rank * (self.rows + self.cols)].split_at_mut(rank * self.rows)
    }

    /// The flat slice of G and H, with their lengths checked.
    pub fn join_generators<T: Scalar>(self, rank: usize, g: &[T], h: &[T]) -> Result<Vec<T>> {
        has_length("G", g, rank * self.rows)?;
        has_length("H", h, rank * self.cols)?;
        Ok([g, h].concat())
    }

    /// Adds to `gradient` the gradient in G and H of a loss whose gradient in `G Hᵀ` is `dense`.
    pub fn pull_back_generators<T: Scalar>(self, rank: usize, parameters: &[T], dense: &[T], gradient: &mut [T]) {
        let Self { rows: m, cols: n } = self;
        let (g, h) = self.generators(rank, parameters);
        let (dg, dh) = self.generators_mut(rank, gradient);
        // The rows of dG are those of H times the transposed gradient; a GEMM with its operands in order writes them.
        let mut transposed = vec![T::zero(); rank * m];
        gemm_nt(h, dense, &mut transposed, [rank, n, m]);
        dg.iter_mut().zip(&transposed).for_each(|(d, &t)| *d += t);
        gemm_nn_add(g, dense, dh, [rank, m, n]);
    }
}
