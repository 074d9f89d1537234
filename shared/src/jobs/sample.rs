//! Sampling: x-chains on a model's energy.

use super::{Changes, JobError, WholeTrace, batch, energy, generator, pieces, prior};
use crate::chain::{ChainNoise, Langevin, Trace, noise_start};
use crate::executor::{Executor, Forward, XChain};
#[cfg(feature = "gpu")]
use crate::gpu::{Gpu, GpuError};
use crate::model::{Model, Weighted};
use crate::noise::Stream;

/// Where x-chains start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Start at the generator's samples.
    Generator,
    /// Start at noise: standard normal for vectors, uniform in [-1, 1] for images.
    Noise,
}

impl Start {
    /// All starts.
    pub const ALL: [Start; 2] = [Start::Generator, Start::Noise];

    /// The word for it, in options and addresses.
    pub fn name(self) -> &'static str {
        match self {
            Start::Generator => "generator",
            Start::Noise => "noise",
        }
    }

    /// The start of that name.
    pub fn from_name(name: &str) -> Option<Start> {
        Start::ALL.into_iter().find(|start| start.name() == name)
    }

    /// The generator if the model has one, else noise.
    pub fn recommended(model: &Model) -> Start {
        if model.generator.is_some() { Start::Generator } else { Start::Noise }
    }
}

/// A job for x-chains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Number of chains.
    pub count: usize,
    /// Where they start.
    pub start: Start,
    /// Steps of each.
    pub steps: u32,
    /// Settings of the Langevin update.
    pub langevin: Langevin,
    /// Seed of start and noise.
    pub seed: u64,
}

/// Results of x-chains.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampled {
    /// States before the first step, `[count, data]`.
    pub start: Vec<f32>,
    /// States after the last, `[count, data]`.
    pub end: Vec<f32>,
    /// Energies before each step and after the last: `steps + 1` rows of `count`; empty unless
    /// asked for.
    pub trace: Vec<Vec<f32>>,
    /// Share of MALA's proposals accepted, where it is MALA.
    pub acceptance: Option<f32>,
}

impl Sampling {
    /// The chain that the model recommends, from the generator if it has one, else from noise.
    /// Without an energy there are no steps to take.
    ///
    /// # Errors
    /// If the model recommends none.
    pub fn recommended(model: &Model, count: usize, seed: u64) -> Result<Sampling, JobError> {
        Sampling::changed(model, count, seed, Changes::default())
    }

    /// The chain that the model recommends, with changes. Where it recommends none, all of it must come from
    /// them. With 0 steps no chain is needed.
    ///
    /// # Errors
    /// If something is missing, or the chain is impossible.
    pub fn changed(model: &Model, count: usize, seed: u64, changes: Changes) -> Result<Sampling, JobError> {
        let still = (0, Langevin::new(1.0, 0.0));
        let (steps, langevin) = match &model.chains.x {
            _ if model.energy.is_none() => still,
            Some(x) => (x.steps, x.langevin),
            None => match (changes.chain(), changes.steps) {
                (Some(chain), _) => chain,
                (None, Some(0)) => still,
                (None, _) => {
                    let settings = "its steps, step size and noise";
                    return Err(JobError::NoChain { chain: "x-chain", settings });
                }
            },
        };
        let langevin = changes.langevin(langevin);
        langevin.check().map_err(JobError::Settings)?;
        let start = Start::recommended(model);
        Ok(Sampling { count, start, steps: changes.steps.unwrap_or(steps), langevin, seed })
    }

    /// Run the chains, and keep the trace if it is wanted and there is an energy. Without steps no energy is needed.
    ///
    /// # Errors
    /// If the model lacks a network that is needed, the chain is impossible, or the executor fails.
    pub async fn run(
        &self,
        executor: &Executor,
        model: &Model,
        keep_trace: bool,
    ) -> Result<Sampled, JobError> {
        self.langevin.check().map_err(JobError::Settings)?;
        let len: usize = model.data_shape().iter().product();
        let rows = batch(len).min(self.count).max(1);
        let energy = match self.steps > 0 || keep_trace && model.energy.is_some() {
            true => Some(energy(model)?),
            false => None,
        };
        let generator = match self.start {
            Start::Generator => Some(generator(model)?),
            Start::Noise => None,
        };
        let mut sampler = Sampler::with(executor, model.data_shape(), energy, generator, rows)?;
        let mut sampled = Sampled::default();
        let mut accepted = 0.0;
        let mut done = 0;
        while done < self.count {
            // The last batch is filled up: chains do not depend on each other.
            let n = rows.min(self.count - done);
            sampler.start_from(done as u32, self.start, self.seed).await?;
            sampled.start.extend_from_slice(&sampler.read_starts().await?[..n * len]);
            let mut trace = WholeTrace::new(n);
            for steps in pieces(self.steps, keep_trace) {
                sampler.advance(steps, &self.langevin)?;
                if keep_trace {
                    trace.add(&sampler.trace().await?);
                }
            }
            sampled.end.extend_from_slice(&sampler.read_states().await?[..n * len]);
            trace.append_to(&mut sampled.trace);
            done += n;
            if let Some(share) = sampler.acceptance().await? {
                accepted += share * n as f32;
                sampled.acceptance = Some(accepted / done as f32);
            }
        }
        Ok(sampled)
    }
}

/// The states of chains where they lie, `[chains, data]`.
pub enum States<'a> {
    /// In memory.
    Memory(&'a [f32]),
    /// In a buffer of the GPU, f32.
    #[cfg(feature = "gpu")]
    Gpu(&'a wgpu::Buffer),
}

/// Where chains started.
enum Starts {
    Memory(Vec<f32>),
    #[cfg(feature = "gpu")]
    Gpu(Gpu, wgpu::Buffer),
}

/// A batch of a model's x-chains that can be advanced step by step. On a GPU the states and the starts stay there.
pub struct Sampler {
    /// None for a model without an energy, whose samples stay as they are.
    chain: Option<XChain>,
    generator: Option<Forward>,
    latent: usize,
    shape: Vec<usize>,
    chains: usize,
    starts: Starts,
    steps: u32,
}

impl Sampler {
    /// `chains` chains of `model`, not yet started.
    ///
    /// # Errors
    /// If a network is not what its role needs, or so many chains do not fit the executor.
    pub fn new(executor: &Executor, model: &Model, chains: usize) -> Result<Sampler, JobError> {
        let (energy, generator) = (model.energy.as_ref(), model.generator.as_ref());
        Sampler::with(executor, model.data_shape(), energy, generator, chains)
    }

    fn with(
        executor: &Executor,
        shape: Vec<usize>,
        energy: Option<&Weighted>,
        generator: Option<&Weighted>,
        chains: usize,
    ) -> Result<Sampler, JobError> {
        let chain = energy.map(|energy| executor.x_chain(energy, chains)).transpose()?;
        let latent = generator.map_or(0, |generator| generator.network.input_len());
        let generator = generator.map(|generator| executor.prepare(generator, chains)).transpose()?;
        let starts = match (executor, &chain) {
            #[cfg(feature = "gpu")]
            (Executor::Gpu(gpu), Some(XChain::Gpu(chain))) => {
                let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("starts"),
                    size: chain.state_buffer().size(),
                    usage: wgpu::BufferUsages::STORAGE
                        | wgpu::BufferUsages::COPY_DST
                        | wgpu::BufferUsages::COPY_SRC,
                    mapped_at_creation: false,
                });
                Starts::Gpu(gpu.clone(), buffer)
            }
            _ => Starts::Memory(Vec::new()),
        };
        Ok(Sampler { chain, generator, latent, shape, chains, starts, steps: 0 })
    }

    /// Start all chains anew.
    ///
    /// # Errors
    /// If there is no generator to start from, or the executor fails.
    pub async fn start(&mut self, start: Start, seed: u64) -> Result<(), JobError> {
        self.start_from(0, start, seed).await
    }

    /// Start all chains anew, as those from number `first` on of a larger batch.
    ///
    /// # Errors
    /// As [`Sampler::start`].
    pub async fn start_from(&mut self, first: u32, start: Start, seed: u64) -> Result<(), JobError> {
        let states = match start {
            Start::Noise => noise_start(seed, &self.shape, first, self.chains, 0),
            Start::Generator => {
                let latents = prior(seed, first, self.chains, self.latent);
                let generator = self.generator.as_mut().ok_or(JobError::Missing("generator"))?;
                #[cfg(feature = "gpu")]
                if let (Forward::Gpu(generator), Some(XChain::Gpu(chain))) =
                    (&mut *generator, &mut self.chain)
                    && generator.batch() >= self.chains
                {
                    // From buffer to buffer.
                    self.steps = 0;
                    let noise = ChainNoise { first_chain: first, ..ChainNoise::new(seed, Stream::XChain) };
                    generator.submit(&latents).map_err(gpu_failed)?;
                    chain.start_from_buffer(generator.output_buffer(), noise).map_err(gpu_failed)?;
                    return self.keep_starts();
                }
                generator.run(&latents).await?
            }
        };
        self.start_at(first, &states, seed)
    }

    /// Start all chains anew at these states, `[chains, data]`, as those from number `first` on of a larger batch.
    ///
    /// # Errors
    /// If the states are not as many as the chains, or the executor fails.
    pub fn start_at(&mut self, first: u32, states: &[f32], seed: u64) -> Result<(), JobError> {
        let expected = self.chains * self.shape.iter().product::<usize>();
        if states.len() != expected {
            let found = states.len();
            return Err(JobError::Samples(format!(
                "{} chains start at {expected} numbers, not {found}",
                self.chains
            )));
        }
        self.steps = 0;
        if let Some(chain) = &mut self.chain {
            let noise = ChainNoise { first_chain: first, ..ChainNoise::new(seed, Stream::XChain) };
            chain.start(states, noise)?;
        }
        match &mut self.starts {
            Starts::Memory(starts) => {
                *starts = states.to_vec();
                Ok(())
            }
            #[cfg(feature = "gpu")]
            Starts::Gpu(..) => self.keep_starts(),
        }
    }

    /// Keep the states as the starts, on the GPU.
    #[cfg(feature = "gpu")]
    fn keep_starts(&self) -> Result<(), JobError> {
        if let (Starts::Gpu(gpu, starts), Some(XChain::Gpu(chain))) = (&self.starts, &self.chain) {
            let states = chain.state_buffer();
            let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            encoder.copy_buffer_to_buffer(states, 0, starts, 0, states.size());
            gpu.queue.submit([encoder.finish()]);
            gpu.check().map_err(gpu_failed)?;
        }
        Ok(())
    }

    /// Take `steps` steps. On a GPU they are submitted, and not waited for.
    ///
    /// # Errors
    /// If the chain is impossible, there is no energy to descend, or the executor fails.
    pub fn advance(&mut self, steps: u32, langevin: &Langevin) -> Result<(), JobError> {
        langevin.check().map_err(JobError::Settings)?;
        match &mut self.chain {
            Some(chain) => chain.run(steps, langevin)?,
            None if steps == 0 => {}
            None => return Err(JobError::Missing("energy")),
        }
        self.steps += steps;
        Ok(())
    }

    /// Wait until all steps are taken.
    ///
    /// # Errors
    /// If the executor fails.
    pub async fn finish(&self) -> Result<(), JobError> {
        match &self.chain {
            Some(chain) => Ok(chain.finish().await?),
            None => Ok(()),
        }
    }

    /// How many chains there are.
    pub fn chains(&self) -> usize {
        self.chains
    }

    /// Values of one sample.
    pub fn sample_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Steps taken since the start.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Whether there is an energy to descend.
    pub fn runs(&self) -> bool {
        self.chain.is_some()
    }

    /// Where the chains started.
    pub fn starts(&self) -> States<'_> {
        match &self.starts {
            Starts::Memory(starts) => States::Memory(starts),
            #[cfg(feature = "gpu")]
            Starts::Gpu(_, starts) => States::Gpu(starts),
        }
    }

    /// Where the chains are.
    pub fn states(&self) -> States<'_> {
        match &self.chain {
            Some(XChain::Cpu(chain)) => States::Memory(chain.state()),
            #[cfg(feature = "gpu")]
            Some(XChain::Gpu(chain)) => States::Gpu(chain.state_buffer()),
            None => self.starts(),
        }
    }

    /// Where the chains started, in memory.
    ///
    /// # Errors
    /// If the executor fails.
    pub async fn read_starts(&self) -> Result<Vec<f32>, JobError> {
        match &self.starts {
            Starts::Memory(starts) => Ok(starts.clone()),
            #[cfg(feature = "gpu")]
            Starts::Gpu(gpu, starts) => {
                let numbers = self.chains * self.shape.iter().product::<usize>();
                gpu.read(starts, numbers).await.map_err(gpu_failed)
            }
        }
    }

    /// Where the chains are, in memory.
    ///
    /// # Errors
    /// If the executor fails.
    pub async fn read_states(&self) -> Result<Vec<f32>, JobError> {
        match &self.chain {
            Some(XChain::Cpu(chain)) => Ok(chain.state().to_vec()),
            #[cfg(feature = "gpu")]
            Some(XChain::Gpu(chain)) => chain.state().await.map_err(gpu_failed),
            None => self.read_starts().await,
        }
    }

    /// Energies along the way; empty without an energy, or before the first start.
    ///
    /// # Errors
    /// If the executor fails.
    pub async fn trace(&mut self) -> Result<Trace, JobError> {
        match &mut self.chain {
            Some(chain) => Ok(chain.trace().await?),
            None => Ok(Trace::default()),
        }
    }

    /// Share of MALA's proposals accepted since the start; `None` without any.
    ///
    /// # Errors
    /// If the executor fails.
    pub async fn acceptance(&mut self) -> Result<Option<f32>, JobError> {
        match &mut self.chain {
            Some(chain) => Ok(chain.acceptance().await?),
            None => Ok(None),
        }
    }
}

#[cfg(feature = "gpu")]
fn gpu_failed(error: GpuError) -> JobError {
    JobError::Executor(error.into())
}
