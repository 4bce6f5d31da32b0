//! The rank knob: more or less displacement rank for a matrix that is already trained.
//!
//! [`Matrix::grow`] adds columns to the generators, random ones to G and zeros to H. So `G Hᵀ`, and with it the
//! function, stays the same, while the gradient in the new columns of H, `L*(∂M)ᵀ g` for the map L from `G Hᵀ` to M, is
//! nonzero at once, and that in the new columns of G after the first step. [`Matrix::shrink`] takes the best
//! displacement of lower rank: with `G = Q R` and `H = P S` (thin QR) the singular values of `G Hᵀ` are those of the
//! r×r matrix `R Sᵀ`, so it costs O((m + n) r²) and M is never formed. [`RankTarget`] specifies a rank by what it may
//! cost, and [`RankSchedule`] changes the rank between epochs of training.
//!
//! The error of `shrink` is that of the *displacement*. The matrix may change by more, since the map from displacement
//! to matrix amplifies what was cut by up to about n/π. [`RankTarget::RelativeError`] limits the error of the matrix
//! itself, and [`compress`](crate::compress) refines what is left.
//!
//! ```
//! use displace::rank::RankTarget;
//! use displace::{Builder, Family};
//!
//! let mut layer = Builder::new(Family::ToeplitzLike, 30, 40).rank(2).build_layer::<f64>()?;
//! let before = layer.weight().to_dense()?;
//! layer.weight_mut().grow(5, 1)?;
//! assert_eq!(layer.weight().to_dense()?, before);
//! let cut = layer.weight_mut().shrink(2)?; // nothing was trained: the new directions are empty
//! assert!(cut.relative < 1e-15);
//! let rank = layer.weight().rank_for(RankTarget::Parameters(300))?;
//! assert_eq!(rank, 4);
//! # Ok::<(), displace::Error>(())
//! ```

mod schedule;
mod target;

use std::sync::Arc;

use crate::error::{has_length, zeros};
use crate::linalg::{Svd, norm, qr_of_columns, svd};
use crate::matrix::{Init, Layout, Matrix, Structure, normal};
use crate::shape::Shape;
use crate::unstructured::gemm::{gemm_nt, gemm_tn};
use crate::{Error, Result, Scalar};

pub use schedule::{RankChange, RankSchedule};
pub use target::RankTarget;
pub(crate) use target::affordable;

/// What [`Matrix::shrink`] cut off, in the Frobenius norm of the displacement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cut {
    /// The norm of what was cut off the displacement.
    pub absolute: f64,
    /// The same relative to the norm of the displacement; zero if that is zero.
    pub relative: f64,
}

impl<T: Scalar> Matrix<T> {
    /// Raises the rank without changing the function: G gets random columns as long as those that it has, H gets zeros.
    ///
    /// The entries stay the same bit for bit. The gradient in the new columns of H is nonzero at once, that in the new columns
    /// of G after the first step. Costs as much as [`Matrix::new`] at the new rank. [`carry`] does the same for an optimiser's
    /// state.
    ///
    /// # Errors
    ///
    /// [`Error::RankChoice`] for a family without a rank, [`Error::RankTooLarge`] above min(m, n),
    /// [`Error::RankBelow`] for a rank below the present one, [`Error::TooLarge`] or [`Error::Memory`] for one that there is no
    /// room for, [`Error::NotFinite`] where new columns overflow; the matrix is unchanged then.
    pub fn grow(&mut self, rank: usize, seed: u64) -> Result<()> {
        let old = self.generated_rank()?;
        if rank < old {
            return Err(Error::RankBelow { rank, present: old });
        }
        let structure = self.structure_at(rank)?;
        let mut parameters = carry(self.layout(), structure.layout(), self.parameters())?;
        let m = self.rows();
        let mut rng = fastrand::Rng::with_seed(seed);
        let (kept, added) = parameters[..rank * m].split_at_mut(old * m);
        let square = kept.iter().map(|g| g.wide() * g.wide()).sum::<f64>() / kept.len().max(1) as f64;
        if square.is_normal() {
            normal(&mut rng, square, added);
        } else {
            // Nothing to take a length from: that of a fresh matrix of this rank.
            let mut fresh = zeros("the parameters", structure.layout().len())?;
            structure.initialise(Init::Glorot, &mut rng, &mut fresh)?;
            added.copy_from_slice(&fresh[old * m..rank * m]);
        }
        self.replace(structure, parameters)
    }

    /// Lowers the rank to that of the nearest displacement, by QR of both generators and a small singular value
    /// decomposition, in O((m + n) r²). The generators come out balanced: `GᵀG = HᵀH`, diagonal and descending.
    ///
    /// # Errors
    ///
    /// [`Error::RankChoice`] for a family without a rank, [`Error::RankAbove`] for a rank above the present one,
    /// [`Error::NotFinite`] where the displacement overflows, [`Error::Memory`] where there is none for the plan of the lower
    /// rank; the matrix is unchanged then.
    pub fn shrink(&mut self, rank: usize) -> Result<Cut> {
        let old = self.generated_rank()?;
        if rank > old {
            return Err(Error::RankAbove { rank, present: old });
        }
        let structure = self.structure_at(rank)?;
        let shape = Shape { rows: self.rows(), cols: self.cols() };
        let (g, h) = shape.generators(old, self.parameters());
        let Factors { g, h, s } = Factors::of(shape, old, g, h);
        let rest = &self.parameters()[old * (shape.rows + shape.cols)..];
        let parameters = [&g[..rank * shape.rows], &h[..rank * shape.cols], rest].concat();
        let (absolute, all) = (norm(&s[rank.min(s.len())..]).wide(), norm(&s).wide());
        self.replace(structure, parameters)?;
        Ok(Cut { absolute, relative: if all > 0.0 { absolute / all } else { 0.0 } })
    }

    /// The singular values of the displacement `G Hᵀ`, descending, r of them, in O((m + n) r²).
    ///
    /// # Errors
    ///
    /// [`Error::RankChoice`] for a family without a rank, [`Error::NotFinite`] where the displacement overflows.
    pub fn displacement_spectrum(&self) -> Result<Vec<T>> {
        let rank = self.generated_rank()?;
        let shape = Shape { rows: self.rows(), cols: self.cols() };
        let (g, h) = shape.generators(rank, self.parameters());
        let values = Factors::of(shape, rank, g, h).s;
        crate::error::all_finite("the singular values", &values)?;
        Ok(values)
    }

    /// The rank of a matrix whose parameters begin with generators of that rank.
    pub(crate) fn generated_rank(&self) -> Result<usize> {
        let none = Error::RankChoice { family: self.structure().family().name(), given: true };
        let rank = self.structure().at_rank(0).and(self.rank()).ok_or(none)?;
        has_generators(&**self.structure(), rank)?;
        Ok(rank)
    }

    pub(crate) fn structure_at(&self, rank: usize) -> Result<Arc<dyn Structure<T>>> {
        let none = Error::RankChoice { family: self.structure().family().name(), given: true };
        let structure = self.structure().at_rank(rank).unwrap_or(Err(none))?;
        has_generators(&*structure, rank)?;
        Ok(structure)
    }

    fn replace(&mut self, structure: Arc<dyn Structure<T>>, parameters: Vec<T>) -> Result<()> {
        *self = Matrix::on_path(structure, parameters, self.path_choice())?;
        Ok(())
    }
}

/// Refuses a structure, from outside this crate, whose parameters do not begin with G and H of this rank.
pub(crate) fn has_generators<T: Scalar>(structure: &dyn Structure<T>, rank: usize) -> Result<()> {
    let tensors = structure.layout().tensors();
    let sides = [("G", structure.rows()), ("H", structure.cols())];
    let as_said = sides
        .iter()
        .zip(tensors)
        .filter(|((name, side), tensor)| tensor.name == *name && Some(tensor.range.len()) == rank.checked_mul(*side));
    if as_said.count() == sides.len() {
        return Ok(());
    }
    Err(Error::RankChoice { family: structure.family().name(), given: true })
}

/// Balanced generators: the columns of G and H are orthogonal, and those of one index have the same length √s.
pub(crate) struct Factors<T> {
    /// r×m, one column a row.
    pub g: Vec<T>,
    /// r×n.
    pub h: Vec<T>,
    /// The singular values of `G Hᵀ`.
    pub s: Vec<T>,
}

impl<T: Scalar> Factors<T> {
    /// Those of the same product `G Hᵀ`; `rank` may be above min(m, n), what is too much is zero.
    pub fn of(shape: Shape, rank: usize, g: &[T], h: &[T]) -> Self {
        let Shape { rows: m, cols: n } = shape;
        if rank == 0 {
            return Self { g: Vec::new(), h: Vec::new(), s: Vec::new() };
        }
        let (left, right) = (qr_of_columns(g.to_vec(), m, rank), qr_of_columns(h.to_vec(), n, rank));
        let (p, q) = (m.min(rank), n.min(rank));
        let mut core = vec![T::zero(); p * q];
        gemm_nt(&left.r, &right.r, &mut core, [p, rank, q]);
        let Svd { u, s, v } = svd(&core, p, q);
        let k = p.min(q);
        let rotate = |basis: &[T], vectors: &[T], inner: usize, row: usize| {
            let mut out = vec![T::zero(); rank * row];
            let scaled: Vec<T> =
                vectors.chunks_exact(inner).zip(&s).flat_map(|(v, s)| v.iter().map(|&x| x * s.sqrt())).collect();
            crate::unstructured::gemm::gemm_nn(&scaled, basis, &mut out[..k * row], [k, inner, row]);
            out
        };
        let (g, h) = (rotate(&left.q, &u, p, m), rotate(&right.q, &v, q, n));
        let s = s.iter().copied().chain(std::iter::repeat(T::zero())).take(rank).collect();
        Self { g, h, s }
    }
}

/// Rearranges numbers from the layout of one rank to that of another: each tensor keeps what fits, and zeros fill the rest.
/// For the state of an optimiser, such as momentum, after [`Matrix::grow`].
///
/// ```
/// use displace::rank::carry;
/// use displace::{Builder, Family};
///
/// let mut matrix = Builder::new(Family::ToeplitzLike, 2, 3).rank(1).build::<f64>()?;
/// let (before, momentum) = (matrix.layout().clone(), [1.0, 2.0, 3.0, 4.0, 5.0]);
/// matrix.grow(2, 1)?;
/// let momentum = carry(&before, matrix.layout(), &momentum)?;
/// assert_eq!(momentum, [1.0, 2.0, 0.0, 0.0, 3.0, 4.0, 5.0, 0.0, 0.0, 0.0]); // G, then H
/// # Ok::<(), displace::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Length`] if there are not as many numbers as the layout `from` says, [`Error::Memory`] if there is no memory for
/// those of `to`.
pub fn carry<T: Scalar>(from: &Layout, to: &Layout, numbers: &[T]) -> Result<Vec<T>> {
    has_length("the numbers", numbers, from.len())?;
    let mut carried = zeros("the numbers carried over", to.len())?;
    for tensor in to.tensors() {
        let Some(old) = from.tensor(tensor.name) else { continue };
        let kept = old.range.len().min(tensor.range.len());
        carried[tensor.range.start..][..kept].copy_from_slice(&numbers[old.range.start..][..kept]);
    }
    Ok(carried)
}

/// The entries of `L(G Hᵀ)` for leading columns of balanced generators.
pub(crate) fn leading_entries(
    map: &dyn crate::Reconstruction,
    shape: Shape,
    rank: usize,
    factors: &Factors<f64>,
) -> Vec<f64> {
    let Shape { rows: m, cols: n } = shape;
    let mut dense = vec![0.0; m * n];
    gemm_tn(&factors.g[..rank * m], &factors.h[..rank * n], &mut dense, [m, rank, n]);
    map.reconstruct(&mut dense);
    dense
}
