//! `cargo xtask site`: a static folder with the lab, the embed page, the example page and one
//! model, ready for any web server. It is built beside its place and renamed there.

use crate::say;
use crate::{page, process, tools};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;
use std::process::Stdio;

/// Write the folder `out` for the model `file`.
///
/// # Errors
/// If the model is not one (with the loader's message), `out` holds something that is no site, or
/// the page does not build. Nothing is left behind then.
pub fn write(file: &Path, out: &Path, title: Option<&str>) -> Result<()> {
    let file = fs::canonicalize(file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if !name.ends_with(".safetensors") {
        bail!("{name} is no .safetensors file; the page knows its models by that ending");
    }
    let data = check(&file)?;
    let listed = page::list(&process::root().join("models"))?;
    let title = title
        .map(String::from)
        .or_else(|| listed.into_iter().find(|listed| listed.file == name).map(|listed| listed.title))
        .unwrap_or(if data.is_empty() { name.trim_end_matches(".safetensors").into() } else { data });

    let out = std::path::absolute(out)?;
    let mut beside = out.file_name().context("--out must name a folder")?.to_os_string();
    beside.push(format!(".partial-{}", std::process::id()));
    let partial = out.with_file_name(beside);
    refuse_strangers(&out)?;
    let tools = tools::for_page()?;
    fs::create_dir_all(&partial).with_context(|| format!("cannot write {}", partial.display()))?;
    let built = page::build_bare(&tools, &partial, &[])
        .and_then(|()| page::add_model(&partial, &file, &name, &title))
        .and_then(|()| write_example(&partial, &name, &title))
        .and_then(|()| put_in_place(&partial, &out));
    if built.is_err() {
        let _ = fs::remove_dir_all(&partial);
    }
    built?;
    say!("The site is in {}. Any web server can serve it; WebGPU needs https, or localhost.", out.display());
    Ok(())
}

/// The loader's verdict; the name of the model's data set.
fn check(file: &Path) -> Result<String> {
    say!("Checking {}.", file.display());
    let mut cargo = process::cargo();
    cargo.args([
        "run",
        "--quiet",
        "--package",
        "xtask",
        "--features",
        "loader",
        "--bin",
        "check-model",
        "--",
    ]);
    let output = cargo.arg(file).stderr(Stdio::piped()).output().context("cannot start cargo")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{}", said.trim().trim_start_matches("error: "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// Only a folder that is empty, or an earlier site, may be replaced.
fn refuse_strangers(out: &Path) -> Result<()> {
    let empty = fs::read_dir(out).map_or(!out.exists(), |mut entries| entries.next().is_none());
    let site = out.join("embed.html").is_file() && out.join("models/index.json").is_file();
    if empty || site {
        return Ok(());
    }
    bail!("{} is there and is no site; name a new folder, or remove it first", out.display())
}

/// The example page shows the model that is published, and nothing else.
fn write_example(site: &Path, name: &str, title: &str) -> Result<()> {
    let escaped = html_escape::encode_double_quoted_attribute;
    let page =
        include_str!("example.html").replace("{title}", &escaped(title)).replace("{model}", &escaped(name));
    let example = site.join("example/index.html");
    fs::write(&example, page).with_context(|| format!("cannot write {}", example.display()))
}

fn put_in_place(partial: &Path, out: &Path) -> Result<()> {
    let context = || format!("cannot write {}", out.display());
    if !out.exists() {
        return fs::rename(partial, out).with_context(context);
    }
    let old = partial.with_extension("old");
    fs::rename(out, &old).with_context(context)?;
    if let Err(error) = fs::rename(partial, out) {
        let _ = fs::rename(&old, out);
        return Err(error).with_context(context);
    }
    let _ = fs::remove_dir_all(&old);
    Ok(())
}
