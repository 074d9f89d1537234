//! GPUs of this machine.

use super::DeviceChoice;
use crate::lending;
use anyhow::{Context, Result, anyhow, bail};
use burn::tensor::wgpu::wgpu;
use burn::tensor::{Device, DeviceKind};
use dual_mcmc::executor::{Executor, ExecutorError};
use dual_mcmc::gpu::{Gpu, GpuChoice, GpuError};
use std::error::Error;

/// The executor of a GPU; none where the CPU is chosen.
///
/// # Errors
/// If a GPU is asked for and there is none.
pub fn executor(choice: DeviceChoice) -> Result<Option<Executor>> {
    Ok(find(choice)?.map(Executor::Gpu))
}

fn find(choice: DeviceChoice) -> Result<Option<Gpu>> {
    let request = |choice| pollster::block_on(Gpu::request(choice));
    Ok(match choice {
        DeviceChoice::Cpu => None,
        DeviceChoice::Auto => request(GpuChoice::Hardware).ok(),
        DeviceChoice::Gpu => Some(request(GpuChoice::Any).context("--device gpu")?),
        DeviceChoice::GpuIndex(index) => {
            Some(request(GpuChoice::Index(index)).with_context(|| format!("--device gpu:{index}"))?)
        }
    })
}

/// A GPU for training: burn's device, and an executor on it; none where the CPU is chosen.
///
/// # Errors
/// If a GPU is asked for and there is none that burn can use.
pub fn training(choice: DeviceChoice) -> Result<Option<(Device, Executor)>> {
    let Some(gpu) = find(choice)? else { return Ok(None) };
    let index = match choice {
        DeviceChoice::GpuIndex(index) => Some(index),
        _ => None,
    };
    let kind = burn_kind(&gpu, index)?;
    let (parameters, gpu) =
        lending::open(kind).map_err(|e| anyhow!("burn cannot use {}: {e}", gpu.name()))?;
    Ok(Some((parameters, Executor::Gpu(gpu))))
}

/// Why a GPU of this process was lost, if one was.
pub fn lost() -> Option<String> {
    lending::lost()
}

/// Why the GPU was lost, if that is the error.
pub fn loss(error: &ExecutorError) -> Option<String> {
    match error {
        ExecutorError::Gpu(GpuError::Lost(reason)) => Some(reason.clone()),
        _ => None,
    }
}

/// Whether an error is a GPU's own.
pub fn is_of_gpu(error: &(dyn Error + 'static)) -> bool {
    error.is::<GpuError>()
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
