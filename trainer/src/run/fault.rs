//! Devices that fail in mid-run. Some of burn's give an error, others panic, here or on threads of their
//! own; either way a run is to end with a message.

use super::device;
use crate::console::one_line;
use crate::networks::DeviceError;
use crate::teaching::TeachingError;
use dual_mcmc::executor::ExecutorError;
use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, Location, PanicHookInfo, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};

/// A device that has failed.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{device} failed: {reason}")]
pub struct Fault {
    /// The device, as a person names it.
    pub device: String,
    /// The device's error message.
    pub reason: String,
}

/// While there is one, panics of burn's devices are not printed: those within [`caught`], which tells them as an error,
/// and those of the devices' own threads, which such a panic follows. All others are printed as ever.
pub struct Quiet(());

static QUIET: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread is within [`caught`].
    static CAUGHT: Cell<bool> = const { Cell::new(false) };
}

/// The first panic that was not printed.
static SAID: Mutex<Option<String>> = Mutex::new(None);

/// The crates that run burn's devices, as they stand in the paths of their sources.
const DEVICE_CRATES: [&str; 5] = ["/burn-", "/cubecl-", "/cubek-", "/wgpu-", "/tokio-"];

/// Whether a panic is one of a device.
fn of_a_device(panic: &PanicHookInfo) -> bool {
    let in_device_crate = |place: &Location| {
        let file = place.file().replace('\\', "/");
        DEVICE_CRATES.iter().any(|name| file.contains(name))
    };
    CAUGHT.get() || panic.location().is_some_and(in_device_crate)
}

impl Quiet {
    /// Silences panics of devices until dropped.
    pub fn new() -> Quiet {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                if QUIET.load(Ordering::SeqCst) == 0 || !of_a_device(panic) {
                    return usual(panic);
                }
                let said = panic.payload_as_str().unwrap_or("it panicked").to_string();
                SAID.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(said);
            }));
        });
        QUIET.fetch_add(1, Ordering::SeqCst);
        Quiet(())
    }
}

impl Default for Quiet {
    fn default() -> Quiet {
        Quiet::new()
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        QUIET.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What `run` returns, or the message of the panic that ended it.
///
/// # Errors
/// If it panics.
pub fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    let outer = CAUGHT.replace(true);
    let result = catch_unwind(AssertUnwindSafe(run));
    CAUGHT.set(outer);
    result.map_err(|panic| {
        // What was said first is the cause: it may have been on another thread.
        let first = SAID.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(reason) = device::lost() {
            return gpu_lost(&reason);
        }
        one_line(&first.unwrap_or_else(|| message(panic.as_ref())))
    })
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".into())
}

/// What a device's error says, in one line.
pub fn reason(error: &anyhow::Error) -> String {
    let lost = error.chain().find_map(|cause| {
        let executor = match cause.downcast_ref::<TeachingError>() {
            Some(TeachingError::Executor(error)) => Some(error.as_ref()),
            _ => cause.downcast_ref::<ExecutorError>(),
        };
        device::loss(executor?)
    });
    // burn does not say so itself. What a program should do about it is no advice for its user.
    let lost = lost.or_else(|| device::lost().filter(|_| of_device(error)));
    lost.map_or_else(|| one_line(&format!("{error:#}")), |reason| gpu_lost(&reason))
}

fn gpu_lost(reason: &str) -> String {
    format!("the GPU was lost ({reason})")
}

/// Whether an error says that a device has failed, and not, for example, a file.
pub fn of_device(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let teaching = cause.downcast_ref::<TeachingError>();
        matches!(teaching, Some(TeachingError::Executor(_) | TeachingError::Device(_)))
            || cause.is::<ExecutorError>()
            || device::is_of_gpu(cause)
            || cause.is::<DeviceError>()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_panic_is_caught_with_its_message() {
        let quiet = Quiet::new();
        let caught: Result<(), String> = caught(|| panic!("the wire\nis cut"));
        assert_eq!(caught.unwrap_err(), "the wire");
        drop(quiet);
        assert_eq!(super::caught(|| 3), Ok(3));
    }

    /// A panic that has nothing to do with devices keeps its own message.
    #[test]
    fn other_panics_are_not_silenced() {
        let quiet = Quiet::new();
        let other = std::thread::spawn(|| {
            let panic = std::panic::catch_unwind(|| panic!("a fault of this program"));
            panic.unwrap_err().downcast_ref::<&str>().map(ToString::to_string)
        });
        assert_eq!(other.join().unwrap().as_deref(), Some("a fault of this program"));
        let kept = SAID.lock().unwrap().clone();
        assert_ne!(kept.as_deref(), Some("a fault of this program"));
        drop(quiet);
    }

    #[cfg(feature = "gpu")]
    #[test]
    fn errors_of_devices_are_told_from_others() {
        use dual_mcmc::gpu::GpuError;
        let lost = TeachingError::from(ExecutorError::from(GpuError::Lost("gone".into())));
        let lost = anyhow::Error::from(lost).context("while training");
        assert!(of_device(&lost));
        assert_eq!(reason(&lost), "the GPU was lost (gone)");
        assert!(of_device(&anyhow::Error::from(ExecutorError::from(GpuError::OutOfMemory))));
        assert!(!of_device(&anyhow::anyhow!("the disk is full")));
    }
}
