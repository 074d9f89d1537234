//! The generator's proposals, or noise, beside what the chains have made of them.

use super::panel::{Panel, blank, draw_axes, draw_data};
use super::{Ground, Scene};
use crate::dom;
use crate::engine::Graphics;
use crate::explain::count;
use crate::facts::Facts;
use crate::paint::{ImageGrid, Scatter};
use crate::problem::Problem;
use crate::ui::Refs;
use std::rc::Rc;
use web_sys::HtmlCanvasElement;

/// Pixels between the two panels of a picture.
const BETWEEN: u32 = 16;

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
    pub fn open(refs: &Refs, graphics: Option<&Rc<Graphics>>, facts: &Facts) -> Result<Sample, Problem> {
        Ok(Sample {
            start: Panel::open(refs, "start-panel", graphics, facts.plane())?,
            refined: Panel::open(refs, "refined-panel", graphics, facts.plane())?,
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
        let grid = self.layout(scene);
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
        let scatter = self.scatter(scene, ground);
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

    fn layout(&self, scene: &Scene) -> ImageGrid {
        ImageGrid::new(&scene.facts.shape, scene.chains, self.refined.width())
    }

    fn scatter(&self, scene: &Scene, ground: &Ground) -> Scatter {
        Scatter {
            bounds: ground.bounds,
            canvas: self.refined.width(),
            radius: Scatter::radius_for(scene.chains) * 0.8 * dom::pixel_ratio() as f32,
            colour: scene.theme.particle(0.9),
            chosen: scene.chosen,
        }
    }

    /// The view as a picture: the starts, and beside them the chains at `states`.
    ///
    /// # Errors
    /// If the browser has no canvas to give.
    pub fn picture(
        &self,
        scene: &Scene,
        starts: &[f32],
        states: &[f32],
    ) -> Result<HtmlCanvasElement, Problem> {
        let panel = |panel: &Panel, states: &[f32]| match scene.ground {
            Some(ground) => {
                let scatter = self.scatter(scene, ground);
                panel.picture(&scatter.paint(states), [scatter.canvas; 2])
            }
            None => {
                let grid = self.layout(scene);
                panel.picture(&grid.paint(states), grid.canvas())
            }
        };
        let (left, right) = (panel(&self.start, starts)?, panel(&self.refined, states)?);
        let [width, height] = [left.width(), left.height()];
        let (picture, context) = blank([2 * width + BETWEEN, height])?;
        for (layer, x) in [(left, 0), (right, width + BETWEEN)] {
            let _ = context.draw_image_with_html_canvas_element(&layer, x.into(), 0.0);
        }
        Ok(picture)
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
