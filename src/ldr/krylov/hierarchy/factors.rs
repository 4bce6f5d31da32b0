//! The products of weights that join the children of every parent, and their gradients: no divisions, so that weights may be zero.

use super::Lane;
use super::plan::{CHILDREN, Plan, W};

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

fn add_product(sum: &mut Lane, a: Lane, b: Lane) {
    (0..W).for_each(|l| sum[l] += a[l] * b[l]);
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

/// The gradient in the factors of a parent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SiblingsGradient {
    pub before: Four,
    pub after: Four,
    pub between: [Four; CHILDREN],
    /// In the products of all places outside each child.
    pub outsides: Four,
}

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
    fn outside_backward(&self, d: &SiblingsGradient) -> Lane {
        let mut sum = Lane::default();
        for c in 0..CHILDREN {
            add_product(&mut sum, d.outsides[c], times(self.before[c], self.after[c]));
            for target in 0..c {
                add_product(&mut sum, d.between[target][c], times(self.after[c], self.before[target]));
            }
        }
        sum
    }

    /// The gradient in the products of the children, given that in the product of all of them.
    fn products_backward(&self, d: &SiblingsGradient, whole: Lane) -> Four {
        let (mut before, mut after) = (d.before, d.after);
        let mut products = Four::default();
        for c in 0..CHILDREN {
            add_product(&mut products[c], whole, times(self.before[c], self.after[c]));
            add_product(&mut before[c], d.outsides[c], times(self.outside, self.after[c]));
            add_product(&mut after[c], d.outsides[c], times(self.outside, self.before[c]));
            for target in 0..c {
                add_product(&mut before[target], d.between[target][c], times(self.after[c], self.outside));
                add_product(&mut after[c], d.between[target][c], times(self.outside, self.before[target]));
            }
        }
        for source in 0..CHILDREN {
            let mut sum = Lane::default();
            for target in (source + 2..CHILDREN).rev() {
                (0..W).for_each(|l| sum[l] += d.between[target][source][l]);
                add_product(&mut products[target - 1], sum, self.between[target - 1][source]);
                sum = std::array::from_fn(|l| sum[l] * self.products[target - 1][l]);
            }
        }
        for c in (1..CHILDREN).rev() {
            add_product(&mut products[c - 1], before[c], self.before[c - 1]);
            before[c - 1] = std::array::from_fn(|l| before[c - 1][l] + before[c][l] * self.products[c - 1][l]);
        }
        for c in 0..CHILDREN - 1 {
            add_product(&mut products[c + 1], after[c], self.after[c + 1]);
            after[c + 1] = std::array::from_fn(|l| after[c + 1][l] + after[c][l] * self.products[c + 1][l]);
        }
        products
    }
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

    /// The gradient in the products of the leaves, given that in all factors but the [outsides](SiblingsGradient::outsides), which
    /// follow from those of the leaves.
    pub fn backward(&self, gradients: &mut [Vec<SiblingsGradient>], d_outsides: &[Lane]) -> Vec<Lane> {
        let mut d_outsides = d_outsides.to_vec();
        for (siblings, gradients) in self.levels.iter().zip(&mut *gradients) {
            let parents = siblings.iter().zip(gradients).enumerate();
            d_outsides = parents
                .map(|(parent, (siblings, gradient))| {
                    gradient.outsides = children(&d_outsides, parent);
                    siblings.outside_backward(gradient)
                })
                .collect();
        }
        // There is nothing outside the whole, and nothing depends on the product of all places.
        let mut wholes = vec![Lane::default()];
        for (level, (siblings, gradients)) in self.levels.iter().zip(gradients).enumerate().rev() {
            let registers = if level + 1 == self.levels.len() { 1 } else { CHILDREN * siblings.len() };
            let mut products = vec![Lane::default(); registers];
            for (parent, (siblings, gradient)) in siblings.iter().zip(gradients.iter()).enumerate() {
                set_children(&mut products, parent, siblings.products_backward(gradient, wholes[parent]));
            }
            wholes = products;
        }
        wholes
    }
}
