//! Going back to what was before the chains started over, or before the settings became the model's own again.

use super::Instance;
use crate::engine::{Engine, Sight};
use crate::film::Film;
use crate::heat::Heat;
use crate::history::History;
use crate::trails::Trails;
use crate::views::Slope;

/// What there was before.
pub enum Before {
    /// Chains that started over.
    Run(Box<Run>),
    /// Settings that were taken back.
    Choices(Vec<(&'static str, Option<String>)>),
}

/// Chains as they were, with what is known of them.
pub struct Run {
    engine: Engine,
    history: History,
    film: Film,
    trails: Trails,
    sight: Option<Sight>,
    slope: Option<Slope>,
    latents: Vec<f32>,
    posterior: Option<Heat>,
    seed: u64,
}

/// The choices that the model's own settings take the place of.
const SETTINGS: [&str; 6] = ["chains", "rate", "step-size", "noise", "start", "sampler"];

impl Instance {
    /// Whether the chains have come somewhere, and are few enough to be kept when they start over.
    pub(super) fn worth_keeping(&self) -> bool {
        !self.film.is_empty()
            && self.engine.as_ref().is_some_and(|engine| engine.runs() && engine.steps() > 0)
    }

    /// Keep the chains of this seed, whose place `next` takes.
    pub(super) fn keep(&mut self, next: Engine, seed: u64) {
        let Some(engine) = self.engine.replace(next) else { return };
        self.before = Some(Before::Run(Box::new(Run {
            engine,
            history: std::mem::take(&mut self.history),
            film: std::mem::take(&mut self.film),
            trails: std::mem::take(&mut self.trails),
            sight: self.sight.take(),
            slope: self.slope.take(),
            latents: std::mem::take(&mut self.latents),
            posterior: self.posterior.take(),
            seed,
        })));
    }

    /// Forget chains that were kept: others than those that took their place run now.
    pub(super) fn forget_run(&mut self) {
        self.before.take_if(|before| matches!(before, Before::Run(_)));
    }

    /// Forget settings that were taken back: another one has been chosen since.
    pub(super) fn forget_choices(&mut self, name: &str) {
        self.before.take_if(|before| matches!(before, Before::Choices(_)) && SETTINGS.contains(&name));
    }

    /// Let the settings be the model's own, and remember what they were.
    pub(super) fn take_back_settings(&mut self) {
        let made: Vec<_> = SETTINGS.into_iter().map(|name| (name, self.choices.get(name))).collect();
        if made.iter().all(|(_, value)| value.is_none()) {
            return;
        }
        for name in SETTINGS {
            self.choose(name, None);
        }
        self.before = Some(Before::Choices(made));
    }

    /// Go back to what was before.
    pub(super) fn undo(&mut self) {
        match self.before.take() {
            Some(Before::Choices(choices)) => {
                for (name, value) in choices {
                    self.choose(name, value);
                }
            }
            Some(Before::Run(run)) => {
                let Run { engine, history, film, trails, sight, slope, latents, posterior, seed } = *run;
                self.play(false);
                self.engine = Some(engine);
                (self.history, self.film, self.trails) = (history, film, trails);
                (self.sight, self.slope) = (sight, slope);
                (self.latents, self.posterior) = (latents, posterior);
                (self.scrub, self.look) = (None, None);
                self.choose("seed", (seed != 0).then(|| seed.to_string()));
                if let Some(settings) = &mut self.settings {
                    // The chains have this seed: they are not to start again for it.
                    settings.seed = seed;
                }
                self.last_read = f64::NEG_INFINITY;
                self.stale = true;
                let words = "The chains are as they were before they started over, and rest.";
                self.refs.set_text("status", words);
            }
            None => {}
        }
    }
}
