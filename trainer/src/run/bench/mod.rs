//! How fast it is here: a training iteration with its phases, and the x-chain alone.

use super::device::{self, TrainingDevice};
use super::phases::Phases;
use super::replicas::Replicas;
use crate::recipe::Recipe;
use crate::teaching::Batch;
use anyhow::{Context, Result};
use dual_mcmc::chain::ChainNoise;
use dual_mcmc::executor::Executor;
use dual_mcmc::model::Weighted;
use dual_mcmc::noise::{Noise, Stream};
use pollster::block_on;
use serde_json::{Map, Value, json};
use std::time::{Duration, Instant};

/// The recipes that are timed: a small one of vectors, and one of images.
const RECIPES: [&str; 2] =
    [include_str!("../../../recipes/ring.toml"), include_str!("../../../recipes/fashion-mnist.toml")];

/// Chains of the x-chain's own figure.
const CHAINS: [usize; 2] = [16, 64];

/// Iterations before the clock starts: pipelines are compiled, kernels chosen.
const WARM_UP: usize = 3;

/// Time everything for about `time` each, on noise instead of data. The x-chain alone is timed on a single
/// device of this machine.
///
/// # Errors
/// If a device fails.
pub fn run(devices: &[TrainingDevice], time: Duration) -> Result<Value> {
    let mut recipes = Map::new();
    for text in RECIPES {
        let recipe = Recipe::parse(text).context("a recipe of this program")?;
        let mut figures = iteration(&recipe, devices, time)?;
        if let [device] = devices
            && let Some(executor) = device.chains()
        {
            figures["x_chain"] = x_chain(&recipe, executor, time)?;
        }
        recipes.insert(recipe.name.clone(), figures);
    }
    Ok(json!({ "device": device::names(devices), "recipes": recipes }))
}

/// Milliseconds of a training iteration: the median, and the mean of each phase on the first device.
fn iteration(recipe: &Recipe, devices: &[TrainingDevice], time: Duration) -> Result<Value> {
    let mut replicas = Replicas::new(recipe, devices, 1)?;
    let count = recipe.teaching.batch;
    let values = Noise::new(1, Stream::Data).normal_rows(0, count, recipe.data_len(), 0);
    let batch = Batch {
        samples: (0..count).collect(),
        values: values.into_iter().map(|v| (0.5 * v).clamp(-1.0, 1.0)).collect(),
    };
    let phases = Phases::of(replicas.first_mut());
    let mut step = || -> Result<f64> {
        let start = Instant::now();
        replicas.step(batch.clone())?;
        phases.end();
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    for _ in 0..WARM_UP {
        step()?;
    }
    phases.look();
    let times = repeated(time, &mut step)?;
    Ok(json!({
        "batch": count,
        "iterations": times.len(),
        "iteration_milliseconds": median(times),
        "phase_milliseconds": phases.look(),
    }))
}

/// The x-chain of the recipe's energy, from noise, as many steps as the recipe's at a time.
fn x_chain(recipe: &Recipe, executor: &Executor, time: Duration) -> Result<Value> {
    let (Some(energy), Some(settings)) = (&recipe.energy, &recipe.x_chain) else { return Ok(Value::Null) };
    let settings = settings.settings();
    let network = energy.folded();
    let mut weights = vec![0.0; network.parameter_count()];
    Noise::new(1, Stream::Parameters).normals(0, 0, &mut weights);
    weights.iter_mut().for_each(|w| *w *= 0.05);
    // An input gradient takes about as many operations as the forward pass.
    let flops = 2 * network.flops()?;
    let weighted = Weighted { network, weights };
    let mut all = Map::new();
    for chains in CHAINS {
        let mut chain = executor.x_chain(&weighted, chains)?;
        let start = Noise::new(2, Stream::Start).normal_rows(0, chains, recipe.data_len(), 0);
        chain.start(&start, ChainNoise::new(1, Stream::XChain))?;
        let mut run = || -> Result<f64> {
            let start = Instant::now();
            chain.run(settings.steps, &settings.langevin)?;
            block_on(chain.state())?;
            Ok(start.elapsed().as_secs_f64() * 1e3 / f64::from(settings.steps))
        };
        run()?;
        let step = median(repeated(time / 2, &mut run)?);
        all.insert(
            format!("{chains}_chains"),
            json!({
                "milliseconds_a_step": step,
                "chain_steps_a_second": 1e3 * chains as f64 / step,
                "gigaflops": flops as f64 * chains as f64 / step / 1e6,
            }),
        );
    }
    Ok(all.into())
}

fn repeated(time: Duration, step: &mut dyn FnMut() -> Result<f64>) -> Result<Vec<f64>> {
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || start.elapsed() < time {
        times.push(step()?);
    }
    Ok(times)
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
