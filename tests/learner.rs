//! Structured layers under burn's `Learner`: training, checkpoints, and going on from one.
#![cfg(feature = "burn-full")]

#[path = "common/families.rs"]
#[allow(dead_code, reason = "a part of what the tests of products need")]
mod common;

use std::path::{Path, PathBuf};

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::AdamConfig;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::checkpoint::KeepLastNCheckpoints;
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::LossMetric;
use burn::train::{ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep};
use common::random;
use displace::frameworks::burn::{Adapter, StructuredLinear, StructuredLinearConfig};
use displace::{Builder, Family};

const INPUTS: usize = 12;
const EXAMPLES: usize = 60;

/// A structured layer, an adapter and a dense layer.
#[derive(Module, Debug)]
struct Network {
    first: StructuredLinear,
    second: Adapter,
    output: Linear,
}

impl Network {
    fn new(builder: &Builder, seed: u64) -> Self {
        let device = Device::flex().autodiff();
        device.seed(seed);
        let update = Builder::new(Family::ToeplitzLike, 8, builder.rows()).rank(1).seed(seed);
        let frozen = LinearConfig::new(builder.rows(), 8).init(&device);
        Self {
            first: StructuredLinearConfig::new(builder.clone().seed(seed)).init(&device).unwrap(),
            second: Adapter::new(frozen, &update).unwrap(),
            output: LinearConfig::new(8, 2).init(&device),
        }
    }

    fn classify(&self, (x, labels): Batch) -> ClassificationOutput {
        let logits = self.output.forward(self.second.forward(self.first.forward(x).tanh()).tanh());
        let loss = CrossEntropyLossConfig::new().init(&logits.device()).forward(logits.clone(), labels.clone());
        ClassificationOutput::new(loss, logits, labels)
    }

    fn loss(&self) -> f32 {
        self.classify(AsBatch.batch(examples(), &Device::flex())).loss.into_scalar()
    }

    /// The parameters of all three layers.
    fn parameters(&self) -> [Vec<f32>; 3] {
        let structured = |layer: &StructuredLinear| layer.to_linear::<f32>().unwrap().weight().parameters().to_vec();
        let dense = self.output.weight.val().into_data().iter().collect();
        [structured(&self.first), structured(self.second.update()), dense]
    }
}

impl TrainStep for Network {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Network {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.classify(batch)
    }
}

type Batch = (Tensor<2>, Tensor<1, Int>);

type Example = (Vec<f32>, i32);

/// Which half of the numbers has the larger sum?
fn examples() -> Vec<Example> {
    let label = |x: &[f32]| i32::from(x[..INPUTS / 2].iter().sum::<f32>() < x[INPUTS / 2..].iter().sum());
    random::<f32>(EXAMPLES * INPUTS, 1).chunks(INPUTS).map(|x| (x.to_vec(), label(x))).collect()
}

#[derive(Clone)]
struct AsBatch;

impl Batcher<Example, Batch> for AsBatch {
    fn batch(&self, examples: Vec<Example>, device: &Device) -> Batch {
        let (x, labels): (Vec<_>, Vec<_>) = examples.into_iter().unzip();
        let (x, count) = (x.concat(), labels.len());
        let x = Tensor::from_data(TensorData::new(x, [count, INPUTS]), device);
        (x, Tensor::from_data(TensorData::new(labels, [count]), device))
    }
}

fn training(directory: &Path, epochs: usize) -> SupervisedTraining<Network> {
    let loader = || DataLoaderBuilder::new(AsBatch).batch_size(20).build(InMemDataset::new(examples()));
    SupervisedTraining::new(directory, loader(), loader())
        .metrics((LossMetric::new(),))
        .with_metric_logger(InMemoryMetricLogger::new())
        .with_application_logger(None)
        .num_epochs(epochs)
}

fn launch(training: SupervisedTraining<Network>, network: Network) -> Network {
    let result = training.launch(Learner::new(network, AdamConfig::new().init(), 1e-2));
    assert!(result.error.is_none() && result.interrupted.is_none());
    result.model
}

fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("displace-{name}-{}", std::process::id()))
}

#[test]
fn the_learner_trains_every_family_and_leaves_what_is_frozen() {
    for family in Family::ALL {
        let builder = Builder::new(family, INPUTS, INPUTS);
        let network = Network::new(&if family.has_rank() { builder.rank(2) } else { builder }, 1);
        let trained = launch(training(&scratch("learner"), 3), network.clone());
        let (before, after) = (network.loss(), trained.loss());
        assert!(after < before, "{family}: {before} {after}");
        for (k, (before, after)) in network.parameters().into_iter().zip(trained.parameters()).enumerate() {
            assert!(before != after, "{family}: layer {k} is not trained");
        }
        let frozen = |network: &Network| network.second.frozen().weight.val().into_data();
        frozen(&trained).assert_eq(&frozen(&network), true);
    }
}

#[test]
fn training_goes_on_from_a_checkpoint_as_if_it_had_not_stopped() {
    let directory = scratch("learner-checkpoints");
    let builder = Builder::new(Family::ToeplitzLike, 10, INPUTS).rank(2);
    let saving = |epochs| {
        training(&directory, epochs)
            .with_default_checkpointers()
            .with_checkpointing_strategy(KeepLastNCheckpoints::new(1))
    };
    let start = Network::new(&builder, 1);
    let straight = launch(training(&directory, 4), start.clone());
    launch(saving(2), start);
    assert!(directory.join("checkpoint/model-2.bpk").is_file());
    // Everything of the other network is replaced by what is in the files.
    let resumed = launch(saving(4).checkpoint(2), Network::new(&builder, 99));
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(resumed.parameters(), straight.parameters());
}
