//! The elements of a figure's shadow tree, by their `data-ref`.

use gloo_events::EventListener;
use std::cell::RefCell;
use wasm_bindgen::JsCast;
use web_sys::{Element, Event, EventTarget, HtmlElement, ShadowRoot};

/// A shadow tree, and the listeners on it, which end with this.
pub struct Refs {
    root: ShadowRoot,
    listeners: RefCell<Vec<EventListener>>,
}

impl Refs {
    /// The elements of `root`.
    pub fn new(root: ShadowRoot) -> Refs {
        Refs { root, listeners: RefCell::default() }
    }

    /// The element with this `data-ref`, as the type that it is expected to be.
    pub fn find<T: JsCast>(&self, name: &str) -> Option<T> {
        self.root.query_selector(&format!("[data-ref={name}]")).ok()??.dyn_into().ok()
    }

    /// All elements that a selector finds, as the type that they are expected to be.
    pub fn all<T: JsCast>(&self, selector: &str) -> Vec<T> {
        let Ok(nodes) = self.root.query_selector_all(selector) else { return Vec::new() };
        (0..nodes.length()).filter_map(|i| nodes.get(i)?.dyn_into().ok()).collect()
    }

    /// Put `text` into an element. Nothing happens where it is there already, so that a screen reader is told of
    /// changes only.
    pub fn set_text(&self, name: &str, text: &str) {
        if let Some(element) = self.find::<Element>(name)
            && element.text_content().as_deref() != Some(text)
        {
            element.set_text_content(Some(text));
        }
    }

    /// Show or hide an element.
    pub fn show(&self, name: &str, visible: bool) {
        if let Some(element) = self.find::<HtmlElement>(name)
            && element.hidden() == visible
        {
            element.set_hidden(!visible);
        }
    }

    /// Whether an element has the focus.
    pub fn has_focus(&self, element: &Element) -> bool {
        self.root.active_element().as_ref() == Some(element)
    }

    /// Call `handler` for every event of that name, as long as the figure lives.
    pub fn on<E: JsCast>(
        &self,
        target: &EventTarget,
        event: &'static str,
        mut handler: impl FnMut(E) + 'static,
    ) {
        // `drop` and `submit` are to be prevented, so no listener is passive.
        let options = gloo_events::EventListenerOptions::enable_prevent_default();
        let listener = EventListener::new_with_options(target, event, options, move |event: &Event| {
            if let Ok(event) = event.clone().dyn_into() {
                handler(event);
            }
        });
        self.listeners.borrow_mut().push(listener);
    }

    /// As [`Refs::on`], for the element with this `data-ref`.
    pub fn on_ref(&self, name: &str, event: &'static str, mut handler: impl FnMut() + 'static) {
        if let Some(target) = self.find::<EventTarget>(name) {
            self.on(&target, event, move |_: Event| handler());
        }
    }
}
