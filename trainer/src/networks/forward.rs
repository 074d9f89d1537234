//! The forward pass of every layer on burn's tensors.

use super::Taped;
use super::batch_norm::{EPSILON, Statistics};
use super::convolution::{batch_norm_in_stages, conv2d, on_gpu};
use super::resize::{upsample_bilinear, upsampled_conv2d};
use crate::recipe::TrainLayer;
use burn::tensor::Tensor;
use burn::tensor::activation::{leaky_relu, relu, silu};
use burn::tensor::module::{
    adaptive_avg_pool2d, avg_pool2d, batch_norm, batch_norm_train, conv_transpose2d, interpolate, linear,
};
use burn::tensor::ops::{AvgPoolOptions, ConvTransposeOptions, InterpolateMode, InterpolateOptions};
use dual_mcmc::network::Layer;

/// Which statistics batch norms use.
#[derive(Clone, Copy)]
pub enum Normalise<'a> {
    /// The batch's own statistics, differentiated through.
    Batch,
    /// Given statistics, one for each batch norm.
    By(&'a [Statistics]),
}

/// What a forward pass gives.
pub struct Output {
    /// `[batch, output elements]`; of an energy with its reference term.
    pub value: Tensor<2>,
    /// The batch's statistics at each batch norm; empty where they were given.
    pub statistics: Vec<Statistics>,
}

/// An activation: vectors `[B, N]` or images `[B, C, H, W]`.
#[derive(Clone)]
enum Value {
    Vectors(Tensor<2>),
    Images(Tensor<4>),
}

impl Value {
    /// `rows` `[B, elements]` under a layer's shape.
    fn shaped(rows: Tensor<2>, shape: &[usize]) -> Value {
        match *shape {
            [c, h, w] => {
                let [batch, _] = rows.dims();
                Value::Images(rows.reshape([batch, c, h, w]))
            }
            _ => Value::Vectors(rows),
        }
    }

    fn rows(self) -> Tensor<2> {
        match self {
            Value::Vectors(x) => x,
            Value::Images(x) => x.flatten(1, 3),
        }
    }

    /// Descriptions are checked when the network is made: both have one shape.
    fn add(self, other: Value) -> Value {
        match (self, other) {
            (Value::Vectors(a), Value::Vectors(b)) => Value::Vectors(a + b),
            (a, b) => Value::Images(a.images() + b.images()),
        }
    }

    fn on_gpu(&self) -> bool {
        match self {
            Value::Vectors(x) => on_gpu(x),
            Value::Images(x) => on_gpu(x),
        }
    }

    fn images(self) -> Tensor<4> {
        match self {
            Value::Images(x) => x,
            // Descriptions are checked when the network is made.
            Value::Vectors(_) => unreachable!("an image layer after a vector"),
        }
    }
}

/// Apply one function to either rank.
macro_rules! each_rank {
    ($value:expr, $x:ident => $body:expr) => {
        match $value {
            Value::Vectors($x) => Value::Vectors($body),
            Value::Images($x) => Value::Images($body),
        }
    };
}

impl Taped {
    /// Apply the network to `x`, `[batch, input elements]`.
    pub fn forward(&self, x: Tensor<2>, normalise: Normalise) -> Output {
        let description = &self.description;
        let mut pass = Pass { weights: self.weights.iter(), normalise, norms: 0, seen: Vec::new() };
        let mut out = pass.path(&description.layers, Value::shaped(x.clone(), &description.input)).rows();
        if let Some(tau) = description.reference {
            let squares = x.square().sum_dim(1);
            out = out + squares.mul_scalar(0.5 / (tau * tau));
        }
        Output { value: out, statistics: pass.seen }
    }
}

/// A forward pass on its way through the layers.
struct Pass<'a> {
    /// Weights of the layers to come.
    weights: std::slice::Iter<'a, Tensor<1>>,
    normalise: Normalise<'a>,
    /// Batch norms passed.
    norms: usize,
    /// Statistics of batches.
    seen: Vec<Statistics>,
}

impl Pass<'_> {
    fn take(&mut self) -> Tensor<1> {
        self.weights.next().cloned().expect("one tensor for every parameter")
    }

    fn path(&mut self, layers: &[TrainLayer], mut value: Value) -> Value {
        let mut layers = layers.iter().peekable();
        while let Some(layer) = layers.next() {
            value = match layer {
                TrainLayer::BatchNorm { .. } => self.batch_norm(value),
                TrainLayer::Residual { main, shortcut } => {
                    let main = self.path(main, value.clone());
                    main.add(self.path(shortcut, value))
                }
                TrainLayer::Plain(Layer::UpsampleNearest) => match layers.next_if(|next| {
                    // On a GPU the arithmetic that this saves costs less than its many small operations.
                    matches!(next, TrainLayer::Plain(conv) if conv.absorbs_upsampling()) && !value.on_gpu()
                }) {
                    Some(TrainLayer::Plain(conv)) => upsampled(conv, value, &mut || self.take()),
                    _ => plain(&Layer::UpsampleNearest, value, &mut || self.take()),
                },
                TrainLayer::Plain(layer) => plain(layer, value, &mut || self.take()),
            };
        }
        value
    }

    fn batch_norm(&mut self, value: Value) -> Value {
        let (weight, bias) = (self.take(), self.take());
        let given = match self.normalise {
            Normalise::Batch => None,
            Normalise::By(statistics) => Some(&statistics[self.norms]),
        };
        self.norms += 1;
        if let (Value::Images(x), None, true) = (&value, given, value.on_gpu()) {
            let normalised = batch_norm_in_stages(x.clone(), weight, bias);
            let (mean, variance) = (normalised.mean.inner(), normalised.variance.inner());
            self.seen.push(Statistics { mean, variance });
            return Value::Images(normalised.output);
        }
        each_rank!(value, x => normalised(x, weight, bias, given, &mut self.seen))
    }
}

fn normalised<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    given: Option<&Statistics>,
    seen: &mut Vec<Statistics>,
) -> Tensor<D> {
    let epsilon = f64::from(EPSILON);
    if let Some(Statistics { mean, variance }) = given {
        return batch_norm(x, weight, bias, mean.clone(), variance.clone(), epsilon);
    }
    let result = batch_norm_train(x, weight, bias, epsilon);
    seen.push(Statistics { mean: result.mean.inner(), variance: result.variance.inner() });
    result.output
}

/// A 3×3 convolution of the upsampled value.
fn upsampled(conv: &Layer, value: Value, take: &mut impl FnMut() -> Tensor<1>) -> Value {
    match conv {
        Layer::Conv2d { in_channels, out_channels, kernel, bias, .. } => {
            let weight = take().reshape([*out_channels, *in_channels, *kernel, *kernel]);
            Value::Images(upsampled_conv2d(value.images(), weight, bias.then(take)))
        }
        other => plain(other, value, take),
    }
}

fn plain(layer: &Layer, value: Value, take: &mut impl FnMut() -> Tensor<1>) -> Value {
    match layer {
        Layer::Linear { in_features, out_features, bias } => {
            let weight = take().reshape([*out_features, *in_features]).transpose();
            Value::Vectors(linear(value.rows(), weight, bias.then(take)))
        }
        Layer::Conv2d { in_channels, out_channels, kernel, stride, padding, bias } => {
            let weight = take().reshape([*out_channels, *in_channels, *kernel, *kernel]);
            Value::Images(conv2d(value.images(), weight, bias.then(take), *stride, *padding))
        }
        Layer::ConvTranspose2d {
            in_channels,
            out_channels,
            kernel,
            stride,
            padding,
            output_padding,
            bias,
        } => {
            let weight = take().reshape([*in_channels, *out_channels, *kernel, *kernel]);
            let options =
                ConvTransposeOptions::new([*stride; 2], [*padding; 2], [*output_padding; 2], [1; 2], 1);
            Value::Images(conv_transpose2d(value.images(), weight, bias.then(take), options))
        }
        Layer::UpsampleBilinear => Value::Images(upsample_bilinear(value.images())),
        Layer::UpsampleNearest => {
            let x = value.images();
            let [_, _, h, w] = x.dims();
            let options = InterpolateOptions::new(InterpolateMode::Nearest).with_output_size([2 * h, 2 * w]);
            Value::Images(interpolate(x, options))
        }
        Layer::AveragePool { kernel } => {
            let options = AvgPoolOptions::new([*kernel; 2]).with_stride([*kernel; 2]);
            Value::Images(avg_pool2d(value.images(), options))
        }
        Layer::GlobalAveragePool => {
            let pooled: Tensor<4> = adaptive_avg_pool2d(value.images(), [1, 1]);
            Value::Vectors(pooled.flatten(1, 3))
        }
        Layer::LeakyRelu { slope } => each_rank!(value, x => leaky_relu(x, f64::from(*slope))),
        Layer::Relu => each_rank!(value, x => relu(x)),
        Layer::Silu => each_rank!(value, x => silu(x)),
        Layer::Tanh => each_rank!(value, x => x.tanh()),
        Layer::Reshape { shape } => Value::shaped(value.rows(), shape),
        Layer::Flatten => Value::Vectors(value.rows()),
        Layer::Residual { .. } => unreachable!("a training network has its own residual"),
        Layer::ScaleShift { channels } => {
            let (scale, shift) = (take(), take());
            match value {
                Value::Vectors(x) => {
                    Value::Vectors(x * scale.reshape([1, *channels]) + shift.reshape([1, *channels]))
                }
                Value::Images(x) => {
                    let per_channel = |t: Tensor<1>| t.reshape([1, *channels, 1, 1]);
                    Value::Images(x * per_channel(scale) + per_channel(shift))
                }
            }
        }
    }
}
