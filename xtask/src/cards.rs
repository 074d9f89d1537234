//! `cargo xtask cards`: the cards of the shipped models, in models/cards/, and models/README.md, which is made of them.

use crate::page::{self, Listed};
use crate::{process, say};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// Measure the shipped models of these names, or all of them, write their cards, and make models/README.md anew.
///
/// # Errors
/// If a name is no shipped model's, a model's data are not there, or a file cannot be written.
pub fn write(names: &[String]) -> Result<()> {
    let models = process::root().join("models");
    let listed = page::list(&models)?;
    for name in names {
        if !listed.iter().any(|listed| stem(listed) == name) {
            bail!("there is no shipped model `{name}`; they are in models/index.json");
        }
    }
    process::run(process::cargo().args(["build", "--release", "--package", "dual-mcmc-trainer"]))?;
    for listed in
        listed.iter().filter(|listed| names.is_empty() || names.iter().any(|name| name == stem(listed)))
    {
        let program = process::target_directory()?.join("release/dual-mcmc");
        let mut card = process::command(program);
        card.arg("card").arg(models.join(&listed.file)).args(["--link", "--title", &listed.title, "--out"]);
        process::run(card.arg(models.join("cards").join(stem(listed))))?;
    }
    let readme = models.join("README.md");
    fs::write(&readme, overview(&models, &listed)?)
        .with_context(|| format!("cannot write {}", readme.display()))?;
    say!("{} is made of the cards.", readme.display());
    Ok(())
}

fn stem(listed: &Listed) -> &str {
    listed.file.trim_end_matches(".safetensors")
}

/// models/README.md: each model with a picture, its main figures and its card.
///
/// # Errors
/// If a model has no card.
pub fn overview(models: &Path, listed: &[Listed]) -> Result<String> {
    let mut text = String::from(
        "# Trained models\n\n\
         Written by `cargo xtask cards`. Each model has a card with its samples, every figure of `dual-mcmc evaluate`, what is\n\
         known against it, its recipe, and the command that makes it again. What was tried on the way to them is in\n\
         [docs/experiments.md](../docs/experiments.md).\n\n\
         | | model | parameters of E, G, I | main figures | AUROC: noise, tones, other sets | licence |\n|---|---|---|---|---|---|\n",
    );
    for model in listed {
        let name = stem(model);
        let folder = models.join("cards").join(name);
        let context = || format!("{name} has no card; `cargo xtask cards {name}` makes it");
        let figures: Value =
            serde_json::from_slice(&fs::read(folder.join("figures.json")).with_context(context)?)
                .with_context(context)?;
        let card = fs::read_to_string(folder.join("README.md")).with_context(context)?;
        writeln!(
            text,
            "| ![samples of {name}](cards/{name}/thumbnail.png) | [{}](cards/{name}/README.md) | {} | {} | {} | {} |",
            model.title,
            parameters(&card),
            main_figures(&figures),
            areas(&figures["auroc_of_the_energy"]),
            license(&card),
        )?;
    }
    text.push_str(
        "\n*Good* samples of points lie in the 98.9% highest-density region of their set; log-likelihoods are in nats a sample, by\n\
         quadrature on [-6, 6]². Distances are Fréchet distances of the generator's samples → those after the x-chain, on the\n\
         features of a [classifier of the set](features/README.md), or on principal components of pixels where it has no labels.\n\
         An AUROC is the probability that the energy is higher on such a sample than on a held-out one.\n",
    );
    Ok(text)
}

/// What the card's table of networks ends its rows with.
fn parameters(card: &str) -> String {
    let rows = ["energy", "generator", "encoder"].map(|name| {
        let row = card.lines().find(|line| line.starts_with(&format!("| {name} | ")))?;
        row.trim_end_matches(" |").rsplit("| ").next()
    });
    rows.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn license(card: &str) -> &str {
    let line = card.lines().find_map(|line| line.strip_prefix("Licence of the weights: "));
    line.unwrap_or("unspecified").trim_end_matches('.')
}

fn main_figures(figures: &Value) -> String {
    let number = |value: &Value| value.as_f64();
    if let (Some(reached), Some(truth)) =
        (number(&figures["log_likelihood"]), number(&figures["log_likelihood_of_the_truth"]))
    {
        // The fewest steps are those that the model recommends; the others are how it goes on.
        let steps = |name: &str| name.strip_prefix("x_chain_")?.strip_suffix("_steps")?.parse::<u64>().ok();
        let chains = figures.as_object().into_iter().flatten();
        let good = chains
            .filter_map(|(name, value)| Some((steps(name)?, number(&value["good_share"])?)))
            .min_by_key(|(steps, _)| *steps)
            .map(|(_, share)| share);
        let good = good.map_or(String::new(), |good| format!("{good:.3} good after the x-chain; "));
        return format!("{good}log-likelihood {reached:.3} (truth {truth:.3})");
    }
    let on = |part: &str| {
        let mut all = figures.as_object().into_iter().flatten();
        all.find(|(name, _)| name.starts_with("frechet") && name.contains(part)).map(|(_, value)| value)
    };
    let Some(distances) = on("classifier").or_else(|| on("components")) else { return String::new() };
    let shown = |key: &str| number(&distances[key]).map_or("-".into(), |value| format!("{value:.2}"));
    let mut text = format!("distance {} → {}", shown("generator"), shown("x_chain"));
    if let Some(ssim) = number(&figures["reconstruction"]["ssim_after_the_z_chain"]) {
        let _ = write!(text, "; SSIM of reconstructions {ssim:.3}");
    }
    text
}

/// Noise and tones first, then the sets.
fn areas(areas: &Value) -> String {
    let sets = areas["other_sets"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let names = ["uniform_noise", "constant"].into_iter().chain(sets);
    let shown = names.filter_map(|name| Some(format!("{} {:.3}", words(name), areas[name].as_f64()?)));
    shown.collect::<Vec<_>>().join(", ")
}

fn words(name: &str) -> String {
    match name {
        "constant" => "tones".into(),
        _ => name.replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_models_readme_is_made_of_their_cards() {
        let models = process::root().join("models");
        let made = overview(&models, &page::list(&models).unwrap()).unwrap();
        let kept = fs::read_to_string(models.join("README.md")).unwrap();
        assert_eq!(kept, made, "`cargo xtask cards` writes it");
    }
}
