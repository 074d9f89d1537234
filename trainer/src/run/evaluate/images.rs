//! Figures for images, and for any other data whose truth is known by examples alone.

use super::super::chains::{self, energies};
use super::super::features::OnFeatures;
use super::super::frechet::Components;
use super::diagnostics::{displacement, drift, inpainting, reconstruction};
use super::{Evaluation, Figures, mean, outliers};
use anyhow::Result;
use dual_mcmc::jobs::{Sampling, Start};
use serde_json::{Value, json};

/// Samples where no count is given.
const COUNT: usize = 5_000;

/// Chains that are run on beyond their recommended length, and from noise; and how long the latter are.
const LONG_CHAINS: usize = 1_000;
const FROM_NOISE: u32 = 1_000;

pub fn evaluate(job: &Evaluation) -> Result<Figures> {
    let sampling = job.sampling(COUNT)?;
    let count = sampling.count;
    let len = job.data.sample_len();
    let components = Components::fit(job.data)?;
    let held_out = job.data.held_out_batch(count)?;
    let sampled = chains::sample(job.executor, job.model, &sampling, true)?;
    chains::check_sampled(job.executor, job.model, &sampled)?;
    let has_energy = job.model.energy.is_some();

    let mut figures = Figures::default();
    figures.insert("data", json!(job.data.name));
    figures.insert("samples", json!(count));
    let start = sampling.start.name();
    let mut rulers = vec![Ruler {
        figure: format!("frechet_{}_components", components.count()),
        distance: Box::new(|x| components.distance(x)),
        training_samples: None,
    }];
    for extractor in job.extractors {
        let on_features = OnFeatures::fit(extractor, job.data, job.reference)?;
        rulers.push(Ruler {
            figure: extractor.figure(),
            training_samples: Some(on_features.training_samples()),
            distance: Box::new(move |x| on_features.distance(x)),
        });
    }
    for Ruler { figure, distance, training_samples } in &rulers {
        let mut distances = json!({
            start: distance(&sampled.start)?,
            "floor_of_held_out_data": distance(&held_out)?,
            "held_out_samples": held_out.len() / len,
        });
        if has_energy {
            distances["x_chain"] = json!(distance(&sampled.end)?);
        }
        if let Some(count) = training_samples {
            distances["training_samples"] = json!(count);
        }
        figures.insert(figure.clone(), distances);
    }
    if job.model.encoder.is_some() {
        figures.insert("reconstruction", reconstruction(job)?);
        if let Some(filled) = inpainting(job)? {
            figures.insert("inpainting", filled);
        }
    }
    if !has_energy {
        return Ok(figures);
    }

    figures.insert("x_chain_steps", json!(sampling.steps));
    figures.insert("step_size", json!(sampling.langevin.step_size));
    figures.insert("noise", json!(sampling.langevin.noise));
    figures.insert("temperature", json!(sampling.langevin.temperature()));
    figures.insert("displacement", json!(displacement(&sampled.start, &sampled.end, len)));
    if let Some(acceptance) = sampled.acceptance {
        figures.insert("acceptance", json!(acceptance));
    }
    let trace: Vec<f64> = sampled.trace.iter().map(|row| mean(row.iter().copied())).collect();
    let energy = json!({
        "held_out_data": spread(energies(job.executor, job.model, &held_out)?),
        start: spread(sampled.trace.first().cloned().unwrap_or_default()),
        "x_chain": spread(sampled.trace.last().cloned().unwrap_or_default()),
        "mean_along_the_x_chain": trace,
    });
    figures.insert("energy", energy);
    figures.insert("auroc_of_the_energy", outliers::evaluate(job)?);
    let (mut drift, far) = drift(job, &sampling, LONG_CHAINS)?;
    let near = &sampled.end[..far.len()];
    let from_noise = Sampling { count: far.len() / len, start: Start::Noise, steps: FROM_NOISE, ..sampling };
    let from_noise = chains::sample(job.executor, job.model, &from_noise, false)?.end;
    let name = format!("noise_{FROM_NOISE}_steps");
    for Ruler { figure, distance, .. } in &rulers {
        let finite = |x: &[f32]| match x.iter().all(|v| v.is_finite()) {
            true => distance(x).map(Value::from),
            false => Ok(json!("not finite")),
        };
        drift[figure.as_str()] = json!({
            "x_chain": finite(near)?,
            "after_10_times_the_steps": finite(&far)?,
            name.as_str(): finite(&from_noise)?,
        });
    }
    figures.insert("long_run_drift", drift);
    Ok(figures)
}

/// Fréchet distance of samples from the training data.
type Distance<'a> = dyn Fn(&[f32]) -> Result<f64> + 'a;

/// Something that samples are measured by.
struct Ruler<'a> {
    /// Name of the figure.
    figure: String,
    /// The distance.
    distance: Box<Distance<'a>>,
    /// Training samples that it stands on, where they are chosen.
    training_samples: Option<usize>,
}

/// Mean, and the middle nine tenths.
fn spread(mut energies: Vec<f32>) -> Value {
    energies.sort_by(f32::total_cmp);
    let at = |p: f64| energies.get((p * energies.len().saturating_sub(1) as f64).round() as usize);
    json!({ "mean": mean(energies.iter().copied()), "quantiles_5_50_95": [at(0.05), at(0.5), at(0.95)] })
}
