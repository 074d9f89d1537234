//! Chains on the graphics device. States and images stay there; energies are read now and then.

use dual_mcmc::chain::{ChainNoise, Langevin, Trace};
use dual_mcmc::gpu::{Forward, Gpu, GpuError, XChain};
use dual_mcmc::model::Weighted;
use dual_mcmc::noise::Stream;

/// Chains on a device, and where they started.
pub struct Sampler {
    gpu: Gpu,
    chain: XChain,
    generator: Option<Forward>,
    start: wgpu::Buffer,
    steps: u32,
}

impl Sampler {
    /// `chains` chains on `energy`, which can start at samples of `generator`.
    ///
    /// # Errors
    /// If they do not fit the device, or it failed.
    pub fn new(
        gpu: &Gpu,
        energy: &Weighted,
        generator: Option<&Weighted>,
        chains: usize,
    ) -> Result<Sampler, GpuError> {
        let chain = XChain::new(gpu, energy, chains)?;
        let generator = generator.map(|generator| Forward::new(gpu, generator, chains)).transpose()?;
        let start = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("start"),
            size: chain.state_buffer().size(),
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        gpu.check()?;
        Ok(Sampler { gpu: gpu.clone(), chain, generator, start, steps: 0 })
    }

    /// Start all chains at the generator's images of `latents`. Without a generator, nothing happens.
    ///
    /// # Errors
    /// If the device failed.
    pub fn start_generated(
        &mut self,
        latents: &[f32],
        seed: u64,
        langevin: &Langevin,
    ) -> Result<(), GpuError> {
        let Some(generator) = &mut self.generator else { return Ok(()) };
        generator.submit(latents)?;
        self.chain.start_from_buffer(generator.output_buffer(), ChainNoise::new(seed, Stream::XChain))?;
        self.started(langevin)
    }

    /// Start all chains at `state`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn start_at(&mut self, state: &[f32], seed: u64, langevin: &Langevin) -> Result<(), GpuError> {
        self.chain.start(state, ChainNoise::new(seed, Stream::XChain))?;
        self.started(langevin)
    }

    fn started(&mut self, langevin: &Langevin) -> Result<(), GpuError> {
        self.steps = 0;
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let state = self.chain.state_buffer();
        encoder.copy_buffer_to_buffer(state, 0, &self.start, 0, state.size());
        self.gpu.queue.submit([encoder.finish()]);
        // From here on there are energies to ask for.
        self.chain.run(0, langevin)
    }

    /// Take `steps` steps, and wait until the device has done them.
    ///
    /// # Errors
    /// If the settings are impossible or the device failed.
    pub async fn advance(&mut self, steps: u32, langevin: &Langevin) -> Result<(), GpuError> {
        self.chain.run(steps, langevin)?;
        self.chain.finish().await?;
        self.steps += steps;
        self.gpu.check()
    }

    /// Steps taken.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// Where the chains started, `[chains, data]`.
    pub fn start_buffer(&self) -> &wgpu::Buffer {
        &self.start
    }

    /// The current states, `[chains, data]`.
    pub fn state_buffer(&self) -> &wgpu::Buffer {
        self.chain.state_buffer()
    }

    /// The current states, read back.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn state(&self) -> Result<Vec<f32>, GpuError> {
        self.chain.state().await
    }

    /// Energies along the way, read back.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn trace(&self) -> Result<Trace, GpuError> {
        self.chain.trace().await
    }
}

/// Energies at `points`, a batch at a time.
///
/// # Errors
/// If the network does not fit the device, or it failed.
pub async fn energies(gpu: &Gpu, energy: &Weighted, points: &[f32]) -> Result<Vec<f32>, GpuError> {
    const BATCH: usize = 4096;
    let len = energy.network.input_len();
    let mut forward = Forward::new(gpu, energy, BATCH.min(points.len() / len))?;
    let mut energies = Vec::with_capacity(points.len() / len);
    for piece in points.chunks(BATCH * len) {
        energies.extend(forward.run(piece).await?);
    }
    Ok(energies)
}
