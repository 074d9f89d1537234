//! One chain, large, with its way: frames of the film to scrub through, its energy, and how far it has come.

use super::Scene;
use super::panel::{Panel, draw_axes, draw_data};
use crate::dom;
use crate::explain::{count, readable};
use crate::facts::Facts;
use crate::film::{Film, Frame, evenly};
use crate::paint::{ImageGrid, Scatter};
use crate::problem::Problem;
use crate::ui::Refs;
use dual_mcmc::jobs::States;
use web_sys::{CanvasRenderingContext2d, HtmlInputElement};

/// Most frames on the strip, and the least width of one in CSS pixels.
const MOST: usize = 12;
const LEAST: usize = 44;

/// What a look at a frame of one chain has told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// The chain, from 0.
    pub chain: usize,
    /// The step of the frame.
    pub step: u32,
    /// The chain's energy there, where the model has one.
    pub energy: Option<f32>,
    /// Euclidean distance from where the chain started.
    pub distance: f32,
}

/// The panels of one chain.
pub struct CloseUp {
    large: Panel,
    strip: Option<Panel>,
    /// The frames on the strip, as they lie there, with their steps.
    shown: Option<(ImageGrid, Vec<u32>)>,
}

/// The state of one chain in a frame.
fn state<'a>(frame: &'a Frame, facts: &Facts, chain: usize) -> &'a [f32] {
    frame.states.get(chain * facts.len()..(chain + 1) * facts.len()).unwrap_or_default()
}

/// Euclidean distance of two states.
pub fn distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt() as f32
}

impl CloseUp {
    /// Open it under a view.
    ///
    /// # Errors
    /// If the browser has no canvas to give.
    pub fn open(refs: &Refs, facts: &Facts) -> Result<CloseUp, Problem> {
        let plane = facts.plane();
        refs.show("close-up", true);
        refs.show("film-panel", !plane);
        let strip = if plane { None } else { Some(Panel::open(refs, "film-panel", None, false)?) };
        Ok(CloseUp { large: Panel::open(refs, "close-panel", None, plane)?, strip, shown: None })
    }

    /// Draw the chosen chain as it is in the frame that is shown.
    ///
    /// # Errors
    /// If the browser has no memory for the pictures.
    pub fn draw(&mut self, scene: &Scene, refs: &Refs) -> Result<(), Problem> {
        let Some(chain) = scene.chosen else { return Ok(()) };
        let Some(frame) = scene.film.at(scene.scrub) else {
            let words = "There are too many chains for their ways to be kept: choose fewer.";
            refs.set_text("close-caption", words);
            return Ok(());
        };
        let now = state(frame, scene.facts, chain);
        if let Some(ground) = scene.ground {
            if let Some((context, side)) = self.large.clear_ground() {
                draw_data(&context, side, &ground.bounds, &ground.data, scene.theme);
                draw_axes(&context, side, &ground.bounds, scene.theme);
                draw_way(&context, side, scene, chain, frame.step);
            }
            let scatter = Scatter {
                bounds: ground.bounds,
                canvas: self.large.width(),
                radius: 5.0 * dom::pixel_ratio() as f32,
                colour: scene.theme.particle(1.0),
                chosen: None,
                first: 0,
                chains: 1,
            };
            self.large.canvas.draw_points(&scatter, &States::Memory(now))?;
        } else {
            let grid = ImageGrid::new(&scene.facts.shape, 1, self.large.width());
            self.large.canvas.draw_images(&grid, &States::Memory(now))?;
            self.draw_strip(scene, chain, frame.step)?;
        }
        self.describe(scene, refs, chain, frame);
        Ok(())
    }

    fn draw_strip(&mut self, scene: &Scene, chain: usize, step: u32) -> Result<(), Problem> {
        let Some(strip) = &mut self.strip else { return Ok(()) };
        let frames: Vec<&Frame> = scene.film.frames().collect();
        let width = strip.width();
        let most = (width / (LEAST as f64 * dom::pixel_ratio()) as usize).clamp(2, MOST);
        let picked: Vec<&Frame> = evenly(frames.len(), most).into_iter().map(|i| frames[i]).collect();
        let states: Vec<f32> =
            picked.iter().flat_map(|frame| state(frame, scene.facts, chain)).copied().collect();
        // As wide from the first frame on as when there are all.
        let columns = if scene.facts.image() { most } else { 1 };
        let grid = ImageGrid::in_columns(&scene.facts.shape, picked.len(), width, columns);
        strip.canvas.draw_images(&grid, &States::Memory(&states))?;
        let steps: Vec<u32> = picked.iter().map(|frame| frame.step).collect();
        strip.frame(&grid, steps.iter().rposition(|&at| at <= step));
        strip.describe(&format!("Its way: {} from the start to now", count(steps.len(), "picture")));
        self.shown = Some((grid, steps));
        Ok(())
    }

    fn describe(&self, scene: &Scene, refs: &Refs, chain: usize, frame: &Frame) {
        let look = scene.look.filter(|look| (look.chain, look.step) == (chain, frame.step));
        let energy = look.and_then(|look| look.energy);
        let energy = energy.map(|energy| format!(", energy {}", readable(energy))).unwrap_or_default();
        let far =
            look.map(|look| format!(", {} from its start", readable(look.distance))).unwrap_or_default();
        let at = match scene.ground {
            Some(_) => {
                let place = state(frame, scene.facts, chain);
                format!(" at ({})", place.iter().map(|v| readable(*v)).collect::<Vec<_>>().join(", "))
            }
            None => String::new(),
        };
        let words = match frame.step {
            0 => format!("Chain {} where it started{at}{energy}", chain + 1),
            n => format!("Chain {} after {}{at}{energy}{far}", chain + 1, count(n as usize, "step")),
        };
        self.large.describe(&words);
        refs.set_text("close-caption", &words);
        show_slider(scene.film, frame.step, refs);
    }

    /// The step of the frame at a place of the strip, in shares of it.
    pub fn step_at(&self, x: f64, y: f64) -> Option<u32> {
        let (grid, steps) = self.shown.as_ref()?;
        steps.get(grid.chain_at(x, y)?).copied()
    }
}

/// Set the slider to the frame of a step.
fn show_slider(film: &Film, step: u32, refs: &Refs) {
    let Some(slider) = refs.find::<HtmlInputElement>("film") else { return };
    let frames = film.frames().count();
    let place = film.frames().position(|frame| frame.step == step).unwrap_or(0);
    slider.set_max(&frames.saturating_sub(1).to_string());
    slider.set_value(&place.to_string());
    slider.set_disabled(frames < 2);
    let newest = film.at(None).map_or(0, |frame| frame.step);
    let words = format!("step {step} of {newest}");
    let _ = slider.set_attribute("aria-valuetext", &words);
    refs.set_text("film-value", &words);
}

/// The way of a chain up to a step.
fn draw_way(context: &CanvasRenderingContext2d, side: f64, scene: &Scene, chain: usize, step: u32) {
    let Some(ground) = scene.ground else { return };
    context.set_stroke_style_str(&scene.theme.chosen);
    context.set_line_width(1.2 * dom::pixel_ratio());
    context.begin_path();
    for frame in scene.film.frames().take_while(|frame| frame.step <= step) {
        if let [x, y] = *state(frame, scene.facts, chain) {
            let [x, y] = ground.bounds.place(&[x, y]).map(|share| f64::from(share) * side);
            context.line_to(x, y);
        }
    }
    context.stroke();
}
