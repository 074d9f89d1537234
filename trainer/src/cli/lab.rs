//! `dual-mcmc lab`.

use crate::console::{answer, say};
use crate::run::showing::Showing;
use anyhow::{Context, Result, ensure};
use clap::Args;
use dual_mcmc_site::files::Files;
use dual_mcmc_site::serve::{self, Server};
use std::path::PathBuf;
use std::sync::Arc;

/// The usual port, if it is free.
const PORT: u16 = 8080;

#[derive(Debug, Args)]
pub struct Lab {
    /// Models, and folders of runs, which may still be training
    #[arg(value_name = "MODEL|RUN")]
    shown: Vec<PathBuf>,
    /// The port on this machine [default: 8080, or any that is free]
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// Leave the browser alone
    #[arg(long)]
    no_open: bool,
    /// The files of a built page [default: those inside this program]
    #[arg(long, value_name = "DIR")]
    page: Option<PathBuf>,
}

/// The page's files: those of a folder, or those inside this program.
///
/// # Errors
/// If the folder holds no page, or this program none.
pub fn page(folder: Option<PathBuf>) -> Result<Files> {
    match folder {
        Some(folder) => {
            let there = folder.join("index.html").is_file() && folder.join("dual-mcmc.js").is_file();
            ensure!(there, "{} holds no page; `cargo xtask page --out DIR` builds one", folder.display());
            Ok(Files::Folder(folder))
        }
        None => Files::inside().context(
            "this program was built without the page; `cargo xtask install` in a clone installs one with it",
        ),
    }
}

impl Lab {
    pub fn run(self) -> Result<()> {
        let showing = Arc::new(Showing::new(page(self.page)?, &self.shown)?);
        let reply = move |path: &str| showing.answer(path);
        let server = match self.port {
            Some(port) => Server::start(port, reply)?,
            None => Server::start(PORT, reply.clone()).or_else(|_| Server::start(0, reply))?,
        };
        answer!("{}", server.url());
        say!("Ctrl-C ends it");
        if !self.no_open
            && let Err(error) = serve::open(&server.url())
        {
            say!("no browser opens by itself ({error}); open the address yourself");
        }
        loop {
            std::thread::park();
        }
    }
}
