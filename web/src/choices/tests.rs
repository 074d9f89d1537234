#![allow(clippy::unwrap_used)]
use super::*;

const DOCS: &str = include_str!("../../../docs/embedding.md");
const ELEMENT: &str = include_str!("../../element/dual-mcmc.js");
const ADDRESS: &str = include_str!("../../element/address.js");
const STYLE: &str = include_str!("../../element/style.js");
const TEMPLATE: &str = include_str!("../../element/template.js");
const TRAINING: &str = include_str!("../../element/train-template.js");
const TYPES: &str = include_str!("../../element/dual-mcmc.d.ts");
const MANIFEST: &str = include_str!("../../element/custom-elements.json");

#[test]
fn what_is_chosen_is_read_back_as_it_was_written() {
    let values = [
        ("src", "models/ring.safetensors"),
        ("view", "sample"),
        ("chains", "64"),
        ("rate", "0.5"),
        ("step-size", "0.1"),
        ("noise", "0.001"),
        ("start", "noise data"),
        ("sampler", "mala"),
        ("chain", "3"),
        ("overlay", "trails density"),
        ("corners", "examples"),
        ("walk", "0.25 -1"),
        ("subject", "tone"),
        ("example", "3"),
        ("mask", "lower"),
        ("fill", "energy"),
        ("seed", "7"),
        ("device", "cpu"),
    ];
    let mut choices = Choices::default();
    for (name, value) in values {
        assert_eq!(choices.get(name), None, "{name}");
        choices.set(name, Some(value)).unwrap();
        assert_eq!(choices.get(name).as_deref(), Some(value), "{name}");
    }
    for (name, _) in values {
        choices.set(name, None).unwrap();
    }
    assert_eq!(choices, Choices::default());
}

#[test]
fn an_impossible_value_is_named_and_the_rest_is_kept() {
    let mut choices = Choices { step_size: Some(0.2), chains: Some(4), ..Choices::default() };
    let impossible = [
        ("chains", "many"),
        ("chains", "0"),
        ("noise", "NaN"),
        ("rate", "1e9"),
        ("seed", "-1"),
        ("view", "cinema"),
        ("device", "tpu"),
        ("example", "65"),
        ("mask", "half"),
        ("start", ""),
        ("start", "generator nowhere"),
        ("sampler", "exact"),
        ("walk", "far away"),
        ("chain", "0"),
        ("hide", "seed everything"),
        ("loading", "never"),
    ];
    for (name, value) in impossible {
        let said = choices.set(name, Some(value)).unwrap_err();
        assert!(said.contains(&format!("{name}=\"{value}\"")) && said.contains("it takes"), "{said}");
    }
    assert_eq!(choices, Choices { step_size: Some(0.2), ..Choices::default() });
}

#[test]
fn the_documentation_has_every_choice() {
    for choice in CHOICES {
        let line = choice.documented();
        assert!(DOCS.lines().any(|l| l == line), "docs/embedding.md lacks:\n{line}");
    }
    let section = DOCS.split("## ").find(|section| section.starts_with("Attributes")).unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, CHOICES.len(), "a row for every choice");
}

/// What stands between a mark and the next closing bracket.
fn list<'a>(text: &'a str, mark: &str) -> Vec<&'a str> {
    let rest = text.split_once(mark).unwrap().1;
    let inside = rest.split_once([']', '}']).unwrap().0;
    inside.split('\'').skip(1).step_by(2).collect()
}

#[test]
fn the_javascript_has_the_version_of_the_code() {
    let version = include_str!("../../element/code.js").split_once("VERSION = '").unwrap().1;
    assert_eq!(version.split_once('\'').unwrap().0, env!("CARGO_PKG_VERSION"));
}

#[test]
fn what_can_be_hidden_is_hidden_by_the_style() {
    let table = STYLE.split_once("HIDES = {").unwrap().1.split_once("};").unwrap().0;
    let words: Vec<&str> = table.split('\'').skip(1).step_by(4).collect();
    assert_eq!(words, HIDEABLE);
    for part in table.split("data-ref=").skip(1) {
        let name = part.split_once(']').unwrap().0;
        let part = format!("data-ref=\"{name}\"");
        assert!([TEMPLATE, TRAINING].iter().any(|text| text.contains(&part)), "no part {name}");
    }
}

#[test]
fn the_element_its_types_and_its_addresses_have_every_choice() {
    let attributes: Vec<&str> = CHOICES.iter().map(|choice| choice.attribute).collect();
    assert_eq!(list(ELEMENT, "ATTRIBUTES = ["), attributes);
    let pairs = list(ADDRESS, "PARAMETERS = {");
    let expected: Vec<&str> =
        CHOICES.iter().filter_map(|c| Some([c.parameter?, c.attribute])).flatten().collect();
    assert_eq!(pairs, expected);
    for choice in CHOICES {
        let named = |text: &str| text.contains(&format!("\"{}\"", choice.attribute));
        assert!(named(MANIFEST), "custom-elements.json lacks {}", choice.attribute);
        assert!(
            TYPES.contains(&format!("'{}'", choice.attribute)),
            "dual-mcmc.d.ts lacks {}",
            choice.attribute
        );
        if let Some(control) = choice.control {
            assert!(TEMPLATE.contains(&format!("data-ref=\"{control}\"")), "no control {control}");
        }
    }
}
