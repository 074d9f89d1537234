//! `evaluate`: how good a model is, as figures.

mod diagnostics;
mod images;
mod outliers;
mod points;
mod similarity;

use super::features::Extractor;
use super::model_file;
use crate::data::{Dataset, Known};
use anyhow::Result;
pub use diagnostics::fill_lower_half;
use dual_mcmc::executor::Executor;
use dual_mcmc::jobs::{Changes, Sampling};
use dual_mcmc::model::Model;
pub use outliers::{auroc, foreign_samples};
pub use points::quality;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// An evaluation to be done: what is measured against what, and where.
pub struct Evaluation<'a> {
    /// The model.
    pub model: &'a Model,
    /// The data it was made for.
    pub data: &'a Dataset,
    /// Where the chains run.
    pub executor: &'a Executor,
    /// Samples to draw.
    pub count: Option<usize>,
    /// What distances of images are measured on, beside their pixels.
    pub extractors: &'a [Extractor<'a>],
    /// Training samples that those are measured against; all where it is `None`.
    pub reference: Option<usize>,
    /// Changes to the x-chain that the model recommends.
    pub chain: Changes,
    /// Seed of everything random.
    pub seed: u64,
}

impl Evaluation<'_> {
    /// The x-chains to be measured, `default` of them where no count is given.
    fn sampling(&self, default: usize) -> Result<Sampling> {
        let sampling = Sampling::changed(self.model, self.count.unwrap_or(default), self.seed, self.chain)?;
        if sampling.steps > 0 {
            model_file::energy(self.model)?;
        }
        Ok(sampling)
    }
}

/// Named figures, in the order in which they are to be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures(Vec<(String, Value)>);

impl Figures {
    /// The entries of an object.
    pub fn of(value: &Value) -> Figures {
        Figures(value.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect())
    }

    /// All of them as one JSON object.
    pub fn value(&self) -> Value {
        json!(self)
    }

    /// Each figure that is no group with its name, the names of its groups before it: for people.
    pub fn lines(&self) -> Vec<(String, String)> {
        fn below(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
            match value {
                Value::Object(inner) => inner.iter().for_each(|(inner, value)| {
                    below(&format!("{name}: {}", inner.replace('_', " ")), value, lines);
                }),
                _ => lines.push((name.into(), plain(value))),
            }
        }
        let mut lines = Vec::new();
        self.0.iter().for_each(|(name, value)| below(&name.replace('_', " "), value, &mut lines));
        lines
    }

    fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.push((name.into(), value.into()));
    }
}

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// All figures, by name: those of points for a synthetic set, else distances and
/// displacement; reconstruction errors, energies, and what becomes of long chains for both.
///
/// # Errors
/// If the model lacks a network, its chains diverge, or the executor fails.
pub fn evaluate(job: &Evaluation) -> Result<Figures> {
    match job.data.known {
        Some(Known::Points(set)) => points::evaluate(job, set),
        _ => images::evaluate(job),
    }
}

/// The figures for people: one a line, nested ones indented, long lists by their ends.
pub fn table(figures: &Figures) -> String {
    let mut text = String::new();
    figures.0.iter().for_each(|(name, value)| line(name, value, 0, &mut text));
    text
}

fn line(name: &str, value: &Value, depth: usize, text: &mut String) {
    let (indent, name) = ("  ".repeat(depth), name.replace('_', " "));
    match value {
        Value::Object(inner) => {
            text.push_str(&format!("{indent}{name}\n"));
            inner.iter().for_each(|(name, value)| line(name, value, depth + 1, text));
        }
        _ => text.push_str(&format!("{indent}{name:width$} {}\n", plain(value), width = 40 - 2 * depth)),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Number(n) if n.is_f64() => {
            let v = n.as_f64().unwrap_or(f64::NAN);
            if v != 0.0 && v.abs() < 1e-3 { format!("{v:.3e}") } else { format!("{v:.4}") }
        }
        Value::Array(values) if values.len() > 4 => match (values.first(), values.last()) {
            (Some(first), Some(last)) => format!("{} … {}", plain(first), plain(last)),
            _ => String::new(),
        },
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Mean of `values`.
fn mean(values: impl IntoIterator<Item = f32>) -> f64 {
    let (sum, n) = values.into_iter().fold((0.0, 0usize), |(sum, n), v| (sum + f64::from(v), n + 1));
    sum / n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_for_each_figure() {
        let mut figures = Figures::default();
        figures.insert("samples", 5000);
        figures.insert("a_chain", json!({ "distance": 1.25, "trace": [3.0, 2.0, 1.5, 1.0, 0.5] }));
        assert_eq!(figures.lines()[1], ("a chain: distance".into(), "1.2500".into()));
        let text = table(&figures);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4);
        assert!(lines[0].starts_with("samples") && lines[0].ends_with("5000"));
        assert!(lines[2].starts_with("  distance") && lines[2].ends_with("1.2500"));
        assert!(lines[3].ends_with("3.0000 … 0.5000"));
    }
}
