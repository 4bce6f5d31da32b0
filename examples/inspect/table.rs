//! Tables of reports.

use std::fmt::Write;

use displace::analysis::Sparsity;

use crate::report::{self, MatrixReport, Report};

/// All tables that reports make.
pub fn render(reports: &[Report]) -> String {
    let mut text = String::new();
    if reports.iter().any(|report| report.sparsity.is_some()) {
        text += &updates(reports);
    }
    if reports.iter().any(|report| report.matrix.as_ref().is_some_and(|m| m.change.is_some())) {
        text += &drift(reports);
    }
    text + &structure(reports)
}

/// Columns as wide as their widest entry; the first one to the left, the others to the right.
fn aligned(title: &str, head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let entries = rows.iter().map(|row| row[column].chars().count());
        entries.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = format!("\n{title}\n");
    let head: Vec<String> = head.iter().map(|h| h.to_string()).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (column, (entry, &width)) in row.iter().zip(&widths).enumerate() {
            let _ = if column == 0 { write!(line, "{entry:<width$}") } else { write!(line, "  {entry:>width$}") };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// A number in a form that suits its size.
fn short(x: f64) -> String {
    match x.abs() {
        0.0 => "0".into(),
        size if (0.01..1e4).contains(&size) => format!("{x:.3}"),
        _ => format!("{x:.1e}"),
    }
}

fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

fn shape(report: &Report) -> String {
    report.header.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

/// What updates left alone.
fn updates(reports: &[Report]) -> String {
    let head = [
        "tensor",
        "shape",
        "dtype",
        "unchanged",
        "identical",
        "as it is: unchanged",
        "identical",
        "max |Δ|",
        "‖Δ‖/‖W‖",
        "seconds",
    ];
    let row = |name: String, shape: String, dtype: String, s: &Sparsity, seconds: f64| {
        vec![
            name,
            shape,
            dtype,
            percent(s.rounded().unchanged()),
            percent(s.rounded().identical()),
            percent(s.unrounded().unchanged()),
            percent(s.unrounded().identical()),
            short(s.largest()),
            short(report::relative(s)),
            format!("{seconds:.2}"),
        ]
    };
    let (mut rows, mut total) = (Vec::new(), None::<Sparsity>);
    for report in reports {
        let Some(sparsity) = &report.sparsity else { continue };
        rows.push(row(
            report.header.name.clone(),
            shape(report),
            report.header.dtype.clone(),
            sparsity,
            report.seconds,
        ));
        match &mut total {
            Some(total) => total.merge(sparsity),
            None => total = Some(sparsity.clone()),
        }
    }
    if let Some(total) = &total {
        let seconds = reports.iter().map(|report| report.seconds).sum();
        rows.push(row("total".into(), total.rounded().count.to_string(), String::new(), total, seconds));
    }
    let tolerance = total.map_or(0.0, |total| total.tolerance());
    aligned(&format!("Update sparsity: |Δ| ≤ {tolerance:e} after rounding to bf16"), &head, &rows)
}

/// What updates did to singular values and vectors.
fn drift(reports: &[Report]) -> String {
    let head = [
        "matrix",
        "rank of Δ",
        "as it is",
        "max |Δσ|/σ",
        "k",
        "leading: left",
        "right",
        "‖ΔUUᵀ‖",
        "gap",
        "trailing: left",
        "right",
        "rotation",
    ];
    let degrees = |angles: &[f64]| short(angles.last().copied().unwrap_or(0.0).to_degrees()) + "°";
    let changes = reports.iter().filter_map(|r| Some((r, r.matrix.as_ref()?.change.as_ref()?)));
    let rows: Vec<_> = changes
        .map(|(report, change)| {
            let (leading, trailing) = (change.drift.leading(), change.drift.trailing());
            let largest = change.drift.values().iter().fold(0.0, |m: f64, d| m.max(d.abs()));
            vec![
                report.header.name.clone(),
                format!("{} ({})", change.ranks[0].rank, percent(change.ranks[0].fraction())),
                change.ranks[1].rank.to_string(),
                short(largest),
                change.k.to_string(),
                degrees(leading.left()),
                degrees(leading.right()),
                short(leading.left_distance()),
                short(leading.gaps()[0].relative),
                degrees(trailing.left()),
                degrees(trailing.right()),
                percent(change.split.rotation_share()),
            ]
        })
        .collect();
    let title =
        "Drift: largest principal angles of k directions at either end, relative gap at k, share of rotation in ‖Δ‖²";
    aligned(title, &head, &rows)
}

/// Displacement ranks and verdicts.
fn structure(reports: &[Report]) -> String {
    let matrices: Vec<(&Report, &MatrixReport)> =
        reports.iter().filter_map(|report| Some((report, report.matrix.as_ref()?))).collect();
    let Some((_, first)) = matrices.first() else {
        return String::new();
    };
    let names: Vec<String> = first.spectra.iter().map(|s| format!("{}: r, r(90%)", s.pair.name())).collect();
    let head: Vec<&str> =
        ["matrix", "of"].into_iter().chain(names.iter().map(String::as_str)).chain(["seconds"]).collect();
    let rows: Vec<_> = matrices
        .iter()
        .map(|(report, matrix)| {
            let mut row =
                vec![report.header.name.clone(), if matrix.change.is_some() { "Δ".into() } else { "W".into() }];
            row.extend(matrix.spectra.iter().map(|s| {
                let rank = s.rank(s.default_tolerance).map_or("–".into(), |rank| rank.to_string());
                format!("{rank}, {}", s.effective_rank(0.1))
            }));
            row.push(format!("{:.2}", report.seconds));
            row
        })
        .collect();
    let title = "Displacement ranks: at the tolerance of rounding, and for 90% of the displacement's norm";
    let mut text = aligned(title, &head, &rows);
    let verdicts: Vec<_> = matrices.iter().filter_map(|(r, m)| Some((r, m.verdict.as_ref()?))).collect();
    if !verdicts.is_empty() {
        text += "\nVerdicts: relative errors at equal numbers of parameters\n";
    }
    for (report, verdict) in verdicts {
        let _ = writeln!(text, "{}: {verdict}", report.header.name);
    }
    text
}
