//! Bringing model, device, chains and view in line with what is wanted.

use super::show::{captions, status};
use super::{Loaded, Session};
use crate::engine::{Device, Engine};
use crate::explain::{bytes, count};
use crate::heat::{Bounds, Heat};
use crate::history::History;
use crate::lab::Lab;
use crate::pacing::Pacer;
use crate::problem::Problem;
use crate::state::{Facts, Settings};
use crate::views::{Ground, View};
use crate::{about, controls, dom, loading};
use dual_mcmc::executor::Executor;
use dual_mcmc::jobs::{self, Start};
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc::points::PointSet;
use web_sys::HtmlProgressElement;

/// Cells along a side of the landscape's map.
const MAP: usize = 128;
/// Data points shown.
const DATA: usize = 600;

impl Session {
    /// Load the wanted model, if it is another one than before.
    pub(super) async fn load(&mut self, lab: &Lab) -> Result<(), Problem> {
        let wanted = lab.wanted();
        controls::list_models(lab);
        let Some(source) = wanted else {
            if lab.models.borrow().is_some() {
                dom::set_text(
                    "empty-text",
                    "There are no models beside this page yet. Open a model file (.safetensors), or drop one here.",
                );
            }
            return Ok(());
        };
        if !lab.visible.get() || self.tried.as_ref() == Some(&source) {
            return Ok(());
        }
        self.problem = None;
        self.tried = Some(source.clone());
        self.loaded = None;
        self.engine = None;
        self.view = None;
        self.ground = None;
        self.settings = None;
        lab.chosen.set(None);
        for id in ["notice", "landscape", "sample", "trace", "about", "remarks"] {
            dom::show(id, false);
        }
        dom::set_text("model-line", "");
        dom::show("empty", true);
        dom::set_text("empty-text", "Loading the model…");
        dom::show("progress-line", true);
        controls::show_transport(false, false, false);
        let name = source.name();
        let progress = |now: f64, total: Option<f64>| {
            if let Some(bar) = dom::find::<HtmlProgressElement>("progress") {
                match total {
                    Some(total) if total > 0.0 => bar.set_value((now / total).min(1.0)),
                    _ => {
                        let _ = bar.remove_attribute("value");
                    }
                }
            }
            let of = total.map(|total| format!(" of {}", bytes(total))).unwrap_or_default();
            dom::set_text("progress-text", &format!("Loading {name}: {}{of}", bytes(now)));
        };
        let still_wanted = || lab.wanted().as_ref() == Some(&source);
        let model = loading::load(&source, &progress, &still_wanted).await?;
        dom::show("progress-line", false);
        // Another model was wanted meanwhile: the next turn loads it.
        let Some((model, file)) = model else { return Ok(()) };
        let facts = Facts::of(&model);
        dom::set_text("model-line", &about::line(&model, &facts));
        about::fill(&model, &facts);
        dom::show("about", true);
        self.loaded = Some(Loaded { model, file, facts, source });
        Ok(())
    }

    /// Bring device, chains and view in line with the settings.
    pub(super) async fn arrange(&mut self, lab: &Lab) -> Result<(), Problem> {
        let Some(loaded) = &self.loaded else { return Ok(()) };
        let state = lab.state.borrow().clone();
        let device = match &self.device {
            Some((choice, device)) if *choice == state.device => device.clone(),
            _ => {
                let device = Device::find(state.device).await;
                self.engine = None;
                self.view = None;
                self.device = Some((state.device, device.clone()));
                device
            }
        };
        dom::set_text("device-line", &format!("on {}", device.words()));
        let (settings, mut remarks) = Settings::new(&state, &loaded.facts, device.slow());
        remarks.extend(lab.remarks.borrow().iter().cloned());
        if !loaded.facts.energy {
            remarks.push("This model has no energy, so nothing refines its samples: shown is what its generator makes.".into());
        }
        about::remark(&remarks);
        controls::show(&settings, &loaded.facts, lab);
        settings.langevin.check().map_err(|reason| Problem::settings(&reason))?;

        let before = self.settings.replace(settings.clone());
        let other_chains = before.as_ref().is_none_or(|b| b.chains != settings.chains);
        let other_start =
            before.as_ref().is_none_or(|b| (b.start, b.seed) != (settings.start, settings.seed));
        // A failure that a device, a number of chains or a start may have caused is forgotten with it.
        if self.problem.is_some()
            && self.engine.is_some()
            && !other_chains
            && !other_start
            && !lab.reset.get()
        {
            return Ok(());
        }
        let fresh = self.engine.is_none() || other_chains;
        if fresh {
            dom::set_text("empty-text", "Preparing the chains…");
            self.engine = None;
            self.engine = Some(Engine::new(&device, &loaded.model, &loaded.file, settings.chains).await?);
        }
        let Some(engine) = &mut self.engine else { return Ok(()) };
        // Taken whatever else asks for a start: a wish left over would start the chains again at the next occasion.
        let reset = lab.reset.replace(false);
        if fresh || other_start || reset {
            engine.start(&settings).await?;
            self.history = History::default();
            self.pacer = Pacer::default();
            self.last_read = f64::NEG_INFINITY;
            lab.redraw.set(true);
            let what = if engine.runs() { "chain" } else { "sample" };
            let from = match settings.start {
                Start::Generator => "the generator",
                Start::Noise => "noise",
            };
            status(&format!("{} from {from}, on {}.", count(settings.chains, what), device.words()));
        }
        if loaded.facts.plane() && self.ground.is_none() {
            self.ground = Some(survey(engine, loaded).await?);
        }
        if self.view.as_ref().is_none_or(|view| view.kind() != settings.view)
            || fresh && self.problem.is_some()
        {
            self.view = Some(View::open(settings.view, &device, &loaded.facts)?);
            lab.redraw.set(true);
        }
        captions(&settings, &loaded.facts, 0);
        self.problem = None;
        dom::show("notice", false);
        dom::show("empty", false);
        dom::show("embed-bar", true);
        dom::show("trace", loaded.facts.energy);
        Ok(())
    }
}

/// What lies under the chains of a model of the plane.
async fn survey(engine: &Engine, loaded: &Loaded) -> Result<Ground, Problem> {
    let known = PointSet::from_name(&loaded.model.provenance.data);
    let data = known.map(|set| set.sample(Noise::new(0, Stream::Data), 0, DATA)).unwrap_or_default();
    let bounds = match loaded.facts.generator && data.is_empty() {
        true => {
            let latents = jobs::prior(0, 0, 256, loaded.facts.latent);
            let here = Executor::Cpu { threads: 1 };
            Bounds::around(&jobs::decode(&here, &loaded.model, &latents).await?)
        }
        false => Bounds::around(&data),
    };
    let heat = match &loaded.model.energy {
        Some(_) => Some(Heat::new(MAP, engine.energies(&loaded.model, &bounds.grid(MAP)).await?)),
        None => None,
    };
    Ok(Ground { bounds, data, heat })
}
