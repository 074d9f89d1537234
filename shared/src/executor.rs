//! One name for both executors, for programs that choose at run time.

use crate::chain::{ChainNoise, Langevin, Trace};
use crate::cpu;
#[cfg(feature = "gpu")]
use crate::gpu::{self, Gpu, GpuError};
use crate::model::Weighted;
use crate::network::NetworkError;

/// Where networks run.
#[derive(Clone)]
pub enum Executor {
    /// On the CPU, over so many threads.
    Cpu {
        /// At least 1; on wasm it must be 1.
        threads: usize,
    },
    /// On a GPU.
    #[cfg(feature = "gpu")]
    Gpu(Gpu),
}

/// Why an executor could not run a network.
#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    /// The network or its weights are at fault.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The GPU failed.
    #[cfg(feature = "gpu")]
    #[error(transparent)]
    Gpu(#[from] GpuError),
}

/// The x-chain on either executor.
pub enum XChain {
    /// On the CPU.
    Cpu(Box<cpu::XChain>),
    /// On a GPU.
    #[cfg(feature = "gpu")]
    Gpu(Box<gpu::XChain>),
}

/// The z-chain on either executor.
pub enum ZChain {
    /// On the CPU.
    Cpu(Box<cpu::ZChain>),
    /// On a GPU.
    #[cfg(feature = "gpu")]
    Gpu(Box<gpu::ZChain>),
}

/// A network ready to map batches of any size, on either executor.
pub enum Forward {
    /// On the CPU.
    Cpu {
        /// The network.
        network: Box<cpu::Evaluator>,
        /// How many threads share a batch.
        threads: usize,
    },
    /// On a GPU, which takes so many rows at a time as the network was made for.
    #[cfg(feature = "gpu")]
    Gpu(Box<gpu::Forward>),
}

impl Forward {
    /// Outputs of `x`, `[rows, input]`; an energy includes its reference.
    ///
    /// # Errors
    /// If the GPU fails.
    pub async fn run(&mut self, x: &[f32]) -> Result<Vec<f32>, ExecutorError> {
        match self {
            Forward::Cpu { network, threads } => Ok(network.forward_on(*threads, x)),
            #[cfg(feature = "gpu")]
            Forward::Gpu(forward) => {
                let mut outputs = Vec::new();
                for x in x.chunks(forward.batch() * forward.input_len()) {
                    outputs.extend(forward.run(x).await?);
                }
                Ok(outputs)
            }
        }
    }
}

/// The methods both chains share, written once.
macro_rules! chain {
    ($chain:ident, $network:literal) => {
        impl $chain {
            #[doc = concat!("Replace the ", $network, "'s weights.")]
            ///
            /// # Errors
            /// If there are not as many as parameters, or the GPU fails.
            pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), ExecutorError> {
                match self {
                    Self::Cpu(chain) => Ok(chain.set_weights(weights)?),
                    #[cfg(feature = "gpu")]
                    Self::Gpu(chain) => Ok(chain.set_weights(weights)?),
                }
            }

            /// Start anew at `state`, one row a chain, and begin the trace.
            ///
            /// # Errors
            /// If the GPU fails.
            pub fn start(&mut self, state: &[f32], noise: ChainNoise) -> Result<(), ExecutorError> {
                match self {
                    Self::Cpu(chain) => chain.start(state, noise),
                    #[cfg(feature = "gpu")]
                    Self::Gpu(chain) => chain.start(state, noise)?,
                }
                Ok(())
            }

            /// Take `steps` Langevin steps.
            ///
            /// # Errors
            /// If the GPU fails.
            pub fn run(&mut self, steps: u32, langevin: &Langevin) -> Result<(), ExecutorError> {
                match self {
                    Self::Cpu(chain) => chain.run(steps, langevin),
                    #[cfg(feature = "gpu")]
                    Self::Gpu(chain) => chain.run(steps, langevin)?,
                }
                Ok(())
            }

            /// The states, one row a chain.
            ///
            /// # Errors
            /// If the GPU fails.
            pub async fn state(&mut self) -> Result<Vec<f32>, ExecutorError> {
                match self {
                    Self::Cpu(chain) => Ok(chain.state().to_vec()),
                    #[cfg(feature = "gpu")]
                    Self::Gpu(chain) => Ok(chain.state().await?),
                }
            }

            /// Wait until all steps are taken: on a GPU they are only submitted.
            ///
            /// # Errors
            /// If the GPU fails.
            pub async fn finish(&self) -> Result<(), ExecutorError> {
                match self {
                    Self::Cpu(_) => Ok(()),
                    #[cfg(feature = "gpu")]
                    Self::Gpu(chain) => Ok(chain.finish().await?),
                }
            }

            /// What was measured along the way.
            ///
            /// # Errors
            /// If the GPU fails.
            pub async fn trace(&mut self) -> Result<Trace, ExecutorError> {
                match self {
                    Self::Cpu(chain) => Ok(chain.trace()),
                    #[cfg(feature = "gpu")]
                    Self::Gpu(chain) => Ok(chain.trace().await?),
                }
            }
        }
    };
}

chain!(XChain, "energy");
chain!(ZChain, "generator");

impl XChain {
    /// Share of MALA's proposals accepted since the start; `None` without any.
    ///
    /// # Errors
    /// If the GPU fails.
    pub async fn acceptance(&mut self) -> Result<Option<f32>, ExecutorError> {
        match self {
            XChain::Cpu(chain) => Ok(chain.acceptance()),
            #[cfg(feature = "gpu")]
            XChain::Gpu(chain) => Ok(chain.acceptance().await?),
        }
    }
}

impl ZChain {
    /// Sets the observed samples, which the latents are to explain; see [`cpu::ZChain::set_target`].
    ///
    /// # Errors
    /// If the GPU fails.
    pub fn set_target(&mut self, x: &[f32], mask: Option<&[f32]>, sigma: f32) -> Result<(), ExecutorError> {
        match self {
            ZChain::Cpu(chain) => chain.set_target(x, mask, sigma),
            #[cfg(feature = "gpu")]
            ZChain::Gpu(chain) => chain.set_target(x, mask, sigma)?,
        }
        Ok(())
    }
}

impl Executor {
    /// The CPU with as many threads as it has cores.
    pub fn cpu() -> Executor {
        Executor::Cpu { threads: std::thread::available_parallelism().map_or(1, usize::from) }
    }

    /// The executor's name for messages.
    pub fn name(&self) -> String {
        match self {
            Executor::Cpu { threads } => format!("CPU ({threads} threads)"),
            #[cfg(feature = "gpu")]
            Executor::Gpu(gpu) => gpu.name(),
        }
    }

    /// Creates `chains` x-chains on `energy`.
    ///
    /// # Errors
    /// If the network is no energy, or more chains are asked for than fit.
    pub fn x_chain(&self, energy: &Weighted, chains: usize) -> Result<XChain, ExecutorError> {
        Ok(match self {
            Executor::Cpu { threads } => XChain::Cpu(Box::new(cpu::XChain::new(energy, chains, *threads)?)),
            #[cfg(feature = "gpu")]
            Executor::Gpu(gpu) => XChain::Gpu(Box::new(gpu::XChain::new(gpu, energy, chains)?)),
        })
    }

    /// Creates `chains` z-chains on `generator`.
    ///
    /// # Errors
    /// If the network is no generator, or more chains are asked for than fit.
    pub fn z_chain(&self, generator: &Weighted, chains: usize) -> Result<ZChain, ExecutorError> {
        Ok(match self {
            Executor::Cpu { threads } => {
                ZChain::Cpu(Box::new(cpu::ZChain::new(generator, chains, *threads)?))
            }
            #[cfg(feature = "gpu")]
            Executor::Gpu(gpu) => ZChain::Gpu(Box::new(gpu::ZChain::new(gpu, generator, chains)?)),
        })
    }

    /// Prepares `network` for batches, most of them of about `rows` rows.
    ///
    /// # Errors
    /// If the network does not fit together, or a row does not fit the GPU.
    #[cfg_attr(
        not(feature = "gpu"),
        expect(unused_variables, reason = "only a GPU needs to know the size of a batch beforehand")
    )]
    pub fn prepare(&self, network: &Weighted, rows: usize) -> Result<Forward, ExecutorError> {
        Ok(match self {
            Executor::Cpu { threads } => {
                let evaluator = cpu::Evaluator::new(&network.network, &network.weights)?;
                Forward::Cpu { network: Box::new(evaluator), threads: *threads }
            }
            #[cfg(feature = "gpu")]
            Executor::Gpu(gpu) => {
                let batch = gpu::Forward::rows_at_once(gpu, network, rows.max(1))?;
                Forward::Gpu(Box::new(gpu::Forward::new(gpu, network, batch)?))
            }
        })
    }

    /// Outputs of a batch of any size; an energy includes its reference.
    ///
    /// # Errors
    /// If the network does not fit together, or the GPU fails.
    pub async fn forward(&self, network: &Weighted, x: &[f32]) -> Result<Vec<f32>, ExecutorError> {
        let len = network.network.input_len();
        self.prepare(network, rows_at_a_time(x.len(), len))?.run(x).await
    }

    /// Energies and their gradients for a batch of any size.
    ///
    /// # Errors
    /// If the network is no energy, or the GPU fails.
    pub async fn energy_and_gradient(
        &self,
        energy: &Weighted,
        x: &[f32],
    ) -> Result<(Vec<f32>, Vec<f32>), ExecutorError> {
        match self {
            Executor::Cpu { threads } => {
                energy.network.check_energy(&energy.network.input)?;
                Ok(cpu::Evaluator::new(&energy.network, &energy.weights)?.energy_and_gradient_on(*threads, x))
            }
            #[cfg(feature = "gpu")]
            Executor::Gpu(gpu) => {
                let n = energy.network.input_len();
                let batch = gpu::EnergyGradient::rows_at_once(gpu, energy, rows_at_a_time(x.len(), n))?;
                let mut executor = gpu::EnergyGradient::new(gpu, energy, batch)?;
                let (mut energies, mut gradients) = (Vec::new(), Vec::new());
                for x in x.chunks(batch * n) {
                    let (e, g) = executor.energy_and_gradient(x).await?;
                    energies.extend(e);
                    gradients.extend(g);
                }
                Ok((energies, gradients))
            }
        }
    }
}

/// Rows of `len` values that a GPU works on at a time, where the caller gives any number of `values`: thousands of
/// points, hundreds of images.
fn rows_at_a_time(values: usize, len: usize) -> usize {
    let most = if len <= 64 { 4096 } else { 256 };
    most.min(values / len).max(1)
}
