//! Structured layers in burn: products, gradients, records and adapters, against burn's own dense algebra.
#![cfg(feature = "burn")]

#[path = "common/families.rs"]
#[allow(dead_code, reason = "a part of what the tests of products need")]
mod common;
#[path = "common/counting.rs"]
mod counting;
#[path = "common/largest_allocation.rs"]
mod largest_allocation;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use burn::module::Module;
use burn::nn::LinearConfig;
use burn::optim::{AdamConfig, GradientsParams, SgdConfig};
use burn::tensor::{DType, Device, Element, Gradients, Tensor, TensorData};
use common::{builders, random};
use counting::counting;
use displace::frameworks::burn::{Adapter, StructuredLinear, StructuredLinearConfig};
use displace::ldr::CauchyLike;
use displace::structured::CauchyNodes;
use displace::{Builder, Error, Family, Linear, Matrix, PathChoice, Scalar, Structure, Sum};
use largest_allocation::largest_allocation;
use proptest::prelude::*;

fn device() -> Device {
    Device::flex().autodiff()
}

fn batch<T: Scalar + Element, const D: usize>(shape: [usize; D], seed: u64) -> Tensor<D> {
    let numbers = random::<T>(shape.iter().product(), seed);
    Tensor::from_data(TensorData::new(numbers, shape), (&device(), T::dtype()))
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// A layer of numbers T, with a bias that is not zero.
fn layer<T: Scalar + Element>(builder: &Builder, bias: bool) -> StructuredLinear {
    let bias = bias.then(|| random::<T>(builder.rows(), 77));
    StructuredLinear::from_linear(Linear::new(builder.build::<T>().unwrap(), bias).unwrap(), &device()).unwrap()
}

#[track_caller]
fn assert_near(actual: &[f64], expected: &[f64], tolerance: f64, what: &str) {
    let error = common::distance(actual, expected);
    // Inputs are uniform in [−1, 1] and entries have variance 1, so that a single term has √⅓ ≈ 0.58 in the mean square. Where
    // terms cancel to less than half of that, the error is that of the terms.
    let scale = common::norm(expected).max(0.3 * (expected.len() as f64).sqrt());
    assert!(error <= tolerance * scale, "{what}: error {error:.2e} of {scale:.2e}, tolerance {tolerance:.1e}");
}

/// All gradients in the parameters, one after the other.
fn parameter_gradients(layer: &StructuredLinear, gradients: &Gradients) -> Vec<f64> {
    let mut all = Vec::new();
    for matrix in &layer.matrices {
        let matrix = matrix.val();
        all.extend(matrix.grad(gradients).map_or(vec![0.0; matrix.shape().num_elements()], numbers));
    }
    for vector in layer.vectors.iter().chain(&layer.bias) {
        let vector = vector.val();
        all.extend(vector.grad(gradients).map_or(vec![0.0; vector.shape().num_elements()], numbers));
    }
    all
}

/// Products and all gradients of a layer and of the same layer in dense form.
fn check<T: Scalar + Element>(builder: &Builder, rows: usize, bias: bool, seed: u64) {
    let tolerance = if size_of::<T>() == 4 { 1e-5 } else { 1e-11 };
    let layer = layer::<T>(builder, bias);
    let what = |of: &str| format!("{of} of {builder:?} as {}, batch {rows}", T::NAME);
    let x = batch::<T, 2>([rows, builder.cols()], seed).require_grad();
    let dy = batch::<T, 2>([rows, builder.rows()], seed + 1);
    let y = layer.forward(x.clone());
    let mut expected = x.clone().matmul(layer.dense().unwrap().transpose());
    if let Some(bias) = &layer.bias {
        expected = expected + bias.val().unsqueeze();
    }
    assert_near(&numbers(y.clone()), &numbers(expected.clone()), tolerance, &what("product"));
    let (actual, expected) = ((y * dy.clone()).sum().backward(), (expected * dy).sum().backward());
    let of_x = |gradients: &Gradients| numbers(x.grad(gradients).unwrap());
    assert_near(&of_x(&actual), &of_x(&expected), tolerance, &what("gradient in x"));
    let (actual, expected) = (parameter_gradients(&layer, &actual), parameter_gradients(&layer, &expected));
    assert_near(&actual, &expected, tolerance, &what("gradient in the parameters"));
}

/// Every family at a number of ranks, and those whose entries are not linear in each parameter.
fn every_builder(rows: usize, cols: usize, seed: u64) -> Vec<Builder> {
    let others = Family::ALL.into_iter().filter(|family| !common::is_multilinear(family));
    let other = |family: Family| {
        let builder = Builder::new(family, rows, cols).seed(seed);
        if family.has_rank() { builder.rank(rows.min(cols).min(2)) } else { builder }
    };
    builders(rows, cols, seed).into_iter().chain(others.map(other)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn gradients_are_those_of_the_dense_form(
        rows in 1usize..24, cols in 1usize..24, batch in 1usize..20, bias: bool, seed in 0u64..1000,
    ) {
        for builder in every_builder(rows, cols, seed) {
            check::<f32>(&builder, batch, bias, seed);
            check::<f64>(&builder, batch, bias, seed);
        }
    }
}

#[test]
fn leading_dimensions_and_views_are_served() {
    let layer = layer::<f64>(&Builder::new(Family::ToeplitzLike, 4, 6).rank(2), true);
    let x = batch::<f64, 4>([2, 6, 3, 5], 1);
    let rows = numbers(layer.forward(x.clone().permute([0, 2, 3, 1]).reshape([30, 6])));
    let y = layer.forward(x.clone().permute([0, 2, 3, 1]));
    assert_eq!(y.dims(), [2, 3, 5, 4]);
    assert_eq!(numbers(y), rows);
    let row = layer.forward(x.permute([0, 2, 3, 1]).reshape([30, 6]).narrow(0, 7, 1).flatten::<1>(0, 1));
    assert_near(&numbers(row), &rows[28..32], 1e-14, "one row");
    // No examples at all: gradients that are zero.
    let none = batch::<f64, 3>([2, 0, 6], 1).require_grad();
    let y = layer.forward(none.clone());
    assert_eq!(y.dims(), [2, 0, 4]);
    let gradients = y.sum().backward();
    assert_eq!(none.grad(&gradients).unwrap().dims(), [2, 0, 6]);
    assert!(parameter_gradients(&layer, &gradients).iter().all(|&g| g == 0.0));
}

#[test]
fn parameters_are_prepared_once_a_step() {
    let structure = Builder::new(Family::ToeplitzLike, 16, 24).rank(2).structure::<f64>().unwrap();
    let matrix = counting(structure, vec![0.1; 2 * (16 + 24)]);
    let count = Arc::clone(&matrix.structure().prepared);
    let linear = Linear::new(matrix.into_dyn(), Some(vec![0.5; 16])).unwrap();
    let mut layer = StructuredLinear::from_linear(linear, &device()).unwrap();
    let x = batch::<f64, 2>([3, 24], 1).require_grad();
    let mut optimiser = SgdConfig::new().init();
    for step in 1..5 {
        // Several products of one step, one of them by a copy of the layer without autodiff.
        let mut loss = layer.forward(x.clone()).square().mean() + layer.forward(x.clone() * 2.0).sum();
        loss = loss + layer.valid().forward(x.clone().inner()).sum().into_scalar::<f64>();
        let gradients = GradientsParams::from_grads(loss.backward(), &layer);
        assert_eq!(count.load(Ordering::Relaxed), step, "step {step}");
        layer = optimiser.step(1e-3, layer, gradients);
    }
}

#[test]
fn an_input_is_not_copied() {
    let layer = layer::<f32>(&Builder::new(Family::ToeplitzLike, 4, 256).rank(2), true);
    let x = batch::<f32, 3>([4, 1024, 256], 1);
    let bytes = 4 * x.shape().num_elements();
    let largest = largest_allocation(|| drop(layer.forward(x.clone()).sum().backward()));
    assert!(largest < bytes / 8, "{largest} bytes for an input of {bytes}");
    let layer = self::layer::<f32>(&Builder::new(Family::ToeplitzLike, 256, 4).rank(2), true);
    let x = batch::<f32, 2>([4096, 4], 1);
    let largest = largest_allocation(|| drop(layer.forward(x)));
    assert_eq!(largest, bytes);
}

#[test]
fn only_what_is_tracked_gets_a_gradient() {
    let layer = layer::<f32>(&Builder::new(Family::Hankel, 3, 4), true);
    let x = batch::<f32, 2>([2, 4], 1);
    let gradients = layer.forward(x.clone()).sum().backward();
    assert!(x.grad(&gradients).is_none() && parameter_gradients(&layer, &gradients).iter().all(|&g| g != 0.0));
    let (frozen, x) = (layer.clone().no_grad(), x.require_grad());
    let gradients = frozen.forward(x.clone()).sum().backward();
    assert!(x.grad(&gradients).is_some() && parameter_gradients(&frozen, &gradients).iter().all(|&g| g == 0.0));
    // Without autodiff altogether, and with parameters that have it and an input that has not.
    let plain = layer.valid().forward(x.clone().inner());
    assert_eq!(numbers(plain), numbers(layer.forward(x.inner())));
}

#[test]
fn optimisers_train_every_family() {
    for builder in every_builder(6, 6, 3) {
        let mut layer = layer::<f32>(&builder, true);
        let x = batch::<f32, 2>([20, 6], 1);
        let target = layer.forward(x.clone()).detach() + batch::<f32, 2>([20, 6], 2);
        let loss = |layer: &StructuredLinear| (layer.forward(x.clone()) - target.clone()).square().mean();
        let before = loss(&layer).into_scalar::<f32>();
        let mut optimiser = SgdConfig::new().init();
        for _ in 0..10 {
            let gradients = GradientsParams::from_grads(loss(&layer).backward(), &layer);
            layer = optimiser.step(1e-3, layer, gradients);
        }
        let after = loss(&layer).into_scalar::<f32>();
        assert!(after < before, "{builder:?}: {before} {after}");
    }
}

#[test]
fn records_and_configurations_come_back() {
    let path = std::env::temp_dir().join(format!("displace-burn-{}.bpk", std::process::id()));
    for builder in every_builder(5, 6, 6) {
        // As doubles, through a record in memory.
        let (saved, blank) = (layer::<f64>(&builder, true), layer::<f64>(&builder.clone().seed(99), true));
        let read = blank.try_load_record(saved.clone().into_record()).unwrap();
        let x = batch::<f64, 2>([3, 6], 1);
        assert_eq!(numbers(read.forward(x.clone())), numbers(saved.forward(x)), "{builder:?}");

        // As single numbers, through a file and a configuration.
        let config = StructuredLinearConfig::new(builder.clone());
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<StructuredLinearConfig>(&text).unwrap().builder, builder);
        let layer = layer::<f32>(&builder, true);
        layer.clone().save_file(&path).unwrap();
        let read = config.init(&device()).unwrap().try_load_file(&path).unwrap();
        let x = batch::<f32, 2>([3, 6], 1);
        assert_eq!(numbers(read.forward(x.clone())), numbers(layer.forward(x)), "{builder:?}");
    }
    // A record of another shape is refused.
    let one = layer::<f32>(&Builder::new(Family::ToeplitzLike, 5, 6).rank(1), true);
    one.save_file(&path).unwrap();
    let two = layer::<f32>(&Builder::new(Family::ToeplitzLike, 5, 6).rank(2), true);
    assert!(two.try_load_file(&path).is_err());
    std::fs::remove_file(&path).unwrap();
}

#[cfg(feature = "safetensors")]
#[test]
fn layers_go_through_checkpoints_both_ways() {
    use displace::checkpoint::{Reader, Writer};

    let path = std::env::temp_dir().join(format!("displace-burn-{}.safetensors", std::process::id()));
    for builder in every_builder(5, 6, 6) {
        let layer = layer::<f32>(&builder, true);
        Writer::new().layer("net.hidden", &layer.to_linear::<f32>().unwrap()).save(&path).unwrap();
        let read = Reader::open(&path).unwrap().layer::<f32>("net.hidden").unwrap();
        let read = StructuredLinear::from_linear(read, &device()).unwrap();
        let x = batch::<f32, 2>([3, 6], 1);
        assert_eq!(numbers(read.forward(x.clone())), numbers(layer.forward(x)), "{builder:?}");
    }
    std::fs::remove_file(&path).unwrap();
}

#[cfg(all(feature = "burn-full", feature = "safetensors"))]
#[test]
fn files_of_burns_own_store_go_both_ways() {
    use burn::store::{ModuleSnapshot, SafetensorsStore};
    use displace::checkpoint::{Reader, Writer};

    #[derive(Module, Debug)]
    struct Network {
        hidden: StructuredLinear,
    }

    let path = std::env::temp_dir().join(format!("displace-burn-store-{}.safetensors", std::process::id()));
    let store = || SafetensorsStore::from_file(&path).overwrite(true);
    for builder in every_builder(5, 6, 6) {
        let x = batch::<f32, 2>([3, 6], 1);
        let network = Network { hidden: layer::<f32>(&builder, true) };
        network.save_into(&mut store()).unwrap();
        let structure = builder.structure::<f32>().unwrap();
        let read = Reader::open(&path).unwrap().layer_of("hidden", structure).unwrap();
        let read = StructuredLinear::from_linear(read, &device()).unwrap();
        assert_eq!(numbers(read.forward(x.clone())), numbers(network.hidden.forward(x.clone())), "{builder:?}");

        // The names of this crate, in the order of the layout, are those of burn.
        let other = builder.clone().seed(7).build_layer::<f32>().unwrap();
        Writer::new().layer("hidden", &other).save(&path).unwrap();
        let (mut from, mut counts) = (store(), [0, 0]);
        for tensor in other.weight().layout().tensors().iter().filter(|tensor| !tensor.range.is_empty()) {
            let vector = usize::from(tensor.shape.len() == 1);
            let name = format!("hidden.{}.{}", ["matrices", "vectors"][vector], counts[vector]);
            counts[vector] += 1;
            from = from.with_key_remapping(format!("^hidden\\.{}$", tensor.name), name);
        }
        let mut network = Network { hidden: layer::<f32>(&builder, true) };
        network.load_from(&mut from).unwrap();
        let other = StructuredLinear::from_linear(other, &device()).unwrap();
        assert_eq!(numbers(network.hidden.forward(x.clone())), numbers(other.forward(x)), "{builder:?}");
    }
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn what_cannot_be_served_is_refused_by_name() {
    let builder = Builder::new(Family::ToeplitzLike, 4, 6).rank(2);
    let layer = layer::<f32>(&builder, true);
    let type_of_input = layer.try_forward(batch::<f64, 2>([2, 6], 1)).unwrap_err();
    assert!(matches!(type_of_input, Error::Unsupported { ref given, expected: "F32", .. } if given == "F64"));
    let shape = layer.try_forward(batch::<f32, 2>([2, 5], 1)).unwrap_err();
    assert!(shape.to_string().contains("[2, 5] for a layer of 6 inputs"));
    let rank = StructuredLinearConfig::new(Builder::new(Family::ToeplitzLike, 4, 6).rank(5)).init(&device());
    assert!(matches!(rank, Err(Error::RankTooLarge { rank: 5, .. })));
    let mut broken = layer.clone();
    broken.bias = None;
    broken.matrices = broken.matrices.into_iter().map(|matrix| matrix.map(|m| m * f32::NAN)).collect();
    assert!(matches!(broken.try_forward(batch::<f32, 2>([2, 6], 1)), Err(Error::NotFinite { .. })));
    broken = layer.clone();
    broken.bias = broken.bias.map(|bias| bias.map(|b| b.cast(DType::F16)));
    let type_of_bias = broken.try_forward(batch::<f32, 2>([2, 6], 1)).unwrap_err();
    assert!(matches!(type_of_bias, Error::Unsupported { ref given, expected: "F32", .. } if given == "F16"));
    broken.bias = broken.bias.map(|bias| bias.map(|_| batch::<f32, 1>([3], 2)));
    let length = broken.try_forward(batch::<f32, 2>([2, 6], 1)).unwrap_err();
    assert_eq!(length, Error::Length { what: "bias", expected: 4, actual: 3 });
    let mut frozen = LinearConfig::new(6, 4).init(&device());
    frozen.weight = frozen.weight.map(|weight| weight.cast(DType::F16));
    let half = Adapter::new(frozen, &builder);
    assert!(matches!(half, Err(Error::Unsupported { ref given, expected: "F32 or F64", .. }) if given == "F16"));
    // The layers share what is prepared; the good one is as it was.
    layer.try_forward(batch::<f32, 2>([2, 6], 1)).unwrap();
}

#[test]
fn structures_that_no_builder_makes_have_layers_too() {
    let nodes = CauchyNodes::fixed(&[0.0, 2.0], &[1.0, -1.0, 3.5]).unwrap();
    let structure = Arc::new(CauchyLike::<f64>::with_nodes(nodes, 1).unwrap());
    let parameters = vec![0.5; structure.layout().len()];
    let matrix = Matrix::new(structure, parameters).unwrap().into_dyn();
    let layer = StructuredLinear::from_linear(Linear::new(matrix.clone(), None).unwrap(), &Device::flex()).unwrap();
    let x = random::<f64>(6, 1);
    let y = layer.forward(Tensor::<2>::from_data(TensorData::new(x.clone(), [2, 3]), (&Device::flex(), DType::F64)));
    assert_eq!(numbers(y), matrix.apply(&x).unwrap());
    assert_eq!(layer.to_linear::<f64>().unwrap().weight().to_dense().unwrap(), matrix.to_dense().unwrap());
}

#[test]
fn sums_go_there_and_back_with_their_path() {
    let terms = [Family::LowRank, Family::ToeplitzLike]
        .map(|family| Builder::new(family, 5, 4).rank(1).structure::<f64>().unwrap());
    let sum = Sum::new(Arc::clone(&terms[0]), Arc::clone(&terms[1])).unwrap();
    let mut matrix = Matrix::new(Arc::new(sum), random(2 * 9, 1)).unwrap().into_dyn();
    matrix.set_path(PathChoice::Fast);
    let layer = StructuredLinear::from_linear(Linear::new(matrix.clone(), None).unwrap(), &Device::flex()).unwrap();
    let back = layer.to_linear::<f64>().unwrap();
    assert_eq!(back.weight().to_dense().unwrap(), matrix.to_dense().unwrap());
    assert_eq!(back.weight().path_choice(), PathChoice::Fast);
    assert!(matches!(layer.to_linear::<f32>(), Err(Error::UnknownFamily { name: "low rank + Toeplitz-like" })));
}

#[test]
fn an_adapter_changes_nothing_at_first_and_trains_nothing_but_itself() {
    let frozen = LinearConfig::new(6, 5).init(&device());
    let x = batch::<f32, 2>([7, 6], 3);
    for builder in every_builder(5, 6, 4) {
        if matches!(builder.build_update::<f64>(), Err(Error::NeverZero { .. })) {
            assert!(matches!(Adapter::new(frozen.clone(), &builder), Err(Error::NeverZero { .. })));
            continue;
        }
        let adapter = Adapter::new(frozen.clone(), &builder).unwrap().with_scale(0.5);
        assert_eq!(numbers(adapter.forward(x.clone())), numbers(frozen.forward(x.clone())), "{builder:?}");
        let trained = adapter.update().matrices.len() + adapter.update().vectors.len();
        if trained == 0 {
            // An update of rank 0: burn refuses a backward pass without anything to train.
            continue;
        }
        let gradients = GradientsParams::from_grads(adapter.forward(x.clone()).square().sum().backward(), &adapter);
        assert_eq!(gradients.len(), trained, "{builder:?}");

        let trained = AdamConfig::new().init().step(0.1, adapter.clone(), gradients);
        assert_eq!(numbers(trained.frozen().weight.val()), numbers(frozen.weight.val()));
        let merged = trained.merge().unwrap();
        let (a, b) = (numbers(trained.forward(x.clone())), numbers(merged.forward(x.clone())));
        assert_near(&a, &b, 1e-5, &format!("{builder:?}"));
        assert!(common::distance(&a, &numbers(frozen.forward(x.clone()))) > 1e-3, "{builder:?}");
    }
    let refused = Adapter::new(frozen, &Builder::new(Family::LowRank, 6, 5).rank(1));
    assert!(matches!(refused, Err(Error::ShapeMismatch { .. })));
}
