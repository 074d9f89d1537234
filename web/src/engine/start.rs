//! Where chains start, as numbers: the same latents on every device.

use dual_mcmc::noise::{Noise, Stream};

/// Latents z ~ N(0, I) of the `chains` chains from number `first` on, `[chains, latent]`.
pub fn latents(seed: u64, first: usize, chains: usize, latent: usize) -> Vec<f32> {
    Noise::new(seed, Stream::Prior).normal_rows(first as u32, chains, latent, 0)
}
