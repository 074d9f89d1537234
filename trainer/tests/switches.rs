//! The switches of a recipe that a study turns, one at a time: each does what it says, and nothing else.

#![allow(clippy::unwrap_used)]

mod small;

use burn::tensor::{Device, Tensor};
use dual_mcmc_trainer::networks::{Normalise, read, rows};
use dual_mcmc_trainer::recipe::Recipe;
use dual_mcmc_trainer::teaching::losses::{encoder_loss, generator_loss};
use dual_mcmc_trainer::teaching::{Batch, Gradients, Iteration, Teacher};
use small::{IMAGES, POINTS, batch, recipe, teacher};

/// What is left of an image recipe without a generator and an encoder: the x-chain starts at the batch.
const ENERGY_ALONE: [&str; 5] =
    ["generator", "encoder", "z_chain", "optimiser.generator", "optimiser.encoder"];

fn energy_alone(overrides: &[(&str, &str)]) -> Recipe {
    let mut table: toml::Table = IMAGES.parse().unwrap();
    for section in ENERGY_ALONE {
        match section.split_once('.') {
            Some((outer, inner)) => table[outer].as_table_mut().unwrap().remove(inner),
            None => table.remove(section),
        };
    }
    recipe(&toml::to_string(&table).unwrap(), &[&[("x_chain.start", "data")], overrides].concat())
}

fn iterate(teacher: &mut Teacher, batch: &Batch) -> Iteration {
    pollster::block_on(teacher.iterate(batch, Gradients::Keep)).unwrap()
}

/// The first iteration of a recipe.
fn first(recipe: &Recipe) -> Iteration {
    iterate(&mut teacher(recipe, 3), &batch(recipe, 0))
}

fn flat(gradients: &[Tensor<1>]) -> Vec<f32> {
    gradients.iter().flat_map(|g| read(g.clone()).unwrap()).collect()
}

fn norm(values: &[f32]) -> f64 {
    values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt()
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let off: Vec<f32> = found.iter().zip(expected).map(|(a, b)| a - b).collect();
    assert!(norm(expected) > 0.0 && norm(&off) <= 1e-5 * norm(expected), "{what}: {} off", norm(&off));
}

/// Generator and encoder learn along the gradient of the one term that is left.
#[test]
fn a_weight_of_zero_leaves_the_other_teacher_alone() {
    for text in [POINTS, IMAGES] {
        for silent in ["lambda_data", "lambda_ebm"] {
            // Noise on the data is drawn inside the iteration.
            let recipe = recipe(text, &[(&format!("teaching.{silent}"), "0"), ("data.noise", "0")]);
            let mut teacher = teacher(&recipe, 3);
            let before = teacher.networks().clone();
            let data = batch(&recipe, 0);
            let Iteration { report, snapshot } = iterate(&mut teacher, &data);
            // Both are reported, whichever teaches.
            assert!(report.generator_data_error.unwrap() > 0.0 && report.generator_ebm_error.unwrap() > 0.0);

            let vectors = |values: &[f32], len| rows(values, len, &Device::flex());
            let (latent, len) = (recipe.latent(), recipe.data_len());
            let x = vectors(&data.values, len);
            let (z, z_tilde) = (vectors(&snapshot.z, latent), vectors(&snapshot.z_tilde, latent));
            let x_tilde = vectors(&snapshot.x_tilde, len);
            let by_data = silent == "lambda_ebm";

            let tape = before.generator.as_ref().unwrap().taped();
            let term =
                |z, wanted: &Tensor<2>| Some((tape.forward(z, Normalise::Batch).value, wanted.clone()));
            let loss = match by_data {
                true => generator_loss(term(z_tilde.clone(), &x), None, &recipe.teaching),
                false => generator_loss(None, term(z.clone(), &x_tilde), &recipe.teaching),
            };
            let expected = tape.gradients(&mut loss.unwrap().total.backward());
            assert_close(
                &flat(&snapshot.gradients[0]),
                &flat(&expected),
                &format!("generator, {silent} = 0"),
            );

            let tape = before.encoder.as_ref().unwrap().taped();
            let mut of_data = None;
            if by_data {
                of_data = Some((z_tilde, tape.forward(x, Normalise::Batch).value));
            }
            let of_model = Some((z, tape.forward(x_tilde, Normalise::Batch).value));
            let loss = encoder_loss(of_data, of_model, &recipe.teaching).unwrap();
            let expected = tape.gradients(&mut loss.total.backward());
            assert_close(&flat(&snapshot.gradients[1]), &flat(&expected), &format!("encoder, {silent} = 0"));
        }
    }
}

#[test]
fn flipped_images_are_mirrored_left_to_right_at_random() {
    let recipe = energy_alone(&[("data.flip", "true")]);
    let mut teacher = teacher(&recipe, 3);
    let data = batch(&recipe, 0);
    // The x-chain starts at the data, as they are after flips and noise.
    let choices = [(); 4].map(|()| {
        let seen = iterate(&mut teacher, &data).snapshot.x_hat;
        let flipped = |(seen, image): (&[f32], &[f32])| {
            let mirrored: Vec<f32> = image.chunks(8).flat_map(|line| line.iter().rev().copied()).collect();
            assert!(seen == image || seen == mirrored, "another image");
            seen == mirrored
        };
        seen.chunks(64).zip(data.values.chunks(64)).map(flipped).collect::<Vec<bool>>()
    });
    assert_eq!(choices[0].len(), 8);
    let flips = choices.iter().flatten().filter(|flipped| **flipped).count();
    assert!((6..=26).contains(&flips), "{flips} of 32");
    assert_ne!(choices[0], choices[1], "drawn anew each iteration");
}

#[test]
fn data_noise_has_its_deviation_and_is_drawn_anew() {
    let recipe = energy_alone(&[("data.noise", "0.3")]);
    let mut teacher = teacher(&recipe, 3);
    let data = batch(&recipe, 0);
    let [first, second] = [(); 2].map(|()| {
        let seen = iterate(&mut teacher, &data).snapshot.x_hat;
        seen.iter().zip(&data.values).map(|(seen, x)| seen - x).collect::<Vec<f32>>()
    });
    assert_ne!(first, second);
    let all = [first, second].concat();
    let mean = all.iter().sum::<f32>() / all.len() as f32;
    let deviation = norm(&all) / (all.len() as f64).sqrt();
    // 1,024 draws: five standard errors.
    assert!(mean.abs() < 0.05 && (deviation - 0.3).abs() < 0.034, "{mean} {deviation}");
}

/// Adam's first moment, without memory, is the gradient that it was given.
#[test]
fn the_energys_gradient_is_clipped_as_a_whole() {
    let given = |clip: Option<f64>| {
        let mut recipe = recipe(POINTS, &[("optimiser.energy.beta1", "0")]);
        recipe.optimiser.energy.as_mut().unwrap().clip = clip.map(|clip| clip as f32);
        let mut teacher = teacher(&recipe, 3);
        let gradient = flat(&iterate(&mut teacher, &batch(&recipe, 0)).snapshot.gradients[2]);
        let record = teacher.record().unwrap();
        let (_, bytes) = record.iter().find(|(name, _)| name == "optimisers.safetensors").unwrap();
        let file = safetensors::SafeTensors::deserialize(bytes).unwrap();
        let names = teacher.networks().energy.as_ref().unwrap().names();
        let moments = names.iter().flat_map(|name| {
            let tensor = file.tensor(&format!("energy.{}.moment_1", name.path)).unwrap();
            tensor.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect::<Vec<_>>()
        });
        (gradient, moments.collect::<Vec<f32>>())
    };
    let (gradient, whole) = given(None);
    assert_close(&whole, &gradient, "without a limit");
    let limit = 0.25 * norm(&gradient);
    let (same, clipped) = given(Some(limit));
    assert_eq!(same, gradient);
    let expected: Vec<f32> = gradient.iter().map(|g| 0.25 * g).collect();
    assert_close(&clipped, &expected, "at a quarter of the norm");
    assert_close(&given(Some(4.0 * limit * 1.1)).1, &gradient, "above the norm");
}

/// On the executors and in burn, where the recipe sends a chain there.
#[test]
fn clamps_hold_in_the_chains_of_training() {
    let in_burn = [("x_chain.spectral_iteration", "each_step"), ("z_chain.batch_norm", "batch")];
    let largest = |values: &[f32]| values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    for way in [&[][..], &in_burn] {
        let run = |overrides: &[(&str, &str)]| first(&recipe(IMAGES, &[way, overrides].concat())).snapshot;
        let free = run(&[]);
        let range = [("x_chain.range_clamp", "[-0.2, 0.2]"), ("z_chain.range_clamp", "[-0.3, 0.3]")];
        let within = run(&range);
        assert!(largest(&free.x_tilde) > 0.2 && largest(&free.z_tilde) > 0.3);
        assert_eq!((largest(&within.x_tilde), largest(&within.z_tilde)), (0.2, 0.3));

        // One step with next to no noise moves each element by ½ s² of its gradient.
        let step = [
            ("x_chain.steps", "1"),
            ("x_chain.step_size", "1"),
            ("x_chain.noise", "1e-6"),
            ("z_chain.steps", "1"),
            ("z_chain.step_size", "0.1"),
            ("z_chain.noise", "1e-6"),
        ];
        let moves = |clamps: &[(&str, &str)]| {
            let snapshot = run(&[&step, clamps].concat());
            let moved = |from: &[f32], to: &[f32]| {
                largest(&from.iter().zip(to).map(|(a, b)| b - a).collect::<Vec<_>>())
            };
            [moved(&snapshot.x_hat, &snapshot.x_tilde), moved(&snapshot.z_0, &snapshot.z_tilde)]
        };
        let ([x, z], clamps) = (moves(&[]), ["0.001", "0.5"]);
        assert!(x > 0.0005 * 1.1 && z > 0.0025 * 1.1, "{x} {z}");
        let [x, z] = moves(&[("x_chain.gradient_clamp", clamps[0]), ("z_chain.gradient_clamp", clamps[1])]);
        assert!((x - 0.0005).abs() < 1e-5 && (z - 0.0025).abs() < 1e-5, "{x} {z}");
    }
}

/// Either way of computing the chains can be forced, and gives the same ones.
#[test]
fn both_engines_run_the_same_chains() {
    for text in [POINTS, IMAGES] {
        let [a, b] = ["executor", "burn"].map(|engine| {
            first(&recipe(text, &[("x_chain.engine", engine), ("z_chain.engine", engine)])).snapshot
        });
        let moved = |ends: &[f32], start: &[f32]| -> Vec<f32> {
            ends.iter().zip(start).map(|(e, s)| e - s).collect()
        };
        assert_eq!(a.x_hat, b.x_hat);
        assert_eq!(a.z_0, b.z_0);
        for (what, start, ends) in
            [("x-chain", &a.x_hat, [&a.x_tilde, &b.x_tilde]), ("z-chain", &a.z_0, [&a.z_tilde, &b.z_tilde])]
        {
            let [found, expected] = ends.map(|ends| moved(ends, start));
            let off = moved(&found, &expected);
            assert!(
                norm(&expected) > 0.0 && norm(&off) <= 1e-4 * norm(&expected),
                "{what}: {} off",
                norm(&off)
            );
        }
        // Sums are taken in another order, so that the two can be told apart by last digits of energies and errors.
        for (what, a, b) in [("x-chain", &a.x_trace, &b.x_trace), ("z-chain", &a.z_trace, &b.z_trace)] {
            assert_ne!(a.values, b.values, "{what}: computed twice in one way");
        }
    }
}

/// An engine that cannot compute a chain is refused, and so is one that is not there.
#[test]
fn engines_that_cannot_are_refused() {
    let wrong = [
        ("x_chain.engine", "executor", "x_chain.spectral_iteration", "each_step", "only burn"),
        ("z_chain.engine", "executor", "z_chain.batch_norm", "batch", "only burn"),
        ("x_chain.engine", "burn", "x_chain.mala", "true", "executor"),
    ];
    for (engine, which, key, value, reason) in wrong {
        let overrides = [(engine, which), (key, value)].map(|(k, v)| (k.to_string(), v.to_string()));
        let error = Recipe::parse_with(IMAGES, &overrides).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains("engine"), "{error}");
    }
    let recipe = recipe(POINTS, &[("z_chain.engine", "executor")]);
    let share = dual_mcmc_trainer::teaching::Share::whole(recipe.teaching.batch);
    let error = Teacher::replica(&recipe, &Device::flex(), None, share, 1).err().unwrap().to_string();
    assert!(error.contains("z_chain") && error.contains("engine"), "{error}");
}
