//! Chains without a page around them, for the comparison with other libraries in `web/bench`.

use dual_mcmc::chain::{ChainNoise, Langevin};
use dual_mcmc::model::Model;
use dual_mcmc::noise::Stream;
use dual_mcmc::{cpu, gpu};
use wasm_bindgen::prelude::*;

/// Chains on a model's energy.
#[wasm_bindgen]
pub struct Chains(Executor);

enum Executor {
    Gpu(Box<gpu::XChain>),
    Cpu(Box<cpu::XChain>),
}

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
        if webgpu {
            let gpu = crate::engine::open().await.map_err(failed)?;
            return Ok(Chains(Executor::Gpu(Box::new(
                gpu::XChain::new(&gpu, &energy, chains).map_err(failed)?,
            ))));
        }
        Ok(Chains(Executor::Cpu(Box::new(cpu::XChain::new(&energy, chains, 1).map_err(failed)?))))
    }

    /// Start them at `x`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn start(&mut self, x: &[f32], seed: u64) -> Result<(), JsError> {
        let noise = ChainNoise::new(seed, Stream::XChain);
        match &mut self.0 {
            Executor::Gpu(chain) => chain.start(x, noise).map_err(failed),
            Executor::Cpu(chain) => {
                chain.start(x, noise);
                Ok(())
            }
        }
    }

    /// Take `steps` steps and wait for them.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn run(&mut self, steps: u32, step_size: f32, noise: f32) -> Result<(), JsError> {
        let langevin = Langevin::new(step_size, noise);
        match &mut self.0 {
            Executor::Gpu(chain) => {
                chain.run(steps, &langevin).map_err(failed)?;
                chain.finish().await.map_err(failed)
            }
            Executor::Cpu(chain) => {
                chain.run(steps, &langevin);
                Ok(())
            }
        }
    }

    /// Energies of the states.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn energies(&mut self) -> Result<Vec<f32>, JsError> {
        let still = Langevin::new(1.0, 0.0);
        match &mut self.0 {
            Executor::Gpu(chain) => {
                chain.run(0, &still).map_err(failed)?;
                chain.energies().await.map_err(failed)
            }
            Executor::Cpu(chain) => {
                chain.run(0, &still);
                let trace = chain.trace();
                Ok(trace.rows().last().map(<[f32]>::to_vec).unwrap_or_default())
            }
        }
    }
}
