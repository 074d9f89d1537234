//! The two Markov chains of an iteration, on shared's executors.

use super::{Networks, TeachingError};
use crate::networks::{BurnNetwork, Normalise, read, rows};
use crate::recipe::{ChainStatistics, Negatives, Recipe, SpectralIteration, ZStart};
use burn::tensor::{Device, Tensor};
use dual_mcmc::chain::{ChainNoise, Langevin, Trace, XChainSettings, ZChainSettings};
use dual_mcmc::executor::{Executor, ExecutorError, XChain, ZChain};
use dual_mcmc::model::Weighted;
use dual_mcmc::noise::{Noise, Stream};

/// The iteration's chains.
pub struct Chains {
    seed: u64,
    x_settings: Option<XChainSettings>,
    z_settings: Option<ZChainSettings>,
    statistics: ChainStatistics,
    /// None where there is no x-chain, or it runs in burn.
    x: Option<XChain>,
    /// The EBM's own x-chain, where its negatives are fresh.
    fresh: Option<XChain>,
    /// None where there is no z-chain, or it runs in burn.
    z: Option<ZChain>,
}

/// Where chains came to, and what was measured on the way.
pub struct Walked {
    /// One row a chain.
    pub state: Vec<f32>,
    /// Energies of the x-chain, squared errors of the z-chain.
    pub trace: Trace,
    /// Share of MALA's proposals accepted.
    pub acceptance: Option<f32>,
}

/// How many x-chains of its own an iteration runs beside the persistent ones. Without a generator
/// to teach they are only the rest of the energy's negatives.
pub(super) fn own_chains(recipe: &Recipe) -> usize {
    let batch = recipe.teaching.batch;
    let persistent = recipe.teaching.persistent.map_or(0, |p| super::persistent::drawn(&p, batch));
    if recipe.generator.is_some() { batch } else { batch - persistent }
}

impl Chains {
    /// Room for the chains of `recipe`.
    pub(super) fn new(
        recipe: &Recipe,
        networks: &Networks,
        executor: &Executor,
        seed: u64,
    ) -> Result<Chains, TeachingError> {
        let batch = recipe.teaching.batch;
        let persistent = recipe.teaching.persistent.map_or(0, |p| super::persistent::drawn(&p, batch));
        let (mut x, mut fresh, mut z) = (None, None, None);
        if let (Some(energy), Some(chain)) = (&networks.energy, &recipe.x_chain)
            && chain.spectral_iteration == SpectralIteration::Once
        {
            let energy = energy.fold(&[])?;
            x = Some(executor.x_chain(&energy, own_chains(recipe) + persistent)?);
            if recipe.teaching.negatives == Negatives::Fresh && persistent < batch {
                fresh = Some(executor.x_chain(&energy, batch - persistent)?);
            }
        }
        let statistics = recipe.z_chain.map(|chain| chain.batch_norm).unwrap_or_default();
        if let (Some(generator), Some(_)) = (&networks.generator, &recipe.z_chain)
            && statistics != ChainStatistics::Batch
        {
            z = Some(executor.z_chain(&generator.fold(generator.running())?, batch)?);
        }
        Ok(Chains {
            seed,
            x_settings: recipe.x_chain.map(|chain| chain.settings()),
            z_settings: recipe.z_chain.map(|chain| chain.settings()),
            statistics,
            x,
            fresh,
            z,
        })
    }

    pub(super) fn reseed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// The x-chain: x ← x - (s_x²/2) ∇ₓE(x) + n_x ε, K_x times from `start`. `folded` is the energy
    /// for the executor; without it the chain runs in burn, with a power iteration of the energy's
    /// spectral norms before each step.
    ///
    /// # Errors
    /// If the executor or the training device fails.
    pub async fn x_chain(
        &mut self,
        energy: &mut BurnNetwork,
        folded: Option<&Weighted>,
        start: &[f32],
        iteration: u64,
    ) -> Result<Walked, TeachingError> {
        let settings = self.x_settings.unwrap_or(NO_STEPS);
        let noise = self.noise(Stream::XChain, iteration, settings.steps);
        match (&mut self.x, folded) {
            (Some(chain), Some(folded)) => Ok(walk_x(chain, folded, start, noise, &settings).await?),
            _ => x_chain_of_moving_norms(energy, start, noise, &settings),
        }
    }

    /// The x-chain once more, with its own noise, for the EBM's fresh negatives.
    ///
    /// # Errors
    /// If the executor or the training device fails.
    pub async fn fresh_x_chain(
        &mut self,
        energy: &mut BurnNetwork,
        folded: Option<&Weighted>,
        start: &[f32],
        iteration: u64,
    ) -> Result<Walked, TeachingError> {
        let settings = self.x_settings.unwrap_or(NO_STEPS);
        let noise = self.noise(Stream::FreshXChain, iteration, settings.steps);
        match (&mut self.fresh, folded) {
            (Some(chain), Some(folded)) => Ok(walk_x(chain, folded, start, noise, &settings).await?),
            _ => x_chain_of_moving_norms(energy, start, noise, &settings),
        }
    }

    /// The z-chain: z ← z - (s_z²/2) ∇_z[‖g(z) - x‖²/σ² + ‖z‖²/2] + n_z ε, K_z times from `start`
    /// towards the batch `x`.
    ///
    /// The generator's batch norms are folded with the statistics of g(z₀), or with running ones,
    /// which then hold for the whole chain; or, where the recipe says so, use those of each step's
    /// own batch.
    ///
    /// # Errors
    /// If the executor or the training device fails.
    pub async fn z_chain(
        &mut self,
        generator: &BurnNetwork,
        settings: &ZChainSettings,
        start: &[f32],
        x: &[f32],
        iteration: u64,
    ) -> Result<Walked, TeachingError> {
        let noise = self.noise(Stream::ZChain, iteration, settings.steps);
        let Some(chain) = &mut self.z else {
            return z_chain_of_batch_statistics(generator, start, x, noise, settings);
        };
        let folded = match self.statistics {
            ChainStatistics::Running => generator.fold(generator.running())?,
            _ => generator.fold(&start_statistics(generator, start))?,
        };
        chain.set_weights(&folded.weights)?;
        chain.set_target(x, None, settings.sigma)?;
        chain.start(start, noise)?;
        chain.run(settings.steps, &settings.langevin)?;
        Ok(Walked { state: chain.state().await?, trace: chain.trace().await?, acceptance: None })
    }

    /// The z-chain's settings, where there is one.
    pub(super) fn z_settings(&self) -> Option<ZChainSettings> {
        self.z_settings
    }

    /// Each iteration has its own range of the step counter.
    fn noise(&self, stream: Stream, iteration: u64, steps: u32) -> ChainNoise {
        let first_step = (iteration as u32).wrapping_mul(steps);
        ChainNoise { noise: Noise::new(self.seed, stream), first_chain: 0, first_step }
    }
}

/// A recipe without an energy runs no x-chain.
const NO_STEPS: XChainSettings = XChainSettings {
    steps: 0,
    langevin: Langevin { step_size: 1.0, noise: 0.0, gradient_clamp: None, range_clamp: None, mala: false },
};

async fn walk_x(
    chain: &mut XChain,
    energy: &Weighted,
    start: &[f32],
    noise: ChainNoise,
    settings: &XChainSettings,
) -> Result<Walked, ExecutorError> {
    chain.set_weights(&energy.weights)?;
    chain.start(start, noise)?;
    chain.run(settings.steps, &settings.langevin)?;
    let (state, trace, acceptance) = (chain.state().await?, chain.trace().await?, chain.acceptance().await?);
    Ok(Walked { state, trace, acceptance })
}

/// Statistics of the generator's batch norms over the latents where the z-chain starts.
pub fn start_statistics(generator: &BurnNetwork, start: &[f32]) -> Vec<crate::networks::Statistics> {
    if !generator.has_batch_norm() {
        return Vec::new();
    }
    let z = rows(start, generator.input_len(), generator.device());
    generator.constant().forward(z, Normalise::Batch).statistics
}

/// z₀ of the encoder: a sample of q(z|x), or its mean. `posterior` holds the encoder's outputs,
/// `[batch, 2·latent]`.
pub fn encoded_start(kind: ZStart, posterior: &[f32], latent: usize, seed: u64, iteration: u64) -> Vec<f32> {
    let batch = posterior.len() / (2 * latent);
    let means = posterior.chunks(2 * latent).flat_map(|row| &row[..latent]);
    if kind == ZStart::Mean {
        return means.copied().collect();
    }
    let log_variances = posterior.chunks(2 * latent).flat_map(|row| &row[latent..]);
    let noise = Noise::new(seed, Stream::Encoder).normal_rows(0, batch, latent, iteration as u32);
    let sample = means.zip(log_variances).zip(noise);
    sample.map(|((mean, log_variance), e)| mean + (0.5 * log_variance).exp() * e).collect()
}

/// z₀ of the prior.
pub fn prior_start(batch: usize, latent: usize, seed: u64, iteration: u64) -> Vec<f32> {
    Noise::new(seed, Stream::Start).normal_rows(0, batch, latent, iteration as u32)
}

/// Langevin steps in burn, on the sum of `potentials` (one a chain) and with what they report.
fn walk_in_burn(
    start: &[f32],
    len: usize,
    device: &Device,
    noise: ChainNoise,
    (steps, langevin): (u32, &Langevin),
    mut potentials: impl FnMut(Tensor<2>) -> Potentials,
) -> Result<Walked, TeachingError> {
    let mut state = start.to_vec();
    let mut trace = Trace { first_step: 0, chains: start.len() / len, values: Vec::new() };
    let mut normals = vec![0.0; len];
    for step in 0..steps {
        // A new leaf each step: no graph outlives its step.
        let x = rows(&state, len, device).autodiff().require_grad();
        let Potentials { sum, values } = potentials(x.clone());
        let mut gradients = sum.backward();
        let gradient = match x.grad_remove(&mut gradients) {
            Some(gradient) => read(gradient)?,
            None => vec![0.0; state.len()],
        };
        trace.values.extend(read(values.inner())?);
        for (chain, (state, gradient)) in state.chunks_mut(len).zip(gradient.chunks(len)).enumerate() {
            let chain = noise.first_chain + chain as u32;
            noise.noise.normals(chain, noise.first_step.wrapping_add(step), &mut normals);
            langevin.update(state, gradient, &normals);
        }
    }
    let last = potentials(rows(&state, len, device).autodiff());
    trace.values.extend(read(last.values.inner())?);
    Ok(Walked { state, trace, acceptance: None })
}

/// What drives a chain in burn, and what is recorded of it.
struct Potentials {
    sum: Tensor<1>,
    /// One a chain.
    values: Tensor<2>,
}

/// The x-chain as the authors' code runs it: a power iteration of the spectral norms at each step.
fn x_chain_of_moving_norms(
    energy: &mut BurnNetwork,
    start: &[f32],
    noise: ChainNoise,
    settings: &XChainSettings,
) -> Result<Walked, TeachingError> {
    let (len, device) = (energy.input_len(), energy.device().clone());
    let steps = (settings.steps, &settings.langevin);
    let mut taken = 0;
    walk_in_burn(start, len, &device, noise, steps, |x| {
        // The last call is for the record alone.
        if taken < settings.steps {
            energy.iterate_spectral_norms();
        }
        taken += 1;
        let values = energy.constant().forward(x, Normalise::Batch).value;
        Potentials { sum: values.clone().sum(), values }
    })
}

/// The z-chain as the authors' code runs it: batch norms use the statistics of each step's batch,
/// and the gradient goes through them. Only burn can do that.
fn z_chain_of_batch_statistics(
    generator: &BurnNetwork,
    start: &[f32],
    x: &[f32],
    noise: ChainNoise,
    settings: &ZChainSettings,
) -> Result<Walked, TeachingError> {
    let (latent, device) = (generator.input_len(), generator.device().clone());
    let chains = start.len() / latent;
    let tape = generator.constant();
    let x = rows(x, x.len() / chains, &device);
    walk_in_burn(start, latent, &device, noise, (settings.steps, &settings.langevin), |z| {
        let values = (tape.forward(z.clone(), Normalise::Batch).value - x.clone()).square().sum_dim(1);
        let sum = values.clone().sum().div_scalar(settings.sigma * settings.sigma)
            + z.square().sum().mul_scalar(0.5);
        Potentials { sum, values }
    })
}
