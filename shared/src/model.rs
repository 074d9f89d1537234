//! Model files: one `.safetensors` file with the networks' weights and, in its metadata, their
//! descriptions, chain defaults and provenance. docs/model-format.md is the format's
//! specification; this module reads and writes it and checks everything before it allocates.

mod annotations;
mod check;
mod features;
mod read;
mod write;

pub use annotations::{Annotations, Examples, Histogram, MAX_EXAMPLE_BYTES, MAX_EXAMPLES};
pub use features::Features;

use crate::chain::{XChainSettings, ZChainSettings};
use crate::network::{Network, NetworkError};
use crate::points::PointSet;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The versions of the format that this crate reads. It writes a model that needs nothing of the second as the first.
pub const FORMAT_VERSIONS: [&str; 2] = ["1", "2"];

/// Longest header accepted, in bytes. Real ones take a few kilobytes.
const MAX_HEADER: usize = 1 << 20;

/// Most activations that one sample may take in one network: its input and all its layers' outputs.
const MAX_ACTIVATIONS: usize = 1 << 26;

/// Largest file accepted, in bytes.
pub const MAX_FILE: usize = 1 << 30;

/// A network with its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Weighted {
    /// The description.
    pub network: Network,
    /// All parameters, in the order of [`Network::parameters`].
    pub weights: Vec<f32>,
}

/// Recommended chains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainDefaults {
    /// The x-chain, if the model has an energy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<XChainSettings>,
    /// The z-chain, if the model has a generator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub z: Option<ZChainSettings>,
}

/// Quantiles of the energy of held-out data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnergyQuantiles {
    /// Probabilities, rising, in [0, 1].
    pub probabilities: Vec<f32>,
    /// The energies at those probabilities.
    pub energies: Vec<f32>,
}

impl EnergyQuantiles {
    /// Probabilities whose energies a model file holds.
    const PROBABILITIES: [f32; 11] = [0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0];

    /// Quantiles of `energies`, by linear interpolation; `None` without any.
    pub fn of(mut energies: Vec<f32>) -> Option<EnergyQuantiles> {
        energies.retain(|e| e.is_finite());
        energies.sort_by(f32::total_cmp);
        let last = energies.len().checked_sub(1)?;
        let at = |p: f32| {
            let place = p * last as f32;
            let (low, high) = (place.floor() as usize, place.ceil() as usize);
            let share = place - place.floor();
            energies[low] + share * (energies[high.min(last)] - energies[low])
        };
        let probabilities = Self::PROBABILITIES.to_vec();
        Some(EnergyQuantiles { probabilities, energies: Self::PROBABILITIES.map(at).to_vec() })
    }
}

/// Where a model comes from. Every field may be absent in files of other programs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// Name of the data set, for example `"ring"` or `"fashion-mnist"`.
    pub data: String,
    /// The recipe, as TOML.
    pub recipe: String,
    /// Training iterations.
    pub iterations: u64,
    /// Seed of the run.
    pub seed: u64,
    /// Figures measured on the model, by name.
    pub metrics: BTreeMap<String, f64>,
    /// Licence of the weights.
    pub license: String,
    /// Licence of the examples, where there are any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub examples_license: String,
    /// Program and version that wrote the file.
    pub version: String,
    /// What it was trained on, for example `"CPU (2 threads)"`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub device: String,
}

/// A model: some of the three networks, and what is known of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// E_θ: data → `[1]`.
    pub energy: Option<Weighted>,
    /// g_φ: `[latent]` → data.
    pub generator: Option<Weighted>,
    /// q_ψ: data → `[2·latent]`, means then log-variances.
    pub encoder: Option<Weighted>,
    /// Recommended chains.
    pub chains: ChainDefaults,
    /// Energies of held-out data.
    pub energy_quantiles: Option<EnergyQuantiles>,
    /// Where the model comes from.
    pub provenance: Provenance,
    /// What else there is for those who look at it.
    pub annotations: Annotations,
}

/// How weights are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// 16-bit floats; computation stays in f32.
    F16,
}

/// What is wrong with a model file.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The bytes are no safetensors file, or a damaged one.
    #[error("not a valid safetensors file: {0}")]
    Container(String),
    /// The file is larger than any model this crate accepts.
    #[error("the file holds {0} bytes; at most {MAX_FILE} are accepted")]
    TooLarge(usize),
    /// The file is one of ours, but of another kind.
    #[error("the file holds {found}, not {expected}")]
    Kind {
        /// What it holds.
        found: &'static str,
        /// What was to be read.
        expected: &'static str,
    },
    /// A metadata entry is missing.
    #[error("metadata `{0}` is missing; see docs/model-format.md")]
    MissingMetadata(&'static str),
    /// A metadata entry does not parse, or says something impossible.
    #[error("metadata `{key}` is not valid: {reason}")]
    Metadata {
        /// The entry.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The file is of another format version.
    #[error("format version {found:?} is not supported; this program reads version {known}")]
    Version {
        /// The file's version.
        found: String,
        /// Those that are read.
        known: String,
    },
    /// A network's description does not fit together.
    #[error("{network}: {error}")]
    Network {
        /// The network's role: "energy", "generator", "encoder", "features" or "classifier".
        network: &'static str,
        /// What is wrong with it.
        error: Box<NetworkError>,
    },
    /// A network whose activations would exhaust memory.
    #[error("{network}: one sample takes {found} activations; at most {MAX_ACTIVATIONS} are accepted")]
    Activations {
        /// The network's role.
        network: &'static str,
        /// Elements of the input and of every layer's output.
        found: usize,
    },
    /// The file describes no network at all, or an encoder without a generator.
    #[error("{0}")]
    Networks(&'static str),
    /// A tensor that a description needs is not there.
    #[error("tensor `{0}` is missing")]
    MissingTensor(String),
    /// A tensor that no description mentions.
    #[error("tensor `{0}` belongs to no layer of the description")]
    SurplusTensor(String),
    /// A tensor of another shape than its layer needs.
    #[error("tensor `{name}` has shape {found:?}, its layer needs {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// The shape that its layer needs.
        expected: Vec<usize>,
        /// The tensor's shape in the file.
        found: Vec<usize>,
    },
    /// A tensor that is neither f32 nor f16.
    #[error("tensor `{name}` has dtype {dtype}; F32 and F16 are supported")]
    Dtype {
        /// The tensor.
        name: String,
        /// The tensor's dtype.
        dtype: String,
    },
    /// Held-out data that are too many, or of another kind than the model's.
    #[error("the examples are not valid: {reason}")]
    Examples {
        /// What is wrong with them.
        reason: String,
    },
    /// A weight that is infinite or not a number.
    #[error("tensor `{name}` holds {value} at element {index}")]
    NotFinite {
        /// The tensor.
        name: String,
        /// Position in row-major order.
        index: usize,
        /// The value.
        value: f32,
    },
    /// A weight too large for the precision that was asked for.
    #[error("tensor `{name}` holds {value} at element {index}, which f16 cannot hold; write it as f32")]
    TooLargeForHalf {
        /// The tensor.
        name: String,
        /// Position in row-major order.
        index: usize,
        /// The value.
        value: f32,
    },
    /// The data do not match the checksum.
    #[error("the weights do not match the file's SHA-256; the file is damaged, fetch it again")]
    Checksum,
}

type Networks = BTreeMap<String, Network>;

const ROLES: [&str; 3] = ["energy", "generator", "encoder"];

impl Model {
    /// Shape of one sample: the energy's input, or the generator's output.
    pub fn data_shape(&self) -> Vec<usize> {
        match (&self.energy, &self.generator) {
            (Some(energy), _) => energy.network.input.clone(),
            (None, Some(generator)) => generator.network.output().unwrap_or_default(),
            (None, None) => Vec::new(),
        }
    }

    /// The density that the data come from, if it is known exactly. Version 1 of the format has no place for it: there it
    /// is the name of the data.
    pub fn density(&self) -> Option<PointSet> {
        let of_name = || PointSet::from_name(&self.provenance.data).filter(|_| self.data_shape() == [2]);
        if self.annotations.is_empty() { of_name() } else { self.annotations.density }
    }

    /// Latent dimension, if there is a generator.
    pub fn latent(&self) -> Option<usize> {
        self.generator.as_ref().map(|g| g.network.input_len())
    }
}

/// The checksum of a file's tensors, SHA-256 in hexadecimal digits. Part by part: a browser runs code that it has just
/// been given slowly, and goes over to the faster one between two calls.
fn checksum(data: &[u8]) -> String {
    let mut sum = Sha256::new();
    data.chunks(1 << 14).for_each(|part| sum.update(part));
    sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quantiles_interpolate_and_rise() {
        let q = EnergyQuantiles::of((0..=200).rev().map(|i| i as f32).collect()).unwrap();
        assert_eq!(q.energies, [0.0, 2.0, 10.0, 20.0, 50.0, 100.0, 150.0, 180.0, 190.0, 198.0, 200.0]);
        assert_eq!(EnergyQuantiles::of(vec![3.0]).unwrap().energies, [3.0; 11]);
        assert_eq!(EnergyQuantiles::of(vec![f32::NAN]), None);
    }
}
