//! One kernel launch with everything it needs, made once and recorded many times.

use super::choice::{Choice, Size};
use super::device::Gpu;
use super::kernels::{AddParams, Kernel};
use super::shader::{Shader, WORKGROUP};
use bytemuck::Pod;

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
    #[cfg(feature = "workbench")]
    label: String,
    pipeline: wgpu::ComputePipeline,
    bindings: wgpu::BindGroup,
    params: wgpu::Buffer,
    groups: [u32; 2],
    /// The size that a correlation's kernel was chosen by, and what was chosen; none of other kernels.
    pub(super) choice: Option<(Size, Choice)>,
}

/// A size or an offset as kernels take it. [`check_fit`](super::recording::check_fit) makes sure that all of them fit.
pub(super) fn word(n: usize) -> u32 {
    n as u32
}

/// A buffer for the parameters of a kernel.
pub(super) fn uniform<P: Pod>(gpu: &Gpu, label: &str) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: (size_of::<P>() as u64).next_multiple_of(16),
        usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// Write parameters, for everything submitted from now on.
pub(super) fn write_params<P: Pod>(gpu: &Gpu, buffer: &wgpu::Buffer, params: &P) {
    gpu.queue.write_buffer(buffer, 0, bytemuck::bytes_of(params));
}

impl Dispatch {
    /// A launch of `shader` with these parameters, its binding 0; `buffers` are its bindings from 1 on.
    pub(super) fn new<P: Pod>(
        gpu: &Gpu,
        shader: &dyn Shader,
        params: &P,
        buffers: &[&wgpu::Buffer],
        extent: Extent,
    ) -> Dispatch {
        let uniform = uniform::<P>(gpu, "params");
        let dispatch = Dispatch::with_params(gpu, shader, uniform, buffers, extent);
        dispatch.set_params(gpu, params);
        dispatch
    }

    /// A launch with parameters in a buffer that the caller writes.
    pub(super) fn with_params(
        gpu: &Gpu,
        shader: &dyn Shader,
        params: wgpu::Buffer,
        buffers: &[&wgpu::Buffer],
        extent: Extent,
    ) -> Dispatch {
        let label = shader.label();
        let pipeline = gpu.pipelines().get(&gpu.device, shader);
        let entries: Vec<wgpu::BindGroupEntry> = [&params]
            .iter()
            .chain(buffers)
            .zip(0..)
            .map(|(buffer, binding)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        let bindings = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(&label),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        let groups = match extent {
            Extent::Elements(n) => n.div_ceil(WORKGROUP),
            Extent::Rows(n) => n,
        };
        Dispatch {
            #[cfg(feature = "workbench")]
            label,
            pipeline,
            bindings,
            params,
            groups: fold(gpu, groups),
            choice: None,
        }
    }

    /// `y ← x`.
    pub(super) fn copy(gpu: &Gpu, x: &wgpu::Buffer, y: &wgpu::Buffer) -> Dispatch {
        Dispatch::add(gpu, x, y, false)
    }

    /// `y ← x`, or `y ← y + x`.
    pub(super) fn add(gpu: &Gpu, x: &wgpu::Buffer, y: &wgpu::Buffer, accumulate: bool) -> Dispatch {
        let elements = (y.size() / 4) as usize;
        let params = AddParams { elements: word(elements), accumulate: accumulate.into() };
        Dispatch::new(gpu, &Kernel::Add, &params, &[x, y], Extent::Elements(elements))
    }

    /// The label of its shader.
    #[cfg(feature = "workbench")]
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Replace the parameters, for everything submitted from now on.
    pub(super) fn set_params<P: Pod>(&self, gpu: &Gpu, params: &P) {
        write_params(gpu, &self.params, params);
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
