//! The pair of networks that is trained here when no file is given.

use std::error::Error;
use std::sync::Arc;

use displace::analysis::{Restoration, Sparsity, Spectrum, Values};
use displace::unstructured::Dense;
use displace::{Linear, Matrix, Structure};
use indicatif::{ProgressBar, ProgressStyle};

use crate::options::Options;
use crate::report::{Header, Report};
use crate::support::network::Network;
use crate::support::{idx, images};
use crate::train::{NetworkMask, Schedule, Task, train, untrained};
use crate::{json, show, table};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const DEGREES: f32 = 45.0;

/// Test images of both tasks.
struct Tests {
    upright: Task,
    rotated: Task,
}

/// A network and how well it does both tasks.
struct Line {
    name: String,
    upright: f64,
    rotated: f64,
}

impl Tests {
    fn line(&self, name: impl Into<String>, network: &Network) -> Result<Line> {
        let (upright, rotated) = (self.upright.accuracy(network)?, self.rotated.accuracy(network)?);
        Ok(Line { name: name.into(), upright, rotated })
    }
}

/// The networks of the experiment.
struct Networks {
    base: Network,
    /// Fine-tuned as a whole.
    full: Network,
    /// Fine-tuned as a whole, on the images in another order.
    other: Network,
    /// Fine-tuned within the subnetwork that `full` had moved.
    masked: Network,
    masks: [NetworkMask; 2],
}

pub fn run(options: &Options) -> Result<()> {
    let data = idx::read(&options.data)?;
    let share = if options.quick { 5 } else { 1 };
    let (learning, testing) = images::standardised(&data, share);
    let rotated: Task = learning.rotated(DEGREES).into();
    let tests = Tests { rotated: testing.rotated(DEGREES).into(), upright: testing.into() };
    let upright: Task = learning.into();
    let networks = networks(options, &upright, &rotated)?;
    let reports = reports(&networks, options)?;
    let lines = accuracies(&networks, &tests)?;
    let text = match options.json {
        true => format!("{:#}\n", as_json(&networks, &reports, &lines)?),
        false => as_text(&networks, &reports, &lines, [&upright, &tests.upright])?,
    };
    show(&text, options, &reports)
}

fn as_text(networks: &Networks, reports: &[Report], lines: &[Line], [learning, testing]: [&Task; 2]) -> Result<String> {
    let mut text = format!(
        "A dense network trained on {} upright images, then fine-tuned on the same images rotated by {DEGREES}°\n",
        learning.images()
    );
    text += &table::render(reports);
    text += &subnetworks(networks)?;
    text += &format!("\nAccuracy on {} test images    upright  rotated\n", testing.images());
    for Line { name, upright, rotated } in lines {
        text += &format!("{name:<58} {:>6.2}%  {:>6.2}%\n", 100.0 * upright, 100.0 * rotated);
    }
    Ok(text)
}

fn networks(options: &Options, upright: &Task, rotated: &Task) -> Result<Networks> {
    let epochs = if options.quick { 4 } else { 15 };
    let learning = Schedule { epochs, rate: 0.02, seed: options.seed };
    let tuning = Schedule { epochs: epochs.div_ceil(2), rate: options.rate, seed: options.seed };
    let bar = ProgressBar::new((learning.epochs + 3 * tuning.epochs) as u64)
        .with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} epochs, {eta} to go")?);
    let progress = || bar.inc(1);
    let mut base = untrained(upright.size(), options.seed)?;
    train(&mut base, upright, learning, None, &progress)?;
    let tuned = |schedule, mask: Option<&NetworkMask>| -> Result<Network> {
        let mut network = base.clone();
        train(&mut network, rotated, schedule, mask, &progress)?;
        Ok(network)
    };
    let full = tuned(tuning, None)?;
    let other = tuned(Schedule { seed: options.seed + 1, ..tuning }, None)?;
    let masks = [&full, &other].map(|network| NetworkMask::of_update(&base, network, options.tolerance));
    let [first, second] = masks;
    let masks = [first?, second?];
    let masked = tuned(tuning, Some(&masks[0]))?;
    bar.finish_and_clear();
    Ok(Networks { base, full, other, masked, masks })
}

/// The figures of all four tensors.
fn reports(networks: &Networks, options: &Options) -> Result<Vec<Report>> {
    let (before, after) = (tensors(&networks.base), tensors(&networks.full));
    let both = before.iter().zip(&after);
    both.map(|((header, before), (_, after))| Report::new::<f32>(header.clone(), before, Some(after), options, &|_| {}))
        .collect()
}

fn tensors(network: &Network) -> Vec<(Header, &[f32])> {
    let mut tensors = Vec::new();
    for (name, layer) in [("hidden", &network.hidden), ("output", &network.output)] {
        let weight = layer.weight();
        let header =
            |part: &str, shape: Vec<usize>| Header { name: format!("{name}.{part}"), shape, dtype: "F32".into() };
        tensors.push((header("weight", vec![weight.rows(), weight.cols()]), weight.parameters()));
        tensors.push((header("bias", vec![weight.rows()]), layer.bias()));
    }
    tensors
}

/// The fractions of parameters in which two networks agree to 1e-5 and to 1e-4, unrounded.
fn agreement(a: &Network, b: &Network) -> Result<[f64; 2]> {
    let mut counts = [Sparsity::new(1e-5)?, Sparsity::new(1e-4)?];
    for ((_, a), (_, b)) in tensors(a).into_iter().zip(tensors(b)) {
        for count in &mut counts {
            count.push(a, b)?;
        }
    }
    Ok(counts.map(|count| count.unrounded().unchanged()))
}

/// How the subnetworks of two runs overlap, and what training within one of them gives.
fn subnetworks(networks: &Networks) -> Result<String> {
    let mut text = String::from("\nSubnetworks that moved, in bf16, in two runs with the images in another order\n");
    for ((name, first), (_, second)) in networks.masks[0].parts().into_iter().zip(networks.masks[1].parts()) {
        let overlap = first.overlap(second)?;
        let percent = |share: Option<f64>| share.map_or("–".into(), |share| format!("{:.1}%", 100.0 * share));
        text += &format!(
            "{name:<14} {:>6} and {:>6} of the parameters; common to both {:>6} of the first (chance {:>6}), {:>6} of the second (chance {:>6})\n",
            percent(Some(first.density())),
            percent(Some(second.density())),
            percent(overlap.of_first()),
            percent(Some(overlap.baseline_of_first())),
            percent(overlap.of_second()),
            percent(Some(overlap.baseline_of_second())),
        );
    }
    let frozen_moved = frozen_that_moved(networks);
    let [close, near] = agreement(&networks.masked, &networks.full)?;
    let [base_close, base_near] = agreement(&networks.base, &networks.full)?;
    let [other_close, other_near] = agreement(&networks.other, &networks.full)?;
    text += &format!(
        "\nMasked training of the first subnetwork: {frozen_moved} of the frozen parameters changed a bit\n\
         parameters equal to those of full training    at 1e-5   at 1e-4\n\
         masked training                               {:>6.2}%   {:>6.2}%\n\
         the base, without training                    {:>6.2}%   {:>6.2}%\n\
         full training in another order                {:>6.2}%   {:>6.2}%\n",
        100.0 * close,
        100.0 * near,
        100.0 * base_close,
        100.0 * base_near,
        100.0 * other_close,
        100.0 * other_near,
    );
    Ok(text)
}

/// Parameters outside the mask whose bits are not those of the base.
fn frozen_that_moved(networks: &Networks) -> usize {
    let (base, masked) = (tensors(&networks.base), tensors(&networks.masked));
    let parts = networks.masks[0].parts();
    let parts = base.iter().zip(&masked).zip(parts);
    parts
        .map(|(((_, base), (_, masked)), (_, mask))| {
            (0..base.len()).filter(|&k| !mask.contains(k) && base[k].to_bits() != masked[k].to_bits()).count()
        })
        .sum()
}

/// What networks know of both tasks, among them the tuned one with directions of the base in its hidden layer.
fn accuracies(networks: &Networks, tests: &Tests) -> Result<Vec<Line>> {
    let mut lines = vec![
        tests.line("base", &networks.base)?,
        tests.line("fine-tuned", &networks.full)?,
        tests.line("fine-tuned, images in another order", &networks.other)?,
        tests.line("fine-tuned within the subnetwork", &networks.masked)?,
    ];
    let spectrum = |network: &Network| {
        let weight = network.hidden.weight();
        Spectrum::new(weight.parameters(), weight.rows(), weight.cols())
    };
    let (base, tuned) = (spectrum(&networks.base)?, spectrum(&networks.full)?);
    let p = base.values().len();
    for share in [16, 4, 2] {
        let count = p / share;
        for (name, restoration) in [
            (format!("leading {count} directions of the base"), Restoration::new(count, 0)),
            ("the same, with its values".into(), Restoration::new(count, 0).values(Values::Replaced)),
            ("the same, orthonormal".into(), Restoration::new(count, 0).orthogonal(true)),
            (format!("trailing {count} directions of the base"), Restoration::new(0, count)),
        ] {
            let weight: Vec<f32> = restoration.apply(&tuned, &base)?.into_iter().map(|w| w as f32).collect();
            let mut network = networks.full.clone();
            network.hidden = with_weight(&networks.full.hidden, weight)?;
            lines.push(tests.line(format!("fine-tuned, {name}"), &network)?);
        }
    }
    let mut network = networks.full.clone();
    network.hidden = networks.base.hidden.clone();
    lines.push(tests.line("fine-tuned, the whole hidden layer of the base", &network)?);
    Ok(lines)
}

fn with_weight(layer: &Linear<f32>, weight: Vec<f32>) -> displace::Result<Linear<f32>> {
    let structure: Arc<dyn Structure<f32>> = Arc::new(Dense::new(layer.weight().rows(), layer.weight().cols())?);
    Linear::new(Matrix::new(structure, weight)?, Some(layer.bias().to_vec()))
}

fn as_json(networks: &Networks, reports: &[Report], lines: &[Line]) -> Result<serde_json::Value> {
    let mut overlaps = Vec::new();
    for ((name, first), (_, second)) in networks.masks[0].parts().into_iter().zip(networks.masks[1].parts()) {
        let overlap = first.overlap(second)?;
        overlaps.push(serde_json::json!({
            "tensor": name,
            "densities": [first.density(), second.density()],
            "of_first": overlap.of_first(),
            "of_second": overlap.of_second(),
        }));
    }
    let [close, near] = agreement(&networks.masked, &networks.full)?;
    let accuracy =
        |line: &Line| serde_json::json!({ "network": line.name, "upright": line.upright, "rotated": line.rotated });
    Ok(serde_json::json!({
        "tensors": reports.iter().map(json::report).collect::<Vec<_>>(),
        "overlap": overlaps,
        "masked_training": {
            "frozen_parameters_that_moved": frozen_that_moved(networks),
            "equal_to_full_at_1e-5": close,
            "equal_to_full_at_1e-4": near,
        },
        "accuracy": lines.iter().map(accuracy).collect::<Vec<_>>(),
    }))
}
