//! The page under test: built as `cargo xtask lab` builds it, served from a loopback address.

use dual_mcmc::model::Model;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use xtask::serve::{Reply, Server, file};
use xtask::{page, process, tools};

/// The folder of the built page.
///
/// `cargo xtask test` builds it and names it in `DUAL_MCMC_PAGE`. A plain `cargo test` builds it
/// here, once, if the tools are there, and says what to run if not: without a page nothing that it
/// does can be tested, so that is a failure.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        if let Some(folder) = std::env::var_os("DUAL_MCMC_PAGE") {
            let folder = PathBuf::from(folder);
            assert!(
                folder.join("index.html").is_file(),
                "the page did not build, or is not in {}",
                folder.display()
            );
            return folder;
        }
        assert!(
            tools::page_tools_present(),
            "the tools that build the page are missing; run `cargo xtask setup` once"
        );
        let out = process::root().join("target/page");
        page::build(&tools::for_page().unwrap(), &out).unwrap();
        out
    })
}

/// What the page's figure tells scripts of its chains, in JavaScript: null until a model runs.
pub const STATE: &str = "await figure?.state?.().catch(() => null)";

/// What the figure's message says, in JavaScript and lower case: null where there is none to be seen.
pub const NOTICE: &str = "((box) => box && !box.hidden && box.getBoundingClientRect().height > 0 \
    ? box.innerText.toLowerCase() : null)(ref('notice'))";

/// The built page on a port of its own.
pub fn serve() -> Server {
    serve_with(HashMap::new())
}

/// What a server answers for one path.
pub type Answer = Arc<dyn Fn() -> Reply + Send + Sync>;

/// The built page on a port of its own, with further answers by path, such as models that are none.
pub fn serve_with(answers: HashMap<String, Answer>) -> Server {
    let folder = folder();
    Server::start(0, move |path| match answers.get(path) {
        Some(answer) => answer(),
        None => file(folder, path),
    })
    .unwrap()
}

/// The built page with these models beside it, each at `models/NAME.safetensors`.
pub fn serve_models(models: Vec<(&str, Model)>) -> Server {
    let answers = models.into_iter().map(|(name, model)| {
        let bytes = crate::models::bytes(&model);
        let answer: Answer = Arc::new(move || Reply::of("application/octet-stream", bytes.clone()));
        (format!("/models/{name}.safetensors"), answer)
    });
    serve_with(answers.collect())
}
