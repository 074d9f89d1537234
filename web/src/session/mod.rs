//! The loop that runs the chains: at each frame it brings what runs in line with what is wanted,
//! takes as many steps as fit, and draws.

mod arrange;
mod script;
mod show;

use crate::engine::{Device, Engine};
use crate::history::History;
use crate::lab::Lab;
use crate::loading::Source;
use crate::pacing::{MOST_AT_ONCE, Pacer};
use crate::problem::Problem;
use crate::state::{DeviceChoice, Facts, Settings};
use crate::theme::Theme;
use crate::views::{Ground, View};
use crate::{controls, dom};
use dual_mcmc::model::Model;
use js_sys::Uint8Array;
use show::status;
use std::rc::Rc;

/// A model with what the page knows about it.
pub struct Loaded {
    /// The model.
    pub model: Model,
    /// The file that it was read from.
    pub file: Uint8Array,
    /// What decides how it can be run and shown.
    pub facts: Facts,
    /// Where it came from.
    pub source: Source,
}

/// What runs.
#[derive(Default)]
pub struct Session {
    device: Option<(DeviceChoice, Device)>,
    /// The source that was last tried, whether or not it gave a model.
    tried: Option<Source>,
    loaded: Option<Loaded>,
    ground: Option<Ground>,
    engine: Option<Engine>,
    settings: Option<Settings>,
    view: Option<View>,
    theme: Option<Theme>,
    history: History,
    pacer: Pacer,
    /// What stopped the session, until something changes.
    problem: Option<Problem>,
    last_read: f64,
    speed: Speed,
}

/// Steps per second that were reached.
#[derive(Default)]
struct Speed {
    since: f64,
    steps: u32,
    value: f32,
}

impl Speed {
    fn count(&mut self, steps: u32, now: f64) {
        self.steps += steps;
        if now - self.since >= 1000.0 {
            self.value = (f64::from(self.steps) * 1000.0 / (now - self.since)) as f32;
            (self.since, self.steps) = (now, 0);
        }
    }
}

/// Run the page for as long as it lives.
pub async fn run(lab: Rc<Lab>) {
    let mut session = Session::default();
    loop {
        let busy = session.busy(&lab);
        if !busy {
            session.pacer.rest();
        }
        lab.rest(busy).await;
        if lab.visible.get() {
            dom::next_frame().await;
        } else {
            // A script's question waits until the figure is seen: without this the loop would never let go.
            dom::wait(50).await;
        }
        if let Err(problem) = session.turn(&lab).await {
            session.stop(&lab, problem);
        }
        lab.write_address();
    }
}

impl Session {
    /// Whether there is something to do without anything having changed.
    fn busy(&self, lab: &Lab) -> bool {
        let Some(engine) = self.engine.as_ref().filter(|_| self.problem.is_none()) else { return false };
        (lab.playing.get() && engine.runs()) || lab.steps.get() > 0 || self.unread()
    }

    /// Whether energies have been computed that were not read yet.
    fn unread(&self) -> bool {
        self.engine
            .as_ref()
            .is_some_and(|engine| engine.runs() && self.history.last_step() != Some(engine.steps()))
    }

    fn stop(&mut self, lab: &Lab, problem: Problem) {
        dom::set_text("notice-title", &format!("{}.", problem.title));
        dom::set_text("notice-advice", &problem.advice);
        dom::show("use-cpu", problem.device);
        dom::show("retry", problem.device || self.loaded.is_none());
        dom::show("notice", true);
        dom::show("progress-line", false);
        if self.loaded.is_none() {
            dom::set_text("empty-text", "No model is running.");
            dom::show("empty", !lab.embed);
        }
        if problem.device {
            self.engine = None;
            self.view = None;
        }
        // Chains that ran away can start over.
        controls::show_transport(false, self.engine.is_some(), false);
        self.refuse(lab, &problem.to_string());
        self.problem = Some(problem);
    }

    async fn turn(&mut self, lab: &Rc<Lab>) -> Result<(), Problem> {
        let changed = lab.take_changed();
        if lab.retry.replace(false) {
            self.problem = None;
            self.engine = None;
            self.view = None;
            self.device = None;
            if self.loaded.is_none() {
                self.tried = None;
            }
        }
        if changed {
            self.load(lab).await?;
            self.arrange(lab).await?;
        }
        if self.problem.is_some() {
            let reason = self.problem.as_ref().map(Problem::to_string).unwrap_or_default();
            self.refuse(lab, &reason);
            return Ok(());
        }
        if self.engine.is_none() {
            return Ok(());
        }
        self.advance(lab).await?;
        self.draw(lab, changed)?;
        self.read_energies(lab).await?;
        self.answer(lab).await
    }

    /// Take the steps that are due.
    async fn advance(&mut self, lab: &Lab) -> Result<(), Problem> {
        let (Some(engine), Some(settings)) = (&mut self.engine, &self.settings) else { return Ok(()) };
        let runs = engine.runs();
        let begin = dom::now();
        let single = lab.steps.replace(0);
        let mut due = single.min(MOST_AT_ONCE);
        lab.steps.set(single - due);
        let playing = lab.playing.get() && lab.visible.get();
        if playing && runs {
            due += self.pacer.due(begin, settings.rate);
            if let Some(rest) = settings.rest_at.filter(|&rest| engine.steps() < rest) {
                due = due.min(rest - engine.steps());
            }
        }
        if runs && due > 0 {
            let before = engine.steps();
            engine.advance(due, &settings.langevin).await?;
            let end = dom::now();
            self.pacer.took(due, end - begin);
            self.speed.count(due, end);
            if playing && settings.rest_at.is_some_and(|rest| before < rest && engine.steps() >= rest) {
                lab.playing.set(false);
                status(&format!(
                    "The chains have taken the {} steps that the model recommends, and rest. Play goes on.",
                    engine.steps()
                ));
            }
        }
        controls::show_transport(lab.playing.get(), true, runs);
        Ok(())
    }
}
