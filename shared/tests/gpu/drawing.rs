//! A chain's state drawn by a render pipeline on the same device, without a readback.

use crate::gpu;
use crate::random_network::vector_energy;
use dual_mcmc::chain::ChainNoise;
use dual_mcmc::gpu::XChain;
use dual_mcmc::noise::Stream;
use pollster::block_on;

/// Draws element x of chain y as the red of pixel (x, y).
const SHADER: &str = "
@group(0) @binding(0) var<storage, read> state: array<f32>;

@vertex
fn corner(@builtin(vertex_index) i: u32) -> @builtin(position) vec4<f32> {
    // One triangle over the whole target.
    return vec4<f32>(f32(i & 1u) * 4.0 - 1.0, f32(i >> 1u) * 4.0 - 1.0, 0.0, 1.0);
}

@fragment
fn colour(@builtin(position) at: vec4<f32>) -> @location(0) vec4<f32> {
    return vec4<f32>(state[u32(at.y) * LENu + u32(at.x)], 0.0, 0.0, 1.0);
}";

#[test]
fn the_state_can_be_drawn_where_it_is() {
    let Some(gpu) = gpu() else { return };
    let energy = vector_energy(0, true);
    let (len, chains) = (energy.network.input_len(), 4);
    let mut chain = XChain::new(gpu, &energy, chains).unwrap();
    let state: Vec<f32> = (0..len * chains).map(|i| i as f32 * 10.0 / 255.0).collect();
    chain.start(&state, ChainNoise::new(0, Stream::XChain)).unwrap();

    let device = &gpu.device;
    let size = wgpu::Extent3d { width: len as u32, height: chains as u32, depth_or_array_layers: 1 };
    let picture = device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let view = picture.create_view(&wgpu::TextureViewDescriptor::default());
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl(SHADER.replace("LEN", &len.to_string()).into()),
    });
    let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: None,
        layout: None,
        vertex: wgpu::VertexState {
            module: &module,
            entry_point: Some("corner"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            buffers: &[],
        },
        fragment: Some(wgpu::FragmentState {
            module: &module,
            entry_point: Some("colour"),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            targets: &[Some(wgpu::TextureFormat::Rgba8Unorm.into())],
        }),
        primitive: wgpu::PrimitiveState::default(),
        depth_stencil: None,
        multisample: wgpu::MultisampleState::default(),
        multiview_mask: None,
        cache: None,
    });
    let bindings = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[wgpu::BindGroupEntry { binding: 0, resource: chain.state_buffer().as_entire_binding() }],
    });
    let pixels = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 256 * chains as u64,
        usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    {
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations::default(),
            })],
            ..Default::default()
        });
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bindings, &[]);
        pass.draw(0..3, 0..1);
    }
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(256), rows_per_image: None };
    encoder.copy_texture_to_buffer(
        picture.as_image_copy(),
        wgpu::TexelCopyBufferInfo { buffer: &pixels, layout },
        size,
    );
    gpu.queue.submit([encoder.finish()]);
    let words = block_on(gpu.read(&pixels, 64 * chains)).unwrap();
    for row in 0..chains {
        for column in 0..len {
            let [red, _, _, alpha] = words[64 * row + column].to_bits().to_le_bytes();
            assert_eq!((usize::from(red), alpha), (10 * (row * len + column), 255));
        }
    }
}
