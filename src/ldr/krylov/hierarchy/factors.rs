//! The products of weights that join the children of every parent, and their gradients: no divisions, so that weights may be zero.

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
    /// Of all places outside the parent.
    pub outside: Lane,
    /// For a target I and a source J, of all places between them: those behind J and before I, around the cycle.
    pub between: [Four; CHILDREN],
}

/// The gradient in the factors of four parents: in those between a target and each source, for each target (neighbours have nothing between
/// them, what is there means nothing), and then in others.
pub(super) type SiblingsGradient = [Four; CHILDREN + 3];

/// Where the gradient in the products of siblings before and behind each child is, and in those of all places outside it.
pub(super) const BEFORE: usize = CHILDREN;
pub(super) const AFTER: usize = CHILDREN + 1;
pub(super) const OUTSIDE: usize = CHILDREN + 2;

impl Siblings {
    fn new(products: Four, outside: Lane) -> Self {
        let (mut before, mut after) = ([ONES; CHILDREN], [ONES; CHILDREN]);
        for c in 1..CHILDREN {
            before[c] = times(before[c - 1], products[c - 1]);
            after[CHILDREN - 1 - c] = times(after[CHILDREN - c], products[CHILDREN - c]);
        }
        let mut between = [[ONES; CHILDREN]; CHILDREN];
        for source in 0..CHILDREN {
            for target in source + 2..CHILDREN {
                between[target][source] = times(between[target - 1][source], products[target - 1]);
            }
            for target in 0..source {
                between[target][source] = times(times(after[source], outside), before[target]);
            }
        }
        Self { products, before, after, outside, between }
    }

    fn product(products: Four) -> Lane {
        times(times(products[0], products[1]), times(products[2], products[3]))
    }

    /// The products of all places outside each child.
    fn outsides(&self) -> Four {
        std::array::from_fn(|c| times(times(self.before[c], self.outside), self.after[c]))
    }

    /// The gradient in the product of all places outside the parent.
    #[inline(always)]
    fn outside_backward<I: Isa<f64>>(&self, isa: I, d: &SiblingsGradient) -> I::V {
        let (before, after) = (four(isa, &self.before), four(isa, &self.after));
        let mut sum = isa.splat(0.0);
        for c in 0..CHILDREN {
            sum = isa.mul_add(isa.load(&d[OUTSIDE][c]), isa.mul(before[c], after[c]), sum);
            for target in 0..c {
                sum = isa.mul_add(isa.load(&d[target][c]), isa.mul(after[c], before[target]), sum);
            }
        }
        sum
    }

    /// The gradient in the products of the children, given that in the product of all of them.
    #[inline(always)]
    fn products_backward<I: Isa<f64>>(&self, isa: I, d: &SiblingsGradient, whole: I::V) -> [I::V; CHILDREN] {
        let (before, after, own) = (four(isa, &self.before), four(isa, &self.after), four(isa, &self.products));
        let (outside, d_outsides) = (isa.load(&self.outside), four(isa, &d[OUTSIDE]));
        let (mut d_before, mut d_after) = (four(isa, &d[BEFORE]), four(isa, &d[AFTER]));
        let mut products = [whole; CHILDREN];
        for c in 0..CHILDREN {
            products[c] = isa.mul(whole, isa.mul(before[c], after[c]));
            let (outside_after, outside_before) = (isa.mul(outside, after[c]), isa.mul(outside, before[c]));
            d_before[c] = isa.mul_add(d_outsides[c], outside_after, d_before[c]);
            d_after[c] = isa.mul_add(d_outsides[c], outside_before, d_after[c]);
            for target in 0..c {
                let between = isa.load(&d[target][c]);
                d_before[target] = isa.mul_add(between, outside_after, d_before[target]);
                d_after[c] = isa.mul_add(between, isa.mul(outside, before[target]), d_after[c]);
            }
        }
        for source in 0..CHILDREN {
            let mut sum = isa.splat(0.0);
            for target in (source + 2..CHILDREN).rev() {
                sum = isa.add(sum, isa.load(&d[target][source]));
                let between = isa.load(&self.between[target - 1][source]);
                products[target - 1] = isa.mul_add(sum, between, products[target - 1]);
                sum = isa.mul(sum, own[target - 1]);
            }
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

/// The children of a parent among the registers of a level: one register each, or, of the whole, one lane each.
fn children(registers: &[Lane], parent: usize) -> Four {
    match registers {
        [whole] => std::array::from_fn(|c| [whole[c]; W]),
        _ => std::array::from_fn(|c| registers[CHILDREN * parent + c]),
    }
}

fn set_children(registers: &mut [Lane], parent: usize, children: Four) {
    match registers {
        [whole] => *whole = std::array::from_fn(|c| children[c][0]),
        _ => registers[CHILDREN * parent..][..CHILDREN].copy_from_slice(&children),
    }
}

/// The factors of all parents, level by level.
#[derive(Debug)]
pub(super) struct Factors {
    pub levels: Vec<Vec<Siblings>>,
    /// The products of all places outside each leaf.
    pub outsides: Vec<Lane>,
}

impl Factors {
    /// Those that the products of the leaves lead to.
    pub fn new(plan: &Plan, leaves: Vec<Lane>) -> Self {
        let mut products = vec![leaves];
        for level in 0..plan.top() {
            let parents = (0..plan.parents(level)).map(|parent| Siblings::product(children(&products[level], parent)));
            products.push(parents.collect());
        }
        let (mut levels, mut outsides) = (Vec::with_capacity(products.len()), vec![ONES]);
        for (level, products) in products.iter().enumerate().rev() {
            let parents = (0..plan.parents(level)).zip(&outsides);
            let siblings: Vec<Siblings> =
                parents.map(|(parent, &outside)| Siblings::new(children(products, parent), outside)).collect();
            let mut inner = vec![ONES; products.len()];
            siblings.iter().enumerate().for_each(|(parent, s)| set_children(&mut inner, parent, s.outsides()));
            levels.push(siblings);
            outsides = inner;
        }
        levels.reverse();
        Self { levels, outsides }
    }

    /// From the gradient in the factors, parent by parent, with the [outsides](OUTSIDE) of leaves only, to that in the products of leaves,
    /// which is added to their last heads. It is used up.
    pub fn backward(&self, leaf: usize, gradients: &mut [SiblingsGradient], d_heads: &mut [f64]) {
        f64::run(Backward { factors: self, leaf, gradients, d_heads });
    }
}

struct Backward<'a> {
    factors: &'a Factors,
    leaf: usize,
    gradients: &'a mut [SiblingsGradient],
    d_heads: &'a mut [f64],
}

impl Backward<'_> {
    /// The gradient in the products of all places outside each child.
    #[inline(always)]
    fn outsides<I: Isa<f64>>(&mut self, isa: I) {
        let mut gradients = &mut *self.gradients;
        for siblings in &self.factors.levels[..self.factors.levels.len() - 1] {
            let (here, above) = gradients.split_at_mut(siblings.len());
            for (parent, (siblings, d)) in siblings.iter().zip(here).enumerate() {
                let mut lane = Lane::default();
                isa.store(&mut lane, siblings.outside_backward(isa, d));
                match above {
                    [whole] => (0..CHILDREN).for_each(|c| whole[OUTSIDE][c] = [lane[c]; W]),
                    _ => above[parent / CHILDREN][OUTSIDE][parent % CHILDREN] = lane,
                }
            }
            gradients = above;
        }
    }
}

impl Kernel<f64> for Backward<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(mut self, isa: I) {
        self.outsides(isa);
        let Self { factors, leaf, mut gradients, d_heads } = self;
        // There is nothing outside the whole, and nothing depends on the product of all places. What is found of products takes the place of
        // the gradient in siblings before.
        let mut above: &[SiblingsGradient] = &[];
        for (depth, siblings) in factors.levels.iter().rev().enumerate() {
            let (rest, here) = gradients.split_at_mut(gradients.len() - siblings.len());
            for (parent, (siblings, d)) in siblings.iter().zip(&mut *here).enumerate() {
                let whole = match depth {
                    0 => isa.splat(0.0),
                    1 => isa.load(&std::array::from_fn(|c| above[0][BEFORE][c][0])),
                    _ => isa.load(&above[parent / CHILDREN][BEFORE][parent % CHILDREN]),
                };
                let products = siblings.products_backward(isa, d, whole);
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
