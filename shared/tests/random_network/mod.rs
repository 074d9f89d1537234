//! Random networks of every layer type, for tests that compare executors.
#![allow(dead_code, clippy::unwrap_used)]

use dual_mcmc::model::Weighted;
use dual_mcmc::network::{Layer, Network};
use dual_mcmc::noise::{Noise, Stream};

/// A source of small random choices, the same for the same seed.
pub struct Choices {
    noise: Noise,
    taken: u32,
}

impl Choices {
    /// The choices of `seed`.
    pub fn new(seed: u64) -> Choices {
        Choices { noise: Noise::new(seed, Stream::Parameters), taken: 0 }
    }

    /// An integer in `0..n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.taken += 1;
        self.noise.below(0, self.taken, n as u32) as usize
    }

    /// An integer in `low..=high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// `n` standard normals times `scale`.
    pub fn normals(&mut self, n: usize, scale: f32) -> Vec<f32> {
        self.taken += 1;
        let mut out = vec![0.0; n];
        self.noise.normals(1, self.taken, &mut out);
        out.iter_mut().for_each(|v| *v *= scale);
        out
    }
}

fn activation(choices: &mut Choices, smooth: bool) -> Layer {
    match choices.below(if smooth { 2 } else { 4 }) {
        0 => Layer::Silu,
        1 => Layer::Tanh,
        2 => Layer::LeakyRelu { slope: 0.2 },
        _ => Layer::Relu,
    }
}

/// Random weights of a size that keeps activations near 1.
pub fn weigh(network: Network, choices: &mut Choices) -> Weighted {
    let mut weights = Vec::new();
    for p in network.parameters() {
        let fan_in: usize = p.shape[1..].iter().product();
        let n: usize = p.shape.iter().product();
        let scale = if p.shape.len() > 1 { 1.2 / (fan_in as f32).sqrt() } else { 0.5 };
        weights.extend(choices.normals(n, scale));
    }
    Weighted { network, weights }
}

/// Two paths from `channels` channels to as many, with and without layers on the shortcut.
fn residual(c: &mut Choices, channels: usize, smooth: bool) -> Layer {
    let identity = c.below(2) == 0;
    let conv = |kernel, bias| Layer::Conv2d {
        in_channels: channels,
        out_channels: channels,
        kernel,
        stride: 1,
        padding: kernel / 2,
        bias,
    };
    let main = vec![activation(c, smooth), conv(3, true)];
    Layer::Residual { main, shortcut: if identity { vec![] } else { vec![conv(1, false)] } }
}

/// An energy on images that holds every image layer, in random sizes.
pub fn image_energy(seed: u64, smooth: bool) -> Weighted {
    let mut choices = Choices::new(seed);
    let c = &mut choices;
    let channels = [1, 3][c.below(2)];
    let (height, width) = (2 * c.between(3, 5), 2 * c.between(3, 5));
    let mut layers = Vec::new();
    let mut shape = vec![channels, height, width];
    let push = |layers: &mut Vec<Layer>, shape: &mut Vec<usize>, layer: Layer| {
        *shape = layer.output_shape(shape).unwrap();
        layers.push(layer);
    };
    let kernel = c.between(1, 4);
    let conv = |c: &mut Choices, shape: &[usize], kernel: usize| Layer::Conv2d {
        in_channels: shape[0],
        out_channels: c.between(2, 6),
        kernel,
        stride: c.between(1, 2),
        padding: c.below(kernel),
        bias: c.below(2) == 0,
    };
    let layer = conv(c, &shape, kernel);
    push(&mut layers, &mut shape, layer);
    let layer = activation(c, smooth);
    push(&mut layers, &mut shape, layer);
    let layer = [Layer::UpsampleNearest, Layer::UpsampleBilinear][c.below(2)].clone();
    push(&mut layers, &mut shape, layer);
    let layer = residual(c, shape[0], smooth);
    push(&mut layers, &mut shape, layer);
    let layer = Layer::ScaleShift { channels: shape[0] };
    push(&mut layers, &mut shape, layer);
    let layer = Layer::Conv2d {
        in_channels: shape[0],
        out_channels: c.between(2, 5),
        kernel: 3,
        stride: 1,
        padding: 1,
        bias: true,
    };
    push(&mut layers, &mut shape, layer);
    let layer = activation(c, smooth);
    push(&mut layers, &mut shape, layer);
    push(&mut layers, &mut shape, Layer::AveragePool { kernel: 2 });
    if c.below(2) == 0 {
        push(&mut layers, &mut shape, Layer::GlobalAveragePool);
    } else {
        push(&mut layers, &mut shape, Layer::Flatten);
    }
    let layer = Layer::Linear { in_features: shape[0], out_features: 1, bias: c.below(2) == 0 };
    push(&mut layers, &mut shape, layer);
    let reference = (c.below(2) == 0).then_some(2.5);
    weigh(Network { input: vec![channels, height, width], layers, reference }, c)
}

/// An energy on vectors.
pub fn vector_energy(seed: u64, smooth: bool) -> Weighted {
    let mut choices = Choices::new(seed);
    let c = &mut choices;
    let (inputs, hidden) = (c.between(1, 5), c.between(3, 33));
    let layers = vec![
        Layer::Linear { in_features: inputs, out_features: hidden, bias: true },
        activation(c, smooth),
        Layer::ScaleShift { channels: hidden },
        Layer::Linear { in_features: hidden, out_features: hidden, bias: false },
        activation(c, smooth),
        Layer::Linear { in_features: hidden, out_features: 1, bias: true },
    ];
    weigh(Network { input: vec![inputs], layers, reference: Some(3.0) }, c)
}

/// A generator of images.
pub fn image_generator(seed: u64, smooth: bool) -> Weighted {
    let mut choices = Choices::new(seed);
    let c = &mut choices;
    let (latent, width, channels) = (c.between(2, 6), c.between(2, 4), [1, 3][c.below(2)]);
    let (h, w) = (c.between(2, 3), c.between(2, 3));
    let layers = vec![
        Layer::Linear { in_features: latent, out_features: width * h * w, bias: true },
        Layer::Reshape { shape: vec![width, h, w] },
        [
            Layer::UpsampleNearest,
            Layer::ConvTranspose2d {
                in_channels: width,
                out_channels: width,
                kernel: 4,
                stride: 2,
                padding: 1,
                output_padding: 0,
                bias: true,
            },
        ][c.below(2)]
        .clone(),
        Layer::Conv2d {
            in_channels: width,
            out_channels: width,
            kernel: 3,
            stride: 1,
            padding: 1,
            bias: true,
        },
        Layer::ScaleShift { channels: width },
        residual(c, width, smooth),
        activation(c, smooth),
        [Layer::UpsampleNearest, Layer::UpsampleBilinear][c.below(2)].clone(),
        Layer::Conv2d {
            in_channels: width,
            out_channels: channels,
            kernel: 3,
            stride: 1,
            padding: 1,
            bias: false,
        },
        Layer::Tanh,
    ];
    weigh(Network { input: vec![latent], layers, reference: None }, c)
}
