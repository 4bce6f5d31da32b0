//! Which structure fits a matrix best.

use std::fmt;

use super::spectrum::{singular_values, wide};
use crate::compress::{Compression, quietly};
use crate::linalg::norm;
use crate::shape::Shape;
use crate::{Error, Family, Result, Scalar};

/// A structure that a matrix may be compressed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A few entries, at any places; the places are not counted as parameters.
    Sparse,
    /// Rank r.
    LowRank,
    /// Displacement rank r under shifts.
    ToeplitzLike,
    /// The same with the columns reversed.
    HankelLike,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Sparse, Self::LowRank, Self::ToeplitzLike, Self::HankelLike];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sparse => "sparse",
            Self::LowRank => "low rank",
            Self::ToeplitzLike => "Toeplitz-like",
            Self::HankelLike => "Hankel-like",
        }
    }
}

/// How well a structure fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// The structure.
    pub kind: Kind,
    /// `‖M − fit‖ / ‖M‖`, with the Frobenius norm.
    pub error: f64,
}

/// Which of four structures fits an m×n matrix best, each with r(m + n) parameters.
///
/// The sparse and the low-rank fit are the best there are; the Toeplitz-like and the Hankel-like one are what
/// [`compress`](crate::compress) finds, since no method for the best one is known. Displayed, a verdict is one line.
///
/// ```
/// use displace::analysis::{Kind, Verdict};
///
/// let toeplitz: Vec<f64> = (0..64).map(|k| [3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0][(k / 8 + 8 - k % 8) % 8]).collect();
/// let verdict = Verdict::new(&toeplitz, 8, 8, 2)?;
/// assert_eq!(verdict.best().kind, Kind::ToeplitzLike);
/// assert!(verdict.to_string().starts_with("Toeplitz-like fits best"), "{verdict}");
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    rank: usize,
    parameters: usize,
    fits: [Fit; 4],
}

/// Errors that differ by less than this share are level.
const LEVEL: f64 = 0.02;

/// Below this, an error is rounding.
const EXACT: f64 = 1e-6;

/// From this error on, nothing fits.
const POOR: f64 = 0.9;

impl Verdict {
    /// Fits a matrix, row-major m×n, with r(m + n) parameters a structure. O(mnp) for the low-rank fit, p = min(m, n); O(mnr)
    /// a step of the two compressions.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::TooLarge`], [`Error::Length`], [`Error::NotFinite`]; [`Error::RankTooLarge`] for an r
    /// above p, [`Error::OutOfRange`] for r = 0, and as for [`Compression::of`] and [`Compression::family`].
    pub fn new<T: Scalar>(entries: &[T], rows: usize, cols: usize, rank: usize) -> Result<Self> {
        let matrix = wide(entries, rows, cols)?;
        if rank == 0 {
            return Err(Error::OutOfRange { what: "the rank", value: 0.0, range: "[1, min(m, n)]" });
        }
        Shape::new(rows, cols)?.check_rank(rank)?;
        let (size, parameters) = (norm(&matrix), rank * (rows + cols));
        let compressed = |family| {
            let compression = Compression::of(rows, cols, &matrix)?;
            Ok(compression.family::<f64>(family, Some(rank), &mut quietly)?.relative_error)
        };
        let error = |kind| match kind {
            Kind::Sparse => Ok(sparse_error(&matrix, parameters) / size),
            Kind::LowRank => Ok(norm(&singular_values(&matrix, rows, cols)?[rank..]) / size),
            Kind::ToeplitzLike => compressed(Family::ToeplitzLike),
            Kind::HankelLike => compressed(Family::HankelLike),
        };
        let mut fits = Kind::ALL.map(|kind| Fit { kind, error: 0.0 });
        for fit in fits.iter_mut().filter(|_| size > 0.0) {
            fit.error = error(fit.kind)?;
        }
        fits.sort_by(|a, b| a.error.total_cmp(&b.error));
        Ok(Self { rank, parameters, fits })
    }

    /// The rank r of the structures that have one.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// The parameters of each structure, r(m + n).
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// All fits, the best one first.
    pub fn fits(&self) -> &[Fit; 4] {
        &self.fits
    }

    /// The best fit.
    pub fn best(&self) -> Fit {
        self.fits[0]
    }

    /// How many times the error of the best fit the next best one has; infinite if the best one is exact.
    pub fn lead(&self) -> f64 {
        let [best, next, ..] = self.fits;
        if best.error == next.error { 1.0 } else { next.error / best.error }
    }
}

/// `‖M − fit‖` for the fit that keeps the `count` largest entries.
fn sparse_error(matrix: &[f64], count: usize) -> f64 {
    if count >= matrix.len() {
        return 0.0;
    }
    let mut rest = matrix.to_vec();
    let (_, _, smaller) = rest.select_nth_unstable_by(count.saturating_sub(1), |a, b| b.abs().total_cmp(&a.abs()));
    norm(smaller)
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [best, next, others @ ..] = self.fits;
        let (level, exact) = (self.lead() < 1.0 + LEVEL, best.error < EXACT);
        match (best.error >= POOR, exact && next.error < EXACT, level) {
            (true, ..) => write!(f, "nothing fits; {} comes nearest", best.kind.name())?,
            (_, true, _) | (_, _, true) => write!(f, "{} and {} fit level", best.kind.name(), next.kind.name())?,
            _ => write!(f, "{} fits best", best.kind.name())?,
        }
        write!(f, ": error {} at {} parameters (r = {}); ", Share(best.error), self.parameters, self.rank)?;
        write!(f, "{} {}", next.kind.name(), Share(next.error))?;
        if !level && !exact {
            let lead = self.lead();
            if lead < 1e3 { write!(f, " ({lead:.1}× as much)")? } else { write!(f, " ({lead:.0e}× as much)")? }
        }
        others.iter().try_for_each(|fit| write!(f, ", {} {}", fit.kind.name(), Share(fit.error)))
    }
}

/// An error in a form that suits its size.
struct Share(f64);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0.0 => write!(f, "0"),
            small if small < 1e-3 => write!(f, "{small:.1e}"),
            large => write!(f, "{large:.3}"),
        }
    }
}
