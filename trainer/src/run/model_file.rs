//! Model files on disk.

use super::directory::{Origin, RunDirectory, version};
use crate::data::{atomic, published_name};
use crate::recipe::Recipe;
use anyhow::{Context, Result, bail, ensure};
use dual_mcmc::model::{MAX_FILE, Model, Precision, Weighted};
use std::path::Path;

/// Read a model.
///
/// # Errors
/// If the file is missing, too large, or no valid model.
pub fn read(path: &Path) -> Result<Model> {
    Ok(read_with_precision(path)?.0)
}

/// Read a model, and how its weights are stored.
///
/// # Errors
/// As [`read`].
pub fn read_with_precision(path: &Path) -> Result<(Model, Precision)> {
    let cannot = || format!("cannot read the model {}", path.display());
    if path.is_dir() {
        let inside = RunDirectory::new(path).model();
        let hint =
            if inside.exists() { format!("; its model is {}", inside.display()) } else { String::new() };
        bail!("cannot read the model {}: it is a folder{hint}", path.display());
    }
    let size = std::fs::metadata(path).with_context(cannot)?.len();
    ensure!(
        size <= MAX_FILE as u64,
        "cannot read the model {}: it holds {size} bytes, at most {MAX_FILE} are accepted",
        path.display()
    );
    let bytes = std::fs::read(path).with_context(cannot)?;
    let model = Model::from_bytes(&bytes).with_context(cannot)?;
    Ok((model, Precision::of(&bytes)?))
}

/// Write a model; the file is there only when it is whole.
///
/// # Errors
/// If the model is not valid, for example after a divergence, or the file cannot be written.
pub fn write(path: &Path, model: &Model, precision: Precision) -> Result<()> {
    let bytes =
        model.to_bytes(precision).with_context(|| format!("cannot write the model {}", path.display()))?;
    atomic::write_bytes(path, &bytes)
}

/// The model's energy, or what to say where there is none.
///
/// # Errors
/// If the file holds no energy.
pub fn energy(model: &Model) -> Result<&Weighted> {
    model.energy.as_ref().context("the model has no energy network")
}

/// The model's generator, or what to say where there is none.
///
/// # Errors
/// If the file holds no generator.
pub fn generator(model: &Model) -> Result<&Weighted> {
    model.generator.as_ref().context("the model has no generator network")
}

/// The model's encoder, or what to say where there is none.
///
/// # Errors
/// If the file holds no encoder.
pub fn encoder(model: &Model) -> Result<&Weighted> {
    model.encoder.as_ref().context("the model has no encoder network")
}

/// Fills in the provenance, as far as the recipe and the start of the run tell it.
pub fn describe(model: &mut Model, recipe: &Recipe, origin: &Origin) {
    let provenance = &mut model.provenance;
    provenance.data = published_name(&recipe.data.set, &origin.data);
    provenance.recipe = recipe.published(&provenance.data).to_toml();
    provenance.seed = origin.seed;
    provenance.license = origin.given.license.clone().unwrap_or_else(|| "unspecified".into());
    provenance.version = version();
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_that_is_no_model_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        std::fs::write(&path, "not a model").unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("a.safetensors") && error.contains("safetensors file"), "{error}");
        assert!(read(&folder.path().join("missing")).is_err());
    }
}
