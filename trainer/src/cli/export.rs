//! `dual-mcmc export`.

use super::arguments::distinct;
use crate::console::{answer, say};
use crate::data::atomic;
use crate::run::annotate::contents;
use crate::run::directory::RunDirectory;
use crate::run::{checkpoint, model_file};
use crate::teaching::model_of_record;
use anyhow::{Context, Result, ensure};
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
        let path = match self.checkpoint {
            Which::Last => directory.last(),
            Which::Best => directory.best(),
        };
        ensure!(path.exists(), "{} has no such checkpoint yet", self.run.display());
        let (summary, record) = checkpoint::read(&path)?;
        let model = model_of_record(&recipe, &record, &burn::tensor::Device::flex());
        let mut model = model.with_context(|| path.display().to_string())?;
        model_file::describe(&mut model, &recipe, &origin);
        model.energy_quantiles = summary.energy_quantiles;
        let provenance = &mut model.provenance;
        provenance.iterations = summary.iteration;
        provenance.metrics.insert("training_seconds".into(), summary.seconds.round());
        // What the finished run knows of the same iteration holds for its export too.
        let own = directory.model().exists().then(|| model_file::read(&directory.model())).transpose()?;
        if let Some(own) = own {
            if origin.given.license.is_none() {
                provenance.license = own.provenance.license;
            }
            if own.provenance.iterations == summary.iteration {
                provenance.metrics = own.provenance.metrics;
                provenance.device = own.provenance.device;
                provenance.examples_license = own.provenance.examples_license;
                model.annotations = own.annotations;
                model.energy_quantiles = model.energy_quantiles.or(own.energy_quantiles);
            }
        }
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
            summary.iteration,
            self.out.display(),
            contents(&model)
        );
        if model.annotations.is_empty() {
            say!("`dual-mcmc annotate` adds them, from the data");
        }
        Ok(())
    }
}
