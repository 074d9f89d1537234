//! What the executor refuses, and that it says what to do instead.

use crate::gpu;
use crate::random_network::{image_generator, vector_energy};
use dual_mcmc::chain::{ChainNoise, Langevin};
use dual_mcmc::gpu::{EnergyGradient, Forward, Gpu, GpuChoice, GpuError, XChain, ZChain};
use dual_mcmc::model::Weighted;
use dual_mcmc::network::{Layer, Network, NetworkError};
use dual_mcmc::noise::Stream;
use pollster::block_on;

fn noise() -> ChainNoise {
    ChainNoise::new(0, Stream::XChain)
}

#[test]
fn too_many_chains_says_how_many_fit() {
    let Some(gpu) = gpu() else { return };
    let layers = vec![Layer::Linear { in_features: 1024, out_features: 1, bias: false }];
    let network = Network { input: vec![1024], layers, reference: None };
    let energy = Weighted { network, weights: vec![0.0; 1024] };
    let limit = gpu.device.limits().max_storage_buffer_binding_size as usize;
    let fit = limit / (4 * 1024);
    let error = XChain::new(gpu, &energy, fit + 1).unwrap_err();
    assert_eq!(error, GpuError::TooMany { asked: fit + 1, fit });
    assert!(error.to_string().contains(&fit.to_string()), "{error}");
    Forward::new(gpu, &energy, fit).unwrap();
    assert_eq!(Forward::new(gpu, &energy, 0).unwrap_err(), GpuError::Empty);
}

#[test]
fn a_network_beyond_the_largest_binding_is_refused() {
    let Some(gpu) = gpu() else { return };
    let side = 8192;
    let network = Network { input: vec![1, side, side], layers: vec![Layer::Tanh], reference: None };
    let error = Forward::new(gpu, &Weighted { network, weights: Vec::new() }, 1).unwrap_err();
    assert!(matches!(error, GpuError::TooLarge { what: "the activations", .. }), "{error}");

    let layers = vec![Layer::Linear { in_features: side, out_features: side, bias: false }];
    let network = Network { input: vec![side], layers, reference: None };
    let weights = vec![0.0; side * side];
    let error = Forward::new(gpu, &Weighted { network, weights }, 1).unwrap_err();
    assert!(matches!(error, GpuError::TooLarge { what: "the weights", .. }), "{error}");
}

#[test]
fn wrong_weights_are_refused() {
    let Some(gpu) = gpu() else { return };
    let mut energy = vector_energy(0, true);
    let expected = energy.weights.len();
    let error = GpuError::Network(NetworkError::Weights { expected, found: expected - 1 });
    let mut chain = XChain::new(gpu, &energy, 2).unwrap();
    assert_eq!(chain.set_weights(&energy.weights[1..]).unwrap_err(), error);
    energy.weights.pop();
    assert_eq!(XChain::new(gpu, &energy, 2).unwrap_err(), error);
    assert_eq!(EnergyGradient::new(gpu, &energy, 2).unwrap_err(), error);
    assert_eq!(Forward::new(gpu, &energy, 2).unwrap_err(), error);
}

#[test]
fn wrong_lengths_are_refused() {
    let Some(gpu) = gpu() else { return };
    let energy = vector_energy(0, true);
    let len = energy.network.input_len();
    let mut chain = XChain::new(gpu, &energy, 2).unwrap();
    let error = chain.start(&vec![0.0; 3 * len], noise()).unwrap_err();
    assert_eq!(error, GpuError::Length { what: "the state", expected: 2 * len, found: 3 * len });
    let small = Forward::new(gpu, &energy, 1).unwrap();
    assert!(chain.start_from_buffer(small.output_buffer(), noise()).is_err());

    let mut forward = Forward::new(gpu, &energy, 2).unwrap();
    assert!(block_on(forward.run(&vec![0.0; 3 * len])).is_err(), "more rows than the batch");
    assert!(block_on(forward.run(&vec![0.0; 2 * len - 1])).is_err() || len == 1, "half a row");
    assert_eq!(block_on(forward.run(&[])).unwrap_err(), GpuError::Empty);

    let generator = image_generator(0, true);
    let mut chain = ZChain::new(gpu, &generator, 2).unwrap();
    let data: usize = generator.network.output().unwrap().iter().product();
    let x = vec![0.0; 2 * data];
    assert!(chain.set_target(&x[1..], None, 0.3).is_err());
    assert!(chain.set_target(&x, Some(&x[..data - 1]), 0.3).is_err());
    for sigma in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert!(chain.set_target(&x, None, sigma).is_err(), "sigma {sigma}");
    }
}

#[test]
fn wrong_roles_are_refused() {
    let Some(gpu) = gpu() else { return };
    assert!(matches!(
        XChain::new(gpu, &image_generator(0, true), 2),
        Err(GpuError::Network(NetworkError::Role { role: "energy", .. }))
    ));
    let mut energy = vector_energy(0, true);
    assert_eq!(ZChain::new(gpu, &energy, 2).unwrap_err(), GpuError::Network(NetworkError::ReferenceRole));
    // Without its reference an energy is a generator of numbers.
    energy.network.reference = None;
    ZChain::new(gpu, &energy, 2).unwrap();
}

#[test]
fn a_chain_that_is_not_ready_says_what_is_missing() {
    let Some(gpu) = gpu() else { return };
    let energy = vector_energy(0, true);
    let mut chain = XChain::new(gpu, &energy, 2).unwrap();
    let error = chain.run(1, &Langevin::new(0.1, 0.1)).unwrap_err();
    assert_eq!(error.to_string(), "call start before running the chain");
    chain.start(&vec![0.0; 2 * energy.network.input_len()], noise()).unwrap();
    assert!(matches!(chain.run(1, &Langevin::new(-0.1, 0.1)), Err(GpuError::Settings(_))));

    let generator = image_generator(0, true);
    let mut chain = ZChain::new(gpu, &generator, 2).unwrap();
    chain.start(&vec![0.0; 2 * generator.network.input_len()], noise()).unwrap();
    let error = chain.run(1, &Langevin::new(0.1, 0.1)).unwrap_err();
    assert_eq!(error.to_string(), "call set_target before running the chain");
}

#[test]
fn an_adapter_that_is_not_there_is_an_error() {
    if gpu().is_none() {
        return;
    }
    let found = block_on(Gpu::adapters());
    let error = block_on(Gpu::request(GpuChoice::Index(found.len()))).unwrap_err();
    assert!(error.to_string().contains(&found[0]), "{error}");
    let first = block_on(Gpu::request(GpuChoice::Index(0))).unwrap();
    assert_eq!(first.name(), found[0]);
    match block_on(Gpu::request(GpuChoice::Hardware)) {
        Ok(gpu) => assert!(!gpu.is_software()),
        Err(error) => assert!(matches!(error, GpuError::SoftwareOnly(_)), "{error}"),
    }
}

/// What the driver reports outside any call comes back from the next one, once; a lost device is
/// lost for good. Neither panics.
#[test]
fn driver_errors_and_loss_come_back_as_errors() {
    if gpu().is_none() {
        return;
    }
    let gpu = block_on(Gpu::request(GpuChoice::Any)).unwrap();
    let energy = vector_energy(0, true);
    let x = vec![0.0; 2 * energy.network.input_len()];
    let mut chain = XChain::new(&gpu, &energy, 2).unwrap();
    chain.start(&x, noise()).unwrap();
    let _ = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: None,
        source: wgpu::ShaderSource::Wgsl("this is no shader".into()),
    });
    assert!(matches!(block_on(chain.state()), Err(GpuError::Device(_))));
    chain.run(1, &Langevin::new(0.1, 0.1)).unwrap();
    assert!(block_on(chain.state()).is_ok());

    gpu.device.destroy();
    let lost = |result: Result<(), GpuError>| assert!(matches!(result, Err(GpuError::Lost(_))), "{result:?}");
    lost(block_on(chain.finish()));
    lost(chain.run(1, &Langevin::new(0.1, 0.1)));
    lost(block_on(chain.state()).map(|_| ()));
    lost(XChain::new(&gpu, &energy, 2).map(|_| ()));
}
