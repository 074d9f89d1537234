//! Chains of the plane on the energy they descend.

use super::Scene;
use super::panel::{Panel, draw_axes, draw_data};
use crate::engine::Graphics;
use crate::explain::{count, readable};
use crate::heat::{Bounds, Heat};
use crate::paint::Scatter;
use crate::problem::Problem;
use crate::ui::{Refs, Theme};
use crate::{dom, draw};
use std::rc::Rc;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

/// What lies under the chains of a model of the plane.
pub struct Ground {
    /// The square shown.
    pub bounds: Bounds,
    /// Points of the data set, `[n, 2]`, where it is one that the page knows.
    pub data: Vec<f32>,
    /// The energy, where the model has one.
    pub heat: Option<Heat>,
}

/// The view.
pub struct Landscape {
    panel: Panel,
}

impl Landscape {
    /// Open the view.
    ///
    /// # Errors
    /// If the browser has no canvas to give.
    pub fn open(refs: &Refs, graphics: Option<&Rc<Graphics>>) -> Result<Landscape, Problem> {
        Ok(Landscape { panel: Panel::open(refs, "landscape-panel", graphics, true)? })
    }

    /// Draw the chains, and the map under them if it must be drawn `anew`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn draw(&mut self, scene: &Scene, refs: &Refs, anew: bool) -> Result<(), Problem> {
        let Some(ground) = scene.ground else { return Ok(()) };
        if anew {
            if let Some((context, side)) = self.panel.clear_ground() {
                if let Some(heat) = &ground.heat {
                    draw_heat(&context, side, heat, scene.theme);
                }
                draw_data(&context, side, &ground.bounds, &ground.data, scene.theme);
                draw_axes(&context, side, &ground.bounds, scene.theme);
            }
            let range =
                ground.heat.as_ref().map(|h| format!("{} to {} and more", readable(h.low), readable(h.high)));
            refs.set_text("heat-range", &range.unwrap_or_default());
            refs.show("data-key", !ground.data.is_empty());
        }
        self.panel.describe(&format!(
            "Map of the energy over the plane, blue where it is low, with {} as dots after {}",
            count(scene.chains, "chain"),
            count(scene.engine.steps() as usize, "step"),
        ));
        self.panel.canvas.draw_points(&self.scatter(scene, ground), &scene.engine.current())
    }

    fn scatter(&self, scene: &Scene, ground: &Ground) -> Scatter {
        Scatter {
            bounds: ground.bounds,
            canvas: self.panel.width(),
            radius: Scatter::radius_for(scene.chains) * dom::pixel_ratio() as f32,
            colour: scene.theme.particle(0.9),
            chosen: scene.chosen,
            first: 0,
            chains: scene.chains,
        }
    }

    /// The view as a picture, with the chains at `states`.
    ///
    /// # Errors
    /// If the browser has no canvas to give.
    pub fn picture(&self, scene: &Scene, states: &[f32]) -> Result<HtmlCanvasElement, Problem> {
        let Some(ground) = scene.ground else { return self.panel.picture(&[], [0; 2]) };
        let scatter = self.scatter(scene, ground);
        self.panel.picture(&scatter.paint(states), [scatter.canvas; 2])
    }
}

fn draw_heat(context: &CanvasRenderingContext2d, side: f64, heat: &Heat, theme: &Theme) {
    let pixels = side as usize;
    // Out of memory for a picture of the page's own width, there is nothing better to show than no map.
    let _ = draw::put(context, &heat.paint(pixels, &theme.heat), [pixels as u32; 2]);
    context.set_stroke_style_str(&theme.contour);
    context.set_line_width(0.8 * dom::pixel_ratio());
    for (i, level) in [0.1, 0.25, 0.45, 0.7].into_iter().enumerate() {
        context.set_global_alpha(0.55 - 0.1 * i as f64);
        context.begin_path();
        for [x0, y0, x1, y1] in heat.contour(level) {
            context.move_to(f64::from(x0) * side, f64::from(y0) * side);
            context.line_to(f64::from(x1) * side, f64::from(y1) * side);
        }
        context.stroke();
    }
    context.set_global_alpha(1.0);
}
