//! NumPy's `.npy` arrays of floats.

use super::{atomic, memory};
use anyhow::{Context, Result, anyhow, bail, ensure};
use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// NumPy's own headers for such arrays take 118 bytes.
const MAX_HEADER: u64 = 4096;

/// Bytes that are read at a time, or one row if that is more.
const CHUNK: usize = 1 << 20;

/// Files up to this size are read through before they are used, which takes a second or two. Of larger
/// ones `SPOTS` rows are looked at, and the others when they are read.
const READ_THROUGH: u64 = 1 << 30;
const SPOTS: usize = 4096;

/// Images must lie in [-1, 1], up to rounding.
const IMAGE_BOUND: f32 = 1.001;

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
/// If the file is missing, no such array, shorter than its header says, empty, or holds a value that
/// is not finite.
pub fn read(path: &Path) -> Result<Array> {
    Rows::open(path)?.all()
}

/// An array that stays on disk: its rows, which are its samples, are read when they are asked for.
#[derive(Debug)]
pub struct Rows {
    path: PathBuf,
    shape: Vec<usize>,
    file: Mutex<File>,
    /// Where the values begin in the file, and how they are stored.
    start: u64,
    bytes: usize,
    big_endian: bool,
    /// Largest magnitude that is allowed.
    bound: f32,
}

impl Rows {
    /// Open an array of f32 or f64 values of at least one dimension.
    ///
    /// # Errors
    /// If the file is missing, no such array, shorter than its header says, or empty.
    pub fn open(path: &Path) -> Result<Rows> {
        let cannot = || format!("cannot read {}", path.display());
        let mut file = File::open(path).with_context(cannot)?;
        let size = file.metadata().with_context(cannot)?.len();
        let (start, header) = read_header(&mut file, size).with_context(cannot)?;
        let shape: Vec<usize> = header.shape().iter().map(|&n| n as usize).collect();
        let DType::Plain(dtype) = header.dtype() else {
            bail!("{} holds records; save it as a plain float32 array", path.display());
        };
        let bytes = dtype.size_field();
        ensure!(
            dtype.type_char() == TypeChar::Float && (bytes == 4 || bytes == 8),
            "{} has dtype {dtype}; save it with .astype(numpy.float32)",
            path.display()
        );
        ensure!(
            header.order() == Order::C || shape.len() == 1,
            "{} is in Fortran order; save it with numpy.ascontiguousarray",
            path.display()
        );
        let big_endian = dtype.endianness() == Endianness::Big;
        check_size(&shape, bytes, size - start).with_context(cannot)?;
        let bytes = bytes as usize;
        let bound = f32::MAX;
        Ok(Rows { path: path.into(), shape, file: Mutex::new(file), start, bytes, big_endian, bound })
    }

    /// From now on a value outside [-1, 1] is an error.
    pub fn of_images(mut self) -> Rows {
        self.bound = IMAGE_BOUND;
        self
    }

    /// Read all rows.
    ///
    /// # Errors
    /// As [`Rows::read`]; and if they do not fit in memory.
    pub fn all(self) -> Result<Array> {
        let len: usize = self.shape.iter().product();
        memory::ask(len.saturating_mul(size_of::<f32>()), || self.path.display().to_string())?;
        let mut values = Vec::with_capacity(len);
        self.read(0..self.count(), &mut values)?;
        Ok(Array { shape: self.shape, values })
    }

    /// All dimensions. The first one counts rows.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of rows.
    pub fn count(&self) -> usize {
        self.shape[0]
    }

    /// Values of one row.
    pub fn row_len(&self) -> usize {
        self.shape[1..].iter().product()
    }

    /// Look for values that are not allowed: everywhere in a file of up to a gibibyte, else in some
    /// thousand rows from all over it. The others are checked when they are read.
    ///
    /// # Errors
    /// As [`Rows::read`].
    pub fn check(&self) -> Result<()> {
        let count = self.count();
        let row = (self.row_len() * self.bytes) as u64;
        let mut values = Vec::new();
        if row * count as u64 > READ_THROUGH {
            return super::spread(count, SPOTS.min(count)).try_for_each(|at| {
                values.clear();
                self.read(at..at + 1, &mut values)
            });
        }
        let step = self.rows_of_a_chunk();
        (0..count).step_by(step).try_for_each(|first| {
            values.clear();
            self.read(first..(first + step).min(count), &mut values)
        })
    }

    /// Read `rows` onto the end of `out`.
    ///
    /// # Errors
    /// If the file cannot be read, or a value is not finite or, of an image, outside [-1, 1]; names the
    /// row.
    pub fn read(&self, rows: Range<usize>, out: &mut Vec<f32>) -> Result<()> {
        let step = self.rows_of_a_chunk();
        let row = self.row_len() * self.bytes;
        let mut buffer = vec![0; row * step.min(rows.len())];
        for first in rows.clone().step_by(step) {
            let count = step.min(rows.end - first);
            let bytes = &mut buffer[..row * count];
            let cannot = || format!("cannot read {} from row {first} on", self.path.display());
            self.read_bytes(first as u64 * row as u64, bytes).with_context(cannot)?;
            let before = out.len();
            match (self.bytes, self.big_endian) {
                (4, false) => out.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b))),
                (4, true) => out.extend(bytes.as_chunks().0.iter().map(|&b| f32::from_be_bytes(b))),
                (_, false) => out.extend(bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32)),
                (_, true) => out.extend(bytes.as_chunks().0.iter().map(|&b| f64::from_be_bytes(b) as f32)),
            }
            self.check_values(first, &out[before..])?;
        }
        Ok(())
    }

    fn read_bytes(&self, offset: u64, bytes: &mut [u8]) -> std::io::Result<()> {
        // Nothing is left half done by a thread that panicked: each read seeks for itself.
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.start + offset))?;
        file.read_exact(bytes)
    }

    fn rows_of_a_chunk(&self) -> usize {
        (CHUNK / (self.row_len() * self.bytes)).max(1)
    }

    /// Check values of which the first is the first one of row `first`.
    fn check_values(&self, first: usize, values: &[f32]) -> Result<()> {
        // NaN is not below any bound.
        let Some(index) = values.iter().position(|v| v.is_nan() || v.abs() > self.bound) else {
            return Ok(());
        };
        let (row, value) = (first + index / self.row_len(), values[index]);
        let (path, column) = (self.path.display(), index % self.row_len());
        if !value.is_finite() {
            bail!("{path} holds {value} in row {row}, value {column} (counted from 0); all must be finite");
        }
        bail!(
            "{path} holds the pixel {value} in image {row}; images must lie in [-1, 1], so rescale 0..255 by x/127.5 - 1"
        )
    }
}

/// Where the values begin, and the header, of bounded length; it may announce more values than there are.
fn read_header(file: &mut File, size: u64) -> Result<(u64, NpyHeader)> {
    let mut start = [0; 12];
    let read = file.read(&mut start)?;
    ensure!(
        !start.starts_with(b"version "),
        "it is a pointer of Git LFS; `git lfs pull` fetches the file itself"
    );
    ensure!(!start.starts_with(b"PK"), "it is an archive of arrays (.npz); save one of them with numpy.save");
    ensure!(
        !start.starts_with(b"\x89PNG") && !start.starts_with(b"\xFF\xD8"),
        "it is a picture; name its folder"
    );
    ensure!(
        read == 12 && start.starts_with(b"\x93NUMPY"),
        "it is no .npy file; points as text go into a .csv file, a line for each with commas between its numbers"
    );
    let (prefix, length) = match start[6] {
        1 => (10, u64::from(u16::from_le_bytes([start[8], start[9]]))),
        _ => (12, u64::from(u32::from_le_bytes([start[8], start[9], start[10], start[11]]))),
    };
    ensure!(length <= MAX_HEADER && prefix + length <= size, "its header is damaged");
    let mut bytes = vec![0; (prefix + length) as usize];
    file.rewind()?;
    file.read_exact(&mut bytes)?;
    // The library's own message draws the place in the header, over several lines.
    let header = NpyHeader::from_reader(&bytes[..]).map_err(|_| anyhow!("its header is damaged"))?;
    ensure!(!header.shape().is_empty(), "it holds a single number, not an array");
    Ok((prefix + length, header))
}

fn check_size(shape: &[usize], bytes: u64, there: u64) -> Result<()> {
    let count = shape.iter().try_fold(1u64, |n, &d| n.checked_mul(d as u64));
    match count {
        Some(0) => bail!("its shape {shape:?} is empty"),
        Some(count) if count.checked_mul(bytes).is_some_and(|needed| needed <= there) => Ok(()),
        _ => bail!("it ends before the {shape:?} values that its header announces"),
    }
}

/// Write an f32 array; the file is there only when it is whole.
///
/// # Errors
/// If it cannot be written, or a value is not finite.
pub fn write(path: &Path, shape: &[usize], values: &[f32]) -> Result<()> {
    debug_assert_eq!(shape.iter().product::<usize>(), values.len());
    write_rows(path, &shape[1..], |row| row(values)).map(|_| ())
}

/// Write an f32 array of rows of this shape as they come: `fill` gets a function that takes one row, or
/// several. The file is there only when it is whole. Returns the number of rows.
///
/// # Errors
/// If it cannot be written, a value is not finite, or `fill` fails.
pub fn write_rows(
    path: &Path,
    row: &[usize],
    fill: impl FnOnce(&mut dyn FnMut(&[f32]) -> Result<()>) -> Result<()>,
) -> Result<usize> {
    let cannot = || format!("cannot write {}", path.display());
    let len: usize = row.iter().product();
    let mut values = 0;
    atomic::write(path, |file| {
        // The number of rows is known at the end.
        file.write_all(&header(0, row)).with_context(cannot)?;
        fill(&mut |rows| {
            // Whoever computes knows better what to say; but no file ever holds such a number.
            ensure!(
                rows.iter().all(|v| v.is_finite()),
                "{} is not written: a value is no finite number",
                path.display()
            );
            values += rows.len();
            rows.iter().try_for_each(|v| file.write_all(&v.to_le_bytes())).with_context(cannot)
        })?;
        file.rewind().with_context(cannot)?;
        file.write_all(&header(values / len, row)).with_context(cannot)
    })?;
    Ok(values / len)
}

/// The header of an f32 array, as long for any number of rows.
fn header(rows: usize, row: &[usize]) -> [u8; 128] {
    let row: String = row.iter().map(|d| format!(" {d},")).collect();
    let dictionary = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows},{row}), }}");
    let mut header = [b' '; 128];
    header[..10].copy_from_slice(b"\x93NUMPY\x01\x00\x76\x00");
    header[10..10 + dictionary.len()].copy_from_slice(dictionary.as_bytes());
    header[127] = b'\n';
    header
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
            (b"PK\x03\x04 not an array".to_vec(), "numpy.save"),
            (b"not an array".to_vec(), "no .npy file"),
            (b"\x93NU".to_vec(), "no .npy file"),
            (with_header(&header("<f4", "(4,)"), &[0; 15]), "ends before"),
            (with_header(&header("<f8", "(4,)"), &[0; 20]), "ends before"),
            (with_header(&header("<f4", "(18446744073709551615, 2)"), &[0; 16]), "ends before"),
            (with_header(&header("<f4", "(4294967296, 4294967296, 4)"), &[0; 16]), "ends before"),
            (with_header(&header("<f4", "(-3,)"), &[0; 16]), "damaged"),
            (with_header(&header("<f4", "()"), &[0; 4]), "single number"),
            (with_header(&header("<f4", "(0, 2)"), &[]), "empty"),
            (with_header(&header("<i4", "(2,)"), &[0; 8]), "astype"),
            (with_header(&header("|O", "(2,)"), &[0; 16]), "astype"),
            (with_header("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1), }\n", &[0; 8]), "Fortran"),
            (with_header(&header("<f4", "(2,)"), &nan), "row 1"),
            (with_header("{'descr': ", &[0; 8]), "header is damaged"),
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

    #[test]
    fn rows_are_read_in_any_order_and_named_when_they_are_wrong() {
        let (_folder, path) = file(b"");
        // Rows of 300 kB: three and a bit in a chunk.
        let len = 75_000;
        let value = |row: usize, i: usize| (row * 1000 + i % 7) as f32 / 8192.0;
        let count = write_rows(&path, &[3, len / 3], |row| {
            (0..8).try_for_each(|r| row(&(0..len).map(|i| value(r, i)).collect::<Vec<_>>()))
        });
        assert_eq!(count.unwrap(), 8);
        let rows = Rows::open(&path).unwrap();
        assert_eq!(rows.shape(), [8, 3, len / 3]);
        let mut out = Vec::new();
        for range in [6..8, 0..5, 3..3] {
            rows.read(range, &mut out).unwrap();
        }
        assert_eq!(out.len(), 7 * len);
        for (slot, row) in [6, 7, 0, 1, 2, 3, 4].into_iter().enumerate() {
            assert!((0..len).all(|i| out[slot * len + i] == value(row, i)), "row {row}");
        }
        rows.check().unwrap();

        // One pixel too bright, in row 5.
        let mut bytes = std::fs::read(&path).unwrap();
        let place = 128 + 4 * (5 * len + 17);
        bytes[place..place + 4].copy_from_slice(&3.0f32.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        Rows::open(&path).unwrap().check().unwrap();
        let rows = Rows::open(&path).unwrap().of_images();
        let error = rows.check().unwrap_err().to_string();
        assert!(error.contains("pixel 3 in image 5"), "{error}");
        rows.read(0..5, &mut out).unwrap();
        bytes[place..place + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let error = Rows::open(&path).unwrap().check().unwrap_err().to_string();
        assert!(error.contains("NaN in row 5, value 17"), "{error}");

        // A file that is cut off while it is in use.
        let rows = Rows::open(&path).unwrap();
        std::fs::write(&path, &bytes[..place]).unwrap();
        let error = format!("{:#}", rows.read(4..8, &mut out).unwrap_err());
        assert!(error.contains("from row 4 on"), "{error}");
    }

    /// What NumPy writes itself: `numpy.lib.format.header_data_from_array_1_0` pads to 128 bytes too.
    #[test]
    fn headers_are_numpys() {
        let header = header(12, &[3, 4]);
        let text = String::from_utf8_lossy(&header[10..]).into_owned();
        assert_eq!(text.trim_end(), "{'descr': '<f4', 'fortran_order': False, 'shape': (12, 3, 4,), }");
        assert!(text.ends_with(" \n") && header.len() == 10 + 0x76);
    }

    #[test]
    fn no_file_holds_what_is_no_number() {
        let folder = tempfile::tempdir().unwrap();
        for value in [f32::NAN, f32::INFINITY] {
            let error = write(&folder.path().join("a.npy"), &[2], &[1.0, value]).unwrap_err().to_string();
            assert!(error.contains("a.npy is not written"), "{error}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_array_that_fails_on_the_way_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let failed = write_rows(&folder.path().join("a.npy"), &[2], |row| {
            row(&[1.0, 2.0])?;
            bail!("no more")
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
