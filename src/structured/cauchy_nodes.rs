//! Where the nodes s and t of a Cauchy matrix come from, and how they stay apart.
//!
//! An entry `1/(s_i − t_j)` has a pole where the nodes meet. An optimiser that moves them freely can step across it, which
//! its gradient does not foresee. So by default the *order* of all m + n nodes along the line is fixed and their gaps are
//! trained: with `z_0 < z_1 < …` the merged nodes,
//!
//! `z_k = c + P_k − mean(P)`, `P_k = Σ_{l≤k} (γ + softplus(ρ_l))`,
//!
//! for an unbounded centre c, unbounded raw numbers ρ and a smallest gap γ. Nodes never meet, every matrix whose nodes have
//! that order and gaps above γ can be reached, and no node is favoured. (Cells of fixed bounds, one for each node, would have
//! a diagonal Jacobian, but nodes could not leave them; with all of s on one side of all of t there are no poles to avoid,
//! but such a matrix is of low rank to working precision.) The Jacobian is a product of a suffix sum, a mean and
//! a diagonal: O(m + n).

use crate::error::{has_length, room};
use crate::matrix::{Description, Layout};
use crate::shape::Shape;
use crate::transform::cauchy::{CauchyPlan, Want, Way, check_nodes, scratch_len};
use crate::{Error, Result, Scalar};

/// How the nodes of a [`Cauchy`](super::Cauchy) or [`CauchyLike`](crate::ldr::CauchyLike) matrix follow from parameters.
#[derive(Debug, Clone)]
pub struct CauchyNodes<T> {
    shape: Shape,
    kind: Kind<T>,
}

#[derive(Debug, Clone)]
enum Kind<T> {
    Free,
    Apart { order: Vec<Node>, smallest_gap: T },
    Fixed { s: Vec<T>, t: Vec<T> },
}

/// A node by its index.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Node {
    S(usize),
    T(usize),
}

/// The gap that [`CauchyNodes::apart`] keeps: a small part of the usual one, about π/2 after Glorot.
const SMALLEST_GAP: f64 = 1e-3;

impl<T: Scalar> CauchyNodes<T> {
    /// The nodes themselves are the parameters, tensors `"s"` (m) and `"t"` (n). Where two of them meet, the parameters are
    /// refused.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`] or [`Error::TooLarge`].
    pub fn free(rows: usize, cols: usize) -> Result<Self> {
        Ok(Self { shape: Shape::new(rows, cols)?, kind: Kind::Free })
    }

    /// Nodes that keep their order and a gap of 1/1000, s and t evenly interleaved: tensors `"centre"` (1) and `"gaps"`
    /// (m + n − 1).
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::TooLarge`] or [`Error::Memory`].
    pub fn apart(rows: usize, cols: usize) -> Result<Self> {
        let shape = Shape::new(rows, cols)?;
        shape.check_count(shape.order())?;
        let mut order = room("the order of the nodes", rows + cols)?;
        order.extend((0..rows).map(Node::S).chain((0..cols).map(Node::T)));
        // The middles of m and n equal parts of the unit interval, times 2mn.
        let place = |node: &Node| match *node {
            Node::S(i) => (2 * i as u128 + 1) * cols as u128,
            Node::T(j) => (2 * j as u128 + 1) * rows as u128,
        };
        order.sort_by_key(place);
        Ok(Self { shape, kind: Kind::Apart { order, smallest_gap: T::of(SMALLEST_GAP) } })
    }

    /// Nodes that keep the order that these ones have, and a smallest gap. The parameters that stand for these nodes are
    /// [`CauchyNodes::parameters`] of them.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::NotFinite`], [`Error::NodesCollide`], and [`Error::OutOfRange`] for a smallest gap
    /// that is negative or not finite.
    pub fn in_order_of(s: &[T], t: &[T], smallest_gap: T) -> Result<Self> {
        let shape = Shape::new(s.len(), t.len())?;
        check_nodes(s, t)?;
        let mut order: Vec<Node> = (0..s.len()).map(Node::S).chain((0..t.len()).map(Node::T)).collect();
        order.sort_by(|a, b| a.of(s, t).wide().total_cmp(&b.of(s, t).wide()));
        Self::in_order(shape, order, smallest_gap)
    }

    fn in_order(shape: Shape, order: Vec<Node>, smallest_gap: T) -> Result<Self> {
        if !(smallest_gap >= T::zero() && smallest_gap.is_finite()) {
            let range = "the finite numbers that are not negative";
            return Err(Error::OutOfRange { what: "the smallest gap", value: smallest_gap.wide(), range });
        }
        Ok(Self { shape, kind: Kind::Apart { order, smallest_gap } })
    }

    /// Nodes that are not trained; no parameters.
    ///
    /// # Errors
    ///
    /// [`Error::EmptyShape`], [`Error::NotFinite`] or [`Error::NodesCollide`].
    pub fn fixed(s: &[T], t: &[T]) -> Result<Self> {
        let shape = Shape::new(s.len(), t.len())?;
        check_nodes(s, t)?;
        Ok(Self { shape, kind: Kind::Fixed { s: s.to_vec(), t: t.to_vec() } })
    }

    /// What a description of a matrix says of its nodes: nothing for [`CauchyNodes::apart`], `"free"`, `"s"` and `"t"` where
    /// they are fixed; otherwise `"order"`, the nodes in the order that they keep, s_i as i and t_j as m + j, and `"gap"`.
    pub(crate) fn constants(&self) -> Vec<(&'static str, Vec<f64>)> {
        let Shape { rows, cols } = self.shape;
        let wide = |nodes: &[T]| nodes.iter().map(|z| z.wide()).collect();
        match &self.kind {
            Kind::Free => vec![("free", Vec::new())],
            Kind::Fixed { s, t } => vec![("s", wide(s)), ("t", wide(t))],
            Kind::Apart { order, smallest_gap } => {
                let usual = Self::apart(rows, cols).is_ok_and(|usual| usual.keeps(order, *smallest_gap));
                if usual {
                    return Vec::new();
                }
                let place = |node: &Node| node.index(rows) as f64;
                vec![("order", order.iter().map(place).collect()), ("gap", vec![smallest_gap.wide()])]
            }
        }
    }

    fn keeps(&self, other: &[Node], gap: T) -> bool {
        matches!(&self.kind, Kind::Apart { order, smallest_gap } if order == other && *smallest_gap == gap)
    }

    /// The nodes that [`CauchyNodes::constants`] described.
    pub(crate) fn described(description: &Description) -> Result<Self> {
        let (rows, cols) = (description.rows, description.cols);
        let given = |name| description.constants.contains_key(name);
        if description.constants.is_empty() {
            return Self::apart(rows, cols);
        }
        if given("free") {
            description.has_only(&["free"])?;
            return Self::free(rows, cols);
        }
        if given("s") {
            description.has_only(&["s", "t"])?;
            let (s, t) = (description.numbers("s")?, description.numbers("t")?);
            has_length("s", &s, rows)?;
            has_length("t", &t, cols)?;
            return Self::fixed(&s, &t);
        }
        description.has_only(&["order", "gap"])?;
        let [smallest_gap] = description.numbers::<T>("gap")?[..] else { return Err(description.bad_constant("gap")) };
        let shape = Shape::new(rows, cols)?;
        let indices = description.numbers::<f64>("order")?;
        if indices.len() != rows + cols {
            return Err(description.bad_constant("order"));
        }
        let mut absent = vec![true; indices.len()];
        let mut order = Vec::with_capacity(indices.len());
        for index in indices {
            let whole = index >= 0.0 && index.fract() == 0.0;
            let first = whole && absent.get_mut(index as usize).is_some_and(std::mem::take);
            if !first {
                return Err(description.bad_constant("order"));
            }
            let index = index as usize;
            order.push(if index < rows { Node::S(index) } else { Node::T(index - rows) });
        }
        Self::in_order(shape, order, smallest_gap)
    }

    /// Whether the nodes follow from parameters.
    pub fn is_trainable(&self) -> bool {
        !matches!(self.kind, Kind::Fixed { .. })
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    /// Adds the tensors behind those that are there.
    pub(crate) fn extend(&self, layout: Layout) -> Layout {
        let Shape { rows, cols } = self.shape;
        match self.kind {
            Kind::Free => layout.with("s", &[rows]).with("t", &[cols]),
            Kind::Apart { .. } => layout.with("centre", &[1]).with("gaps", &[rows + cols - 1]),
            Kind::Fixed { .. } => layout,
        }
    }

    /// Numbers of parameters.
    pub fn parameters_len(&self) -> usize {
        if self.is_trainable() { self.shape.rows + self.shape.cols } else { 0 }
    }

    /// The nodes s and t that `parameters` stand for. Sums are in f64 whatever T, and rounded once.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] if there are not [`CauchyNodes::parameters_len`] of them.
    pub fn nodes(&self, parameters: &[T]) -> Result<(Vec<T>, Vec<T>)> {
        has_length("the parameters of the nodes", parameters, self.parameters_len())?;
        Ok(self.places(parameters))
    }

    /// The nodes of as many parameters as there are to be.
    pub(crate) fn places(&self, parameters: &[T]) -> (Vec<T>, Vec<T>) {
        let Shape { rows, cols } = self.shape;
        match &self.kind {
            Kind::Free => (parameters[..rows].to_vec(), parameters[rows..].to_vec()),
            Kind::Fixed { s, t } => (s.clone(), t.clone()),
            Kind::Apart { order, smallest_gap } => {
                let (mut s, mut t) = (vec![T::zero(); rows], vec![T::zero(); cols]);
                let (centre, gaps) = (parameters[0].wide(), &parameters[1..]);
                let places = || {
                    let step = |sum: &mut f64, raw: &T| {
                        *sum += smallest_gap.wide() + softplus(raw.wide());
                        Some(*sum)
                    };
                    std::iter::once(0.0).chain(gaps.iter().scan(0.0, step))
                };
                let mean = places().sum::<f64>() / order.len() as f64;
                for (node, place) in order.iter().zip(places()) {
                    *node.of_mut(&mut s, &mut t) = T::of(centre + (place - mean));
                }
                (s, t)
            }
        }
    }

    /// The parameters that stand for nodes s and t.
    ///
    /// # Errors
    ///
    /// [`Error::Length`], [`Error::NotFinite`] or [`Error::NodesCollide`]; [`Error::OutOfRange`] where neighbours, in
    /// the order that is kept, are not further apart than the smallest gap.
    pub fn parameters(&self, s: &[T], t: &[T]) -> Result<Vec<T>> {
        has_length("s", s, self.shape.rows)?;
        has_length("t", t, self.shape.cols)?;
        check_nodes(s, t)?;
        match &self.kind {
            Kind::Free => Ok([s, t].concat()),
            Kind::Fixed { .. } => Ok(Vec::new()),
            Kind::Apart { order, smallest_gap } => {
                let nodes = || order.iter().map(|node| node.of(s, t).wide());
                let centre = nodes().sum::<f64>() / order.len() as f64;
                let mut parameters = vec![T::of(centre)];
                for (low, high) in nodes().zip(nodes().skip(1)) {
                    let above = high - low - smallest_gap.wide();
                    if above <= 0.0 || above.is_nan() {
                        let range = "the numbers above the smallest gap";
                        return Err(Error::OutOfRange { what: "the gap between neighbours", value: high - low, range });
                    }
                    parameters.push(T::of(inverse_softplus(above)));
                }
                Ok(parameters)
            }
        }
    }

    /// Refuses parameters whose nodes collide, or are not finite.
    pub(crate) fn check(&self, parameters: &[T]) -> Result<()> {
        if !self.is_trainable() {
            return Ok(());
        }
        let (s, t) = self.nodes(parameters)?;
        check_nodes(&s, &t)
    }

    /// Adds to `gradient` the gradient in the parameters of a loss whose gradient in the nodes is `ds` and `dt`.
    pub(crate) fn pull_back(&self, parameters: &[T], ds: &[T], dt: &[T], gradient: &mut [T]) {
        match &self.kind {
            Kind::Fixed { .. } => {}
            Kind::Free => gradient.iter_mut().zip(ds.iter().chain(dt)).for_each(|(g, &d)| *g += d),
            Kind::Apart { order, .. } => {
                let sum: f64 = order.iter().map(|node| node.of(ds, dt).wide()).sum();
                let mean = sum / order.len() as f64;
                gradient[0] += T::of(sum);
                // Gap l moves all nodes behind it, and the mean back by its share.
                let mut behind = 0.0;
                for (k, node) in order.iter().enumerate().skip(1).rev() {
                    behind += node.of(ds, dt).wide() - mean;
                    gradient[k] += T::of(behind * logistic(parameters[k].wide()));
                }
            }
        }
    }

    /// Writes parameters for interleaved nodes with jittered gaps, such that the mean square of the entries `1/(s_i − t_j)`
    /// is `mean_square`, or with a mean gap of 1 where that is `None`.
    pub(crate) fn initialise(&self, mean_square: Option<f64>, rng: &mut fastrand::Rng, parameters: &mut [T]) {
        let Shape { rows, cols } = self.shape;
        let even;
        let (order, smallest_gap) = match &self.kind {
            Kind::Fixed { .. } => return,
            Kind::Apart { order, smallest_gap } => (order, smallest_gap.wide()),
            Kind::Free => {
                even = CauchyNodes::<T>::apart(rows, cols);
                let Ok(Self { kind: Kind::Apart { order, .. }, .. }) = &even else { return };
                (order, 0.0)
            }
        };
        let mut place = 0.0;
        let mut gaps: Vec<f64> = order.iter().map(|_| 0.5 + rng.f64()).collect();
        gaps[0] = 0.0;
        let (mut s, mut t) = (vec![0.0; rows], vec![0.0; cols]);
        for (node, gap) in order.iter().zip(&gaps) {
            place += gap;
            *node.of_mut(&mut s, &mut t) = place;
        }
        let scale = mean_square.map_or(1.0, |wanted| (entries_mean_square(&s, &t) / wanted).sqrt());
        let scale = if scale.is_finite() { scale } else { 1.0 };
        if matches!(self.kind, Kind::Free) {
            let nodes = s.iter().chain(&t).map(|z| T::of((z - place / 2.0) * scale));
            return parameters.iter_mut().zip(nodes).for_each(|(p, node)| *p = node);
        }
        parameters[0] = T::zero();
        for (parameter, gap) in parameters[1..].iter_mut().zip(&gaps[1..]) {
            let above = (gap * scale - smallest_gap).max(1e-3 * smallest_gap.max(gap * scale));
            *parameter = T::of(inverse_softplus(above));
        }
    }
}

/// The mean of `1/(s_i − t_j)²`, for nodes that do not collide.
pub(crate) fn entries_mean_square<T: Scalar>(s: &[T], t: &[T]) -> f64 {
    let wide = |nodes: &[T]| nodes.iter().map(|z| z.wide()).collect::<Vec<f64>>();
    let plan = CauchyPlan::new(&wide(s), &wide(t));
    let mut scratch = vec![0.0; scratch_len::<f64>(s.len(), t.len(), Want::Squares)];
    let mut sum = 0.0;
    plan.multiply(Way::Plain, Want::Squares, 1, |_, _| 1.0, |_, _, [_, square]| sum += square, &mut scratch);
    sum / (s.len() as f64 * t.len() as f64)
}

impl Node {
    /// The index among all nodes, those of s first.
    fn index(self, rows: usize) -> usize {
        match self {
            Self::S(i) => i,
            Self::T(j) => rows + j,
        }
    }

    fn of<T: Scalar>(self, s: &[T], t: &[T]) -> T {
        match self {
            Self::S(i) => s[i],
            Self::T(j) => t[j],
        }
    }

    fn of_mut<'a, T>(self, s: &'a mut [T], t: &'a mut [T]) -> &'a mut T {
        match self {
            Self::S(i) => &mut s[i],
            Self::T(j) => &mut t[j],
        }
    }
}

/// `ln(1 + e^x)`.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The derivative of the softplus.
fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The x whose softplus is y > 0.
fn inverse_softplus(y: f64) -> f64 {
    y + (-(-y).exp_m1()).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_lead_to_parameters_and_back() {
        let (s, t): ([f64; 3], [f64; 4]) = ([0.5, -3.0, 1e-7], [2.0, -1e-7, 10.0, 0.75]);
        for nodes in [CauchyNodes::free(3, 4).unwrap(), CauchyNodes::in_order_of(&s, &t, 1e-8).unwrap()] {
            let parameters = nodes.parameters(&s, &t).unwrap();
            let (s2, t2) = nodes.nodes(&parameters).unwrap();
            for (a, b) in s.iter().chain(&t).zip(s2.iter().chain(&t2)) {
                assert!((a - b).abs() < 1e-14, "{a} {b}");
            }
        }
    }

    #[test]
    fn no_step_makes_nodes_meet() {
        let nodes = CauchyNodes::<f32>::apart(5, 9).unwrap();
        let mut rng = fastrand::Rng::with_seed(4);
        for _ in 0..200 {
            let parameters: Vec<f32> = (0..14).map(|_| 60.0 * rng.f32() - 30.0).collect();
            nodes.check(&parameters).unwrap();
        }
    }

    #[test]
    fn the_gradient_is_that_of_the_nodes() {
        let nodes = CauchyNodes::<f64>::apart(4, 3).unwrap();
        let mut rng = fastrand::Rng::with_seed(5);
        let parameters: Vec<f64> = (0..7).map(|_| rng.f64() * 4.0 - 2.0).collect();
        let (ds, dt) = ([1.0, -2.0, 0.5, 3.0], [0.3, 0.1, -4.0]);
        let loss = |parameters: &[f64]| {
            let (s, t) = nodes.places(parameters);
            s.iter().zip(&ds).chain(t.iter().zip(&dt)).map(|(z, d)| z * d).sum::<f64>()
        };
        let mut gradient = vec![1.0; 7];
        nodes.pull_back(&parameters, &ds, &dt, &mut gradient);
        for k in 0..7 {
            let mut moved = parameters.clone();
            moved[k] += 1e-5;
            let up = loss(&moved);
            moved[k] -= 2e-5;
            let slope = (up - loss(&moved)) / 2e-5;
            assert!((gradient[k] - 1.0 - slope).abs() < 1e-8, "{k}: {} {slope}", gradient[k] - 1.0);
        }
    }

    #[test]
    fn nodes_too_close_or_equal_are_named() {
        let nodes = CauchyNodes::in_order_of(&[0.0, 2.0], &[1.0], 0.5).unwrap();
        let collision = Error::NodesCollide { what: ["s", "t"], row: 1, col: 0, value: 1.5 };
        assert_eq!(nodes.parameters(&[0.0, 1.5], &[1.5]), Err(collision.clone()));
        assert!(matches!(nodes.parameters(&[0.0, 1.25], &[1.0]), Err(Error::OutOfRange { value: 0.25, .. })));
        assert_eq!(CauchyNodes::fixed(&[0.0, 1.5], &[1.5]).unwrap_err(), collision);
        assert!(CauchyNodes::in_order_of(&[0.0], &[1.0], -1.0).is_err());
    }
}
