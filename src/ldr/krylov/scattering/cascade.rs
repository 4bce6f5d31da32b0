//! Where two neighbouring blocks meet and nothing comes back: what leaves the left block enters the right one,
//! `Q[s] = zλ left[s]`, and adds `through Q[s]` to its end. Pointwise arithmetic on spectra, and its adjoint.

use super::field::{Field, Lane};
use crate::transform::isa::{Isa, Kernel, lanes, lanes_mut};

/// The spectra that meet at a junction, n numbers each: n/2 real parts and as many imaginary ones.
#[derive(Debug)]
pub struct Cascade<'a> {
    /// The spectrum of z.
    pub z: &'a [f64],
    pub lambda: Lane,
    /// The series at the end of the left block from each source, and what passes through the right block.
    pub blocks: &'a [f64],
    /// Q.
    pub entering: &'a mut [f64],
    /// What Q adds to the end of the joined block.
    pub ends: &'a mut [f64],
}

/// The adjoint of [`Cascade`].
#[derive(Debug)]
pub struct CascadeAdjoint<'a> {
    pub z: &'a [f64],
    pub lambda: Lane,
    pub blocks: &'a [f64],
    /// Gradients in `ends`.
    pub ends: &'a [f64],
    /// Gradients in Q, those of each register together.
    pub entering: &'a [f64],
    /// Written: the gradients in `blocks`.
    pub blocks_gradient: &'a mut [f64],
    /// Written: the gradient in λ, times n/2.
    pub lambda_gradient: &'a mut Lane,
}

impl Kernel<f64> for Cascade<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { z, lambda, blocks, entering, ends } = self;
        let (z, blocks, field) = (lanes::<f64>(z), lanes::<f64>(blocks), Field(isa));
        let (entering, ends) = (lanes_mut::<f64>(entering), lanes_mut::<f64>(ends));
        let h = z.len() / 2;
        let (sources, lambda) = (ends.len() / h / 2, isa.load(&lambda));
        for k in 0..h {
            let w = field.times(field.get(z, h, 0, k), lambda);
            let through = field.get(blocks, h, sources, k);
            for s in 0..sources {
                let q = field.mul(w, field.get(blocks, h, s, k));
                field.set(entering, h, s, k, q);
                field.set(ends, h, s, k, field.mul(through, q));
            }
        }
    }
}

impl Kernel<f64> for CascadeAdjoint<'_> {
    #[inline(always)]
    fn run<I: Isa<f64>>(self, isa: I) {
        let Self { z, lambda, blocks, ends, entering, blocks_gradient, lambda_gradient } = self;
        let (z, blocks, field) = (lanes::<f64>(z), lanes::<f64>(blocks), Field(isa));
        let (ends, blocks_gradient) = (lanes::<f64>(ends), lanes_mut::<f64>(blocks_gradient));
        let h = z.len() / 2;
        let (sources, lambda) = (ends.len() / h / 2, isa.load(&lambda));
        let mut sum = isa.splat(0.0);
        for (k, entering) in lanes::<f64>(entering).chunks_exact(2 * sources).enumerate() {
            let z = field.get(z, h, 0, k);
            let w = field.times(z, lambda);
            let through = field.get(blocks, h, sources, k);
            // The gradients in w, and in what passes through the right block over w.
            let [mut dw, mut d_through] = [field.zero(); 2];
            for s in 0..sources {
                let left = field.get(blocks, h, s, k);
                let d_end = field.get(ends, h, s, k);
                let mut dq = field.packed(entering, s);
                field.gather(&mut dq, through, d_end);
                field.gather(&mut d_through, left, d_end);
                field.gather(&mut dw, left, dq);
                field.set(blocks_gradient, h, s, k, field.dual(w, dq));
            }
            field.set(blocks_gradient, h, sources, k, field.dual(w, d_through));
            sum = isa.add(sum, field.dual(z, dw).re);
        }
        isa.store(lambda_gradient, sum);
    }
}
