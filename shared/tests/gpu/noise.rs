//! The shader's random numbers against noise.rs.

use crate::gpu;
use dual_mcmc::noise::{normals, philox};
use pollster::block_on;

const MAIN: &str = "
@group(0) @binding(0) var<storage, read> counters: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> integers: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> reals: array<vec4<f32>>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let c = counters[id.x];
    integers[id.x] = philox(c, vec2<u32>(c.w, c.x ^ c.y));
    reals[id.x] = normals(integers[id.x]);
}";

/// What `MAIN` gives for each counter.
fn on_the_gpu(gpu: &dual_mcmc::gpu::Gpu, counters: &[[u32; 4]]) -> (Vec<f32>, Vec<f32>) {
    let device = &gpu.device;
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(
            format!("{}{MAIN}", include_str!("../../src/gpu/kernels/noise.wgsl")).into(),
        ),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions::default(),
        cache: None,
    });
    let buffers = [(); 3].map(|()| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: counters.len() as u64 * 16,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        })
    });
    gpu.queue.write_buffer(&buffers[0], 0, bytemuck::cast_slice(counters));
    let entries: Vec<_> = (0..)
        .zip(&buffers)
        .map(|(binding, b)| wgpu::BindGroupEntry { binding, resource: b.as_entire_binding() })
        .collect();
    let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &entries,
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bindings, &[]);
        pass.dispatch_workgroups(counters.len() as u32 / 64, 1, 1);
    }
    gpu.queue.submit([encoder.finish()]);
    let numbers = counters.len() * 4;
    (block_on(gpu.read(&buffers[1], numbers)).unwrap(), block_on(gpu.read(&buffers[2], numbers)).unwrap())
}

#[test]
fn integers_are_equal_and_normals_agree() {
    let Some(gpu) = gpu() else { return };
    let mut counters: Vec<[u32; 4]> = (0..1 << 15).map(|i| [i, i / 7, i * 3, 0x9E37_79B9 ^ i]).collect();
    counters[0] = [0; 4];
    counters[1] = [u32::MAX; 4];
    counters[2] = [0x8000_0000, 0xFFFF, 0xFFFF_0000, 1];
    let (integers, reals) = on_the_gpu(gpu, &counters);
    for ((&c, integers), reals) in counters.iter().zip(integers.chunks(4)).zip(reals.chunks(4)) {
        let expected = philox(c, [c[3], c[0] ^ c[1]]);
        assert_eq!(integers.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), expected, "counter {c:?}");
        for (a, b) in reals.iter().zip(normals(expected)) {
            assert!((a - b).abs() <= 1e-6 * b.abs().max(1.0), "counter {c:?}: {a} and {b}");
        }
    }
}
