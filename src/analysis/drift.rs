//! How far singular values and singular vectors drift.

use super::angles::between;
use super::spectrum::{Gap, Spectrum, check_proper};
use crate::error::{all_finite, has_length};
use crate::linalg::norm;
use crate::unstructured::gemm::{dot, gemm_nt, gemm_tn};
use crate::{Error, Result, Scalar};

/// The drift of singular values and vectors between two m×n matrices, before and after fine-tuning.
///
/// What arXiv 2509.12235 looks at: there, fine-tuning leaves singular values nearly alone and turns the vectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    values: Vec<f64>,
    leading: SubspaceDrift,
    trailing: SubspaceDrift,
}

/// The angles between the spans of k singular vectors before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct SubspaceDrift {
    left: Vec<f64>,
    right: Vec<f64>,
    gaps: [Gap; 2],
}

impl SubspaceDrift {
    /// The k principal angles between the left singular subspaces, ascending.
    pub fn left(&self) -> &[f64] {
        &self.left
    }

    /// The k principal angles between the right singular subspaces, ascending.
    pub fn right(&self) -> &[f64] {
        &self.right
    }

    /// The gaps of both matrices, before and after, at the edge of the subspace.
    pub fn gaps(&self) -> [Gap; 2] {
        self.gaps
    }

    /// `‖U_b U_bᵀ − U_t U_tᵀ‖_F = √(2 Σ sin²θ)`: from 0 to √(2k).
    pub fn left_distance(&self) -> f64 {
        distance(&self.left)
    }

    /// `‖V_b V_bᵀ − V_t V_tᵀ‖_F`.
    pub fn right_distance(&self) -> f64 {
        distance(&self.right)
    }
}

fn distance(angles: &[f64]) -> f64 {
    angles.iter().map(|angle| 2.0 * angle.sin() * angle.sin()).sum::<f64>().sqrt()
}

impl Drift {
    /// Compares two matrices by their leading k and by their trailing k singular directions. O((m + n) k²).
    ///
    /// # Errors
    ///
    /// [`Error::ShapeMismatch`], and [`Error::OutOfRange`] unless 1 ≤ k < min(m, n): all min(m, n) directions span the whole
    /// space, and their angles would be zero whatever happened.
    pub fn between(base: &Spectrum, tuned: &Spectrum, k: usize) -> Result<Self> {
        same_shape("the drift", base, tuned)?;
        check_proper(k, base.rows, base.cols)?;
        let rest = base.values().len() - k;
        Ok(Self {
            values: relative_differences(base, tuned),
            leading: subspaces(base, tuned, 0, k, k)?,
            trailing: subspaces(base, tuned, rest, k, rest)?,
        })
    }

    /// `(σ_i(tuned) − σ_i(base)) / σ_i(base)`, index by index. Where σ_i(base) is below its rank tolerance, the tolerance
    /// takes its place, so that rounding does not look like drift; infinite if the base is zero and the other is not.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The subspaces of the k largest singular values.
    pub fn leading(&self) -> &SubspaceDrift {
        &self.leading
    }

    /// The subspaces of the k smallest of the min(m, n) singular values.
    pub fn trailing(&self) -> &SubspaceDrift {
        &self.trailing
    }
}

fn relative_differences(base: &Spectrum, tuned: &Spectrum) -> Vec<f64> {
    let floor = base.tolerance();
    let relative = |(&b, &t): (&f64, &f64)| if t == b { 0.0 } else { (t - b) / b.max(floor) };
    base.values().iter().zip(tuned.values()).map(relative).collect()
}

fn subspaces(base: &Spectrum, tuned: &Spectrum, start: usize, k: usize, edge: usize) -> Result<SubspaceDrift> {
    let (m, n) = (base.rows, base.cols);
    let part = |block: &'_ [f64], len: usize| block[start * len..(start + k) * len].to_vec();
    Ok(SubspaceDrift {
        left: between(&part(base.left(), m), &part(tuned.left(), m), m),
        right: between(&part(base.right(), n), &part(tuned.right(), n), n),
        gaps: [base.gap(edge)?, tuned.gap(edge)?],
    })
}

pub(super) fn same_shape(what: &'static str, left: &Spectrum, right: &Spectrum) -> Result<()> {
    if (left.rows, left.cols) == (right.rows, right.cols) {
        return Ok(());
    }
    Err(Error::ShapeMismatch {
        what,
        left_rows: left.rows,
        left_cols: left.cols,
        right_rows: right.rows,
        right_cols: right.cols,
    })
}

/// `‖ΔW‖²`, split into what scales the singular directions of the base and what rotates them.
///
/// With `D = U_bᵀ ΔW V_b`, the diagonal of D changes singular values and leaves their vectors alone; the rest of ΔW, off
/// the diagonal or outside of the spans, turns vectors, to first order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Split {
    /// `Σ_i D_ii²`.
    pub scaling: f64,
    /// `‖ΔW − U_b diag(D) V_bᵀ‖²`, which is `‖ΔW‖² − Σ_i D_ii²`.
    pub rotation: f64,
}

impl Split {
    /// Splits an update, row-major m×n, of a decomposed matrix. O(mnp); neither part suffers if it is far smaller than the
    /// other.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] for an update of another size, [`Error::NotFinite`].
    pub fn new<T: Scalar>(base: &Spectrum, update: &[T]) -> Result<Self> {
        let (m, n, p) = (base.rows, base.cols, base.values().len());
        has_length("the update", update, m * n)?;
        all_finite("the update", update)?;
        let mut rest: Vec<f64> = update.iter().map(|u| u.wide()).collect();
        let mut along = vec![0.0; p * m];
        gemm_nt(base.right(), &rest, &mut along, [p, n, m]);
        let rows = along.chunks_exact(m).zip(base.left().chunks_exact(m));
        let diagonal: Vec<f64> = rows.map(|(a, u)| dot(a, u)).collect();
        for ((scaled, u), &d) in along.chunks_exact_mut(m).zip(base.left().chunks_exact(m)).zip(&diagonal) {
            scaled.iter_mut().zip(u).for_each(|(s, u)| *s = d * u);
        }
        let mut scaling = vec![0.0; m * n];
        gemm_tn(&along, base.right(), &mut scaling, [m, p, n]);
        rest.iter_mut().zip(scaling).for_each(|(r, s)| *r -= s);
        Ok(Self { scaling: norm(&diagonal).powi(2), rotation: norm(&rest).powi(2) })
    }

    /// `‖ΔW‖²`.
    pub fn total(&self) -> f64 {
        self.scaling + self.rotation
    }

    /// The share of the rotation, from 0 to 1; 0 for no update.
    pub fn rotation_share(&self) -> f64 {
        if self.total() == 0.0 { 0.0 } else { self.rotation / self.total() }
    }
}
