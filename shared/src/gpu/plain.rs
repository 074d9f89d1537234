//! The plain kernels: one for each layer and direction, a thread for a few results, nothing packed and nothing
//! fused. An oracle for the fused ones, and what they are compared with; never in a page.

use super::dispatch::{Dispatch, Extent, storage};
use super::layers::{Blueprint, Passes, Recorded, check_fit, words};
use super::program::Program;
use super::{Gpu, GpuError};
use crate::network::{Activation, Conv2d, Kernel, Op, Plan};

/// For a row of a batch, the numbers in the longest value, and in all values and gradients.
pub(super) fn numbers(plan: &Plan, passes: Passes) -> [usize; 2] {
    let buffers = if passes == Passes::Forward { 1 } else { 2 };
    let lengths = || plan.values.iter().copied();
    [lengths().max().unwrap_or(0), buffers * lengths().sum::<usize>()]
}

/// The dispatches of a plan, with one buffer for each of its values and one for the gradient of each.
pub(super) fn record(blueprint: &Blueprint<'_>) -> Result<Recorded, GpuError> {
    let Blueprint { gpu, plan, weights, batch, passes, .. } = *blueprint;
    let longest = plan.values.iter().copied().max().unwrap_or(0);
    check_fit(gpu, 0, longest, batch)?;
    let per_value = |label: &str| -> Vec<wgpu::Buffer> {
        plan.values.iter().map(|len| storage(gpu, label, batch * len)).collect()
    };
    let values = per_value("value");
    let gradients = match passes {
        Passes::Forward => Vec::new(),
        Passes::ForwardAndGradient => per_value("gradient"),
    };
    let ends = [0, plan.output];
    let layers = Layers { plan, batch, weights, values, gradients };
    Ok(Recorded {
        ends: ends.map(|value| layers.values[value].clone()),
        gradients: ends.iter().filter_map(|&value| layers.gradients.get(value).cloned()).collect(),
        prepare: Vec::new(),
        forward: layers.forward_pass(gpu),
        backward: if passes == Passes::Forward { Vec::new() } else { layers.backward_pass(gpu) },
        stepping: None,
    })
}

struct Layers<'a> {
    plan: &'a Plan,
    batch: usize,
    weights: &'a wgpu::Buffer,
    values: Vec<wgpu::Buffer>,
    gradients: Vec<wgpu::Buffer>,
}

impl Layers<'_> {
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
        pass
    }

    fn forward(&self, gpu: &Gpu, kernel: &Kernel, input: usize, output: usize) -> Dispatch {
        let (x, y) = (&self.values[input], &self.values[output]);
        let elements = self.batch * self.plan.values[output];
        let extent = Extent::Elements(elements);
        let weighted = [self.weights, x, y];
        let batch = self.batch;
        match *kernel {
            Kernel::Linear { inputs, outputs, weight, bias } => {
                let params =
                    words([batch, inputs, outputs, weight, bias.is_some().into(), bias.unwrap_or(0)]);
                let extent = tiles(1, batch, outputs);
                Dispatch::new(gpu, Program::PlainLinear, &params, &weighted, extent)
            }
            Kernel::Conv2d(c) => self.conv2d(gpu, &c, c.bias, x, y, false),
            Kernel::ConvTranspose2d(c) => self.conv2d_input_gradient(gpu, &c, c.bias, x, y, false),
            Kernel::UpsampleNearest { channels, height, width } => {
                let params = words([batch * channels, height, width]);
                Dispatch::new(gpu, Program::PlainUpsampleNearest, &params, &[x, y], extent)
            }
            Kernel::UpsampleBilinear { channels, height, width } => {
                let params = words([batch * channels, height, width]);
                Dispatch::new(gpu, Program::PlainUpsampleBilinear, &params, &[x, y], extent)
            }
            Kernel::AveragePool { channels, height, width, kernel: [kh, kw] } => {
                let params = words([batch * channels, height, width, kh, kw]);
                Dispatch::new(gpu, Program::PlainAveragePool, &params, &[x, y], extent)
            }
            Kernel::Activation(activation) => {
                let [function, slope] = function(activation);
                Dispatch::new(
                    gpu,
                    Program::PlainActivation,
                    &[elements as u32, function, slope],
                    &[x, y],
                    extent,
                )
            }
            Kernel::ScaleShift { channels, positions, scale, shift } => {
                let params = words([elements, channels, positions, scale, shift]);
                Dispatch::new(gpu, Program::PlainScaleShift, &params, &weighted, extent)
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
        Dispatch::new(gpu, Program::PlainConv2d, &params, &[self.weights, x, y], extent)
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
        Dispatch::new(
            gpu,
            Program::PlainConv2dInputGradient,
            &params,
            &[self.weights, grad_y, grad_x],
            extent,
        )
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
        let weighted = [self.weights, grad_y, grad_x];
        let plain = [grad_y, grad_x];
        let batch = self.batch;
        let add = usize::from(accumulate);
        match *kernel {
            Kernel::Linear { inputs, outputs, weight, .. } => {
                let params = words([batch, inputs, outputs, weight, add]);
                let extent = tiles(1, batch, inputs);
                Dispatch::new(gpu, Program::PlainLinearInputGradient, &params, &weighted, extent)
            }
            Kernel::Conv2d(c) => self.conv2d_input_gradient(gpu, &c, None, grad_y, grad_x, accumulate),
            Kernel::ConvTranspose2d(c) => self.conv2d(gpu, &c, None, grad_y, grad_x, accumulate),
            Kernel::UpsampleNearest { channels, height, width } => {
                let params = words([batch * channels, height, width, add]);
                Dispatch::new(gpu, Program::PlainUpsampleNearestInputGradient, &params, &plain, extent)
            }
            Kernel::UpsampleBilinear { channels, height, width } => {
                let params = words([batch * channels, height, width, add]);
                Dispatch::new(gpu, Program::PlainUpsampleBilinearInputGradient, &params, &plain, extent)
            }
            Kernel::AveragePool { channels, height, width, kernel: [kh, kw] } => {
                let params = words([batch * channels, height, width, kh, kw, add]);
                Dispatch::new(gpu, Program::PlainAveragePoolInputGradient, &params, &plain, extent)
            }
            Kernel::Activation(activation) => {
                let [function, slope] = function(activation);
                let params = [elements as u32, function, slope, add as u32];
                let buffers = [&self.values[input], grad_y, grad_x];
                Dispatch::new(gpu, Program::PlainActivationInputGradient, &params, &buffers, extent)
            }
            Kernel::ScaleShift { channels, positions, scale, .. } => {
                let params = words([elements, channels, positions, scale, add]);
                Dispatch::new(gpu, Program::PlainScaleShiftInputGradient, &params, &weighted, extent)
            }
        }
    }
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
        Activation::LeakyRelu(slope) => [1, slope.to_bits()],
        Activation::Silu => [2, 0],
        Activation::Tanh => [3, 0],
    }
}
