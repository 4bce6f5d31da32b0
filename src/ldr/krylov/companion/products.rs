//! Products: polynomials in A, and their transposes.

use super::taps::reversed;
use super::{Companion, Plan, Source};
use crate::matrix::take;
use crate::transform::{Form, Into, Side};

/// What a product leaves on its way.
struct Product<'a> {
    /// The spectrum of the coefficients of each generator.
    signals: &'a mut [f64],
    /// The quotient by the characteristic polynomial, and zeros.
    quotient: &'a mut [f64],
    /// `Σ_k t_k A^k g`, N numbers.
    y: &'a mut [f64],
}

/// The same, left for the gradient.
pub(super) struct Left<'a> {
    pub signals: &'a [f64],
    pub quotient: &'a [f64],
    pub y: &'a [f64],
}

impl<'a> Left<'a> {
    /// In the numbers that [`Companion::forward_keeping`] left.
    pub fn of(plan: &Plan, down: &'a [f64]) -> Self {
        let (signals, rest) = down.split_at(plan.rank.max(1) * plan.n());
        let (quotient, rest) = rest.split_at(plan.reach());
        Self { signals, quotient, y: &rest[..plan.order] }
    }
}

impl Companion {
    /// Numbers of scratch that products need.
    pub fn scratch_len(plan: &Plan) -> usize {
        let n = plan.n();
        let signals = plan.rank.max(1) * n;
        signals + n + 2 * plan.reach() + 2 * plan.places + plan.transform.scratch_len()
    }

    /// Numbers that [`Companion::forward_keeping`] leaves for the gradient.
    pub fn down_len(plan: &Plan) -> usize {
        plan.rank.max(1) * plan.n() + plan.reach() + plan.order
    }

    /// Numbers that [`Companion::transposed`] leaves for the gradient.
    pub fn up_len(plan: &Plan) -> usize {
        plan.n() + 2 * plan.places
    }

    /// `Ψ g` with its spectrum.
    pub(super) fn source(&self, plan: &Plan, g: &[f64], mut scratch: &mut [f64]) -> Source {
        let (order, places) = (plan.order, plan.places);
        let (reach, x) = (take(&mut scratch, plan.reach()), take(&mut scratch, places));
        x[..order].copy_from_slice(g);
        x[order..].fill(0.0);
        self.psi.product(x, reach);
        let below = reach[places..][..self.psi.width() - 1].to_vec();
        let mut spectrum = super::Aligned::zeros(plan.n());
        let coefficients = &mut spectrum.get_mut()[..order];
        coefficients.iter_mut().zip(reach[..places].iter().rev()).for_each(|(c, r)| *c = *r);
        self.remainder.lead_around(&below, coefficients);
        let gain = plan.transform.gain().recip();
        coefficients.iter_mut().for_each(|c| *c *= gain);
        plan.transform.forward(Form::Single, spectrum.get_mut(), scratch);
        let mut factors = super::Aligned::zeros(places);
        self.scaled.places(g, -1.0, factors.get_mut());
        Source { spectrum, below, factors }
    }

    /// `y = Σ_jk t_jk A^k g_j`, for t of r×N numbers.
    pub fn forward(&self, plan: &Plan, t: &[f64], y: &mut [f64], mut scratch: &mut [f64]) {
        let signals = take(&mut scratch, plan.rank.max(1) * plan.n());
        let quotient = take(&mut scratch, plan.reach());
        self.product(plan, t, Product { signals, quotient, y }, scratch);
    }

    /// The same, if asked, and leaves for the gradient what was on the way.
    pub fn forward_keeping(
        &self,
        plan: &Plan,
        t: &[f64],
        z: Option<&mut [f64]>,
        mut down: &mut [f64],
        scratch: &mut [f64],
    ) {
        let signals = take(&mut down, plan.rank.max(1) * plan.n());
        let quotient = take(&mut down, plan.reach());
        let y = &mut down[..plan.order];
        self.product(plan, t, Product { signals, quotient, y: &mut *y }, scratch);
        if let Some(z) = z {
            z.copy_from_slice(y);
        }
    }

    /// The same, with what it leaves on its way.
    fn product(&self, plan: &Plan, t: &[f64], to: Product<'_>, mut scratch: &mut [f64]) {
        let (order, n, places) = (plan.order, plan.n(), plan.places);
        let Product { signals, quotient, y } = to;
        let (block, upper) = (take(&mut scratch, n), take(&mut scratch, plan.reach()));
        let remainder = take(&mut scratch, places);
        if self.sources.is_empty() {
            block.fill(0.0);
        }
        let rows = t.chunks_exact(order).zip(signals.chunks_exact_mut(n)).zip(&self.sources);
        for (j, ((t, signal), source)) in rows.enumerate() {
            signal[..order].copy_from_slice(t);
            signal[order..].fill(0.0);
            plan.transform.forward(Form::Single, signal, scratch);
            let spectrum = source.spectrum.get();
            plan.transform.multiply(Form::Single, Into::set_first(j), Side::Plain, block, signal, spectrum);
        }
        plan.transform.inverse(Form::Single, block, scratch);
        upper[..order - 1].copy_from_slice(&block[order..2 * order - 1]);
        upper[order - 1..].fill(0.0);
        let (lower, beyond) = remainder.split_at_mut(order);
        lower.copy_from_slice(&block[..order]);
        beyond.fill(0.0);
        quotient[places..].fill(0.0);
        self.remainder.reduce(upper, &mut quotient[..places], lower);
        let reach = upper;
        self.k.product(remainder, reach);
        y.iter_mut().zip(reach[..places].iter().rev()).for_each(|(y, r)| *y = *r);
        y.iter_mut().rev().zip(&reach[places..][..self.k.width() - 1]).for_each(|(y, r)| *y += r);
    }

    /// `t_jk = ⟨A^k g_j, y⟩`, the transpose. States are left for the gradient: the spectrum of the gradient in a product of polynomials,
    /// that in its remainder, and that in its upper half.
    pub fn transposed(&self, plan: &Plan, y: &[f64], t: &mut [f64], states: &mut [f64], mut scratch: &mut [f64]) {
        let (order, n, places, width) = (plan.order, plan.n(), plan.places, self.k.width());
        let reach = take(&mut scratch, plan.reach());
        reversed(y, places, reach);
        let around = reach[places..][..width - 1].iter_mut();
        around.zip(y.iter().rev()).for_each(|(r, y)| *r = *y);
        reach[places + width - 1..].fill(0.0);
        let (spectrum, rest) = states.split_at_mut(n);
        let (lower, upper) = rest.split_at_mut(places);
        let upper = &mut upper[..places];
        self.k.transposed_product(reach, lower);
        let margin = self.remainder.margin();
        let padded = &mut take(&mut scratch, plan.reach())[..margin + places];
        padded[margin..].copy_from_slice(lower);
        self.remainder.reduce_back(order, padded, upper);
        spectrum[..order].copy_from_slice(&lower[..order]);
        spectrum[order..2 * order - 1].copy_from_slice(&upper[..order - 1]);
        spectrum[2 * order - 1..].fill(0.0);
        plan.transform.forward(Form::Single, spectrum, scratch);
        let out = take(&mut scratch, n);
        for (t, source) in t.chunks_exact_mut(order).zip(&self.sources) {
            let s = source.spectrum.get();
            plan.transform.inverse_of_product(Form::Single, Side::Transposed, out, spectrum, s, scratch);
            t.copy_from_slice(&out[..order]);
        }
    }
}
