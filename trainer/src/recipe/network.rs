//! A network as a recipe describes it: the shared layers, and what only training has.

use dual_mcmc::network::{Layer, Network};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A training network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainNetwork {
    /// Shape of one input, without the batch dimension: `[N]` or `[C, H, W]`.
    pub input: Vec<usize>,
    /// Width τ of the Gaussian reference of an energy: f(x) + ‖x‖²/2τ².
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<f32>,
    /// Divide the weight of every linear and convolution layer by its largest singular value.
    #[serde(default)]
    pub spectral_norm: bool,
    /// Initial weights of the convolutions.
    #[serde(default)]
    pub initialisation: Initialisation,
    /// The layers, first to last.
    pub layers: Vec<TrainLayer>,
}

impl TrainNetwork {
    /// The network that executors run after folding: each batch norm has become a scale and shift
    /// at the same index.
    pub fn folded(&self) -> Network {
        let layers = self.layers.iter().map(|layer| match layer {
            TrainLayer::Plain(layer) => layer.clone(),
            TrainLayer::BatchNorm { channels, .. } => Layer::ScaleShift { channels: *channels },
        });
        Network { input: self.input.clone(), layers: layers.collect(), reference: self.reference }
    }

    /// Whether any layer is a batch norm.
    pub fn has_batch_norm(&self) -> bool {
        self.layers.iter().any(|l| matches!(l, TrainLayer::BatchNorm { .. }))
    }
}

/// Initial weights of convolutions. Linear layers, and biases of both, always start as PyTorch's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initialisation {
    /// Uniform in ±1/√fan_in.
    #[default]
    Pytorch,
    /// Normal with variance 2/(fan_in + fan_out).
    XavierNormal,
}

/// Initial weights of a batch norm; its biases start at zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchNormWeight {
    /// All one.
    #[default]
    One,
    /// Standard normal, as in the authors' code.
    Normal,
}

/// One layer of a training network.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainLayer {
    /// A layer that executors run as it is.
    Plain(Layer),
    /// `{ type = "batch_norm", channels }`: normalisation by the batch's mean and variance of each
    /// channel (ε = 1e-5, momentum of the running statistics 0.1), then a learned scale and shift.
    BatchNorm {
        /// Channels of the input.
        channels: usize,
        /// Initial scale.
        weight: BatchNormWeight,
    },
}

/// The keys of a batch norm; the tag is read before.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchNormKeys {
    #[serde(rename = "type")]
    tag: String,
    channels: usize,
    #[serde(default)]
    weight: BatchNormWeight,
}

impl Serialize for TrainLayer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            TrainLayer::Plain(layer) => layer.serialize(serializer),
            TrainLayer::BatchNorm { channels, weight } => {
                BatchNormKeys { tag: "batch_norm".into(), channels: *channels, weight: *weight }
                    .serialize(serializer)
            }
        }
    }
}

/// By hand, for the sake of the messages: an untagged enum would say no more than that nothing
/// matched, and serde lets unknown keys pass beside the tag of a layer without settings.
impl<'de> Deserialize<'de> for TrainLayer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let tag = match value.get("type") {
            Some(Value::String(tag)) => tag.clone(),
            _ => return Err(D::Error::custom("a layer needs a `type`, for example { type = \"silu\" }")),
        };
        let named = |e: serde_json::Error| D::Error::custom(format!("layer `{tag}`: {e}"));
        if tag == "batch_norm" {
            let BatchNormKeys { channels, weight, .. } = serde_json::from_value(value).map_err(named)?;
            return Ok(TrainLayer::BatchNorm { channels, weight });
        }
        let layer: Layer = serde_json::from_value(value.clone()).map_err(named)?;
        let known = serde_json::to_value(&layer).map_err(named)?;
        let unknown = value.as_object().and_then(|map| map.keys().find(|k| known.get(k).is_none()));
        match unknown {
            Some(key) => Err(D::Error::custom(format!("layer `{tag}` has no key `{key}`"))),
            None => Ok(TrainLayer::Plain(layer)),
        }
    }
}
