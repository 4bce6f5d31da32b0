//! All figures of one tensor, or of one before and after.

use std::error::Error;
use std::time::Instant;

use displace::Scalar;
use displace::analysis::{
    DisplacementSpectrum, Drift, Rounding, Sparsity, Spectrum, Split, UpdateRank, Verdict, displacement_spectra,
    singular_values,
};
use displace::checkpoint::Reader;

use crate::options::Options;

/// Numbers that are read at a time.
const PIECE: usize = 1 << 18;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Where the numbers of a tensor come from.
pub trait Source<T> {
    /// Fills `out` with the numbers from the one with index `start` on.
    fn read(&self, start: usize, out: &mut [T]) -> Result<()>;
}

impl<T: Scalar> Source<T> for &[T] {
    fn read(&self, start: usize, out: &mut [T]) -> Result<()> {
        out.copy_from_slice(&self[start..start + out.len()]);
        Ok(())
    }
}

/// A tensor in a file.
pub struct Stored<'a> {
    pub reader: &'a Reader,
    pub name: &'a str,
}

impl<T: Scalar> Source<T> for Stored<'_> {
    fn read(&self, start: usize, out: &mut [T]) -> Result<()> {
        Ok(self.reader.read_range(self.name, start, out)?)
    }
}

/// What is known about a tensor before its numbers are read.
#[derive(Clone)]
pub struct Header {
    pub name: String,
    pub shape: Vec<usize>,
    pub dtype: String,
}

impl Header {
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Rows and columns: all dimensions but the first make up the columns.
    fn sides(&self) -> Option<(usize, usize)> {
        let (&rows, rest) = self.shape.split_first()?;
        let cols: usize = rest.iter().product();
        (!rest.is_empty() && rows.min(cols) > 1).then_some((rows, cols))
    }
}

/// The figures of a tensor.
pub struct Report {
    pub header: Header,
    /// ‖base‖.
    pub norm: f64,
    /// What an update left alone, where there is one.
    pub sparsity: Option<Sparsity>,
    /// What needs decompositions, for matrices that are not too large.
    pub matrix: Option<MatrixReport>,
    pub seconds: f64,
}

/// The figures of a matrix.
pub struct MatrixReport {
    /// The singular values of the base.
    pub values: Vec<f64>,
    pub change: Option<Change>,
    /// Of the update, where there is one that is not zero, otherwise of the matrix.
    pub spectra: Vec<DisplacementSpectrum>,
    pub verdict: Option<Verdict>,
}

/// What an update did to a matrix.
pub struct Change {
    pub k: usize,
    /// After rounding to bf16, and as it is.
    pub ranks: [UpdateRank; 2],
    pub drift: Drift,
    pub split: Split,
}

/// ‖Δ‖/‖base‖; 0 for no update, infinite for an update of zeros.
pub fn relative(sparsity: &Sparsity) -> f64 {
    if sparsity.update_norm() == 0.0 { 0.0 } else { sparsity.update_norm() / sparsity.base_norm() }
}

impl Report {
    /// Analyses a tensor, or one before and after.
    pub fn new<T: Scalar>(
        header: Header,
        base: &dyn Source<T>,
        tuned: Option<&dyn Source<T>>,
        options: &Options,
        progress: &dyn Fn(usize),
    ) -> Result<Self> {
        let start = Instant::now();
        let sides = header.sides().filter(|(rows, cols)| *rows.min(cols) <= options.svd_limit);
        let mut sparsity = Sparsity::new(options.tolerance)?;
        let whole = if sides.is_some() { header.len() } else { header.len().min(PIECE) };
        let mut before = vec![T::zero(); whole];
        let mut after = vec![T::zero(); if tuned.is_some() { whole } else { 0 }];
        for at in (0..header.len()).step_by(PIECE) {
            let count = PIECE.min(header.len() - at);
            let place = if sides.is_some() { at..at + count } else { 0..count };
            base.read(at, &mut before[place.clone()])?;
            match tuned {
                Some(tuned) => {
                    tuned.read(at, &mut after[place.clone()])?;
                    sparsity.push(&before[place.clone()], &after[place])?;
                }
                None => sparsity.push(&before[place.clone()], &before[place])?,
            }
            progress(count);
        }
        let matrix = match sides {
            Some((rows, cols)) => Some(MatrixReport::new(&before, &after, rows, cols, options)?),
            None => None,
        };
        let norm = sparsity.base_norm();
        let sparsity = tuned.is_some().then_some(sparsity);
        Ok(Self { header, norm, sparsity, matrix, seconds: start.elapsed().as_secs_f64() })
    }
}

impl MatrixReport {
    fn new<T: Scalar>(before: &[T], after: &[T], rows: usize, cols: usize, options: &Options) -> Result<Self> {
        let p = rows.min(cols);
        let step: Vec<T> = before.iter().zip(after).map(|(&b, &a)| a - b).collect();
        let moved = step.iter().any(|s| *s != T::zero());
        let shown = if moved { &step[..] } else { before };
        let spectra = displacement_spectra(shown, rows, cols)?;
        let verdict = match options.fit && shown.iter().any(|s| *s != T::zero()) {
            true => Some(Verdict::new(shown, rows, cols, options.fit_rank(p))?),
            false => None,
        };
        if !moved {
            return Ok(Self { values: singular_values(before, rows, cols)?, change: None, spectra, verdict });
        }
        let base = Spectrum::new(before, rows, cols)?;
        let k = options.directions(p);
        let change = Change {
            k,
            ranks: [
                UpdateRank::new(before, after, rows, cols, Rounding::Bf16)?,
                UpdateRank::new(before, after, rows, cols, Rounding::None)?,
            ],
            drift: Drift::between(&base, &Spectrum::new(after, rows, cols)?, k)?,
            split: Split::new(&base, &step)?,
        };
        Ok(Self { values: base.values().to_vec(), change: Some(change), spectra, verdict })
    }
}
