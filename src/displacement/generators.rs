//! Generators of a displacement.

use crate::error::{all_finite, has_length, zeros};
use crate::linalg::{Svd, svd};
use crate::shape::Shape;
use crate::unstructured::gemm::gemm_tn;
use crate::{Error, Result, Scalar};

/// How many columns the generators of a displacement get.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Truncation<T> {
    /// Exactly so many, at most min(rows, cols). What is left out is the smallest singular values.
    Rank(usize),
    /// As many as the displacement rank at this relative tolerance, see
    /// [`rank`](super::DisplacementOperator::rank).
    Tolerance(T),
}

/// The factors of an m×n displacement `G Hᵀ` of rank r: G is m×r, H is n×r.
///
/// Both are stored one column a row, as the parameters of this crate's matrices are.
#[derive(Debug, Clone, PartialEq)]
pub struct Generators<T> {
    /// Rows m of the matrix.
    pub rows: usize,
    /// Columns n of the matrix.
    pub cols: usize,
    /// Columns r of G and of H.
    pub rank: usize,
    /// The columns of G, one a row: r×m.
    pub g: Vec<T>,
    /// The columns of H, one a row: r×n.
    pub h: Vec<T>,
}

impl<T: Scalar> Generators<T> {
    /// Generators of an m×n displacement from the columns of G (`g`, r×m) and of H (`h`, r×n), one a row each.
    ///
    /// # Errors
    /// [`Error::EmptyShape`] without rows or columns, [`Error::TooLarge`] for a size that overflows, [`Error::Length`]
    /// for slices of another length, [`Error::NotFinite`] for numbers that are not finite. Any rank is allowed, even one
    /// above min(m, n).
    pub fn new(rows: usize, cols: usize, rank: usize, g: Vec<T>, h: Vec<T>) -> Result<Self> {
        let generators = Self { rows, cols, rank, g, h };
        generators.check()?;
        Ok(generators)
    }

    /// The displacement `G Hᵀ`, row-major m×n, in O(mnr).
    ///
    /// # Errors
    /// Those of [`new`](Self::new), since the fields are public; [`Error::NotFinite`] for numbers that overflow,
    /// [`Error::Memory`].
    pub fn displacement(&self) -> Result<Vec<T>> {
        self.check()?;
        let mut d = zeros("the displacement", self.rows * self.cols)?;
        gemm_tn(&self.g, &self.h, &mut d, [self.rows, self.rank, self.cols]);
        all_finite("displacement", &d)?;
        Ok(d)
    }

    fn check(&self) -> Result<()> {
        let Self { rows, cols, rank, .. } = *self;
        let too_large = Error::TooLarge { rows, cols, rank: Some(rank) };
        if Shape::new(rows, cols)?.check_dense().is_err() {
            return Err(too_large);
        }
        let (Some(g), Some(h)) = (rows.checked_mul(rank), cols.checked_mul(rank)) else {
            return Err(too_large);
        };
        has_length("generator G", &self.g, g)?;
        has_length("generator H", &self.h, h)?;
        all_finite("generator G", &self.g)?;
        all_finite("generator H", &self.h)
    }

    /// The best approximation of rank `rank` to an m×n displacement, each singular value shared by G and H.
    pub(super) fn truncated(d: &[T], rows: usize, cols: usize, rank: impl FnOnce(&[T]) -> usize) -> Self {
        let Svd { mut u, s, mut v } = svd(d, rows, cols);
        let rank = rank(&s);
        for (vectors, len) in [(&mut u, rows), (&mut v, cols)] {
            vectors.truncate(rank * len);
            for (vector, s) in vectors.chunks_exact_mut(len).zip(&s) {
                vector.iter_mut().for_each(|x| *x *= s.sqrt());
            }
        }
        Self { rows, cols, rank, g: u, h: v }
    }
}
