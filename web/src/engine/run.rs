//! One batch of chains, on the device that was found.

use super::Device;
use super::pool::WorkerChains;
use crate::host;
use crate::models::Loaded;
use crate::problem::Problem;
use crate::settings::Settings;
use dual_mcmc::chain::{Langevin, Trace};
use dual_mcmc::executor::{Executor, ExecutorError};
use dual_mcmc::gpu::GpuError;
use dual_mcmc::jobs::{self, JobError, Sampler, States};
use dual_mcmc::network::NetworkError;
use std::rc::Rc;

/// Who runs the chains.
enum Runner {
    /// The graphics device.
    Gpu(Executor, Box<Sampler>),
    /// Workers beside the page.
    Workers(WorkerChains),
}

/// Chains that run.
pub struct Engine {
    runner: Runner,
    loaded: Rc<Loaded>,
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

impl Engine {
    /// Chains of a model on `device`, not yet started.
    ///
    /// # Errors
    /// If they do not fit the device.
    pub async fn new(device: &Device, loaded: &Rc<Loaded>, chains: usize) -> Result<Engine, Problem> {
        let runner = match (device, &loaded.model.energy) {
            (Device::Gpu(graphics), Some(_)) => {
                let executor = Executor::Gpu(graphics.gpu.clone());
                let sampler = Sampler::new(&executor, &loaded.model, chains)?;
                Runner::Gpu(executor, Box::new(sampler))
            }
            // Without an energy nothing runs, and the few samples need no graphics device.
            _ => Runner::Workers(WorkerChains::open(&host::pool(), loaded, chains).await?),
        };
        Ok(Engine { runner, loaded: loaded.clone() })
    }

    /// Start all chains anew.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn start(&mut self, settings: &Settings) -> Result<(), Problem> {
        match &mut self.runner {
            Runner::Gpu(_, sampler) => Ok(sampler.start(settings.start, settings.seed).await?),
            Runner::Workers(chains) => chains.start(settings.start, settings.seed).await,
        }
    }

    /// Whether there is a chain to run, and not only starts to look at.
    pub fn runs(&self) -> bool {
        self.loaded.model.energy.is_some()
    }

    /// Steps that all chains have taken.
    pub fn steps(&self) -> u32 {
        match &self.runner {
            Runner::Gpu(_, sampler) => sampler.steps(),
            Runner::Workers(chains) => chains.steps(),
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
            Runner::Workers(chains) => {
                langevin.check().map_err(|reason| Problem::settings(&reason))?;
                chains.advance(steps, langevin).await
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
            Runner::Workers(chains) => Ok(chains.starts().to_vec()),
        }
    }

    /// Energies along the way.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn trace(&mut self) -> Result<Trace, Problem> {
        match &mut self.runner {
            Runner::Gpu(_, sampler) => Ok(sampler.trace().await?),
            Runner::Workers(chains) => chains.trace().await,
        }
    }

    /// The current states, to be drawn.
    pub fn current(&self) -> States<'_> {
        match &self.runner {
            Runner::Gpu(_, sampler) => sampler.states(),
            Runner::Workers(chains) => States::Memory(chains.states()),
        }
    }

    /// Where the chains started, to be drawn.
    pub fn beginning(&self) -> States<'_> {
        match &self.runner {
            Runner::Gpu(_, sampler) => sampler.starts(),
            Runner::Workers(chains) => States::Memory(chains.starts()),
        }
    }

    /// Energies of samples `x`, `[n, data]`.
    ///
    /// # Errors
    /// If they are not whole samples, or the device failed.
    pub async fn energies(&self, x: &[f32]) -> Result<Vec<f32>, Problem> {
        match &self.runner {
            Runner::Gpu(executor, _) => Ok(jobs::energies(executor, &self.loaded.model, x).await?),
            Runner::Workers(chains) => chains.energies(x).await,
        }
    }
}
