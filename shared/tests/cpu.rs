//! The CPU executor: gradients against finite differences, fast kernels against plain ones, and
//! the chains against laws that are known exactly.
#![allow(clippy::unwrap_used)]

mod random_network;

use dual_mcmc::chain::{ChainNoise, Langevin, TRACE_LEN};
use dual_mcmc::cpu::{Evaluator, XChain, ZChain};
use dual_mcmc::model::Weighted;
use dual_mcmc::network::{Layer, Network};
use dual_mcmc::noise::{Noise, Stream};
use random_network::{Choices, image_energy, image_generator, vector_energy};

const BATCH: usize = 3;

fn inputs(w: &Weighted, seed: u64) -> Vec<f32> {
    Choices::new(seed ^ 0xABCD).normals(BATCH * w.network.input_len(), 1.0)
}

/// Central differences of Σ cotangent·network(x) in f64, over every input element.
fn check_finite_differences(w: &Weighted, seed: u64) {
    let twin = Evaluator::<f64>::twin(&w.network, &w.weights).unwrap();
    let fast = Evaluator::<f64>::new(&w.network, &w.weights).unwrap();
    let x: Vec<f64> = inputs(w, seed).iter().map(|&v| f64::from(v)).collect();
    let outputs = BATCH * twin.output_len();
    let cotangent: Vec<f64> =
        Choices::new(seed ^ 0x77).normals(outputs, 1.0).iter().map(|&v| f64::from(v)).collect();
    let objective = |e: &Evaluator<f64>, x: &[f64]| -> f64 {
        e.forward(x).iter().zip(&cotangent).map(|(y, c)| y * c).sum()
    };
    for executor in [&twin, &fast] {
        let gradient = executor.input_gradient(&x, &cotangent);
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let mut difference = 0.0;
        for i in 0..x.len() {
            let h = 1e-5;
            let (mut up, mut down) = (x.clone(), x.clone());
            up[i] += h;
            down[i] -= h;
            let slope = (objective(executor, &up) - objective(executor, &down)) / (2.0 * h);
            difference += (slope - gradient[i]).powi(2);
        }
        assert!(difference.sqrt() <= 1e-6 * norm, "seed {seed}: {} of {norm}", difference.sqrt());
    }
}

#[test]
fn gradients_match_central_differences_on_smooth_networks() {
    for seed in 0..12 {
        check_finite_differences(&image_energy(seed, true), seed);
        check_finite_differences(&vector_energy(seed, true), seed);
        check_finite_differences(&image_generator(seed, true), seed);
    }
}

/// The kinked activations, away from their kinks.
#[test]
fn leaky_relu_has_its_two_slopes() {
    let network = Network { input: vec![4], layers: vec![Layer::LeakyRelu { slope: 0.2 }], reference: None };
    for executor in [Evaluator::<f64>::twin(&network, &[]).unwrap(), Evaluator::new(&network, &[]).unwrap()] {
        let y = executor.forward(&[-1.0, 2.0, -3.0, 0.0]);
        let expected = [-f64::from(0.2f32), 2.0, -3.0 * f64::from(0.2f32), 0.0];
        assert_eq!(y, expected);
        let g = executor.input_gradient(&[-1.0, 2.0, -3.0, 0.0], &[1.0; 4]);
        assert_eq!(g, [f64::from(0.2f32), 1.0, f64::from(0.2f32), f64::from(0.2f32)]);
    }
}

#[test]
fn fast_kernels_agree_with_the_plain_ones() {
    for seed in 0..40 {
        for smooth in [true, false] {
            for w in [image_energy(seed, smooth), vector_energy(seed, smooth), image_generator(seed, smooth)]
            {
                let x = inputs(&w, seed);
                let fast = Evaluator::<f32>::new(&w.network, &w.weights).unwrap();
                let twin = Evaluator::<f32>::twin(&w.network, &w.weights).unwrap();
                let (a, b) = (fast.forward(&x), twin.forward(&x));
                let scale = (b.iter().map(|v| v * v).sum::<f32>() / b.len() as f32).sqrt();
                for (a, b) in a.iter().zip(&b) {
                    assert!((a - b).abs() <= 1e-5 * b.abs().max(scale), "seed {seed}: {a} and {b}");
                }
                if !smooth {
                    continue; // an activation at its kink flips a gradient by far more
                }
                let ones = vec![1.0; b.len()];
                let (a, b) = (fast.input_gradient(&x, &ones), twin.input_gradient(&x, &ones));
                let norm = b.iter().map(|v| v * v).sum::<f32>().sqrt();
                let off = a.iter().zip(&b).map(|(a, b)| (a - b).powi(2)).sum::<f32>().sqrt();
                assert!(off <= 1e-5 * norm, "seed {seed}: gradient off by {off} of {norm}");
            }
        }
    }
}

#[test]
fn a_run_does_not_depend_on_threads_or_on_how_it_is_cut() {
    let w = image_energy(3, true);
    let (chains, n) = (7, w.network.input_len());
    let x = Choices::new(5).normals(chains * n, 1.0);
    let langevin = Langevin::new(0.1, 0.1);
    let run = |threads, cuts: &[u32], first: usize| {
        let mut chain = XChain::new(&w, chains - first, threads).unwrap();
        let noise = ChainNoise { first_chain: first as u32, ..ChainNoise::new(9, Stream::XChain) };
        chain.start(&x[first * n..], noise);
        cuts.iter().for_each(|&steps| chain.run(steps, &langevin));
        (chain.state().to_vec(), chain.trace())
    };
    let (state, trace) = run(1, &[6], 0);
    assert_eq!(trace.rows().len(), 7);
    assert_eq!(trace.first_step, 0);
    assert_eq!((state.clone(), trace.clone()), run(3, &[6], 0));
    assert_eq!((state.clone(), trace.clone()), run(2, &[1, 0, 2, 3], 0));
    // A part of the batch, told which part it is, runs as it does within the whole.
    assert_eq!(state[2 * n..], run(1, &[6], 2).0);
}

#[test]
fn chains_on_the_plain_kernels_are_the_same() {
    let w = image_energy(3, true);
    let x = Choices::new(5).normals(3 * w.network.input_len(), 1.0);
    let [fast, plain] = [false, true].map(|plain| {
        let chain = XChain::new(&w, 3, 1).unwrap();
        let mut chain = if plain { chain.with_plain_kernels() } else { chain };
        chain.start(&x, ChainNoise::new(9, Stream::XChain));
        chain.run(4, &Langevin::new(0.1, 0.1));
        chain.state().to_vec()
    });
    // Not to the last bit, which would mean that both ran on the same kernels.
    let nearly = |fast: &[f32], plain: &[f32]| {
        let apart = fast.iter().zip(plain).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart > 0.0 && apart < 1e-4, "{apart}");
    };
    nearly(&fast, &plain);

    let w = image_generator(3, true);
    let z = Choices::new(6).normals(3 * w.network.input_len(), 1.0);
    let data: usize = w.network.output().unwrap().iter().product();
    let x = Choices::new(7).normals(3 * data, 1.0);
    let [fast, plain] = [false, true].map(|plain| {
        let chain = ZChain::new(&w, 3, 1).unwrap();
        let mut chain = if plain { chain.with_plain_kernels() } else { chain };
        chain.set_target(&x, None, 1.0);
        chain.start(&z, ChainNoise::new(9, Stream::ZChain));
        chain.run(4, &Langevin::new(0.1, 0.1));
        chain.state().to_vec()
    });
    nearly(&fast, &plain);
}

#[test]
fn the_trace_is_a_ring() {
    let w = vector_energy(1, true);
    let mut chain = XChain::new(&w, 2, 1).unwrap();
    chain.start(&vec![0.0; 2 * w.network.input_len()], ChainNoise::new(1, Stream::XChain));
    chain.run(TRACE_LEN as u32 + 9, &Langevin::new(0.05, 0.05));
    let trace = chain.trace();
    assert_eq!(trace.rows().len(), TRACE_LEN);
    assert_eq!(trace.first_step, 10);
    let executor = Evaluator::<f32>::new(&w.network, &w.weights).unwrap();
    let current = executor.forward(chain.state());
    for (a, b) in trace.last().iter().zip(current) {
        assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0));
    }
}

#[test]
fn clamps_bound_the_gradient_and_the_state() {
    let langevin =
        Langevin { gradient_clamp: Some(1.0), range_clamp: Some([-1.0, 1.0]), ..Langevin::new(1.0, 0.0) };
    let mut state = [0.0, 0.0, 0.9, f32::NAN];
    langevin.update(&mut state, &[10.0, -0.5, -10.0, 0.0], &[0.0; 4]);
    assert_eq!(state[..3], [-0.5, 0.25, 1.0]);
    assert!(state[3].is_nan(), "a chain that has gone wrong shows it");
}

/// Zero network with the Gaussian reference, a = 1/τ²: the chain is x' = (1 - a s²/2) x + n ε, with
/// stationary variance T / (a (1 - a s²/4)).
#[test]
fn the_x_chain_has_its_stationary_variance() {
    let (chains, tau) = (4096, 2.0f32);
    let layers = vec![Layer::Linear { in_features: 2, out_features: 1, bias: true }];
    let network = Network { input: vec![2], layers, reference: Some(tau) };
    let w = Weighted { network, weights: vec![0.0; 3] };
    for (step_size, noise) in [(1.0f32, 1.0f32), (1.0, 0.1), (2.0, 1.0)] {
        let mut chain = XChain::new(&w, chains, 2).unwrap();
        let start = Noise::new(1, Stream::Start).normal_rows(0, chains, 2, 0);
        chain.start(&start, ChainNoise::new(3, Stream::XChain));
        chain.run(200, &Langevin::new(step_size, noise));
        let (a, s, n) = (f64::from(tau).powi(-2), f64::from(step_size), f64::from(noise));
        let expected = (n / s).powi(2) / (a * (1.0 - a * s * s / 4.0));
        let x = chain.state();
        let count = x.len() as f64;
        let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let variance = x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / count;
        // Five standard errors of the mean and of the variance of `count` independent normals.
        assert!(mean.abs() < 5.0 * (expected / count).sqrt(), "mean {mean}");
        let error = 5.0 * expected * (2.0 / count).sqrt();
        assert!((variance - expected).abs() < error, "variance {variance}, expected {expected}");
    }
}

/// MALA samples the target itself where the unadjusted chain is far off: here by a third.
#[test]
fn mala_has_the_targets_variance() {
    let (chains, tau) = (4096, 2.0f32);
    let layers = vec![Layer::Linear { in_features: 2, out_features: 1, bias: true }];
    let network = Network { input: vec![2], layers, reference: Some(tau) };
    let w = Weighted { network, weights: vec![0.0; 3] };
    for (step_size, noise) in [(2.0f32, 2.0f32), (2.0, 0.5)] {
        let mut chain = XChain::new(&w, chains, 2).unwrap();
        let start = Noise::new(1, Stream::Start).normal_rows(0, chains, 2, 0);
        chain.start(&start, ChainNoise::new(3, Stream::XChain));
        assert_eq!(chain.acceptance(), None);
        let langevin = Langevin { mala: true, ..Langevin::new(step_size, noise) };
        chain.run(200, &langevin);
        let expected = f64::from(tau * tau * langevin.temperature());
        let x = chain.state();
        let count = x.len() as f64;
        let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let variance = x.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / count;
        // Five standard errors, as above; the unadjusted chain has 4/3 of this variance.
        assert!(mean.abs() < 5.0 * (expected / count).sqrt(), "mean {mean}");
        let error = 5.0 * expected * (2.0 / count).sqrt();
        assert!((variance - expected).abs() < error, "variance {variance}, expected {expected}");
        let acceptance = chain.acceptance().unwrap();
        assert!((0.5..0.99).contains(&acceptance), "{acceptance}");
    }
}

#[test]
fn mala_does_not_depend_on_threads_or_on_how_it_is_cut() {
    let w = image_energy(3, true);
    let (chains, n) = (7, w.network.input_len());
    let x = Choices::new(5).normals(chains * n, 1.0);
    let langevin = Langevin { mala: true, ..Langevin::new(0.6, 0.6) };
    let run = |threads, cuts: &[u32]| {
        let mut chain = XChain::new(&w, chains, threads).unwrap();
        chain.start(&x, ChainNoise::new(9, Stream::XChain));
        cuts.iter().for_each(|&steps| chain.run(steps, &langevin));
        (chain.state().to_vec(), chain.trace(), chain.acceptance())
    };
    let whole = run(1, &[12]);
    assert_eq!(whole, run(3, &[12]));
    assert_eq!(whole, run(2, &[1, 0, 6, 5]));
    assert_eq!(whole.1.rows().len(), 13);
    let acceptance = whole.2.unwrap();
    assert!(acceptance > 0.0 && acceptance < 1.0, "{acceptance}");
    // Energies change exactly where a proposal was accepted.
    let rows: Vec<&[f32]> = whole.1.rows().collect();
    let moves = rows.windows(2).flat_map(|pair| pair[0].iter().zip(pair[1])).filter(|(a, b)| a != b).count();
    assert_eq!(moves as f32 / 84.0, acceptance);
}

#[test]
fn mala_takes_neither_clamps_nor_latents() {
    let mala = Langevin { mala: true, ..Langevin::new(0.1, 0.1) };
    assert!(mala.check().is_ok());
    for wrong in [
        Langevin { gradient_clamp: Some(1.0), ..mala },
        Langevin { range_clamp: Some([-1.0, 1.0]), ..mala },
        Langevin { noise: 0.0, ..mala },
    ] {
        assert!(wrong.check().unwrap_err().contains("MALA"));
    }
    assert!(mala.check_z().unwrap_err().contains("x-chain"));
}

/// Linear generator x = W z: with P = I + 2 WᵀW/σ², the chain's mean is 2 P⁻¹ Wᵀ x/σ² and its
/// covariance T [P (I - s² P/4)]⁻¹.
#[test]
fn the_z_chain_has_its_stationary_law() {
    let chains = 8192;
    let weights = [0.5f32, 0.0, 0.3, 0.4]; // [2, 2] row-major
    let layers = vec![Layer::Linear { in_features: 2, out_features: 2, bias: false }];
    let network = Network { input: vec![2], layers, reference: None };
    let w = Weighted { network, weights: weights.to_vec() };
    let (target, sigma) = ([0.8f32, -0.5], 0.4f32);
    for (step_size, noise) in [(0.4f32, 0.4f32), (0.4, 0.04)] {
        let mut chain = ZChain::new(&w, chains, 2).unwrap();
        chain.set_target(&target.repeat(chains), None, sigma);
        chain.start(&vec![0.0; 2 * chains], ChainNoise::new(4, Stream::ZChain));
        chain.run(200, &Langevin::new(step_size, noise));

        let [a, b, c, d] = weights.map(f64::from);
        let k = 2.0 / f64::from(sigma).powi(2);
        let p = [1.0 + k * (a * a + c * c), k * (a * b + c * d), 1.0 + k * (b * b + d * d)];
        let inverse = |[x, y, z]: [f64; 3]| {
            let det = x * z - y * y;
            [z / det, -y / det, x / det]
        };
        let pi = inverse(p);
        let [t0, t1] = target.map(f64::from);
        let wx = [k * (a * t0 + c * t1), k * (b * t0 + d * t1)];
        let mean = [pi[0] * wx[0] + pi[1] * wx[1], pi[1] * wx[0] + pi[2] * wx[1]];
        // P and I - s²P/4 commute, so their product is symmetric: P - s²P²/4.
        let q = f64::from(step_size).powi(2) / 4.0;
        let p2 = [p[0] * p[0] + p[1] * p[1], p[1] * (p[0] + p[2]), p[1] * p[1] + p[2] * p[2]];
        assert!(q * (p[0] + p[2]) < 1.0, "the chain must be stable");
        let temperature = f64::from(noise / step_size).powi(2);
        let covariance =
            inverse([p[0] - q * p2[0], p[1] - q * p2[1], p[2] - q * p2[2]]).map(|v| v * temperature);

        let count = chains as f64;
        let z: Vec<[f64; 2]> =
            chain.state().chunks(2).map(|z| [f64::from(z[0]) - mean[0], f64::from(z[1]) - mean[1]]).collect();
        let average = |f: &dyn Fn(&[f64; 2]) -> f64| z.iter().map(f).sum::<f64>() / count;
        // Five standard errors.
        assert!(average(&|z| z[0]).abs() < 5.0 * (covariance[0] / count).sqrt());
        assert!(average(&|z| z[1]).abs() < 5.0 * (covariance[2] / count).sqrt());
        let found = [average(&|z| z[0] * z[0]), average(&|z| z[0] * z[1]), average(&|z| z[1] * z[1])];
        let scale = covariance[0].max(covariance[2]);
        for (found, expected) in found.iter().zip(covariance) {
            assert!((found - expected).abs() < 5.0 * scale * (2.0 / count).sqrt(), "{found} {expected}");
        }
    }
}

#[test]
fn a_mask_hides_elements_from_the_z_chain() {
    let w = image_generator(2, true);
    let n = w.network.output().unwrap().iter().product::<usize>();
    let latent = w.network.input_len();
    let mut mask = vec![1.0; n];
    mask[n / 2..].fill(0.0);
    let (z, x) = (Choices::new(1).normals(latent, 1.0), Choices::new(2).normals(n, 0.5));
    let mut other = x.clone();
    other[n / 2..].fill(0.77);
    let end = |target: &[f32]| {
        let mut chain = ZChain::new(&w, 1, 1).unwrap();
        chain.set_target(target, Some(&mask), 0.3);
        chain.start(&z, ChainNoise::new(4, Stream::ZChain));
        chain.run(5, &Langevin::new(0.1, 0.1));
        (chain.state().to_vec(), chain.trace())
    };
    assert_eq!(end(&x), end(&other));
    let mut seen = x;
    seen[0] += 0.5;
    assert_ne!(end(&seen), end(&other));
}

/// An upsampling and the convolution after it are one operation of the fast kernels, wherever they stand
/// and unless someone else reads the upsampled image.
#[test]
fn upsampled_convolutions_agree_with_the_plain_ones_everywhere() {
    let conv = |input, output, kernel: usize| Layer::Conv2d {
        in_channels: input,
        out_channels: output,
        kernel,
        stride: 1,
        padding: kernel / 2,
        bias: output % 2 == 0,
    };
    let up = || Layer::UpsampleNearest;
    let residual = |main, shortcut| Layer::Residual { main, shortcut };
    for (seed, shape, layers) in [
        (1, [1, 1, 1], vec![up(), conv(1, 1, 3)]),
        (2, [2, 1, 5], vec![up(), conv(2, 4, 3), up(), conv(4, 3, 3)]),
        (3, [3, 4, 3], vec![Layer::Silu, residual(vec![up(), conv(3, 2, 3)], vec![up(), conv(3, 2, 1)])]),
        (4, [3, 2, 3], vec![residual(vec![up(), conv(3, 3, 3)], vec![up(), conv(3, 3, 3)]), Layer::Tanh]),
        (5, [2, 3, 2], vec![up(), residual(vec![conv(2, 2, 3)], vec![])]),
        (6, [2, 3, 2], vec![up(), conv(2, 3, 1), up(), up(), conv(3, 2, 3)]),
    ] {
        let network = Network { input: shape.to_vec(), layers, reference: None };
        let w = random_network::weigh(network, &mut Choices::new(seed));
        let x = inputs(&w, seed);
        let fast = Evaluator::<f64>::new(&w.network, &w.weights).unwrap();
        let twin = Evaluator::<f64>::twin(&w.network, &w.weights).unwrap();
        let x: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        let (a, b) = (fast.forward(&x), twin.forward(&x));
        let cotangent: Vec<f64> = (0..b.len()).map(|i| (i as f64 * 0.37).sin()).collect();
        let (ga, gb) = (fast.input_gradient(&x, &cotangent), twin.input_gradient(&x, &cotangent));
        for (a, b) in a.iter().zip(&b).chain(ga.iter().zip(&gb)) {
            assert!((a - b).abs() <= 1e-12 * b.abs().max(1.0), "{seed}: {a} and {b}");
        }
    }
}
