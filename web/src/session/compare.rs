//! Where WebGPU is a program on the processor, the page starts with its own code, measures the other way for a
//! moment, and goes on with the faster of the two.

use super::Session;
use crate::dom;
use crate::engine::{Device, Engine};
use crate::lab::Lab;
use crate::problem::Problem;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen_futures::spawn_local;

/// Steps on WebGPU that are measured while the chains stand still, fewer where they take longer than so many milliseconds.
const STEPS: usize = 6;
const STILL_MS: f64 = 500.0;
/// Steps on the processor that are measured.
const OWN_STEPS: u32 = 6;

/// The same chains on WebGPU.
#[derive(Default)]
pub(super) struct Trial {
    device: Option<Device>,
    /// The chains, once the browser has compiled their kernels.
    ready: Rc<RefCell<Option<Engine>>>,
    /// Milliseconds that a step of theirs takes, and until which step the processor's are measured.
    measured: Option<(f64, u32)>,
}

impl Trial {
    /// Other chains run from now on, those of the trial are the wrong ones: `device` gets its rival back.
    pub(super) fn abandon(&mut self, device: Option<&mut Device>) {
        if let (Some(Device::Cpu { rival, .. }), Some(Device::Gpu(gpu, name))) =
            (device, std::mem::take(self).device)
        {
            *rival = Some((gpu, name));
        }
    }
}

impl Session {
    /// Compare the two ways, if there are two and the chains have begun to move.
    pub(super) async fn compare(&mut self, lab: &Rc<Lab>) {
        // A failure of what nobody asked for is no problem: the processor goes on.
        let faster = match self.trial.device {
            None => self.prepare(lab).await.map(|()| None),
            // Chains start over where they go on, which nobody expects of chains at rest.
            Some(_) if lab.playing.get() => self.measure().await,
            Some(_) => Ok(None),
        };
        match faster {
            Ok(Some(device)) => {
                if matches!(device, Device::Gpu(..)) {
                    self.engine = None;
                    self.view = None;
                }
                if let Some((_, current)) = &mut self.device {
                    *current = device;
                }
                self.trial = Trial::default();
                lab.touch();
            }
            Ok(None) => {}
            Err(_) => self.trial = Trial::default(),
        }
    }

    /// Start the same chains on WebGPU beside those that run.
    async fn prepare(&mut self, lab: &Rc<Lab>) -> Result<(), Problem> {
        let (Some((_, Device::Cpu { rival, .. })), Some(engine)) = (&mut self.device, &self.engine) else {
            return Ok(());
        };
        let (Some(loaded), Some(settings)) = (&self.loaded, &self.settings) else { return Ok(()) };
        if lab.embed || engine.steps() == 0 {
            return Ok(());
        }
        let Some((gpu, name)) = rival.take() else { return Ok(()) };
        let device = Device::Gpu(gpu, name);
        let mut engine = Engine::new(&device, &loaded.model, &loaded.file, settings.chains).await?;
        engine.start(settings).await?;
        self.trial.device = Some(device);
        let (lab, ready, langevin) = (lab.clone(), self.trial.ready.clone(), settings.langevin);
        spawn_local(async move {
            if engine.advance(1, &langevin).await.is_ok() {
                *ready.borrow_mut() = Some(engine);
                lab.touch();
            }
        });
        Ok(())
    }

    /// The device to go on with, once it is known.
    async fn measure(&mut self) -> Result<Option<Device>, Problem> {
        let (Some(engine), Some(settings)) = (&self.engine, &self.settings) else { return Ok(None) };
        let ready = self.trial.ready.borrow_mut().take();
        if let Some(mut gpu) = ready {
            let mut least = f64::INFINITY;
            let start = dom::now();
            for _ in 0..STEPS {
                let begin = dom::now();
                gpu.advance(1, &settings.langevin).await?;
                least = least.min(dom::now() - begin);
                if dom::now() - start > STILL_MS {
                    break;
                }
            }
            // The processor was busy with compiling until now: what it can do, its next steps show.
            self.trial.measured = Some((least, engine.steps() + OWN_STEPS));
            self.speed.best = f64::INFINITY;
        }
        Ok(match self.trial.measured {
            Some((least, until)) if engine.steps() >= until && self.speed.best.is_finite() => {
                let times = least / self.speed.best;
                let gpu = self.trial.device.take().filter(|_| times < 1.0);
                Some(gpu.unwrap_or_else(|| Device::faster_cpu(times)))
            }
            _ => None,
        })
    }
}
