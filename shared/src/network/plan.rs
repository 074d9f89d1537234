//! A network as the executors see it: every size and offset resolved.

use super::{Layer, Network, NetworkError};

/// A pointwise function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// x above 0, `slope·x` below; a ReLU has slope 0.
    LeakyRelu(f32),
    /// `x · sigmoid(x)`.
    Silu,
    /// Hyperbolic tangent.
    Tanh,
}

/// The arithmetic of one operation, with all sizes resolved. Offsets point into the flat weights.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Operator {
    Linear {
        inputs: usize,
        outputs: usize,
        weight: usize,
        bias: Option<usize>,
    },
    Conv2d(Conv2d),
    /// The input gradient of this convolution as a forward pass: from its output to its input. The
    /// bias has one element for each of its *input* channels.
    ConvTranspose2d(Conv2d),
    /// Upsampling by two, nearest neighbour, and this 3×3 convolution of the upsampled image, in one operation. The
    /// convolution's height and width are those of the upsampled image, twice the input's. No executor needs to
    /// store that image.
    UpsampledConv2d(Conv2d),
    /// `[c, h, w]` → `[c, 2h, 2w]`.
    UpsampleNearest {
        channels: usize,
        height: usize,
        width: usize,
    },
    /// `[c, h, w]` → `[c, 2h, 2w]`, with aligned corners.
    UpsampleBilinear {
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

/// One operation of a [`Plan`]. Where `accumulate` holds, its part of an input's gradient is added
/// in the backward pass to what the operations after it have left there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// A layer.
    Apply {
        /// What it computes.
        operator: Operator,
        /// Index of the value it reads.
        input: usize,
        /// Index of the value it writes.
        output: usize,
        /// Whether the input's gradient already has a part.
        accumulate: bool,
    },
    /// The sum of two values: where the paths of a residual meet.
    Add {
        /// Indices of the values it reads.
        inputs: [usize; 2],
        /// Index of the value it writes.
        output: usize,
        /// Whether each input's gradient already has a part.
        accumulate: [bool; 2],
    },
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
        network.shapes()?;
        let mut plan = Plan {
            values: vec![network.input_len()],
            ops: Vec::new(),
            output: 0,
            reference: network.reference,
            parameter_count: 0,
        };
        let input = Value { index: 0, shape: network.input.clone() };
        plan.output = plan.path(&network.layers, &input)?.index;
        plan.resolve_accumulation();
        Ok(plan)
    }

    /// Add the operations of `layers`, whose input is `input`. Returns their output.
    fn path(&mut self, layers: &[Layer], input: &Value) -> Result<Value, NetworkError> {
        let mut value = input.clone();
        let mut layers = layers.iter().peekable();
        while let Some(layer) = layers.next() {
            // The description has been checked: every layer fits.
            let shape = layer.output_shape(&value.shape).map_err(NetworkError::Input)?;
            let index = match layer {
                Layer::UpsampleNearest
                    if let Some(conv) = layers.next_if(|next| next.absorbs_upsampling()) =>
                {
                    // Nobody else reads what lies between two layers of a path.
                    let Some(Operator::Conv2d(conv)) = self.operator(conv, &shape, &shape) else { continue };
                    let shape = vec![conv.out_channels, conv.out_height, conv.out_width];
                    let output = self.value(&shape);
                    let operator = Operator::UpsampledConv2d(conv);
                    self.ops.push(Op::Apply { operator, input: value.index, output, accumulate: false });
                    value = Value { index: output, shape };
                    continue;
                }
                Layer::Reshape { .. } | Layer::Flatten => value.index,
                Layer::Residual { main, shortcut } => {
                    let inputs = [self.path(main, &value)?.index, self.path(shortcut, &value)?.index];
                    let output = self.value(&shape);
                    self.ops.push(Op::Add { inputs, output, accumulate: [false; 2] });
                    output
                }
                layer => {
                    let Some(operator) = self.operator(layer, &value.shape, &shape) else { continue };
                    let output = self.value(&shape);
                    self.ops.push(Op::Apply { operator, input: value.index, output, accumulate: false });
                    output
                }
            };
            value = Value { index, shape };
        }
        Ok(value)
    }

    /// A new value of this shape.
    fn value(&mut self, shape: &[usize]) -> usize {
        self.values.push(shape.iter().product());
        self.values.len() - 1
    }

    /// The operator of a layer, its parameters behind those before it. None for what has no
    /// arithmetic of its own.
    fn operator(&mut self, layer: &Layer, input: &[usize], output: &[usize]) -> Option<Operator> {
        let mut take = |n: usize| {
            let start = self.parameter_count;
            self.parameter_count += n;
            start
        };
        // A vector's elements are channels of one position.
        let [channels, height, width] =
            [input[0], input.get(1).copied().unwrap_or(1), input.get(2).copied().unwrap_or(1)];
        Some(match *layer {
            Layer::Linear { in_features, out_features, bias } => Operator::Linear {
                inputs: in_features,
                outputs: out_features,
                weight: take(in_features * out_features),
                bias: bias.then(|| take(out_features)),
            },
            Layer::Conv2d { in_channels, out_channels, kernel, stride, padding, bias } => {
                Operator::Conv2d(Conv2d {
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
            Layer::ConvTranspose2d { in_channels, out_channels, kernel, stride, padding, bias, .. } => {
                Operator::ConvTranspose2d(Conv2d {
                    in_channels: out_channels,
                    height: output[1],
                    width: output[2],
                    out_channels: in_channels,
                    out_height: height,
                    out_width: width,
                    kernel,
                    stride,
                    padding,
                    weight: take(out_channels * in_channels * kernel * kernel),
                    bias: bias.then(|| take(out_channels)),
                })
            }
            Layer::UpsampleNearest => Operator::UpsampleNearest { channels, height, width },
            Layer::UpsampleBilinear => Operator::UpsampleBilinear { channels, height, width },
            Layer::AveragePool { kernel } => {
                Operator::AveragePool { channels, height, width, kernel: [kernel, kernel] }
            }
            Layer::GlobalAveragePool => {
                Operator::AveragePool { channels, height, width, kernel: [height, width] }
            }
            Layer::LeakyRelu { slope } => Operator::Activation(Activation::LeakyRelu(slope)),
            Layer::Relu => Operator::Activation(Activation::LeakyRelu(0.0)),
            Layer::Silu => Operator::Activation(Activation::Silu),
            Layer::Tanh => Operator::Activation(Activation::Tanh),
            Layer::ScaleShift { channels } => Operator::ScaleShift {
                channels,
                positions: input[1..].iter().product(),
                scale: take(channels),
                shift: take(channels),
            },
            Layer::Reshape { .. } | Layer::Flatten | Layer::Residual { .. } => return None,
        })
    }

    /// Decide which operation writes a value's gradient: the first of those that read the value to come in the
    /// backward pass; the others add to it.
    fn resolve_accumulation(&mut self) {
        let mut written = vec![false; self.values.len()];
        for op in self.ops.iter_mut().rev() {
            match op {
                Op::Apply { input, accumulate, .. } => {
                    *accumulate = std::mem::replace(&mut written[*input], true);
                }
                Op::Add { inputs, accumulate, .. } => {
                    for (input, accumulate) in inputs.iter().zip(accumulate) {
                        *accumulate = std::mem::replace(&mut written[*input], true);
                    }
                }
            }
        }
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

/// A value while a plan is made.
#[derive(Clone)]
struct Value {
    index: usize,
    shape: Vec<usize>,
}
