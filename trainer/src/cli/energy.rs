//! `dual-mcmc energy`.

use super::arguments::{Device, check_npy, distinct, input};
use crate::data::npy;
use crate::run::{chains, device, model_file};
use anyhow::{Result, bail};
use clap::Args;
use dual_mcmc::jobs::energies_and_gradients;
use pollster::block_on;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Energy {
    /// The model, a .safetensors file
    model: PathBuf,
    /// Samples, an .npy array [N, C, H, W] in [-1, 1] or [N, D], or a .csv file of points
    #[arg(long, value_name = "FILE.npy|FILE.csv")]
    input: PathBuf,
    /// Where to write the energies, an .npy array [N]
    #[arg(long, value_name = "FILE.npy")]
    out: PathBuf,
    /// Where to write their gradients in the samples, an .npy array of the input's shape
    #[arg(long, value_name = "FILE.npy")]
    gradient: Option<PathBuf>,
    #[command(flatten)]
    device: Device,
}

impl Energy {
    pub fn run(self) -> Result<()> {
        let model = model_file::read(&self.model)?;
        model_file::energy(&model)?;
        check_npy(&self.out)?;
        self.gradient.as_deref().map_or(Ok(()), check_npy)?;
        let outputs = [self.out.as_path()].into_iter().chain(self.gradient.as_deref());
        distinct([self.model.as_path(), &self.input], outputs)?;
        let samples = input(&self.input, &model)?;
        let executor = device::executor(self.device.device)?;
        let (energies, gradients) = match self.gradient {
            None => (chains::energies(&executor, &model, &samples.values)?, Vec::new()),
            Some(_) => block_on(energies_and_gradients(&executor, &model, &samples.values))?,
        };
        let of_sample = gradients.len() / samples.count();
        let runs_away = |i: &usize| {
            let gradient = &gradients[i * of_sample..(i + 1) * of_sample];
            !energies[*i].is_finite() || gradient.iter().any(|v| !v.is_finite())
        };
        if let Some(i) = (0..samples.count()).find(runs_away) {
            bail!(
                "the energy of sample {i} (counted from 0) of {} is no finite number: it lies too far from the data",
                self.input.display()
            );
        }
        if let Some(path) = &self.gradient {
            npy::write(path, &samples.shape, &gradients)?;
        }
        npy::write(&self.out, &[samples.count()], &energies)
    }
}
