//! The little of the browser that figures need, with errors out of the way. Elements are looked up in a figure's own
//! shadow tree only: see `ui::Refs`.

use js_sys::Promise;
use serde::Serialize;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    CanvasRenderingContext2d, CustomEvent, CustomEventInit, Document, Element, HtmlCanvasElement, Window,
};

/// The window. Figures stand in one.
pub fn window() -> Window {
    web_sys::window().expect("this code runs in a page")
}

/// The document. A window always has one.
pub fn document() -> Document {
    window().document().expect("a window has a document")
}

/// Milliseconds on the page's clock.
pub fn now() -> f64 {
    window().performance().map_or(0.0, |p| p.now())
}

/// Let the browser handle what has happened meanwhile, then go on.
pub async fn breathe() {
    let promise = Promise::new(&mut |resolve, _| {
        let _ = window().set_timeout_with_callback(&resolve);
    });
    let _ = JsFuture::from(promise).await;
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

/// An address as seen from the page; `None` where it is no address.
pub fn absolute(address: &str) -> Option<web_sys::Url> {
    let base = document().base_uri().ok().flatten().unwrap_or_default();
    web_sys::Url::new_with_base(address, &base).ok()
}

/// Tell an element's page of something, as an event that does not bubble, with details.
pub fn tell(element: &Element, event: &str, detail: &impl Serialize) {
    let options = CustomEventInit::new();
    options.set_detail(&serde_wasm_bindgen::to_value(detail).unwrap_or(JsValue::NULL));
    if let Ok(event) = CustomEvent::new_with_event_init_dict(event, &options) {
        // Whatever a listener throws, the browser reports itself.
        let _ = element.dispatch_event(&event);
    }
}
