//! The tables of results.

use displace::compress::{Candidate, Compressed, Share};
use displace::{Family, Matrix};

use crate::builtin::Outcome;
use crate::input::Tensor;

/// The rank of a matrix, or the ranks of both terms of a sum.
fn rank(matrix: &Matrix<f32>) -> String {
    let text = |rank: Option<usize>| rank.map_or("–".into(), |rank| rank.to_string());
    match matrix.structure().summands() {
        Some([low, other]) => format!("{}+{}", text(low.rank()), text(other.rank())),
        None => text(matrix.rank()),
    }
}

/// One line a way of compressing the built-in network, the best on test images first.
pub fn outcomes(outcomes: &[Outcome], dense_error: f64) {
    println!(
        "{:<26} {:>7} {:>7} {:>10} {:>7} {:>7} {:>7} {:>7} {:>10} {:>7}",
        "family", "rank", "fitted", "parameters", "ratio", "entries", "outputs", "test", "fine-tuned", "seconds"
    );
    let percent = |x: f64| format!("{:.2}%", 100.0 * x);
    for outcome in outcomes {
        let matrix = &outcome.compressed.matrix;
        println!(
            "{:<26} {:>7} {:>7} {:>10} {:>6.0}× {:>7.4} {:>7.4} {:>7} {:>10} {:>7.1}",
            outcome.compressed.candidate,
            rank(matrix),
            if outcome.with_inputs { "inputs" } else { "entries" },
            matrix.parameters().len(),
            (matrix.rows() * matrix.cols()) as f64 / matrix.parameters().len() as f64,
            outcome.compressed.relative_error,
            outcome.output_error,
            percent(outcome.errors[0]),
            percent(outcome.errors[1]),
            outcome.seconds,
        );
    }
    println!(
        "fitted: what was minimised, the error of the entries or that of the outputs for some training images; entries, outputs:\n\
         relative error of the entries, and of the outputs for test images; test, fine-tuned: error on test images after\n\
         compression, and after one epoch of training ({:.2}% before compression)",
        100.0 * dense_error
    );
}

/// One line a tensor: low rank beside the best of all others.
pub fn rankings(tensors: &[&Tensor], rankings: &[Vec<Compressed<f32>>]) {
    let width = tensors.iter().map(|tensor| tensor.name.chars().count()).max().unwrap_or(0).max(6);
    println!(
        "{:<width$} {:>11} {:>10} {:>5} {:>8}  {:<26} {:>7} {:>8}",
        "tensor", "shape", "parameters", "rank", "low rank", "best of the others", "rank", "error"
    );
    let low = |entry: &&Compressed<f32>| entry.candidate == Candidate::Family(Family::LowRank);
    let mut wins = 0;
    for (tensor, ranking) in tensors.iter().zip(rankings) {
        let (m, n) = tensor.matrix().unwrap_or((0, 0));
        let (low, other) = (ranking.iter().find(low), ranking.iter().find(|entry| !low(entry)));
        let error = |entry: Option<&Compressed<f32>>| entry.map_or(f64::NAN, |entry| entry.relative_error);
        wins += usize::from(error(other) < error(low));
        println!(
            "{:<width$} {:>11} {:>10} {:>5} {:>8.4}  {:<26} {:>7} {:>8.4}",
            tensor.name,
            format!("{m}×{n}"),
            low.or(other).map_or(0, |entry| entry.matrix.parameters().len()),
            low.map_or_else(String::new, |low| rank(&low.matrix)),
            error(low),
            other.map_or_else(String::new, |other| other.candidate.to_string()),
            other.map_or_else(String::new, |other| rank(&other.matrix)),
            error(other),
        );
    }
    println!("another family is nearer than low rank for {wins} of {} tensors", tensors.len());
}

/// One line a tensor.
pub fn shares(shares: &[Share<f32>], tensors: &[&Tensor]) {
    let width = shares.iter().map(|share| share.name.chars().count()).max().unwrap_or(0).max(6);
    println!(
        "{:<width$} {:>11} {:<26} {:>7} {:>10} {:>10} {:>7} {:>7}",
        "tensor", "shape", "family", "rank", "before", "after", "error", "seconds"
    );
    let (mut before, mut after) = (0, 0);
    for (share, tensor) in shares.iter().zip(tensors) {
        let matrix = &share.compressed.matrix;
        before += tensor.numbers.len();
        after += matrix.parameters().len();
        println!(
            "{:<width$} {:>11} {:<26} {:>7} {:>10} {:>10} {:>7.4} {:>7.1}",
            share.name,
            format!("{}×{}", matrix.rows(), matrix.cols()),
            share.compressed.candidate,
            rank(matrix),
            tensor.numbers.len(),
            matrix.parameters().len(),
            share.compressed.relative_error,
            share.seconds,
        );
    }
    println!("{before} parameters before, {after} after: {:.1}×", before as f64 / after.max(1) as f64);
}
