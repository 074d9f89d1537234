//! `evaluate` as a user meets it.

use super::{Lab, array, recipes, write_array};
use serde_json::Value;

/// The figures of a line that must succeed.
fn figures(lab: &Lab, line: &str) -> Value {
    lab.run(&format!("{line} --device cpu --json figures.json"));
    serde_json::from_slice(&std::fs::read(lab.path("figures.json")).unwrap()).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// What the shipped models are held to: a log-likelihood near the truth's, and an x-chain that makes no sample
/// worse, up to sampling error.
#[test]
fn the_shipped_models_of_the_plane_are_as_good_as_is_said() {
    const COUNT: f64 = 400.0;
    let lab = Lab::new();
    for (name, within) in [("ring", 0.1), ("moons", 0.3), ("spiral", 0.3), ("checkerboard", 0.3)] {
        let model = recipes().join(format!("../models/{name}.safetensors"));
        let found = figures(&lab, &format!("evaluate {} --data {name} --count {COUNT}", model.display()));
        let likelihood = number(&found["log_likelihood"]);
        let truth = number(&found["log_likelihood_of_the_truth"]);
        assert!(truth - likelihood < within, "{name}: {likelihood}, the truth has {truth}");

        let chain = found
            .as_object()
            .unwrap()
            .keys()
            .find(|key| key.starts_with("x_chain_") && *key != "x_chain_400_steps");
        let [before, after] = ["generator", chain.unwrap()].map(|of| number(&found[of]["good_share"]));
        // Two deviations of the difference of two shares.
        let deviation = ((before * (1.0 - before) + after * (1.0 - after)) / COUNT).sqrt();
        assert!(after > before - 2.0 * deviation, "{name}: {before} good of the generator's, {after} after");

        let back = &found["reconstruction"];
        let of_encoder = number(&back["mean_squared_error_of_the_encoder"]);
        let of_chain = number(&back["mean_squared_error_after_the_z_chain"]);
        assert!(of_encoder > 0.0 && of_chain > 0.0 && number(&back["samples"]) >= 512.0, "{back}");
        let drift = &found["long_run_drift"];
        let energies = drift["mean_energy_after_1_2_5_10_times_the_steps"].as_array().unwrap();
        assert!(energies.len() == 4 && energies.iter().all(Value::is_f64), "{drift}");
        assert!(number(&drift["displacement_after_10_times_the_steps"]) > 0.0, "{drift}");
    }
}

/// What a model recommends can be changed, as for `sample`.
#[test]
fn other_chains_can_be_measured() {
    let lab = Lab::new();
    lab.train("--out run --steps 2");
    let line = "evaluate run/model.safetensors --data ring --count 60";
    let usual = figures(&lab, line);
    let short = figures(&lab, &format!("{line} --steps 2 --step-size 0.2 --noise 0.1"));
    assert!(!usual["x_chain_5_steps"].is_null() && !short["x_chain_2_steps"].is_null(), "{short}");
    assert!((number(&short["temperature"]) - 0.25).abs() < 1e-6);
    assert_ne!(usual["log_likelihood"], short["log_likelihood"], "another temperature, another density");
    assert!(figures(&lab, &format!("{line} --noise 0"))["log_likelihood"].is_null());
    lab.run("sample run/model.safetensors --out s.npy --count 60 --steps 2 --step-size 0.2 --noise 0.1 --device cpu");
    let good = |p: &[f32; 2]| dual_mcmc::points::PointSet::Ring.is_good(p.map(f64::from));
    let samples = array(&lab.path("s.npy")).1;
    let share = samples.as_chunks::<2>().0.iter().filter(|p| good(p)).count() as f64 / 60.0;
    assert_eq!(number(&short["x_chain_2_steps"]["good_share"]), share, "the same chains as sample's");
    let vae = recipes().join("ring-vae.toml");
    lab.run(&format!("train {} --device cpu --out vae --steps 1", vae.display()));
    lab.fails("evaluate vae/model.safetensors --data ring --steps 3 --device cpu", "no energy network");
}

/// An encoder taught by the generator's samples alone, as in an ablation without a z-chain.
#[test]
fn a_model_with_an_encoder_and_no_z_chain_is_measured() {
    let lab = Lab::new();
    let ring = std::fs::read_to_string(recipes().join("ring.toml")).unwrap();
    let (before, rest) = ring.split_once("[z_chain]").unwrap();
    let (_, after) = rest.split_once("# At temperature 1").unwrap();
    lab.write("no-z.toml", format!("{before}# {after}"));
    lab.run("train no-z.toml --device cpu --out run --steps 2 --set x_chain.steps=3");
    assert!(!lab.path("run/reconstructions").join("0000002.png").exists());
    let values: Vec<f32> = (0..80).map(|i| (i as f32 * 0.7).sin()).collect();
    write_array(&lab.path("mine.npy"), &[40, 2], &values);
    for data in ["ring", "mine.npy"] {
        let found = figures(&lab, &format!("evaluate run/model.safetensors --data {data} --count 40"));
        let back = &found["reconstruction"];
        assert!(number(&back["mean_squared_error_of_the_encoder"]) > 0.0, "{back}");
        assert!(back["mean_squared_error_after_the_z_chain"].is_null(), "{back}");
    }
}
