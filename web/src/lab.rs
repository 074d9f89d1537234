//! What events leave for the loop that runs the chains. Events only write here and wake the loop;
//! the loop alone owns model, device and chains.

use crate::dom;
use crate::loading::{Listed, Source};
use crate::state::State;
use js_sys::{Function, Promise};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, UrlSearchParams};

/// A question from a script: see `api.rs`.
pub enum Request {
    /// What is on the page, with the states read back.
    State(Reply),
    /// Take this many steps.
    Step(u32, Reply),
}

/// The two ways to settle a promise.
pub struct Reply {
    /// With a value.
    pub resolve: Function,
    /// With a reason why not.
    pub reject: Function,
}

impl Reply {
    /// Settle with a value.
    pub fn good(&self, value: &JsValue) {
        let _ = self.resolve.call1(&JsValue::NULL, value);
    }
    /// Settle with a reason.
    pub fn bad(&self, reason: &str) {
        let _ = self.reject.call1(&JsValue::NULL, &js_sys::Error::new(reason));
    }
}

/// The reader's wishes.
pub struct Lab {
    /// Whether this is the embedded figure.
    pub embed: bool,
    /// What the address holds.
    pub state: RefCell<State>,
    /// What of the address could not be used.
    pub remarks: RefCell<Vec<String>>,
    /// A file to be opened instead of the address.
    pub file: RefCell<Option<Source>>,
    /// The models beside the page, once the list has been asked for.
    pub models: RefCell<Option<Vec<Listed>>>,
    /// Whether the chains are to run.
    pub playing: Cell<bool>,
    /// Steps to take all the same.
    pub steps: Cell<u32>,
    /// Start anew.
    pub reset: Cell<bool>,
    /// Load and open everything anew, after a failure.
    pub retry: Cell<bool>,
    /// Draw anew what does not move.
    pub redraw: Cell<bool>,
    /// Whether the page can be seen.
    pub visible: Cell<bool>,
    /// The chain set off from the others.
    pub chosen: Cell<Option<usize>>,
    /// Chains in a row and in all, for moving the choice by keys.
    pub grid: Cell<[usize; 2]>,
    /// A place on the picture, in shares of it, whose chain is to be chosen.
    pub pointed: Cell<Option<[f64; 2]>>,
    /// Questions from scripts.
    pub requests: RefCell<VecDeque<Request>>,
    changed: Cell<bool>,
    address_changed: Cell<bool>,
    files: Cell<u32>,
    wake: RefCell<Option<Function>>,
}

impl Lab {
    /// The page as its address says.
    pub fn new(embed: bool, state: State, remarks: Vec<String>, playing: bool) -> Lab {
        Lab {
            embed,
            state: RefCell::new(state),
            remarks: RefCell::new(remarks),
            file: RefCell::new(None),
            models: RefCell::new(None),
            playing: Cell::new(playing),
            steps: Cell::new(0),
            reset: Cell::new(false),
            retry: Cell::new(false),
            redraw: Cell::new(false),
            visible: Cell::new(true),
            chosen: Cell::new(None),
            grid: Cell::new([1, 1]),
            pointed: Cell::new(None),
            requests: RefCell::new(VecDeque::new()),
            changed: Cell::new(true),
            address_changed: Cell::new(false),
            files: Cell::new(0),
            wake: RefCell::new(None),
        }
    }

    /// Change what the address holds.
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.borrow_mut());
        self.address_changed.set(true);
        self.touch();
    }

    /// Tell the loop that there is something to do.
    pub fn touch(&self) {
        self.changed.set(true);
        if let Some(wake) = self.wake.borrow_mut().take() {
            let _ = wake.call0(&JsValue::NULL);
        }
    }

    /// Open a model of the reader's own. Its address, if it had one, no longer says what is shown.
    pub fn open(&self, file: File) {
        self.files.set(self.files.get() + 1);
        *self.file.borrow_mut() = Some(Source::File(file, self.files.get()));
        self.change(|state| {
            *state = State { seed: state.seed, device: state.device, play: state.play, ..State::default() };
        });
    }

    /// Show another of the listed models, with its own settings.
    pub fn choose(&self, url: String) {
        *self.file.borrow_mut() = None;
        self.change(|state| {
            *state = State {
                model: Some(url),
                seed: state.seed,
                device: state.device,
                play: state.play,
                ..State::default()
            };
        });
    }

    /// Where the wanted model comes from: a file, the address, or the first of the list.
    pub fn wanted(&self) -> Option<Source> {
        if let Some(file) = &*self.file.borrow() {
            return Some(file.clone());
        }
        let first = || self.models.borrow().as_ref().and_then(|list| list.first().map(|m| m.url.clone()));
        self.state.borrow().model.clone().or_else(first).map(Source::Address)
    }

    /// Whether anything was changed since the last time this was asked.
    pub fn take_changed(&self) -> bool {
        self.changed.replace(false)
    }

    /// Wait until there is something to do. `busy` says that there is already.
    pub async fn rest(&self, busy: bool) {
        let waiting =
            !self.changed.get() && self.requests.borrow().is_empty() && !(busy && self.visible.get());
        if waiting {
            let promise = Promise::new(&mut |resolve, _| *self.wake.borrow_mut() = Some(resolve));
            let _ = JsFuture::from(promise).await;
        }
    }

    /// The state as the query of an address, with its question mark; empty where all is as by default.
    fn query(&self) -> String {
        let Ok(parameters) = UrlSearchParams::new() else { return String::new() };
        for (name, value) in self.state.borrow().pairs() {
            parameters.append(name, &value);
        }
        let query = String::from(parameters.to_string());
        if query.is_empty() { query } else { format!("?{query}") }
    }

    /// Write what has changed to the address.
    pub fn write_address(&self) {
        if !self.address_changed.replace(false) {
            return;
        }
        let query = self.query();
        if let Ok(history) = dom::window().history() {
            let path = dom::window().location().pathname().unwrap_or_default();
            let url = if query.is_empty() { path } else { query.clone() };
            let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&url));
        }
        for (id, page) in [("embed-link", "embed.html"), ("lab-link", "index.html")] {
            if let Some(link) = dom::find::<web_sys::Element>(id) {
                let _ = link.set_attribute("href", &format!("{page}{query}"));
            }
        }
    }
}
