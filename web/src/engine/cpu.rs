//! Chains on the processor, in workers beside the page: each core has its share of the chains, and the page stays alive
//! however long a step takes.
//!
//! A worker (`web/worker.js`) is the page's own wasm once more. A message to it is an array: what is wanted, and with
//! what; its answer is a text where that failed.

use super::hand::Hand;
use crate::dom;
use crate::problem::Problem;
use dual_mcmc::chain::{Langevin, Trace};
use dual_mcmc::model::Weighted;
use dual_mcmc::network::NetworkError;
use js_sys::{Array, Float32Array, Object, Promise, Reflect, Uint8Array};
use std::cell::RefCell;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{MessageEvent, Worker};

const OPEN: u32 = 0;
const START: u32 = 1;
const ADVANCE: u32 = 2;
const TRACE: u32 = 3;
const ENERGIES: u32 = 4;

thread_local! {
    /// A worker's.
    static HAND: RefCell<Option<Hand>> = const { RefCell::new(None) };
}

/// Do what a message to a worker wants.
#[wasm_bindgen]
pub fn work(message: &Array) -> JsValue {
    HAND.with_borrow_mut(|hand| answer(hand, message)).unwrap_or_else(JsValue::from)
}

fn answer(hand: &mut Option<Hand>, message: &Array) -> Result<JsValue, String> {
    let number = |at: u32| message.get(at).as_f64().unwrap_or_default();
    let numbers = |values: &[f32]| JsValue::from(Float32Array::from(values));
    let what = number(0) as u32;
    if what == OPEN {
        let file = Uint8Array::new(&message.get(1)).to_vec();
        // The old one makes room first.
        *hand = None;
        *hand = Some(Hand::new(&file, number(2) as usize, number(3) as usize)?);
        return Ok(JsValue::NULL);
    }
    let hand = hand.as_mut().ok_or("no model is open")?;
    Ok(match what {
        START => numbers(&hand.start(number(1) as u64, number(2) > 0.0)?),
        ADVANCE => numbers(hand.advance(number(1) as u32, number(2) as f32, number(3) as f32)),
        TRACE => {
            let trace = hand.trace();
            Array::of2(&trace.first_step.into(), &numbers(&trace.values)).into()
        }
        _ => numbers(&hand.energies(&Float32Array::new(&message.get(1)).to_vec())?),
    })
}

/// Somebody who does the work.
enum Desk {
    Worker(Worker),
    /// The page itself, where it may have no workers.
    Here(Box<RefCell<Option<Hand>>>),
}

impl Desk {
    /// A worker, if the browser gives one.
    fn new() -> Desk {
        let options = Object::new();
        let _ = Reflect::set(&options, &"type".into(), &"module".into());
        let worker = Worker::new_with_options("worker.js", options.unchecked_ref());
        let Ok(worker) = worker else { return Desk::here() };
        // Compiled already.
        let _ = worker.post_message(&wasm_bindgen::module());
        Desk::Worker(worker)
    }

    fn here() -> Desk {
        Desk::Here(Box::default())
    }

    fn ask(&self, message: &[JsValue]) -> Promise {
        let message: Array = message.iter().collect();
        match self {
            Desk::Here(hand) => {
                Promise::resolve(&answer(&mut hand.borrow_mut(), &message).unwrap_or_else(JsValue::from))
            }
            Desk::Worker(worker) => {
                let promise = Promise::new(&mut |resolve, reject| {
                    worker.set_onmessage(Some(&resolve));
                    worker.set_onerror(Some(&reject));
                });
                let _ = worker.post_message(&message);
                promise
            }
        }
    }
}

/// What is in the answers to messages that are all under way.
async fn answers(asked: Array) -> Result<Array, Problem> {
    let stopped = |reason: &str| {
        Problem::device("The chains have stopped", format!("{reason}. Try again, or reload the page."))
    };
    let answers = JsFuture::from(Promise::all(&asked)).await;
    let answers: Array = answers.map_err(|_| stopped("The browser gives no reason"))?.unchecked_into();
    for at in 0..answers.length() {
        if let Ok(event) = answers.get(at).dyn_into::<MessageEvent>() {
            answers.set(at, event.data());
        }
        if let Some(reason) = answers.get(at).as_string() {
            return Err(stopped(&reason));
        }
    }
    Ok(answers)
}

/// The numbers in arrays of them.
fn numbers(answers: &Array) -> Vec<f32> {
    let mut all = Vec::new();
    for at in 0..answers.length() {
        let numbers: Float32Array = answers.get(at).unchecked_into();
        let from = all.len();
        all.resize(from + numbers.length() as usize, 0.0);
        numbers.copy_to(&mut all[from..]);
    }
    all
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Desk::Worker(worker) = self {
            worker.terminate();
        }
    }
}

/// Most workers, and most weights in all of them together: each has a copy of the model.
const MOST_WORKERS: u64 = 8;
const MOST_WEIGHTS: u64 = 1 << 24;
/// Operations of a step's forward pass that are worth a worker.
const WORTH: u64 = 4_000_000;

/// How many workers share so many chains on `energy`.
///
/// # Errors
/// If it does not fit together.
pub fn workers(energy: &Weighted, chains: usize) -> Result<usize, NetworkError> {
    let cores = dom::window().navigator().hardware_concurrency() as u64;
    let room = MOST_WEIGHTS / (energy.weights.len() as u64 + 1);
    let worth = energy.network.flops()? * chains as u64 / WORTH;
    Ok(worth.min(room).min(cores).clamp(1, MOST_WORKERS) as usize)
}

/// Chains, as the page sees them.
pub struct Sampler {
    /// Each has `share` chains, the last one what is left.
    desks: Vec<Desk>,
    share: usize,
    chains: usize,
    start: Vec<f32>,
    state: Vec<f32>,
    steps: u32,
}

impl Sampler {
    /// `chains` chains of the model in `file`, shared by so many `workers`.
    ///
    /// # Errors
    /// If the model cannot be run.
    pub async fn new(file: &Uint8Array, chains: usize, workers: usize) -> Result<Sampler, Problem> {
        let share = chains.div_ceil(workers);
        let desks = (0..chains.div_ceil(share)).map(|_| Desk::new()).collect();
        let mut sampler = Sampler { desks, share, chains, start: Vec::new(), state: Vec::new(), steps: 0 };
        if sampler.open(file).await.is_err() {
            // An older browser, or a page that may have no workers.
            sampler.desks = vec![Desk::here()];
            sampler.share = chains;
            sampler.open(file).await?;
        }
        Ok(sampler)
    }

    async fn open(&self, file: &Uint8Array) -> Result<(), Problem> {
        let asked = Array::new();
        for (i, desk) in self.desks.iter().enumerate() {
            let first = i * self.share;
            let chains = self.share.min(self.chains - first);
            asked.push(&desk.ask(&[OPEN.into(), file.into(), first.into(), chains.into()]));
        }
        answers(asked).await.map(|_| ())
    }

    /// What all say to a message, one after the other.
    fn all(&self, message: &[JsValue]) -> Array {
        self.desks.iter().map(|desk| desk.ask(message)).collect()
    }

    /// Start all chains anew.
    ///
    /// # Errors
    /// If a worker has failed.
    pub async fn start(&mut self, seed: u64, from_generator: bool) -> Result<(), Problem> {
        let message = [START.into(), (seed as f64).into(), u32::from(from_generator).into()];
        self.start = numbers(&answers(self.all(&message)).await?);
        self.state.clone_from(&self.start);
        self.steps = 0;
        Ok(())
    }

    /// Take steps.
    ///
    /// # Errors
    /// If a worker has failed.
    pub async fn advance(&mut self, steps: u32, langevin: &Langevin) -> Result<(), Problem> {
        let message = [ADVANCE.into(), steps.into(), langevin.step_size.into(), langevin.noise.into()];
        self.state = numbers(&answers(self.all(&message)).await?);
        self.steps += steps;
        Ok(())
    }

    /// Steps taken.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Where the chains started, `[chains, data]`.
    pub fn start_state(&self) -> &[f32] {
        &self.start
    }

    /// The current states, `[chains, data]`.
    pub fn state(&self) -> &[f32] {
        &self.state
    }

    /// Energies along the way.
    ///
    /// # Errors
    /// If a worker has failed.
    pub async fn trace(&self) -> Result<Trace, Problem> {
        let parts = answers(self.all(&[TRACE.into()])).await?;
        let mut traces = Vec::new();
        for at in 0..parts.length() {
            let part: Array = parts.get(at).unchecked_into();
            traces.push(Trace {
                first_step: part.get(0).as_f64().unwrap_or_default() as u32,
                chains: self.share.min(self.chains - at as usize * self.share),
                values: numbers(&Array::of1(&part.get(1))),
            });
        }
        Ok(Trace::side_by_side(traces))
    }

    /// Energies at `points`, `[n, data]`.
    ///
    /// # Errors
    /// If they are not whole points, or a worker has failed.
    pub async fn energies(&self, points: &[f32]) -> Result<Vec<f32>, Problem> {
        let asked = self.desks[0].ask(&[ENERGIES.into(), Float32Array::from(points).into()]);
        Ok(numbers(&answers(Array::of1(&asked)).await?))
    }
}
