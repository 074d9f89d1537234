//! `dual-mcmc train`.

use super::Outcome;
use super::arguments::{Devices, setting};
use crate::data::Dataset;
use crate::recipe::Recipe;
use crate::run::directory::RunDirectory;
use crate::run::train::{End, Run};
use crate::run::{device, interrupt};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct Train {
    /// The recipe, a TOML file
    #[arg(value_name = "RECIPE.toml")]
    recipe: PathBuf,
    /// Change a value of the recipe, for example x_chain.steps=60
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// Train on a file or folder, or another data set, than the recipe's
    #[arg(long, value_name = "FILE|DIR|NAME")]
    data: Option<String>,

    /// Folder of the run [default: runs/NAME of the recipe]
    #[arg(long, value_name = "DIR", help_heading = "Run")]
    out: Option<PathBuf>,
    /// Continue the run in that folder from its last checkpoint
    #[arg(long, help_heading = "Run")]
    resume: bool,
    /// Iterations between checkpoints [default: a tenth of the run, or five minutes]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Run")]
    checkpoint_every: Option<u64>,
    /// Iterations between measurements of the model, with sample grids [default: as for checkpoints]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Run")]
    measure_every: Option<u64>,
    /// Licence of the weights, for the model file
    #[arg(long, value_name = "TEXT", default_value = "unspecified", help_heading = "Run")]
    license: String,

    /// Iterations of the whole run, also with --resume; no part of the schedule [default: the recipe's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Budget")]
    steps: Option<u64>,
    /// Stop after this time, write the model, and be done
    #[arg(long, value_name = "M", value_parser = minutes, help_heading = "Budget")]
    minutes: Option<Duration>,

    /// Seed of everything random [default: 0, or that of the resumed run]
    #[arg(long, help_heading = "Device")]
    seed: Option<u64>,
    #[command(flatten)]
    devices: Devices,
}

fn minutes(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(m) if m.is_finite() && m > 0.0 && m < 1e7 => Ok(Duration::from_secs_f64(m * 60.0)),
        _ => Err("it must be a number of minutes above 0".into()),
    }
}

impl Train {
    pub fn run(self) -> Result<Outcome> {
        let named = self.recipe.display();
        let text = std::fs::read_to_string(&self.recipe)
            .with_context(|| format!("cannot read the recipe {named}"))?;
        let mut recipe = Recipe::parse_with(&text, &self.set).with_context(|| named.to_string())?;
        if let Some(data) = &self.data {
            recipe.data.set = data.clone();
        }
        let directory =
            RunDirectory::new(self.out.clone().unwrap_or_else(|| RunDirectory::default_for(&recipe)));
        let seed = self.check_directory(&directory, &mut recipe)?;
        if !self.resume {
            // Before the work of loading anything: an output that cannot be written.
            directory.make()?;
        }
        let data = Dataset::load(&recipe.data.set, &recipe.data_shape(), recipe.data.count)?;
        let devices = device::all(&self.devices.devices)?;
        let total = self.steps.unwrap_or(recipe.schedule.iterations);
        eprintln!(
            "{} on {}: {} training samples, {total} iterations on {}, into {}",
            recipe.name,
            data.name,
            data.train_count(),
            device::names(&devices),
            directory.root().display()
        );
        interrupt::listen()?;
        let end = Run {
            directory: directory.clone(),
            recipe,
            data,
            devices,
            seed,
            total,
            time: self.minutes,
            checkpoint_every: self.checkpoint_every,
            measure_every: self.measure_every,
            resume: self.resume,
            license: self.license,
        }
        .train()?;
        if end == End::Interrupted {
            eprintln!(
                "interrupted; a checkpoint is saved in {}, continue with --resume",
                directory.root().display()
            );
            return Ok(Outcome::Interrupted);
        }
        Ok(Outcome::Done)
    }

    /// The run must be new, or the one to be resumed; the seed of the run.
    fn check_directory(&self, directory: &RunDirectory, recipe: &mut Recipe) -> Result<u64> {
        let root = directory.root().display();
        if !self.resume {
            ensure!(
                !directory.holds_run(),
                "{root} already holds a run; continue it with --resume, or choose another folder with --out"
            );
            return Ok(self.seed.unwrap_or(0));
        }
        ensure!(directory.holds_run(), "{root} holds no run to resume; leave out --resume to start one");
        let (started, origin) = directory.open()?;
        if self.data.is_none() {
            recipe.data.set = started.data.set.clone();
        }
        ensure!(
            *recipe == started,
            "the run in {root} was started with other settings; continue it with its own {}",
            directory.recipe().display()
        );
        if !directory.last().exists() {
            bail!(
                "the run in {root} was ended before its first checkpoint; remove the folder and start again"
            );
        }
        match self.seed {
            Some(seed) if seed != origin.seed => {
                bail!("the run in {root} has seed {}, not {seed}; leave out --seed", origin.seed)
            }
            _ => Ok(origin.seed),
        }
    }
}
