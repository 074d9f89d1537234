//! The model that trained networks make: weights folded for executors.

use super::average::Average;
use super::{Averages, Networks};
use crate::networks::{BurnNetwork, DeviceError, Normalise, Statistics, batch_norm, rows};
use crate::recipe::Recipe;
use burn::tensor::Tensor;
use dual_mcmc::model::{Annotations, Model, Provenance, Weighted};
use dual_mcmc::noise::{Noise, Stream};

/// The energy, its average where there is one.
pub(super) fn energy(networks: &Networks, averages: &Averages) -> Result<Option<Weighted>, DeviceError> {
    match (&networks.energy, &averages.energy) {
        (Some(energy), Some(average)) => energy.with_parameters(average.values()).fold(&[]).map(Some),
        (Some(energy), None) => energy.fold(&[]).map(Some),
        (None, _) => Ok(None),
    }
}

/// The model of a recipe's networks: averages where there are any, the generator with batch-norm statistics estimated
/// anew on prior samples of `seed`.
pub(super) fn fold(
    recipe: &Recipe,
    networks: &Networks,
    averages: &Averages,
    seed: u64,
) -> Result<Model, DeviceError> {
    let generator = match &networks.generator {
        Some(generator) => {
            let average = averages.generator.as_ref();
            let parameters = average.map_or(generator.parameters(), Average::values);
            let statistics = prior_statistics(recipe, generator, parameters, seed);
            Some(generator.fold_with(parameters, &statistics)?)
        }
        None => None,
    };
    let encoder = networks.encoder.as_ref().map(|encoder| encoder.fold(encoder.running())).transpose()?;
    Ok(Model {
        energy: energy(networks, averages)?,
        generator,
        encoder,
        chains: recipe.chain_defaults(),
        energy_quantiles: None,
        provenance: Provenance::default(),
        annotations: Annotations::default(),
    })
}

/// Statistics of the generator's batch norms over many batches of prior samples. Running ones
/// would lag behind the weights, and an average's parameters have none.
fn prior_statistics(
    recipe: &Recipe,
    generator: &BurnNetwork,
    parameters: &[Tensor<1>],
    seed: u64,
) -> Vec<Statistics> {
    if !generator.has_batch_norm() {
        return Vec::new();
    }
    let tape = generator.constant_with(parameters);
    let noise = Noise::new(seed, Stream::Prior);
    let (batch, latent) = (recipe.teaching.batch, recipe.latent());
    let mut pooled = batch_norm::Pooled::default();
    for k in 0..recipe.export.statistics_batches {
        // From the end of the step counter, which no iteration reaches.
        let z = noise.normal_rows(0, batch, latent, u32::MAX - k);
        pooled.add(&tape.forward(rows(&z, latent, generator.device()), Normalise::Batch).statistics);
    }
    pooled.statistics()
}
