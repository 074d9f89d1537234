//! Latents kept from the last visit: z-chains that go on where the chain of the same sample ended.
//!
//! Not in the paper, which starts each chain at the encoder. It is how generators are learned
//! without one (alternating back-propagation: Han, Lu, Zhu & Wu, AAAI 2017).

/// One latent for each sample of the data that has been in a batch.
#[derive(Default)]
pub(super) struct KeptLatents {
    latent: usize,
    /// Rows by sample; NaN where there has been no visit.
    states: Vec<f32>,
}

impl KeptLatents {
    pub fn new(latent: usize) -> KeptLatents {
        KeptLatents { latent, states: Vec::new() }
    }

    /// Where the chains of `samples` start: where they ended last, or at their row of `fresh`.
    pub fn starts(&self, samples: &[usize], mut fresh: Vec<f32>) -> Vec<f32> {
        for (start, sample) in fresh.chunks_mut(self.latent).zip(samples) {
            let kept = self.states.get(sample * self.latent..(sample + 1) * self.latent);
            if let Some(kept) = kept.filter(|kept| !kept[0].is_nan()) {
                start.copy_from_slice(kept);
            }
        }
        fresh
    }

    /// Keep where the chains have come to. A state that is not finite is not kept.
    pub fn put_back(&mut self, samples: &[usize], states: &[f32]) {
        for (state, sample) in states.chunks(self.latent).zip(samples) {
            let end = (sample + 1) * self.latent;
            if self.states.len() < end {
                self.states.resize(end, f32::NAN);
            }
            if state.iter().all(|v| v.is_finite()) {
                self.states[end - self.latent..end].copy_from_slice(state);
            }
        }
    }

    /// All states, as long as the highest sample visited needs.
    pub fn states(&self) -> &[f32] {
        &self.states
    }

    /// All states, to be restored.
    pub fn set_states(&mut self, states: Vec<f32>) {
        self.states = states;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visited_sample_starts_where_it_ended_and_others_afresh() {
        let mut kept = KeptLatents::new(2);
        let fresh = vec![1.0, 2.0, 3.0, 4.0];
        assert_eq!(kept.starts(&[5, 0], fresh.clone()), fresh);
        kept.put_back(&[5, 0], &[9.0, 8.0, f32::INFINITY, 0.0]);
        assert_eq!(kept.starts(&[5, 0], fresh.clone()), [9.0, 8.0, 3.0, 4.0]);
        assert_eq!(kept.starts(&[4, 700], fresh.clone()), fresh);
        assert_eq!(kept.states().len(), 12);
    }
}
