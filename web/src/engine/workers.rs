//! Chains on the processor, in workers beside the page: each core has its share of the chains, and the page stays alive
//! however long a step takes.
//!
//! A worker (`web/worker.js`) is the page's own wasm once more. A message to it is an array: what is wanted, and with
//! what; its answer is a text where that failed.

use crate::dom;
use crate::problem::Problem;
use crate::state::Facts;
use dual_mcmc::chain::{Langevin, Trace};
use dual_mcmc::executor::Executor;
use dual_mcmc::jobs::{self, Sampler, Start};
use dual_mcmc::model::{Model, Weighted};
use dual_mcmc::network::NetworkError;
use js_sys::{Array, Float32Array, Promise, Uint8Array};
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, future_to_promise};
use web_sys::{MessageEvent, WorkerOptions, WorkerType};

const OPEN: u32 = 0;
const START: u32 = 1;
const ADVANCE: u32 = 2;
const TRACE: u32 = 3;
const ENERGIES: u32 = 4;

/// A worker has one core.
const ONE_CORE: Executor = Executor::Cpu { threads: 1 };

/// A worker's share of a model's chains.
struct Share {
    model: Model,
    facts: Facts,
    sampler: Sampler,
    /// Number of the first chain.
    first: u32,
}

/// Where a worker keeps its share from one message to the next.
type Held = Rc<RefCell<Option<Share>>>;

thread_local! {
    /// The share of this worker.
    static HELD: Held = Held::default();
}

/// Answer a message to this worker.
#[wasm_bindgen]
pub async fn work(message: Array) -> JsValue {
    answer(HELD.with(Rc::clone), message).await.unwrap_or_else(JsValue::from)
}

async fn answer(held: Held, message: Array) -> Result<JsValue, String> {
    let number = |at: u32| message.get(at).as_f64().unwrap_or_default();
    let numbers = |values: &[f32]| JsValue::from(Float32Array::from(values));
    let words = |error: jobs::JobError| error.to_string();
    let what = number(0) as u32;
    // Messages come one at a time, so nobody else wants the share before it is put back.
    let held_share = held.take();
    if what == OPEN {
        // The old one makes room first.
        drop(held_share);
        let model = Model::from_bytes(&Uint8Array::new(&message.get(1)).to_vec());
        let model = model.map_err(|error| error.to_string())?;
        let sampler = Sampler::new(&ONE_CORE, &model, number(3) as usize).map_err(words)?;
        let facts = Facts::of(&model);
        held.replace(Some(Share { model, facts, sampler, first: number(2) as u32 }));
        return Ok(JsValue::NULL);
    }
    let mut share = held_share.ok_or("no model is open")?;
    let Share { model, facts, sampler, first } = &mut share;
    let answered = match what {
        START => {
            let start = if number(2) > 0.0 { Start::Generator } else { Start::Noise };
            sampler.start_from(*first, start, number(1) as u64).await.map_err(words)?;
            numbers(&sampler.read_starts().await.map_err(words)?)
        }
        ADVANCE => {
            let langevin = facts.langevin(Some(number(2) as f32), Some(number(3) as f32));
            sampler.advance(number(1) as u32, &langevin).map_err(words)?;
            numbers(&sampler.read_states().await.map_err(words)?)
        }
        TRACE => {
            let trace = sampler.trace().await.map_err(words)?;
            Array::of2(&trace.first_step.into(), &numbers(&trace.values)).into()
        }
        _ => {
            let points = Float32Array::new(&message.get(1)).to_vec();
            numbers(&jobs::energies(&ONE_CORE, model, &points).await.map_err(words)?)
        }
    };
    held.replace(Some(share));
    Ok(answered)
}

/// A worker, as the page sees it.
enum Worker {
    /// A thread of its own.
    Thread(web_sys::Worker),
    /// The page itself, where it may have no workers.
    Page(Held),
}

impl Worker {
    /// A worker, if the browser gives one.
    fn new() -> Worker {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let Ok(worker) = web_sys::Worker::new_with_options("worker.js", &options) else {
            return Worker::Page(Held::default());
        };
        // Compiled already.
        let _ = worker.post_message(&wasm_bindgen::module());
        Worker::Thread(worker)
    }

    fn ask(&self, message: &[JsValue]) -> Promise {
        let message: Array = message.iter().collect();
        match self {
            Worker::Page(held) => {
                let held = held.clone();
                future_to_promise(
                    async move { Ok(answer(held, message).await.unwrap_or_else(JsValue::from)) },
                )
            }
            Worker::Thread(worker) => {
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

impl Drop for Worker {
    fn drop(&mut self) {
        if let Worker::Thread(worker) = self {
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
pub fn count(energy: &Weighted, chains: usize) -> Result<usize, NetworkError> {
    let cores = dom::window().navigator().hardware_concurrency() as u64;
    let room = MOST_WEIGHTS / (energy.weights.len() as u64 + 1);
    let worth = energy.network.flops()? * chains as u64 / WORTH;
    Ok(worth.min(room).min(cores).clamp(1, MOST_WORKERS) as usize)
}

/// Workers that share the chains of a model.
pub struct Pool {
    /// Each has `share` chains, the last one what is left.
    workers: Vec<Worker>,
    share: usize,
    chains: usize,
    starts: Vec<f32>,
    states: Vec<f32>,
    steps: u32,
}

impl Pool {
    /// `chains` chains of the model in `file`, shared by so many `workers`.
    ///
    /// # Errors
    /// If the model cannot be run.
    pub async fn new(file: &Uint8Array, chains: usize, workers: usize) -> Result<Pool, Problem> {
        let share = chains.div_ceil(workers);
        let workers = (0..chains.div_ceil(share)).map(|_| Worker::new()).collect();
        let mut pool = Pool { workers, share, chains, starts: Vec::new(), states: Vec::new(), steps: 0 };
        if pool.open(file).await.is_err() {
            // An older browser, or a page that may have no workers.
            pool.workers = vec![Worker::Page(Held::default())];
            pool.share = chains;
            pool.open(file).await?;
        }
        Ok(pool)
    }

    async fn open(&self, file: &Uint8Array) -> Result<(), Problem> {
        let asked = Array::new();
        for (i, worker) in self.workers.iter().enumerate() {
            let first = i * self.share;
            let chains = self.share.min(self.chains - first);
            asked.push(&worker.ask(&[OPEN.into(), file.into(), first.into(), chains.into()]));
        }
        answers(asked).await.map(|_| ())
    }

    /// What all say to a message, one after the other.
    fn all(&self, message: &[JsValue]) -> Array {
        self.workers.iter().map(|worker| worker.ask(message)).collect()
    }

    /// Start all chains anew.
    ///
    /// # Errors
    /// If a worker has failed.
    pub async fn start(&mut self, start: Start, seed: u64) -> Result<(), Problem> {
        let from_generator = u32::from(start == Start::Generator);
        let message = [START.into(), (seed as f64).into(), from_generator.into()];
        self.starts = numbers(&answers(self.all(&message)).await?);
        self.states.clone_from(&self.starts);
        self.steps = 0;
        Ok(())
    }

    /// Take steps.
    ///
    /// # Errors
    /// If a worker has failed.
    pub async fn advance(&mut self, steps: u32, langevin: &Langevin) -> Result<(), Problem> {
        let message = [ADVANCE.into(), steps.into(), langevin.step_size.into(), langevin.noise.into()];
        self.states = numbers(&answers(self.all(&message)).await?);
        self.steps += steps;
        Ok(())
    }

    /// Steps taken.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Where the chains started, `[chains, data]`.
    pub fn starts(&self) -> &[f32] {
        &self.starts
    }

    /// The current states, `[chains, data]`.
    pub fn states(&self) -> &[f32] {
        &self.states
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
        let asked = self.workers[0].ask(&[ENERGIES.into(), Float32Array::from(points).into()]);
        Ok(numbers(&answers(Array::of1(&asked)).await?))
    }
}
