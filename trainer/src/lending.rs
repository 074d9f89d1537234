//! burn's wgpu device with the chains on it too: what burn has computed reaches them from buffer to buffer.

use crate::networks::DeviceError;
use burn::tensor::wgpu::{WgpuInitError, wgpu};
use burn::tensor::{Device, DeviceKind, Tensor};
use burn_wgpu::{AutoCompiler, Wgpu};
use cubecl::wgpu::WgpuServer;
use dual_mcmc::gpu::{Gpu, GpuError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How often it is asked whether a device was lost.
const PATIENCE: u32 = 20;

/// burn's devices of this process, with what runs the chains on each.
static OPENED: Mutex<Vec<(DeviceKind, Gpu)>> = Mutex::new(Vec::new());

/// burn's device on an adapter, and the chains' on the same wgpu device. burn starts it once a process.
///
/// # Errors
/// If burn cannot start on it, or something else has already made it do so.
pub fn open(kind: DeviceKind) -> Result<(Device, Gpu), WgpuInitError> {
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, gpu)) = opened.iter().find(|(other, _)| *other == kind) {
        return Ok((Device::wgpu(kind), gpu.clone()));
    }
    let (device, setup) = Device::wgpu_options().device_kind(kind.clone()).init_with_setup()?;
    // burn sets its handlers of errors when it is first used, and ours are to follow.
    let _ = device.sync();
    let gpu = Gpu::beside(setup.device, setup.queue);
    opened.push((kind, gpu.clone()));
    Ok((device, gpu))
}

/// Whether tensors on `device` lie on the wgpu device of `gpu`.
pub fn shares(device: &Device, gpu: &Gpu) -> bool {
    let opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    let same = |(kind, other): &(DeviceKind, Gpu)| {
        other.device == gpu.device && Device::wgpu(kind.clone()) == device.clone().inner()
    };
    opened.iter().any(same)
}

/// Why a device was lost, if one was, after something has failed on it.
pub fn lost() -> Option<String> {
    let opened: Vec<Gpu> = {
        let opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        opened.iter().map(|(_, gpu)| gpu.clone()).collect()
    };
    let reason = || {
        opened.iter().find_map(|gpu| {
            // It may be known already and only wait to be told.
            let _ = gpu.device.poll(wgpu::PollType::Poll);
            match gpu.check() {
                Err(GpuError::Lost(reason)) => Some(reason),
                _ => None,
            }
        })
    };
    // A device tells of its loss when its work has ended, which may be a moment after a call has failed.
    let turns = if opened.is_empty() { 0 } else { PATIENCE };
    (0..turns).find_map(|turn| {
        if turn > 0 {
            std::thread::sleep(Duration::from_millis(50));
        }
        reason()
    })
}

/// Use a tensor's buffer, given with the place in bytes where it begins; what computes the tensor has been submitted.
///
/// # Errors
/// If the tensor lies on no wgpu device, or that fails.
pub fn lend<R>(tensor: Tensor<1>, to: impl FnOnce(&wgpu::Buffer, u64) -> R) -> Result<R, DeviceError> {
    let device = tensor.device();
    let primitive = tensor.try_into_primitive::<Wgpu>().map_err(DeviceError::of)?;
    let lent = primitive
        .client
        .get_resource::<WgpuServer<AutoCompiler>>(primitive.handle)
        .map_err(DeviceError::of)?;
    device.flush().map_err(DeviceError::of)?;
    let resource = lent.resource();
    Ok(to(&resource.buffer, resource.offset))
}
