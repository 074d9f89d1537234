//! `dual-mcmc report`.

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
        report::write(&self.runs, &out)?;
        println!("{}", out.display());
        Ok(())
    }
}
