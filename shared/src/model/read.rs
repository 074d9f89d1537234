//! Reading a model file: everything is checked before the weights are.

use super::annotations::{self, Annotations, EXAMPLES, Examples, check_histograms};
use super::check::{check_chains, check_networks, check_quantiles, check_tensors};
use super::{
    FORMAT_VERSIONS, MAX_FILE, MAX_HEADER, Model, ModelError, Networks, Precision, Weighted, checksum,
};
use crate::network::Network;
use half::f16;
use safetensors::tensor::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;
use std::collections::HashMap;

/// What the metadata entry `format` of a feature file says; model files have none.
pub(super) const FEATURES_FORMAT: &str = "dual-mcmc features";

impl Model {
    /// Read a model file.
    ///
    /// # Errors
    /// [`ModelError`] names the first problem found. Nothing larger than the file itself is
    /// allocated before the file has passed every check of its structure.
    pub fn from_bytes(bytes: &[u8]) -> Result<Model, ModelError> {
        let file = Opened::new(bytes)?;
        if file.metadata.get("format").is_some_and(|format| format == FEATURES_FORMAT) {
            return Err(ModelError::Kind { found: "a feature network", expected: "a model" });
        }
        let version = file.check_version(&FORMAT_VERSIONS)?;
        let networks: Networks = file.parse("networks")?.ok_or(ModelError::MissingMetadata("networks"))?;
        let chains = file.parse("chains")?.unwrap_or_default();
        check_chains(&chains)?;
        let energy_quantiles = file.parse("energy_quantiles")?;
        if let Some(q) = &energy_quantiles {
            check_quantiles(q)?;
        }
        let provenance = file.parse("provenance")?.unwrap_or_default();
        check_networks(&networks)?;
        // What version 1 does not know it ignores, or finds to be too much.
        let is_first = version == FORMAT_VERSIONS[0];
        file.check_data(&networks, if is_first { &[] } else { &[EXAMPLES] })?;
        let mut model = Model {
            energy: file.weighted("energy", &networks)?,
            generator: file.weighted("generator", &networks)?,
            encoder: file.weighted("encoder", &networks)?,
            chains,
            energy_quantiles,
            provenance,
            annotations: Annotations::default(),
        };
        if !is_first {
            model.annotations = file.annotations(&model)?;
        }
        Ok(model)
    }
}

impl Precision {
    /// How the weights of a file are stored: in 16 bits only if all of them are.
    ///
    /// # Errors
    /// If the bytes are no safetensors file.
    pub fn of(bytes: &[u8]) -> Result<Precision, ModelError> {
        let file = Opened::new(bytes)?.file;
        let mut dtypes = file.tensors().into_iter().map(|(name, tensor)| (name, tensor.dtype()));
        let half = dtypes.all(|(name, dtype)| name == EXAMPLES || dtype == Dtype::F16);
        Ok(if half { Precision::F16 } else { Precision::F32 })
    }
}

/// A file whose container is sound.
pub(super) struct Opened<'a> {
    file: SafeTensors<'a>,
    pub(super) metadata: HashMap<String, String>,
    /// Everything after the header.
    data: &'a [u8],
}

impl<'a> Opened<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Opened<'a>, ModelError> {
        let header = header_len(bytes)?;
        let damaged = |e: safetensors::SafeTensorError| ModelError::Container(e.to_string());
        let file = SafeTensors::deserialize(bytes).map_err(damaged)?;
        let (_, raw) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        Ok(Opened { file, metadata: raw.metadata().clone().unwrap_or_default(), data: &bytes[8 + header..] })
    }

    /// The file's version, one of `known`.
    pub(super) fn check_version(&self, known: &[&'static str]) -> Result<&'static str, ModelError> {
        let found =
            self.metadata.get("format_version").ok_or(ModelError::MissingMetadata("format_version"))?;
        let version = known.iter().copied().find(|version| version == found);
        version.ok_or_else(|| ModelError::Version { found: found.clone(), known: known.join(" and ") })
    }

    /// What version 2 adds to `model`.
    fn annotations(&self, model: &Model) -> Result<Annotations, ModelError> {
        let shape = model.data_shape();
        let histograms: Vec<_> = self.parse("energy_histograms")?.unwrap_or_default();
        check_histograms(&histograms, model.energy.is_some())?;
        let density = self.metadata.get("density").map(|name| annotations::density(name, &shape));
        Ok(Annotations {
            density: density.transpose()?,
            examples: Examples::read(&self.file, &shape)?,
            histograms,
            extras: self.parse("extras")?.unwrap_or_default(),
        })
    }

    pub(super) fn parse<T: DeserializeOwned>(&self, key: &'static str) -> Result<Option<T>, ModelError> {
        let Some(text) = self.metadata.get(key) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|e| ModelError::Metadata { key, reason: e.to_string() })
    }

    /// The tensors are those of `networks` and perhaps those `beside`, and their bytes those of the checksum.
    pub(super) fn check_data(&self, networks: &Networks, beside: &[&str]) -> Result<(), ModelError> {
        check_tensors(&self.file, networks, beside)?;
        match self.metadata.get("sha256") {
            Some(sum) if !sum.eq_ignore_ascii_case(&checksum(self.data)) => Err(ModelError::Checksum),
            _ => Ok(()),
        }
    }

    /// The network of `role` with its weights, if there is one.
    pub(super) fn weighted(&self, role: &str, networks: &Networks) -> Result<Option<Weighted>, ModelError> {
        let Some(network) = networks.get(role) else { return Ok(None) };
        let weights = read_weights(&self.file, role, network)?;
        Ok(Some(Weighted { network: network.clone(), weights }))
    }
}

/// Length of the header, checked before the library sees the file: it would accept 100 MB.
pub(super) fn header_len(bytes: &[u8]) -> Result<usize, ModelError> {
    if bytes.len() > MAX_FILE {
        return Err(ModelError::TooLarge(bytes.len()));
    }
    let Some(first) = bytes.first_chunk::<8>() else {
        return Err(ModelError::Container(format!("it holds only {} bytes", bytes.len())));
    };
    let header = u64::from_le_bytes(*first);
    if header > MAX_HEADER as u64 {
        let reason =
            foreign(bytes).map_or_else(|| format!("its header would take {header} bytes"), String::from);
        return Err(ModelError::Container(reason));
    }
    if header + 8 > bytes.len() as u64 {
        // The one foreign beginning that may be the length of a header.
        if bytes.starts_with(&[0x1F, 0x8B])
            && let Some(kind) = foreign(bytes)
        {
            return Err(ModelError::Container(kind.into()));
        }
        return Err(ModelError::Container("it ends inside its header; the file is truncated".into()));
    }
    Ok(header as usize)
}

/// What a file with an impossible length of a header is, by its first bytes, and what to do about it.
fn foreign(bytes: &[u8]) -> Option<&'static str> {
    let is_text = |b: &u8| b.is_ascii_graphic() || b.is_ascii_whitespace();
    let first = bytes.trim_ascii_start().first();
    Some(match bytes {
        [b'P', b'K', 3, 4, ..] => {
            "it is a zip archive, as PyTorch's .pt and .pth files are; docs/model-format.md shows how to write a model from PyTorch"
        }
        [0x80, 2..=5, ..] => {
            "it is a Python pickle, as old .pt and .pth files are; docs/model-format.md shows how to write a model from PyTorch"
        }
        [b'v', b'e', b'r', b's', b'i', b'o', b'n', b' ', ..] => {
            "it is a pointer of Git LFS; `git lfs pull` fetches the file itself"
        }
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => "it is an .npy array",
        [0x1F, 0x8B, ..] => "it is packed by gzip; unpack it first",
        [0x89, b'P', b'N', b'G', ..] | [0xFF, 0xD8, 0xFF, ..] => "it is a picture",
        _ if first == Some(&b'<') => {
            "it begins like a web page; is the address that of the model file itself?"
        }
        [b'{' | b'[', ..] => "it is JSON text, not the model file itself",
        _ if bytes.first_chunk::<8>().is_some_and(|start| start.iter().all(is_text)) => {
            "it is text, no model file"
        }
        _ => return None,
    })
}

fn read_weights(file: &SafeTensors, role: &str, network: &Network) -> Result<Vec<f32>, ModelError> {
    let mut weights = Vec::with_capacity(network.parameter_count());
    for p in network.parameters() {
        let name = format!("{role}.{}", p.path);
        let Ok(tensor) = file.tensor(&name) else { return Err(ModelError::MissingTensor(name)) };
        let start = weights.len();
        match tensor.dtype() {
            Dtype::F16 => {
                weights.extend(tensor.data().as_chunks().0.iter().map(|b| f16::from_le_bytes(*b).to_f32()))
            }
            _ => weights.extend(tensor.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))),
        }
        if let Some(index) = weights[start..].iter().position(|v| !v.is_finite()) {
            return Err(ModelError::NotFinite { name, index, value: weights[start + index] });
        }
    }
    Ok(weights)
}
