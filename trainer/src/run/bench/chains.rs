//! Steps of the chains alone.

use super::{Settings, median, recipe, repeated};
use anyhow::{Result, ensure};
use dual_mcmc::chain::{ChainNoise, Langevin};
use dual_mcmc::executor::Executor;
use dual_mcmc::model::Weighted;
use dual_mcmc::network::{self, Layer};
use dual_mcmc::noise::{Noise, Stream};
use pollster::block_on;
use serde_json::{Map, Value, json};

/// Networks whose chains are timed. Weights are random: the time does not depend on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Network {
    /// Energy and generator of the recipe `ring`
    Ring,
    /// Energy and generator of the recipe `fashion-mnist`
    FashionMnist,
    /// An energy of four 3×3 convolutions with 128 channels on 32×32: arithmetic and little else
    Wide,
    /// Energy and generator of the recipe `cifar10-paper`
    Cifar10Paper,
}

/// Steps between two looks at the clock.
const STEPS: u32 = 10;

/// A name, a network, and whether it is a generator.
type Case = (String, network::Network, bool);

pub(super) fn run(executor: &Executor, settings: &Settings) -> Result<Value> {
    let mut all = Map::new();
    for &network in &settings.networks {
        for (name, network, generates) in cases(network)? {
            let mut figures = Map::new();
            for &chains in &settings.chains {
                ensure!(chains > 0, "the number of chains must be positive");
                let weighted = with_random_weights(network.clone());
                // An input gradient takes about as many operations as the forward pass.
                let flops = 2 * weighted.network.flops()?;
                let time = if generates {
                    z_chain(executor, &weighted, chains, settings)?
                } else {
                    x_chain(executor, &weighted, chains, settings)?
                };
                figures.insert(
                    format!("{chains}_chains"),
                    json!({
                        "milliseconds_a_step": time,
                        "chain_steps_a_second": 1e3 * chains as f64 / time,
                        "gigaflops": flops as f64 * chains as f64 / time / 1e6,
                    }),
                );
            }
            all.insert(name, figures.into());
        }
    }
    Ok(all.into())
}

fn cases(network: Network) -> Result<Vec<Case>> {
    let text = match network {
        Network::Ring => include_str!("../../../../recipes/ring.toml"),
        Network::FashionMnist => include_str!("../../../../recipes/fashion-mnist.toml"),
        Network::Cifar10Paper => include_str!("../../../../recipes/cifar10-paper.toml"),
        Network::Wide => return Ok(vec![("wide, x-chain".into(), wide(), false)]),
    };
    let recipe = recipe(text)?;
    let mut cases = Vec::new();
    for (network, chain) in [(&recipe.energy, "x-chain"), (&recipe.generator, "z-chain")] {
        if let Some(network) = network {
            cases.push((format!("{}, {chain}", recipe.name), network.folded(), chain == "z-chain"));
        }
    }
    Ok(cases)
}

fn wide() -> network::Network {
    let mut layers = Vec::new();
    let mut in_channels = 3;
    for _ in 0..4 {
        layers.push(Layer::Conv2d {
            in_channels,
            out_channels: 128,
            kernel: 3,
            stride: 1,
            padding: 1,
            bias: true,
        });
        layers.push(Layer::LeakyRelu { slope: 0.2 });
        in_channels = 128;
    }
    layers.push(Layer::AveragePool { kernel: 32 });
    layers.push(Layer::Flatten);
    layers.push(Layer::Linear { in_features: 128, out_features: 1, bias: true });
    network::Network { input: vec![3, 32, 32], layers, reference: None }
}

fn with_random_weights(network: network::Network) -> Weighted {
    let mut weights = vec![0.0; network.parameter_count()];
    Noise::new(1, Stream::Parameters).normals(0, 0, &mut weights);
    weights.iter_mut().for_each(|w| *w *= 0.05);
    Weighted { network, weights }
}

/// Milliseconds of a step.
fn x_chain(executor: &Executor, energy: &Weighted, chains: usize, settings: &Settings) -> Result<f64> {
    let mut chain = executor.x_chain(energy, chains)?;
    chain.start(&normal(chains, energy.network.input_len()), ChainNoise::new(1, Stream::XChain))?;
    timed(settings, &mut |langevin| {
        chain.run(STEPS, langevin)?;
        block_on(chain.state())?;
        Ok(())
    })
}

/// Milliseconds of a step.
fn z_chain(executor: &Executor, generator: &Weighted, chains: usize, settings: &Settings) -> Result<f64> {
    let data: usize = generator.network.output()?.iter().product();
    let mut chain = executor.z_chain(generator, chains)?;
    chain.set_target(&normal(chains, data), None, 0.3)?;
    chain.start(&normal(chains, generator.network.input_len()), ChainNoise::new(1, Stream::ZChain))?;
    timed(settings, &mut |langevin| {
        chain.run(STEPS, langevin)?;
        block_on(chain.state())?;
        Ok(())
    })
}

fn timed(settings: &Settings, run: &mut dyn FnMut(&Langevin) -> Result<()>) -> Result<f64> {
    let langevin = Langevin::new(0.01, 0.01);
    run(&langevin)?;
    Ok(median(repeated(settings.time, &mut || run(&langevin))?) / f64::from(STEPS))
}

fn normal(rows: usize, len: usize) -> Vec<f32> {
    Noise::new(2, Stream::Start).normal_rows(0, rows, len, 0)
}
