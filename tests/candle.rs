//! Structured layers in candle: products, gradients, variables and adapters, against candle's own dense algebra.
#![cfg(feature = "candle")]

#[path = "common/families.rs"]
#[allow(dead_code, reason = "a part of what the tests of products need")]
mod common;
#[path = "common/counting.rs"]
mod counting;
#[path = "common/largest_allocation.rs"]
mod largest_allocation;

use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, Var, WithDType};
use candle_nn::{Linear, Module, Optimizer, SGD, VarBuilder, VarMap};
use common::{builders, random};
use counting::counting;
use displace::frameworks::candle::{
    Adapter, StructuredLinear, structured_linear, structured_linear_b, structured_linear_no_bias,
};
use displace::ldr::CauchyLike;
use displace::structured::CauchyNodes;
use displace::{Builder, Error, Family, Init, Matrix, PathChoice, Scalar, Structure, Sum};
use largest_allocation::largest_allocation;
use proptest::prelude::*;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const CPU: &Device = &Device::Cpu;

/// Relative, in norm.
fn bar<T: WithDType>() -> f64 {
    if T::DTYPE == DType::F32 { 1e-5 } else { 1e-11 }
}

fn batch<T: Scalar + WithDType>(shape: &[usize], seed: u64) -> Tensor {
    Tensor::from_vec(random::<T>(shape.iter().product(), seed), shape, CPU).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_dtype(DType::F64).unwrap().to_vec1().unwrap()
}

#[track_caller]
fn assert_near(actual: &Tensor, expected: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(actual.dims(), expected.dims(), "{what}");
    let (actual, expected) = (numbers(actual), numbers(expected));
    let error = common::distance(&actual, &expected);
    // Inputs are uniform in [−1, 1] and entries have variance 1, so that a single term has √⅓ ≈ 0.58 in the mean square. Where
    // terms cancel to less than half of that, the error is that of the terms.
    let scale = common::norm(&expected).max(0.3 * (expected.len() as f64).sqrt());
    assert!(error <= tolerance * scale, "{what}: error {error:.2e} of {scale:.2e}, tolerance {tolerance:.1e}");
}

/// A layer with variables of its own and a bias that is not zero.
fn layer<T: Scalar + WithDType>(builder: &Builder, bias: bool) -> (StructuredLinear, VarMap) {
    let variables = VarMap::new();
    let layer = structured_linear_b(builder, bias, VarBuilder::from_varmap(&variables, T::DTYPE, CPU)).unwrap();
    if bias {
        Var::from_tensor(layer.bias().unwrap()).unwrap().set(&batch::<T>(&[builder.rows()], 77)).unwrap();
    }
    (layer, variables)
}

/// The same product by candle's dense algebra, with a matrix through which gradients flow.
fn dense_product(x: &Tensor, dense: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = x.broadcast_matmul(&dense.t()?)?;
    bias.map_or(Ok(y.clone()), |bias| y.broadcast_add(bias))
}

/// Products and all gradients of a layer and of the same layer in dense form.
fn check<T: Scalar + WithDType>(builder: &Builder, lead: &[usize], bias: bool, seed: u64) {
    let (layer, variables) = layer::<T>(builder, bias);
    let what = |of: &str| format!("{of} of {builder:?} as {}, batch {lead:?}", T::NAME);
    let x = Var::from_tensor(&batch::<T>(&[lead, &[builder.cols()]].concat(), seed)).unwrap();
    let dy = batch::<T>(&[lead, &[builder.rows()]].concat(), seed + 1);
    let y = layer.forward(&x).unwrap();
    // candle has no product of a vector alone.
    let rows = x.reshape(((), builder.cols())).unwrap();
    let expected = dense_product(&rows, &layer.dense().unwrap(), layer.bias()).unwrap().reshape(dy.shape()).unwrap();
    assert_near(&y, &expected, bar::<T>(), &what("product"));

    let gradients = |y: &Tensor| (y * &dy).unwrap().sum_all().unwrap().backward().unwrap();
    let (actual, expected) = (gradients(&y), gradients(&expected));
    assert_near(actual.get(&x).unwrap(), expected.get(&x).unwrap(), bar::<T>(), &what("gradient in x"));
    // The parameters together: some gradients, such as that in a common shift of Cauchy nodes, are zero but for rounding.
    let all = |gradients: &GradStore| {
        let of = |variable: &Var| gradients.get(variable).cloned().unwrap_or(variable.zeros_like().unwrap());
        let flat: Vec<_> = variables.all_vars().iter().map(|variable| of(variable).flatten_all().unwrap()).collect();
        if flat.is_empty() { Tensor::zeros(0, T::DTYPE, CPU) } else { Tensor::cat(&flat, 0) }
    };
    let (actual, expected) = (all(&actual).unwrap(), all(&expected).unwrap());
    assert_near(&actual, &expected, bar::<T>(), &what("gradient in the parameters"));
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

#[test]
fn gradients_are_those_of_the_dense_form_for_all_families_and_leading_dimensions() {
    for (lead, bias) in
        [(&[][..], true), (&[1], false), (&[0], true), (&[2, 0, 3], false), (&[7], true), (&[2, 1, 3, 2], true)]
    {
        for builder in every_builder(5, 6, 1) {
            check::<f32>(&builder, lead, bias, 2);
            check::<f64>(&builder, lead, bias, 2);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn gradients_are_those_of_the_dense_form(
        rows in 1usize..24, cols in 1usize..24, lead in 1usize..20, bias: bool, seed in 0u64..1000,
    ) {
        for builder in every_builder(rows, cols, seed) {
            check::<f32>(&builder, &[lead], bias, seed);
            check::<f64>(&builder, &[lead], bias, seed);
        }
    }
}

/// The matrix by its definition, in candle's own operations.
fn by_definition(family: Family, layer: &StructuredLinear) -> Result<Tensor> {
    let description = layer.description();
    let (m, n) = (description.rows, description.cols);
    let tensor = |name: &str| layer.tensors().iter().find(|(other, _)| *other == name).unwrap().1.clone();
    let pick = |vector: &Tensor, index: &dyn Fn(usize, usize) -> usize, rows: usize, cols: usize| {
        let indices: Vec<u32> = (0..rows * cols).map(|k| index(k / cols, k % cols) as u32).collect();
        vector.index_select(&Tensor::new(indices, CPU)?, 0)?.reshape((rows, cols))
    };
    match family {
        Family::Toeplitz => pick(&tensor("t"), &|i, j| i + n - 1 - j, m, n),
        Family::Hankel => pick(&tensor("h"), &|i, j| i + j, m, n),
        Family::Circulant => pick(&tensor("c"), &|i, j| (i + n - j) % n, n, n),
        Family::LowRank => tensor("G").t()?.matmul(&tensor("H")),
        Family::ToeplitzLike => {
            let order = description.constants["order"][0] as usize;
            let signs = (0..order * order).map(|k| if k / order < k % order { -1.0 } else { 1.0 });
            let signs = Tensor::from_iter(signs, CPU)?.reshape((order, order))?;
            let wrap = |i: usize, j: usize| (i + order - j) % order;
            let mut sum = Tensor::zeros((order, order), DType::F64, CPU)?;
            for j in 0..description.rank.unwrap() {
                let g = tensor("G").get(j)?.pad_with_zeros(0, 0, order - m)?;
                let h = tensor("H").get(j)?.pad_with_zeros(0, 0, order - n)?;
                let skew = (pick(&h, &wrap, order, order)? * &signs)?;
                sum = (sum + pick(&g, &wrap, order, order)?.matmul(&skew.t()?)?)?;
            }
            (sum * 0.5)?.narrow(0, 0, m)?.narrow(1, 0, n)
        }
        Family::Vandermonde => {
            let v = tensor("v");
            let mut powers = vec![v.ones_like()?];
            for k in 1..n {
                powers.push((&powers[k - 1] * &v)?);
            }
            Tensor::stack(&powers, 1)
        }
        Family::Dense => Ok(tensor("M")),
        other => unreachable!("{other}"),
    }
}

#[test]
fn entries_and_their_gradients_are_those_of_the_definition() {
    for (rows, cols) in [(6, 6), (5, 8), (9, 4)] {
        let linear = [Family::Toeplitz, Family::Hankel, Family::Vandermonde, Family::Dense];
        let mut all: Vec<Builder> = linear.map(|family| Builder::new(family, rows, cols)).into();
        all.extend([Family::LowRank, Family::ToeplitzLike].map(|family| Builder::new(family, rows, cols).rank(3)));
        if rows == cols {
            all.push(Builder::new(Family::Circulant, rows, cols));
        }
        for builder in all {
            let (layer, variables) = layer::<f64>(&builder, false);
            let weights = batch::<f64>(&[rows, cols], 5);
            let (actual, expected) = (layer.dense().unwrap(), by_definition(builder.family(), &layer).unwrap());
            assert_near(&actual, &expected, 1e-13, &format!("{builder:?}"));
            let gradients = |dense: &Tensor| (dense * &weights).unwrap().sum_all().unwrap().backward().unwrap();
            let (actual, expected) = (gradients(&actual), gradients(&expected));
            for variable in variables.all_vars() {
                let (actual, expected) = (actual.get(&variable).unwrap(), expected.get(&variable).unwrap());
                assert_near(actual, expected, 1e-12, &format!("gradient of {builder:?}"));
            }
        }
    }
}

#[test]
fn tensors_may_lie_in_memory_as_they_like() -> Result<()> {
    let (layer, _variables) = layer::<f64>(&Builder::new(Family::ToeplitzLike, 4, 6).rank(2), true);
    let stored = Var::from_tensor(&batch::<f64>(&[6, 3, 5], 1))?;
    // Transposed, cut out of the middle, and repeated.
    let views: [&dyn Fn() -> Result<Tensor>; 4] = [
        &|| stored.transpose(0, 2),
        &|| stored.permute((1, 2, 0)),
        &|| stored.permute((2, 1, 0))?.narrow(0, 1, 3)?.narrow(1, 1, 2),
        &|| stored.permute((1, 2, 0))?.narrow(0, 0, 1)?.expand((4, 5, 6)),
    ];
    for view in views {
        let x = view()?;
        let result = layer.forward(&x)?;
        let expected = dense_product(&x.contiguous()?, &layer.dense()?, layer.bias())?;
        assert_near(&result, &expected, 1e-12, "product");
        // The gradient arrives transposed as well.
        let dy = batch::<f64>(result.transpose(0, 2)?.dims(), 2);
        let gradient = |y: Tensor| -> Result<_> { (y.transpose(0, 2)? * &dy)?.sum_all()?.backward() };
        let (actual, expected) = (gradient(result)?, gradient(expected)?);
        assert_near(actual.get(&stored).unwrap(), expected.get(&stored).unwrap(), 1e-12, "gradient");
    }
    Ok(())
}

#[test]
fn a_change_of_the_variables_is_seen_at_once() -> Result<()> {
    for family in [Family::Toeplitz, Family::HankelLike, Family::Dense] {
        let builder = Builder::new(family, 5, 7);
        let builder = if family.has_rank() { builder.rank(2) } else { builder };
        let (layer, variables) = layer::<f64>(&builder, false);
        let x = batch::<f64>(&[3, 7], 1);
        let before = layer.forward(&x)?;
        let loss = before.sqr()?.sum_all()?;
        for variable in variables.all_vars() {
            variable.set(&(variable.as_tensor() * 2.0)?)?;
        }
        // A forward pass in between must not disturb the backward pass of the one before.
        let after = layer.forward(&x)?;
        let factor = if family.has_rank() { 4.0 } else { 2.0 };
        assert_near(&after, &(before * factor)?, 1e-12, "product");
        loss.backward()?;
    }
    Ok(())
}

#[test]
fn a_backward_pass_uses_the_parameters_of_its_forward_pass() -> Result<()> {
    let (layer, variables) = layer::<f64>(&Builder::new(Family::ToeplitzLike, 5, 7).rank(2), false);
    let x = Var::from_tensor(&batch::<f64>(&[3, 7], 1))?;
    let expected = layer.forward(&x)?.sum_all()?.backward()?;
    let sum = layer.forward(&x)?.sum_all()?;
    for variable in variables.all_vars() {
        variable.set(&(variable.as_tensor() * 2.0)?)?;
    }
    layer.forward(&x)?;
    assert_near(sum.backward()?.get(&x).unwrap(), expected.get(&x).unwrap(), 1e-14, "gradient in x");
    Ok(())
}

#[test]
fn parameters_are_prepared_once_a_step() -> Result<()> {
    let structure = Builder::new(Family::ToeplitzLike, 16, 24).rank(2).structure::<f64>().unwrap();
    let matrix = counting(structure, vec![0.1; 2 * (16 + 24)]);
    let count = Arc::clone(&matrix.structure().prepared);
    let (variables, bias) = (VarMap::new(), Some(vec![0.5; 16]));
    let vb = VarBuilder::from_varmap(&variables, DType::F64, CPU);
    let layer = StructuredLinear::from_linear(displace::Linear::new(matrix.into_dyn(), bias).unwrap(), vb)?;
    let x = Var::from_tensor(&batch::<f64>(&[3, 24], 1))?;
    let mut optimiser = SGD::new(variables.all_vars(), 1e-3)?;
    for step in 1..5 {
        // Several products and backward passes of one step, a graph of which is still there after it.
        let mut loss = layer.forward(&x)?.sqr()?.mean_all()?;
        loss = (loss + layer.forward(&x.affine(2.0, 0.0)?)?.sum_all()?)?;
        loss.backward()?;
        assert_eq!(count.load(Ordering::Relaxed), step, "step {step}");
        optimiser.backward_step(&loss)?;
    }
    Ok(())
}

#[test]
fn an_input_is_not_copied() -> Result<()> {
    let (layer, _variables) = layer::<f32>(&Builder::new(Family::ToeplitzLike, 4, 256).rank(2), true);
    let x = batch::<f32>(&[4, 1024, 256], 1);
    let bytes = 4 * x.elem_count();
    // The second half of it, which starts in the middle of the storage, is contiguous as well.
    for x in [x.narrow(0, 0, 4)?, x.narrow(0, 2, 2)?] {
        let largest = largest_allocation(|| drop(layer.forward(&x).unwrap().sum_all().unwrap().backward().unwrap()));
        assert!(largest < bytes / 8, "{largest} bytes for an input of {bytes}");
    }
    // The results of the other direction are as large as they have to be, and are there once.
    let (layer, _variables) = self::layer::<f32>(&Builder::new(Family::ToeplitzLike, 256, 4).rank(2), true);
    let x = batch::<f32>(&[4096, 4], 1);
    let largest = largest_allocation(|| drop(layer.forward(&x).unwrap()));
    assert_eq!(largest, bytes);
    Ok(())
}

#[test]
fn variables_of_every_family_come_back_from_a_file() -> Result<()> {
    fn check<T: Scalar + WithDType>(builder: &Builder, path: &std::path::Path) -> Result<()> {
        let (saved, variables) = layer::<T>(builder, true);
        variables.save(path)?;
        let (loaded, mut variables) = layer::<T>(&builder.clone().seed(99), true);
        variables.load(path)?;
        let x = batch::<T>(&[3, builder.cols()], 1);
        assert_eq!(numbers(&loaded.forward(&x)?), numbers(&saved.forward(&x)?), "{builder:?} as {}", T::NAME);
        Ok(())
    }
    let path = std::env::temp_dir().join(format!("displace-candle-map-{}.safetensors", std::process::id()));
    for builder in every_builder(5, 6, 6) {
        check::<f32>(&builder, &path)?;
        check::<f64>(&builder, &path)?;
    }
    std::fs::remove_file(&path)?;
    Ok(())
}

#[test]
fn optimisers_train_every_family() -> Result<()> {
    for builder in every_builder(6, 6, 3) {
        if builder.family().has_rank() && builder.structure::<f64>().unwrap().rank() == Some(0) {
            continue;
        }
        let (layer, variables) = layer::<f64>(&builder, true);
        let x = batch::<f64>(&[20, 6], 1);
        let target = (layer.forward(&x)?.detach() + batch::<f64>(&[20, 6], 2))?;
        let loss = || (layer.forward(&x)? - &target)?.sqr()?.mean_all();
        let mut optimiser = SGD::new(variables.all_vars(), 1e-3)?;
        let before = loss()?.to_scalar::<f64>()?;
        for _ in 0..10 {
            optimiser.backward_step(&loss()?)?;
        }
        let after = loss()?.to_scalar::<f64>()?;
        assert!(after < before, "{builder:?}: {before} {after}");
    }
    Ok(())
}

#[test]
fn only_what_is_tracked_gets_a_gradient() -> Result<()> {
    let (layer, variables) = layer::<f64>(&Builder::new(Family::Hankel, 3, 4), true);
    let x = batch::<f64>(&[2, 4], 1);
    let gradients = layer.forward(&x)?.sum_all()?.backward()?;
    assert!(
        gradients.get(&x).is_none() && variables.all_vars().iter().all(|variable| gradients.get(variable).is_some())
    );

    // Constant parameters: a gradient in x alone.
    let constants = variables.data().lock().unwrap().iter().map(|(k, v)| (k.clone(), v.as_detached_tensor())).collect();
    let vb = VarBuilder::from_tensors(constants, DType::F64, CPU);
    let frozen = structured_linear(&Builder::new(Family::Hankel, 3, 4), vb)?;
    let x = Var::from_tensor(&x)?;
    let (actual, expected) = (frozen.forward(&x)?.sum_all()?.backward()?, layer.forward(&x)?.sum_all()?.backward()?);
    assert_near(actual.get(&x).unwrap(), expected.get(&x).unwrap(), 1e-14, "gradient in x");
    Ok(())
}

#[test]
fn structures_that_no_builder_makes_have_layers_too() -> Result<()> {
    let nodes = CauchyNodes::fixed(&[0.0, 2.0], &[1.0, -1.0, 3.5]).unwrap();
    let structure = Arc::new(CauchyLike::<f64>::with_nodes(nodes, 1).unwrap());
    let parameters = vec![0.5; structure.layout().len()];
    let matrix = Matrix::new(structure, parameters).unwrap().into_dyn();
    let linear = displace::Linear::new(matrix.clone(), None).unwrap();
    let variables = VarMap::new();
    let layer = StructuredLinear::from_linear(linear, VarBuilder::from_varmap(&variables, DType::F64, CPU))?;
    let x = random::<f64>(6, 1);
    let y = layer.forward(&Tensor::from_slice(&x, (2, 3), CPU)?)?;
    assert_eq!(numbers(&y), matrix.apply(&x).unwrap());
    assert_eq!(layer.to_linear::<f64>()?.weight().to_dense().unwrap(), matrix.to_dense().unwrap());
    Ok(())
}

#[test]
fn sums_go_there_and_back_with_their_path() -> Result<()> {
    let terms = [Family::LowRank, Family::ToeplitzLike]
        .map(|family| Builder::new(family, 5, 4).rank(1).structure::<f64>().unwrap());
    let sum = Sum::new(Arc::clone(&terms[0]), Arc::clone(&terms[1])).unwrap();
    let mut matrix = Matrix::new(Arc::new(sum), random(2 * 9, 1)).unwrap().into_dyn();
    matrix.set_path(PathChoice::Fast);
    let variables = VarMap::new();
    let vb = VarBuilder::from_varmap(&variables, DType::F64, CPU);
    let layer = StructuredLinear::from_linear(displace::Linear::new(matrix.clone(), None).unwrap(), vb)?;
    let back = layer.to_linear::<f64>()?;
    assert_eq!(back.weight().to_dense().unwrap(), matrix.to_dense().unwrap());
    assert_eq!(back.weight().path_choice(), PathChoice::Fast);
    assert!(layer.to_linear::<f32>().is_err_and(|error| error.to_string().contains("low rank + Toeplitz-like")));
    Ok(())
}

#[test]
fn threads_share_a_layer() {
    let (layer, variables) = layer::<f32>(&Builder::new(Family::ToeplitzLike, 32, 32).rank(2), true);
    let x = batch::<f32>(&[8, 32], 1);
    let expected = numbers(&layer.forward(&x).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20 {
                    let y = layer.forward(&x).unwrap();
                    assert_eq!(numbers(&y), expected);
                    y.sum_all().unwrap().backward().unwrap();
                }
            });
        }
    });
    drop(variables);
}

#[test]
fn what_cannot_be_served_is_refused_by_name() -> Result<()> {
    let builder = Builder::new(Family::ToeplitzLike, 4, 6).rank(2);
    let (layer, variables) = layer::<f32>(&builder, true);
    let refusal = |x: Tensor| layer.forward(&x).unwrap_err().to_string();
    assert!(refusal(batch::<f64>(&[2, 6], 1)).contains("F64"));
    assert!(refusal(batch::<f32>(&[2, 5], 1)).contains("6 inputs"));
    assert!(refusal(Tensor::new(1_f32, CPU)?).contains("[]"));
    assert!(refusal(Tensor::new(&[[1_u32; 6]], CPU)?).contains("U32"));
    for dtype in [DType::BF16, DType::F16, DType::U32] {
        let refused = structured_linear(&builder, VarBuilder::zeros(dtype, CPU)).unwrap_err().to_string();
        assert!(refused.contains(&format!("{dtype:?}")), "{refused}");
    }
    // A device of the kind that candle has without its feature `cuda`: one that can do nothing.
    let elsewhere = Device::Cuda(candle_core::CudaDevice);
    let refused = structured_linear(&builder, VarBuilder::zeros(DType::F32, &elsewhere)).unwrap_err().to_string();
    assert!(refused.contains("for the CPU, not for Cuda"), "{refused}");
    let vb = || VarBuilder::from_varmap(&variables, DType::F32, CPU);
    let other_shape = structured_linear(&Builder::new(Family::ToeplitzLike, 4, 6).rank(1), vb());
    assert!(other_shape.unwrap_err().to_string().contains("shape mismatch"));
    let no_such_rank = structured_linear(&Builder::new(Family::ToeplitzLike, 4, 6).rank(5), vb().pp("new"));
    assert!(no_such_rank.unwrap_err().to_string().contains("rank 5"));

    variables.all_vars().iter().for_each(|v| v.set(&v.ones_like().unwrap().affine(f64::NAN, 0.0).unwrap()).unwrap());
    assert!(refusal(batch::<f32>(&[2, 6], 1)).contains("not finite"));
    variables.all_vars().iter().for_each(|v| v.set(&v.ones_like().unwrap()).unwrap());
    layer.forward(&batch::<f32>(&[2, 6], 1))?;
    Ok(())
}

#[test]
fn new_variables_keep_the_variance_and_old_ones_are_kept() -> Result<()> {
    let builder = Builder::new(Family::ToeplitzLike, 4, 6).rank(2).init(Init::He).seed(9);
    let (first, variables) = layer::<f64>(&builder, false);
    assert_eq!(numbers(&first.dense()?), builder.build::<f64>().unwrap().to_dense().unwrap());
    variables.all_vars().iter().for_each(|v| v.set(&v.ones_like().unwrap()).unwrap());
    let second = structured_linear_no_bias(&builder, VarBuilder::from_varmap(&variables, DType::F64, CPU))?;
    assert_eq!(numbers(&second.dense()?), numbers(&first.dense()?));
    Ok(())
}

#[test]
fn an_adapter_changes_nothing_at_first_and_trains_nothing_but_itself() -> Result<()> {
    let weight = Var::from_tensor(&batch::<f64>(&[5, 6], 1))?;
    let bias = Var::from_tensor(&batch::<f64>(&[5], 2))?;
    let frozen = Linear::new(weight.as_tensor().clone(), Some(bias.as_tensor().clone()));
    let x = batch::<f64>(&[7, 6], 3);
    for builder in every_builder(5, 6, 4) {
        let variables = VarMap::new();
        let vb = VarBuilder::from_varmap(&variables, DType::F64, CPU);
        if matches!(builder.build_update::<f64>(), Err(Error::NeverZero { .. })) {
            assert!(Adapter::new(frozen.clone(), &builder, vb).unwrap_err().to_string().contains("is zero"));
            continue;
        }
        let adapter = Adapter::new(frozen.clone(), &builder, vb)?.with_scale(0.5);
        assert_eq!(numbers(&adapter.forward(&x)?), numbers(&frozen.forward(&x)?), "{builder:?}");

        let gradients = adapter.forward(&x)?.sqr()?.sum_all()?.backward()?;
        assert!(gradients.get(&weight).is_none() && gradients.get(&bias).is_none());
        let size = |v: &Var| numbers(gradients.get(v).unwrap()).iter().map(|g| g.abs()).sum::<f64>();
        let live = variables.all_vars().is_empty() || variables.all_vars().iter().map(size).sum::<f64>() > 1e-3;
        assert!(live, "{builder:?}");

        for variable in variables.all_vars() {
            variable.set(&(variable.as_tensor() + 0.25)?.clamp(-1.0, 1.0)?)?;
        }
        let merged = adapter.merge()?;
        assert_near(&adapter.forward(&x)?, &merged.forward(&x)?, 1e-12, &format!("{builder:?}"));
    }
    let variables = VarMap::new();
    let vb = || VarBuilder::from_varmap(&variables, DType::F32, CPU);
    let refusal = |builder| Adapter::new(frozen.clone(), &builder, vb()).unwrap_err().to_string();
    assert!(refusal(Builder::new(Family::LowRank, 6, 5).rank(1)).contains("6×5"));
    assert!(refusal(Builder::new(Family::LowRank, 5, 6).rank(1)).contains("F32"));
    let half = Linear::new(weight.to_dtype(DType::F16)?, None);
    let refused = Adapter::new(half, &Builder::new(Family::LowRank, 5, 6).rank(1), VarBuilder::zeros(DType::F16, CPU));
    assert!(refused.unwrap_err().to_string().contains("not F16"));
    Ok(())
}

#[cfg(feature = "safetensors")]
#[test]
fn files_go_both_ways() -> Result<()> {
    use displace::checkpoint::{Reader, Writer};

    let path = std::env::temp_dir().join(format!("displace-candle-{}.safetensors", std::process::id()));
    for builder in every_builder(5, 6, 6) {
        // What candle saved, read into a layer of this crate.
        let mut variables = VarMap::new();
        let vb = VarBuilder::from_varmap(&variables, DType::F32, CPU);
        let layer = structured_linear(&builder, vb.pp("net.hidden"))?;
        let x = batch::<f32>(&[3, 6], 1);
        let y = numbers(&layer.forward(&x)?);
        variables.save(&path)?;
        let read = Reader::open(&path).unwrap().layer_of("net.hidden", builder.structure::<f32>().unwrap()).unwrap();
        assert_eq!(numbers(&Tensor::new(read.forward(&x.flatten_all()?.to_vec1()?).unwrap(), CPU)?), y, "{builder:?}");

        // What this crate wrote, loaded by candle into a map and by itself.
        let other = builder.clone().seed(7).build_layer::<f32>().unwrap();
        Writer::new().layer("net.hidden", &other).save(&path).unwrap();
        variables.load(&path)?;
        let expected = Tensor::new(other.forward(&x.flatten_all()?.to_vec1()?).unwrap(), CPU)?;
        assert_eq!(numbers(&layer.forward(&x)?), numbers(&expected), "{builder:?}");
        let vb = VarBuilder::from_buffered_safetensors(std::fs::read(&path)?, DType::F32, CPU)?;
        let loaded = structured_linear(&builder, vb.pp("net.hidden"))?;
        assert_eq!(numbers(&loaded.forward(&x)?), numbers(&expected), "{builder:?}");
        std::fs::remove_file(&path)?;
    }
    Ok(())
}
