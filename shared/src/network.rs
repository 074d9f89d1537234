//! Networks as data: what the layers are, what shapes they take, what parameters they own.
//!
//! A [`Network`] is a description only. Its weights travel beside it as one flat `&[f32]` in the
//! order of [`Network::parameters`]. The executors never look at layers: they run a [`Plan`], a
//! list of operations on numbered values, so that a second path through the network is one more
//! operation with two inputs and not another kind of executor.

mod keys;
mod layer;
mod plan;

pub use layer::Layer;
pub use plan::{Activation, Conv2d, Op, Operator, Plan};

use layer::{check_shape, path_flops};
use serde::{Deserialize, Serialize};

const MAX_LAYERS: usize = 1024;

/// A description that does not fit together.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// The input shape itself is impossible.
    #[error("network input: {0}")]
    Input(String),
    /// A layer does not take what the one before it gives.
    #[error("layer {index} ({layer}) does not fit its input {input:?}: {reason}")]
    Layer {
        /// Position in [`Network::layers`].
        index: usize,
        /// Name of the layer's type.
        layer: &'static str,
        /// The shape that reaches it.
        input: Vec<usize>,
        /// What it expects instead.
        reason: String,
    },
    /// The network has more layers than any executor should have to plan.
    #[error("the network has {0} layers; at most {MAX_LAYERS} are allowed")]
    TooManyLayers(usize),
    /// The width of the Gaussian reference is not a positive number.
    #[error("reference width must be a positive number, not {0}")]
    Reference(f32),
    /// A network other than an energy has a Gaussian reference.
    #[error("it has a `reference`, but only an energy may have one")]
    ReferenceRole,
    /// The weights do not match the description.
    #[error("the network has {expected} parameters, but {found} were given")]
    Weights {
        /// Parameters in the description.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// The network's output is not what its role needs.
    #[error("{role} must map {expected_input} to {expected_output}, but maps {input:?} to {output:?}")]
    Role {
        /// "energy", "generator" or "encoder".
        role: &'static str,
        /// Expected input, in words or numbers.
        expected_input: String,
        /// Expected output.
        expected_output: String,
        /// The input it has.
        input: Vec<usize>,
        /// The output it has.
        output: Vec<usize>,
    },
}

/// A feed-forward network: an input shape and the layers applied to it in turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// Shape of one input, without the batch dimension: `[N]` or `[C, H, W]`.
    pub input: Vec<usize>,
    /// The layers, first to last.
    pub layers: Vec<Layer>,
    /// Width τ of a Gaussian reference (exponential tilting): the network's scalar output becomes
    /// `f(x) + ‖x‖² / 2τ²`. Only for energies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<f32>,
}

/// A parameter of a network: its path, its shape and where it lies in the flat weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// `"{layer index}.{name}"`, for example `"0.weight"`, or `"2.main.1.weight"` in a residual.
    pub path: String,
    /// PyTorch's shape.
    pub shape: Vec<usize>,
    /// First element in the flat weights.
    pub offset: usize,
}

impl Parameter {
    /// The elements of this parameter in the flat weights.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.offset..self.offset + self.shape.iter().product::<usize>()
    }
}

impl Network {
    /// Shapes from the input to the output: one more than there are layers.
    ///
    /// # Errors
    /// Names the first layer that does not fit, with the shape it meets and the one it expects.
    pub fn shapes(&self) -> Result<Vec<Vec<usize>>, NetworkError> {
        check_shape(&self.input).map_err(NetworkError::Input)?;
        let count = self.layers.iter().map(Layer::count).sum();
        if count > MAX_LAYERS {
            return Err(NetworkError::TooManyLayers(count));
        }
        if let Some(tau) = self.reference
            && !(tau.is_finite() && tau > 0.0)
        {
            return Err(NetworkError::Reference(tau));
        }
        let mut shapes = vec![self.input.clone()];
        for (index, layer) in self.layers.iter().enumerate() {
            let input = &shapes[index];
            let output = layer.output_shape(input).map_err(|reason| NetworkError::Layer {
                index,
                layer: layer.name(),
                input: input.clone(),
                reason,
            })?;
            shapes.push(output);
        }
        Ok(shapes)
    }

    /// Shape of one output.
    ///
    /// # Errors
    /// As [`Network::shapes`].
    pub fn output(&self) -> Result<Vec<usize>, NetworkError> {
        Ok(self.shapes()?.pop().unwrap_or_default())
    }

    /// Elements of one input.
    pub fn input_len(&self) -> usize {
        self.input.iter().product()
    }

    /// The parameters in the order of the flat weights. Call after [`Network::shapes`] has
    /// accepted the description.
    pub fn parameters(&self) -> Vec<Parameter> {
        let mut offset = 0;
        let mut all = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            for (name, shape) in layer.parameters() {
                let parameter = Parameter { path: format!("{index}.{name}"), shape, offset };
                offset = parameter.range().end;
                all.push(parameter);
            }
        }
        all
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.parameters().last().map_or(0, |p| p.range().end)
    }

    /// Floating-point operations of one forward pass of one sample: two for each multiply-add of
    /// the linear and convolution layers, one for each element of every other layer's output.
    ///
    /// # Errors
    /// As [`Network::shapes`].
    pub fn flops(&self) -> Result<u64, NetworkError> {
        self.shapes()?;
        Ok(path_flops(&self.layers, &self.input))
    }

    /// Check that the network can be an energy on `data`-shaped samples: `data` → `[1]`.
    ///
    /// # Errors
    /// If the description does not fit together, or maps something else.
    pub fn check_energy(&self, data: &[usize]) -> Result<(), NetworkError> {
        self.check_role("energy", Some(data), &[1])
    }

    /// Check that the network can be a generator of `data`-shaped samples, and return its latent
    /// dimension: `[d]` → `data`.
    ///
    /// # Errors
    /// If the description does not fit together, or maps something else.
    pub fn check_generator(&self, data: &[usize]) -> Result<usize, NetworkError> {
        self.check_role("generator", None, data)?;
        Ok(self.input_len())
    }

    /// Check that the network can be an encoder: `data` → `[2·latent]`, the means first, then the
    /// log-variances.
    ///
    /// # Errors
    /// If the description does not fit together, or maps something else.
    pub fn check_encoder(&self, data: &[usize], latent: usize) -> Result<(), NetworkError> {
        self.check_role("encoder", Some(data), &[2 * latent])
    }

    fn check_role(
        &self,
        role: &'static str,
        input: Option<&[usize]>,
        output: &[usize],
    ) -> Result<(), NetworkError> {
        let found = self.output()?;
        let input_fits = match input {
            Some(shape) => self.input == shape,
            None => self.input.len() == 1,
        };
        if self.reference.is_some() && role != "energy" {
            return Err(NetworkError::ReferenceRole);
        }
        if input_fits && found == output {
            return Ok(());
        }
        Err(NetworkError::Role {
            role,
            expected_input: input.map_or("a latent vector [d]".into(), |s| format!("{s:?}")),
            expected_output: format!("{output:?}"),
            input: self.input.clone(),
            output: found,
        })
    }
}
