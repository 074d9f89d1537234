//! Training networks in burn: parameters as tensors, the forward pass with gradients in them, and
//! folding into what the executors run.
//!
//! Parameters are plain flat tensors in the order of the folded network's flat weights, reshaped
//! where they are used. So an optimiser, an average or a checkpoint is one loop over a list,
//! folding is a concatenation, and nothing depends on burn's parameter identifiers, on its shared
//! running statistics, or on its default device.

pub mod batch_norm;
mod convolution;
mod forward;
mod initialise;
mod resize;
mod spectral_norm;

pub use batch_norm::Statistics;
pub use forward::{Normalise, Output};
pub use spectral_norm::SpectralNorm;

use crate::recipe::{TrainLayer, TrainNetwork};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use dual_mcmc::model::Weighted;
use dual_mcmc::network::{Network, NetworkError};
use std::sync::Arc;

/// A failure to get numbers off the device.
#[derive(Debug, thiserror::Error)]
#[error("cannot read from the training device: {0}")]
pub struct DeviceError(String);

#[cfg(feature = "gpu")]
impl DeviceError {
    /// What burn says.
    pub(crate) fn of(error: impl std::fmt::Debug) -> DeviceError {
        DeviceError(format!("{error:?}"))
    }
}

/// The numbers of a tensor, in row-major order.
///
/// # Errors
/// If the device fails.
pub fn read<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, DeviceError> {
    tensor.try_into_vec_as::<f32>().map_err(|e| DeviceError(e.to_string()))
}

/// Rows of a flat array as a tensor `[rows, len]` on `device`.
pub fn rows(values: &[f32], len: usize, device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [values.len() / len.max(1), len]), device)
}

/// Which of the three networks: it keys the initial parameters' random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// E_θ.
    Energy = 0,
    /// g_φ.
    Generator = 1,
    /// q_ψ.
    Encoder = 2,
}

impl Role {
    /// The network's name in recipes, model files and checkpoints.
    pub fn name(self) -> &'static str {
        match self {
            Role::Energy => "energy",
            Role::Generator => "generator",
            Role::Encoder => "encoder",
        }
    }
}

/// A parameter's name and PyTorch shape.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterName {
    /// `"{layer's path}.{weight|bias}"`.
    pub path: String,
    /// PyTorch's shape.
    pub shape: Vec<usize>,
}

/// A network in training.
#[derive(Clone, Debug)]
pub struct BurnNetwork {
    description: Arc<TrainNetwork>,
    folded: Network,
    device: Device,
    names: Vec<ParameterName>,
    /// Flat, not tracked by autodiff; in the order of `names`.
    parameters: Vec<Tensor<1>>,
    /// Beside each parameter, the state of its spectral norm if it has one.
    spectral: Vec<Option<SpectralNorm>>,
    /// Running statistics, one for each batch norm.
    running: Vec<Statistics>,
}

impl BurnNetwork {
    /// The network of `description` with its initial parameters, which depend on `seed`, `role`
    /// and the description alone.
    ///
    /// # Errors
    /// If the description does not fit together.
    pub fn new(
        description: &TrainNetwork,
        role: Role,
        seed: u64,
        device: &Device,
    ) -> Result<BurnNetwork, NetworkError> {
        let folded = description.folded();
        folded.shapes()?;
        let mut names = Vec::new();
        let mut parameters = Vec::new();
        let mut spectral = Vec::new();
        let mut running = Vec::new();
        let leaves = description.leaves();
        let last = leaves.iter().rposition(|(_, layer)| !parameter_shapes(layer).is_empty());
        for (index, (path, layer)) in leaves.into_iter().enumerate() {
            let heads = role == Role::Encoder && last == Some(index);
            let initialiser = initialise::LayerInitialiser { description, role, seed, index, heads };
            for (slot, (name, shape)) in parameter_shapes(layer).into_iter().enumerate() {
                let values = initialiser.values(layer, &name, &shape, slot as u32);
                let flat = Tensor::from_data(TensorData::from(values.as_slice()), device);
                let normalised = description.spectral_norm && name == "weight" && is_matrix(layer);
                spectral.push(normalised.then(|| {
                    let [u, v] = initialiser.singular_vectors(&shape);
                    let mut norm = SpectralNorm::new(&u, &v, device);
                    for _ in 0..spectral_norm::INITIAL_ITERATIONS {
                        norm.iterate(&flat);
                    }
                    norm
                }));
                names.push(ParameterName { path: format!("{path}.{name}"), shape });
                parameters.push(flat);
            }
            if let TrainLayer::BatchNorm { channels, .. } = layer {
                running.push(Statistics::standard(*channels, device));
            }
        }
        let (description, device) = (Arc::new(description.clone()), device.clone());
        Ok(BurnNetwork { description, folded, device, names, parameters, spectral, running })
    }

    /// The description that executors run.
    pub fn folded_network(&self) -> &Network {
        &self.folded
    }

    /// The device that holds the parameters.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Elements of one input.
    pub fn input_len(&self) -> usize {
        self.folded.input_len()
    }

    /// Whether any layer is a batch norm.
    pub fn has_batch_norm(&self) -> bool {
        !self.running.is_empty()
    }

    /// Names and shapes of the parameters.
    pub fn names(&self) -> &[ParameterName] {
        &self.names
    }

    /// The parameters, flat, in the order of [`BurnNetwork::names`].
    pub fn parameters(&self) -> &[Tensor<1>] {
        &self.parameters
    }

    /// The parameters, to be updated.
    pub fn parameters_mut(&mut self) -> &mut [Tensor<1>] {
        &mut self.parameters
    }

    /// The network with other parameters, for example an average of its own. The spectral norms
    /// are brought up to them.
    pub fn with_parameters(&self, parameters: &[Tensor<1>]) -> BurnNetwork {
        let mut network = self.clone();
        network.parameters = parameters.to_vec();
        for _ in 0..spectral_norm::INITIAL_ITERATIONS {
            network.iterate_spectral_norms();
        }
        network
    }

    /// Running statistics, one for each batch norm.
    pub fn running(&self) -> &[Statistics] {
        &self.running
    }

    /// Move the running statistics towards those of a batch.
    pub fn update_running(&mut self, batch: &[Statistics]) {
        for (running, batch) in self.running.iter_mut().zip(batch) {
            running.approach(batch);
        }
    }

    /// One power iteration of every spectral norm.
    pub fn iterate_spectral_norms(&mut self) {
        for (norm, parameter) in self.spectral.iter_mut().zip(&self.parameters) {
            if let Some(norm) = norm {
                norm.iterate(parameter);
            }
        }
    }

    /// The weights as the layers use them, with other `parameters` in the place of the network's
    /// own: spectral norms have been divided by.
    fn effective(&self, parameters: &[Tensor<1>]) -> Vec<Tensor<1>> {
        let pairs = parameters.iter().zip(&self.spectral);
        pairs
            .map(|(parameter, norm)| match norm {
                Some(norm) => norm.normalise(parameter.clone()),
                None => parameter.clone(),
            })
            .collect()
    }

    /// The network for forward passes whose parameters need no gradient.
    pub fn constant(&self) -> Taped {
        self.constant_with(&self.parameters)
    }

    /// The network with other parameters, for example an average of its own, for forward passes that need no gradient
    /// in them.
    pub fn constant_with(&self, parameters: &[Tensor<1>]) -> Taped {
        self.tape(Vec::new(), self.effective(parameters))
    }

    /// The network for forward passes that are differentiated in the parameters.
    pub fn taped(&self) -> Taped {
        let leaves: Vec<_> = self.parameters.iter().map(|p| p.clone().autodiff().require_grad()).collect();
        let weights = self.effective(&leaves);
        self.tape(leaves, weights)
    }

    fn tape(&self, leaves: Vec<Tensor<1>>, weights: Vec<Tensor<1>>) -> Taped {
        Taped { description: Arc::clone(&self.description), device: self.device.clone(), leaves, weights }
    }

    /// The network as executors run it: weights divided by their spectral norms, batch norms
    /// turned into scale and shift by `statistics`, one for each batch norm.
    ///
    /// # Errors
    /// If the device fails.
    pub fn fold(&self, statistics: &[Statistics]) -> Result<Weighted, DeviceError> {
        self.fold_with(&self.parameters, statistics)
    }

    /// The network as executors run it, folded as [`Self::fold`] does, with other parameters, for example an average
    /// of its own.
    ///
    /// # Errors
    /// If the device fails.
    pub fn fold_with(
        &self,
        parameters: &[Tensor<1>],
        statistics: &[Statistics],
    ) -> Result<Weighted, DeviceError> {
        let network = self.folded.clone();
        let weights = self.folded_weights(parameters, statistics).map_or(Ok(Vec::new()), read)?;
        Ok(Weighted { network, weights })
    }

    /// The folded weights alone, where they are: flat, in the order of the folded network's; `None` if there
    /// are none.
    pub fn folded_weights(&self, parameters: &[Tensor<1>], statistics: &[Statistics]) -> Option<Tensor<1>> {
        let mut weights = self.effective(parameters).into_iter();
        let mut statistics = statistics.iter();
        let mut flat: Vec<Tensor<1>> = Vec::with_capacity(weights.len());
        for (_, layer) in self.description.leaves() {
            let own = weights.by_ref().take(parameter_shapes(layer).len());
            match (layer, statistics.as_slice()) {
                (TrainLayer::BatchNorm { .. }, [here, ..]) => {
                    let own: Vec<_> = own.collect();
                    flat.extend(here.scale_shift(&own[0], &own[1]));
                    statistics.next();
                }
                _ => flat.extend(own),
            }
        }
        (!flat.is_empty()).then(|| Tensor::cat(flat, 0))
    }

    /// Everything that changes in training, by name: parameters, singular vectors and running
    /// statistics.
    pub fn state(&self) -> Vec<(String, Tensor<1>)> {
        let mut state = Vec::new();
        for ((name, parameter), norm) in self.names.iter().zip(&self.parameters).zip(&self.spectral) {
            state.push((name.path.clone(), parameter.clone()));
            if let Some(norm) = norm {
                let [u, v] = norm.vectors();
                state.push((format!("{}.u", name.path), u.clone()));
                state.push((format!("{}.v", name.path), v.clone()));
            }
        }
        for (path, statistics) in self.batch_norm_paths().into_iter().zip(&self.running) {
            state.push((format!("{path}.running_mean"), statistics.mean.clone()));
            state.push((format!("{path}.running_var"), statistics.variance.clone()));
        }
        state
    }

    /// Replace what [`BurnNetwork::state`] gave, asking `take` for each name and length.
    ///
    /// # Errors
    /// The first error of `take`.
    pub fn set_state<E>(
        &mut self,
        mut take: impl FnMut(&str, usize) -> Result<Tensor<1>, E>,
    ) -> Result<(), E> {
        let mut tensor = |path: String, old: &Tensor<1>| take(&path, old.dims()[0]);
        let paths = self.batch_norm_paths();
        for ((name, parameter), norm) in self.names.iter().zip(&mut self.parameters).zip(&mut self.spectral) {
            *parameter = tensor(name.path.clone(), parameter)?;
            if let Some(norm) = norm {
                let [u, v] = norm.vectors();
                let u = tensor(format!("{}.u", name.path), u)?;
                let v = tensor(format!("{}.v", name.path), v)?;
                *norm = SpectralNorm::of(u, v);
            }
        }
        for (path, statistics) in paths.into_iter().zip(&mut self.running) {
            statistics.mean = tensor(format!("{path}.running_mean"), &statistics.mean)?;
            statistics.variance = tensor(format!("{path}.running_var"), &statistics.variance)?;
        }
        Ok(())
    }

    fn batch_norm_paths(&self) -> Vec<String> {
        let leaves = self.description.leaves().into_iter();
        leaves.filter(|(_, l)| matches!(l, TrainLayer::BatchNorm { .. })).map(|(path, _)| path).collect()
    }
}

/// A network with the weights of one moment, ready for forward passes. Several passes share the
/// spectral norms, and one backward pass serves them all.
pub struct Taped {
    description: Arc<TrainNetwork>,
    device: Device,
    leaves: Vec<Tensor<1>>,
    weights: Vec<Tensor<1>>,
}

impl Taped {
    /// Gradients of the parameters, taken out of `gradients`; zero where the loss does not depend
    /// on one.
    pub fn gradients(&self, gradients: &mut Gradients) -> Vec<Tensor<1>> {
        let leaves = self.leaves.iter();
        leaves
            .map(|leaf| match leaf.grad_remove(gradients) {
                Some(gradient) => gradient,
                None => Tensor::zeros(leaf.dims(), &self.device),
            })
            .collect()
    }
}

/// Names and shapes of what a layer learns: a batch norm's weight and bias stand where its folded
/// scale and shift will.
fn parameter_shapes(layer: &TrainLayer) -> Vec<(String, Vec<usize>)> {
    match layer {
        TrainLayer::Plain(layer) => layer.parameters(),
        TrainLayer::BatchNorm { channels, .. } => {
            vec![("weight".into(), vec![*channels]), ("bias".into(), vec![*channels])]
        }
        TrainLayer::Residual { .. } => unreachable!("a residual is no leaf"),
    }
}

/// Whether the layer's weight is a matrix, or a convolution's, which spectral norm takes as one.
fn is_matrix(layer: &TrainLayer) -> bool {
    use dual_mcmc::network::Layer;
    matches!(layer, TrainLayer::Plain(Layer::Linear { .. } | Layer::Conv2d { .. }))
}

#[cfg(test)]
mod tests;
