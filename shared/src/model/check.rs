//! What a model file must satisfy before its weights are read.

use super::{ChainDefaults, EnergyQuantiles, MAX_ACTIVATIONS, ModelError, Networks, ROLES};
use crate::network::{Network, Plan};
use safetensors::tensor::{Dtype, SafeTensors};

pub(super) fn check_chains(chains: &ChainDefaults) -> Result<(), ModelError> {
    let error = |reason| ModelError::Metadata { key: "chains", reason };
    if let Some(x) = &chains.x {
        x.langevin.check().map_err(error)?;
    }
    if let Some(z) = &chains.z {
        z.langevin.check_z().map_err(error)?;
        if !(z.sigma.is_finite() && z.sigma > 0.0) {
            return Err(error(format!("sigma must be positive, not {}", z.sigma)));
        }
    }
    Ok(())
}

pub(super) fn check_quantiles(q: &EnergyQuantiles) -> Result<(), ModelError> {
    let rising = |v: &[f32]| v.windows(2).all(|w| w[0] <= w[1]) && v.iter().all(|x| x.is_finite());
    let in_unit = q.probabilities.iter().all(|p| (0.0..=1.0).contains(p));
    if q.probabilities.len() == q.energies.len() && rising(&q.probabilities) && rising(&q.energies) && in_unit
    {
        return Ok(());
    }
    Err(ModelError::Metadata {
        key: "energy_quantiles",
        reason: "probabilities and energies must be rising, finite and equally many".into(),
    })
}

pub(super) fn check_networks(networks: &Networks) -> Result<(), ModelError> {
    if let Some(unknown) = networks.keys().find(|k| !ROLES.contains(&k.as_str())) {
        let reason = format!("`{unknown}` is none of {ROLES:?}");
        return Err(ModelError::Metadata { key: "networks", reason });
    }
    let named = |network| move |error| ModelError::Network { network, error: Box::new(error) };
    let data = match (networks.get("energy"), networks.get("generator")) {
        (Some(energy), _) => energy.input.clone(),
        (None, Some(generator)) => generator.output().map_err(named("generator"))?,
        (None, None) => {
            return Err(ModelError::Networks("the file describes neither an energy nor a generator"));
        }
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
        if let Some(network) = networks.get(role) {
            check_activations(role, network)?;
        }
    }
    Ok(())
}

/// One sample's activations fit into memory.
pub(super) fn check_activations(role: &'static str, network: &Network) -> Result<(), ModelError> {
    let named = |error| ModelError::Network { network: role, error: Box::new(error) };
    let values = Plan::new(network).map_err(named)?.values;
    let found = values.into_iter().fold(0usize, usize::saturating_add);
    if found > MAX_ACTIVATIONS {
        return Err(ModelError::Activations { network: role, found });
    }
    Ok(())
}

/// Every parameter is there with its shape and a readable dtype, and nothing else is but what is named in `beside`.
pub(super) fn check_tensors(
    file: &SafeTensors,
    networks: &Networks,
    beside: &[&str],
) -> Result<(), ModelError> {
    let mut known: Vec<String> = beside.iter().map(|name| name.to_string()).collect();
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
            known.push(name);
        }
    }
    // The container has no order of its own: name the first in the alphabet.
    match file.names().into_iter().filter(|name| !known.iter().any(|known| known == name)).min() {
        Some(name) => Err(ModelError::SurplusTensor(name.to_string())),
        None => Ok(()),
    }
}
