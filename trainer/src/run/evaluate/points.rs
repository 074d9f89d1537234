//! Figures for the synthetic sets, whose truth is known.

use super::super::chains::{self, NotFinite};
use super::super::landscape;
use super::diagnostics::{drift, reconstruction};
use super::{Evaluation, Figures, outliers};
use anyhow::Result;
use dual_mcmc::jobs::{Sampling, Start};
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

/// Share of good samples, which lie in the set's 98.9% highest-density region; share of each mode among
/// the good; their mean squared distance from the mode in units of its expectation, Dσ² in D dimensions.
pub fn quality(set: PointSet, points: &[f32]) -> Value {
    let points = points.as_chunks::<2>().0;
    let mut modes = vec![0usize; set.modes()];
    let mut squares = 0.0;
    for point in points.iter().map(|point| point.map(f64::from)) {
        if set.is_good(point) {
            let nearest = set.nearest(point);
            modes[nearest.mode] += 1;
            squares += nearest.distance.powi(2);
        }
    }
    let good: usize = modes.iter().sum();
    let smallest = modes.iter().min().copied().unwrap_or(0) as f64 / points.len() as f64;
    let mut figures = json!({
        "good_share": good as f64 / points.len() as f64,
        "smallest_mode": smallest,
    });
    if let Some((sigma, dimensions)) = set.blur() {
        figures["spread"] = json!(squares / good.max(1) as f64 / (f64::from(dimensions) * sigma * sigma));
    }
    figures
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use dual_mcmc::noise::{Noise, Stream};

    fn figure(value: &Value, name: &str) -> f64 {
        value[name].as_f64().unwrap()
    }

    #[test]
    fn the_truth_looks_like_the_truth() {
        let ring = PointSet::Ring.sample(Noise::new(3, Stream::Data), 0, 40_000);
        let q = quality(PointSet::Ring, &ring);
        assert!((figure(&q, "good_share") - 0.989).abs() < 0.003);
        assert!((figure(&q, "spread") - 0.95).abs() < 0.02);
        assert!(figure(&q, "smallest_mode") > 0.115);
    }

    #[test]
    fn points_on_the_modes_have_no_spread_and_one_mode_is_found_out() {
        let q = quality(PointSet::Ring, &[2.0, 0.0].repeat(10));
        assert_eq!(
            (figure(&q, "good_share"), figure(&q, "smallest_mode"), figure(&q, "spread")),
            (1.0, 0.0, 0.0)
        );
        let q = quality(PointSet::Ring, &[0.0, 0.0, 2.0, 0.1]);
        assert_eq!(figure(&q, "good_share"), 0.5);
    }
}
