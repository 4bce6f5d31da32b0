//! A binary tree over sorted nodes on the line.
//!
//! A cluster is cut at the middle of its hull, so that clusters of nodes stay together, but never so that fewer than half
//! a leaf's worth of nodes is cut off: the number of clusters depends on the number of nodes alone, and scratch for them
//! can be asked for before the nodes are known.

use super::skeleton::{Skeleton, order};
use crate::Scalar;

/// Nodes that a leaf holds at most.
pub(super) const LEAF: usize = 32;

/// A run of sorted nodes.
#[derive(Debug, Clone)]
pub(super) struct Cluster<T> {
    pub start: usize,
    pub end: usize,
    pub centre: T,
    pub radius: T,
    /// The two halves; zero in a leaf.
    pub children: [usize; 2],
}

impl<T> Cluster<T> {
    pub fn is_leaf(&self) -> bool {
        self.children[0] == 0
    }

    /// The halves, or 0, which is the root, in place of the nodes of a leaf.
    #[inline(always)]
    pub fn parts(&self) -> &[usize] {
        &self.children[..if self.is_leaf() { 1 } else { 2 }]
    }

    pub fn len(&self) -> usize {
        self.end - self.start
    }
}

/// The nodes of one side (s, or t), sorted, with their clusters and the points that stand for those.
#[derive(Debug, Clone)]
pub(super) struct Side<T> {
    /// The index of each sorted node in the caller's order.
    pub order: Vec<usize>,
    /// The nodes, sorted.
    pub nodes: Vec<T>,
    /// The clusters; parents come before children.
    pub clusters: Vec<Cluster<T>>,
    /// Whether a cluster, or one around it, is ever represented by its points.
    pub active: Vec<bool>,
    /// p points of each cluster, from its centre.
    pub points: Vec<T>,
    /// Each node within its leaf, mapped to [−1, 1], and r there.
    pub inner: Vec<T>,
    pub inner_gain: Vec<T>,
    /// p points of each cluster within the cluster around it, mapped to [−1, 1], and r there.
    pub upper: Vec<T>,
    pub upper_gain: Vec<T>,
}

/// Clusters that a tree over n nodes has at most.
pub(super) const fn max_clusters(n: usize) -> usize {
    let leaves = n / (LEAF / 2);
    if leaves < 2 { 1 } else { 2 * leaves - 1 }
}

impl<T: Scalar> Side<T> {
    /// Sorts the nodes, all finite, and builds the tree.
    pub fn new(nodes: &[T], skeleton: &Skeleton<T>) -> Self {
        let mut order: Vec<usize> = (0..nodes.len()).collect();
        order.sort_unstable_by(|&i, &j| compare(nodes[i], nodes[j]).then(i.cmp(&j)));
        let sorted: Vec<T> = order.iter().map(|&i| nodes[i]).collect();
        let clusters = cut(&sorted);
        let mut side = Self {
            order,
            active: vec![false; clusters.len()],
            points: Vec::new(),
            inner: vec![T::zero(); sorted.len()],
            inner_gain: Vec::new(),
            upper: vec![T::zero(); clusters.len() * self::order::<T>()],
            upper_gain: Vec::new(),
            nodes: sorted,
            clusters,
        };
        side.place(skeleton);
        side
    }

    /// Puts the points of every cluster where they belong.
    fn place(&mut self, skeleton: &Skeleton<T>) {
        let p = order::<T>();
        for cluster in &self.clusters {
            let (centre, radius) = (cluster.centre.wide(), cluster.radius.wide());
            // A cluster of equal nodes has no width; its points coincide, and any place within it will do.
            let map = |offset: f64| skeleton.place(if radius > 0.0 { (offset / radius).clamp(-1.0, 1.0) } else { 0.0 });
            self.points.extend(skeleton.points.iter().map(|x| T::of(x.wide() * radius)));
            if cluster.is_leaf() {
                for i in cluster.start..cluster.end {
                    self.inner[i] = map(self.nodes[i].wide() - centre);
                }
                continue;
            }
            for child in cluster.children {
                let inner = &self.clusters[child];
                let shift = inner.centre.wide() - centre;
                for (k, x) in skeleton.points.iter().enumerate() {
                    self.upper[child * p + k] = map(shift + x.wide() * inner.radius.wide());
                }
            }
        }
        self.inner_gain = self.inner.iter().map(|&o| skeleton.gain(o)).collect();
        self.upper_gain = self.upper.iter().map(|&o| skeleton.gain(o)).collect();
    }

    /// Marks clusters inside of marked ones.
    pub fn spread_activity(&mut self) {
        for k in 0..self.clusters.len() {
            if self.active[k] && !self.clusters[k].is_leaf() {
                self.clusters[k].children.into_iter().for_each(|child| self.active[child] = true);
            }
        }
    }

    /// The points of a cluster, from its centre.
    #[inline(always)]
    pub fn points_of(&self, cluster: usize) -> &[T] {
        let p = order::<T>();
        &self.points[cluster * p..][..p]
    }
}

/// The order of finite numbers; zeros of either sign are equal.
pub(super) fn compare<T: Scalar>(a: T, b: T) -> std::cmp::Ordering {
    a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal)
}

fn cut<T: Scalar>(nodes: &[T]) -> Vec<Cluster<T>> {
    let mut clusters = vec![cluster(nodes, 0, nodes.len())];
    let mut next = 0;
    while next < clusters.len() {
        let Cluster { start, end, .. } = clusters[next];
        if end - start > LEAF {
            let middle = (nodes[start].wide() / 2.0 + nodes[end - 1].wide() / 2.0, LEAF / 2);
            let at = start + nodes[start..end].partition_point(|x| x.wide() <= middle.0);
            let at = at.clamp(start + middle.1, end - middle.1);
            clusters[next].children = [clusters.len(), clusters.len() + 1];
            clusters.push(cluster(nodes, start, at));
            clusters.push(cluster(nodes, at, end));
        }
        next += 1;
    }
    // The centre of nodes that are a few roundings apart is rounded, so that an interval around it reaches beyond them:
    // it has to lie within that of the cluster around it all the same.
    for k in (0..clusters.len()).rev() {
        if clusters[k].is_leaf() {
            continue;
        }
        for child in clusters[k].children {
            let extent =
                (clusters[child].centre.wide() - clusters[k].centre.wide()).abs() + clusters[child].radius.wide();
            clusters[k].radius = clusters[k].radius.max(T::of(extent));
        }
    }
    clusters
}

fn cluster<T: Scalar>(nodes: &[T], start: usize, end: usize) -> Cluster<T> {
    let (low, high) = (nodes[start].wide(), nodes[end - 1].wide());
    let centre = T::of(low / 2.0 + high / 2.0);
    let radius = T::of((high - centre.wide()).max(centre.wide() - low));
    Cluster { start, end, centre, radius, children: [0, 0] }
}
