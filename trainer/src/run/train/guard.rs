//! Which states a run keeps, and the way back to the last good one.
//!
//! An iteration's figures are of the state that it starts from: what its own updates have done shows in those
//! of the next. So where a checkpoint is due the state is recorded, and it is written, and gone back to, only
//! once the iteration after it has proved healthy.

use super::{Training, held_out_quantiles};
use crate::data::scale;
use crate::run::checkpoint::{self, Record, Summary};
use crate::run::metrics::{self, Lines};
use crate::teaching::{Batch, Phase, Report};
use anyhow::{Result, bail};
use serde_json::json;
use std::sync::Arc;
use std::time::Instant;

/// Divergences that a run goes back from before it gives up.
const RECOVERIES: u32 = 5;

/// A recorded state that is to be kept, and what the run knew when it was in it.
pub struct SavedState {
    summary: Summary,
    record: Arc<Record>,
}

impl Training {
    /// One iteration, on the next batch of the data.
    pub(super) fn step(&mut self) -> Result<Report> {
        self.phases.begin(Phase::Data);
        let indices = self.replicas.first().batch_indices(self.run.data.train_count());
        let values = self.run.data.train_batch(indices.iter().copied())?;
        let report = self.replicas.step(Batch { samples: indices, values })?;
        self.phases.end();
        Ok(report)
    }

    /// Record the state, for a checkpoint as soon as it has proved good.
    pub(super) fn record(&mut self) -> Result<()> {
        self.summary.iteration = self.replicas.first().iteration();
        self.summary.seconds = self.seconds();
        self.summary.energy_quantiles =
            held_out_quantiles(self.replicas.first(), &self.run.data, self.run.executor())?;
        let record = Arc::new(self.replicas.first().record()?);
        // Where devices round differently, a resumed run would not be this one otherwise.
        self.replicas.follow_first(&record);
        self.unproved = Some(SavedState { summary: self.summary.clone(), record });
        self.summary.measure = None;
        self.saved = Instant::now();
        Ok(())
    }

    /// The state that was recorded last, if any, has proved good: write its checkpoint, and a second one if it
    /// is the best so far.
    pub(super) fn keep(&mut self) -> Result<()> {
        let Some(SavedState { mut summary, record }) = self.unproved.take() else { return Ok(()) };
        let new = summary.measure;
        let best = match (new, self.summary.best) {
            (Some(new), Some(old)) => self.measure.better(new, old),
            (new, _) => new.is_some(),
        };
        if best {
            self.summary.best = new;
        }
        summary.best = self.summary.best;
        if best {
            checkpoint::write(&self.run.directory.best(), &summary, &record)?;
        }
        checkpoint::write(&self.run.directory.last(), &summary, &record)?;
        self.kept = summary.iteration;
        self.good = record;
        Ok(())
    }

    /// Where a run ends no iteration follows that could prove its last state: make one, of which nothing is
    /// kept. Whether the state is good; if not, the run has gone back.
    pub(super) fn prove(&mut self) -> Result<bool> {
        let report = self.step()?;
        let Some(cause) = report.divergence() else {
            self.keep()?;
            return Ok(true);
        };
        self.recover(report.iteration, &cause)?;
        Ok(false)
    }

    /// Go back to the last good state with another seed and a lower rate for the energy, and say so.
    pub(super) fn recover(&mut self, diverged: u64, cause: &str) -> Result<()> {
        self.unproved = None;
        self.summary.measure = None;
        self.summary.recoveries += 1;
        let n = self.summary.recoveries;
        let mut event = json!({
            "iteration": diverged,
            "event": "divergence",
            "diverged_at": diverged,
            "cause": cause,
            "divergences": n,
            "gave_up": n > RECOVERIES,
            "seconds": metrics::milliseconds(self.seconds()),
        });
        let (change, advice) = match self.run.recipe.energy {
            Some(_) => (" and a lower rate for the energy", "optimiser.energy.rate or x_chain.step_size"),
            None => ("", "optimiser.generator.rate or z_chain.step_size"),
        };
        if n > RECOVERIES {
            self.metrics.write(&event)?;
            let of_data = scale::warnings(&self.run.data.glance().unwrap_or_default(), &self.run.data.shape);
            let advice = match of_data.first() {
                Some(warning) => format!("the data do not suit: {warning}"),
                None => format!("lower {advice}"),
            };
            bail!("the run has diverged {n} times, now at iteration {diverged} ({cause}); {advice}");
        }
        let teacher = self.replicas.first_mut();
        teacher.restore(&self.good)?;
        // A seed of its own for each recovery: the same one would lead to the same place.
        teacher.reseed(self.run.origin.seed.wrapping_add(u64::from(n) << 32));
        teacher.lower_energy_rate(0.5);
        let back = teacher.iteration();
        event["iteration"] = back.into();
        self.metrics = Lines::open(&self.run.directory.metrics(), back)?;
        self.measurements = Lines::open(&self.run.directory.measurements(), back)?;
        self.metrics.write(&event)?;
        // What has changed must hold for the next recovery, and for a resume, too.
        self.record()?;
        self.keep()?;
        self.progress.say(&format!(
            "iteration {diverged} diverged ({cause}); back to iteration {back} with another seed{change}"
        ));
        Ok(())
    }
}
