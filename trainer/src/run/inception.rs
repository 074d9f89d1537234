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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::run::frechet::{Moments, Reference};
    use dual_mcmc::noise::{Noise, Stream};

    /// The official weights cannot be part of a test; random ones show that the parts fit together.
    #[test]
    fn a_distance_on_inceptions_features_is_burn_trains() {
        let device = Device::flex();
        let fid = FidConfig::new().with_normalize(false).init(&device);
        let inception = Inception { fid, device: device.clone() };
        // Of each image one brightness; burn-train's own root needs more samples than features.
        const IMAGES: usize = 10;
        const SOME: usize = 4;
        let len = INPUT.iter().product::<usize>();
        let features = |seed, contrast: f32| -> Vec<f32> {
            let mut x = Noise::new(seed, Stream::Data).normal_rows(0, IMAGES, len, 0);
            x.chunks_mut(len).enumerate().for_each(|(i, image)| {
                image.iter_mut().for_each(|v| *v = (contrast * (1 + i) as f32 * 0.1 * *v).clamp(-1.0, 1.0));
            });
            let all = inception.features(&x).unwrap();
            assert_eq!(all.len(), IMAGES * FEATURES);
            assert!(all.iter().all(|v| v.is_finite()));
            all.chunks(FEATURES).flat_map(|row| row[..SOME].to_vec()).collect()
        };
        let gaussian = |features: &[f32]| {
            let mut moments = Moments::new(SOME);
            moments.add(features);
            moments.gaussian().unwrap()
        };
        let (mut a, mut b) = (features(1, 1.0), features(2, 3.0));
        // Signals fade on their way through random layers: bring both to the first one's place and scale.
        let place = gaussian(&a);
        let scale = (place.covariance.trace() / SOME as f64).sqrt();
        for row in a.chunks_mut(SOME).chain(b.chunks_mut(SOME)) {
            row.iter_mut()
                .zip(&place.mean)
                .for_each(|(v, mean)| *v = ((f64::from(*v) - mean) / scale) as f32);
        }
        let reference = Reference::new(gaussian(&a)).unwrap();
        assert!(reference.distance(&gaussian(&a)).unwrap().abs() < 1e-9);
        let ours = reference.distance(&gaussian(&b)).unwrap();
        let rows = |x: &[f32]| Tensor::<2>::from_data(TensorData::new(x.to_vec(), [IMAGES, SOME]), &device);
        let theirs = f64::from(read(inception.fid.compute_fid(rows(&a), rows(&b))).unwrap()[0]);
        assert!(ours > 0.0 && (ours - theirs).abs() < 0.01 * ours, "{ours} {theirs}");
    }

    #[test]
    fn a_file_that_is_no_weights_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("inception.pth");
        for content in ["", "no weights"] {
            std::fs::write(&path, content).unwrap();
            let error = format!("{:#}", Inception::read(&path, &Device::flex()).err().unwrap());
            assert!(error.contains("inception.pth"), "{error}");
        }
    }
}
