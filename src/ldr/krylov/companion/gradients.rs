//! Gradients: the sums of a batch, and what they come to.

use super::commutator::{Columns, Outer, PAIRS, Pair};
use super::products::Left;
use super::remainder::lead_around_gradient;
use super::taps::{GROUP, UNIT, reversed};
use super::{Companion, Plan};
use crate::ldr::krylov::band::BandGradient;
use crate::matrix::take;
use crate::transform::isa::Kernels;
use crate::transform::{Form, Into, Side};

/// Where the gradients of a batch are gathered, and what the product and the transposed product left.
pub struct Gradient<'a> {
    pub down: &'a [f64],
    pub up: &'a [f64],
    /// Whether it is the first example.
    pub first: bool,
    pub sums: &'a mut [f64],
}

/// The sums of the gradients.
struct Sums<'a> {
    /// How many outer products are waiting, and whether there are some in the band; a cache line.
    header: &'a mut [f64],
    /// Of the spectra of Ψ g.
    spectra: &'a mut [f64],
    nu: &'a mut [f64],
    /// The two vectors of outer products.
    waiting: &'a mut [f64],
    /// In the taps of ψ_0 to ψ_{N−1}.
    band: &'a mut [f64],
}

impl<'a> Sums<'a> {
    fn of(plan: &Plan, mut sums: &'a mut [f64]) -> Self {
        Self {
            header: take(&mut sums, UNIT),
            spectra: take(&mut sums, plan.rank * plan.n()),
            nu: take(&mut sums, plan.widest.next_multiple_of(UNIT)),
            waiting: take(&mut sums, PAIRS * pair_len(plan)),
            band: sums,
        }
    }
}

/// Numbers of an outer product.
fn pair_len(plan: &Plan) -> usize {
    plan.reach() + plan.places
}

fn pair<'a>(plan: &Plan, numbers: &'a [f64]) -> Pair<'a> {
    let (reach, x) = numbers.split_at(plan.reach());
    Pair { reach, x }
}

impl Companion {
    /// Numbers in the sums of the gradients.
    pub fn sums_len(plan: &Plan) -> usize {
        UNIT + plan.rank * plan.n()
            + plan.widest.next_multiple_of(UNIT)
            + PAIRS * pair_len(plan)
            + plan.places * plan.widest
    }

    /// Numbers of scratch that gradients need.
    pub fn gradient_scratch_len(plan: &Plan) -> usize {
        let columns = Columns::scratch_len(plan.order, columns_before(plan.widest)) + 3 * plan.widest;
        let finish = plan.reach() + plan.places + (plan.rank.max(1) + 1) * pair_len(plan) + columns;
        Self::scratch_len(plan) + finish
    }

    /// Adds to the sums the gradient of `⟨y, Σ_jk t_jk A^k g_j⟩`, for the y of the transposed product.
    pub fn gradient(&self, plan: &Plan, y: &[f64], gradient: Gradient<'_>, mut scratch: &mut [f64]) {
        let (order, n, places, width) = (plan.order, plan.n(), plan.places, self.psi.width());
        let Gradient { down, up, first, sums } = gradient;
        let sums = Sums::of(plan, sums);
        if first {
            sums.header.fill(0.0);
            sums.nu.fill(0.0);
        }
        let Left { signals, quotient, y: z } = Left::of(plan, down);
        let (spectrum, rest) = up.split_at(n);
        let (lower, upper) = rest.split_at(places);
        for (sum, signal) in sums.spectra.chunks_exact_mut(n).zip(signals.chunks_exact(n)) {
            let into = Into::set_first(usize::from(!first));
            plan.transform.multiply(Form::Single, into, Side::Transposed, sum, spectrum, signal);
        }
        let (nu, lower) = (&mut sums.nu[..width.next_multiple_of(UNIT)], &lower[..order]);
        self.remainder.gradient(quotient, lower, &upper[..places], nu);
        // `R = Ψ z` stands for `z = K R`: the gradient is that of `−⟨lower, Ψ z⟩`.
        let below = take(&mut scratch, width - 1);
        self.below(z, below);
        lead_around_gradient(below, lower, -1.0, nu);
        if sums.header[0] as usize == PAIRS {
            let each = pair_len(plan);
            let pairs = [pair(plan, &sums.waiting[..each]), pair(plan, &sums.waiting[each..])];
            self.add_outer(pairs, &mut sums.header[1], sums.band);
            sums.header[0] = 0.0;
        }
        let waiting = sums.header[0] as usize;
        sums.header[0] += 1.0;
        let (reach, x) = sums.waiting[waiting * pair_len(plan)..][..pair_len(plan)].split_at_mut(plan.reach());
        self.scaled.reach(y, plan.places, reach);
        self.scaled.places(z, 1.0, x);
    }

    /// A gradient in coefficients, continued below degree zero.
    fn reach_below(&self, plan: &Plan, coefficients: &[f64], reach: &mut [f64]) {
        reversed(coefficients, plan.places, reach);
        let below = &mut reach[plan.places..];
        below.fill(0.0);
        self.remainder.lead_back(coefficients, &mut below[..self.psi.width() - 1]);
    }

    /// Writes the coefficients of Ψ x below degree zero.
    fn below(&self, x: &[f64], below: &mut [f64]) {
        below.fill(0.0);
        for (i, x) in x.iter().enumerate().take(below.len()) {
            let taps = &self.psi.column(i)[i + 1..];
            below.iter_mut().zip(taps).for_each(|(b, tap)| *b += x * tap);
        }
    }

    /// Adds outer products to the band, or begins with them.
    fn add_outer(&self, pairs: [Pair<'_>; PAIRS], begun: &mut f64, band: &mut [f64]) {
        let (places, width) = (pairs[0].x.len(), self.diagonals);
        f64::run(Outer { pairs, width, add: *begun != 0.0, band: &mut band[..places * width] });
        *begun = 1.0;
    }

    /// Writes the gradients in the generators and in the three diagonals that the sums stand for; uses them up.
    pub fn finish(
        &self,
        plan: &Plan,
        sums: &mut [f64],
        generators: &mut [f64],
        entries: &mut [f64],
        mut scratch: &mut [f64],
    ) {
        let (order, places, each) = (plan.order, plan.places, pair_len(plan));
        let Sums { header, spectra, nu, waiting, band } = Sums::of(plan, sums);
        let nu = &mut nu[..self.psi.width()];
        let own = take(&mut scratch, plan.rank.max(1) * plan.reach());
        let (reach, x) = (take(&mut scratch, plan.reach()), take(&mut scratch, places));
        let gain = plan.transform.gain().recip();
        let rows = generators.chunks_exact_mut(order).zip(own.chunks_exact_mut(plan.reach())).zip(&self.sources);
        for (j, ((gradient, own), source)) in rows.enumerate() {
            let spectrum = &mut spectra[j * plan.n()..][..plan.n()];
            plan.transform.inverse(Form::Single, spectrum, scratch);
            // Times the gain of a transform and its inverse.
            let coefficients = &spectrum[..order];
            self.reach_below(plan, coefficients, reach);
            lead_around_gradient(&source.below, coefficients, gain, nu);
            self.psi.transposed_product(reach, x);
            gradient.iter_mut().zip(&*x).for_each(|(g, x)| *g = gain * x);
            self.scaled.reach(&*gradient, places, own);
        }
        let waiting_pairs = waiting.chunks_exact(each).take(header[0] as usize).map(|numbers| pair(plan, numbers));
        let own_pairs = own.chunks_exact(plan.reach()).zip(&self.sources);
        let own_pairs = own_pairs.map(|(reach, source)| Pair { reach, x: source.factors.get() });
        let total = waiting_pairs.len() + self.sources.len();
        let zeros = take(&mut scratch, each);
        if total == 0 || !total.is_multiple_of(PAIRS) {
            zeros.fill(0.0);
        }
        let nth = |i: usize| {
            let mut pairs = waiting_pairs.clone().chain(own_pairs.clone());
            pairs.nth(i).unwrap_or(pair(plan, zeros))
        };
        let mut done = 0;
        while total > done + PAIRS {
            self.add_outer([nth(done), nth(done + 1)], &mut header[1], band);
            done += PAIRS;
        }
        let width = self.diagonals;
        let (last, padded) = (take(&mut scratch, width), take(&mut scratch, 2 * self.psi.width()));
        self.last_column(nu, padded, last);
        f64::run(Columns {
            scaled: &self.scaled,
            pairs: [nth(done), nth(done + 1)],
            band: (header[1] != 0.0).then_some(&*band),
            last,
            before: columns_before(width),
            gradient: &mut BandGradient::of(entries),
            scratch,
        });
    }

    /// Writes the last column of the gradient in all entries, in the scaled coordinates, from the gradient in ν: `−⟨ν̇, ψ_j⟩ / l_0` from place N on.
    fn last_column(&self, nu: &[f64], padded: &mut [f64], last: &mut [f64]) {
        let (order, taps) = (self.scaled.order(), nu.len());
        padded[..taps].copy_from_slice(nu);
        padded[taps..].fill(0.0);
        let (own, beyond) = last.split_at_mut(taps.min(last.len()));
        self.psi.falling_products(order, padded, own);
        beyond.fill(0.0);
        self.scaled.last_column(last);
    }
}

/// Columns after which nothing is left of the error that the first of them began with: what there is of ψ_−1, which stands for the places beyond
/// the end, falls two diagonals behind with each.
fn columns_before(width: usize) -> usize {
    (width / 2 + 2).next_multiple_of(GROUP)
}
