//! One iteration: chains, losses, updates.

use super::chains::{Walked, z_start};
use super::losses::{encoder_loss, energy_loss, generator_loss};
use super::{Networks, Teacher, TeachingError};
use crate::networks::{Normalise, read, rows};
use crate::recipe::Negatives;
use burn::tensor::Tensor;
use dual_mcmc::chain::Trace;
use dual_mcmc::noise::{Noise, Stream};

/// What an iteration says of itself. Energies and errors are means over the batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Iterations done, this one included.
    pub iteration: u64,
    /// E(x), before any division by T.
    pub energy_data: f32,
    /// E(x̃') of the negatives, before any division by T.
    pub energy_model: f32,
    /// The energy's whole loss, after the division by T.
    pub energy_loss: f32,
    /// ‖g(z̃) - x‖², what data teach the generator.
    pub generator_data_error: f32,
    /// ‖g(z) - x̃‖², what the EBM teaches the generator.
    pub generator_ebm_error: f32,
    /// NLL(z̃; q(·|x)), what data teach the encoder.
    pub encoder_data_loss: f32,
    /// NLL(z; q(·|x̃)), what the generator teaches the encoder.
    pub encoder_model_loss: f32,
    /// ‖x̃ - x̂‖/‖x̂‖: how far the x-chain moves.
    pub displacement: f32,
    /// Energy at the x-chain's start and end.
    pub x_chain_energy: [f32; 2],
    /// ‖g(z) - x‖² at the z-chain's start and end.
    pub z_chain_error: [f32; 2],
    /// Learning rates of this iteration.
    pub rates: Rates,
}

/// Learning rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Of the energy.
    pub energy: f64,
    /// Of the generator.
    pub generator: f64,
    /// Of the encoder.
    pub encoder: f64,
}

/// Whether an iteration keeps the gradients it has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gradients {
    /// Keep them in [`Iteration::gradients`].
    Keep,
    /// Let go of them.
    Drop,
}

/// Everything an iteration has passed through.
pub struct Iteration {
    /// Its figures.
    pub report: Report,
    /// Prior latents z, `[batch, latent]`.
    pub z: Vec<f32>,
    /// x̂ = g(z), `[batch, data]`.
    pub x_hat: Vec<f32>,
    /// x̃, the x-chain's end, `[batch, data]`.
    pub x_tilde: Vec<f32>,
    /// z₀ ~ q(z|x), `[batch, latent]`.
    pub z_0: Vec<f32>,
    /// z̃, the z-chain's end, `[batch, latent]`.
    pub z_tilde: Vec<f32>,
    /// x̃', the EBM's negatives, `[batch, data]`.
    pub negatives: Vec<f32>,
    /// Energies along the x-chain; behind the batch's chains come the persistent ones.
    pub x_trace: Trace,
    /// Errors along the z-chain.
    pub z_trace: Trace,
    /// Gradients of generator, encoder and energy, each in the order of its network's parameters;
    /// empty unless kept.
    pub gradients: Vec<Vec<Tensor<1>>>,
}

impl Teacher {
    /// One whole iteration on a batch of data, `[batch, data]`, with everything it has passed
    /// through. ([`Teacher::step`] waits for it and keeps the report.)
    ///
    /// # Errors
    /// If the batch has another size, or a device fails.
    pub async fn iterate(&mut self, data: &[f32], keep: Gradients) -> Result<Iteration, TeachingError> {
        let (t, batch) = (self.iteration, self.recipe.teaching.batch);
        let (latent, len) = (self.recipe.latent(), self.recipe.data_shape().iter().product::<usize>());
        if data.len() != batch * len {
            return Err(TeachingError::Batch { expected: batch * len, found: data.len() });
        }
        let rates = self.rates();
        let data = self.noisy(data, len);
        let z = Noise::new(self.seed, Stream::Prior).normal_rows(0, batch, latent, t as u32);

        let Self { recipe, device, seed, networks, optimisers, average, chains, persistent, .. } = self;
        let Networks { energy, generator, encoder } = networks;
        let teaching = &recipe.teaching;
        let vectors = |values: &[f32], len| rows(values, len, device);
        let x = vectors(&data, len);
        let mut kept = Vec::new();
        let mut keep = |gradients: &Vec<Tensor<1>>| {
            if keep == Gradients::Keep {
                kept.push(gradients.clone());
            }
        };

        // Once an iteration: during the chains and in the losses E is one fixed function.
        for network in [&mut *energy, &mut *generator, &mut *encoder] {
            network.iterate_spectral_norms();
        }

        // x̂ = g(z), and the x-chain from it. The forward is also the loss's.
        let generator_tape = generator.taped();
        let generated = generator_tape.forward(vectors(&z, latent), Normalise::Batch);
        let x_hat = read(generated.value.clone().inner())?;
        let folded_energy = energy.fold(&[])?;
        let (slots, mut starts) = match persistent {
            Some(persistent) => persistent.draw(*seed, t),
            None => (Vec::new(), Vec::new()),
        };
        starts.splice(0..0, x_hat.iter().copied());
        let Walked { state: mut x_tilde, trace: x_trace } =
            chains.x_chain(&folded_energy, &starts, t).await?;
        let carried_over = x_tilde.split_off(batch * len);
        if let Some(persistent) = persistent {
            persistent.put_back(&slots, &carried_over);
        }

        // z₀ ~ q(z|x), and the z-chain from it.
        let encoder_tape = encoder.taped();
        let posterior = encoder_tape.forward(x.clone(), Normalise::Batch);
        let z_0 = z_start(recipe.z_chain.start, &read(posterior.value.clone().inner())?, latent, *seed, t);
        let Walked { state: z_tilde, trace: z_trace } = chains.z_chain(generator, &z_0, &data, t).await?;

        // Generator.
        let x_revised = vectors(&x_tilde, len);
        let reconstructed = generator_tape.forward(vectors(&z_tilde, latent), Normalise::Batch).value;
        let generator_loss =
            generator_loss(reconstructed, x.clone(), generated.value, x_revised.clone(), teaching);
        let gradients = generator_tape.gradients(&mut generator_loss.total.backward());
        drop(generator_tape);
        keep(&gradients);
        optimisers.generator.step(rates.generator, generator.parameters_mut(), gradients);
        generator.update_running(&generated.statistics);
        if let Some(average) = average {
            average.update(t, generator.parameters());
        }

        // Encoder.
        let posterior_model = encoder_tape.forward(x_revised, Normalise::Batch).value;
        let encoder_loss = encoder_loss(
            vectors(&z_tilde, latent),
            posterior.value,
            vectors(&z, latent),
            posterior_model,
            teaching,
        );
        let gradients = encoder_tape.gradients(&mut encoder_loss.total.backward());
        drop(encoder_tape);
        keep(&gradients);
        optimisers.encoder.step(rates.encoder, encoder.parameters_mut(), gradients);
        encoder.update_running(&posterior.statistics);

        // Energy. The last rows of the negatives are the persistent chains'.
        let own = (batch - slots.len()) * len;
        let mut negatives = match teaching.negatives {
            Negatives::Chain => x_tilde[..own].to_vec(),
            Negatives::Fresh | Negatives::Generator => {
                let updated = generator.constant().forward(vectors(&z, latent), Normalise::Batch);
                let start = &read(updated.value)?[..own];
                match chains.fresh_x_chain(&folded_energy, start, t).await? {
                    Some(fresh) => fresh.state,
                    None => start.to_vec(),
                }
            }
        };
        negatives.extend(carried_over);
        let energy_tape = energy.taped();
        let energy_loss = energy_loss(
            energy_tape.forward(x, Normalise::Batch).value,
            energy_tape.forward(vectors(&negatives, len), Normalise::Batch).value,
            teaching.energy_l2,
            recipe.x_chain.temperature(),
        );
        let gradients = energy_tape.gradients(&mut energy_loss.total.backward());
        drop(energy_tape);
        keep(&gradients);
        optimisers.energy.step(rates.energy, energy.parameters_mut(), gradients);

        self.iteration += 1;
        // One read for all: each waits for the device.
        let figures = [
            energy_loss.data,
            energy_loss.model,
            energy_loss.total,
            generator_loss.data,
            generator_loss.model,
            encoder_loss.data,
            encoder_loss.model,
        ];
        let figures = read(Tensor::cat(figures.map(Tensor::inner).to_vec(), 0))?;
        let report = Report {
            iteration: self.iteration,
            energy_data: figures[0],
            energy_model: figures[1],
            energy_loss: figures[2],
            generator_data_error: figures[3],
            generator_ebm_error: figures[4],
            encoder_data_loss: figures[5],
            encoder_model_loss: figures[6],
            displacement: displacement(&x_hat, &x_tilde, len),
            x_chain_energy: ends(&x_trace, batch),
            z_chain_error: ends(&z_trace, batch),
            rates,
        };
        let gradients = kept;
        Ok(Iteration { report, z, x_hat, x_tilde, z_0, z_tilde, negatives, x_trace, z_trace, gradients })
    }

    fn rates(&self) -> Rates {
        let factor = self.recipe.schedule.factor(self.iteration);
        let optimiser = &self.recipe.optimiser;
        Rates {
            energy: optimiser.energy.rate * factor * self.energy_rate_factor,
            generator: optimiser.generator.rate * factor,
            encoder: optimiser.encoder.rate * factor,
        }
    }

    /// The batch with the recipe's noise added.
    fn noisy(&self, data: &[f32], len: usize) -> Vec<f32> {
        let mut data = data.to_vec();
        let deviation = self.recipe.data.noise;
        if deviation > 0.0 {
            let noise = Noise::new(self.seed, Stream::DataNoise);
            let normals = noise.normal_rows(0, data.len() / len, len, self.iteration as u32);
            data.iter_mut().zip(normals).for_each(|(x, e)| *x += deviation * e);
        }
        data
    }
}

/// ‖b - a‖/‖a‖, mean over rows.
fn displacement(a: &[f32], b: &[f32], len: usize) -> f32 {
    let share = |(a, b): (&[f32], &[f32])| {
        let norm = a.iter().map(|a| a * a).sum::<f32>().sqrt();
        let moved = a.iter().zip(b).map(|(a, b)| (b - a).powi(2)).sum::<f32>().sqrt();
        moved / norm.max(f32::MIN_POSITIVE)
    };
    a.chunks(len).zip(b.chunks(len)).map(share).sum::<f32>() / (a.len() / len) as f32
}

/// Means over the first `batch` chains of what was measured at the start and at the end. A trace
/// that has dropped its oldest rows begins with the oldest it has.
fn ends(trace: &Trace, batch: usize) -> [f32; 2] {
    let mean = |row: &[f32]| row[..batch].iter().sum::<f32>() / batch as f32;
    let rows = trace.values.chunks(trace.chains);
    match (rows.clone().next(), rows.last()) {
        (Some(first), Some(last)) => [mean(first), mean(last)],
        _ => [f32::NAN; 2],
    }
}
