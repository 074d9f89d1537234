//! Bringing model, device, chains and view in line with what is wanted.

use super::Instance;
use crate::account::Account;
use crate::choices::{Corners, Origin, Overlay, Subject, ViewKind};
use crate::engine::{Device, Engine, Sight};
use crate::explain::count;
use crate::facts::Facts;
use crate::film::Film;
use crate::heat::{Bounds, Heat};
use crate::history::History;
use crate::models::{self, Loaded, Source};
use crate::pacing::Pacer;
use crate::problem::Problem;
use crate::settings::Settings;
use crate::trails::Trails;
use crate::ui::{about, controls};
use crate::views::{Ground, LATENTS, Slope, View};
use crate::walk;
use crate::{dom, host};
use dual_mcmc::chain::noise_start;
use dual_mcmc::executor::Executor;
use dual_mcmc::jobs;
use dual_mcmc::model::Examples;
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc::points::TRAINING_POINTS;
use serde::Serialize;
use std::rc::Rc;

/// Cells along a side of the landscape's map.
const MAP: usize = 128;
/// Data points shown.
const DATA: usize = 600;
/// Arrows along a side of the field, and cells along a side of the known density.
const FIELD: usize = 22;
/// Cells along a side of the plane of latents.
const POSTERIOR: usize = 96;
const DENSITY: usize = 96;

/// What the page is told once the chains of a model have started.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Told<'a> {
    model: String,
    shape: &'a [usize],
    view: &'static str,
    chains: usize,
    device: &'static str,
    device_words: String,
}

impl Instance {
    /// Ask for the wanted model, if it is another one than before.
    pub(super) fn load(&mut self) {
        let wanted = self.file.clone().or_else(|| self.choices.src.clone().map(Source::Address));
        if self.load.as_ref().map(|(source, _)| source) == wanted.as_ref() {
            return;
        }
        self.forget_model();
        self.load_number += 1;
        // The old model's hold goes only when there is the new one's: it may be the same.
        let old = self.load.take();
        self.load = wanted.map(|source| {
            let lease = models::request(&source, &self.post, self.load_number);
            (source, lease)
        });
        drop(old);
        self.show_loading();
    }

    /// Take over a model that has come.
    pub(super) fn take(&mut self, loaded: Rc<Loaded>) {
        self.refs.show("progress-line", false);
        about::fill(&self.refs, &loaded.model, &loaded.facts);
        self.examples = loaded.model.annotations.examples.as_ref().map(Examples::values).unwrap_or_default();
        self.loaded = Some(loaded);
        self.stale = true;
    }

    /// Bring device, chains and view in line with the choices.
    pub(super) async fn arrange(&mut self) -> Result<(), Problem> {
        let Some(loaded) = self.loaded.clone() else { return Ok(()) };
        let device = self.find_device().await;
        let (settings, remarks) = Settings::new(&self.choices, &loaded.facts, device.slow());
        self.remark(remarks.clone(), &settings, &loaded, &device);
        controls::show(
            &self.refs,
            &settings,
            &loaded.facts,
            self.choices.device.unwrap_or_default(),
            &device,
        );
        settings.check().map_err(|reason| Problem::settings(&reason))?;

        let before = self.settings.replace(settings.clone());
        let samples = settings.view.samples();
        let other_chains =
            before.as_ref().is_none_or(|b| b.chains != settings.chains || b.view.samples() != samples);
        let other_rows = before.as_ref().is_none_or(|b| b.starts.len() != settings.starts.len());
        let subject = |s: &Settings| s.view.has_subject().then(|| (s.subject, s.example, s.mask.clone()));
        let plane = |s: &Settings| (s.view == ViewKind::Latent).then_some((s.corners, s.walk, s.example));
        let place = |s: &Settings| (s.starts.clone(), subject(s), plane(s));
        let other_place = before.as_ref().is_none_or(|b| place(b) != place(&settings));
        let other_start = other_place || before.as_ref().is_none_or(|b| b.seed != settings.seed);
        // A failure that a device, a number of chains or a start may have caused is forgotten with it.
        if self.problem.is_some() && self.engine.is_some() && !other_chains && !other_start && !self.reset {
            return Ok(());
        }
        let fresh = self.engine.is_none() || other_chains;
        if fresh {
            self.refs.set_text("empty-text", "Preparing the chains…");
            self.engine = None;
            self.engine = Some(Engine::new(&device, &loaded, &settings).await?);
            // Whether there are workers shows only now.
            self.remark(remarks, &settings, &loaded, &device);
        }
        // Taken whatever else asks for a start: a wish left over would start the chains again at the next occasion.
        let (reset, keeps) = (std::mem::take(&mut self.reset), std::mem::take(&mut self.keeps));
        // What has been filled in is no longer wanted.
        let unfilled = settings.fill.is_none() && self.engine.as_ref().is_some_and(|engine| engine.fills());
        if fresh || other_start || reset || unfilled {
            match &before {
                Some(before) if keeps && !fresh && !other_place && !unfilled && self.worth_keeping() => {
                    // Without room for both, the chains start over where they are.
                    if let Ok(next) = Engine::new(&device, &loaded, &settings).await {
                        self.keep(next, before.seed);
                    }
                }
                _ => self.forget_run(),
            }
            self.sight = match settings.view.has_subject() {
                true => Some(self.sight(&settings, &loaded).await?),
                false => None,
            };
            self.slope = None;
            self.start(&settings, &device).await?;
            self.measure(&settings).await?;
            self.explain(&settings, &loaded.facts).await?;
        }
        let Some(engine) = &self.engine else { return Ok(()) };
        if self.account.is_none() && self.controls && settings.view == ViewKind::Landscape {
            self.account = loaded.model.density().map(Account::new);
        }
        if loaded.facts.plane() && self.ground.is_none() {
            self.ground = Some(survey(engine, &loaded).await?);
            // Drawing it is a task of its own: in between the page can answer.
            dom::breathe().await;
        }
        if let Some(ground) = &mut self.ground {
            complete(ground, engine, &loaded, &settings).await?;
        }
        self.look().await?;
        // From here on nothing waits: a figure is seen with its pictures, or not yet.
        if fresh || other_rows || self.view.as_ref().is_none_or(|view| view.kind() != settings.view) {
            self.view = None;
            self.view = Some(View::open(&settings, &self.refs, &device, &loaded.facts)?);
            self.redraw = true;
        }
        self.problem = None;
        self.show_running(&settings, &loaded.facts);
        if fresh {
            self.tell_loaded(&loaded, &settings, &device);
        }
        Ok(())
    }

    /// The wanted device.
    async fn find_device(&mut self) -> Device {
        let wanted = self.wanted_device();
        if let Some((choice, device)) = &self.device
            && *choice == wanted
        {
            return device.clone();
        }
        let device = match host::device(wanted).await {
            Device::Cpu(_) if self.fallen_back => Device::Cpu("since the graphics device has failed".into()),
            device => device,
        };
        self.engine = None;
        self.view = None;
        self.device = Some((wanted, device.clone()));
        device
    }

    /// Start the chains.
    async fn start(&mut self, settings: &Settings, device: &Device) -> Result<(), Problem> {
        let Some(engine) = &mut self.engine else { return Ok(()) };
        // One start that the chains know themselves, or one or more that only this page does.
        let one = matches!(settings.starts[..], [Origin::Generator | Origin::Noise]);
        let known = settings.view.has_subject() || one && settings.view != ViewKind::Latent;
        match &self.loaded {
            Some(loaded) if !known => {
                let states = starting_points(engine, settings, loaded, &self.examples).await?;
                engine.start_at(&states, settings.seed).await?;
            }
            _ => engine.start(settings, self.sight.as_ref()).await?,
        }
        let groups = if settings.view.has_subject() { 1 } else { settings.starts.len() };
        self.history = History::of(groups);
        self.trails = Trails::default();
        let numbers = self.loaded.as_ref().map_or(0, |loaded| settings.chains * loaded.facts.len());
        self.film = match Film::has_room(numbers) {
            true => Film::of(engine.start_states().await?),
            false => Film::default(),
        };
        (self.scrub, self.look) = (None, None);
        self.pacer = Pacer::default();
        self.last_read = f64::NEG_INFINITY;
        self.redraw = true;
        let what = if engine.runs() { "chain" } else { "sample" };
        let encoded = self.loaded.as_ref().map_or(0, |loaded| settings.encoded(&loaded.facts));
        let from = from_where(settings, encoded);
        let chains = count(settings.chains, what);
        let words = match &self.restarted {
            Some(why) => format!("{why}. {chains} started anew from {from}, on {}.", device.words()),
            None => format!("{chains} from {from}, on {}.", device.words()),
        };
        self.refs.set_text("status", &words);
        Ok(())
    }

    /// The energy and the gradient of what the view is about, where it shows them.
    async fn measure(&mut self, settings: &Settings) -> Result<(), Problem> {
        let (Some(engine), Some(sight)) = (&self.engine, &self.sight) else { return Ok(()) };
        if settings.view == ViewKind::Energy {
            let (energies, gradient) = engine.slopes(&sight.x).await?;
            self.slope = energies.first().map(|&energy| Slope { energy, gradient });
        }
        Ok(())
    }

    /// The z-chains' latents and the potential of their posterior, where both can be shown on a plane.
    async fn explain(&mut self, settings: &Settings, facts: &Facts) -> Result<(), Problem> {
        (self.latents, self.posterior) = (Vec::new(), None);
        let (Some(engine), Some(sight)) = (&mut self.engine, &self.sight) else { return Ok(()) };
        if settings.view != ViewKind::Reconstruct || facts.latent != 2 {
            return Ok(());
        }
        let latents = LATENTS.grid(POSTERIOR);
        let made = engine.decode(&latents).await?;
        let square = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>();
        let potential = latents.chunks(2).zip(made.chunks(facts.len())).map(|(z, x)| {
            let known = |i: usize| sight.mask.as_ref().is_none_or(|mask| mask[i] != 0.0);
            let error = square(&mut (0..x.len()).filter(|&i| known(i)).map(|i| x[i] - sight.x[i]));
            error / settings.sigma.powi(2) + square(&mut z.iter().copied()) / 2.0
        });
        let energies: Vec<f32> = potential.collect();
        self.posterior = Some(Heat::above_lowest(POSTERIOR, &energies, 12.0));
        self.latents = engine.latents().await?;
        Ok(())
    }

    /// What the view is about: the reader's own picture, a held-out example, or a sample of the generator's that no chain
    /// starts at, or noise.
    async fn sight(&self, settings: &Settings, loaded: &Loaded) -> Result<Sight, Problem> {
        let facts = &loaded.facts;
        let example = self.examples.chunks(facts.len()).nth(settings.example);
        let noise = || noise_start(settings.seed, &facts.shape, settings.chains as u32, 1, 0);
        let x = match (&self.own, settings.subject, example) {
            (Some(own), ..) => own.clone(),
            (None, Subject::Example, Some(example)) => example.to_vec(),
            (None, Subject::Noise, _) => noise(),
            (None, Subject::Tone, _) => vec![noise()[0]; facts.len()],
            (None, ..) if facts.generator => {
                let latents = jobs::prior(settings.seed, settings.chains as u32, 1, facts.latent);
                jobs::decode(&Executor::Cpu { threads: 1 }, &loaded.model, &latents).await?
            }
            _ => noise(),
        };
        Ok(Sight { x, mask: settings.mask.values(&facts.shape) })
    }

    /// Show what of the choices or the model could not be used, and tell the page of what is new.
    fn remark(&mut self, mut remarks: Vec<String>, settings: &Settings, loaded: &Loaded, device: &Device) {
        remarks.extend(self.unusable.values().cloned());
        for sentence in &remarks {
            if !self.told.contains(sentence) {
                self.tell_problem("A choice is not used", sentence);
            }
        }
        self.told.clone_from(&remarks);
        let samples = settings.view.samples();
        let of_examples = settings.view.has_subject() && settings.subject == Subject::Example;
        if of_examples && loaded.facts.examples == 0 && self.own.is_none() {
            remarks.push(format!(
                "This file holds no held-out examples (“dual-mcmc annotate” adds them), so {} is shown.",
                if loaded.facts.generator { "a sample of its own generator" } else { "noise" }
            ));
        }
        if !samples && !loaded.facts.encoder {
            remarks.push("This model has no encoder, so all chains start from the prior.".into());
        }
        if samples && !loaded.facts.energy {
            remarks.push(
                "This model has no energy, so nothing refines its samples: shown is what its generator makes.".into(),
            );
        }
        if !device.is_gpu() && host::pool().alone() {
            remarks.push("This page may start no workers, so the chains run in the page itself: slower, and it may stutter.".into());
        }
        if let Some(why) = &self.restarted {
            remarks.push(format!("{why}. The chains have started anew, on {}.", device.words()));
        }
        about::remark(&self.refs, &remarks);
    }

    fn tell_loaded(&self, loaded: &Loaded, settings: &Settings, device: &Device) {
        let told = Told {
            model: self.load.as_ref().map(|(source, _)| source.words()).unwrap_or_default(),
            shape: &loaded.facts.shape,
            view: settings.view.word(),
            chains: settings.chains,
            device: if device.is_gpu() { "gpu" } else { "cpu" },
            device_words: device.words(),
        };
        dom::tell(&self.element, "load", &told);
    }
}

/// Where chains start, to follow “from”.
fn from_where(settings: &Settings, encoded: usize) -> String {
    match settings.view {
        ViewKind::Energy => "the sample".into(),
        ViewKind::Reconstruct if encoded > 0 => "the encoder’s guess and from the prior".into(),
        ViewKind::Reconstruct => "the prior".into(),
        ViewKind::Latent => "a plane of latents".into(),
        _ => {
            let words = settings.starts.iter().map(|origin| match origin {
                Origin::Generator => "the generator",
                Origin::Noise => "noise",
                Origin::Data => "held-out data",
            });
            words.collect::<Vec<_>>().join(", ")
        }
    }
}

/// States for chains that start at several places, one after the other.
async fn starting_points(
    engine: &Engine,
    settings: &Settings,
    loaded: &Loaded,
    examples: &[f32],
) -> Result<Vec<f32>, Problem> {
    let (facts, each, seed) = (&loaded.facts, settings.per_start(), settings.seed);
    if settings.view == ViewKind::Latent {
        let corners = match settings.corners {
            Corners::Prior => jobs::prior(seed, 0, 3, facts.latent),
            // An example and the next two.
            Corners::Examples => {
                let len = facts.len();
                let three = (0..3).map(|i| (settings.example + i) % facts.examples);
                let x: Vec<f32> = three.flat_map(|i| &examples[i * len..(i + 1) * len]).copied().collect();
                engine.encode(&x).await?
            }
        };
        let corner = |i: usize| corners[i * facts.latent..(i + 1) * facts.latent].to_vec();
        let latents =
            walk::latents(&[corner(0), corner(1), corner(2)], settings.chains.isqrt(), settings.walk);
        return engine.decode(&latents).await;
    }
    let mut states = Vec::new();
    for origin in &settings.starts {
        match origin {
            Origin::Generator => {
                states.extend(engine.decode(&jobs::prior(seed, 0, each, facts.latent)).await?)
            }
            Origin::Noise => states.extend(noise_start(seed, &facts.shape, 0, each, 0)),
            // Where the density is known, as many as are wanted; else the examples over and over.
            Origin::Data => match loaded.model.density() {
                Some(set) => {
                    states.extend(set.sample(Noise::new(seed, Stream::Data), TRAINING_POINTS as u32, each))
                }
                None => states.extend(examples.iter().cycle().take(each * facts.len())),
            },
        }
    }
    Ok(states)
}

/// What lies under the chains of a model of the plane.
async fn survey(engine: &Engine, loaded: &Loaded) -> Result<Ground, Problem> {
    let known = loaded.model.density();
    let data = known.map(|set| set.points(0, DATA)).unwrap_or_default();
    let bounds = match loaded.facts.generator && data.is_empty() {
        true => {
            let latents = jobs::prior(0, 0, 256, loaded.facts.latent);
            let here = Executor::Cpu { threads: 1 };
            Bounds::around(&jobs::decode(&here, &loaded.model, &latents).await?)
        }
        false => Bounds::around(&data),
    };
    let heat = match &loaded.model.energy {
        Some(_) => Some(Heat::new(MAP, &engine.energies(&bounds.grid(MAP)).await?)),
        None => None,
    };
    Ok(Ground { bounds, data, heat, field: Vec::new(), density: None, generated: Vec::new() })
}

/// Compute what a landscape is to show beside energy and data, as far as it is not there yet.
async fn complete(
    ground: &mut Ground,
    engine: &Engine,
    loaded: &Loaded,
    settings: &Settings,
) -> Result<(), Problem> {
    let wants = |overlay| settings.overlays.contains(&overlay);
    if wants(Overlay::Field) && ground.field.is_empty() {
        let points = ground.bounds.grid(FIELD);
        let (_, slopes) = engine.slopes(&points).await?;
        let (points, slopes) = (points.as_chunks::<2>().0, slopes.as_chunks::<2>().0);
        ground.field = points.iter().zip(slopes).map(|([x, y], [u, v])| [*x, *y, *u, *v]).collect();
    }
    if wants(Overlay::Generator) && ground.generated.is_empty() && loaded.facts.generator {
        ground.generated = engine.decode(&jobs::prior(settings.seed, 0, DATA, loaded.facts.latent)).await?;
    }
    if let Some(set) = loaded.model.density().filter(|_| wants(Overlay::Density) && ground.density.is_none())
    {
        let mut logs = Vec::new();
        for row in ground.bounds.grid(DENSITY).chunks(2 * DENSITY) {
            let points = row.as_chunks::<2>().0;
            logs.extend(points.iter().map(|point| -set.log_density(point.map(f64::from)) as f32));
            // The page stays alive meanwhile.
            dom::breathe().await;
        }
        ground.density = Some(Heat::above_lowest(DENSITY, &logs, 6.0));
    }
    Ok(())
}
