//! metrics.jsonl: one JSON object for each logged iteration.

use crate::data::atomic;
use crate::teaching::Report;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// An open file of JSON lines.
pub struct Lines {
    file: File,
    path: PathBuf,
}

impl Lines {
    /// Open `path` to go on after `iteration`: lines of later iterations, which a run wrote before
    /// it was killed, and a broken last line are dropped.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(path: &Path, iteration: u64) -> Result<Lines> {
        let cannot = || format!("cannot write {}", path.display());
        if path.exists() {
            let text = std::fs::read_to_string(path).with_context(cannot)?;
            let valid = |line: &&str| {
                let value: Option<Value> = serde_json::from_str(line).ok();
                value.and_then(|v| v["iteration"].as_u64()).is_some_and(|i| i <= iteration)
            };
            let kept: String = text.lines().filter(valid).flat_map(|line| [line, "\n"]).collect();
            if kept != text {
                atomic::write_bytes(path, kept.as_bytes())?;
            }
        }
        let file = OpenOptions::new().create(true).append(true).open(path).with_context(cannot)?;
        Ok(Lines { file, path: path.into() })
    }

    /// Append a line.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, value: &Value) -> Result<()> {
        writeln!(self.file, "{value}").with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// The object of one iteration. Energies are as the network gives them, not divided by T; errors
/// are sums over a sample, means over the batch. What the recipe does not have is left out.
pub fn object(report: &Report, seconds: f64) -> Value {
    let mut object = json!({
        "iteration": report.iteration,
        "energy_data": report.energy_data,
        "energy_model": report.energy_model,
        "energy_gap": report.energy_gap(),
        "energy_loss": report.energy_loss,
        "generator_data_error": report.generator_data_error,
        "generator_ebm_error": report.generator_ebm_error,
        "encoder_data_loss": report.encoder_data_loss,
        "encoder_model_loss": report.encoder_model_loss,
        "displacement": report.displacement,
        "x_chain_energy": report.x_chain_energy,
        "x_chain_acceptance": report.x_chain_acceptance,
        "z_chain_error": report.z_chain_error,
        "rate_energy": report.rates.energy,
        "rate_generator": report.rates.generator,
        "rate_encoder": report.rates.encoder,
        "seconds": milliseconds(seconds),
    });
    if let Some(entries) = object.as_object_mut() {
        entries.retain(|_, value| !value.is_null());
    }
    object
}

/// Seconds, to the millisecond.
pub fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn reopening_drops_what_comes_after_the_checkpoint() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut lines = Lines::open(&path, 0).unwrap();
        for iteration in 1..=5 {
            lines.write(&json!({ "iteration": iteration })).unwrap();
        }
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"iterat");
        std::fs::write(&path, text).unwrap();
        let mut lines = Lines::open(&path, 3).unwrap();
        lines.write(&json!({ "iteration": 4, "again": true })).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let numbers: Vec<u64> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["iteration"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
        assert!(text.contains("again"));
    }
}
