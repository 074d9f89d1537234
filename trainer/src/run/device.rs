//! Which device trains and which executor runs the chains.

use anyhow::{Context, Result, bail};
use burn::tensor::wgpu::{WgpuInitError, wgpu};
use burn::tensor::{Device, DeviceKind};
use dual_mcmc::executor::Executor;
use dual_mcmc::gpu::{Gpu, GpuChoice};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

/// The value of `--device`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// A GPU if there is a real one, else the CPU.
    #[default]
    Auto,
    /// A GPU, a software one if there is no other.
    Gpu,
    /// The GPU of that number.
    GpuIndex(usize),
    /// The CPU.
    Cpu,
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<DeviceChoice, String> {
        match text.split_once(':') {
            None if text == "auto" => Ok(DeviceChoice::Auto),
            None if text == "gpu" => Ok(DeviceChoice::Gpu),
            None if text == "cpu" => Ok(DeviceChoice::Cpu),
            Some(("gpu", index)) => index
                .parse()
                .map(DeviceChoice::GpuIndex)
                .map_err(|_| format!("`{index}` is no number of a GPU")),
            _ => Err("it must be auto, gpu, gpu:N or cpu".into()),
        }
    }
}

/// Where the networks learn and where the chains run: the same GPU, or the CPU.
pub struct TrainingDevices {
    /// burn's device for the parameters.
    pub parameters: Device,
    /// The chains' executor.
    pub executor: Executor,
}

/// The executor for chains alone.
///
/// # Errors
/// If a GPU is asked for and there is none.
pub fn executor(choice: DeviceChoice) -> Result<Executor> {
    let request = |choice| pollster::block_on(Gpu::request(choice));
    let gpu = match choice {
        DeviceChoice::Cpu => return Ok(Executor::cpu()),
        DeviceChoice::Auto => match request(GpuChoice::Hardware) {
            Ok(gpu) => gpu,
            Err(_) => return Ok(Executor::cpu()),
        },
        DeviceChoice::Gpu => request(GpuChoice::Any).context("--device gpu")?,
        DeviceChoice::GpuIndex(index) => {
            request(GpuChoice::Index(index)).with_context(|| format!("--device gpu:{index}"))?
        }
    };
    Ok(Executor::Gpu(gpu))
}

/// Devices for training.
///
/// # Errors
/// If a GPU is asked for and there is none that burn can use.
pub fn training(choice: DeviceChoice) -> Result<TrainingDevices> {
    let executor = executor(choice)?;
    let parameters = match &executor {
        Executor::Cpu { .. } => Device::flex(),
        Executor::Gpu(gpu) => {
            let index = match choice {
                DeviceChoice::GpuIndex(index) => Some(index),
                _ => None,
            };
            let kind = burn_kind(gpu, index)?;
            start_burn(kind).map_err(|e| anyhow::anyhow!("burn cannot use {}: {e}", gpu.name()))?
        }
    };
    Ok(TrainingDevices { parameters, executor })
}

/// Start burn's runtime on an adapter, once a process: burn refuses to start it again.
fn start_burn(kind: DeviceKind) -> Result<Device, WgpuInitError> {
    static STARTED: Mutex<Vec<DeviceKind>> = Mutex::new(Vec::new());
    let mut started = STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if !started.contains(&kind) {
        Device::wgpu_options().device_kind(kind.clone()).init()?;
        started.push(kind.clone());
    }
    Ok(Device::wgpu(kind))
}

/// burn names adapters by their kind and their number among those of that kind.
fn burn_kind(gpu: &Gpu, index: Option<usize>) -> Result<DeviceKind> {
    let (Some(instance), Some(adapter)) = (gpu.instance(), gpu.adapter()) else {
        bail!("{} has no adapter to open a second time", gpu.name());
    };
    let info = adapter.get_info();
    let all = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::all()));
    let infos: Vec<_> = all.iter().map(|adapter| adapter.get_info()).collect();
    let same = |other: &wgpu::AdapterInfo| {
        other.backend == info.backend && other.device == info.device && other.name == info.name
    };
    let place = index.or_else(|| infos.iter().position(same)).unwrap_or(0);
    let of_kind =
        |other: &&wgpu::AdapterInfo| other.backend == info.backend && other.device_type == info.device_type;
    let number = infos.iter().take(place).filter(of_kind).count();
    Ok(match info.device_type {
        wgpu::DeviceType::DiscreteGpu => DeviceKind::DiscreteGpu(number),
        wgpu::DeviceType::IntegratedGpu => DeviceKind::IntegratedGpu(number),
        wgpu::DeviceType::VirtualGpu => DeviceKind::VirtualGpu(number),
        wgpu::DeviceType::Cpu => DeviceKind::Cpu,
        wgpu::DeviceType::Other => DeviceKind::DefaultDevice,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_read_and_others_refused() {
        assert_eq!("auto".parse(), Ok(DeviceChoice::Auto));
        assert_eq!("gpu".parse(), Ok(DeviceChoice::Gpu));
        assert_eq!("gpu:2".parse(), Ok(DeviceChoice::GpuIndex(2)));
        assert_eq!("cpu".parse(), Ok(DeviceChoice::Cpu));
        for wrong in ["", "cuda", "gpu:", "gpu:-1", "cpu:0", "GPU"] {
            assert!(wrong.parse::<DeviceChoice>().is_err(), "{wrong}");
        }
    }
}
