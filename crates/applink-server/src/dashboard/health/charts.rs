//! Charts as SVG, worked out here and drawn by a template: no script, no inline style, and the same numbers as a table
//! below for whoever reads rather than looks.

use askama::Template;

/// Width of the drawing, in its own units.
const WIDTH: u32 = 640;
/// Height of the drawing.
const HEIGHT: u32 = 160;
/// Room for the numbers on the left.
const LEFT: u32 = 44;
/// Room for the times below.
const BELOW: u32 = 18;
/// Room above the highest value.
const ABOVE: u32 = 8;
/// Colours the stylesheet has.
const COLOURS: usize = 8;
/// Labels along the time axis, at most.
const LABELS: usize = 6;

/// What one colour stands for, a value for each moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// What it is, for people.
    pub name: String,
    /// One value for each label; what is missing is 0.
    pub values: Vec<u64>,
}

/// How the values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Bars, one upon the other: parts of a sum.
    Stacked,
    /// Lines.
    Lines,
}

/// What is to be drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// Unique on the page, for what refers to the parts of the chart.
    pub id: String,
    /// The heading.
    pub title: String,
    /// What the numbers are: `calls`, `ms`.
    pub unit: &'static str,
    /// The moments, in order.
    pub labels: Vec<String>,
    /// The same, exact; for who has them in another zone.
    pub moments: Vec<String>,
    /// The series; those that are 0 throughout are left out.
    pub series: Vec<Series>,
    /// Bars or lines.
    pub style: Style,
}

/// A drawn chart.
#[derive(Clone, Debug, PartialEq, Template)]
#[template(path = "dashboard/chart.html")]
pub struct Chart {
    id: String,
    title: String,
    summary: String,
    unit: &'static str,
    width: u32,
    height: u32,
    baseline: u32,
    left: u32,
    areas: Vec<Area>,
    sums: Vec<Area>,
    lines: Vec<Line>,
    grid: Vec<Tick>,
    times: Vec<Tick>,
    legend: Vec<Legend>,
    labels: Vec<String>,
    rows: Vec<Row>,
    empty: bool,
}

/// A rectangle.
#[derive(Clone, Debug, PartialEq)]
struct Bar {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    colour: usize,
}

impl Bar {
    /// As a part of a path: a page with every bar as an element of its own would be twice as long.
    fn path(&self) -> String {
        let Self { x, y, width, height, .. } = self;
        format!("M{x} {y}h{width}v{height}h-{width}z")
    }
}

/// All bars of a colour, or the room of one slice: a path, and what it says on hover.
#[derive(Clone, Debug, PartialEq)]
struct Area {
    path: String,
    colour: usize,
    title: String,
}

/// A line through the values.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    points: String,
    colour: usize,
    title: String,
}

/// A mark on an axis.
#[derive(Clone, Debug, PartialEq)]
struct Tick {
    at: f64,
    text: String,
    /// When it is a time: which.
    exact: String,
}

/// What a colour stands for, and the sum or highest of its values.
#[derive(Clone, Debug, PartialEq)]
struct Legend {
    name: String,
    colour: usize,
    number: u64,
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    label: String,
    values: Vec<u64>,
}

/// Its template escapes what it holds.
impl askama::filters::HtmlSafe for Chart {}

impl Chart {
    /// Draws the data.
    pub fn of(data: Data) -> Self {
        let Data { id, title, unit, labels, moments, series, style } = data;
        let series: Vec<Series> =
            series.into_iter().filter(|one| one.values.iter().any(|value| *value > 0)).collect();
        let top = nice(highest(&series, labels.len(), style));
        let scale = Scale { count: labels.len().max(1), top };
        let (areas, lines) = match style {
            Style::Stacked => (areas(&stacked(&scale, &series), &series), Vec::new()),
            Style::Lines => (Vec::new(), lines(&scale, &series)),
        };
        let sums = if style == Style::Stacked { sums(&scale, &labels, &series) } else { Vec::new() };
        let legend = legend(&series, style);
        Self {
            summary: summary(&legend, unit, style),
            rows: rows(&labels, &series),
            grid: scale.grid(),
            times: scale.times(&labels, &moments),
            empty: series.is_empty(),
            id,
            title,
            unit,
            width: WIDTH,
            height: HEIGHT,
            baseline: HEIGHT - BELOW,
            left: LEFT,
            areas,
            sums,
            lines,
            legend,
            labels,
        }
    }
}

/// From values to places.
struct Scale {
    count: usize,
    top: u64,
}

impl Scale {
    fn step(&self) -> f64 {
        f64::from(WIDTH - LEFT) / as_float(self.count as u64)
    }

    fn width(&self) -> f64 {
        round((self.step() - 1.0).max(0.5))
    }

    fn x(&self, index: usize) -> f64 {
        round(f64::from(LEFT) + self.step() * as_float(index as u64))
    }

    fn y(&self, value: u64) -> f64 {
        let plot = f64::from(HEIGHT - BELOW - ABOVE);
        round(f64::from(HEIGHT - BELOW) - plot * (as_float(value) / as_float(self.top)).min(1.0))
    }

    fn grid(&self) -> Vec<Tick> {
        let values = [0, self.top / 2, self.top];
        values
            .into_iter()
            .map(|value| Tick { at: self.y(value), text: short(value), exact: String::new() })
            .collect()
    }

    fn times(&self, labels: &[String], moments: &[String]) -> Vec<Tick> {
        let every = labels.len().div_ceil(LABELS).max(1);
        let shown = labels.iter().enumerate().step_by(every);
        let exact = |index: usize| moments.get(index).cloned().unwrap_or_default();
        shown
            .map(|(index, text)| Tick { at: self.x(index), text: text.clone(), exact: exact(index) })
            .collect()
    }
}

fn stacked(scale: &Scale, series: &[Series]) -> Vec<Bar> {
    let mut bars = Vec::new();
    for index in 0..scale.count {
        let mut below = 0_u64;
        for (colour, one) in series.iter().enumerate() {
            let value = value(one, index);
            if value == 0 {
                continue;
            }
            let above = below.saturating_add(value);
            let (y, base) = (scale.y(above), scale.y(below));
            bars.push(Bar {
                x: scale.x(index),
                y,
                width: scale.width(),
                height: round(base - y),
                colour: colour % COLOURS,
            });
            below = above;
        }
    }
    bars
}

/// The bars of each series, in one.
fn areas(bars: &[Bar], series: &[Series]) -> Vec<Area> {
    let area = |(colour, one): (usize, &Series)| {
        let colour = colour % COLOURS;
        let path = bars.iter().filter(|bar| bar.colour == colour).map(Bar::path).collect();
        Area { path, colour, title: one.name.clone() }
    };
    series.iter().take(COLOURS).enumerate().map(area).collect()
}

/// Over each slice with anything in it, what it adds up to.
fn sums(scale: &Scale, labels: &[String], series: &[Series]) -> Vec<Area> {
    let sum = |(index, label): (usize, &String)| {
        let sum = series.iter().fold(0_u64, |sum, one| sum.saturating_add(value(one, index)));
        let (x, width) = (scale.x(index), scale.width());
        let path = format!("M{x} {ABOVE}h{width}v{}h-{width}z", HEIGHT - BELOW - ABOVE);
        (sum > 0).then(|| Area { path, colour: 0, title: format!("{label} UTC: {sum}") })
    };
    labels.iter().enumerate().filter_map(sum).collect()
}

fn lines(scale: &Scale, series: &[Series]) -> Vec<Line> {
    let middle = scale.step() / 2.0;
    let line = |(colour, one): (usize, &Series)| {
        let points = (0..scale.count)
            .map(|index| format!("{},{}", round(scale.x(index) + middle), scale.y(value(one, index))));
        Line {
            points: points.collect::<Vec<_>>().join(" "),
            colour: colour % COLOURS,
            title: one.name.clone(),
        }
    };
    series.iter().enumerate().map(line).collect()
}

fn legend(series: &[Series], style: Style) -> Vec<Legend> {
    let number = |one: &Series| match style {
        Style::Stacked => one.values.iter().fold(0_u64, |sum, value| sum.saturating_add(*value)),
        Style::Lines => one.values.iter().copied().max().unwrap_or_default(),
    };
    let named = series.iter().enumerate();
    named
        .map(|(colour, one)| Legend { name: one.name.clone(), colour: colour % COLOURS, number: number(one) })
        .collect()
}

/// What somebody hears who does not see the drawing.
fn summary(legend: &[Legend], unit: &str, style: Style) -> String {
    if legend.is_empty() {
        return "Nothing in this time.".to_owned();
    }
    let word = match style {
        Style::Stacked => "in all",
        Style::Lines => "at most",
    };
    let parts: Vec<String> =
        legend.iter().map(|one| format!("{}: {} {unit} {word}", one.name, one.number)).collect();
    format!("{}. The numbers are in the table below.", parts.join("; "))
}

fn rows(labels: &[String], series: &[Series]) -> Vec<Row> {
    let all = labels.iter().enumerate();
    let rows = all.map(|(index, label)| Row {
        label: label.clone(),
        values: series.iter().map(|one| value(one, index)).collect(),
    });
    rows.filter(|row| row.values.iter().any(|value| *value > 0)).collect()
}

fn value(series: &Series, index: usize) -> u64 {
    series.values.get(index).copied().unwrap_or_default()
}

fn highest(series: &[Series], count: usize, style: Style) -> u64 {
    let at = |index: usize| {
        let values = series.iter().map(|one| value(one, index));
        match style {
            Style::Stacked => values.fold(0_u64, u64::saturating_add),
            Style::Lines => values.max().unwrap_or_default(),
        }
    };
    (0..count).map(at).max().unwrap_or_default()
}

/// The next number of the kind 2, 4, 10, 20, 40, 100: its half is whole.
fn nice(value: u64) -> u64 {
    let mut decade = 1_u64;
    loop {
        for factor in [2, 4, 10] {
            let candidate = decade.saturating_mul(factor);
            if candidate >= value {
                return candidate;
            }
        }
        decade = decade.saturating_mul(10);
    }
}

fn short(value: u64) -> String {
    match value {
        0..10_000 => value.to_string(),
        10_000..10_000_000 => format!("{}k", value / 1000),
        _ => format!("{}M", value / 1_000_000),
    }
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[expect(clippy::cast_precision_loss, reason = "a place on a screen")]
fn as_float(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn data(style: Style, values: Vec<Vec<u64>>) -> Data {
        let count = values.iter().map(Vec::len).max().unwrap_or_default();
        Data {
            id: "calls".to_owned(),
            title: "Calls <b>".to_owned(),
            unit: "calls",
            labels: (0..count).map(|hour| format!("{hour:02}:00")).collect(),
            moments: Vec::new(),
            series: values
                .into_iter()
                .enumerate()
                .map(|(number, values)| Series { name: format!("<i>{number}"), values })
                .collect(),
            style,
        }
    }

    #[test]
    fn a_stack_is_as_high_as_its_sum() {
        let data = data(Style::Stacked, vec![vec![5, 0], vec![5, 2]]);
        let bars = stacked(&Scale { count: 2, top: 10 }, &data.series);
        assert_eq!(bars.len(), 3);
        assert_eq!((bars[1].y, bars[1].height), (f64::from(ABOVE), 67.0), "10 is the top");
        let chart = Chart::of(data);
        assert_eq!(chart.areas.iter().map(|one| one.path.matches('M').count()).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(
            chart.sums.iter().map(|one| one.title.as_str()).collect::<Vec<_>>(),
            ["00:00 UTC: 10", "01:00 UTC: 2"]
        );
        assert_eq!(chart.legend.iter().map(|one| one.number).collect::<Vec<_>>(), [5, 7]);
    }

    #[test]
    fn names_are_text_and_nothing_else() {
        let html = Chart::of(data(Style::Lines, vec![vec![1, 2, 3]])).render().unwrap();
        assert!(!html.contains("Calls <b>") && !html.contains("<i>"), "{html}");
        assert!(html.contains("<title id=\"calls-title\">") && html.contains("<table"), "{html}");
        assert!(!html.contains("style="), "{html}");
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        let html = Chart::of(data(Style::Stacked, vec![vec![0, 0]])).render().unwrap();
        assert!(html.contains("Nothing in this time."), "{html}");
    }

    proptest! {
        #[test]
        fn everything_stays_within_the_drawing(
            values in proptest::collection::vec(proptest::collection::vec(any::<u64>(), 0..70), 0..10),
            is_stacked in any::<bool>(),
        ) {
            let style = if is_stacked { Style::Stacked } else { Style::Lines };
            let data = data(style, values);
            let scale = Scale { count: data.labels.len().max(1), top: nice(highest(&data.series, data.labels.len(), style)) };
            let chart = Chart::of(data.clone());
            for bar in stacked(&scale, &data.series) {
                prop_assert!(bar.x >= f64::from(LEFT) && bar.x + bar.width <= f64::from(WIDTH) + 1.0);
                prop_assert!(bar.y >= 0.0 && bar.height >= 0.0);
                prop_assert!(bar.y + bar.height <= f64::from(HEIGHT));
            }
            for line in &chart.lines {
                for point in line.points.split(' ') {
                    let (x, y) = point.split_once(',').unwrap();
                    prop_assert!((0.0..=f64::from(WIDTH)).contains(&x.parse::<f64>().unwrap()));
                    prop_assert!((0.0..=f64::from(HEIGHT)).contains(&y.parse::<f64>().unwrap()));
                }
            }
        }

        #[test]
        fn the_top_is_never_below_the_highest(value in any::<u64>()) {
            let top = nice(value);
            prop_assert!(top >= value && (top.is_multiple_of(2) || top == u64::MAX));
        }
    }
}
