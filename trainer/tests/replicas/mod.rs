//! A batch shared by several devices teaches what it teaches on one.

use crate::small::{IMAGES, POINTS, batch, recipe, teacher};
use burn::tensor::{Device, Tensor};
use dual_mcmc::executor::Executor;
use dual_mcmc_trainer::networks::read;
use dual_mcmc_trainer::recipe::Recipe;
use dual_mcmc_trainer::run::device::TrainingDevice;
use dual_mcmc_trainer::run::replicas::Replicas;
use dual_mcmc_trainer::teaching::{Gradients, Iteration, Report};

fn cpu() -> TrainingDevice {
    TrainingDevice { parameters: Device::flex(), executor: Executor::Cpu { threads: 1 }, remote: None }
}

/// The image recipe without its batch norms, which are of one device's rows, and with mirrored images. With
/// energy_l2 the last bias of the energy has a gradient, too.
fn plain_images() -> String {
    let lines = IMAGES.lines().filter(|line| !line.contains("batch_norm"));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    let text = text.replace("set = \"blobs\"", "set = \"blobs\"\nflip = true\nnoise = 0.05");
    text.replace("lambda_ebm = 5.0", "lambda_ebm = 5.0\nenergy_l2 = 0.05")
}

fn figures(report: &Report) -> Vec<f32> {
    let ends = [report.x_chain_energy, report.z_chain_error].into_iter().flatten().flatten();
    let others = [
        report.energy_data,
        report.energy_model,
        report.energy_loss,
        report.generator_data_error,
        report.generator_ebm_error,
        report.encoder_data_loss,
        report.encoder_model_loss,
        report.displacement,
        report.x_chain_acceptance,
    ];
    others.into_iter().flatten().chain(ends).collect()
}

/// The gradients of the three networks before the optimiser, of the first iteration and of the fourth,
/// and the figures of all four.
fn check(what: &str, recipe: &Recipe, devices: &[TrainingDevice]) {
    let mut one = teacher(recipe, 5);
    let mut shared = Replicas::new(recipe, devices, 5).unwrap();
    let mut worst = 0.0f64;
    for t in 0..4 {
        let data = batch(recipe, t);
        let whole = pollster::block_on(one.iterate(&data, Gradients::Keep)).unwrap();
        let split = shared.iterate(data, Gradients::Keep).unwrap();
        let networks = [&recipe.generator, &recipe.encoder, &recipe.energy].into_iter().flatten().count();
        let gradients = |iteration: &Iteration| -> Vec<Vec<f32>> {
            let tensors = iteration.snapshot.gradients.iter().flatten();
            tensors.map(|tensor: &Tensor<1>| read(tensor.clone()).unwrap()).collect()
        };
        assert_eq!(whole.snapshot.gradients.len(), networks);
        if t == 0 {
            for (i, (a, b)) in gradients(&split).iter().zip(&gradients(&whole)).enumerate() {
                let norm = |values: &mut dyn Iterator<Item = f32>| {
                    values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt()
                };
                let difference = norm(&mut a.iter().zip(b).map(|(a, b)| a - b));
                let size = norm(&mut b.iter().copied());
                assert!(size > 0.0 && a.len() == b.len());
                worst = worst.max(difference / size);
                assert!(difference <= 1e-4 * size, "{what}, tensor {i}: {difference} of {size}");
            }
        }
        let (a, b) = (figures(&split.report), figures(&whole.report));
        assert_eq!(a.len(), b.len(), "{what}");
        for (i, (a, b)) in a.iter().zip(&b).enumerate() {
            let error = (a - b).abs() / b.abs().max(1.0);
            assert!(error < 1e-3, "{what}, iteration {t}, figure {i}: {a}, and {b} on one device");
        }
    }
    eprintln!("{what}: gradients differ by at most {worst:.1e} of their norms");
}

const PERSISTENT: (&str, &str) =
    ("teaching.persistent", "{ share = 0.75, size = 40, restart = 0.2, range = [-4.0, 4.0] }");

#[test]
fn gradients_on_several_devices_are_those_on_one() {
    let two = [cpu(), cpu()];
    check("points, halves", &recipe(POINTS, &[]), &two);
    check("images, halves", &recipe(&plain_images(), &[]), &two);
    let three = [cpu(), cpu(), cpu()];
    for overrides in [
        &[("teaching.batch", "31")][..],
        &[("teaching.batch", "31"), PERSISTENT],
        &[("teaching.negatives", "fresh"), PERSISTENT],
        &[("z_chain.start", "kept"), ("teaching.negatives", "generator")],
        &[("x_chain.mala", "true"), ("x_chain.step_size", "1"), ("x_chain.noise", "1")],
    ] {
        check(&format!("points, thirds, {overrides:?}"), &recipe(POINTS, overrides), &three);
    }
    let moving = [("x_chain.spectral_iteration", "each_step"), ("teaching.batch", "7")];
    check("images, 4 + 3, norms that move", &recipe(&plain_images(), &moving), &two);
    let none = ["generator", "optimiser.generator", "encoder", "optimiser.encoder", "z_chain"];
    for start in ["noise", "data"] {
        let alone = crate::without(POINTS, &none, &[("x_chain.start", start), PERSISTENT]);
        check(&format!("an energy alone, from {start}"), &alone, &three);
    }
}

/// Chains of a remote device run in burn, so all three networks and both chains are another program's.
#[cfg(feature = "remote")]
#[test]
fn gradients_with_a_worker_are_those_on_one_device() {
    use crate::small::worker::Worker;
    use dual_mcmc_trainer::run::device::{TrainingChoice, all};
    let worker = Worker::start(0, None);
    let choices: Vec<TrainingChoice> = ["cpu", &worker.device].map(|text| text.parse().unwrap()).to_vec();
    let devices = all(&choices).unwrap();
    check("points, CPU and worker", &recipe(POINTS, &[]), &devices);
    check(
        "points, 16 + 15 and clamps",
        &recipe(
            POINTS,
            &[
                ("teaching.batch", "31"),
                ("x_chain.gradient_clamp", "0.5"),
                ("x_chain.range_clamp", "[-1.5, 1.5]"),
            ],
        ),
        &devices,
    );
    check("images, CPU and worker", &recipe(&plain_images(), &[]), &devices);
    check("points, worker alone", &recipe(POINTS, &[]), &devices[1..]);
    let mala = recipe(POINTS, &[("x_chain.mala", "true")]);
    let refused = Replicas::new(&mala, &devices[1..], 5).map(|_| ()).unwrap_err();
    assert!(format!("{refused:#}").contains("mala"), "{refused:#}");
}

/// Whatever the statistics of each one's rows, every device ends an iteration in the same state: handing
/// them the first one's changes nothing.
#[test]
fn with_batch_norm_all_replicas_learn_and_stay_together() {
    let recipe = recipe(IMAGES, &[("z_chain.batch_norm", "running")]);
    let mut shared = Replicas::new(&recipe, &[cpu(), cpu()], 5).unwrap();
    for t in 0..3 {
        let report = shared.step(batch(&recipe, t)).unwrap();
        assert!(figures(&report).iter().all(|v| v.is_finite()));
    }
    let record = shared.first().record().unwrap();
    let mut copied_over = Replicas::new(&recipe, &[cpu(), cpu()], 9).unwrap();
    copied_over.first_mut().restore(&record).unwrap();
    copied_over.follow_first(&std::sync::Arc::new(record));
    let (a, b) = (shared.step(batch(&recipe, 3)).unwrap(), copied_over.step(batch(&recipe, 3)).unwrap());
    assert_eq!(a, b);
    assert_eq!(shared.first().record().unwrap(), copied_over.first().record().unwrap());
}

#[test]
fn a_batch_that_is_too_small_to_share_is_refused() {
    for (text, count) in [(POINTS, "1"), (IMAGES, "3")] {
        let recipe = recipe(&crate::without_persistent(text), &[("teaching.batch", count)]);
        let refused = Replicas::new(&recipe, &[cpu(), cpu()], 1).map(|_| ()).unwrap_err();
        assert!(refused.to_string().contains("teaching.batch"), "{refused}");
    }
}
