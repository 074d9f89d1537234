//! The x-chain and the z-chain on the GPU.

use super::device::Gpu;
use super::dispatch::{Dispatch, Extent, storage, word, write};
use super::error::GpuError;
use super::kernels::{Kernel, SquaredErrorGradientParams, SquaredErrorParams};
use super::layers::Layers;
use super::parts::{Parts, Rows};
use super::recording::{Passes, check_fit};
use super::trajectory::{StepPasses, Trajectory};
use crate::chain::{ChainNoise, Langevin, TRACE_LEN, Trace};
use crate::model::Weighted;

const PASSES: Passes = Passes::ForwardAndGradient;

/// Langevin dynamics through a network on the GPU. `T` is the function whose gradient the chain follows.
#[derive(Debug)]
pub struct Chain<T> {
    layers: Layers,
    parts: Parts,
    target: T,
}

/// Langevin dynamics on an energy.
pub type XChain = Chain<Energy>;

/// Langevin dynamics on the posterior of a generator's latents.
pub type ZChain = Chain<Posterior>;

/// The x-chain's target: the network's output.
#[derive(Debug)]
pub struct Energy;

/// The z-chain's target: squared error plus the prior's term.
#[derive(Debug)]
pub struct Posterior {
    chains: usize,
    observed: wgpu::Buffer,
    mask: wgpu::Buffer,
    error_gradient: Dispatch,
    is_set: bool,
}

impl<T> Chain<T> {
    /// Replace the network's weights.
    ///
    /// # Errors
    /// If there are not as many as parameters.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), GpuError> {
        self.layers.set_weights(self.parts.gpu(), weights)
    }

    /// Replace the network's weights by those that lie at `offset` bytes in a `buffer` of this device with
    /// the usage `COPY_SRC`, f32 in the order of [`crate::network::Network::parameters`]: what another program on the
    /// device has computed, which thus need not pass the CPU.
    ///
    /// # Errors
    /// If the buffer is too short, or the device failed.
    pub fn set_weights_from_buffer(&mut self, buffer: &wgpu::Buffer, offset: u64) -> Result<(), GpuError> {
        self.layers.set_weights_from_buffer(self.parts.gpu(), buffer, offset)
    }

    /// Start anew at `state`, `[chains, data or latent]`, and begin the trace.
    ///
    /// # Errors
    /// If `state` is not one row a chain, or the device failed.
    pub fn start(&mut self, state: &[f32], noise: ChainNoise) -> Result<(), GpuError> {
        self.parts.start(state, noise)
    }

    /// Start anew at what `buffer` holds, `[chains, data or latent]` in f32: the generator's images, for
    /// example, which thus need not leave the GPU.
    ///
    /// # Errors
    /// If the buffer is too short, or the device failed.
    pub fn start_from_buffer(&mut self, buffer: &wgpu::Buffer, noise: ChainNoise) -> Result<(), GpuError> {
        self.parts.start_from_buffer(buffer, noise)
    }

    /// The states, `[chains, data or latent]`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn state(&self) -> impl Future<Output = Result<Vec<f32>, GpuError>> + use<T> {
        self.parts.state()
    }

    /// The states on the GPU, `[chains, data or latent]` in f32, readable by any shader on the device.
    pub fn state_buffer(&self) -> &wgpu::Buffer {
        self.parts.state_buffer()
    }

    /// Energies or squared errors along the way; empty before the first start.
    ///
    /// # Errors
    /// If the device failed.
    pub fn trace(&self) -> impl Future<Output = Result<Trace, GpuError>> + use<T> {
        self.parts.trace()
    }

    /// Bytes on the GPU for each chain that takes its steps: values between layers, and their gradients. Chains that
    /// wait for their turn need their states alone.
    pub fn bytes_per_chain(&self) -> u64 {
        self.layers.bytes_per_row()
    }

    /// Times of a step's kernels, in their order, by the device's clock. The chains move as they are measured.
    ///
    /// # Errors
    /// If the device has no clock, or failed.
    #[cfg(feature = "workbench")]
    pub fn kernel_times(&mut self) -> Result<Vec<super::profile::KernelTime>, GpuError> {
        self.parts.kernel_times()
    }

    /// Resolves when all steps submitted so far are done.
    ///
    /// # Errors
    /// If the device failed.
    pub fn finish(&self) -> impl Future<Output = Result<(), GpuError>> + use<T> {
        self.parts.gpu().finish()
    }
}

impl XChain {
    /// Creates `chains` x-chains on `energy`.
    ///
    /// # Errors
    /// If the network is no energy, its weights do not fit, or so many chains do not fit the GPU.
    pub fn new(gpu: &Gpu, energy: &Weighted, chains: usize) -> Result<XChain, GpuError> {
        energy.network.check_energy(&energy.network.input)?;
        let rows = Layers::rows_at_once(gpu, energy, PASSES, TRACE_LEN, chains)?;
        let layers = Layers::new(gpu, energy, rows, PASSES, TRACE_LEN)?;
        write(gpu, layers.output_gradient(), &vec![1.0; rows]);
        let passes = StepPasses {
            values: layers.output().clone(),
            measure: layers.forward().to_vec(),
            before: Vec::new(),
            after: Vec::new(),
            inverse_variance: layers.inverse_variance().unwrap_or(0.0),
            flops: energy.network.flops()?,
        };
        let trajectory = |chains| Trajectory::new(gpu, &layers, chains, &passes);
        let parts = Parts::new(gpu, &layers, chains, Vec::new(), trajectory);
        gpu.check()?;
        Ok(Chain { layers, parts, target: Energy })
    }

    /// Submit `steps` updates `x ← x - (s²/2) ∇E(x) + n ε`, each accepted or rejected if it is to
    /// be MALA, without waiting for them.
    ///
    /// # Errors
    /// If the settings are impossible, the chain was not started, or the device failed.
    pub fn run(&mut self, steps: u32, langevin: &Langevin) -> Result<(), GpuError> {
        if langevin.mala {
            self.parts.adjust(&self.layers);
        }
        self.parts.run(steps, langevin)
    }

    /// Share of MALA's proposals accepted since the start; `None` without any.
    ///
    /// # Errors
    /// If the device failed.
    pub fn acceptance(&self) -> impl Future<Output = Result<Option<f32>, GpuError>> + use<> {
        self.parts.acceptance()
    }

    /// Energies of the current states, `[chains]`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn energies(&self) -> impl Future<Output = Result<Vec<f32>, GpuError>> + use<> {
        self.parts.values()
    }
}

impl ZChain {
    /// Creates `chains` z-chains on `generator`.
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
            Rows::new(gpu, &working, data, chains, parts)
        });
        let errors = storage(gpu, "errors", rows);
        let ones = storage(gpu, "ones", rows);
        write(gpu, &ones, &vec![1.0; rows]);
        let squared_error = Dispatch::new(
            gpu,
            &Kernel::SquaredError,
            &SquaredErrorParams { chains: word(rows), len: word(data) },
            &[layers.output(), &observed.working, &mask.working, &errors],
            Extent::Rows(rows),
        );
        let error_gradient = Dispatch::new(
            gpu,
            &Kernel::SquaredErrorGradient,
            &SquaredErrorGradientParams { elements: word(elements), weight: 0.0 },
            &[layers.output(), &observed.working, &mask.working, layers.output_gradient()],
            Extent::Elements(elements),
        );
        let mut measure = layers.forward().to_vec();
        measure.push(squared_error);
        let passes = StepPasses {
            values: errors,
            measure,
            before: vec![error_gradient.clone()],
            after: vec![layers.reference_gradient(gpu, 1.0, &ones)],
            inverse_variance: 1.0,
            flops: generator.network.flops()?,
        };
        let wholes = [&observed, &mask].map(|rows| rows.whole.clone());
        let trajectory = |chains| Trajectory::new(gpu, &layers, chains, &passes);
        let parts = Parts::new(gpu, &layers, chains, vec![observed, mask], trajectory);
        gpu.check()?;
        let [observed, mask] = wholes;
        let target = Posterior { chains, observed, mask, error_gradient, is_set: false };
        Ok(Chain { layers, parts, target })
    }

    /// Sets the observed samples, which the latents are to explain: `x`, `[chains, data]`, observed with
    /// standard deviation `sigma`. Elements whose `mask` is 0 are not observed; one mask serves all chains
    /// or each has its own.
    ///
    /// # Errors
    /// If `x` is not one row a chain, `mask` neither one row nor one a chain, or `sigma` not
    /// positive.
    pub fn set_target(&mut self, x: &[f32], mask: Option<&[f32]>, sigma: f32) -> Result<(), GpuError> {
        let (gpu, target, data) = (self.parts.gpu(), &mut self.target, self.layers.output_len());
        GpuError::check_length("the target", x.len(), target.chains * data)?;
        if !(sigma.is_finite() && sigma > 0.0) {
            return Err(GpuError::Settings(format!("sigma must be positive, not {sigma}")));
        }
        match mask {
            None => write(gpu, &target.mask, &vec![1.0; x.len()]),
            Some(mask) if mask.len() == x.len() => write(gpu, &target.mask, mask),
            Some(mask) => {
                GpuError::check_length("the mask", mask.len(), data)?;
                write(gpu, &target.mask, &mask.repeat(target.chains));
            }
        }
        write(gpu, &target.observed, x);
        let elements = word(self.layers.batch * data);
        let params = SquaredErrorGradientParams { elements, weight: 2.0 / (sigma * sigma) };
        target.error_gradient.set_params(gpu, &params);
        gpu.check()?;
        target.is_set = true;
        Ok(())
    }

    /// Submit `steps` updates `z ← z - (s²/2) ∇[‖g(z) - x‖²·mask/σ² + ‖z‖²/2] + n ε`, without
    /// waiting for them.
    ///
    /// # Errors
    /// If the settings are impossible, the chain has no target or was not started, or the device
    /// failed.
    pub fn run(&mut self, steps: u32, langevin: &Langevin) -> Result<(), GpuError> {
        if !self.target.is_set {
            return Err(GpuError::NotReady("call set_target"));
        }
        langevin.check_z().map_err(GpuError::Settings)?;
        self.parts.run(steps, langevin)
    }

    /// Squared errors `Σ mask·(g(z) - x)²` of the current states, `[chains]`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn errors(&self) -> impl Future<Output = Result<Vec<f32>, GpuError>> + use<> {
        self.parts.values()
    }
}
