//! The device and what every object on it shares: compiled kernels and the state of its health.

use super::choice::{Choice, Size};
use super::choose::choose;
use super::error::GpuError;
use super::shader::Pipelines;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// Which adapter to open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GpuChoice {
    /// The best there is, a software adapter if need be.
    #[default]
    Any,
    /// The best real GPU; software adapters are refused.
    Hardware,
    /// A number in [`Gpu::adapters`].
    Index(usize),
}

/// An open device. Clones are cheap and share the compiled kernels.
#[derive(Clone)]
pub struct Gpu {
    /// The device, for drawing beside the executor.
    pub device: wgpu::Device,
    /// The device's queue.
    pub queue: wgpu::Queue,
    shared: Arc<Shared>,
    #[cfg(feature = "workbench")]
    plain: bool,
    #[cfg(feature = "workbench")]
    forced: Option<Choice>,
}

struct Shared {
    info: wgpu::AdapterInfo,
    origin: Option<(wgpu::Instance, wgpu::Adapter)>,
    health: Arc<Mutex<Health>>,
    pipelines: Pipelines,
}

/// Errors that the driver reported, not yet returned by [`Gpu::check`].
#[derive(Default)]
struct Health {
    error: Option<GpuError>,
    lost: Option<String>,
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gpu").field(&self.name()).finish()
    }
}

fn new_instance() -> wgpu::Instance {
    wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env())
}

fn is_software(info: &wgpu::AdapterInfo) -> bool {
    info.device_type == wgpu::DeviceType::Cpu
}

fn name(info: &wgpu::AdapterInfo) -> String {
    match info.name.as_str() {
        "" => format!("an unnamed adapter ({})", info.backend),
        name => format!("{name} ({})", info.backend),
    }
}

impl Gpu {
    /// Open an adapter with WebGPU's default limits.
    ///
    /// # Errors
    /// If there is none of the kind asked for, or it cannot be opened.
    pub async fn request(choice: GpuChoice) -> Result<Gpu, GpuError> {
        let instance = new_instance();
        let adapter = match choice {
            GpuChoice::Any => best(&instance, None).await?,
            GpuChoice::Hardware => hardware(&instance).await?,
            GpuChoice::Index(index) => {
                let mut all = instance.enumerate_adapters(wgpu::Backends::all()).await;
                if index >= all.len() {
                    let names: Vec<String> = all.iter().map(|a| name(&a.get_info())).collect();
                    let found = if names.is_empty() { "none".into() } else { names.join(", ") };
                    return Err(GpuError::NoSuchAdapter { index, found });
                }
                all.swap_remove(index)
            }
        };
        open(instance, adapter).await
    }

    /// Open an adapter that can draw to `surface`, which `instance` made.
    ///
    /// # Errors
    /// As [`Gpu::request`].
    pub async fn request_for_surface(
        instance: wgpu::Instance,
        surface: &wgpu::Surface<'_>,
    ) -> Result<Gpu, GpuError> {
        let adapter = best(&instance, Some(surface)).await?;
        open(instance, adapter).await
    }

    /// Run on the caller's device. Its errors go to the caller's own handlers, and to wgpu's, which
    /// panics, where there are none: see `wgpu::Device::on_uncaptured_error`.
    pub fn from_device(device: wgpu::Device, queue: wgpu::Queue) -> Gpu {
        let info = device.adapter_info();
        Gpu::new(device, queue, info, None, Arc::default())
    }

    /// Wraps a device shared with another library; its errors are reported by [`Gpu::check`]: those of the library's
    /// own calls and the device's loss too. They no longer reach the library's handler of uncaptured errors, which may
    /// panic.
    pub fn beside(device: wgpu::Device, queue: wgpu::Queue) -> Gpu {
        let info = device.adapter_info();
        let health = watch(&device);
        Gpu::new(device, queue, info, None, health)
    }

    fn new(
        device: wgpu::Device,
        queue: wgpu::Queue,
        info: wgpu::AdapterInfo,
        origin: Option<(wgpu::Instance, wgpu::Adapter)>,
        health: Arc<Mutex<Health>>,
    ) -> Gpu {
        #[allow(clippy::arc_with_non_send_sync, reason = "wasm has one thread")]
        let shared = Arc::new(Shared { info, origin, health, pipelines: Pipelines::default() });
        Gpu {
            device,
            queue,
            shared,
            #[cfg(feature = "workbench")]
            plain: false,
            #[cfg(feature = "workbench")]
            forced: None,
        }
    }

    /// Names of the adapters on this machine, in the order of [`GpuChoice::Index`].
    pub async fn adapters() -> Vec<String> {
        let all = new_instance().enumerate_adapters(wgpu::Backends::all()).await;
        all.iter().map(|adapter| name(&adapter.get_info())).collect()
    }

    /// The adapter's name and the interface it is reached through.
    pub fn name(&self) -> String {
        name(&self.shared.info)
    }

    /// Whether the adapter is a program on the CPU.
    pub fn is_software(&self) -> bool {
        is_software(&self.shared.info)
    }

    /// The instance, to make surfaces with; `None` on a caller's device.
    pub fn instance(&self) -> Option<&wgpu::Instance> {
        self.shared.origin.as_ref().map(|(instance, _)| instance)
    }

    /// The adapter, to ask for a surface's formats; `None` on a caller's device.
    pub fn adapter(&self) -> Option<&wgpu::Adapter> {
        self.shared.origin.as_ref().map(|(_, adapter)| adapter)
    }

    /// What the driver has reported since the last call. A lost device stays lost.
    ///
    /// # Errors
    /// The first error reported.
    pub fn check(&self) -> Result<(), GpuError> {
        let mut health = self.shared.health.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reason) = &health.lost {
            return Err(GpuError::Lost(reason.clone()));
        }
        health.error.take().map_or(Ok(()), Err)
    }

    /// This device with the plain kernels, one for each layer and direction: the oracle of the fused ones, and
    /// what they are compared with.
    #[cfg(feature = "workbench")]
    pub fn with_plain_kernels(self) -> Gpu {
        Gpu { plain: true, ..self }
    }

    /// This device with one kernel under all linear layers and convolutions that it can compute, for tests
    /// and for tuning.
    #[cfg(feature = "workbench")]
    pub fn with_kernel(self, choice: Choice) -> Gpu {
        Gpu { forced: Some(choice), ..self }
    }

    /// Whether kernels may use subgroups. (wgpu cannot ask a browser for them yet.)
    fn has_subgroups(&self) -> bool {
        self.device.features().contains(wgpu::Features::SUBGROUP)
    }

    /// The kernel for a correlation.
    pub(super) fn choose(&self, size: &Size) -> Choice {
        #[cfg(feature = "workbench")]
        if let Some(choice) = self.forced {
            return choice;
        }
        choose(size, !self.is_software(), self.has_subgroups())
    }

    /// Whether an average over so many places is worth a workgroup.
    pub(super) fn pools_by_groups(&self, places: usize) -> bool {
        #[cfg(feature = "workbench")]
        if self.forced.is_some() {
            return places > 1;
        }
        places >= 64 && !self.is_software()
    }

    #[cfg(feature = "workbench")]
    pub(super) fn uses_plain_kernels(&self) -> bool {
        self.plain
    }

    pub(super) fn pipelines(&self) -> &Pipelines {
        &self.shared.pipelines
    }
}

async fn best(
    instance: &wgpu::Instance,
    surface: Option<&wgpu::Surface<'_>>,
) -> Result<wgpu::Adapter, GpuError> {
    let options = wgpu::RequestAdapterOptions {
        power_preference: wgpu::PowerPreference::HighPerformance,
        compatible_surface: surface,
        ..Default::default()
    };
    instance.request_adapter(&options).await.map_err(|e| GpuError::NoAdapter(e.to_string()))
}

async fn hardware(instance: &wgpu::Instance) -> Result<wgpu::Adapter, GpuError> {
    // The first choice is a software adapter only where the driver lists nothing better.
    let adapter = best(instance, None).await?;
    let info = adapter.get_info();
    if is_software(&info) {
        return Err(GpuError::SoftwareOnly(name(&info)));
    }
    Ok(adapter)
}

async fn open(instance: wgpu::Instance, adapter: wgpu::Adapter) -> Result<Gpu, GpuError> {
    let info = adapter.get_info();
    // To time kernels, and for software adapters; a page asks for nothing beyond the defaults.
    let wanted = match cfg!(feature = "workbench") {
        true => wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SUBGROUP,
        false => wgpu::Features::empty(),
    };
    let descriptor = wgpu::DeviceDescriptor {
        label: Some("dual-mcmc"),
        required_features: adapter.features() & wanted,
        required_limits: wgpu::Limits::defaults(),
        ..Default::default()
    };
    let (device, queue) = adapter
        .request_device(&descriptor)
        .await
        .map_err(|e| GpuError::NoDevice { adapter: name(&info), reason: e.to_string() })?;
    let health = watch(&device);
    Ok(Gpu::new(device, queue, info, Some((instance, adapter)), health))
}

/// Keep the first error that the driver reports, and its loss, for [`Gpu::check`].
fn watch(device: &wgpu::Device) -> Arc<Mutex<Health>> {
    let health: Arc<Mutex<Health>> = Arc::default();
    let reported = Arc::clone(&health);
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        let error = match error {
            wgpu::Error::OutOfMemory { .. } => GpuError::OutOfMemory,
            other => GpuError::Device(other.to_string()),
        };
        // The first error is the cause; what follows are its consequences.
        reported.lock().unwrap_or_else(PoisonError::into_inner).error.get_or_insert(error);
    }));
    let reported = Arc::clone(&health);
    device.set_device_lost_callback(move |reason, message| {
        let reason = if message.is_empty() { format!("{reason:?}") } else { message };
        reported.lock().unwrap_or_else(PoisonError::into_inner).lost.get_or_insert(reason);
    });
    health
}
