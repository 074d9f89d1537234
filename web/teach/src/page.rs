//! What the worker's JavaScript sees of a run. The chains run on the processor, where nothing has to be awaited.

use crate::lesson::{Done, Figures, Lesson, LessonError};
use crate::settings::Settings;
use crate::table;
use dual_mcmc::jobs::Quality;
use dual_mcmc_trainer::teaching::{Phase, Report};
use js_sys::{Float32Array, Function, Uint8Array};
use pollster::block_on;
use serde::Serialize;
use wasm_bindgen::prelude::*;

/// The version of this code, which its JavaScript must have, too.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").into()
}

/// What a step has done.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Told {
    Phase(&'static str),
    Report(Report),
    #[serde(rename_all = "camelCase")]
    WentBack {
        from: u64,
        to: u64,
        cause: String,
    },
}

impl From<Done> for Told {
    fn from(done: Done) -> Told {
        match done {
            Done::Phase(phase) => Told::Phase(phase.name()),
            Done::Iteration(report) => Told::Report(report),
            Done::WentBack { from, to, cause } => Told::WentBack { from, to, cause },
        }
    }
}

/// The state of a run, to be drawn: samples in pairs of numbers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    iteration: u64,
    iterations: u64,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    x_hat: Float32Array,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    x_tilde: Float32Array,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    z: Float32Array,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    z_0: Float32Array,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    z_tilde: Float32Array,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Measured {
    log_likelihood: Option<f64>,
    truth: Option<f64>,
    generator: Option<Good>,
    refined: Option<Good>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Good {
    good_share: f64,
    smallest_mode: f64,
}

impl From<&Quality> for Good {
    fn from(quality: &Quality) -> Good {
        Good { good_share: quality.good_share, smallest_mode: quality.smallest_mode }
    }
}

impl From<Figures> for Measured {
    fn from(figures: Figures) -> Measured {
        let of = |which: usize| figures.quality.as_ref().map(|pair| Good::from(&pair[which]));
        let (generator, refined) = (of(0), of(1));
        Measured { log_likelihood: figures.log_likelihood, truth: figures.truth, generator, refined }
    }
}

fn told(value: &impl Serialize) -> Result<JsValue, JsError> {
    Ok(value.serialize(&serde_wasm_bindgen::Serializer::json_compatible())?)
}

/// The points in a file of this name, in pairs of numbers.
///
/// # Errors
/// A sentence on what is wrong with them.
#[wasm_bindgen(js_name = readPoints)]
pub fn read_points(name: &str, file: &[u8]) -> Result<Vec<f32>, JsError> {
    Ok(table::read(name, file)?)
}

/// A training run.
#[wasm_bindgen]
pub struct Run(Lesson);

#[wasm_bindgen]
impl Run {
    /// A run of these settings, on points of the reader's own where they name no known set.
    ///
    /// # Errors
    /// A sentence on why it cannot begin.
    #[wasm_bindgen(constructor)]
    pub fn new(settings: JsValue, points: Vec<f32>) -> Result<Run, JsError> {
        let settings: Settings = serde_wasm_bindgen::from_value(settings)?;
        Ok(Run(Lesson::new(settings, points)?))
    }

    /// Run the next phase of an iteration.
    ///
    /// # Errors
    /// A sentence on why it cannot go on.
    pub fn step(&mut self) -> Result<JsValue, JsError> {
        told(&Told::from(block_on(self.0.step())?))
    }

    /// Run what is left of an iteration, or a whole one.
    ///
    /// # Errors
    /// As `step`.
    pub fn iterate(&mut self) -> Result<JsValue, JsError> {
        told(&Told::from(block_on(self.0.iterate())?))
    }

    /// Iterations done.
    pub fn iteration(&self) -> u32 {
        self.0.iteration() as u32
    }

    /// Whether all iterations of the recipe are done.
    #[wasm_bindgen(js_name = isDone)]
    pub fn is_done(&self) -> bool {
        self.0.is_done()
    }

    /// The chains as they are.
    ///
    /// # Errors
    /// None that is known.
    pub fn frame(&self) -> Result<JsValue, JsError> {
        let snapshot = self.0.snapshot();
        let numbers = |values: &Vec<f32>| Float32Array::from(&values[..]);
        told(&Frame {
            iteration: self.0.iteration(),
            iterations: self.0.recipe().schedule.iterations,
            x_hat: numbers(&snapshot.x_hat),
            x_tilde: numbers(&snapshot.x_tilde),
            z: numbers(&snapshot.z),
            z_0: numbers(&snapshot.z_0),
            z_tilde: numbers(&snapshot.z_tilde),
        })
    }

    /// The last iteration's figures, if there has been one.
    ///
    /// # Errors
    /// None that is known.
    pub fn report(&self) -> Result<JsValue, JsError> {
        told(&self.0.report())
    }

    /// Energies over the temperature of points, in pairs of numbers.
    ///
    /// # Errors
    /// A sentence on why there are none.
    pub fn energies(&self, points: &[f32]) -> Result<Vec<f32>, JsError> {
        Ok(block_on(self.0.energies(points))?)
    }

    /// How good the model is now.
    ///
    /// # Errors
    /// A sentence on why that is not known.
    pub fn figures(&self) -> Result<JsValue, JsError> {
        told(&Measured::from(block_on(self.0.figures())?))
    }

    /// Some of the points that are learned from, in pairs of numbers.
    pub fn points(&self, most: usize) -> Vec<f32> {
        let points = self.0.points();
        points[..points.len().min(2 * most)].to_vec()
    }

    /// The recipe, as TOML.
    pub fn recipe(&self) -> String {
        self.0.recipe().to_toml()
    }

    /// The model as it stands, after `seconds` of training: a .safetensors file.
    ///
    /// # Errors
    /// A sentence on why it cannot be written.
    pub fn model(&self, seconds: f64) -> Result<Uint8Array, JsError> {
        Ok(Uint8Array::from(&block_on(self.0.model(seconds))?[..]))
    }

    /// Call `observer` with the name of each phase where it begins, to time them.
    pub fn observe(&mut self, observer: Function) {
        self.0.observe(move |phase: Phase| drop(observer.call1(&JsValue::NULL, &phase.name().into())));
    }
}

/// A NumPy file of points, in pairs of numbers, as `dual-mcmc train --data` takes it.
///
/// # Errors
/// None that is known.
#[wasm_bindgen(js_name = writePoints)]
pub fn write_points(points: &[f32]) -> Result<Uint8Array, JsError> {
    Ok(Uint8Array::from(&table::write(points).map_err(LessonError::Points)?[..]))
}
