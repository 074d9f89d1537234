//! What a message changes: the only place where a figure's wishes change.

use super::Instance;
use crate::choices::{DeviceChoice, ViewKind};
use crate::dom;
use crate::film::Film;
use crate::mask::Mask;
use crate::message::{Message, Step};
use crate::models::Source;
use crate::picture;
use crate::problem::Problem;
use crate::trails::Trails;
use crate::views::Scene;
use crate::walk;
use serde::Serialize;
use std::rc::Rc;
use wasm_bindgen_futures::spawn_local;
use web_sys::Blob;

/// Under what a picture that cannot be used is remarked.
const PICTURE: &str = "picture";

/// A choice that was made at the figure itself.
#[derive(Serialize)]
struct Changed<'a> {
    name: &'a str,
    value: Option<String>,
}

/// How far a load is.
#[derive(Serialize)]
struct Progress {
    loaded: f64,
    total: Option<f64>,
}

#[derive(Serialize)]
struct Visibility {
    visible: bool,
}

impl Instance {
    /// Take in a message.
    pub(super) fn update(&mut self, message: Message) {
        match message {
            Message::Attribute(name, value) => self.attribute(&name, value.as_deref()),
            Message::Choose(name, value) => {
                if name == "view" {
                    self.leave_view(value.as_deref());
                }
                self.forget_choices(name);
                self.choose(name, value);
            }
            Message::Defaults => self.take_back_settings(),
            Message::Undo => self.undo(),
            Message::Scrub(place) => {
                let steps: Vec<u32> = self.film.frames().map(|frame| frame.step).collect();
                self.scrub_to(steps.get(place).copied());
            }
            Message::PickFrame([x, y]) => {
                let step = self.close_up.as_ref().and_then(|close_up| close_up.step_at(x, y));
                if step.is_some() {
                    self.scrub_to(step);
                }
            }
            Message::Open(blob, name) => {
                self.file = Some(Source::File(blob, name));
                self.choose("src", None);
                self.stale = true;
            }
            Message::Picture(blob, name) => self.open_picture(blob, name),
            Message::Pictured(number, outcome) if number == self.own_number => self.take_picture(outcome),
            Message::Sampled(number, outcome) if number == self.own_number => self.take_samples(outcome),
            Message::Pictured(..) | Message::Sampled(..) => {}
            Message::BrushDraws(draws) => self.brush_draws = draws,
            Message::Visible(visible) => self.see(visible),
            Message::Playing(playing) => self.play(playing),
            Message::TogglePlay => self.play(!self.playing),
            Message::OneStep => {
                self.play(false);
                self.single_steps += 1;
            }
            Message::StartOver => self.start_over(),
            Message::Retry => self.retry(),
            Message::UseCpu => {
                self.choose("device", Some(DeviceChoice::Cpu.word().into()));
                self.retry();
            }
            Message::Redraw => self.redraw = true,
            Message::Progress(number, now, total) if number == self.load_number => {
                self.show_progress(now, total);
                dom::tell(&self.element, "progress", &Progress { loaded: now, total });
            }
            Message::Loaded(number, outcome) if number == self.load_number => match outcome {
                Ok(loaded) => self.take(loaded),
                Err(problem) => self.stop(problem),
            },
            // Of a load that nobody waits for any more.
            Message::Progress(..) | Message::Loaded(..) => {}
            Message::Point(_, [x, y]) if self.shows_landscape() => {
                let point = |scene: &Scene| self.view.as_ref().and_then(|view| view.point_at(scene, x, y));
                self.begin_at = self.with_scene(point).flatten();
            }
            // The end of a drag.
            Message::Point(..) if std::mem::take(&mut self.dragged) => {}
            Message::Point(row, [x, y]) => {
                let chain = self.view.as_ref().and_then(|view| view.chain_at(row, x, y));
                let now = self.settings.as_ref().and_then(|settings| settings.chosen);
                self.set_off(chain.filter(|_| chain != now));
            }
            Message::Drag(at, begins) => self.drag(at, begins),
            Message::Key(Step::By(by))
                if self.view.as_ref().is_some_and(|view| view.kind() == ViewKind::Latent) =>
            {
                // By one picture.
                let side = self.settings.as_ref().map_or(2, |settings| settings.chains.isqrt().max(2));
                let [x, y] = self.choices.walk.unwrap_or_default();
                let step = by.map(|n| n as f32 / (side - 1) as f32);
                self.choose("walk", Some(walk::words([x + step[0], y + step[1]])));
            }
            Message::Key(step) => self.move_choice(step),
            Message::PickExample([x, y]) => {
                if let Some(example) = self.view.as_ref().and_then(|view| view.example_at(x, y)) {
                    self.choose("example", Some((example + 1).to_string()));
                }
            }
            Message::NextExample => {
                if let Some(loaded) = &self.loaded {
                    let next = self.choices.example.unwrap_or(1) % loaded.facts.examples.max(1) + 1;
                    self.choose("example", Some(next.to_string()));
                }
            }
            Message::Brush([x, y], begins) => {
                if let Some(pixel) = self.view.as_ref().and_then(|view| view.pixel_at(x, y)) {
                    self.paint(pixel, begins);
                }
            }
            Message::Cursor(step) => self.move_cursor(step),
            Message::BrushHere => {
                if let Some(pixel) = self.cursor {
                    self.paint(pixel, true);
                }
            }
            Message::Numbers(open) => {
                self.numbers = open;
                self.last_read = f64::NEG_INFINITY;
                self.redraw = true;
            }
            Message::Ask(question, reply) => self.questions.push_back((question, reply)),
            Message::End => {}
        }
    }

    fn attribute(&mut self, name: &str, value: Option<&str>) {
        let before = (self.choices.clone(), self.controls, self.unusable.len());
        match self.choices.set(name, value) {
            Ok(()) => drop(self.unusable.remove(name)),
            Err(sentence) => drop(self.unusable.insert(name.into(), sentence)),
        }
        match name {
            "controls" => self.controls = value.is_some(),
            // An example in the place of the reader's own picture.
            "example" | "subject" if value.is_some() => self.reset |= self.own.take().is_some(),
            "src" if self.choices.src.is_some() => self.file = None,
            _ => {}
        }
        let now = (self.choices.clone(), self.controls, self.unusable.len());
        if before != now {
            if before.0.device != now.0.device {
                self.fallen_back = false;
            }
            self.stale = true;
        }
    }

    /// Make a choice at the figure itself: the attribute follows, and the page is told.
    pub(super) fn choose(&mut self, name: &str, value: Option<String>) {
        if self.choices.get(name) == value {
            return;
        }
        self.attribute(name, value.as_deref());
        let _ = match &value {
            Some(value) => self.element.set_attribute(name, value),
            None => self.element.remove_attribute(name),
        };
        dom::tell(&self.element, "change", &Changed { name, value });
    }

    fn see(&mut self, visible: bool) {
        if self.visible != visible {
            self.visible = visible;
            self.redraw |= visible;
            dom::tell(&self.element, "visibility", &Visibility { visible });
        }
    }

    pub(super) fn play(&mut self, playing: bool) {
        if self.playing != playing {
            self.playing = playing;
            let value = Some(playing.to_string());
            dom::tell(&self.element, "change", &Changed { name: "playing", value });
        }
        self.show_transport();
    }

    fn start_over(&mut self) {
        // Without a field for the seed, starting over shows something new.
        if !self.controls {
            let seed = self.choices.seed.unwrap_or(0).wrapping_add(1);
            self.choose("seed", Some(seed.to_string()));
            self.play(true);
        }
        (self.reset, self.keeps, self.stale) = (true, true, true);
    }

    /// Forget what failed, and try again.
    pub(super) fn retry(&mut self) {
        self.problem = None;
        self.engine = None;
        self.view = None;
        self.device = None;
        self.fallen_back = false;
        if self.loaded.is_none() {
            self.load = None;
        }
        self.stale = true;
    }

    /// Chains of another kind have other steps and another number: what was chosen for the last ones does not suit them.
    fn leave_view(&mut self, next: Option<&str>) {
        let (Some(next), Some(settings)) = (next.and_then(ViewKind::from_word), &self.settings) else {
            return;
        };
        let now = settings.view;
        let other_chains = now.samples() != next.samples();
        let other_number = other_chains || now.has_subject() != next.has_subject();
        for name in ["step-size", "noise"].iter().filter(|_| other_chains) {
            self.choose(name, None);
        }
        for name in ["chains", "rate", "chain"].iter().filter(|_| other_number) {
            self.choose(name, None);
        }
    }

    /// Width and height of the images.
    fn image_size(&self) -> Option<[usize; 2]> {
        match self.loaded.as_ref()?.facts.shape[..] {
            [_, height, width] => Some([width, height]),
            _ => None,
        }
    }

    /// Walk on the plane of latents, as the pictures are dragged.
    fn drag(&mut self, at: [f64; 2], begins: bool) {
        if self.view.as_ref().is_none_or(|view| view.kind() != ViewKind::Latent) {
            return;
        }
        self.dragged = !begins;
        if begins {
            self.held = Some((at, self.choices.walk.unwrap_or_default()));
        } else if let Some((from, walk)) = self.held {
            let moved = [0, 1].map(|axis| walk[axis] - (at[axis] - from[axis]) as f32);
            self.choose("walk", Some(walk::words(moved)));
        }
    }

    /// Hide what is around a pixel of the image that is reconstructed, or show it: whichever it was not where the brush
    /// begins.
    fn paint(&mut self, pixel: [usize; 2], begins: bool) {
        if self.brush_draws {
            return self.draw_dot(pixel, begins);
        }
        let Some(size) = self.image_size() else { return };
        // What is wanted, which may not be so yet.
        let wanted = self.choices.mask.clone().filter(|mask| mask.fits(size)).unwrap_or_default();
        let hidden = |mask: &Mask| {
            mask.values(&[1, size[1], size[0]])
                .is_some_and(|values| values[pixel[1] * size[0] + pixel[0]] == 0.0)
        };
        if begins {
            self.brush_hides = !hidden(&wanted);
        }
        let reach = size[0].max(size[1]) / 24;
        let mask = wanted.painted(pixel, reach, self.brush_hides, size);
        self.choose("mask", Some(mask.word()));
    }

    /// Read a picture, which becomes what is reconstructed.
    fn open_picture(&mut self, blob: Blob, name: String) {
        self.own_number = self.own_number.wrapping_add(1);
        let Some(loaded) = self.loaded.clone() else {
            let problem =
                Problem::new(format!("“{name}” cannot be used"), "There is no model yet to show it to.");
            return self.take_picture(Err(problem));
        };
        let (post, number) = (self.post.clone(), self.own_number);
        spawn_local(async move {
            let shape = &loaded.facts.shape;
            post.send(match name.ends_with(".npy") {
                true => Message::Sampled(number, picture::samples(&blob, &name, shape).await),
                false => Message::Pictured(number, picture::read(&blob, &name, shape).await),
            });
        });
    }

    /// Samples of the reader's own, in the place of the model's held-out examples.
    fn take_samples(&mut self, outcome: Result<Vec<f32>, Problem>) {
        match (outcome, &self.loaded) {
            (Ok(values), Some(loaded)) => {
                self.unusable.remove(PICTURE);
                let examples = values.len() / loaded.facts.len();
                self.loaded = Some(Rc::new(loaded.with_examples(examples)));
                (self.examples, self.own_examples, self.own) = (values, true, None);
                self.show_one_sample();
            }
            (Err(problem), _) => drop(self.unusable.insert(PICTURE.into(), format!("{problem}"))),
            (Ok(_), None) => {}
        }
        self.stale = true;
    }

    /// Go to a view of one sample, which the reader's own is to be, with the first example.
    fn show_one_sample(&mut self) {
        if self.settings.as_ref().is_none_or(|settings| !settings.view.has_subject()) {
            let can = |view| self.loaded.as_ref().is_some_and(|loaded| loaded.facts.has(view));
            let view = if can(ViewKind::Reconstruct) { ViewKind::Reconstruct } else { ViewKind::Energy };
            self.leave_view(Some(view.word()));
            self.choose("view", Some(view.word().into()));
        }
        self.choose("subject", None);
        self.choose("example", None);
        self.reset = true;
    }

    fn take_picture(&mut self, outcome: Result<Vec<f32>, Problem>) {
        match outcome {
            Ok(x) => {
                self.unusable.remove(PICTURE);
                self.show_one_sample();
                self.own = Some(x);
            }
            Err(problem) => drop(self.unusable.insert(PICTURE.into(), format!("{problem}"))),
        }
        self.stale = true;
    }

    /// Draw a dot around a pixel of a picture of the reader's own; of a new one, if there is none.
    fn draw_dot(&mut self, pixel: [usize; 2], begins: bool) {
        let (Some(loaded), Some([width, height])) = (&self.loaded, self.image_size()) else { return };
        let channels = loaded.facts.shape[0];
        // White on black, as digits and clothes are; in colour black on white, as on paper.
        let paper = if channels == 3 { 1.0 } else { -1.0 };
        let mut x = self.own.take().unwrap_or_else(|| vec![paper; loaded.facts.len()]);
        if begins {
            self.brush_light = x[pixel[1] * width + pixel[0]] <= 0.0;
        }
        let reach = width.max(height) / 24;
        let ink = if self.brush_light { 1.0 } else { -1.0 };
        for (i, value) in x.iter_mut().enumerate() {
            let [column, row] = [i % width, i / width % height];
            if column.abs_diff(pixel[0]) <= reach && row.abs_diff(pixel[1]) <= reach {
                *value = ink;
            }
        }
        self.choose("subject", None);
        self.choose("example", None);
        self.own = Some(x);
        self.reset = true;
        self.stale = true;
    }

    fn move_cursor(&mut self, step: Step) {
        let Some(size) = self.image_size() else { return };
        self.cursor = match (step, self.cursor) {
            (Step::Off, _) => None,
            (Step::By(_), None) => Some(size.map(|n| n / 2)),
            (Step::By(by), Some(at)) => {
                Some([0, 1].map(|axis| at[axis].saturating_add_signed(by[axis]).min(size[axis] - 1)))
            }
        };
        self.redraw = true;
    }

    fn move_choice(&mut self, step: Step) {
        let chains = self.settings.as_ref().map_or(0, |settings| settings.chains) as isize;
        let columns = self.view.as_ref().map_or(1, |view| view.columns()) as isize;
        let chosen = match (step, self.settings.as_ref().and_then(|settings| settings.chosen)) {
            (Step::Off, _) => None,
            (Step::By(_), None) => (chains > 0).then_some(0),
            (Step::By([right, down]), Some(chain)) => {
                Some((chain as isize + right + down * columns).clamp(0, (chains - 1).max(0)) as usize)
            }
        };
        self.set_off(chosen);
    }

    /// Set a chain off from the others, or none.
    fn set_off(&mut self, chain: Option<usize>) {
        self.choose("chain", chain.map(|chain| (chain + 1).to_string()));
    }

    /// Show the film as it was after a step; at its end, what is now.
    fn scrub_to(&mut self, step: Option<u32>) {
        let newest = self.film.at(None).map(|frame| frame.step);
        self.scrub = step.filter(|_| step != newest);
        self.redraw = true;
    }

    /// Something has failed. A device that is gone, or workers that have broken down, get a new start by themselves, with
    /// seed and choices kept, three times a minute at most; anything else is told, and stops the figure.
    pub(super) fn fail(&mut self, problem: Problem) {
        if !problem.device || !self.restarts.grant(dom::now()) {
            return self.stop(problem);
        }
        self.refuse(&problem.to_string());
        // A lost device may come back. One that is lost again, or fails in another way, would only do so once more.
        if self.device.as_ref().is_some_and(|(_, device)| device.is_gpu()) {
            self.fallen_back |= !problem.lost || self.restarts.again();
        }
        self.restarted = Some(problem.title);
        self.engine = None;
        self.view = None;
        self.device = None;
        self.stale = true;
    }

    /// Give no more answers until something changes, and say why.
    pub(super) fn stop(&mut self, problem: Problem) {
        self.refuse(&problem.to_string());
        if problem.device {
            self.engine = None;
            self.view = None;
        }
        self.show_problem(&problem);
        self.tell_problem(&problem.title, &problem.advice);
        self.problem = Some(problem);
        self.show_transport();
    }

    /// Answer every waiting question with a reason why not.
    pub(super) fn refuse(&mut self, reason: &str) {
        for (_, reply) in self.questions.drain(..) {
            reply.settle(Err(reason));
        }
    }

    /// Take back every choice of how the chains of the last model ran: another has come.
    pub(super) fn forget_model(&mut self) {
        self.loaded = None;
        self.engine = None;
        self.view = None;
        self.ground = None;
        self.trails = Trails::default();
        self.begin_at = None;
        self.account = None;
        self.quality = None;
        self.likelihood = None;
        self.examples.clear();
        self.own_examples = false;
        self.sight = None;
        self.latents.clear();
        self.posterior = None;
        self.own = None;
        self.slope = None;
        self.unusable.remove(PICTURE);
        self.cursor = None;
        self.settings = None;
        self.film = Film::default();
        self.scrub = None;
        self.look = None;
        self.close_up = None;
        self.before = None;
        self.problem = None;
        self.restarted = None;
        self.told.clear();
    }

    /// The device that the chains are to run on.
    pub(super) fn wanted_device(&self) -> DeviceChoice {
        if self.fallen_back { DeviceChoice::Cpu } else { self.choices.device.unwrap_or_default() }
    }
}
