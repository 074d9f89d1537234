//! Figures along the chains, for any data: reconstruction errors, and what becomes of long x-chains.

use super::super::chains;
use super::similarity::{psnr, ssim};
use super::{Evaluation, mean};
use anyhow::Result;
use dual_mcmc::chain::Langevin;
use dual_mcmc::executor::Executor;
use dual_mcmc::jobs::{LatentStart, Reconstructing, Sampling};
use dual_mcmc::model::Model;
use serde_json::{Value, json};

/// Held-out samples that are reconstructed.
const RECONSTRUCTED: usize = 512;

/// Error along the z-chain from the encoder's mean; of the encoder alone where the model has no z-chain.
pub fn reconstruction(job: &Evaluation) -> Result<Value> {
    let len = job.data.sample_len();
    let x = job.data.held_out_batch(RECONSTRUCTED)?;
    let has_chain = job.model.chains.z.is_some();
    let chain = match has_chain {
        true => Reconstructing::recommended(job.model, job.seed)?,
        false => Reconstructing {
            start: LatentStart::Encoder,
            steps: 0,
            langevin: Langevin::new(1.0, 0.0),
            sigma: 1.0,
            seed: job.seed,
        },
    };
    let back = chains::reconstruct(job.executor, job.model, &chain, &x, None)?;
    chains::check_reconstructed(&back)?;
    let errors: Vec<f64> = back.trace.iter().map(|row| mean(row.iter().copied())).collect();
    let per_value = |error: Option<&f64>| error.map(|e| e / len as f64);
    let mut figures = json!({
        "samples": x.len() / len,
        "mean_squared_error_of_the_encoder": per_value(errors.first()),
    });
    let mut all = vec![("of_the_encoder", &back.guess)];
    if has_chain {
        figures["steps"] = json!(chain.steps);
        figures["mean_squared_error_after_the_z_chain"] = json!(per_value(errors.last()));
        figures["squared_error_along_the_z_chain"] = json!(errors);
        all.push(("after_the_z_chain", &back.end));
    }
    let [channels, height, width] = job.data.shape[..] else { return Ok(figures) };
    for (name, images) in all {
        let pairs = || x.chunks(len).zip(images.chunks(len));
        figures[format!("psnr_{name}")] = number(mean(pairs().map(|(a, b)| psnr(a, b) as f32)));
        let similar: Option<Vec<f64>> = pairs().map(|(a, b)| ssim(a, b, [channels, height, width])).collect();
        if let Some(similar) = similar {
            figures[format!("ssim_{name}")] = json!(mean(similar.into_iter().map(|s| s as f32)));
        }
    }
    Ok(figures)
}

/// Images whose lower half is filled in, and posterior samples of each.
const FILLED: usize = 64;
const POSTERIOR: usize = 8;

/// How well z-chains from the encoder fill in the lower half of held-out images; nothing of data that are no images, or
/// without a z-chain.
pub fn inpainting(job: &Evaluation) -> Result<Option<Value>> {
    if job.data.shape.len() != 3 || job.model.chains.z.is_none() {
        return Ok(None);
    }
    Ok(Some(fill_lower_half(job.executor, job.model, &job.data.held_out_batch(FILLED)?, job.seed)?))
}

/// Mean squared error of the hidden values where the lower half of images `x`, `[n, channels, height, width]`, is hidden: of
/// what the generator makes of the encoder's mean, of a sample of the posterior by the z-chain that the model recommends (the
/// mean of the errors of eight), and of the mean of those eight.
///
/// # Errors
/// If the model lacks a network or a recommended z-chain, or the executor fails.
pub fn fill_lower_half(executor: &Executor, model: &Model, x: &[f32], seed: u64) -> Result<Value> {
    let shape = model.data_shape();
    let [_, height, width] = shape[..] else { anyhow::bail!("only of images a half can be hidden") };
    let len: usize = shape.iter().product();
    let hidden = |i: usize| i / width % height >= height / 2;
    let mask: Vec<f32> = (0..len).map(|i| if hidden(i) { 0.0 } else { 1.0 }).collect();
    let repeated: Vec<f32> = x.chunks(len).flat_map(|x| x.repeat(POSTERIOR)).collect();
    let masks = mask.repeat(repeated.len() / len);
    let chain = Reconstructing::recommended(model, seed)?;
    let back = chains::reconstruct(executor, model, &chain, &repeated, Some(&masks))?;
    chains::check_reconstructed(&back)?;
    let error = |a: &[f32], b: &[f32]| mean((0..len).filter(|&i| hidden(i)).map(|i| (a[i] - b[i]).powi(2)));
    let of_each = |x: &[f32], eight: &[f32]| mean(eight.chunks(len).map(|one| error(x, one) as f32));
    let of_average = |x: &[f32], eight: &[f32]| {
        let average = |i: usize| eight.iter().skip(i).step_by(len).sum::<f32>() / POSTERIOR as f32;
        error(x, &(0..len).map(average).collect::<Vec<f32>>())
    };
    let over_images = |made: &[f32], error: &dyn Fn(&[f32], &[f32]) -> f64| {
        mean(x.chunks(len).zip(made.chunks(POSTERIOR * len)).map(|(x, eight)| error(x, eight) as f32))
    };
    Ok(json!({
        "samples": x.len() / len,
        "hidden": "the lower half",
        "steps": chain.steps,
        "mean_squared_error_of_the_encoder": over_images(&back.guess, &of_each),
        "mean_squared_error_of_a_posterior_sample": over_images(&back.end, &of_each),
        "mean_squared_error_of_the_mean_of_8_posterior_samples": over_images(&back.end, &of_average),
    }))
}

/// What becomes of at most `count` x-chains beyond their recommended length: their energies, and how far they have gone,
/// after 1, 2, 5 and 10 times as many steps; and where they end. A long-run diagnostic, no measure of quality:
/// short-run chains have not converged.
pub fn drift(job: &Evaluation, sampling: &Sampling, count: usize) -> Result<(Value, Vec<f32>)> {
    let long = Sampling { count: count.min(sampling.count), steps: 10 * sampling.steps, ..*sampling };
    let sampled = chains::sample(job.executor, job.model, &long, true)?;
    let at = |times: u32| {
        let row = sampled.trace.get((times * sampling.steps) as usize);
        row.map(|row| number(mean(row.iter().copied())))
    };
    let moved = displacement(&sampled.start, &sampled.end, job.data.sample_len());
    let figures = json!({
        "samples": long.count,
        "mean_energy_at_the_start": at(0),
        "mean_energy_after_1_2_5_10_times_the_steps": [at(1), at(2), at(5), at(10)],
        "displacement_after_10_times_the_steps": number(moved),
    });
    Ok((figures, sampled.end))
}

/// A figure, or in words that it is none: long chains may run away, and JSON has no such numbers.
fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { json!("not finite") }
}

/// Mean of ‖x_K - x₀‖/‖x₀‖.
pub fn displacement(start: &[f32], end: &[f32], len: usize) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
    mean(start.chunks(len).zip(end.chunks(len)).map(|(a, b)| {
        norm(&mut a.iter().zip(b).map(|(a, b)| b - a)) / norm(&mut a.iter().copied()).max(f32::MIN_POSITIVE)
    }))
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
