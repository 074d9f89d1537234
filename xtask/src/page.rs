//! The page: built, measured, and given its models.
//!
//! `models/index.json` lists them for the page, `{"models":[{"file":…,"title":…,"thumbnail":…}]}`, the last of which may be
//! missing. The list is rewritten beside and renamed, after the model itself is in place, since the page reads it while it
//! runs.

use crate::process::{command, root, run, target_directory};
use crate::tools::{PAGE, Toolbox, WASM, compile_page};
use anyhow::{Context, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Most bytes the page's wasm, JavaScript and style sheet may take, gzipped, without a model.
pub const BUDGET: u64 = 500_000;

/// Where the page is built, unless told otherwise.
pub fn dist() -> PathBuf {
    root().join("dist")
}

/// Build the page into a folder, with the models of `models/`.
///
/// # Errors
/// As [`build_bare`]; and if a model cannot be read.
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
        |file: &PathBuf| titles.iter().position(|listed| file.ends_with(&listed.file)).unwrap_or(usize::MAX);
    models.sort_by_key(place);
    for file in models {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let title =
            titles.iter().find(|listed| listed.file == name).map_or(name.as_str(), |listed| &listed.title);
        add_model(out, &file, &name, title)?;
    }
    Ok(())
}

/// The thumbnail of a shipped model, if it has a card.
fn thumbnail(file: &Path) -> Option<PathBuf> {
    let picture = file.parent()?.join("cards").join(file.file_stem()?).join("thumbnail.png");
    picture.is_file().then_some(picture)
}

/// Build the page into a folder, in the place of what is there, with an empty list of models.
///
/// The links marked `data-trunk` in index.html say what it is made of, as trunk reads them. (`trunk serve` works too; but
/// trunk takes minutes to compile, and this is all that is needed of it.)
///
/// # Errors
/// If the page's code does not compile, wasm-bindgen fails, or a folder cannot be read or written.
pub fn build_bare(tools: &Toolbox, out: &Path, features: &[&str]) -> Result<()> {
    compile_page(features)?;
    let out = std::path::absolute(out)?;
    let mut name = out.file_name().context("the page's folder has no name")?.to_os_string();
    name.push(format!(".partial-{}", std::process::id()));
    let partial = out.with_file_name(name);
    let built = assemble(tools, &partial).and_then(|()| {
        if out.exists() {
            fs::remove_dir_all(&out).with_context(|| format!("cannot replace {}", out.display()))?;
        }
        fs::rename(&partial, &out).with_context(|| format!("cannot write {}", out.display()))
    });
    if built.is_err() {
        let _ = fs::remove_dir_all(&partial);
    }
    built
}

/// Put the compiled page together in a new folder.
fn assemble(tools: &Toolbox, out: &Path) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("cannot write {}", out.display()))?;
    let wasm = target_directory()?.join(WASM).join("web").join(PAGE.replace('-', "_")).with_extension("wasm");
    let mut bindgen = command("wasm-bindgen");
    tools.lend(&mut bindgen);
    bindgen.args([
        "--target",
        "web",
        "--no-typescript",
        "--remove-name-section",
        "--remove-producers-section",
        // So that figures start anew after a breakdown of the code.
        "--experimental-reset-state-function",
    ]);
    bindgen.args(["--out-name", PAGE, "--out-dir"]).arg(out).arg(wasm);
    run(&mut bindgen)?;
    let source = root().join("index.html");
    let html = fs::read_to_string(&source).with_context(|| format!("cannot read {}", source.display()))?;
    let mut page = String::new();
    for line in html.lines() {
        match Link::read(line) {
            Some(link) => page.push_str(&link.put(out)?),
            None => page.push_str(line),
        }
        page.push('\n');
    }
    fs::write(out.join("index.html"), page).context("cannot write index.html")?;
    write_list(out, &[])
}

/// A link of index.html that is an instruction to the builder.
struct Link<'a> {
    rel: &'a str,
    href: &'a str,
}

impl<'a> Link<'a> {
    fn read(line: &'a str) -> Option<Link<'a>> {
        let attribute = |name: &str| line.split_once(&format!(" {name}=\""))?.1.split('"').next();
        line.trim_start().starts_with("<link data-trunk ").then_some(())?;
        Some(Link { rel: attribute("rel")?, href: attribute("href")? })
    }

    /// Put what it names into the page's folder; what stands in the page instead.
    fn put(&self, out: &Path) -> Result<String> {
        let from = root().join(self.href);
        let name = from.file_name().context("a link of index.html names no file")?;
        let cannot = || format!("cannot copy {}", from.display());
        match self.rel {
            // Its JavaScript is wasm-bindgen's, and the page loads it itself.
            "rust" => {}
            "css" => {
                fs::copy(&from, out.join(name)).with_context(cannot)?;
                return Ok(format!("  <link rel=\"stylesheet\" href=\"./{}\">", name.display()));
            }
            "copy-file" => drop(fs::copy(&from, out.join(name)).with_context(cannot)?),
            "copy-dir" => copy_folder(&from, &out.join(name)).with_context(cannot)?,
            other => bail!("index.html has a link data-trunk of rel=\"{other}\", which is not known here"),
        }
        Ok(String::new())
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let place = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &place)?;
        } else {
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}

/// A model in a page's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its file's name.
    pub file: String,
    /// What it is called.
    pub title: String,
    /// The name of a small picture of its samples.
    pub thumbnail: Option<String>,
}

/// Put a model into a built page, and into its list under a title, with the thumbnail of its card where it has one. A model
/// of the same name is replaced.
///
/// # Errors
/// If the file cannot be read or the page's folder cannot be written.
pub fn add_model(page: &Path, file: &Path, name: &str, title: &str) -> Result<()> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    write_whole(&page.join("models").join(name), &bytes)?;
    let picture = thumbnail(file);
    let thumbnail = picture.as_ref().map(|_| Path::new(name).with_extension("png").display().to_string());
    if let (Some(picture), Some(thumbnail)) = (&picture, &thumbnail) {
        let bytes = fs::read(picture).with_context(|| format!("cannot read {}", picture.display()))?;
        write_whole(&page.join("models").join(thumbnail), &bytes)?;
    }
    let new = Listed { file: name.into(), title: title.into(), thumbnail };
    let mut models = list(&page.join("models"))?;
    match models.iter_mut().find(|listed| listed.file == name) {
        Some(old) => *old = new,
        None => models.push(new),
    }
    write_list(page, &models)
}

/// A folder's list; empty where there is none.
///
/// # Errors
/// If the list is not as it should be.
pub fn list(models: &Path) -> Result<Vec<Listed>> {
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
        .map(|entry| {
            Ok(Listed {
                file: text(entry, "file").with_context(context)?,
                title: text(entry, "title").with_context(context)?,
                thumbnail: text(entry, "thumbnail"),
            })
        })
        .collect()
}

fn write_list(page: &Path, models: &[Listed]) -> Result<()> {
    let entry = |Listed { file, title, thumbnail }: &Listed| {
        let mut entry = json!({ "file": file, "title": title });
        if let Some(thumbnail) = thumbnail {
            entry["thumbnail"] = json!(thumbnail);
        }
        entry
    };
    let entries: Vec<Value> = models.iter().map(entry).collect();
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

/// Bytes of a built page's wasm, JavaScript and style sheet, gzipped, file by file.
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
            } else if path.extension().is_some_and(|e| e == "wasm" || e == "js" || e == "css") {
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
        fs::create_dir_all(page.join("cards/some")).unwrap();
        fs::write(page.join("cards/some/thumbnail.png"), b"picture").unwrap();
        add_model(&page, &model, "a.safetensors", "A again").unwrap();
        let entry = |file: &str, title: &str, thumbnail: Option<&str>| Listed {
            file: file.into(),
            title: title.into(),
            thumbnail: thumbnail.map(String::from),
        };
        let expected = [entry("a.safetensors", "A again", Some("a.png")), entry("b.safetensors", "B", None)];
        assert_eq!(list(&page.join("models")).unwrap(), expected);
        assert_eq!(fs::read(page.join("models/b.safetensors")).unwrap(), b"weights");
        let left: Vec<_> =
            fs::read_dir(page.join("models")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 4, "{left:?}");
        fs::write(page.join("models/index.json"), "[]").unwrap();
        assert!(list(&page.join("models")).is_err());
        fs::remove_dir_all(&page).unwrap();
    }
}
