//! Gradients: the sums of a batch, and what they come to.

use super::backward::{Backward, Outer, PAIRS, Pair};
use super::products::Left;
use super::remainder::lead_around_gradient;
use super::taps::{UNIT, reversed};
use super::{Companion, Plan};
use crate::ldr::krylov::band::{Band, BandGradient};
use crate::matrix::take;
use crate::transform::Form;
use crate::transform::isa::Kernels;

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
    /// How many outer products are waiting, and whether there are some in the band.
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
            header: take(&mut sums, 2),
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
        2 + plan.rank * plan.n()
            + plan.widest.next_multiple_of(UNIT)
            + PAIRS * pair_len(plan)
            + plan.places * plan.widest
    }

    /// Numbers of scratch that gradients need.
    pub fn gradient_scratch_len(plan: &Plan) -> usize {
        let rows = Backward::scratch_len(plan.order, plan.widest) + 3 * plan.widest;
        let finish = plan.n() + plan.places + (plan.rank + 1) * pair_len(plan) + rows;
        Self::scratch_len(plan) + finish
    }

    /// Adds to the sums the gradient of `⟨y, Σ_jk t_jk A^k g_j⟩`, for the y of the transposed product.
    pub fn gradient(&self, plan: &Plan, gradient: Gradient<'_>, mut scratch: &mut [f64]) {
        let (order, n, places, width) = (plan.order, plan.n(), plan.places, self.psi.width());
        let Gradient { down, up, first, sums } = gradient;
        let sums = Sums::of(plan, sums);
        if first {
            sums.header.fill(0.0);
            sums.spectra.fill(0.0);
            sums.nu.fill(0.0);
        }
        let Left { signals, quotient, y } = Left::of(plan, down);
        let (spectrum, rest) = up.split_at(n);
        let (lower, upper) = rest.split_at(places);
        for (sum, signal) in sums.spectra.chunks_exact_mut(n).zip(signals.chunks_exact(n)) {
            plan.transform.correlate(Form::Single, sum, spectrum, signal);
        }
        let (nu, lower) = (&mut sums.nu[..width.next_multiple_of(UNIT)], &lower[..order]);
        self.remainder.gradient(quotient, lower, &upper[..places], nu);
        // `R = Ψ y` stands for `y = K R`: the gradient is that of `−⟨lower, Ψ y⟩`.
        if sums.header[0] as usize == PAIRS {
            let each = pair_len(plan);
            let pairs = [pair(plan, &sums.waiting[..each]), pair(plan, &sums.waiting[each..])];
            self.add_outer(pairs, &mut sums.header[1], sums.band);
            sums.header[0] = 0.0;
        }
        let waiting = sums.header[0] as usize;
        sums.header[0] += 1.0;
        let (reach, x) = sums.waiting[waiting * pair_len(plan)..][..pair_len(plan)].split_at_mut(plan.reach());
        x[..order].iter_mut().zip(y).for_each(|(x, y)| *x = -y);
        x[order..].fill(0.0);
        self.reach_below(plan, lower, reach);
        let below = take(&mut scratch, width - 1);
        self.below(y, below);
        lead_around_gradient(below, lower, -1.0, nu);
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
        let (places, width) = (pairs[0].x.len(), self.psi.width());
        f64::run(Outer { pairs, width, add: *begun != 0.0, band: &mut band[..places * width] });
        *begun = 1.0;
    }

    /// Adds to the gradients in the generators and in the three diagonals what the sums stand for; uses them up.
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
        let own = take(&mut scratch, plan.rank.max(1) * each);
        let (x, zeros) = (take(&mut scratch, places), take(&mut scratch, each));

        let gain = plan.transform.gain().recip();
        let rows = generators.chunks_exact_mut(order).zip(self.generators.chunks_exact(order)).zip(&self.sources);
        for (j, ((gradient, generator), source)) in rows.enumerate() {
            let spectrum = &mut spectra[j * plan.n()..][..plan.n()];
            plan.transform.inverse(Form::Single, spectrum, scratch);
            let coefficients = &mut spectrum[..order];
            coefficients.iter_mut().for_each(|c| *c *= gain);
            let (reach, factors) = own[j * each..][..each].split_at_mut(plan.reach());
            self.reach_below(plan, coefficients, reach);
            lead_around_gradient(&source.below, coefficients, 1.0, nu);
            match j + 1 == plan.rank {
                // The way back along the rows takes the rest of this product.
                true => gradient[0] += reach[places - 1],
                false => {
                    self.psi.transposed_product(reach, x);
                    gradient.iter_mut().zip(&*x).for_each(|(g, x)| *g += x);
                }
            }
            factors[..order].copy_from_slice(generator);
            factors[order..].fill(0.0);
        }
        zeros.fill(0.0);
        let waiting_pairs = waiting.chunks_exact(each).take(header[0] as usize);
        let total = waiting_pairs.len() + plan.rank;
        let nth = |i: usize| {
            let mut pairs = waiting_pairs.clone().chain(own.chunks_exact(each).take(plan.rank));
            pair(plan, pairs.nth(i).unwrap_or(zeros))
        };
        let mut done = 0;
        while total > done + PAIRS {
            self.add_outer([nth(done), nth(done + 1)], &mut header[1], band);
            done += PAIRS;
        }
        // The last generator comes last.
        let pairs = if total == done + PAIRS { [nth(done), nth(done + 1)] } else { [nth(total), nth(done)] };
        let band = (header[1] != 0.0).then_some(&*band);
        let generator = generators.chunks_exact_mut(order).last().unwrap_or(&mut x[..order]);
        self.lead_back(plan, pairs, band, nu, (generator, entries), (zeros, scratch));
    }

    /// Leads gradients in the taps of Ψ, outer products and a band, back to the entries.
    fn lead_back(
        &self,
        plan: &Plan,
        pairs: [Pair<'_>; PAIRS],
        band: Option<&[f64]>,
        nu: &[f64],
        (generator, entries): (&mut [f64], &mut [f64]),
        (zeros, mut scratch): (&[f64], &mut [f64]),
    ) {
        let (order, width) = (plan.order, self.psi.width());
        let gradient = &mut BandGradient::of(entries);
        let (operator, psi) = (Band::of(&self.entries), &self.psi);
        let rows = take(&mut scratch, Backward::scratch_len(order, width));
        let [before_first, before_last, nu_again] = [(); 3].map(|()| take(&mut scratch, width));
        let (last, steps) = (nu, order);
        f64::run(Backward {
            operator,
            psi,
            pairs,
            band,
            last,
            before_last: None,
            steps,
            gradient,
            generator: &mut *generator,
            rows,
        });
        // ψ_1 has −u_{N−1} ψ_−1, where ψ_−1 is the quotient of ψ_{N−1} and ψ_N.
        before_first.fill(0.0);
        before_first.iter_mut().zip(&rows[2..width]).for_each(|(b, e)| *b = -operator.upper[order - 1] * e);
        correlate(before_first, &self.remainder.inverse, 1.0, before_last);
        correlate(before_last, self.psi.before_first(), -1.0, nu_again);
        let pairs = [pair(plan, zeros); PAIRS];
        let (last, before_last, steps) = (&*nu_again, Some(&*before_last), width / 2 + 2);
        f64::run(Backward { operator, psi, pairs, band: None, last, before_last, steps, gradient, generator, rows });
    }
}

/// Writes `factor Σ_k a_{j+k} b_k`.
fn correlate(a: &[f64], b: &[f64], factor: f64, to: &mut [f64]) {
    for (j, to) in to.iter_mut().enumerate() {
        *to = factor * a[j..].iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    }
}
