//! The exact likelihood of a 2-D model, by quadrature.

use super::chains::{self, NotFinite};
use super::model_file;
use anyhow::{Context, Result, ensure};
use dual_mcmc::executor::Executor;
use dual_mcmc::jobs::Quadrature;
use dual_mcmc::model::Model;

/// Mean log-likelihood of `x`, `[n, 2]`, under exp(-E/T) normalised on [-6, 6]².
///
/// # Errors
/// If the model is not one of points in the plane, or its energies are not finite.
pub fn log_likelihood(model: &Model, executor: &Executor, temperature: f64, x: &[f32]) -> Result<f64> {
    ensure!(model.data_shape() == [2], "a likelihood by quadrature needs data of two values");
    model_file::energy(model)?;
    let mut quadrature = Quadrature::new(temperature);
    let grid = quadrature.next_points(usize::MAX);
    quadrature.add(&chains::energies(executor, model, &grid)?);
    let data = chains::energies(executor, model, x)?;
    let likelihood = quadrature.log_likelihood(&data).context("the quadrature takes its points at once")?;
    ensure!(likelihood.is_finite(), NotFinite("the model's energies are not finite"));
    Ok(likelihood)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use dual_mcmc::model::{Annotations, ChainDefaults, Provenance, Weighted};
    use dual_mcmc::network::{Layer, Network};

    #[test]
    fn a_gaussian_has_its_likelihood_at_every_temperature() {
        // E(x) = ‖x‖²/2τ² + b, so exp(-E/T) is a Gaussian of variance Tτ², whatever b.
        let tau = 0.7f32;
        let network = Network {
            input: vec![2],
            layers: vec![Layer::Linear { in_features: 2, out_features: 1, bias: true }],
            reference: Some(tau),
        };
        let model = Model {
            energy: Some(Weighted { network, weights: vec![0.0, 0.0, 5.0] }),
            generator: None,
            encoder: None,
            chains: ChainDefaults::default(),
            energy_quantiles: None,
            provenance: Provenance::default(),
            annotations: Annotations::default(),
        };
        let x = [0.3f32, -0.4, 1.0, 0.0];
        for temperature in [0.25, 1.0, 1.7] {
            let variance = temperature * f64::from(tau * tau);
            let log = |square: f64| -square / (2.0 * variance) - (std::f64::consts::TAU * variance).ln();
            let expected = 0.5 * (log(0.25) + log(1.0));
            let found = log_likelihood(&model, &Executor::cpu(), temperature, &x).unwrap();
            assert!((found - expected).abs() < 1e-4, "{temperature}: {found} {expected}");
        }
    }
}
