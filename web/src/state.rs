//! What the reader has chosen: everything that the page's address says, typed.
//!
//! A choice that is not made stays `None` and follows the model and the device, so an address holds
//! only what someone changed.

use dual_mcmc::chain::Langevin;
use dual_mcmc::jobs::Start;
use dual_mcmc::model::{ChainDefaults, Model};
use std::str::FromStr;

/// How chains are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewKind {
    /// Starts beside refined samples.
    Sample,
    /// The energy as a map, with the chains on it.
    Landscape,
}

/// Which executor runs the chains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// WebGPU where there is a graphics processor, else the CPU.
    #[default]
    Auto,
    /// WebGPU where there is an adapter, even one that is a program on the CPU.
    Gpu,
    /// The CPU.
    Cpu,
}

macro_rules! words {
    ($type:ident { $($word:literal => $value:ident),* }) => {
        impl $type {
            /// The word for it in the address.
            pub fn word(self) -> &'static str {
                match self { $($type::$value => $word),* }
            }
            /// The value that the word stands for.
            pub fn from_word(word: &str) -> Option<$type> {
                match word { $($word => Some($type::$value),)* _ => None }
            }
        }
    };
}

words!(ViewKind { "sample" => Sample, "landscape" => Landscape });
words!(DeviceChoice { "auto" => Auto, "gpu" => Gpu, "cpu" => Cpu });

/// The state of the page as its address holds it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Address of the model, relative to the page.
    pub model: Option<String>,
    /// How chains are shown.
    pub view: Option<ViewKind>,
    /// How many chains run.
    pub chains: Option<usize>,
    /// Steps per second.
    pub rate: Option<f32>,
    /// Step size s.
    pub step_size: Option<f32>,
    /// Noise n.
    pub noise: Option<f32>,
    /// Where chains start.
    pub start: Option<Start>,
    /// Seed of the random numbers.
    pub seed: u32,
    /// Which executor runs the chains.
    pub device: DeviceChoice,
    /// Whether the chains run as soon as the page is open. Unset: unless the reader prefers
    /// reduced motion.
    pub play: Option<bool>,
}

/// Most steps per second that can be asked for.
pub const MAX_RATE: f32 = 240.0;
/// Most chains for vectors and for images.
pub const MAX_CHAINS: [usize; 2] = [4096, 1024];

impl State {
    /// Read the names and values of an address. The second part says, a sentence each, what could
    /// not be used.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> (State, Vec<String>) {
        let mut state = State::default();
        let mut problems = Vec::new();
        for (name, value) in pairs {
            if let Err(expected) = state.set(name, value) {
                problems.push(format!("“{name}={value}” in the address is not used: {expected}."));
            }
        }
        (state, problems)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "model" => self.model = (!value.is_empty()).then(|| value.into()),
            "view" => self.view = Some(word(ViewKind::from_word, value, "sample or landscape")?),
            "chains" => self.chains = Some(number(value, 1, usize::MAX, "a number of chains, 1 or more")?),
            "rate" => self.rate = Some(number(value, 0.1, MAX_RATE, "steps per second, 0.1 to 240")?),
            "step-size" => self.step_size = Some(number(value, 1e-6, 1e3, "a step size above 0")?),
            "noise" => self.noise = Some(number(value, 0.0, 1e3, "a noise of 0 or more")?),
            "start" => self.start = Some(word(Start::from_name, value, "generator or noise")?),
            "seed" => self.seed = number(value, 0, u32::MAX, "a whole number from 0 to 4294967295")?,
            "device" => self.device = word(DeviceChoice::from_word, value, "auto, gpu or cpu")?,
            "play" => self.play = Some(number(value, 0, 1, "0 or 1")? == 1),
            _ => {}
        }
        Ok(())
    }

    /// Names and values that [`State::parse`] reads back; defaults are left out.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        let mut put = |name, value: Option<String>| pairs.extend(value.map(|value| (name, value)));
        put("model", self.model.clone());
        put("view", self.view.map(|v| v.word().into()));
        put("chains", self.chains.map(|v| v.to_string()));
        put("rate", self.rate.map(|v| v.to_string()));
        put("step-size", self.step_size.map(|v| v.to_string()));
        put("noise", self.noise.map(|v| v.to_string()));
        put("start", self.start.map(|v| v.name().into()));
        put("seed", (self.seed != 0).then(|| self.seed.to_string()));
        put("device", (self.device != DeviceChoice::Auto).then(|| self.device.word().into()));
        put("play", self.play.map(|v| u8::from(v).to_string()));
        pairs
    }
}

fn word<T>(from_word: fn(&str) -> Option<T>, value: &str, expected: &str) -> Result<T, String> {
    from_word(value).ok_or_else(|| format!("it takes {expected}"))
}

fn number<T: FromStr + PartialOrd>(value: &str, low: T, high: T, expected: &str) -> Result<T, String> {
    match value.trim().parse::<T>() {
        Ok(v) if v >= low && v <= high => Ok(v),
        _ => Err(format!("it takes {expected}")),
    }
}

/// What of a model decides how it can be run and shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Shape of one sample.
    pub shape: Vec<usize>,
    /// Whether there is an energy, without which nothing can be refined.
    pub energy: bool,
    /// Whether there is a generator to start from.
    pub generator: bool,
    /// Length of the generator's latents.
    pub latent: usize,
    /// The chains that the model recommends.
    pub chains: ChainDefaults,
}

impl Facts {
    /// The facts of a model.
    pub fn of(model: &Model) -> Facts {
        Facts {
            shape: model.data_shape(),
            energy: model.energy.is_some(),
            generator: model.generator.is_some(),
            latent: model.latent().unwrap_or(0),
            chains: model.chains,
        }
    }

    /// Whether samples are points of the plane.
    pub fn plane(&self) -> bool {
        self.shape == [2]
    }

    /// Whether samples are images, of any number of channels.
    pub fn image(&self) -> bool {
        self.shape.len() == 3
    }

    /// Elements of one sample.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether a sample has no elements. No model's has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of chains worth offering.
    pub fn chain_choices(&self) -> &'static [usize] {
        if self.plane() { &[64, 256, 1024, 4096] } else { &[4, 16, 64, 256] }
    }

    /// Most chains that the page runs.
    pub fn max_chains(&self) -> usize {
        MAX_CHAINS[usize::from(self.image())]
    }

    /// The x-chain's update as the model recommends it, with another step size or noise.
    pub fn langevin(&self, step_size: Option<f32>, noise: Option<f32>) -> Langevin {
        let fallback = if self.image() { Langevin::new(0.5, 0.001) } else { Langevin::new(0.1, 0.1) };
        let mut langevin = self.chains.x.map_or(fallback, |x| x.langevin);
        langevin.step_size = step_size.unwrap_or(langevin.step_size);
        langevin.noise = noise.unwrap_or(langevin.noise);
        // Without noise there is nothing to accept or reject.
        langevin.mala &= langevin.noise > 0.0;
        langevin
    }
}

/// What runs: the reader's choices, completed from the model and the device.
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
    /// Complete `state` for a model. `slow` says that steps take long, as they do without a GPU.
    /// The second part says, a sentence each, what of `state` this model cannot do.
    pub fn new(state: &State, facts: &Facts, slow: bool) -> (Settings, Vec<String>) {
        let mut problems = Vec::new();
        let view = match state.view {
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
        let chains = state.chains.unwrap_or(usual);
        if chains > most {
            problems.push(format!("{chains} chains are too many; {most} run, the most for this model."));
        }
        let start = match state.start {
            Some(Start::Generator) | None if !facts.generator => {
                if state.start.is_some() {
                    problems.push("This model has no generator; its chains start from noise.".into());
                }
                Start::Noise
            }
            chosen => chosen.unwrap_or(Start::Generator),
        };
        let settings = Settings {
            view,
            chains: chains.min(most),
            rate: state.rate.unwrap_or(if facts.image() { 10.0 } else { 60.0 }),
            langevin: facts.langevin(state.step_size, state.noise),
            start,
            seed: state.seed.into(),
            rest_at: facts.chains.x.filter(|_| facts.image()).map(|x| x.steps),
        };
        (settings, problems)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn plane() -> Facts {
        Facts { shape: vec![2], energy: true, generator: true, latent: 2, chains: ChainDefaults::default() }
    }

    #[test]
    fn an_address_is_read_back_as_it_was_written() {
        let state = State {
            model: Some("models/ring.safetensors".into()),
            view: Some(ViewKind::Sample),
            chains: Some(64),
            rate: Some(0.5),
            step_size: Some(0.1),
            noise: Some(0.001),
            start: Some(Start::Noise),
            seed: 7,
            device: DeviceChoice::Cpu,
            play: Some(false),
        };
        let pairs = state.pairs();
        let (back, problems) = State::parse(pairs.iter().map(|(n, v)| (*n, v.as_str())));
        assert_eq!((back, problems), (state, vec![]));
        assert_eq!(State::default().pairs(), vec![]);
    }

    #[test]
    fn an_impossible_value_is_named_and_the_rest_is_kept() {
        let pairs =
            [("chains", "many"), ("noise", "NaN"), ("rate", "1e9"), ("seed", "-1"), ("step-size", "0.2")];
        let (state, problems) = State::parse(pairs);
        assert_eq!(state, State { step_size: Some(0.2), ..State::default() });
        assert_eq!(problems.len(), 4);
        assert!(problems[0].contains("chains=many"), "{}", problems[0]);
    }

    #[test]
    fn a_models_own_chain_is_the_default() {
        let mut facts = plane();
        facts.chains = own_chain(40, Langevin { range_clamp: Some([-1.0, 1.0]), ..Langevin::new(0.2, 0.1) });
        let (settings, problems) =
            Settings::new(&State { noise: Some(0.0), ..State::default() }, &facts, false);
        assert!(problems.is_empty());
        assert_eq!(settings.langevin, Langevin { range_clamp: Some([-1.0, 1.0]), ..Langevin::new(0.2, 0.0) });
        assert_eq!(settings.rest_at, None, "points go on for as long as one watches");
        facts.shape = vec![1, 8, 8];
        assert_eq!(Settings::new(&State::default(), &facts, false).0.rest_at, Some(40));
    }

    fn own_chain(steps: u32, langevin: Langevin) -> ChainDefaults {
        ChainDefaults { x: Some(dual_mcmc::chain::XChainSettings { steps, langevin }), z: None }
    }

    #[test]
    fn what_a_model_cannot_do_is_said() {
        let facts = Facts { generator: false, shape: vec![3, 8, 8], ..plane() };
        let state = State {
            view: Some(ViewKind::Landscape),
            chains: Some(100_000),
            start: Some(Start::Generator),
            ..State::default()
        };
        let (settings, problems) = Settings::new(&state, &facts, false);
        assert_eq!((settings.view, settings.start, settings.chains), (ViewKind::Sample, Start::Noise, 1024));
        assert_eq!(problems.len(), 3);
    }
}
