//! Jobs of [`dual_mcmc::jobs`] with checks of memory, and of results that are no numbers.

use crate::data::memory;
use anyhow::{Result, ensure};
use dual_mcmc::executor::Executor;
use dual_mcmc::jobs::{self, Reconstructed, Reconstructing, Sampled, Sampling};
use dual_mcmc::model::Model;
use pollster::block_on;

/// A model whose figure is no number: its energies or samples have run away.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotFinite(pub &'static str);

/// Run x-chains.
///
/// # Errors
/// If there is not so much memory, or as [`Sampling::run`].
pub fn sample(executor: &Executor, model: &Model, job: &Sampling, keep_trace: bool) -> Result<Sampled> {
    let len: usize = model.data_shape().iter().product();
    let traced = if keep_trace { job.steps as usize + 1 } else { 0 };
    let values = job.count.saturating_mul(traced.saturating_add(2 * len));
    let rows_of_trace = traced.saturating_mul(size_of::<Vec<f32>>() + 16);
    memory::ask(values.saturating_mul(size_of::<f32>()).saturating_add(rows_of_trace), || {
        let trace =
            if keep_trace { format!(" with the energies of {} steps", job.steps) } else { String::new() };
        format!("{} samples of {len} values{trace}", job.count)
    })?;
    Ok(block_on(job.run(executor, model, keep_trace))?)
}

/// Run z-chains on `x`, `[count, data]`, with a mask of the same length, if any.
///
/// # Errors
/// If there is not so much memory, or as [`Reconstructing::run`].
pub fn reconstruct(
    executor: &Executor,
    model: &Model,
    job: &Reconstructing,
    x: &[f32],
    mask: Option<&[f32]>,
) -> Result<Reconstructed> {
    let len: usize = model.data_shape().iter().product();
    let (count, traced) = (x.len() / len, job.steps as usize + 1);
    let values = count.saturating_mul(traced.saturating_add(2 * len));
    memory::ask(values.saturating_mul(size_of::<f32>()), || {
        format!("{count} reconstructions with the errors of {} steps", job.steps)
    })?;
    Ok(block_on(job.run(executor, model, x, mask))?)
}

/// Energies of `x`, `[count, data]`.
///
/// # Errors
/// If the model has no energy, or the executor fails.
pub fn energies(executor: &Executor, model: &Model, x: &[f32]) -> Result<Vec<f32>> {
    Ok(block_on(jobs::energies(executor, model, x))?)
}

/// Check that all results of x-chains are finite.
///
/// # Errors
/// [`NotFinite`] if a state, or its energy, is no finite number; or if the executor fails.
pub fn check_sampled(executor: &Executor, model: &Model, sampled: &Sampled) -> Result<()> {
    let energies = match model.energy.is_some() {
        true => energies(executor, model, &sampled.end)?,
        false => Vec::new(),
    };
    let of_trace = sampled.trace.iter().flatten();
    ensure!(
        sampled.end.iter().chain(&energies).chain(of_trace).all(|v| v.is_finite()),
        NotFinite(
            "the x-chains have run away: their samples or energies are no finite numbers; choose a smaller step \
             size, or fewer steps"
        )
    );
    Ok(())
}

/// Check that all results of z-chains are finite.
///
/// # Errors
/// [`NotFinite`] if a reconstruction, or its error, is no finite number.
pub fn check_reconstructed(back: &Reconstructed) -> Result<()> {
    ensure!(
        back.end.iter().chain(back.trace.iter().flatten()).all(|v| v.is_finite()),
        NotFinite(
            "the z-chains have run away: their images or errors are no finite numbers; choose a smaller step size, \
             or fewer steps"
        )
    );
    Ok(())
}
