//! A backward pass goes on from what the last product in its workspace left if that was one of the same matrix with the
//! same vector, and only then; the numbers are the same, to the bit, as with a workspace that has seen nothing.

#[path = "common/families.rs"]
#[allow(dead_code, reason = "these tests need only one of the helpers")]
mod common;
#[path = "common/counting.rs"]
mod counting;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::random;
use counting::{Counting, counting};
use displace::ldr::LearnedOperators;
use displace::{Builder, Family, Matrix, PathChoice, Scalar, Structure, Workspace};

type Operators<T> = Matrix<T, Counting<T>>;

/// What multiplies, and what operators make it do so.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Engine {
    Scaled,
    Hierarchy,
    Polynomials,
    /// A tree of blocks that are passed in one direction, or both ways.
    Tree(usize),
    Recurrence,
}

const ENGINES: [Engine; 6] =
    [Engine::Scaled, Engine::Hierarchy, Engine::Polynomials, Engine::Tree(1), Engine::Tree(2), Engine::Recurrence];

impl Engine {
    /// Orders from which on it is taken.
    fn order(self) -> usize {
        match self {
            Engine::Tree(1) => 520,
            Engine::Tree(_) => 1030,
            Engine::Recurrence => 40,
            _ => 100,
        }
    }

    fn matrix<T: Scalar>(self, m: usize, n: usize, rank: usize, seed: u64) -> Operators<T> {
        let (order, mut rng) = (m.max(n), fastrand::Rng::with_seed(seed));
        let tridiagonal = !matches!(self, Engine::Scaled | Engine::Hierarchy);
        let structure = match tridiagonal {
            true => LearnedOperators::tridiagonal(m, n, rank),
            false => LearnedOperators::subdiagonal(m, n, rank),
        };
        let mut noise = |spread: f64| spread * (2.0 * rng.f64() - 1.0);
        let mut parameters: Vec<f64> = (0..rank * (m + n)).map(|_| noise(1.0)).collect();
        for _ in 0..2 {
            let (middle, spread) = match self {
                Engine::Hierarchy | Engine::Tree(_) => (0.95, 0.55),
                Engine::Recurrence => (0.5, 0.01),
                _ => (1.0, 0.002),
            };
            parameters.extend((0..order).map(|_| middle + noise(spread)));
            let upper = match self {
                Engine::Tree(2) => 0.05,
                Engine::Recurrence => 0.48,
                _ => 0.001,
            };
            let more = if tridiagonal { order } else { 0 };
            parameters.extend((0..more).map(|_| noise(0.002)));
            parameters.extend((0..more).map(|_| upper));
        }
        counting(Arc::new(structure.unwrap()), parameters.into_iter().map(T::of).collect())
    }
}

/// How often gradients of a matrix and of its clones went on from a product.
fn went_on<T: Scalar>(matrix: &Operators<T>) -> usize {
    matrix.structure().went_on.load(Ordering::Relaxed)
}

fn apply<T: Scalar>(matrix: &Operators<T>, x: &[T], workspace: &mut Workspace<T>) -> Vec<T> {
    let mut y = vec![T::nan(); x.len() / matrix.cols() * matrix.rows()];
    matrix.apply_into(x, &mut y, workspace).unwrap();
    y
}

/// The gradient in x and that in the parameters.
fn backward<T: Scalar>(matrix: &Operators<T>, x: &[T], dy: &[T], workspace: &mut Workspace<T>) -> [Vec<T>; 2] {
    let (mut dx, mut gradient) = (vec![T::nan(); x.len()], vec![T::zero(); matrix.parameters().len()]);
    matrix.backward(x, dy, Some(&mut dx), &mut gradient, workspace).unwrap();
    [dx, gradient]
}

/// A workspace whose products keep what they can: a gradient has been asked for in it.
fn used<T: Scalar>(matrix: &Operators<T>) -> Workspace<T> {
    let mut workspace = Workspace::new();
    backward(matrix, &random(matrix.cols(), 91), &random(matrix.rows(), 92), &mut workspace);
    workspace
}

fn check<T: Scalar>(engine: Engine, m: usize, n: usize, rank: usize) {
    let matrix = engine.matrix::<T>(m, n, rank, 1);
    let what = format!("{engine:?} {m}×{n} r={rank} {}", T::NAME);
    let [x, dy, other] = [(n, 2), (m, 3), (m, 4)].map(|(len, seed)| random::<T>(len, seed));
    let mut workspace = used(&matrix);
    let y = apply(&matrix, &x, &mut workspace);
    assert_eq!(y, matrix.apply(&x).unwrap(), "{what}: product");
    let expected = [&dy, &other].map(|dy| backward(&matrix, &x, dy, &mut Workspace::new()));
    assert_eq!(went_on(&matrix), 0, "{what}");
    assert_eq!(backward(&matrix, &x, &dy, &mut workspace), expected[0], "{what}: gradients");
    // What is kept stays as it is.
    assert_eq!(backward(&matrix, &x, &other, &mut workspace), expected[1], "{what}: other gradients");
    let mut alone = vec![T::zero(); expected[0][1].len()];
    matrix.backward(&x, &dy, None, &mut alone, &mut workspace).unwrap();
    assert_eq!(alone, expected[0][1], "{what}: gradients without that in x");
    let nothing = engine == Engine::Scaled && rank == 0;
    assert_eq!(went_on(&matrix), if nothing { 0 } else { 3 }, "{what}");
}

#[test]
fn gradients_on_from_a_product_are_those_that_begin_anew() {
    for engine in ENGINES {
        let order = engine.order();
        for (m, n) in [(order, order), (order + 1, order / 3), (order / 3, order + 3)] {
            check::<f64>(engine, m, n, 1);
            check::<f32>(engine, m, n, 1);
        }
        check::<f64>(engine, order, order, 3);
        check::<f32>(engine, order, order, 0);
    }
    // Of recurrences as long only one vector of each run is kept.
    check::<f64>(Engine::Recurrence, 1100, 1100, 2);
}

/// Sides can be multiplied by in different ways.
#[test]
fn gradients_of_two_engines_are_those_that_begin_anew() {
    let (near, far) = (Engine::Polynomials, Engine::Tree(1));
    let n = far.order();
    let operators = |engine: Engine| engine.matrix::<f64>(n, n, 1, 1).parameters()[2 * n..5 * n].to_vec();
    let reflecting = [vec![0.5; n], vec![0.0; n], vec![0.5; n]].concat();
    let kinds = [operators(near), operators(far), reflecting];
    for (i, a) in kinds.iter().enumerate() {
        for (j, b) in kinds.iter().enumerate() {
            let mut matrix = near.matrix::<f64>(n, n, 1, 1);
            matrix.update(|parameters| parameters[2 * n..].copy_from_slice(&[&a[..], b].concat())).unwrap();
            let [x, dy] = [5, 6].map(|seed| random::<f64>(n, seed));
            let mut workspace = used(&matrix);
            apply(&matrix, &x, &mut workspace);
            let expected = backward(&matrix, &x, &dy, &mut Workspace::new());
            assert_eq!(backward(&matrix, &x, &dy, &mut workspace), expected, "{i} {j}");
            assert_eq!(went_on(&matrix), 1, "{i} {j}");
        }
    }
}

/// A matrix, a vector and a workspace, between a product and the gradient.
struct Between<T: Scalar> {
    matrix: Operators<T>,
    x: Vec<T>,
    workspace: Workspace<T>,
}

/// Parameters with the same operators.
fn other_generators<T: Scalar>(matrix: &Operators<T>) -> Vec<T> {
    let mut parameters = matrix.parameters().to_vec();
    parameters[..matrix.rows()].iter_mut().for_each(|g| *g *= T::of(0.75));
    parameters
}

/// What can happen there, and whether the gradient still goes on from the product.
type Event<T> = (&'static str, bool, fn(&mut Between<T>));

fn events<T: Scalar>() -> [Event<T>; 26] {
    [
        ("nothing", true, |_| {}),
        ("another vector", false, |at| at.x = random(at.x.len(), 12)),
        ("a change of the vector in place", false, |at| at.x[7] = T::of(0.125)),
        ("the same vector elsewhere", true, |at| at.x = at.x.clone()),
        ("other parameters", false, |at| {
            let parameters = other_generators(&at.matrix);
            at.matrix.set_parameters(&parameters).unwrap();
        }),
        ("a step", false, |at| at.matrix.update(|parameters| parameters[3] += T::of(0.1)).unwrap()),
        ("a step that is refused", true, |at| {
            at.matrix.update(|parameters| parameters[3] = T::nan()).unwrap_err();
        }),
        ("another product", false, |at| {
            apply(&at.matrix, &random(at.x.len(), 13), &mut at.workspace);
        }),
        ("the same product", true, |at| {
            apply(&at.matrix, &at.x, &mut at.workspace);
        }),
        ("the product of another matrix", false, |at| {
            let (m, n) = (at.matrix.rows(), at.matrix.cols());
            apply(&Engine::Polynomials.matrix(m, n, 1, 14), &at.x, &mut at.workspace);
        }),
        ("the product of another matrix of the structure", false, |at| {
            let mut other = Matrix::new(Arc::clone(at.matrix.structure()), other_generators(&at.matrix)).unwrap();
            other.set_path(PathChoice::Fast);
            apply(&other, &at.x, &mut at.workspace);
        }),
        ("a product of another shape", false, |at| {
            apply(&Engine::Hierarchy.matrix(300, 200, 2, 15), &random(200, 16), &mut at.workspace);
        }),
        ("a product that keeps nothing", true, |at| {
            let circulant = Builder::new(Family::Circulant, 200, 200).path(PathChoice::Fast).build::<T>().unwrap();
            circulant.apply_into(&random(200, 16), &mut [T::zero(); 200], &mut at.workspace).unwrap();
        }),
        ("the gradient of another shape, that keeps more", false, |at| {
            let other = Engine::Hierarchy.matrix(300, 200, 2, 15);
            backward(&other, &random(200, 16), &random(300, 17), &mut at.workspace);
        }),
        ("a transposed product", true, |at| {
            let (m, n) = (at.matrix.rows(), at.matrix.cols());
            at.matrix.apply_transposed_into(&random(m, 18), &mut vec![T::zero(); n], &mut at.workspace).unwrap();
        }),
        ("a batch", true, |at| {
            let x = [&at.x[..], &at.x].concat();
            let y = apply(&at.matrix, &x, &mut at.workspace);
            backward(&at.matrix, &x, &y, &mut at.workspace);
        }),
        ("no rows at all", true, |at| {
            apply(&at.matrix, &[], &mut at.workspace);
            backward(&at.matrix, &[], &[], &mut at.workspace);
        }),
        ("a product and a gradient that are refused", true, |at| {
            at.matrix.apply_into(&at.x[1..], &mut [], &mut at.workspace).unwrap_err();
            at.matrix.backward(&at.x, &[], None, &mut [], &mut at.workspace).unwrap_err();
        }),
        ("a gradient for another vector", true, |at| {
            backward(&at.matrix, &random(at.x.len(), 19), &random(at.matrix.rows(), 20), &mut at.workspace);
        }),
        ("a clone of the matrix", true, |at| at.matrix = at.matrix.clone()),
        ("a clone that changes", false, |at| {
            at.matrix = at.matrix.clone();
            at.matrix.update(|parameters| parameters[3] += T::of(0.1)).unwrap();
        }),
        ("a change of what it is a clone of", true, |at| {
            let clone = at.matrix.clone();
            at.matrix.update(|parameters| parameters[3] += T::of(0.1)).unwrap();
            at.matrix = clone;
        }),
        ("a clone of the workspace", false, |at| at.workspace = at.workspace.clone()),
        ("a workspace that is moved", true, |at| at.workspace = *Box::new(std::mem::take(&mut at.workspace))),
        ("another path and back", true, |at| {
            at.matrix.set_path(PathChoice::Dense);
            apply(&at.matrix, &random(at.x.len(), 21), &mut at.workspace);
            at.matrix.set_path(PathChoice::Fast);
        }),
        ("another path", false, |at| at.matrix.set_path(PathChoice::Dense)),
    ]
}

fn check_events<T: Scalar>(engine: Engine) {
    let [m, n] = [engine.order(), engine.order() + 30];
    for (event, goes_on, happen) in events::<T>() {
        let matrix = engine.matrix::<T>(m, n, 1, 1);
        let (workspace, x, dy) = (used(&matrix), random(n, 10), random(m, 11));
        let mut at = Between { matrix, x, workspace };
        apply(&at.matrix, &at.x, &mut at.workspace);
        happen(&mut at);
        let (before, expected) = (went_on(&at.matrix), backward(&at.matrix, &at.x, &dy, &mut Workspace::new()));
        let got = backward(&at.matrix, &at.x, &dy, &mut at.workspace);
        assert_eq!(got, expected, "{engine:?} {}, {event}", T::NAME);
        assert_eq!(went_on(&at.matrix) - before, usize::from(goes_on), "{engine:?} {}, {event}", T::NAME);
    }
}

#[test]
fn gradients_go_on_only_from_the_same_product() {
    for engine in [Engine::Scaled, Engine::Hierarchy, Engine::Polynomials] {
        check_events::<f64>(engine);
        check_events::<f32>(engine);
    }
}

/// Where a vector has a number that is none, products are no numbers and gradients neither.
#[test]
fn vectors_that_are_not_finite_spoil_nothing_that_follows() {
    let matrix = Engine::Polynomials.matrix::<f64>(100, 100, 1, 1);
    let (mut workspace, mut x, dy) = (used(&matrix), random::<f64>(100, 31), random::<f64>(100, 32));
    x[3] = f64::NAN;
    assert!(apply(&matrix, &x, &mut workspace).iter().all(|y| y.is_nan()));
    let [_, gradient] = backward(&matrix, &x, &dy, &mut workspace);
    assert!(gradient.iter().any(|g| g.is_nan()));
    x[3] = 0.5;
    let expected = backward(&matrix, &x, &dy, &mut Workspace::new());
    assert_eq!(backward(&matrix, &x, &dy, &mut workspace), expected);
    apply(&matrix, &x, &mut workspace);
    assert_eq!(backward(&matrix, &x, &dy, &mut workspace), expected);
}

#[test]
fn a_workspace_that_sees_products_alone_keeps_nothing() {
    let matrix = Engine::Polynomials.matrix::<f64>(100, 100, 1, 1);
    let (mut workspace, x) = (Workspace::new(), random::<f64>(100, 41));
    let bytes = 8 * matrix.structure().scratch_len();
    apply(&matrix, &x, &mut workspace);
    assert!((bytes..bytes + 200).contains(&workspace.bytes()), "{} for {bytes}", workspace.bytes());
    // Nor do families that have nothing to keep.
    let circulant = Builder::new(Family::Circulant, 100, 100).path(PathChoice::Fast).build::<f64>().unwrap();
    let mut workspace = Workspace::new();
    circulant.backward(&x, &x, None, &mut [0.0; 100], &mut workspace).unwrap();
    let before = workspace.bytes();
    circulant.apply_into(&x, &mut [0.0; 100], &mut workspace).unwrap();
    assert_eq!(workspace.bytes(), before);
}
