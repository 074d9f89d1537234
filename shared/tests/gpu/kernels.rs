//! Every kernel, forward and backward, against its twin on random shapes.

use crate::random_network::{Choices, weigh};
use crate::{distance, gpu, norm};
use dual_mcmc::cpu::Evaluator;
use dual_mcmc::gpu::{Choice, Forward, InputGradient};
use dual_mcmc::network::{Layer, Network};
use pollster::block_on;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Every kernel is valid, also those that no other test happens to need.
#[test]
fn every_kernel_is_valid() {
    let Some(gpu) = gpu() else { return };
    for (name, code) in dual_mcmc::gpu::kernels() {
        let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
        let source = wgpu::ShaderSource::Wgsl(code.as_str().into());
        let _ = gpu.device.create_shader_module(wgpu::ShaderModuleDescriptor { label: Some(&name), source });
        let error = block_on(scope.pop());
        assert!(error.is_none(), "{name}: {}\n{code}", error.unwrap());
    }
}

/// One layer alone on random weights and a random batch.
fn check(input: Vec<usize>, layer: Layer, batch: usize, seed: u64) -> Result<(), TestCaseError> {
    let Some(gpu) = gpu() else { return Ok(()) };
    let mut choices = Choices::new(seed);
    let network = Network { input, layers: vec![layer], reference: None };
    prop_assume!(network.shapes().is_ok());
    let weighted = weigh(network, &mut choices);
    let x = choices.normals(batch * weighted.network.input_len(), 1.5);
    let twin = Evaluator::<f32>::twin(&weighted.network, &weighted.weights).unwrap();
    let grad_y = choices.normals(batch * twin.output_len(), 1.0);

    let y = block_on(Forward::new(gpu, &weighted, batch).unwrap().run(&x)).unwrap();
    let expected = twin.forward(&x);
    prop_assert!(distance(&y, &expected) <= 1e-5 * norm(&expected), "forward of {:?}", weighted.network);

    let grad_x = block_on(InputGradient::new(gpu, &weighted, batch).unwrap().run(&x, &grad_y)).unwrap();
    let expected = twin.input_gradient(&x, &grad_y);
    prop_assert!(
        distance(&grad_x, &expected) <= 1e-5 * norm(&expected),
        "gradient of {:?}",
        weighted.network
    );
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 16,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(30),
        ..ProptestConfig::default()
    })]

    #[test]
    fn linear(inputs in 1usize..90, outputs in 1usize..90, bias: bool, batch in 1usize..9, seed: u64) {
        check(vec![inputs], Layer::Linear { in_features: inputs, out_features: outputs, bias }, batch, seed)?;
    }

    #[test]
    fn conv2d(
        [in_channels, out_channels] in prop::array::uniform2(1usize..7),
        [height, width] in prop::array::uniform2(1usize..12),
        (kernel, padding) in (1usize..6).prop_flat_map(|k| (Just(k), 0..k)),
        stride in 1usize..4,
        bias: bool,
        batch in 1usize..4,
        seed: u64,
    ) {
        let layer = Layer::Conv2d { in_channels, out_channels, kernel, stride, padding, bias };
        check(vec![in_channels, height, width], layer, batch, seed)?;
    }

    #[test]
    fn conv_transpose2d(
        [in_channels, out_channels] in prop::array::uniform2(1usize..7),
        [height, width] in prop::array::uniform2(1usize..8),
        (kernel, padding) in (1usize..6).prop_flat_map(|k| (Just(k), 0..k)),
        (stride, output_padding) in (1usize..4).prop_flat_map(|s| (Just(s), 0..s)),
        bias: bool,
        batch in 1usize..4,
        seed: u64,
    ) {
        let layer = Layer::ConvTranspose2d {
            in_channels, out_channels, kernel, stride, padding, output_padding, bias,
        };
        check(vec![in_channels, height, width], layer, batch, seed)?;
    }

    #[test]
    fn upsample_bilinear(shape in prop::array::uniform3(1usize..10), batch in 1usize..5, seed: u64) {
        check(shape.to_vec(), Layer::UpsampleBilinear, batch, seed)?;
    }

    /// Every way for two paths to meet, with every kernel that can be first on a path.
    #[test]
    fn residual(shape in prop::array::uniform3(1usize..5), paths in 0usize..49, seed: u64) {
        let [channels, rows, columns] = shape;
        let conv = |kernel, padding| Layer::Conv2d {
            in_channels: channels, out_channels: channels, kernel, stride: 1, padding, bias: true,
        };
        let pool = || vec![Layer::AveragePool { kernel: 2 }, Layer::UpsampleNearest];
        let path = |choice| match choice {
            0 => vec![],
            1 => vec![conv(1, 0)],
            2 => vec![Layer::Silu, conv(3, 1), Layer::Tanh],
            3 => vec![Layer::ScaleShift { channels }, Layer::Residual { main: vec![], shortcut: vec![conv(1, 0)] }],
            4 => [vec![Layer::UpsampleBilinear], pool(), vec![Layer::AveragePool { kernel: 2 }]].concat(),
            5 => vec![Layer::Flatten, Layer::Reshape { shape: shape.to_vec() }],
            _ => vec![Layer::ConvTranspose2d {
                in_channels: channels, out_channels: channels, kernel: 3, stride: 1, padding: 1,
                output_padding: 0, bias: false,
            }],
        };
        let layer = Layer::Residual { main: path(paths % 7), shortcut: path(paths / 7) };
        check(vec![channels, rows, columns], layer, 2, seed)?;
    }

    #[test]
    fn upsample_nearest(shape in prop::array::uniform3(1usize..10), batch in 1usize..5, seed: u64) {
        check(shape.to_vec(), Layer::UpsampleNearest, batch, seed)?;
    }

    #[test]
    fn average_pool(
        channels in 1usize..6,
        [rows, columns, kernel] in prop::array::uniform3(1usize..6),
        batch in 1usize..5,
        seed: u64,
    ) {
        check(vec![channels, rows * kernel, columns * kernel], Layer::AveragePool { kernel }, batch, seed)?;
    }

    #[test]
    fn global_average_pool(shape in prop::array::uniform3(1usize..10), batch in 1usize..5, seed: u64) {
        check(shape.to_vec(), Layer::GlobalAveragePool, batch, seed)?;
    }

    #[test]
    fn activation(function in 0usize..4, slope in -0.5f32..1.5, elements in 1usize..300, seed: u64) {
        let layer = match function {
            0 => Layer::LeakyRelu { slope },
            1 => Layer::Relu,
            2 => Layer::Silu,
            _ => Layer::Tanh,
        };
        check(vec![elements], layer, 2, seed)?;
    }

    #[test]
    fn scale_shift(shape in prop::array::uniform3(1usize..8), image: bool, batch in 1usize..5, seed: u64) {
        let input = if image { shape.to_vec() } else { vec![shape[0]] };
        check(input, Layer::ScaleShift { channels: shape[0] }, batch, seed)?;
    }

    #[test]
    fn reshapes_alone_copy(shape in prop::array::uniform3(1usize..8), batch in 1usize..5, seed: u64) {
        check(shape.to_vec(), Layer::Flatten, batch, seed)?;
    }
}

/// Where the exponentials of a careless formula overflow, and where a tanh by exponentials cancels.
#[test]
fn activations_are_accurate_everywhere() {
    let Some(gpu) = gpu() else { return };
    let sizes = [0.0, 1e-30, 1e-6, 1e-3, 0.3, 0.6249, 0.6251, 3.0, 9.0, 40.0, 89.0, 200.0, 1e4, 1e30];
    let x: Vec<f32> = sizes.iter().flat_map(|&v| [v, -v]).collect();
    for layer in [Layer::Silu, Layer::Tanh, Layer::LeakyRelu { slope: 0.2 }] {
        let network = Network { input: vec![x.len()], layers: vec![layer.clone()], reference: None };
        let weighted = weigh(network, &mut Choices::new(0));
        let exact = Evaluator::<f64>::twin(&weighted.network, &[]).unwrap();
        let wide: Vec<f64> = x.iter().map(|&v| f64::from(v)).collect();
        let y = block_on(Forward::new(gpu, &weighted, 1).unwrap().run(&x)).unwrap();
        let ones = vec![1.0; x.len()];
        let slopes = block_on(InputGradient::new(gpu, &weighted, 1).unwrap().run(&x, &ones)).unwrap();
        let expected = exact.forward(&wide).into_iter().zip(exact.input_gradient(&wide, &vec![1.0; x.len()]));
        for (((&x, &y), &slope), (value, gradient)) in x.iter().zip(&y).zip(&slopes).zip(expected) {
            let close = |a: f32, b: f64, near: f64| (f64::from(a) - b).abs() <= 2e-6 * (b.abs() + near);
            // SiLU's far negative tail may be flushed to zero.
            assert!(close(y, value, 1e-12), "{layer:?}({x}) = {y}, not {value}");
            assert!(close(slope, gradient, 1.0), "slope of {layer:?} at {x} is {slope}, not {gradient}");
        }
    }
}

/// Each kernel that graphics processors choose among, under networks with all that a layer may ask of it: windows and
/// spreads, strides, linear layers, images made from vectors, folded scales, two paths, and every tail.
#[test]
fn every_choice_of_kernel_agrees() {
    let Some(gpu) = gpu() else { return };
    let conv = |in_channels, out_channels, kernel, stride| Layer::Conv2d {
        in_channels,
        out_channels,
        kernel,
        stride,
        padding: kernel / 2,
        bias: stride == 1,
    };
    let network = Network {
        input: vec![7],
        layers: vec![
            Layer::Linear { in_features: 7, out_features: 12 * 25, bias: true },
            Layer::Reshape { shape: vec![12, 5, 5] },
            Layer::UpsampleNearest,
            conv(12, 16, 3, 1),
            Layer::ScaleShift { channels: 16 },
            Layer::LeakyRelu { slope: 0.2 },
            Layer::Residual { main: vec![conv(16, 16, 1, 1), Layer::Silu], shortcut: vec![] },
            conv(16, 21, 4, 2),
            Layer::Tanh,
            Layer::ConvTranspose2d {
                in_channels: 21,
                out_channels: 8,
                kernel: 4,
                stride: 2,
                padding: 1,
                output_padding: 0,
                bias: true,
            },
            Layer::LeakyRelu { slope: 0.1 },
            conv(8, 3, 3, 1),
            Layer::Flatten,
            Layer::Linear { in_features: 3 * 12 * 12, out_features: 20, bias: true },
            Layer::Silu,
            Layer::Linear { in_features: 20, out_features: 9, bias: false },
        ],
        reference: None,
    };
    let mut choices = Choices::new(11);
    let weighted = weigh(network, &mut choices);
    let batch = 3;
    let x = choices.normals(batch * 7, 1.0);
    let twin = Evaluator::<f32>::twin(&weighted.network, &weighted.weights).unwrap();
    let grad_y = choices.normals(batch * twin.output_len(), 1.0);
    let (y, grad_x) = (twin.forward(&x), twin.input_gradient(&x, &grad_y));
    for choice in Choice::all() {
        let gpu = gpu.clone().with_kernel(choice);
        let found = block_on(Forward::new(&gpu, &weighted, batch).unwrap().run(&x)).unwrap();
        assert!(distance(&found, &y) <= 1e-5 * norm(&y), "{choice:?}: {}", distance(&found, &y) / norm(&y));
        let mut gradient = InputGradient::new(&gpu, &weighted, batch).unwrap();
        let found = block_on(gradient.run(&x, &grad_y)).unwrap();
        assert!(distance(&found, &grad_x) <= 2e-5 * norm(&grad_x), "gradient by {choice:?}");
    }
}
