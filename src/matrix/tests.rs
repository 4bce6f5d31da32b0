//! What only those who can make a [`Bound`] can ask of structures.

use std::sync::Arc;

use super::{Bound, Family, Init, Layout, Matrix, Parameters, Permuted, Prepared, Reconstruction, Structure, Sum};
use crate::compress::{Compression, quietly};
use crate::ldr::CircleVandermondeLike;
use crate::{Builder, Error, Result};

fn random(len: usize, seed: u64) -> Vec<f64> {
    let mut rng = fastrand::Rng::with_seed(seed);
    (0..len).map(|_| 2.0 * rng.f64() - 1.0).collect()
}

fn close(a: &[f64], b: &[f64], what: &str) {
    assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12), "{what}: {a:?} {b:?}");
}

fn prepared(structure: &dyn Structure<f64>, parameters: &[f64]) -> Prepared<f64> {
    let (mut prepared, mut scratch) = (Prepared::default(), vec![0.0; structure.prepare_scratch_len()]);
    structure.prepare(Parameters(parameters), &mut prepared, &mut scratch);
    prepared
}

fn sum(first: Family, second: Family) -> Matrix<f64> {
    let [first, second] = [first, second].map(|family| Builder::new(family, 6, 5).build::<f64>().unwrap());
    let parameters = [first.parameters(), second.parameters()].concat();
    let sum = Sum::new(Arc::clone(first.structure()), Arc::clone(second.structure())).unwrap();
    Matrix::new(Arc::new(sum), parameters).unwrap().into_dyn()
}

/// A structure may hand on its [`Bound`] to another one.
#[test]
fn what_another_structure_prepared_is_prepared_anew() {
    use Family::{Cauchy, CircleVandermonde, Toeplitz, TransposedVandermonde, Vandermonde};
    let plain = [Cauchy, Vandermonde, TransposedVandermonde, CircleVandermonde];
    let ranked = [Family::CauchyLike, Family::VandermondeLike, Family::CircleVandermondeLike];
    let matrices = plain.map(|family| Builder::new(family, 6, 5).build::<f64>().unwrap()).into_iter();
    let matrices = matrices.chain(ranked.map(|family| Builder::new(family, 6, 5).rank(2).build().unwrap()));
    for matrix in matrices.chain([sum(Cauchy, Toeplitz)]) {
        let (structure, parameters) = (matrix.structure(), matrix.parameters());
        let name = structure.family().name();
        let mut foreign = prepared(&**structure, parameters);
        let (x, dy) = (random(10, 1), random(12, 2));
        let mut scratch = vec![0.0; structure.backward_scratch_len()];
        let mut results = |prepared: &Prepared<f64>| {
            let bound = Bound { parameters, prepared };
            let (mut y, mut back, mut dx) = (vec![0.0; 12], vec![0.0; 10], vec![0.0; 10]);
            structure.apply(bound, &x, &mut y, &mut scratch);
            structure.apply_transposed(bound, &dy, &mut back, &mut scratch);
            let (mut sums, mut gradient) = (vec![0.0; structure.gradient_len(2)], vec![0.0; parameters.len()]);
            structure.backward(bound, &x, &dy, Some(&mut dx), &mut sums, &mut scratch);
            structure.finish_gradient(bound, &mut sums, &mut gradient, &mut scratch);
            [y, back, dx, gradient].concat()
        };
        let expected = results(&foreign);
        for object in [None, Some(Arc::new("something else") as Arc<_>)] {
            foreign.object = object;
            assert_eq!(results(&foreign), expected, "{name}");
        }
    }
}

/// What a matrix of these parameters costs: the product with one vector, and the dense copy.
fn costs(structure: &dyn Structure<f64>, parameters: &[f64]) -> [f64; 2] {
    let bound = Bound { parameters, prepared: &prepared(structure, parameters) };
    [structure.cost_with(bound, 1), structure.dense_copy_cost(bound)]
}

#[test]
fn permuted_matrices_and_sums_cost_what_their_parameters_do() {
    // Operators that are far from shifts.
    let mut inner = Builder::new(Family::LearnedSubdiagonal, 40, 40).rank(2).build::<f64>().unwrap();
    let operators = inner.layout().tensor("A").unwrap().range.start;
    inner.update(|p| p[operators..].iter_mut().enumerate().for_each(|(i, p)| *p *= 0.5 + (i % 2) as f64)).unwrap();
    let order = || (0..40).collect();
    let permuted = Permuted::new(Arc::clone(inner.structure()), order(), order()).unwrap();
    let alone = costs(&**inner.structure(), inner.parameters());
    assert!(alone[0] != inner.structure().cost(1) && alone[1] > 0.0);
    assert_eq!(costs(&permuted, inner.parameters()), alone);
    let sum = Sum::new(Arc::clone(inner.structure()), Arc::clone(inner.structure())).unwrap();
    assert_eq!(costs(&sum, &[inner.parameters(), inner.parameters()].concat()), alone.map(|cost| 2.0 * cost));
}

#[test]
fn reconstructions_of_permuted_matrices_lead_there_and_back() {
    for (m, n) in [(9, 13), (13, 9), (8, 8)] {
        let inner = Builder::new(Family::ToeplitzLike, m, n).rank(2).build::<f64>().unwrap();
        let order = |len: usize| (0..len).map(|k| (k + 3) % len).collect();
        let permuted = Permuted::new(Arc::clone(inner.structure()), order(m), order(n)).unwrap();
        let map = permuted.reconstruction(Parameters(inner.parameters())).unwrap();
        let dense = Matrix::new(Arc::new(permuted), inner.parameters().to_vec()).unwrap().to_dense().unwrap();
        let mut there = dense.clone();
        map.displace(&mut there);
        map.reconstruct(&mut there);
        close(&there, &dense, "there and back");
    }
}

#[test]
fn reconstructions_on_the_circle_keep_the_angles() {
    for (m, n) in [(7, 9), (8, 5)] {
        let free = CircleVandermondeLike::<f64>::new(m, n, 2).unwrap();
        let fixed = CircleVandermondeLike::<f64>::new(m, n, 2).unwrap().fix_angles(&random(m / 2, 3)).unwrap();
        for structure in [free, fixed] {
            let mut parameters = vec![0.0; structure.layout().len()];
            structure.initialise(Init::Variance(1.0), &mut fastrand::Rng::with_seed(4), &mut parameters).unwrap();
            let reconstruction = structure.reconstruction(Parameters(&parameters)).unwrap();
            let dense = Matrix::new(Arc::new(structure), parameters.clone()).unwrap().to_dense().unwrap();
            let mut displaced = dense.clone();
            reconstruction.displace(&mut displaced);
            let (g, h) = parameters[..2 * (m + n)].split_at(2 * m);
            let entry = |i: usize, k: usize| (0..2).map(|j| g[j * m + i] * h[j * n + k]).sum::<f64>();
            let product: Vec<f64> = (0..m * n).map(|at| entry(at / n, at % n)).collect();
            close(&displaced, &product, "the displacement");
            reconstruction.reconstruct(&mut displaced);
            close(&displaced, &dense, "and back");
        }
    }
}

/// A structure of somebody else that does not keep what it says: another shape, or a rank without generators.
#[derive(Debug)]
struct Careless {
    cols: usize,
    layout: Layout,
}

impl Structure<f64> for Careless {
    fn family(&self) -> Family {
        Family::Other("careless")
    }
    fn rows(&self) -> usize {
        2
    }
    fn cols(&self) -> usize {
        self.cols
    }
    fn rank(&self) -> Option<usize> {
        Some(1)
    }
    fn at_rank(&self, _: usize) -> Option<Result<Arc<dyn Structure<f64>>>> {
        Some(Ok(Arc::new(Self { cols: self.cols, layout: self.layout.clone() })))
    }
    fn reconstruction(&self, _: Parameters<'_, f64>) -> Option<Arc<dyn Reconstruction>> {
        Some(Arc::new(super::Identity))
    }
    fn layout(&self) -> &Layout {
        &self.layout
    }
    fn prepare(&self, _: Parameters<'_, f64>, _: &mut Prepared<f64>, _: &mut [f64]) {}
    fn scratch_len(&self) -> usize {
        0
    }
    fn apply(&self, _: Bound<'_, f64>, _: &[f64], _: &mut [f64], _: &mut [f64]) {}
    fn apply_transposed(&self, _: Bound<'_, f64>, _: &[f64], _: &mut [f64], _: &mut [f64]) {}
    fn gradient_len(&self, _: usize) -> usize {
        0
    }
    fn backward(&self, _: Bound<'_, f64>, _: &[f64], _: &[f64], _: Option<&mut [f64]>, _: &mut [f64], _: &mut [f64]) {}
    fn finish_gradient(&self, _: Bound<'_, f64>, _: &mut [f64], _: &mut [f64], _: &mut [f64]) {}
    fn write_dense(&self, _: Parameters<'_, f64>, _: &mut [f64]) {}
    fn pull_back(&self, _: Parameters<'_, f64>, _: &[f64], _: &mut [f64]) {}
    fn initialise(&self, _: Init, _: &mut fastrand::Rng, _: &mut [f64]) -> Result<()> {
        Ok(())
    }
    fn cost(&self, _: usize) -> f64 {
        1.0
    }
}

#[test]
fn structures_without_columns_make_no_matrix() {
    let structure = Careless { cols: 0, layout: Layout::new() };
    let refused = Matrix::new(Arc::new(structure), Vec::new()).err();
    assert_eq!(refused, Some(Error::EmptyShape { rows: 2, cols: 0 }));
}

#[test]
fn ranks_without_generators_are_refused() {
    let structure: Arc<dyn Structure<f64>> = Arc::new(Careless { cols: 3, layout: Layout::new().with("x", &[4]) });
    let mut matrix = Matrix::new(structure, vec![1.0; 4]).unwrap();
    let refused = Error::RankChoice { family: "careless", given: true };
    assert_eq!(matrix.grow(2, 1), Err(refused.clone()));
    assert_eq!(matrix.shrink(1).err(), Some(refused.clone()));
    assert_eq!(matrix.displacement_spectrum(), Err(refused.clone()));
    let compression = Compression::of(2, 3, &[1.0; 6]).unwrap();
    assert_eq!(compression.refine(&matrix, &mut quietly).err(), Some(refused));
}
