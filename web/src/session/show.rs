//! What the page shows of the chains: pictures, energies, words.

use super::Session;
use crate::explain::{count, readable};
use crate::lab::Lab;
use crate::problem::Problem;
use crate::state::{Facts, Settings};
use crate::theme::Theme;
use crate::views::Scene;
use crate::{about, dom, plot};
use dual_mcmc::jobs::Start;
use web_sys::HtmlCanvasElement;

/// Energies are read this often while the chains run, in milliseconds.
const READ_EVERY: f64 = 250.0;

impl Session {
    pub(super) fn draw(&mut self, lab: &Lab, changed: bool) -> Result<(), Problem> {
        let (Some(engine), Some(settings), Some(loaded)) = (&self.engine, &self.settings, &self.loaded)
        else {
            return Ok(());
        };
        let Some(view) = &mut self.view else { return Ok(()) };
        let anew = lab.redraw.replace(false) || changed;
        if anew || self.theme.is_none() {
            self.theme = Some(Theme::current());
        }
        if let Some([x, y]) = lab.pointed.take() {
            let chain = view.chain_at(x, y);
            lab.chosen.set(chain.filter(|_| chain != lab.chosen.get()));
        }
        let Some(theme) = &self.theme else { return Ok(()) };
        let scene = Scene {
            engine,
            facts: &loaded.facts,
            ground: self.ground.as_ref(),
            chains: settings.chains,
            chosen: lab.chosen.get().filter(|&chain| chain < settings.chains),
            theme,
        };
        view.draw(&scene, anew)?;
        lab.grid.set([view.columns(), settings.chains]);
        dom::set_text("step-count", &engine.steps().to_string());
        captions(settings, &loaded.facts, engine.steps());
        if anew {
            self.draw_plot(lab);
        }
        Ok(())
    }

    pub(super) fn draw_plot(&self, lab: &Lab) {
        let (Some(settings), Some(loaded), Some(theme)) = (&self.settings, &self.loaded, &self.theme) else {
            return;
        };
        let held_out = about::held_out(&loaded.model);
        let marks = plot::Marks { held_out, chosen: lab.chosen.get(), chains: settings.chains };
        if let Some(canvas) = dom::find::<HtmlCanvasElement>("trace-canvas") {
            plot::draw(&canvas, &self.history, &marks, theme);
            if let (Some(first), Some(mean)) = (self.history.rows().first(), self.history.mean()) {
                let words = format!(
                    "Plot of energies: the mean of {} went from {} to {} in {}",
                    count(settings.chains, "chain"),
                    readable(first.mean),
                    readable(mean),
                    count(self.history.last_step().unwrap_or(0) as usize, "step"),
                );
                let _ = canvas.set_attribute("aria-label", &words);
            }
        }
        dom::set_text("mean-energy", &self.history.mean().map(readable).unwrap_or_else(|| "–".into()));
        dom::show("band-key", settings.chains > plot::FEW);
        dom::show("held-out-key", held_out.is_some());
        let says = match lab.chosen.get().filter(|&chain| chain < settings.chains) {
            Some(chain) => {
                let energy = self.history.current().get(chain).map(|e| readable(*e)).unwrap_or_default();
                format!("Set off: chain {}, energy {energy}.", chain + 1)
            }
            None if loaded.facts.plane() => String::new(),
            None => "Click an image, or use the arrow keys on the grid, to set one chain off.".into(),
        };
        dom::set_text("trace-says", &says);
    }

    /// Read the energies, now and then while the chains run and at once when they rest.
    pub(super) async fn read_energies(&mut self, lab: &Lab) -> Result<(), Problem> {
        let now = dom::now();
        let running = lab.playing.get() && lab.visible.get();
        if !self.unread() || (running && now - self.last_read < READ_EVERY) {
            return Ok(());
        }
        let Some(engine) = &mut self.engine else { return Ok(()) };
        self.last_read = now;
        let trace = engine.trace().await?;
        self.history.absorb(&trace);
        dom::set_text("achieved", &if running { readable(self.speed.value.round()) } else { "0".into() });
        self.draw_plot(lab);
        if !self.history.finite() {
            lab.playing.set(false);
            return Err(Problem::new(
                "The chains have run away",
                "Their energies are no longer finite numbers. Choose a smaller step size, and start over.",
            ));
        }
        Ok(())
    }
}

pub(super) fn captions(settings: &Settings, facts: &Facts, steps: u32) {
    let things = if facts.image() { "images" } else { "samples" };
    let start = match settings.start {
        Start::Generator => format!("The generator’s {things}"),
        Start::Noise => "Start: noise".into(),
    };
    dom::set_text("start-caption", &start);
    let refined = match (facts.energy, steps) {
        (false, _) => "No energy to refine them".to_string(),
        (true, 0) => "The same, before the first step".into(),
        (true, n) => format!("The same after {}", count(n as usize, "step")),
    };
    dom::set_text("refined-caption", &refined);
}

/// Tell the reader, and a screen reader, what has happened.
pub(super) fn status(words: &str) {
    dom::set_text("status", words);
}
