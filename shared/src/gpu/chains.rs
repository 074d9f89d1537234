//! The x-chain and the z-chain on the GPU.

use super::dispatch::{Dispatch, Extent, storage, write};
use super::layers::{Layers, Passes, check_fit};
use super::parts::{Parked, Parts};
use super::program::Program;
use super::walk::{Course, Walk};
use super::{Gpu, GpuError};
use crate::chain::{ChainNoise, Langevin, TRACE_LEN, Trace};
use crate::model::Weighted;

const PASSES: Passes = Passes::ForwardAndGradient;

/// Langevin dynamics on an energy.
#[derive(Debug)]
pub struct XChain {
    layers: Layers,
    #[cfg(not(target_arch = "wasm32"))]
    input: Vec<usize>,
    walk: Parts,
}

impl XChain {
    /// `chains` chains on `energy`.
    ///
    /// # Errors
    /// If the network is no energy, its weights do not fit, or so many chains do not fit the GPU.
    pub fn new(gpu: &Gpu, energy: &Weighted, chains: usize) -> Result<XChain, GpuError> {
        energy.network.check_energy(&energy.network.input)?;
        let rows = Layers::rows_at_once(gpu, energy, PASSES, TRACE_LEN, chains)?;
        let layers = Layers::new(gpu, energy, rows, PASSES, TRACE_LEN)?;
        write(gpu, layers.output_gradient(), &vec![1.0; rows]);
        let course = Course {
            values: layers.output().clone(),
            measure: layers.forward().to_vec(),
            before: Vec::new(),
            after: Vec::new(),
            inverse_variance: layers.inverse_variance().unwrap_or(0.0),
            flops: energy.network.flops()?,
        };
        let walk =
            Parts::new(gpu, &layers, chains, Vec::new(), |chains| Walk::new(gpu, &layers, chains, &course));
        gpu.check()?;
        Ok(XChain {
            layers,
            #[cfg(not(target_arch = "wasm32"))]
            input: energy.network.input.clone(),
            walk,
        })
    }

    /// Replace the energy's weights.
    ///
    /// # Errors
    /// If there are not as many as parameters.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), GpuError> {
        self.layers.set_weights(self.walk.gpu(), weights)
    }

    /// Replace the energy's weights by those that lie at `offset` bytes in a `buffer` of this device with
    /// the usage `COPY_SRC`, f32 in the order of [`crate::network::Network::parameters`]: what another program on the
    /// device has computed, which thus need not pass the CPU.
    ///
    /// # Errors
    /// If the buffer is too short, or the device failed.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn set_weights_from_buffer(&mut self, buffer: &wgpu::Buffer, offset: u64) -> Result<(), GpuError> {
        self.layers.set_weights_from_buffer(self.walk.gpu(), buffer, offset)
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

    /// Bytes on the GPU for each chain that takes its steps: values between layers, and their gradients. Chains that
    /// wait for their turn need their states alone.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn bytes_per_chain(&self) -> u64 {
        self.layers.bytes_per_row(self.walk.gpu(), &self.input)
    }

    /// Times of a step's kernels, in their order, by the device's clock. The chains move as they are measured.
    ///
    /// # Errors
    /// If the device has no clock, or failed.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn kernel_times(&mut self) -> Result<Vec<super::KernelTime>, GpuError> {
        self.walk.kernel_times()
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
    #[cfg(not(target_arch = "wasm32"))]
    input: Vec<usize>,
    walk: Parts,
    chains: usize,
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
        let data: usize = generator.network.output()?.iter().product();
        check_fit(gpu, 0, data, chains)?;
        let rows = Layers::rows_at_once(gpu, generator, PASSES, TRACE_LEN, chains)?;
        let layers = Layers::new(gpu, generator, rows, PASSES, TRACE_LEN)?;
        let elements = rows * data;
        let parts = chains.div_ceil(rows);
        let [observed, mask] = ["observed", "mask"].map(|label| {
            let working = storage(gpu, label, elements);
            Parked::new(gpu, &working, data, chains, parts)
        });
        let errors = storage(gpu, "errors", rows);
        let ones = storage(gpu, "ones", rows);
        write(gpu, &ones, &vec![1.0; rows]);
        let squared_error = Dispatch::new(
            gpu,
            Program::SquaredError,
            &[rows as u32, data as u32],
            &[layers.output(), &observed.working, &mask.working, &errors],
            Extent::Rows(rows),
        );
        let error_gradient = Dispatch::new(
            gpu,
            Program::SquaredErrorGradient,
            &[elements as u32, 0],
            &[layers.output(), &observed.working, &mask.working, layers.output_gradient()],
            Extent::Elements(elements),
        );
        let mut measure = layers.forward().to_vec();
        measure.push(squared_error);
        let course = Course {
            values: errors,
            measure,
            before: vec![error_gradient.clone()],
            after: vec![layers.reference_gradient(gpu, 1.0, &ones)],
            inverse_variance: 1.0,
            flops: generator.network.flops()?,
        };
        let wholes = [&observed, &mask].map(|parked| parked.whole.clone());
        let others = vec![observed, mask];
        let walk =
            Parts::new(gpu, &layers, chains, others, |chains| Walk::new(gpu, &layers, chains, &course));
        gpu.check()?;
        let [observed, mask] = wholes;
        Ok(ZChain {
            layers,
            #[cfg(not(target_arch = "wasm32"))]
            input: generator.network.input.clone(),
            walk,
            chains,
            observed,
            mask,
            error_gradient,
            has_target: false,
        })
    }

    /// Replace the generator's weights.
    ///
    /// # Errors
    /// If there are not as many as parameters.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), GpuError> {
        self.layers.set_weights(self.walk.gpu(), weights)
    }

    /// Replace the generator's weights by those that lie at `offset` bytes in a `buffer` of this device with
    /// the usage `COPY_SRC`, f32 in the order of [`crate::network::Network::parameters`]: what another program on the
    /// device has computed, which thus need not pass the CPU.
    ///
    /// # Errors
    /// If the buffer is too short, or the device failed.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn set_weights_from_buffer(&mut self, buffer: &wgpu::Buffer, offset: u64) -> Result<(), GpuError> {
        self.layers.set_weights_from_buffer(self.walk.gpu(), buffer, offset)
    }

    /// What the latents are to explain: `x`, `[chains, data]`, observed with standard deviation
    /// `sigma`. Elements whose `mask` is 0 are not observed; one mask serves all chains or each has
    /// its own.
    ///
    /// # Errors
    /// If `x` is not one row a chain, `mask` neither one row nor one a chain, or `sigma` not
    /// positive.
    pub fn set_target(&mut self, x: &[f32], mask: Option<&[f32]>, sigma: f32) -> Result<(), GpuError> {
        let (gpu, chains, data) = (self.walk.gpu(), self.chains, self.layers.output_len());
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
        self.error_gradient.set_params(gpu, &[(self.layers.batch * data) as u32, weight.to_bits()]);
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

    /// Bytes on the GPU for each chain that takes its steps: values between layers, and their gradients. Chains that
    /// wait for their turn need their states alone.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn bytes_per_chain(&self) -> u64 {
        self.layers.bytes_per_row(self.walk.gpu(), &self.input)
    }

    /// Times of a step's kernels, in their order, by the device's clock. The chains move as they are measured.
    ///
    /// # Errors
    /// If the device has no clock, or failed.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn kernel_times(&mut self) -> Result<Vec<super::KernelTime>, GpuError> {
        self.walk.kernel_times()
    }

    /// Resolves when all steps submitted so far are done.
    ///
    /// # Errors
    /// If the device failed.
    pub fn finish(&self) -> impl Future<Output = Result<(), GpuError>> + use<> {
        self.walk.gpu().finish()
    }
}
