//! The chains in burn, by its automatic differentiation: what only burn can do, and the other way to do what an executor
//! does.

use super::TeachingError;
use super::chain_noise::{ChainEnds, NumberedNoise, start_statistics};
use crate::networks::{BurnNetwork, Normalise, read, rows};
use crate::recipe::ChainStatistics;
use burn::tensor::{Device, Tensor};
use dual_mcmc::chain::{Langevin, Trace, XChainSettings, ZChainSettings};

/// Langevin steps in burn, on the sum of `potentials` (one a chain) and with what they report. The state
/// stays on `device`, and is read once: a remote device is far away.
fn langevin_in_burn(
    start: &[f32],
    len: usize,
    device: &Device,
    noise: &NumberedNoise,
    (steps, langevin): (u32, &Langevin),
    mut potentials: impl FnMut(Tensor<2>) -> Potentials,
) -> Result<ChainEnds, TeachingError> {
    let chains = start.len() / len;
    if chains == 0 {
        return Ok(ChainEnds { state: Vec::new(), trace: Trace::default(), acceptance: None });
    }
    let mut state = rows(start, len, device);
    let mut measured = Vec::new();
    for step in 0..steps {
        // A new leaf each step: no graph outlives its step.
        let x = state.clone().autodiff().require_grad();
        let Potentials { sum, values } = potentials(x.clone());
        let gradient = x.grad_remove(&mut sum.backward());
        let normals = rows(&noise.normals(step, len), len, device);
        state = updated(state, gradient, normals, langevin);
        measured.push(values.inner());
    }
    measured.push(potentials(state.clone().autodiff()).values.inner());
    let values = read(Tensor::cat(measured, 0))?;
    let trace = Trace { first_step: 0, chains, values };
    Ok(ChainEnds { state: read(state)?, trace, acceptance: None })
}

/// [`Langevin::update`] on tensors, in its order: what is not a number stays so.
fn updated(x: Tensor<2>, gradient: Option<Tensor<2>>, normals: Tensor<2>, langevin: &Langevin) -> Tensor<2> {
    let clamped =
        |x: Tensor<2>, low: f32, high: f32| x.clone().clamp(low, high).mask_where(x.clone().is_nan(), x);
    let mut next = x;
    if let Some(mut gradient) = gradient {
        if let Some(c) = langevin.gradient_clamp {
            gradient = clamped(gradient, -c, c);
        }
        next = next - gradient.mul_scalar(0.5 * langevin.step_size * langevin.step_size);
    }
    next = next + normals.mul_scalar(langevin.noise);
    match langevin.range_clamp {
        Some([low, high]) => clamped(next, low, high),
        None => next,
    }
}

/// What drives a chain in burn, and what is recorded of it.
struct Potentials {
    sum: Tensor<1>,
    /// One a chain, `[chains, 1]`.
    values: Tensor<2>,
}

/// The x-chain; with `norms_move` as the authors' code runs it, with a power iteration of the spectral
/// norms at each step.
pub(super) fn x_chain_in_burn(
    energy: &mut BurnNetwork,
    norms_move: bool,
    start: &[f32],
    noise: NumberedNoise,
    settings: &XChainSettings,
) -> Result<ChainEnds, TeachingError> {
    let (len, device) = (energy.input_len(), energy.device().clone());
    let steps = (settings.steps, &settings.langevin);
    if !norms_move {
        let tape = energy.constant();
        return langevin_in_burn(start, len, &device, &noise, steps, |x| {
            let values = tape.forward(x, Normalise::Batch).value;
            Potentials { sum: values.clone().sum(), values }
        });
    }
    let mut taken = 0;
    langevin_in_burn(start, len, &device, &noise, steps, |x| {
        // The last call is for the record alone.
        if taken < settings.steps {
            energy.iterate_spectral_norms();
        }
        taken += 1;
        let values = energy.constant().forward(x, Normalise::Batch).value;
        Potentials { sum: values.clone().sum(), values }
    })
}

/// The z-chain. With the statistics of each step's batch, as in the authors' code, the gradient goes
/// through them, and only burn can do that.
pub(super) fn z_chain_in_burn(
    generator: &BurnNetwork,
    statistics: ChainStatistics,
    start: &[f32],
    x: &[f32],
    noise: NumberedNoise,
    settings: &ZChainSettings,
) -> Result<ChainEnds, TeachingError> {
    let (latent, device) = (generator.input_len(), generator.device().clone());
    let chains = start.len() / latent;
    let tape = generator.constant();
    let x = rows(x, x.len() / chains, &device);
    let of_start = match statistics {
        ChainStatistics::Start => start_statistics(generator, start),
        _ => Vec::new(),
    };
    let normalise = match statistics {
        ChainStatistics::Start => Normalise::By(&of_start),
        ChainStatistics::Running => Normalise::By(generator.running()),
        ChainStatistics::Batch => Normalise::Batch,
    };
    langevin_in_burn(start, latent, &device, &noise, (settings.steps, &settings.langevin), |z| {
        let values = (tape.forward(z.clone(), normalise).value - x.clone()).square().sum_dim(1);
        let sum = values.clone().sum().div_scalar(settings.sigma * settings.sigma)
            + z.square().sum().mul_scalar(0.5);
        Potentials { sum, values }
    })
}
