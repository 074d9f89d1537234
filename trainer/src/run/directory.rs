//! A run's folder: what lies where, and which run, and which process, is there.

use super::interrupt::Cleanup;
use crate::data::atomic;
use crate::recipe::Recipe;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// A run's folder.
#[derive(Clone, Debug)]
pub struct RunDirectory {
    root: PathBuf,
}

/// What a run was started with, beside its recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Seed of everything random.
    pub seed: u64,
    /// Name of the data set.
    pub data: String,
    /// Training samples.
    pub samples: usize,
    /// Fingerprint of data that are no known set's. Runs of older versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// What holds for the whole run, however often it is resumed.
    #[serde(default)]
    pub given: Given,
    /// Program and version.
    pub version: String,
}

/// What was given on the command line and is no part of the recipe.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Given {
    /// Licence of the weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Examples of held-out data in the model file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub examples: Option<usize>,
    /// Iterations of the whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Iterations between checkpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<u64>,
    /// Iterations between measurements.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure_every: Option<u64>,
}

impl Given {
    /// What is given here, and what `earlier` gave where this gives nothing.
    pub fn or(self, earlier: Given) -> Given {
        Given {
            license: self.license.or(earlier.license),
            examples: self.examples.or(earlier.examples),
            steps: self.steps.or(earlier.steps),
            checkpoint_every: self.checkpoint_every.or(earlier.checkpoint_every),
            measure_every: self.measure_every.or(earlier.measure_every),
        }
    }
}

/// A run's folder that this process alone may write to, until this is dropped. A start that comes to nothing
/// leaves nothing of the folder behind.
pub struct Claim {
    directory: RunDirectory,
    _begun: Vec<Cleanup>,
    _lock: File,
}

impl Deref for Claim {
    type Target = RunDirectory;

    fn deref(&self) -> &RunDirectory {
        &self.directory
    }
}

/// Program and version, for provenance.
pub fn version() -> String {
    concat!("dual-mcmc ", env!("CARGO_PKG_VERSION")).into()
}

impl RunDirectory {
    /// The folder at `root`, whatever is there.
    pub fn new(root: impl Into<PathBuf>) -> RunDirectory {
        RunDirectory { root: root.into() }
    }

    /// The default folder of a recipe.
    pub fn default_for(recipe: &Recipe) -> PathBuf {
        let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let name: String = recipe.name.chars().map(plain).collect();
        Path::new("runs").join(name.trim_start_matches('.'))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether a run has been started here.
    pub fn holds_run(&self) -> bool {
        self.recipe().exists()
    }

    /// Claim the folder for this process, make what is missing of it, and make sure that it can be written to.
    /// What a run that was killed here left unfinished is removed: a checkpoint each time would fill the disk.
    ///
    /// # Errors
    /// If another process trains here, which is named, or the folder cannot be written to.
    pub fn claim(&self) -> Result<Claim> {
        let root = self.root.display();
        let cannot = || format!("cannot write to the run's folder {root}");
        // The latest first, which is the order in which it is undone.
        let mut begun = vec![atomic::make_folder(&self.root).with_context(cannot)?];
        let path = self.root.join("run.lock");
        let is_new = !path.exists();
        let mut options = OpenOptions::new();
        let mut lock =
            options.read(true).write(true).create(true).truncate(false).open(&path).with_context(cannot)?;
        // The system lets go of it when the process ends, however it ends; the file stays. Where a file system
        // knows no locks, there is none.
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            let mut holder = String::new();
            let known = lock.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
            let holder = if known { format!("process {}", holder.trim()) } else { "another process".into() };
            bail!(
                "{root} is in use: {holder} is training there; wait for its end, or choose another folder with --out"
            );
        }
        if is_new {
            begun.insert(0, self.without_recipe(vec![path]));
        }
        lock.set_len(0).and_then(|()| lock.rewind()).with_context(cannot)?;
        writeln!(lock, "{}", std::process::id()).with_context(cannot)?;
        for folder in self.folders() {
            begun.insert(0, atomic::make_folder(&folder).with_context(cannot)?);
        }
        let files = [self.last(), self.origin()].into_iter().filter(|file| !file.exists()).collect();
        begun.insert(0, self.without_recipe(files));
        self.make()?;
        Ok(Claim { directory: self.clone(), _begun: begun, _lock: lock })
    }

    /// Files that are unfinished as long as there is no recipe, and so no run.
    fn without_recipe(&self, files: Vec<PathBuf>) -> Cleanup {
        let recipe = self.recipe();
        Cleanup::new(move || {
            if !recipe.exists() {
                files.iter().for_each(|file| drop(std::fs::remove_file(file)));
            }
        })
    }

    /// Write down what the run is.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn describe(&self, recipe: &Recipe, origin: &Origin) -> Result<()> {
        atomic::write_bytes(&self.origin(), &serde_json::to_vec_pretty(origin)?)?;
        // Last: a folder with a recipe holds a run.
        atomic::write_bytes(&self.recipe(), recipe.to_toml().as_bytes())
    }

    fn folders(&self) -> [PathBuf; 4] {
        [self.root.clone(), self.samples(), self.reconstructions(), self.root.join("checkpoints")]
    }

    /// Make the folders, remove what a killed run has left unfinished in them, and make sure that they can be
    /// written to.
    ///
    /// # Errors
    /// If they cannot be written to.
    fn make(&self) -> Result<()> {
        for folder in self.folders() {
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot write to the run's folder {}", folder.display()))?;
            atomic::sweep(&folder)?;
        }
        atomic::check_writable(&self.recipe())
    }

    /// The recipe and origin of the run that is here.
    ///
    /// # Errors
    /// If there is none, or its files are damaged.
    pub fn open(&self) -> Result<(Recipe, Origin)> {
        ensure!(self.holds_run(), "{} holds no run", self.root.display());
        let read = |path: &Path| {
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
        };
        let damaged = |path: PathBuf| move || format!("{} is damaged", path.display());
        let recipe = Recipe::parse(&read(&self.recipe())?).with_context(damaged(self.recipe()))?;
        let origin = serde_json::from_str(&read(&self.origin())?).with_context(damaged(self.origin()))?;
        Ok((recipe, origin))
    }

    /// The files that make the run, without which it cannot go on or be shown. Its model and its report can be made
    /// again.
    pub fn kept(&self) -> [PathBuf; 6] {
        [self.recipe(), self.origin(), self.metrics(), self.measurements(), self.last(), self.best()]
    }

    /// The recipe as resolved.
    pub fn recipe(&self) -> PathBuf {
        self.root.join("recipe.toml")
    }

    fn origin(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// One JSON object for each logged iteration.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }

    /// One JSON object for each measurement of the model.
    pub fn measurements(&self) -> PathBuf {
        self.root.join("measurements.jsonl")
    }

    /// Grids of samples.
    pub fn samples(&self) -> PathBuf {
        self.root.join("samples")
    }

    /// Grids of reconstructions.
    pub fn reconstructions(&self) -> PathBuf {
        self.root.join("reconstructions")
    }

    /// The latest checkpoint.
    pub fn last(&self) -> PathBuf {
        self.root.join("checkpoints").join("last.tar")
    }

    /// The checkpoint with the best measurement.
    pub fn best(&self) -> PathBuf {
        self.root.join("checkpoints").join("best.tar")
    }

    /// The run as a page.
    pub fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// The model of a finished run.
    pub fn model(&self) -> PathBuf {
        self.root.join("model.safetensors")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ring() -> Recipe {
        Recipe::parse(include_str!("../../../recipes/ring.toml")).unwrap()
    }

    fn origin() -> Origin {
        let given = Given { license: Some("CC0".into()), steps: Some(9), ..Given::default() };
        Origin { seed: 1, data: "ring".into(), samples: 10, fingerprint: None, given, version: version() }
    }

    #[test]
    fn what_was_given_is_kept_until_it_is_given_anew() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::new(folder.path());
        run.describe(&ring(), &origin()).unwrap();
        let kept = run.open().unwrap().1.given;
        let anew = Given { steps: Some(12), ..Given::default() }.or(kept);
        assert_eq!((anew.license.as_deref(), anew.steps, anew.measure_every), (Some("CC0"), Some(12), None));
    }

    #[test]
    fn what_a_killed_run_left_unfinished_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::new(folder.path().join("run"));
        drop(run.claim().unwrap());
        assert!(!run.root().exists(), "a start that came to nothing leaves nothing");
        let claim = run.claim().unwrap();
        let error = run.claim().err().unwrap().to_string();
        assert!(error.contains(&format!("process {} is training there", std::process::id())), "{error}");
        let unfinished = [run.root().join(".writing-abcdef"), run.root().join("checkpoints/.writing-123456")];
        let finished = [run.metrics(), run.last(), run.samples().join("0000001.png")];
        for file in unfinished.iter().chain(&finished) {
            std::fs::write(file, "x").unwrap();
        }
        run.describe(&ring(), &origin()).unwrap();
        drop(claim);
        let _again = run.claim().unwrap();
        assert!(unfinished.iter().all(|file| !file.exists()));
        assert!(finished.iter().all(|file| file.exists()));
    }
}
