//! `dual-mcmc evaluate`.

use super::arguments::{ChainOptions, Device, count, distinct, warn};
use crate::console::{answer, say};
use crate::data::{self, Dataset, atomic};
use crate::run::evaluate::{self, Evaluation};
use crate::run::features::{self, Extractor};
#[cfg(feature = "fid")]
use crate::run::inception::Inception;
use crate::run::{device, model_file};
#[cfg(not(feature = "fid"))]
use anyhow::bail;
use anyhow::{Result, ensure};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Evaluate {
    /// The model, a .safetensors file
    model: PathBuf,
    /// The data it is measured against: the name of a set, a file or a folder
    #[arg(long, value_name = "NAME|FILE|DIR")]
    data: String,
    /// Samples to draw [default: 5000 of images, 4096 of points]
    #[arg(long, value_name = "N", value_parser = count)]
    count: Option<usize>,
    /// Features that Fréchet distances are measured on: mnist, fashion-mnist, cifar10, or a feature
    /// file; may be repeated [default: the classifier of the data, if there is one]
    #[arg(long, value_name = "NAME|FILE")]
    features: Vec<String>,
    /// Inception's weights, for FID: the file of the pytorch-fid project (only where the program was
    /// built with the feature `fid`)
    #[arg(long, value_name = "FILE")]
    inception: Option<PathBuf>,
    /// Training samples that distances on features are measured against [default: all]
    #[arg(long, value_name = "N", value_parser = count)]
    reference: Option<usize>,
    /// All figures as one JSON object
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    device: Device,
}

impl Evaluate {
    pub fn run(self) -> Result<()> {
        let model = model_file::read(&self.model)?;
        if let Some(json) = &self.json {
            atomic::check_writable(json)?;
            let named = [&self.data].into_iter().chain(&self.features).map(|name| Path::new(name.as_str()));
            let inputs = [self.model.as_path()].into_iter().chain(named).chain(self.inception.as_deref());
            distinct(inputs, [json.as_path()])?;
        }
        for (option, count) in [("--count", self.count), ("--reference", self.reference)] {
            ensure!(count != Some(1), "{option} must be at least 2: one sample has no spread");
        }
        for note in [&self.data].into_iter().chain(&self.features).filter_map(|name| data::also_here(name)) {
            say!("{note}");
        }
        let data = Dataset::load(&self.data, &model.data_shape(), None)?;
        if data.known.is_none() && data.shape.len() == 3 {
            warn(&data.name, &data.glance()?, &data.shape);
        }
        #[cfg(not(feature = "fid"))]
        if let Some(path) = &self.inception {
            bail!("{}: {}", path.display(), features::NO_FID);
        }
        let executor = device::executor(self.device.device)?;
        say!("{} against {} on {}", self.model.display(), data.name, executor.name());
        let networks = features::chosen(&self.features, &data)?;
        #[cfg(feature = "fid")]
        let inception = match &self.inception {
            Some(path) => Some(Inception::read(path, &device::training(self.device.device)?.parameters)?),
            None => None,
        };
        let extractors = networks.iter().map(|network| Extractor::network(network, &data.shape, &executor));
        #[cfg(feature = "fid")]
        let extractors =
            extractors.chain(inception.iter().map(|inception| Extractor::inception(inception, &data.shape)));
        let extractors = extractors.collect::<Result<Vec<_>>>()?;
        let job = Evaluation {
            model: &model,
            data: &data,
            executor: &executor,
            count: self.count,
            extractors: &extractors,
            reference: self.reference,
            chain: self.chain.changes(),
            seed: self.chain.seed,
        };
        let figures = evaluate::evaluate(&job)?;
        if let Some(json) = &self.json {
            atomic::write_bytes(json, &serde_json::to_vec_pretty(&figures)?)?;
        }
        answer!("{}", evaluate::table(&figures).trim_end());
        Ok(())
    }
}
