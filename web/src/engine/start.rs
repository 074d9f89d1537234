//! Where chains start, as numbers: the same latents and the same noise on every device.

use dual_mcmc::noise::{Noise, Stream};

/// Latents z ~ N(0, I) of `chains` chains, `[chains, latent]`.
pub fn latents(seed: u64, chains: usize, latent: usize) -> Vec<f32> {
    Noise::new(seed, Stream::Prior).normal_rows(0, chains, latent, 0)
}

/// Starts from noise, `[chains, len]`: standard normal for vectors, uniform in [-1, 1] for images.
pub fn noise(seed: u64, chains: usize, len: usize, image: bool) -> Vec<f32> {
    let noise = Noise::new(seed, Stream::Start);
    if !image {
        return noise.normal_rows(0, chains, len, 0);
    }
    let mut rows = vec![0.0; chains * len];
    for (chain, row) in rows.chunks_mut(len.max(1)).enumerate() {
        noise.uniforms(chain as u32, 0, row);
        row.iter_mut().for_each(|u| *u = 2.0 * *u - 1.0);
    }
    rows
}
