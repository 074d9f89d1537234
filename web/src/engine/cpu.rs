//! Chains on the processor, in a worker beside the page, so that the page stays alive however long a step takes.
//!
//! The worker (`web/worker.js`) is the page's own wasm once more. A message to it is an array: what is wanted, and
//! with what; its answer is a text where that failed.

use super::hand::Hand;
use crate::problem::Problem;
use dual_mcmc::chain::{Langevin, Trace};
use js_sys::{Array, Float32Array, Promise, Uint8Array};
use std::cell::RefCell;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{MessageEvent, Worker, WorkerOptions, WorkerType};

const OPEN: u32 = 0;
const START: u32 = 1;
const ADVANCE: u32 = 2;
const TRACE: u32 = 3;
const ENERGIES: u32 = 4;

thread_local! {
    /// In a worker, or in a page that cannot have one.
    static HAND: RefCell<Option<Hand>> = const { RefCell::new(None) };
}

/// Do what a message wants.
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
        *hand = Some(Hand::new(&file, number(2) as usize)?);
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
struct Desk(Option<Worker>);

impl Desk {
    /// A worker, if the browser gives one.
    fn new() -> Desk {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options("worker.js", &options).ok();
        if let Some(worker) = &worker {
            // Compiled already.
            let _ = worker.post_message(&wasm_bindgen::module());
        }
        Desk(worker)
    }

    fn ask(&self, message: &[JsValue]) -> JsFuture {
        let message: Array = message.iter().collect();
        let Some(worker) = &self.0 else { return Promise::resolve(&work(&message)).into() };
        let promise = Promise::new(&mut |resolve, reject| {
            worker.set_onmessage(Some(&resolve));
            worker.set_onerror(Some(&reject));
        });
        let _ = worker.post_message(&message);
        promise.into()
    }
}

/// What is in an answer to a message.
fn opened(answer: Result<JsValue, JsValue>) -> Result<JsValue, Problem> {
    let answer = answer.map_or("The browser gives no reason".into(), |answer| {
        match answer.dyn_into::<MessageEvent>() {
            Ok(event) => event.data(),
            Err(answer) => answer,
        }
    });
    match answer.as_string() {
        Some(reason) => Err(Problem::device(
            "The chains have stopped",
            format!("{reason}. Try again, or reload the page."),
        )),
        None => Ok(answer),
    }
}

fn numbers(answer: Result<JsValue, JsValue>) -> Result<Vec<f32>, Problem> {
    Ok(opened(answer)?.unchecked_into::<Float32Array>().to_vec())
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(worker) = &self.0 {
            worker.terminate();
        }
    }
}

/// Chains, as the page sees them.
pub struct Sampler {
    desk: Desk,
    chains: usize,
    start: Vec<f32>,
    state: Vec<f32>,
    steps: u32,
}

impl Sampler {
    /// `chains` chains of the model in `file`.
    ///
    /// # Errors
    /// If the model cannot be run.
    pub async fn new(file: &Uint8Array, chains: usize) -> Result<Sampler, Problem> {
        let mut desk = Desk::new();
        let open = [OPEN.into(), file.into(), chains.into()];
        if opened(desk.ask(&open).await).is_err() {
            // An older browser, or a page that may have no workers.
            desk = Desk(None);
            opened(desk.ask(&open).await)?;
        }
        Ok(Sampler { desk, chains, start: Vec::new(), state: Vec::new(), steps: 0 })
    }

    /// Start all chains anew.
    ///
    /// # Errors
    /// If the worker has failed.
    pub async fn start(&mut self, seed: u64, from_generator: bool) -> Result<(), Problem> {
        let message = [START.into(), (seed as f64).into(), u32::from(from_generator).into()];
        self.start = numbers(self.desk.ask(&message).await)?;
        self.state.clone_from(&self.start);
        self.steps = 0;
        Ok(())
    }

    /// Take steps.
    ///
    /// # Errors
    /// If the worker has failed.
    pub async fn advance(&mut self, steps: u32, langevin: &Langevin) -> Result<(), Problem> {
        let message = [ADVANCE.into(), steps.into(), langevin.step_size.into(), langevin.noise.into()];
        self.state = numbers(self.desk.ask(&message).await)?;
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
    /// If the worker has failed.
    pub async fn trace(&self) -> Result<Trace, Problem> {
        let answer: Array = opened(self.desk.ask(&[TRACE.into()]).await)?.unchecked_into();
        let values = answer.get(1).unchecked_into::<Float32Array>().to_vec();
        let first_step = answer.get(0).as_f64().unwrap_or_default() as u32;
        Ok(Trace { first_step, chains: self.chains, values })
    }

    /// Energies at `points`, `[n, data]`.
    ///
    /// # Errors
    /// If they are not whole points, or the worker has failed.
    pub async fn energies(&self, points: &[f32]) -> Result<Vec<f32>, Problem> {
        numbers(self.desk.ask(&[ENERGIES.into(), Float32Array::from(points).into()]).await)
    }
}
