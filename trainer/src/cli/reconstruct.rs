//! `dual-mcmc reconstruct`.

use super::arguments::{ChainOptions, Device, Output, distinct, input, positive};
use super::sample::write_trace;
use crate::console::{answer, say};
use crate::data::{atomic, has_extension, import, npy, pixel};
use crate::run::chains;
use crate::run::pictures::{self, Panel};
use crate::run::{device, model_file};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use dual_mcmc::jobs::{Changes, LatentStart, Reconstructing};
use dual_mcmc::model::Model;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Reconstruct {
    /// The model, a .safetensors file
    model: PathBuf,
    /// Samples, an .npy array [N, C, H, W] in [-1, 1] or [N, D], a .csv file of points, or a folder of images
    #[arg(long, value_name = "FILE.npy|FILE.csv|DIR")]
    input: PathBuf,
    /// Reconstructions, an .npy array, or a .png picture: input, where the chain starts, its end
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What is known of the samples, an .npy array of ones and zeros, [N, C, H, W], [C, H, W] or [H, W] (N and C may
    /// be 1) or [N, D] or [D], or a .png picture, white where known; the rest is filled in
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,
    /// Squared error of every chain before each step and after the last, as CSV
    #[arg(long, value_name = "FILE.csv")]
    trace: Option<PathBuf>,
    /// Where the chains start
    #[arg(
        long,
        value_parser = start(),
        default_value = LatentStart::default().name(),
        help_heading = "Chain"
    )]
    init: LatentStart,
    /// Standard deviation σ of the generator's observation noise [default: the model's]
    #[arg(long, value_parser = positive, help_heading = "Chain")]
    sigma: Option<f32>,
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    device: Device,
}

/// The name of a start.
fn start() -> impl TypedValueParser<Value = LatentStart> {
    PossibleValuesParser::new(LatentStart::ALL.map(|start| {
        clap::builder::PossibleValue::new(start.name()).help(match start {
            LatentStart::Encoder => "The encoder's guess",
            LatentStart::Prior => "A sample of the prior",
        })
    }))
    .map(|name| LatentStart::from_name(&name).unwrap_or_default())
}

impl Reconstruct {
    pub fn run(self) -> Result<()> {
        let model = model_file::read(&self.model)?;
        let shape = model.data_shape();
        let out = Output::new(&self.out, &shape)?;
        if let Some(trace) = &self.trace {
            atomic::check_writable(trace)?;
        }
        let inputs = [self.model.as_path(), &self.input].into_iter().chain(self.mask.as_deref());
        distinct(inputs, [self.out.as_path()].into_iter().chain(self.trace.as_deref()))?;
        let x = samples(&self.input, &model)?;
        let len: usize = shape.iter().product();
        let mask = self.mask.as_deref().map(|path| mask(path, &shape, x.len() / len)).transpose()?;
        let job = self.job(&model)?;
        let executor = device::executor(self.device.device)?;
        say!(
            "{} samples, {} steps of size {} with noise {} on {}",
            x.len() / len,
            job.steps,
            job.langevin.step_size,
            job.langevin.noise,
            executor.name()
        );
        let back = chains::reconstruct(&executor, &model, &job, &x, mask.as_deref())?;
        chains::check_reconstructed(&back)?;
        let mean = |row: Option<&Vec<f32>>| row.map_or(f32::NAN, |r| r.iter().sum::<f32>() / r.len() as f32);
        answer!(
            "squared error of a sample: {:.4} at {}, {:.4} after {} steps",
            mean(back.trace.first()),
            match self.init {
                LatentStart::Encoder => "the encoder's guess",
                LatentStart::Prior => "a sample of the prior",
            },
            mean(back.trace.last()),
            job.steps
        );
        if let Some(trace) = &self.trace {
            write_trace(trace, "squared_error", &back.trace)?;
        }
        match out {
            Output::Npy(path) => npy::write(&path, &[&[x.len() / len], &shape[..]].concat(), &back.end),
            Output::Png(path) => {
                let seen: Vec<f32> = match &mask {
                    Some(mask) => x.iter().zip(mask).map(|(x, m)| x * m).collect(),
                    None => x,
                };
                let panel = |values| Panel { values, shape: &shape };
                let panels = [panel(&seen), panel(&back.guess), panel(&back.end)];
                pictures::write(&path, &pictures::rows(&panels))
            }
        }
    }

    /// The model's chain with the changes that the options make.
    fn job(&self, model: &Model) -> Result<Reconstructing> {
        model_file::generator(model)?;
        if self.init == LatentStart::Encoder {
            model_file::encoder(model)?;
        }
        let changes = Changes { sigma: self.sigma, ..self.chain.changes() };
        let job = Reconstructing::changed(model, self.chain.seed, changes)?;
        Ok(Reconstructing { start: self.init, ..job })
    }
}

/// Samples of an `.npy` file or a folder of images, flat.
fn samples(path: &Path, model: &Model) -> Result<Vec<f32>> {
    if !path.is_dir() {
        return Ok(input(path, model)?.values);
    }
    let shape = model.data_shape();
    match shape[..] {
        [channels, height, width] if height == width => {
            let format = import::Format::new(channels, height);
            Ok(import::folder(path, import::Order::Names, format)?.into_iter().map(pixel).collect())
        }
        _ => bail!("{} is a folder of images, but the model takes {shape:?}", path.display()),
    }
}

/// A mask for `count` samples of `shape`, of 0 and 1, as many values as they have.
fn mask(path: &Path, shape: &[usize], count: usize) -> Result<Vec<f32>> {
    let (found, values) = match has_extension(path, "npy") {
        true => {
            let array = npy::read(path)?;
            (array.shape, array.values)
        }
        false => picture(path, shape)?,
    };
    ensure!(
        values.iter().all(|&v| v == 0.0 || v == 1.0),
        "{} must hold only ones (known) and zeros (to be filled in)",
        path.display()
    );
    // As NumPy broadcasts: aligned at the right, and what is missing or 1 stands for all. Only samples and channels
    // may be.
    let wanted = [&[count], shape].concat();
    let missing = wanted.len().saturating_sub(found.len());
    let full = [&vec![1; missing][..], &found].concat();
    let places = if shape.len() == 3 { 2 } else { 1 };
    let free = wanted.len() - places;
    let fits = full.len() == wanted.len()
        && found.len() >= places
        && full.iter().zip(&wanted).enumerate().all(|(i, (f, w))| f == w || (i < free && *f == 1));
    if !fits {
        let shapes = match shape {
            [c, h, w] => format!("[{h}, {w}], [{c}, {h}, {w}] or [{count}, {c}, {h}, {w}]"),
            _ => format!("{shape:?} or {wanted:?}"),
        };
        bail!("{} has shape {found:?}; a mask for these samples has shape {shapes}", path.display());
    }
    let plane: usize = full[free..].iter().product();
    let channels = if free == 2 { wanted[1] } else { 1 };
    let of = |sample: usize, channel: usize| {
        let sample = if full[0] == 1 { 0 } else { sample };
        let (channel, stored) = match free {
            2 if full[1] > 1 => (channel, full[1]),
            _ => (0, 1),
        };
        &values[(sample * stored + channel) * plane..][..plane]
    };
    let pairs = (0..count).flat_map(|sample| (0..channels).map(move |channel| (sample, channel)));
    Ok(pairs.flat_map(|(sample, channel)| of(sample, channel)).copied().collect())
}

/// A picture as a mask, `[H, W]`, and its values: 1 where it is white.
fn picture(path: &Path, shape: &[usize]) -> Result<(Vec<usize>, Vec<f32>)> {
    let &[_, height, width] = shape else {
        bail!("{}: a mask for data of shape {shape:?} is an .npy array", path.display());
    };
    ensure!(has_extension(path, "png"), "{} must end in .npy or .png", path.display());
    let picture = image::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        picture.width() as usize == width && picture.height() as usize == height,
        "{} is {}×{}, but the images are {width}×{height}",
        path.display(),
        picture.width(),
        picture.height()
    );
    ensure!(
        !picture.color().has_alpha() || picture.to_rgba8().pixels().all(|pixel| pixel.0[3] == 255),
        "{} has transparent pixels, which are neither known nor unknown; paint them white or black",
        path.display()
    );
    let values = picture.into_luma8().into_raw().into_iter().map(|b| f32::from(u8::from(b > 127)));
    Ok((vec![height, width], values.collect()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn masks_are_spread_over_channels_and_samples_by_their_shape() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.npy");
        let write = |shape: &[usize], of: &dyn Fn(usize) -> bool| {
            let values: Vec<f32> = (0..shape.iter().product()).map(|i| f32::from(u8::from(of(i)))).collect();
            npy::write(&path, shape, &values).unwrap();
        };
        // Two samples of three channels, 2 by 4: one plane, one for each channel, one for each sample, all.
        let image = [3, 2, 4];
        let firsts = |mask: Vec<f32>| mask.chunks(8).map(|plane| plane[0]).collect::<Vec<_>>();
        write(&[2, 4], &|i| i == 0);
        assert!(mask(&path, &image, 2).unwrap().chunks(8).all(|p| p[0] == 1.0 && p[1..] == [0.0; 7]));
        write(&[3, 2, 4], &|i| i / 8 == 1);
        assert_eq!(firsts(mask(&path, &image, 2).unwrap()), [0.0, 1.0, 0.0, 0.0, 1.0, 0.0]);
        write(&[2, 1, 2, 4], &|i| i / 8 == 1);
        assert_eq!(firsts(mask(&path, &image, 2).unwrap()), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        write(&[2, 3, 2, 4], &|i| i / 8 == 4);
        assert_eq!(firsts(mask(&path, &image, 2).unwrap()), [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
        // As many values, laid out otherwise.
        for shape in [&[2, 4, 3][..], &[8], &[24], &[4, 2], &[3, 8], &[2, 2, 4], &[1, 1, 1, 2, 4]] {
            write(shape, &|_| true);
            let error = mask(&path, &image, 2).unwrap_err().to_string();
            assert!(error.contains("[2, 4], [3, 2, 4] or [2, 3, 2, 4]"), "{shape:?}: {error}");
        }
        write(&[4], &|i| i > 0);
        assert_eq!(mask(&path, &[4], 2).unwrap(), [0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.0]);
        assert!(mask(&path, &[2], 2).unwrap_err().to_string().contains("[2] or [2, 2]"));
        npy::write(&path, &[2], &[0.5, 1.0]).unwrap();
        assert!(mask(&path, &[2], 4).unwrap_err().to_string().contains("zeros"));
    }

    #[test]
    fn pictures_are_masks_where_they_are_white() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.png");
        image::GrayImage::from_raw(2, 1, vec![255, 10]).unwrap().save(&path).unwrap();
        assert_eq!(mask(&path, &[1, 1, 2], 2).unwrap(), [1.0, 0.0, 1.0, 0.0]);
        let clear = folder.path().join("clear.png");
        image::RgbaImage::from_raw(2, 1, vec![255, 255, 255, 255, 255, 255, 255, 0])
            .unwrap()
            .save(&clear)
            .unwrap();
        assert!(mask(&clear, &[1, 1, 2], 2).unwrap_err().to_string().contains("transparent"));
        assert!(mask(&path, &[1, 2, 2], 1).unwrap_err().to_string().contains("2×1"));
    }
}
