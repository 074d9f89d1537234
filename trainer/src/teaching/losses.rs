//! The three losses, in the order of their updates.
//!
//! Each of the generator and the encoder learns from both sides: from data through the z-chain,
//! and from the energy through the x-chain. All arguments are rows, `[batch, …]`; all losses are
//! `[1]`, sums over elements and means over the batch.

use crate::recipe::Teaching;
use burn::tensor::Tensor;

/// Keeps the encoder's variance from vanishing in a division.
const VARIANCE_FLOOR: f32 = 1e-6;

/// A loss with up to two teachers: each term without its weight, and the weighted sum.
pub struct TwoSided {
    /// What data teach.
    pub data: Option<Tensor<1>>,
    /// What the other model teaches: the EBM the generator, the generator the encoder.
    pub model: Option<Tensor<1>>,
    /// The loss to differentiate.
    pub total: Tensor<1>,
}

impl TwoSided {
    /// `weights` of the two terms. At least one of them must be there.
    fn new(data: Option<Tensor<1>>, model: Option<Tensor<1>>, weights: [f32; 2]) -> Option<TwoSided> {
        let terms = [&data, &model].into_iter().zip(weights);
        let weighted = terms.filter_map(|(term, weight)| Some(term.clone()?.mul_scalar(weight)));
        let total = weighted.reduce(|a, b| a + b)?;
        Some(TwoSided { data, model, total })
    }
}

/// The generator's loss: λ_data ‖g(z̃) - x‖² + λ_ebm ‖g(z) - x̃‖². Each term is a pair, generated and wanted.
/// `None` without any.
pub fn generator_loss(
    data: Option<(Tensor<2>, Tensor<2>)>,
    ebm: Option<(Tensor<2>, Tensor<2>)>,
    weights: &Teaching,
) -> Option<TwoSided> {
    let error = |(generated, wanted)| squared_error(generated, wanted);
    TwoSided::new(data.map(error), ebm.map(error), [weights.lambda_data, weights.lambda_ebm])
}

/// The encoder's loss: λ_data NLL(z̃; q(·|x)) + λ_inf NLL(z; q(·|x̃)). Each term is a pair, latents and the
/// encoder's output for what they belong to: means, then log-variances. `None` without any.
pub fn encoder_loss(
    data: Option<(Tensor<2>, Tensor<2>)>,
    model: Option<(Tensor<2>, Tensor<2>)>,
    weights: &Teaching,
) -> Option<TwoSided> {
    let loss = |(z, posterior)| negative_log_likelihood(z, posterior);
    TwoSided::new(data.map(loss), model.map(loss), [weights.lambda_data, weights.lambda_inf])
}

/// The energy's loss and its terms.
pub struct EnergyLoss {
    /// Mean energy of the data.
    pub data: Tensor<1>,
    /// Mean energy of the negatives.
    pub model: Tensor<1>,
    /// mean(E(x)² + E(x̃')²), without its weight.
    pub squares: Tensor<1>,
    /// The loss to differentiate.
    pub total: Tensor<1>,
}

/// The energy's loss: (E(x) - E(x̃') + α·mean(E(x)² + E(x̃')²)) / T.
pub fn energy_loss(
    energy_data: Tensor<2>,
    energy_model: Tensor<2>,
    energy_l2: f32,
    temperature: f32,
) -> EnergyLoss {
    let squares = energy_data.clone().square().mean() + energy_model.clone().square().mean();
    let (data, model) = (energy_data.mean(), energy_model.mean());
    let mut total = data.clone() - model.clone();
    if energy_l2 > 0.0 {
        total = total + squares.clone().mul_scalar(energy_l2);
    }
    EnergyLoss { data, model, squares, total: total.div_scalar(temperature) }
}

/// ‖a - b‖², mean over the batch.
fn squared_error(a: Tensor<2>, b: Tensor<2>) -> Tensor<1> {
    let [batch, _] = a.dims();
    (a - b).square().sum().div_scalar(batch as f32)
}

/// ½ Σ logvar + ½ Σ (z - μ)²/(1e-6 + exp logvar), mean over the batch.
fn negative_log_likelihood(z: Tensor<2>, posterior: Tensor<2>) -> Tensor<1> {
    let [batch, latent] = z.dims();
    let mean = posterior.clone().narrow(1, 0, latent);
    let log_variance = posterior.narrow(1, latent, latent);
    let variance = log_variance.clone().exp().add_scalar(VARIANCE_FLOOR);
    let terms = log_variance + (z - mean).square() / variance;
    terms.sum().mul_scalar(0.5 / batch as f32)
}
