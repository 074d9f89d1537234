//! Figures for the synthetic sets, whose truth is known.

use super::super::chains::{self, NotFinite};
use super::super::landscape;
use super::diagnostics::{drift, reconstruction};
use super::{Evaluation, Figures, outliers};
use anyhow::Result;
use dual_mcmc::jobs::{Quality, Sampling, Start};
use dual_mcmc::points::PointSet;
use serde_json::{Value, json};

/// Samples where no count is given.
const COUNT: usize = 4096;

/// Steps of the long chain from the generator, and of the chain from noise.
const LONG: u32 = 400;
const FROM_NOISE: u32 = 1000;

/// Chains that are run on beyond their recommended length.
const DRIFTING: usize = 128;

pub fn evaluate(job: &Evaluation, set: PointSet) -> Result<Figures> {
    let chosen = job.sampling(COUNT)?;
    let judge = |steps, start| -> Result<Value> {
        let sampling = Sampling { steps, start, ..chosen };
        let sampled = chains::sample(job.executor, job.model, &sampling, false)?;
        match chains::check_sampled(job.executor, job.model, &sampled) {
            // A long-run diagnostic may well show that.
            Err(error) if error.is::<NotFinite>() && steps > chosen.steps => Ok(json!("not finite")),
            checked => checked.map(|()| quality(set, &sampled.end)),
        }
    };
    let held_out = job.data.held_out_batch(usize::MAX)?;
    let truth = held_out.as_chunks::<2>().0.iter().map(|p| set.log_density(p.map(f64::from)));
    let mut figures = Figures::default();
    figures.insert("data", json!(set.name()));
    figures.insert("samples", json!(chosen.count));
    figures.insert("truth", quality(set, &held_out));
    if job.model.generator.is_some() {
        figures.insert("generator", judge(0, Start::Generator)?);
    }
    if job.model.encoder.is_some() {
        figures.insert("reconstruction", reconstruction(job)?);
    }
    if job.model.energy.is_none() {
        return Ok(figures);
    }
    let temperature = f64::from(chosen.langevin.temperature());
    figures.insert("step_size", json!(chosen.langevin.step_size));
    figures.insert("noise", json!(chosen.langevin.noise));
    figures.insert("temperature", json!(temperature));
    let (steps, start) = (chosen.steps, chosen.start);
    figures.insert(format!("x_chain_{steps}_steps"), judge(steps, start)?);
    if steps != LONG {
        figures.insert(format!("x_chain_{LONG}_steps"), judge(LONG, start)?);
    }
    figures.insert(format!("noise_{FROM_NOISE}_steps"), judge(FROM_NOISE, Start::Noise)?);
    // Without noise there is no density.
    if temperature > 0.0 {
        let likelihood = landscape::log_likelihood(job.model, job.executor, temperature, &held_out)?;
        figures.insert("log_likelihood", json!(likelihood));
        let count = held_out.len() as f64 / 2.0;
        figures.insert("log_likelihood_of_the_truth", json!(truth.sum::<f64>() / count));
    }
    figures.insert("auroc_of_the_energy", outliers::evaluate(job)?);
    figures.insert("long_run_drift", drift(job, &chosen, DRIFTING)?.0);
    Ok(figures)
}

/// The quality of `points` as figures.
pub fn quality(set: PointSet, points: &[f32]) -> Value {
    let Quality { good_share, smallest_mode, spread } = dual_mcmc::jobs::quality(set, points);
    let mut figures = json!({ "good_share": good_share, "smallest_mode": smallest_mode });
    if let Some(spread) = spread {
        figures["spread"] = json!(spread);
    }
    figures
}
