//! The little of the browser's document that the page needs, with errors out of the way: an element
//! that a page does not have is simply not updated, so the lab and the embed share their code.

use js_sys::{Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    CanvasRenderingContext2d, Document, Element, Event, EventTarget, HtmlCanvasElement, HtmlElement, Window,
};

/// The window. A page always has one.
pub fn window() -> Window {
    web_sys::window().expect("this code runs in a page")
}

/// The document. A window always has one.
pub fn document() -> Document {
    window().document().expect("a window has a document")
}

/// The element with this id, as the type it is expected to be.
pub fn find<T: JsCast>(id: &str) -> Option<T> {
    document().get_element_by_id(id)?.dyn_into().ok()
}

/// Put `text` into the element with this id. Nothing happens where it is there already, so that a
/// screen reader is told of changes only.
pub fn set_text(id: &str, text: &str) {
    if let Some(element) = find::<Element>(id)
        && element.text_content().as_deref() != Some(text)
    {
        element.set_text_content(Some(text));
    }
}

/// Show or hide the element with this id.
pub fn show(id: &str, visible: bool) {
    if let Some(element) = find::<HtmlElement>(id)
        && element.hidden() == visible
    {
        element.set_hidden(!visible);
    }
}

/// Call `handler` for every event of that name. The handler lives as long as the page.
pub fn on<E: JsCast + 'static>(target: &EventTarget, name: &str, mut handler: impl FnMut(E) + 'static) {
    listen(
        target,
        name,
        Box::new(move |event: Event| {
            if let Ok(event) = event.dyn_into() {
                handler(event);
            }
        }),
    );
}

/// Adds the listener for [`on`]: one function for all kinds of events keeps the page small.
fn listen(target: &EventTarget, name: &str, handler: Box<dyn FnMut(Event)>) {
    let closure = Closure::wrap(handler);
    // Only an invalid name could fail, and names are literals.
    let _ = target.add_event_listener_with_callback(name, closure.as_ref().unchecked_ref());
    closure.forget();
}

/// Call `handler` for every event of that name on the element with this id.
pub fn on_id(id: &str, name: &str, mut handler: impl FnMut() + 'static) {
    if let Some(target) = find::<EventTarget>(id) {
        on(&target, name, move |_: Event| handler());
    }
}

/// Milliseconds on the page's clock.
pub fn now() -> f64 {
    window().performance().map_or(0.0, |p| p.now())
}

/// Wait until the browser draws its next frame, which it does only while the page can be seen.
pub async fn next_frame() {
    let promise = Promise::new(&mut |resolve, _| {
        let _ = window().request_animation_frame(&resolve);
    });
    let _ = JsFuture::from(promise).await;
}

/// Wait for `ms` milliseconds.
pub async fn wait(ms: i32) {
    let promise = Promise::new(&mut |resolve, _| {
        let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, ms);
    });
    let _ = JsFuture::from(promise).await;
}

/// Let the browser handle what has happened meanwhile, then go on.
pub async fn breathe() {
    wait(0).await;
}

/// Call `handler` every `ms` milliseconds as long as the page lives.
pub fn every(ms: i32, handler: impl FnMut() + 'static) {
    let closure = Closure::<dyn FnMut()>::new(handler);
    let function: &Function = closure.as_ref().unchecked_ref();
    let _ = window().set_interval_with_callback_and_timeout_and_arguments_0(function, ms);
    closure.forget();
}

/// Whether a media query holds.
pub fn media(query: &str) -> bool {
    window().match_media(query).ok().flatten().is_some_and(|m| m.matches())
}

/// A style property of the page, such as a colour.
pub fn style(name: &str) -> String {
    let root = document().document_element();
    let computed = root.and_then(|root| window().get_computed_style(&root).ok().flatten());
    computed.and_then(|style| style.get_property_value(name).ok()).unwrap_or_default().trim().to_string()
}

/// Device pixels per CSS pixel, within what a canvas should be drawn at.
pub fn pixel_ratio() -> f64 {
    window().device_pixel_ratio().clamp(1.0, 3.0)
}

/// A fresh element.
pub fn create<T: JsCast>(tag: &str) -> Option<T> {
    document().create_element(tag).ok()?.dyn_into().ok()
}

/// The 2-D drawing context of a canvas.
pub fn context_2d(canvas: &HtmlCanvasElement) -> Option<CanvasRenderingContext2d> {
    canvas.get_context("2d").ok()??.dyn_into().ok()
}

/// The words of an exception.
pub fn reason(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => error.as_string().unwrap_or_else(|| "no reason given".into()),
    }
}
