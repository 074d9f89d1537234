//! The start of the page: its address is read, its controls are connected, its loop begins.

use crate::dom;
use crate::lab::Lab;
use crate::state::State;
use crate::{api, controls, embed, loading, session};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, Event, ResizeObserver, UrlSearchParams};

/// How often the list of models is read again, in milliseconds.
const LIST_EVERY: i32 = 10_000;

/// Start the page that this wasm was loaded into. The document's `data-page` says which it is. A worker has none.
#[wasm_bindgen(start)]
pub fn start() {
    if web_sys::window().is_none() {
        return;
    }
    std::panic::set_hook(Box::new(|panic| {
        let words = panic.to_string();
        web_error(&words);
        dom::set_text("fatal-title", "The sampler has stopped.");
        dom::set_text(
            "fatal-advice",
            &format!("This is a fault of the page itself; reload it to go on. ({words})"),
        );
        dom::show("fatal", true);
    }));
    let body = dom::document().body();
    let data = |name: &str| body.as_ref().and_then(|body| body.get_attribute(name));
    if cfg!(feature = "bench") && data("data-page").as_deref() == Some("bench") {
        return;
    }
    let is_embed = data("data-page").as_deref() == Some("embed");
    let query = dom::window().location().search().unwrap_or_default();
    let (state, remarks) = read_address(&query);
    let calm = dom::media("(prefers-reduced-motion: reduce)");
    let asked = data("data-asked").is_some();
    let playing = asked || state.play.unwrap_or(!calm);
    let listed = !is_embed || state.model.is_none();
    let lab = Rc::new(Lab::new(is_embed, state, remarks, playing));
    controls::connect(&lab);
    api::expose(&lab);
    dom::show("begin", false);
    if is_embed {
        embed::watch(&lab);
    }
    // The links to the lab and to the embedded figure carry the address.
    lab.change(|_| {});
    watch_looks(&lab);
    if listed {
        keep_list(&lab);
    }
    spawn_local(session::run(lab));
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn web_error(words: &str);
}

fn read_address(query: &str) -> (State, Vec<String>) {
    let mut pairs = Vec::new();
    if let Ok(parameters) = UrlSearchParams::new_with_str(query) {
        for entry in js_sys::try_iter(&parameters).ok().flatten().into_iter().flatten().flatten() {
            let entry: js_sys::Array = entry.unchecked_into();
            pairs.push((
                entry.get(0).as_string().unwrap_or_default(),
                entry.get(1).as_string().unwrap_or_default(),
            ));
        }
    }
    State::parse(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())))
}

/// Draw anew when sizes or colours change.
fn watch_looks(lab: &Rc<Lab>) {
    let redraw = {
        let lab = lab.clone();
        move || {
            lab.redraw.set(true);
            lab.touch();
        }
    };
    if let Ok(Some(dark)) = dom::window().match_media("(prefers-color-scheme: dark)") {
        let redraw = redraw.clone();
        dom::on(&dark, "change", move |_: Event| redraw());
    }
    let callback = Closure::<dyn FnMut()>::new(redraw);
    if let (Ok(observer), Some(stage)) =
        (ResizeObserver::new(callback.as_ref().unchecked_ref()), dom::find::<Element>("stage"))
    {
        observer.observe(&stage);
    }
    callback.forget();
}

/// Read the list of models now, and again while the page can be seen: one may just have been
/// trained.
fn keep_list(lab: &Rc<Lab>) {
    let read = {
        let lab = lab.clone();
        move || {
            let lab = lab.clone();
            spawn_local(async move {
                let list = loading::list().await;
                let known = lab.models.borrow().is_some();
                // A list that cannot be read once does not take models away.
                let list = list.or_else(|| (!known).then(Vec::new));
                if let Some(list) = list.filter(|list| lab.models.borrow().as_ref() != Some(list)) {
                    *lab.models.borrow_mut() = Some(list);
                    lab.touch();
                }
            });
        }
    };
    read();
    dom::every(LIST_EVERY, move || {
        if !dom::document().hidden() {
            read();
        }
    });
}
