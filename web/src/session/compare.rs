//! Where WebGPU is a program on the processor, the lab starts with the page's own code, takes some steps the other way
//! beside it, and starts over on that if it is the faster one.

use super::Session;
use crate::dom;
use crate::engine::{Device, Engine};
use crate::lab::Lab;
use crate::problem::Problem;
use std::cell::Cell;
use std::rc::Rc;
use wasm_bindgen_futures::spawn_local;

/// Steps on WebGPU that are measured, fewer where they take longer than so many milliseconds together.
const STEPS: u32 = 6;
const LONGEST_MS: f64 = 1000.0;
/// Steps on the processor that are measured after that, when it need no longer compile.
const OWN_STEPS: u32 = 6;
/// What a step takes at least, for clocks that are coarse.
pub(super) const LEAST_MS: f64 = 0.1;

/// The same chains on WebGPU.
#[derive(Default)]
pub(super) struct Trial {
    stage: Stage,
    /// The least milliseconds that a step of theirs took. Another trial has another cell.
    measured: Rc<Cell<Option<f64>>>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Stage {
    #[default]
    Due,
    /// They take their steps.
    Begun,
    /// They have: now the processor's steps are measured.
    Own(f64),
    Done,
}

impl Trial {
    /// Other chains run from now on: those of an unfinished trial are the wrong ones.
    pub(super) fn restart(&mut self) {
        if self.stage != Stage::Done {
            *self = Trial::default();
        }
    }
}

impl Session {
    /// Compare the two ways, if there are two and the chains run. Chains at rest stay as they are.
    pub(super) async fn compare(&mut self, lab: &Rc<Lab>) {
        let (Some((_, device)), Some(engine), Some(settings)) =
            (&mut self.device, &self.engine, &self.settings)
        else {
            return;
        };
        let rests = settings.rest_at.is_some_and(|rest| engine.steps() >= rest);
        let Some(rival) = device.rival().filter(|_| lab.playing.get() && !rests && engine.steps() > 0) else {
            return;
        };
        match self.trial.stage {
            Stage::Due => {
                self.trial.stage = Stage::Begun;
                // A failure of what nobody asked for is no problem: the processor goes on.
                let _ = self.begin_trial(rival).await;
            }
            Stage::Begun => {
                if let Some(least) = self.trial.measured.get() {
                    self.speed.measure_anew();
                    self.trial.stage = Stage::Own(least);
                }
            }
            Stage::Own(least) if self.speed.measured >= OWN_STEPS => {
                self.trial.stage = Stage::Done;
                let times = least / self.speed.best;
                if times < 1.0 {
                    *device = rival;
                    self.engine = None;
                    self.view = None;
                } else {
                    device.compared(Some(times));
                }
                lab.touch();
            }
            Stage::Own(_) | Stage::Done => {}
        }
    }

    /// Have the same chains take steps on `device`, beside those that run.
    async fn begin_trial(&self, device: Device) -> Result<(), Problem> {
        let (Some(loaded), Some(settings)) = (&self.loaded, &self.settings) else { return Ok(()) };
        let mut engine = Engine::new(&device, &loaded.model, &loaded.file, settings.chains).await?;
        engine.start(settings).await?;
        let (measured, langevin) = (self.trial.measured.clone(), settings.langevin);
        spawn_local(async move {
            // With the first step the browser compiles the kernels.
            let mut begun = engine.advance(1, &langevin).await;
            let (start, mut least) = (dom::now(), f64::INFINITY);
            for _ in 0..STEPS {
                let begin = dom::now();
                if begun.is_err() || begin - start > LONGEST_MS {
                    break;
                }
                begun = engine.advance(1, &langevin).await;
                least = least.min(dom::now() - begin);
            }
            if begun.is_ok() {
                measured.set(Some(least.max(LEAST_MS)));
            }
        });
        Ok(())
    }
}
