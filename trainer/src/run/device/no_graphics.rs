//! In place of GPUs, where the program was built without them.

use super::DeviceChoice;
use anyhow::{Result, bail};
use burn::tensor::Device;
use dual_mcmc::executor::{Executor, ExecutorError};
use std::error::Error;

/// Returns `None`, since this build has no GPU support: the CPU is chosen.
///
/// # Errors
/// If a GPU is asked for.
pub fn executor(choice: DeviceChoice) -> Result<Option<Executor>> {
    match choice {
        DeviceChoice::Auto | DeviceChoice::Cpu => Ok(None),
        DeviceChoice::Gpu | DeviceChoice::GpuIndex(_) => {
            bail!("this program was built without GPUs; build it with the feature `gpu`, or use --device cpu")
        }
    }
}

/// Returns `None`, since this build has no GPU support: the CPU is chosen.
///
/// # Errors
/// If a GPU is asked for.
pub fn training(choice: DeviceChoice) -> Result<Option<(Device, Executor)>> {
    executor(choice).map(|_| None)
}

/// No GPU can be lost.
pub fn lost() -> Option<String> {
    None
}

/// No GPU can be lost.
pub fn loss(_: &ExecutorError) -> Option<String> {
    None
}

/// No error is a GPU's.
pub fn is_of_gpu(_: &(dyn Error + 'static)) -> bool {
    false
}
