//! Adam for one network, with its state in plain sight.
//!
//! The arithmetic is burn's. Its module optimiser is not used: it restores its state on burn's
//! default device, which is a GPU wherever one is compiled in, and keys it by identifiers that a
//! new process draws anew.

use crate::recipe;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{Adam, AdamConfig, AdamState, AdaptiveMomentumState, Optimizer};
use burn::tensor::Tensor;

/// Adam and its moments for every parameter of one network.
pub struct NetworkOptimiser {
    adam: Adam,
    clip: Option<f32>,
    /// One for each parameter once a step has been taken.
    states: Vec<AdamState<1>>,
}

impl NetworkOptimiser {
    /// A fresh optimiser.
    pub fn new(settings: &recipe::Optimiser) -> NetworkOptimiser {
        let mut config = AdamConfig::new()
            .with_beta_1(settings.beta1)
            .with_beta_2(settings.beta2)
            .with_epsilon(settings.epsilon);
        if settings.weight_decay > 0.0 {
            config = config.with_weight_decay(Some(WeightDecayConfig::new(settings.weight_decay)));
        }
        NetworkOptimiser { adam: config.build(), clip: settings.clip, states: Vec::new() }
    }

    /// One step of every parameter along its gradient.
    pub fn step(&mut self, rate: f64, parameters: &mut [Tensor<1>], gradients: Vec<Tensor<1>>) {
        let gradients = match self.clip {
            Some(limit) => clipped(gradients, limit),
            None => gradients,
        };
        let mut states = std::mem::take(&mut self.states).into_iter();
        for (parameter, gradient) in parameters.iter_mut().zip(gradients) {
            let (next, state) = self.adam.step(rate, parameter.clone(), gradient, states.next());
            *parameter = next;
            self.states.extend(state);
        }
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.states.first().map_or(0, |s| s.momentum.time)
    }

    /// First and second moment of each parameter; empty before the first step.
    pub fn moments(&self) -> impl Iterator<Item = [&Tensor<1>; 2]> {
        self.states.iter().map(|s| [&s.momentum.moment_1, &s.momentum.moment_2])
    }

    /// Go on after `steps` steps that left these moments.
    pub fn set_moments(&mut self, steps: usize, moments: Vec<[Tensor<1>; 2]>) {
        let state = |[first, second]: [Tensor<1>; 2]| {
            AdamState::new(AdaptiveMomentumState::new(steps, first, second))
        };
        self.states = moments.into_iter().map(state).collect();
    }
}

/// Gradients scaled so that their common norm is at most `limit`.
fn clipped(gradients: Vec<Tensor<1>>, limit: f32) -> Vec<Tensor<1>> {
    let squares: Vec<_> = gradients.iter().map(|g| g.clone().square().sum()).collect();
    let norm = Tensor::cat(squares, 0).sum().sqrt();
    let scale = norm.recip().mul_scalar(limit).clamp_max(1.0);
    gradients.into_iter().map(|g| g * scale.clone()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::tensor::Device;

    fn settings() -> recipe::Optimiser {
        recipe::Optimiser {
            rate: 0.1,
            beta1: 0.5,
            beta2: 0.9,
            epsilon: 1e-8,
            weight_decay: 0.0,
            clip: None,
            final_share: 0.0,
        }
    }

    fn values(tensor: &Tensor<1>) -> Vec<f32> {
        tensor.clone().try_into_vec_as::<f32>().unwrap()
    }

    /// Adam as its paper states it, with the L2 penalty in the gradient.
    #[test]
    fn steps_follow_the_published_update() {
        let device = Device::flex();
        let mut settings = settings();
        settings.weight_decay = 0.01;
        let mut optimiser = NetworkOptimiser::new(&settings);
        let mut parameters = [Tensor::<1>::from_floats([1.0, -2.0], &device)];
        let (mut x, mut m, mut v) = ([1.0f64, -2.0], [0.0f64; 2], [0.0f64; 2]);
        for t in 1..=5 {
            let g = [0.3 * t as f32, -0.01];
            optimiser.step(0.1, &mut parameters, vec![Tensor::from_floats(g, &device)]);
            for i in 0..2 {
                let g = f64::from(g[i]) + 0.01 * x[i];
                m[i] = 0.5 * m[i] + 0.5 * g;
                v[i] = 0.9 * v[i] + 0.1 * g * g;
                let (m, v) = (m[i] / (1.0 - 0.5f64.powi(t)), v[i] / (1.0 - 0.9f64.powi(t)));
                x[i] -= 0.1 * m / (v.sqrt() + 1e-8);
            }
            for (a, b) in values(&parameters[0]).iter().zip(x) {
                assert!((f64::from(*a) - b).abs() < 1e-5, "{a} {b}");
            }
        }
        assert_eq!(optimiser.steps(), 5);
    }

    #[test]
    fn clipping_bounds_the_norm_of_all_gradients_together() {
        let device = Device::flex();
        let gradients =
            || vec![Tensor::from_floats([3.0], &device), Tensor::from_floats([0.0, 4.0], &device)];
        let all: Vec<f32> = clipped(gradients(), 1.0).iter().flat_map(values).collect();
        for (a, b) in all.iter().zip([0.6, 0.0, 0.8]) {
            assert!((a - b).abs() < 1e-6, "{all:?}");
        }
        let untouched: Vec<f32> = clipped(gradients(), 10.0).iter().flat_map(values).collect();
        assert_eq!(untouched, [3.0, 0.0, 4.0]);
    }
}
