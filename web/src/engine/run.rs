//! One batch of chains, on the device that was found.

use super::Device;
use super::pool::WorkerChains;
use super::question::{Kind, Target};
use crate::choices::Origin;
use crate::host;
use crate::models::Loaded;
use crate::problem::Problem;
use crate::settings::Settings;
use dual_mcmc::chain::{Langevin, Trace};
use dual_mcmc::executor::{Executor, ExecutorError};
use dual_mcmc::gpu::GpuError;
use dual_mcmc::jobs::{self, Filler, JobError, Observed, Reconstructor, Sampler, Start, States};
use dual_mcmc::network::NetworkError;
use js_sys::Float32Array;
use std::rc::Rc;

/// Who runs the chains.
enum Runner {
    /// The graphics device.
    Gpu(Executor, Box<Sampler>),
    /// The graphics device, z-chains.
    GpuZ(Executor, Box<Reconstructor>),
    /// Workers beside the page.
    Workers(WorkerChains),
}

/// Who fills in what is hidden.
enum Filling {
    /// The graphics device.
    Gpu(Box<Filler>),
    /// Workers beside the page.
    Workers(WorkerChains),
}

/// Chains that run.
pub struct Engine {
    runner: Runner,
    /// x-chains that have taken the place of z-chains, to fill in what is hidden of the sample.
    filling: Option<Filling>,
    loaded: Rc<Loaded>,
    /// Whether they are x-chains.
    samples: bool,
}

/// The sample that a view is about.
pub struct Sight {
    /// Its values, `[data]`.
    pub x: Vec<f32>,
    /// 1 where they are known, 0 where they are hidden; nothing where all are known.
    pub mask: Option<Vec<f32>>,
}

impl From<GpuError> for Problem {
    fn from(error: GpuError) -> Problem {
        match error {
            GpuError::Lost(reason) => Problem {
                lost: true,
                ..Problem::device(
                    "The graphics device was lost",
                    format!(
                        "The driver says: {}. Try again, or go on on the processor.",
                        reason.trim_end_matches('.')
                    ),
                )
            },
            GpuError::TooMany { asked, fit } => Problem::new(
                "Too many chains",
                format!("{asked} do not fit into this graphics device at once; choose {fit} or fewer."),
            ),
            GpuError::OutOfMemory => Problem::device(
                "The graphics device is out of memory",
                "Choose fewer chains, close other programs, or go on on the processor.",
            ),
            GpuError::Settings(reason) => Problem::settings(&reason),
            other => Problem::device(
                "The graphics device failed",
                format!("{other}. Try again, or go on on the processor."),
            ),
        }
    }
}

impl From<NetworkError> for Problem {
    fn from(error: NetworkError) -> Problem {
        Problem::new("The model cannot be run", format!("{error}."))
    }
}

impl From<JobError> for Problem {
    fn from(error: JobError) -> Problem {
        match error {
            JobError::Executor(ExecutorError::Gpu(error)) => error.into(),
            JobError::Executor(ExecutorError::Network(error)) => error.into(),
            JobError::Settings(reason) => Problem::settings(&reason),
            JobError::Samples(reason) => Problem::samples(&reason),
            other => Problem::new("The model cannot be run", format!("{other}.")),
        }
    }
}

impl Filling {
    fn states(&self) -> &[f32] {
        match self {
            Filling::Gpu(filler) => filler.states(),
            Filling::Workers(chains) => chains.states(),
        }
    }
}

impl Engine {
    /// Chains of a model on `device` as `settings` have them, not yet started.
    ///
    /// # Errors
    /// If they do not fit the device.
    pub async fn new(device: &Device, loaded: &Rc<Loaded>, settings: &Settings) -> Result<Engine, Problem> {
        let (chains, samples) = (settings.chains, settings.view.samples());
        let runner = match (device, samples, &loaded.model.energy) {
            (Device::Gpu(graphics), false, _) => {
                let executor = Executor::Gpu(graphics.gpu.clone());
                let reconstructor = Reconstructor::new(&executor, &loaded.model, chains)?;
                Runner::GpuZ(executor, Box::new(reconstructor))
            }
            (Device::Gpu(graphics), true, Some(_)) => {
                let executor = Executor::Gpu(graphics.gpu.clone());
                let sampler = Sampler::new(&executor, &loaded.model, chains)?;
                Runner::Gpu(executor, Box::new(sampler))
            }
            // Without an energy nothing runs, and the few samples need no graphics device.
            _ => {
                let kind = if samples { Kind::Sample } else { Kind::Reconstruct };
                Runner::Workers(WorkerChains::open(&host::pool(), loaded, chains, kind).await?)
            }
        };
        Ok(Engine { runner, filling: None, loaded: loaded.clone(), samples })
    }

    /// Let x-chains go on from where the z-chains are, on what is hidden of the sample alone.
    ///
    /// # Errors
    /// If the model has no energy, nothing is hidden, or the device failed.
    pub async fn fill(&mut self, sight: &Sight, seed: u64) -> Result<(), Problem> {
        let nothing = || Problem::new("Nothing runs", "Nothing of the sample is hidden.");
        let mask = sight.mask.as_deref().ok_or_else(nothing)?;
        let states = self.state().await?;
        let chains = states.len() / sight.x.len();
        self.filling = Some(match &self.runner {
            Runner::Gpu(executor, _) | Runner::GpuZ(executor, _) => {
                let mut filler = Filler::new(executor, &self.loaded.model, chains)?;
                filler.start_at(0, &states, [&sight.x, mask], seed)?;
                Filling::Gpu(Box::new(filler))
            }
            Runner::Workers(_) => {
                let mut filler = WorkerChains::open(&host::pool(), &self.loaded, chains, Kind::Fill).await?;
                let (x, mask) = (Float32Array::from(&sight.x[..]), Float32Array::from(mask));
                filler.fill(&states, &Target { x, mask, sigma: 0.0, encoded: 0 }, seed).await?;
                Filling::Workers(filler)
            }
        });
        Ok(())
    }

    /// Whether the z-chains have come to their end, and x-chains fill in what is hidden.
    pub fn fills(&self) -> bool {
        self.filling.is_some()
    }

    /// Start all x-chains anew at `states`, `[chains, data]`.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn start_at(&mut self, states: &[f32], seed: u64) -> Result<(), Problem> {
        match &mut self.runner {
            Runner::Gpu(_, sampler) => Ok(sampler.start_at(0, states, seed)?),
            Runner::Workers(chains) if self.samples => chains.start_at(states, seed).await,
            _ => Err(Problem::new("Nothing runs", "These chains start at latents.")),
        }
    }

    /// Start all chains anew: x-chains at their one start or at what is in `sight`, or z-chains to explain that.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn start(&mut self, settings: &Settings, sight: Option<&Sight>) -> Result<(), Problem> {
        self.filling = None;
        let start = if settings.starts.contains(&Origin::Noise) { Start::Noise } else { Start::Generator };
        let encoded = settings.encoded(&self.loaded.facts) as u32;
        match (&mut self.runner, sight) {
            (Runner::Gpu(_, sampler), None) => Ok(sampler.start(start, settings.seed).await?),
            (Runner::GpuZ(_, reconstructor), Some(Sight { x, mask })) => {
                let observed = Observed { x, mask: mask.as_deref(), sigma: settings.sigma };
                Ok(reconstructor.start_from(0, encoded, &observed, settings.seed).await?)
            }
            (Runner::Workers(chains), Some(Sight { x, mask })) if !self.samples => {
                let mask = mask.as_deref().unwrap_or_default();
                let (x, mask) = (Float32Array::from(&x[..]), Float32Array::from(mask));
                chains.observe(&Target { x, mask, sigma: settings.sigma, encoded }, settings.seed).await
            }
            (Runner::Workers(chains), None) if self.samples => chains.start(start, settings.seed).await,
            (_, Some(Sight { x, .. })) => self.start_at(&x.repeat(settings.chains), settings.seed).await,
            _ => Err(Problem::new("Nothing runs", "There is nothing to reconstruct.")),
        }
    }

    /// Whether there is a chain to run, and not only starts to look at.
    pub fn runs(&self) -> bool {
        !self.samples || self.loaded.model.energy.is_some()
    }

    /// Steps that all chains have taken, since they began to fill in where they do.
    pub fn steps(&self) -> u32 {
        match (&self.runner, &self.filling) {
            (_, Some(Filling::Gpu(filler))) => filler.steps(),
            (_, Some(Filling::Workers(chains))) => chains.steps(),
            (runner, None) => Engine::steps_of(runner),
        }
    }

    fn steps_of(runner: &Runner) -> u32 {
        match runner {
            Runner::Gpu(_, sampler) => sampler.steps(),
            Runner::GpuZ(_, reconstructor) => reconstructor.steps(),
            Runner::Workers(chains) => chains.steps(),
        }
    }

    /// Take `steps` steps, and wait until the device has done them.
    ///
    /// # Errors
    /// If the settings are impossible or the device failed.
    pub async fn advance(&mut self, steps: u32, langevin: &Langevin) -> Result<(), Problem> {
        match &mut self.filling {
            Some(Filling::Gpu(filler)) => return Ok(filler.advance(steps, langevin).await?),
            Some(Filling::Workers(chains)) => return chains.advance(steps, langevin).await,
            None => {}
        }
        match &mut self.runner {
            Runner::Gpu(_, sampler) => {
                sampler.advance(steps, langevin)?;
                Ok(sampler.finish().await?)
            }
            Runner::GpuZ(_, reconstructor) => Ok(reconstructor.advance(steps, langevin).await?),
            Runner::Workers(chains) => chains.advance(steps, langevin).await,
        }
    }

    /// The current states, `[chains, data]`; of z-chains what the generator makes of them.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn state(&self) -> Result<Vec<f32>, Problem> {
        if let Some(filling) = &self.filling {
            return Ok(filling.states().to_vec());
        }
        match &self.runner {
            Runner::Gpu(_, sampler) => Ok(sampler.read_states().await?),
            Runner::GpuZ(_, reconstructor) => Ok(reconstructor.states().to_vec()),
            Runner::Workers(chains) => Ok(chains.states().to_vec()),
        }
    }

    /// The states at the start, `[chains, data]`.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn start_states(&self) -> Result<Vec<f32>, Problem> {
        match &self.runner {
            Runner::Gpu(_, sampler) => Ok(sampler.read_starts().await?),
            Runner::GpuZ(_, reconstructor) => Ok(reconstructor.starts().to_vec()),
            Runner::Workers(chains) => Ok(chains.starts().to_vec()),
        }
    }

    /// Energies along the way, of z-chains squared errors.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn trace(&mut self) -> Result<Trace, Problem> {
        match &mut self.filling {
            Some(Filling::Gpu(filler)) => return Ok(filler.trace().await?),
            Some(Filling::Workers(chains)) => return chains.trace().await,
            None => {}
        }
        match &mut self.runner {
            Runner::Gpu(_, sampler) => Ok(sampler.trace().await?),
            Runner::GpuZ(_, reconstructor) => Ok(reconstructor.trace().await?),
            Runner::Workers(chains) => chains.trace().await,
        }
    }

    /// The current states, to be drawn.
    pub fn current(&self) -> States<'_> {
        if let Some(filling) = &self.filling {
            return States::Memory(filling.states());
        }
        match &self.runner {
            Runner::Gpu(_, sampler) => sampler.states(),
            Runner::GpuZ(_, reconstructor) => States::Memory(reconstructor.states()),
            Runner::Workers(chains) => States::Memory(chains.states()),
        }
    }

    /// Where the chains started, to be drawn.
    pub fn beginning(&self) -> States<'_> {
        match &self.runner {
            Runner::Gpu(_, sampler) => sampler.starts(),
            Runner::GpuZ(_, reconstructor) => States::Memory(reconstructor.starts()),
            Runner::Workers(chains) => States::Memory(chains.starts()),
        }
    }

    /// Energies of samples `x`, `[n, data]`.
    ///
    /// # Errors
    /// If they are not whole samples, or the device failed.
    pub async fn energies(&self, x: &[f32]) -> Result<Vec<f32>, Problem> {
        match &self.runner {
            Runner::Gpu(executor, _) | Runner::GpuZ(executor, _) => {
                Ok(jobs::energies(executor, &self.loaded.model, x).await?)
            }
            Runner::Workers(chains) => chains.energies(x).await,
        }
    }

    /// The generator's samples of latents `z`, `[n, latent]`.
    ///
    /// # Errors
    /// If there is no generator, or the device failed.
    pub async fn decode(&self, z: &[f32]) -> Result<Vec<f32>, Problem> {
        match &self.runner {
            Runner::Gpu(executor, _) | Runner::GpuZ(executor, _) => {
                Ok(jobs::decode(executor, &self.loaded.model, z).await?)
            }
            Runner::Workers(chains) => chains.decode(z).await,
        }
    }

    /// The encoder's means of samples `x`, `[n, data]`.
    ///
    /// # Errors
    /// If there is no encoder, or the device failed.
    pub async fn encode(&self, x: &[f32]) -> Result<Vec<f32>, Problem> {
        match &self.runner {
            Runner::Gpu(executor, _) | Runner::GpuZ(executor, _) => {
                Ok(jobs::encode(executor, &self.loaded.model, x).await?)
            }
            Runner::Workers(chains) => chains.encode(x).await,
        }
    }

    /// The latents of z-chains, `[chains, latent]`; none of x-chains.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn latents(&mut self) -> Result<Vec<f32>, Problem> {
        match &mut self.runner {
            Runner::GpuZ(_, reconstructor) => Ok(reconstructor.latents().await?),
            Runner::Workers(chains) if !self.samples => chains.latents().await,
            _ => Ok(Vec::new()),
        }
    }

    /// Share of MALA's proposals that were accepted since the start, if any were made.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn acceptance(&mut self) -> Result<Option<f32>, Problem> {
        match &mut self.runner {
            Runner::Gpu(_, sampler) => Ok(sampler.acceptance().await?),
            Runner::GpuZ(..) => Ok(None),
            Runner::Workers(chains) if self.samples => chains.acceptance().await,
            Runner::Workers(_) => Ok(None),
        }
    }

    /// Energies of samples `x`, `[n, data]`, and their gradients.
    ///
    /// # Errors
    /// As [`Engine::energies`].
    pub async fn slopes(&self, x: &[f32]) -> Result<(Vec<f32>, Vec<f32>), Problem> {
        match &self.runner {
            Runner::Gpu(executor, _) | Runner::GpuZ(executor, _) => {
                Ok(jobs::energies_and_gradients(executor, &self.loaded.model, x).await?)
            }
            Runner::Workers(chains) => chains.slopes(x).await,
        }
    }
}
