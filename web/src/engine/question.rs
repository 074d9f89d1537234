//! What the page asks its workers, and how a worker answers. A worker (`worker.js`) is the page's own wasm once more.
//!
//! Each question has a number, and its answer the same, so that several may be under way. A worker holds models and
//! shares of chains under the numbers that the page gives them.

use dual_mcmc::chain::Langevin;
use dual_mcmc::executor::Executor;
use dual_mcmc::jobs::{self, Filler, JobError, Observed, Reconstructor, Sampler, Start};
use dual_mcmc::model::Model;
use js_sys::{Float32Array, Uint8Array};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use wasm_bindgen::prelude::*;

/// A question with its number.
#[derive(Serialize, Deserialize)]
pub struct Question {
    /// The number.
    pub number: u32,
    /// What is asked.
    pub ask: Ask,
}

/// What a worker may be asked.
#[derive(Serialize, Deserialize)]
pub enum Ask {
    /// Read a model's file.
    Load {
        /// The model's number.
        model: u32,
        /// The file.
        #[serde(with = "serde_wasm_bindgen::preserve")]
        file: Uint8Array,
    },
    /// Forget a model.
    Unload {
        /// The model's number.
        model: u32,
    },
    /// Prepare a share of a model's chains.
    Open {
        /// The share's number.
        share: u32,
        /// The model's number.
        model: u32,
        /// Number of the share's first chain.
        first: u32,
        /// Chains in the share.
        chains: usize,
        /// What they do.
        kind: Kind,
    },
    /// Forget a share.
    Close {
        /// The share's number.
        share: u32,
    },
    /// Start the chains of a share anew, and give their states.
    Start {
        /// The share's number.
        share: u32,
        /// Where they start: [`Start::name`].
        start: String,
        /// Seed of start and noise.
        seed: u32,
    },
    /// Start the chains of a share anew at states of the page's own, and give them back.
    StartAt {
        /// The share's number.
        share: u32,
        /// A state for each chain of all shares, one after the other.
        #[serde(with = "serde_wasm_bindgen::preserve")]
        states: Float32Array,
        /// Seed of the noise.
        seed: u32,
    },
    /// Start the z-chains of a share anew, and give what the generator makes of their latents.
    Observe {
        /// The share's number.
        share: u32,
        /// What they are to explain.
        target: Target,
        /// Seed of start and noise.
        seed: u32,
    },
    /// Start the filling chains of a share anew at states of the page's own, and give them with what is known.
    Fill {
        /// The share's number.
        share: u32,
        /// A state for each chain of all shares, one after the other.
        #[serde(with = "serde_wasm_bindgen::preserve")]
        states: Float32Array,
        /// What is known.
        target: Target,
        /// Seed of the noise.
        seed: u32,
    },
    /// Give the latents of a share's z-chains.
    Latents {
        /// The share's number.
        share: u32,
    },
    /// Take steps, and give the states.
    Advance {
        /// The share's number.
        share: u32,
        /// How many steps.
        steps: u32,
        /// The whole update.
        langevin: Update,
    },
    /// Give the energies along the way.
    Trace {
        /// The share's number.
        share: u32,
    },
    /// Give the generator's samples of latents.
    Decode {
        /// The model's number.
        model: u32,
        /// The latents, `[n, latent]`.
        #[serde(with = "serde_wasm_bindgen::preserve")]
        z: Float32Array,
    },
    /// Give the encoder's means of samples.
    Encode {
        /// The model's number.
        model: u32,
        /// The samples, `[n, data]`.
        #[serde(with = "serde_wasm_bindgen::preserve")]
        x: Float32Array,
    },
    /// Give the share of a share's proposals that were accepted, if any were made.
    Acceptance {
        /// The share's number.
        share: u32,
    },
    /// Give the energies of samples, and after them their gradients.
    Slopes {
        /// The model's number.
        model: u32,
        /// The samples, `[n, data]`.
        #[serde(with = "serde_wasm_bindgen::preserve")]
        x: Float32Array,
    },
    /// Give the energies of samples.
    Energies {
        /// The model's number.
        model: u32,
        /// The samples, `[n, data]`.
        #[serde(with = "serde_wasm_bindgen::preserve")]
        x: Float32Array,
    },
}

/// What chains do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// x-chains sample.
    Sample,
    /// z-chains reconstruct.
    Reconstruct,
    /// x-chains fill in what is hidden.
    Fill,
}

/// What z-chains are to explain, or what x-chains are to leave as it is, on its way to a worker.
#[derive(Clone, Serialize, Deserialize)]
pub struct Target {
    /// One sample.
    #[serde(with = "serde_wasm_bindgen::preserve")]
    pub x: Float32Array,
    /// Where it is known, or an empty array where that is everywhere.
    #[serde(with = "serde_wasm_bindgen::preserve")]
    pub mask: Float32Array,
    /// Standard deviation σ of the generator's observation noise.
    pub sigma: f32,
    /// How many of all chains start at the encoder's guess: the first.
    pub encoded: u32,
}

/// All settings of a Langevin update, on their way to a worker.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Update {
    step_size: f32,
    noise: f32,
    gradient_clamp: Option<f32>,
    range_clamp: Option<[f32; 2]>,
    mala: bool,
}

impl From<Langevin> for Update {
    fn from(l: Langevin) -> Update {
        let Langevin { step_size, noise, gradient_clamp, range_clamp, mala } = l;
        Update { step_size, noise, gradient_clamp, range_clamp, mala }
    }
}

impl From<Update> for Langevin {
    fn from(u: Update) -> Langevin {
        let Update { step_size, noise, gradient_clamp, range_clamp, mala } = u;
        Langevin { step_size, noise, gradient_clamp, range_clamp, mala }
    }
}

/// The answer to a question.
#[derive(Serialize, Deserialize)]
pub struct Answer {
    /// The question's number.
    pub number: u32,
    /// What was asked for, or why it cannot be had.
    pub outcome: Result<Given, String>,
}

/// What a worker gives.
#[derive(Serialize, Deserialize)]
pub enum Given {
    /// Nothing but the word that it is done.
    Done,
    /// States or energies.
    Numbers(#[serde(with = "serde_wasm_bindgen::preserve")] Float32Array),
    /// Energies along the way, from this step on.
    Trace(u32, #[serde(with = "serde_wasm_bindgen::preserve")] Float32Array),
}

/// A worker has one core.
const ONE_CORE: Executor = Executor::Cpu { threads: 1 };

/// A share of a model's chains.
struct Share {
    chains: Chains,
    first: u32,
}

/// Chains of each kind.
enum Chains {
    X(Box<Sampler>),
    Z(Box<Reconstructor>),
    Fill(Box<Filler>),
}

impl Chains {
    fn new(kind: Kind, model: &Model, chains: usize) -> Result<Chains, JobError> {
        Ok(match kind {
            Kind::Sample => Chains::X(Box::new(Sampler::new(&ONE_CORE, model, chains)?)),
            Kind::Reconstruct => Chains::Z(Box::new(Reconstructor::new(&ONE_CORE, model, chains)?)),
            Kind::Fill => Chains::Fill(Box::new(Filler::new(&ONE_CORE, model, chains)?)),
        })
    }
}

/// What a worker holds.
#[derive(Default)]
pub struct Held {
    models: RefCell<HashMap<u32, Rc<Model>>>,
    shares: RefCell<HashMap<u32, Share>>,
}

fn numbers(values: &[f32]) -> Given {
    Given::Numbers(Float32Array::from(values))
}

impl Held {
    /// Answer a question.
    pub async fn answer(&self, ask: Ask) -> Result<Given, String> {
        let words = |error: JobError| error.to_string();
        match ask {
            Ask::Load { model, file } => {
                let read = Model::from_bytes(&file.to_vec()).map_err(|error| error.to_string())?;
                self.models.borrow_mut().insert(model, Rc::new(read));
                Ok(Given::Done)
            }
            Ask::Unload { model } => {
                self.models.borrow_mut().remove(&model);
                Ok(Given::Done)
            }
            Ask::Open { share, model, first, chains, kind } => {
                let model = self.model(model)?;
                let chains = Chains::new(kind, &model, chains).map_err(words)?;
                self.shares.borrow_mut().insert(share, Share { chains, first });
                Ok(Given::Done)
            }
            Ask::Close { share } => {
                self.shares.borrow_mut().remove(&share);
                Ok(Given::Done)
            }
            Ask::Energies { model, x } => {
                let model = self.model(model)?;
                Ok(numbers(&jobs::energies(&ONE_CORE, &model, &x.to_vec()).await.map_err(words)?))
            }
            Ask::Decode { model, z } => {
                let model = self.model(model)?;
                Ok(numbers(&jobs::decode(&ONE_CORE, &model, &z.to_vec()).await.map_err(words)?))
            }
            Ask::Encode { model, x } => {
                let model = self.model(model)?;
                Ok(numbers(&jobs::encode(&ONE_CORE, &model, &x.to_vec()).await.map_err(words)?))
            }
            Ask::Slopes { model, x } => {
                let model = self.model(model)?;
                let found = jobs::energies_and_gradients(&ONE_CORE, &model, &x.to_vec()).await;
                let (energies, gradients) = found.map_err(words)?;
                Ok(numbers(&[energies, gradients].concat()))
            }
            Ask::Start { share, .. }
            | Ask::StartAt { share, .. }
            | Ask::Observe { share, .. }
            | Ask::Fill { share, .. }
            | Ask::Latents { share }
            | Ask::Advance { share, .. }
            | Ask::Acceptance { share }
            | Ask::Trace { share } => {
                // Out of the table for as long as it is at work, and back whatever comes of it.
                let taken = self.shares.borrow_mut().remove(&share);
                let mut taken = taken.ok_or("these chains are not open")?;
                let outcome = taken.answer(ask).await.map_err(words);
                self.shares.borrow_mut().insert(share, taken);
                outcome
            }
        }
    }

    fn model(&self, number: u32) -> Result<Rc<Model>, String> {
        self.models.borrow().get(&number).cloned().ok_or_else(|| "no such model is open".into())
    }
}

impl Share {
    async fn answer(&mut self, ask: Ask) -> Result<Given, JobError> {
        match (&mut self.chains, ask) {
            (Chains::X(sampler), Ask::Start { start, seed, .. }) => {
                let unknown = || JobError::Settings(format!("chains cannot start from {start}"));
                let start = Start::from_name(&start).ok_or_else(unknown)?;
                sampler.start_from(self.first, start, seed.into()).await?;
                Ok(numbers(&sampler.read_starts().await?))
            }
            (Chains::X(sampler), Ask::StartAt { states, seed, .. }) => {
                let len = sampler.chains() * sampler.sample_len();
                let from = self.first * sampler.sample_len() as u32;
                let own = states.subarray(from, from + len as u32).to_vec();
                sampler.start_at(self.first, &own, seed.into())?;
                Ok(numbers(&own))
            }
            (Chains::Z(reconstructor), Ask::Observe { target, seed, .. }) => {
                let Target { x, mask, sigma, encoded } = target;
                let (x, mask) = (x.to_vec(), mask.to_vec());
                let mask = (!mask.is_empty()).then_some(&mask[..]);
                let observed = Observed { x: &x, mask, sigma };
                reconstructor.start_from(self.first, encoded, &observed, seed.into()).await?;
                Ok(numbers(reconstructor.starts()))
            }
            (Chains::X(sampler), Ask::Advance { steps, langevin, .. }) => {
                sampler.advance(steps, &langevin.into())?;
                Ok(numbers(&sampler.read_states().await?))
            }
            (Chains::Z(reconstructor), Ask::Advance { steps, langevin, .. }) => {
                reconstructor.advance(steps, &langevin.into()).await?;
                Ok(numbers(reconstructor.states()))
            }
            (Chains::Fill(filler), Ask::Fill { states, target, seed, .. }) => {
                let (x, mask) = (target.x.to_vec(), target.mask.to_vec());
                let own = self.first as usize * x.len()..(self.first as usize + filler.chains()) * x.len();
                let states = states.to_vec();
                filler.start_at(self.first, states.get(own).unwrap_or_default(), [&x, &mask], seed.into())?;
                Ok(numbers(filler.starts()))
            }
            (Chains::Fill(filler), Ask::Advance { steps, langevin, .. }) => {
                filler.advance(steps, &langevin.into()).await?;
                Ok(numbers(filler.states()))
            }
            (Chains::Z(reconstructor), Ask::Latents { .. }) => Ok(numbers(&reconstructor.latents().await?)),
            (Chains::X(sampler), Ask::Acceptance { .. }) => {
                Ok(numbers(sampler.acceptance().await?.as_slice()))
            }
            (chains, Ask::Trace { .. }) => {
                let trace = match chains {
                    Chains::X(sampler) => sampler.trace().await?,
                    Chains::Z(reconstructor) => reconstructor.trace().await?,
                    Chains::Fill(filler) => filler.trace().await?,
                };
                Ok(Given::Trace(trace.first_step, Float32Array::from(&trace.values[..])))
            }
            // The others are not asked of a share, or not of one of this kind.
            _ => Ok(Given::Done),
        }
    }
}

thread_local! {
    /// What this worker holds.
    static HELD: Rc<Held> = Rc::default();
}

/// Answer a question to this worker.
#[wasm_bindgen]
pub async fn work(question: JsValue) -> Result<JsValue, JsValue> {
    let Question { number, ask } = serde_wasm_bindgen::from_value(question)?;
    let outcome = HELD.with(Rc::clone).answer(ask).await;
    Ok(serde_wasm_bindgen::to_value(&Answer { number, outcome })?)
}
