//! A network's outputs.

use super::device::Gpu;
use super::dispatch::{encode, submit};
use super::error::GpuError;
use super::layers::Layers;
use super::recording::Passes;
use crate::model::Weighted;

/// A network ready to map batches, for example a generator or an encoder.
#[derive(Debug)]
pub struct Forward {
    gpu: Gpu,
    layers: Layers,
}

impl Forward {
    /// How many of `wanted` rows this GPU takes at once: all, or the share of one of as few equal parts as fit.
    ///
    /// # Errors
    /// If the network does not fit together, or `wanted` rows alone are too many for the GPU.
    pub fn rows_at_once(gpu: &Gpu, weighted: &Weighted, wanted: usize) -> Result<usize, GpuError> {
        Layers::rows_at_once(gpu, weighted, Passes::Forward, 0, wanted)
    }

    /// Prepares `weighted` for batches of up to `batch` rows.
    ///
    /// # Errors
    /// If the network or its weights do not fit together, or the batch does not fit the GPU.
    pub fn new(gpu: &Gpu, weighted: &Weighted, batch: usize) -> Result<Forward, GpuError> {
        let layers = Layers::new(gpu, weighted, batch, Passes::Forward, 0)?;
        Ok(Forward { gpu: gpu.clone(), layers })
    }

    /// Replace the weights.
    ///
    /// # Errors
    /// If there are not as many as parameters.
    pub fn set_weights(&mut self, weights: &[f32]) -> Result<(), GpuError> {
        self.layers.set_weights(&self.gpu, weights)
    }

    /// Outputs `[rows, output]` of `x`, `[rows, input]`, with as many rows as the batch or fewer. An
    /// energy includes its reference term.
    ///
    /// # Errors
    /// If `x` is not made of whole rows or has too many, or the device failed.
    pub fn run(&mut self, x: &[f32]) -> impl Future<Output = Result<Vec<f32>, GpuError>> + use<> {
        let reading =
            self.submit(x).map(|rows| self.gpu.read(self.output_buffer(), rows * self.output_len()));
        async move { reading?.await }
    }

    /// Computes the outputs as [`Forward::run`] does, but leaves them in [`Forward::output_buffer`]. Returns the rows.
    ///
    /// # Errors
    /// If `x` is not made of whole rows or has too many, or the device failed.
    pub fn submit(&mut self, x: &[f32]) -> Result<usize, GpuError> {
        let rows = self.layers.write_input(&self.gpu, x)?;
        submit(&self.gpu, self.layers.forward());
        self.gpu.check()?;
        Ok(rows)
    }

    /// Record the pass over what [`Forward::input_buffer`] holds, for the caller to submit.
    pub fn encode(&self, encoder: &mut wgpu::CommandEncoder) {
        encode(self.layers.forward(), encoder);
    }

    /// Inputs `[batch, input]`, f32.
    pub fn input_buffer(&self) -> &wgpu::Buffer {
        self.layers.input()
    }

    /// Outputs `[batch, output]`, f32, readable by any shader on the device.
    pub fn output_buffer(&self) -> &wgpu::Buffer {
        self.layers.output()
    }

    /// Elements of one input.
    pub fn input_len(&self) -> usize {
        self.layers.input_len()
    }

    /// Elements of one output.
    pub fn output_len(&self) -> usize {
        self.layers.output_len()
    }

    /// Rows of a full batch.
    pub fn batch(&self) -> usize {
        self.layers.batch
    }
}
