//! `dual-mcmc site`.

use super::lab::page;
use crate::console::answer;
use anyhow::{Result, ensure};
use clap::Args;
use dual_mcmc_site::publish::{Published, write};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Site {
    /// The models to publish
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<PathBuf>,
    /// The folder to write, for any web server
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What a model is called; once for each of the first models [default: the name of its data]
    #[arg(long, value_name = "TEXT")]
    title: Vec<String>,
    /// The files of a built page [default: those inside this program]
    #[arg(long, value_name = "DIR")]
    page: Option<PathBuf>,
}

impl Site {
    pub fn run(self) -> Result<()> {
        let (titles, models) = (self.title.len(), self.models.len());
        ensure!(titles <= models, "--title is given {titles} times, for {models} models");
        let page = page(self.page)?;
        let titles = self.title.into_iter().map(Some).chain(std::iter::repeat(None));
        let models: Vec<Published> =
            self.models.into_iter().zip(titles).map(|(file, title)| Published { file, title }).collect();
        write(&page, &models, &self.out)?;
        answer!("{}", self.out.join("index.html").display());
        Ok(())
    }
}
