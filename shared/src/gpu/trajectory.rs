//! The trajectory of a batch of chains, x-chains or z-chains: the step counter, the trace's ring, the Langevin update,
//! and running many steps without the CPU.

use super::device::Gpu;
use super::dispatch::{Dispatch, Extent, storage, submit, uniform, word, write_params};
use super::error::GpuError;
use super::kernels::{AcceptParams, Kernel, LangevinParams, RecordParams};
use super::layers::Layers;
use crate::chain::{ChainNoise, Langevin, TRACE_LEN};
use crate::noise::Stream;

/// Most dispatches of one submission: enough to hide its cost, few enough to record quickly.
const SUBMISSION_DISPATCHES: usize = 1024;

/// Most floating-point operations of one submission. A watchdog ends submissions of some seconds;
/// this many take a slow GPU a fraction of one.
const SUBMISSION_FLOPS: u64 = 20_000_000_000;

/// The trajectory of a batch of chains.
#[derive(Debug)]
pub(super) struct Trajectory {
    gpu: Gpu,
    chains: usize,
    len: usize,
    ring: wgpu::Buffer,
    counter: wgpu::Buffer,
    /// The parameters of the update.
    params: wgpu::Buffer,
    /// The inverse variance of a Gaussian term of the energy whose gradient the step adds itself, or 0.
    inverse_variance: f32,
    /// The dispatches of a step; the first `measuring` of them measure the states and record them.
    step: Vec<Dispatch>,
    measuring: usize,
    steps_per_submission: u32,
    noise: Option<ChainNoise>,
    taken: u64,
    adjusted: Option<Adjusted>,
    /// Steps of MALA taken since the start.
    proposed: u64,
}

/// What MALA has beside the unadjusted steps: the states with their energies and gradients stay here, and
/// the layers' input holds the proposals.
#[derive(Debug)]
struct Adjusted {
    /// Take the layers' input as the states.
    begin: Vec<Dispatch>,
    step: Vec<Dispatch>,
    /// Leave the states in the layers' input, where they are looked for.
    end: Dispatch,
    accept: [Dispatch; 2],
    steps_per_submission: u32,
}

/// What a step consists of beside the layers' own passes.
#[derive(Debug)]
pub(super) struct StepPasses {
    /// One number a chain.
    pub(super) values: wgpu::Buffer,
    /// What computes them.
    pub(super) measure: Vec<Dispatch>,
    /// From them to the gradient of the layers' output.
    pub(super) before: Vec<Dispatch>,
    /// What the gradient of the input has beside that of the layers.
    pub(super) after: Vec<Dispatch>,
    /// The inverse variance of a Gaussian term whose gradient, the state over the variance, the step adds itself; or 0.
    pub(super) inverse_variance: f32,
    /// Operations of one chain's forward pass.
    pub(super) flops: u64,
}

impl Trajectory {
    /// The trajectory of the layers' first `chains` inputs.
    pub(super) fn new(gpu: &Gpu, layers: &Layers, chains: usize, passes: &StepPasses) -> Trajectory {
        let StepPasses { values, measure, before, after, inverse_variance, flops } = passes;
        let len = layers.input_len();
        let ring = storage(gpu, "trace", TRACE_LEN * chains);
        let counter = storage(gpu, "step counter", 2 + chains);
        let record = Dispatch::new(
            gpu,
            &Kernel::Record,
            &RecordParams { chains: word(chains), rows: word(TRACE_LEN) },
            &[values, &ring, &counter],
            Extent::Elements(chains),
        );
        let params = uniform::<LangevinParams>(gpu, "langevin");
        let mut step = measure.clone();
        step.push(record);
        let measuring = step.len();
        step.extend_from_slice(before);
        match layers.backward_and_step(gpu, &params, &counter) {
            Some(dispatches) => step.extend(dispatches),
            None => {
                step.extend_from_slice(layers.backward());
                step.extend_from_slice(after);
                let buffers = [layers.input_gradient(), layers.input(), &counter];
                let extent = Extent::Elements(chains * len.div_ceil(4));
                step.push(Dispatch::with_params(gpu, &Kernel::Langevin, params.clone(), &buffers, extent));
            }
        }
        // The backward pass costs about as much as the forward pass.
        let step_flops = (2 * *flops).saturating_mul(layers.batch as u64).max(1);
        let by_count = (SUBMISSION_DISPATCHES / step.len()) as u64;
        let steps_per_submission = by_count.min(SUBMISSION_FLOPS / step_flops).max(1) as u32;
        Trajectory {
            gpu: gpu.clone(),
            chains,
            len,
            ring,
            counter,
            params,
            inverse_variance: *inverse_variance,
            step,
            measuring,
            steps_per_submission,
            noise: None,
            taken: 0,
            adjusted: None,
            proposed: 0,
        }
    }

    /// Make ready for MALA on the layers of this trajectory.
    pub(super) fn adjust(&mut self, layers: &Layers) {
        if self.adjusted.is_some() {
            return;
        }
        let (gpu, chains) = (&self.gpu, self.chains);
        let elements = layers.batch * self.len;
        let states = storage(gpu, "states", elements);
        let gradients = storage(gpu, "states' gradients", elements);
        let energies = storage(gpu, "states' energies", chains);
        let accept = || {
            let buffers = [
                layers.input(),
                layers.input_gradient(),
                layers.output(),
                &states,
                &gradients,
                &energies,
                &self.counter,
            ];
            Dispatch::new(gpu, &Kernel::Accept, &AcceptParams::default(), &buffers, Extent::Rows(chains))
        };
        let accept = [accept(), accept()];
        let record = Dispatch::new(
            gpu,
            &Kernel::Record,
            &RecordParams { chains: word(chains), rows: word(TRACE_LEN) },
            &[&energies, &self.ring, &self.counter],
            Extent::Elements(chains),
        );
        let langevin = Dispatch::with_params(
            gpu,
            &Kernel::Langevin,
            self.params.clone(),
            &[&gradients, layers.input(), &self.counter],
            Extent::Elements(chains * self.len.div_ceil(4)),
        );
        let end = Dispatch::copy(gpu, &states, layers.input());
        let evaluate = || layers.forward().iter().chain(layers.backward()).cloned();
        let begin = evaluate().chain([accept[0].clone()]).collect();
        let mut step = vec![record, end.clone(), langevin];
        step.extend(evaluate());
        step.push(accept[1].clone());
        let by_count = (SUBMISSION_DISPATCHES / step.len()).max(1) as u32;
        let steps_per_submission = by_count.min(self.steps_per_submission);
        self.adjusted = Some(Adjusted { begin, step, end, accept, steps_per_submission });
    }

    /// Start anew at what the layers' input will hold, and forget the trace.
    pub(super) fn reset(&mut self, noise: ChainNoise) {
        self.gpu.queue.write_buffer(&self.counter, 0, &vec![0; 4 * (2 + self.chains)]);
        self.noise = Some(noise);
        (self.taken, self.proposed) = (0, 0);
    }

    pub(super) fn run(&mut self, steps: u32, langevin: &Langevin) -> Result<(), GpuError> {
        let noise = self.noise.ok_or(GpuError::NotReady("call start"))?;
        langevin.check().map_err(GpuError::Settings)?;
        let params = self.params(langevin, &noise);
        write_params(&self.gpu, &self.params, &params);
        match &self.adjusted {
            Some(adjusted) if langevin.mala => {
                for (accept, start) in adjusted.accept.iter().zip([1, 0]) {
                    accept.set_params(&self.gpu, &accept_params(&params, langevin, start));
                }
                submit(&self.gpu, &adjusted.begin);
                self.submit_steps(&adjusted.step, steps, adjusted.steps_per_submission);
                submit(&self.gpu, [&adjusted.end]);
                self.proposed += u64::from(steps);
            }
            _ => {
                self.submit_steps(&self.step, steps, self.steps_per_submission);
            }
        }
        self.taken += u64::from(steps);
        self.gpu.check()
    }

    fn submit_steps(&self, step: &[Dispatch], steps: u32, per_submission: u32) {
        let mut left = steps;
        while left > 0 {
            let now = left.min(per_submission);
            submit(&self.gpu, (0..now).flat_map(|_| step));
            left -= now;
        }
    }

    /// Share of MALA's proposals accepted since the start; `None` without any.
    pub(super) fn acceptance(&self) -> impl Future<Output = Result<Option<f32>, GpuError>> + use<> {
        let proposed = self.proposed * self.chains as u64;
        let reading = (proposed > 0).then(|| self.gpu.read(&self.counter, 2 + self.chains));
        async move {
            let Some(reading) = reading else { return Ok(None) };
            let counts = reading.await?;
            let accepted: u64 = counts[2..].iter().map(|count| u64::from(count.to_bits())).sum();
            Ok(Some((accepted as f64 / proposed as f64) as f32))
        }
    }

    /// The parameters of the update.
    fn params(&self, langevin: &Langevin, noise: &ChainNoise) -> LangevinParams {
        let [seed_low, seed_high] = noise.noise.key();
        let [low, high] = langevin.range_clamp.unwrap_or_default();
        LangevinParams {
            chains: word(self.chains),
            len: word(self.len),
            seed_low,
            seed_high,
            stream: noise.noise.stream(),
            first_chain: noise.first_chain,
            first_step: noise.first_step,
            half_squared_step: 0.5 * langevin.step_size * langevin.step_size,
            noise: langevin.noise,
            clamps_gradient: langevin.gradient_clamp.is_some().into(),
            gradient_clamp: langevin.gradient_clamp.unwrap_or_default(),
            clamps_range: langevin.range_clamp.is_some().into(),
            low,
            high,
            inverse_variance: self.inverse_variance,
        }
    }

    /// Measure the current states: their values, and the row of the trace that is theirs.
    fn measure(&self) {
        submit(&self.gpu, &self.step[..self.measuring]);
    }

    /// Measure the current states, with their numbers in the layers. Returns the buffer, the place and the length of
    /// their values: the newest row of the ring.
    pub(super) fn newest(&self) -> (&wgpu::Buffer, usize, usize) {
        self.measure();
        let row = (self.taken % TRACE_LEN as u64) as usize;
        (&self.ring, row * self.chains, self.chains)
    }

    /// The step of the trace's first row, and its rows.
    pub(super) fn recorded(&self) -> (usize, usize) {
        let recorded = if self.noise.is_some() { self.taken + 1 } else { 0 };
        let rows = recorded.min(TRACE_LEN as u64) as usize;
        (recorded as usize - rows, rows)
    }

    /// The rows of the trace, once the newest is there: the ring's.
    pub(super) fn rows(&self) -> (&wgpu::Buffer, usize, usize) {
        self.measure();
        let (_, rows) = self.recorded();
        (&self.ring, 0, rows * self.chains)
    }

    /// Times of a step's kernels. The chains take some steps.
    #[cfg(feature = "workbench")]
    pub(super) fn kernel_times(&self) -> Result<Vec<super::profile::KernelTime>, GpuError> {
        self.gpu.kernel_times(&self.step)
    }
}

/// The parameters of MALA's acceptance, most of which are those of the update.
fn accept_params(update: &LangevinParams, langevin: &Langevin, start: u32) -> AcceptParams {
    AcceptParams {
        chains: update.chains,
        len: update.len,
        seed_low: update.seed_low,
        seed_high: update.seed_high,
        stream: Stream::Acceptance as u32,
        first_chain: update.first_chain,
        first_step: update.first_step,
        half_squared_step: update.half_squared_step,
        noise: update.noise,
        temperature: langevin.temperature(),
        start,
    }
}
