//! The x-chain and the z-chain on the GPU.

use super::dispatch::{Dispatch, Extent, storage, write};
use super::layers::{Layers, Passes};
use super::program::Program;
use super::walk::Walk;
use super::{Gpu, GpuError};
use crate::chain::{ChainNoise, Langevin, TRACE_LEN, Trace};
use crate::model::Weighted;

/// Langevin dynamics on an energy.
#[derive(Debug)]
pub struct XChain {
    layers: Layers,
    walk: Walk,
}

impl XChain {
    /// `chains` chains on `energy`.
    ///
    /// # Errors
    /// If the network is no energy, its weights do not fit, or so many chains do not fit the GPU.
    pub fn new(gpu: &Gpu, energy: &Weighted, chains: usize) -> Result<XChain, GpuError> {
        energy.network.check_energy(&energy.network.input)?;
        let layers = Layers::new(gpu, energy, chains, Passes::ForwardAndGradient, TRACE_LEN)?;
        write(gpu, layers.output_gradient(), &vec![1.0; chains]);
        let flops = energy.network.flops()?;
        let (forward, backward) = (layers.forward().to_vec(), layers.backward().to_vec());
        let walk = Walk::new(gpu, &layers, flops, layers.output(), forward, backward);
        gpu.check()?;
        Ok(XChain { layers, walk })
    }

    /// Replace the energy's weights.
    ///
    /// # Errors
    /// If there are not as many as parameters.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), GpuError> {
        self.layers.set_weights(self.walk.gpu(), weights)
    }

    /// Start anew at `state`, `[chains, data]`, and forget the trace.
    ///
    /// # Errors
    /// If `state` is not one row a chain, or the device failed.
    pub fn start(&mut self, state: &[f32], noise: ChainNoise) -> Result<(), GpuError> {
        self.walk.start(state, noise)
    }

    /// Start anew at what `buffer` holds, `[chains, data]` in f32: the generator's images, for
    /// example, which thus need not leave the GPU.
    ///
    /// # Errors
    /// If the buffer is too short, or the device failed.
    pub fn start_from_buffer(&mut self, buffer: &wgpu::Buffer, noise: ChainNoise) -> Result<(), GpuError> {
        self.walk.start_from_buffer(buffer, noise)
    }

    /// Submit `steps` updates `x ← x - (s²/2) ∇E(x) + n ε`, each accepted or rejected if it is to
    /// be MALA, without waiting for them.
    ///
    /// # Errors
    /// If the settings are impossible, the chain was not started, or the device failed.
    pub fn run(&mut self, steps: u32, langevin: &Langevin) -> Result<(), GpuError> {
        if langevin.mala {
            self.walk.adjust(&self.layers);
        }
        self.walk.run(steps, langevin)
    }

    /// Share of MALA's proposals accepted since the start; `None` without any.
    ///
    /// # Errors
    /// If the device failed.
    pub fn acceptance(&self) -> impl Future<Output = Result<Option<f32>, GpuError>> + use<> {
        self.walk.acceptance()
    }

    /// The states, `[chains, data]`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn state(&self) -> impl Future<Output = Result<Vec<f32>, GpuError>> + use<> {
        self.walk.state()
    }

    /// The states on the GPU, `[chains, data]` in f32, readable by any shader on the device.
    pub fn state_buffer(&self) -> &wgpu::Buffer {
        self.walk.state_buffer()
    }

    /// Energies of the current states, `[chains]`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn energies(&self) -> impl Future<Output = Result<Vec<f32>, GpuError>> + use<> {
        self.walk.values()
    }

    /// Energies along the way; empty before the first run.
    ///
    /// # Errors
    /// If the device failed.
    pub fn trace(&self) -> impl Future<Output = Result<Trace, GpuError>> + use<> {
        self.walk.trace()
    }

    /// Resolves when all steps submitted so far are done.
    ///
    /// # Errors
    /// If the device failed.
    pub fn finish(&self) -> impl Future<Output = Result<(), GpuError>> + use<> {
        self.walk.gpu().finish()
    }
}

/// Langevin dynamics on the posterior of a generator's latents.
#[derive(Debug)]
pub struct ZChain {
    layers: Layers,
    walk: Walk,
    observed: wgpu::Buffer,
    mask: wgpu::Buffer,
    error_gradient: Dispatch,
    has_target: bool,
}

impl ZChain {
    /// `chains` chains on `generator`.
    ///
    /// # Errors
    /// If the network is no generator, its weights do not fit, or so many chains do not fit the
    /// GPU.
    pub fn new(gpu: &Gpu, generator: &Weighted, chains: usize) -> Result<ZChain, GpuError> {
        generator.network.check_generator(&generator.network.output()?)?;
        let layers = Layers::new(gpu, generator, chains, Passes::ForwardAndGradient, TRACE_LEN)?;
        let data = layers.output_len();
        let elements = chains * data;
        let observed = storage(gpu, "observed", elements);
        let mask = storage(gpu, "mask", elements);
        let errors = storage(gpu, "errors", chains);
        let ones = storage(gpu, "ones", chains);
        write(gpu, &ones, &vec![1.0; chains]);
        let squared_error = Dispatch::new(
            gpu,
            Program::SquaredError,
            &[chains as u32, data as u32],
            &[layers.output(), &observed, &mask, &errors],
            Extent::Rows(chains),
        );
        let error_gradient = Dispatch::new(
            gpu,
            Program::SquaredErrorGradient,
            &[elements as u32, 0],
            &[layers.output(), &observed, &mask, layers.output_gradient()],
            Extent::Elements(elements),
        );
        let mut measure = layers.forward().to_vec();
        measure.push(squared_error);
        let mut gradient = vec![error_gradient.clone()];
        gradient.extend(layers.backward().iter().cloned());
        gradient.push(layers.reference_gradient(gpu, 1.0, &ones));
        let walk = Walk::new(gpu, &layers, generator.network.flops()?, &errors, measure, gradient);
        gpu.check()?;
        Ok(ZChain { layers, walk, observed, mask, error_gradient, has_target: false })
    }

    /// Replace the generator's weights.
    ///
    /// # Errors
    /// If there are not as many as parameters.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), GpuError> {
        self.layers.set_weights(self.walk.gpu(), weights)
    }

    /// What the latents are to explain: `x`, `[chains, data]`, observed with standard deviation
    /// `sigma`. Elements whose `mask` is 0 are not observed; one mask serves all chains or each has
    /// its own.
    ///
    /// # Errors
    /// If `x` is not one row a chain, `mask` neither one row nor one a chain, or `sigma` not
    /// positive.
    pub fn set_target(&mut self, x: &[f32], mask: Option<&[f32]>, sigma: f32) -> Result<(), GpuError> {
        let (gpu, chains, data) = (self.walk.gpu(), self.layers.batch, self.layers.output_len());
        GpuError::check_length("the target", x.len(), chains * data)?;
        if !(sigma.is_finite() && sigma > 0.0) {
            return Err(GpuError::Settings(format!("sigma must be positive, not {sigma}")));
        }
        match mask {
            None => write(gpu, &self.mask, &vec![1.0; x.len()]),
            Some(mask) if mask.len() == x.len() => write(gpu, &self.mask, mask),
            Some(mask) => {
                GpuError::check_length("the mask", mask.len(), data)?;
                write(gpu, &self.mask, &mask.repeat(chains));
            }
        }
        write(gpu, &self.observed, x);
        let weight = 2.0 / (sigma * sigma);
        self.error_gradient.set_params(gpu, &[x.len() as u32, weight.to_bits()]);
        gpu.check()?;
        self.has_target = true;
        Ok(())
    }

    /// Start anew at `state`, `[chains, latent]`, and forget the trace.
    ///
    /// # Errors
    /// If `state` is not one row a chain, or the device failed.
    pub fn start(&mut self, state: &[f32], noise: ChainNoise) -> Result<(), GpuError> {
        self.walk.start(state, noise)
    }

    /// Start anew at what `buffer` holds, `[chains, latent]` in f32.
    ///
    /// # Errors
    /// If the buffer is too short, or the device failed.
    pub fn start_from_buffer(&mut self, buffer: &wgpu::Buffer, noise: ChainNoise) -> Result<(), GpuError> {
        self.walk.start_from_buffer(buffer, noise)
    }

    /// Submit `steps` updates `z ← z - (s²/2) ∇[‖g(z) - x‖²·mask/σ² + ‖z‖²/2] + n ε`, without
    /// waiting for them.
    ///
    /// # Errors
    /// If the settings are impossible, the chain has no target or was not started, or the device
    /// failed.
    pub fn run(&mut self, steps: u32, langevin: &Langevin) -> Result<(), GpuError> {
        if !self.has_target {
            return Err(GpuError::NotReady("call set_target"));
        }
        langevin.check_z().map_err(GpuError::Settings)?;
        self.walk.run(steps, langevin)
    }

    /// The states, `[chains, latent]`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn state(&self) -> impl Future<Output = Result<Vec<f32>, GpuError>> + use<> {
        self.walk.state()
    }

    /// The states on the GPU, `[chains, latent]` in f32, readable by any shader on the device.
    pub fn state_buffer(&self) -> &wgpu::Buffer {
        self.walk.state_buffer()
    }

    /// Record the evaluation of the current states, after which [`ZChain::reconstruction_buffer`]
    /// holds their images.
    pub fn encode_reconstruction(&self, encoder: &mut wgpu::CommandEncoder) {
        self.walk.encode_measure(encoder);
    }

    /// The generator's images g(z) on the GPU, `[chains, data]` in f32: those of the states before
    /// the last step, or of the current ones after [`ZChain::encode_reconstruction`].
    pub fn reconstruction_buffer(&self) -> &wgpu::Buffer {
        self.layers.output()
    }

    /// Squared errors `Σ mask·(g(z) - x)²` of the current states, `[chains]`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn errors(&self) -> impl Future<Output = Result<Vec<f32>, GpuError>> + use<> {
        self.walk.values()
    }

    /// Squared errors along the way; empty before the first run.
    ///
    /// # Errors
    /// If the device failed.
    pub fn trace(&self) -> impl Future<Output = Result<Trace, GpuError>> + use<> {
        self.walk.trace()
    }

    /// Resolves when all steps submitted so far are done.
    ///
    /// # Errors
    /// If the device failed.
    pub fn finish(&self) -> impl Future<Output = Result<(), GpuError>> + use<> {
        self.walk.gpu().finish()
    }
}
