//! One iteration: chains, losses, updates.

use super::chains::{ChainRows, Walked, encoded_start, prior_start};
use super::losses::{EnergyLoss, TwoSided, encoder_loss, energy_loss, generator_loss};
use super::share::Share;
use super::{Networks, Teacher, TeachingError};
use crate::networks::{DeviceError, Normalise, read, rows};
use crate::optimiser::NetworkOptimiser;
use crate::recipe::{Negatives, Optimiser, Recipe, SpectralIteration, XStart, ZStart};
use burn::tensor::Tensor;
use dual_mcmc::chain::{Trace, noise_start};
use dual_mcmc::noise::{Noise, Stream};

/// The parts of an iteration, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The batch: reading it, which is the caller's part, and augmenting it.
    Data,
    /// x̂ = g(z), and the x-chain from it.
    XChain,
    /// z₀, and the z-chain from it.
    ZChain,
    /// The generator's update.
    Generator,
    /// The encoder's update.
    Encoder,
    /// The energy's update, with its fresh chain where there is one.
    Energy,
    /// Reading the figures; the iteration ends with it.
    Figures,
}

impl Phase {
    /// All phases, in their order.
    pub const ALL: [Phase; 7] = [
        Phase::Data,
        Phase::XChain,
        Phase::ZChain,
        Phase::Generator,
        Phase::Encoder,
        Phase::Energy,
        Phase::Figures,
    ];

    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Data => "data",
            Phase::XChain => "x-chain",
            Phase::ZChain => "z-chain",
            Phase::Generator => "generator",
            Phase::Encoder => "encoder",
            Phase::Energy => "energy",
            Phase::Figures => "figures",
        }
    }
}

/// A batch of data; the whole one, also for a replica that has a share of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Which sample of the data each row is.
    pub samples: Vec<usize>,
    /// `[batch, data]`.
    pub values: Vec<f32>,
}

/// What an iteration says of itself. Energies and errors are means over the whole batch. What belongs to
/// a network or a chain that the recipe does not have is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Iterations done, this one included.
    pub iteration: u64,
    /// E(x), before any division by T.
    pub energy_data: Option<f32>,
    /// E(x̃') of the negatives, before any division by T.
    pub energy_model: Option<f32>,
    /// The energy's whole loss, after the division by T.
    pub energy_loss: Option<f32>,
    /// ‖g(z̃) - x‖², what data teach the generator.
    pub generator_data_error: Option<f32>,
    /// ‖g(z) - x̃‖², what the EBM teaches the generator.
    pub generator_ebm_error: Option<f32>,
    /// NLL(z̃; q(·|x)), what data teach the encoder.
    pub encoder_data_loss: Option<f32>,
    /// NLL(z; q(·|x̃)), what the generator teaches the encoder.
    pub encoder_model_loss: Option<f32>,
    /// ‖x̃ - x̂‖/‖x̂‖: how far the x-chain moves.
    pub displacement: Option<f32>,
    /// Energy at the x-chain's start and end.
    pub x_chain_energy: Option<[f32; 2]>,
    /// Share of the x-chain's proposals accepted, where it is MALA.
    pub x_chain_acceptance: Option<f32>,
    /// ‖g(z) - x‖² at the z-chain's start and end.
    pub z_chain_error: Option<[f32; 2]>,
    /// Learning rates of this iteration.
    pub rates: Rates,
}

impl Report {
    /// E(x) - E(x̃').
    pub fn energy_gap(&self) -> Option<f32> {
        Some(self.energy_data? - self.energy_model?)
    }
}

/// Learning rates; 0 for a network that is not there.
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

/// Everything an iteration has passed through; empty where the recipe lacks it. A replica's rows are
/// those of its share.
#[derive(Default)]
pub struct Passed {
    /// Prior latents z, `[batch, latent]`.
    pub z: Vec<f32>,
    /// Where the x-chains start, x̂ = g(z) with a generator, `[chains, data]`.
    pub x_hat: Vec<f32>,
    /// x̃, the x-chains' ends, `[chains, data]`; x̂ itself without an energy.
    pub x_tilde: Vec<f32>,
    /// z₀, `[batch, latent]`.
    pub z_0: Vec<f32>,
    /// z̃, the z-chain's end, `[batch, latent]`.
    pub z_tilde: Vec<f32>,
    /// x̃', the EBM's negatives, `[batch, data]`.
    pub negatives: Vec<f32>,
    /// Energies along the x-chain; behind the iteration's own chains come the persistent ones.
    pub x_trace: Trace,
    /// Errors along the z-chain.
    pub z_trace: Trace,
    /// Gradients of generator, encoder and energy, each in the order of its network's parameters, as the
    /// optimisers take them: means over the whole batch. Empty unless kept.
    pub gradients: Vec<Vec<Tensor<1>>>,
}

/// A whole iteration.
pub struct Iteration {
    /// Its figures.
    pub report: Report,
    /// What it has passed through.
    pub passed: Passed,
}

/// One network's update along the gradients of its loss, which are kept if they are asked for.
struct Update<'a> {
    share: &'a Share,
    keep: Gradients,
    kept: Vec<Vec<Tensor<1>>>,
}

impl Update<'_> {
    fn step(
        &mut self,
        optimiser: &mut Option<NetworkOptimiser>,
        rate: f64,
        parameters: &mut [Tensor<1>],
        gradients: Vec<Tensor<1>>,
    ) -> Result<(), TeachingError> {
        let gradients = self.share.mean(gradients)?;
        if self.keep == Gradients::Keep {
            self.kept.push(gradients.clone());
        }
        if let Some(optimiser) = optimiser {
            optimiser.step(rate, parameters, gradients);
        }
        Ok(())
    }
}

impl Teacher {
    /// One whole iteration on a batch of data, with everything it has passed through.
    /// ([`Teacher::step`] waits for it and keeps the report.)
    ///
    /// # Errors
    /// If the batch has another size, or a device fails.
    pub async fn iterate(&mut self, batch: &Batch, keep: Gradients) -> Result<Iteration, TeachingError> {
        let (t, whole) = (self.iteration, self.recipe.teaching.batch);
        let (latent, len) = (self.recipe.latent(), self.recipe.data_len());
        if batch.values.len() != whole * len || batch.samples.len() != whole {
            return Err(TeachingError::Batch { expected: whole * len, found: batch.values.len() });
        }
        if let Some(observer) = &mut self.observer {
            observer(Phase::Data);
        }
        let rates = self.rates();
        let in_batch = self.share.rows().clone();
        let (first, count) = (in_batch.start as u32, in_batch.len());
        let data = self.augmented(&batch.values[in_batch.start * len..in_batch.end * len], first, len);

        let Self {
            recipe,
            device,
            seed,
            networks,
            optimisers,
            averages,
            chains,
            persistent,
            kept,
            share,
            observer,
            ..
        } = self;
        let mut begin = |phase| {
            if let Some(observer) = observer {
                observer(phase);
            }
        };
        begin(Phase::XChain);
        let Networks { energy, generator, encoder } = networks;
        let teaching = &recipe.teaching;
        let vectors = |values: &[f32], len| rows(values, len, device);
        let x = vectors(&data, len);
        let mut update = Update { share, keep, kept: Vec::new() };
        let mut passed = Passed::default();
        let mut displaced = None;
        let mut acceptance = None;

        // Once an iteration: during the chains and in the losses E is one fixed function; unless the
        // recipe says otherwise.
        let norms_move =
            recipe.x_chain.is_some_and(|chain| chain.spectral_iteration == SpectralIteration::EachStep);
        for network in [&mut *generator, &mut *encoder].into_iter().flatten() {
            network.iterate_spectral_norms();
        }
        if let Some(energy) = energy
            && !norms_move
        {
            energy.iterate_spectral_norms();
        }
        let folded_energy = match energy {
            Some(energy) => chains.fold_energy(energy)?,
            None => None,
        };

        // x̂ = g(z). The forward is also the loss's.
        let generator_tape = generator.as_ref().map(|generator| generator.taped());
        let mut generated = None;
        if let Some(tape) = &generator_tape {
            passed.z = Noise::new(*seed, Stream::Prior).normal_rows(first, count, latent, t as u32);
            let output = tape.forward(vectors(&passed.z, latent), Normalise::Batch);
            passed.x_hat = read(output.value.clone().inner())?;
            generated = Some(output);
        }

        // The x-chain, and the persistent ones beside it.
        let chain_rows = ChainRows::of(recipe, &in_batch);
        let own = chain_rows.own.len();
        let mut slots = Vec::new();
        let mut carried_over = Vec::new();
        if let (Some(energy), Some(chain)) = (energy.as_mut(), &recipe.x_chain) {
            match chain.start {
                XStart::Generator => {}
                XStart::Noise => {
                    passed.x_hat = noise_start(*seed, &recipe.data_shape(), first, own, t as u32)
                }
                XStart::Data => passed.x_hat = data[..own * len].to_vec(),
            }
            let mut starts = passed.x_hat.clone();
            if let Some(persistent) = persistent {
                let (drawn, states) = persistent.draw(*seed, t);
                slots = drawn;
                let mine = &chain_rows.persistent;
                starts.extend_from_slice(&states[mine.start * len..mine.end * len]);
            }
            let walked = chains.x_chain(energy, folded_energy.as_ref(), &starts, t).await?;
            passed.x_tilde = walked.state;
            carried_over = passed.x_tilde.split_off(own * len);
            passed.x_trace = walked.trace;
            acceptance = walked.acceptance;
            if let Some(persistent) = persistent {
                let all = share.all_rows(&carried_over, &chain_rows.persistent, slots.len(), len)?;
                persistent.put_back(&slots, &all);
            }
            displaced = (own > 0).then(|| displacement(&passed.x_hat, &passed.x_tilde, len));
        } else {
            passed.x_tilde = passed.x_hat.clone();
        }

        begin(Phase::ZChain);
        // z₀, by default ~ q(z|x), and the z-chain from it.
        let encoder_tape = encoder.as_ref().map(|encoder| encoder.taped());
        let posterior = encoder_tape.as_ref().map(|tape| tape.forward(x.clone(), Normalise::Batch));
        if let (Some(generator), Some(chain), Some(settings)) =
            (generator.as_ref(), &recipe.z_chain, chains.z_settings())
        {
            passed.z_0 = match (chain.start, &posterior) {
                (kind @ (ZStart::Encoder | ZStart::Mean), Some(posterior)) => {
                    encoded_start(kind, &read(posterior.value.clone().inner())?, latent, *seed, (first, t))
                }
                (ZStart::Kept, _) => {
                    let fresh = prior_start(count, latent, *seed, (first, t));
                    kept.starts(&batch.samples[in_batch.clone()], fresh)
                }
                _ => prior_start(count, latent, *seed, (first, t)),
            };
            let Walked { state, trace, .. } =
                chains.z_chain(generator, &settings, &passed.z_0, &data, t).await?;
            if chain.start == ZStart::Kept {
                let all = share.all_rows(&state, &in_batch, whole, latent)?;
                kept.put_back(&batch.samples, &all);
            }
            (passed.z_tilde, passed.z_trace) = (state, trace);
        }
        let inferred = recipe.z_chain.is_some();

        begin(Phase::Generator);
        let mut generator_losses = None;
        if let (Some(tape), Some(generated)) = (generator_tape, &generated) {
            let data_term = inferred.then(|| {
                let z_tilde = vectors(&passed.z_tilde, latent);
                (tape.forward(z_tilde, Normalise::Batch).value, x.clone())
            });
            let ebm_term = energy.is_some().then(|| (generated.value.clone(), vectors(&passed.x_tilde, len)));
            let loss = generator_loss(data_term, ebm_term, teaching);
            generator_losses = loss.map(|loss| (tape.gradients(&mut loss.total.backward()), loss));
        }
        let generator_losses = match (generator.as_mut(), generated, generator_losses) {
            (Some(generator), Some(generated), Some((gradients, loss))) => {
                update.step(
                    &mut optimisers.generator,
                    rates.generator,
                    generator.parameters_mut(),
                    gradients,
                )?;
                generator.update_running(&share.statistics(generated.statistics)?);
                if let Some(average) = &mut averages.generator {
                    average.update(t, generator.parameters());
                }
                Some(loss)
            }
            _ => None,
        };

        begin(Phase::Encoder);
        let mut encoder_losses = None;
        if let (Some(tape), Some(posterior)) = (encoder_tape, &posterior) {
            let data_term = inferred.then(|| (vectors(&passed.z_tilde, latent), posterior.value.clone()));
            let of_model = tape.forward(vectors(&passed.x_tilde, len), Normalise::Batch).value;
            let model_term = Some((vectors(&passed.z, latent), of_model));
            let loss = encoder_loss(data_term, model_term, teaching);
            encoder_losses = loss.map(|loss| (tape.gradients(&mut loss.total.backward()), loss));
        }
        let encoder_losses = match (encoder.as_mut(), posterior, encoder_losses) {
            (Some(encoder), Some(posterior), Some((gradients, loss))) => {
                update.step(&mut optimisers.encoder, rates.encoder, encoder.parameters_mut(), gradients)?;
                encoder.update_running(&share.statistics(posterior.statistics)?);
                Some(loss)
            }
            _ => None,
        };

        begin(Phase::Energy);
        // The last rows of the negatives are the persistent chains'.
        let mut energy_losses = None;
        if let Some(energy) = energy {
            let rest = chain_rows.rest() * len;
            let mut negatives = match (teaching.negatives, generator.as_ref()) {
                (Negatives::Fresh | Negatives::Generator, Some(generator)) => {
                    let z = vectors(&passed.z, latent);
                    let updated = generator.constant().forward(z, Normalise::Batch);
                    let mut start = read(updated.value)?;
                    start.truncate(rest);
                    match teaching.negatives {
                        Negatives::Fresh if rest > 0 => {
                            chains.fresh_x_chain(energy, folded_energy.as_ref(), &start, t).await?.state
                        }
                        _ => start,
                    }
                }
                _ => passed.x_tilde[..rest].to_vec(),
            };
            negatives.extend(carried_over);
            if norms_move {
                energy.iterate_spectral_norms();
            }
            let tape = energy.taped();
            let loss = energy_loss(
                tape.forward(x, Normalise::Batch).value,
                tape.forward(vectors(&negatives, len), Normalise::Batch).value,
                teaching.energy_l2,
                recipe.temperature(),
            );
            let gradients = tape.gradients(&mut loss.total.backward());
            drop(tape);
            update.step(&mut optimisers.energy, rates.energy, energy.parameters_mut(), gradients)?;
            if let Some(average) = &mut averages.energy {
                average.update(t, energy.parameters());
            }
            passed.negatives = negatives;
            energy_losses = Some(loss);
        }

        begin(Phase::Figures);
        let kept_gradients = update.kept;
        self.iteration += 1;
        let mut figures = Figures::read(energy_losses, generator_losses, encoder_losses)?;
        let mut report = Report {
            iteration: self.iteration,
            energy_data: figures.next(),
            energy_model: figures.next(),
            energy_loss: figures.next(),
            generator_data_error: figures.next(),
            generator_ebm_error: figures.next(),
            encoder_data_loss: figures.next(),
            encoder_model_loss: figures.next(),
            displacement: displaced,
            x_chain_energy: ends(&passed.x_trace, own),
            x_chain_acceptance: acceptance,
            z_chain_error: ends(&passed.z_trace, count),
            rates,
        };
        self.share.report(&mut report, own, own + chain_rows.persistent.len())?;
        passed.gradients = kept_gradients;
        Ok(Iteration { report, passed })
    }

    fn rates(&self) -> Rates {
        let Recipe { optimiser, schedule, .. } = &self.recipe;
        let rate = |o: Option<Optimiser>| o.map_or(0.0, |o| schedule.rate(&o, self.iteration));
        Rates {
            energy: rate(optimiser.energy) * self.energy_rate_factor,
            generator: rate(optimiser.generator),
            encoder: rate(optimiser.encoder),
        }
    }

    /// Rows of the batch from `first` on, with some images mirrored and noise added, as far as the recipe
    /// says so.
    fn augmented(&self, data: &[f32], first: u32, len: usize) -> Vec<f32> {
        let mut data = data.to_vec();
        if self.recipe.data.flip
            && let [.., width] = self.recipe.data_shape()[..]
        {
            let noise = Noise::new(self.seed, Stream::Flip);
            for (row, image) in data.chunks_mut(len).enumerate() {
                if noise.below(first + row as u32, self.iteration as u32, 2) == 1 {
                    image.chunks_mut(width).for_each(<[f32]>::reverse);
                }
            }
        }
        let deviation = self.recipe.data.noise;
        if deviation > 0.0 {
            let noise = Noise::new(self.seed, Stream::DataNoise);
            let normals = noise.normal_rows(first, data.len() / len, len, self.iteration as u32);
            data.iter_mut().zip(normals).for_each(|(x, e)| *x += deviation * e);
        }
        data
    }
}

/// Figures of the losses, in the order of the report.
struct Figures(std::vec::IntoIter<Option<f32>>);

impl Figures {
    /// One read for all: each waits for the device.
    fn read(
        energy: Option<EnergyLoss>,
        generator: Option<TwoSided>,
        encoder: Option<TwoSided>,
    ) -> Result<Figures, DeviceError> {
        let energy = energy.map_or([None, None, None], |e| [Some(e.data), Some(e.model), Some(e.total)]);
        let sides = |loss: Option<TwoSided>| loss.map_or([None, None], |loss| [loss.data, loss.model]);
        let all: Vec<Option<Tensor<1>>> =
            energy.into_iter().chain(sides(generator)).chain(sides(encoder)).collect();
        let there: Vec<Tensor<1>> = all.iter().flatten().map(|t| t.clone().inner()).collect();
        let mut values = match there.is_empty() {
            true => Vec::new(),
            false => read(Tensor::cat(there, 0))?,
        }
        .into_iter();
        let figures: Vec<_> = all.iter().map(|t| t.as_ref().and_then(|_| values.next())).collect();
        Ok(Figures(figures.into_iter()))
    }

    fn next(&mut self) -> Option<f32> {
        self.0.next().flatten()
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

/// Means over the first `chains` chains of what was measured at the start and at the end. A trace
/// that has dropped its oldest rows begins with the oldest it has.
fn ends(trace: &Trace, chains: usize) -> Option<[f32; 2]> {
    let mean = |row: &[f32]| row[..chains].iter().sum::<f32>() / chains as f32;
    let mut rows = trace.rows();
    let first = rows.next().filter(|_| chains > 0)?;
    Some([mean(first), mean(trace.last())])
}
