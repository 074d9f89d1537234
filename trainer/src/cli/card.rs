//! `dual-mcmc card`.

use super::arguments::{Device, count};
use crate::console::{answer, say};
use crate::data::{self, Dataset, Known};
use crate::run::card::{Card, model_and_run};
use crate::run::directory::RunDirectory;
use crate::run::{device, model_file};
use anyhow::{Context, Result, ensure};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct MakeCard {
    /// The folder of a finished run, or a model, a .safetensors file
    #[arg(value_name = "RUN|MODEL")]
    model: PathBuf,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The data it was made for: the name of a set, a file or a folder [default: what the run or the model names]
    #[arg(long, value_name = "NAME|FILE|DIR")]
    data: Option<String>,
    /// Leave the model where it is, and name its place on the card instead of copying it
    #[arg(long)]
    link: bool,
    /// What the model is called [default: the name of its recipe]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Samples to measure by [default: 5000 of images, 4096 of points]
    #[arg(long, value_name = "N", value_parser = count)]
    count: Option<usize>,
    /// Training samples that distances on features are measured against [default: all]
    #[arg(long, value_name = "N", value_parser = count)]
    reference: Option<usize>,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    device: Device,
}

impl MakeCard {
    pub fn run(self) -> Result<()> {
        for (option, count) in [("--count", self.count), ("--reference", self.reference)] {
            ensure!(count != Some(1), "{option} must be at least 2: one sample has no spread");
        }
        let (file, run) = model_and_run(&self.model)?;
        let model = model_file::read(&file)?;
        let of_run = match &run {
            Some(run) => Some(RunDirectory::new(run).open()?.0.data.set),
            None => None,
        };
        let of_model = Some(&model.provenance.data).filter(|name| Known::from_name(name).is_some());
        let source = self.data.clone().or(of_run).or_else(|| of_model.cloned());
        let source =
            source.context("the model does not say which set it was made for; name its data by --data")?;
        if let Some(note) = data::also_here(&source) {
            say!("{note}");
        }
        let data = Dataset::load(&source, &model.data_shape(), None)?;
        let executor = device::executor(self.device.device)?;
        let recipe: Option<toml::Table> = model.provenance.recipe.parse().ok();
        let name = recipe.as_ref().and_then(|recipe| recipe.get("name")?.as_str());
        let title = self.title.as_deref().or(name).unwrap_or(&data.name);
        say!("measuring {} on {}, on {}", file.display(), data.name, executor.name());
        let card = Card {
            file: &file,
            link: self.link,
            model: &model,
            run: run.as_deref(),
            data: &data,
            title,
            executor: &executor,
            count: self.count,
            reference: self.reference,
            seed: self.seed,
        };
        card.write(&self.out)?;
        answer!("the card is {}", self.out.join("README.md").display());
        Ok(())
    }
}
