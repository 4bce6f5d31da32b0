//! What a product costs beside a dense one, the same algorithm on general FFT libraries, and bare transforms.
//!
//! `cargo run --release --example speed` prints medians an example, single-threaded, and their ratios; `--json` one JSON
//! object a line.

mod realfft;
mod subject;

use std::process::ExitCode;

use displace::{Builder, Family, Scalar};
use lexopt::prelude::*;
use subject::{Product, Subject, rounds};

const HELP: &str = "\
Times products and gradients of Toeplitz-like, Toeplitz and circulant matrices.

Usage: speed [--json] [--quick] [--growth]

  --json    one JSON object a line
  --quick   few cases and repetitions
  --growth  Toeplitz-like products from n = 1024 to 65536 only
";

struct Options {
    json: bool,
    quick: bool,
    growth: bool,
}

/// Nanoseconds an example.
struct Row {
    case: &'static str,
    family: Family,
    n: usize,
    rank: usize,
    batch: usize,
    dtype: &'static str,
    ns: f64,
    dense_ns: Option<f64>,
    realfft_ns: Option<f64>,
    floor_ns: f64,
}

fn main() -> ExitCode {
    let options = match parse() {
        Ok(Some(options)) => options,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("speed: {error}");
            return ExitCode::from(2);
        }
    };
    if !options.json {
        println!(
            "{:<10} {:<14} {:>5} {:>3} {:>5} {:>4} {:>12} {:>8} {:>9} {:>8} {:>11}",
            "case", "family", "n", "r", "batch", "type", "ns/example", "dense ÷", "realfft ÷", "÷ floor", "÷ n log2(n)"
        );
    }
    if options.growth {
        grown::<f32>(&options);
        grown::<f64>(&options);
        return ExitCode::SUCCESS;
    }
    let sizes: &[usize] = if options.quick { &[256, 784] } else { &[512, 784, 1024, 2048, 4096] };
    for &n in sizes {
        let batches: &[usize] = if options.quick { &[1, 32] } else { &[1, 256] };
        for &batch in batches {
            cases::<f32>(&options, n, batch);
            cases::<f64>(&options, n, batch);
        }
    }
    ExitCode::SUCCESS
}

fn parse() -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options { json: false, quick: false, growth: false };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("json") => options.json = true,
            Long("quick") => options.quick = true,
            Long("growth") => options.growth = true,
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(None);
            }
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some(options))
}

/// All ranks of one size and batch, with the dense product of that size beside them.
fn cases<T: Scalar>(options: &Options, n: usize, batch: usize) {
    let ranks: &[usize] = if options.quick { &[1, 4] } else { &[1, 2, 4, 8, 16] };
    let methods = ranks.iter().map(|&rank| (Family::ToeplitzLike, rank));
    let methods = methods.chain([(Family::Toeplitz, 0), (Family::Circulant, 0)]);
    let mut subjects: Vec<_> = methods.filter_map(|(family, rank)| Subject::<T>::new(family, n, rank, batch)).collect();
    let mut dense = Product::new(Builder::new(Family::Dense, n, n), batch);
    rounds(options.seconds(), || {
        dense.iter_mut().for_each(Product::time);
        subjects.iter_mut().for_each(Subject::time);
    });
    subjects.iter().for_each(|subject| subject.print(options, dense.as_ref()));
}

/// One rank of many sizes, without the dense products, which would not fit into memory.
fn grown<T: Scalar>(options: &Options) {
    let sizes = (10..=16).map(|k| 1 << k).flat_map(|n| [(n, 1), (n, 32)]);
    let mut subjects: Vec<_> =
        sizes.filter_map(|(n, batch)| Subject::<T>::new(Family::ToeplitzLike, n, 4, batch)).collect();
    rounds(10.0 * options.seconds(), || subjects.iter_mut().for_each(Subject::time));
    subjects.iter().for_each(|subject| subject.print(options, None));
}

impl Options {
    /// How long the subjects of a table are measured, but for their least number of rounds.
    fn seconds(&self) -> f64 {
        if self.quick { 0.1 } else { 1.5 }
    }
}

fn print(options: &Options, row: &Row) {
    if options.json { print_json(row) } else { print_row(row) }
}

fn print_row(row: &Row) {
    let ratio = |ns: Option<f64>| ns.map_or("–".into(), |ns| format!("{:.2}", ns / row.ns));
    println!(
        "{:<10} {:<14} {:>5} {:>3} {:>5} {:>4} {:>12.0} {:>8} {:>9} {:>8.2} {:>11.3}",
        row.case,
        row.family.name(),
        row.n,
        row.rank,
        row.batch,
        row.dtype,
        row.ns,
        ratio(row.dense_ns),
        ratio(row.realfft_ns),
        row.ns / row.floor_ns,
        row.ns / (row.n as f64 * (row.n as f64).log2()),
    );
}

fn print_json(row: &Row) {
    let number = |ns: Option<f64>| ns.map_or("null".into(), |ns| format!("{ns:.1}"));
    println!(
        r#"{{"case":"{}","family":"{}","n":{},"r":{},"batch":{},"dtype":"{}","ns":{:.1},"dense_ns":{},"realfft_ns":{},"floor_ns":{:.1}}}"#,
        row.case,
        row.family.name(),
        row.n,
        row.rank,
        row.batch,
        row.dtype,
        row.ns,
        number(row.dense_ns),
        number(row.realfft_ns),
        row.floor_ns,
    );
}
