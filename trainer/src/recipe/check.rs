//! What a recipe must satisfy beyond its types.

use super::{
    ChainStatistics, Engine, Negatives, Optimiser, Recipe, RecipeError, SpectralIteration, TrainLayer,
    TrainNetwork, XStart, ZStart,
};
use dual_mcmc::network::Layer;

/// `Err` with the section unless `holds`.
fn require(section: &'static str, holds: bool, reason: impl Into<String>) -> Result<(), RecipeError> {
    if holds { Ok(()) } else { Err(RecipeError::Value { section, reason: reason.into() }) }
}

fn not_negative(section: &'static str, key: &str, value: f32) -> Result<(), RecipeError> {
    let holds = value.is_finite() && value >= 0.0;
    require(section, holds, format!("{key} must be a number of at least 0, and is {value}"))
}

fn share(section: &'static str, key: &str, value: f32) -> Result<(), RecipeError> {
    require(section, (0.0..=1.0).contains(&value), format!("{key} must be between 0 and 1, and is {value}"))
}

impl Recipe {
    /// Check that the networks fit together and that every number is possible.
    ///
    /// # Errors
    /// The first problem found, with its section.
    pub fn check(&self) -> Result<(), RecipeError> {
        require("name", !self.name.trim().is_empty(), "must not be empty")?;
        require("data", !self.data.set.trim().is_empty(), "set must name a data set")?;
        not_negative("data", "noise", self.data.noise)?;
        // Points are numbered in 32 bits.
        let count = self.data.count.is_none_or(|count| (10..=1 << 31).contains(&count));
        require("data", count, "count must be between 10 and 2147483648")?;
        self.check_sections()?;
        self.check_networks()?;
        require("data", !self.data.flip || self.data_shape().len() == 3, "flip is for images")?;
        self.check_chains()?;
        self.check_teaching()?;
        let o = &self.optimiser;
        for (section, optimiser) in [
            ("optimiser.energy", &o.energy),
            ("optimiser.generator", &o.generator),
            ("optimiser.encoder", &o.encoder),
        ] {
            optimiser.as_ref().map_or(Ok(()), |optimiser| check_optimiser(section, optimiser))?;
        }
        let s = &self.schedule;
        require("schedule", s.iterations > 0, "iterations must be at least 1")?;
        let constant = (0.0..=1.0).contains(&s.constant);
        require("schedule", constant, format!("constant must be between 0 and 1, and is {}", s.constant))?;
        if let Some(decay) = s.decay {
            let holds = decay.factor > 0.0 && decay.factor <= 1.0 && decay.every > 0;
            require("schedule.decay", holds, "factor must be in (0, 1], and every at least 1")?;
        }
        for (key, ema) in [("generator", self.ema.generator), ("energy", self.ema.energy)] {
            require("ema", (0.0..1.0).contains(&ema), format!("{key} must be in [0, 1), and is {ema}"))?;
        }
        require("export", self.export.statistics_batches > 0, "statistics_batches must be at least 1")
    }

    /// Whether every section that is needed is there, and none that has no use.
    fn check_sections(&self) -> Result<(), RecipeError> {
        let sections = |holds: bool, reason: &str| match holds {
            true => Ok(()),
            false => Err(RecipeError::Sections(reason.into())),
        };
        let (energy, generator, encoder) =
            (self.energy.is_some(), self.generator.is_some(), self.encoder.is_some());
        sections(energy || generator, "a recipe needs an [energy], a [generator], or both")?;
        sections(generator || !encoder, "an [encoder] needs a [generator] whose latents it infers")?;
        sections(energy == self.x_chain.is_some(), "[energy] and [x_chain] need each other")?;
        sections(generator || self.z_chain.is_none(), "a [z_chain] needs a [generator]")?;
        let taught = energy || self.z_chain.is_some();
        sections(taught, "nothing teaches the generator: give an [energy], or a [z_chain], or both")?;
        let o = &self.optimiser;
        for (name, network, optimiser) in [
            ("energy", energy, o.energy.is_some()),
            ("generator", generator, o.generator.is_some()),
            ("encoder", encoder, o.encoder.is_some()),
        ] {
            sections(network == optimiser, &format!("[{name}] and [optimiser.{name}] need each other"))?;
        }
        let fit = energy || self.sample_chain.is_none();
        sections(fit, "a [sample_chain] needs an [energy]")?;
        let fit = generator || self.reconstruct_chain.is_none();
        sections(fit, "a [reconstruct_chain] needs a [generator]")
    }

    fn check_networks(&self) -> Result<(), RecipeError> {
        let named = |section| move |error| RecipeError::Network { section, error: Box::new(error) };
        let all = [("energy", &self.energy), ("generator", &self.generator), ("encoder", &self.encoder)];
        // Each network by itself first, so that the message is about its own layers.
        for (section, network) in all {
            let Some(network) = network else { continue };
            network.folded().shapes().map_err(named(section))?;
            let transposed = |(_, l): &(String, &TrainLayer)| {
                matches!(l, TrainLayer::Plain(Layer::ConvTranspose2d { .. }))
            };
            let covered = !network.spectral_norm || !network.leaves().iter().any(transposed);
            require(
                section,
                covered,
                "spectral_norm is not defined here for conv_transpose2d; use an upsample and a conv2d",
            )?;
        }
        let data = self.data_shape();
        if let Some(energy) = &self.energy {
            energy.folded().check_energy(&data).map_err(named("energy"))?;
            let reason = "batch_norm would make a sample's energy depend on its batch, so that the x-chain \
                          has no fixed target; use spectral_norm";
            require("energy", !energy.has_batch_norm(), reason)?;
        }
        let Some(generator) = &self.generator else { return Ok(()) };
        let latent = generator.folded().check_generator(&data).map_err(named("generator"))?;
        let Some(encoder) = &self.encoder else { return Ok(()) };
        encoder.folded().check_encoder(&data, latent).map_err(named("encoder"))
    }

    fn check_chains(&self) -> Result<(), RecipeError> {
        let wrong = |section| move |reason| RecipeError::Value { section, reason };
        if let Some(chain) = &self.x_chain {
            chain.settings().langevin.check().map_err(wrong("x_chain"))?;
            // The energy's loss is divided by T.
            let reason =
                "noise must be positive: the temperature (noise/step_size)² divides the energy's loss";
            require("x_chain", chain.noise > 0.0, reason)?;
            let of_generator = chain.start == XStart::Generator;
            let starts = self.generator.is_some() || !of_generator;
            require("x_chain", starts, "without a [generator] start must be \"noise\" or \"data\"")?;
            // What the EBM teaches the generator are pairs: its sample, and where the chain from it ends.
            let starts = self.generator.is_none() || of_generator;
            require("x_chain", starts, "with a [generator] start must be \"generator\"")?;
            let once = chain.spectral_iteration == SpectralIteration::Once;
            let reason = "MALA needs one fixed energy: spectral_iteration must be \"once\"";
            require("x_chain", once || !chain.mala, reason)?;
            let reason = "MALA runs on the executor: engine must not be \"burn\"";
            require("x_chain", chain.engine != Engine::Burn || !chain.mala, reason)?;
            let reason = "only burn can move spectral norms at each step: engine must not be \"executor\"";
            require("x_chain", chain.engine != Engine::Executor || once, reason)?;
        }
        let sigma = |section, sigma: f32| {
            let holds = sigma.is_finite() && sigma > 0.0;
            require(section, holds, format!("sigma must be positive, and is {sigma}"))
        };
        if let Some(chain) = &self.z_chain {
            chain.settings().langevin.check().map_err(wrong("z_chain"))?;
            sigma("z_chain", chain.sigma)?;
            let starts = self.encoder.is_some() || !matches!(chain.start, ZStart::Encoder | ZStart::Mean);
            require("z_chain", starts, "without an [encoder] start must be \"prior\" or \"kept\"")?;
            let kept = chain.start == ZStart::Kept;
            let reason = "a kept latent is of one image, not of its mirror image too: leave out data.flip";
            require("z_chain", !(kept && self.data.flip), reason)?;
            let of_batch = chain.batch_norm == ChainStatistics::Batch;
            let reason = "only burn can take each step's own statistics: engine must not be \"executor\"";
            require("z_chain", chain.engine != Engine::Executor || !of_batch, reason)?;
        }
        if let Some(chain) = &self.sample_chain {
            chain.langevin.check().map_err(wrong("sample_chain"))?;
        }
        if let Some(chain) = &self.reconstruct_chain {
            chain.langevin.check_z().map_err(wrong("reconstruct_chain"))?;
            sigma("reconstruct_chain", chain.sigma)?;
        }
        Ok(())
    }

    fn check_teaching(&self) -> Result<(), RecipeError> {
        let t = &self.teaching;
        let normalises =
            [&self.generator, &self.encoder].into_iter().flatten().any(TrainNetwork::has_batch_norm);
        require("teaching", t.batch >= 1, "batch must be at least 1")?;
        require("teaching", t.batch >= 2 || !normalises, "batch must be at least 2 with batch_norm layers")?;
        require("teaching", t.batch <= 1 << 20, "batch must be at most 1048576")?;
        not_negative("teaching", "lambda_data", t.lambda_data)?;
        not_negative("teaching", "lambda_ebm", t.lambda_ebm)?;
        not_negative("teaching", "lambda_inf", t.lambda_inf)?;
        let by_data = self.z_chain.is_some() && t.lambda_data > 0.0;
        let by_ebm = self.energy.is_some() && t.lambda_ebm > 0.0;
        let reason = "nothing teaches the generator: lambda_data (with a [z_chain]) or lambda_ebm (with an \
                      [energy]) must be above 0";
        require("teaching", self.generator.is_none() || by_data || by_ebm, reason)?;
        not_negative("teaching", "energy_l2", t.energy_l2)?;
        let generates = self.generator.is_some() || t.negatives == Negatives::Chain;
        require("teaching", generates, "without a [generator] negatives must be \"chain\"")?;
        let Some(p) = &t.persistent else { return Ok(()) };
        require("teaching.persistent", self.energy.is_some(), "persistent chains need an [energy]")?;
        share("teaching.persistent", "share", p.share)?;
        share("teaching.persistent", "restart", p.restart)?;
        share("teaching.persistent", "from_generator", p.from_generator)?;
        let generates = self.generator.is_some() || p.from_generator == 0.0;
        require("teaching.persistent", generates, "without a [generator] from_generator must be 0")?;
        let [low, high] = p.range;
        let holds = low.is_finite() && high.is_finite() && low < high;
        require("teaching.persistent", holds, format!("range [{low}, {high}] is not a range"))?;
        let drawn = (p.share * t.batch as f32).round() as usize;
        let reason =
            format!("size must be at least the {drawn} chains that one batch draws, and is {}", p.size);
        require("teaching.persistent", p.size >= drawn.max(1), reason)?;
        let elements = p.size.checked_mul(self.data_len());
        let fits = elements.is_some_and(|n| n <= 1 << 28);
        require("teaching.persistent", fits, format!("{} chains of this size do not fit in memory", p.size))
    }
}

fn check_optimiser(section: &'static str, o: &Optimiser) -> Result<(), RecipeError> {
    let rate = o.rate.is_finite() && o.rate > 0.0;
    require(section, rate, format!("rate must be positive, and is {}", o.rate))?;
    for (key, beta) in [("beta1", o.beta1), ("beta2", o.beta2)] {
        require(section, (0.0..1.0).contains(&beta), format!("{key} must be in [0, 1), and is {beta}"))?;
    }
    let share = (0.0..=1.0).contains(&o.final_share);
    require(section, share, format!("final_share must be in [0, 1], and is {}", o.final_share))?;
    let epsilon = o.epsilon.is_finite() && o.epsilon > 0.0;
    require(section, epsilon, format!("epsilon must be positive, and is {}", o.epsilon))?;
    not_negative(section, "weight_decay", o.weight_decay)?;
    match o.clip {
        Some(clip) => require(section, clip > 0.0, format!("clip must be positive, and is {clip}")),
        None => Ok(()),
    }
}
