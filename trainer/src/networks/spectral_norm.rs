//! Spectral norm (Miyato et al., 2018): a weight divided by its largest singular value, which one
//! power iteration a training iteration follows.

use burn::tensor::{Device, Tensor, TensorData};

/// Keeps a vanishing vector from becoming infinite when it is normalised.
const EPSILON: f32 = 1e-12;

/// Power iterations on the initial weight, as PyTorch's `spectral_norm` makes.
pub(super) const INITIAL_ITERATIONS: usize = 15;

/// Left and right singular vector of a weight `[out, in·k·k]`.
#[derive(Clone, Debug)]
pub struct SpectralNorm {
    u: Tensor<1>,
    v: Tensor<1>,
}

impl SpectralNorm {
    /// Start from any two vectors; they are normalised.
    pub fn new(u: &[f32], v: &[f32], device: &Device) -> SpectralNorm {
        let tensor = |values: &[f32]| Tensor::<1>::from_data(TensorData::from(values), device);
        SpectralNorm { u: normalised(tensor(u)), v: normalised(tensor(v)) }
    }

    /// The state with these two vectors, as they are.
    pub(super) fn of(u: Tensor<1>, v: Tensor<1>) -> SpectralNorm {
        SpectralNorm { u, v }
    }

    /// u and v.
    pub fn vectors(&self) -> [&Tensor<1>; 2] {
        [&self.u, &self.v]
    }

    /// One power iteration on the flat `weight`: v ← Wᵀu/‖Wᵀu‖, u ← Wv/‖Wv‖.
    pub fn iterate(&mut self, weight: &Tensor<1>) {
        let w = self.matrix(weight.clone());
        let u = self.u.clone().unsqueeze_dim::<2>(0);
        let [rows, columns] = w.dims();
        self.v = normalised(u.matmul(w.clone()).reshape([columns]));
        let v = self.v.clone().unsqueeze_dim::<2>(1);
        self.u = normalised(w.matmul(v).reshape([rows]));
    }

    /// σ = uᵀWv, differentiable in the weight with u and v held constant. Shape `[1]`.
    pub fn sigma(&self, weight: Tensor<1>) -> Tensor<1> {
        let w = self.matrix(weight);
        let [rows, _] = w.dims();
        let wv = w.matmul(self.v.clone().unsqueeze_dim::<2>(1)).reshape([rows]);
        (wv * self.u.clone()).sum()
    }

    /// The flat weight divided by σ.
    pub fn normalise(&self, weight: Tensor<1>) -> Tensor<1> {
        let sigma = self.sigma(weight.clone());
        weight / sigma
    }

    fn matrix(&self, weight: Tensor<1>) -> Tensor<2> {
        weight.reshape([self.u.dims()[0], self.v.dims()[0]])
    }
}

fn normalised(x: Tensor<1>) -> Tensor<1> {
    let norm = x.clone().square().sum().sqrt().clamp_min(EPSILON);
    x / norm
}
