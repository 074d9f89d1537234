//! Whole random networks against the plain CPU kernels, as DESIGN's "agree" has it.

use crate::random_network::{Choices, image_energy, image_generator, vector_energy};
use crate::{agreeing_rows, gpu};
use dual_mcmc::cpu::Evaluator;
use dual_mcmc::gpu::{EnergyGradient, Forward, InputGradient};
use dual_mcmc::model::Weighted;
use pollster::block_on;

const BATCH: usize = 5;
const TOLERANCE: f64 = 1e-4;

fn inputs(weighted: &Weighted, seed: u64) -> Vec<f32> {
    Choices::new(seed ^ 0xABCD).normals(BATCH * weighted.network.input_len(), 1.0)
}

/// Samples whose energy and gradient agree.
fn agreeing(energy: &Weighted, seed: u64) -> usize {
    let Some(gpu) = gpu() else { return BATCH };
    let x = inputs(energy, seed);
    let twin = Evaluator::<f32>::twin(&energy.network, &energy.weights).unwrap();
    let (expected, expected_gradients) = twin.energy_and_gradient(&x);
    let mut executor = EnergyGradient::new(gpu, energy, BATCH).unwrap();
    let (energies, gradients) = block_on(executor.energy_and_gradient(&x)).unwrap();
    let mean_square = expected.iter().map(|&e| f64::from(e).powi(2)).sum::<f64>() / BATCH as f64;
    let len = energy.network.input_len();
    (0..BATCH)
        .filter(|&i| {
            let (a, b) = (f64::from(energies[i]), f64::from(expected[i]));
            let row = i * len..(i + 1) * len;
            (a - b).abs() <= TOLERANCE * b.abs().max(mean_square.sqrt())
                && agreeing_rows(&gradients[row.clone()], &expected_gradients[row], len, TOLERANCE) == 1
        })
        .count()
}

#[test]
fn smooth_energies_agree_on_every_sample() {
    for seed in 0..12 {
        assert_eq!(agreeing(&image_energy(seed, true), seed), BATCH, "image energy {seed}");
        assert_eq!(agreeing(&vector_energy(seed, true), seed), BATCH, "vector energy {seed}");
    }
}

/// An activation at its kink may flip a sample's gradient, so one in ten may differ.
#[test]
fn kinked_energies_agree_on_nearly_every_sample() {
    let networks = 12;
    let agreed: usize = (0..networks)
        .map(|seed| agreeing(&image_energy(seed, false), seed) + agreeing(&vector_energy(seed, false), seed))
        .sum();
    let samples = 2 * networks as usize * BATCH;
    assert!(10 * agreed >= 9 * samples, "{agreed} of {samples}");
}

#[test]
fn generators_agree() {
    let Some(gpu) = gpu() else { return };
    for seed in 0..12 {
        let generator = image_generator(seed, true);
        let x = inputs(&generator, seed);
        let twin = Evaluator::<f32>::twin(&generator.network, &generator.weights).unwrap();
        let y = block_on(Forward::new(gpu, &generator, BATCH).unwrap().run(&x)).unwrap();
        assert_eq!(agreeing_rows(&y, &twin.forward(&x), twin.output_len(), TOLERANCE), BATCH);
        let grad_y = Choices::new(seed).normals(y.len(), 1.0);
        let mut executor = InputGradient::new(gpu, &generator, BATCH).unwrap();
        let gradient = block_on(executor.run(&x, &grad_y)).unwrap();
        let expected = twin.input_gradient(&x, &grad_y);
        assert_eq!(agreeing_rows(&gradient, &expected, twin.input_len(), TOLERANCE), BATCH);
    }
}

#[test]
fn a_short_batch_gives_the_first_rows() {
    let Some(gpu) = gpu() else { return };
    let energy = image_energy(3, true);
    let (x, len) = (inputs(&energy, 3), energy.network.input_len());
    let mut executor = EnergyGradient::new(gpu, &energy, BATCH).unwrap();
    let (energies, gradients) = block_on(executor.energy_and_gradient(&x)).unwrap();
    let (first, first_gradients) = block_on(executor.energy_and_gradient(&x[..2 * len])).unwrap();
    assert_eq!(first, energies[..2]);
    assert_eq!(first_gradients, gradients[..2 * len]);
}

#[test]
fn new_weights_replace_the_old() {
    let Some(gpu) = gpu() else { return };
    let old = vector_energy(1, true);
    let mut new = old.clone();
    new.weights.iter_mut().for_each(|w| *w *= -0.7);
    let x = inputs(&old, 1);
    let mut changed = Forward::new(gpu, &old, BATCH).unwrap();
    let before = block_on(changed.run(&x)).unwrap();
    changed.set_weights(&new.weights).unwrap();
    let after = block_on(changed.run(&x)).unwrap();
    assert_ne!(before, after);
    assert_eq!(after, block_on(Forward::new(gpu, &new, BATCH).unwrap().run(&x)).unwrap());
}

/// More workgroups than one dimension holds: 65,535 · 64 elements is just below 4.2 million.
#[test]
fn long_batches_are_folded_into_two_dimensions() {
    let Some(gpu) = gpu() else { return };
    use dual_mcmc::network::{Layer, Network};
    let network = Network { input: vec![5], layers: vec![Layer::LeakyRelu { slope: 0.5 }], reference: None };
    let weighted = Weighted { network, weights: Vec::new() };
    let rows = 1_000_003;
    let x: Vec<f32> = (0..5 * rows).map(|i| i as f32 - 2.5e6).collect();
    let y = block_on(Forward::new(gpu, &weighted, rows).unwrap().run(&x)).unwrap();
    assert!(x.iter().zip(&y).all(|(&x, &y)| y == if x < 0.0 { 0.5 * x } else { x }));
}
