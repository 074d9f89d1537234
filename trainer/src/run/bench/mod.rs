//! How fast it is here: a training iteration with its phases, and the chains alone.

mod chains;
mod training;
mod tune;

use super::device::{self, TrainingDevice};
use crate::recipe::Recipe;
use anyhow::{Context, Result, ensure};
pub use chains::Network;
use dual_mcmc::executor::Executor;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum What {
    /// A training iteration and its phases
    Training,
    /// Steps of the x-chain and the z-chain
    Chains,
    /// Every kernel that a GPU may choose, for each layer: for its table of kernels
    Tune,
}

/// Which kernels run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum KernelSet {
    /// The fused kernels, which everything runs on
    #[default]
    Fused,
    /// Plain kernels, one for each layer and direction, for comparison
    Plain,
}

/// The settings of a benchmark.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What is measured: everything where this is empty.
    pub what: Vec<What>,
    /// Time for each figure.
    pub time: Duration,
    /// Dotted keys and values that are changed in the recipes whose iterations are timed.
    pub overrides: Vec<(String, String)>,
    /// Networks whose chains are timed, and, of ring and Fashion-MNIST, the iterations.
    pub networks: Vec<Network>,
    /// Numbers of chains.
    pub chains: Vec<usize>,
    /// Kernels of the chains.
    pub kernels: KernelSet,
    /// Whether each kernel is timed by itself, too.
    pub kernel_times: bool,
}

/// Time everything for about as long as the settings say, on noise instead of data. Chains are timed on a single
/// device of this machine.
///
/// # Errors
/// If a device fails.
pub fn run(devices: &[TrainingDevice], settings: &Settings) -> Result<Value> {
    let wanted = |what| settings.what.is_empty() || settings.what.contains(&what);
    let mut figures = json!({ "device": device::names(devices) });
    if let [device] = devices
        && let Some(executor) = device.chains()
        && wanted(What::Chains)
    {
        let executor = match (executor, settings.kernels) {
            (Executor::Gpu(gpu), KernelSet::Plain) => Executor::Gpu(gpu.clone().with_plain_kernels()),
            (executor, _) => executor.clone(),
        };
        let mut peak = None;
        if let Executor::Gpu(gpu) = &executor {
            let peaks = gpu.peaks(settings.time / 4)?;
            figures["peak_gigaflops"] = json!(peaks.gigaflops);
            figures["peak_gigabytes_a_second"] = json!(peaks.gigabytes);
            peak = Some(peaks.gigaflops);
        }
        figures["chains"] = chains::run(&executor, settings, peak)?;
    } else {
        ensure!(!settings.what.contains(&What::Chains), "chains are timed on one device of this machine");
    }
    if settings.what.contains(&What::Tune) {
        let [device] = devices else { anyhow::bail!("kernels are tuned on one device") };
        let (table, times) = tune::run(&device.executor, settings)?;
        figures["tuning"] = times;
        figures["table"] = json!(table);
    }
    if wanted(What::Training) {
        figures["training"] = training::run(devices, settings)?;
    }
    Ok(figures)
}

/// A recipe of this program, with other values.
fn recipe(text: &str, overrides: &[(String, String)]) -> Result<Recipe> {
    Recipe::parse_with(text, overrides).context("a recipe of this program")
}

/// Milliseconds that `step` takes, again and again for about `time`.
fn repeated(time: Duration, step: &mut dyn FnMut() -> Result<()>) -> Result<Vec<f64>> {
    let begin = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || begin.elapsed() < time {
        let start = Instant::now();
        step()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
