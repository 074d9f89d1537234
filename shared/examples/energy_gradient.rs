//! Energies and their gradients in the input, on a wgpu device of your own.
//!
//! `cargo run -p dual-mcmc --example energy_gradient`
//!
//! The crate can share the device of a program that already has one: a renderer, a simulation,
//! another compute library. Nothing is copied between devices, and buffers such as
//! `XChain::state_buffer` can be bound in the program's own pipelines.

use dual_mcmc::gpu::{EnergyGradient, Gpu};
use dual_mcmc::model::Weighted;
use dual_mcmc::network::{Layer, Network};
use dual_mcmc::noise::{Noise, Stream};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    pollster::block_on(run())
}

async fn run() -> Result<(), Box<dyn Error>> {
    // 1. The program's own device. WebGPU's default limits are enough, and no features are needed.
    let instance = wgpu::Instance::default();
    let adapter = instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await?;
    let (device, queue) = adapter.request_device(&wgpu::DeviceDescriptor::default()).await?;
    let gpu = Gpu::from_device(device, queue);
    println!("running on {}", gpu.name());

    // 2. A small convolutional energy of 8×8 images in one channel, described as data.
    let network = Network {
        input: vec![1, 8, 8],
        layers: vec![
            Layer::Conv2d { in_channels: 1, out_channels: 8, kernel: 3, stride: 1, padding: 1, bias: true },
            Layer::Silu,
            Layer::AveragePool { kernel: 2 },
            Layer::Conv2d { in_channels: 8, out_channels: 16, kernel: 3, stride: 1, padding: 1, bias: true },
            Layer::Silu,
            Layer::GlobalAveragePool,
            Layer::Linear { in_features: 16, out_features: 1, bias: true },
        ],
        reference: Some(4.0),
    };
    println!("{} parameters, {} flops a forward pass", network.parameter_count(), network.flops()?);

    // Its weights are one flat array in the order of `Network::parameters`. A model file gives both
    // (`Model::from_bytes`); here they are random.
    let mut weights = vec![0.0; network.parameter_count()];
    Noise::new(1, Stream::Parameters).normals(0, 0, &mut weights);
    weights.iter_mut().for_each(|w| *w *= 0.4);
    let energy = Weighted { network, weights };

    // 3. Energies and gradients of a batch. Everything is allocated here, once.
    let batch = 4;
    let len = energy.network.input_len();
    let mut executor = EnergyGradient::new(&gpu, &energy, batch)?;
    let mut x = vec![0.0; batch * len];
    Noise::new(2, Stream::Start).normals(0, 0, &mut x);
    let (energies, gradients) = executor.energy_and_gradient(&x).await?;

    // 4. Check each gradient along a random direction by central differences. Single precision
    //    leaves about three digits of them.
    let mut direction = vec![0.0; batch * len];
    Noise::new(3, Stream::Start).normals(0, 0, &mut direction);
    let h = 1e-2;
    let moved = |by: f32| -> Vec<f32> { x.iter().zip(&direction).map(|(x, d)| x + by * d).collect() };
    let (up, _) = executor.energy_and_gradient(&moved(h)).await?;
    let (down, _) = executor.energy_and_gradient(&moved(-h)).await?;
    println!("sample    energy  slope by gradient  by differences");
    for i in 0..batch {
        let row = i * len..(i + 1) * len;
        let slope: f32 = gradients[row.clone()].iter().zip(&direction[row]).map(|(g, d)| g * d).sum();
        let difference = (up[i] - down[i]) / (2.0 * h);
        println!("{i:>6} {:>9.4} {slope:>18.4} {difference:>15.4}", energies[i]);
        if (slope - difference).abs() > 5e-3 * slope.abs().max(1.0) {
            return Err(format!("the gradient of sample {i} does not match its energy").into());
        }
    }
    Ok(())
}
