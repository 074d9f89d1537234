//! One set of chains, on the device that was found.

use super::{cpu, gpu, start};
use crate::dom;
use crate::problem::Problem;
use crate::state::{DeviceChoice, Facts, Settings, Start};
use dual_mcmc::chain::{Langevin, Trace, noise_start};
use dual_mcmc::gpu::{Gpu, GpuChoice, GpuError};
use dual_mcmc::model::Model;
use dual_mcmc::network::NetworkError;
use js_sys::{Function, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

/// Why the processor, where it is so many times as fast as WebGPU in software.
fn beside_software(times: Option<f64>) -> String {
    let why = match times {
        None => "since this browser has WebGPU in software only".into(),
        Some(times) => format!("here {times:.1} times as fast as this browser’s WebGPU in software"),
    };
    why + " (device=gpu in the address runs that)"
}

/// What the chains run on.
#[derive(Clone, Debug)]
pub enum Device {
    /// WebGPU, and the adapter's name where the browser tells it.
    Gpu(Gpu, String),
    /// The processor, in workers beside the page.
    Cpu {
        /// Why, a sentence for the reader.
        why: String,
        /// WebGPU in software, which may be faster, and its adapter's name: for those who compare.
        rival: Option<(Gpu, String)>,
    },
}

impl Device {
    /// Find the device to run on. There is always one: the CPU. `compares` says whether it is to be compared with
    /// others.
    pub async fn find(choice: DeviceChoice, compares: bool) -> Device {
        if choice == DeviceChoice::Cpu {
            return Device::cpu("as the address asks (device=cpu)");
        }
        let navigator_gpu =
            Reflect::get(&dom::window().navigator(), &"gpu".into()).unwrap_or(JsValue::UNDEFINED);
        if !navigator_gpu.is_object() {
            let why = if dom::window().is_secure_context() {
                "since this browser has no WebGPU"
            } else {
                "since browsers offer WebGPU only over https (or on localhost), and this page came over plain http"
            };
            return Device::cpu(why);
        }
        match open().await {
            Ok(gpu) => {
                let name = adapter_name(&navigator_gpu).await.unwrap_or_default();
                if gpu.is_software() && choice == DeviceChoice::Auto {
                    // It starts at once; WebGPU's kernels take seconds to be compiled there.
                    return Device::Cpu {
                        why: beside_software(None),
                        rival: compares.then_some((gpu, name)),
                    };
                }
                Device::Gpu(gpu, name)
            }
            Err(GpuError::NoAdapter(_)) => {
                Device::cpu("since the browser offers WebGPU but no graphics adapter")
            }
            Err(error) => Device::cpu(&format!("since the graphics adapter could not be opened ({error})")),
        }
    }

    fn cpu(why: &str) -> Device {
        Device::Cpu { why: why.into(), rival: None }
    }

    /// What else there is, which may be faster.
    pub fn rival(&self) -> Option<Device> {
        match self {
            Device::Cpu { rival: Some((gpu, name)), .. } => Some(Device::Gpu(gpu.clone(), name.clone())),
            _ => None,
        }
    }

    /// The processor was measured to be so many times as fast as its rival, or that is not known yet.
    pub fn compared(&mut self, times: Option<f64>) {
        if let Device::Cpu { why, rival: Some(_) } = self {
            *why = beside_software(times);
        }
    }

    /// Whether steps take long: on the CPU, or on an adapter that is a program on it.
    pub fn slow(&self) -> bool {
        match self {
            Device::Gpu(gpu, _) => gpu.is_software(),
            Device::Cpu { .. } => true,
        }
    }

    /// The adapter's name, or why there is none.
    pub fn name(&self) -> &str {
        match self {
            Device::Gpu(_, name) => name,
            Device::Cpu { why, .. } => why,
        }
    }

    /// The device in words, to follow “on”.
    pub fn words(&self) -> String {
        match self {
            Device::Gpu(gpu, name) => {
                let what = if gpu.is_software() {
                    "WebGPU, in software"
                } else {
                    "your graphics processor, through WebGPU"
                };
                if name.is_empty() { what.into() } else { format!("{what} ({name})") }
            }
            Device::Cpu { why, .. } => format!("your processor, {why}"),
        }
    }
}

/// A device, with subgroups where `web/subgroups.js` got them.
pub async fn open() -> Result<Gpu, GpuError> {
    let gpu = Gpu::request(GpuChoice::Any).await?;
    let subgroups = Reflect::get(&dom::window(), &"subgroups".into());
    Ok(if subgroups.is_ok_and(|has| has.is_truthy()) { gpu.with_subgroups() } else { gpu })
}

/// Maker and architecture of the adapter, which the browser tells only to scripts.
async fn adapter_name(navigator_gpu: &JsValue) -> Option<String> {
    let get = |object: &JsValue, name: &str| Reflect::get(object, &name.into()).ok();
    let options = Object::new();
    Reflect::set(&options, &"powerPreference".into(), &"high-performance".into()).ok()?;
    let request: Function = get(navigator_gpu, "requestAdapter")?.dyn_into().ok()?;
    let promise: Promise = request.call1(navigator_gpu, &options).ok()?.dyn_into().ok()?;
    let info = get(&JsFuture::from(promise).await.ok()?, "info")?;
    let words = ["vendor", "architecture"]
        .map(|name| get(&info, name).and_then(|v| v.as_string()).unwrap_or_default());
    Some(words.join(" ").trim().to_string())
}

/// The states of chains, where they are.
pub enum Picture<'a> {
    /// On the device.
    Gpu(&'a Gpu, &'a wgpu::Buffer),
    /// In memory.
    Cpu(&'a [f32]),
}

enum Sampler {
    Gpu(Box<gpu::Sampler>),
    Cpu(cpu::Sampler),
}

/// Chains that run.
pub struct Engine {
    sampler: Sampler,
    facts: Facts,
    chains: usize,
}

impl From<GpuError> for Problem {
    fn from(error: GpuError) -> Problem {
        match error {
            GpuError::Lost(reason) => Problem::device(
                "The graphics device was lost",
                format!("The driver says: {}. Try again, or go on on the CPU.", reason.trim_end_matches('.')),
            ),
            GpuError::TooMany { asked, fit } => Problem::new(
                "Too many chains",
                format!("{asked} do not fit into this graphics device at once; choose {fit} or fewer."),
            ),
            GpuError::OutOfMemory => Problem::device(
                "The graphics device is out of memory",
                "Choose fewer chains, close other programs, or go on on the CPU.",
            ),
            GpuError::Settings(reason) => {
                Problem::new("The chain cannot run like this", format!("{reason}."))
            }
            other => Problem::device(
                "The graphics device failed",
                format!("{other}. Try again, or go on on the CPU."),
            ),
        }
    }
}

impl From<NetworkError> for Problem {
    fn from(error: NetworkError) -> Problem {
        Problem::new("The model cannot be run", format!("{error}."))
    }
}

impl Engine {
    /// Chains of `model`, read from `file`, on `device`, not yet started.
    ///
    /// # Errors
    /// If they do not fit the device.
    pub async fn new(
        device: &Device,
        model: &Model,
        file: &Uint8Array,
        chains: usize,
    ) -> Result<Engine, Problem> {
        let facts = Facts::of(model);
        let sampler = match (device, &model.energy) {
            (Device::Gpu(gpu, _), Some(energy)) => {
                Sampler::Gpu(Box::new(gpu::Sampler::new(gpu, energy, model.generator.as_ref(), chains)?))
            }
            // Without an energy nothing runs, and the few samples need no graphics device.
            (_, energy) => {
                let workers = energy.as_ref().map_or(Ok(1), |energy| cpu::workers(energy, chains))?;
                Sampler::Cpu(cpu::Sampler::new(file, chains, workers).await?)
            }
        };
        Ok(Engine { sampler, facts, chains })
    }

    /// Start all chains anew.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn start(&mut self, settings: &Settings) -> Result<(), Problem> {
        let (seed, langevin) = (settings.seed, &settings.langevin);
        let from_generator = settings.start == Start::Generator && self.facts.generator;
        match &mut self.sampler {
            Sampler::Gpu(sampler) if from_generator => {
                let latents = start::latents(seed, 0, self.chains, self.facts.latent);
                sampler.start_generated(&latents, seed, langevin)?;
            }
            Sampler::Gpu(sampler) => {
                let noise = noise_start(seed, &self.facts.shape, 0, self.chains, 0);
                sampler.start_at(&noise, seed, langevin)?;
            }
            Sampler::Cpu(sampler) => sampler.start(seed, from_generator).await?,
        }
        Ok(())
    }

    /// Whether there is a chain to run, and not only starts to look at.
    pub fn runs(&self) -> bool {
        self.facts.energy
    }

    /// Steps that all chains have taken.
    pub fn steps(&self) -> u32 {
        match &self.sampler {
            Sampler::Gpu(sampler) => sampler.steps(),
            Sampler::Cpu(sampler) => sampler.steps(),
        }
    }

    /// Take `steps` steps.
    ///
    /// # Errors
    /// If the settings are impossible or the device failed.
    pub async fn advance(&mut self, steps: u32, langevin: &Langevin) -> Result<(), Problem> {
        match &mut self.sampler {
            Sampler::Gpu(sampler) => sampler.advance(steps, langevin).await?,
            Sampler::Cpu(sampler) => {
                langevin.check().map_err(GpuError::Settings)?;
                sampler.advance(steps, langevin).await?;
            }
        }
        Ok(())
    }

    /// The current states, `[chains, data]`.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn state(&self) -> Result<Vec<f32>, Problem> {
        match &self.sampler {
            Sampler::Gpu(sampler) => Ok(sampler.state().await?),
            Sampler::Cpu(sampler) => Ok(sampler.state().to_vec()),
        }
    }

    /// Energies along the way.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn trace(&self) -> Result<Trace, Problem> {
        match &self.sampler {
            Sampler::Gpu(sampler) => Ok(sampler.trace().await?),
            Sampler::Cpu(sampler) => sampler.trace().await,
        }
    }

    /// The current states, to be drawn.
    pub fn current(&self) -> Picture<'_> {
        match &self.sampler {
            Sampler::Gpu(sampler) => Picture::Gpu(sampler.gpu(), sampler.state_buffer()),
            Sampler::Cpu(sampler) => Picture::Cpu(sampler.state()),
        }
    }

    /// Where the chains started, to be drawn.
    pub fn beginning(&self) -> Picture<'_> {
        match &self.sampler {
            Sampler::Gpu(sampler) => Picture::Gpu(sampler.gpu(), sampler.start_buffer()),
            Sampler::Cpu(sampler) => Picture::Cpu(sampler.start_state()),
        }
    }

    /// Energies at `points` of `model`, which these are chains of.
    ///
    /// # Errors
    /// If the device failed.
    pub async fn energies(&self, model: &Model, points: &[f32]) -> Result<Vec<f32>, Problem> {
        match (&self.sampler, &model.energy) {
            (Sampler::Gpu(sampler), Some(energy)) => Ok(gpu::energies(sampler.gpu(), energy, points).await?),
            (Sampler::Cpu(sampler), _) => sampler.energies(points).await,
            _ => Ok(Vec::new()),
        }
    }
}
