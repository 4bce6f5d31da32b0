//! The pairs of shifts under which matrices are added, multiplied and inverted.

use crate::displacement::{OperatorMatrix, Shift, Sylvester, Transposed};
use crate::{Result, Scalar};

/// A pair of unit shifts (A, B) with disjoint spectra: the equation `A M − M B = G Hᵀ` determines M.
///
/// `Z_1` and `Z_−1` are orthogonal, so that `(Aᵀ, Bᵀ)` is as good as `(A, B)`: the generators only turn,
/// `Aᵀ M − M Bᵀ = −(Aᵀ G)(B H)ᵀ`. What makes a difference is which shift has which sign, and whether the two shift in
/// the same direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnitPair {
    /// (Z_1, Z_−1), as for [`ToeplitzLike`](crate::ldr::ToeplitzLike) matrices.
    Toeplitz,
    /// (Z_−1, Z_1): transposes and inverses of the former.
    ToeplitzSwapped,
    /// (Z_1, Z_−1ᵀ), as for [`HankelLike`](crate::ldr::HankelLike) matrices.
    Hankel,
    /// (Z_−1, Z_1ᵀ): transposes and inverses of the former.
    HankelSwapped,
}

/// The displacement operator of a pair.
pub type PairOperator<T> = Sylvester<Shift<T>, Box<dyn OperatorMatrix<T>>>;

impl UnitPair {
    /// All pairs.
    pub const ALL: [Self; 4] = [Self::Toeplitz, Self::ToeplitzSwapped, Self::Hankel, Self::HankelSwapped];

    /// The pair with the signs exchanged: that of the transpose and of the inverse, both of the same rank.
    #[must_use]
    pub fn swapped(self) -> Self {
        match self {
            Self::Toeplitz => Self::ToeplitzSwapped,
            Self::ToeplitzSwapped => Self::Toeplitz,
            Self::Hankel => Self::HankelSwapped,
            Self::HankelSwapped => Self::Hankel,
        }
    }

    /// The pair with the direction of B turned round: that of the matrix with its columns, or its rows, in reversed
    /// order.
    #[must_use]
    pub fn reversed(self) -> Self {
        match self {
            Self::Toeplitz => Self::Hankel,
            Self::ToeplitzSwapped => Self::HankelSwapped,
            Self::Hankel => Self::Toeplitz,
            Self::HankelSwapped => Self::ToeplitzSwapped,
        }
    }

    /// Whether A and B shift in opposite directions.
    pub fn is_hankel(self) -> bool {
        matches!(self, Self::Hankel | Self::HankelSwapped)
    }

    /// The pair with the same A, and B in the opposite direction or the same.
    pub(super) fn with_direction(self, hankel: bool) -> Self {
        if self.is_hankel() == hankel { self } else { self.reversed() }
    }

    /// The pair in symbols.
    pub fn name(self) -> &'static str {
        match self {
            Self::Toeplitz => "(Z_1, Z_−1)",
            Self::ToeplitzSwapped => "(Z_−1, Z_1)",
            Self::Hankel => "(Z_1, Z_−1ᵀ)",
            Self::HankelSwapped => "(Z_−1, Z_1ᵀ)",
        }
    }

    /// The displacement operator of the pair, for matrices of order n.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`](crate::Error::EmptyShape) for order 0, [`Error::TooLarge`](crate::Error::TooLarge).
    pub fn operator<T: Scalar>(self, order: usize) -> Result<PairOperator<T>> {
        let (a, b) = (Shift::new(order, self.left().f())?, Shift::new(order, self.right().f())?);
        Ok(Sylvester::new(a, if self.is_hankel() { Box::new(Transposed(b)) } else { Box::new(b) }))
    }

    /// A.
    pub(super) fn left(self) -> UnitShift {
        let positive = matches!(self, Self::Toeplitz | Self::Hankel);
        UnitShift { positive, transposed: false }
    }

    /// B.
    pub(super) fn right(self) -> UnitShift {
        UnitShift { positive: !self.left().positive, transposed: self.is_hankel() }
    }
}

/// `Z_1`, `Z_−1` or the transpose of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnitShift {
    pub positive: bool,
    pub transposed: bool,
}

impl UnitShift {
    /// The corner f.
    pub fn f<T: Scalar>(self) -> T {
        if self.positive { T::one() } else { -T::one() }
    }

    pub fn transpose(self) -> Self {
        Self { transposed: !self.transposed, ..self }
    }

    /// The products with all rows of a block.
    pub fn times<T: Scalar>(self, mut block: Vec<T>, order: usize) -> Vec<T> {
        for row in block.chunks_exact_mut(order) {
            if self.transposed {
                row[0] *= self.f();
                row.rotate_left(1);
            } else {
                row.rotate_right(1);
                row[0] *= self.f();
            }
        }
        block
    }

    /// The places (i, j) of the corner that holds f.
    pub fn corner(self, order: usize) -> [usize; 2] {
        if self.transposed { [order - 1, 0] } else { [0, order - 1] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_shifts_are_those_of_the_displacement_operators() {
        for n in [1, 2, 5] {
            let x: Vec<f64> = (1..=n).map(|i| i as f64).collect();
            for pair in UnitPair::ALL {
                let operator = pair.operator::<f64>(n).unwrap();
                let mut y = vec![0.0; n];
                operator.a().apply(&x, &mut y).unwrap();
                assert_eq!(pair.left().times(x.clone(), n), y);
                operator.b().apply(&x, &mut y).unwrap();
                assert_eq!(pair.right().times(x.clone(), n), y);
                operator.b().apply_transposed(&x, &mut y).unwrap();
                assert_eq!(pair.right().transpose().times(x.clone(), n), y);
                let [i, j] = pair.right().corner(n);
                assert_eq!(operator.b().to_dense().unwrap()[i * n + j], pair.right().f::<f64>());
            }
        }
    }
}
