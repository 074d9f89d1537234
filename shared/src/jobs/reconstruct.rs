//! Reconstructing: z-chains on the posterior of a model's generator.

use super::{Changes, JobError, WholeTrace, batch, encoder, generator, pieces, prior, sample_count};
use crate::chain::{ChainNoise, Langevin, Trace};
use crate::executor::{Executor, Forward, ZChain};
use crate::model::Model;
use crate::noise::Stream;

/// Where z-chains start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LatentStart {
    /// Start at the encoder's mean.
    #[default]
    Encoder,
    /// Start at the prior's samples.
    Prior,
}

impl LatentStart {
    /// All starts.
    pub const ALL: [LatentStart; 2] = [LatentStart::Encoder, LatentStart::Prior];

    /// The word for it, in options.
    pub fn name(self) -> &'static str {
        match self {
            LatentStart::Encoder => "encoder",
            LatentStart::Prior => "prior",
        }
    }

    /// The start of that name.
    pub fn from_name(name: &str) -> Option<LatentStart> {
        LatentStart::ALL.into_iter().find(|start| start.name() == name)
    }
}

/// A job for z-chains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reconstructing {
    /// Where they start.
    pub start: LatentStart,
    /// Steps of each chain.
    pub steps: u32,
    /// Settings of the Langevin update.
    pub langevin: Langevin,
    /// Standard deviation σ of the generator's observation noise.
    pub sigma: f32,
    /// Seed of start and noise.
    pub seed: u64,
}

/// Results of z-chains.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reconstructed {
    /// The generator's samples of the latents that the chains start at, `[count, data]`.
    pub guess: Vec<f32>,
    /// The generator's samples of the chains' ends, `[count, data]`.
    pub end: Vec<f32>,
    /// Squared error ‖g(z) - x‖² (where the mask is 1) before each step and after the last:
    /// `steps + 1` rows of one value for each chain.
    pub trace: Vec<Vec<f32>>,
}

/// The means of what an encoder gives, `[count, 2 * latent]`.
pub(super) fn means(posterior: &[f32], latent: usize) -> Vec<f32> {
    posterior.chunks(2 * latent).flat_map(|p| &p[..latent]).copied().collect()
}

/// The encoder's means of samples `x`, with a `mask` of the same length.
async fn encoded(
    encoder: &mut Forward,
    latent: usize,
    x: &[f32],
    mask: Option<&[f32]>,
) -> Result<Vec<f32>, JobError> {
    // The encoder has never seen a hole: it gets the middle grey there.
    let seen: Vec<f32> = match mask {
        Some(mask) => x.iter().zip(mask).map(|(x, m)| x * m).collect(),
        None => x.to_vec(),
    };
    Ok(means(&encoder.run(&seen).await?, latent))
}

/// What z-chains are to explain.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// One sample, `[data]`.
    pub x: &'a [f32],
    /// 1 where a value of it is known, 0 where it is to be filled in; `[data]`.
    pub mask: Option<&'a [f32]>,
    /// Standard deviation σ of the generator's observation noise.
    pub sigma: f32,
}

/// A batch of a model's z-chains on one sample that can be advanced step by step.
pub struct Reconstructor {
    chain: ZChain,
    decoder: Forward,
    encoder: Option<Forward>,
    latent: usize,
    len: usize,
    chains: usize,
    starts: Vec<f32>,
    states: Vec<f32>,
    steps: u32,
}

impl Reconstructor {
    /// `chains` z-chains of `model`, not yet started.
    ///
    /// # Errors
    /// If there is no generator, or so many chains do not fit the executor.
    pub fn new(executor: &Executor, model: &Model, chains: usize) -> Result<Reconstructor, JobError> {
        let generator = generator(model)?;
        let encoder = model.encoder.as_ref().map(|encoder| executor.prepare(encoder, 1)).transpose()?;
        Ok(Reconstructor {
            chain: executor.z_chain(generator, chains)?,
            decoder: executor.prepare(generator, chains)?,
            encoder,
            latent: generator.network.input_len(),
            len: model.data_shape().iter().product(),
            chains,
            starts: Vec::new(),
            states: Vec::new(),
            steps: 0,
        })
    }

    /// Start all chains anew, as those from number `first` on of a larger batch, of which the first `encoded` start at the
    /// encoder's mean, the others at the prior.
    ///
    /// # Errors
    /// If what is observed is not one sample, there is no encoder to start from, or the executor fails.
    pub async fn start_from(
        &mut self,
        first: u32,
        encoded: u32,
        observed: &Observed<'_>,
        seed: u64,
    ) -> Result<(), JobError> {
        let (chains, len) = (self.chains, self.len);
        let lens = [Some(observed.x), observed.mask].into_iter().flatten().map(<[f32]>::len);
        if lens.into_iter().any(|found| found != len) {
            return Err(JobError::Samples(format!(
                "what is observed, and its mask, must be of {len} numbers"
            )));
        }
        if !(observed.sigma.is_finite() && observed.sigma > 0.0) {
            return Err(JobError::Settings(format!("sigma must be positive, not {}", observed.sigma)));
        }
        let mut latents = prior(seed, first, chains, self.latent);
        let of_encoder = (encoded.saturating_sub(first) as usize).min(chains);
        if of_encoder > 0 {
            let encoder = self.encoder.as_mut().ok_or(JobError::Missing("encoder"))?;
            let mean = self::encoded(encoder, self.latent, observed.x, observed.mask).await?;
            latents[..of_encoder * self.latent].copy_from_slice(&mean.repeat(of_encoder));
        }
        let x = observed.x.repeat(chains);
        let mask = observed.mask.map(|mask| mask.repeat(chains));
        self.chain.set_target(&x, mask.as_deref(), observed.sigma)?;
        let noise = ChainNoise { first_chain: first, ..ChainNoise::new(seed, Stream::ZChain) };
        self.chain.start(&latents, noise)?;
        self.starts = self.decoder.run(&latents).await?;
        self.states.clone_from(&self.starts);
        self.steps = 0;
        Ok(())
    }

    /// Take `steps` steps, and decode where the chains have come to.
    ///
    /// # Errors
    /// If the chain is impossible, or the executor fails.
    pub async fn advance(&mut self, steps: u32, langevin: &Langevin) -> Result<(), JobError> {
        langevin.check_z().map_err(JobError::Settings)?;
        self.chain.run(steps, langevin)?;
        self.steps += steps;
        self.states = self.decoder.run(&self.chain.state().await?).await?;
        Ok(())
    }

    /// Steps taken since the start.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// The generator's samples of the latents that the chains started at, `[chains, data]`.
    pub fn starts(&self) -> &[f32] {
        &self.starts
    }

    /// The generator's samples of the chains' latents, `[chains, data]`.
    pub fn states(&self) -> &[f32] {
        &self.states
    }

    /// The latents, `[chains, latent]`.
    ///
    /// # Errors
    /// If the executor fails.
    pub async fn latents(&mut self) -> Result<Vec<f32>, JobError> {
        Ok(self.chain.state().await?)
    }

    /// Squared errors ‖g(z) - x‖² (where the mask is 1) along the way.
    ///
    /// # Errors
    /// If the executor fails.
    pub async fn trace(&mut self) -> Result<Trace, JobError> {
        Ok(self.chain.trace().await?)
    }
}

impl Reconstructing {
    /// The chain that the model recommends, from the encoder.
    ///
    /// # Errors
    /// If the model recommends none.
    pub fn recommended(model: &Model, seed: u64) -> Result<Reconstructing, JobError> {
        Reconstructing::changed(model, seed, Changes::default())
    }

    /// The chain that the model recommends, with changes. Where it recommends none, all of it must come from them.
    ///
    /// # Errors
    /// If something is missing, or the chain is impossible.
    pub fn changed(model: &Model, seed: u64, changes: Changes) -> Result<Reconstructing, JobError> {
        let (steps, langevin, sigma) = match (&model.chains.z, changes.chain(), changes.sigma) {
            (Some(z), ..) => (z.steps, z.langevin, z.sigma),
            (None, Some((steps, langevin)), Some(sigma)) => (steps, langevin, sigma),
            _ => {
                let settings = "its steps, step size, noise and sigma";
                return Err(JobError::NoChain { chain: "z-chain", settings });
            }
        };
        let job = Reconstructing {
            start: LatentStart::Encoder,
            steps: changes.steps.unwrap_or(steps),
            langevin: changes.langevin(langevin),
            sigma: changes.sigma.unwrap_or(sigma),
            seed,
        };
        job.check()?;
        Ok(job)
    }

    /// An error unless a z-chain can be run with these settings.
    fn check(&self) -> Result<(), JobError> {
        self.langevin.check_z().map_err(JobError::Settings)?;
        if !(self.sigma.is_finite() && self.sigma > 0.0) {
            return Err(JobError::Settings(format!("sigma must be positive, not {}", self.sigma)));
        }
        Ok(())
    }

    /// Run the chains on `x`, `[count, data]`, with a `mask` of the same length: 1 where a value is
    /// known, 0 where it is to be filled in.
    ///
    /// # Errors
    /// If the chain is impossible, the model lacks a network that is needed, `x` or the mask is not made of whole
    /// samples, or the executor fails.
    pub async fn run(
        &self,
        executor: &Executor,
        model: &Model,
        x: &[f32],
        mask: Option<&[f32]>,
    ) -> Result<Reconstructed, JobError> {
        self.check()?;
        let generator = generator(model)?;
        let len: usize = model.data_shape().iter().product();
        let latent = generator.network.input_len();
        let count = sample_count(model, x)?;
        if mask.is_some_and(|mask| mask.len() != x.len()) {
            return Err(JobError::Samples("the mask must have as many values as the samples".into()));
        }
        let rows = batch(len).min(count);
        let mut chain = executor.z_chain(generator, rows)?;
        let mut decoder = executor.prepare(generator, rows)?;
        let mut encoder = match self.start {
            LatentStart::Encoder => Some(executor.prepare(encoder(model)?, rows)?),
            LatentStart::Prior => None,
        };
        let mut out = Reconstructed::default();
        for first in (0..count).step_by(rows) {
            // The last batch is filled up: chains do not depend on each other.
            let n = rows.min(count - first);
            let part = first * len..(first + n) * len;
            let padded = |values: &[f32], fill: f32| {
                let mut values = values.to_vec();
                values.resize(rows * len, fill);
                values
            };
            let x = padded(&x[part.clone()], 0.0);
            let mask = mask.map(|mask| padded(&mask[part.clone()], 1.0));
            let start = match &mut encoder {
                Some(encoder) => encoded(encoder, latent, &x, mask.as_deref()).await?,
                None => prior(self.seed, first as u32, rows, latent),
            };
            out.guess.extend_from_slice(&decoder.run(&start).await?[..n * len]);

            chain.set_target(&x, mask.as_deref(), self.sigma)?;
            let noise =
                ChainNoise { first_chain: first as u32, ..ChainNoise::new(self.seed, Stream::ZChain) };
            chain.start(&start, noise)?;
            let mut trace = WholeTrace::new(n);
            for steps in pieces(self.steps, true) {
                chain.run(steps, &self.langevin)?;
                trace.add(&chain.trace().await?);
            }
            let end = decoder.run(&chain.state().await?).await?;
            out.end.extend_from_slice(&end[..n * len]);
            trace.append_to(&mut out.trace);
        }
        Ok(out)
    }
}
