//! The lab with models and runs of one's own: what its server answers. A run that is training is shown by its newest checkpoint, and
//! by its report.

use super::directory::RunDirectory;
use super::export::of_run;
use super::{model_file, report};
use anyhow::{Result, bail};
use dual_mcmc::model::Precision;
use dual_mcmc_site::files::Files;
use dual_mcmc_site::serve::{Reply, content_type};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// What is shown.
pub struct Showing {
    page: Files,
    models: Vec<Shown>,
}

/// A model in the lab's list.
struct Shown {
    /// Its name in addresses.
    name: String,
    source: Source,
}

enum Source {
    /// A file, and what it is called.
    Model(PathBuf, String),
    /// A run, and the model of its newest checkpoint.
    Run(PathBuf, Mutex<Option<Newest>>),
}

/// The model of a checkpoint.
#[derive(Clone)]
struct Newest {
    /// When the checkpoint was written.
    written: SystemTime,
    iterations: u64,
    bytes: Vec<u8>,
}

impl Showing {
    /// The lab of these files, with models and runs.
    ///
    /// # Errors
    /// If one of them is neither a model nor a run's folder.
    pub fn new(page: Files, shown: &[PathBuf]) -> Result<Showing> {
        let mut models: Vec<Shown> = Vec::new();
        for path in shown {
            let path = std::path::absolute(path)?;
            let mut name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let source = match RunDirectory::new(&path).holds_run() {
                true => {
                    RunDirectory::new(&path).open()?;
                    name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    Source::Run(path, Mutex::new(None))
                }
                false if path.is_dir() => bail!("{} holds no run", path.display()),
                false => {
                    let data = model_file::read(&path)?.provenance.data;
                    Source::Model(
                        path,
                        if data.is_empty() { name.clone() } else { format!("{name} ({data})") },
                    )
                }
            };
            // Two of one name are told apart.
            let taken = |name: &str| models.iter().any(|shown| shown.name == name);
            let unlike = (2..).map(|n| format!("{name}-{n}")).find(|name| !taken(name));
            let name = if taken(&name) { unlike.unwrap_or_default() } else { name };
            models.push(Shown { name, source });
        }
        Ok(Showing { page, models })
    }

    /// The answer to the request of a path.
    pub fn answer(&self, path: &str) -> Reply {
        let path = path.trim_start_matches('/');
        let of_folder = format!("{path}index.html");
        let path = if path.is_empty() || path.ends_with('/') { &of_folder } else { path };
        if path == "models/index.json" {
            return Reply::of("application/json", self.list().to_string())
                .header("Cache-Control", "no-store");
        }
        let of = |folder: &str, ending: &str| {
            let name = path.strip_prefix(folder)?.strip_suffix(ending)?;
            self.models.iter().find(|shown| shown.name == name)
        };
        if let Some(shown) = of("models/", ".safetensors") {
            return failing(shown.bytes().map(|bytes| Reply::of("application/octet-stream", bytes)));
        }
        if let Some(Shown { source: Source::Run(folder, _), .. }) = of("reports/", ".html") {
            return failing(
                report::page(std::slice::from_ref(folder))
                    .map(|page| Reply::of("text/html; charset=utf-8", page)),
            );
        }
        match self.page.read(path) {
            Some(bytes) => {
                Reply::of(&content_type(Path::new(path)), bytes).header("Cache-Control", "no-store")
            }
            None => Reply::not_found(),
        }
    }

    /// The list of models, as the page reads it. A run that has no checkpoint yet is missing.
    fn list(&self) -> Value {
        let models: Vec<Value> = self.models.iter().filter_map(Shown::entry).collect();
        json!({ "models": models })
    }
}

/// The answer, or what has gone wrong.
fn failing(answer: Result<Reply>) -> Reply {
    let answer = answer.map(|reply| reply.header("Cache-Control", "no-store"));
    answer.unwrap_or_else(|error| Reply::of("text/plain; charset=utf-8", format!("{error:#}\n")).status(500))
}

impl Shown {
    fn bytes(&self) -> Result<Vec<u8>> {
        match &self.source {
            Source::Model(path, _) => Ok(std::fs::read(path)?),
            Source::Run(folder, newest) => Ok(current(folder, newest)?.bytes),
        }
    }

    fn entry(&self) -> Option<Value> {
        let name = &self.name;
        match &self.source {
            Source::Model(_, title) => Some(json!({ "file": format!("{name}.safetensors"), "title": title })),
            Source::Run(folder, newest) => {
                let newest = current(folder, newest).ok()?;
                let at = newest.written.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
                Some(json!({
                    // Another address for each checkpoint, so that the page takes it for another model.
                    "file": format!("{name}.safetensors?at={at}"),
                    "title": format!("{name}, {} iterations", newest.iterations),
                    "live": true,
                    "report": format!("reports/{name}.html"),
                }))
            }
        }
    }
}

/// The model of the newest checkpoint, which is read once.
fn current(folder: &Path, known: &Mutex<Option<Newest>>) -> Result<Newest> {
    let directory = RunDirectory::new(folder);
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    let written = std::fs::metadata(directory.last()).and_then(|data| data.modified());
    if let (Some(newest), Ok(written)) = (&*known, &written)
        && newest.written == *written
    {
        return Ok(newest.clone());
    }
    let (recipe, origin) = directory.open()?;
    let (model, iterations) = of_run(&directory, &recipe, &origin, false)?;
    let newest = Newest { written: written?, iterations, bytes: model.to_bytes(Precision::F32)? };
    Ok(known.insert(newest).clone())
}
