//! `cargo xtask npm`: the element as an npm package.

use crate::process::{command, root, run, target_directory};
use crate::{page, say, tools};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// What of a built page the package holds.
const FROM_PAGE: [&str; 16] = [
    "dual-mcmc.js",
    "code.js",
    "style.js",
    "template.js",
    "worker.js",
    "dual-mcmc.d.ts",
    "dual-mcmc-web.js",
    "dual-mcmc-web_bg.wasm",
    "save.js",
    "train.js",
    "train-draw.js",
    "train-run.js",
    "train-template.js",
    "teach-worker.js",
    "dual-mcmc-teach.js",
    "dual-mcmc-teach_bg.wasm",
];

/// What of the project it holds.
const FROM_PROJECT: [&str; 4] =
    ["web/npm/README.md", "web/element/custom-elements.json", "LICENSE-MIT", "LICENSE-APACHE"];

/// Build the page's code and pack it; the tarball's path is the last line that is written.
///
/// # Errors
/// If the page does not build, or npm is missing and cannot be installed.
pub fn write() -> Result<()> {
    let tools = tools::for_page()?;
    let folder = target_directory()?.join("npm");
    let built = folder.join("page");
    page::build_bare(&tools, &built, &[])?;
    let tarball = pack(&built, &folder)?;
    say!("{}", tarball.display());
    Ok(())
}

/// Pack what a built page has of the element into a tarball in `out`; its path.
///
/// # Errors
/// If a file is missing, `out` cannot be written, or npm fails.
pub fn pack(built: &Path, out: &Path) -> Result<PathBuf> {
    tools::npm("it packs the element")?;
    let package = out.join("package");
    let cannot = || format!("cannot write {}", package.display());
    if package.exists() {
        fs::remove_dir_all(&package).with_context(cannot)?;
    }
    fs::create_dir_all(&package).with_context(cannot)?;
    let from_page = FROM_PAGE.map(|name| built.join(name));
    for file in from_page.into_iter().chain(FROM_PROJECT.map(|name| root().join(name))) {
        let name = file.file_name().context("a file has no name")?;
        fs::copy(&file, package.join(name)).with_context(|| format!("cannot copy {}", file.display()))?;
    }
    let manifest = manifest()?;
    fs::write(package.join("package.json"), format!("{manifest:#}\n")).with_context(cannot)?;
    let mut npm = command("npm");
    npm.args(["pack", "--loglevel=error", "--silent", "--pack-destination"]).arg(std::path::absolute(out)?);
    run(npm.current_dir(&package).stdout(std::process::Stdio::null()))?;
    let version = manifest["version"].as_str().unwrap_or_default();
    Ok(std::path::absolute(out)?.join(format!("dual-mcmc-{version}.tgz")))
}

/// The package's manifest, of the project's version.
fn manifest() -> Result<Value> {
    let text = include_str!("../../web/npm/package.json");
    let mut manifest: Value = serde_json::from_str(text).context("web/npm/package.json is no JSON")?;
    manifest["version"] = json!(env!("CARGO_PKG_VERSION"));
    Ok(manifest)
}
