//! Krylov products of subdiagonal operators in near-linear time, for any weights, by a hierarchy of places.
//!
//! `(A^k g)_i = P_ij g_j` for `j = i − k mod N`, where P_ij is the product of the weights on the way from j to i along
//! the cycle. The places are cut into four children, and each of these again, down to *leaves* of 3 to 10 places. From
//! a source J to a target I behind it, among the four children of a parent, P_ij has rank one,
//!
//! `P_ij = head_i · between_IJ · tail_j`,
//!
//! with head_i the weights from I's first place (included) to i, tail_j those from behind j to J's last place, and
//! those between. The same holds around the cycle, from j to an i before it, for any two children of the root and for
//! each of them with itself. So the root does all of that, and parents below it only treat targets behind sources. What
//! I gets from J in `Σ_k t_k A^k g` is a convolution of `tail g` with a segment of t that all parents of that size
//! share: [`Parents`] and [`Top`]. Parents of leaves, and leaves, apply their few lags one by one: [`blocks`]. There is
//! no division. Products of weights must not exceed 10⁶, and rounding errors are of the size of entries of powers of A,
//! or up to 10³ times as large for children of the root with themselves.
//!
//! Heads of a level are those of the level below times the weights of the siblings before. So a product carries what comes from
//! far away from level to level, `z ← before_I z + (what I gets from siblings)`, and y likewise on the way up.

mod blocks;
mod blocks_backward;
mod factors;
mod gradients;
mod leaf;
mod pairs;
mod parents;
mod plan;
mod products;
mod states;
#[cfg(test)]
mod tests;
mod top;

use super::segments::Aligned;
use crate::transform::isa::{lanes, lanes_mut};
use factors::{Factors, Siblings, flush};
use parents::Parents;
pub(super) use plan::Plan;
use plan::{CHILDREN, DISTANCES, W};
pub(super) use products::Gradient;
use top::Top;

/// A register of numbers.
type Lane = [f64; W];

/// The largest product of weights, and so the growth of rounding errors, that is let through.
const GROWTH: f64 = 1e6;

/// The same for the children of the root with themselves, around the cycle: their heads and tails may overlap, and
/// stand for more than a cycle then.
const SELF_GROWTH: f64 = 100.0 * GROWTH;

/// The largest product of consecutive weights inside a child of the root, where the cycle leads back into it. Where
/// head and tail overlap these are in a product twice, which means nothing but leaves rounding errors: this many digits
/// may be lost, of products and of gradients in smaller weights between.
const INSIDE: f64 = 1e3;

/// What products need of an operator and its generators, in lanes.
#[derive(Debug)]
pub(super) struct Hierarchy {
    /// The weights of A, one beyond N, and heads and tails in leaves.
    weights: Aligned,
    heads: Aligned,
    tails: Aligned,
    factors: Factors,
    top: Top,
    sources: Vec<Source>,
}

/// What is derived from a generator.
#[derive(Debug)]
struct Source {
    generator: Aligned,
    /// Times tails, and times the weights of siblings behind, for each level below the root.
    places: Vec<Aligned>,
    /// The spectra of that, but for leaves.
    spectra: Vec<Aligned>,
}

impl Source {
    /// The spectra for a level.
    fn spectra(&self, level: usize) -> &[f64] {
        self.spectra[level - 1].get()
    }
}

impl Hierarchy {
    /// Takes up weights, N numbers, and generators, N numbers each. `None` where a product of weights is too large, or
    /// none that is finite.
    pub fn new(plan: &Plan, weights: &[f64], generators: &[f64]) -> Option<Self> {
        let places = plan.places;
        let mut scratch = vec![0.0; places];
        let mut padded = vec![1.0; places];
        padded[..plan.order].copy_from_slice(&weights[..plan.order]);
        let [mut weights, mut heads, mut tails] = [(); 3].map(|()| Aligned::zeros(places));
        plan.spread(&padded, weights.get_mut(), &mut scratch);
        chain(plan.leaf, weights.get(), heads.get_mut(), tails.get_mut());
        let leaf_products = lanes::<f64>(heads.get()).chunks_exact(plan.leaf).map(|head| head[plan.leaf - 1]).collect();
        let factors = Factors::new(plan, leaf_products);
        if !is_small_inside(plan, &factors, weights.get()) || !is_small(plan, &factors, heads.get(), tails.get()) {
            return None;
        }
        let top = Top::new(&plan.levels[plan.top()], &factors);
        let mut hierarchy = Self { weights, heads, tails, factors, top, sources: Vec::new() };
        for generator in generators.chunks_exact(plan.order) {
            let source = hierarchy.source(plan, generator, &mut scratch)?;
            hierarchy.sources.push(source);
        }
        Some(hierarchy)
    }

    /// `None` where numbers are too large.
    fn source(&self, plan: &Plan, generator: &[f64], scratch: &mut [f64]) -> Option<Source> {
        let mut lane = Aligned::zeros(plan.places);
        plan.spread(generator, lane.get_mut(), scratch);
        let (mut places, mut spectra): (Vec<Aligned>, _) = (Vec::new(), Vec::new());
        for number in 0..plan.levels.len() {
            let mut here = Aligned::zeros(plan.places);
            match number.checked_sub(1) {
                None => multiply(lane.get(), self.tails.get(), here.get_mut()),
                Some(below) => {
                    here.get_mut().copy_from_slice(places[below].get());
                    let (half, siblings) = (plan.levels[below].half, &self.factors.levels[below]);
                    scale(half, siblings.iter().map(|s| s.after), here.get_mut());
                    let mut transformed = Aligned::zeros(plan.spectra_len(number));
                    transform(plan, number, here.get(), transformed.get_mut());
                    spectra.push(transformed);
                }
            }
            if number < plan.top() {
                places.push(here);
            }
        }
        let finite = spectra.iter().chain(&places[..1]).fold(true, |all, numbers| all & is_finite(numbers.get()));
        let finite = finite && are_powers_finite(plan.leaf, self.weights.get(), lane.get());
        finite.then_some(Source { generator: lane, places, spectra })
    }

    fn parents<'a>(&'a self, plan: &'a Plan, level: usize) -> impl Iterator<Item = Parents<'a>> {
        let siblings = self.factors.levels[level].iter();
        siblings.map(move |siblings| Parents { level: &plan.levels[level], siblings })
    }
}

/// The spectra of the sources of a level.
fn transform(plan: &Plan, number: usize, places: &[f64], spectra: &mut [f64]) {
    let level = &plan.levels[number];
    if number == plan.top() {
        return level.forward(places, spectra);
    }
    let parents = places.chunks_exact(CHILDREN * level.half * W);
    for (places, blocks) in parents.zip(spectra.chunks_exact_mut(DISTANCES * level.block())) {
        level.forward_three(places, blocks);
    }
}

/// The products of the weights of a leaf from its first place on, and behind a place.
fn chain(leaf: usize, weights: &[f64], heads: &mut [f64], tails: &mut [f64]) {
    let heads = lanes_mut::<f64>(heads).chunks_exact_mut(leaf);
    let tails = lanes_mut::<f64>(tails).chunks_exact_mut(leaf);
    for ((w, heads), tails) in lanes::<f64>(weights).chunks_exact(leaf).zip(heads).zip(tails) {
        let (mut head, mut tail) = ([1.0; W], [1.0; W]);
        for i in 0..leaf {
            let j = leaf - 1 - i;
            head = factors::times(head, w[i]);
            (heads[i], tails[j]) = (head, tail);
            tail = factors::times(tail, w[j]);
        }
    }
}

/// The largest product of consecutive weights that each child of the root may have inside.
fn limits(factors: &Factors) -> Lane {
    // Where next to nothing comes back, overlaps are no larger than what there is anyway.
    std::array::from_fn(|l| if factors.around(l, l).abs() <= GROWTH.recip() { GROWTH } else { INSIDE })
}

/// Whether no product of consecutive weights in a leaf is too large; a few other operators are refused, too. Usually
/// the largest weight shows that at once. What is not a number is left to [`is_small`].
fn is_small_inside(plan: &Plan, factors: &Factors, weights: &[f64]) -> bool {
    let (weights, limits) = (lanes::<f64>(weights), limits(factors));
    let most = largest(weights).into_iter().fold(1.0, f64::max);
    let is_small = |leaf: &[Lane]| {
        let grown = |l: usize| leaf.iter().map(|w| w[l].abs().max(1.0)).product::<f64>();
        (0..W).all(|l| grown(l) <= limits[l])
    };
    most.powi(plan.leaf as i32) <= INSIDE || weights.chunks_exact(plan.leaf).all(is_small)
}

/// Whether no product of weights that a convolution takes apart is too large.
fn is_small(plan: &Plan, factors: &Factors, heads: &[f64], tails: &[f64]) -> bool {
    let largest = |v: &[f64]| lanes::<f64>(v).chunks_exact(plan.leaf).map(largest).collect::<Vec<_>>();
    let (mut heads, mut tails) = (largest(heads), largest(tails));
    let limits = limits(factors);
    for siblings in &factors.levels {
        let children = siblings.iter().zip(heads.as_chunks().0.iter().zip(tails.as_chunks().0));
        if !children.clone().all(|(siblings, (heads, tails))| are_small(siblings, heads, tails, &limits)) {
            return false;
        }
        let scaled = |values: &[Lane; CHILDREN], by: [Lane; CHILDREN]| -> Lane {
            std::array::from_fn(|l| (0..CHILDREN).map(|c| values[c][l] * by[c][l].abs()).fold(0.0, f64::max))
        };
        (heads, tails) = children
            .map(|(siblings, (heads, tails))| (scaled(heads, siblings.before), scaled(tails, siblings.after)))
            .unzip();
    }
    let [heads, tails] = [heads, tails].map(|whole| whole.first().copied().unwrap_or_default());
    (0..CHILDREN).all(|target| {
        (0..CHILDREN).all(|source| {
            let limit = if source == target { SELF_GROWTH } else { GROWTH };
            // Also false for what is not a number.
            (heads[target] * factors.around(target, source) * tails[source]).abs() <= limit
        })
    })
}

fn are_small(siblings: &Siblings, heads: &[Lane; CHILDREN], tails: &[Lane; CHILDREN], limits: &Lane) -> bool {
    (0..CHILDREN).all(|target| {
        (0..target).all(|source| {
            let between = siblings.between(target, source);
            (0..W).all(|l| (heads[target][l] * between[l] * tails[source][l]).abs() <= limits[l])
        })
    })
}

/// The largest absolute values, lane by lane; infinite if any is not finite.
fn largest(values: &[Lane]) -> Lane {
    std::array::from_fn(|l| {
        values.iter().fold(0.0, |most: f64, v| if v[l].is_finite() { most.max(v[l].abs()) } else { f64::INFINITY })
    })
}

/// Whether powers inside leaves are finite when a generator is multiplied by them.
fn are_powers_finite(leaf: usize, weights: &[f64], generator: &[f64]) -> bool {
    let mut powers = generator.to_vec();
    (1..leaf).all(|power| {
        let leaves = lanes_mut::<f64>(&mut powers).chunks_exact_mut(leaf);
        for (powers, w) in leaves.zip(lanes::<f64>(weights).chunks_exact(leaf)) {
            for i in (power..leaf).rev() {
                let before = powers[i - 1];
                (0..W).for_each(|l| powers[i][l] = w[i][l] * before[l]);
            }
        }
        is_finite(&powers)
    })
}

/// For a multiple of eight numbers.
fn is_finite(numbers: &[f64]) -> bool {
    let mut sums = [0.0; 8];
    for eight in numbers.as_chunks::<8>().0 {
        (0..8).for_each(|l| sums[l] += 0.0 * eight[l]);
    }
    sums.iter().sum::<f64>() == 0.0
}

fn multiply(a: &[f64], b: &[f64], out: &mut [f64]) {
    out.iter_mut().zip(a).zip(b).for_each(|((out, a), b)| *out = flush(a * b));
}

/// Multiplies children of so many places by the factors of each.
fn scale(half: usize, factors: impl Iterator<Item = [Lane; CHILDREN]>, places: &mut [f64]) {
    let parents = lanes_mut::<f64>(places).chunks_exact_mut(CHILDREN * half);
    for (parent, factors) in parents.zip(factors) {
        for (child, factor) in parent.chunks_exact_mut(half).zip(factors) {
            for x in child {
                *x = std::array::from_fn(|l| flush(x[l] * factor[l]));
            }
        }
    }
}
