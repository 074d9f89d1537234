//! `dual-mcmc train`.

use super::Outcome;
use super::arguments::{Devices, examples, setting, warn};
use crate::console::say;
use crate::data::{self, Dataset, Known, memory};
use crate::recipe::{Draft, Recipe};
use crate::run::directory::{Given, Origin, RunDirectory, version};
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
    /// Licence of the weights, for the model file [default: unspecified, or that of the resumed run]
    #[arg(long, value_name = "TEXT", help_heading = "Run")]
    license: Option<String>,
    /// Examples of held-out data in the model file, 0 to 64 [default: 64 of built-in and public sets, none of one's own]
    #[arg(long, value_name = "N", value_parser = examples, help_heading = "Run")]
    examples: Option<usize>,

    /// Iterations of the whole run, also with --resume; no part of the schedule [default: the recipe's, or what the resumed run was given]
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
        let recipe_file = self.recipe.display();
        let text = std::fs::read_to_string(&self.recipe)
            .with_context(|| format!("cannot read the recipe {recipe_file}"))?;
        let named_file = || recipe_file.to_string();
        let draft = Draft::parse_with(&text, &self.set).with_context(named_file)?;
        let out = self.out.clone().unwrap_or_else(|| RunDirectory::default_for(draft.provisional()));
        let directory = RunDirectory::new(out);
        let root = directory.root().display();
        ensure!(
            !self.resume || directory.holds_run(),
            "{root} holds no run to resume; leave out --resume to start one"
        );
        // Before the work of loading anything: a folder that is in use, or cannot be written to.
        let claim = directory.claim()?;
        ensure!(
            self.resume || !directory.holds_run(),
            "{root} already holds a run; continue it with --resume, or choose another folder with --out"
        );
        let started = if self.resume { Some(directory.open()?) } else { None };
        let named = self.data.clone().or_else(|| {
            let changed = self.set.iter().any(|(key, _)| key == "data.set");
            changed.then(|| draft.provisional().data.set.clone())
        });
        let source = match (named, &started) {
            (Some(source), _) => data::absolute(&source),
            (None, Some((earlier, _))) => data::absolute(&earlier.data.set),
            (None, None) => data::absolute(&draft.provisional().data.set),
        };
        if let Some(note) = data::also_here(&source) {
            say!("{note}");
        }
        let values = match draft.takes_sizes_from_data() {
            true => Some(data::vector_len(&source)?),
            false => None,
        };
        let mut recipe = draft.resolve(values).with_context(named_file)?;
        recipe.data.set = source;
        if let Some((earlier, origin)) = &started {
            self.check_resumed(&directory, &recipe, earlier, origin)?;
        }
        let data = Dataset::load(&recipe.data.set, &recipe.data_shape(), recipe.data.count)?;
        let origin = self.origin(&recipe, &data, started.map(|(_, origin)| origin))?;
        warn(&data.name, &data.glance()?, &data.shape);
        let devices = device::all(&self.devices.devices)?;
        if devices.iter().all(|device| !device.can_vanish()) {
            // Nothing is on a GPU: all of it is in this machine's memory.
            memory::ask(recipe.least_memory(), || {
                format!("training the networks and batches of {recipe_file}")
            })?;
        }
        let run =
            Run { directory: claim, recipe, data, devices, origin, time: self.minutes, resume: self.resume };
        say!(
            "{} on {}: {} training samples, {} iterations on {}, into {root}",
            run.recipe.name,
            run.data.name,
            run.data.train_count(),
            run.total(),
            device::names(&run.devices),
        );
        interrupt::be_patient();
        let end = run.train()?;
        if end == End::Interrupted {
            say!(
                "interrupted; a checkpoint is saved in {}, continue with --resume",
                directory.root().display()
            );
            return Ok(Outcome::Interrupted);
        }
        Ok(Outcome::Done)
    }

    /// What the run's folder is to remember: of a run that is resumed, what it remembers.
    fn origin(&self, recipe: &Recipe, data: &Dataset, earlier: Option<Origin>) -> Result<Origin> {
        let given = Given {
            license: self.license.clone(),
            examples: self.examples,
            steps: self.steps,
            checkpoint_every: self.checkpoint_every,
            measure_every: self.measure_every,
        };
        // A known set is known by its name.
        let of_files = Known::from_name(&recipe.data.set).is_none();
        let fingerprint = of_files.then(|| data.fingerprint()).transpose()?;
        let Some(earlier) = earlier else {
            return Ok(Origin {
                seed: self.seed.unwrap_or(0),
                data: data.name.clone(),
                samples: data.train_count(),
                fingerprint,
                given,
                version: version(),
            });
        };
        let (now, before) = (data.train_count(), earlier.samples);
        ensure!(
            now == before,
            "the data have changed: {} has {now} training samples, and had {before} when the run was started",
            data.name
        );
        // Runs of older versions remember no fingerprint.
        ensure!(
            earlier.fingerprint.is_none() || earlier.fingerprint == fingerprint,
            "the data have changed: {} has other values than when the run was started; name the data it was \
             started with by --data, or start another run",
            data.name
        );
        let given = given.or(earlier.given);
        Ok(Origin { data: data.name.clone(), fingerprint, given, ..earlier })
    }

    /// A run is resumed as it was started. Own data may have moved: their fingerprint tells whether they are the
    /// same.
    fn check_resumed(
        &self,
        directory: &RunDirectory,
        recipe: &Recipe,
        earlier: &Recipe,
        origin: &Origin,
    ) -> Result<()> {
        let root = directory.root().display();
        let own = |recipe: &Recipe| Known::from_name(&recipe.data.set).is_none();
        let (mut recipe, mut earlier) = (recipe.clone(), earlier.clone());
        // Older versions remember places as they were given.
        earlier.data.set = data::absolute(&earlier.data.set);
        let alike = recipe.data_shape() == earlier.data_shape();
        if origin.fingerprint.is_some() && alike && own(&recipe) && own(&earlier) {
            recipe.data.set = earlier.data.set.clone();
        }
        let changes = recipe.changes_since(&earlier);
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
            _ => Ok(()),
        }
    }
}
