//! Features of images, and the Fréchet distance on them.
//!
//! Images are clamped to [-1, 1], as a picture of them would be, and made what the network takes:
//! grey is repeated in three channels, and smaller images are enlarged.

use super::frechet::{Gaussian, Moments, Reference};
use crate::console::say;
use crate::data::image_sets::ImageSet;
use crate::data::{Dataset, Known};
use anyhow::{Context, Result, bail, ensure};
use dual_mcmc::executor::Executor;
use dual_mcmc::model::{Features, MAX_FILE};
use std::ops::Range;
use std::time::{Duration, Instant};

/// What to say where FID is asked for and not there.
#[cfg(not(feature = "fid"))]
pub const NO_FID: &str = "FID is not in this program; `cargo install --locked --path trainer --features fid` builds one that has it";

/// Values of the images that are prepared and run at a time.
const CHUNK: usize = 1 << 24;

/// Time between two lines of progress.
const INTERVAL: Duration = Duration::from_secs(15);

/// The classifier of a set that comes with the program, where the set has labels.
fn shipped(set: ImageSet) -> Result<Option<Features>> {
    let bytes: &[u8] = match set {
        ImageSet::Mnist => include_bytes!("../../../models/features/mnist.safetensors"),
        ImageSet::FashionMnist => include_bytes!("../../../models/features/fashion-mnist.safetensors"),
        ImageSet::Cifar10 => include_bytes!("../../../models/features/cifar10.safetensors"),
        ImageSet::NotoEmoji => return Ok(None),
    };
    Features::from_bytes(bytes).map(Some).with_context(|| format!("the shipped classifier of {}", set.name()))
}

/// The feature networks of these names or files; without any, the shipped classifier of the data if
/// there is one.
///
/// # Errors
/// If a file is missing or no feature file.
pub fn chosen(sources: &[String], data: &Dataset) -> Result<Vec<Features>> {
    match (sources, data.known) {
        ([], Some(Known::Images(set))) => Ok(shipped(set)?.into_iter().collect()),
        (sources, _) => sources.iter().map(|source| read(source)).collect(),
    }
}

/// The shipped classifier of a set, or a feature file.
///
/// # Errors
/// If the file is missing or no feature file.
pub fn read(source: &str) -> Result<Features> {
    if let Some(set) = ImageSet::from_name(source) {
        return shipped(set)?
            .with_context(|| format!("there is no classifier of {source}: it has no labels"));
    }
    let cannot = || format!("cannot read the features {source}");
    let size = std::fs::metadata(source).with_context(cannot)?.len();
    ensure!(size <= MAX_FILE as u64, "{}: it holds {size} bytes, at most {MAX_FILE} are accepted", cannot());
    Features::from_bytes(&std::fs::read(source).with_context(cannot)?).with_context(cannot)
}

/// A network's forward pass: images in a row → features in a row.
type Forward<'a> = Box<dyn Fn(&[f32]) -> Result<Vec<f32>> + 'a>;

/// What turns a data set's images into features.
pub struct Extractor<'a> {
    figure: String,
    dimension: usize,
    /// Shape of the data.
    from: [usize; 3],
    /// Shape that the network takes.
    to: [usize; 3],
    forward: Forward<'a>,
}

impl<'a> Extractor<'a> {
    /// Features by a network of ours, of images of `shape`.
    ///
    /// # Errors
    /// If images of this shape cannot be made what the network takes.
    pub fn network(network: &'a Features, shape: &[usize], executor: &'a Executor) -> Result<Extractor<'a>> {
        let dimension = network.dimension();
        let forward = |x: &[f32]| Ok(pollster::block_on(executor.forward(&network.network, x))?);
        Extractor::new(
            format!("frechet_{}_{dimension}", network.name),
            dimension,
            shape,
            &network.network.network.input,
            Box::new(forward),
        )
        .with_context(|| format!("the features {} do not fit the data", network.name))
    }

    /// The features of the Fréchet Inception distance.
    ///
    /// # Errors
    /// If images of this shape cannot be made what the network takes.
    #[cfg(feature = "fid")]
    pub fn inception(inception: &'a super::inception::Inception, shape: &[usize]) -> Result<Extractor<'a>> {
        use super::inception::{FEATURES, INPUT};
        let forward = |x: &[f32]| inception.features(x);
        Extractor::new("fid".into(), FEATURES, shape, &INPUT, Box::new(forward))
            .context("Inception's features do not fit the data")
    }

    /// Features `[dimension]` of images `shape` by `forward`, which takes images `input`.
    fn new(
        figure: String,
        dimension: usize,
        shape: &[usize],
        input: &[usize],
        forward: Forward<'a>,
    ) -> Result<Extractor<'a>> {
        let (&[channels, height, width], &[c, h, w]) = (shape, input) else {
            bail!("they are of images, but the samples have shape {shape:?}");
        };
        ensure!(
            (channels == c || channels == 1) && height <= h && width <= w,
            "the network takes {input:?}; images {shape:?} have other colours or are larger"
        );
        Ok(Extractor { figure, dimension, from: [channels, height, width], to: [c, h, w], forward })
    }

    /// What a distance on these features is called.
    pub fn figure(&self) -> String {
        self.figure.clone()
    }

    /// Number of features.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Features of images, both flat.
    ///
    /// # Errors
    /// If the network's device fails.
    pub fn features(&self, images: &[f32]) -> Result<Vec<f32>> {
        let len = self.from.iter().product::<usize>();
        let mut features = Vec::new();
        let of = |range: Range<usize>| Ok(images[range.start * len..range.end * len].to_vec());
        self.each_part(images.len() / len, of, |part| features.extend_from_slice(part))?;
        Ok(features)
    }

    /// The Gaussian of the features of `count` images, which `images` gives by their range.
    fn gaussian(&self, count: usize, images: impl Fn(Range<usize>) -> Result<Vec<f32>>) -> Result<Gaussian> {
        let mut moments = Moments::new(self.dimension);
        self.each_part(count, images, |part| moments.add(part))?;
        moments.gaussian()
    }

    /// Features of `count` images, as many at a time as memory should hold.
    fn each_part(
        &self,
        count: usize,
        images: impl Fn(Range<usize>) -> Result<Vec<f32>>,
        mut take: impl FnMut(&[f32]),
    ) -> Result<()> {
        let rows = (CHUNK / self.to.iter().product::<usize>()).max(1);
        let mut printed = Instant::now();
        for first in (0..count).step_by(rows) {
            let end = (first + rows).min(count);
            take(&(self.forward)(&prepared(images(first..end)?, self.from, self.to))?);
            if printed.elapsed() >= INTERVAL {
                printed = Instant::now();
                say!("{}: {end}/{count} images", self.figure);
            }
        }
        Ok(())
    }
}

/// Distances from a data set on features.
pub struct OnFeatures<'a> {
    extractor: &'a Extractor<'a>,
    training_samples: usize,
    data: Reference,
}

impl<'a> OnFeatures<'a> {
    /// Fit the Gaussian of the first `limit` training samples, or of all.
    ///
    /// # Errors
    /// If the network's device fails.
    pub fn fit(extractor: &'a Extractor<'a>, data: &Dataset, limit: Option<usize>) -> Result<OnFeatures<'a>> {
        let training_samples = limit.unwrap_or(usize::MAX).min(data.train_count());
        let gaussian = extractor.gaussian(training_samples, |range| data.train_batch(range))?;
        Ok(OnFeatures { extractor, training_samples, data: Reference::new(gaussian)? })
    }

    /// Samples that the data's Gaussian was fitted to.
    pub fn training_samples(&self) -> usize {
        self.training_samples
    }

    /// Distance of `samples`, flat, from the training data.
    ///
    /// # Errors
    /// If there are fewer than two samples, one is not finite, or the network's device fails.
    pub fn distance(&self, samples: &[f32]) -> Result<f64> {
        ensure!(samples.iter().all(|v| v.is_finite()), "a sample is not finite; the chain has diverged");
        let len = self.extractor.from.iter().product::<usize>();
        let of = |range: Range<usize>| Ok(samples[range.start * len..range.end * len].to_vec());
        self.data.distance(&self.extractor.gaussian(samples.len() / len, of)?)
    }
}

/// Images of shape `from`, clamped, as images of shape `to`.
fn prepared(mut images: Vec<f32>, from: [usize; 3], to: [usize; 3]) -> Vec<f32> {
    images.iter_mut().for_each(|v| *v = v.clamp(-1.0, 1.0));
    if from == to {
        return images;
    }
    let rows = |size, taps: [&[Tap]; 2], plane: &[f32]| enlarged(plane, size, taps);
    let (down, across) = (taps(from[1], to[1]), taps(from[2], to[2]));
    let grey = if from[0] == to[0] { 1 } else { to[0] };
    let planes = images.chunks(from[1] * from[2]);
    planes.flat_map(|plane| rows(from[2], [&down, &across], plane).repeat(grey)).collect()
}

/// The two neighbours of an enlarged pixel in one direction, and the share of the second.
type Tap = (usize, usize, f32);

/// Bilinear interpolation between pixels' centres, as PyTorch's with `align_corners=False`.
fn taps(from: usize, to: usize) -> Vec<Tap> {
    let scale = from as f32 / to as f32;
    let tap = |i: usize| {
        let place = ((i as f32 + 0.5) * scale - 0.5).max(0.0);
        let first = (place as usize).min(from - 1);
        (first, (first + 1).min(from - 1), place - first as f32)
    };
    (0..to).map(tap).collect()
}

fn enlarged(plane: &[f32], width: usize, [down, across]: [&[Tap]; 2]) -> Vec<f32> {
    let row = |y: usize| &plane[y * width..(y + 1) * width];
    let mix = |a: f32, b: f32, share: f32| a + share * (b - a);
    let mut out = Vec::with_capacity(down.len() * across.len());
    for &(top, bottom, y) in down {
        let (top, bottom) = (row(top), row(bottom));
        out.extend(across.iter().map(|&(left, right, x)| {
            mix(mix(top[left], top[right], x), mix(bottom[left], bottom[right], x), y)
        }));
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_shipped_classifiers_fit_their_sets() {
        for (set, least) in
            [(ImageSet::Mnist, 0.99), (ImageSet::FashionMnist, 0.9), (ImageSet::Cifar10, 0.65)]
        {
            let features = shipped(set).unwrap().unwrap();
            let channels = if set == ImageSet::Cifar10 { 3 } else { 1 };
            let executor = Executor::Cpu { threads: 1 };
            let extractor = Extractor::network(&features, &[channels, 32, 32], &executor).unwrap();
            assert_eq!(extractor.figure(), format!("frechet_{}-classifier_64", set.name()));
            assert_eq!(extractor.features(&vec![0.5; 2 * channels * 1024]).unwrap().len(), 128);
            assert!(features.provenance.metrics["test_accuracy"] >= least);
            assert!(!features.provenance.license.is_empty());
        }
    }

    #[test]
    fn images_that_cannot_become_what_the_network_takes_are_refused() {
        let (features, executor) = (shipped(ImageSet::Mnist).unwrap().unwrap(), Executor::Cpu { threads: 1 });
        for (shape, expected) in [
            (&[3usize, 32, 32][..], "other colours"),
            (&[1, 64, 64], "larger"),
            (&[1, 16, 33], "larger"),
            (&[2], "of images"),
        ] {
            let error = Extractor::network(&features, shape, &executor).err().unwrap();
            let error = format!("{error:#}");
            assert!(error.contains(expected) && error.contains("mnist-classifier"), "{error}");
        }
    }

    /// On features that are the pixels themselves the distance is that of the pixels.
    #[test]
    fn a_distance_is_that_of_the_features_gaussians() {
        use dual_mcmc::model::{Provenance, Weighted};
        use dual_mcmc::network::{Layer, Network};
        let network = Network { input: vec![1, 1, 3], layers: vec![Layer::Flatten], reference: None };
        let network = Weighted { network, weights: Vec::new() };
        let features =
            Features { name: "pixels".into(), network, classifier: None, provenance: Provenance::default() };
        let executor = Executor::Cpu { threads: 1 };
        let extractor = Extractor::network(&features, &[1, 1, 3], &executor).unwrap();
        let rows = |seed, shift: f32| -> Vec<f32> {
            use dual_mcmc::noise::{Noise, Stream};
            let x = Noise::new(seed, Stream::Data).normal_rows(0, 400, 3, 0);
            x.into_iter().map(|v| 0.1 * v + shift).collect()
        };
        let data = Dataset {
            name: "test".into(),
            known: None,
            shape: vec![1, 1, 3],
            train: crate::data::Samples::Floats(rows(1, 0.0)),
            held_out: crate::data::Samples::Floats(rows(2, 0.0)),
        };
        let all = OnFeatures::fit(&extractor, &data, None).unwrap();
        assert_eq!(all.training_samples(), 400);
        assert!(all.distance(&rows(1, 0.0)).unwrap().abs() < 1e-9, "a set is at distance 0 of itself");
        let shifted = all.distance(&rows(1, 0.25)).unwrap();
        assert!((shifted - 3.0 * 0.0625).abs() < 1e-4, "{shifted}");
        assert_eq!(OnFeatures::fit(&extractor, &data, Some(50)).unwrap().training_samples(), 50);
        assert!(all.distance(&[f32::NAN; 6]).is_err());
        assert!(all.distance(&[0.0; 3]).is_err());
    }

    /// torch.nn.functional.interpolate(mode="bilinear", align_corners=False) of the same numbers.
    #[test]
    fn images_are_enlarged_as_pytorch_does_it() {
        let image = vec![0.0, 1.0, -1.0, 0.5, 0.25, -0.5];
        let found = prepared(image, [1, 2, 3], [3, 3, 5]);
        let one = [0.0, 0.4, 1.0, -0.2, -1.0, 0.25, 0.4, 0.625, -0.2, -0.75, 0.5, 0.4, 0.25, -0.2, -0.5];
        assert_eq!(found.len(), 45);
        for (i, v) in found.iter().enumerate() {
            assert!((v - one[i % 15]).abs() < 1e-6, "{i}: {v} {}", one[i % 15]);
        }
    }
}
