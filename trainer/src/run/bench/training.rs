//! A training iteration and its phases.

use super::{median, recipe, repeated};
use crate::recipe::Recipe;
use crate::run::device::TrainingDevice;
use crate::run::phases::Phases;
use crate::run::replicas::Replicas;
use crate::teaching::Batch;
use anyhow::Result;
use dual_mcmc::noise::{Noise, Stream};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The recipes that are timed: a small one of vectors, and one of images.
const RECIPES: [&str; 2] =
    [include_str!("../../../../recipes/ring.toml"), include_str!("../../../../recipes/fashion-mnist.toml")];

/// Iterations before the clock starts: pipelines are compiled, kernels chosen.
const WARM_UP: usize = 3;

pub(super) fn run(devices: &[TrainingDevice], time: Duration) -> Result<Value> {
    let mut recipes = Map::new();
    for text in RECIPES {
        let recipe = recipe(text)?;
        recipes.insert(recipe.name.clone(), iteration(&recipe, devices, time)?);
    }
    Ok(recipes.into())
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
    let mut step = || {
        replicas.step(batch.clone())?;
        phases.end();
        Ok(())
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
