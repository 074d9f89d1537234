//! One batch of chains, on the device that was found.

use super::Device;
use super::workers::{self, Pool};
use crate::problem::Problem;
use crate::state::Settings;
use dual_mcmc::chain::{Langevin, Trace};
use dual_mcmc::executor::{Executor, ExecutorError};
use dual_mcmc::gpu::GpuError;
use dual_mcmc::jobs::{self, JobError, Sampler, States};
use dual_mcmc::model::Model;
use dual_mcmc::network::NetworkError;
use js_sys::Uint8Array;

/// Who runs the chains.
enum Runner {
    /// The graphics device.
    Gpu(Executor, Box<Sampler>),
    /// Workers beside the page.
    Workers(Pool),
}

/// Chains that run.
pub struct Engine {
    runner: Runner,
    runs: bool,
}

impl From<GpuError> for Problem {
    fn from(error: GpuError) -> Problem {
        match error {
            GpuError::Lost(reason) => Problem::device(
                "The graphics device was lost",
                format!("The driver says: {}. Try again, or go on on the CPU.", reason.trim_end_matches('.')),
            ),
            GpuError::TooMany { asked, fit } => Problem::new(
                "Too many chains",
                format!("{asked} do not fit into this graphics device at once; choose {fit} or fewer."),
            ),
            GpuError::OutOfMemory => Problem::device(
                "The graphics device is out of memory",
                "Choose fewer chains, close other programs, or go on on the CPU.",
            ),
            GpuError::Settings(reason) => Problem::settings(&reason),
            other => Problem::device(
                "The graphics device failed",
                format!("{other}. Try again, or go on on the CPU."),
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
            other => Problem::new("The model cannot be run", format!("{other}.")),
        }
    }
}

impl Engine {
    /// Chains of `model`, read from `file`, on `device`, not yet started.
    ///
    /// # Errors
    /// If they do not fit the device.
    pub async fn new(
        device: &Device,
        model: &Model,
        file: &Uint8Array,
        chains: usize,
    ) -> Result<Engine, Problem> {
        let runner = match (device, &model.energy) {
            (Device::Gpu(gpu, _), Some(_)) => {
                let executor = Executor::Gpu(gpu.clone());
                let sampler = Sampler::new(&executor, model, chains)?;
                Runner::Gpu(executor, Box::new(sampler))
            }
            // Without an energy nothing runs, and the few samples need no graphics device.
            (_, energy) => {
                let workers = energy.as_ref().map_or(Ok(1), |energy| workers::count(energy, chains))?;
                Runner::Workers(Pool::new(file, chains, workers).await?)
            }
        };
        Ok(Engine { runner, runs: model.energy.is_some() })
    }

    /// Start all chains anew.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn start(&mut self, settings: &Settings) -> Result<(), Problem> {
        match &mut self.runner {
            Runner::Gpu(_, sampler) => Ok(sampler.start(settings.start, settings.seed).await?),
            Runner::Workers(pool) => pool.start(settings.start, settings.seed).await,
        }
    }

    /// Whether there is a chain to run, and not only starts to look at.
    pub fn runs(&self) -> bool {
        self.runs
    }

    /// Steps that all chains have taken.
    pub fn steps(&self) -> u32 {
        match &self.runner {
            Runner::Gpu(_, sampler) => sampler.steps(),
            Runner::Workers(pool) => pool.steps(),
        }
    }

    /// Take `steps` steps, and wait until the device has done them.
    ///
    /// # Errors
    /// If the settings are impossible or the device failed.
    pub async fn advance(&mut self, steps: u32, langevin: &Langevin) -> Result<(), Problem> {
        match &mut self.runner {
            Runner::Gpu(_, sampler) => {
                sampler.advance(steps, langevin)?;
                Ok(sampler.finish().await?)
            }
            Runner::Workers(pool) => {
                langevin.check().map_err(|reason| Problem::settings(&reason))?;
                pool.advance(steps, langevin).await
            }
        }
    }

    /// The current states, `[chains, data]`.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn state(&self) -> Result<Vec<f32>, Problem> {
        match &self.runner {
            Runner::Gpu(_, sampler) => Ok(sampler.read_states().await?),
            Runner::Workers(pool) => Ok(pool.states().to_vec()),
        }
    }

    /// Energies along the way.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn trace(&mut self) -> Result<Trace, Problem> {
        match &mut self.runner {
            Runner::Gpu(_, sampler) => Ok(sampler.trace().await?),
            Runner::Workers(pool) => pool.trace().await,
        }
    }

    /// The current states, to be drawn.
    pub fn current(&self) -> States<'_> {
        match &self.runner {
            Runner::Gpu(_, sampler) => sampler.states(),
            Runner::Workers(pool) => States::Memory(pool.states()),
        }
    }

    /// Where the chains started, to be drawn.
    pub fn beginning(&self) -> States<'_> {
        match &self.runner {
            Runner::Gpu(_, sampler) => sampler.starts(),
            Runner::Workers(pool) => States::Memory(pool.starts()),
        }
    }

    /// Energies at `points` of `model`, which these are chains of.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn energies(&self, model: &Model, points: &[f32]) -> Result<Vec<f32>, Problem> {
        match &self.runner {
            Runner::Gpu(executor, _) => Ok(jobs::energies(executor, model, points).await?),
            Runner::Workers(pool) => pool.energies(points).await,
        }
    }
}

/// Energies of samples on the processor, in a worker that opens the model's file anew: nothing is shared with chains that
/// run.
///
/// # Errors
/// If the file is no model, or `x` not made of whole samples.
pub async fn energies_here(file: &Uint8Array, x: &[f32]) -> Result<Vec<f32>, Problem> {
    Pool::new(file, 1, 1).await?.energies(x).await
}
