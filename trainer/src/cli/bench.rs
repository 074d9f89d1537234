//! `dual-mcmc bench`.

use super::arguments::{Devices, positive};
use crate::data::atomic;
use crate::run::evaluate::{Figures, table};
use crate::run::{bench, device};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct Bench {
    /// All figures as one JSON object
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seconds for each figure
    #[arg(long, value_name = "S", value_parser = positive, default_value_t = 5.0)]
    seconds: f32,
    #[command(flatten)]
    devices: Devices,
}

impl Bench {
    pub fn run(self) -> Result<()> {
        if let Some(json) = &self.json {
            atomic::check_writable(json)?;
        }
        let devices = device::all(&self.devices.devices)?;
        let figures = bench::run(&devices, Duration::from_secs_f32(self.seconds))?;
        print!("{}", table(&Figures::of(&figures)));
        match &self.json {
            Some(json) => atomic::write_bytes(json, &serde_json::to_vec_pretty(&figures)?),
            None => Ok(()),
        }
    }
}
