//! The plain kernels: one for each operator and direction, a thread for a few results, nothing packed and nothing
//! fused. An oracle for the fused ones, and what they are compared with.

use super::device::Gpu;
use super::dispatch::{Dispatch, Extent, storage, word};
use super::error::GpuError;
use super::kernels::{
    Kernel, PlainActivationParams, PlainConv2dParams, PlainLinearParams, PlainPoolParams,
    PlainScaleShiftParams, PlainUpsampleParams,
};
use super::recording::{Passes, Recording, RecordingInput, check_fit};
use crate::network::{Activation, Conv2d, Op, Operator, Plan};
use bytemuck::Pod;

/// For a row of a batch, the numbers in the longest value, and in all values and gradients.
pub(super) fn numbers(plan: &Plan, passes: Passes) -> [usize; 2] {
    let buffers = if passes == Passes::Forward { 1 } else { 2 };
    let lengths = || plan.values.iter().copied().chain(plan.ops.iter().map(between_len));
    [lengths().max().unwrap_or(0), buffers * lengths().sum::<usize>()]
}

/// Numbers between the two kernels of an operation that takes two.
fn between_len(op: &Op) -> usize {
    match op {
        Op::Apply { operator: Operator::UpsampledConv2d(c), .. } => c.in_channels * c.height * c.width,
        _ => 0,
    }
}

/// The dispatches of a plan, with one buffer for each of its values and one for the gradient of each.
pub(super) fn record(inputs: &RecordingInput<'_>) -> Result<Recording, GpuError> {
    let RecordingInput { gpu, plan, weights, batch, passes, .. } = *inputs;
    let [longest, _] = numbers(plan, passes);
    check_fit(gpu, 0, longest, batch)?;
    let per_value = |label: &str| -> Vec<wgpu::Buffer> {
        plan.values.iter().map(|len| storage(gpu, label, batch * len)).collect()
    };
    let values = per_value("value");
    let gradients = match passes {
        Passes::Forward => Vec::new(),
        Passes::ForwardAndGradient => per_value("gradient"),
    };
    let between = plan.ops.iter().map(|op| storage(gpu, "between", batch * between_len(op))).collect();
    let ends = [0, plan.output];
    let layers = PlainLayers { gpu, plan, batch, weights, values, gradients, between };
    Ok(Recording {
        ends: ends.map(|value| layers.values[value].clone()),
        gradients: ends.iter().filter_map(|&value| layers.gradients.get(value).cloned()).collect(),
        prepare: Vec::new(),
        forward: layers.forward_pass(),
        backward: if passes == Passes::Forward { Vec::new() } else { layers.backward_pass() },
        stepping: None,
    })
}

struct PlainLayers<'a> {
    gpu: &'a Gpu,
    plan: &'a Plan,
    batch: usize,
    weights: &'a wgpu::Buffer,
    values: Vec<wgpu::Buffer>,
    gradients: Vec<wgpu::Buffer>,
    /// For each operation, what lies between its two kernels, or its gradient.
    between: Vec<wgpu::Buffer>,
}

/// The buffers that a kernel reads and writes, and whether it adds to what is there.
#[derive(Clone, Copy)]
struct Ends<'a> {
    x: &'a wgpu::Buffer,
    y: &'a wgpu::Buffer,
    accumulate: bool,
}

impl PlainLayers<'_> {
    fn forward_pass(&self) -> Vec<Dispatch> {
        let mut pass = Vec::new();
        for (op, between) in self.plan.ops.iter().zip(&self.between) {
            match op {
                Op::Apply { operator, input, output, .. } => {
                    let ends = Ends { x: &self.values[*input], y: &self.values[*output], accumulate: false };
                    pass.extend(self.forward(operator, ends, between));
                }
                Op::Add { inputs: [a, b], output, .. } => {
                    let y = &self.values[*output];
                    pass.push(Dispatch::copy(self.gpu, &self.values[*a], y));
                    pass.push(Dispatch::add(self.gpu, &self.values[*b], y, true));
                }
            }
        }
        pass
    }

    fn backward_pass(&self) -> Vec<Dispatch> {
        let mut pass = Vec::new();
        for (op, between) in self.plan.ops.iter().zip(&self.between).rev() {
            match op {
                &Op::Apply { ref operator, input, output, accumulate } => {
                    let ends = Ends { x: &self.gradients[output], y: &self.gradients[input], accumulate };
                    pass.extend(self.backward(operator, ends, &self.values[input], between));
                }
                Op::Add { inputs, output, accumulate } => {
                    for (&input, &accumulate) in inputs.iter().zip(accumulate) {
                        let (x, y) = (&self.gradients[*output], &self.gradients[input]);
                        pass.push(Dispatch::add(self.gpu, x, y, accumulate));
                    }
                }
            }
        }
        pass
    }

    /// The launch of a kernel without weights, one invocation for each of the elements that it writes.
    fn simple<P: Pod>(&self, kernel: Kernel, params: &P, ends: Ends<'_>) -> Dispatch {
        let extent = Extent::Elements((ends.y.size() / 4) as usize);
        Dispatch::new(self.gpu, &kernel, params, &[ends.x, ends.y], extent)
    }

    /// The launch of a kernel with weights.
    fn weighted<P: Pod>(&self, kernel: Kernel, params: &P, ends: Ends<'_>, extent: Extent) -> Dispatch {
        Dispatch::new(self.gpu, &kernel, params, &[self.weights, ends.x, ends.y], extent)
    }

    fn forward(&self, operator: &Operator, ends: Ends<'_>, between: &wgpu::Buffer) -> Vec<Dispatch> {
        vec![match *operator {
            Operator::Linear { inputs, outputs, weight, bias } => {
                self.linear(Kernel::PlainLinear, [inputs, outputs], weight, bias, outputs, ends)
            }
            Operator::Conv2d(ref c) => self.conv2d(c, c.bias, ends),
            Operator::ConvTranspose2d(ref c) => self.conv2d_input_gradient(c, c.bias, ends),
            Operator::UpsampledConv2d(ref c) => {
                let small = [c.in_channels, c.height / 2, c.width / 2];
                return vec![
                    self.upsample(Kernel::PlainUpsampleNearest, small, Ends { y: between, ..ends }),
                    self.conv2d(c, c.bias, Ends { x: between, ..ends }),
                ];
            }
            Operator::UpsampleNearest { channels, height, width } => {
                self.upsample(Kernel::PlainUpsampleNearest, [channels, height, width], ends)
            }
            Operator::UpsampleBilinear { channels, height, width } => {
                self.upsample(Kernel::PlainUpsampleBilinear, [channels, height, width], ends)
            }
            Operator::AveragePool { channels, height, width, kernel } => {
                self.pool(Kernel::PlainAveragePool, [channels, height, width], kernel, ends)
            }
            Operator::Activation(activation) => {
                self.simple(Kernel::PlainActivation, &function(activation, ends), ends)
            }
            Operator::ScaleShift { channels, positions, scale, shift } => {
                self.scale_shift(Kernel::PlainScaleShift, [channels, positions], [scale, shift], ends)
            }
        }]
    }

    /// From the gradient of the output to that of the input, `value`.
    fn backward(
        &self,
        operator: &Operator,
        ends: Ends<'_>,
        value: &wgpu::Buffer,
        between: &wgpu::Buffer,
    ) -> Vec<Dispatch> {
        vec![match *operator {
            Operator::Linear { inputs, outputs, weight, .. } => {
                self.linear(Kernel::PlainLinearInputGradient, [inputs, outputs], weight, None, inputs, ends)
            }
            Operator::Conv2d(ref c) => self.conv2d_input_gradient(c, None, ends),
            Operator::ConvTranspose2d(ref c) => self.conv2d(c, None, ends),
            Operator::UpsampledConv2d(ref c) => {
                let small = [c.in_channels, c.height / 2, c.width / 2];
                let first = Ends { y: between, accumulate: false, ..ends };
                let second = Ends { x: between, ..ends };
                return vec![
                    self.conv2d_input_gradient(c, None, first),
                    self.upsample(Kernel::PlainUpsampleNearestInputGradient, small, second),
                ];
            }
            Operator::UpsampleNearest { channels, height, width } => {
                self.upsample(Kernel::PlainUpsampleNearestInputGradient, [channels, height, width], ends)
            }
            Operator::UpsampleBilinear { channels, height, width } => {
                self.upsample(Kernel::PlainUpsampleBilinearInputGradient, [channels, height, width], ends)
            }
            Operator::AveragePool { channels, height, width, kernel } => {
                self.pool(Kernel::PlainAveragePoolInputGradient, [channels, height, width], kernel, ends)
            }
            Operator::Activation(activation) => {
                let params = function(activation, ends);
                let extent = Extent::Elements(params.elements as usize);
                let kernel = Kernel::PlainActivationInputGradient;
                Dispatch::new(self.gpu, &kernel, &params, &[value, ends.x, ends.y], extent)
            }
            Operator::ScaleShift { channels, positions, scale, shift } => {
                let kernel = Kernel::PlainScaleShiftInputGradient;
                self.scale_shift(kernel, [channels, positions], [scale, shift], ends)
            }
        }]
    }

    /// The launch of a kernel of a linear layer, which gives each row so many `results`: the layer's outputs, or the
    /// gradients of its inputs.
    fn linear(
        &self,
        kernel: Kernel,
        [inputs, outputs]: [usize; 2],
        weight: usize,
        bias: Option<usize>,
        results: usize,
        ends: Ends<'_>,
    ) -> Dispatch {
        let params = PlainLinearParams {
            batch: word(self.batch),
            inputs: word(inputs),
            outputs: word(outputs),
            weight: word(weight),
            has_bias: bias.is_some().into(),
            bias: word(bias.unwrap_or(0)),
            accumulate: ends.accumulate.into(),
        };
        self.weighted(kernel, &params, ends, tiles(1, self.batch, results))
    }

    /// The convolution from `x` to `y`, or what it is in the backward pass of its transpose.
    fn conv2d(&self, c: &Conv2d, bias: Option<usize>, ends: Ends<'_>) -> Dispatch {
        let extent = tiles(self.batch, c.out_channels, c.out_height * c.out_width);
        let params = self.conv2d_params(c, bias, ends.accumulate);
        self.weighted(Kernel::PlainConv2d, &params, ends, extent)
    }

    /// From the convolution's output to its input: its backward pass, or its transpose.
    fn conv2d_input_gradient(&self, c: &Conv2d, bias: Option<usize>, ends: Ends<'_>) -> Dispatch {
        let extent = tiles(self.batch, c.in_channels, c.height * c.width);
        let params = self.conv2d_params(c, bias, ends.accumulate);
        self.weighted(Kernel::PlainConv2dInputGradient, &params, ends, extent)
    }

    fn conv2d_params(&self, c: &Conv2d, bias: Option<usize>, accumulate: bool) -> PlainConv2dParams {
        PlainConv2dParams {
            batch: word(self.batch),
            in_channels: word(c.in_channels),
            height: word(c.height),
            width: word(c.width),
            out_channels: word(c.out_channels),
            out_height: word(c.out_height),
            out_width: word(c.out_width),
            kernel: word(c.kernel),
            stride: word(c.stride),
            padding: word(c.padding),
            weight: word(c.weight),
            has_bias: bias.is_some().into(),
            bias: word(bias.unwrap_or(0)),
            accumulate: accumulate.into(),
        }
    }

    /// The launch of an upsampling from images of this shape, or of its gradient in them.
    fn upsample(&self, kernel: Kernel, [channels, height, width]: [usize; 3], ends: Ends<'_>) -> Dispatch {
        let params = PlainUpsampleParams {
            planes: word(self.batch * channels),
            height: word(height),
            width: word(width),
            accumulate: ends.accumulate.into(),
        };
        self.simple(kernel, &params, ends)
    }

    /// The launch of a pooling of images of this shape, or of its gradient in them.
    fn pool(
        &self,
        kernel: Kernel,
        [channels, height, width]: [usize; 3],
        [window_height, window_width]: [usize; 2],
        ends: Ends<'_>,
    ) -> Dispatch {
        let params = PlainPoolParams {
            planes: word(self.batch * channels),
            height: word(height),
            width: word(width),
            window_height: word(window_height),
            window_width: word(window_width),
            accumulate: ends.accumulate.into(),
        };
        self.simple(kernel, &params, ends)
    }

    /// The launch of a scale and shift of each channel, or of its gradient in the input.
    fn scale_shift(
        &self,
        kernel: Kernel,
        [channels, positions]: [usize; 2],
        [scale, shift]: [usize; 2],
        ends: Ends<'_>,
    ) -> Dispatch {
        let elements = self.batch * channels * positions;
        let params = PlainScaleShiftParams {
            elements: word(elements),
            channels: word(channels),
            positions: word(positions),
            scale: word(scale),
            shift: word(shift),
            accumulate: ends.accumulate.into(),
        };
        self.weighted(kernel, &params, ends, Extent::Elements(elements))
    }
}

/// Invocations of a kernel that computes `planes` × `rows` × `columns` results in tiles: `tile.wgsl`.
fn tiles(planes: usize, rows: usize, columns: usize) -> Extent {
    Extent::Elements(planes * rows.div_ceil(4) * columns.div_ceil(4))
}

/// The parameters of a pointwise function: its number is that of `activation_functions.wgsl`.
fn function(activation: Activation, ends: Ends<'_>) -> PlainActivationParams {
    let (function, slope) = match activation {
        Activation::LeakyRelu(slope) => (1, slope),
        Activation::Silu => (2, 0.0),
        Activation::Tanh => (3, 0.0),
    };
    let elements = word((ends.y.size() / 4) as usize);
    PlainActivationParams { elements, function, slope, accumulate: ends.accumulate.into() }
}
