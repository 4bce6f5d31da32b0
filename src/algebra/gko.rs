//! The GKO algorithm: inverses, solutions and determinants of Toeplitz-like and Hankel-like matrices in O(r n²).

use std::marker::PhantomData;
use std::sync::Arc;

use num_complex::Complex64;
use rustfft::{Fft, FftDirection};

use super::eliminate::{Circle, Eliminated, eliminate};
use super::ldr::Ldr;
use super::pair::UnitPair;
use super::solver::{Operator, Side, Solver};
use crate::transform::library::Library;
use crate::{Error, Result, Scalar};

/// A matrix that has been inverted, for any number of right-hand sides.
///
/// Made in O(r n²) time by Gaussian elimination with partial pivoting on the Cauchy-like matrix `F M V*` of complex
/// order n, F and V being the unitary matrices that diagonalise Z_1 and Z_−1 (Gohberg, Kailath, Olshevsky, 1995).
/// Singular leading minors do not matter. Always in double precision.
///
/// *Memory:* O(rn). No triangular factor is stored; the elimination leads to the generators of the inverse. A solution
/// is a product with that inverse and steps of iterative refinement with products with M, O(rn log n) in all, until the
/// backward error no longer falls: two steps as a rule.
#[derive(Debug, Clone)]
pub struct Gko<T: Scalar> {
    solver: Solver<Ldr<f64>>,
    log_abs_determinant: f64,
    determinant_sign: f64,
    number: PhantomData<T>,
}

impl Operator for Ldr<f64> {
    fn order(&self) -> usize {
        Self::order(self)
    }

    fn product(&self, side: Side, x: &[f64]) -> Result<Vec<f64>> {
        match side {
            Side::Plain => self.apply(x),
            Side::Transposed => self.apply_transposed(x),
        }
    }
}

impl<T: Scalar> Gko<T> {
    /// Eliminates.
    ///
    /// # Errors
    ///
    /// [`Error::SingularMatrix`] for a pivot of zero, or where a random vector does not come back from its image to
    /// within a tenth: beyond a condition number of about 1e14. [`Error::TooLarge`] beyond an order of 2³⁰,
    /// [`Error::NotFinite`] where the inverse overflows, [`Error::Memory`].
    pub fn new(matrix: &Ldr<T>) -> Result<Self> {
        Self::of_wide(matrix.wide()?)
    }

    fn of_wide(matrix: Ldr<f64>) -> Result<Self> {
        let matrix = matrix.balanced()?;
        // M or Mᵀ, in either order of its columns, is Toeplitz-like under (Z_1, Z_−1).
        let natural = if matrix.pair().is_hankel() { matrix.reverse_columns()? } else { matrix.clone() };
        let swapped = natural.pair() == UnitPair::ToeplitzSwapped;
        let Inverted { inverse, log_abs_determinant, determinant_sign } =
            if swapped { invert(&natural.transpose()?)? } else { invert(&natural)? };
        let inverse = if swapped { inverse.transpose()? } else { inverse };
        let (inverse, sign) = match matrix.pair().is_hankel() {
            false => (inverse, 1.0),
            // M = (M J) J; and reversing n columns takes ⌊n/2⌋ exchanges.
            true => (inverse.reverse_rows()?, if (matrix.order() / 2).is_multiple_of(2) { 1.0 } else { -1.0 }),
        };
        Ok(Self {
            solver: Solver::new(matrix, inverse)?,
            log_abs_determinant,
            determinant_sign: sign * determinant_sign,
            number: PhantomData,
        })
    }

    /// The order n.
    pub fn order(&self) -> usize {
        self.solver.order()
    }

    /// An estimate of the condition number `‖M‖₁ ‖M⁻¹‖₁`, rarely too small by more than a factor of 3.
    pub fn condition(&self) -> f64 {
        self.solver.condition()
    }

    /// The logarithm of `|det M|`.
    pub fn log_abs_determinant(&self) -> f64 {
        self.log_abs_determinant
    }

    /// The sign of `det M`, 1 or −1.
    pub fn determinant_sign(&self) -> f64 {
        self.determinant_sign
    }

    /// `M⁻¹`, of the same rank under the swapped pair.
    ///
    /// # Errors
    ///
    /// [`Error::SingularMatrix`] where its generators cancel so much that, in double precision, they give a matrix with fewer
    /// than two correct digits, which can happen even where solutions are found; [`Error::NotFinite`] for numbers too
    /// large for `T`, [`Error::Memory`].
    pub fn inverse(&self) -> Result<Ldr<T>> {
        let inverse = self.solver.inverse()?;
        let narrow = |x: &[f64]| x.iter().map(|&x| T::of(x)).collect();
        let generators = inverse.generators();
        Ldr::of(inverse.pair(), self.order(), narrow(&generators.g), narrow(&generators.h))
    }

    /// The x with `M x = b`, for every row b of `right`, one solution a row.
    ///
    /// # Errors
    ///
    /// [`Error::RaggedBatch`], [`Error::NotFinite`], and [`Error::SingularMatrix`] where refinement does not reach a
    /// backward error `‖b − M x‖₁/(‖M‖₁ ‖x‖₁ + ‖b‖₁)` of rounding; [`Error::Memory`].
    pub fn solve(&self, right: &[T]) -> Result<Vec<T>> {
        self.solver.rows(Side::Plain, right)
    }

    /// The x with `Mᵀ x = b`, for every row b of `right`, one solution a row.
    ///
    /// # Errors
    ///
    /// As for [`Gko::solve`].
    pub fn solve_transposed(&self, right: &[T]) -> Result<Vec<T>> {
        self.solver.rows(Side::Transposed, right)
    }
}

impl<T: Scalar> Ldr<T> {
    /// `M⁻¹`, of the same rank under the swapped pair, in O(r n²); see [`Gko`].
    ///
    /// # Errors
    ///
    /// As for [`Gko::new`] and [`Gko::inverse`].
    pub fn inverse(&self) -> Result<Self> {
        Gko::new(self)?.inverse()
    }

    /// The x with `M x = b`, for every row b of `right`, one solution a row, in O(r n²); see [`Gko`].
    ///
    /// # Errors
    ///
    /// As for [`Gko::new`] and [`Gko::solve`].
    pub fn solve(&self, right: &[T]) -> Result<Vec<T>> {
        Gko::new(self)?.solve(right)
    }
}

/// Far more than n² operations could ever be spent on; the numbers of the 2n-th roots of unity fit into 32 bits.
const LARGEST_ORDER: usize = 1 << 30;

struct Inverted {
    inverse: Ldr<f64>,
    log_abs_determinant: f64,
    determinant_sign: f64,
}

/// Inverts a matrix under (Z_1, Z_−1).
fn invert(matrix: &Ldr<f64>) -> Result<Inverted> {
    let (n, r) = (matrix.order(), matrix.rank());
    if n > LARGEST_ORDER {
        return Err(Error::TooLarge { rows: n, cols: n, rank: Some(r) });
    }
    if r == 0 {
        return Err(Error::SingularMatrix { condition: f64::INFINITY });
    }
    let fourier = Fourier::new(n);
    let generators = matrix.generators();
    // Scaled, so that nothing over- or underflows on the way.
    let [g_scale, h_scale] = [&generators.g, &generators.h].map(|x| crate::linalg::largest(x));
    if g_scale == 0.0 || h_scale == 0.0 {
        return Err(Error::SingularMatrix { condition: f64::INFINITY });
    }
    let g: Vec<Complex64> = fourier.cyclic(&generators.g, 1.0 / g_scale, r);
    let h: Vec<Complex64> = fourier.negacyclic(&generators.h, 1.0 / h_scale, r);
    let even: Vec<u32> = (0..n as u32).map(|j| 2 * j).collect();
    let odd: Vec<u32> = (0..n as u32).map(|j| 2 * j + 1).collect();
    let Eliminated { g, h, log_abs_determinant, phase } =
        eliminate(&fourier.circle, &even, &odd, &g, &h).map_err(|condition| Error::SingularMatrix { condition })?;
    // det F M V* = det M · e^{−iπ(n−1)/2}.
    let turn = Complex64::i().powu(((n - 1) % 4) as u32);
    let (g, h) = (fourier.negacyclic_back(&g, 1.0 / h_scale, r), fourier.cyclic_back(&h, -1.0 / g_scale, r));
    Ok(Inverted {
        inverse: Ldr::of(UnitPair::ToeplitzSwapped, n, g, h)?,
        log_abs_determinant: log_abs_determinant + n as f64 * (g_scale.ln() + h_scale.ln()),
        determinant_sign: 1f64.copysign((phase * turn).re),
    })
}

/// The unitary matrices that diagonalise the shifts: `F_jk = e^{2πijk/n}/√n` for Z_1, and for Z_−1 `V = F E` with
/// `E = diag(e^{iπk/n})`.
struct Fourier {
    circle: Circle,
    plus: Arc<dyn Fft<f64>>,
    minus: Arc<dyn Fft<f64>>,
    twist: Vec<Complex64>,
}

impl Fourier {
    fn new(n: usize) -> Self {
        let circle = Circle::new(n);
        let twist = (0..n).map(|k| circle.root(k)).collect();
        // The sign of the exponent is +, which rustfft calls the inverse.
        let (plus, minus) = (f64::plan(n, FftDirection::Inverse), f64::plan(n, FftDirection::Forward));
        Self { circle, plus, minus, twist }
    }

    /// `F G`, for columns in rows, one generator a row.
    fn cyclic(&self, columns: &[f64], scale: f64, rank: usize) -> Vec<Complex64> {
        let rows = columns.iter().map(|&x| Complex64::from(x)).collect();
        self.generators(self.transformed(&self.plus, rows, scale), rank)
    }

    /// `conj(V H)`, for columns in rows, one generator a row.
    fn negacyclic(&self, columns: &[f64], scale: f64, rank: usize) -> Vec<Complex64> {
        let rows = columns.iter().zip(self.twist.iter().cycle()).map(|(&x, w)| w * x).collect();
        let rows = self.transformed(&self.plus, rows, scale);
        self.generators(rows, rank).into_iter().map(|z| z.conj()).collect()
    }

    /// `V* G`, one column a row; what is imaginary in it is rounding.
    fn negacyclic_back(&self, generators: &[Complex64], scale: f64, rank: usize) -> Vec<f64> {
        let rows = self.transformed(&self.minus, self.columns(generators, rank), scale);
        rows.iter().zip(self.twist.iter().cycle()).map(|(z, w)| (z * w.conj()).re).collect()
    }

    /// `F H`, one column a row; what is imaginary in it is rounding.
    fn cyclic_back(&self, generators: &[Complex64], scale: f64, rank: usize) -> Vec<f64> {
        let rows = self.transformed(&self.plus, self.columns(generators, rank), scale);
        rows.iter().map(|z| z.re).collect()
    }

    fn transformed(&self, fft: &Arc<dyn Fft<f64>>, mut rows: Vec<Complex64>, scale: f64) -> Vec<Complex64> {
        fft.process(&mut rows);
        let scale = scale / (self.twist.len() as f64).sqrt();
        rows.iter_mut().for_each(|z| *z *= scale);
        rows
    }

    fn generators(&self, rows: Vec<Complex64>, rank: usize) -> Vec<Complex64> {
        crate::linalg::transpose(&rows, rank, self.twist.len())
    }

    fn columns(&self, generators: &[Complex64], rank: usize) -> Vec<Complex64> {
        crate::linalg::transpose(generators, self.twist.len(), rank)
    }
}
