//! NumPy's `.npy` arrays of floats.

use super::atomic;
use anyhow::{Context, Result, bail, ensure};
use npyz::{DType, NpyFile, Order, TypeChar, WriterBuilder};
use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::Path;

/// NumPy's own headers for such arrays take 118 bytes.
const MAX_HEADER: u64 = 4096;

/// An array in row-major order. The first dimension counts samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// All dimensions.
    pub shape: Vec<usize>,
    /// All values, finite.
    pub values: Vec<f32>,
}

impl Array {
    /// Number of samples.
    pub fn count(&self) -> usize {
        self.shape[0]
    }
}

/// Read an array of f32 or f64 values of at least one dimension, all finite.
///
/// # Errors
/// If the file is missing, no such array, shorter or longer than its header says, empty, or holds
/// a value that is not finite.
pub fn read(path: &Path) -> Result<Array> {
    let cannot = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(cannot)?;
    let size = file.metadata().with_context(cannot)?.len();
    let shape = shape(&mut file, size).with_context(cannot)?;
    file.rewind().with_context(cannot)?;
    // The library's own message draws the place in the header, over several lines.
    let npy = NpyFile::new(BufReader::new(file))
        .map_err(|_| anyhow::anyhow!("its header is damaged"))
        .with_context(cannot)?;
    let DType::Plain(dtype) = npy.dtype() else {
        bail!("{} holds records; save it as a plain float32 array", path.display());
    };
    let bytes = dtype.size_field();
    ensure!(
        dtype.type_char() == TypeChar::Float && (bytes == 4 || bytes == 8),
        "{} has dtype {dtype}; save it with .astype(numpy.float32)",
        path.display()
    );
    ensure!(
        npy.order() == Order::C || shape.len() == 1,
        "{} is in Fortran order; save it with numpy.ascontiguousarray",
        path.display()
    );
    let values: Vec<f32> = match bytes {
        4 => npy.into_vec().with_context(cannot)?,
        _ => npy.into_vec::<f64>().with_context(cannot)?.into_iter().map(|v| v as f32).collect(),
    };
    if let Some(index) = values.iter().position(|v| !v.is_finite()) {
        bail!("{} holds {} at element {index}; all must be finite", path.display(), values[index]);
    }
    Ok(Array { shape, values })
}

/// The shape in the header, after checking that the file is long enough for it: `npyz` trusts the
/// header, and would multiply and allocate whatever it says.
fn shape(file: &mut File, size: u64) -> Result<Vec<usize>> {
    let mut start = [0; 12];
    let read = file.read(&mut start)?;
    ensure!(read == 12 && start.starts_with(b"\x93NUMPY"), "it is no .npy file");
    let (prefix, header) = match start[6] {
        1 => (10, u64::from(u16::from_le_bytes([start[8], start[9]]))),
        _ => (12, u64::from(u32::from_le_bytes([start[8], start[9], start[10], start[11]]))),
    };
    ensure!(header <= MAX_HEADER && prefix + header <= size, "its header is damaged");
    file.seek(std::io::SeekFrom::Start(prefix))?;
    let mut text = vec![0; header as usize];
    file.read_exact(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let shape = text
        .split_once("'shape'")
        .and_then(|(_, rest)| rest.split_once('('))
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(numbers, _)| numbers)
        .context("its header has no shape")?;
    let shape = shape
        .split(',')
        .map(|n| n.trim().trim_end_matches('L'))
        .filter(|n| !n.is_empty())
        .map(|n| n.parse::<usize>().context("its shape is damaged"))
        .collect::<Result<Vec<_>>>()?;
    ensure!(!shape.is_empty(), "it holds a single number, not an array");
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let data = size - prefix - header;
    match count {
        Some(0) => bail!("its shape {shape:?} is empty"),
        // 4 bytes a value or more; npyz finds out about a file that is a little too short.
        Some(count) if (count as u64).checked_mul(4).is_some_and(|bytes| bytes <= data) => Ok(shape),
        _ => bail!("it ends before the {shape:?} values that its header announces"),
    }
}

/// Images must lie in [-1, 1], up to rounding.
///
/// # Errors
/// If a value lies outside.
pub fn check_range(values: &[f32], path: &Path) -> Result<()> {
    match values.iter().find(|v| v.abs() > 1.001) {
        Some(value) => bail!(
            "{} holds the pixel {value}; images must lie in [-1, 1], so rescale 0..255 by x/127.5 - 1",
            path.display()
        ),
        None => Ok(()),
    }
}

/// Write an f32 array; the file is there only when it is whole.
///
/// # Errors
/// If it cannot be written.
pub fn write(path: &Path, shape: &[usize], values: &[f32]) -> Result<()> {
    debug_assert_eq!(shape.iter().product::<usize>(), values.len());
    let shape: Vec<u64> = shape.iter().map(|&d| d as u64).collect();
    atomic::write(path, |file| {
        let mut npy = npyz::WriteOptions::new().default_dtype().shape(&shape).writer(file).begin_nd()?;
        npy.extend(values.iter().copied())?;
        npy.finish()?;
        Ok(())
    })
    .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::path::PathBuf;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        std::fs::write(&path, bytes).unwrap();
        (folder, path)
    }

    /// An array file with this header dictionary, and `data` after it.
    fn with_header(dictionary: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((dictionary.len() as u16).to_le_bytes());
        bytes.extend(dictionary.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn error(bytes: &[u8]) -> String {
        let (_folder, path) = file(bytes);
        format!("{:#}", read(&path).unwrap_err())
    }

    #[test]
    fn arrays_come_back_as_they_were_written() {
        let (_folder, path) = file(b"");
        let values: Vec<f32> = (0..24).map(|i| i as f32 * 0.37 - 3.0).collect();
        write(&path, &[2, 3, 4], &values).unwrap();
        assert_eq!(read(&path).unwrap(), Array { shape: vec![2, 3, 4], values });
    }

    #[test]
    fn doubles_and_the_other_byte_order_are_read() {
        let data: Vec<u8> = [1.5f64, -2.0].iter().flat_map(|v| v.to_be_bytes()).collect();
        let bytes = with_header("{'descr': '>f8', 'fortran_order': False, 'shape': (2,), }\n", &data);
        let (_folder, path) = file(&bytes);
        assert_eq!(read(&path).unwrap(), Array { shape: vec![2], values: vec![1.5, -2.0] });
    }

    #[test]
    fn damaged_and_foreign_arrays_are_refused_in_words() {
        let header = |descr: &str, shape: &str| {
            format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n")
        };
        let nan: Vec<u8> = [1.0f32, f32::NAN].iter().flat_map(|v| v.to_le_bytes()).collect();
        for (bytes, expected) in [
            (b"PK\x03\x04 not an array".to_vec(), "no .npy file"),
            (b"\x93NU".to_vec(), "no .npy file"),
            (with_header(&header("<f4", "(4,)"), &[0; 15]), "ends before"),
            (with_header(&header("<f8", "(4,)"), &[0; 20]), "cannot read"),
            (with_header(&header("<f4", "(18446744073709551615, 2)"), &[0; 16]), "ends before"),
            (with_header(&header("<f4", "(4294967296, 4294967296, 4)"), &[0; 16]), "ends before"),
            (with_header(&header("<f4", "(-3,)"), &[0; 16]), "damaged"),
            (with_header(&header("<f4", "()"), &[0; 4]), "single number"),
            (with_header(&header("<f4", "(0, 2)"), &[]), "empty"),
            (with_header(&header("<i4", "(2,)"), &[0; 8]), "astype"),
            (with_header(&header("|O", "(2,)"), &[0; 16]), "astype"),
            (with_header("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1), }\n", &[0; 8]), "Fortran"),
            (with_header(&header("<f4", "(2,)"), &nan), "element 1"),
            (with_header("{'descr': ", &[0; 8]), "no shape"),
            (with_header("(((((((( 'shape': (2,)", &[0; 8]), "header is damaged"),
        ] {
            let error = error(&bytes);
            assert!(error.contains(expected), "{expected}: {error}");
            assert!(error.lines().count() <= 2, "{error}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let (_folder, path) = file(b"");
        write(&path, &[3, 2], &[0.5; 6]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for len in 0..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            assert!(read(&path).is_err(), "{len} bytes");
        }
    }
}
