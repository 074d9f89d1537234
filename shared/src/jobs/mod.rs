//! What a model is asked to do, each once, on either executor: draw samples, reconstruct data, decode latents, tell
//! energies. The command line, the page and its workers all come here.
//!
//! A job such as [`Sampling`] runs as many chains as it is asked for from start to end. [`Sampler`] has one batch of
//! them that can be advanced step by step: started, run on by some steps, looked at; [`Reconstructor`] is that for z-chains,
//! [`Filler`] for x-chains on a part of a sample.

mod fill;
mod plane;
mod reconstruct;
mod sample;

pub use fill::Filler;
pub use plane::{Judge, Quadrature, Quality, quality};
pub use reconstruct::{LatentStart, Observed, Reconstructed, Reconstructing, Reconstructor};
pub use sample::{Sampled, Sampler, Sampling, Start, States};

use crate::chain::{Langevin, TRACE_LEN, Trace};
use crate::executor::{Executor, ExecutorError};
use crate::model::{Model, Weighted};
use crate::noise::{Noise, Stream};

/// Why a job could not be done.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The model lacks a network: "energy", "generator" or "encoder".
    #[error("the model has no {0} network")]
    Missing(&'static str),
    /// The model recommends no chain, and not all of its settings were given.
    #[error("the model recommends no {chain}; give {settings}")]
    NoChain {
        /// "x-chain" or "z-chain".
        chain: &'static str,
        /// The settings that it needs.
        settings: &'static str,
    },
    /// The settings of a chain are impossible.
    #[error("{0}")]
    Settings(String),
    /// The samples' length does not fit the model.
    #[error("{0}")]
    Samples(String),
    /// The executor could not run the networks.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
}

/// Changes to the chain that a model recommends.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Changes {
    /// Langevin steps.
    pub steps: Option<u32>,
    /// The step size.
    pub step_size: Option<f32>,
    /// The factor on the noise of each step.
    pub noise: Option<f32>,
    /// The generator's observation noise, of a z-chain.
    pub sigma: Option<f32>,
}

impl Changes {
    /// The update with the changes.
    fn langevin(&self, recommended: Langevin) -> Langevin {
        Langevin {
            step_size: self.step_size.unwrap_or(recommended.step_size),
            noise: self.noise.unwrap_or(recommended.noise),
            ..recommended
        }
    }

    /// An unclamped chain by the changes alone: steps and update.
    fn chain(&self) -> Option<(u32, Langevin)> {
        Some((self.steps?, Langevin::new(self.step_size?, self.noise?)))
    }
}

fn energy(model: &Model) -> Result<&Weighted, JobError> {
    model.energy.as_ref().ok_or(JobError::Missing("energy"))
}

fn generator(model: &Model) -> Result<&Weighted, JobError> {
    model.generator.as_ref().ok_or(JobError::Missing("generator"))
}

fn encoder(model: &Model) -> Result<&Weighted, JobError> {
    model.encoder.as_ref().ok_or(JobError::Missing("encoder"))
}

/// How many samples of the model `values` hold; an error unless they are whole samples.
fn sample_count(model: &Model, values: &[f32]) -> Result<usize, JobError> {
    let len: usize = model.data_shape().iter().product();
    if values.is_empty() || !values.len().is_multiple_of(len) {
        let found = values.len();
        return Err(JobError::Samples(format!("x must hold whole samples of {len} numbers, not {found}")));
    }
    Ok(values.len() / len)
}

/// Latents z ~ N(0, I) of the `count` chains from number `first` on, `[count, latent]`: the same on every executor.
pub fn prior(seed: u64, first: u32, count: usize, latent: usize) -> Vec<f32> {
    Noise::new(seed, Stream::Prior).normal_rows(first, count, latent, 0)
}

/// The generator's samples of `latents`, `[count, latent]`.
///
/// # Errors
/// If the model has no generator, `latents` are not whole, or the executor fails.
pub async fn decode(executor: &Executor, model: &Model, latents: &[f32]) -> Result<Vec<f32>, JobError> {
    let generator = generator(model)?;
    let latent = generator.network.input_len();
    if !latents.len().is_multiple_of(latent) {
        let found = latents.len();
        return Err(JobError::Samples(format!("z must hold whole latents of {latent} numbers, not {found}")));
    }
    Ok(executor.forward(generator, latents).await?)
}

/// The encoder's means of samples `x`, `[count, data]`, as `[count, latent]`.
///
/// # Errors
/// If the model has no encoder, `x` is not made of whole samples, or the executor fails.
pub async fn encode(executor: &Executor, model: &Model, x: &[f32]) -> Result<Vec<f32>, JobError> {
    let encoder = encoder(model)?;
    let count = sample_count(model, x)?;
    let posterior = executor.forward(encoder, x).await?;
    Ok(reconstruct::means(&posterior, posterior.len() / count / 2))
}

/// Energies `[count]` of `x`, `[count, data]`.
///
/// # Errors
/// If the model has no energy, `x` is not made of whole samples, or the executor fails.
pub async fn energies(executor: &Executor, model: &Model, x: &[f32]) -> Result<Vec<f32>, JobError> {
    let energy = energy(model)?;
    sample_count(model, x)?;
    Ok(executor.forward(energy, x).await?)
}

/// Energies `[count]` of `x`, `[count, data]`, and their gradients in `x`.
///
/// # Errors
/// As [`energies`].
pub async fn energies_and_gradients(
    executor: &Executor,
    model: &Model,
    x: &[f32],
) -> Result<(Vec<f32>, Vec<f32>), JobError> {
    let energy = energy(model)?;
    sample_count(model, x)?;
    Ok(executor.energy_and_gradient(energy, x).await?)
}

/// Chains run at once: enough to fill a device, few enough for its memory.
fn batch(data_len: usize) -> usize {
    (1 << 18) / data_len.clamp(256, 1 << 16)
}

/// Steps in pieces whose traces are whole: a trace keeps only its last rows.
fn pieces(steps: u32, traced: bool) -> impl Iterator<Item = u32> {
    let piece = if traced { TRACE_LEN as u32 / 2 } else { u32::MAX };
    let mut left = steps;
    let mut first = true;
    std::iter::from_fn(move || {
        if left == 0 && !first {
            return None;
        }
        first = false;
        let now = left.min(piece);
        left -= now;
        Some(now)
    })
}

/// A trace of any length, from traces that were read one after another.
struct WholeTrace {
    chains: usize,
    rows: Vec<Vec<f32>>,
}

impl WholeTrace {
    /// An empty trace of the first `chains` chains.
    fn new(chains: usize) -> WholeTrace {
        WholeTrace { chains, rows: Vec::new() }
    }

    /// Take what `trace` holds beyond what was read before.
    fn add(&mut self, trace: &Trace) {
        let seen = self.rows.len().saturating_sub(trace.first_step as usize);
        self.rows.extend(trace.rows().skip(seen).map(|row| row[..self.chains].to_vec()));
    }

    /// Put these chains beside those of `all`.
    fn append_to(self, all: &mut Vec<Vec<f32>>) {
        if all.is_empty() {
            *all = self.rows;
        } else {
            all.iter_mut().zip(self.rows).for_each(|(all, row)| all.extend(row));
        }
    }
}

#[cfg(test)]
mod tests;
