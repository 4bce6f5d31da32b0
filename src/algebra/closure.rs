//! Transposes, sums, products, and changes of the pair.

use super::ldr::{Ldr, reversed};
use super::pair::UnitPair;
use crate::{Error, Result, Scalar};

impl<T: Scalar> Ldr<T> {
    /// `Mᵀ`, of the same rank under the swapped pair, in O(rn): `Bᵀ Mᵀ − Mᵀ Aᵀ = −H Gᵀ`.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`].
    pub fn transpose(&self) -> Result<Self> {
        let n = self.order();
        let (g, h) = (self.generators().g.clone(), self.generators().h.clone());
        if self.pair().is_hankel() {
            return Self::of(self.pair().swapped(), n, negated(h), g);
        }
        // Both shifts the other way round again.
        let (a, b) = (self.pair().left(), self.pair().right());
        Self::of(self.pair().swapped(), n, b.times(h, n), a.transpose().times(g, n))
    }

    /// `α M`, of the same rank, in O(rn).
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] for an α that is not finite, or numbers that overflow; [`Error::Memory`].
    pub fn scale(&self, factor: T) -> Result<Self> {
        crate::error::all_finite("factor", &[factor])?;
        let g = self.generators().g.iter().map(|&g| g * factor).collect();
        Self::of(self.pair(), self.order(), g, self.generators().h.clone())
    }

    /// `M + N`, under the pair of M and of rank r₁ + r₂ at most; r₁ + r₂ + 2 if N has the swapped pair. O(n r²).
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`] for matrices of different orders, and as for [`Ldr::under`].
    pub fn add(&self, other: &Self) -> Result<Self> {
        self.fits("sum", other)?;
        let other = other.under(self.pair())?;
        let join = |a: &[T], b: &[T]| [a, b].concat();
        let g = join(&self.generators().g, &other.generators().g);
        let h = join(&self.generators().h, &other.generators().h);
        Self::of(self.pair(), self.order(), g, h)?.rounded()
    }

    /// `M N`, of rank r₁ + r₂ + 1 at most: r₁ + r₂ products with M or N in near-linear time, and O(n r²).
    ///
    /// With M under (A, B) and N under (C, D), `A M N − M N D = G₁ (Nᵀ H₁)ᵀ + M (B − C) N + (M G₂) H₂ᵀ`. Both Z_1 and
    /// Z_−1 must be in the pair of the product, (A, D') with `D' = ±D` in the corner: either B and C differ by a matrix
    /// of rank 1, or D and D' do. The product of two matrices under Toeplitz pairs, or under Hankel pairs, is under a
    /// Toeplitz pair, that of one of each under a Hankel pair; A is that of M.
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`] for matrices of different orders, [`Error::NotFinite`] for numbers that overflow,
    /// [`Error::Memory`].
    pub fn multiply(&self, other: &Self) -> Result<Self> {
        self.fits("product", other)?;
        let n = self.order();
        let (a, b) = (self.pair().left(), self.pair().right());
        let (mut c, mut d) = (other.pair().left(), other.pair().right());
        let (mut g, mut h) = (other.generators().g.clone(), other.generators().h.clone());
        if b.transposed {
            // Cᵀ N − N Dᵀ = −(Cᵀ G)(D H)ᵀ.
            (g, h) = (negated(c.transpose().times(g, n)), d.times(h, n));
            (c, d) = (c.transpose(), d.transpose());
        }
        let pair = if d.transposed { self.pair().with_direction(true) } else { self.pair().with_direction(false) };
        let mut left = [self.generators().g.clone(), self.apply(&g)?].concat();
        let mut right = [other.apply_transposed(&self.generators().h)?, h].concat();
        let sign = a.f::<T>() + a.f();
        if b != c {
            // B − C = −2 a e_i e_jᵀ.
            let [i, j] = c.corner(n);
            left.extend(self.apply(&unit(n, i, -sign))?);
            right.extend(other.apply_transposed(&unit(n, j, T::one()))?);
        } else {
            // D − D' = 2 a e_i e_jᵀ.
            let [i, j] = d.corner(n);
            left.extend(self.apply(&other.apply(&unit(n, i, sign))?)?);
            right.extend(unit(n, j, T::one()));
        }
        Self::of(pair, n, left, right)?.rounded()
    }

    /// The same matrix under another pair with shifts in the same directions: of rank r + 2 at most, in near-linear
    /// time, as `Z_1 − Z_−1 = 2 e_0 e_{n−1}ᵀ`.
    ///
    /// # Errors
    ///
    /// [`Error::OperatorMismatch`] between Toeplitz and Hankel pairs: nothing bounds the rank there. [`Error::NotFinite`] for
    /// numbers that overflow, [`Error::Memory`].
    pub fn under(&self, pair: UnitPair) -> Result<Self> {
        if pair == self.pair() {
            return Ok(self.clone());
        }
        if pair.is_hankel() != self.pair().is_hankel() {
            let (from, to) = (self.pair().name(), pair.name());
            return Err(Error::OperatorMismatch { from, to });
        }
        let n = self.order();
        let (a, b) = (self.pair().left(), self.pair().right());
        let sign = a.f::<T>() + a.f();
        // A' M − M B' = G Hᵀ − 2a (e_i e_jᵀ M + M e_k e_lᵀ).
        let ([i, j], [k, l]) = (a.corner(n), b.corner(n));
        let (row, column) = (self.apply_transposed(&unit(n, j, T::one()))?, self.apply(&unit(n, k, -sign))?);
        let g = [self.generators().g.clone(), unit(n, i, -sign), column].concat();
        let h = [self.generators().h.clone(), row, unit(n, l, T::one())].concat();
        Self::of(pair, n, g, h)?.rounded()
    }

    /// `M J`, the columns in reversed order: of the same rank under the pair with B transposed, in O(rn).
    ///
    /// # Errors
    ///
    /// As for [`Ldr::transpose`].
    pub fn reverse_columns(&self) -> Result<Self> {
        let n = self.order();
        let (g, h) = (self.generators().g.clone(), self.generators().h.clone());
        Self::of(self.pair().reversed(), n, g, reversed(h, n))
    }

    /// `J M`, the rows in reversed order: of the same rank under the pair with B transposed, in O(rn).
    ///
    /// # Errors
    ///
    /// As for [`Ldr::transpose`].
    pub fn reverse_rows(&self) -> Result<Self> {
        let n = self.order();
        let (g, h) = (self.generators().g.clone(), self.generators().h.clone());
        // Aᵀ (J M) − (J M) B = (J G) Hᵀ, and both shifts the other way round.
        let (a, b) = (self.pair().left(), self.pair().right());
        Self::of(self.pair().reversed(), n, negated(a.times(reversed(g, n), n)), b.times(h, n))
    }

    fn fits(&self, what: &'static str, other: &Self) -> Result<()> {
        let (left, right) = (self.order(), other.order());
        if left == right {
            return Ok(());
        }
        Err(Error::ShapeMismatch { what, left_rows: left, left_cols: left, right_rows: right, right_cols: right })
    }
}

fn negated<T: Scalar>(mut block: Vec<T>) -> Vec<T> {
    block.iter_mut().for_each(|x| *x = -*x);
    block
}

/// `value e_i`.
pub(super) fn unit<T: Scalar>(order: usize, i: usize, value: T) -> Vec<T> {
    let mut unit = vec![T::zero(); order];
    unit[i] = value;
    unit
}
