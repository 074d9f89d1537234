//! The x-chain and the z-chain on the CPU.
//!
//! Chains do not depend on each other, so each thread takes its share of them, and within a share
//! a few at a time run all their steps before the next few start: their activations stay in cache.

use super::{Evaluator, Workspace};
use crate::chain::{ChainNoise, Langevin, Proposal, TRACE_LEN, Trace};
use crate::model::Weighted;
use crate::network::NetworkError;
use crate::noise::Stream;

/// The function whose gradient a chain follows: it measures states, and gives gradients.
trait Measure: Sync {
    /// The network that is run.
    fn network(&self) -> &Evaluator;

    /// The network, to be changed.
    fn network_mut(&mut self) -> &mut Evaluator;

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

/// The trajectory of chains, x-chains or z-chains: states, counters and trace.
#[derive(Clone, Debug)]
struct Trajectory {
    chains: usize,
    len: usize,
    threads: usize,
    state: Vec<f32>,
    noise: ChainNoise,
    step: u32,
    /// What was measured of the states before each step.
    trace: Trace,
    /// Whether the chains were started.
    started: bool,
    /// Proposals of MALA, and those accepted.
    proposed: u64,
    accepted: u64,
    workspaces: Vec<Workspace<f32>>,
}

/// One tile of chains within a run.
struct Tile<'a> {
    /// Index of the first chain.
    first: usize,
    state: &'a mut [f32],
    /// Values measured, step-major: rows of the tile's chains.
    values: Vec<f32>,
    accepted: u64,
}

impl Trajectory {
    fn new(chains: usize, len: usize, threads: usize) -> Trajectory {
        Trajectory {
            chains,
            len,
            threads: threads.max(1),
            state: vec![0.0; chains * len],
            noise: ChainNoise::new(0, crate::noise::Stream::XChain),
            step: 0,
            trace: Trace { first_step: 0, chains, values: Vec::new() },
            started: false,
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
        self.started = true;
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
        let run_unadjusted = |tile: &mut Tile, workspace: &mut Workspace<f32>| {
            let mut gradients = vec![0.0; tile.state.len()];
            let mut normals = vec![0.0; len];
            for k in first_step..first_step + steps {
                by.measure(tile.first, tile.state, Some(&mut gradients), workspace, &mut tile.values);
                propose(tile.state, &gradients, tile.first, k, &mut normals);
            }
        };
        let run_adjusted = |tile: &mut Tile, workspace: &mut Workspace<f32>| {
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
        let tiles = self.sweep(&mut state, by.network().tile(), &mut workspaces, |tile, workspace| {
            match langevin.mala {
                true => run_adjusted(tile, workspace),
                false => run_unadjusted(tile, workspace),
            }
        });
        let accepted = tiles.iter().map(|tile| tile.accepted).sum::<u64>();
        let rows = side_by_side(self.chains, steps as usize, &tiles);
        (self.workspaces, self.state) = (workspaces, state);
        self.trace.values.extend(rows);
        let dropped = (self.trace.values.len() / self.chains).saturating_sub(TRACE_LEN - 1);
        self.trace.values.drain(..dropped * self.chains);
        self.trace.first_step += dropped as u32;
        self.step += steps;
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
        if self.started {
            let mut workspaces = std::mem::take(&mut self.workspaces);
            let mut state = self.state.clone();
            let tiles = self.sweep(&mut state, by.network().tile(), &mut workspaces, |tile, workspace| {
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

/// Langevin dynamics through a network on the CPU. `M` is the function whose gradient the chain follows.
#[derive(Clone, Debug)]
pub struct Chain<M> {
    target: M,
    trajectory: Trajectory,
}

/// Langevin dynamics on an energy.
pub type XChain = Chain<Energy>;

/// Langevin dynamics on the posterior of a generator's latents.
pub type ZChain = Chain<Posterior>;

#[allow(private_bounds, reason = "there are two, both here")]
impl<M: Measure> Chain<M> {
    /// These chains with the plain kernels, which are the oracle of the fast ones.
    #[cfg(feature = "workbench")]
    pub fn with_plain_kernels(mut self) -> Chain<M> {
        let network = self.target.network_mut();
        network.use_plain_kernels();
        self
    }

    /// Replace the network's weights.
    ///
    /// # Errors
    /// If there are not as many as parameters.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), NetworkError> {
        self.target.network_mut().set_weights(weights)
    }

    /// Start anew at `state`, `[chains, data or latent]`, and begin the trace.
    ///
    /// # Panics
    /// If `state` is not one row a chain.
    pub fn start(&mut self, state: &[f32], noise: ChainNoise) {
        self.trajectory.start(state, noise);
    }

    /// Take `steps` steps: of the x-chain `x ← x - (s²/2) ∇E(x) + n ε`, each accepted or rejected if it is to be MALA;
    /// of the z-chain `z ← z - (s²/2) ∇[‖g(z) - x‖²·mask/σ² + ‖z‖²/2] + n ε`.
    pub fn run(&mut self, steps: u32, langevin: &Langevin) {
        self.trajectory.run(steps, langevin, &self.target);
    }

    /// The states, `[chains, data or latent]`.
    pub fn state(&self) -> &[f32] {
        &self.trajectory.state
    }

    /// Energies, or squared reconstruction errors `Σ mask·(g(z) - x)²`, along the way; empty before the first start.
    /// Those of the current states are measured now.
    pub fn trace(&mut self) -> Trace {
        self.trajectory.trace(&self.target)
    }
}

/// The x-chain's target: the network's output.
#[derive(Clone, Debug)]
pub struct Energy {
    network: Evaluator,
    /// The cotangents of a tile's energies.
    ones: Vec<f32>,
}

impl Measure for Energy {
    fn network(&self) -> &Evaluator {
        &self.network
    }

    fn network_mut(&mut self) -> &mut Evaluator {
        &mut self.network
    }

    fn measure(
        &self,
        _first: usize,
        x: &[f32],
        gradients: Option<&mut [f32]>,
        workspace: &mut Workspace<f32>,
        energies: &mut Vec<f32>,
    ) {
        let network = &self.network;
        energies.extend_from_slice(network.run_forward(x, workspace));
        if let Some(gradients) = gradients {
            let ones = &self.ones[..x.len() / network.input_len()];
            gradients.copy_from_slice(network.run_backward(ones, workspace));
        }
    }
}

impl XChain {
    /// Creates `chains` x-chains on `energy`, over `threads` threads (on wasm always 1).
    ///
    /// # Errors
    /// If the network does not fit together or is no energy.
    pub fn new(energy: &Weighted, chains: usize, threads: usize) -> Result<XChain, NetworkError> {
        energy.network.check_energy(&energy.network.input)?;
        let network = Evaluator::new(&energy.network, &energy.weights)?;
        let trajectory = Trajectory::new(chains, network.input_len(), threads);
        let ones = vec![1.0; network.tile()];
        Ok(Chain { target: Energy { network, ones }, trajectory })
    }

    /// Share of MALA's proposals accepted since the start; `None` without any.
    pub fn acceptance(&self) -> Option<f32> {
        let Trajectory { proposed, accepted, .. } = self.trajectory;
        (proposed > 0).then(|| (accepted as f64 / proposed as f64) as f32)
    }
}

/// The z-chain's target: squared error plus the prior's term.
#[derive(Clone, Debug)]
pub struct Posterior {
    network: Evaluator,
    observed: Vec<f32>,
    mask: Option<Vec<f32>>,
    sigma: f32,
}

impl Measure for Posterior {
    fn network(&self) -> &Evaluator {
        &self.network
    }

    fn network_mut(&mut self) -> &mut Evaluator {
        &mut self.network
    }

    fn measure(
        &self,
        first: usize,
        z: &[f32],
        gradients: Option<&mut [f32]>,
        workspace: &mut Workspace<f32>,
        errors: &mut Vec<f32>,
    ) {
        let generator = &self.network;
        let (data, weight) = (generator.output_len(), 2.0 / (self.sigma * self.sigma));
        let mut difference = generator.run_forward(z, workspace).to_vec();
        let range = first * data..first * data + difference.len();
        difference.iter_mut().zip(&self.observed[range.clone()]).for_each(|(g, x)| *g -= x);
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
    /// Creates `chains` z-chains on `generator`, over `threads` threads (on wasm always 1).
    ///
    /// # Errors
    /// If the network does not fit together or is no generator.
    pub fn new(generator: &Weighted, chains: usize, threads: usize) -> Result<ZChain, NetworkError> {
        generator.network.check_generator(&generator.network.output()?)?;
        let network = Evaluator::new(&generator.network, &generator.weights)?;
        let trajectory = Trajectory::new(chains, network.input_len(), threads);
        let observed = vec![0.0; chains * network.output_len()];
        Ok(Chain { target: Posterior { network, observed, mask: None, sigma: 1.0 }, trajectory })
    }

    /// Sets the observed samples, which the latents are to explain: `x`, `[chains, data]`, observed with
    /// standard deviation `sigma`. Elements whose `mask` is 0 are not observed; one mask serves all chains
    /// or each has its own.
    ///
    /// # Panics
    /// If `x` is not one row a chain, or `mask` neither one row nor one a chain.
    pub fn set_target(&mut self, x: &[f32], mask: Option<&[f32]>, sigma: f32) {
        let posterior = &mut self.target;
        assert_eq!(x.len(), posterior.observed.len(), "target is not one row a chain");
        posterior.observed.copy_from_slice(x);
        posterior.mask = mask.map(|mask| {
            let repeats = if mask.len() == x.len() { 1 } else { self.trajectory.chains };
            assert_eq!(mask.len() * repeats, x.len(), "mask is neither one row nor one a chain");
            mask.repeat(repeats)
        });
        posterior.sigma = sigma;
    }
}
