//! Four plots on one page: how far parameters moved, singular values, angles, and displacement spectra.

use std::error::Error;
use std::path::{Path, PathBuf};

use displace::analysis::Sparsity;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use crate::report::{MatrixReport, Report, relative};

/// A font that ships with the examples, so that the text shows on machines without any.
const FONT: &[u8] = include_bytes!("../support/font/DejaVuSans-subset.ttf");
const NAME: &str = "DejaVu Sans";
const SIZE: (u32, u32) = (1200, 900);

/// Matrices that get a curve each.
const CURVES: usize = 6;

const COLORS: [RGBColor; CURVES] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(150, 120, 0),
    RGBColor(40, 40, 40),
];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A named line.
struct Curve {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Draws `PREFIX.svg` and `PREFIX.png`.
pub fn draw(reports: &[Report], prefix: &Path) -> Result<[PathBuf; 2]> {
    register_font(NAME, FontStyle::Normal, FONT).map_err(|_| "the font of the plot cannot be read")?;
    let paths = ["svg", "png"].map(|extension| prefix.with_extension(extension));
    page(SVGBackend::new(&paths[0], SIZE).into_drawing_area(), reports)?;
    page(BitMapBackend::new(&paths[1], SIZE).into_drawing_area(), reports)?;
    Ok(paths)
}

fn page<B: DrawingBackend>(area: DrawingArea<B, Shift>, reports: &[Report]) -> Result<()>
where
    B::ErrorType: 'static,
{
    area.fill(&WHITE)?;
    let panels = area.split_evenly((2, 2));
    // Those that moved most, for their size.
    let mut matrices: Vec<(&Report, &MatrixReport)> =
        reports.iter().filter_map(|report| Some((report, report.matrix.as_ref()?))).collect();
    let moved = |report: &Report| report.sparsity.as_ref().map_or(0.0, relative);
    matrices.sort_by(|a, b| moved(b.0).total_cmp(&moved(a.0)));
    matrices.truncate(CURVES);

    histogram(&panels[0], reports)?;
    lines(&panels[1], "Singular values, relative to the first", "index", "value", &values(&matrices))?;
    lines(&panels[2], "Principal angles, leading left (degrees)", "index", "degrees", &angles(&matrices))?;
    let of = if matrices.iter().any(|(_, m)| m.change.is_some()) { "the update" } else { "the matrix" };
    // The largest of them shows most.
    let largest = matrices.iter().max_by_key(|(_, matrix)| matrix.values.len());
    let title = match largest {
        Some((report, _)) => format!("Displacement spectra of {of}, {}", report.header.name),
        None => "Displacement spectra".into(),
    };
    lines(&panels[3], &title, "index", "relative to the norm", &spectra(largest))?;
    area.present()?;
    Ok(())
}

fn ranked(values: &[f64], scale: f64) -> Vec<(f64, f64)> {
    values
        .iter()
        .enumerate()
        .map(|(k, v)| (k as f64 + 1.0, v / scale))
        .filter(|p| p.1 > 0.0 && p.1.is_finite())
        .collect()
}

fn values(matrices: &[(&Report, &MatrixReport)]) -> Vec<Curve> {
    let curve = |(report, matrix): &(&Report, &MatrixReport)| Curve {
        name: report.header.name.clone(),
        points: ranked(&matrix.values, matrix.values[0]),
    };
    matrices.iter().map(curve).collect()
}

fn angles(matrices: &[(&Report, &MatrixReport)]) -> Vec<Curve> {
    let curve = |(report, matrix): &(&Report, &MatrixReport)| {
        let angles = matrix.change.as_ref()?.drift.leading().left();
        Some(Curve { name: report.header.name.clone(), points: ranked(angles, 1f64.to_radians()) })
    };
    matrices.iter().filter_map(curve).collect()
}

fn spectra(largest: Option<&(&Report, &MatrixReport)>) -> Vec<Curve> {
    let Some((_, matrix)) = largest else {
        return Vec::new();
    };
    matrix.spectra.iter().map(|s| Curve { name: s.pair.name().into(), points: ranked(&s.values, s.scale) }).collect()
}

/// How many parameters moved how far.
fn histogram<B: DrawingBackend>(area: &DrawingArea<B, Shift>, reports: &[Report]) -> Result<()>
where
    B::ErrorType: 'static,
{
    let mut total: Option<Sparsity> = None;
    for part in reports.iter().filter_map(|report| report.sparsity.as_ref()) {
        match &mut total {
            Some(total) => total.merge(part),
            None => total = Some(part.clone()),
        }
    }
    let bins: Vec<(f64, u64)> = total.iter().flat_map(|total| total.histogram().bins()).collect();
    let Some(total) = total.filter(|_| !bins.is_empty()) else {
        return lines(area, "Size of changes: there are none", "size", "share", &[]);
    };
    let count = total.rounded().count as f64;
    let (first, last) = (bins[0].0, 2.0 * bins[bins.len() - 1].0);
    let highest = bins.iter().map(|b| b.1 as f64 / count).fold(0.0, f64::max);
    let zeros = 100.0 * total.histogram().zeros() as f64 / count;
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(format!("Size of changes; {zeros:.1}% are zero"), (NAME, 18))
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d((first..last).log_scale(), 0.0..1.08 * highest)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("absolute change of a parameter")
        .y_desc("share of the parameters")
        .axis_desc_style((NAME, 14))
        .label_style((NAME, 12))
        .x_label_formatter(&|x| format!("{x:.0e}"))
        .draw()?;
    let bar = |(low, n): &(f64, u64)| {
        Rectangle::new([(*low, 0.0), (2.0 * low, *n as f64 / count)], COLORS[0].mix(0.7).filled())
    };
    chart.draw_series(bins.iter().map(bar))?;
    Ok(())
}

fn lines<B: DrawingBackend>(area: &DrawingArea<B, Shift>, title: &str, x: &str, y: &str, curves: &[Curve]) -> Result<()>
where
    B::ErrorType: 'static,
{
    let points = || curves.iter().flat_map(|curve| curve.points.iter());
    let last = points().map(|p| p.0).fold(2.0, f64::max);
    let highest = points().map(|p| p.1).fold(f64::MIN_POSITIVE, f64::max);
    // What is 16 digits below is rounding.
    let lowest = points().map(|p| p.1).fold(highest, f64::min).max(1e-16 * highest).min(highest / 10.0);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(title, (NAME, 18))
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(1.0..last, (lowest..highest * 1.5).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc(x)
        .y_desc(y)
        .axis_desc_style((NAME, 14))
        .label_style((NAME, 12))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.0e}"))
        .draw()?;
    for (curve, color) in curves.iter().zip(COLORS) {
        let inside = curve.points.iter().filter(|p| p.1 >= lowest).copied();
        chart
            .draw_series(LineSeries::new(inside, color.stroke_width(2)))?
            .label(&curve.name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 2), (x + 16, y + 2)], color.filled()));
    }
    if !curves.is_empty() {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerLeft)
            .label_font((NAME, 12))
            .background_style(WHITE.mix(0.85))
            .border_style(RGBColor(180, 180, 180))
            .draw()?;
    }
    Ok(())
}
