//! The *loss* of accuracy of a recurrence, by how much its rounding errors grow more than the product: an estimate, from the
//! parameters of both sides.
//!
//! Far from the shift, a product `Σ_k t_k A^k g` with `t_k = ⟨B^k h, x⟩` is a sum over the frequencies ω that both operators
//! transmit, and each operator amplifies some frequencies at some of its places: a diagonal entry d multiplies by about
//! `1 + d e^{−iω}`. A change of A does not change the frequency of a wave and cannot do much harm. But the rounding errors of a
//! recurrence are new in each step, and of all frequencies: where a wave is large, its rounding errors may have another
//! frequency, one that is amplified further on although the product hardly contains it.
//!
//! Waves of frequency ω that leave a place in every step have `w_i / w_{i−1} = m_i` with
//!
//! `m_i = l_i / (e^{iω} − d_i − u_i m_{i+1})`,
//!
//! whatever comes after, as long as little is reflected. This gives, in O(N), the gains between places for a few
//! frequencies; from these, the largest product of both sides at one frequency, and the largest one if the frequency
//! changes once on the way. The loss is their quotient. (It is an estimate and no bound: generators are not looked at,
//! and where each operator amplifies what the other does not, errors of errors may be larger.) At N = 8192, for entries
//! of ±10% around the shift, errors were between 6·10⁻¹⁷ and 8·10⁻¹⁶ times losses from 10³ to 3·10⁷.

use super::band::Band;
use crate::transform::isa::{Isa, Kernel, Kernels, lanes, lanes_mut};

/// Frequencies, and blocks of places that gains are told for.
const FREQUENCIES: usize = 16;
const BLOCKS: usize = 32;

/// Places after which nothing is known any more of what comes behind.
const REACH: usize = 64;

/// Places whose gains are in range together.
const AT_ONCE: usize = 16;

/// A number for each frequency.
type Spectrum = [f64; FREQUENCIES];

const REGISTERS: usize = FREQUENCIES / f64::LANES;

/// No gain, and one below all others.
const NONE: Spectrum = [0.0; FREQUENCIES];
const NOTHING: Spectrum = [f64::MIN; FREQUENCIES];

/// The losses of rounding errors that are made with each of two operators, three diagonals of N numbers each, in
/// products of both.
pub(super) fn losses(a: &[f64], b: &[f64]) -> [f64; 2] {
    let mut losses = [0.0; 2];
    f64::run(Losses { operators: [a, b], losses: &mut losses });
    losses
}

struct Losses<'a, 'b> {
    operators: [&'a [f64]; 2],
    losses: &'b mut [f64; 2],
}

impl Kernel<f64> for Losses<'_, '_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let [a, b] = self.operators;
        let (a, b) = (gains(isa, Band::of(a)), gains(isa, Band::of(b)));
        let (most_a, most_b) = (most(&a), most(&b));
        let mut signal = NOTHING;
        for (a, b) in most_a.iter().zip(&most_b) {
            raise(&mut signal, a, b, &NONE);
        }
        let signal = largest(&signal);
        *self.losses = [(noise(&a, &most_b) - signal).exp(), (noise(&b, &most_a) - signal).exp()];
    }
}

/// `most ← max(most, a + b − c)`.
#[inline(always)]
fn raise(most: &mut Spectrum, a: &Spectrum, b: &Spectrum, c: &Spectrum) {
    for q in 0..FREQUENCIES {
        let x = a[q] + b[q] - c[q];
        most[q] = if x > most[q] { x } else { most[q] };
    }
}

#[inline(always)]
fn largest(a: &Spectrum) -> f64 {
    a.iter().fold(f64::MIN, |most, x| most.max(*x))
}

/// The logarithms of the gains from place 0 to each block, twice around the cycle.
#[inline(always)]
fn gains<I: Isa<f64>>(isa: I, Band { lower, diagonal, upper }: Band<'_>) -> Vec<Spectrum> {
    let n = lower.len();
    let [mut cos, mut sin, mut re, mut im, mut squares] = [[isa.splat(0.0); REGISTERS]; 5];
    let angle = |q: usize| std::f64::consts::PI * (q as f64 + 0.5) / FREQUENCIES as f64;
    let waves: [Spectrum; 2] = [f64::cos, f64::sin].map(|f| std::array::from_fn(|q| f(angle(q))));
    for v in 0..REGISTERS {
        cos[v] = isa.load(&lanes::<f64>(&waves[0])[v]);
        sin[v] = isa.load(&lanes::<f64>(&waves[1])[v]);
    }
    let mut blocks = [NONE; BLOCKS];
    for step in (0..n + REACH).rev() {
        let i = step % n;
        if step + 1 == n || (step + 1) % AT_ONCE == 0 {
            squares = [isa.splat(1.0); REGISTERS];
        }
        let (l, d, u) = (isa.splat(lower[i]), isa.splat(diagonal[i]), isa.splat(upper[i]));
        for v in 0..REGISTERS {
            let x = isa.neg_mul_add(u, re[v], isa.sub(cos[v], d));
            let y = isa.neg_mul_add(u, im[v], sin[v]);
            let ratio = isa.div(l, isa.mul_add(x, x, isa.mul(y, y)));
            re[v] = isa.mul(ratio, x);
            im[v] = isa.mul(isa.sub(isa.splat(0.0), ratio), y);
            squares[v] = isa.mul(squares[v], isa.mul(ratio, l));
        }
        if step < n && step % AT_ONCE == 0 {
            let mut product = NONE;
            for (lane, v) in lanes_mut::<f64>(&mut product).iter_mut().zip(squares) {
                isa.store(lane, v);
            }
            let block = &mut blocks[step * BLOCKS / n];
            block.iter_mut().zip(product).for_each(|(b, p)| *b += 0.5 * p.max(f64::MIN_POSITIVE).ln());
        }
    }
    let mut all = vec![NONE; 2 * BLOCKS + 1];
    for p in 0..2 * BLOCKS {
        for q in 0..FREQUENCIES {
            all[p + 1][q] = all[p][q] + blocks[p % BLOCKS][q];
        }
    }
    all
}

/// The largest gain from any block to the one so many blocks behind.
#[inline(always)]
fn most(gains: &[Spectrum]) -> Vec<Spectrum> {
    let mut most = vec![NOTHING; BLOCKS + 1];
    for (k, most) in most.iter_mut().enumerate() {
        for b in 0..BLOCKS {
            raise(most, &gains[b + k], &NONE, &gains[b]);
        }
    }
    most
}

/// The largest gain of both sides where the frequency changes once on the way through this one.
#[inline(always)]
fn noise(gains: &[Spectrum], other: &[Spectrum]) -> f64 {
    let mut noise = f64::MIN;
    for b in BLOCKS..2 * BLOCKS {
        for after in 0..=BLOCKS {
            let (mut to, mut on) = (NOTHING, NOTHING);
            for before in 0..=BLOCKS - after {
                raise(&mut to, &gains[b], &other[before + after], &gains[b - before]);
            }
            raise(&mut on, &gains[b - BLOCKS + after], &NONE, &gains[b - BLOCKS]);
            noise = noise.max(largest(&to) + largest(&on));
        }
    }
    noise
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: usize = 2048;

    /// A shift with numbers on the diagonal.
    fn operator(diagonal: impl Fn(usize) -> f64) -> Vec<f64> {
        let diagonal: Vec<f64> = (0..ORDER).map(diagonal).collect();
        [vec![1.0; ORDER], diagonal, vec![0.0; ORDER]].concat()
    }

    /// What a frequency gains on one half and loses on the other one, rounding errors can gain at another frequency.
    #[test]
    fn loss_is_what_another_frequency_would_have_gained() {
        let shift = operator(|_| 0.0);
        let [there, back] =
            [1.0, -1.0].map(|sign| operator(|i| if 2 * i < ORDER { 0.01 * sign } else { -0.01 * sign }));
        assert_eq!(losses(&shift, &shift), [1.0, 1.0]);
        let [a, b] = losses(&there, &shift);
        assert!((b - 1.0).abs() < 1e-9, "{b:e}");
        // exp(0.01 N / 2) there, as much back.
        let expected = (0.01 * ORDER as f64 / 2.0).exp();
        assert!(a > expected.powf(0.9) && a < expected.powf(1.1), "{a:e}, expected {expected:e}");
        assert_eq!(losses(&back, &shift)[0].ln().round(), a.ln().round());
    }
}
