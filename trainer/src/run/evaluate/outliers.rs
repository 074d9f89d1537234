//! Out-of-distribution detection: does the energy tell other data from its own?
//!
//! AUROC, the area under the receiver operating characteristic: the probability that a foreign sample
//! has a higher energy than a held-out one. 1 is perfect, ½ is chance.

use super::super::chains::energies;
use super::Job;
use crate::data::image_sets::ImageSet;
use crate::data::{self, Dataset};
use anyhow::Result;
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc::points::PointSet;
use serde_json::{Map, Value, json};

/// Samples of each kind at most.
const SAMPLES: usize = 2_000;

/// The AUROC of the model's energy against every other set that is here, and against noise.
///
/// # Errors
/// If the executor fails, or a fetched set is damaged.
pub fn evaluate(job: &Job) -> Result<Value> {
    let own = job.data.held_out_batch(SAMPLES)?;
    let inside = energies(job.model, job.executor, &own)?;
    let mut figures = Map::new();
    let mut add = |name: &str, x: &[f32]| -> Result<()> {
        figures.insert(name.into(), json!(auroc(&inside, &energies(job.model, job.executor, x)?)));
        Ok(())
    };
    if job.data.shape == [2] {
        for set in PointSet::ALL.into_iter().filter(|set| set.name() != job.data.name) {
            add(set.name(), &set.sample(Noise::new(job.seed, Stream::Data), 0, SAMPLES))?;
        }
        add("uniform_noise", &uniform(job.seed, SAMPLES, 2, 4.0))?;
        return Ok(figures.into());
    }
    let mut absent = Vec::new();
    for set in ImageSet::ALL.into_iter().filter(|set| set.name() != job.data.name && is_image(job)) {
        match foreign(set, &job.data.shape)? {
            Some(x) => add(set.name(), &x)?,
            None => absent.push(set.name()),
        }
    }
    let len = job.data.sample_len();
    add("uniform_noise", &uniform(job.seed, own.len() / len, len, 1.0))?;
    add("shuffled_values", &shuffled(job.seed, &own, len))?;
    add("constant", &constant(job.seed, own.len() / len, len))?;
    if !absent.is_empty() {
        figures.insert("not_here_or_of_another_size".into(), json!(absent));
    }
    Ok(figures.into())
}

fn is_image(job: &Job) -> bool {
    job.data.shape.len() == 3
}

/// Held-out samples of a fetched set, in grey or colour as `shape` has it. None if the set is not here
/// or of another size.
fn foreign(set: ImageSet, shape: &[usize]) -> Result<Option<Vec<f32>>> {
    let folder = data::directory()?.join(set.name());
    if !folder.is_dir() {
        return Ok(None);
    }
    let set: Dataset = set.load(&folder, false, shape)?;
    if set.shape[1..] != shape[1..] {
        return Ok(None);
    }
    let x = set.held_out_batch(SAMPLES)?;
    let plane = shape[1] * shape[2];
    Ok(Some(match (set.shape[0], shape[0]) {
        (1, 3) => x.chunks(plane).flat_map(|grey| grey.repeat(3)).collect(),
        (3, 1) => x.chunks(3 * plane).flat_map(|rgb| luminance(rgb, plane)).collect(),
        _ => x,
    }))
}

/// Rec. 601, as PNG readers make grey of colour.
fn luminance(rgb: &[f32], plane: usize) -> Vec<f32> {
    (0..plane).map(|i| 0.299 * rgb[i] + 0.587 * rgb[plane + i] + 0.114 * rgb[2 * plane + i]).collect()
}

/// Every value uniform in ±`bound`.
fn uniform(seed: u64, count: usize, len: usize, bound: f32) -> Vec<f32> {
    let noise = Noise::new(seed, Stream::Start);
    let mut x = vec![0.0; count * len];
    x.chunks_mut(len).enumerate().for_each(|(i, row)| noise.uniforms(i as u32, 0, row));
    x.iter_mut().for_each(|v| *v = bound * (2.0 * *v - 1.0));
    x
}

/// One value for a whole sample.
fn constant(seed: u64, count: usize, len: usize) -> Vec<f32> {
    uniform(seed, count, 1, 1.0).into_iter().flat_map(|v| std::iter::repeat_n(v, len)).collect()
}

/// The same values within each sample, in another order: all that is left is their histogram.
fn shuffled(seed: u64, x: &[f32], len: usize) -> Vec<f32> {
    let noise = Noise::new(seed, Stream::Shuffle);
    let mut x = x.to_vec();
    for (row, values) in x.chunks_mut(len).enumerate() {
        for i in (1..len).rev() {
            values.swap(i, noise.below(row as u32, i as u32, i as u32 + 1) as usize);
        }
    }
    x
}

/// The probability that a number of `outside` is larger than one of `inside`; ties count half.
pub fn auroc(inside: &[f32], outside: &[f32]) -> f64 {
    let mut all: Vec<(f32, bool)> = inside.iter().map(|&e| (e, false)).collect();
    all.extend(outside.iter().map(|&e| (e, true)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    // Pairs won by `outside`, ties by halves, one group of equal numbers at a time.
    let (mut below, mut won) = (0.0, 0.0);
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        let outer = group.iter().filter(|(_, outside)| *outside).count() as f64;
        let inner = group.len() as f64 - outer;
        won += outer * (below + 0.5 * inner);
        below += inner;
    }
    won / (inside.len() as f64 * outside.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scikit-learn's roc_auc_score of the same numbers.
    #[test]
    fn the_area_counts_pairs() {
        let area = auroc(&[0.1, 0.4, 0.4, 0.35, -2.0], &[0.8, 0.4, 0.2, 0.9]);
        assert!((area - 0.8).abs() < 1e-12, "{area}");
        assert_eq!(auroc(&[0.0, 1.0], &[2.0]), 1.0);
        assert_eq!(auroc(&[1.0; 3], &[1.0; 4]), 0.5);
    }

    #[test]
    fn shuffling_keeps_each_samples_values() {
        let x: Vec<f32> = (0..20).map(|v| v as f32).collect();
        let mut y = shuffled(3, &x, 10);
        assert_ne!(x, y);
        y.chunks_mut(10).for_each(|row| row.sort_by(f32::total_cmp));
        assert_eq!(x, y);
    }
}
