//! Matrices of low displacement rank under operators that are learned: LDR-SD and LDR-TD.
//!
//! With generators G (m×r) and H (n×r) and two operator matrices A and B of order N = max(m, n),
//!
//! `M = ½ Σ_j K(A, g_j) K(B, h_j)ᵀ`, cut to its first m rows and n columns,
//!
//! where `K(A, g) = [g, A g, …, A^{N−1} g]` is a Krylov matrix and the columns of G and H are continued by zeros to length N. A
//! and B are trained along with the generators. They are
//!
//! * *LDR-SD*: a subdiagonal and a corner in the top right, N numbers each, tensors `"A"` and `"B"` with the corner first; or
//! * *LDR-TD*: three diagonals and two corners, 3N numbers each, 3×N tensors with the rows: below the diagonal, the corner in the
//!   top right first; the diagonal; above the diagonal, the corner in the bottom left last.
//!
//! They start as the shifts Z_1 and Z_−1, and are then equal to [`ToeplitzLike`](super::ToeplitzLike) matrices of order N: learned
//! operators start from a structure that works and move away from it. Under the Stein operator `M − A M Bᵀ` the square
//! matrix has the displacement `½ (G Hᵀ − A^N G (B^N H)ᵀ)`: of rank r for LDR-SD, where A^N and B^N are multiples of the identity, and of
//! rank 2r at most for LDR-TD. Thomas, Gu, Dao, Rudra and Ré, "Learning compressed transforms with low displacement rank" (2018).
//!
//! *Parameters:* r(m + n) + 2N or 6N. There are five ways to multiply, chosen when the parameters change:
//!
//! * *A scaled shift*, for subdiagonal operators. `A = S Z_f S⁻¹` for a diagonal S, so that M is a sum of products of f-circulants
//!   between diagonals: 2r + 2 real transforms of length 2N, and 4r + 5 for all gradients. Rounding errors grow with the
//!   range of S (largest over smallest entry) of both operators together. It is measured, and must not exceed 10⁴ (f64) or 64
//!   (f32); for entries of 1 ± 5% it does not up to N of some thousands.
//! * *A hierarchy*, for all other subdiagonal operators, zero and tiny entries included, in O(r N log² N). Between two blocks of
//!   places every power of A has entries `head · tail`, products of weights, so that blocks act on each other by convolutions
//!   with segments of the coefficients. There are no divisions. No product of weights may exceed 10⁶, or 10³ inside a quarter of
//!   the places that the cycle leads back into; that many digits may be lost.
//! * *Polynomials*, for tridiagonal operators near the shift, in O(r N log N + N w). A^k e_0 is around place k, with w *taps* that die
//!   away behind it, so that the Krylov basis of e_0 is banded, and so is its inverse; in this basis A is a companion matrix, and a product
//!   is one of polynomials modulo the characteristic one. The taps are 16 to 24 for entries of ±0.2% around the shift at N = 1024, and 50 to
//!   80 for ±5%; up to 128 are let through, and up to 2²¹ numbers in a band. Rounding errors grow with the condition number of the basis,
//!   about `exp(2 |Σ d|)` for the largest sum of diagonal entries up to any place; it is measured, and up to 10³ (f64) or 10⁶ (f32) is let
//!   through.
//! * *A tree of blocks*, for other tridiagonal operators whose reflections die away, in O(r N log² N). Each block is described by
//!   power series, in the number of steps, of what passes through it and of what it reflects. These are combined at junctions, as
//!   scattering matrices are. All their coefficients are entries of powers of blocks of A, so that none is large unless M is,
//!   whereas the basis of polynomials may grow like `(1 + |d|)^N` even if A does not. A block of L places must have forgotten
//!   its input, to 10⁻¹³, after 2L steps (if it has after 3/2 or 9/8 L, transforms are shorter), and no coefficient may exceed
//!   10³ (f64) or 10⁶ (f32). Blocks forget in time while `|d| + 2√|lu|` is below about ½ for entries l below, d on and u above
//!   the diagonal: with ±5% around the shift they do, with ±10% they may not. While |u| is below about 0.03 nothing returns from
//!   16 places ahead; then blocks are passed in one direction only, two to three times as fast.
//! * *The recurrence*, for everything else and for small orders: up to N = 64 instead of a hierarchy, 96 instead of polynomials,
//!   512 instead of a tree, or 1024 if its blocks would be passed in both directions. O((3 + r) N²) for one vector, and the
//!   GEMMs of two dense products for a batch.
//!
//! [`LearnedOperators::is_fast`] tells whether one of the first four applies. All but scaled shifts compute in double precision
//! for both number types.
//!
//! *Accuracy:* 10⁻¹¹ (f64) and 2·10⁻⁵ (f32) or better, in norm, where powers of the operators do not grow much more than the
//! product does. Even where they do, products are well conditioned: for N = 8192 and random entries of ±10% around the shift, ±5%
//! above the diagonal, a change of all parameters by a rounding unit changes them by at most 3·10⁻¹⁴ (12 operators). But each
//! step of a recurrence makes errors of its own, of all frequencies, and operators may amplify frequencies that the product does
//! not contain: errors in f64 were up to 1.3·10⁻¹⁰ when products were computed by the definition, up to 1.9·10⁻¹⁰ by
//! recurrences, and 2·10⁻⁹ with ±10% in all three diagonals. For N > 1024 their growth relative to the product is estimated when
//! the operators change. Where errors might exceed 10⁻¹¹ (f64) or 10⁻⁶ (f32), vectors of the recurrence are kept in two parts,
//! which takes four times as long for one vector and ten times for a batch; errors of these products were between 5·10⁻¹⁵ and
//! 7·10⁻¹³. Errors of LDR-SD were at most 10⁻¹⁴, and the limit on the growth of trees keeps theirs to 10⁻¹¹.
//!
//! `(αA, B/α)` makes the same matrix as `(A, B)`. Where one operator is larger than a shift and the other one smaller, in the mean square
//! of their entries, hierarchies, polynomials, trees and recurrences get a pair of which one has the size of a shift, so that powers of the one do not
//! grow while those of the other die away. Scaled shifts, and dense copies along diagonals, take the pair as it is.
//!
//! This has limits. Gradients in operators and generators, dense copies, the numbers between both sides, and recurrences up to
//! N = 1024 are always in plain double precision. The estimate does not look at generators, nor does it cover two operators that
//! each amplify, by 10⁸ or so, what the other does not; and two parts gain at most eight digits. Operators that amplify so much
//! should be scaled.
//!
//! *Cost,* one vector, r = 1, f64, microseconds at N = 1024: 7 for a scaled shift, 19 for a hierarchy, 12 to 32 for polynomials with 4 to 64
//! taps, about 100 for a tree that is passed in one direction, 400 for the recurrence of LDR-TD. The gradients of one vector go on from what
//! its product left, if that was the last one in the same [`Workspace`](crate::Workspace): they cost two products by a scaled shift, two and a
//! half by a hierarchy or a recurrence, three by polynomials and four to six by a tree. Otherwise they cost about one
//! more; and by a recurrence, from N = 1025 on, another one, as vectors are computed again there rather than kept. In batches, where nothing is
//! kept, they cost two and a half products by a scaled shift or a hierarchy, three by polynomials or a recurrence and three to four by a tree. A
//! change of the parameters costs seven to ten by polynomials, and four by a tree. *Choose it* where data have a structure that
//! shifts only nearly describe and parameters count: on small training sets it was the best of its class; LDR-SD has half
//! the parameters of the operators. A dense copy of an m×n matrix takes O(r m n) with LDR-SD, whose entries
//! follow from each other along diagonals, and so do gradients back from its entries; with LDR-TD it
//! takes a GEMM of O(N³), or N products where that is less. By default it is made only where it pays, see
//! [`PathChoice::Auto`](crate::PathChoice::Auto), and never where vectors are kept in two parts, whose digits it would not have.

mod balance;
mod dense;
mod products;

use std::sync::Arc;

use balance::balance;
use products::{add_narrow, widen};

use super::krylov::{Krylov, KrylovPlan, Limits};
use super::scaled_shift::ScaledShifts;
use super::scaled_torus::ScaledTorus;
use super::torus::Torus;
use crate::displacement::{Stein, Subdiagonal, Transposed, Tridiagonal};
use crate::error::{has_length, has_memory};
use crate::matrix::{
    Bound, Family, Init, Layout, Matrix, Parameters, Prepared, Reconstruction, Structure, normal, transform_cost,
};
use crate::shape::Shape;
use crate::{Error, Result, Scalar};

/// The structure of an m×n matrix of displacement rank r under learned operators.
///
/// Tensors `"G"` and `"H"`, stored transposed as r×m and r×n, one column of G or H a row; then the operators `"A"` and `"B"`.
#[derive(Debug)]
pub struct LearnedOperators<T: Scalar> {
    shape: Shape,
    rank: usize,
    tridiagonal: bool,
    layout: Layout,
    plan: KrylovPlan,
    /// For subdiagonal operators that are shifts, safely scaled.
    scaled: Option<ScaledShifts<T>>,
}

/// The two sides of a matrix, ready for products; there are none where the operators are scaled shifts.
struct Sides {
    a: Krylov,
    b: Krylov,
    /// The factor α of αA and B/α, which the sides are of.
    alpha: f64,
    /// Whether a dense copy can be written along diagonals.
    in_range: bool,
}

/// The factor ½.
const HALF: f64 = 0.5;

impl<T: Scalar> LearnedOperators<T> {
    /// An LDR-SD m×n matrix without parameters: subdiagonal operators with a corner, and displacement rank `rank` from 0
    /// to min(m, n).
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::RankTooLarge`], [`Error::TooLarge`] or [`Error::Memory`].
    pub fn subdiagonal(rows: usize, cols: usize, rank: usize) -> Result<Self> {
        Self::of_kind(rows, cols, rank, false)
    }

    /// An LDR-TD m×n matrix without parameters: tridiagonal operators with two corners.
    ///
    /// # Errors
    ///
    /// As for [`LearnedOperators::subdiagonal`].
    pub fn tridiagonal(rows: usize, cols: usize, rank: usize) -> Result<Self> {
        Self::of_kind(rows, cols, rank, true)
    }

    fn of_kind(rows: usize, cols: usize, rank: usize, tridiagonal: bool) -> Result<Self> {
        let shape = Shape::new(rows, cols)?;
        shape.check_rank(rank)?;
        let order = shape.order();
        // Trees and their sums hold a few thousand numbers for each place and generator.
        let bytes = order.checked_mul(rank + 2).and_then(|size| size.checked_mul(1 << 16));
        if bytes.is_none_or(|bytes| bytes > isize::MAX as usize) || order > MAX_ORDER {
            return Err(Error::TooLarge { rows, cols, rank: Some(rank) });
        }
        let numbers = (PLACE[usize::from(tridiagonal)] + PLACE_OF_GENERATOR[usize::from(tridiagonal)] * rank) * order;
        match tridiagonal {
            false => has_memory::<T>(MEMORY, numbers)?,
            true => has_memory::<f64>(MEMORY, numbers)?,
        }
        let layout = shape.generator_layout(rank);
        let layout = match tridiagonal {
            false => layout.with("A", &[order]).with("B", &[order]),
            true => layout.with("A", &[3, order]).with("B", &[3, order]),
        };
        let plan = KrylovPlan::new(order, rank, tridiagonal, LIMITS[if size_of::<T>() == 4 { 0 } else { 1 }]);
        let scaled = (!tridiagonal).then(|| ScaledShifts::new(shape, rank));
        Ok(Self { shape, rank, tridiagonal, layout, plan, scaled })
    }

    /// The matrix of the generators whose columns are the rows of `g` (r×m) and `h` (r×n), and of the operators `a` and `b`: N
    /// numbers each for this LDR-SD structure, 3N for an LDR-TD one.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] or [`Error::NotFinite`] for bad parameters.
    ///
    /// ```
    /// use displace::ldr::LearnedOperators;
    ///
    /// // K(A, g) = [[1, 0], [2, 3]] and K(B, h) = [[1, 0], [0, 1]].
    /// let m = LearnedOperators::subdiagonal(2, 2, 1)?.with_operators(&[1.0, 2.0], &[1.0, 0.0], &[0.0, 3.0], &[0.0, 1.0])?;
    /// assert_eq!(m.to_dense()?, [0.5, 0.0, 1.0, 1.5]);
    /// # Ok::<(), displace::Error>(())
    /// ```
    pub fn with_operators(self, g: &[T], h: &[T], a: &[T], b: &[T]) -> Result<Matrix<T, Self>> {
        let generators = self.shape.join_generators(self.rank, g, h)?;
        has_length("A", a, self.operator_len())?;
        has_length("B", b, self.operator_len())?;
        Matrix::new(Arc::new(self), [&generators, a, b].concat())
    }

    /// The order N of the operators.
    pub fn order(&self) -> usize {
        self.shape.order()
    }

    /// Whether a matrix with these parameters multiplies in near-linear time: by scaled shifts, hierarchies, polynomials or
    /// trees of blocks, not by recurrences.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] or [`Error::NotFinite`] for bad parameters.
    pub fn is_fast(&self, parameters: &[T]) -> Result<bool> {
        has_length("parameters", parameters, self.layout.len())?;
        self.check(parameters)?;
        let (a, b) = self.operators(parameters);
        if self.scaled.is_some() && ScaledShifts::is_safe([a, b]) {
            return Ok(true);
        }
        let Sides { a, b, .. } = self.sides(parameters, None);
        Ok([a, b].iter().all(|side| self.plan.is_fast(side)))
    }

    /// The displacement operator `M − A M Bᵀ` of a square LDR-SD matrix, of rank r; for a rectangular one it is that of the N×N
    /// matrix that M is a corner of.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] or [`Error::NotFinite`] for bad parameters, or for those of an LDR-TD matrix.
    pub fn subdiagonal_displacement(
        &self,
        parameters: &[T],
    ) -> Result<Stein<Subdiagonal<T>, Transposed<Subdiagonal<T>>>> {
        has_length("parameters", parameters, self.generators_len() + 2 * self.order())?;
        let side = |entries: &[T]| Subdiagonal::new(&entries[1..], entries[0]);
        let (a, b) = self.operators(parameters);
        Ok(Stein::new(side(a)?, Transposed(side(b)?)))
    }

    /// The displacement operator `M − A M Bᵀ` of a square matrix of either kind, of rank 2r at most; for a rectangular one it is that
    /// of the N×N matrix that M is a corner of.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] or [`Error::NotFinite`] for bad parameters.
    pub fn displacement(&self, parameters: &[T]) -> Result<Stein<Tridiagonal<T>, Transposed<Tridiagonal<T>>>> {
        has_length("parameters", parameters, self.layout.len())?;
        let n = self.order();
        let side = |entries: &[T]| {
            let zeros = vec![T::zero(); n];
            let (lower, rest) = entries.split_at(n);
            let (diagonal, upper) = if self.tridiagonal { rest.split_at(n) } else { (&zeros[..], &zeros[..]) };
            let corners = [lower[0], upper[n - 1]];
            Tridiagonal::new(lower[1..].to_vec(), diagonal.to_vec(), upper[..n - 1].to_vec(), corners)
        };
        let (a, b) = self.operators(parameters);
        Ok(Stein::new(side(a)?, Transposed(side(b)?)))
    }

    fn operator_len(&self) -> usize {
        if self.tridiagonal { 3 * self.order() } else { self.order() }
    }

    fn generators_len(&self) -> usize {
        self.rank * (self.shape.rows + self.shape.cols)
    }

    fn operators<'a>(&self, parameters: &'a [T]) -> (&'a [T], &'a [T]) {
        let operators = &parameters[self.generators_len()..];
        operators.split_at(operators.len() / 2)
    }

    /// The three diagonals of αA and B/α, and [α](balance).
    fn balanced(&self, parameters: &[T]) -> ([Vec<f64>; 2], f64) {
        let (a, b) = self.operators(parameters);
        let [mut a, mut b] = [a, b].map(|operator| {
            let mut entries: Vec<f64> = operator.iter().map(|e| e.wide()).collect();
            entries.resize(3 * self.order(), 0.0);
            entries
        });
        let alpha = balance([&mut a, &mut b]);
        ([a, b], alpha)
    }

    /// Generators continued to N numbers each.
    fn continued(&self, generators: &[T], row: usize) -> Vec<f64> {
        let n = self.order();
        let mut continued = vec![0.0; self.rank * n];
        for (wide, row) in continued.chunks_exact_mut(n).zip(generators.chunks_exact(row)) {
            widen(row, wide);
        }
        continued
    }

    /// Both sides, in the memory of others that are not needed any more.
    fn sides(&self, parameters: &[T], used: Option<Sides>) -> Sides {
        let (g, h) = self.shape.generators(self.rank, parameters);
        let ([a, b], alpha) = self.balanced(parameters);
        let mut halved = self.continued(g, self.shape.rows);
        halved.iter_mut().for_each(|g| *g *= HALF);
        let (used_a, used_b) = used.map(|Sides { a, b, .. }| (a, b)).unzip();
        let mut a = self.plan.prepare(a, halved, used_a);
        let mut b = self.plan.prepare(b, self.continued(h, self.shape.cols), used_b);
        if self.tridiagonal {
            self.plan.refine([&mut a, &mut b]);
        }
        Sides { a, b, alpha, in_range: self.is_in_range(parameters) }
    }
}

/// The cost of the negacyclic transforms of scaled shifts, as a part of the estimate for cyclic ones; and that of blocks
/// of f32 from an order on where they leave the first-level cache with the spectra of a generator. (So do those of f64,
/// but their dense products take longer than estimated as well.)
const SCALED: [f64; 2] = [0.8, 1.0];
const LARGE: usize = 512;

/// How far from the shift near-linear products are taken, for f32 and f64. At N = 8192 the errors of trees were up to 6·10⁻¹⁵ times the growth,
/// and those of polynomials up to 2·10⁻¹⁵ times the condition number.
pub(super) const LIMITS: [Limits; 2] = [
    Limits { growth: 1e6, tail: 1e-9, condition: 1e6, error: 1e-6 },
    Limits { growth: 1e3, tail: 1e-15, condition: 1e3, error: 1e-11 },
];

/// Orders that a plan is made for at most.
const MAX_ORDER: usize = 1 << 26;

/// Numbers that the plan and a matrix of operators near the shift take at least, for each place of an LDR-SD (of its type) and an
/// LDR-TD matrix (in double precision), and for each place of a generator. More than making the plan takes.
const PLACE: [usize; 2] = [20, 100];
const PLACE_OF_GENERATOR: [usize; 2] = [5, 10];
const MEMORY: &str = "the plan and a matrix of learned operators";

fn sides<T>(prepared: &Prepared<T>) -> Option<&Sides> {
    prepared.object.as_ref()?.downcast_ref()
}

impl<T: Scalar> Structure<T> for LearnedOperators<T> {
    fn family(&self) -> Family {
        if self.tridiagonal { Family::LearnedTridiagonal } else { Family::LearnedSubdiagonal }
    }

    fn rows(&self) -> usize {
        self.shape.rows
    }

    fn cols(&self) -> usize {
        self.shape.cols
    }

    fn rank(&self) -> Option<usize> {
        Some(self.rank)
    }

    fn at_rank(&self, rank: usize) -> Option<Result<Arc<dyn Structure<T>>>> {
        let structure = Self::of_kind(self.shape.rows, self.shape.cols, rank, self.tridiagonal);
        Some(structure.map(|structure| Arc::new(structure) as Arc<dyn Structure<T>>))
    }

    /// For subdiagonal operators that are scaled shifts.
    fn reconstruction(&self, Parameters(parameters): Parameters<'_, T>) -> Option<Arc<dyn Reconstruction>> {
        let wide = |x: &[T]| x.iter().map(|x| x.wide()).collect::<Vec<f64>>();
        let (a, b) = self.operators(parameters);
        let map = (!self.tridiagonal).then(|| ScaledTorus::new(self.shape, &wide(a), &wide(b)))?;
        Some(Arc::new(map?))
    }

    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn prepare(&self, Parameters(parameters): Parameters<'_, T>, prepared: &mut Prepared<T>, scratch: &mut [T]) {
        let (g, h) = self.shape.generators(self.rank, parameters);
        let (a, b) = self.operators(parameters);
        let scaled = self.scaled.as_ref();
        if !scaled.is_some_and(|scaled| scaled.prepare([g, h], [a, b], prepared, scratch)) {
            let used = prepared.object.take().and_then(|object| Arc::into_inner(object.downcast::<Sides>().ok()?));
            prepared.object = Some(Arc::new(self.sides(parameters, used)));
        }
    }

    fn scratch_len(&self) -> usize {
        self.product_scratch_len().max(self.prepare_scratch_len())
    }

    fn prepare_scratch_len(&self) -> usize {
        self.scaled.as_ref().map_or(0, ScaledShifts::scratch_len)
    }

    fn backward_scratch_len(&self) -> usize {
        self.gradients_scratch_len().max(self.prepare_scratch_len())
    }

    fn apply(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], scratch: &mut [T]) {
        match (sides(bound.prepared), &self.scaled) {
            (Some(Sides { a, b, .. }), _) => self.product([b, a], [self.shape.cols, self.shape.rows], x, y, scratch),
            (None, Some(scaled)) => scaled.apply(bound, x, y, scratch),
            (None, None) => {}
        }
    }

    fn apply_transposed(&self, bound: Bound<'_, T>, y: &[T], x: &mut [T], scratch: &mut [T]) {
        match (sides(bound.prepared), &self.scaled) {
            (Some(Sides { a, b, .. }), _) => self.product([a, b], [self.shape.rows, self.shape.cols], y, x, scratch),
            (None, Some(scaled)) => scaled.apply_transposed(bound, y, x, scratch),
            (None, None) => {}
        }
    }

    fn gradient_len(&self, batch: usize) -> usize {
        self.layout.len().max(self.scaled.as_ref().map_or(0, |scaled| scaled.sums_len(batch)))
    }

    fn backward(
        &self,
        bound: Bound<'_, T>,
        x: &[T],
        dy: &[T],
        dx: Option<&mut [T]>,
        sums: &mut [T],
        scratch: &mut [T],
    ) {
        match (sides(bound.prepared), &self.scaled) {
            (Some(sides), _) => self.gradients(sides, [x, dy], dx, None, sums, scratch),
            (None, Some(scaled)) => scaled.backward(bound, [x, dy], dx, None, sums, scratch),
            (None, None) => {}
        }
    }

    fn kept_len(&self, bound: Bound<'_, T>) -> usize {
        match (sides(bound.prepared), &self.scaled) {
            (Some(sides), _) => self.left_len(sides),
            (None, Some(scaled)) => scaled.kept_len(),
            (None, None) => 0,
        }
    }

    fn apply_keeping(&self, bound: Bound<'_, T>, x: &[T], y: &mut [T], kept: &mut [T], scratch: &mut [T]) {
        match (sides(bound.prepared), &self.scaled) {
            (Some(sides), _) => self.product_keeping(sides, x, y, kept, scratch),
            (None, Some(scaled)) => scaled.apply_keeping(bound, x, y, kept, scratch),
            (None, None) => {}
        }
    }

    fn backward_kept(
        &self,
        bound: Bound<'_, T>,
        x: &[T],
        dy: &[T],
        dx: Option<&mut [T]>,
        kept: &[T],
        sums: &mut [T],
        scratch: &mut [T],
    ) {
        match (sides(bound.prepared), &self.scaled) {
            (Some(sides), _) => self.gradients(sides, [x, dy], dx, Some(kept), sums, scratch),
            (None, Some(scaled)) => scaled.backward(bound, [x, dy], dx, Some(kept), sums, scratch),
            (None, None) => {}
        }
    }

    fn finish_gradient(&self, bound: Bound<'_, T>, sums: &mut [T], gradient: &mut [T], scratch: &mut [T]) {
        let (None, Some(scaled)) = (sides(bound.prepared), &self.scaled) else {
            return gradient.iter_mut().zip(sums).for_each(|(g, s)| *g += *s);
        };
        let (g, h) = self.shape.generators(self.rank, bound.parameters);
        let (generators, operators) = gradient.split_at_mut(self.generators_len());
        let (dg, dh) = self.shape.generators_mut(self.rank, generators);
        let (da, db) = operators.split_at_mut(self.operator_len());
        scaled.finish(bound.prepared, [g, h], sums, [[dg, dh], [da, db]], scratch);
    }

    fn sums_are_gradient(&self, bound: Bound<'_, T>) -> bool {
        sides(bound.prepared).is_some()
    }

    fn write_dense(&self, Parameters(parameters): Parameters<'_, T>, dense: &mut [T]) {
        self.write(parameters, dense);
    }

    fn pull_back(&self, Parameters(parameters): Parameters<'_, T>, dense: &[T], gradient: &mut [T]) {
        self.add_pulled_back(parameters, dense, gradient);
    }

    /// The operators are the shifts Z_1 and Z_−1, the generators as for Toeplitz-like matrices.
    fn initialise(&self, init: Init, rng: &mut fastrand::Rng, parameters: &mut [T]) -> Result<()> {
        has_length("parameters", parameters, self.layout().len())?;
        let Shape { rows: m, cols: n } = self.shape;
        let (generators, operators) = parameters.split_at_mut(self.generators_len());
        let torus = Torus::toeplitz(self.shape, self.order());
        normal(rng, torus.generator_variance(init.variance(m, n), self.rank), generators);
        operators.fill(T::zero());
        let (a, b) = operators.split_at_mut(self.operator_len());
        for (operator, corner) in [(a, T::one()), (b, -T::one())] {
            operator[..self.shape.order()].fill(T::one());
            operator[0] = corner;
        }
        Ok(())
    }

    /// That of operators near the shift.
    fn cost(&self, batch: usize) -> f64 {
        match &self.scaled {
            Some(scaled) => {
                let is_large = size_of::<T>() == 4 && self.order() >= LARGE && batch >= T::LANES;
                SCALED[usize::from(is_large)] * transform_cost::<T>(scaled.length(), 2 * self.rank + 3, batch)
            }
            None => 2.0 * self.plan.cost(None, batch),
        }
    }

    fn cost_with(&self, bound: Bound<'_, T>, batch: usize) -> f64 {
        let Some(Sides { a, b, .. }) = sides(bound.prepared) else { return self.cost(batch) };
        self.plan.cost(Some(a), batch) + self.plan.cost(Some(b), batch)
    }

    fn dense_copy_cost(&self, bound: Bound<'_, T>) -> f64 {
        self.write_cost(bound)
    }
}
