//! What is timed. All that will be compared is timed in turn, again and again, since a shared machine may be twice as fast in
//! one second as in the next.

use std::time::Instant;

use displace::bare::{BareTransforms, fast_length};
use displace::{Builder, Family, Matrix, PathChoice, Scalar, Workspace};

use crate::realfft::Peer;
use crate::{Options, Row, print};

/// Calls that are timed together last at least this many seconds.
const BURST: f64 = 20e-6;
/// Rounds are repeated at least this often.
const ROUNDS: usize = 5;

/// Repeats a round of measurements for about so many seconds.
pub fn rounds(seconds: f64, mut round: impl FnMut()) {
    let (start, mut count) = (Instant::now(), 0);
    while count < ROUNDS || start.elapsed().as_secs_f64() < seconds {
        round();
        count += 1;
    }
}

/// The times of a call.
#[derive(Default)]
struct Times {
    nanoseconds: Vec<f64>,
    calls: u32,
}

impl Times {
    /// Times a burst of calls, after one that brings its data into the caches.
    fn add(&mut self, mut call: impl FnMut()) {
        let warm = Instant::now();
        call();
        if self.calls == 0 {
            self.calls = (BURST / warm.elapsed().as_secs_f64()).clamp(1.0, 1000.0).ceil() as u32;
        }
        let start = Instant::now();
        (0..self.calls).for_each(|_| call());
        self.nanoseconds.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(self.calls));
    }

    fn median(&self) -> f64 {
        let mut sorted = self.nanoseconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
    }
}

/// A matrix, and the times of its products and gradients with a batch.
pub struct Product<T: Scalar> {
    matrix: Matrix<T>,
    batch: usize,
    x: Vec<T>,
    y: Vec<T>,
    gradient: Vec<T>,
    workspace: Workspace<T>,
    times: [Times; 3],
}

impl<T: Scalar> Product<T> {
    pub fn new(builder: Builder, batch: usize) -> Option<Self> {
        let matrix = builder.build::<T>().ok()?;
        let x = numbers::<T>(batch * matrix.cols());
        let gradient = vec![T::zero(); matrix.parameters().len()];
        let (y, workspace, times) = (x.clone(), Workspace::new(), Default::default());
        Some(Self { matrix, batch, x, y, gradient, workspace, times })
    }

    pub fn time(&mut self) {
        let Self { matrix, x, y, gradient, workspace, times: [forward, transpose, backward], .. } = self;
        forward.add(|| matrix.apply_into(x, y, workspace).unwrap_or_default());
        transpose.add(|| matrix.apply_transposed_into(x, y, workspace).unwrap_or_default());
        backward.add(|| matrix.backward(x, x, Some(&mut *y), gradient, workspace).unwrap_or_default());
    }

    /// Nanoseconds an example of the product, the transposed product and the gradients.
    fn medians(&self) -> [f64; 3] {
        self.times.each_ref().map(|times| times.median() / self.batch as f64)
    }
}

/// A product beside the transforms that it consists of, and the same product on general libraries.
pub struct Subject<T: Scalar> {
    product: Product<T>,
    rank: usize,
    transforms: f64,
    bare: BareTransforms<T>,
    bare_times: Times,
    peer: Option<Peer<T>>,
    peer_times: Times,
}

impl<T: Scalar> Subject<T> {
    pub fn new(family: Family, n: usize, rank: usize, batch: usize) -> Option<Self> {
        let builder = Builder::new(family, n, n).path(PathChoice::Fast);
        let builder = if family.has_rank() { builder.rank(rank) } else { builder };
        let mut product = Product::new(builder, batch)?;
        let (length, transforms) = match family {
            Family::ToeplitzLike => (fast_length(n), 2 * rank + 2),
            Family::Toeplitz => (2 * n, 2),
            _ => (n, 2),
        };
        let peer = (family == Family::ToeplitzLike).then(|| peer(&mut product));
        let bare = BareTransforms::new(length, batch);
        let [bare_times, peer_times] = [(); 2].map(|()| Times::default());
        Some(Self { product, rank, transforms: transforms as f64, bare, bare_times, peer, peer_times })
    }

    pub fn time(&mut self) {
        self.product.time();
        self.bare_times.add(|| self.bare.run());
        if let Some(peer) = &mut self.peer {
            let Product { x, y, .. } = &mut self.product;
            self.peer_times.add(|| peer.apply(x, y));
        }
    }

    pub fn print(&self, options: &Options, dense: Option<&Product<T>>) {
        let Product { matrix, batch, .. } = &self.product;
        let floor_ns = self.bare_times.median() / self.bare.transforms() as f64 * self.transforms;
        let realfft_ns = self.peer.is_some().then(|| self.peer_times.median() / *batch as f64);
        let dense_ns = dense.map_or([None; 3], |dense| dense.medians().map(Some));
        for (case, (ns, dense_ns)) in
            ["forward", "transpose", "backward"].into_iter().zip(self.product.medians().into_iter().zip(dense_ns))
        {
            let realfft_ns = realfft_ns.filter(|_| case == "forward");
            let (family, n) = (matrix.structure().family(), matrix.cols());
            print(
                options,
                &Row {
                    case,
                    family,
                    n,
                    rank: self.rank,
                    batch: *batch,
                    dtype: T::NAME,
                    ns,
                    dense_ns,
                    realfft_ns,
                    floor_ns,
                },
            );
        }
    }
}

/// The peer of a product; where the orders agree, so must the results.
fn peer<T: Scalar>(product: &mut Product<T>) -> Peer<T> {
    let Product { matrix, x, y, workspace, .. } = product;
    let n = matrix.cols();
    let (g, h) = matrix.parameters().split_at(matrix.parameters().len() / 2);
    let mut peer = Peer::new(n, g, h);
    if fast_length(n) == n {
        let mut other = y.clone();
        peer.apply(x, &mut other);
        matrix.apply_into(x, y, workspace).unwrap_or_default();
        let error: f64 = y.iter().zip(&other).map(|(a, b)| (a.wide() - b.wide()).powi(2)).sum();
        let size: f64 = y.iter().map(|a| a.wide().powi(2)).sum();
        assert!(error <= 1e-9 * size, "the two implementations disagree: {error:e} of {size:e}");
    }
    peer
}

fn numbers<T: Scalar>(len: usize) -> Vec<T> {
    (0..len).map(|i| T::of(((i * 37) % 101) as f64 / 50.0 - 1.0)).collect()
}
