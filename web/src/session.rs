//! The loop that runs the chains: at each frame it brings what runs in line with what is wanted,
//! takes as many steps as fit, and draws.

use crate::about;
use crate::api;
use crate::controls;
use crate::dom;
use crate::engine::{self, Device, Engine};
use crate::explain::{bytes, count, readable};
use crate::heat::{Bounds, Heat};
use crate::history::History;
use crate::lab::{Lab, Request};
use crate::loading::{self, Source};
use crate::pacing::{MOST_AT_ONCE, Pacer};
use crate::plot;
use crate::problem::Problem;
use crate::state::{DeviceChoice, Facts, Settings, Start};
use crate::theme::Theme;
use crate::views::{Ground, Scene, View};
use dual_mcmc::model::Model;
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc::points::PointSet;
use std::rc::Rc;
use web_sys::{HtmlCanvasElement, HtmlProgressElement};

/// Energies are read this often while the chains run, in milliseconds.
const READ_EVERY: f64 = 250.0;
/// Cells along a side of the landscape's map.
const MAP: usize = 128;
/// Data points shown.
const DATA: usize = 600;

/// A model with what the page knows about it.
pub struct Loaded {
    /// The model.
    pub model: Model,
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
        (lab.playing.get() && engine.runs()) || engine.midway() || lab.steps.get() > 0 || self.unread()
    }

    /// Whether energies have been computed that were not read yet.
    fn unread(&self) -> bool {
        self.engine.as_ref().is_some_and(|engine| engine.runs() && self.history.last_step() != Some(engine.steps()))
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
        controls::show_transport(false, false, false);
        self.refuse(lab, &problem.to_string());
        self.problem = Some(problem);
    }

    /// Answer every waiting question with a reason why not.
    fn refuse(&self, lab: &Lab, reason: &str) {
        for request in lab.requests.borrow_mut().drain(..) {
            match request {
                Request::State(reply) | Request::Step(_, reply) => reply.bad(reason),
            }
        }
    }

    async fn turn(&mut self, lab: &Lab) -> Result<(), Problem> {
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

    /// Load the wanted model, if it is another one than before.
    async fn load(&mut self, lab: &Lab) -> Result<(), Problem> {
        let wanted = lab.wanted();
        controls::list_models(lab);
        let Some(source) = wanted else {
            if lab.models.borrow().is_some() {
                dom::set_text("empty-text", "There are no models beside this page yet. Open a model file (.safetensors), or drop one here.");
            }
            return Ok(());
        };
        if !lab.visible.get() || self.tried.as_ref() == Some(&source) {
            return Ok(());
        }
        self.problem = None;
        self.tried = Some(source.clone());
        self.loaded = None;
        self.engine = None;
        self.view = None;
        self.ground = None;
        self.settings = None;
        lab.chosen.set(None);
        for id in ["notice", "landscape", "sample", "trace", "about", "remarks"] {
            dom::show(id, false);
        }
        dom::set_text("model-line", "");
        dom::show("empty", true);
        dom::set_text("empty-text", "Loading the model…");
        dom::show("progress-line", true);
        controls::show_transport(false, false, false);
        let name = source.name();
        let progress = |now: f64, total: Option<f64>| {
            if let Some(bar) = dom::find::<HtmlProgressElement>("progress") {
                match total {
                    Some(total) if total > 0.0 => bar.set_value((now / total).min(1.0)),
                    _ => {
                        let _ = bar.remove_attribute("value");
                    }
                }
            }
            let of = total.map(|total| format!(" of {}", bytes(total))).unwrap_or_default();
            dom::set_text("progress-text", &format!("Loading {name}: {}{of}", bytes(now)));
        };
        let still_wanted = || lab.wanted().as_ref() == Some(&source);
        let model = loading::load(&source, &progress, &still_wanted).await?;
        dom::show("progress-line", false);
        // Another model was wanted meanwhile: the next turn loads it.
        let Some(model) = model else { return Ok(()) };
        let facts = Facts::of(&model);
        dom::set_text("model-line", &about::line(&model, &facts));
        about::fill(&model, &facts);
        dom::show("about", true);
        self.loaded = Some(Loaded { model, facts, source });
        Ok(())
    }

    /// Bring device, chains and view in line with the settings.
    async fn arrange(&mut self, lab: &Lab) -> Result<(), Problem> {
        let Some(loaded) = &self.loaded else { return Ok(()) };
        let state = lab.state.borrow().clone();
        let device = match &self.device {
            Some((choice, device)) if *choice == state.device => device.clone(),
            _ => {
                let device = Device::find(state.device).await;
                self.engine = None;
                self.view = None;
                self.device = Some((state.device, device.clone()));
                device
            }
        };
        dom::set_text("device-line", &format!("on {}", device.words()));
        let (settings, mut remarks) = Settings::new(&state, &loaded.facts, device.slow());
        remarks.extend(lab.remarks.borrow().iter().cloned());
        if !loaded.facts.energy {
            remarks.push("This model has no energy, so nothing refines its samples: shown is what its generator makes.".into());
        }
        about::remark(&remarks);
        controls::show(&settings, &loaded.facts, lab);
        settings.langevin.check().map_err(|reason| Problem::new("The chain cannot run like this", format!("{reason}.")))?;

        let before = self.settings.replace(settings.clone());
        let other_chains = before.as_ref().is_none_or(|b| b.chains != settings.chains);
        let other_start = before.as_ref().is_none_or(|b| (b.start, b.seed) != (settings.start, settings.seed));
        // A failure that a device, a number of chains or a start may have caused is forgotten with it.
        if self.problem.is_some() && self.engine.is_some() && !other_chains && !other_start && !lab.reset.get() {
            return Ok(());
        }
        let fresh = self.engine.is_none() || other_chains;
        if fresh {
            dom::set_text("empty-text", "Preparing the chains…");
            self.engine = None;
            self.engine = Some(Engine::new(&device, &loaded.model, settings.chains)?);
        }
        let Some(engine) = &mut self.engine else { return Ok(()) };
        if fresh || other_start || lab.reset.replace(false) {
            engine.start(&settings).await?;
            self.history = History::default();
            self.pacer = Pacer::default();
            self.last_read = f64::NEG_INFINITY;
            lab.redraw.set(true);
            let what = if engine.runs() { "chain" } else { "sample" };
            let from = match settings.start {
                Start::Generator => "the generator",
                Start::Noise => "noise",
            };
            status(&format!("{} from {from}, on {}.", count(settings.chains, what), device.words()));
        }
        if loaded.facts.plane() && self.ground.is_none() {
            self.ground = Some(survey(&device, loaded).await?);
        }
        if self.view.as_ref().is_none_or(|view| view.kind() != settings.view) || fresh && self.problem.is_some() {
            self.view = Some(View::open(settings.view, &device, &loaded.facts)?);
            lab.redraw.set(true);
        }
        captions(&settings, &loaded.facts, 0);
        self.problem = None;
        dom::show("notice", false);
        dom::show("empty", false);
        dom::show("embed-bar", true);
        dom::show("trace", loaded.facts.energy);
        Ok(())
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
        if runs && (due > 0 || engine.midway()) {
            let before = engine.steps();
            let done = engine.advance(due, &settings.langevin).await?;
            let end = dom::now();
            if done > 0 {
                self.pacer.took(done, end - begin);
            }
            self.speed.count(done, end);
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

    fn draw(&mut self, lab: &Lab, changed: bool) -> Result<(), Problem> {
        let (Some(engine), Some(settings), Some(loaded)) = (&self.engine, &self.settings, &self.loaded) else {
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

    fn draw_plot(&self, lab: &Lab) {
        let (Some(settings), Some(loaded), Some(theme)) = (&self.settings, &self.loaded, &self.theme) else { return };
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
        dom::show("band-key", settings.chains > plot::FEW);
        dom::show("held-out-key", held_out.is_some());
        let says = match lab.chosen.get().filter(|&chain| chain < settings.chains) {
            Some(chain) => {
                let energy = self.history.current().get(chain).map(|e| readable(*e)).unwrap_or_default();
                format!("Set off: chain {}, energy {energy}.", chain + 1)
            }
            None if loaded.facts.plane() => String::new(),
            None => "Click an image to set its chain off.".into(),
        };
        dom::set_text("trace-says", &says);
    }

    /// Read the energies, now and then while the chains run and at once when they rest.
    async fn read_energies(&mut self, lab: &Lab) -> Result<(), Problem> {
        let now = dom::now();
        let running = lab.playing.get() && lab.visible.get();
        if !self.unread() || (running && now - self.last_read < READ_EVERY) {
            return Ok(());
        }
        let Some(engine) = &self.engine else { return Ok(()) };
        self.last_read = now;
        let trace = engine.trace().await?;
        self.history.absorb(&trace);
        dom::set_text("mean-energy", &self.history.mean().map(readable).unwrap_or_else(|| "–".into()));
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

    /// Answer the questions of scripts.
    async fn answer(&mut self, lab: &Lab) -> Result<(), Problem> {
        loop {
            let Some(request) = lab.requests.borrow_mut().pop_front() else { return Ok(()) };
            let outcome = match &request {
                Request::Step(steps, _) => self.step_for_script(lab, *steps).await.map(|()| wasm_bindgen::JsValue::UNDEFINED),
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

    async fn step_for_script(&mut self, lab: &Lab, steps: u32) -> Result<(), Problem> {
        let mut left = steps;
        while left > 0 {
            let (Some(engine), Some(settings)) = (&mut self.engine, &self.settings) else { break };
            if !engine.runs() {
                return Err(Problem::new("Nothing runs", "This model has no energy."));
            }
            let done = engine.advance(left.min(MOST_AT_ONCE), &settings.langevin).await?;
            left -= done.min(left);
            let trace = engine.trace().await?;
            self.history.absorb(&trace);
            dom::breathe().await;
        }
        self.draw(lab, true)
    }

    async fn describe(&mut self, lab: &Lab) -> Result<wasm_bindgen::JsValue, Problem> {
        let (Some(engine), Some(settings), Some(loaded)) = (&mut self.engine, &self.settings, &self.loaded) else {
            return Err(Problem::new("Nothing runs", "No model is loaded."));
        };
        while engine.midway() {
            engine.advance(0, &settings.langevin).await?;
        }
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
}

/// What lies under the chains of a model of the plane.
async fn survey(device: &Device, loaded: &Loaded) -> Result<Ground, Problem> {
    let known = PointSet::from_name(&loaded.model.provenance.data);
    let data = known.map(|set| set.sample(Noise::new(0, Stream::Data), 0, DATA)).unwrap_or_default();
    let bounds = match &loaded.model.generator {
        Some(generator) if data.is_empty() => {
            let latents = engine::start::latents(0, 256, loaded.facts.latent);
            Bounds::around(&engine::cpu::forward(generator, &latents, dom::breathe).await?)
        }
        _ => Bounds::around(&data),
    };
    let heat = match &loaded.model.energy {
        Some(energy) => Some(Heat::new(MAP, engine::energies(device, energy, &bounds.grid(MAP)).await?)),
        None => None,
    };
    Ok(Ground { bounds, data, heat })
}

fn captions(settings: &Settings, facts: &Facts, steps: u32) {
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
fn status(words: &str) {
    dom::set_text("status", words);
}
