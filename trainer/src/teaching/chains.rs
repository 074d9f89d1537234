//! The two Markov chains of an iteration, on shared's executors.

use super::{Networks, TeachingError};
use crate::networks::{BurnNetwork, Normalise, read, rows};
use crate::recipe::{ChainStatistics, Negatives, Recipe, ZStart};
use burn::tensor::{Device, Tensor};
use dual_mcmc::chain::{ChainNoise, Trace, XChainSettings, ZChainSettings};
use dual_mcmc::executor::{Executor, ExecutorError, XChain, ZChain};
use dual_mcmc::model::Weighted;
use dual_mcmc::noise::{Noise, Stream};

/// The iteration's chains.
pub struct Chains {
    seed: u64,
    x_settings: XChainSettings,
    z_settings: ZChainSettings,
    x: XChain,
    /// The EBM's own x-chain, where its negatives are fresh.
    fresh: Option<XChain>,
    /// None where the z-chain runs in burn.
    z: Option<ZChain>,
}

/// Where chains came to, and what was measured on the way.
pub struct Walked {
    /// One row a chain.
    pub state: Vec<f32>,
    /// Energies of the x-chain, squared errors of the z-chain.
    pub trace: Trace,
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
        let energy = networks.energy.fold(&[])?;
        let fresh = recipe.teaching.negatives == Negatives::Fresh && persistent < batch;
        let fresh = fresh.then(|| executor.x_chain(&energy, batch - persistent)).transpose()?;
        let z = match recipe.z_chain.batch_norm {
            ChainStatistics::Start => {
                let generator = networks.generator.fold(networks.generator.running())?;
                Some(executor.z_chain(&generator, batch)?)
            }
            ChainStatistics::Batch => None,
        };
        Ok(Chains {
            seed,
            x_settings: recipe.x_chain.settings(),
            z_settings: recipe.z_chain.settings(),
            x: executor.x_chain(&energy, batch + persistent)?,
            fresh,
            z,
        })
    }

    pub(super) fn reseed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// The x-chain: x ← x - (s_x²/2) ∇ₓE(x) + n_x ε, K_x times from `start`.
    ///
    /// # Errors
    /// If the executor fails.
    pub async fn x_chain(
        &mut self,
        energy: &Weighted,
        start: &[f32],
        iteration: u64,
    ) -> Result<Walked, ExecutorError> {
        let noise = self.noise(Stream::XChain, iteration, self.x_settings.steps);
        walk_x(&mut self.x, energy, start, noise, &self.x_settings).await
    }

    /// The x-chain once more, with its own noise, for the EBM's fresh negatives. None where the
    /// recipe has none.
    ///
    /// # Errors
    /// If the executor fails.
    pub async fn fresh_x_chain(
        &mut self,
        energy: &Weighted,
        start: &[f32],
        iteration: u64,
    ) -> Result<Option<Walked>, ExecutorError> {
        let noise = self.noise(Stream::FreshXChain, iteration, self.x_settings.steps);
        match &mut self.fresh {
            Some(chain) => Ok(Some(walk_x(chain, energy, start, noise, &self.x_settings).await?)),
            None => Ok(None),
        }
    }

    /// The z-chain: z ← z - (s_z²/2) ∇_z[‖g(z) - x‖²/σ² + ‖z‖²/2] + n_z ε, K_z times from `start`
    /// towards the batch `x`.
    ///
    /// The generator's batch norms are folded with the statistics of g(z₀), which then hold for
    /// the whole chain; or, where the recipe says so, use those of each step's own batch.
    ///
    /// # Errors
    /// If the executor or the training device fails.
    pub async fn z_chain(
        &mut self,
        generator: &BurnNetwork,
        start: &[f32],
        x: &[f32],
        iteration: u64,
    ) -> Result<Walked, TeachingError> {
        let settings = self.z_settings;
        let noise = self.noise(Stream::ZChain, iteration, settings.steps);
        let Some(chain) = &mut self.z else {
            return z_chain_of_batch_statistics(generator, start, x, noise, &settings);
        };
        let folded = generator.fold(&start_statistics(generator, start))?;
        chain.set_weights(&folded.weights)?;
        chain.set_target(x, None, settings.sigma)?;
        chain.start(start, noise)?;
        chain.run(settings.steps, &settings.langevin)?;
        Ok(Walked { state: chain.state().await?, trace: chain.trace().await? })
    }

    /// Each iteration has its own range of the step counter.
    fn noise(&self, stream: Stream, iteration: u64, steps: u32) -> ChainNoise {
        let first_step = (iteration as u32).wrapping_mul(steps);
        ChainNoise { noise: Noise::new(self.seed, stream), first_chain: 0, first_step }
    }
}

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
    Ok(Walked { state: chain.state().await?, trace: chain.trace().await? })
}

/// Statistics of the generator's batch norms over the latents where the z-chain starts.
pub fn start_statistics(generator: &BurnNetwork, start: &[f32]) -> Vec<crate::networks::Statistics> {
    if !generator.has_batch_norm() {
        return Vec::new();
    }
    let z = rows(start, generator.input_len(), generator.device());
    generator.constant().forward(z, Normalise::Batch).statistics
}

/// z₀ by the recipe: a sample of q(z|x), the encoder's mean, or prior noise. `posterior` holds the
/// encoder's outputs, `[batch, 2·latent]`.
pub fn z_start(kind: ZStart, posterior: &[f32], latent: usize, seed: u64, iteration: u64) -> Vec<f32> {
    let batch = posterior.len() / (2 * latent);
    let normals = |stream| Noise::new(seed, stream).normal_rows(0, batch, latent, iteration as u32);
    let means = || posterior.chunks(2 * latent).flat_map(|row| &row[..latent]);
    match kind {
        ZStart::Mean => means().copied().collect(),
        ZStart::Prior => normals(Stream::Start),
        ZStart::Encoder => {
            let log_variances = posterior.chunks(2 * latent).flat_map(|row| &row[latent..]);
            let noise = normals(Stream::Encoder);
            let sample = means().zip(log_variances).zip(noise);
            sample.map(|((mean, log_variance), e)| mean + (0.5 * log_variance).exp() * e).collect()
        }
    }
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
    let device: &Device = generator.device();
    let (latent, chains) = (generator.input_len(), start.len() / generator.input_len());
    let tape = generator.constant();
    let x = rows(x, x.len() / chains, device);
    let mut state = start.to_vec();
    let mut trace = Trace { first_step: 0, chains, values: Vec::new() };
    let squared_errors =
        |z: Tensor<2>| (tape.forward(z, Normalise::Batch).value - x.clone()).square().sum_dim(1);
    let mut normals = vec![0.0; latent];
    for step in 0..settings.steps {
        // A new leaf each step: no graph outlives its step.
        let z = rows(&state, latent, device).autodiff().require_grad();
        let errors = squared_errors(z.clone());
        let potential = errors.clone().sum().div_scalar(settings.sigma * settings.sigma)
            + z.clone().square().sum().mul_scalar(0.5);
        let mut gradients = potential.backward();
        let gradient = match z.grad_remove(&mut gradients) {
            Some(gradient) => read(gradient)?,
            None => vec![0.0; state.len()],
        };
        trace.values.extend(read(errors.inner())?);
        let pairs = state.chunks_mut(latent).zip(gradient.chunks(latent)).enumerate();
        for (chain, (state, gradient)) in pairs {
            let chain = noise.first_chain + chain as u32;
            noise.noise.normals(chain, noise.first_step.wrapping_add(step), &mut normals);
            settings.langevin.update(state, gradient, &normals);
        }
    }
    trace.values.extend(read(squared_errors(rows(&state, latent, device)))?);
    Ok(Walked { state, trace })
}
