//! Gradients without the diagonals that have no influence.

use super::influence::LEFT_OUT;
use super::*;
use crate::ldr::learned;

/// Diagonals whose influence is below a limit are left out, and gradients are wrong by no more than that, for operators with some large entries as well; where
/// products of the entries below the diagonal grow or shrink up to the limit of the condition number, the bars are kept. With the limits of both
/// number types.
#[test]
fn gradients_are_wrong_by_diagonals_that_are_left_out() {
    for (limits, bar) in learned::LIMITS.into_iter().zip([2e-5, 1e-11]) {
        let Limits { tail, condition, .. } = limits;
        for (most, bar) in [(0.0, None), (condition.ln(), Some(bar))] {
            let mut rng = fastrand::Rng::with_seed(77);
            let mut taken = 0;
            for _ in 0..400 {
                let entries = unusual_operator(most, &mut rng);
                let Some(error) = error_in_entries(&entries, limits, &mut rng) else { continue };
                let order = (entries.len() / 3) as f64;
                // Next to sums of N random products, those that all add up are √N times as large.
                let bound = bar.unwrap_or(10.0 * LEFT_OUT * tail * order.sqrt() + 32.0 * f64::EPSILON * order);
                assert!(error <= bound, "N = {order}, tail {tail}: {error:e}, allowed {bound:e}");
                taken += 1;
            }
            assert!(taken > 100, "{taken} of 400");
        }
    }
}

/// An operator near the shift, but for up to three entries, and for products of the entries below the diagonal of up to `exp(most)`.
fn unusual_operator(most: f64, rng: &mut fastrand::Rng) -> Vec<f64> {
    let order = rng.usize(40..130);
    let mut entries = operator(order, 10f64.powf(-10.0 * rng.f64() - 1.5));
    for _ in 0..rng.usize(0..4) {
        let row = rng.usize(0..3);
        let size = if row == 2 { 0.3 } else { 0.7 };
        entries[row * order + rng.usize(0..order)] = f64::from(row == 0) + size * (2.0 * rng.f64() - 1.0);
    }
    let [early, late] = [(); 2].map(|()| (most / order as f64 * (2.0 * rng.f64() - 1.0)).exp());
    let (first, second) = entries[..order].split_at_mut(order / 2);
    first.iter_mut().for_each(|lower| *lower *= early);
    second.iter_mut().for_each(|lower| *lower *= late);
    entries
}

/// The relative error of the gradient in the entries, unless the operator is refused; the larger one of a random example and of one in which a diagonal
/// that is left out is as large as can be.
fn error_in_entries(entries: &[f64], limits: Limits, rng: &mut fastrand::Rng) -> Option<f64> {
    let order = entries.len() / 3;
    let generators = random(order, rng);
    let plan = Plan::new(order, 1, limits)?;
    let companion = Companion::new(&plan, entries, &generators, None)?;
    let mut example = Example { t: random(order, rng), y: random(order, rng) };
    let usual = error_of_example(entries, &generators, &companion, &plan, &example);
    companion.forward(&plan, &example.t, &mut example.y, &mut vec![f64::NAN; Companion::scratch_len(&plan)]);
    example.y.rotate_left(companion.diagonals % order);
    Some(usual.max(error_of_example(entries, &generators, &companion, &plan, &example)))
}

/// The relative error of the gradient in the entries.
fn error_of_example(entries: &[f64], generators: &[f64], companion: &Companion, plan: &Plan, example: &Example) -> f64 {
    let expected = &gradients(entries, generators, std::slice::from_ref(example))[1];
    let got = gradient_in_entries(companion, plan, example);
    norm(&got.iter().zip(expected).map(|(g, e)| g - e).collect::<Vec<_>>()) / norm(expected)
}

fn gradient_in_entries(companion: &Companion, plan: &Plan, Example { t, y }: &Example) -> Vec<f64> {
    let order = plan.order;
    let (sums, scratch) = (Companion::sums_len(plan), Companion::gradient_scratch_len(plan));
    let [mut down, mut up, mut sums, mut scratch] =
        [Companion::down_len(plan), Companion::up_len(plan), sums, scratch].map(|len| vec![f64::NAN; len]);
    companion.transposed(plan, y, &mut vec![0.0; order], &mut up, &mut scratch);
    companion.forward_keeping(plan, t, None, &mut down, &mut scratch);
    companion.gradient(plan, y, Gradient { down: &down, up: &up, first: true, sums: &mut sums }, &mut scratch);
    let mut got = vec![f64::NAN; 3 * order];
    companion.finish(plan, &mut sums, &mut vec![0.0; order], &mut got, &mut scratch);
    got
}

/// The recurrence for the influence of diagonals as it stands, all of them in all columns.
fn groups_of_influence(plan: &Plan, scaled: &Scaled) -> usize {
    let Plan { order, widest, .. } = *plan;
    let limit = LEFT_OUT * plan.limits.tail * (order as f64).sqrt();
    let [d, u] = [&scaled.diagonal, &scaled.upper].map(|x| move |i: usize| x[i % order]);
    let mut rng = fastrand::Rng::with_seed(0);
    let (mut before, mut here, mut signs, mut groups) = (vec![0.0; widest], vec![0.0; widest], 0, 1);
    for number in 0..order + widest / 2 {
        let i = 2 * order - widest / 2 + number;
        signs = if number % 21 == 0 { rng.u64(..) } else { signs >> 3 };
        let mut next = here.clone();
        for q in 0..widest {
            next[q] += if q < 3 { 2.0 * (signs >> (2 - q) & 1) as f64 - 1.0 } else { 0.0 };
            next[q] += if q >= 1 { (d(i + 1 - q) - d(i)) * here[q - 1] } else { 0.0 };
            next[q] += if q >= 2 { u(i + 1 - q) * here[q - 2] - u(i - 1) * before[q - 2] } else { 0.0 };
        }
        groups = groups.max(next.iter().rposition(|x| x.abs() > limit).map_or(1, |last| last / GROUP + 1));
        (before, here) = (here, next);
    }
    groups
}

#[test]
fn diagonals_that_count_are_those_of_the_transposed_recurrence() {
    on_both(|| {
        for limits in [LIMITS, learned::LIMITS[0], learned::LIMITS[1]] {
            for (order, spread) in OPERATORS {
                let plan = Plan::new(order, 1, limits).unwrap();
                let scaled = Scaled::new(&plan, &operator(order, spread));
                let groups = influence::diagonals(&plan, &scaled) / GROUP;
                assert_eq!(groups, groups_of_influence(&plan, &scaled), "N = {order}, spread {spread}");
            }
        }
    });
}
