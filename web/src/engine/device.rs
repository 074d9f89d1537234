//! The device that chains run on: WebGPU where there is a graphics processor, else the processor.

use crate::dom;
use crate::draw::Painters;
use dual_mcmc::gpu::{Gpu, GpuChoice, GpuError};
use std::cell::OnceCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// The graphics device that all figures of a page share.
pub struct Graphics {
    /// The device.
    pub gpu: Gpu,
    /// The adapter's name, where the browser tells it.
    pub name: String,
    painters: OnceCell<Painters>,
}

impl Graphics {
    /// Open the browser's graphics device.
    ///
    /// # Errors
    /// Why there is none, to follow “on your processor, ”.
    pub async fn find() -> Result<Graphics, String> {
        let Some(browser_gpu) = dom::window().navigator().unchecked_into::<GpuNavigator>().gpu() else {
            return Err(if dom::window().is_secure_context() {
                "since this browser has no WebGPU".into()
            } else {
                "since browsers offer WebGPU only over https (or on localhost), and this page came over plain http".into()
            });
        };
        match Gpu::request(GpuChoice::Any).await {
            Ok(gpu) => {
                let name = adapter_name(&browser_gpu).await.unwrap_or_default();
                Ok(Graphics { gpu, name, painters: OnceCell::new() })
            }
            Err(GpuError::NoAdapter(_)) => {
                Err("since the browser offers WebGPU but no graphics adapter".into())
            }
            Err(error) => Err(format!("since the graphics adapter could not be opened ({error})")),
        }
    }

    /// Whether the device is gone for good.
    pub fn lost(&self) -> bool {
        matches!(self.gpu.check(), Err(GpuError::Lost(_)))
    }

    /// What draws on canvases of this format, the first that was asked for. All canvases have the same.
    pub fn painters(&self, format: wgpu::TextureFormat) -> &Painters {
        self.painters.get_or_init(|| Painters::new(&self.gpu, format))
    }
}

/// What the chains run on.
#[derive(Clone)]
pub enum Device {
    /// WebGPU.
    Gpu(Rc<Graphics>),
    /// The processor, in workers beside the page, and why: a sentence for the reader.
    Cpu(String),
}

impl Device {
    /// Whether steps take long: on the CPU, or on an adapter that is a program on it.
    pub fn slow(&self) -> bool {
        match self {
            Device::Gpu(graphics) => graphics.gpu.is_software(),
            Device::Cpu(_) => true,
        }
    }

    /// Whether it is WebGPU.
    pub fn is_gpu(&self) -> bool {
        matches!(self, Device::Gpu(_))
    }

    /// The adapter's name, or why there is none.
    pub fn name(&self) -> &str {
        match self {
            Device::Gpu(graphics) => &graphics.name,
            Device::Cpu(why) => why,
        }
    }

    /// The device in words, to follow “on”.
    pub fn words(&self) -> String {
        match self {
            Device::Gpu(graphics) => {
                let what = if graphics.gpu.is_software() {
                    "WebGPU, in software"
                } else {
                    "your graphics processor, through WebGPU"
                };
                let name = &graphics.name;
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
