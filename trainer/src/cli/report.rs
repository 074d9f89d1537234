//! `dual-mcmc report`.

use super::arguments::distinct;
use crate::console::answer;
use crate::run::directory::RunDirectory;
use crate::run::report;
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Report {
    /// Folders of runs; several are put side by side
    #[arg(required = true, value_name = "RUN_DIR")]
    runs: Vec<PathBuf>,
    /// The page to write [default: report.html in the run's folder; of several runs, here]
    #[arg(long, value_name = "FILE.html")]
    out: Option<PathBuf>,
}

impl Report {
    pub fn run(self) -> Result<()> {
        let out = match (self.out, &self.runs[..]) {
            (Some(out), _) => out,
            (None, [run]) => run.join("report.html"),
            (None, _) => "report.html".into(),
        };
        let runs = || self.runs.iter().map(RunDirectory::new);
        let files: Vec<PathBuf> =
            runs().flat_map(|run| run.kept().into_iter().chain([run.model()])).collect();
        distinct(files.iter().map(PathBuf::as_path), [out.as_path()])?;
        report::write(&self.runs, &out)?;
        answer!("{}", out.display());
        Ok(())
    }
}
