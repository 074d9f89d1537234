//! The training iteration of dual-MCMC teaching (Cui & Han, "Learning Energy-based Model via
//! Dual-MCMC Teaching", NeurIPS 2023), as a library: no files, clocks, threads or printing.
//!
//! [`Teacher::step`] is one iteration, [`Teacher::iterate`] tells it phase by phase:
//! 1. both Markov chains ([`chains`]): the x-chain revises the generator's samples x̂ = g(z) into
//!    x̃ by the energy; the z-chain revises the encoder's guesses z₀ ~ q(z|x) into z̃ by the
//!    generator's posterior. Their end points are constants: no gradient flows through a chain.
//! 2. the three losses ([`losses`]) and the three updates: generator, encoder, energy.

mod average;
pub mod chain_noise;
pub mod chains;
mod folded;
mod in_burn;
mod iteration;
mod kept;
pub mod losses;
mod model;
pub(crate) mod order;
mod persistent;
mod record;
mod share;

pub use iteration::{Batch, Gradients, Iteration, Phase, Rates, Report, RunningIteration, Snapshot};
pub use order::{FEWEST, held_out_of};
pub use record::model_of_record;
pub use share::{Exchange, ReplicaFailed, Share};

use crate::networks::{BurnNetwork, DeviceError, Role};
use crate::optimiser::NetworkOptimiser;
use crate::recipe::{Recipe, RecipeError, TrainNetwork};
use average::Average;
use burn::tensor::Device;
use chains::Chains;
use dual_mcmc::executor::{Executor, ExecutorError};
use dual_mcmc::model::{Model, Weighted};
use kept::KeptLatents;
use persistent::PersistentChains;

/// Why teaching could not go on.
#[derive(Debug, thiserror::Error)]
pub enum TeachingError {
    /// The recipe does not fit together.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// The chains' executor failed.
    #[error(transparent)]
    Executor(Box<ExecutorError>),
    /// The training device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A batch of another size.
    #[error("a batch holds {expected} numbers (batch × data), not {found}")]
    Batch {
        /// Numbers expected.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// Another replica failed.
    #[error(transparent)]
    ReplicaFailed(#[from] ReplicaFailed),
    /// A checkpoint that is damaged, or of another recipe.
    #[error("the checkpoint does not fit this recipe: {0}")]
    Checkpoint(String),
}

impl From<ExecutorError> for TeachingError {
    fn from(error: ExecutorError) -> TeachingError {
        TeachingError::Executor(Box::new(error))
    }
}

/// The networks of a recipe.
#[derive(Clone, Debug)]
pub struct Networks {
    /// E_θ.
    pub energy: Option<BurnNetwork>,
    /// g_φ.
    pub generator: Option<BurnNetwork>,
    /// q_ψ.
    pub encoder: Option<BurnNetwork>,
}

impl Networks {
    /// The networks of `recipe` with their initial parameters.
    fn new(recipe: &Recipe, seed: u64, device: &Device) -> Result<Networks, RecipeError> {
        let network = |description: &Option<TrainNetwork>, role: Role| {
            let named = |error| RecipeError::Network { section: role.name(), error: Box::new(error) };
            let make = |description| BurnNetwork::new(description, role, seed, device).map_err(named);
            description.as_ref().map(make).transpose()
        };
        Ok(Networks {
            energy: network(&recipe.energy, Role::Energy)?,
            generator: network(&recipe.generator, Role::Generator)?,
            encoder: network(&recipe.encoder, Role::Encoder)?,
        })
    }
}

/// One optimiser for each network.
struct Optimisers {
    energy: Option<NetworkOptimiser>,
    generator: Option<NetworkOptimiser>,
    encoder: Option<NetworkOptimiser>,
}

/// Averages of parameters, where the recipe asks for them.
struct Averages {
    energy: Option<Average>,
    generator: Option<Average>,
}

impl Averages {
    /// Averages that start at the networks' parameters.
    fn new(recipe: &Recipe, networks: &Networks) -> Averages {
        let average = |decay: f32, network: &Option<BurnNetwork>| {
            let network = network.as_ref().filter(|_| decay > 0.0)?;
            Some(Average::new(decay, network.parameters()))
        };
        Averages {
            energy: average(recipe.ema.energy, &networks.energy),
            generator: average(recipe.ema.generator, &networks.generator),
        }
    }
}

/// A recipe in progress: networks, optimisers, averages, chains and counters.
pub struct Teacher {
    recipe: Recipe,
    device: Device,
    seed: u64,
    iteration: u64,
    /// Product of all [`Teacher::lower_energy_rate`].
    energy_rate_factor: f64,
    networks: Networks,
    optimisers: Optimisers,
    averages: Averages,
    chains: Chains,
    persistent: Option<PersistentChains>,
    kept: KeptLatents,
    share: Share,
    observer: Option<Box<dyn FnMut(Phase)>>,
}

impl Teacher {
    /// Start `recipe`. Parameters live on `device`, the chains run on `executor`. Everything
    /// random comes from `seed`.
    ///
    /// # Errors
    /// If the recipe does not pass its checks, or the executor cannot hold its networks.
    pub fn new(
        recipe: &Recipe,
        device: &Device,
        executor: Executor,
        seed: u64,
    ) -> Result<Teacher, TeachingError> {
        Teacher::replica(recipe, device, Some(&executor), Share::whole(recipe.teaching.batch), seed)
    }

    /// One of several replicas of a teacher: it runs the iteration on its share of the batch, and learns
    /// what all of them learn. Without an `executor` the chains run in burn, on `device`.
    ///
    /// # Errors
    /// As [`Teacher::new`], and if the chains need an executor.
    pub fn replica(
        recipe: &Recipe,
        device: &Device,
        executor: Option<&Executor>,
        share: Share,
        seed: u64,
    ) -> Result<Teacher, TeachingError> {
        recipe.check()?;
        let networks = Networks::new(recipe, seed, device)?;
        let optimiser = &recipe.optimiser;
        let optimisers = Optimisers {
            energy: optimiser.energy.as_ref().map(NetworkOptimiser::new),
            generator: optimiser.generator.as_ref().map(NetworkOptimiser::new),
            encoder: optimiser.encoder.as_ref().map(NetworkOptimiser::new),
        };
        let averages = Averages::new(recipe, &networks);
        let persistent =
            recipe.teaching.persistent.as_ref().map(|settings| {
                PersistentChains::new(settings, recipe.teaching.batch, recipe.data_len(), seed)
            });
        let chains = Chains::new(recipe, &networks, executor, share.rows(), seed)?;
        Ok(Teacher {
            recipe: recipe.clone(),
            device: device.clone(),
            seed,
            iteration: 0,
            energy_rate_factor: 1.0,
            networks,
            optimisers,
            averages,
            chains,
            persistent,
            kept: KeptLatents::new(recipe.latent()),
            share,
            observer: None,
        })
    }

    /// Call `observer` where each phase of an iteration begins: to time them, for example. (On a GPU
    /// work goes on after a phase has ended, and is waited for where numbers are next read.)
    pub fn observe(&mut self, observer: impl FnMut(Phase) + 'static) {
        self.observer = Some(Box::new(observer));
    }

    /// Iterations done.
    pub fn iteration(&self) -> u64 {
        self.iteration
    }

    /// The recipe in progress.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// The seed of everything random.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The networks.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// The networks, to start from other weights.
    pub fn networks_mut(&mut self) -> &mut Networks {
        &mut self.networks
    }

    /// Count on from `iteration`, for weights that come from elsewhere.
    pub fn set_iteration(&mut self, iteration: u64) {
        self.iteration = iteration;
    }

    /// Go on with other random numbers: what to do, together with
    /// [`Teacher::lower_energy_rate`], after going back from a divergence, which would otherwise
    /// repeat itself.
    pub fn reseed(&mut self, seed: u64) {
        self.seed = seed;
        self.chains.reseed(seed);
    }

    /// Multiply the energy's learning rate, now and for the rest of the run.
    pub fn lower_energy_rate(&mut self, factor: f64) {
        self.energy_rate_factor *= factor;
    }

    /// Which rows of a data set of `data_len` rows make the batch of this iteration: a pure
    /// function of seed and iteration. The data are shuffled anew each epoch, and a last batch
    /// that would be short is dropped. (A set smaller than one batch is repeated within it.)
    ///
    /// # Panics
    /// If `data_len` is zero.
    pub fn batch_indices(&self, data_len: usize) -> Vec<usize> {
        order::batch_indices(self.seed, self.iteration, self.recipe.teaching.batch, data_len)
    }

    /// One whole iteration on a batch of data.
    ///
    /// # Errors
    /// If the batch has another size, or a device fails.
    pub fn step(&mut self, batch: &Batch) -> Result<Report, TeachingError> {
        Ok(pollster::block_on(self.iterate(batch, Gradients::Drop))?.report)
    }

    /// The energy as it stands, its average where the recipe has one.
    ///
    /// # Errors
    /// If the device fails.
    pub fn energy(&self) -> Result<Option<Weighted>, TeachingError> {
        Ok(model::energy(&self.networks, &self.averages)?)
    }

    /// The model as it stands: the generator's and the energy's averages where the recipe has them,
    /// the generator with batch-norm statistics estimated anew on prior samples, the encoder, and
    /// the recipe's chains. Quantiles and provenance are left to the caller.
    ///
    /// # Errors
    /// If the device fails.
    pub fn model(&self) -> Result<Model, TeachingError> {
        Ok(model::fold(&self.recipe, &self.networks, &self.averages, self.seed)?)
    }
}
