//! The plot of error against compression, one line a family.

use std::error::Error;
use std::path::{Path, PathBuf};

use displace::Family;
use displace::compress::Candidate;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

/// A font that ships with the example, so that the text shows on machines without any.
const FONT: &[u8] = include_bytes!("../support/font/DejaVuSans-subset.ttf");
const NAME: &str = "DejaVu Sans";
const SIZE: (u32, u32) = (960, 600);

/// A candidate and its points: compression ratio and relative error.
pub type Line = (Candidate, Vec<(f64, f64)>);

/// Draws `PREFIX.svg` and `PREFIX.png`.
pub fn draw(title: &str, lines: &[Line], prefix: &Path) -> Result<[PathBuf; 2], Box<dyn Error>> {
    register_font(NAME, FontStyle::Normal, FONT).map_err(|_| "the font of the plot cannot be read")?;
    let paths = ["svg", "png"].map(|extension| prefix.with_extension(extension));
    chart(SVGBackend::new(&paths[0], SIZE).into_drawing_area(), title, lines)?;
    chart(BitMapBackend::new(&paths[1], SIZE).into_drawing_area(), title, lines)?;
    Ok(paths)
}

fn color(candidate: Candidate) -> RGBColor {
    match candidate {
        Candidate::Family(Family::LowRank) => RGBColor(213, 94, 0),
        Candidate::Family(Family::ToeplitzLike) => RGBColor(0, 114, 178),
        Candidate::Family(Family::HankelLike) => RGBColor(0, 158, 115),
        Candidate::Family(Family::CauchyLike) => RGBColor(230, 159, 0),
        Candidate::Family(Family::VandermondeLike) => RGBColor(86, 180, 233),
        Candidate::Family(Family::LearnedSubdiagonal) => RGBColor(190, 30, 45),
        Candidate::Family(Family::CircleVandermondeLike) => RGBColor(120, 190, 60),
        Candidate::LowRankPlus(_) => RGBColor(40, 40, 40),
        _ => RGBColor(204, 121, 167),
    }
}

fn chart<B: DrawingBackend>(area: DrawingArea<B, Shift>, title: &str, lines: &[Line]) -> Result<(), Box<dyn Error>>
where
    B::ErrorType: 'static,
{
    area.fill(&WHITE)?;
    let points = || lines.iter().flat_map(|(_, points)| points.iter().copied());
    let least = points().map(|p| p.0).fold(f64::INFINITY, f64::min);
    let most = points().map(|p| p.0).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .caption(title, (NAME, 22))
        .x_label_area_size(56)
        .y_label_area_size(64)
        .build_cartesian_2d((least.min(most) / 1.2..most * 1.2).log_scale(), 0.0..1.05)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("compression: entries per parameter (log scale)")
        .y_desc("relative error")
        .axis_desc_style((NAME, 17))
        .label_style((NAME, 14))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.1}"))
        .draw()?;
    for (candidate, points) in lines {
        let color = color(*candidate);
        chart.draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))?;
        chart
            .draw_series(points.iter().map(|&point| Circle::new(point, 4, color.filled())))?
            .label(candidate.to_string())
            .legend(move |(x, y)| Circle::new((x + 10, y), 4, color.filled()));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .label_font((NAME, 15))
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(180, 180, 180))
        .draw()?;
    area.present()?;
    Ok(())
}
