//! What of a model decides how it can be run and shown.

use dual_mcmc::chain::Langevin;
use dual_mcmc::model::{ChainDefaults, Model};

/// Most chains for vectors and for images.
pub const MAX_CHAINS: [usize; 2] = [4096, 1024];

/// What of a model decides how it can be run and shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Shape of one sample.
    pub shape: Vec<usize>,
    /// Whether there is an energy, without which nothing can be refined.
    pub energy: bool,
    /// Whether there is a generator to start from.
    pub generator: bool,
    /// Length of the generator's latents.
    pub latent: usize,
    /// The chains that the model recommends.
    pub chains: ChainDefaults,
}

impl Facts {
    /// The facts of a model.
    pub fn of(model: &Model) -> Facts {
        Facts {
            shape: model.data_shape(),
            energy: model.energy.is_some(),
            generator: model.generator.is_some(),
            latent: model.latent().unwrap_or(0),
            chains: model.chains,
        }
    }

    /// Whether samples are points of the plane.
    pub fn plane(&self) -> bool {
        self.shape == [2]
    }

    /// Whether samples are images, of any number of channels.
    pub fn image(&self) -> bool {
        self.shape.len() == 3
    }

    /// Elements of one sample.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether a sample has no elements. No model's has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of chains worth offering.
    pub fn chain_choices(&self) -> &'static [usize] {
        if self.plane() { &[64, 256, 1024, 4096] } else { &[4, 16, 64, 256] }
    }

    /// Most chains that the page runs.
    pub fn max_chains(&self) -> usize {
        MAX_CHAINS[usize::from(self.image())]
    }

    /// The x-chain's update as the model recommends it, with another step size or noise.
    pub fn langevin(&self, step_size: Option<f32>, noise: Option<f32>) -> Langevin {
        let fallback = if self.image() { Langevin::new(0.5, 0.001) } else { Langevin::new(0.1, 0.1) };
        let mut langevin = self.chains.x.map_or(fallback, |x| x.langevin);
        langevin.step_size = step_size.unwrap_or(langevin.step_size);
        langevin.noise = noise.unwrap_or(langevin.noise);
        // Without noise there is nothing to accept or reject.
        langevin.mala &= langevin.noise > 0.0;
        langevin
    }
}
