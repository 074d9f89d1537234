//! Data sets: where they lie, how they are read, and where they come from.

pub mod atomic;
mod cifar;
pub mod download;
pub mod fetch;
mod idx;
pub mod image_sets;
pub mod import;
pub mod npy;

use anyhow::{Context, Result, bail, ensure};
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc::points::PointSet;
use image_sets::ImageSet;
use std::path::{Path, PathBuf};

/// Points drawn of a synthetic set where the recipe does not say how many.
pub const POINTS: usize = 60_000;

/// Held-out points of a synthetic set: a later range of the same sequence.
pub const HELD_OUT_POINTS: usize = 10_000;

/// Every use of a synthetic set sees the same points, whatever the seed of the run.
const POINTS_SEED: u64 = 0;

/// Samples in memory: pixels as bytes where they were bytes, which takes a quarter of the space.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Pixels 0 to 255, for -1 to 1.
    Bytes(Vec<u8>),
    /// Values as they are.
    Floats(Vec<f32>),
}

/// A data set: training samples and held-out samples of one shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Its name, for provenance.
    pub name: String,
    /// Shape of one sample: `[D]` or `[C, H, W]`.
    pub shape: Vec<usize>,
    /// What is learned from.
    pub train: Samples,
    /// What is never learned from.
    pub held_out: Samples,
}

impl Samples {
    /// Number of values of all samples.
    pub fn len(&self) -> usize {
        match self {
            Samples::Bytes(bytes) => bytes.len(),
            Samples::Floats(floats) => floats.len(),
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The samples of `indices`, each `len` values long, one after another.
    pub fn gather(&self, indices: impl IntoIterator<Item = usize>, len: usize) -> Vec<f32> {
        let mut out = Vec::new();
        for i in indices {
            match self {
                Samples::Bytes(bytes) => {
                    out.extend(bytes[i * len..(i + 1) * len].iter().map(|&b| pixel(b)));
                }
                Samples::Floats(floats) => out.extend_from_slice(&floats[i * len..(i + 1) * len]),
            }
        }
        out
    }
}

impl Dataset {
    /// Values of one sample.
    pub fn sample_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Number of training samples.
    pub fn train_count(&self) -> usize {
        self.train.len() / self.sample_len()
    }

    /// Number of held-out samples.
    pub fn held_out_count(&self) -> usize {
        self.held_out.len() / self.sample_len()
    }

    /// Training samples of `indices`, flat.
    pub fn train_batch(&self, indices: impl IntoIterator<Item = usize>) -> Vec<f32> {
        self.train.gather(indices, self.sample_len())
    }

    /// The first `count` held-out samples, flat, or as many as there are.
    pub fn held_out_batch(&self, count: usize) -> Vec<f32> {
        self.held_out.gather(0..count.min(self.held_out_count()), self.sample_len())
    }

    /// Load the data set that `source` names: a synthetic set, a fetched set, an `.npy` file, a
    /// folder with the files of a known set, or a folder of images. `shape` is what the networks
    /// take; `count` limits a synthetic set.
    ///
    /// # Errors
    /// If there is no such data set, if its files are missing or damaged, or if its samples have
    /// another shape.
    pub fn load(source: &str, shape: &[usize], count: Option<usize>) -> Result<Dataset> {
        let path = Path::new(source);
        let data = if let Some(set) = PointSet::from_name(source) {
            points(set, count.unwrap_or(POINTS))
        } else if let Some(set) = ImageSet::from_name(source) {
            let folder = directory()?.join(set.name());
            ensure!(
                folder.is_dir(),
                "{source} is not in {}; fetch it with `dual-mcmc data fetch {source}`",
                folder.display()
            );
            set.load(&folder, true)?
        } else if path.is_dir() {
            match ImageSet::ALL.into_iter().find(|set| set.recognises(path)) {
                Some(set) => Dataset { name: stem(path), ..set.load(path, false)? },
                None => folder_of_images(path, shape)?,
            }
        } else if path.is_file() {
            array_file(path)?
        } else {
            bail!("there is no data set, file or folder `{source}`; known sets are {}", known().join(", "));
        };
        ensure!(
            data.shape == shape,
            "the samples of {source} have shape {:?}, but the networks take {shape:?}",
            data.shape
        );
        Ok(data)
    }
}

/// The names that `load` knows.
pub fn known() -> Vec<&'static str> {
    let points = PointSet::ALL.iter().map(|set| set.name());
    points.chain(ImageSet::ALL.iter().map(|set| set.name())).collect()
}

/// The folder of fetched data: `$DUAL_MCMC_DATA`, or `dual-mcmc` in the platform's data folder.
///
/// # Errors
/// If the platform has none.
pub fn directory() -> Result<PathBuf> {
    match std::env::var_os("DUAL_MCMC_DATA").filter(|value| !value.is_empty()) {
        Some(folder) => Ok(folder.into()),
        None => Ok(dirs::data_dir()
            .context("there is no home folder to keep data in; set DUAL_MCMC_DATA to a folder")?
            .join("dual-mcmc")),
    }
}

/// The value of a pixel in [-1, 1].
pub fn pixel(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}

fn points(set: PointSet, count: usize) -> Dataset {
    let noise = Noise::new(POINTS_SEED, Stream::Data);
    Dataset {
        name: set.name().into(),
        shape: vec![2],
        train: Samples::Floats(set.sample(noise, 0, count)),
        held_out: Samples::Floats(set.sample(noise, count as u32, HELD_OUT_POINTS)),
    }
}

/// An `.npy` array of samples. Its last tenth is held out.
fn array_file(path: &Path) -> Result<Dataset> {
    let array = npy::read(path)?;
    let shape = array.shape[1..].to_vec();
    let named = || path.display();
    ensure!(
        shape.len() == 1 || shape.len() == 3,
        "{} has shape {:?}; data must be [N, D] or [N, C, H, W]",
        named(),
        array.shape
    );
    if shape.len() == 3 {
        npy::check_range(&array.values, path)?;
    }
    split(stem(path), shape, Samples::Floats(array.values)).with_context(|| format!("cannot use {}", named()))
}

fn folder_of_images(path: &Path, shape: &[usize]) -> Result<Dataset> {
    let &[channels, height, width] = shape else {
        bail!("{} is a folder of images, but the networks take {shape:?}", path.display());
    };
    ensure!(height == width, "images are cropped to squares, but the networks take {shape:?}");
    let pixels = import::folder(path, height, channels)?;
    split(stem(path), shape.to_vec(), Samples::Bytes(pixels))
        .with_context(|| format!("cannot use {}", path.display()))
}

/// Hold out the last tenth, at most 10,000 samples.
fn split(name: String, shape: Vec<usize>, samples: Samples) -> Result<Dataset> {
    let len: usize = shape.iter().product();
    let count = samples.len() / len;
    ensure!(count >= 10, "{count} samples are too few; at least 10 are needed");
    let cut = (count - (count / 10).clamp(1, 10_000)) * len;
    let (train, held_out) = match samples {
        Samples::Bytes(mut bytes) => {
            let rest = bytes.split_off(cut);
            (Samples::Bytes(bytes), Samples::Bytes(rest))
        }
        Samples::Floats(mut floats) => {
            let rest = floats.split_off(cut);
            (Samples::Floats(floats), Samples::Floats(rest))
        }
    };
    Ok(Dataset { name, shape, train, held_out })
}

fn stem(path: &Path) -> String {
    path.file_stem().map_or_else(|| "data".into(), |stem| stem.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bytes_and_floats_give_the_same_samples() {
        let bytes = Samples::Bytes(vec![0, 255, 51, 204]);
        let floats = Samples::Floats(vec![-1.0, 1.0, -0.6, 0.6]);
        let a = bytes.gather([1, 0, 1], 2);
        let b = floats.gather([1, 0, 1], 2);
        assert_eq!(a.len(), 6);
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6), "{a:?} {b:?}");
    }

    #[test]
    fn held_out_points_are_no_training_points() {
        let data = Dataset::load("ring", &[2], Some(1000)).unwrap();
        assert_eq!((data.train_count(), data.held_out_count()), (1000, HELD_OUT_POINTS));
        let next = PointSet::Ring.sample(Noise::new(POINTS_SEED, Stream::Data), 1000, 1);
        assert_eq!(data.held_out_batch(1), next);
    }

    #[test]
    fn files_are_split_and_their_shape_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.npy");
        let values: Vec<f32> = (0..60).map(|i| i as f32).collect();
        npy::write(&path, &[20, 3], &values).unwrap();
        let source = path.to_str().unwrap();
        let data = Dataset::load(source, &[3], None).unwrap();
        assert_eq!((data.name.as_str(), data.train_count(), data.held_out_count()), ("mine", 18, 2));
        assert_eq!(data.held_out_batch(10), values[54..]);
        let error = Dataset::load(source, &[2], None).unwrap_err().to_string();
        assert!(error.contains("[3]") && error.contains("[2]"), "{error}");

        npy::write(&path, &[10, 1, 2, 3], &values).unwrap();
        let error = Dataset::load(source, &[1, 2, 3], None).unwrap_err().to_string();
        assert!(error.contains("[-1, 1]"), "{error}");
    }

    #[test]
    fn a_folder_of_images_is_cut_to_what_the_networks_take() {
        let folder = tempfile::tempdir().unwrap();
        for i in 0..20u8 {
            let image = image::RgbImage::from_pixel(12, 9, image::Rgb([10 * i, 0, 255]));
            image.save(folder.path().join(format!("{i:02}.png"))).unwrap();
        }
        let source = folder.path().to_str().unwrap();
        let data = Dataset::load(source, &[3, 8, 8], None).unwrap();
        assert_eq!((data.train_count(), data.held_out_count()), (18, 2));
        let first = data.train_batch([1]);
        assert_eq!((first[0], first[64], first[128]), (pixel(10), -1.0, 1.0));
        assert!(Dataset::load(source, &[2], None).is_err());
    }

    #[test]
    fn unknown_names_list_the_known_ones() {
        let error = Dataset::load("no-such-set", &[2], None).unwrap_err().to_string();
        assert!(error.contains("fashion-mnist") && error.contains("spiral"), "{error}");
    }
}
