//! The ways to look at chains.

mod close_up;
mod energy;
mod landscape;
mod panel;
mod reconstruct;
mod sample;

pub use close_up::{CloseUp, Look, distance};
pub use energy::{Energy, Slope};
pub use landscape::{Ground, Landscape};
pub use reconstruct::{LATENTS, Reconstruct};
pub use sample::{PANELS as SAMPLE_PANELS, Sample};

use crate::choices::{Corners, Origin, Overlay, Subject, ViewKind};
use crate::engine::{Device, Engine, Sight};
use crate::facts::Facts;
use crate::film::Film;
use crate::heat::Heat;
use crate::problem::Problem;
use crate::settings::Settings;
use crate::trails::Trails;
use crate::ui::{Refs, Theme};
use dual_mcmc::model::Histogram;
use web_sys::HtmlCanvasElement;

/// What a view draws from.
pub struct Scene<'a> {
    /// The chains.
    pub engine: &'a Engine,
    /// What their model is.
    pub facts: &'a Facts,
    /// The plane's background, for models of the plane.
    pub ground: Option<&'a Ground>,
    /// The sample that is reconstructed.
    pub sight: Option<&'a Sight>,
    /// The held-out examples in the model's file, `[n, data]`, and which of them it is.
    pub examples: (&'a [f32], Option<usize>),
    /// Whether it is a picture of the reader's own; else what it is.
    pub own: bool,
    /// Whether the examples are the reader's own.
    pub own_examples: bool,
    /// As `own`.
    pub subject: Subject,
    /// Its energy and gradient.
    pub slope: Option<&'a Slope>,
    /// Histograms of energies in the model's file.
    pub histograms: &'a [Histogram],
    /// Where the keys paint.
    pub cursor: Option<[usize; 2]>,
    /// What the corners of a plane of latents are, where the chains start on one.
    pub corners: Option<Corners>,
    /// What a landscape shows beside energy, data and chains.
    pub overlays: &'a [Overlay],
    /// Where its chains have been.
    pub trails: &'a Trails,
    /// Where the x-chains start, as many at each place.
    pub starts: &'a [Origin],
    /// How many chains there are.
    pub chains: usize,
    /// How many of them start at the encoder's guess.
    pub encoded: usize,
    /// Their energies, or squared errors, now.
    pub figures: &'a [f32],
    /// The chain set off from the others.
    pub chosen: Option<usize>,
    /// The states of the run as it went, and the step that it has been scrubbed back to.
    pub film: &'a Film,
    /// As `film`.
    pub scrub: Option<u32>,
    /// The latents of z-chains, `[chains, 2]`, and the potential of their posterior, where latents are points of the plane.
    pub latents: &'a [f32],
    /// As `latents`.
    pub posterior: Option<&'a Heat>,
    /// What the frame that is shown has told of the chosen chain.
    pub look: Option<&'a Look>,
    /// The colours.
    pub theme: &'a Theme,
}

impl Scene<'_> {
    /// How many chains start at each place.
    pub fn per_start(&self) -> usize {
        self.chains / self.starts.len().max(1)
    }

    /// What the view is about, in words.
    pub fn subject(&self) -> String {
        match (self.own, self.subject, self.examples.1) {
            (true, ..) => "Your own picture".into(),
            (_, Subject::Example, Some(example)) if self.own_examples => {
                format!("Your sample {}", example + 1)
            }
            (_, Subject::Example, Some(example)) => format!("Held-out example {}", example + 1),
            (_, Subject::Noise, _) => "Noise".into(),
            (_, Subject::Tone, _) => "One value everywhere".into(),
            _ => "A sample of the generator’s own".into(),
        }
    }
}

/// The view that is open.
pub enum View {
    /// Starts beside refined samples, which may lie on a plane of latents.
    Sample(Sample, ViewKind),
    /// Chains on the energy.
    Landscape(Landscape),
    /// A sample and what is made of it.
    Reconstruct(Box<Reconstruct>),
    /// A sample and its energy.
    Energy(Energy),
}

impl View {
    /// Open a view in a figure, with canvases for the device that the chains run on.
    ///
    /// # Errors
    /// If the browser has no canvas to give.
    pub fn open(settings: &Settings, refs: &Refs, device: &Device, facts: &Facts) -> Result<View, Problem> {
        let kind = settings.view;
        // A model without an energy has its few samples in memory, whatever the device.
        let graphics = match device {
            Device::Gpu(graphics) if facts.energy => Some(graphics),
            _ => None,
        };
        // A plane of latents is shown where samples are.
        let place = if kind == ViewKind::Latent { ViewKind::Sample } else { kind };
        for view in ViewKind::ALL {
            refs.show(view.word(), *view == place);
        }
        Ok(match kind {
            ViewKind::Energy => View::Energy(Energy::open(refs, graphics, facts)?),
            ViewKind::Reconstruct => View::Reconstruct(Box::new(Reconstruct::open(refs, facts)?)),
            ViewKind::Landscape => View::Landscape(Landscape::open(refs, graphics)?),
            ViewKind::Sample | ViewKind::Latent => {
                View::Sample(Sample::open(refs, graphics, facts, settings.starts.len())?, kind)
            }
        })
    }

    /// Which view it is.
    pub fn kind(&self) -> ViewKind {
        match self {
            View::Sample(_, kind) => *kind,
            View::Landscape(_) => ViewKind::Landscape,
            View::Reconstruct(_) => ViewKind::Reconstruct,
            View::Energy(_) => ViewKind::Energy,
        }
    }

    /// Draw the chains as they are. `anew` also redraws what does not move: after a start, a change
    /// of size or of colours.
    ///
    /// # Errors
    /// If the device failed.
    pub fn draw(&mut self, scene: &Scene, refs: &Refs, anew: bool) -> Result<(), Problem> {
        match self {
            View::Sample(view, _) => view.draw(scene, refs, anew),
            View::Landscape(view) => view.draw(scene, refs, anew),
            View::Reconstruct(view) => view.draw(scene, refs, anew),
            View::Energy(view) => view.draw(scene, refs, anew),
        }
    }

    /// The view as a picture on a canvas of its own, of chains that started at `starts` and are at `states`.
    ///
    /// # Errors
    /// If the browser has no canvas to give.
    pub fn picture(
        &self,
        scene: &Scene,
        starts: &[f32],
        states: &[f32],
    ) -> Result<HtmlCanvasElement, Problem> {
        match self {
            View::Sample(view, _) => view.picture(scene, starts, states),
            View::Landscape(view) => view.picture(scene, states),
            View::Reconstruct(view) => view.picture(scene, starts, states),
            View::Energy(view) => view.picture(scene, starts, states),
        }
    }

    /// The chain at a place of a panel in this row, in shares of it.
    pub fn chain_at(&self, row: usize, x: f64, y: f64) -> Option<usize> {
        match self {
            View::Sample(view, _) => view.chain_at(row, x, y),
            _ => None,
        }
    }

    /// The point of the plane at a place of the landscape, in shares of it.
    pub fn point_at(&self, scene: &Scene, x: f64, y: f64) -> Option<[f32; 2]> {
        match self {
            View::Landscape(view) => view.point_at(scene, x, y),
            _ => None,
        }
    }

    /// The pixel at a place of the picture that is reconstructed, in shares of it.
    pub fn pixel_at(&self, x: f64, y: f64) -> Option<[usize; 2]> {
        match self {
            View::Reconstruct(view) => view.pixel_at(x, y),
            _ => None,
        }
    }

    /// The example at a place of the strip of examples, in shares of it.
    pub fn example_at(&self, x: f64, y: f64) -> Option<usize> {
        match self {
            View::Reconstruct(view) => view.example_at(x, y),
            _ => None,
        }
    }

    /// Chains in a row, for moving by keys.
    pub fn columns(&self) -> usize {
        match self {
            View::Sample(view, _) => view.columns(),
            _ => 1,
        }
    }
}
