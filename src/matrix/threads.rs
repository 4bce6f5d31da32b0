//! Sharing a batch between threads, so that the numbers do not depend on how many there are.

use super::{Workspace, take};
use crate::Scalar;
#[cfg(feature = "parallel")]
use crate::transform::few::most;

/// Rows are shared out in multiples of this, so that no block of lanes is cut.
pub(crate) const GRAIN: usize = 64;

/// Numbers that the memory of each chunk is a multiple of, so that none shares a cache line with another.
const LINE: usize = 16;

/// Runs `product` on all rows of a batch, with scratch of its own for each thread.
pub(super) fn rows<T: Scalar>(
    x: &[T],
    x_row: usize,
    y: &mut [T],
    y_row: usize,
    scratch_len: usize,
    workspace: &mut Workspace<T>,
    product: impl Fn(&[T], &mut [T], &mut [T]) + Sync,
) {
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        let batch = x.len() / x_row;
        let mut share = batch.div_ceil(rayon::current_num_threads()).next_multiple_of(GRAIN).max(GRAIN);
        while batch > share && (1..=most::<T>()).contains(&(batch % share)) {
            // Few rows go by inner products, which round otherwise than a GEMM.
            share += GRAIN;
        }
        let shares = batch.div_ceil(share);
        if shares > 1 {
            let scratch = workspace.slice(shares * scratch_len.max(1));
            return x
                .par_chunks(share * x_row)
                .zip(y.par_chunks_mut(share * y_row))
                .zip(scratch.par_chunks_mut(scratch_len.max(1)))
                .for_each(|((x, y), scratch)| product(x, y, scratch));
        }
    }
    let _ = (x_row, y_row);
    product(x, y, workspace.slice(scratch_len));
}

/// A backward pass over a batch, chunk by chunk, the chunks' sums added in order.
pub(super) struct Backward {
    pub shape: (usize, usize),
    pub chunk: usize,
    pub scratch_len: usize,
    pub sums_len: usize,
}

impl Backward {
    /// Runs `pass` on each chunk. Returns the workspace's memory: the sums first, then scratch.
    pub fn run<'w, T: Scalar>(
        &self,
        x: &[T],
        dy: &[T],
        dx: Option<&mut [T]>,
        workspace: &'w mut Workspace<T>,
        pass: impl Fn(&[T], &[T], Option<&mut [T]>, &mut [T], &mut [T]) + Sync,
    ) -> &'w mut [T] {
        let (m, n) = self.shape;
        let batch = x.len() / n;
        let total_len = self.sums_len.next_multiple_of(LINE);
        if batch <= self.chunk {
            let memory = workspace.slice(total_len + self.scratch_len);
            let (total, scratch) = memory.split_at_mut(total_len);
            let total = &mut total[..self.sums_len];
            total.fill(T::zero());
            pass(x, dy, dx, total, scratch);
            return memory;
        }
        let at_once = batch.div_ceil(self.chunk).min(threads());
        let each = (self.sums_len + self.scratch_len).next_multiple_of(LINE);
        let memory = workspace.slice(total_len + at_once * each);
        let (total, own) = memory.split_at_mut(total_len);
        let total = &mut total[..self.sums_len];
        total.fill(T::zero());

        let mut dx = dx;
        for start in (0..batch).step_by(at_once.max(1) * self.chunk) {
            // As many chunks side by side as there are threads, and their sums added in order.
            let end = batch.min(start + at_once * self.chunk);
            let dx = dx.as_mut().map(|rest| take(rest, (end - start) * n));
            self.round(&x[start * n..end * n], &dy[start * m..end * m], dx, own, &pass);
            if self.sums_len > 0 {
                for sums in own.chunks_exact(each).take((end - start).div_ceil(self.chunk)) {
                    total.iter_mut().zip(sums).for_each(|(total, &sum)| *total += sum);
                }
            }
        }
        memory
    }

    /// Runs `pass` on some chunks side by side, each with its own part of `own`. Halves the work until one is left, so
    /// that no list of jobs is needed.
    fn round<T: Scalar>(
        &self,
        x: &[T],
        dy: &[T],
        dx: Option<&mut [T]>,
        own: &mut [T],
        pass: &(impl Fn(&[T], &[T], Option<&mut [T]>, &mut [T], &mut [T]) + Sync),
    ) {
        let (m, n) = self.shape;
        let chunks = (x.len() / n).div_ceil(self.chunk);
        if chunks <= 1 {
            let (sums, scratch) = own.split_at_mut(self.sums_len);
            sums.fill(T::zero());
            return pass(x, dy, dx, sums, scratch);
        }
        let rows = chunks / 2 * self.chunk;
        let each = (self.sums_len + self.scratch_len).next_multiple_of(LINE);
        let (x, x_rest) = x.split_at(rows * n);
        let (dy, dy_rest) = dy.split_at(rows * m);
        let (own, own_rest) = own.split_at_mut(chunks / 2 * each);
        let (dx, dx_rest) = match dx {
            Some(dx) => {
                let (dx, rest) = dx.split_at_mut(rows * n);
                (Some(dx), Some(rest))
            }
            None => (None, None),
        };
        join(|| self.round(x, dy, dx, own, pass), || self.round(x_rest, dy_rest, dx_rest, own_rest, pass));
    }
}

#[cfg(feature = "parallel")]
fn threads() -> usize {
    rayon::current_num_threads()
}

#[cfg(not(feature = "parallel"))]
fn threads() -> usize {
    1
}

#[cfg(feature = "parallel")]
fn join(a: impl FnOnce() + Send, b: impl FnOnce() + Send) {
    rayon::join(a, b);
}

#[cfg(not(feature = "parallel"))]
fn join(a: impl FnOnce(), b: impl FnOnce()) {
    a();
    b();
}
