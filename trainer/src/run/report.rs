//! report.html: what a run, or several side by side, came to. One file, with everything in it.

use super::directory::RunDirectory;
use super::progress::clock;
use crate::data::atomic;
use crate::recipe::Recipe;
use crate::teaching::Phase;
use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use plotters::prelude::*;
use serde_json::Value;
use std::fmt::Write;
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

/// A run as its folder tells it.
struct Told {
    name: String,
    recipe: Recipe,
    origin: Value,
    metrics: Vec<Value>,
    measurements: Vec<Value>,
    samples: Option<PathBuf>,
    reconstructions: Option<PathBuf>,
}

impl Told {
    fn read(root: &Path) -> Result<Told> {
        let directory = RunDirectory::new(root);
        let (recipe, origin) = directory.open()?;
        let name = root.file_name().map_or_else(|| recipe.name.clone(), |n| n.to_string_lossy().into_owned());
        Ok(Told {
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
    ensure!(!runs.is_empty(), "name at least one run's folder");
    let runs = runs.iter().map(|root| Told::read(root)).collect::<Result<Vec<_>>>()?;
    atomic::write_bytes(out, html(&runs)?.as_bytes())
}

fn html(runs: &[Told]) -> Result<String> {
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let title = escaped(&names.join(", "));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>\n\
         <h1>{title}</h1>\n"
    );
    page.push_str(&summary(runs));
    page.push_str("<div class=\"charts\">\n");
    let several = runs.len() > 1;
    for (title, curves) in CURVES {
        let mut series = Vec::new();
        for run in runs {
            for (key, name) in curves {
                series.push((labelled(runs, run, name), run.curve(key)));
            }
        }
        chart(&mut page, several, title, "iteration", series)?;
    }
    let mut merits: Vec<String> = runs.iter().filter_map(Told::merit).collect();
    merits.sort();
    merits.dedup();
    for merit in merits {
        let point = |line: &Value| Some((line["iteration"].as_f64()?, line[&merit].as_f64()?));
        let series = runs
            .iter()
            .map(|run| (run.name.clone(), run.measurements.iter().filter_map(point).collect()))
            .collect();
        chart(&mut page, several, &merit.replace('_', " "), "iteration", series)?;
    }
    for (key, title) in [
        ("energy_along_the_x_chain", "Mean energy along the model's x-chain"),
        ("error_along_the_z_chain", "Mean squared error along the model's z-chain"),
    ] {
        chart(
            &mut page,
            several,
            title,
            "step",
            runs.iter().map(|run| (run.name.clone(), run.along(key))).collect(),
        )?;
    }
    page.push_str("</div>\n");
    for run in runs {
        let heading = if several { format!("{}: ", escaped(&run.name)) } else { String::new() };
        for (path, title, caption) in [
            (&run.samples, "samples", run.samples_caption()),
            (
                &run.reconstructions,
                "reconstructions",
                "Held-out data, the encoder's guess, after the z-chain.",
            ),
        ] {
            if let Some(path) = path {
                picture(&mut page, path, &format!("{heading}{title}"), caption)?;
            }
        }
    }
    for run in runs {
        let name = escaped(&run.name);
        writeln!(
            page,
            "<details><summary>The recipe of {name}</summary><pre>{}</pre></details>",
            escaped(&run.recipe.published(run.origin["data"].as_str().unwrap_or_default()).to_toml())
        )?;
    }
    page.push_str("</body></html>\n");
    Ok(page)
}

fn labelled(runs: &[Told], run: &Told, name: &str) -> String {
    if runs.len() > 1 { format!("{} {name}", run.name) } else { name.into() }
}

/// A table with a column for each run.
fn summary(runs: &[Told]) -> String {
    let mut table = String::from("<table>\n");
    let mut row = |name: &str, of: &dyn Fn(&Told) -> Option<String>| {
        let cells: Vec<Option<String>> = runs.iter().map(of).collect();
        if cells.iter().any(Option::is_some) {
            let cells: String =
                cells.iter().map(|c| format!("<td>{}</td>", escaped(c.as_deref().unwrap_or("")))).collect();
            table.push_str(&format!("<tr><th>{name}</th>{cells}</tr>\n"));
        }
    };
    let text = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let last = |run: &Told, key: &str| text(&run.measurements.last()?[key]);
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
    table.push_str("</table>\n");
    table
}

/// A line chart, unless there is nothing to draw.
fn chart(
    page: &mut String,
    several: bool,
    title: &str,
    x_label: &str,
    series: Vec<(String, Vec<(f64, f64)>)>,
) -> Result<()> {
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
        return Ok(());
    }
    let mut svg = String::new();
    // The title says what a single curve of a single run is.
    let named = several || series.len() > 1;
    draw(&mut svg, x_label, &series, named, range(|p| p.0), range(|p| p.1))
        .map_err(|e| anyhow!("cannot draw: {e}"))?;
    let label = escaped(title);
    writeln!(
        page,
        "<figure><figcaption>{label}</figcaption><div role=\"img\" aria-label=\"{label}\">{svg}</div></figure>"
    )?;
    Ok(())
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

fn picture(page: &mut String, path: &Path, title: &str, caption: &str) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let iteration = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
    let iteration = iteration.trim_start_matches('0');
    writeln!(
        page,
        "<h2>{title} at iteration {}</h2>\n<p>{}</p>\n<img alt=\"{title}\" src=\"data:image/png;base64,{}\">",
        escaped(iteration),
        escaped(caption),
        BASE64_STANDARD.encode(bytes)
    )?;
    Ok(())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
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
        assert_eq!(escaped("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }

    #[test]
    fn charts_leave_out_what_is_not_finite_and_draw_constants() {
        let mut page = String::new();
        chart(&mut page, false, "t", "x", vec![("a".into(), vec![(0.0, f64::NAN)])]).unwrap();
        assert_eq!(page, "");
        let flat = vec![(0.0, 2.0), (1.0, 2.0), (2.0, f64::INFINITY)];
        chart(&mut page, true, "a < b", "x", vec![("c".into(), flat)]).unwrap();
        assert!(page.contains("<svg") && page.contains("a &lt; b"), "{page}");
    }
}
