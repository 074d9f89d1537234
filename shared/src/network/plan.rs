//! A network as the executors see it: every size and offset resolved.

use super::{Layer, Network, NetworkError};

/// Which pointwise function an [`Op`] applies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `max(x, slope·x)`; a ReLU has slope 0.
    LeakyRelu(f32),
    /// `x · sigmoid(x)`.
    Silu,
    /// Hyperbolic tangent.
    Tanh,
}

/// The arithmetic of one [`Op`], with all sizes resolved. Offsets point into the flat weights.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Kernel {
    Linear {
        inputs: usize,
        outputs: usize,
        weight: usize,
        bias: Option<usize>,
    },
    Conv2d(Conv2d),
    /// `[c, h, w]` → `[c, 2h, 2w]`.
    UpsampleNearest {
        channels: usize,
        height: usize,
        width: usize,
    },
    /// `[c, h, w]` → `[c, h/kh, w/kw]`.
    AveragePool {
        channels: usize,
        height: usize,
        width: usize,
        kernel: [usize; 2],
    },
    Activation(Activation),
    /// `channels` runs of `positions` elements.
    ScaleShift {
        channels: usize,
        positions: usize,
        scale: usize,
        shift: usize,
    },
}

/// Sizes of a convolution.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Conv2d {
    pub in_channels: usize,
    pub height: usize,
    pub width: usize,
    pub out_channels: usize,
    pub out_height: usize,
    pub out_width: usize,
    pub kernel: usize,
    pub stride: usize,
    pub padding: usize,
    pub weight: usize,
    pub bias: Option<usize>,
}

/// One operation of a [`Plan`]: reads value `input`, writes value `output`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Op {
    /// What it computes.
    pub kernel: Kernel,
    /// Index of the value it reads.
    pub input: usize,
    /// Index of the value it writes.
    pub output: usize,
}

/// A network as the executors see it: operations in order over numbered values. Value 0 is the
/// input, the last op's output is the network's. Reshapes have no operation: they rename a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Elements of each value, for one sample.
    pub values: Vec<usize>,
    /// The operations in the order of the forward pass.
    pub ops: Vec<Op>,
    /// Index of the value that is the network's output.
    pub output: usize,
    /// Width τ of the Gaussian reference, if any.
    pub reference: Option<f32>,
    /// Parameters of the network.
    pub parameter_count: usize,
}

impl Plan {
    /// Resolve every size and offset of `network`.
    ///
    /// # Errors
    /// As [`Network::shapes`].
    pub fn new(network: &Network) -> Result<Plan, NetworkError> {
        let shapes = network.shapes()?;
        let mut values = vec![network.input_len()];
        let mut ops = Vec::new();
        let mut current = 0;
        let mut offset = 0;
        for (layer, (input, output)) in network.layers.iter().zip(shapes.iter().zip(&shapes[1..])) {
            let mut take = |n: usize| {
                let start = offset;
                offset += n;
                start
            };
            let image = || (input[0], input.get(1).copied().unwrap_or(1), input.get(2).copied().unwrap_or(1));
            let kernel = match *layer {
                Layer::Linear { in_features, out_features, bias } => Kernel::Linear {
                    inputs: in_features,
                    outputs: out_features,
                    weight: take(in_features * out_features),
                    bias: bias.then(|| take(out_features)),
                },
                Layer::Conv2d { in_channels, out_channels, kernel, stride, padding, bias } => {
                    let (_, height, width) = image();
                    Kernel::Conv2d(Conv2d {
                        in_channels,
                        height,
                        width,
                        out_channels,
                        out_height: output[1],
                        out_width: output[2],
                        kernel,
                        stride,
                        padding,
                        weight: take(out_channels * in_channels * kernel * kernel),
                        bias: bias.then(|| take(out_channels)),
                    })
                }
                Layer::UpsampleNearest => {
                    let (channels, height, width) = image();
                    Kernel::UpsampleNearest { channels, height, width }
                }
                Layer::AveragePool { kernel } => {
                    let (channels, height, width) = image();
                    Kernel::AveragePool { channels, height, width, kernel: [kernel, kernel] }
                }
                Layer::GlobalAveragePool => {
                    let (channels, height, width) = image();
                    Kernel::AveragePool { channels, height, width, kernel: [height, width] }
                }
                Layer::LeakyRelu { slope } => Kernel::Activation(Activation::LeakyRelu(slope)),
                Layer::Relu => Kernel::Activation(Activation::LeakyRelu(0.0)),
                Layer::Silu => Kernel::Activation(Activation::Silu),
                Layer::Tanh => Kernel::Activation(Activation::Tanh),
                Layer::ScaleShift { channels } => Kernel::ScaleShift {
                    channels,
                    positions: input.iter().product::<usize>() / channels,
                    scale: take(channels),
                    shift: take(channels),
                },
                Layer::Reshape { .. } | Layer::Flatten => continue,
            };
            values.push(output.iter().product());
            ops.push(Op { kernel, input: current, output: values.len() - 1 });
            current = values.len() - 1;
        }
        Ok(Plan { values, ops, output: current, reference: network.reference, parameter_count: offset })
    }

    /// Check that `weights` are as many as the plan reads.
    ///
    /// # Errors
    /// [`NetworkError::Weights`].
    pub fn check_weights(&self, weights: &[f32]) -> Result<(), NetworkError> {
        if weights.len() == self.parameter_count {
            return Ok(());
        }
        Err(NetworkError::Weights { expected: self.parameter_count, found: weights.len() })
    }
}
