//! A static folder with the lab, the embed page, an example page and models, ready for any web server. It is built beside its place
//! and renamed there.

use crate::files::Files;
use crate::list::{self, add_model, write_list, write_whole};
use anyhow::{Context, Result, bail};
use dual_mcmc::model::Model;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// A model to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its file.
    pub file: PathBuf,
    /// What it is called; without a title by its list's, its data set's or its file's name.
    pub title: Option<String>,
}

/// Write the folder `out` with these models, in their order.
///
/// # Errors
/// If a model is not one (with the loader's message), two have the same name, or `out` holds something that is no site. Nothing
/// is left behind then.
pub fn write(page: &Files, models: &[Published], out: &Path) -> Result<()> {
    if models.is_empty() {
        bail!("a site needs a model");
    }
    let mut checked: Vec<(PathBuf, String, String)> = Vec::new();
    for Published { file, title } in models {
        let (file, name, own) = check(file)?;
        if checked.iter().any(|(_, other, _)| *other == name) {
            bail!("two models are called {name}; a site needs different names");
        }
        checked.push((file, name, title.clone().unwrap_or(own)));
    }
    let out = std::path::absolute(out)?;
    let mut beside = out.file_name().context("--out must name a folder")?.to_os_string();
    beside.push(format!(".partial-{}", std::process::id()));
    let partial = out.with_file_name(beside);
    refuse_strangers(&out)?;
    let built = put_together(page, &checked, &partial).and_then(|()| put_in_place(&partial, &out));
    if built.is_err() {
        let _ = fs::remove_dir_all(&partial);
    }
    built
}

fn put_together(page: &Files, models: &[(PathBuf, String, String)], to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot write {}", to.display()))?;
    page.write(to)?;
    write_list(to, &[])?;
    for (file, name, title) in models {
        add_model(to, file, name, title)?;
    }
    write_example(to, models)?;
    compress(to)
}

/// The file, its name, and what it is called where nobody gives it a title.
fn check(file: &Path) -> Result<(PathBuf, String, String)> {
    let cannot = || format!("cannot read {}", file.display());
    let file = fs::canonicalize(file).with_context(cannot)?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Some(stem) = name.strip_suffix(".safetensors") else {
        bail!("{name} is no .safetensors file; the page knows its models by that ending");
    };
    let model = Model::from_bytes(&fs::read(&file).with_context(cannot)?)
        .with_context(|| format!("{} cannot be published", file.display()))?;
    let listed = file.parent().map(list::list).transpose().ok().flatten().unwrap_or_default();
    let listed = listed.into_iter().find(|listed| listed.file == name).map(|listed| listed.title);
    let data = model.provenance.data;
    let title = listed.unwrap_or(if data.is_empty() { stem.into() } else { data });
    Ok((file, name, title))
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

/// The example page shows the first model that is published, and links to the others in the lab.
fn write_example(site: &Path, models: &[(PathBuf, String, String)]) -> Result<()> {
    let escaped = html_escape::encode_double_quoted_attribute;
    let Some((_, name, title)) = models.first() else { return Ok(()) };
    let links: Vec<String> = models[1..]
        .iter()
        .map(|(_, name, title)| {
            format!(
                "<li><a href=\"../index.html?model=models/{}\">{}</a></li>",
                escaped(name),
                escaped(title)
            )
        })
        .collect();
    let others = match links.is_empty() {
        true => String::new(),
        false => format!("  <p>Other models beside it:</p>\n  <ul>{}</ul>\n", links.join("")),
    };
    let page = include_str!("example.html")
        .replace("{title}", &escaped(title))
        .replace("{model}", &escaped(name))
        .replace("{others}", &others);
    write_whole(&site.join("example/index.html"), page.as_bytes())
}

/// What compresses well, and is fetched by pages.
const COMPRESSED: [&str; 5] = ["html", "js", "css", "wasm", "json"];

/// Put a `.gz` and a `.br` beside each file that is worth it, for servers that send them as they are.
fn compress(folder: &Path) -> Result<()> {
    let cannot = || format!("cannot write {}", folder.display());
    for entry in fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        if path.is_dir() {
            compress(&path)?;
            continue;
        }
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if !COMPRESSED.contains(&ending) {
            continue;
        }
        let bytes = fs::read(&path).with_context(cannot)?;
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(&bytes)?;
        let mut brotli = Vec::new();
        let parameters = brotli::enc::BrotliEncoderParams { quality: 9, ..Default::default() };
        brotli::BrotliCompress(&mut &bytes[..], &mut brotli, &parameters)?;
        for (ending, packed) in [("gz", gzip.finish()?), ("br", brotli)] {
            let mut name = path.file_name().unwrap_or_default().to_os_string();
            name.push(format!(".{ending}"));
            fs::write(path.with_file_name(name), packed).with_context(cannot)?;
        }
    }
    Ok(())
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Read;

    fn page() -> (tempfile::TempDir, Files) {
        let folder = tempfile::tempdir().unwrap();
        for name in ["index.html", "embed.html", "code.js", "example/index.html"] {
            write_whole(
                &folder.path().join(name),
                format!("this is {name} {}", "again ".repeat(99)).as_bytes(),
            )
            .unwrap();
        }
        let files = Files::Folder(folder.path().to_path_buf());
        (folder, files)
    }

    fn shipped(name: &str) -> Published {
        let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
        Published { file: models.join(name).with_extension("safetensors"), title: None }
    }

    #[test]
    fn a_site_has_the_page_its_models_and_both_compressed_forms() {
        let (_folder, page) = page();
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("site");
        let own = Published { title: Some("A & B".into()), ..shipped("moons") };
        write(&page, &[shipped("ring"), own.clone()], &out).unwrap();
        let titles: Vec<String> =
            list::list(&out.join("models")).unwrap().into_iter().map(|listed| listed.title).collect();
        assert_eq!(titles, ["Ring of 8 Gaussians", "A & B"]);
        assert!(out.join("models/ring.png").is_file(), "the thumbnail of its card");
        let example = fs::read_to_string(out.join("example/index.html")).unwrap();
        assert!(example.contains("models/ring.safetensors") && example.contains("A &amp; B"), "{example}");
        let code = fs::read(out.join("code.js")).unwrap();
        let mut unpacked = Vec::new();
        flate2::read::GzDecoder::new(&fs::read(out.join("code.js.gz")).unwrap()[..])
            .read_to_end(&mut unpacked)
            .unwrap();
        assert_eq!(unpacked, code);
        let mut unpacked = Vec::new();
        brotli::BrotliDecompress(&mut &fs::read(out.join("code.js.br")).unwrap()[..], &mut unpacked).unwrap();
        assert_eq!(unpacked, code);
        // Again over itself, and nothing is left beside it.
        write(&page, &[own], &out).unwrap();
        assert_eq!(list::list(&out.join("models")).unwrap().len(), 1);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_published_leaves_nothing_behind() {
        let (_folder, page) = page();
        let place = tempfile::tempdir().unwrap();
        let out = place.path().join("site");
        let bad = place.path().join("bad.safetensors");
        fs::write(&bad, "no model").unwrap();
        let of = |file: &Path| Published { file: file.into(), title: None };
        for (models, says) in [
            (vec![of(&bad)], "cannot be published"),
            (vec![shipped("ring"), shipped("ring")], "two models are called ring.safetensors"),
            (vec![of(&place.path().join("nowhere.safetensors"))], "cannot read"),
            (vec![of(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml").as_path())], "no .safetensors"),
            (Vec::new(), "needs a model"),
        ] {
            let error = format!("{:#}", write(&page, &models, &out).unwrap_err());
            assert!(error.contains(says), "{error}");
        }
        let error = format!("{:#}", write(&page, &[shipped("ring")], place.path()).unwrap_err());
        assert!(error.contains("is no site"), "{error}");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }
}
