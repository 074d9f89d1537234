//! The authors' own settings, as recipes: the networks of their code to the last parameter, at full
//! size and narrowed.

#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used)]

mod small;

use burn::tensor::Device;
use dual_mcmc::executor::Executor;
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc_trainer::networks::{BurnNetwork, Normalise, Role, read, rows};
use dual_mcmc_trainer::recipe::{
    BatchNormWeight, ChainStatistics, Initialisation, Negatives, Recipe, SpectralIteration, TrainLayer,
    TrainNetwork, ZStart,
};
use dual_mcmc_trainer::teaching::{Report, Teacher};

const PAPER: [&str; 2] = ["cifar10-paper", "celeba64-paper"];

fn roles(recipe: &Recipe) -> [(Role, &TrainNetwork); 3] {
    let networks = [&recipe.energy, &recipe.generator, &recipe.encoder].map(|n| n.as_ref().unwrap());
    let [energy, generator, encoder] = networks;
    [(Role::Energy, energy), (Role::Generator, generator), (Role::Encoder, encoder)]
}

/// Built, counted, and run forward at full size.
#[test]
fn full_size_networks_have_the_authors_parameters_and_run() {
    let expected = [[16_793_088, 16_024_579, 15_208_064], [19_536_768, 12_220_675, 15_210_752]];
    for (name, counts) in PAPER.into_iter().zip(expected) {
        let recipe = small::shipped(name, &[]);
        for ((role, description), expected) in roles(&recipe).into_iter().zip(counts) {
            let folded = description.folded();
            let network = BurnNetwork::new(description, role, 1, &Device::flex()).unwrap();
            let count: usize = network.parameters().iter().map(|p| p.dims()[0]).sum();
            assert_eq!(count, expected, "{name} {}", role.name());
            assert_eq!(folded.parameter_count(), expected, "{name} {}, folded", role.name());

            let len = folded.input_len();
            let x = Noise::new(1, Stream::Data).normal_rows(0, 2, len, 0);
            let y = network.constant().forward(rows(&x, len, &Device::flex()), Normalise::Batch).value;
            let values = read(y).unwrap();
            assert_eq!(values.len(), 2 * folded.output().unwrap().iter().product::<usize>());
            assert!(values.iter().all(|v| v.is_finite()) && values.iter().any(|v| *v != values[0]));
        }
    }
}

#[test]
fn settings_are_the_authors() {
    let cifar = small::shipped("cifar10-paper", &[]);
    let celeba = small::shipped("celeba64-paper", &[]);
    for recipe in [&cifar, &celeba] {
        let o = recipe.optimiser;
        let rates = [o.energy, o.generator, o.encoder].map(|o| o.unwrap().rate);
        assert_eq!(rates, [1e-4, 3e-4, 1e-4]);
        let decays = [o.energy, o.generator, o.encoder].map(|o| o.unwrap().weight_decay);
        assert_eq!(decays, [0.0, 5e-4, 5e-4]);
        assert_eq!((recipe.latent(), recipe.teaching.batch), (128, 100));
        for adam in [o.energy, o.generator, o.encoder].map(Option::unwrap) {
            assert_eq!((adam.beta1, adam.beta2, adam.epsilon), (0.0, 0.9, 1e-8));
            assert_eq!((adam.clip, adam.final_share), (None, 0.0));
        }

        // Chains: lengths, sizes, noise, σ, where they start; and the one for samples at test.
        let (x, z) = (recipe.x_chain.unwrap(), recipe.z_chain.unwrap());
        assert_eq!((x.steps, x.noise), (30, 0.001));
        assert_eq!((z.steps, z.step_size, z.noise, z.sigma), (10, 0.1, 0.1, 0.3));
        assert_eq!((z.start, z.batch_norm), (ZStart::Encoder, ChainStatistics::Batch));
        assert_eq!(x.spectral_iteration, SpectralIteration::EachStep);
        let at_test = recipe.chain_defaults().x.unwrap();
        assert_eq!((at_test.steps, at_test.langevin.step_size, at_test.langevin.noise), (70, 0.4, 0.001));

        // What the authors offer no switch for is off.
        for chain in [x.settings().langevin, z.settings().langevin, at_test.langevin] {
            assert!(chain.gradient_clamp.is_none() && chain.range_clamp.is_none() && !chain.mala);
        }
        let t = recipe.teaching;
        assert_eq!((t.lambda_data, t.lambda_inf, t.negatives), (1.0, 0.1, Negatives::Fresh));
        assert!(t.energy_l2 == 0.0 && t.persistent.is_none() && recipe.data.noise == 0.0);
        assert_eq!((recipe.ema.generator, recipe.ema.energy), (0.0, 0.0));

        // Xavier normal convolutions, batch norm weights N(0, 1), spectral norm on E alone.
        for (role, network) in roles(recipe) {
            assert_eq!(network.initialisation, Initialisation::XavierNormal, "{}", role.name());
            assert_eq!(network.spectral_norm, role == Role::Energy, "{}", role.name());
            for (path, layer) in network.leaves() {
                if let TrainLayer::BatchNorm { weight, .. } = layer {
                    assert_eq!(*weight, BatchNormWeight::Normal, "{} {path}", role.name());
                }
            }
        }
    }
    assert_eq!([&cifar, &celeba].map(|recipe| recipe.x_chain.unwrap().step_size), [0.5, 0.3]);
    assert!((cifar.temperature() - 1.0 / 250_000.0).abs() < 1e-10);
    assert!((celeba.temperature() - 1.0 / 90_000.0).abs() < 1e-10);
    assert_eq!((cifar.teaching.lambda_ebm, celeba.teaching.lambda_ebm), (50.0, 70.0));
    // An epoch is 500 and 1,627 iterations; there are 301.
    assert_eq!((cifar.schedule.iterations, celeba.schedule.iterations), (150_500, 489_727));
    let rate = cifar.schedule.rate(&cifar.optimiser.energy.unwrap(), 1000);
    assert!((rate - 1e-4 * 0.998f64.powi(2)).abs() < 1e-16);
    assert!(celeba.data.flip && !cifar.data.flip);
}

/// One iteration of the recipe, with both chains.
fn iteration(recipe: &Recipe, device: &Device, executor: Executor) -> Report {
    let mut teacher = Teacher::new(recipe, device, executor, 3).unwrap();
    teacher.step(&small::batch(recipe, 0)).unwrap()
}

fn check(report: &Report) {
    let all = [report.energy_loss, report.generator_data_error, report.generator_ebm_error];
    let others = [report.encoder_data_loss, report.encoder_model_loss, report.displacement];
    assert!(all.iter().chain(&others).all(|v| v.unwrap().is_finite()), "{report:?}");
    assert!(report.displacement.unwrap() > 0.0);
}

/// A sixteenth of the width, on the CPU and on burn-wgpu, in the authors' way (chains in burn) and in
/// ours (chains on the executors).
#[test]
fn a_narrow_update_runs_on_the_cpu_and_on_a_gpu() {
    let gpu = small::gpu();
    let ours = [("x_chain.spectral_iteration", "once"), ("z_chain.batch_norm", "start")];
    for name in PAPER {
        for overrides in [&[][..], &ours] {
            let short = [("x_chain.steps", "2"), ("z_chain.steps", "2"), ("teaching.batch", "4")];
            let recipe = small::narrowed(&small::shipped(name, &[&short, overrides].concat()), 16);
            let on_cpu = iteration(&recipe, &Device::flex(), Executor::Cpu { threads: 2 });
            check(&on_cpu);
            let Some(gpu) = &gpu else { continue };
            let on_gpu = iteration(&recipe, &gpu.parameters, gpu.executor.clone());
            check(&on_gpu);
            for (a, b) in [
                (on_gpu.energy_data, on_cpu.energy_data),
                (on_gpu.energy_model, on_cpu.energy_model),
                (on_gpu.generator_data_error, on_cpu.generator_data_error),
                (on_gpu.generator_ebm_error, on_cpu.generator_ebm_error),
                (on_gpu.encoder_data_loss, on_cpu.encoder_data_loss),
                (on_gpu.encoder_model_loss, on_cpu.encoder_model_loss),
            ] {
                let (a, b) = (a.unwrap(), b.unwrap());
                // The nets have kinks.
                assert!((a - b).abs() <= 1e-2 * b.abs().max(1e-3), "{name} {overrides:?}: {a} {b}");
            }
        }
    }
}

/// A whole update at full size: minutes on a CPU.
#[test]
#[ignore = "95 million parameters with Adam take gigabytes; narrow ones are in every run. cargo xtask test --long"]
fn a_full_size_update_runs() {
    for name in PAPER {
        let short = [("x_chain.steps", "1"), ("z_chain.steps", "1"), ("teaching.batch", "2")];
        let recipe = small::shipped(name, &short);
        check(&iteration(&recipe, &Device::flex(), Executor::cpu()));
    }
}
