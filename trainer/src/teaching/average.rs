//! Exponential moving average of a network's parameters.
//!
//! It holds parameters alone and no statistics, so it can never disturb those of the network.

use burn::tensor::Tensor;

/// An average, and how it decays.
pub(super) struct Average {
    decay: f32,
    values: Vec<Tensor<1>>,
}

impl Average {
    /// Start at `parameters`.
    pub fn new(decay: f32, parameters: &[Tensor<1>]) -> Average {
        Average { decay, values: parameters.to_vec() }
    }

    /// Take in the parameters after iteration `t`, counted from zero. Early on the decay is
    /// (1 + t)/(10 + t), so that the initial weights are soon forgotten.
    pub fn update(&mut self, t: u64, parameters: &[Tensor<1>]) {
        let decay = self.decay.min((1 + t) as f32 / (10 + t) as f32);
        for (value, parameter) in self.values.iter_mut().zip(parameters) {
            *value = value.clone().mul_scalar(decay) + parameter.clone().mul_scalar(1.0 - decay);
        }
    }

    /// The averages, in the order of the network's parameters.
    pub fn values(&self) -> &[Tensor<1>] {
        &self.values
    }

    /// The averages, to be restored.
    pub fn values_mut(&mut self) -> &mut [Tensor<1>] {
        &mut self.values
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use burn::tensor::Device;

    #[test]
    fn an_average_forgets_its_start_and_follows_its_decay() {
        let device = Device::flex();
        let tensor = |v: f32| Tensor::<1>::from_floats([v], &device);
        let mut average = Average::new(0.9, &[tensor(100.0)]);
        let mut expected = 100.0f32;
        for t in 0..200u64 {
            let decay = 0.9f32.min((1 + t) as f32 / (10 + t) as f32);
            let x = (t as f32).sin();
            expected = decay * expected + (1.0 - decay) * x;
            average.update(t, &[tensor(x)]);
            let value = average.values()[0].clone().try_into_vec_as::<f32>().unwrap()[0];
            assert!((value - expected).abs() < 1e-5 * expected.abs().max(1.0), "{t}: {value} {expected}");
        }
        assert!(expected.abs() < 1.0);
    }
}
