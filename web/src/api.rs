//! The page for scripts: `window.dualMcmc`, for notebooks, lectures and tests.
//!
//! ```js
//! await dualMcmc.state()      // once the model runs: { device: 'gpu' | 'cpu', adapter, model, view,
//!                             //   chains, shape, step, playing, stepSize, noise, seed,
//!                             //   energies: [of each chain], trace: [mean energy of each step kept],
//!                             //   x: Float32Array of chains × shape, read back }
//! await dualMcmc.step(30)     // take 30 steps, playing or not
//! await dualMcmc.energyOnCpu(x) // energies of samples, by the CPU executor
//! ```
//! Each promise is rejected with the sentence that the page shows when something is wrong.

use crate::dom;
use crate::engine::{Device, energies_here};
use crate::history::History;
use crate::lab::{Lab, Reply, Request};
use crate::loading::{self, Source};
use crate::problem::Problem;
use crate::session::Loaded;
use crate::state::Settings;
use js_sys::{Float32Array, Promise};
use serde::Serialize;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::future_to_promise;

/// What `state()` tells.
pub struct Snapshot<'a> {
    /// The device.
    pub device: &'a Device,
    /// The model.
    pub loaded: &'a Loaded,
    /// The settings in force.
    pub settings: &'a Settings,
    /// Steps taken.
    pub steps: u32,
    /// Whether the chains run.
    pub playing: bool,
    /// Energies.
    pub history: &'a History,
    /// States, read back.
    pub states: &'a [f32],
}

/// What a script is told.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Described<'a> {
    device: &'static str,
    adapter: &'a str,
    model: String,
    view: &'static str,
    chains: usize,
    shape: &'a [usize],
    step: u32,
    playing: bool,
    step_size: f64,
    noise: f64,
    seed: u64,
    energies: &'a [f32],
    trace: Vec<f32>,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    x: Float32Array,
}

/// A snapshot as a script sees it.
pub fn describe(s: &Snapshot) -> JsValue {
    let model = match &s.loaded.source {
        Source::Address(url) => url.clone(),
        file => file.name(),
    };
    // In decimals as on the page, not as the nearest f32.
    let decimal = |value: f32| value.to_string().parse().unwrap_or(f64::from(value));
    let described = Described {
        device: if matches!(s.device, Device::Gpu(..)) { "gpu" } else { "cpu" },
        adapter: s.device.name(),
        model,
        view: s.settings.view.word(),
        chains: s.settings.chains,
        shape: &s.loaded.facts.shape,
        step: s.steps,
        playing: s.playing,
        step_size: decimal(s.settings.langevin.step_size),
        noise: decimal(s.settings.langevin.noise),
        seed: s.settings.seed,
        energies: s.history.current(),
        trace: s.history.rows().iter().map(|row| row.mean).collect(),
        x: Float32Array::from(s.states),
    };
    serde_wasm_bindgen::to_value(&described).unwrap_or_else(JsValue::from)
}

/// The object that scripts find in the window.
#[wasm_bindgen]
pub struct DualMcmc {
    lab: Rc<Lab>,
}

#[wasm_bindgen]
impl DualMcmc {
    /// A promise of what is on the page.
    pub fn state(&self) -> Promise {
        self.ask(Request::State)
    }

    /// A promise that so many steps are taken; one, if none is given.
    pub fn step(&self, steps: Option<f64>) -> Promise {
        let steps = steps.unwrap_or(1.0).clamp(0.0, 1e6) as u32;
        self.ask(|reply| Request::Step(steps, reply))
    }

    /// A promise of the energies of samples, by the CPU executor.
    #[wasm_bindgen(js_name = energyOnCpu)]
    pub fn energy_on_cpu(&self, x: &Float32Array) -> Promise {
        let (x, source) = (x.to_vec(), self.lab.wanted());
        future_to_promise(async move {
            energy_on_cpu(&x, source).await.map_err(|reason| js_sys::Error::new(&reason).into())
        })
    }

    fn ask(&self, request: impl Fn(Reply) -> Request) -> Promise {
        Promise::new(&mut |resolve, reject| {
            self.lab.requests.borrow_mut().push_back(request(Reply { resolve, reject }));
            self.lab.touch();
        })
    }
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(extends = web_sys::Window)]
    type ScriptedWindow;
    #[wasm_bindgen(method, setter, js_name = dualMcmc)]
    fn set_dual_mcmc(this: &ScriptedWindow, object: DualMcmc);
}

/// Put the object into the window.
pub fn expose(lab: &Rc<Lab>) {
    dom::window().unchecked_into::<ScriptedWindow>().set_dual_mcmc(DualMcmc { lab: lab.clone() });
}

/// Energies of samples by the CPU executor, from the model file itself: nothing is shared with the
/// chains that run.
async fn energy_on_cpu(x: &[f32], source: Option<Source>) -> Result<JsValue, String> {
    let source = source.ok_or("no model is chosen")?;
    let words = |problem: Problem| problem.to_string();
    let loaded = loading::load(&source, &|_, _| {}, &|| true).await.map_err(words)?;
    let (_, file) = loaded.ok_or("the model could not be loaded")?;
    // The title would be about chains.
    let energies = energies_here(&file, x).await.map_err(|problem| problem.advice)?;
    Ok(serde_wasm_bindgen::to_value(&energies).unwrap_or_else(JsValue::from))
}
