//! Training on burn-wgpu, with the chains on the GPU executor, against training on the CPU. Software
//! Vulkan will do.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used)]

mod small;

use dual_mcmc::executor::Executor;
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc::points::PointSet;
use dual_mcmc_trainer::recipe::Recipe;
use dual_mcmc_trainer::run::device::{DeviceChoice, TrainingDevice, training};
use dual_mcmc_trainer::teaching::{Report, Teacher};

/// A GPU for both burn and the chains. Its absence is an error in CI, and said elsewhere.
fn gpu() -> Option<TrainingDevice> {
    match training(DeviceChoice::Gpu) {
        Ok(devices) => Some(devices),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "no GPU: {error:#}");
            eprintln!("not run, there is no GPU, not even a software one: {error:#}");
            None
        }
    }
}

/// Convolutions, batch norm and spectral norm as well.
#[test]
fn images_on_a_gpu_follow_images_on_the_cpu() {
    let Some(devices) = gpu() else { return };
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
    let Some(devices) = gpu() else { return };
    let cpu =
        TrainingDevice { parameters: burn::tensor::Device::flex(), executor: Executor::Cpu { threads: 2 }, remote: None };
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
