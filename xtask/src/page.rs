//! The page: built, measured, and given its models.

use crate::process::{command, root, run, target_directory};
use crate::tools::{PAGE, TRAINER, Toolbox, WASM, compile_page};
use anyhow::{Context, Result, bail};
use dual_mcmc_site::list::write_list;
pub use dual_mcmc_site::list::{Listed, add_model, list};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Most bytes the page's wasm, JavaScript and style sheets may take, gzipped, without a model and without the training view.
pub const BUDGET: u64 = 500_000;

/// Most bytes that the training view takes beside them.
pub const TRAINING_BUDGET: u64 = 1_200_000;

/// Whether a file is fetched for the training view alone.
pub fn is_for_training(name: &str) -> bool {
    ["dual-mcmc-teach", "teach-worker", "train"].iter().any(|start| name.starts_with(start))
}

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
    add_models(out)
}

/// Put the models of `models/` into a built page.
///
/// # Errors
/// If one cannot be read or copied.
pub fn add_models(out: &Path) -> Result<()> {
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

/// Build the page into a folder, in the place of what is there, with an empty list of models.
///
/// # Errors
/// As [`build_first`] and [`add_trainer`].
pub fn build_bare(tools: &Toolbox, out: &Path, features: &[&str]) -> Result<()> {
    build_first(tools, out, features)?;
    add_trainer(tools, out)
}

/// Compile the training view's code, and put it into a built page.
///
/// # Errors
/// If it does not compile, wasm-bindgen fails, or the page cannot be written.
pub fn add_trainer(tools: &Toolbox, out: &Path) -> Result<()> {
    compile_page(TRAINER, &[])?;
    // A page that is being served has each file whole or not at all.
    let beside = out.join(format!(".partial-{}", std::process::id()));
    let made = bindgen(tools, TRAINER, &beside, &[]).and_then(|()| {
        [format!("{TRAINER}.js"), format!("{TRAINER}_bg.wasm")].iter().try_for_each(|name| {
            let cannot = || format!("cannot write {name} in {}", out.display());
            fs::rename(beside.join(name), out.join(name)).with_context(cannot)
        })
    });
    let _ = fs::remove_dir_all(&beside);
    made
}

/// As [`build_bare`], without the training view's code, which takes minutes to compile.
///
/// The links marked `data-trunk` in index.html say what it is made of, as trunk reads them. (`trunk serve` works too; but
/// trunk takes minutes to compile, and this is all that is needed of it.)
///
/// # Errors
/// If the page's code does not compile, wasm-bindgen fails, or a folder cannot be read or written.
pub fn build_first(tools: &Toolbox, out: &Path, features: &[&str]) -> Result<()> {
    compile_page(PAGE, features)?;
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
    // So that figures start anew after a breakdown of the code.
    bindgen(tools, PAGE, out, &["--experimental-reset-state-function"])?;
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

/// Write the JavaScript of a compiled package, and its wasm, into a folder.
fn bindgen(tools: &Toolbox, package: &str, out: &Path, flags: &[&str]) -> Result<()> {
    let wasm =
        target_directory()?.join(WASM).join("web").join(package.replace('-', "_")).with_extension("wasm");
    let mut bindgen = command("wasm-bindgen");
    tools.lend(&mut bindgen);
    bindgen.args([
        "--target",
        "web",
        "--no-typescript",
        "--remove-name-section",
        "--remove-producers-section",
    ]);
    bindgen.args(flags).args(["--out-name", package, "--out-dir"]).arg(out).arg(wasm);
    run(&mut bindgen)
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
