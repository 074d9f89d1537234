//! What the element's script holds of a figure. Everything that the figure owns goes when this ends.

use crate::host;
use crate::instance::{self, Instance};
use crate::message::{Message, Post, Question, Reply};
use crate::ui::{Refs, controls};
use js_sys::{Float32Array, Function, Promise};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Blob, HtmlElement, ShadowRoot};

/// Prepare this page for figures: `make_worker` starts a worker with this code, and `report` is told of a panic, after
/// which nothing here may be called any more.
#[wasm_bindgen]
pub fn prepare(make_worker: Function, report: Function) {
    host::set_worker_maker(make_worker);
    std::panic::set_hook(Box::new(move |panic| {
        let _ = report.call1(&JsValue::NULL, &JsValue::from_str(&panic.to_string()));
    }));
}

/// The version of this code, which its JavaScript must have, too.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").into()
}

/// Whether an exception has left this code in the middle of its work.
#[wasm_bindgen]
pub fn interrupted() -> bool {
    host::interrupted()
}

/// How many workers and graphics devices all figures of the page have together.
#[wasm_bindgen]
pub fn shared() -> Vec<u32> {
    let (workers, graphics) = host::shared();
    vec![workers as u32, u32::from(graphics)]
}

/// A figure.
#[wasm_bindgen]
pub struct Figure {
    post: Post,
}

#[wasm_bindgen]
impl Figure {
    /// A figure in the shadow tree of an element.
    #[wasm_bindgen(constructor)]
    pub fn new(element: HtmlElement, root: ShadowRoot) -> Figure {
        let (post, inbox) = Post::open();
        let refs = Rc::new(Refs::new(root));
        controls::connect(&refs, &post);
        let instance = Instance::new(element, refs, post.clone());
        spawn_local(host::marked(instance::run(instance, inbox)));
        Figure { post }
    }

    /// An attribute has this value now, or none.
    pub fn attribute(&self, name: String, value: Option<String>) {
        self.post.send(Message::Attribute(name, value));
    }

    /// Take a model file instead of the address.
    pub fn open(&self, file: Blob, name: String) {
        self.post.send(Message::Open(file, name));
    }

    /// Reconstruct a picture of the reader's own.
    pub fn picture(&self, file: Blob, name: String) {
        self.post.send(Message::Picture(file, name));
    }

    /// Whether the figure can be seen.
    pub fn see(&self, visible: bool) {
        self.post.send(Message::Visible(visible));
    }

    /// The chains are to run as soon as they can.
    pub fn autoplay(&self) {
        self.post.send(Message::Playing(true));
    }

    /// Sizes or colours have changed.
    pub fn redraw(&self) {
        self.post.send(Message::Redraw);
    }

    /// A promise that the chains run.
    pub fn play(&self) -> Promise {
        self.ask(Question::Play)
    }

    /// A promise that the chains rest.
    pub fn pause(&self) -> Promise {
        self.ask(Question::Pause)
    }

    /// A promise that so many steps are taken.
    pub fn step(&self, steps: u32) -> Promise {
        self.ask(Question::Step(steps))
    }

    /// A promise that the chains have started anew, with another seed or the same.
    pub fn reset(&self, seed: Option<u32>) -> Promise {
        self.ask(Question::Reset(seed))
    }

    /// A promise of what runs, with the states read back.
    pub fn state(&self) -> Promise {
        self.ask(Question::State)
    }

    /// A promise of the energies of samples.
    pub fn energies(&self, x: Float32Array) -> Promise {
        self.ask(Question::Energies(x.to_vec()))
    }

    /// A promise of the picture, as a file of this type.
    #[wasm_bindgen(js_name = toBlob)]
    pub fn to_blob(&self, kind: String) -> Promise {
        self.ask(Question::Picture(kind))
    }

    fn ask(&self, question: Question) -> Promise {
        let mut question = Some(question);
        Promise::new(&mut |resolve, reject| {
            if let Some(question) = question.take() {
                self.post.send(Message::Ask(question, Reply { resolve, reject }));
            }
        })
    }
}

impl Drop for Figure {
    fn drop(&mut self) {
        self.post.send(Message::End);
    }
}
