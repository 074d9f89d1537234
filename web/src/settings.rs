//! From what was chosen, the model and the device to what runs.

use crate::choices::{Choices, ViewKind};
use crate::facts::Facts;
use dual_mcmc::chain::Langevin;
use dual_mcmc::jobs::Start;

/// What runs: the choices, completed from the model and the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How chains are shown.
    pub view: ViewKind,
    /// How many chains run.
    pub chains: usize,
    /// Steps per second.
    pub rate: f32,
    /// The update.
    pub langevin: Langevin,
    /// Where chains start.
    pub start: Start,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Step at which the chains rest: the length of the model's own chains, where that is how it
    /// makes its samples.
    pub rest_at: Option<u32>,
}

impl Settings {
    /// Complete `choices` for a model. `slow` says that steps take long, as they do without a GPU.
    /// The second part says, a sentence each, what of `choices` this model cannot do.
    pub fn new(choices: &Choices, facts: &Facts, slow: bool) -> (Settings, Vec<String>) {
        let mut problems = Vec::new();
        let view = match choices.view {
            Some(ViewKind::Landscape) if !(facts.plane() && facts.energy) => {
                problems.push(
                    "The landscape needs an energy on points of the plane; this model is shown as samples."
                        .into(),
                );
                ViewKind::Sample
            }
            Some(view) => view,
            None if facts.plane() && facts.energy => ViewKind::Landscape,
            None => ViewKind::Sample,
        };
        let most = facts.max_chains();
        let usual = match (facts.plane(), slow) {
            (true, true) => 256,
            (true, false) => 1024,
            (false, _) => 16,
        };
        let chains = choices.chains.unwrap_or(usual);
        if chains > most {
            problems.push(format!("{chains} chains are too many; {most} run, the most for this model."));
        }
        let start = match choices.start {
            Some(Start::Generator) | None if !facts.generator => {
                if choices.start.is_some() {
                    problems.push("This model has no generator; its chains start from noise.".into());
                }
                Start::Noise
            }
            chosen => chosen.unwrap_or(Start::Generator),
        };
        let settings = Settings {
            view,
            chains: chains.min(most),
            rate: choices.rate.unwrap_or(if facts.image() { 10.0 } else { 60.0 }),
            langevin: facts.langevin(choices.step_size, choices.noise),
            start,
            seed: choices.seed.unwrap_or(0).into(),
            rest_at: facts.chains.x.filter(|_| facts.image()).map(|x| x.steps),
        };
        (settings, problems)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dual_mcmc::model::ChainDefaults;

    fn plane() -> Facts {
        Facts { shape: vec![2], energy: true, generator: true, latent: 2, chains: ChainDefaults::default() }
    }

    #[test]
    fn a_models_own_chain_is_the_default() {
        let mut facts = plane();
        facts.chains = own_chain(40, Langevin { range_clamp: Some([-1.0, 1.0]), ..Langevin::new(0.2, 0.1) });
        let (settings, problems) =
            Settings::new(&Choices { noise: Some(0.0), ..Choices::default() }, &facts, false);
        assert!(problems.is_empty());
        assert_eq!(settings.langevin, Langevin { range_clamp: Some([-1.0, 1.0]), ..Langevin::new(0.2, 0.0) });
        assert_eq!(settings.rest_at, None, "points go on for as long as one watches");
        facts.shape = vec![1, 8, 8];
        assert_eq!(Settings::new(&Choices::default(), &facts, false).0.rest_at, Some(40));
    }

    fn own_chain(steps: u32, langevin: Langevin) -> ChainDefaults {
        ChainDefaults { x: Some(dual_mcmc::chain::XChainSettings { steps, langevin }), z: None }
    }

    #[test]
    fn what_a_model_cannot_do_is_said() {
        let facts = Facts { generator: false, shape: vec![3, 8, 8], ..plane() };
        let choices = Choices {
            view: Some(ViewKind::Landscape),
            chains: Some(100_000),
            start: Some(Start::Generator),
            ..Choices::default()
        };
        let (settings, problems) = Settings::new(&choices, &facts, false);
        assert_eq!((settings.view, settings.start, settings.chains), (ViewKind::Sample, Start::Noise, 1024));
        assert_eq!(problems.len(), 3);
    }
}
