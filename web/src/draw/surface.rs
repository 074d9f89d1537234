//! A canvas that chains are drawn on, by the device that runs them.

use super::painters::Pass;
use crate::dom;
use crate::engine::Graphics;
use crate::paint::{ImageGrid, Scatter};
use crate::problem::Problem;
use dual_mcmc::jobs::States;
use std::rc::Rc;
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
    graphics: Rc<Graphics>,
    surface: wgpu::Surface<'static>,
    format: wgpu::TextureFormat,
    uniforms: wgpu::Buffer,
    size: [u32; 2],
}

impl Drop for Surface {
    fn drop(&mut self) {
        self.uniforms.destroy();
    }
}

fn no_canvas() -> Problem {
    Problem::new(
        "The picture cannot be drawn",
        "The browser gives this page no canvas. Reload it, or close other tabs.",
    )
}

impl Canvas {
    /// A canvas for pictures from the graphics device, or from memory.
    ///
    /// # Errors
    /// If the browser has none to give.
    pub fn new(graphics: Option<&Rc<Graphics>>) -> Result<Canvas, Problem> {
        let element: HtmlCanvasElement = dom::create("canvas").ok_or_else(no_canvas)?;
        let _ = element.set_attribute("aria-hidden", "true");
        let way = match graphics {
            Some(graphics) => Way::Gpu(Box::new(Surface::new(graphics, &element)?)),
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
                let images = &surface.graphics.painters(surface.format).images;
                surface.draw(images, &grid.uniforms(), states, [3, 1])
            }
            (Way::Flat(context), States::Memory(states)) => put(context, &grid.paint(states), size),
            // States of another device: the canvas is about to be replaced.
            _ => Ok(()),
        }
    }

    /// Draw points of the plane.
    ///
    /// # Errors
    /// If the device failed.
    pub fn draw_points(&mut self, scatter: &Scatter, states: &States<'_>) -> Result<(), Problem> {
        self.resize([scatter.canvas as u32; 2]);
        match (&self.way, states) {
            (Way::Gpu(surface), States::Gpu(states)) => {
                let particles = &surface.graphics.painters(surface.format).particles;
                surface.draw(particles, &scatter.uniforms(), states, [4, scatter.chains as u32])
            }
            (Way::Flat(context), States::Memory(states)) => {
                put(context, &scatter.paint(states), [scatter.canvas as u32; 2])
            }
            _ => Ok(()),
        }
    }
}

/// Put pixels, RGBA, onto a canvas.
///
/// # Errors
/// If the browser has no memory for them.
pub fn put(context: &CanvasRenderingContext2d, rgba: &[u8], size: [u32; 2]) -> Result<(), Problem> {
    let image = ImageData::new_with_u8_clamped_array_and_sh(Clamped(rgba), size[0], size[1]);
    image.and_then(|image| context.put_image_data(&image, 0.0, 0.0)).map_err(|_| no_canvas())
}

impl Surface {
    fn new(graphics: &Rc<Graphics>, element: &HtmlCanvasElement) -> Result<Surface, Problem> {
        let gpu = &graphics.gpu;
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
        Ok(Surface { graphics: graphics.clone(), surface, format, uniforms, size: [0; 2] })
    }

    fn configure(&mut self, size: [u32; 2]) {
        self.size = size;
        self.surface.configure(
            &self.graphics.gpu.device,
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

    /// Draw the states on the canvas: so many vertices for each of the instances.
    fn draw(
        &self,
        pipeline: &wgpu::RenderPipeline,
        uniforms: &[u8],
        states: &wgpu::Buffer,
        [vertices, instances]: [u32; 2],
    ) -> Result<(), Problem> {
        use wgpu::CurrentSurfaceTexture::{Suboptimal, Success};
        let gpu = &self.graphics.gpu;
        // No texture now means that the canvas cannot be seen; the next frame draws it.
        let (Success(texture) | Suboptimal(texture)) = self.surface.get_current_texture() else {
            return Ok(());
        };
        gpu.queue.write_buffer(&self.uniforms, 0, uniforms);
        let view = texture.texture.create_view(&wgpu::TextureViewDescriptor::default());
        Pass { pipeline, uniforms: &self.uniforms, states, vertices, instances }.draw(gpu, &view);
        gpu.queue.present(texture);
        Ok(gpu.check()?)
    }
}
