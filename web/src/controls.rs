//! The page's controls: events into wishes, and settings back into the controls.

use crate::dom::{self, find, on, on_id};
use crate::explain::{count, readable, temperature};
use crate::lab::Lab;
use crate::state::{Facts, Settings, State, ViewKind};
use dual_mcmc::jobs::Start;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use web_sys::{
    DragEvent, Element, Event, HtmlButtonElement, HtmlElement, HtmlInputElement, HtmlOptionElement,
    HtmlSelectElement, KeyboardEvent, MouseEvent,
};

/// The speeds on the slider, in steps per second.
const RATES: [f32; 9] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 240.0];
/// The decades of the sliders for step size and noise: 10⁻⁴ to 10.
const DECADES: [f32; 2] = [-4.0, 1.0];

fn from_slider(position: f32) -> f32 {
    let exponent = DECADES[0] + position / 100.0 * (DECADES[1] - DECADES[0]);
    // Two digits: the number beside the slider is to be read.
    let value = js_sys::Math::pow(10.0, exponent.into()) as f32;
    let tens = 10f32.powi(1 - value.log10().floor() as i32);
    (value * tens).round() / tens
}

fn to_slider(value: f32) -> f32 {
    ((value.max(1e-9).log10() - DECADES[0]) / (DECADES[1] - DECADES[0]) * 100.0).clamp(0.0, 100.0)
}

fn input(id: &str, event: &str, lab: &Rc<Lab>, change: impl Fn(&Lab, &HtmlInputElement) + 'static) {
    let Some(element) = find::<HtmlInputElement>(id) else { return };
    let lab = lab.clone();
    on(&element.clone(), event, move |_: Event| change(&lab, &element));
}

fn radios(name: &str, mut each: impl FnMut(HtmlInputElement)) {
    let Ok(nodes) = dom::document().query_selector_all(&format!("input[name={name}]")) else { return };
    for i in 0..nodes.length() {
        if let Some(radio) = nodes.get(i).and_then(|node| node.dyn_into().ok()) {
            each(radio);
        }
    }
}

/// A number as typed, or `None` where it is no use.
fn typed(element: &HtmlInputElement, low: f64) -> Option<f32> {
    let value = element.value_as_number();
    let good = value.is_finite() && value >= low && value <= 1e3;
    let _ = element.set_attribute("aria-invalid", if good { "false" } else { "true" });
    good.then_some(value as f32)
}

/// Connect every control that the page has.
pub fn connect(lab: &Rc<Lab>) {
    transport(lab);
    settings(lab);
    models(lab);
    choice_of_chain(lab);
}

fn button(id: &str, lab: &Rc<Lab>, press: impl Fn(&Lab) + 'static) {
    let lab = lab.clone();
    on_id(id, "click", move || {
        press(&lab);
        lab.touch();
    });
}

fn transport(lab: &Rc<Lab>) {
    button("play", lab, |lab| lab.playing.set(!lab.playing.get()));
    button("step", lab, |lab| {
        lab.playing.set(false);
        lab.steps.set(lab.steps.get() + 1);
    });
    button("reset", lab, |lab| {
        // The embedded figure has no seed to choose, so that starting over shows something new.
        if lab.embed {
            lab.change(|state| state.seed = state.seed.wrapping_add(1));
            lab.playing.set(true);
        }
        lab.reset.set(true);
    });
    button("retry", lab, |lab| lab.retry.set(true));
    button("use-cpu", lab, |lab| {
        lab.change(|state| state.device = crate::state::DeviceChoice::Cpu);
        lab.retry.set(true);
    });
}

fn settings(lab: &Rc<Lab>) {
    radios("view", |radio| {
        let (lab, word) = (lab.clone(), radio.value());
        on(&radio, "change", move |_: Event| lab.change(|state| state.view = ViewKind::from_word(&word)));
    });
    radios("start", |radio| {
        let (lab, word) = (lab.clone(), radio.value());
        on(&radio, "change", move |_: Event| lab.change(|state| state.start = Start::from_name(&word)));
    });
    if let Some(select) = find::<HtmlSelectElement>("chains") {
        let lab = lab.clone();
        on(&select.clone(), "change", move |_: Event| {
            let chains = select.value().parse().ok();
            lab.change(|state| state.chains = chains);
        });
    }
    input("rate", "input", lab, |lab, slider| {
        let index = slider.value_as_number().clamp(0.0, (RATES.len() - 1) as f64) as usize;
        lab.change(|state| state.rate = Some(RATES[index]));
    });
    input("step-size", "change", lab, |lab, field| {
        if let Some(value) = typed(field, 1e-6) {
            lab.change(|state| state.step_size = Some(value));
        }
    });
    input("step-size-range", "input", lab, |lab, slider| {
        let value = from_slider(slider.value_as_number() as f32);
        lab.change(|state| state.step_size = Some(value));
    });
    input("noise", "change", lab, |lab, field| {
        if let Some(value) = typed(field, 0.0) {
            lab.change(|state| state.noise = Some(value));
        }
    });
    input("noise-range", "input", lab, |lab, slider| {
        let position = slider.value_as_number() as f32;
        let value = if position == 0.0 { 0.0 } else { from_slider(position) };
        lab.change(|state| state.noise = Some(value));
    });
    button("defaults", lab, |lab| {
        lab.change(|state| {
            *state = State {
                model: state.model.clone(),
                view: state.view,
                seed: state.seed,
                device: state.device,
                play: state.play,
                ..State::default()
            };
        });
    });
    input("seed", "change", lab, |lab, field| {
        if let Ok(seed) = field.value().parse() {
            lab.change(|state| state.seed = seed);
        }
    });
    button("reseed", lab, |lab| {
        let seed = (js_sys::Math::random() * 1e6) as u32;
        lab.change(|state| state.seed = seed);
    });
    // Enter in a field applies it; there is nothing to submit.
    if let Some(form) = find::<Element>("controls") {
        on(&form, "submit", |event: Event| event.prevent_default());
    }
}

fn models(lab: &Rc<Lab>) {
    if let Some(select) = find::<HtmlSelectElement>("model") {
        let lab = lab.clone();
        on(&select.clone(), "change", move |_: Event| {
            if !select.value().is_empty() {
                lab.choose(select.value());
            }
        });
    }
    on_id("open", "click", || {
        if let Some(file) = find::<HtmlElement>("file") {
            file.click();
        }
    });
    input("file", "change", lab, |lab, picker| {
        if let Some(file) = picker.files().and_then(|files| files.get(0)) {
            lab.open(file);
        }
        // So that the same file can be opened again once it has changed.
        picker.set_value("");
    });
    if lab.embed {
        return;
    }
    let document = dom::document();
    on(&document, "dragover", |event: DragEvent| {
        event.prevent_default();
        dom::show("drop", true);
    });
    on(&document, "dragleave", |event: DragEvent| {
        if event.related_target().is_none() {
            dom::show("drop", false);
        }
    });
    let lab = lab.clone();
    on(&document, "drop", move |event: DragEvent| {
        event.prevent_default();
        dom::show("drop", false);
        let files = event.data_transfer().and_then(|transfer| transfer.files());
        if let Some(file) = files.and_then(|files| files.get(0)) {
            lab.open(file);
        }
    });
}

/// A click on an image, or the arrow keys on a picture, set one chain off from the others.
fn choice_of_chain(lab: &Rc<Lab>) {
    for id in ["start-panel", "refined-panel", "landscape-panel"] {
        let Some(panel) = find::<HtmlElement>(id) else { continue };
        let (at, pointed) = (panel.clone(), lab.clone());
        on(&panel, "click", move |event: MouseEvent| {
            let rect = at.get_bounding_client_rect();
            let x = (f64::from(event.client_x()) - rect.left()) / rect.width();
            let y = (f64::from(event.client_y()) - rect.top()) / rect.height();
            pointed.pointed.set(Some([x, y]));
            pointed.touch();
        });
        let lab = lab.clone();
        on(&panel, "keydown", move |event: KeyboardEvent| {
            let [columns, chains] = lab.grid.get();
            let columns = columns as isize;
            let by = match event.key().as_str() {
                "ArrowRight" => 1,
                "ArrowLeft" => -1,
                "ArrowDown" => columns,
                "ArrowUp" => -columns,
                "Escape" => 0,
                _ => return,
            };
            event.prevent_default();
            let next = match lab.chosen.get() {
                _ if by == 0 => None,
                None => Some(0),
                Some(chain) => Some((chain as isize + by).clamp(0, chains as isize - 1) as usize),
            };
            lab.chosen.set(next);
            lab.redraw.set(true);
            lab.touch();
        });
    }
}

/// Fill the list of models, with what is shown now chosen.
pub fn list_models(lab: &Lab) {
    let Some(select) = find::<HtmlSelectElement>("model") else { return };
    let mut entries: Vec<(String, String)> = Vec::new();
    let models = lab.models.borrow();
    let known = models.as_deref().unwrap_or_default();
    entries.extend(known.iter().map(|model| (model.url.clone(), model.title.clone())));
    let shown = match lab.wanted() {
        Some(crate::loading::Source::Address(url)) => {
            if !known.iter().any(|model| model.url == url) {
                entries.push((url.clone(), url.rsplit('/').next().unwrap_or(&url).to_string()));
            }
            url
        }
        Some(source) => {
            entries.push((String::new(), format!("{} (your file)", source.name())));
            String::new()
        }
        None => {
            entries.push((String::new(), "no model yet".into()));
            String::new()
        }
    };
    // An open list is not to be disturbed, so it is filled only when its entries change.
    let key = format!("{entries:?}");
    if select.get_attribute("data-entries").as_deref() != Some(&key) {
        let _ = select.set_attribute("data-entries", &key);
        select.set_text_content(None);
        for (url, title) in &entries {
            if let Ok(option) = HtmlOptionElement::new_with_text_and_value(title, url) {
                let _ = select.append_child(&option);
            }
        }
        select.set_disabled(false);
    }
    select.set_value(&shown);
}

/// Put a value into a field, unless the reader is typing there.
fn put(id: &str, value: &str) {
    if let Some(field) = find::<HtmlInputElement>(id) {
        let typing = dom::document().active_element().is_some_and(|active| active.id() == id);
        if field.value() != value
            && !(typing && field.get_attribute("aria-invalid").as_deref() == Some("true"))
        {
            field.set_value(value);
        }
    }
}

/// Show settings in the controls.
pub fn show(settings: &Settings, facts: &Facts, lab: &Lab) {
    radios("view", |radio| {
        radio.set_checked(radio.value() == settings.view.word());
        radio.set_disabled(radio.value() == "landscape" && !(facts.plane() && facts.energy));
    });
    dom::show("view-choice", facts.plane() && facts.energy);
    radios("start", |radio| {
        radio.set_checked(radio.value() == settings.start.name());
        radio.set_disabled(radio.value() == "generator" && !facts.generator);
    });
    let hint = match (settings.start, facts.generator, facts.image()) {
        (_, false, _) => "This model has no generator.",
        (Start::Generator, ..) => "Each chain begins at a sample of the generator.",
        (Start::Noise, _, true) => "Each chain begins at uniform noise: a long way from data.",
        (Start::Noise, _, false) => "Each chain begins at a standard normal point.",
    };
    dom::set_text("start-hint", hint);
    let nearest = (0..RATES.len())
        .min_by(|&a, &b| {
            (RATES[a].ln() - settings.rate.ln()).abs().total_cmp(&(RATES[b].ln() - settings.rate.ln()).abs())
        })
        .unwrap_or(0);
    put("rate", &nearest.to_string());
    dom::set_text("rate-value", &readable(settings.rate));
    let langevin = &settings.langevin;
    put("step-size", &langevin.step_size.to_string());
    put("step-size-range", &to_slider(langevin.step_size).round().to_string());
    put("noise", &langevin.noise.to_string());
    let position = if langevin.noise == 0.0 { 0.0 } else { to_slider(langevin.noise).round() };
    put("noise-range", &position.to_string());
    dom::set_text("temperature", &readable(langevin.temperature()));
    dom::set_text("temperature-hint", temperature(langevin));
    put("seed", &settings.seed.to_string());
    chain_choices(settings, facts);
    let _ = lab;
}

fn chain_choices(settings: &Settings, facts: &Facts) {
    let Some(select) = find::<HtmlSelectElement>("chains") else { return };
    let mut choices = facts.chain_choices().to_vec();
    if !choices.contains(&settings.chains) {
        let place = choices.iter().position(|&n| n > settings.chains).unwrap_or(choices.len());
        choices.insert(place, settings.chains);
    }
    let wanted: Vec<String> = choices.iter().map(|n| n.to_string()).collect();
    let key = wanted.join(" ");
    if select.get_attribute("data-choices").as_deref() != Some(&key) {
        let _ = select.set_attribute("data-choices", &key);
        select.set_text_content(None);
        for (n, value) in choices.iter().zip(&wanted) {
            if let Ok(option) = HtmlOptionElement::new_with_text_and_value(&count(*n, "chain"), value) {
                let _ = select.append_child(&option);
            }
        }
    }
    select.set_value(&settings.chains.to_string());
}

/// Show whether the chains run, and which buttons make sense.
pub fn show_transport(playing: bool, ready: bool, runs: bool) {
    for (id, enabled) in [("play", runs), ("step", runs), ("reset", ready)] {
        if let Some(button) = find::<HtmlButtonElement>(id) {
            button.set_disabled(!enabled);
        }
    }
    dom::set_text("play", if playing && runs { "Pause" } else { "Play" });
}
