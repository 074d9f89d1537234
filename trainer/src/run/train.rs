//! A training run: iterations, checkpoints, pictures, measurements, and what happens when it ends.

mod guard;
mod look_back;

use super::annotate::{Annotating, annotate, contents};
use super::checkpoint::{self, Record, Summary};
use super::device::{self, TrainingDevice};
use super::directory::{Claim, Origin};
use super::fault::{Fault, Quiet, caught};
use super::interrupt;
use super::measure::Measure;
use super::metrics::{self, Lines};
use super::model_file;
use super::phases::Phases;
use super::progress::{Progress, clock};
use super::replicas::Replicas;
use crate::data::Dataset;
use crate::recipe::Recipe;
use crate::teaching::{Report, Teacher};
use anyhow::{Context, Error, Result, anyhow, ensure};
use dual_mcmc::executor::Executor;
use dual_mcmc::model::{EnergyQuantiles, Model, Precision};
use guard::SavedState;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two checkpoints, or two measurements, where their distance in iterations is not
/// given. A tenth of the schedule is a reason too, but not sooner than after `SOON`.
const INTERVAL: Duration = Duration::from_secs(300);
const SOON: Duration = Duration::from_secs(30);

/// How many lines metrics.jsonl holds at most, about.
const LOGGED: u64 = 5_000;

/// Held-out samples whose energies a model file summarises, and values of them in memory at once.
const HELD_OUT: usize = 10_000;
const AT_ONCE: usize = 1 << 22;

/// A run to be started or continued.
pub struct Run {
    /// The run's folder.
    pub directory: Claim,
    /// What is trained, as resolved.
    pub recipe: Recipe,
    /// Training data.
    pub data: Dataset,
    /// Devices; each takes its share of every batch.
    pub devices: Vec<TrainingDevice>,
    /// What the folder remembers of the start: seed, data, and what was given for the whole run. Checkpoints and
    /// measurements come by the clock and the schedule where their distance in iterations was not given.
    pub origin: Origin,
    /// Time after which to stop.
    pub time: Option<Duration>,
    /// Continue the run that is in the directory.
    pub resume: bool,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All iterations are done, or the time is up; the model is written.
    Finished,
    /// The run was interrupted; a checkpoint is written.
    Interrupted,
}

impl Run {
    /// Train.
    ///
    /// # Errors
    /// If files or devices fail, or the run diverges again and again.
    pub fn train(self) -> Result<End> {
        ensure!(!self.devices.is_empty(), "there is no device to train on");
        // A device that vanishes makes burn panic, here or on threads of its own.
        let quiet = self.devices.iter().any(TrainingDevice::can_vanish).then(Quiet::new);
        let first = self.devices[0].name();
        let fault = |reason| Error::from(Fault { device: first.clone(), reason });
        let attempt = |run: &mut dyn FnMut() -> Result<()>| match quiet {
            Some(_) => caught(run).unwrap_or_else(|reason| Err(fault(reason))),
            None => run(),
        };
        let (mut run, mut training, mut end) = (Some(self), None, End::Interrupted);
        attempt(&mut || {
            training = run.take().map(Training::open).transpose()?;
            Ok(())
        })?;
        // Never dropped after a failure: there may be nothing left to free, and no one to answer.
        let mut training = ManuallyDrop::new(training.context("a run is opened once")?);
        let outcome = attempt(&mut || {
            end = training.run()?;
            Ok(())
        });
        training.progress.finish();
        if let Err(error) = outcome {
            let error = training.explained(error);
            // Threads of a device that is gone may still have something to say.
            std::mem::forget(quiet);
            return Err(error);
        }
        drop(ManuallyDrop::into_inner(training));
        Ok(end)
    }

    /// Iterations of the whole run, earlier parts of it included.
    pub fn total(&self) -> u64 {
        self.origin.given.steps.unwrap_or(self.recipe.schedule.iterations)
    }

    /// The first device's.
    fn executor(&self) -> &Executor {
        &self.devices[0].executor
    }
}

/// A run in progress.
struct Training {
    run: Run,
    replicas: Replicas,
    summary: Summary,
    /// Iteration of the checkpoint on disk.
    kept: u64,
    /// State to go back to after a divergence: that checkpoint's.
    good: Arc<Record>,
    /// State whose checkpoint is due.
    unproved: Option<SavedState>,
    phases: Phases,
    measure: Measure,
    metrics: Lines,
    measurements: Lines,
    progress: Progress,
    started: Instant,
    seconds_before: f64,
    saved: Instant,
    measured: Instant,
    latest: Option<Report>,
}

impl Training {
    fn open(run: Run) -> Result<Training> {
        let directory = &run.directory;
        let mut replicas = Replicas::new(&run.recipe, &run.devices, run.origin.seed)?;
        let teacher = replicas.first_mut();
        let mut summary = Summary::default();
        let good = if run.resume {
            let (found, record) = checkpoint::read(&directory.last())?;
            teacher.restore(&record).with_context(|| directory.last().display().to_string())?;
            summary = found;
            record
        } else {
            // First the checkpoint: from the moment that a run is there, it can be resumed.
            let record = teacher.record()?;
            summary.energy_quantiles = held_out_quantiles(teacher, &run.data, run.executor())?;
            checkpoint::write(&directory.last(), &summary, &record)?;
            record
        };
        directory.describe(&run.recipe, &run.origin)?;
        let good = Arc::new(good);
        let iteration = teacher.iteration();
        let metrics = Lines::open(&directory.metrics(), iteration)?;
        let measurements = Lines::open(&directory.measurements(), iteration)?;
        let measure = Measure::new(&run.data, run.recipe.energy.is_some())?;
        let progress = Progress::new(iteration, run.total());
        let phases = Phases::of(teacher);
        replicas.follow_first(&good);
        let now = Instant::now();
        let seconds_before = summary.seconds;
        Ok(Training {
            run,
            replicas,
            kept: summary.iteration,
            summary,
            good,
            unproved: None,
            phases,
            measure,
            metrics,
            measurements,
            progress,
            started: now,
            seconds_before,
            saved: now,
            measured: now,
            latest: None,
        })
    }

    /// Iterate, and end with a state that has proved good.
    fn run(&mut self) -> Result<End> {
        loop {
            let end = self.iterate()?;
            let model = match end {
                End::Interrupted => None,
                End::Finished => match self.look_back()? {
                    Some(model) => Some(model),
                    None => continue,
                },
            };
            let measured = self.summary.measure;
            self.record()?;
            let good = self.prove()?;
            match model {
                Some(model) if good => self.write_model(model, measured)?,
                Some(_) => continue,
                // After a divergence the checkpoint is an earlier one.
                None => {}
            }
            return Ok(end);
        }
    }

    /// Iterate until all is done, the time is up, or someone asks to stop.
    fn iterate(&mut self) -> Result<End> {
        let log_every = (self.run.recipe.schedule.iterations / LOGGED).max(1);
        let total = self.run.total();
        let (checkpoint_every, measure_every) =
            (self.run.origin.given.checkpoint_every, self.run.origin.given.measure_every);
        while self.replicas.first().iteration() < total {
            let report = self.step()?;
            if let Some(cause) = report.divergence() {
                self.recover(report.iteration, &cause)?;
                continue;
            }
            self.keep()?;
            let last = report.iteration == total;
            if report.iteration.is_multiple_of(log_every) || last {
                self.metrics.write(&metrics::object(&report, self.seconds()))?;
            }
            self.progress.show(&report);
            self.latest = Some(report);
            if interrupt::asked() {
                return Ok(End::Interrupted);
            }
            if last || self.run.time.is_some_and(|time| self.started.elapsed() >= time) {
                break;
            }
            if self.due(self.measured, measure_every) {
                if self.look_back()?.is_some() {
                    self.record()?;
                }
            } else if self.due(self.saved, checkpoint_every) {
                self.record()?;
            }
        }
        Ok(End::Finished)
    }

    /// Whether something is due that was last done at `last` and is wanted every so many iterations.
    fn due(&self, last: Instant, every: Option<u64>) -> bool {
        let iteration = self.replicas.first().iteration();
        match every {
            Some(every) => iteration.is_multiple_of(every),
            None => {
                let tenth = (self.run.recipe.schedule.iterations / 10).max(1);
                let soon = last.elapsed() >= SOON && iteration.is_multiple_of(tenth);
                soon || last.elapsed() >= INTERVAL
            }
        }
    }

    /// Write the model of the state that was kept last.
    fn write_model(&mut self, mut model: Model, measured: Option<f64>) -> Result<()> {
        // The state whose energies they are is the one that was recorded, and kept, last.
        model.energy_quantiles = self.summary.energy_quantiles.clone();
        model_file::describe(&mut model, &self.run.recipe, &self.run.origin);
        let provenance = &mut model.provenance;
        provenance.iterations = self.kept;
        provenance.device = device::names(&self.run.devices);
        let figures = &mut provenance.metrics;
        figures.insert("training_seconds".into(), self.summary.seconds.round());
        if let Some(measured) = measured {
            figures.insert(self.measure.name(), measured);
        }
        if let Some(report) = &self.latest {
            let z_chain_error = report.z_chain_error.map(|ends| ends[1]);
            for (name, figure) in [
                ("energy_gap", report.energy_gap()),
                ("z_chain_error", z_chain_error),
                ("displacement", report.displacement),
            ] {
                figures.extend(figure.map(|figure| (name.to_string(), f64::from(figure))));
            }
        }
        let annotating = Annotating {
            data: &self.run.data,
            executor: self.run.executor(),
            seed: self.run.origin.seed,
            examples: self.run.origin.given.examples,
        };
        // They are not worth a run.
        if let Err(error) = annotate(&mut model, &annotating) {
            self.progress
                .say(&format!("warning: {error:#}; the model is written without examples and histograms"));
        }
        let path = self.run.directory.model();
        model_file::write(&path, &model, Precision::F32)?;
        self.progress.say(&format!(
            "{} iterations in {}; the model is {}, with {}",
            self.kept,
            clock(self.seconds()),
            path.display(),
            contents(&model)
        ));
        Ok(())
    }

    /// An error with what a person can do about it, if a device is at fault.
    fn explained(&self, error: Error) -> Error {
        let of_first = |error: &Error| error.downcast_ref::<Fault>().cloned();
        // The first device panics where another one's end is its own, too.
        let kept = self.kept;
        let Some(fault) = self.replicas.fault(&error).or_else(|| of_first(&error)) else {
            return error.context(format!(
                "the run has stopped; its checkpoint of iteration {kept} is kept, --resume goes on from it"
            ));
        };
        let what_to_do = match fault.device.starts_with("remote:") {
            true => "start its worker again, and continue with --resume",
            false => "continue with --resume, on this --device or another",
        };
        anyhow!("{fault}; the last checkpoint is of iteration {kept}: {what_to_do}")
    }

    /// Seconds of training, those before a resume included.
    fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }
}

/// Quantiles of the energies of held-out data, if there is an energy.
fn held_out_quantiles(
    teacher: &Teacher,
    data: &Dataset,
    executor: &Executor,
) -> Result<Option<EnergyQuantiles>> {
    let Some(energy) = teacher.energy()? else { return Ok(None) };
    let (len, count) = (data.sample_len(), HELD_OUT.min(data.held_out_count()));
    let rows = (AT_ONCE / len).max(1);
    let mut energies = Vec::with_capacity(count);
    for first in (0..count).step_by(rows) {
        let x = data.held_out.gather(first..count.min(first + rows), len)?;
        energies.extend(pollster::block_on(executor.forward(&energy, &x))?);
    }
    Ok(EnergyQuantiles::of(energies))
}
