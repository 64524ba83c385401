//! Grouped bars as SVG.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 300.0;
const COLOURS: [&str; 5] = ["#8c8c8c", "#5b8ff9", "#1d4fd8", "#f6a35b", "#d8501d"];

/// One group per entry of `groups`, one bar in it per series.
pub(crate) fn bars(title: &str, groups: &[String], series: &[(&str, Vec<f64>)]) -> String {
    let highest =
        series.iter().flat_map(|(_, values)| values).fold(1.0_f64, |highest, value| highest.max(*value));
    let top = nice(highest);
    let mut svg = String::new();
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\"><rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"15\">{title}</text>"
    );
    legend(&mut svg, series);
    axis(&mut svg, top);
    let group_width = (WIDTH - LEFT - 20.0) / count(groups.len());
    let bar_width = group_width * 0.8 / count(series.len());
    for (at, group) in groups.iter().enumerate() {
        let left = LEFT + group_width * index(at) + group_width * 0.1;
        for (number, (_, values)) in series.iter().enumerate() {
            let value = values.get(at).copied().unwrap_or_default();
            let height = (BOTTOM - TOP) * value / top;
            let (x, y) = (left + bar_width * index(number), BOTTOM - height);
            let colour = colour(number, series.len());
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" font-size=\"9\" text-anchor=\"middle\">{}</text>",
                bar_width - 2.0,
                x + bar_width / 2.0,
                y - 3.0,
                short(value)
            );
        }
        let middle = left + group_width * 0.4;
        let _ = writeln!(
            svg,
            "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{group}</text>",
            BOTTOM + 18.0
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn legend(svg: &mut String, series: &[(&str, Vec<f64>)]) {
    for (number, (name, _)) in series.iter().enumerate() {
        let x = LEFT + 138.0 * index(number);
        let colour = colour(number, series.len());
        let _ = writeln!(
            svg,
            "<rect x=\"{x}\" y=\"30\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"39\">{name}</text>",
            x + 14.0
        );
    }
}

fn axis(svg: &mut String, top: f64) {
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let y = BOTTOM - (BOTTOM - TOP) * share;
        let _ = writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{y}\" x2=\"{}\" y2=\"{y}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            WIDTH - 20.0,
            LEFT - 6.0,
            y + 4.0,
            short(top * share)
        );
    }
}

/// Without the first colour when the app itself is not shown.
fn colour(number: usize, of: usize) -> &'static str {
    let skipped = COLOURS.len().saturating_sub(of);
    COLOURS.get(number + skipped).copied().unwrap_or("#000")
}

/// The next of 1, 2, 2.5, 5 times a power of ten.
fn nice(value: f64) -> f64 {
    let power = 10.0_f64.powf(value.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|step| step * power)
        .find(|step| *step >= value)
        .unwrap_or(value)
}

fn short(value: f64) -> String {
    if value >= 1_000.0 { format!("{:.1}k", value / 1_000.0) } else { format!("{value:.0}") }
}

fn index(number: usize) -> f64 {
    u32::try_from(number).map_or(0.0, f64::from)
}

fn count(number: usize) -> f64 {
    index(number).max(1.0)
}
