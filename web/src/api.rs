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
use crate::engine::{Device, cpu};
use crate::history::History;
use crate::lab::{Lab, Reply, Request};
use crate::loading::{self, Source};
use crate::problem::Problem;
use crate::session::Loaded;
use crate::state::Settings;
use js_sys::{Array, Float32Array, Object, Promise, Reflect};
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

fn numbers(values: impl Iterator<Item = f64>) -> JsValue {
    values.map(JsValue::from_f64).collect::<Array>().into()
}

/// A snapshot as a script sees it.
pub fn describe(s: &Snapshot) -> JsValue {
    let device = if matches!(s.device, Device::Gpu(..)) { "gpu" } else { "cpu" };
    let model = match &s.loaded.source {
        Source::Address(url) => url.clone(),
        file => file.name(),
    };
    let object = Object::new();
    let put = |name: &str, value: JsValue| {
        // An own property of a fresh object.
        let _ = Reflect::set(&object, &name.into(), &value);
    };
    put("device", device.into());
    put("adapter", s.device.name().into());
    put("model", model.into());
    put("view", s.settings.view.word().into());
    put("chains", JsValue::from_f64(s.settings.chains as f64));
    put("shape", numbers(s.loaded.facts.shape.iter().map(|&n| n as f64)));
    put("step", s.steps.into());
    put("playing", s.playing.into());
    // In decimals as on the page, not as the nearest f32.
    let decimal = |value: f32| JsValue::from_f64(js_sys::Number::parse_float(&value.to_string()));
    put("stepSize", decimal(s.settings.langevin.step_size));
    put("noise", decimal(s.settings.langevin.noise));
    put("seed", JsValue::from_f64(s.settings.seed as f64));
    put("energies", numbers(s.history.current().iter().map(|&e| f64::from(e))));
    put("trace", numbers(s.history.rows().iter().map(|row| f64::from(row.mean))));
    put("x", Float32Array::from(s.states).into());
    object.into()
}

/// Put the object into the window.
pub fn expose(lab: &Rc<Lab>) {
    let object = Object::new();
    let ask = |request: fn(u32, Reply) -> Request| {
        let lab = lab.clone();
        Closure::<dyn FnMut(JsValue) -> Promise>::new(move |argument: JsValue| {
            let steps = argument.as_f64().unwrap_or(1.0).clamp(0.0, 1e6) as u32;
            let lab = lab.clone();
            Promise::new(&mut move |resolve, reject| {
                lab.requests.borrow_mut().push_back(request(steps, Reply { resolve, reject }));
                lab.touch();
            })
        })
        .into_js_value()
    };
    let state = ask(|_, reply| Request::State(reply));
    let step = ask(Request::Step);
    let source = lab.clone();
    let energy = Closure::<dyn FnMut(Float32Array) -> Promise>::new(move |x: Float32Array| {
        let (x, source) = (x.to_vec(), source.wanted());
        future_to_promise(async move {
            energy_on_cpu(&x, source).await.map_err(|reason| js_sys::Error::new(&reason).into())
        })
    })
    .into_js_value();
    for (name, function) in [("state", state), ("step", step), ("energyOnCpu", energy)] {
        let _ = Reflect::set(&object, &name.into(), &function);
    }
    let _ = Reflect::set(&dom::window(), &"dualMcmc".into(), &object);
}

/// Energies of samples by the CPU executor, from the model file itself: nothing is shared with the
/// chains that run.
async fn energy_on_cpu(x: &[f32], source: Option<Source>) -> Result<JsValue, String> {
    let source = source.ok_or("no model is chosen")?;
    let words = |problem: Problem| problem.to_string();
    let loaded = loading::load(&source, &|_, _| {}, &|| true).await.map_err(words)?;
    let (_, file) = loaded.ok_or("the model could not be loaded")?;
    let sampler = cpu::Sampler::new(&file, 1, 1).await.map_err(words)?;
    // The title would be about chains.
    let energies = sampler.energies(x).await.map_err(|problem| problem.advice)?;
    Ok(numbers(energies.iter().map(|&e| f64::from(e))))
}
