//! `dual-mcmc sample`.

use super::arguments::{ChainOptions, Device, Output, count, distinct};
use crate::console::say;
use crate::data::{atomic, npy};
use crate::run::chains;
use crate::run::pictures::{self, Panel};
use crate::run::{device, model_file};
use anyhow::{Context, Result};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use dual_mcmc::jobs::{Sampling, Start};
use dual_mcmc::model::Model;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Sample {
    /// The model, a .safetensors file
    model: PathBuf,
    /// An .npy array [N, C, H, W] or [N, D], or a .png picture
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Number of samples
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = count)]
    count: usize,
    /// Energy of every chain before each step and after the last, as CSV
    #[arg(long, value_name = "FILE.csv")]
    trace: Option<PathBuf>,
    /// Where the chains start [default: the generator if the model has one, else noise]
    #[arg(long, value_parser = start(), help_heading = "Chain")]
    init: Option<Start>,
    /// Accept or reject each step, so that the chain is exact (Metropolis-adjusted Langevin)
    #[arg(long, help_heading = "Chain")]
    mala: bool,
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    device: Device,
}

/// The name of a start.
fn start() -> impl TypedValueParser<Value = Start> {
    PossibleValuesParser::new(Start::ALL.map(|start| {
        clap::builder::PossibleValue::new(start.name()).help(match start {
            Start::Generator => "The generator's samples; with --steps 0 they are the result",
            Start::Noise => "Standard normal for vectors, uniform in [-1, 1] for images",
        })
    }))
    .map(|name| Start::from_name(&name).unwrap_or(Start::Noise))
}

/// Four digits of a number that may be 1 or a millionth.
fn temperature(t: f32) -> String {
    if t == 0.0 || t >= 1e-3 { format!("{t:.4}") } else { format!("{t:.3e}") }
}

impl Sample {
    pub fn run(self) -> Result<()> {
        let model = model_file::read(&self.model)?;
        let shape = model.data_shape();
        let out = Output::new(&self.out, &shape)?;
        if let Some(trace) = &self.trace {
            atomic::check_writable(trace)?;
        }
        let outputs = [self.out.as_path()].into_iter().chain(self.trace.as_deref());
        distinct([self.model.as_path()], outputs)?;
        let sampling = self.sampling(&model)?;
        let executor = device::executor(self.device.device)?;
        say!(
            "{} samples, {} steps of size {} with noise {} (temperature {}) on {}",
            sampling.count,
            sampling.steps,
            sampling.langevin.step_size,
            sampling.langevin.noise,
            temperature(sampling.langevin.temperature()),
            executor.name()
        );
        let sampled = chains::sample(&executor, &model, &sampling, self.trace.is_some())?;
        chains::check_sampled(&executor, &model, &sampled)?;
        if let Some(acceptance) = sampled.acceptance {
            say!("{:.1}% of the proposals were accepted", 100.0 * acceptance);
        }
        if let Some(trace) = &self.trace {
            write_trace(trace, "energy", &sampled.trace)?;
        }
        match out {
            Output::Npy(path) => npy::write(&path, &[&[sampling.count], &shape[..]].concat(), &sampled.end),
            Output::Png(path) => {
                let panel = Panel { values: &sampled.end, shape: &shape };
                pictures::write(&path, &pictures::side_by_side(&[panel]))
            }
        }
    }

    /// The model's chain with the changes that the options make.
    fn sampling(&self, model: &Model) -> Result<Sampling> {
        let mut sampling = Sampling::changed(model, self.count, self.chain.seed, self.chain.changes())?;
        sampling.start = self.init.unwrap_or(sampling.start);
        sampling.langevin.mala |= self.mala;
        sampling.langevin.check().map_err(anyhow::Error::msg)?;
        Ok(sampling)
    }
}

/// One line for each step and chain.
pub fn write_trace(path: &Path, what: &str, rows: &[Vec<f32>]) -> Result<()> {
    atomic::write(path, |file| {
        let mut lines = || -> std::io::Result<()> {
            writeln!(file, "step,chain,{what}")?;
            for (step, row) in rows.iter().enumerate() {
                for (chain, value) in row.iter().enumerate() {
                    writeln!(file, "{step},{chain},{value}")?;
                }
            }
            Ok(())
        };
        lines().with_context(|| format!("cannot write {}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn traces_are_csv() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.csv");
        write_trace(&path, "energy", &[vec![1.5, 2.0], vec![-1.0, 0.25]]).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "step,chain,energy\n0,0,1.5\n0,1,2\n1,0,-1\n1,1,0.25\n");
    }
}
