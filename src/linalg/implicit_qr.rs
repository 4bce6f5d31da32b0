//! The singular values of a bidiagonal matrix by implicit QR steps, and the rotations that lead to them.
//!
//! Demmel, Kahan, "Accurate singular values of bidiagonal matrices", 1990, with deflation relative to the largest entry.
//! Rotations are gathered over many steps and applied to strips of the vectors that fit into a cache.

use crate::transform::isa::{Isa, Kernel, Kernels, lanes_mut};

/// The rotations of one step: of the rows `start` and `start + 1`, then of `start + 1` and `start + 2`, and so on; or
/// from the last of these rows upwards.
struct Sweep {
    start: usize,
    upwards: bool,
    rotations: Vec<(f64, f64)>,
}

/// Blocks of vectors, one a row, that are rotated along, and the rotations that they still have to undergo.
pub(super) struct Vectors<'a> {
    pub block: &'a mut [f64],
    pub len: usize,
    sweeps: Vec<Sweep>,
    waiting: usize,
}

/// Numbers of a vector in a strip.
const STRIP: usize = 16;

/// Rotations of a vector that are worth a pass over the vectors.
const WORTH: usize = 64;

impl<'a> Vectors<'a> {
    pub fn new(block: &'a mut [f64], len: usize) -> Self {
        Self { block, len, sweeps: Vec::new(), waiting: 0 }
    }

    fn push(&mut self, sweep: Sweep) {
        self.waiting += sweep.rotations.len();
        self.sweeps.push(sweep);
        if self.waiting > WORTH * (self.block.len() / self.len.max(1)) {
            self.flush();
        }
    }

    /// Applies the rotations that wait.
    fn flush(&mut self) {
        let count = self.block.len() / self.len.max(1);
        let mut strip = vec![0.0; count * STRIP];
        for at in (0..self.len).step_by(STRIP) {
            let width = STRIP.min(self.len - at);
            for (to, from) in strip.chunks_exact_mut(STRIP).zip(self.block.chunks_exact(self.len)) {
                to[..width].copy_from_slice(&from[at..at + width]);
            }
            f64::run(Rotate { strip: &mut strip, sweeps: &self.sweeps });
            for (from, to) in strip.chunks_exact(STRIP).zip(self.block.chunks_exact_mut(self.len)) {
                to[at..at + width].copy_from_slice(&from[..width]);
            }
        }
        self.sweeps.clear();
        self.waiting = 0;
    }
}

struct Rotate<'a> {
    strip: &'a mut [f64],
    sweeps: &'a [Sweep],
}

impl Kernel<f64> for Rotate<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        const WIDTH: usize = STRIP / <f64 as Kernels>::LANES;
        let strip = lanes_mut::<f64>(self.strip);
        for sweep in self.sweeps {
            let count = sweep.rotations.len();
            let rows = &mut strip[sweep.start * WIDTH..(sweep.start + count + 1) * WIDTH];
            let place = |k: usize| WIDTH * if sweep.upwards { count - k } else { k };
            let mut current = [isa.splat(0.0); WIDTH];
            for l in 0..WIDTH {
                current[l] = isa.load(&rows[place(0) + l]);
            }
            for (k, &(c, s)) in sweep.rotations.iter().enumerate() {
                let (c, s) = (isa.splat(c), isa.splat(s));
                let (here, there) = (place(k), place(k + 1));
                for l in 0..WIDTH {
                    let next = isa.load(&rows[there + l]);
                    isa.store(&mut rows[here + l], isa.mul_add(c, current[l], isa.mul(s, next)));
                    current[l] = isa.neg_mul_add(s, current[l], isa.mul(c, next));
                }
            }
            for l in 0..WIDTH {
                isa.store(&mut rows[place(count) + l], current[l]);
            }
        }
    }
}

/// Steps allowed for each singular value; two are usual.
const STEPS: usize = 40;

/// Makes the bidiagonal matrix of diagonal `d` and superdiagonal `e` diagonal, and rotates the left and right vectors
/// along. The values in `d` are left in no order and with any sign. False if that did not converge.
pub(super) fn diagonalize(d: &mut [f64], e: &mut [f64], mut vectors: Option<[Vectors<'_>; 2]>) -> bool {
    let size = d.iter().chain(e.iter()).fold(0.0, |m: f64, x| m.max(x.abs()));
    let mut steps = STEPS * d.len();
    let mut end = d.len();
    while end > 1 {
        let start = active(d, e, end, size);
        if start + 1 == end {
            end -= 1;
            continue;
        }
        if steps == 0 {
            return false;
        }
        steps -= 1;
        // The small end of a graded matrix is where values converge. Read backwards, the transposed block is upper
        // bidiagonal too.
        let (d, e) = (&mut d[start..end], &mut e[start..end - 1]);
        let upwards = d[0].abs() < d[d.len() - 1].abs();
        if upwards {
            d.reverse();
            e.reverse();
        }
        let [mut left, mut right] = step(d, e);
        if upwards {
            d.reverse();
            e.reverse();
            (left, right) = (right, left);
        }
        if let Some([u, v]) = &mut vectors {
            u.push(Sweep { start, upwards, rotations: left });
            v.push(Sweep { start, upwards, rotations: right });
        }
    }
    vectors.iter_mut().flatten().for_each(Vectors::flush);
    true
}

/// The start of the last unreduced block that ends before `end`; clears the negligible entry in front of it.
fn active(d: &[f64], e: &mut [f64], end: usize, size: f64) -> usize {
    for i in (1..end).rev() {
        let beside = d[i - 1].abs() + d[i].abs();
        if e[i - 1].abs() <= f64::EPSILON * beside.max(0.5 * size) {
            e[i - 1] = 0.0;
            return i;
        }
    }
    0
}

/// One step for an unreduced block: its rotations from the left and from the right.
fn step(d: &mut [f64], e: &mut [f64]) -> [Rotations; 2] {
    match shift(d, e) {
        Some(shift) => shifted(d, e, shift),
        None => unshifted(d, e),
    }
}

/// The smaller singular value of the last 2×2 block, or none where shifting by it would lose accuracy: a step without
/// shift also deals with a zero on the diagonal.
fn shift(d: &[f64], e: &[f64]) -> Option<f64> {
    if d.contains(&0.0) {
        return None;
    }
    let last = d.len() - 1;
    let (f, g, h) = (d[last - 1].abs(), e[last - 1].abs(), d[last].abs());
    let (low, high) = (f.min(h), f.max(h));
    // Of [f g; 0 h], as LAPACK's dlas2 does it.
    let (across, along, aside) = (1.0 + low / high, (high - low) / high, (g / high) * (g / high));
    let value = low * (2.0 / ((across * across + aside).sqrt() + (along * along + aside).sqrt()));
    let ratio = value / d[0].abs();
    (ratio * ratio > f64::EPSILON).then_some(value)
}

/// c, s and r with `c f + s g = r`, `c g − s f = 0`.
fn rotation(f: f64, g: f64) -> (f64, f64, f64) {
    let square = f * f + g * g;
    let r = if square > 1e-290 { square.sqrt() } else { f.hypot(g) };
    if r == 0.0 { (1.0, 0.0, 0.0) } else { (f / r, g / r, r) }
}

type Rotations = Vec<(f64, f64)>;

fn shifted(d: &mut [f64], e: &mut [f64], shift: f64) -> [Rotations; 2] {
    let last = e.len();
    let (mut left, mut right) = (Vec::with_capacity(last), Vec::with_capacity(last));
    let mut f = (d[0].abs() - shift) * (1f64.copysign(d[0]) + shift / d[0]);
    let mut g = e[0];
    for i in 0..last {
        let (c, s, r) = rotation(f, g);
        if i > 0 {
            e[i - 1] = r;
        }
        f = c * d[i] + s * e[i];
        e[i] = c * e[i] - s * d[i];
        g = s * d[i + 1];
        d[i + 1] *= c;
        right.push((c, s));
        let (c, s, r) = rotation(f, g);
        d[i] = r;
        f = c * e[i] + s * d[i + 1];
        d[i + 1] = c * d[i + 1] - s * e[i];
        if i + 1 < last {
            g = s * e[i + 1];
            e[i + 1] *= c;
        }
        left.push((c, s));
    }
    e[last - 1] = f;
    [left, right]
}

fn unshifted(d: &mut [f64], e: &mut [f64]) -> [Rotations; 2] {
    let last = e.len();
    let (mut left, mut right) = (Vec::with_capacity(last), Vec::with_capacity(last));
    let (mut c, mut old) = (1.0, (1.0, 0.0));
    for i in 0..last {
        let (c_new, s, r) = rotation(d[i] * c, e[i]);
        c = c_new;
        if i > 0 {
            e[i - 1] = old.1 * r;
        }
        let (old_c, old_s, value) = rotation(old.0 * r, d[i + 1] * s);
        old = (old_c, old_s);
        d[i] = value;
        right.push((c, s));
        left.push(old);
    }
    let h = d[last] * c;
    d[last] = h * old.0;
    e[last - 1] = h * old.1;
    [left, right]
}
