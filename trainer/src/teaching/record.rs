//! Checkpoints: everything that a run needs to go on bit for bit, as named blobs.
//!
//! Tensors are safetensors files that other tools can open, counters are JSON. Where they are
//! written is the program's business.

use super::average::Average;
use super::{Averages, Networks, Teacher, TeachingError, model};
use crate::networks::{BurnNetwork, read};
use crate::optimiser::NetworkOptimiser;
use crate::recipe::Recipe;
use burn::tensor::{Device, Tensor, TensorData};
use dual_mcmc::model::Model;
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
    /// Steps of the optimisers of energy, generator and encoder, as far as they are there.
    optimiser_steps: Vec<usize>,
}

impl Teacher {
    /// The whole state of the run: networks with their spectral and batch-norm state, the averages of
    /// generator and energy as far as they are kept, optimisers, persistent chains, latents kept for the
    /// z-chains, counters.
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
        for (role, network, average) in self.averaged() {
            for (name, value) in network.names().iter().zip(average.values()) {
                networks.push((format!("average.{role}.{}", name.path), read(value.clone())?));
            }
        }
        let mut chains = Vec::new();
        if let Some(persistent) = &self.persistent {
            chains.push(("states".to_string(), persistent.states().to_vec()));
        }
        if !self.kept.states().is_empty() {
            chains.push(("latents".to_string(), self.kept.states().to_vec()));
        }
        let counters = Counters {
            iteration: self.iteration,
            seed: self.seed,
            energy_rate_factor: self.energy_rate_factor,
            optimiser_steps: self.trained().map(|(_, _, optimiser)| optimiser.steps()).collect(),
        };
        let counters = serde_json::to_vec_pretty(&counters).map_err(|e| damaged(COUNTERS, e))?;
        Ok(vec![
            (NETWORKS.into(), write(NETWORKS, &networks)?),
            (OPTIMISERS.into(), write(OPTIMISERS, &optimisers)?),
            (CHAINS.into(), write(CHAINS, &chains)?),
            (COUNTERS.into(), counters),
        ])
    }

    /// Go on from what [`Teacher::record`] gave. On an error the teacher is as it was.
    ///
    /// # Errors
    /// If a blob is missing or damaged, or does not fit the recipe.
    pub fn restore(&mut self, blobs: &[(String, Vec<u8>)]) -> Result<(), TeachingError> {
        // All is read before anything is replaced.
        let counters = Counters::read(blobs)?;
        let mut networks = self.networks.clone();
        let mut averages = Averages::new(&self.recipe, &networks);
        restore_networks(&mut networks, &mut averages, blobs)?;
        let moments = self.read_moments(&networks, &counters, blobs)?;
        let chains = Tensors::of(CHAINS, blobs)?;
        let states = match &self.persistent {
            Some(persistent) => Some(chains.take("states", persistent.states().len())?),
            None => None,
        };
        let latents = chains.len_of("latents");
        let latents = latents.map_or(Ok(Vec::new()), |len| chains.take("latents", len))?;
        if !latents.len().is_multiple_of(self.recipe.latent().max(1)) {
            return Err(damaged(CHAINS, "the latents are of another generator"));
        }

        (self.networks, self.averages) = (networks, averages);
        let optimisers = &mut self.optimisers;
        let optimisers = [&mut optimisers.energy, &mut optimisers.generator, &mut optimisers.encoder];
        for ((optimiser, moments), steps) in
            optimisers.into_iter().flatten().zip(moments).zip(counters.optimiser_steps)
        {
            optimiser.set_moments(steps, moments);
        }
        if let (Some(persistent), Some(states)) = (&mut self.persistent, states) {
            *persistent.states_mut() = states;
        }
        self.kept.set_states(latents);
        self.iteration = counters.iteration;
        self.energy_rate_factor = counters.energy_rate_factor;
        self.reseed(counters.seed);
        Ok(())
    }

    /// Reads both moments of every parameter of every network; none of a network that has taken no step.
    fn read_moments(
        &self,
        networks: &Networks,
        counters: &Counters,
        blobs: &[(String, Vec<u8>)],
    ) -> Result<Vec<Vec<[Tensor<1>; 2]>>, TeachingError> {
        let file = Tensors::of(OPTIMISERS, blobs)?;
        let roles = networks.roles();
        if roles.len() != counters.optimiser_steps.len() {
            return Err(damaged(COUNTERS, "it is of another number of networks"));
        }
        let mut moments = Vec::new();
        for ((role, network), &steps) in roles.into_iter().zip(&counters.optimiser_steps) {
            let mut own = Vec::new();
            for (name, parameter) in network.names().iter().zip(network.parameters()) {
                if steps > 0 {
                    let len = parameter.dims()[0];
                    let [first, second] = MOMENTS.map(|moment| {
                        file.tensor(&format!("{role}.{}.{moment}", name.path), len, network.device())
                    });
                    own.push([first?, second?]);
                }
            }
            moments.push(own);
        }
        Ok(moments)
    }

    /// Each network with its name and its optimiser, in the order of the counters.
    fn trained(&self) -> impl Iterator<Item = (&'static str, &BurnNetwork, &NetworkOptimiser)> {
        let (n, o) = (&self.networks, &self.optimisers);
        let all = [
            ("energy", &n.energy, &o.energy),
            ("generator", &n.generator, &o.generator),
            ("encoder", &n.encoder, &o.encoder),
        ];
        all.into_iter().filter_map(|(role, n, o)| Some((role, n.as_ref()?, o.as_ref()?)))
    }

    /// Each averaged network with its name and its average.
    fn averaged(&self) -> impl Iterator<Item = (&'static str, &BurnNetwork, &Average)> {
        let (n, a) = (&self.networks, &self.averages);
        let all = [("energy", &n.energy, &a.energy), ("generator", &n.generator, &a.generator)];
        all.into_iter().filter_map(|(role, n, a)| Some((role, n.as_ref()?, a.as_ref()?)))
    }
}

/// The model of what [`Teacher::record`] gave, as [`Teacher::model`] would give it. It needs neither the data nor an
/// executor for the chains.
///
/// # Errors
/// If a blob is missing or damaged, or does not fit the recipe; or if the device fails.
pub fn model_of_record(
    recipe: &Recipe,
    blobs: &[(String, Vec<u8>)],
    device: &Device,
) -> Result<Model, TeachingError> {
    recipe.check()?;
    let seed = Counters::read(blobs)?.seed;
    let mut networks = Networks::new(recipe, seed, device)?;
    let mut averages = Averages::new(recipe, &networks);
    restore_networks(&mut networks, &mut averages, blobs)?;
    Ok(model::fold(recipe, &networks, &averages, seed)?)
}

/// Give networks and averages the values of a record.
fn restore_networks(
    networks: &mut Networks,
    averages: &mut Averages,
    blobs: &[(String, Vec<u8>)],
) -> Result<(), TeachingError> {
    let file = Tensors::of(NETWORKS, blobs)?;
    let Networks { energy, generator, encoder } = networks;
    let all = [("energy", &mut *energy), ("generator", &mut *generator), ("encoder", encoder)];
    for (role, network) in all {
        let Some(network) = network else { continue };
        let device = network.device().clone();
        network.set_state(|name, len| file.tensor(&format!("{role}.{name}"), len, &device))?;
    }
    let all = [("energy", energy, &mut averages.energy), ("generator", generator, &mut averages.generator)];
    for (role, network, average) in all {
        let (Some(network), Some(average)) = (network, average) else { continue };
        for (name, value) in network.names().iter().zip(average.values_mut()) {
            let path = format!("average.{role}.{}", name.path);
            *value = file.tensor(&path, value.dims()[0], network.device())?;
        }
    }
    Ok(())
}

impl Networks {
    /// Each network that is there, with its name, in the order of the counters.
    fn roles(&self) -> Vec<(&'static str, &BurnNetwork)> {
        let all = [("energy", &self.energy), ("generator", &self.generator), ("encoder", &self.encoder)];
        all.into_iter().filter_map(|(role, network)| Some((role, network.as_ref()?))).collect()
    }
}

impl Counters {
    fn read(blobs: &[(String, Vec<u8>)]) -> Result<Counters, TeachingError> {
        serde_json::from_slice(blob(COUNTERS, blobs)?).map_err(|e| damaged(COUNTERS, e))
    }
}

/// The blob of that name.
fn blob<'a>(name: &'static str, blobs: &'a [(String, Vec<u8>)]) -> Result<&'a [u8], TeachingError> {
    let found = blobs.iter().find(|(n, _)| n == name);
    found.map(|(_, bytes)| bytes.as_slice()).ok_or_else(|| damaged(name, "it is missing"))
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
    /// The file of that name among the blobs.
    fn of(file: &'static str, blobs: &'a [(String, Vec<u8>)]) -> Result<Tensors<'a>, TeachingError> {
        let tensors = SafeTensors::deserialize(blob(file, blobs)?).map_err(|e| damaged(file, e))?;
        Ok(Tensors { file, tensors })
    }

    fn len_of(&self, name: &str) -> Option<usize> {
        self.tensors.tensor(name).ok().map(|tensor| tensor.shape().iter().product())
    }

    /// The tensor of that name on a device.
    fn tensor(&self, name: &str, len: usize, device: &Device) -> Result<Tensor<1>, TeachingError> {
        Ok(Tensor::from_data(TensorData::from(self.take(name, len)?.as_slice()), device))
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
