//! What a model's file says about it.

use crate::dom;
use crate::explain::{count, readable};
use crate::facts::Facts;
use crate::ui::Refs;
use dual_mcmc::model::Model;
use web_sys::Element;

/// One line about a model.
fn line(model: &Model, facts: &Facts) -> String {
    let mut parts = vec![match facts.shape[..] {
        [1, h, w] => format!("grey images, {w} × {h}"),
        [3, h, w] => format!("colour images, {w} × {h}"),
        [c, h, w] => format!("images of {c} channels, {w} × {h}; the first is shown"),
        [2] => "points of the plane".into(),
        _ => format!("vectors of {}, shown as strips", count(facts.len(), "number")),
    }];
    if let Some(energy) = &model.energy {
        parts.push(format!("energy of {}", count(energy.network.parameter_count(), "parameter")));
    }
    parts.join(" · ")
}

/// Fill the line beside the pictures, and the list under “About this model”. Text from a file never becomes HTML.
pub fn fill(refs: &Refs, model: &Model, facts: &Facts) {
    refs.set_text("model-line", &line(model, facts));
    let Some(list) = refs.find::<Element>("about-list") else { return };
    list.set_text_content(None);
    for (term, words) in entries(model, facts).into_iter().filter(|(_, words)| !words.is_empty()) {
        for (tag, text) in [("dt", term), ("dd", words.as_str())] {
            if let Some(element) = dom::create::<Element>(tag) {
                element.set_text_content(Some(text));
                let _ = list.append_child(&element);
            }
        }
    }
}

/// Terms and what the file says of them.
fn entries(model: &Model, facts: &Facts) -> Vec<(&'static str, String)> {
    let mut entries = Vec::new();
    let mut put = |term: &'static str, words: String| entries.push((term, words));
    let provenance = &model.provenance;
    put("Data", provenance.data.clone());
    for (term, network) in
        [("Energy", &model.energy), ("Generator", &model.generator), ("Encoder", &model.encoder)]
    {
        let words = network.as_ref().map(|weighted| {
            let names = weighted.network.layers.iter().map(|layer| layer.name().replace('_', " "));
            let layers: Vec<String> = names.collect();
            let output = weighted.network.output().unwrap_or_default();
            format!(
                "{:?} → {:?}, {}: {}",
                weighted.network.input,
                output,
                count(weighted.network.parameter_count(), "parameter"),
                layers.join(", "),
            )
        });
        put(term, words.unwrap_or_else(|| "none in this file".into()));
    }
    if let Some(x) = &facts.chains.x {
        let l = &x.langevin;
        put(
            "Its x-chain",
            format!(
                "{}, s = {}, n = {}, T = {}",
                count(x.steps as usize, "step"),
                readable(l.step_size),
                readable(l.noise),
                readable(l.temperature())
            ),
        );
    }
    if provenance.iterations > 0 {
        put(
            "Training",
            format!("{}, seed {}", count(provenance.iterations as usize, "iteration"), provenance.seed),
        );
    }
    let metrics: Vec<String> = provenance
        .metrics
        .iter()
        .map(|(name, value)| format!("{}: {}", name.replace('_', " "), readable(*value as f32)))
        .collect();
    put("Measured", metrics.join("; "));
    put("Licence", provenance.license.clone());
    put("Written by", provenance.version.clone());
    entries
}

/// The range that holds nine tenths of held-out data's energies, where the file says it.
pub fn held_out(model: &Model) -> Option<[f32; 2]> {
    let quantiles = model.energy_quantiles.as_ref()?;
    let at = |wanted: f32| {
        let (p, e) = (&quantiles.probabilities, &quantiles.energies);
        let i = p.iter().position(|&p| p >= wanted)?;
        if i == 0 || p[i] == wanted {
            return (p[i] == wanted).then(|| e[i]);
        }
        let t = (wanted - p[i - 1]) / (p[i] - p[i - 1]);
        Some(e[i - 1] + t * (e[i] - e[i - 1]))
    };
    Some([at(0.05)?, at(0.95)?])
}

/// Show what of the choices or the model could not be used.
pub fn remark(refs: &Refs, sentences: &[String]) {
    let Some(list) = refs.find::<Element>("remarks") else { return };
    if list.text_content().as_deref() != Some(&sentences.concat()) {
        list.set_text_content(None);
        for sentence in sentences {
            if let Some(item) = dom::create::<Element>("li") {
                item.set_text_content(Some(sentence));
                let _ = list.append_child(&item);
            }
        }
    }
    refs.show("remarks", !sentences.is_empty());
}
