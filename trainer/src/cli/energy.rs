//! `dual-mcmc energy`.

use super::arguments::{Device, input};
use crate::data::{atomic, npy};
use crate::run::{chains, device, model_file};
use anyhow::{Result, ensure};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub struct Energy {
    /// The model, a .safetensors file
    model: PathBuf,
    /// Samples, an .npy array [N, C, H, W] in [-1, 1] or [N, D]
    #[arg(long, value_name = "FILE.npy")]
    input: PathBuf,
    /// Their energies, an .npy array [N]
    #[arg(long, value_name = "FILE.npy")]
    out: PathBuf,
    /// Gradients of the energies in the samples, an .npy array of the input's shape
    #[arg(long, value_name = "FILE.npy")]
    gradient: Option<PathBuf>,
    #[command(flatten)]
    device: Device,
}

fn check(path: &Path) -> Result<()> {
    ensure!(path.extension().is_some_and(|e| e == "npy"), "{} must end in .npy", path.display());
    atomic::check_writable(path)
}

impl Energy {
    pub fn run(self) -> Result<()> {
        let model = model_file::read(&self.model)?;
        let energy = model_file::energy(&model)?;
        let samples = input(&self.input, &model)?;
        check(&self.out)?;
        self.gradient.as_deref().map_or(Ok(()), check)?;
        let executor = device::executor(self.device.device)?;
        let energies = match &self.gradient {
            None => chains::energies(&model, &executor, &samples.values)?,
            Some(path) => {
                let both = executor.energy_and_gradient(energy, &samples.values);
                let (energies, gradients) = pollster::block_on(both)?;
                npy::write(path, &samples.shape, &gradients)?;
                energies
            }
        };
        npy::write(&self.out, &[samples.count()], &energies)
    }
}
