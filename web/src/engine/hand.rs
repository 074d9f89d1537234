//! Chains on the processor, from a model's file to their states: what a thread of its own does for the page.

use super::start;
use crate::state::Facts;
use dual_mcmc::chain::{ChainNoise, Langevin, Trace, noise_start};
use dual_mcmc::cpu::{Executor, XChain};
use dual_mcmc::model::Model;
use dual_mcmc::noise::Stream;

/// A model and its chains.
pub struct Hand {
    model: Model,
    facts: Facts,
    chains: usize,
    /// None for a model without an energy, whose samples stay as they are.
    chain: Option<XChain>,
}

impl Hand {
    /// `chains` chains of the model in `file`, not yet started.
    ///
    /// # Errors
    /// If the file is no model, or its energy is none.
    pub fn new(file: &[u8], chains: usize) -> Result<Hand, String> {
        let model = Model::from_bytes(file).map_err(|error| error.to_string())?;
        let chain = model.energy.as_ref().map(|energy| XChain::new(energy, chains, 1));
        let chain = chain.transpose().map_err(|error| error.to_string())?;
        Ok(Hand { facts: Facts::of(&model), model, chains, chain })
    }

    /// Start all chains, at samples of the generator or at noise. Returns where, `[chains, data]`.
    ///
    /// # Errors
    /// If the generator is none.
    pub fn start(&mut self, seed: u64, from_generator: bool) -> Result<Vec<f32>, String> {
        let state = match &self.model.generator {
            Some(generator) if from_generator => {
                let latents = start::latents(seed, self.chains, self.facts.latent);
                let executor = Executor::<f32>::new(&generator.network, &generator.weights);
                executor.map_err(|error| error.to_string())?.forward(&latents)
            }
            _ => noise_start(seed, &self.facts.shape, 0, self.chains, 0),
        };
        if let Some(chain) = &mut self.chain {
            chain.start(&state, ChainNoise::new(seed, Stream::XChain));
            // The energies of the starts.
            chain.run(0, &Langevin::new(1.0, 0.0));
        }
        Ok(state)
    }

    /// Take steps. Returns the states, `[chains, data]`.
    pub fn advance(&mut self, steps: u32, step_size: f32, noise: f32) -> &[f32] {
        let langevin = self.facts.langevin(Some(step_size), Some(noise));
        self.chain.as_mut().map_or(&[], |chain| {
            chain.run(steps, &langevin);
            chain.state()
        })
    }

    /// Energies along the way.
    pub fn trace(&self) -> Trace {
        self.chain.as_ref().map(XChain::trace).unwrap_or_default()
    }

    /// Energies at `points`, `[n, data]`.
    ///
    /// # Errors
    /// If there is no energy, or not a whole number of points.
    pub fn energies(&self, points: &[f32]) -> Result<Vec<f32>, String> {
        let energy = self.model.energy.as_ref().ok_or("this model has no energy")?;
        let len = energy.network.input_len();
        if points.is_empty() || !points.len().is_multiple_of(len) {
            return Err(format!("x must hold whole samples of {len} numbers, not {}", points.len()));
        }
        let executor = Executor::<f32>::new(&energy.network, &energy.weights);
        Ok(executor.map_err(|error| error.to_string())?.forward(points))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ring() -> Vec<u8> {
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/ring.safetensors")).unwrap()
    }

    #[test]
    fn a_file_becomes_the_chains_of_its_model() {
        let model = Model::from_bytes(&ring()).unwrap();
        let energy = model.energy.as_ref().unwrap();
        let mut hand = Hand::new(&ring(), 37).unwrap();
        let start = hand.start(5, true).unwrap();
        let mut chain = XChain::new(energy, 37, 2).unwrap();
        chain.start(&start, ChainNoise::new(5, Stream::XChain));
        let langevin = Langevin { step_size: 0.05, noise: 0.02, ..model.chains.x.unwrap().langevin };
        chain.run(6, &langevin);
        hand.advance(2, 0.05, 0.02);
        assert_eq!(hand.advance(4, 0.05, 0.02), chain.state());
        let (a, b) = (hand.trace(), chain.trace());
        assert_eq!((a.first_step, a.rows().len(), b.rows().len()), (0, 7, 7));
        let last: Vec<f32> = b.rows().last().unwrap().to_vec();
        for (a, b) in hand.energies(chain.state()).unwrap().iter().zip(last) {
            assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{a} {b}");
        }
        assert_ne!(hand.start(5, false).unwrap(), start, "from noise");
        assert_eq!(hand.trace().rows().len(), 1);
    }

    #[test]
    fn without_an_energy_there_are_starts_only() {
        let mut model = Model::from_bytes(&ring()).unwrap();
        model.energy = None;
        let file = model.to_bytes(dual_mcmc::model::Precision::F32).unwrap();
        let mut hand = Hand::new(&file, 3).unwrap();
        assert_eq!(hand.start(0, true).unwrap().len(), 6);
        assert!(hand.advance(5, 0.1, 0.1).is_empty() && hand.trace().values.is_empty());
        assert!(hand.energies(&[0.0; 2]).unwrap_err().contains("no energy"));
    }

    #[test]
    fn what_is_no_model_or_no_sample_is_refused() {
        assert!(Hand::new(b"not a model", 3).is_err());
        let hand = Hand::new(&ring(), 3).unwrap();
        assert!(hand.energies(&[0.0; 3]).unwrap_err().contains("2 numbers"));
    }
}
