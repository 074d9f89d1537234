//! The two Markov chains of an iteration, on shared's executors, or in burn where they cannot be.

use super::chain_noise::{ChainEnds, StepNoise, start_statistics};
use super::folded::{Folded, lends, set_energy, set_generator};
use super::in_burn::{x_chain_in_burn, z_chain_in_burn};
use super::{Networks, TeachingError};
use crate::networks::BurnNetwork;
use crate::recipe::{ChainStatistics, Engine, Negatives, Recipe, RecipeError, SpectralIteration, ZStart};
use dual_mcmc::chain::{Langevin, Trace, XChainSettings, ZChainSettings};
use dual_mcmc::executor::{Executor, ExecutorError, XChain, ZChain};
use dual_mcmc::noise::{Noise, Stream};
use std::ops::Range;

/// The iteration's chains.
pub struct Chains {
    seed: u64,
    rows: ChainRows,
    x_settings: Option<XChainSettings>,
    z_settings: Option<ZChainSettings>,
    statistics: ChainStatistics,
    norms_move: bool,
    /// None where there is no x-chain, or it runs in burn.
    x: Option<Vec<Part<XChain>>>,
    /// The EBM's own x-chain, where its negatives are fresh.
    fresh: Option<Vec<Part<XChain>>>,
    /// None where there is no z-chain, or it runs in burn.
    z: Option<ZChain>,
    /// Whether the executor's weights are copied from burn's on their device.
    lent: bool,
}

/// Which of an iteration's x-chains. Each kind has noise of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XChains {
    /// The chains that all networks learn from, with the persistent ones behind them.
    Own,
    /// The chains of the EBM's fresh negatives.
    Fresh,
}

/// Chains of consecutive numbers, which key their noise.
struct Part<C> {
    first: u32,
    chains: usize,
    chain: C,
}

/// Which chains the rows of a share are. Of the whole batch's negatives the last are persistent chains;
/// their numbers follow those of the iteration's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ChainRows {
    /// Rows of the batch.
    batch: Range<usize>,
    /// The iteration's own x-chains. Without a generator to teach they are only the rest of the energy's
    /// negatives.
    pub own: Range<usize>,
    /// The persistent x-chains, counted from the first drawn.
    pub persistent: Range<usize>,
    /// Own x-chains of the whole batch.
    all_own: usize,
}

impl ChainRows {
    /// The chains of the rows `batch`.
    pub fn of(recipe: &Recipe, batch: &Range<usize>) -> ChainRows {
        let whole = recipe.teaching.batch;
        let drawn = recipe.teaching.persistent.map_or(0, |p| super::persistent::drawn(&p, whole));
        let rest = whole - drawn;
        let persistent = batch.start.max(rest) - rest..batch.end.max(rest) - rest;
        let all_own = if recipe.generator.is_some() { whole } else { rest };
        let own = batch.start.min(all_own)..batch.end.min(all_own);
        ChainRows { batch: batch.clone(), own, persistent, all_own }
    }

    /// How many of the rows' negatives are not persistent.
    pub fn rest(&self) -> usize {
        self.batch.len() - self.persistent.len()
    }

    /// Numbers of all x-chains, own and persistent.
    fn x(&self) -> Vec<Range<u32>> {
        let number = |chain: usize| chain as u32;
        let own = number(self.own.start)..number(self.own.end);
        let persistent =
            number(self.all_own + self.persistent.start)..number(self.all_own + self.persistent.end);
        if own.end == persistent.start {
            return without_empty(own.start..persistent.end, 0..0);
        }
        without_empty(own, persistent)
    }

    /// Numbers of the chains for fresh negatives.
    fn fresh(&self) -> Vec<Range<u32>> {
        let first = self.batch.start as u32;
        without_empty(first..first + self.rest() as u32, 0..0)
    }
}

fn without_empty(a: Range<u32>, b: Range<u32>) -> Vec<Range<u32>> {
    [a, b].into_iter().filter(|range| !range.is_empty()).collect()
}

impl Chains {
    /// Room for the chains of `recipe` that belong to these `rows` of the batch. Without an executor they
    /// run in burn, on the networks' device.
    pub(super) fn new(
        recipe: &Recipe,
        networks: &Networks,
        executor: Option<&Executor>,
        rows: &Range<usize>,
        seed: u64,
    ) -> Result<Chains, TeachingError> {
        let rows = ChainRows::of(recipe, rows);
        let norms_move =
            recipe.x_chain.is_some_and(|chain| chain.spectral_iteration == SpectralIteration::EachStep);
        if executor.is_none() && recipe.x_chain.is_some_and(|chain| chain.mala) {
            let reason = "mala needs chains on a GPU or CPU of this machine: leave out the remote device";
            return Err(RecipeError::Value { section: "x_chain", reason: reason.into() }.into());
        }
        let engines = [
            ("x_chain", recipe.x_chain.map(|chain| chain.engine)),
            ("z_chain", recipe.z_chain.map(|chain| chain.engine)),
        ];
        for (section, engine) in engines {
            if executor.is_none() && engine == Some(Engine::Executor) {
                let reason =
                    "engine = \"executor\" needs a GPU or CPU of this machine: leave out the remote device";
                return Err(RecipeError::Value { section, reason: reason.into() }.into());
            }
        }
        let (mut x, mut fresh, mut z) = (None, None, None);
        let by_burn = |engine: Option<Engine>| engine == Some(Engine::Burn);
        let x_in_burn = norms_move || by_burn(recipe.x_chain.map(|chain| chain.engine));
        if let (Some(executor), Some(energy), false) = (executor, &networks.energy, x_in_burn) {
            let energy = energy.fold(&[])?;
            let parts = |numbers: Vec<Range<u32>>| {
                let part = |range: Range<u32>| {
                    let chain = executor.x_chain(&energy, range.len())?;
                    Ok(Part { first: range.start, chains: range.len(), chain })
                };
                numbers.into_iter().map(part).collect::<Result<Vec<_>, ExecutorError>>()
            };
            x = Some(parts(rows.x())?);
            if recipe.teaching.negatives == Negatives::Fresh {
                fresh = Some(parts(rows.fresh())?);
            }
        }
        let statistics = recipe.z_chain.map(|chain| chain.batch_norm).unwrap_or_default();
        if let (Some(executor), Some(generator), Some(_)) = (executor, &networks.generator, &recipe.z_chain)
            && statistics != ChainStatistics::Batch
            && !by_burn(recipe.z_chain.map(|chain| chain.engine))
        {
            z = Some(executor.z_chain(&generator.fold(generator.running())?, rows.batch.len())?);
        }
        Ok(Chains {
            seed,
            rows,
            x_settings: recipe.x_chain.map(|chain| chain.settings()),
            z_settings: recipe.z_chain.map(|chain| chain.settings()),
            statistics,
            norms_move,
            x,
            fresh,
            z,
            lent: executor.is_some_and(|executor| lends(networks, executor)),
        })
    }

    /// The energy's weights, where the x-chains run on an executor.
    ///
    /// # Errors
    /// If the training device fails.
    pub(super) fn fold_energy(&self, energy: &BurnNetwork) -> Result<Option<Folded>, TeachingError> {
        self.x.is_some().then(|| Folded::of(energy, &[], self.lent)).transpose()
    }

    pub(super) fn reseed(&mut self, seed: u64) {
        self.seed = seed;
    }

    /// Runs x-chains: x ← x - (s_x²/2) ∇ₓE(x) + n_x ε, K_x times from `start`. `folded` is the energy
    /// for the executor; without it the chains run in burn, where the recipe says so with a power
    /// iteration of the energy's spectral norms before each step.
    ///
    /// # Errors
    /// If the executor or the training device fails.
    pub async fn x_chain(
        &mut self,
        which: XChains,
        energy: &mut BurnNetwork,
        folded: Option<&Folded>,
        start: &[f32],
        iteration: u64,
    ) -> Result<ChainEnds, TeachingError> {
        let settings = self.x_settings.unwrap_or(NO_STEPS);
        let (stream, numbers) = match which {
            XChains::Own => (Stream::XChain, self.rows.x()),
            XChains::Fresh => (Stream::FreshXChain, self.rows.fresh()),
        };
        let noise = self.noise(stream, iteration, settings.steps);
        let parts = match which {
            XChains::Own => &mut self.x,
            XChains::Fresh => &mut self.fresh,
        };
        match (parts, folded) {
            (Some(parts), Some(folded)) => run_x_chains(parts, folded, start, noise, &settings).await,
            _ => x_chain_in_burn(energy, self.norms_move, start, noise.of(numbers), &settings),
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
    ) -> Result<ChainEnds, TeachingError> {
        let noise = self.noise(Stream::ZChain, iteration, settings.steps);
        let first = self.rows.batch.start as u32;
        let Some(chain) = &mut self.z else {
            let numbers = first..first + self.rows.batch.len() as u32;
            return z_chain_in_burn(generator, self.statistics, start, x, noise.of(vec![numbers]), settings);
        };
        let folded = match self.statistics {
            ChainStatistics::Running => Folded::of(generator, generator.running(), self.lent)?,
            _ => Folded::of(generator, &start_statistics(generator, start), self.lent)?,
        };
        set_generator(chain, &folded)?;
        chain.set_target(x, None, settings.sigma)?;
        chain.start(start, noise.from(first))?;
        chain.run(settings.steps, &settings.langevin)?;
        Ok(ChainEnds { state: chain.state().await?, trace: chain.trace().await?, acceptance: None })
    }

    /// The z-chain's settings, where there is one.
    pub(super) fn z_settings(&self) -> Option<ZChainSettings> {
        self.z_settings
    }

    /// Each iteration has its own range of the step counter.
    fn noise(&self, stream: Stream, iteration: u64, steps: u32) -> StepNoise {
        let first_step = (iteration as u32).wrapping_mul(steps);
        StepNoise { noise: Noise::new(self.seed, stream), first_step }
    }
}

/// A recipe without an energy runs no x-chain.
const NO_STEPS: XChainSettings = XChainSettings {
    steps: 0,
    langevin: Langevin { step_size: 1.0, noise: 0.0, gradient_clamp: None, range_clamp: None, mala: false },
};

async fn run_x_chains(
    parts: &mut [Part<XChain>],
    energy: &Folded,
    start: &[f32],
    noise: StepNoise,
    settings: &XChainSettings,
) -> Result<ChainEnds, TeachingError> {
    let all: usize = parts.iter().map(|part| part.chains).sum();
    let len = start.len() / all.max(1);
    let mut ends = Vec::new();
    let mut start = start.chunks(len.max(1));
    for Part { first, chains, chain } in parts {
        let start: Vec<f32> = start.by_ref().take(*chains).flatten().copied().collect();
        set_energy(chain, energy)?;
        chain.start(&start, noise.from(*first))?;
        chain.run(settings.steps, &settings.langevin)?;
        let (state, trace) = (chain.state().await?, chain.trace().await?);
        ends.push(ChainEnds { state, trace, acceptance: chain.acceptance().await? });
    }
    Ok(side_by_side(ends))
}

/// Chains that took the same steps, as one.
fn side_by_side(mut parts: Vec<ChainEnds>) -> ChainEnds {
    if parts.len() == 1 {
        return parts.remove(0);
    }
    let chains: usize = parts.iter().map(|part| part.trace.chains).sum();
    let shares: Option<f32> = parts.iter().map(|p| Some(p.acceptance? * p.trace.chains as f32)).sum();
    let (states, traces): (Vec<_>, Vec<_>) = parts.into_iter().map(|p| (p.state, p.trace)).unzip();
    ChainEnds {
        trace: Trace::side_by_side(traces),
        acceptance: shares.filter(|_| chains > 0).map(|sum| sum / chains as f32),
        state: states.concat(),
    }
}

/// z₀ of the encoder: a sample of q(z|x), or its mean. `posterior` holds the encoder's outputs,
/// `[rows, 2·latent]`; `(first, iteration)` say which rows of the batch they are, and of which one.
pub fn encoded_start(
    kind: ZStart,
    posterior: &[f32],
    latent: usize,
    seed: u64,
    (first, iteration): (u32, u64),
) -> Vec<f32> {
    let count = posterior.len() / (2 * latent);
    let means = posterior.chunks(2 * latent).flat_map(|row| &row[..latent]);
    if kind == ZStart::Mean {
        return means.copied().collect();
    }
    let log_variances = posterior.chunks(2 * latent).flat_map(|row| &row[latent..]);
    let noise = Noise::new(seed, Stream::Encoder).normal_rows(first, count, latent, iteration as u32);
    let sample = means.zip(log_variances).zip(noise);
    sample.map(|((mean, log_variance), e)| mean + (0.5 * log_variance).exp() * e).collect()
}

/// z₀ of the prior, for the rows from `first` on of an iteration's batch.
pub fn prior_start(count: usize, latent: usize, seed: u64, (first, iteration): (u32, u64)) -> Vec<f32> {
    Noise::new(seed, Stream::Start).normal_rows(first, count, latent, iteration as u32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_chains_of_all_shares_are_those_of_the_batch() {
        let text = include_str!("../../../recipes/ring.toml");
        for (generator, share) in [(true, 0.25), (true, 0.75), (false, 0.25), (true, 0.0)] {
            let mut recipe = Recipe::parse(text).unwrap();
            recipe.teaching.batch = 16;
            recipe.teaching.persistent.as_mut().unwrap().share = share;
            if !generator {
                recipe.generator = None;
            }
            let numbers = |rows: Range<usize>| -> Vec<u32> {
                ChainRows::of(&recipe, &rows).x().into_iter().flatten().collect()
            };
            let whole = ChainRows::of(&recipe, &(0..16));
            assert_eq!(whole.x().len(), 1, "one run for one device");
            let mut all = [numbers(0..3), numbers(3..10), numbers(10..16)].concat();
            all.sort_unstable();
            assert_eq!(all, numbers(0..16));
            let fresh = |rows: Range<usize>| -> Vec<u32> {
                ChainRows::of(&recipe, &rows).fresh().into_iter().flatten().collect()
            };
            assert_eq!([fresh(0..3), fresh(3..10), fresh(10..16)].concat(), fresh(0..16));
        }
    }

    #[test]
    fn chains_side_by_side_are_one_trajectory() {
        let part = |state: &[f32], values: &[f32], acceptance| ChainEnds {
            state: state.to_vec(),
            trace: Trace { first_step: 0, chains: state.len(), values: values.to_vec() },
            acceptance: Some(acceptance),
        };
        let ends =
            side_by_side(vec![part(&[1.0], &[5.0, 6.0], 0.4), part(&[2.0, 3.0], &[1.0, 2.0, 3.0, 4.0], 1.0)]);
        assert_eq!(ends.state, [1.0, 2.0, 3.0]);
        assert_eq!(ends.trace.values, [5.0, 1.0, 2.0, 6.0, 3.0, 4.0]);
        assert!((ends.acceptance.unwrap() - 0.8).abs() < 1e-6);
    }
}
