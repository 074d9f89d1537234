//! The generator's proposals, or noise, beside what the chains have made of them.

use super::Scene;
use super::panel::{Panel, draw_axes, draw_data};
use crate::dom;
use crate::draw::{ImageGrid, Scatter};
use crate::explain::count;
use crate::problem::Problem;
use crate::state::Facts;
use dual_mcmc::gpu::Gpu;

/// The view: two panels.
pub struct Sample {
    start: Panel,
    refined: Panel,
    grid: Option<ImageGrid>,
}

impl Sample {
    /// Open the view.
    ///
    /// # Errors
    /// If the browser has no canvas to give.
    pub fn open(gpu: Option<&Gpu>, facts: &Facts) -> Result<Sample, Problem> {
        Ok(Sample {
            start: Panel::open("start-panel", gpu, facts.plane())?,
            refined: Panel::open("refined-panel", gpu, facts.plane())?,
            grid: None,
        })
    }

    /// Draw the chains, and their starts if they must be drawn `anew`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn draw(&mut self, scene: &Scene, anew: bool) -> Result<(), Problem> {
        let steps = count(scene.engine.steps() as usize, "step");
        let things = if scene.facts.image() { "images" } else { "samples" };
        self.start.describe(&format!("{} where their chains start", count(scene.chains, "sample")));
        self.refined.describe(&format!("The same {things} after {steps}"));
        match scene.ground {
            Some(_) => self.draw_points(scene, anew),
            None => self.draw_images(scene, anew),
        }
    }

    fn draw_images(&mut self, scene: &Scene, anew: bool) -> Result<(), Problem> {
        let grid = ImageGrid::new(&scene.facts.shape, scene.chains, self.refined.width());
        self.grid = Some(grid);
        if anew {
            self.start.canvas.draw_images(&grid, &scene.engine.beginning())?;
            self.start.frame(&grid, scene.chosen);
            self.refined.frame(&grid, scene.chosen);
        }
        self.refined.canvas.draw_images(&grid, &scene.engine.current())
    }

    fn draw_points(&mut self, scene: &Scene, anew: bool) -> Result<(), Problem> {
        let Some(ground) = scene.ground else { return Ok(()) };
        let scatter = Scatter {
            bounds: ground.bounds,
            canvas: self.refined.width(),
            radius: Scatter::radius_for(scene.chains) * 0.8 * dom::pixel_ratio() as f32,
            colour: scene.theme.particle(0.9),
            chosen: scene.chosen,
        };
        if anew {
            for panel in [&self.start, &self.refined] {
                if let Some((context, side)) = panel.clear_ground() {
                    draw_data(&context, side, &ground.bounds, &ground.data, scene.theme);
                    draw_axes(&context, side, &ground.bounds, scene.theme);
                }
            }
            self.start.canvas.draw_points(&scatter, scene.chains, &scene.engine.beginning())?;
        }
        self.refined.canvas.draw_points(&scatter, scene.chains, &scene.engine.current())
    }

    /// The chain whose image lies at a place of a panel, in shares of it.
    pub fn chain_at(&self, x: f64, y: f64) -> Option<usize> {
        self.grid.as_ref().and_then(|grid| grid.chain_at(x, y))
    }

    /// Images in a row.
    pub fn columns(&self) -> usize {
        self.grid.as_ref().map_or(1, |grid| grid.columns)
    }
}
