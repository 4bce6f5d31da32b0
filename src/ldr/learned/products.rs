//! Products and gradients by the Krylov matrices of both sides, and what a product leaves for its gradient.

use std::ops::Range;

use super::{HALF, LearnedOperators, Sides};
use crate::Scalar;
use crate::ldr::krylov::{Krylov, Left};
use crate::matrix::take;
use crate::shape::Shape;

/// What a product left: the coefficients between the two sides, and what the gradient goes on from.
#[derive(Debug, Clone, Copy)]
struct Kept<'a> {
    t: &'a [f64],
    /// Of the product of the left side, and of the transposed one of the right side.
    left: Left<'a>,
}

impl<T: Scalar> LearnedOperators<T> {
    /// Numbers of scratch that products need.
    pub(super) fn product_scratch_len(&self) -> usize {
        let rows = self.plan.chunk() * (1 + self.rank) * self.order();
        numbers::<T>(rows + self.plan.states_len() + self.plan.scratch_len())
    }

    /// Numbers of scratch that gradients need.
    pub(super) fn gradients_scratch_len(&self) -> usize {
        let (plan, order) = (&self.plan, self.order());
        let rows = plan.chunk() * (3 + 2 * self.rank) * order;
        let states = plan.down_len() + 2 * plan.up_len();
        let sums = 2 * plan.sums_len() + (self.rank + 3) * order;
        numbers::<T>(rows + states + sums + plan.gradient_scratch_len())
    }

    /// `Y = X Mᵀ` or `X = Y M`: through the transposed Krylov matrix of one side, and out through the other.
    pub(super) fn product(
        &self,
        [from, to]: [&Krylov; 2],
        [x_row, y_row]: [usize; 2],
        x: &[T],
        y: &mut [T],
        scratch: &mut [T],
    ) {
        let n = self.order();
        let mut scratch = doubles_mut(scratch);
        let chunk = self.plan.chunk();
        // For rows of x, and then for those of y.
        let wide = take(&mut scratch, chunk * n);
        let t = take(&mut scratch, chunk * self.rank * n);
        let states = take(&mut scratch, self.plan.states_len());
        for group in self.plan.groups([from, to], x.len() / x_row) {
            let wide = &mut wide[..group.len() * n];
            let t = &mut t[..group.len() * self.rank * n];
            widen_rows(rows_of(x, x_row, &group), x_row, wide, n);
            self.plan.transposed(from, wide, t, false, states, scratch);
            self.plan.forward(to, t, wide, states, scratch);
            narrow_rows(wide, n, &mut y[group.start * y_row..group.end * y_row], y_row);
        }
    }

    /// Numbers that [`LearnedOperators::product_keeping`] keeps.
    pub(super) fn left_len(&self, Sides { a, b, .. }: &Sides) -> usize {
        let ([down, _], [_, up]) = (self.plan.left_len(a), self.plan.left_len(b));
        numbers::<T>(up + down + self.rank * self.order())
    }

    /// `y = M x` for one vector, which leaves for the gradient what that would compute again.
    pub(super) fn product_keeping(
        &self,
        Sides { a, b, .. }: &Sides,
        x: &[T],
        y: &mut [T],
        kept: &mut [T],
        scratch: &mut [T],
    ) {
        let (n, plan) = (self.order(), &self.plan);
        let (mut kept, mut scratch) = (doubles_mut(kept), doubles_mut(scratch));
        let wide = take(&mut scratch, n);
        let up = take(&mut kept, plan.left_len(b)[1]);
        let down = take(&mut kept, plan.left_len(a)[0]);
        let t = &mut kept[..self.rank * n];
        widen(x, wide);
        plan.transposed(b, wide, t, true, up, scratch);
        plan.forward_keeping(a, t, Some(&mut *wide), down, scratch);
        narrow_rows(wide, n, y, y.len());
    }

    fn kept<'a>(&self, Sides { a, b, .. }: &Sides, kept: &'a [T]) -> Kept<'a> {
        let (up, kept) = doubles(kept).split_at(self.plan.left_len(b)[1]);
        let (down, kept) = kept.split_at(self.plan.left_len(a)[0]);
        Kept { t: &kept[..self.rank * self.order()], left: Left { down, up } }
    }

    /// The backward pass, on from what the product of one vector kept, if it has: writes the gradient in x, if asked,
    /// and adds to the sums.
    pub(super) fn gradients(
        &self,
        sides: &Sides,
        [x, dy]: [&[T]; 2],
        mut dx: Option<&mut [T]>,
        kept: Option<&[T]>,
        sums: &mut [T],
        scratch: &mut [T],
    ) {
        let (Sides { a, b, .. }, kept) = (sides, kept.map(|kept| self.kept(sides, kept)));
        let (Shape { rows: m, cols: n }, order, plan) = (self.shape, self.order(), &self.plan);
        let mut scratch = doubles_mut(scratch);
        let chunk = plan.chunk();
        let [wide_x, wide_dy, wide_dx] = [(); 3].map(|()| take(&mut scratch, chunk * order));
        let [t, dt] = [(); 2].map(|()| take(&mut scratch, chunk * self.rank * order));
        let down = take(&mut scratch, plan.down_len());
        let [a_up, b_up] = [(); 2].map(|()| take(&mut scratch, plan.up_len()));
        let [a_sums, b_sums] = [(); 2].map(|()| take(&mut scratch, plan.sums_len()));
        if x.is_empty() {
            a_sums.fill(0.0);
            b_sums.fill(0.0);
        }
        for group in plan.groups([a, b], x.len() / n) {
            let [wide_x, wide_dy, wide_dx] =
                [&mut *wide_x, &mut *wide_dy, &mut *wide_dx].map(|wide| &mut wide[..group.len() * order]);
            let [t, dt] = [&mut *t, &mut *dt].map(|t| &mut t[..group.len() * self.rank * order]);
            widen_rows(rows_of(x, n, &group), n, wide_x, order);
            widen_rows(rows_of(dy, m, &group), m, wide_dy, order);
            let first = group.start == 0;
            let b_left = match kept {
                Some(Kept { t, left: Left { down, up } }) => {
                    plan.transposed(a, wide_dy, dt, true, a_up, scratch);
                    plan.gradient(a, [t, wide_dy], None, Left { down, up: a_up }, first, a_sums, scratch);
                    up
                }
                None => {
                    plan.transposed(b, wide_x, t, true, b_up, scratch);
                    plan.transposed(a, wide_dy, dt, true, a_up, scratch);
                    plan.forward_with_gradient(a, [t, wide_dy], None, (&mut *down, a_up), first, a_sums, scratch);
                    &*b_up
                }
            };
            let wanted = dx.is_some().then_some(&mut *wide_dx);
            plan.forward_with_gradient(b, [dt, wide_x], wanted, (&mut *down, b_left), first, b_sums, scratch);
            if let Some(dx) = &mut dx {
                narrow_rows(wide_dx, order, &mut dx[group.start * n..group.end * n], n);
            }
        }
        self.finish_sides(sides, [a_sums, b_sums], sums, scratch);
    }

    /// Adds the gradients in all parameters that the sums of both sides stand for.
    fn finish_sides(
        &self,
        Sides { a, b, alpha, .. }: &Sides,
        [a_sums, b_sums]: [&mut [f64]; 2],
        sums: &mut [T],
        mut scratch: &mut [f64],
    ) {
        let (Shape { rows: m, cols: n }, order) = (self.shape, self.order());
        let [generators, entries] = [self.rank, 3].map(|rows| take(&mut scratch, rows * order));
        let (generator_sums, operator_sums) = sums[..self.layout.len()].split_at_mut(self.generators_len());
        let (dg, dh) = self.shape.generators_mut(self.rank, generator_sums);
        let (da, db) = operator_sums.split_at_mut(self.operator_len());
        // The generators of the left side were halved. The right side comes first: it was the last to be in the caches.
        for (side, side_sums, d_generators, row, d_operator, [factor, scale]) in
            [(b, b_sums, dh, n, db, [1.0, alpha.recip()]), (a, a_sums, dg, m, da, [HALF, *alpha])]
        {
            self.plan.finish(side, side_sums, generators, entries, scratch);
            for (d, wide) in d_generators.chunks_exact_mut(row).zip(generators.chunks_exact(order)) {
                add_narrow(d, wide, factor);
            }
            add_narrow(d_operator, entries, scale);
        }
    }
}

/// Some rows of a batch.
fn rows_of<'a, T>(batch: &'a [T], row: usize, rows: &Range<usize>) -> &'a [T] {
    &batch[rows.start * row..rows.end * row]
}

/// Numbers as doubles.
fn doubles<T: Scalar>(numbers: &[T]) -> &[f64] {
    bytemuck::pod_align_to(numbers).1
}

/// The same to be written.
fn doubles_mut<T: Scalar>(numbers: &mut [T]) -> &mut [f64] {
    bytemuck::pod_align_to_mut(numbers).1
}

/// Numbers of T that hold so many doubles, wherever they begin.
fn numbers<T>(doubles: usize) -> usize {
    (doubles + 1) * (size_of::<f64>() / size_of::<T>())
}

pub(super) fn widen<T: Scalar>(row: &[T], wide: &mut [f64]) {
    let (head, tail) = wide.split_at_mut(row.len());
    head.iter_mut().zip(row).for_each(|(w, x)| *w = x.wide());
    tail.fill(0.0);
}

fn widen_rows<T: Scalar>(rows: &[T], row: usize, wide: &mut [f64], n: usize) {
    for (row, wide) in rows.chunks_exact(row).zip(wide.chunks_exact_mut(n)) {
        widen(row, wide);
    }
}

fn narrow_rows<T: Scalar>(wide: &[f64], n: usize, rows: &mut [T], row: usize) {
    for (wide, row) in wide.chunks_exact(n).zip(rows.chunks_exact_mut(row)) {
        row.iter_mut().zip(wide).for_each(|(x, &w)| *x = T::of(w));
    }
}

pub(super) fn add_narrow<T: Scalar>(sums: &mut [T], wide: &[f64], factor: f64) {
    sums.iter_mut().zip(wide).for_each(|(s, w)| *s += T::of(factor * w));
}
