//! The chains against the CPU's, and against themselves run in other ways.

use crate::random_network::{Choices, image_energy, image_generator, vector_energy};
use crate::{agreeing_rows, distance, gpu, norm};
use dual_mcmc::chain::{ChainNoise, Langevin, TRACE_LEN};
use dual_mcmc::cpu;
use dual_mcmc::gpu::{Forward, GpuError, XChain, ZChain};
use dual_mcmc::model::Weighted;
use dual_mcmc::network::{Layer, Network};
use dual_mcmc::noise::Stream;
use pollster::block_on;

const CHAINS: usize = 6;

fn start(weighted: &Weighted, seed: u64) -> Vec<f32> {
    Choices::new(seed ^ 0x1234).normals(CHAINS * weighted.network.input_len(), 0.7)
}

fn noise(stream: Stream) -> ChainNoise {
    ChainNoise { first_chain: 3, first_step: 1000, ..ChainNoise::new(0x1_0000_0007, stream) }
}

/// Hot, cold, and clamped both ways.
fn settings() -> [Langevin; 3] {
    [
        Langevin::new(0.1, 0.1),
        Langevin::new(0.3, 0.001),
        Langevin { gradient_clamp: Some(0.05), range_clamp: Some([-0.5, 0.6]), ..Langevin::new(0.4, 0.02) },
    ]
}

/// Each chain's displacement agrees to 1e-4 of its norm.
fn check_displacement(start: &[f32], gpu: &[f32], cpu: &[f32], what: &str) {
    let moved = |end: &[f32]| -> Vec<f32> { end.iter().zip(start).map(|(e, s)| e - s).collect() };
    let agreed = agreeing_rows(&moved(gpu), &moved(cpu), start.len() / CHAINS, 1e-4);
    assert_eq!(agreed, CHAINS, "{what}: displacement of chains");
}

fn check_values(gpu: &[f32], cpu: &[f32], what: &str) {
    let size = norm(cpu) / (cpu.len() as f64).sqrt();
    for (&a, &b) in gpu.iter().zip(cpu) {
        assert!(f64::from((a - b).abs()) <= 1e-4 * f64::from(b.abs()).max(size), "{what}: {a} and {b}");
    }
}

#[test]
fn the_x_chain_moves_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for seed in 0..4 {
        for energy in [image_energy(seed, true), vector_energy(seed, true)] {
            let x = start(&energy, seed);
            for (langevin, steps) in settings().iter().flat_map(|l| [(l, 1), (l, 6)]) {
                let what = format!("seed {seed}, {steps} steps, {langevin:?}");
                let mut on_cpu = cpu::XChain::new(&energy, CHAINS, 1).unwrap();
                on_cpu.start(&x, noise(Stream::XChain));
                on_cpu.run(steps, langevin);
                let mut chain = XChain::new(gpu, &energy, CHAINS).unwrap();
                chain.start(&x, noise(Stream::XChain)).unwrap();
                chain.run(steps, langevin).unwrap();
                check_displacement(&x, &block_on(chain.state()).unwrap(), on_cpu.state(), &what);
                let trace = block_on(chain.trace()).unwrap();
                assert_eq!(trace.rows().len(), on_cpu.trace().rows().len());
                check_values(&trace.values, &on_cpu.trace().values, &what);
                assert_eq!(block_on(chain.energies()).unwrap(), trace.last());
            }
        }
    }
}

/// MALA on the GPU makes the CPU's proposals and decides on them as it does.
#[test]
fn mala_moves_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let mut refused = 0;
    for seed in 0..4 {
        for energy in [image_energy(seed, true), vector_energy(seed, true)] {
            let x = start(&energy, seed);
            let langevin = Langevin { mala: true, ..Langevin::new(0.8, 0.8) };
            let what = format!("seed {seed}");
            let mut on_cpu = cpu::XChain::new(&energy, CHAINS, 1).unwrap();
            on_cpu.start(&x, noise(Stream::XChain));
            on_cpu.run(8, &langevin);
            let mut chain = XChain::new(gpu, &energy, CHAINS).unwrap();
            chain.start(&x, noise(Stream::XChain)).unwrap();
            assert_eq!(block_on(chain.acceptance()).unwrap(), None);
            chain.run(3, &langevin).unwrap();
            chain.run(5, &langevin).unwrap();
            check_displacement(&x, &block_on(chain.state()).unwrap(), on_cpu.state(), &what);
            let trace = block_on(chain.trace()).unwrap();
            assert_eq!(trace.rows().len(), on_cpu.trace().rows().len());
            check_values(&trace.values, &on_cpu.trace().values, &what);
            let acceptance = block_on(chain.acceptance()).unwrap();
            assert_eq!(acceptance, on_cpu.acceptance());
            refused += usize::from(acceptance.unwrap() < 1.0);
            // An unadjusted run goes on from the states, not from the last proposals.
            chain.run(1, &Langevin::new(0.1, 0.1)).unwrap();
            on_cpu.run(1, &Langevin::new(0.1, 0.1));
            check_displacement(&x, &block_on(chain.state()).unwrap(), on_cpu.state(), &what);
        }
    }
    assert!(refused > 0, "every proposal was accepted: nothing was tested");
}

#[test]
fn the_z_chain_moves_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for seed in 0..4 {
        let generator = image_generator(seed, true);
        let z = start(&generator, seed);
        let data: usize = generator.network.output().unwrap().iter().product();
        let mut choices = Choices::new(seed ^ 0x99);
        let target = choices.normals(CHAINS * data, 0.5);
        let holes: Vec<f32> = (0..CHAINS * data).map(|_| choices.below(2) as f32).collect();
        for mask in [None, Some(&holes[..data]), Some(&holes[..])] {
            for (langevin, steps) in settings().iter().flat_map(|l| [(l, 1), (l, 5)]) {
                let langevin = Langevin { step_size: 0.3 * langevin.step_size, ..*langevin };
                let what = format!("seed {seed}, {steps} steps, {langevin:?}");
                let mut on_cpu = cpu::ZChain::new(&generator, CHAINS, 1).unwrap();
                on_cpu.set_target(&target, mask, 0.4);
                on_cpu.start(&z, noise(Stream::ZChain));
                on_cpu.run(steps, &langevin);
                let mut chain = ZChain::new(gpu, &generator, CHAINS).unwrap();
                chain.set_target(&target, mask, 0.4).unwrap();
                chain.start(&z, noise(Stream::ZChain)).unwrap();
                chain.run(steps, &langevin).unwrap();
                check_displacement(&z, &block_on(chain.state()).unwrap(), on_cpu.state(), &what);
                let trace = block_on(chain.trace()).unwrap();
                check_values(&trace.values, &on_cpu.trace().values, &what);
                assert_eq!(block_on(chain.errors()).unwrap(), trace.last());
            }
        }
    }
}

fn states(energy: &Weighted, x: &[f32], runs: &[u32]) -> Vec<u32> {
    let mut chain = XChain::new(gpu().unwrap(), energy, CHAINS).unwrap();
    chain.start(x, noise(Stream::XChain)).unwrap();
    for &steps in runs {
        chain.run(steps, &Langevin::new(0.2, 0.1)).unwrap();
    }
    block_on(chain.state()).unwrap().iter().map(|v| v.to_bits()).collect()
}

#[test]
fn a_seed_gives_one_chain_however_it_is_run() {
    if gpu().is_none() {
        return;
    }
    let energy = image_energy(5, false);
    let x = start(&energy, 5);
    let once = states(&energy, &x, &[10]);
    assert_eq!(once, states(&energy, &x, &[10]), "the same again");
    assert_eq!(once, states(&energy, &x, &[1; 10]), "ten runs of one step");
    assert_eq!(once, states(&energy, &x, &[0, 3, 0, 7]), "runs of no step");
    assert_ne!(once, states(&energy, &x, &[9]));
}

#[test]
fn restarting_forgets_everything() {
    let Some(gpu) = gpu() else { return };
    let energy = vector_energy(2, true);
    let x = start(&energy, 2);
    let mut chain = XChain::new(gpu, &energy, CHAINS).unwrap();
    assert!(block_on(chain.trace()).unwrap().values.is_empty());
    chain.start(&x, noise(Stream::XChain)).unwrap();
    let begun = block_on(chain.trace()).unwrap();
    assert_eq!((begun.first_step, begun.rows().len()), (0, 1), "the energies of the starts");
    chain.run(7, &Langevin::new(0.2, 0.1)).unwrap();
    let first = (block_on(chain.state()).unwrap(), block_on(chain.trace()).unwrap());
    chain.start(&x, noise(Stream::XChain)).unwrap();
    assert_eq!(block_on(chain.state()).unwrap(), x);
    chain.run(7, &Langevin::new(0.2, 0.1)).unwrap();
    assert_eq!(first, (block_on(chain.state()).unwrap(), block_on(chain.trace()).unwrap()));
}

/// Chains 2 and 3 of four, alone: a batch can be split over devices.
#[test]
fn a_part_of_the_chains_moves_as_within_the_whole() {
    let Some(gpu) = gpu() else { return };
    let energy = vector_energy(4, true);
    let (x, len) = (start(&energy, 4), energy.network.input_len());
    let run = |x: &[f32], first_chain: u32| {
        let mut chain = XChain::new(gpu, &energy, x.len() / len).unwrap();
        let noise = ChainNoise { first_chain, ..ChainNoise::new(1, Stream::XChain) };
        chain.start(x, noise).unwrap();
        chain.run(4, &Langevin::new(0.2, 0.2)).unwrap();
        block_on(chain.state()).unwrap()
    };
    assert_eq!(run(&x, 10)[2 * len..4 * len], run(&x[2 * len..4 * len], 12));
}

#[test]
fn the_x_chain_starts_from_the_generator_without_a_readback() {
    let Some(gpu) = gpu() else { return };
    let generator = image_generator(1, true);
    let shape = generator.network.output().unwrap();
    let len: usize = shape.iter().product();
    let layers = vec![Layer::Flatten, Layer::Linear { in_features: len, out_features: 1, bias: false }];
    let network = Network { input: shape, layers, reference: Some(1.0) };
    let energy = crate::random_network::weigh(network, &mut Choices::new(8));
    let z = start(&generator, 1);
    let mut forward = Forward::new(gpu, &generator, CHAINS).unwrap();
    let images = block_on(forward.run(&z)).unwrap();

    let mut chain = XChain::new(gpu, &energy, CHAINS).unwrap();
    forward.submit(&z).unwrap();
    chain.start_from_buffer(forward.output_buffer(), noise(Stream::XChain)).unwrap();
    assert_eq!(block_on(chain.state()).unwrap(), images);
    chain.run(3, &Langevin::new(0.2, 0.1)).unwrap();
    let end = block_on(chain.state()).unwrap();
    chain.start(&images, noise(Stream::XChain)).unwrap();
    chain.run(3, &Langevin::new(0.2, 0.1)).unwrap();
    assert_eq!(block_on(chain.state()).unwrap(), end);
    assert!(distance(&end, &images) > 0.0);
}

/// What another program on the device has computed reaches the chains from its buffer.
#[test]
fn weights_come_from_a_buffer() {
    let Some(gpu) = gpu() else { return };
    let (energy, generator) = (vector_energy(3, true), image_generator(3, true));
    let other = |network: &Weighted| -> Vec<f32> { network.weights.iter().map(|w| 0.7 * w + 0.01).collect() };
    let lend = |weights: &[f32]| {
        // Behind other numbers, as in a pool.
        let numbers = [&[9.0; 64][..], weights].concat();
        let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: 4 * numbers.len() as u64,
            usage: wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        gpu.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(&numbers));
        buffer
    };
    let weights = other(&energy);
    let x = start(&energy, 3);
    let mut chain = XChain::new(gpu, &energy, CHAINS).unwrap();
    let ends = [false, true].map(|from_buffer| {
        match from_buffer {
            true => chain.set_weights_from_buffer(&lend(&weights), 256).unwrap(),
            false => chain.set_weights(&weights).unwrap(),
        }
        chain.start(&x, noise(Stream::XChain)).unwrap();
        chain.run(3, &Langevin::new(0.2, 0.1)).unwrap();
        let end = block_on(chain.state()).unwrap();
        chain.set_weights(&energy.weights).unwrap();
        end
    });
    assert_eq!(ends[0], ends[1]);
    let short = lend(&weights[1..]);
    assert!(matches!(chain.set_weights_from_buffer(&short, 256), Err(GpuError::Length { .. })));
    assert!(matches!(chain.set_weights_from_buffer(&short, 1 << 40), Err(GpuError::Length { .. })));

    let weights = other(&generator);
    let z = start(&generator, 3);
    let data: usize = generator.network.output().unwrap().iter().product();
    let mut chain = ZChain::new(gpu, &generator, CHAINS).unwrap();
    chain.set_target(&vec![0.2; CHAINS * data], None, 0.5).unwrap();
    let ends = [false, true].map(|from_buffer| {
        match from_buffer {
            true => chain.set_weights_from_buffer(&lend(&weights), 256).unwrap(),
            false => chain.set_weights(&weights).unwrap(),
        }
        chain.start(&z, noise(Stream::ZChain)).unwrap();
        chain.run(3, &Langevin::new(0.05, 0.1)).unwrap();
        let end = block_on(chain.state()).unwrap();
        chain.set_weights(&generator.weights).unwrap();
        end
    });
    assert_eq!(ends[0], ends[1]);
}

/// More steps than the trace's ring holds, and than one submission.
#[test]
fn a_long_trace_keeps_the_newest_rows() {
    let Some(gpu) = gpu() else { return };
    let layers = vec![Layer::Linear { in_features: 3, out_features: 1, bias: true }];
    let network = Network { input: vec![3], layers, reference: Some(1.0) };
    let energy = Weighted { network, weights: vec![0.3, -0.2, 0.1, 0.5] };
    let x = start(&energy, 0);
    let mut on_cpu = cpu::XChain::new(&energy, CHAINS, 1).unwrap();
    let mut chain = XChain::new(gpu, &energy, CHAINS).unwrap();
    on_cpu.start(&x, noise(Stream::XChain));
    chain.start(&x, noise(Stream::XChain)).unwrap();
    for steps in [0, 400, 111, 1, 500, 3] {
        on_cpu.run(steps, &Langevin::new(0.3, 0.3));
        chain.run(steps, &Langevin::new(0.3, 0.3)).unwrap();
        let (expected, trace) = (on_cpu.trace(), block_on(chain.trace()).unwrap());
        assert_eq!((trace.first_step, trace.chains), (expected.first_step, expected.chains));
        assert_eq!(trace.values.len(), expected.values.len());
        check_values(&trace.values, &expected.values, "trace");
    }
    assert_eq!(block_on(chain.trace()).unwrap().rows().len(), TRACE_LEN);
}

/// A clamp must not turn a broken chain into a plausible one, and it must not break its neighbours.
#[test]
fn nan_stays_visible() {
    let Some(gpu) = gpu() else { return };
    let energy = vector_energy(6, true);
    let len = energy.network.input_len();
    let mut x = start(&energy, 6);
    let clamped = settings()[2];
    let mut chain = XChain::new(gpu, &energy, CHAINS).unwrap();
    chain.start(&x, noise(Stream::XChain)).unwrap();
    chain.run(3, &clamped).unwrap();
    let healthy = block_on(chain.state()).unwrap();
    x[len] = f32::NAN;
    chain.start(&x, noise(Stream::XChain)).unwrap();
    chain.run(3, &clamped).unwrap();
    let state = block_on(chain.state()).unwrap();
    assert!(state[len..2 * len].iter().all(|v| v.is_nan()), "{:?}", &state[len..2 * len]);
    assert_eq!(state[..len], healthy[..len]);
    assert_eq!(state[2 * len..], healthy[2 * len..]);
    let energies = block_on(chain.energies()).unwrap();
    assert!(energies[1].is_nan() && energies[0].is_finite());
}

#[test]
fn reading_does_not_hold_the_chain() {
    let Some(gpu) = gpu() else { return };
    let energy = vector_energy(7, true);
    let x = start(&energy, 7);
    let mut chain = XChain::new(gpu, &energy, CHAINS).unwrap();
    chain.start(&x, noise(Stream::XChain)).unwrap();
    let at_start = chain.state();
    chain.run(5, &Langevin::new(0.2, 0.1)).unwrap();
    block_on(chain.finish()).unwrap();
    assert_eq!(block_on(at_start).unwrap(), x);
    assert_ne!(block_on(chain.state()).unwrap(), x);
}
