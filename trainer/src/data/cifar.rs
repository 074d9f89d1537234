//! CIFAR-10's binary batches: records of a label and 3,072 pixels, channel by channel.

use super::labels::Labels;
use super::{Dataset, Samples};
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// Pixels of one image.
pub const PIXELS: usize = 3 * 32 * 32;

/// Images of one batch.
pub const BATCH: usize = 10_000;

/// Read the five training batches and the test batch of `folder`.
pub fn load(name: &str, folder: &Path) -> Result<Dataset> {
    let mut train = Vec::with_capacity(5 * BATCH * PIXELS);
    for i in 1..=5 {
        train.extend(batch(&folder.join(format!("data_batch_{i}.bin")))?);
    }
    Ok(Dataset {
        known: None,
        name: name.into(),
        shape: vec![3, 32, 32],
        train: Samples::Bytes(train),
        held_out: Samples::Bytes(batch(&folder.join("test_batch.bin"))?),
    })
}

/// Read the labels of the training batches and of the test batch.
pub fn load_labels(folder: &Path) -> Result<Labels> {
    let labels = |name: &str| -> Result<Vec<u8>> {
        Ok(records(&folder.join(name))?.chunks(1 + PIXELS).map(|record| record[0]).collect())
    };
    let train: Result<Vec<_>> = (1..=5).map(|i| labels(&format!("data_batch_{i}.bin"))).collect();
    Ok(Labels { train: train?.concat(), held_out: labels("test_batch.bin")? })
}

fn batch(path: &Path) -> Result<Vec<u8>> {
    Ok(records(path)?.chunks(1 + PIXELS).flat_map(|record| &record[1..]).copied().collect())
}

/// A batch's records: a label, then the pixels.
fn records(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (records, rest) = bytes.as_chunks::<{ 1 + PIXELS }>();
    let whole = rest.is_empty() && records.len() == BATCH && records.iter().all(|r| r[0] < 10);
    ensure!(whole, "{} is damaged: it is no batch of {BATCH} images with their labels", path.display());
    Ok(bytes)
}

/// A batch's bytes from its images as one picture with an image in each row, pixel after pixel in
/// RGB, and its labels.
pub fn from_rows(picture: &[u8], labels: &[u8]) -> Vec<u8> {
    let mut batch = Vec::with_capacity(labels.len() * (1 + PIXELS));
    for (row, &label) in picture.as_chunks::<PIXELS>().0.iter().zip(labels) {
        batch.push(label);
        for channel in 0..3 {
            batch.extend(row.iter().skip(channel).step_by(3));
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rows_become_channels() {
        let mut picture = vec![0u8; 2 * PIXELS];
        picture[PIXELS..PIXELS + 6].copy_from_slice(&[1, 2, 3, 4, 5, 6]);
        let batch = from_rows(&picture, &[7, 9]);
        let second = &batch[1 + PIXELS..];
        assert_eq!((second[0], second[1], second[2]), (9, 1, 4));
        assert_eq!((second[1 + 1024], second[1 + 2048 + 1]), (2, 6));
    }

    #[test]
    fn a_short_batch_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("test_batch.bin");
        std::fs::write(&path, vec![0; 5 * (1 + PIXELS)]).unwrap();
        assert!(batch(&path).unwrap_err().to_string().contains("damaged"));
    }
}
