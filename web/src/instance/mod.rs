//! One figure: what it has been told, what it owns, and the loop that runs its chains. At each turn the loop brings what
//! runs in line with what is wanted, takes as many steps as fit, and draws.

mod advance;
mod answer;
mod arrange;
mod look;
mod plane;
mod show;
mod undo;
mod update;

use crate::account::Account;
use crate::choices::{Choices, DeviceChoice};
use crate::engine::{Device, Engine, Sight};
use crate::film::Film;
use crate::heat::Heat;
use crate::history::History;
use crate::host::{self, Guest, Turn};
use crate::message::{Message, Post, Question, Reply};
use crate::models::{Lease, Loaded, Source};
use crate::pacing::Pacer;
use crate::problem::{Problem, Restarts};
use crate::settings::Settings;
use crate::trails::Trails;
use crate::ui::{Refs, Theme};
use crate::views::{CloseUp, Ground, Look, Slope, View};
use crate::walk::Place;
use dual_mcmc::jobs::Quality;
use futures_channel::mpsc::UnboundedReceiver;
use futures_util::future::{Either, select};
use futures_util::{FutureExt, StreamExt, pin_mut};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use web_sys::HtmlElement;

/// A figure.
pub struct Instance {
    element: HtmlElement,
    refs: Rc<Refs>,
    post: Post,
    turn: Turn,
    _guest: Guest,

    // What is wanted.
    choices: Choices,
    /// What of the attributes could not be used, a sentence each.
    unusable: BTreeMap<String, String>,
    file: Option<Source>,
    /// Whether the figure has its whole panel.
    controls: bool,
    /// Whether the tables of numbers are open.
    numbers: bool,
    visible: bool,
    playing: bool,
    /// Steps to take although the chains rest.
    single_steps: u32,
    /// Start the chains anew.
    reset: bool,
    /// Keep those that run, so that this can be undone.
    keeps: bool,
    /// Something is wanted that may not be so yet.
    stale: bool,
    /// Draw anew what does not move.
    redraw: bool,
    /// The step that the film has been scrubbed back to; none where it shows what is now.
    scrub: Option<u32>,
    /// Where the keys paint the mask, and whether the brush hides.
    cursor: Option<[usize; 2]>,
    brush_hides: bool,
    /// Where the plane of latents was taken hold of: the place of the pointer, and the walk until then.
    held: Option<([f64; 2], Place)>,
    dragged: bool,
    /// Whether the brush draws instead, and whether it draws light.
    brush_draws: bool,
    brush_light: bool,
    questions: VecDeque<(Question, Reply)>,

    // What is.
    /// The source that was last asked for, the number of that load, and the hold on the model.
    load: Option<(Source, Lease)>,
    load_number: u32,
    loaded: Option<Rc<Loaded>>,
    device: Option<(DeviceChoice, Device)>,
    /// What to run on whatever is chosen: the processor, after the graphics device has failed.
    fallen_back: bool,
    /// What a new start after a failure has to say.
    restarted: Option<String>,
    ground: Option<Ground>,
    /// Where the chains of a landscape have been, and a point where one of them is to start.
    trails: Trails,
    begin_at: Option<[f32; 2]>,
    /// How good a model of the plane is, how good its chains are, and its log-likelihood.
    account: Option<Account>,
    quality: Option<Quality>,
    likelihood: Option<f64>,
    /// The held-out examples in the model's file, and the sample that is reconstructed.
    examples: Vec<f32>,
    /// Whether samples of the reader's own have taken their place.
    own_examples: bool,
    sight: Option<Sight>,
    /// Where latents are points of the plane: the z-chains' latents, and the potential of the posterior over them.
    latents: Vec<f32>,
    posterior: Option<Heat>,
    /// A picture of the reader's own in the place of an example, and the number of the last one that was asked for.
    own: Option<Vec<f32>>,
    /// The energy and the gradient of what the view is about.
    slope: Option<Slope>,
    own_number: u32,
    engine: Option<Engine>,
    settings: Option<Settings>,
    view: Option<View>,
    close_up: Option<CloseUp>,
    theme: Option<Theme>,
    history: History,
    /// The states of the run as it went, and what the frame that is shown has told of the chosen chain.
    film: Film,
    look: Option<Look>,
    /// What there was before the last start or the last change of settings, to go back to.
    before: Option<undo::Before>,
    pacer: Pacer,
    speed: Speed,
    last_read: f64,
    /// Share of MALA's proposals that were accepted.
    acceptance: Option<f32>,
    /// What stopped the figure, until something changes.
    problem: Option<Problem>,
    restarts: Restarts,
    /// Remarks that the page has been told of.
    told: Vec<String>,
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

/// Run a figure until it is gone. Everything that it owns ends with this.
pub async fn run(mut figure: Instance, mut inbox: UnboundedReceiver<Message>) {
    loop {
        let due = figure.due();
        if !due {
            figure.pacer.rest();
        }
        figure.wait(&mut inbox, due).await;
        while let Some(Some(message)) = inbox.next().now_or_never() {
            figure.update(message);
        }
        if figure.post.ended() {
            figure.refuse("The figure is no longer on the page.");
            return;
        }
        if let Err(problem) = figure.take_turn().await {
            figure.fail(problem);
        }
    }
}

impl Instance {
    /// A figure in the shadow tree `refs` of `element`. Nothing is known of it yet.
    pub fn new(element: HtmlElement, refs: Rc<Refs>, post: Post) -> Instance {
        Instance {
            element,
            refs,
            post,
            turn: Turn::default(),
            _guest: Guest::new(),
            choices: Choices::default(),
            unusable: BTreeMap::new(),
            file: None,
            controls: false,
            numbers: false,
            visible: false,
            playing: false,
            single_steps: 0,
            reset: false,
            keeps: false,
            stale: true,
            redraw: false,
            scrub: None,
            cursor: None,
            brush_hides: true,
            held: None,
            dragged: false,
            brush_draws: false,
            brush_light: true,
            questions: VecDeque::new(),
            load: None,
            load_number: 0,
            loaded: None,
            device: None,
            fallen_back: false,
            restarted: None,
            ground: None,
            trails: Trails::default(),
            begin_at: None,
            account: None,
            quality: None,
            likelihood: None,
            examples: Vec::new(),
            own_examples: false,
            sight: None,
            latents: Vec::new(),
            posterior: None,
            own: None,
            slope: None,
            own_number: 0,
            engine: None,
            settings: None,
            view: None,
            close_up: None,
            theme: None,
            history: History::default(),
            film: Film::default(),
            look: None,
            before: None,
            pacer: Pacer::default(),
            speed: Speed::default(),
            last_read: f64::NEG_INFINITY,
            acceptance: None,
            problem: None,
            restarts: Restarts::default(),
            told: Vec::new(),
        }
    }

    /// Whether there is something to do without a message.
    fn due(&self) -> bool {
        let answerable = self.engine.is_some() || self.problem.is_some() || self.load.is_none();
        if self.stale || answerable && !self.questions.is_empty() {
            return true;
        }
        let Some(engine) = self.engine.as_ref().filter(|_| self.problem.is_none()) else { return false };
        let runs = engine.runs() && (self.playing && self.visible || self.single_steps > 0);
        runs || self.redraw || self.begin_at.is_some() || self.visible && (self.unread() || self.counts())
    }

    /// Whether energies have been computed that were not read yet.
    fn unread(&self) -> bool {
        self.engine
            .as_ref()
            .is_some_and(|engine| engine.runs() && self.history.last_step() != Some(engine.steps()))
    }

    /// Wait for the next message, or for the next frame where something is `due`. Behind another tab there are no frames, and
    /// what a script asks is done at once.
    async fn wait(&mut self, inbox: &mut UnboundedReceiver<Message>, due: bool) {
        let message = if due && self.visible {
            let frame = host::next_frame();
            pin_mut!(frame);
            match select(inbox.next(), frame).await {
                Either::Left((message, _)) => message,
                Either::Right(_) => None,
            }
        } else if due {
            crate::dom::breathe().await;
            None
        } else {
            inbox.next().await
        };
        if let Some(message) = message {
            self.update(message);
        }
    }

    async fn take_turn(&mut self) -> Result<(), Problem> {
        let changed = std::mem::take(&mut self.stale);
        if changed {
            self.load();
            self.arrange().await?;
        }
        if let Some(problem) = &self.problem {
            let reason = problem.to_string();
            self.refuse(&reason);
            return Ok(());
        }
        if self.engine.is_none() {
            if self.load.is_none() {
                self.refuse("No model is chosen: give the figure a src.");
            }
            return Ok(());
        }
        if changed {
            // At once, so that the figure has its size with its first frame.
            self.draw(true)?;
        }
        let drawn = self.engine.as_ref().map(Engine::steps).filter(|_| changed);
        self.begin_where_pointed().await?;
        self.advance().await?;
        self.look().await?;
        // Not twice what has not moved.
        if self.redraw || drawn != self.engine.as_ref().map(Engine::steps) {
            self.draw(false)?;
        }
        self.read_energies().await?;
        self.count_up().await?;
        self.answer().await
    }
}
