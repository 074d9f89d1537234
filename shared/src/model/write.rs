//! Writing a model file.

use super::annotations::EXAMPLES;
use super::check::{check_chains, check_networks};
use super::read::header_len;
use super::{FORMAT_VERSIONS, Model, ModelError, Networks, Precision, ROLES, Weighted, checksum};
use crate::network::NetworkError;
use half::f16;
use safetensors::tensor::{Dtype, TensorView};
use serde::Serialize;
use std::collections::BTreeMap;

impl Model {
    /// Write the model as a file's bytes, with the checksum of its data.
    ///
    /// # Errors
    /// If the model would not pass its own reader, for example with a weight that is not finite or
    /// that f16 cannot hold.
    pub fn to_bytes(&self, precision: Precision) -> Result<Vec<u8>, ModelError> {
        let all = ROLES.into_iter().zip([&self.energy, &self.generator, &self.encoder]);
        let present: Vec<_> = all.filter_map(|(role, network)| Some((role, network.as_ref()?))).collect();
        let networks = described(&present);
        check_networks(&networks)?;
        check_chains(&self.chains)?;
        let notes = &self.annotations;
        let version = if notes.is_empty() { FORMAT_VERSIONS[0] } else { FORMAT_VERSIONS[1] };
        let mut metadata = BTreeMap::from([
            ("format_version", version.to_string()),
            ("networks", json(&networks)),
            ("chains", json(&self.chains)),
            ("provenance", json(&self.provenance)),
        ]);
        if let Some(quantiles) = &self.energy_quantiles {
            metadata.insert("energy_quantiles", json(quantiles));
        }
        if let Some(density) = notes.density {
            metadata.insert("density", density.name().into());
        }
        if !notes.histograms.is_empty() {
            metadata.insert("energy_histograms", json(&notes.histograms));
        }
        if !notes.extras.is_empty() {
            metadata.insert("extras", json(&notes.extras));
        }
        let shape = self.data_shape();
        let examples = notes.examples.iter().map(|examples| (EXAMPLES.to_string(), examples.tensor(&shape)));
        let bytes = container(&present, examples.collect(), metadata, precision)?;
        Model::from_bytes(&bytes)?;
        Ok(bytes)
    }
}

pub(super) fn described(present: &[(&'static str, &Weighted)]) -> Networks {
    present.iter().map(|(role, w)| (role.to_string(), w.network.clone())).collect()
}

/// A tensor's shape, type and bytes.
type RawTensor = (Vec<usize>, Dtype, Vec<u8>);

/// A file of these networks' weights, of what is `beside` them, and of this metadata, to which it adds the checksum.
pub(super) fn container(
    present: &[(&'static str, &Weighted)],
    beside: Vec<(String, RawTensor)>,
    mut metadata: BTreeMap<&str, String>,
    precision: Precision,
) -> Result<Vec<u8>, ModelError> {
    let dtype = match precision {
        Precision::F32 => Dtype::F32,
        Precision::F16 => Dtype::F16,
    };
    let mut tensors = beside;
    for &(role, Weighted { network, weights }) in present {
        if weights.len() != network.parameter_count() {
            let error = NetworkError::Weights { expected: network.parameter_count(), found: weights.len() };
            return Err(ModelError::Network { network: role, error: Box::new(error) });
        }
        for p in network.parameters() {
            let values = &weights[p.range()];
            let too_large = |v: &f32| v.is_finite() && f16::from_f32(*v).is_infinite();
            if precision == Precision::F16
                && let Some(index) = values.iter().position(too_large)
            {
                let name = format!("{role}.{}", p.path);
                return Err(ModelError::TooLargeForHalf { name, index, value: values[index] });
            }
            let data: Vec<u8> = match precision {
                Precision::F32 => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                Precision::F16 => values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect(),
            };
            tensors.push((format!("{role}.{}", p.path), (p.shape, dtype, data)));
        }
    }
    let views = tensors
        .iter()
        .map(|(name, (shape, dtype, data))| Ok((name, TensorView::new(*dtype, shape.clone(), data)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>();
    let bare = views
        .and_then(|views| safetensors::serialize(views, None))
        .map_err(|e| ModelError::Container(e.to_string()))?;
    let data = 8 + header_len(&bare)?;
    metadata.insert("sha256", checksum(&bare[data..]));
    Ok(with_metadata(&bare[8..data], &json(&metadata), &bare[data..]))
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

pub(super) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("descriptions are plain data")
}
