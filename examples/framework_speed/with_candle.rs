//! candle.

use candle_core::{DType, Device, Tensor, Var};
use candle_nn::{Module, Optimizer, SGD, VarBuilder, VarMap, linear};
use displace::Linear;
use displace::frameworks::candle::structured_linear;

use super::{BATCH, Job, N, Outcome, Timing, alone_both, alone_forward, builder, random, report, times};

pub fn run(layer: &Linear<f32>, timing: Timing) -> Outcome<()> {
    let (structured_map, dense_map) = (VarMap::new(), VarMap::new());
    let vb = |map| VarBuilder::from_varmap(map, DType::F32, &Device::Cpu);
    let structured = structured_linear(&builder(), vb(&structured_map))?;
    let dense = linear(N, N, vb(&dense_map))?;
    let x = Tensor::from_vec(random(BATCH * N), (BATCH, N), &Device::Cpu)?;
    let target = x.affine(0.5, 0.0)?;
    println!("\n{:34} {:>10} {:>10} {:>10}", "candle", "alone", "inside", "dense");

    fn forward<'a>(model: &'a dyn Module, x: &'a Tensor) -> Job<'a> {
        Box::new(move || {
            std::hint::black_box(model.forward(x)?);
            Ok(())
        })
    }
    let found = times(vec![alone_forward(layer), forward(&structured, &x), forward(&dense, &x)], timing)?;
    report("forward", [Some(found[0]), Some(found[1]), Some(found[2])]);

    // A variable as input, so that its gradient is computed too.
    let tracked = Var::from_tensor(&x)?;
    fn both<'a>(model: &'a dyn Module, x: &'a Var) -> Job<'a> {
        Box::new(move || {
            std::hint::black_box(model.forward(x)?.backward()?);
            Ok(())
        })
    }
    let found = times(vec![alone_both(layer), both(&structured, &tracked), both(&dense, &tracked)], timing)?;
    report("forward and backward", [Some(found[0]), Some(found[1]), Some(found[2])]);

    fn step<'a>(model: &'a dyn Module, map: &VarMap, x: &'a Tensor, target: &'a Tensor) -> Outcome<Job<'a>> {
        let mut optimiser = SGD::new(map.all_vars(), 1e-3)?;
        Ok(Box::new(move || {
            let loss = (model.forward(x)? - target)?.sqr()?.mean_all()?;
            Ok(optimiser.backward_step(&loss)?)
        }))
    }
    let jobs = vec![step(&structured, &structured_map, &x, &target)?, step(&dense, &dense_map, &x, &target)?];
    let found = times(jobs, timing)?;
    report("training step", [None, Some(found[0]), Some(found[1])]);
    Ok(())
}
