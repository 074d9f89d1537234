//! What a run looks at from time to time: how good its model is, and pictures of what it does.

use super::Training;
use crate::data::Known;
use crate::run::chains::{self, NotFinite};
use crate::run::device;
use crate::run::evaluate;
use crate::run::pictures::{self, Panel};
use crate::run::progress::clock;
use crate::run::report;
use anyhow::Result;
use dual_mcmc::jobs::{Reconstructing, Sampling};
use dual_mcmc::model::Model;
use dual_mcmc::points::PointSet;
use image::RgbImage;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Instant;

/// Images and points in the pictures of a run.
const SHOWN_IMAGES: usize = 64;
const SHOWN_POINTS: usize = 2_000;

/// What was seen along the model's chains.
struct Measured {
    /// Mean energies of the x-chains.
    energies: Vec<f32>,
    /// Mean squared errors of the z-chains.
    errors: Vec<f32>,
    /// How good the ends of the x-chains are, of a set whose density is known.
    quality: Option<(PointSet, Value)>,
}

impl Training {
    /// Measure the model and draw its pictures. A model that cannot be measured, because its numbers are not
    /// finite, is none: the run goes back.
    pub(super) fn look_back(&mut self) -> Result<Option<Model>> {
        let iteration = self.replicas.first().iteration();
        let model = self.replicas.first_mut().model()?;
        let value = match self.measure.of(&model, self.run.executor(), self.run.origin.seed) {
            Err(error) if error.is::<NotFinite>() => {
                self.recover(iteration, &error.to_string())?;
                return Ok(None);
            }
            value => value?,
        };
        self.summary.measure = Some(value);
        let Measured { energies, errors, quality } = self.draw(&model)?;
        let mut line = json!({
            "iteration": iteration,
            self.measure.name(): value,
            "seconds": self.seconds(),
            "device": device::names(&self.run.devices),
            "divergences": self.summary.recoveries,
            "phase_milliseconds": self.phases.take_means(),
            "energy_along_the_x_chain": energies,
            "error_along_the_z_chain": errors,
        });
        let mut samples = String::new();
        if let Some((set, quality)) = quality {
            let share = |name: &str| quality[name].as_f64().unwrap_or(0.0);
            let (good, smallest) = (share("good_share"), share("smallest_mode"));
            samples = format!(
                ", {good:.3} of the samples good, {smallest:.3} in the smallest of {} modes",
                set.modes()
            );
            line["samples_after_the_x_chain"] = quality;
        }
        self.measurements.write(&line)?;
        self.progress.say(&format!(
            "iteration {iteration}: {} {value:.3}{samples} after {}",
            self.measure.name().replace('_', " "),
            clock(self.seconds()),
        ));
        // Neither pictures nor the page are worth a run.
        if let Err(error) = report::write(&[self.run.directory.root().into()], &self.run.directory.report()) {
            self.progress.say(&format!("warning: {error:#}; the run goes on without it"));
        }
        self.measured = Instant::now();
        Ok(Some(model))
    }

    /// Draw samples and reconstructions, as far as the model and its data allow.
    fn draw(&self, model: &Model) -> Result<Measured> {
        let shape = &self.run.data.shape;
        let means = |trace: &[Vec<f32>]| -> Vec<f32> {
            trace.iter().map(|row| row.iter().sum::<f32>() / row.len() as f32).collect()
        };
        let name = format!("{:07}.png", self.replicas.first().iteration());
        let executor = self.run.executor();
        let count = if shape.len() == 1 { SHOWN_POINTS } else { SHOWN_IMAGES };
        let sampled = chains::sample(
            executor,
            model,
            &Sampling::recommended(model, count, self.run.origin.seed)?,
            true,
        )?;
        let energies = means(&sampled.trace);
        let path = self.run.directory.samples().join(&name);
        let data = self.run.data.held_out_batch(count)?;
        if Panel::can_draw(shape) {
            let panels = [&data, &sampled.start, &sampled.end].map(|values| Panel { values, shape });
            self.picture(&path, &pictures::side_by_side(&panels));
        }
        let quality = match self.run.data.known {
            Some(Known::Points(set)) => Some((set, evaluate::quality(set, &sampled.end))),
            _ => None,
        };
        if model.encoder.is_none() || model.chains.z.is_none() {
            return Ok(Measured { energies, errors: Vec::new(), quality });
        }
        let x = if shape.len() == 1 { data } else { self.run.data.held_out_batch(16)? };
        let back = chains::reconstruct(
            executor,
            model,
            &Reconstructing::recommended(model, self.run.origin.seed)?,
            &x,
            None,
        )?;
        if Panel::can_draw(shape) {
            let path = self.run.directory.reconstructions().join(&name);
            let panels = [&x, &back.guess, &back.end].map(|values| Panel { values, shape });
            self.picture(&path, &pictures::rows(&panels));
        }
        Ok(Measured { energies, errors: means(&back.trace), quality })
    }

    fn picture(&self, path: &Path, picture: &RgbImage) {
        if let Err(error) = pictures::write(path, picture) {
            self.progress.say(&format!("warning: {error:#}; the run goes on without it"));
        }
    }
}
