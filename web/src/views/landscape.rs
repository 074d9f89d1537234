//! Chains of the plane on the energy they descend.

use super::Scene;
use super::panel::{Panel, draw_axes, draw_data};
use crate::dom;
use crate::draw::Scatter;
use crate::explain::{count, readable};
use crate::heat::{Bounds, Heat};
use crate::problem::Problem;
use crate::theme::Theme;
use dual_mcmc::gpu::Gpu;
use wasm_bindgen::Clamped;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

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
    pub fn open(gpu: Option<&Gpu>) -> Result<Landscape, Problem> {
        Ok(Landscape { panel: Panel::open("landscape-panel", gpu, true)? })
    }

    /// Draw the chains, and the map under them if it must be drawn `anew`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn draw(&mut self, scene: &Scene, anew: bool) -> Result<(), Problem> {
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
            dom::set_text("heat-range", &range.unwrap_or_default());
            dom::show("data-key", !ground.data.is_empty());
        }
        let scatter = Scatter {
            bounds: ground.bounds,
            canvas: self.panel.width(),
            radius: Scatter::radius_for(scene.chains) * dom::pixel_ratio() as f32,
            colour: scene.theme.particle(0.9),
            chosen: scene.chosen,
        };
        self.panel.describe(&format!(
            "Map of the energy over the plane, blue where it is low, with {} as dots after {}",
            count(scene.chains, "chain"),
            count(scene.engine.steps() as usize, "step"),
        ));
        self.panel.canvas.draw_points(&scatter, scene.chains, &scene.engine.current())
    }
}

fn draw_heat(context: &CanvasRenderingContext2d, side: f64, heat: &Heat, theme: &Theme) {
    let n = heat.n as u32;
    let small = dom::create::<HtmlCanvasElement>("canvas");
    let colours = heat.colours(&theme.heat);
    let image = ImageData::new_with_u8_clamped_array_and_sh(Clamped(&colours), n, n);
    if let (Some(small), Ok(image)) = (small, image) {
        small.set_width(n);
        small.set_height(n);
        if let Some(small_context) = dom::context_2d(&small) {
            let _ = small_context.put_image_data(&image, 0.0, 0.0);
            let _ = context.draw_image_with_html_canvas_element_and_dw_and_dh(&small, 0.0, 0.0, side, side);
        }
    }
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
