//! The two Langevin chains of dual-MCMC teaching, as settings and as one update.
//!
//! * x-chain, on the energy: `x ← x - (s²/2) ∇ₓE(x) + n ε`
//! * z-chain, on the generator's posterior: `z ← z - (s²/2) ∇_z[ ‖g(z) - x‖²·mask/σ² + ‖z‖²/2 ] + n ε`
//!
//! (Cui & Han, NeurIPS 2023, eqs. 6 and 10; the squared error carries no ½, as in the authors'
//! code.) With `n = s` a chain samples at temperature 1; in general at `T = (n/s)²`, that is from
//! `exp(-E/T)`. The update is unadjusted: its stationary law differs from the target by O(s²).
//! With [`Langevin::mala`] the x-chain takes it as a proposal x', which it accepts with probability
//! min(1, exp(-(E(x') - E(x))/T) q(x|x')/q(x'|x)), q(x'|x) = N(x - (s²/2) ∇E(x), n²) (the
//! Metropolis-adjusted Langevin algorithm: Roberts & Tweedie, Bernoulli 1996): its stationary law is
//! the target.

use crate::noise::{Noise, Stream, ln};
use serde::{Deserialize, Serialize};

/// Settings of a Langevin chain, without its length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Langevin {
    /// Step size s: the gradient is multiplied by s²/2.
    pub step_size: f32,
    /// Standard deviation n of the noise added at each step.
    pub noise: f32,
    /// Clamp every element of the gradient to [-c, c].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gradient_clamp: Option<f32>,
    /// Clamp every element of the state to this range after each step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range_clamp: Option<[f32; 2]>,
    /// Accept or reject each step (MALA). Only the x-chain can, and not with a clamp.
    #[serde(default, skip_serializing_if = "is_false")]
    pub mala: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

impl Langevin {
    /// Unclamped and unadjusted Langevin dynamics.
    pub fn new(step_size: f32, noise: f32) -> Langevin {
        Langevin { step_size, noise, gradient_clamp: None, range_clamp: None, mala: false }
    }

    /// The temperature (n/s)² whose target exp(-E/T) the chain approximates.
    pub fn temperature(&self) -> f32 {
        (self.noise / self.step_size).powi(2)
    }

    /// What is wrong with the settings, in words.
    ///
    /// # Errors
    /// If a number is not finite, negative where it may not be, or a range is empty.
    pub fn check(&self) -> Result<(), String> {
        if !(self.step_size.is_finite() && self.step_size > 0.0) {
            return Err(format!("step_size must be positive, not {}", self.step_size));
        }
        if !(self.noise.is_finite() && self.noise >= 0.0) {
            return Err(format!("noise must not be negative, and is {}", self.noise));
        }
        if let Some(c) = self.gradient_clamp
            && !(c.is_finite() && c > 0.0)
        {
            return Err(format!("gradient_clamp must be positive, not {c}"));
        }
        if let Some([low, high]) = self.range_clamp
            && !(low.is_finite() && high.is_finite() && low < high)
        {
            return Err(format!("range_clamp [{low}, {high}] is not a range"));
        }
        if self.mala && (self.gradient_clamp.is_some() || self.range_clamp.is_some()) {
            return Err("MALA cannot be clamped: a clamped proposal has no density to correct for".into());
        }
        if self.mala && self.noise == 0.0 {
            return Err("MALA needs noise: without it there is nothing to accept or reject".into());
        }
        Ok(())
    }

    /// What is wrong with the settings of a z-chain.
    ///
    /// # Errors
    /// As [`Langevin::check`], and if it is to be MALA.
    pub fn check_z(&self) -> Result<(), String> {
        if self.mala {
            return Err("MALA is for the x-chain".into());
        }
        self.check()
    }

    /// One update of one chain's `state`, given the gradient there and standard normals.
    pub fn update(&self, state: &mut [f32], gradient: &[f32], normals: &[f32]) {
        let half = 0.5 * self.step_size * self.step_size;
        let clamp = self.gradient_clamp.unwrap_or(f32::INFINITY);
        let [low, high] = self.range_clamp.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]);
        for ((x, &g), &e) in state.iter_mut().zip(gradient).zip(normals) {
            let g = if g.is_nan() { g } else { g.clamp(-clamp, clamp) };
            let next = *x - half * g + self.noise * e;
            *x = if next.is_nan() { next } else { next.clamp(low, high) };
        }
    }
}

/// A step of MALA for one chain: its state with energy and gradient, and a proposal with its own.
#[derive(Clone, Copy)]
pub(crate) struct Proposal<'a> {
    pub states: [&'a [f32]; 2],
    pub energies: [f32; 2],
    pub gradients: [&'a [f32]; 2],
}

impl Proposal<'_> {
    /// Whether the proposal is accepted, given a uniform number. A proposal whose energy is not a number is refused.
    pub fn accepted(&self, langevin: &Langevin, uniform: f32) -> bool {
        let [x, y] = self.states;
        let half = 0.5 * langevin.step_size * langevin.step_size;
        // ‖y - x + h∇E(x)‖² - ‖x - y + h∇E(y)‖²
        let mut squares = 0.0;
        for ((x, y), (gx, gy)) in x.iter().zip(y).zip(self.gradients[0].iter().zip(self.gradients[1])) {
            let (there, back) = (y - x + half * gx, x - y + half * gy);
            squares += there * there - back * back;
        }
        let [here, there] = self.energies;
        let log_ratio =
            (here - there) / langevin.temperature() + 0.5 * squares / (langevin.noise * langevin.noise);
        ln(uniform) < log_ratio
    }
}

/// The x-chain as a model recommends it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ChainKeys")]
pub struct XChainSettings {
    /// Number of steps K_x.
    pub steps: u32,
    /// Settings of the Langevin update.
    #[serde(flatten)]
    pub langevin: Langevin,
}

/// The z-chain as a model recommends it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "ChainKeys")]
pub struct ZChainSettings {
    /// Number of steps K_z.
    pub steps: u32,
    /// Standard deviation σ of the generator's observation noise: weight 1/σ² of the squared error.
    pub sigma: f32,
    /// Settings of the Langevin update.
    #[serde(flatten)]
    pub langevin: Langevin,
}

/// Either chain as it is written. (serde cannot refuse unknown keys beside a flattened struct.)
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChainKeys {
    steps: u32,
    step_size: f32,
    noise: f32,
    sigma: Option<f32>,
    gradient_clamp: Option<f32>,
    range_clamp: Option<[f32; 2]>,
    #[serde(default)]
    mala: bool,
}

impl ChainKeys {
    fn langevin(&self) -> Langevin {
        let Self { step_size, noise, gradient_clamp, range_clamp, mala, .. } = *self;
        Langevin { step_size, noise, gradient_clamp, range_clamp, mala }
    }
}

impl TryFrom<ChainKeys> for XChainSettings {
    type Error = &'static str;

    fn try_from(keys: ChainKeys) -> Result<Self, Self::Error> {
        match keys.sigma {
            Some(_) => Err("an x-chain has no key `sigma`"),
            None => Ok(XChainSettings { steps: keys.steps, langevin: keys.langevin() }),
        }
    }
}

impl TryFrom<ChainKeys> for ZChainSettings {
    type Error = &'static str;

    fn try_from(keys: ChainKeys) -> Result<Self, Self::Error> {
        let sigma = keys.sigma.ok_or("a z-chain needs `sigma`")?;
        Ok(ZChainSettings { steps: keys.steps, sigma, langevin: keys.langevin() })
    }
}

/// Which random numbers a run of chains draws, so that a run can be split over devices or resumed
/// and still be the same run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainNoise {
    /// Seed and stream.
    pub noise: Noise,
    /// Index of the first chain in the whole batch.
    pub first_chain: u32,
    /// Counter of the first step. Training gives each iteration its own range of steps.
    pub first_step: u32,
}

impl ChainNoise {
    /// Chains 0, 1, … from step 0.
    pub fn new(seed: u64, stream: Stream) -> ChainNoise {
        ChainNoise { noise: Noise::new(seed, stream), first_chain: 0, first_step: 0 }
    }
}

/// Random starting states for x-chains, `[chains, data]`: standard normal for vectors, uniform
/// in [-1, 1] for images. `first_chain` and `step` say which random numbers.
pub fn noise_start(seed: u64, shape: &[usize], first_chain: u32, chains: usize, step: u32) -> Vec<f32> {
    let noise = Noise::new(seed, Stream::Start);
    let len = shape.iter().product();
    if shape.len() == 1 {
        return noise.normal_rows(first_chain, chains, len, step);
    }
    let mut x = vec![0.0; chains * len];
    for (chain, row) in x.chunks_mut(len.max(1)).enumerate() {
        noise.uniforms(first_chain + chain as u32, step, row);
    }
    x.iter_mut().for_each(|v| *v = 2.0 * *v - 1.0);
    x
}

/// Most rows a [`Trace`] keeps.
pub const TRACE_LEN: usize = 512;

/// What a chain measured along the way: energies for the x-chain, squared reconstruction errors
/// for the z-chain.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trace {
    /// Step of the first row kept.
    pub first_step: u32,
    /// Values in a row.
    pub chains: usize,
    /// Row k holds the values of the states before step `first_step + k`; the last row is of the
    /// current states. At most [`TRACE_LEN`] rows: older ones are dropped.
    pub values: Vec<f32>,
}

impl Trace {
    /// Joins traces of several batches into one. All of their chains took the same steps.
    pub fn side_by_side(mut traces: Vec<Trace>) -> Trace {
        if traces.len() == 1 {
            return traces.remove(0);
        }
        let rows = traces.iter().map(|trace| trace.rows().len()).min().unwrap_or(0);
        let parts = |row| traces.iter().filter_map(move |trace| trace.rows().nth(row)).flatten();
        Trace {
            first_step: traces.first().map_or(0, |trace| trace.first_step),
            chains: traces.iter().map(|trace| trace.chains).sum(),
            values: (0..rows).flat_map(parts).copied().collect(),
        }
    }

    /// Rows, oldest first.
    pub fn rows(&self) -> impl DoubleEndedIterator<Item = &[f32]> + ExactSizeIterator {
        self.values.chunks_exact(self.chains.max(1))
    }

    /// The values of the current states; empty before the first start.
    pub fn last(&self) -> &[f32] {
        self.rows().next_back().unwrap_or_default()
    }

    /// Mean of each row.
    pub fn means(&self) -> Vec<f32> {
        self.rows().map(|row| row.iter().sum::<f32>() / row.len() as f32).collect()
    }
}
