//! The model of a checkpoint.

use super::directory::{Origin, RunDirectory};
use super::{checkpoint, model_file};
use crate::recipe::Recipe;
use crate::teaching::model_of_record;
use anyhow::{Context, Result, ensure};
use dual_mcmc::model::Model;

/// The model of a run's latest checkpoint, or of its best one, and the iterations that it has had.
///
/// # Errors
/// If there is no such checkpoint yet, or it cannot be read.
pub fn of_run(
    directory: &RunDirectory,
    recipe: &Recipe,
    origin: &Origin,
    best: bool,
) -> Result<(Model, u64)> {
    let path = if best { directory.best() } else { directory.last() };
    ensure!(path.exists(), "{} has no such checkpoint yet", directory.root().display());
    let (summary, record) = checkpoint::read(&path)?;
    let model = model_of_record(recipe, &record, &burn::tensor::Device::flex());
    let mut model = model.with_context(|| path.display().to_string())?;
    model_file::describe(&mut model, recipe, origin);
    model.energy_quantiles = summary.energy_quantiles;
    let provenance = &mut model.provenance;
    provenance.iterations = summary.iteration;
    provenance.metrics.insert("training_seconds".into(), summary.seconds.round());
    // What the finished run knows of the same iteration holds for its export too.
    let own = directory.model().exists().then(|| model_file::read(&directory.model())).transpose()?;
    if let Some(own) = own {
        if origin.given.license.is_none() {
            provenance.license = own.provenance.license;
        }
        if own.provenance.iterations == summary.iteration {
            provenance.metrics = own.provenance.metrics;
            provenance.device = own.provenance.device;
            provenance.examples_license = own.provenance.examples_license;
            model.annotations = own.annotations;
            model.energy_quantiles = model.energy_quantiles.or(own.energy_quantiles);
        }
    }
    Ok((model, summary.iteration))
}
