//! The words that choices are made of, and what they stand for.

/// How chains are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewKind {
    /// Starts beside refined samples.
    Sample,
    /// The energy as a map, with the chains on it.
    Landscape,
    /// A sample, and what z-chains make of it.
    Reconstruct,
    /// A sample's energy among those of data and of others, and a chain from it.
    Energy,
    /// A plane through latent space, as the generator shows it and as the chains refine it.
    Latent,
}

impl ViewKind {
    /// Every view.
    pub const ALL: &[ViewKind] =
        &[ViewKind::Sample, ViewKind::Landscape, ViewKind::Reconstruct, ViewKind::Energy, ViewKind::Latent];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            ViewKind::Sample => "sample",
            ViewKind::Landscape => "landscape",
            ViewKind::Reconstruct => "reconstruct",
            ViewKind::Energy => "energy",
            ViewKind::Latent => "latent",
        }
    }

    /// Whether its chains are x-chains, on the energy; else they are z-chains, on the generator's posterior.
    pub fn samples(self) -> bool {
        self != ViewKind::Reconstruct
    }

    /// Whether it is about one sample: an example, a picture of the reader's own, or another subject.
    pub fn has_subject(self) -> bool {
        matches!(self, ViewKind::Reconstruct | ViewKind::Energy)
    }

    /// The view that a word stands for.
    pub fn from_word(word: &str) -> Option<ViewKind> {
        ViewKind::ALL.iter().copied().find(|view| view.word() == word)
    }
}

/// The sample that a view is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subject {
    /// A held-out example; where the file has none, a sample of the generator's.
    #[default]
    Example,
    /// A sample of the generator's.
    Generator,
    /// Noise: uniform in [-1, 1] for images, standard normal for vectors.
    Noise,
    /// One value everywhere.
    Tone,
}

impl Subject {
    const ALL: [Subject; 4] = [Subject::Example, Subject::Generator, Subject::Noise, Subject::Tone];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Subject::Example => "example",
            Subject::Generator => "generator",
            Subject::Noise => "noise",
            Subject::Tone => "tone",
        }
    }

    /// The subject that a word stands for.
    pub fn from_word(word: &str) -> Option<Subject> {
        Subject::ALL.into_iter().find(|subject| subject.word() == word)
    }
}

/// Where x-chains start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// At the generator's samples.
    Generator,
    /// At noise: uniform in [-1, 1] for images, standard normal for vectors.
    Noise,
    /// At held-out data.
    Data,
}

impl Origin {
    /// All of them.
    pub const ALL: [Origin; 3] = [Origin::Generator, Origin::Noise, Origin::Data];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Origin::Generator => "generator",
            Origin::Noise => "noise",
            Origin::Data => "data",
        }
    }

    /// The origin that a word stands for.
    pub fn from_word(word: &str) -> Option<Origin> {
        Origin::ALL.into_iter().find(|origin| origin.word() == word)
    }

    /// The origins that words stand for, each of them once.
    pub fn from_words(words: &str) -> Option<Vec<Origin>> {
        let mut all = Vec::new();
        for word in words.split_whitespace() {
            let origin = Origin::from_word(word)?;
            if !all.contains(&origin) {
                all.push(origin);
            }
        }
        (!all.is_empty()).then_some(all)
    }

    /// The words for origins.
    pub fn words(origins: &[Origin]) -> String {
        origins.iter().map(|origin| origin.word()).collect::<Vec<_>>().join(" ")
    }
}

/// What the corners of a plane of latents are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Corners {
    /// Samples of the prior.
    #[default]
    Prior,
    /// The encoder's guesses of three held-out examples.
    Examples,
}

impl Corners {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Corners::Prior => "prior",
            Corners::Examples => "examples",
        }
    }

    /// The corners that a word stands for.
    pub fn from_word(word: &str) -> Option<Corners> {
        [Corners::Prior, Corners::Examples].into_iter().find(|corners| corners.word() == word)
    }
}

/// What a landscape shows beside energy, data and chains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlay {
    /// Arrows down the energy's slope.
    Field,
    /// Level lines of the known density.
    Density,
    /// Samples of the generator's.
    Generator,
    /// Where the chains have been.
    Trails,
}

impl Overlay {
    const ALL: [Overlay; 4] = [Overlay::Field, Overlay::Density, Overlay::Generator, Overlay::Trails];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Overlay::Field => "field",
            Overlay::Density => "density",
            Overlay::Generator => "generator",
            Overlay::Trails => "trails",
        }
    }

    /// The overlay that a word stands for.
    pub fn from_word(word: &str) -> Option<Overlay> {
        Overlay::ALL.into_iter().find(|overlay| overlay.word() == word)
    }
}

/// How x-chains take their steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Unadjusted Langevin steps.
    Langevin,
    /// Steps that are accepted or rejected (Metropolis-adjusted Langevin).
    Mala,
    /// Steps without noise.
    Descent,
}

impl Method {
    const ALL: [Method; 3] = [Method::Langevin, Method::Mala, Method::Descent];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Method::Langevin => "langevin",
            Method::Mala => "mala",
            Method::Descent => "descent",
        }
    }

    /// The method that a word stands for.
    pub fn from_word(word: &str) -> Option<Method> {
        Method::ALL.into_iter().find(|method| method.word() == word)
    }
}

/// What fills in the hidden part of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fill {
    /// The z-chain alone.
    #[default]
    Posterior,
    /// After it the x-chain, on the hidden pixels.
    Energy,
}

impl Fill {
    const ALL: [Fill; 2] = [Fill::Posterior, Fill::Energy];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Fill::Posterior => "posterior",
            Fill::Energy => "energy",
        }
    }

    /// What a word stands for.
    pub fn from_word(word: &str) -> Option<Fill> {
        Fill::ALL.into_iter().find(|fill| fill.word() == word)
    }
}

/// Which device runs the chains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeviceChoice {
    /// WebGPU where there is a graphics processor, else the CPU.
    #[default]
    Auto,
    /// WebGPU where there is an adapter, even one that is a program on the CPU.
    Gpu,
    /// The CPU.
    Cpu,
}

impl DeviceChoice {
    const ALL: [DeviceChoice; 3] = [DeviceChoice::Auto, DeviceChoice::Gpu, DeviceChoice::Cpu];

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            DeviceChoice::Auto => "auto",
            DeviceChoice::Gpu => "gpu",
            DeviceChoice::Cpu => "cpu",
        }
    }

    /// The choice that a word stands for.
    pub fn from_word(word: &str) -> Option<DeviceChoice> {
        DeviceChoice::ALL.into_iter().find(|choice| choice.word() == word)
    }
}
