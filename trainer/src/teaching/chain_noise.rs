//! What a chain takes and gives wherever it runs: noise by the numbers of its chains, and its end.

use crate::networks::{BurnNetwork, Normalise, Statistics, rows};
use dual_mcmc::chain::{ChainNoise, Trace};
use dual_mcmc::noise::Noise;
use std::ops::Range;

/// The states at which chains ended, and what was measured on the way.
pub struct ChainEnds {
    /// One row a chain.
    pub state: Vec<f32>,
    /// Energies of the x-chain, squared errors of the z-chain.
    pub trace: Trace,
    /// Share of MALA's proposals accepted.
    pub acceptance: Option<f32>,
}

/// Noise of an iteration's steps, for chains of any numbers.
pub(super) struct StepNoise {
    pub(super) noise: Noise,
    pub(super) first_step: u32,
}

impl StepNoise {
    /// The noise of the chains from number `first_chain` on.
    pub(super) fn from(&self, first_chain: u32) -> ChainNoise {
        ChainNoise { noise: self.noise, first_chain, first_step: self.first_step }
    }

    /// The noise of the chains of these numbers.
    pub(super) fn of(self, numbers: Vec<Range<u32>>) -> NumberedNoise {
        NumberedNoise { steps: self, numbers }
    }
}

/// Noise of an iteration's steps, for chains of certain numbers.
pub(super) struct NumberedNoise {
    pub(super) steps: StepNoise,
    pub(super) numbers: Vec<Range<u32>>,
}

impl NumberedNoise {
    /// Standard normals of all chains for one step, `[chains, len]`.
    pub(super) fn normals(&self, step: u32, len: usize) -> Vec<f32> {
        let StepNoise { noise, first_step } = &self.steps;
        let step = first_step.wrapping_add(step);
        let rows = |range: &Range<u32>| noise.normal_rows(range.start, range.len(), len, step);
        self.numbers.iter().flat_map(rows).collect()
    }
}

/// Statistics of the generator's batch norms over the latents where the z-chain starts.
pub fn start_statistics(generator: &BurnNetwork, start: &[f32]) -> Vec<Statistics> {
    if !generator.has_batch_norm() {
        return Vec::new();
    }
    let z = rows(start, generator.input_len(), generator.device());
    generator.constant().forward(z, Normalise::Batch).statistics
}
