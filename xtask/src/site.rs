//! `cargo xtask site`: a static folder with the lab, the embed page, the example page and one model, ready for any web server:
//! the short form of `dual-mcmc site`, for a clone.

use crate::{page, process, say, tools};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Stdio;

/// Write the folder `out` for the model `file`.
///
/// # Errors
/// If the model is not one (with the loader's message), `out` holds something that is no site, or
/// the page does not build. Nothing is left behind then.
pub fn write(file: &Path, out: &Path, title: Option<&str>) -> Result<()> {
    let built = process::target_directory()?.join("site/page");
    page::build_bare(&tools::for_page()?, &built, &[])?;
    let mut cargo = process::cargo();
    cargo.args([
        "run",
        "--quiet",
        "--package",
        "xtask",
        "--features",
        "publish",
        "--bin",
        "write-site",
        "--",
    ]);
    cargo.arg(&built).args([out, file]).args(title).stderr(Stdio::piped());
    let output = cargo.output().context("cannot start cargo")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}", said.trim().trim_start_matches("error: "));
    }
    say!("The site is in {}. Any web server can serve it; WebGPU needs https, or localhost.", out.display());
    Ok(())
}
