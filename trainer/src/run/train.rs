//! A training run: iterations, checkpoints, pictures, measurements, and what happens when it ends.

use super::chains::{Reconstructing, Sampling, energies};
use super::checkpoint::{self, Record, Summary};
use super::device::{self, TrainingDevice};
use super::directory::{Origin, RunDirectory, version};
use super::fault::{Fault, Quiet, caught};
use super::interrupt;
use super::measure::Measure;
use super::metrics::{self, Lines};
use super::model_file;
use super::phases::Phases;
use super::pictures::{self, Panel};
use super::progress::{Progress, clock};
use super::replicas::Replicas;
use super::report;
use crate::data::Dataset;
use crate::recipe::Recipe;
use crate::teaching::{Batch, Phase, Report};
use anyhow::{Context, Error, Result, anyhow, ensure};
use dual_mcmc::executor::Executor;
use dual_mcmc::model::{Model, Precision};
use serde_json::json;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Time between two checkpoints, or two measurements, where their distance in iterations is not
/// given. A tenth of the schedule is a reason too, but not sooner than after `SOON`.
const INTERVAL: Duration = Duration::from_secs(300);
const SOON: Duration = Duration::from_secs(30);

/// Divergences that a run goes back from before it gives up.
const RECOVERIES: u32 = 5;

/// How many lines metrics.jsonl holds at most, about.
const LOGGED: u64 = 5_000;

/// Images and points in the pictures of a run.
const SHOWN_IMAGES: usize = 64;
const SHOWN_POINTS: usize = 2_000;

/// Held-out samples whose energies a model file summarises.
const HELD_OUT: usize = 10_000;

/// A run to be started or continued.
pub struct Run {
    /// Where it is kept.
    pub directory: RunDirectory,
    /// What is trained, as resolved.
    pub recipe: Recipe,
    /// What from.
    pub data: Dataset,
    /// Where: each device takes its share of every batch.
    pub devices: Vec<TrainingDevice>,
    /// Seed of everything random.
    pub seed: u64,
    /// Iterations of the whole run, earlier parts of it included.
    pub total: u64,
    /// Time after which to stop.
    pub time: Option<Duration>,
    /// Iterations between checkpoints; by the clock and the schedule where absent.
    pub checkpoint_every: Option<u64>,
    /// Iterations between measurements, with their pictures; as above where absent.
    pub measure_every: Option<u64>,
    /// Continue the run that is in the directory.
    pub resume: bool,
    /// Licence of the weights, for the model file.
    pub license: String,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All iterations are done, or the time is up; the model is written.
    Finished,
    /// It was interrupted; a checkpoint is written.
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
        let (mut run, mut session, mut end) = (Some(self), None, End::Interrupted);
        attempt(&mut || {
            session = run.take().map(Session::open).transpose()?;
            Ok(())
        })?;
        // Never dropped after a failure: there may be nothing left to free, and no one to answer.
        let mut session = ManuallyDrop::new(session.context("a run is opened once")?);
        let outcome = attempt(&mut || {
            end = session.iterate()?;
            if end == End::Finished { session.finish() } else { Ok(()) }
        });
        session.progress.finish();
        if let Err(error) = outcome {
            let error = session.explained(error);
            // Threads of a device that is gone may still have something to say.
            std::mem::forget(quiet);
            return Err(error);
        }
        drop(ManuallyDrop::into_inner(session));
        Ok(end)
    }

    fn origin(&self) -> Origin {
        Origin {
            seed: self.seed,
            data: self.data.name.clone(),
            samples: self.data.train_count(),
            version: version(),
        }
    }

    /// The first device's.
    fn executor(&self) -> &Executor {
        &self.devices[0].executor
    }
}

/// A run in progress.
struct Session {
    run: Run,
    replicas: Replicas,
    summary: Summary,
    /// Iteration of the checkpoint on disk.
    kept: u64,
    /// State to go back to after a divergence.
    good: Arc<Record>,
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

impl Session {
    fn open(run: Run) -> Result<Session> {
        let directory = &run.directory;
        let mut replicas = Replicas::new(&run.recipe, &run.devices, run.seed)?;
        let teacher = replicas.first_mut();
        let mut summary = Summary::default();
        let good = if run.resume {
            directory.make()?;
            let (found, record) = checkpoint::read(&directory.last())?;
            teacher.restore(&record).with_context(|| directory.last().display().to_string())?;
            summary = found;
            record
        } else {
            // First the checkpoint: from the moment that a run is there, it can be resumed.
            let record = teacher.record()?;
            directory.make()?;
            checkpoint::write(&directory.last(), &summary, &record)?;
            directory.create(&run.recipe, &run.origin())?;
            record
        };
        let good = Arc::new(good);
        let iteration = teacher.iteration();
        let metrics = Lines::open(&directory.metrics(), iteration)?;
        let measurements = Lines::open(&directory.measurements(), iteration)?;
        let measure = Measure::new(&run.data, run.recipe.energy.is_some())?;
        let progress = Progress::new(iteration, run.total);
        let phases = Phases::of(teacher);
        replicas.follow_first(&good);
        let now = Instant::now();
        let seconds_before = summary.seconds;
        Ok(Session {
            run,
            replicas,
            kept: summary.iteration,
            summary,
            good,
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

    /// Iterate until all is done, the time is up, or someone asks to stop.
    fn iterate(&mut self) -> Result<End> {
        let log_every = (self.run.recipe.schedule.iterations / LOGGED).max(1);
        while self.replicas.first().iteration() < self.run.total {
            self.phases.begin(Phase::Data);
            let indices = self.replicas.first().batch_indices(self.run.data.train_count());
            let values = self.run.data.train_batch(indices.iter().copied())?;
            let batch = Batch { samples: indices, values };
            let report = self.replicas.step(batch)?;
            self.phases.end();
            if !metrics::healthy(&report) {
                self.recover(&report)?;
                continue;
            }
            let last = report.iteration == self.run.total;
            if report.iteration.is_multiple_of(log_every) || last {
                self.metrics.write(&metrics::object(&report, self.seconds()))?;
            }
            self.progress.show(&report);
            self.latest = Some(report);
            if interrupt::asked() {
                self.save()?;
                return Ok(End::Interrupted);
            }
            if last || self.run.time.is_some_and(|time| self.started.elapsed() >= time) {
                break;
            }
            if self.due(self.measured, self.run.measure_every) {
                self.look_back()?;
                self.save()?;
            } else if self.due(self.saved, self.run.checkpoint_every) {
                self.save()?;
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

    /// Measure the model and draw its pictures.
    fn look_back(&mut self) -> Result<Model> {
        let iteration = self.replicas.first().iteration();
        let model = self.replicas.first_mut().model()?;
        let value = self.measure.of(&model, self.run.executor(), self.run.seed)?;
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
        Ok(model)
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

    /// Write a checkpoint, and a second one if it is the best so far.
    fn save(&mut self) -> Result<()> {
        self.summary.iteration = self.replicas.first().iteration();
        self.summary.seconds = self.seconds();
        self.good = Arc::new(self.replicas.first().record()?);
        let new = self.summary.measure;
        let best = match (new, self.summary.best) {
            (Some(new), Some(old)) => self.measure.better(new, old),
            (new, _) => new.is_some(),
        };
        if best {
            self.summary.best = new;
            checkpoint::write(&self.run.directory.best(), &self.summary, &self.good)?;
        }
        checkpoint::write(&self.run.directory.last(), &self.summary, &self.good)?;
        self.kept = self.summary.iteration;
        // Where devices round differently, a resumed run would not be this one otherwise.
        self.replicas.follow_first(&self.good);
        self.summary.measure = None;
        self.saved = Instant::now();
        Ok(())
    }

    /// Go back to the last good state with another seed and a lower rate for the energy.
    fn recover(&mut self, report: &Report) -> Result<()> {
        self.summary.recoveries += 1;
        let n = self.summary.recoveries;
        ensure!(
            n <= RECOVERIES,
            "the run has diverged {n} times, now at iteration {}; lower optimiser.energy.rate or x_chain.step_size",
            report.iteration
        );
        let teacher = self.replicas.first_mut();
        teacher.restore(&self.good)?;
        // A seed of its own for each recovery: the same one would lead to the same place.
        teacher.reseed(self.run.seed.wrapping_add(u64::from(n) << 32));
        teacher.lower_energy_rate(0.5);
        let back = teacher.iteration();
        self.metrics = Lines::open(&self.run.directory.metrics(), back)?;
        self.measurements = Lines::open(&self.run.directory.measurements(), back)?;
        // What has changed must hold for the next recovery, and for a resume, too.
        self.save()?;
        self.progress.say(&format!(
            "iteration {} diverged (energy gap {:e}); back to iteration {back} with another seed and a lower rate for the energy",
            report.iteration,
            report.energy_gap().unwrap_or(f32::NAN),
        ));
        Ok(())
    }

    /// Measure, save, and write the model.
    fn finish(&mut self) -> Result<()> {
        let mut model = self.look_back()?;
        let measured = self.summary.measure;
        self.save()?;
        describe(&mut model, &self.run.recipe, &self.run.data, self.run.executor())?;
        let provenance = &mut model.provenance;
        provenance.iterations = self.replicas.first().iteration();
        provenance.seed = self.run.seed;
        provenance.license = self.run.license.clone();
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
        let path = self.run.directory.model();
        model_file::write(&path, &model, Precision::F32)?;
        self.progress.say(&format!(
            "{} iterations in {}; the model is {}",
            self.replicas.first().iteration(),
            clock(self.seconds()),
            path.display()
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

/// Give a model its quantiles of held-out energies, and what its provenance owes to recipe and data.
///
/// # Errors
/// If the executor fails.
pub fn describe(model: &mut Model, recipe: &Recipe, data: &Dataset, executor: &Executor) -> Result<()> {
    if model.energy.is_some() {
        let held_out = energies(model, executor, &data.held_out_batch(HELD_OUT)?)?;
        model.energy_quantiles = model_file::quantiles(held_out);
    }
    let mut recipe = recipe.clone();
    // The set's name: a path on the trainer's machine says nothing to anyone else.
    recipe.data.set = data.name.clone();
    model.provenance.data = data.name.clone();
    model.provenance.recipe = recipe.to_toml();
    model.provenance.version = version();
    Ok(())
}
