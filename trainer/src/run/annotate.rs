//! What a model file says for those who look at it, beside its networks: held-out examples, how its energy is
//! distributed over several kinds of samples, and the density of the data where it is known.

use super::chains::{self, energies};
use super::evaluate::{auroc, foreign_samples};
use crate::data::image_sets::ImageSet;
use crate::data::{Dataset, Known};
use anyhow::Result;
use dual_mcmc::executor::Executor;
use dual_mcmc::jobs::Sampling;
use dual_mcmc::model::{Examples, Histogram, MAX_EXAMPLES, Model};

/// Samples of each kind whose energies are counted, and x-chains that are run for it.
const SAMPLES: usize = 2_000;
const CHAINS: usize = 512;

/// Where the annotations of a model come from.
pub struct Annotating<'a> {
    /// The data it was made for.
    pub data: &'a Dataset,
    /// Where its energies are computed.
    pub executor: &'a Executor,
    /// Seed of everything random.
    pub seed: u64,
    /// Examples of held-out data; where it is `None`, as many as there may be of a set that is this program's or
    /// public, and none of a person's own.
    pub examples: Option<usize>,
}

/// Give a model all annotations that there are for it, in the place of those it had. Its weights, and what others have
/// added to it, stay.
///
/// # Errors
/// If the data cannot be read, or the executor fails.
pub fn annotate(model: &mut Model, job: &Annotating) -> Result<()> {
    let data = job.data;
    let wanted = job.examples.unwrap_or(if data.known.is_some() { MAX_EXAMPLES } else { 0 });
    let examples = match wanted {
        0 => None,
        wanted => {
            let examples = Examples::of(&data.held_out_batch(wanted)?, &data.shape);
            // One sample may be larger than the room for all.
            (examples.count(&data.shape) > 0).then_some(examples)
        }
    };
    model.provenance.examples_license = match (&examples, data.known) {
        (None, _) => String::new(),
        (Some(_), Some(known)) => license(known).into(),
        (Some(_), None) => model.provenance.license.clone(),
    };
    model.annotations.examples = examples;
    model.annotations.density = match data.known {
        Some(Known::Points(set)) => Some(set),
        _ => None,
    };
    model.annotations.histograms = histograms(model, job)?;
    Ok(())
}

/// Energies of held-out data, along the x-chain, and of foreign samples.
fn histograms(model: &Model, job: &Annotating) -> Result<Vec<Histogram>> {
    if model.energy.is_none() {
        return Ok(Vec::new());
    }
    let of = |x: &[f32]| energies(job.executor, model, x);
    let own = job.data.held_out_batch(SAMPLES)?;
    let inside = of(&own)?;
    let sampling = Sampling::recommended(model, CHAINS, job.seed)?;
    let sampled = chains::sample(job.executor, model, &sampling, false)?;
    let mut all = vec![
        Histogram::of("held_out_data", &inside, None),
        Histogram::of(sampling.start.name(), &of(&sampled.start)?, None),
        Histogram::of("x_chain", &of(&sampled.end)?, None),
    ];
    for (name, x) in foreign_samples(job.data, &own, job.seed).sets {
        let outside = of(&x)?;
        all.push(Histogram::of(name, &outside, Some(auroc(&inside, &outside))));
    }
    Ok(all.into_iter().flatten().collect())
}

/// The licence of samples of a known set.
fn license(known: Known) -> &'static str {
    match known {
        // Made by this program.
        Known::Points(_) => "MIT OR Apache-2.0",
        Known::Images(ImageSet::Mnist) => "CC-BY-SA-3.0",
        Known::Images(ImageSet::FashionMnist) => "MIT",
        Known::Images(ImageSet::NotoEmoji) => "Apache-2.0",
        Known::Images(ImageSet::Cifar10) => "none stated (A. Krizhevsky, 2009)",
    }
}

/// What a model file holds beside its networks, in words.
pub fn contents(model: &Model) -> String {
    let notes = &model.annotations;
    let mut parts = Vec::new();
    if let Some(examples) = &notes.examples {
        let license = match model.provenance.examples_license.as_str() {
            "" => String::new(),
            license => format!(" (licence: {license})"),
        };
        parts.push(format!("{} examples of held-out data{license}", examples.count(&model.data_shape())));
    }
    if !notes.histograms.is_empty() {
        parts.push(format!("{} histograms of the energy", notes.histograms.len()));
    }
    parts.extend(notes.density.map(|set| format!("the density of the {}", set.name())));
    if !notes.extras.is_empty() {
        parts.push("what other programs have added".into());
    }
    match parts.split_last() {
        None => "no examples, histograms or density".into(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
    }
}
