//! More chains than fit through the layers at once: parts that take turns. Each takes all steps of a run before the
//! next, on the same layers; chains do not depend on each other.

use super::device::Gpu;
use super::dispatch::{storage, write};
use super::error::GpuError;
use super::layers::Layers;
use super::trajectory::Trajectory;
use crate::chain::{ChainNoise, Langevin, Trace};
use std::ops::Range;

/// One row of numbers for each chain, of which those of a part at a time lie in a buffer of the layers.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) whole: wgpu::Buffer,
    pub(super) working: wgpu::Buffer,
    /// Numbers of a chain.
    pub(super) row: usize,
}

impl Rows {
    /// A place for `chains` rows; the working buffer itself where they all fit.
    pub(super) fn new(gpu: &Gpu, working: &wgpu::Buffer, row: usize, chains: usize, parts: usize) -> Rows {
        let whole = match parts {
            1 => working.clone(),
            _ => storage(gpu, "all chains", chains * row),
        };
        Rows { whole, working: working.clone(), row }
    }

    fn bytes(&self, chains: &Range<usize>) -> [u64; 2] {
        let bytes = |rows: usize| 4 * (rows * self.row) as u64;
        [bytes(chains.start), bytes(chains.len())]
    }
}

/// The trajectories of all parts.
#[derive(Debug)]
pub(super) struct Parts {
    gpu: Gpu,
    trajectories: Vec<(Range<usize>, Trajectory)>,
    state: Rows,
    /// What chains need beside their states.
    others: Vec<Rows>,
}

impl Parts {
    /// `chains` chains in parts of as many as `layers` hold. `trajectory` makes the trajectory of so many chains; `others` are
    /// brought along with the states.
    pub(super) fn new(
        gpu: &Gpu,
        layers: &Layers,
        chains: usize,
        others: Vec<Rows>,
        mut trajectory: impl FnMut(usize) -> Trajectory,
    ) -> Parts {
        let parts = chains.div_ceil(layers.batch);
        let ranges = (0..parts).map(|i| i * layers.batch..chains.min((i + 1) * layers.batch));
        Parts {
            gpu: gpu.clone(),
            trajectories: ranges.map(|range| (range.clone(), trajectory(range.len()))).collect(),
            state: Rows::new(gpu, layers.input(), layers.input_len(), chains, parts),
            others,
        }
    }

    fn chains(&self) -> usize {
        self.trajectories.last().map_or(0, |(range, _)| range.end)
    }

    /// Bring a part's numbers to the layers.
    fn bring(&self, chains: &Range<usize>) {
        self.copy(chains, self.others.iter().chain([&self.state]), false);
    }

    /// Take its states back.
    fn take_back(&self, chains: &Range<usize>) {
        self.copy(chains, [&self.state], true);
    }

    fn copy<'a>(&self, chains: &Range<usize>, rows: impl IntoIterator<Item = &'a Rows>, back: bool) {
        if self.trajectories.len() == 1 {
            return;
        }
        let mut encoder = self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        for rows in rows {
            let [at, bytes] = rows.bytes(chains);
            match back {
                true => encoder.copy_buffer_to_buffer(&rows.working, 0, &rows.whole, at, bytes),
                false => encoder.copy_buffer_to_buffer(&rows.whole, at, &rows.working, 0, bytes),
            }
        }
        self.gpu.queue.submit([encoder.finish()]);
    }

    pub(super) fn start(&mut self, state: &[f32], noise: ChainNoise) -> Result<(), GpuError> {
        GpuError::check_length("the state", state.len(), self.chains() * self.state.row)?;
        write(&self.gpu, &self.state.whole, state);
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
        for (range, trajectory) in &mut self.trajectories {
            let first_chain = noise.first_chain.wrapping_add(range.start as u32);
            trajectory.reset(ChainNoise { first_chain, ..noise });
        }
        self.gpu.check()
    }

    /// Make ready for MALA on the layers.
    pub(super) fn adjust(&mut self, layers: &Layers) {
        self.trajectories.iter_mut().for_each(|(_, trajectory)| trajectory.adjust(layers));
    }

    pub(super) fn run(&mut self, steps: u32, langevin: &Langevin) -> Result<(), GpuError> {
        for part in 0..self.trajectories.len() {
            let range = self.trajectories[part].0.clone();
            self.bring(&range);
            self.trajectories[part].1.run(steps, langevin)?;
            self.take_back(&range);
        }
        self.gpu.check()
    }

    /// Share of MALA's proposals accepted since the start; `None` without any.
    pub(super) fn acceptance(&self) -> impl Future<Output = Result<Option<f32>, GpuError>> + use<> {
        let chains = self.chains();
        let shares: Vec<_> = self
            .trajectories
            .iter()
            .map(|(part, trajectory)| (part.len(), trajectory.acceptance()))
            .collect();
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
        self.read(Trajectory::newest)
    }

    pub(super) fn trace(&self) -> impl Future<Output = Result<Trace, GpuError>> + use<> {
        let (first_step, rows) =
            self.trajectories.first().map_or((0, 0), |(_, trajectory)| trajectory.recorded());
        let reading = (rows > 0).then(|| self.read(Trajectory::rows));
        let parts: Vec<usize> = self.trajectories.iter().map(|(range, _)| range.len()).collect();
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
        ready: fn(&Trajectory) -> (&wgpu::Buffer, usize, usize),
    ) -> impl Future<Output = Result<Vec<f32>, GpuError>> + use<> {
        let mut pieces = Vec::new();
        for (range, trajectory) in &self.trajectories {
            self.bring(range);
            pieces.push(ready(trajectory));
        }
        self.gpu.read_all(&pieces)
    }

    /// Times of a step's kernels, of the first part.
    #[cfg(feature = "workbench")]
    pub(super) fn kernel_times(&self) -> Result<Vec<super::profile::KernelTime>, GpuError> {
        let Some((range, trajectory)) = self.trajectories.first() else { return Ok(Vec::new()) };
        self.bring(range);
        trajectory.kernel_times()
    }

    pub(super) fn gpu(&self) -> &Gpu {
        &self.gpu
    }
}
