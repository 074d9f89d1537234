//! "Did you mean": what an unknown key or word was meant to be.

use super::{Decay, Persistent, Recipe};
use dual_mcmc::chain::{Langevin, XChainSettings, ZChainSettings};
use toml::{Table, Value};

/// How alike two words must be, in Jaro's measure, to be one meant for the other.
const ALIKE: f64 = 0.7;

/// The one of `known` that is most like `word`, if any is like it.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let like = |other: &'a str| {
        // A word that is part of the other: `batches` of `statistics_batches`.
        let part = word.len() > 2 && (other.contains(word) || word.contains(other));
        (strsim::jaro(word, other).max(if part { ALIKE } else { 0.0 }), other)
    };
    let best = known.into_iter().map(like).max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(alike, _)| *alike >= ALIKE).map(|(_, other)| other)
}

/// A message of serde, in our words where it is about an unknown key or value: with the nearest known
/// one, or with all of them if none is near.
pub(super) fn explain(message: &str) -> String {
    for (theirs, ours) in [("unknown field `", "unknown key"), ("unknown variant `", "unknown value")] {
        let Some((before, rest)) = message.split_once(theirs) else { continue };
        // What follows in further lines is the place.
        let (rest, place) = rest.split_once('\n').unwrap_or((rest, ""));
        let place = if place.is_empty() { String::new() } else { format!(" {}", place.trim()) };
        let mut quoted = rest.split('`');
        let word = quoted.next().unwrap_or_default();
        // Between the quoted words are commas and the like.
        let known: Vec<&str> = quoted.skip(1).step_by(2).filter(|name| !name.is_empty()).collect();
        let elsewhere = if ours == "unknown key" { elsewhere(word) } else { Vec::new() };
        let advice = match nearest(word, known.iter().copied()) {
            _ if !elsewhere.is_empty() => format!("did you mean {}?", elsewhere.join(" or ")),
            Some(name) => format!("did you mean `{name}`?"),
            None if known.is_empty() => "there are none here".into(),
            None => format!("known are {}", known.join(", ")),
        };
        return format!("{before}{ours} `{word}`{place}; {advice}");
    }
    message.to_string()
}

/// Where in a recipe there is a key of that name, as "`teaching.batch`". Layers are left out: theirs are known by
/// their type.
fn elsewhere(word: &str) -> Vec<String> {
    fn collect(path: &str, table: &Table, word: &str, found: &mut Vec<String>) {
        for (key, value) in table {
            let place = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            match value {
                _ if key == word && !path.is_empty() => found.push(format!("`{place}`")),
                Value::Table(table) => collect(&place, table, word, found),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    if let Ok(table) = complete().to_toml().parse::<Table>() {
        collect("", &table, word, &mut found);
    }
    found
}

/// A recipe with every key that there is.
fn complete() -> Recipe {
    let mut recipe: Recipe =
        toml::from_str(include_str!("../../../recipes/ring.toml")).expect("it is tested");
    let mut langevin = Langevin::new(1.0, 1.0);
    langevin.gradient_clamp = Some(1.0);
    langevin.range_clamp = Some([-1.0, 1.0]);
    recipe.data.count = Some(1);
    if let Some(chain) = &mut recipe.x_chain {
        (chain.gradient_clamp, chain.range_clamp) = (langevin.gradient_clamp, langevin.range_clamp);
    }
    if let Some(chain) = &mut recipe.z_chain {
        (chain.gradient_clamp, chain.range_clamp) = (langevin.gradient_clamp, langevin.range_clamp);
    }
    recipe.sample_chain = Some(XChainSettings { steps: 1, langevin });
    recipe.reconstruct_chain = Some(ZChainSettings { steps: 1, langevin, sigma: 1.0 });
    recipe.teaching.persistent =
        Some(Persistent { share: 0.5, size: 1, restart: 0.0, from_generator: 0.5, range: [0.0, 1.0] });
    recipe.schedule.decay = Some(Decay { factor: 1.0, every: 1 });
    let optimisers = &mut recipe.optimiser;
    for optimiser in [&mut optimisers.energy, &mut optimisers.generator, &mut optimisers.encoder] {
        optimiser.as_mut().expect("the ring has all three").clip = Some(1.0);
    }
    recipe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_wrong_section_is_named_in_its_own() {
        let fields = "expected one of `name`, `data`, `energy`, `teaching`";
        for (word, expected) in [
            ("batch", "unknown key `batch`; did you mean `teaching.batch`?"),
            ("sigma", "unknown key `sigma`; did you mean `reconstruct_chain.sigma` or `z_chain.sigma`?"),
            ("clip", "`optimiser.encoder.clip` or `optimiser.energy.clip` or `optimiser.generator.clip`"),
            ("factor", "`schedule.decay.factor`"),
            ("range", "`teaching.persistent.range`"),
            ("nonsense", "unknown key `nonsense`; known are name, data, energy, teaching"),
        ] {
            let found = explain(&format!("unknown field `{word}`, {fields}"));
            assert!(found.contains(expected), "{found}");
        }
    }

    #[test]
    fn the_nearest_word_is_meant_or_all_are_named() {
        let fields = "expected one of `type`, `channels`, `weight`";
        for (message, expected) in [
            (format!("unknown field `chanels`, {fields}"), "unknown key `chanels`; did you mean `channels`?"),
            (
                format!("layer `batch_norm`: unknown field `momentum`, {fields}\nin `layers`"),
                "layer `batch_norm`: unknown key `momentum` in `layers`; known are type, channels, weight",
            ),
            ("unknown field `a`, expected `bee` or `sea`".into(), "unknown key `a`; known are bee, sea"),
            ("unknown field `a`, there are no fields".into(), "unknown key `a`; there are none here"),
            (
                "unknown variant `freshh`, expected one of `chain`, `fresh`".into(),
                "unknown value `freshh`; did you mean `fresh`?",
            ),
            ("missing field `rate`".into(), "missing field `rate`"),
        ] {
            assert_eq!(explain(&message), expected);
        }
    }
}
