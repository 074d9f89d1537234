//! Chains whose stationary law is known: the unadjusted update samples it with its own bias, and
//! the tests are sharp enough to see that bias. The seeds are fixed; tolerances are 4.5 standard
//! errors of the statistic.

use crate::gpu;
use dual_mcmc::chain::{ChainNoise, Langevin};
use dual_mcmc::gpu::{XChain, ZChain};
use dual_mcmc::model::Weighted;
use dual_mcmc::network::{Layer, Network};
use dual_mcmc::noise::Stream;
use pollster::block_on;

const CHAINS: usize = 16_384;
const ERRORS: f64 = 4.5;

/// Mean and covariance of rows of `D`, about their own mean.
fn moments<const D: usize>(rows: &[f32]) -> ([f64; D], [[f64; D]; D]) {
    let n = (rows.len() / D) as f64;
    let mut mean = [0.0; D];
    let mut covariance = [[0.0; D]; D];
    for row in rows.chunks(D) {
        for i in 0..D {
            mean[i] += f64::from(row[i]) / n;
        }
    }
    for row in rows.chunks(D) {
        for i in 0..D {
            for j in 0..D {
                covariance[i][j] += (f64::from(row[i]) - mean[i]) * (f64::from(row[j]) - mean[j]) / n;
            }
        }
    }
    (mean, covariance)
}

fn check_moments<const D: usize>(rows: &[f32], mean: [f64; D], covariance: [[f64; D]; D], what: &str) {
    let n = (rows.len() / D) as f64;
    let (found_mean, found) = moments::<D>(rows);
    for i in 0..D {
        let error = (covariance[i][i] / n).sqrt();
        let off = (found_mean[i] - mean[i]).abs() / error;
        assert!(off < ERRORS, "{what}: mean {i} is {} and not {}, {off:.1} errors", found_mean[i], mean[i]);
        for j in 0..D {
            let error = ((covariance[i][i] * covariance[j][j] + covariance[i][j].powi(2)) / n).sqrt();
            let off = (found[i][j] - covariance[i][j]).abs() / error;
            assert!(
                off < ERRORS,
                "{what}: covariance {i},{j} is {} and not {}, {off:.1} errors",
                found[i][j],
                covariance[i][j]
            );
        }
    }
}

/// MALA samples the target itself, here where the unadjusted chain's variance is 2.8 times as large.
#[test]
fn mala_samples_a_gaussian_without_bias() {
    const D: usize = 3;
    let Some(gpu) = gpu() else { return };
    let tau = 1.5f32;
    let layers = vec![Layer::Linear { in_features: D, out_features: 1, bias: false }];
    let network = Network { input: vec![D], layers, reference: Some(tau) };
    let energy = Weighted { network, weights: vec![0.0; D] };
    let mut chain = XChain::new(gpu, &energy, CHAINS).unwrap();
    for (temperature, seed) in [(1.0f32, 11), (0.01, 13)] {
        let langevin = Langevin { mala: true, ..Langevin::new(2.4, 2.4 * temperature.sqrt()) };
        chain.start(&vec![0.0; CHAINS * D], ChainNoise::new(seed, Stream::XChain)).unwrap();
        chain.run(60, &langevin).unwrap();
        let state = block_on(chain.state()).unwrap();
        let mut covariance = [[0.0; D]; D];
        (0..D).for_each(|i| covariance[i][i] = f64::from(temperature * tau * tau));
        check_moments(&state, [0.0; D], covariance, &format!("T = {temperature}"));
        let acceptance = block_on(chain.acceptance()).unwrap().unwrap();
        assert!((0.2..0.95).contains(&acceptance), "{acceptance}");
    }
}

/// The Gaussian reference alone, a = 1/τ²: stationary variance T / (a (1 - a s²/4)), and from one
/// step to the next the correlation 1 - a s²/2.
#[test]
fn the_x_chain_samples_a_gaussian() {
    const D: usize = 6;
    let Some(gpu) = gpu() else { return };
    let tau = 1.5f32;
    let layers = vec![Layer::Linear { in_features: D, out_features: 1, bias: false }];
    let network = Network { input: vec![D], layers, reference: Some(tau) };
    let energy = Weighted { network, weights: vec![0.0; D] };
    let mut chain = XChain::new(gpu, &energy, CHAINS).unwrap();
    let a = 1.0 / f64::from(tau).powi(2);
    for (temperature, seed) in [(1.0f64, 11), (0.25, 12), (0.01, 13)] {
        let s = 1.2f64;
        let langevin = Langevin::new(s as f32, (s * temperature.sqrt()) as f32);
        chain.start(&vec![0.0; CHAINS * D], ChainNoise::new(seed, Stream::XChain)).unwrap();
        // The correlation with the start, (1 - a s²/2)⁶⁰, is below 1e-9.
        chain.run(60, &langevin).unwrap();
        let state = block_on(chain.state()).unwrap();
        let variance = temperature / (a * (1.0 - a * s * s / 4.0));
        let mut covariance = [[0.0; D]; D];
        (0..D).for_each(|i| covariance[i][i] = variance);
        check_moments(&state, [0.0; D], covariance, &format!("T = {temperature}"));

        chain.run(1, &langevin).unwrap();
        let next = block_on(chain.state()).unwrap();
        let pairs: Vec<f32> = state.iter().zip(&next).flat_map(|(a, b)| [*a, *b]).collect();
        let correlated = variance * (1.0 - a * s * s / 2.0);
        let joint = [[variance, correlated], [correlated, variance]];
        check_moments(&pairs, [0.0; 2], joint, &format!("T = {temperature}, two steps"));
    }
}

fn inverse([[a, b], [c, d]]: [[f64; 2]; 2]) -> [[f64; 2]; 2] {
    let determinant = a * d - b * c;
    [[d / determinant, -b / determinant], [-c / determinant, a / determinant]]
}

fn product(a: [[f64; 2]; 2], b: [[f64; 2]; 2]) -> [[f64; 2]; 2] {
    [0, 1].map(|i| [0, 1].map(|j| a[i][0] * b[0][j] + a[i][1] * b[1][j]))
}

/// A linear generator x = W z: with P = I + 2WᵀW/σ² and T = (n/s)², mean 2P⁻¹Wᵀx/σ² and covariance
/// T [P (I - s²P/4)]⁻¹.
#[test]
fn the_z_chain_samples_a_linear_generators_posterior() {
    let Some(gpu) = gpu() else { return };
    let w: [[f32; 2]; 3] = [[0.8, -0.3], [0.2, 0.6], [-0.5, 0.4]];
    let x = [0.7f32, -0.4, 0.9];
    let sigma = 0.8f32;
    let layers = vec![Layer::Linear { in_features: 2, out_features: 3, bias: false }];
    let network = Network { input: vec![2], layers, reference: None };
    let generator = Weighted { network, weights: w.concat() };
    let mut chain = ZChain::new(gpu, &generator, CHAINS).unwrap();
    chain.set_target(&x.repeat(CHAINS), None, sigma).unwrap();

    let scale = 2.0 / f64::from(sigma).powi(2);
    let w = w.map(|row| row.map(f64::from));
    let identity = |i: usize, j: usize| f64::from(u8::from(i == j));
    let p = [0, 1]
        .map(|i| [0, 1].map(|j| identity(i, j) + scale * (0..3).map(|k| w[k][i] * w[k][j]).sum::<f64>()));
    let pull = [0, 1].map(|i| scale * (0..3).map(|k| w[k][i] * f64::from(x[k])).sum::<f64>());
    let p_inverse = inverse(p);
    let mean = [0, 1].map(|i| p_inverse[i][0] * pull[0] + p_inverse[i][1] * pull[1]);
    let spread = ((p[0][0] - p[1][1]).powi(2) / 4.0 + p[0][1] * p[1][0]).sqrt();
    let largest = (p[0][0] + p[1][1]) / 2.0 + spread;
    for (temperature, seed) in [(1.0f64, 21), (0.25, 22), (0.01, 23)] {
        let s = 0.8f64;
        // Or the chain diverges.
        assert!(s * s * largest < 4.0);
        let langevin = Langevin::new(s as f32, (s * temperature.sqrt()) as f32);
        chain.start(&vec![0.0; 2 * CHAINS], ChainNoise::new(seed, Stream::ZChain)).unwrap();
        chain.run(60, &langevin).unwrap();
        let state = block_on(chain.state()).unwrap();
        let damped = [0, 1].map(|i| [0, 1].map(|j| identity(i, j) - s * s * p[i][j] / 4.0));
        let covariance = inverse(product(p, damped)).map(|row| row.map(|v| temperature * v));
        check_moments(&state, mean, covariance, &format!("T = {temperature}"));
    }
}
