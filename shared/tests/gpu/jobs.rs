//! Jobs on the GPU against the same jobs on the CPU.

use crate::random_network::{Choices, image_generator, weigh};
use crate::{agreeing_rows, gpu};
use dual_mcmc::chain::Langevin;
use dual_mcmc::executor::Executor;
use dual_mcmc::jobs::{
    self, LatentStart, Observed, Reconstructing, Reconstructor, Sampler, Sampling, Start, States,
};
use dual_mcmc::model::{Annotations, ChainDefaults, Model, Provenance};
use dual_mcmc::network::{Layer, Network};
use pollster::block_on;

const CHAINS: usize = 5;
const CPU: Executor = Executor::Cpu { threads: 1 };

/// A smooth generator of images, and an energy of them.
fn model() -> Model {
    let generator = image_generator(3, true);
    let shape = generator.network.output().unwrap();
    let len: usize = shape.iter().product();
    let layers = vec![
        Layer::Flatten,
        Layer::Linear { in_features: len, out_features: 8, bias: true },
        Layer::Silu,
        Layer::Linear { in_features: 8, out_features: 1, bias: false },
    ];
    let energy = weigh(Network { input: shape, layers, reference: Some(1.0) }, &mut Choices::new(8));
    Model {
        energy: Some(energy),
        generator: Some(generator),
        encoder: None,
        chains: ChainDefaults { x: None, z: None },
        energy_quantiles: None,
        provenance: Provenance::default(),
        annotations: Annotations::default(),
    }
}

fn check(gpu: &[f32], cpu: &[f32], what: &str) {
    let len = cpu.len() / CHAINS;
    assert_eq!(agreeing_rows(gpu, cpu, len, 1e-4), CHAINS, "{what}");
}

#[test]
fn samples_are_the_cpus() {
    let Some(gpu) = gpu() else { return };
    let (model, on_gpu) = (model(), Executor::Gpu(gpu.clone()));
    let langevin = Langevin::new(0.1, 0.1);
    for start in Start::ALL {
        let job = Sampling { count: CHAINS, start, steps: 6, langevin, seed: 9 };
        let cpu = block_on(job.run(&CPU, &model, true)).unwrap();
        let gpu = block_on(job.run(&on_gpu, &model, true)).unwrap();
        check(&gpu.start, &cpu.start, "starts");
        check(&gpu.end, &cpu.end, "ends");
        check(&gpu.trace.concat(), &cpu.trace.concat(), "traces");

        let mut sampler = Sampler::new(&on_gpu, &model, CHAINS).unwrap();
        block_on(sampler.start(start, 9)).unwrap();
        sampler.advance(2, &langevin).unwrap();
        sampler.advance(4, &langevin).unwrap();
        assert!(matches!((sampler.starts(), sampler.states()), (States::Gpu(_), States::Gpu(_))));
        assert_eq!(block_on(sampler.read_starts()).unwrap(), gpu.start);
        assert_eq!(block_on(sampler.read_states()).unwrap(), gpu.end);
        assert_eq!(block_on(sampler.trace()).unwrap().values, gpu.trace.concat());
    }
}

#[test]
fn latents_energies_and_reconstructions_are_the_cpus() {
    let Some(gpu) = gpu() else { return };
    let (model, on_gpu) = (model(), Executor::Gpu(gpu.clone()));
    let latent = model.generator.as_ref().unwrap().network.input_len();
    let latents = jobs::prior(2, 0, CHAINS, latent);
    let decoded = |on| block_on(jobs::decode(on, &model, &latents)).unwrap();
    let x = decoded(&CPU);
    check(&decoded(&on_gpu), &x, "decoded latents");

    let (cpu_energies, cpu_gradients) = block_on(jobs::energies_and_gradients(&CPU, &model, &x)).unwrap();
    let (energies, gradients) = block_on(jobs::energies_and_gradients(&on_gpu, &model, &x)).unwrap();
    check(&energies, &cpu_energies, "energies");
    check(&gradients, &cpu_gradients, "gradients");

    let len: usize = model.data_shape().iter().product();
    let mask: Vec<f32> = (0..x.len()).map(|i| f32::from(u8::from(i % 3 != 0))).collect();
    let job = Reconstructing {
        start: LatentStart::Prior,
        steps: 6,
        langevin: Langevin::new(0.05, 0.05),
        sigma: 0.5,
        seed: 4,
    };
    let run = |on| block_on(job.run(on, &model, &x, Some(&mask))).unwrap();
    let (gpu, cpu) = (run(&on_gpu), run(&CPU));
    check(&gpu.guess, &cpu.guess, "first guesses");
    check(&gpu.end, &cpu.end, "reconstructions");
    check(&gpu.trace.concat(), &cpu.trace.concat(), "errors along the chains");

    // One sample, chains advanced in pieces.
    let observed = Observed { x: &x[..len], mask: Some(&mask[..len]), sigma: 0.5 };
    let run = |on| {
        let mut reconstructor = Reconstructor::new(on, &model, CHAINS).unwrap();
        block_on(reconstructor.start_from(0, 0, &observed, 4)).unwrap();
        block_on(reconstructor.advance(2, &job.langevin)).unwrap();
        block_on(reconstructor.advance(4, &job.langevin)).unwrap();
        let errors = block_on(reconstructor.trace()).unwrap().values;
        (reconstructor.states().to_vec(), errors)
    };
    let ((gpu, gpu_errors), (cpu, cpu_errors)) = (run(&on_gpu), run(&CPU));
    check(&gpu, &cpu, "reconstructions of one sample");
    check(&gpu_errors, &cpu_errors, "errors of one sample");
}
