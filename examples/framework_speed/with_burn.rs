//! burn.

use burn::module::Module;
use burn::nn::{Linear as Dense, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Tensor, TensorData};
use displace::Linear;
use displace::frameworks::burn::{StructuredLinear, StructuredLinearConfig};

use super::{BATCH, Job, N, Outcome, Timing, alone_both, alone_forward, builder, random, report, times};

/// What both kinds of layers do.
trait Layer: Module + Clone {
    fn product(&self, x: Tensor<2>) -> Tensor<2>;
}

impl Layer for StructuredLinear {
    fn product(&self, x: Tensor<2>) -> Tensor<2> {
        self.forward(x)
    }
}

impl Layer for Dense {
    fn product(&self, x: Tensor<2>) -> Tensor<2> {
        self.forward(x)
    }
}

pub fn run(layer: &Linear<f32>, timing: Timing) -> Outcome<()> {
    let device = Device::flex().autodiff();
    let structured = StructuredLinearConfig::new(builder()).init(&device)?;
    let dense = LinearConfig::new(N, N).init(&device);
    let x = Tensor::<2>::from_data(TensorData::new(random(BATCH * N), [BATCH, N]), &device);
    println!("\n{:34} {:>10} {:>10} {:>10}", "burn", "alone", "inside", "dense");

    let plain = x.clone().inner();
    let found =
        times(vec![alone_forward(layer), forward(structured.valid(), &plain), forward(dense.valid(), &plain)], timing)?;
    report("forward", [Some(found[0]), Some(found[1]), Some(found[2])]);

    let found = times(vec![alone_both(layer), both(structured.clone(), &x), both(dense.clone(), &x)], timing)?;
    report("forward and backward", [Some(found[0]), Some(found[1]), Some(found[2])]);

    let found = times(vec![step(structured, &x), step(dense, &x)], timing)?;
    report("training step", [None, Some(found[0]), Some(found[1])]);
    Ok(())
}

fn forward<'a>(model: impl Layer + 'a, x: &Tensor<2>) -> Job<'a> {
    let x = x.clone();
    Box::new(move || {
        std::hint::black_box(model.product(x.clone()));
        Ok(())
    })
}

fn both<'a>(model: impl Layer + 'a, x: &Tensor<2>) -> Job<'a> {
    let x = x.clone().require_grad();
    Box::new(move || {
        std::hint::black_box(model.product(x.clone()).sum().backward());
        Ok(())
    })
}

fn step<'a>(model: impl Layer + 'a, x: &Tensor<2>) -> Job<'a> {
    let (x, target) = (x.clone(), x.clone() * 0.5);
    let mut optimiser = SgdConfig::new().init();
    let mut model = Some(model);
    Box::new(move || {
        let current = model.take().ok_or("the step before failed")?;
        let loss = (current.product(x.clone()) - target.clone()).square().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &current);
        model = Some(optimiser.step(1e-3, current, gradients));
        Ok(())
    })
}
