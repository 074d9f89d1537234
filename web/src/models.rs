//! Where models come from: an address, which all figures of a page load once, or a file of the reader's own.

use crate::dom;
use crate::facts::Facts;
use crate::host::KEPT_FOR;
use crate::message::{Message, Post};
use crate::problem::{Problem, check_answer, check_beginning, no_answer};
use dual_mcmc::model::{MAX_FILE, Model, ModelError};
use gloo_timers::callback::Timeout;
use js_sys::{ArrayBuffer, IteratorNext, Uint8Array};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{AbortController, Blob, ReadableStreamDefaultReader, RequestInit, Response};

/// A model with what the page knows about it.
pub struct Loaded {
    /// The model.
    pub model: Model,
    /// The file that it was read from.
    pub file: Uint8Array,
    /// What decides how it can be run and shown.
    pub facts: Facts,
    /// A number of its own, by which workers know it.
    pub number: u32,
}

impl Loaded {
    /// The same model, with so many other examples than those in its file.
    pub fn with_examples(&self, examples: usize) -> Loaded {
        let Loaded { model, file, facts, number } = self;
        let facts = Facts { examples, ..facts.clone() };
        Loaded { model: model.clone(), file: file.clone(), facts, number: *number }
    }
}

/// Where a figure's model comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// An address, relative to the page or absolute.
    Address(String),
    /// A file and its name.
    File(Blob, String),
}

impl PartialEq for Source {
    fn eq(&self, other: &Source) -> bool {
        match (self, other) {
            (Source::Address(a), Source::Address(b)) => a == b,
            (Source::File(a, _), Source::File(b, _)) => a == b,
            _ => false,
        }
    }
}

impl Source {
    /// A short name for the reader.
    pub fn name(&self) -> String {
        match self {
            Source::Address(url) => {
                let path = url.split(['?', '#']).next().unwrap_or(url);
                path.rsplit('/').next().unwrap_or(path).to_string()
            }
            Source::File(_, name) => name.clone(),
        }
    }

    /// The address as it was given, or the file's name.
    pub fn words(&self) -> String {
        match self {
            Source::Address(url) => url.clone(),
            Source::File(_, name) => name.clone(),
        }
    }
}

/// Who waits for a load: a figure, and the number that it has given the load.
type Waiting = Rc<RefCell<Vec<(Post, u32)>>>;

/// A model at an address, on its way or here.
struct Entry {
    state: RefCell<State>,
    users: Cell<usize>,
    /// What forgets it, after the last user has gone and before another has come.
    release: RefCell<Option<Timeout>>,
}

impl Entry {
    fn new(state: State) -> Rc<Entry> {
        Rc::new(Entry { state: RefCell::new(state), users: Cell::new(0), release: RefCell::default() })
    }
}

enum State {
    Loading(Waiting, AbortController),
    Here(Rc<Loaded>),
    Failed,
}

thread_local! {
    /// Every model that a figure of the page has asked for by its address.
    static ENTRIES: RefCell<HashMap<String, Rc<Entry>>> = RefCell::default();
    static NUMBERS: Cell<u32> = const { Cell::new(0) };
}

/// A figure's hold on a model. When the last one at an address goes, a load is given up at once, and a model is forgotten
/// after ten seconds.
pub struct Lease {
    shared: Option<(String, Rc<Entry>)>,
    /// The load of a file, which ends with this.
    own: Option<Rc<Cell<bool>>>,
}

/// Ask for a model. The figure hears of it by [`Message::Progress`] and [`Message::Loaded`] with `number`.
pub fn request(source: &Source, post: &Post, number: u32) -> Lease {
    match source {
        Source::Address(address) => request_address(address, post, number),
        Source::File(blob, name) => {
            let wanted = Rc::new(Cell::new(true));
            let (blob, name, post, still) = (blob.clone(), name.clone(), post.clone(), wanted.clone());
            spawn_local(async move {
                let outcome = match read(&blob, &name).await {
                    Ok(bytes) => open(&name, &bytes),
                    Err(problem) => Err(problem),
                };
                if still.get() {
                    post.send(Message::Loaded(number, outcome.map(Rc::new)));
                }
            });
            Lease { shared: None, own: Some(wanted) }
        }
    }
}

fn request_address(address: &str, post: &Post, number: u32) -> Lease {
    let key = dom::absolute(address).map_or_else(|| address.to_string(), |url| url.href());
    let known = ENTRIES.with_borrow(|entries| entries.get(&key).cloned());
    let entry = known.unwrap_or_else(|| begin(&key, address));
    entry.users.set(entry.users.get() + 1);
    entry.release.replace(None);
    match &*entry.state.borrow() {
        State::Loading(waiting, _) => waiting.borrow_mut().push((post.clone(), number)),
        State::Here(loaded) => post.send(Message::Loaded(number, Ok(loaded.clone()))),
        // Forgotten as it failed, so nobody finds it.
        State::Failed => {}
    }
    Lease { shared: Some((key, entry)), own: None }
}

/// Begin to load what lies at an address.
fn begin(key: &str, address: &str) -> Rc<Entry> {
    let waiting = Waiting::default();
    let Ok(abort) = AbortController::new() else {
        // A browser without it runs no WebAssembly either.
        return Entry::new(State::Failed);
    };
    let signal = abort.signal();
    let entry = Entry::new(State::Loading(waiting.clone(), abort));
    ENTRIES.with_borrow_mut(|entries| entries.insert(key.into(), entry.clone()));
    let (key, address, kept) = (key.to_string(), address.to_string(), entry.clone());
    spawn_local(async move {
        let tell = waiting.clone();
        let progress = move |now: f64, total: Option<f64>| {
            for (post, number) in &*tell.borrow() {
                post.send(Message::Progress(*number, now, total));
            }
        };
        let options = RequestInit::new();
        options.set_signal(Some(&signal));
        let outcome = match fetch(&address, &options, &progress).await {
            Ok(bytes) => open(&Source::Address(address).name(), &bytes).map(Rc::new),
            Err(problem) => Err(problem),
        };
        // What figures make of it is a task of its own: in between the page can answer.
        dom::breathe().await;
        if signal.aborted() {
            return;
        }
        match &outcome {
            Ok(loaded) => drop(kept.state.replace(State::Here(loaded.clone()))),
            Err(_) => {
                kept.state.replace(State::Failed);
                forget(&key, &kept);
            }
        }
        for (post, number) in waiting.take() {
            post.send(Message::Loaded(number, outcome.clone()));
        }
    });
    entry
}

/// Forget an entry, if it is still the one at its address.
fn forget(key: &str, entry: &Rc<Entry>) {
    ENTRIES.with_borrow_mut(|entries| {
        if entries.get(key).is_some_and(|known| Rc::ptr_eq(known, entry)) {
            entries.remove(key);
        }
    });
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(wanted) = &self.own {
            wanted.set(false);
        }
        let Some((key, entry)) = self.shared.take() else { return };
        entry.users.set(entry.users.get() - 1);
        if entry.users.get() > 0 {
            return;
        }
        let loading = match &*entry.state.borrow() {
            State::Loading(_, abort) => {
                abort.abort();
                true
            }
            _ => false,
        };
        if loading {
            forget(&key, &entry);
        } else {
            let later = entry.clone();
            let timeout = Timeout::new(KEPT_FOR, move || {
                if let Some(fired) = later.release.take() {
                    fired.forget();
                }
                forget(&key, &later);
            });
            entry.release.replace(Some(timeout));
        }
    }
}

/// Read a model out of its file.
fn open(name: &str, bytes: &[u8]) -> Result<Loaded, Problem> {
    check_beginning(name, bytes)?;
    let model = Model::from_bytes(bytes).map_err(|error| {
        let advice = match error {
            ModelError::Container(_) => " It may be cut short or damaged: fetch it again.",
            _ => "",
        };
        let title = format!("“{name}” is not a model this page can run");
        Problem::new(title, format!("{}.{advice}", capitalised(&error.to_string())))
    })?;
    let facts = Facts::of(&model);
    let number = NUMBERS.get();
    NUMBERS.set(number.wrapping_add(1));
    Ok(Loaded { model, file: Uint8Array::from(bytes), facts, number })
}

fn capitalised(text: &str) -> String {
    let mut text = text.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

fn too_large(name: &str) -> Problem {
    let limit = MAX_FILE >> 20;
    Problem::new(
        "The file is too large",
        format!("“{name}” holds more than the {limit} MiB that this page accepts."),
    )
}

async fn read(file: &Blob, name: &str) -> Result<Vec<u8>, Problem> {
    if file.size() > MAX_FILE as f64 {
        return Err(too_large(name));
    }
    let unreadable = |error: JsValue| Problem::new(format!("“{name}” cannot be read"), dom::reason(&error));
    let buffer = JsFuture::from(file.array_buffer()).await.map_err(unreadable)?;
    Ok(Uint8Array::new(&buffer.unchecked_into::<ArrayBuffer>()).to_vec())
}

/// Whether an address lies on the page's own site.
fn same_site(address: &str) -> bool {
    match (dom::absolute(address), dom::window().location().origin()) {
        (Some(url), Ok(origin)) => url.origin() == origin,
        _ => false,
    }
}

/// The bytes at an address. `progress` hears how many there are so far, and of how many where the server says so.
async fn fetch(
    url: &str,
    options: &RequestInit,
    progress: &dyn Fn(f64, Option<f64>),
) -> Result<Vec<u8>, Problem> {
    let no_answer = |_| no_answer(url, same_site(url));
    let response = JsFuture::from(dom::window().fetch_with_str_and_init(url, options)).await;
    let response: Response = response.map_err(no_answer)?.unchecked_into();
    let header = |name| response.headers().get(name).ok().flatten();
    check_answer(url, response.status(), &header("content-type").unwrap_or_default())?;
    // The length is that of the transfer: of no use where the body is compressed.
    let total = match header("content-encoding") {
        None => header("content-length").and_then(|text| text.parse::<u32>().ok()).map(f64::from),
        Some(_) => None,
    };
    if total.is_some_and(|total| total > MAX_FILE as f64) {
        return Err(too_large(url));
    }
    let Some(body) = response.body() else { return Ok(Vec::new()) };
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let mut bytes = Vec::new();
    progress(0.0, total);
    loop {
        let broke_off = |error: JsValue| {
            let arrived = crate::explain::bytes(bytes.len() as f64);
            let reason = dom::reason(&error);
            Problem::new(
                "The connection broke off",
                format!("{arrived} of “{url}” had arrived ({reason}). Try again."),
            )
        };
        let piece = JsFuture::from(reader.read()).await.map_err(broke_off)?;
        let piece: IteratorNext = piece.unchecked_into();
        if piece.done() {
            return Ok(bytes);
        }
        let piece: Uint8Array = piece.value().unchecked_into();
        if bytes.len() + piece.length() as usize > MAX_FILE {
            let _ = reader.cancel();
            return Err(too_large(url));
        }
        let start = bytes.len();
        bytes.resize(start + piece.length() as usize, 0);
        piece.copy_to(&mut bytes[start..]);
        progress(bytes.len() as f64, total);
    }
}
