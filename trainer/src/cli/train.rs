//! `dual-mcmc train`.

use super::Outcome;
use super::arguments::{Devices, setting};
use crate::data::{self, Dataset};
use crate::recipe::Recipe;
use crate::run::directory::{Origin, RunDirectory};
use crate::run::train::{End, Run};
use crate::run::{device, interrupt};
use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

/// Standard deviations of vectors that recipes are made for.
const SCALE: std::ops::RangeInclusive<f64> = 0.1..=10.0;

#[derive(Debug, Args)]
pub struct Train {
    /// The recipe, a TOML file
    #[arg(value_name = "RECIPE.toml")]
    recipe: PathBuf,
    /// Change a value of the recipe, for example x_chain.steps=60
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// Train on a file (.npy, .csv), a folder of images or another data set than the recipe's
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
        let parse = |values: Option<usize>| {
            Recipe::parse_for(&text, &self.set, values).with_context(|| named.to_string())
        };
        let from_data = Recipe::takes_sizes_from_data(&text);
        // Until the data are known, one value a sample stands for any number.
        let mut recipe = parse(from_data.then_some(1))?;
        let directory =
            RunDirectory::new(self.out.clone().unwrap_or_else(|| RunDirectory::default_for(&recipe)));
        let started = self.check_directory(&directory)?;
        let source = match (&self.data, &started) {
            (Some(source), _) => source.clone(),
            (None, Some((earlier, _))) => earlier.data.set.clone(),
            (None, None) => recipe.data.set.clone(),
        };
        if from_data {
            recipe = parse(Some(data::vector_len(&source)?))?;
        }
        recipe.data.set = source;
        let seed = match &started {
            Some((earlier, origin)) => self.check_resumed(&directory, &recipe, earlier, origin)?,
            None => self.seed.unwrap_or(0),
        };
        if !self.resume {
            // Before the work of loading anything: an output that cannot be written.
            directory.make()?;
        }
        let data = Dataset::load(&recipe.data.set, &recipe.data_shape(), recipe.data.count)?;
        if let Some((_, origin)) = &started {
            ensure!(
                data.train_count() == origin.samples,
                "the data have changed: {} has {} training samples, and had {} when the run was started",
                data.name,
                data.train_count(),
                origin.samples
            );
        }
        warn_of_scale(&data)?;
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

    /// There must be no run in the folder, or with --resume the one to be resumed: what it was started
    /// with.
    fn check_directory(&self, directory: &RunDirectory) -> Result<Option<(Recipe, Origin)>> {
        let root = directory.root().display();
        if !self.resume {
            ensure!(
                !directory.holds_run(),
                "{root} already holds a run; continue it with --resume, or choose another folder with --out"
            );
            return Ok(None);
        }
        ensure!(directory.holds_run(), "{root} holds no run to resume; leave out --resume to start one");
        directory.open().map(Some)
    }

    /// A run is resumed as it was started; its seed.
    fn check_resumed(
        &self,
        directory: &RunDirectory,
        recipe: &Recipe,
        earlier: &Recipe,
        origin: &Origin,
    ) -> Result<u64> {
        let root = directory.root().display();
        let changes = recipe.changes_since(earlier);
        if let Some(first) = changes.first() {
            let others = match changes.len() - 1 {
                0 => String::new(),
                n => format!(" (and {n} more)"),
            };
            bail!(
                "the run in {root} was started with other settings: {first}{others}; continue it with its own {}",
                directory.recipe().display()
            );
        }
        ensure!(
            directory.last().exists(),
            "the run in {root} was ended before its first checkpoint; remove the folder and start again"
        );
        match self.seed {
            Some(seed) if seed != origin.seed => {
                bail!("the run in {root} has seed {}, not {seed}; leave out --seed", origin.seed)
            }
            _ => Ok(origin.seed),
        }
    }
}

/// Step sizes, noise and references are absolute numbers: they suit vectors of a certain scale.
fn warn_of_scale(data: &Dataset) -> Result<()> {
    if data.shape.len() == 1 {
        let deviation = data.deviation()?;
        if !SCALE.contains(&deviation) {
            eprintln!(
                "warning: the standard deviation of {} is {deviation:.3}; recipes are made for data of about 1: rescale it",
                data.name
            );
        }
    }
    Ok(())
}
