//! `dual-mcmc features`.

use super::arguments::{Device, check_npy, distinct, warn};
use super::data::image_set;
use crate::console::answer;
use crate::data::image_sets::ImageSet;
use crate::data::{atomic, npy};
use crate::run::features::{self, Extractor};
#[cfg(feature = "fid")]
use crate::run::inception::Inception;
use crate::run::{classifier, device};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use dual_mcmc::model::Precision;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Features {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a small classifier of a fetched set and write it as a feature file
    Train(Train),
    /// Write the features of images
    Extract(Extract),
}

#[derive(Debug, Args)]
struct Train {
    /// mnist, fashion-mnist or cifar10
    #[arg(value_parser = image_set)]
    set: ImageSet,
    /// The .safetensors file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Passes through the training images
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1000))]
    epochs: u64,
    /// Seed of its initial weights, and of the images' order
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    device: Device,
}

#[derive(Debug, Args)]
struct Extract {
    /// mnist, fashion-mnist, cifar10, or a feature file
    #[arg(value_name = "NAME|FILE", required_unless_present = "inception")]
    features: Option<String>,
    /// Inception's weights instead, as for `evaluate`
    #[arg(long, value_name = "FILE", conflicts_with = "features")]
    inception: Option<PathBuf>,
    /// Images, an .npy file [N, C, H, W] in [-1, 1]
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The .npy file to write, [N, D]
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    device: Device,
}

impl Features {
    pub fn run(self) -> Result<()> {
        match self.command {
            Command::Train(train) => train.run(),
            Command::Extract(extract) => extract.run(),
        }
    }
}

impl Train {
    fn run(self) -> Result<()> {
        atomic::check_writable(&self.out)?;
        let devices = device::training(self.device.device)?;
        let features = classifier::train(self.set, self.epochs, self.seed, &devices)?;
        let bytes = features
            .to_bytes(Precision::F16)
            .with_context(|| format!("cannot write the features {}", self.out.display()))?;
        atomic::write_bytes(&self.out, &bytes)?;
        let accuracy = features.provenance.metrics.get("test_accuracy");
        answer!("{}: test accuracy {:.4}", self.out.display(), accuracy.copied().unwrap_or(f64::NAN));
        Ok(())
    }
}

impl Extract {
    fn run(self) -> Result<()> {
        check_npy(&self.out)?;
        let named = self.features.as_deref().map(Path::new).into_iter().chain(self.inception.as_deref());
        distinct([self.input.as_path()].into_iter().chain(named), [self.out.as_path()])?;
        let images = npy::Rows::open(&self.input)?;
        let of_images = images.shape().len() == 4;
        let images = if of_images { images.of_images().all()? } else { images.all()? };
        if of_images {
            warn(&self.input.display(), &images.values, &images.shape[1..]);
        }
        let shape = &images.shape[1..];
        let (dimension, found) = match (&self.features, &self.inception) {
            (Some(source), _) => {
                let network = features::read(source)?;
                let executor = device::executor(self.device.device)?;
                let extractor = Extractor::network(&network, shape, &executor)?;
                (extractor.dimension(), extractor.features(&images.values)?)
            }
            #[cfg(feature = "fid")]
            (None, Some(path)) => {
                let inception = Inception::read(path, &device::training(self.device.device)?.parameters)?;
                let extractor = Extractor::inception(&inception, shape)?;
                (extractor.dimension(), extractor.features(&images.values)?)
            }
            #[cfg(not(feature = "fid"))]
            (None, Some(path)) => bail!("{}: {}", path.display(), features::NO_FID),
            (None, None) => bail!("name a feature network"),
        };
        npy::write(&self.out, &[images.shape[0], dimension], &found)
    }
}
