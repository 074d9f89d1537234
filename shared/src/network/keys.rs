//! A layer as it is written: one flat set of keys, of which each type takes its own.
//!
//! serde's own tagged enums let unknown keys pass beside the tag of a layer without settings. Here a
//! key that no layer takes, and one that a layer lacks, is an error in plain words.

use super::Layer;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LayerKeys {
    r#type: String,
    in_features: Option<usize>,
    out_features: Option<usize>,
    in_channels: Option<usize>,
    out_channels: Option<usize>,
    channels: Option<usize>,
    kernel: Option<usize>,
    stride: Option<usize>,
    padding: Option<usize>,
    output_padding: Option<usize>,
    bias: Option<bool>,
    slope: Option<f32>,
    shape: Option<Vec<usize>>,
    main: Option<Vec<Layer>>,
    shortcut: Option<Vec<Layer>>,
}

impl TryFrom<LayerKeys> for Layer {
    type Error = String;

    fn try_from(mut keys: LayerKeys) -> Result<Layer, String> {
        let kind = std::mem::take(&mut keys.r#type);
        let layer = keys.take(&kind)?;
        match keys.left() {
            Some(key) => Err(format!("layer `{kind}` has no key `{key}`")),
            None => Ok(layer),
        }
    }
}

impl LayerKeys {
    /// The layer of this type, its keys taken out.
    fn take(&mut self, kind: &str) -> Result<Layer, String> {
        fn need<T>(kind: &str, key: &str, value: &mut Option<T>) -> Result<T, String> {
            value.take().ok_or_else(|| format!("layer `{kind}` needs `{key}`"))
        }
        Ok(match kind {
            "linear" => Layer::Linear {
                in_features: need(kind, "in_features", &mut self.in_features)?,
                out_features: need(kind, "out_features", &mut self.out_features)?,
                bias: self.bias.take().unwrap_or(true),
            },
            "conv2d" => Layer::Conv2d {
                in_channels: need(kind, "in_channels", &mut self.in_channels)?,
                out_channels: need(kind, "out_channels", &mut self.out_channels)?,
                kernel: need(kind, "kernel", &mut self.kernel)?,
                stride: self.stride.take().unwrap_or(1),
                padding: self.padding.take().unwrap_or(0),
                bias: self.bias.take().unwrap_or(true),
            },
            "conv_transpose2d" => Layer::ConvTranspose2d {
                in_channels: need(kind, "in_channels", &mut self.in_channels)?,
                out_channels: need(kind, "out_channels", &mut self.out_channels)?,
                kernel: need(kind, "kernel", &mut self.kernel)?,
                stride: self.stride.take().unwrap_or(1),
                padding: self.padding.take().unwrap_or(0),
                output_padding: self.output_padding.take().unwrap_or(0),
                bias: self.bias.take().unwrap_or(true),
            },
            "upsample_nearest" => Layer::UpsampleNearest,
            "upsample_bilinear" => Layer::UpsampleBilinear,
            "average_pool" => Layer::AveragePool { kernel: need(kind, "kernel", &mut self.kernel)? },
            "global_average_pool" => Layer::GlobalAveragePool,
            "leaky_relu" => Layer::LeakyRelu { slope: need(kind, "slope", &mut self.slope)? },
            "relu" => Layer::Relu,
            "silu" => Layer::Silu,
            "tanh" => Layer::Tanh,
            "reshape" => Layer::Reshape { shape: need(kind, "shape", &mut self.shape)? },
            "flatten" => Layer::Flatten,
            "scale_shift" => Layer::ScaleShift { channels: need(kind, "channels", &mut self.channels)? },
            "residual" => Layer::Residual {
                main: need(kind, "main", &mut self.main)?,
                shortcut: self.shortcut.take().unwrap_or_default(),
            },
            _ => return Err(format!("there is no layer `{kind}`")),
        })
    }

    /// A key that no one has taken.
    fn left(&self) -> Option<&'static str> {
        let keys = [
            ("in_features", self.in_features.is_some()),
            ("out_features", self.out_features.is_some()),
            ("in_channels", self.in_channels.is_some()),
            ("out_channels", self.out_channels.is_some()),
            ("channels", self.channels.is_some()),
            ("kernel", self.kernel.is_some()),
            ("stride", self.stride.is_some()),
            ("padding", self.padding.is_some()),
            ("output_padding", self.output_padding.is_some()),
            ("bias", self.bias.is_some()),
            ("slope", self.slope.is_some()),
            ("shape", self.shape.is_some()),
            ("main", self.main.is_some()),
            ("shortcut", self.shortcut.is_some()),
        ];
        keys.into_iter().find(|(_, there)| *there).map(|(key, _)| key)
    }
}
