//! How good a model is, as one number: what decides which checkpoint is the best.

use super::chains::{self, NotFinite};
use super::frechet::Components;
use super::landscape;
use crate::data::{Dataset, Known};
use anyhow::{Result, ensure};
use dual_mcmc::executor::Executor;
use dual_mcmc::jobs::Sampling;
use dual_mcmc::model::Model;

/// Samples for a distance during training: enough to tell checkpoints apart.
const SAMPLES: usize = 512;

/// Measures the models of one run.
pub enum Measure {
    /// Exact likelihood of held-out points.
    Likelihood {
        /// Held-out points, `[n, 2]`.
        held_out: Vec<f32>,
    },
    /// Fréchet distance of samples after the x-chain.
    Distance(Box<Components>),
}

impl Measure {
    /// Chooses the figure of merit for `data` and a model with or without an energy. For a distance this
    /// fits the components, which takes seconds.
    ///
    /// # Errors
    /// If the data cannot be read.
    pub fn new(data: &Dataset, has_energy: bool) -> Result<Measure> {
        if has_energy && matches!(data.known, Some(Known::Points(_))) {
            Ok(Measure::Likelihood { held_out: data.held_out_batch(2_000)? })
        } else {
            Ok(Measure::Distance(Box::new(Components::fit(data)?)))
        }
    }

    /// Name of the figure in files.
    pub fn name(&self) -> String {
        match self {
            Measure::Likelihood { .. } => "log_likelihood".into(),
            Measure::Distance(c) => format!("frechet_{}_components_{SAMPLES}_samples", c.count()),
        }
    }

    /// Measure `model`.
    ///
    /// # Errors
    /// [`NotFinite`] if its chains or energies are not finite; or if the executor fails.
    pub fn of(&self, model: &Model, executor: &Executor, seed: u64) -> Result<f64> {
        let sampling = Sampling::recommended(model, SAMPLES, seed)?;
        match self {
            Measure::Likelihood { held_out } => {
                let temperature = f64::from(sampling.langevin.temperature());
                landscape::log_likelihood(model, executor, temperature, held_out)
            }
            Measure::Distance(components) => {
                let samples = chains::sample(executor, model, &sampling, false)?.end;
                ensure!(
                    samples.iter().all(|v| v.is_finite()),
                    NotFinite("the model's samples are not finite")
                );
                components.distance(&samples)
            }
        }
    }

    /// Whether `new` is better than `old`.
    pub fn better(&self, new: f64, old: f64) -> bool {
        match self {
            Measure::Likelihood { .. } => new > old,
            Measure::Distance(_) => new < old,
        }
    }
}
