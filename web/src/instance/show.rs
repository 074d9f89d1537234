//! What a figure shows of its chains: pictures, energies, words.

use super::Instance;
use crate::choices::{Origin, Subject, ViewKind};
use crate::explain::{bytes, count, long_run, readable};
use crate::facts::Facts;
use crate::problem::Problem;
use crate::settings::Settings;
use crate::ui::{Theme, about, controls, tables};
use crate::views::{CloseUp, Scene};
use crate::{dom, numbers, plot};
use serde::Serialize;
use web_sys::{HtmlCanvasElement, HtmlProgressElement};

/// What the page is told of a problem.
#[derive(Serialize)]
struct Said<'a> {
    title: &'a str,
    advice: &'a str,
    message: String,
}

impl Instance {
    /// What the view draws from, if all of it is there.
    pub(super) fn with_scene<T>(&self, use_scene: impl FnOnce(&Scene) -> T) -> Option<T> {
        let (engine, settings) = (self.engine.as_ref()?, self.settings.as_ref()?);
        let (loaded, theme) = (self.loaded.as_ref()?, self.theme.as_ref()?);
        let of_examples = self.own.is_none() && settings.subject == Subject::Example;
        let example = (loaded.facts.examples > 0 && of_examples).then_some(settings.example);
        Some(use_scene(&Scene {
            engine,
            facts: &loaded.facts,
            ground: self.ground.as_ref(),
            sight: self.sight.as_ref(),
            examples: (&self.examples, example),
            own: self.own.is_some(),
            own_examples: self.own_examples,
            subject: settings.subject,
            slope: self.slope.as_ref(),
            histograms: &loaded.model.annotations.histograms,
            cursor: self.cursor,
            corners: (settings.view == ViewKind::Latent).then_some(settings.corners),
            overlays: &settings.overlays,
            trails: &self.trails,
            starts: &settings.starts,
            chains: settings.chains,
            encoded: settings.encoded(&loaded.facts),
            figures: self.history.current(),
            chosen: settings.chosen,
            film: &self.film,
            scrub: self.scrub,
            look: self.look.as_ref(),
            latents: &self.latents,
            posterior: self.posterior.as_ref(),
            theme,
        }))
    }

    pub(super) fn draw(&mut self, changed: bool) -> Result<(), Problem> {
        let anew = std::mem::take(&mut self.redraw) || changed;
        if anew || self.theme.is_none() {
            self.theme = Some(Theme::of(&self.element));
        }
        let Some(mut view) = self.view.take() else { return Ok(()) };
        let drawn = self.with_scene(|scene| view.draw(scene, &self.refs, anew));
        self.view = Some(view);
        drawn.transpose()?;
        self.draw_close_up()?;
        let Some(engine) = &self.engine else { return Ok(()) };
        self.refs.set_text("step-count", &engine.steps().to_string());
        if anew {
            self.draw_plot();
            self.tell_numbers();
        }
        Ok(())
    }

    /// Draw the chosen chain, if there is one.
    fn draw_close_up(&mut self) -> Result<(), Problem> {
        let (Some(settings), Some(loaded)) = (&self.settings, &self.loaded) else { return Ok(()) };
        if settings.chosen.is_none() {
            self.close_up = None;
            self.refs.show("close-up", false);
            return Ok(());
        }
        let mut close_up = match self.close_up.take() {
            Some(close_up) => close_up,
            None => CloseUp::open(&self.refs, &loaded.facts)?,
        };
        let drawn = self.with_scene(|scene| close_up.draw(scene, &self.refs));
        self.close_up = Some(close_up);
        drawn.transpose()?;
        Ok(())
    }

    /// Draw the plot of energies, and say what it shows.
    pub(super) fn draw_plot(&self) {
        let (Some(settings), Some(loaded), Some(theme)) = (&self.settings, &self.loaded, &self.theme) else {
            return;
        };
        let mean = self.history.mean();
        self.refs.set_text("mean-energy", &mean.map(readable).unwrap_or_else(|| "–".into()));
        if !self.controls {
            return;
        }
        let samples = self.tells_energies(settings);
        let held_out = about::held_out(&loaded.model).filter(|_| samples);
        let what = if samples { "energies" } else { "squared errors" };
        let chosen = settings.chosen;
        let starts: &[Origin] = if settings.view.has_subject() { &[] } else { &settings.starts };
        let marks = plot::Marks { held_out, chosen, chains: settings.chains, groups: starts.len().max(1) };
        for (i, name) in ["mean-key", "mean-2-key", "mean-3-key"].into_iter().enumerate() {
            self.refs.show(name, i < marks.groups);
            let words = match starts.get(i).filter(|_| marks.groups > 1) {
                Some(origin) => format!("mean from {}", origin.word()),
                None => "mean".into(),
            };
            self.refs.set_text(&name.replace("key", "words"), &words);
        }
        if let Some(canvas) = self.refs.find::<HtmlCanvasElement>("trace-canvas") {
            plot::draw(&canvas, &self.history, &marks, theme);
            if let (Some(first), Some(mean)) = (self.history.rows().first(), mean) {
                let words = format!(
                    "Plot of {what}: the mean of {} went from {} to {} in {}",
                    count(settings.chains, "chain"),
                    readable(first.mean),
                    readable(mean),
                    count(self.history.last_step().unwrap_or(0) as usize, "step"),
                );
                let _ = canvas.set_attribute("aria-label", &words);
            }
        }
        self.refs.show("band-key", settings.chains > plot::FEW);
        self.refs.show("held-out-key", held_out.is_some());
        let long = self.recommended().zip(mean).zip(self.history.last_step());
        let long =
            long.filter(|((steps, _), taken)| samples && !settings.view.has_subject() && taken > steps);
        let long = long.map(|((steps, mean), taken)| long_run(taken, steps, mean, held_out));
        self.refs.set_text("long-run", long.as_deref().unwrap_or_default());
        let says = match chosen {
            Some(chain) => {
                let energy = self.history.current().get(chain).map(|e| readable(*e)).unwrap_or_default();
                format!("Set off: chain {}, energy {energy}.", chain + 1)
            }
            None if loaded.facts.plane() || settings.view.has_subject() => String::new(),
            None => "Click an image, or use the arrow keys on the grid, to set one chain off.".into(),
        };
        self.refs.set_text("trace-says", &says);
    }

    /// Say where the device takes fewer steps a second than are wanted.
    pub(super) fn show_reached(&self) {
        let Some(settings) = &self.settings else { return };
        let reached = self.speed.value;
        let slow = self.playing && reached > 0.0 && reached < 0.8 * settings.rate;
        let wanted = readable(settings.rate);
        let words = if slow { format!("{} of {wanted}", readable(reached.max(0.1))) } else { wanted };
        self.refs.set_text("rate-value", &words);
    }

    /// Fill the tables of numbers, if they are open.
    pub(super) fn tell_numbers(&self) {
        let (true, Some(settings), Some(loaded)) = (self.numbers, &self.settings, &self.loaded) else {
            return;
        };
        let what = if self.tells_energies(settings) { "energy" } else { "squared error" };
        let starts: &[Origin] = if settings.view.has_subject() { &[] } else { &settings.starts };
        let newest = self.film.at(None).filter(|_| loaded.facts.plane());
        let plane = newest.map(|frame| &frame.states[..]);
        let mut tables = vec![
            numbers::of_chains(self.history.current(), starts, plane, what),
            numbers::of_steps(&self.history, what),
        ];
        let histograms = &loaded.model.annotations.histograms;
        if settings.view == ViewKind::Energy && !histograms.is_empty() {
            tables.insert(0, numbers::of_histograms(histograms));
        }
        tables::fill(&self.refs, &tables);
    }

    /// Show that a model is on its way, or that none is wanted.
    pub(super) fn show_loading(&self) {
        for name in [
            "notice",
            "landscape",
            "sample",
            "reconstruct",
            "energy",
            "close-up",
            "trace",
            "numbers",
            "about",
            "remarks",
            "bar",
        ] {
            self.refs.show(name, false);
        }
        self.refs.show("empty", true);
        let wanted = self.load.is_some();
        self.refs.set_text("empty-text", if wanted { "Loading the model…" } else { "No model is chosen." });
        self.refs.show("progress-line", wanted);
        self.show_transport();
    }

    pub(super) fn show_progress(&self, now: f64, total: Option<f64>) {
        if let Some(bar) = self.refs.find::<HtmlProgressElement>("progress") {
            match total {
                Some(total) if total > 0.0 => bar.set_value((now / total).min(1.0)),
                _ => drop(bar.remove_attribute("value")),
            }
        }
        let of = total.map(|total| format!(" of {}", bytes(total))).unwrap_or_default();
        let name = self.load.as_ref().map(|(source, _)| source.name()).unwrap_or_default();
        self.refs.set_text("progress-text", &format!("Loading {name}: {}{of}", bytes(now)));
    }

    /// The step at which the chains that run now rest.
    fn recommended(&self) -> Option<u32> {
        self.leg().and_then(|(rest_at, _)| rest_at)
    }

    /// Whether the numbers of the chains are energies, and not squared errors.
    pub(super) fn tells_energies(&self, settings: &Settings) -> bool {
        settings.view.samples() || self.engine.as_ref().is_some_and(|engine| engine.fills())
    }

    /// Show that the chains can run.
    pub(super) fn show_running(&self, settings: &Settings, facts: &Facts) {
        let samples = self.tells_energies(settings);
        let [plot, mean] = match samples {
            true => ["Energy over the steps:", "mean energy"],
            false => ["Squared error over the steps:", "mean error"],
        };
        self.refs.set_text("trace-title", plot);
        self.refs.set_text("mean-label", mean);
        self.refs.show("notice", false);
        self.refs.show("empty", false);
        self.refs.show("bar", !self.controls);
        for (name, visible) in [
            ("head", true),
            ("trace", facts.energy || !samples),
            ("numbers", facts.energy || !samples),
            ("about", true),
            ("settings", true),
        ] {
            self.refs.show(name, self.controls && visible);
        }
        self.refs.show("transport", self.controls);
    }

    /// Show whether the chains run, and which buttons make sense.
    pub(super) fn show_transport(&self) {
        let ready = self.engine.is_some();
        for name in ["undo", "bar-undo"] {
            self.refs.show(name, ready && self.before.is_some());
        }
        let runs =
            ready && self.problem.is_none() && self.engine.as_ref().is_some_and(|engine| engine.runs());
        // Where the model's own chains end, to go on is another thing.
        let recommended = self.recommended().filter(|_| ready && !self.fills_next());
        let at_rest = recommended
            .is_some_and(|steps| self.engine.as_ref().is_some_and(|engine| engine.steps() >= steps));
        controls::show_transport(&self.refs, self.playing, ready, runs, at_rest);
    }

    /// Show what has stopped the figure.
    pub(super) fn show_problem(&self, problem: &Problem) {
        self.refs.set_text("notice-title", &format!("{}.", problem.title));
        self.refs.set_text("notice-advice", &problem.advice);
        let on_gpu = self.device.as_ref().is_some_and(|(_, device)| device.is_gpu());
        self.refs.show("use-cpu", problem.device && on_gpu);
        self.refs.show("retry", problem.device || self.loaded.is_none());
        self.refs.show("notice", true);
        self.refs.show("progress-line", false);
        if self.loaded.is_none() {
            self.refs.set_text("empty-text", "No model is running.");
        }
    }

    /// Tell the page of a problem.
    pub(super) fn tell_problem(&self, title: &str, advice: &str) {
        let message = format!("{title}: {advice}");
        dom::tell(&self.element, "problem", &Said { title, advice, message });
    }
}
