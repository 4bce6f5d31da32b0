//! Entries and gradients against the terms of the definition, one by one.

use super::*;
use crate::transform::isa::PORTABLE_ONLY;

/// Draws a weight.
type Weight = fn(&mut fastrand::Rng) -> f64;

struct Case {
    shape: Shape,
    rank: usize,
    g: Vec<f64>,
    h: Vec<f64>,
    a: Vec<f64>,
    b: Vec<f64>,
}

impl Case {
    fn new([rows, cols, rank]: [usize; 3], weight: Weight, corners: [f64; 2]) -> Self {
        let mut rng = fastrand::Rng::with_seed((rows + 100 * cols) as u64);
        let shape = Shape { rows, cols };
        let [mut a, mut b] = [(); 2].map(|()| (0..shape.order()).map(|_| weight(&mut rng)).collect::<Vec<_>>());
        (a[0], b[0]) = corners.into();
        let [g, h] = [rows, cols].map(|side| (0..rank * side).map(|_| 2.0 * rng.f64() - 1.0).collect());
        Self { shape, rank, g, h, a, b }
    }

    fn diagonals(&self) -> Diagonals {
        let ([g, h], [a, b]) = ([&self.g[..], &self.h], [&self.a[..], &self.b]);
        assert!(in_range([g, h], [a, b]));
        Diagonals::new(self.shape, self.rank, [g, h], [a, b])
    }

    /// Calls for each term of each entry: entry and source, and the weights of both operators between them.
    fn for_each_term(&self, mut call: impl FnMut([usize; 2], [usize; 2], &[[usize; 2]])) {
        let (Shape { rows, cols }, n) = (self.shape, self.shape.order());
        for (i, j) in (0..rows).flat_map(|i| (0..cols).map(move |j| (i, j))) {
            let (mut source, mut path) = ([i, j], Vec::new());
            for _ in 0..n {
                if source[0] < rows && source[1] < cols {
                    call([i, j], source, &path);
                }
                path.push(source);
                source = source.map(|place| (place + n - 1) % n);
            }
        }
    }

    /// The source, and the sum of the absolute values of its terms.
    fn source(&self, [i, j]: [usize; 2]) -> [f64; 2] {
        let Shape { rows, cols } = self.shape;
        let terms = (0..self.rank).map(|k| self.g[k * rows + i] * self.h[k * cols + j]);
        [terms.clone().sum(), terms.map(f64::abs).sum()]
    }

    fn product(&self, path: &[[usize; 2]]) -> f64 {
        path.iter().map(|&[i, j]| self.a[i] * self.b[j]).product()
    }

    /// Everything against the terms one by one, relative to the sum of their absolute values.
    fn check(&self, what: &str) {
        let (Shape { rows, cols }, n) = (self.shape, self.shape.order());
        let tolerance = f64::EPSILON * (4 * n + self.rank + 4) as f64;
        let (mut entries, mut sizes) = (vec![0.0; rows * cols], vec![0.0; rows * cols]);
        let duals: Vec<f64> = (0..rows * cols).map(|k| ((7 * k + 3) % 11) as f64 - 5.0).collect();
        let [mut products, mut product_sizes] = [(); 2].map(|()| vec![0.0; rows * cols]);
        let [mut weights, mut weight_sizes] = [(); 2].map(|()| vec![0.0; 2 * n]);
        self.for_each_term(|[i, j], source, path| {
            let (at, from, factor) = (i * cols + j, source[0] * cols + source[1], 0.5 * self.product(path));
            let [u, u_size] = self.source(source);
            entries[at] += factor * u;
            sizes[at] += factor.abs() * u_size;
            products[from] += duals[at] * factor;
            product_sizes[from] += (duals[at] * factor).abs();
            for skipped in 0..path.len() {
                let others = self.product(&path[..skipped]) * self.product(&path[skipped + 1..]);
                let [i, j] = path[skipped];
                let d = 0.5 * duals[at] * others;
                for (place, d) in [(i, d * self.b[j]), (n + j, d * self.a[i])] {
                    weights[place] += d * u;
                    weight_sizes[place] += d.abs() * u_size;
                }
            }
        });
        let [mut got_entries, mut got_products] = [(); 2].map(|()| vec![1.0; rows * cols]);
        let mut got_weights = vec![0.0; 2 * n];
        self.diagonals().write(&mut got_entries);
        let (da, db) = got_weights.split_at_mut(n);
        self.diagonals().pull_back(&duals, &mut got_products, [da, db]);
        let near = |got: &[f64], expected: &[f64], sizes: &[f64], more: usize, part: &str| {
            for ((got, expected), size) in got.iter().zip(expected).zip(sizes) {
                let error = (got - expected).abs();
                assert!(error <= tolerance * more as f64 * size + 1e-200, "{what}, {part}: {got} {expected}");
            }
        };
        near(&got_entries, &entries, &sizes, 1, "entry");
        near(&got_products, &products, &product_sizes, 1, "gradient in the product of generators");
        near(&got_weights, &weights, &weight_sizes, n, "gradient in a weight");
    }
}

const SHAPES: [[usize; 3]; 9] =
    [[1, 1, 1], [1, 4, 1], [4, 1, 1], [2, 2, 2], [5, 3, 2], [3, 17, 3], [18, 7, 1], [19, 19, 2], [16, 16, 0]];

#[test]
fn entries_and_gradients_are_those_of_the_definition() {
    let kinds: [(&str, Weight); 4] = [
        ("near the shift", |rng| 0.95 + 0.1 * rng.f64()),
        ("from 0.4 to 1.5", |rng| 0.4 + 1.1 * rng.f64()),
        ("growing", |rng| -1.0 - rng.f64()),
        ("with zeros and tiny ones", |rng| [0.0, 1e-200, 1e-8, 1.0, -1.5][rng.usize(..5)]),
    ];
    for (kind, weight) in kinds {
        for corners in [[1.0, -1.0], [2.0, 2.0], [0.0, 1.0], [-2.0, 0.5]] {
            for shape in SHAPES {
                let what = format!("{kind}, {shape:?}, corners {corners:?}");
                Case::new(shape, weight, corners).check(&what);
                PORTABLE_ONLY.set(true);
                Case::new(shape, weight, corners).check(&what);
                PORTABLE_ONLY.set(false);
            }
        }
    }
}

#[test]
fn weights_whose_products_leave_the_range_are_told() {
    let weights = |w: f64| vec![w; 100];
    let told = |a: f64, b: f64, g: f64| in_range([&[g], &[1.0]], [&weights(a), &weights(b)]);
    assert!(told(1.5, 1.5, 1.0) && told(1.0, 0.0, 1e-300) && told(0.0, 1e-300, 1e100));
    assert!(!told(100.0, 1.0, 1.0) && !told(1e300, 1e300, 1.0) && !told(1.0, 1.0, 1e101));
    let narrow = |count: usize| in_range::<f32>([&[1.0]; 2], [&[&vec![10.0; count][..], &[0.0]].concat(), &[1.0, 0.0]]);
    assert!(narrow(17) && !narrow(19));
}
