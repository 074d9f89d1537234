//! `cargo xtask lab`: a live sampler within minutes, a model of one's own soon after.

use crate::serve::{self, Server};
use crate::{complain, say};
use crate::{page, process, tools};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What the lab is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port to serve on; without one 8080, or any that is free.
    pub port: Option<u16>,
    /// Open the page in the user's browser.
    pub open: bool,
    /// Train a model and add it to the page's list.
    pub train: bool,
    /// The recipe to train; `recipes/ring-quick.toml` if none.
    pub recipe: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Options {
        Options { port: None, open: false, train: true, recipe: None }
    }
}

/// Build and serve the page, train a model, and go on serving until Ctrl-C.
///
/// # Errors
/// If a tool is missing, the page does not build, or the port is taken. A training that fails is
/// reported while the page goes on being served.
pub fn run(options: &Options) -> Result<()> {
    let tools = tools::for_page()?;
    let dist = page::dist();
    say!("Building the page (two minutes on two cores the first time).");
    page::build_first(&tools, &dist, &[])?;
    page::add_models(&dist)?;
    let own = process::root().join("runs/lab");
    for listed in page::list(&own.join("models"))? {
        let file = own.join("models").join(&listed.file);
        page::add_model(&dist, &file, &listed.file, &listed.title)?;
    }
    let folder = dist.clone();
    let answer = move |path: &str| serve::file(&folder, path);
    let server = match options.port {
        Some(port) => Server::start(port, answer)?,
        None => Server::start(8080, answer.clone()).or_else(|_| Server::start(0, answer))?,
    };
    say!("\n  The lab is at {}  (Ctrl-C ends it)\n", server.url());
    if options.open
        && let Err(error) = serve::open(&server.url())
    {
        say!("No browser opens by itself ({error}); open the address yourself.");
    }
    say!(
        "Compiling the page's training view (five minutes on two cores the first time); the rest of the page works."
    );
    if let Err(error) = page::add_trainer(&tools, &dist) {
        complain!("error: the page cannot train: {error:#}");
    }
    if options.train {
        // The quick start's networks are so small that a GPU is no help.
        let on_gpu = options.recipe.is_some() && tools::has_gpu();
        let recipe =
            options.recipe.clone().unwrap_or_else(|| process::root().join("recipes/ring-quick.toml"));
        match train(&recipe, on_gpu, &own, &dist) {
            Ok(title) => {
                say!("\n  \"{title}\" is in the page's list: {}  (Ctrl-C ends the lab)\n", server.url())
            }
            Err(error) => {
                complain!("error: no model was trained: {error:#}\nThe shipped models are still served.")
            }
        }
    }
    loop {
        std::thread::park();
    }
}

/// Train for a minute, keep the model in `own`, put it into the page; its title.
fn train(recipe: &Path, on_gpu: bool, own: &Path, dist: &Path) -> Result<String> {
    let recipe = recipe.canonicalize().with_context(|| format!("cannot read {}", recipe.display()))?;
    say!(
        "Compiling the trainer (about {} on two cores, once), then training {} for a minute.",
        if on_gpu { "twelve minutes" } else { "eight minutes" },
        recipe.display()
    );
    process::run(process::cargo().arg("build").args(trainer_package(on_gpu)))?;
    let data = recipe.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |age| age.as_secs());
    let run = own.join(format!("{data}-{seed}"));
    let mut train = trainer(on_gpu);
    train.arg("train").arg(&recipe).args(["--device", "auto", "--minutes", "1"]);
    process::run(train.args(["--seed", &seed.to_string(), "--out"]).arg(&run))?;
    let model = run.join("model.safetensors");
    // Kept in a list of its own as well, so that the next lab has it too.
    let number = page::list(&own.join("models"))?.len() + 1;
    let (name, title) = (format!("{data}-{seed}.safetensors"), format!("{data}, trained here ({number})"));
    page::add_model(own, &model, &name, &title)?;
    page::add_model(dist, &model, &name, &title)?;
    Ok(title)
}

fn trainer(on_gpu: bool) -> std::process::Command {
    let mut cargo = process::cargo();
    cargo.args(["run", "--quiet"]).args(trainer_package(on_gpu)).arg("--");
    cargo
}

/// The trainer, with or without what it needs for a GPU, which is half of what must be compiled.
fn trainer_package(on_gpu: bool) -> Vec<&'static str> {
    let mut words = vec!["--package", "dual-mcmc-trainer", "--bin", "dual-mcmc"];
    if !on_gpu {
        words.extend(["--no-default-features", "--features", "cli"]);
    }
    words
}
