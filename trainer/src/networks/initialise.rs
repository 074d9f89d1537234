//! Initial parameters, from our own Philox: burn's random state is global and cannot be saved.

use super::Role;
use crate::recipe::{BatchNormWeight, Initialisation, TrainLayer, TrainNetwork};
use dual_mcmc::network::Layer;
use dual_mcmc::noise::{Noise, Stream};

/// Draws the initial values of one layer: chain = network, step = layer and slot, so that no parameter's
/// values depend on the others'. `index` counts the layers, those in residuals one by one.
pub(super) struct LayerInitialiser<'a> {
    pub description: &'a TrainNetwork,
    pub role: Role,
    pub seed: u64,
    pub index: usize,
    /// Whether it is the last layer of an encoder.
    pub heads: bool,
}

/// Slots of a layer in the step counter: its parameters, then u and v.
const SLOTS: u32 = 16;
const SLOT_U: u32 = 14;
const SLOT_V: u32 = 15;

impl LayerInitialiser<'_> {
    /// Initial values of the parameter `name` of `layer`.
    pub fn values(&self, layer: &TrainLayer, name: &str, shape: &[usize], slot: u32) -> Vec<f32> {
        let len = shape.iter().product();
        match layer {
            TrainLayer::BatchNorm { weight: BatchNormWeight::Normal, .. } if name == "weight" => {
                self.normals(len, slot)
            }
            TrainLayer::BatchNorm { .. } | TrainLayer::Plain(Layer::ScaleShift { .. }) => {
                let one = matches!(name, "weight" | "scale");
                vec![if one { 1.0 } else { 0.0 }; len]
            }
            TrainLayer::Plain(
                Layer::Conv2d { in_channels, out_channels, kernel, .. }
                | Layer::ConvTranspose2d { in_channels, out_channels, kernel, .. },
            ) if name == "weight" && self.description.initialisation == Initialisation::XavierNormal => {
                // An encoder's last layer is two heads in one, means and log-variances.
                let outputs = if self.heads { out_channels / 2 } else { *out_channels };
                let fan_sum = (in_channels + outputs) * kernel * kernel;
                let deviation = (2.0 / fan_sum as f32).sqrt();
                self.normals(len, slot).into_iter().map(|v| deviation * v).collect()
            }
            TrainLayer::Plain(Layer::Conv2d { in_channels, kernel, .. }) => {
                self.uniform(len, slot, in_channels * kernel * kernel)
            }
            // PyTorch takes the second dimension of the weight for the fan-in, here as elsewhere.
            TrainLayer::Plain(Layer::ConvTranspose2d { out_channels, kernel, .. }) => {
                self.uniform(len, slot, out_channels * kernel * kernel)
            }
            TrainLayer::Plain(Layer::Linear { in_features, .. }) => self.uniform(len, slot, *in_features),
            TrainLayer::Plain(_) | TrainLayer::Residual { .. } => vec![0.0; len],
        }
    }

    /// Starts of u and v for a weight of `shape`.
    pub fn singular_vectors(&self, shape: &[usize]) -> [Vec<f32>; 2] {
        [self.normals(shape[0], SLOT_U), self.normals(shape[1..].iter().product(), SLOT_V)]
    }

    fn step(&self, slot: u32) -> u32 {
        self.index as u32 * SLOTS + slot
    }

    fn noise(&self) -> Noise {
        Noise::new(self.seed, Stream::Parameters)
    }

    fn normals(&self, len: usize, slot: u32) -> Vec<f32> {
        let mut values = vec![0.0; len];
        self.noise().normals(self.role as u32, self.step(slot), &mut values);
        values
    }

    /// U(±1/√fan_in), PyTorch's default for linear and convolution layers and their biases.
    fn uniform(&self, len: usize, slot: u32, fan_in: usize) -> Vec<f32> {
        let bound = 1.0 / (fan_in as f32).sqrt();
        let mut values = vec![0.0; len];
        self.noise().uniforms(self.role as u32, self.step(slot), &mut values);
        values.iter_mut().for_each(|v| *v = bound * (2.0 * *v - 1.0));
        values
    }
}
