//! The steps that are due, and their energies.

use super::Instance;
use crate::choices::{Origin, Overlay, ViewKind};
use crate::dom;
use crate::engine::Engine;
use crate::explain::readable;
use crate::film::Film;
use crate::history::History;
use crate::pacing::MOST_AT_ONCE;
use crate::problem::Problem;
use dual_mcmc::chain::Langevin;
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
    /// Where the chains that run now rest, and their update: x-chains that fill in have their own.
    pub(super) fn leg(&self) -> Option<(Option<u32>, Langevin)> {
        let (engine, settings) = (self.engine.as_ref()?, self.settings.as_ref()?);
        Some(match settings.fill.filter(|_| engine.fills()) {
            Some(fill) => (Some(fill.steps), fill.langevin),
            None => (settings.rest_at, settings.langevin),
        })
    }

    /// Whether x-chains are to fill in what is hidden, now that the z-chains have come to their end.
    pub(super) fn fills_next(&self) -> bool {
        let (Some(engine), Some(settings)) = (&self.engine, &self.settings) else { return false };
        let at_end = settings.rest_at.is_some_and(|rest| engine.steps() >= rest);
        settings.fill.is_some() && !engine.fills() && at_end
    }

    /// Let x-chains go on from where the z-chains are, on what is hidden alone.
    async fn begin_filling(&mut self) -> Result<(), Problem> {
        self.take_energies().await?;
        let (Some(engine), Some(settings), Some(sight), Some(loaded)) =
            (&mut self.engine, &self.settings, &self.sight, &self.loaded)
        else {
            return Ok(());
        };
        engine.fill(sight, settings.seed).await?;
        self.history = History::of(1);
        self.film = Film::of(engine.state().await?);
        (self.scrub, self.look, self.last_read) = (None, None, f64::NEG_INFINITY);
        self.redraw = true;
        self.show_running(settings, &loaded.facts);
        self.refs
            .set_text("status", "The x-chain goes on from where the z-chain is, on the hidden pixels alone.");
        Ok(())
    }

    /// Take steps, and keep what they leave behind.
    async fn take_steps(&mut self, steps: u32) -> Result<(), Problem> {
        let (Some((_, langevin)), Some(engine), Some(settings)) =
            (self.leg(), &mut self.engine, &self.settings)
        else {
            return Ok(());
        };
        engine.advance(steps, &langevin).await?;
        let on_map = settings.view == ViewKind::Landscape;
        let trails = on_map && (settings.chosen.is_some() || settings.overlays.contains(&Overlay::Trails));
        // What is looked at closely is to be what is now.
        let closely = (settings.chosen.is_some() || self.numbers) && !self.film.is_empty();
        if trails || closely || self.film.wants(engine.steps()) {
            let states = engine.state().await?;
            if trails {
                self.trails.push(&states, settings.chosen);
            }
            self.film.take(engine.steps(), states);
        }
        if self.posterior.is_some() {
            self.latents = engine.latents().await?;
        }
        Ok(())
    }

    /// Take the steps that are due.
    pub(super) async fn advance(&mut self) -> Result<(), Problem> {
        let runs = self.engine.as_ref().is_some_and(Engine::runs);
        let playing = self.playing && self.visible && runs;
        if self.fills_next() && (playing || self.single_steps > 0) {
            self.begin_filling().await?;
        }
        let Some((rest_at, _)) = self.leg() else { return Ok(()) };
        let (Some(engine), Some(settings)) = (&self.engine, &self.settings) else { return Ok(()) };
        let begin = dom::now();
        let mut due = self.single_steps.min(MOST_AT_ONCE);
        self.single_steps -= due;
        let share = self.turn.set(playing);
        let before = engine.steps();
        if playing {
            due += self.pacer.due(begin, settings.rate);
            if let Some(rest) = rest_at.filter(|&rest| before < rest) {
                due = due.min(rest - before);
            }
        }
        if runs && due > 0 {
            self.take_steps(due).await?;
            let end = dom::now();
            self.pacer.took(due, end - begin, share);
            self.speed.count(due, end);
            let steps = self.engine.as_ref().map_or(0, Engine::steps);
            let at_rest = rest_at.is_some_and(|rest| before < rest && steps >= rest);
            if playing && at_rest && !self.fills_next() {
                self.rest(steps);
            }
        }
        self.show_transport();
        Ok(())
    }

    /// Let the chains rest where the model's own end, and say so.
    fn rest(&mut self, steps: u32) {
        let from_noise = self
            .settings
            .as_ref()
            .is_some_and(|settings| settings.view.samples() && settings.starts.contains(&Origin::Noise));
        let taken = match from_noise {
            true => format!("{steps} steps from noise"),
            false => format!("the {steps} steps that the model recommends"),
        };
        self.play(false);
        self.refs.set_text("status", &format!("The chains have taken {taken}, and rest. Play goes on."));
    }

    /// Take steps for a script, whether the chains run or rest.
    pub(super) async fn step_now(&mut self, steps: u32) -> Result<(), Problem> {
        let mut left = steps;
        while left > 0 && !self.post.ended() {
            if self.fills_next() {
                self.begin_filling().await?;
            }
            let (Some((rest_at, _)), Some(engine)) = (self.leg(), &self.engine) else { break };
            if !engine.runs() {
                return Err(Problem::new("Nothing runs", "This model has no energy."));
            }
            let to_end = rest_at.map(|rest| rest.saturating_sub(engine.steps())).filter(|&steps| steps > 0);
            let now = left.min(MOST_AT_ONCE).min(to_end.unwrap_or(u32::MAX));
            self.take_steps(now).await?;
            left -= now;
            self.take_energies().await?;
            dom::breathe().await;
        }
        self.look().await?;
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
        self.show_reached();
        self.draw_plot();
        self.tell_numbers();
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
