//! Compression of trained matrices: what a budget buys in which family, and what it costs in accuracy.
//!
//! `cargo run --release --example compress` works on the small network that ships with the repository,
//! `cargo run --release --features parallel --example compress -- model.safetensors` on your own model; with `--each` it
//! compares all families on each of its matrices.

#[path = "../support/mod.rs"]
mod support;

mod builtin;
mod input;
mod npy;
mod options;
mod plot;
mod table;

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use displace::Family;
use displace::compress::{Candidate, Compression, Flow, Model, Share, quietly};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use builtin::Outcome;
use input::Tensor;
use options::{HELP, Options};

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compress: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Fallible<()> {
    let options = Options::parse(std::env::args_os().skip(1))?;
    if options.help {
        print!("{HELP}");
        return Ok(());
    }
    if let Some(directory) = &options.train {
        let bar = bar(25, "epochs")?;
        let error = builtin::train(directory, &bar)?;
        bar.finish_and_clear();
        println!("{}: test error {:.2}%", directory.display(), 100.0 * error);
        return Ok(());
    }
    match &options.model {
        Some(model) => files(model, &options),
        None => network(&options),
    }
}

fn bar(len: usize, what: &str) -> Fallible<ProgressBar> {
    let template = format!("{{bar:40}} {{pos}}/{{len}} {what}, {{elapsed}} so far, {{eta}} to go, {{msg}}");
    let bar = ProgressBar::new(len as u64).with_style(ProgressStyle::with_template(&template)?);
    bar.enable_steady_tick(Duration::from_millis(500));
    Ok(bar)
}

fn candidates(quick: bool) -> Vec<Candidate> {
    use Candidate::LowRankPlus;
    let one = Candidate::Family;
    let mut list = vec![one(Family::LowRank), one(Family::ToeplitzLike), LowRankPlus(Family::ToeplitzLike)];
    if !quick {
        list.insert(2, one(Family::HankelLike));
        list.extend([
            one(Family::LearnedSubdiagonal),
            one(Family::CauchyLike),
            one(Family::VandermondeLike),
            one(Family::CircleVandermondeLike),
            one(Family::ToeplitzPlusHankel),
            one(Family::Toeplitz),
            one(Family::Circulant),
        ]);
    }
    list
}

/// The built-in network: every family under one budget, with accuracy before and after.
fn network(options: &Options) -> Fallible<()> {
    let network = builtin::load(&builtin::directory())?;
    let splits = builtin::images(options.quick)?;
    let (m, n) = (network.hidden.weight().rows(), network.hidden.weight().cols());
    let weight = network.hidden.weight().parameters();
    let budget = (options.budget * (m * n) as f64) as usize;
    let dense_error = builtin::error(&network, &splits)?;
    println!("hidden layer {m}×{n}, {} parameters, budget {budget}; test error {:.2}%", m * n, 100.0 * dense_error);

    let blind = compression(m, n, weight, options)?;
    // Each input costs 2mn operations a step. The families that take longest see none in a quick run.
    let images = &splits.train.x[..splits.train.x.len().min(if options.quick { 300 } else { 600 } * n)];
    let seeing = blind.clone().inputs(images)?;
    let candidates = candidates(options.quick);
    let bar = bar(2 * candidates.len(), "fits")?;
    let mut outcomes = Vec::new();
    for &candidate in &candidates {
        let Ok(rank) = candidate.rank_within(m, n, budget) else { continue };
        for (compression, with_inputs) in [(&blind, false), (&seeing, true)] {
            if options.quick && with_inputs && matches!(candidate, Candidate::LowRankPlus(_)) {
                continue;
            }
            let start = Instant::now();
            let mut tell = |progress: &displace::compress::Progress| {
                bar.set_message(format!("{candidate} {:.4}", progress.relative_error));
                Flow::Continue(())
            };
            let compressed = compression.candidate::<f32>(candidate, rank, &mut tell)?;
            let seconds = start.elapsed().as_secs_f64();
            let errors = builtin::errors(&network, compressed.matrix.clone(), &splits)?;
            let output_error = builtin::output_error(&network, &compressed.matrix, &splits.test.x)?;
            outcomes.push(Outcome { compressed, with_inputs, output_error, errors, seconds });
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    outcomes.sort_by(|a, b| a.errors[1].total_cmp(&b.errors[1]));
    table::outcomes(&outcomes, dense_error);

    let tensor = Tensor { name: "hidden.weight".into(), shape: vec![m, n], numbers: weight.to_vec() };
    let shares = compress(&[&tensor], options)?;
    finish(&shares, options)
}

/// Tensors from files under one budget.
fn files(path: &Path, options: &Options) -> Fallible<()> {
    let tensors = input::read(path)?;
    let wanted = |tensor: &&Tensor| {
        let sides = tensor.matrix().filter(|&(m, n)| m.min(n) >= 16);
        sides.is_some() && tensor.name.contains(&options.only)
    };
    let matrices: Vec<&Tensor> = tensors.iter().filter(wanted).collect();
    if matrices.is_empty() {
        let reason = "no matrix with both sides of 16 or more, and of the name that was asked for".into();
        return Err(input::Problem { path: path.to_path_buf(), reason }.into());
    }
    for tensor in &matrices {
        if let Some(at) = tensor.numbers.iter().position(|x| !x.is_finite()) {
            let reason = format!("{}[{at}] is {}, which is not finite", tensor.name, tensor.numbers[at]);
            return Err(input::Problem { path: path.to_path_buf(), reason }.into());
        }
    }
    if options.each {
        return each(&matrices, options);
    }
    let shares = compress(&matrices, options)?;
    table::shares(&shares, &matrices);
    finish(&shares, options)
}

/// A compression as the options want it.
fn compression(m: usize, n: usize, entries: &[f32], options: &Options) -> displace::Result<Compression> {
    let steps = if options.quick { options.steps.min(30) } else { options.steps };
    let compression = Compression::of(m, n, entries)?.steps(steps);
    Ok(compression.operators(options.search).pairs(options.search).permutations(options.search))
}

/// Every family at the same share of each tensor's parameters, side by side.
fn each(tensors: &[&Tensor], options: &Options) -> Fallible<()> {
    let candidates = candidates(options.quick);
    let bar = bar(tensors.len() * candidates.len(), "fits")?;
    let rank = |tensor: &&Tensor| {
        let (m, n) = tensor.matrix().unwrap_or((0, 0));
        let compression = compression(m, n, &tensor.numbers, options)?;
        let budget = (options.budget * (m * n) as f64) as usize;
        let mut ranking = Vec::new();
        for &candidate in &candidates {
            ranking.extend(compression.ranking::<f32>(&[candidate], budget, &mut quietly)?);
            bar.inc(1);
        }
        ranking.sort_by(|a, b| a.error().total_cmp(&b.error()));
        Ok(ranking)
    };
    let rankings = tensors.par_iter().map(rank).collect::<displace::Result<Vec<_>>>()?;
    bar.finish_and_clear();
    table::rankings(tensors, &rankings);
    Ok(())
}

/// Spreads the budget over the tensors.
fn compress(tensors: &[&Tensor], options: &Options) -> Fallible<Vec<Share<f32>>> {
    let candidates = candidates(options.quick);
    let mut model = Model::new();
    let mut total = 0;
    for tensor in tensors {
        let Some((m, n)) = tensor.matrix() else { continue };
        total += m * n;
        model.push_relative(&tensor.name, compression(m, n, &tensor.numbers, options)?);
    }
    let bar = bar(tensors.len() * (candidates.len() + 1), "fits")?;
    let budget = (options.budget * total as f64) as usize;
    let shares = model.compress::<f32>(&candidates, budget, &|progress| {
        bar.set_position(progress.done as u64);
        bar.set_message(progress.name.to_string());
        Flow::Continue(())
    })?;
    bar.finish_and_clear();
    Ok(shares)
}

/// Writes the result and draws the curves of the largest tensor.
fn finish(shares: &[Share<f32>], options: &Options) -> Fallible<()> {
    if let Some(path) = options.out.as_ref().filter(|path| path.extension().is_some_and(|e| e == "safetensors")) {
        save(shares, path)?;
        println!("result: {}", path.display());
    } else if let Some(directory) = &options.out {
        std::fs::create_dir_all(directory)?;
        for (name, order) in orders(shares) {
            npy::write(
                &directory.join(format!("{}.npy", name.replace(['/', '\\'], "_"))),
                &[order.len()],
                &order,
                false,
            )?;
        }
        for share in shares {
            let matrix = &share.compressed.matrix;
            for tensor in matrix.layout().tensors() {
                let path = directory.join(format!("{}.{}.npy", share.name.replace(['/', '\\'], "_"), tensor.name));
                npy::write(&path, &tensor.shape, &matrix.parameters()[tensor.range.clone()], false)?;
            }
        }
        println!("result: {}", directory.display());
    }
    let size = |share: &Share<f32>| share.compressed.matrix.rows() * share.compressed.matrix.cols();
    let Some(largest) = shares.iter().max_by_key(|share| size(share)) else { return Ok(()) };
    let mut lines: Vec<plot::Line> = Vec::new();
    for &(candidate, _, parameters, error) in largest.curve.iter().filter(|point| point.2 > 0 && point.3 > 0.0) {
        let point = (size(largest) as f64 / parameters as f64, error);
        match lines.iter_mut().find(|line| line.0 == candidate) {
            Some(line) => line.1.push(point),
            None => lines.push((candidate, vec![point])),
        }
    }
    let (m, n) = (largest.compressed.matrix.rows(), largest.compressed.matrix.cols());
    let title = format!("{} ({m}×{n}): error against compression", largest.name);
    let paths = plot::draw(&title, &lines, &options.plot)?;
    println!("plot: {} and {}", paths[0].display(), paths[1].display());
    Ok(())
}

/// The orders of rows and columns of what is permuted, without which the generators are of no use.
fn orders(shares: &[Share<f32>]) -> Vec<(String, Vec<f32>)> {
    let of = |share: &Share<f32>| {
        let constants = share.compressed.matrix.structure().constants().into_iter();
        let orders = constants.filter(|(name, _)| name.ends_with("_order"));
        let named = orders.map(|(name, order)| {
            (format!("{}.{name}", share.name), order.into_iter().map(|place| place as f32).collect())
        });
        named.collect::<Vec<_>>()
    };
    shares.iter().flat_map(of).collect()
}

/// Writes all matrices to one file, with their descriptions. Sums and permuted matrices have none: what they are stands in the metadata.
fn save(shares: &[Share<f32>], path: &Path) -> Fallible<()> {
    let orders = orders(shares);
    let writer = displace::checkpoint::Writer::new();
    let all = shares.iter().fold(writer, |writer, share| writer.matrix(&share.name, &share.compressed.matrix));
    let all = orders.iter().fold(all, |all, (name, order)| all.tensor(name, &[order.len()], order));
    let families = shares.iter().map(|share| (&share.name, share.compressed.matrix.structure().family()));
    let others = families.filter(|(_, family)| matches!(family, displace::Family::Other(_)));
    let all = others.fold(all, |all, (name, family)| all.metadata(&format!("{name}.family"), family.name()));
    Ok(all.save(path)?)
}
