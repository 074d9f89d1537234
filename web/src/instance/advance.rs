//! The steps that are due, and their energies.

use super::Instance;
use crate::choices::{Origin, Overlay, ViewKind};
use crate::dom;
use crate::explain::readable;
use crate::pacing::MOST_AT_ONCE;
use crate::problem::Problem;
use serde::Serialize;

/// Energies are read this often while the chains run, in milliseconds.
const READ_EVERY: f64 = 250.0;

/// What the page is told of steps.
#[derive(Serialize)]
struct Stepped {
    step: u32,
    /// Mean over the chains.
    energy: Option<f32>,
}

impl Instance {
    /// Take the steps that are due.
    pub(super) async fn advance(&mut self) -> Result<(), Problem> {
        let (Some(engine), Some(settings)) = (&mut self.engine, &self.settings) else { return Ok(()) };
        let begin = dom::now();
        let mut due = self.single_steps.min(MOST_AT_ONCE);
        self.single_steps -= due;
        let playing = self.playing && self.visible && engine.runs();
        let share = self.turn.set(playing);
        if playing {
            due += self.pacer.due(begin, settings.rate);
            if let Some(rest) = settings.rest_at.filter(|&rest| engine.steps() < rest) {
                due = due.min(rest - engine.steps());
            }
        }
        if engine.runs() && due > 0 {
            let before = engine.steps();
            engine.advance(due, &settings.langevin).await?;
            if settings.view == ViewKind::Landscape
                && (self.chosen.is_some() || settings.overlays.contains(&Overlay::Trails))
            {
                self.trails.push(&engine.state().await?, self.chosen);
            }
            let end = dom::now();
            self.pacer.took(due, end - begin, share);
            self.speed.count(due, end);
            let (steps, rest_at) = (engine.steps(), settings.rest_at);
            if playing && rest_at.is_some_and(|rest| before < rest && steps >= rest) {
                let taken = match settings.view.samples() && settings.starts.contains(&Origin::Noise) {
                    true => format!("{steps} steps from noise"),
                    false => format!("the {steps} steps that the model recommends"),
                };
                self.play(false);
                let words = format!("The chains have taken {taken}, and rest. Play goes on.");
                self.refs.set_text("status", &words);
            }
        }
        self.show_transport();
        Ok(())
    }

    /// Take steps for a script, whether the chains run or rest.
    pub(super) async fn step_now(&mut self, steps: u32) -> Result<(), Problem> {
        let mut left = steps;
        while left > 0 && !self.post.ended() {
            let (Some(engine), Some(settings)) = (&mut self.engine, &self.settings) else { break };
            if !engine.runs() {
                return Err(Problem::new("Nothing runs", "This model has no energy."));
            }
            let now = left.min(MOST_AT_ONCE);
            engine.advance(now, &settings.langevin).await?;
            left -= now;
            self.take_energies().await?;
            dom::breathe().await;
        }
        self.draw(true)
    }

    /// Read the energies, now and then while the chains run and at once when they rest.
    pub(super) async fn read_energies(&mut self) -> Result<(), Problem> {
        let now = dom::now();
        let running = self.playing && self.visible;
        if !self.unread() || (running && now - self.last_read < READ_EVERY) {
            return Ok(());
        }
        self.last_read = now;
        self.take_energies().await?;
        self.judge().await?;
        let speed = if running { readable(self.speed.value.round()) } else { "0".into() };
        self.refs.set_text("achieved", &speed);
        self.draw_plot();
        Ok(())
    }

    /// Read the energies since the last time, and tell the page.
    pub(super) async fn take_energies(&mut self) -> Result<(), Problem> {
        let Some(engine) = &mut self.engine else { return Ok(()) };
        if !engine.runs() {
            return Ok(());
        }
        let trace = engine.trace().await?;
        self.history.absorb(&trace);
        let adjusted = self.settings.as_ref().is_some_and(|settings| settings.langevin.mala);
        self.acceptance = if adjusted { engine.acceptance().await? } else { None };
        self.refs.show("acceptance-line", self.acceptance.is_some());
        let words = self.acceptance.map(|share| format!("{:.0}%", 100.0 * share)).unwrap_or_default();
        self.refs.set_text("acceptance", &words);
        let stepped = Stepped { step: engine.steps(), energy: self.history.mean() };
        dom::tell(&self.element, "step", &stepped);
        if !self.history.finite() {
            self.play(false);
            return Err(Problem::new(
                "The chains have run away",
                "Their energies are no longer finite numbers. Choose a smaller step size, and start over.",
            ));
        }
        Ok(())
    }
}
