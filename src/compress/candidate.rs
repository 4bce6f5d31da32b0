//! What a matrix can be compressed into, and the search over all of it.

use std::fmt;

use super::{Compressed, Compression, Flow, Progress, linear};
use crate::displacement::ShiftPair;
use crate::rank::affordable;
use crate::{Builder, Error, Family, Result, Scalar};

/// What a matrix can be compressed into under a budget.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Candidate {
    /// A family, at the largest rank that the budget allows if it has one.
    Family(Family),
    /// A low-rank matrix plus one of a family, which share the budget.
    LowRankPlus(Family),
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Family(family) => family.fmt(f),
            Self::LowRankPlus(family) => f.pad(&format!("low rank + {}", family.name())),
        }
    }
}

impl Candidate {
    /// All whose steps take at most O(mnr): every family except LDR-TD and those that take a parameter, but with one pair of
    /// shifts other than that of Toeplitz-like matrices.
    pub const ALL: [Candidate; 16] = [
        Self::Family(Family::Circulant),
        Self::Family(Family::SkewCirculant),
        Self::Family(Family::Toeplitz),
        Self::Family(Family::Hankel),
        Self::Family(Family::ToeplitzPlusHankel),
        Self::Family(Family::ToeplitzLike),
        Self::Family(Family::HankelLike),
        Self::Family(Family::ShiftLike(ShiftPair::TRIANGULAR)),
        Self::Family(Family::LearnedSubdiagonal),
        Self::Family(Family::VandermondeLike),
        Self::Family(Family::CircleVandermondeLike),
        Self::Family(Family::CauchyLike),
        Self::Family(Family::LowRank),
        Self::LowRankPlus(Family::ToeplitzLike),
        Self::LowRankPlus(Family::HankelLike),
        Self::Family(Family::Dense),
    ];

    /// Those that have a rank to choose.
    pub fn has_rank(self) -> bool {
        match self {
            Self::Family(family) => family.has_rank(),
            Self::LowRankPlus(_) => true,
        }
    }

    /// The largest rank, in both terms together for a sum, that keeps an m×n matrix to a budget of parameters; 0 for a family
    /// without a rank.
    ///
    /// # Errors
    ///
    /// [`Error::OverBudget`] where nothing does, not even rank 1, and what [`Builder::structure`] refuses.
    pub fn rank_within(self, rows: usize, cols: usize, budget: usize) -> Result<usize> {
        let (family, least) = match self {
            Self::Family(family) if !family.has_rank() => {
                let parameters = Builder::new(family, rows, cols).structure::<f64>()?.layout().len();
                return if parameters <= budget { Ok(0) } else { Err(Error::OverBudget { budget, least: parameters }) };
            }
            Self::Family(family) => (family, 1),
            Self::LowRankPlus(family) => (family, 2),
        };
        let structure = Builder::new(family, rows, cols).rank(1).structure::<f64>()?;
        let parameters = structure.layout().len() + (least - 1) * (rows + cols);
        if parameters > budget {
            return Err(Error::OverBudget { budget, least: parameters });
        }
        affordable(&*structure, budget)
    }
}

impl Compression {
    /// Compresses into a candidate at a rank; for a sum the rank of both terms together, shared out in the best of up to
    /// three ways.
    ///
    /// # Errors
    ///
    /// As for [`Compression::family`].
    pub fn candidate<T: Scalar>(
        &self,
        candidate: Candidate,
        rank: usize,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Result<Compressed<T>> {
        let family = match candidate {
            Candidate::Family(family) => return self.family(family, family.has_rank().then_some(rank), progress),
            Candidate::LowRankPlus(family) => family,
        };
        let mut shares = vec![rank.div_ceil(2), 1, rank.saturating_sub(1)];
        shares.retain(|&low| low <= rank);
        shares.dedup();
        if let [low] = shares[..] {
            return self.low_rank_plus(low, family, rank - low, progress);
        }
        let trial = self.clone().steps(super::TRIAL.min(self.limits.steps)).starts(1);
        let mut best: Option<(usize, Compressed<T>)> = None;
        for low in shares {
            let tried = trial.low_rank_plus(low, family, rank - low, progress)?;
            if tried.stopped {
                let better = best.map(|(_, best)| best).filter(|best| best.error() < tried.error());
                return Ok(better.map_or(tried, |best| Compressed { stopped: true, ..best }));
            }
            if best.as_ref().is_none_or(|(_, best)| tried.error() < best.error()) {
                best = Some((low, tried));
            }
        }
        match best {
            // Nothing that was not tried.
            Some((_, best)) if self.starts == 1 && self.limits.steps <= super::TRIAL => Ok(best),
            Some((low, best)) => {
                let fitted = self.low_rank_plus(low, family, rank - low, progress)?;
                let worse = fitted.stopped && best.error() < fitted.error();
                Ok(if worse { Compressed { stopped: true, ..best } } else { fitted })
            }
            None => self.low_rank_plus(rank, family, 0, progress),
        }
    }

    /// Tries all candidates under one budget of parameters and ranks them, the best first. What is over the budget even at
    /// its smallest is left out.
    ///
    /// # Errors
    ///
    /// As for [`Compression::family`].
    pub fn ranking<T: Scalar>(
        &self,
        candidates: &[Candidate],
        budget: usize,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Result<Vec<Compressed<T>>> {
        let mut ranking: Vec<Compressed<T>> = Vec::new();
        for &candidate in candidates {
            let rank = match candidate.rank_within(self.rows(), self.cols(), budget) {
                Ok(rank) => rank,
                Err(Error::OverBudget { .. }) => continue,
                Err(error) => return Err(error),
            };
            let compressed = self.candidate(candidate, rank, progress)?;
            let stopped = compressed.stopped;
            ranking.push(compressed);
            if stopped {
                break;
            }
        }
        ranking.sort_by(|a, b| a.error().total_cmp(&b.error()));
        Ok(ranking)
    }

    /// The smallest rank at which a candidate keeps to a relative error, in the norm that is minimised, and the matrix; by
    /// bisection, fitted afresh at each rank that is tried. Where no rank does, the one of full rank.
    ///
    /// # Errors
    ///
    /// As for [`Compression::family`], and [`Error::OutOfRange`] for an error that is negative or not a number.
    pub fn within_error<T: Scalar>(
        &self,
        candidate: Candidate,
        error: f64,
        progress: &mut dyn FnMut(&Progress) -> Flow,
    ) -> Result<Compressed<T>> {
        if !(0.0..=f64::INFINITY).contains(&error) {
            return Err(Error::OutOfRange { what: "the relative error", value: error, range: "[0, ∞]" });
        }
        let largest = self.rows().min(self.cols());
        // Doubling first: a fit at a high rank costs the most.
        let (mut too_low, mut rank) = (0, 1);
        let mut found = loop {
            let fitted = self.candidate(candidate, rank, progress)?;
            if fitted.error() <= error || fitted.stopped || rank == largest || !candidate.has_rank() {
                break fitted;
            }
            (too_low, rank) = (rank, (2 * rank).min(largest));
        };
        while rank - too_low > 1 && found.error() <= error && !found.stopped {
            let middle = too_low + (rank - too_low) / 2;
            let fitted = self.candidate(candidate, middle, progress)?;
            let stopped = fitted.stopped;
            if fitted.error() <= error {
                (rank, found) = (middle, fitted);
            } else {
                too_low = middle;
            }
            found.stopped |= stopped;
        }
        Ok(found)
    }
}

/// Whether a matrix of a candidate costs as many parameters at every rank.
pub(super) fn is_single(candidate: Candidate) -> bool {
    matches!(candidate, Candidate::Family(family) if linear::is_linear(family))
}
