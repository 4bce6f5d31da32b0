//! The plot of test error against parameters.

use std::error::Error;
use std::path::{Path, PathBuf};

use displace::Family;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

use crate::train::Outcome;

/// A font that ships with the example, so that the text shows on machines without any.
const FONT: &[u8] = include_bytes!("../support/font/DejaVuSans-subset.ttf");
const NAME: &str = "DejaVu Sans";
const SIZE: (u32, u32) = (960, 600);

/// Draws `PREFIX.svg` and `PREFIX.png`.
pub fn draw(outcomes: &[Outcome], prefix: &Path) -> Result<[PathBuf; 2], Box<dyn Error>> {
    register_font(NAME, FontStyle::Normal, FONT).map_err(|_| "the font of the plot cannot be read")?;
    let paths = ["svg", "png"].map(|extension| prefix.with_extension(extension));
    chart(SVGBackend::new(&paths[0], SIZE).into_drawing_area(), outcomes)?;
    chart(BitMapBackend::new(&paths[1], SIZE).into_drawing_area(), outcomes)?;
    Ok(paths)
}

fn color(family: Family) -> RGBColor {
    match family {
        Family::Dense => RGBColor(40, 40, 40),
        Family::LowRank => RGBColor(213, 94, 0),
        Family::ToeplitzLike => RGBColor(0, 114, 178),
        Family::HankelLike => RGBColor(0, 158, 115),
        Family::Toeplitz => RGBColor(204, 121, 167),
        Family::VandermondeLike => RGBColor(86, 180, 233),
        Family::CircleVandermondeLike => RGBColor(110, 70, 190),
        Family::CauchyLike => RGBColor(230, 159, 0),
        Family::LearnedSubdiagonal => RGBColor(190, 30, 45),
        Family::LearnedTridiagonal => RGBColor(120, 190, 60),
        _ => RGBColor(150, 120, 0),
    }
}

fn chart<B: DrawingBackend>(area: DrawingArea<B, Shift>, outcomes: &[Outcome]) -> Result<(), Box<dyn Error>>
where
    B::ErrorType: 'static,
{
    area.fill(&WHITE)?;
    let point = |o: &Outcome| (o.parameters as f64, 100.0 * o.test_error);
    let points: Vec<_> = outcomes.iter().map(point).collect();
    let extent = |values: Vec<f64>| {
        (values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(0.0, f64::max))
    };
    let (fewest, most) = extent(points.iter().map(|p| p.0).collect());
    let (least, worst) = extent(points.iter().map(|p| p.1).collect());
    let margin = 0.08 * (worst - least).max(1.0);
    let mut chart = ChartBuilder::on(&area)
        .margin(16)
        .caption("Test error against parameters of the hidden layer", (NAME, 22))
        .x_label_area_size(56)
        .y_label_area_size(64)
        .build_cartesian_2d((fewest / 1.5..most * 1.5).log_scale(), (least - margin).max(0.0)..worst + margin)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .x_desc("parameters of the hidden layer (log scale)")
        .y_desc("test error, %")
        .axis_desc_style((NAME, 17))
        .label_style((NAME, 14))
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| format!("{y:.1}"))
        .draw()?;

    let mut families: Vec<Family> = Vec::new();
    for outcome in outcomes {
        if !families.contains(&outcome.method.family) {
            families.push(outcome.method.family);
        }
    }
    for family in families {
        let own: Vec<_> = outcomes.iter().filter(|o| o.method.family == family).collect();
        let color = color(family);
        chart.draw_series(LineSeries::new(own.iter().map(|o| point(o)), color.stroke_width(2)))?;
        chart
            .draw_series(own.iter().map(|o| Circle::new(point(o), 5, color.filled())))?
            .label(family.name())
            .legend(move |(x, y)| Circle::new((x + 10, y), 5, color.filled()));
        let label = |o: &&Outcome| {
            let text = |r| Text::new(format!("r={r}"), (7, -14), (NAME, 13).into_font().color(&color));
            o.method.rank.map(|r| EmptyElement::at(point(o)) + text(r))
        };
        let labels: Vec<_> = own.iter().filter_map(label).collect();
        chart.draw_series(labels)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .label_font((NAME, 15))
        .background_style(WHITE.mix(0.9))
        .border_style(RGBColor(180, 180, 180))
        .draw()?;
    area.present()?;
    Ok(())
}
