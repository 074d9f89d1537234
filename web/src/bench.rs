//! Chains without a page around them, for the comparison with other libraries in `web/bench`.

use dual_mcmc::chain::{ChainNoise, Langevin};
use dual_mcmc::executor::{Executor, XChain};
use dual_mcmc::gpu::{Gpu, GpuChoice};
use dual_mcmc::model::Model;
use dual_mcmc::noise::Stream;
use wasm_bindgen::prelude::*;

/// Chains on a model's energy.
#[wasm_bindgen]
pub struct Chains(XChain);

fn failed(error: impl std::fmt::Display) -> JsError {
    JsError::new(&error.to_string())
}

#[wasm_bindgen]
impl Chains {
    /// `chains` chains on the energy of a model file.
    ///
    /// # Errors
    /// If the file is no model with an energy, or the chains do not fit the device.
    pub async fn open(file: Vec<u8>, webgpu: bool, chains: usize) -> Result<Chains, JsError> {
        let model = Model::from_bytes(&file).map_err(failed)?;
        let energy = model.energy.ok_or_else(|| failed("this model has no energy"))?;
        let executor = match webgpu {
            true => Executor::Gpu(Gpu::request(GpuChoice::Any).await.map_err(failed)?),
            false => Executor::Cpu { threads: 1 },
        };
        Ok(Chains(executor.x_chain(&energy, chains).map_err(failed)?))
    }

    /// Start them at `x`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn start(&mut self, x: &[f32], seed: u64) -> Result<(), JsError> {
        self.0.start(x, ChainNoise::new(seed, Stream::XChain)).map_err(failed)
    }

    /// Take `steps` steps and wait for them.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn run(&mut self, steps: u32, step_size: f32, noise: f32) -> Result<(), JsError> {
        self.0.run(steps, &Langevin::new(step_size, noise)).map_err(failed)?;
        self.0.finish().await.map_err(failed)
    }

    /// Energies of the states.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn energies(&mut self) -> Result<Vec<f32>, JsError> {
        Ok(self.0.trace().await.map_err(failed)?.last().to_vec())
    }
}
