//! Steps of the chains alone.

use super::{KernelSet, Settings, median, recipe, repeated};
use anyhow::{Context, Result, ensure};
use dual_mcmc::chain::{ChainNoise, Langevin};
use dual_mcmc::executor::{Executor, XChain, ZChain};
use dual_mcmc::gpu::KernelTime;
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
    /// Energy and generator of the recipe `cifar10`
    Cifar10,
    /// An energy of four 3×3 convolutions with 128 channels on 32×32: arithmetic and little else
    Wide,
    /// Energy and generator of the recipe `cifar10-paper`
    Cifar10Paper,
}

/// Steps between two looks at the clock.
const STEPS: u32 = 10;

/// A chain to be timed.
pub(super) struct Case {
    pub(super) name: String,
    network: network::Network,
    generates: bool,
}

impl Case {
    /// Floating-point operations of a chain's step: an input gradient takes about as many as the forward pass.
    pub(super) fn flops(&self) -> Result<u64> {
        Ok(2 * self.network.flops()?)
    }
}

/// `peak` are the 10⁹ floating-point operations a second that the device reaches at most, where that is known.
pub(super) fn run(executor: &Executor, settings: &Settings, peak: Option<f64>) -> Result<Value> {
    let mut all = Map::new();
    for &network in &settings.networks {
        for case in cases(network)? {
            let mut figures = Map::new();
            for &chains in &settings.chains {
                let mut chain = StartedChain::new(executor, &case, chains)?;
                if settings.kernels == KernelSet::Plain {
                    chain = chain.plain_on_the_cpu();
                }
                let time = chain.time(settings)?;
                let flops = case.flops()?;
                let gigaflops = flops as f64 * chains as f64 / time / 1e6;
                let mut measured = json!({
                    "milliseconds_a_step": time,
                    "chain_steps_a_second": 1e3 * chains as f64 / time,
                    "gigaflops": gigaflops,
                });
                if let Some(peak) = peak {
                    measured["share_of_the_peak"] = json!(gigaflops / peak);
                }
                if let Some(bytes) = chain.bytes_per_chain() {
                    measured["bytes_a_chain"] = json!(bytes);
                }
                if settings.kernel_times {
                    measured["kernels"] = chain.kernel_times()?.iter().map(kernel).collect();
                }
                figures.insert(format!("{chains}_chains"), measured);
            }
            all.insert(case.name, figures.into());
        }
    }
    Ok(all.into())
}

fn kernel(time: &KernelTime) -> Value {
    let mut figures = json!({ "kernel": time.name, "microseconds": time.microseconds });
    if let Some((size, choice)) = time.choice {
        figures["outputs"] = json!(4 * size.outputs);
        figures["positions"] = json!(size.positions);
        figures["inputs"] = json!(4 * size.depth);
        figures["choice"] = json!(format!("{choice:?}"));
        let flops = 32 * size.outputs * size.positions * size.depth;
        figures["gigaflops"] = json!(flops as f64 / time.microseconds / 1e3);
    }
    figures
}

pub(super) fn cases(network: Network) -> Result<Vec<Case>> {
    let text = match network {
        Network::Ring => include_str!("../../../../recipes/ring.toml"),
        Network::FashionMnist => include_str!("../../../../recipes/fashion-mnist.toml"),
        Network::Cifar10 => include_str!("../../../../recipes/cifar10.toml"),
        Network::Cifar10Paper => include_str!("../../../../recipes/cifar10-paper.toml"),
        Network::Wide => {
            return Ok(vec![Case { name: "wide, x-chain".into(), network: wide(), generates: false }]);
        }
    };
    let recipe = recipe(text, &[])?;
    let mut cases = Vec::new();
    for (network, chain) in [(&recipe.energy, "x-chain"), (&recipe.generator, "z-chain")] {
        if let Some(network) = network {
            let name = format!("{}, {chain}", recipe.name);
            cases.push(Case { name, network: network.folded(), generates: chain == "z-chain" });
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

/// Chains that have started.
pub(super) enum StartedChain {
    X(XChain),
    Z(ZChain),
}

impl StartedChain {
    pub(super) fn new(executor: &Executor, case: &Case, chains: usize) -> Result<StartedChain> {
        ensure!(chains > 0, "the number of chains must be positive");
        let weighted = with_random_weights(case.network.clone());
        let start = normal(chains, weighted.network.input_len());
        if !case.generates {
            let mut chain = executor.x_chain(&weighted, chains)?;
            chain.start(&start, ChainNoise::new(1, Stream::XChain))?;
            return Ok(StartedChain::X(chain));
        }
        let data: usize = weighted.network.output()?.iter().product();
        let mut chain = executor.z_chain(&weighted, chains)?;
        chain.set_target(&normal(chains, data), None, 0.3)?;
        chain.start(&start, ChainNoise::new(1, Stream::ZChain))?;
        Ok(StartedChain::Z(chain))
    }

    /// These chains with the plain kernels, on the CPU; on a GPU the device decides.
    fn plain_on_the_cpu(self) -> StartedChain {
        match self {
            StartedChain::X(XChain::Cpu(chain)) => {
                StartedChain::X(XChain::Cpu(Box::new(chain.with_plain_kernels())))
            }
            StartedChain::Z(ZChain::Cpu(chain)) => {
                StartedChain::Z(ZChain::Cpu(Box::new(chain.with_plain_kernels())))
            }
            other => other,
        }
    }

    /// Milliseconds of a step.
    fn time(&mut self, settings: &Settings) -> Result<f64> {
        let langevin = Langevin::new(0.01, 0.01);
        let mut run = || -> Result<()> {
            match self {
                StartedChain::X(chain) => {
                    chain.run(STEPS, &langevin)?;
                    block_on(chain.state())?;
                }
                StartedChain::Z(chain) => {
                    chain.run(STEPS, &langevin)?;
                    block_on(chain.state())?;
                }
            }
            Ok(())
        };
        run()?;
        Ok(median(repeated(settings.time, &mut run)?) / f64::from(STEPS))
    }

    /// What each chain takes of a GPU's memory.
    fn bytes_per_chain(&self) -> Option<u64> {
        match self {
            StartedChain::X(XChain::Gpu(chain)) => Some(chain.bytes_per_chain()),
            StartedChain::Z(ZChain::Gpu(chain)) => Some(chain.bytes_per_chain()),
            _ => None,
        }
    }

    /// Times of a step's kernels, on a GPU.
    pub(super) fn kernel_times(&mut self) -> Result<Vec<KernelTime>> {
        let times = match self {
            StartedChain::X(XChain::Gpu(chain)) => Some(chain.kernel_times()?),
            StartedChain::Z(ZChain::Gpu(chain)) => Some(chain.kernel_times()?),
            _ => None,
        };
        times.context("only a GPU times its kernels; add --device gpu")
    }
}

fn normal(rows: usize, len: usize) -> Vec<f32> {
    Noise::new(2, Stream::Start).normal_rows(0, rows, len, 0)
}
