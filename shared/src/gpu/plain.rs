//! A network on the GPU: its weights, one buffer for each value of its plan and one for the
//! gradient of each, and the dispatches of both passes.

use super::dispatch::{Dispatch, Extent, storage, write};
use super::program::Program;
use super::{Gpu, GpuError};
use crate::model::Weighted;
use crate::network::{Activation, Conv2d, Kernel, Op, Plan};

/// Whether a network is also run backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passes {
    Forward,
    ForwardAndGradient,
}

/// A network with its weights and a batch's activations.
#[derive(Debug)]
pub(super) struct Layers {
    plan: Plan,
    pub(super) batch: usize,
    weights: wgpu::Buffer,
    values: Vec<wgpu::Buffer>,
    /// Empty for a network that only runs forward.
    gradients: Vec<wgpu::Buffer>,
    pub(super) forward: Vec<Dispatch>,
    pub(super) backward: Vec<Dispatch>,
}

impl Layers {
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
            let kernel = Kernel::Activation(Activation::LeakyRelu(1.0));
            plan.values.push(plan.values[0]);
            plan.ops.push(Op::Apply { kernel, input: 0, output: 1, accumulate: false });
            plan.output = 1;
        }
        check_fit(gpu, &plan, batch, row_len)?;
        let weights = storage(gpu, "weights", plan.parameter_count);
        write(gpu, &weights, &weighted.weights);
        let per_value = |label: &str| -> Vec<wgpu::Buffer> {
            plan.values.iter().map(|len| storage(gpu, label, batch * len)).collect()
        };
        let values = per_value("value");
        let gradients = match passes {
            Passes::Forward => Vec::new(),
            Passes::ForwardAndGradient => per_value("gradient"),
        };
        let mut layers =
            Layers { plan, batch, weights, values, gradients, forward: Vec::new(), backward: Vec::new() };
        layers.forward = layers.forward_pass(gpu);
        if passes == Passes::ForwardAndGradient {
            layers.backward = layers.backward_pass(gpu);
        }
        gpu.check()?;
        Ok(layers)
    }

    pub(super) fn input_len(&self) -> usize {
        self.plan.values[0]
    }

    pub(super) fn output_len(&self) -> usize {
        self.plan.values[self.plan.output]
    }

    /// `[batch, input]`.
    pub(super) fn input(&self) -> &wgpu::Buffer {
        &self.values[0]
    }

    /// `[batch, output]`.
    pub(super) fn output(&self) -> &wgpu::Buffer {
        &self.values[self.plan.output]
    }

    /// `[batch, input]`, what the backward pass gives.
    pub(super) fn input_gradient(&self) -> &wgpu::Buffer {
        &self.gradients[0]
    }

    /// `[batch, output]`, what the backward pass starts from.
    pub(super) fn output_gradient(&self) -> &wgpu::Buffer {
        &self.gradients[self.plan.output]
    }

    pub(super) fn set_weights(&self, gpu: &Gpu, weights: &[f32]) -> Result<(), GpuError> {
        self.plan.check_weights(weights)?;
        write(gpu, &self.weights, weights);
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

    fn forward_pass(&self, gpu: &Gpu) -> Vec<Dispatch> {
        let mut pass = Vec::new();
        for op in &self.plan.ops {
            match op {
                Op::Apply { kernel, input, output, .. } => {
                    pass.push(self.forward(gpu, kernel, *input, *output));
                }
                Op::Add { inputs: [a, b], output, .. } => {
                    let y = &self.values[*output];
                    pass.push(add(gpu, &self.values[*a], y, false));
                    pass.push(add(gpu, &self.values[*b], y, true));
                }
            }
        }
        if let Some(tau) = self.plan.reference {
            let half_precision = 0.5 / (tau * tau);
            let params = [self.batch as u32, self.input_len() as u32, half_precision.to_bits()];
            let buffers = [self.input(), self.output()];
            pass.push(Dispatch::new(
                gpu,
                Program::ReferenceEnergy,
                &params,
                &buffers,
                Extent::Rows(self.batch),
            ));
        }
        pass
    }

    fn backward_pass(&self, gpu: &Gpu) -> Vec<Dispatch> {
        let mut pass = Vec::new();
        for op in self.plan.ops.iter().rev() {
            match op {
                Op::Apply { kernel, input, output, accumulate } => {
                    pass.push(self.backward(gpu, kernel, *input, *output, *accumulate));
                }
                Op::Add { inputs, output, accumulate } => {
                    for (&input, &accumulate) in inputs.iter().zip(accumulate) {
                        pass.push(add(gpu, &self.gradients[*output], &self.gradients[input], accumulate));
                    }
                }
            }
        }
        if let Some(tau) = self.plan.reference {
            pass.push(self.reference_gradient(gpu, tau, self.output_gradient()));
        }
        pass
    }

    /// Adds x/τ² to the input's gradient, weighted by one number a row.
    pub(super) fn reference_gradient(&self, gpu: &Gpu, tau: f32, weights: &wgpu::Buffer) -> Dispatch {
        let inverse_variance = 1.0 / (tau * tau);
        let params = [self.batch as u32, self.input_len() as u32, inverse_variance.to_bits()];
        let buffers = [self.input(), weights, self.input_gradient()];
        let extent = Extent::Elements(self.batch * self.input_len());
        Dispatch::new(gpu, Program::ReferenceGradient, &params, &buffers, extent)
    }

    fn forward(&self, gpu: &Gpu, kernel: &Kernel, input: usize, output: usize) -> Dispatch {
        let (x, y) = (&self.values[input], &self.values[output]);
        let elements = self.batch * self.plan.values[output];
        let extent = Extent::Elements(elements);
        let weighted = [&self.weights, x, y];
        let batch = self.batch;
        match *kernel {
            Kernel::Linear { inputs, outputs, weight, bias } => {
                let params =
                    words([batch, inputs, outputs, weight, bias.is_some().into(), bias.unwrap_or(0)]);
                let extent = tiles(1, batch, outputs);
                Dispatch::new(gpu, Program::Linear, &params, &weighted, extent)
            }
            Kernel::Conv2d(c) => self.conv2d(gpu, &c, c.bias, x, y, false),
            Kernel::ConvTranspose2d(c) => self.conv2d_input_gradient(gpu, &c, c.bias, x, y, false),
            Kernel::UpsampleNearest { channels, height, width } => {
                let params = words([batch * channels, height, width]);
                Dispatch::new(gpu, Program::UpsampleNearest, &params, &[x, y], extent)
            }
            Kernel::UpsampleBilinear { channels, height, width } => {
                let params = words([batch * channels, height, width]);
                Dispatch::new(gpu, Program::UpsampleBilinear, &params, &[x, y], extent)
            }
            Kernel::AveragePool { channels, height, width, kernel: [kh, kw] } => {
                let params = words([batch * channels, height, width, kh, kw]);
                Dispatch::new(gpu, Program::AveragePool, &params, &[x, y], extent)
            }
            Kernel::Activation(activation) => {
                let [function, slope] = function(activation);
                Dispatch::new(gpu, Program::Activation, &[elements as u32, function, slope], &[x, y], extent)
            }
            Kernel::ScaleShift { channels, positions, scale, shift } => {
                let params = words([elements, channels, positions, scale, shift]);
                Dispatch::new(gpu, Program::ScaleShift, &params, &weighted, extent)
            }
        }
    }

    /// The convolution from `x` to `y`, or what it is in the backward pass of its transpose.
    fn conv2d(
        &self,
        gpu: &Gpu,
        c: &Conv2d,
        bias: Option<usize>,
        x: &wgpu::Buffer,
        y: &wgpu::Buffer,
        accumulate: bool,
    ) -> Dispatch {
        let params = conv2d_words(self.batch, c, bias, accumulate);
        let extent = tiles(self.batch, c.out_channels, c.out_height * c.out_width);
        Dispatch::new(gpu, Program::Conv2d, &params, &[&self.weights, x, y], extent)
    }

    /// From the convolution's output to its input: its backward pass, or its transpose.
    fn conv2d_input_gradient(
        &self,
        gpu: &Gpu,
        c: &Conv2d,
        bias: Option<usize>,
        grad_y: &wgpu::Buffer,
        grad_x: &wgpu::Buffer,
        accumulate: bool,
    ) -> Dispatch {
        let params = conv2d_words(self.batch, c, bias, accumulate);
        let extent = tiles(self.batch, c.in_channels, c.height * c.width);
        Dispatch::new(gpu, Program::Conv2dInputGradient, &params, &[&self.weights, grad_y, grad_x], extent)
    }

    fn backward(
        &self,
        gpu: &Gpu,
        kernel: &Kernel,
        input: usize,
        output: usize,
        accumulate: bool,
    ) -> Dispatch {
        let (grad_x, grad_y) = (&self.gradients[input], &self.gradients[output]);
        let elements = self.batch * self.plan.values[input];
        let extent = Extent::Elements(elements);
        let weighted = [&self.weights, grad_y, grad_x];
        let plain = [grad_y, grad_x];
        let batch = self.batch;
        let add = usize::from(accumulate);
        match *kernel {
            Kernel::Linear { inputs, outputs, weight, .. } => {
                let params = words([batch, inputs, outputs, weight, add]);
                let extent = tiles(1, batch, inputs);
                Dispatch::new(gpu, Program::LinearInputGradient, &params, &weighted, extent)
            }
            Kernel::Conv2d(c) => self.conv2d_input_gradient(gpu, &c, None, grad_y, grad_x, accumulate),
            Kernel::ConvTranspose2d(c) => self.conv2d(gpu, &c, None, grad_y, grad_x, accumulate),
            Kernel::UpsampleNearest { channels, height, width } => {
                let params = words([batch * channels, height, width, add]);
                Dispatch::new(gpu, Program::UpsampleNearestInputGradient, &params, &plain, extent)
            }
            Kernel::UpsampleBilinear { channels, height, width } => {
                let params = words([batch * channels, height, width, add]);
                Dispatch::new(gpu, Program::UpsampleBilinearInputGradient, &params, &plain, extent)
            }
            Kernel::AveragePool { channels, height, width, kernel: [kh, kw] } => {
                let params = words([batch * channels, height, width, kh, kw, add]);
                Dispatch::new(gpu, Program::AveragePoolInputGradient, &params, &plain, extent)
            }
            Kernel::Activation(activation) => {
                let [function, slope] = function(activation);
                let params = [elements as u32, function, slope, add as u32];
                let buffers = [&self.values[input], grad_y, grad_x];
                Dispatch::new(gpu, Program::ActivationInputGradient, &params, &buffers, extent)
            }
            Kernel::ScaleShift { channels, positions, scale, .. } => {
                let params = words([elements, channels, positions, scale, add]);
                Dispatch::new(gpu, Program::ScaleShiftInputGradient, &params, &weighted, extent)
            }
        }
    }
}

/// `y ← x`.
pub(super) fn copy(gpu: &Gpu, x: &wgpu::Buffer, y: &wgpu::Buffer) -> Dispatch {
    add(gpu, x, y, false)
}

/// `y ← x`, or `y ← y + x`.
fn add(gpu: &Gpu, x: &wgpu::Buffer, y: &wgpu::Buffer, accumulate: bool) -> Dispatch {
    let elements = (y.size() / 4) as usize;
    let params = words([elements, accumulate.into()]);
    Dispatch::new(gpu, Program::Add, &params, &[x, y], Extent::Elements(elements))
}

/// Invocations of a kernel that computes `planes` × `rows` × `columns` results in tiles: `tile.wgsl`.
fn tiles(planes: usize, rows: usize, columns: usize) -> Extent {
    Extent::Elements(planes * rows.div_ceil(4) * columns.div_ceil(4))
}

/// Sizes as the kernels take them. `check_fit` has made sure that they fit.
fn words<const N: usize>(sizes: [usize; N]) -> [u32; N] {
    sizes.map(|n| n as u32)
}

/// The parameters of both convolution kernels.
fn conv2d_words(batch: usize, c: &Conv2d, bias: Option<usize>, accumulate: bool) -> [u32; 14] {
    words([
        batch,
        c.in_channels,
        c.height,
        c.width,
        c.out_channels,
        c.out_height,
        c.out_width,
        c.kernel,
        c.stride,
        c.padding,
        c.weight,
        bias.is_some().into(),
        bias.unwrap_or(0),
        accumulate.into(),
    ])
}

/// Number of the function in `activation_functions.wgsl`, and the slope's bits.
fn function(activation: Activation) -> [u32; 2] {
    match activation {
        Activation::LeakyRelu(slope) => [0, slope.to_bits()],
        Activation::Silu => [1, 0],
        Activation::Tanh => [2, 0],
    }
}

/// Every buffer must fit into one binding, and every index into 32 bits.
fn check_fit(gpu: &Gpu, plan: &Plan, batch: usize, row_len: usize) -> Result<(), GpuError> {
    let limits = gpu.device.limits();
    let limit = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(u32::MAX.into());
    let bytes = plan.parameter_count as u64 * 4;
    if bytes > limit {
        return Err(GpuError::TooLarge { what: "the weights", bytes, limit });
    }
    let longest = plan.values.iter().copied().max().unwrap_or(0).max(row_len);
    let row_bytes = longest.max(1) as u64 * 4;
    let fit = limit / row_bytes;
    if fit == 0 {
        return Err(GpuError::TooLarge { what: "the activations", bytes: row_bytes, limit });
    }
    if batch == 0 {
        return Err(GpuError::Empty);
    }
    if batch as u64 > fit {
        return Err(GpuError::TooMany { asked: batch, fit: fit as usize });
    }
    Ok(())
}
