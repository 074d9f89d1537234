//! `dual-mcmc reconstruct`.

use super::arguments::{ChainOptions, Device, Output, input, positive};
use super::sample::write_trace;
use crate::data::{atomic, import, npy, pixel};
use crate::run::chains::Reconstructing;
use crate::run::pictures::{self, Panel};
use crate::run::{device, model_file};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use dual_mcmc::chain::Langevin;
use dual_mcmc::model::Model;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Reconstruct {
    /// The model, a .safetensors file
    model: PathBuf,
    /// Samples, an .npy array [N, C, H, W] in [-1, 1] or [N, D], or a folder of images
    #[arg(long, value_name = "FILE.npy|DIR")]
    input: PathBuf,
    /// Reconstructions, an .npy array, or a .png picture: input, encoder's guess, chain's end
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What is known of the samples, an .npy array of ones and zeros of one sample's or all samples'
    /// shape, or a .png picture, white where known; the rest is filled in
    #[arg(long, value_name = "FILE")]
    mask: Option<PathBuf>,
    /// Squared error of every chain before each step and after the last, as CSV
    #[arg(long, value_name = "FILE.csv")]
    trace: Option<PathBuf>,
    /// Standard deviation σ of the generator's observation noise [default: the model's]
    #[arg(long, value_parser = positive, help_heading = "Chain")]
    sigma: Option<f32>,
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    device: Device,
}

impl Reconstruct {
    pub fn run(self) -> Result<()> {
        let model = model_file::read(&self.model)?;
        let shape = model.data_shape();
        let out = Output::new(&self.out, &shape)?;
        if let Some(trace) = &self.trace {
            atomic::check_writable(trace)?;
        }
        let x = samples(&self.input, &model)?;
        let mask = self.mask.as_deref().map(|path| mask(path, &shape, x.len())).transpose()?;
        let job = self.job(&model)?;
        let executor = device::executor(self.device.device)?;
        let len: usize = shape.iter().product();
        eprintln!(
            "{} samples, {} steps of size {} with noise {} on {}",
            x.len() / len,
            job.steps,
            job.langevin.step_size,
            job.langevin.noise,
            executor.name()
        );
        let back = job.run(&model, &executor, &x, mask.as_deref())?;
        let mean = |row: Option<&Vec<f32>>| row.map_or(f32::NAN, |r| r.iter().sum::<f32>() / r.len() as f32);
        println!(
            "squared error of a sample: {:.4} at the encoder's guess, {:.4} after {} steps",
            mean(back.trace.first()),
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
        model_file::encoder(model)?;
        let ChainOptions { steps, step_size, noise, seed } = self.chain;
        let base = match (Reconstructing::recommended(model, seed), steps, step_size, noise, self.sigma) {
            (Ok(recommended), ..) => recommended,
            (Err(_), Some(steps), Some(s), Some(n), Some(sigma)) => {
                Reconstructing { steps, langevin: Langevin::new(s, n), sigma, seed }
            }
            (Err(error), ..) => return Err(error),
        };
        let mut job = Reconstructing {
            steps: steps.unwrap_or(base.steps),
            sigma: self.sigma.unwrap_or(base.sigma),
            ..base
        };
        job.langevin.step_size = step_size.unwrap_or(base.langevin.step_size);
        job.langevin.noise = noise.unwrap_or(base.langevin.noise);
        Ok(job)
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
            Ok(import::folder(path, import::Order::Names, height, channels)?.into_iter().map(pixel).collect())
        }
        _ => bail!("{} is a folder of images, but the model takes {shape:?}", path.display()),
    }
}

/// A mask for all samples, of 0 and 1, as many values as they have.
fn mask(path: &Path, shape: &[usize], total: usize) -> Result<Vec<f32>> {
    let len: usize = shape.iter().product();
    let plane: usize = shape[shape.len().saturating_sub(2)..].iter().product();
    let values = if path.extension().is_some_and(|e| e == "npy") {
        npy::read(path)?.values
    } else {
        let &[_, height, width] = shape else { bail!("a picture is no mask for data of shape {shape:?}") };
        let picture = image::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        ensure!(
            picture.width() as usize == width && picture.height() as usize == height,
            "{} is {}×{}, but the images are {width}×{height}",
            path.display(),
            picture.width(),
            picture.height()
        );
        picture.into_luma8().into_raw().into_iter().map(|b| f32::from(u8::from(b > 127))).collect()
    };
    ensure!(
        values.iter().all(|&v| v == 0.0 || v == 1.0),
        "{} must hold only ones (known) and zeros (to be filled in)",
        path.display()
    );
    // One plane for all channels, one sample for all samples, or all of it.
    ensure!(
        [plane, len, total].contains(&values.len()),
        "{} holds {} values; a mask for these samples holds {plane}, {len} or {total}",
        path.display(),
        values.len()
    );
    Ok(values.iter().copied().cycle().take(total).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn masks_are_spread_over_channels_and_samples() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.npy");
        npy::write(&path, &[2, 2], &[1.0, 0.0, 0.0, 1.0]).unwrap();
        let spread = mask(&path, &[3, 2, 2], 24).unwrap();
        assert_eq!(spread.len(), 24);
        assert!(spread.chunks(4).all(|plane| plane == [1.0, 0.0, 0.0, 1.0]));
        assert!(mask(&path, &[3, 4, 4], 96).unwrap_err().to_string().contains("16, 48 or 96"));
        npy::write(&path, &[2], &[0.5, 1.0]).unwrap();
        assert!(mask(&path, &[2], 8).unwrap_err().to_string().contains("zeros"));
    }

    #[test]
    fn pictures_are_masks_where_they_are_white() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.png");
        image::GrayImage::from_raw(2, 1, vec![255, 10]).unwrap().save(&path).unwrap();
        assert_eq!(mask(&path, &[1, 1, 2], 4).unwrap(), [1.0, 0.0, 1.0, 0.0]);
        assert!(mask(&path, &[1, 2, 2], 4).unwrap_err().to_string().contains("2×1"));
    }
}
