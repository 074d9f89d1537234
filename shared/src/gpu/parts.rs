//! More chains than fit through the layers at once: parts that take turns. Each takes all steps of a run before the
//! next, on the same layers; chains do not depend on each other.

use super::dispatch::storage;
use super::layers::Layers;
use super::walk::Walk;
use super::{Gpu, GpuError};
use crate::chain::{ChainNoise, Langevin, Trace};
use std::ops::Range;

/// Numbers of all chains, of which a part's go through a buffer of the layers.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) whole: wgpu::Buffer,
    pub(super) working: wgpu::Buffer,
    /// Numbers of a chain.
    pub(super) row: usize,
}

impl Parked {
    /// A place for `chains` rows; the working buffer itself where they all fit.
    pub(super) fn new(gpu: &Gpu, working: &wgpu::Buffer, row: usize, chains: usize, parts: usize) -> Parked {
        let whole = match parts {
            1 => working.clone(),
            _ => storage(gpu, "all chains", chains * row),
        };
        Parked { whole, working: working.clone(), row }
    }

    fn bytes(&self, chains: &Range<usize>) -> [u64; 2] {
        let bytes = |rows: usize| 4 * (rows * self.row) as u64;
        [bytes(chains.start), bytes(chains.len())]
    }
}

/// The walks of all parts.
#[derive(Debug)]
pub(super) struct Parts {
    gpu: Gpu,
    walks: Vec<(Range<usize>, Walk)>,
    state: Parked,
    /// What chains need beside their states.
    others: Vec<Parked>,
}

impl Parts {
    /// `chains` chains in parts of as many as `layers` hold. `walk` makes a walk of so many chains; `others` are
    /// brought along with the states.
    pub(super) fn new(
        gpu: &Gpu,
        layers: &Layers,
        chains: usize,
        others: Vec<Parked>,
        mut walk: impl FnMut(usize) -> Walk,
    ) -> Parts {
        let parts = chains.div_ceil(layers.batch);
        let ranges = (0..parts).map(|i| i * layers.batch..chains.min((i + 1) * layers.batch));
        Parts {
            gpu: gpu.clone(),
            walks: ranges.map(|range| (range.clone(), walk(range.len()))).collect(),
            state: Parked::new(gpu, layers.input(), layers.input_len(), chains, parts),
            others,
        }
    }

    fn chains(&self) -> usize {
        self.walks.last().map_or(0, |(range, _)| range.end)
    }

    /// Bring a part's numbers to the layers.
    fn bring(&self, chains: &Range<usize>) {
        self.copy(chains, self.others.iter().chain([&self.state]), false);
    }

    /// Take its states back.
    fn take_back(&self, chains: &Range<usize>) {
        self.copy(chains, [&self.state], true);
    }

    fn copy<'a>(&self, chains: &Range<usize>, parked: impl IntoIterator<Item = &'a Parked>, back: bool) {
        if self.walks.len() == 1 {
            return;
        }
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for parked in parked {
            let [at, bytes] = parked.bytes(chains);
            match back {
                true => encoder.copy_buffer_to_buffer(&parked.working, 0, &parked.whole, at, bytes),
                false => encoder.copy_buffer_to_buffer(&parked.whole, at, &parked.working, 0, bytes),
            }
        }
        self.gpu.queue.submit([encoder.finish()]);
    }

    pub(super) fn start(&mut self, state: &[f32], noise: ChainNoise) -> Result<(), GpuError> {
        GpuError::check_length("the state", state.len(), self.chains() * self.state.row)?;
        super::dispatch::write(&self.gpu, &self.state.whole, state);
        self.reset(noise)
    }

    pub(super) fn start_from_buffer(
        &mut self,
        buffer: &wgpu::Buffer,
        noise: ChainNoise,
    ) -> Result<(), GpuError> {
        let [_, size] = self.state.bytes(&(0..self.chains()));
        if buffer.size() < size {
            let expected = self.chains() * self.state.row;
            GpuError::check_length("the buffer", (buffer.size() / 4) as usize, expected)?;
        }
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, 0, &self.state.whole, 0, size);
        self.gpu.queue.submit([encoder.finish()]);
        self.reset(noise)
    }

    fn reset(&mut self, noise: ChainNoise) -> Result<(), GpuError> {
        for (range, walk) in &mut self.walks {
            let first_chain = noise.first_chain.wrapping_add(range.start as u32);
            walk.reset(ChainNoise { first_chain, ..noise });
        }
        self.gpu.check()
    }

    /// Make ready for MALA on the layers.
    pub(super) fn adjust(&mut self, layers: &Layers) {
        self.walks.iter_mut().for_each(|(_, walk)| walk.adjust(layers));
    }

    pub(super) fn run(&mut self, steps: u32, langevin: &Langevin) -> Result<(), GpuError> {
        for part in 0..self.walks.len() {
            let range = self.walks[part].0.clone();
            self.bring(&range);
            self.walks[part].1.run(steps, langevin)?;
            self.take_back(&range);
        }
        self.gpu.check()
    }

    /// Share of MALA's proposals accepted since the start; `None` without any.
    pub(super) fn acceptance(&self) -> impl Future<Output = Result<Option<f32>, GpuError>> + use<> {
        let chains = self.chains();
        let shares: Vec<_> = self.walks.iter().map(|(part, walk)| (part.len(), walk.acceptance())).collect();
        async move {
            let mut accepted = 0.0;
            for (count, share) in shares {
                let Some(share) = share.await? else { return Ok(None) };
                accepted += f64::from(share) * count as f64;
            }
            Ok(Some((accepted / chains as f64) as f32))
        }
    }

    pub(super) fn state(&self) -> impl Future<Output = Result<Vec<f32>, GpuError>> + use<> {
        self.gpu.read(&self.state.whole, self.chains() * self.state.row)
    }

    pub(super) fn state_buffer(&self) -> &wgpu::Buffer {
        &self.state.whole
    }

    /// One number a chain, of the current states.
    pub(super) fn values(&self) -> impl Future<Output = Result<Vec<f32>, GpuError>> + use<> {
        self.read(Walk::newest)
    }

    pub(super) fn trace(&self) -> impl Future<Output = Result<Trace, GpuError>> + use<> {
        let (first_step, rows) = self.walks.first().map_or((0, 0), |(_, walk)| walk.recorded());
        let reading = (rows > 0).then(|| self.read(Walk::rows));
        let parts: Vec<usize> = self.walks.iter().map(|(range, _)| range.len()).collect();
        async move {
            let Some(reading) = reading else {
                return Ok(Trace { chains: parts.iter().sum(), ..Trace::default() });
            };
            let mut values = reading.await?;
            let mut traces = Vec::with_capacity(parts.len());
            for chains in parts {
                let rest = values.split_off(rows * chains);
                // Once the ring is full, its oldest row lies behind its newest.
                values.rotate_left(first_step % rows * chains);
                traces.push(Trace { first_step: first_step as u32, chains, values });
                values = rest;
            }
            Ok(Trace::side_by_side(traces))
        }
    }

    /// What `ready` makes ready to be read, part by part, with the part's numbers in the layers.
    fn read(
        &self,
        ready: fn(&Walk) -> (&wgpu::Buffer, usize, usize),
    ) -> impl Future<Output = Result<Vec<f32>, GpuError>> + use<> {
        let mut pieces = Vec::new();
        for (range, walk) in &self.walks {
            self.bring(range);
            pieces.push(ready(walk));
        }
        self.gpu.read_all(&pieces)
    }

    /// Times of a step's kernels, of the first part.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn kernel_times(&self) -> Result<Vec<super::KernelTime>, GpuError> {
        let Some((range, walk)) = self.walks.first() else { return Ok(Vec::new()) };
        self.bring(range);
        walk.kernel_times()
    }

    pub(super) fn gpu(&self) -> &Gpu {
        &self.gpu
    }
}
