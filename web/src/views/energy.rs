//! A sample's energy among those of held-out data and of other kinds of samples, its slope, and a chain from it.

use super::Scene;
use super::panel::{Panel, draw_axes, draw_data, side_by_side};
use crate::dom;
use crate::engine::Graphics;
use crate::explain::{count, readable};
use crate::facts::Facts;
use crate::heat::ticks;
use crate::paint::{ImageGrid, Scatter};
use crate::problem::Problem;
use crate::rank;
use crate::ui::{Refs, Theme};
use dual_mcmc::jobs::States;
use dual_mcmc::model::Histogram;
use std::rc::Rc;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

/// Height of a row of the plot, and room for its labels and its numbers, in CSS pixels.
const ROW: f64 = 26.0;
const LABELS: f64 = 168.0;
const NUMBERS: f64 = 24.0;

/// The view: the sample, its slope, the chain, and the plot of histograms.
pub struct Energy {
    subject: Panel,
    slope: Panel,
    chain: Panel,
}

/// A sample's energy, and its gradient.
pub struct Slope {
    /// The energy.
    pub energy: f32,
    /// The gradient, `[data]`.
    pub gradient: Vec<f32>,
}

impl Energy {
    /// Open the view.
    ///
    /// # Errors
    /// If the browser has no canvas to give.
    pub fn open(refs: &Refs, graphics: Option<&Rc<Graphics>>, facts: &Facts) -> Result<Energy, Problem> {
        refs.show("slope-figure", !facts.plane());
        Ok(Energy {
            subject: Panel::open(refs, "subject-panel", None, facts.plane())?,
            slope: Panel::open(refs, "slope-panel", None, false)?,
            chain: Panel::open(refs, "chain-panel", graphics, facts.plane())?,
        })
    }

    /// Draw the chain, and what does not move if it must be drawn `anew`.
    ///
    /// # Errors
    /// If the device failed.
    pub fn draw(&mut self, scene: &Scene, refs: &Refs, anew: bool) -> Result<(), Problem> {
        let (Some(sight), Some(slope)) = (scene.sight, scene.slope) else { return Ok(()) };
        let steps = scene.engine.steps();
        if let Some(ground) = scene.ground {
            if anew {
                for panel in [&self.subject, &self.chain] {
                    if let Some((context, side)) = panel.clear_ground() {
                        draw_data(&context, side, &ground.bounds, &ground.data, scene.theme);
                        draw_axes(&context, side, &ground.bounds, scene.theme);
                    }
                }
                self.subject.canvas.draw_points(&dot(&self.subject, scene), &States::Memory(&sight.x))?;
            }
            let scatter = dot(&self.chain, scene);
            self.chain.canvas.draw_points(&scatter, &scene.engine.current())?;
        } else {
            if anew {
                self.subject.canvas.draw_images(&self.grid(scene), &States::Memory(&sight.x))?;
                let shown = downhill(&slope.gradient);
                self.slope.canvas.draw_images(&self.grid(scene), &States::Memory(&shown))?;
            }
            let grid = self.grid(scene);
            self.chain.canvas.draw_images(&grid, &scene.engine.current())?;
        }
        let now = scene.figures.first().copied().unwrap_or(slope.energy);
        if anew {
            let what = scene.subject();
            self.subject.describe(&what);
            refs.set_text("subject-caption", &what);
            let words = "What lowers its energy fastest: light where more, dark where less";
            self.slope.describe(words);
            refs.set_text("slope-caption", words);
            refs.set_text("rank", &rank::words(slope.energy, scene.histograms));
            let faults = rank::faults(scene.histograms);
            refs.set_text("faults", &faults.join(" "));
            refs.show("faults", !faults.is_empty());
        }
        let words = match steps {
            0 => format!("The chain from it, before its first step: energy {}", readable(now)),
            n => format!("The chain from it after {}: energy {}", count(n as usize, "step"), readable(now)),
        };
        self.chain.describe(&words);
        refs.set_text("chain-caption", &words);
        if let Some(canvas) = refs.find::<HtmlCanvasElement>("histogram-canvas") {
            plot(&canvas, scene.histograms, slope.energy, (steps > 0).then_some(now), scene.theme);
        }
        Ok(())
    }

    fn grid(&self, scene: &Scene) -> ImageGrid {
        ImageGrid::new(&scene.facts.shape, 1, self.subject.width())
    }

    /// The view as a picture, with the chain at `states`.
    ///
    /// # Errors
    /// If the browser has no canvas to give.
    pub fn picture(
        &self,
        scene: &Scene,
        starts: &[f32],
        states: &[f32],
    ) -> Result<HtmlCanvasElement, Problem> {
        let shown = scene.slope.map(|slope| downhill(&slope.gradient)).unwrap_or_default();
        let mut panels = vec![(&self.subject, starts), (&self.slope, &shown[..]), (&self.chain, states)];
        if scene.ground.is_some() {
            panels.remove(1);
        }
        let mut pictures = Vec::new();
        for (panel, values) in panels {
            pictures.push(if scene.ground.is_some() {
                let scatter = dot(panel, scene);
                panel.picture(&scatter.paint(values), [scatter.canvas; 2])?
            } else {
                let grid = self.grid(scene);
                panel.picture(&grid.paint(values), grid.canvas())?
            });
        }
        side_by_side(&pictures)
    }
}

/// The direction of steepest descent, scaled to [-1, 1].
fn downhill(gradient: &[f32]) -> Vec<f32> {
    let most = gradient.iter().fold(f32::MIN_POSITIVE, |most, g| most.max(g.abs()));
    gradient.iter().map(|g| -g / most).collect()
}

fn dot(panel: &Panel, scene: &Scene) -> Scatter {
    Scatter {
        bounds: scene.ground.map_or(crate::heat::Bounds::around(&[]), |ground| ground.bounds),
        canvas: panel.width(),
        radius: 4.5 * dom::pixel_ratio() as f32,
        colour: scene.theme.particle(0.95),
        chosen: None,
        first: 0,
        chains: 1,
    }
}

/// A row for each histogram, with lines where the sample's energy and the chain's are.
fn plot(canvas: &HtmlCanvasElement, histograms: &[Histogram], energy: f32, now: Option<f32>, theme: &Theme) {
    let height = ROW * histograms.len() as f64 + NUMBERS;
    let _ = canvas.style().set_property("height", &format!("{height}px"));
    let Some(context) = dom::context_2d(canvas) else { return };
    let (width, ratio) = (f64::from(canvas.client_width()), dom::pixel_ratio());
    if width < 100.0 || histograms.is_empty() {
        return;
    }
    let size = [(width * ratio) as u32, (height * ratio) as u32];
    if [canvas.width(), canvas.height()] != size {
        canvas.set_width(size[0]);
        canvas.set_height(size[1]);
    }
    let _ = context.set_transform(ratio, 0.0, 0.0, ratio, 0.0, 0.0);
    context.clear_rect(0.0, 0.0, width, height);
    let labels = LABELS.min(0.42 * width);
    let [low, high] = rank::span(histograms, Some(energy)).map(f64::from);
    let x = |e: f64| labels + ((e - low) / (high - low)).clamp(0.0, 1.0) * (width - labels - 6.0);

    context.set_font("12px system-ui, sans-serif");
    for (row, histogram) in histograms.iter().enumerate() {
        let base = ROW * (row + 1) as f64 - 3.0;
        context.set_fill_style_str(&theme.soft);
        context.set_text_align("right");
        let label = rank::kind(&histogram.name);
        let _ = context.fill_text_with_max_width(&label, labels - 10.0, base - 5.0, labels - 12.0);
        context.set_fill_style_str(&theme.rule);
        context.fill_rect(labels, base, width - labels - 6.0, 1.0);
        context.set_fill_style_str(if histogram.auroc.is_some() { &theme.line } else { &theme.mean });
        bars(&context, histogram, base, [low, high], &x);
    }
    axis(&context, [low, high], height, &x, theme);
    for (energy, colour, from) in
        now.map(|now| (now, &theme.soft, 0.0)).into_iter().chain([(energy, &theme.chosen, 0.0)])
    {
        context.set_fill_style_str(colour);
        context.fill_rect(x(f64::from(energy)) - 1.0, from, 2.0, height - NUMBERS + 2.0);
    }
    let words = format!(
        "Histograms of energies: {}; the sample’s energy is {}",
        histograms
            .iter()
            .map(|h| format!(
                "{} from {} to {}",
                rank::kind(&h.name),
                readable(h.range[0]),
                readable(h.range[1])
            ))
            .collect::<Vec<_>>()
            .join("; "),
        readable(energy)
    );
    let _ = canvas.set_attribute("aria-label", &words);
}

/// The bars of a histogram. What lies outside of the plot is a mark at its edge.
fn bars(
    context: &CanvasRenderingContext2d,
    histogram: &Histogram,
    base: f64,
    [low, high]: [f64; 2],
    x: &dyn Fn(f64) -> f64,
) {
    let [from, to] = histogram.range.map(f64::from);
    let bin = (to - from) / histogram.counts.len() as f64;
    let most = f64::from(histogram.counts.iter().copied().max().unwrap_or(1).max(1));
    for (i, count) in histogram.counts.iter().enumerate() {
        let (left, right) = (from + bin * i as f64, from + bin * (i + 1) as f64);
        if right < low || left > high {
            continue;
        }
        let tall = (ROW - 7.0) * f64::from(*count) / most;
        let (left, right) = (x(left), x(right));
        context.fill_rect(left, base - tall, (right - left).max(1.0), tall);
    }
    context.set_text_align("left");
    if from > high {
        context.set_text_align("right");
        let _ = context.fill_text(
            &format!("{} to {} →", readable(from as f32), readable(to as f32)),
            x(high),
            base - 5.0,
        );
    } else if to < low {
        let _ = context.fill_text(
            &format!("← {} to {}", readable(from as f32), readable(to as f32)),
            x(low) + 4.0,
            base - 5.0,
        );
    }
}

fn axis(
    context: &CanvasRenderingContext2d,
    [low, high]: [f64; 2],
    height: f64,
    x: &dyn Fn(f64) -> f64,
    theme: &Theme,
) {
    context.set_fill_style_str(&theme.soft);
    context.set_text_align("center");
    for tick in ticks(low as f32, high as f32, 5) {
        let at = x(f64::from(tick));
        context.fill_rect(at, height - NUMBERS, 1.0, 4.0);
        let _ = context.fill_text(&readable(tick), at, height - 6.0);
    }
    context.set_text_align("left");
}
