//! The products of weights that join the children of every parent, and their gradients: no divisions, so that weights
//! may be zero.

use super::Lane;
use super::plan::{CHILDREN, Plan, W};
use crate::transform::isa::{Isa, Kernel, Kernels, lanes_mut};

/// Smaller numbers are taken for zero: their products would be denormal, which is slow.
const TINY: f64 = 1e-200;

const ONES: Lane = [1.0; W];

pub(super) type Four = [Lane; CHILDREN];

/// Zero for tiny numbers.
pub(super) fn flush(x: f64) -> f64 {
    if x.abs() < TINY { 0.0 } else { x }
}

pub(super) fn times(a: Lane, b: Lane) -> Lane {
    std::array::from_fn(|l| flush(a[l] * b[l]))
}

/// The products of weights around four children, in four parents at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Siblings {
    /// Of each child, of its siblings before it, and of those behind it.
    pub products: Four,
    pub before: Four,
    pub after: Four,
}

/// The gradient in the factors of four parents: in the products of siblings before and behind each child, and in those
/// of children that are between others. Where there is no such thing, what is there means nothing.
pub(super) type SiblingsGradient = [Four; 3];

/// Where in a gradient these are.
pub(super) const BEFORE: usize = 0;
pub(super) const AFTER: usize = 1;
pub(super) const BETWEEN: usize = 2;

impl Siblings {
    fn new(products: Four) -> Self {
        let (mut before, mut after) = ([ONES; CHILDREN], [ONES; CHILDREN]);
        for c in 1..CHILDREN {
            before[c] = times(before[c - 1], products[c - 1]);
            after[CHILDREN - 1 - c] = times(after[CHILDREN - c], products[CHILDREN - c]);
        }
        Self { products, before, after }
    }

    fn product(&self) -> Lane {
        times(self.before[CHILDREN - 1], self.products[CHILDREN - 1])
    }

    /// The product of all places between a source and a target behind it.
    pub fn between(&self, target: usize, source: usize) -> Lane {
        self.products[source + 1..target].iter().fold(ONES, |product, &child| times(product, child))
    }

    /// The gradient in the products of the children, given that in the product of all of them.
    #[inline(always)]
    fn backward<I: Isa<f64>>(&self, isa: I, d: &SiblingsGradient, whole: I::V) -> [I::V; CHILDREN] {
        let (before, after, own) = (four(isa, &self.before), four(isa, &self.after), four(isa, &self.products));
        let (mut d_before, mut d_after, d_between) =
            (four(isa, &d[BEFORE]), four(isa, &d[AFTER]), four(isa, &d[BETWEEN]));
        let mut products = [whole; CHILDREN];
        for c in 0..CHILDREN {
            products[c] = isa.mul(whole, isa.mul(before[c], after[c]));
        }
        for c in 1..CHILDREN - 1 {
            products[c] = isa.add(products[c], d_between[c]);
        }
        for c in (1..CHILDREN).rev() {
            products[c - 1] = isa.mul_add(d_before[c], before[c - 1], products[c - 1]);
            d_before[c - 1] = isa.mul_add(d_before[c], own[c - 1], d_before[c - 1]);
        }
        for c in 0..CHILDREN - 1 {
            products[c + 1] = isa.mul_add(d_after[c], after[c + 1], products[c + 1]);
            d_after[c + 1] = isa.mul_add(d_after[c], own[c + 1], d_after[c + 1]);
        }
        products
    }
}

#[inline(always)]
fn four<I: Isa<f64>>(isa: I, lanes: &Four) -> [I::V; CHILDREN] {
    let mut four = [isa.splat(0.0); CHILDREN];
    for c in 0..CHILDREN {
        four[c] = isa.load(&lanes[c]);
    }
    four
}

/// The children of the root that are passed on the way from a source to a target, around the cycle: all others if both
/// are the same.
fn passed(target: usize, source: usize) -> impl Iterator<Item = usize> + Clone {
    let end = if target > source { target } else { target + CHILDREN };
    (source + 1..end).map(|c| c % CHILDREN)
}

/// The factors of all parents, level by level up to the root.
#[derive(Debug)]
pub(super) struct Factors {
    pub levels: Vec<Vec<Siblings>>,
    /// The products of the children of the root.
    whole: Lane,
}

impl Factors {
    /// Those that the products of the leaves lead to.
    pub fn new(plan: &Plan, leaves: Vec<Lane>) -> Self {
        let (mut products, mut levels) = (leaves, Vec::with_capacity(plan.top()));
        for _ in 0..plan.top() {
            let siblings: Vec<Siblings> = products.as_chunks().0.iter().copied().map(Siblings::new).collect();
            products = siblings.iter().map(Siblings::product).collect();
            levels.push(siblings);
        }
        Self { levels, whole: products.first().copied().unwrap_or(ONES) }
    }

    /// The product of all places between a source and a target among the children of the root, around the cycle.
    pub fn around(&self, target: usize, source: usize) -> f64 {
        passed(target, source).fold(1.0, |product, c| flush(product * self.whole[c]))
    }

    /// From the gradient in [`Factors::around`], by targets and sources, to that in the products of the children of the root.
    fn around_backward(&self, d: &[Lane; CHILDREN]) -> Lane {
        let mut sum = Lane::default();
        for (target, source) in (0..CHILDREN).flat_map(|target| (0..CHILDREN).map(move |source| (target, source))) {
            for child in passed(target, source) {
                let others = passed(target, source).filter(|&other| other != child);
                sum[child] += others.fold(d[target][source], |product, c| product * self.whole[c]);
            }
        }
        sum
    }

    /// From the gradient in the factors, parent by parent, and that around the whole to that in the products of leaves,
    /// which is added to their last heads. It is used up.
    pub fn backward(
        &self,
        leaf: usize,
        gradients: &mut [SiblingsGradient],
        around: &[Lane; CHILDREN],
        d_heads: &mut [f64],
    ) {
        f64::run(Backward { factors: self, leaf, gradients, whole: self.around_backward(around), d_heads });
    }
}

struct Backward<'a> {
    factors: &'a Factors,
    leaf: usize,
    gradients: &'a mut [SiblingsGradient],
    whole: Lane,
    d_heads: &'a mut [f64],
}

impl Kernel<f64> for Backward<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { factors, leaf, mut gradients, whole, d_heads } = self;
        // What is found of products takes the place of the gradient in siblings before.
        let whole = [[whole; CHILDREN]; 3];
        let mut above: &[SiblingsGradient] = &[whole];
        for siblings in factors.levels.iter().rev() {
            let (rest, here) = gradients.split_at_mut(gradients.len() - siblings.len());
            for (parent, (siblings, d)) in siblings.iter().zip(&mut *here).enumerate() {
                let whole = isa.load(&above[parent / CHILDREN][BEFORE][parent % CHILDREN]);
                let products = siblings.backward(isa, d, whole);
                for c in 0..CHILDREN {
                    isa.store(&mut d[BEFORE][c], products[c]);
                }
            }
            (gradients, above) = (rest, here);
        }
        let leaves = lanes_mut::<f64>(d_heads).chunks_exact_mut(leaf);
        for (d_heads, d_product) in leaves.zip(above.iter().flat_map(|parent| &parent[BEFORE])) {
            let last = &mut d_heads[leaf - 1];
            let sum = isa.add(isa.load(last), isa.load(d_product));
            isa.store(last, sum);
        }
    }
}
