//! Data sets: where they lie, how they are read, and where they come from.

pub mod atomic;
mod cifar;
pub mod csv;
pub mod download;
mod emoji;
pub mod fetch;
mod idx;
pub mod image_sets;
pub mod import;
mod jpeg;
pub mod labels;
pub mod memory;
pub mod npy;
mod resize;
mod samples;
pub mod scale;

use crate::teaching::{FEWEST, held_out_of};
use anyhow::{Context, Result, bail, ensure};
use dual_mcmc::points::{PointSet, TRAINING_POINTS};
use image_sets::ImageSet;
use md5::{Digest, Md5};
pub use resize::resize;
pub use samples::{Samples, pixel};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Held-out points of a synthetic set: a later range of the same sequence.
pub const HELD_OUT_POINTS: usize = 10_000;

/// Rows that [`Dataset::glance`] looks at, and values in them.
const LOOKED_AT: usize = 10_000;
const LOOKED_AT_VALUES: usize = 1 << 24;

/// A set that this program knows: its density, or its classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Synthetic points.
    Points(PointSet),
    /// Public images.
    Images(ImageSet),
}

impl Known {
    /// The set of that name.
    pub fn from_name(name: &str) -> Option<Known> {
        let points = PointSet::from_name(name).map(Known::Points);
        points.or_else(|| ImageSet::from_name(name).map(Known::Images))
    }
}

/// A data set: training samples and held-out samples of one shape.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// The set's name, for provenance: a known set's own, or the name of the file or folder, which is never that
    /// of a known set.
    pub name: String,
    /// The known set that it is. What lies in a file is known by its bytes, not by its name.
    pub known: Option<Known>,
    /// Shape of one sample: `[D]` or `[C, H, W]`.
    pub shape: Vec<usize>,
    /// Training samples.
    pub train: Samples,
    /// Held-out samples, never learned from.
    pub held_out: Samples,
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
    ///
    /// # Errors
    /// As [`Samples::gather`].
    pub fn train_batch(&self, indices: impl IntoIterator<Item = usize>) -> Result<Vec<f32>> {
        self.train.gather(indices, self.sample_len())
    }

    /// The first `count` held-out samples, flat, or as many as there are.
    ///
    /// # Errors
    /// As [`Samples::gather`].
    pub fn held_out_batch(&self, count: usize) -> Result<Vec<f32>> {
        self.held_out.gather(0..count.min(self.held_out_count()), self.sample_len())
    }

    /// Up to some thousand training samples from all over the set, flat.
    ///
    /// # Errors
    /// As [`Samples::gather`].
    pub fn glance(&self) -> Result<Vec<f32>> {
        let (count, len) = (self.train_count(), self.sample_len());
        let looked_at = count.min(LOOKED_AT).min((LOOKED_AT_VALUES / len).max(1));
        self.train.gather(spread(count, looked_at), len)
    }

    /// A checksum that identifies the data, wherever they lie: over all samples, of more than a gibibyte over some
    /// thousand from all over them.
    ///
    /// # Errors
    /// As [`Samples::gather`].
    pub fn fingerprint(&self) -> Result<String> {
        let len = self.sample_len();
        let mut digest = Md5::new();
        digest.update(format!("{:?} {} {}", self.shape, self.train_count(), self.held_out_count()));
        for samples in [&self.train, &self.held_out] {
            samples.digest(len, &mut digest)?;
        }
        Ok(image_sets::hexadecimal(&digest.finalize()))
    }

    /// Load the data set that `source` names: a synthetic set, a fetched set, an `.npy` or `.csv` file, a
    /// folder with the files of a known set, or a folder of images. A known set's name always means that set; see
    /// [`also_here`]. An `.npy` file stays on disk; its
    /// samples are read when they are asked for. Images of a folder are mixed before the last tenth is held out.
    /// `shape` is what the networks take; `count` limits a
    /// synthetic set.
    ///
    /// # Errors
    /// If there is no such data set, if its files are missing or damaged, or if its samples have
    /// another shape.
    pub fn load(source: &str, shape: &[usize], count: Option<usize>) -> Result<Dataset> {
        let path = Path::new(source);
        let data = if let Some(set) = PointSet::from_name(source) {
            points(set, count.unwrap_or(TRAINING_POINTS))?
        } else if let Some(set) = ImageSet::from_name(source) {
            let folder = directory()?.join(set.name());
            ensure!(
                folder.is_dir(),
                "{source} is not in {}; fetch it with `dual-mcmc data fetch {source}`",
                folder.display()
            );
            Dataset { known: Some(Known::Images(set)), ..set.load(&folder, true, shape)? }
        } else if path.is_dir() {
            // Two sets have the same file names.
            let alike = || ImageSet::ALL.into_iter().filter(|set| set.recognises(path));
            let verified = alike().find(|set| set.verify(path).is_ok());
            match verified.or_else(|| alike().next()) {
                Some(set) => {
                    let known = verified.map(Known::Images);
                    let name = if known.is_some() { set.name().into() } else { own_name(path) };
                    Dataset { name, known, ..set.load(path, false, shape)? }
                }
                None => folder_of_images(path, shape)?,
            }
        } else if path.is_file() {
            file(path)?
        } else {
            return Err(unknown(source));
        };
        ensure!(
            data.shape == shape,
            "the samples of {source} have shape {:?}, but the networks take {shape:?}",
            data.shape
        );
        Ok(data)
    }
}

/// Number of values of one sample of the vectors that `source` names: a synthetic set, an `.npy` or a
/// `.csv` file.
///
/// # Errors
/// If there is no such file, it cannot be read, or the data are images.
pub fn vector_len(source: &str) -> Result<usize> {
    let path = Path::new(source);
    if PointSet::from_name(source).is_some() {
        return Ok(2);
    }
    if has_extension(path, "csv") && path.is_file() {
        return csv::columns(path);
    }
    if path.is_file() {
        let rows = npy::Rows::open(path)?;
        ensure!(
            rows.shape().len() == 2,
            "{source} has shape {:?}; this recipe takes vectors, [N, D]",
            rows.shape()
        );
        return Ok(rows.row_len());
    }
    if path.is_dir() || ImageSet::from_name(source).is_some() {
        bail!("{source} holds images, but this recipe takes vectors: an .npy or a .csv file of [N, D]");
    }
    Err(unknown(source))
}

fn unknown(source: &str) -> anyhow::Error {
    anyhow::anyhow!(
        "there is no data set, file or folder `{source}`; name yours with --data, or one of {}",
        known().join(", ")
    )
}

/// `wanted` of the numbers below `count`, evenly spread; `wanted` is at most `count`.
pub fn spread(count: usize, wanted: usize) -> impl Iterator<Item = usize> {
    (0..wanted).map(move |i| (i as u128 * count as u128 / wanted as u128) as usize)
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

fn points(set: PointSet, count: usize) -> Result<Dataset> {
    memory::ask(count.saturating_mul(2 * size_of::<f32>()), || format!("{count} points of {}", set.name()))?;
    Ok(Dataset {
        name: set.name().into(),
        known: Some(Known::Points(set)),
        shape: vec![2],
        train: Samples::Floats(set.points(0, count)),
        held_out: Samples::Floats(set.points(count, HELD_OUT_POINTS)),
    })
}

/// A file or folder by its place from the root, so that it is found from anywhere; a known set by its name.
pub fn absolute(source: &str) -> String {
    let path = Path::new(source);
    let place = || std::path::absolute(path).ok()?.to_str().map(String::from);
    let is_place = Known::from_name(source).is_none() && path.exists();
    is_place.then(place).flatten().unwrap_or_else(|| source.into())
}

/// What to say where a known set's name is also that of a file or folder here: which of them was taken.
pub fn also_here(source: &str) -> Option<String> {
    let path = Path::new(source);
    let kind = if path.is_dir() { "folder" } else { "file" };
    (Known::from_name(source).is_some() && path.exists())
        .then(|| format!("`{source}` is taken for the known set of that name; the {kind} here is ./{source}"))
}

/// Whether a file's name ends in a dot and `extension`, in capitals or not.
pub fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension))
}

/// A `.csv` file, or an `.npy` array of samples. Its last tenth is held out.
fn file(path: &Path) -> Result<Dataset> {
    let cannot = || format!("cannot use {}", path.display());
    if has_extension(path, "csv") {
        let npy::Array { shape, values } = csv::read(path)?;
        return split(own_name(path), shape[1..].to_vec(), Samples::Floats(values)).with_context(cannot);
    }
    let mut rows = npy::Rows::open(path)?;
    let shape = rows.shape()[1..].to_vec();
    ensure!(
        shape.len() == 1 || shape.len() == 3,
        "{} has shape {:?}; data must be [N, D] or [N, C, H, W]",
        path.display(),
        rows.shape()
    );
    if shape.len() == 3 {
        rows = rows.of_images();
    }
    rows.check()?;
    let all = 0..rows.count();
    split(own_name(path), shape, Samples::Rows(Arc::new(rows), all)).with_context(cannot)
}

fn folder_of_images(path: &Path, shape: &[usize]) -> Result<Dataset> {
    let &[channels, height, width] = shape else {
        bail!("{} is a folder of images, but the networks take {shape:?}", path.display());
    };
    ensure!(height == width, "images are cropped to squares, but the networks take {shape:?}");
    let pixels = import::folder(path, import::Order::Mixed, import::Format::new(channels, height))?;
    split(own_name(path), shape.to_vec(), Samples::Bytes(pixels))
        .with_context(|| format!("cannot use {}", path.display()))
}

/// Own data: the last ones are held out.
fn split(name: String, shape: Vec<usize>, samples: Samples) -> Result<Dataset> {
    let len: usize = shape.iter().product();
    let count = samples.len() / len;
    ensure!(count >= FEWEST, "{count} samples are too few; at least {FEWEST} are needed");
    let (train, held_out) = samples.split(count - held_out_of(count), len);
    Ok(Dataset { name, known: None, shape, train, held_out })
}

/// The name by which a model calls the data that lie at `source`, where `remembered` is what its run calls them: runs
/// of older versions may call own data as a known set.
pub fn published_name(source: &str, remembered: &str) -> String {
    let path = Path::new(source);
    match Known::from_name(remembered) {
        // The file's name, which had lost its ending. A folder may well hold the known set.
        Some(_) if path.extension().is_some() && !path.is_dir() => own_name(path),
        _ => remembered.into(),
    }
}

/// The name of own data: the file's, or the folder's with a slash, and marked where a known set has that name.
fn own_name(path: &Path) -> String {
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let name = path.file_name().map_or_else(|| "data".into(), |name| name.to_string_lossy().into_owned());
    match (path.is_dir(), Known::from_name(&name)) {
        (true, _) => format!("{name}/"),
        (false, Some(_)) => format!("./{name}"),
        (false, None) => name,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn held_out_points_are_no_training_points() {
        let data = Dataset::load("ring", &[2], Some(1000)).unwrap();
        assert_eq!((data.train_count(), data.held_out_count()), (1000, HELD_OUT_POINTS));
        let next = PointSet::Ring.points(1000, 1);
        assert_eq!(data.held_out_batch(1).unwrap(), next);
    }

    #[test]
    fn files_are_split_and_their_shape_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.npy");
        let values: Vec<f32> = (0..60).map(|i| i as f32).collect();
        npy::write(&path, &[20, 3], &values).unwrap();
        let source = path.to_str().unwrap();
        let data = Dataset::load(source, &[3], None).unwrap();
        assert_eq!((data.name.as_str(), data.train_count(), data.held_out_count()), ("mine.npy", 18, 2));
        assert_eq!(data.held_out_batch(10).unwrap(), values[54..]);
        let error = Dataset::load(source, &[2], None).unwrap_err().to_string();
        assert!(error.contains("[3]") && error.contains("[2]"), "{error}");

        // Rows on disk are those of the array, in any order.
        let batch = data.train_batch([17, 3, 4, 5, 0, 0]).unwrap();
        let expected =
            [17, 3, 4, 5, 0, 0].map(|i| [3.0 * i as f32, 3.0 * i as f32 + 1.0, 3.0 * i as f32 + 2.0]);
        assert_eq!(batch, expected.as_flattened());
        assert_eq!(data.glance().unwrap(), values[..54]);

        npy::write(&path, &[10, 1, 2, 3], &values).unwrap();
        let error = Dataset::load(source, &[1, 2, 3], None).unwrap_err().to_string();
        assert!(error.contains("[-1, 1]"), "{error}");
    }

    #[test]
    fn a_folder_of_images_is_cut_to_what_the_networks_take() {
        let folder = tempfile::tempdir().unwrap();
        // Two classes, one after the other by name.
        for i in 0..40u8 {
            let image =
                image::RgbImage::from_pixel(12, 9, image::Rgb([i, if i < 20 { 0 } else { 200 }, 255]));
            image.save(folder.path().join(format!("{i:02}.png"))).unwrap();
        }
        let source = folder.path().to_str().unwrap();
        let data = Dataset::load(source, &[3, 8, 8], None).unwrap();
        assert_eq!((data.train_count(), data.held_out_count()), (36, 4));
        let train = data.train_batch(0..36).unwrap();
        let held_out = data.held_out_batch(4).unwrap();
        let mut all: Vec<f32> = train.chunks(192).chain(held_out.chunks(192)).map(|image| image[0]).collect();
        all.sort_by(f32::total_cmp);
        assert_eq!(all, (0..40).map(pixel).collect::<Vec<_>>(), "each image once");
        assert!(train.chunks(192).all(|image| image[128] == 1.0));
        let mut classes: Vec<f32> = held_out.chunks(192).map(|image| image[64]).collect();
        classes.dedup();
        assert!(classes.len() > 1, "both classes are held out: {classes:?}");
        assert!(Dataset::load(source, &[2], None).is_err());
    }

    #[test]
    fn points_come_from_csv_too_and_their_length_is_known_without_loading_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_string();
        let lines: String = (0..20).map(|i| format!("{i},{},-1\n", 2 * i)).collect();
        std::fs::write(path("mine.csv"), format!("a,b,c\n{lines}")).unwrap();
        let data = Dataset::load(&path("mine.csv"), &[3], None).unwrap();
        assert_eq!((data.name.as_str(), data.train_count(), data.held_out_count()), ("mine.csv", 18, 2));
        assert_eq!(data.held_out_batch(1).unwrap(), [18.0, 36.0, -1.0]);
        npy::write(Path::new(&path("five.npy")), &[2, 5], &[0.0; 10]).unwrap();
        npy::write(Path::new(&path("images.npy")), &[2, 1, 5, 1], &[0.0; 10]).unwrap();
        let lens = [path("mine.csv"), path("five.npy"), "moons".into()].map(|s| vector_len(&s).unwrap());
        assert_eq!(lens, [3, 5, 2]);
        for (source, expected) in [
            (path("images.npy"), "vectors"),
            (path(""), "images"),
            ("mnist".into(), "images"),
            (path("no.npy"), "--data"),
        ] {
            let error = vector_len(&source).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn unknown_names_list_the_known_ones() {
        let error = Dataset::load("no-such-set", &[2], None).unwrap_err().to_string();
        assert!(error.contains("fashion-mnist") && error.contains("spiral"), "{error}");
    }
}
