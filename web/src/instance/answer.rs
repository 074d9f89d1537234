//! Answers to scripts: the element's methods.

use super::Instance;
use crate::choices::Subject;
use crate::film::{Frame, evenly};
use crate::message::Question;
use crate::problem::Problem;
use crate::{apng, dom};
use js_sys::{Float32Array, Promise, Uint8Array};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, BlobPropertyBag, HtmlCanvasElement};

/// What `state()` gives.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct State<'a> {
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
    starts: Vec<&'static str>,
    sampler: &'static str,
    acceptance: Option<f32>,
    good_share: Option<f64>,
    smallest_mode: Option<f64>,
    log_likelihood: Option<f64>,
    energies: &'a [f32],
    errors: &'a [f32],
    trace: Vec<f32>,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    x: Float32Array,
    example: Option<usize>,
    mask: Option<String>,
    fills: bool,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    z: Float32Array,
    film: Vec<u32>,
    look: Option<Looked>,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    target: Float32Array,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    gradient: Float32Array,
}

/// The chosen chain in the frame that is shown.
#[derive(Serialize)]
struct Looked {
    chain: usize,
    step: u32,
    energy: Option<f32>,
    distance: f32,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    x: Float32Array,
}

/// The types of pictures that every browser writes.
const PICTURES: [&str; 3] = ["image/png", "image/jpeg", "image/webp"];
/// The type of a run as it went, the most frames in it, and the milliseconds of a frame and of the last one.
const ANIMATION: &str = "image/apng";
const MOST_FRAMES: usize = 48;
const FRAME: u16 = 80;
const LAST_FRAME: u16 = 2_000;

fn as_value(value: &impl Serialize) -> Result<JsValue, Problem> {
    serde_wasm_bindgen::to_value(value).map_err(|error| Problem::new("No answer", format!("{error}.")))
}

impl Instance {
    /// Answer the questions of scripts.
    pub(super) async fn answer(&mut self) -> Result<(), Problem> {
        while let Some((question, reply)) = self.questions.pop_front() {
            let fatal = !matches!(question, Question::Energies(_) | Question::Picture(_));
            match self.answer_one(question).await {
                Ok(value) => reply.settle(Ok(value)),
                Err(problem) => {
                    reply.settle(Err(&problem.to_string()));
                    // What was wrong with the question alone stops nothing.
                    if fatal || problem.device {
                        return Err(problem);
                    }
                }
            }
        }
        Ok(())
    }

    async fn answer_one(&mut self, question: Question) -> Result<JsValue, Problem> {
        match question {
            Question::Play => self.play(true),
            Question::Pause => self.play(false),
            Question::Step(steps) => self.step_now(steps).await?,
            Question::Reset(seed) => {
                if let Some(seed) = seed {
                    self.choose("seed", Some(seed.to_string()));
                }
                (self.reset, self.keeps) = (true, true);
                self.arrange().await?;
                self.draw(true)?;
            }
            Question::State => return self.state().await,
            Question::Energies(x) => {
                let Some(engine) = &self.engine else { return Ok(JsValue::UNDEFINED) };
                return Ok(Float32Array::from(&engine.energies(&x).await?[..]).into());
            }
            Question::Picture(kind) => return self.picture(&kind).await,
        }
        Ok(JsValue::UNDEFINED)
    }

    async fn state(&mut self) -> Result<JsValue, Problem> {
        self.take_energies().await?;
        self.judge().await?;
        self.look().await?;
        let landscape = self.shows_landscape();
        let quality = self.quality.filter(|_| landscape);
        let (Some(engine), Some(settings), Some(loaded), Some((_, device))) =
            (&self.engine, &self.settings, &self.loaded, &self.device)
        else {
            return Err(Problem::new("Nothing runs", "No model is loaded."));
        };
        let states = engine.state().await?;
        let samples = self.tells_energies(settings);
        let figures = self.history.current();
        let sight = self.sight.as_ref();
        let of_examples = settings.view.has_subject() && settings.subject == Subject::Example;
        // In decimals as on the page, not as the nearest f32.
        let decimal = |value: f32| value.to_string().parse().unwrap_or(f64::from(value));
        as_value(&State {
            device: if device.is_gpu() { "gpu" } else { "cpu" },
            adapter: device.name(),
            model: self.load.as_ref().map(|(source, _)| source.words()).unwrap_or_default(),
            view: settings.view.word(),
            chains: settings.chains,
            shape: &loaded.facts.shape,
            step: engine.steps(),
            playing: self.playing,
            step_size: decimal(settings.langevin.step_size),
            noise: decimal(settings.langevin.noise),
            seed: settings.seed,
            starts: match settings.view.has_subject() {
                true => Vec::new(),
                false => settings.starts.iter().map(|origin| origin.word()).collect(),
            },
            sampler: settings.sampler.word(),
            acceptance: self.acceptance,
            good_share: quality.map(|quality| quality.good_share),
            smallest_mode: quality.map(|quality| quality.smallest_mode),
            log_likelihood: self.likelihood.filter(|_| landscape),
            energies: if samples { figures } else { &[] },
            errors: if samples { &[] } else { figures },
            trace: self.history.rows().iter().map(|row| row.mean).collect(),
            x: Float32Array::from(&states[..]),
            example: (of_examples && loaded.facts.examples > 0 && self.own.is_none())
                .then_some(settings.example + 1),
            mask: (!settings.view.samples()).then(|| settings.mask.word()),
            fills: engine.fills(),
            z: Float32Array::from(&self.latents[..]),
            film: self.film.frames().map(|frame| frame.step).collect(),
            look: settings.chosen.zip(self.look).and_then(|(chain, look)| {
                let len = loaded.facts.len();
                let frame = self.film.at(self.scrub)?;
                Some(Looked {
                    chain: chain + 1,
                    step: look.step,
                    energy: look.energy,
                    distance: look.distance,
                    x: Float32Array::from(frame.states.get(chain * len..(chain + 1) * len)?),
                })
            }),
            gradient: Float32Array::from(self.slope.as_ref().map_or(&[][..], |slope| &slope.gradient)),
            target: Float32Array::from(sight.map_or(&[][..], |sight| &sight.x)),
        })
    }

    /// The view as a picture file, drawn anew from the chains' states by the twins of the shaders.
    async fn picture(&mut self, kind: &str) -> Result<JsValue, Problem> {
        if kind == ANIMATION {
            return self.animation().await;
        }
        if !PICTURES.contains(&kind) {
            let known = PICTURES.join(", ");
            return Err(Problem::new(
                "No such picture",
                format!("“{kind}” is none of {known}, {ANIMATION}."),
            ));
        }
        self.draw(true)?;
        let (Some(engine), Some(view)) = (&self.engine, &self.view) else {
            return Err(Problem::new("Nothing runs", "No model is loaded."));
        };
        let starts = engine.start_states().await?;
        let states = engine.state().await?;
        let canvas = self.with_scene(|scene| view.picture(scene, &starts, &states)).transpose()?;
        let canvas = canvas.ok_or_else(|| Problem::new("Nothing runs", "No model is loaded."))?;
        to_blob(&canvas, kind).await
    }
}

impl Instance {
    /// The run as it went, as a file that moves: frames of the film, drawn anew.
    async fn animation(&mut self) -> Result<JsValue, Problem> {
        self.draw(true)?;
        let (Some(engine), Some(view)) = (&self.engine, &self.view) else {
            return Err(Problem::new("Nothing runs", "No model is loaded."));
        };
        let starts = engine.start_states().await?;
        // With what is now as its end.
        if self.film.at(None).is_some_and(|newest| newest.step != engine.steps()) {
            self.film.take(engine.steps(), engine.state().await?);
        }
        let frames: Vec<&Frame> = self.film.frames().collect();
        if frames.is_empty() {
            let advice = "There are too many chains for their ways to be kept: choose fewer.";
            return Err(Problem::new("There is no run to show", advice));
        }
        let shown = evenly(frames.len(), MOST_FRAMES);
        let mut pictures = Vec::new();
        for &i in &shown {
            let canvas =
                self.with_scene(|scene| view.picture(scene, &starts, &frames[i].states)).transpose()?;
            let canvas = canvas.ok_or_else(|| Problem::new("Nothing runs", "No model is loaded."))?;
            let blob: Blob = to_blob(&canvas, PICTURES[0]).await?.unchecked_into();
            let bytes = JsFuture::from(blob.array_buffer()).await;
            let bytes =
                bytes.map_err(|error| Problem::new("The picture cannot be read", dom::reason(&error)))?;
            pictures.push(Uint8Array::new(&bytes).to_vec());
            dom::breathe().await;
        }
        // The end is looked at for longer.
        let mut times = vec![FRAME; shown.len()];
        times.iter_mut().next_back().into_iter().for_each(|last| *last = LAST_FRAME);
        let failed = || {
            Problem::new(
                "The pictures do not fit together",
                "Try again, without changing the size of the page.",
            )
        };
        let file = apng::animate(&pictures, &times).ok_or_else(failed)?;
        let parts = js_sys::Array::of1(&Uint8Array::from(&file[..]));
        let options = BlobPropertyBag::new();
        options.set_type(ANIMATION);
        let blob = Blob::new_with_u8_array_sequence_and_options(&parts, &options);
        blob.map(JsValue::from)
            .map_err(|error| Problem::new("The picture cannot be written", dom::reason(&error)))
    }
}

/// A canvas as a file.
async fn to_blob(canvas: &HtmlCanvasElement, kind: &str) -> Result<JsValue, Problem> {
    let failed = || Problem::new("The picture cannot be written", "The browser gives no reason.");
    let mut written = Ok(());
    let promise = Promise::new(&mut |resolve, _| {
        written = canvas.to_blob_with_type(&resolve, kind);
    });
    written.map_err(|error| Problem::new("The picture cannot be written", dom::reason(&error)))?;
    let blob = JsFuture::from(promise).await.map_err(|_| failed())?;
    if blob.is_null() { Err(failed()) } else { Ok(blob) }
}
