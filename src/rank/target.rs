//! The rank that keeps to a budget or to an error.

use super::{Factors, leading_entries};
use crate::error::has_memory;
use crate::linalg::norm;
use crate::matrix::{Matrix, Parameters, Structure};
use crate::shape::Shape;
use crate::{Error, Result, Scalar};

/// What decides a rank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RankTarget {
    /// The rank itself.
    Rank(usize),
    /// At most so many parameters.
    Parameters(usize),
    /// At most so many bytes of parameters, of the type that the matrix has them in. The header of a file comes on top:
    /// some hundred bytes for a matrix.
    Bytes(usize),
    /// The relative Frobenius error `‖M − M_r‖/‖M‖` of the matrix, not of its displacement, to be at most this.
    RelativeError(f64),
}

impl<T: Scalar> Matrix<T> {
    /// The rank that meets a target: for a number of parameters or bytes the largest one that keeps to it, which may be
    /// above the present rank; for a relative error the smallest one, up to the present rank, that [`Matrix::shrink`]
    /// can go to.
    ///
    /// O(1), but O(mn r log r) for a relative error, or log r dense copies where the family has no
    /// [`Reconstruction`](crate::Reconstruction) (LDR-TD, and LDR-SD far from the shift).
    ///
    /// # Errors
    ///
    /// [`Error::RankChoice`] for a family without a rank, [`Error::RankTooLarge`], [`Error::OverBudget`] when even rank 0 has
    /// more parameters than allowed, [`Error::OutOfRange`] for a relative error that is negative or not a number;
    /// [`Error::TooLarge`] or [`Error::Memory`] where there is no room for the plan of a rank that is tried or, for a relative
    /// error, for dense copies.
    pub fn rank_for(&self, target: RankTarget) -> Result<usize> {
        match target {
            RankTarget::Rank(rank) => self.structure_at(rank).map(|_| rank),
            RankTarget::Parameters(budget) => affordable(&**self.structure(), budget),
            RankTarget::Bytes(bytes) => affordable(&**self.structure(), bytes / size_of::<T>()),
            RankTarget::RelativeError(error) => self.rank_for_error(error),
        }
    }

    fn rank_for_error(&self, error: f64) -> Result<usize> {
        if !(0.0..=f64::INFINITY).contains(&error) {
            return Err(Error::OutOfRange { what: "the relative error", value: error, range: "[0, ∞]" });
        }
        let rank = self.generated_rank()?;
        let shape = Shape { rows: self.rows(), cols: self.cols() };
        shape.check_dense()?;
        has_memory::<f64>("the entries", 2 * shape.rows * shape.cols)?;
        if error >= 1.0 {
            // Zero is as near as that.
            return Ok(0);
        }
        let wide: Vec<f64> = self.parameters().iter().map(|p| p.wide()).collect();
        let (g, h) = shape.generators(rank, &wide);
        let factors = Factors::of(shape, rank, g, h);
        let map = self.structure().reconstruction(Parameters(self.parameters()));
        let entries = |r: usize| match &map {
            Some(map) => Ok(leading_entries(&**map, shape, r, &factors)),
            None => self.entries_at(r, shape, &factors),
        };
        let whole = entries(rank)?;
        let allowed = error * norm(&whole);
        let suffices = |r: usize| -> Result<bool> {
            let mut rest = entries(r)?;
            rest.iter_mut().zip(&whole).for_each(|(r, w)| *r -= w);
            Ok(norm(&rest) <= allowed)
        };
        // Errors fall with the rank as a rule, not always: what bisection finds suffices in any case.
        let (mut too_low, mut enough) = (0, rank);
        if suffices(0)? {
            return Ok(0);
        }
        while enough - too_low > 1 {
            let middle = too_low + (enough - too_low) / 2;
            if suffices(middle)? { enough = middle } else { too_low = middle }
        }
        Ok(enough)
    }

    /// The entries at a lower rank, where the displacement does not lead to them by a map of its own.
    fn entries_at(&self, rank: usize, shape: Shape, factors: &Factors<f64>) -> Result<Vec<f64>> {
        let structure = self.structure_at(rank)?;
        let Shape { rows: m, cols: n } = shape;
        let generators = factors.g[..rank * m].iter().chain(&factors.h[..rank * n]).map(|&x| T::of(x));
        let rest = self.parameters().iter().copied().skip(self.generated_rank()? * (m + n));
        let mut dense = vec![T::zero(); m * n];
        structure.write_dense(Parameters(&generators.chain(rest).collect::<Vec<_>>()), &mut dense);
        Ok(dense.iter().map(|d| d.wide()).collect())
    }
}

/// The largest rank of a structure's family whose parameters keep to a budget.
pub(crate) fn affordable<T: Scalar>(structure: &dyn Structure<T>, budget: usize) -> Result<usize> {
    let (m, n) = (structure.rows(), structure.cols());
    let none = Error::RankChoice { family: structure.family().name(), given: true };
    let fixed = structure.at_rank(0).unwrap_or(Err(none))?.layout().len();
    let Some(left) = budget.checked_sub(fixed) else {
        return Err(Error::OverBudget { budget, least: fixed });
    };
    Ok((left / (m + n)).min(m.min(n)))
}
