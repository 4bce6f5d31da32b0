//! Products of every family with one vector and with batches, from n = 1024 to 65536: how time grows with n.
//!
//! `cargo bench --bench families`. Names are `growth/f64/b1/cauchy-like/n4096`; families that have a rank are taken at 1.
//!
//! `cargo bench --bench families -- --growth [NAME…]` prints a table of one vector instead, of the families whose names
//! contain one of those given, and below it how bare transforms grow. All sizes, and a dense product at n = 8192, are timed in
//! turn, many times over, and the shortest time of each is taken, so that slow phases of the machine do not count.

mod support;

use std::hint::black_box;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion};
use displace::bare::BareTransforms;
use displace::{Family, Matrix, Scalar, Workspace};
use support::{fast, numbers};

/// Rounds of the table.
const ROUNDS: usize = 40;
/// Calls that are timed together last at least this long, in seconds.
const BURST: f64 = 2e-3;
/// Where products are compared with a dense one.
const YARDSTICK: usize = 1 << 13;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some((_, names)) = arguments.split_first().filter(|(mode, _)| *mode == "--growth") {
        table::<f32>(names);
        return table::<f64>(names);
    }
    let mut criterion = support::criterion();
    for batch in [1, 32] {
        growth::<f32>(&mut criterion, batch);
        growth::<f64>(&mut criterion, batch);
    }
    criterion.final_summary();
}

fn growth<T: Scalar>(criterion: &mut Criterion, batch: usize) {
    for family in Family::ALL {
        let mut group = criterion.benchmark_group(format!("growth/{}/b{batch}/{}", T::NAME, name(family)));
        // A dense matrix is the yardstick while it fits into memory.
        let largest = if family == Family::Dense { YARDSTICK } else { 1 << 16 };
        for n in sizes().filter(|&n| n <= largest) {
            let Some(matrix) = fast::<T>(family, n, 1) else { continue };
            let (x, mut workspace) = (numbers::<T>(batch * n), Workspace::new());
            let mut y = x.clone();
            group.bench_function(BenchmarkId::from_parameter(format!("n{n}")), |b| {
                b.iter(|| matrix.apply_into(black_box(&x), &mut y, &mut workspace).unwrap_or_default());
            });
        }
        group.finish();
    }
}

/// Microseconds of one vector at each size, by how much each doubling multiplies them, the largest of those, and how many times
/// as long a dense product takes.
fn table<T: Scalar>(names: &[String]) {
    print!("\n{:<30}", format!("{}, µs", T::NAME));
    sizes().for_each(|n| print!("{n:>15}"));
    println!("{:>8}{:>9}", "worst", "dense");
    let mut dense = fast::<T>(Family::Dense, YARDSTICK, 1).map(Case::product);
    for family in Family::ALL.into_iter().filter(|&family| family != Family::Dense) {
        if names.is_empty() || names.iter().any(|wanted| name(family).contains(wanted.as_str())) {
            let cases = sizes().filter_map(|n| fast::<T>(family, n, 1)).map(Case::product).collect();
            row(family.name(), cases, &mut dense);
            if family == Family::LearnedSubdiagonal {
                let cases = sizes().filter_map(away_from_the_shift::<T>).map(Case::product).collect();
                row("LDR-SD away from the shift", cases, &mut dense);
            }
        }
    }
    // What the machine's caches make of any transform: two there and two back.
    row("four transforms of length 2n", sizes().map(|n| Case::transforms::<T>(2 * n)).collect(), &mut dense);
}

/// LDR-SD with weights from 0.4 to 1.5, which no scaled shift stands for.
fn away_from_the_shift<T: Scalar>(n: usize) -> Option<Matrix<T>> {
    let mut matrix = fast::<T>(Family::LearnedSubdiagonal, n, 1)?;
    let (mut rng, mut parameters) = (fastrand::Rng::with_seed(1), matrix.parameters().to_vec());
    for operator in ["A", "B"] {
        let place = matrix.layout().tensor(operator)?.range.clone();
        parameters[place].fill_with(|| T::of(0.4 + 1.1 * rng.f64()));
    }
    matrix.set_parameters(&parameters).ok()?;
    Some(matrix)
}

fn row(name: &str, mut cases: Vec<Case>, dense: &mut Option<Case>) {
    dense.iter_mut().for_each(|dense| dense.best = f64::INFINITY);
    for _ in 0..ROUNDS {
        cases.iter_mut().chain(&mut *dense).for_each(Case::time);
    }
    print!("{name:<30}");
    let mut worst = 0.0f64;
    for (at, case) in cases.iter().enumerate() {
        let factor = if at == 0 { 0.0 } else { case.best / cases[at - 1].best };
        worst = worst.max(factor);
        let factor = if at == 0 { String::new() } else { format!(" ×{factor:.2}") };
        print!("{:>15}", format!("{:.1}{factor}", case.best * 1e6));
    }
    let at = sizes().zip(&cases).find(|(n, _)| *n == YARDSTICK);
    let ratio = dense.as_ref().zip(at).map_or(f64::NAN, |(dense, (_, case))| dense.best / case.best);
    println!("{worst:>8.2}{ratio:>8.1}×");
}

/// Something to time, and its shortest time so far, in seconds.
struct Case {
    call: Box<dyn FnMut()>,
    best: f64,
}

impl Case {
    fn product<T: Scalar>(matrix: Matrix<T>) -> Self {
        let (x, mut workspace) = (numbers::<T>(matrix.cols()), Workspace::new());
        let mut y = x.clone();
        let call = move || matrix.apply_into(black_box(&x), &mut y, &mut workspace).unwrap_or_default();
        Self { call: Box::new(call), best: f64::INFINITY }
    }

    fn transforms<T: Scalar>(n: usize) -> Self {
        let mut transforms = BareTransforms::<T>::new(n, 1);
        Self { call: Box::new(move || transforms.run()), best: f64::INFINITY }
    }

    /// Times a burst of calls. The first call fills the caches, as it does for whoever multiplies again and again.
    fn time(&mut self) {
        (self.call)();
        let (start, mut calls) = (Instant::now(), 0);
        while calls == 0 || start.elapsed().as_secs_f64() < BURST {
            (self.call)();
            calls += 1;
        }
        self.best = self.best.min(start.elapsed().as_secs_f64() / f64::from(calls));
    }
}

fn sizes() -> impl Iterator<Item = usize> {
    (10..=16).map(|k| 1 << k)
}

/// The family's name as one word.
fn name(family: Family) -> String {
    family.name().to_lowercase().replace([' ', '+'], "-")
}
