//! Filling in: x-chains on the hidden values of a sample, beside known ones that stay as they are.

use super::{JobError, energy};
use crate::chain::{ChainNoise, Langevin, TRACE_LEN, Trace};
use crate::executor::{Executor, XChain};
use crate::model::Model;
use crate::noise::Stream;
use std::collections::VecDeque;

/// A batch of a model's x-chains on the hidden values of one sample. They sample exp(-E) of these, given the known ones:
/// after each step the known values are what they were.
pub struct Filler {
    chain: XChain,
    len: usize,
    chains: usize,
    /// What is known of the sample: its index and its value.
    known: Vec<(usize, f32)>,
    seed: u64,
    first: u32,
    starts: Vec<f32>,
    states: Vec<f32>,
    steps: u32,
    rows: VecDeque<Vec<f32>>,
}

impl Filler {
    /// `chains` x-chains of `model`, not yet started.
    ///
    /// # Errors
    /// If there is no energy, or so many chains do not fit the executor.
    pub fn new(executor: &Executor, model: &Model, chains: usize) -> Result<Filler, JobError> {
        Ok(Filler {
            chain: executor.x_chain(energy(model)?, chains)?,
            len: model.data_shape().iter().product(),
            chains,
            known: Vec::new(),
            seed: 0,
            first: 0,
            starts: Vec::new(),
            states: Vec::new(),
            steps: 0,
            rows: VecDeque::new(),
        })
    }

    /// Start all chains anew at `states`, `[chains, data]`, as those from number `first` on of a larger batch. Where `mask`
    /// is 1, the values are those of `x`; both `[data]`.
    ///
    /// # Errors
    /// If the states are not as many as the chains, sample or mask are of another length, or the executor fails.
    pub fn start_at(
        &mut self,
        first: u32,
        states: &[f32],
        [x, mask]: [&[f32]; 2],
        seed: u64,
    ) -> Result<(), JobError> {
        let (chains, len) = (self.chains, self.len);
        if states.len() != chains * len || x.len() != len || mask.len() != len {
            return Err(JobError::Samples(format!(
                "{chains} chains, the sample and its mask are of {len} numbers each"
            )));
        }
        let known = |(i, (&x, &mask)): (usize, (&f32, &f32))| (mask != 0.0).then_some((i, x));
        self.known = x.iter().zip(mask).enumerate().filter_map(known).collect();
        (self.seed, self.first, self.steps) = (seed, first, 0);
        self.rows.clear();
        self.states = states.to_vec();
        self.hold();
        self.starts.clone_from(&self.states);
        self.place()
    }

    /// Put the known values where they belong.
    fn hold(&mut self) {
        for state in self.states.chunks_mut(self.len) {
            self.known.iter().for_each(|&(i, value)| state[i] = value);
        }
    }

    /// Let the chain go on from the states, with the random numbers of the next step.
    fn place(&mut self) -> Result<(), JobError> {
        let noise = ChainNoise {
            first_chain: self.first,
            first_step: self.steps,
            ..ChainNoise::new(self.seed, Stream::XChain)
        };
        Ok(self.chain.start(&self.states, noise)?)
    }

    /// Take `steps` steps. They are not adjusted: of MALA's the proposals are taken.
    ///
    /// # Errors
    /// If the chain is impossible, or the executor fails.
    pub async fn advance(&mut self, steps: u32, langevin: &Langevin) -> Result<(), JobError> {
        let langevin = Langevin { mala: false, ..*langevin };
        langevin.check().map_err(JobError::Settings)?;
        for _ in 0..steps {
            self.chain.run(1, &langevin)?;
            if self.rows.len() == TRACE_LEN - 1 {
                self.rows.pop_front();
            }
            let before = self.chain.trace().await?;
            self.rows.push_back(before.rows().next().unwrap_or_default().to_vec());
            self.states = self.chain.state().await?;
            self.hold();
            self.steps += 1;
            self.place()?;
        }
        Ok(())
    }

    /// How many chains there are.
    pub fn chains(&self) -> usize {
        self.chains
    }

    /// Steps taken since the start.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Where the chains started, with the known values, `[chains, data]`.
    pub fn starts(&self) -> &[f32] {
        &self.starts
    }

    /// Where they are, `[chains, data]`.
    pub fn states(&self) -> &[f32] {
        &self.states
    }

    /// Energies along the way.
    ///
    /// # Errors
    /// If the executor fails.
    pub async fn trace(&mut self) -> Result<Trace, JobError> {
        let now = self.chain.trace().await?;
        let values = self.rows.iter().flatten().chain(now.last()).copied().collect();
        Ok(Trace { first_step: self.steps - self.rows.len() as u32, chains: self.chains, values })
    }
}
