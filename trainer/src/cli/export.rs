//! `dual-mcmc export`.

use super::arguments::distinct;
use crate::console::{answer, say};
use crate::data::atomic;
use crate::run::annotate::contents;
use crate::run::directory::RunDirectory;
use crate::run::export::of_run;
use crate::run::model_file;
use anyhow::Result;
use clap::{Args, ValueEnum};
use dual_mcmc::model::Precision;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Export {
    /// The folder of a run
    #[arg(value_name = "RUN_DIR")]
    run: PathBuf,
    /// The model to write
    #[arg(long, value_name = "MODEL")]
    out: PathBuf,
    /// Store the weights in 16 bits
    #[arg(long)]
    f16: bool,
    /// Which checkpoint
    #[arg(long, value_enum, default_value_t = Which::Last)]
    checkpoint: Which,
    /// Licence of the weights [default: that of the run's own model]
    #[arg(long, value_name = "TEXT")]
    license: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    /// The latest
    Last,
    /// The one that measured best
    Best,
}

impl Export {
    pub fn run(self) -> Result<()> {
        let directory = RunDirectory::new(&self.run);
        let (recipe, origin) = directory.open()?;
        atomic::check_writable(&self.out)?;
        let kept = directory.kept();
        distinct(kept.iter().map(PathBuf::as_path), [self.out.as_path()])?;
        let (mut model, iterations) = of_run(&directory, &recipe, &origin, self.checkpoint == Which::Best)?;
        let provenance = &mut model.provenance;
        if let Some(license) = self.license {
            provenance.license = license;
        }
        if model.energy.is_some() && model.energy_quantiles.is_none() {
            say!(
                "the checkpoint is of an older version: the model is written without quantiles of held-out energies"
            );
        }
        let precision = if self.f16 { Precision::F16 } else { Precision::F32 };
        model_file::write(&self.out, &model, precision)?;
        answer!(
            "the model after {} iterations: {}, with {}",
            iterations,
            self.out.display(),
            contents(&model)
        );
        if model.annotations.is_empty() {
            say!("`dual-mcmc annotate` adds them, from the data");
        }
        Ok(())
    }
}
