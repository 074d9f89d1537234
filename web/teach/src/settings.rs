//! What a reader chooses, and the recipe that it makes.

use dual_mcmc::points::PointSet;
use dual_mcmc_trainer::recipe::{self, Draft, Recipe, RecipeError};
use serde::{Deserialize, Serialize};

/// Recipes of the program's own, by the set that each is for. They are what `full` means.
const FULL: [(PointSet, &str); 4] = [
    (PointSet::Ring, include_str!("../../../recipes/ring.toml")),
    (PointSet::Moons, include_str!("../../../recipes/moons.toml")),
    (PointSet::Spiral, include_str!("../../../recipes/spiral.toml")),
    (PointSet::Checkerboard, include_str!("../../../recipes/checkerboard.toml")),
];

/// The short recipe that every set has, with smaller batches and more of them: in a browser, on one thread, that gets
/// farther in half a minute.
const QUICK: &str = include_str!("../../../recipes/ring-quick.toml");
const QUICK_BATCH: usize = 96;
const QUICK_ITERATIONS: u64 = 1_200;

/// σ of the z-chain for points of which nothing is known: that of the program's own recipe for points.
const SIGMA: f64 = 0.3;

/// Which recipe the settings start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Small networks and short chains: a minute or two in a browser.
    #[default]
    Quick,
    /// The program's own recipe for the set.
    Full,
}

/// Who teaches the generator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Teachers {
    /// Data and the energy: dual-MCMC teaching.
    #[default]
    Both,
    /// Data alone, through the z-chain.
    Data,
    /// The energy alone, through the x-chain: cooperative learning.
    Energy,
}

/// Where the x-chain starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XStart {
    /// At the generator's samples.
    #[default]
    Generator,
    /// At noise, without a generator, and so without an encoder.
    Noise,
}

/// Where the z-chain starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ZStart {
    /// At the encoder's guess.
    #[default]
    Encoder,
    /// At the prior.
    Prior,
}

/// Everything that a run on the page is. What is absent is as the recipe has it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// The name of a known set; none for points of the reader's own.
    pub set: Option<String>,
    /// The recipe.
    pub preset: Preset,
    /// Who teaches the generator.
    pub teachers: Teachers,
    /// Where the x-chain starts.
    pub x_start: XStart,
    /// Where the z-chain starts.
    pub z_start: ZStart,
    /// Whether a share of the energy's negatives come from persistent chains.
    pub persistent: Option<bool>,
    /// Steps of the x-chain.
    pub x_steps: Option<u32>,
    /// Steps of the z-chain.
    pub z_steps: Option<u32>,
    /// A factor on the learning rates.
    pub rate: Option<f64>,
    /// The run's length in iterations.
    pub iterations: Option<u64>,
    /// The seed.
    pub seed: u32,
}

impl Settings {
    /// The known set that is learned, if it is one.
    pub fn known(&self) -> Option<PointSet> {
        PointSet::from_name(self.set.as_deref()?)
    }

    /// The recipe.
    ///
    /// # Errors
    /// If a number is none that a recipe can have.
    pub fn recipe(&self) -> Result<Recipe, RecipeError> {
        let set = self.known();
        let full = |set| FULL.iter().find(|(known, _)| *known == set).map_or(QUICK, |(_, text)| *text);
        let of_set = full(set.unwrap_or(PointSet::Moons));
        let text = if self.preset == Preset::Full { of_set } else { QUICK };
        let mut changes: Vec<(&str, String)> = Vec::new();
        let name = match (set, self.preset) {
            (Some(set), Preset::Quick) => format!("{}-page", set.name()),
            (Some(set), Preset::Full) => set.name().into(),
            (None, _) => "own".into(),
        };
        let of_set = Draft::parse(of_set)?.resolve(None)?;
        changes.push(("name", quoted(&name)));
        changes.push(("data.set", quoted(set.map_or("own", |set| set.name()))));
        // What depends on the set, whichever recipe it is: how far its points are blurred, and how well the levels of its
        // energy are to be tied together.
        let sigma = set.and(of_set.z_chain).map_or(SIGMA, |chain| round(chain.sigma.into()));
        changes.push(("z_chain.sigma", sigma.to_string()));
        changes.push(("teaching.energy_l2", round(of_set.teaching.energy_l2.into()).to_string()));
        if self.preset == Preset::Quick {
            changes.push(("teaching.batch", QUICK_BATCH.to_string()));
            changes.push(("schedule.iterations", QUICK_ITERATIONS.to_string()));
        }
        match self.teachers {
            Teachers::Both => {}
            Teachers::Data => changes.push(("teaching.lambda_ebm", "0.0".into())),
            Teachers::Energy => changes.push(("teaching.lambda_data", "0.0".into())),
        }
        if self.z_start == ZStart::Prior {
            changes.push(("z_chain.start", quoted("prior")));
        }
        if self.persistent == Some(false) {
            changes.push(("teaching.persistent.share", "0.0".into()));
        }
        if let Some(steps) = self.x_steps {
            changes.push(("x_chain.steps", steps.to_string()));
        }
        if let Some(steps) = self.z_steps {
            changes.push(("z_chain.steps", steps.to_string()));
        }
        if let Some(iterations) = self.iterations {
            changes.push(("schedule.iterations", iterations.to_string()));
        }
        let changes: Vec<(String, String)> =
            changes.into_iter().map(|(key, value)| (key.into(), value)).collect();
        let mut recipe = Draft::parse_with(text, &changes)?.resolve(None)?;
        if self.x_start == XStart::Noise {
            (recipe.generator, recipe.encoder, recipe.z_chain) = (None, None, None);
            (recipe.optimiser.generator, recipe.optimiser.encoder) = (None, None);
            if let Some(chain) = &mut recipe.x_chain {
                chain.start = recipe::XStart::Noise;
            }
        }
        if let Some(factor) = self.rate {
            let optimisers = &mut recipe.optimiser;
            for optimiser in [&mut optimisers.energy, &mut optimisers.generator, &mut optimisers.encoder] {
                optimiser.iter_mut().for_each(|optimiser| optimiser.rate *= factor);
            }
        }
        recipe.check()?;
        Ok(recipe)
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// A number of a recipe, which holds it as f32, as it was written.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn settings_of_nothing_are_the_programs_own_recipes() {
        for (set, text) in FULL {
            let settings =
                Settings { set: Some(set.name().into()), preset: Preset::Full, ..Settings::default() };
            let own = Draft::parse(text).unwrap().resolve(None).unwrap();
            assert_eq!(settings.recipe().unwrap(), own, "{}", set.name());
        }
        let mut quick = Settings { set: Some("ring".into()), ..Settings::default() }.recipe().unwrap();
        let own = Draft::parse(QUICK).unwrap().resolve(None).unwrap();
        quick.name.clone_from(&own.name);
        (quick.teaching.batch, quick.schedule.iterations) = (own.teaching.batch, own.schedule.iterations);
        assert_eq!(quick, own);
    }

    #[test]
    fn each_switch_changes_what_it_names() {
        let settings = Settings {
            set: Some("moons".into()),
            teachers: Teachers::Energy,
            z_start: ZStart::Prior,
            persistent: Some(false),
            x_steps: Some(7),
            z_steps: Some(3),
            rate: Some(0.5),
            iterations: Some(50),
            ..Settings::default()
        };
        let recipe = settings.recipe().unwrap();
        let x = recipe.x_chain.unwrap();
        assert_eq!(x.steps, 7);
        let z = recipe.z_chain.unwrap();
        assert_eq!((z.steps, z.start, z.sigma), (3, recipe::ZStart::Prior, 0.212));
        assert_eq!((recipe.teaching.lambda_data, recipe.teaching.persistent.unwrap().share), (0.0, 0.0));
        assert_eq!(recipe.optimiser.energy.unwrap().rate, 5e-3);
        assert_eq!((recipe.schedule.iterations, recipe.name.as_str()), (50, "moons-page"));
        let alone = Settings { teachers: Teachers::Data, ..Settings::default() }.recipe().unwrap();
        assert_eq!((alone.teaching.lambda_ebm, alone.data.set.as_str()), (0.0, "own"));
        let noise = Settings { x_start: XStart::Noise, ..Settings::default() }.recipe().unwrap();
        assert_eq!(noise.x_chain.unwrap().start, recipe::XStart::Noise);
        assert!(noise.generator.is_none() && noise.encoder.is_none() && noise.z_chain.is_none());
    }

    #[test]
    fn numbers_that_no_recipe_has_are_refused_in_words() {
        for (settings, word) in [
            (Settings { iterations: Some(0), ..Settings::default() }, "iterations"),
            (Settings { rate: Some(f64::NAN), ..Settings::default() }, "rate"),
            (Settings { rate: Some(-1.0), ..Settings::default() }, "rate"),
        ] {
            let error = settings.recipe().unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
