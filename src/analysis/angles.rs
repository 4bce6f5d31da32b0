//! Principal angles between subspaces.

use crate::error::{all_finite, has_length};
use crate::linalg::{Orthonormal, largest, orthonormal, singular_values};
use crate::unstructured::gemm::{gemm_nn, gemm_nt};
use crate::{Error, Result, Scalar};

/// The principal angles `0 ≤ θ_1 ≤ … ≤ θ_k ≤ π/2` between two subspaces of dimension k of a space of dimension `dim`, each
/// given by k vectors that span it, one a row.
///
/// With orthonormal bases P and Q of the two in their columns, the cosines of the angles are the singular values of
/// `Pᵀ Q`, and the sines those of `Q − P Pᵀ Q`. Cosines cannot tell 1e-8 from zero, so the sines decide for angles below
/// π/4 (Björck, Golub, 1973): the error is a few ε for all angles, with ε that of `f64`. O(dim k²).
///
/// # Errors
///
/// [`Error::EmptyShape`] for no vectors, [`Error::RaggedBatch`] for slices that are not whole rows, [`Error::Length`] for
/// different numbers of vectors, [`Error::RankTooLarge`] for more vectors than `dim`, [`Error::NotFinite`], and
/// [`Error::OutOfRange`] for vectors that depend on each other to working precision.
///
/// ```
/// use displace::analysis::principal_angles;
///
/// let tiny = 1e-8_f64;
/// let angles = principal_angles(&[1.0, 0.0, 0.0], &[tiny.cos(), 0.0, tiny.sin()], 3)?;
/// assert!((angles[0] - tiny).abs() < 1e-22);
/// # Ok::<(), displace::Error>(())
/// ```
pub fn principal_angles<T: Scalar>(first: &[T], second: &[T], dim: usize) -> Result<Vec<f64>> {
    if dim == 0 || first.is_empty() {
        return Err(Error::EmptyShape { rows: first.len().checked_div(dim).unwrap_or(0), cols: dim });
    }
    if !first.len().is_multiple_of(dim) {
        return Err(Error::RaggedBatch { what: "the first basis", row: dim, actual: first.len() });
    }
    has_length("the second basis", second, first.len())?;
    let k = first.len() / dim;
    if k > dim {
        return Err(Error::RankTooLarge { rank: k, max: dim, rows: k, cols: dim });
    }
    Ok(between(&basis(first, dim)?, &basis(second, dim)?, dim))
}

/// An orthonormal basis, one vector a row, of the span of the rows.
fn basis<T: Scalar>(vectors: &[T], dim: usize) -> Result<Vec<f64>> {
    all_finite("basis", vectors)?;
    let scale = largest(vectors).wide();
    let scaled = vectors.iter().map(|v| if scale > 0.0 { v.wide() / scale } else { 0.0 }).collect();
    let Orthonormal { q, diagonal } = orthonormal(scaled, dim);
    let size = largest(&diagonal);
    let smallest = diagonal.iter().fold(f64::INFINITY, |s, d| s.min(d.abs()));
    if smallest <= dim as f64 * f64::EPSILON * size {
        let what = "the share of a basis vector that the others do not span";
        return Err(Error::OutOfRange { what, value: smallest, range: "what is above rounding" });
    }
    Ok(q)
}

/// The angles between the spans of the orthonormal rows of p and of q.
pub(super) fn between(p: &[f64], q: &[f64], dim: usize) -> Vec<f64> {
    let k = p.len() / dim;
    let mut inner = vec![0.0; k * k];
    gemm_nt(q, p, &mut inner, [k, dim, k]);
    let cosines = singular_values(&inner, k, k);
    let mut along = vec![0.0; k * dim];
    gemm_nn(&inner, p, &mut along, [k, k, dim]);
    let rest: Vec<f64> = q.iter().zip(along).map(|(q, a)| q - a).collect();
    let sines = singular_values(&rest, k, dim);
    // Both run descending: the largest cosine and the smallest sine are of the smallest angle.
    let angle = |(cosine, sine): (&f64, &f64)| {
        if sine * sine <= 0.5 { sine.min(1.0).asin() } else { cosine.min(1.0).acos() }
    };
    cosines.iter().zip(sines.iter().rev()).map(angle).collect()
}
