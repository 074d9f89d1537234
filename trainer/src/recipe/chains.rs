//! The two chains of the training iteration, as a recipe sets them.

use dual_mcmc::chain::{Langevin, XChainSettings, ZChainSettings};
use serde::{Deserialize, Serialize};

/// A Langevin chain on the energy: x ← x - (s²/2) ∇ₓE(x) + n ε.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XChain {
    /// Number of steps K_x.
    pub steps: u32,
    /// Step size s_x.
    pub step_size: f32,
    /// Noise n_x.
    pub noise: f32,
    /// Clamp every element of the gradient to [-c, c].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_clamp: Option<f32>,
    /// Clamp every element of the state to this range after each step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range_clamp: Option<[f32; 2]>,
    /// Accept or reject each step so that the chain is exact (MALA).
    #[serde(default)]
    pub mala: bool,
    /// Where the chain starts.
    #[serde(default)]
    pub start: XStart,
    /// When the energy's spectral norms make their power iteration.
    #[serde(default)]
    pub spectral_iteration: SpectralIteration,
    /// What computes its steps.
    #[serde(default)]
    pub engine: Engine,
}

impl XChain {
    /// The chain as the executors take it.
    pub fn settings(&self) -> XChainSettings {
        let Self { steps, step_size, noise, gradient_clamp, range_clamp, mala, .. } = *self;
        XChainSettings { steps, langevin: Langevin { step_size, noise, gradient_clamp, range_clamp, mala } }
    }

    /// The temperature T = (n_x/s_x)² of the energy's law exp(-E/T).
    pub fn temperature(&self) -> f32 {
        self.settings().langevin.temperature()
    }
}

/// Where the x-chain of the training iteration starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum XStart {
    /// At the generator's samples, as in the paper.
    #[default]
    Generator,
    /// At noise: standard normal for vectors, uniform in [-1, 1] for images.
    Noise,
    /// At the batch of data (contrastive divergence).
    Data,
}

/// When the energy's spectral norms make their power iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpectralIteration {
    /// Once an iteration: in both chains and in the losses E is one fixed function.
    #[default]
    Once,
    /// Before each step of the x-chain and before the losses, as in the authors' code. Such chains
    /// run in burn, and are slower.
    EachStep,
}

/// A Langevin chain on the generator's posterior:
/// z ← z - (s²/2) ∇_z[ ‖g(z) - x‖²/σ² + ‖z‖²/2 ] + n ε.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZChain {
    /// Number of steps K_z.
    pub steps: u32,
    /// Step size s_z.
    pub step_size: f32,
    /// Noise n_z.
    pub noise: f32,
    /// Standard deviation σ of the generator's observation noise.
    pub sigma: f32,
    /// Clamp every element of the gradient to [-c, c].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_clamp: Option<f32>,
    /// Clamp every element of the state to this range after each step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range_clamp: Option<[f32; 2]>,
    /// Where the chain starts.
    #[serde(default)]
    pub start: ZStart,
    /// Which statistics the generator's batch norms use inside the chain.
    #[serde(default)]
    pub batch_norm: ChainStatistics,
    /// What computes its steps.
    #[serde(default)]
    pub engine: Engine,
}

/// What computes a chain's steps: both ways give the same chain where both can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// The executor, unless the chain needs burn.
    #[default]
    Auto,
    /// The executor of this program, with the folded weights: on a GPU its own kernels, on burn's device.
    Executor,
    /// burn's automatic differentiation, on the device that trains.
    Burn,
}

impl ZChain {
    /// The chain as the executors take it.
    pub fn settings(&self) -> ZChainSettings {
        let Self { steps, step_size, noise, sigma, gradient_clamp, range_clamp, .. } = *self;
        let langevin = Langevin { step_size, noise, gradient_clamp, range_clamp, mala: false };
        ZChainSettings { steps, sigma, langevin }
    }
}

/// Where the z-chain of the training iteration starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZStart {
    /// A sample of q_ψ(z|x), as in the paper.
    #[default]
    Encoder,
    /// The encoder's mean.
    Mean,
    /// Prior noise: what Table 4 of the paper compares with.
    Prior,
    /// Where the chain of the same sample of data ended when it was last in a batch, and prior
    /// noise the first time.
    Kept,
}

/// Which statistics the generator's batch norms use inside the z-chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainStatistics {
    /// The batch's statistics at the chain's start, folded into a scale and shift for the whole chain.
    #[default]
    Start,
    /// The batch's statistics at each step, as in the authors' code; differentiated through, in burn.
    Batch,
    /// Running statistics over the iterations' x̂ = g(z).
    Running,
}
