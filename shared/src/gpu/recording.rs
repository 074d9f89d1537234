//! What a network becomes on the GPU: the dispatches of both passes and the buffers at their ends. The fused kernels
//! ([`fused`](super::fused)) record it, or the plain ones; [`Layers`](super::layers::Layers) runs it.

use super::device::Gpu;
use super::dispatch::{Dispatch, Extent};
use super::error::GpuError;
use super::kernels::CorrelationParams;
use super::shader::Shader;
use crate::network::Plan;
use std::sync::Arc;

/// Whether a network is also run backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passes {
    Forward,
    ForwardAndGradient,
}

/// What a recording is made from.
pub(super) struct RecordingInput<'a> {
    pub(super) gpu: &'a Gpu,
    pub(super) plan: &'a Plan,
    /// Shape of one input.
    pub(super) input: &'a [usize],
    /// The flat weights.
    pub(super) weights: &'a wgpu::Buffer,
    pub(super) batch: usize,
    pub(super) passes: Passes,
}

/// The dispatches of both passes, and the buffers at their ends.
#[derive(Debug)]
pub(super) struct Recording {
    /// `[batch, input]` and `[batch, output]`.
    pub(super) ends: [wgpu::Buffer; 2],
    /// The gradients of both ends; none for a network that only runs forward.
    pub(super) gradients: Vec<wgpu::Buffer>,
    /// To be run after the weights have changed.
    pub(super) prepare: Vec<Dispatch>,
    pub(super) forward: Vec<Dispatch>,
    /// From the output's gradient, which stays as it is, to the input's.
    pub(super) backward: Vec<Dispatch>,
    /// The last kernel of the backward pass as one that takes a Langevin step with the gradient it computes, where
    /// it can.
    pub(super) stepping: Option<Stepping>,
}

/// A kernel that needs the parameters of the update and the step counter to run.
#[derive(Debug)]
pub(super) struct Stepping {
    pub(super) shader: Arc<dyn Shader>,
    pub(super) params: CorrelationParams,
    /// Packed weights, and the gradient it starts from.
    pub(super) buffers: [wgpu::Buffer; 2],
    pub(super) extent: Extent,
}

/// Bytes of activations, at most, before a batch is split: a share of what small graphics devices have.
pub(super) const ACTIVATIONS: u64 = 1 << 30;

/// Bytes of the largest binding that 32-bit indices reach.
pub(super) fn binding(gpu: &Gpu) -> u64 {
    let limits = gpu.device.limits();
    limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(u32::MAX.into())
}

/// Rows of so many numbers that fit into so many bytes.
pub(super) fn rows_in(bytes: u64, numbers: usize) -> usize {
    (bytes / (4 * numbers.max(1) as u64)) as usize
}

/// Check that every buffer fits into one binding, and every index into 32 bits. `row_len` are the numbers of a row
/// in the longest buffer.
pub(super) fn check_fit(gpu: &Gpu, weights: usize, row_len: usize, batch: usize) -> Result<(), GpuError> {
    let limit = binding(gpu);
    let bytes = weights as u64 * 4;
    if bytes > limit {
        return Err(GpuError::TooLarge { what: "the weights", bytes, limit });
    }
    let fit = rows_in(limit, row_len);
    if fit == 0 {
        return Err(GpuError::TooLarge { what: "the activations", bytes: row_len as u64 * 4, limit });
    }
    if batch == 0 {
        return Err(GpuError::Empty);
    }
    if batch > fit {
        return Err(GpuError::TooMany { asked: batch, fit });
    }
    Ok(())
}
