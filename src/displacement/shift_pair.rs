//! Pairs of shifts: the operator matrices of Toeplitz- and Hankel-like classes in general.

use std::fmt;

use crate::{Error, Result};

/// One operator matrix of a [`ShiftPair`].
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "kebab-case"))]
pub enum ShiftOperator {
    /// The f-unit-circulant shift `Z_f`.
    Plain(f64),
    /// Its transpose, `Z_fᵀ`.
    Transposed(f64),
}

impl ShiftOperator {
    /// The corner f.
    pub fn f(self) -> f64 {
        match self {
            Self::Plain(f) | Self::Transposed(f) => f,
        }
    }

    /// The inverse of a shift with f ≠ 0: `Z_f⁻¹ = Z_{1/f}ᵀ`.
    fn inverse(self) -> Self {
        match self {
            Self::Plain(f) => Self::Transposed(f.recip()),
            Self::Transposed(f) => Self::Plain(f.recip()),
        }
    }
}

impl fmt::Display for ShiftOperator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(corner) => write!(f, "Z({corner})"),
            Self::Transposed(corner) => write!(f, "Z({corner})ᵀ"),
        }
    }
}

/// A pair of shifts (A, B) and the Stein displacement operator `M − A M B` that they make, which is not singular.
///
/// ```
/// use displace::displacement::{ShiftOperator::{Plain, Transposed}, ShiftPair};
///
/// let toeplitz = ShiftPair::stein(Plain(1.0), Transposed(-1.0))?;
/// assert_eq!(toeplitz, ShiftPair::sylvester(Plain(1.0), Plain(-1.0))?);
/// assert!(ShiftPair::sylvester(Plain(0.5), Plain(0.5)).is_err());
/// # Ok::<(), displace::Error>(())
/// ```
///
/// Feature `serde` writes it as its two operators, `[{"plain": 1.0}, {"transposed": -1.0}]`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(into = "(ShiftOperator, ShiftOperator)", try_from = "(ShiftOperator, ShiftOperator)")
)]
pub struct ShiftPair {
    a: ShiftOperator,
    b: ShiftOperator,
}

impl ShiftPair {
    /// (Z_0, Z_0ᵀ), the classical pair of the Stein operator: matrices are sums of products of a lower and an upper
    /// triangular Toeplitz matrix.
    pub const TRIANGULAR: Self = Self { a: ShiftOperator::Plain(0.0), b: ShiftOperator::Transposed(0.0) };

    /// The pair of the Stein operator `M − A M B`.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] for a corner that is not finite, [`Error::OutOfRange`] for corners whose product is not,
    /// [`Error::SingularDisplacement`] if it is 1: the eigenvalues of A and B are the roots of their corners, and some pair
    /// of them has the product 1.
    pub fn stein(a: ShiftOperator, b: ShiftOperator) -> Result<Self> {
        crate::error::all_finite("the corners", &[a.f(), b.f()])?;
        let (product, gap) = (a.f() * b.f(), 1.0 - a.f() * b.f());
        if !product.is_finite() {
            let range = "the finite numbers";
            return Err(Error::OutOfRange { what: "the product of the corners", value: product, range });
        }
        if gap.abs() <= 8.0 * f64::EPSILON * (1.0 + product.abs()) {
            return Err(Error::SingularDisplacement { quantity: "1 − the product of the corners", value: gap.abs() });
        }
        Ok(Self { a, b })
    }

    /// The pair of the Stein operator with the same displacement ranks as the Sylvester operator `A M − M B`: `(A, B⁻¹)`, or
    /// `(A⁻¹, B)` where B has no inverse.
    ///
    /// # Errors
    ///
    /// As for [`ShiftPair::stein`], of the inverse and the quotient of the corners instead; the operator is singular if the
    /// corners of A and B are equal.
    pub fn sylvester(a: ShiftOperator, b: ShiftOperator) -> Result<Self> {
        crate::error::all_finite("the corners", &[a.f(), b.f()])?;
        let (a, b, inverted) = match (a.f() == 0.0, b.f() == 0.0) {
            (true, true) => {
                return Err(Error::SingularDisplacement { quantity: "difference of the corners", value: 0.0 });
            }
            (_, false) => (a, b.inverse(), b.f()),
            (false, true) => (a.inverse(), b, a.f()),
        };
        // Named as they were given, not as what they were turned into.
        Self::stein(a, b).map_err(|error| match error {
            Error::SingularDisplacement { value, .. } => {
                Error::SingularDisplacement { quantity: "1 − the quotient of the corners", value }
            }
            _ => {
                let range = "the numbers whose inverses, and quotients with the other corner, are finite";
                Error::OutOfRange { what: "a corner that is divided by", value: inverted, range }
            }
        })
    }

    /// The operator matrix A of `M − A M B`.
    pub fn a(self) -> ShiftOperator {
        self.a
    }

    /// The operator matrix B of `M − A M B`.
    pub fn b(self) -> ShiftOperator {
        self.b
    }
}

impl From<ShiftPair> for (ShiftOperator, ShiftOperator) {
    fn from(pair: ShiftPair) -> Self {
        (pair.a, pair.b)
    }
}

/// As by [`ShiftPair::stein`].
impl TryFrom<(ShiftOperator, ShiftOperator)> for ShiftPair {
    type Error = Error;

    fn try_from((a, b): (ShiftOperator, ShiftOperator)) -> Result<Self> {
        Self::stein(a, b)
    }
}

impl fmt::Display for ShiftPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.a, self.b)
    }
}
