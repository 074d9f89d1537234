//! The two ways to look at chains.

mod landscape;
mod panel;
mod sample;

pub use landscape::{Ground, Landscape};
pub use sample::Sample;

use crate::dom;
use crate::engine::{Device, Engine};
use crate::problem::Problem;
use crate::state::{Facts, ViewKind};
use crate::theme::Theme;
use dual_mcmc::gpu::Gpu;

/// What a view draws from.
pub struct Scene<'a> {
    /// The chains.
    pub engine: &'a Engine,
    /// What their model is.
    pub facts: &'a Facts,
    /// The plane's background, for models of the plane.
    pub ground: Option<&'a Ground>,
    /// How many chains there are.
    pub chains: usize,
    /// The chain set off from the others.
    pub chosen: Option<usize>,
    /// The colours.
    pub theme: &'a Theme,
}

/// The view that is open.
pub enum View {
    /// Starts beside refined samples.
    Sample(Sample),
    /// Chains on the energy.
    Landscape(Landscape),
}

impl View {
    /// Open a view, with canvases for the device that `engine` runs on.
    ///
    /// # Errors
    /// If the browser has no canvas to give.
    pub fn open(kind: ViewKind, device: &Device, facts: &Facts) -> Result<View, Problem> {
        // A model without an energy has its few samples in memory, whatever the device.
        let gpu: Option<&Gpu> = match device {
            Device::Gpu(gpu, _) if facts.energy => Some(gpu),
            _ => None,
        };
        dom::show("landscape", kind == ViewKind::Landscape);
        dom::show("sample", kind == ViewKind::Sample);
        Ok(match kind {
            ViewKind::Landscape => View::Landscape(Landscape::open(gpu)?),
            ViewKind::Sample => View::Sample(Sample::open(gpu, facts)?),
        })
    }

    /// Which view it is.
    pub fn kind(&self) -> ViewKind {
        match self {
            View::Sample(_) => ViewKind::Sample,
            View::Landscape(_) => ViewKind::Landscape,
        }
    }

    /// Draw the chains as they are. `anew` also redraws what does not move: after a start, a change
    /// of size or of colours.
    ///
    /// # Errors
    /// If the device failed.
    pub fn draw(&mut self, scene: &Scene, anew: bool) -> Result<(), Problem> {
        match self {
            View::Sample(view) => view.draw(scene, anew),
            View::Landscape(view) => view.draw(scene, anew),
        }
    }

    /// The chain at a place of a panel, in shares of it.
    pub fn chain_at(&self, x: f64, y: f64) -> Option<usize> {
        match self {
            View::Sample(view) => view.chain_at(x, y),
            View::Landscape(_) => None,
        }
    }

    /// Chains in a row, for moving by keys.
    pub fn columns(&self) -> usize {
        match self {
            View::Sample(view) => view.columns(),
            View::Landscape(_) => 1,
        }
    }
}
