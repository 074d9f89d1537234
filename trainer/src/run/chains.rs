//! Sampling and reconstruction with a model, any number of chains, in batches.

use super::measure::NotFinite;
use super::model_file;
use crate::data::memory;
use anyhow::{Context, Result, ensure};
use dual_mcmc::chain::{ChainNoise, Langevin, TRACE_LEN, Trace, noise_start};
use dual_mcmc::executor::Executor;
use dual_mcmc::model::Model;
use dual_mcmc::noise::{Noise, Stream};
use pollster::block_on;

/// Where x-chains start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the generator's samples.
    Generator,
    /// At noise: standard normal for vectors, uniform in [-1, 1] for images.
    Noise,
}

/// A job for x-chains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Number of chains.
    pub count: usize,
    /// Where they start.
    pub start: Start,
    /// Steps of each.
    pub steps: u32,
    /// The update.
    pub langevin: Langevin,
    /// Seed of start and noise.
    pub seed: u64,
}

/// Changes to the chain that a model recommends.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Changes {
    /// Its steps.
    pub steps: Option<u32>,
    /// Its step size.
    pub step_size: Option<f32>,
    /// Its noise.
    pub noise: Option<f32>,
}

/// What x-chains give.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    /// States before the first step, `[count, data]`.
    pub start: Vec<f32>,
    /// States after the last, `[count, data]`.
    pub end: Vec<f32>,
    /// Energies before each step and after the last: `steps + 1` rows of `count`; empty unless
    /// asked for.
    pub trace: Vec<Vec<f32>>,
    /// Share of MALA's proposals accepted, where it is MALA.
    pub acceptance: Option<f32>,
}

impl Sampled {
    /// Whether the chains have stayed where numbers are numbers.
    ///
    /// # Errors
    /// [`NotFinite`] if a state, or its energy, is no finite number; or if the executor fails.
    pub fn check(&self, model: &Model, executor: &Executor) -> Result<()> {
        let energies = match model.energy.is_some() {
            true => energies(model, executor, &self.end)?,
            false => Vec::new(),
        };
        let of_trace = self.trace.iter().flatten();
        ensure!(
            self.end.iter().chain(&energies).chain(of_trace).all(|v| v.is_finite()),
            NotFinite(
                "the x-chains have run away: their samples or energies are no finite numbers; choose a smaller step \
                 size, or fewer steps"
            )
        );
        Ok(())
    }
}

/// Chains run at once: enough to fill a device, few enough for its memory.
fn batch(data_len: usize) -> usize {
    (1 << 18) / data_len.clamp(256, 1 << 16)
}

impl Sampling {
    /// The chain that the model recommends, from the generator if it has one, else from noise.
    /// Without an energy there are no steps to take.
    ///
    /// # Errors
    /// If the model recommends none.
    pub fn recommended(model: &Model, count: usize, seed: u64) -> Result<Sampling> {
        let start = if model.generator.is_some() { Start::Generator } else { Start::Noise };
        if model.energy.is_none() {
            return Ok(Sampling { count, start, steps: 0, langevin: Langevin::new(1.0, 0.0), seed });
        }
        let x = model
            .chains
            .x
            .context("the model recommends no x-chain; give --steps, --step-size and --noise")?;
        Ok(Sampling { count, start, steps: x.steps, langevin: x.langevin, seed })
    }

    /// The chain that the model recommends, with changes. Where it recommends none, all of it must come from
    /// them; but the generator's samples, after no steps, need no chain.
    ///
    /// # Errors
    /// If something is missing, or the chain is impossible.
    pub fn changed(model: &Model, count: usize, seed: u64, changes: Changes) -> Result<Sampling> {
        let Changes { steps, step_size, noise } = changes;
        let start = if model.generator.is_some() { Start::Generator } else { Start::Noise };
        let all = |steps, langevin| Sampling { count, start, steps, langevin, seed };
        let mut sampling = match (Sampling::recommended(model, count, seed), steps, step_size, noise) {
            (Ok(recommended), ..) => recommended,
            (Err(_), Some(steps), Some(s), Some(n)) => all(steps, Langevin::new(s, n)),
            (Err(_), Some(0), ..) => all(0, Langevin::new(1.0, 0.0)),
            (Err(error), ..) => return Err(error),
        };
        sampling.steps = steps.unwrap_or(sampling.steps);
        sampling.langevin.step_size = step_size.unwrap_or(sampling.langevin.step_size);
        sampling.langevin.noise = noise.unwrap_or(sampling.langevin.noise);
        sampling.langevin.check().map_err(anyhow::Error::msg)?;
        Ok(sampling)
    }

    /// Run the chains. Without steps no energy is needed.
    ///
    /// # Errors
    /// If the model lacks a network that is needed, or the executor fails.
    pub fn run(&self, model: &Model, executor: &Executor, keep_trace: bool) -> Result<Sampled> {
        let len: usize = model.data_shape().iter().product();
        let rows = batch(len).min(self.count).max(1);
        let traced = if keep_trace { self.steps as usize + 1 } else { 0 };
        let values = self.count.saturating_mul(traced.saturating_add(2 * len));
        let rows_of_trace = traced.saturating_mul(size_of::<Vec<f32>>() + 16);
        memory::ask(values.saturating_mul(size_of::<f32>()).saturating_add(rows_of_trace), || {
            let trace = if keep_trace {
                format!(" with the energies of {} steps", self.steps)
            } else {
                String::new()
            };
            format!("{} samples of {len} values{trace}", self.count)
        })?;
        let mut sampled = Sampled { start: Vec::new(), end: Vec::new(), trace: Vec::new(), acceptance: None };
        let mut accepted = 0.0;
        self.langevin.check().map_err(anyhow::Error::msg)?;
        let traced = keep_trace && model.energy.is_some();
        let mut chain = match self.steps > 0 || traced {
            true => Some(executor.x_chain(model_file::energy(model)?, rows)?),
            false => None,
        };
        let mut done = 0;
        while done < self.count {
            let n = rows.min(self.count - done);
            let start = self.starts(model, executor, done as u32, n)?;
            sampled.start.extend_from_slice(&start);
            let Some(chain) = &mut chain else {
                sampled.end.extend(start);
                done += n;
                continue;
            };
            // The last batch is filled up: a chain's size is fixed, and rows do not touch.
            let mut padded = start;
            padded.resize(rows * len, 0.0);
            let noise = Noise::new(self.seed, Stream::XChain);
            chain.start(&padded, ChainNoise { noise, first_chain: done as u32, first_step: 0 })?;
            let mut traced = Traced::new(n);
            for steps in pieces(self.steps, keep_trace) {
                chain.run(steps, &self.langevin)?;
                if keep_trace {
                    traced.add(&block_on(chain.trace())?);
                }
            }
            let end = block_on(chain.state())?;
            sampled.end.extend_from_slice(&end[..n * len]);
            traced.append_to(&mut sampled.trace);
            done += n;
            if let Some(share) = block_on(chain.acceptance())? {
                accepted += share * n as f32;
                sampled.acceptance = Some(accepted / done as f32);
            }
        }
        Ok(sampled)
    }

    /// Starts of chains `first` to `first + n`.
    fn starts(&self, model: &Model, executor: &Executor, first: u32, n: usize) -> Result<Vec<f32>> {
        let shape = model.data_shape();
        match self.start {
            Start::Generator => {
                let generator = model_file::generator(model)?;
                let latent = generator.network.input_len();
                let z = Noise::new(self.seed, Stream::Prior).normal_rows(first, n, latent, 0);
                Ok(block_on(executor.forward(generator, &z))?)
            }
            Start::Noise => Ok(noise_start(self.seed, &shape, first, n, 0)),
        }
    }
}

/// A job for z-chains, started at the encoder's mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reconstructing {
    /// Steps of each chain.
    pub steps: u32,
    /// The update.
    pub langevin: Langevin,
    /// Standard deviation σ of the generator's observation noise.
    pub sigma: f32,
    /// Seed of the noise.
    pub seed: u64,
}

/// What z-chains give.
#[derive(Clone, Debug, PartialEq)]
pub struct Reconstructed {
    /// The generator's image of the encoder's mean, `[count, data]`.
    pub guess: Vec<f32>,
    /// The generator's image of the chain's end, `[count, data]`.
    pub end: Vec<f32>,
    /// Squared error ‖g(z) - x‖² (where the mask is 1) before each step and after the last:
    /// `steps + 1` rows of one value for each chain.
    pub trace: Vec<Vec<f32>>,
}

impl Reconstructed {
    /// Whether the chains have stayed where numbers are numbers.
    ///
    /// # Errors
    /// [`NotFinite`] if a reconstruction, or its error, is no finite number.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.end.iter().chain(self.trace.iter().flatten()).all(|v| v.is_finite()),
            NotFinite(
                "the z-chains have run away: their images or errors are no finite numbers; choose a smaller step size, \
                 or fewer steps"
            )
        );
        Ok(())
    }
}

impl Reconstructing {
    /// The chain that the model recommends.
    ///
    /// # Errors
    /// If the model recommends none.
    pub fn recommended(model: &Model, seed: u64) -> Result<Reconstructing> {
        let z = model
            .chains
            .z
            .context("the model recommends no z-chain; give --steps, --step-size, --noise and --sigma")?;
        Ok(Reconstructing { steps: z.steps, langevin: z.langevin, sigma: z.sigma, seed })
    }

    /// Run the chains on `x`, `[count, data]`, with a `mask` of the same length: 1 where a value is
    /// known, 0 where it is to be filled in.
    ///
    /// # Errors
    /// If the model lacks a generator or an encoder, or the executor fails.
    pub fn run(
        &self,
        model: &Model,
        executor: &Executor,
        x: &[f32],
        mask: Option<&[f32]>,
    ) -> Result<Reconstructed> {
        let generator = model_file::generator(model)?;
        let encoder = model_file::encoder(model)?;
        let len: usize = model.data_shape().iter().product();
        let latent = generator.network.input_len();
        ensure!(!x.is_empty() && x.len().is_multiple_of(len), "there is nothing to reconstruct");
        let count = x.len() / len;
        let traced = self.steps as usize + 1;
        let values = count.saturating_mul(traced.saturating_add(2 * len));
        memory::ask(values.saturating_mul(size_of::<f32>()), || {
            format!("{count} reconstructions with the errors of {} steps", self.steps)
        })?;
        let rows = batch(len).min(count);
        let mut chain = executor.z_chain(generator, rows)?;
        let mut out = Reconstructed { guess: Vec::new(), end: Vec::new(), trace: Vec::new() };
        for first in (0..count).step_by(rows) {
            let n = rows.min(count - first);
            let part = first * len..(first + n) * len;
            let padded = |values: &[f32], fill: f32| {
                let mut values = values.to_vec();
                values.resize(rows * len, fill);
                values
            };
            let x = padded(&x[part.clone()], 0.0);
            let mask = mask.map(|mask| padded(&mask[part.clone()], 1.0));
            // The encoder has never seen a hole: it gets the middle grey there.
            let seen: Vec<f32> = match &mask {
                Some(mask) => x.iter().zip(mask).map(|(x, m)| x * m).collect(),
                None => x.clone(),
            };
            let posterior = block_on(executor.forward(encoder, &seen))?;
            let mean: Vec<f32> = posterior.chunks(2 * latent).flat_map(|p| &p[..latent]).copied().collect();
            let guess = block_on(executor.forward(generator, &mean))?;
            out.guess.extend_from_slice(&guess[..n * len]);

            chain.set_target(&x, mask.as_deref(), self.sigma)?;
            let noise = Noise::new(self.seed, Stream::ZChain);
            chain.start(&mean, ChainNoise { noise, first_chain: first as u32, first_step: 0 })?;
            let mut traced = Traced::new(n);
            for steps in pieces(self.steps, true) {
                chain.run(steps, &self.langevin)?;
                traced.add(&block_on(chain.trace())?);
            }
            let z = block_on(chain.state())?;
            let end = block_on(executor.forward(generator, &z))?;
            out.end.extend_from_slice(&end[..n * len]);
            traced.append_to(&mut out.trace);
        }
        Ok(out)
    }
}

/// Energies of `x`, `[count, data]`.
///
/// # Errors
/// If the model has no energy, or the executor fails.
pub fn energies(model: &Model, executor: &Executor, x: &[f32]) -> Result<Vec<f32>> {
    Ok(block_on(executor.forward(model_file::energy(model)?, x))?)
}

/// Steps in pieces whose traces are whole: a trace keeps only its last rows.
fn pieces(steps: u32, traced: bool) -> impl Iterator<Item = u32> {
    let piece = if traced { TRACE_LEN as u32 / 2 } else { u32::MAX };
    let mut left = steps;
    let mut first = true;
    std::iter::from_fn(move || {
        if left == 0 && !first {
            return None;
        }
        first = false;
        let now = left.min(piece);
        left -= now;
        Some(now)
    })
}

/// Rows of traces read one after another, without those read before.
struct Traced {
    chains: usize,
    rows: Vec<Vec<f32>>,
}

impl Traced {
    fn new(chains: usize) -> Traced {
        Traced { chains, rows: Vec::new() }
    }

    fn add(&mut self, trace: &Trace) {
        let seen = self.rows.len().saturating_sub(trace.first_step as usize);
        self.rows.extend(trace.rows().skip(seen).map(|row| row[..self.chains].to_vec()));
    }

    /// Put these chains beside those of `all`.
    fn append_to(self, all: &mut Vec<Vec<f32>>) {
        if all.is_empty() {
            *all = self.rows;
        } else {
            all.iter_mut().zip(self.rows).for_each(|(all, row)| all.extend(row));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use dual_mcmc::chain::XChainSettings;
    use dual_mcmc::model::{ChainDefaults, Provenance, Weighted};
    use dual_mcmc::network::{Layer, Network};

    /// A Gaussian energy of width 1 over 3 values, and a generator that copies its latents.
    fn model() -> Model {
        let energy = Network {
            input: vec![3],
            layers: vec![Layer::Linear { in_features: 3, out_features: 1, bias: false }],
            reference: Some(1.0),
        };
        let generator = Network {
            input: vec![3],
            layers: vec![Layer::Linear { in_features: 3, out_features: 3, bias: false }],
            reference: None,
        };
        let mut identity = vec![0.0; 9];
        identity.iter_mut().step_by(4).for_each(|w| *w = 1.0);
        Model {
            energy: Some(Weighted { network: energy, weights: vec![0.0; 3] }),
            generator: Some(Weighted { network: generator, weights: identity }),
            encoder: None,
            chains: ChainDefaults {
                x: Some(XChainSettings { steps: 5, langevin: Langevin::new(0.3, 0.3) }),
                z: None,
            },
            energy_quantiles: None,
            provenance: Provenance::default(),
        }
    }

    fn sampling(count: usize, steps: u32) -> Sampling {
        Sampling { count, start: Start::Generator, steps, langevin: Langevin::new(0.3, 0.3), seed: 4 }
    }

    #[test]
    fn a_chain_does_not_depend_on_how_many_run_beside_it() {
        let model = model();
        let cpu = Executor::Cpu { threads: 2 };
        let many = sampling(batch(3) + 7, 6).run(&model, &cpu, true).unwrap();
        let few = sampling(2, 6).run(&model, &cpu, true).unwrap();
        assert_eq!(many.end[..6], few.end[..]);
        assert_eq!(many.trace.len(), 7);
        assert!(many.trace.iter().all(|row| row.len() == batch(3) + 7));
        for (many, few) in many.trace.iter().zip(&few.trace) {
            assert!((many[1] - few[1]).abs() < 1e-5);
        }
    }

    #[test]
    fn long_traces_are_whole() {
        let sampled = sampling(2, 1300).run(&model(), &Executor::Cpu { threads: 1 }, true).unwrap();
        assert_eq!(sampled.trace.len(), 1301);
        let energy = |x: &[f32]| x.iter().map(|v| v * v / 2.0).sum::<f32>();
        for (row, states) in [(&sampled.trace[0], &sampled.start), (&sampled.trace[1300], &sampled.end)] {
            for i in 0..2 {
                assert!((row[i] - energy(&states[3 * i..3 * i + 3])).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn without_steps_the_samples_are_the_starts() {
        let mut model = model();
        model.energy = None;
        let cpu = Executor::Cpu { threads: 1 };
        let sampled = sampling(5, 0).run(&model, &cpu, false).unwrap();
        assert_eq!(sampled.start, sampled.end);
        assert_eq!(sampled.start, Noise::new(4, Stream::Prior).normal_rows(0, 5, 3, 0));
        let noise = Sampling { start: Start::Noise, ..sampling(5, 0) };
        assert_eq!(
            noise.run(&model, &cpu, false).unwrap().end,
            Noise::new(4, Stream::Start).normal_rows(0, 5, 3, 0)
        );
        assert!(sampling(5, 1).run(&model, &cpu, false).is_err());
    }

    #[test]
    fn pieces_add_up() {
        for steps in [0, 1, 255, 256, 257, 1000] {
            let all: Vec<u32> = pieces(steps, true).collect();
            assert_eq!(all.iter().sum::<u32>(), steps);
            assert!(!all.is_empty() && all.iter().all(|&n| n < TRACE_LEN as u32));
        }
    }
}
