//! One iteration as the paper tells it: x-chain, z-chain, and the updates of generator, encoder and energy.

use super::chains::{ChainRows, XChains, encoded_start, prior_start};
use super::folded::Folded;
use super::losses::{EnergyLoss, TwoSided, encoder_loss, energy_loss, generator_loss};
use super::share::Share;
use super::{Networks, Teacher, TeachingError};
use crate::networks::{BurnNetwork, DeviceError, Normalise, Output, Taped, read, rows};
use crate::optimiser::NetworkOptimiser;
use crate::recipe::{Negatives, Optimiser, Recipe, SpectralIteration, XStart, ZStart};
use burn::tensor::Tensor;
use dual_mcmc::chain::{Trace, noise_start};
use dual_mcmc::noise::{Noise, Stream};
use serde::Serialize;
use std::ops::Range;

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

    /// The phase's name in reports.
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

/// Figures of one iteration. Energies and errors are means over the whole batch. What belongs to
/// a network or a chain that the recipe does not have is absent.
#[derive(Clone, Debug, PartialEq, Serialize)]
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

    /// Why the iteration is no good, if so: a figure that is not finite, or energies that have run away (the
    /// authors stop at a gap of 10⁴).
    pub fn divergence(&self) -> Option<String> {
        if let Some(gap) = self.energy_gap().filter(|gap| gap.is_nan() || gap.abs() > 1e4) {
            return Some(format!("energy gap {gap:e}"));
        }
        let others = [
            ("energy loss", self.energy_loss),
            ("error data", self.generator_data_error),
            ("error EBM", self.generator_ebm_error),
            ("encoder's loss on data", self.encoder_data_loss),
            ("encoder's loss on samples", self.encoder_model_loss),
        ];
        let (name, value) =
            others.into_iter().find_map(|(name, v)| Some((name, v.filter(|v| !v.is_finite())?)))?;
        Some(format!("{name} {value}"))
    }
}

/// Learning rates; 0 for a network that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rates {
    /// The energy's learning rate.
    pub energy: f64,
    /// The generator's learning rate.
    pub generator: f64,
    /// The encoder's learning rate.
    pub encoder: f64,
}

/// Whether an iteration keeps the gradients it has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gradients {
    /// Keep them in [`Snapshot::gradients`].
    Keep,
    /// Let go of them.
    Drop,
}

/// What an iteration has computed on its way; empty where the recipe lacks it. A replica's rows are
/// those of its share.
#[derive(Default)]
pub struct Snapshot {
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
    /// The iteration's figures.
    pub report: Report,
    /// What the iteration has computed on its way.
    pub snapshot: Snapshot,
}

/// An iteration that has begun: what its phases hand on from one to the next.
pub struct RunningIteration {
    /// What has been computed so far.
    pub snapshot: Snapshot,
    /// The phase that has been run last.
    phase: Phase,
    keep: Gradients,
    rates: Rates,
    /// Rows of the batch that are this replica's, and which samples of the data all rows are.
    in_batch: Range<usize>,
    samples: Vec<usize>,
    /// The batch's data, augmented, in memory and as `x` on the device.
    data: Vec<f32>,
    x: Tensor<2>,
    chain_rows: ChainRows,
    folded_energy: Option<Folded>,
    /// g, and g(z).
    generator: Option<(Taped, Output)>,
    /// q, and q(·|x).
    encoder: Option<(Taped, Output)>,
    /// Ends of the persistent chains.
    persistent: Vec<f32>,
    x_chain_acceptance: Option<f32>,
    generator_loss: Option<TwoSided>,
    encoder_loss: Option<TwoSided>,
    energy_loss: Option<EnergyLoss>,
}

impl RunningIteration {
    /// The phase that is to be run next.
    pub fn next_phase(&self) -> Phase {
        // Nothing comes after the figures, which end an iteration.
        Phase::ALL.into_iter().find(|&other| other > self.phase).unwrap_or(Phase::Figures)
    }
}

impl Teacher {
    /// One whole iteration on a batch of data, with what it has computed on its way.
    /// ([`Teacher::step`] waits for it and keeps the report.)
    ///
    /// A caller who wants to stop between its phases calls them one by one, in this order.
    ///
    /// # Errors
    /// If the batch has another size, or a device fails.
    pub async fn iterate(&mut self, batch: &Batch, keep: Gradients) -> Result<Iteration, TeachingError> {
        let mut iteration = self.begin(batch, keep)?;
        self.run_x_chain(&mut iteration).await?;
        self.run_z_chain(&mut iteration).await?;
        self.update_generator(&mut iteration)?;
        self.update_encoder(&mut iteration)?;
        self.update_energy(&mut iteration).await?;
        self.finish(iteration)
    }

    /// Begin an iteration: take this replica's rows of the batch, augmented.
    ///
    /// # Errors
    /// If the batch has another size.
    pub fn begin(&mut self, batch: &Batch, keep: Gradients) -> Result<RunningIteration, TeachingError> {
        let (whole, len) = (self.recipe.teaching.batch, self.recipe.data_len());
        if batch.values.len() != whole * len || batch.samples.len() != whole {
            return Err(TeachingError::Batch { expected: whole * len, found: batch.values.len() });
        }
        self.observed(Phase::Data);
        let in_batch = self.share.rows().clone();
        let rows_of_share = &batch.values[in_batch.start * len..in_batch.end * len];
        let data = self.augmented(rows_of_share, in_batch.start as u32, len);
        Ok(RunningIteration {
            snapshot: Snapshot::default(),
            phase: Phase::Data,
            keep,
            rates: self.rates(),
            x: rows(&data, len, &self.device),
            data,
            samples: batch.samples.clone(),
            chain_rows: ChainRows::of(&self.recipe, &in_batch),
            in_batch,
            folded_energy: None,
            generator: None,
            encoder: None,
            persistent: Vec::new(),
            x_chain_acceptance: None,
            generator_loss: None,
            encoder_loss: None,
            energy_loss: None,
        })
    }

    /// Draw x̂ = g(z), and run the x-chain from it to x̃, with the persistent chains beside it.
    ///
    /// # Errors
    /// If a device fails.
    ///
    /// # Panics
    /// If it is not the iteration's next phase.
    pub async fn run_x_chain(&mut self, iteration: &mut RunningIteration) -> Result<(), TeachingError> {
        self.enter(iteration, Phase::XChain);
        let (first, count) = (iteration.in_batch.start as u32, iteration.in_batch.len());
        let (latent, len) = (self.recipe.latent(), self.recipe.data_len());
        let norms_move = self.spectral_norms_move();
        let t = self.iteration;
        let Networks { energy, generator, encoder } = &mut self.networks;
        // Once an iteration: during the chains and in the losses E is one fixed function; unless the
        // recipe says otherwise.
        for network in [&mut *generator, &mut *encoder].into_iter().flatten() {
            network.iterate_spectral_norms();
        }
        if let Some(energy) = energy {
            if !norms_move {
                energy.iterate_spectral_norms();
            }
            iteration.folded_energy = self.chains.fold_energy(energy)?;
        }

        let snapshot = &mut iteration.snapshot;
        if let Some(generator) = generator {
            // The forward is also the loss's.
            let tape = generator.taped();
            snapshot.z = Noise::new(self.seed, Stream::Prior).normal_rows(first, count, latent, t as u32);
            let output = tape.forward(rows(&snapshot.z, latent, &self.device), Normalise::Batch);
            snapshot.x_hat = read(output.value.clone().inner())?;
            iteration.generator = Some((tape, output));
        }

        let (Some(energy), Some(chain)) = (energy, &self.recipe.x_chain) else {
            snapshot.x_tilde = snapshot.x_hat.clone();
            return Ok(());
        };
        let own = iteration.chain_rows.own.len();
        match chain.start {
            XStart::Generator => {}
            XStart::Noise => {
                snapshot.x_hat = noise_start(self.seed, &self.recipe.data_shape(), first, own, t as u32);
            }
            XStart::Data => snapshot.x_hat = iteration.data[..own * len].to_vec(),
        }
        let mut starts = snapshot.x_hat.clone();
        let persistent_rows = &iteration.chain_rows.persistent;
        let mut slots = Vec::new();
        if let Some(persistent) = &mut self.persistent {
            let mut drawn = persistent.draw(self.seed, t);
            // The last rows of the batch, whose own chains are no negatives of the energy.
            let first = count - persistent_rows.len();
            for (row, chain) in persistent_rows.clone().enumerate() {
                if drawn.from_generator[chain] {
                    let x_hat = &snapshot.x_hat[(first + row) * len..][..len];
                    drawn.states[chain * len..][..len].copy_from_slice(x_hat);
                }
            }
            starts.extend_from_slice(&drawn.states[persistent_rows.start * len..persistent_rows.end * len]);
            slots = drawn.slots;
        }
        let folded = iteration.folded_energy.as_ref();
        let ends = self.chains.x_chain(XChains::Own, energy, folded, &starts, t).await?;
        snapshot.x_tilde = ends.state;
        snapshot.x_trace = ends.trace;
        iteration.x_chain_acceptance = ends.acceptance;
        iteration.persistent = snapshot.x_tilde.split_off(own * len);
        if let Some(persistent) = &mut self.persistent {
            let all = self.share.all_rows(&iteration.persistent, persistent_rows, slots.len(), len)?;
            persistent.put_back(&slots, &all);
        }
        Ok(())
    }

    /// Start at z₀, by default ~ q(z|x), and run the z-chain from it to z̃.
    ///
    /// # Errors
    /// If a device fails.
    ///
    /// # Panics
    /// If it is not the iteration's next phase.
    pub async fn run_z_chain(&mut self, iteration: &mut RunningIteration) -> Result<(), TeachingError> {
        self.enter(iteration, Phase::ZChain);
        if let Some(encoder) = &self.networks.encoder {
            let tape = encoder.taped();
            let posterior = tape.forward(iteration.x.clone(), Normalise::Batch);
            iteration.encoder = Some((tape, posterior));
        }
        let (Some(generator), Some(chain), Some(settings)) =
            (&self.networks.generator, &self.recipe.z_chain, self.chains.z_settings())
        else {
            return Ok(());
        };
        let (t, latent, seed) = (self.iteration, self.recipe.latent(), self.seed);
        let (first, count) = (iteration.in_batch.start as u32, iteration.in_batch.len());
        let snapshot = &mut iteration.snapshot;
        snapshot.z_0 = match (chain.start, &iteration.encoder) {
            (kind @ (ZStart::Encoder | ZStart::Mean), Some((_, posterior))) => {
                encoded_start(kind, &read(posterior.value.clone().inner())?, latent, seed, (first, t))
            }
            (ZStart::Kept, _) => {
                let fresh = prior_start(count, latent, seed, (first, t));
                self.kept.starts(&iteration.samples[iteration.in_batch.clone()], fresh)
            }
            _ => prior_start(count, latent, seed, (first, t)),
        };
        let ends = self.chains.z_chain(generator, &settings, &snapshot.z_0, &iteration.data, t).await?;
        if chain.start == ZStart::Kept {
            let whole = self.recipe.teaching.batch;
            let all = self.share.all_rows(&ends.state, &iteration.in_batch, whole, latent)?;
            self.kept.put_back(&iteration.samples, &all);
        }
        (snapshot.z_tilde, snapshot.z_trace) = (ends.state, ends.trace);
        Ok(())
    }

    /// Update the generator: towards the data from z̃, and towards x̃ from z.
    ///
    /// # Errors
    /// If a device fails.
    ///
    /// # Panics
    /// If it is not the iteration's next phase.
    pub fn update_generator(&mut self, iteration: &mut RunningIteration) -> Result<(), TeachingError> {
        self.enter(iteration, Phase::Generator);
        let (Some(generator), Some((tape, generated))) =
            (&mut self.networks.generator, iteration.generator.take())
        else {
            return Ok(());
        };
        let (latent, len) = (self.recipe.latent(), self.recipe.data_len());
        let snapshot = &mut iteration.snapshot;
        let data_term = self.recipe.z_chain.is_some().then(|| {
            let z_tilde = rows(&snapshot.z_tilde, latent, &self.device);
            (tape.forward(z_tilde, Normalise::Batch).value, iteration.x.clone())
        });
        let ebm_term = self.networks.energy.is_some().then(|| {
            let x_tilde = rows(&snapshot.x_tilde, len, &self.device);
            (generated.value.clone(), x_tilde)
        });
        let Some(loss) = generator_loss(data_term, ebm_term, &self.recipe.teaching) else { return Ok(()) };
        let kept = (iteration.keep == Gradients::Keep).then_some(&mut snapshot.gradients);
        let (optimiser, rate) = (&mut self.optimisers.generator, iteration.rates.generator);
        descend(generator, tape, &loss.total, &self.share, optimiser.as_mut(), rate, kept)?;
        generator.update_running(&self.share.statistics(generated.statistics)?);
        if let Some(average) = &mut self.averages.generator {
            average.update(self.iteration, generator.parameters());
        }
        iteration.generator_loss = Some(loss);
        Ok(())
    }

    /// Update the encoder: towards z̃ from the data, and towards z from x̃.
    ///
    /// # Errors
    /// If a device fails.
    ///
    /// # Panics
    /// If it is not the iteration's next phase.
    pub fn update_encoder(&mut self, iteration: &mut RunningIteration) -> Result<(), TeachingError> {
        self.enter(iteration, Phase::Encoder);
        let (Some(encoder), Some((tape, posterior))) = (&mut self.networks.encoder, iteration.encoder.take())
        else {
            return Ok(());
        };
        let (latent, len) = (self.recipe.latent(), self.recipe.data_len());
        let snapshot = &mut iteration.snapshot;
        let data_term = self.recipe.z_chain.is_some().then(|| {
            let z_tilde = rows(&snapshot.z_tilde, latent, &self.device);
            (z_tilde, posterior.value.clone())
        });
        let x_tilde = rows(&snapshot.x_tilde, len, &self.device);
        let of_model = tape.forward(x_tilde, Normalise::Batch).value;
        let model_term = Some((rows(&snapshot.z, latent, &self.device), of_model));
        let Some(loss) = encoder_loss(data_term, model_term, &self.recipe.teaching) else { return Ok(()) };
        let kept = (iteration.keep == Gradients::Keep).then_some(&mut snapshot.gradients);
        let (optimiser, rate) = (&mut self.optimisers.encoder, iteration.rates.encoder);
        descend(encoder, tape, &loss.total, &self.share, optimiser.as_mut(), rate, kept)?;
        encoder.update_running(&self.share.statistics(posterior.statistics)?);
        iteration.encoder_loss = Some(loss);
        Ok(())
    }

    /// Update the energy: down at the data, up at the negatives.
    ///
    /// # Errors
    /// If a device fails.
    ///
    /// # Panics
    /// If it is not the iteration's next phase.
    pub async fn update_energy(&mut self, iteration: &mut RunningIteration) -> Result<(), TeachingError> {
        self.enter(iteration, Phase::Energy);
        if self.networks.energy.is_none() {
            return Ok(());
        }
        let negatives = self.negatives(iteration).await?;
        let norms_move = self.spectral_norms_move();
        let Some(energy) = &mut self.networks.energy else { return Ok(()) };
        if norms_move {
            energy.iterate_spectral_norms();
        }
        let tape = energy.taped();
        let negative_rows = rows(&negatives, self.recipe.data_len(), &self.device);
        let loss = energy_loss(
            tape.forward(iteration.x.clone(), Normalise::Batch).value,
            tape.forward(negative_rows, Normalise::Batch).value,
            self.recipe.teaching.energy_l2,
            self.recipe.temperature(),
        );
        let snapshot = &mut iteration.snapshot;
        let kept = (iteration.keep == Gradients::Keep).then_some(&mut snapshot.gradients);
        let (optimiser, rate) = (&mut self.optimisers.energy, iteration.rates.energy);
        descend(energy, tape, &loss.total, &self.share, optimiser.as_mut(), rate, kept)?;
        if let Some(average) = &mut self.averages.energy {
            average.update(self.iteration, energy.parameters());
        }
        snapshot.negatives = negatives;
        iteration.energy_loss = Some(loss);
        Ok(())
    }

    /// x̃', what the energy's loss sets against the data. The last rows are the persistent chains'.
    async fn negatives(&mut self, iteration: &mut RunningIteration) -> Result<Vec<f32>, TeachingError> {
        let (latent, len) = (self.recipe.latent(), self.recipe.data_len());
        let rest = iteration.chain_rows.rest() * len;
        let kind = self.recipe.teaching.negatives;
        let mut negatives = match (kind, &self.networks.generator) {
            (Negatives::Fresh | Negatives::Generator, Some(generator)) => {
                let z = rows(&iteration.snapshot.z, latent, &self.device);
                let mut generated = read(generator.constant().forward(z, Normalise::Batch).value)?;
                generated.truncate(rest);
                match &mut self.networks.energy {
                    Some(energy) if kind == Negatives::Fresh && rest > 0 => {
                        let folded = iteration.folded_energy.as_ref();
                        let (which, t) = (XChains::Fresh, self.iteration);
                        self.chains.x_chain(which, energy, folded, &generated, t).await?.state
                    }
                    _ => generated,
                }
            }
            _ => iteration.snapshot.x_tilde[..rest].to_vec(),
        };
        negatives.append(&mut iteration.persistent);
        Ok(negatives)
    }

    /// End an iteration: read its figures.
    ///
    /// # Errors
    /// If a device fails.
    ///
    /// # Panics
    /// If not all of its phases were run.
    pub fn finish(&mut self, mut iteration: RunningIteration) -> Result<Iteration, TeachingError> {
        self.enter(&mut iteration, Phase::Figures);
        self.iteration += 1;
        let RunningIteration { snapshot, chain_rows, in_batch, rates, .. } = iteration;
        let own = chain_rows.own.len();
        let has_x_chain = self.networks.energy.is_some() && self.recipe.x_chain.is_some();
        let len = self.recipe.data_len();
        let mut report = Report {
            iteration: self.iteration,
            energy_data: None,
            energy_model: None,
            energy_loss: None,
            generator_data_error: None,
            generator_ebm_error: None,
            encoder_data_loss: None,
            encoder_model_loss: None,
            displacement: (has_x_chain && own > 0)
                .then(|| displacement(&snapshot.x_hat, &snapshot.x_tilde, len)),
            x_chain_energy: ends(&snapshot.x_trace, own),
            x_chain_acceptance: iteration.x_chain_acceptance,
            z_chain_error: ends(&snapshot.z_trace, in_batch.len()),
            rates,
        };
        let mut figures: Vec<(&mut Option<f32>, Tensor<1>)> = Vec::new();
        if let Some(loss) = iteration.energy_loss {
            figures.push((&mut report.energy_data, loss.data));
            figures.push((&mut report.energy_model, loss.model));
            figures.push((&mut report.energy_loss, loss.total));
        }
        if let Some(loss) = iteration.generator_loss {
            figures.extend(loss.data.map(|error| (&mut report.generator_data_error, error)));
            figures.extend(loss.model.map(|error| (&mut report.generator_ebm_error, error)));
        }
        if let Some(loss) = iteration.encoder_loss {
            figures.extend(loss.data.map(|loss| (&mut report.encoder_data_loss, loss)));
            figures.extend(loss.model.map(|loss| (&mut report.encoder_model_loss, loss)));
        }
        read_figures(figures)?;
        self.share.report(&mut report, own, own + chain_rows.persistent.len())?;
        Ok(Iteration { report, snapshot })
    }

    /// Go over to the next phase.
    fn enter(&mut self, iteration: &mut RunningIteration, phase: Phase) {
        assert_eq!(phase, iteration.next_phase(), "the phases of an iteration have an order");
        iteration.phase = phase;
        self.observed(phase);
    }

    fn observed(&mut self, phase: Phase) {
        if let Some(observer) = &mut self.observer {
            observer(phase);
        }
    }

    /// Whether the energy's spectral norms move with each step of the x-chain instead of once an iteration.
    fn spectral_norms_move(&self) -> bool {
        self.recipe.x_chain.is_some_and(|chain| chain.spectral_iteration == SpectralIteration::EachStep)
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

/// Takes an optimiser's step of `network` along the gradients of `loss`, of which `tape` is the record. The gradients
/// are means over the whole batch; they are added to `kept`, where that is given.
fn descend(
    network: &mut BurnNetwork,
    tape: Taped,
    loss: &Tensor<1>,
    share: &Share,
    optimiser: Option<&mut NetworkOptimiser>,
    rate: f64,
    kept: Option<&mut Vec<Vec<Tensor<1>>>>,
) -> Result<(), TeachingError> {
    let gradients = share.mean(tape.gradients(&mut loss.backward()))?;
    drop(tape);
    if let Some(kept) = kept {
        kept.push(gradients.clone());
    }
    if let Some(optimiser) = optimiser {
        optimiser.step(rate, network.parameters_mut(), gradients);
    }
    Ok(())
}

/// Read figures to their places, all at once: each read waits for the device.
fn read_figures(figures: Vec<(&mut Option<f32>, Tensor<1>)>) -> Result<(), DeviceError> {
    let (places, tensors): (Vec<_>, Vec<_>) = figures.into_iter().unzip();
    if tensors.is_empty() {
        return Ok(());
    }
    let values = read(Tensor::cat(tensors.into_iter().map(Tensor::inner).collect(), 0))?;
    places.into_iter().zip(values).for_each(|(place, value)| *place = Some(value));
    Ok(())
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn runaway_gaps_and_figures_that_are_no_numbers_are_divergences() {
        let healthy = Report {
            iteration: 1,
            energy_data: Some(9_000.0),
            energy_model: Some(-900.0),
            energy_loss: Some(9_900.0),
            generator_data_error: Some(1e6),
            generator_ebm_error: None,
            encoder_data_loss: Some(-3.0),
            encoder_model_loss: Some(0.0),
            displacement: None,
            x_chain_energy: None,
            x_chain_acceptance: None,
            z_chain_error: None,
            rates: Rates { energy: 1.0, generator: 1.0, encoder: 1.0 },
        };
        assert_eq!(healthy.divergence(), None);
        let away = Report { energy_model: Some(20_000.0), ..healthy.clone() };
        assert_eq!(away.divergence().unwrap(), "energy gap -1.1e4");
        let nan = Report { energy_data: Some(f32::NAN), ..healthy.clone() };
        assert_eq!(nan.divergence().unwrap(), "energy gap NaN");
        let no_energy = Report { energy_data: None, energy_model: None, energy_loss: None, ..healthy };
        assert_eq!(no_energy.divergence(), None);
        let infinite = Report { generator_data_error: Some(f32::INFINITY), ..no_energy.clone() };
        assert_eq!(infinite.divergence().unwrap(), "error data inf");
        let encoder = Report { encoder_model_loss: Some(f32::NAN), ..no_energy };
        assert_eq!(encoder.divergence().unwrap(), "encoder's loss on samples NaN");
    }
}
