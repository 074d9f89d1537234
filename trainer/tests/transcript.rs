//! One training iteration against PyTorch's, number by number. tests/peers/transcript.py writes the
//! transcripts and says what is in them.

#![allow(clippy::unwrap_used)]

mod small;

use burn::tensor::{Device, Tensor, TensorData};
use dual_mcmc::chain::{ChainNoise, Trace};
use dual_mcmc::executor::Executor;
use dual_mcmc::model::Weighted;
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc_trainer::networks::{BurnNetwork, Normalise, ParameterName, Role, Taped, read, rows};
use dual_mcmc_trainer::optimiser::NetworkOptimiser;
use dual_mcmc_trainer::recipe::{Recipe, ZStart};
use dual_mcmc_trainer::teaching::chain_noise::start_statistics;
use dual_mcmc_trainer::teaching::chains::encoded_start;
use dual_mcmc_trainer::teaching::losses::{encoder_loss, energy_loss, generator_loss};
use dual_mcmc_trainer::teaching::{Gradients, Iteration, Networks, Teacher};
use serde_json::{Value, json};
use std::collections::BTreeMap;

struct Transcript {
    tensors: BTreeMap<String, Vec<f32>>,
    settings: Value,
    tolerance: f64,
}

impl Transcript {
    fn open(name: &str, tolerance: f64) -> Transcript {
        let path = format!("{}/../tests/fixtures/transcript_{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).unwrap();
        let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
        let settings = &metadata.metadata().as_ref().unwrap()["settings"];
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let values = |data: &[u8]| data.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let tensors = file.tensors().into_iter().map(|(name, view)| (name, values(view.data()))).collect();
        Transcript { tensors, settings: serde_json::from_str(settings).unwrap(), tolerance }
    }

    fn get(&self, name: &str) -> &[f32] {
        self.tensors.get(name).unwrap_or_else(|| panic!("the transcript has no {name}"))
    }

    /// `found` is the transcript's tensor, to the tolerance of its norm.
    fn expect(&self, name: &str, found: &[f32]) {
        let expected = self.get(name);
        assert_eq!(found.len(), expected.len(), "{name}");
        let square = |v: f64| v * v;
        let difference: f64 =
            found.iter().zip(expected).map(|(a, b)| square(f64::from(*a) - f64::from(*b))).sum();
        let norm: f64 = expected.iter().map(|b| square(f64::from(*b))).sum();
        let error = (difference / norm.max(1e-12)).sqrt();
        assert!(error <= self.tolerance, "{name}: {error:e} of its norm");
    }

    /// `found` is the transcript's number, to the tolerance of `scale`, the size of the numbers
    /// that it is a difference of.
    fn expect_scalar(&self, name: &str, found: f32, scale: f32) {
        let expected = self.get(name)[0];
        let error = (found - expected).abs() / expected.abs().max(scale);
        assert!(f64::from(error) <= self.tolerance, "{name}: {found} is not {expected}");
    }

    /// Parameters that a batch norm makes idle are left out: their gradient is zero but for rounding,
    /// and Adam makes a whole step of the rounding.
    fn expect_parameters(&self, prefix: &str, network: &BurnNetwork, tensors: &[Tensor<1>]) {
        assert_eq!(network.names().len(), tensors.len());
        let norm = |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let gradients = prefix.replace("after.", "").trim_end_matches(".gradient").to_string() + ".gradient";
        let gradient = |name: &ParameterName| self.tensors.get(&format!("{gradients}.{}", name.path));
        let largest = network.names().iter().filter_map(gradient).map(|g| norm(g)).fold(0.0f64, f64::max);
        let idle = |name: &&ParameterName| gradient(name).is_some_and(|g| norm(g) < 1e-6 * largest);
        let idle: Vec<&ParameterName> = network.names().iter().filter(idle).collect();
        assert!(idle.iter().all(|name| name.path.ends_with("bias")), "{prefix}: {idle:?}");
        for (name, tensor) in network.names().iter().zip(tensors).filter(|(name, _)| !idle.contains(name)) {
            self.expect(&format!("{prefix}.{}", name.path), &read(tensor.clone()).unwrap());
        }
    }

    /// The settings as a recipe, with the energy's update of `variant`.
    fn recipe(&self, variant: &str) -> Recipe {
        let s = &self.settings;
        let (negatives, energy_l2) = match variant {
            "chain_l2" => ("chain", s["energy_l2"].clone()),
            other => (other, json!(0.0)),
        };
        let optimiser =
            |role: &str| json!({ "rate": s["learning_rate"][role], "weight_decay": s["weight_decay"][role] });
        let recipe = json!({
            "name": "transcript",
            "data": { "set": "transcript" },
            "energy": s["networks"]["energy"],
            "generator": s["networks"]["generator"],
            "encoder": s["networks"]["encoder"],
            "x_chain": s["x_chain"],
            "z_chain": s["z_chain"],
            "teaching": {
                "batch": s["batch"],
                "lambda_data": s["lambda_data"],
                "lambda_ebm": s["lambda_ebm"],
                "lambda_inf": s["lambda_inf"],
                "negatives": negatives,
                "energy_l2": energy_l2,
            },
            "optimiser": {
                "energy": optimiser("energy"),
                "generator": optimiser("generator"),
                "encoder": optimiser("encoder"),
            },
            "schedule": { "iterations": 1000 },
        });
        let mut recipe: Recipe = serde_json::from_value(recipe).unwrap();
        if let Some(energy) = &mut recipe.energy {
            energy.spectral_norm = self.tensors.keys().any(|name| name.starts_with("spectral."));
        }
        recipe.check().unwrap();
        recipe
    }

    fn seed(&self) -> u64 {
        self.settings["seed"].as_u64().unwrap()
    }

    fn iteration(&self) -> u64 {
        self.settings["iteration"].as_u64().unwrap()
    }

    /// Set `network` to the transcript's parameters under `prefix`.
    fn load(&self, prefix: &str, network: &mut BurnNetwork) {
        let device = network.device().clone();
        let set = network.set_state(|path, len| {
            let values = match path.rsplit_once('.').unwrap() {
                (weight, "u") => {
                    let layer = weight.strip_suffix(".weight").unwrap();
                    self.get(&format!("spectral.{layer}.u")).to_vec()
                }
                // v follows from u; running statistics are not looked at.
                (_, "v" | "running_mean") => vec![0.0; len],
                (_, "running_var") => vec![1.0; len],
                _ => self.get(&format!("{prefix}.{path}")).to_vec(),
            };
            assert_eq!(values.len(), len, "{path}");
            Ok::<_, std::convert::Infallible>(Tensor::from_data(TensorData::from(values.as_slice()), &device))
        });
        set.unwrap();
    }

    /// Start `teacher` where the transcript starts.
    fn load_all(&self, teacher: &mut Teacher) {
        let Networks { energy: Some(energy), generator: Some(generator), encoder: Some(encoder) } =
            teacher.networks_mut()
        else {
            panic!("three networks")
        };
        self.load("before.energy", energy);
        self.load("before.generator", generator);
        self.load("before.encoder", encoder);
        teacher.set_iteration(self.iteration());
    }

    fn network(&self, recipe: &Recipe, role: Role, prefix: &str) -> BurnNetwork {
        let description = match role {
            Role::Energy => &recipe.energy,
            Role::Generator => &recipe.generator,
            Role::Encoder => &recipe.encoder,
        };
        let mut network = BurnNetwork::new(description.as_ref().unwrap(), role, 0, &Device::flex()).unwrap();
        self.load(prefix, &mut network);
        network
    }
}

/// Smooth nets: whole iterations, from the batch alone.
#[test]
fn a_smooth_iteration_is_pytorchs() {
    let t = Transcript::open("smooth", 1e-4);
    for variant in ["chain", "fresh", "generator", "chain_l2"] {
        let recipe = t.recipe(variant);
        let mut teacher =
            Teacher::new(&recipe, &Device::flex(), Executor::Cpu { threads: 2 }, t.seed()).unwrap();
        t.load_all(&mut teacher);
        follow(&t, &mut teacher, "", variant);
        if variant == "chain_l2" {
            follow(&t, &mut teacher, "second.", variant);
        }
    }
}

/// The authors' settings, narrowed: whole iterations in their way, with moving spectral norms and with
/// batch statistics in the z-chain.
#[test]
fn an_iteration_of_the_authors_settings_is_pytorchs() {
    for name in ["cifar10", "celeba64"] {
        let t = Transcript::open(&format!("{name}_paper"), 1e-3);
        let recipe = t.recipe("fresh");
        // The transcript's networks are the recipe's.
        let narrowed = small::narrowed(&small::shipped(&format!("{name}-paper"), &[]), 32);
        assert_eq!(recipe.energy, narrowed.energy, "{name}");
        assert_eq!(recipe.generator, narrowed.generator, "{name}");
        assert_eq!(recipe.encoder, narrowed.encoder, "{name}");
        let (x, z) = (recipe.x_chain.unwrap(), recipe.z_chain.unwrap());
        let (their_x, their_z) = (narrowed.x_chain.unwrap(), narrowed.z_chain.unwrap());
        assert_eq!(
            (x.step_size, x.noise, x.spectral_iteration),
            (their_x.step_size, their_x.noise, their_x.spectral_iteration)
        );
        assert_eq!(
            (z.step_size, z.noise, z.sigma, z.batch_norm),
            (their_z.step_size, their_z.noise, their_z.sigma, their_z.batch_norm)
        );
        assert_eq!(recipe.teaching.lambda_ebm, narrowed.teaching.lambda_ebm);
        assert_eq!(recipe.teaching.negatives, narrowed.teaching.negatives);

        let mut teacher =
            Teacher::new(&recipe, &Device::flex(), Executor::Cpu { threads: 2 }, t.seed()).unwrap();
        t.load_all(&mut teacher);
        follow(&t, &mut teacher, "", "fresh");
    }
}

fn follow(t: &Transcript, teacher: &mut Teacher, iteration: &str, variant: &str) {
    let name = |rest: &str| format!("{iteration}{rest}");
    let temperature = teacher.recipe().temperature();
    let batch = small::batch_of(teacher.recipe(), t.get(&name("batch")).to_vec());
    let Iteration { report, snapshot: step } =
        pollster::block_on(teacher.iterate(&batch, Gradients::Keep)).unwrap();
    t.expect(&name("z"), &step.z);
    t.expect(&name("x_hat"), &step.x_hat);
    t.expect(&name("x_tilde"), &step.x_tilde);
    t.expect(&name("x_chain.energies"), &step.x_trace.values);
    t.expect(&name("z_0"), &step.z_0);
    t.expect(&name("z_tilde"), &step.z_tilde);
    t.expect(&name("z_chain.errors"), &step.z_trace.values);

    t.expect_scalar(&name("generator.loss_data"), report.generator_data_error.unwrap(), 0.0);
    t.expect_scalar(&name("generator.loss_ebm"), report.generator_ebm_error.unwrap(), 0.0);
    t.expect_scalar(&name("encoder.loss_data"), report.encoder_data_loss.unwrap(), 0.0);
    t.expect_scalar(&name("encoder.loss_inf"), report.encoder_model_loss.unwrap(), 0.0);
    let networks = teacher.networks();
    let [energy, generator, encoder] =
        [&networks.energy, &networks.generator, &networks.encoder].map(|n| n.as_ref().unwrap());
    t.expect_parameters(&name("generator.gradient"), generator, &step.gradients[0]);
    t.expect_parameters(&name("encoder.gradient"), encoder, &step.gradients[1]);
    t.expect_parameters(&name("after.generator"), generator, generator.parameters());
    t.expect_parameters(&name("after.encoder"), encoder, encoder.parameters());

    let of = |rest: &str| format!("{iteration}energy.{variant}.{rest}");
    t.expect(&of("negatives"), &step.negatives);
    let energies = t.get(&of("energy_data"));
    let mean = |x: &[f32]| x.iter().sum::<f32>() / x.len() as f32;
    let size = (energies.iter().map(|e| e * e).sum::<f32>() / energies.len() as f32).sqrt();
    assert!((report.energy_data.unwrap() - mean(energies)).abs() <= 1e-4 * size);
    assert!((report.energy_model.unwrap() - mean(t.get(&of("energy_negative")))).abs() <= 1e-4 * size);
    t.expect_scalar(&of("loss_gap"), report.energy_data.unwrap() - report.energy_model.unwrap(), size);
    t.expect_scalar(&of("loss"), report.energy_loss.unwrap(), size / temperature);
    t.expect_parameters(&of("gradient"), energy, &step.gradients[2]);
    t.expect_parameters(&of("after"), energy, energy.parameters());
}

/// Nets with kinks, batch norm and spectral norm: phase by phase, each from the transcript's own
/// inputs.
#[test]
fn every_phase_of_an_image_iteration_is_pytorchs() {
    let t = Transcript::open("image", 1e-3);
    let recipe = t.recipe("chain_l2");
    let (k, latent, len) = (t.iteration(), recipe.latent(), recipe.data_shape().iter().product::<usize>());
    let device = Device::flex();
    let tensor = |name: &str, len: usize| rows(t.get(name), len, &device);
    let mut energy = t.network(&recipe, Role::Energy, "before.energy");
    let mut generator = t.network(&recipe, Role::Generator, "before.generator");
    let mut encoder = t.network(&recipe, Role::Encoder, "before.encoder");

    // Spectral norm, once at the iteration's start.
    energy.iterate_spectral_norms();
    let state: BTreeMap<_, _> = energy.state().into_iter().collect();
    for layer in [0, 3, 7] {
        t.expect(
            &format!("spectral.{layer}.u_after"),
            &read(state[&format!("{layer}.weight.u")].clone()).unwrap(),
        );
        t.expect(
            &format!("spectral.{layer}.v_after"),
            &read(state[&format!("{layer}.weight.v")].clone()).unwrap(),
        );
        let raw = t.get(&format!("before.energy.{layer}.weight"));
        let normalised = energy.fold(&[]).unwrap();
        let folded = weight(&normalised, &format!("{layer}.weight"));
        let i = (0..raw.len()).max_by(|a, b| raw[*a].abs().total_cmp(&raw[*b].abs())).unwrap();
        t.expect_scalar(&format!("spectral.{layer}.sigma"), raw[i] / folded[i], 0.0);
    }

    // x-chain.
    t.expect("z", &Noise::new(t.seed(), Stream::Prior).normal_rows(0, 8, latent, k as u32));
    let out = generator.constant().forward(tensor("z", latent), Normalise::Batch).value;
    t.expect("x_hat", &read(out).unwrap());
    let executor = Executor::Cpu { threads: 2 };
    let x_chain = |start: &str, stream| -> (Vec<f32>, Trace) {
        let settings = recipe.x_chain.unwrap().settings();
        let mut chain = executor.x_chain(&energy.fold(&[]).unwrap(), 8).unwrap();
        let first_step = k as u32 * settings.steps;
        chain
            .start(
                t.get(start),
                ChainNoise { noise: Noise::new(t.seed(), stream), first_chain: 0, first_step },
            )
            .unwrap();
        chain.run(settings.steps, &settings.langevin).unwrap();
        pollster::block_on(async { (chain.state().await.unwrap(), chain.trace().await.unwrap()) })
    };
    let (x_tilde, trace) = x_chain("x_hat", Stream::XChain);
    t.expect("x_tilde", &x_tilde);
    t.expect("x_chain.energies", &trace.values);

    // z-chain, with the statistics of its start.
    let posterior = encoder.constant().forward(tensor("batch", len), Normalise::Batch).value;
    t.expect("z_0", &encoded_start(ZStart::Encoder, &read(posterior).unwrap(), latent, t.seed(), (0, k)));
    let folded = generator.fold(&start_statistics(&generator, t.get("z_0"))).unwrap();
    for name in ["4.scale", "4.shift", "8.scale", "8.shift"] {
        t.expect(&format!("folded.{name}"), weight(&folded, name));
    }
    let settings = recipe.z_chain.unwrap().settings();
    let mut chain = executor.z_chain(&folded, 8).unwrap();
    chain.set_target(t.get("batch"), None, settings.sigma).unwrap();
    let first_step = k as u32 * settings.steps;
    chain
        .start(
            t.get("z_0"),
            ChainNoise { noise: Noise::new(t.seed(), Stream::ZChain), first_chain: 0, first_step },
        )
        .unwrap();
    chain.run(settings.steps, &settings.langevin).unwrap();
    t.expect("z_tilde", &pollster::block_on(chain.state()).unwrap());
    t.expect("z_chain.errors", &pollster::block_on(chain.trace()).unwrap().values);

    // Generator.
    let tape = generator.taped();
    let loss = generator_loss(
        Some((tape.forward(tensor("z_tilde", latent), Normalise::Batch).value, tensor("batch", len))),
        Some((tape.forward(tensor("z", latent), Normalise::Batch).value, tensor("x_tilde", len))),
        &recipe.teaching,
    )
    .unwrap();
    expect_loss(&t, "generator.loss_data", &loss.data.unwrap());
    expect_loss(&t, "generator.loss_ebm", &loss.model.unwrap());
    expect_loss(&t, "generator.loss", &loss.total);
    let gradients = gradients(&t, "generator.gradient", &generator, &tape, &loss.total);
    NetworkOptimiser::new(&recipe.optimiser.generator.unwrap()).step(
        recipe.optimiser.generator.unwrap().rate,
        generator.parameters_mut(),
        gradients,
    );
    t.expect_parameters("after.generator", &generator, generator.parameters());

    // Encoder.
    let tape = encoder.taped();
    let loss = encoder_loss(
        Some((tensor("z_tilde", latent), tape.forward(tensor("batch", len), Normalise::Batch).value)),
        Some((tensor("z", latent), tape.forward(tensor("x_tilde", len), Normalise::Batch).value)),
        &recipe.teaching,
    )
    .unwrap();
    expect_loss(&t, "encoder.loss_data", &loss.data.unwrap());
    expect_loss(&t, "encoder.loss_inf", &loss.model.unwrap());
    expect_loss(&t, "encoder.loss", &loss.total);
    let gradients = self::gradients(&t, "encoder.gradient", &encoder, &tape, &loss.total);
    NetworkOptimiser::new(&recipe.optimiser.encoder.unwrap()).step(
        recipe.optimiser.encoder.unwrap().rate,
        encoder.parameters_mut(),
        gradients,
    );
    t.expect_parameters("after.encoder", &encoder, encoder.parameters());

    // Energy, with each choice of negatives.
    let updated = t.network(&recipe, Role::Generator, "after.generator");
    let out = read(updated.constant().forward(tensor("z", latent), Normalise::Batch).value).unwrap();
    t.expect("energy.generator.negatives", &out);
    t.expect("energy.fresh.start", &out);
    t.expect("energy.fresh.negatives", &x_chain("energy.fresh.start", Stream::FreshXChain).0);
    for variant in ["chain", "fresh", "generator", "chain_l2"] {
        let of = |rest: &str| format!("energy.{variant}.{rest}");
        let recipe = t.recipe(variant);
        let mut energy = energy.clone();
        let tape = energy.taped();
        let data = tape.forward(tensor("batch", len), Normalise::Batch).value;
        let model = tape.forward(tensor(&of("negatives"), len), Normalise::Batch).value;
        t.expect(&of("energy_data"), &read(data.clone().inner()).unwrap());
        t.expect(&of("energy_negative"), &read(model.clone().inner()).unwrap());
        let size = t.get(&of("energy_data")).iter().fold(0.0f32, |m, e| m.max(e.abs()));
        let temperature = recipe.temperature();
        let loss = energy_loss(data, model, recipe.teaching.energy_l2, temperature);
        let scalar = |tensor: &Tensor<1>| read(tensor.clone().inner()).unwrap()[0];
        t.expect_scalar(&of("loss_gap"), scalar(&loss.data) - scalar(&loss.model), size);
        t.expect_scalar(&of("loss_l2"), scalar(&loss.squares), 0.0);
        t.expect_scalar(&of("loss"), scalar(&loss.total), size / temperature);
        let gradients = self::gradients(&t, &of("gradient"), &energy, &tape, &loss.total);
        NetworkOptimiser::new(&recipe.optimiser.energy.unwrap()).step(
            recipe.optimiser.energy.unwrap().rate,
            energy.parameters_mut(),
            gradients,
        );
        t.expect_parameters(&of("after"), &energy, energy.parameters());
    }
}

fn weight<'a>(folded: &'a Weighted, path: &str) -> &'a [f32] {
    let parameters = folded.network.parameters();
    let parameter = parameters.iter().find(|p| p.path == path).unwrap();
    &folded.weights[parameter.range()]
}

fn expect_loss(t: &Transcript, name: &str, loss: &Tensor<1>) {
    t.expect_scalar(name, read(loss.clone().inner()).unwrap()[0], 0.0);
}

/// The loss's gradients, which are the transcript's. They no longer hold on to the tape.
fn gradients(
    t: &Transcript,
    prefix: &str,
    network: &BurnNetwork,
    tape: &Taped,
    loss: &Tensor<1>,
) -> Vec<Tensor<1>> {
    let gradients = tape.gradients(&mut loss.backward());
    t.expect_parameters(prefix, network, &gradients);
    gradients
}
