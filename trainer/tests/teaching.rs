//! The training iteration as a whole: exact resume, the choices a recipe has, checkpoints.

#![allow(clippy::unwrap_used)]

#[cfg(feature = "cli")]
mod replicas;
mod small;

use burn::tensor::{Device, Tensor};
use dual_mcmc::cpu;
use dual_mcmc::model::{Model, Precision};
use dual_mcmc::noise::{Noise, Stream};
use dual_mcmc_trainer::networks::{Normalise, SpectralNorm, read, rows};
use dual_mcmc_trainer::recipe::Recipe;
use dual_mcmc_trainer::teaching::{Batch, Gradients, Iteration, Report, Snapshot, Teacher, TeachingError};
use small::{IMAGES, POINTS, batch, recipe, teacher};

fn steps(teacher: &mut Teacher, count: u64) -> Vec<Report> {
    let recipe = teacher.recipe().clone();
    (0..count).map(|_| teacher.step(&batch(&recipe, teacher.iteration())).unwrap()).collect()
}

fn iterate(teacher: &mut Teacher) -> Snapshot {
    iteration(teacher).snapshot
}

fn iteration(teacher: &mut Teacher) -> Iteration {
    let data = batch(teacher.recipe(), teacher.iteration());
    pollster::block_on(teacher.iterate(&data, Gradients::Keep)).unwrap()
}

#[test]
fn a_resumed_run_is_the_same_run_bit_for_bit() {
    for text in [POINTS, IMAGES] {
        let recipe = recipe(text, &[]);
        let mut whole = teacher(&recipe, 7);
        let mut reports = steps(&mut whole, 100);
        reports.extend(steps(&mut whole, 100));

        let mut first = teacher(&recipe, 7);
        let mut resumed_reports = steps(&mut first, 100);
        let blobs = first.record().unwrap();
        drop(first);
        // Nothing of the new teacher's own start may be left, its seed included.
        let mut resumed = teacher(&recipe, 1234);
        resumed.restore(&blobs).unwrap();
        assert_eq!(resumed.record().unwrap(), blobs);
        resumed_reports.extend(steps(&mut resumed, 100));

        assert_eq!(resumed_reports, reports);
        assert_eq!(resumed.record().unwrap(), whole.record().unwrap());
        assert_eq!(resumed.model().unwrap(), whole.model().unwrap());
    }
}

#[test]
fn a_seed_gives_one_run_and_another_seed_another() {
    let recipe = recipe(POINTS, &[]);
    let run = |seed| {
        let mut teacher = teacher(&recipe, seed);
        (steps(&mut teacher, 3), teacher.batch_indices(1000))
    };
    assert_eq!(run(3), run(3));
    let (a, b) = (run(3), run(4));
    assert_ne!(a.0, b.0);
    assert_ne!(a.1, b.1);
}

#[test]
fn reports_are_of_the_iteration() {
    let recipe = recipe(IMAGES, &[]);
    let mut teacher = teacher(&recipe, 5);
    let before = teacher.networks().clone();
    let Iteration { report, snapshot } = iteration(&mut teacher);
    assert_eq!(report.iteration, 1);
    assert_eq!(teacher.iteration(), 1);

    let mean_energy = |x: &[f32]| {
        let mut energy = before.energy.clone().unwrap();
        energy.iterate_spectral_norms();
        let energy = energy.fold(&[]).unwrap();
        let executor: cpu::Evaluator = cpu::Evaluator::new(&energy.network, &energy.weights).unwrap();
        let energies = executor.forward(x);
        energies.iter().sum::<f32>() / energies.len() as f32
    };
    let close = |a: f32, b: f32| assert!((a - b).abs() <= 1e-4 * a.abs().max(1e-2), "{a} {b}");
    let [start, end] = report.x_chain_energy.unwrap();
    close(report.energy_data.unwrap(), mean_energy(&batch(&recipe, 0).values));
    close(report.energy_model.unwrap(), mean_energy(&snapshot.negatives));
    close(start, mean_energy(&snapshot.x_hat));
    close(end, mean_energy(&snapshot.x_tilde));
    assert!(end < start, "a cold chain goes downhill");
    assert!(report.z_chain_error.unwrap()[1].is_finite() && report.displacement.unwrap() > 0.0);
    assert_eq!(report.x_chain_acceptance, None);
    close(report.energy_loss.unwrap() * recipe.temperature(), report.energy_gap().unwrap());
    let networks = [&before.generator, &before.encoder, &before.energy];
    for (network, gradients) in networks.into_iter().flatten().zip(&snapshot.gradients) {
        assert_eq!(network.names().len(), gradients.len());
        for (name, gradient) in network.names().iter().zip(gradients) {
            assert_eq!(gradient.dims(), [name.shape.iter().product::<usize>()]);
        }
    }
}

#[test]
fn the_negatives_are_those_the_recipe_chooses() {
    for text in [POINTS, IMAGES] {
        let run = |choice: &str, persistent: bool| {
            let mut overrides = vec![("teaching.negatives", choice)];
            if persistent {
                let table = "{ share = 0.25, size = 100, restart = 0.2, range = [-4.0, 4.0] }";
                overrides.push(("teaching.persistent", table));
            }
            let text = if persistent { text.to_string() } else { without_persistent(text) };
            let recipe = recipe(&text, &overrides);
            let mut teacher = teacher(&recipe, 11);
            let Iteration { report, snapshot } = iteration(&mut teacher);
            (recipe, teacher, snapshot, report.energy_model.unwrap())
        };
        let (recipe, teacher, chain, _) = run("chain", false);
        assert_eq!(chain.negatives, chain.x_tilde);

        let (_, _, generator, raw_energy) = run("generator", false);
        assert_eq!(generator.x_tilde, chain.x_tilde, "the choice concerns the EBM alone");
        let z = rows(&generator.z, recipe.latent(), &Device::flex());
        let updated = teacher.networks().generator.as_ref().unwrap().constant().forward(z, Normalise::Batch);
        assert_eq!(generator.negatives, read(updated.value).unwrap());

        let (_, _, fresh, fresh_energy) = run("fresh", false);
        assert_ne!(fresh.negatives, chain.negatives);
        assert_ne!(fresh.negatives, generator.negatives);
        // A hot chain may go uphill; at the image recipe's temperature it does not.
        let downhill = fresh_energy < raw_energy;
        assert!(downhill || recipe.temperature() > 0.5);

        let len: usize = recipe.data_len();
        let own = recipe.teaching.batch * 3 / 4 * len;
        for (choice, alone) in [("chain", &chain), ("generator", &generator), ("fresh", &fresh)] {
            let (_, _, with, _) = run(choice, true);
            assert_eq!(with.negatives.len(), alone.negatives.len());
            assert_eq!(with.negatives[..own], alone.negatives[..own]);
            assert_ne!(with.negatives[own..], alone.negatives[own..]);
        }
    }
}

fn without_persistent(text: &str) -> String {
    text.lines().filter(|l| !l.starts_with("persistent")).map(|l| format!("{l}\n")).collect()
}

/// Where there is nothing that only burn can do, the z-chain in burn is the executors' z-chain.
#[test]
fn both_ways_to_run_the_z_chain_give_the_same_chain() {
    let run = |way| {
        let mut teacher = teacher(&recipe(POINTS, &[("z_chain.batch_norm", way)]), 3);
        iterate(&mut teacher)
    };
    let (start, batch) = (run("start"), run("batch"));
    let close = |a: &[f32], b: &[f32]| {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).for_each(|(a, b)| assert!((a - b).abs() <= 1e-4 * a.abs().max(1.0), "{a} {b}"));
    };
    assert_eq!(start.z_0, batch.z_0);
    close(&start.z_tilde, &batch.z_tilde);
    close(&start.z_trace.values, &batch.z_trace.values);

    // With batch norm they are two chains from one start.
    let run = |way| {
        let mut teacher = teacher(&recipe(IMAGES, &[("z_chain.batch_norm", way)]), 3);
        iterate(&mut teacher)
    };
    let (start, batch) = (run("start"), run("batch"));
    assert_eq!(start.z_0, batch.z_0);
    let rows = |i: &Snapshot| i.z_trace.values[..8].to_vec();
    close(&rows(&start), &rows(&batch));
    assert_ne!(start.z_tilde, batch.z_tilde);
}

#[test]
fn the_z_chain_starts_where_the_recipe_says() {
    let start = |kind| {
        let recipe = recipe(POINTS, &[("z_chain.start", kind), ("data.noise", "0")]);
        let mut teacher = teacher(&recipe, 3);
        let x = rows(&batch(&recipe, 0).values, 2, &Device::flex());
        let posterior =
            teacher.networks().encoder.as_ref().unwrap().constant().forward(x, Normalise::Batch).value;
        (iterate(&mut teacher).z_0, read(posterior).unwrap())
    };
    let (z, posterior) = start("mean");
    assert_eq!(z, posterior.chunks(4).flat_map(|row| row[..2].to_vec()).collect::<Vec<_>>());
    let (z, _) = start("prior");
    assert_eq!(z, Noise::new(3, Stream::Start).normal_rows(0, 32, 2, 0));
    let (z, posterior) = start("encoder");
    let noise = Noise::new(3, Stream::Encoder).normal_rows(0, 32, 2, 0);
    for i in 0..64 {
        let row = &posterior[i / 2 * 4..][..4];
        let expected = row[i % 2] + (0.5 * row[2 + i % 2]).exp() * noise[i];
        assert!((z[i] - expected).abs() < 1e-6);
    }
}

#[test]
fn the_average_leaves_the_generator_alone_and_is_what_is_exported() {
    let run = |decay| {
        let mut teacher = teacher(&recipe(IMAGES, &[("ema.generator", decay)]), 3);
        let reports = steps(&mut teacher, 4);
        let model = teacher.model().unwrap();
        (reports, model, teacher)
    };
    let (with, averaged, teacher) = run("0.9");
    let (without, plain, _) = run("0");
    assert_eq!(with, without, "an average is never looked at in training");
    assert_eq!(averaged.energy, plain.energy);
    assert_eq!(averaged.encoder, plain.encoder);
    assert_ne!(averaged.generator, plain.generator);

    // Exporting estimates statistics: the training state must not notice.
    let before = teacher.record().unwrap();
    teacher.model().unwrap();
    assert_eq!(teacher.record().unwrap(), before);
}

/// With the statistics of many prior samples, the folded generator gives what the generator gives
/// on a large batch.
#[test]
fn the_exported_generator_gives_the_generators_images() {
    let recipe = recipe(IMAGES, &[("ema.generator", "0"), ("export.statistics_batches", "400")]);
    let mut teacher = teacher(&recipe, 3);
    steps(&mut teacher, 3);
    let model = teacher.model().unwrap();
    let bytes = model.to_bytes(Precision::F32).unwrap();
    assert_eq!(Model::from_bytes(&bytes).unwrap(), model);

    let z = Noise::new(5, Stream::Start).normal_rows(0, 3000, 6, 0);
    let device = Device::flex();
    let batch = teacher
        .networks()
        .generator
        .as_ref()
        .unwrap()
        .constant()
        .forward(rows(&z, 6, &device), Normalise::Batch);
    let batch = read(batch.value).unwrap();
    let generator = model.generator.unwrap();
    let executor: cpu::Evaluator = cpu::Evaluator::new(&generator.network, &generator.weights).unwrap();
    let folded = executor.forward(&z);
    let square = |v: f32| f64::from(v) * f64::from(v);
    let difference: f64 = folded.iter().zip(&batch).map(|(a, b)| square(a - b)).sum();
    let norm: f64 = batch.iter().map(|b| square(*b)).sum();
    // Both are estimates from 3,000 samples of a few positions each.
    assert!((difference / norm).sqrt() < 0.03, "{}", (difference / norm).sqrt());
}

#[test]
fn a_run_can_go_on_with_another_seed_and_a_lower_energy_rate() {
    let recipe = recipe(POINTS, &[("schedule.constant", "1.0")]);
    let mut teacher = teacher(&recipe, 3);
    let full = steps(&mut teacher, 1)[0].rates;
    let blobs = teacher.record().unwrap();
    let same = steps(&mut teacher, 1);
    teacher.restore(&blobs).unwrap();
    teacher.reseed(4);
    teacher.lower_energy_rate(0.5);
    let other = steps(&mut teacher, 1);
    assert_ne!(same, other);
    assert_eq!(other[0].rates.energy, 0.5 * full.energy);
    assert_eq!(other[0].rates.generator, full.generator);
    let blobs = teacher.record().unwrap();
    let mut resumed = small::teacher(&recipe, 3);
    resumed.restore(&blobs).unwrap();
    assert_eq!(resumed.seed(), 4);
    assert_eq!(steps(&mut resumed, 2), steps(&mut teacher, 2));
}

#[test]
fn damaged_and_foreign_checkpoints_are_refused_and_change_nothing() {
    let recipe = recipe(POINTS, &[]);
    let mut teacher = teacher(&recipe, 3);
    steps(&mut teacher, 2);
    let blobs = teacher.record().unwrap();
    let mut refuse = |blobs: &[(String, Vec<u8>)], expected: &str| {
        let before = teacher.record().unwrap();
        match teacher.restore(blobs) {
            Err(TeachingError::Checkpoint(reason)) => assert!(reason.contains(expected), "{reason}"),
            other => panic!("{other:?}"),
        }
        assert_eq!(teacher.record().unwrap(), before);
    };
    for missing in 0..blobs.len() {
        let mut rest = blobs.clone();
        let (name, _) = rest.remove(missing);
        refuse(&rest, &name);
        for len in [0, 7, 20, blobs[missing].1.len() - 1] {
            let mut cut = blobs.clone();
            cut[missing].1.truncate(len);
            refuse(&cut, &name);
        }
    }
    let wide = [("generator.layers.0.out_features", "16"), ("generator.layers.2.in_features", "16")];
    let mut other = small::teacher(&small::recipe(POINTS, &wide), 3);
    refuse(&other.record().unwrap(), "generator.0.weight");
    assert!(other.restore(&blobs).is_err());
}

#[test]
fn a_batch_of_another_size_is_an_error() {
    let mut teacher = teacher(&recipe(POINTS, &[]), 3);
    let batch = Batch { samples: vec![0; 32], values: vec![0.0; 10] };
    let error = teacher.step(&batch).unwrap_err().to_string();
    assert!(error.contains("64") && error.contains("10"), "{error}");
}

/// Means of the last reports say that the iteration teaches: on data of two narrow modes the
/// generator's reconstructions get better.
#[test]
fn teaching_teaches() {
    let recipe = recipe(POINTS, &[("schedule.iterations", "300"), ("schedule.constant", "1.0")]);
    let mut teacher = teacher(&recipe, 3);
    let data: Vec<f32> = (0..64).map(|i| if i / 2 % 2 == 0 { 1.0 } else { -1.0 }).collect();
    let data = small::batch_of(&recipe, data);
    let errors: Vec<f32> =
        (0..300).map(|_| teacher.step(&data).unwrap().generator_data_error.unwrap()).collect();
    let mean = |x: &[f32]| x.iter().sum::<f32>() / x.len() as f32;
    let (first, last) = (mean(&errors[..10]), mean(&errors[290..]));
    assert!(last < 0.1 * first, "{first} {last}");
}

/// Langevin loops leak easily: a graph that outlives its step would grow by megabytes here.
#[cfg(target_os = "linux")]
#[test]
fn training_costs_no_more_memory_with_more_steps() {
    let resident = || {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
    };
    let recipe: Recipe = recipe(IMAGES, &[("z_chain.batch_norm", "batch")]);
    let mut teacher = teacher(&recipe, 3);
    steps(&mut teacher, 60);
    let before = resident();
    steps(&mut teacher, 240);
    let grown = resident().saturating_sub(before);
    // Other tests of this file run beside this one; a leaked graph holds about 1 MB an iteration.
    assert!(grown < 100 << 20, "{} MiB", grown >> 20);
}

#[test]
fn tensors_of_the_networks_are_not_tracked_between_iterations() {
    let mut teacher = teacher(&recipe(IMAGES, &[]), 3);
    steps(&mut teacher, 2);
    let networks = teacher.networks();
    for network in [&networks.energy, &networks.generator, &networks.encoder].into_iter().flatten() {
        let state: Vec<(String, Tensor<1>)> = network.state();
        for (name, tensor) in state {
            assert!(!tensor.is_autodiff(), "{name} holds a graph");
        }
    }
}

/// The recipe without some of its sections, with others changed.
fn without(text: &str, sections: &[&str], overrides: &[(&str, &str)]) -> Recipe {
    let mut table: toml::Table = text.parse().unwrap();
    for section in sections {
        let mut place = &mut table;
        let mut parts: Vec<&str> = section.split('.').collect();
        let last = parts.pop().unwrap();
        for part in parts {
            place = place.get_mut(part).unwrap().as_table_mut().unwrap();
        }
        place.remove(last).unwrap();
    }
    recipe(&toml::to_string(&table).unwrap(), overrides)
}

/// Three iterations of a baseline, its resume, and its model.
fn train_baseline(recipe: &Recipe) -> (Report, Model) {
    let mut whole = teacher(recipe, 5);
    let mut resumed = teacher(recipe, 77);
    steps(&mut whole, 1);
    resumed.restore(&whole.record().unwrap()).unwrap();
    let reports = steps(&mut whole, 2);
    assert_eq!(reports, steps(&mut resumed, 2), "{}", recipe.name);
    assert_eq!(whole.record().unwrap(), resumed.record().unwrap());
    let model = whole.model().unwrap();
    let bytes = model.to_bytes(Precision::F32).unwrap();
    assert_eq!(Model::from_bytes(&bytes).unwrap(), model);
    (reports[1].clone(), model)
}

#[test]
fn cooperative_learning_has_no_encoder() {
    for text in [POINTS, IMAGES] {
        let recipe = without(text, &["encoder", "optimiser.encoder", "z_chain"], &[]);
        let (report, model) = train_baseline(&recipe);
        assert!(report.energy_gap().is_some() && report.generator_ebm_error.is_some());
        assert!(report.generator_data_error.is_none() && report.encoder_model_loss.is_none());
        assert!(report.z_chain_error.is_none());
        assert!(model.encoder.is_none() && model.chains.z.is_none() && model.chains.x.is_some());
    }
}

#[test]
fn without_an_energy_the_generator_learns_from_data_alone() {
    let none = ["energy", "optimiser.energy", "x_chain"];
    for (text, extra) in [(POINTS, Some("teaching.persistent")), (IMAGES, None)] {
        let none: Vec<&str> = none.iter().copied().chain(extra).collect();
        let (report, model) = train_baseline(&without(text, &none, &[]));
        assert!(report.energy_gap().is_none() && report.generator_ebm_error.is_none());
        assert!(report.displacement.is_none());
        // The encoder learns from the generator's own samples, too.
        assert!(report.generator_data_error.is_some() && report.encoder_model_loss.is_some());
        assert!(model.energy.is_none() && model.chains.x.is_none());
    }
}

#[test]
fn without_a_generator_the_energys_chains_start_elsewhere() {
    let none = ["generator", "optimiser.generator", "encoder", "optimiser.encoder", "z_chain"];
    for (text, start) in [(POINTS, "noise"), (POINTS, "data"), (IMAGES, "noise"), (IMAGES, "data")] {
        let recipe = without(text, &none, &[("x_chain.start", start)]);
        let (report, model) = train_baseline(&recipe);
        assert!(report.energy_gap().is_some() && report.x_chain_energy.is_some());
        assert!(report.generator_ebm_error.is_none() && report.generator_data_error.is_none());
        assert!(model.generator.is_none() && model.encoder.is_none());
        let mut teacher = teacher(&recipe, 3);
        let snapshot = iterate(&mut teacher);
        // Persistent chains take the place of others: none runs for nothing.
        let own = recipe.teaching.batch - if text == POINTS { 8 } else { 0 };
        assert_eq!(snapshot.x_hat.len(), own * recipe.data_len());
        assert_eq!(snapshot.negatives.len(), recipe.teaching.batch * recipe.data_len());
        if start == "data" && text == IMAGES {
            assert_eq!(snapshot.x_hat, batch(&recipe, 0).values);
        } else if start == "noise" && text == IMAGES {
            assert!(snapshot.x_hat.iter().all(|v| (-1.0..=1.0).contains(v)));
        }
    }
}

#[test]
fn a_generator_can_learn_from_kept_latents_alone() {
    let none = ["encoder", "optimiser.encoder", "energy", "optimiser.energy", "x_chain"];
    let recipe = without(IMAGES, &none, &[("z_chain.start", "kept")]);
    train_baseline(&recipe);
    let mut teacher = teacher(&recipe, 3);
    let data = batch(&recipe, 0);
    let mut visit = |samples: std::ops::Range<usize>| {
        let batch = Batch { samples: samples.collect(), values: data.values.clone() };
        pollster::block_on(teacher.iterate(&batch, Gradients::Drop)).unwrap().snapshot
    };
    let first = visit(0..8);
    let other = visit(8..16);
    assert_ne!(first.z_0, other.z_0);
    assert_eq!(visit(0..8).z_0, first.z_tilde);
    assert_eq!(visit(8..16).z_0, other.z_tilde);
}

#[test]
fn running_statistics_can_carry_the_z_chain() {
    let run = |way| {
        let mut teacher = teacher(&recipe(IMAGES, &[("z_chain.batch_norm", way)]), 3);
        let first = iterate(&mut teacher);
        (first, iterate(&mut teacher))
    };
    let ((start, _), (running, second)) = (run("start"), run("running"));
    assert_eq!(start.z_0, running.z_0);
    assert_ne!(start.z_tilde, running.z_tilde);
    assert!(second.z_tilde.iter().all(|v| v.is_finite()));
}

/// Where the singular vectors have converged, iterating them at each step changes nothing; where
/// they have not, it does.
#[test]
fn spectral_norms_can_move_along_the_chain() {
    let run = |way, warm: usize, negatives| {
        let overrides = [("x_chain.spectral_iteration", way), ("teaching.negatives", negatives)];
        let mut teacher = teacher(&recipe(IMAGES, &overrides), 3);
        for _ in 0..warm {
            teacher.networks_mut().energy.as_mut().unwrap().iterate_spectral_norms();
        }
        let Iteration { report, snapshot } = iteration(&mut teacher);
        assert!(report.energy_loss.unwrap().is_finite());
        (snapshot, teacher)
    };
    for negatives in ["chain", "fresh"] {
        let ((once, _), (each, _)) = (run("once", 2000, negatives), run("each_step", 2000, negatives));
        assert_eq!(once.x_hat, each.x_hat);
        let off = once.negatives.iter().zip(&each.negatives).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(off < 1e-4, "{off}");
        assert_eq!(once.x_trace.values.len(), each.x_trace.values.len());
        let ((cold, a), (moving, b)) = (run("once", 0, negatives), run("each_step", 0, negatives));
        assert_ne!(cold.x_tilde, moving.x_tilde);
        let state = |t: &Teacher| t.networks().energy.as_ref().unwrap().state();
        let u = |t: &Teacher| read(state(t).into_iter().find(|(n, _)| n == "3.weight.u").unwrap().1).unwrap();
        assert_ne!(u(&a), u(&b));
    }
}

#[test]
fn mala_reports_its_acceptance() {
    let recipe =
        recipe(POINTS, &[("x_chain.mala", "true"), ("x_chain.step_size", "4"), ("x_chain.noise", "4")]);
    let mut teacher = teacher(&recipe, 3);
    let report = &steps(&mut teacher, 2)[1];
    let acceptance = report.x_chain_acceptance.unwrap();
    assert!((0.0..1.0).contains(&acceptance), "{acceptance}");
    assert!(teacher.model().unwrap().chains.x.unwrap().langevin.mala);
}

#[test]
fn the_energys_average_is_what_is_exported() {
    let run = |decay| {
        let mut teacher = teacher(&recipe(IMAGES, &[("ema.energy", decay), ("ema.generator", "0")]), 3);
        let reports = steps(&mut teacher, 4);
        (reports, teacher.model().unwrap(), teacher)
    };
    let ((with, averaged, teacher), (without, plain, _)) = (run("0.9"), run("0"));
    assert_eq!(with, without, "an average is never looked at in training");
    assert_eq!(averaged.generator, plain.generator);
    assert_ne!(averaged.energy, plain.energy);
    // It is spectrally normalised, too: no weight stretches anything.
    let before = teacher.record().unwrap();
    let energy = averaged.energy.unwrap();
    let first = &energy.weights[energy.network.parameters()[0].range()];
    let mut norm = SpectralNorm::new(&[1.0; 8], &[1.0; 9], &Device::flex());
    let flat = Tensor::<1>::from_floats(first, &Device::flex());
    (0..500).for_each(|_| norm.iterate(&flat));
    let sigma = read(norm.sigma(flat)).unwrap()[0];
    assert!((sigma - 1.0).abs() < 1e-2, "{sigma}");
    let mut other = small::teacher(teacher.recipe(), 9);
    other.restore(&before).unwrap();
    assert_eq!(other.record().unwrap(), before);
}
