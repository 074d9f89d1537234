//! Chains of the plane on the energy they descend.

use super::Scene;
use super::panel::{Panel, blank, draw_axes, draw_data};
use crate::choices::Overlay;
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
    /// Points with the energy's gradient there, `[x, y, slope, slope]`; empty until it is wanted.
    pub field: Vec<[f32; 4]>,
    /// The exact density, as its negative logarithm; none until it is wanted.
    pub density: Option<Heat>,
    /// Samples of the generator's, `[n, 2]`; empty until they are wanted.
    pub generated: Vec<f32>,
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
                let shows = |overlay| scene.overlays.contains(&overlay);
                if let Some(density) = ground.density.as_ref().filter(|_| shows(Overlay::Density)) {
                    context.set_stroke_style_str(&scene.theme.datum);
                    context.set_line_width(1.2 * dom::pixel_ratio());
                    contours(&context, side, density, &[0.12, 0.35, 0.7]);
                }
                if shows(Overlay::Generator) {
                    draw_dots(&context, side, &ground.bounds, &ground.generated, &scene.theme.mean);
                }
                if shows(Overlay::Field) {
                    draw_field(&context, side, &ground.bounds, &ground.field, scene.theme);
                }
                draw_axes(&context, side, &ground.bounds, scene.theme);
            }
            let range =
                ground.heat.as_ref().map(|h| format!("{} to {} and more", readable(h.low), readable(h.high)));
            refs.set_text("heat-range", &range.unwrap_or_default());
            refs.show("data-key", !ground.data.is_empty());
        }
        let trails = scene.overlays.contains(&Overlay::Trails) || scene.chosen.is_some();
        if (trails || anew)
            && let Some((context, side)) = self.panel.clear_under()
        {
            draw_trails(&context, side, &ground.bounds, scene);
        }
        for (name, overlay) in [
            ("field-key", Overlay::Field),
            ("density-key", Overlay::Density),
            ("generator-key", Overlay::Generator),
        ] {
            refs.show(name, scene.overlays.contains(&overlay));
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

    /// The point of the plane at a place of the panel, in shares of it.
    pub fn point_at(&self, scene: &Scene, x: f64, y: f64) -> Option<[f32; 2]> {
        let bounds = scene.ground?.bounds;
        let at = |share: f64| share as f32 * bounds.side;
        Some([bounds.low[0] + at(x), bounds.low[1] + at(1.0 - y)])
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

/// A map with its level lines.
pub fn draw_heat(context: &CanvasRenderingContext2d, side: f64, heat: &Heat, theme: &Theme) {
    // Out of memory for a picture, there is nothing better to show than no map.
    let _ = heat_picture(heat, theme)
        .map(|map| context.draw_image_with_html_canvas_element_and_dw_and_dh(&map, 0.0, 0.0, side, side));
    context.set_stroke_style_str(&theme.contour);
    context.set_line_width(0.8 * dom::pixel_ratio());
    contours(context, side, heat, &[0.1, 0.25, 0.45, 0.7]);
}

/// A map's colours, at two pixels for a cell; the browser smooths what it enlarges.
fn heat_picture(heat: &Heat, theme: &Theme) -> Result<HtmlCanvasElement, Problem> {
    let side = 2 * heat.cells();
    let (picture, context) = blank([side as u32; 2])?;
    draw::put(&context, &heat.paint(side, &theme.heat), [side as u32; 2])?;
    Ok(picture)
}

/// Level lines, the first ones strongest.
fn contours(context: &CanvasRenderingContext2d, side: f64, heat: &Heat, levels: &[f32]) {
    for (i, level) in levels.iter().enumerate() {
        context.set_global_alpha(0.55 - 0.1 * i as f64);
        context.begin_path();
        for [x0, y0, x1, y1] in heat.contour(*level) {
            context.move_to(f64::from(x0) * side, f64::from(y0) * side);
            context.line_to(f64::from(x1) * side, f64::from(y1) * side);
        }
        context.stroke();
    }
    context.set_global_alpha(1.0);
}

/// Points as small dots of this colour.
fn draw_dots(context: &CanvasRenderingContext2d, side: f64, bounds: &Bounds, points: &[f32], colour: &str) {
    let size = 2.2 * dom::pixel_ratio();
    context.set_fill_style_str(colour);
    for point in points.chunks_exact(2) {
        let [x, y] = bounds.place(point).map(|share| f64::from(share) * side);
        context.fill_rect(x - size / 2.0, y - size / 2.0, size, size);
    }
}

/// Arrows down the slope, longer where it is steeper, by the logarithm: slopes differ by powers of ten.
fn draw_field(
    context: &CanvasRenderingContext2d,
    side: f64,
    bounds: &Bounds,
    field: &[[f32; 4]],
    theme: &Theme,
) {
    let steepest = field.iter().map(|[_, _, u, v]| u.hypot(*v)).fold(f32::MIN_POSITIVE, f32::max);
    let cell = side / (field.len().max(1) as f64).sqrt();
    context.set_stroke_style_str(&theme.datum);
    context.set_line_width(dom::pixel_ratio());
    context.set_global_alpha(0.7);
    context.begin_path();
    for [x, y, u, v] in field {
        let steep = u.hypot(*v);
        if !(steep > 0.0 && steep.is_finite()) {
            continue;
        }
        let long = f64::from((1.0 + (steep / steepest).log10() / 3.0).clamp(0.08, 1.0)) * 0.8 * cell;
        let [from_x, from_y] = bounds.place(&[*x, *y]).map(|share| f64::from(share) * side);
        // Downhill; the picture's second axis points down.
        let (dx, dy) = (f64::from(-u / steep) * long, f64::from(v / steep) * long);
        let (to_x, to_y) = (from_x + dx / 2.0, from_y + dy / 2.0);
        context.move_to(from_x - dx / 2.0, from_y - dy / 2.0);
        context.line_to(to_x, to_y);
        for turn in [2.6f64, -2.6] {
            let (sin, cos) = turn.sin_cos();
            let head = 0.32;
            context.move_to(to_x, to_y);
            context.line_to(to_x + head * (dx * cos - dy * sin), to_y + head * (dx * sin + dy * cos));
        }
    }
    context.stroke();
    context.set_global_alpha(1.0);
}

/// Where the chains have been lately, and the chosen one since it was chosen.
fn draw_trails(context: &CanvasRenderingContext2d, side: f64, bounds: &Bounds, scene: &Scene) {
    let at = |point: [f32; 2]| bounds.place(&point).map(|share| f64::from(share) * side);
    if scene.overlays.contains(&Overlay::Trails) {
        context.set_stroke_style_str(&scene.theme.chosen);
        context.set_line_width(dom::pixel_ratio());
        let mut last = f32::NAN;
        for (from, to, age) in scene.trails.pieces() {
            // One path for all pieces of an age.
            if age != last {
                context.stroke();
                context.set_global_alpha(f64::from(0.45 * (1.0 - age)));
                context.begin_path();
                last = age;
            }
            let ([x0, y0], [x1, y1]) = (at(from), at(to));
            context.move_to(x0, y0);
            context.line_to(x1, y1);
        }
        context.stroke();
    }
    context.set_global_alpha(1.0);
    context.set_stroke_style_str(&scene.theme.datum);
    context.set_line_width(1.4 * dom::pixel_ratio());
    context.begin_path();
    for point in scene.trails.path() {
        let [x, y] = at(*point);
        context.line_to(x, y);
    }
    context.stroke();
}
