//! Which clusters of s meet which clusters of t, and how.

use super::skeleton::{Skeleton, order};
use super::tree::{Cluster, LEAF, Side};
use crate::Scalar;

/// Whether a cluster takes part with its nodes or with the points that stand for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Nodes,
    Points,
}

/// A block of the matrix: a cluster of s and a cluster of t.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair {
    pub s: (usize, By),
    pub t: (usize, By),
}

/// Cuts the matrix into blocks, each exact or interpolated on one or both sides.
///
/// A cluster is represented by its points where the other one is far from it, by its own measure σ; both sides need not
/// agree, so that a tight cluster beside a wide one costs no more than either alone.
pub(super) fn meet<T: Scalar>(s: &mut Side<T>, t: &mut Side<T>, skeleton: &Skeleton<T>) -> Vec<Pair> {
    let mut pairs = Vec::new();
    let mut open = vec![(0, 0)];
    while let Some((i, j)) = open.pop() {
        let (a, b) = (&s.clusters[i], &t.clusters[j]);
        match decide(a, b, skeleton.reach) {
            Meeting::Block(by_s, by_t) => {
                s.active[i] |= by_s == By::Points;
                t.active[j] |= by_t == By::Points;
                pairs.push(Pair { s: (i, by_s), t: (j, by_t) });
            }
            Meeting::CutS => open.extend(a.children.map(|i| (i, j))),
            Meeting::CutT => open.extend(b.children.map(|j| (i, j))),
        }
    }
    s.spread_activity();
    t.spread_activity();
    pairs
}

enum Meeting {
    Block(By, By),
    CutS,
    CutT,
}

fn decide<T: Scalar>(a: &Cluster<T>, b: &Cluster<T>, reach: f64) -> Meeting {
    let (ra, rb) = (a.radius.wide(), b.radius.wide());
    let distance = (a.centre.wide() - b.centre.wide()).abs();
    let far = |own: f64, other: f64| distance - other >= reach * own && distance > other + own;
    let (s_far, t_far) = (far(ra, rb), far(rb, ra));
    // The smaller of nodes and points, where there is a choice.
    let by = |cluster: &Cluster<T>| if cluster.len() <= order::<T>() { By::Nodes } else { By::Points };
    match (s_far, t_far) {
        (true, true) => Meeting::Block(by(a), by(b)),
        _ if a.is_leaf() && b.is_leaf() => {
            Meeting::Block(if s_far { by(a) } else { By::Nodes }, if t_far { by(b) } else { By::Nodes })
        }
        (true, false) if b.is_leaf() => Meeting::Block(by(a), By::Nodes),
        (false, true) if a.is_leaf() => Meeting::Block(By::Nodes, by(b)),
        _ if b.is_leaf() || (ra >= rb && !a.is_leaf()) => Meeting::CutS,
        _ => Meeting::CutT,
    }
}

const _: () = assert!(LEAF >= order::<f64>() && LEAF >= order::<f32>());
