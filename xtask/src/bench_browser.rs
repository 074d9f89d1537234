//! `cargo xtask bench-browser`: Langevin steps in a browser, in this project's engine and in others.

use crate::say;
use crate::serve::{self, Reply, Server};
use crate::{page, process, suites, tools};
use anyhow::{Context, Result};
use std::fs;
use std::path::PathBuf;

/// What is compared.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The model; Fashion-MNIST's if none.
    pub model: Option<PathBuf>,
    /// Serve the page for any browser instead of running it in a headless one.
    pub serve: bool,
    /// The port to serve on; without one any that is free.
    pub port: Option<u16>,
    /// What the page's address says, as in `chains=16,64`.
    pub query: Vec<String>,
    /// A file for all figures, as JSON.
    pub json: Option<PathBuf>,
}

/// Build the page, serve it, and run it in a headless Chromium with WebGPU in software.
///
/// # Errors
/// If a tool is missing, the page does not build, or the browser fails.
pub fn run(options: &Options) -> Result<()> {
    let file =
        options.model.clone().unwrap_or_else(|| process::root().join("models/fashion-mnist.safetensors"));
    let model = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let toolbox = tools::for_page()?;
    let source = process::root().join("web/bench");
    let why = "the libraries that the engine is compared with come through it";
    let peers = tools::node_modules(&source.join("package.json"), why)?;
    let shipped = process::root().join("models");
    let lab = suites::page_folder()?.with_file_name("bench-page");
    page::build_first(&toolbox, &lab, &["bench"])?;
    let answer = move |path: &str| {
        if path == "/bench/model.safetensors" {
            return Reply::of("application/octet-stream", model.clone());
        }
        let rest = |prefix: &str| path.strip_prefix(prefix);
        match (rest("/bench/peers/"), rest("/bench/"), rest("/models/")) {
            (Some(rest), ..) => serve::file(&peers, rest),
            (_, Some(rest), _) => serve::file(&source, rest),
            (.., Some(rest)) => serve::file(&shipped, rest),
            _ => serve::file(&lab, path),
        }
    };
    let server = Server::start(options.port.unwrap_or(0), answer)?;
    let url = format!("{}bench/?{}", server.url(), options.query.join("&"));
    if options.serve {
        say!("\n  The comparison is at {url}  (Ctrl-C ends it)\n");
        loop {
            std::thread::park();
        }
    }
    let mut browser = process::cargo();
    browser.args(["run", "--quiet", "--package", "dual-mcmc-tests", "--bin", "bench-browser", "--"]);
    tools::for_tests()?.lend(&mut browser);
    browser.arg(&url);
    if let Some(json) = &options.json {
        browser.arg(std::path::absolute(json)?);
    }
    process::run(&mut browser)
}
