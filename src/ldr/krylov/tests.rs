use super::*;

fn random(len: usize, rng: &mut fastrand::Rng) -> Vec<f64> {
    (0..len).map(|_| 2.0 * rng.f64() - 1.0).collect()
}

fn assert_near(got: &[f64], expected: &[f64], order: usize, what: &str) {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let error = norm(&mut got.iter().zip(expected).map(|(g, e)| g - e));
    let size = norm(&mut expected.iter().copied());
    // A rounding error for each step and place that is passed; all numbers are of the order of one, or vanish.
    let bound = 2.0 * f64::EPSILON * (order as f64 + 64.0) * size.max(0.01);
    assert!(error <= bound, "{what}: {error:e} of {size:e}, allowed {bound:e}");
}

const LIMITS: Limits = Limits { growth: 1e6, tail: 1e-16, condition: 1e4, error: 1e-11 };

/// What multiplies tridiagonal operators in near-linear time.
#[derive(Debug, Clone, Copy)]
enum Way {
    Companion,
    /// A tree with so many ways through blocks.
    Tree(usize),
}

/// Each way does the same as the recurrence, for a tridiagonal operator; and so does a hierarchy for a subdiagonal one.
fn check(order: usize, rank: usize, ways: Option<Way>) {
    let tridiagonal = ways.is_some();
    // There is no room for many taps in few places.
    let spread = if matches!(ways, Some(Way::Companion)) && order < 100 { 0.001 } else { 0.03 };
    let mut rng = fastrand::Rng::with_seed((10 * order + rank) as u64);
    let mut entries: Vec<f64> = random(3 * order, &mut rng).iter().map(|e| spread * e).collect();
    entries[..order].iter_mut().for_each(|lower| *lower += 1.0);
    entries[0] = 0.9;
    if !tridiagonal {
        entries[order..].fill(0.0);
    }
    let (generators, y) = (random(rank * order, &mut rng), random(order, &mut rng));
    let mut plan = KrylovPlan::new(order, rank, tridiagonal, LIMITS);
    match (&mut plan.fast, ways) {
        (Fast::Tridiagonal(_, plans), Some(Way::Companion)) => plans.clear(),
        (Fast::Tridiagonal(near, plans), Some(Way::Tree(ways))) => {
            *near = None;
            plans.retain(|plan| plan.ports.ways == ways);
        }
        _ => {}
    }
    let segments = &plan.segments;
    let tree = Krylov { engine: plan.fast_engine(&entries, &generators, &[0; 2], None).unwrap(), entries, generators };
    let Krylov { entries, generators, .. } = &tree;
    let recurrence = Recurrence::new(segments, entries, generators);
    let what = |op: &str| format!("{op}, N = {order}, r = {rank}, ways: {ways:?}");
    let mut scratch = vec![f64::NAN; plan.gradient_scratch_len()];

    let mut up = vec![f64::NAN; plan.up_len()];
    let mut kept = vec![f64::NAN; Recurrence::kept_len(segments)];
    let [mut t, mut expected] = [(); 2].map(|()| vec![f64::NAN; rank * order]);
    plan.transposed(&tree, &y, &mut t, true, &mut up, &mut scratch);
    recurrence.expand(segments, &y, &mut expected, &mut kept, &mut scratch);
    assert_near(&t, &expected, order, &what("transposed product"));

    let t = random(rank * order, &mut rng);
    let mut down = vec![f64::NAN; plan.down_len()];
    let [mut z, mut expected] = [(); 2].map(|()| vec![f64::NAN; order]);
    let (mut sums, mut band) = (vec![f64::NAN; plan.sums_len()], vec![f64::NAN; 3 * order]);
    let mut d_generators = vec![f64::NAN; rank * order];
    let (mut expected_band, mut expected_generators) = (vec![0.0; 3 * order], vec![0.0; rank * order]);
    let states = (&mut down[..], &up[..]);
    plan.forward_with_gradient(&tree, [&t, &y], Some(&mut z), states, true, &mut sums, &mut scratch);
    plan.finish(&tree, &mut sums, &mut d_generators, &mut band, &mut scratch);
    let mut power_sums = vec![0.0; Recurrence::sums_len(segments, rank)];
    recurrence.combine_with_gradient(segments, &t, Some(&mut expected), &kept, &mut power_sums, &mut scratch);
    let gradient = Gradient { entries: &mut expected_band, generators: &mut expected_generators };
    Recurrence::finish(segments, [entries, generators], &mut power_sums, gradient, &mut scratch);
    assert_near(&z, &expected, order, &what("product"));
    assert_near(&d_generators, &expected_generators, order, &what("gradient in the generators"));
    let entries = if tridiagonal { 3 * order } else { order };
    assert_near(&band[..entries], &expected_band[..entries], order, &what("gradient in the operator"));
}

#[test]
fn hierarchies_equal_recurrences() {
    for order in [1, 2, 3, 17, 64, 65, 100, 130, 257, 520] {
        for rank in 1..=3.min(order) {
            check(order, rank, None);
        }
    }
}

#[test]
fn trees_equal_recurrences() {
    for order in [4, 5, 17, 64, 65, 100, 130, 257, 520, 1040, 2200] {
        for rank in 0..=if order < 1000 { 3 } else { 1 } {
            check(order, rank, Some(Way::Tree(2)));
            if order >= 64 {
                check(order, rank, Some(Way::Tree(1)));
            }
        }
    }
}

#[test]
fn companions_equal_recurrences() {
    for order in [32, 33, 63, 64, 65, 100, 130, 257, 520, 1040] {
        for rank in 0..=3 {
            check(order, rank, Some(Way::Companion));
        }
    }
}

/// Which engine it is depends on the order, the operator and the limits.
#[test]
fn engines_are_those_that_operators_call_for() {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut engine = |order: usize, lower: f64, upper: f64, limits: Limits| {
        let lower = (0..order).map(|_| 1.0 + lower * (2.0 * rng.f64() - 1.0));
        let entries = [lower.collect(), vec![0.001; order], vec![upper; order]].concat();
        let plan = KrylovPlan::new(order, 1, true, limits);
        match plan.prepare(entries, vec![1.0; order], None).engine {
            Engine::Companion(..) => "companion",
            Engine::Scattering(_, plan) if plan.ports.ways == 1 => "one way",
            Engine::Scattering(..) => "two ways",
            _ => "sweep",
        }
    };
    assert_eq!(engine(96, 0.01, 0.001, LIMITS), "sweep");
    assert_eq!(engine(97, 0.01, 0.001, LIMITS), "companion");
    assert_eq!(engine(600, 0.01, 0.001, LIMITS), "companion");
    assert_eq!(engine(500, 0.5, 0.001, LIMITS), "sweep");
    assert_eq!(engine(600, 0.5, 0.001, LIMITS), "one way");
    assert_eq!(engine(600, 0.5, 0.05, LIMITS), "sweep");
    assert_eq!(engine(1100, 0.5, 0.05, LIMITS), "two ways");
    assert_eq!(engine(1100, 0.0, 0.5, LIMITS), "sweep");
    assert_eq!(engine(600, 0.5, 0.001, Limits { growth: 1.0, ..LIMITS }), "sweep");
    assert_eq!(engine(600, 0.01, 0.001, Limits { condition: 1.0, growth: 1.0, ..LIMITS }), "sweep");
}

/// More than double precision is for the side whose rounding errors would grow too far.
#[test]
fn recurrences_are_refined_where_their_errors_would_grow() {
    let is_refined = |order: usize, error: f64| {
        let shift = [vec![1.0; order], vec![0.0; 2 * order]].concat();
        let mut swinging = shift.clone();
        let diagonal = swinging[order..2 * order].iter_mut().enumerate();
        diagonal.for_each(|(i, d)| *d = if 2 * i < order { 0.05 } else { -0.05 });
        let plan = KrylovPlan::new(order, 1, true, Limits { error, ..LIMITS });
        let [mut a, mut b] = [swinging, shift].map(|entries| plan.prepare(entries, vec![1.0; order], None));
        plan.refine([&mut a, &mut b]);
        [a, b].map(|side| matches!(&side.engine, Engine::Sweep(recurrence) if recurrence.is_refined()))
    };
    // The loss is about exp(0.025 N), 10¹².
    assert_eq!(is_refined(1100, 1e-11), [true, false]);
    assert_eq!(is_refined(1100, 0.1), [false; 2]);
    assert_eq!(is_refined(1024, 1e-11), [false; 2]);
}
