//! Chains on the page's own thread, a few at a time, so that the page stays alive between them.

use super::Clock;
use dual_mcmc::chain::{ChainNoise, Langevin, Trace};
use dual_mcmc::cpu::{Executor, XChain};
use dual_mcmc::model::Weighted;
use dual_mcmc::network::NetworkError;
use dual_mcmc::noise::{Noise, Stream};

/// Arithmetic that takes a few milliseconds.
const BLOCK_FLOPS: u64 = 20_000_000;
/// Every block holds its own copy of the weights; all of them together stay below this many.
const MOST_WEIGHTS: usize = 1 << 24;

/// Chains in blocks that can be run one after another.
pub struct Sampler {
    blocks: Vec<XChain>,
    chains_per_block: usize,
    chains: usize,
    len: usize,
    /// Where the chains started, `[chains, len]`.
    start: Vec<f32>,
    /// The next block to run, and the steps that this pass over the blocks takes.
    next: usize,
    pass: u32,
    steps: u32,
}

impl Sampler {
    /// `chains` chains on `energy`, or only starts where there is no energy. Samples have `len`
    /// elements.
    ///
    /// # Errors
    /// If the network cannot be an energy.
    pub fn new(energy: Option<&Weighted>, chains: usize, len: usize) -> Result<Sampler, NetworkError> {
        let mut sampler = Sampler {
            blocks: Vec::new(),
            chains_per_block: chains,
            chains,
            len,
            start: vec![0.0; chains * len],
            next: 0,
            pass: 0,
            steps: 0,
        };
        if let Some(energy) = energy {
            let flops = 4 * energy.network.flops()?.max(1);
            let by_time = (BLOCK_FLOPS / flops).clamp(1, 256) as usize;
            let blocks = (MOST_WEIGHTS / energy.weights.len().max(1)).max(1);
            sampler.chains_per_block = by_time.max(chains.div_ceil(blocks)).min(chains);
            let mut left = chains;
            while left > 0 {
                let block = left.min(sampler.chains_per_block);
                sampler.blocks.push(XChain::new(energy, block, 1)?);
                left -= block;
            }
        }
        Ok(sampler)
    }

    /// Start all chains at `state` with the noise of `seed`.
    pub fn start(&mut self, state: Vec<f32>, seed: u64) {
        self.start = state;
        (self.next, self.pass, self.steps) = (0, 0, 0);
        let rows = self.start.chunks(self.chains_per_block * self.len);
        for (i, (block, state)) in self.blocks.iter_mut().zip(rows).enumerate() {
            let first_chain = (i * self.chains_per_block) as u32;
            let noise = Noise::new(seed, Stream::XChain);
            block.start(state, ChainNoise { noise, first_chain, first_step: 0 });
            // The energies of the starts.
            block.run(0, &Langevin::new(1.0, 0.0));
        }
    }

    /// Go on with up to `steps` steps for about `budget` milliseconds, and return how many are
    /// complete. What remains of them is done by the next calls; `steps` 0 only finishes what was
    /// begun.
    pub fn advance(&mut self, steps: u32, langevin: &Langevin, budget: f64, clock: &dyn Clock) -> u32 {
        if self.blocks.is_empty() {
            return 0;
        }
        let begin = clock.now();
        if self.next == 0 {
            self.pass = steps;
        }
        while self.pass > 0 {
            self.blocks[self.next].run(self.pass, langevin);
            self.next += 1;
            if self.next == self.blocks.len() {
                let done = self.pass;
                (self.next, self.pass) = (0, 0);
                self.steps += done;
                return done;
            }
            if clock.now() - begin > budget {
                break;
            }
        }
        0
    }

    /// Whether a step is complete for some of the chains only.
    pub fn midway(&self) -> bool {
        self.next != 0
    }

    /// Steps that all chains have taken.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Where the chains started, `[chains, len]`.
    pub fn start_state(&self) -> &[f32] {
        &self.start
    }

    /// The current states, `[chains, len]`.
    pub fn state(&self) -> Vec<f32> {
        if self.blocks.is_empty() {
            return self.start.clone();
        }
        self.blocks.iter().flat_map(|block| block.state().iter().copied()).collect()
    }

    /// Energies along the way, of the steps that all chains have taken.
    pub fn trace(&self) -> Trace {
        let traces: Vec<Trace> = self.blocks.iter().map(XChain::trace).collect();
        let end = |t: &Trace| t.first_step + t.rows().len() as u32;
        let first = traces.iter().map(|t| t.first_step).max().unwrap_or(0);
        let last = traces.iter().map(end).min().unwrap_or(0);
        let mut values = Vec::new();
        for step in first..last {
            for trace in &traces {
                let row = (step - trace.first_step) as usize * trace.chains;
                values.extend_from_slice(&trace.values[row..row + trace.chains]);
            }
        }
        Trace { first_step: first, chains: self.chains, values }
    }
}

/// Outputs of a network on a batch, a few rows at a time, breathing in between.
///
/// # Errors
/// If the network does not fit together.
pub async fn forward<F: Future<Output = ()>>(
    network: &Weighted,
    x: &[f32],
    breathe: impl Fn() -> F,
) -> Result<Vec<f32>, NetworkError> {
    let executor = Executor::<f32>::new(&network.network, &network.weights)?;
    let rows = (BLOCK_FLOPS / network.network.flops()?.max(1)).clamp(1, 4096) as usize;
    let mut outputs = Vec::new();
    for piece in x.chunks(rows * executor.input_len()) {
        outputs.extend(executor.forward(piece));
        breathe().await;
    }
    Ok(outputs)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use dual_mcmc::network::{Layer, Network};
    use std::cell::Cell;

    /// A clock on which every look takes a millisecond.
    struct Ticking(Cell<f64>);

    impl Clock for Ticking {
        fn now(&self) -> f64 {
            self.0.set(self.0.get() + 1.0);
            self.0.get()
        }
    }

    fn energy(width: usize) -> Weighted {
        let layers = vec![
            Layer::Linear { in_features: 2, out_features: width, bias: true },
            Layer::Silu,
            Layer::Linear { in_features: width, out_features: 1, bias: true },
        ];
        let network = Network { input: vec![2], layers, reference: Some(2.0) };
        let mut weights = vec![0.0; network.parameter_count()];
        Noise::new(3, Stream::Parameters).normals(0, 0, &mut weights);
        Weighted { network, weights }
    }

    #[test]
    fn blocks_are_one_run_of_chains() {
        // Wide enough that a block holds a part of the chains only.
        let energy = energy(100_000);
        let (chains, langevin) = (37, Langevin::new(0.1, 0.1));
        let start = dual_mcmc::chain::noise_start(5, &[2], 0, chains, 0);
        let mut sampler = Sampler::new(Some(&energy), chains, 2).unwrap();
        assert!(sampler.blocks.len() > 2, "{}", sampler.blocks.len());
        sampler.start(start.clone(), 5);
        let clock = Ticking(Cell::new(0.0));
        let mut calls = 0;
        while sampler.steps() < 6 {
            sampler.advance(2, &langevin, 0.5, &clock);
            calls += 1;
        }
        assert!(calls > 6, "a call stays within its time");
        assert!(!sampler.midway());

        let mut whole = XChain::new(&energy, chains, 1).unwrap();
        whole.start(&start, ChainNoise::new(5, Stream::XChain));
        whole.run(6, &langevin);
        for (a, b) in sampler.state().iter().zip(whole.state()) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
        let (a, b) = (sampler.trace(), whole.trace());
        assert_eq!((a.first_step, a.chains, a.values.len()), (b.first_step, b.chains, b.values.len()));
        for (a, b) in a.values.iter().zip(&b.values) {
            assert!((a - b).abs() < 1e-3 * b.abs().max(1.0), "{a} {b}");
        }
    }

    #[test]
    fn without_an_energy_there_are_starts_only() {
        let mut sampler = Sampler::new(None, 3, 2).unwrap();
        sampler.start(vec![1.0; 6], 0);
        let clock = Ticking(Cell::new(0.0));
        assert_eq!(sampler.advance(5, &Langevin::new(0.1, 0.1), 10.0, &clock), 0);
        assert_eq!((sampler.state(), sampler.trace().values.len()), (vec![1.0; 6], 0));
    }
}
