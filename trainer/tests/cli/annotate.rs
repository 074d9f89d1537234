//! What a model file says beside its networks.

use super::*;
use dual_mcmc::model::{Examples, Model, Precision};
use dual_mcmc::points::PointSet;

fn model(sandbox: &Sandbox, name: &str) -> Model {
    Model::from_bytes(&std::fs::read(sandbox.path(name)).unwrap()).unwrap()
}

fn kinds(model: &Model) -> Vec<&str> {
    model.annotations.histograms.iter().map(|h| h.name.as_str()).collect()
}

/// A built-in set has its density and examples in the model of a run, and in its export; a model without them can be
/// given them, and its weights stay.
#[test]
fn a_built_in_set_is_in_its_models_file() {
    let sandbox = Sandbox::new();
    let said = sandbox.train("--out run --steps 4 --license CC0");
    assert!(said.contains("64 examples of held-out data (licence: MIT OR Apache-2.0)"), "{said}");
    assert!(said.contains("the density of the ring"), "{said}");
    let of_run = model(&sandbox, "run/model.safetensors");
    assert_eq!(of_run.annotations.density, Some(PointSet::Ring));
    assert_eq!(of_run.annotations.examples.as_ref().unwrap().count(&[2]), 64);
    assert_eq!(
        kinds(&of_run),
        ["held_out_data", "generator", "x_chain", "moons", "spiral", "checkerboard", "uniform_noise"]
    );
    for histogram in &of_run.annotations.histograms {
        let foreign = !["held_out_data", "generator", "x_chain"].contains(&histogram.name.as_str());
        assert_eq!(histogram.auroc.is_some(), foreign, "{}", histogram.name);
        assert!(histogram.total() >= 512, "{}", histogram.name);
    }

    let output = sandbox.command("export run --out exported.safetensors --f16").output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("64 examples") && said.contains("7 histograms"), "{said}");
    let mut bare = model(&sandbox, "exported.safetensors");
    assert_eq!(bare.annotations, of_run.annotations);

    // Without them it is a file of version 1.
    let annotations = std::mem::take(&mut bare.annotations);
    bare.provenance.examples_license.clear();
    sandbox.write("bare.safetensors", bare.to_bytes(Precision::F16).unwrap());
    sandbox.run("annotate bare.safetensors --data ring --out out.safetensors --seed 0 --device cpu");
    assert_eq!(model(&sandbox, "bare.safetensors"), bare, "with --out the model itself stays");
    let out = model(&sandbox, "out.safetensors");
    assert_eq!((&out.energy, &out.generator, &out.encoder), (&bare.energy, &bare.generator, &bare.encoder));
    assert_eq!(out.annotations.examples, annotations.examples);
    let bytes = std::fs::read(sandbox.path("out.safetensors")).unwrap();
    assert_eq!(Precision::of(&bytes).unwrap(), Precision::F16);

    // In its place; and what others have added stays.
    bare.annotations.extras.insert("theirs".into(), 7.into());
    sandbox.write("bare.safetensors", bare.to_bytes(Precision::F32).unwrap());
    sandbox.run("annotate bare.safetensors --data ring --examples 0 --device cpu");
    let bare = model(&sandbox, "bare.safetensors").annotations;
    assert_eq!((bare.examples, bare.extras["theirs"].as_u64()), (None, Some(7)));
    assert_eq!(bare.histograms.len(), 7);
}

/// A person's own data stay their own, unless they say otherwise.
#[test]
fn ones_own_data_are_in_the_file_only_if_that_is_asked_for() {
    let sandbox = Sandbox::new();
    let rows = (1..=60).map(|i| format!("{},{}\n", (i as f32 * 0.7).sin(), (i as f32 * 1.3).cos()));
    sandbox.write("moons.csv", rows.collect::<String>());
    let train = |options: &str| {
        let recipe = recipes().join("points.toml");
        let small = "--set teaching.batch=8 --set x_chain.steps=2 --set z_chain.steps=2";
        sandbox.run(&format!(
            "train {} --data moons.csv --steps 2 --device cpu {small} --license CC0 {options}",
            recipe.display()
        ))
    };
    let said = train("--out private");
    assert!(said.contains("histograms of the energy") && !said.contains("examples of"), "{said}");
    let private = model(&sandbox, "private/model.safetensors");
    assert_eq!((private.annotations.examples.as_ref(), private.annotations.density), (None, None));
    assert_eq!(private.provenance.examples_license, "");

    // It holds for a run that is resumed, too.
    train("--out open --examples 3");
    let recipe = recipes().join("points.toml");
    let resume = "--set teaching.batch=8 --set x_chain.steps=2 --set z_chain.steps=2 --steps 3 --resume";
    sandbox.run(&format!("train {} --data moons.csv --out open --device cpu {resume}", recipe.display()));
    let open = model(&sandbox, "open/model.safetensors");
    let Some(Examples::Vectors(values)) = &open.annotations.examples else { panic!("examples") };
    assert_eq!(values.len(), 6);
    assert_eq!(open.provenance.examples_license, "CC0", "that of the weights");
    // The last tenth is held out.
    let held_out = (55.0f32 * 0.7).sin();
    assert!((values[0] - held_out).abs() < 1e-6, "{values:?} {held_out}");
}

#[test]
fn what_cannot_be_annotated_is_left_as_it_is() {
    let sandbox = Sandbox::new();
    sandbox.train("--out run --steps 2");
    sandbox.fails("annotate run/model.safetensors --data moon --device cpu", "moon");
    sandbox.fails("annotate missing.safetensors --data ring --device cpu", "missing.safetensors");
    sandbox.write("three.csv", "1,2,3\n".repeat(20));
    sandbox.fails("annotate run/model.safetensors --data three.csv --device cpu", "three.csv");
    sandbox.fails(
        "annotate run/model.safetensors --data three.csv --out three.csv --device cpu",
        "also an input",
    );
}
