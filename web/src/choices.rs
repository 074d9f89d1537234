//! The one table of what a reader, a page's author or an address may choose: attributes of the element, parameters
//! of an address and controls all come from it, and docs/embedding.md is tested against it.
//!
//! A choice that is not made stays `None` and follows the model and the device, so that attributes and addresses hold
//! only what someone has chosen.

mod words;

pub use words::{Corners, DeviceChoice, Fill, Method, Origin, Overlay, Subject, ViewKind};

use crate::mask::{self, Mask};
use crate::walk::{self, Place};
use std::str::FromStr;

/// The values that a choice takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Takes {
    /// The address of a file.
    Address,
    /// Any text.
    Text,
    /// One of these words; an empty one is the attribute without a value.
    Word(&'static [&'static str]),
    /// A number in this range.
    Number(f32, f32),
    /// A whole number in this range.
    Whole(u32, u32),
    /// The attribute is there or not; its value means nothing.
    Presence,
    /// A hidden part of an image.
    Mask,
    /// Two numbers with a space between them.
    Place,
    /// One or more of these words, with spaces between them.
    Words(&'static [&'static str]),
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// The element's attribute.
    pub attribute: &'static str,
    /// The parameter of the address of the lab and of the embedded page.
    pub parameter: Option<&'static str>,
    /// The control under `controls`, by its `data-ref` in the shadow tree.
    pub control: Option<&'static str>,
    /// What it takes.
    pub takes: Takes,
    /// What is so without it, in words.
    pub default: &'static str,
    /// The views that have it.
    pub views: &'static [ViewKind],
    /// What it means, for the documentation.
    pub meaning: &'static str,
}

/// Most steps per second that can be asked for.
pub const MAX_RATE: f32 = 240.0;

const fn choice(
    attribute: &'static str,
    parameter: Option<&'static str>,
    control: Option<&'static str>,
    takes: Takes,
    default: &'static str,
    meaning: &'static str,
) -> Choice {
    Choice { attribute, parameter, control, takes, default, views: ViewKind::ALL, meaning }
}

/// A choice that only one view has.
const fn only(view: &'static [ViewKind], choice: Choice) -> Choice {
    Choice { views: view, ..choice }
}

const X_CHAINS: &[ViewKind] = &[ViewKind::Sample, ViewKind::Landscape];
const MANY_CHAINS: &[ViewKind] = &[ViewKind::Sample, ViewKind::Landscape, ViewKind::Latent];
const RECONSTRUCT: &[ViewKind] = &[ViewKind::Reconstruct];
const LATENT: &[ViewKind] = &[ViewKind::Latent];
const LANDSCAPE: &[ViewKind] = &[ViewKind::Landscape];
const ON_ENERGY: &[ViewKind] = &[ViewKind::Sample, ViewKind::Landscape, ViewKind::Energy, ViewKind::Latent];
const ONE_SAMPLE: &[ViewKind] = &[ViewKind::Reconstruct, ViewKind::Energy];
const EXAMPLES: &[ViewKind] = &[ViewKind::Reconstruct, ViewKind::Energy, ViewKind::Latent];

/// What `hide` leaves out: the controls of choices, and parts of the figure.
const HIDEABLE: &[&str] = &[
    "view",
    "rate",
    "chains",
    "start",
    "corners",
    "overlay",
    "subject",
    "example",
    "picture",
    "mask",
    "update",
    "sampler",
    "seed",
    "device",
    "settings",
    "transport",
    "counter",
    "captions",
    "plot",
    "numbers",
    "about",
];

/// Every choice.
pub const CHOICES: &[Choice] = &[
    choice(
        "src",
        Some("model"),
        None,
        Takes::Address,
        "none",
        "address of the model file, relative to the page or absolute; another origin must allow it by CORS",
    ),
    choice(
        "view",
        Some("view"),
        Some("view-choice"),
        Takes::Word(&["sample", "landscape", "reconstruct", "energy", "latent", "train"]),
        "`landscape` for points of the plane, else `sample`",
        "starts beside refined samples; the energy over the plane with the chains on it; a sample beside what the generator makes of it, from the encoder's guess and from the prior; or a sample's energy among those of data and of others, its slope, and a chain from it; or a plane through latent space, as the generator shows it and as the chains refine it; or the training of a model in the page, for which no `src` is needed",
    ),
    choice(
        "chains",
        Some("chains"),
        Some("chains"),
        Takes::Whole(1, u32::MAX),
        "16 for images, 1024 for points (256 without a graphics processor); 8 in `reconstruct`",
        "number of chains; a model of points runs up to 4096, of images up to 1024; in `reconstruct` up to 64, half of them from the encoder; in `energy` there is one",
    ),
    choice(
        "rate",
        Some("rate"),
        Some("rate"),
        Takes::Number(0.1, MAX_RATE),
        "60 for points and from noise, 30 in `reconstruct`, else 10",
        "steps per second",
    ),
    choice(
        "step-size",
        Some("step-size"),
        Some("step-size"),
        Takes::Number(1e-6, 1e3),
        "the model's",
        "step size s of the Langevin update, in `reconstruct` of the z-chain's",
    ),
    choice(
        "noise",
        Some("noise"),
        Some("noise"),
        Takes::Number(0.0, 1e3),
        "the model's",
        "noise n of the Langevin update, in `reconstruct` of the z-chain's",
    ),
    only(
        X_CHAINS,
        choice(
            "start",
            Some("start"),
            Some("start-choice"),
            Takes::Words(&["generator", "noise", "data"]),
            "`generator` where there is one",
            "where chains start: one place, or several that are shown beside each other, each with as many chains; `data` are held-out examples",
        ),
    ),
    only(
        ON_ENERGY,
        choice(
            "sampler",
            Some("sampler"),
            Some("sampler"),
            Takes::Word(&["langevin", "mala", "descent"]),
            "the model's",
            "unadjusted Langevin steps; steps that are accepted or rejected (MALA), with noise and without the model's clamps; or gradient descent, without noise",
        ),
    ),
    only(
        MANY_CHAINS,
        choice(
            "chain",
            Some("chain"),
            None,
            Takes::Whole(1, u32::MAX),
            "none",
            "the chain that is set off from the others, from 1: its path on a landscape, else a large picture of it with its way, its energy and how far it has come; a click on a picture chooses one",
        ),
    ),
    only(
        LANDSCAPE,
        choice(
            "overlay",
            Some("overlay"),
            Some("overlay-choice"),
            Takes::Words(&["field", "density", "generator", "trails"]),
            "none of them",
            "what is drawn beside energy, data and chains: arrows down the energy's slope, level lines of the exact density where it is known, samples of the generator's, where the chains have been",
        ),
    ),
    only(
        LATENT,
        choice(
            "corners",
            Some("corners"),
            Some("corners"),
            Takes::Word(&["prior", "examples"]),
            "`prior`",
            "what three corners of the plane are: samples of the prior, by the seed, or the encoder's guesses of a held-out example and the next two",
        ),
    ),
    only(
        LATENT,
        choice(
            "walk",
            Some("walk"),
            None,
            Takes::Place,
            "`0 0`",
            "where on the plane the first picture lies, in distances between corners; dragging the pictures changes it",
        ),
    ),
    only(
        ONE_SAMPLE,
        choice(
            "subject",
            Some("subject"),
            Some("subject"),
            Takes::Word(&["example", "generator", "noise", "tone"]),
            "`example`",
            "the sample that it is about: a held-out example, a sample of the generator's, noise, or one value everywhere, the last three by the seed",
        ),
    ),
    only(
        EXAMPLES,
        choice(
            "example",
            Some("example"),
            Some("example"),
            Takes::Whole(1, 64),
            "1",
            "which of the held-out examples in the model's file it is; without examples it is a sample of the generator's",
        ),
    ),
    only(
        RECONSTRUCT,
        choice(
            "mask",
            Some("mask"),
            Some("mask"),
            Takes::Mask,
            "`none`",
            "what of an image is hidden from the chains, to be filled in",
        ),
    ),
    only(
        RECONSTRUCT,
        choice(
            "fill",
            Some("fill"),
            Some("fill"),
            Takes::Word(&["posterior", "energy"]),
            "`posterior`",
            "what fills in the hidden part: the z-chain, or after its recommended steps the x-chain on the hidden pixels alone",
        ),
    ),
    choice(
        "training",
        Some("training"),
        None,
        Takes::Text,
        "the ring, by the quick recipe",
        "in `train`: what is learned and how, as `set=moons compare=energy seed=3`",
    ),
    choice(
        "seed",
        Some("seed"),
        Some("seed"),
        Takes::Whole(0, u32::MAX),
        "0",
        "seed of the random numbers: one seed, one chain",
    ),
    choice(
        "device",
        Some("device"),
        Some("device"),
        Takes::Word(&["auto", "gpu", "cpu"]),
        "`auto`",
        "WebGPU, or the processor; `auto` takes the processor where there is no WebGPU, or only one that is itself a program on the processor",
    ),
    choice(
        "autoplay",
        Some("play"),
        None,
        Takes::Word(&["", "always"]),
        "the chains wait for Play",
        "the chains run as soon as they can be seen, unless the reader prefers reduced motion; `always`: even then. In an address, `1` is `always`, `0` none, and without it they run",
    ),
    choice(
        "controls",
        None,
        None,
        Takes::Presence,
        "a bar with Play and Start over",
        "the whole panel: settings, plot of energies, what the file says about the model",
    ),
    choice(
        "hide",
        Some("hide"),
        None,
        Takes::Words(HIDEABLE),
        "nothing",
        "what of the panel is left out, for a lesson or a small figure; what is hidden can still be set by attributes",
    ),
    choice(
        "loading",
        None,
        None,
        Takes::Word(&["auto", "lazy", "eager"]),
        "`auto`",
        "when code and model are fetched: near the viewport (`lazy`), at once (`eager`), or near the viewport unless `reveal` waits for somebody (`auto`)",
    ),
    choice(
        "reveal",
        None,
        None,
        Takes::Word(&["auto", "interaction", "manual"]),
        "`auto`",
        "when the poster gives way: as soon as the model is there, when the reader asks, or when a script calls `play()` or another method",
    ),
    choice("poster", None, None, Takes::Address, "none", "address of a picture to show before"),
    choice(
        "alt",
        None,
        None,
        Takes::Text,
        "a sentence of the element's own",
        "what the figure shows, for those who cannot see it",
    ),
];

/// The row of an attribute.
pub fn row(attribute: &str) -> Option<&'static Choice> {
    CHOICES.iter().find(|choice| choice.attribute == attribute)
}

impl Choice {
    /// Check a value.
    ///
    /// # Errors
    /// What is taken instead.
    pub fn check(&self, value: &str) -> Result<(), String> {
        let number = |low: f64, high: f64| {
            let good = |v: f64| v.is_finite() && v >= low && v <= high;
            f64::from_str(value.trim()).is_ok_and(good)
        };
        let good = match self.takes {
            Takes::Address | Takes::Text | Takes::Presence => true,
            Takes::Word(words) => words.contains(&value),
            Takes::Place => walk::from_words(value).is_some(),
            Takes::Words(words) => {
                let mut each = value.split_whitespace();
                !value.trim().is_empty() && each.all(|word| words.contains(&word))
            }
            Takes::Mask => Mask::from_word(value.trim()).is_some(),
            Takes::Number(low, high) => number(low.into(), high.into()),
            Takes::Whole(low, high) => u32::from_str(value.trim()).is_ok_and(|v| v >= low && v <= high),
        };
        if good { Ok(()) } else { Err(self.expected()) }
    }

    /// What is taken, to follow “it takes”.
    fn expected(&self) -> String {
        match self.takes {
            Takes::Address => "an address".into(),
            Takes::Text => "a text".into(),
            Takes::Presence => "no value".into(),
            Takes::Mask => mask::EXPECTED.into(),
            Takes::Place => "two numbers with a space between them".into(),
            Takes::Words(words) => format!("one or more of {}", words.join(", ")),
            Takes::Word(words) => {
                let words: Vec<&str> =
                    words.iter().map(|w| if w.is_empty() { "no value" } else { w }).collect();
                let (last, others) = words.split_last().unwrap_or((&"", &[]));
                if others.is_empty() { (*last).into() } else { format!("{} or {last}", others.join(", ")) }
            }
            Takes::Number(low, high) => format!("a number from {low} to {high}"),
            Takes::Whole(low, u32::MAX) => format!("a whole number from {low} on"),
            Takes::Whole(low, high) => format!("a whole number from {low} to {high}"),
        }
    }

    /// This row of the table in docs/embedding.md.
    pub fn documented(&self) -> String {
        let name = |word: &&str| if word.is_empty() { "(no value)".into() } else { format!("`{word}`") };
        let takes = match self.takes {
            Takes::Address => "address".into(),
            Takes::Text => "text".into(),
            Takes::Presence => "(no value)".into(),
            Takes::Mask => mask::EXPECTED.into(),
            Takes::Place => "two numbers, −100 to 100".into(),
            Takes::Words(words) => {
                format!("one or more of {}", words.iter().map(name).collect::<Vec<_>>().join(", "))
            }
            Takes::Word(words) => words.iter().map(name).collect::<Vec<_>>().join(", "),
            Takes::Number(low, high) => format!("{low} to {high}"),
            Takes::Whole(low, u32::MAX) => format!("whole, from {low}"),
            Takes::Whole(low, high) => format!("whole, {low} to {high}"),
        };
        let parameter = self.parameter.map(|p| format!("`{p}`")).unwrap_or_default();
        let meaning = self.meaning;
        let view = match self.views {
            [view] => format!("`{}`: ", view.word()),
            views if views.len() < ViewKind::ALL.len() => {
                let words: Vec<String> = views.iter().map(|view| format!("`{}`", view.word())).collect();
                format!("{}: ", words.join(" and "))
            }
            _ => String::new(),
        };
        format!("| `{}` | {parameter} | {takes} | {} | {view}{meaning} |", self.attribute, self.default)
    }
}

/// What has been chosen, typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choices {
    /// Address of the model.
    pub src: Option<String>,
    /// How chains are shown.
    pub view: Option<ViewKind>,
    /// How many chains run.
    pub chains: Option<usize>,
    /// Steps per second.
    pub rate: Option<f32>,
    /// Step size s.
    pub step_size: Option<f32>,
    /// Noise n.
    pub noise: Option<f32>,
    /// Where chains start.
    pub start: Option<Vec<Origin>>,
    /// How they take their steps.
    pub sampler: Option<Method>,
    /// The chain that is set off from the others, from 1.
    pub chain: Option<usize>,
    /// What a landscape shows beside energy, data and chains.
    pub overlay: Option<Vec<Overlay>>,
    /// What the corners of the plane of latents are.
    pub corners: Option<Corners>,
    /// Where on it the first picture lies.
    pub walk: Option<Place>,
    /// The sample that the view is about.
    pub subject: Option<Subject>,
    /// Which held-out example it is, from 1.
    pub example: Option<usize>,
    /// What of it is hidden.
    pub mask: Option<Mask>,
    /// What fills that in.
    pub fill: Option<Fill>,
    /// Seed of the random numbers.
    pub seed: Option<u32>,
    /// Which device runs the chains.
    pub device: Option<DeviceChoice>,
}

impl Choices {
    /// Take over the value of an attribute; `None` takes the choice back. Attributes that are not choices of how chains run
    /// are checked, and change nothing.
    ///
    /// # Errors
    /// A sentence that names the value and what the attribute takes. The choice is then as if it were not made.
    pub fn set(&mut self, attribute: &str, value: Option<&str>) -> Result<(), String> {
        let Some(row) = row(attribute) else { return Ok(()) };
        let checked = match value {
            Some(text) => row
                .check(text)
                .map_err(|expected| format!("{attribute}=\"{text}\" is not used: it takes {expected}.")),
            None => Ok(()),
        };
        let value = value.filter(|_| checked.is_ok()).map(str::trim);
        fn number<T: FromStr>(value: Option<&str>) -> Option<T> {
            value.and_then(|v| v.parse().ok())
        }
        match attribute {
            "src" => self.src = value.filter(|v| !v.is_empty()).map(String::from),
            "view" => self.view = value.and_then(ViewKind::from_word),
            "chains" => self.chains = number(value),
            "rate" => self.rate = number(value),
            "step-size" => self.step_size = number(value),
            "noise" => self.noise = number(value),
            "start" => self.start = value.and_then(Origin::from_words),
            "sampler" => self.sampler = value.and_then(Method::from_word),
            "chain" => self.chain = number(value),
            "overlay" => {
                self.overlay =
                    value.map(|words| words.split_whitespace().filter_map(Overlay::from_word).collect())
            }
            "corners" => self.corners = value.and_then(Corners::from_word),
            "walk" => self.walk = value.and_then(walk::from_words),
            "subject" => self.subject = value.and_then(Subject::from_word),
            "example" => self.example = number(value),
            "mask" => self.mask = value.and_then(Mask::from_word),
            "fill" => self.fill = value.and_then(Fill::from_word),
            "seed" => self.seed = number(value),
            "device" => self.device = value.and_then(DeviceChoice::from_word),
            _ => {}
        }
        checked
    }

    /// The value of an attribute as it would be written; `None` where the choice is not made.
    pub fn get(&self, attribute: &str) -> Option<String> {
        match attribute {
            "src" => self.src.clone(),
            "view" => self.view.map(|v| v.word().into()),
            "chains" => self.chains.map(|v| v.to_string()),
            "rate" => self.rate.map(|v| v.to_string()),
            "step-size" => self.step_size.map(|v| v.to_string()),
            "noise" => self.noise.map(|v| v.to_string()),
            "start" => self.start.as_deref().map(Origin::words),
            "sampler" => self.sampler.map(|v| v.word().into()),
            "chain" => self.chain.map(|v| v.to_string()),
            "overlay" => {
                let words = |all: &Vec<Overlay>| {
                    all.iter().map(|overlay| overlay.word()).collect::<Vec<_>>().join(" ")
                };
                self.overlay.as_ref().map(words)
            }
            "corners" => self.corners.map(|v| v.word().into()),
            "walk" => self.walk.map(walk::words),
            "subject" => self.subject.map(|v| v.word().into()),
            "example" => self.example.map(|v| v.to_string()),
            "mask" => self.mask.as_ref().map(Mask::word),
            "fill" => self.fill.map(|v| v.word().into()),
            "seed" => self.seed.map(|v| v.to_string()),
            "device" => self.device.map(|v| v.word().into()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
