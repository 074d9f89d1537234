//! Training on burn-wgpu, with the chains on the GPU executor, against training on the CPU. Software
//! Vulkan will do.

#![cfg(feature = "gpu")]
#![allow(clippy::unwrap_used)]

mod small;

use dual_mcmc::executor::Executor;
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc::points::PointSet;
use dual_mcmc_trainer::data::Dataset;
use dual_mcmc_trainer::lending;
use dual_mcmc_trainer::recipe::Recipe;
use dual_mcmc_trainer::run::checkpoint;
use dual_mcmc_trainer::run::device::{DeviceChoice, TrainingDevice, training};
use dual_mcmc_trainer::run::directory::{Given, Origin, RunDirectory};
use dual_mcmc_trainer::run::train::Run;
use dual_mcmc_trainer::teaching::{Gradients, Report, Teacher};

/// Convolutions, batch norm and spectral norm as well.
#[test]
fn images_on_a_gpu_follow_images_on_the_cpu() {
    let Some(devices) = small::gpu() else { return };
    let recipe = small::recipe(small::IMAGES, &[]);
    let mut on_gpu = Teacher::new(&recipe, &devices.parameters, devices.executor, 3).unwrap();
    let mut on_cpu = small::teacher(&recipe, 3);
    for t in 0..2 {
        let data = small::batch(&recipe, t);
        let (a, b) = (on_gpu.step(&data).unwrap(), on_cpu.step(&data).unwrap());
        for ((name, a), (_, b)) in losses(&a).into_iter().zip(losses(&b)) {
            // The nets have kinks: one activation on its other side shows in the second iteration.
            assert!(
                (a - b).abs() <= 1e-2 * a.abs().max(1.0),
                "iteration {t}, {name}: {a} on the GPU, {b} on the CPU"
            );
        }
    }
}

/// Iterations of the ring's own recipe.
fn ring(devices: TrainingDevice, iterations: usize) -> Vec<Report> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../recipes/ring.toml");
    let recipe = Recipe::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    let points = PointSet::from_name("ring").unwrap();
    let mut teacher = Teacher::new(&recipe, &devices.parameters, devices.executor, 1).unwrap();
    let data = points.sample(Noise::new(1, Stream::Data), 0, 10_000);
    let iterations = (0..iterations).map(|_| {
        let rows = teacher.batch_indices(10_000).into_iter();
        let batch: Vec<f32> = rows.flat_map(|i| [data[2 * i], data[2 * i + 1]]).collect();
        teacher.step(&small::batch_of(&recipe, batch)).unwrap()
    });
    iterations.collect()
}

fn losses(report: &Report) -> [(&'static str, f32); 7] {
    [
        ("energy_data", report.energy_data),
        ("energy_model", report.energy_model),
        ("energy_loss", report.energy_loss),
        ("generator_data_error", report.generator_data_error),
        ("generator_ebm_error", report.generator_ebm_error),
        ("encoder_data_loss", report.encoder_data_loss),
        ("encoder_model_loss", report.encoder_model_loss),
    ]
    .map(|(name, loss)| (name, loss.unwrap()))
}

#[test]
fn the_ring_on_a_gpu_follows_the_ring_on_the_cpu() {
    let Some(devices) = small::gpu() else { return };
    let cpu = TrainingDevice {
        parameters: burn::tensor::Device::flex(),
        executor: Executor::Cpu { threads: 2 },
        remote: None,
    };
    let (on_gpu, on_cpu) = (ring(devices, 20), ring(cpu, 20));
    let mut worst = 0.0f32;
    for (a, b) in on_gpu.iter().zip(&on_cpu) {
        let iteration = b.iteration;
        for ((name, a), (_, b)) in losses(a).into_iter().zip(losses(b)) {
            let error = (a - b).abs() / a.abs().max(1.0);
            worst = worst.max(error);
            assert!(error <= 1e-3, "iteration {iteration}, {name}: {a} on the GPU, {b} on the CPU");
        }
    }
    eprintln!("largest difference of a loss in 20 iterations: {worst:e}");
}

/// Train on `devices` until `vanish` has been called, after the fourth iteration; the error and what is left.
fn run_until_it_vanishes(devices: Vec<TrainingDevice>, vanish: impl FnOnce() + Send + 'static) -> String {
    let folder = tempfile::tempdir().unwrap();
    let directory = RunDirectory::new(folder.path().join("run"));
    let last = directory.last();
    let reached = move || checkpoint::read(&last).map_or(0, |(summary, _)| summary.iteration);
    let watched = reached.clone();
    let watcher = std::thread::spawn(move || {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(300);
        while watched() < 4 {
            assert!(std::time::Instant::now() < deadline, "not four iterations in five minutes");
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        vanish();
    });
    let run = Run {
        directory: directory.claim().unwrap(),
        recipe: small::recipe(small::POINTS, &[]),
        data: Dataset::load("ring", &[2], None).unwrap(),
        devices,
        origin: Origin {
            seed: 1,
            data: "ring".into(),
            samples: 0,
            fingerprint: None,
            given: Given {
                license: None,
                examples: None,
                steps: Some(1_000_000),
                checkpoint_every: Some(2),
                measure_every: Some(1_000_000),
            },
            version: String::new(),
        },
        time: None,
        resume: false,
    };
    let error = format!("{:#}", run.train().unwrap_err());
    watcher.join().unwrap();
    assert!(error.contains(&format!("the last checkpoint is of iteration {}", reached())), "{error}");
    assert!(error.contains("--resume") && error.lines().count() == 1, "{error}");
    eprintln!("{error}");
    error
}

/// Alone, and beside a CPU, whose thread must not wait for it. burn starts a device once a process, so each case is
/// a process of its own.
#[test]
fn a_gpu_that_vanishes_ends_the_run_with_its_name_and_a_checkpoint() {
    const CASE: &str = "GPU_THAT_VANISHES";
    const TEST: &str = "a_gpu_that_vanishes_ends_the_run_with_its_name_and_a_checkpoint";
    const BESIDE: &str = "beside a CPU";
    let Ok(case) = std::env::var(CASE) else {
        for case in ["alone", BESIDE] {
            let Some(_) = small::gpu() else { return };
            let program = std::env::current_exe().unwrap();
            let mut child = std::process::Command::new(program);
            let output = child.args([TEST, "--exact", "--nocapture"]).env(CASE, case).output().unwrap();
            let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat();
            assert!(output.status.success() && !said.contains("panicked"), "{case}: {said}");
        }
        return;
    };
    let device = training(DeviceChoice::Gpu).unwrap();
    let Executor::Gpu(gpu) = &device.executor else { unreachable!() };
    let (name, lost) = (gpu.name(), gpu.device.clone());
    let mut devices = vec![device];
    if case == BESIDE {
        devices.insert(0, training(DeviceChoice::Cpu).unwrap());
    }
    let error = run_until_it_vanishes(devices, move || lost.destroy());
    assert!(error.contains(&name) && error.contains("lost"), "{error}");
}

/// The weights of the chains never leave the device, and the chains are those that burn computes from the same
/// weights.
#[test]
fn both_engines_run_the_same_chains() {
    let Some(device) = small::gpu() else { return };
    let Executor::Gpu(gpu) = &device.executor else { unreachable!() };
    assert!(lending::shares(&device.parameters, gpu), "one device for burn and the chains");
    for text in [small::POINTS, small::IMAGES] {
        let [by_executor, by_burn] = ["executor", "burn"].map(|engine| {
            let recipe = small::recipe(text, &[("x_chain.engine", engine), ("z_chain.engine", engine)]);
            let mut teacher = Teacher::new(&recipe, &device.parameters, device.executor.clone(), 3).unwrap();
            // Weights that have moved since the chains were made.
            let networks = teacher.networks_mut();
            for network in [&mut networks.energy, &mut networks.generator].into_iter().flatten() {
                for parameter in network.parameters_mut() {
                    *parameter = parameter.clone().mul_scalar(0.9);
                }
            }
            let batch = small::batch(&recipe, 0);
            let snapshot = pollster::block_on(teacher.iterate(&batch, Gradients::Drop)).unwrap().snapshot;
            (snapshot, recipe.data_len(), recipe.latent())
        });
        let ((a, len, latent), (b, ..)) = (&by_executor, &by_burn);
        for (what, len, start, ends) in [
            ("x-chain", *len, &a.x_hat, [&a.x_tilde, &b.x_tilde]),
            ("z-chain", *latent, &a.z_0, [&a.z_tilde, &b.z_tilde]),
        ] {
            let moved = norm(ends[0], start);
            assert!(moved > 0.0, "{what}");
            let rows = start.len() / len;
            let agree = (0..rows).filter(|row| {
                let row = row * len..(row + 1) * len;
                norm(&ends[0][row.clone()], &ends[1][row.clone()])
                    <= 1e-4 * norm(&ends[0][row.clone()], &start[row])
            });
            assert!(10 * agree.count() >= 9 * rows, "{what}: {} of {moved}", norm(ends[0], ends[1]));
        }
    }
}

/// The norm of the difference.
fn norm(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt()
}
