//! Networks as data: what the layers are, what shapes they take, what parameters they own.
//!
//! A [`Network`] is a description only. Its weights travel beside it as one flat `&[f32]` in the
//! order of [`Network::parameters`]. The executors never look at layers: they run a [`Plan`], a
//! list of operations on numbered values, so that a second path through the network is one more
//! operation with two inputs and not another kind of executor.

mod keys;
mod plan;

pub use plan::{Activation, Conv2d, Kernel, Op, Plan};

use serde::{Deserialize, Serialize};

/// The largest element count of one activation, or of one parameter, that a description may ask
/// for. It keeps a hostile description from overflowing or exhausting memory.
const MAX_ELEMENTS: usize = 1 << 28;
const MAX_LAYERS: usize = 1024;

/// One layer. Images are `[C, H, W]`, vectors `[N]`; the batch dimension is implicit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", try_from = "keys::LayerKeys")]
pub enum Layer {
    /// `y = W x + b` on a vector. Weight `[out_features, in_features]`, bias `[out_features]`.
    Linear {
        /// Length of the input.
        in_features: usize,
        /// Length of the output.
        out_features: usize,
        /// Whether there is a bias.
        bias: bool,
    },
    /// 2-D cross-correlation, zero padded. Weight `[out, in, kernel, kernel]`, bias `[out]`.
    Conv2d {
        /// Channels in.
        in_channels: usize,
        /// Channels out.
        out_channels: usize,
        /// Side of the square kernel.
        kernel: usize,
        /// Step between windows, the same in both directions.
        stride: usize,
        /// Zeros added on each side.
        padding: usize,
        /// Whether there is a bias.
        bias: bool,
    },
    /// Transposed 2-D convolution: the input gradient of a [`Layer::Conv2d`] from the output's
    /// shape to the input's. Weight `[in, out, kernel, kernel]`, bias `[out]`.
    ConvTranspose2d {
        /// Channels in.
        in_channels: usize,
        /// Channels out.
        out_channels: usize,
        /// Side of the square kernel.
        kernel: usize,
        /// Distance between the places of neighbouring inputs in the output.
        stride: usize,
        /// Rows and columns cut off on each side.
        padding: usize,
        /// Rows and columns added at the end; less than the stride.
        output_padding: usize,
        /// Whether there is a bias.
        bias: bool,
    },
    /// Nearest-neighbour upsampling by two in both directions.
    UpsampleNearest,
    /// Bilinear upsampling by two in both directions, with aligned corners: the corner pixels'
    /// centres stay where they are.
    UpsampleBilinear,
    /// Average over non-overlapping `kernel` × `kernel` windows.
    AveragePool {
        /// Side of the window, and the step between windows.
        kernel: usize,
    },
    /// Average over all positions: `[C, H, W]` → `[C]`.
    GlobalAveragePool,
    /// `x` where `x > 0`, `slope·x` elsewhere.
    LeakyRelu {
        /// Slope for negative input.
        slope: f32,
    },
    /// `max(x, 0)`.
    Relu,
    /// `x · sigmoid(x)`.
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// The same numbers in row-major order under another shape.
    Reshape {
        /// The new shape, without the batch dimension.
        shape: Vec<usize>,
    },
    /// `[C, H, W]` → `[C·H·W]`.
    Flatten,
    /// `y = scale[c]·x + shift[c]`: a batch norm folded with its statistics. On a vector each
    /// element is a channel. Scale and shift are `[channels]`.
    ScaleShift {
        /// Channels of the input.
        channels: usize,
    },
    /// The sum of two paths from the same input.
    Residual {
        /// The layers of the main path.
        main: Vec<Layer>,
        /// The layers of the other path; none for the input itself.
        shortcut: Vec<Layer>,
    },
}

impl Layer {
    /// The name under which the layer appears in a description.
    pub fn name(&self) -> &'static str {
        match self {
            Layer::Linear { .. } => "linear",
            Layer::Conv2d { .. } => "conv2d",
            Layer::ConvTranspose2d { .. } => "conv_transpose2d",
            Layer::UpsampleNearest => "upsample_nearest",
            Layer::UpsampleBilinear => "upsample_bilinear",
            Layer::AveragePool { .. } => "average_pool",
            Layer::GlobalAveragePool => "global_average_pool",
            Layer::LeakyRelu { .. } => "leaky_relu",
            Layer::Relu => "relu",
            Layer::Silu => "silu",
            Layer::Tanh => "tanh",
            Layer::Reshape { .. } => "reshape",
            Layer::Flatten => "flatten",
            Layer::ScaleShift { .. } => "scale_shift",
            Layer::Residual { .. } => "residual",
        }
    }

    /// The parameters this layer owns: name within the layer, and shape in PyTorch's order. Those
    /// of a residual's layers are named `main.{index}.{name}` and `shortcut.{index}.{name}`.
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let weight = |shape, bias: bool, outputs| {
            let bias = bias.then(|| ("bias".to_string(), vec![outputs]));
            std::iter::once(("weight".to_string(), shape)).chain(bias).collect()
        };
        match self {
            &Layer::Linear { in_features, out_features, bias } => {
                weight(vec![out_features, in_features], bias, out_features)
            }
            &Layer::Conv2d { in_channels, out_channels, kernel, bias, .. } => {
                weight(vec![out_channels, in_channels, kernel, kernel], bias, out_channels)
            }
            &Layer::ConvTranspose2d { in_channels, out_channels, kernel, bias, .. } => {
                weight(vec![in_channels, out_channels, kernel, kernel], bias, out_channels)
            }
            &Layer::ScaleShift { channels } => {
                vec![("scale".to_string(), vec![channels]), ("shift".to_string(), vec![channels])]
            }
            Layer::Residual { main, shortcut } => {
                let mut all = Vec::new();
                for (path, layers) in [("main", main), ("shortcut", shortcut)] {
                    for (index, layer) in layers.iter().enumerate() {
                        let named = |(name, shape)| (format!("{path}.{index}.{name}"), shape);
                        all.extend(layer.parameters().into_iter().map(named));
                    }
                }
                all
            }
            _ => Vec::new(),
        }
    }

    /// This layer and those inside it.
    fn count(&self) -> usize {
        match self {
            Layer::Residual { main, shortcut } => {
                1 + main.iter().chain(shortcut).map(Layer::count).sum::<usize>()
            }
            _ => 1,
        }
    }

    /// Floating-point operations on an `input`: [`Network::flops`].
    fn flops(&self, input: &[usize], output: &[usize]) -> u64 {
        let count = |s: &[usize]| s.iter().product::<usize>() as u64;
        match self {
            Layer::Linear { in_features, .. } => 2 * *in_features as u64 * count(output),
            Layer::Conv2d { in_channels, kernel, .. } => {
                2 * (in_channels * kernel * kernel) as u64 * count(output)
            }
            Layer::ConvTranspose2d { out_channels, kernel, .. } => {
                2 * (out_channels * kernel * kernel) as u64 * count(input)
            }
            Layer::Residual { main, shortcut } => {
                path_flops(main, input) + path_flops(shortcut, input) + count(output)
            }
            Layer::Reshape { .. } | Layer::Flatten => 0,
            _ => count(output),
        }
    }

    /// The shape this layer makes of `input`, or what is wrong with it, in words.
    pub fn output_shape(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        let image = |what: &str| match *input {
            [c, h, w] => Ok((c, h, w)),
            _ => Err(format!("{what} needs an image [C, H, W]")),
        };
        let out = match self {
            Layer::Linear { in_features, out_features, .. } => {
                if input != [*in_features] {
                    return Err(format!("it expects [{in_features}]"));
                }
                vec![*out_features]
            }
            Layer::Conv2d { in_channels, out_channels, kernel, stride, padding, .. } => {
                let (c, h, w) = image("it")?;
                if c != *in_channels {
                    return Err(format!("it expects [{in_channels}, H, W]"));
                }
                if *kernel == 0 || *stride == 0 {
                    return Err("kernel and stride must be at least 1".into());
                }
                if *padding >= *kernel {
                    return Err(format!("padding {padding} must be less than kernel {kernel}"));
                }
                let side = |n: usize| {
                    padding
                        .checked_mul(2)
                        .and_then(|both| n.checked_add(both))
                        .and_then(|padded| padded.checked_sub(*kernel))
                        .map(|free| free / stride + 1)
                        .ok_or_else(|| format!("kernel {kernel} is larger than the padded input"))
                };
                vec![*out_channels, side(h)?, side(w)?]
            }
            Layer::ConvTranspose2d {
                in_channels,
                out_channels,
                kernel,
                stride,
                padding,
                output_padding,
                ..
            } => {
                let (c, h, w) = image("it")?;
                if c != *in_channels {
                    return Err(format!("it expects [{in_channels}, H, W]"));
                }
                if *kernel == 0 || *stride == 0 {
                    return Err("kernel and stride must be at least 1".into());
                }
                if *padding >= *kernel || *output_padding >= *stride {
                    return Err("padding must be less than kernel, output_padding less than stride".into());
                }
                let side = |n: usize| {
                    let whole = (n - 1).checked_mul(*stride)?.checked_add(*kernel)?;
                    whole.checked_add(*output_padding)?.checked_sub(padding.checked_mul(2)?)
                };
                let side = |n| side(n).ok_or("its padding leaves nothing of the output");
                vec![*out_channels, side(h)?, side(w)?]
            }
            Layer::UpsampleNearest | Layer::UpsampleBilinear => {
                let (c, h, w) = image("it")?;
                vec![c, h * 2, w * 2]
            }
            Layer::AveragePool { kernel } => {
                let (c, h, w) = image("it")?;
                if *kernel == 0 || h % kernel != 0 || w % kernel != 0 {
                    return Err(format!("window {kernel} does not divide the input"));
                }
                vec![c, h / kernel, w / kernel]
            }
            Layer::GlobalAveragePool => vec![image("it")?.0],
            Layer::LeakyRelu { slope } => {
                if !slope.is_finite() {
                    return Err("slope must be finite".into());
                }
                input.to_vec()
            }
            Layer::Relu | Layer::Silu | Layer::Tanh => input.to_vec(),
            Layer::Reshape { shape } => {
                if elements(shape) != elements(input) {
                    return Err(format!("it makes {shape:?}, which holds another number of elements"));
                }
                shape.clone()
            }
            Layer::Flatten => vec![elements(input).unwrap_or(0)],
            Layer::ScaleShift { channels } => {
                if input[0] != *channels {
                    return Err(format!("it expects {channels} channels"));
                }
                input.to_vec()
            }
            Layer::Residual { main, shortcut } => {
                let [main, shortcut] = [("main", main), ("shortcut", shortcut)].map(|(name, layers)| {
                    path_output(layers, input).map_err(|reason| format!("in its {name} path, {reason}"))
                });
                let (main, shortcut) = (main?, shortcut?);
                if main != shortcut {
                    return Err(format!("its main path makes {main:?}, its shortcut {shortcut:?}"));
                }
                // Its layers have been checked one by one.
                return Ok(main);
            }
        };
        check_shape(&out)?;
        for (name, shape) in self.parameters() {
            check_elements(&shape).map_err(|e| format!("{name}: {e}"))?;
        }
        Ok(out)
    }
}

/// The shape that `layers` make of `input`, or which of them does not fit.
fn path_output(layers: &[Layer], input: &[usize]) -> Result<Vec<usize>, String> {
    layers.iter().enumerate().try_fold(input.to_vec(), |shape, (index, layer)| {
        let misfit =
            |reason| format!("layer {index} ({}) does not fit its input {shape:?}: {reason}", layer.name());
        layer.output_shape(&shape).map_err(misfit)
    })
}

/// Floating-point operations of `layers` that fit their `input`.
fn path_flops(layers: &[Layer], input: &[usize]) -> u64 {
    let mut shape = input.to_vec();
    let mut flops = 0;
    for layer in layers {
        let output = layer.output_shape(&shape).unwrap_or_default();
        flops += layer.flops(&shape, &output);
        shape = output;
    }
    flops
}

/// Product of a shape, `None` on overflow.
fn elements(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

fn check_elements(shape: &[usize]) -> Result<(), String> {
    match elements(shape) {
        Some(n) if n > 0 && n <= MAX_ELEMENTS => Ok(()),
        _ => Err(format!("shape {shape:?} is empty or larger than {MAX_ELEMENTS} elements")),
    }
}

fn check_shape(shape: &[usize]) -> Result<(), String> {
    if shape.len() != 1 && shape.len() != 3 {
        return Err(format!("shape {shape:?} is neither a vector [N] nor an image [C, H, W]"));
    }
    check_elements(shape)
}

/// A description that does not fit together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// The input shape itself is impossible.
    #[error("network input: {0}")]
    Input(String),
    /// A layer does not take what the one before it gives.
    #[error("layer {index} ({layer}) does not fit its input {input:?}: {reason}")]
    Layer {
        /// Position in [`Network::layers`].
        index: usize,
        /// Name of the layer's type.
        layer: &'static str,
        /// The shape that reaches it.
        input: Vec<usize>,
        /// What it expects instead.
        reason: String,
    },
    /// The network has more layers than any executor should have to plan.
    #[error("the network has {0} layers; at most {MAX_LAYERS} are allowed")]
    TooManyLayers(usize),
    /// The width of the Gaussian reference is not a positive number.
    #[error("reference width must be a positive number, not {0}")]
    Reference(f32),
    /// A network other than an energy has a Gaussian reference.
    #[error("it has a `reference`, but only an energy may have one")]
    ReferenceRole,
    /// The weights do not match the description.
    #[error("the network has {expected} parameters, but {found} were given")]
    Weights {
        /// Parameters in the description.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// The network's output is not what its role needs.
    #[error("{role} must map {expected_input} to {expected_output}, but maps {input:?} to {output:?}")]
    Role {
        /// "energy", "generator" or "encoder".
        role: &'static str,
        /// Expected input, in words or numbers.
        expected_input: String,
        /// Expected output.
        expected_output: String,
        /// The input it has.
        input: Vec<usize>,
        /// The output it has.
        output: Vec<usize>,
    },
}

/// A feed-forward network: an input shape and the layers applied to it in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Shape of one input, without the batch dimension: `[N]` or `[C, H, W]`.
    pub input: Vec<usize>,
    /// The layers, first to last.
    pub layers: Vec<Layer>,
    /// Width τ of a Gaussian reference (exponential tilting): the network's scalar output becomes
    /// `f(x) + ‖x‖² / 2τ²`. Only for energies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<f32>,
}

/// A parameter of a network: its path, its shape and where it lies in the flat weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// `"{layer index}.{name}"`, for example `"0.weight"`, or `"2.main.1.weight"` in a residual.
    pub path: String,
    /// PyTorch's shape.
    pub shape: Vec<usize>,
    /// First element in the flat weights.
    pub offset: usize,
}

impl Parameter {
    /// The elements of this parameter in the flat weights.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.shape.iter().product::<usize>()
    }
}

impl Network {
    /// Shapes from the input to the output: one more than there are layers.
    ///
    /// # Errors
    /// Names the first layer that does not fit, with the shape it meets and the one it expects.
    pub fn shapes(&self) -> Result<Vec<Vec<usize>>, NetworkError> {
        check_shape(&self.input).map_err(NetworkError::Input)?;
        let count = self.layers.iter().map(Layer::count).sum();
        if count > MAX_LAYERS {
            return Err(NetworkError::TooManyLayers(count));
        }
        if let Some(tau) = self.reference
            && !(tau.is_finite() && tau > 0.0)
        {
            return Err(NetworkError::Reference(tau));
        }
        let mut shapes = vec![self.input.clone()];
        for (index, layer) in self.layers.iter().enumerate() {
            let input = &shapes[index];
            let output = layer.output_shape(input).map_err(|reason| NetworkError::Layer {
                index,
                layer: layer.name(),
                input: input.clone(),
                reason,
            })?;
            shapes.push(output);
        }
        Ok(shapes)
    }

    /// Shape of one output.
    ///
    /// # Errors
    /// As [`Network::shapes`].
    pub fn output(&self) -> Result<Vec<usize>, NetworkError> {
        Ok(self.shapes()?.pop().unwrap_or_default())
    }

    /// Elements of one input.
    pub fn input_len(&self) -> usize {
        self.input.iter().product()
    }

    /// The parameters in the order of the flat weights. Call after [`Network::shapes`] has
    /// accepted the description.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut offset = 0;
        let mut all = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            for (name, shape) in layer.parameters() {
                let parameter = Parameter { path: format!("{index}.{name}"), shape, offset };
                offset = parameter.range().end;
                all.push(parameter);
            }
        }
        all
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.parameters().last().map_or(0, |p| p.range().end)
    }

    /// Floating-point operations of one forward pass of one sample: two for each multiply-add of
    /// the linear and convolution layers, one for each element of every other layer's output.
    ///
    /// # Errors
    /// As [`Network::shapes`].
    pub fn flops(&self) -> Result<u64, NetworkError> {
        self.shapes()?;
        Ok(path_flops(&self.layers, &self.input))
    }

    /// Check that the network can be an energy on `data`-shaped samples: `data` → `[1]`.
    ///
    /// # Errors
    /// If the description does not fit together, or maps something else.
    pub fn check_energy(&self, data: &[usize]) -> Result<(), NetworkError> {
        self.check_role("energy", Some(data), &[1])
    }

    /// Check that the network can be a generator of `data`-shaped samples, and return its latent
    /// dimension: `[d]` → `data`.
    ///
    /// # Errors
    /// If the description does not fit together, or maps something else.
    pub fn check_generator(&self, data: &[usize]) -> Result<usize, NetworkError> {
        self.check_role("generator", None, data)?;
        Ok(self.input_len())
    }

    /// Check that the network can be an encoder: `data` → `[2·latent]`, the means first, then the
    /// log-variances.
    ///
    /// # Errors
    /// If the description does not fit together, or maps something else.
    pub fn check_encoder(&self, data: &[usize], latent: usize) -> Result<(), NetworkError> {
        self.check_role("encoder", Some(data), &[2 * latent])
    }

    fn check_role(
        &self,
        role: &'static str,
        input: Option<&[usize]>,
        output: &[usize],
    ) -> Result<(), NetworkError> {
        let found = self.output()?;
        let input_fits = match input {
            Some(shape) => self.input == shape,
            None => self.input.len() == 1,
        };
        if self.reference.is_some() && role != "energy" {
            return Err(NetworkError::ReferenceRole);
        }
        if input_fits && found == output {
            return Ok(());
        }
        Err(NetworkError::Role {
            role,
            expected_input: input.map_or("a latent vector [d]".into(), |s| format!("{s:?}")),
            expected_output: format!("{output:?}"),
            input: self.input.clone(),
            output: found,
        })
    }
}
