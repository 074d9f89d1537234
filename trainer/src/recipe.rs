//! The recipe: everything that a training run is, as one TOML file.
//!
//! A recipe names the data, describes the networks, sets both chains, the loss weights, the
//! optimisers and the schedule. Unknown keys are errors, so that a misspelt setting is never
//! silently a default. Where a default exists it is the paper's or the authors' code's.
//!
//! Dual-MCMC teaching has three networks and two chains. Baselines leave some of them out: without
//! the encoder it is cooperative learning, without the energy a generator learned by its posterior
//! chain, without the generator an energy learned from chains that start at noise.

mod chains;
mod check;
mod compare;
mod network;
mod overrides;
mod sizes;
mod suggest;

pub use chains::{ChainStatistics, Engine, SpectralIteration, XChain, XStart, ZChain, ZStart};
pub use network::{BatchNormWeight, Initialisation, TrainLayer, TrainNetwork};

use dual_mcmc::chain::{XChainSettings, ZChainSettings};
use dual_mcmc::model::ChainDefaults;
use serde::{Deserialize, Serialize};

/// One training recipe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the recipe, for titles and reports.
    pub name: String,
    /// What is learned from.
    pub data: Data,
    /// E_θ: data → `[1]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<TrainNetwork>,
    /// g_φ: `[latent]` → data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<TrainNetwork>,
    /// q_ψ: data → `[2·latent]`, means then log-variances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<TrainNetwork>,
    /// The x-chain of the training iteration: with an energy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x_chain: Option<XChain>,
    /// The z-chain of the training iteration. Without one, data teach the generator nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub z_chain: Option<ZChain>,
    /// Loss weights and negatives.
    pub teaching: Teaching,
    /// One optimiser for each network.
    pub optimiser: Optimisers,
    /// Length of the run and its learning rates.
    pub schedule: Schedule,
    /// Averages of weights.
    #[serde(default)]
    pub ema: Ema,
    /// The x-chain that the exported model recommends; the training one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_chain: Option<XChainSettings>,
    /// The z-chain that the exported model recommends; the training one where absent. Its generator is
    /// not the one that the training chain runs on: batch norms are folded with other statistics, and
    /// the largest stable step differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconstruct_chain: Option<ZChainSettings>,
    /// How the model is folded for export.
    #[serde(default)]
    pub export: Export,
}

/// What is learned from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// Name of the data set: `ring`, `moons`, `spiral`, `checkerboard`, `mnist`, `fashion-mnist`,
    /// `cifar10`, `noto-emoji`, or what `--data` names.
    pub set: String,
    /// Standard deviation of Gaussian noise added to every batch.
    #[serde(default)]
    pub noise: f32,
    /// Mirror each image left to right with probability ½.
    #[serde(default)]
    pub flip: bool,
    /// How many points are drawn of a synthetic set; the program's default where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
}

/// What the EBM's loss sets against the data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Negatives {
    /// The end points x̃ of the iteration's x-chain (the paper's equation 7).
    #[default]
    Chain,
    /// End points of a second x-chain, from the UPDATED generator on the same z (the authors'
    /// released recipes).
    Fresh,
    /// The updated generator's own output, without a chain.
    Generator,
}

/// Loss weights, batch and negatives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teaching {
    /// Samples of data, and of the prior, in one iteration.
    pub batch: usize,
    /// λ_data: weight of what data teach the generator and the encoder.
    #[serde(default = "one")]
    pub lambda_data: f32,
    /// λ_ebm: weight of what the EBM teaches the generator.
    #[serde(default = "one")]
    pub lambda_ebm: f32,
    /// λ_inf: weight of what the generator teaches the encoder.
    #[serde(default = "tenth")]
    pub lambda_inf: f32,
    /// What the EBM's loss sets against the data.
    #[serde(default)]
    pub negatives: Negatives,
    /// α of energy L2: α·mean(E(x)² + E(x̃')²) is added to the gap, inside the 1/T.
    #[serde(default)]
    pub energy_l2: f32,
    /// Replace a share of the EBM's negatives by chains that are carried over between iterations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent: Option<Persistent>,
}

/// Persistent chains.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Persistent {
    /// Share of the EBM's negatives that come from persistent chains, in [0, 1].
    pub share: f32,
    /// Number of chains kept.
    pub size: usize,
    /// Share of the drawn chains that restart.
    pub restart: f32,
    /// Share of the restarts that start at the generator's samples; the others start uniformly in `range`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub from_generator: f32,
    /// Range of every coordinate at the start, and at a restart from noise.
    pub range: [f32; 2],
}

/// One optimiser for each network of the recipe.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimisers {
    /// The energy's optimiser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy: Option<Optimiser>,
    /// The generator's optimiser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<Optimiser>,
    /// The encoder's optimiser.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoder: Option<Optimiser>,
}

/// Settings of Adam.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optimiser {
    /// Learning rate before the schedule.
    pub rate: f64,
    /// Share of the rate that is left when the schedule's linear fall ends. An energy whose rate stays
    /// up goes on learning what the generator, no longer learning, still does wrong.
    #[serde(default)]
    pub final_share: f64,
    /// Decay of the first moment.
    #[serde(default)]
    pub beta1: f32,
    /// Decay of the second moment.
    #[serde(default = "beta2")]
    pub beta2: f32,
    /// Added to the root of the second moment.
    #[serde(default = "epsilon")]
    pub epsilon: f32,
    /// L2 penalty, added to the gradient of every parameter (coupled, not AdamW).
    #[serde(default)]
    pub weight_decay: f32,
    /// Largest norm of the network's whole gradient, as the optimiser sees it: for the energy
    /// that is after the division by T.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip: Option<f32>,
}

/// Length of the run, and learning rates over it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Iterations of the whole recipe.
    pub iterations: u64,
    /// Fraction of `iterations` at the full rate; after it the rate falls linearly to zero, or to
    /// an optimiser's `final_share`.
    #[serde(default = "one_f64")]
    pub constant: f64,
    /// Multiply the rates by a factor at regular intervals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decay: Option<Decay>,
}

/// A factor on the learning rates at regular intervals: `factor^(iteration / every)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decay {
    /// The factor.
    pub factor: f64,
    /// Iterations between two applications: an epoch, where the authors' settings are meant.
    pub every: u64,
}

impl Schedule {
    /// Learning rate of `optimiser` at `iteration`, counted from zero.
    pub fn rate(&self, optimiser: &Optimiser, iteration: u64) -> f64 {
        let total = self.iterations as f64;
        let flat = self.constant * total;
        let linear = if self.constant >= 1.0 || (iteration as f64) < flat {
            1.0
        } else {
            ((total - iteration as f64) / (total - flat)).max(0.0)
        };
        let steps = self.decay.map_or(1.0, |d| d.factor.powf((iteration / d.every.max(1)) as f64));
        let left = optimiser.final_share + (1.0 - optimiser.final_share) * linear;
        optimiser.rate * left * steps
    }
}

/// Exponential moving averages.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ema {
    /// Decay of the generator's average, which the exported model holds; 0 exports the generator
    /// itself. Early on the decay is min(this, (1 + t)/(10 + t)), so that short runs do not export
    /// their initial weights.
    #[serde(default = "ema")]
    pub generator: f32,
    /// Decay of the energy's average, likewise; by default there is none, as in the paper.
    #[serde(default)]
    pub energy: f32,
}

impl Default for Ema {
    fn default() -> Self {
        Self { generator: ema(), energy: 0.0 }
    }
}

/// How the model is folded for export.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Export {
    /// Batches of prior samples from which the generator's batch-norm statistics are estimated.
    #[serde(default = "statistics_batches")]
    pub statistics_batches: u32,
}

impl Default for Export {
    fn default() -> Self {
        Self { statistics_batches: statistics_batches() }
    }
}

fn is_zero(value: &f32) -> bool {
    *value == 0.0
}

fn one() -> f32 {
    1.0
}
fn one_f64() -> f64 {
    1.0
}
fn tenth() -> f32 {
    0.1
}
fn beta2() -> f32 {
    0.9
}
fn epsilon() -> f32 {
    1e-8
}
fn ema() -> f32 {
    0.999
}
fn statistics_batches() -> u32 {
    100
}

/// What is wrong with a recipe.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RecipeError {
    /// The text is no TOML, a key is unknown or missing, or a value has another type.
    #[error("the recipe is not valid at line {line}: {message}")]
    Text {
        /// Line in the file, from 1.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// A recipe that was valid before overrides were applied to it, and is not with them.
    #[error("the recipe is not valid with its overrides: {0}")]
    Overridden(String),
    /// An override that cannot be applied.
    #[error("cannot set {key}: {reason}")]
    Override {
        /// The dotted key.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// A network that does not fit together, or not with the others.
    #[error("[{section}] {error}")]
    Network {
        /// "energy", "generator" or "encoder".
        section: &'static str,
        /// What is wrong with it.
        error: Box<dual_mcmc::network::NetworkError>,
    },
    /// A section that this recipe needs is missing, or one is there that has no use.
    #[error("{0}")]
    Sections(String),
    /// A value that is impossible.
    #[error("[{section}] {reason}")]
    Value {
        /// The recipe's section.
        section: &'static str,
        /// What is wrong, and what is expected.
        reason: String,
    },
}

/// A recipe as it is written: the sizes that a network takes from the data, written as `"data"`, are still open.
#[derive(Clone, Debug)]
pub struct Draft {
    text: String,
    overrides: Vec<(String, String)>,
    provisional: Recipe,
}

impl Draft {
    /// Read a recipe, and check all of it but the open sizes.
    ///
    /// # Errors
    /// [`RecipeError`] names the line or the section, and what is expected there.
    pub fn parse(text: &str) -> Result<Draft, RecipeError> {
        Draft::parse_with(text, &[])
    }

    /// Read a recipe with overrides `("a.b", "VALUE")`, and check all of it but the open sizes. A value is TOML; one
    /// that is not is taken as a string. Elements of arrays are named by their index.
    ///
    /// # Errors
    /// [`RecipeError`] names the line, the override or the section, and what is expected there.
    pub fn parse_with(text: &str, overrides: &[(String, String)]) -> Result<Draft, RecipeError> {
        // Any size will do, and the smallest fits everywhere.
        let provisional = read(text, overrides, Some(1))?;
        Ok(Draft { text: text.into(), overrides: overrides.to_vec(), provisional })
    }

    /// Whether sizes are open.
    pub fn takes_sizes_from_data(&self) -> bool {
        !sizes::places(&self.text).is_empty()
    }

    /// The recipe with a size of 1 for each that is open: right in everything but these.
    pub fn provisional(&self) -> &Recipe {
        &self.provisional
    }

    /// The recipe for data of so many `values` a sample, which stand for the open sizes.
    ///
    /// # Errors
    /// If the networks do not fit together with them; or if there are open sizes, but no number of values.
    pub fn resolve(&self, values: Option<usize>) -> Result<Recipe, RecipeError> {
        read(&self.text, &self.overrides, values)
    }
}

/// Read a recipe with overrides and `values` for its open sizes, and check it.
fn read(text: &str, overrides: &[(String, String)], values: Option<usize>) -> Result<Recipe, RecipeError> {
    let text = &sizes::fill(text, values)?;
    let line = |error: toml::de::Error| {
        let line = sizes::line(text, error.span().map_or(0, |span| span.start));
        RecipeError::Text { line, message: suggest::explain(error.message()).replace('\n', " ") }
    };
    let recipe: Recipe = if overrides.is_empty() {
        toml::from_str(text).map_err(line)?
    } else {
        let mut table: toml::Table = text.parse().map_err(line)?;
        for (key, value) in overrides {
            overrides::set(&mut table, key, value)?;
        }
        Recipe::deserialize(table).map_err(|e: toml::de::Error| {
            // What the file itself has wrong has a line.
            let own = toml::from_str::<Recipe>(text).err().filter(|own| own.message() == e.message());
            if let Some(own) = own {
                return line(own);
            }
            RecipeError::Overridden(suggest::explain(e.to_string().trim()).replace('\n', " "))
        })?
    };
    recipe.check()?;
    Ok(recipe)
}

impl Recipe {
    /// Read a recipe that leaves no size open, and check it.
    ///
    /// # Errors
    /// As [`Draft::parse`] and [`Draft::resolve`].
    pub fn parse(text: &str) -> Result<Recipe, RecipeError> {
        Draft::parse(text)?.resolve(None)
    }

    /// Read a recipe that leaves no size open, with overrides, and check it.
    ///
    /// # Errors
    /// As [`Draft::parse_with`] and [`Draft::resolve`].
    pub fn parse_with(text: &str, overrides: &[(String, String)]) -> Result<Recipe, RecipeError> {
        Draft::parse_with(text, overrides)?.resolve(None)
    }

    /// The recipe as TOML, with every default written out.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).expect("a recipe is plain tables and values")
    }

    /// The recipe for others' eyes: with the name of the data, since a path on this machine says nothing to them.
    pub fn published(&self, data: &str) -> Recipe {
        Recipe { data: Data { set: data.into(), ..self.data.clone() }, ..self.clone() }
    }

    /// Bytes of memory that training takes at least: each parameter with its gradient and two moments, and the
    /// activations of one network for a batch.
    pub fn least_memory(&self) -> usize {
        let networks = [&self.energy, &self.generator, &self.encoder].into_iter().flatten();
        let (mut parameters, mut activations) = (0usize, 0usize);
        for network in networks.map(TrainNetwork::folded) {
            let shapes = network.shapes().unwrap_or_default();
            let values = shapes.iter().map(|shape| shape.iter().product()).fold(0, usize::saturating_add);
            parameters = parameters.saturating_add(network.parameter_count());
            activations = activations.max(values);
        }
        let values =
            parameters.saturating_mul(4).saturating_add(activations.saturating_mul(self.teaching.batch));
        values.saturating_mul(size_of::<f32>())
    }

    /// Shape of one sample of data.
    pub fn data_shape(&self) -> Vec<usize> {
        match (&self.energy, &self.encoder, &self.generator) {
            (Some(network), ..) | (None, Some(network), _) => network.input.clone(),
            (None, None, Some(generator)) => generator.folded().output().unwrap_or_default(),
            (None, None, None) => Vec::new(),
        }
    }

    /// Elements of one sample of data.
    pub fn data_len(&self) -> usize {
        self.data_shape().iter().product()
    }

    /// Latent dimension; 0 without a generator.
    pub fn latent(&self) -> usize {
        self.generator.as_ref().map_or(0, |g| g.input.iter().product())
    }

    /// The temperature that divides the energy's loss; 1 without an energy.
    pub fn temperature(&self) -> f32 {
        self.x_chain.map_or(1.0, |chain| chain.temperature())
    }

    /// The chains that the exported model recommends.
    pub fn chain_defaults(&self) -> ChainDefaults {
        let x = self.sample_chain.or(self.x_chain.map(|c| c.settings()));
        let z = self.reconstruct_chain.or(self.z_chain.map(|c| c.settings()));
        ChainDefaults { x: x.filter(|_| self.energy.is_some()), z: z.filter(|_| self.generator.is_some()) }
    }
}

#[cfg(test)]
mod tests;
