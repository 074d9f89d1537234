//! What a run looks at from time to time: how good its model is, and pictures of what it does.

use super::Session;
use crate::run::chains::{Reconstructing, Sampling};
use crate::run::device;
use crate::run::measure::NotFinite;
use crate::run::pictures::{self, Panel};
use crate::run::progress::clock;
use crate::run::report;
use anyhow::Result;
use dual_mcmc::model::Model;
use serde_json::json;
use std::time::Instant;

/// Images and points in the pictures of a run.
const SHOWN_IMAGES: usize = 64;
const SHOWN_POINTS: usize = 2_000;

impl Session {
    /// Measure the model and draw its pictures. A model that cannot be measured, because its numbers are not
    /// finite, is none: the run goes back.
    pub(super) fn look_back(&mut self) -> Result<Option<Model>> {
        let iteration = self.replicas.first().iteration();
        let model = self.replicas.first_mut().model()?;
        let value = match self.measure.of(&model, self.run.executor(), self.run.seed) {
            Err(error) if error.is::<NotFinite>() => {
                self.recover(iteration, &error.to_string())?;
                return Ok(None);
            }
            value => value?,
        };
        self.summary.measure = Some(value);
        let [energies, errors] = self.draw(&model)?;
        self.measurements.write(&json!({
            "iteration": iteration,
            self.measure.name(): value,
            "seconds": self.seconds(),
            "device": device::names(&self.run.devices),
            "divergences": self.summary.recoveries,
            "phase_milliseconds": self.phases.look(),
            "energy_along_the_x_chain": energies,
            "error_along_the_z_chain": errors,
        }))?;
        self.progress.say(&format!(
            "iteration {iteration}: {} {value:.3} after {}",
            self.measure.name().replace('_', " "),
            clock(self.seconds()),
        ));
        report::write(&[self.run.directory.root().into()], &self.run.directory.report())?;
        self.measured = Instant::now();
        Ok(Some(model))
    }

    /// Draw samples and reconstructions, as far as the model and its data allow. Returns what was
    /// measured along the chains: mean energies, and mean squared errors.
    fn draw(&self, model: &Model) -> Result<[Vec<f32>; 2]> {
        let shape = &self.run.data.shape;
        let means = |trace: &[Vec<f32>]| -> Vec<f32> {
            trace.iter().map(|row| row.iter().sum::<f32>() / row.len() as f32).collect()
        };
        let name = format!("{:07}.png", self.replicas.first().iteration());
        let executor = self.run.executor();
        let count = if shape.len() == 1 { SHOWN_POINTS } else { SHOWN_IMAGES };
        let sampled = Sampling::recommended(model, count, self.run.seed)?.run(model, executor, true)?;
        let energies = means(&sampled.trace);
        let path = self.run.directory.samples().join(&name);
        let data = self.run.data.held_out_batch(count)?;
        if Panel::can_draw(shape) {
            let panels = [&data, &sampled.start, &sampled.end].map(|values| Panel { values, shape });
            pictures::write(&path, &pictures::side_by_side(&panels))?;
        }
        if model.encoder.is_none() || model.chains.z.is_none() {
            return Ok([energies, Vec::new()]);
        }
        let x = if shape.len() == 1 { data } else { self.run.data.held_out_batch(16)? };
        let back = Reconstructing::recommended(model, self.run.seed)?.run(model, executor, &x, None)?;
        if Panel::can_draw(shape) {
            let path = self.run.directory.reconstructions().join(&name);
            let panels = [&x, &back.guess, &back.end].map(|values| Panel { values, shape });
            pictures::write(&path, &pictures::rows(&panels))?;
        }
        Ok([energies, means(&back.trace)])
    }
}
