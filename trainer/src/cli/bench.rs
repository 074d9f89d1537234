//! `dual-mcmc bench`.

use super::arguments::{Devices, count, distinct, positive, setting};
use crate::console::answer;
use crate::data::atomic;
use crate::run::bench::{self, KernelSet, Network, Settings, What};
use crate::run::device;
use crate::run::evaluate::{Figures, table};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
pub struct Bench {
    /// What is timed [default: training and chains]
    #[arg(value_enum)]
    what: Vec<What>,
    /// All figures as one JSON object
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seconds for each figure
    #[arg(long, value_name = "S", value_parser = positive, default_value_t = 5.0)]
    seconds: f32,
    /// Change a value of the recipes whose iterations are timed: x_chain.engine=burn; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
    /// Networks whose chains are timed, and, of the first two, iterations
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["ring", "fashion-mnist"])]
    networks: Vec<Network>,
    /// Numbers of chains
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [16, 64], value_parser = count)]
    chains: Vec<usize>,
    /// Kernels that chains run on
    #[arg(long, value_enum, default_value_t)]
    kernels: KernelSet,
    /// Time each kernel of the chains by itself, too, on a GPU
    #[arg(long)]
    kernel_times: bool,
    /// Where `tune` writes the table of the fastest kernels
    #[arg(long, value_name = "FILE", default_value = "shared/src/gpu/table.rs")]
    table: PathBuf,
    #[command(flatten)]
    devices: Devices,
}

impl Bench {
    pub fn run(self) -> Result<()> {
        if let Some(json) = &self.json {
            atomic::check_writable(json)?;
            distinct([self.table.as_path()], [json.as_path()])?;
        }
        let devices = device::all(&self.devices.devices)?;
        let settings = Settings {
            what: self.what,
            time: Duration::from_secs_f32(self.seconds),
            overrides: self.set,
            networks: self.networks,
            chains: self.chains,
            kernels: self.kernels,
            kernel_times: self.kernel_times,
        };
        let figures = bench::run(&devices, &settings)?;
        if let Some(text) = figures["table"].as_str() {
            atomic::write_bytes(&self.table, text.as_bytes())?;
        }
        if let Some(json) = &self.json {
            atomic::write_bytes(json, &serde_json::to_vec_pretty(&figures)?)?;
        }
        answer!("{}", table(&Figures::of(&figures)).trim_end());
        Ok(())
    }
}
