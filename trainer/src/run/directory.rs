//! A run's folder: what lies where, and whether a run is already there.

use crate::data::atomic;
use crate::recipe::Recipe;
use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
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
    /// Program and version.
    pub version: String,
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

    /// Make the folders of a new run and write down what it is.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn create(&self, recipe: &Recipe, origin: &Origin) -> Result<()> {
        self.make()?;
        atomic::write_bytes(&self.origin(), &serde_json::to_vec_pretty(origin)?)?;
        // Last: a folder with a recipe holds a run.
        atomic::write_bytes(&self.recipe(), recipe.to_toml().as_bytes())
    }

    /// Make the folders, and make sure that they can be written to. What a run that was killed here left
    /// unfinished is removed: a checkpoint each time would fill the disk.
    ///
    /// # Errors
    /// If they cannot be written to.
    pub fn make(&self) -> Result<()> {
        for folder in
            [self.root.clone(), self.samples(), self.reconstructions(), self.root.join("checkpoints")]
        {
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

    #[test]
    fn what_a_killed_run_left_unfinished_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunDirectory::new(folder.path().join("run"));
        run.make().unwrap();
        let unfinished = [run.root().join(".writing-a"), run.root().join("checkpoints/.writing-b")];
        let finished = [run.metrics(), run.last(), run.samples().join("0000001.png")];
        for file in unfinished.iter().chain(&finished) {
            std::fs::write(file, "x").unwrap();
        }
        run.make().unwrap();
        assert!(unfinished.iter().all(|file| !file.exists()));
        assert!(finished.iter().all(|file| file.exists()));
    }
}
