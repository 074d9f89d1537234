//! `dual-mcmc annotate`.

use super::arguments::{Device, distinct, examples};
use crate::console::{answer, say};
use crate::data::{self, Dataset, atomic};
use crate::run::annotate::{self, Annotating};
use crate::run::{device, model_file};
use anyhow::Result;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Annotate {
    /// The model, a .safetensors file; it is replaced by the annotated one
    model: PathBuf,
    /// The data it was made for: the name of a set, a file or a folder
    #[arg(long, value_name = "NAME|FILE|DIR")]
    data: String,
    /// Write the annotated model here, and leave the other as it is
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Examples of held-out data to be written, 0 to 64 [default: 64 of built-in and public sets, none of one's own]
    #[arg(long, value_name = "N", value_parser = examples)]
    examples: Option<usize>,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    #[command(flatten)]
    device: Device,
}

impl Annotate {
    pub fn run(self) -> Result<()> {
        let (mut model, precision) = model_file::read_with_precision(&self.model)?;
        let out = self.out.as_ref().unwrap_or(&self.model);
        atomic::check_writable(out)?;
        distinct([Path::new(&self.data)], [out.as_path()])?;
        if let Some(note) = data::also_here(&self.data) {
            say!("{note}");
        }
        let data = Dataset::load(&self.data, &model.data_shape(), None)?;
        let executor = device::executor(self.device.device)?;
        say!("{} on {}, on {}", self.model.display(), data.name, executor.name());
        let job = Annotating { data: &data, executor: &executor, seed: self.seed, examples: self.examples };
        annotate::annotate(&mut model, &job)?;
        model_file::write(out, &model, precision)?;
        answer!("{} holds {}", out.display(), annotate::contents(&model));
        Ok(())
    }
}
