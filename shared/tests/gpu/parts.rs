//! More chains than fit through the layers at once run as they would in smaller numbers.

use crate::gpu;
use crate::random_network::{Choices, weigh};
use dual_mcmc::chain::{ChainNoise, Langevin, Trace};
use dual_mcmc::gpu::{EnergyGradient, Forward, Gpu, XChain, ZChain};
use dual_mcmc::model::Weighted;
use dual_mcmc::network::{Layer, Network};
use dual_mcmc::noise::Stream;
use pollster::block_on;

/// A layer so wide that 838 rows fill the largest binding that WebGPU promises.
const WIDE: usize = 40_000;
const CHAINS: usize = 901;
/// As many as the layers hold when there are two parts.
const PART: usize = 451;

fn linear(in_features: usize, out_features: usize) -> Layer {
    Layer::Linear { in_features, out_features, bias: true }
}

fn wide(layers: Vec<Layer>, reference: Option<f32>) -> (Weighted, Vec<f32>) {
    let mut choices = Choices::new(3);
    let weighted = weigh(Network { input: vec![2], layers, reference }, &mut choices);
    let x = choices.normals(2 * CHAINS, 1.0);
    (weighted, x)
}

fn noise(first_chain: usize, stream: Stream) -> ChainNoise {
    ChainNoise { first_chain: first_chain as u32, ..ChainNoise::new(5, stream) }
}

#[test]
fn the_x_chain_in_parts_is_the_x_chain() {
    let Some(gpu) = gpu() else { return };
    let (energy, x) =
        wide(vec![linear(2, WIDE), Layer::LeakyRelu { slope: 0.2 }, linear(WIDE, 1)], Some(2.0));
    assert_eq!(EnergyGradient::rows_at_once(gpu, &energy, CHAINS), Ok(PART));
    for mala in [false, true] {
        let langevin = Langevin { mala, ..Langevin::new(0.3, 0.3) };
        let run = |x: &[f32], first_chain: usize| {
            let mut chain = XChain::new(gpu, &energy, x.len() / 2).unwrap();
            chain.start(x, noise(first_chain, Stream::XChain)).unwrap();
            chain.run(2, &langevin).unwrap();
            chain.run(1, &langevin).unwrap();
            let trace = block_on(chain.trace()).unwrap();
            assert_eq!(block_on(chain.energies()).unwrap(), trace.last());
            (block_on(chain.state()).unwrap(), trace, block_on(chain.acceptance()).unwrap())
        };
        let (state, trace, acceptance) = run(&x, 0);
        let (first, rest) = (run(&x[..2 * PART], 0), run(&x[2 * PART..], PART));
        assert_eq!(state, [first.0, rest.0].concat());
        assert_eq!((trace.chains, trace.rows().len()), (CHAINS, 4));
        assert_eq!(trace, Trace::side_by_side(vec![first.1, rest.1]));
        assert_eq!(acceptance.is_some(), mala);
        if let (Some(all), Some(first), Some(rest)) = (acceptance, first.2, rest.2) {
            let expected = (first * PART as f32 + rest * (CHAINS - PART) as f32) / CHAINS as f32;
            assert!((all - expected).abs() < 1e-5, "{all}, not {expected}");
        }
    }
}

#[test]
fn the_z_chain_in_parts_is_the_z_chain() {
    let Some(gpu) = gpu() else { return };
    let (generator, z) = wide(vec![linear(2, WIDE), Layer::Tanh, linear(WIDE, 3)], None);
    let mut choices = Choices::new(4);
    let x = choices.normals(3 * CHAINS, 1.0);
    let mask: Vec<f32> = choices.normals(3 * CHAINS, 1.0).iter().map(|v| f32::from(*v > 0.0)).collect();
    let run = |gpu: &Gpu, chains: std::ops::Range<usize>| {
        let data = 3 * chains.start..3 * chains.end;
        let mut chain = ZChain::new(gpu, &generator, chains.len()).unwrap();
        chain.set_target(&x[data.clone()], Some(&mask[data]), 0.5).unwrap();
        chain.start(&z[2 * chains.start..2 * chains.end], noise(chains.start, Stream::ZChain)).unwrap();
        chain.run(3, &Langevin::new(0.01, 0.1)).unwrap();
        let errors = block_on(chain.errors()).unwrap();
        (block_on(chain.state()).unwrap(), errors, block_on(chain.trace()).unwrap())
    };
    let whole = run(gpu, 0..CHAINS);
    let (first, rest) = (run(gpu, 0..PART), run(gpu, PART..CHAINS));
    assert_eq!(whole.0, [first.0, rest.0].concat());
    assert_eq!(whole.1, [first.1, rest.1].concat());
    assert_eq!(whole.2, Trace::side_by_side(vec![first.2, rest.2]));
}

/// A forward pass takes what fits; the executor for any number of rows asks first.
#[test]
fn forward_passes_say_how_many_rows_they_take() {
    let Some(gpu) = gpu() else { return };
    let (network, _) = wide(vec![linear(2, WIDE), linear(WIDE, 1)], None);
    assert_eq!(Forward::rows_at_once(gpu, &network, 100), Ok(100));
    assert_eq!(Forward::rows_at_once(gpu, &network, CHAINS), Ok(PART));
    assert!(Forward::new(gpu, &network, CHAINS).is_err());
}
