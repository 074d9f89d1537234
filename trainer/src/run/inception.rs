//! Inception V3 as the Fréchet Inception distance has it: burn-train's network, with weights from a
//! file. Images enter in [-1, 1], as these weights were trained, and not in ImageNet's normalisation.

use crate::networks::read;
use anyhow::{Context, Result, anyhow, ensure};
use burn::tensor::{Device, Tensor, TensorData};
use burn_store::{ModuleSnapshot, PytorchStore};
use burn_train::metric::vision::{Fid, FidConfig};
use std::path::Path;

/// Number of features: the averages over the last block's positions.
pub const FEATURES: usize = 2048;

/// Images that the network takes; others are enlarged before, between pixels' centres.
pub const INPUT: [usize; 3] = [3, 299, 299];

/// Images in one forward pass: convolutions unfold their inputs.
const BATCH: usize = 8;

/// The layers outside the blocks: their names in PyTorch and in burn-train.
const STEM: [(&str, &str); 5] = [
    ("Conv2d_1a_3x3", "conv2d_1a"),
    ("Conv2d_2a_3x3", "conv2d_2a"),
    ("Conv2d_2b_3x3", "conv2d_2b"),
    ("Conv2d_3b_1x1", "conv2d_3b"),
    ("Conv2d_4a_3x3", "conv2d_4a"),
];

/// The network with its weights.
pub struct Inception {
    fid: Fid,
    device: Device,
}

impl Inception {
    /// Read the weights from a PyTorch file that names them as torchvision does, such as pytorch-fid's.
    ///
    /// # Errors
    /// If the file is missing, is no such file, or lacks a tensor.
    pub fn read(path: &Path, device: &Device) -> Result<Inception> {
        let cannot = || format!("cannot read Inception's weights {}", path.display());
        std::fs::File::open(path).with_context(cannot)?;
        let mut store = PytorchStore::from_file(path)
            .allow_partial(true)
            .with_key_remapping(r"^Mixed_(\w+)\.", "extractor.mixed_$1.");
        for (theirs, ours) in STEM {
            store = store.with_key_remapping(format!(r"^{theirs}\."), format!("extractor.{ours}."));
        }
        let mut fid = FidConfig::new().with_normalize(false).init(device);
        // A partial file would leave random weights in silence.
        let result = fid.load_from(&mut store).map_err(|e| anyhow!("{e}")).with_context(cannot)?;
        let missing = result.missing.first();
        ensure!(missing.is_none(), "{}: `{}` is not there", cannot(), missing.map_or("", |(path, _)| path));
        ensure!(result.errors.is_empty(), "{}: {}", cannot(), result.errors[0]);
        Ok(Inception { fid, device: device.clone() })
    }

    /// Features of images `INPUT`, both flat.
    ///
    /// # Errors
    /// If the device fails.
    pub fn features(&self, images: &[f32]) -> Result<Vec<f32>> {
        let [c, h, w] = INPUT;
        let mut features = Vec::new();
        for part in images.chunks(BATCH * c * h * w) {
            let data = TensorData::new(part.to_vec(), [part.len() / (c * h * w), c, h, w]);
            let x = Tensor::<4>::from_data(data, &self.device);
            features.extend(read(self.fid.extract_features(x))?);
        }
        Ok(features)
    }
}
