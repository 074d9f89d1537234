//! The pipelines that draw chains, and one pass of them.

use dual_mcmc::gpu::Gpu;
use wgpu::PrimitiveTopology::{TriangleList, TriangleStrip};

/// The pipelines for a canvas format.
pub struct Painters {
    /// Grids of images.
    pub images: wgpu::RenderPipeline,
    /// Points of the plane.
    pub particles: wgpu::RenderPipeline,
}

impl Painters {
    /// Compile the pipelines.
    pub fn new(gpu: &Gpu, format: wgpu::TextureFormat) -> Painters {
        Painters {
            images: pipeline(gpu, format, "images", include_str!("images.wgsl"), TriangleList),
            particles: pipeline(gpu, format, "particles", include_str!("particles.wgsl"), TriangleStrip),
        }
    }
}

/// What one pass draws.
pub struct Pass<'a> {
    /// The pipeline.
    pub pipeline: &'a wgpu::RenderPipeline,
    /// Its parameters.
    pub uniforms: &'a wgpu::Buffer,
    /// The chains' states.
    pub states: &'a wgpu::Buffer,
    /// Vertices of an instance.
    pub vertices: u32,
    /// Instances.
    pub instances: u32,
}

impl Pass<'_> {
    /// Clear `view` and draw on it.
    pub fn draw(&self, gpu: &Gpu, view: &wgpu::TextureView) {
        let bind_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &self.pipeline.get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: self.uniforms.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: self.states.as_entire_binding() },
            ],
        });
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                label: None,
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view,
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations {
                        load: wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT),
                        store: wgpu::StoreOp::Store,
                    },
                })],
                ..Default::default()
            });
            pass.set_pipeline(self.pipeline);
            pass.set_bind_group(0, &bind_group, &[]);
            pass.draw(0..self.vertices, 0..self.instances);
        }
        gpu.queue.submit([encoder.finish()]);
    }
}

fn pipeline(
    gpu: &Gpu,
    format: wgpu::TextureFormat,
    label: &str,
    source: &str,
    topology: wgpu::PrimitiveTopology,
) -> wgpu::RenderPipeline {
    let module = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some(label),
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    gpu.device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some(label),
        layout: None,
        vertex: wgpu::VertexState {
            module: &module,
            entry_point: Some("vertex"),
            compilation_options: Default::default(),
            buffers: &[],
        },
        primitive: wgpu::PrimitiveState { topology, ..Default::default() },
        depth_stencil: None,
        multisample: Default::default(),
        fragment: Some(wgpu::FragmentState {
            module: &module,
            entry_point: Some("fragment"),
            compilation_options: Default::default(),
            targets: &[Some(wgpu::ColorTargetState {
                format,
                blend: Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING),
                write_mask: wgpu::ColorWrites::ALL,
            })],
        }),
        multiview_mask: None,
        cache: None,
    })
}
