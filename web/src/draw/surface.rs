//! A canvas that chains are drawn on, by the device that runs them.

use super::paint::{ImageGrid, Scatter};
use crate::dom;
use crate::problem::Problem;
use dual_mcmc::gpu::Gpu;
use dual_mcmc::jobs::States;
use std::f64::consts::TAU;
use wasm_bindgen::Clamped;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData};

/// A canvas with the way it is drawn on. A canvas keeps its way for good, so a change of device
/// takes a new one.
pub struct Canvas {
    element: HtmlCanvasElement,
    way: Way,
}

enum Way {
    Gpu(Box<Surface>),
    Flat(CanvasRenderingContext2d),
}

struct Surface {
    gpu: Gpu,
    surface: wgpu::Surface<'static>,
    format: wgpu::TextureFormat,
    uniforms: wgpu::Buffer,
    images: wgpu::RenderPipeline,
    particles: wgpu::RenderPipeline,
    size: [u32; 2],
}

fn no_canvas() -> Problem {
    Problem::new(
        "The picture cannot be drawn",
        "The browser gives this page no canvas. Reload it, or close other tabs.",
    )
}

impl Canvas {
    /// A canvas for pictures from `gpu`, or from memory.
    ///
    /// # Errors
    /// If the browser has none to give.
    pub fn new(gpu: Option<&Gpu>) -> Result<Canvas, Problem> {
        let element: HtmlCanvasElement = dom::create("canvas").ok_or_else(no_canvas)?;
        let _ = element.set_attribute("aria-hidden", "true");
        let way = match gpu {
            Some(gpu) => Way::Gpu(Box::new(Surface::new(gpu, &element)?)),
            None => Way::Flat(dom::context_2d(&element).ok_or_else(no_canvas)?),
        };
        Ok(Canvas { element, way })
    }

    /// The element.
    pub fn element(&self) -> &HtmlCanvasElement {
        &self.element
    }

    fn resize(&mut self, [width, height]: [u32; 2]) {
        if [self.element.width(), self.element.height()] != [width, height] {
            self.element.set_width(width);
            self.element.set_height(height);
        }
        if let Way::Gpu(surface) = &mut self.way
            && surface.size != [width, height]
        {
            surface.configure([width, height]);
        }
    }

    /// Draw a grid of images.
    ///
    /// # Errors
    /// If the device failed.
    pub fn draw_images(&mut self, grid: &ImageGrid, states: &States<'_>) -> Result<(), Problem> {
        let size = grid.canvas().map(|n| n as u32);
        self.resize(size);
        match (&self.way, states) {
            (Way::Gpu(surface), States::Gpu(states)) => {
                let words = [
                    grid.size[0],
                    grid.size[1],
                    grid.scale[0],
                    grid.scale[1],
                    grid.gap,
                    grid.columns,
                    grid.chains,
                    grid.channels,
                ];
                let mut bytes: Vec<u8> = words.iter().flat_map(|&w| (w as u32).to_le_bytes()).collect();
                bytes.extend(grid.range.iter().flat_map(|v| v.to_le_bytes()));
                surface.draw(&surface.images, &bytes, states, 3, 1)
            }
            (Way::Flat(context), States::Memory(states)) => {
                let rgba = grid.paint(states);
                let image = ImageData::new_with_u8_clamped_array_and_sh(Clamped(&rgba), size[0], size[1]);
                image.and_then(|image| context.put_image_data(&image, 0.0, 0.0)).map_err(|_| no_canvas())
            }
            // States of another device: the canvas is about to be replaced.
            _ => Ok(()),
        }
    }

    /// Draw points of the plane.
    ///
    /// # Errors
    /// If the device failed.
    pub fn draw_points(
        &mut self,
        scatter: &Scatter,
        chains: usize,
        states: &States<'_>,
    ) -> Result<(), Problem> {
        self.resize([scatter.canvas as u32; 2]);
        match (&self.way, states) {
            (Way::Gpu(surface), States::Gpu(states)) => {
                let [x, y] = scatter.bounds.low;
                let [r, g, b, a] = scatter.colour;
                let numbers = [x, y, scatter.bounds.side, scatter.radius, r, g, b, a, scatter.canvas as f32];
                let mut bytes: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
                let chosen = scatter.chosen.map_or(u32::MAX, |chain| chain as u32);
                bytes.extend(chosen.to_le_bytes());
                surface.draw(&surface.particles, &bytes, states, 4, chains as u32)
            }
            (Way::Flat(context), States::Memory(states)) => {
                paint_points(context, scatter, states);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn paint_points(context: &CanvasRenderingContext2d, scatter: &Scatter, states: &[f32]) {
    let side = scatter.canvas as f64;
    context.clear_rect(0.0, 0.0, side, side);
    let [r, g, b, a] = scatter.colour.map(f64::from);
    context.set_fill_style_str(&format!("rgb({} {} {} / {a})", r * 255.0, g * 255.0, b * 255.0));
    for (chain, point) in states.chunks_exact(2).enumerate() {
        let [x, y] = scatter.bounds.place(point).map(|share| f64::from(share) * side);
        let chosen = scatter.chosen == Some(chain);
        let radius = f64::from(scatter.radius) * if chosen { 2.5 } else { 1.0 };
        if x.is_finite() && y.is_finite() {
            context.begin_path();
            // Radius and angles are in range, which is all that could be wrong.
            let _ = context.arc(x, y, radius, 0.0, TAU);
            context.fill();
        }
    }
}

impl Surface {
    fn new(gpu: &Gpu, element: &HtmlCanvasElement) -> Result<Surface, Problem> {
        let target = wgpu::SurfaceTarget::Canvas(element.clone());
        let surface =
            gpu.instance().and_then(|instance| instance.create_surface(target).ok()).ok_or_else(no_canvas)?;
        let uniforms = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("picture"),
            size: 64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        // The first is the one that the browser need not convert.
        let formats =
            gpu.adapter().map(|adapter| surface.get_capabilities(adapter).formats).unwrap_or_default();
        let plain = |format: &wgpu::TextureFormat| {
            matches!(format, wgpu::TextureFormat::Rgba8Unorm | wgpu::TextureFormat::Bgra8Unorm)
        };
        let format = formats.into_iter().find(plain).unwrap_or(wgpu::TextureFormat::Bgra8Unorm);
        let images = pipeline(
            gpu,
            format,
            "images",
            include_str!("images.wgsl"),
            wgpu::PrimitiveTopology::TriangleList,
        );
        let particles = pipeline(
            gpu,
            format,
            "particles",
            include_str!("particles.wgsl"),
            wgpu::PrimitiveTopology::TriangleStrip,
        );
        Ok(Surface { gpu: gpu.clone(), surface, format, uniforms, images, particles, size: [0; 2] })
    }

    fn configure(&mut self, size: [u32; 2]) {
        self.size = size;
        self.surface.configure(
            &self.gpu.device,
            &wgpu::SurfaceConfiguration {
                usage: wgpu::TextureUsages::RENDER_ATTACHMENT,
                format: self.format,
                width: size[0],
                height: size[1],
                present_mode: wgpu::PresentMode::Fifo,
                desired_maximum_frame_latency: 2,
                alpha_mode: wgpu::CompositeAlphaMode::PreMultiplied,
                view_formats: Vec::new(),
                color_space: wgpu::SurfaceColorSpace::default(),
            },
        );
    }

    fn draw(
        &self,
        pipeline: &wgpu::RenderPipeline,
        uniforms: &[u8],
        states: &wgpu::Buffer,
        vertices: u32,
        instances: u32,
    ) -> Result<(), Problem> {
        use wgpu::CurrentSurfaceTexture::{Suboptimal, Success};
        let (device, queue) = (&self.gpu.device, &self.gpu.queue);
        // No texture now means that the canvas cannot be seen; the next frame draws it.
        let (Success(texture) | Suboptimal(texture)) = self.surface.get_current_texture() else {
            return Ok(());
        };
        queue.write_buffer(&self.uniforms, 0, uniforms);
        let bind_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: self.uniforms.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: states.as_entire_binding() },
            ],
        });
        let view = texture.texture.create_view(&wgpu::TextureViewDescriptor::default());
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                label: None,
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: &view,
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations {
                        load: wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT),
                        store: wgpu::StoreOp::Store,
                    },
                })],
                ..Default::default()
            });
            pass.set_pipeline(pipeline);
            pass.set_bind_group(0, &bind_group, &[]);
            pass.draw(0..vertices, 0..instances);
        }
        queue.submit([encoder.finish()]);
        queue.present(texture);
        Ok(self.gpu.check()?)
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
