//! One builder for every family.

use std::sync::Arc;

use crate::error::zeros;
use crate::layer::Linear;
use crate::ldr::{
    CauchyLike, CircleVandermondeLike, HankelLike, LearnedOperators, ShiftLike, ToeplitzLike, VandermondeLike,
};
use crate::matrix::{Description, Family, Init, Matrix, PathChoice, Structure};
use crate::structured::{
    Cauchy, CauchyNodes, CircleVandermonde, Circulant, FCirculant, Hankel, Toeplitz, ToeplitzPlusHankel, Vandermonde,
};
use crate::unstructured::{Dense, LowRank};
use crate::{Error, Result, Scalar};

/// Builds a random matrix or layer of any family, at any rank.
///
/// ```
/// use displace::{Builder, Family, Init};
///
/// for rank in [0, 1, 4, 32] {
///     let matrix = Builder::new(Family::ToeplitzLike, 32, 48).rank(rank).init(Init::He).seed(7).build::<f32>()?;
///     assert_eq!(matrix.parameters().len(), rank * (32 + 48));
/// }
/// # Ok::<(), displace::Error>(())
/// ```
///
/// Feature `serde` reads and writes it as a map; only `family`, `rows` and `cols` have to be there:
/// `{"family": "toeplitz-like", "rows": 32, "cols": 48, "rank": 4, "init": "he"}`.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(deny_unknown_fields))]
pub struct Builder {
    family: Family,
    rows: usize,
    cols: usize,
    #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "Option::is_none"))]
    rank: Option<usize>,
    #[cfg_attr(feature = "serde", serde(default))]
    init: Init,
    #[cfg_attr(feature = "serde", serde(default))]
    seed: u64,
    #[cfg_attr(feature = "serde", serde(default))]
    path: PathChoice,
}

impl Builder {
    /// An m×n matrix of a family, with [`Init::Glorot`], seed 0 and [`PathChoice::Auto`] until set otherwise.
    pub fn new(family: Family, rows: usize, cols: usize) -> Self {
        Self { family, rows, cols, rank: None, init: Init::Glorot, seed: 0, path: PathChoice::Auto }
    }

    /// The rank, from 0 to min(m, n); needed by the families that have one, refused by the others.
    #[must_use]
    pub fn rank(mut self, rank: usize) -> Self {
        self.rank = Some(rank);
        self
    }

    /// The initialisation.
    #[must_use]
    pub fn init(mut self, init: Init) -> Self {
        self.init = init;
        self
    }

    /// The seed of the random parameters: the same seed gives the same parameters on every machine.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Who chooses between the fast and the dense path.
    #[must_use]
    pub fn path(mut self, path: PathChoice) -> Self {
        self.path = path;
        self
    }

    /// The family.
    pub fn family(&self) -> Family {
        self.family
    }

    /// Rows m.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns n.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The structure alone, for parameters that live elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::TooLarge`], [`Error::RankTooLarge`]; [`Error::Memory`] where there is none for what the
    /// structure holds, such as tables of transforms; [`Error::OutOfRange`] for the f of an f-circulant or a corner of shifts
    /// beside which `T` would lose all digits; [`Error::RankChoice`] for a rank that is missing or superfluous;
    /// [`Error::UnknownFamily`] for [`Family::Other`].
    pub fn structure<T: Scalar>(&self) -> Result<Arc<dyn Structure<T>>> {
        T::structure(self)
    }

    /// The matrix.
    ///
    /// # Errors
    ///
    /// As for [`Builder::structure`]; [`Error::Memory`] where there is none for the parameters, [`Error::OutOfRange`] for a
    /// variance that is negative or not finite.
    pub fn build<T: Scalar>(&self) -> Result<Matrix<T>> {
        let structure = self.structure::<T>()?;
        let variance = self.init.variance(self.rows, self.cols);
        if !(variance >= 0.0 && variance.is_finite()) {
            let range = "the finite numbers that are not negative";
            return Err(Error::OutOfRange { what: "the variance", value: variance, range });
        }
        let mut parameters = zeros("the parameters", structure.layout().len())?;
        structure.initialise(self.init, &mut fastrand::Rng::with_seed(self.seed), &mut parameters)?;
        Matrix::on_path(structure, parameters, self.path)
    }

    /// A matrix that is zero and yet can be trained: an update to another matrix that at first changes nothing, as adapters
    /// need.
    ///
    /// Generators G are zero and H (and nodes, where there are any) are random as for [`Builder::build`], so that the
    /// gradient in G is not zero; in families without generators all parameters are zero.
    ///
    /// # Errors
    ///
    /// As for [`Builder::build`], and [`Error::NeverZero`] for a family that has no zero matrix, such as
    /// Vandermonde.
    ///
    /// ```
    /// use displace::{Builder, Error, Family};
    ///
    /// let update = Builder::new(Family::ToeplitzLike, 3, 4).rank(2).build_update::<f32>()?;
    /// assert_eq!(update.to_dense()?, [0.0; 12]);
    /// let refused = Builder::new(Family::Vandermonde, 3, 4).build_update::<f32>();
    /// assert!(matches!(refused, Err(Error::NeverZero { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn build_update<T: Scalar>(&self) -> Result<Matrix<T>> {
        let mut matrix = self.build::<T>()?;
        let never = Error::NeverZero { family: self.family.name() };
        if matches!(self.family, Family::Vandermonde | Family::TransposedVandermonde | Family::Cauchy) {
            return Err(never);
        }
        let zero = matrix.layout().tensor("G").map_or(0..matrix.parameters().len(), |g| g.range.clone());
        matrix.update(|parameters| parameters[zero].fill(T::zero()))?;
        // A product with numbers that nothing cancels tells whether a family that is not listed above is zero.
        let mut x = zeros("a vector", self.cols)?;
        x.iter_mut().enumerate().for_each(|(j, x)| *x = T::of(1.0 + (j as f64).sin().abs()));
        let zero = matrix.apply(&x)?.iter().all(|y| y.is_zero());
        if zero { Ok(matrix) } else { Err(never) }
    }

    /// The layer `Y = X Mᵀ + b` of this matrix and a bias of zero.
    ///
    /// # Errors
    ///
    /// As for [`Builder::build`]; [`Error::Memory`] where there is none for the bias.
    pub fn build_layer<T: Scalar>(&self) -> Result<Linear<T>> {
        let weight = self.build()?;
        let bias = zeros("the bias", self.rows)?;
        Linear::new(weight, Some(bias))
    }
}

/// Number types that all families exist for: they are compiled here, once, and not again in every crate that builds one.
pub trait Families: Sized {
    /// The structure that a builder describes.
    fn structure(builder: &Builder) -> Result<Arc<dyn Structure<Self>>>;

    /// The structure that was described.
    fn rebuild(description: &Description) -> Result<Arc<dyn Structure<Self>>>;
}

macro_rules! families {
    ($t:ty) => {
        impl Families for $t {
            fn structure(builder: &Builder) -> Result<Arc<dyn Structure<$t>>> {
                structure(builder)
            }

            fn rebuild(description: &Description) -> Result<Arc<dyn Structure<$t>>> {
                rebuild(description)
            }
        }
    };
}

families!(f32);
families!(f64);

fn structure<T: Scalar>(builder: &Builder) -> Result<Arc<dyn Structure<T>>> {
    let Builder { family, rows: m, cols: n, .. } = *builder;
    if family.has_rank() != builder.rank.is_some() {
        return Err(Error::RankChoice { family: family.name(), given: builder.rank.is_some() });
    }
    let r = builder.rank.unwrap_or(0);
    Ok(match family {
        Family::Circulant => Arc::new(Circulant::new(m, n)?),
        Family::SkewCirculant => Arc::new(Circulant::skew(m, n)?),
        Family::FCirculant(f) => Arc::new(FCirculant::new(m, n, T::of(f))?),
        Family::Toeplitz => Arc::new(Toeplitz::new(m, n)?),
        Family::Hankel => Arc::new(Hankel::new(m, n)?),
        Family::ToeplitzPlusHankel => Arc::new(ToeplitzPlusHankel::new(m, n)?),
        Family::Vandermonde => Arc::new(Vandermonde::new(m, n)?),
        Family::TransposedVandermonde => Arc::new(Vandermonde::transposed(m, n)?),
        Family::CircleVandermonde => Arc::new(CircleVandermonde::new(m, n)?),
        Family::TransposedCircleVandermonde => Arc::new(CircleVandermonde::transposed(m, n)?),
        Family::ToeplitzLike => Arc::new(ToeplitzLike::new(m, n, r)?),
        Family::HankelLike => Arc::new(HankelLike::new(m, n, r)?),
        Family::ShiftLike(pair) => Arc::new(ShiftLike::new(m, n, r, pair)?),
        Family::LearnedSubdiagonal => Arc::new(LearnedOperators::subdiagonal(m, n, r)?),
        Family::LearnedTridiagonal => Arc::new(LearnedOperators::tridiagonal(m, n, r)?),
        Family::Cauchy => Arc::new(Cauchy::new(m, n)?),
        Family::CauchyLike => Arc::new(CauchyLike::new(m, n, r)?),
        Family::VandermondeLike => Arc::new(VandermondeLike::new(m, n, r)?),
        Family::CircleVandermondeLike => Arc::new(CircleVandermondeLike::new(m, n, r)?),
        Family::LowRank => Arc::new(LowRank::new(m, n, r)?),
        Family::Dense => Arc::new(Dense::new(m, n)?),
        Family::Other(name) => return Err(Error::UnknownFamily { name }),
    })
}

fn rebuild<T: Scalar>(description: &Description) -> Result<Arc<dyn Structure<T>>> {
    let Description { family, rows: m, cols: n, rank, ref constants } = *description;
    let builder = Builder { rank, ..Builder::new(family, m, n) };
    if constants.is_empty() {
        return structure(&builder);
    }
    if family.has_rank() != rank.is_some() {
        return Err(Error::RankChoice { family: family.name(), given: rank.is_some() });
    }
    let r = rank.unwrap_or(0);
    Ok(match family {
        Family::ToeplitzLike => Arc::new(ToeplitzLike::with_order(m, n, r, description.order(&["order"])?)?),
        Family::HankelLike => Arc::new(HankelLike::with_order(m, n, r, description.order(&["order"])?)?),
        Family::ShiftLike(pair) => Arc::new(ShiftLike::with_order(m, n, r, pair, description.order(&["order"])?)?),
        Family::VandermondeLike if constants.contains_key("v") => {
            let like = VandermondeLike::with_order(m, n, r, description.order(&["order", "v"])?)?;
            Arc::new(like.fix_nodes(&description.numbers::<T>("v")?)?)
        }
        Family::VandermondeLike => Arc::new(VandermondeLike::with_order(m, n, r, description.order(&["order"])?)?),
        Family::CircleVandermondeLike if constants.contains_key("theta") => {
            let like = CircleVandermondeLike::with_order(m, n, r, description.order(&["order", "theta"])?)?;
            Arc::new(like.fix_angles(&description.numbers::<T>("theta")?)?)
        }
        Family::CircleVandermondeLike => {
            Arc::new(CircleVandermondeLike::with_order(m, n, r, description.order(&["order"])?)?)
        }
        Family::Cauchy => Arc::new(Cauchy::with_nodes(CauchyNodes::described(description)?)),
        Family::CauchyLike => Arc::new(CauchyLike::with_nodes(CauchyNodes::described(description)?, r)?),
        _ => {
            description.has_only(&[])?;
            structure(&builder)?
        }
    })
}
