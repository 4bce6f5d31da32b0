//! Inverses, solutions and determinants of square Cauchy-like matrices with real nodes, in O(r n²).

use std::marker::PhantomData;

use super::convert::square;
use super::eliminate::{Eliminated, Line, eliminate};
use super::solver::{Operator, Side, Solver};
use crate::ldr::CauchyLike;
use crate::linalg::{largest, transpose};
use crate::matrix::{Matrix, PathChoice};
use crate::{Error, Result, Scalar};

/// A square Cauchy-like matrix that has been inverted, for any number of right-hand sides.
///
/// As [`Gko`](super::Gko), only that the matrix is Cauchy-like to begin with and all is real: elimination with partial
/// pivoting down to the generators of the inverse, which is Cauchy-like with the nodes exchanged,
/// `D(t) M⁻¹ − M⁻¹ D(s) = −(M⁻¹ G)(M⁻ᵀ H)ᵀ`. O(r n²) time and O(rn) memory; a solution takes fast products with the
/// inverse, and residuals in O(r n²). Always in double precision.
///
/// Cauchy matrices are among the worst conditioned there are unless the nodes of s and t interlace; those of a few
/// dozen rows can be singular to working precision.
///
/// ```
/// use displace::algebra::CauchyGko;
/// use displace::ldr::CauchyLike;
///
/// let m = CauchyLike::from_generators(&[1.0, 3.0], &[0.0, 2.0], 1, &[1.0, 6.0], &[1.0, 1.0])?;
/// let x = CauchyGko::new(&m)?.solve(&[0.0, 8.0])?;
/// assert!((x[0] - 1.0_f64).abs() < 1e-14 && (x[1] - 1.0).abs() < 1e-14);
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct CauchyGko<T: Scalar> {
    solver: Solver<Real>,
    log_abs_determinant: f64,
    determinant_sign: f64,
    number: PhantomData<T>,
}

impl<T: Scalar> CauchyGko<T> {
    /// Eliminates.
    ///
    /// # Errors
    ///
    /// [`Error::NotSquare`], [`Error::Coincide`] for two equal nodes in s or in t; [`Error::SingularMatrix`],
    /// [`Error::NotFinite`] and [`Error::Memory`] as for [`Gko::new`](super::Gko::new).
    pub fn new(matrix: &Matrix<T, CauchyLike<T>>) -> Result<Self> {
        let n = square(matrix)?;
        let rank = matrix.rank().unwrap_or(0);
        let wide = |x: &[T]| x.iter().map(|x| x.wide()).collect::<Vec<f64>>();
        let (s, t) = matrix.structure().nodes_of(matrix.parameters())?;
        let (s, t) = (wide(&s), wide(&t));
        distinct("s", &s)?;
        distinct("t", &t)?;
        let (g, h) = matrix.parameters()[..2 * rank * n].split_at(rank * n);
        let (g, h) = (wide(g), wide(h));
        let scales = [largest(&g), largest(&h)];
        if rank == 0 || scales.contains(&0.0) {
            return Err(Error::SingularMatrix { condition: f64::INFINITY });
        }
        // One generator a row, and of size 1.
        let rows = |x: &[f64], scale: f64| transpose(x, rank, n).into_iter().map(|x| x / scale).collect::<Vec<f64>>();
        let Eliminated { g: left, h: right, log_abs_determinant, phase } =
            eliminate(&Line, &s, &t, &rows(&g, scales[0]), &rows(&h, scales[1]))
                .map_err(|condition| Error::SingularMatrix { condition })?;
        let columns =
            |x: &[f64], scale: f64| transpose(x, n, rank).into_iter().map(|x| x / scale).collect::<Vec<f64>>();
        let inverse = Real::new(&t, &s, rank, &columns(&left, -scales[1]), &columns(&right, scales[0]))?;
        Ok(Self {
            solver: Solver::new(Real::new(&s, &t, rank, &g, &h)?, inverse)?,
            log_abs_determinant: log_abs_determinant + n as f64 * (scales[0].ln() + scales[1].ln()),
            determinant_sign: phase,
            number: PhantomData,
        })
    }

    /// The order n.
    pub fn order(&self) -> usize {
        self.solver.order()
    }

    /// An estimate of the condition number `‖M‖₁ ‖M⁻¹‖₁`.
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

    /// `M⁻¹`, of the same rank, with the nodes s and t exchanged.
    ///
    /// # Errors
    ///
    /// As for [`Gko::inverse`](super::Gko::inverse).
    pub fn inverse(&self) -> Result<Matrix<T, CauchyLike<T>>> {
        let Real { s, t, rank, g, h, .. } = self.solver.inverse()?;
        let [s, t, g, h] = [s, t, g, h].map(|x| x.iter().map(|&x| T::of(x)).collect::<Vec<T>>());
        CauchyLike::from_generators(&s, &t, *rank, &g, &h)
    }

    /// The x with `M x = b`, for every row b of `right`, one solution a row.
    ///
    /// # Errors
    ///
    /// As for [`Gko::solve`](super::Gko::solve).
    pub fn solve(&self, right: &[T]) -> Result<Vec<T>> {
        self.solver.rows(Side::Plain, right)
    }

    /// The x with `Mᵀ x = b`, for every row b of `right`, one solution a row.
    ///
    /// # Errors
    ///
    /// As for [`Gko::solve`](super::Gko::solve).
    pub fn solve_transposed(&self, right: &[T]) -> Result<Vec<T>> {
        self.solver.rows(Side::Transposed, right)
    }
}

/// A Cauchy-like matrix, with fast products and with exact ones.
#[derive(Debug, Clone)]
struct Real {
    s: Vec<f64>,
    t: Vec<f64>,
    rank: usize,
    g: Vec<f64>,
    h: Vec<f64>,
    fast: Matrix<f64, CauchyLike<f64>>,
}

impl Real {
    fn new(s: &[f64], t: &[f64], rank: usize, g: &[f64], h: &[f64]) -> Result<Self> {
        let mut fast = CauchyLike::from_generators(s, t, rank, g, h)?;
        fast.set_path(PathChoice::Fast);
        let [s, t, g, h] = [s, t, g, h].map(<[f64]>::to_vec);
        Ok(Self { s, t, rank, g, h, fast })
    }
}

impl Operator for Real {
    fn order(&self) -> usize {
        self.s.len()
    }

    fn product(&self, side: Side, x: &[f64]) -> Result<Vec<f64>> {
        match side {
            Side::Plain => self.fast.apply(x),
            Side::Transposed => self.fast.apply_transposed(x),
        }
    }

    /// Entry by entry: the fast product is less accurate than rounding.
    fn exact_product(&self, side: Side, x: &[f64]) -> Result<Vec<f64>> {
        let n = self.order();
        // Mᵀ is Cauchy-like with all roles exchanged, up to the sign.
        let (s, t, g, h, sign) = match side {
            Side::Plain => (&self.s, &self.t, &self.g, &self.h, 1.0),
            Side::Transposed => (&self.t, &self.s, &self.h, &self.g, -1.0),
        };
        let mut row = vec![0.0; n];
        let entry = |i: usize| {
            row.fill(0.0);
            for (g, h) in g.chunks_exact(n).zip(h.chunks_exact(n)) {
                crate::unstructured::gemm::add_scaled(&mut row, sign * g[i], h);
            }
            row.iter().zip(t).zip(x).map(|((row, t), x)| row / (s[i] - t) * x).sum()
        };
        Ok((0..n).map(entry).collect())
    }
}

/// Refuses two equal nodes.
fn distinct(what: &'static str, nodes: &[f64]) -> Result<()> {
    let mut order: Vec<usize> = (0..nodes.len()).collect();
    order.sort_by(|&i, &j| nodes[i].total_cmp(&nodes[j]));
    match order.windows(2).find(|pair| nodes[pair[0]] == nodes[pair[1]]) {
        None => Ok(()),
        Some(pair) => {
            let (first, second) = (pair[0].min(pair[1]), pair[0].max(pair[1]));
            Err(Error::Coincide { what, first, second, value: nodes[first] })
        }
    }
}
