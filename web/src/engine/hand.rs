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
    /// Number of the first chain, and how many there are.
    first: usize,
    chains: usize,
    /// None for a model without an energy, whose samples stay as they are.
    chain: Option<XChain>,
}

impl Hand {
    /// The `chains` chains from number `first` on of the model in `file`, not yet started.
    ///
    /// # Errors
    /// If the file is no model, or its energy is none.
    pub fn new(file: &[u8], first: usize, chains: usize) -> Result<Hand, String> {
        let model = Model::from_bytes(file).map_err(|error| error.to_string())?;
        let chain = model.energy.as_ref().map(|energy| XChain::new(energy, chains, 1));
        let chain = chain.transpose().map_err(|error| error.to_string())?;
        Ok(Hand { facts: Facts::of(&model), model, first, chains, chain })
    }

    /// Start all chains, at samples of the generator or at noise. Returns where, `[chains, data]`.
    ///
    /// # Errors
    /// If the generator is none.
    pub fn start(&mut self, seed: u64, from_generator: bool) -> Result<Vec<f32>, String> {
        let first_chain = self.first as u32;
        let state = match &self.model.generator {
            Some(generator) if from_generator => {
                let latents = start::latents(seed, self.first, self.chains, self.facts.latent);
                let executor = Executor::<f32>::new(&generator.network, &generator.weights);
                executor.map_err(|error| error.to_string())?.forward(&latents)
            }
            _ => noise_start(seed, &self.facts.shape, first_chain, self.chains, 0),
        };
        if let Some(chain) = &mut self.chain {
            chain.start(&state, ChainNoise { first_chain, ..ChainNoise::new(seed, Stream::XChain) });
            // From here on there are energies to ask for.
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
    pub fn trace(&mut self) -> Trace {
        self.chain.as_mut().map(XChain::trace).unwrap_or_default()
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
    fn hands_share_the_chains_of_a_model() {
        let model = Model::from_bytes(&ring()).unwrap();
        let energy = model.energy.as_ref().unwrap();
        for from_generator in [true, false] {
            let mut hands =
                [(0, 20), (20, 17)].map(|(first, chains)| Hand::new(&ring(), first, chains).unwrap());
            let start = hands.each_mut().map(|hand| hand.start(5, from_generator).unwrap()).concat();
            let mut chain = XChain::new(energy, 37, 2).unwrap();
            chain.start(&start, ChainNoise::new(5, Stream::XChain));
            let langevin = Langevin { step_size: 0.05, noise: 0.02, ..model.chains.x.unwrap().langevin };
            chain.run(6, &langevin);
            for hand in &mut hands {
                hand.advance(2, 0.05, 0.02);
            }
            let states = hands.each_mut().map(|hand| hand.advance(4, 0.05, 0.02).to_vec()).concat();
            for (a, b) in states.iter().zip(chain.state()) {
                assert!((a - b).abs() < 1e-4, "{a} {b}");
            }
            let trace = Trace::side_by_side(hands.each_mut().map(Hand::trace).into());
            assert_eq!((trace.first_step, trace.chains, trace.rows().len()), (0, 37, 7));
            let last = trace.rows().last().unwrap().to_vec();
            for (a, b) in hands[0].energies(&states).unwrap().iter().zip(last) {
                assert!((a - b).abs() <= 1e-4 * b.abs().max(1.0), "{a} {b}");
            }
            let mut whole = Hand::new(&ring(), 0, 37).unwrap();
            assert_eq!(whole.start(5, from_generator).unwrap(), start);
            assert_eq!(whole.trace().rows().len(), 1);
        }
    }

    #[test]
    fn without_an_energy_there_are_starts_only() {
        let mut model = Model::from_bytes(&ring()).unwrap();
        model.energy = None;
        let file = model.to_bytes(dual_mcmc::model::Precision::F32).unwrap();
        let mut hand = Hand::new(&file, 0, 3).unwrap();
        assert_eq!(hand.start(0, true).unwrap().len(), 6);
        assert!(hand.advance(5, 0.1, 0.1).is_empty() && hand.trace().values.is_empty());
        assert!(hand.energies(&[0.0; 2]).unwrap_err().contains("no energy"));
    }

    #[test]
    fn what_is_no_model_or_no_sample_is_refused() {
        assert!(Hand::new(b"not a model", 0, 3).is_err());
        let hand = Hand::new(&ring(), 0, 3).unwrap();
        assert!(hand.energies(&[0.0; 3]).unwrap_err().contains("2 numbers"));
    }
}
