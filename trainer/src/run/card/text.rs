//! The card's page: Markdown, with the front matter that model hubs read.

use super::super::evaluate::Figures;
use super::super::progress::clock;
use super::{Card, FIGURES, IMAGES, Picture, RECIPE};
use crate::data::Known;
use crate::data::image_sets::ImageSet;
use crate::recipe::Recipe;
use anyhow::Result;
use dual_mcmc::model::{Model, Weighted};
use dual_mcmc::network::Layer;
use serde_json::{Value, json};
use std::fmt::Write;

/// The whole page, of a model whose file is at `place`.
pub fn page(
    card: &Card,
    place: &str,
    figures: &Figures,
    weaknesses: &[String],
    samples: &[Picture],
    reconstructions: Option<&Picture>,
    curves: &[Picture],
) -> Result<String> {
    let mut page = front_matter(card, figures)?;
    let parts = networks_in_words(card.model);
    write!(
        page,
        "# {}\n\n{parts} on {}, learned by dual-MCMC teaching ([Cui & Han, NeurIPS 2023](https://arxiv.org/abs/2312.02469)).\n",
        card.title, card.data.name
    )?;
    if !samples.is_empty() {
        let count = if card.data.shape.len() == 3 { IMAGES.to_string() } else { "2,000".into() };
        write!(page, "\n## Samples\n\nThe first {count} of seed {}, not chosen by hand.\n\n", card.seed)?;
        let cells = |of: &dyn Fn(&Picture) -> String| samples.iter().map(of).collect::<Vec<_>>().join(" | ");
        writeln!(page, "| {} |", cells(&|picture| picture.caption.clone()))?;
        writeln!(page, "|{}", "---|".repeat(samples.len()))?;
        writeln!(page, "| {} |", cells(&|picture| format!("![{}]({})", picture.caption, picture.file)))?;
    }
    if let Some(Picture { file, caption }) = reconstructions {
        write!(page, "\n## Reconstructions\n\n![{caption}]({file})\n\nFrom top to bottom: {caption}.\n")?;
    }
    page.push_str(&use_of(card.model, place));
    page.push_str(&weaknesses_section(weaknesses));
    page.push_str(&figures_section(card, place, figures)?);
    page.push_str(&networks_section(card.model)?);
    page.push_str(&training_section(card)?);
    if !curves.is_empty() {
        page.push_str("\n## Curves\n");
        for Picture { file, caption } in curves {
            write!(page, "\n**{caption}**\n\n![{caption}]({file})\n")?;
        }
    }
    page.push_str(&data_section(card)?);
    Ok(page)
}

/// What hubs read: licence, library, tags, data, figures.
fn front_matter(card: &Card, figures: &Figures) -> Result<String> {
    let provenance = &card.model.provenance;
    let of_images = card.data.shape.len() == 3;
    let mut tags =
        vec!["energy-based-model", "langevin-dynamics", "mcmc", "dual-mcmc-teaching", "safetensors"];
    if card.model.encoder.is_some() {
        tags.push("inference-model");
    }
    let (license, name) = license(&provenance.license);
    let mut matter = String::from("---\n");
    // JSON is YAML.
    writeln!(matter, "license: {license}")?;
    if let Some(name) = name {
        writeln!(matter, "license_name: {}", json!(name))?;
    }
    writeln!(matter, "library_name: dual-mcmc\ntags: {}", json!(tags))?;
    if of_images && card.model.generator.is_some() {
        matter.push_str("pipeline_tag: unconditional-image-generation\n");
    }
    if let Some(hub) = hub_name(card.data.known) {
        writeln!(matter, "datasets: {}", json!([hub]))?;
    }
    let metrics: Vec<Value> = figures
        .value()
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let distance = name
                .starts_with("frechet")
                .then(|| value["x_chain"].as_f64().or(value["generator"].as_f64()));
            let value = distance.flatten().or_else(|| value.as_f64().filter(|_| name == "log_likelihood"))?;
            Some(json!({ "type": name, "name": name.replace('_', " "), "value": value }))
        })
        .collect();
    let task = if of_images { "unconditional-image-generation" } else { "density-estimation" };
    let index = json!([{
        "name": card.title,
        "results": [{
            "task": { "type": task },
            "dataset": { "type": hub_name(card.data.known).unwrap_or(&card.data.name), "name": card.data.name },
            "metrics": metrics,
        }],
    }]);
    writeln!(matter, "model-index: {index}\n---\n")?;
    Ok(matter)
}

/// A hub's word for a licence, and the licence's own name where the hub has no word for it.
fn license(text: &str) -> (Value, Option<String>) {
    let known = ["mit", "apache-2.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "bsd-3-clause"];
    let parts: Vec<String> = text.split(" OR ").map(|part| part.trim().to_lowercase()).collect();
    let parts: Vec<String> =
        parts.into_iter().map(|part| if part == "cc0" { "cc0-1.0".into() } else { part }).collect();
    match parts.as_slice() {
        _ if text.is_empty() || text == "unspecified" => (json!("unknown"), None),
        [one] if known.contains(&one.as_str()) => (json!(one), None),
        parts if parts.iter().all(|part| known.contains(&part.as_str())) => (json!(parts), None),
        _ => (json!("other"), Some(text.into())),
    }
}

/// The name of a set on a model hub.
fn hub_name(known: Option<Known>) -> Option<&'static str> {
    match known {
        Some(Known::Images(ImageSet::Mnist)) => Some("ylecun/mnist"),
        Some(Known::Images(ImageSet::FashionMnist)) => Some("zalando-datasets/fashion_mnist"),
        Some(Known::Images(ImageSet::Cifar10)) => Some("uoft-cs/cifar10"),
        _ => None,
    }
}

fn networks_in_words(model: &Model) -> &'static str {
    match (&model.energy, &model.generator, &model.encoder) {
        (Some(_), Some(_), Some(_)) => "An energy-based model with its generator and its encoder",
        (Some(_), Some(_), None) => "An energy-based model with its generator",
        (Some(_), None, _) => "An energy-based model",
        (None, _, Some(_)) => "A generator and its encoder",
        (None, _, None) => "A generator",
    }
}

fn use_of(model: &Model, place: &str) -> String {
    let mut text = String::from("\n## Use\n\n```\n");
    text.push_str(&format!("dual-mcmc sample {place} --out samples.png\n"));
    if model.energy.is_some() {
        text.push_str(&format!("dual-mcmc sample {place} --out from-noise.png --init noise --steps 1000\n"));
        text.push_str(&format!("dual-mcmc energy {place} --input x.npy --out energies.npy\n"));
    }
    if model.encoder.is_some() {
        text.push_str(&format!("dual-mcmc reconstruct {place} --input x.npy --out back.npy\n"));
    }
    text.push_str("```\n\nThe same file runs in a browser, as the `src` of a `<dual-mcmc>` element. Its format is plain\nsafetensors: docs/model-format.md of the project has the Python that reads it.\n");
    text
}

fn weaknesses_section(weaknesses: &[String]) -> String {
    let mut text = String::from("\n## Known weaknesses\n\n");
    if weaknesses.is_empty() {
        text.push_str("None of the figures below speaks against it.\n");
    }
    weaknesses.iter().for_each(|weakness| text.push_str(&format!("- {weakness}\n")));
    text
}

fn figures_section(card: &Card, place: &str, figures: &Figures) -> Result<String> {
    let number = |option: &str, n: Option<usize>| n.map(|n| format!(" {option} {n}")).unwrap_or_default();
    let mut text = format!(
        "\n## Figures\n\n`dual-mcmc evaluate {place} --data {}{}{} --seed {}`, on {}; [{FIGURES}]({FIGURES}) has all digits.\n\n| figure | value |\n|---|---|\n",
        shown(&card.data.name),
        number("--count", card.count),
        number("--reference", card.reference),
        card.seed,
        card.executor.name(),
    );
    for (name, value) in figures.lines() {
        writeln!(text, "| {} | {} |", name.replace('|', "\\|"), value.replace('|', "\\|"))?;
    }
    Ok(text)
}

fn networks_section(model: &Model) -> Result<String> {
    let mut text = String::from("\n## Networks\n\n| network | layers | parameters |\n|---|---|---|\n");
    for (name, network) in
        [("energy", &model.energy), ("generator", &model.generator), ("encoder", &model.encoder)]
    {
        let Some(Weighted { network, .. }) = network else { continue };
        let layers: Vec<String> = network.layers.iter().filter_map(layer).collect();
        writeln!(text, "| {name} | {} | {} |", layers.join(", "), thousands(network.parameter_count()))?;
    }
    if let Some(x) = model.chains.x {
        writeln!(
            text,
            "\nThe x-chain: {} steps of size {} with noise {}, temperature {:.3e}.",
            x.steps,
            x.langevin.step_size,
            x.langevin.noise,
            x.langevin.temperature()
        )?;
    }
    if let Some(z) = model.chains.z {
        writeln!(
            text,
            "The z-chain: {} steps of size {} with noise {}, σ {}.",
            z.steps, z.langevin.step_size, z.langevin.noise, z.sigma
        )?;
    }
    Ok(text)
}

/// A layer that has parameters, in a few words.
fn layer(layer: &Layer) -> Option<String> {
    match layer {
        Layer::Linear { in_features, out_features, .. } => {
            Some(format!("linear {in_features}→{out_features}"))
        }
        Layer::Conv2d { in_channels, out_channels, kernel, .. } => {
            Some(format!("conv {kernel}×{kernel} {in_channels}→{out_channels}"))
        }
        Layer::ConvTranspose2d { in_channels, out_channels, kernel, .. } => {
            Some(format!("transposed conv {kernel}×{kernel} {in_channels}→{out_channels}"))
        }
        Layer::Residual { main, .. } => {
            Some(format!("residual ({})", main.iter().filter_map(self::layer).collect::<Vec<_>>().join(", ")))
        }
        _ => None,
    }
}

fn training_section(card: &Card) -> Result<String> {
    let provenance = &card.model.provenance;
    let mut text = String::from("\n## Training\n\n");
    if provenance.recipe.is_empty() {
        text.push_str("The file does not say how it was trained.\n");
        return Ok(text);
    }
    let mut line = format!("dual-mcmc train {RECIPE} --seed {}", provenance.seed);
    if card.data.known.is_none() {
        write!(line, " --data {}", shown(&card.data.name))?;
    }
    let whole =
        Recipe::parse(&provenance.recipe).is_ok_and(|r| r.schedule.iterations == provenance.iterations);
    if !whole {
        write!(line, " --steps {}", provenance.iterations)?;
    }
    if !["", "unspecified"].contains(&provenance.license.as_str()) {
        write!(line, " --license {}", shown(&provenance.license))?;
    }
    write!(text, "```\n{line}\n```\n\n{} iterations", thousands(provenance.iterations as usize))?;
    if let Some(seconds) = provenance.metrics.get("training_seconds") {
        write!(text, " in {}", clock(*seconds))?;
    }
    if !provenance.device.is_empty() {
        write!(text, " on {}", provenance.device)?;
    }
    write!(
        text,
        ", by {}.\n\n<details><summary>The recipe</summary>\n\n```toml\n{}\n```\n\n</details>\n",
        provenance.version,
        provenance.recipe.trim_end()
    )?;
    Ok(text)
}

fn data_section(card: &Card) -> Result<String> {
    let provenance = &card.model.provenance;
    let mut text = String::from("\n## Data and licence\n\n");
    let what = match card.data.known {
        Some(Known::Images(set)) => format!("{}: {}.", set.name(), set.description()),
        Some(Known::Points(set)) => {
            format!("{}: points of the plane whose density is known exactly.", set.name())
        }
        None => format!("{}.", card.data.name),
    };
    writeln!(
        text,
        "Data: {what} {} samples were learned from, {} held out.\n",
        thousands(card.data.train_count()),
        thousands(card.data.held_out_count())
    )?;
    let license = if provenance.license.is_empty() { "unspecified" } else { &provenance.license };
    writeln!(text, "Licence of the weights: {license}.")?;
    if card.model.annotations.examples.is_some() {
        let license = match provenance.examples_license.as_str() {
            "" => "unspecified",
            license => license,
        };
        writeln!(text, "Licence of the held-out examples in the file: {license}.")?;
    }
    Ok(text)
}

/// A name as a shell takes it.
fn shown(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if name.chars().all(plain) { name.into() } else { format!("'{}'", name.replace('\'', "'\\''")) }
}

/// A number with its digits in groups.
fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn licences_have_a_hubs_word_or_their_own_name() {
        assert_eq!(license("MIT"), (json!("mit"), None));
        assert_eq!(license("MIT OR Apache-2.0"), (json!(["mit", "apache-2.0"]), None));
        assert_eq!(license("CC0"), (json!("cc0-1.0"), None));
        assert_eq!(license("unspecified"), (json!("unknown"), None));
        assert_eq!(license("ask me"), (json!("other"), Some("ask me".into())));
    }

    #[test]
    fn numbers_and_names_are_written_for_people_and_shells() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(shown("fashion-mnist"), "fashion-mnist");
        assert_eq!(shown("my cat's"), "'my cat'\\''s'");
    }
}
