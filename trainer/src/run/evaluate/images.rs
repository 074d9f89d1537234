//! Figures for images, and for any other data whose truth is known by examples alone.

use super::super::chains::{Reconstructing, Sampling, Start, energies};
use super::super::features::OnFeatures;
use super::super::frechet::Components;
use super::similarity::{psnr, ssim};
use super::{Figures, Job, mean, outliers};
use anyhow::Result;
use serde_json::{Value, json};

/// Samples where no count is given.
const COUNT: usize = 5_000;

/// Chains that are run on beyond their recommended length.
const DRIFTING: usize = 128;

/// Held-out samples that are reconstructed.
const RECONSTRUCTED: usize = 512;

pub fn evaluate(job: &Job) -> Result<Figures> {
    let count = job.count.unwrap_or(COUNT);
    let len = job.data.sample_len();
    let components = Components::fit(job.data)?;
    let held_out = job.data.held_out_batch(count)?;
    let sampling = Sampling::recommended(job.model, count, job.seed)?;
    let sampled = sampling.run(job.model, job.executor, true)?;
    let has_energy = job.model.energy.is_some();

    let mut figures = Figures::default();
    figures.insert("data", json!(job.data.name));
    figures.insert("samples", json!(count));
    let start = match sampling.start {
        Start::Generator => "generator",
        Start::Noise => "noise",
    };
    let distances = |distance: &dyn Fn(&[f32]) -> Result<f64>| -> Result<Value> {
        let mut distances = json!({
            start: distance(&sampled.start)?,
            "floor_of_held_out_data": distance(&held_out)?,
            "held_out_samples": held_out.len() / len,
        });
        if has_energy {
            distances["x_chain"] = json!(distance(&sampled.end)?);
        }
        Ok(distances)
    };
    let on_pixels = distances(&|x| components.distance(x))?;
    figures.insert(format!("frechet_{}_components", components.count()), on_pixels);
    for extractor in job.extractors {
        let on_features = OnFeatures::fit(extractor, job.data, job.reference)?;
        let mut distances = distances(&|x| on_features.distance(x))?;
        distances["training_samples"] = json!(on_features.training_samples());
        figures.insert(extractor.figure(), distances);
    }
    if job.model.encoder.is_some() {
        figures.insert("reconstruction", reconstruction(job, len)?);
    }
    if !has_energy {
        return Ok(figures);
    }

    figures.insert("x_chain_steps", json!(sampling.steps));
    figures.insert("temperature", json!(sampling.langevin.temperature()));
    figures.insert("displacement", json!(displacement(&sampled.start, &sampled.end, len)));
    if let Some(acceptance) = sampled.acceptance {
        figures.insert("acceptance", json!(acceptance));
    }
    let trace: Vec<f64> = sampled.trace.iter().map(|row| mean(row.iter().copied())).collect();
    let energy = json!({
        "held_out_data": spread(energies(job.model, job.executor, &held_out)?),
        start: spread(sampled.trace.first().cloned().unwrap_or_default()),
        "x_chain": spread(sampled.trace.last().cloned().unwrap_or_default()),
        "mean_along_the_x_chain": trace,
    });
    figures.insert("energy", energy);
    figures.insert("auroc_of_the_energy", outliers::evaluate(job)?);
    figures.insert("long_run_drift", drift(job, &sampling, len)?);
    Ok(figures)
}

/// Error along the z-chain from the encoder's mean.
fn reconstruction(job: &Job, len: usize) -> Result<Value> {
    let x = job.data.held_out_batch(RECONSTRUCTED)?;
    let chain = Reconstructing::recommended(job.model, job.seed)?;
    let back = chain.run(job.model, job.executor, &x, None)?;
    let errors: Vec<f64> = back.trace.iter().map(|row| mean(row.iter().copied())).collect();
    let per_value = |error: Option<&f64>| error.map(|e| e / len as f64);
    let mut figures = json!({
        "samples": x.len() / len,
        "steps": chain.steps,
        "mean_squared_error_of_the_encoder": per_value(errors.first()),
        "mean_squared_error_after_the_z_chain": per_value(errors.last()),
        "squared_error_along_the_z_chain": errors,
    });
    if let [channels, height, width] = job.data.shape[..] {
        for (name, images) in [("of_the_encoder", &back.guess), ("after_the_z_chain", &back.end)] {
            let pairs = || x.chunks(len).zip(images.chunks(len));
            figures[format!("psnr_{name}")] = json!(mean(pairs().map(|(a, b)| psnr(a, b) as f32)));
            let similar: Option<Vec<f64>> =
                pairs().map(|(a, b)| ssim(a, b, [channels, height, width])).collect();
            if let Some(similar) = similar {
                figures[format!("ssim_{name}")] = json!(mean(similar.into_iter().map(|s| s as f32)));
            }
        }
    }
    Ok(figures)
}

/// What becomes of the x-chain beyond its recommended length: its energies, and how far it has gone,
/// after 1, 2, 5 and 10 times as many steps. A long-run diagnostic, no measure of quality: short-run
/// chains have not converged.
fn drift(job: &Job, sampling: &Sampling, len: usize) -> Result<Value> {
    let long = Sampling { count: DRIFTING.min(sampling.count), steps: 10 * sampling.steps, ..*sampling };
    let sampled = long.run(job.model, job.executor, true)?;
    let at = |times: u32| {
        let row = sampled.trace.get((times * sampling.steps) as usize);
        row.map(|row| mean(row.iter().copied()))
    };
    Ok(json!({
        "samples": long.count,
        "mean_energy_after_1_2_5_10_times_the_steps": [at(1), at(2), at(5), at(10)],
        "displacement_after_10_times_the_steps": displacement(&sampled.start, &sampled.end, len),
    }))
}

/// Mean of ‖x_K - x₀‖/‖x₀‖.
fn displacement(start: &[f32], end: &[f32], len: usize) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
    mean(start.chunks(len).zip(end.chunks(len)).map(|(a, b)| {
        norm(&mut a.iter().zip(b).map(|(a, b)| b - a)) / norm(&mut a.iter().copied()).max(f32::MIN_POSITIVE)
    }))
}

/// Mean, and the middle nine tenths.
fn spread(mut energies: Vec<f32>) -> Value {
    energies.sort_by(f32::total_cmp);
    let at = |p: f64| energies.get((p * energies.len().saturating_sub(1) as f64).round() as usize);
    json!({ "mean": mean(energies.iter().copied()), "quantiles_5_50_95": [at(0.05), at(0.5), at(0.95)] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displacement_is_a_share_of_where_the_chain_starts() {
        let moved = displacement(&[3.0, 4.0, 1.0, 0.0], &[3.0, 4.5, 1.0, 0.3], 2);
        assert!((moved - 0.2).abs() < 1e-6, "{moved}");
    }
}
