//! From what was chosen, the model and the device to what runs.

use crate::choices::{Choices, Corners, Fill, Method, Origin, Overlay, Subject, ViewKind};
use crate::facts::Facts;
use crate::mask::Mask;
use crate::walk::Place;
use dual_mcmc::chain::{Langevin, XChainSettings};

/// Steps after which a chain that starts at noise rests: the model's own are meant for chains from the generator.
pub const FROM_NOISE: u32 = 1_000;

/// What runs: the choices, completed from the model and the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How chains are shown, and of which kind they are.
    pub view: ViewKind,
    /// How many chains run, from all starts together.
    pub chains: usize,
    /// Steps per second.
    pub rate: f32,
    /// The update.
    pub langevin: Langevin,
    /// Where x-chains start, as many of them at each place.
    pub starts: Vec<Origin>,
    /// How they take their steps.
    pub sampler: Method,
    /// Seed of the random numbers.
    pub seed: u64,
    /// Step at which the chains rest: the length of the model's own chains, where that is how it
    /// makes its samples.
    pub rest_at: Option<u32>,
    /// What the corners of the plane of latents are, and where on it the first picture lies.
    pub corners: Corners,
    /// As `corners`.
    pub walk: Place,
    /// What a landscape shows beside energy, data and chains.
    pub overlays: Vec<Overlay>,
    /// The sample that the view is about.
    pub subject: Subject,
    /// Which of the held-out examples it is, from 0.
    pub example: usize,
    /// What of it is hidden.
    pub mask: Mask,
    /// The x-chain that fills it in, after the z-chain; none where the z-chain alone does.
    pub fill: Option<XChainSettings>,
    /// The chain that is set off from the others, from 0.
    pub chosen: Option<usize>,
    /// Standard deviation σ of the generator's observation noise.
    pub sigma: f32,
}

impl Settings {
    /// Complete `choices` for a model. `slow` says that steps take long, as they do without a GPU.
    /// The second part says, a sentence each, what of `choices` this model cannot do.
    pub fn new(choices: &Choices, facts: &Facts, slow: bool) -> (Settings, Vec<String>) {
        let mut problems = Vec::new();
        let usual = if facts.has(ViewKind::Landscape) { ViewKind::Landscape } else { ViewKind::Sample };
        let view = match choices.view {
            Some(view) if !facts.has(view) => {
                problems.push(match view {
                    ViewKind::Reconstruct => {
                        "A reconstruction needs a generator, and this model has none; its samples are shown.".into()
                    }
                    ViewKind::Latent => "A walk through latent space needs a generator; this model's samples are shown.".into(),
                    ViewKind::Energy => "This model has no energy to tell; its samples are shown.".into(),
                    _ => "The landscape needs an energy on points of the plane; this model is shown as samples."
                        .to_string(),
                });
                ViewKind::Sample
            }
            view => view.unwrap_or(usual),
        };
        let starts = starts(choices, facts, view, &mut problems);
        let most = facts.max_chains(view) / starts.len();
        let usual = match (view, facts.plane(), slow) {
            (ViewKind::Reconstruct, ..) => 8,
            (ViewKind::Energy, ..) => 1,
            (ViewKind::Latent, ..) => 25,
            (_, true, true) => 256,
            (_, true, false) => 1024,
            (_, false, _) => 16,
        };
        // Where there is one chain, another number is no mistake but another view's.
        let chains = if most == 1 { 1 } else { choices.chains.unwrap_or(usual) };
        if chains > most {
            let each = if starts.len() > 1 { " from each start" } else { "" };
            problems
                .push(format!("{chains} chains are too many; {most} run{each}, the most for this model."));
        }
        let subject = choices.subject.unwrap_or_default();
        let from_noise = match view {
            ViewKind::Reconstruct => false,
            ViewKind::Energy => matches!(subject, Subject::Noise | Subject::Tone),
            _ => starts.contains(&Origin::Noise),
        };
        let method = choices.sampler.filter(|_| view.samples());
        let x = facts.langevin(choices.step_size, choices.noise, method);
        if method == Some(Method::Mala) && !x.mala {
            problems.push("Without noise there is nothing to accept or reject: the steps are those of gradient descent.".into());
        }
        let z = facts.z_chain(choices.step_size, choices.noise);
        let (langevin, steps) = match view.samples() {
            true => {
                let least = if from_noise { FROM_NOISE } else { 0 };
                let steps = facts.chains.x.map(|x| x.steps.max(least));
                (x, steps)
            }
            false => (z.langevin, Some(z.steps)),
        };
        let settings = Settings {
            view,
            // A grid is square.
            chains: match view {
                ViewKind::Latent => chains.min(most).isqrt().max(2).pow(2),
                _ => chains.min(most) * starts.len(),
            },
            corners: match choices.corners.unwrap_or_default() {
                Corners::Examples if view == ViewKind::Latent && !(facts.encoder && facts.examples > 2) => {
                    problems.push("Corners at held-out examples need an encoder and three examples in the model's file; they are samples of the prior.".into());
                    Corners::Prior
                }
                corners => corners,
            },
            walk: choices.walk.unwrap_or_default(),
            rate: choices.rate.unwrap_or(match view {
                ViewKind::Reconstruct => 30.0,
                // It is a long way.
                _ if from_noise => 60.0,
                _ if facts.image() || view.has_subject() => 10.0,
                _ => 60.0,
            }),
            langevin,
            starts,
            sampler: match (langevin.noise == 0.0, langevin.mala) {
                (true, _) => Method::Descent,
                (false, true) => Method::Mala,
                (false, false) => Method::Langevin,
            },
            seed: choices.seed.unwrap_or(0).into(),
            rest_at: steps.filter(|_| facts.image() || view.has_subject()),
            overlays: choices.overlay.clone().filter(|_| view == ViewKind::Landscape).unwrap_or_default(),
            subject,
            example: example(choices, facts, view, &mut problems),
            mask: mask(choices, facts, view, &mut problems),
            fill: fill(choices, facts, view, &mut problems),
            chosen: None,
            sigma: z.sigma,
        };
        let wanted = choices.chain.filter(|_| !view.has_subject());
        let chosen = wanted.map(|chain| chain - 1).filter(|&chain| chain < settings.chains);
        if let (Some(wanted), None) = (wanted, chosen) {
            problems.push(format!("Chain {wanted} is not there: {} run.", settings.chains));
        }
        let settings = Settings { chosen, ..settings };
        (settings, problems)
    }

    /// An error unless its chains can be run.
    ///
    /// # Errors
    /// What is wrong, and what is expected.
    pub fn check(&self) -> Result<(), String> {
        if self.view.samples() { self.langevin.check() } else { self.langevin.check_z() }
    }

    /// How many chains start at each place.
    pub fn per_start(&self) -> usize {
        self.chains / self.starts.len().max(1)
    }

    /// How many of the z-chains start at the encoder's guess: the first half.
    pub fn encoded(&self, facts: &Facts) -> usize {
        if facts.encoder { self.chains.div_ceil(2) } else { 0 }
    }
}

/// Where x-chains start; one place, where the view has only one.
fn starts(choices: &Choices, facts: &Facts, view: ViewKind, problems: &mut Vec<String>) -> Vec<Origin> {
    let usual = if facts.generator { Origin::Generator } else { Origin::Noise };
    if view.has_subject() || view == ViewKind::Latent {
        return vec![usual];
    }
    let mut starts = choices.start.clone().unwrap_or_else(|| vec![usual]);
    starts.retain(|&origin| {
        let possible = facts.starts_at(origin);
        if !possible {
            problems.push(match origin {
                Origin::Data => {
                    "This model's file holds no held-out examples for chains to start at (“dual-mcmc annotate” adds them).".into()
                }
                _ => "This model has no generator; its chains start from noise.".to_string(),
            });
        }
        possible
    });
    if starts.is_empty() { vec![usual] } else { starts }
}

/// Which of the examples it is about, from 0.
fn example(choices: &Choices, facts: &Facts, view: ViewKind, problems: &mut Vec<String>) -> usize {
    let subject = choices.subject.unwrap_or_default();
    if !view.has_subject() && view != ViewKind::Latent {
        return 0;
    }
    let wanted = choices.example.unwrap_or(1);
    if choices.example.is_some() && subject == Subject::Example && wanted > facts.examples {
        problems.push(match facts.examples {
            0 => "This model's file holds no held-out examples.".into(),
            n => format!("Example {wanted} is not there: this model's file holds {n}."),
        });
    }
    wanted.min(facts.examples.max(1)) - 1
}

/// What is hidden of the sample that is reconstructed.
fn mask(choices: &Choices, facts: &Facts, view: ViewKind, problems: &mut Vec<String>) -> Mask {
    let wanted = choices.mask.clone().unwrap_or_default();
    if view.samples() || wanted == Mask::Nothing {
        return Mask::Nothing;
    }
    let fits = matches!(facts.shape[..], [_, height, width] if wanted.fits([width, height]));
    if !facts.image() {
        problems.push("Only of images a part can be hidden.".into());
    } else if !fits {
        problems.push("The painted mask is of an image of another size, and is not used.".into());
    }
    if fits { wanted } else { Mask::Nothing }
}

/// Steps of an x-chain that fills in what is hidden, where the model recommends none.
const FILLS: u32 = 60;

/// The x-chain that fills in what is hidden, after the z-chain.
fn fill(
    choices: &Choices,
    facts: &Facts,
    view: ViewKind,
    problems: &mut Vec<String>,
) -> Option<XChainSettings> {
    if view.samples() || choices.fill.unwrap_or_default() != Fill::Energy {
        return None;
    }
    if !facts.energy {
        problems.push("This model has no energy whose x-chain could fill in what is hidden.".into());
        return None;
    }
    // Nothing is hidden: there is nothing to be filled in yet.
    if choices.mask.as_ref().is_none_or(|mask| *mask == Mask::Nothing) || !facts.image() {
        return None;
    }
    let langevin = Langevin { mala: false, ..facts.langevin(None, None, None) };
    Some(XChainSettings { steps: facts.chains.x.map_or(FILLS, |x| x.steps), langevin })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dual_mcmc::model::ChainDefaults;

    fn plane() -> Facts {
        Facts {
            shape: vec![2],
            energy: true,
            generator: true,
            latent: 2,
            encoder: true,
            examples: 3,
            density: false,
            chains: ChainDefaults::default(),
        }
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
        let from_noise = Choices { start: Some(vec![Origin::Noise]), ..Choices::default() };
        assert_eq!(Settings::new(&from_noise, &facts, false).0.rest_at, Some(1_000));
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
            start: Some(vec![Origin::Generator]),
            ..Choices::default()
        };
        let (settings, problems) = Settings::new(&choices, &facts, false);
        assert_eq!((settings.view, settings.chains), (ViewKind::Sample, 1024));
        assert_eq!(settings.starts, [Origin::Noise]);
        assert_eq!(problems.len(), 3);
    }

    #[test]
    fn starts_stand_beside_each_other_with_as_many_chains() {
        let all = Choices { start: Origin::from_words("data noise generator noise"), ..Choices::default() };
        let (settings, problems) = Settings::new(&all, &Facts { shape: vec![1, 4, 4], ..plane() }, false);
        assert_eq!(settings.starts, [Origin::Data, Origin::Noise, Origin::Generator]);
        assert_eq!((settings.chains, settings.per_start(), problems.len()), (48, 16, 0));
        let many = Choices { chains: Some(2000), ..all.clone() };
        let (settings, problems) = Settings::new(&many, &plane(), false);
        assert_eq!((settings.chains, problems.len()), (3 * 1365, 1), "{problems:?}");
        let without = Facts { examples: 0, generator: false, ..plane() };
        let (settings, problems) = Settings::new(&all, &without, false);
        assert_eq!((settings.starts.as_slice(), problems.len()), (&[Origin::Noise][..], 2), "{problems:?}");
        let data = Choices { start: Origin::from_words("data"), ..Choices::default() };
        assert_eq!(Settings::new(&data, &without, false).0.starts, [Origin::Noise]);
        assert!(Settings::new(&data, &Facts { density: true, ..without }, false).1.is_empty());
    }

    #[test]
    fn a_method_changes_the_update() {
        let mut facts = plane();
        let clamped = Langevin { range_clamp: Some([-1.0, 1.0]), ..Langevin::new(0.2, 0.1) };
        facts.chains = own_chain(40, clamped);
        let with = |sampler: &str, noise| {
            let choices = Choices { sampler: Method::from_word(sampler), noise, ..Choices::default() };
            let (settings, problems) = Settings::new(&choices, &facts, false);
            assert!(settings.check().is_ok(), "{sampler}");
            (settings.langevin, settings.sampler, problems.len())
        };
        let mala = Langevin { mala: true, range_clamp: None, ..clamped };
        assert_eq!(with("mala", None), (mala, Method::Mala, 0));
        assert_eq!(with("descent", None), (Langevin { noise: 0.0, ..clamped }, Method::Descent, 0));
        assert_eq!(with("langevin", None), (clamped, Method::Langevin, 0));
        assert_eq!(with("mala", Some(0.0)).1, Method::Descent);
        assert_eq!(with("mala", Some(0.0)).2, 1);
    }

    #[test]
    fn a_reconstruction_runs_the_models_z_chain_on_an_example() {
        let mut facts = Facts { shape: vec![1, 4, 4], ..plane() };
        let langevin = Langevin::new(0.02, 0.01);
        facts.chains.z = Some(dual_mcmc::chain::ZChainSettings { steps: 12, sigma: 0.4, langevin });
        let choices = Choices {
            view: Some(ViewKind::Reconstruct),
            example: Some(2),
            mask: Mask::from_word("lower"),
            ..Choices::default()
        };
        let (settings, problems) = Settings::new(&choices, &facts, false);
        assert_eq!(problems, [""; 0]);
        assert_eq!((settings.langevin, settings.sigma, settings.rest_at), (langevin, 0.4, Some(12)));
        assert_eq!((settings.chains, settings.encoded(&facts), settings.example), (8, 4, 1));
        assert_eq!(settings.encoded(&Facts { encoder: false, ..facts.clone() }), 0);
        assert!(settings.check().is_ok());

        // The x-chain fills in after it what is hidden, where anything is.
        assert_eq!(settings.fill, None);
        let filled = Choices { fill: Some(Fill::Energy), ..choices.clone() };
        let x = XChainSettings { steps: 30, langevin: Langevin::new(2.0, 0.001) };
        let with_x = Facts { chains: ChainDefaults { x: Some(x), ..facts.chains }, ..facts.clone() };
        assert_eq!(Settings::new(&filled, &with_x, false).0.fill, Some(x));
        let whole = Choices { mask: None, ..filled.clone() };
        assert_eq!(Settings::new(&whole, &with_x, false), {
            let (settings, problems) =
                Settings::new(&Choices { fill: None, ..whole.clone() }, &with_x, false);
            (settings, problems)
        });
        let without = Facts { energy: false, ..with_x };
        let (settings, problems) = Settings::new(&filled, &without, false);
        assert_eq!((settings.fill, problems.len()), (None, 1));

        // What is not there is said, and the rest runs.
        let wrong =
            Choices { example: Some(9), mask: Mask::from_word("ff"), chains: Some(99), ..choices.clone() };
        let (settings, problems) = Settings::new(&wrong, &facts, false);
        assert_eq!((settings.example, settings.mask, settings.chains), (2, Mask::Nothing, 64));
        assert_eq!(problems.len(), 3, "{problems:?}");
        let (settings, problems) = Settings::new(&choices, &plane(), false);
        assert_eq!((settings.mask, problems.len()), (Mask::Nothing, 1));
        let without = Facts { generator: false, ..facts };
        let (settings, problems) = Settings::new(&choices, &without, false);
        assert_eq!((settings.view, problems.len()), (ViewKind::Sample, 1));
    }

    #[test]
    fn a_walk_is_on_a_square_grid() {
        let facts = Facts { shape: vec![1, 4, 4], ..plane() };
        let choices = Choices {
            view: Some(ViewKind::Latent),
            chains: Some(30),
            corners: Some(Corners::Examples),
            walk: Some([1.0, 0.5]),
            ..Choices::default()
        };
        let (settings, problems) = Settings::new(&choices, &facts, false);
        assert_eq!((settings.chains, settings.corners, settings.walk), (25, Corners::Examples, [1.0, 0.5]));
        assert_eq!((problems.len(), settings.starts.as_slice()), (0, &[Origin::Generator][..]));
        let few = Facts { examples: 2, ..facts.clone() };
        let (settings, problems) = Settings::new(&choices, &few, false);
        assert_eq!((settings.corners, problems.len()), (Corners::Prior, 1));
        let without = Facts { generator: false, ..facts };
        assert_eq!(Settings::new(&choices, &without, false).0.view, ViewKind::Sample);
    }
}
