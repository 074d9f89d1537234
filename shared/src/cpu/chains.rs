//! The x-chain and the z-chain on the CPU.
//!
//! Chains do not depend on each other, so each thread takes its share of them, and within a share
//! a few at a time run all their steps before the next few start: their activations stay in cache.

use super::{Executor, Workspace};
use crate::chain::{ChainNoise, Langevin, Proposal, TRACE_LEN, Trace};
use crate::model::Weighted;
use crate::network::NetworkError;
use crate::noise::Stream;

/// States, counters and trace that both chains share.
#[derive(Clone, Debug)]
struct Walk {
    chains: usize,
    len: usize,
    threads: usize,
    state: Vec<f32>,
    noise: ChainNoise,
    step: u32,
    trace: Trace,
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
    /// Values measured, step-major: `steps + 1` rows of the tile's chains.
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
    }

    /// Run `steps` updates. `measure(first chain, states, gradients or None, workspace, values)`
    /// appends one value a chain and, where gradients are wanted, writes them.
    fn run<F>(&mut self, steps: u32, langevin: &Langevin, tile: usize, measure: F)
    where
        F: Fn(usize, &[f32], Option<&mut [f32]>, &mut Workspace<f32>, &mut Vec<f32>) + Sync,
    {
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
                measure(tile.first, tile.state, Some(&mut gradients), workspace, &mut tile.values);
                propose(tile.state, &gradients, tile.first, k, &mut normals);
            }
            measure(tile.first, tile.state, None, workspace, &mut tile.values);
        };
        let walk_adjusted = |tile: &mut Tile, workspace: &mut Workspace<f32>| {
            let mut gradients = vec![0.0; tile.state.len()];
            let mut new_gradients = gradients.clone();
            let (mut energies, mut new_energies) = (Vec::new(), Vec::new());
            let mut normals = vec![0.0; len];
            let mut proposal = Vec::new();
            measure(tile.first, tile.state, Some(&mut gradients), workspace, &mut energies);
            let acceptance = noise.noise.with_stream(Stream::Acceptance);
            for k in first_step..first_step + steps {
                tile.values.extend_from_slice(&energies);
                proposal.clear();
                proposal.extend_from_slice(tile.state);
                propose(&mut proposal, &gradients, tile.first, k, &mut normals);
                new_energies.clear();
                measure(tile.first, &proposal, Some(&mut new_gradients), workspace, &mut new_energies);
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
            tile.values.extend_from_slice(&energies);
        };
        let walk_tile = |tile: &mut Tile, workspace: &mut Workspace<f32>| match langevin.mala {
            true => walk_adjusted(tile, workspace),
            false => walk_unadjusted(tile, workspace),
        };

        let share = self.chains.div_ceil(self.threads);
        let tile = tile.min(share).max(1);
        let mut tiles: Vec<Tile> = Vec::new();
        for (t, states) in self.state.chunks_mut(share * len).enumerate() {
            for (i, state) in states.chunks_mut(tile * len).enumerate() {
                tiles.push(Tile { first: t * share + i * tile, state, values: Vec::new(), accepted: 0 });
            }
        }
        self.workspaces.resize_with(self.threads, Workspace::default);
        let per_thread = share.div_ceil(tile);
        let mut work = tiles.chunks_mut(per_thread).zip(&mut self.workspaces);
        if cfg!(target_arch = "wasm32") || self.threads == 1 {
            for (tiles, workspace) in work {
                tiles.iter_mut().for_each(|tile| walk_tile(tile, workspace));
            }
        } else {
            std::thread::scope(|scope| {
                let here = work.next();
                for (tiles, workspace) in work {
                    let walk_tile = &walk_tile;
                    scope.spawn(move || tiles.iter_mut().for_each(|tile| walk_tile(tile, workspace)));
                }
                if let Some((tiles, workspace)) = here {
                    tiles.iter_mut().for_each(|tile| walk_tile(tile, workspace));
                }
            });
        }

        // The current states were measured by the run before: that row is measured again.
        let rows = self.trace.rows().len().saturating_sub(1);
        self.trace.values.truncate(rows * self.chains);
        let new_rows = steps as usize + 1;
        let offset = self.trace.values.len();
        self.trace.values.resize(offset + new_rows * self.chains, 0.0);
        for tile in &tiles {
            let width = tile.values.len() / new_rows;
            for (row, values) in tile.values.chunks(width).enumerate() {
                let start = offset + row * self.chains + tile.first;
                self.trace.values[start..start + width].copy_from_slice(values);
            }
        }
        let dropped = (self.trace.values.len() / self.chains).saturating_sub(TRACE_LEN);
        self.trace.values.drain(..dropped * self.chains);
        self.trace.first_step += dropped as u32;
        self.step += steps;
        if langevin.mala {
            self.proposed += u64::from(steps) * self.chains as u64;
            self.accepted += tiles.iter().map(|tile| tile.accepted).sum::<u64>();
        }
    }
}

/// Langevin dynamics on an energy.
#[derive(Clone, Debug)]
pub struct XChain {
    energy: Executor,
    walk: Walk,
}

impl XChain {
    /// `chains` chains on `energy`, over `threads` threads (on wasm always 1).
    ///
    /// # Errors
    /// If the network does not fit together or is no energy.
    pub fn new(energy: &Weighted, chains: usize, threads: usize) -> Result<XChain, NetworkError> {
        energy.network.check_energy(&energy.network.input)?;
        let energy = Executor::new(&energy.network, &energy.weights)?;
        let walk = Walk::new(chains, energy.input_len(), threads);
        Ok(XChain { energy, walk })
    }

    /// Replace the energy's weights.
    ///
    /// # Errors
    /// If there are not as many as parameters.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), NetworkError> {
        self.energy.set_weights(weights)
    }

    /// Start anew at `state`, `[chains, data]`, and forget the trace.
    ///
    /// # Panics
    /// If `state` is not one row a chain.
    pub fn start(&mut self, state: &[f32], noise: ChainNoise) {
        self.walk.start(state, noise);
    }

    /// `x ← x - (s²/2) ∇E(x) + n ε`, `steps` times, each accepted or rejected if it is to be MALA.
    /// With 0 steps the energies are measured only.
    pub fn run(&mut self, steps: u32, langevin: &Langevin) {
        let energy = &self.energy;
        let (len, ones) = (energy.input_len(), vec![1.0; energy.tile()]);
        self.walk.run(steps, langevin, energy.tile(), |_, x, gradients, workspace, energies| {
            energies.extend_from_slice(energy.run_forward(x, workspace));
            if let Some(gradients) = gradients {
                gradients.copy_from_slice(energy.run_backward(&ones[..x.len() / len], workspace));
            }
        });
    }

    /// The states, `[chains, data]`.
    pub fn state(&self) -> &[f32] {
        &self.walk.state
    }

    /// Energies along the way.
    pub fn trace(&self) -> Trace {
        self.walk.trace.clone()
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
    generator: Executor,
    target: Vec<f32>,
    mask: Option<Vec<f32>>,
    sigma: f32,
    walk: Walk,
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
        Ok(ZChain { generator, target, mask: None, sigma: 1.0, walk })
    }

    /// Replace the generator's weights.
    ///
    /// # Errors
    /// If there are not as many as parameters.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), NetworkError> {
        self.generator.set_weights(weights)
    }

    /// What the latents are to explain: `x`, `[chains, data]`, observed with standard deviation
    /// `sigma`. Elements whose `mask` is 0 are not observed; one mask serves all chains or each has
    /// its own.
    ///
    /// # Panics
    /// If `x` is not one row a chain, or `mask` neither one row nor one a chain.
    pub fn set_target(&mut self, x: &[f32], mask: Option<&[f32]>, sigma: f32) {
        assert_eq!(x.len(), self.target.len(), "target is not one row a chain");
        self.target.copy_from_slice(x);
        self.mask = mask.map(|mask| {
            let repeats = if mask.len() == x.len() { 1 } else { self.walk.chains };
            assert_eq!(mask.len() * repeats, x.len(), "mask is neither one row nor one a chain");
            mask.repeat(repeats)
        });
        self.sigma = sigma;
    }

    /// Start anew at `state`, `[chains, latent]`, and forget the trace.
    ///
    /// # Panics
    /// If `state` is not one row a chain.
    pub fn start(&mut self, state: &[f32], noise: ChainNoise) {
        self.walk.start(state, noise);
    }

    /// `z ← z - (s²/2) ∇[‖g(z) - x‖²·mask/σ² + ‖z‖²/2] + n ε`, `steps` times. With 0 steps the
    /// errors are measured only.
    pub fn run(&mut self, steps: u32, langevin: &Langevin) {
        let (generator, target, mask) = (&self.generator, &self.target, &self.mask);
        let (data, weight) = (generator.output_len(), 2.0 / (self.sigma * self.sigma));
        self.walk.run(steps, langevin, generator.tile(), |first, z, gradients, workspace, errors| {
            let mut difference = generator.run_forward(z, workspace).to_vec();
            let range = first * data..first * data + difference.len();
            difference.iter_mut().zip(&target[range.clone()]).for_each(|(g, x)| *g -= x);
            let mut cotangent = difference.clone();
            if let Some(mask) = mask {
                cotangent.iter_mut().zip(&mask[range]).for_each(|(d, m)| *d *= m);
            }
            let rows = difference.chunks(data).zip(cotangent.chunks(data));
            errors.extend(rows.map(|(d, md)| d.iter().zip(md).map(|(d, md)| d * md).sum::<f32>()));
            if let Some(gradients) = gradients {
                cotangent.iter_mut().for_each(|d| *d *= weight);
                gradients.copy_from_slice(generator.run_backward(&cotangent, workspace));
                gradients.iter_mut().zip(z).for_each(|(g, z)| *g += z);
            }
        });
    }

    /// The states, `[chains, latent]`.
    pub fn state(&self) -> &[f32] {
        &self.walk.state
    }

    /// Squared reconstruction errors `Σ mask·(g(z) - x)²` along the way.
    pub fn trace(&self) -> Trace {
        self.walk.trace.clone()
    }
}
