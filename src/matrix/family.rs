//! The families of matrices by name.

use std::fmt;

use crate::displacement::ShiftPair;

/// A family of matrices that a [`Builder`](crate::Builder) can build.
///
/// Feature `serde` writes a family as its name in lower case, with hyphens: `"toeplitz-like"`, `"low-rank"`,
/// `{"f-circulant": 0.5}`; a family outside this crate is refused.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Family {
    /// [`Circulant`](crate::structured::Circulant): what wraps around keeps its sign.
    Circulant,
    /// [`Circulant`](crate::structured::Circulant): what wraps around changes its sign.
    SkewCirculant,
    /// [`FCirculant`](crate::structured::FCirculant): what wraps around is multiplied by f.
    FCirculant(f64),
    /// [`Toeplitz`](crate::structured::Toeplitz).
    Toeplitz,
    /// [`Hankel`](crate::structured::Hankel).
    Hankel,
    /// [`ToeplitzPlusHankel`](crate::structured::ToeplitzPlusHankel).
    ToeplitzPlusHankel,
    /// [`Vandermonde`](crate::structured::Vandermonde), of real nodes.
    Vandermonde,
    /// [`Vandermonde`](crate::structured::Vandermonde), transposed.
    TransposedVandermonde,
    /// [`CircleVandermonde`](crate::structured::CircleVandermonde), of nodes on the unit circle.
    CircleVandermonde,
    /// [`CircleVandermonde`](crate::structured::CircleVandermonde), transposed.
    TransposedCircleVandermonde,
    /// [`ToeplitzLike`](crate::ldr::ToeplitzLike), of a displacement rank.
    ToeplitzLike,
    /// [`HankelLike`](crate::ldr::HankelLike), of a displacement rank.
    HankelLike,
    /// [`ShiftLike`](crate::ldr::ShiftLike), of a displacement rank under a pair of shifts.
    ShiftLike(ShiftPair),
    /// [`LearnedOperators`](crate::ldr::LearnedOperators) on the subdiagonal, LDR-SD, of a displacement rank.
    LearnedSubdiagonal,
    /// [`LearnedOperators`](crate::ldr::LearnedOperators) on three diagonals, LDR-TD, of a displacement rank.
    LearnedTridiagonal,
    /// [`Cauchy`](crate::structured::Cauchy).
    Cauchy,
    /// [`CauchyLike`](crate::ldr::CauchyLike), of a displacement rank.
    CauchyLike,
    /// [`VandermondeLike`](crate::ldr::VandermondeLike), of a displacement rank, its nodes among the parameters.
    VandermondeLike,
    /// [`CircleVandermondeLike`](crate::ldr::CircleVandermondeLike), of a displacement rank, its nodes among the
    /// parameters.
    CircleVandermondeLike,
    /// [`LowRank`](crate::unstructured::LowRank), of a rank.
    LowRank,
    /// [`Dense`](crate::unstructured::Dense).
    Dense,
    /// A type outside this crate.
    #[cfg_attr(feature = "serde", serde(skip))]
    Other(#[cfg_attr(feature = "serde", serde(skip))] &'static str),
}

impl Family {
    /// All families that a builder can build, in the order of the README's table, except the two that take a parameter,
    /// [`Family::FCirculant`] and [`Family::ShiftLike`].
    pub const ALL: [Family; 19] = [
        Family::Circulant,
        Family::SkewCirculant,
        Family::Toeplitz,
        Family::Hankel,
        Family::ToeplitzPlusHankel,
        Family::ToeplitzLike,
        Family::HankelLike,
        Family::Vandermonde,
        Family::TransposedVandermonde,
        Family::VandermondeLike,
        Family::CircleVandermonde,
        Family::TransposedCircleVandermonde,
        Family::CircleVandermondeLike,
        Family::Cauchy,
        Family::CauchyLike,
        Family::LearnedSubdiagonal,
        Family::LearnedTridiagonal,
        Family::LowRank,
        Family::Dense,
    ];

    /// The name as in a table of results: `"Toeplitz-like"`, `"low rank"`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Circulant => "circulant",
            Self::SkewCirculant => "skew-circulant",
            Self::FCirculant(_) => "f-circulant",
            Self::Toeplitz => "Toeplitz",
            Self::Hankel => "Hankel",
            Self::ToeplitzPlusHankel => "Toeplitz+Hankel",
            Self::Vandermonde => "Vandermonde",
            Self::TransposedVandermonde => "transposed Vandermonde",
            Self::CircleVandermonde => "circle Vandermonde",
            Self::TransposedCircleVandermonde => "transposed circle Vandermonde",
            Self::ToeplitzLike => "Toeplitz-like",
            Self::HankelLike => "Hankel-like",
            Self::ShiftLike(_) => "shift-like",
            Self::LearnedSubdiagonal => "LDR-SD",
            Self::LearnedTridiagonal => "LDR-TD",
            Self::Cauchy => "Cauchy",
            Self::CauchyLike => "Cauchy-like",
            Self::VandermondeLike => "Vandermonde-like",
            Self::CircleVandermondeLike => "circle Vandermonde-like",
            Self::LowRank => "low rank",
            Self::Dense => "dense",
            Self::Other(name) => name,
        }
    }

    /// The factor by which to multiply the learning rate of a dense layer, for gradient descent on the parameters of a matrix
    /// of this family and rank: a hint where to start searching, whatever the [`Init`](crate::Init).
    ///
    /// Step sizes do not transfer between structures: an entry of a generator moves whole diagonals of the matrix, an entry
    /// of a dense matrix one number; and r generators, each of variance proportional to 1/√r, move it √r times as far as one.
    /// The factors are derived from what was best on images (the example `tradeoff`). Optimisers that scale gradients, such
    /// as Adam, need them less.
    pub fn learning_rate_hint(self, rank: usize) -> f64 {
        let share = (rank.max(1) as f64).sqrt().recip();
        match self {
            Self::Dense | Self::Other(_) => 1.0,
            Self::LowRank => 2.0 * share,
            _ => share / 6.0,
        }
    }

    /// Whether a matrix of the family has a rank to choose.
    pub fn has_rank(self) -> bool {
        matches!(
            self,
            Self::ToeplitzLike
                | Self::HankelLike
                | Self::ShiftLike(_)
                | Self::LearnedSubdiagonal
                | Self::LearnedTridiagonal
                | Self::VandermondeLike
                | Self::CircleVandermondeLike
                | Self::CauchyLike
                | Self::LowRank
        )
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
