//! The page: built with trunk, measured, and given its models.
//!
//! `models/index.json` lists them for the page, `{"models":[{"file":…,"title":…}]}`. The list is
//! rewritten beside and renamed, after the model itself is in place, since the page reads it while
//! it runs.

use crate::process::{command, root, run};
use crate::shorten::shorten;
use crate::tools::{Toolbox, WASM};
use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Most bytes the page's wasm and JavaScript may take, gzipped, without a model.
pub const BUDGET: u64 = 250_000;

/// Where the page is built, unless told otherwise.
pub fn dist() -> PathBuf {
    root().join("dist")
}

/// Build the page into a folder, with the models of `models/`.
///
/// # Errors
/// If trunk fails, or the folder cannot be written.
pub fn build(tools: &Toolbox, out: &Path) -> Result<()> {
    build_bare(tools, out, &[])?;
    let shipped = root().join("models");
    let mut models: Vec<PathBuf> =
        fs::read_dir(&shipped).into_iter().flatten().flatten().map(|e| e.path()).collect();
    models.retain(|file| file.extension().is_some_and(|e| e == "safetensors"));
    models.sort();
    let titles = list(&shipped)?;
    // In the list's own order, which is the page's; what it forgets comes last.
    let place =
        |file: &PathBuf| titles.iter().position(|(name, _)| file.ends_with(name)).unwrap_or(usize::MAX);
    models.sort_by_key(place);
    for file in models {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let title =
            titles.iter().find(|(listed, _)| *listed == name).map_or(name.as_str(), |(_, title)| title);
        add_model(out, &file, &name, title)?;
    }
    Ok(())
}

/// Build the page into a folder, with an empty list of models. `options` go to trunk.
///
/// # Errors
/// If trunk fails, what it built is no page, or the folder cannot be written.
pub fn build_bare(tools: &Toolbox, out: &Path, options: &[&str]) -> Result<()> {
    let mut fetch = crate::process::cargo();
    run(fetch.args(["fetch", "--quiet", "--target", WASM]))?;
    let mut trunk = command("trunk");
    tools.lend(&mut trunk);
    // Offline: with its tools on the PATH trunk needs no network, and must not fetch others.
    trunk
        .args(["build", "--release", "--offline", "--skip-version-check", "--dist"])
        .arg(std::path::absolute(out)?)
        .args(options);
    // Trunk reads NO_COLOR as a boolean and stops at NO_COLOR=1.
    trunk.env_remove("NO_COLOR");
    run(&mut trunk)?;
    shorten(out)?;
    let models = out.join("models");
    if models.exists() {
        fs::remove_dir_all(&models)?;
    }
    write_list(out, &[])
}

/// Put a model into a built page, and into its list under a title. A model of the same name is
/// replaced.
///
/// # Errors
/// If the file cannot be read or the page's folder cannot be written.
pub fn add_model(page: &Path, file: &Path, name: &str, title: &str) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    write_whole(&page.join("models").join(name), &bytes)?;
    let mut models = list(&page.join("models"))?;
    match models.iter_mut().find(|(listed, _)| listed == name) {
        Some((_, old)) => *old = title.into(),
        None => models.push((name.into(), title.into())),
    }
    write_list(page, &models)
}

/// The file names and titles of a folder's list; empty where there is none.
///
/// # Errors
/// If the list is not as it should be.
pub fn list(models: &Path) -> Result<Vec<(String, String)>> {
    let file = models.join("index.json");
    if !file.exists() {
        return Ok(Vec::new());
    }
    let context = || format!("{} is no list of models", file.display());
    let value: Value = serde_json::from_slice(&fs::read(&file)?).with_context(context)?;
    let entries = value["models"].as_array().with_context(context)?;
    let text = |entry: &Value, key: &str| entry[key].as_str().map(String::from);
    entries
        .iter()
        .map(|e| Ok((text(e, "file").with_context(context)?, text(e, "title").with_context(context)?)))
        .collect()
}

fn write_list(page: &Path, models: &[(String, String)]) -> Result<()> {
    let entries: Vec<Value> =
        models.iter().map(|(file, title)| json!({ "file": file, "title": title })).collect();
    let text = serde_json::to_string_pretty(&json!({ "models": entries }))?;
    write_whole(&page.join("models/index.json"), text.as_bytes())
}

/// Write a file beside its place, then rename it there: a reader sees all of it or nothing.
fn write_whole(file: &Path, bytes: &[u8]) -> Result<()> {
    let context = || format!("cannot write {}", file.display());
    fs::create_dir_all(file.parent().with_context(context)?).with_context(context)?;
    let mut name = file.file_name().with_context(context)?.to_os_string();
    name.push(".partial");
    let partial = file.with_file_name(name);
    fs::write(&partial, bytes).with_context(context)?;
    fs::rename(&partial, file).with_context(context)
}

/// Bytes of a built page's wasm and JavaScript, gzipped, file by file.
///
/// # Errors
/// If the folder cannot be read or holds no wasm.
pub fn sizes(page: &Path) -> Result<Vec<(String, u64)>> {
    let mut sizes = Vec::new();
    let mut folders = vec![page.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "wasm" || e == "js") {
                let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
                gzip.write_all(&fs::read(&path)?)?;
                let name = path.strip_prefix(page).unwrap_or(&path).display().to_string();
                sizes.push((name, gzip.finish()?.len() as u64));
            }
        }
    }
    sizes.sort();
    if !sizes.iter().any(|(name, _)| name.ends_with(".wasm")) {
        bail!("{} holds no wasm", page.display());
    }
    Ok(sizes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_listed_once_and_its_title_replaced() {
        let page = std::env::temp_dir().join(format!("dual-mcmc-page-{}", std::process::id()));
        let model = page.join("some.safetensors");
        fs::create_dir_all(&page).unwrap();
        fs::write(&model, b"weights").unwrap();
        add_model(&page, &model, "a.safetensors", "A").unwrap();
        add_model(&page, &model, "b.safetensors", "B").unwrap();
        add_model(&page, &model, "a.safetensors", "A again").unwrap();
        let entry = |file: &str, title: &str| (file.to_string(), title.to_string());
        let expected = [entry("a.safetensors", "A again"), entry("b.safetensors", "B")];
        assert_eq!(list(&page.join("models")).unwrap(), expected);
        assert_eq!(fs::read(page.join("models/b.safetensors")).unwrap(), b"weights");
        let left: Vec<_> =
            fs::read_dir(page.join("models")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 3, "{left:?}");
        fs::write(page.join("models/index.json"), "[]").unwrap();
        assert!(list(&page.join("models")).is_err());
        fs::remove_dir_all(&page).unwrap();
    }
}
