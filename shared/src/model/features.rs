//! Feature files: a network from images to features, on which a Fréchet distance is measured. The
//! container, its checks and its checksum are those of a model file.

use super::check::check_activations;
use super::read::{FEATURES_FORMAT, Opened};
use super::write::{container, described, json};
use super::{FORMAT_VERSIONS, ModelError, Networks, Precision, Provenance, Weighted};
use crate::network::NetworkError;
use std::collections::BTreeMap;

const FEATURES: &str = "features";
const CLASSIFIER: &str = "classifier";

/// A feature network.
#[derive(Clone, Debug, PartialEq)]
pub struct Features {
    /// What distances on it are named after, for example `"fashion-mnist-classifier"`.
    pub name: String,
    /// Images `[C, H, W]` in [-1, 1] → features `[D]`.
    pub network: Weighted,
    /// Features `[D]` → logits, if the network is a classifier that has kept them.
    pub classifier: Option<Weighted>,
    /// Where it comes from; a classifier's `test_accuracy` is among its metrics.
    pub provenance: Provenance,
}

impl Features {
    /// Number of features.
    pub fn dimension(&self) -> usize {
        // A file whose output is no vector is not read and not written.
        self.network.network.output().map_or(0, |shape| shape.iter().product())
    }

    /// Read a feature file.
    ///
    /// # Errors
    /// [`ModelError`] names the first problem found; a model file is [`ModelError::Kind`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Features, ModelError> {
        let file = Opened::new(bytes)?;
        match file.metadata.get("format") {
            // There is one version of it.
            Some(format) if format == FEATURES_FORMAT => {
                file.check_version(&FORMAT_VERSIONS[..1])?;
            }
            _ if file.metadata.contains_key("networks") => {
                return Err(ModelError::Kind { found: "a model", expected: "a feature network" });
            }
            _ => return Err(ModelError::MissingMetadata("format")),
        }
        let networks: Networks = file.parse("networks")?.ok_or(ModelError::MissingMetadata("networks"))?;
        let name = file.metadata.get("name").ok_or(ModelError::MissingMetadata("name"))?;
        let provenance = file.parse("provenance")?.unwrap_or_default();
        check(name, &networks)?;
        file.check_data(&networks, &[])?;
        let network = file.weighted(FEATURES, &networks)?;
        Ok(Features {
            name: name.clone(),
            network: network.ok_or(ModelError::Networks("the file describes no feature network"))?,
            classifier: file.weighted(CLASSIFIER, &networks)?,
            provenance,
        })
    }

    /// Write the network as a file's bytes, with the checksum of its data.
    ///
    /// # Errors
    /// If it would not pass its own reader.
    pub fn to_bytes(&self, precision: Precision) -> Result<Vec<u8>, ModelError> {
        let classifier = self.classifier.iter().map(|classifier| (CLASSIFIER, classifier));
        let present: Vec<_> = std::iter::once((FEATURES, &self.network)).chain(classifier).collect();
        let networks = described(&present);
        check(&self.name, &networks)?;
        let metadata = BTreeMap::from([
            ("format", FEATURES_FORMAT.to_string()),
            ("format_version", FORMAT_VERSIONS[0].to_string()),
            ("name", self.name.clone()),
            ("networks", json(&networks)),
            ("provenance", json(&self.provenance)),
        ]);
        let bytes = container(&present, Vec::new(), metadata, precision)?;
        Features::from_bytes(&bytes)?;
        Ok(bytes)
    }
}

/// The name can be part of a figure's, and the networks follow each other: images → [D] → [classes].
fn check(name: &str, networks: &Networks) -> Result<(), ModelError> {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) {
        let reason = format!("{name:?} must be letters, digits, `-`, `.` and `_`");
        return Err(ModelError::Metadata { key: "name", reason });
    }
    let invalid = |reason: String| ModelError::Metadata { key: "networks", reason };
    if let Some(unknown) = networks.keys().find(|key| ![FEATURES, CLASSIFIER].contains(&key.as_str())) {
        return Err(invalid(format!("`{unknown}` is neither `{FEATURES}` nor `{CLASSIFIER}`")));
    }
    let mut shape: Option<Vec<usize>> = None;
    for role in [FEATURES, CLASSIFIER] {
        let Some(network) = networks.get(role) else { continue };
        let named = |error: NetworkError| ModelError::Network { network: role, error: Box::new(error) };
        let output = network.output().map_err(named)?;
        if network.reference.is_some() {
            return Err(named(NetworkError::ReferenceRole));
        }
        let fits = match &shape {
            None => role == FEATURES && network.input.len() == 3,
            Some(features) => network.input == *features,
        };
        if !fits || output.len() != 1 {
            let (input, wanted) = (&network.input, if role == FEATURES { "images" } else { "the features" });
            return Err(invalid(format!(
                "`{role}` must map {wanted} to a vector, but maps {input:?} to {output:?}"
            )));
        }
        check_activations(role, network)?;
        shape = Some(output);
    }
    Ok(())
}
