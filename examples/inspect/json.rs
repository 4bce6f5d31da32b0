//! Reports as JSON.

use serde_json::{Value, json};

use displace::analysis::{Sparsity, SubspaceDrift, Unchanged};

use crate::files::Found;
use crate::options::Options;
use crate::report::{Change, MatrixReport, Report, relative};

pub fn of_files(options: &Options, found: &Found) -> Value {
    json!({
        "files": options.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>(),
        "tolerance": options.tolerance,
        "total": total(&found.reports).as_ref().map(sparsity),
        "tensors": found.reports.iter().map(report).collect::<Vec<_>>(),
        "problems": found.problems,
        "skipped": found.skipped,
    })
}

fn total(reports: &[Report]) -> Option<Sparsity> {
    let mut parts = reports.iter().filter_map(|report| report.sparsity.as_ref());
    let mut total = parts.next()?.clone();
    parts.for_each(|part| total.merge(part));
    Some(total)
}

pub fn report(report: &Report) -> Value {
    json!({
        "name": report.header.name,
        "shape": report.header.shape,
        "dtype": report.header.dtype,
        "norm": report.norm,
        "update": report.sparsity.as_ref().map(sparsity),
        "matrix": report.matrix.as_ref().map(matrix),
        "seconds": report.seconds,
    })
}

fn sparsity(s: &Sparsity) -> Value {
    let part = |u: &Unchanged| json!({ "count": u.count, "unchanged": u.unchanged(), "identical": u.identical() });
    json!({
        "bf16": part(s.rounded()),
        "unrounded": part(s.unrounded()),
        "largest": s.largest(),
        "norm": s.update_norm(),
        "relative_norm": relative(s),
        "histogram": { "zeros": s.histogram().zeros(), "bins": s.histogram().bins().collect::<Vec<_>>() },
    })
}

fn matrix(m: &MatrixReport) -> Value {
    let spectrum = |s: &displace::analysis::DisplacementSpectrum| {
        json!({
            "pair": s.pair.name(),
            "rank": s.rank(s.default_tolerance).ok(),
            "rank_of_90_percent": s.effective_rank(0.1),
            "scale": s.scale,
            "values": s.values,
        })
    };
    let verdict = m.verdict.as_ref().map(|v| {
        let fits: Vec<_> = v.fits().iter().map(|f| json!({ "structure": f.kind.name(), "error": f.error })).collect();
        json!({ "line": v.to_string(), "rank": v.rank(), "parameters": v.parameters(), "fits": fits })
    });
    json!({
        "singular_values": m.values,
        "change": m.change.as_ref().map(change),
        "displacement_of": if m.change.is_some() { "update" } else { "matrix" },
        "displacement": m.spectra.iter().map(spectrum).collect::<Vec<_>>(),
        "verdict": verdict,
    })
}

fn change(c: &Change) -> Value {
    let subspace = |s: &SubspaceDrift| {
        json!({
            "left": s.left(),
            "right": s.right(),
            "left_distance": s.left_distance(),
            "right_distance": s.right_distance(),
            "gaps": s.gaps().map(|gap| json!({ "absolute": gap.absolute, "relative": gap.relative })),
        })
    };
    let rank = |r: &displace::analysis::UpdateRank| json!({ "rank": r.rank, "fraction": r.fraction(), "tolerance": r.tolerance, "singular_values": r.values });
    json!({
        "rank": { "bf16": rank(&c.ranks[0]), "unrounded": rank(&c.ranks[1]) },
        "relative_differences": c.drift.values(),
        "k": c.k,
        "leading": subspace(c.drift.leading()),
        "trailing": subspace(c.drift.trailing()),
        "scaling": c.split.scaling,
        "rotation": c.split.rotation,
    })
}
