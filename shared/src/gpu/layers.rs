//! A network on the GPU: its weights, the buffers at its ends, and the dispatches of both passes.

use super::device::Gpu;
use super::dispatch::{Dispatch, Extent, encode, storage, submit, word, write};
use super::error::GpuError;
use super::fused;
use super::kernels::{Kernel, ReferenceEnergyParams, ReferenceGradientParams};
#[cfg(feature = "workbench")]
use super::plain;
use super::recording::{
    ACTIVATIONS, Passes, Recording, RecordingInput, Stepping, binding, check_fit, rows_in,
};
use crate::model::Weighted;
use crate::network::{Activation, Op, Operator, Plan};

/// A network with its weights and a batch's activations.
#[derive(Debug)]
pub(super) struct Layers {
    plan: Plan,
    pub(super) batch: usize,
    weights: wgpu::Buffer,
    /// Numbers in all values and gradients of a row.
    numbers_per_row: usize,
    recording: Recording,
}

impl Layers {
    /// How many of `wanted` rows go through the layers at once: all of them, or the share of one of as few equal
    /// parts as fit. `row_len` are the numbers that the caller itself will keep for each row in one buffer.
    pub(super) fn rows_at_once(
        gpu: &Gpu,
        weighted: &Weighted,
        passes: Passes,
        row_len: usize,
        wanted: usize,
    ) -> Result<usize, GpuError> {
        let plan = Plan::new(&weighted.network)?;
        let [longest, sum] = numbers(gpu, &plan, &weighted.network.input, passes);
        // What the caller keeps of all rows must fit as well.
        check_fit(gpu, 0, weighted.network.input_len(), wanted)?;
        let most = rows_in(binding(gpu), longest.max(row_len)).min(rows_in(ACTIVATIONS, sum)).max(1);
        Ok(wanted.div_ceil(wanted.div_ceil(most)))
    }

    /// Bytes of values and gradients for each row that goes through the layers.
    pub(super) fn bytes_per_row(&self) -> u64 {
        4 * self.numbers_per_row as u64
    }

    /// Allocate and record everything. `row_len` are the numbers that the caller itself will keep
    /// for each row in one buffer.
    pub(super) fn new(
        gpu: &Gpu,
        weighted: &Weighted,
        batch: usize,
        passes: Passes,
        row_len: usize,
    ) -> Result<Layers, GpuError> {
        let mut plan = Plan::new(&weighted.network)?;
        plan.check_weights(&weighted.weights)?;
        if plan.ops.is_empty() {
            // Nothing but reshapes. A copy gives input and output a buffer each, as elsewhere.
            let operator = Operator::Activation(Activation::LeakyRelu(1.0));
            plan.values.push(plan.values[0]);
            plan.ops.push(Op::Apply { operator, input: 0, output: 1, accumulate: false });
            plan.output = 1;
        }
        check_fit(gpu, plan.parameter_count, row_len, batch)?;
        let weights = storage(gpu, "weights", plan.parameter_count);
        let input = &weighted.network.input;
        let inputs = RecordingInput { gpu, plan: &plan, input, weights: &weights, batch, passes };
        let recording = record(&inputs)?;
        let [_, numbers_per_row] = numbers(gpu, &plan, input, passes);
        let mut layers = Layers { plan, batch, weights, numbers_per_row, recording };
        if let Some(tau) = layers.plan.reference {
            layers.add_reference(gpu, tau, passes);
        }
        layers.set_weights(gpu, &weighted.weights)?;
        Ok(layers)
    }

    /// The reference's term of the energy, and of its gradient.
    fn add_reference(&mut self, gpu: &Gpu, tau: f32, passes: Passes) {
        let half_precision = 0.5 / (tau * tau);
        let params =
            ReferenceEnergyParams { chains: word(self.batch), len: word(self.input_len()), half_precision };
        let buffers = [self.input(), self.output()];
        let extent = Extent::Rows(self.batch);
        let energy = Dispatch::new(gpu, &Kernel::ReferenceEnergy, &params, &buffers, extent);
        self.recording.forward.push(energy);
        if passes == Passes::ForwardAndGradient {
            let gradient = self.reference_gradient(gpu, tau, self.output_gradient());
            self.recording.backward.push(gradient);
        }
    }

    /// The inverse variance 1/τ² of an energy's reference.
    pub(super) fn inverse_variance(&self) -> Option<f32> {
        self.plan.reference.map(|tau| 1.0 / (tau * tau))
    }

    pub(super) fn input_len(&self) -> usize {
        self.plan.values[0]
    }

    pub(super) fn output_len(&self) -> usize {
        self.plan.values[self.plan.output]
    }

    /// `[batch, input]`.
    pub(super) fn input(&self) -> &wgpu::Buffer {
        &self.recording.ends[0]
    }

    /// `[batch, output]`.
    pub(super) fn output(&self) -> &wgpu::Buffer {
        &self.recording.ends[1]
    }

    /// `[batch, input]`, what the backward pass gives.
    pub(super) fn input_gradient(&self) -> &wgpu::Buffer {
        &self.recording.gradients[0]
    }

    /// `[batch, output]`, what the backward pass starts from.
    pub(super) fn output_gradient(&self) -> &wgpu::Buffer {
        &self.recording.gradients[1]
    }

    pub(super) fn forward(&self) -> &[Dispatch] {
        &self.recording.forward
    }

    /// The backward pass, for the values of the forward pass before it.
    pub(super) fn backward(&self) -> &[Dispatch] {
        &self.recording.backward
    }

    /// The backward pass with a Langevin step of the inputs at its end, by the parameters `langevin` and the step
    /// counter; `None` where the update takes a kernel of its own. The step adds the reference's gradient
    /// itself: the parameters have its inverse variance.
    pub(super) fn backward_and_step(
        &self,
        gpu: &Gpu,
        langevin: &wgpu::Buffer,
        counter: &wgpu::Buffer,
    ) -> Option<Vec<Dispatch>> {
        let Stepping { shader, params, buffers: [weights, gradient], extent } =
            self.recording.stepping.as_ref()?;
        let buffers = [weights, gradient, self.input(), langevin, counter];
        let step = Dispatch::new(gpu, shader.as_ref(), params, &buffers, *extent);
        let before = self.recording.backward.len() - 1 - usize::from(self.plan.reference.is_some());
        Some(self.recording.backward[..before].iter().cloned().chain([step]).collect())
    }

    pub(super) fn set_weights(&self, gpu: &Gpu, weights: &[f32]) -> Result<(), GpuError> {
        self.plan.check_weights(weights)?;
        write(gpu, &self.weights, weights);
        submit(gpu, &self.recording.prepare);
        gpu.check()
    }

    /// Replace the weights by those in a buffer of this device, without passing the CPU.
    pub(super) fn set_weights_from_buffer(
        &self,
        gpu: &Gpu,
        buffer: &wgpu::Buffer,
        offset: u64,
    ) -> Result<(), GpuError> {
        let bytes = 4 * self.plan.parameter_count as u64;
        let there = buffer.size().saturating_sub(offset);
        if there < bytes {
            GpuError::check_length("the buffer", (there / 4) as usize, self.plan.parameter_count)?;
        }
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.copy_buffer_to_buffer(buffer, offset, &self.weights, 0, bytes);
        encode(&self.recording.prepare, &mut encoder);
        gpu.queue.submit([encoder.finish()]);
        gpu.check()
    }

    /// Write rows to the input, and say how many.
    pub(super) fn write_input(&self, gpu: &Gpu, x: &[f32]) -> Result<usize, GpuError> {
        let rows = x.len() / self.input_len();
        if rows == 0 {
            return Err(GpuError::Empty);
        }
        GpuError::check_length("the input", x.len(), rows.min(self.batch) * self.input_len())?;
        write(gpu, self.input(), x);
        Ok(rows)
    }

    /// Adds x/τ² to the input's gradient, weighted by one number a row.
    pub(super) fn reference_gradient(&self, gpu: &Gpu, tau: f32, weights: &wgpu::Buffer) -> Dispatch {
        let inverse_variance = 1.0 / (tau * tau);
        let params = ReferenceGradientParams {
            chains: word(self.batch),
            len: word(self.input_len()),
            inverse_variance,
        };
        let buffers = [self.input(), weights, self.input_gradient()];
        let extent = Extent::Elements(self.batch * self.input_len());
        Dispatch::new(gpu, &Kernel::ReferenceGradient, &params, &buffers, extent)
    }
}

fn record(inputs: &RecordingInput<'_>) -> Result<Recording, GpuError> {
    #[cfg(feature = "workbench")]
    if inputs.gpu.uses_plain_kernels() {
        return plain::record(inputs);
    }
    fused::record(inputs)
}

/// For a row of a batch, the numbers in the longest value, and in all values and gradients.
fn numbers(gpu: &Gpu, plan: &Plan, input: &[usize], passes: Passes) -> [usize; 2] {
    #[cfg(feature = "workbench")]
    if gpu.uses_plain_kernels() {
        return plain::numbers(plan, passes);
    }
    let _ = gpu;
    fused::numbers(plan, input, passes)
}
