//! The shipped models on every executor: plain and fast CPU kernels, the GPU and burn agree, and
//! gradients are those of the energies.
#![allow(clippy::unwrap_used)]

use burn::tensor::Device;
use dual_mcmc::cpu::Evaluator;
use dual_mcmc::gpu::{EnergyGradient, Forward, Gpu, GpuChoice, InputGradient};
use dual_mcmc::model::{Model, Weighted};
use dual_mcmc::network::Layer;
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc_tests::models;
use dual_mcmc_trainer::networks::{BurnNetwork, Normalise, Role, read, rows};
use dual_mcmc_trainer::recipe::{TrainLayer, TrainNetwork};
use pollster::block_on;

const SAMPLES: usize = 24;
const TOLERANCE: f64 = 1e-4;

/// What an executor gives for a batch: outputs, and the gradient of `Σ grad_output · output`.
struct Answer {
    output: Vec<f32>,
    gradient: Vec<f32>,
}

/// One network on one batch, with the gradient arriving at its output.
struct Question<'a> {
    weighted: &'a Weighted,
    x: Vec<f32>,
    grad_output: Vec<f32>,
}

impl Question<'_> {
    fn cpu(&self, executor: &Evaluator<f32>) -> Answer {
        Answer {
            output: executor.forward(&self.x),
            gradient: executor.input_gradient(&self.x, &self.grad_output),
        }
    }

    fn twin(&self) -> Answer {
        self.cpu(&Evaluator::twin(&self.weighted.network, &self.weighted.weights).unwrap())
    }

    fn fast(&self) -> Answer {
        self.cpu(&Evaluator::new(&self.weighted.network, &self.weighted.weights).unwrap())
    }

    fn gpu(&self, gpu: &Gpu) -> Answer {
        if self.grad_output.len() == SAMPLES {
            // An energy: the same kernels through the object that chains use.
            let mut energy = EnergyGradient::new(gpu, self.weighted, SAMPLES).unwrap();
            let (output, gradient) = block_on(energy.energy_and_gradient(&self.x)).unwrap();
            return Answer { output, gradient };
        }
        let output = block_on(Forward::new(gpu, self.weighted, SAMPLES).unwrap().run(&self.x)).unwrap();
        let mut gradient = InputGradient::new(gpu, self.weighted, SAMPLES).unwrap();
        Answer { output, gradient: block_on(gradient.run(&self.x, &self.grad_output)).unwrap() }
    }

    fn burn(&self, role: Role, device: &Device) -> Answer {
        let Weighted { network, weights } = self.weighted;
        let description = TrainNetwork {
            input: network.input.clone(),
            reference: network.reference,
            spectral_norm: false,
            initialisation: Default::default(),
            layers: network.layers.iter().cloned().map(TrainLayer::from).collect(),
        };
        let mut net = BurnNetwork::new(&description, role, 0, device).unwrap();
        for (parameter, place) in net.parameters_mut().iter_mut().zip(network.parameters()) {
            let values = &weights[place.range()];
            *parameter = rows(values, values.len(), device).flatten(0, 1);
        }
        let input = network.input_len();
        let x = rows(&self.x, input, device).autodiff().require_grad();
        let output = net.constant().forward(x.clone(), Normalise::Batch).value;
        let len = self.grad_output.len() / SAMPLES;
        let grad_output = rows(&self.grad_output, len, device);
        let mut gradients = (output.clone() * grad_output).sum().backward();
        let gradient = x.grad_remove(&mut gradients).unwrap();
        Answer { output: read(output.inner()).unwrap(), gradient: read(gradient).unwrap() }
    }

    /// Samples whose output and gradient agree with `expected`.
    fn agreeing(&self, found: &Answer, expected: &Answer) -> usize {
        let input = self.weighted.network.input_len();
        let output = expected.output.len() / SAMPLES;
        let rms = norm(&expected.output) / (SAMPLES as f64).sqrt();
        (0..SAMPLES)
            .filter(|&i| {
                let (out, inp) = (i * output..(i + 1) * output, i * input..(i + 1) * input);
                let scale = norm(&expected.output[out.clone()]).max(rms);
                let near = distance(&found.output[out.clone()], &expected.output[out]) <= TOLERANCE * scale;
                let slope = norm(&expected.gradient[inp.clone()]);
                near && distance(&found.gradient[inp.clone()], &expected.gradient[inp]) <= TOLERANCE * slope
            })
            .count()
    }
}

fn norm(x: &[f32]) -> f64 {
    x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt()
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum::<f64>().sqrt()
}

/// Whether every layer is smooth; at a kink one activation flips a whole gradient.
fn smooth(weighted: &Weighted) -> bool {
    !weighted.network.layers.iter().any(|l| matches!(l, Layer::Relu | Layer::LeakyRelu { .. }))
}

fn normals(len: usize, seed: u64) -> Vec<f32> {
    let mut values = vec![0.0; len];
    Noise::new(seed, Stream::Prior).normals(0, 0, &mut values);
    values
}

fn ask<'a>(weighted: &'a Weighted, x: &[f32], seed: u64) -> Question<'a> {
    let output = Evaluator::<f32>::new(&weighted.network, &weighted.weights).unwrap().output_len();
    let grad_output = if output == 1 { vec![1.0; SAMPLES] } else { normals(SAMPLES * output, seed) };
    Question { weighted, x: x.to_vec(), grad_output }
}

/// A model's networks, each with samples of the kind it meets: latents, and what comes of them.
fn questions(model: &Model) -> Vec<(Role, Question<'_>)> {
    let generator = model.generator.as_ref().unwrap();
    let z = normals(SAMPLES * generator.network.input_len(), 1);
    let x = Evaluator::<f32>::new(&generator.network, &generator.weights).unwrap().forward(&z);
    let weighted: [(Role, Option<&Weighted>, &[f32]); 3] = [
        (Role::Energy, model.energy.as_ref(), &x),
        (Role::Generator, Some(generator), &z),
        (Role::Encoder, model.encoder.as_ref(), &x),
    ];
    let present = weighted.into_iter().filter_map(|(role, weighted, x)| Some((role, weighted?, x)));
    present.map(|(role, weighted, x)| (role, ask(weighted, x, role as u64 + 2))).collect()
}

/// Check one executor's answers on every shipped model.
fn agrees(name: &str, answer: impl Fn(Role, &Question) -> Answer) {
    for (file, model) in models::shipped() {
        for (role, question) in questions(&model) {
            let agreeing = question.agreeing(&answer(role, &question), &question.twin());
            let needed = if smooth(question.weighted) { SAMPLES } else { (SAMPLES * 9).div_ceil(10) };
            println!("{file}, {role:?}, {name}: {agreeing} of {SAMPLES} samples agree");
            assert!(agreeing >= needed, "{file}, {role:?}: {agreeing} of {SAMPLES} agree on {name}");
        }
    }
}

#[test]
fn the_fast_cpu_kernels_agree_on_shipped_models() {
    agrees("the fast CPU kernels", |_, question| question.fast());
}

#[test]
fn the_gpu_agrees_on_shipped_models() {
    match block_on(Gpu::request(GpuChoice::Any)) {
        Ok(gpu) => agrees(&gpu.name(), |_, question| question.gpu(&gpu)),
        Err(error) => {
            let none = std::env::var("DUAL_MCMC_NO_GPU").is_ok_and(|v| v == "true");
            assert!(none, "{error} (a software one will do; DUAL_MCMC_NO_GPU=true leaves this test out)");
            eprintln!("NOT TESTED on a GPU: {error}");
        }
    }
}

#[test]
fn burn_agrees_on_shipped_models() {
    let device = Device::flex();
    agrees("burn", |role, question| question.burn(role, &device));
}

/// In f64, along one random direction for each sample.
#[test]
fn gradients_are_the_slopes_of_the_energies() {
    let mut checked = 0;
    for (file, model) in models::shipped() {
        let questions = questions(&model);
        let (_, Question { weighted, x, .. }) =
            questions.iter().find(|(role, _)| *role == Role::Energy).unwrap();
        if !smooth(weighted) {
            continue;
        }
        checked += 1;
        let executor = Evaluator::<f64>::twin(&weighted.network, &weighted.weights).unwrap();
        let x: Vec<f64> = x.iter().map(|&v| v.into()).collect();
        let direction: Vec<f64> = normals(x.len(), 9).into_iter().map(f64::from).collect();
        let step = 1e-5;
        let moved =
            |sign: f64| -> Vec<f64> { x.iter().zip(&direction).map(|(x, d)| x + sign * step * d).collect() };
        let (above, below) = (executor.forward(&moved(1.0)), executor.forward(&moved(-1.0)));
        let (_, gradient) = executor.energy_and_gradient(&x);
        let len = weighted.network.input_len();
        for (i, (gradient, direction)) in gradient.chunks(len).zip(direction.chunks(len)).enumerate() {
            let slope: f64 = gradient.iter().zip(direction).map(|(g, d)| g * d).sum();
            let difference = (above[i] - below[i]) / (2.0 * step);
            let size = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
            let scale = size(gradient) * size(direction);
            assert!(
                (slope - difference).abs() <= 1e-6 * scale,
                "{file}, sample {i}: {slope} and {difference}"
            );
        }
    }
    assert!(checked > 0, "no shipped energy is smooth");
}
