//! The x-chain and the z-chain on the CPU.
//!
//! Chains do not depend on each other, so each thread takes its share of them, and within a share
//! a few at a time run all their steps before the next few start: their activations stay in cache.

use super::{Executor, Workspace};
use crate::chain::{ChainNoise, Langevin, Proposal, TRACE_LEN, Trace};
use crate::model::Weighted;
use crate::network::NetworkError;
use crate::noise::Stream;

/// What a walk measures its states by.
trait Measure: Sync {
    /// Chains at a time.
    fn tile(&self) -> usize;

    /// Append a value for each of `states`, which are those of the chains from number `first` on, and write
    /// their gradients where they are wanted.
    fn measure(
        &self,
        first: usize,
        states: &[f32],
        gradients: Option<&mut [f32]>,
        workspace: &mut Workspace<f32>,
        values: &mut Vec<f32>,
    );
}

/// States, counters and trace that both chains share.
#[derive(Clone, Debug)]
struct Walk {
    chains: usize,
    len: usize,
    threads: usize,
    state: Vec<f32>,
    noise: ChainNoise,
    step: u32,
    /// Of the states before each step.
    trace: Trace,
    /// Whether there was a run since the start.
    begun: bool,
    /// Proposals of MALA, and those accepted.
    proposed: u64,
    accepted: u64,
    workspaces: Vec<Workspace<f32>>,
}

/// One tile of chains within a run.
struct Tile<'a> {
    /// Index of the first chain among the walk's.
    first: usize,
    state: &'a mut [f32],
    /// Values measured, step-major: rows of the tile's chains.
    values: Vec<f32>,
    accepted: u64,
}

impl Walk {
    fn new(chains: usize, len: usize, threads: usize) -> Walk {
        Walk {
            chains,
            len,
            threads: threads.max(1),
            state: vec![0.0; chains * len],
            noise: ChainNoise::new(0, crate::noise::Stream::XChain),
            step: 0,
            trace: Trace { first_step: 0, chains, values: Vec::new() },
            begun: false,
            proposed: 0,
            accepted: 0,
            workspaces: Vec::new(),
        }
    }

    fn start(&mut self, state: &[f32], noise: ChainNoise) {
        assert_eq!(state.len(), self.chains * self.len, "state is not one row a chain");
        self.state.copy_from_slice(state);
        self.noise = noise;
        self.step = 0;
        (self.proposed, self.accepted) = (0, 0);
        self.trace = Trace { first_step: 0, chains: self.chains, values: Vec::new() };
        self.begun = false;
    }

    /// Run `steps` updates.
    fn run(&mut self, steps: u32, langevin: &Langevin, by: &impl Measure) {
        let (len, noise, first_step) = (self.len, self.noise, self.step);
        // Every row's own noise at a step.
        let propose = |states: &mut [f32], gradients: &[f32], first: usize, k: u32, normals: &mut [f32]| {
            for (i, (state, gradient)) in states.chunks_mut(len).zip(gradients.chunks(len)).enumerate() {
                if langevin.noise != 0.0 {
                    let chain = noise.first_chain + (first + i) as u32;
                    noise.noise.normals(chain, noise.first_step.wrapping_add(k), normals);
                }
                langevin.update(state, gradient, normals);
            }
        };
        let walk_unadjusted = |tile: &mut Tile, workspace: &mut Workspace<f32>| {
            let mut gradients = vec![0.0; tile.state.len()];
            let mut normals = vec![0.0; len];
            for k in first_step..first_step + steps {
                by.measure(tile.first, tile.state, Some(&mut gradients), workspace, &mut tile.values);
                propose(tile.state, &gradients, tile.first, k, &mut normals);
            }
        };
        let walk_adjusted = |tile: &mut Tile, workspace: &mut Workspace<f32>| {
            let mut gradients = vec![0.0; tile.state.len()];
            let mut new_gradients = gradients.clone();
            let (mut energies, mut new_energies) = (Vec::new(), Vec::new());
            let mut normals = vec![0.0; len];
            let mut proposal = Vec::new();
            by.measure(tile.first, tile.state, Some(&mut gradients), workspace, &mut energies);
            let acceptance = noise.noise.with_stream(Stream::Acceptance);
            for k in first_step..first_step + steps {
                tile.values.extend_from_slice(&energies);
                proposal.clear();
                proposal.extend_from_slice(tile.state);
                propose(&mut proposal, &gradients, tile.first, k, &mut normals);
                new_energies.clear();
                by.measure(tile.first, &proposal, Some(&mut new_gradients), workspace, &mut new_energies);
                for i in 0..energies.len() {
                    let row = i * len..(i + 1) * len;
                    let candidate = Proposal {
                        states: [&tile.state[row.clone()], &proposal[row.clone()]],
                        energies: [energies[i], new_energies[i]],
                        gradients: [&gradients[row.clone()], &new_gradients[row.clone()]],
                    };
                    let mut uniform = [0.0];
                    let chain = noise.first_chain + (tile.first + i) as u32;
                    acceptance.uniforms(chain, noise.first_step.wrapping_add(k), &mut uniform);
                    if candidate.accepted(langevin, uniform[0]) {
                        tile.state[row.clone()].copy_from_slice(&proposal[row.clone()]);
                        gradients[row.clone()].copy_from_slice(&new_gradients[row]);
                        energies[i] = new_energies[i];
                        tile.accepted += 1;
                    }
                }
            }
        };
        let mut workspaces = std::mem::take(&mut self.workspaces);
        let mut state = std::mem::take(&mut self.state);
        let tiles =
            self.sweep(&mut state, by.tile(), &mut workspaces, |tile, workspace| match langevin.mala {
                true => walk_adjusted(tile, workspace),
                false => walk_unadjusted(tile, workspace),
            });
        let accepted = tiles.iter().map(|tile| tile.accepted).sum::<u64>();
        let rows = side_by_side(self.chains, steps as usize, &tiles);
        (self.workspaces, self.state) = (workspaces, state);
        self.trace.values.extend(rows);
        let dropped = (self.trace.values.len() / self.chains).saturating_sub(TRACE_LEN - 1);
        self.trace.values.drain(..dropped * self.chains);
        self.trace.first_step += dropped as u32;
        self.step += steps;
        self.begun = true;
        if langevin.mala {
            self.proposed += u64::from(steps) * self.chains as u64;
            self.accepted += accepted;
        }
    }

    /// Do something with each tile of `state`, every thread with its share of them.
    fn sweep<'a>(
        &self,
        state: &'a mut [f32],
        tile: usize,
        workspaces: &mut Vec<Workspace<f32>>,
        work: impl Fn(&mut Tile, &mut Workspace<f32>) + Sync,
    ) -> Vec<Tile<'a>> {
        let share = self.chains.div_ceil(self.threads);
        let tile = tile.min(share).max(1);
        let mut tiles: Vec<Tile> = Vec::new();
        for (t, states) in state.chunks_mut(share * self.len).enumerate() {
            for (i, state) in states.chunks_mut(tile * self.len).enumerate() {
                tiles.push(Tile { first: t * share + i * tile, state, values: Vec::new(), accepted: 0 });
            }
        }
        workspaces.resize_with(self.threads, Workspace::default);
        let mut shares = tiles.chunks_mut(share.div_ceil(tile)).zip(workspaces);
        if cfg!(target_arch = "wasm32") || self.threads == 1 {
            for (tiles, workspace) in shares {
                tiles.iter_mut().for_each(|tile| work(tile, workspace));
            }
        } else {
            std::thread::scope(|scope| {
                let here = shares.next();
                for (tiles, workspace) in shares {
                    let work = &work;
                    scope.spawn(move || tiles.iter_mut().for_each(|tile| work(tile, workspace)));
                }
                if let Some((tiles, workspace)) = here {
                    tiles.iter_mut().for_each(|tile| work(tile, workspace));
                }
            });
        }
        tiles
    }

    /// The trace, for which the current states are measured now.
    fn trace(&mut self, by: &impl Measure) -> Trace {
        let mut trace = self.trace.clone();
        if self.begun {
            let mut workspaces = std::mem::take(&mut self.workspaces);
            let mut state = self.state.clone();
            let tiles = self.sweep(&mut state, by.tile(), &mut workspaces, |tile, workspace| {
                by.measure(tile.first, tile.state, None, workspace, &mut tile.values);
            });
            trace.values.extend(side_by_side(self.chains, 1, &tiles));
            self.workspaces = workspaces;
        }
        trace
    }
}

/// `rows` rows of all chains' values from those of tiles.
fn side_by_side(chains: usize, rows: usize, tiles: &[Tile]) -> Vec<f32> {
    let mut all = vec![0.0; rows * chains];
    for tile in tiles {
        let width = tile.values.len() / rows.max(1);
        for (row, values) in tile.values.chunks(width.max(1)).enumerate() {
            let start = row * chains + tile.first;
            all[start..start + width].copy_from_slice(values);
        }
    }
    all
}

/// Langevin dynamics on an energy.
#[derive(Clone, Debug)]
pub struct XChain {
    energy: Energy,
    walk: Walk,
}

#[derive(Clone, Debug)]
struct Energy {
    executor: Executor,
    /// The cotangents of a tile's energies.
    ones: Vec<f32>,
}

impl Measure for Energy {
    fn tile(&self) -> usize {
        self.executor.tile()
    }

    fn measure(
        &self,
        _first: usize,
        x: &[f32],
        gradients: Option<&mut [f32]>,
        workspace: &mut Workspace<f32>,
        energies: &mut Vec<f32>,
    ) {
        let executor = &self.executor;
        energies.extend_from_slice(executor.run_forward(x, workspace));
        if let Some(gradients) = gradients {
            let ones = &self.ones[..x.len() / executor.input_len()];
            gradients.copy_from_slice(executor.run_backward(ones, workspace));
        }
    }
}

impl XChain {
    /// `chains` chains on `energy`, over `threads` threads (on wasm always 1).
    ///
    /// # Errors
    /// If the network does not fit together or is no energy.
    pub fn new(energy: &Weighted, chains: usize, threads: usize) -> Result<XChain, NetworkError> {
        energy.network.check_energy(&energy.network.input)?;
        let executor = Executor::new(&energy.network, &energy.weights)?;
        let walk = Walk::new(chains, executor.input_len(), threads);
        let ones = vec![1.0; executor.tile()];
        Ok(XChain { energy: Energy { executor, ones }, walk })
    }

    /// The same chains with the plain kernels, the oracle of the others.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn with_plain_kernels(mut self) -> XChain {
        self.energy.executor = self.energy.executor.with_plain_kernels();
        self
    }

    /// Replace the energy's weights.
    ///
    /// # Errors
    /// If there are not as many as parameters.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), NetworkError> {
        self.energy.executor.set_weights(weights)
    }

    /// Start anew at `state`, `[chains, data]`, and forget the trace.
    ///
    /// # Panics
    /// If `state` is not one row a chain.
    pub fn start(&mut self, state: &[f32], noise: ChainNoise) {
        self.walk.start(state, noise);
    }

    /// `x ← x - (s²/2) ∇E(x) + n ε`, `steps` times, each accepted or rejected if it is to be MALA.
    /// With 0 steps the trace begins.
    pub fn run(&mut self, steps: u32, langevin: &Langevin) {
        self.walk.run(steps, langevin, &self.energy);
    }

    /// The states, `[chains, data]`.
    pub fn state(&self) -> &[f32] {
        &self.walk.state
    }

    /// Energies along the way; empty before the first run. Those of the current states are measured now.
    pub fn trace(&mut self) -> Trace {
        self.walk.trace(&self.energy)
    }

    /// Share of MALA's proposals accepted since the start; `None` without any.
    pub fn acceptance(&self) -> Option<f32> {
        let Walk { proposed, accepted, .. } = self.walk;
        (proposed > 0).then(|| (accepted as f64 / proposed as f64) as f32)
    }
}

/// Langevin dynamics on the posterior of a generator's latents.
#[derive(Clone, Debug)]
pub struct ZChain {
    posterior: Posterior,
    walk: Walk,
}

#[derive(Clone, Debug)]
struct Posterior {
    generator: Executor,
    target: Vec<f32>,
    mask: Option<Vec<f32>>,
    sigma: f32,
}

impl Measure for Posterior {
    fn tile(&self) -> usize {
        self.generator.tile()
    }

    fn measure(
        &self,
        first: usize,
        z: &[f32],
        gradients: Option<&mut [f32]>,
        workspace: &mut Workspace<f32>,
        errors: &mut Vec<f32>,
    ) {
        let generator = &self.generator;
        let (data, weight) = (generator.output_len(), 2.0 / (self.sigma * self.sigma));
        let mut difference = generator.run_forward(z, workspace).to_vec();
        let range = first * data..first * data + difference.len();
        difference.iter_mut().zip(&self.target[range.clone()]).for_each(|(g, x)| *g -= x);
        let mut cotangent = difference.clone();
        if let Some(mask) = &self.mask {
            cotangent.iter_mut().zip(&mask[range]).for_each(|(d, m)| *d *= m);
        }
        let rows = difference.chunks(data).zip(cotangent.chunks(data));
        errors.extend(rows.map(|(d, md)| d.iter().zip(md).map(|(d, md)| d * md).sum::<f32>()));
        if let Some(gradients) = gradients {
            cotangent.iter_mut().for_each(|d| *d *= weight);
            gradients.copy_from_slice(generator.run_backward(&cotangent, workspace));
            gradients.iter_mut().zip(z).for_each(|(g, z)| *g += z);
        }
    }
}

impl ZChain {
    /// `chains` chains on `generator`, over `threads` threads (on wasm always 1).
    ///
    /// # Errors
    /// If the network does not fit together or is no generator.
    pub fn new(generator: &Weighted, chains: usize, threads: usize) -> Result<ZChain, NetworkError> {
        generator.network.check_generator(&generator.network.output()?)?;
        let generator = Executor::new(&generator.network, &generator.weights)?;
        let walk = Walk::new(chains, generator.input_len(), threads);
        let target = vec![0.0; chains * generator.output_len()];
        Ok(ZChain { posterior: Posterior { generator, target, mask: None, sigma: 1.0 }, walk })
    }

    /// The same chains with the plain kernels, the oracle of the others.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn with_plain_kernels(mut self) -> ZChain {
        self.posterior.generator = self.posterior.generator.with_plain_kernels();
        self
    }

    /// Replace the generator's weights.
    ///
    /// # Errors
    /// If there are not as many as parameters.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), NetworkError> {
        self.posterior.generator.set_weights(weights)
    }

    /// What the latents are to explain: `x`, `[chains, data]`, observed with standard deviation
    /// `sigma`. Elements whose `mask` is 0 are not observed; one mask serves all chains or each has
    /// its own.
    ///
    /// # Panics
    /// If `x` is not one row a chain, or `mask` neither one row nor one a chain.
    pub fn set_target(&mut self, x: &[f32], mask: Option<&[f32]>, sigma: f32) {
        let posterior = &mut self.posterior;
        assert_eq!(x.len(), posterior.target.len(), "target is not one row a chain");
        posterior.target.copy_from_slice(x);
        posterior.mask = mask.map(|mask| {
            let repeats = if mask.len() == x.len() { 1 } else { self.walk.chains };
            assert_eq!(mask.len() * repeats, x.len(), "mask is neither one row nor one a chain");
            mask.repeat(repeats)
        });
        posterior.sigma = sigma;
    }

    /// Start anew at `state`, `[chains, latent]`, and forget the trace.
    ///
    /// # Panics
    /// If `state` is not one row a chain.
    pub fn start(&mut self, state: &[f32], noise: ChainNoise) {
        self.walk.start(state, noise);
    }

    /// `z ← z - (s²/2) ∇[‖g(z) - x‖²·mask/σ² + ‖z‖²/2] + n ε`, `steps` times. With 0 steps the
    /// trace begins.
    pub fn run(&mut self, steps: u32, langevin: &Langevin) {
        self.walk.run(steps, langevin, &self.posterior);
    }

    /// The states, `[chains, latent]`.
    pub fn state(&self) -> &[f32] {
        &self.walk.state
    }

    /// Squared reconstruction errors `Σ mask·(g(z) - x)²` along the way; empty before the first run. Those of the
    /// current states are measured now.
    pub fn trace(&mut self) -> Trace {
        self.walk.trace(&self.posterior)
    }
}
