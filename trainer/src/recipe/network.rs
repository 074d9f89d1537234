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
    /// at the same place.
    pub fn folded(&self) -> Network {
        let layers = self.layers.iter().map(TrainLayer::folded).collect();
        Network { input: self.input.clone(), layers, reference: self.reference }
    }

    /// The layers with those inside residuals instead of the residuals themselves, in the order of
    /// their parameters, each with its path: `"3"`, or `"2.main.0"`.
    pub fn leaves(&self) -> Vec<(String, &TrainLayer)> {
        let mut leaves = Vec::new();
        collect_leaves(&self.layers, "", &mut leaves);
        leaves
    }

    /// Whether any layer is a batch norm.
    pub fn has_batch_norm(&self) -> bool {
        self.leaves().iter().any(|(_, l)| matches!(l, TrainLayer::BatchNorm { .. }))
    }
}

fn collect_leaves<'a>(layers: &'a [TrainLayer], prefix: &str, leaves: &mut Vec<(String, &'a TrainLayer)>) {
    for (index, layer) in layers.iter().enumerate() {
        let path = format!("{prefix}{index}");
        match layer {
            TrainLayer::Residual { main, shortcut } => {
                collect_leaves(main, &format!("{path}.main."), leaves);
                collect_leaves(shortcut, &format!("{path}.shortcut."), leaves);
            }
            leaf => leaves.push((path, leaf)),
        }
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
    /// `{ type = "residual", main = […], shortcut = […] }`: the sum of two paths, which may hold
    /// batch norms.
    Residual {
        /// The layers of the main path.
        main: Vec<TrainLayer>,
        /// The layers of the other path; none for the input itself.
        shortcut: Vec<TrainLayer>,
    },
}

impl TrainLayer {
    /// The layer that executors run after folding.
    fn folded(&self) -> Layer {
        let path = |layers: &[TrainLayer]| layers.iter().map(TrainLayer::folded).collect();
        match self {
            TrainLayer::Plain(layer) => layer.clone(),
            TrainLayer::BatchNorm { channels, .. } => Layer::ScaleShift { channels: *channels },
            TrainLayer::Residual { main, shortcut } => {
                Layer::Residual { main: path(main), shortcut: path(shortcut) }
            }
        }
    }
}

impl From<Layer> for TrainLayer {
    /// A residual's paths become training layers too.
    fn from(layer: Layer) -> TrainLayer {
        match layer {
            Layer::Residual { main, shortcut } => {
                let path = |layers: Vec<Layer>| layers.into_iter().map(TrainLayer::from).collect();
                TrainLayer::Residual { main: path(main), shortcut: path(shortcut) }
            }
            layer => TrainLayer::Plain(layer),
        }
    }
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

/// The keys of a residual.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ResidualKeys {
    #[serde(rename = "type")]
    tag: String,
    main: Vec<TrainLayer>,
    #[serde(default)]
    shortcut: Vec<TrainLayer>,
}

impl Serialize for TrainLayer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            TrainLayer::Plain(layer) => layer.serialize(serializer),
            TrainLayer::BatchNorm { channels, weight } => {
                BatchNormKeys { tag: "batch_norm".into(), channels: *channels, weight: *weight }
                    .serialize(serializer)
            }
            TrainLayer::Residual { main, shortcut } => {
                let (main, shortcut) = (main.clone(), shortcut.clone());
                ResidualKeys { tag: "residual".into(), main, shortcut }.serialize(serializer)
            }
        }
    }
}

/// Every type of layer.
const TYPES: [&str; 16] = [
    "linear",
    "conv2d",
    "conv_transpose2d",
    "upsample_nearest",
    "upsample_bilinear",
    "average_pool",
    "global_average_pool",
    "leaky_relu",
    "relu",
    "silu",
    "tanh",
    "reshape",
    "flatten",
    "scale_shift",
    "batch_norm",
    "residual",
];

/// By hand, for the sake of the messages: an untagged enum would say no more than that nothing
/// matched.
impl<'de> Deserialize<'de> for TrainLayer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let tag = match value.get("type") {
            Some(Value::String(tag)) => tag.clone(),
            _ => return Err(D::Error::custom("a layer needs a `type`, for example { type = \"silu\" }")),
        };
        if !TYPES.contains(&tag.as_str()) {
            let advice = match super::suggest::nearest(&tag, TYPES) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("there are {}", TYPES.join(", ")),
            };
            return Err(D::Error::custom(format!("there is no layer `{tag}`; {advice}")));
        }
        let named = |e: serde_json::Error| D::Error::custom(format!("layer `{tag}`: {e}"));
        if tag == "batch_norm" {
            let BatchNormKeys { channels, weight, .. } = serde_json::from_value(value).map_err(named)?;
            return Ok(TrainLayer::BatchNorm { channels, weight });
        }
        if tag == "residual" {
            let ResidualKeys { main, shortcut, .. } = serde_json::from_value(value).map_err(named)?;
            return Ok(TrainLayer::Residual { main, shortcut });
        }
        serde_json::from_value(value).map(TrainLayer::Plain).map_err(D::Error::custom)
    }
}
