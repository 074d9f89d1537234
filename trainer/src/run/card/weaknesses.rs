//! What a model's figures say against it, in words.

use serde_json::Value;

/// Areas under which an energy does not tell a kind of samples from data reliably.
const RELIABLE: f64 = 0.95;

/// Shares by which a long chain, or one from noise, may be farther from the data than the recommended one.
const FARTHER: f64 = 2.0;

/// Nats that a log-likelihood may lie below the truth's.
const BELOW: f64 = 0.1;

/// What the figures of `evaluate` say against the model.
pub fn of(figures: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let number = |value: &Value| value.as_f64();
    outliers(&figures["auroc_of_the_energy"], &mut found);

    for (name, distances) in figures.as_object().into_iter().flatten() {
        if !name.starts_with("frechet") && name != "fid" {
            continue;
        }
        let ruler = name.replace('_', " ");
        if let (Some(before), Some(after)) = (number(&distances["generator"]), number(&distances["x_chain"]))
            && after > before
        {
            found.push(format!(
                "The x-chain does not better the generator by the distance {ruler}: {before:.2} before it, {after:.2} after."
            ));
        }
        let long = &figures["long_run_drift"][name];
        let Some(near) = number(&long["x_chain"]) else { continue };
        for (key, what) in [
            (
                "after_10_times_the_steps",
                "Ten times the recommended steps do not keep what the chain has gained",
            ),
            ("noise_1000_steps", "A chain of 1,000 steps from noise does not reach the data"),
        ] {
            match number(&long[key]) {
                Some(far) if far > FARTHER * near => found.push(format!(
                    "{what}: the distance {ruler} is {far:.2}, and {near:.2} after the recommended chain."
                )),
                None if !long[key].is_null() => found.push(format!("{what}: its samples are not finite.")),
                _ => {}
            }
        }
    }

    let drift = &figures["long_run_drift"]["mean_energy_after_1_2_5_10_times_the_steps"];
    let band = &figures["energy"]["held_out_data"]["quantiles_5_50_95"];
    if let (Some(energy), Some(low), Some(high)) = (number(&drift[3]), number(&band[0]), number(&band[2]))
        && !(low..=high).contains(&energy)
    {
        let way = if energy < low { "below" } else { "above" };
        found.push(format!(
            "Its chains do not settle: after ten times the recommended steps the mean energy is {energy:.3}, {way} that of nine tenths of held-out data ({low:.3} to {high:.3})."
        ));
    }
    if let (Some(reached), Some(truth)) =
        (number(&figures["log_likelihood"]), number(&figures["log_likelihood_of_the_truth"]))
        && truth - reached > BELOW
    {
        found.push(format!("Its log-likelihood is {reached:.2} nats a sample, and the truth's {truth:.2}."));
    }
    found
}

/// What the energy takes for data, or does not tell from them.
fn outliers(areas: &Value, found: &mut Vec<String>) {
    let areas: Vec<(&String, f64)> = areas
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, area)| Some((name, area.as_f64()?)))
        .collect();
    // The count of sets is no area.
    let areas = areas.into_iter().filter(|(name, _)| !name.starts_with("other_sets"));
    for (name, area) in areas.filter(|(_, area)| *area < RELIABLE) {
        let name = name.replace('_', " ");
        found.push(if area < 0.5 {
            format!("The energy prefers {name} to data (AUROC {area:.3}).")
        } else {
            format!("The energy does not reliably tell {name} from data (AUROC {area:.3}).")
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_figures_say_against_a_model_is_said() {
        let figures = |area: f64, noise: Value, energy: f64| {
            json!({
                "frechet_8_components": { "generator": 2.0, "x_chain": 2.5 },
                "auroc_of_the_energy": { "other_sets_compared": 0, "constant": 0.97, "uniform_noise": area },
                "energy": { "held_out_data": { "quantiles_5_50_95": [-1.0, 0.0, 1.0] } },
                "long_run_drift": {
                    "mean_energy_after_1_2_5_10_times_the_steps": [0.0, 0.0, 0.0, energy],
                    "frechet_8_components": { "x_chain": 2.0, "after_10_times_the_steps": 3.0, "noise_1000_steps": noise },
                },
            })
        };
        let said = of(&figures(0.3, json!(4.5), -2.0)).join("\n");
        for expected in [
            "does not better the generator by the distance frechet 8 components: 2.00 before it, 2.50 after",
            "prefers uniform noise to data (AUROC 0.300)",
            "1,000 steps from noise does not reach the data: the distance frechet 8 components is 4.50, and 2.00",
            "is -2.000, below that of nine tenths of held-out data (-1.000 to 1.000)",
        ] {
            assert!(said.contains(expected), "{expected}\n{said}");
        }
        assert_eq!(said.lines().count(), 4);
        let said = of(&figures(0.94, json!("not finite"), 0.5)).join("\n");
        assert!(said.contains("not reliably tell uniform noise") && said.contains("not finite"), "{said}");
        let points = json!({ "log_likelihood": -1.9, "log_likelihood_of_the_truth": -1.7 });
        assert_eq!(of(&points), ["Its log-likelihood is -1.90 nats a sample, and the truth's -1.70."]);
        assert!(of(&json!({})).is_empty());
    }
}
