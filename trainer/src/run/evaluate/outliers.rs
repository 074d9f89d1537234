//! Out-of-distribution detection: does the energy tell other data from its own?
//!
//! AUROC, the area under the receiver operating characteristic: the probability that a foreign sample
//! has a higher energy than a held-out one. 1 is perfect, ½ is chance.

use super::super::chains::energies;
use super::Evaluation;
use crate::console::say;
use crate::data::image_sets::ImageSet;
use crate::data::{self, Dataset, Known, resize};
use anyhow::Result;
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc::points::PointSet;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// Standard deviation of the noise that is added to images.
const ADDED: f32 = 0.3;

/// Samples of each kind at most.
const SAMPLES: usize = 2_000;

/// The AUROC of the model's energy against every other set that is here, and against noise; and which sets
/// those were.
///
/// # Errors
/// If the executor fails.
pub fn evaluate(job: &Evaluation) -> Result<Value> {
    let own = job.data.held_out_batch(SAMPLES)?;
    let others = foreign_samples(job.data, &own, job.seed);
    let mut figures = Map::new();
    figures.insert("other_sets_compared".into(), json!(others.compared.len()));
    for (key, names) in [
        ("other_sets", others.compared),
        ("other_sets_resized", others.resized),
        ("other_sets_not_fetched", others.absent),
        ("other_sets_damaged", others.damaged),
    ] {
        if !names.is_empty() {
            figures.insert(key.into(), json!(names));
        }
    }
    let inside = energies(job.executor, job.model, &own)?;
    for (name, x) in others.sets {
        figures.insert(name.into(), json!(auroc(&inside, &energies(job.executor, job.model, &x)?)));
    }
    Ok(figures.into())
}

/// What is foreign to a set of data.
#[derive(Default)]
pub struct Foreign {
    /// Samples by the names of their kinds: other sets, then noise.
    pub sets: Vec<(&'static str, Vec<f32>)>,
    /// Which of them are sets.
    compared: Vec<&'static str>,
    /// Sets that were resized to the data's size.
    resized: Vec<&'static str>,
    /// Sets that would be compared if they were here.
    absent: Vec<&'static str>,
    /// Sets that are here and cannot be used.
    damaged: Vec<&'static str>,
}

/// What is foreign to `data`, of which `own` are held-out samples: the other sets that are here, and noise.
pub fn foreign_samples(data: &Dataset, own: &[f32], seed: u64) -> Foreign {
    let len = data.sample_len();
    let count = own.len() / len;
    let mut foreign = match (data.known, &data.shape[..]) {
        (Some(Known::Points(set)), _) => point_sets(set, seed),
        (known, &[channels, height, width]) => {
            image_sets(data::directory().ok(), known, [channels, height, width])
        }
        _ => Foreign::default(),
    };
    foreign.compared = foreign.sets.iter().map(|(name, _)| *name).collect();
    let noise = &mut foreign.sets;
    match data.shape[..] {
        _ if matches!(data.known, Some(Known::Points(_))) => {
            noise.push(("uniform_noise", uniform(seed, SAMPLES, 2, 4.0)))
        }
        [_] => {
            noise.push(("uniform_noise", box_noise(seed, own, len)));
            // A single coordinate has nothing to be torn from.
            if len > 1 {
                noise.push(("shuffled_coordinates", shuffled_coordinates(seed, own, len)));
            }
        }
        _ => {
            noise.push(("uniform_noise", uniform(seed, count, len, 1.0)));
            noise.push(("shuffled_values", shuffled(seed, own, len)));
            noise.push(("constant", constant(seed, count, len)));
            noise.push(("inverted", own.iter().map(|v| -v).collect()));
            noise.push(("upside_down", upside_down(own, &data.shape)));
            noise.push(("halves_of_two", halves_of_two(own, &data.shape)));
            noise.push(("noise_added", noise_added(seed, own, len)));
        }
    }
    foreign
}

fn point_sets(own: PointSet, seed: u64) -> Foreign {
    let others = PointSet::ALL.into_iter().filter(|&set| set != own);
    let samples = |set: PointSet| (set.name(), set.sample(Noise::new(seed, Stream::Data), 0, SAMPLES));
    Foreign { sets: others.map(samples).collect(), ..Foreign::default() }
}

/// Held-out images of the sets in `folder`, if there is one, in grey or colour and of the size that `shape` has.
fn image_sets(folder: Option<PathBuf>, own: Option<Known>, shape: [usize; 3]) -> Foreign {
    let mut others = Foreign::default();
    for set in ImageSet::ALL.into_iter().filter(|&set| own != Some(Known::Images(set))) {
        let place = folder.as_ref().map(|folder| folder.join(set.name()));
        let Some(place) = place.filter(|place| place.is_dir()) else {
            others.absent.push(set.name());
            continue;
        };
        // What is wrong with another set must not cost the figures of this one.
        let loaded = set.load(&place, false, &shape).and_then(|set| Ok((set.held_out_batch(SAMPLES)?, set)));
        let (x, loaded) = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                say!("{} is left out: {error:#}", set.name());
                others.damaged.push(set.name());
                continue;
            }
        };
        let [channels, height, width] = loaded.shape[..] else { continue };
        let mut x = recoloured(x, [channels, shape[0]], height * width);
        if [height, width] != shape[1..] {
            x = resize(&x, [height, width], [shape[1], shape[2]]);
            others.resized.push(set.name());
        }
        others.sets.push((set.name(), x));
    }
    others
}

/// Images of `from` channels as images of `to`, each 1 or 3.
fn recoloured(x: Vec<f32>, [from, to]: [usize; 2], plane: usize) -> Vec<f32> {
    match (from, to) {
        (1, 3) => x.chunks(plane).flat_map(|grey| grey.repeat(3)).collect(),
        (3, 1) => x.chunks(3 * plane).flat_map(|rgb| luminance(rgb, plane)).collect(),
        _ => x,
    }
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

/// Every coordinate uniform between the least and the greatest of `x`.
fn box_noise(seed: u64, x: &[f32], len: usize) -> Vec<f32> {
    let mut noise = uniform(seed, x.len() / len, len, 1.0);
    for i in 0..len {
        let column = || x.iter().skip(i).step_by(len);
        let (low, high) =
            column().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), &v| (l.min(v), h.max(v)));
        let scale = |v: f32| low + (high - low) * 0.5 * (v + 1.0);
        noise.iter_mut().skip(i).step_by(len).for_each(|v| *v = scale(*v));
    }
    noise
}

/// Each coordinate taken from another sample: what is left is the distribution of each by itself.
fn shuffled_coordinates(seed: u64, x: &[f32], len: usize) -> Vec<f32> {
    let count = x.len() / len;
    let columns: Vec<f32> = (0..len).flat_map(|i| x.iter().skip(i).step_by(len)).copied().collect();
    let columns = shuffled(seed, &columns, count);
    (0..count).flat_map(|row| columns.iter().skip(row).step_by(count)).copied().collect()
}

/// Shuffles the values within each sample: all that is left is their histogram.
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

/// Images with their rows in the opposite order.
fn upside_down(x: &[f32], shape: &[usize]) -> Vec<f32> {
    let [_, height, width] = *shape else { return x.to_vec() };
    x.chunks(height * width).flat_map(|plane| plane.rchunks(width)).flatten().copied().collect()
}

/// The upper half of each image's planes on the lower half of the next image's: every part is right, the whole is not.
fn halves_of_two(x: &[f32], shape: &[usize]) -> Vec<f32> {
    let len: usize = shape.iter().product();
    let plane: usize = shape[1..].iter().product();
    let upper = shape[1] / 2 * shape[2];
    let next = x.iter().cycle().skip(len);
    let pairs = x.iter().zip(next).enumerate();
    pairs.map(|(i, (own, other))| if i % plane < upper { *own } else { *other }).collect()
}

/// Images under Gaussian noise of standard deviation [`ADDED`], clamped to their range.
fn noise_added(seed: u64, x: &[f32], len: usize) -> Vec<f32> {
    let noise = Noise::new(seed, Stream::Shuffle).normal_rows(0, x.len() / len, len, 1);
    x.iter().zip(noise).map(|(v, n)| (v + ADDED * n).clamp(-1.0, 1.0)).collect()
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
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::Path;

    /// scikit-learn's roc_auc_score of the same numbers.
    #[test]
    fn the_area_counts_pairs() {
        let area = auroc(&[0.1, 0.4, 0.4, 0.35, -2.0], &[0.8, 0.4, 0.2, 0.9]);
        assert!((area - 0.8).abs() < 1e-12, "{area}");
        assert_eq!(auroc(&[0.0, 1.0], &[2.0]), 1.0);
        assert_eq!(auroc(&[1.0; 3], &[1.0; 4]), 0.5);
    }

    #[test]
    fn shuffling_keeps_each_samples_values_or_each_coordinates() {
        let x: Vec<f32> = (0..20).map(|v| v as f32).collect();
        let mut y = shuffled(3, &x, 10);
        assert_ne!(x, y);
        y.chunks_mut(10).for_each(|row| row.sort_by(f32::total_cmp));
        assert_eq!(x, y);

        let y = shuffled_coordinates(3, &x, 2);
        assert_ne!(x, y);
        for i in 0..2 {
            let mut column: Vec<f32> = y.iter().skip(i).step_by(2).copied().collect();
            column.sort_by(f32::total_cmp);
            assert_eq!(column, (0..10).map(|v| (2 * v + i) as f32).collect::<Vec<_>>());
        }
        let pairs = y.as_chunks::<2>().0;
        assert!(pairs.iter().any(|[a, b]| b - a != 1.0), "coordinates stay together: {y:?}");
        let noise = box_noise(1, &x, 2);
        let inside = |p: &[f32; 2]| (0.0..=18.0).contains(&p[0]) && (1.0..=19.0).contains(&p[1]);
        assert!(noise.len() == 20 && noise.as_chunks::<2>().0.iter().all(inside), "{noise:?}");
    }

    #[test]
    fn images_are_turned_over_and_mixed() {
        let x: Vec<f32> = (0..16).map(|v| v as f32).collect();
        let turned = upside_down(&x, &[2, 2, 2]);
        assert_eq!(turned[..8], [2.0, 3.0, 0.0, 1.0, 6.0, 7.0, 4.0, 5.0]);
        let mixed = halves_of_two(&x, &[2, 2, 2]);
        assert_eq!(mixed[..8], [0.0, 1.0, 10.0, 11.0, 4.0, 5.0, 14.0, 15.0]);
        assert_eq!(mixed[8..12], [8.0, 9.0, 2.0, 3.0], "the last one with the first");
        let noised = noise_added(1, &[0.0; 1000], 10);
        let variance = noised.iter().map(|v| v * v).sum::<f32>() / 1000.0;
        assert!((variance - 0.09).abs() < 0.015, "{variance}");
    }

    /// Idx files of a few images, all of one grey.
    fn idx(folder: &Path, grey: u8) {
        std::fs::create_dir(folder).unwrap();
        let header = [0x803, 3, 28, 28].into_iter().flat_map(u32::to_be_bytes);
        let bytes: Vec<u8> = header.chain(std::iter::repeat_n(grey, 3 * 784)).collect();
        for name in ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte"] {
            std::fs::write(folder.join(name), &bytes).unwrap();
        }
    }

    /// Emoji without the time that it takes to fetch them: a file of the right size, full of holes.
    fn emoji(folder: &Path) {
        std::fs::create_dir(folder).unwrap();
        let file = std::fs::File::create(folder.join("noto-emoji-64.rgb")).unwrap();
        file.set_len(3786 * 3 * 64 * 64).unwrap();
    }

    #[test]
    fn images_of_every_size_and_colour_have_three_other_sets() {
        let folder = tempfile::tempdir().unwrap();
        idx(&folder.path().join("mnist"), 255);
        idx(&folder.path().join("fashion-mnist"), 51);
        emoji(&folder.path().join("noto-emoji"));
        for (shape, resized) in [
            ([1, 32, 32], &[][..]),
            ([3, 32, 32], &[]),
            ([3, 64, 64], &["mnist", "fashion-mnist"]),
            ([1, 24, 24], &["mnist", "fashion-mnist", "noto-emoji"]),
        ] {
            let others = image_sets(Some(folder.path().into()), None, shape);
            let names: Vec<&str> = others.sets.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, ["mnist", "fashion-mnist", "noto-emoji"], "{shape:?}");
            assert_eq!((others.resized, others.absent), (resized.to_vec(), vec!["cifar10"]), "{shape:?}");
            let len: usize = shape.iter().product();
            for ((name, x), (count, middle)) in others.sets.iter().zip([(3, 1.0), (3, -0.6), (378, -1.0)]) {
                assert_eq!(x.len(), count * len, "{name} {shape:?}");
                let at = len / 2 + shape[2] / 2;
                assert!((x[at] - middle).abs() < 1e-5, "{name} {shape:?}: {}", x[at]);
                assert!(x.iter().all(|v| (-1.0..=1.0).contains(v)), "{name} {shape:?}");
            }
        }
        let known = Some(Known::Images(ImageSet::Mnist));
        let of_mnist = image_sets(Some(folder.path().into()), known, [1, 32, 32]);
        assert_eq!(of_mnist.sets.len(), 2, "never against itself");
        std::fs::write(folder.path().join("mnist/t10k-images-idx3-ubyte"), "broken").unwrap();
        assert_eq!(image_sets(Some(folder.path().into()), None, [1, 32, 32]).damaged, ["mnist"]);
        let homeless = image_sets(None, None, [1, 32, 32]);
        assert_eq!((homeless.sets.len(), homeless.absent.len()), (0, 4));
    }
}
