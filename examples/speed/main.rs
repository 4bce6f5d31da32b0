//! What a product costs beside a dense one, the same algorithm on general FFT libraries, and bare transforms.
//!
//! `cargo run --release --example speed` prints medians an example, single-threaded, and their ratios; `--json` one JSON
//! object a line.

mod realfft;

use std::process::ExitCode;
use std::time::Instant;

use displace::bare::BareTransforms;
use displace::{Builder, Family, Matrix, PathChoice, Scalar, Workspace};
use lexopt::prelude::*;

const HELP: &str = "\
Times products and gradients of Toeplitz-like, Toeplitz and circulant matrices.

Usage: speed [--json] [--quick]

  --json   one JSON object a line
  --quick  few cases and repetitions
";

struct Options {
    json: bool,
    quick: bool,
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
    dense_ns: f64,
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
            "{:<10} {:<14} {:>5} {:>3} {:>5} {:>4} {:>12} {:>8} {:>9} {:>8}",
            "case", "family", "n", "r", "batch", "type", "ns/example", "dense ÷", "realfft ÷", "÷ floor"
        );
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
    let mut options = Options { json: false, quick: false };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("json") => options.json = true,
            Long("quick") => options.quick = true,
            Long("help") | Short('h') => {
                print!("{HELP}");
                return Ok(None);
            }
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some(options))
}

fn cases<T: Scalar>(options: &Options, n: usize, batch: usize) {
    let seconds = if options.quick { 0.01 } else { 0.1 };
    let x: Vec<T> = (0..batch * n).map(|i| T::of(((i * 37) % 101) as f64 / 50.0 - 1.0)).collect();
    let mut y = vec![T::zero(); batch * n];
    let mut workspace = Workspace::new();
    let Ok(dense) = Builder::new(Family::Dense, n, n).build::<T>() else { return };
    let per_example = |total: f64| total / batch as f64;
    let dense_forward =
        per_example(median(seconds, || dense.apply_into(&x, &mut y, &mut workspace).unwrap_or_default()));
    let methods = [(Family::ToeplitzLike, 1), (Family::ToeplitzLike, 4), (Family::ToeplitzLike, 8)];
    for (family, rank) in methods.into_iter().chain([(Family::Toeplitz, 0), (Family::Circulant, 0)]) {
        let builder = Builder::new(family, n, n).path(PathChoice::Fast);
        let builder = if family.has_rank() { builder.rank(rank) } else { builder };
        let Ok(matrix) = builder.build::<T>() else { continue };
        let mut bare = BareTransforms::<T>::new(transform_length(family, n), batch);
        let signals = bare.signals() as f64;
        let transforms = if family.has_rank() { 2 * rank + 2 } else { 2 };
        let floor_ns = median(seconds, || bare.run()) / (4.0 * signals) * transforms as f64;
        let realfft_ns = (family == Family::ToeplitzLike).then(|| peer_time(&matrix, &x, seconds) / batch as f64);

        let mut gradient = vec![T::zero(); matrix.parameters().len()];
        let mut dx = vec![T::zero(); x.len()];
        let forward = median(seconds, || matrix.apply_into(&x, &mut y, &mut workspace).unwrap_or_default());
        let transpose =
            median(seconds, || matrix.apply_transposed_into(&x, &mut y, &mut workspace).unwrap_or_default());
        let backward = median(seconds, || {
            matrix.backward(&x, &x, Some(&mut dx), &mut gradient, &mut workspace).unwrap_or_default();
        });
        for (case, total) in [("forward", forward), ("transpose", transpose), ("backward", backward)] {
            let backward = case == "backward";
            let row = Row {
                case,
                family,
                n,
                rank,
                batch,
                dtype: T::NAME,
                ns: per_example(total),
                // A dense backward pass is two products of the forward's size.
                dense_ns: if backward { 2.0 * dense_forward } else { dense_forward },
                realfft_ns: realfft_ns.filter(|_| case == "forward"),
                floor_ns,
            };
            if options.json { print_json(&row) } else { print_row(&row) }
        }
    }
}

/// The length of the transforms, which is the matrix's own for all but plain Toeplitz matrices.
fn transform_length(family: Family, n: usize) -> usize {
    if family == Family::Toeplitz { 2 * n } else { n }
}

fn peer_time<T: Scalar>(matrix: &Matrix<T>, x: &[T], seconds: f64) -> f64 {
    let n = matrix.cols();
    let (g, h) = matrix.parameters().split_at(matrix.parameters().len() / 2);
    let mut peer = realfft::Peer::new(n, g, h);
    let mut y = vec![T::zero(); x.len()];
    peer.apply(x, &mut y);
    if n.is_power_of_two() {
        // Where the orders agree, so must the products.
        let own = matrix.apply(x).unwrap_or_default();
        let error: f64 = own.iter().zip(&y).map(|(a, b)| (a.wide() - b.wide()).powi(2)).sum();
        let size: f64 = own.iter().map(|a| a.wide().powi(2)).sum();
        assert!(error <= 1e-9 * size, "the two implementations disagree: {error:e} of {size:e}");
    }
    median(seconds, || peer.apply(x, &mut y))
}

/// The median of the nanoseconds that calls take, over at least five calls and about so many seconds.
fn median(seconds: f64, mut call: impl FnMut()) -> f64 {
    call();
    let (start, mut times) = (Instant::now(), Vec::new());
    while times.len() < 5 || (start.elapsed().as_secs_f64() < seconds && times.len() < 1000) {
        let start = Instant::now();
        call();
        times.push(start.elapsed().as_secs_f64() * 1e9);
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn print_row(row: &Row) {
    let realfft = row.realfft_ns.map_or("–".into(), |ns| format!("{:.2}", ns / row.ns));
    println!(
        "{:<10} {:<14} {:>5} {:>3} {:>5} {:>4} {:>12.0} {:>8.2} {:>9} {:>8.2}",
        row.case,
        row.family.name(),
        row.n,
        row.rank,
        row.batch,
        row.dtype,
        row.ns,
        row.dense_ns / row.ns,
        realfft,
        row.ns / row.floor_ns,
    );
}

fn print_json(row: &Row) {
    let realfft = row.realfft_ns.map_or("null".into(), |ns| format!("{ns:.1}"));
    println!(
        r#"{{"case":"{}","family":"{}","n":{},"r":{},"batch":{},"dtype":"{}","ns":{:.1},"dense_ns":{:.1},"realfft_ns":{realfft},"floor_ns":{:.1}}}"#,
        row.case,
        row.family.name(),
        row.n,
        row.rank,
        row.batch,
        row.dtype,
        row.ns,
        row.dense_ns,
        row.floor_ns,
    );
}
