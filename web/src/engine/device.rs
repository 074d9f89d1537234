//! The device that chains run on: WebGPU where there is a graphics processor, else the processor.

use crate::dom;
use crate::state::DeviceChoice;
use dual_mcmc::gpu::{Gpu, GpuChoice, GpuError};
use wasm_bindgen::prelude::*;

/// What the chains run on.
#[derive(Clone, Debug)]
pub enum Device {
    /// WebGPU, and the adapter's name where the browser tells it.
    Gpu(Gpu, String),
    /// The processor, in workers beside the page, and why: a sentence for the reader.
    Cpu(String),
}

impl Device {
    /// Find the device to run on. There is always one: the CPU.
    ///
    /// An adapter that is a program on the CPU is taken only where it is asked for: there the page's own code starts at
    /// once and takes its steps in a fifth of the time, while WebGPU's kernels take seconds to be compiled.
    pub async fn find(choice: DeviceChoice) -> Device {
        if choice == DeviceChoice::Cpu {
            return Device::cpu("as the address asks (device=cpu)");
        }
        let Some(browser_gpu) = dom::window().navigator().unchecked_into::<GpuNavigator>().gpu() else {
            return Device::cpu(if dom::window().is_secure_context() {
                "since this browser has no WebGPU"
            } else {
                "since browsers offer WebGPU only over https (or on localhost), and this page came over plain http"
            });
        };
        match Gpu::request(GpuChoice::Any).await {
            Ok(gpu) if gpu.is_software() && choice == DeviceChoice::Auto => Device::cpu(
                "since this browser has WebGPU in software only (device=gpu in the address runs that)",
            ),
            Ok(gpu) => Device::Gpu(gpu, adapter_name(&browser_gpu).await.unwrap_or_default()),
            Err(GpuError::NoAdapter(_)) => {
                Device::cpu("since the browser offers WebGPU but no graphics adapter")
            }
            Err(error) => Device::cpu(&format!("since the graphics adapter could not be opened ({error})")),
        }
    }

    fn cpu(why: &str) -> Device {
        Device::Cpu(why.into())
    }

    /// Whether steps take long: on the CPU, or on an adapter that is a program on it.
    pub fn slow(&self) -> bool {
        match self {
            Device::Gpu(gpu, _) => gpu.is_software(),
            Device::Cpu(_) => true,
        }
    }

    /// The adapter's name, or why there is none.
    pub fn name(&self) -> &str {
        match self {
            Device::Gpu(_, name) => name,
            Device::Cpu(why) => why,
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
            Device::Cpu(why) => format!("your processor, {why}"),
        }
    }
}

// What web_sys has of WebGPU only behind a compiler flag.
#[wasm_bindgen]
extern "C" {
    type GpuNavigator;
    #[wasm_bindgen(method, getter)]
    fn gpu(this: &GpuNavigator) -> Option<BrowserGpu>;

    type BrowserGpu;
    #[wasm_bindgen(method, catch, js_name = requestAdapter)]
    async fn request_adapter(this: &BrowserGpu, options: JsValue) -> Result<JsValue, JsValue>;

    type BrowserAdapter;
    #[wasm_bindgen(method, getter)]
    fn info(this: &BrowserAdapter) -> Option<BrowserAdapterInfo>;

    type BrowserAdapterInfo;
    #[wasm_bindgen(method, getter)]
    fn vendor(this: &BrowserAdapterInfo) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn architecture(this: &BrowserAdapterInfo) -> Option<String>;
}

/// Maker and architecture of the adapter, which wgpu does not tell.
async fn adapter_name(gpu: &BrowserGpu) -> Option<String> {
    // The adapter that wgpu asks for.
    let options = js_sys::JSON::parse(r#"{"powerPreference":"high-performance"}"#).ok()?;
    let adapter = gpu.request_adapter(options).await.ok().filter(JsValue::is_object)?;
    let info = adapter.unchecked_into::<BrowserAdapter>().info()?;
    let words = [info.vendor(), info.architecture()].map(Option::unwrap_or_default);
    Some(words.join(" ").trim().to_string())
}
