//! A worker as the page sees it: a thread of its own, or the page itself where it may have none.

use super::question::{Answer, Ask, Given, Held, Question};
use crate::host;
use crate::problem::Problem;
use futures_channel::oneshot;
use gloo_events::EventListener;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{Event, MessageEvent};

type Waiting = Rc<RefCell<HashMap<u32, oneshot::Sender<Result<Given, String>>>>>;

/// Why a question was not answered as it should have been.
pub enum Failure {
    /// The worker did not start, or broke down.
    Stopped,
    /// It says why not.
    Refused(String),
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Problem {
        match failure {
            Failure::Stopped => Problem::device(
                "The chains have stopped",
                "A worker that computes them has broken down. Try again, or reload the page.",
            ),
            Failure::Refused(reason) => Problem::new("The chains cannot run like this", format!("{reason}.")),
        }
    }
}

/// A worker.
pub struct Worker {
    port: Port,
    next: Cell<u32>,
    waiting: Waiting,
    broken: Rc<Cell<bool>>,
    /// How many figures use each model that the worker holds.
    models: RefCell<HashMap<u32, usize>>,
    /// Shares of chains that it holds.
    pub shares: Cell<usize>,
}

enum Port {
    Thread { worker: web_sys::Worker, _listeners: [EventListener; 3] },
    Page(Rc<Held>),
}

impl Worker {
    /// A thread of its own, if the browser gives one.
    pub fn thread() -> Option<Worker> {
        let worker = host::make_worker()?;
        let waiting = Waiting::default();
        let broken = Rc::new(Cell::new(false));
        let answered = waiting.clone();
        let on_message = EventListener::new(&worker, "message", move |event: &Event| {
            let Some(event) = event.dyn_ref::<MessageEvent>() else { return };
            if let Ok(Answer { number, outcome }) = serde_wasm_bindgen::from_value(event.data())
                && let Some(waiting) = answered.borrow_mut().remove(&number)
            {
                let _ = waiting.send(outcome);
            }
        });
        let on_failure = |name: &'static str| {
            let (waiting, broken) = (waiting.clone(), broken.clone());
            EventListener::new(&worker, name, move |_| {
                broken.set(true);
                // Whoever waits is told by the end of the channel.
                waiting.borrow_mut().clear();
            })
        };
        let listeners = [on_message, on_failure("error"), on_failure("messageerror")];
        // Compiled already.
        let _ = worker.post_message(&wasm_bindgen::module());
        Some(Worker::new(Port::Thread { worker, _listeners: listeners }, waiting, broken))
    }

    /// The page itself, which stands still while it computes.
    pub fn in_the_page() -> Worker {
        Worker::new(Port::Page(Rc::default()), Waiting::default(), Rc::default())
    }

    fn new(port: Port, waiting: Waiting, broken: Rc<Cell<bool>>) -> Worker {
        Worker { port, next: Cell::new(0), waiting, broken, models: RefCell::default(), shares: Cell::new(0) }
    }

    /// Whether it answers no more.
    pub fn broken(&self) -> bool {
        self.broken.get()
    }

    /// Ask something, at once; the answer comes when it is awaited.
    pub fn ask(&self, ask: Ask) -> impl Future<Output = Result<Given, Failure>> + use<> {
        let number = self.next.replace(self.next.get().wrapping_add(1));
        let (sender, answer) = oneshot::channel();
        let here = match &self.port {
            Port::Page(held) => Some((held.clone(), ask)),
            Port::Thread { worker, .. } => {
                let posted = serde_wasm_bindgen::to_value(&Question { number, ask })
                    .is_ok_and(|question| worker.post_message(&question).is_ok());
                if posted && !self.broken() {
                    self.waiting.borrow_mut().insert(number, sender);
                }
                None
            }
        };
        async move {
            let outcome = match here {
                Some((held, ask)) => held.answer(ask).await,
                None => answer.await.map_err(|_| Failure::Stopped)?,
            };
            outcome.map_err(Failure::Refused)
        }
    }

    /// Have a model ready for one user more.
    pub async fn load(&self, model: u32, file: &js_sys::Uint8Array) -> Result<(), Failure> {
        let users = self.models.borrow().get(&model).copied().unwrap_or(0);
        // Counted before it is there: questions are answered in their order.
        self.models.borrow_mut().insert(model, users + 1);
        if users == 0 {
            self.ask(Ask::Load { model, file: file.clone() }).await?;
        }
        Ok(())
    }

    /// A model has one user less.
    pub fn unload(&self, model: u32) {
        let mut models = self.models.borrow_mut();
        match models.get_mut(&model) {
            Some(users) if *users > 1 => *users -= 1,
            _ => {
                models.remove(&model);
                // Nobody waits for this answer.
                wasm_bindgen_futures::spawn_local(drop_answer(self.ask(Ask::Unload { model })));
            }
        }
    }

    /// Forget a share of chains.
    pub fn close(&self, share: u32) {
        self.shares.set(self.shares.get().saturating_sub(1));
        wasm_bindgen_futures::spawn_local(drop_answer(self.ask(Ask::Close { share })));
    }
}

async fn drop_answer(answer: impl Future<Output = Result<Given, Failure>>) {
    let _ = answer.await;
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Port::Thread { worker, .. } = &self.port {
            worker.terminate();
        }
    }
}
