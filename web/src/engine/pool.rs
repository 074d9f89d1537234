//! Chains on the processor, in workers beside the page: each core has its share of the chains, and the page stays alive
//! however long a step takes. All figures of a page share the workers.

use super::question::{Ask, Given, Kind, Target};
use super::worker::{Failure, Worker};
use crate::dom;
use crate::models::Loaded;
use crate::problem::Problem;
use dual_mcmc::chain::{Langevin, Trace};
use dual_mcmc::jobs::Start;
use dual_mcmc::model::Weighted;
use dual_mcmc::network::NetworkError;
use futures_util::future::join_all;
use js_sys::Float32Array;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Most workers, and most weights in all of them together: each has a copy of the model.
const MOST_WORKERS: usize = 8;
const MOST_WEIGHTS: u64 = 1 << 24;
/// Operations of a step's forward pass that are worth a worker.
const WORTH: u64 = 4_000_000;

/// How many workers are to share so many chains on `network`.
///
/// # Errors
/// If it does not fit together.
fn count(network: &Weighted, chains: usize) -> Result<usize, NetworkError> {
    let room = MOST_WEIGHTS / (network.weights.len() as u64 + 1);
    let worth = network.network.flops()? * chains as u64 / WORTH;
    Ok((worth.min(room) as usize).clamp(1, most_workers()))
}

fn most_workers() -> usize {
    (dom::window().navigator().hardware_concurrency() as usize).clamp(1, MOST_WORKERS)
}

/// The workers of a page. They are started when they are needed.
#[derive(Default)]
pub struct Pool {
    workers: RefCell<Vec<Rc<Worker>>>,
    /// Whether the page may have no workers, and computes by itself.
    alone: Cell<bool>,
    next_share: Cell<u32>,
}

impl Pool {
    /// How many workers there are.
    pub fn len(&self) -> usize {
        self.workers.borrow().len()
    }

    /// Whether the page computes by itself, since it may have no workers.
    pub fn alone(&self) -> bool {
        self.alone.get()
    }

    /// Whether a worker has broken down.
    pub fn broken(&self) -> bool {
        !self.alone.get() && self.workers.borrow().iter().any(|worker| worker.broken())
    }

    /// So many workers, those with the least to do.
    fn take(&self, count: usize) -> Vec<Rc<Worker>> {
        let mut workers = self.workers.borrow_mut();
        let idle = workers.iter().filter(|worker| worker.shares.get() == 0).count();
        let room = if self.alone.get() { 1 } else { most_workers() };
        for _ in idle..count {
            if workers.len() >= room {
                break;
            }
            let worker = if self.alone.get() { None } else { Worker::thread() };
            workers.push(Rc::new(worker.unwrap_or_else(Worker::in_the_page)));
        }
        let mut free: Vec<Rc<Worker>> = workers.clone();
        free.sort_by_key(|worker| worker.shares.get());
        free.truncate(count);
        free
    }

    /// Compute in the page from now on: an older browser, or a page that may have no workers.
    fn do_without(&self) {
        self.alone.set(true);
        *self.workers.borrow_mut() = Vec::new();
    }
}

/// One worker's share of a figure's chains.
struct Share {
    worker: Rc<Worker>,
    number: u32,
    chains: usize,
}

/// The chains of a figure, shared by workers.
pub struct WorkerChains {
    loaded: Rc<Loaded>,
    shares: Vec<Share>,
    starts: Vec<f32>,
    states: Vec<f32>,
    steps: u32,
}

impl WorkerChains {
    /// `chains` chains of a model that do this.
    ///
    /// # Errors
    /// If the model cannot be run.
    pub async fn open(
        pool: &Pool,
        loaded: &Rc<Loaded>,
        chains: usize,
        kind: Kind,
    ) -> Result<WorkerChains, Problem> {
        match WorkerChains::shared(pool, loaded, chains, kind).await {
            Err(Failure::Stopped) => {
                pool.do_without();
                Ok(WorkerChains::shared(pool, loaded, chains, kind).await?)
            }
            outcome => Ok(outcome?),
        }
    }

    async fn shared(
        pool: &Pool,
        loaded: &Rc<Loaded>,
        chains: usize,
        kind: Kind,
    ) -> Result<WorkerChains, Failure> {
        let model = &loaded.model;
        let network = if kind == Kind::Reconstruct { &model.generator } else { &model.energy };
        let refused = |error: NetworkError| Failure::Refused(error.to_string());
        let wanted = network.as_ref().map_or(Ok(1), |network| count(network, chains)).map_err(refused)?;
        let workers = pool.take(wanted.min(chains));
        let share = chains.div_ceil(workers.len());
        let mut opened = WorkerChains {
            loaded: loaded.clone(),
            shares: Vec::new(),
            starts: Vec::new(),
            states: Vec::new(),
            steps: 0,
        };
        let mut asked = Vec::new();
        for (i, worker) in workers.into_iter().take(chains.div_ceil(share)).enumerate() {
            let number = pool.next_share.replace(pool.next_share.get().wrapping_add(1));
            let first = i * share;
            let share = Share { worker: worker.clone(), number, chains: share.min(chains - first) };
            worker.shares.set(worker.shares.get() + 1);
            let (model, chains) = (loaded.number, share.chains);
            asked.push(async move {
                worker.load(model, &loaded.file).await?;
                worker.ask(Ask::Open { share: number, model, first: first as u32, chains, kind }).await
            });
            opened.shares.push(share);
        }
        for outcome in join_all(asked).await {
            outcome?;
        }
        Ok(opened)
    }

    /// Ask all workers, and await their answers.
    async fn all(&self, ask: impl Fn(u32) -> Ask) -> Result<Vec<Given>, Failure> {
        join_all(self.shares.iter().map(|share| share.worker.ask(ask(share.number))))
            .await
            .into_iter()
            .collect()
    }

    /// Start all chains anew.
    ///
    /// # Errors
    /// If a worker has failed.
    pub async fn start(&mut self, start: Start, seed: u64) -> Result<(), Problem> {
        let (start, seed) = (start.name(), seed as u32);
        let states = self.all(|share| Ask::Start { share, start: start.into(), seed }).await?;
        self.begin(states);
        Ok(())
    }

    /// Start all chains anew at `states`, `[chains, data]`.
    ///
    /// # Errors
    /// If a worker has failed.
    pub async fn start_at(&mut self, states: &[f32], seed: u64) -> Result<(), Problem> {
        let (states, seed) = (Float32Array::from(states), seed as u32);
        let states = self.all(|share| Ask::StartAt { share, states: states.clone(), seed }).await?;
        self.begin(states);
        Ok(())
    }

    /// Start all z-chains anew, to explain `target`.
    ///
    /// # Errors
    /// If a worker has failed.
    pub async fn observe(&mut self, target: &Target, seed: u64) -> Result<(), Problem> {
        let seed = seed as u32;
        let states = self.all(|share| Ask::Observe { share, target: target.clone(), seed }).await?;
        self.begin(states);
        Ok(())
    }

    /// Start all filling chains anew at `states`, `[chains, data]`, of which what is known in `target` stays as it is.
    ///
    /// # Errors
    /// If a worker has failed.
    pub async fn fill(&mut self, states: &[f32], target: &Target, seed: u64) -> Result<(), Problem> {
        let (states, seed) = (Float32Array::from(states), seed as u32);
        let ask = |share| Ask::Fill { share, states: states.clone(), target: target.clone(), seed };
        let states = self.all(ask).await?;
        self.begin(states);
        Ok(())
    }

    /// The latents of all z-chains, `[chains, latent]`.
    ///
    /// # Errors
    /// If a worker has failed.
    pub async fn latents(&self) -> Result<Vec<f32>, Problem> {
        Ok(numbers(self.all(|share| Ask::Latents { share }).await?))
    }

    fn begin(&mut self, states: Vec<Given>) {
        self.starts = numbers(states);
        self.states.clone_from(&self.starts);
        self.steps = 0;
    }

    /// Take steps.
    ///
    /// # Errors
    /// If a worker has failed.
    pub async fn advance(&mut self, steps: u32, langevin: &Langevin) -> Result<(), Problem> {
        let langevin = (*langevin).into();
        let states = self.all(|share| Ask::Advance { share, steps, langevin }).await?;
        self.states = numbers(states);
        self.steps += steps;
        Ok(())
    }

    /// Steps taken.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// Where the chains started, `[chains, data]`.
    pub fn starts(&self) -> &[f32] {
        &self.starts
    }

    /// The current states, `[chains, data]`.
    pub fn states(&self) -> &[f32] {
        &self.states
    }

    /// Energies along the way.
    ///
    /// # Errors
    /// If a worker has failed.
    pub async fn trace(&self) -> Result<Trace, Problem> {
        let parts = self.all(|share| Ask::Trace { share }).await?;
        let trace = |(part, share): (Given, &Share)| match part {
            Given::Trace(first_step, values) => {
                Trace { first_step, chains: share.chains, values: values.to_vec() }
            }
            _ => Trace { first_step: 0, chains: share.chains, values: Vec::new() },
        };
        Ok(Trace::side_by_side(parts.into_iter().zip(&self.shares).map(trace).collect()))
    }

    /// Energies at `x`, `[n, data]`.
    ///
    /// # Errors
    /// If they are not whole samples, or a worker has failed.
    pub async fn energies(&self, x: &[f32]) -> Result<Vec<f32>, Problem> {
        self.ask_one(Ask::Energies { model: self.loaded.number, x: Float32Array::from(x) }).await
    }

    /// The generator's samples of latents `z`, `[n, latent]`.
    ///
    /// # Errors
    /// If a worker has failed.
    pub async fn decode(&self, z: &[f32]) -> Result<Vec<f32>, Problem> {
        self.ask_one(Ask::Decode { model: self.loaded.number, z: Float32Array::from(z) }).await
    }

    /// The encoder's means of samples `x`, `[n, data]`.
    ///
    /// # Errors
    /// If a worker has failed.
    pub async fn encode(&self, x: &[f32]) -> Result<Vec<f32>, Problem> {
        self.ask_one(Ask::Encode { model: self.loaded.number, x: Float32Array::from(x) }).await
    }

    /// Share of the proposals that were accepted, if any were made.
    ///
    /// # Errors
    /// If a worker has failed.
    pub async fn acceptance(&self) -> Result<Option<f32>, Problem> {
        let parts = self.all(|share| Ask::Acceptance { share }).await?;
        let (mut accepted, mut chains) = (0.0, 0);
        for (part, share) in parts.into_iter().zip(&self.shares) {
            for acceptance in numbers(vec![part]) {
                accepted += acceptance * share.chains as f32;
                chains += share.chains;
            }
        }
        Ok((chains > 0).then(|| accepted / chains as f32))
    }

    /// Energies at `x`, `[n, data]`, and their gradients.
    ///
    /// # Errors
    /// As [`WorkerChains::energies`].
    pub async fn slopes(&self, x: &[f32]) -> Result<(Vec<f32>, Vec<f32>), Problem> {
        let ask = Ask::Slopes { model: self.loaded.number, x: Float32Array::from(x) };
        let mut energies = self.ask_one(ask).await?;
        let gradients = energies.split_off(energies.len() - x.len());
        Ok((energies, gradients))
    }

    async fn ask_one(&self, ask: Ask) -> Result<Vec<f32>, Problem> {
        match self.shares[0].worker.ask(ask).await {
            Ok(given) => Ok(numbers(vec![given])),
            Err(Failure::Refused(reason)) => Err(Problem::samples(&reason)),
            Err(stopped) => Err(stopped.into()),
        }
    }
}

impl Drop for WorkerChains {
    fn drop(&mut self) {
        for share in &self.shares {
            share.worker.close(share.number);
            share.worker.unload(self.loaded.number);
        }
    }
}

/// All numbers in answers that hold numbers, one after the other.
fn numbers(answers: Vec<Given>) -> Vec<f32> {
    let mut all = Vec::new();
    for answer in answers {
        if let Given::Numbers(numbers) = answer {
            let from = all.len();
            all.resize(from + numbers.length() as usize, 0.0);
            numbers.copy_to(&mut all[from..]);
        }
    }
    all
}
