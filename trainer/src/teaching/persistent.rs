//! Persistent chains: x-chains that go on from where an earlier iteration left them.
//!
//! Not in the paper. A chain that always starts at the generator stays near it; a chain carried
//! over for many iterations shows the energy what it says about the rest of the space.

use crate::recipe::Persistent;
use dual_mcmc::noise::{Noise, Stream};

/// Chain numbers of the draws; those of the restarts count from zero.
const DRAWS: u32 = 1 << 31;

/// The states of all chains.
pub(super) struct PersistentChains {
    settings: Persistent,
    drawn: usize,
    len: usize,
    states: Vec<f32>,
}

impl PersistentChains {
    /// All chains start uniformly in the range.
    pub fn new(settings: &Persistent, batch: usize, len: usize, seed: u64) -> PersistentChains {
        let drawn = drawn(settings, batch);
        let mut states = vec![0.0; settings.size * len];
        for (slot, state) in states.chunks_mut(len).enumerate() {
            // The last step of the counter, which no iteration reaches.
            Noise::new(seed, Stream::Persistent).uniforms(slot as u32, u32::MAX, state);
            into_range(state, settings.range);
        }
        PersistentChains { settings: *settings, drawn, len, states }
    }

    /// Draw this iteration's chains, without repetition, and restart some of them.
    pub fn draw(&mut self, seed: u64, iteration: u64) -> Drawn {
        let noise = Noise::new(seed, Stream::Persistent);
        let step = iteration as u32;
        let mut slots: Vec<usize> = (0..self.settings.size).collect();
        let mut states = Vec::with_capacity(self.drawn * self.len);
        let mut from_generator = vec![false; self.drawn];
        let mut uniforms = vec![0.0; 1 + self.len];
        for i in 0..self.drawn {
            let rest = (self.settings.size - i) as u32;
            slots.swap(i, i + noise.below(DRAWS + i as u32, step, rest) as usize);
            noise.uniforms(i as u32, step, &mut uniforms);
            from_generator[i] = uniforms[0] < self.settings.restart * self.settings.from_generator;
            if uniforms[0] < self.settings.restart {
                into_range(&mut uniforms[1..], self.settings.range);
                states.extend_from_slice(&uniforms[1..]);
            } else {
                states.extend_from_slice(&self.states[slots[i] * self.len..][..self.len]);
            }
        }
        slots.truncate(self.drawn);
        Drawn { slots, states, from_generator }
    }

    /// Keep where the drawn chains have come to. A state that is not finite is not kept.
    pub fn put_back(&mut self, slots: &[usize], states: &[f32]) {
        for (slot, state) in slots.iter().zip(states.chunks(self.len)) {
            if state.iter().all(|v| v.is_finite()) {
                self.states[slot * self.len..][..self.len].copy_from_slice(state);
            }
        }
    }

    /// All states, `[size, data]`.
    pub fn states(&self) -> &[f32] {
        &self.states
    }

    /// All states, to be restored.
    pub fn states_mut(&mut self) -> &mut Vec<f32> {
        &mut self.states
    }
}

/// Chains drawn from all.
pub(super) struct Drawn {
    /// Which ones.
    pub slots: Vec<usize>,
    /// Their states, `[slots, data]`.
    pub states: Vec<f32>,
    /// Whether a chain restarts at a sample of the generator, which is to take its state's place.
    pub from_generator: Vec<bool>,
}

/// How many of a batch's negatives are persistent.
pub(super) fn drawn(settings: &Persistent, batch: usize) -> usize {
    (settings.share * batch as f32).round() as usize
}

fn into_range(uniforms: &mut [f32], [low, high]: [f32; 2]) {
    uniforms.iter_mut().for_each(|v| *v = low + (high - low) * *v);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_drawn_once_carried_over_and_restarted_at_the_stated_rate() {
        let settings =
            Persistent { share: 0.25, size: 100, restart: 0.2, from_generator: 0.25, range: [-4.0, 4.0] };
        let mut chains = PersistentChains::new(&settings, 64, 2, 7);
        assert!(chains.states().iter().all(|v| v.abs() <= 4.0));
        let (mut restarts, mut from_generator) = (0, 0);
        for t in 0..500 {
            let before = chains.states.clone();
            let Drawn { slots, states, from_generator: marks } = chains.draw(7, t);
            from_generator += marks.iter().filter(|mark| **mark).count();
            let distinct: std::collections::BTreeSet<_> = slots.iter().collect();
            assert_eq!((slots.len(), distinct.len()), (16, 16));
            let same = |(slot, state): (&usize, &[f32])| state == &before[slot * 2..slot * 2 + 2];
            restarts += slots.iter().zip(states.chunks(2)).filter(|pair| !same(*pair)).count();
            // Marks that tell carried-over chains from restarted ones.
            chains.put_back(&slots, &[100.0 + t as f32; 32]);
        }
        for (count, expected) in [(restarts, 0.2f32), (from_generator, 0.05)] {
            let rate = count as f32 / 8000.0;
            assert!((rate - expected).abs() < 4.0 * (expected * (1.0 - expected) / 8000.0).sqrt(), "{rate}");
        }
        let kept = chains.states.clone();
        chains.put_back(&[3], &[f32::NAN, 1.0]);
        assert_eq!(chains.states, kept);
    }
}
