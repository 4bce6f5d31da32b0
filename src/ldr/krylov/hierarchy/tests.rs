use super::*;
use crate::transform::isa::PORTABLE_ONLY;

fn random(len: usize, rng: &mut fastrand::Rng) -> Vec<f64> {
    (0..len).map(|_| 2.0 * rng.f64() - 1.0).collect()
}

/// `A v` for the weights of A.
fn step(weights: &[f64], v: &[f64]) -> Vec<f64> {
    let n = v.len();
    (0..n).map(|i| weights[i] * v[(i + n - 1) % n]).collect()
}

fn step_back(weights: &[f64], v: &[f64]) -> Vec<f64> {
    let n = v.len();
    (0..n).map(|j| weights[(j + 1) % n] * v[(j + 1) % n]).collect()
}

/// Errors are of the size of `ε log N` times what would be there if nothing cancelled.
fn assert_near(got: &[f64], expected: &[f64], size: f64, what: &str) {
    let norm = got.iter().zip(expected).map(|(g, e)| (g - e) * (g - e)).sum::<f64>().sqrt();
    let bound = 4.0 * f64::EPSILON * (expected.len() as f64 + 2.0).log2() * size;
    assert!(norm <= bound, "{what}: {norm:e}, allowed {bound:e}");
}

fn norm(v: &[f64]) -> f64 {
    v.iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// The definition: `z = Σ_k t_k A^k g`, `⟨A^k g, y⟩`, and the gradient of `⟨y, z⟩` in g and A.
struct Definition {
    product: Vec<f64>,
    transposed: Vec<f64>,
    generator: Vec<f64>,
    weights: Vec<f64>,
}

fn definition(weights: &[f64], g: &[f64], t: &[f64], y: &[f64]) -> Definition {
    let n = g.len();
    let mut rows = vec![g.to_vec()];
    (1..n).for_each(|k| rows.push(step(weights, &rows[k - 1])));
    let product = (0..n).map(|i| (0..n).map(|k| t[k] * rows[k][i]).sum()).collect();
    let transposed = rows.iter().map(|row| row.iter().zip(y).map(|(a, b)| a * b).sum()).collect();
    let (mut dual, mut d_weights) = (vec![0.0; n], vec![0.0; n]);
    for k in (0..n).rev() {
        if k + 1 < n {
            (0..n).for_each(|i| d_weights[i] += dual[i] * rows[k][(i + n - 1) % n]);
        }
        dual = step_back(weights, &dual);
        dual.iter_mut().zip(y).for_each(|(d, y)| *d += t[k] * y);
    }
    Definition { product, transposed, generator: dual, weights: d_weights }
}

/// Everything against the definition, for batches of one to four equal examples.
fn check(weights: &[f64], rank: usize, what: &str) {
    let n = weights.len();
    let mut rng = fastrand::Rng::with_seed((10 * n + rank) as u64);
    let (g, t, y) = (random(rank * n, &mut rng), random(rank * n, &mut rng), random(n, &mut rng));
    let plan = Plan::new(n, rank);
    let hierarchy = Hierarchy::new(&plan, weights, &g).unwrap();
    let terms: Vec<_> = g.chunks_exact(n).zip(t.chunks_exact(n)).map(|(g, t)| definition(weights, g, t, &y)).collect();
    let absolute = |v: &[f64]| v.iter().map(|x| x.abs()).collect::<Vec<_>>();
    let (absolute_weights, absolute_y) = (absolute(weights), absolute(&y));
    let sizes: Vec<_> = g
        .chunks_exact(n)
        .zip(t.chunks_exact(n))
        .map(|(g, t)| definition(&absolute_weights, &absolute(g), &absolute(t), &absolute_y))
        .collect();
    let sum = |of: &dyn Fn(&Definition) -> &Vec<f64>, terms: &[Definition]| {
        let mut sum = vec![0.0; n];
        terms.iter().for_each(|term| sum.iter_mut().zip(of(term)).for_each(|(s, x)| *s += x));
        sum
    };
    let all = |of: &dyn Fn(&Definition) -> &Vec<f64>, terms: &[Definition]| {
        terms.iter().flat_map(|term| of(term).clone()).collect::<Vec<f64>>()
    };
    let what = |op: &str| format!("{op}, N = {n}, r = {rank}, {what}");
    let scratch = Hierarchy::scratch_len(&plan).max(Hierarchy::finish_scratch_len(&plan));
    let mut scratch = vec![f64::NAN; scratch];

    let product = sum(&|d| &d.product, &terms);
    let product_size = norm(&sum(&|d| &d.product, &sizes));
    let mut states = vec![f64::NAN; Hierarchy::states_len(&plan, true)];
    for keep in [false, true] {
        let mut got = vec![f64::NAN; rank * n];
        hierarchy.transposed(&plan, &y, &mut got, keep, &mut states, &mut scratch);
        let size = norm(&all(&|d| &d.transposed, &sizes));
        assert_near(&got, &all(&|d| &d.transposed, &terms), size, &what("transposed product"));
    }
    let mut got = vec![f64::NAN; n];
    hierarchy.forward(&plan, &t, Some(&mut got), None, &mut scratch);
    assert_near(&got, &product, product_size, &what("product"));
    let mut sums = vec![f64::NAN; Hierarchy::sums_len(&plan)];
    for batch in 1..=4 {
        Hierarchy::clear(&mut sums);
        for example in 0..batch {
            let gradient = Some(Gradient { states: &states, sums: &mut sums });
            got.fill(f64::NAN);
            let wanted = (example + 1 == batch).then_some(&mut got[..]);
            hierarchy.forward(&plan, &t, wanted, gradient, &mut scratch);
        }
        assert_near(&got, &product, product_size, &what("product with gradient"));
        let (mut generators, mut d_weights) = (vec![0.0; rank * n], vec![0.0; n]);
        hierarchy.finish(&plan, &mut sums, &mut generators, &mut d_weights, &mut scratch);
        generators.iter_mut().chain(&mut d_weights).for_each(|d| *d /= batch as f64);
        let size = norm(&all(&|d| &d.generator, &sizes));
        assert_near(&generators, &all(&|d| &d.generator, &terms), size, &what("gradient in the generators"));
        let size = norm(&sum(&|d| &d.weights, &sizes));
        assert_near(&d_weights, &sum(&|d| &d.weights, &terms), size, &what("gradient in the weights"));
    }
}

/// Weights of some kinds.
fn kinds(n: usize) -> Vec<(Vec<f64>, &'static str)> {
    let mut rng = fastrand::Rng::with_seed(n as u64);
    let wide: Vec<f64> = (0..n).map(|_| 0.4 + 1.1 * rng.f64()).collect();
    let mut cut = wide.clone();
    cut.iter_mut().skip(3).step_by(7).enumerate().for_each(|(k, w)| *w = [0.0, 1e-200, 1e-8][k % 3]);
    let signed = wide.iter().map(|w| if rng.bool() { *w } else { -w }).collect();
    let range: Vec<f64> = (0..n).map(|_| 10f64.powf(-6.0 * rng.f64())).collect();
    vec![(vec![1.0; n], "the shift"), (wide, "wide"), (cut, "zeros"), (signed, "signs"), (range, "a big range")]
}

const ORDERS: [usize; 20] = [1, 2, 3, 5, 8, 17, 31, 32, 33, 64, 65, 100, 120, 127, 128, 130, 257, 480, 512, 700];

#[test]
fn hierarchies_equal_the_definition() {
    for portable in [false, true] {
        PORTABLE_ONLY.set(portable);
        for n in ORDERS {
            for (weights, what) in kinds(n) {
                for rank in 0..=3.min(n) {
                    check(&weights, rank, what);
                }
            }
        }
    }
    PORTABLE_ONLY.set(false);
}

#[test]
fn those_of_many_levels_do_so_too() {
    for n in [1100, 2048] {
        for (weights, what) in kinds(n) {
            check(&weights, 1, what);
        }
    }
}

/// A child of the root has more to do with itself around the cycle then than any product of weights allows for.
#[test]
fn those_that_grow_do_so_too() {
    for n in [128, 300, 1000] {
        check(&vec![9e5f64.powf(1.0 / n as f64); n], 1, "growth");
        // The cycle amplifies ten times, a few places in a child five hundred times.
        let mut weights = vec![1.0; n];
        (weights[40], weights[60]) = (5e2, 2e-2);
        check(&weights, 1, "growth and decay");
        // Nothing comes back from around the cycle.
        let mut weights = vec![0.5; n];
        (weights[40], weights[41]) = (900.0, 900.0);
        check(&weights, 1, "growth in a few places");
    }
}

#[test]
fn products_of_weights_that_are_too_large_are_refused() {
    let plan = Plan::new(300, 1);
    let is_taken = |weights: &[f64]| Hierarchy::new(&plan, weights, &[1.0; 300]).is_some();
    // 1.04^299 is 1.2·10⁵, 1.06^299 is 3.7·10⁷.
    for (weight, expected) in [(0.0, true), (1.0, true), (1.04, true), (1.06, false), (f64::MAX, false)] {
        assert_eq!(is_taken(&[weight; 300]), expected, "{weight}");
    }
    let mut weights = [0.0; 300];
    weights[100..140].fill(1e20);
    assert!(!is_taken(&weights));
    // One is the largest product of a leaf, of a child of the root, and of a child with itself around the cycle.
    let mut weights = [1.0; 300];
    (weights[40], weights[60]) = (2e3, 1e-6);
    assert!(!is_taken(&weights));
    let mut weights = [1.0; 300];
    weights[10..40].fill(1.3);
    weights[60] = 1e-3;
    assert!(!is_taken(&weights));
    let mut weights = [1.0; 300];
    (weights[40], weights[120]) = (900.0, 990.0);
    assert!(!is_taken(&weights));
    weights[120] = 1e-3;
    assert!(is_taken(&weights));
    for infinite in [f64::NAN, f64::INFINITY] {
        for place in [0, 1, 150] {
            let mut weights = [1.0; 300];
            weights[place] = infinite;
            assert!(!is_taken(&weights), "{infinite} at {place}");
        }
    }
}
