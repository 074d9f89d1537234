//! The embedded figure: chains run only while they can be seen.

use crate::dom;
use crate::lab::Lab;
use js_sys::Array;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{Element, Event, IntersectionObserver, IntersectionObserverEntry};

/// Watch whether the figure is on screen; off screen nothing runs, and nothing is fetched.
pub fn watch(lab: &Rc<Lab>) {
    let Some(stage) = dom::find::<Element>("stage") else { return };
    let on_screen = Rc::new(std::cell::Cell::new(false));
    lab.visible.set(false);
    let update = {
        let (lab, on_screen) = (lab.clone(), on_screen.clone());
        move || {
            let visible = on_screen.get() && !dom::document().hidden();
            if lab.visible.replace(visible) != visible {
                lab.touch();
            }
        }
    };
    let seen = update.clone();
    let callback = Closure::<dyn FnMut(Array)>::new(move |entries: Array| {
        if let Some(entry) = entries.iter().last() {
            on_screen.set(entry.unchecked_into::<IntersectionObserverEntry>().is_intersecting());
            seen();
        }
    });
    match IntersectionObserver::new(callback.as_ref().unchecked_ref()) {
        Ok(observer) => observer.observe(&stage),
        // A browser without it shows the figure as if it were always on screen.
        Err(_) => lab.visible.set(true),
    }
    callback.forget();
    dom::on(&dom::document(), "visibilitychange", move |_: Event| update());
}
