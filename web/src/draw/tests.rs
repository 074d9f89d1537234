//! The shaders against their twins, on the chains of the shipped models. A software adapter will do.
#![allow(clippy::unwrap_used)]

use super::painters::{Painters, Pass};
use crate::heat::{Bounds, colour};
use crate::paint::{ImageGrid, Scatter};
use dual_mcmc::executor::Executor;
use dual_mcmc::gpu::{Gpu, GpuChoice};
use dual_mcmc::jobs::{Sampler, Start};
use dual_mcmc::model::Model;
use pollster::block_on;

const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

/// The adapter, or `None` where the environment says that there is none.
fn gpu() -> Option<Gpu> {
    match block_on(Gpu::request(GpuChoice::Any)) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            let none = std::env::var("DUAL_MCMC_NO_GPU").is_ok_and(|v| v == "true");
            assert!(none, "{error} (a software one will do; DUAL_MCMC_NO_GPU=true leaves these tests out)");
            None
        }
    }
}

/// Every shipped model with the states of `chains` chains after a few steps.
fn shipped(chains: usize) -> Vec<(String, Model, Vec<f32>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "safetensors") {
            continue;
        }
        let model = Model::from_bytes(&std::fs::read(&path).unwrap()).unwrap();
        let mut sampler = Sampler::new(&Executor::Cpu { threads: 1 }, &model, chains).unwrap();
        block_on(sampler.start(Start::recommended(&model), 1)).unwrap();
        sampler.advance(3, &model.chains.x.unwrap().langevin).unwrap();
        let states = block_on(sampler.read_states()).unwrap();
        all.push((path.display().to_string(), model, states));
    }
    assert!(all.len() >= 4);
    all
}

fn buffer(gpu: &Gpu, bytes: &[u8], usage: wgpu::BufferUsages) -> wgpu::Buffer {
    let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: (bytes.len() as u64).next_multiple_of(16),
        usage: usage | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    gpu.queue.write_buffer(&buffer, 0, bytes);
    buffer
}

/// The pixels, premultiplied, that a shader draws.
fn drawn(
    gpu: &Gpu,
    pipeline: &wgpu::RenderPipeline,
    uniforms: &[u8],
    states: &[f32],
    size: [usize; 2],
    [vertices, instances]: [u32; 2],
) -> Vec<[u8; 4]> {
    let [width, height] = size.map(|n| n as u32);
    let extent = wgpu::Extent3d { width, height, depth_or_array_layers: 1 };
    let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: extent,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: FORMAT,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let bytes: Vec<u8> = states.iter().flat_map(|v| v.to_le_bytes()).collect();
    let states = buffer(gpu, &bytes, wgpu::BufferUsages::STORAGE);
    let mut padded = uniforms.to_vec();
    padded.resize(64, 0);
    let uniforms = buffer(gpu, &padded, wgpu::BufferUsages::UNIFORM);
    let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
    Pass { pipeline, uniforms: &uniforms, states: &states, vertices, instances }.draw(gpu, &view);

    let row = (4 * width).next_multiple_of(256);
    let read = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::from(row * height),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(row), rows_per_image: None };
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo { buffer: &read, layout },
        extent,
    );
    gpu.queue.submit([encoder.finish()]);
    read.slice(..).map_async(wgpu::MapMode::Read, |outcome| outcome.unwrap());
    gpu.device.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    let mapped = read.slice(..).get_mapped_range().unwrap();
    let rows = mapped.chunks(row as usize);
    rows.flat_map(|row| row[..4 * width as usize].chunks(4)).map(|p| [p[0], p[1], p[2], p[3]]).collect()
}

/// No pixel in a thousand is apart by more than 1 of 255.
fn agree(shader: &[[u8; 4]], twin: &[[u8; 4]], what: &str) {
    assert_eq!(shader.len(), twin.len(), "{what}");
    let apart = |(a, b): &(&[u8; 4], &[u8; 4])| a.iter().zip(*b).any(|(a, b)| a.abs_diff(*b) > 1);
    let differing = shader.iter().zip(twin).filter(apart).count();
    println!("{what}: {differing} of {} pixels are apart", shader.len());
    assert!(differing * 1000 <= shader.len(), "{what}: {differing} of {} pixels are apart", shader.len());
    assert!(shader.iter().any(|pixel| pixel[3] > 0), "{what}: nothing was drawn");
}

#[test]
fn images_are_those_of_their_twin() {
    let Some(gpu) = gpu() else { return };
    let painters = Painters::new(&gpu, FORMAT);
    for chains in [16, 30] {
        for (name, model, states) in shipped(chains) {
            let grid = ImageGrid { first: 4, ..ImageGrid::new(&model.data_shape(), chains - 4, 500) };
            let shader = drawn(&gpu, &painters.images, &grid.uniforms(), &states, grid.canvas(), [3, 1]);
            let twin: Vec<[u8; 4]> =
                grid.paint(&states).chunks(4).map(|p| [p[0], p[1], p[2], p[3]]).collect();
            agree(&shader, &twin, &format!("{name}, {chains} images"));
        }
    }
}

#[test]
fn points_are_those_of_their_twin_in_both_themes() {
    let Some(gpu) = gpu() else { return };
    let painters = Painters::new(&gpu, FORMAT);
    for (chains, theme) in [(256, "#c2410c"), (2048, "#ffa25e")] {
        let [r, g, b] = colour(theme).unwrap().map(|c| f32::from(c) / 255.0);
        for (name, model, states) in shipped(chains) {
            if model.data_shape() != [2] {
                continue;
            }
            let scatter = Scatter {
                bounds: Bounds::around(&states),
                canvas: 500,
                radius: Scatter::radius_for(chains),
                colour: [r, g, b, 0.9],
                chosen: Some(37),
                first: 30,
                chains: chains - 30,
            };
            let counts = [4, scatter.chains as u32];
            let shader = drawn(&gpu, &painters.particles, &scatter.uniforms(), &states, [500; 2], counts);
            agree(&shader, &scatter.paint_premultiplied(&states), &format!("{name}, {chains} points"));
        }
    }
}
