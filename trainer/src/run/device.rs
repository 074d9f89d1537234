//! Which devices train and which executors run the chains.

#[cfg(feature = "gpu")]
#[path = "device/graphics.rs"]
mod graphics;
#[cfg(not(feature = "gpu"))]
#[path = "device/no_graphics.rs"]
mod graphics;

#[cfg(not(feature = "remote"))]
use anyhow::bail;
use anyhow::{Result, ensure};
use burn::tensor::Device;
use dual_mcmc::executor::Executor;
pub use graphics::{is_of_gpu, loss, lost};
use std::str::FromStr;

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

/// One of the devices that share the work of training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrainingChoice {
    /// A device of this machine.
    Local(DeviceChoice),
    /// Served by `dual-mcmc worker` at this address, `ws://HOST:PORT`.
    Remote(String),
}

impl FromStr for TrainingChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<TrainingChoice, String> {
        match text.strip_prefix("remote:") {
            Some(url) if !cfg!(feature = "remote") => Err(format!(
                "this program was built without remote devices; build it with `--features remote` to reach {url}"
            )),
            Some(url) if url.strip_prefix("ws://").is_some_and(|host| !host.is_empty()) => {
                Ok(TrainingChoice::Remote(url.into()))
            }
            Some(_) => Err("the address of a remote device must be ws://HOST:PORT".into()),
            None => text
                .parse()
                .map(TrainingChoice::Local)
                .map_err(|_| "it must be auto, gpu, gpu:N, cpu or remote:ws://HOST:PORT".into()),
        }
    }
}

/// Where networks learn and where their chains run: the same GPU, or the CPU, or in burn on a remote device.
#[derive(Clone)]
pub struct TrainingDevice {
    /// burn's device for the parameters.
    pub parameters: Device,
    /// Runs the chains. Beside a remote device it is this machine's CPU, and runs those of measurements
    /// and pictures alone.
    pub executor: Executor,
    /// The address of a remote device.
    pub remote: Option<String>,
}

impl TrainingDevice {
    /// The device's name, for people.
    pub fn name(&self) -> String {
        match &self.remote {
            Some(url) => format!("remote:{url}"),
            None => self.executor.name(),
        }
    }

    /// What runs the iteration's chains; `None` where they run in burn.
    pub fn chains(&self) -> Option<&Executor> {
        Some(&self.executor).filter(|_| self.remote.is_none())
    }

    /// Whether it can vanish while the program runs.
    pub fn can_vanish(&self) -> bool {
        self.remote.is_some() || !matches!(self.executor, Executor::Cpu { .. })
    }
}

/// Names of all devices, for people.
pub fn names(devices: &[TrainingDevice]) -> String {
    devices.iter().map(TrainingDevice::name).collect::<Vec<_>>().join(" + ")
}

/// The executor for chains alone.
///
/// # Errors
/// If a GPU is asked for and there is none.
pub fn executor(choice: DeviceChoice) -> Result<Executor> {
    Ok(graphics::executor(choice)?.unwrap_or_else(Executor::cpu))
}

/// Devices that share the work of training. The CPU may be given more than once; its cores are then divided.
///
/// # Errors
/// If one cannot be opened or reached, or another than the CPU is given twice.
pub fn all(choices: &[TrainingChoice]) -> Result<Vec<TrainingDevice>> {
    ensure!(
        choices.len() == 1 || !choices.contains(&TrainingChoice::Local(DeviceChoice::Auto)),
        "--device auto chooses one device; name each where there are several"
    );
    let open = |choice: &TrainingChoice| match choice {
        TrainingChoice::Local(choice) => training(*choice),
        TrainingChoice::Remote(url) => remote(url),
    };
    let mut devices = choices.iter().map(open).collect::<Result<Vec<_>>>()?;
    let on_cpu = |device: &TrainingDevice| device.parameters == Device::flex();
    for (i, device) in devices.iter().enumerate() {
        let twice = devices[..i].iter().any(|other| other.parameters == device.parameters);
        ensure!(!twice || on_cpu(device), "--device names {} twice", device.name());
    }
    let shares = devices.iter().filter(|device| on_cpu(device)).count();
    for device in devices.iter_mut().filter(|device| on_cpu(device)) {
        match &mut device.executor {
            Executor::Cpu { threads } => *threads = (*threads / shares).max(1),
            #[cfg(feature = "gpu")]
            Executor::Gpu(_) => {}
        }
    }
    Ok(devices)
}

/// A device served by `dual-mcmc worker`.
#[cfg(feature = "remote")]
fn remote(url: &str) -> Result<TrainingDevice> {
    use crate::console::one_line;
    use burn::remote::{ConnectError, RemoteHost};
    let mut host = RemoteHost::websocket(url);
    if let Some(token) = token()? {
        host = host.with_credential(token);
    }
    let parameters = Device::remote_options(&host).init().map_err(|error| {
        let what_to_do = match error {
            ConnectError::Unauthorized => format!("set {TOKEN} to the worker's token"),
            _ => "start it there with `dual-mcmc worker`".into(),
        };
        anyhow::anyhow!("cannot use remote:{url}: {}; {what_to_do}", one_line(&error.to_string()))
    })?;
    Ok(TrainingDevice { parameters, executor: Executor::cpu(), remote: Some(url.into()) })
}

#[cfg(not(feature = "remote"))]
fn remote(url: &str) -> Result<TrainingDevice> {
    bail!("this program was built without remote devices, and cannot reach {url}")
}

/// Names the environment variable that holds the token shared by a worker and its users.
#[cfg(feature = "remote")]
pub const TOKEN: &str = "DUAL_MCMC_TOKEN";

/// The shared token, where there is one.
///
/// # Errors
/// If it is too short to be a secret.
#[cfg(feature = "remote")]
pub fn token() -> Result<Option<String>> {
    const SHORTEST: usize = 16;
    let Some(token) = std::env::var(TOKEN).ok().filter(|token| !token.is_empty()) else { return Ok(None) };
    ensure!(token.len() >= SHORTEST, "{TOKEN} must hold at least {SHORTEST} characters");
    Ok(Some(token))
}

/// A device of this machine for training. On a GPU the chains run on burn's own wgpu device.
///
/// # Errors
/// If a GPU is asked for and there is none that burn can use.
pub fn training(choice: DeviceChoice) -> Result<TrainingDevice> {
    let on_cpu = || (Device::flex(), Executor::cpu());
    let (parameters, executor) = graphics::training(choice)?.unwrap_or_else(on_cpu);
    Ok(TrainingDevice { parameters, executor, remote: None })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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

    #[test]
    fn devices_for_training_may_be_remote() {
        assert_eq!("gpu:1".parse(), Ok(TrainingChoice::Local(DeviceChoice::GpuIndex(1))));
        let remote = "remote:ws://127.0.0.1:3000".parse::<TrainingChoice>();
        match cfg!(feature = "remote") {
            true => assert_eq!(remote, Ok(TrainingChoice::Remote("ws://127.0.0.1:3000".into()))),
            false => assert!(remote.unwrap_err().contains("--features remote")),
        }
        for wrong in ["remote", "remote:", "remote:host:3000", "remote:ws://", "tpu"] {
            assert!(wrong.parse::<TrainingChoice>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn cpus_divide_the_cores_and_auto_stands_alone() {
        let cpu = TrainingChoice::Local(DeviceChoice::Cpu);
        let devices = all(&[cpu.clone(), cpu.clone()]).unwrap();
        let Executor::Cpu { threads } = Executor::cpu() else { unreachable!() };
        for device in &devices {
            assert!(matches!(device.executor, Executor::Cpu { threads: n } if n == (threads / 2).max(1)));
        }
        assert!(all(&[cpu, TrainingChoice::Local(DeviceChoice::Auto)]).is_err());
    }
}
