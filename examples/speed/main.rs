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
        for n in (10..=16).map(|k| 1 << k) {
            grown::<f32>(&options, n);
            grown::<f64>(&options, n);
        }
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

fn cases<T: Scalar>(options: &Options, n: usize, batch: usize) {
    let Ok(dense) = Builder::new(Family::Dense, n, n).build::<T>() else { return };
    let dense_ns = Times::of(&dense, batch, options.seconds());
    let ranks: &[usize] = if options.quick { &[1, 4] } else { &[1, 2, 4, 8, 16] };
    let methods = ranks.iter().map(|&rank| (Family::ToeplitzLike, rank));
    for (family, rank) in methods.chain([(Family::Toeplitz, 0), (Family::Circulant, 0)]) {
        measure::<T>(options, family, n, rank, batch, Some(&dense_ns));
    }
}

/// One size of many, without the dense product, which would not fit into memory.
fn grown<T: Scalar>(options: &Options, n: usize) {
    for batch in [1, 32] {
        measure::<T>(options, Family::ToeplitzLike, n, 4, batch, None);
    }
}

/// Nanoseconds an example.
struct Times {
    forward: f64,
    transpose: f64,
    backward: f64,
}

impl Times {
    fn of<T: Scalar>(matrix: &Matrix<T>, batch: usize, seconds: f64) -> Self {
        let x = numbers::<T>(batch * matrix.cols());
        let (mut y, mut dx, mut workspace) = (x.clone(), x.clone(), Workspace::new());
        let mut gradient = vec![T::zero(); matrix.parameters().len()];
        let per_example = |total: f64| total / batch as f64;
        Self {
            forward: per_example(median(seconds, || {
                matrix.apply_into(&x, &mut y, &mut workspace).unwrap_or_default();
            })),
            transpose: per_example(median(seconds, || {
                matrix.apply_transposed_into(&x, &mut y, &mut workspace).unwrap_or_default();
            })),
            backward: per_example(median(seconds, || {
                matrix.backward(&x, &x, Some(&mut dx), &mut gradient, &mut workspace).unwrap_or_default();
            })),
        }
    }
}

fn measure<T: Scalar>(options: &Options, family: Family, n: usize, rank: usize, batch: usize, dense: Option<&Times>) {
    let builder = Builder::new(family, n, n).path(PathChoice::Fast);
    let builder = if family.has_rank() { builder.rank(rank) } else { builder };
    let Ok(matrix) = builder.build::<T>() else { return };
    let seconds = options.seconds();
    let mut bare = BareTransforms::<T>::new(transform_length(family, n), batch);
    let signals = bare.signals() as f64;
    let transforms = if family.has_rank() { 2 * rank + 2 } else { 2 };
    let floor_ns = median(seconds, || bare.run()) / (4.0 * signals) * transforms as f64;
    let own = Times::of(&matrix, batch, seconds);
    let realfft_ns =
        (family == Family::ToeplitzLike).then(|| peer_time(&matrix, &numbers(batch * n), seconds) / batch as f64);
    let cases = [
        ("forward", own.forward, dense.map(|t| t.forward)),
        ("transpose", own.transpose, dense.map(|t| t.transpose)),
        ("backward", own.backward, dense.map(|t| t.backward)),
    ];
    for (case, ns, dense_ns) in cases {
        let realfft_ns = realfft_ns.filter(|_| case == "forward");
        let row = Row { case, family, n, rank, batch, dtype: T::NAME, ns, dense_ns, realfft_ns, floor_ns };
        if options.json { print_json(&row) } else { print_row(&row) }
    }
}

impl Options {
    /// How long a case is measured.
    fn seconds(&self) -> f64 {
        if self.quick { 0.01 } else { 0.05 }
    }
}

fn numbers<T: Scalar>(len: usize) -> Vec<T> {
    (0..len).map(|i| T::of(((i * 37) % 101) as f64 / 50.0 - 1.0)).collect()
}

/// The length of the transforms.
fn transform_length(family: Family, n: usize) -> usize {
    match family {
        Family::Toeplitz => 2 * n,
        Family::ToeplitzLike => displace::bare::fast_length(n),
        _ => n,
    }
}

fn peer_time<T: Scalar>(matrix: &Matrix<T>, x: &[T], seconds: f64) -> f64 {
    let n = matrix.cols();
    let (g, h) = matrix.parameters().split_at(matrix.parameters().len() / 2);
    let mut peer = realfft::Peer::new(n, g, h);
    let mut y = vec![T::zero(); x.len()];
    peer.apply(x, &mut y);
    if displace::bare::fast_length(n) == n {
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
