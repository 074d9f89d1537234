#![allow(clippy::unwrap_used)]

use super::*;
use crate::recipe::{BatchNormWeight, Initialisation};
use dual_mcmc::cpu;
use dual_mcmc::network::Layer;
use dual_mcmc::noise::{Noise, Stream};

fn device() -> Device {
    Device::flex()
}

fn normals(seed: u64, len: usize) -> Vec<f32> {
    let mut x = vec![0.0; len];
    Noise::new(seed, Stream::Data).normals(0, 0, &mut x);
    x
}

/// Choices of a random network, one after the other.
struct Choices {
    noise: Noise,
    next: u32,
}

impl Choices {
    fn below(&mut self, n: u32) -> usize {
        self.next += 1;
        self.noise.below(0, self.next, n) as usize
    }
}

/// A random network of every layer type that fits, from an image to `outputs` numbers.
fn random_image_network(seed: u64, outputs: usize, smooth: bool, batch_norm: bool) -> TrainNetwork {
    let mut choices = Choices { noise: Noise::new(seed, Stream::Shuffle), next: 0 };
    let mut channels = 1 + choices.below(3);
    let mut side = 8;
    let input = vec![channels, side, side];
    let mut layers = Vec::new();
    for _ in 0..5 {
        let layer = match choices.below(9) {
            0 | 1 => {
                let out_channels = 1 + choices.below(6);
                let (kernel, stride, padding) = [(3, 1, 1), (1, 1, 0), (4, 2, 1)][choices.below(3)];
                if side % 2 == 1 && stride == 2 {
                    continue;
                }
                side /= stride;
                let in_channels = std::mem::replace(&mut channels, out_channels);
                let bias = choices.below(2) == 0;
                Layer::Conv2d { in_channels, out_channels, kernel, stride, padding, bias }
            }
            2 if side < 16 => {
                side *= 2;
                Layer::UpsampleNearest
            }
            3 if side > 4 => {
                side /= 2;
                Layer::AveragePool { kernel: 2 }
            }
            4 => Layer::ScaleShift { channels },
            5 if side < 16 => {
                side *= 2;
                Layer::UpsampleBilinear
            }
            6 if side < 16 => {
                let out_channels = 1 + choices.below(4);
                let (kernel, padding, output_padding) = [(4, 1, 0), (3, 1, 1)][choices.below(2)];
                side *= 2;
                let in_channels = std::mem::replace(&mut channels, out_channels);
                let bias = choices.below(2) == 0;
                Layer::ConvTranspose2d {
                    in_channels,
                    out_channels,
                    kernel,
                    stride: 2,
                    padding,
                    output_padding,
                    bias,
                }
            }
            7 => {
                let conv = |kernel, padding| Layer::Conv2d {
                    in_channels: channels,
                    out_channels: channels,
                    kernel,
                    stride: 1,
                    padding,
                    bias: false,
                };
                let shortcut = if choices.below(2) == 0 { vec![] } else { vec![conv(1, 0)] };
                Layer::Residual { main: vec![Layer::Silu, conv(3, 1)], shortcut }
            }
            _ => Layer::Silu,
        };
        let mut layer = TrainLayer::from(layer);
        if let TrainLayer::Residual { main, .. } = &mut layer
            && batch_norm
        {
            main.insert(1, TrainLayer::BatchNorm { channels, weight: BatchNormWeight::Normal });
        }
        layers.push(layer);
        if batch_norm && choices.below(2) == 0 {
            layers.push(TrainLayer::BatchNorm { channels, weight: BatchNormWeight::Normal });
        }
        let kinked = [Layer::Relu, Layer::LeakyRelu { slope: 0.2 }];
        let activation = match choices.below(2) {
            i if !smooth => kinked[i].clone(),
            0 => Layer::Silu,
            _ => Layer::Tanh,
        };
        layers.push(TrainLayer::Plain(activation));
    }
    let mut features = channels;
    if choices.below(2) == 0 {
        layers.push(TrainLayer::Plain(Layer::GlobalAveragePool));
    } else {
        features *= side * side;
        let shape = vec![features / side, 1, side];
        layers.push(TrainLayer::Plain(Layer::Reshape { shape }));
        layers.push(TrainLayer::Plain(Layer::Flatten));
    }
    let linear = |in_features, out_features, bias| {
        TrainLayer::Plain(Layer::Linear { in_features, out_features, bias })
    };
    layers.extend([linear(features, 5, true), TrainLayer::Plain(Layer::Tanh), linear(5, outputs, false)]);
    let initialisation = [Initialisation::Pytorch, Initialisation::XavierNormal][choices.below(2)];
    let transposed = |l: &TrainLayer| matches!(l, TrainLayer::Plain(Layer::ConvTranspose2d { .. }));
    let spectral_norm = choices.below(2) == 0 && !layers.iter().any(transposed);
    let reference = (outputs == 1 && choices.below(2) == 0).then_some(1.5);
    TrainNetwork { input, reference, spectral_norm, initialisation, layers }
}

fn relative(a: &[f32], b: &[f32]) -> f64 {
    let square = |x: f32| f64::from(x) * f64::from(x);
    let difference: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
    let norm: f64 = b.iter().map(|b| square(*b)).sum();
    (difference / norm.max(1e-20)).sqrt()
}

#[test]
fn burn_and_the_cpu_executor_agree_on_energies_and_input_gradients() {
    let mut layer_types = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let smooth = seed % 2 == 0;
        let description = random_image_network(seed, 1, smooth, false);
        let network = BurnNetwork::new(&description, Role::Energy, seed, &device()).unwrap();
        layer_types.extend(network.folded.layers.iter().map(|l| l.name()));
        let (batch, len) = (8, network.input_len());
        let x = normals(seed, batch * len);
        let folded = network.fold(&[]).unwrap();
        let executor: cpu::Evaluator = cpu::Evaluator::new(&folded.network, &folded.weights).unwrap();
        let (energies, gradients) = executor.energy_and_gradient(&x);

        let tracked = rows(&x, len, &device()).autodiff().require_grad();
        let out = network.constant().forward(tracked.clone(), Normalise::Batch).value;
        let mut tape = out.clone().sum().backward();
        let burn_gradients = read(tracked.grad_remove(&mut tape).unwrap()).unwrap();
        let burn_energies = read(out.inner()).unwrap();

        let rms = (energies.iter().map(|e| e * e).sum::<f32>() / batch as f32).sqrt();
        for (e, b) in energies.iter().zip(&burn_energies) {
            assert!((e - b).abs() <= 1e-4 * e.abs().max(rms), "{seed}: {e} {b} {description:?}");
        }
        let pairs = burn_gradients.chunks(len).zip(gradients.chunks(len));
        let close = pairs.filter(|(a, b)| relative(a, b) <= 1e-4).count();
        let needed = if smooth { batch } else { batch * 9 / 10 };
        assert!(close >= needed, "{seed}: {close} of {batch} gradients agree, {description:?}");
    }
    let all = ["linear", "conv2d", "upsample_nearest", "average_pool", "global_average_pool", "leaky_relu"];
    let others = ["relu", "silu", "tanh", "reshape", "flatten", "scale_shift"];
    let new = ["conv_transpose2d", "upsample_bilinear", "residual"];
    for name in all.iter().chain(&others).chain(&new) {
        assert!(layer_types.contains(name), "{name} was never drawn");
    }
}

#[test]
fn a_folded_network_gives_the_evaluation_mode_outputs() {
    for seed in 100..120 {
        let description = random_image_network(seed, 7, true, true);
        let mut network = BurnNetwork::new(&description, Role::Generator, seed, &device()).unwrap();
        let len = network.input_len();
        // Statistics that are not the standard ones.
        for k in 0..5 {
            let x = rows(&normals(seed * 10 + k, 16 * len), len, &device());
            let batch = network.constant().forward(x, Normalise::Batch).statistics;
            network.update_running(&batch);
        }
        let x = normals(seed, 6 * len);
        let burn = network.constant().forward(rows(&x, len, &device()), Normalise::By(network.running()));
        let burn = read(burn.value).unwrap();
        let folded = network.fold(network.running()).unwrap();
        assert_eq!(folded.network, description.folded());
        let executor: cpu::Evaluator = cpu::Evaluator::new(&folded.network, &folded.weights).unwrap();
        let error = relative(&burn, &executor.forward(&x));
        assert!(error < 1e-5, "{seed}: {error} {description:?}");
    }
}

#[test]
fn batch_norm_normalises_each_channel_of_its_batch() {
    let description = TrainNetwork {
        input: vec![2, 4, 4],
        reference: None,
        spectral_norm: false,
        initialisation: Initialisation::Pytorch,
        layers: vec![TrainLayer::BatchNorm { channels: 2, weight: BatchNormWeight::One }],
    };
    let network = BurnNetwork::new(&description, Role::Generator, 1, &device()).unwrap();
    let x: Vec<f32> = normals(3, 10 * 32).iter().map(|v| 3.0 * v - 2.0).collect();
    let out = network.constant().forward(rows(&x, 32, &device()), Normalise::Batch);
    let value = read(out.value).unwrap();
    for channel in 0..2 {
        let of = |x: &[f32]| -> Vec<f64> {
            let rows = x.chunks(32).flat_map(|row| row[channel * 16..(channel + 1) * 16].to_vec());
            rows.map(f64::from).collect()
        };
        let moments = |x: &[f64]| {
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            (mean, x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / x.len() as f64)
        };
        let (mean, variance) = moments(&of(&value));
        assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4, "{mean} {variance}");
        let (mean, variance) = moments(&of(&x));
        let statistics = &out.statistics[0];
        assert!((f64::from(read(statistics.mean.clone()).unwrap()[channel]) - mean).abs() < 1e-4);
        assert!((f64::from(read(statistics.variance.clone()).unwrap()[channel]) - variance).abs() < 1e-3);
    }
}

#[test]
fn pooled_statistics_are_those_of_all_batches_together() {
    let device = device();
    let values = normals(5, 4 * 8);
    let mut pooled = batch_norm::Pooled::default();
    for batch in values.chunks(8) {
        let mean = batch.iter().sum::<f32>() / 8.0;
        let variance = batch.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 8.0;
        let tensor = |v: f32| Tensor::<1>::from_floats([v], &device);
        pooled.add(&[Statistics { mean: tensor(mean), variance: tensor(variance) }]);
    }
    let statistics = &pooled.statistics()[0];
    let mean = values.iter().sum::<f32>() / 32.0;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 32.0;
    assert!((read(statistics.mean.clone()).unwrap()[0] - mean).abs() < 1e-6);
    assert!((read(statistics.variance.clone()).unwrap()[0] - variance).abs() < 1e-5);
}

#[test]
fn spectral_norm_finds_the_largest_singular_value() {
    let (out, inputs) = (6, 10);
    let weight = normals(11, out * inputs);
    // A slow power iteration on WᵀW in f64.
    let mut v = vec![1.0f64; inputs];
    let mut sigma = 0.0;
    for _ in 0..10_000 {
        let row = |r: usize| &weight[r * inputs..(r + 1) * inputs];
        let wv: Vec<f64> =
            (0..out).map(|r| row(r).iter().zip(&v).map(|(w, v)| f64::from(*w) * v).sum()).collect();
        sigma = wv.iter().map(|x| x * x).sum::<f64>().sqrt();
        for (i, v) in v.iter_mut().enumerate() {
            *v = (0..out).map(|r| f64::from(weight[r * inputs + i]) * wv[r]).sum();
        }
        let norm = v.iter().map(|x| x * x).sum::<f64>().sqrt();
        v.iter_mut().for_each(|x| *x /= norm);
    }
    let device = device();
    let mut norm = SpectralNorm::new(&normals(12, out), &normals(13, inputs), &device);
    let flat = Tensor::<1>::from_floats(weight.as_slice(), &device);
    for _ in 0..200 {
        norm.iterate(&flat);
    }
    let found = f64::from(read(norm.sigma(flat.clone())).unwrap()[0]);
    assert!((found - sigma).abs() < 1e-5 * sigma, "{found} {sigma}");

    // dσ/dW = u vᵀ with u and v held constant.
    let tracked = flat.autodiff().require_grad();
    let mut tape = norm.sigma(tracked.clone()).backward();
    let gradient = read(tracked.grad_remove(&mut tape).unwrap()).unwrap();
    let [u, v] = norm.vectors().map(|t| read(t.clone()).unwrap());
    let expected: Vec<f32> = u.iter().flat_map(|u| v.iter().map(move |v| u * v)).collect();
    assert!(relative(&gradient, &expected) < 1e-6);
}

#[test]
fn initial_parameters_have_the_stated_laws_and_do_not_depend_on_each_other() {
    let conv =
        Layer::Conv2d { in_channels: 16, out_channels: 32, kernel: 3, stride: 1, padding: 1, bias: true };
    let mut description = TrainNetwork {
        input: vec![16, 4, 4],
        reference: None,
        spectral_norm: false,
        initialisation: Initialisation::Pytorch,
        layers: vec![TrainLayer::Plain(conv), TrainLayer::Plain(Layer::Silu)],
    };
    let make = |description: &TrainNetwork, role, seed| {
        let network = BurnNetwork::new(description, role, seed, &device()).unwrap();
        network.parameters().iter().map(|p| read(p.clone()).unwrap()).collect::<Vec<_>>()
    };
    let uniform = make(&description, Role::Energy, 1);
    let bound = 1.0 / 12.0;
    assert!(uniform.iter().flatten().all(|w| w.abs() <= bound));
    let variance = |x: &[f32]| x.iter().map(|v| f64::from(v * v)).sum::<f64>() / x.len() as f64;
    let expected = bound as f64 * bound as f64 / 3.0;
    assert!((variance(&uniform[0]) / expected - 1.0).abs() < 0.05);
    assert_ne!(uniform[0], make(&description, Role::Encoder, 1)[0]);
    assert_ne!(uniform[0], make(&description, Role::Energy, 2)[0]);

    description.initialisation = Initialisation::XavierNormal;
    description.layers.push(TrainLayer::Plain(Layer::GlobalAveragePool));
    let xavier = make(&description, Role::Energy, 1);
    assert!((variance(&xavier[0]) / (2.0 / (48.0 * 9.0)) - 1.0).abs() < 0.1);
    assert_eq!(xavier[1], uniform[1], "a bias does not depend on how the weights start");
}

#[test]
fn state_round_trips() {
    let description = random_image_network(102, 7, true, true);
    let network = BurnNetwork::new(&description, Role::Generator, 1, &device()).unwrap();
    let mut other = BurnNetwork::new(&description, Role::Generator, 2, &device()).unwrap();
    let mut state: std::collections::BTreeMap<_, _> = network.state().into_iter().collect();
    other
        .set_state(|path, len| {
            let tensor = state.remove(path).ok_or_else(|| path.to_string())?;
            assert_eq!(tensor.dims(), [len]);
            Ok::<_, String>(tensor)
        })
        .unwrap();
    assert!(state.is_empty());
    let read_all = |n: &BurnNetwork| -> Vec<_> {
        n.state().into_iter().map(|(name, t)| (name, read(t).unwrap())).collect()
    };
    assert_eq!(read_all(&network), read_all(&other));
    assert_eq!(network.fold(network.running()).unwrap(), other.fold(other.running()).unwrap());
}
