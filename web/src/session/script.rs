//! Answers to scripts: see `api.rs`.

use super::Session;
use crate::lab::{Lab, Request};
use crate::pacing::MOST_AT_ONCE;
use crate::problem::Problem;
use crate::{api, dom};

impl Session {
    /// Answer the questions of scripts.
    pub(super) async fn answer(&mut self, lab: &Lab) -> Result<(), Problem> {
        loop {
            let Some(request) = lab.requests.borrow_mut().pop_front() else { return Ok(()) };
            let outcome = match &request {
                Request::Step(steps, _) => {
                    self.step_for_script(lab, *steps).await.map(|()| wasm_bindgen::JsValue::UNDEFINED)
                }
                Request::State(_) => self.describe(lab).await,
            };
            let (Request::State(reply) | Request::Step(_, reply)) = &request;
            match outcome {
                Ok(value) => reply.good(&value),
                Err(problem) => {
                    reply.bad(&problem.to_string());
                    return Err(problem);
                }
            }
        }
    }

    pub(super) async fn step_for_script(&mut self, lab: &Lab, steps: u32) -> Result<(), Problem> {
        let mut left = steps;
        while left > 0 {
            let (Some(engine), Some(settings)) = (&mut self.engine, &self.settings) else { break };
            if !engine.runs() {
                return Err(Problem::new("Nothing runs", "This model has no energy."));
            }
            let now = left.min(MOST_AT_ONCE);
            engine.advance(now, &settings.langevin).await?;
            left -= now;
            let trace = engine.trace().await?;
            self.history.absorb(&trace);
            dom::breathe().await;
        }
        self.draw(lab, true)
    }

    pub(super) async fn describe(&mut self, lab: &Lab) -> Result<wasm_bindgen::JsValue, Problem> {
        let (Some(engine), Some(settings), Some(loaded)) = (&mut self.engine, &self.settings, &self.loaded)
        else {
            return Err(Problem::new("Nothing runs", "No model is loaded."));
        };
        let states = engine.state().await?;
        if engine.runs() {
            let trace = engine.trace().await?;
            self.history.absorb(&trace);
        }
        let Some((_, device)) = &self.device else {
            return Err(Problem::new("Nothing runs", "No device was found yet."));
        };
        Ok(api::describe(&api::Snapshot {
            device,
            loaded,
            settings,
            steps: engine.steps(),
            playing: lab.playing.get(),
            history: &self.history,
            states: &states,
        }))
    }

    /// Answer every waiting question with a reason why not.
    pub(super) fn refuse(&self, lab: &Lab, reason: &str) {
        for request in lab.requests.borrow_mut().drain(..) {
            match request {
                Request::State(reply) | Request::Step(_, reply) => reply.bad(reason),
            }
        }
    }
}
