//! Samples, in memory or on disk.

use super::{npy, spread};
use anyhow::Result;
use md5::{Digest, Md5};
use std::ops::Range;
use std::sync::Arc;

/// Values up to which all samples go into a digest; of more, so many samples.
const WHOLE: usize = 1 << 28;
const SPOTS: usize = 4096;

/// Samples in memory, or on disk. Pixels that were bytes stay bytes, which takes a quarter of the space.
#[derive(Clone, Debug)]
pub enum Samples {
    /// Pixels 0 to 255, for -1 to 1.
    Bytes(Vec<u8>),
    /// Values as they are.
    Floats(Vec<f32>),
    /// Some rows of an array on disk, which are read when they are asked for.
    Rows(Arc<npy::Rows>, Range<usize>),
}

impl Samples {
    /// Number of values of all samples.
    pub fn len(&self) -> usize {
        match self {
            Samples::Bytes(bytes) => bytes.len(),
            Samples::Floats(floats) => floats.len(),
            Samples::Rows(rows, range) => range.len() * rows.row_len(),
        }
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The samples of `indices`, each `len` values long, one after another.
    ///
    /// # Errors
    /// If they lie on disk and cannot be read, or hold values that are not allowed.
    pub fn gather(&self, indices: impl IntoIterator<Item = usize>, len: usize) -> Result<Vec<f32>> {
        let mut out = Vec::new();
        match self {
            Samples::Bytes(bytes) => indices
                .into_iter()
                .for_each(|i| out.extend(bytes[i * len..(i + 1) * len].iter().map(|&b| pixel(b)))),
            Samples::Floats(floats) => {
                indices.into_iter().for_each(|i| out.extend_from_slice(&floats[i * len..(i + 1) * len]));
            }
            Samples::Rows(rows, range) => {
                // Neighbours are read together.
                let mut run = range.start..range.start;
                for i in indices.into_iter().map(|i| range.start + i) {
                    if i != run.end {
                        rows.read(std::mem::replace(&mut run, i..i), &mut out)?;
                    }
                    run.end += 1;
                }
                rows.read(run, &mut out)?;
            }
        }
        Ok(out)
    }

    /// Add the samples, of `len` values each, to a digest; of more than a gibibyte some thousand of them.
    pub(super) fn digest(&self, len: usize, digest: &mut Md5) -> Result<()> {
        if let Samples::Bytes(bytes) = self {
            digest.update(bytes);
            return Ok(());
        }
        let count = self.len() / len;
        let some = (self.len() > WHOLE).then(|| spread(count, SPOTS.min(count)).collect::<Vec<_>>());
        let indices = some.unwrap_or_else(|| (0..count).collect());
        for part in indices.chunks((WHOLE / 256 / len).max(1)) {
            let values = self.gather(part.iter().copied(), len)?;
            values.iter().for_each(|value| digest.update(value.to_le_bytes()));
        }
        Ok(())
    }

    /// The first `count` samples of `len` values, and the others.
    pub(super) fn split(self, count: usize, len: usize) -> (Samples, Samples) {
        match self {
            Samples::Bytes(mut bytes) => {
                let rest = bytes.split_off(count * len);
                (Samples::Bytes(bytes), Samples::Bytes(rest))
            }
            Samples::Floats(mut floats) => {
                let rest = floats.split_off(count * len);
                (Samples::Floats(floats), Samples::Floats(rest))
            }
            Samples::Rows(rows, Range { start, end }) => {
                let middle = start + count;
                (Samples::Rows(rows.clone(), start..middle), Samples::Rows(rows, middle..end))
            }
        }
    }
}

/// The value of a pixel in [-1, 1].
pub fn pixel(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bytes_and_floats_give_the_same_samples() {
        let bytes = Samples::Bytes(vec![0, 255, 51, 204]);
        let floats = Samples::Floats(vec![-1.0, 1.0, -0.6, 0.6]);
        let a = bytes.gather([1, 0, 1], 2).unwrap();
        let b = floats.gather([1, 0, 1], 2).unwrap();
        assert_eq!(a.len(), 6);
        assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-6), "{a:?} {b:?}");
    }
}
