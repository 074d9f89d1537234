//! Checkpoints: everything that a run needs to go on bit for bit, as named blobs.
//!
//! Tensors are safetensors files that other tools can open, counters are JSON. Where they are
//! written is the program's business.

use super::{Networks, Teacher, TeachingError};
use crate::networks::{BurnNetwork, read};
use crate::optimiser::NetworkOptimiser;
use burn::tensor::{Tensor, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};

const NETWORKS: &str = "networks.safetensors";
const OPTIMISERS: &str = "optimisers.safetensors";
const CHAINS: &str = "chains.safetensors";
const COUNTERS: &str = "counters.json";

/// Names of the moments, beside their parameter's.
const MOMENTS: [&str; 2] = ["moment_1", "moment_2"];

/// Everything that is not a tensor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counters {
    iteration: u64,
    seed: u64,
    energy_rate_factor: f64,
    optimiser_steps: [usize; 3],
}

impl Teacher {
    /// The whole state of the run: networks with their spectral and batch-norm state, the
    /// generator's average, optimisers, persistent chains, counters.
    ///
    /// # Errors
    /// If the device fails.
    pub fn record(&self) -> Result<Vec<(String, Vec<u8>)>, TeachingError> {
        let mut networks = Vec::new();
        let mut optimisers = Vec::new();
        for (role, network, optimiser) in self.trained() {
            for (name, tensor) in network.state() {
                networks.push((format!("{role}.{name}"), read(tensor)?));
            }
            for (name, moments) in network.names().iter().zip(optimiser.moments()) {
                for (moment, tensor) in MOMENTS.iter().zip(moments) {
                    optimisers.push((format!("{role}.{}.{moment}", name.path), read(tensor.clone())?));
                }
            }
        }
        if let Some(average) = &self.average {
            for (name, value) in self.networks.generator.names().iter().zip(average.values()) {
                networks.push((format!("average.{}", name.path), read(value.clone())?));
            }
        }
        let chains = self.persistent.iter().map(|p| ("states".to_string(), p.states().to_vec()));
        let counters = Counters {
            iteration: self.iteration,
            seed: self.seed,
            energy_rate_factor: self.energy_rate_factor,
            optimiser_steps: self.trained().map(|(_, _, optimiser)| optimiser.steps()),
        };
        let counters = serde_json::to_vec_pretty(&counters).map_err(|e| damaged(COUNTERS, e))?;
        Ok(vec![
            (NETWORKS.into(), write(NETWORKS, &networks)?),
            (OPTIMISERS.into(), write(OPTIMISERS, &optimisers)?),
            (CHAINS.into(), write(CHAINS, &chains.collect::<Vec<_>>())?),
            (COUNTERS.into(), counters),
        ])
    }

    /// Go on from what [`Teacher::record`] gave. On an error the teacher is as it was.
    ///
    /// # Errors
    /// If a blob is missing or damaged, or does not fit the recipe.
    pub fn restore(&mut self, blobs: &[(String, Vec<u8>)]) -> Result<(), TeachingError> {
        let blob = |name: &'static str| {
            let found = blobs.iter().find(|(n, _)| n == name);
            found.map(|(_, bytes)| bytes.as_slice()).ok_or_else(|| damaged(name, "it is missing"))
        };
        let counters: Counters = serde_json::from_slice(blob(COUNTERS)?).map_err(|e| damaged(COUNTERS, e))?;
        let networks_file = Tensors::new(NETWORKS, blob(NETWORKS)?)?;
        let optimisers_file = Tensors::new(OPTIMISERS, blob(OPTIMISERS)?)?;
        let chains_file = Tensors::new(CHAINS, blob(CHAINS)?)?;
        let device = self.device.clone();
        let tensor = |file: &Tensors, name: String, len: usize| -> Result<Tensor<1>, TeachingError> {
            Ok(Tensor::from_data(TensorData::from(file.take(&name, len)?.as_slice()), &device))
        };

        // All is read before anything is replaced.
        let mut networks = self.networks.clone();
        let mut moments: Vec<Vec<[Tensor<1>; 2]>> = Vec::new();
        for ((role, network), steps) in roles(&mut networks).into_iter().zip(counters.optimiser_steps) {
            network.set_state(|name, len| tensor(&networks_file, format!("{role}.{name}"), len))?;
            let mut own = Vec::new();
            for (name, parameter) in network.names().iter().zip(network.parameters()) {
                if steps > 0 {
                    let [first, second] = MOMENTS.map(|moment| {
                        tensor(
                            &optimisers_file,
                            format!("{role}.{}.{moment}", name.path),
                            parameter.dims()[0],
                        )
                    });
                    own.push([first?, second?]);
                }
            }
            moments.push(own);
        }
        let mut averages = Vec::new();
        if let Some(average) = &self.average {
            for (name, value) in networks.generator.names().iter().zip(average.values()) {
                averages.push(tensor(&networks_file, format!("average.{}", name.path), value.dims()[0])?);
            }
        }
        let states = match &self.persistent {
            Some(persistent) => Some(chains_file.take("states", persistent.states().len())?),
            None => None,
        };

        self.networks = networks;
        let optimisers = &mut self.optimisers;
        let optimisers = [&mut optimisers.energy, &mut optimisers.generator, &mut optimisers.encoder];
        for ((optimiser, moments), steps) in optimisers.into_iter().zip(moments).zip(counters.optimiser_steps)
        {
            optimiser.set_moments(steps, moments);
        }
        if let Some(average) = &mut self.average {
            average.values_mut().clone_from_slice(&averages);
        }
        if let (Some(persistent), Some(states)) = (&mut self.persistent, states) {
            *persistent.states_mut() = states;
        }
        self.iteration = counters.iteration;
        self.energy_rate_factor = counters.energy_rate_factor;
        self.reseed(counters.seed);
        Ok(())
    }

    /// Each network with its name and its optimiser, in the order of the counters.
    fn trained(&self) -> [(&'static str, &BurnNetwork, &NetworkOptimiser); 3] {
        let (n, o) = (&self.networks, &self.optimisers);
        [
            ("energy", &n.energy, &o.energy),
            ("generator", &n.generator, &o.generator),
            ("encoder", &n.encoder, &o.encoder),
        ]
    }
}

fn roles(networks: &mut Networks) -> [(&'static str, &mut BurnNetwork); 3] {
    let Networks { energy, generator, encoder } = networks;
    [("energy", energy), ("generator", generator), ("encoder", encoder)]
}

fn damaged(file: &str, reason: impl std::fmt::Display) -> TeachingError {
    TeachingError::Checkpoint(format!("{file}: {reason}"))
}

fn write(file: &str, tensors: &[(String, Vec<f32>)]) -> Result<Vec<u8>, TeachingError> {
    let bytes: Vec<Vec<u8>> =
        tensors.iter().map(|(_, values)| values.iter().flat_map(|v| v.to_le_bytes()).collect()).collect();
    let views = tensors
        .iter()
        .zip(&bytes)
        .map(|((name, values), bytes)| Ok((name, TensorView::new(Dtype::F32, vec![values.len()], bytes)?)));
    let views: Result<Vec<_>, safetensors::SafeTensorError> = views.collect();
    views.and_then(|views| safetensors::serialize(views, None)).map_err(|e| damaged(file, e))
}

/// A safetensors file of flat f32 tensors.
struct Tensors<'a> {
    file: &'static str,
    tensors: SafeTensors<'a>,
}

impl<'a> Tensors<'a> {
    fn new(file: &'static str, bytes: &'a [u8]) -> Result<Tensors<'a>, TeachingError> {
        let tensors = SafeTensors::deserialize(bytes).map_err(|e| damaged(file, e))?;
        Ok(Tensors { file, tensors })
    }

    fn take(&self, name: &str, len: usize) -> Result<Vec<f32>, TeachingError> {
        let missing = |_| damaged(self.file, format!("tensor `{name}` is missing"));
        let tensor = self.tensors.tensor(name).map_err(missing)?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != [len] {
            let reason =
                format!("tensor `{name}` is {:?} {:?}, not F32 [{len}]", tensor.dtype(), tensor.shape());
            return Err(damaged(self.file, reason));
        }
        Ok(tensor.data().as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }
}
