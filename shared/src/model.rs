//! Model files: one `.safetensors` file with the networks' weights and, in its metadata, their
//! descriptions, chain defaults and provenance. docs/model-format.md is the format's
//! specification; this module reads and writes it and checks everything before it allocates.

use crate::chain::{XChainSettings, ZChainSettings};
use crate::network::{Network, NetworkError};
use half::f16;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The format this crate reads and writes.
pub const FORMAT_VERSION: &str = "1";

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

/// Where a model comes from. Every field may be absent in a stranger's file.
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
    /// Program and version that wrote the file.
    pub version: String,
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
    #[error("format version {0:?} is not supported; this program reads version {FORMAT_VERSION:?}")]
    Version(String),
    /// A network's description does not fit together.
    #[error("{network}: {error}")]
    Network {
        /// "energy", "generator" or "encoder".
        network: &'static str,
        /// What is wrong with it.
        error: NetworkError,
    },
    /// A network whose activations would exhaust memory.
    #[error("{network}: one sample takes {found} activations; at most {MAX_ACTIVATIONS} are accepted")]
    Activations {
        /// "energy", "generator" or "encoder".
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
        /// Its layer's shape.
        expected: Vec<usize>,
        /// Its shape in the file.
        found: Vec<usize>,
    },
    /// A tensor that is neither f32 nor f16.
    #[error("tensor `{name}` has dtype {dtype}; F32 and F16 are supported")]
    Dtype {
        /// The tensor.
        name: String,
        /// Its dtype.
        dtype: String,
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
    /// The data do not match the checksum.
    #[error("the weights do not match the file's SHA-256; the file is damaged, fetch it again")]
    Checksum,
}

type Networks = BTreeMap<String, Network>;

const ROLES: [&str; 3] = ["energy", "generator", "encoder"];

impl Model {
    /// Read a model file.
    ///
    /// # Errors
    /// [`ModelError`] names the first problem found. Nothing larger than the file itself is
    /// allocated before the file has passed every check of its structure.
    pub fn from_bytes(bytes: &[u8]) -> Result<Model, ModelError> {
        let header = header_len(bytes)?;
        let file = SafeTensors::deserialize(bytes).map_err(|e| ModelError::Container(e.to_string()))?;
        let (_, raw) =
            SafeTensors::read_metadata(bytes).map_err(|e| ModelError::Container(e.to_string()))?;
        let empty = HashMap::new();
        let metadata = raw.metadata().as_ref().unwrap_or(&empty);

        let version = metadata.get("format_version").ok_or(ModelError::MissingMetadata("format_version"))?;
        if version != FORMAT_VERSION {
            return Err(ModelError::Version(version.clone()));
        }
        let networks: Networks =
            parse_strictly(metadata, "networks")?.ok_or(ModelError::MissingMetadata("networks"))?;
        let chains = parse_strictly(metadata, "chains")?.unwrap_or_default();
        check_chains(&chains)?;
        let energy_quantiles = parse_strictly(metadata, "energy_quantiles")?;
        if let Some(q) = &energy_quantiles {
            check_quantiles(q)?;
        }
        let provenance = parse(metadata, "provenance")?.unwrap_or_default();
        check_networks(&networks)?;
        check_tensors(&file, &networks)?;
        if let Some(sum) = metadata.get("sha256")
            && !sum.eq_ignore_ascii_case(&hex(&Sha256::digest(&bytes[8 + header..])))
        {
            return Err(ModelError::Checksum);
        }

        let read = |role: &'static str| -> Result<Option<Weighted>, ModelError> {
            let Some(network) = networks.get(role) else { return Ok(None) };
            Ok(Some(Weighted { network: network.clone(), weights: read_weights(&file, role, network)? }))
        };
        Ok(Model {
            energy: read("energy")?,
            generator: read("generator")?,
            encoder: read("encoder")?,
            chains,
            energy_quantiles,
            provenance,
        })
    }

    /// Write the model as a file's bytes, with the checksum of its data.
    ///
    /// # Errors
    /// If the model would not pass its own reader, for example with a weight that is not finite or
    /// that f16 cannot hold.
    pub fn to_bytes(&self, precision: Precision) -> Result<Vec<u8>, ModelError> {
        let dtype = match precision {
            Precision::F32 => Dtype::F32,
            Precision::F16 => Dtype::F16,
        };
        let mut networks = Networks::new();
        let mut tensors = Vec::new();
        for (role, weighted) in ROLES.into_iter().zip([&self.energy, &self.generator, &self.encoder]) {
            let Some(Weighted { network, weights }) = weighted else { continue };
            networks.insert(role.into(), network.clone());
            if weights.len() != network.parameter_count() {
                let error = NetworkError::Weights { expected: network.parameter_count(), found: weights.len() };
                return Err(ModelError::Network { network: role, error });
            }
            for p in network.parameters() {
                let values = &weights[p.range()];
                let data: Vec<u8> = match precision {
                    Precision::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                    Precision::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
                };
                tensors.push((format!("{role}.{}", p.path), p.shape, data));
            }
        }
        check_networks(&networks)?;
        check_chains(&self.chains)?;
        let mut metadata = BTreeMap::from([
            ("format_version", FORMAT_VERSION.to_string()),
            ("networks", json(&networks)),
            ("chains", json(&self.chains)),
            ("provenance", json(&self.provenance)),
        ]);
        if let Some(quantiles) = &self.energy_quantiles {
            metadata.insert("energy_quantiles", json(quantiles));
        }
        let views = tensors
            .iter()
            .map(|(name, shape, data)| Ok((name, TensorView::new(dtype, shape.clone(), data)?)))
            .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
        let bare = views
            .and_then(|views| safetensors::serialize(views, None))
            .map_err(|e| ModelError::Container(e.to_string()))?;
        let data = 8 + header_len(&bare)?;
        metadata.insert("sha256", hex(&Sha256::digest(&bare[data..])));
        let bytes = with_metadata(&bare[8..data], &json(&metadata), &bare[data..]);
        Model::from_bytes(&bytes)?;
        Ok(bytes)
    }

    /// Shape of one sample: the energy's input, or the generator's output.
    pub fn data_shape(&self) -> Vec<usize> {
        match (&self.energy, &self.generator) {
            (Some(energy), _) => energy.network.input.clone(),
            (None, Some(generator)) => generator.network.output().unwrap_or_default(),
            (None, None) => Vec::new(),
        }
    }

    /// Latent dimension, if there is a generator.
    pub fn latent(&self) -> Option<usize> {
        self.generator.as_ref().map(|g| g.network.input_len())
    }
}

/// A safetensors file of `header`, a JSON object without metadata, and `data`. The library takes its
/// metadata from a `HashMap`, whose order changes from run to run; put in here, one model always
/// gives the same bytes.
fn with_metadata(header: &[u8], metadata: &str, data: &[u8]) -> Vec<u8> {
    let tensors = header[1..].trim_ascii();
    let comma = if tensors == b"}" { "" } else { "," };
    let mut header = format!("{{\"__metadata__\":{metadata}{comma}").into_bytes();
    header.extend_from_slice(tensors);
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut bytes = Vec::with_capacity(8 + header.len() + data.len());
    bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
    bytes.extend_from_slice(&header);
    bytes.extend_from_slice(data);
    bytes
}

fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("descriptions are plain data")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Length of the header, checked before the library sees the file: it would accept 100 MB.
fn header_len(bytes: &[u8]) -> Result<usize, ModelError> {
    if bytes.len() > MAX_FILE {
        return Err(ModelError::TooLarge(bytes.len()));
    }
    let Some(first) = bytes.first_chunk::<8>() else {
        return Err(ModelError::Container(format!("it holds only {} bytes", bytes.len())));
    };
    let header = u64::from_le_bytes(*first);
    if header > MAX_HEADER as u64 {
        if bytes.trim_ascii_start().first() == Some(&b'<') {
            let reason = "it begins like a web page; is the address that of the model file itself?";
            return Err(ModelError::Container(reason.into()));
        }
        return Err(ModelError::Container(format!("its header would take {header} bytes")));
    }
    if header + 8 > bytes.len() as u64 {
        return Err(ModelError::Container("it ends inside its header; the file is truncated".into()));
    }
    Ok(header as usize)
}

fn parse<T: DeserializeOwned>(
    metadata: &HashMap<String, String>,
    key: &'static str,
) -> Result<Option<T>, ModelError> {
    let Some(text) = metadata.get(key) else { return Ok(None) };
    serde_json::from_str(text)
        .map(Some)
        .map_err(|e| ModelError::Metadata { key, reason: e.to_string() })
}

/// As [`parse`], and every key that was given must have been understood: a misspelt option is an
/// error, not a default. (serde's own check knows neither flattened structs nor variants without
/// fields.)
fn parse_strictly<T: DeserializeOwned + Serialize>(
    metadata: &HashMap<String, String>,
    key: &'static str,
) -> Result<Option<T>, ModelError> {
    let Some(value) = parse::<T>(metadata, key)? else { return Ok(None) };
    let error = |e: serde_json::Error| ModelError::Metadata { key, reason: e.to_string() };
    let understood = serde_json::to_value(&value).map_err(error)?;
    match parse::<Value>(metadata, key)?.and_then(|given| unknown_key(&given, &understood)) {
        Some(unknown) => Err(ModelError::Metadata { key, reason: format!("unknown key `{unknown}`") }),
        None => Ok(Some(value)),
    }
}

/// The path of the first key of `given` that `understood` lacks. A null stands for a missing key.
fn unknown_key(given: &Value, understood: &Value) -> Option<String> {
    let at = |key: &str, rest: String| if rest.is_empty() { key.to_string() } else { format!("{key}.{rest}") };
    match (given, understood) {
        (Value::Object(given), Value::Object(understood)) => given.iter().find_map(|(key, value)| {
            match understood.get(key) {
                Some(known) => unknown_key(value, known).map(|rest| at(key, rest)),
                None => (!value.is_null()).then(|| key.clone()),
            }
        }),
        (Value::Array(given), Value::Array(understood)) => {
            given.iter().zip(understood).enumerate().find_map(|(index, (value, known))| {
                unknown_key(value, known).map(|rest| at(&index.to_string(), rest))
            })
        }
        _ => None,
    }
}

fn check_chains(chains: &ChainDefaults) -> Result<(), ModelError> {
    let error = |reason| ModelError::Metadata { key: "chains", reason };
    if let Some(x) = &chains.x {
        x.langevin.check().map_err(error)?;
    }
    if let Some(z) = &chains.z {
        z.langevin.check().map_err(error)?;
        if !(z.sigma.is_finite() && z.sigma > 0.0) {
            return Err(error(format!("sigma must be positive, not {}", z.sigma)));
        }
    }
    Ok(())
}

fn check_quantiles(q: &EnergyQuantiles) -> Result<(), ModelError> {
    let rising = |v: &[f32]| v.windows(2).all(|w| w[0] <= w[1]) && v.iter().all(|x| x.is_finite());
    let in_unit = q.probabilities.iter().all(|p| (0.0..=1.0).contains(p));
    if q.probabilities.len() == q.energies.len() && rising(&q.probabilities) && rising(&q.energies) && in_unit {
        return Ok(());
    }
    Err(ModelError::Metadata {
        key: "energy_quantiles",
        reason: "probabilities and energies must be rising, finite and equally many".into(),
    })
}

fn check_networks(networks: &Networks) -> Result<(), ModelError> {
    if let Some(unknown) = networks.keys().find(|k| !ROLES.contains(&k.as_str())) {
        let reason = format!("`{unknown}` is none of {ROLES:?}");
        return Err(ModelError::Metadata { key: "networks", reason });
    }
    let named = |network| move |error| ModelError::Network { network, error };
    let data = match (networks.get("energy"), networks.get("generator")) {
        (Some(energy), _) => energy.input.clone(),
        (None, Some(generator)) => generator.output().map_err(named("generator"))?,
        (None, None) => return Err(ModelError::Networks("the file describes neither an energy nor a generator")),
    };
    if let Some(energy) = networks.get("energy") {
        energy.check_energy(&data).map_err(named("energy"))?;
    }
    let latent = match networks.get("generator") {
        Some(generator) => Some(generator.check_generator(&data).map_err(named("generator"))?),
        None => None,
    };
    if let Some(encoder) = networks.get("encoder") {
        let latent = latent.ok_or(ModelError::Networks("the file describes an encoder but no generator"))?;
        encoder.check_encoder(&data, latent).map_err(named("encoder"))?;
    }
    for role in ROLES {
        let Some(network) = networks.get(role) else { continue };
        let shapes = network.shapes().map_err(named(role))?;
        let count = shapes.iter().map(|s| s.iter().product::<usize>());
        let found = count.fold(0usize, usize::saturating_add);
        if found > MAX_ACTIVATIONS {
            return Err(ModelError::Activations { network: role, found });
        }
    }
    Ok(())
}

/// Every parameter is there with its shape and a readable dtype, and nothing else is.
fn check_tensors(file: &SafeTensors, networks: &Networks) -> Result<(), ModelError> {
    let mut surplus: BTreeSet<String> = file.names().into_iter().map(String::from).collect();
    for (role, network) in networks {
        for p in network.parameters() {
            let name = format!("{role}.{}", p.path);
            let Ok(tensor) = file.tensor(&name) else { return Err(ModelError::MissingTensor(name)) };
            if tensor.shape() != p.shape {
                return Err(ModelError::Shape { name, expected: p.shape, found: tensor.shape().to_vec() });
            }
            if !matches!(tensor.dtype(), Dtype::F32 | Dtype::F16) {
                return Err(ModelError::Dtype { name, dtype: format!("{:?}", tensor.dtype()) });
            }
            surplus.remove(&name);
        }
    }
    match surplus.pop_first() {
        Some(name) => Err(ModelError::SurplusTensor(name)),
        None => Ok(()),
    }
}

fn read_weights(file: &SafeTensors, role: &str, network: &Network) -> Result<Vec<f32>, ModelError> {
    let mut weights = Vec::with_capacity(network.parameter_count());
    for p in network.parameters() {
        let name = format!("{role}.{}", p.path);
        let Ok(tensor) = file.tensor(&name) else { return Err(ModelError::MissingTensor(name)) };
        let start = weights.len();
        match tensor.dtype() {
            Dtype::F16 => weights.extend(
                tensor.data().as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()),
            ),
            _ => weights.extend(tensor.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
        }
        if let Some(index) = weights[start..].iter().position(|v| !v.is_finite()) {
            return Err(ModelError::NotFinite { name, index, value: weights[start + index] });
        }
    }
    Ok(weights)
}
