//! MNIST's idx files of images and labels.

use super::labels::Labels;
use super::{Dataset, Samples};
use anyhow::{Context, Result, ensure};
use std::path::Path;

/// Side of the images in the files, and of the padded images that the networks take.
const SIDE: usize = 28;
const PADDED: usize = 32;

/// Read training and test images of `folder`, padded with -1 to 32×32.
pub fn load(name: &str, folder: &Path) -> Result<Dataset> {
    Ok(Dataset {
        known: None,
        name: name.into(),
        shape: vec![1, PADDED, PADDED],
        train: Samples::Bytes(images(&folder.join("train-images-idx3-ubyte"))?),
        held_out: Samples::Bytes(images(&folder.join("t10k-images-idx3-ubyte"))?),
    })
}

/// Read the labels of training and test images.
pub fn load_labels(folder: &Path) -> Result<Labels> {
    Ok(Labels {
        train: labels(&folder.join("train-labels-idx1-ubyte"))?,
        held_out: labels(&folder.join("t10k-labels-idx1-ubyte"))?,
    })
}

fn labels(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (header, labels) = bytes.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
    let [magic, count] = [0, 4].map(|at| u32::from_be_bytes([0, 1, 2, 3].map(|i| header[at + i])));
    let whole = magic == 0x801 && count as usize == labels.len() && labels.iter().all(|&label| label < 10);
    ensure!(whole, "{} is damaged: it is no idx file of labels from 0 to 9", path.display());
    Ok(labels.to_vec())
}

fn images(path: &Path) -> Result<Vec<u8>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let damaged = |what: String| format!("{} is damaged: {what}", path.display());
    let word = |i: usize| -> Option<usize> {
        let word = bytes.get(4 * i..4 * i + 4)?;
        Some(u32::from_be_bytes(word.try_into().ok()?) as usize)
    };
    let (Some(magic), Some(count), Some(rows), Some(columns)) = (word(0), word(1), word(2), word(3)) else {
        anyhow::bail!(damaged("it ends inside its header".into()));
    };
    ensure!(magic == 0x803, damaged("it is no idx file of images".into()));
    ensure!(rows == SIDE && columns == SIDE, damaged(format!("its images are {rows}×{columns}, not 28×28")));
    let expected = count as u64 * (SIDE * SIDE) as u64 + 16;
    ensure!(
        bytes.len() as u64 == expected && count > 0,
        damaged(format!("it holds {} bytes, its header announces {expected}", bytes.len()))
    );
    Ok(pad(&bytes[16..]))
}

/// Byte 0 is -1, so padding is with zeros.
fn pad(pixels: &[u8]) -> Vec<u8> {
    let margin = (PADDED - SIDE) / 2;
    let count = pixels.len() / (SIDE * SIDE);
    let mut out = vec![0; count * PADDED * PADDED];
    let rows = pixels.as_chunks::<SIDE>().0;
    for (i, row) in rows.iter().enumerate() {
        let (image, y) = (i / SIDE, i % SIDE);
        let start = image * PADDED * PADDED + (y + margin) * PADDED + margin;
        out[start..start + SIDE].copy_from_slice(row);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn idx(count: u32, pixels: &[u8]) -> Vec<u8> {
        let header = [0x803, count, 28, 28].into_iter().flat_map(u32::to_be_bytes);
        header.chain(pixels.iter().copied()).collect()
    }

    #[test]
    fn images_are_padded_on_all_sides() {
        let folder = tempfile::tempdir().unwrap();
        let mut pixels = vec![7u8; 2 * 784];
        pixels[784] = 200;
        for name in ["train-images-idx3-ubyte", "t10k-images-idx3-ubyte"] {
            std::fs::write(folder.path().join(name), idx(2, &pixels)).unwrap();
        }
        let data = load("mnist", folder.path()).unwrap();
        assert_eq!((data.train_count(), data.held_out_count()), (2, 2));
        let image = data.train_batch([1]).unwrap();
        assert_eq!(image[..2 * 32 + 2], [-1.0; 66]);
        assert!((image[2 * 32 + 2] - (200.0 / 127.5 - 1.0)).abs() < 1e-6);
        assert_eq!(image.iter().filter(|&&v| v == -1.0).count(), 1024 - 784);
    }

    #[test]
    fn labels_are_read_and_others_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = |labels: &[u8]| [&[0, 0, 8, 1, 0, 0, 0, 3], labels].concat();
        for name in ["train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte"] {
            std::fs::write(folder.path().join(name), file(&[7, 0, 9])).unwrap();
        }
        assert_eq!(load_labels(folder.path()).unwrap().train, [7, 0, 9]);
        let path = folder.path().join("train-labels-idx1-ubyte");
        for damaged in [&[7, 0][..], &[7, 0, 10], &[7, 0, 9, 1]] {
            std::fs::write(&path, file(damaged)).unwrap();
            assert!(labels(&path).unwrap_err().to_string().contains("train-labels"));
        }
        std::fs::write(&path, [8]).unwrap();
        assert!(labels(&path).is_err());
    }

    #[test]
    fn damaged_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("train-images-idx3-ubyte");
        let whole = idx(2, &[0; 1568]);
        let mut magic = whole.clone();
        magic[3] = 1;
        let mut huge = whole.clone();
        huge[4] = 255;
        let mut rows = whole.clone();
        rows[11] = 27;
        for (bytes, expected) in [
            (&whole[..10], "header"),
            (&whole[..whole.len() - 1], "1583 bytes"),
            (&magic, "no idx file"),
            (&huge, "announces"),
            (&rows, "27×28"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = images(&path).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("train-images"), "{error}");
        }
    }
}
