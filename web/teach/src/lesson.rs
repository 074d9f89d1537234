//! A training run that can be watched: iteration by iteration, or phase by phase.

use crate::settings::Settings;
use burn::tensor::Device;
use dual_mcmc::executor::{Executor, ExecutorError};
use dual_mcmc::jobs::{Quadrature, Quality, quality};
use dual_mcmc::model::{EnergyQuantiles, Model, ModelError, Precision};
use dual_mcmc::points::{PointSet, TRAINING_POINTS};
use dual_mcmc_trainer::recipe::{Recipe, RecipeError};
use dual_mcmc_trainer::teaching::{
    Batch, FEWEST, Gradients, Phase, Report, RunningIteration, Snapshot, Teacher, TeachingError, held_out_of,
};
use std::collections::VecDeque;

/// Held-out points that a likelihood is the mean over.
const HELD_OUT: usize = 2_000;
/// Points along a side of its quadrature.
const SIDE: usize = 121;
/// Samples whose quality is judged: those of the last few iterations.
const JUDGED: usize = 2_048;
/// Iterations between two states that are kept to go back to.
const KEPT_EVERY: u64 = 50;
/// Divergences that a run goes back from before it gives up.
const RECOVERIES: u32 = 5;
/// Most points of the reader's own, and how far from the centre of the plane they may lie: the quadrature ends there.
pub const MOST: usize = 100_000;
/// As `MOST`.
pub const FARTHEST: f32 = 6.0;
/// Points of own data must differ by more than this, in their standard deviation.
const NARROWEST: f32 = 0.02;

/// Why a run could not begin, or go on.
#[derive(Debug, thiserror::Error)]
pub enum LessonError {
    /// The points cannot be learned.
    #[error("{0}")]
    Points(String),
    /// The settings make no recipe.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// An iteration has failed.
    #[error(transparent)]
    Teaching(#[from] TeachingError),
    /// A network cannot be run.
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    /// The model cannot be written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// It has diverged too often.
    #[error(
        "the run has diverged {times} times, now at iteration {iteration} ({cause}); lower the learning rates"
    )]
    Diverged {
        /// How often.
        times: u32,
        /// The iteration.
        iteration: u64,
        /// What ran away.
        cause: String,
    },
}

/// What a step has done.
#[derive(Debug)]
pub enum Done {
    /// A phase of an iteration.
    Phase(Phase),
    /// An iteration's last phase.
    Iteration(Report),
    /// The iteration has diverged, and the run has gone back.
    WentBack {
        /// The iteration that diverged.
        from: u64,
        /// The iteration gone back to.
        to: u64,
        /// What ran away.
        cause: String,
    },
}

/// How good the model is.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures {
    /// Mean log-likelihood of held-out points.
    pub log_likelihood: Option<f64>,
    /// That of the density that they come from.
    pub truth: Option<f64>,
    /// The quality of the generator's samples, and of those that the x-chain has refined.
    pub quality: Option<[Quality; 2]>,
}

/// A run.
pub struct Lesson {
    settings: Settings,
    recipe: Recipe,
    set: Option<PointSet>,
    train: Vec<f32>,
    held_out: Vec<f32>,
    teacher: Teacher,
    executor: Executor,
    running: Option<RunningIteration>,
    /// The last iteration's.
    snapshot: Snapshot,
    report: Option<Report>,
    /// The newest state to go back to.
    good: Vec<(String, Vec<u8>)>,
    recoveries: u32,
    /// Starts and ends of x-chains, those of the last iterations.
    lately: VecDeque<[Vec<f32>; 2]>,
}

/// Own points that are to be learned, `[n, 2]`.
///
/// # Errors
/// A sentence on what is wrong with them.
pub fn check_points(points: &[f32]) -> Result<(), LessonError> {
    let refuse = |words: String| Err(LessonError::Points(words));
    let (rows, rest) = points.as_chunks::<2>();
    if rows.is_empty() {
        return refuse("There are no points yet: draw some, or drop a file of them.".into());
    }
    if !rest.is_empty() || points.iter().any(|v| !v.is_finite()) {
        return refuse("Points are pairs of finite numbers.".into());
    }
    if rows.len() < FEWEST {
        return refuse(format!("{} is too few: at least {FEWEST} points are needed.", rows.len()));
    }
    if rows.len() > MOST {
        return refuse(format!(
            "{} points are too many for a page, which takes {MOST}; the program takes any number.",
            rows.len()
        ));
    }
    let far = rows.iter().filter(|point| point.iter().any(|v| v.abs() > FARTHEST)).count();
    if far > 0 {
        return refuse(format!(
            "{far} of {} points lie outside the square from -{FARTHEST} to {FARTHEST}: centre and rescale them, to a standard deviation of about 1.",
            rows.len()
        ));
    }
    let deviation = |axis: usize| {
        let mean = rows.iter().map(|point| point[axis]).sum::<f32>() / rows.len() as f32;
        (rows.iter().map(|point| (point[axis] - mean).powi(2)).sum::<f32>() / rows.len() as f32).sqrt()
    };
    if deviation(0).max(deviation(1)) < NARROWEST {
        return refuse("All points are at one place: draw them farther apart, or rescale them.".into());
    }
    Ok(())
}

impl Lesson {
    /// A run of these settings, on `points` of the reader's own, `[n, 2]`, where they name no known set.
    ///
    /// # Errors
    /// If the points cannot be learned, or the settings make no recipe.
    pub fn new(settings: Settings, points: Vec<f32>) -> Result<Lesson, LessonError> {
        let recipe = settings.recipe()?;
        let set = settings.known();
        let (train, held_out) = match set {
            Some(set) => {
                let count = recipe.data.count.unwrap_or(TRAINING_POINTS);
                (set.points(0, count), set.points(count, HELD_OUT))
            }
            None => {
                check_points(&points)?;
                let mut train = points;
                let count = train.len() / 2;
                let held_out = train.split_off(2 * (count - held_out_of(count)));
                (train, held_out)
            }
        };
        let executor = Executor::Cpu { threads: 1 };
        let teacher = Teacher::new(&recipe, &Device::flex(), executor.clone(), settings.seed.into())?;
        let good = teacher.record()?;
        Ok(Lesson {
            settings,
            recipe,
            set,
            train,
            held_out,
            teacher,
            executor,
            running: None,
            snapshot: Snapshot::default(),
            report: None,
            good,
            recoveries: 0,
            lately: VecDeque::new(),
        })
    }

    /// The recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Iterations done.
    pub fn iteration(&self) -> u64 {
        self.teacher.iteration()
    }

    /// Whether all iterations of the recipe are done.
    pub fn is_done(&self) -> bool {
        self.iteration() >= self.recipe.schedule.iterations
    }

    /// The points that are learned from, `[n, 2]`.
    pub fn points(&self) -> &[f32] {
        &self.train
    }

    /// What the iteration under way has computed so far; between two of them, the last one's.
    pub fn snapshot(&self) -> &Snapshot {
        self.running.as_ref().map_or(&self.snapshot, |running| &running.snapshot)
    }

    /// The last iteration's figures.
    pub fn report(&self) -> Option<&Report> {
        self.report.as_ref()
    }

    /// Call `observer` where each phase begins, to time them.
    pub fn observe(&mut self, observer: impl FnMut(Phase) + 'static) {
        self.teacher.observe(observer);
    }

    /// The batch of the next iteration.
    fn batch(&self) -> Batch {
        let samples = self.teacher.batch_indices(self.train.len() / 2);
        let values = samples.iter().flat_map(|&i| self.train[2 * i..2 * i + 2].to_vec()).collect();
        Batch { samples, values }
    }

    /// Run the next phase of an iteration.
    ///
    /// # Errors
    /// If it fails, or has diverged too often.
    pub async fn step(&mut self) -> Result<Done, LessonError> {
        let Some(mut running) = self.running.take() else {
            let batch = self.batch();
            self.running = Some(self.teacher.begin(&batch, Gradients::Drop)?);
            return Ok(Done::Phase(Phase::Data));
        };
        let phase = running.next_phase();
        match phase {
            Phase::Data => {}
            Phase::XChain => self.teacher.run_x_chain(&mut running).await?,
            Phase::ZChain => self.teacher.run_z_chain(&mut running).await?,
            Phase::Generator => self.teacher.update_generator(&mut running)?,
            Phase::Encoder => self.teacher.update_encoder(&mut running)?,
            Phase::Energy => self.teacher.update_energy(&mut running).await?,
            Phase::Figures => {
                let iteration = self.teacher.finish(running)?;
                return self.finish(iteration.report, iteration.snapshot);
            }
        }
        self.running = Some(running);
        Ok(Done::Phase(phase))
    }

    /// Run what is left of an iteration, or a whole one.
    ///
    /// # Errors
    /// As [`Lesson::step`].
    pub async fn iterate(&mut self) -> Result<Done, LessonError> {
        loop {
            match self.step().await? {
                Done::Phase(_) => {}
                done => return Ok(done),
            }
        }
    }

    fn finish(&mut self, report: Report, snapshot: Snapshot) -> Result<Done, LessonError> {
        if let Some(cause) = report.divergence() {
            let from = report.iteration;
            self.recoveries += 1;
            if self.recoveries > RECOVERIES {
                return Err(LessonError::Diverged { times: self.recoveries, iteration: from, cause });
            }
            self.teacher.restore(&self.good)?;
            // A seed of its own for each recovery: the same one would lead to the same place.
            self.teacher.reseed(u64::from(self.settings.seed).wrapping_add(u64::from(self.recoveries) << 32));
            self.teacher.lower_energy_rate(0.5);
            // What has changed must hold for the next recovery, too.
            self.good = self.teacher.record()?;
            self.lately.clear();
            return Ok(Done::WentBack { from, to: self.teacher.iteration(), cause });
        }
        if report.iteration.is_multiple_of(KEPT_EVERY) {
            self.good = self.teacher.record()?;
        }
        self.lately.push_back([snapshot.x_hat.clone(), snapshot.x_tilde.clone()]);
        let batch = (snapshot.x_hat.len() / 2).max(1);
        while self.lately.len() > JUDGED.div_ceil(batch) {
            self.lately.pop_front();
        }
        self.snapshot = snapshot;
        self.report = Some(report.clone());
        Ok(Done::Iteration(report))
    }

    /// Energies of points, `[n, 2]`, over the temperature: what the model's law is the exponential of.
    ///
    /// # Errors
    /// If the energy cannot be run.
    pub async fn energies(&self, points: &[f32]) -> Result<Vec<f32>, LessonError> {
        let Some(energy) = self.teacher.energy()? else { return Ok(Vec::new()) };
        let temperature = self.recipe.temperature();
        let energies = self.executor.forward(&energy, points).await?;
        Ok(energies.into_iter().map(|energy| energy / temperature).collect())
    }

    /// How good the model is now.
    ///
    /// # Errors
    /// If the energy cannot be run.
    pub async fn figures(&self) -> Result<Figures, LessonError> {
        let mut quadrature = Quadrature::of(1.0, SIDE);
        let energies = self.energies(&quadrature.next_points(usize::MAX)).await?;
        let log_likelihood = match energies.is_empty() {
            true => None,
            false => {
                quadrature.add(&energies);
                let of_data = self.energies(&self.held_out).await?;
                quadrature.log_likelihood(&of_data).filter(|value| value.is_finite())
            }
        };
        let truth = self.set.map(|set| {
            let points = self.held_out.as_chunks::<2>().0;
            let densities = points.iter().map(|point| set.log_density(point.map(f64::from)));
            densities.sum::<f64>() / points.len() as f64
        });
        let of = |set: PointSet, which: usize| {
            let points: Vec<f32> = self.lately.iter().flat_map(|pair| pair[which].iter().copied()).collect();
            quality(set, &points)
        };
        let quality = self.set.filter(|_| !self.lately.is_empty()).map(|set| [of(set, 0), of(set, 1)]);
        Ok(Figures { log_likelihood, truth, quality })
    }

    /// The model as it stands, after `seconds` of training, as a file.
    ///
    /// # Errors
    /// If it is no valid model.
    pub async fn model(&self, seconds: f64) -> Result<Vec<u8>, LessonError> {
        let mut model: Model = self.teacher.model()?;
        if let Some(energy) = &model.energy {
            model.energy_quantiles =
                EnergyQuantiles::of(self.executor.forward(energy, &self.held_out).await?);
        }
        model.annotations.density = self.set;
        let figures = self.figures().await?;
        let provenance = &mut model.provenance;
        provenance.data = self.set.map_or("own points", |set| set.name()).into();
        provenance.recipe = self.recipe.to_toml();
        provenance.iterations = self.iteration();
        provenance.seed = self.settings.seed.into();
        provenance.license = "unspecified".into();
        provenance.version = concat!("dual-mcmc ", env!("CARGO_PKG_VERSION"), " in a browser").into();
        provenance.device = "CPU (1 thread), in a browser".into();
        provenance.metrics.insert("training_seconds".into(), seconds.round());
        if let Some(likelihood) = figures.log_likelihood {
            provenance.metrics.insert("log_likelihood".into(), likelihood);
        }
        Ok(model.to_bytes(Precision::F32)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use pollster::block_on;

    fn tiny(changes: Settings) -> Lesson {
        let mut lesson = Lesson::new(
            Settings { iterations: Some(40), x_steps: Some(4), z_steps: Some(2), ..changes },
            Vec::new(),
        )
        .unwrap();
        lesson.observe(|_| {});
        lesson
    }

    fn ring() -> Settings {
        Settings { set: Some("ring".into()), ..Settings::default() }
    }

    #[test]
    fn phase_by_phase_is_the_run_that_never_stopped() {
        let (mut whole, mut pieces) = (tiny(ring()), tiny(ring()));
        for iteration in 1..=3 {
            block_on(whole.iterate()).unwrap();
            let mut phases = Vec::new();
            let report = loop {
                match block_on(pieces.step()).unwrap() {
                    Done::Phase(phase) => phases.push(phase),
                    Done::Iteration(report) => break report,
                    Done::WentBack { .. } => panic!("it has diverged"),
                }
            };
            assert_eq!(phases, Phase::ALL[..6]);
            assert_eq!((report.iteration, Some(&report)), (iteration, whole.report()));
        }
        assert_eq!(whole.snapshot().x_tilde, pieces.snapshot().x_tilde);
    }

    #[test]
    fn a_divergence_goes_back_and_in_the_end_gives_up() {
        let mut lesson = tiny(Settings { rate: Some(1e7), ..ring() });
        let mut back = 0;
        let error = loop {
            match block_on(lesson.iterate()) {
                Ok(Done::WentBack { from, to, .. }) => {
                    assert!(to < from);
                    back += 1;
                }
                Ok(_) => assert!(lesson.iteration() < 40, "it has not diverged"),
                Err(error) => break error.to_string(),
            }
        };
        assert_eq!(back, RECOVERIES);
        assert!(error.contains("diverged 6 times") && error.contains("lower the learning rates"), "{error}");
    }

    #[test]
    fn the_model_of_a_run_is_one_that_everything_reads() {
        let mut lesson = tiny(ring());
        block_on(lesson.iterate()).unwrap();
        let model = Model::from_bytes(&block_on(lesson.model(1.6)).unwrap()).unwrap();
        assert_eq!(model.density(), Some(PointSet::Ring));
        assert_eq!((model.provenance.iterations, model.provenance.metrics["training_seconds"]), (1, 2.0));
        let recipe =
            dual_mcmc_trainer::recipe::Draft::parse(&model.provenance.recipe).unwrap().resolve(None).unwrap();
        assert_eq!(&recipe, lesson.recipe());
        let figures = block_on(lesson.figures()).unwrap();
        assert!((figures.truth.unwrap() + 1.70).abs() < 0.05, "{figures:?}");
        // An energy that knows nothing yet spreads its mass over the reference.
        assert!(figures.log_likelihood.unwrap() < -3.0, "{figures:?}");
    }

    #[test]
    fn points_that_cannot_be_learned_are_refused_in_a_sentence() {
        let at = |x: f32, n: usize| [x, x + 0.5].repeat(n);
        let spread: Vec<f32> = (0..40).map(|i| i as f32 / 20.0 - 1.0).collect();
        for (points, word) in [
            (Vec::new(), "no points yet"),
            (at(0.0, 1), "too few"),
            (at(0.0, 100), "one place"),
            ([spread.clone(), at(50.0, 3)].concat(), "3 of 23 points lie outside"),
            ([spread.clone(), vec![f32::NAN, 0.0]].concat(), "finite"),
            ([spread.clone(), vec![0.0]].concat(), "pairs"),
            (at(0.0, MOST + 1), "too many"),
        ] {
            let error = Lesson::new(Settings::default(), points).err().unwrap().to_string();
            assert!(error.contains(word), "{error}");
        }
        let lesson = Lesson::new(Settings::default(), spread.repeat(5)).unwrap();
        assert_eq!((lesson.points().len(), lesson.held_out.len()), (180, 20));
    }
}
