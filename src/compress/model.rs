//! Many matrices under one budget.
//!
//! For each matrix the error is measured at doubling ranks of every candidate, by short descents. The lower convex hull
//! of these points (parameters, squared error) is a list of steps whose gain per parameter falls. The budget is spent
//! on the steepest steps of all matrices first, which is optimal for convex curves (Everett 1963), and what remains on
//! part of the next one. Only the chosen points are then fitted to the end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use super::candidate::is_single;
use super::{Candidate, Compressed, Compression, Flow, start};
use crate::{Error, Family, Result, Scalar};

/// A matrix of a model.
#[derive(Debug, Clone)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// The matrix, and how hard to try.
    pub compression: Compression,
    /// What its squared error counts for: 1 adds up absolute errors, `1/‖W‖²` relative ones.
    pub weight: f64,
}

/// A model: named dense matrices that share a budget.
///
/// ```
/// use displace::compress::{Candidate, Compression, Flow, Model};
/// use displace::Family;
///
/// let smooth: Vec<f64> = (0..400).map(|k| 1.0 / (1.0 + (k / 20 + k % 20) as f64)).collect();
/// let small: Vec<f64> = smooth.iter().map(|w| 1e-3 * w).collect();
/// let mut model = Model::new();
/// model.push("large", Compression::of(20, 20, &smooth)?);
/// model.push("small", Compression::of(20, 20, &small)?);
/// let candidates = [Candidate::Family(Family::LowRank)];
/// let shares = model.compress::<f32>(&candidates, 3 * 40, &|_| Flow::Continue(()))?;
/// assert_eq!(shares[0].compressed.matrix.rank(), Some(3)); // errors of the small one hardly count
/// # Ok::<(), displace::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Model {
    layers: Vec<Layer>,
}

/// How far the compression of a model has come.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelProgress<'a> {
    /// The matrix that something has been done for.
    pub name: &'a str,
    /// Fits done so far, for all matrices.
    pub done: usize,
    /// Fits that there are to do.
    pub total: usize,
}

/// What a matrix of a model got.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Share<T: Scalar> {
    /// The name of the matrix.
    pub name: String,
    /// What it was compressed to.
    pub compressed: Compressed<T>,
    /// What was measured before the budget was shared out: candidate, rank, parameters, relative error.
    pub curve: Vec<(Candidate, usize, usize, f64)>,
    /// Seconds that measuring and fitting took, on one thread.
    pub seconds: f64,
}

/// A measured point of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Point {
    candidate: Candidate,
    rank: usize,
    parameters: usize,
    /// The weighted squared error.
    square: f64,
}

type Callback<'a> = &'a (dyn Fn(&ModelProgress<'_>) -> Flow + Sync);

/// Counts fits and hears whether to stop.
struct Counter<'a> {
    done: AtomicUsize,
    total: usize,
    stopped: AtomicBool,
    progress: Callback<'a>,
}

impl Counter<'_> {
    fn count(&self, name: &str) {
        let done = 1 + self.done.fetch_add(1, Ordering::Relaxed);
        if (self.progress)(&ModelProgress { name, done, total: self.total }).is_break() {
            self.stopped.store(true, Ordering::Relaxed);
        }
    }

    fn flow(&self) -> Flow {
        if self.stopped.load(Ordering::Relaxed) { Flow::Break(()) } else { Flow::Continue(()) }
    }
}

impl Model {
    /// A model without matrices.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a matrix whose squared errors count as they are.
    pub fn push(&mut self, name: impl Into<String>, compression: Compression) {
        self.layers.push(Layer { name: name.into(), compression, weight: 1.0 });
    }

    /// Adds a matrix whose errors count relative to its norm.
    pub fn push_relative(&mut self, name: impl Into<String>, compression: Compression) {
        let square = compression.target.square(&compression.target.entries);
        let weight = if square > 0.0 { square.recip() } else { 1.0 };
        self.layers.push(Layer { name: name.into(), compression, weight });
    }

    /// The matrices.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// Compresses all matrices to at most `budget` parameters together, so that the weighted sum of squared errors is
    /// small. A matrix may become zero (rank 0), and may stay dense.
    ///
    /// With the feature `parallel` the matrices are worked on in parallel; the result does not depend on it. The callback is
    /// told of every fit, and can stop: the budget is then shared out by what has been measured, and fits end where they are.
    ///
    /// # Errors
    ///
    /// As for [`Compression::candidate`], and [`Error::OutOfRange`] for a weight that is negative or not finite.
    pub fn compress<T: Scalar>(
        &self,
        candidates: &[Candidate],
        budget: usize,
        progress: Callback<'_>,
    ) -> Result<Vec<Share<T>>> {
        for layer in &self.layers {
            if !(0.0..f64::INFINITY).contains(&layer.weight) {
                let range = "[0, ∞)";
                return Err(Error::OutOfRange { what: "the weight of a layer", value: layer.weight, range });
            }
        }
        let total = self.layers.len() * (candidates.len() + 1);
        let (done, stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
        let counter = Counter { done, total, stopped, progress };
        let measured = each(&self.layers, |_, layer| {
            let start = Instant::now();
            Ok((curve(layer, candidates, budget, &counter)?, start.elapsed().as_secs_f64()))
        })?;
        let (curves, seconds): (Vec<_>, Vec<_>) = measured.into_iter().unzip();
        let choices = share_out(&self.layers, &curves, budget);
        each(&self.layers, |k, layer| {
            let Point { candidate, rank, .. } = choices[k];
            let start = Instant::now();
            let compressed = layer.compression.candidate(candidate, rank, &mut |_| counter.flow())?;
            counter.count(&layer.name);
            let whole = layer.weight * layer.compression.target.square(&layer.compression.target.entries);
            let error = |p: &Point| (p.candidate, p.rank, p.parameters, super::relative(p.square, whole));
            let (name, curve) = (layer.name.clone(), curves[k].iter().map(error).collect());
            Ok(Share { name, compressed, curve, seconds: seconds[k] + start.elapsed().as_secs_f64() })
        })
    }
}

/// Does something for all layers, side by side where that is possible, and keeps their order.
fn each<R: Send>(layers: &[Layer], work: impl Fn(usize, &Layer) -> Result<R> + Sync) -> Result<Vec<R>> {
    #[cfg(feature = "parallel")]
    {
        use rayon::prelude::*;
        layers.par_iter().enumerate().map(|(k, layer)| work(k, layer)).collect()
    }
    #[cfg(not(feature = "parallel"))]
    layers.iter().enumerate().map(|(k, layer)| work(k, layer)).collect()
}

/// The errors of a layer at what it might become, the zero matrix first.
fn curve(layer: &Layer, candidates: &[Candidate], budget: usize, counter: &Counter<'_>) -> Result<Vec<Point>> {
    let compression = &layer.compression;
    let target = &compression.target;
    let (m, n) = (compression.rows(), compression.cols());
    let budget = budget.min(m * n);
    let whole = target.square(&target.entries);
    let zero = Candidate::Family(Family::LowRank);
    let mut points = vec![Point { candidate: zero, rank: 0, parameters: 0, square: layer.weight * whole }];
    let quick = compression.clone().steps(super::TRIAL).starts(1);
    for &candidate in candidates {
        if counter.flow().is_break() {
            break;
        }
        match candidate.rank_within(m, n, budget) {
            Err(Error::OverBudget { .. }) => {}
            Err(error) => return Err(error),
            Ok(largest) if candidate == zero => {
                let squares = start::low_rank_squares(target, largest);
                points.extend(squares.into_iter().enumerate().map(|(k, square)| {
                    let parameters = (k + 1) * (m + n);
                    Point { candidate, rank: k + 1, parameters, square: layer.weight * square }
                }));
            }
            Ok(largest) => {
                let least = if matches!(candidate, Candidate::LowRankPlus(_)) { 2 } else { 1 };
                let doubling = std::iter::successors(Some(least), |rank| Some(2 * rank));
                let mut ranks: Vec<usize> = doubling.take_while(|&rank| rank < largest).collect();
                ranks.push(largest);
                for rank in ranks {
                    let fitted = quick.candidate::<f64>(candidate, rank, &mut |_| counter.flow())?;
                    let parameters = fitted.matrix.parameters().len();
                    let square = layer.weight * whole * fitted.error().powi(2);
                    points.push(Point { candidate, rank, parameters, square });
                }
            }
        }
        counter.count(&layer.name);
    }
    if m * n <= budget {
        points.push(Point { candidate: Candidate::Family(Family::Dense), rank: 0, parameters: m * n, square: 0.0 });
    }
    Ok(points)
}

/// Buys the steepest pieces of all hulls until the budget is spent.
fn share_out(layers: &[Layer], curves: &[Vec<Point>], budget: usize) -> Vec<Point> {
    let hulls: Vec<Vec<Point>> = curves.iter().map(|curve| hull(curve)).collect();
    let mut at = vec![0; hulls.len()];
    let mut left = budget;
    loop {
        let next = |k: usize| Some((hulls[k][at[k]], *hulls[k].get(at[k] + 1)?));
        let gain = |k: &usize| next(*k).map_or(0.0, |(a, b)| (a.square - b.square) / price(a, b) as f64);
        let affordable = (0..hulls.len()).filter(|&k| next(k).is_some_and(|(a, b)| price(a, b) <= left));
        // The first of equals, so that the order of layers decides.
        let best = affordable.reduce(|best, k| if gain(&k) > gain(&best) { k } else { best });
        let Some(k) = best.filter(|k| gain(k) > 0.0) else { break };
        let Some((a, b)) = next(k) else { break };
        left -= price(a, b);
        at[k] += 1;
    }
    let mut choices: Vec<Point> = hulls.iter().zip(&at).map(|(hull, &at)| hull[at]).collect();
    // What is left buys part of a piece: the rank between two points of one candidate that it reaches.
    loop {
        let parts = (0..choices.len()).filter_map(|k| Some((k, part(&layers[k], &curves[k], choices[k], left)?)));
        let gain = |(k, p): &(usize, Point)| (choices[*k].square - p.square) / price(choices[*k], *p) as f64;
        let Some((k, point)) = parts.reduce(|a, b| if gain(&b) > gain(&a) { b } else { a }) else { return choices };
        left -= price(choices[k], point);
        choices[k] = point;
    }
}

fn price(from: Point, to: Point) -> usize {
    to.parameters - from.parameters
}

/// The lower convex hull of a curve, from its first point, by falling gains.
fn hull(points: &[Point]) -> Vec<Point> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.parameters.cmp(&b.parameters).then(a.square.total_cmp(&b.square)));
    let slope = |a: &Point, b: &Point| (b.square - a.square) / (b.parameters as f64 - a.parameters as f64);
    let mut hull: Vec<Point> = Vec::new();
    for point in sorted {
        if hull.last().is_some_and(|last| last.parameters == point.parameters || last.square <= point.square) {
            continue;
        }
        while let [.., a, b] = &hull[..] {
            if slope(b, &point) > slope(a, b) {
                break;
            }
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

/// The best rank of any one candidate between two measured ones that costs at most `left` more than the present choice,
/// its error interpolated: an upper bound where the curve is convex.
fn part(layer: &Layer, curve: &[Point], present: Point, left: usize) -> Option<Point> {
    let (m, n) = (layer.compression.rows(), layer.compression.cols());
    // A candidate that is given twice begins again at its smallest rank.
    let ascends = |a: &Point, b: &Point| a.candidate == b.candidate && a.rank < b.rank;
    let pairs = curve.windows(2).filter(|w| ascends(&w[0], &w[1]) && !is_single(w[0].candidate));
    let between = pairs.filter_map(|w| {
        let (a, b) = (w[0], w[1]);
        let reach = (present.parameters + left).checked_sub(a.parameters)?;
        let rank = (a.rank + reach / (m + n)).min(b.rank);
        let share = (rank - a.rank) as f64 / (b.rank - a.rank) as f64;
        let parameters = a.parameters + (rank - a.rank) * (m + n);
        Some(Point { candidate: a.candidate, rank, parameters, square: a.square + share * (b.square - a.square) })
    });
    let better = between.filter(|p| p.square < present.square && p.parameters > present.parameters);
    better.reduce(|best, p| if p.square < best.square { p } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(parameters: usize, square: f64) -> Point {
        Point { candidate: Candidate::Family(Family::LowRank), rank: parameters, parameters, square }
    }

    #[test]
    fn hulls_are_convex_and_fall() {
        let points = [(0, 10.0), (1, 9.0), (2, 4.0), (3, 5.0), (4, 3.5), (6, 0.0)].map(|(p, s)| point(p, s));
        let kept: Vec<usize> = hull(&points).iter().map(|p| p.parameters).collect();
        assert_eq!(kept, [0, 2, 6]);
    }
}
