//! One kernel launch with everything it needs, made once and recorded many times.

use super::Gpu;
#[cfg(not(target_arch = "wasm32"))]
use super::fused::{Choice, Size};
use super::program::{Shader, WORKGROUP};

/// How many workgroups a kernel needs.
#[derive(Clone, Copy, Debug)]
pub(super) enum Extent {
    /// One invocation for each of so many elements.
    Elements(usize),
    /// One workgroup for each of so many rows.
    Rows(usize),
}

/// A kernel, its parameters and its buffers.
#[derive(Clone, Debug)]
pub(super) struct Dispatch {
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) shader: Shader,
    /// Of a correlation, what its kernel was chosen by, and what was chosen.
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) choice: Option<(Size, Choice)>,
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) bindings: wgpu::BindGroup,
    pub(super) params: wgpu::Buffer,
    pub(super) groups: [u32; 2],
}

/// A kernel's parameters.
pub(super) fn uniform(gpu: &Gpu, label: &str, words: usize) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: (words as u64 * 4).next_multiple_of(16),
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

impl Dispatch {
    /// `params` are the words of the kernel's `Params`, `buffers` its bindings from 1 on.
    pub(super) fn new(
        gpu: &Gpu,
        shader: impl Into<Shader>,
        params: &[u32],
        buffers: &[&wgpu::Buffer],
        extent: Extent,
    ) -> Dispatch {
        let uniform = uniform(gpu, "params", params.len());
        let dispatch = Dispatch::with_params(gpu, shader, uniform, buffers, extent);
        dispatch.set_params(gpu, params);
        dispatch
    }

    /// With parameters that the caller writes.
    pub(super) fn with_params(
        gpu: &Gpu,
        shader: impl Into<Shader>,
        params: wgpu::Buffer,
        buffers: &[&wgpu::Buffer],
        extent: Extent,
    ) -> Dispatch {
        let shader = shader.into();
        let name = shader.name();
        let label = Some(name.as_str());
        let pipeline = gpu.pipelines().get(&gpu.device, shader);
        let entries: Vec<wgpu::BindGroupEntry> = [&params]
            .iter()
            .chain(buffers)
            .zip(0..)
            .map(|(buffer, binding)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let bindings = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let groups = match extent {
            Extent::Elements(n) => n.div_ceil(WORKGROUP),
            Extent::Rows(n) => n,
        };
        Dispatch {
            #[cfg(not(target_arch = "wasm32"))]
            shader,
            #[cfg(not(target_arch = "wasm32"))]
            choice: None,
            pipeline,
            bindings,
            params,
            groups: fold(gpu, groups),
        }
    }

    /// Replace the parameters, for everything submitted from now on.
    pub(super) fn set_params(&self, gpu: &Gpu, params: &[u32]) {
        gpu.queue.write_buffer(&self.params, 0, bytemuck::cast_slice(params));
    }

    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass<'_>) {
        pass.set_pipeline(&self.pipeline);
        pass.set_bind_group(0, &self.bindings, &[]);
        pass.dispatch_workgroups(self.groups[0], self.groups[1], 1);
    }
}

/// Record dispatches one after the other: each sees what those before it wrote.
pub(super) fn encode<'a>(
    dispatches: impl IntoIterator<Item = &'a Dispatch>,
    encoder: &mut wgpu::CommandEncoder,
) {
    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
    for dispatch in dispatches {
        dispatch.encode(&mut pass);
    }
}

/// Record dispatches and submit them.
pub(super) fn submit<'a>(gpu: &Gpu, dispatches: impl IntoIterator<Item = &'a Dispatch>) {
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encode(dispatches, &mut encoder);
    gpu.queue.submit([encoder.finish()]);
}

/// So many workgroups in two dimensions, neither longer than allowed.
fn fold(gpu: &Gpu, groups: usize) -> [u32; 2] {
    let limit = gpu.device.limits().max_compute_workgroups_per_dimension as usize;
    let rows = groups.div_ceil(limit).max(1);
    [groups.div_ceil(rows) as u32, rows as u32]
}

/// A buffer of `len` numbers for kernels, copies and drawing.
pub(super) fn storage(gpu: &Gpu, label: &str, len: usize) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: len.max(1) as u64 * 4,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// Write numbers to the start of a buffer, for everything submitted from now on.
pub(super) fn write(gpu: &Gpu, buffer: &wgpu::Buffer, numbers: &[f32]) {
    gpu.queue.write_buffer(buffer, 0, bytemuck::cast_slice(numbers));
}
