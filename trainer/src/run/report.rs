//! report.html: what a run, or several side by side, came to. One file, with everything in it.

use super::directory::RunDirectory;
use super::progress::clock;
use crate::data::atomic;
use crate::recipe::Recipe;
use crate::teaching::Phase;
use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use plotters::prelude::*;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Points of a curve at most: more than a screen shows.
const POINTS: usize = 600;

/// Curves of so few points show them.
const MARKED: usize = 20;

/// Colours of the curves, distinguishable for most eyes (Okabe & Ito).
const COLOURS: [RGBColor; 6] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
];

/// The figures of metrics.jsonl that are drawn: titles, and the keys with their names.
const CURVES: [(&str, &[(&str, &str)]); 6] = [
    ("Energy of data and of negatives", &[("energy_data", "E(x)"), ("energy_model", "E(x̃')")]),
    ("Energy gap E(x) - E(x̃')", &[("energy_gap", "gap")]),
    (
        "Squared errors that teach the generator",
        &[("generator_data_error", "‖g(z̃) - x‖²"), ("generator_ebm_error", "‖g(z) - x̃‖²")],
    ),
    (
        "Losses that teach the encoder",
        &[("encoder_data_loss", "NLL(z̃; q(·|x))"), ("encoder_model_loss", "NLL(z; q(·|x̃))")],
    ),
    ("How far the x-chain moves, ‖x̃ - x̂‖/‖x̂‖", &[("displacement", "displacement")]),
    ("Share of the x-chain's proposals accepted", &[("x_chain_acceptance", "acceptance")]),
];

/// A run as its folder shows it.
struct ReportedRun {
    name: String,
    recipe: Recipe,
    origin: Value,
    metrics: Vec<Value>,
    measurements: Vec<Value>,
    samples: Option<PathBuf>,
    reconstructions: Option<PathBuf>,
}

impl ReportedRun {
    fn read(root: &Path) -> Result<ReportedRun> {
        let directory = RunDirectory::new(root);
        let (recipe, origin) = directory.open()?;
        let name = root.file_name().map_or_else(|| recipe.name.clone(), |n| n.to_string_lossy().into_owned());
        Ok(ReportedRun {
            name,
            recipe,
            origin: serde_json::to_value(origin)?,
            metrics: lines(&directory.metrics())?,
            measurements: lines(&directory.measurements())?,
            samples: latest(&directory.samples()),
            reconstructions: latest(&directory.reconstructions()),
        })
    }

    /// A figure over the iterations, thinned.
    fn curve(&self, key: &str) -> Vec<(f64, f64)> {
        let of = |line: &Value| Some((line["iteration"].as_f64()?, line[key].as_f64()?));
        let all: Vec<_> = self.metrics.iter().filter_map(of).collect();
        let every = all.len().div_ceil(POINTS).max(1);
        all.chunks(every).map(|part| (part[part.len() - 1].0, mean(part.iter().map(|p| p.1)))).collect()
    }

    /// What the three pictures of samples are.
    fn samples_caption(&self) -> &'static str {
        match (&self.recipe.generator, &self.recipe.energy) {
            (Some(_), Some(_)) => "Held-out data, the generator's samples, the same after the x-chain.",
            (Some(_), None) => "Held-out data, and twice the generator's samples: there is no x-chain.",
            (None, _) => "Held-out data, the noise that x-chains start from, the same after the x-chain.",
        }
    }

    /// The figure of merit's name, where it was measured.
    fn merit(&self) -> Option<String> {
        let keys = self.measurements.last()?.as_object()?.keys();
        keys.into_iter().find(|k| k.starts_with("log_likelihood") || k.starts_with("frechet")).cloned()
    }

    /// A list in the last measurement, numbered from 0.
    fn along(&self, key: &str) -> Vec<(f64, f64)> {
        let values = self.measurements.last().and_then(|line| line[key].as_array());
        let values = values.into_iter().flatten().filter_map(Value::as_f64);
        values.enumerate().map(|(step, value)| (step as f64, value)).collect()
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}

fn lines(path: &Path) -> Result<Vec<Value>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    // A broken last line is of a run that is being written, or was killed.
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

/// The picture of the highest iteration.
fn latest(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    entries.filter(|path| path.extension().is_some_and(|e| e == "png")).max()
}

/// Write the report of one run, or of several side by side, to `out`.
///
/// # Errors
/// If a folder holds no run, or a file cannot be read or written.
pub fn write(runs: &[PathBuf], out: &Path) -> Result<()> {
    atomic::write_bytes(out, page(runs)?.as_bytes())
}

/// The report of one run, or of several side by side, as HTML.
///
/// # Errors
/// If a folder holds no run, or a file cannot be read.
pub fn page(runs: &[PathBuf]) -> Result<String> {
    ensure!(!runs.is_empty(), "name at least one run's folder");
    html(&runs.iter().map(|root| ReportedRun::read(root)).collect::<Result<Vec<_>>>()?)
}

fn html(runs: &[ReportedRun]) -> Result<String> {
    let title = runs.iter().map(|run| run.name.as_str()).collect::<Vec<_>>().join(", ");
    let several = runs.len() > 1;
    let pictures = runs.iter().map(|run| pictures(run, several)).collect::<Result<Vec<_>>>()?;
    let charts = charts(runs)?;
    let recipe =
        |run: &ReportedRun| run.recipe.published(run.origin["data"].as_str().unwrap_or_default()).to_toml();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { (title) }
                meta name="viewport" content="width=device-width";
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                (summary(runs))
                div.charts {
                    @for Chart { title, svg } in charts {
                        figure {
                            figcaption { (title) }
                            div role="img" aria-label=(title) { (PreEscaped(svg)) }
                        }
                    }
                }
                @for picture in pictures { (picture) }
                @for run in runs {
                    details {
                        summary { "The recipe of " (run.name) }
                        pre { (recipe(run)) }
                    }
                }
            }
        }
    };
    Ok(page.into_string())
}

/// A curve, or several in one picture.
pub struct Chart {
    /// What is drawn.
    pub title: String,
    /// The picture, as SVG.
    pub svg: String,
}

/// The curves of a run.
///
/// # Errors
/// If the folder holds no run, or a file cannot be read.
pub fn charts_of(root: &Path) -> Result<Vec<Chart>> {
    charts(&[ReportedRun::read(root)?])
}

/// All curves of the runs.
fn charts(runs: &[ReportedRun]) -> Result<Vec<Chart>> {
    let several = runs.len() > 1;
    let mut charts = Vec::new();
    for (title, curves) in CURVES {
        let pairs = runs.iter().flat_map(|run| curves.iter().map(move |(key, name)| (run, key, name)));
        let series = pairs.map(|(run, key, name)| (labelled(runs, run, name), run.curve(key))).collect();
        charts.push(chart(several, title, "iteration", series)?);
    }
    let mut merits: Vec<String> = runs.iter().filter_map(ReportedRun::merit).collect();
    merits.sort();
    merits.dedup();
    for merit in merits {
        let point = |line: &Value| Some((line["iteration"].as_f64()?, line[&merit].as_f64()?));
        let of = |run: &ReportedRun| run.measurements.iter().filter_map(point).collect();
        let series = runs.iter().map(|run| (run.name.clone(), of(run))).collect();
        charts.push(chart(several, &merit.replace('_', " "), "iteration", series)?);
    }
    for (key, title) in [
        ("energy_along_the_x_chain", "Mean energy along the model's x-chain"),
        ("error_along_the_z_chain", "Mean squared error along the model's z-chain"),
    ] {
        let series = runs.iter().map(|run| (run.name.clone(), run.along(key))).collect();
        charts.push(chart(several, title, "step", series)?);
    }
    Ok(charts.into_iter().flatten().collect())
}

/// The latest pictures of a run.
fn pictures(run: &ReportedRun, several: bool) -> Result<Markup> {
    let heading = if several { format!("{}: ", run.name) } else { String::new() };
    let reconstructions = "Held-out data, the encoder's guess, after the z-chain.";
    let mut pictures = Vec::new();
    for (path, title, caption) in [
        (&run.samples, "samples", run.samples_caption()),
        (&run.reconstructions, "reconstructions", reconstructions),
    ] {
        if let Some(path) = path {
            pictures.push(picture(path, &format!("{heading}{title}"), caption)?);
        }
    }
    Ok(html! { @for picture in pictures { (picture) } })
}

fn labelled(runs: &[ReportedRun], run: &ReportedRun, name: &str) -> String {
    if runs.len() > 1 { format!("{} {name}", run.name) } else { name.into() }
}

/// A table with a column for each run.
fn summary(runs: &[ReportedRun]) -> Markup {
    let mut rows: Vec<(&str, Vec<Option<String>>)> = Vec::new();
    let mut row = |name: &'static str, of: &dyn Fn(&ReportedRun) -> Option<String>| {
        rows.push((name, runs.iter().map(of).collect()));
    };
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let last = |run: &ReportedRun, key: &str| text(&run.measurements.last()?[key]);
    let number = |v: f64| format!("{v:.4}");
    row("run", &|run| Some(run.name.clone()));
    row("data", &|run| text(&run.origin["data"]));
    row("training samples", &|run| text(&run.origin["samples"]));
    row("seed", &|run| text(&run.origin["seed"]));
    row("device", &|run| last(run, "device"));
    row("iterations", &|run| text(&run.metrics.last()?["iteration"]));
    row("time", &|run| run.metrics.last()?["seconds"].as_f64().map(clock));
    row("figure of merit", &|run| {
        let merit = run.merit()?;
        let value = run.measurements.last()?[&merit].as_f64()?;
        Some(format!("{} {}", merit.replace('_', " "), number(value)))
    });
    row("divergences", &|run| last(run, "divergences"));
    row("milliseconds of an iteration", &|run| {
        let phases = run.measurements.last()?["phase_milliseconds"].as_object()?;
        let part =
            |phase: Phase| Some(format!("{} {:.1}", phase.name(), phases.get(phase.name())?.as_f64()?));
        Some(Phase::ALL.into_iter().filter_map(part).collect::<Vec<_>>().join(", "))
    });
    row("program", &|run| text(&run.origin["version"]));
    rows.retain(|(_, cells)| cells.iter().any(Option::is_some));
    html! {
        table {
            @for (name, cells) in rows {
                tr {
                    th { (name) }
                    @for cell in cells { td { (cell.unwrap_or_default()) } }
                }
            }
        }
    }
}

/// A line chart, unless there is nothing to draw. A single curve is named by the title alone, except among `several`
/// runs.
pub fn chart(
    several: bool,
    title: &str,
    x_label: &str,
    series: Vec<(String, Vec<(f64, f64)>)>,
) -> Result<Option<Chart>> {
    let series: Vec<_> = series
        .into_iter()
        .map(|(name, points)| {
            let finite: Vec<_> = points.into_iter().filter(|p| p.1.is_finite()).collect();
            (name, finite)
        })
        .filter(|(_, points)| !points.is_empty())
        .collect();
    let all = || series.iter().flat_map(|(_, points)| points.iter());
    let range = |of: fn(&(f64, f64)) -> f64| {
        let (low, high) =
            all().map(of).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let margin = if high > low { 0.03 * (high - low) } else { 0.5 * high.abs().max(1.0) };
        (low - margin)..(high + margin)
    };
    if series.is_empty() {
        return Ok(None);
    }
    let mut svg = String::new();
    let named = several || series.len() > 1;
    draw(&mut svg, x_label, &series, named, range(|p| p.0), range(|p| p.1))
        .map_err(|e| anyhow!("cannot draw: {e}"))?;
    Ok(Some(Chart { title: title.into(), svg }))
}

fn draw(
    svg: &mut String,
    x_label: &str,
    series: &[(String, Vec<(f64, f64)>)],
    named: bool,
    x: std::ops::Range<f64>,
    y: std::ops::Range<f64>,
) -> Result<(), Box<dyn std::error::Error>> {
    // Room for the names above the curves.
    let names = if named { series.len() } else { 0 };
    let y = y.start..y.end + 0.1 * names as f64 * (y.end - y.start);
    let area = SVGBackend::with_string(svg, (440, 280)).into_drawing_area();
    area.fill(&WHITE)?;
    let font = ("sans-serif", 13);
    let mut chart = ChartBuilder::on(&area)
        .margin(8)
        .x_label_area_size(34)
        .y_label_area_size(56)
        .build_cartesian_2d(x, y)?;
    let number = |v: &f64| format!("{}", (v * 1e6).round() / 1e6 + 0.0);
    chart
        .configure_mesh()
        .x_desc(x_label)
        .x_labels(6)
        .x_label_formatter(&number)
        .y_label_formatter(&number)
        .label_style(font)
        .light_line_style(WHITE)
        .draw()?;
    for ((name, points), colour) in series.iter().zip(COLOURS.iter().cycle()) {
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2));
        let legend = move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2));
        chart.draw_series(line)?.label(name).legend(legend);
        if points.len() <= MARKED {
            chart.draw_series(points.iter().map(|p| Circle::new(*p, 3, colour.filled())))?;
        }
    }
    if names > 0 {
        let mut labels = chart.configure_series_labels();
        labels.label_font(font).position(SeriesLabelPosition::UpperRight).draw()?;
    }
    area.present()?;
    drop(chart);
    Ok(())
}

fn picture(path: &Path, title: &str, caption: &str) -> Result<Markup> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let iteration = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let iteration = iteration.trim_start_matches('0');
    let source = format!("data:image/png;base64,{}", BASE64_STANDARD.encode(bytes));
    Ok(html! {
        h2 { (title) " at iteration " (iteration) }
        p { (caption) }
        img alt=(title) src=(source);
    })
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:75rem;margin:2rem auto;padding:0 1rem;\
color:#222;background:#fff}h1,h2{font-weight:600}table{border-collapse:collapse}\
th,td{text-align:left;padding:.2rem 1.5rem .2rem 0;vertical-align:top}\
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,24rem),1fr));gap:1rem;margin:1.5rem 0}\
figure{margin:0}figcaption{font-weight:600}svg{width:100%;height:auto}\
img{max-width:100%;image-rendering:pixelated}pre{overflow:auto;background:#f5f5f5;padding:1rem}";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn text_from_files_cannot_become_markup() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0007.png");
        std::fs::write(&path, b"png").unwrap();
        let page = picture(&path, "<b a=\"1\">&", "a < b").unwrap().into_string();
        assert!(page.contains("&lt;b a=&quot;1&quot;&gt;&amp; at iteration 7"), "{page}");
        assert!(!page.contains("<b"), "{page}");
    }

    #[test]
    fn charts_leave_out_what_is_not_finite_and_draw_constants() {
        let nothing = chart(false, "t", "x", vec![("a".into(), vec![(0.0, f64::NAN)])]).unwrap();
        assert!(nothing.is_none());
        let flat = vec![(0.0, 2.0), (1.0, 2.0), (2.0, f64::INFINITY)];
        let page = chart(true, "t", "x", vec![("a < b".into(), flat)]).unwrap().unwrap().svg;
        assert!(page.contains("<svg") && page.contains("a &lt; b"), "{page}");
    }
}
