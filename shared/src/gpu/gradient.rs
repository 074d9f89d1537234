//! Gradients in the input.

use super::device::Gpu;
use super::dispatch::{submit, write};
use super::error::GpuError;
use super::layers::Layers;
use super::recording::Passes;
use crate::model::Weighted;

/// A network with its vector-Jacobian product.
#[derive(Debug)]
pub struct InputGradient {
    gpu: Gpu,
    layers: Layers,
}

impl InputGradient {
    /// Prepares `weighted` for batches of up to `batch` rows.
    ///
    /// # Errors
    /// If the network or its weights do not fit together, or the batch does not fit the GPU.
    pub fn new(gpu: &Gpu, weighted: &Weighted, batch: usize) -> Result<InputGradient, GpuError> {
        let layers = Layers::new(gpu, weighted, batch, Passes::ForwardAndGradient, 0)?;
        Ok(InputGradient { gpu: gpu.clone(), layers })
    }

    /// Replace the weights.
    ///
    /// # Errors
    /// If there are not as many as parameters.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), GpuError> {
        self.layers.set_weights(&self.gpu, weights)
    }

    /// The gradient in `x`, `[rows, input]`, of Σ `grad_output` · network(x), with `grad_output`
    /// `[rows, output]`.
    ///
    /// # Errors
    /// If an array is not made of whole rows or has too many, or the device failed.
    pub fn run(
        &mut self,
        x: &[f32],
        grad_output: &[f32],
    ) -> impl Future<Output = Result<Vec<f32>, GpuError>> + use<> {
        let reading = self
            .submit(x, Some(grad_output))
            .map(|rows| self.gpu.read(self.layers.input_gradient(), rows * self.layers.input_len()));
        async move { reading?.await }
    }

    fn submit(&mut self, x: &[f32], grad_output: Option<&[f32]>) -> Result<usize, GpuError> {
        let rows = self.layers.write_input(&self.gpu, x)?;
        if let Some(grad_output) = grad_output {
            let expected = rows * self.layers.output_len();
            GpuError::check_length("the gradient of the output", grad_output.len(), expected)?;
            write(&self.gpu, self.layers.output_gradient(), grad_output);
        }
        submit(&self.gpu, self.layers.forward().iter().chain(self.layers.backward()));
        self.gpu.check()?;
        Ok(rows)
    }
}

/// An energy with its gradient in the sample.
#[derive(Debug)]
pub struct EnergyGradient(InputGradient);

impl EnergyGradient {
    /// How many of `wanted` rows this GPU takes at once: all, or the share of one of as few equal parts as fit.
    ///
    /// # Errors
    /// If the network does not fit together, or `wanted` rows alone are too many for the GPU.
    pub fn rows_at_once(gpu: &Gpu, weighted: &Weighted, wanted: usize) -> Result<usize, GpuError> {
        Layers::rows_at_once(gpu, weighted, Passes::ForwardAndGradient, 0, wanted)
    }

    /// Prepares `energy` for batches of up to `batch` rows.
    ///
    /// # Errors
    /// If the network is no energy, its weights do not fit, or the batch does not fit the GPU.
    pub fn new(gpu: &Gpu, energy: &Weighted, batch: usize) -> Result<EnergyGradient, GpuError> {
        energy.network.check_energy(&energy.network.input)?;
        let inner = InputGradient::new(gpu, energy, batch)?;
        write(gpu, inner.layers.output_gradient(), &vec![1.0; batch]);
        Ok(EnergyGradient(inner))
    }

    /// Replace the weights.
    ///
    /// # Errors
    /// If there are not as many as parameters.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), GpuError> {
        self.0.set_weights(weights)
    }

    /// Energies `[rows]` of `x`, `[rows, data]`, with the reference term, and their gradients
    /// `[rows, data]`.
    ///
    /// # Errors
    /// If `x` is not made of whole rows or has too many, or the device failed.
    pub fn energy_and_gradient(
        &mut self,
        x: &[f32],
    ) -> impl Future<Output = Result<(Vec<f32>, Vec<f32>), GpuError>> + use<> {
        let reading = self.0.submit(x, None).map(|rows| {
            let (gpu, layers) = (&self.0.gpu, &self.0.layers);
            (gpu.read(layers.output(), rows), gpu.read(layers.input_gradient(), rows * layers.input_len()))
        });
        async move {
            let (energies, gradients) = reading?;
            Ok((energies.await?, gradients.await?))
        }
    }
}
