//! `evaluate` as a user meets it.

use super::{Sandbox, array, images, recipes, text_of, write_array};
use serde_json::{Value, json};

/// The figures of a line that must succeed.
fn figures(sandbox: &Sandbox, line: &str) -> Value {
    sandbox.run(&format!("{line} --device cpu --json figures.json"));
    serde_json::from_slice(&std::fs::read(sandbox.path("figures.json")).unwrap()).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// What the shipped models are held to: a log-likelihood near the truth's, and an x-chain that makes no sample
/// worse, up to sampling error.
#[test]
fn the_shipped_models_of_the_plane_are_as_good_as_is_said() {
    const COUNT: f64 = 400.0;
    let sandbox = Sandbox::new();
    for (name, within) in [("ring", 0.1), ("moons", 0.3), ("spiral", 0.3), ("checkerboard", 0.3)] {
        let model = recipes().join(format!("../models/{name}.safetensors"));
        let bytes = std::fs::read(&model).unwrap();
        let license = dual_mcmc::model::Model::from_bytes(&bytes).unwrap().provenance.license;
        assert_eq!(license, "MIT OR Apache-2.0", "{name}");
        let found = figures(&sandbox, &format!("evaluate {} --data {name} --count {COUNT}", model.display()));
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
    let sandbox = Sandbox::new();
    sandbox.train("--out run --steps 2");
    let line = "evaluate run/model.safetensors --data ring --count 60";
    let usual = figures(&sandbox, line);
    let short = figures(&sandbox, &format!("{line} --steps 2 --step-size 0.2 --noise 0.1"));
    assert!(!usual["x_chain_5_steps"].is_null() && !short["x_chain_2_steps"].is_null(), "{short}");
    assert!((number(&short["temperature"]) - 0.25).abs() < 1e-6);
    assert_ne!(usual["log_likelihood"], short["log_likelihood"], "another temperature, another density");
    assert!(figures(&sandbox, &format!("{line} --noise 0"))["log_likelihood"].is_null());
    sandbox.run("sample run/model.safetensors --out s.npy --count 60 --steps 2 --step-size 0.2 --noise 0.1 --device cpu");
    let good = |p: &[f32; 2]| dual_mcmc::points::PointSet::Ring.is_good(p.map(f64::from));
    let samples = array(&sandbox.path("s.npy")).1;
    let share = samples.as_chunks::<2>().0.iter().filter(|p| good(p)).count() as f64 / 60.0;
    assert_eq!(number(&short["x_chain_2_steps"]["good_share"]), share, "the same chains as sample's");
    let vae = recipes().join("ring-vae.toml");
    sandbox.run(&format!("train {} --device cpu --out vae --steps 1", vae.display()));
    sandbox.fails("evaluate vae/model.safetensors --data ring --steps 3 --device cpu", "no energy network");
}

/// An encoder taught by the generator's samples alone, as in an ablation without a z-chain.
#[test]
fn a_model_with_an_encoder_and_no_z_chain_is_measured() {
    let sandbox = Sandbox::new();
    let ring = std::fs::read_to_string(recipes().join("ring.toml")).unwrap();
    let (before, rest) = ring.split_once("[z_chain]").unwrap();
    let (_, after) = rest.split_once("# At temperature 1").unwrap();
    sandbox.write("no-z.toml", format!("{before}# {after}"));
    sandbox.run("train no-z.toml --device cpu --out run --steps 2 --set x_chain.steps=3");
    assert!(!sandbox.path("run/reconstructions").join("0000002.png").exists());
    let values: Vec<f32> = (0..80).map(|i| (i as f32 * 0.7).sin()).collect();
    write_array(&sandbox.path("mine.npy"), &[40, 2], &values);
    for data in ["ring", "mine.npy"] {
        let found = figures(&sandbox, &format!("evaluate run/model.safetensors --data {data} --count 40"));
        let back = &found["reconstruction"];
        assert!(number(&back["mean_squared_error_of_the_encoder"]) > 0.0, "{back}");
        assert!(back["mean_squared_error_after_the_z_chain"].is_null(), "{back}");
    }
}

/// Small sets where fetched ones lie: the others are compared, in the model's colours, and all are named.
#[test]
fn the_energy_is_measured_against_every_set_that_is_here() {
    let sandbox = Sandbox::new();
    let model = images(&sandbox);
    let idx = |grey: u8| -> Vec<u8> {
        let header = [0x803, 5, 28, 28].into_iter().flat_map(u32::to_be_bytes);
        header.chain((0..5 * 784).map(|i: u32| grey ^ (i % 13) as u8)).collect()
    };
    for (set, grey) in [("mnist", 200), ("fashion-mnist", 90)] {
        let folder = sandbox.path("no-data").join(set);
        std::fs::create_dir_all(&folder).unwrap();
        for part in ["train", "t10k"] {
            std::fs::write(folder.join(format!("{part}-images-idx3-ubyte")), idx(grey)).unwrap();
        }
    }
    let emoji = sandbox.path("no-data/noto-emoji");
    std::fs::create_dir(&emoji).unwrap();
    std::fs::File::create(emoji.join("noto-emoji-64.rgb")).unwrap().set_len(3786 * 3 * 64 * 64).unwrap();
    let line = format!(
        "evaluate {} --data images.npy --count 2 --steps 1 --device cpu --json e.json",
        model.display()
    );
    let output = sandbox.command(&line).output().unwrap();
    let table = text_of(&output.stdout);
    assert!(output.status.success(), "{}", text_of(&output.stderr));
    let figures: Value = serde_json::from_slice(&std::fs::read(sandbox.path("e.json")).unwrap()).unwrap();
    let found = &figures["auroc_of_the_energy"];
    assert_eq!(found["other_sets_compared"], 3);
    assert_eq!(found["other_sets"], json!(["mnist", "fashion-mnist", "noto-emoji"]));
    assert_eq!(found["other_sets_not_fetched"], json!(["cifar10"]));
    assert_eq!(found["other_sets_resized"], Value::Null, "emoji are there at 32 pixels");
    for name in [
        "mnist",
        "fashion-mnist",
        "noto-emoji",
        "uniform_noise",
        "shuffled_values",
        "constant",
        "inverted",
        "upside_down",
        "halves_of_two",
        "noise_added",
    ] {
        assert!((0.0..=1.0).contains(&number(&found[name])), "{name}: {found}");
    }
    let long = &figures["long_run_drift"]["frechet_64_components"];
    for name in ["x_chain", "after_10_times_the_steps", "noise_1000_steps"] {
        assert!(number(&long[name]) >= 0.0, "{name}: {figures}");
    }
    let row = |name: &str| table.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_default();
    assert!(row("other sets compared").ends_with(" 3"), "{table}");
    assert!(row("other sets  ").contains("mnist, fashion-mnist, noto-emoji"), "{table}");
}

/// There are no other sets of vectors; which coordinates belong together is what an energy can know.
#[test]
fn the_energy_of_vectors_is_measured_against_noise() {
    use dual_mcmc::chain::{Langevin, XChainSettings};
    use dual_mcmc::model::{Annotations, ChainDefaults, Model, Precision, Provenance, Weighted};
    use dual_mcmc::network::{Layer, Network};
    use dual_mcmc::noise::{Noise, Stream};
    let sandbox = Sandbox::new();
    // The second coordinate is minus the first, nearly; the energy is about 4·|x₀ + x₁|.
    let mut values = Noise::new(1, Stream::Data).normal_rows(0, 400, 3, 0);
    values.as_chunks_mut::<3>().0.iter_mut().for_each(|row| row[1] = 0.1 * row[1] - row[0]);
    write_array(&sandbox.path("three.npy"), &[400, 3], &values);
    let linear = |in_features, out_features| Layer::Linear { in_features, out_features, bias: false };
    let network =
        Network { input: vec![3], layers: vec![linear(3, 2), Layer::Silu, linear(2, 1)], reference: None };
    let weights = vec![4.0, 4.0, 0.0, -4.0, -4.0, 0.0, 1.0, 1.0];
    let model = Model {
        energy: Some(Weighted { network, weights }),
        generator: None,
        encoder: None,
        chains: ChainDefaults {
            x: Some(XChainSettings { steps: 2, langevin: Langevin::new(0.1, 0.1) }),
            z: None,
        },
        energy_quantiles: None,
        provenance: Provenance::default(),
        annotations: Annotations::default(),
    };
    sandbox.write("model.safetensors", model.to_bytes(Precision::F32).unwrap());
    let found = figures(&sandbox, "evaluate model.safetensors --data three.npy --count 40");
    let found = &found["auroc_of_the_energy"];
    assert_eq!(found["other_sets_compared"], 0);
    for name in ["uniform_noise", "shuffled_coordinates"] {
        assert!(number(&found[name]) > 0.8, "{name}: {found}");
    }
}
