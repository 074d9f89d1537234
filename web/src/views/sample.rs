//! Where chains start, beside what they have made of it: a row for each start.

use super::panel::{BETWEEN, Panel, blank, draw_axes, draw_data};
use super::{Ground, Scene};
use crate::choices::{Corners, Origin};
use crate::dom;
use crate::engine::Graphics;
use crate::explain::{count, readable};
use crate::facts::Facts;
use crate::paint::{ImageGrid, Scatter};
use crate::problem::Problem;
use crate::ui::Refs;
use std::rc::Rc;
use web_sys::HtmlCanvasElement;

/// The panels and captions of each start, in the order of the rows.
pub const PANELS: [[&str; 2]; 3] = [
    ["start-panel", "refined-panel"],
    ["start-panel-2", "refined-panel-2"],
    ["start-panel-3", "refined-panel-3"],
];

/// The view: two panels for each start.
pub struct Sample {
    rows: Vec<[Panel; 2]>,
    grid: Option<ImageGrid>,
}

impl Sample {
    /// Open the view, for so many starts.
    ///
    /// # Errors
    /// If the browser has no canvas to give.
    pub fn open(
        refs: &Refs,
        graphics: Option<&Rc<Graphics>>,
        facts: &Facts,
        starts: usize,
    ) -> Result<Sample, Problem> {
        let mut rows = Vec::new();
        for (i, names) in PANELS.into_iter().enumerate() {
            for name in names {
                refs.show(&name.replace("panel", "figure"), i < starts);
            }
            if i < starts {
                let [start, refined] = names.map(|name| Panel::open(refs, name, graphics, facts.plane()));
                rows.push([start?, refined?]);
            }
        }
        Ok(Sample { rows, grid: None })
    }

    /// Draw the chains, and their starts if they must be drawn `anew`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn draw(&mut self, scene: &Scene, refs: &Refs, anew: bool) -> Result<(), Problem> {
        self.describe(scene, refs);
        match scene.ground {
            Some(ground) => self.draw_points(scene, ground, anew),
            None => self.draw_images(scene, anew),
        }
    }

    /// Say what the panels show.
    fn describe(&self, scene: &Scene, refs: &Refs) {
        let steps = scene.engine.steps();
        let things = if scene.facts.image() { "images" } else { "samples" };
        let each = scene.per_start();
        for (row, ([start, refined], names)) in self.rows.iter().zip(PANELS).enumerate() {
            let what = match (scene.corners, scene.starts.get(row)) {
                (Some(Corners::Prior), _) => {
                    format!("The generator’s {things} on a plane through three samples of the prior")
                }
                (Some(Corners::Examples), _) => {
                    format!(
                        "The generator’s {things} on a plane through the encoder’s guesses of three examples"
                    )
                }
                (None, Some(Origin::Generator) | None) => format!("The generator’s {things}"),
                (None, Some(Origin::Noise)) => "Noise".into(),
                (None, Some(Origin::Data)) => "Held-out data".into(),
            };
            let energies = scene.figures.get(row * each..(row + 1) * each).filter(|all| !all.is_empty());
            let energy = energies.filter(|_| self.rows.len() > 1).map_or(String::new(), |energies| {
                format!(", mean energy {}", readable(energies.iter().sum::<f32>() / each as f32))
            });
            let after = match (scene.facts.energy, steps) {
                (false, _) => "No energy to refine them".to_string(),
                (true, 0) => format!("The same, before the first step{energy}"),
                (true, n) => format!("The same after {}{energy}", count(n as usize, "step")),
            };
            start.describe(&format!("{what}, where {} start", count(each, "chain")));
            refined.describe(&after);
            for (name, words) in names.into_iter().zip([what, after]) {
                refs.set_text(&name.replace("panel", "caption"), &words);
            }
        }
    }

    fn draw_images(&mut self, scene: &Scene, anew: bool) -> Result<(), Problem> {
        for row in 0..self.rows.len() {
            let grid = self.layout(scene, row);
            let [start, refined] = &mut self.rows[row];
            if anew {
                let chosen = scene.chosen.and_then(|chain| chain.checked_sub(grid.first));
                start.canvas.draw_images(&grid, &scene.engine.beginning())?;
                start.frame(&grid, chosen);
                refined.frame(&grid, chosen);
            }
            refined.canvas.draw_images(&grid, &scene.engine.current())?;
            self.grid = Some(grid);
        }
        Ok(())
    }

    fn draw_points(&mut self, scene: &Scene, ground: &Ground, anew: bool) -> Result<(), Problem> {
        for row in 0..self.rows.len() {
            let scatter = self.scatter(scene, ground, row);
            let [start, refined] = &mut self.rows[row];
            if anew {
                for panel in [&*start, &*refined] {
                    if let Some((context, side)) = panel.clear_ground() {
                        draw_data(&context, side, &ground.bounds, &ground.data, scene.theme);
                        draw_axes(&context, side, &ground.bounds, scene.theme);
                    }
                }
                start.canvas.draw_points(&scatter, &scene.engine.beginning())?;
            }
            refined.canvas.draw_points(&scatter, &scene.engine.current())?;
        }
        Ok(())
    }

    fn layout(&self, scene: &Scene, row: usize) -> ImageGrid {
        let each = scene.per_start();
        ImageGrid { first: row * each, ..ImageGrid::new(&scene.facts.shape, each, self.rows[row][1].width()) }
    }

    fn scatter(&self, scene: &Scene, ground: &Ground, row: usize) -> Scatter {
        let each = scene.per_start();
        Scatter {
            bounds: ground.bounds,
            canvas: self.rows[row][1].width(),
            radius: Scatter::radius_for(each) * 0.8 * dom::pixel_ratio() as f32,
            colour: scene.theme.particle(0.9),
            chosen: scene.chosen,
            first: row * each,
            chains: each,
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
        let panel = |panel: &Panel, row: usize, states: &[f32]| match scene.ground {
            Some(ground) => {
                let scatter = self.scatter(scene, ground, row);
                panel.picture(&scatter.paint(states), [scatter.canvas; 2])
            }
            None => {
                let grid = self.layout(scene, row);
                panel.picture(&grid.paint(states), grid.canvas())
            }
        };
        let mut layers = Vec::new();
        let (mut width, mut height) = (0, 0);
        for (row, [start, refined]) in self.rows.iter().enumerate() {
            let (left, right) = (panel(start, row, starts)?, panel(refined, row, states)?);
            let top = if row == 0 { 0 } else { height + BETWEEN };
            (width, height) = (2 * left.width() + BETWEEN, top + left.height());
            let beside = left.width() + BETWEEN;
            layers.extend([(left, 0, top), (right, beside, top)]);
        }
        let (picture, context) = blank([width, height])?;
        for (layer, x, y) in layers {
            let _ = context.draw_image_with_html_canvas_element(&layer, x.into(), y.into());
        }
        Ok(picture)
    }

    /// The chain whose image lies at a place of a panel in this row, in shares of it.
    pub fn chain_at(&self, row: usize, x: f64, y: f64) -> Option<usize> {
        let grid = self.grid.as_ref()?;
        Some(row * grid.chains + grid.chain_at(x, y)?)
    }

    /// Images in a row.
    pub fn columns(&self) -> usize {
        self.grid.as_ref().map_or(1, |grid| grid.columns)
    }
}
