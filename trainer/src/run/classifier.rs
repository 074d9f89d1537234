//! Small classifiers of the public image sets: what they learn before their last layer are the
//! features on which distances of images are measured.

use super::device::TrainingDevice;
use crate::console::say;
use crate::data::image_sets::ImageSet;
use crate::data::labels::Labels;
use crate::data::{self, Dataset};
use crate::networks::{BurnNetwork, Normalise, Role, read, rows};
use crate::optimiser::NetworkOptimiser;
use crate::recipe::{BatchNormWeight, Optimiser, TrainLayer, TrainNetwork};
use crate::teaching::order::batch_indices;
use anyhow::{Context, Result, ensure};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use dual_mcmc::executor::Executor;
use dual_mcmc::model::{Features, Precision, Provenance, Weighted};
use dual_mcmc::network::{Layer, Network};
use dual_mcmc::noise::{Noise, Stream};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Values of the feature layer.
const FEATURES: usize = 64;

/// Classes of every set.
const CLASSES: usize = 10;

/// Channels after each block: convolution, batch norm, ReLU, halving.
const CHANNELS: [usize; 4] = [16, 32, 64, 128];

const BATCH: usize = 128;

/// The learning rate at the start. It falls linearly to zero.
const RATE: f64 = 2e-3;

/// Time between two lines of progress.
const INTERVAL: Duration = Duration::from_secs(15);

/// Train a classifier of a fetched set. Its test accuracy, computed by the executor from the weights
/// as a file holds them in 16 bits, is in its provenance.
///
/// # Errors
/// If the set is not here or damaged, or a device fails.
pub fn train(set: ImageSet, epochs: u64, seed: u64, devices: &TrainingDevice) -> Result<Features> {
    let channels = if set == ImageSet::Cifar10 { 3 } else { 1 };
    let images = Dataset::load(set.name(), &[channels, 32, 32], None)?;
    let labels = set.load_labels(&data::directory()?.join(set.name()))?;
    let counts = (images.train_count(), images.held_out_count());
    ensure!(
        counts == (labels.train.len(), labels.held_out.len()),
        "{} has other labels than images",
        set.name()
    );
    // A digit's mirror image is no digit.
    let mirror = set != ImageSet::Mnist;
    let network = learn(&images, &labels.train, mirror, epochs, seed, &devices.parameters)?;
    let (network, classifier) = split(network.fold(network.running())?);
    let mut features = Features {
        name: format!("{}-classifier", set.name()),
        network,
        classifier: Some(classifier),
        provenance: Provenance {
            data: set.name().into(),
            recipe: format!("dual-mcmc features train {} --epochs {epochs} --seed {seed}", set.name()),
            iterations: epochs * iterations(&images),
            seed,
            license: license(set).into(),
            version: format!("dual-mcmc {}", env!("CARGO_PKG_VERSION")),
            ..Provenance::default()
        },
    };
    let stored = Features::from_bytes(&features.to_bytes(Precision::F16)?)?;
    let accuracy = accuracy(&stored, &images, &labels, &devices.executor)?;
    features.provenance.metrics = BTreeMap::from([("test_accuracy".into(), accuracy)]);
    Ok(features)
}

/// The weights' licence follows the data's where they have one.
fn license(set: ImageSet) -> &'static str {
    match set {
        ImageSet::FashionMnist => "MIT",
        _ => "MIT OR Apache-2.0",
    }
}

/// Images `[channels, 32, 32]` → 64 features → 10 logits. The features are those after their ReLU.
fn description(channels: usize) -> TrainNetwork {
    let batch_norm = |channels| TrainLayer::BatchNorm { channels, weight: BatchNormWeight::One };
    let plain = TrainLayer::Plain;
    let mut layers = Vec::new();
    let mut inputs = channels;
    for outputs in CHANNELS {
        let (kernel, stride, padding) = (3, 1, 1);
        layers.extend([
            plain(Layer::Conv2d {
                in_channels: inputs,
                out_channels: outputs,
                kernel,
                stride,
                padding,
                bias: false,
            }),
            batch_norm(outputs),
            plain(Layer::Relu),
            plain(Layer::AveragePool { kernel: 2 }),
        ]);
        inputs = outputs;
    }
    layers.extend([
        plain(Layer::Flatten),
        plain(Layer::Linear { in_features: 4 * inputs, out_features: FEATURES, bias: false }),
        batch_norm(FEATURES),
        plain(Layer::Relu),
        plain(Layer::Linear { in_features: FEATURES, out_features: CLASSES, bias: true }),
    ]);
    TrainNetwork {
        input: vec![channels, 32, 32],
        reference: None,
        spectral_norm: false,
        initialisation: Default::default(),
        layers,
    }
}

/// The last layer becomes a network of its own.
fn split(mut whole: Weighted) -> (Weighted, Weighted) {
    let last = whole.network.layers.split_off(whole.network.layers.len() - 1);
    let weights = whole.weights.split_off(whole.network.parameter_count());
    let network = Network { input: vec![FEATURES], layers: last, reference: None };
    (whole, Weighted { network, weights })
}

/// Batches of one epoch.
fn iterations(images: &Dataset) -> u64 {
    ((images.train_count() / BATCH) as u64).max(1)
}

/// Adam on the cross-entropy.
fn learn(
    images: &Dataset,
    labels: &[u8],
    mirror: bool,
    epochs: u64,
    seed: u64,
    device: &Device,
) -> Result<BurnNetwork> {
    // The role keys initial parameters, nothing else.
    let mut network = BurnNetwork::new(&description(images.shape[0]), Role::Encoder, seed, device)?;
    let adam = Optimiser {
        rate: RATE,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.0,
        clip: None,
        final_share: 0.0,
    };
    let mut optimiser = NetworkOptimiser::new(&adam);
    let total = epochs * iterations(images);
    let (started, mut printed) = (Instant::now(), Instant::now());
    for iteration in 0..total {
        let indices = batch_indices(seed, iteration, BATCH, images.train_count());
        let batch_labels: Vec<i64> = indices.iter().map(|&i| i64::from(labels[i])).collect();
        let mut x = images.train_batch(indices)?;
        if mirror {
            mirror_some(&mut x, images, seed, iteration);
        }
        let taped = network.taped();
        let output = taped.forward(rows(&x, images.sample_len(), device), Normalise::Batch);
        let loss = cross_entropy(output.value, &batch_labels, device);
        let mut gradients = loss.clone().backward();
        let gradients = taped.gradients(&mut gradients);
        network.update_running(&output.statistics);
        let rate = RATE * (1.0 - iteration as f64 / total as f64);
        optimiser.step(rate, network.parameters_mut(), gradients);
        if printed.elapsed() >= INTERVAL || iteration + 1 == total {
            printed = Instant::now();
            let loss = read(loss.inner())?.first().copied().unwrap_or(f32::NAN);
            ensure!(loss.is_finite(), "the classifier has diverged; try another --seed");
            let done = iteration + 1;
            let left = started.elapsed().as_secs_f64() * (total - done) as f64 / done as f64;
            say!("{done}/{total} cross-entropy {loss:.4}, {left:.0} s left");
        }
    }
    Ok(network)
}

/// Mirror each image of a batch with probability ½.
fn mirror_some(x: &mut [f32], images: &Dataset, seed: u64, iteration: u64) {
    let (noise, width) = (Noise::new(seed, Stream::Flip), images.shape[2]);
    for (row, image) in x.chunks_mut(images.sample_len()).enumerate() {
        if noise.below(row as u32, iteration as u32, 2) == 1 {
            image.chunks_mut(width).for_each(<[f32]>::reverse);
        }
    }
}

fn cross_entropy(logits: Tensor<2>, labels: &[i64], device: &Device) -> Tensor<1> {
    let chosen: Tensor<2, Int> =
        Tensor::from_data(TensorData::new(labels.to_vec(), [labels.len(), 1]), device);
    log_softmax(logits, 1).gather(1, chosen).mean().neg()
}

/// Share of the held-out images that get their own label.
fn accuracy(features: &Features, images: &Dataset, labels: &Labels, executor: &Executor) -> Result<f64> {
    let classifier = features.classifier.as_ref().context("the network is no classifier")?;
    let x = images.held_out_batch(images.held_out_count())?;
    let forward = |network: &Weighted, x: &[f32]| pollster::block_on(executor.forward(network, x));
    let logits = forward(classifier, &forward(&features.network, &x)?)?;
    let largest = |row: &[f32]| (0..CLASSES).max_by(|&a, &b| row[a].total_cmp(&row[b]));
    let right = logits.chunks(CLASSES).zip(&labels.held_out);
    let right = right.filter(|(row, label)| largest(row) == Some(usize::from(**label))).count();
    Ok(right as f64 / labels.held_out.len() as f64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::data::Samples;

    /// Ten classes of images: a bright row at one of ten heights, under noise.
    fn rows_of_light(count: usize, seed: u64) -> (Vec<u8>, Vec<u8>) {
        let mut pixels = vec![0u8; count * 1024];
        for (i, image) in pixels.chunks_mut(1024).enumerate() {
            let mut noise = vec![0.0; 1024];
            Noise::new(seed, Stream::Data).uniforms(i as u32, 0, &mut noise);
            image.iter_mut().zip(noise).for_each(|(pixel, noise)| *pixel = (100.0 * noise) as u8);
            image[96 * (i % CLASSES)..][..64].fill(255);
        }
        (pixels, (0..count).map(|i| (i % CLASSES) as u8).collect())
    }

    #[test]
    fn a_classifier_learns_what_its_file_then_knows() {
        let ((train, train_labels), (held_out, held_out_labels)) =
            (rows_of_light(2 * BATCH, 1), rows_of_light(100, 2));
        let images = Dataset {
            name: "rows".into(),
            known: None,
            shape: vec![1, 32, 32],
            train: Samples::Bytes(train),
            held_out: Samples::Bytes(held_out),
        };
        let labels = Labels { train: train_labels, held_out: held_out_labels };
        let device = Device::flex();
        let trained = |epochs| learn(&images, &labels.train, true, epochs, 5, &device).unwrap();
        let network = trained(20);
        let (network, classifier) = split(network.fold(network.running()).unwrap());
        let features = Features {
            name: "rows".into(),
            network,
            classifier: Some(classifier),
            provenance: Provenance::default(),
        };
        let stored = Features::from_bytes(&features.to_bytes(Precision::F16).unwrap()).unwrap();
        assert_eq!(stored.dimension(), FEATURES);
        let right = accuracy(&stored, &images, &labels, &Executor::Cpu { threads: 1 }).unwrap();
        assert!(right > 0.8, "{right}");
        let again = [trained(1), trained(1)].map(|n| n.fold(n.running()).unwrap().weights);
        assert_eq!(again[0], again[1], "one seed, one classifier");
    }
}
