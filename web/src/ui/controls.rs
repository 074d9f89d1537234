//! The controls of a figure: events into messages, and settings back into the controls.

use super::Refs;
use crate::choices::{Corners, DeviceChoice, Fill, Origin, Overlay, Subject, ViewKind};
use crate::engine::Device;
use crate::explain::{count, posterior_temperature, readable, temperature};
use crate::facts::Facts;
use crate::mask::Mask;
use crate::message::{Message, Post, Step};
use crate::settings::Settings;
use crate::views::SAMPLE_PANELS;
use std::rc::Rc;
use wasm_bindgen::JsCast;
use web_sys::{
    Element, Event, HtmlButtonElement, HtmlElement, HtmlInputElement, HtmlOptionElement, HtmlSelectElement,
    KeyboardEvent, MouseEvent, PointerEvent,
};

/// The speeds on the slider, in steps per second.
const RATES: [f32; 9] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 120.0, 240.0];
/// The decades of the sliders for step size and noise: 10⁻⁴ to 10.
const DECADES: [f32; 2] = [-4.0, 1.0];

fn from_slider(position: f32) -> f32 {
    let exponent = DECADES[0] + position / 100.0 * (DECADES[1] - DECADES[0]);
    // Two digits: the number beside the slider is to be read.
    let value = 10f32.powf(exponent);
    let tens = 10f32.powi(1 - value.log10().floor() as i32);
    (value * tens).round() / tens
}

fn to_slider(value: f32) -> f32 {
    ((value.max(1e-9).log10() - DECADES[0]) / (DECADES[1] - DECADES[0]) * 100.0).clamp(0.0, 100.0)
}

/// Connect every control of a figure.
pub fn connect(refs: &Rc<Refs>, post: &Post) {
    transport(refs, post);
    choices(refs, post);
    sliders(refs, post);
    numbers(refs, post);
    choice_of_chain(refs, post);
    brush(refs, post);
    pictures(refs, post);
    walk(refs, post);
    film(refs, post);
    tables(refs, post);
    keys(refs, post);
}

fn button(refs: &Refs, name: &str, post: &Post, message: impl Fn() -> Message + 'static) {
    let post = post.clone();
    refs.on_ref(name, "click", move || post.send(message()));
}

fn transport(refs: &Refs, post: &Post) {
    for name in ["play", "bar-play"] {
        button(refs, name, post, || Message::TogglePlay);
    }
    for name in ["reset", "bar-reset"] {
        button(refs, name, post, || Message::StartOver);
    }
    button(refs, "step", post, || Message::OneStep);
    for name in ["undo", "bar-undo"] {
        button(refs, name, post, || Message::Undo);
    }
    button(refs, "retry", post, || Message::Retry);
    button(refs, "use-cpu", post, || Message::UseCpu);
    button(refs, "next-example", post, || Message::NextExample);
    button(refs, "defaults", post, || Message::Defaults);
    button(refs, "reseed", post, || {
        let seed = (js_sys::Math::random() * 1e6) as u32;
        Message::Choose("seed", Some(seed.to_string()))
    });
}

/// Radio buttons and lists, whose values are those of the attribute.
fn choices(refs: &Refs, post: &Post) {
    for name in ["view"] {
        for radio in refs.all::<HtmlInputElement>(&format!("input[name={name}]")) {
            let (post, value) = (post.clone(), radio.value());
            refs.on(&radio, "change", move |_: Event| post.send(Message::Choose(name, Some(value.clone()))));
        }
    }
    let starts = refs.all::<HtmlInputElement>("input[name=start]");
    for start in starts.clone() {
        let (all, post) = (starts.clone(), post.clone());
        refs.on(&start.clone(), "change", move |_: Event| {
            let chosen: Vec<String> =
                all.iter().filter(|start| start.checked()).map(|start| start.value()).collect();
            if chosen.is_empty() {
                // Chains start somewhere.
                start.set_checked(true);
            } else {
                post.send(Message::Choose("start", Some(chosen.join(" "))));
            }
        });
    }
    let overlays = refs.all::<HtmlInputElement>("input[name=overlay]");
    for overlay in overlays.clone() {
        let (all, post) = (overlays.clone(), post.clone());
        refs.on(&overlay, "change", move |_: Event| {
            let chosen: Vec<String> = all.iter().filter(|one| one.checked()).map(|one| one.value()).collect();
            post.send(Message::Choose("overlay", (!chosen.is_empty()).then(|| chosen.join(" "))));
        });
    }
    for name in ["chains", "device", "mask", "fill", "subject", "sampler", "corners"] {
        if let Some(select) = refs.find::<HtmlSelectElement>(name) {
            let post = post.clone();
            refs.on(&select.clone(), "change", move |_: Event| {
                post.send(Message::Choose(name, Some(select.value())));
            });
        }
    }
}

fn sliders(refs: &Refs, post: &Post) {
    let slider = |name: &str, attribute: &'static str, value: fn(f64) -> f32| {
        let Some(slider) = refs.find::<HtmlInputElement>(name) else { return };
        let post = post.clone();
        refs.on(&slider.clone(), "input", move |_: Event| {
            let value = value(slider.value_as_number());
            post.send(Message::Choose(attribute, Some(value.to_string())));
        });
    };
    slider("rate", "rate", |position| RATES[position.clamp(0.0, (RATES.len() - 1) as f64) as usize]);
    slider("step-size-range", "step-size", |position| from_slider(position as f32));
    slider(
        "noise-range",
        "noise",
        |position| {
            if position == 0.0 { 0.0 } else { from_slider(position as f32) }
        },
    );
}

/// Fields to type numbers into. What is no use stays in the field, marked.
fn numbers(refs: &Refs, post: &Post) {
    for name in ["step-size", "noise", "seed", "example"] {
        let Some(field) = refs.find::<HtmlInputElement>(name) else { continue };
        let post = post.clone();
        refs.on(&field.clone(), "change", move |_: Event| {
            let value = field.value();
            let good = crate::choices::row(name).is_some_and(|row| row.check(&value).is_ok());
            let _ = field.set_attribute("aria-invalid", if good { "false" } else { "true" });
            if good {
                post.send(Message::Choose(name, Some(value)));
            }
        });
    }
    // Enter in a field applies it; there is nothing to submit.
    if let Some(form) = refs.find::<Element>("settings") {
        refs.on(&form, "submit", |event: Event| event.prevent_default());
    }
}

/// A click on an image, or the arrow keys on a picture, set one chain off from the others.
fn choice_of_chain(refs: &Refs, post: &Post) {
    let rows = SAMPLE_PANELS.into_iter().enumerate();
    let panels = rows.flat_map(|(row, names)| names.map(|name| (row, name)));
    for (row, name) in panels.chain([(0, "landscape-panel")]) {
        let Some(panel) = refs.find::<HtmlElement>(name) else { continue };
        let (at, pointed) = (panel.clone(), post.clone());
        refs.on(&panel, "click", move |event: MouseEvent| {
            pointed.send(Message::Point(row, place(&at, &event)))
        });
        let post = post.clone();
        refs.on(&panel, "keydown", move |event: KeyboardEvent| {
            if let Some(step) = moved(&event) {
                event.prevent_default();
                post.send(Message::Key(step));
            }
        });
    }
    if let Some(panel) = refs.find::<HtmlElement>("examples-panel") {
        let (at, post) = (panel.clone(), post.clone());
        refs.on(&panel, "click", move |event: MouseEvent| {
            post.send(Message::PickExample(place(&at, &event)))
        });
    }
}

/// A picture of the reader's own is opened by a button, and the brush draws or hides.
fn pictures(refs: &Refs, post: &Post) {
    let Some(file) = refs.find::<HtmlInputElement>("picture-file") else { return };
    let opened = file.clone();
    refs.on_ref("open-picture", "click", move || opened.click());
    let (input, post_file) = (file.clone(), post.clone());
    refs.on(&file, "change", move |_: Event| {
        if let Some(file) = input.files().and_then(|files| files.get(0)) {
            let name = file.name();
            post_file.send(Message::Picture(file.into(), name));
        }
        // So that the same file can be opened again once it has changed.
        input.set_value("");
    });
    for radio in refs.all::<HtmlInputElement>("input[name=brush]") {
        let (post, draws) = (post.clone(), radio.value() == "draw");
        refs.on(&radio, "change", move |_: Event| post.send(Message::BrushDraws(draws)));
    }
}

/// A drag over the picture that is reconstructed, or the arrow keys and Space on it, hide a part of it.
fn brush(refs: &Rc<Refs>, post: &Post) {
    let Some(panel) = refs.find::<HtmlElement>("target-panel") else { return };
    let (at, pressed) = (panel.clone(), post.clone());
    refs.on(&panel, "pointerdown", move |event: PointerEvent| {
        if event.button() == 0 {
            let _ = at.set_pointer_capture(event.pointer_id());
            pressed.send(Message::Brush(place(&at, &event), true));
        }
    });
    let (at, dragged) = (panel.clone(), post.clone());
    refs.on(&panel, "pointermove", move |event: PointerEvent| {
        if event.buttons() & 1 == 1 {
            dragged.send(Message::Brush(place(&at, &event), false));
        }
    });
    let post = post.clone();
    refs.on(&panel, "keydown", move |event: KeyboardEvent| {
        let message = match (moved(&event), event.key().as_str()) {
            (Some(step), _) => Message::Cursor(step),
            (None, " ") => Message::BrushHere,
            _ => return,
        };
        event.prevent_default();
        post.send(message);
    });
}

/// A drag over the generator's pictures walks on the plane of latents.
fn walk(refs: &Refs, post: &Post) {
    let Some(panel) = refs.find::<HtmlElement>("start-panel") else { return };
    let (at, taken) = (panel.clone(), post.clone());
    refs.on(&panel, "pointerdown", move |event: PointerEvent| {
        if event.button() == 0 {
            taken.send(Message::Drag(place(&at, &event), true));
        }
    });
    let (at, dragged) = (panel.clone(), post.clone());
    refs.on(&panel, "pointermove", move |event: PointerEvent| {
        if event.buttons() & 1 == 1 {
            dragged.send(Message::Drag(place(&at, &event), false));
        }
    });
}

/// The slider under the film and the strip of frames scrub through the run.
fn film(refs: &Refs, post: &Post) {
    if let Some(slider) = refs.find::<HtmlInputElement>("film") {
        let post = post.clone();
        refs.on(&slider.clone(), "input", move |_: Event| {
            post.send(Message::Scrub(slider.value_as_number().max(0.0) as usize));
        });
    }
    if let Some(panel) = refs.find::<HtmlElement>("film-panel") {
        let (at, post) = (panel.clone(), post.clone());
        refs.on(&panel, "click", move |event: MouseEvent| post.send(Message::PickFrame(place(&at, &event))));
    }
    button(refs, "close-close-up", post, || Message::Key(Step::Off));
}

/// The tables of numbers are filled only while they are open.
fn tables(refs: &Refs, post: &Post) {
    let Some(details) = refs.find::<HtmlElement>("numbers") else { return };
    let post = post.clone();
    refs.on(&details.clone(), "toggle", move |_: Event| {
        post.send(Message::Numbers(details.has_attribute("open")))
    });
}

/// Ctrl+Z anywhere in the figure undoes, but where something is typed.
fn keys(refs: &Refs, post: &Post) {
    let Some(lab) = refs.find::<HtmlElement>("lab") else { return };
    let post = post.clone();
    refs.on(&lab, "keydown", move |event: KeyboardEvent| {
        let types = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
        let types = types.is_some_and(|field| field.type_() == "number");
        if !types && (event.ctrl_key() || event.meta_key()) && event.key() == "z" {
            event.prevent_default();
            post.send(Message::Undo);
        }
    });
}

/// Where a pointer is on an element, in shares of it.
fn place(element: &HtmlElement, event: &MouseEvent) -> [f64; 2] {
    let rect = element.get_bounding_client_rect();
    let x = (f64::from(event.client_x()) - rect.left()) / rect.width();
    let y = (f64::from(event.client_y()) - rect.top()) / rect.height();
    [x, y]
}

/// Where a key moves.
fn moved(event: &KeyboardEvent) -> Option<Step> {
    Some(match event.key().as_str() {
        "ArrowRight" => Step::By([1, 0]),
        "ArrowLeft" => Step::By([-1, 0]),
        "ArrowDown" => Step::By([0, 1]),
        "ArrowUp" => Step::By([0, -1]),
        "Escape" => Step::Off,
        _ => return None,
    })
}

/// Put a value into a field, unless the reader is typing there.
fn put(refs: &Refs, name: &str, value: &str) {
    if let Some(field) = refs.find::<HtmlInputElement>(name) {
        let invalid = field.get_attribute("aria-invalid").as_deref() == Some("true");
        if field.value() != value && !(invalid && refs.has_focus(&field)) {
            field.set_value(value);
        }
    }
}

/// Check the radio button of a value, and disable those that are impossible.
fn check(refs: &Refs, name: &str, value: &str, possible: impl Fn(&str) -> bool) {
    for radio in refs.all::<HtmlInputElement>(&format!("input[name={name}]")) {
        radio.set_checked(radio.value() == value);
        radio.set_disabled(!possible(&radio.value()));
    }
}

/// Show settings in the controls.
pub fn show(refs: &Refs, settings: &Settings, facts: &Facts, choice: DeviceChoice, device: &Device) {
    let has = |view: &str| ViewKind::from_word(view).is_some_and(|view| facts.has(view));
    check(refs, "view", settings.view.word(), has);
    for radio in refs.all::<HtmlInputElement>("input[name=view]") {
        // What a model can never show is not offered.
        if let Some(label) = radio.parent_element().and_then(|label| label.dyn_into::<HtmlElement>().ok()) {
            label.set_hidden(!has(&radio.value()));
        }
    }
    refs.show("view-choice", ViewKind::ALL.iter().filter(|view| facts.has(**view)).count() > 1);
    let samples = settings.view.samples();
    let uses_example = match settings.view {
        ViewKind::Latent => settings.corners == Corners::Examples,
        view => view.has_subject() && settings.subject == Subject::Example,
    };
    for (name, visible) in [
        ("start-choice", !settings.view.has_subject() && settings.view != ViewKind::Latent),
        ("corners-choice", settings.view == ViewKind::Latent),
        ("sampler-choice", samples && facts.energy),
        ("chains-choice", settings.view != ViewKind::Energy),
        ("subject-choice", settings.view.has_subject()),
        ("x-formula", samples),
        ("z-formula", !samples),
        ("example-choice", uses_example && facts.examples > 1),
        ("mask-choice", !samples && facts.image()),
        ("picture-choice", settings.view.has_subject() && facts.image()),
    ] {
        refs.show(name, visible);
    }
    if let Some(panel) = refs.find::<HtmlElement>("start-panel") {
        let _ = panel.class_list().toggle_with_force("drags", settings.view == ViewKind::Latent);
    }
    if let Some(select) = refs.find::<HtmlSelectElement>("corners") {
        select.set_value(settings.corners.word());
    }
    if let Some(select) = refs.find::<HtmlSelectElement>("subject") {
        select.set_value(settings.subject.word());
    }
    put(refs, "example", &(settings.example + 1).to_string());
    if let Some(field) = refs.find::<HtmlInputElement>("example") {
        field.set_max(&facts.examples.to_string());
    }
    let painted = matches!(settings.mask, Mask::Painted(_));
    refs.show("mask-painted", painted);
    if let Some(select) = refs.find::<HtmlSelectElement>("mask") {
        let word = if painted { "painted".into() } else { settings.mask.word() };
        select.set_value(&word);
    }
    refs.show("fill-choice", facts.energy && settings.mask != Mask::Nothing);
    if let Some(select) = refs.find::<HtmlSelectElement>("fill") {
        let fill = if settings.fill.is_some() { Fill::Energy } else { Fill::Posterior };
        select.set_value(fill.word());
    }
    for start in refs.all::<HtmlInputElement>("input[name=start]") {
        let origin = Origin::from_word(&start.value());
        start.set_checked(origin.is_some_and(|origin| settings.starts.contains(&origin)));
        start.set_disabled(!origin.is_some_and(|origin| facts.starts_at(origin)));
    }
    for input in refs.all::<HtmlInputElement>("input[name=overlay]") {
        let overlay = Overlay::from_word(&input.value());
        input.set_checked(overlay.is_some_and(|overlay| settings.overlays.contains(&overlay)));
        let possible = match overlay {
            Some(Overlay::Density) => facts.density,
            Some(Overlay::Generator) => facts.generator,
            _ => true,
        };
        input.set_disabled(!possible);
    }
    refs.show("overlay-choice", settings.view == ViewKind::Landscape);
    if let Some(select) = refs.find::<HtmlSelectElement>("sampler") {
        select.set_value(settings.sampler.word());
    }
    let hint = match (&settings.starts[..], facts.image()) {
        ([Origin::Generator], _) => "Each chain begins at a sample of the generator.",
        ([Origin::Noise], true) => "Each chain begins at uniform noise: a long way from data.",
        ([Origin::Noise], false) => "Each chain begins at a standard normal point.",
        ([Origin::Data], _) => {
            "Each chain begins at held-out data: an energy that is right leaves them nearly alone."
        }
        _ => "As many chains from each, one energy, one seed.",
    };
    refs.set_text("start-hint", hint);
    let distance = |rate: f32| (rate.ln() - settings.rate.ln()).abs();
    let nearest = (0..RATES.len()).min_by(|&a, &b| distance(RATES[a]).total_cmp(&distance(RATES[b])));
    put(refs, "rate", &nearest.unwrap_or(0).to_string());
    refs.set_text("rate-value", &readable(settings.rate));
    let langevin = &settings.langevin;
    put(refs, "step-size", &langevin.step_size.to_string());
    put(refs, "step-size-range", &to_slider(langevin.step_size).round().to_string());
    put(refs, "noise", &langevin.noise.to_string());
    let position = if langevin.noise == 0.0 { 0.0 } else { to_slider(langevin.noise).round() };
    put(refs, "noise-range", &position.to_string());
    refs.set_text("temperature", &readable(langevin.temperature()));
    let hint = if samples { temperature(langevin) } else { posterior_temperature(langevin) };
    refs.set_text("temperature-hint", hint);
    put(refs, "seed", &settings.seed.to_string());
    chain_choices(refs, settings, facts);
    if let Some(select) = refs.find::<HtmlSelectElement>("device") {
        select.set_value(choice.word());
    }
    refs.set_text("device-line", &format!("Runs on {}.", device.words()));
}

fn chain_choices(refs: &Refs, settings: &Settings, facts: &Facts) {
    let Some(select) = refs.find::<HtmlSelectElement>("chains") else { return };
    let mut choices = facts.chain_choices(settings.view).to_vec();
    let each = if settings.view.has_subject() { settings.chains } else { settings.per_start() };
    if !choices.contains(&each) {
        let place = choices.iter().position(|&n| n > each).unwrap_or(choices.len());
        choices.insert(place, each);
    }
    // An open list is not to be disturbed, so it is filled only when its entries change.
    let key = choices.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
    if select.get_attribute("data-choices").as_deref() != Some(&key) {
        let _ = select.set_attribute("data-choices", &key);
        select.set_text_content(None);
        for n in choices {
            if let Ok(option) = HtmlOptionElement::new_with_text_and_value(&count(n, "chain"), &n.to_string())
            {
                let _ = select.append_child(&option);
            }
        }
    }
    select.set_value(&each.to_string());
}

/// Show whether the chains run, and which buttons make sense.
pub fn show_transport(refs: &Refs, playing: bool, ready: bool, runs: bool, at_rest: bool) {
    for (name, enabled) in
        [("play", runs), ("bar-play", runs), ("step", runs), ("reset", ready), ("bar-reset", ready)]
    {
        if let Some(button) = refs.find::<HtmlButtonElement>(name) {
            button.set_disabled(!enabled);
        }
    }
    for name in ["play", "bar-play"] {
        let words = match (playing && runs, at_rest) {
            (true, _) => "Pause",
            (false, true) => "Long run",
            (false, false) => "Play",
        };
        refs.set_text(name, words);
    }
}
