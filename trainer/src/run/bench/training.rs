//! A training iteration and its phases.

use super::{Network, Settings, median, recipe, repeated};
use crate::data::{Dataset, Samples};
use crate::recipe::Recipe;
use crate::run::device::TrainingDevice;
use crate::run::phases::Phases;
use crate::run::replicas::Replicas;
use crate::teaching::{Batch, Phase};
use anyhow::{Result, ensure};
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc::points::PointSet;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The networks whose recipes are timed: small ones of vectors, and of images.
const RECIPES: [(Network, &str); 2] = [
    (Network::Ring, include_str!("../../../../recipes/ring.toml")),
    (Network::FashionMnist, include_str!("../../../../recipes/fashion-mnist.toml")),
];

/// Images that batches are drawn from, as many as MNIST has; and how many of them differ.
const IMAGES: usize = 60_000;
const DIFFERENT: usize = 500;

/// Iterations before the clock starts: pipelines are compiled, kernels chosen.
const WARM_UP: usize = 3;

pub(super) fn run(devices: &[TrainingDevice], settings: &Settings) -> Result<Value> {
    let mut recipes = Map::new();
    let timed = |network: &Network| RECIPES.iter().any(|(known, _)| known == network);
    ensure!(
        settings.networks.iter().any(timed) || settings.what.is_empty(),
        "iterations are timed of ring and fashion-mnist; name one of them with --networks"
    );
    for (_, text) in RECIPES.iter().filter(|(network, _)| settings.networks.contains(network)) {
        let recipe = recipe(text, &settings.overrides)?;
        recipes.insert(recipe.name.clone(), iteration(&recipe, devices, settings.time)?);
    }
    Ok(recipes.into())
}

/// Milliseconds of a training iteration: the median, and the mean of each phase on the first device.
fn iteration(recipe: &Recipe, devices: &[TrainingDevice], time: Duration) -> Result<Value> {
    let mut replicas = Replicas::new(recipe, devices, 1)?;
    let data = data(recipe)?;
    let phases = Phases::of(replicas.first_mut());
    let mut step = || {
        phases.begin(Phase::Data);
        let samples = replicas.first().batch_indices(data.train_count());
        let values = data.train_batch(samples.iter().copied())?;
        replicas.step(Batch { samples, values })?;
        phases.end();
        Ok(())
    };
    for _ in 0..WARM_UP {
        step()?;
    }
    phases.take_means();
    let times = repeated(time, &mut step)?;
    Ok(json!({
        "batch": recipe.teaching.batch,
        "iterations": times.len(),
        "iteration_milliseconds": median(times),
        "phase_milliseconds": phases.take_means(),
    }))
}

/// Data in memory as a run has them: the recipe's points, or noise in place of images that may not be here.
fn data(recipe: &Recipe) -> Result<Dataset> {
    let (name, shape, len) = (&recipe.data.set, recipe.data_shape(), recipe.data_len());
    if PointSet::from_name(name).is_some() {
        return Dataset::load(name, &shape, recipe.data.count);
    }
    let noise = Noise::new(1, Stream::Data).normal_rows(0, DIFFERENT, len, 0);
    let pixels: Vec<u8> = noise.into_iter().map(|v| (127.5 + 64.0 * v).clamp(0.0, 255.0) as u8).collect();
    let train = Samples::Bytes(pixels.iter().copied().cycle().take(IMAGES * len).collect());
    Ok(Dataset { name: name.clone(), known: None, shape, train, held_out: Samples::Bytes(pixels) })
}
