//! One layer: what it is, the shapes it takes, the parameters it owns, the operations it costs.

use super::keys::LayerKeys;
use serde::{Deserialize, Serialize};

/// The largest element count of one activation, or of one parameter, that a description may ask
/// for. It keeps a hostile description from overflowing or exhausting memory.
const MAX_ELEMENTS: usize = 1 << 28;

/// One layer. Images are `[C, H, W]`, vectors `[N]`; the batch dimension is implicit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", try_from = "LayerKeys")]
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
    /// A reshape: the numbers keep their row-major order.
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

    /// Whether an upsampling by nearest neighbours right before this layer can be computed with it, as one operation:
    /// a 3×3 convolution with stride and padding 1, whose outputs of one parity see the same 2×2 pixels of the small
    /// image.
    pub fn absorbs_upsampling(&self) -> bool {
        matches!(self, Layer::Conv2d { kernel: 3, stride: 1, padding: 1, .. })
    }

    /// How many layers this one is, with those inside it.
    pub(super) fn count(&self) -> usize {
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
        let out = match self {
            Layer::Linear { in_features, out_features, .. } => {
                if input != [*in_features] {
                    return Err(format!("it expects [{in_features}]"));
                }
                vec![*out_features]
            }
            &Layer::Conv2d { in_channels, out_channels, kernel, stride, padding, .. } => {
                conv2d_shape(input, [in_channels, out_channels], kernel, stride, padding)?
            }
            &Layer::ConvTranspose2d {
                in_channels,
                out_channels,
                kernel,
                stride,
                padding,
                output_padding,
                ..
            } => {
                let (channels, paddings) = ([in_channels, out_channels], [padding, output_padding]);
                conv_transpose2d_shape(input, channels, kernel, stride, paddings)?
            }
            Layer::UpsampleNearest | Layer::UpsampleBilinear => {
                let [c, h, w] = image(input)?;
                vec![c, h * 2, w * 2]
            }
            Layer::AveragePool { kernel } => {
                let [c, h, w] = image(input)?;
                if *kernel == 0 || h % kernel != 0 || w % kernel != 0 {
                    return Err(format!("window {kernel} does not divide the input"));
                }
                vec![c, h / kernel, w / kernel]
            }
            Layer::GlobalAveragePool => {
                let [c, _, _] = image(input)?;
                vec![c]
            }
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

/// The shape of an image, or what is wrong with an input that is none.
fn image(input: &[usize]) -> Result<[usize; 3], String> {
    input.try_into().map_err(|_| "it needs an image [C, H, W]".into())
}

/// Height and width of the image that a convolution of either direction takes, or what is wrong with its channels or
/// the convolution's kernel and stride.
fn convolution_input(
    input: &[usize],
    in_channels: usize,
    kernel: usize,
    stride: usize,
) -> Result<[usize; 2], String> {
    let [c, h, w] = image(input)?;
    if c != in_channels {
        return Err(format!("it expects [{in_channels}, H, W]"));
    }
    if kernel == 0 || stride == 0 {
        return Err("kernel and stride must be at least 1".into());
    }
    Ok([h, w])
}

/// The shape that a convolution makes of `input`, or what is wrong with it.
fn conv2d_shape(
    input: &[usize],
    [in_channels, out_channels]: [usize; 2],
    kernel: usize,
    stride: usize,
    padding: usize,
) -> Result<Vec<usize>, String> {
    let [h, w] = convolution_input(input, in_channels, kernel, stride)?;
    if padding >= kernel {
        return Err(format!("padding {padding} must be less than kernel {kernel}"));
    }
    let side = |n: usize| {
        padding
            .checked_mul(2)
            .and_then(|both| n.checked_add(both))
            .and_then(|padded| padded.checked_sub(kernel))
            .map(|free| free / stride + 1)
            .ok_or_else(|| format!("kernel {kernel} is larger than the padded input"))
    };
    Ok(vec![out_channels, side(h)?, side(w)?])
}

/// The shape that a transposed convolution makes of `input`, or what is wrong with it.
fn conv_transpose2d_shape(
    input: &[usize],
    [in_channels, out_channels]: [usize; 2],
    kernel: usize,
    stride: usize,
    [padding, output_padding]: [usize; 2],
) -> Result<Vec<usize>, String> {
    let [h, w] = convolution_input(input, in_channels, kernel, stride)?;
    if padding >= kernel || output_padding >= stride {
        return Err("padding must be less than kernel, output_padding less than stride".into());
    }
    let side = |n: usize| {
        let whole = (n - 1).checked_mul(stride)?.checked_add(kernel)?;
        whole.checked_add(output_padding)?.checked_sub(padding.checked_mul(2)?)
    };
    let side = |n| side(n).ok_or("its padding leaves nothing of the output");
    Ok(vec![out_channels, side(h)?, side(w)?])
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
pub(super) fn path_flops(layers: &[Layer], input: &[usize]) -> u64 {
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

pub(super) fn check_shape(shape: &[usize]) -> Result<(), String> {
    if shape.len() != 1 && shape.len() != 3 {
        return Err(format!("shape {shape:?} is neither a vector [N] nor an image [C, H, W]"));
    }
    check_elements(shape)
}
