//! What a recipe must satisfy beyond its types.

use super::{Optimiser, Recipe, RecipeError};

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
        require("data", self.data.count != Some(0), "count must be at least 1")?;
        self.check_networks()?;
        self.check_chains()?;
        self.check_teaching()?;
        check_optimiser("optimiser.energy", &self.optimiser.energy)?;
        check_optimiser("optimiser.generator", &self.optimiser.generator)?;
        check_optimiser("optimiser.encoder", &self.optimiser.encoder)?;
        let s = &self.schedule;
        require("schedule", s.iterations > 0, "iterations must be at least 1")?;
        let constant = (0.0..=1.0).contains(&s.constant);
        require("schedule", constant, format!("constant must be between 0 and 1, and is {}", s.constant))?;
        if let Some(decay) = s.decay {
            let holds = decay.factor > 0.0 && decay.factor <= 1.0 && decay.every > 0;
            require("schedule.decay", holds, "factor must be in (0, 1], and every at least 1")?;
        }
        let ema = self.ema.generator;
        require("ema", (0.0..1.0).contains(&ema), format!("generator must be in [0, 1), and is {ema}"))?;
        require("export", self.export.statistics_batches > 0, "statistics_batches must be at least 1")
    }

    fn check_networks(&self) -> Result<(), RecipeError> {
        let named = |section| move |error| RecipeError::Network { section, error: Box::new(error) };
        // Each network by itself first, so that the message is about its own layers.
        self.energy.folded().shapes().map_err(named("energy"))?;
        self.generator.folded().shapes().map_err(named("generator"))?;
        self.encoder.folded().shapes().map_err(named("encoder"))?;
        self.energy.folded().check_energy(self.data_shape()).map_err(named("energy"))?;
        let latent =
            self.generator.folded().check_generator(self.data_shape()).map_err(named("generator"))?;
        self.encoder.folded().check_encoder(self.data_shape(), latent).map_err(named("encoder"))?;
        let reason = "batch_norm would make a sample's energy depend on its batch, so that the x-chain \
                      has no fixed target; use spectral_norm";
        require("energy", !self.energy.has_batch_norm(), reason)
    }

    fn check_chains(&self) -> Result<(), RecipeError> {
        let wrong = |section| move |reason| RecipeError::Value { section, reason };
        self.x_chain.settings().langevin.check().map_err(wrong("x_chain"))?;
        self.z_chain.settings().langevin.check().map_err(wrong("z_chain"))?;
        let sigma = self.z_chain.sigma;
        let holds = sigma.is_finite() && sigma > 0.0;
        require("z_chain", holds, format!("sigma must be positive, and is {sigma}"))?;
        if let Some(chain) = &self.sample_chain {
            chain.settings().langevin.check().map_err(wrong("sample_chain"))?;
        }
        // The energy's loss is divided by T.
        let reason = "noise must be positive: the temperature (noise/step_size)² divides the energy's loss";
        require("x_chain", self.x_chain.noise > 0.0, reason)
    }

    fn check_teaching(&self) -> Result<(), RecipeError> {
        let t = &self.teaching;
        let normalises = self.generator.has_batch_norm() || self.encoder.has_batch_norm();
        require("teaching", t.batch >= 1, "batch must be at least 1")?;
        require("teaching", t.batch >= 2 || !normalises, "batch must be at least 2 with batch_norm layers")?;
        require("teaching", t.batch <= 1 << 20, "batch must be at most 1048576")?;
        not_negative("teaching", "lambda_data", t.lambda_data)?;
        not_negative("teaching", "lambda_ebm", t.lambda_ebm)?;
        not_negative("teaching", "lambda_inf", t.lambda_inf)?;
        not_negative("teaching", "energy_l2", t.energy_l2)?;
        let Some(p) = &t.persistent else { return Ok(()) };
        share("teaching.persistent", "share", p.share)?;
        share("teaching.persistent", "restart", p.restart)?;
        let [low, high] = p.range;
        let holds = low.is_finite() && high.is_finite() && low < high;
        require("teaching.persistent", holds, format!("range [{low}, {high}] is not a range"))?;
        let drawn = (p.share * t.batch as f32).round() as usize;
        let reason =
            format!("size must be at least the {drawn} chains that one batch draws, and is {}", p.size);
        require("teaching.persistent", p.size >= drawn.max(1), reason)?;
        let elements = p.size.checked_mul(self.data_shape().iter().product());
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
    let epsilon = o.epsilon.is_finite() && o.epsilon > 0.0;
    require(section, epsilon, format!("epsilon must be positive, and is {}", o.epsilon))?;
    not_negative(section, "weight_decay", o.weight_decay)?;
    match o.clip {
        Some(clip) => require(section, clip > 0.0, format!("clip must be positive, and is {clip}")),
        None => Ok(()),
    }
}
