//! Where chains start, as numbers: the same latents on every device.

use dual_mcmc::noise::{Noise, Stream};

/// Latents z ~ N(0, I) of `chains` chains, `[chains, latent]`.
pub fn latents(seed: u64, chains: usize, latent: usize) -> Vec<f32> {
    Noise::new(seed, Stream::Prior).normal_rows(0, chains, latent, 0)
}
