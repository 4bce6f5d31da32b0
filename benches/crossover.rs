//! How well the estimate of costs chooses between a family's fast product and the dense one.
//!
//! `cargo bench --bench crossover` times both paths, alternately, over a grid of sizes, ranks and batches, and prints for each
//! case how much longer the chosen path takes than the better one. With `--json` one JSON object a line, to fit the constants
//! of `src/matrix/path.rs` to; with `--quick` a small grid; with names, only families whose names contain one of them.

use std::time::Instant;

use displace::{Builder, Family, Matrix, Path, PathChoice, Scalar, Workspace};

/// Calls that are timed together last at least this long, in seconds.
const BURST: f64 = 1e-3;
/// A dense copy that has to pay for itself is given up for so many seconds of products.
const LONG: f64 = 60.0;
/// Bursts of each path; the shortest one counts, since other work on the machine can only lengthen them.
const BURSTS: usize = 7;

#[derive(Clone, Copy, Default)]
struct Options {
    json: bool,
    quick: bool,
}

/// How often the choice was right, and how wrong it was at the worst.
#[derive(Default)]
struct Summary {
    cases: usize,
    within: usize,
    worst: f64,
    /// Cases where the chosen path takes more than 1.15 times as long as the dense one.
    slower: usize,
}

fn main() {
    let has = |name: &str| std::env::args().any(|argument| argument == name);
    let options = Options { json: has("--json"), quick: has("--quick") };
    let mut summary = Summary::default();
    if !options.json {
        println!(
            "{:<16} {:>5} {:>3} {:>5} {:>4} {:>10} {:>10} {:>6} {:>7}",
            "family", "n", "r", "batch", "type", "fast ns", "dense ns", "path", "÷ best"
        );
    }
    let sizes: &[usize] =
        if options.quick { &[64, 256] } else { &[1, 2, 5, 16, 32, 64, 100, 128, 200, 256, 512, 784, 1024, 2048, 4096] };
    let batches: &[usize] = if options.quick { &[1, 32] } else { &[1, 4, 16, 32, 64, 256] };
    for &n in sizes {
        for &batch in batches {
            size::<f32>(options, n, batch, &mut summary);
            size::<f64>(options, n, batch, &mut summary);
        }
    }
    if !options.json {
        println!(
            "{} of {} cases within 10% of the better path; at worst {:.2} times as long; {} slower than 1.15 times dense",
            summary.within, summary.cases, summary.worst, summary.slower
        );
    }
}

fn size<T: Scalar>(options: Options, n: usize, batch: usize, summary: &mut Summary) {
    for family in Family::ALL {
        if matches!(family, Family::Dense) || !is_wanted(family) {
            continue;
        }
        let ranks: &[usize] = match (family.has_rank(), options.quick) {
            (false, _) => &[0],
            (true, true) => &[1, 8],
            (true, false) => &[1, 2, 4, 8, 16, 32],
        };
        for &rank in ranks.iter().filter(|&&rank| rank <= n) {
            let builder = Builder::new(family, n, n);
            let builder = if family.has_rank() { builder.rank(rank) } else { builder };
            let Ok(matrix) = builder.build::<T>() else { continue };
            case(options, &matrix, rank, batch, summary);
        }
    }
}

/// Whether the command line names the family, or none.
fn is_wanted(family: Family) -> bool {
    let mut names = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).peekable();
    names.peek().is_none() || names.any(|name| family.name().to_lowercase().contains(&name.to_lowercase()))
}

fn case<T: Scalar>(options: Options, matrix: &Matrix<T>, rank: usize, batch: usize, summary: &mut Summary) {
    let n = matrix.cols();
    let x: Vec<T> = (0..batch * n).map(|i| T::of(((i * 37) % 101) as f64 / 50.0 - 1.0)).collect();
    let mut y = vec![T::zero(); batch * n];
    let mut paths = [PathChoice::Fast, PathChoice::Dense].map(|path| {
        let mut matrix = matrix.clone();
        matrix.set_path(path);
        (matrix, Workspace::new(), f64::INFINITY)
    });
    for _ in 0..BURSTS {
        for (matrix, workspace, best) in &mut paths {
            *best = best.min(burst(|| matrix.apply_into(&x, &mut y, workspace).unwrap_or_default()));
        }
    }
    let [fast, dense] = paths.map(|(_, _, best)| best / batch as f64);
    let path = settled_path(matrix, &x, &mut y, batch, fast > 1.15 * dense);
    let chosen = match path {
        Path::Fast => fast,
        Path::Dense => dense,
    };
    let ratio = chosen / fast.min(dense);
    summary.cases += 1;
    summary.within += usize::from(ratio <= 1.1);
    summary.worst = summary.worst.max(ratio);
    summary.slower += usize::from(chosen > 1.15 * dense);
    let family = matrix.structure().family();
    if options.json {
        println!(
            r#"{{"family":"{family}","n":{n},"r":{rank},"batch":{batch},"dtype":"{}","fast_ns":{fast:.1},"dense_ns":{dense:.1},"estimate_ns":{:.1},"path":"{:?}"}}"#,
            T::NAME,
            matrix.structure().cost(batch),
            path
        );
        return;
    }
    println!(
        "{:<16} {n:>5} {rank:>3} {batch:>5} {:>4} {fast:>10.0} {dense:>10.0} {:>6} {ratio:>7.2}",
        family.name(),
        T::NAME,
        format!("{path:?}"),
    );
}

/// The path that a matrix takes once it has served as many products as it takes a dense copy to pay for itself.
fn settled_path<T: Scalar>(matrix: &Matrix<T>, x: &[T], y: &mut [T], batch: usize, would_gain: bool) -> Path {
    let (matrix, mut workspace, start) = (matrix.clone(), Workspace::new(), Instant::now());
    // The choice of all other families is made from the outset.
    let may_change = matches!(matrix.structure().family(), Family::LearnedSubdiagonal | Family::LearnedTridiagonal);
    while would_gain && may_change && matrix.path(batch) == Path::Fast && start.elapsed().as_secs_f64() < LONG {
        matrix.apply_into(x, y, &mut workspace).unwrap_or_default();
    }
    matrix.path(batch)
}

/// Nanoseconds of one call, in a burst of them.
fn burst(mut call: impl FnMut()) -> f64 {
    let (start, mut calls) = (Instant::now(), 0);
    while calls == 0 || start.elapsed().as_secs_f64() < BURST {
        call();
        calls += 1;
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}
