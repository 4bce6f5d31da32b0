//! Sharing a batch between threads, so that the numbers do not depend on how many there are.

use super::{Workspace, take};
use crate::Scalar;

/// Rows are shared out in multiples of this, so that no block of lanes is cut.
#[cfg(feature = "parallel")]
const GRAIN: usize = 64;

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
        let share = batch.div_ceil(rayon::current_num_threads()).next_multiple_of(GRAIN);
        let shares = batch.div_ceil(share.max(1));
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
        let at_once = batch.div_ceil(self.chunk).min(threads());
        let each = self.sums_len + self.scratch_len;
        let memory = workspace.slice(self.sums_len + at_once * each);
        let (total, mut own) = memory.split_at_mut(self.sums_len);
        total.fill(T::zero());

        let mut dx = dx;
        let mut start = 0;
        while start < batch {
            // As many chunks side by side as there are threads, and their sums added in order.
            let end = batch.min(start + at_once * self.chunk);
            let mut jobs = Vec::new();
            let mut memory = &mut *own;
            for first in (start..end).step_by(self.chunk) {
                let last = batch.min(first + self.chunk);
                let dx = dx.as_mut().map(|rest| take(rest, (last - first) * n));
                let mut memory = take(&mut memory, each);
                let sums = take(&mut memory, self.sums_len);
                let job = (&x[first * n..last * n], &dy[first * m..last * m], dx, sums, memory);
                if at_once == 1 {
                    let (x, dy, dx, sums, scratch) = job;
                    sums.fill(T::zero());
                    pass(x, dy, dx, sums, scratch);
                } else {
                    jobs.push(job);
                }
            }
            each_job(jobs, |(x, dy, dx, sums, scratch)| {
                sums.fill(T::zero());
                pass(x, dy, dx, sums, scratch);
            });
            for sums in own.chunks_exact(each.max(1)).take((end - start).div_ceil(self.chunk)) {
                total.iter_mut().zip(sums).for_each(|(total, &sum)| *total += sum);
            }
            start = end;
        }
        own = &mut [];
        let _ = own;
        memory
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
fn each_job<J: Send>(jobs: Vec<J>, run: impl Fn(J) + Sync) {
    use rayon::prelude::*;
    jobs.into_par_iter().for_each(&run);
}

#[cfg(not(feature = "parallel"))]
fn each_job<J>(jobs: Vec<J>, run: impl Fn(J)) {
    jobs.into_iter().for_each(run);
}
