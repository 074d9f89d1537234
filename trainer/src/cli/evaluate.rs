//! `dual-mcmc evaluate`.

use super::arguments::{Device, count};
use crate::data::{Dataset, atomic};
use crate::run::evaluate::{self, Job};
use crate::run::{device, model_file};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Evaluate {
    /// The model, a .safetensors file
    model: PathBuf,
    /// The data it is measured against: the name of a set, a file or a folder
    #[arg(long, value_name = "NAME|DIR")]
    data: String,
    /// Samples to draw [default: 5000 of images, 4096 of points]
    #[arg(long, value_name = "N", value_parser = count)]
    count: Option<usize>,
    /// All figures as one JSON object
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    device: Device,
}

impl Evaluate {
    pub fn run(self) -> Result<()> {
        let model = model_file::read(&self.model)?;
        if let Some(json) = &self.json {
            atomic::check_writable(json)?;
        }
        let data = Dataset::load(&self.data, &model.data_shape(), None)?;
        let executor = device::executor(self.device.device)?;
        eprintln!("{} against {} on {}", self.model.display(), data.name, executor.name());
        let job = Job { model: &model, data: &data, executor: &executor, count: self.count, seed: self.seed };
        let figures = evaluate::evaluate(&job)?;
        print!("{}", evaluate::table(&figures));
        if let Some(json) = &self.json {
            atomic::write_bytes(json, &serde_json::to_vec_pretty(&figures)?)?;
        }
        Ok(())
    }
}
