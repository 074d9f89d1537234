//! Model files: what is written is what is read, the same bytes each time; and the page that
//! specifies them says what the code does.
#![allow(clippy::unwrap_used)]

mod model_file;
mod random_network;

use dual_mcmc::chain::{ChainNoise, Langevin, XChainSettings, ZChainSettings};
use dual_mcmc::cpu::{Evaluator, XChain};
use dual_mcmc::model::{
    Annotations, ChainDefaults, EnergyQuantiles, Examples, Histogram, Model, ModelError, Precision,
    Provenance, Weighted,
};
use dual_mcmc::network::{Layer, Network, Plan};
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc::points::PointSet;
use half::f16;
use model_file::fixture;
use proptest::prelude::*;
use random_network::{Choices, image_energy, image_generator, vector_energy, weigh};
use std::collections::BTreeMap;

fn model(energy: Option<Weighted>, generator: Option<Weighted>) -> Model {
    let encoder = match (&energy, &generator) {
        (Some(energy), Some(generator)) => {
            let (data, latent) = (energy.network.input.clone(), generator.network.input_len());
            let n = data.iter().product();
            let layers =
                vec![Layer::Flatten, Layer::Linear { in_features: n, out_features: 2 * latent, bias: true }];
            Some(weigh(Network { input: data, layers, reference: None }, &mut Choices::new(1)))
        }
        _ => None,
    };
    let langevin = Langevin { range_clamp: Some([-1.0, 1.0]), ..Langevin::new(0.1, 0.003) };
    Model {
        energy,
        generator,
        encoder,
        chains: ChainDefaults {
            x: Some(XChainSettings { steps: 30, langevin }),
            z: Some(ZChainSettings {
                steps: 10,
                sigma: 0.3,
                langevin: Langevin { gradient_clamp: Some(0.7), ..Langevin::new(0.1, 0.1) },
            }),
        },
        energy_quantiles: Some(EnergyQuantiles {
            probabilities: vec![0.0, 0.05, 0.95, 1.0],
            energies: vec![-3.25, -1.0, 1e-20, 0.1],
        }),
        provenance: Provenance {
            data: "ring".into(),
            recipe: "data = \"ring\"\n# \\ \u{e9} \u{1F4C9}\n".into(),
            iterations: 3000,
            seed: u64::MAX,
            metrics: BTreeMap::from([("good".into(), 0.97), ("log_likelihood".into(), -1.75)]),
            license: "CC0-1.0".into(),
            examples_license: "CC-BY-4.0".into(),
            version: "dual-mcmc 0.1.0".into(),
            device: "CPU (2 threads)".into(),
        },
        annotations: Annotations::default(),
    }
}

/// An energy on a generator's images.
fn energy_for(generator: &Weighted) -> Weighted {
    let input = generator.network.output().unwrap();
    let in_features = input.iter().product();
    let layers = vec![Layer::Flatten, Layer::Linear { in_features, out_features: 1, bias: true }];
    weigh(Network { input, layers, reference: Some(2.5) }, &mut Choices::new(2))
}

fn models() -> Vec<Model> {
    let mut models = Vec::new();
    for seed in 0..8 {
        models.push(model(Some(image_energy(seed, false)), None));
        models.push(model(Some(vector_energy(seed, true)), None));
        models.push(model(None, Some(image_generator(seed, false))));
        let generator = image_generator(seed, true);
        models.push(model(Some(energy_for(&generator)), Some(generator)));
    }
    models
}

#[test]
fn f32_files_give_the_model_back() {
    for model in models() {
        let bytes = model.to_bytes(Precision::F32).unwrap();
        assert_eq!(Model::from_bytes(&bytes).unwrap(), model);
    }
}

#[test]
fn f16_files_give_the_model_back_with_rounded_weights() {
    for model in models() {
        let bytes = model.to_bytes(Precision::F16).unwrap();
        let mut rounded = model.clone();
        for weighted in
            [&mut rounded.energy, &mut rounded.generator, &mut rounded.encoder].into_iter().flatten()
        {
            weighted.weights.iter_mut().for_each(|w| *w = f16::from_f32(*w).to_f32());
        }
        assert_eq!(Model::from_bytes(&bytes).unwrap(), rounded);
        // Rounding is done once: a second trip changes nothing.
        assert_eq!(rounded.to_bytes(Precision::F16).unwrap(), bytes);
    }
}

/// A version for each of the two, and what only the second one has.
#[test]
fn annotations_make_a_file_of_version_2_and_come_back() {
    let plane = model(Some(vector_energy(2, true)), None);
    let mut images = model(Some(image_energy(3, true)), None);
    let shape = images.data_shape();
    let len: usize = shape.iter().product();
    let version = |bytes: &[u8]| model_file::metadata(bytes)["format_version"].clone();
    assert_eq!(version(&plane.to_bytes(Precision::F32).unwrap()), "1");

    let grey: Vec<f32> = (0..3 * len).map(|i| (i % 256) as f32 / 127.5 - 1.0).collect();
    let examples = Examples::of(&grey, &shape);
    assert_eq!(examples.count(&shape), 3);
    let back = examples.values();
    assert!(back.iter().zip(&grey).all(|(a, b)| (a - b).abs() < 1e-6), "8 bits go back and forth");
    assert_eq!(Examples::of(&[-2.0, 2.0, 0.0], &[1, 1, 3]), Examples::Images(vec![0, 255, 128]));
    assert_eq!(Examples::of(&vec![0.0; 100 * 2], &[2]).count(&[2]), 64, "no more than a file may hold");

    let histogram = Histogram::of("uniform_noise", &[0.0, 0.5, 1.0, f32::NAN, 1.0], Some(0.75)).unwrap();
    assert_eq!((histogram.range, histogram.total(), histogram.counts[0]), ([0.0, 1.0], 4, 1));
    assert_eq!(histogram.counts.last(), Some(&2), "the upper edge belongs to the last bin");
    let alike = Histogram::of("constant", &[3.0; 5], None).unwrap();
    assert_eq!((alike.range, alike.counts.as_slice()), ([3.0; 2], &[5][..]));
    assert_eq!(Histogram::of("none", &[f32::INFINITY], None), None);

    images.annotations = Annotations {
        density: None,
        examples: Some(examples),
        histograms: vec![histogram, alike],
        extras: serde_json::from_str(r#"{"of another program": [1, {"x": null}]}"#).unwrap(),
    };
    for precision in [Precision::F32, Precision::F16] {
        let bytes = images.to_bytes(precision).unwrap();
        assert_eq!((version(&bytes).as_str(), Precision::of(&bytes).unwrap()), ("2", precision));
        assert_eq!(Model::from_bytes(&bytes).unwrap().annotations, images.annotations);
    }
}

#[test]
fn a_known_density_is_of_the_plane_and_examples_are_of_the_data() {
    let network = |d: usize| Network { input: vec![d], layers: Vec::new(), reference: Some(2.0) };
    let energy = |d: usize| {
        let mut network = network(d);
        network.layers.push(Layer::Linear { in_features: d, out_features: 1, bias: false });
        model(Some(weigh(network, &mut Choices::new(4))), None)
    };
    let annotated = |mut model: Model, annotations: Annotations| {
        model.annotations = annotations;
        model.to_bytes(Precision::F32)
    };
    let ring = || Annotations { density: Some(PointSet::Ring), ..Annotations::default() };
    let bytes = annotated(energy(2), ring()).unwrap();
    assert_eq!(Model::from_bytes(&bytes).unwrap().annotations, ring());
    let error = annotated(energy(3), ring()).unwrap_err().to_string();
    assert!(error.contains("ring is a density of the plane"), "{error}");
    let points = Annotations { examples: Some(Examples::of(&[1.0, 2.0, 3.0, 4.0], &[2])), ..ring() };
    assert_eq!(points.examples.as_ref().unwrap().values(), [1.0, 2.0, 3.0, 4.0]);
    assert!(annotated(energy(2), points).is_ok());
    let bytes = Annotations { examples: Some(Examples::Images(vec![0; 4])), ..Annotations::default() };
    let error = annotated(energy(2), bytes).unwrap_err().to_string();
    assert!(error.contains("must be F32"), "{error}");
}

#[test]
fn one_model_gives_the_same_bytes_each_time() {
    for model in models() {
        for precision in [Precision::F32, Precision::F16] {
            let bytes = model.to_bytes(precision).unwrap();
            for _ in 0..4 {
                assert_eq!(model.clone().to_bytes(precision).unwrap(), bytes);
            }
            assert_eq!(bytes[..8].iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)) % 8, 0, "aligned");
        }
    }
}

#[test]
fn a_model_without_parameters_is_a_file_too() {
    let network = Network { input: vec![1], layers: vec![Layer::Silu], reference: Some(2.0) };
    let model = model(Some(Weighted { network, weights: Vec::new() }), None);
    assert_eq!(Model::from_bytes(&model.to_bytes(Precision::F32).unwrap()).unwrap(), model);
}

#[test]
fn an_energy_that_is_its_reference_alone() {
    let network = Network { input: vec![1], layers: Vec::new(), reference: Some(2.0) };
    for executor in [Evaluator::<f64>::new(&network, &[]).unwrap(), Evaluator::twin(&network, &[]).unwrap()] {
        // E(x) = x + x²/8
        let (energies, gradients) = executor.energy_and_gradient(&[4.0, -1.0]);
        assert_eq!(energies, [6.0, -0.875]);
        assert_eq!(gradients, [2.0, 0.75]);
    }
}

#[test]
fn models_that_cannot_be_read_back_are_not_written() {
    let whole = model(Some(vector_energy(1, true)), None);
    let with = |change: &dyn Fn(&mut Model)| {
        let mut model = whole.clone();
        change(&mut model);
        model
    };
    let weight = |value: f32| with(&move |m: &mut Model| m.energy.as_mut().unwrap().weights[3] = value);
    for value in [f32::NAN, f32::INFINITY] {
        let error = weight(value).to_bytes(Precision::F32).unwrap_err();
        assert!(matches!(error, ModelError::NotFinite { .. }), "{error}");
    }
    assert!(weight(65504.0).to_bytes(Precision::F16).is_ok());
    let error = weight(1e6).to_bytes(Precision::F16).unwrap_err().to_string();
    assert!(error.contains("holds 1000000 at element 3, which f16 cannot hold; write it as f32"), "{error}");
    assert!(weight(1e6).to_bytes(Precision::F32).is_ok());

    let short = with(&|m| m.energy.as_mut().unwrap().weights.truncate(5));
    let error = short.to_bytes(Precision::F32).unwrap_err().to_string();
    assert!(error.contains("parameters, but"), "{error}");
    assert!(with(&|m| m.energy = None).to_bytes(Precision::F32).is_err());
    assert!(
        with(&|m| m.chains.x.as_mut().unwrap().langevin.noise = f32::NAN).to_bytes(Precision::F32).is_err()
    );
    let quantiles = with(&|m| m.energy_quantiles.as_mut().unwrap().energies[0] = f32::NAN);
    assert!(quantiles.to_bytes(Precision::F32).unwrap_err().to_string().contains("energy_quantiles"));
    let metrics = with(&|m| {
        m.provenance.metrics.insert("gap".into(), f64::NAN);
    });
    assert!(metrics.to_bytes(Precision::F32).unwrap_err().to_string().contains("provenance"));
}

/// A model put together in memory may be as absurd as one in a file.
#[test]
fn absurd_models_are_not_written() {
    for in_features in [0, 1 << 40, usize::MAX] {
        let layers = vec![Layer::Linear { in_features, out_features: usize::MAX, bias: true }];
        let network = Network { input: vec![in_features], layers, reference: None };
        let absurd = model(Some(Weighted { network, weights: Vec::new() }), None);
        assert!(matches!(absurd.to_bytes(Precision::F32), Err(ModelError::Network { .. })));
    }
}

/// A network grown layer by layer: each choice is turned into a layer that takes what is there.
fn grow(input: Vec<usize>, choices: &[[usize; 4]]) -> Network {
    let mut shape = input.clone();
    let mut layers = Vec::new();
    for &[kind, a, b, c] in choices {
        let n: usize = shape.iter().product();
        let layer = match (kind % 10, shape.as_slice()) {
            (0, _) => Layer::Silu,
            (1, _) => Layer::LeakyRelu { slope: a as f32 / 4.0 },
            (2, _) => Layer::Tanh,
            (3, s) => Layer::ScaleShift { channels: s[0] },
            (4, [_, h, w]) => {
                Layer::Reshape { shape: [vec![*h, *w, n / h / w], vec![n], vec![1, n, 1]][a % 3].clone() }
            }
            (4, _) => Layer::Reshape { shape: vec![n, 1, 1] },
            (5, _) if a == 0 => Layer::Flatten,
            (5 | 6, [c_in, h, w]) => {
                let kernel = 1 + a % (4.min(*h).min(*w));
                Layer::Conv2d {
                    in_channels: *c_in,
                    out_channels: 1 + b,
                    kernel,
                    stride: 1 + c % 3,
                    padding: b % kernel,
                    bias: c % 2 == 0,
                }
            }
            (7, [_, h, w]) if h * w <= 64 => Layer::UpsampleNearest,
            (8, [_, h, w]) => Layer::AveragePool { kernel: if h % 2 == 0 && w % 2 == 0 { 2 } else { 1 } },
            (9, [..]) if shape.len() == 3 => Layer::GlobalAveragePool,
            (_, [_]) => Layer::Linear { in_features: n, out_features: 1 + 3 * a + b, bias: c % 2 == 0 },
            _ => Layer::Relu,
        };
        shape = layer.output_shape(&shape).unwrap();
        layers.push(layer);
    }
    Network { input, layers, reference: None }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    /// Shapes, parameters, plan and executors agree on every network; its description and its
    /// weights survive a file.
    #[test]
    fn descriptions_and_executors_agree(
        input in prop_oneof![
            (1usize..7).prop_map(|n| vec![n]),
            (1usize..4, 2usize..9, 2usize..9).prop_map(|(c, h, w)| vec![c, h, w]),
        ],
        choices in prop::collection::vec(prop::array::uniform4(0usize..10).prop_map(|[k, a, b, c]| [k, a % 5, b % 4, c]), 0..9),
        batch in 1usize..4,
        seed in 0u64..1000,
    ) {
        let network = grow(input, &choices);
        let output: usize = network.output().unwrap().iter().product();
        let plan = Plan::new(&network).unwrap();
        prop_assert_eq!(plan.parameter_count, network.parameter_count());
        prop_assert_eq!(plan.values[plan.output], output);
        let json = serde_json::to_string(&network).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Network>(&json).unwrap(), &network);

        let w = weigh(network, &mut Choices::new(seed));
        let x: Vec<f64> = Choices::new(seed + 1).normals(batch * w.network.input_len(), 1.0).into_iter().map(f64::from).collect();
        let fast = Evaluator::<f64>::new(&w.network, &w.weights).unwrap();
        let twin = Evaluator::<f64>::twin(&w.network, &w.weights).unwrap();
        let y = fast.forward(&x);
        prop_assert_eq!(y.len(), batch * output);
        prop_assert!(close(&y, &twin.forward(&x)));
        let g = fast.input_gradient(&x, &vec![1.0; y.len()]);
        prop_assert_eq!(g.len(), x.len());
        prop_assert!(close(&g, &twin.input_gradient(&x, &vec![1.0; y.len()])));
        // A batch is its samples, one by one.
        let rows: Vec<f64> = x.chunks(w.network.input_len()).flat_map(|x| fast.forward(x)).collect();
        prop_assert!(close(&y, &rows));

        // As an energy of its input, so that it can be in a file: its outputs brought to one number.
        let mut energy = w;
        energy.network.layers.push(Layer::Flatten);
        energy.network.layers.push(Layer::Linear { in_features: output, out_features: 1, bias: false });
        energy.weights.extend(Choices::new(seed + 2).normals(output, 1.0));
        let file = model(Some(energy), None);
        prop_assert_eq!(Model::from_bytes(&file.to_bytes(Precision::F32).unwrap()).unwrap(), file);
    }
}

fn close(a: &[f64], b: &[f64]) -> bool {
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let off = norm(&mut a.iter().zip(b).map(|(a, b)| a - b));
    a.len() == b.len() && off <= 1e-10 * norm(&mut b.iter().copied()).max(1e-10)
}

const PAGE: &str = include_str!("../../docs/model-format.md");

/// The code blocks of one language on the page.
fn blocks(language: &str) -> Vec<&'static str> {
    let open = format!("```{language}\n");
    PAGE.split(open.as_str()).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

#[test]
fn the_pages_json_is_valid() {
    let blocks = blocks("json");
    assert_eq!(blocks.len(), 3);
    let energy: Network = serde_json::from_str(blocks[0]).unwrap();
    energy.check_energy(&[1, 16, 16]).unwrap();
    let chains: ChainDefaults = serde_json::from_str(blocks[1]).unwrap();
    chains.x.unwrap().langevin.check().unwrap();
    chains.z.unwrap().langevin.check().unwrap();
    let histograms: Vec<Histogram> = serde_json::from_str(blocks[2]).unwrap();
    let weights = vec![0.0; energy.parameter_count()];
    let mut file = model(Some(Weighted { network: energy, weights }), None);
    file.annotations.histograms = histograms;
    assert_eq!(Model::from_bytes(&file.to_bytes(Precision::F32).unwrap()).unwrap(), file);
}

#[test]
fn the_page_lists_every_layer_and_every_field() {
    let conv2d =
        Layer::Conv2d { in_channels: 1, out_channels: 1, kernel: 3, stride: 1, padding: 0, bias: true };
    let layers = [
        Layer::Linear { in_features: 1, out_features: 1, bias: true },
        conv2d.clone(),
        Layer::ConvTranspose2d {
            in_channels: 1,
            out_channels: 1,
            kernel: 3,
            stride: 1,
            padding: 0,
            output_padding: 0,
            bias: true,
        },
        Layer::UpsampleNearest,
        Layer::UpsampleBilinear,
        Layer::AveragePool { kernel: 1 },
        Layer::GlobalAveragePool,
        Layer::LeakyRelu { slope: 0.2 },
        Layer::Relu,
        Layer::Silu,
        Layer::Tanh,
        Layer::Reshape { shape: vec![1] },
        Layer::Flatten,
        Layer::ScaleShift { channels: 1 },
        Layer::Residual { main: vec![], shortcut: vec![] },
    ];
    let rows: Vec<&str> = PAGE
        .split("## Layers")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("| `"))
        .skip(1)
        .collect();
    assert_eq!(rows.len(), layers.len());
    for (layer, row) in layers.iter().zip(rows) {
        assert!(row.starts_with(&format!("| `{}` |", layer.name())), "{row}");
        let json = serde_json::to_value(layer).unwrap();
        for field in json.as_object().unwrap().keys().filter(|f| *f != "type") {
            assert!(row.contains(&format!("`{field}`")), "{} lacks {field}", layer.name());
        }
        for (parameter, _) in layer.parameters() {
            assert!(row.contains(&format!("`{parameter}`")), "{} lacks {parameter}", layer.name());
        }
    }
    // The defaults that the page gives.
    let text = r#"{"type": "conv2d", "in_channels": 1, "out_channels": 1, "kernel": 3}"#;
    assert_eq!(serde_json::from_str::<Layer>(text).unwrap(), conv2d);
}

/// The model that the page's own example writes (tests/peers/test_model_format.py), sampled as the
/// page says it will be.
#[test]
fn the_pages_example_samples_its_ring() {
    let model = Model::from_bytes(&fixture("page_example.safetensors")).unwrap();
    let (energy, settings) = (model.energy.unwrap(), model.chains.x.unwrap());
    let chains = 512;
    let mut chain = XChain::new(&energy, chains, 2).unwrap();
    let start = Noise::new(1, Stream::Start).normal_rows(0, chains, 2, 0);
    chain.start(&start, ChainNoise::new(1, Stream::XChain));
    chain.run(settings.steps, &settings.langevin);
    let radii: Vec<f32> = chain.state().chunks(2).map(|x| x[0].hypot(x[1])).collect();
    let mean = radii.iter().sum::<f32>() / chains as f32;
    let spread = (radii.iter().map(|r| (r - mean).powi(2)).sum::<f32>() / chains as f32).sqrt();
    // exp(-4 (r - 2)²): radius 2, standard deviation 1/√8 = 0.35.
    assert!((mean - 2.0).abs() < 0.15 && (0.25..0.5).contains(&spread), "radius {mean} ± {spread}");
    let [low, .., high] = model.energy_quantiles.unwrap().energies[..] else { panic!("quantiles") };
    let inside = chain.trace().last().iter().filter(|e| (low..high).contains(*e)).count();
    assert!(inside * 10 > chains * 7, "{inside} of {chains} energies lie between the held-out quantiles");
}
