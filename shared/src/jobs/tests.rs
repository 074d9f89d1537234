#![allow(clippy::unwrap_used)]
use super::*;
use crate::chain::{XChainSettings, ZChainSettings};
use crate::model::{Annotations, ChainDefaults, Provenance};
use crate::network::{Layer, Network};
use pollster::block_on;

/// A Gaussian energy of width 1 over 3 values, and a generator that copies its latents.
fn model() -> Model {
    let energy = Network {
        input: vec![3],
        layers: vec![Layer::Linear { in_features: 3, out_features: 1, bias: false }],
        reference: Some(1.0),
    };
    let generator = Network {
        input: vec![3],
        layers: vec![Layer::Linear { in_features: 3, out_features: 3, bias: false }],
        reference: None,
    };
    let mut identity = vec![0.0; 9];
    identity.iter_mut().step_by(4).for_each(|w| *w = 1.0);
    Model {
        energy: Some(Weighted { network: energy, weights: vec![0.0; 3] }),
        generator: Some(Weighted { network: generator, weights: identity }),
        encoder: None,
        chains: ChainDefaults {
            x: Some(XChainSettings { steps: 5, langevin: Langevin::new(0.3, 0.3) }),
            z: None,
        },
        energy_quantiles: None,
        provenance: Provenance::default(),
        annotations: Annotations::default(),
    }
}

fn sampling(count: usize, steps: u32) -> Sampling {
    Sampling { count, start: Start::Generator, steps, langevin: Langevin::new(0.3, 0.3), seed: 4 }
}

#[test]
fn a_chain_does_not_depend_on_how_many_run_beside_it() {
    let model = model();
    let cpu = Executor::Cpu { threads: 2 };
    let many = block_on(sampling(batch(3) + 7, 6).run(&cpu, &model, true)).unwrap();
    let few = block_on(sampling(2, 6).run(&cpu, &model, true)).unwrap();
    assert_eq!(many.end[..6], few.end[..]);
    assert_eq!(many.trace.len(), 7);
    assert!(many.trace.iter().all(|row| row.len() == batch(3) + 7));
    for (many, few) in many.trace.iter().zip(&few.trace) {
        assert!((many[1] - few[1]).abs() < 1e-5);
    }
}

#[test]
fn long_traces_are_whole() {
    let sampled = block_on(sampling(2, 1300).run(&Executor::Cpu { threads: 1 }, &model(), true)).unwrap();
    assert_eq!(sampled.trace.len(), 1301);
    let energy = |x: &[f32]| x.iter().map(|v| v * v / 2.0).sum::<f32>();
    for (row, states) in [(&sampled.trace[0], &sampled.start), (&sampled.trace[1300], &sampled.end)] {
        for i in 0..2 {
            assert!((row[i] - energy(&states[3 * i..3 * i + 3])).abs() < 1e-4);
        }
    }
}

#[test]
fn without_steps_the_samples_are_the_starts() {
    let mut model = model();
    model.energy = None;
    let cpu = Executor::Cpu { threads: 1 };
    let sampled = block_on(sampling(5, 0).run(&cpu, &model, false)).unwrap();
    assert_eq!(sampled.start, sampled.end);
    assert_eq!(sampled.start, Noise::new(4, Stream::Prior).normal_rows(0, 5, 3, 0));
    let noise = Sampling { start: Start::Noise, ..sampling(5, 0) };
    assert_eq!(
        block_on(noise.run(&cpu, &model, false)).unwrap().end,
        Noise::new(4, Stream::Start).normal_rows(0, 5, 3, 0)
    );
    assert!(matches!(block_on(sampling(5, 1).run(&cpu, &model, false)), Err(JobError::Missing("energy"))));
}

#[test]
fn pieces_add_up() {
    for steps in [0, 1, 255, 256, 257, 1000] {
        let all: Vec<u32> = pieces(steps, true).collect();
        assert_eq!(all.iter().sum::<u32>(), steps);
        assert!(!all.is_empty() && all.iter().all(|&n| n < TRACE_LEN as u32));
    }
}

/// A sampler shows what a job gives, however its steps are cut, and however the chains are shared.
#[test]
fn samplers_share_the_chains_of_a_job() {
    let (model, cpu) = (model(), Executor::Cpu { threads: 1 });
    for start in Start::ALL {
        let job = Sampling { start, ..sampling(37, 6) };
        let whole = block_on(job.run(&cpu, &model, true)).unwrap();
        let mut states = Vec::new();
        let mut traces = Vec::new();
        for (first, chains) in [(0, 20), (20, 17)] {
            let mut sampler = Sampler::new(&cpu, &model, chains).unwrap();
            block_on(sampler.start_from(first, start, 4)).unwrap();
            assert_eq!(block_on(sampler.trace()).unwrap().rows().len(), 1, "the energies of the starts");
            sampler.advance(2, &job.langevin).unwrap();
            sampler.advance(4, &job.langevin).unwrap();
            assert_eq!(sampler.steps(), 6);
            states.extend(block_on(sampler.read_states()).unwrap());
            traces.push(block_on(sampler.trace()).unwrap());
        }
        assert_eq!(states, whole.end);
        let trace = Trace::side_by_side(traces);
        assert_eq!((trace.first_step, trace.chains, trace.rows().len()), (0, 37, 7));
        for (row, whole) in trace.rows().zip(&whole.trace) {
            assert!(row.iter().zip(whole).all(|(a, b)| (a - b).abs() < 1e-5));
        }
    }
}

/// Chains that are started where another batch has started go the same way.
#[test]
fn samplers_start_wherever_they_are_told_to() {
    let (model, cpu) = (model(), Executor::Cpu { threads: 1 });
    let langevin = Langevin::new(0.3, 0.3);
    let mut first = Sampler::new(&cpu, &model, 5).unwrap();
    block_on(first.start(Start::Generator, 4)).unwrap();
    let starts = block_on(first.read_starts()).unwrap();
    first.advance(3, &langevin).unwrap();
    let mut last_two = Sampler::new(&cpu, &model, 2).unwrap();
    last_two.start_at(3, &starts[9..], 4).unwrap();
    assert_eq!(block_on(last_two.read_starts()).unwrap(), starts[9..]);
    last_two.advance(3, &langevin).unwrap();
    assert_eq!(block_on(last_two.read_states()).unwrap(), block_on(first.read_states()).unwrap()[9..]);
    assert!(matches!(last_two.start_at(0, &starts, 4), Err(JobError::Samples(_))));
}

#[test]
fn a_model_without_an_energy_has_starts_only() {
    let mut model = model();
    model.energy = None;
    let cpu = Executor::Cpu { threads: 1 };
    let mut sampler = Sampler::new(&cpu, &model, 3).unwrap();
    block_on(sampler.start(Start::Generator, 0)).unwrap();
    assert!(!sampler.runs() && sampler.advance(1, &Langevin::new(0.1, 0.1)).is_err());
    assert_eq!(block_on(sampler.read_states()).unwrap(), prior(0, 0, 3, 3));
    assert!(block_on(sampler.trace()).unwrap().values.is_empty());
    assert!(matches!(block_on(energies(&cpu, &model, &[0.0; 3])), Err(JobError::Missing("energy"))));
}

#[test]
fn the_recommended_chain_changes_where_it_is_told_to() {
    let mut model = model();
    let changes = Changes { step_size: Some(0.1), ..Changes::default() };
    let changed = Sampling::changed(&model, 1, 0, changes).unwrap();
    assert_eq!((changed.steps, changed.langevin), (5, Langevin::new(0.1, 0.3)));
    assert!(Sampling::changed(&model, 1, 0, Changes { noise: Some(-1.0), ..changes }).is_err());
    model.chains.x = None;
    assert!(matches!(
        Sampling::changed(&model, 1, 0, changes),
        Err(JobError::NoChain { chain: "x-chain", .. })
    ));
    let all = Changes { steps: Some(7), noise: Some(0.2), ..changes };
    let changed = Sampling::changed(&model, 1, 0, all).unwrap();
    assert_eq!((changed.steps, changed.langevin), (7, Langevin::new(0.1, 0.2)));
    assert_eq!(
        Sampling::changed(&model, 1, 0, Changes { steps: Some(0), ..Changes::default() }).unwrap().steps,
        0
    );
    assert!(Reconstructing::changed(&model, 0, all).is_err());
    let reconstructing = Reconstructing::changed(&model, 0, Changes { sigma: Some(0.5), ..all }).unwrap();
    assert_eq!((reconstructing.steps, reconstructing.sigma), (7, 0.5));
}

/// The generator copies its latents, so the posterior of a value that is seen is N(x/(1 + σ²/2), …), and the prior where
/// it is hidden: gradient descent ends at its mean.
#[test]
fn what_the_mask_hides_is_filled_in_by_the_prior() {
    let mut model = model();
    let (steps, sigma) = (4000, 0.6f32);
    model.chains.z = Some(ZChainSettings { steps, sigma, langevin: Langevin::new(0.3, 0.0) });
    let x = [1.0, -2.0, 0.5, 0.3, 0.0, 1.5];
    let mask = [1.0, 1.0, 0.0, 1.0, 0.0, 1.0];
    let job = Reconstructing { start: LatentStart::Prior, ..Reconstructing::recommended(&model, 1).unwrap() };
    let cpu = Executor::Cpu { threads: 2 };
    let back = block_on(job.run(&cpu, &model, &x, Some(&mask))).unwrap();
    for ((end, x), mask) in back.end.iter().zip(x).zip(mask) {
        let expected = if mask == 1.0 { x / (1.0 + sigma * sigma / 2.0) } else { 0.0 };
        assert!((end - expected).abs() < 1e-3, "{end}, not {expected}");
    }
    assert_eq!((back.trace.len(), back.trace[0].len()), (steps as usize + 1, 2));
    assert!(back.trace[0].iter().zip(&back.trace[steps as usize]).all(|(first, last)| last < first));
    let from_encoder = Reconstructing { start: LatentStart::Encoder, ..job };
    assert!(matches!(block_on(from_encoder.run(&cpu, &model, &x, None)), Err(JobError::Missing("encoder"))));
    assert!(block_on(job.run(&cpu, &model, &x[..4], None)).is_err());
}

/// A reconstructor shows what a job gives for copies of one sample, however its steps are cut and its chains shared.
#[test]
fn reconstructors_share_the_chains_of_a_job() {
    let mut model = model();
    // It doubles what it sees, and is unsure of nothing.
    let layer = Layer::Linear { in_features: 3, out_features: 6, bias: false };
    let network = Network { input: vec![3], layers: vec![layer], reference: None };
    let mut weights = vec![0.0; 18];
    weights[..9].iter_mut().step_by(4).for_each(|w| *w = 2.0);
    model.encoder = Some(Weighted { network, weights });
    let langevin = Langevin::new(0.2, 0.2);
    let (x, mask, cpu) = ([1.0, -2.0, 0.5], [1.0, 0.0, 1.0], Executor::Cpu { threads: 1 });
    let job = |start| {
        let job = Reconstructing { start, steps: 6, langevin, sigma: 0.5, seed: 4 };
        block_on(job.run(&cpu, &model, &x.repeat(8), Some(&mask.repeat(8)))).unwrap()
    };
    let [encoder, prior] = LatentStart::ALL.map(job);
    let observed = Observed { x: &x, mask: Some(&mask), sigma: 0.5 };
    let (mut starts, mut states, mut traces) = (Vec::new(), Vec::new(), Vec::new());
    // The first five start at the encoder's mean: three of the first part, two of the second.
    for (first, chains) in [(0, 3), (3, 5)] {
        let mut reconstructor = Reconstructor::new(&cpu, &model, chains).unwrap();
        block_on(reconstructor.start_from(first, 5, &observed, 4)).unwrap();
        starts.extend_from_slice(reconstructor.starts());
        assert_eq!(reconstructor.states(), reconstructor.starts());
        block_on(reconstructor.advance(2, &langevin)).unwrap();
        block_on(reconstructor.advance(4, &langevin)).unwrap();
        assert_eq!(reconstructor.steps(), 6);
        // This generator copies its latents.
        assert_eq!(block_on(reconstructor.latents()).unwrap(), reconstructor.states());
        states.extend_from_slice(reconstructor.states());
        traces.push(block_on(reconstructor.trace()).unwrap());
    }
    let mixed = |of: fn(&Reconstructed) -> &Vec<f32>| [&of(&encoder)[..15], &of(&prior)[15..]].concat();
    assert_eq!(starts, mixed(|back| &back.guess));
    assert_eq!(states, mixed(|back| &back.end));
    let trace = Trace::side_by_side(traces);
    assert_eq!((trace.chains, trace.rows().len()), (8, 7));
    for ((row, encoder), prior) in trace.rows().zip(&encoder.trace).zip(&prior.trace) {
        assert_eq!((&row[..5], &row[5..]), (&encoder[..5], &prior[5..]));
    }
    assert_eq!(starts[..3], [2.0, 0.0, 1.0], "the encoder sees a hole as grey");
    assert_eq!(block_on(encode(&cpu, &model, &x.repeat(2))).unwrap(), [2.0, -4.0, 1.0].repeat(2));

    let mut alone = Reconstructor::new(&cpu, &Model { encoder: None, ..model.clone() }, 2).unwrap();
    let refused = block_on(alone.start_from(0, 1, &observed, 4));
    assert!(matches!(refused, Err(JobError::Missing("encoder"))));
    assert!(block_on(alone.start_from(0, 0, &observed, 4)).is_ok());
    let two = Observed { x: &x.repeat(2), ..observed };
    assert!(matches!(block_on(alone.start_from(0, 0, &two, 4)), Err(JobError::Samples(_))));
    let sure = Observed { sigma: 0.0, ..observed };
    assert!(matches!(block_on(alone.start_from(0, 0, &sure, 4)), Err(JobError::Settings(_))));
}

/// The energy is a Gaussian in each value by itself: hidden ones do as in a chain of all of them, known ones stay.
#[test]
fn only_what_is_hidden_is_filled_in() {
    let (model, cpu, langevin) = (model(), Executor::Cpu { threads: 1 }, Langevin::new(0.3, 0.3));
    let states: Vec<f32> = (0..12).map(|i| i as f32 / 4.0 - 1.0).collect();
    let (x, mask) = ([9.0, -3.0, 7.0], [0.0, 1.0, 0.0]);
    let run = |first: u32, states: &[f32], pieces: &[u32]| {
        let mut filler = Filler::new(&cpu, &model, states.len() / 3).unwrap();
        filler.start_at(first, states, [&x, &mask], 4).unwrap();
        for &steps in pieces {
            block_on(filler.advance(steps, &langevin)).unwrap();
        }
        filler
    };
    let mut filler = run(0, &states, &[2, 3]);
    let mut sampler = Sampler::new(&cpu, &model, 4).unwrap();
    sampler.start_at(0, &states, 4).unwrap();
    sampler.advance(5, &langevin).unwrap();
    let free = block_on(sampler.read_states()).unwrap();
    for ((filled, free), start) in
        filler.states().chunks(3).zip(free.chunks(3)).zip(filler.starts().chunks(3))
    {
        assert_eq!((filled[1], start[1]), (-3.0, -3.0));
        for i in [0, 2] {
            assert!((filled[i] - free[i]).abs() < 1e-6, "{filled:?} {free:?}");
        }
    }
    // The energies are those of the states with their known values, before each step and after the last.
    let trace = block_on(filler.trace()).unwrap();
    assert_eq!((trace.first_step, trace.chains, trace.rows().len(), filler.steps()), (0, 4, 6, 5));
    let energies = block_on(energies(&cpu, &model, filler.states())).unwrap();
    let first = block_on(super::energies(&cpu, &model, filler.starts())).unwrap();
    let near = |row: &[f32], expected: &[f32]| row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5);
    assert!(near(trace.last(), &energies) && near(trace.rows().next().unwrap(), &first));
    // In parts as in one.
    assert_eq!(run(2, &states[6..], &[5]).states(), &filler.states()[6..]);

    let mut long = run(0, &states, &[600]);
    let trace = block_on(long.trace()).unwrap();
    assert_eq!((trace.rows().len(), trace.first_step), (TRACE_LEN, 600 - TRACE_LEN as u32 + 1));
    let refused = long.start_at(0, &states[3..], [&x, &mask], 4);
    assert!(matches!(refused, Err(JobError::Samples(_))));
    let without = Model { energy: None, ..model.clone() };
    assert!(matches!(Filler::new(&cpu, &without, 4), Err(JobError::Missing("energy"))));
}

#[test]
fn impossible_z_chains_are_refused() {
    let (model, cpu) = (model(), Executor::Cpu { threads: 1 });
    let possible = Reconstructing {
        start: LatentStart::Prior,
        steps: 1,
        langevin: Langevin::new(0.1, 0.1),
        sigma: 0.5,
        seed: 0,
    };
    let run = |job: Reconstructing| block_on(job.run(&cpu, &model, &[0.0; 3], None));
    assert!(run(possible).is_ok());
    let mala = Langevin { mala: true, ..possible.langevin };
    let refused = run(Reconstructing { langevin: mala, ..possible });
    assert!(matches!(refused, Err(JobError::Settings(_))), "MALA");
    for sigma in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        let refused = run(Reconstructing { sigma, ..possible });
        assert!(matches!(refused, Err(JobError::Settings(_))), "sigma {sigma}");
        let changes = Changes { steps: Some(1), step_size: Some(0.1), noise: Some(0.1), sigma: Some(sigma) };
        assert!(matches!(Reconstructing::changed(&model, 0, changes), Err(JobError::Settings(_))));
    }
}

#[test]
fn starts_have_names() {
    for start in Start::ALL {
        assert_eq!(Start::from_name(start.name()), Some(start));
    }
    for start in LatentStart::ALL {
        assert_eq!(LatentStart::from_name(start.name()), Some(start));
    }
    assert_eq!((Start::from_name("prior"), LatentStart::from_name("noise")), (None, None));
}
