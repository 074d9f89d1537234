//! The executors and chains against PyTorch: models of every layer type, and what PyTorch computed
//! of them in float64 (tests/peers/reference_model.py).
#![allow(clippy::unwrap_used)]

mod model_file;

use dual_mcmc::chain::ChainNoise;
use dual_mcmc::cpu::{Evaluator, XChain, ZChain};
use dual_mcmc::model::{Model, Weighted};
use dual_mcmc::network::{Layer, NetworkError};
use dual_mcmc::noise::{Noise, Stream};
use model_file::fixture;
use safetensors::SafeTensors;
use std::collections::BTreeMap;

/// A model, what PyTorch made of it, and the noise it drew.
struct Reference {
    name: &'static str,
    model: Model,
    expected: BTreeMap<String, Vec<f32>>,
    seed: u64,
    first_step: u32,
}

fn references() -> Vec<Reference> {
    ["linear", "conv", "image", "pool", "residual"].into_iter().map(reference).collect()
}

fn reference(name: &'static str) -> Reference {
    let model = Model::from_bytes(&fixture(&format!("reference_{name}.safetensors"))).unwrap();
    let bytes = fixture(&format!("reference_{name}.expected.safetensors"));
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let noise: serde_json::Value =
        serde_json::from_str(&metadata.metadata().as_ref().unwrap()["noise"]).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let expected = tensors
        .tensors()
        .into_iter()
        .map(|(name, t)| {
            (name, t.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect::<Vec<f32>>())
        })
        .collect();
    Reference {
        name,
        model,
        expected,
        seed: noise["seed"].as_u64().unwrap(),
        first_step: noise["first_step"].as_u64().unwrap() as u32,
    }
}

fn norm(v: impl IntoIterator<Item = f64>) -> f64 {
    v.into_iter().map(|x| x * x).sum::<f64>().sqrt()
}

/// Rows of `found` that differ from those of `expected` by at most `tolerance` of what `scale`
/// says of the row.
fn agreeing_rows(
    found: &[f64],
    expected: &[f32],
    len: usize,
    tolerance: f64,
    scale: impl Fn(usize, &[f32]) -> f64,
) -> f64 {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().all(|v| v.is_finite()));
    let rows = expected.len() / len;
    let agreeing = (0..rows).filter(|row| {
        let (a, b) = (&found[row * len..][..len], &expected[row * len..][..len]);
        norm(a.iter().zip(b).map(|(a, b)| a - f64::from(*b))) <= tolerance * scale(*row, b)
    });
    agreeing.count() as f64 / rows as f64
}

fn row_norm(_: usize, row: &[f32]) -> f64 {
    norm(row.iter().map(|&v| f64::from(v)))
}

/// On how many of the samples networks of these layers must agree.
fn needed(w: &Weighted) -> f64 {
    let kinked = |l: &Layer| matches!(l, Layer::Relu | Layer::LeakyRelu { .. });
    if all_layers(&w.network.layers).into_iter().any(kinked) { 0.9 } else { 1.0 }
}

/// The layers, and those inside residuals.
fn all_layers(layers: &[Layer]) -> Vec<&Layer> {
    let mut all = Vec::new();
    for layer in layers {
        all.push(layer);
        if let Layer::Residual { main, shortcut } = layer {
            all.extend(all_layers(main));
            all.extend(all_layers(shortcut));
        }
    }
    all
}

fn wide(v: &[f32]) -> Vec<f64> {
    v.iter().map(|&x| f64::from(x)).collect()
}

#[test]
fn executors_agree_with_pytorch() {
    let mut compared = 0;
    for r in references() {
        for (role, w) in
            [("energy", &r.model.energy), ("generator", &r.model.generator), ("encoder", &r.model.encoder)]
        {
            let Some(w) = w else { continue };
            let get = |what: &str| &r.expected[&format!("{role}.{what}")];
            let (x, y, cotangent, gradient) =
                (get("input"), get("output"), get("grad_output"), get("input_gradient"));
            let (network, weights) = (&w.network, &w.weights);
            // f32 at the tolerance that executors are held to, f64 to the rounding of the file.
            for (precision, tolerance, [found_y, found_gradient]) in [
                ("fast f32", 1e-4, in_f32(Evaluator::new(network, weights), x, cotangent)),
                ("twin f32", 1e-4, in_f32(Evaluator::twin(network, weights), x, cotangent)),
                ("fast f64", 3e-7, in_f64(Evaluator::new(network, weights), x, cotangent)),
                ("twin f64", 3e-7, in_f64(Evaluator::twin(network, weights), x, cotangent)),
            ] {
                let at = format!("{} {role} {precision}", r.name);
                let rms = norm(wide(y)) / (y.len() as f64).sqrt();
                let output_len = y.len() / (x.len() / network.input_len());
                let scale = |row, v: &[f32]| row_norm(row, v).max(rms);
                let outputs = agreeing_rows(&found_y, y, output_len, tolerance, scale);
                assert_eq!(outputs, 1.0, "{at}: outputs");
                let gradients =
                    agreeing_rows(&found_gradient, gradient, network.input_len(), tolerance, row_norm);
                assert!(gradients >= needed(w), "{at}: {gradients} of the gradients agree");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 4 * 13);
}

/// Output and input gradient.
fn in_f32(executor: Result<Evaluator<f32>, NetworkError>, x: &[f32], cotangent: &[f32]) -> [Vec<f64>; 2] {
    let executor = executor.unwrap();
    [wide(&executor.forward(x)), wide(&executor.input_gradient(x, cotangent))]
}

fn in_f64(executor: Result<Evaluator<f64>, NetworkError>, x: &[f32], cotangent: &[f32]) -> [Vec<f64>; 2] {
    let executor = executor.unwrap();
    [executor.forward(&wide(x)), executor.input_gradient(&wide(x), &wide(cotangent))]
}

/// Compare a chain's end by its displacement, and the values along it.
fn check_chain(r: &Reference, chain: &str, w: &Weighted, state: &[f32], trace: &[f32], values: &str) {
    let get = |what: &str| &r.expected[&format!("{chain}.{what}")];
    let (start, end, values) = (get("start"), get("end"), get(values));
    let len = w.network.input_len();
    let displacement =
        |row: usize, end: &[f32]| norm(end.iter().zip(&start[row * len..]).map(|(a, b)| f64::from(a - b)));
    let states = agreeing_rows(&wide(state), end, len, 1e-4, displacement);
    assert!(states >= needed(w), "{} {chain}: {states} of the end points agree", r.name);
    let chains = start.len() / len;
    let per_chain = |v: &[f32]| -> Vec<f32> {
        (0..chains).flat_map(|i| v.iter().skip(i).step_by(chains).copied()).collect()
    };
    let rows = values.len() / chains;
    let rms = norm(wide(values)) / (values.len() as f64).sqrt();
    let scale = |row, v: &[f32]| row_norm(row, v).max(rms * (rows as f64).sqrt());
    let traces = agreeing_rows(&wide(&per_chain(trace)), &per_chain(values), rows, 1e-4, scale);
    assert!(traces >= needed(w), "{} {chain}: {traces} of the traces agree", r.name);
}

#[test]
fn x_chains_agree_with_pytorch() {
    for r in references() {
        let (energy, settings) = (r.model.energy.as_ref().unwrap(), r.model.chains.x.unwrap());
        let start = &r.expected["x_chain.start"];
        let mut chain = XChain::new(energy, start.len() / energy.network.input_len(), 2).unwrap();
        chain
            .start(start, ChainNoise { first_step: r.first_step, ..ChainNoise::new(r.seed, Stream::XChain) });
        chain.run(settings.steps, &settings.langevin);
        let trace = chain.trace();
        check_chain(&r, "x_chain", energy, chain.state(), &trace.values, "energies");
    }
}

#[test]
fn z_chains_agree_with_pytorch() {
    for r in references() {
        let (Some(generator), Some(settings)) = (&r.model.generator, r.model.chains.z) else {
            assert_eq!(r.name, "pool", "the other models have z-chains");
            continue;
        };
        let start = &r.expected["z_chain.start"];
        let mut chain = ZChain::new(generator, start.len() / generator.network.input_len(), 2).unwrap();
        chain.set_target(&r.expected["z_chain.target"], Some(&r.expected["z_chain.mask"]), settings.sigma);
        chain
            .start(start, ChainNoise { first_step: r.first_step, ..ChainNoise::new(r.seed, Stream::ZChain) });
        chain.run(settings.steps, &settings.langevin);
        let trace = chain.trace();
        check_chain(&r, "z_chain", generator, chain.state(), &trace.values, "errors");
    }
}

/// NumPy's normals are ours, bit for bit.
#[test]
fn noise_agrees_with_numpy() {
    for r in references() {
        let found = Noise::new(r.seed, Stream::Start).normal_rows(0, 7, 10, 5);
        assert_eq!(found, r.expected["normals"]);
    }
}

/// The fixtures hold every layer type, so that none goes without a second opinion.
#[test]
fn the_references_use_every_layer() {
    let mut names: Vec<&str> = Vec::new();
    for r in references() {
        for w in [r.model.energy, r.model.generator, r.model.encoder].into_iter().flatten() {
            names.extend(all_layers(&w.network.layers).into_iter().map(Layer::name));
        }
    }
    for name in [
        "linear",
        "conv2d",
        "conv_transpose2d",
        "upsample_nearest",
        "upsample_bilinear",
        "average_pool",
        "global_average_pool",
        "leaky_relu",
        "relu",
        "silu",
        "tanh",
        "reshape",
        "flatten",
        "scale_shift",
        "residual",
    ] {
        assert!(names.contains(&name), "no reference model has a {name} layer");
    }
}
