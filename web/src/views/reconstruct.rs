//! A sample beside what the generator makes of it: the encoder's guess, and samples of the posterior from that guess and from
//! the prior.

use super::Scene;
use super::landscape::draw_heat;
use super::panel::{Panel, draw_axes, draw_data, side_by_side};
use crate::dom;
use crate::explain::{count, readable};
use crate::facts::Facts;
use crate::heat::Bounds;
use crate::paint::{ImageGrid, Scatter};
use crate::problem::Problem;
use crate::ui::Refs;
use dual_mcmc::jobs::States;
use web_sys::HtmlCanvasElement;

/// The panels, in their order.
const PANELS: [&str; 4] = ["target-panel", "guess-panel", "encoder-panel", "prior-panel"];

/// The square of latents that is shown: nearly all of the prior.
pub const LATENTS: Bounds = Bounds { low: [-3.5; 2], side: 7.0 };

/// Examples in a row of the strip.
const IN_A_ROW: usize = 16;

/// The view: four panels, of which those of an encoder may be hidden, and a strip of examples.
pub struct Reconstruct {
    panels: [Panel; 4],
    /// The plane of latents, where they are points of one.
    latents: Option<Panel>,
    strip: Panel,
    target: ImageGrid,
    examples: Option<ImageGrid>,
}

/// What a panel shows.
struct Shown<'a> {
    states: &'a [f32],
    chains: usize,
}

impl Reconstruct {
    /// Open the view. Its few samples are drawn from memory, whatever the device.
    ///
    /// # Errors
    /// If the browser has no canvas to give.
    pub fn open(refs: &Refs, facts: &Facts) -> Result<Reconstruct, Problem> {
        let open = |name| Panel::open(refs, name, None, facts.plane());
        let [a, b, c, d] = PANELS;
        let panels = [open(a)?, open(b)?, open(c)?, open(d)?];
        for name in ["guess-figure", "encoder-figure"] {
            refs.show(name, facts.encoder);
        }
        refs.show("latent-figure", facts.latent == 2);
        let latents = match facts.latent {
            2 => Some(Panel::open(refs, "latent-panel", None, true)?),
            _ => None,
        };
        let strip = Panel::open(refs, "examples-panel", None, false)?;
        refs.show("examples-figure", facts.image() && facts.examples > 1);
        let target = ImageGrid::new(&facts.shape, 1, panels[0].width());
        Ok(Reconstruct { panels, latents, strip, target, examples: None })
    }

    /// What each panel shows of the chains' `starts` and `states`.
    fn shown<'a>(scene: &'a Scene, starts: &'a [f32], states: &'a [f32]) -> Option<[Shown<'a>; 4]> {
        let (sight, len) = (scene.sight?, scene.facts.len());
        let encoded = scene.encoded;
        let (of_encoder, of_prior) = states.split_at_checked(encoded * len)?;
        Some([
            Shown { states: &sight.x, chains: 1 },
            Shown { states: starts.get(..len)?, chains: 1 },
            Shown { states: of_encoder, chains: encoded },
            Shown { states: of_prior, chains: scene.chains - encoded },
        ])
    }

    /// Draw the chains, and what does not move if it must be drawn `anew`.
    ///
    /// # Errors
    /// If the browser has no memory for the pictures.
    pub fn draw(&mut self, scene: &Scene, refs: &Refs, anew: bool) -> Result<(), Problem> {
        let (States::Memory(starts), States::Memory(states)) =
            (scene.engine.beginning(), scene.engine.current())
        else {
            return Ok(());
        };
        let Some(shown) = Reconstruct::shown(scene, starts, states) else { return Ok(()) };
        for (i, Shown { states, chains }) in shown.into_iter().enumerate() {
            // The sample and the guess stay as they are.
            if chains == 0 || !anew && i < 2 {
                continue;
            }
            let panel = &mut self.panels[i];
            if let Some(ground) = scene.ground {
                if anew && let Some((context, side)) = panel.clear_ground() {
                    draw_data(&context, side, &ground.bounds, &ground.data, scene.theme);
                    draw_axes(&context, side, &ground.bounds, scene.theme);
                }
                panel.canvas.draw_points(&scatter(panel, scene, chains), &States::Memory(states))?;
            } else {
                let grid = ImageGrid::new(&scene.facts.shape, chains, panel.width());
                panel.canvas.draw_images(&grid, &States::Memory(states))?;
                if i == 0 {
                    self.target = grid;
                    cover(panel, scene, &grid);
                    let [width, height] = grid.size.map(|n| n as f64);
                    panel.mark(
                        scene
                            .cursor
                            .map(|[x, y]| [x as f64 / width, y as f64 / height, 1.0 / width, 1.0 / height]),
                    );
                }
            }
        }
        self.draw_latents(scene, anew)?;
        if anew {
            refs.set_text(
                "examples-caption",
                if scene.own_examples { "Your samples" } else { "Held-out examples" },
            );
            self.draw_strip(scene)?;
        }
        self.describe(scene, refs);
        Ok(())
    }

    /// Draw the posterior over the plane of latents, and the chains on it.
    fn draw_latents(&mut self, scene: &Scene, anew: bool) -> Result<(), Problem> {
        let (Some(panel), Some(posterior)) = (&mut self.latents, scene.posterior) else { return Ok(()) };
        if anew && let Some((context, side)) = panel.clear_ground() {
            draw_heat(&context, side, posterior, scene.theme);
            draw_axes(&context, side, &LATENTS, scene.theme);
        }
        let scatter = Scatter { bounds: LATENTS, first: 0, ..scatter(panel, scene, scene.chains) };
        panel.canvas.draw_points(&scatter, &States::Memory(scene.latents))?;
        panel.describe(&format!(
            "Plane of latents: blue where the posterior is high, with the latents of {} as dots after {}",
            count(scene.chains, "chain"),
            count(scene.engine.steps() as usize, "step"),
        ));
        Ok(())
    }

    /// Draw the examples that may be chosen.
    fn draw_strip(&mut self, scene: &Scene) -> Result<(), Problem> {
        let ((examples, chosen), count) = (scene.examples, scene.facts.examples);
        if !scene.facts.image() || count < 2 {
            return Ok(());
        }
        let columns = count.min(IN_A_ROW);
        let grid = ImageGrid::in_columns(&scene.facts.shape, count, self.strip.width(), columns);
        self.strip.canvas.draw_images(&grid, &States::Memory(examples))?;
        self.strip.frame(&grid, chosen);
        self.examples = Some(grid);
        Ok(())
    }

    /// Say what the panels show, with the errors of the chains.
    fn describe(&self, scene: &Scene, refs: &Refs) {
        let (steps, fills) = (scene.engine.steps(), scene.engine.fills());
        let after = match (steps, fills) {
            (0, false) => "before the first step".to_string(),
            (n, false) => format!("after {}", count(n as usize, "step")),
            (n, true) => {
                format!("whose hidden pixels the x-chain has filled in for {}", count(n as usize, "step"))
            }
        };
        let what = if fills { "energy" } else { "squared error" };
        let mean = |errors: &[f32]| match errors.len() {
            0 => String::new(),
            n => format!(", {what} {}", readable(errors.iter().sum::<f32>() / n as f32)),
        };
        let (of_encoder, of_prior) = scene.figures.split_at(scene.encoded.min(scene.figures.len()));
        let hidden = scene.sight.is_some_and(|sight| sight.mask.is_some());
        let what = scene.subject();
        let target = if hidden { format!("{what}; the shaded part is hidden from the chains") } else { what };
        let things = |n: usize| count(n, "sample");
        let texts = [
            target,
            "The encoder’s guess".into(),
            format!("{} of the posterior from the guess, {after}{}", things(scene.encoded), mean(of_encoder)),
            format!("{} from the prior, {after}{}", things(scene.chains - scene.encoded), mean(of_prior)),
        ];
        for ((panel, name), text) in self.panels.iter().zip(PANELS).zip(texts) {
            panel.describe(&text);
            refs.set_text(&name.replace("panel", "caption"), &text);
        }
    }

    /// The view as a picture, of chains that started at `starts` and are at `states`.
    ///
    /// # Errors
    /// If the browser has no canvas to give.
    pub fn picture(
        &self,
        scene: &Scene,
        starts: &[f32],
        states: &[f32],
    ) -> Result<HtmlCanvasElement, Problem> {
        let Some(shown) = Reconstruct::shown(scene, starts, states) else {
            return self.panels[0].picture(&[], [0; 2]);
        };
        let mut pictures = Vec::new();
        for (panel, Shown { states, chains }) in
            self.panels.iter().zip(shown).filter(|(_, shown)| shown.chains > 0)
        {
            pictures.push(if scene.ground.is_some() {
                let scatter = scatter(panel, scene, chains);
                panel.picture(&scatter.paint(states), [scatter.canvas; 2])?
            } else {
                let grid = ImageGrid::new(&scene.facts.shape, chains, panel.width());
                panel.picture(&grid.paint(states), grid.canvas())?
            });
        }
        side_by_side(&pictures)
    }

    /// The example at a place of the strip, in shares of it.
    pub fn example_at(&self, x: f64, y: f64) -> Option<usize> {
        self.examples.as_ref().and_then(|grid| grid.chain_at(x, y))
    }

    /// The pixel at a place of the first panel, in shares of it.
    pub fn pixel_at(&self, x: f64, y: f64) -> Option<[usize; 2]> {
        let inside = |share: f64| (0.0..1.0).contains(&share);
        let at = |share: f64, size: usize| (share * size as f64) as usize;
        (inside(x) && inside(y)).then(|| [at(x, self.target.size[0]), at(y, self.target.size[1])])
    }
}

fn scatter(panel: &Panel, scene: &Scene, chains: usize) -> Scatter {
    Scatter {
        bounds: scene.ground.map_or(crate::heat::Bounds::around(&[]), |ground| ground.bounds),
        canvas: panel.width(),
        radius: Scatter::radius_for(chains) * 1.4 * dom::pixel_ratio() as f32,
        colour: scene.theme.particle(0.9),
        chosen: None,
        first: 0,
        chains,
    }
}

/// Shade what is hidden of the sample.
fn cover(panel: &Panel, scene: &Scene, grid: &ImageGrid) {
    let Some(mask) = scene.sight.and_then(|sight| sight.mask.as_ref()) else { return };
    let Some(context) = dom::context_2d(panel.canvas.element()) else { return };
    let [width, height] = grid.size;
    let [x_scale, y_scale] = grid.scale.map(|scale| scale as f64);
    context.set_fill_style_str(&scene.theme.accent);
    context.set_global_alpha(0.8);
    for i in (0..width * height).filter(|&i| mask[i] == 0.0) {
        let [x, y] = [i % width, i / width].map(|v| v as f64);
        context.fill_rect(x * x_scale, y * y_scale, x_scale, y_scale);
    }
    context.set_global_alpha(1.0);
}
