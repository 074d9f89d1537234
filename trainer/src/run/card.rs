//! A model's card: a folder with the model, what it is and how good it is, as model hubs take it.

mod text;
mod weaknesses;

use super::chains;
use super::evaluate::{self, Evaluation};
use super::features::{self, Extractor};
use super::pictures::{self, Panel};
use super::report::{self, Chart};
use crate::data::{Dataset, atomic};
use anyhow::{Context, Result, ensure};
use dual_mcmc::executor::Executor;
use dual_mcmc::jobs::{Changes, Reconstructing, Sampling, Start};
use dual_mcmc::model::Model;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Samples in the pictures, and reconstructions.
const IMAGES: usize = 64;
const POINTS: usize = 2_000;
const RECONSTRUCTED: usize = 16;

/// Steps of the chain from noise.
const FROM_NOISE: u32 = 1_000;

/// Images in a thumbnail: this many in a row, and as many rows.
const THUMBNAIL: usize = 3;

/// Names of the folder's files.
const PAGE: &str = "README.md";
const MODEL: &str = "model.safetensors";
const RECIPE: &str = "recipe.toml";
const FIGURES: &str = "figures.json";

/// A card to be made.
pub struct Card<'a> {
    /// The model's file.
    pub file: &'a Path,
    /// Leave the file where it is, and name its place on the page.
    pub link: bool,
    /// The model.
    pub model: &'a Model,
    /// The run that it is of, whose curves are shown.
    pub run: Option<&'a Path>,
    /// The data it was made for.
    pub data: &'a Dataset,
    /// What it is called.
    pub title: &'a str,
    /// Where it is measured.
    pub executor: &'a Executor,
    /// Samples that it is measured by, and training samples that distances on features are measured against; the
    /// defaults of `evaluate` where they are `None`.
    pub count: Option<usize>,
    /// As `count`.
    pub reference: Option<usize>,
    /// Seed of everything random.
    pub seed: u64,
}

/// A picture of the card, or several beside each other.
struct Picture {
    file: String,
    caption: String,
}

impl Card<'_> {
    /// Write the folder `out`, whole or not at all.
    ///
    /// # Errors
    /// If `out` holds something that is no card, the model cannot be measured, or a file cannot be written.
    pub fn write(&self, out: &Path) -> Result<()> {
        let out = std::path::absolute(out)?;
        refuse_strangers(&out)?;
        let parent = atomic::folder_of(&out);
        let _made = atomic::make_folder(&parent)?;
        let scratch = atomic::Scratch::new(&parent)?;
        let folder = scratch.path().join("card");
        let cannot = || format!("cannot write {}", folder.display());
        fs::create_dir(&folder).with_context(cannot)?;

        let samples = self.samples(&folder)?;
        let reconstructions = self.reconstructions(&folder)?;
        let figures = self.figures()?;
        let value = figures.value();
        let curves = self.curves(&folder, &value)?;
        let weaknesses = weaknesses::of(&value);
        let place = if self.link { relative(self.file, &out)? } else { MODEL.into() };
        let page =
            text::page(self, &place, &figures, &weaknesses, &samples, reconstructions.as_ref(), &curves)?;
        for (name, bytes) in [
            (PAGE, page.into_bytes()),
            (FIGURES, serde_json::to_vec_pretty(&figures)?),
            (RECIPE, self.model.provenance.recipe.clone().into_bytes()),
        ] {
            if !bytes.is_empty() {
                fs::write(folder.join(name), bytes).with_context(cannot)?;
            }
        }
        if !self.link {
            fs::copy(self.file, folder.join(MODEL)).with_context(cannot)?;
        }
        atomic::replace_folder(&folder, &out)
    }

    /// Every figure of `evaluate`, with its defaults.
    fn figures(&self) -> Result<evaluate::Figures> {
        let networks = features::chosen(&[], self.data)?;
        let extractors = networks
            .iter()
            .map(|network| Extractor::network(network, &self.data.shape, self.executor))
            .collect::<Result<Vec<_>>>()?;
        evaluate::evaluate(&Evaluation {
            model: self.model,
            data: self.data,
            executor: self.executor,
            count: self.count,
            extractors: &extractors,
            reference: self.reference,
            chain: Changes::default(),
            seed: self.seed,
        })
    }

    /// Pictures of samples: held-out data, and the first that a seed gives, of each start and of what the chain makes of
    /// it.
    fn samples(&self, folder: &Path) -> Result<Vec<Picture>> {
        let shape = &self.data.shape;
        if !Panel::can_draw(shape) {
            return Ok(Vec::new());
        }
        let count = if shape.len() == 1 { POINTS } else { IMAGES };
        let recommended = Sampling::recommended(self.model, count, self.seed)?;
        let sampled = chains::sample(self.executor, self.model, &recommended, false)?;
        let (start, steps) = (recommended.start, recommended.steps);
        let mut panels = vec![("data", "held-out data".to_string(), self.data.held_out_batch(count)?)];
        if self.model.generator.is_some() {
            panels.push(("generator", "the generator's samples".into(), sampled.start));
        }
        if self.model.energy.is_some() {
            let from = if start == Start::Generator { "them" } else { "noise" };
            panels.push(("x_chain", format!("the x-chain from {from}, {steps} steps"), sampled.end));
            if start == Start::Generator {
                let from_noise = Sampling { start: Start::Noise, steps: FROM_NOISE, ..recommended };
                let end = chains::sample(self.executor, self.model, &from_noise, false)?.end;
                panels.push(("noise", format!("the x-chain from noise, {FROM_NOISE} steps"), end));
            }
        }
        // What the list of models shows: what the chain has made.
        if let Some((_, _, end)) =
            panels.iter().rev().find(|(name, ..)| ["generator", "x_chain"].contains(name))
        {
            let shown =
                if shape.len() == 1 { end.len() } else { THUMBNAIL * THUMBNAIL * self.data.sample_len() };
            let picture = pictures::side_by_side(&[Panel { values: &end[..shown], shape }]);
            pictures::write(&folder.join("thumbnail.png"), &picture)?;
        }
        let write = |(name, caption, values): (&str, String, Vec<f32>)| {
            let file = format!("{name}.png");
            let picture = pictures::side_by_side(&[Panel { values: &values, shape }]);
            pictures::write(&folder.join(&file), &picture)?;
            Ok(Picture { file, caption })
        };
        panels.into_iter().map(write).collect()
    }

    /// A picture of the first held-out samples, the encoder's guesses and what the z-chain makes of them.
    fn reconstructions(&self, folder: &Path) -> Result<Option<Picture>> {
        let shape = &self.data.shape;
        if self.model.encoder.is_none() || self.model.chains.z.is_none() || !Panel::can_draw(shape) {
            return Ok(None);
        }
        let x = self.data.held_out_batch(if shape.len() == 1 { POINTS } else { RECONSTRUCTED })?;
        let job = Reconstructing::recommended(self.model, self.seed)?;
        let back = chains::reconstruct(self.executor, self.model, &job, &x, None)?;
        let panels = [&x, &back.guess, &back.end].map(|values| Panel { values, shape });
        let file = "reconstructions.png".to_string();
        pictures::write(&folder.join(&file), &pictures::rows(&panels))?;
        let caption =
            format!("held-out data, the encoder's guess, and that after {} steps of the z-chain", job.steps);
        Ok(Some(Picture { file, caption }))
    }

    /// The run's curves, and those along the chains that were measured.
    fn curves(&self, folder: &Path, figures: &Value) -> Result<Vec<Picture>> {
        let mut charts: Vec<Chart> = match self.run {
            Some(run) => report::charts_of(run)?,
            None => {
                let along = |list: &Value| -> Vec<(f64, f64)> {
                    let values = list.as_array().into_iter().flatten().filter_map(Value::as_f64);
                    values.enumerate().map(|(step, value)| (step as f64, value)).collect()
                };
                let mut charts = Vec::new();
                for (title, list) in [
                    ("Mean energy along the x-chain", &figures["energy"]["mean_along_the_x_chain"]),
                    (
                        "Mean squared error along the z-chain",
                        &figures["reconstruction"]["squared_error_along_the_z_chain"],
                    ),
                ] {
                    let series = vec![(title.to_string(), along(list))];
                    charts.extend(report::chart(false, title, "step", series)?);
                }
                charts
            }
        };
        let write = |(i, Chart { title, svg }): (usize, Chart)| {
            let file = format!("curve_{}.svg", i + 1);
            let path = folder.join(&file);
            fs::write(&path, svg).with_context(|| format!("cannot write {}", path.display()))?;
            Ok(Picture { file, caption: title })
        };
        charts.drain(..).enumerate().map(write).collect()
    }
}

/// Only a folder that is empty, or an earlier card, may be replaced.
fn refuse_strangers(out: &Path) -> Result<()> {
    let empty = fs::read_dir(out).map_or(!out.exists(), |mut entries| entries.next().is_none());
    let card = [PAGE, FIGURES].iter().all(|name| out.join(name).is_file());
    ensure!(
        empty || card,
        "{} is there and is no card; name a new folder, or remove it first",
        out.display()
    );
    Ok(())
}

/// Where `file` lies, seen from the folder `from`, which need not be there yet.
fn relative(file: &Path, from: &Path) -> Result<String> {
    let file = std::path::absolute(file)?;
    let shared = file.components().zip(from.components()).take_while(|(a, b)| a == b).count();
    let up = from.components().skip(shared).map(|_| "..".to_string());
    let down = file.components().skip(shared).map(|part| part.as_os_str().to_string_lossy().into_owned());
    Ok(up.chain(down).collect::<Vec<_>>().join("/"))
}

/// The model's file and, if `path` is the folder of a run, the run.
///
/// # Errors
/// If the run has no model yet.
pub fn model_and_run(path: &Path) -> Result<(PathBuf, Option<PathBuf>)> {
    if !path.is_dir() {
        return Ok((path.into(), None));
    }
    let directory = super::directory::RunDirectory::new(path);
    ensure!(directory.holds_run(), "{} is a folder, but no run's", path.display());
    ensure!(
        directory.model().is_file(),
        "the run in {0} has written no model yet; `dual-mcmc export {0}` writes one of its last checkpoint",
        path.display()
    );
    Ok((directory.model(), Some(path.into())))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_place_is_named_as_it_is_seen_from_the_folder() {
        let root = std::env::temp_dir();
        let seen = |file: &str, from: &str| relative(&root.join(file), &root.join(from)).unwrap();
        assert_eq!(seen("models/ring.safetensors", "models/cards/ring"), "../../ring.safetensors");
        assert_eq!(seen("card/m.safetensors", "card"), "m.safetensors");
    }
}
