//! What of a model decides how it can be run and shown.

use crate::choices::{Method, Origin, ViewKind};
use dual_mcmc::chain::{Langevin, ZChainSettings};
use dual_mcmc::model::{ChainDefaults, Model};

/// Most chains for vectors and for images.
pub const MAX_CHAINS: [usize; 2] = [4096, 1024];

/// Most z-chains.
pub const MAX_Z_CHAINS: usize = 64;

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
    /// Whether there is an encoder to guess latents by.
    pub encoder: bool,
    /// Held-out examples in the file.
    pub examples: usize,
    /// Whether the density of the data is known, so that they can be drawn anew.
    pub density: bool,
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
            encoder: model.encoder.is_some(),
            examples: model.annotations.examples.as_ref().map_or(0, |all| all.count(&model.data_shape())),
            density: model.density().is_some(),
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

    /// Whether chains can start there.
    pub fn starts_at(&self, origin: Origin) -> bool {
        match origin {
            Origin::Generator => self.generator,
            Origin::Noise => true,
            Origin::Data => self.examples > 0 || self.density,
        }
    }

    /// Numbers of chains worth offering in a view.
    pub fn chain_choices(&self, view: ViewKind) -> &'static [usize] {
        if view == ViewKind::Latent {
            &[9, 16, 25, 36, 49, 64]
        } else if view == ViewKind::Energy {
            &[1]
        } else if view == ViewKind::Reconstruct {
            &[2, 4, 8, 16, 32]
        } else if self.plane() {
            &[64, 256, 1024, 4096]
        } else {
            &[4, 16, 64, 256]
        }
    }

    /// Most chains that a view runs.
    pub fn max_chains(&self, view: ViewKind) -> usize {
        match view {
            ViewKind::Reconstruct => MAX_Z_CHAINS,
            ViewKind::Energy => 1,
            ViewKind::Latent => 256,
            _ => MAX_CHAINS[usize::from(self.image())],
        }
    }

    /// Whether a model has what a view needs.
    pub fn has(&self, view: ViewKind) -> bool {
        match view {
            ViewKind::Sample => true,
            ViewKind::Landscape => self.plane() && self.energy,
            ViewKind::Reconstruct | ViewKind::Latent => self.generator,
            ViewKind::Energy => self.energy,
        }
    }

    /// The z-chain as the model recommends it, with another step size or noise.
    pub fn z_chain(&self, step_size: Option<f32>, noise: Option<f32>) -> ZChainSettings {
        let fallback = ZChainSettings { steps: 20, sigma: 0.3, langevin: Langevin::new(0.05, 0.05) };
        let mut chain = self.chains.z.unwrap_or(fallback);
        chain.langevin.step_size = step_size.unwrap_or(chain.langevin.step_size);
        chain.langevin.noise = noise.unwrap_or(chain.langevin.noise);
        chain
    }

    /// The x-chain's update as the model recommends it, with another step size, noise or method.
    pub fn langevin(&self, step_size: Option<f32>, noise: Option<f32>, method: Option<Method>) -> Langevin {
        let fallback = if self.image() { Langevin::new(0.5, 0.001) } else { Langevin::new(0.1, 0.1) };
        let mut langevin = self.chains.x.map_or(fallback, |x| x.langevin);
        langevin.step_size = step_size.unwrap_or(langevin.step_size);
        langevin.noise = noise.unwrap_or(langevin.noise);
        match method {
            Some(Method::Descent) => langevin.noise = 0.0,
            Some(Method::Mala) => {
                (langevin.mala, langevin.gradient_clamp, langevin.range_clamp) = (true, None, None)
            }
            Some(Method::Langevin) => langevin.mala = false,
            None => {}
        }
        // Without noise there is nothing to accept or reject.
        langevin.mala &= langevin.noise > 0.0;
        langevin
    }
}
